//! However many programs misbehave, who is quick is served.

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
    contract::hold,
    quickjs::{Options, QuickJs},
};

async fn two_children() -> QuickJs {
    QuickJs::start(Options { children: 2, command: vec![env!("CARGO_BIN_EXE_isolate").into()] })
        .await
        .expect("children")
}

fn fold_of_one() -> Call {
    let request = Request {
        id: 1,
        seq: 1,
        method: "POST".into(),
        path: "/".into(),
        query: String::new(),
        headers: vec![("content-type".into(), Bytes(b"application/json".to_vec()))],
        body: Bytes(b"1".to_vec()),
        created_at_ms: 1_780_000_000_000,
    };
    let requests = vec![Foldable { request: Arc::new(request), forced: None }];
    Call::Fold { state: None, requests, secrets: "{}".into() }
}

#[test]
fn a_quick_program_is_not_kept_waiting_by_a_hundred_that_loop() {
    hold(async {
        let worker = Arc::new(two_children().await);
        let victim = Arc::new(Program::new("export const reducer = (n = 0) => n + 1;"));
        assert!(matches!(worker.call(&victim, fold_of_one(), Limits::default()).await, Outcome::Folded(_)));
        for number in 0..100 {
            let program = Arc::new(Program::new(format!("export const reducer = () => {{ for (;;); }} // {number}")));
            let worker = worker.clone();
            tokio::spawn(async move {
                loop {
                    worker.call(&program, fold_of_one(), Limits::default()).await;
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut took = Vec::new();
        for _ in 0..40 {
            let asked = Instant::now();
            let Outcome::Folded(ran) = worker.call(&victim, fold_of_one(), Limits::default()).await else {
                panic!("not folded")
            };
            assert!(ran[0].result.is_ok());
            took.push(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        took.sort_unstable();
        println!("waits: p50 {:?}, most {:?}", took[20], took[39]);
        // Of a hundred calls of 250 ms each, two at a time, the last waits for twelve seconds.
        assert!(took[39] < Duration::from_secs(2), "{took:?}");
    });
}
