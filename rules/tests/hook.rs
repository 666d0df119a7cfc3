//! What a hook decides, told as scenarios.

use std::sync::Arc;

use rules::{
    access::{Key, KeyKind},
    call::{Bytes, Error, Exports, Failure, Level, Line, Ran, Request, Stop},
    hook::{
        Answered, Came, Change, Changed, Config, Edit, Effect, Entry, Folded, Hook, Input, Reply, SNAPSHOT_REQUESTS,
        Seen, Step, Ticket, Verdict, Write,
    },
    limits,
    record::{At, Hash, LaneId, Position, Seq},
    refusal::Refusal,
    row::{self, Fate, Head},
};

const LANE: LaneId = LaneId(1);
const OWNER: LaneId = LaneId(2);
const EXPORTS: Exports = Exports { responder: false, idempotency_key: false, reducer: true, query: false };

fn key(key: &str) -> Key {
    Key { key: key.into(), kind: if key == "r" { KeyKind::Read } else { KeyKind::Write }, paused: false }
}

fn hook() -> Hook {
    Hook::create(LANE, OWNER, "tea".into(), "draft".into(), [key("r"), key("w")], At(0)).0
}

fn published() -> Hook {
    let mut hook = hook();
    publish(&mut hook, 1, "one");
    hook
}

fn publish(hook: &mut Hook, at: u64, source: &str) -> Step {
    change(hook, at, Change::Publish { source: source.into(), exports: EXPORTS })
}

fn change(hook: &mut Hook, at: u64, change: Change) -> Step {
    hook.step(At(at), Input::Change { change, ticket: Ticket(0) })
}

fn write_of(id: u128, body: &str) -> Write {
    let request = Request {
        id,
        seq: 0,
        method: "POST".into(),
        path: "/write/w".into(),
        query: String::new(),
        headers: Vec::new(),
        body: Bytes(body.into()),
        created_at_ms: 5,
    };
    Write { request, idempotency_key: None, seen: None, answered: None, ticket: Ticket(id as u64) }
}

fn write(hook: &mut Hook, id: u128) -> Step {
    hook.step(At(10), Input::Write(write_of(id, "{}")))
}

fn ran(state: &str) -> Ran<Arc<str>> {
    Ran { result: Ok(state.into()), console: Vec::new() }
}

fn failed(stop: Option<Stop>) -> Ran<Arc<str>> {
    let error = Error { name: "Error".into(), message: "no".into(), stack: String::new(), place: None };
    Ran { result: Err(Failure { error, stop }), console: Vec::new() }
}

fn fold(hook: &mut Hook, version: u32, after: u64, rans: Vec<Ran<Arc<str>>>) -> Step {
    let folded: Vec<_> = rans
        .into_iter()
        .enumerate()
        .map(|(index, ran)| Folded {
            seq: Seq(after + 1 + index as u64),
            forced: false,
            request_bytes: 400,
            key: None,
            came: Came::Ran(ran),
        })
        .collect();
    let through = Seq(after + folded.len() as u64);
    hook.step(At(20), Input::Folded { version, after: Seq(after), through, folded })
}

fn receipt(step: &Step) -> (Seq, Hash) {
    let receipt = step.effects.iter().find_map(|effect| match effect {
        Effect::Reply { reply: Reply::Receipt(receipt), .. } => Some((receipt.seq, receipt.hash)),
        _ => None,
    });
    receipt.expect("a receipt")
}

fn entries(step: &Step) -> Vec<Entry> {
    step.records.iter().map(|record| row::decode(&record.body).expect("what was encoded")).collect()
}

fn asks_for_fold(step: &Step, version: u32) -> bool {
    step.effects.contains(&Effect::Fold { version })
}

#[test]
fn requests_are_numbered_from_one_without_a_gap() {
    let mut hook = published();
    let seqs: Vec<_> = (1..=3).map(|id| receipt(&write(&mut hook, id)).0.0).collect();
    assert_eq!(seqs, [1, 2, 3]);
}

#[test]
fn a_note_between_two_requests_takes_no_number_and_is_covered_by_the_next_hash() {
    let (mut with, mut without) = (published(), published());
    write(&mut with, 1);
    write(&mut without, 1);
    let edit = Edit { name: Some("coffee".into()), ..Edit::default() };
    change(&mut with, 10, Change::Edit(edit));
    let (a, b) = (receipt(&write(&mut with, 2)), receipt(&write(&mut without, 2)));
    assert_eq!((a.0, b.0), (Seq(2), Seq(2)));
    assert_ne!(a.1, b.1);
}

