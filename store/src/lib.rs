//! Keeps logs and rows: what is committed stays, whatever happens next.
#![deny(unsafe_code)]

use std::{future::Future, pin::Pin};

use rules::record::{Hash, LaneId, Position, Record};

pub mod bucket;
pub mod contract;
pub mod memory;
pub mod migration;
pub mod postgres;
mod queue;
pub mod sqlite;

/// The answer of a store, some time later.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A durable place for lanes (append-only logs) and rows (a sorted map of small values derived from them).
///
/// - **Atomic, per lane.** A batch is kept whole or not at all.
/// - **Durable.** `Done` means synced: it survives a killed process and a power cut.
/// - **Ordered.** A lane grows only at its end: a batch names the position it saw last (`expect`), and is refused with
///   `Conflict` when the lane has moved since.
/// - **Cancelling** the future does not cancel the commit.
/// - Batches of many lanes that wait at the same time share one sync.
pub trait Store: Send + Sync + 'static {
    /// # Panics
    /// When the batch is not well formed: see [`Batch::assert_well_formed`].
    fn commit(&self, batch: Batch) -> Pending<Commit>;

    /// Removes records of a lane that stand before `before`, the oldest first, a few at a time (about `records_max`); never
    /// its newest, and maybe not those that are kept together with one that stays. For what was deleted: nobody reads it
    /// any more.
    fn erase(&self, lane: LaneId, before: Position, records_max: usize) -> Pending<Commit>;

    /// Records come as they are kept, and whoever reads them holds them against their chain: a store may hand over a
    /// damaged one rather than nothing of a lane, but never leaves out any at its end.
    ///
    /// Records of a lane with `position > after`, in order, at most `records_max` and about `bytes_max` (at least one
    /// record, if there is one).
    fn read(&self, lane: LaneId, after: Position, extent: Extent) -> Pending<Result<Vec<Record>, Fault>>;

    /// The last record of a lane at or before `at_most`.
    fn last(&self, lane: LaneId, at_most: Position) -> Pending<Result<Option<Record>, Fault>>;

    /// Lanes that hold a record, from `from` on in the order of their ids, at most `lanes_max`: where each ends.
    fn lanes(&self, from: LaneId, lanes_max: usize) -> Pending<Result<Vec<LaneEnd>, Fault>>;

    /// Rows whose key lies in `from..to`, in key order or against it.
    fn rows(&self, from: Vec<u8>, to: Vec<u8>, order: Order, rows_max: usize) -> Pending<Result<Vec<Row>, Fault>>;

    /// One row.
    fn row(&self, key: Vec<u8>) -> Pending<Result<Option<Vec<u8>>, Fault>>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub records_max: usize,
    pub bytes_max: usize,
}

/// The last record of a lane, without what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneEnd {
    pub lane: LaneId,
    pub position: Position,
    pub hash: Hash,
}

/// Everything one step wants kept, together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub lane: LaneId,
    /// The position of the lane's last record as the writer knows it; `Position::START` for a new lane.
    pub expect: Position,
    /// In order, every position greater than the one before, the first greater than `expect`. May be empty.
    pub records: Vec<Record>,
    /// `None` deletes. Later entries win.
    pub rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// No body, key or value is longer; what reaches a store was bounded far below this at the rim.
pub const VALUE_BYTES_MAX: usize = 256 << 20;

impl Batch {
    /// What every store asserts before it takes a batch: a broken one stops its caller and nobody else.
    ///
    /// # Panics
    /// When positions do not grow from `expect` on, do not fit a signed 64-bit integer, or a value is longer than
    /// [`VALUE_BYTES_MAX`].
    pub fn assert_well_formed(&self) {
        let mut tail = self.expect;
        for record in &self.records {
            assert!(record.position > tail, "positions grow: {:?} after {tail:?}", record.position);
            assert!(record.body.len() <= VALUE_BYTES_MAX, "a body is at most {VALUE_BYTES_MAX} bytes");
            tail = record.position;
        }
        assert!(i64::try_from(tail.to_u64()).is_ok(), "a position fits a signed 64-bit integer");
        for (key, value) in &self.rows {
            let longest = key.len().max(value.as_ref().map_or(0, Vec::len));
            assert!(longest <= VALUE_BYTES_MAX, "a key or value is at most {VALUE_BYTES_MAX} bytes");
        }
    }

    /// What it brings, without what goes with it.
    fn bytes(&self) -> usize {
        let records = self.records.iter().map(|record| record.body.len());
        let rows = self.rows.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
        records.chain(rows).sum()
    }

    /// Where the lane ends once this batch is kept.
    pub fn tail(&self) -> Position {
        self.records.last().map_or(self.expect, |record| record.position)
    }
}

pub type Row = (Vec<u8>, Vec<u8>);

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Kept and synced.
    Done,
    /// The lane does not end where the batch expected; nothing was kept.
    Conflict,
    /// Another node owns the lane by now; nothing was kept. Only a store that many nodes share answers so.
    Fenced,
    /// No space; nothing was kept. Reads go on, and commits succeed again once there is space.
    Full,
    /// It may be kept or not: read the lane again before anything else.
    Unknown(String),
}

/// The store could not read. Its own words, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store could not read: {0}")]
pub struct Fault(pub String);
