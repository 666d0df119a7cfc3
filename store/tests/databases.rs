//! What a store in several databases promises: the contract, and that each of them has its part and no other.

#[allow(dead_code, reason = "other tests use the rest of it")]
mod harness;

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    time::Duration,
};

use harness::{Server, connect};
use rules::{
    access::{Door, KeyKind},
    record::{At, Hash, LaneId, Position, Record, Seq},
    row,
};
use store::{
    Batch, Commit, Extent, Order, Store,
    contract::{Home, hold},
    memory::Memory,
    postgres::{Databases, HEAD_SHARDS, Node, NodeId, PARTS_MAX, Postgres, SHARDS, Shard},
};
use tokio::{runtime::Handle, task::JoinSet};

const ALL: Extent = Extent { records_max: usize::MAX, bytes_max: usize::MAX };
const LEASE: Duration = Duration::from_secs(60);

/// Three databases of one server.
struct Three {
    server: Server,
    addresses: Vec<String>,
}

impl Three {
    fn start() -> Three {
        Three { server: Server::start(), addresses: Vec::new() }
    }

    async fn made() -> Three {
        let mut three = Three::start();
        three.make().await;
        three
    }

    async fn make(&mut self) {
        let (second, third) = (self.server.database("second").await, self.server.database("third").await);
        self.addresses = vec![self.server.address(), second, third];
    }

    async fn opened(&self) -> Databases {
        Databases::open(&self.addresses.join(" ")).await.expect("opens")
    }
}

impl Home for Three {
    type Kept = Databases;

    fn open(&mut self) -> Databases {
        tokio::task::block_in_place(|| {
            Handle::current().block_on(async {
                if self.addresses.is_empty() {
                    self.make().await;
                }
                self.opened().await
            })
        })
    }
}

store::contract!(Three::start());

#[test]
fn every_shard_is_in_one_database_and_each_has_neighbours_and_as_many() {
    for parts in 1..=PARTS_MAX {
        let numbers: Vec<usize> = Shard::all().map(|shard| shard.part(parts)).collect();
        let (head, apart) = numbers.split_at(HEAD_SHARDS.into());
        assert!(head.iter().all(|number| *number == 0), "{parts}");
        assert!(apart.is_sorted() && apart.iter().all(|number| *number < parts), "{parts}");
        let mut counts = vec![0; parts];
        apart.iter().for_each(|number| counts[*number] += 1);
        let (least, most) = (counts.iter().min().expect("one"), counts.iter().max().expect("one"));
        assert!(most - least <= 1 && *least > 0, "{parts}: {counts:?}");
    }
    // A shard that changed its database would be empty.
    let of_three = |number: u16| Shard::all().nth(number.into()).expect("is one").part(3);
    assert_eq!([0, 15, 16, 1_375, 1_376, 2_735, 2_736, 4_095].map(of_three), [0, 0, 0, 0, 1, 1, 2, 2]);
}

#[test]
fn what_is_kept_of_a_lane_lies_in_its_database_and_nowhere_else() {
    hold(async {
        let three = Three::made().await;
        let store = three.opened().await;
        let batches = batches();
        for batch in &batches {
            assert_eq!(store.commit(batch.clone()).await, Commit::Done);
        }
        for (number, address) in three.addresses.iter().enumerate() {
            let database = connect(address).await;
            let bytes = async |statement| {
                let found = database.query(statement, &[]).await.expect("reads");
                found.iter().map(|row| row.get(0)).collect::<BTreeSet<Vec<u8>>>()
            };
            let here = || batches.iter().filter(|batch| Shard::of(batch.lane).part(3) == number);
            let lanes: BTreeSet<_> = here().map(|batch| batch.lane.0.to_be_bytes().to_vec()).collect();
            let keys: BTreeSet<_> = here().flat_map(|batch| &batch.rows).map(|(key, _)| key.clone()).collect();
            assert!(lanes.len() > 5);
            assert_eq!(bytes("SELECT lane FROM everfold.record").await, lanes, "of database {number}");
            assert_eq!(bytes("SELECT key FROM everfold.row").await, keys, "of database {number}");
            let shards = database.query("SELECT id FROM everfold.shard ORDER BY id", &[]).await.expect("reads");
            let shards: Vec<i64> = shards.iter().map(|row| row.get(0)).collect();
            let wanted = Shard::all().filter(|shard| shard.part(3) == number).map(|shard| shard.number().into());
            assert_eq!(shards, wanted.collect::<Vec<i64>>());
        }
    });
}