#[test]
fn a_receipt_covers_everything_that_came_before() {
    let hashes = ["one", "other"].map(|body| {
        let mut hook = published();
        hook.step(At(10), Input::Write(write_of(1, body)));
        // From here on both logs hold the same.
        (2..=4).map(|id| receipt(&write(&mut hook, id))).collect::<Vec<_>>()
    });
    for (one, other) in hashes[0].iter().zip(&hashes[1]) {
        assert_eq!(one.0, other.0);
        assert_ne!(one.1, other.1);
    }
}

#[test]
fn every_hash_follows_from_the_record_before() {
    let mut hook = hook();
    let mut hash = hook.hash;
    let mut position = hook.tail;
    let mut steps = vec![publish(&mut hook, 1, "one")];
    steps.extend((1..=3).map(|id| write(&mut hook, id)));
    for record in steps.iter().flat_map(|step| &step.records) {
        assert!(record.position > position);
        hash = hash.chain(record.position, &record.body);
        assert_eq!(record.hash, hash);
        position = record.position;
    }
    assert_eq!((hook.hash, hook.tail), (hash, position));
}

#[test]
fn a_repeated_key_gets_the_first_reply_and_is_not_kept_again() {
    let mut hook = published();
    let keyed = |id, seen| Write { idempotency_key: Some(b"k".to_vec()), seen, ..write_of(id, "{}") };
    let first = hook.step(At(10), Input::Write(keyed(1, None)));
    let reply = Reply::Receipt(match &first.effects[1] {
        Effect::Reply { reply: Reply::Receipt(receipt), replayed: false, .. } => receipt.clone(),
        other => panic!("{other:?}"),
    });
    let seen_row = first.rows.iter().find(|(key, _)| key.starts_with(b"seen/")).expect("it is remembered");
    let seen: Seen = row::decode(seen_row.1.as_ref().unwrap()).unwrap();

    let in_the_same_turn = hook.step(At(10), Input::Write(keyed(2, None)));
    let repeat = Effect::Reply { ticket: Ticket(2), reply: reply.clone(), replayed: true };
    assert_eq!((in_the_same_turn.records.len(), in_the_same_turn.effects), (0, vec![repeat]));

    hook.committed();
    let later = hook.step(At(limits::IDEMPOTENCY_MS), Input::Write(keyed(3, Some(seen.clone()))));
    let repeat = Effect::Reply { ticket: Ticket(3), reply, replayed: true };
    assert_eq!((later.records.len(), later.effects), (0, vec![repeat]));

    let after_a_week = hook.step(At(limits::IDEMPOTENCY_MS + 10), Input::Write(keyed(4, Some(seen))));
    assert_eq!(receipt(&after_a_week).0, Seq(2));
}

#[test]
fn a_repeated_key_with_another_body_is_refused() {
    let mut hook = published();
    let keyed = |id, body| Write { idempotency_key: Some(b"k".to_vec()), ..write_of(id, body) };
    hook.step(At(10), Input::Write(keyed(1, "a")));
    let second = hook.step(At(10), Input::Write(keyed(2, "b")));
    let refusal = Effect::Refuse { ticket: Ticket(2), refusal: Refusal::IDEMPOTENCY_KEY_REUSED };
    assert_eq!((second.records.len(), second.effects), (0, vec![refusal]));
}

#[test]
fn a_fold_is_asked_for_once_however_many_requests_wait() {
    let mut hook = published();
    assert!(asks_for_fold(&write(&mut hook, 1), 1));
    assert!(!asks_for_fold(&write(&mut hook, 2), 1));
    assert!(asks_for_fold(&fold(&mut hook, 1, 0, vec![ran("1")]), 1), "the second request waits behind the first");
    assert!(!asks_for_fold(&fold(&mut hook, 1, 1, vec![ran("2")]), 1));
}

#[test]
fn a_fold_that_arrives_twice_counts_once() {
    let mut hook = published();
    write(&mut hook, 1);
    fold(&mut hook, 1, 0, vec![ran("1")]);
    let again = fold(&mut hook, 1, 0, vec![ran("99")]);
    assert!(again.rows.is_empty() && again.records.is_empty());
    assert_eq!(hook.head(), (Seq(1), Some("1".into())));
}

