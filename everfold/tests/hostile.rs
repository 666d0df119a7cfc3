//! A reducer that misbehaves spoils its own request and nothing else: the error is kept, the state stays, the next
//! request is folded, the server does not notice.

mod harness;

use harness::{hook::Hook, server::Server};
use serde_json::{Value, json};

/// Folds one good request, the evil one, one good one; then checks what is promised.
fn only_its_own_request_is_spoilt_by(evil: &str) {
    let mut server = Server::start();
    let victim = Hook::running(&server, "export const reducer = state => (state ?? 0) + 1;");
    let code = format!(
        "function reducer(state, request) {{
            if (request.body.evil) {{ {evil} }}
            return {{ good: (state?.good ?? 0) + 1 }};
        }}"
    );
    let hook = Hook::running(&server, &code);
    hook.fold(&json!({}));
    let evil = hook.keep(&json!({"evil": true}));
    victim.fold(&json!({}));
    hook.settled(&evil.id).expect(200);
    assert_eq!(hook.state_after(2), json!({"good": 1}), "the state stays");
    hook.fold(&json!({}));
    assert_eq!(hook.state_after(3), json!({"good": 2}), "the next request is folded");

    let history = hook.history();
    let errors: Vec<bool> = history.iter().map(|entry| !entry["error"].is_null()).collect();
    assert_eq!(errors, [false, true, false], "{history:?}");
    let error = &history[1]["error"];
    assert!(error["name"].is_string() && error["message"].is_string() && error["stack"].is_string(), "{error}");
    assert_eq!(history[1]["state"], json!({"good": 1}));

    hook.publish(&code);
    assert_eq!(hook.state(), json!({"good": 2}), "a replay decides the same");
    let again = &hook.history()[1]["error"];
    // What a clock stops may end otherwise in a new version; everything else is decided the same.
    let is_stopped = [error, again].iter().any(|error| error["name"] == "Stopped");
    assert!(again["name"] == error["name"] || is_stopped, "{error}, then {again}");

    victim.fold(&json!({}));
    assert_eq!(victim.state(), json!(2));
    assert!(server.is_well());
}

macro_rules! hostile {
    ($($promise:ident: $evil:expr;)*) => {
        $(#[test] fn $promise() { only_its_own_request_is_spoilt_by($evil); })*
    };
}

hostile! {
    a_throw_is_kept: "throw new RangeError('on purpose')";
    a_thrown_string_is_kept: "throw 'just text'";
    a_thrown_nothing_is_kept: "throw undefined";
    a_throw_after_a_change_undoes_the_change: "state.good = 1000; state.more = []; throw new Error('half way')";
    a_rejected_promise_is_kept: "return Promise.reject(new Error('later'))";
    a_promise_that_never_settles_is_an_error: "return new Promise(() => {})";
    a_missing_name_is_kept: "return fetch('http://127.0.0.1/')";

    a_loop_is_stopped: "while (true) {}";
    a_loop_that_catches_everything_is_stopped: "while (true) { try { while (true) {} } catch {} }";
    a_loop_in_finally_is_stopped: "try { while (true) {} } finally { while (true) {} }";
    a_loop_of_promises_is_stopped: "const again = () => Promise.resolve().then(again); return again()";
    a_catastrophic_pattern_is_stopped: "/^(a+)+$/.test('a'.repeat(60) + 'b')";
    a_native_loop_is_stopped: "const list = Array.from({ length: 300000 }, (_, n) => n); while (true) list.sort(() => 0)";
    a_huge_number_is_stopped: "let n = 3n; while (true) n = n * n";

    a_list_that_grows_is_stopped: "const all = []; while (true) all.push(new Array(1000).fill(all.length))";
    a_text_that_doubles_is_stopped: "let text = 'x'; while (true) text += text";
    a_giant_buffer_is_refused: "return new Uint8Array(4e9).length";
    a_recursion_without_end_is_stopped: "(function down() { return 1 + down(); })()";
    a_recursion_through_natives_is_stopped: "const down = () => [1].map(down); down()";
    a_million_brackets_are_an_error: "return JSON.parse('['.repeat(1e6))";

    a_returned_function_is_an_error: "return () => 1";
    a_returned_symbol_is_an_error: "return Symbol('x')";
    a_returned_cycle_is_an_error: "const ring = {}; ring.ring = ring; return ring";
    a_returned_bigint_is_an_error: "return { big: 1n }";
    a_returned_nan_is_an_error: "return { nan: NaN }";
    a_returned_infinity_is_an_error: "return [Infinity]";
    a_returned_map_is_an_error: "return { map: new Map() }";
    a_returned_set_is_an_error: "return new Set([1])";
    a_nested_function_is_an_error: "return { deep: [{ f() {} }] }";
    returning_nothing_is_an_error: "return";
    a_state_over_the_limit_is_an_error: "return 'x'.repeat(11 * 1024 * 1024)";
    a_state_that_throws_when_it_is_read_is_an_error: "return { get trap() { throw new Error('trap') } }";
    a_state_that_is_endless_is_an_error: "return { toJSON() { return { again: this, next: { toJSON: this.toJSON } } } }";
    a_state_too_deep_to_write_down_is_an_error: "let deep = []; for (let n = 0; n < 200000; n++) deep = [deep]; return deep";
}

#[test]
fn broken_builtins_are_whole_again_for_the_next_request() {
    let server = Server::start();
    let code = "function reducer(state, request) {
            if (request.body.evil) {
                JSON.stringify = () => 'spoilt'; JSON.parse = () => 'spoilt';
                Object.prototype.spoilt = true; Array.prototype.map = null; globalThis.Date = null;
                Object.defineProperty(Object.prototype, 'good', { get: () => 7, configurable: true });
                delete globalThis.Math; Promise.prototype.then = null;
            }
            return { good: (state?.good ?? 0) + 1, whole: typeof [].map + typeof Date + typeof Math + {}.spoilt };
        }";
    let hook = Hook::running(&server, code);
    for body in [json!({}), json!({"evil": true}), json!({})] {
        hook.fold(&body);
    }
    let state = hook.state();
    assert_eq!(state["whole"], "functionfunctionobjectundefined");
    assert!(state["good"] == 3 || state["good"] == 2, "{state}");
    hook.publish(code);
    assert_eq!(hook.state(), state);
}

