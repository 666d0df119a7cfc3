//! A process that is kept apart, while it runs: what it prints, how it is killed, why it ended.

use std::{
    any::Any,
    collections::VecDeque,
    fmt, io,
    os::fd::OwnedFd,
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    sync::{Notify, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::spawn;
use crate::{
    bounds::{LAST_WORDS_WAIT, LINE_BYTES_MAX, LINES_KEPT_MAX},
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
    /// Nothing could be made that it could run in.
    NotMade,
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
            Why::NotMade => to.write_str("Its container could not be started."),
        }
    }
}

/// What one process is kept apart in: our sandbox, or a container.
///
/// - `stand` is awaited once, at first; nothing of the process's own runs before its network is in place.
/// - `kill` returns at once and may be called at any time, twice, and before it stands: nothing of it lasts after.
/// - `over` is awaited once, beside the others, and resolves when nothing runs in it any more.
pub trait Cell: Send + Sync + 'static {
    fn stand(&self) -> Coming<'_, io::Result<Standing>>;
    fn kill(&self);
    /// Where its socket is to lie. Errors pass as long as it lives.
    fn socket_folder(&self) -> io::Result<OwnedFd>;
    /// What it has spent so far, where that is counted.
    fn processor_time(&self) -> Option<Duration>;
    fn over(&self) -> Coming<'_, Remains>;
    /// How long its end may take to be known, once it has ended.
    fn end_wait(&self) -> Duration;
}

pub type Coming<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub enum Standing {
    Stands,
    /// And ends as soon as the process behind this handle does.
    Connected(OwnedFd),
    /// Nothing was made. What it printed last says why.
    Nowhere,
}

/// What is left of a process.
pub struct Remains {
    /// As a shell counts: 128 and more for a signal.
    pub status: i32,
    pub ran_out_of_memory: bool,
    pub cpu_ms: u64,
    pub memory_peak_bytes: u64,
    /// False where there was nothing that it could have run in.
    pub has_run: bool,
    /// Let go of when it is known why it ended, so that what ends with it is not taken for the cause.
    pub left: Box<dyn Any + Send>,
}

/// One process with all that runs in its cell.
pub struct Process {
    cell: Arc<dyn Cell>,
    asked: Mutex<Option<Why>>,
    lines: Mutex<Lines>,
    /// It printed that it is ready, which may even be true.
    pub said_ready: Notify,
    ended: watch::Sender<Option<Arc<Ended>>>,
    pub begun: Instant,
}

impl Process {
    /// `said` gets what it prints, piece by piece, until it ends.
    pub fn attend(cell: Arc<dyn Cell>, begun: Instant, said: Said) -> Arc<Self> {
        let attended = Arc::new(Process {
            cell,
            asked: Mutex::default(),
            lines: Mutex::default(),
            said_ready: Notify::new(),
            ended: watch::Sender::new(None),
            begun,
        });
        let listening = tokio::spawn(said.listen(attended.clone()));
        tokio::spawn(attended.clone().tend(listening));
        attended
    }

    /// Resolves when it runs, with its network. Whether there is anything that it runs in.
    pub async fn stand(self: &Arc<Self>) -> io::Result<bool> {
        match self.cell.stand().await {
            Ok(Standing::Stands) => Ok(true),
            Ok(Standing::Nowhere) => Ok(false),
            Ok(Standing::Connected(stack)) => {
                let process = self.clone();
                tokio::spawn(async move {
                    spawn::ended(&stack).await;
                    process.end(Why::NetworkLost);
                });
                Ok(true)
            }
            Err(error) => {
                // It begins with its network or not at all.
                self.end(Why::NotReady);
                Err(error)
            }
        }
    }

    pub fn socket_folder(&self) -> io::Result<OwnedFd> {
        self.cell.socket_folder()
    }

    /// Kills all that runs in it. The first reason given stays.
    pub fn end(&self, why: Why) {
        locked(&self.asked).get_or_insert(why);
        self.cell.kill();
    }

    pub fn is_ending(&self) -> bool {
        locked(&self.asked).is_some() || self.ended.borrow().is_some()
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
        self.cell.processor_time()
    }

    /// How long whoever lost it should wait to learn why.
    pub fn end_wait(&self) -> Duration {
        self.cell.end_wait()
    }

    pub fn last_lines(&self) -> Vec<String> {
        locked(&self.lines).all()
    }

    async fn tend(self: Arc<Self>, listening: JoinHandle<()>) {
        let remains = self.cell.over().await;
        let _ = timeout(LAST_WORDS_WAIT, listening).await;
        let why = match *locked(&self.asked) {
            // The stack is in the group, too.
            Some(Why::NetworkLost) | None if remains.ran_out_of_memory => Why::OutOfMemory,
            Some(why) => why,
            None if !remains.has_run => Why::NotMade,
            None if remains.status > 128 => Why::Signalled(remains.status - 128),
            None => Why::Exited(remains.status),
        };
        let Remains { cpu_ms, memory_peak_bytes, left, .. } = remains;
        // What is told to be over leaves nothing behind.
        let _ = tokio::task::spawn_blocking(|| drop(left)).await;
        self.ended.send_replace(Some(Arc::new(Ended { why, cpu_ms, memory_peak_bytes, lines: self.last_lines() })));
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
