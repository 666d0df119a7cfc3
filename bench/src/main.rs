//! Measures the whole program on the machine at hand, the floors beside it in the same run, and prints one table.

mod cluster;
mod floor;
mod functions;
mod jobs;
mod load;
mod peer;
#[allow(dead_code, reason = "the store's own tests use the rest of it")]
#[path = "../../store/tests/harness/mod.rs"]
mod postgres;
mod server;

use std::{
    env, fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use load::Load;
use server::{Hook, Owner, Process};

/// The same reducer as the peers are measured with: count, total, count by type.
const REDUCER: &str = "
    export function reducer(state, request) {
        const { type, amount } = request.body;
        const { count, total, byType } = state ?? { count: 0, total: 0, byType: {} };
        return { count: count + 1, total: total + amount, byType: { ...byType, [type]: (byType[type] ?? 0) + 1 } };
    }";
const MANY: usize = 1_000;
/// How many hooks are woken for the time of a first request.
const SLEEPERS: usize = 21;

struct Plan {
    runs: usize,
    load_seconds: u64,
    replay_requests: u64,
    jobs: jobs::Plan,
    functions: functions::Plan,
}

fn main() {
    let flags: Vec<String> = env::args().skip(1).collect();
    if flags.iter().any(|flag| !["--quick", "--against", "--jobs", "--functions", "--cluster"].contains(&flag.as_str()))
    {
        eprintln!("usage: cargo x bench [--quick] [--against] [--jobs] [--functions] [--cluster]");
        std::process::exit(2);
    }
    let is_quick = flags.iter().any(|flag| flag == "--quick");
    let plan = if is_quick {
        Plan {
            runs: 1,
            load_seconds: 2,
            replay_requests: 20_000,
            jobs: jobs::Plan { singly: 100, headless: 10_000, busy: 100, queued: 10_000 },
            functions: functions::Plan { calls: 500, starts: 5, idle: 20, load_seconds: 3 },
        }
    } else {
        Plan {
            runs: 3,
            load_seconds: 10,
            replay_requests: 200_000,
            jobs: jobs::Plan { singly: 500, headless: 40_000, busy: 400, queued: 100_000 },
            functions: functions::Plan { calls: 3_000, starts: 15, idle: 200, load_seconds: 10 },
        }
    };
    let built = env::current_exe().expect("a program knows where it is");
    let beside = built.parent().expect("a program is in a folder");
    let folder = beside.join("bench-data");
    let say = |run: usize, what: &str| eprintln!("run {run}/{}: {what}", plan.runs);
    let afresh = || {
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).expect("a folder beside the program");
    };
    if flags.iter().any(|flag| flag == "--jobs") {
        let broker = jobs::prepare(&beside.join("bench-broker"));
        let runs = (1..=plan.runs).map(|run| {
            afresh();
            jobs::measure(&plan.jobs, &folder, &broker, |what| say(run, what))
        });
        let table = JobsTable(runs.collect());
        fs::remove_dir_all(&folder).ok();
        return table.print(&plan);
    }
    if flags.iter().any(|flag| flag == "--functions") {
        let runs = (1..=plan.runs).map(|run| {
            afresh();
            functions::measure(&plan.functions, &folder, |what| say(run, what))
        });
        let table = FunctionsTable(runs.collect());
        fs::remove_dir_all(&folder).ok();
        return table.print(&plan);
    }
    if flags.iter().any(|flag| flag == "--cluster") {
        let runs = (1..=plan.runs).map(|run| {
            afresh();
            cluster::measure(plan.load_seconds, &folder, |what| say(run, what))
        });
        let table = ClusterTable(runs.collect());
        fs::remove_dir_all(&folder).ok();
        return table.print(&plan);
    }
    let peer = flags.iter().any(|flag| flag == "--against").then(|| peer::prepare(&beside.join("bench-peer")));
    let runs = (1..=plan.runs).map(|run| {
        afresh();
        measure(&plan, &folder, peer.as_deref(), |what| say(run, what))
    });
    let table = Table(runs.collect());
    fs::remove_dir_all(&folder).ok();
    table.print(&plan);
}

