//! How many writes were kept and refused, how many a second, and how long they took: for people who look.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use rules::record::At;

/// The newest writes whose time is remembered.
const TIMES_MAX: usize = 1_024;
/// The span that a rate is taken over.
const SPAN_S: u64 = 10;

#[derive(Default)]
pub struct Tally(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    kept: u64,
    refused: u64,
    /// By second, those of the span and of the second that runs.
    seconds: VecDeque<(u64, u32)>,
    took: VecDeque<Duration>,
}

/// What there is to see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    pub kept: u64,
    pub refused: u64,
    pub per_second: f64,
    pub times: Option<Times>,
}

/// Of the newest writes that were kept, from the head to the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub count: usize,
    pub p50: Duration,
    pub p99: Duration,
}

impl Tally {
    pub fn keep(&self, took: Duration, at: At) {
        let mut counts = self.lock();
        counts.kept += 1;
        let second = at.0 / 1000;
        match counts.seconds.back_mut() {
            Some((last, count)) if *last >= second => *count += 1,
            _ => counts.seconds.push_back((second, 1)),
        }
        if counts.seconds.len() > SPAN_S as usize + 1 {
            counts.seconds.pop_front();
        }
        if counts.took.len() == TIMES_MAX {
            counts.took.pop_front();
        }
        counts.took.push_back(took);
    }

    pub fn refuse(&self) {
        self.lock().refused += 1;
    }

    pub fn figures(&self, at: At) -> Figures {
        let (kept, refused, recent, mut took) = {
            let counts = self.lock();
            // The second that runs is not over, and would pull the rate down.
            let span = (at.0 / 1000).saturating_sub(SPAN_S)..at.0 / 1000;
            let recent: u32 = counts.seconds.iter().filter(|(at, _)| span.contains(at)).map(|(_, count)| count).sum();
            (counts.kept, counts.refused, recent, Vec::from_iter(counts.took.iter().copied()))
        };
        took.sort_unstable();
        let at_percent = |percent: usize| took[(took.len() * percent).div_ceil(100) - 1];
        let times = (!took.is_empty()).then(|| Times { count: took.len(), p50: at_percent(50), p99: at_percent(99) });
        Figures { kept, refused, per_second: f64::from(recent) / SPAN_S as f64, times }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().expect("no thread panics while it holds this")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_last_seconds_and_times_are_of_the_newest_writes() {
        let tally = Tally::default();
        let nothing = Figures { kept: 0, refused: 0, per_second: 0.0, times: None };
        assert_eq!(tally.figures(At(0)), nothing);
        for number in 1..=2_000_u64 {
            tally.keep(Duration::from_micros(number), At(5_000 + number));
        }
        tally.refuse();
        let figures = tally.figures(At(8_000));
        let times =
            Times { count: 1_024, p50: Duration::from_micros(976 + 512), p99: Duration::from_micros(976 + 1_014) };
        assert_eq!(figures, Figures { kept: 2_000, refused: 1, per_second: 200.0, times: Some(times) });
        assert_eq!(tally.figures(At(60_000)).per_second, 0.0, "what is long ago does not count");
        (0..100).for_each(|second| tally.keep(Duration::ZERO, At(second * 1000)));
        assert!(tally.lock().seconds.len() <= 11);
    }
}
