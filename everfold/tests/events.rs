//! An owner who looks on is told of every request, in order and once, or told to look again; nobody else is.

mod harness;

use std::{
    thread,
    time::{Duration, Instant},
};

use harness::{
    PATIENCE, eventually,
    hook::{Hook, Owner},
    http::Ask,
    server::Server,
    socket::Socket,
};
use serde_json::{Value, json, value::RawValue};
use sha2::{Digest, Sha256};

const COUNT: &str = "
    export const reducer = (state, request) => ({ count: (state?.count ?? 0) + 1, pad: request.body.pad });";

fn path(hook: &Hook) -> String {
    format!("/hook-events?hookId={}", hook.id)
}

fn look_on(hook: &Hook) -> Socket {
    let identity = format!("Bearer {}", hook.owner.jwt);
    let opened = Socket::open_with(&hook.owner.address, &path(hook), &[("authorization", &identity)]);
    opened.unwrap_or_else(|refusal| panic!("refused: {refusal}"))
}

/// The next frame of a kind; any other is a surprise.
#[track_caller]
fn next(socket: &mut Socket, kind: &str) -> Value {
    let frame = socket.next_frame(PATIENCE).expect("a frame");
    assert_eq!(frame["type"], kind, "{frame}");
    frame
}

fn sha256(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

#[test]
fn under_load_every_request_is_told_once_and_in_order() {
    const WRITERS: u64 = 4;
    const WRITES: u64 = 500;
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let mut socket = look_on(&hook);
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let hook = hook.clone();
            thread::spawn(move || (0..WRITES).for_each(|_| drop(hook.keep(&json!({"pad": "x"})))))
        })
        .collect();
    let bodies = sha256(&json!({"pad": "x"}).to_string());
    for seq in 1..=WRITERS * WRITES {
        let frame = next(&mut socket, "new-request");
        assert_eq!(frame["hookId"], hook.id);
        let request = &frame["request"];
        assert_eq!(request["seq"], seq);
        assert_eq!(request["state"]["count"], seq, "the state behind this very request");
        assert_eq!(request["bodyHash"], bodies);
        assert!(request["id"].is_string() && request["createdAt"].is_u64() && request["error"].is_null(), "{frame}");
    }
    writers.into_iter().for_each(|writer| writer.join().expect("every write was kept"));
}

#[test]
fn the_hashes_are_of_the_very_text() {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Request {
        state: Box<RawValue>,
        state_hash: String,
        body_hash: String,
    }
    #[derive(serde::Deserialize)]
    struct Frame {
        request: Request,
    }
    let server = Server::start();
    let hook = Hook::running(&server, "export const reducer = () => ({ z: 1.50, a: 'é\\u2028' });");
    let mut socket = look_on(&hook);
    hook.ask(Ask::new("POST", hook.write_path()).body("text/plain", "as it came")).expect(202);
    let frame = socket.next_text(PATIENCE).expect("a frame");
    let Frame { request } = serde_json::from_str(&frame).expect("JSON");
    assert_eq!(request.state_hash, sha256(request.state.get()));
    assert_eq!(request.body_hash, sha256("as it came"));
    assert_eq!(hook.read("").text(), request.state.get());
}

#[test]
fn who_does_not_read_is_told_to_look_again_and_then_of_every_request() {
    const WRITES: u64 = 2_500;
    let mut server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let mut slow = look_on(&hook);
    (0..WRITES).for_each(|_| drop(hook.keep(&json!({"pad": "x".repeat(20_000)}))));
    hook.state_after(WRITES);
    let (mut told, mut bulks, mut last) = (0, 0, 0);
    while let Some(frame) = slow.next_frame(Duration::from_secs(1)) {
        if frame["type"] == "bulk-update" {
            bulks += 1;
            continue;
        }
        let seq = frame["request"]["seq"].as_u64().expect("a seq");
        assert!(seq == last + 1 || bulks > 0 && seq > last, "{seq} after {last}, and nothing said so");
        (told, last) = (told + 1, seq);
    }
    assert!(bulks > 0 && told < WRITES, "{told} told, {bulks} times told to look again");
    let next_one = hook.keep(&json!({})).seq;
    let frame = next(&mut slow, "new-request");
    assert_eq!((&frame["request"]["seq"], &frame["request"]["state"]["count"]), (&json!(next_one), &json!(next_one)));
    assert!(server.is_well());
}

