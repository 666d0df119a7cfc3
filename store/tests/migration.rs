//! What a migration promises: everything arrives as it was, wherever it is cut short, and nobody serves half of it.

#[allow(dead_code, reason = "the tests of the store in PostgreSQL use the rest of it")]
mod harness;

use std::{
    num::NonZeroU32,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use harness::Server;
use rules::{
    access::{Door, KeyKind},
    record::{Hash, LaneId, Position, Record, Seq},
    row,
};
use store::{
    Batch, Commit, Extent, Order, Row, Store,
    contract::hold,
    memory::{Memory, Verdict, delay},
    migration::{Mark, Migration, Stopped, Tally, mark, reclaim},
    postgres::{Databases, Postgres, Shard},
    sqlite::{Options, Seal, Sqlite},
};
use tempfile::TempDir;

const NUMBER: u128 = 7;
const ALL: Extent = Extent { records_max: usize::MAX, bytes_max: usize::MAX };
/// Its beginning is erased.
const ERASED: LaneId = LaneId(u128::MAX);
const LONG: LaneId = LaneId(1 << 127);

fn folder() -> TempDir {
    TempDir::new().expect("a directory")
}

/// One in which hardly a record is not sealed.
fn sqlite(directory: &Path) -> Arc<Sqlite> {
    let seal = Seal { keep_records: NonZeroU32::MIN, chunk_bytes_max: 4_096, rest: 0 };
    Arc::new(Sqlite::open_with(directory, &Options { seal, ..Options::default() }).expect("opens"))
}

async fn postgres(server: &Server) -> Arc<Postgres> {
    Arc::new(Postgres::open(&server.address()).await.expect("opens"))
}

fn migration(from: &Arc<impl Store>, to: &Arc<impl Store>) -> Migration {
    Migration { from: from.clone(), to: to.clone(), tally: Arc::new(Tally::default()) }
}

fn copied(migration: &Migration) -> u64 {
    migration.tally.records_copied.load(Ordering::Relaxed)
}

/// `count` records behind the end of a lane, chained to it.
async fn grow(store: &dyn Store, lane: LaneId, count: u64, body_bytes: usize) {
    let last = store.last(lane, Position::from_u64(u64::MAX)).await.expect("reads");
    let (expect, mut hash) = last.map_or((Position::START, Hash::NONE), |last| (last.position, last.hash));
    let records = (1..=count).map(|number| {
        let position = Position::of_request(Seq(expect.seq().0 + number));
        let mut body = format!("{number} of {lane:?}").into_bytes();
        body.resize(body.len().max(body_bytes), b'.');
        hash = hash.chain(position, &body);
        Record { position, hash, body }
    });
    let batch = Batch { lane, expect, records: records.collect(), rows: Vec::new() };
    assert_eq!(store.commit(batch).await, Commit::Done);
}

async fn put(store: &dyn Store, rows: &[(&[u8], Option<&[u8]>)]) {
    let rows = rows.iter().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
    let batch = Batch { lane: LaneId(99), expect: Position::START, records: Vec::new(), rows };
    assert_eq!(store.commit(batch).await, Commit::Done);
}

async fn erase(store: &dyn Store, lane: LaneId, before: u64) {
    for _ in 0..before {
        let done = store.erase(lane, Position::of_request(Seq(before)), 1_000).await;
        assert_eq!(done, Commit::Done);
    }
}

/// More lanes than are copied at once, of every length.
async fn fill(store: &dyn Store) {
    for lane in 0..150 {
        grow(store, LaneId(lane << 64), 1 + u64::try_from(lane).expect("small") % 5, 10).await;
    }
    for count in [900, 900, 700] {
        grow(store, LONG, count, 300).await;
    }
    grow(store, LaneId(5), 3, 3 << 20).await;
    grow(store, ERASED, 300, 10).await;
    erase(store, ERASED, 200).await;
    put(store, &[(b"", Some(b"no key")), (b"none", Some(b"")), (&[0xff; 40], Some(&[0, 0xff])), (b"a\0", Some(b"1"))])
        .await;
    let large = vec![b'x'; 3 << 20];
    for number in 0..100_u8 {
        put(store, &[(&[b'r', number], Some(&[number])), (&[b's', number], Some(b"s"))]).await;
    }
    put(store, &[(b"large/1", Some(&large)), (b"large/2", Some(&large)), (b"a", Some(b"0"))]).await;
}

/// All there is but the mark; of a lane whose beginning is gone, what stands behind that.
async fn content(store: &dyn Store) -> (Vec<(LaneId, Vec<Record>)>, Vec<Row>) {
    let mut lanes = Vec::new();
    for end in store.lanes(LaneId(0), usize::MAX).await.expect("reads") {
        let begins = if end.lane == ERASED { Position::of_request(Seq(250)) } else { Position::START };
        let records = store.read(end.lane, begins, ALL).await.expect("reads");
        assert_eq!(records.last().map(|last| (last.position, last.hash)), Some((end.position, end.hash)));
        lanes.push((end.lane, records));
    }
    let mut rows = store.rows(Vec::new(), vec![0xff; 100], Order::Ascending, usize::MAX).await.expect("reads");
    rows.retain(|(key, _)| *key != row::migration());
    (lanes, rows)
}

async fn first_of(store: &dyn Store, lane: LaneId) -> u64 {
    let one = Extent { records_max: 1, bytes_max: 1 };
    store.read(lane, Position::START, one).await.expect("reads")[0].position.seq().0
}

#[test]
fn everything_arrives_in_another_store_and_comes_back() {
    hold(async {
        let (home, server) = (folder(), Server::start());
        let (here, there) = (sqlite(home.path()), postgres(&server).await);
        fill(&*here).await;
        let all = content(&*here).await;
        let moving = migration(&here, &there);
        moving.switch(NUMBER).await.expect("moves");
        assert_eq!(content(&*there).await, all);
        assert_eq!(first_of(&*there, ERASED).await, first_of(&*here, ERASED).await);
        assert_eq!(moving.tally.lanes_compared.load(Ordering::Relaxed), all.0.len() as u64);
        assert_eq!(moving.tally.rows_compared.load(Ordering::Relaxed), all.1.len() as u64);
        assert_eq!(mark(&*here).await, Ok(Some(Mark::Left(NUMBER))));
        assert_eq!(mark(&*there).await, Ok(None));
        assert_eq!(moving.switch(NUMBER).await, Err(Stopped::Left), "what has moved does not move again");

        // Back to where it was comes only what is new.
        grow(&*there, LONG, 10, 10).await;
        grow(&*there, LaneId(1), 1, 10).await;
        erase(&*there, ERASED, 290).await;
        put(&*there, &[(b"none", None), (b"new", Some(b"new")), (b"a", Some(b"other"))]).await;
        let back = migration(&there, &here);
        back.switch(NUMBER + 1).await.expect("moves");
        assert_eq!(copied(&back), 11);
        assert_eq!(back.tally.rows_copied.load(Ordering::Relaxed), 3);
        assert_eq!(content(&*here).await.1, content(&*there).await.1);
        let (ours, theirs) = (content(&*here).await.0, content(&*there).await.0);
        assert!(ours.iter().zip(&theirs).all(|(ours, theirs)| ours.1.ends_with(&theirs.1)));
        assert!((200..=290).contains(&first_of(&*here, ERASED).await), "most of what was erased is gone here, too");
        assert_eq!((mark(&*here).await, mark(&*there).await), (Ok(None), Ok(Some(Mark::Left(NUMBER + 1)))));

        // And to where nothing was.
        let third = folder();
        let third = sqlite(third.path());
        assert_eq!(migration(&there, &third).switch(NUMBER).await, Err(Stopped::Left));
        migration(&here, &third).switch(NUMBER + 2).await.expect("moves");
        assert_eq!(content(&*third).await, content(&*here).await);
    });
}

/// Of each hook that is apart: what its lane writes, under every kind of key.
fn rows_of(hook: LaneId) -> Vec<(Vec<u8>, Vec<u8>)> {
    let door = row::encode(&Door { hook, kind: KeyKind::Read, paused: false });
    let door = (row::door(&format!("{:x}", hook.0 >> 64)), door);
    let keys = [row::hook(hook), row::source(hook, 1), row::seen(hook, b"key"), row::owned(LaneId(5), hook)];
    keys.into_iter().map(|key| (key, hook.0.to_be_bytes().to_vec())).chain([door]).collect()
}

#[test]
fn what_moves_to_three_databases_lies_where_it_is_written_and_comes_back_as_it_was() {
    hold(async {
        let (home, server) = (folder(), Server::start());
        let here = sqlite(home.path());
        let addresses = [server.address(), server.database("second").await, server.database("third").await].join(" ");
        let there = Arc::new(Databases::open(&addresses).await.expect("opens"));
        fill(&*here).await;
        let hooks: Vec<LaneId> = (1..=300).map(|number: u128| LaneId::placed(number << 100)).collect();
        for hook in &hooks {
            grow(&*here, *hook, 3, 10).await;
            let rows = rows_of(*hook);
            put(&*here, &rows.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice()))).collect::<Vec<_>>())
                .await;
        }
        let all = content(&*here).await;
        migration(&here, &there).switch(NUMBER).await.expect("moves");
        assert_eq!(content(&*there).await, all);
        assert_eq!((mark(&*here).await, mark(&*there).await), (Ok(Some(Mark::Left(NUMBER))), Ok(None)));
        for (number, part) in there.parts().iter().enumerate() {
            let of_part = hooks.iter().filter(|hook| Shard::of(**hook).part(3) == number);
            let mut wanted: Vec<Row> = of_part.flat_map(|hook| rows_of(*hook)).collect();
            wanted.sort();
            let (_, mut found) = content(part).await;
            found.retain(|(key, _)| wanted.iter().any(|(wanted, _)| wanted == key) || number > 0);
            assert_eq!(found, wanted, "of database {number}");
        }

        // What is changed there by whom it belongs to, and back again.
        for hook in hooks.iter().step_by(2) {
            let expect = Position::of_request(Seq(3));
            let rows = rows_of(*hook).into_iter().map(|(key, _)| (key, None)).collect();
            let batch = Batch { lane: *hook, expect, records: Vec::new(), rows };
            assert_eq!(there.commit(batch).await, Commit::Done);
            grow(&*there, *hook, 2, 10).await;
        }
        let back = migration(&there, &here);
        back.switch(NUMBER + 1).await.expect("moves");
        assert_eq!((copied(&back), back.tally.rows_copied.load(Ordering::Relaxed)), (300, 150 * 5));
        let all = content(&*here).await;
        assert_eq!(content(&*there).await, all);

        // And there once more, where doors are that are not here any more.
        for hook in hooks.iter().skip(1).step_by(2) {
            let rows = rows_of(*hook);
            put(&*here, &rows.iter().map(|(key, _)| (key.as_slice(), None)).collect::<Vec<_>>()).await;
        }
        migration(&here, &there).switch(NUMBER + 2).await.expect("moves");
        assert_eq!(content(&*there).await, content(&*here).await);
        for part in &there.parts()[1..] {
            assert_eq!(content(part).await.1, []);
        }
    });
}

