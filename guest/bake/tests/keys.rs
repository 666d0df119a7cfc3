//! The keys of requests: what a program may return for one, and what becomes of it.

mod common;

use std::sync::Arc;

use common::*;
use rules::call::{Call, Foldable, Outcome, Ran, Stop};
use rules::limits::{IDEMPOTENCY_KEY_BYTES_MAX, Limits};

const OWN_ID: &str = "01900000-0000-7000-8000-000000000001";

fn keyed(source: &str, requests: Vec<Foldable>) -> Vec<Ran<String>> {
    let call = Call::Keys { requests, secrets: r#"{"salt":"s"}"#.into() };
    match program(source).call(call, Limits::default()).unwrap() {
        Outcome::Keyed(ran) => ran,
        other => panic!("not keyed: {other:?}"),
    }
}

fn one(seq: u64, body: &str) -> Foldable {
    Foldable { request: Arc::new(json_request(seq, body)), forced: None }
}

/// The key that an expression gives, or the name and words of its error.
fn key_of(expression: &str) -> Result<String, (String, String)> {
    let source = format!("export const getIdempotencyKey = (request, given) => ({expression});");
    let ran = keyed(&source, vec![one(1, r#"{"n":1}"#)]).remove(0);
    ran.result.map_err(|failure| (failure.error.name, failure.error.message))
}

#[test]
fn a_key_is_a_string_or_what_names_itself_as_one() {
    for (expression, key) in [
        ("'order-7'", "order-7"),
        ("''", ""),
        ("'é😀'", "é😀"),
        ("7", "7"),
        ("-0", "0"),
        ("1.5e300", "1.5e+300"),
        ("NaN", "NaN"),
        ("true", "true"),
        ("12345678901234567890n", "12345678901234567890"),
        ("request.body.n + given.salt + secrets.salt", "1ss"),
        ("Promise.resolve(request.id)", OWN_ID),
    ] {
        assert_eq!(key_of(expression).as_deref(), Ok(key), "{expression}");
    }
}

#[test]
fn a_request_without_a_key_has_its_own_id() {
    for expression in ["undefined", "null", "request.body.none", "(async () => {})()", "request.id"] {
        assert_eq!(key_of(expression).as_deref(), Ok(OWN_ID), "{expression}");
    }
    let ran = keyed("export const reducer = () => 1", vec![one(1, "{}")]).remove(0);
    assert_eq!(ran.result.as_deref(), Ok(OWN_ID));
}

#[test]
fn what_is_no_key_is_an_error() {
    for expression in ["{}", "[]", "Symbol('s')", "() => 1", "new String('a')", "new Date()", "'\\ud800'"] {
        assert_eq!(key_of(expression).unwrap_err().0, "TypeError", "{expression}");
    }
    let longest = format!("'k'.repeat({IDEMPOTENCY_KEY_BYTES_MAX})");
    assert!(key_of(&longest).is_ok());
    let message = "the key is 257 bytes, more than the 256 allowed";
    assert_eq!(key_of(&format!("{longest} + 1")), Err(("RangeError".into(), message.into())));
    assert_eq!(key_of("'é'.repeat(200)").unwrap_err().0, "RangeError");
    assert_eq!(key_of("request.nothing.there").unwrap_err().0, "TypeError");
}

#[test]
fn a_stop_ends_the_batch_and_a_forced_one_is_repeated_without_running() {
    let source = "export const getIdempotencyKey = (request) => {
        console.log(request.seq);
        if (request.seq === 2) throw new RangeError('two'); if (request.seq === 3) for (;;); return request.seq }";
    let ran = keyed(source, (1..=4).map(|seq| one(seq, "{}")).collect());
    let results: Vec<_> = ran.iter().map(|ran| ran.result.as_deref().map_err(|failure| failure.stop)).collect();
    assert_eq!(results, [Ok("1"), Err(None), Err(Some(Stop::Budget))]);
    assert_eq!(ran[1].result.clone().unwrap_err().error.place.map(|(line, _)| line), Some(3));
    assert_eq!(ran[1].console[0].messages, ["2"]);

    let mut requests: Vec<_> = (1..=4).map(|seq| one(seq, "{}")).collect();
    requests[2].forced = Some(Stop::Clock);
    let ran = keyed(source, requests);
    assert_eq!(ran[2].result.as_ref().unwrap_err().stop, Some(Stop::Clock));
    assert_eq!((ran[2].console.len(), ran[3].result.as_deref()), (0, Ok("4")));
}
