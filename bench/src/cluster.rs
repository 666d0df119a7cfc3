//! Many servers and one PostgreSQL: what the database costs, what passing requests on costs, and how long a write waits
//! when a server is killed, or ends in order.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    MANY, REDUCER,
    load::{self, Load},
    ms,
    postgres::Server,
    server::{Hook, Owner, Process},
};

pub const NODES: usize = 3;
/// All together, however many servers there are: of three servers each has a third of them.
const CONNECTIONS: [usize; 2] = [64, 192];
/// Between two writes that look how long nobody answers.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Default)]
pub struct Cluster {
    /// Of a directory, one server of a database, three of them asked alike.
    pub folded: [Vec<Folded>; 3],
    /// How long a write at another node took while the owner was told to end, and was killed.
    pub ended_ms: f64,
    pub killed_ms: f64,
    pub failed: f64,
}

/// Requests a second until all of them were folded.
pub struct Folded {
    pub hooks: usize,
    pub connections: usize,
    pub per_s: f64,
    failed: f64,
}

pub fn measure(load_seconds: u64, folder: &Path, say: impl Fn(&str)) -> Cluster {
    let mut run = Cluster::default();
    let seconds = Duration::from_secs(load_seconds);

    say("cluster: a directory");
    let single = [Process::start_everfold(&folder.join("directory"))];
    run.folded[0] = all(&single, folder, seconds);
    drop(single);

    // Each number of servers has a database of its own: none finds it filled by another.
    let of = |database: &Server, count: usize| -> Vec<Process> {
        let home = |number| folder.join(format!("{count}-{number}"));
        (0..count).map(|number| Process::start_everfold_of(&database.address(), &home(number))).collect()
    };
    say("cluster: one server of a database");
    let database = Server::start();
    let single = of(&database, 1);
    run.folded[1] = all(&single, folder, seconds);
    drop((single, database));

    say("cluster: three servers of one");
    let database = Server::start();
    let mut nodes = of(&database, NODES);
    run.folded[2] = all(&nodes, folder, seconds);

    say("cluster: the owner ends, then the next is killed");
    let owner = Owner::guest(&nodes[0]);
    // Some of them are wherever something ends.
    let hooks: Vec<Hook> = (0..8 * NODES).map(|_| Hook::running(&nodes[0], &owner, REDUCER)).collect();
    let (mut ended, mut killed, survivor) = (nodes.remove(0), nodes.remove(0), nodes.remove(0));
    run.ended_ms = longest(&hooks, &survivor, "ended", || ended.terminate());
    run.killed_ms = longest(&hooks, &survivor, "killed", || killed.kill());
    run.failed = run.folded.iter().flatten().map(|folded| folded.failed).sum();
    run
}

/// One hot hook and many, each with few connections and with many.
fn all(nodes: &[Process], folder: &Path, seconds: Duration) -> Vec<Folded> {
    let owner = Owner::guest(&nodes[0]);
    let hot = Hook::running(&nodes[0], &owner, REDUCER);
    let many: Vec<Hook> = (0..MANY).map(|_| Hook::running(&nodes[0], &owner, REDUCER)).collect();
    [std::slice::from_ref(&hot), &many]
        .into_iter()
        .flat_map(|hooks| CONNECTIONS.map(|connections| (hooks, connections)))
        .map(|(hooks, connections)| {
            let paths: Vec<String> = hooks.iter().map(Hook::write_path).collect();
            written(nodes, folder, &paths, connections, seconds / 3);
            let folded = || folded(nodes, hooks);
            for hook in hooks {
                hook.all_folded(&nodes[0]);
            }
            let (before, started) = (folded(), Instant::now());
            let load = written(nodes, folder, &paths, connections, seconds);
            while folded() < before + load.ok as u64 {
                thread::sleep(Duration::from_millis(20));
            }
            let per_s = load.ok / started.elapsed().as_secs_f64();
            Folded { hooks: hooks.len(), connections, per_s, failed: load.failed }
        })
        .collect()
}

/// All together. To ask takes time, in which nothing is folded any more: so it is asked at several servers at once.
fn folded(nodes: &[Process], hooks: &[Hook]) -> u64 {
    thread::scope(|scope| {
        let parts = hooks.chunks(hooks.len().div_ceil(NODES)).zip(nodes.iter().cycle());
        let asked: Vec<_> = parts
            .map(|(part, node)| scope.spawn(|| part.iter().map(|hook| hook.folded_through(node)).sum::<u64>()))
            .collect();
        asked.into_iter().map(|asked| asked.join().expect("it is answered")).sum()
    })
}

/// Through all of them at once.
fn written(nodes: &[Process], folder: &Path, paths: &[String], connections: usize, seconds: Duration) -> Load {
    let connections = connections / nodes.len();
    let loads: Vec<Load> = thread::scope(|scope| {
        let running: Vec<_> = nodes
            .iter()
            .enumerate()
            .map(|(number, node)| {
                let lists = folder.join(format!("load-{number}"));
                fs::create_dir_all(&lists).expect("a folder");
                scope.spawn(move || load::run(node, &lists, paths, connections, seconds))
            })
            .collect();
        running.into_iter().map(|load| load.join().expect("wrk ends")).collect()
    });
    Load {
        ok: loads.iter().map(|load| load.ok).sum(),
        seconds: loads.iter().map(|load| load.seconds).fold(0.0, f64::max),
        failed: loads.iter().map(|load| load.failed).sum(),
        p50_ms: loads.iter().map(|load| load.p50_ms).fold(0.0, f64::max),
        p99_ms: loads.iter().map(|load| load.p99_ms).fold(0.0, f64::max),
    }
}

/// Of the writes at a node, one after the other, while something is done to another.
fn longest(hooks: &[Hook], node: &Process, keys: &str, done: impl FnOnce() + Send) -> f64 {
    thread::scope(|scope| {
        let doing = scope.spawn(done);
        let mut longest = 0.0_f64;
        let begun = Instant::now();
        for (number, hook) in hooks.iter().cycle().enumerate() {
            if doing.is_finished() && begun.elapsed() > Duration::from_secs(2) {
                break;
            }
            let asked = Instant::now();
            hook.write_once(node, &format!("{keys} {number}"));
            longest = longest.max(ms(asked));
            thread::sleep(PAUSE);
        }
        longest
    })
}
