//! Every case of the contract with a runtime server, held against every language that this machine can run. The
//! fixtures are in `runtimes/*/tests`; a language whose toolchain is missing says so, and nothing else is asked of it.

mod harness;

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use harness::{
    eventually,
    http::{Ask, Reply},
    runtime::{self, Logged, Runtime},
};
use serde_json::{Value, json};

const LANGUAGES: [&str; 10] = ["node", "bun", "deno", "python", "php", "ruby", "go", "rust", "java", "kotlin"];
/// How many cases are held against one language at once.
const CASES_AT_ONCE: usize = 4;
/// As long as the fixtures' action `sleep`.
const FUNCTION_SLEEPS: Duration = Duration::from_secs(3);
/// A group that JavaScript alone is asked for.
const COMMON_JS: &str = "modules of CommonJS";
/// And one for Kotlin.
const COROUTINES: &str = "functions that suspend";
const SECRET: &str = "a-secret-of-this-test";
const CUT: &str = "... Log truncated due to size limit (8000 characters)";
const NOTICE: &str = "Native logs detected. Use context.log() or context.error() for better experience.";

const IS_LINKED: &str = "the function is linked when it is built, and a build that fails is no deployment";
const IS_ANYBODYS: &str = "it cannot tell whose it is: it goes to the server's own output";

/// What a language does not promise, and why. A case is named by its group, or by its promise.
const NOT_PROMISED: &[(&str, &str, &str)] = &[
    ("rust", "loading", IS_LINKED),
    ("rust", "no response is a 500 that says so", "no function is without one"),
    ("rust", "what nobody caught fails its own request at once", "a panic in another thread ends that thread alone"),
    ("rust", "an array is a repeated header", "the response that Open Runtimes has for it knows one value for a name"),
    ("rust", "streams", "the response that Open Runtimes has for it is whole"),
    ("rust", "what is printed is a log, after a notice", IS_ANYBODYS),
    ("rust", "so is what is written to stdout and stderr", IS_ANYBODYS),
    ("rust", "what each prints is in its own log", IS_ANYBODYS),
    ("java", "an entrypoint that does not load is a 503", IS_LINKED),
    ("java", "and stays one", IS_LINKED),
    (
        "java",
        "what nobody caught fails its own request at once",
        "an exception in another thread ends that thread alone",
    ),
    ("kotlin", "an entrypoint that does not load is a 503", IS_LINKED),
    ("kotlin", "and stays one", IS_LINKED),
    (
        "kotlin",
        "what nobody caught fails its own request at once",
        "an exception in another thread ends that thread alone",
    ),
    ("go", "two lengths are no length", "Go goes by the chunks, and closes, as the RFC allows"),
    ("go", "loading", IS_LINKED),
    ("go", "what nobody caught fails its own request at once", "a panic beside the function ends the whole program"),
    ("go", "what is printed is a log, after a notice", IS_ANYBODYS),
    ("go", "so is what is written to stdout and stderr", IS_ANYBODYS),
    ("go", "what each prints is in its own log", IS_ANYBODYS),
    ("php", "requests side by side", "PHP answers one request at a time"),
    ("bun", "a path comes as it was sent", "Bun itself resolves `..` in it"),
    ("bun", "so is what is written to stdout and stderr", "it would take Bun 20 ms of a cold start; its console is"),
    ("deno", "what nobody caught fails its own request at once", "Deno does not tell whose it was: it is printed"),
    ("php", "what nobody caught fails its own request at once", "in PHP nothing runs beside the function"),
    ("php", "so is what is written to stdout and stderr", "`echo` and `print` are"),
];

#[test]
fn node_keeps_the_contract() {
    keeps_the_contract("node");
}

#[test]
fn bun_keeps_the_contract() {
    keeps_the_contract("bun");
}

#[test]
fn deno_keeps_the_contract() {
    keeps_the_contract("deno");
}

#[test]
fn python_keeps_the_contract() {
    keeps_the_contract("python");
}

#[test]
fn php_keeps_the_contract() {
    keeps_the_contract("php");
}

#[test]
fn ruby_keeps_the_contract() {
    keeps_the_contract("ruby");
}

#[test]
fn go_keeps_the_contract() {
    keeps_the_contract("go");
}

#[test]
fn rust_keeps_the_contract() {
    keeps_the_contract("rust");
}

#[test]
fn java_keeps_the_contract() {
    keeps_the_contract("java");
}

#[test]
fn kotlin_keeps_the_contract() {
    keeps_the_contract("kotlin");
}

#[test]
fn the_matrix_of_the_readme_is_the_one_that_is_found() {
    let found = matrix(&LANGUAGES);
    print!("{found}");
    let (found, shown) = (cells(&found), cells(include_str!("../../README.md")));
    assert!(!found.is_empty(), "no language is there");
    // A column of a language whose toolchain is missing here is not looked at.
    for ((group, language), cell) in &found {
        assert_eq!(shown.get(&(*group, *language)), Some(cell), "README.md shows another: {group}, {language}");
    }
    let groups: Vec<_> = found.keys().map(|(group, _)| *group).collect();
    let extra: Vec<_> = shown.keys().filter(|(group, _)| !groups.contains(group)).collect();
    assert!(extra.is_empty(), "README.md shows more: {extra:?}");
}

