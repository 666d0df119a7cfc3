//! Promise 1: what was acknowledged survives a power cut at any call of the disk, also while it is being recovered.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use store::sqlite::Sqlite;

use crate::{
    disk::{Chance, Disk, Event, Image, Platter, directory},
    figures::{grouped, note, times},
    trace::{Asked, LANES, Note, commit, options},
};

const OPERATIONS: usize = 200;
/// One in so many recoveries is cut as well.
const RECOVERIES_CUT: u64 = 4;

struct Trace {
    asked: Asked,
    events: Vec<Event<Note>>,
}

/// 200 commits on five lanes, some of them at once, with sealing and copying of the log all the while, and now and
/// then a store that is closed and opened again.
fn run() -> Trace {
    let disk = Disk::new();
    let place = directory();
    disk.begin(&Image::default(), None);
    let (mut asked, mut chance) = (Asked::default(), Chance(1));
    let open = || Sqlite::open_with(place.path(), &options(Some(disk.vfs))).expect("opens");
    let mut store = open();
    let mut left = OPERATIONS;
    while left > 0 {
        let at_once = left.min(1 + chance.index(3));
        let first = chance.index(LANES);
        let lanes: Vec<usize> = (0..at_once).map(|next| (first + next) % LANES).collect();
        commit(&store, disk, &mut asked, &lanes, &mut chance);
        left -= at_once;
        if chance.below(8) == 0 {
            // Time to seal.
            thread::sleep(Duration::from_millis(5));
        }
        if chance.below(30) == 0 {
            drop(store);
            store = open();
        }
    }
    drop(store);
    let (events, _) = disk.take();
    let database = rusqlite::Connection::open(place.path().join("everfold.db")).expect("opens");
    let chunks: i64 = database.query_row("SELECT count(*) FROM chunk", [], |row| row.get(0)).expect("counts");
    assert!(chunks >= 20, "only {chunks} chunks were sealed while the disk was watched");
    Trace { asked, events }
}

/// The store on this disk holds what it must: no less than was done, no more than was asked.
fn check(trace: &Trace, store: &Sqlite, bounds: &[(usize, usize); LANES]) -> Result<(), String> {
    for (number, (done, asked)) in bounds.iter().enumerate() {
        let kept = trace.asked.kept(store, number)?;
        if kept < *done || kept > *asked {
            return Err(format!("lane {number}: {done} batches were done and {asked} asked, {kept} are kept"));
        }
    }
    Ok(())
}

fn recover(trace: &Trace, image: &Image, bounds: &[(usize, usize); LANES]) -> Result<(), String> {
    let place = image.restore();
    let store = Sqlite::open_with(place.path(), &options(None)).map_err(|error| error.to_string())?;
    check(trace, &store, bounds)
}

/// Recovers on a disk that is watched, and again from what any power cut on the way would have left.
fn recover_twice(
    trace: &Trace,
    image: &Image,
    bounds: &[(usize, usize); LANES],
    disk: &Disk<Note>,
    vfs: &'static str,
    chance: &mut Chance,
) -> Result<(), String> {
    let place = image.restore();
    disk.begin(image, None);
    let store = Sqlite::open_with(place.path(), &options(Some(vfs))).map_err(|error| error.to_string())?;
    check(trace, &store, bounds)?;
    drop(store);
    let (events, _) = disk.take();
    let mut platter = Platter::new(image);
    for event in &events[..chance.index(events.len() + 1)] {
        platter.apply(event, chance);
    }
    recover(trace, &platter.cut(chance), bounds).map_err(|words| format!("after a cut while it recovered: {words}"))
}

/// A moment of the trace, what a cut then leaves, and what must be found.
struct Cut {
    seed: u64,
    image: Image,
    bounds: [(usize, usize); LANES],
}

/// Takes cuts one after another from an iterator and checks them on every core.
fn check_all(trace: &Trace, cuts: impl Iterator<Item = Cut> + Send) -> usize {
    let cuts = std::sync::Mutex::new(cuts);
    let checked = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                let disk = Disk::new();
                loop {
                    let next = cuts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                    let Some(Cut { seed, image, bounds }) = next else { return };
                    let mut chance = Chance(seed ^ 0x5eed);
                    let found = if chance.below(RECOVERIES_CUT) == 0 {
                        recover_twice(trace, &image, &bounds, disk, disk.vfs, &mut chance)
                    } else {
                        recover(trace, &image, &bounds)
                    };
                    found.unwrap_or_else(|words| panic!("cut {seed}: {words}"));
                    checked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    checked.into_inner()
}

/// Every call of the trace in order, each with the cut that its seed makes.
fn every_call(trace: &Trace) -> impl Iterator<Item = Cut> + Send {
    let mut platter = Platter::default();
    let mut bounds = [(0, 0); LANES];
    (0..).zip(&trace.events).filter_map(move |(seed, event)| {
        step(&mut platter, &mut bounds, event);
        event.is_call().then(|| Cut { seed, image: platter.cut(&mut Chance(seed)), bounds })
    })
}

fn step(platter: &mut Platter, bounds: &mut [(usize, usize); LANES], event: &Event<Note>) {
    platter.apply(event, &mut Chance(0));
    match event {
        Event::Noted(Note::Asked(lane, count)) => bounds[*lane].1 = *count,
        Event::Noted(Note::Done(lane, count)) => bounds[*lane].0 = *count,
        _ => {}
    }
}

/// As many moments as asked for, by chance and in order, each with another survival.
fn random(trace: &Trace, cuts: u64) -> impl Iterator<Item = Cut> + Send {
    let mut chance = Chance(20_261_121);
    let mut moments: Vec<(usize, u64)> = (0..cuts).map(|_| (chance.index(trace.events.len()), chance.next())).collect();
    moments.sort_unstable();
    let mut platter = Platter::default();
    let mut bounds = [(0, 0); LANES];
    let mut applied = 0;
    moments.into_iter().map(move |(moment, seed)| {
        while applied <= moment {
            step(&mut platter, &mut bounds, &trace.events[applied]);
            applied += 1;
        }
        Cut { seed, image: platter.cut(&mut Chance(seed)), bounds }
    })
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_every_call_of_the_disk() {
    let began = Instant::now();
    let trace = run();
    let traced = began.elapsed();
    let calls = check_all(&trace, every_call(&trace));
    let randoms = times("EVERFOLD_CRASH_POINTS", 500);
    let random = check_all(&trace, random(&trace, randoms));
    assert_eq!(random as u64, randoms);
    println!("traced in {traced:.1?}, all in {:.1?}", began.elapsed());
    note(
        "power cut",
        &format!(
            "every crash point of a {OPERATIONS}-operation trace (n={}), plus {} random",
            grouped(calls as u64),
            grouped(randoms)
        ),
        "lost 0, torn 0",
    );
}