#[test]
fn a_request_that_fails_leaves_the_state_and_the_next_goes_on() {
    let mut hook = published();
    (1..=3).for_each(|id| drop(write(&mut hook, id)));
    let step = fold(&mut hook, 1, 0, vec![ran("1"), failed(None), ran("2")]);
    assert_eq!(hook.head(), (Seq(3), Some("2".into())));
    let fate = step.rows.iter().find(|(key, _)| *key == row::fate(LANE, 1, Seq(2))).expect("its error is kept");
    assert_eq!(row::decode::<Fate>(fate.1.as_ref().unwrap()).unwrap().error.unwrap().message, "no");
    assert!(step.records.is_empty(), "a throw is decided again at every replay");
}

#[test]
fn what_a_backstop_decided_is_recorded_and_what_the_budget_decided_is_not() {
    for (stop, is_recorded) in
        [(Stop::Clock, true), (Stop::Memory, true), (Stop::Stack, true), (Stop::Crash, true), (Stop::Budget, false)]
    {
        let mut hook = published();
        write(&mut hook, 1);
        let step = fold(&mut hook, 1, 0, vec![failed(Some(stop))]);
        let stopped = Entry::Stopped { version: 1, seq: Seq(1), stop, at: At(20) };
        assert_eq!(entries(&step) == [stopped], is_recorded, "{stop:?}");
    }
}

#[test]
fn a_forced_stop_is_not_recorded_again() {
    let mut hook = published();
    write(&mut hook, 1);
    let came = Came::Ran(failed(Some(Stop::Clock)));
    let folded = Folded { seq: Seq(1), forced: true, request_bytes: 1, key: None, came };
    let step = hook.step(At(20), Input::Folded { version: 1, after: Seq(0), through: Seq(1), folded: vec![folded] });
    assert!(step.records.is_empty());
}

#[test]
fn the_console_of_a_request_is_kept() {
    let mut hook = published();
    write(&mut hook, 1);
    let console = vec![Line { level: Level::Log, messages: vec!["hello".into()] }];
    let step = fold(&mut hook, 1, 0, vec![Ran { console: console.clone(), ..ran("1") }]);
    let fate = step.rows.iter().find(|(key, _)| *key == row::fate(LANE, 1, Seq(1))).unwrap();
    assert_eq!(row::decode::<Fate>(fate.1.as_ref().unwrap()).unwrap().console, console);
}

#[test]
fn publishing_folds_beside_the_live_version_and_switches_when_it_has_caught_up() {
    let mut hook = published();
    (1..=3).for_each(|id| drop(write(&mut hook, id)));
    fold(&mut hook, 1, 0, vec![ran("1"), ran("2"), ran("3")]);

    let step = publish(&mut hook, 30, "two");
    let publishing = Changed::Publishing { version: 2, total: Seq(3) };
    assert!(step.effects.contains(&Effect::Changed { ticket: Ticket(0), change: publishing }));
    assert!(asks_for_fold(&step, 2));

    let halfway = fold(&mut hook, 2, 0, vec![ran("-1"), ran("-2")]);
    assert!(asks_for_fold(&halfway, 2));
    assert_eq!(hook.head(), (Seq(3), Some("3".into())), "readers never see a mix");

    let step = fold(&mut hook, 2, 2, vec![ran("-3")]);
    assert_eq!(entries(&step), [Entry::Published { version: 2, through: Seq(3), at: At(30) }]);
    assert_eq!(hook.head(), (Seq(3), Some("-3".into())));
    assert_eq!(hook.config.published.as_ref().unwrap().version, 2);
    assert_eq!((hook.config.draft.version, &*hook.config.draft.source), (3, "two"));
}

#[test]
fn requests_that_arrive_during_a_refold_are_folded_by_both_versions() {
    let mut hook = published();
    write(&mut hook, 1);
    fold(&mut hook, 1, 0, vec![ran("1")]);
    publish(&mut hook, 30, "two");
    assert!(asks_for_fold(&write(&mut hook, 2), 1), "the live version goes on");
    fold(&mut hook, 1, 1, vec![ran("2")]);
    fold(&mut hook, 2, 0, vec![ran("-1")]);
    assert_eq!(hook.head(), (Seq(2), Some("2".into())), "the new one has not seen what readers have seen");
    fold(&mut hook, 2, 1, vec![ran("-2")]);
    assert_eq!(hook.head(), (Seq(2), Some("-2".into())));
}

