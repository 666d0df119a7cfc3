//! Hosted pages: what a hook's code puts on one is there for who looks at it, and nowhere else.

mod harness;

use std::{collections::BTreeSet, thread, time::Duration};

use harness::{
    eventually,
    hook::{Hook, Owner},
    server::{Server, everfold},
    shop::shop,
    socket::Socket,
};
use serde_json::{Value, json};

/// A play that the clock stopped because the machine was slow is played again.
const SOON: Duration = Duration::from_secs(60);

/// Somebody's look at a page.
struct Look<'a> {
    owner: &'a Owner,
    socket: Socket,
    key: String,
    /// The frame that told the key: a quick page is shown in it already.
    first: Option<Value>,
}

impl<'a> Look<'a> {
    fn at(owner: &'a Owner, slug: &str) -> Look<'a> {
        Look::try_at(owner, slug).expect("the page opens")
    }

    fn try_at(owner: &'a Owner, address: &str) -> Result<Look<'a>, u16> {
        let bearer = format!("Bearer {}", owner.jwt);
        let path = format!("/page-events?slug={address}");
        let mut socket = Socket::open_with(&owner.address, &path, &[("authorization", &bearer)])?;
        let first = socket.next_frame(SOON).expect("a frame");
        let key = first["key"].as_str().expect("a key").to_owned();
        Ok(Look { owner, socket, key, first: Some(first) })
    }

    /// The first frame from now on of which this is so.
    fn until(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        while let Some(frame) = self.first.take().or_else(|| self.socket.next_frame(SOON)) {
            if is_so(&frame) {
                return frame;
            }
            last = frame;
        }
        panic!("{what}: {last}");
    }

    fn layout(&mut self) -> Value {
        self.until("a layout", |frame| !frame["layout"].is_null())["layout"].clone()
    }

    fn error(&mut self) -> String {
        let is_said = |frame: &Value| frame["layout"]["errors"][0]["message"].is_string();
        let said = self.until("an error", is_said);
        said["layout"]["errors"][0]["message"].as_str().expect("words").to_owned()
    }

    fn state_path(&self) -> String {
        format!("/api/pages/{}/state", self.key)
    }

    fn moves(&self, values: &Value) {
        self.owner.post(&self.state_path(), &json!({ "values": values })).expect(200);
    }
}

fn rows(layout: &Value, part: usize) -> Value {
    layout["children"]["toRender"][part]["props"]["data"].clone()
}

fn page(handler: &str) -> String {
    format!(
        "export const actions = {{ it: new Page({{ name: 'It', handler: async (display, ctx) => {{ {handler} }} }}) }};"
    )
}

#[test]
fn a_hosted_page_shows_what_its_code_returns() {
    let server = Server::start();
    let code = r#"
        export const reducer = (state, request) => [...(state ?? []), request.body];
        export const actions = { users: new Page({
            name: "Users", description: "Everybody",
            routes: { create: async (io) => io.input.text("Name") },
            handler: async (display, ctx) => {
                const { count } = await ctx.state().then((people) => ({ count: people.length }));
                await ctx.log("seen", ctx.page.slug);
                return new Layout({
                    title: async () => `${count} of ${ctx.params.team}`,
                    description: Promise.resolve("All of them"),
                    menuItems: [{ label: "New", route: "users/create" }],
                    children: [
                        display.metadata("Head", { data: [{ label: "Count", value: async () => count }] }),
                        display.table("People", { data: await ctx.state(), rowMenuItems: ({ name }) => [{ label: `Edit ${name}`, route: "users/create" }] }),
                    ],
                });
            },
        }), bare: new Page({ name: "Bare", routes: {} }) };"#;
    let hook = Hook::running(&server, code);
    hook.write(&json!({ "name": "Ada" }));
    eventually("she is there", || (hook.state() == json!([{ "name": "Ada" }])).then_some(()));
    let listed = hook.owner.get("/api/actions").expect(200).json()["objects"].clone();
    let slugs: Vec<_> = listed.as_array().expect("a list").iter().map(|one| (&one["slug"], &one["isPage"])).collect();
    assert_eq!(
        slugs,
        [(&json!("users"), &json!(true)), (&json!("users/create"), &json!(false)), (&json!("bare"), &json!(true))]
    );
    let mut look = Look::at(&hook.owner, "users&params=%7B%22team%22%3A%22ops%22%7D");
    let frame = look.until("a layout", |frame| !frame["layout"].is_null());
    let layout = &frame["layout"];
    assert_eq!((&layout["title"], &layout["description"]), (&json!("1 of ops"), &json!("All of them")));
    assert_eq!(layout["menuItems"], json!([{ "label": "New", "route": "users/create" }]));
    assert_eq!(rows(layout, 0), json!([{ "label": "Count", "value": 1 }]));
    assert_eq!(rows(layout, 1)[0]["data"], json!({ "name": "Ada" }));
    assert_eq!(rows(layout, 1)[0]["menu"][0]["label"], "Edit Ada");
    assert_eq!((&frame["logs"][0]["text"], &frame["isOver"]), (&json!("seen users"), &json!(false)));
    assert_eq!(hook.owner.get("/api/runs").expect(200).json()["objects"], json!([]), "a look is no run");
    hook.owner.post("/api/actions/users/runs", &json!({})).problem(404, "action_unknown");

    let code = page("return new Layout({ title: 'Published since' })").replace("it:", "users:");
    hook.publish(&code);
    assert_eq!(Look::at(&hook.owner, "users").layout()["title"], "Published since");
}

#[test]
fn who_pages_sorts_and_filters_sees_other_rows_and_the_rest_as_it_was() {
    let server = Server::start();
    let hook = Hook::running(
        &server,
        &page(
            "const people = Array.from({ length: 600 }, (_, n) => ({ n, name: `Person ${n}` }));
            return new Layout({ children: [
                display.table('There', { data: people }),
                display.table('Asked', { getData: async ({ offset, pageSize, queryTerm }) => {
                    if (queryTerm === 'none') throw new Error('no such people');
                    const found = people.filter(({ name }) => name.includes(queryTerm ?? ''));
                    return { data: found.slice(offset, offset + pageSize), totalRecords: (await ctx.state()) ?? found.length };
                } }),
                display.grid('Grid', { data: people, renderItem: ({ name }) => ({ label: name }) }),
            ] });",
        ),
    );
    let mut look = Look::at(&hook.owner, "it");
    let layout = look.layout();
    assert_eq!((rows(&layout, 0)[0]["data"]["n"].clone(), rows(&layout, 1)), (json!(0), json!([])));
    look.moves(&json!([null, { "offset": 20, "pageSize": 20 }, null]));
    assert_eq!(rows(&look.layout(), 1)[0]["data"]["n"], 20);
    look.moves(&json!([{ "offset": 0, "pageSize": 20, "sortColumn": "n", "sortDirection": "desc" }, null, null]));
    let layout = look.layout();
    assert_eq!((&rows(&layout, 0)[0]["data"]["n"], &rows(&layout, 1)[0]["data"]["n"]), (&json!(599), &json!(20)));
    look.moves(&json!([null, { "offset": 0, "pageSize": 20, "queryTerm": "none" }, null]));
    assert_eq!(look.error(), "no such people");
    look.moves(&json!([null, { "offset": 0, "pageSize": 20, "queryTerm": "59" }, { "offset": 580, "pageSize": 20 }]));
    let layout = look.layout();
    assert_eq!((&layout["errors"], &rows(&layout, 1)[0]["data"]["n"]), (&json!([]), &json!(59)));
    assert_eq!(rows(&layout, 2)[0]["data"]["label"], "Person 580");
}

#[test]
fn of_two_tables_each_stays_where_a_person_left_it() {
    let server = Server::start();
    let table = "display.table('T', { data: Array.from({ length: 100 }, (_, n) => ({ n })) })";
    let hook = Hook::running(&server, &page(&format!("return new Layout({{ children: [{table}, {table}] }});")));
    let mut look = Look::at(&hook.owner, "it");
    look.layout();
    look.moves(&json!([{ "offset": 90, "pageSize": 5 }, null]));
    look.layout();
    look.moves(&json!([null, { "offset": 40, "pageSize": 5 }]));
    let layout = look.layout();
    let first = [0, 1].map(|part| rows(&layout, part)[0]["data"]["n"].clone());
    assert_eq!(first, [json!(90), json!(40)]);
}

#[test]
fn what_a_page_fetched_is_not_fetched_again_while_somebody_looks() {
    let (port, heard) = shop();
    let data = tempfile::tempdir().expect("a folder");
    let mut command = everfold();
    command.env("EVERFOLD_EGRESS_ALLOW", format!("127.0.0.1:{port}"));
    let server = Server::start_by(command, data.path());
    let fetched = |path: &str| format!("await (await ctx.fetch('http://127.0.0.1:{port}/{path}')).json()");
    let (first, again) = (fetched("first"), fetched("rows"));
    let handler = format!(
        "const first = {first}; return new Layout({{ title: () => `${{first.ok}}`, children: [
            display.table('Rows', {{ getData: async () => ({{ data: [{again}] }}) }}) ] }});"
    );
    let hook = Hook::running(&server, &page(&handler));
    let mut look = Look::at(&hook.owner, "it");
    assert_eq!(look.layout()["title"], "true");
    for (offset, times) in [(0, 1), (20, 2), (40, 3)] {
        look.moves(&json!([{ "offset": offset, "pageSize": 20 }]));
        assert_eq!(rows(&look.layout(), 0)[0]["data"], json!({ "ok": true }));
        let heard = heard.lock().expect("no panic").join("");
        assert_eq!((heard.matches("/first").count(), heard.matches("/rows").count()), (1, times));
    }
}

