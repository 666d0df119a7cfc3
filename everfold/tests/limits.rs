//! Limits have names and numbers, and what a guest may write in a minute is one of them.

mod harness;

use harness::{
    hook::{Hook, Owner},
    http::Reply,
    server::Server,
};
use serde_json::json;

const COUNT: &str = "export const reducer = state => (state ?? 0) + 1;";

fn retry_after(reply: &Reply) -> u32 {
    reply.header("retry-after").and_then(|seconds| seconds.parse().ok()).expect("it says when to come back")
}

#[test]
fn a_guest_who_writes_too_fast_with_one_key_is_refused_and_nothing_of_it_is_kept() {
    let server = Server::start_with(&[("EVERFOLD_GUEST_WRITES_PER_MINUTE", "20")]);
    let hook = Hook::running(&server, COUNT);
    (0..20).for_each(|_| drop(hook.keep(&json!({}))));
    for _ in 0..30 {
        let reply = hook.write(&json!({}));
        let problem = reply.problem(429, "too_many_writes");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("20 writes a minute")), "{problem}");
        assert!((1..=61).contains(&retry_after(&reply)));
    }
    assert_eq!(hook.state_after(20), 20);
    assert_eq!(hook.history().len(), 20, "what was refused is not in the log");

    let key = hook.owner.post(&hook.api("/keys"), &json!({"type": "write"})).expect(201).json();
    let other_key = Hook { write_key: key["key"].as_str().expect("a key").to_owned(), ..hook.clone() };
    assert_eq!(other_key.keep(&json!({})).seq, 21, "another key has its own count");
    let other_hook = Owner::guest(&server).hook();
    other_hook.keep(&json!({}));
    hook.read("").expect(200);
}

#[test]
fn a_guest_who_begins_runs_too_fast_is_refused_and_nothing_is_begun() {
    let server = Server::start_with(&[("EVERFOLD_GUEST_WRITES_PER_MINUTE", "5")]);
    let hook = Hook::running(&server, "export const actions = { wait: (io) => io.input.text('Name') };");
    let begin = || hook.owner.post("/api/actions/wait/runs", &json!({}));
    (0..5).for_each(|_| drop(begin().expect(201)));
    let reply = begin();
    let problem = reply.problem(429, "too_many_writes");
    assert!(
        problem["detail"].as_str().is_some_and(|detail| detail.contains("5 runs and hosted pages a minute")),
        "{problem}"
    );
    assert!((1..=61).contains(&retry_after(&reply)));
    assert_eq!(hook.owner.get("/api/runs").expect(200).json()["objects"].as_array().map(Vec::len), Some(5));
    let other = Owner::guest(&server);
    other.post("/api/actions/wait/runs", &json!({})).problem(404, "action_unknown");
}

#[test]
fn without_a_bound_a_guest_writes_as_fast_as_they_like() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    (0..300).for_each(|_| drop(hook.keep(&json!({}))));
    assert_eq!(server.get("/api/limits").expect(200).json()["guestWritesPerMinute"], 0);
}

#[test]
fn every_limit_is_listed_with_its_number() {
    let server = Server::start_with(&[("EVERFOLD_GUEST_WRITES_PER_MINUTE", "200"), ("EVERFOLD_PING_MS", "1234")]);
    let listed = server.get("/api/limits").expect(200).json();
    for source in [include_str!("../../rules/src/limits.rs"), include_str!("../../engine/src/lib.rs")] {
        let names = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
        for name in names {
            let mut words = name.split('_').map(str::to_lowercase);
            let first = words.next().expect("a name");
            let name = words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..]);
            assert!(listed[&name].is_u64(), "{name} is not listed: {listed}");
        }
    }
    assert_eq!(listed["bodyBytesMax"], 1 << 20);
    assert_eq!((&listed["guestWritesPerMinute"], &listed["pingMs"]), (&json!(200), &json!(1234)));
}
