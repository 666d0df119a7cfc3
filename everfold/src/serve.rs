//! The only wiring: store, workers, engine and HTTP, put together and taken down.

use std::{
    convert::Infallible,
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use engine::{
    Engine, JOB_SERVER_THREADS,
    vault::Vault,
    world::{Alone, Asked, Fetch, FetchFailed, Fetched, SystemClock, SystemEntropy, Told, World},
};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use rules::{egress::Allowed, email::Email, inbox::Notice, record::LaneId, refusal::Refusal};
use store::{
    Pending,
    postgres::{Databases, Shard},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use worker::{
    quickjs::{Options, QuickJs},
    runtimes::{self, Runtimes},
    server::{self, oci},
};

use crate::{
    egress::Egress,
    front::{Front, Proof},
    http::{
        self, Settings, Site,
        visitor::{Allowance, Outside},
    },
    keeping::{Keeping, LOOK_PAUSE, Over},
    machine::Machine,
    mail::{Development, Mail, Outbox, Smtp},
    places::Places,
};

/// Connections at a time; further ones wait to be accepted.
pub const CONNECTIONS_MAX: usize = 20_000;
/// Descriptors that are not connections: the store's, and those of children that are started.
const DESCRIPTORS_KEPT: u64 = 256;
/// The longest that a head may take to arrive.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Room for a head that is refused in our own words, not in hyper's. Every connection may come to hold so much.
const HEAD_BYTES_MAX: usize = 128 << 10;
pub const HEADERS_MAX: usize = 2048;
/// How long connections may finish what they have begun when the server goes down.
pub const DRAIN: Duration = Duration::from_secs(10);
/// How long it then waits for calls of functions whose callers are gone, so that they are kept.
const CALLS_KEPT_WAIT: Duration = Duration::from_secs(2);

/// How long requests that are under way may take before another node goes on with the next.
const HAND_OVER_WAIT: Duration = Duration::from_secs(1);
/// What is answered promptly is answered within this; then those that wait for something are told that they wait in vain.
const LAST_ANSWERS_WAIT: Duration = Duration::from_millis(100);
/// How long a node that ends looks who goes on, to pass on what it is still asked.
const SUCCESSOR_WAIT: Duration = Duration::from_secs(3);

/// What a server is told to do.
pub struct Config {
    pub listen: SocketAddr,
    pub data: PathBuf,
    /// The address of a PostgreSQL that keeps everything; the directory does if there is none.
    pub database: Option<String>,
    /// The address of a bucket that keeps files; they lie with all else if there is none.
    pub bucket: Option<String>,
    /// Where other nodes of that database reach this one: a host with its port.
    pub node_address: Option<String>,
    pub settings: Settings,
    /// Where people reach the server, when that is not where it listens.
    pub public_url: Option<String>,
    pub smtp: Option<String>,
    pub mail_from: Option<String>,
    /// What one network address may begin in an hour.
    pub guests_per_hour: u32,
    /// Where user code may go.
    pub egress: Allowed,
    pub is_behind_proxy: bool,
}

/// A server that listens, and is not yet serving.
pub struct Server {
    listener: TcpListener,
    front: Front,
    keeping: Keeping,
    prepared: Prepared,
    pub address: SocketAddr,
}

/// All that answers but the way to it.
struct Prepared {
    world: World,
    settings: Settings,
    metrics: PrometheusHandle,
    outbox: Arc<Outbox>,
    outside: Outside,
    machine: Machine,
}

/// Why a server did not start, with what to do next.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Store(#[from] store::sqlite::OpenError),
    #[error("{0}")]
    Database(#[from] store::postgres::OpenError),
    #[error("{0}")]
    Unread(#[from] store::Fault),
    #[error("{0}")]
    Elsewhere(#[from] store::migration::Mark),
    #[error("{0}")]
    Bucket(#[from] store::bucket::OpenError),
    #[error(
        "Files of what is kept here lie in a bucket.\nhint: name it with --bucket or EVERFOLD_BUCKET, as where they came from"
    )]
    BucketMissing,
    #[error("The database holds what another key has sealed, and {} is not there.\nhint: copy it from the node that made it, or set EVERFOLD_MASTER_KEY.", .0.display())]
    KeyMissing(PathBuf),
    #[error("The workers did not start: {0}\nhint: 'everfold doctor' shows what this machine offers.")]
    Worker(String),
    #[error("Cannot listen on {0}: {1}\nhint: choose another address with --listen, for example --listen 127.0.0.1:0")]
    Listen(SocketAddr, io::Error),
    #[error("Cannot use {}: {error}", path.display())]
    Folder { path: PathBuf, error: io::Error },
    #[error("Cannot use the key in {}: {error}", path.display())]
    Key { path: PathBuf, error: io::Error },
    #[error("{0:?} is not the address of a website.\nhint: write it as https://everfold.example, without a path")]
    PublicUrl(String),
    #[error(
        "What the database holds as secret is sealed with another key than this node's.\nhint: copy everfold.key from a node of this database, or set EVERFOLD_MASTER_KEY to the same as there."
    )]
    KeyOther,
    #[error("{0}\nhint: write it as smtp://user:password@host:port, with %40 for an @ in the password")]
    Mail(String),
}

impl Server {
    /// Where `everfold dev` says who its developer is.
    pub fn developer(&self) -> Arc<OnceLock<LaneId>> {
        self.prepared.outside.developer.clone()
    }

    pub async fn start(config: Config) -> Result<Server, StartError> {
        let mut keeping = Keeping::open(&config.data, config.database.as_deref(), config.bucket.as_deref()).await?;
        let vault = Arc::new(Vault::new(&key_of(&keeping, &config.data).await?));
        let listener =
            TcpListener::bind(config.listen).await.map_err(|error| StartError::Listen(config.listen, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(config.listen, error))?;
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        // A second server in one process shares the first one's numbers.
        let _ = metrics::set_global_recorder(recorder);
        let (outbox, outside) = surroundings(&config, address)?;
        let outbox = Arc::new(outbox);
        let worker = QuickJs::start(Options::of_this_binary(children()))
            .await
            .map_err(|error| StartError::Worker(error.to_string()))?;
        let worker = Arc::new(worker);
        let scripts = QuickJs::start(Options::of_this_binary(2 * JOB_SERVER_THREADS as usize))
            .await
            .map_err(|error| StartError::Worker(error.to_string()))?;
        let (front, places): (_, Arc<dyn engine::world::Places>) = match keeping.databases.clone() {
            None => (Front::alone(metrics.clone()), Arc::new(Alone)),
            Some(databases) => {
                let node = match config.node_address {
                    Some(named) => named,
                    None => reached_at(address, &databases).await,
                };
                let own = (keeping.join(&databases, node).await?, here(address).to_string());
                let proof = Proof(blake3::Hash::from_bytes(*vault.node_proof()));
                let (store, places) = (keeping.store.clone(), keeping.places.clone());
                let origin = outside.origin.clone();
                let front = Front::of_many(places.clone(), store, proof, own, origin, metrics.clone());
                (front.clone(), Arc::new(Nodes { places, front }))
            }
        };
        let world = World {
            store: keeping.store.clone(),
            worker: worker.clone(),
            scripts: Arc::new(scripts),
            runtimes: Arc::new(runtimes(&config.data, &config.egress)?),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            vault,
            outside: Arc::new(Abroad {
                egress: Egress::new(config.egress),
                outbox: outbox.clone(),
                origin: outside.origin.clone(),
            }),
            places,
        };
        let connections_max = connections_max();
        let machine = Machine {
            started: world.clock.now(),
            data: config.data,
            store: keeping.kind,
            databases: keeping.databases.clone(),
            worker,
            places: Arc::new(Semaphore::new(connections_max)),
            connections_max,
        };
        let prepared = Prepared { world, settings: config.settings, metrics, outbox, outside, machine };
        Ok(Server { listener, front, keeping, prepared, address })
    }

    /// Serves until `stop` resolves, then finishes what was begun; or until another node owns what this one had.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), Ended> {
        let Server { listener, front, keeping, prepared, .. } = self;
        let Prepared { world, settings, metrics, outbox, outside, machine } = prepared;
        let (close, closing) = watch::channel(false);
        let reception = receive(listener, front.clone(), machine.places.clone(), closing);
        // Ended when this is left.
        let mut reception = JoinSet::from_iter([reception]);
        tokio::pin!(stop);
        let (drain, draining) = watch::channel(false);
        let engine = Engine::new(world);
        let site = Site::new(engine.clone(), metrics, settings, draining, outbox.clone(), outside, machine);
        let context = http::schedule::context(&site);
        let (has_others, begin) = (keeping.databases.is_some(), async || begin(&engine, context.clone()).await);
        if !has_others {
            begin().await;
        }
        let mut present = front.open(http::router(site));
        tokio::select! {
            () = &mut stop => {}
            over = keeping.keep(&engine, begin) => {
                keeping.leave(&engine).await;
                return Err(match over {
                    Over::Superseded => Ended::Superseded,
                    Over::Unservable(error) => error.into(),
                });
            }
        }
        tracing::info!("draining");
        if has_others {
            // Who asks from now on waits for the next owner. Who asked before is answered, and is not told to go.
            keeping.places.lose(&Shard::all().collect::<Vec<_>>());
            front.close();
            let _ = timeout(LAST_ANSWERS_WAIT, present.recv()).await;
            drain.send_replace(true);
            let _ = timeout(HAND_OVER_WAIT, present.recv()).await;
        } else {
            drain.send_replace(true);
            close.send_replace(true);
            reception.join_next().await;
        }
        engine.keep_calls(CALLS_KEPT_WAIT).await;
        keeping.leave(&engine).await;
        if has_others && timeout(SUCCESSOR_WAIT, keeping.succeeded()).await.is_ok() {
            // Until all others know, too: a connection that ends while one of them asks would leave it in doubt.
            sleep(2 * LOOK_PAUSE).await;
        }
        close.send_replace(true);
        reception.join_next().await;
        outbox.drained().await;
        // What is still queued is committed before the last hand lets go of the store.
        drop(keeping);
        Ok(())
    }
}

/// What the head does, and what it does before anything else.
async fn begin(engine: &Engine, context: engine::schedule::Context) {
    let left = engine.clone();
    if let Err(refusal) = left.abandon_imports().await {
        tracing::error!(detail = %refusal.detail, "what is left of broken imports stays for now");
    }
    if let Err(refusal) = left.forget_uploads().await {
        tracing::error!(detail = %refusal.detail, "uploads that never came stay for now");
    }
    tokio::spawn(async move {
        let _ = left.resume_refolds().await;
        left.resume_runs().await;
        left.erase_deleted().await
    });
    let jobs = engine.clone();
    tokio::spawn(async move { jobs.resume_jobs().await });
    let functions = engine.clone();
    tokio::spawn(async move { functions.keep_functions().await });
    let alarms = engine.clone();
    tokio::spawn(async move { alarms.keep_alarms().await });
    let schedules = engine.clone();
    tokio::spawn(async move { schedules.keep_schedules(context).await });
}

/// The nodes of one database, as their engines know them.
struct Nodes {
    places: Arc<Places>,
    front: Front,
}

impl engine::world::Places for Nodes {
    fn holds(&self, lane: LaneId) -> bool {
        self.places.holds(lane)
    }

    fn ask(&self, lane: LaneId, asked: Asked) -> Pending<Result<Told, Refusal>> {
        let front = self.front.clone();
        Box::pin(async move { front.ask(lane, &asked).await })
    }
}

/// What leaves this server by the doing of user code.
struct Abroad {
    egress: Egress,
    outbox: Arc<Outbox>,
    origin: String,
}

impl engine::world::Outside for Abroad {
    fn fetch(&self, asked: Fetch) -> Pending<Result<Fetched, FetchFailed>> {
        self.egress.fetch(asked)
    }

    fn mail(&self, to: Email, notice: &Notice) {
        self.outbox.send(Mail::notice(to, &self.origin, notice));
    }
}

/// Takes connections until it is told to close; then those that are there finish what they have begun.
async fn receive(listener: TcpListener, front: Front, places: Arc<Semaphore>, mut closing: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = async {
                let place = places.clone().acquire_owned().await.expect("never closed");
                (listener.accept().await, place)
            } => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = http::drained(&mut closing) => break,
        };
        let (Ok((stream, peer)), place) = accepted else {
            // Out of file descriptors, most likely: others will close.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (front, closing) = (front.clone(), closing.clone());
        connections.spawn(async move {
            serve_connection(stream, peer.ip(), front, closing).await;
            drop(place);
        });
    }
    drop(listener);
    let _ = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

/// Why a server ended that was not told to.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// Whatever this one still commits is fenced.
    #[error(
        "Another node has become the head of this database; nothing more is kept here.\nhint: start this one again: it takes its share."
    )]
    Superseded,
    #[error("{0}")]
    Unservable(#[from] StartError),
}

