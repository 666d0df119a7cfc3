//! What is asked of a store while its disk is watched, and what the store must hold afterwards.

use std::{collections::BTreeMap, num::NonZeroU32};

use rules::record::{Hash, LaneId, Position, Record, Seq};
use store::{
    Batch, Commit, Extent, Order, Store,
    sqlite::{Options, Seal, Sqlite},
};

use crate::disk::{Chance, Disk};

pub const LANES: usize = 5;
const ALL: Extent = Extent { records_max: usize::MAX, bytes_max: usize::MAX };

/// What the test notes between the calls of the disk: lane, and how many of its batches.
#[derive(Clone, Copy, Debug)]
pub enum Note {
    Asked(usize, usize),
    Done(usize, usize),
    /// After a failure it was read how many there are.
    Settled(usize, usize),
}

/// Everything that happens rarely happens all the time.
pub fn options(vfs: Option<&'static str>) -> Options {
    let seal = Seal { keep_records: NonZeroU32::new(4).expect("not 0"), chunk_bytes_max: 2_000, rest: 0 };
    Options { vfs, seal, log_bytes_due: 30 * 8_192 }
}

/// Runs a future to its end. The store brings its own threads.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

pub fn lane(number: usize) -> LaneId {
    LaneId((number as u128 + 1) << 60)
}

/// What was asked of each lane, in order; and of each the last batch that was not acknowledged and not seen afterwards,
/// behind how many others.
#[derive(Clone, Default)]
pub struct Asked(pub [Vec<Batch>; LANES], [Option<(usize, Batch)>; LANES]);

type Kept = (Vec<Record>, BTreeMap<Vec<u8>, Vec<u8>>);

impl Asked {
    /// The next batch of a lane: what the engine does to a store, of every kind.
    pub fn next(&mut self, number: usize, chance: &mut Chance) -> Batch {
        let before = &self.0[number];
        let (expect, mut hash) = end(before);
        let key = |name: &str| format!("{number} {name}").into_bytes();
        let mut records: u64 = 1;
        let mut rows = Vec::new();
        match chance.below(16) {
            0 => records = 40,
            1 => records = 0,
            // A snapshot, and the one before it goes.
            2 => rows.extend([(key("snapshot"), Some(noise(chance, 40_000))), (key("older"), None)]),
            3 => rows.push((key("older"), Some(noise(chance, 9_000)))),
            // A publication writes many rows at once, and the next one deletes some of them.
            4 => rows.extend((0..120).map(|row| (key(&format!("published {row}")), Some(noise(chance, 30))))),
            5 => rows.extend((0..120).step_by(3).map(|row| (key(&format!("published {row}")), None))),
            more => records = 1 + more % 3,
        }
        let head = noise(chance, 100);
        rows.push((key("head"), Some(head)));
        rows.push((key("count"), Some((before.len() as u64 + 1).to_be_bytes().to_vec())));
        let records = (1..=records).map(|step| {
            let position = Position::of_request(Seq(expect.seq().0 + step));
            let length = if chance.below(40) == 0 { 30_000 } else { 50 + chance.index(400) };
            let body = noise(chance, length);
            hash = hash.chain(position, &body);
            Record { position, hash, body }
        });
        let batch = Batch { lane: lane(number), expect, records: records.collect(), rows };
        self.0[number].push(batch.clone());
        batch
    }

    /// Forgets the last batch of a lane.
    pub fn give_up(&mut self, number: usize) {
        if let Some(batch) = self.0[number].pop() {
            // What is given up while the store refuses everything was never tried.
            let before = self.0[number].len();
            if self.1[number].as_ref().is_none_or(|(known, _)| *known != before) {
                self.1[number] = Some((before, batch));
            }
        }
    }

    /// As if what was given up last on a lane had been kept, and nothing behind it.
    pub fn with_given_up(&self, number: usize) -> Option<Asked> {
        let (before, batch) = self.1[number].clone()?;
        let mut asked = self.clone();
        asked.0[number].truncate(before);
        asked.0[number].push(batch);
        Some(asked)
    }

