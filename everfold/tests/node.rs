//! Several servers and one PostgreSQL: each has its share of the hooks, one also all else, and nothing acknowledged is lost.

mod harness;
#[allow(dead_code, reason = "the store's own tests use the rest of it")]
#[path = "../../store/tests/harness/mod.rs"]
mod postgres;
#[path = "harness/shards.rs"]
mod shards;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Output},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use engine::world::Asked;
use harness::{
    Over, PATIENCE, eventually, eventually_within,
    hook::{Hook, Owner, Receipt},
    http::{Ask, Connection},
    run::Run,
    server::{Server, everfold},
    socket::Socket,
    stream::{Stream, Told},
    worker::Worker,
};
use serde_json::{Value, json};
use shards::Shards;
use store::postgres::Shard;
use tempfile::TempDir;

/// As a node has it that says nothing any more.
const LEASE: Duration = Duration::from_secs(10);
/// What a busy machine may add to it.
const GRACE: Duration = Duration::from_secs(15);
const MASTER_KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const OTHER_KEY: &str = "1f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const WRITERS: usize = 4;
/// How long a server stands still: three of its leases.
const STANDSTILL: Duration = Duration::from_secs(30);

/// Everything that was written, in order.
const CODE: &str = "export const reducer = (state, request) => [...(state ?? []), request.body];";

/// Counts what its action sends to it.
const ASKS_TWICE: &str = r#"
    export const reducer = (state, { body: { step } }) =>
        step === undefined ? state : { ...state, [step]: (state?.[step] ?? 0) + 1 };
    export const actions = {
        climb: async (io, ctx) => {
            const said = [];
            for (let n = 0; n < 2; n++) {
                said.push(await io.input.text(`Question ${n}`));
                await ctx.step(`step ${n}`, () => ctx.send({ step: `step ${n}` }));
            }
            return { said: said.join() };
        },
    };"#;

fn command(databases: &str) -> Command {
    let mut command = everfold();
    command.env("EVERFOLD_DATABASE", databases).env("EVERFOLD_MASTER_KEY", MASTER_KEY);
    command
}

fn node(databases: &str, data: &TempDir) -> Server {
    Server::start_by(command(databases), data.path())
}

/// Servers that share a database; the first is its head.
struct Cluster {
    nodes: Vec<Server>,
    data: Vec<TempDir>,
    shards: Shards,
    databases: Vec<postgres::Server>,
}

impl Cluster {
    fn of(many: usize) -> Cluster {
        Cluster::over(1, many)
    }

    fn over(databases: usize, many: usize) -> Cluster {
        let databases: Vec<_> = (0..databases).map(|_| postgres::Server::start()).collect();
        let shards = Shards::of(databases.iter().map(postgres::Server::address));
        let data: Vec<TempDir> = (0..many).map(|_| data()).collect();
        let mut nodes = Vec::new();
        for data in &data {
            let started = node(&shards.databases, data);
            eventually("it is ready", || (started.get("/readyz").status == 200).then_some(()));
            nodes.push(started);
        }
        shards.shared_by(many);
        Cluster { nodes, data, shards, databases }
    }

    fn hook_of(&self, node: usize, code: &str) -> Hook {
        self.shards.hook_of(&self.nodes[node], code)
    }

    fn hooks(&self) -> Vec<Hook> {
        (0..self.nodes.len()).map(|node| self.hook_of(node, CODE)).collect()
    }

