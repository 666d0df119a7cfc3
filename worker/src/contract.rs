//! The spec that every worker passes: each function is one promise, and `contract!` makes a test of each.

use std::{future::Future, sync::Arc, time::Duration};

use rules::{
    call::{
        Bytes, Call, Described, Error, Exports, Failure, Foldable, Json, Level, Line, Outcome, Program, Ran, Request,
        Response, Stop,
    },
    limits::Limits,
};

use crate::Worker;

mod hostile;
mod runs;
mod scripts;

pub use hostile::*;
pub use runs::*;
pub use scripts::*;

/// How long a promise may take to be kept.
const PROMISE_TIMEOUT: Duration = Duration::from_secs(120);
/// A Sunday in 2026.
const NOW_MS: u64 = 1_780_000_000_000;

/// Makes a test of each promise: `worker::contract!(start())`, where `start()` is a future of a fresh [`Worker`].
#[macro_export]
macro_rules! contract {
    ($start:expr) => {
        $crate::contract! { $start;
            describe_names_what_is_exported
            what_does_not_parse_is_unrunnable_with_line_and_column
            what_throws_while_it_loads_is_unrunnable
            an_import_is_unrunnable
            a_reducer_folds_requests_in_order
            a_responder_answers
            a_query_reads_the_state
            keys_are_given_in_order
            a_request_without_a_key_has_its_own_id
            what_is_no_key_is_a_failure_of_its_request_alone
            templates_are_listed_in_order
            a_template_that_throws_does_not_hide_the_rest
            a_template_is_declared_while_loading_or_not_at_all
            types_are_stripped_and_enums_work
            an_async_reducer_is_awaited
            secrets_arrive_as_argument_and_as_constant
            the_console_is_kept_with_its_request
            a_throw_keeps_the_state_and_the_next_request_goes_on
            nothing_left_behind_is_seen_by_the_next_request
            nothing_left_behind_is_seen_by_the_next_call
            date_stands_still_at_the_request
            chance_repeats_for_the_same_request
            lines_of_an_error_are_the_owners
            a_forced_stop_is_forced
            a_forced_stop_is_forced_of_keys_too
            eight_calls_at_once
            a_dropped_call_leaves_the_worker_usable
            a_loop_runs_out_of_operations
            a_loop_that_catches_everything_is_stopped
            native_loops_are_stopped
            a_memory_bomb_is_stopped
            endless_recursion_is_a_failure
            a_million_brackets_are_a_failure
            a_loop_while_loading_is_unrunnable
            a_source_nested_without_end_is_unrunnable
            a_state_beyond_its_bound_is_a_failure
            a_long_fold_answers_for_a_prefix
            a_key_that_never_comes_costs_only_its_request
            no_key_sees_what_another_left_behind
            many_keys_are_given_for_a_prefix
            a_builder_that_never_ends_is_stopped
            actions_are_described_with_their_paths
            a_name_that_no_address_can_hold_is_unrunnable
            a_script_is_a_body_or_a_main_or_an_expression
            a_script_that_throws_says_where
            a_script_that_does_not_parse_says_where
            a_script_that_never_ends_is_stopped_by_its_own_clock
            a_script_keeps_nothing_and_says_what_it_said
            a_question_waits_and_its_answer_goes_on
            a_run_cut_anywhere_goes_on_move_by_move
            steps_side_by_side_keep_their_order
            code_that_does_something_else_is_changed
            the_date_stands_at_what_last_came_from_outside
            a_run_that_loops_is_stopped
            two_runs_share_nothing
            lines_of_a_failed_run_are_the_owners
        }
    };
    ($start:expr; $($promise:ident)*) => {
        $(
            #[test]
            fn $promise() {
                $crate::contract::hold(async { $crate::contract::$promise($start.await).await });
            }
        )*
    };
}

/// Runs one promise to its end, which has to come.
pub fn hold(promise: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime for the test");
    runtime
        .block_on(async { tokio::time::timeout(PROMISE_TIMEOUT, promise).await.expect("the promise takes too long") });
}

