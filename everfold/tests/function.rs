//! Functions as people use them: deployed, called, rolled back, and kept in.

mod harness;

use std::{
    fs,
    io::Write,
    net::{TcpStream, ToSocketAddrs},
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{
    eventually,
    function::{Function, form, hostile, packed, packed_folder},
    hook::Owner,
    http::{Ask, Connection},
    server::Server,
};
use serde_json::{Value, json};

/// Tells what it was asked, and does what its path says.
const ECHO: &str = "
    module.exports = async ({ req, res, log, error }) => {
        log('asked for', req.path);
        if (req.path === '/throw') throw new Error('boom');
        if (req.path === '/exit') process.exit(7);
        if (req.path === '/loop') for (;;);
        if (req.path === '/eat') { const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1)); }
        if (req.path === '/large') return res.binary(Buffer.alloc(3 << 20));
        if (req.path === '/cut') return res.binary((async function* () { yield 'begun'; throw new Error('and no more'); })());
        if (req.path === '/slow') await new Promise(done => setTimeout(done, Number(req.query.ms)));
        if (req.path === '/cookie') return res.text('<p>hi', 200, { 'content-type': 'text/html', 'set-cookie': 'mine=1', 'clear-site-data': '\"*\"' });
        if (req.path === '/secret') { error('never shown'); return res.text(String(process.env.API_KEY)); }
        return res.json({ method: req.method, url: req.url, body: req.bodyText, headers: req.headers, colour: process.env.COLOUR });
    };";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

#[test]
fn what_is_deployed_is_called_and_every_call_is_kept_with_what_it_logged() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let function = Function::make(&owner, &json!({"name": "Hello, World!", "runtime": "node"}));
    assert_eq!(function.slug, "hello-world");
    let problem = function.call("/").problem(503, "function_not_ready");
    assert!(text(&problem["hint"]).contains("everfold deploy"), "{problem}");

    let deployment = function.deploy(&[("index.js", ECHO)]);
    assert_eq!((&deployment["isActive"], &deployment["files"]), (&json!(true), &json!(1)));
    let reply = function
        .ask("PUT", "/a%20b/c?q=1&r")
        .header("cookie", "a=1; everfold=stolen; everfold_refresh=stolen")
        .header("x-open-runtimes-timeout", "nonsense")
        .header("x-open-runtimes-secret", "guessed")
        .body("text/plain", "a body")
        .send(&server.address)
        .expect(200);
    let said = reply.json();
    assert_eq!((&said["method"], &said["body"]), (&json!("PUT"), &json!("a body")));
    assert_eq!(said["url"], "http://everfold.test/a%20b/c?q=1&r");
    assert_eq!((&said["headers"]["cookie"], &said["headers"]["x-forwarded-proto"]), (&json!("a=1"), &json!("http")));
    assert!(!reply.text().contains("stolen") && !reply.text().contains("x-open-runtimes"), "{}", reply.text());
    assert!(!reply.headers.iter().any(|(name, _)| name.starts_with("x-open-runtimes")), "{:?}", reply.headers);

    let kept = function.kept("/a%20b/c?q=1&r");
    assert_eq!(
        (&kept["status"], &kept["statusCode"], &kept["trigger"]),
        (&json!("completed"), &json!(200), &json!("http"))
    );
    assert_eq!((&kept["logs"], &kept["coldStart"]), (&json!("asked for /a%20b/c\n"), &json!(true)));
    assert!(kept["durationMs"].as_f64() > Some(0.0), "{kept}");

    let asked = json!({"method": "post", "path": "/api?x", "headers": {"X-Mine": "yes"}, "body": "hi"});
    let executed = owner.post(&function.api("/executions"), &asked).expect(201).json();
    assert_eq!((&executed["statusCode"], &executed["coldStart"]), (&json!(200), &json!(false)));
    let body: Value = serde_json::from_str(text(&executed["body"])).expect("JSON");
    assert_eq!(
        (&body["method"], &body["body"], &body["headers"]["x-mine"]),
        (&json!("POST"), &json!("hi"), &json!("yes"))
    );
    let id = text(&executed["id"]);
    assert_eq!(owner.get(&function.api(&format!("/executions/{id}"))).expect(200).json(), executed);
    assert_eq!(function.executions().len(), 3);
    assert_eq!(owner.get(&function.api("")).expect(200).json()["instances"], 1);
    function
        .owner
        .get(&function.api("/executions/01a20359-837b-75b8-906d-b2c6acab44a1"))
        .problem(404, "execution_unknown");
    for malformed in [
        json!({"path": "x"}),
        json!({"method": "a b"}),
        json!({"headers": {"a b": ""}}),
        json!({"scheduledAt": "soon"}),
    ] {
        owner.post(&function.api("/executions"), &malformed).problem(400, "execution_malformed");
    }
}