/// Two tables that show where they are asked for, under a title that is another whenever the code begins.
fn two_tables(work: &str) -> String {
    let table = |name: &str| {
        format!(
            "display.table('{name}', {{ getData: async ({{ offset }}) => {{
                {work}
                return {{ data: [{{ offset }}], totalRecords: 9999 }};
            }} }})"
        )
    };
    page(&format!("return new Layout({{ title: ctx.uuid(), children: [{}, {}] }});", table("One"), table("Two")))
}

/// Moves in the second of two tables, step by step, and gives the titles that the page had.
fn titles_of(look: &mut Look, steps: usize) -> BTreeSet<String> {
    look.layout();
    look.moves(&json!([{ "offset": 7, "pageSize": 1 }, null]));
    look.layout();
    let step = |offset: usize| {
        look.moves(&json!([null, { "offset": offset, "pageSize": 1 }]));
        let layout = look.layout();
        let both = [0, 1].map(|part| rows(&layout, part)[0]["data"]["offset"].clone());
        assert_eq!(both, [json!(7), json!(offset)], "{layout}");
        layout["title"].as_str().expect("a title").to_owned()
    };
    (1..=steps).map(step).collect()
}

#[test]
fn a_page_that_is_moved_in_for_long_begins_anew_where_people_are() {
    let server = Server::start();
    let hook = Hook::running(&server, &two_tables(""));
    assert_eq!(titles_of(&mut Look::at(&hook.owner, "it"), engine::PAGE_MOVES_MAX - 1).len(), 1);
    assert_eq!(titles_of(&mut Look::at(&hook.owner, "it"), engine::PAGE_MOVES_MAX + 1).len(), 2);
}

