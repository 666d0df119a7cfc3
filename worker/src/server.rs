//! Runtime servers, each kept apart from all else: started when somebody calls, kept while they do, and told apart by
//! why they ended. What keeps them is a *cell*: a sandbox (`bubble`), or a container for a language that this machine
//! lacks (`oci`).
//!
//! A *launch* says what an instance is made of; its key, a hash, says which instances are interchangeable. A *lease* is
//! a seat in an instance for one request, which `call` sends as HTTP. An
//! instance is believed in nothing: not in what lies where its socket should be, not in the ids that it logs under, not
//! in saying that it is ready.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tokio::sync::Semaphore;

use crate::{bounds::SERVERS_MAX, jail::Layer, pool::locked};
use build::{Build, Building};
use launch::{Image, Key, Launch};
use oci::Engine;
use opened::{Opened, Wanted};
use pool::{Closed, Lease, Pool};
use process::{Ended, Pieces};
use sandbox::Sandbox;
use station::Spawner;

pub mod build;
pub mod call;
pub mod launch;
pub mod logs;
pub mod oci;
pub mod pool;
pub mod probe;
pub mod process;

mod bubble;
mod cgroup;
mod filter;
mod instance;
mod internet;
mod opened;
mod sandbox;
mod skeleton;
mod spawn;
mod station;

/// Whoever runs strangers' code yields the processor to whoever keeps requests.
const NICENESS: i32 = 5;

/// What servers need of the machine.
#[derive(Clone, Debug)]
pub struct Config {
    pub bubblewrap: PathBuf,
    /// A folder that every user may enter: what sandboxes are shown is prepared below it.
    pub scratch: PathBuf,
    /// What connects sandboxes with `Network::Internet`, and what filters where they go.
    pub slirp4netns: PathBuf,
    pub nft: PathBuf,
    /// Whether these reach public addresses. An operator may allow some names alone, of which packets know nothing: then
    /// they do not.
    pub reaches_public: bool,
    /// What runs languages that this machine lacks.
    pub containers: oci::Config,
    /// What these reach although it is not public, such as a registry in a private network, or this machine's own
    /// address, which is refused because no firewall stands between a machine and itself.
    pub allowed: Vec<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            bubblewrap: "/usr/bin/bwrap".into(),
            scratch: "/tmp".into(),
            slirp4netns: "/usr/bin/slirp4netns".into(),
            nft: "/usr/sbin/nft".into(),
            reaches_public: true,
            containers: oci::Config::default(),
            allowed: Vec::new(),
        }
    }
}

/// Why there are no runtime servers on this machine.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    #[error("bubblewrap is missing ({0}); on Debian: sudo apt-get install bubblewrap")]
    NoBubblewrap(PathBuf),
    #[error("no sandbox can be made here, so nothing is run: {0}")]
    Unsandboxed(String),
    #[error("sandboxes could not be prepared: {0}")]
    Unprepared(#[from] io::Error),
}

/// Why a call got no seat.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotLeased {
    #[error("every seat is taken, and others wait")]
    QueueFull { retry_after_s: u32 },
    #[error("the server ended before it accepted a request: {}", .0.why)]
    CrashedAtStart(Arc<Ended>),
    #[error("{why}")]
    NotReady {
        why: String,
        /// The last that it printed.
        lines: Vec<String>,
    },
}

/// All runtime servers of this process. They end with it.
pub struct Servers {
    shared: Arc<Shared>,
    layers: Vec<Layer>,
}

struct Shared {
    spawner: Spawner,
    /// Or why there are no containers.
    engine: Result<Arc<Engine>, String>,
    permits: Arc<Semaphore>,
    pools: Mutex<HashMap<Key, Arc<Pool>>>,
}

impl Servers {
    /// Makes one sandbox to see whether this machine can, and what it lacks.
    pub async fn start(config: Config) -> Result<Servers, NotStarted> {
        if !config.bubblewrap.is_file() {
            return Err(NotStarted::NoBubblewrap(config.bubblewrap));
        }
        let (landlock, found) = probe::landlock();
        let containers = config.containers.clone();
        let sandbox = Arc::new(Sandbox::new(config, landlock)?);
        let spawner = Spawner::new(sandbox.clone()).await?;
        let (layers, engine) =
            tokio::join!(probe::layers(&sandbox, &spawner, found), Engine::find(containers, sandbox.clone()));
        let (mut layers, engine) = (layers?, engine.map(Arc::new));
        layers.push(oci::layer(&engine));
        let shared =
            Shared { spawner, engine, permits: Arc::new(Semaphore::new(SERVERS_MAX)), pools: Mutex::default() };
        Ok(Servers { shared: Arc::new(shared), layers })
    }

    /// What this machine allows, layer by layer.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The engine that runs containers, and its version; or why there is none.
    pub fn engine(&self) -> Result<String, &str> {
        self.shared.engine.as_ref().map(|engine| engine.to_string()).map_err(String::as_str)
    }

    /// Whether containers can be made of this image; else what to do.
    pub async fn has_image(&self, image: &Image) -> Result<(), String> {
        self.shared.engine.as_ref().map_err(String::clone)?.has(image).await
    }

    /// A seat in an instance of this launch; waits for one to be free or started, within the launch's limits.
    pub async fn lease(&self, launch: &Launch) -> Result<Lease, NotLeased> {
        loop {
            match self.pool(launch).lease().await {
                Ok(leased) => return leased,
                Err(Closed) => tokio::task::yield_now().await,
            }
        }
    }

    /// Starts as many instances as this launch always has.
    pub fn keep_warm(&self, launch: &Launch) {
        self.pool(launch).keep_warm();
    }

    /// Lets nobody new into instances of this key, and ends each as its last request does.
    pub fn drain(&self, key: &Key) {
        let pool = locked(&self.shared.pools).remove(key);
        if let Some(pool) = pool {
            pool.close();
        }
    }

    /// How many instances of this key accept requests.
    pub fn instances(&self, key: &Key) -> usize {
        locked(&self.shared.pools).get(key).map_or(0, |pool| pool.instances())
    }

    /// Runs a command in a sandbox where its tree can be written.
    pub async fn run(&self, build: Build) -> io::Result<Building> {
        build.start(&self.shared).await
    }

    /// Ends all instances, whatever they do, and waits until they have.
    pub async fn stop(&self) {
        let pools: Vec<Arc<Pool>> = locked(&self.shared.pools).drain().map(|(_, pool)| pool).collect();
        for pool in pools {
            pool.stop().await;
        }
    }

    fn pool(&self, launch: &Launch) -> Arc<Pool> {
        let mut pools = locked(&self.shared.pools);
        pools.entry(launch.key).or_insert_with(|| Pool::new(launch.clone(), &self.shared)).clone()
    }
}

impl Shared {
    /// Starts a process where it is kept apart: in a container of an image where one is named, else in a sandbox.
    async fn open(&self, image: Option<&Image>, wanted: Wanted, pieces: Option<Pieces>) -> io::Result<Opened> {
        match (image, &self.engine) {
            (None, _) => self.spawner.open(wanted, pieces).await,
            (Some(image), Ok(engine)) => engine.open(image, wanted, pieces).await,
            (Some(_), Err(why_not)) => Err(io::Error::other(why_not.clone())),
        }
    }
}

impl Drop for Servers {
    /// Requests that run come to their end; nobody else is let in.
    fn drop(&mut self) {
        let pools: Vec<Arc<Pool>> = locked(&self.shared.pools).drain().map(|(_, pool)| pool).collect();
        pools.iter().for_each(Pool::close);
    }
}
