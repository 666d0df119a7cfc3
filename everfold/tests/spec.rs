//! hooks.md, line by line: one hook, one story, every promise of the page in its order.

mod harness;

use harness::{
    hook::{Owner, Receipt},
    http::Ask,
    server::Server,
};
use serde_json::{Value, json};

const PROGRAM: &str = r#"
    const getIdempotencyKey = (request) => request.body?.key;
    async function reducer(state, request, own) {
        await null;
        if (state === undefined) state = { first: request.seq, seen: [] };
        if (request.body === "throw") throw new RangeError("reducer");
        if (request.body?.nothing) return undefined;
        if (request.body?.never) return new Promise(() => {});
        console.debug("folded", request.seq, Math.random() === Math.random(), Date.now() === Date.parse(request.createdAt));
        return { ...state, seen: [...state.seen, request.seq], last: request.body, kind: request.contentType, gone: undefined, zero: -0,
                 when: new Date(0) };
    }
    const query = (state, params, own) => params.has("as")
        ? { statusCode: 203, headers: { "content-type": "text/plain" }, body: params.get("as") + params.has("at") }
        : state;
    template("hello", (state) => ({ body: { name: input("name"), size: select("size", [1, 2]), seen: state?.seen.length ?? null } }));
"#;

const RESPONDER: &str = r#"
    function responder(request, own) {
        if (request.body?.throw) throw new TypeError("responder");
        if (request.body?.refuse) return { statusCode: 422, body: { no: true }, headers: { "x-why": "refused" } };
        return "taken";
    }
"#;

