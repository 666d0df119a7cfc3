//! Promise 15: whatever bit of whatever file flips, and wherever a file is cut off, no wrong data is served.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use rules::record::Position;
use rusqlite::Connection;
use store::{
    Commit, Extent, Store,
    sqlite::{Options, Sqlite},
};

use crate::{
    disk::{Chance, Image, directory},
    figures::{grouped, note, times},
    trace::{Asked, LANES, lane, options, wait},
};

const OPERATIONS: usize = 150;

/// What a store has left, closed or at its sudden end, and all that was asked of it, which was done.
struct Remains {
    name: &'static str,
    image: Image,
}

fn remains() -> (Asked, [Remains; 2]) {
    let place = directory();
    let (mut asked, mut chance) = (Asked::default(), Chance(3));
    let small_log = options(None);
    let store = Sqlite::open_with(place.path(), &small_log).expect("opens");
    commit(&store, &mut asked, OPERATIONS / 2, &mut chance);
    drop(store);
    let store = Sqlite::open_with(place.path(), &Options { log_bytes_due: 8 << 20, ..small_log }).expect("opens");
    commit(&store, &mut asked, OPERATIONS / 2, &mut chance);
    // Time to seal, until nothing moves any more.
    thread::sleep(Duration::from_millis(300));
    let killed = Image::load(place.path());
    drop(store);
    let closed = Image::load(place.path());
    (asked, [Remains { name: "closed", image: closed }, Remains { name: "killed", image: killed }])
}

fn commit(store: &Sqlite, asked: &mut Asked, batches: usize, chance: &mut Chance) {
    for number in 0..batches {
        let batch = asked.next(number % LANES, chance);
        assert_eq!(wait(store.commit(batch)), Commit::Done);
    }
}

