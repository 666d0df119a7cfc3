//! The spec that every store passes: each function is one promise, and `contract!` makes a test of each.

use std::{collections::BTreeMap, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use rules::record::{Hash, LaneId, Position, Record, Seq};
use tokio::task::JoinSet;

use crate::{Batch, Commit, Extent, LaneEnd, Order, Row, Store};

/// How long a promise may take to be kept.
const PROMISE_TIMEOUT: Duration = Duration::from_secs(120);
/// All there is, as far as a test goes.
const ALL: Extent = Extent { records_max: usize::MAX, bytes_max: usize::MAX };
const MEBIBYTE: usize = 1 << 20;

/// A place that a store lives in. Opened again after its store was dropped, it holds what was done.
pub trait Home: Send {
    type Kept: Store;

    fn open(&mut self) -> Self::Kept;
}

/// Makes a test of each promise: `store::contract!(home)`, where `home` makes a new empty [`Home`] each time.
#[macro_export]
macro_rules! contract {
    ($home:expr) => {
        $crate::contract! { $home;
            a_committed_batch_is_read_back_in_order
            a_batch_is_kept_whole_or_not_at_all
            a_batch_that_expects_another_tail_conflicts_and_keeps_nothing
            a_batch_of_rows_alone_still_expects_its_tail
            a_batch_of_nothing_is_done
            a_malformed_batch_stops_its_caller_alone
            a_conflict_spares_those_beside_it
            two_writers_of_one_lane_never_both_win
            lanes_share_nothing
            positions_need_not_be_dense
            an_empty_body_is_a_record
            rows_are_read_in_key_order_both_ways
            a_later_row_in_one_batch_wins
            a_deleted_row_is_gone
            keys_and_values_are_any_bytes
            reads_are_bounded_by_records_and_bytes_but_give_at_least_one
            last_finds_the_newest_at_or_before
            lanes_are_listed_in_order_each_with_its_end
            a_lane_may_begin_anywhere
            a_read_never_sees_half_a_batch
            values_of_many_megabytes_survive
            what_is_erased_is_gone_and_all_else_stays
            a_dropped_future_still_commits
            hundreds_of_lanes_at_once
            what_was_done_survives_reopening
        }
    };
    ($home:expr; $($promise:ident)*) => {
        $(
            #[test]
            fn $promise() {
                $crate::contract::hold($crate::contract::$promise($home));
            }
        )*
    };
}

/// Runs one promise to its end, which has to come.
pub fn hold(promise: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime for the test");
    runtime
        .block_on(async { tokio::time::timeout(PROMISE_TIMEOUT, promise).await.expect("the promise takes too long") });
}

pub async fn a_committed_batch_is_read_back_in_order(mut home: impl Home) {
    let store = home.open();
    let first = batch(lane(1), 0, &["one", "two", "three"]);
    let second = batch(lane(1), 3, &["four", "five"]);
    assert_eq!(store.commit(first.clone()).await, Commit::Done);
    assert_eq!(store.commit(second.clone()).await, Commit::Done);

    let both = [first.records, second.records].concat();
    assert_eq!(store.read(lane(1), Position::START, ALL).await, Ok(both.clone()));
    assert_eq!(store.read(lane(1), at(2), ALL).await, Ok(both[2..].to_vec()));
    assert_eq!(store.read(lane(1), at(5), ALL).await, Ok(vec![]));
}

pub async fn a_batch_is_kept_whole_or_not_at_all(mut home: impl Home) {
    let store = home.open();
    let mut good = batch(lane(1), 0, &["one", "two"]);
    good.rows = vec![put("a", "1"), put("b", "1")];
    assert_eq!(store.commit(good.clone()).await, Commit::Done);
    let mut late = batch(lane(1), 1, &["other", "wise"]);
    late.rows = vec![put("a", "2"), put("c", "2"), delete("b")];
    assert_eq!(store.commit(late).await, Commit::Conflict);

    assert_eq!(store.read(lane(1), Position::START, ALL).await, Ok(good.records));
    assert_eq!(all_rows(&store).await, [row("a", "1"), row("b", "1")]);
}

pub async fn a_batch_that_expects_another_tail_conflicts_and_keeps_nothing(mut home: impl Home) {
    let store = home.open();
    assert_eq!(store.commit(batch(lane(1), 5, &["from nowhere"])).await, Commit::Conflict);
    assert_eq!(store.last(lane(1), at(100)).await, Ok(None));

    let kept = batch(lane(1), 0, &["one", "two"]);
    assert_eq!(store.commit(kept.clone()).await, Commit::Done);
    for expect in [0, 1, 3] {
        assert_eq!(store.commit(batch(lane(1), expect, &["late"])).await, Commit::Conflict, "expecting {expect}");
    }
    assert_eq!(store.commit(kept.clone()).await, Commit::Conflict, "the same batch again");
    assert_eq!(store.read(lane(1), Position::START, ALL).await, Ok(kept.records));
    assert_eq!(store.commit(batch(lane(1), 2, &["three"])).await, Commit::Done, "a conflict leaves the lane usable");
}

pub async fn a_batch_of_rows_alone_still_expects_its_tail(mut home: impl Home) {
    let store = home.open();
    let rows = |expect, value| Batch { rows: vec![put("state", value)], ..batch(lane(1), expect, &[]) };
    assert_eq!(store.commit(rows(0, "early")).await, Commit::Done);
    assert_eq!(store.row(b"state".to_vec()).await, Ok(Some(b"early".to_vec())));
    assert_eq!(store.read(lane(1), Position::START, ALL).await, Ok(vec![]), "rows are no records");

    assert_eq!(store.commit(batch(lane(1), 0, &["one"])).await, Commit::Done, "and do not move the lane");
    assert_eq!(store.commit(rows(0, "stale")).await, Commit::Conflict);
    assert_eq!(store.row(b"state".to_vec()).await, Ok(Some(b"early".to_vec())));
    assert_eq!(store.commit(rows(1, "fresh")).await, Commit::Done);
    assert_eq!(store.row(b"state".to_vec()).await, Ok(Some(b"fresh".to_vec())));
}

pub async fn a_batch_of_nothing_is_done(mut home: impl Home) {
    let store = home.open();
    assert_eq!(store.commit(batch(lane(1), 0, &[])).await, Commit::Done);
    assert_eq!(store.commit(batch(lane(1), 1, &[])).await, Commit::Conflict);
}

pub async fn a_malformed_batch_stops_its_caller_alone(mut home: impl Home) {
    let store = home.open();
    let mut backwards = batch(lane(1), 0, &["one", "two"]);
    backwards.records.swap(0, 1);
    let mut standing = batch(lane(1), 0, &["one"]);
    standing.expect = standing.records[0].position;
    for malformed in [backwards, standing] {
        let commit = AssertUnwindSafe(|| drop(store.commit(malformed.clone())));
        assert!(std::panic::catch_unwind(commit).is_err(), "was taken: {malformed:?}");
    }
    assert_eq!(store.commit(batch(lane(1), 0, &["one"])).await, Commit::Done);
}

pub async fn a_conflict_spares_those_beside_it(mut home: impl Home) {
    let store = home.open();
    let lanes = 300;
    let waiting: Vec<_> = (0..lanes)
        .map(|number| {
            let expect = if number % 3 == 0 { 7 } else { 0 };
            store
                .commit(Batch { rows: vec![put(&format!("{number:03}"), "")], ..batch(lane(number), expect, &["one"]) })
        })
        .collect();
    for (number, commit) in waiting.into_iter().enumerate() {
        let due = if number % 3 == 0 { Commit::Conflict } else { Commit::Done };
        assert_eq!(commit.await, due, "lane {number}");
    }
    for number in 0..lanes {
        let kept = number % 3 != 0;
        assert_eq!(store.last(lane(number), at(100)).await.map(|found| found.is_some()), Ok(kept), "lane {number}");
        let row = store.row(format!("{number:03}").into_bytes()).await;
        assert_eq!(row.map(|found| found.is_some()), Ok(kept), "row of lane {number}");
    }
}

pub async fn two_writers_of_one_lane_never_both_win(mut home: impl Home) {
    let store = Arc::new(home.open());
    for round in 0..200 {
        let mut writers = JoinSet::new();
        for writer in ["left", "right"] {
            let store = store.clone();
            writers.spawn(async move { (writer, store.commit(batch(lane(1), round, &[writer])).await) });
        }
        let mut outcomes = writers.join_all().await;
        outcomes.sort_by_key(|(_, commit)| *commit != Commit::Done);
        assert_eq!(outcomes[0].1, Commit::Done, "round {round}");
        assert_eq!(outcomes[1].1, Commit::Conflict, "round {round}");
        let kept = store.read(lane(1), at(round), ALL).await.expect("reads");
        assert_eq!(kept.len(), 1, "round {round}");
        assert_eq!(kept[0].body, outcomes[0].0.as_bytes(), "the winner is what was kept");
    }
}

pub async fn lanes_share_nothing(mut home: impl Home) {
    let store = home.open();
    // Neighbours in every byte order, and both ends.
    let lanes = [0, 1, 2, 256, 1 << 64, 1 << 127, u128::MAX - 1, u128::MAX].map(LaneId);
    for (number, lane) in lanes.into_iter().enumerate() {
        let bodies: Vec<String> = (0..=number).map(|record| format!("{lane:?} {record}")).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        assert_eq!(store.commit(batch(lane, 0, &bodies)).await, Commit::Done);
    }
    for (number, lane) in lanes.into_iter().enumerate() {
        let kept = store.read(lane, Position::START, ALL).await.expect("reads");
        assert_eq!(kept.len(), number + 1, "{lane:?}");
        assert!(kept.iter().all(|record| record.body.starts_with(format!("{lane:?} ").as_bytes())), "{lane:?}");
        assert_eq!(store.last(lane, at(100)).await, Ok(kept.last().cloned()));
    }
}

pub async fn positions_need_not_be_dense(mut home: impl Home) {
    let store = home.open();
    let note = at(1).next_note().expect("a note");
    let positions = [at(1), note, at(900), Position::from_u64(i64::MAX.cast_unsigned())];
    let records: Vec<Record> = positions.into_iter().map(|position| record(position, "any")).collect();
    let sparse = Batch { lane: lane(1), expect: Position::START, records: records.clone(), rows: vec![] };
    assert_eq!(store.commit(sparse).await, Commit::Done);
    assert_eq!(store.read(lane(1), Position::START, ALL).await, Ok(records.clone()));
    assert_eq!(store.read(lane(1), at(1), ALL).await, Ok(records[1..].to_vec()));
    assert_eq!(store.last(lane(1), Position::from_u64(u64::MAX)).await, Ok(records.last().cloned()));
    let after_all = store.read(lane(1), Position::from_u64(u64::MAX), ALL).await;
    assert_eq!(after_all, Ok(vec![]));
}

pub async fn an_empty_body_is_a_record(mut home: impl Home) {
    let store = home.open();
    let empty = batch(lane(1), 0, &["", ""]);
    assert_eq!(store.commit(empty.clone()).await, Commit::Done);
    assert_eq!(store.read(lane(1), Position::START, ALL).await, Ok(empty.records.clone()));
    assert_eq!(store.last(lane(1), at(2)).await, Ok(empty.records.last().cloned()));
}

pub async fn rows_are_read_in_key_order_both_ways(mut home: impl Home) {
    let store = home.open();
    let keys = ["d", "b", "a", "c", "bb", "e"];
    let rows = keys.into_iter().map(|key| put(key, key)).collect();
    assert_eq!(store.commit(Batch { rows, ..batch(lane(1), 0, &[]) }).await, Commit::Done);

    let found = |from: &str, to: &str, order, rows_max| {
        let found = store.rows(from.into(), to.into(), order, rows_max);
        async move {
            let keys = found.await.expect("reads").into_iter().map(|(key, value)| {
                assert_eq!(key, value, "a value stays with its key");
                String::from_utf8(key).expect("text")
            });
            keys.collect::<Vec<_>>()
        }
    };
    assert_eq!(found("a", "e", Order::Ascending, 100).await, ["a", "b", "bb", "c", "d"], "the end is not included");
    assert_eq!(found("a", "e", Order::Descending, 100).await, ["d", "c", "bb", "b", "a"]);
    assert_eq!(found("b", "d", Order::Ascending, 2).await, ["b", "bb"], "the start is");
    assert_eq!(found("b", "d", Order::Descending, 2).await, ["c", "bb"]);
    assert_eq!(found("a", "e", Order::Ascending, 0).await, [""; 0]);
    assert_eq!(found("c", "c", Order::Ascending, 100).await, [""; 0]);
    assert_eq!(found("e", "a", Order::Descending, 100).await, [""; 0], "a range that ends before it starts is empty");
    assert_eq!(found("", "z", Order::Descending, 1).await, ["e"]);
}

pub async fn a_later_row_in_one_batch_wins(mut home: impl Home) {
    let store = home.open();
    let rows = vec![
        put("twice", "first"),
        put("gone", "here"),
        delete("back"),
        put("twice", "last"),
        delete("gone"),
        put("back", "again"),
    ];
    assert_eq!(store.commit(Batch { rows, ..batch(lane(1), 0, &[]) }).await, Commit::Done);
    assert_eq!(all_rows(&store).await, [row("back", "again"), row("twice", "last")]);
}

pub async fn a_deleted_row_is_gone(mut home: impl Home) {
    let store = home.open();
    let rows = |row| Batch { rows: vec![row], ..batch(lane(1), 0, &[]) };
    assert_eq!(store.commit(rows(put("key", "value"))).await, Commit::Done);
    assert_eq!(store.commit(rows(delete("key"))).await, Commit::Done);
    assert_eq!(store.row(b"key".to_vec()).await, Ok(None));
    assert_eq!(all_rows(&store).await, []);
    assert_eq!(store.commit(rows(delete("key"))).await, Commit::Done, "what is gone may be deleted again");
    assert_eq!(store.commit(rows(put("key", "new"))).await, Commit::Done);
    assert_eq!(store.row(b"key".to_vec()).await, Ok(Some(b"new".to_vec())));
}

pub async fn keys_and_values_are_any_bytes(mut home: impl Home) {
    let store = home.open();
    let mut keys: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    keys.extend([vec![], vec![0, 0], vec![0, 255], vec![255, 0], vec![255, 255, 255], b"it's \"quoted\"; --".to_vec()]);
    let mut sorted: Vec<Row> = keys.iter().map(|key| (key.clone(), key.iter().rev().copied().collect())).collect();
    let rows = sorted.iter().cloned().map(|(key, value)| (key, Some(value))).collect();
    let body: Vec<u8> = (0..=255).collect();
    let position = at(1);
    let binary = Record { position, hash: Hash::NONE.chain(position, &body), body };
    let all = Batch { rows, records: vec![binary.clone()], ..batch(lane(1), 0, &[]) };
    assert_eq!(store.commit(all).await, Commit::Done);

    sorted.sort();
    assert_eq!(all_rows(&store).await, sorted);
    assert_eq!(store.row(vec![]).await, Ok(Some(vec![])), "an empty value is a value");
    assert_eq!(store.row(vec![0, 1]).await, Ok(None));
    assert_eq!(store.last(lane(1), at(1)).await, Ok(Some(binary)));
}

pub async fn reads_are_bounded_by_records_and_bytes_but_give_at_least_one(mut home: impl Home) {
    let store = home.open();
    let ten_bytes_each = batch(lane(1), 0, &["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "dddddddddd"]);
    assert_eq!(store.commit(ten_bytes_each).await, Commit::Done);
    for (after, records_max, bytes_max, found) in [
        (0, 100, 1_000, 4),
        (0, 3, 1_000, 3),
        (1, 100, 1_000, 3),
        (0, 100, 30, 3),
        (0, 100, 29, 2),
        (0, 2, 30, 2),
        (0, 100, 1, 1),
        (0, 100, 0, 1),
        (3, 0, 0, 1),
        (4, 0, 0, 0),
    ] {
        let kept = store.read(lane(1), at(after), Extent { records_max, bytes_max }).await.expect("reads");
        assert_eq!(kept.len(), found, "after {after}, {records_max} records, {bytes_max} bytes");
        let positions: Vec<_> = kept.iter().map(|record| record.position).collect();
        assert_eq!(positions, (1..).map(|step| at(after + step)).take(found).collect::<Vec<_>>(), "without a gap");
    }
}

pub async fn last_finds_the_newest_at_or_before(mut home: impl Home) {
    let store = home.open();
    let records: Vec<Record> = [2, 4, 6].map(|seq| record(at(seq), &seq.to_string())).into();
    let sparse = Batch { records: records.clone(), ..batch(lane(1), 0, &[]) };
    assert_eq!(store.commit(sparse).await, Commit::Done);
    for (at_most, found) in
        [(0, None), (1, None), (2, Some(0)), (3, Some(0)), (4, Some(1)), (6, Some(2)), (99, Some(2))]
    {
        assert_eq!(store.last(lane(1), at(at_most)).await, Ok(found.map(|found: usize| records[found].clone())));
    }
    assert_eq!(store.last(lane(2), at(99)).await, Ok(None));
}

pub async fn lanes_are_listed_in_order_each_with_its_end(mut home: impl Home) {
    let store = home.open();
    assert_eq!(store.lanes(LaneId(0), 10).await, Ok(vec![]));
    // Not in this order, and neighbours in every byte.
    let lanes = [1 << 127, 0, u128::MAX, 2, 256, 1 << 64, u128::MAX - 1, 1].map(LaneId);
    let rows_alone = Batch { rows: vec![put("row", "")], ..batch(LaneId(3), 0, &[]) };
    assert_eq!(store.commit(rows_alone).await, Commit::Done, "and is not among them");
    let mut ends = Vec::new();
    for (number, lane) in lanes.into_iter().enumerate() {
        let bodies: Vec<String> = (0..=number * 7).map(|record| format!("{lane:?} {record}")).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        let all = batch(lane, 0, &bodies);
        let last = all.records.last().expect("one at least");
        ends.push(LaneEnd { lane, position: last.position, hash: last.hash });
        assert_eq!(store.commit(all).await, Commit::Done);
    }
    ends.sort_by_key(|end| end.lane);
    assert_eq!(store.lanes(LaneId(0), usize::MAX).await, Ok(ends.clone()));
    for (from, lanes_max) in [(0, 0), (0, 1), (0, 3), (3, 2), (256, 1), (257, 3), (u128::MAX - 1, 9), (u128::MAX, 9)] {
        let wanted = ends.iter().filter(|end| end.lane.0 >= from).take(lanes_max).copied();
        let wanted: Vec<LaneEnd> = wanted.collect();
        assert_eq!(store.lanes(LaneId(from), lanes_max).await, Ok(wanted), "{lanes_max} from {from} on");
    }
}

/// As one that was copied from where its beginning had been erased.
pub async fn a_lane_may_begin_anywhere(mut home: impl Home) {
    let store = home.open();
    let (before, whole) = (batch(lane(1), 0, &["gone"]), batch(lane(1), 700, &["first", "second"]));
    let chained = |hash: Hash, record: &Record| hash.chain(record.position, &record.body);
    let mut hash = before.records[0].hash;
    let records: Vec<Record> = whole
        .records
        .iter()
        .map(|record| {
            hash = chained(hash, record);
            Record { hash, ..record.clone() }
        })
        .collect();
    let arriving = Batch { records: records.clone(), ..batch(lane(1), 0, &[]) };
    assert_eq!(store.commit(arriving).await, Commit::Done);
    assert_eq!(store.commit(batch(lane(1), 0, &["gone"])).await, Commit::Conflict, "nothing comes before it any more");
    assert_eq!(store.read(lane(1), Position::START, ALL).await, Ok(records.clone()), "hashes are kept as they come");
    assert_eq!(store.last(lane(1), at(700)).await, Ok(None));
    let further: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    let further: Vec<_> = further.iter().map(String::as_str).collect();
    let further = batch(lane(1), 702, &further);
    assert_eq!(store.commit(further.clone()).await, Commit::Done);
    assert_eq!(store.read(lane(1), Position::START, ALL).await, Ok([records, further.records].concat()));
}

pub async fn a_read_never_sees_half_a_batch(mut home: impl Home) {
    let store = Arc::new(home.open());
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for round in 0..300 {
                let value = round.to_string();
                let rows = ["a", "m", "z"].map(|key| put(key, &value)).into();
                let bodies = [value.as_str(); 3];
                let whole = Batch { rows, ..batch(lane(1), round * 3, &bodies) };
                assert_eq!(store.commit(whole).await, Commit::Done);
            }
        }
    });
    while !writer.is_finished() {
        let rows = all_rows(&*store).await;
        assert!(rows.is_empty() || rows.len() == 3, "{rows:?}");
        assert!(rows.windows(2).all(|pair| pair[0].1 == pair[1].1), "{rows:?}");
        let records = store.read(lane(1), Position::START, ALL).await.expect("reads");
        assert_eq!(records.len() % 3, 0, "a batch has three records");
        tokio::task::yield_now().await;
    }
    writer.await.expect("the writer ends well");
}