/// One number for each row, in the order of `ROWS`.
#[derive(Default, Clone, Copy)]
struct Run {
    sync_per_s: f64,
    synced_records_per_s: f64,
    bare: Load,
    bare_at_8: Load,
    peer: Load,
    peer_at_8: Load,
    peer_many: Load,
    cold_start_ms: f64,
    rest_mb: f64,
    hot: Load,
    hot_folded_per_s: f64,
    hot_at_8: Load,
    pristine_folded_per_s: f64,
    many: Load,
    many_folded_per_s: f64,
    awake_mb: f64,
    publish_ms: f64,
    replay_per_s: f64,
    waking_reply_ms: f64,
    waking_fold_ms: f64,
}

fn measure(plan: &Plan, folder: &Path, peer: Option<&Path>, say: impl Fn(&str)) -> Run {
    let mut run = Run::default();
    let seconds = Duration::from_secs(plan.load_seconds);

    say("append + fdatasync");
    run.sync_per_s = floor::appends_per_s(folder, 400, seconds / 2);
    run.synced_records_per_s = 64.0 * floor::appends_per_s(folder, 64 * 400, seconds / 2);

    say("bare axum");
    {
        let bare = Process::start_bare();
        let paths = ["/write/hello".to_owned()];
        load::run(&bare, folder, &paths, 64, Duration::from_secs(1));
        run.bare = load::run(&bare, folder, &paths, 64, seconds);
        run.bare_at_8 = load::run(&bare, folder, &paths, 8, seconds);
    }

    if let Some(peer) = peer {
        say("the peer: node, better-sqlite3, a transaction for each tick");
        let node = Process::start_peer(peer, &folder.join("peer.db"));
        let many: Vec<String> = (0..MANY).map(|number| format!("/write/k{number}")).collect();
        let hot = ["/write/hot".to_owned()];
        load::run(&node, folder, &hot, 64, seconds / 3);
        run.peer = load::run(&node, folder, &hot, 64, seconds);
        run.peer_at_8 = load::run(&node, folder, &hot, 8, seconds);
        load::run(&node, folder, &many, 64, seconds / 3);
        run.peer_many = load::run(&node, folder, &many, 64, seconds);
    }

    say("making the hooks");
    let data = folder.join("data");
    let mut everfold = Process::start_everfold(&data);
    let owner = Owner::guest(&everfold);
    let hot = Hook::running(&everfold, &owner, REDUCER);
    let many: Vec<Hook> = (0..MANY).map(|_| Hook::running(&everfold, &owner, REDUCER)).collect();
    hot.write_and_fold(&everfold);

    say("cold start, sleeping hooks");
    everfold.kill();
    let started = Instant::now();
    everfold = Process::start_everfold(&data);
    hot.write(&everfold);
    run.cold_start_ms = ms(started);
    thread::sleep(Duration::from_secs(1));
    run.rest_mb = everfold.resident_mb();
    let (mut replies, mut folds) = (vec![], vec![]);
    for hook in &many[..SLEEPERS] {
        let started = Instant::now();
        let id = hook.write(&everfold);
        replies.push(ms(started));
        hook.settled(&everfold, &id);
        folds.push(ms(started));
    }
    (run.waking_reply_ms, run.waking_fold_ms) = (median(replies), median(folds));

    say("one hot hook");
    let hot_path = [hot.write_path()];
    load::run(&everfold, folder, &hot_path, 64, seconds / 3);
    (run.hot, run.hot_folded_per_s) = load_and_fold(&everfold, folder, &hot_path, std::slice::from_ref(&hot), seconds);
    run.hot_at_8 = load::run(&everfold, folder, &hot_path, 8, seconds);

    say("one hot hook without a proof of purity");
    let unproven = Hook::running(&everfold, &owner, &format!("let unproven = 0; unproven++;{REDUCER}"));
    let unproven_path = [unproven.write_path()];
    load::run(&everfold, folder, &unproven_path, 64, seconds / 3);
    (_, run.pristine_folded_per_s) =
        load_and_fold(&everfold, folder, &unproven_path, std::slice::from_ref(&unproven), seconds);

    say("1,000 hooks");
    let many_paths: Vec<String> = many.iter().map(Hook::write_path).collect();
    load::run(&everfold, folder, &many_paths, 64, seconds / 3);
    (run.many, run.many_folded_per_s) = load_and_fold(&everfold, folder, &many_paths, &many, seconds);
    run.awake_mb = everfold.resident_mb();

    say("replay");
    let mut total = hot.folded_through(&everfold);
    while total < plan.replay_requests {
        load::run(&everfold, folder, &hot_path, 64, Duration::from_secs(1));
        total = hot.all_folded(&everfold);
    }
    let started = Instant::now();
    hot.publish(&everfold, &REDUCER.replace("total + amount", "total + 2 * amount"));
    run.publish_ms = ms(started);
    hot.replayed(&everfold);
    run.replay_per_s = total as f64 / started.elapsed().as_secs_f64();
    run
}

