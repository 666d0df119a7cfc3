//! Says which node owns which shard, and until when, by the database's clock.
//!
//! A node's lease is one row and holds for all of its shards, so renewing it is one small statement however many they
//! are. A claim raises the epoch of its shards: what their owner before still commits is fenced, whatever it believes of
//! the time. So the lease decides only how soon a shard of a dead node goes on, never what is kept.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use deadpool_postgres::Pool;
use tokio::sync::Mutex;

use super::{
    Held,
    reader::{self, Failed, Values},
    shard::{Epoch, Node, NodeId, Part, Shard},
};
use crate::Fault;

const RENEW: &str = "
    WITH lease AS (
        INSERT INTO everfold.node (id, until, address, home, version, since)
        VALUES ($1, now() + $2::int8 * interval '1 millisecond', $3, $4, $5, now())
        ON CONFLICT (id) DO UPDATE SET until = excluded.until
    )
    SELECT id, epoch FROM everfold.shard WHERE owner = $1";
/// Only from the epoch that was seen: of two who claim at the same time, the second finds another one.
const CLAIM: &str = "
    UPDATE everfold.shard AS s SET owner = $1, epoch = s.epoch + 1
    FROM (SELECT id, epoch FROM everfold.shard WHERE id = ANY ($2)) AS seen
    WHERE s.id = seen.id AND s.epoch = seen.epoch
        AND (s.owner IS NULL OR NOT EXISTS (SELECT 1 FROM everfold.node AS n WHERE n.id = s.owner AND n.until > now()))
        AND EXISTS (SELECT 1 FROM everfold.node AS n WHERE n.id = $1 AND n.until > now())
    RETURNING s.id, s.epoch";
const RELEASE: &str = "UPDATE everfold.shard SET owner = NULL WHERE owner = $1 AND id = ANY ($2)";
const LEAVE: &str = "
    WITH released AS (UPDATE everfold.shard SET owner = NULL WHERE owner = $1)
    DELETE FROM everfold.node WHERE id = $1 OR until < now() - interval '1 day'";
const SUCCEED: &str = "UPDATE everfold.node SET until = now() WHERE home = $2 AND id <> $1 AND until > now()";
const PULSE: &str = "
    SELECT coalesce(sum(epoch), 0)::int8, count(owner),
        (SELECT array_agg(id ORDER BY id) FROM everfold.node WHERE until > now() AND address <> '')
    FROM everfold.shard";
const OWNERS: &str = "
    SELECT n.id, n.address, array_agg(s.id) FROM everfold.shard AS s JOIN everfold.node AS n ON n.id = s.owner
    WHERE n.until > now() GROUP BY n.id, n.address";
const NODES: &str = "
    SELECT n.id, n.address, n.version, (extract(epoch FROM n.since) * 1000)::int8,
        (extract(epoch FROM n.until - now()) * 1000)::int8, count(s.id), coalesce(max(s.epoch), 0),
        coalesce(bool_or(s.id = 0), false)
    FROM everfold.node AS n LEFT JOIN everfold.shard AS s ON s.owner = n.id
    GROUP BY n.id, n.address, n.version, n.since, n.until
    ORDER BY n.since, n.id";
const REPLICAS: &str = "
    SELECT application_name, state, sync_state IN ('sync', 'quorum'), (extract(epoch FROM replay_lag) * 1000)::int8
    FROM pg_stat_replication ORDER BY application_name";
const LEASES: &str = "
    SELECT s.id, s.owner, s.epoch, (extract(epoch FROM n.until - now()) * 1000)::int8
    FROM everfold.shard AS s LEFT JOIN everfold.node AS n ON n.id = s.owner
    ORDER BY s.id";

/// The leases of one node in one database, and what it knows of the others'. They speak of that database's shards alone:
/// it has a row for no other.
pub struct Leases {
    pool: Pool,
    part: Part,
    node: Node,
    held: Arc<RwLock<Held>>,
    /// One verb at a time, so that what is held is what the last one said.
    turn: Mutex<()>,
}