    /// The value of a row after all batches of a lane.
    pub fn row(&self, number: usize, key: &[u8]) -> Option<Vec<u8>> {
        self.after(number, self.0[number].len()).1.remove(key)
    }

    /// What a lane holds after its first batches.
    fn after(&self, number: usize, batches: usize) -> Kept {
        let (mut records, mut rows) = Kept::default();
        for batch in &self.0[number][..batches] {
            records.extend(batch.records.iter().cloned());
            for (key, value) in batch.rows.iter().cloned() {
                match value {
                    Some(value) => drop(rows.insert(key, value)),
                    None => drop(rows.remove(&key)),
                }
            }
        }
        (records, rows)
    }

    /// How many batches of a lane are there: as many as `count` says, each of them whole, and nothing else.
    pub fn kept(&self, store: &Sqlite, number: usize) -> Result<usize, String> {
        let prefix = format!("{number} ");
        let range = (prefix.clone().into_bytes(), format!("{number}!").into_bytes());
        let rows =
            wait(store.rows(range.0, range.1, Order::Ascending, usize::MAX)).map_err(|fault| fault.to_string())?;
        let records = wait(store.read(lane(number), Position::START, ALL)).map_err(|fault| fault.to_string())?;
        let mut hash = Hash::NONE;
        for record in &records {
            hash = hash.chain(record.position, &record.body);
            if hash != record.hash {
                return Err(format!("lane {:032x} could not read: its chain breaks", lane(number).0));
            }
        }
        let last = wait(store.last(lane(number), Position::from_u64(u64::MAX))).map_err(|fault| fault.to_string())?;
        let rows: BTreeMap<_, _> = rows.into_iter().collect();
        let count = rows.get(format!("{number} count").as_bytes());
        let count = count.map_or(0, |count| u64::from_be_bytes(count[..].try_into().expect("a number")));
        let count = usize::try_from(count).expect("small");
        if count > self.0[number].len() {
            return Err(format!("lane {number} has {count} batches, and only {} were asked", self.0[number].len()));
        }
        let expected = self.after(number, count);
        if rows != expected.1 {
            return Err(format!("lane {number} has not the rows of its first {count} batches"));
        }
        if records != expected.0 {
            let (found, wanted) = (records.len(), expected.0.len());
            return Err(format!(
                "lane {number} has not the {wanted} records of its first {count} batches, but {found}"
            ));
        }
        if last.as_ref() != expected.0.last() {
            return Err(format!("lane {number} does not end with its last record"));
        }
        Ok(count)
    }
}

/// Where the batches of a lane end.
fn end(batches: &[Batch]) -> (Position, Hash) {
    let last = batches.iter().rev().find_map(|batch| batch.records.last());
    last.map_or((Position::START, Hash::NONE), |record| (record.position, record.hash))
}

/// Half of it is text, so that compressing has something to do.
pub fn noise(chance: &mut Chance, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 16);
    while bytes.len() < length {
        bytes.extend_from_slice(&chance.next().to_be_bytes());
        bytes.extend_from_slice(b"and more");
    }
    bytes.truncate(length);
    bytes
}

/// Commits one batch on each of these lanes at the same time; all must be done.
pub fn commit(store: &Sqlite, disk: &Disk<Note>, asked: &mut Asked, lanes: &[usize], chance: &mut Chance) {
    let mut waiting = Vec::new();
    for number in lanes {
        let batch = asked.next(*number, chance);
        let count = asked.0[*number].len();
        disk.note(Note::Asked(*number, count));
        waiting.push((*number, count, store.commit(batch)));
    }
    for (number, count, commit) in waiting {
        assert_eq!(wait(commit), Commit::Done);
        disk.note(Note::Done(number, count));
    }
}
