//! Keeps everything in PostgreSQL, for many machines: any number of nodes share one store.
//!
//! Two tasks commit, each over a connection of its own, and always the same one for a lane. A transaction holds whatever
//! was waiting and takes one round trip. It first locks the shards of its lanes, so that whoever else writes to them,
//! or claims them, comes before it or behind it. Reads go over other connections.
//!
//! The SQL is what CockroachDB and YugabyteDB speak, too: no sequences, advisory locks or notifications.

mod databases;
mod lease;
mod open;
mod plan;
mod reader;
mod shard;
mod writer;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

use deadpool_postgres::Pool;
use rules::record::{LaneId, Position, Record};
use tokio::{sync::oneshot, task::JoinHandle};

pub use databases::Databases;
pub use lease::{Lease, Leases, Owned, Pulse, Replica, Standing};
pub use open::OpenError;
pub use shard::{Epoch, HEAD_SHARDS, Node, NodeId, PARTS_MAX, Part, SHARDS, Shard};

use crate::{Batch, Commit, Extent, Fault, LaneEnd, Order, Pending, Row, Store, queue::Queue};
use writer::{COMMITS_WAITING_MAX, Waiting, Writer};

/// A store in a database, or a part of one. Belongs to the runtime in which it was opened.
pub struct Postgres {
    pool: Pool,
    part: Part,
    commits: Arc<Queue<Waiting>>,
    writer: Option<JoinHandle<()>>,
    held: Arc<RwLock<Held>>,
}

/// Which shards this store writes to.
enum Held {
    /// It is no node of many, and is not fenced.
    All,
    These(HashMap<Shard, Epoch>),
}

impl Held {
    fn is_less_than(&self, shards: usize) -> bool {
        matches!(self, Held::These(held) if held.len() < shards)
    }
}

impl Postgres {
    /// Opens the store at `postgres://user:password@host/database`, making its tables where there are none yet. They
    /// stand in a schema of their own, `everfold`.
    ///
    /// The connection is encrypted, and the server's certificate checked against those this machine trusts, if the
    /// server can do so; `?sslmode=require` insists on it and `?sslmode=disable` does without.
    ///
    /// It is the whole store: of several databases none is opened by itself.
    pub async fn open(address: &str) -> Result<Postgres, OpenError> {
        let mut opened = open::databases(&[address]).await?;
        Ok(Postgres::over(opened.remove(0)))
    }

    fn over((pool, part): (Pool, Part)) -> Postgres {
        let commits = Queue::new(COMMITS_WAITING_MAX);
        let (held, shards) = (Arc::new(RwLock::new(Held::All)), part.shards().count());
        let are_others = {
            let held = held.clone();
            move || held.read().unwrap_or_else(PoisonError::into_inner).is_less_than(shards)
        };
        let writer = Some(tokio::spawn(Writer::new(pool.clone(), commits.clone()).run(are_others)));
        Postgres { pool, part, commits, writer, held }
    }

    /// Makes this store one of many nodes: from now on it writes only to lanes of shards that are leased to `node`, which
    /// none is yet.
    pub fn leases(&self, node: Node) -> Leases {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Held::These(HashMap::new());
        Leases::new(self.pool.clone(), self.part, node, self.held.clone())
    }

    /// Every node that is known, the oldest first; those that left are not.
    pub async fn nodes(&self) -> Result<Vec<Standing>, Fault> {
        lease::nodes(&self.pool).await
    }

    /// The copies that the database keeps of itself, as far as its user may know.
    pub async fn replicas(&self) -> Vec<Replica> {
        lease::replicas(&self.pool).await
    }

    /// The address by which the database sees this machine; `None` where they are the same one.
    pub async fn seen_from(&self) -> Option<IpAddr> {
        let found = reader::ask(&self.pool, "SELECT host(inet_client_addr())", &[]).await.ok()?;
        found.first()?.get::<_, Option<&str>>(0)?.parse().ok()
    }

    /// Notes that what is secret here is sealed with the key of this mark, unless another was noted before; answers whether
    /// it is this one. `None` asks whether any was.
    pub async fn seal(&self, mark: Option<&[u8; 32]>) -> Result<bool, Fault> {
        const SEAL: &str =
            "UPDATE everfold.format SET seal = coalesce(seal, $1) RETURNING seal IS NOT DISTINCT FROM $1";
        const SEALED: &str = "SELECT seal IS NOT NULL FROM everfold.format";
        let found = match mark {
            Some(mark) => reader::ask(&self.pool, SEAL, &[&mark.as_slice()]).await,
            None => reader::ask(&self.pool, SEALED, &[]).await,
        };
        let found = found.map_err(|failed| Fault(format!("seal: {failed}")))?;
        Ok(found.first().is_some_and(|row| row.get(0)))
    }

    /// Commits what is waiting. Dropping does the same, without waiting for it.
    pub async fn close(mut self) {
        let writer = self.writer.take();
        drop(self);
        if let Some(writer) = writer {
            // A task that panicked has said so already.
            let _ = writer.await;
        }
    }

    /// The epoch that a commit to this shard is fenced with; `Err` when another node may own it.
    fn epoch(&self, shard: Shard) -> Result<Option<Epoch>, Commit> {
        match &*self.held.read().unwrap_or_else(PoisonError::into_inner) {
            Held::All => Ok(None),
            Held::These(held) => held.get(&shard).copied().map(Some).ok_or(Commit::Fenced),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.commits.close();
    }
}

impl Store for Postgres {
    fn commit(&self, batch: Batch) -> Pending<Commit> {
        batch.assert_well_formed();
        let shard = Shard::of(batch.lane);
        assert_eq!(shard.part(self.part.of), self.part.number, "a lane is in one database alone");
        let epoch = match self.epoch(shard) {
            Ok(epoch) => epoch,
            Err(fenced) => return Box::pin(std::future::ready(fenced)),
        };
        let (answer, answered) = oneshot::channel();
        let entering = self.commits.enter(Waiting { batch, shard, epoch, answer });
        Box::pin(async move {
            entering.entered().await;
            answered.await.unwrap_or_else(|_| Commit::Unknown("the store is closed".into()))
        })
    }

    fn erase(&self, lane: LaneId, before: Position, records_max: usize) -> Pending<Commit> {
        Box::pin(writer::erase(self.pool.clone(), lane, before, records_max))
    }

    fn read(&self, lane: LaneId, after: Position, extent: Extent) -> Pending<Result<Vec<Record>, Fault>> {
        Box::pin(reader::records(self.pool.clone(), lane, after, extent))
    }

    fn last(&self, lane: LaneId, at_most: Position) -> Pending<Result<Option<Record>, Fault>> {
        Box::pin(reader::last(self.pool.clone(), lane, at_most))
    }

    fn lanes(&self, from: LaneId, lanes_max: usize) -> Pending<Result<Vec<LaneEnd>, Fault>> {
        Box::pin(reader::lanes(self.pool.clone(), from, lanes_max))
    }

    fn rows(&self, from: Vec<u8>, to: Vec<u8>, order: Order, rows_max: usize) -> Pending<Result<Vec<Row>, Fault>> {
        Box::pin(reader::rows(self.pool.clone(), from, to, order, rows_max))
    }

    fn row(&self, key: Vec<u8>) -> Pending<Result<Option<Vec<u8>>, Fault>> {
        Box::pin(reader::row(self.pool.clone(), key))
    }
}

/// A position asked for may be the greatest there is; none kept is beyond `i64::MAX`.
fn signed(position: Position) -> i64 {
    i64::try_from(position.to_u64()).unwrap_or(i64::MAX)
}

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
