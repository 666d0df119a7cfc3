//! A run in a terminal: every method of io is asked there in words, and what was typed arrives as the code expects it.

mod harness;

use std::process::{Command, Stdio};

use harness::{
    hook::{Hook, Owner},
    server::{Server, everfold, typed_into},
};
use serde_json::{Value, json};

/// What the code does, what is typed, what it shows beside the question, and what the code was given.
struct Case {
    method: &'static str,
    code: &'static str,
    typed: &'static str,
    shows: &'static [&'static str],
    given: Value,
}

fn case(
    method: &'static str,
    code: &'static str,
    typed: &'static str,
    shows: &'static [&'static str],
    given: Value,
) -> Case {
    Case { method, code, typed, shows, given }
}

fn cases() -> Vec<Case> {
    let day = r#"io.input.date("Day").then(({ year, month, day }) => [year, month, day])"#;
    let hour = r#"io.input.time("Hour").then(({ hour, minute }) => [hour, minute])"#;
    let moment = r#"io.input.datetime("Moment").then((at) => [at.year, at.month, at.day, at.hour, at.minute, at.jsDate instanceof Date])"#;
    let rows = r#"io.select.table("Rows", { data: Array.from({ length: 30 }, (_, n) => ({ name: `Row ${n}` })) })
        .then((rows) => [rows.length, rows[0]?.name])"#;
    let search = r#"io.search("Who", { onSearch: async (words) => ["Ada", "Grace"].filter((name) => name.startsWith(words)), renderResult: (name) => name })"#;
    let shown = r#"(async () => {
        await io.display.heading("Head");
        await io.display.markdown("**bold**");
        await io.display.code("Code", { code: "1 + 1" });
        await io.display.object("Object", { data: { a: [1] } });
        await io.display.link("Link", { url: "https://example.com/x" });
        await io.display.metadata("Meta", { data: [{ label: "One", value: 1 }] });
        await io.display.table("Table", { data: [{ name: "Ada", born: 1815 }] });
        return "shown";
    })()"#;
    vec![
        case(
            "text",
            r#"io.input.text("Name", { helpText: "first and last", minLength: 2 })"#,
            "A\nAda Lovelace\n",
            &["Name: ", "first and last", "! "],
            json!("Ada Lovelace"),
        ),
        case(
            "defaultValue",
            r#"io.input.text("Name", { defaultValue: "Ada" })"#,
            "\n",
            &["Name [Ada]: "],
            json!("Ada"),
        ),
        case("email", r#"io.input.email("Email")"#, "nobody\nada@example.com\n", &["! "], json!("ada@example.com")),
        case(
            "number",
            r#"io.input.number("Age", { min: 5 })"#,
            "many\n4\n36.5\n",
            &["! Enter a number.", "at least 5"],
            json!(36.5),
        ),
        case(
            "slider",
            r#"io.input.slider("Volume", { min: 0, max: 10 })"#,
            "11\n7\n",
            &["Volume (0 to 10): ", "! "],
            json!(7),
        ),
        case(
            "boolean",
            r#"io.input.boolean("News")"#,
            "perhaps\ny\n",
            &["News [y/N]: ", "! Enter yes or no."],
            json!(true),
        ),
        case("boolean_empty", r#"io.input.boolean("News")"#, "\n", &["News [y/N]: "], json!(false)),
        case(
            "url",
            r#"io.input.url("Site").then((url) => url.host)"#,
            "ftp://x\nhttps://example.com/x\n",
            &["! "],
            json!("example.com"),
        ),
        case("rich", r#"io.input.richText("Body")"#, "a < b\n", &["Body: "], json!("<p>a &lt; b</p>")),
        case(
            "date",
            day,
            "soon\n2026-12-31\n",
            &["Day (YYYY-MM-DD): ", "! Write the date as 2026-12-31."],
            json!([2026, 12, 31]),
        ),
        case("time", hour, "noon\n23:59\n", &["Hour (HH:MM): ", "! Write the time as 23:59."], json!([23, 59])),
        case(
            "datetime",
            moment,
            "2026-12-31\n2026-12-31 23:59\n",
            &["Moment (YYYY-MM-DD HH:MM): ", "! Write date and time"],
            json!([2026, 12, 31, 23, 59, true]),
        ),
        case(
            "single",
            r#"io.select.single("Pick", { options: ["a", { label: "Bee", value: "b", extra: 1 }] })"#,
            "3\n2\n",
            &["   1  a\n   2  Bee\n", "! Enter a number from 1 to 2."],
            json!({ "label": "Bee", "value": "b", "extra": 1 }),
        ),
        case(
            "multiple",
            r#"io.select.multiple("Pick", { options: ["a", "b", "c", "d"] })"#,
            "5\n1,3-4\n",
            &["   4  d\n", "! Enter numbers from 1 to 4."],
            json!(["a", "c", "d"]),
        ),
        case(
            "multiple_all",
            r#"io.select.multiple("Pick", { options: ["a", "b"] })"#,
            "all\n",
            &["all, or none"],
            json!(["a", "b"]),
        ),
        case("table", rows, "/Row 2\n1,3\n", &["Row 29", "/words to filter"], json!([2, "Row 2"])),
        case("table_all", rows, "all\n", &["Row 1"], json!([30, "Row 0"])),
        case(
            "search",
            search,
            "Nobody\nGr\n1\n",
            &["Who (search): ", "No results found.", "   1  Grace"],
            json!("Grace"),
        ),
        case(
            "confirm",
            r#"io.confirm("Really?", { helpText: "for good" })"#,
            "no\n",
            &["Really? [y/N]: ", "for good"],
            json!(false),
        ),
        case(
            "confirm_identity",
            r#"io.confirmIdentity("You?")"#,
            "yes\nno\n",
            &["! Confirm it in the browser: http"],
            json!(false),
        ),
        case(
            "sheet",
            r#"io.experimental.spreadsheet("Rows", { columns: { name: "string", age: "number?" } })"#,
            "Ada\n[{\"name\":\"Ada\",\"age\":36}]\n",
            &["! Write the rows as a JSON list"],
            json!([{ "name": "Ada", "age": 36 }]),
        ),
        case(
            "optional",
            r#"io.input.number("Age").optional().then((age) => typeof age)"#,
            "\n",
            &["Age (optional): "],
            json!("undefined"),
        ),
        case(
            "validate",
            r#"io.input.text("Even").validate((text) => (text.length % 2 ? "one more letter" : undefined))"#,
            "odd\neven\n",
            &["! one more letter"],
            json!("even"),
        ),
        case(
            "group",
            r#"io.group({ name: io.input.text("Name"), age: io.input.number("Age", { min: 5 }), sure: io.input.boolean("Sure") })"#,
            "Ada\n4\ny\n36\n",
            &["Name: Age: Sure [y/N]: ", "at least 5"],
            json!({ "name": "Ada", "age": 36, "sure": true }),
        ),
        case(
            "choices",
            r#"io.input.text("Word").withChoices(["Go", { label: "Stop it", value: "stop" }])"#,
            "tea\n7\n2\n",
            &["   1  Go\n   2  Stop it\nChoose: ", "! Enter a number from 1 to 2."],
            json!({ "choice": "stop", "returnValue": "tea" }),
        ),
        case(
            "group_choices",
            r#"io.group([io.input.text("A"), io.input.text("B")]).withChoices(["Go", "Stop"])"#,
            "1\n2\n1\n",
            &["Choose: "],
            json!({ "choice": "Go", "returnValue": ["1", "2"] }),
        ),
        case(
            "displays",
            shown,
            "",
            &[
                "Head\n────",
                "**bold**",
                "Code\n1 + 1",
                "\"a\": [",
                "Link: https://example.com/x",
                "Meta",
                "One",
                "Ada",
                "1815",
            ],
            json!("shown"),
        ),
    ]
}

#[test]
fn every_method_of_io_is_asked_in_words_and_given_as_its_code_expects_it() {
    let server = Server::start();
    let (home, owner) = at_home(&server);
    let cases = cases();
    let actions = cases
        .iter()
        .map(|case| format!("{}: async (io, ctx) => ({{ given: JSON.stringify(await {}) }}),", case.method, case.code));
    let hook = running(&owner, &format!("export const actions = {{ {} }};", actions.collect::<String>()));
    for Case { method, typed, shows, given, .. } in &cases {
        let (is_done, said, screen) = typed_into(&server, home.path(), &["run", method], typed);
        assert!(is_done, "{method}: {screen}");
        let answer = said.strip_prefix("given: ").unwrap_or_else(|| panic!("{method}: {said}"));
        assert_eq!(&serde_json::from_str::<Value>(answer).expect("JSON"), given, "{method}: {screen}");
        for words in *shows {
            assert!(screen.contains(words), "{method} shows {words:?}: {screen}");
        }
    }
    let open = hook.owner.get("/api/runs?status=open").expect(200).json();
    assert_eq!(open["objects"], json!([]), "nothing waits that was answered");
}

#[test]
fn a_file_is_given_by_its_path_and_several_one_after_the_other() {
    let server = Server::start();
    let (home, owner) = at_home(&server);
    let code = r#"export const actions = {
        one: async (io) => {
            const file = await io.input.file("Receipt", { allowedExtensions: [".txt"] });
            return { name: file.name, text: await file.text() };
        },
        some: async (io) => ({ sizes: (await io.input.file("Receipts").multiple()).map((file) => file.size).join() }),
    };"#;
    running(&owner, code);
    let path = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("a path").to_owned()
    };
    let (tea, image, cup) = (path("tea.txt", "Earl Grey"), path("tea.png", "no"), path("cup.txt", "12"));
    let told = |slug: &str, typed: &str| typed_into(&server, home.path(), &["run", slug], typed);
    let (is_done, said, screen) = told("one", &format!("/nowhere/x.txt\n{image}\n{tea}\n"));
    assert!(is_done && screen.contains("! /nowhere/x.txt cannot be read") && screen.contains(".txt"), "{screen}");
    assert_eq!(said, "name: tea.txt\ntext: Earl Grey\n");
    let (_, said, screen) = told("some", &format!("{tea}\n{cup}\n\n"));
    assert_eq!(said, "sizes: 9,2\n", "{screen}");
}

