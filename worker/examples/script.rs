//! Runs empty jobs in one child and prints what each costs it, in CPU time, beside a query that does nothing.

use std::{fs, sync::Arc, time::Instant};

use rules::{
    call::{Call, Program},
    limits::Limits,
};
use worker::{
    Worker,
    quickjs::{Options, QuickJs, isolate_main},
    script::{self, Script},
};

const JOBS: u32 = 4_000;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("isolate") {
        isolate_main();
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().expect("a runtime");
    runtime.block_on(async {
        let worker = QuickJs::start(Options::of_this_binary(1)).await.expect("a child");
        let script = Arc::new(Program::script("".to_owned()));
        let query = Arc::new(Program::new("export const query = (state) => state;".to_owned()));
        println!("{:>8} {:>14} {:>14}", "", "child µs/job", "wall µs/job");
        for round in 0..2 {
            let (cpu, begun) = (cpu_us(&worker), Instant::now());
            for n in 0..JOBS {
                let script = Script {
                    program: &script,
                    input: "null",
                    timeout_ms: 30_000,
                    seed: n.into(),
                    at_ms: 1_780_000_000_000,
                };
                script::run(&worker, script).await.expect("run");
            }
            print("script", cpu_us(&worker) - cpu, begun, round);
            let (cpu, begun) = (cpu_us(&worker), Instant::now());
            for _ in 0..JOBS {
                let call =
                    Call::Query { state: None, params: String::new(), secrets: "{}".into(), at_ms: 1_780_000_000_000 };
                worker.call(&query, call, Limits::default()).await;
            }
            print("query", cpu_us(&worker) - cpu, begun, round);
        }
    });
}

fn print(what: &str, cpu_us: f64, begun: Instant, round: u32) {
    if round > 0 {
        let wall_us = begun.elapsed().as_secs_f64() * 1e6;
        println!("{what:>8} {:>14.1} {:>14.1}", cpu_us / f64::from(JOBS), wall_us / f64::from(JOBS));
    }
}
fn cpu_us(worker: &QuickJs) -> f64 {
    fn of(process: u32) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let mut ns = 0.0;
        for task in tasks {
            let schedstat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            ns += schedstat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0);
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            ns += children.split_whitespace().filter_map(|id| id.parse().ok()).map(of).sum::<f64>() * 1e3;
        }
        ns / 1e3
    }
    worker.process_ids().into_iter().map(of).sum()
}
