//! What an owner does with a hook besides writing to it: go back, look ahead, keep secrets, begin anew, take it along.

mod harness;

use std::fs;

use harness::{
    eventually,
    hook::{Hook, Owner},
    http::{Ask, Reply},
    server::Server,
};
use serde_json::{Value, json};

const COUNT: &str = "export const reducer = (state, request) => (state ?? 0) + 1;";
const SUM: &str = "export const reducer = (state, request) => (state ?? 0) + request.body.n;";

fn state_of(patched: &Value) -> Value {
    let mut state = patched["before"].clone();
    let patch: json_patch::Patch = serde_json::from_value(patched["patch"].clone()).expect("a JSON Patch");
    json_patch::patch(&mut state, &patch).expect("it applies");
    state
}

impl Hook {
    fn post(&self, rest: &str) -> Reply {
        self.owner.post(&self.api(rest), &json!({}))
    }

    fn get(&self, rest: &str) -> Reply {
        self.owner.get(&self.api(rest))
    }

    fn set_secret(&self, name: &str, value: &str) {
        let path = format!("/api/secrets/{}", self.id);
        self.owner.post(&path, &json!({"key": name, "value": value})).expect(201);
    }

    fn statuses(&self) -> Vec<Value> {
        self.history().into_iter().map(|request| request["status"].clone()).collect()
    }
}

#[test]
fn an_older_version_comes_back_and_catches_up() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    for n in 1..=3 {
        hook.fold(&json!({ "n": n }));
    }
    hook.publish(COUNT);
    hook.fold(&json!({"n": 10}));
    assert_eq!(hook.state(), json!(4));
    let listed = |hook: &Hook| -> Vec<(u64, String)> {
        let versions = hook.get("/versions").expect(200).json();
        let versions = versions["objects"].as_array().expect("versions").clone();
        let of =
            |version: &Value| (version["version"].as_u64().unwrap(), version["workflowState"].as_str().unwrap().into());
        versions.iter().map(of).collect()
    };
    let states = ["draft", "published", "old", "old"].map(str::to_owned);
    assert_eq!(listed(&hook), [4, 3, 2, 1].into_iter().zip(states).collect::<Vec<_>>());
    let sum = hook.get("/versions").json()["objects"][2].clone();
    assert_eq!((&sum["code"], sum["publishedAt"].is_u64()), (&json!(SUM), true));

    let restored = hook.post("/versions/2/restore").expect(200).json();
    assert_eq!(restored, json!({"version": 2, "total": 4}));
    hook.replayed();
    assert_eq!(hook.state(), json!(16), "it caught up with what arrived meanwhile");
    assert_eq!(listed(&hook)[2], (2, "published".into()));
    assert_eq!(hook.get("").json()["draft"]["code"], COUNT, "the draft is its owner's");
    hook.post("/versions/99/restore").problem(404, "version_unknown");
    hook.post("/versions/last/restore").problem(404, "version_unknown");
    hook.post("/versions/2/restore").expect(200);
    assert_eq!(hook.state(), json!(16), "restoring what is live changes nothing");
}

#[test]
fn a_preview_tells_what_publishing_would_change_and_changes_nothing() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    for n in [1, 1, 5] {
        hook.fold(&json!({ "n": n }));
    }
    let preview = |code: &str| hook.owner.post(&hook.api("/preview"), &json!({ "code": code })).expect(200).json();
    let told = preview(COUNT);
    assert_eq!((&told["total"], &told["changed"], &told["firstDifferentSeq"]), (&json!(3), &json!(1), &json!(3)));
    assert_eq!((&told["before"], &told["after"]), (&json!(7), &json!(3)));
    assert_eq!(state_of(&told), told["after"]);
    let told = preview(
        "export const reducer = (s, r) => { if (r.seq === 2) throw new TypeError('two'); return {at: r.seq}; };",
    );
    assert_eq!(told["errors"][0]["seq"], 2);
    assert_eq!(
        (&told["errors"][0]["error"]["name"], &told["errors"][0]["error"]["message"]),
        (&json!("TypeError"), &json!("two"))
    );
    assert_eq!((&told["changed"], state_of(&told)), (&json!(3), json!({"at": 3})));
    let told = hook.post("/preview").expect(200).json();
    assert_eq!((&told["changed"], &told["firstDifferentSeq"], &told["patch"]), (&json!(0), &Value::Null, &json!([])));
    let refusal = hook.owner.post(&hook.api("/preview"), &json!({"code": "export const reducer = ("}));
    assert!(refusal.problem(400, "source_unrunnable")["line"].is_u64());
    assert_eq!((hook.state(), hook.get("/versions").json()["objects"].as_array().unwrap().len()), (json!(7), 3));

    let unpublished = hook.owner.hook();
    unpublished.save(COUNT);
    unpublished.keep(&json!({}));
    let told = unpublished.post("/preview").expect(200).json();
    assert_eq!((&told["before"], &told["after"], &told["changed"]), (&Value::Null, &json!(1), &json!(1)));
}

