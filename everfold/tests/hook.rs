//! A hook from the outside: what is written is kept, folded, read; what its owner changes takes hold.

mod harness;

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use harness::{
    eventually,
    hook::{Hook, Owner, Receipt},
    http::{Ask, Connection},
    server::Server,
};
use serde_json::{Value, json};

/// Counts requests and adds up their `n`.
const SUM: &str = "export const reducer = (state, request) =>
    ({ count: (state?.count ?? 0) + 1, sum: (state?.sum ?? 0) + (request.body.n ?? 0) });";

/// Shows the last request.
const LAST: &str = "export const reducer = (state, request) => ({
    ...request, query: request.query.getAll('a'), headers: request.headers });";

#[test]
fn a_written_request_is_settled_and_read() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    let receipt = hook.keep(&json!({"n": 7}));
    assert_eq!(receipt.seq, 1);
    assert!(receipt.hash.len() == 64 && receipt.hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{receipt:?}");
    let settled = hook.settled(&receipt.id).expect(200).json();
    assert_eq!((&settled["settled"], &settled["seq"]), (&json!(true), &json!(1)));
    let read = hook.read("").expect(200);
    assert_eq!(read.json(), json!({"count": 1, "sum": 7}));
    assert_eq!(read.header("x-seq"), Some("1"));
}

#[test]
fn a_guests_first_hook_works_at_once() {
    let server = Server::start();
    let hook = Owner::guest(&server).hook();
    let receipt = hook.fold(&json!({"name": "tea"}));
    assert!(!hook.state_after(receipt.seq).is_null());
}

#[test]
fn the_write_and_read_paths_are_also_answered_under_api() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    let reply = hook.ask(Ask::new("POST", format!("/api{}", hook.write_path())).json(&json!({"n": 1}))).expect(202);
    let id = Receipt::of(&reply).id;
    server.get(&format!("/api{}/settled/{id}", hook.write_path())).expect(200);
    assert_eq!(server.get(&format!("/api/read/{}", hook.read_key)).expect(200).json(), json!({"count": 1, "sum": 1}));
}