#[test]
fn a_store_in_use_is_copied_beside_its_owner_and_the_switch_brings_only_what_came_since() {
    hold(async {
        let (home, server) = (folder(), Server::start());
        let (owner, there) = (sqlite(home.path()), postgres(&server).await);
        fill(&*owner).await;
        let writing = tokio::spawn({
            let owner = owner.clone();
            async move {
                for number in 0..400_u64 {
                    grow(&*owner, LaneId((u128::from(number) % 7) << 100), 1, 100).await;
                    put(&*owner, &[(&[b's', (number % 100) as u8], Some(&number.to_be_bytes()))]).await;
                }
            }
        });
        let beside = Arc::new(Sqlite::open_beside(home.path()).expect("opens"));
        let copying = migration(&beside, &there);
        copying.copy(NUMBER).await.expect("copies");
        writing.await.expect("writes");
        assert!(copied(&copying) > 3_000);
        assert_eq!(mark(&*there).await, Ok(Some(Mark::Copy(NUMBER))), "half of it is not to be served");
        assert_eq!(mark(&*owner).await, Ok(None), "and the source is in use");

        // What was deleted and erased since is not there any more either.
        put(&*owner, &[(b"large/1", None), (b"\0", Some(b"first"))]).await;
        erase(&*owner, LONG, 2_000).await;
        erase(&*owner, LaneId(4 << 64), 5).await;
        let switching = migration(&owner, &there);
        switching.switch(NUMBER + 1).await.expect("moves");
        assert!(copied(&switching) <= 400, "{} were copied again", copied(&switching));
        assert_eq!(content(&*there).await, content(&*owner).await);
        assert_eq!(first_of(&*there, LONG).await, first_of(&*owner, LONG).await);
        assert_eq!(mark(&*owner).await, Ok(Some(Mark::Left(NUMBER))), "it is the migration that was begun");
    });
}

