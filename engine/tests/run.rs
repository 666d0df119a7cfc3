//! What a run promises when its store fails, and when the clock is another.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use engine::{
    Engine,
    action::Hosted,
    run::Answered,
    vault::Vault,
    world::{Alone, Clock, Nowhere, SystemEntropy, World},
};
use rules::{
    call::run::{Declared, End, Kind, Move, Name, Note, Stand},
    record::{At, LaneId},
    refusal::Refusal,
    run::{Answer, Status},
};
use store::memory::{Memory, Verdict};
use tokio::sync::watch;
use worker::scripted::{Action, Script, Scripted};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const BEGUN_AT: u64 = 20_000 * DAY_MS;
const OWNER: LaneId = LaneId(7);

/// Stands still until a test moves it; who sleeps wakes by it.
struct Still(watch::Sender<u64>);

impl Still {
    fn pass(&self, ms: u64) {
        self.0.send_modify(|now| *now += ms);
    }
}

impl Clock for Still {
    fn now(&self) -> At {
        At(*self.0.borrow())
    }

    fn sleep(&self, ms: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut now = self.0.subscribe();
        let until = *now.borrow() + ms;
        Box::pin(async move {
            let _ = now.wait_for(|now| *now >= until).await;
        })
    }
}

/// A server's life over a store that outlives it.
struct Life {
    engine: Engine,
    clock: Arc<Still>,
}