/// What functions are run with: unpacked once for each build of Everfold. The code of functions lies beside it. Those that
/// are connected reach what is public if all of it is allowed, and the addresses that are allowed with their ports.
pub fn runtimes(data: &Path, egress: &Allowed) -> Result<Runtimes, StartError> {
    static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/runtimes.tar.gz"));
    let folder = data.join("functions");
    let named = format!("runtimes.{}", &blake3::hash(PACKED).to_hex()[..16]);
    let unpacked = folder.join(named);
    let prepared = || {
        let trees = folder.join("trees");
        fs::create_dir_all(&trees)?;
        if !unpacked.is_dir() {
            let draft = folder.join(format!("unpacking.{}", std::process::id()));
            let _ = fs::remove_dir_all(&draft);
            fs::create_dir(&draft)?;
            engine::archive::unpack(io::Cursor::new(PACKED), &draft)
                .map_err(|why| io::Error::other(format!("{why:?}")))?;
            fs::rename(&draft, &unpacked)?;
        }
        Ok(trees)
    };
    let trees = prepared().map_err(|error| StartError::Folder { path: folder.clone(), error })?;
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    let allowed = egress.addresses().collect();
    let variables = oci::CLIENT_VARIABLES.iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
    let containers = oci::Config { variables: variables.collect(), ..oci::Config::default() };
    let reaches_public = egress.is_public();
    let servers = server::Config { reaches_public, allowed, containers, ..server::Config::default() };
    Ok(Runtimes::at(runtimes::Places { runtimes: unpacked, home, servers, trees }))
}

