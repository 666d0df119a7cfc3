//! Loading: what a program exports, and how it fails.

mod common;

use common::*;
use rules::call::{Call, Described, Exports, Level, Outcome};
use rules::limits::Limits;

#[test]
fn exports_are_found_by_name() {
    let mut door =
        program("export function reducer() {} export const query = async () => 1; export const getIdempotencyKey = 5;");
    let exports = Exports { reducer: true, query: true, responder: false, idempotency_key: false };
    assert_eq!(
        door.call(Call::Describe, Limits::default()).unwrap(),
        Outcome::Described(Described { exports, actions: Vec::new() })
    );
}

#[test]
fn a_syntax_error_has_line_and_column() {
    let error = load_error("export const a = 1;\nexport const b = = 2;\n");
    assert_eq!((error.name.as_str(), error.place), ("SyntaxError", Some((2, 18))));
}

#[test]
fn a_program_that_throws_while_it_loads_says_where() {
    let error = load_error("const f = () => {\n  throw new RangeError('no')\n}\nf()\n");
    assert_eq!((error.name.as_str(), error.message.as_str()), ("RangeError", "no"));
    assert_eq!(error.place.map(|(line, _)| line), Some(2));
    assert!(error.stack.contains("hook.ts:2:"), "{}", error.stack);
    assert!(error.stack.contains("hook.ts:4:"), "{}", error.stack);
}

#[test]
fn a_top_level_await_is_pumped_and_one_that_never_settles_is_an_error() {
    program("const x = await Promise.resolve(1); export const reducer = () => x;");
    let error = load_error("await new Promise(() => {});");
    assert!(error.message.contains("never settles"), "{}", error.message);
}

#[test]
fn a_program_that_loops_while_it_loads_is_stopped() {
    assert_eq!(load_error("for (;;);").message, "interrupted: the call used up its operations");
}

#[test]
fn imports_are_refused() {
    let error = load_error("import fs from 'fs'; export const reducer = () => 1;");
    assert!(error.message.contains("fs"), "{error:?}");
}

#[test]
fn the_time_and_the_dice_stand_still_while_loading() {
    let source = "const t = Date.now(); const s = JSON.stringify(secrets); export const reducer = () => [t, s, Object.isFrozen(secrets)]";
    assert_eq!(&*fold_once(source, json_request(1, "{}")).result.unwrap(), r#"[0,"{}",true]"#);
}

#[test]
fn an_error_carries_the_authors_own_frames() {
    let failure = failure_of("\n  const f = () => { throw new TypeError('bad') };\n  f();");
    assert_eq!((failure.error.name.as_str(), failure.error.message.as_str()), ("TypeError", "bad"));
    assert_eq!(failure.error.place.map(|(line, _)| line), Some(2));
    let thrown_inside = failure_of("new URL('nonsense')");
    assert!(!thrown_inside.error.stack.contains("everfold:"), "{}", thrown_inside.error.stack);
    assert_eq!(thrown_inside.error.place.map(|(line, _)| line), Some(1));
}

#[test]
fn anything_can_be_thrown() {
    for (thrown, name, message) in [
        ("'text'", "Error", "text"),
        ("null", "Error", "null"),
        ("undefined", "Error", "undefined"),
        ("{code: 7}", "Error", "{\"code\":7}"),
        ("{name: 'Mine', message: 'm'}", "Mine", "m"),
        ("Object.defineProperty(new Error('x'), 'message', {get() { throw 1 }})", "Error", ""),
        ("new Proxy({}, {get() { throw 1 }, ownKeys() { throw 2 }})", "Error", "a value was thrown"),
    ] {
        let failure = failure_of(&format!("throw {thrown}"));
        assert_eq!((failure.error.name.as_str(), failure.error.message.as_str()), (name, message), "{thrown}");
    }
    let rejected =
        fold_once("export const reducer = async () => { await 0; throw new Error('late') }", json_request(1, "{}"));
    assert_eq!(rejected.result.unwrap_err().error.message, "late");
}

#[test]
fn the_console_keeps_levels_and_arguments_as_text() {
    let source = "export const reducer = () => {
        console.log('plain', 1, {a: [1, 'x', null], f() {}}, undefined);
        console.error(new Error('bad').message, new Map([[1, 2]]), -0, 5n);
        const o = {}; o.self = o; console.warn(o); console.trace(); console.debug(new Date(0)); console.info('é\\ud800');
        return 1 }";
    let lines = fold_once(source, json_request(1, "{}")).console;
    let shown: Vec<_> = lines.iter().map(|line| (line.level, line.messages.join(" | "))).collect();
    let expected = [
        (Level::Log, r#"plain | 1 | {"a":[1,"x",null],"f":[Function: f]} | undefined"#),
        (Level::Error, "bad | Map(1) {1 => 2} | -0 | 5n"),
        (Level::Warn, r#"{"self":[Circular]}"#),
        (Level::Trace, ""),
        (Level::Debug, "1970-01-01T00:00:00.000Z"),
        (Level::Info, "é\u{fffd}"),
    ];
    assert_eq!(shown, expected.map(|(level, text)| (level, text.to_owned())));
}

#[test]
fn a_console_line_of_an_error_has_its_stack() {
    let source = "export const reducer = () => { console.log(new TypeError('bad')); return 1 }";
    let text = fold_once(source, json_request(1, "{}")).console[0].messages[0].clone();
    assert!(text.starts_with("TypeError: bad\n    at reducer (hook.ts:1:"), "{text}");
}

#[test]
fn a_full_console_is_cut_and_marked() {
    let limits = Limits { console_bytes: 100, ..Limits::default() };
    let source = "export const reducer = () => { for (let i = 0; i < 1000; i++) console.log('0123456789é'); return 1 }";
    let lines = fold_within(source, json_request(1, "{}"), limits).console;
    assert_eq!(lines.last().unwrap().messages, ["The console is full; the rest of it is cut."]);
    let bytes: usize = lines.iter().flat_map(|line| &line.messages).map(String::len).sum();
    assert!(lines.len() < 10 && bytes < 160, "{lines:?}");
}

#[test]
fn a_run_that_fails_keeps_its_console() {
    let ran = fold_once("export const reducer = () => { console.log('here'); throw 1 }", json_request(1, "{}"));
    assert_eq!((ran.console.len(), ran.result.is_err()), (1, true));
}

#[test]
fn bytes_that_are_no_frame_are_answered() {
    for frame in [&b""[..], b"\xff\xff\xff\xff\xff\xff", b"hello"] {
        let answer = program("export const reducer = () => 1").raw_call(frame).unwrap();
        let outcome: Outcome = postcard::from_bytes(&answer).unwrap();
        assert_eq!(outcome, Outcome::Unavailable("The frame of a call does not decode.".into()));
    }
    let answer = door().call(Call::Describe, Limits::default()).unwrap();
    assert_eq!(answer, Outcome::Unavailable("No program was loaded.".into()));
}