#[test]
fn on_the_address_that_it_shares_a_function_decides_over_nothing_and_on_its_own_it_may() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let function = Function::node(&owner, "pages", ECHO);
    let shared = function.call("/cookie").expect(200);
    assert!(shared.header("content-security-policy").is_some_and(|policy| policy.contains("sandbox")));
    assert_eq!((shared.header("set-cookie"), shared.header("clear-site-data")), (None, None));
    let own = Ask::new("GET", "/cookie").header("host", format!("pages.functions.{}", server.address));
    let own = own.send(&server.address).expect(200);
    assert_eq!((own.header("set-cookie"), own.header("content-security-policy")), (Some("mine=1"), None));
    for path in ["/__opr/health", "/%5f_opr/timings", "//__opr/health"] {
        function.call(path).problem(404, "path_unknown");
    }
    Ask::new("GET", "/f/nobody").send(&server.address).problem(404, "function_unknown");
}

#[test]
fn whatever_a_function_does_to_itself_is_named_and_the_next_call_is_answered() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let limits = json!({"timeoutMs": 20_000, "memoryMb": 128, "responseBytes": 2 << 20, "requestBytes": 1000});
    let function = Function::node_with(&owner, &json!({"name": "bad", "runtime": "node", "limits": limits}), ECHO);
    let fails = |path: &str, status: u16, code: &str| {
        function.call(path).problem(status, code);
        let kept = function.kept(path);
        assert_eq!(
            (&kept["status"], &kept["code"], &kept["statusCode"]),
            (&json!("failed"), &json!(code), &json!(null))
        );
        function.call("/well").expect(200);
    };
    assert_eq!(function.call("/throw").expect(500).text(), "");
    assert!(text(&function.kept("/throw")["errors"]).contains("boom"));
    fails("/exit", 500, "function_exited");
    assert!(text(&function.kept("/exit")["error"]).contains("code 7"));
    fails("/eat", 500, "function_out_of_memory");
    function.set(&json!({"limits": {"timeoutMs": 1000}}));
    let begun = Instant::now();
    fails("/loop", 504, "function_timed_out");
    assert!(begun.elapsed() < Duration::from_secs(10), "a loop ends at its limit");
    fails("/slow?ms=5000", 504, "function_timed_out");
    function.set(&json!({"limits": {"timeoutMs": 20_000}}));

    // Begun, it cannot be unsaid: it is cut off, and that is kept.
    let mut connection = Connection::open(&server.address).expect("it listens");
    assert!(connection.ask(&function.ask("GET", "/cut")).is_err(), "nobody takes it for the whole");
    assert_eq!(function.kept("/cut")["code"], "function_reply_broken");
    let mut connection = Connection::open(&server.address).expect("it listens");
    assert!(connection.ask(&function.ask("GET", "/large")).is_err());
    assert_eq!(function.kept("/large")["code"], "function_response_too_large");

    let large = |size: usize| function.ask("POST", "/body").body("text/plain", "x".repeat(size));
    large(1000).send(&server.address).expect(200);
    large(1001).send(&server.address).problem(413, "body_too_large");
    let head = format!("POST /f/{}/chunks HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", function.slug);
    let mut connection = Connection::open(&server.address).expect("it listens");
    let chunks = format!("{head}3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1001));
    connection.raw(chunks.as_bytes()).expect("a reply").problem(413, "body_too_large");

    function.set(&json!({"limits": {"cpuSeconds": 1}}));
    fails("/loop?again", 500, "function_cpu_exceeded");

    function.deploy(&[("index.js", "console.log('no port for me'); process.exit(3);")]);
    let problem = function.call("/start");
    assert!(matches!(problem.status, 500 | 503), "{}", problem.text());
}

/// What it begins cannot end a call by itself: `processes` does, and memory.
#[test]
fn a_function_that_forks_without_end_is_held_in_and_named() {
    const BOMB: &str = "
        const { spawn } = require('child_process');
        const bomb = `const { spawn } = require('child_process'); for (;;) { try {
            spawn(process.execPath, ['-e', process.env.BOMB], { detached: true, stdio: 'ignore' }).on('error', () => {}).unref();
        } catch { } }`;
        module.exports = ({ req, res }) => {
            if (req.path === '/well') return res.text('well');
            process.env.BOMB = bomb;
            eval(bomb);
        };";
    let server = Server::start();
    let owner = Owner::guest(&server);
    let limits = json!({"timeoutMs": 3000, "memoryMb": 256, "processes": 32, "maxInstances": 1});
    let function = Function::node_with(&owner, &json!({"name": "bomb", "runtime": "node", "limits": limits}), BOMB);
    let other = Function::node(&owner, "other", ECHO);
    other.call("/before").expect(200);
    let forked = || {
        let commands = fs::read_dir("/proc").expect("processes").flatten();
        let commands = commands.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        commands.filter(|command| String::from_utf8_lossy(command).contains("process.env.BOMB")).count()
    };
    let (address, ask) = (server.address.clone(), function.ask("GET", "/bomb"));
    let bomb = thread::spawn(move || ask.send(&address));
    let mut most = 0;
    while !bomb.is_finished() {
        most = most.max(forked());
    }
    assert!((1..=32).contains(&most), "{most} at once");
    let reply = bomb.join().expect("it is answered");
    let code = text(&reply.json()["code"]).to_owned();
    let wanted = ["function_timed_out", "function_out_of_memory", "function_cpu_exceeded", "function_exited"];
    assert!(wanted.contains(&code.as_str()), "{} {}", reply.status, reply.text());
    assert_eq!((&function.kept("/bomb")["status"], &function.kept("/bomb")["code"]), (&json!("failed"), &json!(code)));
    assert_eq!(other.call("/after").expect(200).json()["method"], "GET", "others go on");
    assert_eq!(function.call("/well").expect(200).text(), "well", "and so does it, in an instance of its own");
    eventually("nothing of it is left", || (forked() == 0).then_some(()));
}

