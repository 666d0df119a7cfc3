//! Keeps everything in memory, answers at once, and fails, waits or loses power when a test says so.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rules::record::{LaneId, Position, Record};
use tokio::sync::oneshot;

use crate::{Batch, Commit, Extent, Fault, LaneEnd, Order, Pending, Row, Store};

/// A store without a disk. Clones are handles of the same store.
///
/// A batch is taken when `commit` is called and *synced* when its future answers `Done` or is dropped, with all that
/// were taken before it. Readers see what is synced, as they do on a disk; [`Memory::crash`] keeps only that.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    synced: Tables,
    /// Taken and not synced, oldest first, each with its ticket.
    unsynced: VecDeque<(u64, Batch)>,
    tickets: u64,
    /// Where lanes end, the un-synced included.
    tails: BTreeMap<LaneId, Position>,
    coming_commits: VecDeque<Verdict>,
    coming_reads: VecDeque<Option<Fault>>,
}

#[derive(Clone, Default)]
struct Tables {
    records: BTreeMap<(LaneId, Position), Record>,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What is to become of one coming commit.
#[derive(Debug)]
pub enum Verdict {
    /// What would become of it anyway.
    Honest,
    Conflict,
    Full,
    UnknownButKept,
    UnknownAndLost,
    /// Taken at once, synced and answered when its [`Release`] is used or dropped.
    Delayed(Delay),
}

/// One end of a delayed commit.
#[derive(Debug)]
pub struct Delay(oneshot::Receiver<()>);

impl Delay {
    /// When the other end was used or dropped.
    pub async fn over(self) {
        let _ = self.0.await;
    }
}

/// The other end: lets the commit go on.
#[derive(Debug)]
pub struct Release(oneshot::Sender<()>);

impl Release {
    pub fn now(self) {
        let _ = self.0.send(());
    }
}

pub fn delay() -> (Release, Delay) {
    let (release, delay) = oneshot::channel();
    (Release(release), Delay(delay))
}

/// Scripts what becomes of coming commits and reads. What is not scripted goes well.
#[derive(Clone)]
pub struct Faults(Memory);

impl Faults {
    /// The verdict on the first commit that has none yet.
    pub fn commit(&self, verdict: Verdict) {
        self.0.lock().coming_commits.push_back(verdict);
    }

    /// The first read that is not scripted yet fails with these words.
    pub fn read_fails(&self, words: &str) {
        self.0.lock().coming_reads.push_back(Some(Fault(words.into())));
    }

    /// The first read that is not scripted yet goes well.
    pub fn read_succeeds(&self) {
        self.0.lock().coming_reads.push_back(None);
    }
}

impl Memory {
    pub fn new() -> Memory {
        Memory::default()
    }

    pub fn faults(&self) -> Faults {
        Faults(self.clone())
    }

    /// How many batches were taken and are not synced.
    pub fn unsynced(&self) -> usize {
        self.lock().unsynced.len()
    }