    /// As `everfold cluster --json` tells it.
    fn told(&self) -> Value {
        let output = command(&self.shards.databases).args(["cluster", "--json"]).output().expect("everfold starts");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("it is JSON")
    }
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

/// What came of writing for a while.
#[derive(Default)]
struct Wrote {
    acknowledged: BTreeSet<u64>,
    refused: BTreeMap<u64, String>,
    /// The longest that one write took, to each of the hooks.
    longest: Vec<Duration>,
}

/// A number as small as it is, larger than what is held of just any body, or of a length that is not said.
fn write_of(hook: &Hook, number: u64) -> Ask {
    let ask = Ask::new("POST", hook.write_path());
    match number % 8 {
        3 => ask.body("application/json", format!("{}{number}", " ".repeat(100_000))),
        7 => chunked(hook, &format!("{number:>20}")),
        _ => ask.json(&json!(number)),
    }
}

/// A write that does not say how long it is.
fn chunked(hook: &Hook, json: &str) -> Ask {
    let ask = Ask::new("POST", hook.write_path()).header("transfer-encoding", "chunked");
    ask.body("application/json", format!("{:x}\r\n{json}\r\n0\r\n\r\n", json.len()))
}

/// Writes until it is over, through one server, each number once, to each hook in turn; with keys if each write says
/// which one it is.
fn write_on(hooks: &[Hook], server: &Server, has_keys: bool, is_over: &AtomicBool) -> Wrote {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let mut wrote = Wrote { longest: vec![Duration::ZERO; hooks.len()], ..Wrote::default() };
    let mut connection = Connection::open(&server.address).expect("it listens");
    loop {
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let hook = number as usize % hooks.len();
        let mut ask = write_of(&hooks[hook], number);
        if has_keys {
            ask = ask.header("idempotency-key", format!("n{number}"));
        }
        let asked = Instant::now();
        let reply = connection.ask(&ask);
        wrote.longest[hook] = wrote.longest[hook].max(asked.elapsed());
        match reply {
            Ok(reply) if reply.status == 202 => drop(wrote.acknowledged.insert(number)),
            other => drop(wrote.refused.insert(number, format!("{other:?}"))),
        }
        if is_over.load(Ordering::Relaxed) || !wrote.refused.is_empty() && !has_keys {
            return wrote;
        }
    }
}

/// Writes through these servers while something is done, and for a moment before and after.
fn written_while(hooks: &[Hook], through: &[&Server], has_keys: bool, done: impl FnOnce()) -> Wrote {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (server, is_over) = (through[writer % through.len()], &is_over);
                scope.spawn(move || write_on(hooks, server, has_keys, is_over))
            })
            .collect();
        let over = Over(&is_over);
        thread::sleep(Duration::from_millis(700));
        done();
        thread::sleep(Duration::from_millis(700));
        drop(over);
        let mut all = Wrote { longest: vec![Duration::ZERO; hooks.len()], ..Wrote::default() };
        for writer in writers {
            let wrote = writer.join().expect("a writer ends");
            all.acknowledged.extend(wrote.acknowledged);
            all.refused.extend(wrote.refused);
            all.longest = all.longest.iter().zip(wrote.longest).map(|(all, it)| it.max(*all)).collect();
        }
        all
    })
}

/// All that these hooks have kept, as a server tells it; and their chains hold.
fn kept(hooks: &[Hook], server: &Server) -> BTreeSet<u64> {
    let each = hooks.iter().map(|hook| {
        let hook = hook.at(server);
        settle(&hook);
        hook.owner.get(&hook.api("/verify")).expect(200);
        written(&hook)
    });
    each.flatten().collect()
}

fn ready(server: &Server) -> Option<()> {
    (server.get("/readyz").status == 200).then_some(())
}

#[test]
fn any_node_takes_any_request() {
    let cluster = Cluster::of(3);
    cluster.hooks().iter().for_each(|hook| answered_by_all(hook, &cluster));
    let told = cluster.told();
    let nodes = told["nodes"].as_array().expect("a list");
    let shards: Vec<u64> = nodes.iter().map(|node| node["shards"].as_u64().expect("a number")).collect();
    assert_eq!(shards.iter().sum::<u64>(), 4_096, "{told}");
    let heads: Vec<bool> = nodes.iter().map(|node| node["isHead"] == true).collect();
    assert_eq!(heads, [true, false, false], "{told}");
    let third = &cluster.nodes[2];
    let health = Owner::guest(third).sign_in("owner@example.com").get("/api/health").expect(200).json();
    assert_eq!(health["nodes"].as_array().map(Vec::len), Some(3), "{health}");
    assert_eq!(health["nodes"][2]["address"], third.address);
}