#[test]
fn a_response_is_there_as_it_is_made() {
    const STREAM: &str = "
        let go;
        module.exports = ({ req, res }) => {
            if (req.path === '/go') { go(); return res.text('gone'); }
            return res.binary((async function* () {
                yield Buffer.from('first');
                await new Promise(done => { go = done; });
                yield Buffer.from('last');
            })());
        };";
    let server = Server::start();
    let owner = Owner::guest(&server);
    let function = Function::node_with(
        &owner,
        &json!({"name": "stream", "runtime": "node", "limits": {"maxInstances": 1}}),
        STREAM,
    );
    let mut connection = Connection::open(&server.address).expect("it listens");
    connection.begin(&function.ask("GET", "/")).expect("a head").expect(200);
    assert_eq!(connection.chunk().expect("the first part"), b"first", "before the last is made");
    assert_eq!(function.call("/go").expect(200).text(), "gone");
    assert_eq!(connection.chunk().expect("the last part"), b"last");
    assert_eq!(connection.chunk().expect("the end"), b"");
    assert_eq!(function.kept("/")["status"], "completed");
}

#[test]
fn a_loop_is_stopped_at_its_limit_and_hardly_later() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let function =
        Function::node_with(&owner, &json!({"name": "loop", "runtime": "node", "limits": {"timeoutMs": 1000}}), ECHO);
    function.call("/warm").expect(200);
    // The promise is 50 ms; a busy machine may be as late again, ten times over, and once it is not.
    let late = (0..5).map(|n| {
        let begun = Instant::now();
        function.call(&format!("/loop?{n}")).problem(504, "function_timed_out");
        let took = begun.elapsed();
        function.call("/warm").expect(200);
        took.checked_sub(Duration::from_millis(1000)).expect("it has its time")
    });
    let late = late.min().expect("five");
    assert!(late < Duration::from_millis(500), "{late:?} late");
}

#[test]
fn who_sends_or_reads_slowly_ends_nothing_that_others_use() {
    const SAME: &str = "
        const me = String(Math.random());
        module.exports = ({ req, res }) => req.path === '/much'
            ? res.binary((async function* () { for (let n = 0; n < 64; n += 1) yield Buffer.alloc(256 << 10); })())
            : res.text(me);";
    let server = Server::start();
    let owner = Owner::guest(&server);
    let asked = json!({"name": "same", "runtime": "node", "limits": {"timeoutMs": 1000}});
    let function = Function::node_with(&owner, &asked, SAME);
    let me = function.call("/").expect(200).text();
    let head = format!("POST /f/{}/slow HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nx", function.slug);
    let mut connection = Connection::open(&server.address).expect("it listens");
    connection.raw(head.as_bytes()).expect("a reply").problem(400, "body_unreadable");
    let mut reader = Connection::open(&server.address).expect("it listens");
    reader.begin(&function.ask("GET", "/much")).expect("a head").expect(200);
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(function.call("/").expect(200).text(), me, "the very same server");
    let mut bytes = 0;
    while let Ok(chunk @ [_, ..]) = reader.chunk().as_deref() {
        bytes += chunk.len();
    }
    assert_eq!(bytes, 16 << 20, "and all of it came");
}

#[test]
fn a_server_that_never_starts_says_what_it_printed_to_its_owner_alone() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    // A preloaded file runs before the server does.
    let asked =
        json!({"name": "crash", "runtime": "node", "variables": {"NODE_OPTIONS": "--require /function/first.js"}});
    let function = Function::make(&owner, &asked);
    function.deploy(&[("index.js", ECHO), ("first.js", "console.error('the last words'); process.exit(9);")]);
    let problem = function.call("/start").problem(500, "function_crashed_at_start");
    assert!(!problem.to_string().contains("the last words"), "{problem}");
    assert!(text(&function.kept("/start")["error"]).contains("the last words"));
}

#[test]
fn who_comes_when_all_are_busy_and_nobody_may_wait_is_told_to_come_back() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let limits = json!({"maxInstances": 1, "concurrency": 1, "queueWaitMs": 100});
    let function = Function::node_with(&owner, &json!({"name": "one", "runtime": "node", "limits": limits}), ECHO);
    function.call("/warm").expect(200);
    let (address, ask) = (server.address.clone(), function.ask("GET", "/slow?ms=3000"));
    let first = thread::spawn(move || ask.send(&address));
    eventually("the only instance is busy", || {
        let reply = function.call("/second");
        (reply.status == 503).then(|| reply.problem(503, "function_queue_full"))
    });
    assert!(function.call("/third").header("retry-after").is_some());
    first.join().expect("it is answered").expect(200);
}