#[test]
fn a_page_that_ran_out_over_its_moves_begins_anew_where_people_are() {
    let (port, _heard) = shop();
    let data = tempfile::tempdir().expect("a folder");
    let mut command = everfold();
    command.env("EVERFOLD_EGRESS_ALLOW", format!("127.0.0.1:{port}"));
    let server = Server::start_by(command, data.path());
    // A move that fetched something is played again each time; of others only the last is.
    let work = format!("for (let n = 0; n < 2_000_000; n++); await ctx.fetch('http://127.0.0.1:{port}/');");
    let hook = Hook::running(&server, &two_tables(&work));
    assert!(titles_of(&mut Look::at(&hook.owner, "it"), 20).len() > 1);
}

#[test]
fn a_page_that_nobody_looks_at_does_nothing_more() {
    let (port, heard) = shop();
    let data = tempfile::tempdir().expect("a folder");
    let mut command = everfold();
    command.env("EVERFOLD_EGRESS_ALLOW", format!("127.0.0.1:{port}"));
    let server = Server::start_by(command, data.path());
    let hook = Hook::running(&server, &page(&format!("for (;;) await ctx.fetch('http://127.0.0.1:{port}/');")));
    let look = Look::at(&hook.owner, "it");
    let count = || heard.lock().expect("no panic").len();
    eventually("it is at it", || (count() > 3).then_some(()));
    drop(look);
    eventually("it stops", || {
        let before = count();
        thread::sleep(Duration::from_millis(300));
        (count() == before).then_some(())
    });
}

