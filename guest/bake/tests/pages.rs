//! Pages: what their handlers return is shown, and looks otherwise where a person moves in it.

mod common;

use common::runs::*;
use rules::call::{
    Stop,
    run::{End, Telling},
};
use serde_json::{Value, json};

#[test]
fn a_layout_is_shown_once_all_of_it_is_there_and_nobody_answers_it() {
    let mut run = page(
        "const rows = await (await ctx.fetch('http://x/rows')).json();
        return new Layout({
            title: async () => `All ${ctx.params.n}`,
            description: Promise.resolve('Everybody'),
            menuItems: [{ label: 'New', route: 'users/create', params: { when: new Date(0) }, theme: 'primary' }],
            children: [
                display.metadata('Some', { data: [{ label: 'Late', value: async () => rows.length }] }),
                display.table('Rows', { data: rows, rowMenuItems: (row) => [{ label: 'Edit', route: `edit/${row.id}` }] }),
            ],
        });",
    );
    assert_eq!(run.calls(), ["0 Fetch GET http://x"]);
    let rows = r#"{"url":"u","status":200,"statusText":"","headers":[],"body":"W3siaWQiOjd9XQ==","redirected":false}"#;
    run.returns("0", rows);
    assert_eq!(run.calls()[1..], ["1 DISPLAY_METADATA+DISPLAY_TABLE Some, Rows"]);
    assert_eq!(run.stand().end, None, "it is there for as long as somebody looks");
    let layout = run.payload("1");
    let head = ["kind", "title", "description", "menuItems", "errors"].map(|key| layout[key].clone());
    let new = json!({"label": "New", "theme": "primary", "route": "users/create", "params": {"when": "1970-01-01T00:00:00.000Z"}});
    assert_eq!(head, [json!("BASIC"), json!("All 1"), json!("Everybody"), json!([new]), json!([])]);
    let parts = &layout["children"]["toRender"];
    assert_eq!(parts[0]["props"]["data"], json!([{"label": "Late", "value": 1}]));
    let row = json!({"key": "0", "data": {"id": 7}, "menu": [{"label": "Edit", "route": "edit/7"}]});
    assert_eq!(parts[1]["props"]["data"], json!([row]));
    assert_eq!(layout["children"]["kind"], "RENDER");
}

/// A table of a hundred numbers, and one that asks for its rows.
const TWO_TABLES: &str = "return new Layout({ children: [
    display.table('There', { data: Array.from({ length: 100 }, (_, n) => ({ n })) }),
    display.heading('Between'),
    display.table('Asked', { columns: ['n'], getData: async ({ offset, queryTerm }) => {
        if (queryTerm === 'none') throw new RangeError('no such rows');
        const given = await ctx.fetch(`http://x/${offset}`);
        return { data: [{ n: given.status }], totalRecords: 300 };
    } }),
] });";

fn parts(layout: &Value) -> [Value; 2] {
    [0, 2].map(|index| layout["children"]["toRender"][index]["props"]["data"].clone())
}