/// What stands in the table, by group and language.
fn cells(text: &str) -> BTreeMap<(&str, &str), &str> {
    fn split(line: &str) -> Vec<&str> {
        line.trim_matches('|').split('|').map(str::trim).collect()
    }
    let mut rows = text.lines().skip_while(|line| !line.starts_with("| | ")).take_while(|line| line.starts_with('|'));
    let languages = rows.next().map(split).unwrap_or_default();
    let mut cells = BTreeMap::new();
    for row in rows.skip(1).map(split) {
        let named = languages.iter().zip(&row).skip(1).map(|(language, cell)| ((row[0], *language), *cell));
        cells.extend(named);
    }
    cells
}

fn keeps_the_contract(name: &str) {
    let failures = match results(name) {
        Err(missing) => return println!("{missing}"),
        Ok(results) => results.into_iter().filter_map(|result| match result.verdict {
            Verdict::Broken(why) => Some(format!("  {}: {}\n    {why}", result.group, result.promise)),
            _ => None,
        }),
    };
    let failures: Vec<String> = failures.collect();
    assert!(failures.is_empty(), "{name} breaks {} promises:\n{}", failures.len(), failures.join("\n"));
}

/// Markdown: a row for each group of cases, a column for each language.
fn matrix(names: &[&str]) -> String {
    let mut said = vec![];
    let mut columns: Vec<(String, Vec<CaseResult>)> = vec![];
    for name in names {
        match results(name) {
            Ok(results) => columns.push((name.to_string(), results)),
            Err(missing) => said.push(format!("- {missing}")),
        }
    }
    let mut groups: Vec<&str> = vec![];
    for case in cases() {
        if !groups.contains(&case.group) {
            groups.push(case.group);
        }
    }
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let mut table = format!("| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for group in groups {
        let cells = columns.iter().map(|(name, results)| {
            let of_group = || results.iter().filter(|result| result.group == group);
            let kept = of_group().filter(|result| matches!(result.verdict, Verdict::Kept)).count();
            for result in of_group() {
                if let Verdict::NotPromised(why) = result.verdict {
                    said.push(format!("- {name}, {}: {why}.", result.promise));
                }
            }
            match of_group().count() {
                0 => String::new(),
                all if all == kept => "yes".to_owned(),
                _ if kept == 0 => "–".to_owned(),
                all => format!("{kept} of {all}"),
            }
        });
        let cells: Vec<String> = cells.collect();
        table += &format!("| {group} | {} |\n", cells.join(" | "));
    }
    format!("{table}\n{}\n", said.join("\n"))
}

struct CaseResult {
    group: &'static str,
    promise: &'static str,
    verdict: Verdict,
}

enum Verdict {
    Kept,
    Broken(String),
    NotPromised(&'static str),
}

/// What came of every case, or the sentence that names the missing toolchain.
fn results(name: &str) -> Result<Vec<CaseResult>, String> {
    let room = Room { runtime: Runtime::find(name)?, instances: Mutex::default() };
    println!("{} {}", room.runtime.manifest.title, room.runtime.version);
    let mut cases = cases();
    cases.retain(|case| match case.group {
        COMMON_JS => room.runtime.manifest.entrypoint.ends_with(".js"),
        COROUTINES => room.runtime.manifest.entrypoint.ends_with(".kt"),
        _ => true,
    });
    let (next, results) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..CASES_AT_ONCE {
            scope.spawn(|| {
                while let Some((number, case)) = Some(next.fetch_add(1, Relaxed)).and_then(|n| Some((n, cases.get(n)?)))
                {
                    let result = CaseResult { group: case.group, promise: case.promise, verdict: room.verdict(case) };
                    results.lock().unwrap().insert(number, result);
                }
            });
        }
    });
    Ok(results.into_inner().unwrap().into_values().collect())
}

/// The servers of one language, each started when a case first asks for it.
struct Room {
    runtime: Runtime,
    instances: Mutex<BTreeMap<Setup, &'static runtime::Instance>>,
}

/// How a server is launched.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Setup {
    Plain,
    Secret,
    Enforced,
    Development,
    /// Its entrypoint is another file: one that is not there, one that does not load, one with nothing to call.
    Missing,
    Broken,
    Empty,
    CommonJs,
    Waiting,
}

type Seeing = dyn Fn(&Room) -> Result<(), String> + Sync;

/// One promise, and what is done to see that it is kept.
struct Case {
    group: &'static str,
    promise: &'static str,
    see: Box<Seeing>,
}

/// What one request came to, as a case looks at it.
struct Seen {
    reply: Reply,
    logged: Logged,
}

impl Room {
    fn verdict(&self, case: &Case) -> Verdict {
        let name = self.runtime.manifest.name.as_str();
        for (language, what, why) in NOT_PROMISED {
            if *language == name && [case.group, case.promise].contains(what) {
                return Verdict::NotPromised(why);
            }
        }
        match (case.see)(self) {
            Ok(()) => Verdict::Kept,
            Err(why) => Verdict::Broken(why),
        }
    }