fn answered_by_all(hook: &Hook, cluster: &Cluster) {
    let [first, second, third] = &cluster.nodes[..] else { unreachable!() };
    assert_eq!([first, second, third].map(|server| hook.at(server).keep(&json!(0)).seq), [1, 2, 3]);
    // As large as may be, larger, and of a length that is not said.
    let large = json!("x".repeat((1 << 20) - 6));
    hook.at(third).write(&large).expect(202);
    hook.at(third).write(&json!("x".repeat(2 << 20))).expect(413);
    chunked(hook, "7").send(&third.address).expect(202);
    chunked(hook, &" ".repeat(17 << 16)).send(&third.address).problem(413, "body_too_large");
    settle(&hook.at(first));
    let states = [first, second, third].map(|server| hook.at(server).read("at=3").expect(200).json());
    assert_eq!(states, [json!([0, 0, 0]), json!([0, 0, 0]), json!([0, 0, 0])]);
    // What is not there is not there, in the same words.
    let unknown = |server: &Server| -> (u16, Value) {
        let reply = Ask::new("GET", "/read/nothing").header("accept", "application/json").send(&server.address);
        (reply.status, reply.json())
    };
    assert_eq!(unknown(first).0, 404);
    assert_eq!(unknown(first), unknown(third));
    // A connection is kept for many.
    let mut connection = Connection::open(&second.address).expect("it listens");
    for _ in 0..20 {
        let read = Ask::new("GET", format!("/read/{}?at=1", hook.read_key));
        assert_eq!(connection.ask(&read).expect("a reply").expect(200).json(), json!([0]));
        assert_eq!(connection.ask(&Ask::new("HEAD", "/")).expect("a reply").status, 200);
    }
    for server in &cluster.nodes {
        assert_eq!([server.get("/healthz").status, server.get("/readyz").status], [200, 200]);
    }
}

#[test]
fn who_follows_at_one_node_sees_what_is_written_at_another() {
    let cluster = Cluster::of(2);
    let other = &cluster.nodes[1];
    let hook = cluster.hook_of(0, CODE);
    let path = format!("/state-events?readKey={}", hook.read_key);
    let mut socket = Socket::open(&other.address, &path).expect("a WebSocket");
    let mut stream = Stream::open(&other.address, &format!("/read/{}", hook.read_key), None);
    hook.fold(&json!(7));
    eventually("the socket tells it", || {
        socket.next_state(PATIENCE).filter(|frame| frame["state"] == json!([7])).map(drop)
    });
    eventually("the stream tells it", || match stream.next(PATIENCE) {
        Told::State { id: 1, state } if state == json!([7]) => Some(()),
        _ => None,
    });
    assert_eq!(Socket::open(&other.address, "/state-events?readKey=nothing").err(), Some(404));
}

#[test]
fn a_node_that_is_killed_loses_nothing_and_another_goes_on_when_its_lease_has_ended() {
    let mut cluster = Cluster::of(3);
    let hooks = cluster.hooks();
    let mut killed = cluster.nodes.remove(0);
    let [second, third] = &cluster.nodes[..] else { unreachable!() };
    let mut took = Duration::ZERO;
    let wrote = written_while(&hooks, &[second, third], true, || {
        killed.kill();
        let since = Instant::now();
        eventually_within(LEASE + GRACE, "another goes on", || {
            let asked = Ask::new("GET", format!("/read/{}", hooks[0].read_key)).try_send(&second.address);
            asked.is_ok_and(|reply| reply.status == 200).then_some(())
        });
        took = since.elapsed();
    });
    println!("{} acknowledged; another node answered after {took:?}", wrote.acknowledged.len());
    assert_eq!(wrote.refused, BTreeMap::new(), "a write that says which one it is comes through");
    assert!(took < LEASE + GRACE, "only after {took:?}");
    let [_, at_second, at_third] = wrote.longest[..] else { unreachable!() };
    assert!(at_second.max(at_third) < LEASE / 2, "what the others have waits, too: {:?}", wrote.longest);
    assert_eq!(kept(&hooks, third), wrote.acknowledged);
    assert_ne!(cluster.shards.head(), None);
}

