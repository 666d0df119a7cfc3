//! Promises about code that means harm, or behaves as if it did.

use std::{sync::Arc, time::Instant};

use rules::{
    call::{Call, Failure, Outcome, Program, Stop},
    limits::Limits,
};

use super::{
    call, failure, fold_of, foldable, folded, folded_within, keyed, keyed_within, keys_of, states, templated,
    unrunnable,
};
use crate::Worker;

/// A reducer that does harm at a request whose body is 1, and counts otherwise.
fn counting_unless(harm: &str) -> String {
    format!(
        "const harm = () => {{ {harm} }};\nexport const reducer = (n = 0, {{ body }}) => {{ if (body === 1) harm(); return n + 1 }};"
    )
}

/// The failure of the harmful request, after which all is as if it had never been asked.
async fn harm_alone(worker: &impl Worker, harm: &str) -> Failure {
    harm_within(worker, harm, Limits::default()).await
}

/// On a busy machine the clock runs out before the operations do; where they are meant, it has to wait.
async fn costly_harm_alone(worker: &impl Worker, harm: &str) -> Failure {
    harm_within(worker, harm, Limits { call_ms: 30_000, ..Limits::default() }).await
}

async fn harm_within(worker: &impl Worker, harm: &str, limits: Limits) -> Failure {
    let ran = folded_within(worker, &counting_unless(harm), Some("5"), &["0", "1", "0"], limits).await;
    let results: Vec<_> = ran.iter().map(|ran| ran.result.as_deref().ok()).collect();
    assert_eq!(results, [Some("6"), None, Some("7")], "{harm}: {ran:?}");
    ran.into_iter().nth(1).expect("three").result.expect_err("a failure")
}

pub async fn a_loop_runs_out_of_operations(worker: impl Worker) {
    for harm in ["for (;;);", "while (true) { Math.sqrt(2) }", "let i = 0; do i++; while (i !== -1)"] {
        assert_eq!(costly_harm_alone(&worker, harm).await.stop, Some(Stop::Budget), "{harm}");
    }
}

pub async fn a_loop_that_catches_everything_is_stopped(worker: impl Worker) {
    let harm = "for (;;) { try { for (;;); } catch { } finally { continue } }";
    assert_eq!(costly_harm_alone(&worker, harm).await.stop, Some(Stop::Budget));
    let harm = "const again = () => Promise.resolve().then(again); again(); return again();";
    costly_harm_alone(&worker, harm).await;
}

pub async fn native_loops_are_stopped(worker: impl Worker) {
    for harm in [
        "let b = 3n; for (;;) b = (b * b) % (2n ** 200000n);",
        "const a = Array.from({ length: 300000 }, (_, i) => i * 7919 % 300007); for (;;) a.slice().sort();",
        "/^(a+)+$/.test('a'.repeat(40) + 'b');",
        "for (;;) new Array(1000000).fill(0).indexOf(1);",
        "for (;;) 'ab'.repeat(1000000).lastIndexOf('c');",
    ] {
        let begun = Instant::now();
        let stop = harm_alone(&worker, harm).await.stop;
        assert!(matches!(stop, Some(Stop::Clock | Stop::Budget | Stop::Memory)), "{harm}: {stop:?}");
        assert!(begun.elapsed().as_secs() < 20, "{harm}: {:?}", begun.elapsed());
    }
}

pub async fn a_memory_bomb_is_stopped(worker: impl Worker) {
    for harm in [
        "const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1));",
        "const a = []; for (;;) a.push({ a: [1, 2, 3], b: 'c' + a.length });",
        "let s = 'x'.repeat(1000); const a = []; for (;;) a.push(s = s + a.length);",
        "const a = []; for (;;) { try { for (;;) a.push(new Array(10000).fill(a)) } catch { } }",
    ] {
        let stop = harm_alone(&worker, harm).await.stop;
        assert!(matches!(stop, Some(Stop::Memory | Stop::Budget | Stop::Clock)), "{harm}: {stop:?}");
    }
    let stop = harm_alone(&worker, "const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1));").await.stop;
    assert_eq!(stop, Some(Stop::Memory));
}

pub async fn endless_recursion_is_a_failure(worker: impl Worker) {
    for harm in [
        "(function f() { f() })();",
        "const p = new Proxy({}, { get: (_, name, self) => self[name] }); p.a;",
        "const o = { toString() { return `${this}` } }; `${o}`;",
        "let a = []; for (let i = 0; i < 100000; i++) a = [a]; JSON.stringify(a);",
    ] {
        harm_alone(&worker, harm).await;
    }
}

pub async fn a_million_brackets_are_a_failure(worker: impl Worker) {
    harm_alone(&worker, "JSON.parse('['.repeat(1000000));").await;
    harm_alone(&worker, "new RegExp('('.repeat(100000) + ')'.repeat(100000));").await;
    // In a body, it is text with an error beside it, or a failure; never the end.
    let brackets = "[".repeat(1_000_000);
    let source = "export const reducer = (n = 0) => n + 1;";
    let ran = folded(&worker, source, None, &["1", &brackets, "1"]).await;
    assert!(ran[0].result.is_ok() && ran[2].result.is_ok(), "{ran:?}");
}