/// A node, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub id: NodeId,
    pub address: String,
    pub version: String,
    /// When it began, in milliseconds since 1970, by the database's clock.
    pub since_ms: u64,
    /// How long its lease holds without being renewed; zero when it has ended.
    pub left: Duration,
    pub shards: usize,
    /// It has what is not apart.
    pub is_head: bool,
    /// The highest of its shards.
    pub epoch: Epoch,
}

/// A copy of the database, as it tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    pub name: String,
    pub state: String,
    /// It has whatever was acknowledged.
    pub is_synchronous: bool,
    pub lag: Duration,
}

/// Of two that are the same, no shard changed its owner in between, and no lease ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    claimed: i64,
    owned: i64,
    /// Whose leases hold, of those that have an address.
    pub nodes: Vec<NodeId>,
}

/// A node, where it is reached, and what it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    pub node: NodeId,
    pub address: String,
    pub shards: Vec<Shard>,
}

/// Who owns a shard, as the database has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub shard: Shard,
    pub owner: Option<NodeId>,
    pub epoch: Epoch,
    /// How long it holds without being renewed; zero when anybody may claim the shard.
    pub left: Duration,
}

impl Leases {
    pub(super) fn new(pool: Pool, part: Part, node: Node, held: Arc<RwLock<Held>>) -> Leases {
        Leases { pool, part, node, held, turn: Mutex::new(()) }
    }

    pub fn node(&self) -> NodeId {
        self.node.id
    }

    /// Those of its database, which alone can be claimed here.
    pub fn shards(&self) -> impl Iterator<Item = Shard> {
        self.part.shards()
    }

    /// Makes the lease of all shards of this node end `lease` from now on; the first time, makes it a node. Answers which
    /// shards it holds: one that is missing was claimed by another node.
    ///
    /// A lease that has ended can be renewed as long as nobody has claimed the shards. But a node that has not renewed
    /// for as long as its lease must not answer from memory: another may have taken over.
    pub async fn renew(&self, lease: Duration) -> Result<Vec<(Shard, Epoch)>, Fault> {
        let _turn = self.turn.lock().await;
        let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let Node { address, home, version, .. } = &self.node;
        let held = self.leased(RENEW, &[&self.id().as_slice(), &lease_ms, address, &home.as_slice(), version]).await?;
        *self.held() = Held::These(held.iter().copied().collect());
        Ok(held)
    }

    /// Takes those of the shards that nobody owns, or whose owner's lease has ended; answers which. Waits for what their
    /// owners have under way. A node whose own lease has ended gets none.
    pub async fn claim(&self, shards: &[Shard]) -> Result<Vec<(Shard, Epoch)>, Fault> {
        let _turn = self.turn.lock().await;
        let claimed = self.leased(CLAIM, &[&self.id().as_slice(), &signed(shards)]).await?;
        if let Held::These(held) = &mut *self.held() {
            held.extend(claimed.iter().copied());
        }
        Ok(claimed)
    }

    /// Gives shards back, for anybody to claim at once. Commits to them are fenced from here on; those that wait are not.
    pub async fn release(&self, shards: &[Shard]) -> Result<(), Fault> {
        let _turn = self.turn.lock().await;
        if let Held::These(held) = &mut *self.held() {
            held.retain(|shard, _| !shards.contains(shard));
        }
        self.tell(RELEASE, &[&self.id().as_slice(), &signed(shards)]).await
    }

    /// Gives all shards back and ends the lease: this node goes. Forgets nodes that are long gone, too.
    pub async fn leave(&self) -> Result<(), Fault> {
        let _turn = self.turn.lock().await;
        *self.held() = Held::These(HashMap::new());
        self.tell(LEAVE, &[&self.id().as_slice()]).await
    }

    /// Ends the leases of nodes that were started from this node's directory before: whoever has that is their successor.
    /// Should one of them live on, in a copy of the directory, it is fenced like any other whose shards are claimed.
    pub async fn succeed(&self) -> Result<(), Fault> {
        self.tell(SUCCEED, &[&self.id().as_slice(), &self.node.home.as_slice()]).await
    }

    /// Cheap to ask for often.
    pub async fn pulse(&self) -> Result<Pulse, Fault> {
        let found = reader::ask(&self.pool, PULSE, &[]).await.map_err(fault)?;
        let pulse = found.first().map(|row| {
            let nodes: Option<Vec<&[u8]>> = row.get(2);
            let nodes = nodes.unwrap_or_default().into_iter().filter_map(node_id).collect();
            Pulse { claimed: row.get(0), owned: row.get(1), nodes }
        });
        Ok(pulse.unwrap_or_default())
    }