/// One ends in order, the other is killed: whoever follows a state through a third notices a pause.
#[test]
fn who_follows_a_state_at_one_node_goes_on_when_the_others_are_gone() {
    let mut cluster = Cluster::of(3);
    let hooks = cluster.hooks();
    let here = cluster.nodes.remove(2);
    let path = |hook: &Hook| format!("/state-events?readKey={}", hook.read_key);
    let mut sockets: Vec<_> =
        hooks.iter().map(|hook| Socket::open(&here.address, &path(hook)).expect("a WebSocket")).collect();
    let mut tell = |number: u64| {
        for (hook, socket) in hooks.iter().zip(&mut sockets) {
            let ask = Ask::new("POST", hook.write_path()).header("idempotency-key", format!("n{number}"));
            eventually_within(LEASE + GRACE, "it is kept", || {
                (ask.clone().json(&json!(number)).send(&here.address).status == 202).then_some(())
            });
            let is_told = |frame: &Value| frame["state"].as_array().is_some_and(|state| state.contains(&json!(number)));
            while !is_told(&socket.next_state(LEASE + GRACE).expect("it goes on")) {}
        }
    };
    tell(1);
    assert!(cluster.nodes[0].terminate().success());
    tell(2);
    cluster.nodes[1].kill();
    tell(3);
    for (hook, socket) in hooks.iter().zip(&mut sockets) {
        let hook = hook.at(&here);
        let revoked = hook.owner.ask(Ask::new("DELETE", hook.api(&format!("/keys/{}", hook.read_key))));
        assert!(revoked.status < 300, "{}", revoked.status);
        while socket.next_state(PATIENCE).is_some() {}
        assert_eq!(
            Socket::open(&here.address, &path(&hook)).err(),
            Some(404),
            "a key that was revoked is told nothing"
        );
    }
}

/// Who works and who is asked are at other nodes than the one that is killed.
#[test]
fn a_job_and_a_run_outlive_the_node_that_had_them_and_each_comes_to_one_end() {
    let mut cluster = Cluster::of(2);
    // Its steps write to a hook that is elsewhere.
    let hook = cluster.hook_of(1, ASKS_TWICE);
    let mut killed = cluster.nodes.remove(0);
    let run = Run::of(&hook, "climb", &json!({}));
    run.answer(&json!(["first"]));
    assert_eq!(run.asks(), "Question 1");
    let mut tab = Worker::of(&hook.owner, "tab", 1);
    let job = json!({"code": "input", "input": 1, "where": "tab"});
    let id = hook.owner.post("/api/jobs", &job).expect(202).json()["id"].clone();
    let job_path = format!("/api/jobs/{}", id.as_str().expect("an id"));
    let before = tab.job();
    assert_eq!(before["id"], id);

    killed.kill();
    // The line to it is gone with it; a tab comes back by itself.
    let mut tab = Worker::of(&hook.owner, "tab", 1);
    let again = tab.job_within(LEASE + GRACE).expect("it is given the job again");
    assert_eq!(again["id"], id);
    assert!(again["fence"].as_u64() > before["fence"].as_u64(), "no fence is used twice");
    tab.result(&before, &json!("of the first time"));
    assert_eq!(tab.told("refused")["code"], "job_not_leased");
    tab.result(&again, &json!("of the second time"));
    let over = hook.owner.get(&format!("{job_path}?wait=20")).expect(200).json();
    assert_eq!((&over["status"], &over["result"]), (&json!("done"), &json!("of the second time")));

    assert_eq!(run.asks(), "Question 1");
    run.answer(&json!(["second"]));
    assert_eq!(run.result(), json!({"said": "first,second"}));
    settle(&hook);
    assert_eq!(hook.state(), json!({"step 0": 1, "step 1": 1}), "each step is done once");
}

#[test]
fn a_node_that_ends_in_order_hands_over_and_no_write_fails() {
    let mut cluster = Cluster::of(3);
    let hooks = cluster.hooks();
    let mut nodes = std::mem::take(&mut cluster.nodes);
    let (last, mut before) = (nodes.remove(2), nodes);
    let mut acknowledged = BTreeSet::new();
    // One of them, and the head.
    while let Some(mut ended) = before.pop() {
        let through: Vec<&Server> = before.iter().chain([&last]).collect();
        let wrote = written_while(&hooks, &through, false, || assert!(ended.terminate().success()));
        println!("{} acknowledged; the longest took {:?}", wrote.acknowledged.len(), wrote.longest);
        assert_eq!(wrote.refused, BTreeMap::new());
        assert!(wrote.longest.iter().all(|took| *took < LEASE / 2), "it waited for the lease: {:?}", wrote.longest);
        acknowledged.extend(wrote.acknowledged);
        assert_eq!(kept(&hooks, &last), acknowledged);
    }
    eventually("it is ready", || ready(&last));
}

