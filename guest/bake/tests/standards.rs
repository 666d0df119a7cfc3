//! What a program can validate with, against the official test suites of the standards.

mod common;

use bake::door::Door;
use common::*;
use rules::limits::Limits;
use serde_json::{Value, json};

fn cases(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// What the function says of schema and value, or the name of what it throws.
fn verdict(door: &mut Door, schema: &Value, value: &Value) -> Result<Value, String> {
    let body = json!({ "schema": schema, "value": value }).to_string();
    let ran = folded(door.call(fold_call(None, vec![json_request(1, &body)]), Limits::default()).unwrap()).remove(0);
    match ran.result {
        Ok(state) => Ok(serde_json::from_str(&state).unwrap()),
        Err(failure) => Err(failure.error.name),
    }
}

fn validator(function: &str) -> Door {
    program(&format!("export const reducer = (state, {{ body }}) => {function}(body.schema, body.value);"))
}

/// Where the suite keeps schemas on a server. Nothing is ever loaded from anywhere, so what refers to one is refused.
const SERVER: &str = "http://localhost:1234/";

#[test]
fn json_schema_keeps_the_required_tests_of_its_draft() {
    let mut door = validator("validateJsonSchema");
    let (mut kept, mut refused) = (0, 0);
    for group in cases(include_str!("vectors/json-schema-2020-12.ndjson")) {
        for test in group["tests"].as_array().unwrap() {
            let name = format!("{}: {}: {}", group["file"], group["description"], test["description"]);
            match verdict(&mut door, &group["schema"], &test["data"]) {
                Ok(seen) => {
                    assert_eq!(seen["valid"], test["valid"], "{name}");
                    kept += 1;
                }
                Err(error) => {
                    assert_eq!((&*error, group["schema"].to_string().contains(SERVER)), ("TypeError", true), "{name}");
                    refused += 1;
                }
            }
        }
    }
    assert_eq!((kept, refused), (1208, 49));
}

#[test]
fn json_type_definitions_keep_all_tests_of_rfc_8927() {
    let mut door = validator("validateJsonTypeDef");
    let in_any_order = |errors: &Value| {
        let mut errors: Vec<String> = errors.as_array().unwrap().iter().map(Value::to_string).collect();
        errors.sort();
        errors
    };
    let mut all = 0;
    for case in cases(include_str!("vectors/json-typedef-validation.ndjson")) {
        all += 1;
        let seen =
            verdict(&mut door, &case["schema"], &case["instance"]).unwrap_or_else(|name| panic!("{case}: {name}"));
        assert_eq!(in_any_order(&seen["errors"]), in_any_order(&case["errors"]), "{case}");
        assert_eq!(seen["valid"], Value::from(case["errors"].as_array().unwrap().is_empty()), "{case}");
    }
    assert_eq!(all, 316);
}

#[test]
fn what_rfc_8927_calls_no_schema_is_a_type_error() {
    let mut door = validator("validateJsonTypeDef");
    let mut all = 0;
    for case in cases(include_str!("vectors/json-typedef-invalid-schemas.ndjson")) {
        all += 1;
        assert_eq!(verdict(&mut door, &case["schema"], &Value::Null), Err("TypeError".into()), "{case}");
    }
    assert_eq!(all, 49);
}
