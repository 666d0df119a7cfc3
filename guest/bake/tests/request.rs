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
    // Bytes that are no text are no JSON either.
    let seen_parts = seen("[request.body, request.bodyError]", JSON, b"\"\xff\"");
    assert_eq!(seen_parts, "[\"\\\"\u{fffd}\\\"\",\"the body is not UTF-8\"]");
}

#[test]
fn a_form_is_read_as_browsers_write_it() {
    assert_eq!(
        seen("request.body", FORM, b"name=J%C3%B6rg+M.&tags=a&tags=b&tags=c&empty=&flag&x%5By%5D=1&=nameless"),
        r#"{"name":"Jörg M.","tags":["a","b","c"],"empty":"","flag":"","x[y]":"1","":"nameless"}"#
    );
    assert_eq!(seen("request.body", FORM, b"a=%ff&b=\xff"), "{\"a\":\"\u{fffd}\",\"b\":\"\u{fffd}\"}");
    let charset = [("content-type", "Application/X-WWW-Form-URLEncoded; charset=UTF-8")];
    assert_eq!(
        seen("request.body", &charset, b"constructor=1&hasOwnProperty=2"),
        r#"{"constructor":"1","hasOwnProperty":"2"}"#
    );
}

#[test]
fn headers_may_have_any_name() {
    let headers = [("constructor", "a"), ("__proto__", "b"), ("__proto__", "c"), ("valueof", "d")];
    assert_eq!(
        seen(
            "[request.headers, request.headers.constructor, request.headers.hasOwnProperty('valueof')]",
            &headers,
            b""
        ),
        r#"[{"constructor":"a","__proto__":"b, c","valueof":"d"},"a",true]"#
    );
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
fn multipart_is_read_as_browsers_write_it() {
    let body = b"preamble\r\n--a b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\n\xc3\xa9\r\n--not it\r\n\
        --a b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\xc3\xa9.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n\xff\r\n\
        --a b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n\
        --a b\r\nContent-Disposition: form-data; name=\"__proto__\"\r\n\r\nx\r\n--a b--\r\nepilogue";
    assert_eq!(
        seen("request.body", &[("content-type", "Multipart/Form-Data; charset=utf-8; boundary=\"a b\"")], body),
        concat!(
            r#"{"text":"é\r\n--not it","f":[{"name":"é.png","type":"image/png","size":7,"base64":"iVBORw0K/w=="},"#,
            r#"{"name":"","type":"application/octet-stream","size":0,"base64":""}],"__proto__":"x"}"#
        )
    );
    let cut = b"--X\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\none";
    let kind = [("content-type", "multipart/form-data; boundary=X")];
    assert_eq!(seen("[typeof request.body, 'bodyError' in request]", &kind, cut), r#"["string",false]"#);
}

#[test]
fn text_is_text_and_other_bytes_are_a_file() {
    for kind in ["text/plain; charset=utf-8", "text/html", "application/xml", "image/svg+xml", "nonsense", ""] {
        assert_eq!(seen("request.body", &[("content-type", kind)], "<é>".as_bytes()), r#""<é>""#, "{kind}");
    }
    assert_eq!(
        seen("[request.body, atob(request.body.base64).charCodeAt(0)]", &[], b"\xff\x00"),
        r#"[{"type":"application/octet-stream","size":2,"base64":"/wA="},255]"#
    );
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

/// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
#[test]
fn cloud_events_are_read_as_their_http_binding_says() {
    let attributes = [("ce-specversion", "1.0"), ("ce-id", "7"), ("ce-source", "/s"), ("ce-type", "t")];
    let with = |more: &[(&'static str, &'static str)]| [&attributes[..], more].concat();
    // Values are unquoted, then decoded once; extensions are attributes like others.
    let subject = with(&[
        ("ce-subject", "\"Euro \\\"%E2%82%AC%20%F0%9F%98%80\\\"\""),
        ("ce-traceparent", "00-%2541"),
        ("ce-odd", "\""),
    ]);
    assert_eq!(
        seen("[request.event.subject, request.event.traceparent, request.event.odd]", &subject, b""),
        r#"["Euro \"€ 😀\"","00-%41","\""]"#
    );
    // No body, no data; a text is data as it stands; bytes are what a body of bytes is.
    assert_eq!(seen("'data' in request.event", &attributes, b""), "false");
    assert_eq!(seen("request.event.data", &with(&[("content-type", "text/plain")]), b"hi"), r#""hi""#);
    assert_eq!(seen("request.event.data.base64", &with(&[("content-type", "image/png")]), b"\xff"), r#""/w==""#);
    // The structured mode wins, with its own attributes only.
    let both = with(&[("content-type", "Application/CloudEvents+JSON")]);
    assert_eq!(
        seen("request.event", &both, br#"{"id":"8","data_base64":"/w=="}"#),
        r#"{"id":"8","data_base64":"/w=="}"#
    );
    // What claims to be an event and is none is still a request.
    let broken = [("content-type", "application/cloudevents+json")];
    assert_eq!(seen("[request.event.type, request.event.data]", &broken, b"{oops"), r#"["http.request.post","{oops"]"#);
    // And so is a batch, whose events are its data.
    let batch = [("content-type", "application/cloudevents-batch+json")];
    assert_eq!(seen("[request.event.type, request.event.data]", &batch, b"[{}]"), r#"["http.request.post",[{}]]"#);
}
