//! What cannot be served is refused with a problem document that says what to do, and harms nothing.

mod harness;

use harness::{
    hook::{Hook, Owner},
    http::{Ask, Connection},
    server::Server,
    socket::Socket,
};
use rules::refusal::Refusal;
use serde_json::json;

const COUNT: &str = "export const reducer = (state, request) => (state ?? 0) + 1;";

#[test]
fn an_unknown_key_is_404() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let write = |path: &str| Ask::new("POST", path).json(&json!({})).send(&server.address);
    write("/write/nobody-has-this-key").problem(404, "key_unknown");
    write(&format!("/write/{}", "k".repeat(5_000))).problem(404, "key_unknown");
    write("/write/%00%ff").problem(404, "key_unknown");
    server.get("/read/nobody-has-this-key").problem(404, "key_unknown");
    server.get("/write/nobody-has-this-key/settled/x").problem(404, "key_unknown");
    hook.settled("01234567-89ab-7def-8123-456789abcdef").problem(404, "request_unknown");
    hook.settled("not-an-id").problem(404, "request_unknown");
    server.get("/nowhere").problem(404, "path_unknown");
    hook.owner.get("/api/nowhere").problem(404, "path_unknown");
    hook.owner.ask(Ask::new("DELETE", "/api/auth/guest-user")).problem(405, "method_not_allowed");
}

#[test]
fn a_body_over_the_limit_is_413_however_it_is_sent() {
    const LIMIT: usize = 1 << 20;
    let mut server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let post = |body: Vec<u8>| hook.ask(Ask::new("POST", hook.write_path()).body("text/plain", body));
    post(vec![b'a'; LIMIT]).expect(202);
    post(vec![b'a'; LIMIT + 1]).problem(413, "body_too_large");

    let mut chunked =
        format!("POST {} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", hook.write_path()).into_bytes();
    for _ in 0..17 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.resize(chunked.len() + 0x10000, b'a');
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let mut connection = Connection::open(&server.address).expect("the server listens");
    connection.raw(&chunked).expect("a reply").problem(413, "body_too_large");

    let promised = format!("POST {} HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n", hook.write_path());
    let mut connection = Connection::open(&server.address).expect("the server listens");
    connection.raw(promised.as_bytes()).expect("a reply at once").problem(413, "body_too_large");

    assert_eq!(hook.history().len(), 1);
    assert!(server.is_well());
}

#[test]
fn json_that_is_too_deep_is_400() {
    let mut server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let post = |body: String| hook.ask(Ask::new("POST", hook.write_path()).body("application/json", body));
    post(nested(128)).expect(202);
    post(nested(129)).problem(400, "json_too_deep");
    post(nested(500_000)).problem(400, "json_too_deep");
    post("[".repeat(1_000_000)).problem(400, "json_too_deep");
    post(r#"{"a":"#.repeat(150_000)).problem(400, "json_too_deep");
    post(format!("\"{}\"", "[".repeat(1_000))).expect(202);
    assert_eq!(hook.state_after(2), json!(2), "what is deep enough to be refused elsewhere is folded here");
    assert!(server.is_well());
}

#[test]
fn a_header_flood_is_431() {
    let mut server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let ask = |headers: Vec<(String, String)>| hook.ask(Ask { headers, ..Ask::new("POST", hook.write_path()) });
    let many =
        |count: usize, bytes: usize| (0..count).map(|n| (format!("x-{n}"), "v".repeat(bytes))).collect::<Vec<_>>();
    ask(many(80, 500)).expect(202);
    ask(many(1, 70_000)).problem(431, "headers_too_large");
    ask(many(200, 500)).problem(431, "headers_too_large");
    ask(many(1, 300_000)).expect(431);
    ask(many(20_000, 2)).expect(431);
    assert_eq!(hook.history().len(), 1);
    assert!(server.is_well());
}

#[test]
fn code_that_does_not_parse_is_a_fine_draft_and_no_version() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    hook.fold(&json!({}));
    hook.save("export function reducer(state) {\n  return state +;\n}\n");
    let refusal = hook.owner.post(&hook.api("/publish"), &json!({})).problem(400, "source_unrunnable");
    assert_eq!((&refusal["line"], &refusal["column"]), (&json!(2), &json!(17)), "{refusal}");
    assert!(refusal["detail"].as_str().is_some_and(|detail| detail.contains("line 2")), "{refusal}");
    hook.save("throw new Error('while loading');");
    hook.owner.post(&hook.api("/publish"), &json!({})).problem(400, "source_unrunnable");
    hook.save("while (true) {}");
    hook.owner.post(&hook.api("/publish"), &json!({})).problem(400, "source_unrunnable");
    hook.fold(&json!({}));
    assert_eq!(hook.state(), json!(2), "the live version goes on");
    let detail = hook.owner.get(&hook.api("")).expect(200).json();
    assert!(detail["draft"].to_string().contains("while (true)"), "{detail}");
}