#[test]
fn going_back_and_forth_under_load_fails_no_request() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let says = |word: &str| {
        format!(
            "module.exports = async ({{ res }}) => {{ await new Promise(done => setTimeout(done, 20)); return res.text('{word}'); }};"
        )
    };
    let function = Function::make(&owner, &json!({"name": "both", "runtime": "node"}));
    let old = function.deploy(&[("index.js", &says("old"))]);
    assert_eq!(function.call("/").expect(200).text(), "old");
    let new = function.deploy(&[("index.js", &says("new"))]);
    assert_eq!(function.call("/").expect(200).text(), "new");
    let (is_over, answered) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut connection = Connection::open(&server.address).expect("it listens");
                while !is_over.load(Ordering::Relaxed) {
                    let reply = connection.ask(&function.ask("GET", "/")).expect("a reply").expect(200);
                    answered[usize::from(reply.text() == "new")].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for deployment in [&old, &new].into_iter().cycle().take(12) {
            thread::sleep(Duration::from_millis(150));
            function.activate(deployment).expect(200);
            let wanted = if deployment["id"] == old["id"] { "old" } else { "new" };
            assert_eq!(function.call("/").expect(200).text(), wanted, "at once");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(answered.iter().all(|count| count.load(Ordering::Relaxed) > 5), "{answered:?}");
}

#[test]
fn a_build_that_fails_says_why_and_touches_nothing_that_answers() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let function = Function::make(
        &owner,
        &json!({"name": "built", "runtime": "node", "build": "echo 'module.exports = ({ res }) => res.text(\"built\");' > index.js; printf '\\033[1mdone\\033[0m\\n'"}),
    );
    let first = function.deploy(&[("notes", "")]);
    assert_eq!(function.call("/").expect(200).text(), "built");
    let log = |deployment: &Value| {
        let id = text(&deployment["id"]);
        owner.get(&function.api(&format!("/deployments/{id}/logs"))).expect(200).text()
    };
    let said = log(&first);
    assert!(said.contains("\\u001b[1mdone") && said.contains("event: end\ndata: {\"status\":\"ready\"}"), "{said}");

    // What did not change is not built again.
    let again = function.send(&packed(&[("notes", "")]), true).expect(201).json();
    assert_eq!((&again["status"], &again["isActive"], &again["hash"]), (&json!("ready"), &json!(true), &first["hash"]));

    function.set(&json!({"build": "echo some words; exit 5"}));
    let failed = function.built(&function.send(&packed(&[("notes", "2")]), true).expect(201).json());
    assert_eq!((&failed["status"], &failed["isActive"]), (&json!("failed"), &json!(false)));
    assert!(text(&failed["error"]).contains("code 5") && text(&failed["error"]).contains("some words"), "{failed}");
    assert_eq!(function.call("/").expect(200).text(), "built");
    function.activate(&failed).problem(409, "deployment_not_ready");

    function.set(&json!({"build": "echo begun; sleep 60"}));
    let slow = function.send(&packed(&[("notes", "3")]), true).expect(201).json();
    eventually("it builds", || (function.deployment(&slow)["status"] == "building").then_some(()));
    let id = text(&slow["id"]);
    owner.ask(Ask::new("DELETE", function.api(&format!("/deployments/{id}")))).problem(409, "deployment_in_use");
    let begun = Instant::now();
    assert_eq!(
        owner.post(&function.api(&format!("/deployments/{id}/cancel")), &json!({})).expect(200).json()["status"],
        "cancelled"
    );
    owner.post(&function.api(&format!("/deployments/{id}/cancel")), &json!({})).problem(409, "deployment_over");
    function.set(&json!({"build": "true"}));
    function.deploy(&[("index.js", "module.exports = ({ res }) => res.text('next');")]);
    assert!(begun.elapsed() < Duration::from_secs(40), "nobody waits for one that was cancelled");
    assert_eq!(function.call("/").expect(200).text(), "next");
    owner.ask(Ask::new("DELETE", function.api(&format!("/deployments/{id}")))).expect(200);
    owner.get(&function.api(&format!("/deployments/{id}"))).problem(404, "deployment_unknown");
    let sent = packed(&[("notes", "")]);
    let path = function.api(&format!("/deployments/{}/download", text(&first["id"])));
    assert_eq!(owner.get(&path).expect(200).body, sent);
}

#[test]
fn an_archive_that_leads_anywhere_else_is_refused_whole() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let function = Function::make(&owner, &json!({"name": "archives", "runtime": "node"}));
    let mut hostiles = vec![
        b"neither a tar nor a zip".to_vec(),
        hostile("../out", tar::EntryType::Regular, None),
        hostile("/etc/cron.d/x", tar::EntryType::Regular, None),
        hostile("link", tar::EntryType::Symlink, Some("../../etc/shadow")),
        hostile("far", tar::EntryType::Symlink, Some("/etc/shadow")),
        hostile("device", tar::EntryType::Char, None),
        hostile("pipe", tar::EntryType::Fifo, None),
    ];
    for archive in hostiles.drain(..) {
        let problem = function.send(&archive, true).problem(400, "archive_refused");
        assert!(text(&problem["detail"]).len() > 20, "{problem}");
    }
    let path = function.api("/deployments");
    for fields in [&[][..], &[("activate", &b"true"[..])], &[("activate", b"maybe"), ("code", b"x")]] {
        owner.ask(form(&path, fields)).problem(400, "form_malformed");
    }
    owner.post(&path, &json!({"code": "x"})).problem(400, "form_malformed");
    assert_eq!(owner.get(&path).expect(200).json()["objects"], json!([]), "nothing of it is kept");
    let left = fs::read_dir(server.data.join("functions/trees")).expect("a folder").count();
    assert_eq!(left, 0, "and nothing lies about");
}