    fn instance(&self, setup: Setup) -> &'static runtime::Instance {
        let mut instances = self.instances.lock().unwrap();
        instances.entry(setup).or_insert_with(|| {
            let entrypoint = self.runtime.manifest.entrypoint.as_str();
            let extension = entrypoint.rsplit('.').next().unwrap_or_default();
            let other = |name: &str| format!("{name}.{extension}");
            let entrypoint = match setup {
                Setup::Missing => other("missing"),
                Setup::Broken => other("broken"),
                Setup::Empty => other("empty"),
                Setup::CommonJs => "common.cjs".into(),
                Setup::Waiting => other("waiting"),
                _ => entrypoint.into(),
            };
            let secret = if setup == Setup::Secret { SECRET } else { "" };
            let enforced = r#"{"X-Enforced": "yes", "x-number": 7, "x-open-runtimes-mine": "kept"}"#;
            let settings: &[(&str, &str)] = match setup {
                Setup::Enforced => &[("OPEN_RUNTIMES_HEADERS", enforced)],
                Setup::Development => &[("OPEN_RUNTIMES_ENV", "development")],
                _ => &[("GREETING", "hello from outside")],
            };
            Box::leak(Box::new(self.runtime.start(&entrypoint, secret, settings)))
        })
    }

    /// Asked under a log id of its own, so that what it logged is known from what others logged.
    fn seen(&self, setup: Setup, ask: Ask) -> Seen {
        let (id, ask) = with_id(ask);
        let instance = self.instance(setup);
        let reply = instance.ask(&ask);
        Seen { reply, logged: instance.logged().remove(&id).unwrap_or_default() }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        for instance in self.instances.lock().unwrap().values() {
            instance.kill();
        }
    }
}

fn with_id(ask: Ask) -> (String, Ask) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let id = format!("case-{}", NEXT.fetch_add(1, Relaxed));
    let ask = ask.header("x-open-runtimes-log-id", &id);
    (id, ask)
}

fn action(name: &str) -> Ask {
    Ask::new("POST", "/").header("x-action", name)
}

fn ensure(is_so: bool, otherwise: impl Into<String>) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(otherwise.into()) }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, seen: T, expected: T) -> Result<(), String> {
    ensure(seen == expected, format!("{what}: {seen:.300?}, not {expected:.300?}"))
}

impl Seen {
    fn status(&self, status: u16) -> Result<&Seen, String> {
        same("status", self.reply.status, status)
            .map_err(|why| format!("{why}; errors {:.1000?}", self.logged.errors))
            .map(|()| self)
    }

    fn text(&self, text: &str) -> Result<&Seen, String> {
        same("body", self.reply.text().as_str(), text).map(|()| self)
    }

    fn json(&self, json: Value) -> Result<&Seen, String> {
        let seen: Value = serde_json::from_slice(&self.reply.body).map_err(|error| error.to_string())?;
        same("body", seen, json).map(|()| self)
    }

    fn header(&self, name: &str, value: Option<&str>) -> Result<&Seen, String> {
        same(name, self.reply.header(name), value).map(|()| self)
    }

    fn error(&self, part: &str) -> Result<&Seen, String> {
        let errors = &self.logged.errors;
        ensure(errors.iter().any(|error| error.contains(part)), format!("no {part:?} in {errors:?}")).map(|()| self)
    }
}

/// A case that is one request to a plain server.
fn case(
    group: &'static str,
    promise: &'static str,
    ask: Ask,
    see: impl Fn(&Seen) -> Result<&Seen, String> + Sync + 'static,
) -> Case {
    case_of(Setup::Plain, group, promise, ask, see)
}

fn case_of(
    setup: Setup,
    group: &'static str,
    promise: &'static str,
    ask: Ask,
    see: impl Fn(&Seen) -> Result<&Seen, String> + Sync + 'static,
) -> Case {
    let see = move |room: &Room| {
        let seen = room.seen(setup, ask.clone());
        see(&seen)?;
        // By a line of it, or where there is none, by a header.
        let says_nothing = seen.reply.header("x-open-runtimes-logged") == Some("nothing");
        let has_logged = !(seen.logged.logs.is_empty() && seen.logged.errors.is_empty());
        ensure(!(says_nothing && has_logged), "it says that it logged nothing".to_owned())?;
        same("ends of the log", seen.logged.ends + usize::from(says_nothing), 1)
    };
    Case { group, promise, see: Box::new(see) }
}

/// A case that needs more than one request.
fn story(
    group: &'static str,
    promise: &'static str,
    see: impl Fn(&Room) -> Result<(), String> + Sync + 'static,
) -> Case {
    Case { group, promise, see: Box::new(see) }
}

fn cases() -> Vec<Case> {
    let mut cases = bodies();
    cases.extend(headers());
    cases.extend(addresses());
    cases.extend(methods());
    cases.extend(responses());
    cases.extend(failures());
    cases.extend(loading());
    cases.extend(timeouts());
    cases.extend(secrets());
    cases.extend(logs());
    cases.extend(streams());
    cases.extend(side_by_side());
    cases.extend(connections());
    cases.extend(coroutines());
    cases
}

const ALL_BYTES: std::ops::RangeInclusive<u8> = 0..=255;