fn response(status: u16) -> String {
    format!(r#"{{"url":"u","status":{status},"statusText":"","headers":[],"body":"","redirected":false}}"#)
}

#[test]
fn a_person_moves_in_each_part_and_the_others_stay_where_they_are() {
    let mut run = page(TWO_TABLES);
    let first = run.payload("0");
    assert_eq!((parts(&first)[0].as_array().map(Vec::len), &parts(&first)[1]), (Some(100), &json!([])));
    run.state("0", r#"{"offset":90,"pageSize":20},null,null"#);
    let [there, asked] = parts(&run.rendered("0"));
    assert_eq!(
        (there[0]["data"]["n"].clone(), there.as_array().map(Vec::len), asked),
        (json!(90), Some(10), json!([]))
    );
    run.state("0", r#"{"offset":90,"pageSize":20},null,{"offset":20,"pageSize":20}"#).returns("0.0", &response(201));
    let [there, asked] = parts(&run.rendered("0"));
    assert_eq!((there[0]["data"]["n"].clone(), asked[0]["data"]["n"].clone()), (json!(90), json!(201)));
    assert_eq!(run.calls()[1..], ["0.0 Fetch GET http://x"], "what was fetched once is not fetched again");
}

#[test]
fn rows_that_cannot_be_had_are_said_on_the_page_until_others_can() {
    let mut run = page(TWO_TABLES);
    run.state("0", r#"null,null,{"queryTerm":"none","offset":0,"pageSize":20}"#);
    let error = json!([{"layoutKey": "Asked", "error": "RangeError", "message": "no such rows"}]);
    assert_eq!(run.rendered("0")["errors"], error);
    run.state("0", r#"null,null,{"offset":0,"pageSize":20}"#).returns("0.0", &response(200));
    assert_eq!(run.rendered("0")["errors"], json!([]));
}

#[test]
fn a_page_that_is_opened_anew_begins_where_people_were() {
    let mut run = Run::of(&format!(
        "export const actions = {{ it: new Page({{ name: 'It', handler: async (display, ctx) => {{ {TWO_TABLES} }} }}) }};"
    ));
    run.states = r#"[{"offset":90,"pageSize":20},null,{"offset":20,"pageSize":20}]"#.into();
    run.play().returns("0", &response(201));
    let [there, asked] = parts(&run.payload("1"));
    assert_eq!((there[0]["data"]["n"].clone(), asked[0]["data"]["n"].clone()), (json!(90), json!(201)));
}

#[test]
fn what_is_wrong_is_said_where_it_is() {
    let layout = page(
        "return new Layout({ title: () => { throw new RangeError('no title') }, description: Promise.reject('none') });",
    );
    let errors = json!([
        {"layoutKey": "title", "error": "RangeError", "message": "no title"},
        {"layoutKey": "description", "error": "Error", "message": "none"},
    ]);
    assert_eq!(layout.payload("0")["errors"], errors);
    let failed = |body: &str| {
        let run = page(body);
        format!("{}: {}", run.failure().name, run.failure().message)
    };
    assert_eq!(failed("throw new RangeError('no page today')"), "RangeError: no page today");
    assert!(failed("return 'text'").contains("a page returns new Layout("));
    assert!(failed("return new Layout({ children: display.heading('x') })").contains("children must be an array"));
    assert!(failed("return new Layout({ menuItems: [{ route: 'x' }] })").contains("menuItems[0]: label must be text"));
    assert_eq!(page("").result(), r#"{"json":null,"meta":{"values":["undefined"]}}"#, "it shows nothing of its own");
}

#[test]
fn a_page_only_shows() {
    for body in [
        "await io.input.text('Name')",
        "await display.heading('x')",
        "await io.group([io.input.text('a')])",
        "return new Layout({ children: [io.input.text('a')] })",
        "return new Layout({ children: [await display.heading('x').then(() => 1, () => 2)] })",
        "return new Layout({ children: [display.heading('x').withChoices(['a'])] })",
        "await ctx.step('a', () => 1)",
        "await ctx.sleep(1)",
        "await ctx.send({})",
        "await ctx.call('f')",
        "await ctx.job('1')",
        "await ctx.notify({ message: 'm' })",
    ] {
        let run = page(body);
        let error = run.failure();
        let says = error.name == "TypeError"
            && error.message.contains("a page only shows")
            && error.message.contains("menuItems");
        assert!(says, "{body}: {error:?}");
        assert_eq!(run.calls(), [""; 0], "{body}");
    }
}

#[test]
fn a_page_tells_logs_and_leads_elsewhere_and_is_stopped_as_a_run_is() {
    let run = page(
        "ctx.log('seen', ctx.page, ctx.user.email); await ctx.redirect({ route: 'other' }); return new Layout({});",
    );
    assert_eq!(run.tellings(Telling::Log), [r#"{"text":"seen undefined a@b.c","level":"info"}"#]);
    assert_eq!(run.tellings(Telling::Redirect), [r#"{"route":"other"}"#]);
    let mut endless = Run::of("export const actions = { it: new Page({ name: 'It', handler: () => { for (;;); } }) };");
    assert_eq!(endless.try_play().result.unwrap_err().stop, Some(Stop::Budget));
    endless.source = "export const actions = { it: new Page({ name: 'It', routes: {} }) };".into();
    assert!(matches!(endless.play().stand().end, Some(End::Completed(_))), "a heading");
}
