//! Actions: declared, played against a journal, played again.

mod common;

use common::{runs::*, *};
use rules::call::run::{End, Move, Note, Telling};

#[test]
fn a_question_waits_and_its_answer_goes_on() {
    let mut run = run("const name = await io.input.text('Name', { helpText: 'h' }); return `Hello, ${name}`;");
    assert_eq!(run.calls(), ["0 INPUT_TEXT Name"]);
    assert_eq!(run.stand().end, None);
    let part = serde_json::json!({"methodName": "INPUT_TEXT", "label": "Name", "props": {"helpText": "h"},
        "isStateful": false, "isOptional": false, "isMultiple": false});
    assert_eq!(run.payload("0"), serde_json::json!({"toRender": [part]}));
    run.answer("0", r#""Bob""#);
    assert_eq!(run.result(), r#"{"json":"Hello, Bob"}"#);
}

#[test]
fn a_step_is_done_once_and_gives_what_was_kept() {
    let mut run = run("const kept = await ctx.step('charges', async ({ idempotencyKey }) => ({ at: new Date(5), idempotencyKey, big: 7n }));
        const more = await io.confirm('More?'); return [kept, more, kept.at instanceof Date, typeof kept.big];");
    assert_eq!(run.calls(), ["0 Step charges", "1 CONFIRM More?"]);
    let Move::Returned { id, result } = &run.moves[1] else { panic!("{:?}", run.moves) };
    let kept = result.as_ref().unwrap().to_string();
    assert!(id == "0" && kept.contains(r#""meta":{"values":{"at":["Date"],"big":["bigint"]}}"#), "{kept}");
    let key = kept.split("\"idempotencyKey\":\"").nth(1).unwrap()[..36].to_owned();
    assert_eq!(key.as_bytes()[14], b'4', "{key}");
    run.answer("1", "true");
    assert!(
        run.result().ends_with(r#"true,true,"bigint"],"meta":{"values":{"0.at":["Date"],"0.big":["bigint"]}}}"#),
        "{}",
        run.result()
    );
}

#[test]
fn a_step_that_throws_throws_the_same_whenever_it_is_played() {
    let body = "try { await ctx.step('a', async () => { throw new RangeError('no') }); } catch (error) { ctx.log(error instanceof RangeError, error.name, error.message); }
        await io.input.text('x'); class Own extends Error { name = 'Own' } await ctx.step('b', () => { throw new Own('mine') });";
    let mut run = run(body);
    let log = [r#"{"text":"true RangeError no","level":"info"}"#];
    assert_eq!(run.tellings(Telling::Log), log);
    run.answer("1", "\"y\"");
    assert_eq!((run.failure().name.as_str(), run.failure().message.as_str()), ("Own", "mine"));
    assert!(run.failure().place.is_some(), "{:?}", run.failure());
    assert_eq!(run.tellings(Telling::Log), log);
}

#[test]
fn calls_within_a_step_have_its_scope_and_side_by_side_they_do_not_mix() {
    let body = "const get = (name) => ctx.step(name, async () => { const a = await ctx.fetch('http://x/' + name); return (await ctx.fetch('http://x/' + await a.text())).status });
        const all = await Promise.all([get('a'), get('b'), io.input.text('t')]); return all;";
    let mut run = run(body);
    assert_eq!(
        run.calls(),
        ["0 Step a", "1 Step b", "2 INPUT_TEXT t", "0.0 Fetch GET http://x", "1.0 Fetch GET http://x"]
    );
    let response = |status: u16| {
        format!(r#"{{"url":"u","status":{status},"statusText":"","headers":[],"body":"bW9yZQ==","redirected":false}}"#)
    };
    run.receive("1.0", Ok(&response(200)));
    run.returns("0.0", &response(200));
    assert_eq!(run.calls()[5..], ["1.1 Fetch GET http://x", "0.1 Fetch GET http://x"]);
    run.returns("0.1", &response(201));
    run.answer("2", "\"y\"");
    run.returns("1.1", &response(202));
    assert_eq!(run.result(), r#"{"json":[201,202,"y"]}"#);
}

#[test]
fn what_was_told_is_not_told_again() {
    let body = "ctx.log('a', 1, { b: [2] }); await ctx.step('s', () => { ctx.log('inside') }); ctx.log(undefined);
        ctx.loading.start({ label: 'L', itemsInQueue: 2 }); await io.input.text('x'); ctx.loading.completeOne();
        ctx.loading.completeOne(); await io.input.text('y'); ctx.log('end'); ctx.redirect({ route: 'r', params: { d: new Date(0) } });";
    let mut run = run(body);
    run.answer("1", "\"1\"").answer("2", "\"2\"");
    assert_eq!(
        run.tellings(Telling::Log),
        [
            "{\"text\":\"a 1 {\\n  \\\"b\\\": [\\n    2\\n  ]\\n}\",\"level\":\"info\"}",
            r#"{"text":"inside","level":"info"}"#,
            r#"{"text":"undefined","level":"info"}"#,
            r#"{"text":"end","level":"info"}"#
        ]
    );
    assert_eq!(
        run.tellings(Telling::Loading),
        [
            r#"{"label":"L","itemsInQueue":2,"itemsCompleted":0}"#,
            r#"{"label":"L","itemsInQueue":2,"itemsCompleted":2}"#
        ]
    );
    assert_eq!(
        run.tellings(Telling::Redirect),
        [r#"{"route":"r","params":{"d":"1970-01-01T00:00:00.000Z"},"paramsMeta":{"values":{"d":["Date"]}}}"#]
    );
    assert_eq!(run.result(), r#"{"json":null,"meta":{"values":["undefined"]}}"#);
}

#[test]
fn the_console_holds_only_what_is_new() {
    let mut run =
        run("console.log(1); await io.input.text('x'); console.log(2); await io.input.text('y'); console.log(3);");
    assert_eq!(run.console[0].messages, ["1"]);
    run.answer("0", "\"a\"");
    assert_eq!(run.console.iter().map(|line| line.messages[0].as_str()).collect::<Vec<_>>(), ["2"]);
    run.answer("1", "\"a\"");
    assert_eq!(run.console.iter().map(|line| line.messages[0].as_str()).collect::<Vec<_>>(), ["3"]);
}

#[test]
fn a_display_is_shown_and_goes_on_at_once() {
    let mut run = run("const a = await io.display.heading('H', { level: 2 }); await io.display.markdown('**b**');
        await io.group([io.display.heading('x'), io.display.markdown('y')]);
        const c = await io.display.heading('Sure?').withChoices(['Yes', { label: 'No', value: 'n', theme: 'danger' }]); return [a, c];");
    assert_eq!(
        run.calls(),
        [
            "0 DISPLAY_HEADING H",
            "1 DISPLAY_MARKDOWN **b**",
            "2 DISPLAY_HEADING+DISPLAY_MARKDOWN x, y",
            "3 DISPLAY_HEADING Sure?"
        ]
    );
    assert_eq!(run.moves[1], Move::Returned { id: "0".into(), result: Ok(r#"{"values":[null]}"#.into()) });
    assert_eq!(run.moves[5], Move::Returned { id: "2".into(), result: Ok(r#"{"values":[null,null]}"#.into()) });
    assert_eq!(
        run.payload("3")["choiceButtons"],
        serde_json::json!([{"label":"Yes","value":"Yes"},{"label":"No","value":"n","theme":"danger"}])
    );
    run.returns("3", r#"{"values":[null],"choice":"n"}"#);
    assert_eq!(run.result(), r#"{"json":[null,{"choice":"n","returnValue":null}]}"#);
}

#[test]
fn the_clock_stands_at_what_last_came_from_outside() {
    let mut run = run("const t = [Date.now()]; await ctx.step('s', () => { t.push(new Date().getTime()) }); await io.display.heading('h');
        t.push(ctx.now()); await ctx.sleep(500); t.push(Date.now()); await io.input.text('x'); t.push(Date.now()); return t.map((at) => at - 1700000000000);");
    assert_eq!(run.payload("2"), serde_json::json!({"untilMs": NOON + 500}));
    run.returns("2", "null").answer("3", "\"a\"");
    // The step is not run again: what it did to the array is lost, as whatever a step does beside its result.
    assert_eq!(run.result(), r#"{"json":[0,0,1005,2006]}"#);
}

#[test]
fn chance_repeats_with_every_replay_and_differs_between_scopes() {
    let mut run = run("const a = [Math.random(), ctx.uuid(), await ctx.step('s', () => Math.random()), uuid()];
        await io.input.text('x'); return [...a, ctx.random()];");
    let first = run.moves.clone();
    let again = run.try_play();
    assert!(again.result.unwrap().moves.is_empty());
    run.answer("1", "\"a\"");
    let result: serde_json::Value = serde_json::from_str(&run.result()).unwrap();
    let Move::Returned { result: Ok(inside), .. } = &first[1] else { panic!("{first:?}") };
    assert_eq!(inside.to_string(), format!(r#"{{"json":{}}}"#, result["json"][2]));
    assert_ne!(result["json"][0], result["json"][2]);
}

#[test]
fn code_that_asks_something_else_is_changed() {
    let mut run = run("await io.input.text('Name'); await ctx.step('s', () => 1); await io.input.text('Age');");
    run.answer("0", "\"a\"");
    let changed = |run: &Run, body: &str| {
        let other = Run {
            source: action(body),
            journal: run.journal.clone(),
            moves: Vec::new(),
            last: None,
            console: Vec::new(),
            at_ms: 0,
            states: run.states.clone(),
        };
        let stand = other.try_play().result.unwrap();
        match stand.end {
            Some(End::Changed { id, recorded, made }) => format!("{id}: {recorded} | {made}"),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(changed(&run, "await io.input.email('Name');"), "0: INPUT_TEXT Name | INPUT_EMAIL Name");
    assert_eq!(changed(&run, "await io.input.text('Name'); await ctx.sleep(1);"), "1: step s | sleep");
    assert_eq!(changed(&run, "await io.input.text('Name');"), "1: step s | nothing");
    assert_eq!(changed(&run, "return 1"), "0: INPUT_TEXT Name | nothing");
    assert_eq!(
        changed(&run, "try { await io.input.email('Name') } catch { return 1 }"),
        "0: INPUT_TEXT Name | INPUT_EMAIL Name"
    );
    assert_eq!(
        changed(
            &run,
            "await io.input.text('Name'); ctx.log('new'); await ctx.step('s', () => 2); await io.input.text('Age');"
        ),
        "None"
    );
}

#[test]
fn what_fails_is_told_with_its_place() {
    assert_eq!(run("throw new TypeError('no');").failure().place.map(|(line, _)| line), Some(1));
    assert_eq!(run("throw 'text';").failure().message, "text");
    assert_eq!(
        run("return () => 1;").failure().message,
        "the result of the action is a function, which cannot be kept"
    );
    let endless = run("const a = {}; a.a = a; return a;");
    assert_eq!(
        endless.failure().message,
        "the result of the action cannot be kept: it holds itself, which JSON cannot say"
    );
    let never = run("await new Promise(() => {});");
    assert!(
        never.failure().message.starts_with("The action waits for something that never comes"),
        "{never:?}",
        never = never.failure()
    );
    let bad = run("await io.input.text('Name', { minLength: -1 });");
    assert_eq!(bad.failure().message, "io.input.text(\"Name\"): minLength must be a whole number above 0");
    let mut other = Run::of("export const reducer = () => 1;");
    other.play();
    assert_eq!(other.failure().message, "The program has no action `it`.");
}

#[test]
fn a_fetch_is_asked_of_the_server_and_a_failed_one_is_a_type_error() {
    let mut run = run("const r = await ctx.fetch('https://x.y/a?b=1', { method: 'post', headers: { A: 'b' }, body: new URLSearchParams({ c: 'd' }) });
        const seen = [r.ok, r.status, r.headers.get('X-Y'), await r.json()];
        try { await ctx.fetch('http://z') } catch (error) { return [...seen, error instanceof TypeError, error.message] }");
    assert_eq!(run.calls(), ["0 Fetch POST https://x.y"]);
    assert_eq!(
        run.payload("0"),
        serde_json::json!({"url": "https://x.y/a?b=1", "method": "POST", "body": "Yz1k",
            "headers": [["a", "b"], ["content-type", "application/x-www-form-urlencoded;charset=UTF-8"]]})
    );
    run.returns("0", r#"{"url":"u","status":201,"statusText":"","headers":[["x-y","1"],["x-y","2"]],"body":"eyJhIjoxfQ==","redirected":false}"#);
    run.receive("1", Err(error("FetchError", "refused"))).play();
    assert_eq!(run.result(), r#"{"json":[true,201,"1, 2",{"a":1},true,"refused"]}"#);
}

#[test]
fn a_group_is_one_question() {
    let body = "const { name, age, when } = await io.group({ name: io.input.text('Name'), age: io.input.number('Age', { min: 0 }).optional(), when: io.input.date('When', { defaultValue: new Date(0) }) },
        { continueButton: { label: 'Go' } }); return [name, age, when.jsDate];";
    let mut run = run(body);
    assert_eq!(run.calls(), ["0 INPUT_TEXT+INPUT_NUMBER+INPUT_DATE Name, Age, When"]);
    let payload = run.payload("0");
    assert_eq!(payload["toRender"][1]["isOptional"], true);
    assert_eq!(payload["toRender"][2]["props"]["defaultValue"], serde_json::json!({"year":1970,"month":1,"day":1}));
    assert_eq!(payload["choiceButtons"], serde_json::json!([{"label":"Go","value":"Go"}]));
    run.returns("0", r#"{"values":["n",null,{"year":2020,"month":2,"day":3}],"choice":"Go"}"#);
    assert_eq!(
        run.result(),
        r#"{"json":["n",null,"2020-02-03T00:00:00.000Z"],"meta":{"values":{"1":["undefined"],"2":["Date"]}}}"#
    );
}

#[test]
fn an_answer_that_will_not_do_is_asked_again() {
    let body = "const a = await io.input.text('A').validate(async (value) => { if ((await (await ctx.fetch('http://v')).text()) === 'no') return 'taken: ' + value });
        const b = await io.group([io.input.text('B'), io.input.number('C').validate((n) => n < 5 ? 'small' : undefined)]).validate(([b, c]) => b === 'x' ? 'not x' : undefined); return [a, b];";
    let mut run = run(body);
    let response = |text: &str| {
        format!(r#"{{"url":"u","status":200,"statusText":"","headers":[],"body":"{text}","redirected":false}}"#)
    };
    run.answer("0", "\"one\"");
    assert_eq!(run.calls(), ["0 INPUT_TEXT A", "0.0 Fetch GET http://v"]);
    run.returns("0.0", &response("bm8="));
    assert_eq!(run.calls()[2..], ["0~1 INPUT_TEXT A"]);
    assert_eq!(run.part("0~1")["validationErrorMessage"], "taken: one");
    run.answer("0~1", "\"two\"").returns("0~1.0", &response("eWVz"));
    assert_eq!(run.calls()[4..], ["1 INPUT_TEXT+INPUT_NUMBER B, C"]);
    run.returns("1", r#"{"values":["x",1]}"#);
    assert_eq!(run.payload("1~1")["toRender"][1]["validationErrorMessage"], "small");
    run.returns("1~1", r#"{"values":["x",9]}"#);
    assert_eq!(run.payload("1~2")["validationErrorMessage"], "not x");
    assert_eq!(run.payload("1~2")["toRender"][1]["validationErrorMessage"], serde_json::Value::Null);
    run.returns("1~2", r#"{"values":["y",9]}"#);
    assert_eq!(run.result(), r#"{"json":["two",["y",9]]}"#);
}

#[test]
fn ctx_says_who_runs_it_and_with_what() {
    let run = run(
        "return [ctx.user.email, ctx.params, ctx.environment, ctx.organization.slug, ctx.action.slug, secrets.key, globalThis.ctx === ctx && globalThis.io === io];",
    );
    assert_eq!(
        run.result(),
        concat!(
            r#"{"json":["a@b.c",{"n":1,"when":"2020-01-02T03:04:05.006Z","big":"7"},"production","org","it","s3",true],"#,
            r#""meta":{"values":{"1.when":["Date"],"1.big":["bigint"]}}}"#
        )
    );
    // They are there while an action runs, and nowhere else.
    assert_eq!(value_of("[typeof io, typeof ctx]"), r#"["undefined","undefined"]"#);
}

#[test]
fn what_stands_around_a_run_is_called_by_its_name() {
    let mut run = run("const { n } = await ctx.state(); const sent = await ctx.send({ a: n }); const f = await ctx.call('greet', { path: '/x' });
        const j = await ctx.job('return input', [1]); await ctx.notify({ message: 'm', delivery: [{ to: 'a@b.c' }] }); return [n, sent, f, j];");
    run.returns("0", r#"{"state":{"n":4}}"#);
    assert_eq!(
        run.payload("1"),
        serde_json::json!({"method":"POST","headers":[["content-type","application/json"]],"body":"eyJhIjo0fQ=="})
    );
    run.returns("1", r#"{"id":"u","seq":9}"#).returns("2", r#""hello""#).returns("3", "[1]");
    assert_eq!(run.calls(), ["0 State", "1 Send POST", "2 Function greet", "3 Job", "4 Notify"]);
    assert_eq!(run.payload("2"), serde_json::json!({"function":"greet","request":{"path":"/x"}}));
    assert_eq!(run.payload("3"), serde_json::json!({"code":"return input","input":[1]}));
    assert_eq!(run.payload("4"), serde_json::json!({"message":"m","delivery":[{"to":"a@b.c"}]}));
    run.returns("4", "null");
    assert_eq!(run.result(), r#"{"json":[4,{"id":"u","seq":9},"hello",[1]]}"#);
}

#[test]
fn actions_are_declared_with_their_paths() {
    let source = "export const actions = { one: async () => {}, two: { name: 'Two', description: 'd', unlisted: true, handler: () => {} },
        three: new Action({ name: 'T', handler: async () => {} }), sub: { four: async () => {} },
        users: new Page({ name: 'Users', routes: { create: new Action(async () => {}) }, handler: async () => new Layout({ title: 't' }) }) };";
    let described = door().load("hook.ts", source).unwrap().unwrap();
    let of = |index: usize| {
        let one = &described.actions[index];
        (one.slug.as_str(), one.name.as_deref(), one.unlisted, one.is_page)
    };
    assert_eq!(of(0), ("one", None, false, false));
    assert_eq!(of(1), ("two", Some("Two"), true, false));
    assert_eq!(of(2), ("three", Some("T"), false, false));
    assert_eq!(of(3), ("sub/four", None, false, false));
    assert_eq!(of(4), ("users", Some("Users"), false, true));
    assert_eq!(of(5), ("users/create", None, false, false));
    assert_eq!(described.actions.len(), 6);
}

#[test]
fn what_is_no_action_does_not_load() {
    assert_eq!(
        load_error("export const actions = { 'a b': () => {} };").message,
        "actions: \"a b\" is no name for an action: it may have letters, digits, -, _ and ."
    );
    assert!(load_error("export const actions = { a: 7 };").message.contains("a is no action"));
    assert!(load_error("export const actions = 7;").message.contains("must be an object"));
    assert_eq!(
        load_error("export const actions = Object.fromEntries([...Array(257).keys()].map((i) => [i, () => {}]));").name,
        "RangeError"
    );
    assert_eq!(load_error("const a = {}; a.a = a; export const actions = a;").name, "RangeError");
}

/// Thirty calls of every sort, and more than one thing at a time.
const LONG: &str = "
    ctx.log('begin', Math.random());
    await io.display.heading('Welcome');
    const fetched = (name) => ctx.step(name, async () => { ctx.log('in', name); const r = await ctx.fetch('http://x/' + name); await io.display.markdown('got ' + name); return [await r.text(), ctx.uuid(), Date.now()]; });
    const name = await io.input.text('Name').validate((name) => name === 'bad' ? 'no' : undefined);
    const [a, b, c] = await Promise.all([fetched('a'), fetched('b'), io.input.number('N')]);
    ctx.loading.start({ itemsInQueue: 4 });
    for (let i = 0; i < 4; i++) { await ctx.step('item ' + i, () => { ctx.log('item', i); return Math.random() }); ctx.loading.completeOne(); }
    const race = await Promise.all([(async () => { await ctx.step('q', () => 1); await io.display.heading('q'); await ctx.step('r', () => 2); return ctx.uuid() })(), (async () => { await io.display.heading('s'); const x = await ctx.step('t', async () => { await ctx.step('u', () => 3); await ctx.sleep(10); return 5 }); await io.display.heading('v' + x); return ctx.uuid() })()]);
    try { await ctx.step('throws', async () => { ctx.log('throws'); await ctx.sleep(5); throw new Error('step') }) } catch (error) { ctx.log(error.message) }
    const { go } = await io.group({ go: io.input.boolean('Go'), h: io.display.heading('h') });
    ctx.log('end', Math.random());
    return { name, a, b, c, race, go, at: Date.now() };";

fn played() -> Run {
    let mut run = run(LONG);
    run.answer("1", "\"bad\"").answer("1~1", "\"good\"");
    let response = r#"{"url":"u","status":200,"statusText":"","headers":[],"body":"aGk=","redirected":false}"#;
    // Two at once, and in another order than they were asked for.
    run.receive("3.0", Ok(response));
    run.receive("4", Ok(r#"{"values":[3]}"#));
    run.returns("2.0", response);
    let sleeping =
        run.calls().iter().find(|call| call.ends_with(" Sleep")).unwrap().split(' ').next().unwrap().to_owned();
    run.returns(&sleeping, "null");
    let last = run.calls().last().unwrap().split(' ').next().unwrap().to_owned();
    run.returns(&last, "null");
    let last = run.calls().last().unwrap().split(' ').next().unwrap().to_owned();
    run.returns(&last, r#"{"values":[true,null]}"#);
    run
}

#[test]
fn a_run_cut_anywhere_goes_on_move_by_move_as_it_did() {
    let whole = played();
    assert!(whole.calls().len() >= 24, "{:?}", whole.calls());
    let result = whole.result();
    for cut in 0..=whole.journal.len() {
        let mut run = Run {
            source: whole.source.clone(),
            journal: whole.journal[..cut].to_vec(),
            moves: Vec::new(),
            last: None,
            console: Vec::new(),
            at_ms: NOON,
            states: whole.states.clone(),
        };
        // What came from outside comes as it did; what the code did, it does by itself.
        let outside: Vec<Note> = outside(&whole).into_iter().skip(outside(&run).len()).collect();
        let mut stand = run.try_play().result.unwrap();
        let mut done = stand.moves.clone();
        run.journal.extend(stand.moves.iter().map(|step| note_of(step, NOON)));
        for note in outside {
            run.journal.push(note);
            stand = run.try_play().result.unwrap();
            done.extend(stand.moves.clone());
            run.journal.extend(stand.moves.iter().map(|step| note_of(step, NOON)));
        }
        assert_eq!(
            stand.end,
            Some(End::Completed(result.as_str().into())),
            "cut at {cut}, behind {:?}",
            whole.journal[..cut].last()
        );
        let known = whole.journal[..cut].iter().filter(|note| is_own(&whole, note)).count();
        assert_eq!(ids(&done), ids(&whole.moves[known..]), "cut at {cut}");
    }
}

fn is_own(run: &Run, note: &Note) -> bool {
    match note {
        Note::Called(_) | Note::Told => true,
        Note::Stated { .. } => false,
        Note::Returned { id, .. } => {
            run.moves.iter().any(|step| matches!(step, Move::Returned { id: other, .. } if other == id))
        }
    }
}

fn outside(run: &Run) -> Vec<Note> {
    let whole = played_once();
    run.journal.iter().filter(|note| !is_own(whole, note)).cloned().collect()
}

fn played_once() -> &'static Run {
    static ONCE: std::sync::LazyLock<Run> = std::sync::LazyLock::new(played);
    &ONCE
}

/// The moves, in an order that does not tell which of two notes that came at once was looked at first.
fn ids(moves: &[Move]) -> Vec<String> {
    let mut ids: Vec<String> = moves.iter().map(|step| format!("{step:?}")).collect();
    ids.sort();
    ids
}
