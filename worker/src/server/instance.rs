//! One runtime server: started where it is kept apart, and reached through its socket.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsRawFd, OwnedFd},
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use rustix::fs::{FileType, Mode, OFlags};
use tokio::{
    net::{UnixStream, unix::pipe},
    time::{sleep, timeout},
};

use super::{
    NotLeased, Shared,
    call::Connection,
    launch::Launch,
    logs::{Logs, Router},
    opened::Wanted,
    process::{Ended, Process, Why},
    sandbox::SOCKET_NAME,
};
use crate::{
    bounds::{ACCEPTS_POLL, CONNECTION_IDLE_MAX, IDLE_CONNECTIONS_MAX},
    pool::locked,
};

pub struct Instance {
    pub process: Arc<Process>,
    router: Arc<Router>,
    /// What the server expects with each request. User code cannot see it.
    pub secret: String,
    /// The folder of its socket, held open: nothing that is put in its way later is walked through.
    folder: OnceLock<OwnedFd>,
    /// The connection by which it was found to accept.
    first_connection: Mutex<Option<UnixStream>>,
    /// Connections on which a request was answered, the last used last.
    idle_connections: Mutex<Vec<(Instant, Connection)>>,
    started_in: OnceLock<Duration>,
}

impl Instance {
    /// Resolves when it accepts.
    pub(super) async fn start(launch: Arc<Launch>, shared: &Shared) -> Result<Arc<Self>, NotLeased> {
        let begun = Instant::now();
        let not_spawned = |error: io::Error| NotLeased::NotReady { why: error.to_string(), lines: Vec::new() };
        let start_within = Duration::from_millis(launch.limits.start_ms);
        let opened =
            shared.open(launch.image.as_ref(), Wanted::Server(launch.clone()), None).await.map_err(not_spawned)?;
        let secret = secret().map_err(not_spawned)?;
        // A pipe that is new takes a line at once; who reads it not is not a server.
        let _ = writeln!(File::from(opened.input), "{secret}");
        let router = Arc::new(Router::default());
        if let Some(logs) = opened.logs {
            let pipe = pipe::Receiver::from_owned_fd(logs).map_err(not_spawned)?;
            tokio::spawn(router.clone().read(pipe));
        }
        let process = opened.process;
        let instance = Arc::new(Instance {
            process,
            router,
            secret,
            folder: OnceLock::new(),
            first_connection: Mutex::default(),
            idle_connections: Mutex::default(),
            started_in: OnceLock::new(),
        });
        let ready = {
            // Whoever gives up the start gives up the process.
            let unready = KilledUnlessReady(Some(&instance.process));
            let ready = instance.become_ready(start_within).await;
            if ready.is_ok() {
                unready.keep();
            }
            ready
        };
        ready?;
        let _ = instance.started_in.set(begun.elapsed());
        Ok(instance)
    }

    async fn become_ready(&self, within: Duration) -> Result<(), NotLeased> {
        let ready = async {
            let not_connected = |error: io::Error| NotLeased::NotReady { why: error.to_string(), lines: Vec::new() };
            if !self.process.stand().await.map_err(not_connected)? {
                return Err(self.not_made().await);
            }
            loop {
                match self.try_connect().await {
                    Ok(connection) => {
                        *locked(&self.first_connection) = Some(connection);
                        return Ok(());
                    }
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => self.process.end(Why::SocketReplaced),
                    Err(_) => {}
                }
                tokio::select! {
                    ended = self.process.ended() => return Err(not_leased(&ended)),
                    () = self.process.said_ready.notified() => {}
                    () = sleep(ACCEPTS_POLL) => {}
                }
            }
        };
        match timeout(within, ready).await {
            Ok(ready) => ready,
            Err(_) => {
                self.process.end(Why::NotReady);
                let lines = self.process.ended().await.lines.clone();
                let why = format!("It did not accept on its socket within {} ms.", within.as_millis());
                Err(NotLeased::NotReady { why, lines })
            }
        }
    }

    /// Why there is no sandbox.
    async fn not_made(&self) -> NotLeased {
        self.process.end(Why::NotReady);
        let ended = self.process.ended().await;
        let why = ended.lines.last().cloned().unwrap_or_else(|| "bubblewrap made no process".into());
        NotLeased::NotReady { why, lines: ended.lines.clone() }
    }

    pub async fn connect(&self) -> io::Result<UnixStream> {
        if let Some(connection) = locked(&self.first_connection).take() {
            return Ok(connection);
        }
        let connected = self.try_connect().await;
        if connected.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidData) {
            self.process.end(Why::SocketReplaced);
        }
        connected
    }

    /// One that may be used again: no server of ours lets go of it so soon.
    pub fn idle_connection(&self) -> Option<Connection> {
        let mut connection = {
            let mut idle = locked(&self.idle_connections);
            let (since, connection) = idle.pop()?;
            if since.elapsed() > CONNECTION_IDLE_MAX {
                // All others were used before it.
                idle.clear();
                return None;
            }
            connection
        };
        connection.is_usable().then_some(connection)
    }

    pub fn keep_connection(&self, connection: Connection) {
        let mut idle = locked(&self.idle_connections);
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push((Instant::now(), connection));
        }
    }

    /// `InvalidData`: what lies there is no socket.
    async fn try_connect(&self) -> io::Result<UnixStream> {
        let folder = match self.folder.get() {
            Some(folder) => folder,
            None => {
                let found = self.process.socket_folder()?;
                self.folder.get_or_init(|| found)
            }
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let socket = rustix::fs::openat(folder, SOCKET_NAME, flags, Mode::empty())?;
        if FileType::from_raw_mode(rustix::fs::fstat(&socket)?.st_mode) != FileType::Socket {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what lies at the socket's place is no socket"));
        }
        // The very file that was looked at, whatever has its name by now.
        UnixStream::connect(format!("/proc/self/fd/{}", socket.as_raw_fd())).await
    }

    pub fn logs(&self, id: String) -> Logs {
        self.router.listen(id)
    }

    pub fn started_in(&self) -> Duration {
        self.started_in.get().copied().unwrap_or_default()
    }
}

struct KilledUnlessReady<'a>(Option<&'a Process>);

impl KilledUnlessReady<'_> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for KilledUnlessReady<'_> {
    fn drop(&mut self) {
        if let Some(process) = self.0 {
            process.end(Why::Cancelled);
        }
    }
}

/// What bubblewrap says of itself, and nobody else at the beginning of a line.
const BUBBLEWRAP: &str = "bwrap: ";

fn not_leased(ended: &Arc<Ended>) -> NotLeased {
    let last = ended.lines.last();
    let not_ready = |why: String| NotLeased::NotReady { why, lines: ended.lines.clone() };
    match last.and_then(|line| line.strip_prefix(BUBBLEWRAP)) {
        Some(why) if ended.lines.len() == 1 => not_ready(format!("The sandbox could not be made: {why}")),
        _ if ended.why == Why::NotMade => {
            let last = last.map_or("its engine does not say why", String::as_str);
            not_ready(format!("The container could not be started: {last}"))
        }
        _ => NotLeased::CrashedAtStart(ended.clone()),
    }
}

const SECRET_BYTES: usize = 24;

fn secret() -> io::Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    File::open("/dev/urandom").and_then(|mut dice| io::Read::read_exact(&mut dice, &mut bytes))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