pub async fn values_of_many_megabytes_survive(mut home: impl Home) {
    let mut store = home.open();
    let noise = |seed: u8, length: usize| {
        let mut block = Hash([seed; 32]);
        let mut bytes = Vec::with_capacity(length + 32);
        while bytes.len() < length {
            block = block.chain(Position::START, &[]);
            bytes.extend_from_slice(&block.0);
        }
        bytes.truncate(length);
        bytes
    };
    let (state, body) = (noise(1, 24 * MEBIBYTE + 1), noise(2, 20 * MEBIBYTE - 1));
    let large = Batch {
        records: vec![Record { position: at(1), hash: Hash::NONE, body: body.clone() }],
        rows: vec![(b"state".to_vec(), Some(state.clone()))],
        ..batch(lane(1), 0, &[])
    };
    assert_eq!(store.commit(large).await, Commit::Done);
    for _ in 0..2 {
        assert!(store.row(b"state".to_vec()).await == Ok(Some(state.clone())), "the value has changed");
        let records = store.read(lane(1), Position::START, ALL).await.expect("reads");
        assert!(records.len() == 1 && records[0].body == body, "the body has changed");
        drop(store);
        store = home.open();
    }
}

pub async fn what_is_erased_is_gone_and_all_else_stays(mut home: impl Home) {
    let store = home.open();
    let kept = batch(lane(2), 0, &["theirs"]);
    assert_eq!(store.commit(kept.clone()).await, Commit::Done);
    let words: Vec<_> = (0..300).map(|number| number.to_string()).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let gone = batch(lane(1), 0, &words);
    assert_eq!(store.commit(gone.clone()).await, Commit::Done);

    // The oldest first, and never what stands at `before` or behind it. Those that lie together go together.
    let mut left = gone.records.len();
    for _ in 0..7 {
        assert_eq!(store.erase(lane(1), at(200), 50).await, Commit::Done);
        let read = store.read(lane(1), Position::START, ALL).await.expect("reads");
        assert!(read.len() <= left && read.len() >= 101, "{} of {left} are left", read.len());
        assert_eq!(read, gone.records[300 - read.len()..]);
        left = read.len();
    }
    assert!(left < 300, "something was erased");
    // The newest stays whatever is asked: it says where the lane ends.
    let mut turns = 0;
    while store.read(lane(1), Position::START, ALL).await.expect("reads").len() > 1 {
        assert_eq!(store.erase(lane(1), at(1000), 50).await, Commit::Done);
        turns += 1;
        assert!(turns <= 300, "each turn erases something");
    }
    assert_eq!(store.read(lane(1), Position::START, ALL).await, Ok(gone.records[299..].to_vec()));
    assert_eq!(store.commit(batch(lane(1), 300, &["goes on"])).await, Commit::Done);
    assert_eq!(store.read(lane(2), Position::START, ALL).await, Ok(kept.records));
}

