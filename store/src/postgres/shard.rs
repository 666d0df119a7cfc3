//! Which lanes are owned together, in which database, by whom, and for the how-manieth time.

use std::fmt;

use rules::record::LaneId;

/// How many shards there are, for good: a lane must be in the same one for every node.
pub const SHARDS: u16 = 4_096;

/// The first of them hold what is not apart: accounts, runs, jobs, functions, schedules. One node owns all of these.
pub const HEAD_SHARDS: u16 = 16;

/// The most databases that one store may be in.
pub const PARTS_MAX: usize = 64;

/// Lanes that are owned together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u16);

impl Shard {
    /// Of the hash of its id: some ids begin with the time, and would be neighbours.
    pub fn of(lane: LaneId) -> Shard {
        let hash = blake3::hash(&lane.0.to_be_bytes());
        let [first, second, ..] = *hash.as_bytes();
        let hash = u16::from_be_bytes([first, second]);
        Shard(if lane.is_placed() { HEAD_SHARDS + hash % (SHARDS - HEAD_SHARDS) } else { hash % HEAD_SHARDS })
    }

    pub fn is_of_head(self) -> bool {
        self.0 < HEAD_SHARDS
    }

    pub fn all() -> impl Iterator<Item = Shard> {
        (0..SHARDS).map(Shard)
    }

    /// Which of so many databases has it. Those of one are neighbours, and of those that are apart each has as many; the
    /// head's are in the first.
    pub fn part(self, parts: usize) -> usize {
        let apart = usize::from(self.0.saturating_sub(HEAD_SHARDS));
        apart * parts / usize::from(SHARDS - HEAD_SHARDS)
    }

    pub fn number(self) -> u16 {
        self.0
    }

    /// As the database keeps it.
    pub(super) fn signed(self) -> i64 {
        self.0.into()
    }

    pub(super) fn from_signed(id: i64) -> Option<Shard> {
        u16::try_from(id).ok().filter(|number| *number < SHARDS).map(Shard)
    }
}

/// One of the databases that a store is in, by its place among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 0 on.
    pub number: usize,
    pub of: usize,
}

impl Part {
    /// The only one.
    pub(super) const WHOLE: Part = Part { number: 0, of: 1 };

    pub fn shards(self) -> impl Iterator<Item = Shard> {
        Shard::all().filter(move |shard| shard.part(self.of) == self.number)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "number {} of {}", self.number + 1, self.of)
    }
}

/// How often a shard was claimed. What is committed under an epoch that has passed is fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub(super) i64);

/// A process, from its start to its end: drawn anew at each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub u128);

impl fmt::Display for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

/// What other nodes, and whoever looks after them, are told of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: NodeId,
    /// Where other nodes reach it: a host with its port. Without one it is none of those that share the shards evenly.
    pub address: String,
    /// Drawn once for its directory, which one process at a time has.
    pub home: [u8; 16],
    pub version: String,
}