#[test]
fn what_is_not_folded_is_told_when_it_has_arrived() {
    let server = Server::start();
    let code = "
        export const responder = request => {
            if (request.body.say === 'ignore') return { statusCode: 422 };
            if (request.body.say === 'fail') throw new TypeError('no answer');
            return { statusCode: 202 };
        };
        export const reducer = (state, request) => {
            if (request.body.say === 'throw') throw new RangeError('no state');
            return (state ?? 0) + 1;
        };";
    let hook = Hook::running(&server, code);
    let mut socket = look_on(&hook);
    let mut tell = |say: &str, status: u16| {
        hook.write(&json!({"say": say})).expect(status);
        next(&mut socket, "new-request")["request"].clone()
    };
    assert_eq!(tell("count", 202)["state"], 1);
    assert_eq!(tell("ignore", 422)["state"], 1);
    let failed = tell("fail", 500);
    assert_eq!((&failed["state"], &failed["error"]["name"]), (&json!(1), &json!("TypeError")));
    let thrown = tell("throw", 202);
    assert_eq!((&thrown["state"], &thrown["error"]["message"]), (&json!(1), &json!("no state")));
    assert_eq!(tell("count", 202)["state"], 2);

    let set = |state: &str| hook.owner.put(&hook.api(""), &json!({"workflowState": state})).expect(202);
    set("paused");
    for seq in 6..=8 {
        hook.write(&json!({"say": "count"})).expect(202);
        let request = next(&mut socket, "new-request")["request"].clone();
        assert_eq!(
            (&request["seq"], &request["state"], &request["stateHash"]),
            (&json!(seq), &json!(null), &json!(null))
        );
    }
    set("live");
    next(&mut socket, "bulk-update");
    hook.write(&json!({"say": "count"})).expect(202);
    assert_eq!(next(&mut socket, "new-request")["request"]["state"], 6, "what waited is folded");

    let unpublished = hook.owner.hook();
    let mut socket = look_on(&unpublished);
    unpublished.keep(&json!({}));
    assert_eq!(next(&mut socket, "new-request")["request"]["seq"], 1);
    unpublished.publish(COUNT);
    while next(&mut socket, "replay")["status"] != "done" {}
    next(&mut socket, "bulk-update");

    hook_begins_anew(&hook);
}

fn hook_begins_anew(hook: &Hook) {
    let mut socket = look_on(hook);
    hook.owner.post(&hook.api("/reset-requests"), &json!({})).expect(201);
    next(&mut socket, "bulk-update");
    hook.write(&json!({"say": "count"})).expect(202);
    let request = next(&mut socket, "new-request")["request"].clone();
    assert_eq!((&request["seq"], &request["state"]), (&json!(10), &json!(1)));
    hook.owner.ask(Ask::new("DELETE", hook.api(""))).expect(202);
    assert!(socket.is_closed_within(PATIENCE));
}

#[test]
fn a_refold_tells_how_far_it_is_and_how_it_ended() {
    const WRITES: u64 = 300;
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    (0..WRITES).for_each(|_| drop(hook.keep(&json!({}))));
    hook.state_after(WRITES);
    let mut socket = look_on(&hook);
    let started = Instant::now();
    // A few milliseconds for each request.
    hook.publish(
        "export const reducer = (state) => {
            for (let i = 0; i < 200_000; i += 1);
            return { count: (state?.count ?? 0) + 10 };
        };",
    );
    let took = started.elapsed();
    let mut running = vec![];
    let ended = loop {
        let frame = next(&mut socket, "replay");
        assert_eq!(frame["hookId"], hook.id);
        if frame["status"] != "running" {
            break frame;
        }
        running.push(frame["done"].as_u64().expect("how far"));
        assert_eq!(frame["total"], WRITES);
        assert!(frame["perSecond"].is_number(), "{frame}");
    };
    assert!(running.is_sorted(), "{running:?}");
    let most = took.as_millis() / 250 + 2;
    assert!(!running.is_empty() && running.len() as u128 <= most, "{} in {took:?}: {running:?}", running.len());
    assert_eq!((&ended["status"], &ended["done"]), (&json!("done"), &json!(WRITES)));
    next(&mut socket, "bulk-update");
    hook.keep(&json!({}));
    assert_eq!(next(&mut socket, "new-request")["request"]["state"]["count"], 10 * (WRITES + 1));
}