/// Each takes what the others give it, and gives back what another that comes should have.
#[test]
fn a_node_that_comes_takes_its_share_and_no_write_fails() {
    let mut cluster = Cluster::of(1);
    let owner = Owner::guest(&cluster.nodes[0]);
    let hooks: Vec<Hook> = (0..12).map(|_| owner.hook()).collect();
    hooks.iter().for_each(|hook| hook.publish(CODE));
    let mut socket =
        Socket::open(&owner.address, &format!("/state-events?readKey={}", hooks[0].read_key)).expect("one");
    let mut acknowledged = BTreeSet::new();
    for _ in 0..2 {
        let data = data();
        cluster.nodes.push(node(&cluster.shards.databases, &data));
        cluster.data.push(data);
        let [.., before, _] = &cluster.nodes[..] else { unreachable!() };
        let (shards, many) = (&cluster.shards, cluster.nodes.len());
        let wrote = written_while(&hooks, &[before], false, || shards.shared_by(many));
        println!("{} acknowledged; the longest took {:?}", wrote.acknowledged.len(), wrote.longest.iter().max());
        assert_eq!(wrote.refused, BTreeMap::new());
        assert!(wrote.longest.iter().all(|took| *took < LEASE / 2), "{:?}", wrote.longest);
        acknowledged.extend(wrote.acknowledged);
        assert_eq!(kept(&hooks, &cluster.nodes[0]), acknowledged);
    }
    let keepers: BTreeSet<_> = hooks.iter().map(|hook| cluster.shards.keeper(hook)).collect();
    assert!(keepers.len() > 1, "none went anywhere: {keepers:?}");
    hooks[0].write(&json!("seen")).expect(202);
    let is_told = |frame: &Value| frame["state"].as_array().is_some_and(|state| state.contains(&json!("seen")));
    while !is_told(&socket.next_state(PATIENCE).expect("whoever followed it still does")) {}
}