pub async fn a_dropped_future_still_commits(mut home: impl Home) {
    let store = home.open();
    let lanes = 50;
    for number in 0..lanes {
        drop(store.commit(batch(lane(number), 0, &["given up"])));
    }
    for number in 0..lanes {
        while store.last(lane(number), at(1)).await.expect("reads").is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(store.commit(batch(lane(number), 1, &["goes on"])).await, Commit::Done);
    }
}

pub async fn hundreds_of_lanes_at_once(mut home: impl Home) {
    let store = Arc::new(home.open());
    let (lanes, steps) = (400, 20);
    let mut writers = JoinSet::new();
    for number in 0..lanes {
        let store = store.clone();
        writers.spawn(async move {
            for step in 0..steps {
                let rows = vec![put(&format!("{number:03}"), &step.to_string())];
                let next = Batch { rows, ..batch(lane(number), step, &[&format!("{number} {step}")]) };
                assert_eq!(store.commit(next).await, Commit::Done);
                let last = store.last(lane(number), at(steps)).await.expect("reads").expect("what was done is read");
                assert_eq!(last.body, format!("{number} {step}").into_bytes());
            }
        });
    }
    writers.join_all().await;
    let last = (steps - 1).to_string();
    let rows: BTreeMap<_, _> = all_rows(&*store).await.into_iter().collect();
    assert_eq!(rows.len(), usize::try_from(lanes).expect("small"));
    assert!(rows.values().all(|value| value == last.as_bytes()));
    for number in 0..lanes {
        let bodies: Vec<_> = (0..steps).map(|step| format!("{number} {step}").into_bytes()).collect();
        let kept = store.read(lane(number), Position::START, ALL).await.expect("reads");
        assert_eq!(kept.into_iter().map(|record| record.body).collect::<Vec<_>>(), bodies);
    }
}

