//! Many clients at once: as fast as they are answered, or as often as they are told, whether answered or not.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Builder,
    sync::{Semaphore, SemaphorePermit},
    task::{LocalSet, spawn_local},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

/// Longer than the server ever takes.
const ANSWER_WAIT: Duration = Duration::from_secs(40);

#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Each client asks again as soon as it is answered.
    Answered,
    /// So many arrivals each second. One that finds every client still waiting for its answer does not happen.
    PerSecond(f64),
}

/// What to send, and for how long.
#[derive(Clone)]
pub struct Load {
    pub address: String,
    pub clients: usize,
    pub pace: Pace,
    pub lasts: Duration,
    /// The bytes of the n-th request; every n is used once.
    pub ask: Rc<dyn Fn(u64) -> Vec<u8>>,
}

pub struct Answer {
    pub n: u64,
    pub status: u16,
    pub has_retry_after: bool,
    /// Since the load began.
    pub at: Duration,
    /// From the first byte sent to the last byte received.
    pub took: Duration,
    pub body: Vec<u8>,
}

#[derive(Default)]
pub struct Answers {
    pub answers: Vec<Answer>,
    /// Requests to which no whole answer came: nobody knows what became of them.
    pub broken: u64,
    /// Arrivals that found no client free.
    pub missed: u64,
    /// The first number that was not used.
    pub next_n: u64,
    pub lasted: Duration,
}

impl Answers {
    pub fn kept(&self) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(|answer| answer.status < 300)
    }

    pub fn refused(&self) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(|answer| answer.status >= 300)
    }

    pub fn kept_per_s(&self) -> f64 {
        self.kept().count() as f64 / self.lasted.as_secs_f64()
    }

    pub fn asked_per_s(&self) -> f64 {
        (self.answers.len() as u64 + self.broken) as f64 / self.lasted.as_secs_f64()
    }
}

/// The time that this share of the answers did not exceed.
pub fn percentile<'a>(answers: impl Iterator<Item = &'a Answer>, share: f64) -> Duration {
    let mut took: Vec<Duration> = answers.map(|answer| answer.took).collect();
    took.sort_unstable();
    let last = took.len().saturating_sub(1);
    took.get((last as f64 * share).ceil() as usize).copied().unwrap_or_default()
}

/// Sends the load from this thread and waits for every answer. Numbers begin at `first_n`.
pub fn send(load: &Load, first_n: u64) -> Answers {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let shared = Rc::new(Shared {
        answers: RefCell::new(Answers { next_n: first_n, ..Answers::default() }),
        arrivals: Semaphore::new(0),
        over: Cell::new(false),
        load: load.clone(),
        began: Cell::new(Instant::now()),
    });
    LocalSet::new().block_on(&runtime, async {
        // They are connected before any of them is timed.
        let mut streams = Vec::with_capacity(load.clients);
        for _ in 0..load.clients {
            streams.push(connect(&load.address).await.ok());
        }
        shared.began.set(Instant::now());
        let clients: Vec<_> = streams.into_iter().map(|stream| spawn_local(client(shared.clone(), stream))).collect();
        arrive(&shared).await;
        shared.over.set(true);
        shared.arrivals.close();
        for client in clients {
            client.await.expect("a client ends");
        }
    });
    let mut answers = shared.answers.take();
    // The load ended with its time; the answers to the last of it came later.
    answers.lasted = load.lasts;
    answers
}

struct Shared {
    answers: RefCell<Answers>,
    /// What the clients may send now; none is kept back for later.
    arrivals: Semaphore,
    over: Cell<bool>,
    load: Load,
    began: Cell<Instant>,
}

/// Lets requests arrive until the time is over.
async fn arrive(shared: &Shared) {
    let Load { pace, lasts, .. } = shared.load;
    let Pace::PerSecond(per_s) = pace else { return sleep(lasts).await };
    let mut tick = interval(Duration::from_millis(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut arrived = 0;
    while shared.began.get().elapsed() < lasts {
        tick.tick().await;
        let untaken = shared.arrivals.forget_permits(usize::MAX >> 3);
        shared.answers.borrow_mut().missed += untaken as u64;
        let due = (shared.began.get().elapsed().as_secs_f64() * per_s) as usize;
        shared.arrivals.add_permits(due - arrived);
        arrived = due;
    }
}

/// One connection after the other, one request after the other.
async fn client(shared: Rc<Shared>, mut stream: Option<TcpStream>) {
    while may_send(&shared).await {
        let n = {
            let mut answers = shared.answers.borrow_mut();
            answers.next_n += 1;
            answers.next_n - 1
        };
        let at = shared.began.get().elapsed();
        let bytes = (shared.load.ask)(n);
        match timeout(ANSWER_WAIT, exchange(&shared.load.address, &mut stream, &bytes)).await {
            Ok(Ok(Reply { status, has_retry_after, body })) => {
                let took = shared.began.get().elapsed() - at;
                shared.answers.borrow_mut().answers.push(Answer { n, status, has_retry_after, at, took, body });
            }
            Ok(Err(_)) | Err(_) => {
                shared.answers.borrow_mut().broken += 1;
                stream = None;
            }
        }
    }
}

async fn may_send(shared: &Shared) -> bool {
    match shared.load.pace {
        Pace::Answered => !shared.over.get(),
        Pace::PerSecond(_) => shared.arrivals.acquire().await.map(SemaphorePermit::forget).is_ok(),
    }
}

struct Reply {
    status: u16,
    has_retry_after: bool,
    body: Vec<u8>,
}

/// Leaves the stream there if it may be used again. What the server has closed meanwhile is opened anew.
async fn exchange(address: &str, stream: &mut Option<TcpStream>, bytes: &[u8]) -> io::Result<Reply> {
    let mut open = match stream.take() {
        Some(open) => open,
        None => connect(address).await?,
    };
    // A server may answer before it has read everything: its answer still counts.
    let (mut reading, mut writing) = open.split();
    let (written, read) = tokio::join!(writing.write_all(bytes), read_reply(&mut reading));
    let (reply, is_last) = read?;
    if written.is_ok() && !is_last {
        *stream = Some(open);
    }
    Ok(reply)
}

async fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn read_reply(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<(Reply, bool)> {
    let mut bytes = Vec::with_capacity(1024);
    let head_bytes = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, &mut bytes).await?;
    };
    let head = String::from_utf8_lossy(&bytes[..head_bytes]).to_ascii_lowercase();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    let body_bytes: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let (has_retry_after, is_last) = (header("retry-after").is_some(), header("connection") == Some("close"));
    while bytes.len() < head_bytes + body_bytes {
        more(stream, &mut bytes).await?;
    }
    Ok((Reply { status, has_retry_after, body: bytes.split_off(head_bytes) }, is_last))
}

async fn more(stream: &mut (impl AsyncReadExt + Unpin), bytes: &mut Vec<u8>) -> io::Result<()> {
    if stream.read_buf(bytes).await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}
