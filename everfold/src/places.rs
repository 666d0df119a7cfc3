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

/// A node, and where it is reached.
pub type Elsewhere = (NodeId, String);

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
    There(Arc<Elsewhere>),
    Nobody,
}

pub struct Places {
    begun: Instant,
    /// This node's lease in each of the databases.
    leases: Box<[Leased]>,
    held: Box<[AtomicBool]>,
    /// `None` where there is one node.
    map: Option<watch::Sender<Arc<Map>>>,
    /// Where new lanes are made is each node's turn.
    turns: AtomicUsize,
}

#[derive(Default)]
struct Leased {
    /// Milliseconds since this began; until when it holds.
    until: AtomicU64,
    /// The database did not say who has what when it was asked last.
    is_blind: AtomicBool,
}

/// Whose each shard is.
#[derive(Default)]
pub struct Map {
    spots: Vec<Spot>,
    /// Where shards are that lanes may be made in.
    makers: Vec<Spot>,
}

impl Map {
    fn of(spots: Vec<Spot>) -> Map {
        let mut makers = Vec::new();
        for (_, spot) in Shard::all().zip(&spots).filter(|(shard, _)| !shard.is_of_head()) {
            if *spot != Spot::Nobody && !makers.contains(spot) {
                makers.push(spot.clone());
            }
        }
        Map { spots, makers }
    }

    /// Where a place is; a new lane may be made at several.
    pub fn spots(&self, place: Place) -> &[Spot] {
        let one = |shard: usize| self.spots.get(shard..=shard).unwrap_or_default();
        match place {
            Place::Head => one(0),
            Place::Lane(lane) => one(index(Shard::of(lane))),
            Place::New => &self.makers,
        }
    }

    pub fn spot(&self, place: Place, turn: usize) -> Spot {
        let spots = self.spots(place);
        spots.get(turn % spots.len().max(1)).cloned().unwrap_or(Spot::Nobody)
    }
}

impl Places {
    /// One node, which has everything.
    pub fn alone() -> Places {
        Places::new(None, 0)
    }

    /// One of many that share so many databases; it has nothing yet.
    pub fn of_many(databases: usize) -> Places {
        Places::new(Some(watch::channel(Arc::default()).0), databases)
    }

    fn new(map: Option<watch::Sender<Arc<Map>>>, databases: usize) -> Places {
        let leases = (0..databases).map(|_| Leased::default()).collect();
        let held = (0..SHARDS).map(|_| AtomicBool::default()).collect();
        Places { begun: Instant::now(), leases, held, map, turns: AtomicUsize::default() }
    }

    /// Follows where things are; `None` where there is one node.
    pub fn follow(&self) -> Option<watch::Receiver<Arc<Map>>> {
        self.map.as_ref().map(watch::Sender::subscribe)
    }

    /// Whose turn it is to have a new lane made; what else is asked meanwhile takes none.
    pub fn turn(&self, place: Place) -> usize {
        if place == Place::New { self.turns.fetch_add(1, Ordering::Relaxed) } else { 0 }
    }

    pub fn now(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    /// Whether this process may answer what is asked of its own from memory: another node may have taken it over.
    pub fn may_answer(&self, place: Place) -> bool {
        match self.lease(place) {
            Some(lease) => self.now() < lease.until.load(Ordering::Relaxed),
            None => true,
        }
    }

    /// Whether it may not soon be known who has it, either.
    pub fn is_blind(&self, place: Place) -> bool {
        self.lease(place).is_some_and(|lease| lease.is_blind.load(Ordering::Relaxed))
    }

    fn lease(&self, place: Place) -> Option<&Leased> {
        match place {
            Place::Head => self.leases.first(),
            Place::Lane(_) if self.leases.is_empty() => None,
            Place::Lane(lane) => self.leases.get(Shard::of(lane).part(self.leases.len())),
            Place::New => None,
        }
    }

    pub fn renewed(&self, database: usize, until: u64) {
        self.leases[database].until.store(until, Ordering::Relaxed);
    }

    pub fn looked(&self, database: usize, is_known: bool) {
        self.leases[database].is_blind.store(!is_known, Ordering::Relaxed);
    }

    pub fn has(&self, shard: Shard) -> bool {
        self.held[index(shard)].load(Ordering::Acquire)
    }

    pub fn holds(&self, lane: LaneId) -> bool {
        self.map.is_none() || self.has(Shard::of(lane)) && self.may_answer(Place::Lane(lane))
    }

    pub fn gain(&self, shards: &[Shard]) {
        self.set(shards, true);
    }

    /// Whoever takes what was given back is known at the next look.
    pub fn lose(&self, shards: &[Shard]) {
        self.set(shards, false);
    }

    fn set(&self, shards: &[Shard], is_held: bool) {
        for shard in shards {
            self.held[index(*shard)].store(is_held, Ordering::Release);
        }
        self.draw(|spots| {
            for shard in shards {
                spots[index(*shard)] = if is_held { Spot::Here } else { Spot::Nobody };
            }
        });
    }

    /// What a database says of its shards; what is this node's is known here.
    pub fn know(&self, shards: impl Iterator<Item = Shard>, owners: &[Owned], own: NodeId) {
        self.draw(|spots| {
            for shard in shards {
                spots[index(shard)] = if self.has(shard) { Spot::Here } else { Spot::Nobody };
            }
            for Owned { node, address, shards } in owners.iter().filter(|owned| owned.node != own) {
                let there = Spot::There(Arc::new((*node, address.clone())));
                let others = shards.iter().filter(|shard| !self.has(**shard));
                others.for_each(|shard| spots[index(*shard)] = there.clone());
            }
        });
    }

    fn draw(&self, drawn: impl FnOnce(&mut [Spot])) {
        let Some(map) = &self.map else { return };
        map.send_modify(|map| {
            let mut spots = map.spots.clone();
            spots.resize(SHARDS.into(), Spot::Nobody);
            drawn(&mut spots);
            *map = Arc::new(Map::of(spots));
        });
    }
}

fn index(shard: Shard) -> usize {
    shard.number().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_lanes_are_made_by_one_node_after_the_other_whatever_is_asked_between() {
        let places = Places::of_many(1);
        let owners = [1, 2, 3].map(|node: u16| Owned {
            node: NodeId(node.into()),
            address: format!("node {node}"),
            shards: Shard::all().filter(|shard| shard.number() % 3 == node - 1).collect(),
        });
        places.know(Shard::all(), &owners, NodeId(4));
        let map = places.follow().expect("there are many").borrow().clone();
        let spot = |place| map.spot(place, places.turn(place));
        let mut made = Vec::new();
        for _ in 0..4 {
            made.push(spot(Place::New));
            // As who makes a hook and publishes its code: three requests for each, of three nodes.
            spot(Place::Lane(LaneId(7)));
            spot(Place::Head);
        }
        assert_eq!(made[0], made[3]);
        assert!((0..3).all(|one| made[one] != made[one + 1]), "{made:?}");
    }
}