#[test]
fn bodies_arrive_as_what_they_are() {
    let server = Server::start();
    let hook = Hook::running(&server, LAST);
    let fold = |content_type: &str, body: &[u8]| {
        let reply = hook.ask(Ask::new("POST", hook.write_path()).body(content_type, body)).expect(202);
        hook.state_after(Receipt::of(&reply).seq)
    };

    let last = fold("application/json; charset=utf-8", br#"{"a": [1, "\u00e9", null]}"#);
    assert_eq!(last["body"], json!({"a": [1, "é", null]}));
    assert_eq!(last["rawBody"], r#"{"a": [1, "\u00e9", null]}"#);
    assert_eq!(last["contentType"], "application/json; charset=utf-8");
    assert!(last.get("bodyError").is_none());

    assert_eq!(fold("application/vnd.api+json", b"[1]")["body"], json!([1]));
    assert_eq!(fold("application/x-www-form-urlencoded", b"a=1+2&b=%C3%A9")["body"], json!({"a": "1 2", "b": "é"}));
    assert_eq!(fold("text/plain", "grüße".as_bytes())["body"], "grüße");
    assert_eq!(fold("application/xml", b"<a/>")["body"], "<a/>");

    let parts = "--cut\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nhi\r\n--cut\r\ncontent-disposition: \
                 form-data; name=\"file\"; filename=\"a.txt\"\r\ncontent-type: text/plain\r\n\r\nhello\r\n--cut--\r\n";
    let last = fold("multipart/form-data; boundary=cut", parts.as_bytes());
    assert_eq!(last["body"]["note"], "hi");
    let file = json!({"name": "a.txt", "type": "text/plain", "size": 5, "base64": "aGVsbG8="});
    assert_eq!(last["body"]["file"], file);

    let last = fold("application/json", b"{\"a\": ");
    assert_eq!(last["body"], "{\"a\": ");
    assert!(last["bodyError"].is_string() || last["bodyError"].is_object(), "{last}");
}

#[test]
fn bytes_that_are_no_text_are_kept_and_do_no_harm() {
    let server = Server::start();
    let hook =
        Hook::running(&server, SUM.replace("request.body.n", "request.body?.size ?? request.body?.length").as_str());
    for body in [&[0xff, 0xfe, 0x00, 0x80][..], b"", &[0; 1000]] {
        let reply = hook.ask(Ask::new("POST", hook.write_path()).body("application/octet-stream", body)).expect(202);
        hook.settled(&Receipt::of(&reply).id).expect(200);
    }
    assert_eq!(hook.state(), json!({"count": 3, "sum": 1004}));
}

#[test]
fn a_request_is_handed_over_whole() {
    let server = Server::start();
    let hook = Hook::running(&server, LAST);
    let ask = Ask::new("PATCH", format!("{}?a=1&b=x%20y&a=2", hook.write_path()))
        .header("X-Custom", "Some Value")
        .json(&json!({}));
    let receipt = Receipt::of(&hook.ask(ask).expect(202));
    let last = hook.state_after(receipt.seq);
    assert_eq!(last["id"], receipt.id.as_str());
    assert_eq!(last["seq"], receipt.seq);
    assert_eq!(last["method"], "PATCH");
    assert_eq!(last["path"], hook.write_path());
    assert_eq!(last["queryString"], "a=1&b=x%20y&a=2");
    assert_eq!(last["query"], json!(["1", "2"]));
    assert_eq!(last["headers"]["x-custom"], "Some Value");
    let created_at = last["createdAt"].as_str().expect("createdAt is text");
    assert!(created_at.len() == 24 && created_at.ends_with('Z'), "{created_at}");
}

#[test]
fn a_request_has_a_cloud_event_whatever_it_was_sent_as() {
    let server = Server::start();
    let hook = Hook::running(&server, "export const reducer = (state, request) => request.event;");
    let fold = |ask: Ask| hook.state_after(Receipt::of(&hook.ask(ask).expect(202)).seq);
    let ask = Ask::new("POST", hook.write_path());

    let plain = fold(ask.clone().json(&json!({"a": 1})));
    assert_eq!(plain["specversion"], "1.0");
    assert!(plain["id"].is_string() && plain["source"].is_string() && plain["type"].is_string(), "{plain}");
    assert_eq!(plain["data"], json!({"a": 1}));

    let binary = ask.clone().header("ce-specversion", "1.0").header("ce-id", "e1").header("ce-source", "/shop");
    let binary = fold(binary.header("ce-type", "order.paid").json(&json!({"a": 2})));
    assert_eq!((&binary["id"], &binary["type"]), (&json!("e1"), &json!("order.paid")));
    assert_eq!(binary["data"], json!({"a": 2}));

    let event = json!({"specversion": "1.0", "id": "e2", "source": "/shop", "type": "order.sent", "data": {"a": 3}});
    let structured = fold(ask.body("application/cloudevents+json", event.to_string()));
    assert_eq!((&structured["id"], &structured["data"]), (&json!("e2"), &json!({"a": 3})));
}

#[test]
fn any_method_writes() {
    let server = Server::start();
    let hook = Hook::running(&server, "export const reducer = (state, request) => [...(state ?? []), request.method];");
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let last = methods.map(|method| Receipt::of(&hook.ask(Ask::new(method, hook.write_path())).expect(202)));
    assert_eq!(hook.state_after(last[4].seq), json!(methods));
}

#[test]
fn a_browser_of_any_origin_may_write_and_read() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    let ask = |method: &str, path: String| Ask::new(method, path).header("origin", "https://elsewhere.test");
    let preflight = ask("OPTIONS", hook.write_path())
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type, x-custom");
    let preflight = hook.ask(preflight);
    assert!((200..300).contains(&preflight.status), "{}", preflight.status);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    let methods = preflight.header("access-control-allow-methods").unwrap_or_default();
    assert!(methods.contains("PUT") || methods == "*", "{methods}");
    assert!(preflight.header("access-control-allow-headers").is_some());
    assert!(hook.history().is_empty(), "a preflight is the browser's question, not a request");

    let written = hook.ask(ask("POST", hook.write_path()).json(&json!({"n": 1}))).expect(202);
    assert_eq!(written.header("access-control-allow-origin"), Some("*"));
    let read = hook.ask(ask("GET", format!("/read/{}", hook.read_key))).expect(200);
    assert_eq!(read.header("access-control-allow-origin"), Some("*"));
}

#[test]
fn a_state_is_read_as_of_any_seq() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    let before = hook.read("").expect(200);
    assert_eq!((before.json(), before.header("x-seq")), (Value::Null, Some("0")));
    (1..=300).for_each(|n| drop(hook.keep(&json!({"n": n}))));
    hook.state_after(300);
    assert_eq!(hook.read("at=0").expect(200).json(), Value::Null);
    for seq in [1, 2, 127, 128, 129, 255, 256, 257, 299, 300] {
        let then = hook.read(&format!("at={seq}")).expect(200);
        assert_eq!(then.json(), json!({"count": seq, "sum": seq * (seq + 1) / 2}));
        assert_eq!(then.header("x-seq"), Some(seq.to_string().as_str()));
    }
    hook.read("at=301").problem(400, "seq_beyond_end");
    hook.read("at=yesterday").problem(400, "parameter_malformed");
    hook.read("after=-1").problem(400, "parameter_malformed");
}

