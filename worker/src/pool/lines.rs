//! Calls that wait, each program's in lines of its own, and who of them is next.
//!
//! What a program costs is known only once it has run. So some seats are for anybody, and some only for programs that
//! are not known to be slow, which are cut short there. Among those who wait, the one goes first that has waited the
//! longest for its price: however many programs loop for ever, whoever is quick waits for a few of them at most.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use rules::call::ProgramId;
use tokio::sync::Notify;

use super::locked;
use crate::bounds::{
    CALLS_WAITING_MAX, PROGRAMS_REMEMBERED_MAX, PROMPT_CALLS_MIN, PROMPT_WAIT, QUICK_RUN, SLOW_FOR_MAX, SLOW_FOR_MIN,
};

/// Which calls a seat takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Any,
    Quick,
}

/// Whether somebody waits for the answer of a call. Each kind has a line of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Urgency {
    /// A client does: what cannot be answered promptly is refused now.
    Prompt,
    /// Only a lane does, and it has time.
    Patient,
}

/// All that wait, `J` being what they wait for.
pub struct Lines<J> {
    inside: Mutex<Inside<J>>,
    seats: u32,
}

type Line = (ProgramId, Urgency);

struct Inside<J> {
    closed: bool,
    waiting: usize,
    /// No line is empty.
    lines: HashMap<Line, VecDeque<(Instant, J)>>,
    /// Seats that wait for a call. The one that worked last is asked first: its child is still warm.
    idle: Vec<Idle>,
    remembered: HashMap<ProgramId, Remembered>,
    /// Whether the next seat for anybody takes who came first, whatever its price: nobody waits for ever.
    is_turn_of_first: bool,
}

struct Idle {
    takes: Takes,
    bell: Arc<Notify>,
}

/// A seat that waits. Given up after it was rung for and before it looked, it rings for another.
struct Waiting<'a, J> {
    lines: &'a Lines<J>,
    bell: Arc<Notify>,
    has_looked: bool,
}

/// What a program has shown of itself. Later calls count more.
#[derive(Clone, Copy, Default)]
struct Remembered {
    /// What one of its runs takes.
    run: Option<Duration>,
    /// What a call takes for which a client waits.
    prompt_call: Option<Duration>,
    /// Until when it keeps away from the seats for the quick, and for how long that was.
    slow: Option<(Instant, Duration)>,
}

/// There is no room for a call.
#[derive(Debug, PartialEq, Eq)]
pub struct Crowded;

impl<J> Lines<J> {
    pub fn new(seats: usize) -> Self {
        let inside = Inside {
            closed: false,
            waiting: 0,
            lines: HashMap::new(),
            idle: Vec::new(),
            remembered: HashMap::new(),
            is_turn_of_first: false,
        };
        Lines { inside: Mutex::new(inside), seats: seats as u32 }
    }

    pub fn enter(&self, program: ProgramId, urgency: Urgency, job: J, now: Instant) -> Result<(), Crowded> {
        let mut inside = self.lock();
        let ahead = inside.lines.get(&(program, urgency)).map_or(0, VecDeque::len);
        let is_too_late = urgency == Urgency::Prompt && ahead >= inside.of(program).prompt_calls(self.seats);
        if inside.waiting >= CALLS_WAITING_MAX || is_too_late {
            return Err(Crowded);
        }
        inside.waiting += 1;
        inside.lines.entry((program, urgency)).or_default().push_back((now, job));
        inside.ring(program, now);
        Ok(())
    }

    /// The next call for such a seat, however long it takes; `None` once the lines are closed and hold none for it.
    pub async fn next(&self, takes: Takes) -> Option<J> {
        loop {
            let mut waiting = {
                let mut inside = self.lock();
                if let Some(job) = inside.take(takes, Instant::now()) {
                    return Some(job);
                }
                if inside.closed {
                    return None;
                }
                let bell = Arc::new(Notify::new());
                inside.idle.push(Idle { takes, bell: bell.clone() });
                Waiting { lines: self, bell, has_looked: false }
            };
            waiting.bell.notified().await;
            waiting.has_looked = true;
        }
    }

    /// What one run of a program takes, if it has run.
    pub fn run(&self, program: ProgramId) -> Option<Duration> {
        self.lock().of(program).run
    }

    pub fn ran(&self, program: ProgramId, run: Duration) {
        let mut inside = self.lock();
        let known = &mut inside.remember(program).run;
        *known = Some(later_counts_more(*known, run));
    }

    /// Remembers how long a call took for which a client waited.
    pub fn answered(&self, program: ProgramId, took: Duration) {
        let mut inside = self.lock();
        let known = &mut inside.remember(program).prompt_call;
        *known = Some(later_counts_more(*known, took));
    }