fn bodies() -> Vec<Case> {
    const GROUP: &str = "bodies";
    let text = "Hello, wörld 👋";
    let json = |body: &str| action("json").body("application/json", body);
    let auto = |content_type: &str, body: &str| action("body").body(content_type, body);
    let large = |mib: usize| action("length").body("application/octet-stream", vec![b'x'; mib * 1024 * 1024]);
    let chunked = "4\r\nHell\r\n3\r\no!!\r\n0\r\n\r\n";
    vec![
        case(GROUP, "text comes through", action("text").body("text/plain", text), move |seen| {
            seen.status(200)?.text(text)?.header("content-type", Some("text/plain; charset=utf-8"))
        }),
        case(GROUP, "no body is empty text", action("text"), |seen| seen.status(200)?.text("")),
        case(GROUP, "JSON is parsed", json(r#"{"a":[1,null,{"ü":"x"}],"b":true}"#), |seen| {
            seen.status(200)?.json(json!({"json": {"a": [1, null, {"ü": "x"}], "b": true}}))
        }),
        case(GROUP, "what is no JSON throws where it is asked for", json("{"), |seen| seen.status(500)?.text("")),
        case(GROUP, "no JSON at all throws, too", json(""), |seen| seen.status(500)?.text("")),
        case(GROUP, "a body of JSON is JSON", auto("Application/JSON; charset=utf-8", r#"{"a":1}"#), |seen| {
            seen.status(200)?.json(json!({"body": {"a": 1}, "raw": "{\"a\":1}"}))
        }),
        case(GROUP, "an empty body of JSON is an empty object", auto("application/json", ""), |seen| {
            seen.status(200)?.json(json!({"body": {}, "raw": ""}))
        }),
        case(GROUP, "any other body is text", auto("text/plain", r#"{"a":1}"#), |seen| {
            seen.status(200)?.json(json!({"body": "{\"a\":1}", "raw": "{\"a\":1}"}))
        }),
        case(
            GROUP,
            "bytes come through both ways",
            action("binary").body("application/octet-stream", ALL_BYTES.collect::<Vec<u8>>()),
            |seen| {
                seen.status(200)?;
                same("bytes", &seen.reply.body, &ALL_BYTES.collect()).map(|()| seen)
            },
        ),
        case(
            GROUP,
            "a chunked body comes through",
            action("text").header("transfer-encoding", "chunked").body("text/plain", chunked),
            |seen| seen.status(200)?.text("Hello!!"),
        ),
        case(GROUP, "17 MB are accepted", large(17), |seen| seen.status(200)?.text(&(17 * 1024 * 1024).to_string())),
        case(GROUP, "20 MiB are accepted", large(20), |seen| seen.status(200)?.text(&(20 * 1024 * 1024).to_string())),
        case(GROUP, "23 MB are refused", large(23), |seen| seen.status(413)),
        case(
            GROUP,
            "23 MB in chunks are refused",
            action("length").header("transfer-encoding", "chunked").body("text/plain", {
                let mebibyte = format!("100000\r\n{}\r\n", "x".repeat(0x10_0000));
                mebibyte.repeat(23) + "0\r\n\r\n"
            }),
            |seen| seen.status(413),
        ),
    ]
}

fn headers() -> Vec<Case> {
    const GROUP: &str = "headers";
    let asked = || action("request").header("X-Mixed-CASE", "Value Kept").header("X-Open-Runtimes-Mine", "dropped");
    vec![
        case(GROUP, "names are lower-cased, values kept, and the server's own are not shown", asked(), |seen| {
            let headers = &seen.status(200)?.reply.json()["headers"];
            same("x-mixed-case", &headers["x-mixed-case"], &json!("Value Kept"))?;
            let shown = headers.as_object().into_iter().flat_map(|headers| headers.keys());
            let ours: Vec<_> = shown.filter(|name| name.to_lowercase().starts_with("x-open-runtimes-")).collect();
            ensure(ours.is_empty(), format!("shown: {ours:?}")).map(|()| seen)
        }),
        case_of(Setup::Enforced, GROUP, "enforced headers win", asked().header("x-enforced", "no"), |seen| {
            let headers = &seen.status(200)?.reply.json()["headers"];
            same("x-enforced", &headers["x-enforced"], &json!("yes"))?;
            same("x-number", &headers["x-number"], &json!("7"))?;
            same("x-open-runtimes-mine", &headers["x-open-runtimes-mine"], &json!("kept")).map(|()| seen)
        }),
        case(GROUP, "a response's names are lower-cased, and the server's own dropped", action("created"), |seen| {
            seen.status(201)?.text("made")?.header("x-upper", Some("Kept"))?.header("x-open-runtimes-mine", None)
        }),
        case(GROUP, "a content type is lower-cased and gets its charset", action("html"), |seen| {
            seen.status(200)?.header("content-type", Some("text/html; charset=utf-8"))
        }),
        case(GROUP, "a charset stays", action("charset"), |seen| {
            seen.status(200)?.header("content-type", Some("text/html; charset=latin1"))
        }),
        case(GROUP, "multipart gets no charset", action("multipart"), |seen| {
            seen.status(200)?.header("content-type", Some("multipart/mixed; boundary=b"))
        }),
        case(GROUP, "an array is a repeated header", action("cookies"), |seen| {
            let cookies = seen.status(200)?.reply.headers.iter().filter(|(name, _)| name == "set-cookie");
            same("set-cookie", cookies.map(|(_, value)| value.as_str()).collect(), vec!["a=1", "b=2"]).map(|()| seen)
        }),
        case(GROUP, "a line break in a header is an error", action("split"), |seen| {
            seen.status(500)?.text("")?.header("x-two", None)?.error("header")
        }),
    ]
}

