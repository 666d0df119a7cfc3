//! A sandboxed process while it runs: what it prints, how it is killed, why it ended.

use std::{
    collections::VecDeque,
    fmt, fs, io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    sync::{Notify, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    cgroup::Group,
    internet::Gate,
    sandbox::{Sandbox, User},
    spawn::{self, Namespaces, Spawned},
    station::Station,
};
use crate::{
    bounds::{LAST_WORDS_WAIT, LINE_BYTES_MAX, LINES_KEPT_MAX, LOOPBACK_POLL, NETWORK_WAIT, SANDBOX_INFO_BYTES_MAX},
    pool::locked,
};

/// How a process ended, and what it used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub why: Why,
    /// Of the whole sandbox where there are control groups, else of what its processes waited for.
    pub cpu_ms: u64,
    pub memory_peak_bytes: u64,
    /// The last that it printed, whether as output or as error.
    pub lines: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A code above 128 cannot be told from a signal: it is taken for one.
    Exited(i32),
    Signalled(i32),
    OutOfMemory,
    CpuExceeded,
    TimedOut,
    /// It did not accept in time.
    NotReady,
    Idle,
    /// Another took its place: new code, variables or limits, or Everfold goes down.
    Rolled,
    Cancelled,
    /// A build's tree grew beyond its bound.
    TreeTooLarge,
    /// Something other than its socket lay where its socket should be.
    SocketReplaced,
    /// What connected it to the internet ended.
    NetworkLost,
}

impl fmt::Display for Why {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Why::Exited(code) => write!(to, "It exited with code {code}."),
            Why::Signalled(signal) => write!(to, "It was ended by signal {signal}."),
            Why::OutOfMemory => to.write_str("It used up its memory."),
            Why::CpuExceeded => to.write_str("It used up its processor time."),
            Why::TimedOut => to.write_str("It ran past its time and was stopped."),
            Why::NotReady => to.write_str("It did not accept a request in time."),
            Why::Idle => to.write_str("It had nothing to do."),
            Why::Rolled => to.write_str("Another took its place."),
            Why::Cancelled => to.write_str("It was cancelled."),
            Why::TreeTooLarge => to.write_str("Its files grew larger than they may."),
            Why::SocketReplaced => to.write_str("Something other than a socket lay where its socket should be."),
            Why::NetworkLost => to.write_str("Its connection to the internet ended."),
        }
    }
}

/// One sandbox with all that runs in it.
pub struct Process {
    monitor: OwnedFd,
    monitor_id: Pid,
    /// The first process inside, whose end is the end of all others.
    first: OnceLock<First>,
    asked: Mutex<Option<Why>>,
    station: Mutex<Option<Station>>,
    lines: Mutex<Lines>,
    /// It printed that it is ready, which may even be true.
    pub said_ready: Notify,
    ended: watch::Sender<Option<Arc<Ended>>>,
    pub begun: Instant,
}

pub struct First {
    pub id: u32,
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

impl Process {
    /// `said` gets what it prints, piece by piece, until it ends.
    pub fn attend(
        process: Spawned,
        station: Station,
        user: Option<User>,
        begun: Instant,
        said: Said,
    ) -> io::Result<Arc<Self>> {
        let attended = Arc::new(Process {
            monitor: process.handle.try_clone()?,
            monitor_id: process.process,
            first: OnceLock::new(),
            asked: Mutex::default(),
            station: Mutex::new(Some(station)),
            lines: Mutex::default(),
            said_ready: Notify::new(),
            ended: watch::Sender::new(None),
            begun,
        });
        let listening = tokio::spawn(said.listen(attended.clone()));
        tokio::spawn(attended.clone().tend(process, user, listening));
        Ok(attended)
    }

    /// Reads which process bubblewrap made. `None` when it made none; its last line says why.
    pub async fn find_first(&self, info: OwnedFd) -> Option<&First> {
        let mut info = pipe::Receiver::from_owned_fd(info).ok()?.take(SANDBOX_INFO_BYTES_MAX);
        let mut text = Vec::new();
        info.read_to_end(&mut text).await.ok()?;
        let id = serde_json::from_slice::<serde_json::Value>(&text).ok()?.get("child-pid")?.as_u64()?;
        let id = u32::try_from(id).ok()?;
        let handle = rustix::process::pidfd_open(Pid::from_raw(i32::try_from(id).ok()?)?, PidfdFlags::empty()).ok()?;
        // Its number may have passed on to a stranger; as a child of the monitor it is the one.
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
        if Pid::from_raw(parent)? != self.monitor_id {
            return None;
        }
        let first = self.first.get_or_init(|| First { id, handle });
        if locked(&self.asked).is_some() {
            self.kill_all();
        }
        Some(first)
    }

    /// Connects a sandbox that was found, and lets it begin.
    pub async fn connect(self: &Arc<Self>, gate: Gate) -> io::Result<()> {
        let connected = self.try_connect(gate.user).await;
        if connected.is_err() {
            // It begins with its network or not at all.
            self.end(Why::NotReady);
        }
        connected
    }

    async fn try_connect(self: &Arc<Self>, user: Option<u32>) -> io::Result<()> {
        let gone = || io::Error::other("the sandbox ended before it was connected");
        let first = self.first.get().ok_or_else(gone)?;
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
        let process = self.clone();
        tokio::spawn(async move {
            spawn::ended(&handle).await;
            process.end(Why::NetworkLost);
        });
        Ok(())
    }