#[test]
fn what_lies_in_several_is_read_as_if_it_lay_in_one() {
    hold(async {
        let three = Three::made().await;
        let (store, model) = (three.opened().await, Memory::new());
        let batches = batches();
        for batch in &batches {
            assert_eq!(store.commit(batch.clone()).await, Commit::Done);
            assert_eq!(model.commit(batch.clone()).await, Commit::Done);
        }
        let hook = batches[20].lane;
        let word = |word: &str| (format!("{word}/").into_bytes(), format!("{word}0").into_bytes());
        let mut ranges = vec![(vec![], vec![0xff; 9]), (vec![0xff], vec![]), row::owned_range(OWNER)];
        ranges.extend([word("hook"), word("source"), word("door"), word("nothing"), row::source_range(hook)]);
        ranges.extend([(row::hook(hook), row::said(hook, Seq(9))), (row::said(hook, Seq(1)), row::said(hook, Seq(2)))]);
        for (from, to) in ranges {
            for order in [Order::Ascending, Order::Descending] {
                for rows_max in [0, 1, 2, 7, 50, usize::MAX] {
                    let read = |store: &dyn Store| store.rows(from.clone(), to.clone(), order, rows_max);
                    let context = format!("{rows_max} of {} {order:?}", from.escape_ascii());
                    assert_eq!(read(&store).await, read(&model).await, "{context}");
                }
            }
        }
        for key in batches.iter().flat_map(|batch| &batch.rows).map(|(key, _)| key) {
            for key in [key.clone(), [key, &b"+"[..]].concat()] {
                assert_eq!(store.row(key.clone()).await, model.row(key).await);
            }
        }
        for from in [LaneId(0), hook, LaneId(hook.0 + 1), LaneId(u128::MAX)] {
            for lanes_max in [0, 1, 2, 7, usize::MAX] {
                assert_eq!(store.lanes(from, lanes_max).await, model.lanes(from, lanes_max).await);
            }
        }
    });
}

#[test]
fn what_names_its_lane_is_asked_of_one_database_alone() {
    hold(async {
        let three = Three::made().await;
        let store = three.opened().await;
        let [here, away] = [lane_in(0), lane_in(2)];
        for lane in [here, away] {
            let rows = [row::hook(lane), row::source(lane, 1), row::owned(OWNER, lane)];
            let mut rows: Vec<_> = rows.map(|key| (key, Some(b"value".to_vec()))).into();
            let door = Door { hook: lane, kind: KeyKind::Write, paused: false };
            rows.push((row::door(&lane.0.to_string()), Some(row::encode(&door))));
            assert_eq!(store.commit(Batch { rows, ..next(lane, 0) }).await, Commit::Done);
        }
        let third = connect(&three.addresses[2]).await;
        third.batch_execute("ALTER TABLE everfold.row RENAME TO away").await.expect("is away");
        let range = |(from, to)| store.rows(from, to, Order::Ascending, 9);
        assert_eq!(store.row(row::hook(here)).await, Ok(Some(b"value".to_vec())));
        assert_eq!(range(row::source_range(here)).await.expect("is asked of one").len(), 1);
        assert_eq!(store.row(row::owned(OWNER, here)).await, Ok(Some(b"value".to_vec())));
        let door = async |lane: LaneId| store.row(row::door(&lane.0.to_string())).await;
        assert!(door(here).await.expect("whoever has it answers").is_some());
        assert!(door(away).await.is_err(), "nobody says that it is not there");
        // What is of no hook lies in the first.
        assert_eq!(store.row(row::settings()).await, Ok(None));
        assert_eq!(range(row::run_range(OWNER)).await, Ok(vec![]));
        assert_eq!(range(row::busy_run_range()).await, Ok(vec![]));
        assert!(store.row(row::hook(away)).await.is_err());
        assert!(range(row::source_range(away)).await.is_err());
        assert!(range(row::owned_range(OWNER)).await.is_err());
    });
}

