//! What the store in PostgreSQL promises: the contract, its databases' failures, and many nodes at once.

#[allow(dead_code, reason = "other tests use the rest of it")]
mod harness;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use harness::Server;
use rules::record::{Hash, LaneId, Position, Record, Seq};
use store::{
    Batch, Commit, Extent, Store,
    contract::{Home, hold},
    postgres::{Leases, Node, NodeId, OpenError, Owned, Postgres, SHARDS, Shard},
};
use tempfile::TempDir;
use tokio::{runtime::Handle, task::JoinSet};

const ALL: Extent = Extent { records_max: usize::MAX, bytes_max: usize::MAX };
const LEASE: Duration = Duration::from_secs(60);

impl Home for Server {
    type Kept = Postgres;

    fn open(&mut self) -> Postgres {
        let address = self.address();
        tokio::task::block_in_place(|| Handle::current().block_on(Postgres::open(&address))).expect("opens")
    }
}

store::contract!(Server::start());

#[test]
fn commits_of_one_lane_that_do_not_wait_for_each_other_are_kept_in_order() {
    hold(async {
        let mut server = Server::start();
        let store = server.open();
        let waiting: Vec<_> = (0..2_000).map(|expect| store.commit(next(LaneId(1), expect, 10))).collect();
        for commit in waiting {
            assert_eq!(commit.await, Commit::Done);
        }
        assert_eq!(length(&store, LaneId(1)).await, 2_000);
    });
}

#[test]
fn closing_commits_what_waits() {
    hold(async {
        let mut server = Server::start();
        let store = server.open();
        let waiting: Vec<_> = (0..1_000).map(|lane| store.commit(next(LaneId(lane), 0, 10))).collect();
        store.close().await;
        for commit in waiting {
            assert_eq!(commit.await, Commit::Done);
        }
        assert_eq!(length(&server.open(), LaneId(999)).await, 1);
    });
}

/// Of one position they would collide in any case; a request and a note stand at two.
#[test]
fn two_stores_of_one_database_never_both_extend_a_lane_nor_write_its_rows_behind_its_end() {
    hold(async {
        let mut server = Server::start();
        let stores = [server.open(), server.open()].map(Arc::new);
        let mut tails = [Position::START; 8];
        for round in 0..100_u64 {
            let request = Position::of_request(Seq(round + 1));
            let mut writers = JoinSet::new();
            for (number, expect) in (0..).zip(tails) {
                let note = expect.next_note().expect("a note");
                let records = [vec![record(request)], vec![record(note)], vec![]];
                for (writer, records) in records.into_iter().enumerate() {
                    let store = stores[writer % 2].clone();
                    let row = (format!("{number}").into_bytes(), Some(vec![u8::try_from(writer).expect("small")]));
                    let batch = Batch { lane: LaneId(number), expect, records, rows: vec![row] };
                    writers.spawn(async move { (number, writer, store.commit(batch).await) });
                }
            }
            let done = writers.join_all().await;
            for (number, tail) in (0..).zip(&mut tails) {
                let of_lane =
                    |writer| done.iter().find(|done| (done.0, done.1) == (number, writer)).map(|done| &done.2);
                let won: Vec<usize> = (0..2).filter(|writer| of_lane(*writer) == Some(&Commit::Done)).collect();
                assert_eq!(won.len(), 1, "round {round}, lane {number}: {done:?}");
                assert_eq!(of_lane(1 - won[0]), Some(&Commit::Conflict), "round {round}, lane {number}");
                let kept = stores[0].row(format!("{number}").into_bytes()).await.expect("reads").expect("is there");
                // Rows alone go before the record, or not at all.
                assert_eq!(usize::from(kept[0]), won[0], "round {round}, lane {number}: {done:?}");
                let last = stores[1].last(LaneId(number), Position::from_u64(u64::MAX)).await.expect("reads");
                *tail = last.expect("is there").position;
                assert_eq!(*tail == request, won[0] == 0, "round {round}, lane {number}");
            }
            // Whoever wrote the note goes on from the request that was not written.
            for (number, tail) in (0..).zip(&mut tails).filter(|(_, tail)| **tail != request) {
                let batch = Batch { expect: *tail, records: vec![record(request)], ..next(LaneId(number), 0, 0) };
                assert_eq!(stores[0].commit(batch).await, Commit::Done);
                *tail = request;
            }
        }
    });
}

