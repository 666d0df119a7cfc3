//! All that is outside of the engine, handed in: store, workers, clock, entropy, the network.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use rules::{
    call::Request,
    email::Email,
    hook::Reply,
    inbox::Notice,
    record::{At, LaneId},
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};
use store::{Pending, Store};
use worker::{Worker, runtimes::Runtimes};

use crate::vault::Vault;

/// The engine asks nothing of the machine but through this.
#[derive(Clone)]
pub struct World {
    pub store: Arc<dyn Store>,
    pub worker: Arc<dyn Worker>,
    /// Runs the scripts of jobs: apart, so that a long one keeps no hook waiting.
    pub scripts: Arc<dyn Worker>,
    /// What functions are run with.
    pub runtimes: Arc<Runtimes>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub vault: Arc<Vault>,
    pub outside: Arc<dyn Outside>,
    pub places: Arc<dyn Places>,
}

/// Which lanes are this node's, and how the others are asked for theirs.
pub trait Places: Send + Sync + 'static {
    /// Whether what is in memory of a lane is how things are, and commits to it are kept.
    fn holds(&self, lane: LaneId) -> bool;

    /// Has the node do it that holds the lane. Where that may be asked twice, it is.
    fn ask(&self, lane: LaneId, asked: Asked) -> Pending<Result<Told, Refusal>>;
}

/// What one node asks of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// Keeps a request, once for its key.
    Keep { request: Request, idempotency_key: Vec<u8> },
    /// Makes one owner's hook another's.
    Give { from: LaneId, to: LaneId },
    /// Forgets the schedules of a hook that is no more.
    DropSchedules { hook: LaneId },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    Kept { reply: Reply, replayed: bool },
    Done,
}

/// A world of one node.
pub struct Alone;

impl Places for Alone {
    fn holds(&self, _: LaneId) -> bool {
        true
    }

    fn ask(&self, _: LaneId, _: Asked) -> Pending<Result<Told, Refusal>> {
        Box::pin(async { Err(Refusal::OWNER_MISSING) })
    }
}

/// Time, as the world tells it. It may jump.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> At;
    fn sleep(&self, ms: u64) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Dice. Keys and ids are made of it, so a real one must be unguessable.
pub trait Entropy: Send + Sync + 'static {
    fn draw(&self) -> u128;
}

/// What user code reaches of the network, through the server. Of `fetch`:
///
/// - **Guarded.** Where it may not go it does not go, whatever a name resolves to and wherever a redirect leads.
/// - **Total.** Every status is a `Fetched`; `FetchFailed` means that there was no answer, or none that may be had.
/// - **Bounded.** It comes within [`FETCH_MS_MAX`](rules::limits::FETCH_MS_MAX) and a wait for its turn, and is no larger
///   than the other limits of that name.
/// - **Not repeated.** Asked twice it goes out twice.
/// - **Cancelling** the future ends the connection; what was sent by then was sent.
pub trait Outside: Send + Sync + 'static {
    fn fetch(&self, asked: Fetch) -> Pending<Result<Fetched, FetchFailed>>;

    /// Takes a mail to somebody who has signed in here, and never makes its caller wait.
    fn mail(&self, to: Email, notice: &Notice);
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub url: String,
    pub method: String,
    /// A character of a value is a byte, here and in what was fetched.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where it came from, behind all redirects.
    pub url: String,
    pub status: u16,
    pub status_text: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub redirected: bool,
}

/// Becomes a `TypeError` with this message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchFailed {
    pub kind: FetchFailure,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// It is no request that can be sent.
    Malformed,
    /// The server may not go there.
    Forbidden,
    /// Nobody answers there, or not with a certificate that holds.
    Unreachable,
    TimedOut,
    /// A body or the headers, of either side.
    TooLarge,
    /// What came is not HTTP, ended early, or went on redirecting.
    Broken,
    /// Too many others are on their way, and its turn did not come.
    Busy,
}

/// A world without a network.
pub struct Nowhere;

impl Outside for Nowhere {
    fn fetch(&self, asked: Fetch) -> Pending<Result<Fetched, FetchFailed>> {
        let message = format!("{} cannot be reached: there is no network here", asked.url);
        Box::pin(async { Err(FetchFailed { kind: FetchFailure::Unreachable, message }) })
    }

    fn mail(&self, _: Email, _: &Notice) {}
}

impl World {
    /// A UUIDv7: sorts by time, and holds 74 unguessable bits.
    pub fn request_id(&self, at: At) -> u128 {
        let random = self.entropy.draw();
        let time = u128::from(at.0 & 0xffff_ffff_ffff) << 80;
        let head = (random >> 68) & 0xfff;
        let tail = random & 0x3fff_ffff_ffff_ffff;
        time | 0x7 << 76 | head << 64 | 0b10 << 62 | tail
    }
}

/// The machine's own clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> At {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        At(since.as_millis() as u64)
    }

    fn sleep(&self, ms: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
    }
}

/// The kernel's random numbers.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn draw(&self) -> u128 {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
        u128::from_le_bytes(bytes)
    }
}