    /// Kills all that runs in it. The first reason given stays.
    pub fn end(&self, why: Why) {
        locked(&self.asked).get_or_insert(why);
        self.kill_all();
    }

    fn kill_all(&self) {
        for handle in self.first.get().map(|first| &first.handle).into_iter().chain([&self.monitor]) {
            let _ = rustix::process::pidfd_send_signal(handle, Signal::KILL);
        }
    }

    pub fn is_ending(&self) -> bool {
        locked(&self.asked).is_some() || self.ended.borrow().is_some()
    }

    pub fn has_first_ended(&self) -> bool {
        self.first.get().is_none_or(|first| spawn::has_ended(&first.handle))
    }

    /// Resolves when nothing of it is left.
    pub async fn ended(&self) -> Arc<Ended> {
        let mut ended = self.ended.subscribe();
        loop {
            if let Some(ended) = ended.borrow_and_update().clone() {
                return ended;
            }
            if ended.changed().await.is_err() {
                unreachable!("the sender is in self");
            }
        }
    }

    /// What it has spent so far, where that is counted.
    pub fn processor_time(&self) -> Option<Duration> {
        locked(&self.station).as_ref()?.group().processor_time()
    }

    pub fn last_lines(&self) -> Vec<String> {
        locked(&self.lines).all()
    }

    async fn tend(self: Arc<Self>, process: Spawned, user: Option<User>, listening: JoinHandle<()>) {
        spawn::ended(&process.handle).await;
        self.kill_all();
        if let Some(first) = self.first.get() {
            spawn::ended(&first.handle).await;
        }
        let reaped = spawn::reap(&process);
        if let Err(error) = &reaped {
            tracing::error!(%error, "a sandbox could not be reaped");
        }
        let _ = timeout(LAST_WORDS_WAIT, listening).await;
        let station = locked(&self.station).take();
        let group = station.as_ref().map(Station::group);
        let status = reaped.as_ref().map_or(-1, |reaped| reaped.status);
        let why = match *locked(&self.asked) {
            // The stack is in the group, too.
            Some(Why::NetworkLost) | None if group.is_some_and(Group::ran_out_of_memory) => Why::OutOfMemory,
            Some(why) => why,
            None if status > 128 => Why::Signalled(status - 128),
            None => Why::Exited(status),
        };
        let counted = group.and_then(Group::processor_time).map(|time| time.as_millis() as u64);
        let peak = group.and_then(Group::memory_peak_bytes);
        let used = reaped.as_ref().map_or((0, 0), |reaped| (reaped.cpu_ms, reaped.memory_peak_bytes));
        let ended = Ended {
            why,
            cpu_ms: counted.unwrap_or(used.0),
            memory_peak_bytes: peak.unwrap_or(used.1),
            lines: self.last_lines(),
        };
        // What is told to be over leaves nothing behind.
        let _ = tokio::task::spawn_blocking(|| drop((station, user))).await;
        self.ended.send_replace(Some(Arc::new(ended)));
    }
}

/// Where the output of a process goes, besides into its last lines.
pub struct Said {
    pub output: OwnedFd,
    pub pieces: Option<Pieces>,
}

/// A stream of output that is cut at a bound.
pub struct Pieces {
    pub to: tokio::sync::mpsc::Sender<Vec<u8>>,
    pub bytes_left: usize,
}

const OUTPUT_READ_BYTES: usize = 16 << 10;
const READY: &str = "HTTP server successfully started!";

impl Said {
    async fn listen(self, process: Arc<Process>) {
        let Ok(mut output) = pipe::Receiver::from_owned_fd(self.output) else { return };
        let mut pieces = self.pieces;
        let mut buffer = vec![0; OUTPUT_READ_BYTES];
        while let Ok(bytes @ 1..) = output.read(&mut buffer).await {
            let said = &buffer[..bytes];
            if locked(&process.lines).add(said) {
                process.said_ready.notify_one();
            }
            if let Some(pieces) = &mut pieces {
                let kept = &said[..said.len().min(pieces.bytes_left)];
                pieces.bytes_left -= kept.len();
                if !kept.is_empty() {
                    // Who does not listen any more misses it; the process goes on.
                    let _ = pieces.to.send(kept.to_vec()).await;
                }
            }
            if bytes == OUTPUT_READ_BYTES {
                sleep(crate::bounds::LOG_READ_PAUSE).await;
            }
        }
    }
}

/// The last lines of a stream without end.
#[derive(Default)]
struct Lines {
    whole: VecDeque<Vec<u8>>,
    begun: Vec<u8>,
}

impl Lines {
    /// Whether one of them says that the server is ready.
    fn add(&mut self, bytes: &[u8]) -> bool {
        let mut says_ready = false;
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            let room = LINE_BYTES_MAX - self.begun.len();
            self.begun.extend_from_slice(&text[..text.len().min(room)]);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.begun);
                says_ready |= line == READY.as_bytes();
                if self.whole.len() == LINES_KEPT_MAX {
                    self.whole.pop_front();
                }
                self.whole.push_back(line);
            }
        }
        says_ready
    }

    fn all(&self) -> Vec<String> {
        let begun = (!self.begun.is_empty()).then_some(&self.begun);
        let all: Vec<_> = self.whole.iter().chain(begun).collect();
        let last = all.len().saturating_sub(LINES_KEPT_MAX);
        all[last..].iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }
}
