//! What the server keeps everything in, and whether it still may: a directory that it has locked, or a database that one
//! node at a time owns.
//!
//! A node that finds the database owned stands by, has the owner answer (`front.rs`), and goes on where that one stopped:
//! at once when it ends in order, else when its lease has. What decides is never the lease but the epoch that every commit is fenced with.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use store::{
    Fault, Order, Store,
    bucket::{self, Bucket, Bucketed},
    postgres::{Leases, Node, NodeId, Postgres, SHARDS, Shard},
    sqlite::{self, Sqlite},
};
use tokio::time::{sleep, timeout};

use crate::serve::StartError;

/// How long a node owns the database without having said so again.
pub const LEASE: Duration = Duration::from_secs(10);
const RENEW_PAUSE: Duration = Duration::from_secs(3);
/// How often a node that stands by looks whether it is needed.
pub const STAND_BY_PAUSE: Duration = Duration::from_millis(250);

pub struct Keeping {
    pub store: Arc<dyn Store>,
    pub kind: &'static str,
    pub tenure: Tenure,
    /// The database, where there is one.
    pub database: Option<Arc<Postgres>>,
    leases: Option<Leases>,
    /// This very node.
    pub node: Option<Elsewhere>,
    home: [u8; 16],
    has_bucket: bool,
    /// Locked, for as long as this is here.
    _directory: Option<File>,
}

/// A node, and where it is reached.
pub type Elsewhere = (NodeId, String);

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
    /// Opens the store of a directory, or a database, which is not this node's yet, and the bucket that its files lie in.
    pub async fn open(data: &Path, database: Option<&str>, bucket: Option<&str>) -> Result<Keeping, StartError> {
        let mut keeping = Keeping::of_rows(data, database).await?;
        if let Some(address) = bucket {
            let variables = std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
            let bucket = Bucket::open(address, variables).await?;
            keeping.store = Arc::new(Bucketed::new(keeping.store, bucket));
            keeping.has_bucket = true;
        }
        keeping.servable().await?;
        Ok(keeping)
    }

    /// Refuses what is not all here, or lives on elsewhere.
    pub async fn servable(&self) -> Result<(), StartError> {
        if let Some(mark) = store::migration::mark(&*self.store).await? {
            return Err(mark.into());
        }
        if !self.has_bucket && bucket::is_used(&*self.store).await? {
            return Err(StartError::BucketMissing);
        }
        Ok(())
    }

    async fn of_rows(data: &Path, database: Option<&str>) -> Result<Keeping, StartError> {
        let Some(address) = database else {
            let store = Arc::new(Sqlite::open(data)?);
            let (kind, tenure) = ("sqlite", Tenure::default());
            return Ok(Keeping {
                store,
                kind,
                tenure,
                database: None,
                leases: None,
                node: None,
                home: [0; 16],
                has_bucket: false,
                _directory: None,
            });
        };
        let folder = |error| StartError::Folder { path: data.to_owned(), error };
        std::fs::create_dir_all(data).map_err(folder)?;
        let directory = sqlite::claim(data)?;
        let home = home(data).map_err(folder)?;
        let database = Arc::new(Postgres::open(address).await?);
        let lease = Lease { begun: Instant::now(), until: AtomicU64::new(0) };
        Ok(Keeping {
            store: database.clone(),
            kind: "postgres",
            tenure: Tenure(Some(Arc::new(lease))),
            database: Some(database),
            leases: None,
            node: None,
            home,
            has_bucket: false,
            _directory: Some(directory),
        })
    }

    /// Makes this process a node of its database, which others reach at `address`.
    pub async fn join(&mut self, address: String) -> Result<(), Fault> {
        let Some(database) = &self.database else { return Ok(()) };
        let id = NodeId(u128::from_be_bytes(drawn()));
        self.node = Some((id, address.clone()));
        let leases = database.leases(Node { id, address, home: self.home, version: env!("CARGO_PKG_VERSION").into() });
        leases.renew(LEASE).await?;
        leases.succeed().await?;
        self.leases = Some(leases);
        Ok(())
    }

    /// Whether nothing was ever kept here.
    pub async fn is_empty(&self) -> Result<bool, Fault> {
        Ok(self.store.rows(Vec::new(), vec![0xff; 16], Order::Ascending, 1).await?.is_empty())
    }

    /// Stands by until every shard is this node's, and says meanwhile who has them.
    pub async fn take_over(&self, mut has_it: impl FnMut(Option<Elsewhere>)) {
        let (Some(leases), Some(lease)) = (&self.leases, &self.tenure.0) else { return };
        let shards: Vec<Shard> = Shard::all().collect();
        // Who has the first has the others to itself: of two that stand by, one goes on.
        let (first, rest) = shards.split_at(1);
        let mut renewed = Instant::now();
        let mut complained = None::<Instant>;
        loop {
            let looked = async {
                if renewed.elapsed() > RENEW_PAUSE {
                    leases.renew(LEASE).await?;
                    renewed = Instant::now();
                }
                if leases.claim(first).await?.is_empty() {
                    let owner = leases.owner(first[0]).await?;
                    // The answer to a claim may have been lost.
                    if owner.as_ref().is_none_or(|(id, _)| *id != leases.node()) {
                        return Ok(Err(owner));
                    }
                }
                leases.claim(rest).await?;
                let asked = lease.now();
                let held = leases.renew(LEASE).await?;
                Ok::<_, Fault>(if held.len() == shards.len() { Ok(asked) } else { Err(None) })
            };
            match looked.await {
                Ok(Ok(asked)) => return lease.until.store(asked + LEASE.as_millis() as u64, Ordering::Relaxed),
                Ok(Err(owner)) => has_it(owner),
                Err(fault) if complained.is_none_or(|at| at.elapsed() > LEASE) => {
                    tracing::error!(%fault, "the database does not answer");
                    complained = Some(Instant::now());
                }
                Err(_) => {}
            }
            sleep(STAND_BY_PAUSE).await;
        }
    }

    /// Who has the database now.
    pub async fn owner(&self) -> Option<Elsewhere> {
        let leases = self.leases.as_ref()?;
        leases.owner(Shard::all().next()?).await.ok().flatten()
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

/// Of a directory: drawn once, and the same for every process that has it.
fn home(data: &Path) -> io::Result<[u8; 16]> {
    let path = data.join("everfold.node");
    if let Ok(found) = std::fs::read(&path)
        && let Ok(home) = found.try_into()
    {
        return Ok(home);
    }
    let home = drawn();
    std::fs::write(path, home)?;
    Ok(home)
}

fn drawn() -> [u8; 16] {
    let mut drawn = [0; 16];
    getrandom::fill(&mut drawn).expect("the kernel gives random bytes");
    drawn
}
