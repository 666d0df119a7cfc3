//! What schedules promise as time goes by, whatever ends their server, and when what they name is gone.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use engine::{
    Engine,
    host::Route,
    schedule::Context,
    vault::Vault,
    world::{Alone, Clock, Nowhere, SystemEntropy, World},
};
use rules::{
    account::Account,
    call::{
        Call, Described, Exports, Outcome, Program,
        run::{Declared, End, Kind, Move, Name, Running, Stand},
    },
    email::Email,
    hook::Change,
    inbox::Notice,
    limits::Limits,
    queue::Item,
    record::{At, LaneId, Position, Record},
    refusal::Refusal,
    run::Status,
    schedule::{Plan, SCHEDULE_PATIENCE_MS, SCHEDULE_RUNS_MAX, SCHEDULES_MAX, Schedule},
};
use store::{Batch, Commit, Extent, Fault, LaneEnd, Order, Pending, Row, Store, memory::Memory};
use tokio::sync::watch;
use worker::{
    Calling, Worker,
    scripted::{Script, Scripted},
};

const MINUTE_MS: u64 = 60 * 1_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// 2026-03-01T00:00 in Berlin.
const MARCH: u64 = 1_772_319_600_000;

/// Stands still until a test moves it; who sleeps wakes by it.
struct Still(watch::Sender<u64>);

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

/// A store that takes so many commits and is never heard of again: its server was killed.
struct Mortal {
    memory: Memory,
    left: AtomicI64,
}

impl Store for Mortal {
    fn commit(&self, batch: Batch) -> Pending<Commit> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            left if left > 0 => self.memory.commit(batch),
            _ => Box::pin(pending()),
        }
    }

    fn erase(&self, lane: LaneId, before: Position, records_max: usize) -> Pending<Commit> {
        self.memory.erase(lane, before, records_max)
    }

    fn read(&self, lane: LaneId, after: Position, extent: Extent) -> Pending<Result<Vec<Record>, Fault>> {
        self.memory.read(lane, after, extent)
    }

    fn last(&self, lane: LaneId, at_most: Position) -> Pending<Result<Option<Record>, Fault>> {
        self.memory.last(lane, at_most)
    }

    fn lanes(&self, from: LaneId, lanes_max: usize) -> Pending<Result<Vec<LaneEnd>, Fault>> {
        self.memory.lanes(from, lanes_max)
    }

    fn rows(&self, from: Vec<u8>, to: Vec<u8>, order: Order, rows_max: usize) -> Pending<Result<Vec<Row>, Fault>> {
        self.memory.rows(from, to, order, rows_max)
    }

    fn row(&self, key: Vec<u8>) -> Pending<Result<Option<Vec<u8>>, Fault>> {
        self.memory.row(key)
    }
}

/// Sources that say `actions` have one, `report`, which does what its context's parameters say.
struct Reporting(Scripted);

impl Worker for Reporting {
    fn call(&self, program: &Arc<Program>, call: Call, limits: Limits) -> Calling {
        if !matches!(call, Call::Describe) || !program.source.contains("actions") {
            return self.0.call(program, call, limits);
        }
        let exports = Exports { reducer: true, ..Exports::default() };
        let slug = "report".to_owned();
        let actions = vec![Declared { slug, name: None, description: None, unlisted: false, is_page: false }];
        Box::pin(async move { Outcome::Described(Described { exports, actions }) })
    }
}