#[test]
fn a_reader_who_waits_for_a_seq_gets_it_when_it_is_folded() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    let waiting = thread::spawn({
        let hook = hook.clone();
        move || hook.read("after=3").expect(200)
    });
    (1..=3).for_each(|n| drop(hook.keep(&json!({"n": n}))));
    let read = waiting.join().expect("the reader is answered");
    assert_eq!(read.json(), json!({"count": 3, "sum": 6}));
    assert_eq!(read.header("x-seq"), Some("3"));
}

#[test]
fn nobody_waits_longer_than_thirty_seconds() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    hook.owner.put(&hook.api(""), &json!({"workflowState": "paused"})).expect(202);
    let receipt = hook.keep(&json!({"n": 1}));
    thread::scope(|scope| {
        scope.spawn(|| hook.read("after=1").problem(408, "not_folded_yet"));
        scope.spawn(|| hook.settled(&receipt.id).problem(408, "not_settled_yet"));
    });
}

#[test]
fn receipts_are_dense_and_chained() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    let mut connection = Connection::open(&server.address).expect("the server listens");
    let ask = Ask::new("POST", hook.write_path()).json(&json!({"n": 1}));
    let receipts: Vec<_> = (0..50).map(|_| Receipt::of(&connection.ask(&ask).expect("a reply").expect(202))).collect();
    assert!(receipts.iter().map(|receipt| receipt.seq).eq(1..=50));
    assert_eq!(receipts.iter().map(|receipt| &receipt.hash).collect::<BTreeSet<_>>().len(), 50);
    assert_eq!(hook.verify(), json!({"seq": 50, "hash": receipts[49].hash, "ok": true}));
    let ids: Vec<_> = hook.history().iter().map(|entry| entry["id"].as_str().expect("an id").to_owned()).collect();
    assert!(ids.iter().eq(receipts.iter().map(|receipt| &receipt.id)));
}

#[test]
fn many_writers_share_one_dense_sequence_and_each_sees_their_own_order() {
    const WRITERS: u64 = 8;
    const EACH: u64 = 50;
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    let seqs: Vec<Vec<u64>> = thread::scope(|scope| {
        let write = |_| (0..EACH).map(|_| hook.keep(&json!({"n": 1})).seq).collect::<Vec<_>>();
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        writers.into_iter().map(|writer| writer.join().expect("a writer ends")).collect()
    });
    assert!(seqs.iter().all(|own| own.is_sorted()));
    let all: BTreeSet<u64> = seqs.concat().into_iter().collect();
    assert!(all.into_iter().eq(1..=WRITERS * EACH));
    assert_eq!(hook.state_after(WRITERS * EACH), json!({"count": WRITERS * EACH, "sum": WRITERS * EACH}));
}

