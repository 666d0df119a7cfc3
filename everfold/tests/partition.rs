//! Several servers whose ways to each other, or to their database, are cut: each in a network of its own, where this
//! machine lets a test make one. And a database that is lost, whose copy goes on.

mod harness;
#[allow(dead_code, reason = "the store's own tests use the rest of it")]
#[path = "../../store/tests/harness/mod.rs"]
mod postgres;
#[path = "harness/shards.rs"]
mod shards;

use std::{
    collections::BTreeSet,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{
    Over, eventually, eventually_within,
    hook::Hook,
    http::{Ask, Connection},
    server::{Server, everfold},
};
use serde_json::{Value, json};
use shards::Shards;
use tempfile::TempDir;

const LEASE: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(15);
/// As the front has it, and what it may take to find that nobody is reached.
const OWNER_WAIT: Duration = Duration::from_secs(20);
const MASTER_KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const CODE: &str = "export const reducer = (state, request) => [...(state ?? []), request.body];";
const PORT: u16 = 8080;

/// A bridge, to which each node is connected by a cable of its own; the tester and the database are at the other end.
struct Network {
    id: u32,
    nodes: u8,
}

impl Network {
    /// `None` where this machine does not let anybody make one.
    fn of(nodes: u8) -> Option<Network> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        // Two tests beside each other have two networks.
        let id = (std::process::id() % 4_096) << 2 | (MADE.fetch_add(1, Ordering::Relaxed) % 4) as u32;
        if !run(&format!("link add efb{id} type bridge")) {
            println!("this machine lets nobody make networks: nothing is cut");
            return None;
        }
        let network = Network { id, nodes };
        let (tester, database) = (network.tester(), network.database());
        let made = [format!("addr add {tester}/24 dev efb{id}"), format!("addr add {database}/24 dev efb{id}")];
        made.iter().for_each(|command| assert!(run(command), "{command}"));
        assert!(run(&format!("link set efb{id} up")));
        for node in 0..nodes {
            let (space, address) = (network.space(node), network.node(node));
            for command in [
                format!("netns add {space}"),
                format!("link add efc{id}n{node} type veth peer name cable netns {space}"),
                format!("link set efc{id}n{node} master efb{id} up"),
                format!("-n {space} addr add {address}/24 dev cable"),
                format!("-n {space} link set cable up"),
                format!("-n {space} link set lo up"),
            ] {
                assert!(run(&command), "{command}");
            }
        }
        Some(network)
    }

    fn address(&self, last: u8) -> String {
        let [.., high, low] = self.id.to_be_bytes();
        format!("10.{}.{low}.{last}", 128 | high)
    }

    fn tester(&self) -> String {
        self.address(253)
    }

    fn database(&self) -> String {
        self.address(254)
    }

    fn node(&self, node: u8) -> String {
        self.address(node + 1)
    }

    fn space(&self, node: u8) -> String {
        format!("efn{}n{node}", self.id)
    }

    /// Whatever a node sends there is lost, and what comes from there, too.
    fn cut(&self, node: u8, address: &str) {
        let rules = format!(
            "table inet cut {{
                chain out {{ type filter hook output priority 0; ip daddr {address} drop; }}
                chain in {{ type filter hook input priority 0; ip saddr {address} drop; }}
            }}"
        );
        assert!(self.nft(node, &[&rules]), "nft is there");
    }

    fn heal(&self, node: u8) {
        assert!(self.nft(node, &["delete table inet cut"]));
    }

    fn nft(&self, node: u8, words: &[&str]) -> bool {
        let space = format!("--net=/var/run/netns/{}", self.space(node));
        let done = Command::new("nsenter").arg(space).arg("nft").args(words).status();
        done.expect("nsenter starts").success()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for node in 0..self.nodes {
            run(&format!("netns del {}", self.space(node)));
        }
        run(&format!("link del efb{}", self.id));
    }
}

fn run(command: &str) -> bool {
    let done = Command::new("ip").args(command.split(' ')).output();
    done.is_ok_and(|done| done.status.success())
}

/// Nodes of one database; the first is its head.
struct Cluster {
    nodes: Vec<Server>,
    _data: Vec<TempDir>,
    _database: postgres::Server,
    shards: Shards,
    network: Network,
}

