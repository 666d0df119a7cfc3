//! Promise 2: a call of the disk that fails, whichever it is, never makes `Done` of what is not durable, and the store
//! goes on by itself once the disk is well.

use std::{
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use store::{
    Commit, Store,
    sqlite::{OpenError, Sqlite},
};

use crate::{
    disk::{Call, Chance, Disk, Event, Fault, Image, Platter, Trouble, directory},
    figures::{grouped, note},
    trace::{Asked, LANES, Note, options, wait},
};

const STEPS: usize = 24;
/// How long a fault of many calls lasts.
const CALLS_LONG: usize = 5;
/// Power cuts after each fault.
const CUTS: usize = 3;
/// A run mostly waits for the store to try again.
const RUNS_AT_ONCE: usize = 6;
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// What a run has met.
#[derive(Default)]
struct Met {
    /// Commits that were not done, and openings that were refused.
    failures: usize,
    calls: Vec<Call>,
}

/// One short life of a store whose disk fails at one place, and what is left of it after it.
fn live(disk: &'static Disk<Note>, fault: Option<Fault>, seed: u64) -> Result<Met, String> {
    let place = directory();
    disk.begin(&Image::default(), fault);
    let mut met = Met::default();
    let mut chance = Chance(7);
    let mut asked = Asked::default();
    let mut store = open(place.path(), disk, &mut met)?;
    for step in 0..STEPS {
        let number = step % LANES;
        let batch = asked.next(number, &mut chance);
        let count = asked.0[number].len();
        match wait(store.commit(batch)) {
            Commit::Done => disk.note(Note::Done(number, count)),
            Commit::Conflict | Commit::Fenced => {
                return Err(format!("step {step}: a conflict, and nobody else writes"));
            }
            Commit::Full | Commit::Unknown(_) => {
                met.failures += 1;
                resolve(&store, disk, &mut asked, number)?;
            }
        }
        if step == STEPS / 2 {
            drop(store);
            store = open(place.path(), disk, &mut met)?;
        }
        if step % 6 == 5 {
            // Time to seal.
            thread::sleep(Duration::from_millis(2));
        }
    }
    disk.heal();
    // However it was left, it takes one more commit on every lane.
    for number in 0..LANES {
        let until = Instant::now() + RECOVERY_TIMEOUT;
        loop {
            let batch = asked.next(number, &mut chance);
            if wait(store.commit(batch)) == Commit::Done {
                disk.note(Note::Done(number, asked.0[number].len()));
                break;
            }
            met.failures += 1;
            resolve(&store, disk, &mut asked, number)?;
            if Instant::now() > until {
                return Err("the disk is well, and commits do not succeed again".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
    let (mut events, calls) = disk.take();
    met.calls = calls;
    drop(store);
    events.extend(disk.take().0);
    cut(&asked, &events, seed)?;
    let store = Sqlite::open(place.path()).map_err(|error| error.to_string())?;
    for number in 0..LANES {
        if asked.kept(&store, number)? != asked.0[number].len() {
            return Err(format!("lane {number} has lost batches without a power cut"));
        }
    }
    Ok(met)
}

fn open(place: &Path, disk: &'static Disk<Note>, met: &mut Met) -> Result<Sqlite, String> {
    let until = Instant::now() + RECOVERY_TIMEOUT;
    loop {
        match Sqlite::open_with(place, &options(Some(disk.vfs))) {
            Ok(store) => return Ok(store),
            Err(OpenError::Unusable { .. }) if Instant::now() < until => met.failures += 1,
            Err(error) => return Err(format!("it is not opened, but answered: {error}")),
        }
    }
}

/// Reads until it is known whether the last batch of a lane was kept, as the engine does, and forgets it if not.
fn resolve(store: &Sqlite, disk: &Disk<Note>, asked: &mut Asked, number: usize) -> Result<(), String> {
    let until = Instant::now() + RECOVERY_TIMEOUT;
    let count = asked.0[number].len();
    loop {
        match asked.kept(store, number) {
            Ok(kept) if kept == count => break,
            Ok(kept) if kept + 1 == count => {
                asked.give_up(number);
                break;
            }
            Ok(kept) => return Err(format!("lane {number} has {kept} batches of {count}")),
            Err(words) if Instant::now() > until => return Err(words),
            Err(words) if words.contains("could not read") => thread::sleep(Duration::from_millis(1)),
            Err(words) => return Err(words),
        }
    }
    // What was read is durable.
    disk.note(Note::Settled(number, asked.0[number].len()));
    Ok(())
}

/// Power cuts after the last failure, up to the end.
fn cut(asked: &Asked, events: &[Event<Note>], seed: u64) -> Result<(), String> {
    let settled = |event: &Event<Note>| matches!(event, Event::Noted(Note::Settled(..)));
    let first = events.iter().rposition(settled).unwrap_or(0);
    let mut chance = Chance(seed);
    let mut moments: Vec<usize> = (1..CUTS).map(|_| first + chance.index(events.len() - first)).collect();
    moments.push(events.len() - 1);
    moments.sort_unstable();
    let mut platter = Platter::default();
    let mut done = [0; LANES];
    let mut overcome = false;
    let mut applied = 0;
    for moment in moments {
        for event in &events[applied..=moment] {
            platter.apply(event, &mut chance);
            if let Event::Noted(Note::Done(lane, count) | Note::Settled(lane, count)) = event {
                done[*lane] = *count;
            }
            overcome = !settled(event) && (overcome || matches!(event, Event::Noted(Note::Done(..))));
        }
        applied = moment + 1;
        let place = platter.cut(&mut chance).restore();
        let store = Sqlite::open_with(place.path(), &options(None)).map_err(|error| format!("after a cut: {error}"))?;
        for (number, done) in done.iter().enumerate() {
            // Until something was done after it, a batch that was not acknowledged may come back, though it was not
            // seen.
            let given_up = if overcome { None } else { asked.with_given_up(number) };
            let kept = asked.kept(&store, number).or_else(|words| {
                let kept = given_up.map_or(Err(words), |asked| asked.kept(&store, number))?;
                println!("a batch that was given up on lane {number} has come back");
                Ok(kept)
            });
            let kept = kept.map_err(|words: String| format!("after a cut: {words}"))?;
            if kept < *done {
                return Err(format!("after a cut: lane {number} has {kept} batches, {done} were done"));
            }
        }
    }
    Ok(())
}

#[test]
fn whichever_call_of_the_disk_fails_nothing_is_done_that_is_not_durable_and_the_store_recovers() {
    let healthy = live(Disk::new(), None, 0).expect("a disk that is well");
    assert_eq!(healthy.failures, 0);
    let mut faults = Vec::new();
    for (from, call) in healthy.calls.iter().enumerate() {
        let calls = if from % 2 == 0 { 1 } else { CALLS_LONG };
        let troubles: &[Trouble] = match call {
            Call::Write => &[Trouble::Error, Trouble::Full, Trouble::Short],
            _ => &[Trouble::Error],
        };
        faults.extend(troubles.iter().map(|trouble| Fault { from, calls, trouble: *trouble }));
    }
    let count = faults.len();
    let faults = Mutex::new(faults.into_iter().enumerate());
    let failures = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..RUNS_AT_ONCE {
            scope.spawn(|| {
                let disk = Disk::new();
                loop {
                    let next = faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                    let Some((number, fault)) = next else { return };
                    let met = live(disk, Some(fault), number as u64);
                    let met = met.unwrap_or_else(|words| panic!("{fault:?}: {words}"));
                    failures.fetch_add(met.failures.min(1), Ordering::Relaxed);
                }
            });
        }
    });
    let failures = failures.into_inner();
    assert!(failures * 5 > count, "of {count} faults only {failures} were felt");
    note(
        "fsync error, full disk",
        &format!(
            "each of {} calls of a trace failing ({} faults, {} power cuts)",
            grouped(healthy.calls.len() as u64),
            grouped(count as u64),
            grouped((count * CUTS) as u64)
        ),
        "no Done for what was not durable, recovered each time",
    );
}
