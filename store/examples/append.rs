//! Measures durable appends: lanes that each wait for their last commit, against a bare file that is synced likewise;
//! and what a record takes on the disk once there was time to seal it.
//!
//! `cargo run --release -p store --example append [seconds] [body bytes] [directory] [postgres://…]`
//!
//! With the address of a database, PostgreSQL is measured beside the others, and what a record takes is not.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant, SystemTime},
};

use rules::record::{Hash, LaneId, Position, Record, Seq};
use store::{Batch, Commit, Pending, Store, postgres::Postgres, sqlite::Sqlite};
use tokio::{runtime::Runtime, sync::oneshot, task::JoinSet};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (seconds, body_bytes) = (number(3), number(400));
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let address = arguments.next();
    let runtime = runtime();

    for lanes in [1, 64, 1_000] {
        let run = Run { lanes, seconds, body_bytes: usize::try_from(body_bytes).expect("fits"), runtime: &runtime };
        let place = tempfile::tempdir_in(&directory).expect("a directory");
        let bare = run.measure(Arc::new(Bare::create(&place.path().join("log"))), Bare::append);
        let store = Arc::new(Sqlite::open(place.path()).expect("opens"));
        let sqlite = run.measure(store.clone(), |store, batch| store.commit(batch));
        let size = store.size_bytes().expect("has a size");
        println!("{lanes:>5} lanes  bare   {bare}");
        println!("{lanes:>5} lanes  sqlite {sqlite}  {} bytes a record", size / sqlite.appends.max(1));
        println!("{lanes:>5} lanes  ratio  {:.2}", sqlite.rate() / bare.rate());
        // What it would do at rest would be done beside the next.
        drop(store);
        if let Some(address) = &address {
            let store = runtime.block_on(Postgres::open(address)).expect("opens");
            let postgres = run.measure(Arc::new(store), |store, batch| store.commit(batch));
            println!("{lanes:>5} lanes  postgres {postgres}");
        }
    }
    if address.is_some() {
        return;
    }
    for lanes in [1, 64, 1_000] {
        let place = tempfile::tempdir_in(&directory).expect("a directory");
        let (sizes, reads) = grow(place.path(), lanes, usize::try_from(body_bytes).expect("fits"));
        println!("{lanes:>5} lanes  MB on the disk after each {ROUND_RECORDS} records: {sizes:.1?}");
        println!("{lanes:>5} lanes  one old record is read in {:.0?}, at worst {:.0?}", reads[500], reads[999]);
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

const ROUNDS: u64 = 5;
const ROUND_RECORDS: u64 = 100_000;
/// How long the store is left alone after each round.
const REST: Duration = Duration::from_secs(6);

fn grow(directory: &Path, lanes: u64, body_bytes: usize) -> (Vec<f64>, Vec<Duration>) {
    let runtime = runtime();
    let store = Sqlite::open(directory).expect("opens");
    let steps = ROUND_RECORDS / lanes;
    let mut tails: Vec<_> = (0..lanes).map(|number| (lane(number), Hash::NONE)).collect();
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        runtime.block_on(async {
            for step in 1..=steps {
                let seq = round * steps + step;
                let mut waiting = Vec::new();
                for (lane, hash) in &mut tails {
                    let batch = next(*lane, seq, *hash, body_bytes);
                    *hash = batch.records[0].hash;
                    waiting.push(store.commit(batch));
                }
                for commit in waiting {
                    assert_eq!(commit.await, Commit::Done);
                }
            }
        });
        thread::sleep(REST);
        rounds.push(store.size_bytes().expect("has a size") as f64 / 1e6);
    }
    let reads = (0..1_000).map(|number| {
        let began = Instant::now();
        let position = Position::of_request(Seq(1 + number * 7 % steps));
        let found = runtime.block_on(store.last(lane(number % lanes), position));
        assert!(found.is_ok_and(|found| found.is_some_and(|record| record.position == position)));
        began.elapsed()
    });
    let mut reads: Vec<_> = reads.collect();
    reads.sort_unstable();
    (rounds, reads)
}

fn lane(number: u64) -> LaneId {
    LaneId(u128::from_be_bytes(*blake3::hash(&number.to_be_bytes()).as_bytes().first_chunk().expect("16")))
}

fn next(lane: LaneId, seq: u64, after: Hash, body_bytes: usize) -> Batch {
    let [expect, position] = [seq - 1, seq].map(|seq| Position::of_request(Seq(seq)));
    let body = body(lane, seq, body_bytes);
    let record = Record { position, hash: after.chain(position, &body), body };
    Batch { lane, expect, records: vec![record], rows: vec![] }
}