#[test]
fn hooks_md_holds_line_by_line() {
    let server = Server::start();

    // "A new hook has sample code as its draft and publishes nothing; a guest's first hook is published."
    let owner = Owner::guest(&server);
    let first = owner.hook();
    assert_eq!(first.fold(&json!({"name": "tea"})).seq, 1);
    let hook = owner.hook();
    let detail = owner.get(&hook.api("")).expect(200).json();
    assert_eq!(
        (&detail["workflowState"], &detail["published"], &detail["requestCount"]),
        (&json!("live"), &Value::Null, &json!(0))
    );
    assert!(detail["draft"]["code"].as_str().is_some_and(|code| code.contains("reducer")));
    assert_eq!(owner.get("/api/hooks").json()["objects"].as_array().expect("hooks").len(), 2);

    // "GET /read: 200 null before the first request"; all functions are optional.
    assert_eq!(hook.state(), Value::Null);
    hook.publish("const nothing = 1;");
    hook.fold(&json!({}));
    assert_eq!(hook.state(), Value::Null, "without a reducer the state stays null");

    // "Publishing code that does not parse is refused with line and column. Saving it as a draft is allowed."
    hook.save("function reducer( {");
    let refusal = owner.post(&hook.api("/publish"), &json!({})).problem(400, "source_unrunnable");
    assert!(refusal["line"].is_u64() && refusal["column"].is_u64() && refusal["hint"].is_string());

    // "POST publish -> 200 {version, total}"; functions are found by name, declared globally or exported; async is awaited.
    hook.save(PROGRAM);
    let publishing = owner.post(&hook.api("/publish"), &json!({})).expect(200).json();
    assert_eq!((publishing["version"].is_u64(), &publishing["total"]), (true, &json!(1)));
    let replay = hook.replayed();
    assert_eq!((&replay["done"], &replay["total"], replay["perSecond"].is_number()), (&json!(1), &json!(1), true));
    let draft = owner.get(&hook.api("")).json()["draft"].clone();
    assert_eq!(draft["code"], PROGRAM, "the draft that replaces it starts as a copy");

    // "any method /write/:writeKey -> 202 {id, seq, hash}"; the same under /api.
    let receipts: Vec<Receipt> = ["PUT", "DELETE", "PATCH", "REPORT"]
        .map(|method| {
            Receipt::of(&hook.ask(Ask::new(method, hook.write_path()).json(&json!({"by": method}))).expect(202))
        })
        .into();
    assert_eq!(receipts.iter().map(|receipt| receipt.seq).collect::<Vec<_>>(), [2, 3, 4, 5]);
    let under_api =
        hook.ask(Ask::new("POST", format!("/api{}", hook.write_path())).body("text/plain", "hello")).expect(202);
    assert_eq!(Receipt::of(&under_api).seq, 6);
    let settled = hook.settled(&receipts[3].id).expect(200).json();
    assert_eq!((&settled["settled"], &settled["seq"]), (&json!(true), &json!(5)));
    hook.settled("00000000-0000-7000-8000-000000000000").problem(404, "request_unknown");

    // State is JSON as JSON.stringify reads it; the header x-seq names the prefix.
    let reply = hook.read("after=6").expect(200);
    assert_eq!(reply.header("x-seq"), Some("6"));
    let expected = json!({"first": 1, "seen": [1, 2, 3, 4, 5, 6], "last": "hello", "kind": "text/plain", "zero": 0, "when": "1970-01-01T00:00:00.000Z"});
    assert_eq!(reply.json(), expected);

    // "Throws: state unchanged, error {name, message, stack} (the owner's own line numbers) kept, next request goes on";
    // a reducer that returns nothing is a recorded error, and so is a promise that can never settle.
    hook.ask(Ask::new("POST", hook.write_path()).body("text/plain", "throw")).expect(202);
    hook.keep(&json!({"nothing": true}));
    hook.keep(&json!({"never": true}));
    hook.fold(&json!({"goes": "on"}));
    let history = hook.history_after(6);
    let error = &history[0]["error"];
    assert_eq!((&error["name"], &error["message"]), (&json!("RangeError"), &json!("reducer")));
    assert!(error["stack"].as_str().is_some_and(|stack| stack.contains(":6:")), "{error}");
    assert!(history[1]["error"].is_object() && history[2]["error"].is_object() && history[3]["error"].is_null());
    assert_eq!(hook.state()["seen"], json!([1, 2, 3, 4, 5, 6, 10]));

    // "Status > 399: kept, marked ignored, never folded. Throws: reply 500, request kept and marked failed."
    hook.publish(&format!("{PROGRAM}{RESPONDER}"));
    assert_eq!(hook.write(&json!({})).expect(200).json(), "taken");
    let refused = hook.write(&json!({"refuse": true})).expect(422);
    assert_eq!((refused.json(), refused.header("x-why")), (json!({"no": true}), Some("refused")));
    hook.write(&json!({"throw": true})).expect(500);
    let (page, _) = hook.history_page(None);
    assert_eq!((&page[1]["status"], &page[0]["status"]), (&json!("ignored"), &json!("failed")));
    assert_eq!(page[0]["error"]["name"], "TypeError");
    let id = page[1]["id"].as_str().expect("an id");
    assert_eq!(hook.settled(id).expect(200).json()["status"], "ignored");
    hook.publish(PROGRAM);

    // "Same key as an earlier folded request of this version: skipped, marked duplicate."
    let before = hook.fold(&json!({"key": "k"})).seq;
    let twice = hook.fold(&json!({"key": "k", "again": 1})).seq;
    assert_eq!(hook.history_after(twice - 1)[0]["status"], "duplicate");
    assert_eq!(hook.state()["seen"].as_array().expect("seen").last(), Some(&json!(before)));

    // "Header Idempotency-Key: same body -> the first reply again plus idempotency-replayed; other body -> 409."
    let keyed = |body: &str| {
        hook.ask(Ask::new("POST", hook.write_path()).header("idempotency-key", "k").body("text/plain", body))
    };
    let reply = keyed("a").expect(202);
    let again = keyed("a").expect(202);
    assert_eq!((again.body.clone(), again.header("idempotency-replayed")), (reply.body.clone(), Some("true")));
    keyed("b").problem(409, "idempotency_key_reused");

    // "query's reply"; at and after are reserved and not passed to it; "?at=SEQ: 0: null; past the end 400".
    let last = Receipt::of(&reply).seq;
    let asked = hook.read(&format!("as=text-&after={last}&at=2")).expect(203);
    assert_eq!((asked.text(), asked.header("content-type")), ("text-false".into(), Some("text/plain")));
    assert_eq!(hook.read("at=0").expect(200).json(), Value::Null);
    assert_eq!(hook.read("at=3").expect(200).json()["seen"], json!([1, 2, 3]));
    hook.read("at=10000").problem(400, "seq_beyond_end");
    hook.read("at=soon").problem(400, "parameter_malformed");

    // Templates, one request whole, its diff, resent.
    let template = owner.get(&hook.api("/templates")).expect(200).json()["templates"][0].clone();
    assert_eq!(
        (&template["name"], &template["template"]["body"]["name"]),
        (&json!("hello"), &json!({"field": "input", "name": "name"}))
    );
    let patch = owner.get(&hook.api("/requests/3/diff")).expect(200).json()["patch"].clone();
    assert_eq!(patch[0], json!({"op": "add", "path": "/seen/2", "value": 3}));
    assert_eq!(owner.get(&hook.api("/requests/3")).expect(200).json()["method"], "DELETE");
    let resent = owner.post(&hook.api("/requests/3/resend"), &json!({})).expect(202).json();
    assert_eq!(resent["seq"], last + 1);

    // console.* is kept; Date stands still, Math.random is a sequence.
    let console = owner.get(&hook.api("/console")).expect(200).json()["console"]["objects"][0].clone();
    let said = &console["messages"];
    assert_eq!(
        (&console["level"], &said[0], &said[2], &said[3]),
        (&json!("debug"), &json!("folded"), &json!("false"), &json!("true"))
    );

    // Keys: made, paused ("202 {id} and nothing kept"; reading 404), played.
    let key = |kind: &str| owner.post(&hook.api("/keys"), &json!({ "type": kind }));
    let made = key("write").expect(201).json()["key"].as_str().expect("a key").to_owned();
    key("both").problem(400, "key_kind_unknown");
    let switch = |key: &str, how: &str| owner.post(&hook.api(&format!("/keys/{key}/{how}")), &json!({}));
    switch(&made, "pause").expect(202);
    let swallowed =
        Ask::new("POST", format!("/write/{made}")).json(&json!({})).send(&server.address).expect(202).json();
    assert_eq!(swallowed.as_object().expect("an object").keys().collect::<Vec<_>>(), ["id"]);
    switch(&made, "play").expect(202);
    switch(&first.write_key, "pause").problem(404, "key_unknown");
    switch(&hook.read_key, "pause").expect(202);
    hook.read("").problem(404, "key_unknown");
    switch(&hook.read_key, "play").expect(202);

    // "A paused hook captures requests without folding them; live again, it folds what waited, in order."
    let seen = || hook.state()["seen"].as_array().expect("seen").len();
    hook.state_after(last + 1);
    let folded = seen();
    owner.put(&hook.api(""), &json!({"workflowState": "paused"})).expect(202);
    let waiting = hook.keep(&json!({})).seq;
    assert_eq!((seen(), hook.history_page(None).0[0]["status"].clone()), (folded, json!("pending")));
    owner.put(&hook.api(""), &json!({"workflowState": "live"})).expect(202);
    hook.state_after(waiting);
    assert_eq!(seen(), folded + 1);

    // "recomputes the chain: hash is that of the last receipt".
    let last = hook.keep(&json!({}));
    assert_eq!(hook.verify(), json!({"seq": last.seq, "hash": last.hash, "ok": true}));

    // Other people: "Someone else's hook 403, none 404, no identity 401."
    let stranger = Owner::guest(&server);
    stranger.get(&hook.api("")).problem(403, "hook_foreign");
    Ask::new("GET", hook.api("")).send(&server.address).problem(401, "identity_missing");
    let problem = owner.get("/api/hooks/00000000-0000-4000-8000-000000000000").problem(404, "hook_unknown");
    for field in ["type", "title", "status", "detail", "code", "hint"] {
        assert!(!problem[field].is_null(), "RFC 9457 and what to do next: {problem}");
    }

    // "reset-requests 201: no seq is ever used twice"; DELETE 202.
    owner.post(&hook.api("/reset-requests"), &json!({})).expect(201);
    assert_eq!(hook.state(), Value::Null);
    assert_eq!(hook.fold(&json!({})).seq, last.seq + 1);
    owner.ask(Ask::new("DELETE", hook.api(""))).expect(202);
    owner.get(&hook.api("")).problem(404, "hook_unknown");
}