#[test]
fn publishing_folds_the_whole_history_again_and_readers_never_see_a_mix() {
    const BEFORE: u64 = 2_000;
    let server = Server::start();
    let hook = Hook::running(&server, &SUM.replace("({", "({ version: 'one',"));
    let mut connection = Connection::open(&server.address).expect("the server listens");
    let ask = Ask::new("POST", hook.write_path()).json(&json!({"n": 2}));
    (0..BEFORE).for_each(|_| drop(connection.ask(&ask).expect("a reply").expect(202)));
    hook.state_after(BEFORE);

    let is_done = AtomicBool::new(false);
    let (written, states) = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut states = vec![];
            while !is_done.load(Ordering::Relaxed) {
                states.push(hook.state());
            }
            states
        });
        let writer = scope.spawn(|| {
            let mut written = 0;
            while !is_done.load(Ordering::Relaxed) {
                hook.keep(&json!({"n": 2}));
                written += 1;
            }
            written
        });
        hook.publish(&SUM.replace("({", "({ version: 'two',").replace("+ (request", "+ 10 * (request"));
        is_done.store(true, Ordering::Relaxed);
        (writer.join().expect("writes go on throughout"), reader.join().expect("reads go on throughout"))
    });

    let total = BEFORE + written;
    assert_eq!(hook.state_after(total), json!({"version": "two", "count": total, "sum": total * 20}));
    let (mut count_before, mut version_before) = (0, "one".to_owned());
    for state in states {
        let count = state["count"].as_u64().expect("a count");
        let version = state["version"].as_str().expect("a version").to_owned();
        let each = if version == "one" { 2 } else { 20 };
        assert_eq!(state["sum"], count * each, "a state is of one version alone");
        assert!(version >= version_before, "the new version stays");
        assert!(count >= count_before, "a reader never goes back: {count} after {count_before}");
        (count_before, version_before) = (count, version);
    }
    let history = hook.history_after(total - 50);
    assert!(history.iter().all(|entry| entry["state"]["version"] == "two"), "the history shows the current version");
}

#[test]
fn a_detail_shows_the_draft_and_what_is_published() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    hook.save("export const reducer = () => 1;");
    let detail = hook.owner.get(&hook.api("")).expect(200).json();
    assert_eq!(detail["id"], hook.id.as_str());
    assert_eq!(detail["workflowState"], "live");
    assert_eq!((&detail["readKeys"], &detail["writeKeys"]), (&json!([hook.read_key]), &json!([hook.write_key])));
    assert!(detail["draft"].to_string().contains("=> 1"), "{detail}");
    assert!(detail["published"].to_string().contains("count"), "{detail}");
    hook.owner.put(&hook.api(""), &json!({"name": "orders", "description": "what we sold"})).expect(202);
    let listed = hook.owner.get("/api/hooks").expect(200).json();
    assert!(listed.to_string().contains("\"orders\""), "{listed}");
}

#[test]
fn a_list_of_hooks_is_answered_while_some_of_them_are_deleted() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let hooks: Vec<Hook> = (0..60).map(|_| owner.hook()).collect();
    let listed = || owner.get("/api/hooks").expect(200).json()["objects"].as_array().expect("hooks").len();
    thread::scope(|scope| {
        let deleting = scope.spawn(|| {
            for hook in &hooks[1..] {
                owner.ask(Ask::new("DELETE", hook.api(""))).expect(202);
            }
        });
        while !deleting.is_finished() {
            listed();
        }
    });
    assert_eq!(listed(), 1);
}

#[test]
fn a_paused_hook_keeps_what_comes_and_folds_it_in_order_when_live_again() {
    let server = Server::start();
    let hook = Hook::running(&server, "export const reducer = (state, request) => [...(state ?? []), request.body.n];");
    hook.fold(&json!({"n": 0}));
    hook.owner.put(&hook.api(""), &json!({"workflowState": "paused"})).expect(202);
    let receipts: Vec<_> = (1..=5).map(|n| hook.keep(&json!({"n": n}))).collect();
    assert!(receipts.iter().map(|receipt| receipt.seq).eq(2..=6));
    assert_eq!(hook.state(), json!([0]));
    assert!(hook.history_after(1).iter().all(|entry| entry["status"] == "pending"));
    hook.owner.put(&hook.api(""), &json!({"workflowState": "live"})).expect(202);
    assert_eq!(hook.state_after(6), json!([0, 1, 2, 3, 4, 5]));
}

