//! A server that is killed at random moments loses nothing that it acknowledged, and applies nothing twice.

mod harness;
#[allow(dead_code, reason = "the store's own tests use the rest of it")]
#[path = "../../store/tests/harness/mod.rs"]
mod postgres;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    env, fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use harness::{
    Over,
    figures::figure,
    hook::{Hook, Owner, Receipt},
    http::{Ask, Connection},
    memory::offspring,
    server::{Server, everfold},
};
use serde_json::{Value, json};

const WRITERS: u64 = 16;
const HOOKS: usize = 4;

/// Each writer is counted by itself; the checksum depends on the order of all.
const CODE: &str = "
    export function reducer(state, request) {
        const { writer, n } = request.body;
        const writers = state?.writers ?? {};
        const { count, sum } = writers[writer] ?? { count: 0, sum: 0 };
        return {
            checksum: ((state?.checksum ?? 7) * 31 + writer * 1009 + n) % 1000000007,
            writers: { ...writers, [writer]: { count: count + 1, sum: sum + n } },
        };
    }";

/// The same fold, by the tester.
#[derive(Default)]
struct Expected {
    checksum: Option<u64>,
    writers: BTreeMap<String, (u64, u64)>,
}

impl Expected {
    fn fold(&mut self, writer: u64, n: u64) {
        self.checksum = Some((self.checksum.unwrap_or(7) * 31 + writer * 1009 + n) % 1_000_000_007);
        let (count, sum) = self.writers.entry(writer.to_string()).or_default();
        (*count, *sum) = (*count + 1, *sum + n);
    }

    fn state(&self) -> Value {
        let writers: BTreeMap<_, _> =
            self.writers.iter().map(|(writer, (count, sum))| (writer, json!({"count": count, "sum": sum}))).collect();
        self.checksum.map_or(Value::Null, |checksum| json!({"checksum": checksum, "writers": writers}))
    }
}

/// What the tester knows of one hook's log: all of it up to `seq`, checked.
#[derive(Default)]
struct Known {
    seq: u64,
    expected: Expected,
    /// Every (writer, n) in the log so far.
    applied: HashSet<(u64, u64)>,
}

#[test]
fn a_kill_at_any_moment_loses_nothing_and_applies_nothing_twice() {
    let data = tempfile::tempdir().expect("a folder for the data");
    killed_at_any_moment("process crash", 25, || Server::start_on(data.path()));
}

/// It comes back as another node, and takes over from the one it was.
#[test]
fn a_kill_at_any_moment_loses_nothing_of_a_database_either() {
    let data = tempfile::tempdir().expect("a folder for the data");
    let database = postgres::Server::start();
    killed_at_any_moment("process crash on PostgreSQL", 10, || {
        let mut command = everfold();
        command.env("EVERFOLD_DATABASE", database.address());
        Server::start_by(command, data.path())
    });
}

