//! A process in our sandbox: found, connected, killed and reaped from outside.

use std::{
    fs, io,
    os::{fd::OwnedFd, linux::fs::MetadataExt},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    process::{Pid, PidfdFlags, Signal},
};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    time::{sleep, timeout},
};

use super::{
    cgroup::Group,
    internet::Gate,
    opened::{Opened, Wanted},
    process::{Cell, Coming, Pieces, Process, Remains, Said, Standing},
    sandbox::{Inmate, SOCKET_FOLDER, Sandbox, User},
    spawn::{self, Namespaces, Spawned},
    station::{Spawner, Station},
};
use crate::{
    bounds::{LAST_WORDS_WAIT, LOOPBACK_POLL, NETWORK_WAIT, SANDBOX_INFO_BYTES_MAX},
    pool::locked,
};

/// One sandbox with all that runs in it.
struct Bubble {
    monitor: Spawned,
    /// The first process inside, whose end is the end of all others.
    first: OnceLock<First>,
    station: Mutex<Option<Station>>,
    /// What bubblewrap tells, and where it waits for us, until it was heard.
    unheard: Mutex<Option<(OwnedFd, Option<Gate>)>>,
    user: Mutex<Option<User>>,
    is_killed: AtomicBool,
}

struct First {
    id: u32,
    handle: OwnedFd,
}

impl First {
    /// Resolves when bubblewrap has given its network a loopback.
    async fn has_loopback(&self) {
        let routes = format!("/proc/{}/net/fib_trie", self.id);
        while !fs::read_to_string(&routes).is_ok_and(|routes| routes.contains("127.0.0.1")) {
            sleep(LOOPBACK_POLL).await;
        }
    }

    /// Asked after they were opened whether they are its.
    fn namespaces(&self) -> io::Result<Namespaces> {
        let network = fs::File::open(format!("/proc/{}/ns/net", self.id))?;
        if spawn::has_ended(&self.handle) {
            return Err(io::Error::other("the sandbox ended before it was connected"));
        }
        Namespaces::of(network.into())
    }
}

impl Spawner {
    /// Starts a process in a sandbox of its own.
    pub async fn open(&self, wanted: Wanted, pieces: Option<Pieces>) -> io::Result<Opened> {
        let begun = Instant::now();
        let spawned = self.spawn(move |sandbox, group| sandbox.spawn(&wanted.contents(), group)).await?;
        Ok(attend(spawned, begun, pieces))
    }
}

/// Looks after what was spawned, until it has ended.
pub fn attend((inmate, station): (Inmate, Station), begun: Instant, pieces: Option<Pieces>) -> Opened {
    let Inmate { process, user, output, logs, info, input, gate } = inmate;
    let user_id = user.as_ref().map(|user| user.id);
    let bubble = Bubble {
        monitor: process,
        first: OnceLock::new(),
        station: Mutex::new(Some(station)),
        unheard: Mutex::new(Some((info, gate))),
        user: Mutex::new(user),
        is_killed: AtomicBool::new(false),
    };
    let process = Process::attend(Arc::new(bubble), begun, Said { output, pieces });
    Opened { process, input, logs, user: user_id }
}

impl Bubble {
    /// Reads which process bubblewrap made. `None` when it made none; its last line says why.
    async fn find_first(&self, info: OwnedFd) -> Option<&First> {
        let mut info = pipe::Receiver::from_owned_fd(info).ok()?.take(SANDBOX_INFO_BYTES_MAX);
        let mut text = Vec::new();
        info.read_to_end(&mut text).await.ok()?;
        let id = serde_json::from_slice::<serde_json::Value>(&text).ok()?.get("child-pid")?.as_u64()?;
        let id = u32::try_from(id).ok()?;
        let handle = rustix::process::pidfd_open(Pid::from_raw(i32::try_from(id).ok()?)?, PidfdFlags::empty()).ok()?;
        // Its number may have passed on to a stranger; as a child of the monitor it is the one.
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
        if Pid::from_raw(parent)? != self.monitor.process {
            return None;
        }
        let first = self.first.get_or_init(|| First { id, handle });
        if self.is_killed.load(Ordering::Acquire) {
            self.kill();
        }
        Some(first)
    }

