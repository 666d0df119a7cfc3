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

/// RFC 4231, cases 1 to 4 and 6; FIPS 180's of SHA-512.
#[test]
fn keyed_hashes_are_those_of_the_standard() {
    let cases = [
        (
            "new Uint8Array(20).fill(0x0b)",
            "'Hi There'",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
        ),
        (
            "'Jefe'",
            "'what do ya want for nothing?'",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
        (
            "new Uint8Array(20).fill(0xaa)",
            "new Uint8Array(50).fill(0xdd)",
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
        ),
        (
            "Uint8Array.from({ length: 25 }, (_, i) => i + 1)",
            "new Uint8Array(50).fill(0xcd)",
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd",
        ),
        (
            "new Uint8Array(131).fill(0xaa)",
            "'Test Using Larger Than Block-Size Key - Hash Key First'",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
        ),
    ];
    for (key, message, sha256, sha512) in cases {
        let hex = |hash: &str| value_of(&format!("toHex(hmac({hash}, {key}, {message}))"));
        assert_eq!((hex("'sha256'"), hex("sha512")), (format!("\"{sha256}\""), format!("\"{sha512}\"")), "{message}");
    }
    let empty = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
    let abc = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
    assert_eq!(value_of("[toHex(sha512('')), toHex(sha512('abc'))]"), format!(r#"["{empty}","{abc}"]"#));
    assert_eq!(
        value_of("[toHex('é'), toHex(new ArrayBuffer(2)), toHex(new Uint16Array([258])), toHex('')]"),
        r#"["c3a9","0000","0201",""]"#
    );
    assert_eq!(failure_of("return toHex(5)").error.name, "TypeError");
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
fn structured_clone_keeps_what_is_shared_and_refuses_what_cannot_be_copied() {
    assert_eq!(
        value_of("(() => { const one = {n: 1}; const bytes = new Uint8Array([1, 2, 3, 4]);
            const v = {a: one, b: one, all: bytes, part: bytes.subarray(1, 3), view: new DataView(bytes.buffer, 2), list: [1, , 3], when: new Date(NaN), boxed: Object(true)};
            const c = structuredClone(v); c.all[1] = 9;
            return [c.a === c.b, c.a !== one, [...c.part], c.view.getUint8(0), bytes[1], c.all.buffer === c.part.buffer, 1 in c.list, c.list.length, isNaN(c.when), typeof c.boxed] })()"),
        r#"[true,true,[9,3],3,2,true,false,3,true,"object"]"#
    );
    assert_eq!(
        value_of("(() => { const e = new TypeError('m', {cause: {n: 1}}); const c = structuredClone(e); class P { constructor() { this.x = 1 } get y() { return 2 } }
            const p = structuredClone(new P()); return [c instanceof TypeError, c.cause.n, c.stack === e.stack, p instanceof P, p.x, 'y' in p, structuredClone({__proto__: {z: 1}}).z === undefined] })()"),
        "[true,1,true,false,1,false,true]"
    );
    for value in ["Symbol('s')", "() => 1", "Promise.resolve(1)", "new WeakMap()", "[() => 1]"] {
        assert_eq!(failure_of(&format!("structuredClone({value})")).error.name, "DataCloneError", "{value}");
    }
}

#[test]
fn ids_are_random_in_form_and_repeat_with_their_request() {
    let ids = "Array.from({ length: 100 }, uuid)";
    let form = "/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/";
    assert_eq!(value_of(&format!("{ids}.every((id) => {form}.test(id))")), "true");
    assert_eq!(value_of(&format!("new Set({ids}).size")), "100");
    assert_eq!(value_of(ids), value_of(ids));
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
