//! The same request gives the same bytes, in any instance, after anything.

mod common;

use common::*;
use rules::call::Call;
use rules::limits::Limits;

const MIXED: &str = "let leaked = 0;
    export const reducer = (state = {n: 0}, request) => ({
        n: state.n + 1, dice: [Math.random(), Math.random(), uuid()], now: Date.now(), date: new Date(),
        body: request.body, sorted: [5, 3, 9, 1].sort((a, b) => a - b), f: 0.1 + 0.2,
        keys: [...new Map([[3, 1], [1, 2]]).keys()], id: request.id })";

#[test]
fn the_same_request_gives_the_same_bytes_in_any_instance() {
    let once = || fold_once(MIXED, json_request(7, "{\"a\":[1.5,\"x\"]}")).result.unwrap();
    assert_eq!(once(), once());
}

#[test]
fn a_batch_gives_what_one_by_one_gives() {
    let requests: Vec<_> = (1..=5).map(|seq| json_request(seq, &format!("{{\"n\":{seq}}}"))).collect();
    let batch = folded(program(MIXED).call(fold_call(None, requests.clone()), Limits::default()).unwrap());
    let mut state = None;
    for (request, expected) in requests.into_iter().zip(batch) {
        let call = fold_call(state.as_deref(), vec![request]);
        let ran = folded(program(MIXED).call(call, Limits::default()).unwrap()).remove(0);
        assert_eq!(ran, expected);
        state = ran.result.ok().map(|json| json.to_string());
    }
}

#[test]
fn an_instance_restored_from_an_image_equals_the_one_it_was_taken_from() {
    let mut loaded = program(MIXED);
    let image = loaded.memory();
    let mut restored = bake::door::Door::open(&BAKED.engine, &BAKED.module, &image, NO_EPOCHS).unwrap();
    let call = || fold_call(None, vec![json_request(1, "{\"a\":1}"), json_request(2, "[]")]);
    let (here, there) =
        (loaded.call(call(), Limits::default()).unwrap(), restored.call(call(), Limits::default()).unwrap());
    assert_eq!(here, there);
    assert!(loaded.memory() == restored.memory());
    assert_eq!(loaded.ticks().unwrap(), restored.ticks().unwrap());
}

#[test]
fn the_dice_follow_the_request_and_the_clock_stands_still() {
    let dice = |seq| {
        fold_once("export const reducer = () => [Math.random(), uuid()]", json_request(seq, "{}")).result.unwrap()
    };
    assert_ne!(dice(1), dice(2));
    assert_eq!(dice(1), dice(1));
    assert_eq!(
        value_of(
            "(() => { const a = Date.now(); for (let i = 0; i < 1e5; i++); return [a, Date.now(), new Date().getTimezoneOffset()] })()"
        ),
        format!("[{NOON},{NOON},0]")
    );
    let uuid = value_of("uuid()");
    assert!(uuid.len() == 38 && uuid.as_bytes()[15] == b'4' && b"89ab".contains(&uuid.as_bytes()[20]), "{uuid}");
}

#[test]
fn what_would_show_time_memory_or_threads_is_absent() {
    let names = "['WeakRef', 'FinalizationRegistry', 'performance', 'Atomics', 'SharedArrayBuffer', 'setTimeout',
        'setInterval', 'setImmediate', 'fetch', 'process', 'require', 'WebAssembly', 'Deno', 'os', 'std', 'print', 'gc']";
    assert_eq!(value_of(&format!("{names}.filter((name) => name in globalThis)")), "[]");
}

#[test]
fn a_query_repeats_itself() {
    let ask = || query_once("export const query = () => [Math.random(), Date.now()]", None, "a=1").result.unwrap();
    assert_eq!(ask(), ask());
    let described = program("export const query = 1").call(Call::Describe, Limits::default()).unwrap();
    assert_eq!(described, program("export const query = 1").call(Call::Describe, Limits::default()).unwrap());
}