#[test]
fn a_refold_that_is_given_up_leaves_readers_where_they_were() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    for _ in 0..40 {
        hook.keep(&json!({"n": 1}));
    }
    hook.state_after(40);
    let slow =
        "export const reducer = (s, r) => { let x = 0; for (let i = 0; i < 300000; i++) x += i; return 'slow'; };";
    hook.save(slow);
    let version = hook.post("/publish").expect(200).json()["version"].clone();
    assert_eq!(hook.get("").json()["refolding"], version);
    let cancelled = hook.post("/replay/cancel").expect(200).json();
    assert_eq!(hook.get("").json()["refolding"], Value::Null);
    assert_eq!((&cancelled["status"], &cancelled["total"]), (&json!("cancelled"), &json!(40)), "{cancelled}");
    assert_eq!(hook.get("/replay").json()["status"], "cancelled");
    hook.fold(&json!({"n": 1}));
    assert_eq!(hook.state(), json!(41));
    assert_eq!(hook.post("/replay/cancel").expect(200).json()["status"], "cancelled", "once more is no harm");
    hook.publish(SUM);
    assert_eq!(hook.state(), json!(41));
    assert_eq!(hook.get("/replay").json()["status"], "done");
}

#[test]
fn a_refold_goes_on_after_a_kill_though_nobody_asks_for_the_hook() {
    let mut server = Server::start();
    let hook = Hook::running(&server, COUNT);
    for _ in 0..60 {
        hook.keep(&json!({"n": 1}));
    }
    hook.state_after(60);
    let slow = "export const reducer = (s, r) => { let x = 0; for (let i = 0; i < 300000; i++) x += i; return {slow: r.seq}; };";
    hook.save(slow);
    hook.post("/publish").expect(200);
    server.kill();
    let server = Server::start_on(&server.data);
    let awake = || {
        let metrics = server.get("/metrics").expect(200).text();
        metrics.lines().find_map(|line| line.strip_prefix("everfold_lanes_awake ")?.parse::<f64>().ok())
    };
    eventually("the hook is awake", || awake().filter(|awake| *awake > 0.0));
    let hook = hook.at(&server);
    hook.replayed();
    assert_eq!(hook.state(), json!({"slow": 60}));
}

#[test]
fn a_request_is_shown_whole_with_what_it_changed() {
    let server = Server::start();
    let hook = Hook::running(
        &server,
        "export const reducer = (state = {names: []}, request) => {
           console.warn('met', request.body.name);
           return {names: [...state.names, request.body.name], last: request.seq};
         };",
    );
    let receipts = ["ada", "bob"].map(|name| hook.fold(&json!({ "name": name })));
    let request = hook.get("/requests/2").expect(200).json();
    assert_eq!(request["state"], json!({"names": ["ada", "bob"], "last": 2}));
    assert_eq!(request["console"], json!([{"level": "warn", "messages": ["met", "bob"]}]));
    assert_eq!((&request["body"], &request["status"]), (&json!({"name": "bob"}), &json!("folded")));
    assert_eq!((&request["id"], &request["hash"]), (&json!(receipts[1].id), &json!(receipts[1].hash)));
    assert_eq!(request["bodyBase64"], "eyJuYW1lIjoiYm9iIn0=");
    let patch = |seq: u64| hook.get(&format!("/requests/{seq}/diff")).expect(200).json()["patch"].clone();
    assert_eq!(
        patch(2),
        json!([{"op": "add", "path": "/names/1", "value": "bob"}, {"op": "replace", "path": "/last", "value": 2}])
    );
    assert_eq!(patch(1)[0]["path"], "", "the first state comes out of nothing");
    for seq in ["0", "3", "99999999999999999999", "-1", "two"] {
        hook.get(&format!("/requests/{seq}")).problem(404, "request_unknown");
        hook.get(&format!("/requests/{seq}/diff")).problem(404, "request_unknown");
        hook.post(&format!("/requests/{seq}/resend")).problem(404, "request_unknown");
    }
    let again = hook.post("/requests/1/resend").expect(202).json();
    assert_eq!(again["seq"], 3);
    assert_eq!(hook.state_after(3)["names"], json!(["ada", "bob", "ada"]));
    let resent = hook.get("/requests/3").json();
    assert_eq!((&resent["id"], &resent["body"]), (&again["id"], &json!({"name": "ada"})));
}

