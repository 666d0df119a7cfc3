//! Everything a server keeps moves from its directory to PostgreSQL and back, while it is used, and stays as it was.

mod harness;
#[allow(dead_code, reason = "the store's own tests use the rest of it")]
#[path = "../../store/tests/harness/mod.rs"]
mod postgres;

use std::{
    collections::BTreeSet,
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
use rules::record::LaneId;
use serde_json::{Value, json};
use store::postgres::Shard;
use tempfile::TempDir;

const CODE: &str = "
    export const reducer = (state, request) => [...(state ?? []), request.body];
    export const query = (state, params, own) => ({ state, token: own.token?.length ?? null });";
const FUNCTION: &str =
    "export default async ({ req, res }) => res.json({ hello: req.query.name, key: process.env.KEY });";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn with(databases: &str) -> Command {
    let mut command = everfold();
    command.env("EVERFOLD_DATABASE", databases);
    command
}

fn migrate(databases: &str, data: &Path, words: &[&str]) -> Output {
    with(databases).arg("migrate").args(words).arg("--data").arg(data).output().expect("everfold starts")
}

fn moved(databases: &str, data: &Path, from: &str, to: &str) -> Value {
    let output = migrate(databases, data, &["--json", "--from", from, "--to", to]);
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
        let copied = moved(&database.address(), data.path(), "sqlite", "postgres");
        drop(over);
        assert_eq!((&copied["switched"], &copied["compared"]), (&json!(false), &Value::Null), "{copied}");
        assert!(copied["copied"]["records"].as_u64() > Some(300), "{copied}");
        writing.join().expect("writes")
    });
    let said = refused_to_serve(with(&database.address()), other.path());
    assert!(said.contains("migration_unfinished"), "{said}");
    hook.settled(&receipts.last().expect("something was written meanwhile").id).expect(200);
    let all = seen(&hook);
    assert!(server.terminate().success());

    let switched = moved(&database.address(), data.path(), "sqlite", "postgres");
    assert_eq!(switched["switched"], true);
    assert!(switched["copied"]["records"].as_u64() <= Some(receipts.len() as u64 + 10), "{switched}");
    assert!(switched["compared"]["records"].as_u64() > Some(300 + receipts.len() as u64), "{switched}");
    let said = refused_to_serve(everfold(), data.path());
    assert!(said.contains("migration_left"), "{said}");
    let said = failed(&migrate(&database.address(), data.path(), &["--from", "sqlite", "--to", "postgres"]));
    assert!(said.contains("migration_left"), "{said}");

    // Another machine has the key of the first, and nothing else.
    fs::copy(data.path().join("everfold.key"), other.path().join("everfold.key")).expect("the key is copied");
    let mut node = Server::start_by(with(&database.address()), other.path());
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
    let copied = moved(&database.address(), data.path(), "postgres", "sqlite");
    assert_eq!(copied["switched"], false, "{copied}");
    there.fold(&json!("late"));
    let all = seen(&there);
    assert!(node.terminate().success());
    let switched = moved(&database.address(), data.path(), "postgres", "sqlite");
    assert_eq!((&switched["switched"], &switched["copied"]["records"]), (&json!(true), &json!(1)), "{switched}");
    let said = refused_to_serve(with(&database.address()), other.path());
    assert!(said.contains("migration_left"), "{said}");
    let server = Server::start_on(data.path());
    let here = hook.at(&server);
    assert_eq!(seen(&here), all);
    assert_eq!(here.state()["token"], 12);
    greet(&server);
    assert!(Ask::new("GET", &file).send(&server.address).expect(200).body == bytes);
    assert_eq!(here.fold(&json!("here")).seq, kept.seq + 2);
}

