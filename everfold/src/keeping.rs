//! What the server keeps everything in, and its share of that: all of a directory that it has locked, or those shards of one
//! database or several that are leased to it.
//!
//! Every node takes as much as is fair among those that are there; one of them, the head, also has what is not apart. What
//! a node gives back another takes at once, and what a dead one had when its lease has ended. What decides is never the
//! lease but the epoch that every commit is fenced with. Of several databases each is looked at by itself: what one of them
//! holds goes on while another is away.

use std::{
    collections::HashSet,
    fs::File,
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use engine::Engine;
use rules::record::LaneId;
use store::{
    Fault, Order, Store,
    bucket::{self, Bucket, Bucketed},
    postgres::{Databases, Leases, Node, NodeId, Pulse, Shard},
    sqlite::{self, Sqlite},
};
use tokio::time::{sleep, timeout};

use crate::{places::Places, serve::StartError};

/// How long a node owns its shards without having said so again.
pub const LEASE: Duration = Duration::from_secs(10);
const RENEW_PAUSE: Duration = Duration::from_secs(3);
/// How often it is looked who owns what.
pub const LOOK_PAUSE: Duration = Duration::from_millis(250);
const SUCCESSOR_PAUSE: Duration = Duration::from_millis(20);
/// How long lanes may take to end when their shard goes; then what they still want to keep is refused.
const LET_GO_WAIT: Duration = Duration::from_secs(1);
/// Shards that are given back in one go: who asks for what is in them waits until another node has taken them.
const GIVEN_AT_ONCE: usize = 256;

pub struct Keeping {
    pub store: Arc<dyn Store>,
    pub kind: &'static str,
    pub places: Arc<Places>,
    /// Where everything is kept in a database, or in several.
    pub databases: Option<Arc<Databases>>,
    /// In each of them.
    leases: Vec<Leases>,
    home: [u8; 16],
    has_bucket: bool,
    /// Locked, for as long as this is here.
    _directory: Option<File>,
}

/// Why a node keeps nothing more.
pub enum Over {
    /// Another node has what this one had.
    Superseded,
    Unservable(StartError),
}

/// Why a look at a database came to nothing.
enum Missed {
    /// The next may see more.
    Fault(Fault),
    Over(Over),
}

impl From<Fault> for Missed {
    fn from(fault: Fault) -> Missed {
        Missed::Fault(fault)
    }
}

impl Keeping {
    /// Opens the store of a directory, or a database, of which nothing is this node's yet, and the bucket that its files
    /// lie in.
    pub async fn open(data: &Path, database: Option<&str>, bucket: Option<&str>) -> Result<Keeping, StartError> {
        let mut keeping = Keeping::of_rows(data, database).await?;
        if let Some(address) = bucket {
            let variables = std::env::vars_os();
            let variables =
                variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
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
            return Ok(Keeping {
                store: Arc::new(Sqlite::open(data)?),
                kind: "sqlite",
                places: Arc::new(Places::alone()),
                databases: None,
                leases: Vec::new(),
                home: [0; 16],
                has_bucket: false,
                _directory: None,
            });
        };
        let folder = |error| StartError::Folder { path: data.to_owned(), error };
        std::fs::create_dir_all(data).map_err(folder)?;
        let directory = sqlite::claim(data)?;
        let home = home(data).map_err(folder)?;
        let databases = Arc::new(Databases::open(address).await?);
        Ok(Keeping {
            store: databases.clone(),
            kind: "postgres",
            places: Arc::new(Places::of_many(databases.parts().len())),
            databases: Some(databases),
            leases: Vec::new(),
            home,
            has_bucket: false,
            _directory: Some(directory),
        })
    }

    /// Makes this process a node of its databases, which others reach at `address`.
    pub async fn join(&mut self, databases: &Databases, address: String) -> Result<NodeId, Fault> {
        let id = NodeId(u128::from_be_bytes(drawn()));
        let version = env!("CARGO_PKG_VERSION").into();
        self.leases = databases.leases(Node { id, address, home: self.home, version });
        for leases in &self.leases {
            leases.renew(LEASE).await?;
            leases.succeed().await?;
        }
        Ok(id)
    }

    /// Whether nothing was ever kept here.
    pub async fn is_empty(&self) -> Result<bool, Fault> {
        Ok(self.store.rows(Vec::new(), vec![0xff; 16], Order::Ascending, 1).await?.is_empty())
    }

    /// Takes this node's share of what is to be had, and gives back what is more, for as long as that is polled. What the
    /// head does first is done before anybody asks it for anything.
    pub async fn keep(&self, engine: &Engine, mut begin: impl AsyncFnMut()) -> Over {
        // The head's shards are in the first.
        let (head, others) = match &*self.leases {
            [head, others @ ..] => (head, others),
            [] => return std::future::pending().await,
        };
        let share = |database, leases| Share {
            keeping: self,
            database,
            leases,
            engine,
            seen: Pulse::default(),
            renewed: None,
            has_begun: false,
        };
        let others = others.iter().zip(1..).map(|(leases, database)| share(database, leases).keep(async || {}));
        let others = async {
            futures_util::future::join_all(others).await;
            // None but the head's ends.
            std::future::pending().await
        };
        tokio::select! {
            over = share(0, head).keep(&mut begin) => over,
            over = others => over,
        }
    }

    /// Lets other nodes take over at once, when what is under way is done.
    pub async fn leave(&self, engine: &Engine) {
        if self.leases.is_empty() {
            return;
        }
        let _ = timeout(LET_GO_WAIT, engine.let_go(|_| true)).await;
        let left = self.leases.iter().map(|leases| timeout(LEASE, leases.leave()));
        for left in futures_util::future::join_all(left).await {
            if !matches!(left, Ok(Ok(()))) {
                tracing::error!("a database is not given back; other nodes take it when the lease has ended");
            }
        }
    }

    /// Follows who takes over, until all that there is has an owner that is known here.
    pub async fn succeeded(&self) {
        for leases in &self.leases {
            while !self.is_succeeded(leases).await {
                sleep(SUCCESSOR_PAUSE).await;
            }
        }
    }

    async fn is_succeeded(&self, leases: &Leases) -> bool {
        let Ok(owners) = leases.owners().await else { return false };
        self.places.know(leases.shards(), &owners, leases.node());
        owners.iter().map(|owned| owned.shards.len()).sum::<usize>() == leases.shards().count()
    }
}

/// A node's share of what a database has.
struct Share<'a> {
    keeping: &'a Keeping,
    /// Its number.
    database: usize,
    leases: &'a Leases,
    engine: &'a Engine,
    /// How things were at the last look.
    seen: Pulse,
    renewed: Option<Instant>,
    /// What the head does first is done.
    has_begun: bool,
}

