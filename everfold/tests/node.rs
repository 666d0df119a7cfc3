//! Several servers and one PostgreSQL: one of them owns it, the others stand by, and nothing acknowledged is lost.

mod harness;
#[allow(dead_code, reason = "the store's own tests use the rest of it")]
#[path = "../../store/tests/harness/mod.rs"]
mod postgres;

use std::{
    collections::BTreeSet,
    process::{Command, Output},
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use harness::{
    eventually_within,
    hook::{Hook, Owner, Receipt},
    http::{Ask, Connection},
    server::{Server, everfold},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// As a node has it that says nothing any more.
const LEASE: Duration = Duration::from_secs(10);
/// What a busy machine may add to it.
const GRACE: Duration = Duration::from_secs(15);
const MASTER_KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const WRITERS: u64 = 4;

/// Everything that was written, in order.
const CODE: &str = "export const reducer = (state, request) => [...(state ?? []), request.body];";

fn command(database: &postgres::Server) -> Command {
    let mut command = everfold();
    command.env("EVERFOLD_DATABASE", database.address()).env("EVERFOLD_MASTER_KEY", MASTER_KEY);
    command
}

fn node(database: &postgres::Server, data: &TempDir) -> Server {
    Server::start_by(command(database), data.path())
}

/// One that listens as soon as it owns the database.
fn stands_by(database: &postgres::Server, data: &TempDir) -> JoinHandle<Server> {
    let (command, data) = (command(database), data.path().to_owned());
    let standing = thread::spawn(move || Server::start_by(command, &data));
    thread::sleep(Duration::from_secs(1));
    assert!(!standing.is_finished(), "two nodes own one database");
    standing
}

fn data() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Waits until all that was kept is in the state.
fn settle(hook: &Hook) {
    let last = Receipt::of(&hook.write(&json!("the last")).expect(202));
    hook.settled(&last.id).expect(200);
}

fn written(hook: &Hook) -> Vec<u64> {
    let state = hook.state();
    let all: Vec<u64> = state.as_array().map_or(Vec::new(), |all| all.iter().filter_map(Value::as_u64).collect());
    let each: BTreeSet<u64> = all.iter().copied().collect();
    assert_eq!(each.len(), all.len(), "something was applied twice");
    all
}

/// Writes until the server is gone; gives what was acknowledged.
fn write_on(hook: &Hook, writer: u64, is_over: &AtomicBool) -> Vec<u64> {
    let Ok(mut connection) = Connection::open(&hook.owner.address) else { return Vec::new() };
    let mut acknowledged = Vec::new();
    for n in 0.. {
        let number = n * WRITERS + writer;
        let ask = Ask::new("POST", hook.write_path()).json(&json!(number));
        match connection.ask(&ask) {
            Ok(reply) if reply.status == 202 => acknowledged.push(number),
            _ => break,
        }
        if is_over.load(Ordering::Relaxed) {
            break;
        }
    }
    acknowledged
}

/// The same, while `end` ends the server; gives what was acknowledged by all.
fn written_until(hook: &Hook, end: impl FnOnce()) -> BTreeSet<u64> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let is_over = &is_over;
                    move || write_on(hook, writer, is_over)
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(700));
        end();
        is_over.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer ends")).collect()
    })
}

#[test]
fn a_node_that_is_killed_loses_nothing_and_another_goes_on_when_its_lease_has_ended() {
    let (database, first, second) = (postgres::Server::start(), data(), data());
    let mut owner = node(&database, &first);
    let hook = Hook::running(&owner, CODE);
    let standing = stands_by(&database, &second);
    let mut killed = Instant::now();
    let acknowledged = written_until(&hook, || {
        owner.kill();
        killed = Instant::now();
    });
    assert!(!acknowledged.is_empty());
    let next = standing.join().expect("it listens");
    let took = killed.elapsed();
    println!("{} acknowledged; another node listened after {took:?}", acknowledged.len());
    assert!(took < LEASE + GRACE, "only after {took:?}");
    let hook = hook.at(&next);
    settle(&hook);
    let kept: BTreeSet<u64> = written(&hook).into_iter().collect();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    // Of each writer one more may be there, which nobody had heard of yet.
    assert!(kept.len() <= acknowledged.len() + WRITERS as usize, "{} of {}", kept.len(), acknowledged.len());
}

#[test]
fn a_node_that_ends_in_order_hands_over_at_once() {
    let (database, first, second) = (postgres::Server::start(), data(), data());
    let mut owner = node(&database, &first);
    let hook = Hook::running(&owner, CODE);
    let standing = stands_by(&database, &second);
    let mut told = Instant::now();
    let acknowledged = written_until(&hook, || {
        told = Instant::now();
        assert!(owner.terminate().success());
    });
    let next = standing.join().expect("it listens");
    let took = told.elapsed();
    println!("{} acknowledged; handed over in {took:?}", acknowledged.len());
    assert!(took < LEASE, "it waited for the lease: {took:?}");
    let hook = hook.at(&next);
    settle(&hook);
    let kept: BTreeSet<u64> = written(&hook).into_iter().collect();
    assert!(acknowledged.is_subset(&kept));
    assert_eq!(next.get("/readyz").status, 200);
}

#[test]
fn a_node_that_stood_still_while_another_took_over_keeps_nothing_more_and_ends() {
    let (database, first, second) = (postgres::Server::start(), data(), data());
    let mut frozen = node(&database, &first);
    let hook = Hook::running(&frozen, CODE);
    hook.write(&json!(1)).expect(202);
    let standing = stands_by(&database, &second);
    signal(&frozen, "-STOP");
    let next = standing.join().expect("it listens");
    let there = hook.at(&next);
    there.write(&json!(2)).expect(202);
    signal(&frozen, "-CONT");
    // It may be gone already; what it says is never that it kept something, nor how things were.
    for path in [hook.write_path(), format!("/read/{}", hook.read_key)] {
        let reply = Ask::new("POST", path).json(&json!(3)).try_send(&frozen.address);
        assert!(reply.as_ref().map_or(true, |reply| reply.status == 503), "{reply:?}");
    }
    let ended = eventually_within(LEASE + GRACE, "it learns of it", || frozen.ended());
    assert!(!ended.success(), "{ended}");
    settle(&there);
    assert_eq!(written(&there), [1, 2]);
}

#[test]
fn a_node_is_told_what_it_lacks() {
    let database = postgres::Server::start();
    let first = data();
    let mut owner = node(&database, &first);
    Owner::guest(&owner);
    assert!(owner.terminate().success());
    let refused = |address: &str, key: Option<&str>| -> String {
        let data = data();
        let mut command = everfold();
        command.env("EVERFOLD_DATABASE", address).envs(key.map(|key| ("EVERFOLD_MASTER_KEY", key)));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data.path());
        let Output { status, stderr, .. } = command.output().expect("everfold starts");
        assert!(!status.success());
        String::from_utf8_lossy(&stderr).into_owned()
    };
    let said = refused(&database.address(), None);
    assert!(said.contains("everfold.key is not there") && said.contains("EVERFOLD_MASTER_KEY"), "{said}");
    let said = refused("postgres//nowhere", Some(MASTER_KEY));
    assert!(said.contains("store_address"), "{said}");
    let said = refused("postgres://everfold:s3cret@127.0.0.1:1/postgres", Some(MASTER_KEY));
    assert!(!said.contains("s3cret") && said.contains("hint:"), "{said}");
}

fn signal(server: &Server, signal: &str) {
    let sent = Command::new("kill").args([signal, &server.id().to_string()]).status().expect("kill starts");
    assert!(sent.success());
}