#[test]
fn a_row_is_never_kept_where_nobody_looks_for_it() {
    hold(async {
        let three = Three::made().await;
        let store = three.opened().await;
        let [here, there] = [lane_in(1), lane_in(2)];
        let strange = Batch { rows: vec![(row::hook(there), Some(vec![]))], ..next(here, 0) };
        let commit = AssertUnwindSafe(|| drop(store.commit(strange.clone())));
        assert!(std::panic::catch_unwind(commit).is_err());
        let commit = AssertUnwindSafe(|| drop(store.parts()[0].commit(next(here, 0))));
        assert!(std::panic::catch_unwind(commit).is_err());
        assert_eq!(store.last(here, Position::from_u64(u64::MAX)).await, Ok(None));

        // Rows alone, of a lane that has no record, go where each belongs.
        let keys = [row::hook(here), row::hook(there), row::owned(OWNER, here), row::door("k"), row::account(OWNER)];
        let door = row::encode(&Door { hook: there, kind: KeyKind::Read, paused: false });
        let values = [b"1".to_vec(), b"2".to_vec(), vec![], door, b"3".to_vec()];
        let put = keys.iter().cloned().zip(values.iter().cloned().map(Some)).collect();
        let rows = |rows| Batch { lane: LaneId(99), expect: Position::START, records: vec![], rows };
        assert_eq!(store.commit(rows(put)).await, Commit::Done);
        for (key, value) in keys.iter().zip(values) {
            assert_eq!(store.row(key.clone()).await, Ok(Some(value)), "{}", key.escape_ascii());
        }
        let counts = [1, 2, 2];
        for (address, count) in three.addresses.iter().zip(counts) {
            let found = connect(address).await.query("SELECT key FROM everfold.row", &[]).await.expect("reads");
            assert_eq!(found.len(), count);
        }
        assert_eq!(store.commit(rows(keys.iter().map(|key| (key.clone(), None)).collect())).await, Commit::Done);
        assert_eq!(store.rows(vec![], vec![0xff], Order::Ascending, 9).await, Ok(vec![]));
    });
}

#[test]
fn leases_are_of_one_database_each() {
    hold(async {
        let three = Three::made().await;
        let store = three.opened().await;
        let leases = store.leases(node(1));
        let all: Vec<Shard> = Shard::all().collect();
        for leases in &leases {
            leases.renew(LEASE).await.expect("joins");
        }
        let before = leases[1].pulse().await.expect("reads");
        let mut claimed = Vec::new();
        for leases in [&leases[0], &leases[2]] {
            let shards: Vec<Shard> =
                leases.claim(&all).await.expect("claims").iter().map(|(shard, _)| *shard).collect();
            assert_eq!(shards.iter().collect::<BTreeSet<_>>(), leases.shards().collect::<Vec<_>>().iter().collect());
            let owners = leases.owners().await.expect("reads");
            assert_eq!((owners.len(), owners[0].shards.len()), (1, shards.len()));
            assert!(leases.all().await.expect("reads").iter().all(|lease| lease.owner == Some(NodeId(1))));
            claimed.extend(shards);
        }
        assert_eq!(leases[1].pulse().await, Ok(before.clone()), "what was claimed elsewhere is not told here");
        assert_eq!(leases[1].owners().await, Ok(vec![]));
        assert_eq!(store.commit(next(lane_in(0), 0)).await, Commit::Done);
        assert_eq!(store.commit(next(lane_in(1), 0)).await, Commit::Fenced);
        assert_eq!(store.commit(next(lane_in(2), 0)).await, Commit::Done);

        let of_second = leases[1].claim(&all).await.expect("claims");
        assert_ne!(leases[1].pulse().await, Ok(before));
        assert_eq!(claimed.len() + of_second.len(), usize::from(SHARDS));
        let rows = [0, 1, 2].map(|number| (row::hook(lane_in(number)), Some(vec![]))).into();
        let moved = Batch { lane: LaneId(99), expect: Position::START, records: vec![], rows };
        assert_eq!(store.commit(moved.clone()).await, Commit::Done, "whoever has all of them may move rows there");
        let nodes = store.nodes().await.expect("reads");
        assert_eq!(nodes.len(), 1);
        assert!(nodes[0].shards == usize::from(SHARDS) && nodes[0].is_head && nodes[0].since_ms > 0);
        leases[2].renew(Duration::from_secs(5)).await.expect("renews");
        let nodes = store.nodes().await.expect("reads");
        assert!(nodes[0].left <= Duration::from_secs(5), "the one that ends first");

        let other = three.opened().await;
        let others = other.leases(node(2));
        others[2].renew(LEASE).await.expect("joins");
        leases[2].leave().await.expect("goes");
        assert_eq!(others[2].claim(&all).await.expect("claims").len(), leases[2].shards().count());
        assert_eq!(store.commit(next(lane_in(2), 1)).await, Commit::Fenced);
        let uncertain = store.commit(moved).await;
        assert!(matches!(&uncertain, Commit::Unknown(words) if words.contains("Fenced")), "{uncertain:?}");
        assert_eq!(other.commit(next(lane_in(2), 1)).await, Commit::Done);
        assert_eq!(store.commit(next(lane_in(1), 0)).await, Commit::Done, "the others stay");
        let nodes = store.nodes().await.expect("reads");
        assert_eq!(
            nodes.iter().map(|node| (node.id, node.is_head)).collect::<Vec<_>>(),
            [(NodeId(1), true), (NodeId(2), false)]
        );
    });
}