#[test]
fn a_console_is_paged_newest_first_with_what_the_responder_said() {
    let server = Server::start();
    let hook = Hook::running(
        &server,
        "export const responder = (request) => { console.info('asked', request.body.n); return {statusCode: 201, body: 'ok'}; };
         export const reducer = (state, request) => {
           for (let i = 0; i < 3; i++) console.log(request.body.n, i);
           return request.body.n;
         };",
    );
    for n in 1..=25 {
        hook.write(&json!({ "n": n })).expect(201);
    }
    hook.state_after(25);
    let mut lines = Vec::new();
    let mut token = String::new();
    let mut pages = 0;
    loop {
        let page = hook.get(&format!("/console{token}")).expect(200).json()["console"].clone();
        let objects = page["objects"].as_array().expect("lines").clone();
        assert!(objects.len() <= 40);
        pages += 1;
        lines.extend(objects);
        match page["nextToken"].as_str() {
            Some(next) => token = format!("?token={next}"),
            None => break,
        }
    }
    assert_eq!((lines.len(), pages), (100, 3));
    let messages: Vec<_> = lines.iter().map(|line| line["messages"].clone()).collect();
    let expected: Vec<_> = (1..=25)
        .rev()
        .flat_map(|n| {
            [
                json!([n.to_string(), "2"]),
                json!([n.to_string(), "1"]),
                json!([n.to_string(), "0"]),
                json!(["asked", n.to_string()]),
            ]
        })
        .collect();
    assert_eq!(messages, expected);
    let newest = &hook.history_page(None).0[0];
    assert_eq!((&lines[0]["requestId"], &lines[0]["timestamp"]), (&newest["id"], &newest["createdAt"]));
    assert_eq!((&lines[0]["level"], &lines[3]["level"]), (&json!("log"), &json!("info")));
    for token in ["x", "1", "1.x", "-1.0"] {
        hook.get(&format!("/console?token={token}")).problem(400, "token_of_no_list");
    }
    hook.get("/versions?token=x").problem(400, "token_of_no_list");
}

#[test]
fn a_program_offers_templates_made_of_its_state() {
    let server = Server::start();
    let hook = Hook::running(
        &server,
        "template('order', (state) => ({method: 'POST', body: {count: state, name: input('name'), size: select('size', ['S', 'L'])}}));
         template('broken', () => { throw new RangeError('not now'); });
         export const reducer = (state) => (state ?? 0) + 1;",
    );
    let templates = || hook.get("/templates").expect(200).json()["templates"].clone();
    let order = |count: Value| {
        json!({"name": "order", "template": {"method": "POST", "body": {"count": count,
            "name": {"field": "input", "name": "name"}, "size": {"field": "select", "name": "size", "options": ["S", "L"]}}}})
    };
    assert_eq!(templates()[0], order(Value::Null));
    hook.fold(&json!({}));
    assert_eq!(templates()[0], order(json!(1)));
    assert_eq!((&templates()[1]["name"], &templates()[1]["error"]["name"]), (&json!("broken"), &json!("RangeError")));
    assert_eq!(
        hook.owner.hook().get("/templates").expect(200).json(),
        json!({"templates": []}),
        "nothing is published"
    );
}