/// Each time at another commit, of either store, and both ways in which one fails.
#[test]
fn wherever_a_switch_is_cut_short_one_store_is_served_at_most_and_the_next_finishes_it() {
    hold(async {
        let full = Memory::new();
        for lane in 0..3 {
            grow(&full, LaneId(lane), 2, 10).await;
        }
        put(&full, &[(b"a", Some(b"1")), (b"b", Some(b"2"))]).await;
        let all = content(&full).await;
        for is_kept in [false, true] {
            for is_source in [false, true] {
                let mut cuts = 0;
                loop {
                    let (from, to) = (Arc::new(full.crash(0)), Arc::new(Memory::new()));
                    let faults = if is_source { from.faults() } else { to.faults() };
                    (0..cuts).for_each(|_| faults.commit(Verdict::Honest));
                    faults.commit(if is_kept { Verdict::UnknownButKept } else { Verdict::Full });
                    let moving = migration(&from, &to);
                    let cut = moving.switch(NUMBER).await;
                    let marks = (mark(&*from).await, mark(&*to).await);
                    let Err(stopped) = cut else { break };
                    assert!(matches!((is_kept, &stopped), (true, Stopped::Broken(_)) | (false, Stopped::Full(_))));
                    let is_empty = to.lanes(LaneId(0), 1).await == Ok(vec![]);
                    assert!(marks != (Ok(None), Ok(None)) || is_empty, "both may be served after cut {cuts}");
                    match moving.switch(NUMBER).await {
                        Ok(()) => {}
                        // All was done, and nobody had heard of it.
                        Err(stopped) => assert!(marks.1 == Ok(None) && stopped == Stopped::Left, "{stopped}"),
                    }
                    assert_eq!((mark(&*from).await, mark(&*to).await), (Ok(Some(Mark::Left(NUMBER))), Ok(None)));
                    assert_eq!(content(&*to).await, all, "after cut {cuts}");
                    cuts += 1;
                }
                assert_eq!(cuts, if is_source { 1 } else { 6 }, "commits of a switch");
            }
        }
    });
}

