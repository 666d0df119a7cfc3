//! Who watches a hook sees its states in order, ends at the newest, and is asked whether they are still there.

mod harness;

use std::time::{Duration, Instant};

use harness::{
    PATIENCE,
    hook::Hook,
    http::{Ask, Connection},
    memory::Watch,
    server::Server,
    socket::Socket,
};
use serde_json::json;

const COUNT: &str = "
    export const reducer = (state, request) => ({ count: (state?.count ?? 0) + 1, pad: request.body.pad });
    export const query = (state, params) => params.get('only') === 'count' ? state?.count ?? 0 : state;";

fn watch(server: &Server, hook: &Hook, more: &str) -> Socket {
    let path = format!("/state-events?readKey={}{more}", hook.read_key);
    Socket::open(&server.address, &path).unwrap_or_else(|refusal| panic!("refused: {refusal}"))
}

#[test]
fn new_states_come_in_order_through_the_query_and_end_at_the_newest() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let mut socket = watch(&server, &hook, "&only=count");
    let mut seen = vec![];
    for n in 1..=50 {
        hook.fold(&json!({}));
        let frame = socket.next_state(PATIENCE).expect("a frame");
        if frame["seq"] == 0 {
            continue; // the state at the start may be told first
        }
        assert!(frame["type"] == "new-state" || frame["type"] == "bulk-update", "{frame}");
        assert_eq!(frame["state"], frame["seq"], "a frame names the prefix it reflects");
        seen.push(frame["seq"].as_u64().expect("a seq"));
        assert!(*seen.last().expect("just pushed") <= n);
    }
    while seen.last() != Some(&50) {
        let frame = socket.next_state(PATIENCE).expect("the newest state comes");
        seen.push(frame["seq"].as_u64().expect("a seq"));
    }
    assert!(seen.is_sorted_by(|earlier, later| earlier < later), "{seen:?}");
}

#[test]
fn a_slow_reader_gets_fewer_states_and_the_newest() {
    const WRITES: u64 = 3_000;
    let mut server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let mut slow = watch(&server, &hook, "");
    let mut connection = Connection::open(&server.address).expect("the server listens");
    let ask = Ask::new("POST", hook.write_path()).json(&json!({"pad": "x".repeat(20_000)}));
    (0..WRITES).for_each(|_| drop(connection.ask(&ask).expect("a reply").expect(202)));
    hook.state_after(WRITES);
    let (mut frames, mut last) = (0, 0);
    while last < WRITES {
        let frame = slow.next_state(PATIENCE).expect("the newest state comes");
        let seq = frame["seq"].as_u64().expect("a seq");
        assert!(seq > last || frames == 0, "{seq} after {last}");
        assert_eq!(frame["state"]["count"].as_u64().unwrap_or(0), seq);
        (frames, last) = (frames + 1, seq);
    }
    assert!(frames < WRITES, "what was not read in time is left out: {frames} frames");
    assert!(server.is_well());
}

#[test]
fn a_published_change_is_told_as_one_update() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    (0..100).for_each(|_| drop(hook.keep(&json!({}))));
    hook.state_after(100);
    let mut socket = watch(&server, &hook, "");
    hook.publish(&COUNT.replace("+ 1", "+ 10"));
    let mut frames = 0;
    loop {
        let frame = socket.next_state(PATIENCE).expect("the new version's state comes");
        frames += 1;
        if frame["state"]["count"] == 1_000 {
            assert_eq!(frame["type"], "bulk-update");
            break;
        }
        assert_eq!(frame["state"]["count"], 100, "no state from half way");
    }
    assert!(frames <= 2, "{frames} frames");
}

#[test]
fn many_watchers_all_see_the_newest_state() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let mut sockets: Vec<_> = (0..100).map(|_| watch(&server, &hook, "&only=count")).collect();
    (0..20).for_each(|_| drop(hook.keep(&json!({}))));
    for socket in &mut sockets {
        while socket.next_state(PATIENCE).expect("the newest state comes")["seq"] != 20 {}
    }
}

#[test]
fn who_does_not_answer_a_ping_is_closed_and_who_does_stays() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let started = Instant::now();
    let mut silent = watch(&server, &hook, "");
    let mut alive = watch(&server, &hook, "");
    let ping = loop {
        let text = silent.next_text(Duration::from_secs(13)).expect("a ping within ten seconds");
        if text == "ping" {
            break started.elapsed();
        }
    };
    assert!((Duration::from_secs(8)..Duration::from_secs(13)).contains(&ping), "{ping:?}");
    let answering = std::thread::spawn(move || {
        let mut pings = 0;
        while pings < 3 {
            let text = alive.next_text(Duration::from_secs(13)).expect("who answers stays");
            if text == "ping" {
                alive.say("pong");
                pings += 1;
            }
        }
        alive
    });
    assert!(silent.is_closed_within(Duration::from_secs(18)), "who says nothing for 15 s is closed");
    let mut alive = answering.join().expect("three pings were answered");
    hook.fold(&json!({}));
    while alive.next_state(PATIENCE).expect("and still sees states")["seq"] != 1 {}
}

#[test]
fn who_waits_costs_little() {
    // So many that what the server takes once, for whoever comes first, does not count.
    const WATCHERS: u64 = 2000;
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    hook.fold(&json!({}));
    let resident_mib = || {
        let watch = Watch::over(server.id());
        std::thread::sleep(Duration::from_millis(200));
        watch.most_mib()
    };
    let before = resident_mib();
    let mut sockets: Vec<_> = (0..WATCHERS).map(|_| watch(&server, &hook, "")).collect();
    sockets.iter_mut().for_each(|socket| drop(socket.next_state(PATIENCE).expect("the state of now")));
    let each_kib = (resident_mib().saturating_sub(before) << 10) / WATCHERS;
    assert!(each_kib <= 12, "{each_kib} KiB for each");
}

#[test]
fn watchers_who_are_gone_are_forgotten() {
    let mut server = Server::start();
    let hook = Hook::running(&server, COUNT);
    for _ in 0..200 {
        drop(watch(&server, &hook, ""));
    }
    (0..50).for_each(|_| drop(hook.fold(&json!({}))));
    assert_eq!(hook.state()["count"], 50);
    assert!(server.is_well());
}
