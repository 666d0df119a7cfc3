//! Templates: declared while a program loads, built when they are listed.

mod common;

use common::*;
use rules::call::{Call, Json, Outcome, Ran, Stop};
use rules::limits::{Limits, TEMPLATES_MAX};

fn listed(source: &str, state: Option<&str>) -> Ran<Json> {
    listed_within(source, state, Limits::default())
}

fn listed_within(source: &str, state: Option<&str>, limits: Limits) -> Ran<Json> {
    let call = Call::Templates { state: state.map(Json::from), secrets: r#"{"key":"k"}"#.into() };
    match program(source).call(call, limits).unwrap() {
        Outcome::Templated(ran) => ran,
        other => panic!("not templated: {other:?}"),
    }
}

fn list(source: &str, state: Option<&str>) -> String {
    listed(source, state).result.unwrap_or_else(|failure| panic!("{source}: {failure:?}")).to_string()
}

#[test]
fn templates_are_listed_in_their_order_and_built_from_the_state() {
    let source =
        "template('first', (state) => ({ body: { n: state.n, who: input('who'), kind: select('kind', ['a', 'b']) } }));
        template('second', async () => { await 0; return { headers: { authorization: secrets.key } } });
        template('first', function () { return undefined });";
    assert_eq!(
        list(source, Some(r#"{"n":1}"#)),
        concat!(
            r#"[{"name":"first","template":{"body":{"n":1,"who":{"field":"input","name":"who"},"#,
            r#""kind":{"field":"select","name":"kind","options":["a","b"]}}}},"#,
            r#"{"name":"second","template":{"headers":{"authorization":"k"}}},"#,
            r#"{"name":"first","template":null}]"#
        )
    );
    assert_eq!(list("template('t', (state) => [state]);", None), r#"[{"name":"t","template":[null]}]"#);
    assert_eq!(list("export const reducer = () => 1", None), "[]");
}

#[test]
fn each_is_given_a_state_of_its_own() {
    let source =
        "const build = (state) => { state.push(1); return state }; template('a', build); template('b', build);";
    assert_eq!(list(source, Some("[0]")), r#"[{"name":"a","template":[0,1]},{"name":"b","template":[0,1]}]"#);
}

#[test]
fn one_that_cannot_be_built_says_why_and_the_rest_go_on() {
    let source = "template('thrown', () => { throw new RangeError('\"no\"') });
        template('unfit', () => 1n);
        template('endless', () => new Promise(() => {}));
        template('deep', () => { let deep = 1; for (let i = 0; i < 127; i++) deep = [deep]; return deep });
        template('patched', () => { JSON.stringify = () => 'nonsense'; return { toJSON: () => 7 } });
        template('good', () => 'text');";
    let list: serde_json::Value = serde_json::from_str(&list(source, None)).unwrap();
    assert_eq!(list[0], serde_json::json!({"name": "thrown", "error": {"name": "RangeError", "message": "\"no\""}}));
    assert_eq!((&list[1]["error"]["name"], &list[2]["error"]["name"]), (&"TypeError".into(), &"Error".into()));
    assert_eq!(list[3]["error"]["message"], "the template nests deeper than 126");
    assert_eq!((&list[4]["template"], &list[5]["template"]), (&7.into(), &"text".into()));
}

#[test]
fn all_of_them_share_the_bounds_of_one_call() {
    let looping = "template('a', () => 1); template('b', () => { for (;;); }); template('c', () => 1);";
    assert_eq!(listed(looping, None).result.unwrap_err().stop, Some(Stop::Budget));
    let bomb = "template('a', () => { const all = []; for (;;) all.push(new Uint8Array(1 << 20)) });";
    assert_eq!(listed(bomb, None).result.unwrap_err().stop, Some(Stop::Memory));
    let limits = Limits { response_bytes: 40, ..Limits::default() };
    let failure = listed_within("template('a', () => 'x'.repeat(40));", None, limits).result.unwrap_err();
    assert_eq!(failure.error.message, "the templates are more than the 40 bytes allowed");
    assert!(listed_within("template('a', () => 'xxxxxxxxxx');", None, limits).result.is_ok());
}

#[test]
fn a_console_line_of_a_builder_is_kept() {
    let ran = listed("template('a', (state) => { console.warn(state); return 1 });", Some("[2]"));
    assert_eq!(ran.console[0].messages, ["[2]"]);
}

#[test]
fn a_template_is_declared_at_the_top_and_nowhere_else() {
    let words = "template(…) is called at the top level of a program, not while one of its functions runs";
    let failure = failure_of("template('late', () => 1)");
    assert_eq!((failure.error.name.as_str(), failure.error.message.as_str()), ("Error", words));
    // Nor from a builder, nor by what was kept of it.
    let source = "const later = template; template('a', () => { later('b', () => 1) });";
    assert_eq!(list(source, None), format!(r#"[{{"name":"a","error":{{"name":"Error","message":"{words}"}}}}]"#));
    // While the program loads, a function of its own may do it.
    let source = "const declare = (name) => template(name, () => name); ['a', 'b'].forEach(declare);";
    assert_eq!(list(source, None), r#"[{"name":"a","template":"a"},{"name":"b","template":"b"}]"#);
}

#[test]
fn what_is_no_template_does_not_load() {
    assert_eq!(load_error("template(7, () => 1)").name, "TypeError");
    assert_eq!(load_error("template('a', { body: {} })").name, "TypeError");
    assert_eq!(load_error("template('a')").place.map(|(line, _)| line), Some(1));
    let many = |count: usize| format!("for (let i = 0; i < {count}; i++) template(`t${{i}}`, () => i);");
    assert_eq!(load_error(&many(TEMPLATES_MAX + 1)).message, "a program has at most 64 templates");
    let most: Vec<serde_json::Value> = serde_json::from_str(&list(&many(TEMPLATES_MAX), None)).unwrap();
    assert_eq!((most.len(), &most[63]["template"]), (64, &63.into()));
}

#[test]
fn a_name_that_declares_while_it_is_read_does_no_harm() {
    let source = "String.prototype.toWellFormed = function () { template('inner', () => 1); return 'other' };
        template('\\ud800', () => 2);";
    assert_eq!(list(source, None), r#"[{"name":"inner","template":1},{"name":"other","template":2}]"#);
}

#[test]
fn an_error_that_declares_while_it_is_made_does_no_harm() {
    let source = "let n = 0; Error.prepareStackTrace = () => { if (n++ < 3) template('more', () => 1); return '' };
        for (let i = 0; i < 64; i++) template('t', () => i);
        try { template('t', () => 1) } catch {}";
    assert_eq!(list(source, None).matches("name").count(), TEMPLATES_MAX);
}

#[test]
fn fields_to_fill_in_are_marked() {
    assert_eq!(
        value_of("[input('a'), select('b', ['x'])]"),
        r#"[{"field":"input","name":"a"},{"field":"select","name":"b","options":["x"]}]"#
    );
}