fn addresses() -> Vec<Case> {
    const GROUP: &str = "addresses";
    let at = |target: &str, host: &str| Ask::new("GET", target).header("host", host).header("x-action", "request");
    let address =
        |promise, ask: Ask, scheme: &str, (host, port): (&str, u16), (path, query): (&str, &str), url: &str| {
            let address =
                json!({"scheme": scheme, "host": host, "port": port, "path": path, "queryString": query, "url": url});
            case(GROUP, promise, ask, move |seen| {
                let reply = seen.status(200)?.reply.json();
                let mut parts = address.as_object().into_iter().flatten();
                parts.try_for_each(|(name, value)| same(name, &reply[name], value)).map(|()| seen)
            })
        };
    let test = "everfold.test";
    let https = |host: &str| at("/", host).header("x-forwarded-proto", "https");
    let odd = "//a%20b/%C3%BC/../c;d=1/%2F";
    vec![
        address(
            "a usual port is not shown",
            at("/a/b?x=1&y=2", test),
            "http",
            (test, 80),
            ("/a/b", "x=1&y=2"),
            "http://everfold.test/a/b?x=1&y=2",
        ),
        address(
            "another port is",
            at("/", "everfold.test:3000"),
            "http",
            (test, 3000),
            ("/", ""),
            "http://everfold.test:3000/",
        ),
        address(
            "the scheme is the one outside",
            https(test),
            "https",
            (test, 443),
            ("/", ""),
            "https://everfold.test/",
        ),
        address(
            "a port written out is known",
            https("everfold.test:443"),
            "https",
            (test, 443),
            ("/", ""),
            "https://everfold.test/",
        ),
        address(
            "an IPv6 address keeps its colons",
            at("/", "[::1]:8080"),
            "http",
            ("[::1]", 8080),
            ("/", ""),
            "http://[::1]:8080/",
        ),
        address(
            "a path comes as it was sent",
            at(&format!("{odd}?q=%20+%26"), test),
            "http",
            (test, 80),
            (odd, "q=%20+%26"),
            &format!("http://everfold.test{odd}?q=%20+%26"),
        ),
        case(
            GROUP,
            "a query is split at & and at the first =",
            at("/?a=1&b=x=y&c&=z&&d=&a=2", "everfold.test"),
            |seen| {
                let query = &seen.status(200)?.reply.json()["query"];
                same("query", query, &json!({"a": "2", "b": "x=y", "c": "", "d": ""})).map(|()| seen)
            },
        ),
        case(GROUP, "a question mark in a query belongs to it", at("/?a=b?c", "everfold.test"), |seen| {
            same("query", &seen.status(200)?.reply.json()["query"], &json!({"a": "b?c"})).map(|()| seen)
        }),
    ]
}

fn methods() -> Vec<Case> {
    const GROUP: &str = "methods";
    let mut cases: Vec<Case> = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .map(|method| {
            let ask = Ask::new(method, "/").header("x-action", "request");
            let see = move |room: &Room| {
                let seen = room.seen(Setup::Plain, ask.clone());
                same("method", &seen.status(200)?.reply.json()["method"], &json!(method))
            };
            story(GROUP, "every method comes through", see)
        })
        .into();
    cases.push(case(GROUP, "HEAD says the length and sends nothing", Ask::new("HEAD", "/"), |seen| {
        seen.status(200)?.text("")?.header("content-length", Some("5"))
    }));
    cases
}

