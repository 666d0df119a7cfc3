//! What must be true from outside, told only by what clients were answered and readers saw.

use std::collections::{HashMap, HashSet};

use rules::{
    hook::Entry,
    record::{Hash, LaneId, Seq},
};

/// What a writer was told.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub id: u128,
    pub seq: Seq,
    pub hash: Hash,
    pub body: Vec<u8>,
}

/// What a reader saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub version: u32,
    pub through: Seq,
    pub state: Option<String>,
}

/// One hook as the world knows it.
#[derive(Default)]
pub struct Model {
    pub acknowledged: Vec<Acknowledged>,
    /// The first receipt of each idempotency key, by the days that it is remembered.
    keyed: HashMap<(u64, u64), Acknowledged>,
    seen: Vec<Seen>,
}

/// A program of the simulation folds to a number that depends on every request, on their order, and on itself.
pub fn next_state(program: u64, state: Option<u64>, id: u128) -> u64 {
    let mixed = (state.unwrap_or(7) ^ (id as u64) ^ (id >> 64) as u64).wrapping_add(program);
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// The body that every program throws at.
pub const THROWS: &[u8] = b"throw";
/// How the source of program `n` begins.
pub const PROGRAM: &str = "program ";

impl Model {
    /// The highest seq that anybody was told of.
    pub fn highest(&self) -> Seq {
        self.acknowledged.iter().map(|told| told.seq).max().unwrap_or(Seq(0))
    }

    pub fn states_seen(&self) -> usize {
        self.seen.len()
    }

    /// A 2xx. `sent_after` is what the world knew when the request left; `key` and the days it was used in.
    pub fn acknowledge(&mut self, told: Acknowledged, sent_after: Seq, key: Option<(u64, u64)>) -> Result<(), String> {
        let first = match key {
            Some(key) => self.keyed.entry(key).or_insert_with(|| told.clone()),
            None => &told,
        };
        if (first.id, first.seq, first.hash) != (told.id, told.seq, told.hash) || first.body != told.body {
            return Err(format!("a repeated key was told {told:?} and not the first reply, {first:?}"));
        }
        // A repeated key is told of the past.
        if key.is_none() && told.seq <= sent_after {
            return Err(format!("{told:?} was sent after {sent_after:?} was acknowledged"));
        }
        self.acknowledged.push(told);
        Ok(())
    }

    /// A reader of this life; it never goes back.
    pub fn see(&mut self, seen: Seen, before: Seq) -> Result<(), String> {
        if seen.through < before {
            return Err(format!("a reader went back from {before:?} to {:?}", seen.through));
        }
        if self.seen.last() != Some(&seen) {
            self.seen.push(seen);
        }
        Ok(())
    }

    /// Holds a whole log against all of this.
    pub fn judge(&self, log: &[(Seq, Hash, Entry)]) -> Result<(), String> {
        let requests: Vec<_> = log
            .iter()
            .filter_map(|(seq, hash, entry)| match entry {
                Entry::Arrived { request, .. } => Some((*seq, *hash, request)),
                _ => None,
            })
            .collect();
        let mut ids = HashSet::new();
        for (index, (seq, _, request)) in requests.iter().enumerate() {
            if seq.0 != index as u64 + 1 || request.seq != seq.0 {
                return Err(format!("the seqs are not dense at {seq:?}"));
            }
            if !ids.insert(request.id) {
                return Err(format!("the request at {seq:?} is in the log twice"));
            }
        }
        for told in &self.acknowledged {
            let kept = requests.get(told.seq.0 as usize - 1).ok_or(format!("acknowledged {told:?} is lost"))?;
            if kept.2.id != told.id || kept.2.body.0 != told.body {
                return Err(format!("at {:?} stands another request than was acknowledged", told.seq));
            }
            if kept.1 != told.hash {
                return Err(format!("the receipt of {:?} is not the chain's hash", told.seq));
            }
        }
        self.seen.iter().try_for_each(|seen| self.explain(seen, log))
    }

    /// What a reader saw is one version's fold of a prefix of the log, each request once and in order.
    fn explain(&self, seen: &Seen, log: &[(Seq, Hash, Entry)]) -> Result<(), String> {
        let program = log.iter().find_map(|(_, _, entry)| match entry {
            Entry::Publishing { version, source, .. } if *version == seen.version => {
                source.strip_prefix(PROGRAM).and_then(|number| number.parse().ok())
            }
            _ => None,
        });
        let program: u64 = program.ok_or(format!("{seen:?}: nobody published this version"))?;
        let stopped: HashSet<Seq> = log
            .iter()
            .filter_map(|(_, _, entry)| match entry {
                Entry::Stopped { version, seq, .. } if *version == seen.version => Some(*seq),
                _ => None,
            })
            .collect();
        let mut state = None;
        let mut last = Seq(0);
        for (seq, _, entry) in log {
            let Entry::Arrived { request, .. } = entry else { continue };
            if *seq > seen.through {
                break;
            }
            last = *seq;
            if request.body.0 != THROWS && !stopped.contains(seq) {
                state = Some(next_state(program, state, request.id));
            }
        }
        if last != seen.through {
            return Err(format!("{seen:?}: the log ends at {last:?}"));
        }
        if state.map(|state| state.to_string()) != seen.state {
            return Err(format!("{seen:?} was seen; the log makes {state:?} of it"));
        }
        Ok(())
    }
}

/// How many lanes a simulation has.
pub const HOOKS: usize = 3;

/// A hook that was made, with what is known of it.
pub struct Known {
    pub hook: LaneId,
    pub model: Model,
}