/// How mail leaves, and what is known of who comes. On a developer's own machine mail is shown instead, and nobody is
/// counted: no mail server is set, and nothing says that anybody else could reach this address.
fn surroundings(config: &Config, address: SocketAddr) -> Result<(Outbox, Outside), StartError> {
    let own = format!("http://{address}");
    let origin = config.public_url.as_ref().map_or(Ok(own), |url| origin(url))?;
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    let is_public = config.is_behind_proxy || !(is_loopback(host) && address.ip().is_loopback());
    let domain = host.split(':').next().filter(|_| !host.starts_with('[') && is_public).unwrap_or("localhost");
    let from = config.mail_from.clone().unwrap_or_else(|| format!("Everfold <everfold@{domain}>"));
    let outbox = match &config.smtp {
        Some(url) => Outbox::Smtp(Smtp::new(url, &from).map_err(StartError::Mail)?),
        None if is_public => Outbox::Nowhere,
        None => Outbox::Development(Development::new()),
    };
    let is_development = matches!(outbox, Outbox::Development(_));
    let allowance = (!is_development).then(|| Allowance::new(config.guests_per_hour));
    let developer = Arc::default();
    Ok((outbox, Outside { origin, is_behind_proxy: config.is_behind_proxy, allowance, developer }))
}