#[test]
fn code_over_the_limit_is_413() {
    let server = Server::start();
    let hook = Owner::guest(&server).hook();
    let code = format!("//{}\n{COUNT}", "x".repeat(1 << 20));
    let reply = hook.owner.put(&hook.api(""), &json!({ "code": code }));
    assert!(["source_too_large", "body_too_large"].contains(&reply.json()["code"].as_str().unwrap_or_default()));
    assert_eq!(reply.status, 413);
    let far_over = json!({"code": "x".repeat(3 << 20)});
    hook.owner.post("/api/hooks", &far_over).problem(413, "body_too_large");
}

#[test]
fn an_api_body_that_is_not_what_the_call_takes_is_400() {
    let server = Server::start();
    let hook = Owner::guest(&server).hook();
    let put = |body: &str| hook.owner.ask(Ask::new("PUT", hook.api("")).body("application/json", body));
    for body in [
        "{",
        "[]",
        r#"["code", "name", "description", "live"]"#,
        "7",
        r#"{"code": 7}"#,
        r#"{"workflowState": "asleep"}"#,
    ] {
        put(body).problem(400, "body_malformed");
    }
    hook.owner.get(&hook.api("/history?token=%00nonsense")).problem(400, "token_of_no_list");
    hook.owner.get(&hook.api("/console?token=1.0&token=1.0")).problem(400, "token_of_no_list");
    let twice = format!("/api/secrets/{}?key=a&key=a", hook.id);
    hook.owner.ask(Ask::new("DELETE", &twice)).problem(404, "secret_unknown");
}

#[test]
fn an_idempotency_key_over_the_limit_is_400() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let ask = |bytes: usize| hook.ask(Ask::new("POST", hook.write_path()).header("idempotency-key", "k".repeat(bytes)));
    ask(256).expect(202);
    ask(257).problem(400, "idempotency_key_too_long");
    assert_eq!(hook.history().len(), 1);
}

#[test]
fn what_is_no_http_is_refused_and_harms_nobody() {
    let mut server = Server::start();
    let garbage: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /write/x HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /write/x HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /write/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ];
    for bytes in garbage {
        let reply = Connection::open(&server.address).expect("the server listens").raw(bytes);
        assert!(reply.is_err() || reply.as_ref().is_ok_and(|reply| (400..500).contains(&reply.status)), "{reply:?}");
    }
    assert!(server.is_well());
}

#[test]
fn a_socket_without_a_good_key_is_not_opened() {
    let server = Server::start();
    let status = |path: &str| Socket::open(&server.address, path).err();
    assert_eq!(status("/state-events"), Some(400));
    assert_eq!(status("/state-events?readKey=nobody-has-this-key"), Some(404));
    server.get("/state-events").problem(400, "read_key_missing");
    let hook = Hook::running(&server, COUNT);
    assert_eq!(status(&format!("/state-events?readKey={}", hook.write_key)), Some(404));
    server.get(&format!("/state-events?readKey={}", hook.read_key)).problem(400, "upgrade_missing");
}

#[test]
fn who_must_say_who_they_are_is_told_how() {
    let server = Server::start();
    let reply = server.get("/api/hooks");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    reply.problem(401, "identity_missing");
}

#[test]
fn a_hook_has_so_many_keys_and_no_more() {
    let server = Server::start();
    let hook = Owner::guest(&server).hook();
    let make = || hook.owner.post(&hook.api("/keys"), &json!({"type": "read"}));
    for _ in 2..64 {
        make().expect(201);
    }
    make().problem(400, "keys_too_many");
}

#[test]
fn a_query_that_throws_is_500_with_its_own_words() {
    let server = Server::start();
    let hook = Hook::running(&server, "export const query = () => { throw new TypeError('not today'); };");
    let refusal = hook.read("").problem(500, "code_failed");
    assert!(refusal["detail"].as_str().is_some_and(|detail| detail.contains("TypeError: not today")), "{refusal}");
}

#[test]
fn a_body_that_breaks_off_keeps_nothing() {
    let mut server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let head = format!("POST {} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", hook.write_path());
    let mut connection = Connection::open(&server.address).expect("the server listens");
    connection.raw(format!("{head}5\r\nhello\r\nzz\r\n").as_bytes()).expect("a reply").problem(400, "body_unreadable");
    assert_eq!(hook.history().len(), 0);
    assert!(server.is_well());
}

/// What no test can bring about from outside at will: each has its reason.
const NOT_AT_WILL: [&str; 9] = [
    "busy",               // overload.rs meets it as a status
    "draining",           // the moment between SIGTERM and the closed connection
    "worker_unavailable", // the sim's lying workers
    "fault",              // a damaged store: disk.rs
    "queue_full",         // 10,000 items: rules/src/queue.rs
    "schedules_too_many", // engine/tests/schedule.rs
    "functions_too_many", // 1,000 functions: rules/tests/function.rs, as the two below
    "deployments_too_many",
    "executions_too_many",
];

#[test]
fn every_refusal_is_met_by_a_test() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = std::fs::read_dir(tests).expect("the tests").map(|entry| entry.expect("a file").path());
    let sources: String = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| std::fs::read_to_string(path).expect("a source"))
        .collect();
    let met = |code: &str| sources.contains(&format!("\"{code}\""));
    for Refusal { code, .. } in Refusal::ALL {
        assert!(met(code) || NOT_AT_WILL.contains(code), "no test meets `{code}`");
    }
}
