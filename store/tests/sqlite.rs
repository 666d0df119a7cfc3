//! What the store in SQLite promises while all goes well: the contract, its threads, its bounds, and sealing.

use std::{num::NonZeroU32, path::Path, sync::Arc, time::Duration};

use rules::record::{Hash, LaneId, Position, Record, Seq};
use store::{
    Batch, Commit, Extent, Order, Store,
    contract::{Home, hold},
    sqlite::{Options, Seal, Sqlite},
};
use tempfile::TempDir;
use tokio::task::JoinSet;

struct Directory(TempDir);

impl Home for Directory {
    type Kept = Sqlite;

    fn open(&mut self) -> Sqlite {
        Sqlite::open(self.0.path()).expect("opens")
    }
}

fn directory() -> Directory {
    Directory(TempDir::new().expect("a directory"))
}

store::contract!(directory());

/// The contract again, with hardly a record that is not sealed: every lane of more than one record crosses the borders
/// of chunks.
mod sealed_at_once {
    use super::*;

    struct Sealing(TempDir);

    impl Home for Sealing {
        type Kept = Sqlite;

        fn open(&mut self) -> Sqlite {
            Sqlite::open_with(self.0.path(), &seal_at_once()).expect("opens")
        }
    }

    store::contract!(Sealing(TempDir::new().expect("a directory")));
}

fn seal_at_once() -> Options {
    let seal = Seal { keep_records: NonZeroU32::MIN, chunk_bytes_max: 16, rest: 0 };
    Options { seal, ..Options::default() }
}

#[test]
fn commits_of_one_lane_that_do_not_wait_for_each_other_are_kept_in_order() {
    hold(async {
        let store = directory().open();
        let waiting: Vec<_> = (0..2_000).map(|expect| store.commit(next(LaneId(1), expect, 10))).collect();
        for commit in waiting {
            assert_eq!(commit.await, Commit::Done);
        }
        assert_eq!(length(&store, LaneId(1)).await, 2_000);
    });
}

/// More lanes than tails are remembered, all at once: the queue is full for most of the time, and every other caller
/// leaves it.
#[test]
fn a_full_queue_makes_commits_wait_and_loses_none_and_old_lanes_are_looked_up_again() {
    hold(async {
        let store = directory().open();
        let lanes = 150_000;
        let mut staying = JoinSet::new();
        for lane in 0..lanes {
            let commit = store.commit(next(LaneId(lane), 0, 10));
            if lane % 2 == 0 {
                staying.spawn(commit);
            }
        }
        assert!(staying.join_all().await.into_iter().all(|commit| commit == Commit::Done));
        // Whoever left a full queue stands behind those who waited.
        assert_eq!(store.commit(next(LaneId(lanes), 0, 10)).await, Commit::Done);
        for lane in (0..lanes).step_by(100).chain([0, 1, lanes - 2, lanes - 1]) {
            assert_eq!(length(&store, LaneId(lane)).await, 1, "lane {lane}");
            assert_eq!(store.commit(next(LaneId(lane), 0, 10)).await, Commit::Conflict, "lane {lane}");
        }
    });
}

#[test]
fn reads_do_not_wait_for_commits_and_commits_wait_for_another_program() {
    hold(async {
        let mut directory = directory();
        let store = directory.open();
        assert_eq!(store.commit(next(LaneId(1), 0, 10)).await, Commit::Done);
        let other = rusqlite::Connection::open(directory.0.path().join("everfold.db")).expect("opens");
        other.execute_batch("BEGIN IMMEDIATE").expect("has the lock");
        let held = tokio::spawn(store.commit(next(LaneId(1), 1, 10)));
        for _ in 0..100 {
            assert_eq!(length(&store, LaneId(1)).await, 1);
        }
        assert!(!held.is_finished());
        other.execute_batch("ROLLBACK").expect("lets go");
        assert_eq!(held.await.expect("ends well"), Commit::Done);
    });
}

#[test]
fn a_store_beside_its_owner_reads_what_the_owner_keeps_and_keeps_nothing() {
    hold(async {
        let mut directory = directory();
        assert!(Sqlite::open_beside(directory.0.path()).is_err(), "there is nothing to read");
        let owner = directory.open();
        let beside = Sqlite::open_beside(directory.0.path()).expect("opens");
        for (expect, kept) in (0..20).zip(1..) {
            assert_eq!(owner.commit(next(LaneId(1), expect, 10)).await, Commit::Done);
            assert_eq!(length(&beside, LaneId(1)).await, kept);
        }
        assert!(matches!(beside.commit(next(LaneId(1), 20, 10)).await, Commit::Unknown(_)));
        assert!(matches!(beside.erase(LaneId(1), Position::of_request(Seq(9)), 9).await, Commit::Unknown(_)));
        assert_eq!(length(&owner, LaneId(1)).await, 20);
        assert_eq!(owner.commit(next(LaneId(1), 20, 10)).await, Commit::Done);
        owner.close();
        assert_eq!(length(&beside, LaneId(1)).await, 21, "it outlives its owner");
        let owner = directory.open();
        drop(beside);
        assert_eq!(owner.commit(next(LaneId(1), 21, 10)).await, Commit::Done);
        owner.close();
        assert_eq!(length(&directory.open(), LaneId(1)).await, 22);
    });
}

