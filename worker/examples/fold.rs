//! Folds webhooks through one child and prints what a request costs it, in CPU time: a program whose purity is
//! proven beside the same one without a proof, in batches of several sizes.

use std::{fs, sync::Arc, time::Instant};

use rules::{
    call::{Bytes, Call, Foldable, Outcome, Program, Request},
    limits::Limits,
};
use worker::{
    Worker,
    quickjs::{Options, QuickJs, isolate_main},
};

const PURE: &str = "
    export function reducer(state, request) {
        const { type, amount } = request.body;
        const { count, total, byType } = state ?? { count: 0, total: 0, byType: {} };
        return { count: count + 1, total: total + amount, byType: { ...byType, [type]: (byType[type] ?? 0) + 1 } };
    }";
const REQUESTS: u64 = 40_000;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("isolate") {
        isolate_main();
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().expect("a runtime");
    runtime.block_on(async {
        let worker = QuickJs::start(Options::of_this_binary(1)).await.expect("a child");
        println!("{:>8} {:>6} {:>14} {:>14}", "", "batch", "child µs/req", "wall µs/req");
        for (name, source) in [("pure", PURE.to_owned()), ("unproven", format!("let n = 0; n++;{PURE}"))] {
            let program = Arc::new(Program::new(source));
            for batch in [1, 4, 64, 256] {
                measure(&worker, name, &program, batch).await;
            }
        }
    });
}

async fn measure(worker: &QuickJs, name: &str, program: &Arc<Program>, batch: u64) {
    let mut state = None;
    let mut seq = 0;
    let (mut cpu, mut begun) = (0.0, Instant::now());
    let warm = REQUESTS / 10;
    while seq < REQUESTS + warm {
        if seq >= warm && cpu == 0.0 {
            (cpu, begun) = (cpu_us(worker), Instant::now());
        }
        let requests: Vec<_> = (seq + 1..=seq + batch).map(request).collect();
        seq += batch;
        let mut rest = requests;
        while !rest.is_empty() {
            let call = Call::Fold { state: state.clone(), requests: rest.clone(), secrets: "{}".into() };
            match worker.call(program, call, Limits::default()).await {
                Outcome::Folded(rans) => {
                    rest.drain(..rans.len());
                    state = Some(rans.last().expect("one at least").result.clone().expect("a state"));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let folded = (seq - warm) as f64;
    let wall = begun.elapsed().as_secs_f64() * 1e6 / folded;
    println!("{name:>8} {batch:>6} {:>14.1} {wall:>14.1}", (cpu_us(worker) - cpu) / folded);
}

fn request(seq: u64) -> Foldable {
    let kind = ["order.created", "order.paid", "order.shipped", "refund.created", "user.updated"][seq as usize % 5];
    let body = format!(
        r#"{{"id":"evt_{seq:06}","type":"{kind}","amount":{},"created":1763690000,"livemode":false,"customer":{{"id":"cus_{seq:05}","email":"user{seq:05}@example.com","country":"PT"}},"object":{{"sku":"SKU-{seq:04}","qty":{},"currency":"eur"}},"note":"{}"}}"#,
        seq % 97,
        seq % 7,
        "x".repeat(150),
    );
    let header = |name: &str, value: &str| (name.to_owned(), Bytes(value.as_bytes().to_vec()));
    let request = Request {
        id: u128::from(seq) << 64 | 7,
        seq,
        method: "POST".into(),
        path: "/write/0123456789abcdef0123456789abcdef".into(),
        query: String::new(),
        headers: vec![
            header("host", "127.0.0.1"),
            header("content-type", "application/json"),
            header("content-length", &body.len().to_string()),
        ],
        body: Bytes(body.into_bytes()),
        created_at_ms: 1_763_690_000_000 + seq,
    };
    Foldable { request: Arc::new(request), forced: None }
}

/// User and system time of the child and its own children.
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