    /// Keeps a program away from the seats for the quick, each time for twice as long.
    pub fn was_slow(&self, program: ProgramId, now: Instant) {
        let mut inside = self.lock();
        let slow = &mut inside.remember(program).slow;
        let lasts = match *slow {
            Some((until, _)) if now < until => return,
            Some((until, lasted)) if now < until + 4 * lasted => (lasted * 2).min(SLOW_FOR_MAX),
            // Never, or it has been quick for long since.
            _ => SLOW_FOR_MIN,
        };
        *slow = Some((now + lasts, lasts));
    }

    pub fn close(&self) {
        let mut inside = self.lock();
        inside.closed = true;
        inside.idle.drain(..).for_each(|idle| idle.bell.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, Inside<J>> {
        locked(&self.inside)
    }
}

impl<J> Drop for Waiting<'_, J> {
    fn drop(&mut self) {
        if self.has_looked {
            return;
        }
        let mut inside = self.lines.lock();
        let count = inside.idle.len();
        inside.idle.retain(|idle| !Arc::ptr_eq(&idle.bell, &self.bell));
        let was_rung = inside.idle.len() == count;
        if was_rung && let Some(program) = inside.lines.keys().next().map(|(program, _)| *program) {
            inside.ring(program, Instant::now());
        }
    }
}

impl<J> Inside<J> {
    /// Rings for a seat that takes a call of this program. Whoever is known to be quick leaves the others' seats free.
    fn ring(&mut self, program: ProgramId, now: Instant) {
        let of = self.of(program);
        let last = |takes| self.idle.iter().rposition(|idle| idle.takes == takes);
        let quick = if of.is_slow(now) { None } else { last(Takes::Quick) };
        let any = last(Takes::Any);
        let found = if of.run.is_some() { quick.or(any) } else { any.or(quick) };
        if let Some(found) = found {
            self.idle.remove(found).bell.notify_one();
        }
    }

    fn take(&mut self, takes: Takes, now: Instant) -> Option<J> {
        let waited = |line: &VecDeque<(Instant, J)>| now.saturating_duration_since(line[0].0);
        let may = |program: &ProgramId| takes == Takes::Any || !self.of(*program).is_slow(now);
        let waiting = self.lines.iter().filter(|((program, _), _)| may(program));
        let first = if takes == Takes::Any && self.is_turn_of_first {
            waiting.max_by_key(|(_, line)| waited(line))
        } else {
            let worth = |program: &ProgramId, line| self.of(*program).worth(waited(line));
            waiting.max_by(|((a, _), left), ((b, _), right)| worth(a, left).total_cmp(&worth(b, right)))
        };
        let line = *first?.0;
        self.is_turn_of_first ^= takes == Takes::Any;
        let jobs = self.lines.get_mut(&line)?;
        let (_, job) = jobs.pop_front()?;
        if jobs.is_empty() {
            self.lines.remove(&line);
        }
        self.waiting -= 1;
        Some(job)
    }

    fn of(&self, program: ProgramId) -> Remembered {
        self.remembered.get(&program).copied().unwrap_or_default()
    }

    fn remember(&mut self, program: ProgramId) -> &mut Remembered {
        if self.remembered.len() >= PROGRAMS_REMEMBERED_MAX && !self.remembered.contains_key(&program) {
            self.remembered.clear();
        }
        self.remembered.entry(program).or_default()
    }
}

impl Remembered {
    fn is_slow(&self, now: Instant) -> bool {
        self.slow.is_some_and(|(until, _)| now < until)
    }

    /// How much a wait counts: ten times as long for a program that is ten times as dear is a tenth of the hardship.
    fn worth(&self, waited: Duration) -> f64 {
        let price = self.run.unwrap_or(QUICK_RUN).max(Duration::from_micros(100)).as_secs_f64();
        waited.as_secs_f64() / (price * price)
    }