#[test]
fn a_secret_is_seen_by_the_code_from_then_on_and_by_nobody_else() {
    let mut server = Server::start();
    let hook = Hook::running(
        &server,
        "export const responder = (request, own) => {
           if (request.body.fail) throw new Error(`responder says ${own.token}`);
           return {statusCode: 200, body: {length: own.token?.length ?? 0}};
         };
         export const query = (state, params, own) => ({state, length: own.token?.length ?? 0, global: secrets.token === own.token});
         export const reducer = (state, request, own) => {
           console.log('token', own.token, {token: own.token});
           if (request.body.throw) throw new Error('no ' + own.token);
           return [...(state ?? []), own.token?.length ?? 0];
         };",
    );
    hook.write(&json!({})).expect(200);
    let first = "first-plaintext\n\"quoted\"";
    hook.set_secret("token", first);
    assert_eq!(hook.write(&json!({})).expect(200).json(), json!({"length": first.len()}));
    hook.set_secret("token", "second-plaintext");
    hook.write(&json!({})).expect(200);
    hook.write(&json!({"throw": true})).expect(200);
    hook.write(&json!({"fail": true})).expect(500);
    let state = hook.read("after=4").expect(200).json();
    assert_eq!(state, json!({"state": [0, first.len(), 16], "length": 16, "global": true}));

    let path = format!("/api/secrets/{}", hook.id);
    let listed = hook.owner.get(&path).expect(200).json();
    let sha256 = "7d859f4d2e01be0137bc8f707f4faa984e467279420205e8fa76d2940206ba7a";
    assert_eq!(listed, json!({"secrets": {"token": sha256}}));

    let everywhere = [
        hook.get("/history").text(),
        hook.get("/console").text(),
        hook.get("").text(),
        hook.get("/requests/4").text(),
        listed.to_string(),
    ];
    for text in &everywhere {
        assert!(!text.contains("plaintext"), "{text}");
    }
    assert!(
        everywhere[0].contains("no [secret token]") && everywhere[0].contains("responder says [secret token]"),
        "{}",
        everywhere[0]
    );
    assert!(everywhere[1].contains("[secret token]"));

    // Each request is folded again with what it saw the first time.
    server.kill();
    for entry in fs::read_dir(&server.data).expect("the data") {
        let path = entry.expect("a file").path();
        // What functions are run with is a folder of its own.
        if path.is_dir() {
            continue;
        }
        let bytes = fs::read(&path).expect("it is read");
        assert!(!bytes.windows(9).any(|window| window == b"plaintext"), "{} holds a secret", path.display());
    }
    let server = Server::start_on(&server.data);
    let hook = hook.at(&server);
    let sees = "export const reducer = (state, request, own) => [...(state ?? []), own.token ?? null];";
    hook.publish(sees);
    assert_eq!(hook.state(), json!([null, first, "second-plaintext", "second-plaintext"]));
    assert_eq!(hook.read("at=2").expect(200).json(), json!([null, first]));

    hook.owner.ask(Ask::new("DELETE", format!("{path}?key=token"))).expect(202);
    hook.fold(&json!({}));
    assert_eq!(hook.state()[4], Value::Null);
    hook.owner.ask(Ask::new("DELETE", format!("{path}?key=token"))).problem(404, "secret_unknown");
    hook.owner.ask(Ask::new("DELETE", path.clone())).problem(404, "secret_unknown");
    let set = |body: Value| hook.owner.post(&path, &body);
    let refusal = set(json!({"key": "x", "value": {"deep": "plaintext"}})).problem(400, "secret_malformed");
    assert!(!refusal.to_string().contains("plaintext"));
    set(json!({"key": "", "value": "v"})).problem(400, "secret_malformed");
    set(json!({"key": "k".repeat(129), "value": "v"})).problem(400, "secret_malformed");
    set(json!({"key": "k", "value": "v".repeat((16 << 10) + 1)})).problem(400, "secret_malformed");
    for n in 0..64 {
        set(json!({"key": format!("k{n}"), "value": "v"})).expect(201);
    }
    set(json!({"key": "one more", "value": "v"})).problem(400, "secrets_too_many");
    set(json!({"key": "k7", "value": "again"})).expect(201);
}