    /// Who owns which shards; those of leases that have ended are nobody's.
    pub async fn owners(&self) -> Result<Vec<Owned>, Fault> {
        let found = reader::ask(&self.pool, OWNERS, &[]).await.map_err(fault)?;
        let owners = found.iter().map(|row| {
            let shards: Vec<i64> = row.get(2);
            Some(Owned {
                node: node_id(row.get(0))?,
                address: row.get::<_, Option<String>>(1)?,
                shards: shards.into_iter().filter_map(Shard::from_signed).collect(),
            })
        });
        Ok(owners.flatten().collect())
    }

    /// Of every shard of its database, in order.
    pub async fn all(&self) -> Result<Vec<Lease>, Fault> {
        let found = reader::ask(&self.pool, LEASES, &[]).await.map_err(fault)?;
        let leases = found.iter().map(|row| {
            let owner: Option<&[u8]> = row.get(1);
            let left_ms: Option<i64> = row.get(3);
            Some(Lease {
                shard: Shard::from_signed(row.get(0))?,
                owner: owner.and_then(node_id),
                epoch: Epoch(row.get(2)),
                left: Duration::from_millis(left_ms.unwrap_or(0).try_into().unwrap_or(0)),
            })
        });
        Ok(leases.flatten().collect())
    }

    async fn leased(&self, statement: &'static str, values: Values<'_>) -> Result<Vec<(Shard, Epoch)>, Fault> {
        let found = reader::ask(&self.pool, statement, values).await.map_err(fault)?;
        Ok(found.iter().filter_map(|row| Some((Shard::from_signed(row.get(0))?, Epoch(row.get(1))))).collect())
    }

    async fn tell(&self, statement: &'static str, values: Values<'_>) -> Result<(), Fault> {
        reader::ask(&self.pool, statement, values).await.map(drop).map_err(fault)
    }

    fn id(&self) -> [u8; 16] {
        self.node.id.0.to_be_bytes()
    }

    fn held(&self) -> std::sync::RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn nodes(pool: &Pool) -> Result<Vec<Standing>, Fault> {
    let found = reader::ask(pool, NODES, &[]).await.map_err(fault)?;
    let positive = |number: Option<i64>| number.unwrap_or(0).try_into().unwrap_or(0);
    let nodes = found.iter().map(|row| {
        Some(Standing {
            id: node_id(row.get(0))?,
            address: row.get::<_, Option<String>>(1).unwrap_or_default(),
            version: row.get::<_, Option<String>>(2).unwrap_or_default(),
            since_ms: positive(row.get(3)),
            left: Duration::from_millis(positive(row.get(4))),
            shards: usize::try_from(row.get::<_, i64>(5)).unwrap_or(0),
            epoch: Epoch(row.get(6)),
            is_head: row.get(7),
        })
    });
    Ok(nodes.flatten().collect())
}

/// What a database that keeps no copies, or does not say so, has is none.
pub(super) async fn replicas(pool: &Pool) -> Vec<Replica> {
    let found = reader::ask(pool, REPLICAS, &[]).await.unwrap_or_default();
    let replicas = found.iter().map(|row| Replica {
        name: row.get::<_, Option<String>>(0).unwrap_or_default(),
        state: row.get::<_, Option<String>>(1).unwrap_or_default(),
        is_synchronous: row.get::<_, Option<bool>>(2).unwrap_or_default(),
        lag: Duration::from_millis(row.get::<_, Option<i64>>(3).unwrap_or(0).try_into().unwrap_or(0)),
    });
    replicas.collect()
}

fn signed(shards: &[Shard]) -> Vec<i64> {
    shards.iter().map(|shard| shard.signed()).collect()
}

fn node_id(id: &[u8]) -> Option<NodeId> {
    id.try_into().ok().map(|id| NodeId(u128::from_be_bytes(id)))
}

fn fault(failed: Failed) -> Fault {
    Fault(format!("leases: {failed}"))
}