#[test]
fn the_log_is_copied_into_the_database_while_commits_go_on() {
    hold(async {
        let mut directory = directory();
        let store = Arc::new(directory.open());
        let mut lanes = JoinSet::new();
        for lane in 0..8 {
            let store = store.clone();
            lanes.spawn(async move {
                for expect in 0..640 {
                    assert_eq!(store.commit(next(LaneId(lane), expect, 64 << 10)).await, Commit::Done);
                }
            });
        }
        lanes.join_all().await;
        let (database, log) = (bytes(&directory, "everfold.db"), bytes(&directory, "everfold.db-wal"));
        assert!(database > 100 << 20, "only {database} bytes were copied");
        assert!(log < 160 << 20, "the log has grown to {log} bytes");

        Arc::into_inner(store).expect("nobody else has it").close();
        assert_eq!(bytes(&directory, "everfold.db-wal"), 0, "closing copies the rest");
        let store = directory.open();
        assert_eq!(store.commit(next(LaneId(9), 0, 10)).await, Commit::Done);
        let (database, log) = (bytes(&directory, "everfold.db"), bytes(&directory, "everfold.db-wal"));
        assert_eq!(store.size_bytes().expect("has a size"), database + log);
        for lane in 0..8 {
            assert_eq!(length(&store, LaneId(lane)).await, 640);
        }
    });
}

#[test]
fn closing_commits_what_waits_and_later_answers_say_that_it_is_closed() {
    hold(async {
        let mut directory = directory();
        let store = directory.open();
        let waiting: Vec<_> = (0..1_000).map(|lane| store.commit(next(LaneId(lane), 0, 10))).collect();
        let read = store.rows(vec![], vec![255], Order::Ascending, 1);
        store.close();
        for commit in waiting {
            assert_eq!(commit.await, Commit::Done);
        }
        assert_eq!(read.await, Ok(vec![]));
        let store = directory.open();
        assert_eq!(length(&store, LaneId(999)).await, 1);
    });
}

/// A store that nobody polls must not keep its directory: futures hold no thread and no lock.
#[test]
fn a_store_can_be_dropped_while_its_futures_are_held() {
    hold(async {
        let mut directory = directory();
        let store = directory.open();
        let many: Vec<_> = (0..40_000).map(|lane| store.commit(next(LaneId(lane), 0, 10))).collect();
        let reads: Vec<_> = (0..10_000).map(|lane| store.last(LaneId(lane), Position::START)).collect();
        drop(store);
        let store = directory.open();
        for (lane, commit) in (0..).zip(many) {
            // Those that never got into the queue are told so.
            match commit.await {
                Commit::Done => assert_eq!(length(&store, LaneId(lane)).await, 1),
                other => assert!(matches!(other, Commit::Unknown(_)), "{other:?}"),
            }
        }
        for read in reads {
            let _ = tokio::time::timeout(Duration::from_secs(10), read).await.expect("is answered");
        }
    });
}

#[test]
fn old_records_are_sealed_whatever_lane_they_are_of_and_read_as_before() {
    hold(async {
        let directory = directory();
        let records: Vec<Record> = chained(2_000);
        let whole = |lane| Batch { lane, expect: Position::START, records: records.clone(), rows: vec![] };
        let store = Sqlite::open(directory.0.path()).expect("opens");
        for lane in 0..4 {
            assert_eq!(store.commit(whole(LaneId(lane))).await, Commit::Done);
        }
        drop(store);
        // Whether they were written by this process or by one before.
        let store = Sqlite::open(directory.0.path()).expect("opens");
        for lane in 4..8 {
            assert_eq!(store.commit(whole(LaneId(lane))).await, Commit::Done);
        }
        let database = rusqlite::Connection::open(directory.0.path().join("everfold.db")).expect("opens");
        let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("counts");
        while count("SELECT count(*) FROM record") >= 8 * 256 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(count("SELECT min(n) FROM (SELECT count(*) AS n FROM record GROUP BY lane)") >= 128);
        assert!(count("SELECT max(length(bytes)) FROM chunk") < 256 << 10);
        for lane in (0..8).map(LaneId) {
            for at in [1, 2, 700, 1_500, 1_999, 2_000] {
                let found = store.last(lane, records[at - 1].position).await;
                assert!(found == Ok(Some(records[at - 1].clone())), "record {at} of {lane:?}: {found:?}");
                let extent = Extent { records_max: 300, bytes_max: usize::MAX };
                let page = store.read(lane, records[at - 1].position, extent).await.expect("reads");
                assert!(page == records[at..2_000.min(at + 300)], "the page behind record {at} of {lane:?}");
            }
            assert_eq!(store.commit(next(lane, 2_000, 10)).await, Commit::Done, "the lane goes on where it ends");
        }
    });
}

/// Chained as the engine does it, and now and then not.
fn chained(records: u64) -> Vec<Record> {
    let mut hash = Hash::NONE;
    let mut next = |seq: u64| {
        let position = Position::of_request(Seq(seq));
        let body = format!("request number {seq}, and again {seq}; ").repeat(20).into_bytes();
        let before = if seq.is_multiple_of(10) { Hash([7; 32]) } else { hash };
        hash = before.chain(position, &body);
        Record { position, hash, body }
    };
    (1..=records).map(&mut next).collect()
}

fn next(lane: LaneId, expect: u64, body_bytes: usize) -> Batch {
    let [expect, position] = [expect, expect + 1].map(|seq| Position::of_request(Seq(seq)));
    let record = Record { position, hash: Hash::NONE, body: vec![b'x'; body_bytes] };
    Batch { lane, expect, records: vec![record], rows: vec![] }
}

async fn length(store: &Sqlite, lane: LaneId) -> usize {
    let all = Extent { records_max: usize::MAX, bytes_max: usize::MAX };
    store.read(lane, Position::START, all).await.expect("reads").len()
}

fn bytes(directory: &Directory, file: &str) -> u64 {
    let path: &Path = directory.0.path();
    path.join(file).metadata().map_or(0, |file| file.len())
}