#[test]
fn what_one_database_cannot_do_while_it_is_away_the_others_do() {
    hold(async {
        let (stays, mut goes) = (Server::start(), Server::start());
        let store = Databases::open(&format!("{}\n{}", stays.address(), goes.address())).await.expect("opens");
        let lanes = [0, 1].map(|number| lane_of(number, 2));
        let leases = store.leases(node(1));
        for leases in &leases {
            leases.renew(LEASE).await.expect("joins");
            leases.claim(&leases.shards().collect::<Vec<_>>()).await.expect("claims");
        }
        for lane in lanes {
            let rows = vec![(row::hook(lane), Some(vec![])), (row::owned(OWNER, lane), Some(vec![]))];
            assert_eq!(store.commit(Batch { rows, ..next(lane, 0) }).await, Commit::Done);
        }
        tokio::task::block_in_place(|| goes.kill());
        tokio::time::sleep(Duration::from_millis(100)).await;
        let lost = tokio::spawn(store.commit(next(lanes[1], 1)));
        for tail in 1..50 {
            assert_eq!(store.commit(next(lanes[0], tail)).await, Commit::Done);
        }
        assert_eq!(length(&store, lanes[0]).await, 50);
        assert_eq!(store.row(row::owned(OWNER, lanes[0])).await, Ok(Some(vec![])));
        assert_eq!(leases[0].renew(LEASE).await.expect("renews").len(), leases[0].shards().count());
        assert!(!lost.is_finished(), "it waits for its database");
        let (renewed, listed, lost) = tokio::join!(leases[1].renew(LEASE), store.lanes(LaneId(0), 9), lost);
        assert!(renewed.is_err() && listed.is_err());
        assert!(matches!(lost, Ok(Commit::Unknown(_))), "{lost:?}");
        assert_eq!(store.commit(next(lanes[0], 50)).await, Commit::Done);

        tokio::task::block_in_place(|| goes.start_again());
        assert_eq!(length(&store, lanes[1]).await, 1);
        assert_eq!(store.commit(next(lanes[1], 1)).await, Commit::Done);
        assert_eq!(leases[1].renew(LEASE).await.expect("renews").len(), leases[1].shards().count());
        assert_eq!(store.lanes(LaneId(0), 9).await.expect("reads").len(), 2);
        store.close().await;
    });
}

/// What a database says of itself; `None` of one that was never opened.
async fn noted(address: &str) -> Option<(i64, i64, i64, i64)> {
    let database = connect(address).await;
    let found = database.query_one("SELECT to_regclass('everfold.format') IS NULL", &[]).await.expect("reads");
    if found.get(0) {
        return None;
    }
    let note = "SELECT version, part, parts, (SELECT sum(id + epoch)::int8 FROM everfold.shard) FROM everfold.format";
    let found = database.query_one(note, &[]).await.expect("reads");
    Some((found.get(0), found.get(1), found.get(2), found.get(3)))
}

