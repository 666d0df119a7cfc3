//! What a lane promises when something under it breaks.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use engine::{
    Engine,
    vault::Vault,
    world::{Alone, Nowhere, SystemClock, SystemEntropy, World},
};
use rules::{
    access::KeyKind,
    call::{Bytes, Request},
    hook::Change,
    record::{LaneId, Position, Record},
    refusal::Refusal,
};
use store::{Batch, Commit, Extent, Fault, LaneEnd, Order, Pending, Row, Store, memory::Memory};
use tokio::sync::oneshot;
use worker::scripted::Scripted;

/// A store whose next commit panics, in the lane that asked for it, or whose next row arrives late.
#[derive(Default)]
struct Broken {
    memory: Memory,
    is_armed: AtomicBool,
    late: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Store for Broken {
    fn commit(&self, batch: Batch) -> Pending<Commit> {
        assert!(!self.is_armed.swap(false, Ordering::SeqCst), "an invariant is broken, on purpose");
        self.memory.commit(batch)
    }

    fn erase(&self, lane: LaneId, before: Position, records_max: usize) -> Pending<Commit> {
        self.memory.erase(lane, before, records_max)
    }

    fn read(&self, lane: LaneId, after: Position, extent: Extent) -> Pending<Result<Vec<Record>, Fault>> {
        self.memory.read(lane, after, extent)
    }

    fn last(&self, lane: LaneId, at_most: Position) -> Pending<Result<Option<Record>, Fault>> {
        self.memory.last(lane, at_most)
    }

    fn lanes(&self, from: LaneId, lanes_max: usize) -> Pending<Result<Vec<LaneEnd>, Fault>> {
        self.memory.lanes(from, lanes_max)
    }

    fn rows(&self, from: Vec<u8>, to: Vec<u8>, order: Order, rows_max: usize) -> Pending<Result<Vec<Row>, Fault>> {
        self.memory.rows(from, to, order, rows_max)
    }

    fn row(&self, key: Vec<u8>) -> Pending<Result<Option<Vec<u8>>, Fault>> {
        let found = self.memory.row(key);
        let Some(late) = self.late.lock().expect("no panic under this lock").take() else { return found };
        Box::pin(async move {
            let found = found.await;
            late.await.expect("it is let go");
            found
        })
    }
}

fn engine_on(store: Arc<Broken>) -> Engine {
    Engine::new(World {
        store,
        worker: Arc::new(Scripted::counting()),
        scripts: Arc::new(Scripted::counting()),
        runtimes: Arc::new(worker::runtimes::Runtimes::none()),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        vault: Arc::new(Vault::new(&[0; 32])),
        outside: Arc::new(Nowhere),
        places: Arc::new(Alone),
    })
}

fn request(engine: &Engine) -> Request {
    Request {
        id: engine.world().request_id(engine.now()),
        seq: 0,
        method: "POST".into(),
        path: "/".into(),
        query: String::new(),
        headers: Vec::new(),
        body: Bytes::default(),
        created_at_ms: 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_invariant_stops_the_lane_and_not_the_server() {
    let store = Arc::new(Broken::default());
    let engine = engine_on(store.clone());
    let broken = engine.create_hook(LaneId(1), None, "count".into()).await.expect("a hook");
    let neighbour = engine.create_hook(LaneId(1), None, "count".into()).await.expect("a hook");
    engine.view(broken).await.expect("it is awake");

    store.is_armed.store(true, Ordering::SeqCst);
    let refusal = engine.write(broken, request(&engine), None, None).await.err();
    assert_eq!(refusal, Some(Refusal::UNCERTAIN), "nothing was acknowledged");

    let both = async {
        for hook in [broken, neighbour] {
            engine.write(hook, request(&engine), None, None).await.expect("it is loaded anew");
        }
    };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("nobody waits for a lane that is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_revoked_while_somebody_looks_it_up_opens_nothing_for_those_who_come_after() {
    let store = Arc::new(Broken::default());
    let engine = engine_on(store.clone());
    let hook = engine.create_hook(LaneId(1), None, "count".into()).await.expect("a hook");
    let key = engine.make_key(hook, KeyKind::Write).await.expect("a key");
    // As after a start of the server: nobody has used the key yet.
    let engine = engine_on(store.clone());
    engine.view(hook).await.expect("it is awake");

    let (let_go, late) = oneshot::channel();
    *store.late.lock().expect("no panic under this lock") = Some(late);
    let looking = tokio::spawn({
        let (engine, key) = (engine.clone(), key.clone());
        async move { engine.door(&key).await }
    });
    while store.late.lock().expect("no panic under this lock").is_some() {
        tokio::task::yield_now().await;
    }
    engine.change(hook, Change::RevokeKey { key: key.clone() }).await.expect("it is the hook's");
    let_go.send(()).expect("somebody looks");
    looking.await.expect("no panic").expect("a reply");
    assert_eq!(engine.door(&key).await, Ok(None));
}
