//! The command line as a person meets it: whole sessions, exit codes, and a file that is saved.

mod harness;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    process::{Child, ChildStdin, Stdio},
    sync::mpsc,
    thread,
};

use harness::{
    PATIENCE, eventually,
    hook::{Hook, Owner},
    http::Ask,
    server::{Server, everfold},
    transcript::Session,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const COUNTER: &str = include_str!("../../examples/hooks/counter.ts");

/// A server, a session that talks to it, and a hook named `orders` of the session's own guest.
fn session() -> (Server, Session, Hook, TempDir) {
    let server = Server::start();
    let home = tempfile::tempdir().expect("a folder for the credentials");
    let credentials = home.path().join("credentials.json");
    let url = format!("http://{}", server.address);
    let mut session = Session::new(&[
        ("EVERFOLD_URL", url.as_str()),
        ("EVERFOLD_CREDENTIALS", credentials.to_str().expect("the path is text")),
    ]);
    session.mask(&url, "server");
    session.run(&["hooks"]);
    let known: Value = serde_json::from_slice(&fs::read(&credentials).expect("credentials are kept")).expect("JSON");
    let jwt = known[&url]["jwt"].as_str().expect("a jwt is kept").to_owned();
    let hook = Owner { address: server.address.clone(), jwt }.hook();
    hook.owner.put(&hook.api(""), &json!({"name": "orders"})).expect(202);
    hook.publish(COUNTER);
    session.mask(&hook.write_key, "write key");
    session.mask(&hook.read_key, "read key");
    (server, session, hook, home)
}

#[test]
fn a_person_sends_and_looks_back() {
    let (_server, mut session, hook, _home) = session();
    let said = |output: std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    session.run(&["hooks"]);
    session.run(&["history", "orders"]);
    session.run(&["state", "orders"]);
    session.run(&["send", "orders", r#"{"name":"tea"}"#]);
    session.run_with_stdin(&["send", "orders", "-"], r#"{"name":"coffee"}"#);
    session.run(&["send", "orders", "just text", "-X", "PUT", "-H", "X-Mark: 1"]);
    hook.state_after(3);
    session.run(&["state", "orders"]);
    session.run(&["state", "orders", "--at", "1"]);
    session.run(&["state", "orders", "--json"]);
    session.run(&["tail", "orders", "-n", "1"]);
    session.run(&["history", "orders"]);
    session.run(&["history", "orders", "-n", "1"]);
    session.run(&["verify", "orders"]);
    session.run(&["verify", &hook.id, "--json"]);
    session.mask(&hook.id, "id");
    session.is_as_in("look_back");

    let history = said(session.run(&["history", "orders", "--json"]));
    let seqs = history.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["seq"].clone());
    assert!(seqs.eq([1, 2, 3].map(Value::from)), "{history}");
    let hooks: Value = serde_json::from_str(&said(session.run(&["hooks", "--json"]))).expect("JSON");
    assert_eq!(hooks["objects"][0]["name"], "orders");
}

/// Answers `everfold login` with an address, and with the link that is sent to it.
fn by_link(server: &Server, email: &str) -> impl FnOnce(&mut ChildStdin) {
    let (address, email) = (server.address.clone(), email.to_owned());
    move |stdin| {
        let sent = || Ask::new("GET", "/api/dev/mail").send(&address).expect(200).json();
        let before = sent().as_array().map_or(0, Vec::len);
        writeln!(stdin, "{email}").expect("it asks for an address");
        let link = eventually("a mail comes", || sent()[before]["link"].as_str().map(str::to_owned));
        writeln!(stdin, "{link}").expect("it asks for a link");
    }
}

#[test]
fn a_person_signs_in_and_out() {
    let server = Server::start();
    let home = tempfile::tempdir().expect("a folder for the credentials");
    let credentials = home.path().join("everfold/credentials.json");
    let url = format!("http://{}", server.address);
    let settings = [("EVERFOLD_URL", url.as_str()), ("EVERFOLD_CREDENTIALS", credentials.to_str().expect("text"))];
    let mut session = Session::new(&settings);
    session.mask(&url, "server");
    let kept = || -> Value { serde_json::from_slice(&fs::read(&credentials).expect("kept")).expect("JSON") };
    let owner = || Owner { address: server.address.clone(), jwt: kept()[&url]["jwt"].as_str().expect("a jwt").into() };

    session.run(&["whoami"]);
    session.run(&["logout"]);
    session.run(&["hooks"]);
    session.run(&["whoami"]);
    let hook = owner().hook();
    hook.owner.put(&hook.api(""), &json!({"name": "orders"})).expect(202);
    session.mask(&hook.write_key, "write key");
    session.mask(&hook.read_key, "read key");
    session.run(&["logout"]);
    session.run_with_stdin(&["login"], "not an address\n");
    session.run_with_stdin(&["login"], "ada@example.com\nnonsense\n");
    session.run_talking(&["login"], by_link(&server, "ada@example.com"));
    session.run(&["whoami"]);
    session.run(&["hooks"]);
    session.run_with_stdin(&["login"], "bob@example.com\n");
    let key = owner().post("/api/keys", &json!({"type": "api"})).expect(201).json();
    let key = key["key"].as_str().expect("a key");
    session.run(&["logout"]);
    session.run(&["whoami", "--json"]);
    session.run_talking(&["login", &format!("{url}/"), "--key"], |stdin| writeln!(stdin, "{key}").expect("it asks"));
    session.run(&["whoami"]);
    session.run(&["hooks"]);
    assert_eq!(kept()[&url]["key"], key);
    assert_eq!(fs::metadata(&credentials).expect("kept").permissions().mode() & 0o777, 0o600);
    session.run(&["logout"]);
    session.run_with_stdin(&["login", "--key"], "everfold_api_nonsense\n");
    session.run_talking(&["login", &url, "--url", "http://127.0.0.1:1"], by_link(&server, "ada@example.com"));

    let hook = Owner { jwt: key.into(), ..owner() };
    owner().put("/api/settings", &json!({"closedToGuests": true})).expect(200);
    hook.get("/api/hooks").expect(200);
    session.run(&["logout"]);
    session.run(&["hooks"]);
    session.run_talking(&["login"], by_link(&server, "ada@example.com"));
    assert!(!session.run(&["whoami", "--json"]).stdout.is_empty());
    session.is_as_in("accounts");
}

#[test]
fn what_fails_says_why_and_what_to_do_next() {
    let (server, mut session, hook, _home) = session();
    hook.fold(&json!({"name": "tea"}));
    session.run(&["state", "nobody"]);
    session.run(&["state", "orders", "--at", "99"]);
    session.run(&["send", "orders", "x", "-H", "no header"]);
    session.run(&["history", "orders", "--url", "http://127.0.0.1:1"]);
    session.run(&["serve", "--listen", &server.address, "--data", "/tmp/never-made"]);
    session.mask(&server.address, "address");
    session.run(&["serve", "--listen", "127.0.0.1:0", "--data", "/dev/null"]);
    session.run(&["dev", "/nowhere"]);
    session.is_as_in("failures");
}

#[test]
fn an_owner_changes_looks_ahead_and_goes_back() {
    let (_server, mut session, hook, home) = session();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        fs::write(&path, text).expect("a file is written");
        path.to_str().expect("the path is text").to_owned()
    };
    let size = file(
        "size.ts",
        "export const reducer = (state, request) => ({ ...state, [request.body.name]: request.seq });\n",
    );
    let broken = file("broken.ts", "export const reducer = (\n");
    let out = home.path().join("orders.everfold").to_str().expect("the path is text").to_owned();
    session.mask(home.path().to_str().expect("the path is text"), "home");
    for name in ["tea", "coffee", "tea"] {
        hook.fold(&json!({ "name": name }));
    }
    session.run(&["diff", "orders", "2"]);
    session.run(&["preview", "orders", &size]);
    session.run(&["preview", "orders", &broken]);
    session.run(&["publish", "orders", &broken]);
    session.run(&["publish", "orders", &size]);
    session.run(&["versions", "orders"]);
    session.run(&["resend", "orders", "1"]);
    hook.state_after(4);
    session.run(&["restore", "orders", "2"]);
    session.run(&["restore", "orders", "9"]);
    session.run(&["state", "orders"]);
    session.run(&["pause", "orders"]);
    session.run(&["play", "orders"]);
    session.run(&["keys", "list", "orders"]);
    session.run(&["keys", "pause", "orders", &hook.write_key]);
    session.run(&["keys", "list", "orders"]);
    session.run(&["keys", "play", "orders", &hook.write_key]);
    session.run(&["keys", "pause", "orders", "nobodys"]);
    session.run(&["keys", "revoke", "orders", &hook.write_key]);
    session.run(&["keys", "list", "orders"]);
    session.run(&["keys", "revoke", "orders", &hook.write_key]);
    session.run(&["secrets", "list", "orders"]);
    session.run_with_stdin(&["secrets", "set", "orders", "TOKEN"], "s3cret\n");
    session.run(&["secrets", "list", "orders"]);
    session.run(&["secrets", "remove", "orders", "TOKEN"]);
    session.run(&["secrets", "remove", "orders", "TOKEN"]);
    session.run(&["export", "orders", &out]);
    session.run(&["delete", "orders"]);
    session.run(&["delete", "orders", "--yes"]);
    session.run(&["state", "orders"]);
    let made = session.run(&["import", &out]);
    for line in String::from_utf8_lossy(&made.stdout).lines() {
        if let Some((_, key)) = line.rsplit_once("write/").or(line.rsplit_once("read/")) {
            session.mask(key, "new key");
        }
    }
    session.run(&["state", "orders"]);
    session.run(&["verify", "orders"]);
    session.run(&["import", &size]);
    session.is_as_in("owner");
}

#[test]
fn a_directory_is_deployed_with_its_secrets() {
    let (_server, mut session, _hook, home) = session();
    let dir = home.path().join("shop");
    fs::create_dir_all(dir.join("hooks")).expect("a folder");
    let hook = dir.join("hooks/till.ts");
    fs::write(&hook, COUNTER).expect("a file is written");
    fs::write(dir.join(".env"), "TOKEN=s3cret\n").expect("a file is written");
    let shown = dir.to_str().expect("the path is text").to_owned();
    session.mask(&shown, "dir");
    session.run(&["deploy", &shown, "--publish"]);
    session.run(&["deploy", &shown]);
    session.run(&["secrets", "list", "till"]);
    session.run(&["send", "till", r#"{"name":"tea"}"#]);
    session.run(&["state", "till"]);
    fs::write(&hook, COUNTER.replace("state.total + 1", "state.total + 5")).expect("a file is written");
    session.run(&["deploy", &shown]);
    session.run(&["deploy", &shown, "--publish"]);
    session.run(&["state", "till"]);
    fs::write(&hook, "export const reducer = (").expect("a file is written");
    session.run(&["deploy", &shown, "--publish"]);
    session.run(&["deploy", "/nowhere"]);
    session.is_as_in("deploy");
}

#[test]
fn who_deploys_a_first_hook_is_told_that_it_is_live() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("hooks")).expect("a folder");
    fs::write(dir.path().join("hooks/till.ts"), COUNTER).expect("a file is written");
    let credentials = dir.path().join("credentials.json");
    let mut session = Session::new(&[
        ("EVERFOLD_URL", format!("http://{}", server.address).as_str()),
        ("EVERFOLD_CREDENTIALS", credentials.to_str().expect("the path is text")),
    ]);
    let mut said = || {
        let output = session.run(&["deploy", dir.path().to_str().expect("the path is text")]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let first = said();
    assert!(first.starts_with("till: new, from ") && first.contains("published"), "{first}");
    assert_eq!(said(), "till: unchanged\n");
}

#[test]
fn a_folder_becomes_a_function_that_is_called_and_rolled_back() {
    let (server, mut session, _hook, home) = session();
    let dir = home.path().join("shop");
    let folder = dir.join("functions/greet");
    fs::create_dir_all(folder.join("node_modules")).expect("a folder");
    let write = |word: &str| {
        let code = format!(
            "module.exports = ({{ req, res, log }}) => {{ log('{word}', req.path); return res.text('{word} ' + req.bodyText); }};"
        );
        fs::write(folder.join("index.js"), code).expect("a file is written");
    };
    let shown = dir.to_str().expect("the path is text").to_owned();
    let mut said = |words: &[&str]| {
        let output = session.run(words);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    write("hello");
    let (_, text) = said(&["deploy", &shown]);
    assert!(text.contains("greet: new, node") && text.contains("built, and not live"), "{text}");
    let (is_well, text) = said(&["exec", "greet"]);
    assert!(!is_well && text.contains("function_not_ready"), "{text}");
    let (_, text) = said(&["deploy", &shown, "--publish"]);
    let live = format!("greet: live at http://{}/f/greet", server.address);
    assert!(text.contains("greet: unchanged, nothing to build") && text.contains(&live), "{text}");
    let (_, text) = said(&["exec", "greet", "/a?b", "--data", "you"]);
    assert!(text.contains("hello you") && text.contains("log  hello /a") && text.contains("200  "), "{text}");
    write("bye");
    assert!(said(&["deploy", folder.to_str().expect("text"), "--publish"]).1.contains("greet: live at"));
    assert!(said(&["exec", "greet"]).1.contains("bye "));
    let (_, text) = said(&["deployments", "greet"]);
    assert_eq!((text.lines().count(), text.matches("* ").count(), text.matches("ready").count()), (3, 1, 3), "{text}");
    assert!(said(&["rollback", "greet"]).1.contains(" answers"));
    assert!(said(&["exec", "greet"]).1.contains("hello "));
    let (_, text) = said(&["logs", "greet", "-n", "2"]);
    assert!(text.contains("GET /  200") && text.contains("    bye /") && text.contains("    hello /"), "{text}");
    let (_, text) = said(&["functions"]);
    assert!(text.contains("greet") && text.contains("live"), "{text}");
    let (is_well, text) = said(&["exec", "nobody"]);
    assert!(!is_well && text.contains("yours are greet"), "{text}");
    fs::remove_file(folder.join("index.js")).expect("it is removed");
    let (is_well, text) = said(&["deploy", folder.to_str().expect("text")]);
    assert!(!is_well && text.contains("functions/hello/index.js"), "{text}");
}

#[test]
fn a_backup_of_a_running_server_is_a_server_of_its_own() {
    let (server, mut session, hook, home) = session();
    let path = |name: &str| home.path().join(name).to_str().expect("the path is text").to_owned();
    let (file, data) = (path("backup.db"), path("again"));
    session.mask(home.path().to_str().expect("the path is text"), "home");
    session.mask(server.data.to_str().expect("the path is text"), "data");
    let writing = {
        let hook = hook.clone();
        thread::spawn(move || (0..300).for_each(|_| drop(hook.keep(&json!({"name": "tea"})))))
    };
    hook.state_after(20);
    let run = |session: &mut Session, words: &[&str]| String::from_utf8_lossy(&session.run(words).stdout).into_owned();
    let said = run(&mut session, &["backup", &file, "--data", server.data.to_str().expect("text")]);
    assert!(said.contains("bytes, as of now"), "{said}");
    writing.join().expect("it writes");
    assert!(!session.run(&["backup", &file, "--data", server.data.to_str().expect("text")]).status.success());
    let said = run(&mut session, &["restore", &file, "--data", &data]);
    assert!(said.contains("Put the old everfold.key beside it"), "{said}");
    assert!(!session.run(&["restore", &file, "--data", &data]).status.success(), "what is there is left as it is");
    assert!(!session.run(&["restore", "/dev/null", "--data", &path("none")]).status.success());
    fs::copy(server.data.join("everfold.key"), home.path().join("again/everfold.key")).expect("the key is copied");

    let again = Server::start_on(&home.path().join("again"));
    let hook = hook.at(&again);
    let verified = hook.verify();
    let kept = verified["seq"].as_u64().expect("a seq");
    assert!(verified["ok"] == true && (20..=300).contains(&kept), "{verified}");
    assert_eq!(hook.state_after(kept)["total"], kept);
    assert_eq!(hook.keep(&json!({})).seq, kept + 1);
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    let mut session = Session::new(&[]);
    let codes: Vec<_> = [
        &["--help"][..],
        &["--version"],
        &["send", "--help"],
        &[],
        &["remember"],
        &["send"],
        &["state", "orders", "--at", "yesterday"],
        &["serve", "--listen", "nowhere"],
    ]
    .iter()
    .map(|words| session.run(words).status.code())
    .collect();
    assert_eq!(codes, [0, 0, 0, 2, 2, 2, 2, 2].map(Some));
    session.is_as_in("usage");
}

#[test]
fn the_doctor_tells_what_holds_here() {
    let output = everfold().arg("doctor").output().expect("everfold starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("holds    system calls") && said.contains("Disk"), "{said}");
    assert!(said.contains("Sandbox around functions") && said.contains("found    Node.js "), "{said}");
    let output = everfold().args(["doctor", "--json"]).output().expect("everfold starts");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let layers = told["sandbox"].as_array().expect("the layers are listed");
    assert!(layers.iter().any(|layer| layer["holds"] == true), "{told}");
    assert!(told["syncMs"].as_f64().is_some_and(|ms| ms > 0.0), "{told}");
}

#[test]
fn a_reader_that_has_seen_enough_ends_a_command_quietly() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut completions = everfold();
    let output = completions.args(["completions", "bash"]).stdout(writer).stderr(Stdio::piped()).output();
    let said = String::from_utf8(output.expect("everfold starts").stderr).expect("text");
    assert!(!said.contains("panicked"), "{said}");
}

/// `everfold dev`, with what it says line by line.
struct Developing {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Developing {
    fn start(dir: Option<&TempDir>, home: &TempDir) -> Developing {
        let mut process = everfold()
            .arg("dev")
            .args(dir.map(TempDir::path))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(home.path().join("data"))
            .env("EVERFOLD_CREDENTIALS", home.path().join("credentials.json"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("everfold starts");
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(process.stdout.take().expect("stdout is a pipe"));
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Developing { process, lines }
    }

    #[track_caller]
    fn line_with(&self, part: &str) -> String {
        let mut said = vec![];
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => said.push(line),
                Err(_) => panic!("no line with {part:?} came, but {said:?}"),
            }
        }
    }

    /// The curl line as a person copies it; it must run in a shell as it is.
    fn tried(&self) -> String {
        let line = self.line_with("curl");
        line[line.find("curl").expect("just found")..].to_owned()
    }
}

impl Drop for Developing {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What stands behind `http://` up to the path, and the path.
fn place(text: &str) -> (String, String) {
    let url = text.split("http://").nth(1).expect("a url").split_whitespace().next().expect("a url");
    let (address, path) = url.split_once('/').expect("a path");
    (address.to_owned(), format!("/{path}"))
}

#[test]
fn a_saved_file_refolds_the_history_before_the_eyes() {
    let home = tempfile::tempdir().expect("a folder for the data");
    let dir = tempfile::tempdir().expect("a folder for the hooks");
    let file = dir.path().join("hooks/counter.ts");
    fs::create_dir(dir.path().join("hooks")).and_then(|()| fs::write(&file, COUNTER)).expect("a folder can be filled");
    let developing = Developing::start(Some(&dir), &home);
    let (_, read_path) = place(&developing.line_with("/read/"));
    let curl = developing.tried();
    assert!(curl.contains("-d '{\"name\":\"tea\"}'") && curl.contains("content-type: application/json"), "{curl}");
    let (address, write_path) = place(&curl);
    developing.line_with("watching");
    for name in ["tea", "tea", "coffee"] {
        Ask::new("POST", &write_path).json(&json!({ "name": name })).send(&address).expect(202);
    }
    let read = |query: &str| Ask::new("GET", format!("{read_path}{query}")).send(&address).expect(200).json();
    assert_eq!(read("?after=3"), json!({"total": 3, "byName": {"tea": 2, "coffee": 1}}));

    fs::write(&file, COUNTER.replace("state.total + 1", "state.total + 100")).expect("a file can be saved");
    developing.line_with("3 requests folded again");
    assert!(developing.line_with("state").contains("300"));
    assert_eq!(read("")["total"], 300);

    fs::write(&file, "export function reducer( {").expect("a file can be saved");
    assert!(developing.line_with("error").contains("line 1"));
    assert_eq!(read("")["total"], 300, "the live version goes on");

    fs::write(&file, COUNTER).expect("a file can be saved");
    developing.line_with("3 requests folded again");
    assert_eq!(read("")["total"], 3);
}

#[test]
fn developing_without_a_folder_shows_an_example_that_works() {
    let home = tempfile::tempdir().expect("a folder for the data");
    let developing = Developing::start(None, &home);
    let (address, write_path) = place(&developing.tried());
    Ask::new("POST", write_path).json(&json!({"name": "tea"})).send(&address).expect(202);
    let limits = Ask::new("GET", "/api/limits").send(&address).expect(200).json();
    assert_eq!(limits["guestWritesPerMinute"], 0, "who develops is not held up");
}

#[test]
fn a_browser_on_the_developers_machine_shows_what_is_developed() {
    let home = tempfile::tempdir().expect("a folder for the data");
    let developing = Developing::start(None, &home);
    let (address, _) = place(&developing.tried());
    let hooks_of = |ask: Ask| {
        let entered = ask.header("sec-fetch-site", "same-origin").send(&address).expect(200);
        let access =
            entered.headers.iter().find(|(name, value)| name == "set-cookie" && value.starts_with("everfold="));
        let access = access.and_then(|(_, cookie)| cookie.split(';').next()).expect("a cookie").to_owned();
        let hooks = Ask::new("GET", "/api/hooks").header("cookie", access).send(&address).expect(200).json();
        hooks["objects"].as_array().expect("a list").len()
    };
    assert_eq!(hooks_of(Ask::new("POST", "/api/auth/session").header("host", &address)), 1);
    let bent = Ask::new("POST", "/api/auth/session").header("host", "evil.example");
    assert_eq!(hooks_of(bent), 0, "a page whose name was bent to this machine is a guest of its own");
}

#[test]
fn a_port_that_is_taken_is_a_failure_and_not_a_hang() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let home = tempfile::tempdir().expect("a folder for the data");
    let mut serve = everfold();
    serve.args(["serve", "--listen", &address, "--data"]).arg(home.path());
    let output = serve.output().expect("everfold starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("hint:"));
}
