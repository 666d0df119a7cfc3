//! What the store in memory promises: the contract, and beyond it every fault on demand.

use std::time::Duration;

use rules::record::{Hash, LaneId, Position, Record, Seq};
use store::{
    Batch, Commit, Extent, Fault, Store,
    contract::{Home, hold},
    memory::{Memory, Verdict, delay},
};

/// Reopening is a power cut: only what was synced is found again.
struct Crashing(Memory);

impl Home for Crashing {
    type Kept = Memory;

    fn open(&mut self) -> Memory {
        self.0 = self.0.crash(0);
        self.0.clone()
    }
}

store::contract!(Crashing(Memory::new()));

const LANE: LaneId = LaneId(1);
const ALL: Extent = Extent { records_max: 100, bytes_max: 1_000 };

#[test]
fn commits_meet_the_scripted_fate_in_order_and_then_go_well() {
    hold(async {
        let memory = Memory::new();
        let faults = memory.faults();
        for verdict in [Verdict::Full, Verdict::Conflict, Verdict::UnknownAndLost, Verdict::Honest] {
            faults.commit(verdict);
        }
        faults.commit(Verdict::UnknownButKept);
        assert_eq!(memory.commit(next(0)).await, Commit::Full);
        assert_eq!(memory.commit(next(0)).await, Commit::Conflict);
        assert!(matches!(memory.commit(next(0)).await, Commit::Unknown(_)));
        assert_eq!(length(&memory).await, 0);
        assert_eq!(memory.commit(next(0)).await, Commit::Done);
        assert!(matches!(memory.commit(next(1)).await, Commit::Unknown(_)));
        assert_eq!(length(&memory).await, 2, "unknown, but kept");
        assert_eq!(memory.commit(next(2)).await, Commit::Done);
    });
}

#[test]
fn a_delayed_commit_is_not_read_before_its_release_and_holds_its_place() {
    hold(async {
        let memory = Memory::new();
        let (release, delayed) = delay();
        memory.faults().commit(Verdict::Delayed(delayed));
        let mut slow = memory.commit(next(0));
        let early = tokio::time::timeout(Duration::from_millis(20), &mut slow).await;
        assert!(early.is_err(), "answered before its release: {early:?}");
        assert_eq!(length(&memory).await, 0);
        assert_eq!(memory.commit(next(0)).await, Commit::Conflict, "its place is taken");
        release.now();
        assert_eq!(slow.await, Commit::Done);
        assert_eq!(length(&memory).await, 1);
    });
}

#[test]
fn reads_fail_when_scripted_and_then_go_well() {
    hold(async {
        let memory = Memory::new();
        memory.faults().read_succeeds();
        memory.faults().read_fails("no disk");
        assert_eq!(memory.row(vec![]).await, Ok(None));
        assert_eq!(memory.row(vec![]).await, Err(Fault("no disk".into())));
        assert_eq!(memory.row(vec![]).await, Ok(None));
    });
}

#[test]
fn a_crash_keeps_what_was_done_and_any_beginning_of_what_was_not_synced() {
    hold(async {
        let memory = Memory::new();
        assert_eq!(memory.commit(next(0)).await, Commit::Done);
        let in_flight = [memory.commit(next(1)), memory.commit(next(2))];
        assert_eq!(memory.unsynced(), 2);
        let crashed = [0, 1, 2].map(|survivors| memory.crash(survivors));
        drop(in_flight);
        for (survivors, crashed) in (0..).zip(crashed) {
            assert_eq!(length(&crashed).await, 1 + survivors);
            assert_eq!(crashed.commit(next(1 + survivors)).await, Commit::Done, "the lane goes on where it ends");
        }
    });
}

#[test]
fn a_sync_takes_along_all_that_was_taken_before() {
    hold(async {
        let memory = Memory::new();
        let first = memory.commit(next(0));
        assert_eq!(memory.commit(next(1)).await, Commit::Done);
        assert_eq!(length(&memory.crash(0)).await, 2);
        assert_eq!(first.await, Commit::Done);
    });
}

fn next(expect: u64) -> Batch {
    let [expect, position] = [expect, expect + 1].map(|seq| Position::of_request(Seq(seq)));
    Batch { lane: LANE, expect, records: vec![Record { position, hash: Hash::NONE, body: vec![] }], rows: vec![] }
}

async fn length(memory: &Memory) -> u64 {
    memory.read(LANE, Position::START, ALL).await.expect("reads").len() as u64
}
