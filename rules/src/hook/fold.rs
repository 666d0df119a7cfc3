//! How far a version has folded the log, and what it came to.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    call::{Exports, Json, Program, Ran, Stop},
    canary::{self, Bug},
    record::{LaneId, Seq},
    row::{self, Fate, Head, KeyHash},
};

/// At least this many requests lie between two snapshots.
pub const SNAPSHOT_REQUESTS: u64 = 256;
/// A state up to this size is written after every batch; a larger one only as a snapshot.
pub const HEAD_BYTES: usize = 64 << 10;

/// One version's fold of the log, as far as it came.
#[derive(Clone, Debug)]
pub struct Fold {
    pub version: u32,
    pub program: Arc<Program>,
    pub exports: Exports,
    pub state: Option<Json>,
    pub through: Seq,
    /// A worker has the next batch.
    pub running: bool,
    snapshot: Seq,
    bytes_since_snapshot: usize,
}

/// One request that a worker folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    pub seq: Seq,
    pub forced: bool,
    pub request_bytes: usize,
    /// Its idempotency key, where it has one of its own.
    pub key: Option<KeyHash>,
    pub came: Came,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    Ran(Ran<Json>),
    /// An earlier one had its key; the reducer was not run.
    Duplicate {
        of: Seq,
    },
}

/// A backstop's decision that has to be kept in the log.
pub struct Stopped {
    pub seq: Seq,
    pub stop: Stop,
}

impl Fold {
    /// The fold of a version behind `begin`, from its head where that is not older.
    pub fn begin(version: u32, program: Arc<Program>, exports: Exports, begin: Seq, head: Option<Head>) -> Fold {
        let head = head.filter(|head| head.through > begin);
        let Head { mut through, state } = head.unwrap_or(Head { through: begin, state: None });
        if canary::is_planted(Bug::FoldedTwice) {
            through.0 = through.0.saturating_sub(1);
        }
        Fold { version, program, exports, state, through, running: false, snapshot: through, bytes_since_snapshot: 0 }
    }

    /// Takes what a worker made of the requests up to `through`; answers with the rows to write and what to record.
    pub fn take(&mut self, lane: LaneId, folded: Vec<Folded>, through: Seq) -> (Vec<row::Change>, Vec<Stopped>) {
        let mut rows = Vec::new();
        let mut stopped = Vec::new();
        for Folded { seq, forced, request_bytes, key, came } in folded {
            assert!(seq > self.through, "a request is folded once, and in order");
            self.through = seq;
            self.bytes_since_snapshot += request_bytes;
            let ran = match came {
                Came::Ran(ran) => ran,
                Came::Duplicate { of } => {
                    rows.push((row::duplicate(lane, self.version, seq), Some(row::encode(&of))));
                    continue;
                }
            };
            let (error, stop) = match ran.result {
                Ok(state) => {
                    self.state = Some(state);
                    (None, None)
                }
                Err(failure) => (Some(failure.error), failure.stop),
            };
            let is_recorded = stop.is_some_and(|stop| !stop.is_replayable());
            if let Some(stop) = stop.filter(|_| is_recorded && !forced) {
                stopped.push(Stopped { seq, stop });
            }
            if let Some(key) = key.filter(|_| !is_recorded) {
                rows.push((row::keyed(lane, self.version, &key), Some(row::encode(&seq))));
            }
            if error.is_some() || !ran.console.is_empty() {
                let fate = Fate { error, stop, console: ran.console };
                rows.push((row::fate(lane, self.version, seq), Some(row::encode(&fate))));
            }
        }
        self.through = self.through.max(through);
        self.keep(lane, &mut rows);
        (rows, stopped)
    }

    /// A snapshot when enough was folded since the last to be worth its bytes, so that all snapshots together are
    /// never larger than the log; else only the head, if it is small.
    fn keep(&mut self, lane: LaneId, rows: &mut Vec<row::Change>) {
        let state_bytes = self.state.as_ref().map_or(0, |state| state.len());
        let is_due = self.through.0 - self.snapshot.0 >= SNAPSHOT_REQUESTS && self.bytes_since_snapshot >= state_bytes;
        if !is_due && state_bytes > HEAD_BYTES {
            return;
        }
        let (key, head) = self.head_row(lane);
        if is_due {
            rows.push((row::snapshot(lane, self.version, self.through), head.clone()));
            self.snapshot = self.through;
            self.bytes_since_snapshot = 0;
        }
        rows.push((key, head));
    }

    pub(super) fn head_row(&self, lane: LaneId) -> row::Change {
        let head = Head { through: self.through, state: self.state.clone() };
        (row::head(lane, self.version), Some(row::encode(&head)))
    }
}
