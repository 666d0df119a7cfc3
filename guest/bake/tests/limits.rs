//! What stops a run, and that it is the same every time.

mod common;

use std::{sync::Arc, time::Duration};

use bake::{compile, door::Door};
use common::*;
use rules::call::{Call, Foldable, Outcome, Stop};
use rules::limits::Limits;
use wasmtime::{Engine, Module};

fn stop_of(body: &str) -> Option<Stop> {
    let body = body.to_owned();
    on_a_deep_stack(move || failure_of(&body).stop)
}

#[test]
fn a_loop_uses_up_its_budget_whatever_it_catches() {
    for body in [
        "for (;;);",
        "for (;;) { try { for (;;); } catch {} finally { } }",
        "const again = () => { Promise.resolve().then(again) }; again(); return 1",
        "(async () => { for (;;) { try { await null } catch {} } })(); return 1",
        "return /^(a+)+$/.test('a'.repeat(40) + 'b')",
        "const f = async () => { try { for (;;); } catch { return f() } }; return f()",
    ] {
        assert_eq!(stop_of(body), Some(Stop::Budget), "{body}");
    }
}

#[test]
fn the_budget_ends_at_the_same_operation_with_or_without_a_request_before() {
    let source = "export const reducer = (state, request) => {
        let n = 0; const limit = request.body.n; while (n < limit) { n++ } return n }";
    let limits = Limits { budget_ticks: 3, ..Limits::default() };
    let passes = |n: u64, warm: u64| {
        let requests = vec![json_request(1, &format!("{{\"n\":{warm}}}")), json_request(2, &format!("{{\"n\":{n}}}"))];
        let mut door = program(source);
        let ran = folded(door.call(fold_call(None, requests), limits).unwrap());
        ran[1].result.is_ok()
    };
    let alone = |n: u64| {
        let mut door = program(source);
        folded(door.call(fold_call(None, vec![json_request(2, &format!("{{\"n\":{n}}}"))]), limits).unwrap())[0]
            .result
            .is_ok()
    };
    let (mut passing, mut failing) = (0u64, 1_000_000u64);
    while failing - passing > 1 {
        let middle = (passing + failing) / 2;
        if alone(middle) { passing = middle } else { failing = middle }
    }
    for warm in [0, 1, 17, 5_000, 12_345] {
        assert!(passes(passing, warm) && !passes(failing, warm), "{passing} after {warm}");
    }
}

#[test]
fn a_memory_bomb_is_stopped_even_if_it_is_caught() {
    for body in [
        "const all = []; for (;;) { try { all.push(new Uint8Array(1 << 20)) } catch { return 1 } }",
        "const all = []; for (;;) { try { all.push({a: 1, b: [1, 2, 3]}) } catch { } }",
        "let s = 'x'; try { for (;;) s = s + s + '!'; } catch { } const all = []; try { for (;;) all.push('y'.repeat(1e6) + all.length) } catch { return 'fine' }",
        "try { new Uint8Array(65 << 20) } catch { } return 1",
    ] {
        assert_eq!(stop_of(body), Some(Stop::Memory), "{body}");
    }
}

#[test]
fn too_deep_a_recursion_is_a_range_error_that_can_be_caught() {
    on_a_deep_stack(|| {
        let failure = failure_of("const f = () => f() + 1; return f()");
        assert_eq!((failure.error.name.as_str(), failure.stop), ("RangeError", None));
        assert_eq!(failure.error.message, "Maximum call stack size exceeded");
        assert_eq!(state_of("const f = () => f() + 1; try { f() } catch (e) { return e.name }"), r#""RangeError""#);
        assert_eq!(failure_of("return JSON.parse('['.repeat(1e6))").error.name, "RangeError");
        assert_eq!(failure_of("return eval('('.repeat(1e5) + ')'.repeat(1e5))").stop, None);
        assert_eq!(
            failure_of("const p = new Proxy({}, {get: (t, k, r) => r[k]}); return p.x").error.name,
            "RangeError"
        );
        assert_eq!(failure_of("let s = []; for (let i = 0; i < 1e5; i++) s = [s]; return s").stop, None);
        assert_eq!(failure_of("return JSON.stringify(request) + new RegExp('('.repeat(1e5))").stop, None);
    });
}

#[test]
fn a_native_loop_ends_by_the_epoch_and_the_host_lives() {
    on_a_deep_stack(|| {
        // An engine of its own: the epoch is the engine's, and other tests mean to finish.
        let engine = Engine::new(&compile::config().unwrap()).unwrap();
        // SAFETY: as in `common`.
        let module = unsafe { Module::deserialize(&engine, native_code()).unwrap() };
        let mut door = Door::open(&engine, &module, &BAKED.image, 2).unwrap();
        door.load("hook.ts", "export const reducer = () => { let x = 3n; for (;;) x *= x }").unwrap().unwrap();
        let ticker = std::thread::spawn(move || {
            for _ in 0..3 {
                std::thread::sleep(Duration::from_millis(50));
                engine.increment_epoch();
            }
        });
        let result = door
            .call(fold_call(None, vec![json_request(1, "{}")]), Limits { budget_ticks: u32::MAX, ..Limits::default() });
        ticker.join().unwrap();
        match result {
            Err(trap) => assert_eq!(trap.downcast_ref(), Some(&wasmtime::Trap::Interrupt)),
            Ok(outcome) => assert_eq!(folded(outcome)[0].result.clone().unwrap_err().stop, Some(Stop::Memory)),
        }
    });
}

#[test]
fn a_stop_ends_the_batch_and_a_forced_one_is_repeated_without_running() {
    let source = "export const reducer = (state = 0, request) => { if (request.seq === 2) for (;;); return state + 1 }";
    let call = fold_call(None, (1..=3).map(|seq| json_request(seq, "{}")).collect());
    let ran = folded(program(source).call(call, Limits::default()).unwrap());
    assert_eq!(ran.len(), 2);
    let stopped = ran[1].result.clone().unwrap_err();
    assert_eq!((stopped.stop, stopped.error.name.as_str()), (Some(Stop::Budget), "InternalError"));

    let requests = (1..=3)
        .map(|seq| Foldable { request: Arc::new(json_request(seq, "{}")), forced: (seq == 2).then_some(Stop::Budget) })
        .collect();
    let call = Call::Fold { state: None, requests, secrets: "{}".into() };
    let replayed = folded(program(source).call(call, Limits::default()).unwrap());
    assert_eq!(replayed[1].result.clone().unwrap_err(), stopped);
    assert_eq!(&*replayed[2].result.clone().unwrap(), "2");
}

#[test]
fn a_run_after_one_that_was_stopped_is_not_stopped_for_it() {
    let source = "export const query = (s, params) => { if (params.has('bomb')) { const a = []; for (;;) a.push('x'.repeat(99999) + a.length) } return 1 }";
    let mut door = program(source);
    let ask = |params: &str| Call::Query { state: None, params: params.into(), secrets: "{}".into(), at_ms: NOON };
    let Outcome::Queried(bombed) = door.call(ask("bomb"), Limits::default()).unwrap() else { panic!() };
    assert_eq!(bombed.result.unwrap_err().stop, Some(Stop::Memory));
    assert!(door.refused().unwrap());
    let Outcome::Queried(after) = door.call(ask(""), Limits::default()).unwrap() else { panic!() };
    assert!(after.result.is_ok());
}