/// Damages one file; the answer says how.
fn damage(image: &mut Image, file: &str, chance: &mut Chance) -> String {
    let bytes = image.0.get_mut(file).expect("is there");
    let at = chance.index(bytes.len());
    match chance.below(10) {
        0 => {
            bytes.truncate(at);
            format!("{file} is cut off at byte {at}")
        }
        1 => {
            let sector = at / 512 * 512;
            let end = bytes.len().min(sector + 512);
            bytes[sector..end].fill(0);
            format!("{file} has lost the sector at byte {sector}")
        }
        2 => {
            let end = bytes.len().min(at + 1 + chance.index(100));
            bytes[at..end].iter_mut().for_each(|byte| *byte = chance.next().to_be_bytes()[0]);
            format!("{file} has other bytes from {at} to {end}")
        }
        _ => {
            let bit = chance.below(8);
            bytes[at] ^= 1 << bit;
            format!("{file} has bit {bit} of byte {at} flipped")
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Refused,
    /// Some lanes cannot be read or written, and say so.
    Told,
    Harmless,
}

/// Opens what is left, reads all of it and goes on with it. Wrong data is the error.
fn outcome(asked: &Asked, image: &Image, chance: &mut Chance) -> Result<(Outcome, usize), String> {
    let place = image.restore();
    let store = match Sqlite::open_with(place.path(), &options(None)) {
        Ok(store) => store,
        Err(error) if error.to_string().contains("hint: ") => return Ok((Outcome::Refused, LANES)),
        Err(error) => return Err(format!("refused without a hint: {error}")),
    };
    let mut asked = asked.clone();
    let mut unreadable = 0;
    let mut told = false;
    for number in 0..LANES {
        match asked.kept(&store, number) {
            Ok(kept) if kept == asked.0[number].len() => {}
            Ok(kept) => return Err(format!("lane {number} has {kept} of {} batches", asked.0[number].len())),
            Err(words) if is_told(&words, number) => {
                unreadable += 1;
                told = true;
            }
            Err(words) => return Err(words),
        }
        for key in ["head", "count", "snapshot"] {
            let key = format!("{number} {key}").into_bytes();
            match wait(store.row(key.clone())) {
                Ok(value) if value == asked.row(number, &key) => {}
                Ok(_) => return Err(format!("row {} is not as it was", key.escape_ascii())),
                Err(_) => told = true,
            }
        }
    }
    for number in 0..LANES {
        let batch = asked.next(number, chance);
        match wait(store.commit(batch)) {
            Commit::Done => {}
            Commit::Unknown(_) => {
                asked.0[number].pop();
                told = true;
            }
            other => return Err(format!("lane {number} answers {other:?} to a good batch")),
        }
        match asked.kept(&store, number) {
            Ok(kept) if kept == asked.0[number].len() => {}
            Ok(kept) => return Err(format!("then lane {number} has {kept} of {} batches", asked.0[number].len())),
            Err(words) if is_told(&words, number) => {}
            Err(words) => return Err(format!("then {words}")),
        }
    }
    Ok((if told { Outcome::Told } else { Outcome::Harmless }, unreadable))
}

/// A fault that says which lane, or which rows.
fn is_told(words: &str, number: usize) -> bool {
    let lane = format!("lane {:032x} ", lane(number).0);
    words.contains("could not read") && (words.contains(&lane) || words.contains(&format!("'{number} ")))
}

#[test]
fn a_flipped_bit_or_a_cut_file_is_detected_or_harmless_and_never_serves_wrong_data() {
    let (asked, remains) = remains();
    let count = times("EVERFOLD_ROT", 1_000);
    let numbers = Mutex::new(0..count);
    let outcomes: Mutex<BTreeMap<(String, Outcome), u64>> = Mutex::default();
    let spared = Mutex::new((0, 0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(number) = numbers.lock().unwrap_or_else(PoisonError::into_inner).next() else { return };
                    let mut chance = Chance(number);
                    let Remains { name, image } = &remains[chance.index(remains.len())];
                    let mut image = image.clone();
                    // Half of them in the database, where most of the data is.
                    let files: Vec<String> =
                        image.0.iter().filter(|file| !file.1.is_empty()).map(|file| file.0.clone()).collect();
                    let file = if chance.coin() { "everfold.db" } else { &files[chance.index(files.len())] };
                    let how = damage(&mut image, file, &mut chance);
                    let (outcome, unreadable) = outcome(&asked, &image, &mut chance)
                        .unwrap_or_else(|words| panic!("damage {number} to a {name} store, where {how}: {words}"));
                    *outcomes.lock().expect("whole").entry((file.to_owned(), outcome)).or_default() += 1;
                    if outcome == Outcome::Told {
                        let mut spared = spared.lock().expect("whole");
                        *spared = (spared.0 + 1, spared.1 + LANES - unreadable);
                    }
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("whole");
    let (told, readable) = spared.into_inner().expect("whole");
    println!(
        "{outcomes:#?}\n{told} were told of by reads and commits; {readable} of {} lanes stayed readable",
        told * LANES
    );
    let sum = |wanted: Outcome| {
        outcomes.iter().filter(|((_, found), _)| *found == wanted).map(|(_, count)| count).sum::<u64>()
    };
    assert!(sum(Outcome::Refused) + sum(Outcome::Told) > count / 4, "hardly any damage was felt");
    note(
        "bit rot, truncation",
        &format!("{} random damages over every file kind, store closed or killed", grouped(count)),
        &format!(
            "wrong data served 0 (refused {}, told on reading {}, harmless {})",
            sum(Outcome::Refused),
            sum(Outcome::Told),
            sum(Outcome::Harmless)
        ),
    );
}

#[test]
fn a_damaged_chunk_is_a_fault_that_names_its_lane_and_spares_the_others() {
    let (asked, [closed, _]) = remains();
    let place = closed.image.restore();
    let path = place.path().join("everfold.db");
    let database = Connection::open(&path).expect("opens");
    let hurt = 2;
    let lane_id = lane(hurt).0.to_be_bytes();
    let chunk = database.query_row(
        "SELECT first, bytes FROM chunk WHERE lane = ?1 ORDER BY length(bytes) DESC LIMIT 1",
        [lane_id],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)),
    );
    let (first, chunk) = chunk.expect("is there");
    assert!(chunk.len() > 10_000, "the longest chunk has a page of its own, but {} bytes", chunk.len());
    drop(database);

    let check = |words: &str| {
        let store = Sqlite::open_with(place.path(), &options(None)).expect("opens");
        for number in 0..LANES {
            let kept = asked.kept(&store, number);
            if number == hurt {
                let fault = kept.expect_err("is damaged");
                assert!(is_told(&fault, number) && fault.contains(words), "{fault}");
                let after = Position::from_u64(first.cast_unsigned() - 1);
                let one = Extent { records_max: 1, bytes_max: 1 };
                let fault = wait(store.read(lane(number), after, one)).expect_err("is damaged").to_string();
                assert!(fault.contains(&format!("position {}", after.to_u64())), "{fault}");
                let last = wait(store.last(lane(number), Position::from_u64(u64::MAX)));
                assert!(last.is_ok_and(|last| last.is_some()), "its newest records are still there");
            } else {
                assert_eq!(kept, Ok(asked.0[number].len()));
            }
        }
    };
    // On the disk: the page tells.
    let mut bytes = fs::read(&path).expect("reads");
    let middle = &chunk[chunk.len() - 100..][..16];
    let at = bytes.windows(16).position(|window| window == middle).expect("is there");
    bytes[at] ^= 1;
    fs::write(&path, &bytes).expect("writes");
    check("a page does not agree with its checksum");

    // In memory, before it was written: the chunk tells.
    closed.image.0.iter().for_each(|(name, bytes)| fs::write(place.path().join(name), bytes).expect("writes"));
    let database = Connection::open(&path).expect("opens");
    let mut wrong = chunk.clone();
    wrong[chunk.len() - 100] ^= 1;
    let changed =
        database.execute("UPDATE chunk SET bytes = ?1 WHERE lane = ?2 AND first = ?3", (&wrong, lane_id, first));
    assert_eq!(changed, Ok(1));
    // Other programs leave the old checksums on what they change; writing it all anew leaves none.
    database.execute_batch("VACUUM").expect("writes");
    drop(database);
    check(&format!("the chunk of records from position {first} on is damaged"));
}
