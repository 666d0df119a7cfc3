//! Every method of io: what it shows, and what its answer becomes.

mod common;

use common::runs::*;
use rules::call::Stop;
use serde_json::{Value, json};

/// The first part of what is asked, its props, and what an answer makes of it.
fn asked(call: &str, answer: &str, then: &str) -> (Value, String) {
    let mut run = run(&format!("const given = await {call}; return {then};"));
    let part = run.part("0");
    run.answer("0", answer);
    (part, run.result())
}

/// Props and their superjson notes of a display that was shown, and the rest of the run done.
fn shown(call: &str) -> (Value, Value) {
    let run = run(&format!("return await {call};"));
    assert_eq!(run.result(), r#"{"json":null}"#, "{call}");
    let part = run.part("0");
    (part["props"].clone(), part["propsMeta"].clone())
}

#[test]
fn texts_and_numbers_are_given_as_they_are() {
    for (method, wire, props) in [
        (
            "text",
            "INPUT_TEXT",
            "{ helpText: 'h', placeholder: 'p', defaultValue: 'd', multiline: true, lines: 3, minLength: 1, maxLength: 9, disabled: false }",
        ),
        ("email", "INPUT_EMAIL", "{ helpText: 'h', unknown: 1 }"),
        ("richText", "INPUT_RICH_TEXT", "{}"),
    ] {
        let (part, result) = asked(&format!("io.input.{method}('L', {props})"), "\"v\"", "given");
        assert_eq!(
            (part["methodName"].as_str(), part["label"].as_str(), result.as_str()),
            (Some(wire), Some("L"), r#"{"json":"v"}"#)
        );
        assert_eq!(part["props"]["unknown"], Value::Null);
    }
    let (part, result) =
        asked("io.input.number('N', { min: 1, max: 9, prepend: '$', decimals: 2, currency: 'USD' })", "4.5", "given");
    assert_eq!(part["props"], json!({"min": 1, "max": 9, "prepend": "$", "decimals": 2, "currency": "USD"}));
    assert_eq!(result, r#"{"json":4.5}"#);
    let (part, _) = asked("io.input.slider('S', { min: 1, max: 9, step: 2 })", "3", "given");
    assert_eq!(
        (part["methodName"].as_str(), &part["props"]),
        (Some("INPUT_SLIDER"), &json!({"min": 1, "max": 9, "step": 2}))
    );
    let (part, result) = asked("io.input.boolean('B')", "true", "given");
    assert_eq!((&part["props"], result.as_str()), (&json!({"defaultValue": false}), r#"{"json":true}"#));
}

#[test]
fn an_optional_answer_that_was_left_out_is_undefined() {
    for call in [
        "io.input.text('A').optional()",
        "io.input.url('A').optional()",
        "io.select.table('A', { data: [{ a: 1 }] }).optional()",
        "io.search('A', { onSearch: () => [], renderResult: (x) => x }).multiple().optional()",
    ] {
        let (part, result) = asked(call, "null", "given");
        assert_eq!(
            (part["isOptional"].as_bool(), result.as_str()),
            (Some(true), r#"{"json":null,"meta":{"values":["undefined"]}}"#),
            "{call}"
        );
    }
    let (part, _) = asked("io.input.text('A').optional(false)", "\"a\"", "given");
    assert_eq!(part["isOptional"], false);
}

#[test]
fn a_url_is_a_url_and_a_date_has_one_of_its_own() {
    let (part, result) = asked("io.input.url('U')", "\"https://a.b/c\"", "[given instanceof URL, given.pathname]");
    assert_eq!(
        (&part["props"], result.as_str()),
        (&json!({"allowedProtocols": ["http", "https"]}), r#"{"json":[true,"/c"]}"#)
    );
    let (part, result) =
        asked("io.input.date('D', { min: new Date(0) })", r#"{"year":2024,"month":2,"day":29}"#, "given");
    assert_eq!(part["props"]["min"], json!({"year": 1970, "month": 1, "day": 1}));
    assert_eq!(
        result,
        r#"{"json":{"year":2024,"month":2,"day":29,"jsDate":"2024-02-29T00:00:00.000Z"},"meta":{"values":{"jsDate":["Date"]}}}"#
    );
    let (part, result) =
        asked("io.input.time('T', { defaultValue: { hour: 1, minute: 2 } })", r#"{"hour":3,"minute":4}"#, "given");
    assert_eq!(
        (&part["props"]["defaultValue"], result.as_str()),
        (&json!({"hour": 1, "minute": 2}), r#"{"json":{"hour":3,"minute":4}}"#)
    );
    let (part, result) = asked(
        "io.input.datetime('DT', { defaultValue: new Date(3600000) })",
        r#"{"year":2024,"month":2,"day":29,"hour":5,"minute":6}"#,
        "given.jsDate",
    );
    assert_eq!(part["props"]["defaultValue"], json!({"year": 1970, "month": 1, "day": 1, "hour": 1, "minute": 0}));
    assert_eq!(result, r#"{"json":"2024-02-29T05:06:00.000Z","meta":{"values":["Date"]}}"#);
}

#[test]
fn a_file_is_read_where_it_lies() {
    let mut run = run(
        "const f = await io.input.file('F', { allowedExtensions: ['.txt'] }); return [f.name, f.extension, f.lastModified, await f.url(), await f.text(), (await f.buffer()).length];",
    );
    assert_eq!(
        (&run.part("0")["isStateful"], &run.part("0")["props"]),
        (&json!(true), &json!({"allowedExtensions": [".txt"]}))
    );
    run.answer("0", r#"{"name":"a.b.txt","type":"text/plain","lastModified":5,"size":3,"url":"http://u/1"}"#);
    assert_eq!(run.calls()[1], "1 Fetch GET http://u");
    let body = r#"{"url":"u","status":200,"statusText":"","headers":[],"body":"YWJj","redirected":false}"#;
    run.returns("1", body).returns("2", body);
    assert_eq!(
        run.result(),
        r#"{"json":["a.b.txt",".txt","1970-01-01T00:00:00.005Z","http://u/1","abc",3],"meta":{"values":{"2":["Date"]}}}"#
    );
    let (part, result) = asked(
        "io.input.file('F').multiple()",
        r#"[{"name":"a","type":"t","lastModified":5,"size":3,"url":"http://u/1"}]"#,
        "given.map((f) => f.size)",
    );
    assert_eq!((&part["isMultiple"], result.as_str()), (&json!(true), r#"{"json":[3]}"#));
}

#[test]
fn an_option_that_is_chosen_is_the_one_that_was_given() {
    let (part, result) = asked(
        "io.select.single('S', { options: [{ label: 'One', value: 1, more: 'x' }, { label: 'Two', value: '1' }], defaultValue: { label: 'One', value: 1 } })",
        r#"{"label":"One","value":1}"#,
        "given",
    );
    assert_eq!(
        part["props"],
        json!({"options": [{"label": "One", "value": 1}, {"label": "Two", "value": "1"}], "defaultValue": {"label": "One", "value": 1}})
    );
    assert_eq!(result, r#"{"json":{"label":"One","value":1,"more":"x"}}"#);
    let (part, result) = asked(
        "io.select.single('S', { options: ['a', 2, new Date(0)], defaultValue: 'z' })",
        r#"{"label":"x","value":"1970-01-01T00:00:00.000Z"}"#,
        "given",
    );
    assert_eq!(part["propsMeta"], json!({"values": {"options.2.label": ["Date"], "options.2.value": ["Date"]}}));
    assert_eq!(
        (part["props"]["defaultValue"].is_null(), result.as_str()),
        (true, r#"{"json":"1970-01-01T00:00:00.000Z","meta":{"values":["Date"]}}"#)
    );
    let (part, result) = asked(
        "io.select.multiple('M', { options: ['a', 'b', 'c'], defaultValue: ['b'], minSelections: 1 })",
        r#"[{"label":"c","value":"c"},{"label":"a","value":"a"}]"#,
        "given",
    );
    assert_eq!(part["props"]["defaultValue"], json!([{"label": "b", "value": "b"}]));
    assert_eq!(result, r#"{"json":["c","a"]}"#);
}

const ROWS: &str =
    "Array.from({ length: 1200 }, (_, i) => ({ id: i, name: 'n' + (i % 7), at: new Date(i * 86400000) }))";

#[test]
fn rows_that_are_chosen_are_the_rows_that_were_given() {
    let mut run = run(&format!(
        "const rows = {ROWS}; const chosen = await io.select.table('T', {{ data: rows, columns: ['id', {{ label: 'Day', renderCell: (row) => row.at }}, {{ label: 'N', renderCell: (row) => ({{ label: row.name, value: row.id }}) }}], initiallySelected: (row) => row.id === 3, rowMenuItems: (row) => [{{ label: 'Go', route: 'r', params: {{ id: row.id }} }}], minSelections: 1 }}); return chosen.map((row) => rows.indexOf(row));"
    ));
    let part = run.part("0");
    let props = &part["props"];
    assert_eq!(props["columns"], json!([{"label": "id", "accessorKey": "id"}, {"label": "Day"}, {"label": "N"}]));
    assert_eq!(
        (props["data"].as_array().unwrap().len(), &props["totalRecords"], &props["selectedKeys"]),
        (500, &json!(1200), &json!(["3"]))
    );
    assert_eq!(
        props["data"][1],
        json!({"key": "1", "data": {"id": 1, "1": "1970-01-02T00:00:00.000Z", "2": {"label": "n1", "value": 1}}, "menu": [{"label": "Go", "route": "r", "params": {"id": 1}}]})
    );
    assert_eq!(part["propsMeta"]["values"]["data.1.data.1"], json!(["Date"]));
    run.state(
        "0",
        r#"{"queryTerm":"N2","sortColumn":"id","sortDirection":"desc","offset":1,"pageSize":2,"isSelectAll":true}"#,
    );
    let now = &run.rendered("0")["toRender"][0]["props"];
    assert_eq!((&now["totalRecords"], &now["data"][0]["key"]), (&json!(172), &json!("1192")));
    assert_eq!(now["selectedKeys"].as_array().unwrap().len(), 172);
    // Only the last look of a table counts, and it is the same however often it is played.
    run.state("0", r#"{"offset":0,"pageSize":2,"isSelectAll":false}"#);
    assert_eq!(run.rendered("0")["toRender"][0]["props"]["selectedKeys"], json!([]));
    assert_eq!(run.try_play().result.unwrap().rendered, run.stand().rendered);
    run.answer("0", r#"[{"key":"1199"},{"key":"3"}]"#);
    assert_eq!(run.result(), r#"{"json":[3,1199]}"#);
    assert!(run.stand().rendered.is_empty());
}

#[test]
fn a_table_that_is_shown_is_paged_after_the_run_has_ended() {
    let mut run = run(&format!(
        "await io.display.table('T', {{ data: {ROWS}, orientation: 'horizontal', defaultPageSize: 20 }}); return 1;"
    ));
    assert_eq!(run.result(), r#"{"json":1}"#);
    let props = &run.part("0")["props"];
    assert_eq!(
        (props["data"].as_array().unwrap().len(), &props["isAsync"], &props["isSortable"]),
        (500, &json!(false), &json!(true))
    );
    run.state("0", r#"{"offset":600,"pageSize":20}"#);
    let rows = run.rendered("0")["toRender"][0]["props"]["data"].clone();
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["key"]), (60, &json!("600")));
    assert_eq!(run.result(), r#"{"json":1}"#);
    assert_eq!(run.calls().len(), 1);
    run.state("0", r#"{"queryTerm":"12/31/1970","offset":0,"pageSize":20}"#);
    assert_eq!(run.rendered("0")["toRender"][0]["props"]["totalRecords"], json!(1));
}

#[test]
fn a_table_of_rows_that_are_fetched_asks_for_each_page() {
    let mut run = run(
        "await io.display.table('T', { columns: ['id'], getData: async ({ offset, pageSize, queryTerm }) => { const r = await ctx.fetch(`http://x/?o=${offset}`); return { data: [{ id: (await r.text()) + queryTerm }], totalRecords: 77 } } }); await io.input.text('x');",
    );
    assert_eq!(run.part("0")["props"]["data"], json!([]));
    run.state("0", r#"{"offset":20,"pageSize":20,"queryTerm":"q"}"#);
    assert_eq!(run.calls(), ["0 DISPLAY_TABLE T", "1 INPUT_TEXT x", "0.0 Fetch GET http://x"]);
    assert!(run.stand().rendered.is_empty());
    run.returns("0.0", r#"{"url":"u","status":200,"statusText":"","headers":[],"body":"YQ==","redirected":false}"#);
    let props = run.rendered("0")["toRender"][0]["props"].clone();
    assert_eq!((&props["data"], &props["totalRecords"]), (&json!([{"key": "20", "data": {"id": "aq"}}]), &json!(77)));
    run.answer("1", "\"x\"");
    assert!(run.stand().end.is_some());
}

#[test]
fn a_search_finds_and_its_answer_is_what_was_found() {
    let mut run = run(
        "const users = [{ n: 'Al zed' }, { n: 'Bo' }]; const user = await io.search('S', { initialResults: [users[1]], defaultValue: users[0], renderResult: (u) => ({ label: u.n, description: 'd' }), onSearch: async (q) => { await ctx.step('find ' + q, () => 1); return users.filter((u) => u.n.includes(q)) } }); return [user === users[0], user];",
    );
    let props = &run.part("0")["props"];
    assert_eq!(
        props["results"],
        json!([{"label": "Bo", "description": "d", "value": "0:0"}, {"label": "Al zed", "description": "d", "value": "default:0"}])
    );
    assert_eq!(props["defaultValue"], "default:0");
    run.state("0", r#"{"queryTerm":"o"}"#).state("0", r#"{"queryTerm":"zed"}"#);
    assert_eq!(run.calls()[1..], ["0.0 Step find o", "0.1 Step find zed"]);
    assert_eq!(
        run.rendered("0")["toRender"][0]["props"]["results"],
        json!([{"label": "Al zed", "description": "d", "value": "2:0"}])
    );
    run.answer("0", "\"2:0\"");
    assert_eq!(run.result(), r#"{"json":[true,{"n":"Al zed"}]}"#);
}

#[test]
fn what_is_exclusive_stands_alone() {
    let (part, result) = asked("io.confirmIdentity('Really?', { gracePeriodMs: 5 })", "true", "given");
    assert_eq!((part["methodName"].as_str(), result.as_str()), (Some("CONFIRM_IDENTITY"), r#"{"json":true}"#));
    let run = run("await io.group([io.confirm('a')]);");
    assert_eq!(run.failure().message, "io.confirm stands alone, not in a group");
}

#[test]
fn choices_of_a_question_come_with_its_answer() {
    let mut run = run(
        "return await io.input.text('T').withChoices(['Go', { label: 'Stop', value: 's' }]).validate(({ choice, returnValue }) => choice === 's' && returnValue === 'x' ? 'cannot stop' : undefined);",
    );
    run.returns("0", r#"{"values":["x"],"choice":"s"}"#);
    assert_eq!(run.payload("0~1")["validationErrorMessage"], "cannot stop");
    run.returns("0~1", r#"{"values":["y"],"choice":"s"}"#);
    assert_eq!(run.result(), r#"{"json":{"choice":"s","returnValue":"y"}}"#);
    let mut run = common::runs::run(
        "return await io.group([io.input.number('N')]).withChoices(['Go']).validate(({ returnValue: [n] }) => n > 5 ? 'large' : null);",
    );
    run.returns("0", r#"{"values":[6],"choice":"Go"}"#).returns("0~1", r#"{"values":[5],"choice":"Go"}"#);
    assert_eq!(run.result(), r#"{"json":{"choice":"Go","returnValue":[5]}}"#);
}

#[test]
fn displays_show_what_they_are_given() {
    assert_eq!(shown("io.display.heading('H', { level: 3, description: 'd', menuItems: [{ label: 'L', action: 'a', theme: 'danger' }] })").0, json!({"level": 3, "description": "d", "menuItems": [{"label": "L", "theme": "danger", "action": "a"}]}));
    assert_eq!(shown("io.display.markdown('**m**')").0, json!({}));
    assert_eq!(shown("io.display.html('H', { html: '<b>x</b>' })").0, json!({"html": "<b>x</b>"}));
    assert_eq!(shown("io.display.code('C', { code: 'x', language: 'js' })").0, json!({"code": "x", "language": "js"}));
    assert_eq!(
        shown("io.display.image('I', { buffer: new Uint8Array([0x89, 0x50, 0x4e, 0x47]), size: 'small' })").0,
        json!({"width": "small", "height": "small", "url": "data:image/png;base64,iVBORw=="})
    );
    assert_eq!(
        shown("io.display.video('V', { url: 'http://v', loop: true })").0,
        json!({"url": "http://v", "loop": true})
    );
    assert_eq!(
        shown("io.display.link('L', { route: 'r', params: { d: new Date(0) }, theme: 'primary' })").1,
        json!({"values": {"params.d": ["Date"]}})
    );
    let (props, meta) = shown(
        "io.display.object('O', { data: { map: new Map([['a.b', new Set([1n])]]), 'x.y': undefined, r: /a/g, u: new URL('http://u/'), n: NaN, e: new TypeError('t'), f() {} } })",
    );
    assert_eq!(
        props["data"],
        json!({"map": [["a.b", ["1"]]], "x.y": null, "r": "/a/g", "u": "http://u/", "n": "NaN", "e": {"name": "TypeError", "message": "t"}})
    );
    assert_eq!(
        meta["values"],
        json!({"data.map": ["map", {"0.1": ["set", {"0": ["bigint"]}]}], "data.x\\.y": ["undefined"], "data.r": ["regexp"], "data.u": ["URL"], "data.n": ["number"], "data.e": ["Error"]})
    );
    let (props, _) = shown(
        "io.display.grid('G', { data: [{ n: 'a' }], renderItem: (row) => ({ label: row.n, image: { url: 'http://i' } }), idealColumnWidth: 200 })",
    );
    assert_eq!(props["data"], json!([{"key": "0", "data": {"label": "a", "image": {"url": "http://i"}}}]));
}

#[test]
fn metadata_that_is_still_to_come_is_waited_for() {
    let mut run = run(
        "await io.display.metadata('M', { layout: 'card', data: [{ label: 'a', value: 1n }, { label: 'b', value: () => Promise.resolve('late') }, { label: 'c', value: ctx.fetch('http://c').then((r) => r.text()) }, { label: 'd', value: Promise.reject(new Error('no')) }] });",
    );
    assert_eq!(run.calls(), ["0 Fetch GET http://c"]);
    run.returns("0", r#"{"url":"u","status":200,"statusText":"","headers":[],"body":"Y2Nj","redirected":false}"#);
    assert_eq!(
        run.part("1")["props"],
        json!({"layout": "card", "data": [{"label": "a", "value": "1"}, {"label": "b", "value": "late"}, {"label": "c", "value": "ccc"}, {"label": "d", "error": "no"}]})
    );
}

#[test]
fn props_that_will_not_do_fail_without_being_asked() {
    for (call, words) in [
        ("io.input.number('N', { currency: 'XXX' })", "io.input.number(\"N\"): currency must be one of \"USD\""),
        ("io.input.slider('S', { min: 1 })", "io.input.slider(\"S\"): max must be a number"),
        ("io.select.single('S', {})", "io.select.single: options must be an array"),
        ("io.display.code('C')", "io.display.code(\"C\"): code must be text"),
        ("io.display.heading('H', { level: 9 })", "io.display.heading(\"H\"): level must be one of 2, 3, 4"),
    ] {
        let run = run(&format!("await {call};"));
        assert!(run.moves.is_empty() && run.failure().message.starts_with(words), "{:?}", run.failure());
    }
}

#[test]
fn a_program_that_patches_what_is_around_it_harms_only_itself() {
    for patch in [
        "Array.prototype.map = () => { throw 1 };",
        "Array.prototype.every = Array.prototype.some = () => true; Array.prototype.join = () => 7;",
        "Object.prototype.toJSON = () => 'mine'; Array.prototype.toJSON = () => 'mine';",
        "JSON.stringify = () => '{'; JSON.parse = () => ({});",
        "Promise.prototype.then = function () { throw 2 };",
        "Promise = class { constructor() { throw 3 } }; globalThis.Promise = Promise;",
        "Object.defineProperty(Object.prototype, 'settle', { get() { return 1 } }); Object.prototype.start = () => {};",
        "Map.prototype.get = () => undefined; String.prototype.toWellFormed = () => '\\ud800';",
        "Object.keys = () => ['__proto__', 'constructor']; Function.prototype.call = () => 9; Reflect.apply = null;",
        "Date.prototype.toISOString = () => ({}); Symbol.iterator; Array.prototype[Symbol.iterator] = function* () { for (;;) yield 1 };",
        "delete globalThis.Object; globalThis.TypeError = 4; Error.prepareStackTrace = () => { throw 5 };",
    ] {
        for body in [
            "ctx.log('a', { b: 1 }); const x = await io.input.text('\\ud800 A').validate(() => 'no'); return x",
            "await ctx.step('s', async () => ({ a: [1, new Date(0)] })); await io.display.table('T', { data: [{ a: 1 }] }); return [1]",
            "throw { message: { toString() { throw 6 } } }",
        ] {
            let mut run = Run::of(&action(&format!("{patch} {body}")));
            // Whatever comes of it, it is an answer.
            let ran = run.try_play();
            if ran.result.is_ok() {
                run.play();
                let asked = run.calls().iter().any(|call| call.starts_with("0 INPUT_TEXT"));
                if asked && run.stand().end.is_none() {
                    run.receive("0", Ok(r#"{"values":["v"]}"#));
                    let _ = run.try_play();
                }
            }
        }
    }
    // A name is a name, whatever its data are called.
    let mut run = run("return await ctx.step('s', () => JSON.parse('{\"__proto__\":{\"x\":1},\"constructor\":2}'))");
    run.play();
    assert_eq!(run.result(), r#"{"json":{"__proto__":{"x":1},"constructor":2}}"#);
}

#[test]
fn a_run_that_never_rests_is_stopped() {
    let stop = |body: &str| Run::of(&action(body)).try_play().result.map_err(|failure| failure.stop);
    assert_eq!(stop("for (;;);"), Err(Some(Stop::Budget)));
    assert_eq!(stop("for (;;) await 0;"), Err(Some(Stop::Budget)));
    assert_eq!(stop("const all = []; for (;;) all.push(new Uint8Array(1 << 20));"), Err(Some(Stop::Memory)));
    let words = "the run does and shows more at once than it may";
    assert_eq!(run("for (;;) ctx.log('x'.repeat(9000));").failure().message, words);
    assert_eq!(
        run("for (;;) try { await io.display.code('c', { code: 'x'.repeat(100000) }) } catch {}").failure().message,
        words
    );
    assert_eq!(run("return 'x'.repeat(9 << 20);").failure().message, words);
    let deep = run("let deep = 1; for (let i = 0; i < 200; i++) deep = [deep]; return deep;");
    assert!(deep.failure().message.contains("nests deeper than 100"), "{:?}", deep.failure());
    let nested = run("const inner = (n) => ctx.step('s' + n, () => inner(n + 1)); await inner(0);");
    assert_eq!(nested.failure().message, "steps stand in steps, deeper than 16");
}

#[test]
fn what_an_action_does_not_wait_for_does_not_hold_it() {
    let run = run("ctx.step('late', () => { ctx.log('never') }); io.input.text('never'); ctx.sleep(5); return 1;");
    assert_eq!((run.result().as_str(), run.calls()), (r#"{"json":1}"#, vec!["0 Step late".into(), "1 Sleep".into()]));
    assert!(run.tellings(rules::call::run::Telling::Log).is_empty());
}
