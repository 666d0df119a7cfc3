//! What the server keeps everything in, and whether it still may: a directory that it has locked, or a database that one
//! node at a time owns.
//!
//! A node that finds the database owned stands by, and goes on where the owner stopped: at once when that one ends in
//! order, else when its lease has. What decides is never the lease but the epoch that every commit is fenced with.

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use store::{
    Fault, Order, Store,
    postgres::{Leases, NodeId, Postgres, SHARDS, Shard},
    sqlite::{self, Sqlite},
};
use tokio::time::{sleep, timeout};

use crate::serve::StartError;

/// How long a node owns the database without having said so again.
pub const LEASE: Duration = Duration::from_secs(10);
const RENEW_PAUSE: Duration = Duration::from_secs(3);
/// How often a node that stands by looks whether it is needed.
const STAND_BY_PAUSE: Duration = Duration::from_millis(250);

pub struct Keeping {
    pub store: Arc<dyn Store>,
    pub kind: &'static str,
    pub tenure: Tenure,
    leases: Option<Leases>,
    /// Locked, for as long as this is here.
    _directory: Option<File>,
}

/// Whether this process may answer from memory.
#[derive(Clone, Default)]
pub struct Tenure(Option<Arc<Lease>>);

struct Lease {
    begun: Instant,
    /// Milliseconds since then.
    until: AtomicU64,
}

impl Tenure {
    pub fn holds(&self) -> bool {
        self.0.as_ref().is_none_or(|lease| lease.now() < lease.until.load(Ordering::Relaxed))
    }
}

impl Lease {
    fn now(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }
}

impl Keeping {
    /// Opens the store of a directory, or a database: then this takes until the database is this node's.
    pub async fn open(data: &Path, database: Option<&str>) -> Result<Keeping, StartError> {
        let Some(database) = database else {
            let store = Arc::new(Sqlite::open(data)?);
            return Ok(Keeping { store, kind: "sqlite", tenure: Tenure::default(), leases: None, _directory: None });
        };
        std::fs::create_dir_all(data).map_err(|error| StartError::Folder { path: data.to_owned(), error })?;
        let directory = sqlite::claim(data)?;
        let store = Postgres::open(database).await?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).expect("the kernel gives random bytes");
        let leases = store.leases(NodeId(u128::from_be_bytes(id)));
        let until = take_over(&leases).await;
        let begun = Instant::now();
        let lease = Lease { begun, until: AtomicU64::new(until.saturating_duration_since(begun).as_millis() as u64) };
        Ok(Keeping {
            store: Arc::new(store),
            kind: "postgres",
            tenure: Tenure(Some(Arc::new(lease))),
            leases: Some(leases),
            _directory: Some(directory),
        })
    }

    /// Whether nothing was ever kept here.
    pub async fn is_empty(&self) -> Result<bool, Fault> {
        Ok(self.store.rows(Vec::new(), vec![0xff; 16], Order::Ascending, 1).await?.is_empty())
    }

    /// Renews the lease for as long as that is polled. Resolves when another node owns the database.
    pub async fn superseded(&self) {
        let (Some(leases), Some(lease)) = (&self.leases, &self.tenure.0) else { return std::future::pending().await };
        loop {
            sleep(RENEW_PAUSE).await;
            let asked = lease.now();
            match timeout(LEASE, leases.renew(LEASE)).await {
                Ok(Ok(held)) if held.len() == usize::from(SHARDS) => {
                    lease.until.store(asked + LEASE.as_millis() as u64, Ordering::Relaxed);
                }
                Ok(Ok(_)) => return lease.until.store(0, Ordering::Relaxed),
                Ok(Err(fault)) => tracing::error!(%fault, "the lease of the database is not renewed"),
                Err(_) => tracing::error!("the database does not answer; the lease is not renewed"),
            }
        }
    }

    /// Lets another node take over at once.
    pub async fn leave(&self) {
        let Some(leases) = &self.leases else { return };
        if !matches!(timeout(LEASE, leases.leave()).await, Ok(Ok(()))) {
            tracing::error!("the database is not given back; another node takes it when the lease has ended");
        }
    }
}

/// Stands by until every shard is this node's; gives until when.
async fn take_over(leases: &Leases) -> Instant {
    let shards: Vec<Shard> = Shard::all().collect();
    let (mut renewed, mut is_told) = (None::<Instant>, false);
    loop {
        let taken = async {
            if renewed.is_none_or(|at| at.elapsed() > RENEW_PAUSE) {
                renewed = Some(Instant::now());
                leases.renew(LEASE).await?;
            }
            // Who has the first has the others to itself: of two that stand by, one goes on.
            let (first, rest) = shards.split_at(1);
            if leases.claim(first).await?.is_empty() {
                return Ok::<_, Fault>(None);
            }
            leases.claim(rest).await?;
            let asked = Instant::now();
            let held = leases.renew(LEASE).await?;
            Ok((held.len() == shards.len()).then_some(asked + LEASE))
        };
        match taken.await {
            Ok(Some(until)) => return until,
            Ok(None) if !is_told => {
                tracing::warn!("another node owns the database; this one stands by");
                is_told = true;
            }
            Ok(None) => {}
            Err(fault) => tracing::error!(%fault, "the database cannot be taken over yet"),
        }
        sleep(STAND_BY_PAUSE).await;
    }
}