#[test]
fn lanes_that_write_the_same_row_at_once_are_all_kept() {
    hold(async {
        let mut server = Server::start();
        let store = server.open();
        for round in 0..20 {
            let write = |lane: u64| {
                let rows = [b"a", b"b"]
                    .map(|key| (key.to_vec(), (!lane.is_multiple_of(3)).then(|| lane.to_be_bytes().to_vec())));
                store.commit(Batch { rows: rows.into(), ..next(LaneId(lane.into()), round, 10) })
            };
            let waiting: Vec<_> = (0..40).map(write).collect();
            for commit in waiting {
                assert_eq!(commit.await, Commit::Done);
            }
            let [first, second] = [store.row(b"a".to_vec()).await, store.row(b"b".to_vec()).await];
            assert_eq!(first, second, "both are of one batch");
        }
    });
}

#[test]
fn a_batch_that_conflicts_takes_no_row_from_one_beside_it() {
    hold(async {
        let mut server = Server::start();
        let store = server.open();
        // All over the same connection, the first to keep it busy while the others meet behind it.
        let beside = |lane: &LaneId| Shard::of(*lane).number().is_multiple_of(2);
        let lanes: Vec<LaneId> = (0..).map(LaneId).filter(beside).take(3).collect();
        for round in 0..50 {
            let write = |lane, expect| {
                let rows = vec![(b"shared".to_vec(), Some(vec![u8::try_from(lane).expect("small"), round]))];
                store.commit(Batch { rows, ..next(lanes[lane], expect, 10) })
            };
            let first = store.commit(next(lanes[0], round.into(), 100_000));
            let (right, stale) = (write(1, round.into()), write(2, 7));
            assert_eq!((first.await, right.await, stale.await), (Commit::Done, Commit::Done, Commit::Conflict));
            assert_eq!(store.row(b"shared".to_vec()).await, Ok(Some(vec![1, round])));
        }
    });
}

/// An index of PostgreSQL takes no key of more than 2,704 bytes.
#[test]
fn what_the_database_refuses_is_refused_alone() {
    hold(async {
        let mut server = Server::start();
        let store = server.open();
        let waiting: Vec<_> = (0..100)
            .map(|lane| {
                let key = if lane == 50 { noise(9_000) } else { format!("{lane}").into_bytes() };
                store.commit(Batch { rows: vec![(key, Some(vec![1]))], ..next(LaneId(lane), 0, 10) })
            })
            .collect();
        for (lane, commit) in (0..).zip(waiting) {
            match commit.await {
                Commit::Unknown(words) => assert!(lane == 50 && words.contains("54000"), "lane {lane}: {words}"),
                other => assert!(lane != 50 && other == Commit::Done, "lane {lane}: {other:?}"),
            }
        }
        assert_eq!(length(&store, LaneId(50)).await, 0);
    });
}