#[test]
fn a_paused_key_keeps_nothing_and_reads_nothing_until_it_plays_again() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    let switch = |key: &str, verb: &str| {
        hook.owner.post(&hook.api(&format!("/keys/{key}/{verb}")), &json!({})).expect(202);
    };
    switch(&hook.write_key, "pause");
    switch(&hook.read_key, "pause");
    eventually("the read key is paused", || (hook.read("").status == 404).then_some(()));
    let ignored = hook.write(&json!({"n": 1})).expect(202).json();
    assert!(ignored["id"].is_string() && ignored.get("seq").is_none(), "{ignored}");
    assert!(hook.history().is_empty());
    switch(&hook.write_key, "play");
    switch(&hook.read_key, "play");
    eventually("the read key plays", || (hook.read("").status == 200).then_some(()));
    assert_eq!(hook.fold(&json!({"n": 1})).seq, 1);
}

#[test]
fn a_revoked_key_leads_nowhere_and_makes_room_for_another() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    let other = hook.owner.hook();
    let revoke = |key: &str| hook.owner.ask(Ask::new("DELETE", hook.api(&format!("/keys/{key}"))));
    hook.fold(&json!({"n": 1}));
    hook.read("").expect(200);
    for key in [&hook.write_key, &hook.read_key] {
        revoke(key).expect(202);
        revoke(key).problem(404, "key_unknown");
        hook.owner.post(&hook.api(&format!("/keys/{key}/play")), &json!({})).problem(404, "key_unknown");
    }
    let leads_nowhere = |hook: &Hook| {
        hook.write(&json!({"n": 1})).problem(404, "key_unknown");
        hook.read("").problem(404, "key_unknown");
    };
    leads_nowhere(&hook);
    assert_eq!(hook.owner.get(&hook.api("/keys")).expect(200).json(), json!({"keys": []}));
    for key in [other.write_key.as_str(), "nobodys"] {
        revoke(key).problem(404, "key_unknown");
    }
    let stranger = Owner::guest(&server);
    stranger.ask(Ask::new("DELETE", other.api(&format!("/keys/{}", other.write_key)))).problem(403, "hook_foreign");
    other.keep(&json!({}));

    let make = |kind: &str| hook.owner.post(&hook.api("/keys"), &json!({"type": kind}));
    let write_key = make("write").expect(201).json()["key"].as_str().expect("a key").to_owned();
    (1..64).for_each(|_| drop(make("read").expect(201)));
    make("read").problem(400, "keys_too_many");

    let mut server = server;
    server.kill();
    let server = Server::start_on(&server.data);
    let hook = hook.at(&server);
    leads_nowhere(&hook);
    let renewed = Hook { write_key, ..hook };
    assert_eq!(renewed.fold(&json!({"n": 1})).seq, 2, "the log goes on");
    assert_eq!(renewed.verify()["ok"], true);
}

#[test]
fn every_key_of_a_hook_leads_to_it_and_to_no_other() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    let other = hook.owner.hook();
    let make = |kind: &str| {
        let made = hook.owner.post(&hook.api("/keys"), &json!({"type": kind})).expect(201).json();
        made["key"].as_str().expect("a key is text").to_owned()
    };
    let (write_key, read_key) = (make("write"), make("read"));
    let mut second = hook.clone();
    (second.write_key, second.read_key) = (write_key.clone(), read_key.clone());
    second.fold(&json!({"n": 5}));
    assert_eq!(second.state(), json!({"count": 1, "sum": 5}));
    assert_eq!(hook.state(), second.state());

    let listed = hook.owner.get(&hook.api("/keys")).expect(200).json();
    let keys = listed["keys"].as_array().expect("keys are listed");
    assert_eq!(keys.len(), 4);
    assert!(keys.contains(&json!({"key": write_key, "type": "write", "workflowState": "live"})), "{listed}");

    hook.owner.post(&hook.api("/keys"), &json!({"type": "master"})).problem(400, "key_kind_unknown");
    let pause_foreign = hook.api(&format!("/keys/{}/pause", other.write_key));
    assert_eq!(hook.owner.post(&pause_foreign, &json!({})).status, 404);
    hook.ask(Ask::new("POST", format!("/write/{read_key}"))).problem(404, "key_unknown");
    server.get(&format!("/read/{write_key}")).problem(404, "key_unknown");
}

