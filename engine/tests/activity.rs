//! When a hook was busy is found in its log by time, whatever the clock did.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use engine::{
    Engine,
    vault::Vault,
    world::{Alone, Clock, Nowhere, SystemClock, SystemEntropy, World},
};
use rules::{
    call::{Bytes, Request},
    record::{At, LaneId},
};
use store::memory::Memory;
use worker::scripted::Scripted;

/// A bucket of two days is an hour.
const HOUR: u64 = 3_600_000;

struct Set(AtomicU64);

impl Clock for Set {
    fn now(&self) -> At {
        At(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, ms: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        SystemClock.sleep(ms)
    }
}

struct Scene {
    clock: Arc<Set>,
    store: Memory,
    engine: Engine,
    hook: LaneId,
}

impl Scene {
    async fn begin() -> Scene {
        let (clock, store) = (Arc::new(Set(AtomicU64::new(1_000 * HOUR))), Memory::new());
        let engine = engine(&clock, &store);
        let hook = engine.create_hook(LaneId(1), None, "count".into()).await.expect("a hook");
        Scene { clock, store, engine, hook }
    }

    /// Another server on the same store.
    fn start_again(&mut self) {
        self.engine = engine(&self.clock, &self.store);
    }

    async fn write_at(&self, at: u64, requests: u64) {
        self.clock.0.store(at, Ordering::SeqCst);
        for _ in 0..requests {
            let request = Request {
                id: self.engine.world().request_id(At(at)),
                seq: 0,
                method: "POST".into(),
                path: "/".into(),
                query: String::new(),
                headers: Vec::new(),
                body: Bytes::default(),
                created_at_ms: at,
            };
            self.engine.write(self.hook, request, None, None).await.expect("it is kept");
        }
    }

    /// The buckets of the two days before `now` in which something happened: hours ago, and how much.
    async fn busy(&self, now: u64) -> Vec<(u64, u64)> {
        self.clock.0.store(now, Ordering::SeqCst);
        let view = self.engine.view(self.hook).await.expect("it is there");
        let activity = self.engine.activity(&view, 48 * HOUR).await.expect("it is told");
        assert!(activity.buckets.is_sorted_by_key(|bucket| bucket.at));
        let busy = activity.buckets.iter().filter(|bucket| bucket.count > 0);
        busy.map(|bucket| ((now - bucket.at.0) / HOUR, bucket.count)).collect()
    }
}

fn engine(clock: &Arc<Set>, store: &Memory) -> Engine {
    Engine::new(World {
        store: Arc::new(store.clone()),
        worker: Arc::new(Scripted::counting()),
        scripts: Arc::new(Scripted::counting()),
        runtimes: Arc::new(worker::runtimes::Runtimes::none()),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        vault: Arc::new(Vault::new(&[0; 32])),
        outside: Arc::new(Nowhere),
        places: Arc::new(Alone),
    })
}

#[tokio::test]
async fn requests_are_counted_in_the_hour_in_which_they_were_kept() {
    let scene = Scene::begin().await;
    let now = 2_000 * HOUR;
    for (hours_ago, requests) in [(100, 3), (48, 2), (30, 300), (29, 1), (7, 50), (1, 4)] {
        scene.write_at(now - hours_ago * HOUR, requests).await;
    }
    scene.write_at(now - 1, 5).await;
    assert_eq!(scene.busy(now).await, [(48, 2), (30, 300), (29, 1), (7, 50), (1, 9)]);
    assert_eq!(scene.busy(now + 24 * HOUR).await, [(31, 50), (25, 9)]);
    assert_eq!(scene.busy(now + 1_000 * HOUR).await, []);
}

#[tokio::test]
async fn a_clock_that_was_set_back_loses_no_request_and_counts_none_twice() {
    let mut scene = Scene::begin().await;
    let now = 2_000 * HOUR;
    scene.write_at(now - 10 * HOUR, 20).await;
    scene.write_at(now - 2 * HOUR, 5).await;
    // While the hook sleeps, nothing holds its time.
    scene.start_again();
    scene.write_at(now - 20 * HOUR, 30).await;
    scene.write_at(now - HOUR, 7).await;
    let busy = scene.busy(now).await;
    assert_eq!(busy.iter().map(|(_, count)| count).sum::<u64>(), 62, "{busy:?}");
}
