//! Runs small programs through the door, over the baked files.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod runs;

use std::sync::{Arc, LazyLock};

use bake::{compile, door::Door, wasm};
use rules::call::{Bytes, Call, Failure, Foldable, Json, Outcome, Ran, Request, Response};
use rules::limits::Limits;
use wasmtime::{Engine, Module};

pub struct Baked {
    pub engine: Engine,
    pub module: Module,
    pub image: Vec<u8>,
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(wasm::workspace().join("baked").join(name)).unwrap()
}

pub fn native_code() -> Vec<u8> {
    read("guest.x86_64.cwasm")
}

pub static BAKED: LazyLock<Baked> = LazyLock::new(|| {
    let engine = Engine::new(&compile::config().unwrap()).unwrap();
    // SAFETY: the file was made by `bake` beside it.
    let module = unsafe { Module::deserialize(&engine, native_code()).unwrap() };
    Baked { engine, module, image: read("guest.image") }
});

/// How often the epoch may advance in a test that does not mean to be stopped by it. Nothing advances it.
pub const NO_EPOCHS: u64 = 1;

/// 2023-11-14T22:13:20.000Z.
pub const NOON: u64 = 1_700_000_000_000;

pub fn door() -> Door {
    Door::open(&BAKED.engine, &BAKED.module, &BAKED.image, NO_EPOCHS).unwrap()
}

/// Runs on a stack that holds what wasmtime was promised.
pub fn on_a_deep_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(64 << 20).spawn(work).unwrap().join().unwrap()
}

pub fn program(source: &str) -> Door {
    let mut door = door();
    let loaded = door.load("hook.ts", source).unwrap();
    loaded.unwrap();
    door
}

pub fn load_error(source: &str) -> rules::call::Error {
    door().load("hook.ts", source).unwrap().unwrap_err()
}

pub fn request(seq: u64, headers: &[(&str, &str)], body: &[u8]) -> Request {
    Request {
        id: 0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(seq),
        seq,
        method: "POST".into(),
        path: "/write/key".into(),
        query: "a=1&b=two%20words&a=3".into(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), Bytes(value.as_bytes().to_vec()))).collect(),
        body: Bytes(body.to_vec()),
        created_at_ms: NOON,
    }
}

pub fn json_request(seq: u64, body: &str) -> Request {
    request(seq, &[("content-type", "application/json")], body.as_bytes())
}

pub fn fold_call(state: Option<&str>, requests: Vec<Request>) -> Call {
    let requests = requests.into_iter().map(|request| Foldable { request: Arc::new(request), forced: None }).collect();
    Call::Fold { state: state.map(Json::from), requests, secrets: "{}".into() }
}

pub fn folded(outcome: Outcome) -> Vec<Ran<Json>> {
    match outcome {
        Outcome::Folded(ran) => ran,
        other => panic!("not folded: {other:?}"),
    }
}

/// Folds one request into no state.
pub fn fold_once(source: &str, request: Request) -> Ran<Json> {
    fold_within(source, request, Limits::default())
}

pub fn fold_within(source: &str, request: Request, limits: Limits) -> Ran<Json> {
    let outcome = program(source).call(fold_call(None, vec![request]), limits).unwrap();
    folded(outcome).remove(0)
}

/// The state that a reducer's body makes of the usual request.
pub fn state_of(reducer_body: &str) -> String {
    let source = format!("export function reducer(state, request, secrets) {{ {reducer_body} }}");
    let ran = fold_once(&source, json_request(1, r#"{"n":1}"#));
    ran.result.unwrap_or_else(|failure| panic!("{reducer_body}: {failure:?}")).to_string()
}

pub fn failure_of(reducer_body: &str) -> Failure {
    let source = format!("export function reducer(state, request, secrets) {{ {reducer_body} }}");
    fold_once(&source, json_request(1, r#"{"n":1}"#)).result.unwrap_err()
}

/// What an expression is, for a request with this content type and body.
pub fn seen(expression: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
    let source = format!("export const reducer = (state, request) => ({expression});");
    let ran = fold_once(&source, request(1, headers, body));
    ran.result.unwrap_or_else(|failure| panic!("{expression}: {failure:?}")).to_string()
}

pub fn value_of(expression: &str) -> String {
    seen(expression, &[], b"")
}

pub fn query_once(source: &str, state: Option<&str>, params: &str) -> Ran<Response> {
    let call = Call::Query { state: state.map(Json::from), params: params.into(), secrets: "{}".into(), at_ms: NOON };
    match program(source).call(call, Limits::default()).unwrap() {
        Outcome::Queried(ran) => ran,
        other => panic!("not queried: {other:?}"),
    }
}

pub fn answer_once(source: &str, request: Request, secrets: &str) -> Ran<Response> {
    let call = Call::Answer { request: Arc::new(request), secrets: secrets.into() };
    match program(source).call(call, Limits::default()).unwrap() {
        Outcome::Answered(ran) => ran,
        other => panic!("not answered: {other:?}"),
    }
}

pub fn body_text(response: &Response) -> &str {
    std::str::from_utf8(&response.body.0).unwrap()
}