#[test]
fn a_copy_that_was_cut_short_goes_on_where_it_stopped() {
    hold(async {
        let home = folder();
        let (here, there) = (sqlite(home.path()), Arc::new(Memory::new()));
        grow(&*here, LONG, 5_000, 10).await;
        let faults = there.faults();
        for verdict in [Verdict::Honest, Verdict::Honest, Verdict::Honest, Verdict::Full] {
            faults.commit(verdict);
        }
        let copying = migration(&here, &there);
        assert_eq!(copying.copy(NUMBER).await, Err(Stopped::Full("the target")));
        assert_eq!(copied(&copying), 2_000);
        grow(&*here, LONG, 500, 10).await;
        copying.copy(NUMBER + 1).await.expect("goes on");
        assert_eq!(copied(&copying), 5_500, "none twice");
        assert_eq!(content(&*there).await, content(&*here).await);
    });
}

#[test]
fn a_target_that_is_no_copy_of_the_source_is_refused_and_left_as_it_was() {
    hold(async {
        let from = Arc::new(Memory::new());
        fill(&*from).await;
        let refused = async |to: &Arc<Memory>, why: Stopped| {
            let before = (content(&**to).await, mark(&**to).await);
            assert_eq!(migration(&from, to).copy(NUMBER).await, Err(why.clone()));
            assert_eq!(migration(&from, to).switch(NUMBER).await, Err(why));
            assert_eq!((content(&**to).await, mark(&**to).await), before);
            assert_eq!(mark(&*from).await, Ok(None));
        };
        let rows_alone = Arc::new(Memory::new());
        put(&*rows_alone, &[(&[0xff; 30], Some(b""))]).await;
        refused(&rows_alone, Stopped::Occupied).await;
        let records_alone = Arc::new(Memory::new());
        grow(&*records_alone, LONG, 1, 300).await;
        refused(&records_alone, Stopped::Occupied).await;

        // Copies of others: one has a lane of its own, one another record, one went on by itself.
        for (lane, count) in [(LaneId(77), 1), (LaneId(0), 1), (LONG, 2_501)] {
            let (other, to) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
            grow(&*other, lane, count, 299).await;
            migration(&other, &to).copy(NUMBER).await.expect("copies");
            refused(&to, Stopped::Foreign(lane)).await;
        }
        // What was begun is no source.
        let (copy, to) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
        migration(&from, &copy).copy(NUMBER).await.expect("copies");
        assert_eq!(migration(&copy, &to).copy(NUMBER).await, Err(Stopped::OfCopy));
        assert_eq!(mark(&*to).await, Ok(None));
    });
}

