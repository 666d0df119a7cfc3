//! What a program can call.

mod common;

use common::*;

#[test]
fn hashes_are_those_of_the_standards() {
    assert_eq!(
        value_of("toHex(sha256('abc'))"),
        r#""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#
    );
    assert_eq!(
        value_of("toHex(sha512(new Uint8Array([97, 98, 99]))).slice(0, 32)"),
        r#""ddaf35a193617abacc417349ae204131""#
    );
    // RFC 4231, case 2.
    let code = r#""5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843""#;
    for hash in ["'sha256'", "'SHA-256'", "sha256"] {
        assert_eq!(value_of(&format!("toHex(hmac({hash}, 'Jefe', 'what do ya want for nothing?'))")), code);
    }
    assert_eq!(value_of("sha256('') instanceof Uint8Array"), "true");
    assert_eq!(failure_of("return sha256(5)").error.name, "TypeError");
    assert_eq!(failure_of("return hmac('md5', 'a', 'b')").error.message, "hmac knows sha256 and sha512");
}

#[test]
fn urls_follow_the_standard() {
    assert_eq!(
        value_of(
            "(({href, origin, host, port, pathname, search, hash, username}) => [href, origin, host, port, pathname, search, hash, username])(new URL('../b?x=1#h', 'HTTP://u@Exämple.org:8080/a/c/'))"
        ),
        r##"["http://u@xn--exmple-cua.org:8080/a/b?x=1#h","http://xn--exmple-cua.org:8080","xn--exmple-cua.org:8080","8080","/a/b","?x=1","#h","u"]"##
    );
    assert_eq!(
        value_of(
            "(() => { const u = new URL('https://a.b/c'); u.searchParams.append('q', 'x y'); u.hash = 'z'; u.port = '99'; u.protocol = 'http'; u.pathname = '/ä'; return [u.href, u.searchParams.get('q'), `${u}`, JSON.stringify(u)] })()"
        ),
        r##"["http://a.b:99/%C3%A4?q=x+y#z","x y","http://a.b:99/%C3%A4?q=x+y#z","\"http://a.b:99/%C3%A4?q=x+y#z\""]"##
    );
    assert_eq!(
        value_of(
            "(() => { const u = new URL('https://a.b/?a=1'); const p = u.searchParams; u.search = '?b=2'; return [p.get('a'), p.get('b'), p === u.searchParams] })()"
        ),
        r#"[null,"2",true]"#
    );
    assert_eq!(value_of("[URL.canParse('x'), URL.canParse('a:b'), URL.parse('x')]"), "[false,true,null]");
    assert_eq!(failure_of("return new URL('x')").error.name, "TypeError");
}

#[test]
fn search_params_follow_the_standard() {
    assert_eq!(
        value_of(
            "(() => { const p = new URLSearchParams('?a=1&b=2&a=3&c=%F0%9F%98%80+'); p.set('a', '9'); p.append('z', ''); p.delete('b'); return [`${p}`, p.size, p.has('a', '9'), p.has('a', '1'), [...p.keys()], Object.fromEntries(p)] })()"
        ),
        r#"["a=9&c=%F0%9F%98%80+&z=",3,true,false,["a","c","z"],{"a":"9","c":"😀 ","z":""}]"#
    );
    assert_eq!(
        value_of("`${new URLSearchParams({b: 1, a: 2})}|${new URLSearchParams([['x', 'y']])}`"),
        r#""b=1&a=2|x=y""#
    );
    assert_eq!(
        value_of("(() => { const p = new URLSearchParams('b=1&a=2&b=0'); p.sort(); return `${p}` })()"),
        r#""a=2&b=1&b=0""#
    );
}