#[test]
fn a_variable_rolls_the_instances_and_a_secret_is_shown_to_the_function_alone() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let asked = json!({"name": "vars", "runtime": "node", "variables": {"COLOUR": "green", "OLD": "x"}});
    let function = Function::node_with(&owner, &asked, ECHO);
    assert_eq!(function.call("/").expect(200).json()["colour"], "green");
    let set = |key: &str, value: &str, secret: bool| {
        owner.post(&function.api("/variables"), &json!({"key": key, "value": value, "secret": secret}))
    };
    set("COLOUR", "blue", false).expect(201);
    assert_eq!(function.call("/").expect(200).json()["colour"], "blue", "without a deployment");
    assert_eq!(set("API_KEY", "s3cret-value", true).expect(201).json()["value"], json!(null));
    assert_eq!(function.call("/secret").expect(200).text(), "s3cret-value");
    owner.ask(Ask::new("DELETE", function.api("/variables/OLD"))).expect(200);
    owner.ask(Ask::new("DELETE", function.api("/variables/OLD"))).problem(404, "variable_unknown");
    let listed = owner.get(&function.api("/variables")).expect(200).json();
    let wanted =
        json!([{"key": "API_KEY", "value": null, "secret": true}, {"key": "COLOUR", "value": "blue", "secret": false}]);
    assert_eq!(listed["objects"], wanted);
    for (key, value) in
        [("1X", ""), ("A-B", ""), ("", ""), ("EVERFOLD_SOCKET", "x"), ("OPEN_RUNTIMES_SECRET", "x"), ("A", "\0")]
    {
        set(key, value, false).problem(400, "variable_malformed");
    }
    set("LARGE", &"x".repeat((8 << 10) + 1), false).problem(400, "variable_malformed");
    function.set(&json!({"variables": {"COLOUR": "red", "TOKEN": {"value": "t", "secret": true}}}));
    let keys = owner.get(&function.api("/variables")).expect(200).json()["objects"].as_array().map(Vec::len);
    assert_eq!((function.call("/").expect(200).json()["colour"].clone(), keys), (json!("red"), Some(2)));
    let files = fs::read_dir(&server.data).expect("a folder").map(|entry| entry.expect("a file").path());
    let kept: Vec<u8> = files.filter(|path| path.is_file()).flat_map(|path| fs::read(path).expect("a file")).collect();
    let holds = |word: &[u8]| kept.windows(word.len()).any(|bytes| bytes == word);
    assert!(holds(b"API_KEY") && !holds(b"s3cret-value"), "its name is kept, and its value nowhere in the clear");
}

#[test]
fn what_nobody_waits_for_survives_the_end_of_the_server() {
    let data = tempfile::tempdir().expect("a folder");
    let mut server = Server::start_on(data.path());
    let owner = Owner::guest(&server);
    let function = Function::node(&owner, "later", ECHO);
    let asked = |path: &str, more: Value| {
        let mut asked = json!({"path": path, "async": true, "body": "kept"});
        asked.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        owner.post(&function.api("/executions"), &asked).expect(202).json()
    };
    let soon = asked("/soon", json!({}));
    let whole = |owner: &Owner, execution: &Value| {
        owner.get(&function.api(&format!("/executions/{}?wait=20", text(&execution["id"])))).expect(200).json()
    };
    let over = whole(&owner, &soon);
    assert_eq!(
        (&over["status"], &over["attempts"], &over["logs"]),
        (&json!("completed"), &json!(1), &json!("asked for /soon\n"))
    );
    assert!(text(&over["body"]).contains("kept"), "{over}");
    let failed = whole(&owner, &asked("/exit", json!({})));
    assert_eq!(
        (&failed["status"], &failed["code"], &failed["attempts"]),
        (&json!("failed"), &json!("function_exited"), &json!(1))
    );

    let in_a_second = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis() as u64 + 1_000;
    let scheduled = asked("/scheduled", json!({"scheduledAt": in_a_second}));
    let slow = asked("/slow?ms=2000", json!({}));
    eventually("it is under way", || {
        let now = owner.get(&function.api(&format!("/executions/{}", text(&slow["id"])))).expect(200).json();
        (now["status"] == "processing" && now["attempts"] == 1).then_some(())
    });
    server.kill();
    let server = Server::start_on(data.path());
    let owner = Owner { address: server.address.clone(), ..owner };
    let over = whole(&owner, &slow);
    assert_eq!((&over["status"], &over["attempts"]), (&json!("completed"), &json!(2)), "{over}");
    assert_eq!(whole(&owner, &scheduled)["status"], "completed");
}