#[test]
fn databases_that_are_named_otherwise_than_the_first_time_are_refused_untouched() {
    hold(async {
        let three = Three::made().await;
        let new = three.server.database("new").await;
        let alone = three.server.database("alone").await;
        Postgres::open(&alone).await.expect("opens").close().await;
        let store = three.opened().await;
        let [first, second, third] = [0, 1, 2].map(|number| three.addresses[number].as_str());
        let mut others = Vec::new();
        for name in ["other1", "other2", "other3"] {
            others.push(three.server.database(name).await);
        }
        Databases::open(&others.join(" ")).await.expect("opens").close().await;
        let refused = async |addresses: &[&str], why: &str| {
            let all = [first, second, third, &others[1], &new, &alone];
            let mut before = Vec::new();
            for address in all {
                before.push(noted(address).await);
            }
            let refused = Databases::open(&addresses.join(" ")).await.err().expect("is refused").to_string();
            assert!(refused.starts_with("store_parts: ") && refused.contains(". hint: "), "{refused}");
            assert!(refused.contains(why) && !refused.contains("secret"), "{refused}");
            for (address, before) in all.into_iter().zip(before) {
                assert_eq!(noted(address).await, before, "{refused}");
            }
        };
        let whole = "'postgres' at 127.0.0.1:";
        refused(&[first, second], whole).await;
        refused(&[first], whole).await;
        refused(&[third, second, first], "'third' at 127.0.0.1:").await;
        refused(&[first, third, second], "is number 3 of 3 that one store is in, and was named as number 2 of 3").await;
        refused(&[first, second, third, &new], "is number 1 of 3 that one store is in, and was named as number 1 of 4")
            .await;
        refused(&[first, &others[1], third], "another store").await;
        refused(&[&others[0], second, &others[2]], "another store").await;
        refused(&[&new, &alone], "'alone'").await;
        refused(&[&alone, &new], "is number 1 of 1 that one store is in, and was named as number 1 of 2").await;
        refused(&[&new, &new], "named twice").await;
        refused(&[], "0 databases").await;
        refused(&vec![new.as_str(); PARTS_MAX + 1], "65 databases").await;
        for part in [first, third] {
            let refused = Postgres::open(part).await.err().expect("is refused").to_string();
            assert!(refused.starts_with("store_parts: ") && refused.contains("named as number 1 of 1"), "{refused}");
        }
        // In which nothing was kept one may still be missing: it was cut short when it was opened first.
        connect(third).await.batch_execute("DROP SCHEMA everfold CASCADE").await.expect("is lost");
        assert_eq!(noted(third).await, None);
        let again = three.opened().await;
        assert!(noted(third).await.is_some());
        assert_eq!(again.commit(next(lane_in(1), 0)).await, Commit::Done);
        connect(third).await.batch_execute("DROP SCHEMA everfold CASCADE").await.expect("is lost");
        refused(&[first, second, third], "'third' at 127.0.0.1:").await;
        store.close().await;
    });
}

#[test]
fn of_nodes_that_open_new_databases_at_once_all_have_the_same_ones_or_are_refused() {
    hold(async {
        let server = Server::start();
        for round in 0..4 {
            let [left, right] = [format!("left{round}"), format!("right{round}")];
            let (left, right) = (server.database(&left).await, server.database(&right).await);
            let orders = [format!("{left} {right}"), format!("{right} {left}")];
            let is_disputed = round % 2 == 1;
            let mut opening = JoinSet::new();
            for node in 0..4 {
                let order = if is_disputed { node % 2 } else { 0 };
                let addresses = orders[order].clone();
                opening.spawn(async move { (order, Databases::open(&addresses).await.map(drop)) });
            }
            let opened = opening.join_all().await;
            for (_, refused) in opened.iter().filter_map(|(order, opened)| Some((order, opened.as_ref().err()?))) {
                assert!(is_disputed && refused.to_string().starts_with("store_parts: "), "{refused}");
            }
            let parts = [noted(&left).await, noted(&right).await].map(|noted| noted.map(|noted| (noted.1, noted.2)));
            for (order, _) in opened.iter().filter(|(_, opened)| opened.is_ok()) {
                let wanted = if *order == 0 { [0, 1] } else { [1, 0] };
                assert_eq!(parts, wanted.map(|part| Some((part, 2))), "round {round}");
            }
        }
    });
}

