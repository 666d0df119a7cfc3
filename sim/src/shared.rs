//! A real PostgreSQL under the simulated world: every life is a node of its own, which claims what the one before had.
//!
//! The database runs outside of the world, whose clock stands still while anybody waits for an answer of it.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rules::record::{LaneId, Position, Record};
use store::{
    Batch, Commit, Extent, Fault, LaneEnd, Order, Pending, Row, Store,
    memory::Verdict,
    postgres::{self, Leases, NodeId, Postgres, Shard},
};
use tokio::runtime::Runtime;

use crate::{Ground, locked};

/// Longer than a life lasts: nobody renews.
const LEASE: Duration = Duration::from_secs(600);
/// Whoever lives is the successor of whoever did.
const HOME: [u8; 16] = *b"the simulation's";

/// A database, for many seeds.
pub struct Database {
    address: String,
    runtime: Runtime,
    nodes: AtomicU64,
}

impl Database {
    pub fn at(address: &str) -> Arc<Database> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        Arc::new(Database { address: address.into(), runtime, nodes: AtomicU64::new(1) })
    }
}

/// One process's hold on it.
#[derive(Clone)]
pub(crate) struct Node {
    database: Arc<Database>,
    store: Arc<Postgres>,
    coming: Arc<Mutex<Coming>>,
    _leases: Arc<Leases>,
}

/// What is to become of coming commits and reads.
#[derive(Default)]
struct Coming {
    commits: VecDeque<Verdict>,
    blind: usize,
}

impl Node {
    /// All that was kept is its own, and whatever others still commit is fenced.
    pub(crate) fn first(database: &Arc<Database>) -> Node {
        let joined = async {
            let store = Postgres::open(&database.address).await.expect("the database is there");
            let id = NodeId(database.nodes.fetch_add(1, Ordering::Relaxed).into());
            let leases = store.leases(postgres::Node { id, address: String::new(), home: HOME, version: "sim".into() });
            leases.renew(LEASE).await.expect("joins");
            leases.succeed().await.expect("succeeds");
            let shards: Vec<Shard> = Shard::all().collect();
            assert_eq!(leases.claim(&shards).await.expect("claims").len(), shards.len());
            (Arc::new(store), Arc::new(leases))
        };
        // On a thread of its own: whoever asks may be on one that must not wait.
        let joined = std::thread::scope(|scope| scope.spawn(|| database.runtime.block_on(joined)).join());
        let (store, leases) = joined.expect("nobody panics there");
        Node { database: database.clone(), store, coming: Arc::default(), _leases: leases }
    }

    /// Asks the database; the world's clock waits, too, because a thread of its runtime does.
    fn outside<T: Send + 'static>(&self, asked: impl Future<Output = T> + Send + 'static) -> Pending<T> {
        let database = self.database.clone();
        let answer = tokio::task::spawn_blocking(move || database.runtime.block_on(asked));
        Box::pin(async move { answer.await.expect("the store does not panic") })
    }

    fn seen<T: Send + 'static>(&self, asked: Pending<Result<T, Fault>>) -> Pending<Result<T, Fault>> {
        let mut coming = locked(&self.coming);
        if coming.blind > 0 {
            coming.blind -= 1;
            return Box::pin(std::future::ready(Err(Fault("by the dice".into()))));
        }
        self.outside(asked)
    }
}

impl Ground for Node {
    fn disturb(&self, verdict: Verdict) {
        locked(&self.coming).commits.push_back(verdict);
    }

    fn blind(&self) {
        locked(&self.coming).blind += 1;
    }

    fn crash(&self, _: usize) -> Node {
        Node::first(&self.database)
    }
}

impl Store for Node {
    fn commit(&self, batch: Batch) -> Pending<Commit> {
        let verdict = locked(&self.coming).commits.pop_front().unwrap_or(Verdict::Honest);
        let (delay, is_told) = match verdict {
            Verdict::Conflict => return Box::pin(std::future::ready(Commit::Conflict)),
            Verdict::Full => return Box::pin(std::future::ready(Commit::Full)),
            Verdict::UnknownAndLost => {
                return Box::pin(std::future::ready(Commit::Unknown("scripted, and lost".into())));
            }
            Verdict::UnknownButKept => (None, false),
            Verdict::Honest => (None, true),
            Verdict::Delayed(delay) => (Some(delay), true),
        };
        // Its place among the others is where it was asked for.
        let answer = self.outside(self.store.commit(batch));
        Box::pin(async move {
            let answer = answer.await;
            if let Some(delay) = delay {
                delay.over().await;
            }
            match answer {
                Commit::Done if !is_told => Commit::Unknown("scripted, and kept".into()),
                answer => answer,
            }
        })
    }

    fn erase(&self, lane: LaneId, before: Position, records_max: usize) -> Pending<Commit> {
        self.outside(self.store.erase(lane, before, records_max))
    }

    fn read(&self, lane: LaneId, after: Position, extent: Extent) -> Pending<Result<Vec<Record>, Fault>> {
        self.seen(self.store.read(lane, after, extent))
    }

    fn last(&self, lane: LaneId, at_most: Position) -> Pending<Result<Option<Record>, Fault>> {
        self.seen(self.store.last(lane, at_most))
    }

    fn lanes(&self, from: LaneId, lanes_max: usize) -> Pending<Result<Vec<LaneEnd>, Fault>> {
        self.seen(self.store.lanes(from, lanes_max))
    }

    fn rows(&self, from: Vec<u8>, to: Vec<u8>, order: Order, rows_max: usize) -> Pending<Result<Vec<Row>, Fault>> {
        self.seen(self.store.rows(from, to, order, rows_max))
    }

    fn row(&self, key: Vec<u8>) -> Pending<Result<Option<Vec<u8>>, Fault>> {
        self.seen(self.store.row(key))
    }
}