#[test]
fn only_its_owner_looks_on_and_no_page_of_another_site() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let other = Owner::guest(&server);
    let identity = |owner: &Owner| format!("Bearer {}", owner.jwt);
    let cookie = format!("theme=dark; everfold={}", hook.owner.jwt);
    let (own, foreign) = (identity(&hook.owner), identity(&other));
    let refusal = |path: &str, headers: &[(&str, &str)]| {
        Socket::open_with(&server.address, path, headers).map(drop).expect_err("it is refused")
    };
    let unknown = "/hook-events?hookId=00000000-0000-4000-8000-000000000000";
    assert_eq!(refusal(&path(&hook), &[]), 401);
    assert_eq!(refusal(&path(&hook), &[("authorization", "Bearer nonsense")]), 401);
    assert_eq!(refusal("/hook-events", &[]), 401);
    assert_eq!(refusal("/hook-events", &[("authorization", &own)]), 400);
    assert_eq!(refusal("/hook-events?hookId=", &[("authorization", &own)]), 400);
    assert_eq!(refusal(&path(&hook), &[("authorization", &foreign)]), 403);
    assert_eq!(refusal(unknown, &[("authorization", &own)]), 403);
    assert_eq!(refusal("/hook-events?hookId=7", &[("authorization", &own)]), 403);
    assert_eq!(refusal(&path(&hook), &[("cookie", &cookie), ("origin", "https://evil.example")]), 403);
    assert_eq!(refusal(&path(&hook), &[("cookie", &cookie), ("origin", "null")]), 403);
    let evil = Ask::new("GET", path(&hook)).header("cookie", &cookie).header("origin", "https://evil.example");
    evil.send(&server.address).problem(403, "origin_foreign");
    hook.owner.get(&path(&hook)).problem(400, "upgrade_missing");
    hook.owner.get("/hook-events").problem(400, "hook_id_missing");

    let here = format!("http://{}", server.address);
    for headers in
        [&[("cookie", cookie.as_str()), ("origin", here.as_str())][..], &[("authorization", hook.owner.jwt.as_str())]]
    {
        let mut socket = Socket::open_with(&server.address, &path(&hook), headers).expect("its owner may");
        hook.keep(&json!({}));
        next(&mut socket, "new-request");
    }
}

#[test]
fn who_does_not_answer_is_closed_and_who_does_stays() {
    let server = Server::start_with(&[("EVERFOLD_PING_MS", "400")]);
    let hook = Hook::running(&server, COUNT);
    let mut silent = look_on(&hook);
    let mut alive = look_on(&hook);
    let started = Instant::now();
    let answering = thread::spawn(move || {
        for _ in 0..5 {
            assert_eq!(alive.next_text(PATIENCE).as_deref(), Some("ping"));
            alive.say("pong");
        }
        alive
    });
    assert!(silent.is_closed_within(Duration::from_secs(5)));
    let closed = started.elapsed();
    assert!((Duration::from_millis(500)..Duration::from_secs(2)).contains(&closed), "closed after {closed:?}");
    let mut alive = answering.join().expect("five pings were answered");
    // Longer than until it is asked again who is looking on.
    let (watched, started) = (Duration::from_secs(5), Instant::now());
    while let Some(left) = watched.checked_sub(started.elapsed()) {
        assert_eq!(alive.next_text(left.max(Duration::from_secs(1))).as_deref(), Some("ping"));
        alive.say("pong");
    }
    hook.keep(&json!({}));
    next(&mut alive, "new-request");
}

#[test]
fn who_looks_on_is_let_go_when_the_server_goes_down() {
    let mut server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let mut socket = look_on(&hook);
    let closing = thread::spawn(move || socket.is_closed_within(PATIENCE));
    let started = Instant::now();
    server.terminate();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(closing.join().expect("it waits"));
}

#[test]
fn many_look_on_and_leave_nothing_behind() {
    let mut server = Server::start();
    let hook = Hook::running(&server, COUNT);
    (0..100).for_each(|_| drop(look_on(&hook)));
    let mut sockets: Vec<_> = (0..20).map(|_| look_on(&hook)).collect();
    (0..10).for_each(|_| drop(hook.keep(&json!({}))));
    for socket in &mut sockets {
        (1..=10).for_each(|seq| assert_eq!(next(socket, "new-request")["request"]["seq"], seq));
    }
    assert!(eventually("the server is well", || server.is_well().then_some(true)));
}