#[test]
fn a_database_of_the_third_format_is_a_whole_store() {
    hold(async {
        let server = Server::start();
        let new = server.database("new").await;
        let store = Postgres::open(&server.address()).await.expect("opens");
        assert_eq!(store.commit(next(lane_in(2), 0)).await, Commit::Done);
        store.close().await;
        let database = server.connect().await;
        let before = "
            ALTER TABLE everfold.format DROP COLUMN part, DROP COLUMN parts, DROP COLUMN store;
            UPDATE everfold.format SET version = 3;";
        database.batch_execute(before).await.expect("as it was");
        let refused =
            Databases::open(&format!("{} {new}", server.address())).await.err().expect("is refused").to_string();
        assert!(refused.contains("is number 1 of 1 that one store is in"), "{refused}");
        let found = database.query_one("SELECT version FROM everfold.format", &[]).await.expect("reads");
        assert_eq!((found.get::<_, i64>(0), noted(&new).await), (3, None), "nothing was changed");

        let store = Databases::open(&server.address()).await.expect("opens");
        let noted = noted(&server.address()).await.expect("is made");
        assert_eq!((noted.0, noted.1, noted.2), (4, 0, 1));
        assert_eq!(store.parts().len(), 1);
        assert_eq!(store.commit(next(lane_in(2), 1)).await, Commit::Done);
        assert_eq!(length(&store, lane_in(2)).await, 2);
        let strange = Batch { rows: vec![(row::hook(lane_in(1)), Some(vec![]))], ..next(lane_in(2), 2) };
        assert_eq!(store.commit(strange).await, Commit::Done, "in one database every row is found");
        assert!(Postgres::open(&server.address()).await.is_ok());
    });
}

#[test]
fn all_databases_are_of_one_key() {
    hold(async {
        let three = Three::made().await;
        let [first, second] = [three.opened().await, three.opened().await];
        assert_eq!(first.seal(None).await, Ok(false));
        assert_eq!(first.parts()[0].seal(Some(&[1; 32])).await, Ok(true));
        assert_eq!(second.seal(None).await, Ok(true), "one is enough to say so");
        assert_eq!(second.seal(Some(&[2; 32])).await, Ok(false));
        assert_eq!(second.parts()[1].seal(None).await, Ok(false), "and nothing was noted in the others");
        assert_eq!(second.seal(Some(&[1; 32])).await, Ok(true));
        for part in first.parts() {
            assert_eq!(part.seal(Some(&[1; 32])).await, Ok(true));
        }
        connect(&three.addresses[2])
            .await
            .batch_execute("UPDATE everfold.format SET seal = 'x'")
            .await
            .expect("writes");
        assert_eq!(first.seal(Some(&[1; 32])).await, Ok(false));
        assert!(first.replicas().await.is_empty());
        assert_eq!(first.seen_from().await, first.parts()[0].seen_from().await);
    });
}

const OWNER: LaneId = LaneId(5);

fn lane_of(number: usize, parts: usize) -> LaneId {
    let lanes = (1..).map(|lane: u128| LaneId::placed(lane << 64));
    lanes.into_iter().find(|lane| Shard::of(*lane).part(parts) == number).expect("there is one")
}

/// One of the lanes of this database of three.
fn lane_in(number: usize) -> LaneId {
    lane_of(number, 3)
}

/// Of hooks that are apart, and of lanes that are not, with what a hook keeps.
fn batches() -> Vec<Batch> {
    let apart = (1..=40).map(|number: u128| LaneId::placed(number << 100));
    let lanes: BTreeMap<LaneId, String> =
        apart.chain((1..=10).map(LaneId)).zip((0..).map(|n: u32| n.to_string())).collect();
    let batch = |(lane, key): (LaneId, String)| {
        let door = Door { hook: lane, kind: KeyKind::Write, paused: false };
        let keys = [
            row::hook(lane),
            row::source(lane, 1),
            row::source(lane, 2),
            row::published(lane, 1),
            row::said(lane, Seq(1)),
            row::seen(lane, key.as_bytes()),
            row::owned(OWNER, lane),
        ];
        let mut rows: Vec<_> = keys.map(|key| (key, Some(row::encode(&At(1))))).into();
        rows.push((row::door(&key), Some(row::encode(&door))));
        Batch { rows, ..next(lane, 0) }
    };
    lanes.into_iter().map(batch).collect()
}

fn node(id: u128) -> Node {
    let home = id.to_be_bytes();
    Node { id: NodeId(id), address: format!("node-{id}:8080"), home, version: "1.2.3".into() }
}

fn next(lane: LaneId, expect: u64) -> Batch {
    let [expect, position] = [expect, expect + 1].map(|seq| Position::of_request(Seq(seq)));
    let record = Record { position, hash: Hash::NONE.chain(position, b"body"), body: b"body".to_vec() };
    Batch { lane, expect, records: vec![record], rows: vec![] }
}

async fn length(store: &Databases, lane: LaneId) -> usize {
    store.read(lane, Position::START, ALL).await.expect("reads").len()
}
