//! The request as a program sees it.

mod common;

use common::*;

const JSON: &[(&str, &str)] = &[("content-type", "application/json; charset=utf-8")];
const FORM: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded")];

#[test]
fn a_request_shows_all_of_its_parts() {
    let headers = [("content-type", "application/json"), ("x-two", "a"), ("x-two", "b")];
    assert_eq!(
        seen("request", &headers, br#"{"n":1}"#),
        concat!(
            r#"{"id":"01900000-0000-7000-8000-000000000001","seq":1,"method":"POST","path":"/write/key","#,
            r#""headers":{"content-type":"application/json","x-two":"a, b"},"query":{},"#,
            r#""queryString":"a=1&b=two%20words&a=3","body":{"n":1},"rawBody":"{\"n\":1}","#,
            r#""contentType":"application/json","createdAt":"2023-11-14T22:13:20.000Z","#,
            r#""event":{"specversion":"1.0","id":"01900000-0000-7000-8000-000000000001","source":"/write/key","#,
            r#""type":"http.request.post","time":"2023-11-14T22:13:20.000Z","#,
            r#""datacontenttype":"application/json","data":{"n":1}}}"#
        )
    );
}

#[test]
fn lazy_parts_are_plain_properties_once_they_were_looked_at() {
    let seen = seen(
        "(request.body.n += 1, request.body.n += 1, [request.body.n, typeof Object.getOwnPropertyDescriptor(request, 'body').get,
          ({...request}).body.n, structuredClone(request.body).n, (request.body = 7), request.body])",
        JSON,
        br#"{"n":1}"#,
    );
    assert_eq!(seen, r#"[3,"undefined",3,3,7,7]"#);
}

#[test]
fn query_is_a_url_search_params() {
    assert_eq!(
        value_of(
            "[request.query instanceof URLSearchParams, request.query.getAll('a'), request.query.get('b'), request.query.get('c')]"
        ),
        r#"[true,["1","3"],"two words",null]"#
    );
}

#[test]
fn bodies_are_read_by_their_content_type() {
    assert_eq!(seen("request.body", JSON, b"[1,null,\"\xc3\xa9\"]"), "[1,null,\"é\"]");
    assert_eq!(seen("request.body", &[("content-type", "application/vnd.x+json")], b"{}"), "{}");
    assert_eq!(
        seen("request.body", FORM, b"a=1&b=x+y%21&a=2&__proto__=z"),
        r#"{"a":["1","2"],"b":"x y!","__proto__":"z"}"#
    );
    assert_eq!(seen("request.body", &[("content-type", "text/plain")], b"hello"), r#""hello""#);
    assert_eq!(seen("request.body", &[], b"hello"), r#""hello""#);
    assert_eq!(seen("[request.body, request.rawBody]", JSON, b""), r#"[null,""]"#);
    assert_eq!(
        seen("[request.body, request.rawBody]", &[("content-type", "image/png")], b"\x89PNG"),
        r#"[{"type":"image/png","size":4,"base64":"iVBORw=="},"�PNG"]"#
    );
}

#[test]
fn a_body_that_claims_to_be_json_and_is_not_is_text_with_a_body_error() {
    let seen_parts = seen("[request.body, typeof request.bodyError, request.bodyError !== '']", JSON, b"{oops");
    assert_eq!(seen_parts, r#"["{oops","string",true]"#);
    assert_eq!(seen("[typeof request.bodyError, request.body]", JSON, b"{oops"), r#"["string","{oops"]"#);
    assert_eq!(seen("[request.bodyError === undefined, 'bodyError' in request]", JSON, b"{}"), "[true,false]");
    assert_eq!(seen("JSON.stringify({...request}).includes('bodyError')", JSON, b"{}"), "false");
    assert_eq!(seen("typeof ({...request}).bodyError", JSON, b"{oops"), r#""string""#);
    assert_eq!(seen("'bodyError' in request", &[], b"{oops"), "false");
}

#[test]
fn multipart_gives_fields_and_files() {
    let body = b"--X\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\none\r\n\
        --X\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\ntwo\r\n\
        --X\r\ncontent-disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\ncontent-type: text/plain\r\n\r\nhi\r\n--X--\r\n";
    assert_eq!(
        seen("request.body", &[("content-type", "multipart/form-data; boundary=X")], body),
        r#"{"a":["one","two"],"f":{"name":"f.txt","type":"text/plain","size":2,"base64":"aGk="}}"#
    );
    assert_eq!(seen("request.body", &[("content-type", "multipart/form-data")], b"no boundary"), r#""no boundary""#);
}

#[test]
fn cloud_events_are_read_in_both_http_modes() {
    let binary = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "7"),
        ("ce-source", "/a%20b"),
        ("ce-type", "t"),
    ];
    assert_eq!(
        seen("request.event", &binary, b"{\"x\":1}"),
        r#"{"specversion":"1.0","id":"7","source":"/a b","type":"t","datacontenttype":"application/json","data":{"x":1}}"#
    );
    let structured = [("content-type", "application/cloudevents+json; charset=utf-8")];
    let event = r#"{"specversion":"1.0","id":"7","source":"/s","type":"t","data":[1]}"#;
    assert_eq!(seen("request.event", &structured, event.as_bytes()), event);
}