#[test]
fn a_switch_never_takes_readers_back() {
    let mut hook = published();
    (1..=5).for_each(|id| drop(write(&mut hook, id)));
    publish(&mut hook, 30, "two");
    fold(&mut hook, 1, 0, vec![ran("1"), ran("2"), ran("3")]);
    fold(&mut hook, 2, 0, vec![ran("-1"), ran("-2")]);
    assert_eq!(hook.head().0, Seq(3));
    fold(&mut hook, 2, 2, vec![ran("-3")]);
    assert_eq!(hook.head(), (Seq(3), Some("-3".into())));
}

#[test]
fn publishing_again_gives_up_the_refold_that_was_under_way() {
    let mut hook = published();
    write(&mut hook, 1);
    fold(&mut hook, 1, 0, vec![ran("1")]);
    publish(&mut hook, 30, "two");
    publish(&mut hook, 31, "three");
    let late = fold(&mut hook, 2, 0, vec![ran("-1")]);
    assert!(late.records.is_empty() && late.rows.is_empty());
    fold(&mut hook, 3, 0, vec![ran("+1")]);
    assert_eq!(hook.head(), (Seq(1), Some("+1".into())));
}

#[test]
fn restoring_the_live_version_gives_up_what_was_to_replace_it() {
    let mut hook = published();
    write(&mut hook, 1);
    fold(&mut hook, 1, 0, vec![ran("1")]);
    publish(&mut hook, 30, "two");
    let found = Some((row::Source { source: "one".into(), exports: EXPORTS }, None));
    let step = change(&mut hook, 31, Change::Restore { version: 1, found });
    let stays = Changed::Publishing { version: 1, total: Seq(1) };
    assert!(step.effects.contains(&Effect::Changed { ticket: Ticket(0), change: stays }));
    assert!(hook.refold.is_none());
    assert_eq!(hook.head(), (Seq(1), Some("1".into())));
}

#[test]
fn a_hook_that_received_nothing_publishes_at_once() {
    let mut hook = hook();
    publish(&mut hook, 1, "one");
    assert_eq!(hook.config.published.as_ref().unwrap().version, 1);
    assert!(hook.refold.is_none());
}

#[test]
fn a_paused_hook_keeps_requests_and_folds_them_when_it_plays_again() {
    let mut hook = published();
    let pause = |paused| {
        let edit = Edit { paused: Some(paused), ..Edit::default() };
        Input::Change { change: Change::Edit(edit), ticket: Ticket(0) }
    };
    hook.step(At(5), pause(true));
    let step = write(&mut hook, 1);
    assert_eq!(receipt(&step).0, Seq(1));
    assert!(!asks_for_fold(&step, 1));
    assert!(asks_for_fold(&hook.step(At(6), pause(false)), 1));
}

#[test]
fn what_a_responder_refused_is_kept_and_not_folded() {
    let mut hook = published();
    let response = rules::call::Response { status: 401, headers: Vec::new(), body: Bytes::default() };
    let answered = Some(Answered { response: response.clone(), verdict: Verdict::Ignored, console: Vec::new() });
    let step = hook.step(At(10), Input::Write(Write { answered, ..write_of(1, "{}") }));
    let Entry::Arrived { verdict, .. } = &entries(&step)[0] else { panic!() };
    assert_eq!(*verdict, Verdict::Ignored);
    assert!(step.effects.contains(&Effect::Reply {
        ticket: Ticket(1),
        reply: Reply::Response(response),
        replayed: false
    }));
    assert!(step.effects.iter().any(|effect| matches!(effect, Effect::Arrived { is_folded: false, .. })));
}

#[test]
fn a_worker_that_could_not_fold_is_asked_again() {
    let mut hook = published();
    write(&mut hook, 1);
    assert!(asks_for_fold(&hook.step(At(20), Input::NotFolded { version: 1 }), 1));
}

#[test]
fn snapshots_stand_far_enough_apart_to_be_smaller_than_the_log() {
    let mut hook = published();
    let count = 4 * SNAPSHOT_REQUESTS;
    (1..=count).for_each(|id| drop(write(&mut hook, u128::from(id))));
    let large = format!("\"{}\"", "x".repeat(400 * 2 * SNAPSHOT_REQUESTS as usize));
    let mut snapshots = Vec::new();
    for after in 0..count {
        let step = fold(&mut hook, 1, after, vec![ran(&large)]);
        for (key, value) in step.rows {
            if key.starts_with(b"snapshot/") {
                snapshots.push(row::decode::<Head>(&value.unwrap()).unwrap().through.0);
            }
        }
    }
    assert_eq!(snapshots, [2 * SNAPSHOT_REQUESTS + 1], "one for as many bytes of log as the state has");
}