#[test]
fn what_arrived_otherwise_than_it_was_stops_the_switch() {
    hold(async {
        let (home, server) = (folder(), Server::start());
        let (here, there) = (sqlite(home.path()), postgres(&server).await);
        fill(&*here).await;
        migration(&here, &there).copy(NUMBER).await.expect("copies");
        let database = server.connect().await;
        let position = Position::of_request(Seq(1_500)).to_u64();
        let of = format!("lane = '\\x8{:031}' AND position = {position}", 0);
        for planted in [
            format!("UPDATE everfold.record SET body = set_byte(body, 20, 0) WHERE {of}"),
            format!("UPDATE everfold.record SET hash = set_byte(hash, 31, 0) WHERE {of}"),
            format!("DELETE FROM everfold.record WHERE {of}"),
        ] {
            database.batch_execute("CREATE TABLE whole AS TABLE everfold.record").await.expect("is kept");
            let changed = database.execute(&planted, &[]).await.expect("is planted");
            assert_eq!(changed, 1);
            let switched = migration(&here, &there).switch(NUMBER).await;
            let Err(Stopped::Differs { lane: LONG, after }) = switched else { panic!("{planted}: {switched:?}") };
            assert!((500..1_500).contains(&after.seq().0), "{after:?}");
            assert_eq!((mark(&*here).await, mark(&*there).await), (Ok(None), Ok(Some(Mark::Copy(NUMBER)))));
            let mend = "TRUNCATE everfold.record; INSERT INTO everfold.record TABLE whole; DROP TABLE whole";
            database.batch_execute(mend).await.expect("is mended");
        }
        migration(&here, &there).switch(NUMBER).await.expect("moves");
        assert_eq!(content(&*there).await, content(&*here).await);
    });
}

#[test]
fn a_row_that_is_written_under_a_switch_stops_it() {
    hold(async {
        let (from, to) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
        put(&*from, &[(b"a", Some(b"1")), (b"b", Some(b"2"))]).await;
        let (release, delayed) = delay();
        to.faults().commit(Verdict::Honest);
        to.faults().commit(Verdict::Delayed(delayed));
        let moving = migration(&from, &to);
        let switching = tokio::spawn({
            let moving = moving.clone();
            async move { moving.switch(NUMBER).await }
        });
        // The first commit is the mark; the one that waits is of rows that were read.
        while mark(&*to).await == Ok(None) || to.unsynced() == 0 {
            tokio::task::yield_now().await;
        }
        put(&*from, &[(b"a", Some(b"late"))]).await;
        release.now();
        assert_eq!(switching.await.expect("ends"), Err(Stopped::Disturbed("the source or the target")));
        assert_eq!((mark(&*from).await, mark(&*to).await), (Ok(None), Ok(Some(Mark::Copy(NUMBER)))));
        moving.switch(NUMBER).await.expect("moves");
        assert_eq!(content(&*to).await, content(&*from).await);
    });
}

#[test]
fn what_was_left_can_be_reclaimed_and_a_copy_cannot() {
    hold(async {
        let (from, to) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
        fill(&*from).await;
        let all = content(&*from).await;
        migration(&from, &to).copy(NUMBER).await.expect("copies");
        assert_eq!(reclaim(&*to).await, Err(Stopped::OfCopy));
        assert_eq!(mark(&*to).await, Ok(Some(Mark::Copy(NUMBER))));
        migration(&from, &to).switch(NUMBER).await.expect("moves");
        reclaim(&*from).await.expect("is left");
        assert_eq!((mark(&*from).await, content(&*from).await), (Ok(None), all));
    });
}

#[test]
fn what_the_target_lost_behind_its_copy_stops_the_switch() {
    hold(async {
        let (from, server) = (Arc::new(Memory::new()), Server::start());
        let to = postgres(&server).await;
        grow(&*from, LONG, 20, 10).await;
        migration(&from, &to).copy(NUMBER).await.expect("copies");
        // The switch waits for its rows, its records being there.
        put(&*from, &[(b"a", Some(b"1"))]).await;
        let database = server.connect().await;
        database.batch_execute("BEGIN; LOCK everfold.row IN EXCLUSIVE MODE").await.expect("locks");
        let moving = migration(&from, &to);
        let switching = tokio::spawn({
            let moving = moving.clone();
            async move { moving.switch(NUMBER).await }
        });
        while moving.tally.rows_compared.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let newest = format!("DELETE FROM everfold.record WHERE position > {}", Position::of_request(Seq(12)).to_u64());
        assert_eq!(database.execute(&newest, &[]).await.expect("loses them"), 8);
        database.batch_execute("COMMIT").await.expect("lets go");
        let after = Position::of_request(Seq(12));
        assert_eq!(switching.await.expect("ends"), Err(Stopped::Differs { lane: LONG, after }));
        assert_eq!((mark(&*from).await, mark(&*to).await), (Ok(None), Ok(Some(Mark::Copy(NUMBER)))));
    });
}