    /// Gives what was found its network, and lets it begin. The handle is that of what connects it.
    async fn connect(&self, first: &First, user: Option<u32>) -> io::Result<OwnedFd> {
        let gone = || io::Error::other("the sandbox ended before it was connected");
        let namespaces = first.namespaces()?;
        // The stack, too, would set it up, and bubblewrap takes what it finds done for a failure.
        timeout(NETWORK_WAIT, first.has_loopback()).await.map_err(|_| gone())?;
        let order = {
            let station = locked(&self.station);
            let act = move |sandbox: &Sandbox, group: &Group| sandbox.internet.connect(&namespaces, user, group);
            station.as_ref().ok_or_else(gone)?.order(act)?
        };
        let stack = order.await.map_err(io::Error::other)??;
        let handle = stack.handle()?;
        locked(&self.station).as_mut().ok_or_else(gone)?.stack = Some(stack);
        Ok(handle)
    }
}

impl Cell for Bubble {
    fn stand(&self) -> Coming<'_, io::Result<Standing>> {
        Box::pin(async {
            let Some((info, gate)) = locked(&self.unheard).take() else { return Ok(Standing::Nowhere) };
            let Some(first) = self.find_first(info).await else { return Ok(Standing::Nowhere) };
            match gate {
                Some(gate) => self.connect(first, gate.user).await.map(Standing::Connected),
                None => Ok(Standing::Stands),
            }
        })
    }

    fn kill(&self) {
        self.is_killed.store(true, Ordering::Release);
        for handle in self.first.get().map(|first| &first.handle).into_iter().chain([&self.monitor.handle]) {
            let _ = rustix::process::pidfd_send_signal(handle, Signal::KILL);
        }
    }

    /// From the root of the process, by folders alone: no link of hostile code leads anywhere.
    fn socket_folder(&self) -> io::Result<OwnedFd> {
        let first = self.first.get().ok_or(io::ErrorKind::NotFound)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(format!("/proc/{}/root", first.id), flags, Mode::empty())?;
        let (theirs, ours) = (rustix::fs::fstat(&root)?, fs::metadata("/")?);
        let is_theirs = (theirs.st_dev, theirs.st_ino) != (ours.st_dev(), ours.st_ino());
        // Asked after it was opened, so that it is this process's.
        if !is_theirs || spawn::has_ended(&first.handle) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let path = SOCKET_FOLDER.trim_start_matches('/');
        Ok(rustix::fs::openat2(&root, path, flags | OFlags::NOFOLLOW, Mode::empty(), resolve)?)
    }

    fn processor_time(&self) -> Option<Duration> {
        locked(&self.station).as_ref()?.group().meter.processor_time()
    }

    fn over(&self) -> Coming<'_, Remains> {
        Box::pin(async {
            spawn::ended(&self.monitor.handle).await;
            self.kill();
            if let Some(first) = self.first.get() {
                spawn::ended(&first.handle).await;
            }
            let reaped = spawn::reap(&self.monitor);
            if let Err(error) = &reaped {
                tracing::error!(%error, "a sandbox could not be reaped");
            }
            let station = locked(&self.station).take();
            let group = station.as_ref().map(Station::group);
            let counted = group.and_then(|group| group.meter.processor_time()).map(|time| time.as_millis() as u64);
            let peak = group.and_then(|group| group.meter.memory_peak_bytes());
            let used = reaped.as_ref().map_or((0, 0), |reaped| (reaped.cpu_ms, reaped.memory_peak_bytes));
            Remains {
                status: reaped.as_ref().map_or(-1, |reaped| reaped.status),
                ran_out_of_memory: group.is_some_and(Group::ran_out_of_memory),
                cpu_ms: counted.unwrap_or(used.0),
                memory_peak_bytes: peak.unwrap_or(used.1),
                has_run: true,
                left: Box::new((station, locked(&self.user).take())),
            }
        })
    }

    fn end_wait(&self) -> Duration {
        2 * LAST_WORDS_WAIT
    }
}
