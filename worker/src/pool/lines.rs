//! Calls that wait: each program's in lines of its own, which take turns.
//!
//! What a program costs is known only once it has run. So some seats are for anybody, and some only for programs that
//! were quick so far: however many loop for ever, whoever is quick waits behind others who are. Seats for anybody give
//! every second turn to whoever is not known to be slow, so that a newcomer soon shows what it is.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use rules::call::ProgramId;
use tokio::sync::Notify;

use super::locked;
use crate::bounds::{
    CALLS_WAITING_MAX, PROGRAMS_REMEMBERED_MAX, PROMPT_CALLS_MIN, PROMPT_WAIT, QUICK_RUN, SLOW_FACTOR,
};

/// Which calls a seat takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Any,
    Quick,
}

/// Whether somebody waits for the answer of a call. Both kinds of one program take turns like those of two.
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
    bell: Notify,
    seats: u32,
}

type Line = (ProgramId, Urgency);

struct Inside<J> {
    closed: bool,
    waiting: usize,
    lines: HashMap<Line, VecDeque<J>>,
    /// Every line in which somebody waits, once; the first has the next turn.
    turns: VecDeque<Line>,
    /// Whether the next seat for anybody takes whoever's turn it is, slow or not.
    slow_may: bool,
    remembered: HashMap<ProgramId, Remembered>,
}

/// What a program has shown of itself.
struct Remembered {
    /// What its calls take for which a client waits, the later ones counting more.
    prompt_call: Option<Duration>,
    quick_from: Instant,
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
            turns: VecDeque::new(),
            slow_may: true,
            remembered: HashMap::new(),
        };
        Lines { inside: Mutex::new(inside), bell: Notify::new(), seats: seats as u32 }
    }

    pub fn enter(&self, program: ProgramId, urgency: Urgency, job: J) -> Result<(), Crowded> {
        let mut inside = self.lock();
        let line = (program, urgency);
        let ahead = inside.lines.get(&line).map_or(0, VecDeque::len);
        if inside.waiting >= CALLS_WAITING_MAX
            || (urgency == Urgency::Prompt && ahead >= inside.prompt(program, self.seats))
        {
            return Err(Crowded);
        }
        inside.waiting += 1;
        inside.lines.entry(line).or_default().push_back(job);
        if ahead == 0 {
            inside.turns.push_back(line);
        }
        drop(inside);
        self.bell.notify_waiters();
        Ok(())
    }

    /// The next call for such a seat, however long it takes; `None` once the lines are closed and hold none for it.
    pub async fn next(&self, takes: Takes) -> Option<J> {
        loop {
            let mut rung = std::pin::pin!(self.bell.notified());
            rung.as_mut().enable();
            {
                let mut inside = self.lock();
                if let Some(job) = inside.take(takes, Instant::now()) {
                    return Some(job);
                }
                if inside.closed {
                    return None;
                }
            }
            rung.await;
        }
    }

    /// Remembers what a call took: all of it, and each of its runs. One without a run shows nothing unless it is slow.
    pub fn took(&self, program: ProgramId, urgency: Urgency, took: Duration, runs: usize, now: Instant) {
        let is_slow = took > QUICK_RUN * runs.max(1) as u32;
        if runs == 0 && !is_slow {
            return;
        }
        let mut inside = self.lock();
        if inside.remembered.len() >= PROGRAMS_REMEMBERED_MAX && !inside.remembered.contains_key(&program) {
            inside.remembered.clear();
        }
        let remembered = inside.remembered.entry(program).or_insert(Remembered { prompt_call: None, quick_from: now });
        if urgency == Urgency::Prompt {
            remembered.prompt_call = Some(remembered.prompt_call.map_or(took, |before| (before * 7 + took) / 8));
        }
        if is_slow {
            remembered.quick_from = now + took * SLOW_FACTOR;
        }
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Inside<J>> {
        locked(&self.inside)
    }
}

