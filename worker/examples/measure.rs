//! What a request costs through the jail: `cargo run --release -p worker --example measure`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rules::{
    call::{Bytes, Call, Foldable, Outcome, Program, Request},
    limits::Limits,
};
use worker::{
    Worker,
    quickjs::{Options, QuickJs},
};

const REDUCER: &str = "
    interface State { total: number; last: string; byKind: Record<string, number> }
    export function reducer(state: State = { total: 0, last: '', byKind: {} }, { body }: any): State {
        const byKind = { ...state.byKind, [body.kind]: (state.byKind[body.kind] ?? 0) + body.amount };
        return { total: state.total + body.amount, last: body.id, byKind };
    }";
const BATCH: u64 = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut binary = std::env::current_exe().expect("this binary");
    binary.pop();
    binary.set_file_name("isolate");
    let command = vec![binary.into()];

    let mut starts = Vec::new();
    for _ in 0..15 {
        let worker = QuickJs::start(Options { children: 1, command: command.clone() }).await.expect("a child");
        starts.push(worker.started_in());
    }
    report("a child, from nothing to ready", &mut starts);

    let worker = QuickJs::start(Options { children: 1, command }).await.expect("a child");
    let program = Arc::new(Program::new(REDUCER));
    let call = |call: Call| worker.call(&program, call, Limits::default());

    let mut loads = Vec::new();
    for n in 0..15 {
        let program = Arc::new(Program::new(format!("{REDUCER}\n// {n}")));
        let begun = Instant::now();
        worker.call(&program, Call::Describe, Limits::default()).await;
        loads.push(begun.elapsed());
    }
    report("a new program: translate, load, image", &mut loads);

    let mut describes = Vec::new();
    for _ in 0..2_000 {
        let begun = Instant::now();
        call(Call::Describe).await;
        describes.push(begun.elapsed());
    }
    report("a call that runs nothing (the frames)", &mut describes);

    for batch in [1, BATCH] {
        let mut state = None;
        let mut each = Vec::new();
        for round in 0..400 {
            let requests: Vec<Foldable> = (0..batch).map(|n| request(round * batch + n + 1)).collect();
            let begun = Instant::now();
            let fold = Call::Fold { state: state.clone(), requests, secrets: "{}".into() };
            let Outcome::Folded(ran) = call(fold).await else { panic!("not folded") };
            each.push(begun.elapsed() / ran.len() as u32);
            state = Some(ran.into_iter().last().expect("some").result.expect("a state"));
        }
        report(&format!("a request, in batches of {batch}"), &mut each);
    }
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6;
    println!("{what:42} {:9.1} us median, {:9.1} p10, {:9.1} p90", at(50), at(10), at(90));
}

fn request(seq: u64) -> Foldable {
    let kind = ["order", "refund", "visit"][seq as usize % 3];
    let note = "n".repeat(250);
    let body = format!(
        r#"{{"id":"evt_{seq:08}","kind":"{kind}","amount":{},"customer":{{"id":"cus_{seq:06}","tags":["a","b","c"]}},"note":"{note}","at":"2026-01-01T00:00:00Z"}}"#,
        seq % 100
    );
    let headers = [("content-type", "application/json"), ("user-agent", "measure/1.0"), ("host", "localhost")];
    let request = Request {
        id: 0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(seq),
        seq,
        method: "POST".into(),
        path: "/write".into(),
        query: String::new(),
        headers: headers.map(|(name, value)| (name.into(), Bytes(value.into()))).to_vec(),
        body: Bytes(body.into_bytes()),
        created_at_ms: 1_780_000_000_000 + seq,
    };
    Foldable { request: Arc::new(request), forced: None }
}
