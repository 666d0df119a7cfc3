//! How far a version has folded the log, and what it came to.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    call::{Json, Program, Ran, Stop},
    canary::{self, Bug},
    record::{At, LaneId, Seq},
    row::{self, Fate, Head},
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
    pub state: Option<Json>,
    pub through: Seq,
    /// A worker has the next batch.
    pub running: bool,
    /// When it began; for a refold's progress.
    pub since: At,
    snapshot: Seq,
    bytes_since_snapshot: usize,
}

/// One request that a worker folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    pub seq: Seq,
    pub forced: bool,
    pub request_bytes: usize,
    pub ran: Ran<Json>,
}

/// A backstop's decision that has to be kept in the log.
pub struct Stopped {
    pub seq: Seq,
    pub stop: Stop,
}

impl Fold {
    pub fn begin(version: u32, program: Arc<Program>, head: Option<Head>, at: At) -> Fold {
        let Head { mut through, state } = head.unwrap_or(Head { through: Seq(0), state: None });
        if canary::is_planted(Bug::FoldedTwice) {
            through.0 = through.0.saturating_sub(1);
        }
        Fold { version, program, state, through, running: false, since: at, snapshot: through, bytes_since_snapshot: 0 }
    }

    /// Takes what a worker made of the requests up to `through`; answers with the rows to write and what to record.
    pub fn take(&mut self, lane: LaneId, folded: Vec<Folded>, through: Seq) -> (Vec<row::Change>, Vec<Stopped>) {
        let mut rows = Vec::new();
        let mut stopped = Vec::new();
        for Folded { seq, forced, request_bytes, ran } in folded {
            assert!(seq > self.through, "a request is folded once, and in order");
            self.through = seq;
            self.bytes_since_snapshot += request_bytes;
            let (error, stop) = match ran.result {
                Ok(state) => {
                    self.state = Some(state);
                    (None, None)
                }
                Err(failure) => (Some(failure.error), failure.stop),
            };
            if let Some(stop) = stop.filter(|stop| !stop.is_replayable() && !forced) {
                stopped.push(Stopped { seq, stop });
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
        let head = row::encode(&Head { through: self.through, state: self.state.clone() });
        if is_due {
            rows.push((row::snapshot(lane, self.version, self.through), Some(head.clone())));
            self.snapshot = self.through;
            self.bytes_since_snapshot = 0;
        }
        rows.push((row::head(lane, self.version), Some(head)));
    }
}