#[test]
fn a_run_tells_what_it_does_and_says_how_it_ended() {
    let server = Server::start();
    let (home, owner) = at_home(&server);
    let code = r#"export const actions = {
        logs: async (io, ctx) => { await ctx.log("first", { a: 1 }); return null; },
        list: async () => [1, "two"],
        fails: async () => { throw new RangeError("on purpose"); },
        leads: async (io, ctx) => ctx.redirect("https://example.com/next"),
        params: async (io, ctx) => `${ctx.params.name}!`,
    };"#;
    running(&owner, code);
    let told = |words: &[&str]| typed_into(&server, home.path(), &[&["run"], words].concat(), "");
    let (is_done, said, screen) = told(&["logs"]);
    assert!(is_done && said.is_empty() && screen.contains("  first {\n  \"a\": 1\n}"), "{screen}");
    assert_eq!(told(&["list"]).1, "[1,\"two\"]\n");
    assert_eq!(told(&["params", "-p", "name=Ada"]).1, "Ada!\n");
    assert_eq!(told(&["leads"]).1, "Go on at https://example.com/next\n");
    let (is_done, _, screen) = told(&["fails"]);
    assert!(!is_done && screen.contains("RangeError: on purpose"), "{screen}");
    let (is_done, _, screen) = told(&["nobody"]);
    assert!(!is_done && screen.contains("hint:"), "{screen}");
}

