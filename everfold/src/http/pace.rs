//! How fast a guest's hook may be written to with one key, and how fast a guest begins runs and opens hosted pages.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use rules::record::At;

/// The span that writes are counted over.
const SPAN_MS: u64 = 60_000;
/// Keys whose writes are counted at a time. With more than that at once, all begin anew: memory comes first.
const KEYS_MAX: usize = 50_000;
/// How long it is remembered whose hook a key writes to, once it was too fast.
const OWNER_MS: u64 = 5_000;

/// Counts writes by key: those of this minute, and of the one before as much as still lies within 60 seconds.
pub struct Pace {
    /// 0: nothing is counted.
    writes_per_minute: u32,
    counts: Mutex<HashMap<String, Count>>,
}

#[derive(Clone, Copy)]
struct Count {
    since: At,
    now: u32,
    before: u32,
    owner: Option<(Owner, At)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Guest,
    User,
}

/// What to do with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    Free,
    /// Too many, if the hook is a guest's: find out and call `learn`.
    WhoseHook,
    /// Too many, and worth trying again after so many seconds.
    TooFast {
        retry_after_s: u32,
    },
}

impl Pace {
    pub fn new(writes_per_minute: u32) -> Pace {
        Pace { writes_per_minute, counts: Mutex::default() }
    }

    /// A write with this key. Only those that pass are counted.
    pub fn enter(&self, key: &str, at: At) -> Pass {
        if self.writes_per_minute == 0 {
            return Pass::Free;
        }
        let mut counts = self.lock();
        let Some(count) = counts.get_mut(key) else {
            make_room(&mut counts, at);
            counts.insert(key.to_owned(), Count { since: at, now: 1, before: 0, owner: None });
            return Pass::Free;
        };
        count.turn(at);
        let is_free = count.within_span(at) < self.writes_per_minute.into();
        match count.owner.filter(|(_, known)| at.0.saturating_sub(known.0) < OWNER_MS) {
            _ if is_free => {}
            Some((Owner::User, _)) => {}
            Some((Owner::Guest, _)) => {
                return Pass::TooFast { retry_after_s: count.retry_after_s(self.writes_per_minute, at) };
            }
            None => return Pass::WhoseHook,
        }
        count.now = count.now.saturating_add(1);
        Pass::Free
    }

    /// A guest's doing. Refused, it says when to try again, in seconds.
    pub fn enter_as_guest(&self, key: &str, at: At) -> Result<(), u32> {
        loop {
            match self.enter(key, at) {
                Pass::Free => return Ok(()),
                Pass::WhoseHook => self.learn(key, Owner::Guest, at),
                Pass::TooFast { retry_after_s } => return Err(retry_after_s),
            }
        }
    }

    pub fn learn(&self, key: &str, owner: Owner, at: At) {
        if let Some(count) = self.lock().get_mut(key) {
            count.owner = Some((owner, at));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Count>> {
        self.counts.lock().expect("no thread panics while it holds this")
    }
}

/// Forgets what no longer counts. A sweep that brings little room would be done again for the next key.
fn make_room(counts: &mut HashMap<String, Count>, at: At) {
    if counts.len() < KEYS_MAX {
        return;
    }
    counts.retain(|_, count| at.0.saturating_sub(count.since.0) < 2 * SPAN_MS);
    if counts.len() > KEYS_MAX / 2 {
        counts.clear();
    }
}

impl Count {
    fn turn(&mut self, at: At) {
        let spans = at.0.saturating_sub(self.since.0) / SPAN_MS;
        if spans > 0 {
            self.before = if spans == 1 { self.now } else { 0 };
            self.now = 0;
            self.since.0 += spans * SPAN_MS;
        }
    }

    fn within_span(&self, at: At) -> u64 {
        let left_ms = SPAN_MS - at.0.saturating_sub(self.since.0).min(SPAN_MS);
        u64::from(self.now) + (u64::from(self.before) * left_ms).div_ceil(SPAN_MS)
    }

    fn retry_after_s(&self, writes_per_minute: u32, at: At) -> u32 {
        if self.now < writes_per_minute {
            return 1;
        }
        let left_ms = (self.since.0 + SPAN_MS).saturating_sub(at.0);
        left_ms as u32 / 1000 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1000;

    /// How many of so many writes at once pass, of a guest's hook.
    fn passing(pace: &Pace, key: &str, writes: u32, at: At) -> u32 {
        let passes = |_: &u32| match pace.enter(key, at) {
            Pass::Free => true,
            Pass::TooFast { .. } => false,
            Pass::WhoseHook => {
                pace.learn(key, Owner::Guest, at);
                pace.enter(key, at) == Pass::Free
            }
        };
        (0..writes).filter(passes).count() as u32
    }

    #[test]
    fn so_many_pass_in_a_minute_and_in_any_sixty_seconds() {
        let pace = Pace::new(200);
        assert_eq!(passing(&pace, "a", 250, At(0)), 200);
        assert_eq!(passing(&pace, "b", 10, At(0)), 10, "another key has its own count");
        assert_eq!(passing(&pace, "a", 250, At(59 * S)), 0);
        assert_eq!(passing(&pace, "a", 250, At(75 * S)), 50, "a quarter of a minute has become free");
        assert_eq!(passing(&pace, "a", 250, At(300 * S)), 200, "what is long ago does not count");
        assert_eq!(passing(&Pace::new(0), "a", 10_000, At(0)), 10_000, "0 is off");
    }

    #[test]
    fn the_time_to_wait_is_long_enough() {
        let pace = Pace::new(200);
        passing(&pace, "a", 200, At(30 * S));
        assert_eq!(passing(&pace, "a", 1, At(50 * S)), 0);
        let Pass::TooFast { retry_after_s } = pace.enter("a", At(50 * S)) else { panic!("it is too fast") };
        assert_eq!(retry_after_s, 41);
        assert_eq!(pace.enter("a", At(50 * S + u64::from(retry_after_s) * S)), Pass::Free);
    }

    #[test]
    fn a_user_has_no_bound_and_is_looked_up_seldom() {
        let pace = Pace::new(1);
        assert_eq!(pace.enter("a", At(0)), Pass::Free);
        assert_eq!(pace.enter("a", At(0)), Pass::WhoseHook);
        pace.learn("a", Owner::User, At(0));
        assert!((0..1000).all(|ms| pace.enter("a", At(ms)) == Pass::Free));
        assert_eq!(pace.enter("a", At(OWNER_MS)), Pass::WhoseHook, "who owns a hook may change");
    }

    #[test]
    fn keys_without_number_do_not_fill_the_memory() {
        let pace = Pace::new(1);
        (0..3 * KEYS_MAX).for_each(|key| assert_eq!(pace.enter(&key.to_string(), At(0)), Pass::Free));
        assert!(pace.lock().len() <= KEYS_MAX);
    }
}