#[test]
fn text_is_encoded_and_decoded() {
    assert_eq!(value_of("[...new TextEncoder().encode('é\\ud800')]"), "[195,169,239,191,189]");
    assert_eq!(value_of("new TextDecoder().decode(new Uint8Array([239, 187, 191, 195, 169, 255]))"), "\"é\u{fffd}\"");
    assert_eq!(value_of("new TextDecoder('utf-16').decode(new Uint8Array([61, 216, 0, 222, 65, 0]))"), r#""😀A""#);
    assert_eq!(value_of("new TextDecoder('latin1').decode(new Uint8Array([0x80, 0xe9]))"), r#""€é""#);
    assert_eq!(
        value_of(
            "(() => { const d = new TextDecoder(); return d.decode(new Uint8Array([0xf0, 0x9f]), {stream: true}) + d.decode(new Uint8Array([0x98, 0x80]), {stream: true}) + d.decode() })()"
        ),
        r#""😀""#
    );
    assert_eq!(
        failure_of("return new TextDecoder('utf-8', {fatal: true}).decode(new Uint8Array([255]))").error.name,
        "TypeError"
    );
    assert_eq!(failure_of("return new TextDecoder('klingon')").error.name, "RangeError");
    assert_eq!(value_of("[atob('aGk='), btoa('hi')]"), r#"["hi","aGk="]"#);
}

#[test]
fn structured_clone_copies_what_json_cannot() {
    assert_eq!(
        value_of("(() => { const v = {d: new Date(0), m: new Map([[1, {x: 1}]]), s: new Set([1]), r: /a/gi, b: new Uint8Array([1, 2]), e: new RangeError('e'), n: NaN, u: undefined, big: 1n}; v.self = v;
            const c = structuredClone(v); return [c !== v, c.self === c, c.d.getTime(), c.m.get(1).x, c.m.get(1) !== v.m.get(1), c.s.has(1), `${c.r}`, [...c.b], c.e instanceof RangeError, c.e.message, Number.isNaN(c.n), 'u' in c, `${c.big}`] })()"),
        r#"[true,true,0,1,true,true,"/a/gi",[1,2],true,"e",true,true,"1"]"#
    );
    assert_eq!(failure_of("structuredClone({f() {}})").error.name, "DataCloneError");
}

#[test]
fn json_schema_tells_where_a_value_fails() {
    let schema =
        "{type: 'object', required: ['a'], properties: {a: {type: 'integer', minimum: 3}, m: {format: 'email'}}}";
    assert_eq!(value_of(&format!("validateJsonSchema({schema}, {{a: 3}})")), r#"{"valid":true,"errors":[]}"#);
    assert_eq!(
        value_of(&format!(
            "(({{valid, errors}}) => [valid, errors.map((e) => [e.instancePath, e.schemaPath, typeof e.message])])(validateJsonSchema({schema}, {{a: 1}}))"
        )),
        r#"[false,[["/a","/properties/a/minimum","string"]]]"#
    );
    assert_eq!(failure_of("return validateJsonSchema({type: 'nonsense'}, 1)").error.name, "TypeError");
    assert_eq!(value_of("validateJsonSchema({$ref: '#/$defs/x', $defs: {x: {const: 1}}}, 1).valid"), "true");
    assert_eq!(
        failure_of("return validateJsonSchema({$ref: 'https://example.org/s.json'}, 1)").error.name,
        "TypeError"
    );
}

#[test]
fn json_type_definitions_tell_where_a_value_fails() {
    let schema = "{properties: {name: {type: 'string'}, tags: {elements: {type: 'uint8'}}, at: {type: 'timestamp'}}}";
    assert_eq!(
        value_of(&format!(
            "validateJsonTypeDef({schema}, {{name: 'x', tags: [1, 300], at: '2020-01-01T00:00:00Z', more: 1}})"
        )),
        r#"{"valid":false,"errors":[{"instancePath":["tags","1"],"schemaPath":["properties","tags","elements","type"]},{"instancePath":["more"],"schemaPath":[]}]}"#
    );
    assert_eq!(
        value_of(&format!("validateJsonTypeDef({schema}, {{name: 'x', tags: [], at: '2020-01-01T00:00:00Z'}})")),
        r#"{"valid":true,"errors":[]}"#
    );
    assert_eq!(failure_of("return validateJsonTypeDef({type: 'nonsense'}, 1)").error.name, "TypeError");
    // A definition that refers to itself ends in an error, not in a trap.
    assert_eq!(
        failure_of("return validateJsonTypeDef({definitions: {a: {ref: 'a'}}, ref: 'a'}, 1)").error.name,
        "RangeError"
    );
}

#[test]
fn templates_can_be_declared() {
    assert_eq!(
        value_of("[template('t', () => 1) === undefined, input('a'), select('b', ['x'])]"),
        r#"[true,{"field":"input","name":"a"},{"field":"select","name":"b","options":["x"]}]"#
    );
}