fn killed_at_any_moment(name: &str, kills: u32, start: impl Fn() -> Server) {
    let kills = env::var("EVERFOLD_KILLS").map_or(kills, |kills| kills.parse().expect("EVERFOLD_KILLS is a number"));
    let mut dice = Dice::thrown();
    let seed = dice.0;
    println!("{kills} kills, seed {seed}");

    let mut server = start();
    let hooks: Vec<Hook> = (0..HOOKS).map(|_| Hook::running(&server, CODE)).collect();
    let mut known: Vec<Known> = (0..HOOKS).map(|_| Known::default()).collect();
    let mut next_n = vec![0; WRITERS as usize];
    let (mut acknowledged, mut recovery_max) = (0, Duration::ZERO);

    for kill in 1..=kills {
        let moment = Duration::from_millis(dice.below(600));
        let receipts: Vec<Vec<(u64, Receipt)>> = thread::scope(|scope| {
            let (server, hooks) = (&server, &hooks);
            let writers: Vec<_> = next_n
                .iter_mut()
                .zip(0..)
                .map(|(next_n, writer)| {
                    scope.spawn(move || write_until_it_dies(&hooks[at(writer)].at(server), writer, next_n))
                })
                .collect();
            thread::sleep(moment);
            let killed = std::process::Command::new("kill").args(["-9", &server.id().to_string()]).status();
            assert!(killed.is_ok_and(|status| status.success()));
            writers.into_iter().map(|writer| writer.join().expect("a writer ends")).collect()
        });
        server.kill();
        acknowledged += receipts.iter().map(Vec::len).sum::<usize>();

        let started = Instant::now();
        server = start();
        recovery_max = recovery_max.max(started.elapsed());
        for (index, hook) in hooks.iter().enumerate() {
            let ours = receipts.iter().zip(0..).filter(|(_, writer)| at(*writer) == index);
            let ours = ours.flat_map(|(own, writer)| own.iter().map(move |(n, receipt)| (writer, *n, receipt)));
            check(&hook.at(&server), &mut known[index], &ours.collect::<Vec<_>>(), kill);
        }
    }
    let applied: u64 = known.iter().map(|known| known.seq).sum();
    let value = format!(
        "{acknowledged} acknowledged, {applied} in the logs: lost 0, twice 0, gaps 0; recovery ≤ {recovery_max:.0?}"
    );
    figure(name, &format!("{WRITERS} writers, {HOOKS} hooks, {kills} × SIGKILL, seed {seed}"), &value, true);
    assert!(acknowledged > 0, "somebody was acknowledged");
}

fn at(writer: u64) -> usize {
    writer as usize % HOOKS
}

/// Three servers of two databases, each of which ends, is killed or stands still, again and again.
#[test]
fn a_storm_over_servers_and_their_databases_loses_nothing_and_applies_nothing_twice() {
    const NODES: u64 = 3;
    const MASTER_KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let seconds = env::var("EVERFOLD_STORM_SECONDS").map_or(20, |text| text.parse().expect("it is a number"));
    let mut dice = Dice::thrown();
    let seed = dice.0;
    println!("{seconds} s, seed {seed}");
    let mut databases = [(); 2].map(|()| postgres::Server::start());
    let database = databases.each_ref().map(postgres::Server::address).join(" ");
    let data: Vec<_> = (0..NODES).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let start = |node: usize| {
        let mut command = everfold();
        command.env("EVERFOLD_DATABASE", &database).env("EVERFOLD_MASTER_KEY", MASTER_KEY);
        Server::start_by(command, data[node].path())
    };
    let mut nodes: Vec<Server> = (0..NODES as usize).map(start).collect();
    let owner = Owner::guest(&nodes[0]);
    let hooks: Vec<Hook> = (0..WRITERS).map(|_| owner.hook()).collect();
    hooks.iter().for_each(|hook| hook.publish(CODE));

    let addresses: Vec<Mutex<String>> = nodes.iter().map(|node| Mutex::new(node.address.clone())).collect();
    let (is_over, mut blows) = (AtomicBool::new(false), 0);
    let receipts: Vec<Vec<(u64, Receipt)>> = thread::scope(|scope| {
        let (addresses, is_over) = (&addresses, &is_over);
        let write = |(hook, writer)| move || write_in_a_storm(hook, writer, addresses, is_over);
        let writers: Vec<_> = hooks.iter().zip(0..).map(|of| scope.spawn(write(of))).collect();
        let over = Over(is_over);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) {
            thread::sleep(Duration::from_millis(dice.below(1_500)));
            let at = dice.below(NODES) as usize;
            let node = &mut nodes[at];
            let stop = |seconds| {
                signal(node, "-STOP");
                thread::sleep(Duration::from_secs(seconds));
                signal(node, "-CONT");
                thread::sleep(Duration::from_secs(1));
            };
            match dice.below(8) {
                0..3 => drop(node.terminate()),
                3..5 => node.kill(),
                5 => stop(1),
                // Longer than its lease.
                6 => stop(12),
                _ => {
                    let database = &mut databases[dice.below(2) as usize];
                    database.kill();
                    thread::sleep(Duration::from_millis(dice.below(1_000)));
                    database.start_again();
                }
            }
            // A head that was succeeded ends by itself.
            if node.ended().is_some() {
                *node = start(at);
                addresses[at].lock().expect("nobody panics").clone_from(&node.address);
            }
            blows += 1;
        }
        drop(over);
        writers.into_iter().map(|writer| writer.join().expect("a writer ends")).collect()
    });
    let mut applied = 0;
    for ((hook, receipts), writer) in hooks.iter().zip(&receipts).zip(0..) {
        let mut known = Known::default();
        let receipts: Vec<_> = receipts.iter().map(|(n, receipt)| (writer, *n, receipt)).collect();
        check(&hook.at(&nodes[0]), &mut known, &receipts, blows);
        applied += known.seq;
    }
    let acknowledged: usize = receipts.iter().map(Vec::len).sum();
    let value = format!("{acknowledged} acknowledged, {applied} in the logs: lost 0, twice 0, gaps 0");
    let how = format!("{WRITERS} hooks, 3 servers of 2 databases: {blows} ends, kills and freezes, seed {seed}");
    figure("storm", &how, &value, true);
    assert!(acknowledged > 0, "somebody was acknowledged");
}