    /// How many calls may wait so that the last of them is still answered promptly.
    fn prompt_calls(&self, seats: u32) -> usize {
        let Some(call) = self.prompt_call else { return CALLS_WAITING_MAX };
        let within = (PROMPT_WAIT * seats).as_micros() / call.as_micros().max(1);
        (within as usize).max(PROMPT_CALLS_MIN)
    }
}

fn later_counts_more(known: Option<Duration>, new: Duration) -> Duration {
    known.map_or(new, |known| (known * 7 + new) / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: ProgramId = ProgramId([1; 32]);
    const SLOW: ProgramId = ProgramId([2; 32]);
    const NEW: ProgramId = ProgramId([3; 32]);

    /// Lines that know two of these programs.
    fn lines() -> (Lines<&'static str>, Instant) {
        let (lines, now) = (Lines::new(2), Instant::now());
        lines.ran(QUICK, Duration::from_millis(1));
        lines.ran(SLOW, Duration::from_secs(1));
        lines.was_slow(SLOW, now);
        (lines, now)
    }

    fn all(lines: &Lines<&'static str>, takes: Takes, now: Instant) -> Vec<&'static str> {
        std::iter::from_fn(|| lines.lock().take(takes, now)).collect()
    }

    #[test]
    fn a_seat_for_the_quick_is_left_empty_rather_than_given_to_the_slow() {
        let (lines, now) = lines();
        lines.enter(SLOW, Urgency::Patient, "slow", now).unwrap();
        lines.enter(NEW, Urgency::Patient, "new", now).unwrap();
        lines.enter(QUICK, Urgency::Patient, "quick", now).unwrap();
        assert_eq!(all(&lines, Takes::Quick, now + Duration::from_millis(1)), ["quick", "new"]);
        assert_eq!(all(&lines, Takes::Quick, now + SLOW_FOR_MIN), ["slow"], "nobody is slow for ever");
    }

    #[test]
    fn who_is_slow_again_is_slow_for_longer() {
        let (lines, now) = lines();
        lines.enter(SLOW, Urgency::Patient, "slow", now).unwrap();
        lines.was_slow(SLOW, now + SLOW_FOR_MIN);
        assert_eq!(all(&lines, Takes::Quick, now + SLOW_FOR_MIN * 3 - Duration::from_millis(1)), [""; 0]);
        assert_eq!(all(&lines, Takes::Quick, now + SLOW_FOR_MIN * 3), ["slow"]);
    }

    #[test]
    fn the_quick_and_the_new_do_not_wait_for_all_of_the_slow_nor_the_slow_for_ever() {
        let (lines, now) = lines();
        for number in 10..20 {
            lines.ran(ProgramId([number; 32]), Duration::from_secs(1));
            lines.enter(ProgramId([number; 32]), Urgency::Patient, "slow", now).unwrap();
        }
        let later = now + Duration::from_millis(50);
        lines.enter(NEW, Urgency::Prompt, "new", later).unwrap();
        lines.enter(QUICK, Urgency::Prompt, "quick", later).unwrap();
        let taken = all(&lines, Takes::Any, later + Duration::from_millis(10));
        assert_eq!(taken[..4], ["quick", "slow", "new", "slow"], "{taken:?}");
    }

    #[test]
    fn what_cannot_be_answered_promptly_is_refused_and_a_fold_is_not() {
        let (lines, now) = lines();
        lines.answered(SLOW, Duration::from_secs(1));
        let waiting = std::iter::from_fn(|| lines.enter(SLOW, Urgency::Prompt, "answer", now).ok()).count();
        assert_eq!(waiting, PROMPT_CALLS_MIN);
        lines.enter(SLOW, Urgency::Patient, "fold", now).unwrap();
        lines.enter(QUICK, Urgency::Prompt, "answer of another", now).unwrap();
    }

    /// What a seat that waits has been given by now.
    async fn given(seat: &mut (impl Future<Output = Option<&'static str>> + Unpin)) -> Option<&'static str> {
        tokio::time::timeout(Duration::ZERO, seat).await.unwrap_or_default()
    }

    #[tokio::test]
    async fn a_call_wakes_one_seat_that_which_worked_last() {
        let (lines, now) = lines();
        let [mut first, mut last] = [Takes::Quick, Takes::Quick].map(|takes| Box::pin(lines.next(takes)));
        assert_eq!((given(&mut first).await, given(&mut last).await), (None, None));
        lines.enter(QUICK, Urgency::Patient, "quick", now).unwrap();
        assert_eq!((given(&mut first).await, given(&mut last).await), (None, Some("quick")));
        lines.enter(SLOW, Urgency::Patient, "slow", now).unwrap();
        assert_eq!(given(&mut first).await, None, "it is not for this seat");
        assert_eq!(given(&mut Box::pin(lines.next(Takes::Any))).await, Some("slow"));
    }

    #[tokio::test]
    async fn a_seat_that_is_given_up_once_it_was_rung_for_rings_for_another() {
        let (lines, now) = lines();
        let [mut first, mut last] = [Takes::Any, Takes::Any].map(|takes| Box::pin(lines.next(takes)));
        assert_eq!((given(&mut first).await, given(&mut last).await), (None, None));
        lines.enter(QUICK, Urgency::Patient, "quick", now).unwrap();
        drop(last);
        assert_eq!(given(&mut first).await, Some("quick"));
    }
}