/// In a terminal of its own: a bar is drawn nowhere else.
#[test]
fn progress_is_a_bar_that_fills_and_goes_when_the_work_is_done() {
    let server = Server::start();
    let (home, owner) = at_home(&server);
    let code = r#"export const actions = { count: async (io, ctx) => {
        await ctx.loading.start({ label: "Counting sheep", itemsInQueue: 3 });
        for (let n = 0; n < 3; n++) { await ctx.sleep(400); await ctx.loading.completeOne(); }
        await ctx.sleep(400);
        return "asleep";
    } };"#;
    running(&owner, code);
    let mut command = Command::new("script");
    command.args(["-qec", &format!("stty cols 80; {} run count", everfold().get_program().display()), "/dev/null"]);
    command.env("HOME", home.path()).env("EVERFOLD_URL", format!("http://{}", server.address)).env("TERM", "xterm");
    let output =
        command.stdin(Stdio::null()).output().expect("script is there; on Debian: sudo apt-get install bsdutils");
    let screen = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && screen.contains("Counting sheep") && screen.contains('█'), "{screen}");
    let places: Vec<_> = (0..=3).map(|n| screen.find(&format!("{n}/3"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} {screen}");
    let left = screen.rsplit("\u{1b}[2K").next().map(str::trim_end);
    assert_eq!(left, Some("asleep"), "the bar is wiped out: {screen:?}");
}

/// Who types there: the guest that the first command makes.
fn at_home(server: &Server) -> (tempfile::TempDir, Owner) {
    let home = tempfile::tempdir().expect("a folder");
    assert!(typed_into(server, home.path(), &["hooks"], "").0);
    let mut kept = std::fs::read_dir(home.path().join(".config/everfold")).expect("credentials are kept");
    let file = kept.next().expect("one file").expect("it is read").path();
    let known: Value = serde_json::from_slice(&std::fs::read(file).expect("it is read")).expect("JSON");
    let jwt = known[format!("http://{}", server.address)]["jwt"].as_str().expect("a jwt").to_owned();
    (home, Owner { address: server.address.clone(), jwt })
}

fn running(owner: &Owner, code: &str) -> Hook {
    let hook = owner.hook();
    hook.publish(code);
    hook
}