impl<J> Inside<J> {
    fn take(&mut self, takes: Takes, now: Instant) -> Option<J> {
        let mut waiting = self.turns.iter().map(|(program, _)| self.remembered.get(program));
        let is_quick = |known: Option<&Remembered>| known.is_none_or(|known| known.quick_from <= now);
        let turn = match takes {
            Takes::Quick => waiting.position(|known| known.is_some() && is_quick(known))?,
            Takes::Any if self.slow_may => 0,
            Takes::Any => waiting.position(is_quick).unwrap_or(0),
        };
        self.slow_may ^= takes == Takes::Any && !self.turns.is_empty();
        let line = self.turns.remove(turn)?;
        let jobs = self.lines.get_mut(&line)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.lines.remove(&line);
        } else {
            self.turns.push_back(line);
        }
        self.waiting -= 1;
        job
    }

    /// How many calls of a program may wait so that the last of them is still answered promptly.
    fn prompt(&self, program: ProgramId, seats: u32) -> usize {
        let call = self.remembered.get(&program).and_then(|remembered| remembered.prompt_call);
        let Some(call) = call else { return CALLS_WAITING_MAX };
        let within = (PROMPT_WAIT * seats).as_micros() / call.as_micros().max(1);
        (within as usize).max(PROMPT_CALLS_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: ProgramId = ProgramId([1; 32]);
    const SLOW: ProgramId = ProgramId([2; 32]);

    /// Lines in which both programs have run once.
    fn after_one_call_each() -> (Lines<&'static str>, Instant) {
        let (lines, now) = (Lines::new(2), Instant::now());
        lines.took(QUICK, Urgency::Prompt, Duration::from_millis(1), 1, now);
        lines.took(SLOW, Urgency::Prompt, Duration::from_secs(1), 1, now);
        (lines, now)
    }

    #[test]
    fn programs_take_turns_however_many_calls_each_has() {
        let (lines, now) = (Lines::new(2), Instant::now());
        for job in ["slow 1", "slow 2", "slow 3"] {
            lines.enter(SLOW, Urgency::Patient, job).unwrap();
        }
        lines.enter(QUICK, Urgency::Patient, "quick").unwrap();
        let taken: Vec<_> = std::iter::from_fn(|| lines.lock().take(Takes::Any, now)).collect();
        assert_eq!(taken, ["slow 1", "quick", "slow 2", "slow 3"]);
    }

    #[test]
    fn a_seat_for_the_quick_is_left_empty_rather_than_given_to_the_slow_or_the_unknown() {
        let (lines, now) = after_one_call_each();
        lines.enter(SLOW, Urgency::Patient, "slow").unwrap();
        lines.enter(ProgramId([3; 32]), Urgency::Patient, "unknown").unwrap();
        assert_eq!(lines.lock().take(Takes::Quick, now), None);
        lines.enter(QUICK, Urgency::Patient, "quick").unwrap();
        assert_eq!(lines.lock().take(Takes::Quick, now), Some("quick"));
        let later = now + Duration::from_secs(1) * SLOW_FACTOR;
        assert_eq!(lines.lock().take(Takes::Quick, later), Some("slow"), "nobody is slow for ever");
    }

    #[test]
    fn a_newcomer_waits_for_few_of_the_slow() {
        let (lines, now) = after_one_call_each();
        for slow in 10..20 {
            lines.took(ProgramId([slow; 32]), Urgency::Prompt, Duration::from_secs(1), 1, now);
            lines.enter(ProgramId([slow; 32]), Urgency::Patient, "slow").unwrap();
        }
        lines.enter(ProgramId([3; 32]), Urgency::Prompt, "new").unwrap();
        let taken: Vec<_> = std::iter::from_fn(|| lines.lock().take(Takes::Any, now)).collect();
        assert_eq!(taken.iter().position(|job| *job == "new"), Some(1), "{taken:?}");
        assert_eq!(taken.len(), 11);
    }

    #[test]
    fn a_fold_of_many_requests_is_as_quick_as_each_of_them() {
        let (lines, now) = (Lines::new(2), Instant::now());
        lines.took(QUICK, Urgency::Prompt, Duration::from_millis(200), 100, now);
        lines.enter(QUICK, Urgency::Patient, "fold").unwrap();
        assert_eq!(lines.lock().take(Takes::Quick, now), Some("fold"));
    }

    #[test]
    fn what_cannot_be_answered_promptly_is_refused_and_a_fold_is_not() {
        let (lines, _) = after_one_call_each();
        let waiting = std::iter::from_fn(|| lines.enter(SLOW, Urgency::Prompt, "answer").ok()).count();
        assert_eq!(waiting, PROMPT_CALLS_MIN);
        lines.enter(SLOW, Urgency::Patient, "fold").unwrap();
        lines.enter(QUICK, Urgency::Prompt, "answer of another").unwrap();
    }
}
