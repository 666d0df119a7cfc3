//! Everything a server keeps moves from its directory to PostgreSQL and back, while it is used, and stays as it was.

mod harness;
#[allow(dead_code, reason = "the store's own tests use the rest of it")]
#[path = "../../store/tests/harness/mod.rs"]
mod postgres;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use harness::{
    Over,
    function::Function,
    hook::{Hook, Owner, Receipt},
    http::Ask,
    server::{Server, everfold},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const CODE: &str = "
    export const reducer = (state, request) => [...(state ?? []), request.body];
    export const query = (state, params, own) => ({ state, token: own.token?.length ?? null });";
const FUNCTION: &str =
    "export default async ({ req, res }) => res.json({ hello: req.query.name, key: process.env.KEY });";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn with(database: &postgres::Server) -> Command {
    let mut command = everfold();
    command.env("EVERFOLD_DATABASE", database.address());
    command
}

fn migrate(database: &postgres::Server, data: &Path, words: &[&str]) -> Output {
    with(database).arg("migrate").args(words).arg("--data").arg(data).output().expect("everfold starts")
}

fn moved(database: &postgres::Server, data: &Path, from: &str, to: &str) -> Value {
    let output = migrate(database, data, &["--json", "--from", from, "--to", to]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("is JSON")
}

/// What it says when it fails, which it has to.
fn failed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("hint: "), "{said}");
    said
}

fn refused_to_serve(mut command: Command, data: &Path) -> String {
    failed(&command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).output().expect("everfold starts"))
}

/// Everything that anybody can see of a hook.
fn seen(hook: &Hook) -> Value {
    let versions = hook.owner.get(&hook.api("/versions")).expect(200).json();
    let secrets = hook.owner.get(&format!("/api/secrets/{}", hook.id)).expect(200).json();
    json!({
        "state": hook.state(), "past": hook.read("at=2").expect(200).json(), "verified": hook.verify(),
        "history": hook.history(), "versions": versions, "secrets": secrets,
    })
}

/// Writes until it is told that this is over; gives every receipt.
fn write_on(hook: &Hook, is_over: &AtomicBool) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        receipts.push(hook.keep(&json!(receipts.len())));
    }
    receipts
}

