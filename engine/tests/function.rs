//! What the clock's calls of functions promise as time goes by, whatever ends their server.

use std::{
    collections::BTreeMap,
    future::{Future, pending},
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use engine::{
    Engine,
    vault::Vault,
    world::{Alone, Clock, Nowhere, SystemEntropy, World},
};
use rules::{
    account::Account,
    function::{Function, Limits, Network, Plan, execution::Trigger},
    record::{At, LaneId, Position, Record},
};
use store::{Batch, Commit, Extent, Fault, LaneEnd, Order, Pending, Row, Store, memory::Memory};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};
use worker::{
    runtimes::{Places, Runtimes},
    scripted::Scripted,
    server,
};

const HOUR_MS: u64 = 60 * 60 * 1_000;
/// 2026-03-01T00:00 in UTC.
const MARCH: u64 = 1_772_323_200_000;

/// Stands still until a test moves it; who sleeps wakes by it.
struct Still(watch::Sender<u64>);

impl Clock for Still {
    fn now(&self) -> At {
        At(*self.0.borrow())
    }

    fn sleep(&self, ms: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut now = self.0.subscribe();
        let until = *now.borrow() + ms;
        Box::pin(async move {
            let _ = now.wait_for(|now| *now >= until).await;
        })
    }
}

/// A store that takes so many commits and is never heard of again: its server was killed.
struct Mortal {
    memory: Memory,
    left: AtomicI64,
}

impl Store for Mortal {
    fn commit(&self, batch: Batch) -> Pending<Commit> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            left if left > 0 => self.memory.commit(batch),
            _ => Box::pin(pending()),
        }
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
        self.memory.row(key)
    }
}

/// A server's life over a store that outlives it.
struct Life {
    engine: Engine,
    clock: Arc<Still>,
    keeps: JoinHandle<()>,
    _folder: TempDir,
}

fn live(store: impl Store, begins_at: u64) -> Life {
    let clock = Arc::new(Still(watch::channel(begins_at).0));
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    // Of one language, so that nobody looks for others.
    std::fs::create_dir_all(path("runtimes")).expect("a folder");
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes/static");
    std::os::unix::fs::symlink(files, path("runtimes/static")).expect("a link");
    let (runtimes, home, trees) = (path("runtimes"), path("home"), path("trees"));
    let places = Places { runtimes, home, servers: server::Config::default(), trees };
    let engine = Engine::new(World {
        store: Arc::new(store),
        worker: Arc::new(Scripted::default()),
        scripts: Arc::new(Scripted::counting()),
        runtimes: Arc::new(Runtimes::at(places)),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        vault: Arc::new(Vault::new(&[0; 32])),
        outside: Arc::new(Nowhere),
        places: Arc::new(Alone),
    });
    let keeping = engine.clone();
    let keeps = tokio::spawn(async move { keeping.keep_functions().await });
    Life { engine, clock, keeps, _folder: folder }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.keeps.abort();
    }
}

impl Life {
    /// Without code: a call of it is over at once, as one that failed.
    async fn function(&self, cron: &str) -> Function {
        let guest = self.engine.make_guest().await.expect("a guest").account;
        let account: Account = self.engine.account(guest).await.expect("it is read").expect("it is there");
        self.engine.make_function(&account, plan(cron), BTreeMap::new()).await.expect("a function")
    }

    async fn wind(&self, function: &Function, cron: Option<&str>) {
        let change = |plan: &mut Plan| {
            plan.cron = cron.map(str::to_owned);
            Ok(())
        };
        self.engine.change_function(function.owner, function.id, change).await.expect("it is changed");
    }

    fn set(&self, at: u64) {
        self.clock.0.send_replace(at);
    }

    /// The times for which the clock called it, oldest first.
    async fn times(&self, function: &Function) -> Vec<u64> {
        let all = self.engine.executions(function.id, None, usize::MAX).await.expect("a list");
        assert!(all.iter().all(|one| one.trigger == Trigger::Schedule));
        all.iter().rev().filter_map(|one| one.scheduled_at).map(|at| at.0).collect()
    }

    async fn is_called(&self, function: &Function, times: &[u64]) {
        eventually("it is called", async || (self.times(function).await.len() >= times.len()).then_some(())).await;
        settle().await;
        assert_eq!(self.times(function).await, times);
    }
}

fn plan(cron: &str) -> Plan {
    Plan {
        name: "report".into(),
        slug: String::new(),
        runtime: "static".into(),
        entrypoint: None,
        build: None,
        limits: Limits::default(),
        cron: Some(cron.into()),
        network: Network::None,
    }
}

/// Until it is so; what goes on meanwhile goes on by itself.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waits = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waits).await.unwrap_or_else(|_| panic!("never: {what}"))
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn a_function_is_called_once_at_each_time_and_as_its_owner_has_it_then() {
    let life = live(Memory::new(), MARCH);
    let function = life.function("0 * * * *").await;
    settle().await;
    life.set(MARCH + HOUR_MS - 1);
    life.is_called(&function, &[]).await;
    let mut times = vec![];
    for hour in 1..=3 {
        life.set(MARCH + hour * HOUR_MS);
        times.push(MARCH + hour * HOUR_MS);
        life.is_called(&function, &times).await;
    }
    life.wind(&function, Some("30 * * * *")).await;
    life.set(MARCH + 7 * HOUR_MS / 2 - 1);
    life.is_called(&function, &times).await;
    life.set(MARCH + 7 * HOUR_MS / 2);
    times.push(MARCH + 7 * HOUR_MS / 2);
    life.is_called(&function, &times).await;
    life.wind(&function, None).await;
    life.set(MARCH + 48 * HOUR_MS);
    life.is_called(&function, &times).await;
}

#[tokio::test]
async fn wherever_a_server_is_killed_a_time_calls_a_function_once() {
    let mut was_cut_short = 0;
    for commits in 0..6 {
        let memory = Memory::new();
        let life = live(memory.clone(), MARCH);
        let function = life.function("0 * * * *").await;
        drop(life);

        let due = MARCH + HOUR_MS;
        let killed = live(Mortal { memory: memory.clone(), left: AtomicI64::new(commits) }, due - 1);
        settle().await;
        killed.set(due);
        settle().await;
        let executions = killed.engine.executions(function.id, None, 9).await.expect("a list");
        was_cut_short += u32::from(!executions.first().is_some_and(|one| one.is_over()));
        drop(killed);

        let life = live(memory.crash(0), due + 1);
        life.is_called(&function, &[due]).await;
        eventually("it is over", async || {
            let all = life.engine.executions(function.id, None, 9).await.expect("a list");
            all[0].is_over().then_some(())
        })
        .await;
        life.set(due + HOUR_MS);
        life.is_called(&function, &[due, due + HOUR_MS]).await;
    }
    assert!(was_cut_short >= 2, "before it was asked for, and before it was over: {was_cut_short}");
}

#[tokio::test]
async fn a_server_that_was_away_makes_good_what_its_functions_missed_once() {
    let memory = Memory::new();
    let life = live(memory.clone(), MARCH);
    let function = life.function("0 * * * *").await;
    drop(life);
    let back = MARCH + 100 * HOUR_MS + 5;
    let life = live(memory.crash(0), back);
    life.is_called(&function, &[MARCH + HOUR_MS]).await;
    life.set(back - 5 + HOUR_MS);
    life.is_called(&function, &[MARCH + HOUR_MS, back - 5 + HOUR_MS]).await;
}