/// Its action does what `moves` says of a journal, until that is nothing: then it is over.
fn live(store: &Memory, begins_at: u64, moves: fn(&[Note]) -> Option<Move>) -> Life {
    let action: Action = Box::new(move |running| {
        let next = moves(&running.journal);
        let end = next.is_none().then(|| End::Completed(r#"{"json":"done"}"#.into()));
        // What waits is in the journal already.
        let is_told = next.is_some() && running.journal.last().is_some_and(|note| matches!(note, Note::Called(_)));
        let moves = next.into_iter().filter(|_| !is_told).collect();
        Ok(Stand { moves, rendered: Vec::new(), end })
    });
    let clock = Arc::new(Still(watch::channel(begins_at).0));
    let engine = Engine::new(World {
        store: Arc::new(store.clone()),
        worker: Arc::new(Scripted::default().with("", Script { action, ..Script::counting() })),
        scripts: Arc::new(Scripted::counting()),
        runtimes: Arc::new(worker::runtimes::Runtimes::none()),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        vault: Arc::new(Vault::new(&[0; 32])),
        outside: Arc::new(Nowhere),
        places: Arc::new(Alone),
    });
    let (alarms, left) = (engine.clone(), engine.clone());
    tokio::spawn(async move { alarms.keep_alarms().await });
    tokio::spawn(async move { left.resume_runs().await });
    Life { engine, clock }
}

impl Life {
    async fn hook(&self) -> LaneId {
        let hook = self.engine.create_hook(OWNER, None, "an action".into()).await.expect("a hook");
        self.engine.publish(hook).await.expect("it is published");
        settle().await;
        hook
    }

    async fn begin(&self, hook: LaneId) -> Result<LaneId, Refusal> {
        let declared = Declared { slug: "ask".into(), name: None, description: None, unlisted: false, is_page: false };
        let action = Hosted { hook, version: 1, slug: "ask".into(), declared };
        self.engine.begin_hosted(OWNER, action, "{}".into(), None).await
    }

    /// How its row says that it stands: nobody looks at the run itself.
    async fn status(&self, run: LaneId) -> Option<Status> {
        let runs = self.engine.runs_of(OWNER, None, 10).await.expect("a list");
        runs.into_iter().find(|(lane, _)| *lane == run).map(|(_, brief)| brief.status)
    }

    /// Until its row says so, while `passing_ms` pass at a time.
    async fn comes_to(&self, run: LaneId, wanted: Status, passing_ms: u64) {
        let waits = async {
            while self.status(run).await != Some(wanted) {
                self.clock.pass(passing_ms);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waits).await.unwrap_or_else(|_| panic!("it never is {wanted:?}"));
    }

    async fn answer(&self, run: LaneId, text: &str) -> Result<Answered, Refusal> {
        let answer = Answer { values: vec![text.into()], meta: None, choice: None };
        self.engine.answer_run(run, "0".into(), answer, None, false).await
    }

    async fn answers(&self, run: LaneId) -> Vec<String> {
        let active = self.engine.run(run).await.expect("it is kept");
        let state = active.state().await;
        state.run.answered().map(|call| format!("{:?}", call.returned.as_ref().map(|one| &one.result))).collect()
    }
}

/// A moment in which nothing happens that should not.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

fn is_answered(journal: &[Note]) -> bool {
    journal.iter().any(|note| matches!(note, Note::Returned { .. }))
}

/// An action that asks once.
fn asks(journal: &[Note]) -> Option<Move> {
    let payload = r#"{"toRender":[{"methodName":"INPUT_TEXT","label":"Name","props":{},"isStateful":false}]}"#;
    (!is_answered(journal)).then(|| called(Kind::Io, "INPUT_TEXT", payload.into()))
}

/// An action that sleeps until three days are over.
fn sleeps(journal: &[Note]) -> Option<Move> {
    (!is_answered(journal)).then(|| called(Kind::Sleep, "sleep", format!(r#"{{"untilMs":{}}}"#, BEGUN_AT + 3 * DAY_MS)))
}

fn called(kind: Kind, method: &str, payload: String) -> Move {
    let name = Name { id: "0".into(), kind, method: method.into(), label: "Name".into() };
    Move::Called { name, payload: payload.into() }
}

#[tokio::test]
async fn a_sleep_of_three_days_is_over_when_the_clock_says_so_and_not_before() {
    let life = live(&Memory::new(), BEGUN_AT, sleeps);
    let run = life.begin(life.hook().await).await.expect("a run");
    life.comes_to(run, Status::Running, 0).await;
    life.clock.pass(3 * DAY_MS - 1);
    settle().await;
    assert_eq!(life.status(run).await, Some(Status::Running));
    life.comes_to(run, Status::Success, 1).await;
}

#[tokio::test]
async fn a_clock_that_jumps_three_days_wakes_what_slept_and_a_question_is_answered_as_ever() {
    let life = live(&Memory::new(), BEGUN_AT, |journal| match journal.len() {
        0..=1 => sleeps(journal),
        _ if journal.iter().filter(|note| matches!(note, Note::Returned { .. })).count() == 1 => {
            let Some(Move::Called { mut name, payload }) = asks(&[]) else { unreachable!("it asks") };
            name.id = "1".into();
            Some(Move::Called { name, payload })
        }
        _ => None,
    });
    let run = life.begin(life.hook().await).await.expect("a run");
    life.comes_to(run, Status::Running, 0).await;
    life.clock.pass(3 * DAY_MS);
    life.comes_to(run, Status::Waiting, 0).await;
    life.clock.pass(3 * DAY_MS);
    let answer = Answer { values: vec!["Ada".into()], meta: None, choice: None };
    let answered = life.engine.answer_run(run, "1".into(), answer, None, false).await;
    assert!(matches!(answered, Ok(Answered::Kept)), "{answered:?}");
    life.comes_to(run, Status::Success, 0).await;
}

#[tokio::test]
async fn a_sleep_that_ended_while_the_server_was_away_is_over_when_it_is_back() {
    let store = Memory::new();
    let life = live(&store, BEGUN_AT, sleeps);
    let run = life.begin(life.hook().await).await.expect("a run");
    life.comes_to(run, Status::Running, 0).await;
    settle().await;
    // Its clock was set back meanwhile, and then it was right.
    let early = live(&store.crash(0), BEGUN_AT - DAY_MS, sleeps);
    settle().await;
    assert_eq!(early.status(run).await, Some(Status::Running));
    let late = live(&store.crash(0), BEGUN_AT + 3 * DAY_MS, sleeps);
    late.comes_to(run, Status::Success, 0).await;
}

#[tokio::test]
async fn a_full_disk_refuses_an_answer_and_the_question_stays_open() {
    let store = Memory::new();
    let life = live(&store, BEGUN_AT, asks);
    let run = life.begin(life.hook().await).await.expect("a run");
    life.comes_to(run, Status::Waiting, 0).await;
    store.faults().commit(Verdict::Full);
    assert_eq!(life.answer(run, "Ada").await.expect_err("nothing was kept"), Refusal::FULL);
    assert_eq!(life.status(run).await, Some(Status::Waiting));
    life.answer(run, "Ada").await.expect("there is room");
    life.comes_to(run, Status::Success, 0).await;
    assert_eq!(life.answers(run).await.len(), 1);
}

#[tokio::test]
async fn whatever_becomes_of_any_commit_a_run_goes_on_unlooked_at_and_an_answer_counts_once() {
    for verdict in [|| Verdict::Full, || Verdict::Conflict, || Verdict::UnknownButKept, || Verdict::UnknownAndLost] {
        for commits in 0..4 {
            let store = Memory::new();
            let life = live(&store, BEGUN_AT, asks);
            let hook = life.hook().await;
            for _ in 0..commits {
                store.faults().commit(Verdict::Honest);
            }
            store.faults().commit(verdict());
            store.faults().commit(verdict());
            let mut run = life.begin(hook).await;
            while run.is_err() {
                run = life.begin(hook).await;
            }
            let run = run.expect("a run");
            life.comes_to(run, Status::Waiting, 1_000).await;
            while let Err(refusal) = life.answer(run, "Ada").await {
                // It may be kept, though nobody knew.
                if refusal.status < 500 {
                    break;
                }
            }
            life.comes_to(run, Status::Success, 1_000).await;
            assert_eq!(life.answers(run).await.len(), 1, "{:?} at commit {commits}", verdict());
        }
    }
}

#[tokio::test]
async fn a_sleep_that_ends_on_a_full_disk_ends_when_there_is_room() {
    let store = Memory::new();
    let life = live(&store, BEGUN_AT, sleeps);
    let run = life.begin(life.hook().await).await.expect("a run");
    life.comes_to(run, Status::Running, 0).await;
    settle().await;
    for _ in 0..3 {
        store.faults().commit(Verdict::Full);
    }
    life.clock.pass(3 * DAY_MS);
    settle().await;
    assert_eq!(life.status(run).await, Some(Status::Running));
    life.comes_to(run, Status::Success, 1_000).await;
}

#[tokio::test]
async fn a_sleep_that_was_kept_though_nobody_knew_ends_too() {
    let store = Memory::new();
    let life = live(&store, BEGUN_AT, sleeps);
    let hook = life.hook().await;
    store.faults().commit(Verdict::Honest);
    store.faults().commit(Verdict::UnknownButKept);
    let run = life.begin(hook).await.expect("a run");
    settle().await;
    life.comes_to(run, Status::Success, DAY_MS / 24).await;
}