#[test]
fn a_request_with_an_earlier_ones_key_is_kept_and_passed_over() {
    let mut server = Server::start();
    let code = |by: &str| {
        format!(
            "export const getIdempotencyKey = (request) => {{ if (request.body.bad) throw new Error('no key'); return {by}; }};
             export const reducer = (state, request) => [...(state ?? []), request.seq];"
        )
    };
    let hook = Hook::running(&server, &code("request.body.key"));
    for body in [json!({"key": "a"}), json!({"key": "b"}), json!({"key": "a"}), json!({}), json!({}), json!({"bad": 1})]
    {
        hook.fold(&body);
    }
    assert_eq!(hook.state(), json!([1, 2, 4, 5]), "without a key each is one of its own");
    assert_eq!(hook.statuses(), ["folded", "folded", "duplicate", "folded", "folded", "folded"]);
    assert_eq!(hook.get("/requests/3").json()["duplicateOf"], 1);
    assert_eq!(hook.get("/requests/6").json()["error"]["message"], "no key");

    // Across a kill, and in a batch of many.
    server.kill();
    let server = Server::start_on(&server.data);
    let hook = hook.at(&server);
    for n in 0..200 {
        let key = ["a", "b", "c", "d"][n % 4];
        hook.keep(&json!({ "key": key }));
    }
    assert_eq!(hook.state_after(206), json!([1, 2, 4, 5, 9, 10]));
    assert_eq!(hook.read("at=9").json(), json!([1, 2, 4, 5, 9]));

    // Another version has keys of its own; the same comes to the same.
    hook.publish(&code("'one for all'"));
    assert_eq!(hook.state(), json!([1]));
    hook.publish(&code("request.body.key"));
    assert_eq!(hook.state(), json!([1, 2, 4, 5, 9, 10]));
    hook.post("/versions/2/restore").expect(200);
    hook.replayed();
    assert_eq!(hook.state(), json!([1, 2, 4, 5, 9, 10]));
    let told = hook.owner.post(&hook.api("/preview"), &json!({"code": code("request.body.key ?? 'x'")})).json();
    assert_eq!((&told["after"], &told["firstDifferentSeq"]), (&json!([1, 2, 4, 9, 10]), &json!(5)));
}

#[test]
fn a_log_that_begins_anew_uses_no_number_twice() {
    let mut server = Server::start();
    let hook = Hook::running(&server, SUM);
    hook.set_secret("kept", "v");
    for n in 1..=5 {
        hook.fold(&json!({ "n": n }));
    }
    hook.publish(COUNT);
    hook.post("/reset-requests").expect(201);
    assert_eq!((hook.state(), hook.history().len()), (Value::Null, 0));
    assert_eq!(hook.get("").json()["requestCount"], 0);
    assert_eq!(hook.get("/console").json()["console"]["objects"], json!([]));
    hook.get("/requests/5").problem(404, "request_unknown");
    assert_eq!(hook.fold(&json!({"n": 7})).seq, 6);
    let detail = hook.get("").json();
    assert_eq!((&detail["requestCount"], &detail["lastSeq"]), (&json!(1), &json!(6)));
    assert_eq!((hook.state(), hook.read("at=3").expect(200).json()), (json!(1), Value::Null));
    hook.post("/versions/2/restore").expect(200);
    hook.replayed();
    assert_eq!(hook.state(), json!(7), "no version sees what was before");
    server.kill();
    let server = Server::start_on(&server.data);
    let hook = hook.at(&server);
    assert_eq!((hook.state(), hook.fold(&json!({"n": 1})).seq), (json!(7), 7));
    assert_eq!((hook.state(), hook.verify()["ok"].clone()), (json!(8), json!(true)));
    assert_eq!(hook.owner.get(&format!("/api/secrets/{}", hook.id)).json()["secrets"].as_object().unwrap().len(), 1);
}

#[test]
fn a_deleted_hook_is_gone_and_stays_gone() {
    let mut server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let other = hook.owner.hook();
    other.publish(COUNT);
    for _ in 0..600 {
        hook.keep(&json!({"text": "something to be forgotten"}));
    }
    hook.state_after(600);
    other.fold(&json!({}));
    hook.owner.ask(Ask::new("DELETE", hook.api(""))).expect(202);
    let is_gone = |hook: &Hook| {
        hook.get("").problem(404, "hook_unknown");
        hook.read("").problem(404, "key_unknown");
        hook.write(&json!({})).problem(404, "key_unknown");
        let hooks = hook.owner.get("/api/hooks").expect(200).json();
        assert_eq!(hooks["objects"].as_array().expect("hooks").len(), 1, "{hooks}");
    };
    is_gone(&hook);
    hook.owner.ask(Ask::new("DELETE", hook.api(""))).problem(404, "hook_unknown");
    server.kill();
    let server = Server::start_on(&server.data);
    let (hook, other) = (hook.at(&server), other.at(&server));
    is_gone(&hook);
    assert_eq!((other.fold(&json!({})).seq, other.state()), (2, json!(2)));
}