#[test]
fn a_key_that_is_not_the_hooks_cannot_be_paused() {
    let mut hook = published();
    let step = change(&mut hook, 5, Change::PauseKey { key: "x".into(), paused: true });
    let refusal = Effect::Refuse { ticket: Ticket(0), refusal: Refusal::KEY_UNKNOWN };
    assert_eq!((step.records.len(), step.effects), (0, vec![refusal]));
}

#[test]
fn a_revoked_key_is_forgotten_and_its_door_is_shut() {
    let mut hook = published();
    let step = change(&mut hook, 5, Change::RevokeKey { key: "w".into() });
    assert_eq!(entries(&step), [Entry::KeyRevoked { key: "w".into(), at: At(5) }]);
    assert!(step.rows.contains(&(row::door("w"), None)));
    assert!(step.effects.contains(&Effect::Door { key: "w".into(), door: None }));
    assert_eq!(hook.config.keys.iter().map(|key| key.key.as_str()).collect::<Vec<_>>(), ["r"]);
    let step = change(&mut hook, 6, Change::RevokeKey { key: "w".into() });
    let refusal = Effect::Refuse { ticket: Ticket(0), refusal: Refusal::KEY_UNKNOWN };
    assert_eq!((step.records.len(), step.effects), (0, vec![refusal]));
}

#[test]
fn what_an_imported_log_says_of_keys_opens_and_shuts_nothing_here() {
    let (mut far, step) = Hook::create(LANE, OWNER, "tea".into(), "draft".into(), [key("r"), key("w")], At(0));
    let mut records = step.records;
    for change_of in [
        Change::MakeKey { key: "third".into(), kind: KeyKind::Read },
        Change::PauseKey { key: "third".into(), paused: true },
        Change::RevokeKey { key: "third".into() },
    ] {
        records.extend(change(&mut far, 5, change_of).records);
    }
    let mut near = Hook::load(LaneId(7), Config::default(), None, At(0));
    let mut rows = Vec::new();
    for record in &records {
        near.follow(record, &mut rows).expect("it follows");
    }
    assert_eq!(rows.iter().filter(|(key, _)| key.starts_with(b"door/")).count(), 0);
    near.settle(OWNER, ["new r".into(), "new w".into()], At(9));
    assert_eq!(near.config.keys.iter().map(|key| key.key.as_str()).collect::<Vec<_>>(), ["new r", "new w"]);
}

#[test]
fn a_hook_is_given_away_once_and_only_by_its_owner() {
    let mut hook = published();
    let owner = hook.config.owner;
    let (user, other) = (LaneId(77), LaneId(78));
    let ticket = Ticket(9);
    let step = hook.step(At(5), Input::Change { change: Change::Give { from: owner, to: user }, ticket });
    assert_eq!((entries(&step), hook.config.owner), (vec![Entry::Given { owner: user, at: At(5) }], user));
    assert!(step.rows.contains(&(row::owned(owner, hook.lane), None)));
    assert!(step.rows.contains(&(row::owned(user, hook.lane), Some(vec![]))));
    let step = hook.step(At(6), Input::Change { change: Change::Give { from: owner, to: other }, ticket });
    assert_eq!((step.records.len(), hook.config.owner), (0, user), "it is not the guest's any more");
}

#[test]
fn a_clock_that_is_set_back_does_not_turn_the_log_around() {
    let mut hook = published();
    hook.step(At(100), Input::Write(write_of(1, "")));
    let step = hook.step(At(50), Input::Write(write_of(2, "")));
    let Entry::Arrived { at, .. } = &entries(&step)[0] else { panic!() };
    assert_eq!(*at, At(100));
}

#[test]
fn the_place_of_a_request_is_known_from_its_seq() {
    let mut hook = published();
    let step = write(&mut hook, 1);
    assert_eq!(step.records[0].position, Position::of_request(Seq(1)));
    assert!(step.records[0].position.is_request());
    let edit = Edit { name: Some("coffee".into()), ..Edit::default() };
    let step = change(&mut hook, 11, Change::Edit(edit));
    assert!(!step.records[0].position.is_request());
    assert_eq!(step.records[0].position.seq(), Seq(1));
}