fn report(running: &Running) -> Result<Stand, String> {
    let is_told = !running.journal.is_empty();
    match &*running.context {
        "\"throws\"" => Err("no numbers".into()),
        "\"asks\"" => {
            let payload = r#"{"toRender":[{"methodName":"INPUT_TEXT","label":"Name","props":{},"isStateful":false}]}"#;
            let name = Name { id: "0".into(), kind: Kind::Io, method: "INPUT_TEXT".into(), label: "Name".into() };
            let asked = (!is_told).then(|| Move::Called { name, payload: payload.into() });
            Ok(Stand { moves: asked.into_iter().collect(), rendered: Vec::new(), end: None })
        }
        _ => {
            let end = Some(End::Completed(r#"{"json":"done"}"#.into()));
            Ok(Stand { moves: Vec::new(), rendered: Vec::new(), end })
        }
    }
}

/// A server's life over a store that outlives it.
struct Life {
    engine: Engine,
    clock: Arc<Still>,
    context: Context,
}

fn live(store: impl Store, begins_at: u64) -> Life {
    let clock = Arc::new(Still(watch::channel(begins_at).0));
    let script = Script { action: Box::new(report), ..Script::counting() };
    let engine = Engine::new(World {
        store: Arc::new(store),
        worker: Arc::new(Reporting(Scripted::default().with("", script))),
        scripts: Arc::new(Scripted::counting()),
        runtimes: Arc::new(worker::runtimes::Runtimes::none()),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        vault: Arc::new(Vault::new(&[0; 32])),
        outside: Arc::new(Nowhere),
        places: Arc::new(Alone),
    });
    // What a run is to do stands in its parameters.
    let context: Context = Arc::new(|_, plan| plan.params.clone().unwrap_or_else(|| "\"ends\"".into()));
    Life { engine, clock, context }
}

impl Life {
    async fn guest(&self) -> Account {
        let guest = self.engine.make_guest().await.expect("a guest").account;
        self.engine.account(guest).await.expect("it is read").expect("it is there")
    }

    async fn hook(&self, account: &Account) -> LaneId {
        let hook = self.engine.create_hook(account.lane, None, "actions".into()).await.expect("a hook");
        self.publish(hook, "actions").await;
        hook
    }

    async fn publish(&self, hook: LaneId, source: &str) {
        let exports = Exports { reducer: true, ..Exports::default() };
        self.engine.change(hook, Change::Publish { source: source.into(), exports }).await.expect("it is published");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    async fn schedule(&self, account: &Account, cron: &str, does: &str) -> Schedule {
        self.engine.make_schedule(account, plan(cron, does)).await.expect("a schedule")
    }

    async fn look(&self, schedule: &Schedule) -> Schedule {
        self.engine.schedule(schedule.owner, schedule.id).await.expect("it is there")
    }

    fn set(&self, at: u64) {
        self.clock.0.send_replace(at);
    }

    async fn fire(&self) -> Option<At> {
        self.engine.fire_due(&self.context).await
    }

    /// From each time to the next, until that is behind `until`.
    async fn pass(&self, until: u64) {
        while let Some(next) = self.fire().await.filter(|next| next.0 <= until) {
            self.set(next.0);
        }
        self.set(until);
    }

    /// The times for which runs were begun, oldest first: a run's id begins with its time.
    async fn times(&self, owner: LaneId) -> Vec<u64> {
        let runs = self.engine.runs_of(owner, None, usize::MAX).await.expect("a list");
        runs.iter().rev().map(|(run, _)| (run.0 >> 80) as u64).collect()
    }

    async fn notices(&self, owner: LaneId) -> Vec<Notice> {
        let notices = self.engine.notices(owner, None, 100).await.expect("a list");
        notices.into_iter().map(|(_, notice)| notice).collect()
    }

    async fn titles(&self, owner: LaneId) -> Vec<String> {
        self.notices(owner).await.into_iter().filter_map(|notice| notice.title).collect()
    }
}

fn plan(cron: &str, does: &str) -> Plan {
    Plan {
        name: None,
        slug: "report".into(),
        hosted: None,
        cron: cron.into(),
        timezone: "Europe/Berlin".into(),
        params: Some(format!("{does:?}").into()),
        is_paused: false,
        notify_on_success: false,
    }
}

/// Until it is so; what goes on meanwhile goes on by itself.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waits = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waits).await.unwrap_or_else(|_| panic!("never: {what}"))
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn a_month_comes_time_by_time_also_where_clocks_change() {
    let life = live(Memory::new(), MARCH);
    let (hourly, nightly) = (life.guest().await, life.guest().await);
    for (account, cron) in [(&hourly, "0 * * * *"), (&nightly, "30 2 * * *")] {
        life.hook(account).await;
        life.schedule(account, cron, "ends").await;
    }
    // An hour of the month is missing.
    let april = MARCH + 31 * DAY_MS - HOUR_MS;
    life.pass(april).await;
    let each_hour: Vec<u64> = (1..=(31 * 24 - 1)).map(|hour| MARCH + hour * HOUR_MS).collect();
    assert_eq!(life.times(hourly.lane).await, each_hour);
    // Half past two is at half past one of the world, on the night of the change at one, and then at half past nought.
    let night = |day: u64| match day {
        0..28 => MARCH + day * DAY_MS + 5 * HOUR_MS / 2,
        28 => MARCH + day * DAY_MS + 2 * HOUR_MS,
        _ => MARCH + day * DAY_MS + 3 * HOUR_MS / 2,
    };
    assert_eq!(life.times(nightly.lane).await, (0..31).map(night).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_server_that_was_away_makes_good_what_it_missed_once_and_not_what_was_paused() {
    let store = Memory::new();
    let life = live(store.clone(), MARCH);
    let account = life.guest().await;
    life.hook(&account).await;
    let schedule = life.schedule(&account, "0 * * * *", "ends").await;
    let paused = Plan { is_paused: true, ..plan("30 * * * *", "ends") };
    let paused = life.engine.make_schedule(&account, paused).await.expect("a schedule");
    assert_eq!((schedule.next_at, paused.next_at), (Some(At(MARCH + HOUR_MS)), None));

    let back = MARCH + 10 * DAY_MS + 5;
    let life = live(store.crash(0), back);
    life.engine.arm_all().await.expect("they are read");
    assert_eq!(life.fire().await, Some(At(back - 5 + HOUR_MS)));
    assert_eq!(life.times(account.lane).await, [MARCH + HOUR_MS]);
    let last = life.look(&schedule).await.last.expect("it fired");
    assert_eq!((last.due, last.at, last.run.is_ok()), (At(MARCH + HOUR_MS), At(back), true));
    let resumed = life.engine.change_schedule(&account, paused.id, |plan| plan.is_paused = false).await;
    assert_eq!(resumed.expect("it goes on").next_at, Some(At(back - 5 + HOUR_MS / 2)));
}

#[tokio::test]
async fn wherever_a_server_is_killed_a_time_begins_one_run_and_its_end_is_told_once() {
    let mut was_cut_short = 0;
    for commits in 0..8 {
        let memory = Memory::new();
        let life = live(memory.clone(), MARCH);
        let account = life.guest().await;
        life.hook(&account).await;
        let plan = Plan { notify_on_success: true, ..plan("0 * * * *", "ends") };
        let schedule = life.engine.make_schedule(&account, plan).await.expect("a schedule");
        drop(life);

        let due = MARCH + HOUR_MS;
        let killed = live(Mortal { memory: memory.clone(), left: AtomicI64::new(commits) }, due);
        killed.engine.arm_all().await.expect("they are read");
        let fired = tokio::time::timeout(Duration::from_millis(50), killed.fire()).await;
        was_cut_short += u32::from(fired.is_err());
        settle().await;

        let life = live(memory.crash(0), due + 1);
        life.engine.arm_all().await.expect("they are read");
        life.engine.resume_runs().await;
        life.fire().await;
        assert_eq!(life.times(account.lane).await, [due], "after {commits} commits");
        eventually("it is told", async || (!life.notices(account.lane).await.is_empty()).then_some(())).await;
        settle().await;
        assert_eq!(life.titles(account.lane).await, ["report is done"], "after {commits} commits");
        let found = life.look(&schedule).await;
        assert_eq!(found.last.and_then(|last| last.run.ok()), Some(schedule.run_at(At(due))));
        assert_eq!(found.next_at, Some(At(due + HOUR_MS)));
        assert_eq!(
            life.engine.last_run_of(&life.look(&schedule).await).await.unwrap().unwrap().status,
            Status::Success
        );
    }
    assert!(was_cut_short >= 2, "before the run's beginning, and between that and the schedule's next time");
}

#[tokio::test]
async fn an_action_that_is_gone_is_said_and_told_once_and_the_schedule_goes_on() {
    let life = live(Memory::new(), MARCH);
    let account = life.guest().await;
    let hook = life.hook(&account).await;
    let schedule = life.schedule(&account, "0 * * * *", "throws").await;
    life.publish(hook, "nothing").await;
    life.pass(MARCH + 3 * HOUR_MS).await;
    life.fire().await;
    let said = life.look(&schedule).await.last.expect("it fired").run.expect_err("nothing was begun");
    assert!(said.contains("no action \"report\""), "{said}");
    assert_eq!(life.titles(account.lane).await, ["report was not begun"]);

    life.publish(hook, "actions").await;
    life.pass(MARCH + 4 * HOUR_MS).await;
    life.fire().await;
    eventually("it is told", async || (life.notices(account.lane).await.len() == 2).then_some(())).await;
    let failed = &life.notices(account.lane).await[0];
    let run = life.look(&schedule).await.last.expect("it fired").run.expect("it was begun");
    assert_eq!(failed.title.as_deref(), Some("report failed"));
    assert!(failed.message.contains("no numbers"), "{failed:?}");
    assert_eq!(failed.run.as_ref().map(|id| id.replace('-', "")), Some(format!("{:032x}", run.0)));
}

#[tokio::test]
async fn a_program_that_is_away_is_waited_for_and_then_it_is_said() {
    let life = live(Memory::new(), MARCH);
    let account = life.guest().await;
    let route = |slug: &str, backgroundable| Route {
        slug: slug.into(),
        name: None,
        description: None,
        is_page: false,
        has_handler: false,
        unlisted: false,
        backgroundable,
        warn_on_close: true,
        access: None,
    };
    let connect = || {
        let host = life.engine.hosts().connect(account.lane, "host".into()).expect("a place");
        host.offer(vec![route("report", true), route("attended", false)]);
        assert!(host.begin());
        host
    };
    drop(connect());
    let attended = Plan { slug: "attended".into(), ..plan("0 * * * *", "") };
    let refused = life.engine.make_schedule(&account, attended).await;
    assert_eq!(refused, Err(Refusal::ACTION_NOT_BACKGROUNDABLE));
    let schedule = life.schedule(&account, "0 * * * *", "").await;
    assert_eq!(schedule.plan.hosted, None);

    let first = MARCH + HOUR_MS;
    life.set(first);
    let again = life.fire().await.expect("it is tried again").0;
    assert!(again > first && again < first + SCHEDULE_PATIENCE_MS);
    let host = connect();
    life.set(again);
    life.fire().await;
    assert_eq!(life.times(account.lane).await, [first]);
    drop(host);

    life.pass(first + HOUR_MS + SCHEDULE_PATIENCE_MS).await;
    life.fire().await;
    assert_eq!(life.look(&schedule).await.last.map(|last| last.due), Some(At(first + HOUR_MS)));
    assert_eq!(life.titles(account.lane).await, ["report was not begun"]);
    assert_eq!(life.look(&schedule).await.next_at, Some(At(first + 2 * HOUR_MS)));
}

#[tokio::test]
async fn where_nobody_answers_no_more_than_so_many_runs_are_open() {
    let life = live(Memory::new(), MARCH);
    let account = life.guest().await;
    life.hook(&account).await;
    let schedule = life.schedule(&account, "* * * * *", "asks").await;
    life.pass(MARCH + 2 * SCHEDULE_RUNS_MAX as u64 * MINUTE_MS).await;
    life.fire().await;
    let times = life.times(account.lane).await;
    assert_eq!(times.len(), SCHEDULE_RUNS_MAX);
    assert_eq!(life.titles(account.lane).await, ["report was not begun"]);
    eventually("it can be cancelled", async || life.engine.cancel_run(schedule.run_at(At(times[0]))).await.ok()).await;
    settle().await;
    life.pass(life.clock.now().0 + MINUTE_MS).await;
    life.fire().await;
    assert_eq!(life.times(account.lane).await.len(), SCHEDULE_RUNS_MAX + 1);
}

#[tokio::test]
async fn a_schedule_goes_with_its_hook_and_an_account_has_so_many() {
    let life = live(Memory::new(), MARCH);
    let account = life.guest().await;
    let hook = life.hook(&account).await;
    let schedule = life.schedule(&account, "0 * * * *", "asks").await;
    for _ in 1..SCHEDULES_MAX {
        life.schedule(&account, "0 0 * * *", "ends").await;
    }
    let refused = life.engine.make_schedule(&account, plan("0 * * * *", "ends")).await;
    assert_eq!(refused, Err(Refusal::SCHEDULES_TOO_MANY));
    life.engine.delete_schedule(account.lane, schedule.id).await.expect("it is deleted");
    life.pass(MARCH + HOUR_MS).await;
    life.fire().await;
    assert!(life.times(account.lane).await.is_empty());
    life.engine.change(hook, Change::Delete).await.expect("it is deleted");
    let many = async || life.engine.schedules_of(&account, None, SCHEDULES_MAX).await.expect("a list").len();
    eventually("they are gone", async || (many().await == 0).then_some(())).await;
    life.pass(MARCH + 2 * DAY_MS).await;
    assert!(life.times(account.lane).await.is_empty());
}

#[tokio::test]
async fn what_a_guest_scheduled_and_queued_is_the_users_that_it_becomes() {
    let life = live(Memory::new(), MARCH);
    let guest = life.guest().await;
    life.hook(&guest).await;
    let schedule = life.schedule(&guest, "0 * * * *", "throws").await;
    let item =
        |id| Item { id, slug: "report".into(), assignee: None, params: None, params_meta: None, created_at: At(MARCH) };
    life.engine.enqueue(guest.lane, item(7)).await.expect("it waits");
    let email = Email::parse("ada@example.com").expect("an address");
    let token = life.engine.ask_for_link(email, Some(guest.lane)).await.expect("a link").expect("a link");
    let user = life.engine.sign_in(&token, Some(&guest)).await.expect("it signs in").account;

    life.set(MARCH + HOUR_MS);
    life.fire().await;
    assert_eq!((life.times(user).await, life.times(guest.lane).await), (vec![MARCH + HOUR_MS], vec![]));
    let moved = life.engine.schedule(user, schedule.id).await.expect("it is the user's");
    assert_eq!(moved.next_at, Some(At(MARCH + 2 * HOUR_MS)));
    assert_eq!(life.engine.schedule(guest.lane, schedule.id).await, Err(Refusal::SCHEDULE_UNKNOWN));
    eventually("the user is told", async || (life.titles(user).await == ["report failed"]).then_some(())).await;
    assert_eq!(life.engine.queued(user, None, 9).await.expect("a list"), [item(7)]);
    assert_eq!(life.engine.queued(guest.lane, None, 9).await.expect("a list"), []);
}