#[test]
fn everything_moves_to_postgres_and_back_while_it_is_used_and_stays_as_it_was() {
    let (database, data, other) = (postgres::Server::start(), folder(), folder());
    let mut server = Server::start_on(data.path());
    let hook = Hook::running(&server, "export const reducer = (state, request) => 1;");
    let secret = json!({ "key": "token", "value": "hush-hush-77" });
    hook.owner.post(&format!("/api/secrets/{}", hook.id), &secret).expect(201);
    (0..300).for_each(|number| drop(hook.keep(&json!(number))));
    hook.publish(CODE);
    let function = Function::make(&hook.owner, &json!({"name": "greet", "runtime": "node", "variables": {"KEY": "k"}}));
    function.deploy(&[("index.js", FUNCTION)]);
    let told = json!({"name": "tea.txt", "type": "text/plain", "size": 3 << 20, "lastModified": 5});
    let file = hook.owner.post("/api/uploads", &told).expect(201).json();
    let origin = format!("http://{}", server.address);
    let file = file["uploadUrl"].as_str().and_then(|url| url.strip_prefix(&origin)).expect("a URL").to_owned();
    let bytes: Vec<u8> =
        (0..3 << 17_u64).flat_map(|at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
    Ask::new("PUT", &file).body("text/plain", bytes.clone()).send(&server.address).expect(200);

    // The server goes on; what is copied is not served yet.
    let is_over = AtomicBool::new(false);
    let receipts = thread::scope(|scope| {
        let writing = scope.spawn(|| write_on(&hook, &is_over));
        let over = Over(&is_over);
        let copied = moved(&database, data.path(), "sqlite", "postgres");
        drop(over);
        assert_eq!((&copied["switched"], &copied["compared"]), (&json!(false), &Value::Null), "{copied}");
        assert!(copied["copied"]["records"].as_u64() > Some(300), "{copied}");
        writing.join().expect("writes")
    });
    let said = refused_to_serve(with(&database), other.path());
    assert!(said.contains("migration_unfinished"), "{said}");
    hook.settled(&receipts.last().expect("something was written meanwhile").id).expect(200);
    let all = seen(&hook);
    assert!(server.terminate().success());

    let switched = moved(&database, data.path(), "sqlite", "postgres");
    assert_eq!(switched["switched"], true);
    assert!(switched["copied"]["records"].as_u64() <= Some(receipts.len() as u64 + 10), "{switched}");
    assert!(switched["compared"]["records"].as_u64() > Some(300 + receipts.len() as u64), "{switched}");
    let said = refused_to_serve(everfold(), data.path());
    assert!(said.contains("migration_left"), "{said}");
    let said = failed(&migrate(&database, data.path(), &["--from", "sqlite", "--to", "postgres"]));
    assert!(said.contains("migration_left"), "{said}");

    // Another machine has the key of the first, and nothing else.
    fs::copy(data.path().join("everfold.key"), other.path().join("everfold.key")).expect("the key is copied");
    let mut node = Server::start_by(with(&database), other.path());
    let (there, greet) = (hook.at(&node), |server: &Server| {
        let answer = function.ask("GET", "?name=Ada").send(&server.address).expect(200).json();
        assert_eq!(answer, json!({"hello": "Ada", "key": "k"}));
    });
    assert_eq!(seen(&there), all);
    assert_eq!(there.state()["token"], 12, "its secrets are open");
    greet(&node);
    assert!(Ask::new("GET", &file).send(&node.address).expect(200).body == bytes);
    let kept = there.fold(&json!("there"));
    assert_eq!(kept.seq, receipts.last().expect("one").seq + 1, "it goes on where it was");

    // And back, the same way.
    let copied = moved(&database, data.path(), "postgres", "sqlite");
    assert_eq!(copied["switched"], false, "{copied}");
    there.fold(&json!("late"));
    let all = seen(&there);
    assert!(node.terminate().success());
    let switched = moved(&database, data.path(), "postgres", "sqlite");
    assert_eq!((&switched["switched"], &switched["copied"]["records"]), (&json!(true), &json!(1)), "{switched}");
    let said = refused_to_serve(with(&database), other.path());
    assert!(said.contains("migration_left"), "{said}");
    let server = Server::start_on(data.path());
    let here = hook.at(&server);
    assert_eq!(seen(&here), all);
    assert_eq!(here.state()["token"], 12);
    greet(&server);
    assert!(Ask::new("GET", &file).send(&server.address).expect(200).body == bytes);
    assert_eq!(here.fold(&json!("here")).seq, kept.seq + 2);
}

#[test]
fn what_cannot_move_is_told_why_and_left_as_it_was() {
    let (database, data, other) = (postgres::Server::start(), folder(), folder());
    let to_postgres = ["--from", "sqlite", "--to", "postgres"];
    let said = failed(&migrate(&database, other.path(), &to_postgres));
    assert!(said.contains("no everfold.db"), "{said}");
    assert!(fs::read_dir(other.path()).expect("reads").next().is_none(), "nothing was made");
    let mut server = Server::start_on(data.path());
    let hook = Hook::running(&server, CODE);
    hook.fold(&json!(1));
    let without = everfold().arg("migrate").args(to_postgres).arg("--data").arg(data.path()).output();
    assert!(failed(&without.expect("everfold starts")).contains("EVERFOLD_DATABASE"));
    let said = failed(&migrate(&database, data.path(), &["--from", "sqlite", "--to", "sqlite"]));
    assert!(said.contains("already"), "{said}");
    let said = failed(&migrate(&database, data.path(), &["--from", "sqlite", "--reclaim"]));
    assert!(said.contains("A server is using it"), "{said}");

    // A database that is owned, and one that holds something else.
    let mut node = Server::start_by(with(&database), other.path());
    let said = failed(&migrate(&database, data.path(), &to_postgres));
    assert!(said.contains("A server owns the database"), "{said}");
    let theirs = Owner::guest(&node).hook();
    assert!(node.terminate().success());
    let said = failed(&migrate(&database, data.path(), &to_postgres));
    assert!(said.contains("migration_occupied"), "{said}");
    let mut node = Server::start_by(with(&database), other.path());
    theirs.at(&node).keep(&json!("goes on"));
    assert!(node.terminate().success());
    let said = failed(&migrate(&database, data.path(), &["--from", "postgres", "--to", "sqlite"]));
    assert!(said.contains("store_in_use"), "{said}");

    // The place that everything moved to is lost.
    assert!(server.terminate().success());
    let lost = postgres::Server::start();
    let output = migrate(&lost, data.path(), &to_postgres);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("were compared") && said.contains("everfold.key"), "{said}");
    drop(lost);
    assert!(refused_to_serve(everfold(), data.path()).contains("--reclaim"));
    assert!(migrate(&database, data.path(), &["--from", "sqlite", "--reclaim"]).status.success());
    let server = Server::start_on(data.path());
    assert_eq!(hook.at(&server).state()["state"], json!([1]));
}