pub async fn a_loop_while_loading_is_unrunnable(worker: impl Worker) {
    unrunnable(&worker, "export const reducer = () => 1;\nfor (;;);").await;
    unrunnable(&worker, "const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1));").await;
    unrunnable(&worker, "await new Promise(() => {});").await;
    assert_eq!(states(&worker, "export const reducer = () => 1;", None, &["1"]).await, ["1"]);
}

pub async fn a_source_nested_without_end_is_unrunnable(worker: impl Worker) {
    for source in ["(".repeat(1 << 20), "[".repeat(1 << 20), "a=>".repeat(300_000), "!".repeat(1 << 20) + "1"] {
        unrunnable(&worker, &source).await;
    }
    assert_eq!(states(&worker, "export const reducer = () => 1;", None, &["1"]).await, ["1"]);
}

pub async fn a_state_beyond_its_bound_is_a_failure(worker: impl Worker) {
    let source = "export const reducer = (_, { body }) => 'x'.repeat(body);";
    let limits = Limits { state_bytes: 100, ..Limits::default() };
    let ran = folded_within(&worker, source, None, &["98", "99"], limits).await;
    assert!(ran[0].result.is_ok() && ran[1].result.is_err(), "{ran:?}");
    for value in
        ["undefined", "() => 1", "1n", "NaN", "new Map()", "Symbol()", "(() => { const a = {}; a.a = a; return a })()"]
    {
        let source = format!("export const reducer = () => {value};");
        assert_eq!(failure(&worker, &source, Some("1"), "1").await.stop, None, "{value}");
    }
}

pub async fn a_long_fold_answers_for_a_prefix(worker: impl Worker) {
    let source = "export const reducer = (n = 0) => { for (let i = 0; i < 500000; i++); return n + 1 };";
    let bodies = ["1"; 200];
    let Outcome::Folded(ran) = call(&worker, source, fold_of(None, &bodies)).await else { panic!("not folded") };
    assert!((1..200).contains(&ran.len()), "{}", ran.len());
    assert_eq!(states(&worker, source, None, &bodies[..50]).await.last().map(String::as_str), Some("50"));
}

pub async fn a_key_that_never_comes_costs_only_its_request(worker: impl Worker) {
    for (harm, stop) in
        [("for (;;);", Stop::Budget), ("const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1));", Stop::Memory)]
    {
        let source =
            format!("export const getIdempotencyKey = ({{ body }}) => {{ if (body === 1) {{ {harm} }} return 'k' }};");
        let limits = Limits { call_ms: 30_000, ..Limits::default() };
        let ran = keyed_within(&worker, &source, &["0", "1", "0"], limits).await;
        let results: Vec<_> = ran.iter().map(|ran| ran.result.as_deref().map_err(|failure| failure.stop)).collect();
        assert_eq!(results, [Ok("k"), Err(Some(stop)), Ok("k")], "{harm}");
    }
}

pub async fn no_key_sees_what_another_left_behind(worker: impl Worker) {
    let forgetful = "
        let closed = 0;
        export function getIdempotencyKey() {
            closed += 1;
            globalThis.kept = (globalThis.kept ?? 0) + 1;
            Array.prototype.kept = ([].kept ?? 0) + 1;
            return [closed, globalThis.kept, [].kept].join();
        }";
    for _ in 0..3 {
        assert_eq!(
            keys_of(&worker, forgetful, &["1", "1", "1"]).await,
            [Some("1,1,1".into()), Some("1,1,1".into()), Some("1,1,1".into())]
        );
    }
}

pub async fn many_keys_are_given_for_a_prefix(worker: impl Worker) {
    let source = "export const getIdempotencyKey = ({ seq }) => { for (let i = 0; i < 500000; i++); return seq };";
    let requests = (1..=200).map(|seq| foldable(seq, "1")).collect();
    let Outcome::Keyed(ran) = call(&worker, source, Call::Keys { requests, secrets: "{}".into() }).await else {
        panic!("not keyed")
    };
    assert!((1..200).contains(&ran.len()), "{}", ran.len());
    let ran = keyed(&worker, source, &["1"; 50]).await;
    let keys: Vec<_> = ran.into_iter().map(|ran| ran.result.expect("a key")).collect();
    assert_eq!(keys, (1..=50).map(|seq: u64| seq.to_string()).collect::<Vec<_>>());
}

pub async fn a_builder_that_never_ends_is_stopped(worker: impl Worker) {
    let source = "template('a', (state) => { for (; state;); return 1 });";
    let listing = Call::Templates { state: Some("true".into()), secrets: "{}".into() };
    let limits = Limits { call_ms: 30_000, ..Limits::default() };
    let Outcome::Templated(ran) = worker.call(&Arc::new(Program::new(source)), listing, limits).await else {
        panic!("not templated")
    };
    assert_eq!(ran.result.expect_err("a stop").stop, Some(Stop::Budget));
    assert_eq!(templated(&worker, source, None).await, r#"[{"name":"a","template":1}]"#);
}