#[test]
fn a_call_is_kept_though_its_caller_leaves_and_the_server_ends() {
    let data = tempfile::tempdir().expect("a folder");
    let mut server = Server::start_on(data.path());
    let owner = Owner::guest(&server);
    let function = Function::node(&owner, "left", ECHO);
    function.call("/").expect(200);
    let leave = |path: &str| {
        let mut stream = TcpStream::connect(&server.address).expect("it listens");
        write!(stream, "GET /f/left{path} HTTP/1.1\r\nhost: {}\r\n\r\n", server.address).expect("it is sent");
        thread::sleep(Duration::from_millis(100));
    };
    leave("/slow?ms=200");
    let kept = function.kept("/slow?ms=200");
    assert_eq!((&kept["status"], &kept["statusCode"]), (&json!("completed"), &json!(200)), "{kept}");
    leave("/slow?ms=400");
    assert!(server.terminate().success());
    let server = Server::start_on(data.path());
    let function = Function { owner: Owner { address: server.address.clone(), ..owner }, ..function };
    assert_eq!(function.kept("/slow?ms=400")["status"], "completed");
}

#[test]
fn what_waits_for_a_function_goes_with_it_and_nobody_looks_for_it_again() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let function = Function::node(&owner, "gone", ECHO);
    let soon = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis() as u64 + 500;
    owner.post(&function.api("/executions"), &json!({"async": true, "scheduledAt": soon})).expect(202);
    owner.ask(Ask::new("DELETE", function.api(""))).expect(200);
    thread::sleep(Duration::from_millis(1000));
    let stat = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", server.id())).expect("a process");
        let times: Vec<u64> = stat.split(' ').skip(13).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
        times.iter().sum::<u64>()
    };
    let before = stat();
    thread::sleep(Duration::from_millis(1000));
    let spent = stat() - before;
    assert!(spent < 50, "{spent} ticks of a hundred: it goes round and round");
}

#[test]
fn a_build_that_a_kill_cut_short_is_done_anew_and_so_is_one_that_is_missing() {
    let data = tempfile::tempdir().expect("a folder");
    let mut server = Server::start_on(data.path());
    let owner = Owner::guest(&server);
    let build = "sleep 2; echo 'module.exports = ({ res }) => res.text(\"built\");' > index.js";
    let function = Function::make(&owner, &json!({"name": "again", "runtime": "node", "build": build}));
    let sent = function.send(&packed(&[("notes", "")]), true).expect(201).json();
    eventually("it builds", || (function.deployment(&sent)["status"] == "building").then_some(()));
    server.kill();
    let again = |function: &Function, server: &Server| Function {
        owner: Owner { address: server.address.clone(), jwt: function.owner.jwt.clone() },
        id: function.id.clone(),
        slug: function.slug.clone(),
    };
    let mut server = Server::start_on(data.path());
    let function = again(&function, &server);
    assert_eq!(function.built(&sent)["status"], "ready");
    assert_eq!(function.call("/").expect(200).text(), "built");
    // As after a backup was restored elsewhere: what was sent is kept, what it was built to is not.
    server.kill();
    fs::remove_dir_all(data.path().join("functions")).expect("it is removed");
    let server = Server::start_on(data.path());
    assert_eq!(again(&function, &server).call("/").expect(200).text(), "built");
}

#[test]
fn files_are_served_with_clean_addresses_and_nothing_hidden() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let site = Function::make(&owner, &json!({"name": "site", "runtime": "static"}));
    let files = [
        ("index.html", "home"),
        ("about.html", "about"),
        ("docs/index.html", "docs"),
        ("404.html", "lost"),
        (".env", "SECRET=1"),
        ("app.js", "run()"),
    ];
    site.deploy(&files);
    for (path, body) in [
        ("", "home"),
        ("/", "home"),
        ("/about", "about"),
        ("/about.html", "about"),
        ("/docs", "docs"),
        ("/docs/?q", "docs"),
    ] {
        assert_eq!(site.call(path).expect(200).text(), body, "{path}");
    }
    assert_eq!(site.call("/nothing").expect(404).text(), "lost");
    assert_eq!(site.call("/.env").expect(404).text(), "lost");
    let script = site.call("/app.js").expect(200);
    assert!(script.header("content-type").is_some_and(|kind| kind.contains("javascript")));
    let tag = script.header("etag").expect("a tag").to_owned();
    site.ask("GET", "/app.js").header("if-none-match", tag).send(&server.address).expect(304);
    site.ask("POST", "/").send(&server.address).problem(405, "method_not_allowed");
    site.set(&json!({"variables": {"OPEN_RUNTIMES_STATIC_FALLBACK": "index.html", "OPEN_RUNTIMES_CACHE_HEADER": "max-age=60"}}));
    let one_page = site.call("/nothing").expect(200);
    assert_eq!((one_page.text().as_str(), one_page.header("cache-control")), ("home", Some("max-age=60")));
}