pub async fn describe_names_what_is_exported(worker: impl Worker) {
    let exporting = |exports| Described { exports, actions: Vec::new() };
    let source =
        "export function reducer() {}\nconst query = () => 1;\nfunction other() {}\nlet x = { responder() {} };";
    let described = call(&worker, source, Call::Describe).await;
    assert_eq!(described, Outcome::Described(exporting(Exports { reducer: true, query: true, ..Exports::default() })));
    let source = "function responder() {}\nexport const getIdempotencyKey = (request: Request) => request.id;";
    let described = call(&worker, source, Call::Describe).await;
    assert_eq!(
        described,
        Outcome::Described(exporting(Exports { responder: true, idempotency_key: true, ..Exports::default() }))
    );
    assert_eq!(call(&worker, "", Call::Describe).await, Outcome::Described(Described::default()));
}

pub async fn what_does_not_parse_is_unrunnable_with_line_and_column(worker: impl Worker) {
    let source = "type A = number;\n\nfunction reducer(state: A) {\n  return state +;\n}";
    let error = unrunnable(&worker, source).await;
    assert_eq!((error.name.as_str(), error.place), ("SyntaxError", Some((4, 17))), "{error:?}");
    // It stays so, whatever it is asked.
    let Outcome::Unrunnable(again) = call(&worker, source, fold_of(None, &["1"])).await else { panic!("it ran") };
    assert_eq!(again, error);
}

pub async fn what_throws_while_it_loads_is_unrunnable(worker: impl Worker) {
    let error = unrunnable(&worker, "interface A { a: 1 }\n\nthrow new TypeError('at the top');").await;
    assert_eq!((error.name.as_str(), error.message.as_str()), ("TypeError", "at the top"));
    assert_eq!(error.place.map(|(line, _)| line), Some(3), "{error:?}");
}

pub async fn an_import_is_unrunnable(worker: impl Worker) {
    let error = unrunnable(&worker, "// first\nimport fs from 'fs';\nconst reducer = () => fs;").await;
    assert_eq!(error.place, Some((2, 1)));
    assert!(error.message.contains("one file"), "{error:?}");
}