/// As browsers write it: scheme, host in lower case, port.
fn origin(url: &str) -> Result<String, StartError> {
    let malformed = || StartError::PublicUrl(url.to_owned());
    let uri: hyper::Uri = url.parse().map_err(|_| malformed())?;
    let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or_else(malformed)?;
    let is_bare = uri.path_and_query().is_none_or(|path| path == "/") && !authority.as_str().contains('@');
    let is_web = scheme == "http" || scheme == "https";
    if is_bare && is_web {
        Ok(format!("{scheme}://{}", authority.as_str().to_ascii_lowercase()))
    } else {
        Err(malformed())
    }
}

/// A host with or without its port.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(host, |(name, _)| name);
    let address: Option<std::net::IpAddr> = name.trim_matches(['[', ']']).parse().ok();
    name == "localhost" || address.is_some_and(|address| address.is_loopback())
}

/// As many as this process may have descriptors for. A shell allows few at first, and more to whoever asks.
fn connections_max() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let given = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: given.maximum, maximum: given.maximum });
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(descriptors.saturating_sub(DESCRIPTORS_KEPT)).unwrap_or(usize::MAX).clamp(1, CONNECTIONS_MAX)
}

/// One for each core; two at least, so that a hook that loops does not hold up everyone.
fn children() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2))
}

