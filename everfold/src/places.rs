//! Where everything is: which shards are this node's, and whose the others are, as far as is known here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use rules::record::LaneId;
use store::postgres::{NodeId, Owned, SHARDS, Shard};
use tokio::sync::watch;

use crate::keeping::Elsewhere;

/// What is asked for, as far as it says where it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With all that is not apart.
    Head,
    Lane(LaneId),
    /// Wherever a new lane may be.
    New,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    Here,
    There(Elsewhere),
    Nobody,
}

pub struct Places {
    begun: Instant,
    /// Milliseconds since then; until when the lease holds.
    until: AtomicU64,
    /// The database did not say when it was asked last.
    is_blind: AtomicBool,
    held: Box<[AtomicBool]>,
    /// `None` where there is one node.
    map: Option<watch::Sender<Arc<Map>>>,
    /// Where new lanes are made is each node's turn.
    turns: AtomicUsize,
}

/// Whose each shard is.
#[derive(Default)]
pub struct Map {
    others: Vec<Elsewhere>,
    /// An index of the others.
    of: Vec<Option<usize>>,
    here: Vec<bool>,
    /// Nodes that have shards; `None` is this one.
    holders: Vec<Option<usize>>,
}

impl Map {
    pub fn spot(&self, place: Place, turn: usize) -> Spot {
        let shard = match place {
            Place::Head => 0,
            Place::Lane(lane) => usize::from(Shard::of(lane).number()),
            Place::New => {
                return match self.holders.get(turn % self.holders.len().max(1)) {
                    Some(Some(other)) => Spot::There(self.others[*other].clone()),
                    Some(None) => Spot::Here,
                    None => Spot::Nobody,
                };
            }
        };
        match (self.here.get(shard), self.of.get(shard)) {
            (Some(true), _) => Spot::Here,
            (_, Some(Some(other))) => Spot::There(self.others[*other].clone()),
            _ => Spot::Nobody,
        }
    }
}

impl Places {
    /// One node, which has everything.
    pub fn alone() -> Places {
        Places::new(None, u64::MAX, true)
    }

    /// One of many, which has nothing yet.
    pub fn of_many() -> Places {
        Places::new(Some(watch::channel(Arc::default()).0), 0, false)
    }

    fn new(map: Option<watch::Sender<Arc<Map>>>, until: u64, is_held: bool) -> Places {
        let held = (0..SHARDS).map(|_| AtomicBool::new(is_held)).collect();
        let (begun, turns) = (Instant::now(), AtomicUsize::new(0));
        Places { begun, until: AtomicU64::new(until), is_blind: AtomicBool::new(false), held, map, turns }
    }

    /// Follows where things are; `None` where there is one node.
    pub fn follow(&self) -> Option<watch::Receiver<Arc<Map>>> {
        self.map.as_ref().map(watch::Sender::subscribe)
    }

    pub fn turn(&self) -> usize {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    pub fn now(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    /// Whether this process may answer from memory at all.
    pub fn is_leased(&self) -> bool {
        self.now() < self.until.load(Ordering::Relaxed)
    }

    /// Whether it may soon be known who has what.
    pub fn looks(&self) -> bool {
        !self.is_blind.load(Ordering::Relaxed)
    }

    pub fn looked(&self, is_known: bool) {
        self.is_blind.store(!is_known, Ordering::Relaxed);
    }

    pub fn renewed(&self, until: u64) {
        self.until.store(until, Ordering::Relaxed);
    }

    pub fn has(&self, shard: Shard) -> bool {
        self.held[usize::from(shard.number())].load(Ordering::Acquire)
    }

    pub fn holds(&self, lane: LaneId) -> bool {
        self.map.is_none() || self.is_leased() && self.has(Shard::of(lane))
    }

    pub fn held(&self) -> impl Iterator<Item = Shard> {
        Shard::all().filter(|shard| self.has(*shard))
    }

    pub fn gain(&self, shards: &[Shard]) {
        self.set(shards, true);
    }

    pub fn lose(&self, shards: &[Shard]) {
        self.set(shards, false);
    }

    fn set(&self, shards: &[Shard], is_held: bool) {
        for shard in shards {
            self.held[usize::from(shard.number())].store(is_held, Ordering::Release);
        }
        let Some(map) = &self.map else { return };
        map.send_modify(|map| {
            let (others, mut of) = (map.others.clone(), map.of.clone());
            // Whoever takes what was given back is known at the next look.
            for shard in shards {
                of.get_mut(usize::from(shard.number())).map(|of| of.take());
            }
            *map = Arc::new(self.map_of(others, of));
        });
    }

    /// What the database says of it; what is this node's is known here.
    pub fn know(&self, owners: &[Owned], own: NodeId) {
        let Some(map) = &self.map else { return };
        let mut of = vec![None; usize::from(SHARDS)];
        let mut others = Vec::new();
        for Owned { node, address, shards } in owners.iter().filter(|owned| owned.node != own) {
            shards.iter().for_each(|shard| of[usize::from(shard.number())] = Some(others.len()));
            others.push((*node, address.clone()));
        }
        map.send_replace(Arc::new(self.map_of(others, of)));
    }

    fn map_of(&self, others: Vec<Elsewhere>, of: Vec<Option<usize>>) -> Map {
        let here: Vec<bool> = Shard::all().map(|shard| self.has(shard)).collect();
        let is_any_here = Shard::all().any(|shard| !shard.is_of_head() && self.has(shard));
        let own = is_any_here.then_some(None);
        let holders = (0..others.len()).filter(|other| of.contains(&Some(*other))).map(Some).chain(own).collect();
        Map { others, of, here, holders }
    }
}
