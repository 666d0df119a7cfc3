//! What a reducer's result becomes, and what it may not be.

mod common;

use common::*;
use rules::limits::Limits;

#[test]
fn state_is_what_json_stringify_reads() {
    assert_eq!(
        state_of("return {b: 1, a: undefined, d: new Date(), z: -0, n: null, t: 'x'}"),
        r#"{"b":1,"d":"2023-11-14T22:13:20.000Z","z":0,"n":null,"t":"x"}"#
    );
    assert_eq!(state_of("return [undefined, true, {}]"), "[null,true,{}]");
    assert_eq!(state_of("return null"), "null");
    assert_eq!(state_of("return '\\ud800'"), r#""\ud800""#);
    assert_eq!(state_of("return {toJSON() { return {kept: 1} }}"), r#"{"kept":1}"#);
}

#[test]
fn what_json_cannot_hold_is_a_type_error_that_names_the_place() {
    for (body, message) in [
        ("return {total: NaN}", "the state holds NaN at `total`, which JSON cannot hold"),
        ("return {a: {b: [1, Infinity]}}", "the state holds Infinity at `a.b[1]`, which JSON cannot hold"),
        ("return {a: {'x y': () => 1}}", "the state holds a function at `a[\"x y\"]`, which JSON cannot hold"),
        ("return {s: Symbol('s')}", "the state holds a symbol at `s`, which JSON cannot hold"),
        ("return {n: 10n}", "the state holds a BigInt at `n`, which JSON cannot hold"),
        ("return {m: new Map()}", "the state holds a Map at `m`, which JSON cannot hold"),
        ("return [new Set()]", "the state holds a Set at `[0]`, which JSON cannot hold"),
        (
            "const s = {deep: {}}; s.deep.up = s; return s",
            "the state holds a cycle at `deep.up`, which JSON cannot hold",
        ),
        ("return () => 1", "the state is a function, which JSON cannot hold"),
        ("return -Infinity", "the state is -Infinity, which JSON cannot hold"),
        ("return undefined", "the reducer returned undefined; it must return the next state"),
    ] {
        let failure = failure_of(body);
        assert_eq!((failure.error.name.as_str(), failure.error.message.as_str()), ("TypeError", message), "{body}");
        assert_eq!(failure.stop, None);
    }
}

#[test]
fn patched_globals_do_not_change_what_a_state_may_hold() {
    let body = "JSON.stringify = () => '1'; Array.prototype.push = null; Number.isFinite = () => true;
        globalThis.Map = class {}; return {a: {b: NaN}}";
    assert_eq!(failure_of(body).error.message, "the state holds NaN at `a.b`, which JSON cannot hold");
}

#[test]
fn the_first_call_gets_undefined_and_the_next_what_was_returned() {
    let source =
        "export const reducer = (state, request) => ({was: state === undefined ? 'undefined' : state, n: request.seq})";
    let call = fold_call(None, vec![json_request(1, "{}"), json_request(2, "{}")]);
    let ran = folded(program(source).call(call, Limits::default()).unwrap());
    assert_eq!(&*ran[0].result.clone().unwrap(), r#"{"was":"undefined","n":1}"#);
    assert_eq!(&*ran[1].result.clone().unwrap(), r#"{"was":{"was":"undefined","n":1},"n":2}"#);
}

#[test]
fn a_reducer_that_throws_leaves_the_state_to_the_next_request() {
    let source = "export const reducer = (state = {n: 0}, request) => {
        state.n += 1; if (request.seq === 2) throw new Error('no'); return state }";
    let call = fold_call(None, (1..=3).map(|seq| json_request(seq, "{}")).collect());
    let ran = folded(program(source).call(call, Limits::default()).unwrap());
    assert_eq!(ran[1].result.clone().unwrap_err().error.message, "no");
    assert_eq!(&*ran[2].result.clone().unwrap(), r#"{"n":2}"#);
}

#[test]
fn a_state_larger_or_deeper_than_allowed_is_an_error() {
    let limits = Limits { state_bytes: 100, ..Limits::default() };
    let ran = fold_within("export const reducer = () => 'x'.repeat(99)", json_request(1, "{}"), limits);
    assert_eq!(ran.result.unwrap_err().error.message, "the state is 101 bytes of JSON, more than the 100 allowed");
    let deep = failure_of("let s = 0; for (let i = 0; i < 129; i++) s = [s]; return s");
    assert_eq!(deep.error.message, "the state nests deeper than 128");
    assert_eq!(state_of("let s = 0; for (let i = 0; i < 128; i++) s = ['[[']; return 1"), "1");
}

#[test]
fn an_async_reducer_is_awaited() {
    let source = "const later = async (x) => { await null; return x };
        export async function reducer(state, request) { const a = await later(1); return {a, b: await later(2)} }";
    assert_eq!(&*fold_once(source, json_request(1, "{}")).result.unwrap(), r#"{"a":1,"b":2}"#);
}

#[test]
fn a_promise_that_can_never_settle_is_an_error() {
    let failure = failure_of("return new Promise(() => {})");
    assert_eq!(failure.error.name, "Error");
    assert_eq!(
        failure.error.message,
        "reducer returned a promise that never settles: there are no timers and no network in a hook"
    );
}

#[test]
fn without_a_reducer_the_state_stays_null() {
    assert_eq!(&*fold_once("export const query = () => 1", json_request(1, "{}")).result.unwrap(), "null");
}