#[test]
fn what_was_acknowledged_survives_sigkill_of_the_database_and_nothing_is_kept_twice() {
    hold(async {
        let mut server = Server::start();
        let store = Arc::new(server.open());
        let is_over = Arc::new(AtomicBool::new(false));
        let mut lanes = JoinSet::new();
        for lane in 0..16 {
            let (store, is_over) = (store.clone(), is_over.clone());
            lanes.spawn(async move {
                let (mut acknowledged, mut uncertain, mut tail) = (0_u64, 0_u64, 0_u64);
                while !is_over.load(Ordering::Relaxed) {
                    let rows = vec![(vec![lane], Some((tail + 1).to_be_bytes().to_vec()))];
                    match store.commit(Batch { rows, ..next(LaneId(lane.into()), tail, 300) }).await {
                        Commit::Done => (acknowledged, tail) = (acknowledged + 1, tail + 1),
                        Commit::Unknown(_) => {
                            uncertain += 1;
                            tail = found_tail(&store, LaneId(lane.into())).await;
                        }
                        other => panic!("lane {lane} at {tail}: {other:?}"),
                    }
                }
                (lane, acknowledged, uncertain, tail)
            });
        }
        for round in 0..4 {
            tokio::time::sleep(Duration::from_millis(600 + 300 * round)).await;
            tokio::task::block_in_place(|| server.kill());
            tokio::time::sleep(Duration::from_millis(100)).await;
            tokio::task::block_in_place(|| server.start_again());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        is_over.store(true, Ordering::Relaxed);
        let lanes = lanes.join_all().await;
        println!("acknowledged {}, uncertain {}", sum(&lanes, |lane| lane.1), sum(&lanes, |lane| lane.2));
        assert!(sum(&lanes, |lane| lane.2) > 0, "nothing was under way when the database was killed");
        for (lane, acknowledged, uncertain, tail) in lanes {
            let kept = store.read(LaneId(lane.into()), Position::START, ALL).await.expect("reads");
            assert_eq!(kept.len() as u64, tail, "lane {lane}");
            assert!((acknowledged..=acknowledged + uncertain).contains(&tail), "lane {lane}: {acknowledged} of {tail}");
            for (expect, record) in (0..).zip(&kept) {
                assert_eq!(*record, next(LaneId(lane.into()), expect, 300).records[0], "lane {lane}");
            }
            let row = store.row(vec![lane]).await.expect("reads").expect("is there");
            assert_eq!(row, tail.to_be_bytes(), "lane {lane}: its row and its records were kept apart");
        }
    });
}

async fn found_tail(store: &Postgres, lane: LaneId) -> u64 {
    loop {
        match store.last(lane, Position::from_u64(u64::MAX)).await {
            Ok(last) => return last.map_or(0, |record| record.position.seq().0),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn sum<T>(of: &[T], part: impl Fn(&T) -> u64) -> u64 {
    of.iter().map(part).sum()
}

#[test]
fn a_broken_connection_is_made_anew_and_only_what_was_under_way_is_uncertain() {
    hold(async {
        let mut server = Server::start();
        let store = server.open();
        let other = server.connect().await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'everfold'";
        for expect in 0..20 {
            assert_eq!(store.commit(next(LaneId(1), expect, 10)).await, Commit::Done);
            assert_eq!(length(&store, LaneId(1)).await, expect + 1);
            assert!(other.query(cut, &[]).await.expect("cuts").len() > 1, "there was a connection");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        other.batch_execute("BEGIN; LOCK everfold.shard").await.expect("locks");
        let held = tokio::spawn(store.commit(next(LaneId(1), 20, 10)));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!held.is_finished());
        other.query(cut, &[]).await.expect("cuts");
        assert!(matches!(held.await, Ok(Commit::Unknown(_))));
        other.batch_execute("COMMIT").await.expect("lets go");
        assert_eq!(length(&store, LaneId(1)).await, 20);
        assert_eq!(store.commit(next(LaneId(1), 20, 10)).await, Commit::Done);
    });
}

#[test]
fn a_transaction_that_the_database_takes_back_is_tried_again() {
    hold(async {
        let mut server = Server::start();
        let store = server.open();
        let with_row = |expect| Batch { rows: vec![(vec![1], Some(vec![1]))], ..next(LaneId(1), expect, 10) };
        assert_eq!(store.commit(with_row(0)).await, Commit::Done);
        let other = server.connect().await;
        // The two wait for each other, and the database ends the one that looks first.
        other.batch_execute("SET deadlock_timeout = '60s'; BEGIN").await.expect("begins");
        other.batch_execute("UPDATE everfold.row SET value = value").await.expect("locks");
        let held = tokio::spawn(store.commit(with_row(1)));
        tokio::time::sleep(Duration::from_millis(200)).await;
        other.batch_execute("SELECT 1 FROM everfold.shard FOR UPDATE").await.expect("outlasts the store");
        assert!(!held.is_finished());
        other.batch_execute("COMMIT").await.expect("lets go");
        assert_eq!(held.await.expect("ends well"), Commit::Done);
        assert_eq!(length(&store, LaneId(1)).await, 2);
    });
}

#[test]
fn commits_and_reads_wait_for_a_database_that_starts_again_and_are_refused_when_it_does_not() {
    hold(async {
        let mut server = Server::start();
        let store = Arc::new(server.open());
        assert_eq!(store.commit(next(LaneId(1), 0, 10)).await, Commit::Done);
        tokio::task::block_in_place(|| server.kill());
        // Time to notice that the connections are gone.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let waiting = tokio::spawn(store.commit(next(LaneId(1), 1, 10)));
        let read = tokio::spawn(store.last(LaneId(1), Position::from_u64(u64::MAX)));
        tokio::time::sleep(Duration::from_millis(500)).await;
        tokio::task::block_in_place(|| server.start_again());
        assert_eq!(waiting.await.expect("ends well"), Commit::Done);
        assert!(read.await.expect("ends well").is_ok());

        tokio::task::block_in_place(|| server.kill());
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begun = Instant::now();
        let (commit, read) = tokio::join!(store.commit(next(LaneId(1), 2, 10)), store.row(vec![1]));
        match commit {
            Commit::Unknown(words) => assert!(words.contains("cannot be reached"), "{words}"),
            other => panic!("{other:?} without a database"),
        }
        assert!(read.is_err());
        assert!(begun.elapsed() < Duration::from_secs(20), "took {:?}", begun.elapsed());
        let begun = Instant::now();
        assert!(matches!(store.commit(next(LaneId(1), 2, 10)).await, Commit::Unknown(_)));
        assert!(begun.elapsed() < Duration::from_secs(1), "those behind it wait no longer");
    });
}

#[test]
fn a_newer_format_is_refused_untouched() {
    hold(async {
        let mut server = Server::start();
        server.open().close().await;
        let other = server.connect().await;
        other.batch_execute("UPDATE everfold.format SET version = 99").await.expect("writes");
        let refused = sentence(Postgres::open(&server.address()).await);
        assert!(refused.starts_with("store_newer: ") && refused.contains("format 99"), "{refused}");
        let found = other.query_one("SELECT version FROM everfold.format", &[]).await.expect("reads");
        assert_eq!(found.get::<_, i64>(0), 99);
    });
}

#[test]
fn many_nodes_make_the_tables_at_the_same_time() {
    hold(async {
        let server = Server::start();
        let mut opening = JoinSet::new();
        for _ in 0..6 {
            let address = server.address();
            opening.spawn(async move { Postgres::open(&address).await.map(drop) });
        }
        for opened in opening.join_all().await {
            assert!(opened.is_ok(), "{opened:?}");
        }
    });
}

#[test]
fn a_database_that_forgets_what_it_acknowledged_is_refused() {
    hold(async {
        let server = Server::start();
        let other = server.connect().await;
        other.batch_execute("ALTER DATABASE postgres SET synchronous_commit = off").await.expect("writes");
        let refused = sentence(Postgres::open(&server.address()).await);
        assert!(refused.starts_with("store_unsafe: ") && refused.contains("synchronous_commit"), "{refused}");
    });
}

#[test]
fn a_server_whose_certificate_nobody_here_trusts_is_refused() {
    hold(async {
        let mut server = Server::start();
        let require = server.address().replace("prefer", "require");
        let refused = sentence(Postgres::open(&require).await);
        assert!(refused.starts_with("store_unusable: ") && refused.contains("TLS"), "{refused}");
        tokio::task::block_in_place(|| {
            server.kill();
            server.encrypt();
            server.start_again();
        });
        for address in [require, server.address()] {
            let refused = sentence(Postgres::open(&address).await);
            assert!(refused.starts_with("store_untrusted: ") && refused.contains("sslmode=disable"), "{refused}");
        }
        let disable = server.address().replace("prefer", "disable");
        assert!(Postgres::open(&disable).await.is_ok());
    });
}

#[test]
fn no_refusal_tells_the_password() {
    hold(async {
        for (address, begins) in [
            ("postgres://everfold:secret@127.0.0.1:x/y", "store_address: "),
            ("secret", "store_address: "),
            ("postgres://everfold:secret@127.0.0.1:1/x", "store_unusable: The database 'x' at 127.0.0.1:1 "),
        ] {
            let refused = sentence(Postgres::open(address).await);
            assert!(refused.starts_with(begins) && refused.contains("hint: "), "{refused}");
            assert!(!refused.contains("cret"), "{refused}");
        }
    });
}

#[test]
fn a_full_disk_is_said_reads_go_on_and_commits_resume_when_there_is_space() {
    let disk = TempDir::new().expect("a directory");
    let Some(_mounted) = SmallDisk::mount(disk.path()) else {
        return println!("skipped: no small file system can be mounted here");
    };
    hold(async {
        let server = Server::start();
        let place = server.folder_at(&disk.path().join("tables"));
        let other = server.connect().await;
        other.batch_execute(&format!("CREATE TABLESPACE small LOCATION '{place}'")).await.expect("is made");
        other.batch_execute("CREATE DATABASE small TABLESPACE small").await.expect("is made");
        let address = server.address().replace("/postgres?", "/small?");
        let store = Postgres::open(&address).await.expect("opens");
        let filler = disk.path().join("filler");
        fs::write(&filler, vec![0; 4 << 20]).expect("there is space yet");
        let mut tail = 0;
        loop {
            match store.commit(next(LaneId(1), tail, 100_000)).await {
                Commit::Done => tail += 1,
                Commit::Full => break,
                other => panic!("{other:?} at {tail}"),
            }
            assert!(tail < 1_000, "the disk was never full");
        }
        assert!(tail > 0);
        assert_eq!(length(&store, LaneId(1)).await, tail);
        fs::remove_file(&filler).expect("is removed");
        for tail in tail..tail + 10 {
            assert_eq!(store.commit(next(LaneId(1), tail, 100_000)).await, Commit::Done);
        }
        assert_eq!(length(&store, LaneId(1)).await, tail + 10);
    });
}

#[test]
fn of_two_that_claim_a_shard_exactly_one_wins() {
    hold(async {
        let mut server = Server::start();
        let stores = [server.open(), server.open()];
        let shards: Vec<Shard> = Shard::all().collect();
        assert_eq!(shards.len(), usize::from(SHARDS));
        for round in 0..10 {
            // New nodes each time: what the others know of them is as new.
            let [left, right] = [0, 1].map(|store| stores[store].leases(node(round * 2 + store as u128)));
            let join_and_claim = async |leases: &Leases| {
                leases.renew(LEASE).await.expect("joins");
                leases.claim(&shards).await.expect("claims")
            };
            let (of_left, of_right) = tokio::join!(join_and_claim(&left), join_and_claim(&right));
            let mut owned: Vec<Shard> = of_left.iter().chain(&of_right).map(|(shard, _)| *shard).collect();
            owned.sort_unstable();
            assert_eq!(owned, shards, "round {round}: {} and {}", of_left.len(), of_right.len());
            for lease in left.all().await.expect("reads") {
                let is_left = of_left.iter().any(|(shard, _)| *shard == lease.shard);
                assert_eq!(lease.owner, Some(NodeId(round * 2 + u128::from(!is_left))));
                assert!(lease.left > LEASE / 2);
            }
            left.leave().await.expect("goes");
            right.leave().await.expect("goes");
        }
    });
}

#[test]
fn a_node_writes_only_to_what_it_holds() {
    hold(async {
        let mut server = Server::start();
        let store = server.open();
        let (lane, shard) = (LaneId(1), Shard::of(LaneId(1)));
        let leases = store.leases(node(1));
        assert_eq!(store.commit(next(lane, 0, 10)).await, Commit::Fenced, "before it joins");
        assert_eq!(leases.claim(&[shard]).await.expect("claims"), [], "before it joins");
        leases.renew(LEASE).await.expect("joins");
        assert_eq!(store.commit(next(lane, 0, 10)).await, Commit::Fenced, "before it claims");
        assert_eq!(leases.claim(&[shard]).await.expect("claims").len(), 1);
        assert_eq!(leases.claim(&[shard]).await.expect("claims"), [], "what it has already");
        assert_eq!(store.commit(next(lane, 0, 10)).await, Commit::Done);
        leases.release(&[shard]).await.expect("releases");
        assert_eq!(store.commit(next(lane, 1, 10)).await, Commit::Fenced, "once it is released");
        assert_eq!(leases.renew(LEASE).await, Ok(vec![]));

        let other = server.open();
        let others = other.leases(node(2));
        others.renew(LEASE).await.expect("joins");
        assert_eq!(others.claim(&[shard]).await.expect("claims").len(), 1, "at once");
        assert_eq!(other.commit(next(lane, 1, 10)).await, Commit::Done);
        assert_eq!(leases.claim(&[shard]).await.expect("claims"), [], "while the other's lease lasts");
    });
}

/// What a zombie had acknowledged is there when its shards have been claimed, and it adds nothing after.
#[test]
fn a_zombie_whose_shards_were_claimed_is_fenced() {
    hold(async {
        let mut server = Server::start();
        let [zombie, heir] = [server.open(), server.open()].map(Arc::new);
        let [zombies, heirs] = [zombie.leases(node(1)), heir.leases(node(2))];
        let shards: Vec<Shard> = Shard::all().collect();
        let short = Duration::from_millis(400);
        let lease_begun = Instant::now();
        zombies.renew(short).await.expect("joins");
        assert_eq!(zombies.claim(&shards).await.expect("claims").len(), shards.len());
        let mut lanes = JoinSet::new();
        for lane in 0..32 {
            let zombie = zombie.clone();
            lanes.spawn(async move {
                for tail in 0.. {
                    match zombie.commit(next(LaneId(lane), tail, 100)).await {
                        Commit::Done => {}
                        Commit::Fenced => return (lane, tail),
                        other => panic!("lane {lane} at {tail}: {other:?}"),
                    }
                }
                unreachable!("it is fenced at last")
            });
        }
        heirs.renew(LEASE).await.expect("joins");
        let claimed = loop {
            let claimed = heirs.claim(&shards).await.expect("claims");
            if !claimed.is_empty() {
                break claimed;
            }
            assert!(lease_begun.elapsed() < Duration::from_secs(5), "nothing can be claimed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert!(lease_begun.elapsed() >= short, "it was claimed while the lease lasted");
        assert_eq!(claimed.len(), shards.len());
        // At once, while the zombie still tries.
        let mut tails = BTreeMap::new();
        for lane in 0..32 {
            let tail = length(&heir, LaneId(lane)).await;
            assert_eq!(heir.commit(next(LaneId(lane), tail, 100)).await, Commit::Done, "lane {lane}");
            tails.insert(lane, tail);
        }
        let acknowledged: BTreeMap<u128, u64> = lanes.join_all().await.into_iter().collect();
        assert_eq!(tails, acknowledged);
        assert!(acknowledged.values().all(|tail| *tail > 0), "{acknowledged:?}");
        assert_eq!(zombies.renew(LEASE).await, Ok(vec![]), "and is told so when it asks");
    });
}

#[test]
fn a_lease_that_ended_is_renewed_if_nobody_was_faster() {
    hold(async {
        let mut server = Server::start();
        let store = server.open();
        let leases = store.leases(node(1));
        leases.renew(Duration::from_millis(1)).await.expect("joins");
        let held = loop {
            leases.renew(Duration::from_millis(50)).await.expect("renews");
            match leases.claim(&[Shard::of(LaneId(1))]).await.expect("claims") {
                held if held.is_empty() => {}
                held => break held,
            }
        };
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(store.commit(next(LaneId(1), 0, 10)).await, Commit::Done, "nobody else has written");
        assert_eq!(leases.renew(LEASE).await, Ok(held));
        assert_eq!(store.commit(next(LaneId(1), 1, 10)).await, Commit::Done);
    });
}

#[test]
fn who_starts_from_the_same_directory_succeeds_whoever_did_before() {
    hold(async {
        let mut server = Server::start();
        let [killed, restarted, stranger] = [server.open(), server.open(), server.open()];
        let of_home = |id, home| Node { home: [home; 16], ..node(id) };
        let shard = Shard::of(LaneId(1));
        let before = killed.leases(of_home(1, 7));
        before.renew(LEASE).await.expect("joins");
        assert_eq!(before.claim(&[shard]).await.expect("claims").len(), 1);

        let others = stranger.leases(of_home(2, 8));
        others.renew(LEASE).await.expect("joins");
        others.succeed().await.expect("ends nobody's lease");
        assert_eq!(others.claim(&[shard]).await.expect("claims"), [], "of another directory");

        let after = restarted.leases(of_home(3, 7));
        after.renew(LEASE).await.expect("joins");
        assert_eq!(after.claim(&[shard]).await.expect("claims"), [], "before it said so");
        after.succeed().await.expect("succeeds");
        assert_eq!(after.claim(&[shard]).await.expect("claims").len(), 1);
        assert_eq!(killed.commit(next(LaneId(1), 0, 10)).await, Commit::Fenced);
        assert_eq!(restarted.commit(next(LaneId(1), 0, 10)).await, Commit::Done);
    });
}

#[test]
fn everybody_is_told_who_owns_a_shard_and_where_that_is() {
    hold(async {
        let mut server = Server::start();
        let [store, other, third] = [server.open(), server.open(), server.open()];
        let (leases, others) = (store.leases(node(1)), other.leases(node(2)));
        let shard = Shard::of(LaneId(1));
        assert_eq!(others.owners().await, Ok(vec![]));
        let before = others.pulse().await.expect("reads");
        leases.renew(LEASE).await.expect("joins");
        leases.claim(&[shard]).await.expect("claims");
        others.renew(LEASE).await.expect("joins");
        let owned = Owned { node: NodeId(1), address: "node-1:8080".into(), shards: vec![shard] };
        assert_eq!(others.owners().await, Ok(vec![owned]));
        let claimed = others.pulse().await.expect("reads");
        assert_ne!(claimed, before);
        assert_eq!(claimed.nodes, [NodeId(1), NodeId(2)]);
        let nowhere = third.leases(Node { address: String::new(), ..node(3) });
        nowhere.renew(LEASE).await.expect("joins");
        assert_eq!(others.pulse().await, Ok(claimed.clone()), "who is not reached takes no share");
        nowhere.leave().await.expect("goes");
        let nodes = store.nodes().await.expect("reads");
        let told: Vec<_> = nodes.iter().map(|node| (node.id, node.address.as_str(), node.shards)).collect();
        assert_eq!(told, [(NodeId(1), "node-1:8080", 1), (NodeId(2), "node-2:8080", 0)]);
        assert!(nodes.iter().all(|node| node.left > LEASE / 2 && node.version == "1.2.3" && node.since_ms > 0));
        leases.renew(Duration::from_millis(1)).await.expect("renews");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(others.owners().await, Ok(vec![]), "whose lease has ended owns nothing");
        assert_ne!(others.pulse().await, Ok(claimed));
        leases.leave().await.expect("goes");
        assert_eq!(store.nodes().await.expect("reads").len(), 1);
    });
}

#[test]
fn a_database_is_of_one_key() {
    hold(async {
        let mut server = Server::start();
        let [first, second] = [server.open(), server.open()];
        assert_eq!(first.seal(None).await, Ok(false));
        assert_eq!(first.seal(Some(&[1; 32])).await, Ok(true));
        assert_eq!(second.seal(Some(&[2; 32])).await, Ok(false));
        assert_eq!(second.seal(Some(&[1; 32])).await, Ok(true));
        assert_eq!(second.seal(None).await, Ok(true));
    });
}

/// As it was made before nodes had addresses.
#[test]
fn a_database_of_the_first_format_is_upgraded_with_what_is_in_it() {
    hold(async {
        let mut server = Server::start();
        let store = server.open();
        assert_eq!(store.commit(next(LaneId(1), 0, 10)).await, Commit::Done);
        store.close().await;
        let elder = server.open();
        let owns = elder.leases(node(9));
        owns.renew(LEASE).await.expect("joins");
        assert_eq!(owns.claim(&[Shard::of(LaneId(1))]).await.expect("claims").len(), 1);
        let before = "
            ALTER TABLE everfold.node DROP COLUMN address, DROP COLUMN home, DROP COLUMN version, DROP COLUMN since;
            ALTER TABLE everfold.format DROP COLUMN seal, DROP COLUMN part, DROP COLUMN parts, DROP COLUMN store;
            UPDATE everfold.format SET version = 1;";
        server.connect().await.batch_execute(before).await.expect("as it was");
        let store = server.open();
        assert_eq!(length(&store, LaneId(1)).await, 1);
        assert_eq!(elder.commit(next(LaneId(1), 1, 10)).await, Commit::Fenced, "it knows lanes by other shards");
        let leases = store.leases(node(1));
        leases.renew(LEASE).await.expect("joins");
        assert_eq!(leases.claim(&[Shard::of(LaneId(1))]).await.expect("claims").len(), 1);
        assert_eq!(store.commit(next(LaneId(1), 1, 10)).await, Commit::Done);
        elder.close().await;
    });
}

#[test]
fn a_renewal_is_one_transaction_that_changes_one_row_and_waits_for_no_commit() {
    hold(async {
        let mut server = Server::start();
        let store = server.open();
        let leases = store.leases(node(1));
        leases.renew(LEASE).await.expect("joins");
        let shards: Vec<Shard> = Shard::all().collect();
        leases.claim(&shards).await.expect("claims");
        let other = server.connect().await;
        let transactions = async || {
            let found = other.query_one("SELECT txid_current()", &[]).await.expect("counts");
            found.get::<_, i64>(0)
        };
        let before = transactions().await;
        assert_eq!(leases.renew(LEASE).await.expect("renews").len(), shards.len());
        assert_eq!(transactions().await, before + 2, "one, and the one that counts");
        let versions = "SELECT count(*) FROM everfold.shard WHERE xmin::text::int8 >= $1";
        assert_eq!(other.query_one(versions, &[&before]).await.expect("counts").get::<_, i64>(0), 0);

        other.batch_execute("BEGIN; SELECT id FROM everfold.shard FOR UPDATE").await.expect("locks");
        assert_eq!(leases.renew(LEASE).await.expect("renews").len(), shards.len());
        other.batch_execute("ROLLBACK").await.expect("lets go");
    });
}

#[test]
fn shards_are_as_they_always_were_and_about_as_large() {
    // A lane that changed its shard would be written to by two nodes.
    let numbers = |lanes: [LaneId; 3]| lanes.map(|lane| Shard::of(lane).number());
    assert_eq!(numbers([1, 2, u128::MAX].map(LaneId)), [13, 10, 7]);
    assert_eq!(numbers([1 << 64, 2 << 64, u128::MAX].map(LaneId::placed)), [1744, 3070, 41]);
    let mut lanes = vec![0_u32; SHARDS.into()];
    // Ids of runs begin with the time.
    (0..1_600).for_each(|lane: u128| lanes[usize::from(Shard::of(LaneId(0x0199 << 112 | lane)).number())] += 1);
    (0..408_000).for_each(|lane: u128| lanes[usize::from(Shard::of(LaneId::placed(lane << 64)).number())] += 1);
    assert!(lanes.iter().all(|lanes| (40..200).contains(lanes)), "{:?} {:?}", lanes.iter().min(), lanes.iter().max());
}

fn node(id: u128) -> Node {
    let home = id.to_be_bytes();
    Node { id: NodeId(id), address: format!("node-{id}:8080"), home, version: "1.2.3".into() }
}

struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<SmallDisk> {
        let options = ["-t", "tmpfs", "-o", "size=32m", "everfold-test"];
        let mounted = Command::new("mount").args(options).arg(at).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then(|| SmallDisk(at.into()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy".as_ref(), self.0.as_os_str()]).status();
    }
}

fn sentence(opened: Result<Postgres, OpenError>) -> String {
    opened.err().expect("is refused").to_string()
}

/// Bytes that cannot be compressed.
fn noise(length: usize) -> Vec<u8> {
    let mut block = Hash::NONE;
    let mut bytes = Vec::with_capacity(length + 32);
    while bytes.len() < length {
        block = block.chain(Position::START, &[]);
        bytes.extend_from_slice(&block.0);
    }
    bytes.truncate(length);
    bytes
}

fn record(position: Position) -> Record {
    Record { position, hash: Hash::NONE, body: vec![] }
}

fn next(lane: LaneId, expect: u64, body_bytes: usize) -> Batch {
    let [expect, position] = [expect, expect + 1].map(|seq| Position::of_request(Seq(seq)));
    let records =
        vec![Record { position, hash: Hash::NONE.chain(position, &lane.0.to_be_bytes()), body: noise(body_bytes) }];
    Batch { lane, expect, records, rows: vec![] }
}

async fn length(store: &Postgres, lane: LaneId) -> u64 {
    store.read(lane, Position::START, ALL).await.expect("reads").len() as u64
}