#[test]
fn only_its_owner_reaches_a_hook() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    let stranger = Owner::guest(&server);
    let calls = [
        ("GET", ""),
        ("PUT", ""),
        ("POST", "/publish"),
        ("GET", "/replay"),
        ("GET", "/history"),
        ("GET", "/keys"),
        ("POST", "/keys"),
        ("GET", "/verify"),
    ];
    for (method, rest) in calls {
        let body = json!({"type": "read", "code": SUM});
        let ask = |path: String| Ask::new(method, path).json(&body);
        ask(hook.api(rest)).send(&server.address).problem(401, "identity_missing");
        ask(hook.api(rest))
            .header("authorization", "Bearer nonsense")
            .send(&server.address)
            .problem(401, "identity_invalid");
        stranger.ask(ask(hook.api(rest))).problem(403, "hook_foreign");
        let nowhere = format!("/api/hooks/{}{rest}", hook.id.chars().rev().collect::<String>());
        stranger.ask(ask(nowhere)).problem(404, "hook_unknown");
    }
    server.get("/api/hooks").problem(401, "identity_missing");
    Ask::new("POST", "/api/hooks").json(&json!({})).send(&server.address).problem(401, "identity_missing");
    let listed = stranger.get("/api/hooks").expect(200).text();
    assert!(!listed.contains(&hook.id), "{listed}");
    let bare = Ask::new("GET", hook.api("")).header("authorization", hook.owner.jwt.as_str());
    bare.send(&server.address).expect(200);
}

#[test]
fn a_repeated_key_gets_the_first_reply_and_is_not_folded_again() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    let ask = |body: Value| Ask::new("POST", hook.write_path()).header("idempotency-key", "order-1").json(&body);
    let first = hook.ask(ask(json!({"n": 3}))).expect(202);
    assert_eq!(first.header("idempotency-replayed"), None);
    let again = hook.ask(ask(json!({"n": 3}))).expect(202);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.json(), first.json());
    hook.ask(ask(json!({"n": 4}))).problem(409, "idempotency_key_reused");
    let other = hook.fold(&json!({"n": 10}));
    assert_eq!(other.seq, 2);
    assert_eq!(hook.state_after(2), json!({"count": 2, "sum": 13}));
    let neighbour = hook.owner.hook();
    neighbour.publish(SUM);
    let elsewhere =
        Ask::new("POST", neighbour.write_path()).header("idempotency-key", "order-1").json(&json!({"n": 4}));
    assert_eq!(neighbour.ask(elsewhere).expect(202).header("idempotency-replayed"), None);
}

#[test]
fn a_key_sent_many_times_at_once_is_kept_once() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    let ask = Ask::new("POST", hook.write_path()).header("idempotency-key", "once").json(&json!({"n": 1}));
    let receipts: Vec<Receipt> = thread::scope(|scope| {
        let sent: Vec<_> = (0..16).map(|_| scope.spawn(|| Receipt::of(&hook.ask(ask.clone()).expect(202)))).collect();
        sent.into_iter().map(|sent| sent.join().expect("an answer")).collect()
    });
    assert!(receipts.iter().all(|receipt| *receipt == receipts[0]), "{receipts:?}");
    assert_eq!(hook.history().len(), 1);
}

#[test]
fn a_responder_answers_and_what_it_refuses_is_kept_but_not_folded() {
    let server = Server::start();
    let code = format!(
        "export function responder(request) {{
            if (request.body.n < 0) return {{ statusCode: 422, body: {{ why: 'negative' }} }};
            if (request.body.n === 0) throw new Error('nothing');
            return {{ statusCode: 201, body: 'thanks ' + request.body.n, headers: {{ 'x-mark': 'yes' }} }};
        }}
        {SUM}"
    );
    let hook = Hook::running(&server, &code);
    let thanks = hook.write(&json!({"n": 4})).expect(201);
    assert_eq!((thanks.text().as_str(), thanks.header("x-mark")), ("thanks 4", Some("yes")));
    assert_eq!(hook.write(&json!({"n": -1})).expect(422).json(), json!({"why": "negative"}));
    assert_eq!(hook.write(&json!({"n": 0})).status, 500);
    hook.write(&json!({"n": 5})).expect(201);
    assert_eq!(hook.state_after(4), json!({"count": 2, "sum": 9}));
    let history = hook.history();
    let statuses: Vec<_> = history.iter().map(|entry| entry["status"].clone()).collect();
    assert_eq!(json!(statuses), json!(["folded", "ignored", "failed", "folded"]));
    for (entry, status) in history.iter().zip(["folded", "ignored", "failed"]) {
        let settled = hook.settled(entry["id"].as_str().expect("an id")).expect(200).json();
        assert_eq!(settled["settled"], true);
        assert!(status == "folded" || settled["status"] == status, "{settled}");
    }
    hook.publish(&code);
    assert_eq!(hook.state(), json!({"count": 2, "sum": 9}), "a refold asks no responder again");
}

