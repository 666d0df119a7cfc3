//! What a responder and a query return.

mod common;

use common::*;

fn content_type(response: &rules::call::Response) -> Option<&str> {
    response.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.as_str())
}

fn query(expression: &str) -> rules::call::Response {
    let source = format!("export const query = (state, params, secrets) => ({expression});");
    query_once(&source, Some(r#"{"n":1}"#), "a=1").result.unwrap_or_else(|failure| panic!("{expression}: {failure:?}"))
}

fn refused(expression: &str) -> rules::call::Error {
    let source = format!("export const query = () => ({expression});");
    query_once(&source, None, "").result.unwrap_err().error
}

#[test]
fn a_bare_value_is_sent_as_json() {
    for (expression, body) in [
        ("state", r#"{"n":1}"#),
        ("'text'", r#""text""#),
        ("params.get('a')", r#""1""#),
        ("null", "null"),
        ("undefined", "null"),
        ("[1]", "[1]"),
        ("({title: 't', body: 'b'})", r#"{"title":"t","body":"b"}"#),
        ("({})", "{}"),
    ] {
        let response = query(expression);
        assert_eq!((response.status, body_text(&response)), (200, body), "{expression}");
        assert_eq!(content_type(&response), Some("application/json"));
    }
}

#[test]
fn status_body_and_headers_are_recognised() {
    let response = query("({statusCode: 201, body: {a: 1}, headers: {'X-One': 1, 'Set-Cookie': ['a', 'b']}})");
    assert_eq!((response.status, body_text(&response)), (201, r#"{"a":1}"#));
    let names: Vec<_> = response.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(names, ["content-type: application/json", "x-one: 1", "set-cookie: a", "set-cookie: b"]);

    let text = query("({body: 'text'})");
    assert_eq!((text.status, body_text(&text), content_type(&text)), (200, "text", Some("text/plain; charset=utf-8")));
    let html = query("({body: '<p>', headers: {'Content-Type': 'text/html'}})");
    assert_eq!(content_type(&html), Some("text/html"));
    let empty = query("({statusCode: 204})");
    assert_eq!((empty.status, body_text(&empty), empty.headers.len()), (204, "", 0));
    let octets = query("({body: new Uint8Array([1, 2])})");
    assert_eq!((octets.body.0.as_slice(), content_type(&octets)), (&[1u8, 2][..], Some("application/octet-stream")));
}

#[test]
fn what_is_no_response_is_an_error() {
    assert_eq!(refused("({statusCode: 99})").message, "statusCode is 99; it must be 200 to 599");
    assert_eq!(refused("({statusCode: 200.5})").name, "RangeError");
    assert_eq!(refused("({statusCode: 200, headers: {'a b': 'c'}})").message, "`a b` is no name for a header");
    assert_eq!(
        refused("({statusCode: 200, headers: {a: 'b\\r\\nc: d'}})").message,
        "the header `a` holds a control character"
    );
    assert_eq!(refused("'x'.repeat(1 << 20)").message, "the response is 1048578 bytes, more than the 1048576 allowed");
}

#[test]
fn without_a_query_the_whole_state_is_given() {
    let response = query_once("export const reducer = () => 1", Some("{\"n\":1}"), "").result.unwrap();
    assert_eq!(body_text(&response), "{\"n\":1}");
    let response = query_once("export const reducer = () => 1", None, "").result.unwrap();
    assert_eq!(body_text(&response), "null");
}

#[test]
fn a_responder_is_given_request_and_secrets_and_is_awaited() {
    let source = "export async function responder(request, given) {
        await null;
        return {statusCode: 200, body: [request.body.n, given.key, secrets.key, Object.isFrozen(secrets), secrets === given]} }";
    let ran = answer_once(source, json_request(0, r#"{"n":5}"#), r#"{"key":"k"}"#);
    assert_eq!(body_text(&ran.result.unwrap()), r#"[5,"k","k",true,true]"#);
}