/// The load, and how many requests a second were also folded, until the last of them was.
fn load_and_fold(server: &Process, folder: &Path, paths: &[String], hooks: &[Hook], seconds: Duration) -> (Load, f64) {
    let folded = || hooks.iter().map(|hook| hook.folded_through(server)).sum::<u64>();
    for hook in hooks {
        hook.all_folded(server);
    }
    let before = folded();
    let started = Instant::now();
    let load = load::run(server, folder, paths, 64, seconds);
    while folded() < before + load.ok as u64 {
        thread::sleep(Duration::from_millis(20));
    }
    (load, load.ok / started.elapsed().as_secs_f64())
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// The median of each number over the runs.
struct Table(Vec<Run>);

impl Table {
    fn get(&self, number: impl Fn(&Run) -> f64) -> f64 {
        median(self.0.iter().map(number).collect())
    }

    fn print(&self, plan: &Plan) {
        let bare = self.get(|run| run.bare.per_s());
        let hot = self.get(|run| run.hot.per_s());
        let many = self.get(|run| run.many.per_s());
        let refused: f64 = self.0.iter().map(|run| run.hot.failed + run.hot_at_8.failed + run.many.failed).sum();
        let synced = self.get(|run| run.synced_records_per_s);
        let cores = thread::available_parallelism().map_or(0, usize::from);

        println!(
            "\nMedian of {} runs of {} s on {cores} cores, load on the same machine.\n",
            plan.runs, plan.load_seconds
        );
        println!("| what | measured | beside it | ratio |\n|---|---|---|---|");
        let row = |what: &str, measured: String, beside: &str, ratio: Option<f64>| {
            println!(
                "| {what} | {measured} | {beside} | {} |",
                ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"))
            );
        };
        let whole = |number: f64| format!("{number:.0}");
        let beside_bare = format!("bare axum POST {bare:.0}");
        row("durable writes/s, one hot hook, 64 connections", whole(hot), &beside_bare, Some(hot / bare));
        let folded = self.get(|run| run.hot_folded_per_s);
        let [peer, peer_many] = [self.get(|run| run.peer.per_s()), self.get(|run| run.peer_many.per_s())];
        let against = |folded: f64, peer: f64, writes: f64| match peer > 0.0 {
            true => (format!("node + SQLite, group commit {peer:.0}"), Some(folded / peer)),
            false => ("its writes".to_owned(), Some(folded / writes)),
        };
        let (beside, ratio) = against(folded, peer, hot);
        row("… and folded/s", whole(folded), &beside, ratio);
        let pristine = self.get(|run| run.pristine_folded_per_s);
        row(
            "a program that needs a pristine image, folded/s",
            whole(pristine),
            "the pure one",
            Some(pristine / folded),
        );
        row("durable writes/s, 1,000 hooks, 64 connections", whole(many), &beside_bare, Some(many / bare));
        let folded = self.get(|run| run.many_folded_per_s);
        let (beside, ratio) = against(folded, peer_many, many);
        row("… and folded/s", whole(folded), &beside, ratio);
        row("raw floor: append 64 × 400 B + fdatasync, records/s", whole(synced), "hot writes/s", Some(hot / synced));
        row("raw floor: append 400 B + fdatasync, /s", whole(self.get(|run| run.sync_per_s)), "", None);
        let [p50, p99] = [self.get(|run| run.hot_at_8.p50_ms), self.get(|run| run.hot_at_8.p99_ms)];
        let [bare_p50, bare_p99] = [self.get(|run| run.bare_at_8.p50_ms), self.get(|run| run.bare_at_8.p99_ms)];
        let [peer_p50, peer_p99] = [self.get(|run| run.peer_at_8.p50_ms), self.get(|run| run.peer_at_8.p99_ms)];
        let beside = format!("bare axum {bare_p50:.2} / {bare_p99:.2}, node {peer_p50:.2} / {peer_p99:.2}");
        row("p50 / p99 ms at 8 connections", format!("{p50:.2} / {p99:.2}"), &beside, Some(p99 / bare_p99));
        let replay = self.get(|run| run.replay_per_s);
        let what = format!("replay/s of {} requests or more", plan.replay_requests);
        row(&what, whole(replay), "hot writes/s", Some(replay / hot));
        row("publish answered, ms", format!("{:.1}", self.get(|run| run.publish_ms)), "", None);
        row("cold start to first 2xx, ms", whole(self.get(|run| run.cold_start_ms)), "", None);
        let [reply, fold] = [self.get(|run| run.waking_reply_ms), self.get(|run| run.waking_fold_ms)];
        row("first request to a sleeping hook: 2xx / folded, ms", format!("{reply:.1} / {fold:.1}"), "", None);
        let [rest, awake] = [self.get(|run| run.rest_mb), self.get(|run| run.awake_mb)];
        row("resident MB, at rest / 1,000 hooks awake", format!("{rest:.0} / {awake:.0}"), "", Some(awake / rest));
        println!("\n{refused:.0} requests failed under load.");
    }
}

/// The median of each number of jobs over the runs.
struct JobsTable(Vec<jobs::Jobs>);

impl JobsTable {
    fn get(&self, number: impl Fn(&jobs::Jobs) -> f64) -> f64 {
        median(self.0.iter().map(number).collect())
    }

    fn print(&self, plan: &Plan) {
        let cores = thread::available_parallelism().map_or(0, usize::from);
        println!("\nMedian of {} runs on {cores} cores, all on the same machine.\n", plan.runs);
        println!("| what | measured | beside it | ratio |\n|---|---|---|---|");
        let server = self.get(|jobs| jobs.server_p50_ms);
        println!("| an empty job, POST to result, on the server, p50 ms | {server:.2} | | |");
        let tab = self.get(|jobs| jobs.tab_p50_ms);
        let dispatched = self.get(|jobs| jobs.tab_dispatched_ms);
        println!("| … through a tab, p50 ms | {tab:.2} | of it from lease to result {dispatched:.0} | |");
        let (headless, broker) = (self.get(|jobs| jobs.headless_per_s), self.get(|jobs| jobs.broker_per_s));
        println!(
            "| empty jobs/s through 4 headless workers | {headless:.0} | Node broker over ws, in memory, no sandbox {broker:.0} | {:.2} |",
            headless / broker
        );
        let (busy, bare) = (self.get(|jobs| jobs.busy_per_s), self.get(|jobs| jobs.bare_per_s));
        println!(
            "| jobs of 20 ms/s, a tab with 4 threads | {busy:.1} | 4 bare Web Workers {bare:.1} | {:.2} |",
            busy / bare
        );
        let (queued, inputs) = (self.get(|jobs| jobs.queued_mb), self.get(|jobs| jobs.queued_inputs_mb));
        println!(
            "| resident MB with {} jobs queued / one of as many inputs | {queued:.0} / {inputs:.0} | | |",
            plan.jobs.queued
        );
    }
}

/// The median of each number of functions over the runs.
struct FunctionsTable(Vec<functions::Functions>);

impl FunctionsTable {
    fn get(&self, number: impl Fn(&functions::Functions) -> f64) -> f64 {
        median(self.0.iter().map(number).collect())
    }

    fn print(&self, plan: &Plan) {
        let cores = thread::available_parallelism().map_or(0, usize::from);
        println!("\nMedian of {} runs on {cores} cores, all on the same machine.\n", plan.runs);
        println!("| what | measured | beside it | |\n|---|---|---|---|");
        let us = |number: &dyn Fn(&functions::Functions) -> f64| 1e3 * self.get(number);
        let (warm, direct) = (us(&|run| run.warm_ms), us(&|run| run.direct_ms));
        let plain = us(&|run| run.plain_ms);
        println!(
            "| a warm call, p50 µs | {warm:.0} | the bare runtime server {direct:.0}, plain Node.js {plain:.0} | + {:.0} |",
            warm - direct
        );
        let (calls, plain) = (self.get(|run| run.load.per_s()), self.get(|run| run.plain.per_s()));
        println!(
            "| calls/s, {} connections | {calls:.0} | plain Node.js {plain:.0} | {:.2} |",
            functions::CONNECTIONS,
            calls / plain
        );
        let (cold, direct) = (self.get(|run| run.cold_ms), self.get(|run| run.direct_cold_ms));
        println!("| a cold start, ms | {cold:.1} | the bare runtime server {direct:.1} | + {:.1} |", cold - direct);
        let (processes, mb) = (self.get(|run| run.idle_processes), self.get(|run| run.idle_mb));
        let many = plan.functions.idle;
        println!("| {many} functions that nobody calls: processes, resident MB | {processes:.0}, {mb:.0} | | |");
        let failed: f64 = self.0.iter().map(|run| run.load.failed + run.plain.failed).sum();
        println!("\n{failed:.0} calls failed under load.");
    }
}

/// The median of each number of many servers over the runs.
struct ClusterTable(Vec<cluster::Cluster>);

impl ClusterTable {
    fn get(&self, number: impl Fn(&cluster::Cluster) -> f64) -> f64 {
        median(self.0.iter().map(number).collect())
    }

    fn print(&self, plan: &Plan) {
        let cores = thread::available_parallelism().map_or(0, usize::from);
        println!(
            "\nMedian of {} runs of {} s on {cores} cores, load and PostgreSQL on the same machine.\n",
            plan.runs, plan.load_seconds
        );
        println!(
            "| folded/s | connections | a directory | one server of a database | {} servers of it | |",
            cluster::NODES
        );
        println!("|---|---|---|---|---|---|");
        for (row, folded) in self.0[0].folded[0].iter().enumerate() {
            let [directory, one, many] = [0, 1, 2].map(|which| self.get(|run| run.folded[which][row].per_s));
            let what = if folded.hooks == 1 { "one hot hook".to_owned() } else { format!("{} hooks", folded.hooks) };
            println!(
                "| {what} | {} | {directory:.0} | {one:.0} | {many:.0} | {:.2} of one |",
                folded.connections,
                many / one
            );
        }
        println!("\n| a write at another node, ms | the longest |\n|---|---|");
        println!("| while the owner ends in order | {:.0} |", self.get(|run| run.ended_ms));
        println!("| while the owner is killed | {:.0} |", self.get(|run| run.killed_ms));
        let failed: f64 = self.0.iter().map(|run| run.failed).sum();
        println!("\n{failed:.0} requests failed under load.");
    }
}