#[test]
fn what_goes_wrong_is_said_on_the_page() {
    let server = Server::start();
    let hook = Hook::running(&server, &page("throw new Error('no page today');"));
    let says = |handler: &str| {
        hook.publish(&page(handler));
        Look::at(&hook.owner, "it").error()
    };
    assert_eq!(Look::at(&hook.owner, "it").error(), "no page today");
    assert!(says("await io.input.text('Name');").contains("a page only shows"));
    assert!(says("return new Layout({ children: [io.input.text('Name')] });").contains("a page only shows"));
    assert!(says("await ctx.send({ n: 1 });").contains("ctx.send is for actions"));
    assert!(says("for (;;);").contains("operations"), "the clock of a run");
    assert!(says("const all = []; for (;;) all.push(new Array(100000).fill('x'));").contains("memory"));
    assert!(says("await new Promise(() => {});").contains("never comes"));
    let moved = says("await ctx.redirect({ route: 'other' }); throw new Error('gone');");
    assert_eq!(moved, "gone");
    assert_eq!(hook.history(), [Value::Null; 0], "nothing was sent");
}

#[test]
fn a_page_is_its_owners_and_closed_when_nobody_looks() {
    let server = Server::start();
    let hook = Hook::running(
        &server,
        &page(
            "ctx.redirect({ route: 'a' }); return new Layout({ title: ctx.user.email, children: [display.table('T', { data: [{ a: 1 }] })] });",
        ),
    );
    let mut look = Look::at(&hook.owner, "it");
    assert_eq!(look.until("a redirect", |frame| !frame["redirect"].is_null())["redirect"], json!({ "route": "a" }));
    let stranger = Owner::guest(&server);
    assert_eq!(Look::try_at(&stranger, "it").err(), Some(404));
    let values = json!({ "values": [{ "offset": 0, "pageSize": 1 }] });
    stranger.post(&look.state_path(), &values).problem(404, "page_closed");
    look.owner.post(&look.state_path(), &values).expect(200);
    let path = look.state_path();
    drop(look);
    let closed = || hook.owner.post(&path, &values).status == 404;
    eventually("it is closed", || closed().then_some(()));
}

#[test]
fn an_account_looks_at_so_many_pages_at_a_time() {
    let server = Server::start();
    let hook = Hook::running(&server, &page("return new Layout({ title: 'x' });"));
    let mut looks: Vec<_> = (0..engine::PAGES_OF_ACCOUNT_MAX).map(|_| Look::at(&hook.owner, "it")).collect();
    assert_eq!(Look::try_at(&hook.owner, "it").err(), Some(503));
    looks.pop();
    eventually("there is room again", || Look::try_at(&hook.owner, "it").ok());
}

#[test]
fn a_guest_opens_so_many_pages_a_minute_as_runs() {
    let server = Server::start_with(&[("EVERFOLD_GUEST_WRITES_PER_MINUTE", "3")]);
    let hook = Hook::running(&server, &page("return new Layout({ title: 'x' });"));
    let opened: Vec<_> = (0..4).map(|_| Look::try_at(&hook.owner, "it").err()).collect();
    assert_eq!(opened, [None, None, None, Some(429)]);
}