/// JSON as a webhook brings it: an id that no compressor knows, and words of which there are 600.
fn body(lane: LaneId, seq: u64, body_bytes: usize) -> Vec<u8> {
    const WORDS: [&str; 24] = [
        "order",
        "paid",
        "customer",
        "invoice",
        "shipped",
        "country",
        "amount",
        "currency",
        "email",
        "refund",
        "item",
        "quantity",
        "address",
        "street",
        "created",
        "updated",
        "status",
        "pending",
        "price",
        "discount",
        "note",
        "warehouse",
        "carrier",
        "tracking",
    ];
    let mut chance = vec![0; body_bytes];
    blake3::Hasher::new().update(&(lane.0 ^ u128::from(seq)).to_be_bytes()).finalize_xof().fill(&mut chance);
    let id: String = chance[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let mut text = format!("{{\"id\":\"{id}\",\"seq\":{seq},\"text\":\"");
    for pair in chance[12..].chunks_exact(2) {
        if text.len() + 14 > body_bytes {
            break;
        }
        text.push_str(WORDS[usize::from(pair[0]) % WORDS.len()]);
        text.push(char::from(b'a' + pair[1] % 25));
        text.push(' ');
    }
    text.push_str("\"}");
    let mut body = text.into_bytes();
    body.resize(body_bytes, b' ');
    body
}

struct Run<'a> {
    lanes: u64,
    seconds: u64,
    body_bytes: usize,
    runtime: &'a Runtime,
}

impl Run<'_> {
    fn measure<T: Send + Sync + 'static>(&self, log: Arc<T>, append: fn(&T, Batch) -> Pending<Commit>) -> Measured {
        // A database may hold the lanes of an earlier run.
        let first = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("is later").as_millis();
        let first = u64::try_from(first).expect("fits") * 1_000;
        let (began, busy_before) = (Instant::now(), busy());
        let until = began + Duration::from_secs(self.seconds);
        let mut waits = self.runtime.block_on(async {
            let mut lanes = JoinSet::new();
            for lane in 0..self.lanes {
                lanes.spawn(fill(self::lane(first + lane), self.body_bytes, log.clone(), append, until));
            }
            lanes.join_all().await.concat()
        });
        let (took, busy) = (began.elapsed(), busy() - busy_before);
        waits.sort_unstable();
        Measured { appends: waits.len() as u64, took, busy, waits }
    }
}

async fn fill<T: Send + Sync>(
    lane: LaneId,
    body_bytes: usize,
    log: Arc<T>,
    append: fn(&T, Batch) -> Pending<Commit>,
    until: Instant,
) -> Vec<Duration> {
    let (mut waits, mut hash) = (Vec::new(), Hash::NONE);
    for seq in 1.. {
        let asked = Instant::now();
        if asked >= until {
            break;
        }
        let batch = next(lane, seq, hash, body_bytes);
        hash = batch.records[0].hash;
        let commit = append(&log, batch).await;
        assert_eq!(commit, Commit::Done);
        waits.push(asked.elapsed());
    }
    waits
}

struct Measured {
    appends: u64,
    took: Duration,
    /// What all threads of this process took of the processors: steadier than the rate where others work too.
    busy: Duration,
    waits: Vec<Duration>,
}

impl Measured {
    fn rate(&self) -> f64 {
        self.appends as f64 / self.took.as_secs_f64()
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let wait = |permille: usize| self.waits.get(self.waits.len() * permille / 1_000).copied().unwrap_or_default();
        let slowest = self.waits.last().copied().unwrap_or_default();
        let cost = self.busy.as_secs_f64() * 1e6 / self.appends.max(1) as f64;
        write!(
            f,
            "{:>8.0}/s  p50 {:.2?}  p99 {:.2?}  max {slowest:.2?}  {cost:.1} us of processor each",
            self.rate(),
            wait(500),
            wait(990)
        )
    }
}

/// User and system time of this process, as Linux counts it: in hundredths of a second.
fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The floor: one thread, one file, one sync for all that wait.
struct Bare(mpsc::Sender<(Batch, oneshot::Sender<Commit>)>);

impl Bare {
    fn create(path: &Path) -> Bare {
        let (sender, waiting) = mpsc::channel::<(Batch, oneshot::Sender<Commit>)>();
        let mut file = File::create(path).expect("a file");
        thread::spawn(move || {
            while let Ok(first) = waiting.recv() {
                let group: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
                let bytes: Vec<u8> = group.iter().flat_map(|(batch, _)| &batch.records[0].body).copied().collect();
                file.write_all(&bytes).and_then(|()| file.sync_data()).expect("syncs");
                for (_, answer) in group {
                    let _ = answer.send(Commit::Done);
                }
            }
        });
        Bare(sender)
    }

    fn append(&self, batch: Batch) -> Pending<Commit> {
        let (answer, answered) = oneshot::channel();
        self.0.send((batch, answer)).expect("the thread lives");
        Box::pin(async { answered.await.expect("is answered") })
    }
}