#[test]
fn a_node_that_stood_still_while_another_took_over_keeps_nothing_more_and_ends() {
    let mut cluster = Cluster::of(2);
    let hook = cluster.hook_of(0, CODE);
    let mut frozen = cluster.nodes.remove(0);
    let next = &cluster.nodes[0];
    hook.write(&json!(1)).expect(202);
    signal(&frozen, "-STOP");
    let stopped = Instant::now();
    let there = hook.at(next);
    // It is with the frozen one when another node takes over.
    let waiting = Ask::new("POST", hook.write_path()).header("idempotency-key", "two").json(&json!(2));
    waiting.send(&next.address).expect(202);
    thread::sleep(STANDSTILL.saturating_sub(stopped.elapsed()));
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

/// What it had may be anybody's since; what is nobody's it takes anew.
#[test]
fn a_node_that_stood_still_and_was_not_the_head_has_its_share_again() {
    let cluster = Cluster::of(2);
    let hook = cluster.hook_of(1, CODE);
    hook.write(&json!(1)).expect(202);
    signal(&cluster.nodes[1], "-STOP");
    let there = hook.at(&cluster.nodes[0]);
    let waiting = Ask::new("POST", hook.write_path()).header("idempotency-key", "two").json(&json!(2));
    waiting.send(&there.owner.address).expect(202);
    signal(&cluster.nodes[1], "-CONT");
    // Who asks it then is answered by whoever has it.
    hook.write(&json!(3)).expect(202);
    cluster.shards.shared_by(2);
    assert_eq!(cluster.shards.head(), Some(cluster.nodes[0].address.clone()));
    assert_eq!(kept(&[hook], &cluster.nodes[1]), BTreeSet::from([1, 2, 3]));
}

/// A guest's hooks, wherever they are, become the user's; and of one that is deleted nothing stays planned.
#[test]
fn what_concerns_several_hooks_reaches_them_wherever_they_are() {
    let cluster = Cluster::of(2);
    let guest = Owner::guest(&cluster.nodes[0]);
    let hooks: Vec<Hook> = (0..6).map(|_| guest.hook()).collect();
    let keepers: BTreeSet<_> = hooks.iter().map(|hook| cluster.shards.keeper(hook)).collect();
    assert_eq!(keepers.len(), 2);
    let user = guest.sign_in("user@example.com");
    let other = Owner::guest(&cluster.nodes[1]);
    for hook in &hooks {
        eventually("it is the user's", || (user.get(&hook.api("")).status == 200).then_some(()));
        assert_eq!(other.get(&hook.api("")).status, 403, "nobody else's");
    }
    let listed = user.get("/api/hooks").expect(200).json();
    assert_eq!(listed["objects"].as_array().map(Vec::len), Some(6), "{listed}");

    // All that is planned is the head's; this hook is not.
    let away = Some(&cluster.nodes[1].address);
    let hook = hooks.iter().find(|hook| cluster.shards.keeper(hook).as_ref() == away).expect("some are");
    let hook = Hook { owner: user.clone(), ..hook.clone() };
    hook.publish(ASKS_TWICE);
    let plan = json!({"slug": "climb", "cron": "0 0 1 1 *", "timezone": "UTC", "params": {}});
    user.post("/api/schedules", &plan).expect(201);
    let planned = || user.get("/api/schedules").expect(200).json()["objects"].as_array().map(Vec::len);
    assert_eq!(planned(), Some(1));
    assert_eq!(user.ask(Ask::new("DELETE", hook.api(""))).status, 202);
    eventually("nothing stays planned", || (planned() == Some(0)).then_some(()));
}

/// Nobody else may have its directory, so whoever had it is dead.
#[test]
fn a_node_that_is_killed_and_started_again_does_not_wait_for_its_own_lease() {
    let mut cluster = Cluster::of(1);
    let hook = Hook::running(&cluster.nodes[0], CODE);
    hook.fold(&json!(1));
    cluster.nodes[0].kill();
    let killed = Instant::now();
    let again = node(&cluster.shards.databases, &cluster.data[0]);
    assert_eq!(hook.at(&again).state(), json!([1]));
    assert!(killed.elapsed() < LEASE / 2, "only after {:?}", killed.elapsed());
}

#[test]
fn a_database_that_is_killed_loses_nothing_and_one_that_stays_away_is_told_of() {
    let mut cluster = Cluster::of(2);
    let hooks = cluster.hooks();
    let (hook, through) = (&hooks[0], [&cluster.nodes[0], &cluster.nodes[1]]);
    let database = &mut cluster.databases[0];
    let wrote = written_while(&hooks, &through, true, || {
        database.kill();
        thread::sleep(Duration::from_millis(500));
        database.start_again();
        eventually("writes come through again", || {
            let reply = Ask::new("POST", hook.write_path()).json(&json!("again")).try_send(&through[1].address);
            reply.is_ok_and(|reply| reply.status == 202).then_some(())
        });
    });
    println!("{} acknowledged, {} not", wrote.acknowledged.len(), wrote.refused.len());
    let kept = kept(&hooks, &cluster.nodes[1]);
    let lost: Vec<_> = wrote.acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let told: BTreeSet<u64> = wrote.acknowledged.iter().chain(wrote.refused.keys()).copied().collect();
    assert!(kept.is_subset(&told));

    // Without it, nobody knows how things are once the lease has ended.
    cluster.databases[0].kill();
    eventually_within(LEASE + GRACE, "it says so", || {
        let reply = Ask::new("GET", format!("/read/{}", hook.read_key)).send(&cluster.nodes[0].address);
        (reply.status == 503 && reply.json()["code"] == "owner_missing").then_some(())
    });
}

/// What is kept in the others goes on without it, at every node.
#[test]
fn a_database_of_several_that_is_away_takes_no_more_with_it_than_its_own_hooks() {
    let mut cluster = Cluster::over(2, 2);
    let owner = Owner::guest(&cluster.nodes[0]);
    let hooks: Vec<Hook> = (0..12).map(|_| owner.hook()).collect();
    hooks.iter().for_each(|hook| hook.publish(CODE));
    let (first, second): (Vec<Hook>, Vec<Hook>) = hooks.iter().cloned().partition(|hook| database_of(hook, 2) == 0);
    assert!(first.len() > 1 && second.len() > 1, "{} and {}", first.len(), second.len());
    let through: Vec<&Server> = cluster.nodes.iter().collect();
    let (away, back) = (first.len(), Duration::from_secs(2));
    let mut acknowledged = written_while(&hooks, &through, true, || {}).acknowledged;
    let database = &mut cluster.databases[1];
    let wrote = written_while(&first, &through, false, || {
        database.kill();
        // Its leases end, too.
        thread::sleep(LEASE + back);
    });
    println!("{} acknowledged by {away} hooks; the longest took {:?}", wrote.acknowledged.len(), wrote.longest);
    assert_eq!(wrote.refused, BTreeMap::new());
    assert!(wrote.longest.iter().all(|took| *took < LEASE / 2), "{:?}", wrote.longest);
    acknowledged.extend(wrote.acknowledged);
    let refused = second[0].write(&json!("refused"));
    assert_eq!((refused.status, refused.json()["code"].as_str()), (503, Some("owner_missing")));
    cluster.databases[1].start_again();
    cluster.shards.shared_by(2);
    let wrote = written_while(&hooks, &through, true, || {});
    assert_eq!(wrote.refused, BTreeMap::new());
    acknowledged.extend(wrote.acknowledged);
    assert_eq!(kept(&hooks, &cluster.nodes[1]), acknowledged);
    assert_eq!(cluster.told()["databases"], 2);
}

fn database_of(hook: &Hook, databases: usize) -> usize {
    Shard::of(shards::lane(hook)).part(databases)
}

/// Only who has the key of a database is one of its nodes; else anybody could say where they come from.
#[test]
fn who_only_says_that_they_are_a_node_is_a_visitor_like_any_other() {
    const HEADERS: &str = "export const reducer = (state, request) => request.headers;";
    let cluster = Cluster::of(2);
    let hook = cluster.hook_of(0, HEADERS);
    for server in &cluster.nodes {
        for forged in ["elsewhere", "0 10.0.0.1", &format!("{} 10.0.0.1", "0".repeat(64))] {
            let ask = Ask::new("POST", hook.write_path()).header("everfold-node", forged).json(&json!(1));
            let receipt = Receipt::of(&ask.send(&server.address).expect(202));
            hook.settled(&receipt.id).expect(200);
            let seen = hook.state();
            // The owner has it as it came; another node says what it knows instead.
            let expected = if server.address == cluster.nodes[0].address { json!(forged) } else { Value::Null };
            assert_eq!((&seen["everfold-node"], &seen["forwarded"]), (&expected, &Value::Null), "{seen}");
        }
    }
    // Nor can what a hook answers make a node ask again.
    let says = "export const reducer = (state, request) => (state ?? 0) + 1;
        export const responder = () => ({ statusCode: 200, headers: { 'everfold-node': 'elsewhere' }, body: 'once' });";
    let hook_of = |node: usize| cluster.hook_of(node, says);
    for hook in [hook_of(0), hook_of(1)] {
        for server in &cluster.nodes {
            let before = hook.state().as_u64().unwrap_or(0);
            let asked = Instant::now();
            assert_eq!(hook.at(server).write(&json!(1)).expect(200).text(), "once");
            assert!(asked.elapsed() < PATIENCE / 2);
            eventually("it is kept once", || (hook.state().as_u64() == Some(before + 1)).then_some(()));
        }
    }
    // What nodes ask of each other is answered to none of their clients, whichever node these come through.
    let lane = shards::lane(&hook);
    let asked = postcard::to_allocvec(&Asked::DropSchedules { hook: lane }).expect("plain data");
    for server in &cluster.nodes {
        let forged = [None, Some("itself".to_owned()), Some(format!("{} itself", "0".repeat(64)))];
        for forged in forged {
            let mut ask =
                Ask::new("POST", format!("/node/{:032x}", lane.0)).body("application/octet-stream", asked.clone());
            if let Some(forged) = forged {
                ask = ask.header("everfold-node", forged);
            }
            assert_eq!(ask.send(&server.address).status, 404);
        }
    }
}

#[test]
fn a_node_is_told_what_it_lacks() {
    let database = postgres::Server::start();
    let first = data();
    let mut owner = node(&database.address(), &first);
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
    let said = refused(&database.address(), Some(OTHER_KEY));
    assert!(said.contains("another key") && said.contains("everfold.key"), "{said}");
    let said = refused("postgres//nowhere", Some(MASTER_KEY));
    assert!(said.contains("store_address"), "{said}");
    let said = refused("postgres://everfold:s3cret@127.0.0.1:1/postgres", Some(MASTER_KEY));
    assert!(!said.contains("s3cret") && said.contains("hint:"), "{said}");
}

fn signal(server: &Server, signal: &str) {
    let sent = Command::new("kill").args([signal, &server.id().to_string()]).status().expect("kill starts");
    assert!(sent.success());
}