pub async fn what_was_done_survives_reopening(mut home: impl Home) {
    let mut done = Vec::new();
    for round in 0..3 {
        let store = home.open();
        assert_eq!(store.read(lane(1), Position::START, ALL).await, Ok(done.clone()), "round {round}");
        let value = (round > 0).then(|| (round - 1).to_string().into_bytes());
        assert_eq!(store.row(b"round".to_vec()).await, Ok(value));
        let stale = batch(lane(1), round + 1, &["stale"]);
        assert_eq!(store.commit(stale).await, Commit::Conflict, "the tail is known again");
        let next = Batch { rows: vec![put("round", &round.to_string())], ..batch(lane(1), round, &["kept"]) };
        assert_eq!(store.commit(next.clone()).await, Commit::Done);
        done.extend(next.records);
    }
}

fn lane(number: u64) -> LaneId {
    LaneId(u128::from(number) << 64 | 7)
}

fn at(seq: u64) -> Position {
    Position::of_request(Seq(seq))
}

fn record(position: Position, body: &str) -> Record {
    Record { position, hash: Hash::NONE.chain(position, body.as_bytes()), body: body.into() }
}

/// A batch of requests that follow request number `expect`.
fn batch(lane: LaneId, expect: u64, bodies: &[&str]) -> Batch {
    let records = (expect + 1..).zip(bodies).map(|(seq, body)| record(at(seq), body)).collect();
    Batch { lane, expect: at(expect), records, rows: vec![] }
}

fn put(key: &str, value: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.into(), Some(value.into()))
}

fn delete(key: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.into(), None)
}

fn row(key: &str, value: &str) -> Row {
    (key.into(), value.into())
}

async fn all_rows(store: &impl Store) -> Vec<Row> {
    store.rows(vec![], vec![255; 4], Order::Ascending, usize::MAX).await.expect("reads")
}
