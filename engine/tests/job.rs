//! What a job promises when its store fails.

use std::{sync::Arc, time::Duration};

use engine::{
    Engine,
    vault::Vault,
    world::{Alone, Nowhere, SystemClock, SystemEntropy, World},
};
use rules::{
    call::{Bytes, Response},
    job::{Brief, JobId, Place, Status, Task},
    record::LaneId,
};
use store::memory::{Memory, Verdict};
use worker::scripted::{Script, Scripted};

const OWNER: LaneId = LaneId(7);

fn engine_on(store: &Memory) -> Engine {
    let done = |_: Option<&str>, _: &str| {
        Ok(Response { status: 200, headers: Vec::new(), body: Bytes(br#"{"value":7}"#.to_vec()) })
    };
    let scripts = Scripted::default().with("", Script { query: Box::new(done), ..Script::counting() });
    Engine::new(World {
        store: Arc::new(store.clone()),
        worker: Arc::new(Scripted::counting()),
        scripts: Arc::new(scripts),
        runtimes: Arc::new(worker::runtimes::Runtimes::none()),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        vault: Arc::new(Vault::new(&[0; 32])),
        outside: Arc::new(Nowhere),
        places: Arc::new(Alone),
    })
}

async fn submit(engine: &Engine) -> JobId {
    loop {
        let brief = Brief::new(Place::Any, false, 1, engine.now());
        let task = Task { code: "7".into(), inputs: vec!["null".into()] };
        match engine.submit_job(OWNER, brief, task).await {
            Ok(id) => return id,
            Err(refusal) => assert!(refusal.status >= 500, "{refusal:?}"),
        }
    }
}

async fn is_done(engine: &Engine, id: JobId) {
    let waits = async {
        while engine.job(OWNER, id).await.expect("it is kept").brief.status != Status::Done {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waits).await.expect("it comes to its end");
    assert_eq!(engine.outcomes(OWNER, id).await.expect("a list").len(), 1);
}

#[tokio::test]
async fn whatever_becomes_of_any_commit_a_job_that_was_accepted_is_done() {
    for verdict in [|| Verdict::Full, || Verdict::Conflict, || Verdict::UnknownButKept, || Verdict::UnknownAndLost] {
        for commits in 0..3 {
            let store = Memory::new();
            let engine = engine_on(&store);
            for _ in 0..commits {
                store.faults().commit(Verdict::Honest);
            }
            store.faults().commit(verdict());
            let first = submit(&engine).await;
            is_done(&engine, first).await;
            is_done(&engine, submit(&engine).await).await;
        }
    }
}

#[tokio::test]
async fn a_job_whose_code_could_not_be_read_is_handed_out_again() {
    let store = Memory::new();
    let engine = engine_on(&store);
    is_done(&engine, submit(&engine).await).await;
    // The next thing that is read is the task that is handed out.
    store.faults().read_fails("the disk says no");
    let id = submit(&engine).await;
    is_done(&engine, id).await;
    assert_eq!(engine.job(OWNER, id).await.expect("it is kept").brief.attempts, 2);
}