impl Cluster {
    fn of(many: u8) -> Option<Cluster> {
        let network = Network::of(many)?;
        let database = postgres::Server::start_at(&network.database());
        let data: Vec<TempDir> = (0..many).map(|_| tempfile::tempdir().expect("a folder")).collect();
        let mut nodes = Vec::new();
        for (number, data) in (0..many).zip(&data) {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net=/var/run/netns/{}", network.space(number)));
            let program = everfold();
            command.arg(program.get_program());
            for (name, value) in program.get_envs() {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            command.env("EVERFOLD_DATABASE", database.address()).env("EVERFOLD_MASTER_KEY", MASTER_KEY);
            let started = Server::start_at(&format!("{}:{PORT}", network.node(number)), command, data.path());
            eventually("it is ready", || (started.get("/readyz").status == 200).then_some(()));
            nodes.push(started);
        }
        let shards = Shards::of([database.address()]);
        shards.shared_by(usize::from(many));
        Some(Cluster { nodes, _data: data, _database: database, shards, network })
    }
}

fn write(hook: &Hook, server: &Server, number: u64) -> Option<u16> {
    let ask = Ask::new("POST", hook.write_path()).header("idempotency-key", format!("n{number}")).json(&json!(number));
    ask.try_send(&server.address).ok().map(|reply| reply.status)
}

fn settled(hook: &Hook, server: &Server) -> Vec<u64> {
    let hook = hook.at(server);
    hook.fold(&json!("the last"));
    let state = hook.state();
    let all: Vec<u64> = state.as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
    let each: BTreeSet<u64> = all.iter().copied().collect();
    assert_eq!(each.len(), all.len(), "something was applied twice: {state}");
    all
}

#[test]
fn a_node_that_is_cut_off_from_the_database_gives_way_to_one_that_is_not() {
    let Some(mut cluster) = Cluster::of(3) else { return };
    let hook = cluster.shards.hook_of(&cluster.nodes[0], CODE);
    let mut cut_off = cluster.nodes.remove(0);
    let [second, third] = &cluster.nodes[..] else { unreachable!() };
    (0..10).for_each(|number| assert_eq!(write(&hook, third, number), Some(202)));
    let is_over = AtomicBool::new(false);
    let acknowledged = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let numbers = (10..).take_while(|_| !is_over.load(Ordering::Relaxed));
            numbers.filter(|number| write(&hook, second, *number) == Some(202)).collect::<BTreeSet<u64>>()
        });
        let over = Over(&is_over);
        cluster.network.cut(0, &cluster.network.database());
        let cut = Instant::now();
        // It says so, rather than how things were.
        eventually_within(LEASE + GRACE, "it answers nothing from memory", || {
            let read = Ask::new("GET", format!("/read/{}", hook.read_key)).try_send(&cut_off.address).ok()?;
            (read.status == 503 && read.json()["code"] == "owner_missing").then_some(())
        });
        eventually_within(LEASE + GRACE, "another goes on", || {
            (write(&hook, third, 1_000_000) == Some(202)).then_some(())
        });
        println!("another went on after {:?}", cut.elapsed());
        drop(over);
        writer.join().expect("it ends")
    });
    cluster.network.heal(0);
    let ended = eventually_within(LEASE + GRACE, "it learns that another has the database", || cut_off.ended());
    assert!(!ended.success(), "{ended}");
    let kept: BTreeSet<u64> = settled(&hook, second).into_iter().collect();
    let expected: BTreeSet<u64> = (0..10).chain(acknowledged).chain([1_000_000]).collect();
    let lost: Vec<_> = expected.difference(&kept).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
}

#[test]
fn a_node_that_reaches_the_database_and_not_its_owner_says_so_and_takes_nothing_over() {
    let Some(cluster) = Cluster::of(2) else { return };
    let [owner, other] = &cluster.nodes[..] else { unreachable!() };
    let hook = cluster.shards.hook_of(owner, CODE);
    assert_eq!(write(&hook, other, 0), Some(202));
    cluster.network.cut(1, &cluster.network.node(0));
    let asked = Instant::now();
    let reply = Ask::new("GET", format!("/read/{}", hook.read_key)).send(&other.address);
    assert_eq!((reply.status, reply.json()["code"].as_str()), (503, Some("owner_missing")), "{:?}", reply.json());
    assert!(asked.elapsed() < OWNER_WAIT + GRACE, "only after {:?}", asked.elapsed());
    assert_eq!(write(&hook, owner, 1), Some(202), "the owner goes on");
    assert_eq!(cluster.shards.head().as_ref(), Some(&owner.address));
    assert_eq!(cluster.shards.keeper(&hook).as_ref(), Some(&owner.address));
    cluster.network.heal(1);
    eventually("it is reached again", || (write(&hook, other, 2) == Some(202)).then_some(()));
    assert_eq!(settled(&hook, other), [0, 1, 2]);
}

/// With a copy that has whatever was acknowledged, a database may burn.
#[test]
fn a_copy_that_is_promoted_has_all_that_was_acknowledged() {
    let mut primary = postgres::Server::start();
    let mut copy = primary.copied();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = primary.connect().await;
        client.execute("ALTER SYSTEM SET synchronous_standby_names = 'copy'", &[]).await.expect("is set");
        client.execute("SELECT pg_reload_conf()", &[]).await.expect("is read");
    });
    let data = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let address = primary.address_with(&copy);
    let nodes = [0, 1].map(|number: usize| {
        let mut command = everfold();
        command.env("EVERFOLD_DATABASE", &address).env("EVERFOLD_MASTER_KEY", MASTER_KEY);
        let started = Server::start_by(command, data[number].path());
        eventually("it is ready", || (started.get("/readyz").status == 200).then_some(()));
        started
    });
    let hook = Hook::running(&nodes[0], CODE);
    let output = everfold().env("EVERFOLD_DATABASE", &address).arg("cluster").output().expect("everfold starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("copy copy") && told.contains("  synchronous  "), "{told}");

    let is_over = AtomicBool::new(false);
    let acknowledged = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut connection = Connection::open(&nodes[1].address).expect("it listens");
            let mut acknowledged = BTreeSet::new();
            for number in 0_u64.. {
                let ask = Ask::new("POST", hook.write_path()).header("idempotency-key", format!("n{number}"));
                let reply = connection.ask(&ask.json(&json!(number)));
                if reply.is_ok_and(|reply| reply.status == 202) {
                    acknowledged.insert(number);
                }
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
            acknowledged
        });
        let over = Over(&is_over);
        thread::sleep(Duration::from_secs(1));
        primary.kill();
        runtime.block_on(async {
            let client = copy.connect().await;
            client.execute("SELECT pg_promote()", &[]).await.expect("is promoted");
        });
        eventually_within(LEASE + GRACE, "writes come through again", || {
            (write(&hook, &nodes[1], 1_000_000) == Some(202)).then_some(())
        });
        drop(over);
        writer.join().expect("it ends")
    });
    println!("{} acknowledged", acknowledged.len());
    assert!(acknowledged.len() > 10);
    let answering = nodes.iter().find(|node| write(&hook, node, 1_000_001) == Some(202)).expect("one answers");
    let kept: BTreeSet<u64> = settled(&hook, answering).into_iter().collect();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    copy.kill();
}
