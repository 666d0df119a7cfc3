//! Writes inputs to begin with, such as the server and its tests make: `cargo run --example seeds`, inside `fuzz/`.

use std::{fs, path::Path, sync::Arc};

use everfold_fuzz::{
    frame::{self, ToChild, ToParent},
    jail::Layer,
};
use rules::{
    access::{Door, KeyKind},
    call::{Bytes, Call, Described, Error, Exports, Failure, Foldable, Outcome, Program, Ran, Request, Response, Stop},
    hook::{Edit, Entry, Verdict},
    limits::Limits,
    record::{At, LaneId, Seq},
    row,
};

fn main() {
    let put = |target: &str, name: &str, bytes: Vec<u8>| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), bytes).expect("a seed can be written");
    };
    for (name, bytes) in connections() {
        put("request", name, bytes);
    }
    for (number, bytes) in records().into_iter().enumerate() {
        put("record", &format!("seed-{number}"), bytes);
    }
    for (number, bytes) in frames().into_iter().enumerate() {
        put("frame", &format!("seed-{number}"), bytes);
    }
    for (name, bytes) in sockets() {
        put("socket", name, bytes);
    }
}

fn connections() -> Vec<(&'static str, Vec<u8>)> {
    let post = |head: &str, body: &str| {
        format!("POST /write/k?a=1&b=%20 HTTP/1.1\r\nhost: e\r\n{head}\r\n{body}").into_bytes()
    };
    vec![
        ("json", post("content-type: application/json\r\ncontent-length: 13\r\n", r#"{"a":[1,{}]}"#)),
        (
            "twice",
            [post("content-length: 2\r\n", "ab"), post("content-length: 2\r\nconnection: close\r\n", "cd")].concat(),
        ),
        ("chunked", post("transfer-encoding: chunked\r\n", "3\r\nabc\r\n1;x=y\r\nd\r\n0\r\ntrailer: 1\r\n\r\n")),
        ("key", post("idempotency-key: 7f\r\ncontent-type: text/plain\r\ncontent-length: 1\r\n", "x")),
        ("expects", post("expect: 100-continue\r\ncontent-length: 3\r\n", "abc")),
        ("two lengths", post("content-length: 5\r\ncontent-length: 6\r\n", "hello")),
        ("negative", post("content-length: -1\r\n", "")),
        ("promised", post("content-length: 99999999999\r\n", "")),
        ("bad chunk", post("transfer-encoding: chunked\r\n", "zz\r\n")),
        ("deep", post("content-type: a/b+json\r\ncontent-length: 8\r\n", "[[[[\"[\\\"")),
        ("get", b"GET /read/k?at=1 HTTP/1.0\r\n\r\n".to_vec()),
        ("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
    ]
}

fn request() -> Arc<Request> {
    Arc::new(Request {
        id: 0x0190_0000_0000_7000_8000_0000_0000_0001,
        seq: 7,
        method: "POST".into(),
        path: "/write/key".into(),
        query: "a=1".into(),
        headers: vec![("content-type".into(), Bytes(b"application/json".to_vec()))],
        body: Bytes(br#"{"amount":12,"currency":"EUR"}"#.to_vec()),
        created_at_ms: 1_780_000_000_000,
    })
}

fn error() -> Error {
    Error {
        name: "TypeError".into(),
        message: "x is undefined".into(),
        stack: "at reducer (:3:5)".into(),
        place: Some((3, 5)),
    }
}

fn records() -> Vec<Vec<u8>> {
    let (at, seq) = (At(1_780_000_000_000), Seq(7));
    let source: Arc<str> = "export const reducer = n => (n ?? 0) + 1;".into();
    let exports = Exports::default();
    let entries = [
        Entry::Arrived { request: request(), verdict: Verdict::Kept, at },
        Entry::Arrived { request: request(), verdict: Verdict::Failed(error()), at },
        Entry::Created { owner: LaneId(9), name: "calm-otter".into(), draft: source.clone(), at },
        Entry::Edited { edit: Edit { name: Some("b".into()), paused: Some(true), ..Edit::default() }, at },
        Entry::KeyMade { key: "0f".repeat(16), kind: KeyKind::Write, at },
        Entry::KeyPaused { key: "0f".repeat(16), paused: true, at },
        Entry::KeyRevoked { key: "0f".repeat(16), at },
        Entry::Publishing { version: 2, source: source.clone(), exports, at },
        Entry::Published { version: 2, through: seq, at },
        Entry::Stopped { version: 2, seq, stop: Stop::Clock, at },
        Entry::Given { owner: LaneId(10), at },
    ];
    let rows = [
        row::encode(&row::Head { through: seq, state: Some(r#"{"n":7}"#.into()) }),
        row::encode(&row::Source { source, exports }),
        row::encode(&row::Fate { error: Some(error()), stop: Some(Stop::Memory), console: vec![] }),
        row::encode(&Door { hook: LaneId(3), kind: KeyKind::Read, paused: false }),
    ];
    entries.iter().map(row::encode).chain(rows).collect()
}

fn frames() -> Vec<Vec<u8>> {
    let program = Program::new("export const reducer = n => n;");
    let id = program.id;
    let ask = |call| ToChild::Ask { id: 1, program: id, call, limits: Limits::default() };
    let foldable = Foldable { request: request(), forced: Some(Stop::Clock) };
    let questions = [
        ToChild::Know { program },
        ask(Call::Describe),
        ask(Call::Answer { request: request(), secrets: "{}".into() }),
        ask(Call::Fold { state: Some("1".into()), requests: vec![foldable.clone()], secrets: "{}".into() }),
        ask(Call::Query { state: None, params: "a=1".into(), secrets: "{}".into(), at_ms: 1 }),
        ask(Call::Keys { requests: vec![foldable], secrets: "{}".into() }),
        ask(Call::Templates { state: Some("1".into()), secrets: "{}".into() }),
    ];
    let answer = |outcome| ToParent::Answer { id: 1, outcome, resident_bytes: 1 << 20 };
    let response = Response { status: 200, headers: vec![("a".into(), "b".into())], body: Bytes(b"ok".to_vec()) };
    let failure = Failure { error: error(), stop: Some(Stop::Budget) };
    let folded =
        vec![Ran { result: Ok("{\"n\":1}".into()), console: vec![] }, Ran { result: Err(failure), console: vec![] }];
    let answers = [
        ToParent::Hello { layers: vec![Layer { name: "landlock".into(), holds: true, detail: String::new() }] },
        ToParent::Failed { why: "no memory".into() },
        ToParent::Unknown { id: 3 },
        answer(Outcome::Described(Described::default())),
        answer(Outcome::Answered(Ran { result: Ok(response), console: vec![] })),
        answer(Outcome::Folded(folded)),
        answer(Outcome::Unrunnable(error())),
        answer(Outcome::Keyed(vec![Ran { result: Ok("k".into()), console: vec![] }])),
        answer(Outcome::Templated(Ran { result: Ok("[]".into()), console: vec![] })),
    ];
    let questions = questions.iter().map(|question| frame::encode(question).expect("a frame"));
    questions.chain(answers.iter().map(|answer| frame::encode(answer).expect("a frame"))).collect()
}

/// Frames of a client, masked with zeros.
fn sockets() -> Vec<(&'static str, Vec<u8>)> {
    let frame = |first: u8, payload: &[u8]| [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat();
    vec![
        ("pong", frame(0x81, b"pong")),
        ("fragments", [frame(0x01, b"po"), frame(0x89, b"!"), frame(0x80, b"ng")].concat()),
        ("close", frame(0x88, &[0x03, 0xe8, b'b', b'y', b'e'])),
        ("binary", frame(0x82, &[0, 255, 7])),
        ("not utf-8", frame(0x81, &[0xff, 0xfe])),
        ("unmasked", vec![0x81, 0x04, b'p', b'o', b'n', b'g']),
        ("long", [&[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4][..], &[0; 32]].concat()),
        ("medium", [&[0x81, 0xfe, 0x10, 0x01, 0, 0, 0, 0][..], &[b'a'; 4097]].concat()),
        ("reserved", frame(0xf3, b"x")),
    ]
}