#[test]
fn a_hook_is_taken_along_with_the_same_hashes_and_the_same_states() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    hook.set_secret("token", "stays here");
    for n in 1..=60 {
        hook.keep(&json!({ "n": n }));
    }
    hook.state_after(60);
    hook.publish("export const reducer = (state, request) => { if (request.seq === 7) while (true) {} return (state ?? 0) + request.body.n; };");
    let export = hook.get("/export").expect(200).body;

    let elsewhere = Server::start();
    let stranger = Owner::guest(&elsewhere);
    let import = |bytes: Vec<u8>| stranger.ask(Ask::new("POST", "/api/hooks/import").body("application/zstd", bytes));
    let made = import(export.clone()).expect(201).json();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let moved = Hook {
        owner: stranger.clone(),
        id: text(&made["id"]),
        write_key: text(&made["writeKeys"][0]),
        read_key: text(&made["readKeys"][0]),
    };
    assert_ne!(moved.write_key, hook.write_key);
    assert_eq!(made["writeKeys"].as_array().expect("keys").len(), 1, "old keys lead to where it came from");
    assert_eq!(moved.state_after(60), hook.state());
    assert_eq!(moved.verify(), hook.verify());
    let kept = |hook: &Hook| {
        hook.history()
            .into_iter()
            .map(|request| (request["id"].clone(), request["state"].clone(), request["error"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(&moved), kept(&hook));
    moved.post("/versions/2/restore").expect(200);
    moved.replayed();
    assert_eq!(moved.state(), json!(60 * 61 / 2));
    assert_eq!(moved.fold(&json!({"n": 0})).seq, 61);
    let secrets = stranger.get(&format!("/api/secrets/{}", moved.id)).expect(200).json();
    assert_eq!(secrets, json!({"secrets": {}}), "the key that opens them is elsewhere");

    // What was changed, cut off or made up is not taken, and leaves nothing.
    let unpacked = zstd::decode_all(&export[..]).expect("it unpacks");
    let lines: Vec<&[u8]> = unpacked.split_inclusive(|byte| *byte == b'\n').collect();
    let packed = |lines: Vec<&[u8]>| zstd::encode_all(&lines.concat()[..], 1).expect("it packs");
    let changed = String::from_utf8_lossy(lines[9]).replacen('1', "2", 1).into_bytes();
    let broken = [
        export[..export.len() - 5].to_vec(),
        b"not an export".to_vec(),
        Vec::new(),
        packed(vec![lines[0]]),
        packed([&lines[..9], &[&changed[..]], &lines[10..]].concat()),
        packed([&lines[..5], &lines[6..]].concat()),
        packed([&lines[..5], &[lines[6], lines[5]], &lines[7..]].concat()),
        packed([&lines[..1], &lines[2..]].concat()),
        packed(vec![&vec![b'x'; 20 << 20][..]]),
    ];
    for (number, bytes) in broken.into_iter().enumerate() {
        let reply = import(bytes);
        assert_eq!((number, reply.status), (number, 400), "{}", reply.text());
        reply.problem(400, "export_broken");
    }
    assert_eq!(stranger.get("/api/hooks").json()["objects"].as_array().expect("hooks").len(), 1);
}

#[test]
fn every_call_of_a_hook_is_its_owners_alone() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    hook.fold(&json!({}));
    let calls = [
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("POST", "/publish"),
        ("GET", "/replay"),
        ("POST", "/replay/cancel"),
        ("POST", "/preview"),
        ("POST", "/reset-requests"),
        ("GET", "/versions"),
        ("POST", "/versions/1/restore"),
        ("GET", "/history"),
        ("GET", "/requests/1"),
        ("GET", "/requests/1/diff"),
        ("POST", "/requests/1/resend"),
        ("GET", "/console"),
        ("GET", "/templates"),
        ("GET", "/keys"),
        ("POST", "/keys"),
        ("GET", "/export"),
        ("GET", "/verify"),
    ];
    let secrets = format!("/api/secrets/{}", hook.id);
    let paths = calls.map(|(method, rest)| (method, hook.api(rest)));
    let paths = paths.into_iter().chain(["GET", "POST", "DELETE"].map(|method| (method, secrets.clone())));
    let stranger = Owner::guest(&server);
    for (method, path) in paths {
        Ask::new(method, path.clone()).send(&server.address).problem(401, "identity_missing");
        stranger.ask(Ask::new(method, path.clone())).problem(403, "hook_foreign");
        let nobodys = path.replace(&hook.id, "01234567-89ab-4def-8123-456789abcdef");
        stranger.ask(Ask::new(method, nobodys)).problem(404, "hook_unknown");
    }
    assert_eq!((hook.state(), hook.history().len()), (json!(1), 1));
}
