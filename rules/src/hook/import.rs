//! A hook that comes from elsewhere, record by record.

use alloc::{string::String, vec::Vec};

use super::{Config, Entry, Hook, Step};
use crate::{
    access::KeyKind,
    record::{At, LaneId, Position, Record},
    row::{self, Fate},
};
use alloc::sync::Arc;

impl Hook {
    /// Takes over the next record of an exported log; `None` when it does not follow from those before. What leads to a
    /// hook (its owner, its keys) stays where it came from.
    pub fn follow(&mut self, record: &Record, rows: &mut Vec<row::Change>) -> Option<()> {
        let entry: Entry = row::decode(&record.body)?;
        let is_chained = self.hash.chain(record.position, &record.body) == record.hash;
        let seq = self.seq();
        let follows = match &entry {
            Entry::Arrived { request, .. } => {
                record.position == Position::of_request(crate::record::Seq(seq.0 + 1)) && request.seq == seq.0 + 1
            }
            Entry::Created { .. } => self.tail == Position::START && Some(record.position) == self.tail.next_note(),
            Entry::Deleted { .. } => false,
            _ => self.tail != Position::START && Some(record.position) == self.tail.next_note(),
        };
        if !is_chained || !follows {
            return None;
        }
        Arc::make_mut(&mut self.config).apply(&entry, seq);
        match &entry {
            Entry::Created { .. } | Entry::Given { .. } => {}
            Entry::KeyMade { .. } | Entry::KeyPaused { .. } | Entry::KeyRevoked { .. } => {}
            Entry::Stopped { version, seq, stop, .. } => {
                let fate = Fate { error: None, stop: Some(*stop), console: Vec::new() };
                rows.push((row::fate(self.lane, *version, *seq), Some(row::encode(&fate))));
            }
            entry => row::of_note(self.lane, seq, entry, &self.config, rows),
        }
        (self.tail, self.hash) = (record.position, record.hash);
        Some(())
    }

    /// The log is whole: the hook is its new owner's, with new keys.
    pub fn settle(&mut self, owner: LaneId, [read, write]: [String; 2], at: At) -> Step {
        let mut step = Step::default();
        self.note(Entry::Moved { owner, at }, &mut step);
        self.note(Entry::KeyMade { key: read, kind: KeyKind::Read, at }, &mut step);
        self.note(Entry::KeyMade { key: write, kind: KeyKind::Write, at }, &mut step);
        self.keep_config(&mut step);
        step
    }

    /// Nothing was taken over yet.
    pub fn is_blank(&self) -> bool {
        self.tail == Position::START
    }
}

impl Config {
    pub(super) fn moved(&mut self, owner: LaneId) {
        self.owner = owner;
        self.keys.clear();
        self.refolding = None;
    }
}