#[test]
fn what_is_no_function_is_refused_and_what_is_anothers_is_unknown() {
    // Where there is no home, there is no Rust.
    let server = Server::start_with(&[("HOME", "/nonexistent")]);
    let owner = Owner::guest(&server);
    let make = |asked: Value| owner.post("/api/functions", &asked);
    let with = |name: &str, value: Value| {
        let mut asked = json!({"name": "f", "runtime": "node"});
        asked[name] = value;
        make(asked)
    };
    make(json!({"runtime": "node"})).problem(400, "function_malformed");
    make(json!({"name": "f"})).problem(400, "function_malformed");
    for slug in ["UP", "a b", "-a", "a.b", &"x".repeat(64)] {
        with("slug", json!(slug)).problem(400, "function_malformed");
    }
    for entrypoint in ["/etc/passwd", "../x", ""] {
        with("entrypoint", json!(entrypoint)).problem(400, "function_malformed");
    }
    with("network", json!("lan")).problem(400, "function_malformed");
    let problem = with("runtime", json!("cobol")).problem(400, "runtime_unknown");
    assert!(text(&problem["detail"]).contains("node, "), "{problem}");
    let problem = with("runtime", json!("rust")).problem(409, "runtime_missing");
    assert!(text(&problem["detail"]).contains("rustup"), "{problem}");
    for limits in
        [json!({"timeoutMs": 0}), json!({"timeoutMs": 1.5}), json!({"memoryMB": 1}), json!({"memoryMb": 1 << 30})]
    {
        with("limits", limits).problem(400, "function_limit");
    }
    with("schedule", json!("often")).problem(400, "cron_malformed");
    with("variables", json!({"A B": "x"})).problem(400, "variable_malformed");
    assert_eq!(owner.get("/api/functions").expect(200).json()["objects"], json!([]));

    let function = Function::make(&owner, &json!({"name": "mine", "runtime": "node"}));
    with("slug", json!("mine")).problem(409, "slug_taken");
    let beside = make(json!({"name": "Mine", "runtime": "node"})).expect(201).json();
    assert!(text(&beside["slug"]).starts_with("mine-"), "{beside}");
    let other = Owner::guest(&server);
    for path in ["", "/deployments", "/variables", "/executions"] {
        other.get(&function.api(path)).problem(404, "function_unknown");
    }
    other.put(&function.api(""), &json!({"name": "theirs"})).problem(404, "function_unknown");
    other.ask(Ask::new("DELETE", function.api(""))).problem(404, "function_unknown");
    other.post(&function.api("/executions"), &json!({})).problem(404, "function_unknown");

    function.set(&json!({"slug": "renamed"}));
    Ask::new("GET", "/f/mine").send(&server.address).problem(404, "function_unknown");
    Ask::new("GET", "/f/renamed").send(&server.address).problem(503, "function_not_ready");
    other.post("/api/functions", &json!({"name": "x", "slug": "mine", "runtime": "node"})).expect(201);
    owner.ask(Ask::new("DELETE", function.api(""))).expect(200);
    owner.get(&function.api("")).problem(404, "function_unknown");
    Ask::new("GET", "/f/renamed").send(&server.address).problem(404, "function_unknown");
    other.post("/api/functions", &json!({"name": "x", "slug": "renamed", "runtime": "node"})).expect(201);
}

#[test]
fn what_a_guest_deployed_is_the_users_and_goes_on_answering() {
    let server = Server::start();
    let guest = Owner::guest(&server);
    let function = Function::node(&guest, "moved", ECHO);
    function.call("/before").expect(200);
    let user = guest.sign_in("ada@example.org");
    let moved = eventually("it is the user's", || {
        user.get("/api/functions").expect(200).json()["objects"].as_array().and_then(|all| all.first().cloned())
    });
    assert_eq!(moved["id"], function.id.as_str());
    function.call("/after").expect(200);
    user.put(&function.api(""), &json!({"variables": {"COLOUR": "grey"}})).expect(200);
    assert_eq!(function.call("/").expect(200).json()["colour"], "grey");
}

/// What hostile code finds: `worker/tests/servers.rs` goes further.
#[test]
fn a_function_reads_nobody_elses_files_and_reaches_nobody() {
    const PRY: &str = "
        const fs = require('fs'), net = require('net');
        const tried = (act) => { try { return String(act()); } catch (error) { return 'refused: ' + error.code; } };
        const reached = (port, host) => new Promise(done => {
            const socket = net.connect(port, host, () => done('reached'));
            socket.on('error', error => done('refused: ' + error.code)).setTimeout(500, () => done('refused: silence'));
        });
        module.exports = async ({ req, res }) => res.json({
            shadow: tried(() => fs.readFileSync('/etc/shadow')),
            other: tried(() => fs.readdirSync(req.query.folder)),
            own: tried(() => fs.writeFileSync('/function/x', 'x')),
            tmp: tried(() => fs.writeFileSync('/tmp/x', 'x')),
            server: await reached(Number(req.query.port), '127.0.0.1'),
            outside: await reached(53, '1.1.1.1'),
            user: process.getuid(),
            environment: Object.keys(process.env).filter(name => /SECRET|MASTER|TOKEN|AWS|HOME_/.test(name)),
        });";
    let server = Server::start();
    let owner = Owner::guest(&server);
    let function = Function::node(&owner, "pry", PRY);
    let port = server.address.rsplit(':').next().expect("a port");
    let found = function.call(&format!("/?port={port}&folder={}", server.data.display())).expect(200).json();
    for name in ["shadow", "other", "own", "server", "outside"] {
        assert!(text(&found[name]).starts_with("refused"), "{name}: {found}");
    }
    assert_eq!((&found["tmp"], &found["environment"]), (&json!("undefined"), &json!([])), "{found}");
}