    /// The store as it is found after a power cut now: all that was synced, and the first `survivors` of what was not,
    /// as a disk may have written them by itself. The old store lives on apart from it, so what its futures do while
    /// they are dropped changes nothing here.
    pub fn crash(&self, survivors: usize) -> Memory {
        let state = self.lock();
        let mut synced = state.synced.clone();
        for (_, batch) in state.unsynced.iter().take(survivors) {
            synced.apply(batch.clone());
        }
        let tails = synced.records.keys().copied().collect();
        Memory(Arc::new(Mutex::new(State { synced, tails, ..State::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer<T: Send + 'static>(&self, read: impl FnOnce(&Tables) -> T) -> Pending<Result<T, Fault>> {
        let mut state = self.lock();
        let answer = match state.coming_reads.pop_front() {
            Some(Some(fault)) => Err(fault),
            Some(None) | None => Ok(read(&state.synced)),
        };
        Box::pin(std::future::ready(answer))
    }
}

impl Store for Memory {
    fn commit(&self, batch: Batch) -> Pending<Commit> {
        batch.assert_well_formed();
        let mut state = self.lock();
        let verdict = state.coming_commits.pop_front().unwrap_or(Verdict::Honest);
        let (delay, answer) = match verdict {
            Verdict::Conflict => return now(Commit::Conflict),
            Verdict::Full => return now(Commit::Full),
            Verdict::UnknownAndLost => return now(Commit::Unknown("scripted, and lost".into())),
            Verdict::UnknownButKept => (None, Commit::Unknown("scripted, and kept".into())),
            Verdict::Honest => (None, Commit::Done),
            Verdict::Delayed(delay) => (Some(delay), Commit::Done),
        };
        let Some(ticket) = state.take(batch) else { return now(Commit::Conflict) };
        let taken = Taken { memory: self.clone(), ticket };
        Box::pin(async move {
            if let Some(delay) = delay {
                delay.over().await;
            }
            drop(taken);
            answer
        })
    }

    fn erase(&self, lane: LaneId, before: Position, records_max: usize) -> Pending<Commit> {
        let mut state = self.lock();
        let last = state.tails.get(&lane).copied().unwrap_or(Position::START);
        let records = &mut state.synced.records;
        let erased: Vec<_> = records
            .range((lane, Position::START)..(lane, before.min(last)))
            .map(|(key, _)| *key)
            .take(records_max)
            .collect();
        for key in erased {
            records.remove(&key);
        }
        Box::pin(std::future::ready(Commit::Done))
    }

    fn read(&self, lane: LaneId, after: Position, extent: Extent) -> Pending<Result<Vec<Record>, Fault>> {
        self.answer(|tables| {
            let mut bytes = 0;
            tables
                .of_lane(lane)
                .filter(|record| record.position > after)
                .take(extent.records_max.max(1))
                .enumerate()
                .take_while(|(index, record)| {
                    bytes += record.body.len();
                    *index == 0 || bytes <= extent.bytes_max
                })
                .map(|(_, record)| record.clone())
                .collect()
        })
    }

    fn last(&self, lane: LaneId, at_most: Position) -> Pending<Result<Option<Record>, Fault>> {
        self.answer(|tables| tables.of_lane(lane).rfind(|record| record.position <= at_most).cloned())
    }

    fn lanes(&self, from: LaneId, lanes_max: usize) -> Pending<Result<Vec<LaneEnd>, Fault>> {
        self.answer(|tables| {
            let mut ends: Vec<LaneEnd> = Vec::new();
            for ((lane, position), record) in tables.records.range((from, Position::START)..) {
                let end = LaneEnd { lane: *lane, position: *position, hash: record.hash };
                let is_another = ends.last().is_none_or(|last| last.lane != *lane);
                if is_another && ends.len() == lanes_max {
                    break;
                }
                ends.pop_if(|_| !is_another);
                ends.push(end);
            }
            ends
        })
    }

    fn rows(&self, from: Vec<u8>, to: Vec<u8>, order: Order, rows_max: usize) -> Pending<Result<Vec<Row>, Fault>> {
        self.answer(|tables| {
            if from >= to {
                return Vec::new();
            }
            let range = tables.rows.range(from..to).map(|(key, value)| (key.clone(), value.clone()));
            match order {
                Order::Ascending => range.take(rows_max).collect(),
                Order::Descending => range.rev().take(rows_max).collect(),
            }
        })
    }

    fn row(&self, key: Vec<u8>) -> Pending<Result<Option<Vec<u8>>, Fault>> {
        self.answer(|tables| tables.rows.get(&key).cloned())
    }
}

fn now(commit: Commit) -> Pending<Commit> {
    Box::pin(std::future::ready(commit))
}

/// A batch that was taken. Dropping it syncs, whether its future was answered or given up: cancelling a future does
/// not cancel the commit.
struct Taken {
    memory: Memory,
    ticket: u64,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.memory.lock().sync(self.ticket);
    }
}

impl State {
    /// The ticket of a batch that expects the tail there is.
    fn take(&mut self, batch: Batch) -> Option<u64> {
        if self.tails.get(&batch.lane).copied().unwrap_or_default() != batch.expect {
            return None;
        }
        self.tails.insert(batch.lane, batch.tail());
        self.tickets += 1;
        self.unsynced.push_back((self.tickets, batch));
        Some(self.tickets)
    }

    fn sync(&mut self, ticket: u64) {
        while let Some((_, batch)) = self.unsynced.pop_front_if(|(taken, _)| *taken <= ticket) {
            self.synced.apply(batch);
        }
    }
}

impl Tables {
    fn apply(&mut self, batch: Batch) {
        for record in batch.records {
            self.records.insert((batch.lane, record.position), record);
        }
        for (key, value) in batch.rows {
            match value {
                Some(value) => drop(self.rows.insert(key, value)),
                None => drop(self.rows.remove(&key)),
            }
        }
    }

    fn of_lane(&self, lane: LaneId) -> impl DoubleEndedIterator<Item = &Record> {
        let all = (lane, Position::START)..=(lane, Position::from_u64(u64::MAX));
        self.records.range(all).map(|(_, record)| record)
    }
}