async fn serve_connection(stream: TcpStream, peer: IpAddr, front: Front, mut closing: watch::Receiver<bool>) {
    let answered = service_fn(move |request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(front.answer(request, peer).await) }
    });
    let _ = stream.set_nodelay(true);
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let connection = server.serve_connection(TokioIo::new(stream), answered).with_upgrades();
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = http::drained(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Where this process reaches itself.
fn here(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

/// Where other nodes reach this one, as far as it can tell: where it listens, else where the database sees it.
async fn reached_at(listening: SocketAddr, databases: &Databases) -> String {
    let mut address = listening;
    if address.ip().is_unspecified() {
        address.set_ip(databases.seen_from().await.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
    address.to_string()
}

/// The key of what is kept: a database has one, and tells it by its mark.
async fn key_of(keeping: &Keeping, data: &Path) -> Result<[u8; 32], StartError> {
    let Some(databases) = &keeping.databases else { return master_key(data, true) };
    let is_new = !databases.seal(None).await? && keeping.is_empty().await?;
    let key = master_key(data, is_new)?;
    let is_its = databases.seal(Some(Vault::new(&key).mark())).await?;
    if is_its { Ok(key) } else { Err(StartError::KeyOther) }
}

/// The key that everything secret is derived from: from the environment, or from a file that only its owner reads.
fn master_key(data: &Path, may_make: bool) -> Result<[u8; 32], StartError> {
    let path = data.join("everfold.key");
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "it does not hold 64 hexadecimal digits");
    let parse = |text: &str| {
        let mut key = [0; 32];
        let digits = text.trim();
        let is_whole = digits.len() == 64 && digits.is_ascii();
        for (index, byte) in key.iter_mut().enumerate() {
            let pair = is_whole.then(|| &digits[2 * index..2 * index + 2]).ok_or_else(malformed)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| malformed())?;
        }
        Ok(key)
    };
    let named = |error| StartError::Key { path: path.clone(), error };
    if let Ok(text) = std::env::var("EVERFOLD_MASTER_KEY") {
        return parse(&text).map_err(|error: io::Error| StartError::Key { path: "EVERFOLD_MASTER_KEY".into(), error });
    }
    match fs::read_to_string(&path) {
        Ok(text) => parse(&text).map_err(named),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !may_make => Err(StartError::KeyMissing(path.clone())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut key = [0; 32];
            getrandom::fill(&mut key).expect("the kernel gives random bytes");
            write_key(&path, &key).map_err(named)?;
            Ok(key)
        }
        Err(error) => Err(named(error)),
    }
}

/// Whole or not at all: a half-written key would lock its owner out.
fn write_key(path: &Path, key: &[u8; 32]) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let draft = path.with_extension("key.new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    fs::File::open(path.parent().expect("it stands in a directory"))?.sync_all()
}

/// SIGTERM or Ctrl+C.
pub async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be heard");
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be heard");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