/// Where packages come from, as this machine finds them: a private place is one that its operator has to name.
fn registries() -> String {
    let names = ["registry.npmjs.org", "index.crates.io", "static.crates.io"];
    let addresses = names.iter().flat_map(|name| (*name, 443).to_socket_addrs().into_iter().flatten());
    addresses.filter(|address| address.is_ipv4()).fold("*".to_owned(), |all, address| format!("{all},{address}"))
}

/// As the console of Appwrite hands it out, with its package.
#[test]
fn a_function_written_for_appwrite_is_deployed_unchanged() {
    const MAIN: &str = "
        import { Client, Users } from 'node-appwrite';

        export default async ({ req, res, log, error }) => {
          const client = new Client()
            .setEndpoint(process.env.APPWRITE_FUNCTION_API_ENDPOINT ?? 'http://127.0.0.1:1/v1')
            .setProject(process.env.APPWRITE_FUNCTION_PROJECT_ID ?? 'none')
            .setKey(req.headers['x-appwrite-key'] ?? '');
          const users = new Users(client);
          try {
            const response = await users.list();
            log(`Total users: ${response.total}`);
          } catch (err) {
            error('Could not list users: ' + err.message);
          }
          if (req.path === '/ping') {
            return res.text('Pong');
          }
          return res.json({ motto: 'Build like a team of hundreds_', learn: 'https://appwrite.io/docs' });
        };";
    let server = Server::start_with(&[("EVERFOLD_EGRESS_ALLOW", &registries())]);
    let owner = Owner::guest(&server);
    let asked = json!({"name": "starter", "runtime": "node", "entrypoint": "src/main.js", "network": "internet"});
    let function = Function::make(&owner, &asked);
    let package = json!({"name": "starter-template", "version": "1.0.0", "main": "src/main.js", "type": "module",
        "scripts": {"format": "prettier --write ."}, "dependencies": {"node-appwrite": "^17.0.0"}});
    let built = function.deploy(&[("package.json", &package.to_string()), ("src/main.js", MAIN)]);
    assert!(built["files"].as_u64() > Some(10), "{built}");
    assert_eq!(function.call("/ping").expect(200).text(), "Pong");
    assert_eq!(function.call("/").expect(200).json()["motto"], "Build like a team of hundreds_");
    assert!(text(&function.kept("/ping")["errors"]).contains("Could not list users"));
}

#[test]
fn every_language_of_this_machine_is_built_in_the_sandbox_and_answers_from_it() {
    let server = Server::start_with(&[("EVERFOLD_EGRESS_ALLOW", &registries())]);
    let owner = Owner::guest(&server);
    let listed = owner.get("/api/runtimes").expect(200).json();
    assert_eq!(listed["sandbox"]["available"], true, "{listed}");
    let runtimes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes");
    let mut answered = Vec::new();
    for runtime in listed["objects"].as_array().expect("a list") {
        let (name, available) = (text(&runtime["name"]), runtime["available"] == true);
        if !available {
            assert!(text(&runtime["reason"]).contains("To install it: "), "{runtime}");
            continue;
        }
        let folder = match name {
            "node" | "bun" | "deno" => "javascript",
            "kotlin" => "java",
            own => own,
        };
        let code = match name {
            "static" => packed(&[("index.html", "files")]),
            _ => packed_folder(&runtimes.join(folder).join("tests")),
        };
        // Its crates are downloaded.
        let network = if name == "rust" { "internet" } else { "none" };
        let asked = json!({"name": name, "runtime": name, "limits": {"memoryMb": 1024}, "network": network});
        let function = Function::make(&owner, &asked);
        let built = function.built(&function.send(&code, true).expect(201).json());
        assert_eq!(built["status"], "ready", "{name}: {built}");
        if name == "static" {
            assert_eq!(function.call("/").expect(200).text(), "files");
        } else {
            answers(&function, name);
        }
        answered.push(name.to_owned());
    }
    assert!(answered.len() >= 11, "{answered:?}");
}

/// A few cases of the contract, through all that lies between; `runtimes.rs` holds the whole table against each.
fn answers(function: &Function, name: &str) {
    let address = &function.owner.address;
    let ask = |action: &str, body: &[u8]| {
        let ask = function.ask("POST", "/some/path?a=b").header("x-action", action);
        ask.body("text/plain; charset=utf-8", body).send(address)
    };
    let expect = |action: &str, body: &[u8], status: u16| {
        let reply = ask(action, body);
        assert_eq!(reply.status, status, "{name}, {action}: {} {}", reply.text(), function.kept("/some/path?a=b"));
        reply
    };
    assert_eq!(expect("text", "größer ✓".as_bytes(), 200).text(), "größer ✓", "{name}");
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(expect("binary", &bytes, 200).body, bytes, "{name}");
    let said = expect("request", b"", 200).json();
    let wanted = (json!("POST"), json!("/some/path"), json!("a=b"), json!("http"));
    let found = ["method", "path", "queryString", "scheme"].map(|key| said[key].clone());
    assert_eq!(found, <[Value; 4]>::from(wanted), "{name}");
    assert_eq!(expect("created", b"", 201).header("x-upper"), Some("Kept"), "{name}");
    assert_eq!(expect("length", &vec![b'x'; 17 << 20], 200).text(), (17 << 20).to_string(), "{name}");
    ask("length", &vec![b'x'; 23 << 20]).problem(413, "body_too_large");
}