pub async fn a_reducer_folds_requests_in_order(worker: impl Worker) {
    let source = "export const reducer = (state = [], { seq, body }) => [...state, [seq, body.v]];";
    let bodies = [r#"{"v":"a"}"#, r#"{"v":"b"}"#, r#"{"v":"c"}"#];
    let states = states(&worker, source, None, &bodies).await;
    assert_eq!(states, [r#"[[1,"a"]]"#, r#"[[1,"a"],[2,"b"]]"#, r#"[[1,"a"],[2,"b"],[3,"c"]]"#]);
    let resumed = self::states(&worker, source, Some(&states[1]), &bodies[..1]).await;
    assert_eq!(resumed, [r#"[[1,"a"],[2,"b"],[1,"a"]]"#]);
}

pub async fn a_responder_answers(worker: impl Worker) {
    let source = "export function responder(request) {
        return { statusCode: 207, headers: { 'x-a': 'b' }, body: { got: request.body.n + 1, at: request.path } };
    }";
    let request = request(0, r#"{"n":1}"#);
    let Outcome::Answered(ran) = call(&worker, source, Call::Answer { request, secrets: "{}".into() }).await else {
        panic!("not answered")
    };
    let response = ran.result.expect("a response");
    assert_eq!((response.status, response.body.0.as_slice()), (207, br#"{"got":2,"at":"/write"}"#.as_slice()));
    assert!(response.headers.contains(&("x-a".into(), "b".into())), "{response:?}");
}

pub async fn a_query_reads_the_state(worker: impl Worker) {
    let source = "export const query = (state, params) => ({ sum: state.a + Number(params.get('b')) });";
    let state = Some(Json::from(r#"{"a":40}"#));
    let query = Call::Query { state, params: "b=2".into(), secrets: "{}".into(), at_ms: NOW_MS };
    let Outcome::Queried(ran) = call(&worker, source, query).await else { panic!("not queried") };
    let Response { status, body, .. } = ran.result.expect("a response");
    assert_eq!((status, body.0.as_slice()), (200, br#"{"sum":42}"#.as_slice()));
}

pub async fn keys_are_given_in_order(worker: impl Worker) {
    let source =
        "export const getIdempotencyKey = ({ body }, { salt }) => (typeof body === 'object' ? body.k : body) + salt;";
    for (body, key) in [(r#"{"k":"a"}"#, "a!"), ("1", "1!"), ("true", "true!")] {
        let keys = Call::Keys { requests: vec![foldable(1, body)], secrets: r#"{"salt":"!"}"#.into() };
        let Outcome::Keyed(ran) = call(&worker, source, keys).await else { panic!("not keyed") };
        assert_eq!(ran[0].result.as_deref(), Ok(key));
    }
    let source = "export const getIdempotencyKey = ({ body }) => BigInt(body);";
    assert_eq!(
        keys_of(&worker, source, &["7", "8", "7"]).await,
        [Some("7".into()), Some("8".into()), Some("7".into())]
    );
}

pub async fn a_request_without_a_key_has_its_own_id(worker: impl Worker) {
    let own = |seq: u64| Some(format!("01900000-0000-7000-8000-{seq:012x}"));
    let source = "export const getIdempotencyKey = ({ body }) => body.k;";
    let keys = keys_of(&worker, source, &["{}", r#"{"k":"a"}"#, r#"{"k":null}"#]).await;
    assert_eq!(keys, [own(1), Some("a".into()), own(3)]);
    let source = "export const reducer = () => 1;";
    assert_eq!(keys_of(&worker, source, &["1", "2"]).await, [own(1), own(2)]);
}

pub async fn what_is_no_key_is_a_failure_of_its_request_alone(worker: impl Worker) {
    let source = "
        interface Given { body: number }
        export function getIdempotencyKey({ body }: Given) {
            if (body === 1) throw new EvalError('here');
            return body === 2 ? {} : 'k'.repeat(body);
        }";
    let ran = keyed(&worker, source, &["3", "1", "2", "256", "257", "4"]).await;
    let results: Vec<_> =
        ran.iter().map(|ran| ran.result.as_ref().map(String::len).map_err(|failure| &*failure.error.name)).collect();
    assert_eq!(results, [Ok(3), Err("EvalError"), Err("TypeError"), Ok(256), Err("RangeError"), Ok(4)]);
    let Failure { error, .. } = ran[1].result.clone().expect_err("a throw");
    assert_eq!(error.place.map(|(line, _)| line), Some(4), "{error:?}");
}

pub async fn templates_are_listed_in_order(worker: impl Worker) {
    let source = "
        template('order', (state: { n: number } | null) => ({ body: { n: (state?.n ?? 0) + 1, of: input('of') } }));
        template('kind', async () => ({ headers: { kind: select('kind', ['a', 'b']), key: secrets.key } }));";
    let kind = r#"{"name":"kind","template":{"headers":{"kind":{"field":"select","name":"kind","options":["a","b"]},"key":"s"}}}"#;
    for (state, n) in [(None, 1), (Some(r#"{"n":41}"#), 42)] {
        let order = r#""of":{"field":"input","name":"of"}}}}"#;
        let order = format!(r#"{{"name":"order","template":{{"body":{{"n":{n},{order}"#);
        assert_eq!(templated(&worker, source, state).await, format!("[{order},{kind}]"));
    }
    assert_eq!(templated(&worker, "export const reducer = () => 1;", Some("1")).await, "[]");
}

pub async fn a_template_that_throws_does_not_hide_the_rest(worker: impl Worker) {
    let source = "template('a', (state) => state.nothing.there); template('b', () => 2);";
    let list = templated(&worker, source, Some("{}")).await;
    assert!(list.starts_with(r#"[{"name":"a","error":{"name":"TypeError","message":""#), "{list}");
    assert!(list.ends_with(r#""}},{"name":"b","template":2}]"#), "{list}");
}

pub async fn a_template_is_declared_while_loading_or_not_at_all(worker: impl Worker) {
    let source = "export const reducer = () => template('late', () => 1);";
    let Failure { error, stop } = failure(&worker, source, None, "1").await;
    assert_eq!((error.name.as_str(), stop), ("Error", None));
    assert!(error.message.contains("top level"), "{error:?}");
    assert_eq!(templated(&worker, source, None).await, "[]");
    let many = "for (let i = 0; i < 65; i++) template('t', () => 1);";
    assert_eq!(unrunnable(&worker, many).await.name, "RangeError");
}

pub async fn types_are_stripped_and_enums_work(worker: impl Worker) {
    let source = "
        import type { Unknown } from 'nowhere';
        enum Colour { Red = 'red', Green = 'green' }
        const enum Size { Small = 1, Large }
        interface State { colour: Colour; size: number }
        namespace Sizes { export const all = [Size.Small, Size.Large] as const }
        abstract class Base<T> { constructor(protected readonly value: T) {} }
        class Box extends Base<Size> { get size(): number { return this.value! } }
        function reducer(state: State | undefined, request: any): State {
            return { colour: Colour.Green, size: (<number>new Box(Sizes.all[1]).size) satisfies number } as State;
        }";
    assert_eq!(states(&worker, source, None, &["1"]).await, [r#"{"colour":"green","size":2}"#]);
}

pub async fn an_async_reducer_is_awaited(worker: impl Worker) {
    let source = "export async function reducer(state = 0) { return await Promise.resolve(state + 1) }";
    assert_eq!(states(&worker, source, None, &["1", "1"]).await, ["1", "2"]);
    let never = "export const reducer = () => new Promise(() => {});";
    failure(&worker, never, None, "1").await;
}

pub async fn secrets_arrive_as_argument_and_as_constant(worker: impl Worker) {
    let source = "export const reducer = (state, request, given) => given.key + secrets.key;";
    let fold = Call::Fold { state: None, requests: vec![foldable(1, "1")], secrets: r#"{"key":"s"}"#.into() };
    let Outcome::Folded(ran) = call(&worker, source, fold).await else { panic!("not folded") };
    assert_eq!(ran[0].result.as_deref(), Ok("\"ss\""));
    // And are gone with the call.
    let source = "export const reducer = () => JSON.stringify(secrets) ?? null;";
    assert_eq!(states(&worker, source, None, &["1"]).await, [r#""{}""#]);
}

pub async fn the_console_is_kept_with_its_request(worker: impl Worker) {
    let source =
        "export const reducer = (s, { seq }) => { console.warn('seq', seq); if (seq == 2) throw 1; return seq };";
    let ran = folded(&worker, source, None, &["1", "1", "1"]).await;
    let line = |seq: u64| Line { level: Level::Warn, messages: vec!["seq".into(), seq.to_string()] };
    let lines: Vec<Vec<Line>> = ran.into_iter().map(|ran| ran.console).collect();
    assert_eq!(lines, [vec![line(1)], vec![line(2)], vec![line(3)]]);
}

pub async fn a_throw_keeps_the_state_and_the_next_request_goes_on(worker: impl Worker) {
    let source = "export const reducer = (state = { n: 0, log: [] }, { body }) => {
        state.log.push(body);
        state.n = 99;
        if (body === 'throw') throw new RangeError('half way');
        state.n = state.log.length;
        return state;
    };";
    let ran = folded(&worker, source, None, &["\"a\"", "\"throw\"", "\"b\""]).await;
    assert_eq!(ran[0].result.as_deref(), Ok(r#"{"n":1,"log":["a"]}"#));
    let Failure { error, stop } = ran[1].result.clone().expect_err("a throw");
    assert_eq!((error.name.as_str(), error.message.as_str(), stop), ("RangeError", "half way", None));
    assert_eq!(ran[2].result.as_deref(), Ok(r#"{"n":2,"log":["a","b"]}"#));
}

const FORGETFUL: &str = "
    let closed = 0;
    export function reducer(state = []) {
        closed += 1;
        globalThis.kept = (globalThis.kept ?? 0) + 1;
        Array.prototype.kept = ([].kept ?? 0) + 1;
        JSON.kept = (JSON.kept ?? 0) + 1;
        reducer.kept = (reducer.kept ?? 0) + 1;
        const stringify = JSON.stringify;
        JSON.stringify = (...given) => stringify(...given)?.replace('1', '7');
        return [closed, globalThis.kept, [].kept, JSON.kept, reducer.kept].map(Number);
    }";

pub async fn nothing_left_behind_is_seen_by_the_next_request(worker: impl Worker) {
    let states = states(&worker, FORGETFUL, None, &["1", "1", "1"]).await;
    assert_eq!(states, ["[1,1,1,1,1]"; 3]);
}

pub async fn nothing_left_behind_is_seen_by_the_next_call(worker: impl Worker) {
    for _ in 0..4 {
        assert_eq!(states(&worker, FORGETFUL, None, &["1"]).await, ["[1,1,1,1,1]"]);
    }
}

pub async fn date_stands_still_at_the_request(worker: impl Worker) {
    let source = "export const reducer = (s, { createdAt }) => {
        const first = Date.now();
        for (let i = 0; i < 100000; i++);
        return [first, Date.now(), new Date().getTime(), Date.parse(createdAt)];
    };";
    let at = NOW_MS + 1;
    assert_eq!(states(&worker, source, None, &["1"]).await, [format!("[{at},{at},{at},{at}]")]);
}

pub async fn chance_repeats_for_the_same_request(worker: impl Worker) {
    let source = "export const reducer = () => [Math.random(), Math.random(), uuid()];";
    let once = states(&worker, source, None, &["1", "1"]).await;
    assert_eq!(states(&worker, source, None, &["1", "1"]).await, once);
    assert_ne!(once[0], once[1]);
}

pub async fn lines_of_an_error_are_the_owners(worker: impl Worker) {
    let source = "interface State {\n  n: number\n}\n\nenum E { A }\n\nfunction deeper(state: State): never {\n  throw new Error('here')\n}\n\nfunction reducer(state: State) {\n  return [1].map(() => deeper(state))\n}\n";
    let Failure { error, .. } = failure(&worker, source, Some("{\"n\":1}"), "1").await;
    assert_eq!(error.place.map(|(line, _)| line), Some(8), "{error:?}");
    let lines: Vec<&str> = error.stack.lines().collect();
    assert!(lines.iter().all(|line| line.contains("hook.ts:")), "{error:?}");
    assert!(lines[0].contains("deeper") && lines[0].contains("hook.ts:8:"), "{error:?}");
    assert!(lines.last().is_some_and(|last| last.contains("reducer") && last.contains("hook.ts:12:")), "{error:?}");
}

pub async fn a_forced_stop_is_forced(worker: impl Worker) {
    let source = "export const reducer = (n = 0) => n + 1;";
    for stop in [Stop::Clock, Stop::Memory, Stop::Stack, Stop::Crash] {
        let mut requests = [foldable(1, "1"), foldable(2, "1"), foldable(3, "1")];
        requests[1].forced = Some(stop);
        let (mut state, mut results) = (None, Vec::new());
        // A worker may answer for a prefix: a slow one does.
        while results.len() < requests.len() {
            let rest =
                Call::Fold { state: state.clone(), requests: requests[results.len()..].to_vec(), secrets: "{}".into() };
            let Outcome::Folded(ran) = call(&worker, source, rest).await else { panic!("not folded") };
            assert!(!ran.is_empty(), "at least one");
            for one in ran {
                let result = one.result.map_err(|failure| failure.stop);
                state = result.as_ref().ok().cloned().or(state);
                results.push(result);
            }
        }
        assert_eq!(results, [Ok("1".into()), Err(Some(stop)), Ok("2".into())]);
    }
}

pub async fn a_forced_stop_is_forced_of_keys_too(worker: impl Worker) {
    let source = "export const getIdempotencyKey = ({ body }) => body;";
    let mut requests = [foldable(1, "1"), foldable(2, "2"), foldable(3, "3")];
    requests[1].forced = Some(Stop::Clock);
    let mut results = Vec::new();
    while results.len() < requests.len() {
        let rest = Call::Keys { requests: requests[results.len()..].to_vec(), secrets: "{}".into() };
        let Outcome::Keyed(ran) = call(&worker, source, rest).await else { panic!("not keyed") };
        assert!(!ran.is_empty(), "at least one");
        results.extend(ran.into_iter().map(|ran| ran.result.map_err(|failure| failure.stop)));
    }
    assert_eq!(results, [Ok("1".into()), Err(Some(Stop::Clock)), Ok("3".into())]);
}

pub async fn eight_calls_at_once(worker: impl Worker + 'static) {
    let worker = Arc::new(worker);
    let folding: Vec<_> = (0..8)
        .map(|n: u64| {
            let worker = worker.clone();
            let source = "export const reducer = (n = 0, { body }) => n + body;";
            tokio::spawn(async move { states(&*worker, source, None, &[&n.to_string(), "1"]).await })
        })
        .collect();
    for (n, folding) in folding.into_iter().enumerate() {
        assert_eq!(folding.await.expect("folded"), [n.to_string(), (n + 1).to_string()]);
    }
}

pub async fn a_dropped_call_leaves_the_worker_usable(worker: impl Worker) {
    let program = Arc::new(Program::new("export const reducer = () => { for (;;); };"));
    for _ in 0..4 {
        let calling = worker.call(&program, fold_of(None, &["1"]), Limits::default());
        let _ = tokio::time::timeout(Duration::from_millis(20), calling).await;
    }
    assert_eq!(states(&worker, "export const reducer = () => 1;", None, &["1"]).await, ["1"]);
}

async fn call(worker: &impl Worker, source: &str, call: Call) -> Outcome {
    worker.call(&Arc::new(Program::new(source)), call, Limits::default()).await
}

async fn unrunnable(worker: &impl Worker, source: &str) -> Error {
    match call(worker, source, Call::Describe).await {
        Outcome::Unrunnable(error) => error,
        other => panic!("{other:?}"),
    }
}

/// Folds all of it, in as many calls as the worker takes.
async fn folded(worker: &impl Worker, source: &str, state: Option<&str>, bodies: &[&str]) -> Vec<Ran<Json>> {
    folded_within(worker, source, state, bodies, Limits::default()).await
}

async fn folded_within(
    worker: &impl Worker,
    source: &str,
    state: Option<&str>,
    bodies: &[&str],
    limits: Limits,
) -> Vec<Ran<Json>> {
    let program = Arc::new(Program::new(source));
    let mut state = state.map(Json::from);
    let mut done: Vec<Ran<Json>> = Vec::new();
    while done.len() < bodies.len() {
        let left = &bodies[done.len()..];
        let requests = left.iter().zip(done.len() as u64 + 1..).map(|(body, seq)| foldable(seq, body)).collect();
        let fold = Call::Fold { state: state.clone(), requests, secrets: "{}".into() };
        let Outcome::Folded(ran) = worker.call(&program, fold, limits).await else { panic!("not folded") };
        assert!((1..=left.len()).contains(&ran.len()), "{} of {}", ran.len(), left.len());
        for ran in ran {
            if let Ok(next) = &ran.result {
                state = Some(next.clone());
            }
            done.push(ran);
        }
    }
    done
}

/// The states of a fold in which nothing fails.
async fn states(worker: &impl Worker, source: &str, state: Option<&str>, bodies: &[&str]) -> Vec<String> {
    let ran = folded(worker, source, state, bodies).await;
    ran.into_iter().map(|ran| ran.result.expect("a state").to_string()).collect()
}

async fn failure(worker: &impl Worker, source: &str, state: Option<&str>, body: &str) -> Failure {
    let ran = folded(worker, source, state, &[body]).await;
    ran.into_iter().next().expect("one").result.expect_err("a failure")
}

/// The keys of all of them, in as many calls as the worker takes.
async fn keyed(worker: &impl Worker, source: &str, bodies: &[&str]) -> Vec<Ran<String>> {
    keyed_within(worker, source, bodies, Limits::default()).await
}

async fn keyed_within(worker: &impl Worker, source: &str, bodies: &[&str], limits: Limits) -> Vec<Ran<String>> {
    let program = Arc::new(Program::new(source));
    let mut done: Vec<Ran<String>> = Vec::new();
    while done.len() < bodies.len() {
        let left = &bodies[done.len()..];
        let requests = left.iter().zip(done.len() as u64 + 1..).map(|(body, seq)| foldable(seq, body)).collect();
        let keys = Call::Keys { requests, secrets: "{}".into() };
        let Outcome::Keyed(ran) = worker.call(&program, keys, limits).await else { panic!("not keyed") };
        assert!((1..=left.len()).contains(&ran.len()), "{} of {}", ran.len(), left.len());
        done.extend(ran);
    }
    done
}

/// The keys, nothing for one that fails.
async fn keys_of(worker: &impl Worker, source: &str, bodies: &[&str]) -> Vec<Option<String>> {
    keyed(worker, source, bodies).await.into_iter().map(|ran| ran.result.ok()).collect()
}

async fn templated(worker: &impl Worker, source: &str, state: Option<&str>) -> String {
    let listing = Call::Templates { state: state.map(Json::from), secrets: r#"{"key":"s"}"#.into() };
    match call(worker, source, listing).await {
        Outcome::Templated(ran) => ran.result.expect("a list").to_string(),
        other => panic!("{other:?}"),
    }
}

fn fold_of(state: Option<&str>, bodies: &[&str]) -> Call {
    let requests = bodies.iter().zip(1..).map(|(body, seq)| foldable(seq, body)).collect();
    Call::Fold { state: state.map(Json::from), requests, secrets: "{}".into() }
}

fn foldable(seq: u64, body: &str) -> Foldable {
    Foldable { request: request(seq, body), forced: None }
}

fn request(seq: u64, body: &str) -> Arc<Request> {
    Arc::new(Request {
        id: 0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(seq),
        seq,
        method: "POST".into(),
        path: "/write".into(),
        query: "a=1".into(),
        headers: vec![("content-type".into(), Bytes(b"application/json".to_vec()))],
        body: Bytes(body.into()),
        created_at_ms: NOW_MS + seq,
    })
}
