//! What may be under way at once: so many writes, so many bytes, and for no hook more than is left for the others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use rules::{record::LaneId, refusal::Refusal};

/// Writes between their head and their reply, over all hooks.
pub const WRITES_MAX: usize = 4_096;
/// The bytes of their bodies that have come so far. On its way to the disk each is in memory a few times.
pub const WRITE_BYTES_MAX: usize = 64 << 20;

/// Refuses what cannot be kept promptly before anything of it is kept.
///
/// A hook may hold as much as nobody holds: alone it gets half, and whoever comes next still finds room.
#[derive(Default)]
pub struct Admission {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    all: Share,
    by_hook: HashMap<Hook, Share>,
}

/// Writes to keys that lead to no hook count as those of one.
type Hook = Option<LaneId>;

#[derive(Clone, Copy, Default)]
struct Share {
    writes: usize,
    bytes: usize,
}

/// One write's place, given back when it is dropped.
pub struct Place {
    admission: Arc<Admission>,
    hook: Hook,
    bytes: usize,
}

impl Admission {
    pub fn enter(self: &Arc<Self>, hook: Hook) -> Result<Place, Refusal> {
        let mut held = self.lock();
        let own = held.by_hook.get(&hook).copied().unwrap_or_default();
        if own.writes >= WRITES_MAX - held.all.writes {
            return Err(Refusal::BUSY);
        }
        held.all.writes += 1;
        held.by_hook.entry(hook).or_default().writes += 1;
        Ok(Place { admission: self.clone(), hook, bytes: 0 })
    }

    /// Writes under way, and the bytes of their bodies.
    pub fn held(&self) -> (usize, usize) {
        let all = self.lock().all;
        (all.writes, all.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no thread panics while it holds this")
    }
}

impl Place {
    /// Counts bytes that have come, before they are kept anywhere.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let mut held = self.admission.lock();
        let left = WRITE_BYTES_MAX - held.all.bytes;
        let own = held.by_hook.get_mut(&self.hook).expect("it has a place");
        if own.bytes + bytes > left {
            return Err(Refusal::BUSY);
        }
        own.bytes += bytes;
        held.all.bytes += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.admission.lock();
        held.all.writes -= 1;
        held.all.bytes -= self.bytes;
        let own = held.by_hook.get_mut(&self.hook).expect("it has a place");
        own.writes -= 1;
        own.bytes -= self.bytes;
        if own.writes == 0 {
            held.by_hook.remove(&self.hook);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(number: u128) -> Hook {
        Some(LaneId(number))
    }

    /// As many places as one hook gets.
    fn all_of(admission: &Arc<Admission>, number: u128) -> Vec<Place> {
        std::iter::from_fn(|| admission.enter(hook(number)).ok()).collect()
    }

    #[test]
    fn a_hook_that_takes_all_it_can_leaves_room_for_the_next() {
        let admission = Arc::new(Admission::default());
        let first = all_of(&admission, 1);
        let second = all_of(&admission, 2);
        assert_eq!((first.len(), second.len()), (WRITES_MAX / 2, WRITES_MAX / 4));
        drop(first);
        assert!(all_of(&admission, 3).len() > WRITES_MAX / 4, "what was given back can be had again");
    }

    #[test]
    fn bytes_are_bounded_over_all_writes_and_given_back() {
        let admission = Arc::new(Admission::default());
        let mut place = admission.enter(hook(1)).unwrap();
        place.hold(WRITE_BYTES_MAX / 2).unwrap();
        assert_eq!(place.hold(1), Err(Refusal::BUSY));
        let mut other = admission.enter(hook(2)).unwrap();
        other.hold(WRITE_BYTES_MAX / 4).unwrap();
        assert_eq!(other.hold(1), Err(Refusal::BUSY));
        drop((place, other));
        let held = admission.lock();
        assert_eq!((held.all.writes, held.all.bytes, held.by_hook.len()), (0, 0, 0));
    }
}