#[test]
fn an_error_names_the_owners_own_line() {
    let server = Server::start();
    let code = "type State = { n: number };\ninterface Unused { a: string }\n\nfunction reducer(state: State, request): State {\n    const body: any = request.body;\n    throw new TypeError('line six');\n}\n";
    let hook = Hook::running(&server, code);
    hook.fold(&json!({}));
    let error = &hook.history()[0]["error"];
    assert_eq!((&error["name"], &error["message"]), (&json!("TypeError"), &json!("line six")));
    let stack = error["stack"].as_str().expect("a stack is text");
    assert!(stack.contains("reducer") && stack.contains(":6:"), "{stack}");
}

#[test]
fn hostile_responders_and_queries_harm_nobody() {
    let mut server = Server::start();
    let code = "
        const evil = { loop() { while (true) {} }, memory() { const all = []; while (true) all.push(new Array(1000).fill(1)); },
            stack() { return evil.stack() + 1; }, status() { return { statusCode: 99999, body: 1 }; },
            header() { return { statusCode: 200, headers: { 'bad name\\r\\nx': 'a\\r\\nb: c' }, body: 'ok' }; },
            large() { return { statusCode: 200, body: 'x'.repeat(2e6) }; } };
        function responder(request) { return evil[request.body.evil]?.() ?? { statusCode: 200, body: 'fine' }; }
        function query(state, params) { return evil[params.get('evil')]?.() ?? state; }
        function reducer(state) { return (state ?? 0) + 1; }";
    let hook = Hook::running(&server, code);
    for evil in ["loop", "memory", "stack", "status", "header", "large"] {
        let answered = hook.write(&json!({ "evil": evil }));
        assert!(answered.status == 500 || evil == "header", "{evil}: {}", answered.status);
        let read = hook.read(&format!("evil={evil}"));
        assert!(read.status == 500 || evil == "header", "{evil}: {}", read.status);
        assert!(answered.header("b").is_none() && read.header("b").is_none(), "no header is smuggled in");
    }
    assert_eq!(hook.write(&json!({})).expect(200).text(), "fine");
    hook.read("after=7").expect(200);
    hook.history().iter().for_each(|entry| assert_ne!(entry["status"], "pending"));
    assert!(hook.state() != Value::Null && server.is_well());
}