impl Share<'_> {
    async fn keep(mut self, mut begin: impl AsyncFnMut()) -> Over {
        let Share { keeping, database, .. } = self;
        let mut complained = None::<Instant>;
        loop {
            let looked = self.look(&mut begin).await;
            keeping.places.looked(database, looked.is_ok());
            match looked {
                Ok(()) => {}
                Err(Missed::Over(over)) => return over,
                Err(Missed::Fault(fault)) if complained.is_none_or(|at| at.elapsed() > LEASE) => {
                    tracing::error!(%fault, database, "it does not say who owns what; the lease is not renewed");
                    complained = Some(Instant::now());
                }
                Err(Missed::Fault(_)) => {}
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    async fn look(&mut self, begin: &mut impl AsyncFnMut()) -> Result<(), Missed> {
        let places = &self.keeping.places;
        if self.renewed.is_none_or(|at| at.elapsed() > RENEW_PAUSE) {
            let asked = places.now();
            let held = timeout(LEASE, self.leases.renew(LEASE)).await;
            let held = held.unwrap_or_else(|_| Err(Fault("the database does not answer".into())))?;
            let held: HashSet<Shard> = held.into_iter().map(|(shard, _)| shard).collect();
            self.renewed = Some(Instant::now());
            let lost: Vec<Shard> = self.held().filter(|shard| !held.contains(shard)).collect();
            if lost.iter().any(|shard| shard.is_of_head()) {
                places.lose(&Shard::all().collect::<Vec<_>>());
                return Err(Missed::Over(Over::Superseded));
            }
            self.lose(&lost).await;
            places.renewed(self.database, asked + LEASE.as_millis() as u64);
            // The answer to a claim may have been lost.
            let unknown = held.into_iter().filter(|shard| !shard.is_of_head() && !places.has(*shard));
            self.gain(&unknown.collect::<Vec<_>>()).await?;
        }
        let pulse = self.leases.pulse().await?;
        if pulse == self.seen && self.is_fair(&pulse) {
            return Ok(());
        }
        let owners = self.leases.owners().await?;
        places.know(self.leases.shards(), &owners, self.leases.node());
        let taken: HashSet<Shard> = owners.iter().flat_map(|owned| owned.shards.iter().copied()).collect();
        self.head(&taken, begin).await?;
        self.balance(&taken, &pulse).await?;
        self.seen = pulse;
        Ok(())
    }

    /// Becomes the head, if nobody is.
    async fn head(&mut self, taken: &HashSet<Shard>, begin: &mut impl AsyncFnMut()) -> Result<(), Missed> {
        let places = &self.keeping.places;
        let head: Vec<Shard> = self.leases.shards().filter(|shard| shard.is_of_head()).collect();
        if head.is_empty() || places.has(head[0]) || taken.contains(&head[0]) && !self.holds(&head[..1]).await? {
            return Ok(());
        }
        // Who has the first has the others to itself: of two that would be the head, one is.
        self.leases.claim(&head[..1]).await?;
        if !self.holds(&head[..1]).await? {
            return Ok(());
        }
        self.leases.claim(&head).await?;
        // The answer to a claim may have been lost: what is committed before this is known would be fenced.
        let held = self.leases.renew(LEASE).await?;
        if !head.iter().all(|shard| held.iter().any(|(held, _)| held == shard)) {
            return Ok(());
        }
        if !self.has_begun {
            self.servable().await?;
            let mut begun = std::pin::pin!(begin());
            while timeout(RENEW_PAUSE, &mut begun).await.is_err() {
                self.leases.renew(LEASE).await?;
            }
            self.has_begun = true;
        }
        self.gain(&head).await
    }

    /// While something was not this node's, everything may have moved to another store, or files to a bucket.
    async fn servable(&self) -> Result<(), Missed> {
        self.keeping.servable().await.map_err(|error| match error {
            StartError::Unread(fault) => Missed::Fault(fault),
            error => Missed::Over(Over::Unservable(error)),
        })
    }

    /// Whether the database has them as this node's.
    async fn holds(&self, shards: &[Shard]) -> Result<bool, Fault> {
        let owners = self.leases.owners().await?;
        let own = owners.iter().find(|owned| owned.node == self.leases.node());
        Ok(own.is_some_and(|own| shards.iter().all(|shard| own.shards.contains(shard))))
    }

    fn fair(&self, pulse: &Pulse) -> usize {
        self.apart().count().div_ceil(pulse.nodes.len().max(1))
    }

    fn is_fair(&self, pulse: &Pulse) -> bool {
        self.held_apart().count() <= self.fair(pulse)
    }

    /// All of the database but the head's.
    fn apart(&self) -> impl Iterator<Item = Shard> {
        self.leases.shards().filter(|shard| !shard.is_of_head())
    }

    fn held(&self) -> impl Iterator<Item = Shard> {
        self.leases.shards().filter(|shard| self.keeping.places.has(*shard))
    }

    fn held_apart(&self) -> impl Iterator<Item = Shard> {
        self.held().filter(|shard| !shard.is_of_head())
    }

    async fn balance(&self, taken: &HashSet<Shard>, pulse: &Pulse) -> Result<(), Missed> {
        let apart: Vec<Shard> = self.apart().collect();
        let (mine, fair) = (self.held_apart().count(), self.fair(pulse));
        if mine < fair {
            // Each node looks from another place on, so that few want the same.
            let from = self.leases.node().0 as usize % apart.len();
            let (last, first) = apart.split_at(from);
            let free = first.iter().chain(last).filter(|shard| !taken.contains(shard)).copied();
            let free: Vec<Shard> = free.take(fair - mine).collect();
            if !free.is_empty() {
                let claimed = self.leases.claim(&free).await?;
                self.gain(&claimed.into_iter().map(|(shard, _)| shard).collect::<Vec<_>>()).await?;
            }
        } else if mine > fair {
            let given: Vec<Shard> = self.held_apart().take((mine - fair).min(GIVEN_AT_ONCE)).collect();
            self.lose(&given).await;
            self.leases.release(&given).await?;
        }
        Ok(())
    }

    /// The one way in which shards become this node's. What is in memory of them is from before somebody else had them;
    /// until that is gone, they wait.
    async fn gain(&self, shards: &[Shard]) -> Result<(), Missed> {
        if shards.is_empty() {
            return Ok(());
        }
        self.servable().await?;
        if timeout(LET_GO_WAIT, self.engine.let_go(of(shards))).await.is_err() {
            return Err(Fault("lanes that another node had meanwhile have not ended yet".into()).into());
        }
        self.keeping.places.gain(shards);
        let engine = self.engine.clone();
        tokio::spawn(async move {
            let _ = engine.resume_refolds().await;
            engine.erase_deleted().await
        });
        Ok(())
    }

    async fn lose(&self, shards: &[Shard]) {
        if !shards.is_empty() {
            self.keeping.places.lose(shards);
            let _ = timeout(LET_GO_WAIT, self.engine.let_go(of(shards))).await;
        }
    }
}

fn of(shards: &[Shard]) -> impl Fn(LaneId) -> bool {
    let shards: HashSet<Shard> = shards.iter().copied().collect();
    move |lane| shards.contains(&Shard::of(lane))
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
