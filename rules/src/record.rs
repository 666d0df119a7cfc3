//! What a log is made of: lanes, positions, chained hashes.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::canary::{self, Bug};

/// One serial line of work over one log: a hook, a run, a queue. 128 random bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneId(pub u128);

impl LaneId {
    /// The last bits of a placed id follow from the others; no other id has them, but for one in 2^48.
    const MARK_BITS: u32 = 48;

    /// A lane that is apart from all others of its account, and may be where they are not. Its id tells.
    pub fn placed(drawn: u128) -> LaneId {
        let first = drawn >> Self::MARK_BITS << Self::MARK_BITS;
        let hash = blake3::derive_key("everfold 2026-11-23 a lane apart", &first.to_be_bytes());
        let (mark, _) = hash.split_first_chunk().expect("32 bytes hold 8");
        LaneId(first | u128::from(u64::from_be_bytes(*mark) >> (u64::BITS - Self::MARK_BITS)))
    }

    pub fn is_placed(self) -> bool {
        LaneId::placed(self.0) == self
    }

    /// The lane of something else that this one has exactly one of. `what` is of this program and this use alone.
    pub fn derived(self, what: &'static str) -> LaneId {
        let hash = blake3::derive_key(what, &self.0.to_be_bytes());
        let (first, _) = hash.split_first_chunk().expect("32 bytes hold 16");
        LaneId(u128::from_be_bytes(*first))
    }
}

/// The number of a request within its hook: 1..n, no gap, no number used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// Milliseconds since 1970, handed in by the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct At(pub u64);

/// Where a record stands in its lane.
///
/// A request with seq `s` stands at `s.0`; notes that follow it (a publish, a new key) stand at `s.1`, `s.2`, … So
/// the place of a request is known from its seq, without an index. Positions grow; they are not dense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position(u64);

impl Position {
    const NOTE_BITS: u32 = 24;
    /// Before every record.
    pub const START: Position = Position(0);

    pub fn of_request(seq: Seq) -> Position {
        assert!(seq.0 < 1 << (63 - Self::NOTE_BITS), "a lane holds at most 2^39 requests");
        Position(seq.0 << Self::NOTE_BITS)
    }

    /// The place of a note written after what stands here; `None` when 16 million notes stand between two requests.
    pub fn next_note(self) -> Option<Position> {
        let next = self.0 + 1;
        (next & ((1 << Self::NOTE_BITS) - 1) != 0).then_some(Position(next))
    }

    pub fn seq(self) -> Seq {
        Seq(self.0 >> Self::NOTE_BITS)
    }

    pub fn is_request(self) -> bool {
        self.0 != 0 && self.0.trailing_zeros() >= Self::NOTE_BITS
    }

    /// As a store keeps it: fits a signed 64-bit integer.
    pub fn to_u64(self) -> u64 {
        self.0
    }

    pub fn from_u64(value: u64) -> Position {
        Position(value)
    }
}

/// BLAKE3 over the record before, the position and the body: a receipt covers everything that came earlier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first record of a lane is chained to.
    pub const NONE: Hash = Hash([0; 32]);

    pub fn chain(self, position: Position, body: &[u8]) -> Hash {
        let before = if canary::is_planted(Bug::HashNotChained) { Hash::NONE } else { self };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&before.0).update(&position.0.to_be_bytes()).update(body);
        Hash(*hasher.finalize().as_bytes())
    }
}

impl core::fmt::Display for Hash {
    fn fmt(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        f.write_str(core::str::from_utf8(&text).expect("digits are text"))
    }
}

impl core::fmt::Debug for Hash {
    fn fmt(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

/// One entry of a log, as a store keeps it. What the body means is the lane's affair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub position: Position,
    pub hash: Hash,
    pub body: Vec<u8>,
}

/// The end of a log that holds notes alone: of an account, of the server's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub tail: Position,
    hash: Hash,
}

impl End {
    pub const OF_NOTHING: End = End { tail: Position::START, hash: Hash::NONE };

    /// Where a log ends whose last record this is.
    pub fn of(last: &Record) -> End {
        End { tail: last.position, hash: last.hash }
    }

    /// The record of one more note.
    ///
    /// # Panics
    /// When 16 million notes stand in the log already.
    pub fn note(&mut self, body: Vec<u8>) -> Record {
        self.tail = self.tail.next_note().expect("a log of notes alone holds fewer than 16 million");
        self.hash = self.hash.chain(self.tail, &body);
        Record { position: self.tail, hash: self.hash, body }
    }
}

/// The end of a log in which what arrives is numbered as requests are; all else is noted behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    pub tail: Position,
    hash: Hash,
}

impl Journal {
    pub const EMPTY: Journal = Journal { tail: Position::START, hash: Hash::NONE };

    /// Of what arrived last.
    pub fn seq(&self) -> Seq {
        self.tail.seq()
    }

    pub fn arrived(&mut self, body: Vec<u8>) -> Record {
        self.push(Position::of_request(Seq(self.seq().0 + 1)), body)
    }

    /// # Panics
    /// When 16 million notes stand behind the last arrival.
    pub fn note(&mut self, body: Vec<u8>) -> Record {
        self.push(self.tail.next_note().expect("fewer than 16 million notes between two arrivals"), body)
    }

    fn push(&mut self, position: Position, body: Vec<u8>) -> Record {
        (self.tail, self.hash) = (position, self.hash.chain(position, &body));
        Record { position, hash: self.hash, body }
    }
}
