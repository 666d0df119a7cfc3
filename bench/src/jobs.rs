//! Jobs: from a script to its result, on the server, through a tab and through workers; beside a plain broker in Node.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    median, ms, peer,
    server::{Owner, Process},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs");
/// What resolves Playwright: the dashboard's own.
const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboard/package.json");
const WORKERS: usize = 4;
const BROKER_LIBRARY: &str = "ws@8";
/// Who submits what waits.
const SUBMITTERS: usize = 8;

pub struct Plan {
    /// For the time from a script to its result.
    pub singly: usize,
    pub headless: usize,
    /// About 20 ms of work each.
    pub busy: usize,
    pub queued: usize,
}

#[derive(Default, Clone, Copy)]
pub struct Jobs {
    pub server_p50_ms: f64,
    pub tab_p50_ms: f64,
    /// From the lease to the result, by the server's clock.
    pub tab_dispatched_ms: f64,
    pub busy_per_s: f64,
    pub bare_per_s: f64,
    pub headless_per_s: f64,
    pub broker_per_s: f64,
    pub queued_mb: f64,
    pub queued_inputs_mb: f64,
}

/// The broker, in a folder in which it can be started.
pub fn prepare(folder: &Path) -> PathBuf {
    fs::create_dir_all(folder).expect("a folder for the broker");
    let broker = folder.join("broker.mjs");
    fs::copy(format!("{FOLDER}/broker.mjs"), &broker).expect("the broker is beside this program");
    peer::bring(folder, BROKER_LIBRARY);
    broker
}

pub fn measure(plan: &Plan, folder: &Path, broker: &Path, say: impl Fn(&str)) -> Jobs {
    let mut jobs = Jobs::default();

    say("jobs: a plain broker in Node");
    let said = output(Command::new("node").arg(broker).arg((2 * plan.headless).to_string()));
    jobs.broker_per_s = number(&said, "perS");

    say("jobs: four workers");
    let everfold = Process::start_everfold(&folder.join("jobs"));
    let owner = Owner::guest(&everfold);
    let key = owner.worker_key(&everfold);
    let workers: Vec<Process> = (0..WORKERS).map(|_| Process::start_worker(&everfold, &key)).collect();
    while owner.workers(&everfold) < WORKERS {
        thread::sleep(Duration::from_millis(20));
    }
    for count in [plan.headless / 10, plan.headless] {
        let started = Instant::now();
        owner.run(&everfold, &json!({"code": "", "inputs": vec![Value::Null; count], "where": "tab"}));
        jobs.headless_per_s = count as f64 / started.elapsed().as_secs_f64();
    }
    drop(workers);

    say("jobs: the server's pool");
    let mut took = Vec::new();
    for n in 0..plan.singly + plan.singly / 10 {
        let started = Instant::now();
        owner.run(&everfold, &json!({"code": "", "where": "server"}));
        if n >= plan.singly / 10 {
            took.push(ms(started));
        }
    }
    jobs.server_p50_ms = median(took);

    say("jobs: a tab, and bare Web Workers");
    let counts = [plan.singly, plan.busy].map(|count| count.to_string());
    let tab = format!("{FOLDER}/tab.mjs");
    let said = output(Command::new("node").args([&tab, &everfold.url, DASHBOARD]).args(counts));
    (jobs.tab_p50_ms, jobs.tab_dispatched_ms) = (number(&said, "p50Ms"), number(&said, "dispatchedMs"));
    (jobs.busy_per_s, jobs.bare_per_s) = (number(&said, "busyPerS"), number(&said, "barePerS"));
    drop(everfold);

    say("jobs: many that wait");
    let everfold = Process::start_everfold(&folder.join("queued"));
    let owner = Owner::guest(&everfold);
    thread::scope(|scope| {
        for _ in 0..SUBMITTERS {
            scope.spawn(|| {
                (0..plan.queued / SUBMITTERS)
                    .for_each(|_| drop(owner.submit(&everfold, &json!({"code": "", "where": "tab"}))))
            });
        }
    });
    jobs.queued_mb = everfold.resident_mb();
    drop(everfold);
    let everfold = Process::start_everfold(&folder.join("inputs"));
    let owner = Owner::guest(&everfold);
    owner.submit(&everfold, &json!({"code": "", "inputs": vec![Value::Null; plan.queued], "where": "tab"}));
    jobs.queued_inputs_mb = everfold.resident_mb();
    jobs
}

fn output(command: &mut Command) -> Value {
    let said = command.stderr(Stdio::inherit()).output().expect("node is there");
    let text = String::from_utf8_lossy(&said.stdout);
    text.lines().rev().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_else(|| panic!("it failed: {text}"))
}

fn number(said: &Value, name: &str) -> f64 {
    said[name].as_f64().unwrap_or_else(|| panic!("{name} is a number: {said}"))
}