fn responses() -> Vec<Case> {
    const GROUP: &str = "responses";
    let json = action("json").body("application/json", r#"{"a": [1, 2]}"#);
    vec![
        case(GROUP, "empty is 204, without a length", action("empty"), |seen| {
            seen.status(204)?.text("")?.header("content-length", None)?.header("transfer-encoding", None)
        }),
        case(GROUP, "a 204 has no body, whatever was given", action("body204"), |seen| {
            seen.status(204)?.text("")?.header("content-length", None)
        }),
        case(GROUP, "a redirect is 301 unless told", action("redirect"), |seen| {
            seen.status(301)?.text("")?.header("location", Some("https://everfold.test/there"))
        }),
        case(GROUP, "a redirect is what it is told", action("redirect307"), |seen| {
            seen.status(307)?.header("location", Some("/there"))?.header("x-why", Some("moved"))
        }),
        case(GROUP, "a status that HTTP does not know is an error", action("status"), |seen| {
            seen.status(500)?.text("")?.error("status")
        }),
        case(GROUP, "JSON is compact and says what it is", json, |seen| {
            seen.status(200)?
                .text(r#"{"json":{"a":[1,2]}}"#)?
                .header("content-type", Some("application/json; charset=utf-8"))
        }),
        case(GROUP, "variables are environment variables", action("environment"), |seen| {
            same("GREETING", &seen.status(200)?.reply.json()["all"]["GREETING"], &json!("hello from outside"))
                .map(|()| seen)
        }),
    ]
}

fn failures() -> Vec<Case> {
    const GROUP: &str = "failures";
    vec![
        story(GROUP, "what is thrown is a 500, and its stack names the file", |room| {
            let seen = room.seen(Setup::Plain, action("throw"));
            let file = room.runtime.manifest.entrypoint.rsplit('/').next().unwrap_or_default();
            seen.status(500)?.text("")?.error("thrown on purpose")?.error(file).map(drop)
        }),
        case(GROUP, "what nobody caught fails its own request at once", action("later"), |seen| {
            seen.status(500)?.text("")?.error("thrown later")
        }),
        case(GROUP, "no response is a 500 that says so", action("nothing"), |seen| {
            seen.status(500)?
                .text("")?
                .error("Return statement missing. return context.res.empty() if no response is expected.")
        }),
    ]
}

fn loading() -> Vec<Case> {
    const GROUP: &str = "loading";
    vec![
        story(GROUP, "a missing entrypoint is a 503 that names it", |room| {
            let seen = room.seen(Setup::Missing, action("text"));
            let file = room.runtime.manifest.entrypoint.rsplit('.').next().unwrap_or_default();
            let why = format!("Failed to load entrypoint, file missing.{file} does not exist.");
            seen.status(503)?.text("")?.error(&why).map(drop)
        }),
        case_of(Setup::Broken, GROUP, "an entrypoint that does not load is a 503", action("text"), |seen| {
            seen.status(503)?.text("")?.error("")
        }),
        case_of(Setup::Broken, GROUP, "and stays one", action("text"), |seen| seen.status(503)?.text("")?.error("")),
        case_of(Setup::Empty, GROUP, "an entrypoint with nothing to call is a 503", action("text"), |seen| {
            seen.status(503)?.text("")?.error("")
        }),
        case_of(Setup::CommonJs, COMMON_JS, "its default export is the function", action("text"), |seen| {
            seen.status(200)?.text("from CommonJS")
        }),
    ]
}

fn timeouts() -> Vec<Case> {
    const GROUP: &str = "timeouts";
    let timeout = |value: &str, name: &str| action(name).header("x-open-runtimes-timeout", value);
    let mut cases: Vec<Case> = ["0", "-1", "1.5", "1s", "abc"]
        .map(|value| {
            case(GROUP, "a timeout is an integer above 0", timeout(value, "text"), |seen| {
                seen.status(500)?.text(r#"Header "x-open-runtimes-timeout" must be an integer greater than 0."#)
            })
        })
        .into();
    cases.push(case(GROUP, "no timeout is none", timeout("", "empty"), |seen| seen.status(204)));
    cases.push(story(GROUP, "who is in time is neither told nor kept waiting", move |room| {
        let started = Instant::now();
        room.seen(Setup::Plain, timeout("20", "empty")).status(204)?;
        ensure(started.elapsed() < Duration::from_secs(15), format!("only after {:?}", started.elapsed()))
    }));
    cases.push(story(GROUP, "who is too late is a 500 that says so", move |room| {
        let started = Instant::now();
        let seen = room.seen(Setup::Plain, timeout("1", "sleep"));
        seen.status(500)?.text("")?.error("Execution timed out.")?;
        ensure(started.elapsed() < FUNCTION_SLEEPS, format!("only after {:?}", started.elapsed()))
    }));
    cases.push(story(GROUP, "what comes too late goes nowhere", move |room| {
        let instance = room.instance(Setup::Plain);
        let mut connection = instance.connect();
        let (id, ask) = with_id(timeout("1", "sleep"));
        same("status", connection.ask(&ask).map_err(|error| error.to_string())?.status, 500)?;
        thread::sleep(FUNCTION_SLEEPS);
        // The connection may have been closed with the reply. If not, the next reply on it is to the next request.
        if let Ok(reply) = connection.ask(&action("text").body("text/plain", "next")) {
            same("the next reply", reply.text().as_str(), "next")?;
        }
        same("ends of the log", instance.logged().remove(&id).unwrap_or_default().ends, 1)
    }));
    cases.push(case_of(Setup::Secret, GROUP, "it is checked before the secret", timeout("x", "text"), |seen| {
        seen.status(500)?.text(r#"Header "x-open-runtimes-timeout" must be an integer greater than 0."#)
    }));
    cases
}

fn secrets() -> Vec<Case> {
    const GROUP: &str = "secrets";
    const REFUSED: &str = r#"Unauthorized. Provide correct "x-open-runtimes-secret" header."#;
    let with = |secret: &str, name: &str| action(name).header("x-open-runtimes-secret", secret);
    vec![
        case_of(Setup::Secret, GROUP, "none is refused", action("text"), |seen| seen.status(500)?.text(REFUSED)),
        case_of(Setup::Secret, GROUP, "a wrong one is refused", with("wrong", "text"), |seen| {
            seen.status(500)?.text(REFUSED)
        }),
        case_of(Setup::Secret, GROUP, "the right one is let in, and is not shown", with(SECRET, "request"), |seen| {
            ensure(!seen.status(200)?.reply.text().contains(SECRET), "the function sees it").map(|()| seen)
        }),
        case_of(Setup::Secret, GROUP, "it is in no variable", with(SECRET, "environment"), |seen| {
            ensure(!seen.status(200)?.reply.text().contains(SECRET), "the function sees it").map(|()| seen)
        }),
        story(GROUP, "it is not in what the kernel tells of the process", |room| {
            let process = room.instance(Setup::Secret).process_id();
            for file in ["environ", "cmdline"] {
                let told = fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
                ensure(!String::from_utf8_lossy(&told).contains(SECRET), format!("it is in /proc/PID/{file}"))?;
            }
            Ok(())
        }),
        story(GROUP, "health and timings need none", |room| {
            let instance = room.instance(Setup::Secret);
            let health = instance.ask(&Ask::new("GET", "/__opr/health"));
            same("health", (health.status, health.text().as_str()), (200, "OK"))?;
            same("timings", instance.ask(&Ask::new("GET", "/__opr/timings")).status, 200)
        }),
    ]
}

fn logs() -> Vec<Case> {
    const GROUP: &str = "logs";
    vec![
        case(GROUP, "entries are joined by a space, objects as JSON", action("logs"), |seen| {
            same("logs", &seen.status(200)?.logged.logs, &vec![r#"plain 1 true {"a":[1]}"#.to_owned()])?;
            same("an error", seen.logged.errors.first().map(String::as_str), Some("bad"))?;
            seen.error("told")
        }),
        case(GROUP, "an entry is cut at 8000 characters", action("long"), |seen| {
            let whole = "é".repeat(8000);
            same("logs", &seen.status(200)?.logged.logs, &vec![whole.clone(), format!("{whole}{CUT}")]).map(|()| seen)
        }),
        case(GROUP, "what is printed is a log, after a notice", action("native"), |seen| {
            let expected = [NOTICE, "to the console 1", "as an error"].map(str::to_owned);
            same("logs", &seen.status(200)?.logged.logs, &expected.into()).map(|()| seen)
        }),
        case(GROUP, "so is what is written to stdout and stderr", action("stdout"), |seen| {
            let expected = [NOTICE, "to stdout", "to stderr"].map(str::to_owned);
            same("logs", &seen.status(200)?.logged.logs, &expected.into()).map(|()| seen)
        }),
        case(GROUP, "the id is told", action("text"), |seen| {
            let id = seen.status(200)?.reply.header("x-open-runtimes-log-id").unwrap_or_default();
            ensure(id.starts_with("case-"), format!("id {id:?}")).map(|()| seen)
        }),
        story(GROUP, "without one, an id of 20 characters is made", |room| {
            let instance = room.instance(Setup::Plain);
            let ids =
                [(); 2].map(|()| instance.ask(&action("logs")).header("x-open-runtimes-log-id").map(str::to_owned));
            ensure(ids[0] != ids[1], "twice the same")?;
            for id in ids {
                let id = id.unwrap_or_default();
                let is_hex = id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
                ensure(is_hex, format!("id {id:?}"))?;
                same("ends of the log", instance.logged().remove(&id).unwrap_or_default().ends, 1)?;
            }
            Ok(())
        }),
        story(GROUP, "in development it is dev", |room| {
            let instance = room.instance(Setup::Development);
            let reply = instance.ask(&action("logs"));
            same("id", reply.header("x-open-runtimes-log-id"), Some("dev"))?;
            ensure(instance.logged().contains_key("dev"), "nothing is logged under it")
        }),
        story(GROUP, "logging can be off", |room| {
            let (id, ask) = with_id(action("logs").header("x-open-runtimes-logging", "disabled"));
            let instance = room.instance(Setup::Plain);
            let reply = instance.ask(&ask);
            same("status", reply.status, 200)?;
            same("id", reply.header("x-open-runtimes-log-id"), Some(""))?;
            let logged = instance.logged();
            ensure(!logged.contains_key(&id) && !logged.contains_key(""), "it logged")
        }),
        story(GROUP, "it says that it listens", |room| {
            let instance = room.instance(Setup::Plain);
            eventually("the line that says it", || {
                instance.printed().contains("HTTP server successfully started!").then_some(())
            });
            Ok(())
        }),
    ]
}

fn streams() -> Vec<Case> {
    const GROUP: &str = "streams";
    vec![
        story(GROUP, "the first part leaves at once, the log ends with the last", |room| {
            let instance = room.instance(Setup::Plain);
            let (id, ask) = with_id(action("stream"));
            let mut connection = instance.connect();
            let started = Instant::now();
            let fail = |error: std::io::Error| format!("{error}; {:?}", instance.logged().remove(&id));
            let reply = connection.begin(&ask).map_err(fail)?;
            same("status", reply.status, 200)?;
            same("content-type", reply.header("content-type"), Some("text/event-stream; charset=utf-8"))?;
            same("one", connection.chunk().map_err(fail)?, b"one,".to_vec())?;
            let took = started.elapsed();
            ensure(took < Duration::from_millis(900), format!("only after {took:?}"))?;
            same("ends of the log", instance.logged().remove(&id).unwrap_or_default().ends, 0)?;
            same("two", connection.chunk().map_err(fail)?, b"two".to_vec())?;
            same("the end", connection.chunk().map_err(fail)?, vec![])?;
            let logged = instance.logged().remove(&id).unwrap_or_default();
            let expected = Logged { logs: vec!["in the stream".into()], errors: vec![], ends: 1 };
            same("log", logged, expected)?;
            let again = connection.ask(&action("text").body("text/plain", "again")).map_err(fail)?;
            same("the next request", again.text().as_str(), "again")
        }),
        story(GROUP, "one that breaks is seen to be cut, and is an error", |room| {
            let instance = room.instance(Setup::Plain);
            let (id, ask) = with_id(action("broken"));
            let mut connection = instance.connect();
            // What was sent may be lost with the connection, its head included: only that it is whole must not be said.
            if connection.begin(&ask).is_ok() {
                while let Ok(chunk) = connection.chunk() {
                    ensure(!chunk.is_empty(), "the reply ended as if it were whole")?;
                }
            }
            let logged = instance.logged().remove(&id).unwrap_or_default();
            let is_told = logged.errors.iter().any(|error| error.contains("broken on purpose"));
            ensure(is_told && logged.ends == 1, format!("{logged:?}"))
        }),
        story(GROUP, "HEAD sends nothing of it", |room| {
            let mut connection = room.instance(Setup::Plain).connect();
            let (_, mut ask) = with_id(action("stream"));
            ask.method = "HEAD".into();
            let fail = |error: std::io::Error| error.to_string();
            same("status", connection.ask(&ask).map_err(fail)?.status, 200)?;
            let again = connection.ask(&action("text").body("text/plain", "again")).map_err(fail)?;
            same("the next request", again.text().as_str(), "again")
        }),
    ]
}

fn side_by_side() -> Vec<Case> {
    const GROUP: &str = "requests side by side";
    const REQUESTS: usize = 6;
    let see = |print: bool| {
        move |room: &Room| {
            let started = Instant::now();
            let instance = room.instance(Setup::Plain);
            let all: Vec<(String, Reply)> = thread::scope(|scope| {
                let asking: Vec<_> = (0..REQUESTS)
                    .map(|n| {
                        scope.spawn(move || {
                            let (id, ask) = with_id(action("concurrent").body("text/plain", format!("r{n}")));
                            (id, instance.ask(&ask))
                        })
                    })
                    .collect();
                asking.into_iter().map(|asking| asking.join().expect("a reply")).collect()
            });
            let took = started.elapsed();
            ensure(took < Duration::from_millis(400 * REQUESTS as u64 - 400), format!("{took:?} for all"))?;
            let mut logged = instance.logged();
            for (id, reply) in all {
                let me = reply.text();
                let (printed, logs): (Vec<String>, Vec<String>) =
                    logged.remove(&id).unwrap_or_default().logs.into_iter().partition(|log| log.contains("printed"));
                let expected = ["first", "second"].map(|part| format!("{me} {part}"));
                let logs: Vec<String> = logs.into_iter().filter(|log| log != NOTICE).collect();
                same("logs", logs, expected.into())?;
                let expected = ["first", "second"].map(|part| format!("{me} printed {part}"));
                if print {
                    same("printed", printed, expected.into())?;
                }
            }
            Ok(())
        }
    };
    vec![
        story(GROUP, "each has its own log", see(false)),
        story(GROUP, "what each prints is in its own log", see(true)),
    ]
}

fn connections() -> Vec<Case> {
    const GROUP: &str = "connections";
    vec![
        story(GROUP, "a connection is kept, whatever was asked on it", |room| {
            let mut connection = room.instance(Setup::Secret).connect();
            let allowed = |ask: Ask| ask.header("x-open-runtimes-secret", SECRET);
            let mut head = Ask::new("HEAD", "/");
            head = allowed(head);
            let asks = [
                (allowed(action("text")).body("text/plain", "one"), 200),
                (action("text").body("text/plain", "refused, and its body is not the next request"), 500),
                (head, 200),
                (allowed(action("empty")), 204),
                (allowed(action("throw")), 500),
                (Ask::new("POST", "/__opr/health").body("text/plain", "unasked"), 200),
                (allowed(action("text")).body("text/plain", "last"), 200),
            ];
            for (number, (ask, status)) in asks.into_iter().enumerate() {
                let reply = connection.ask(&ask).map_err(|error| format!("request {number}: {error}"))?;
                same(&format!("status of request {number}"), reply.status, status)?;
            }
            Ok(())
        }),
        story(GROUP, "close is obeyed", |room| {
            let mut connection = room.instance(Setup::Plain).connect();
            let ask = action("text").header("connection", "close");
            connection.ask(&ask).map_err(|error| error.to_string())?;
            ensure(connection.ask(&ask).is_err(), "it is still open")
        }),
        story(GROUP, "what is not HTTP ends its connection alone", |room| {
            let instance = room.instance(Setup::Plain);
            for garbage in ["NONSENSE\r\n\r\n", "GET / HTTP/1.1\r\nhost everfold\r\n\r\n"] {
                if let Ok(reply) = instance.connect().raw(garbage.as_bytes()) {
                    ensure((400..600).contains(&reply.status), format!("{garbage:?} is a {}", reply.status))?;
                }
            }
            same("status", instance.ask(&action("text")).status, 200)
        }),
        story(GROUP, "two lengths are no length", |room| {
            let two = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
            match room.instance(Setup::Plain).connect().raw(two.as_bytes()) {
                Ok(reply) => same("status", reply.status, 400),
                Err(_) => Ok(()),
            }
        }),
    ]
}

fn coroutines() -> Vec<Case> {
    const GROUP: &str = COROUTINES;
    let printed = [NOTICE, "before", "after"].map(str::to_owned);
    vec![
        story(GROUP, "what it prints after it waited is in its own log", move |room| {
            // Whichever is the first, the thread that ends its wait ends that of the others, too.
            for _ in 0..2 {
                let seen = room.seen(Setup::Waiting, action("text"));
                same("logs", &seen.status(200)?.text("waited")?.logged.logs, &printed.clone().into())?;
            }
            Ok(())
        }),
        case_of(
            Setup::Waiting,
            GROUP,
            "what it throws after it waited is a 500",
            action("").body("", "throw"),
            |seen| seen.status(500)?.text("")?.error("thrown after it waited"),
        ),
    ]
}