/// Each `n` once, to whichever server it hits. Every second says which one it is, and is sent until it is acknowledged;
/// of the others only what was surely not kept is sent again.
fn write_in_a_storm(
    hook: &Hook,
    writer: u64,
    addresses: &[Mutex<String>],
    is_over: &AtomicBool,
) -> Vec<(u64, Receipt)> {
    let mut receipts = vec![];
    let mut dice = Dice(writer + 1);
    for n in 0.. {
        let has_key = n % 2 == 0;
        let mut ask = Ask::new("POST", hook.write_path()).json(&json!({"writer": writer, "n": n}));
        if has_key {
            ask = ask.header("idempotency-key", format!("{writer} {n}"));
        }
        loop {
            let address = addresses[dice.below(addresses.len() as u64) as usize].lock().expect("nobody panics").clone();
            let reply = ask.try_send(&address);
            match reply {
                Ok(reply) if reply.status == 202 => {
                    receipts.push((n, Receipt::of(&reply)));
                    break;
                }
                Ok(reply) if has_key || reply.json()["code"] == "owner_missing" => {}
                Err(_) if has_key => {}
                _ => break,
            }
            thread::sleep(Duration::from_millis(50));
        }
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    receipts
}

fn signal(server: &Server, signal: &str) {
    let sent = std::process::Command::new("kill").args([signal, &server.id().to_string()]).status();
    // It may have ended by itself.
    sent.expect("kill starts");
}

/// Every `n` is sent once: one that was not acknowledged may be in the log or not, and is never repeated.
fn write_until_it_dies(hook: &Hook, writer: u64, next_n: &mut u64) -> Vec<(u64, Receipt)> {
    let mut receipts = vec![];
    let Ok(mut connection) = Connection::open(&hook.owner.address) else { return receipts };
    loop {
        let n = *next_n;
        *next_n += 1;
        let ask = Ask::new("POST", hook.write_path()).json(&json!({"writer": writer, "n": n}));
        match connection.ask(&ask) {
            Ok(reply) => receipts.push((n, Receipt::of(&reply.expect(202)))),
            Err(_) => return receipts,
        }
    }
}

fn check(hook: &Hook, known: &mut Known, receipts: &[(u64, u64, &Receipt)], kill: u32) {
    let probe_writer = 1000;
    let probe = hook.keep(&json!({"writer": probe_writer, "n": kill}));
    let new = hook.history_after(known.seq);
    let mut by_seq = HashMap::new();
    for (entry, seq) in new.iter().zip(known.seq + 1..) {
        assert_eq!(entry["seq"], seq, "after kill {kill}: a gap");
        let (writer, n) = (entry["body"]["writer"].as_u64(), entry["body"]["n"].as_u64());
        let (writer, n) = (writer.expect("a writer"), n.expect("a number"));
        assert!(known.applied.insert((writer, n)), "after kill {kill}: {n} of writer {writer} is there twice");
        known.expected.fold(writer, n);
        by_seq.insert(seq, (entry["id"].as_str().expect("an id"), writer, n));
    }
    for (writer, n, receipt) in receipts {
        let found = by_seq.get(&receipt.seq);
        assert_eq!(found, Some(&(receipt.id.as_str(), *writer, *n)), "after kill {kill}: lost or moved: {receipt:?}");
    }
    known.seq += new.len() as u64;
    assert_eq!(known.seq, probe.seq, "after kill {kill}: the log ends with the newest request");
    assert_eq!(hook.verify(), json!({"seq": probe.seq, "hash": probe.hash, "ok": true}), "after kill {kill}");
    assert_eq!(hook.state_after(probe.seq), known.expected.state(), "after kill {kill}: the state counts each once");
    for (_, _, receipt) in receipts.iter().rev().take(3) {
        let request = hook.owner.get(&hook.api(&format!("/requests/{}", receipt.seq))).expect(200).json();
        assert_eq!(request["hash"], receipt.hash.as_str(), "after kill {kill}: {receipt:?}");
    }
}

#[test]
fn a_refold_that_was_killed_goes_on_where_it_stopped() {
    const REQUESTS: u64 = 5_000;
    let data = tempfile::tempdir().expect("a folder for the data");
    let mut server = Server::start_on(data.path());
    let hook = Hook::running(&server, "export const reducer = state => (state ?? 0) + 1;");
    let mut connection = Connection::open(&server.address).expect("the server listens");
    let ask = Ask::new("POST", hook.write_path()).json(&json!({}));
    (0..REQUESTS).for_each(|_| drop(connection.ask(&ask).expect("a reply").expect(202)));
    hook.save("export const reducer = state => (state ?? 0) + 2;");
    hook.owner.post(&hook.api("/publish"), &json!({})).expect(200);
    server.kill();
    let again = Server::start_on(data.path());
    let hook = hook.at(&again);
    hook.replayed();
    assert_eq!(hook.state_after(REQUESTS), json!(REQUESTS * 2));
    assert_eq!(hook.fold(&json!({})).seq, REQUESTS + 1);
    assert_eq!(hook.state(), json!(REQUESTS * 2 + 2));
}

#[test]
fn a_killed_server_leaves_no_process_behind() {
    let mut server = Server::start();
    Hook::running(&server, "export const reducer = state => (state ?? 0) + 1;").fold(&json!({}));
    let children = offspring(server.id());
    server.kill();
    harness::eventually("every process of the server ends", || {
        children.iter().all(|id| !fs::exists(format!("/proc/{id}")).unwrap_or(false)).then_some(())
    });
}

#[test]
fn a_worker_killed_in_the_middle_of_a_fold_is_replaced_and_its_requests_are_folded() {
    const REQUESTS: u64 = 300;
    let mut server = Server::start();
    let code = "export const reducer = (n = 0) => { for (let i = 0; i < 100000; i++); return n + 1 };";
    let hook = Hook::running(&server, code);
    let mut connection = Connection::open(&server.address).expect("the server listens");
    let ask = Ask::new("POST", hook.write_path()).json(&json!({}));
    let mut killed = 0;
    for n in 1..=REQUESTS {
        connection.ask(&ask).expect("a reply").expect(202);
        if n % 30 == 0 {
            // No request is hit twice: one that brings down two children is taken for the one that does it.
            hook.state_after(n - 30);
            let workers = offspring(server.id()).into_iter().map(|process| process.to_string());
            let status = std::process::Command::new("kill").arg("-9").args(workers).status().expect("kill starts");
            killed += u32::from(status.success());
        }
    }
    assert!(killed >= 5, "{killed} times all workers were killed");
    let state = hook.state_after(REQUESTS);
    let history = hook.history();
    let failed: Vec<_> = history.iter().map(|entry| &entry["error"]).filter(|error| !error.is_null()).collect();
    assert!(failed.is_empty(), "a kill from outside is nobody's error: {failed:?}");
    assert_eq!(state, json!(REQUESTS), "each is folded, once");
    assert!(server.is_well());
}

/// Xorshift: enough to choose a moment.
struct Dice(u64);

impl Dice {
    fn thrown() -> Dice {
        Dice(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64 | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