#[test]
fn a_query_says_what_readers_get() {
    let server = Server::start();
    let code = format!(
        "export function query(state, params) {{
            if (params.get('as') === 'text') return {{ statusCode: 203, body: 'sum ' + state.sum, headers: {{ 'content-type': 'text/plain', 'x-mark': 'q' }} }};
            if (params.get('as') === 'list') return [...params].map(([name]) => name);
            if (params.get('as') === 'error') throw new TypeError('no');
            return state?.sum;
        }}
        {SUM}"
    );
    let hook = Hook::running(&server, &code);
    let receipt = hook.fold(&json!({"n": 4}));
    assert_eq!(hook.state(), json!(4));
    let text = hook.read("as=text").expect(203);
    assert_eq!((text.text().as_str(), text.header("x-mark")), ("sum 4", Some("q")));
    assert!(text.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let list = hook.read(&format!("as=list&after={}&b=1", receipt.seq)).expect(200);
    assert_eq!(list.json(), json!(["as", "b"]), "`after` and `at` are not the query's");
    assert_eq!(hook.read("as=error").status, 500);
    assert_eq!(hook.state(), json!(4));
}

#[test]
fn a_history_is_paged_newest_first() {
    let server = Server::start();
    let hook = Hook::running(&server, SUM);
    (1..=85).for_each(|n| drop(hook.keep(&json!({"n": n}))));
    hook.state_after(85);
    let (first, token) = hook.history_page(None);
    assert!(first.iter().map(|entry| entry["seq"].as_u64().expect("seq")).eq((46..=85).rev()));
    let (second, token) = hook.history_page(token.as_deref());
    assert!(second.iter().map(|entry| entry["seq"].as_u64().expect("seq")).eq((6..=45).rev()));
    let (third, token) = hook.history_page(token.as_deref());
    assert_eq!((third.len(), token), (5, None));
    let newest = &first[0];
    assert_eq!(newest["body"], json!({"n": 85}));
    assert_eq!(newest["headers"]["content-type"], "application/json");
    assert_eq!(newest["state"], json!({"count": 85, "sum": 85 * 86 / 2}));
    assert_eq!((&newest["status"], &newest["error"]), (&json!("folded"), &Value::Null));
    assert!(newest["createdAt"].as_u64().is_some_and(|at| at > 1_700_000_000_000), "{newest}");
    assert_eq!(third[4]["state"], json!({"count": 1, "sum": 1}));
}

#[test]
fn a_fold_sees_nothing_but_state_and_request() {
    let server = Server::start();
    let code = "
        let calls = 0;
        const seen = new Map();
        export function reducer(state, request) {
            calls += 1;
            seen.set(request.id, 1);
            globalThis.leak = (globalThis.leak ?? 0) + 1;
            Array.prototype.count = (Array.prototype.count ?? 0) + 1;
            return {
                calls, size: seen.size, leak: globalThis.leak, count: [].count,
                stands: Date.now() === new Date(request.createdAt).getTime() && +new Date() === Date.now(),
                dice: [...(state?.dice ?? []), Math.random()],
                ids: [...(state?.ids ?? []), uuid()],
                absent: [typeof setTimeout, typeof fetch, typeof process, typeof require, typeof WeakRef, typeof performance],
            };
        }";
    let hook = Hook::running(&server, code);
    (0..5).for_each(|_| drop(hook.fold(&json!({}))));
    let live = hook.state();
    for (name, expected) in
        [("calls", json!(1)), ("size", json!(1)), ("leak", json!(1)), ("count", json!(1)), ("stands", json!(true))]
    {
        assert_eq!(live[name], expected, "{name}");
    }
    assert!(live["absent"].as_array().expect("a list").iter().all(|kind| kind == "undefined"), "{live}");
    let dice: BTreeSet<String> = live["dice"].as_array().expect("a list").iter().map(Value::to_string).collect();
    assert_eq!(dice.len(), 5, "the dice differ from request to request");
    hook.publish(code);
    assert_eq!(hook.state(), live, "a replay gives the same state");
}

