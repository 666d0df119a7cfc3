//! Promises about the scripts of jobs: one function of an input, however it is written.

use std::sync::Arc;

use rules::{
    call::{Call, Error, Line, Outcome, Program},
    job::End,
    limits::Limits,
};

use crate::{
    Worker,
    script::{self, Script},
};

async fn play(worker: &impl Worker, source: &str, input: &str, timeout_ms: u64) -> (End, Vec<Line>) {
    let program = Arc::new(Program::script(source));
    let script = Script { program: &program, input, timeout_ms, seed: 7, at_ms: 1_700_000_000_000 };
    script::run(worker, script).await.expect("it is run")
}

async fn result(worker: &impl Worker, source: &str, input: &str) -> String {
    match play(worker, source, input, 5_000).await.0 {
        End::Done(json) => json.to_string(),
        other => panic!("{source}: {other:?}"),
    }
}

async fn error(worker: &impl Worker, source: &str) -> Error {
    match play(worker, source, "null", 5_000).await.0 {
        End::Failed(error) => error,
        other => panic!("{source}: {other:?}"),
    }
}

pub async fn a_script_is_a_body_or_a_main_or_an_expression(worker: impl Worker) {
    for (source, expected) in [
        ("return input + 1", "3"),
        ("const more = await Promise.resolve(40);\nreturn input + more;", "42"),
        ("function main(input) { return input * 10 }", "20"),
        ("const main = async (given) => { return { given } };", r#"{"given":2}"#),
        ("input ** 3", "8"),
        ("input ** 3; // cubed", "8"),
        ("(input) => [input]", "[2]"),
        ("async function any(input) { return -input }\nreturn any(input)", "-2"),
        ("({ a: input })", r#"{"a":2}"#),
        ("`${input}` + await 'x'", r#""2x""#),
        ("let unsaid = 1;", "null"),
        ("", "null"),
    ] {
        assert_eq!(result(&worker, source, "2").await, expected, "{source}");
    }
}

pub async fn a_script_that_throws_says_where(worker: impl Worker) {
    let thrown = error(&worker, "const a = 1;\n\nthrow new TypeError('no ' + a);").await;
    assert_eq!((thrown.name.as_str(), thrown.message.as_str()), ("TypeError", "no 1"));
    assert_eq!(thrown.place.map(|(line, _)| line), Some(3), "{thrown:?}");
    assert!(thrown.stack.contains("job.js:3"), "{}", thrown.stack);
}

pub async fn a_script_that_does_not_parse_says_where(worker: impl Worker) {
    for (source, place) in [
        ("const a = 1;\nreturn = = 2;", (2, 8)),
        ("}); evil(); ({", (1, 1)),
        ("let a: number = 1", (1, 6)),
        ("import fs from 'fs'", (1, 1)),
        ("export const a = 1", (1, 1)),
    ] {
        let program = Arc::new(Program::script(source));
        let outcome = worker.call(&program, Call::Describe, Limits::default()).await;
        let Outcome::Unrunnable(error) = outcome else { panic!("{source}: {outcome:?}") };
        assert_eq!((error.name.as_str(), error.place), ("SyntaxError", Some(place)), "{source}: {error:?}");
    }
}

pub async fn a_script_that_never_ends_is_stopped_by_its_own_clock(worker: impl Worker) {
    let begun = std::time::Instant::now();
    assert_eq!(play(&worker, "for (;;) {}", "null", 300).await.0, End::TimedOut);
    assert!(begun.elapsed().as_millis() >= 300, "not before its time");
    assert_eq!(result(&worker, "let n = 0; while (n < 3e6) n++; return n", "null").await, "3000000");
    let waits = error(&worker, "await new Promise(() => {})").await;
    assert!(waits.message.contains("never comes"), "{waits:?}");
}

pub async fn a_script_keeps_nothing_and_says_what_it_said(worker: impl Worker) {
    let source = "globalThis.n = (globalThis.n ?? 0) + 1; console.log('now', n); return n";
    for _ in 0..2 {
        let (end, console) = play(&worker, source, "null", 5_000).await;
        assert_eq!(end, End::Done("1".into()));
        assert_eq!(console.len(), 1);
        assert_eq!(console[0].messages, ["now", "1"]);
    }
}