/// One database became too small: all moves into two, by way of a directory, and each has some of the hooks.
#[test]
fn everything_moves_from_one_database_into_several() {
    let (database, servers) = (postgres::Server::start(), [(); 2].map(|()| postgres::Server::start()));
    let (data, one) = (folder(), database.address());
    let several = servers.each_ref().map(postgres::Server::address).join(" ");
    let mut server = Server::start_by(with(&one), data.path());
    let owner = Owner::guest(&server);
    let hooks: Vec<Hook> = (0..8).map(|_| owner.hook()).collect();
    hooks.iter().for_each(|hook| hook.publish(CODE));
    hooks.iter().for_each(|hook| (0..5).for_each(|number| drop(hook.fold(&json!(number)))));
    let all: Vec<Value> = hooks.iter().map(seen).collect();
    assert!(server.terminate().success());
    assert_eq!(moved(&one, data.path(), "postgres", "sqlite")["switched"], true);
    assert_eq!(moved(&several, data.path(), "sqlite", "postgres")["switched"], true);
    let said = refused_to_serve(with(&one), data.path());
    assert!(said.contains("migration_left"), "{said}");
    let server = Server::start_by(with(&several), data.path());
    let there: Vec<Hook> = hooks.iter().map(|hook| hook.at(&server)).collect();
    assert_eq!(there.iter().map(seen).collect::<Vec<_>>(), all);
    for hook in &there {
        assert_eq!(hook.fold(&json!("there")).seq, 6);
        let revoked = hook.owner.ask(Ask::new("DELETE", hook.api(&format!("/keys/{}", hook.write_key))));
        assert!(revoked.status < 300, "{}", revoked.status);
        hook.write(&json!("too late")).expect(404);
    }
    let parts = hooks.iter().map(|hook| {
        let lane = u128::from_str_radix(&hook.id.replace('-', ""), 16).expect("an id");
        Shard::of(LaneId(lane)).part(2)
    });
    assert_eq!(parts.collect::<BTreeSet<usize>>().len(), 2);
    let [first, _] = several.split(' ').collect::<Vec<_>>()[..] else { unreachable!() };
    let said = refused_to_serve(with(first), folder().path());
    assert!(said.contains("store_parts"), "{said}");
}

#[test]
fn what_cannot_move_is_told_why_and_left_as_it_was() {
    let (database, data, other) = (postgres::Server::start(), folder(), folder());
    let to_postgres = ["--from", "sqlite", "--to", "postgres"];
    let said = failed(&migrate(&database.address(), other.path(), &to_postgres));
    assert!(said.contains("no everfold.db"), "{said}");
    assert!(fs::read_dir(other.path()).expect("reads").next().is_none(), "nothing was made");
    let mut server = Server::start_on(data.path());
    let hook = Hook::running(&server, CODE);
    hook.fold(&json!(1));
    let without = everfold().arg("migrate").args(to_postgres).arg("--data").arg(data.path()).output();
    assert!(failed(&without.expect("everfold starts")).contains("EVERFOLD_DATABASE"));
    let said = failed(&migrate(&database.address(), data.path(), &["--from", "sqlite", "--to", "sqlite"]));
    assert!(said.contains("already"), "{said}");
    let said = failed(&migrate(&database.address(), data.path(), &["--from", "sqlite", "--reclaim"]));
    assert!(said.contains("A server is using it"), "{said}");

    // A database that is owned, and one that holds something else.
    let mut node = Server::start_by(with(&database.address()), other.path());
    let said = failed(&migrate(&database.address(), data.path(), &to_postgres));
    assert!(said.contains("A server owns the database"), "{said}");
    let theirs = Owner::guest(&node).hook();
    assert!(node.terminate().success());
    let said = failed(&migrate(&database.address(), data.path(), &to_postgres));
    assert!(said.contains("migration_occupied"), "{said}");
    let mut node = Server::start_by(with(&database.address()), other.path());
    theirs.at(&node).keep(&json!("goes on"));
    assert!(node.terminate().success());
    let said = failed(&migrate(&database.address(), data.path(), &["--from", "postgres", "--to", "sqlite"]));
    assert!(said.contains("store_in_use"), "{said}");

    // The place that everything moved to is lost.
    assert!(server.terminate().success());
    let lost = postgres::Server::start();
    let output = migrate(&lost.address(), data.path(), &to_postgres);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("were compared") && said.contains("everfold.key"), "{said}");
    drop(lost);
    assert!(refused_to_serve(everfold(), data.path()).contains("--reclaim"));
    assert!(migrate(&database.address(), data.path(), &["--from", "sqlite", "--reclaim"]).status.success());
    let server = Server::start_on(data.path());
    assert_eq!(hook.at(&server).state()["state"], json!([1]));
}