#[test]
fn a_state_is_what_json_makes_of_it_before_the_next_request_sees_it() {
    let server = Server::start();
    let code = "export function reducer(state, request) {
            if (!state) return { day: new Date(0), gone: undefined, zero: -0, list: [undefined, 1], nested: { toJSON: () => 'told' } };
            return { kinds: [typeof state.day, 'gone' in state, Object.is(state.zero, 0), state.list[0], state.nested], text: JSON.stringify(state) };
        }";
    let hook = Hook::running(&server, code);
    hook.fold(&json!({}));
    let once = json!({"day": "1970-01-01T00:00:00.000Z", "zero": 0, "list": [null, 1], "nested": "told"});
    assert_eq!(hook.state(), once);
    hook.fold(&json!({}));
    assert_eq!(hook.state()["kinds"], json!(["string", false, true, null, "told"]));
}

#[test]
fn types_are_taken_off_and_helpers_are_at_hand() {
    let server = Server::start();
    let code = "
        interface Sums { [name: string]: string | boolean | number }
        enum Kind { Small = 1, Large = 2 }
        async function reducer(state: Sums | undefined, request: { body: any }): Promise<Sums> {
            const waited = await Promise.resolve(Kind.Large as number);
            return {
                waited,
                sha256: toHex(sha256('abc')), hmac: toHex(hmac('sha256', 'key', 'message')),
                hex: toHex(new Uint8Array([1, 255])),
                valid: validateJsonSchema({ type: 'object', required: ['a'] }, request.body).valid,
                typed: validateJsonTypeDef({ properties: { a: { type: 'string' } } }, request.body).valid,
                url: new URL('/b?c=1', 'https://a.test/x').href,
                text: new TextDecoder().decode(new TextEncoder().encode('é')),
                base64: btoa(atob('aGk=')),
                clone: structuredClone({ a: [1] }).a[0],
            };
        }";
    let hook = Hook::running(&server, code);
    hook.fold(&json!({"a": 1}));
    let expected = json!({
        "waited": 2,
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "hmac": "6e9ef29b75fffc5b7abae527d58fdadb2fe42e7219011976917343065f58ed4a",
        "hex": "01ff", "valid": true, "typed": false, "url": "https://a.test/b?c=1", "text": "é", "base64": "aGk=", "clone": 1,
    });
    assert_eq!(hook.state(), expected);
}

#[test]
fn a_server_that_is_asked_to_end_drains_and_starts_where_it_stopped() {
    let mut server = Server::start();
    let hook = Hook::running(&server, SUM);
    let receipts: Vec<_> = (1..=20).map(|n| hook.keep(&json!({"n": n}))).collect();
    assert!(server.terminate().success());
    let again = Server::start_on(&server.data);
    let hook = hook.at(&again);
    assert_eq!(hook.state_after(20), json!({"count": 20, "sum": 210}));
    assert_eq!(hook.verify()["hash"], receipts[19].hash.as_str());
    assert_eq!(hook.keep(&json!({"n": 1})).seq, 21);
}

#[test]
fn a_machine_sees_that_the_server_lives_and_works() {
    let server = Server::start();
    Hook::running(&server, SUM).fold(&json!({"n": 1}));
    server.get("/healthz").expect(200);
    server.get("/readyz").expect(200);
    let metrics = server.get("/metrics").expect(200).text();
    assert!(metrics.lines().any(|line| !line.starts_with('#') && line.starts_with("everfold_")), "{metrics}");
    let limits = server.get("/api/limits").expect(200).json();
    let limits = limits.as_object().expect("limits are a list of names");
    assert!(!limits.is_empty() && limits.values().all(Value::is_number), "{limits:?}");
}
