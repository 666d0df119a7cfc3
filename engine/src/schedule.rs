//! Begins scheduled actions when their time has come, and says what came of them.
//!
//! Which run a time begins follows from the schedule and the time (`Schedule::run_at`), so whatever ends a server between
//! the run's first commit and the schedule's, the next one finds that run there and begins none.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use rules::{
    account::{Account, Step},
    call::Json,
    inbox::Notice,
    record::{At, LaneId, Position},
    refusal::Refusal,
    row,
    run::{Begun, Brief, Run, Status},
    schedule::{
        Due, Hosted, Plan, SCHEDULE_PATIENCE_MS, SCHEDULE_RUNS_MAX, SCHEDULE_RUNS_TOO_MANY, SCHEDULES_MAX, Schedule,
    },
};
use store::{Batch, Commit, Order};
use tokio::{sync::Notify, task::JoinSet};

use crate::{
    CONFLICTS_MAX, Engine, FIRED_AT_ONCE_MAX, SCHEDULE_RETRY_MS, WORKER_RETRY_MAX_MS,
    cron::Times,
    lanes::{fault, kept},
    world::Asked,
};

/// What `ctx` says of itself in a run of this account's plan.
pub type Context = Arc<dyn Fn(&Account, &Plan) -> Json + Send + Sync>;

/// Which schedules are looked at when. All else of them is rows.
#[derive(Default)]
pub struct Schedules {
    looks: Mutex<Looks>,
    looked: Notify,
    /// The runs that they began and that are not over, each with its schedule.
    awaited: Mutex<HashMap<LaneId, LaneId>>,
    /// One is made at a time, so that no account has more than it may.
    making: tokio::sync::Mutex<()>,
}

/// One look at each: it is never later than it has to be, and one that comes too early costs a read.
#[derive(Default)]
struct Looks {
    by_time: BTreeSet<(At, LaneId)>,
    /// And since when what could not be begun is tried.
    of: HashMap<LaneId, (At, Option<At>)>,
}

impl Looks {
    fn look(&mut self, at: At, id: LaneId, since: Option<At>) {
        match self.of.get(&id) {
            Some((known, _)) if *known <= at => return,
            Some((known, _)) => drop(self.by_time.remove(&(*known, id))),
            None => {}
        }
        self.by_time.insert((at, id));
        self.of.insert(id, (at, since));
    }

    /// The next one, if its time has come.
    fn pop(&mut self, now: At) -> Option<(LaneId, Option<At>)> {
        let (at, id) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.pop_first();
        self.of.remove(&id).map(|(_, since)| (id, since))
    }
}

impl Engine {
    /// The schedules of an account, newest first, those before `before`.
    pub async fn schedules_of(
        &self,
        account: &Account,
        before: Option<LaneId>,
        schedules_max: usize,
    ) -> Result<Vec<Schedule>, Refusal> {
        self.finish_merges(account).await;
        let (from, mut to) = row::schedule_range(account.lane);
        if let Some(before) = before {
            to = row::schedule(account.lane, before);
        }
        let rows = self.world().store.rows(from, to, Order::Descending, schedules_max).await.map_err(fault)?;
        Ok(rows.iter().filter_map(|(_, bytes)| row::decode(bytes)).collect())
    }

    pub async fn schedule(&self, owner: LaneId, id: LaneId) -> Result<Schedule, Refusal> {
        let bytes = self.world().store.row(row::schedule(owner, id)).await.map_err(fault)?;
        bytes.and_then(|bytes| row::decode(&bytes)).ok_or(Refusal::SCHEDULE_UNKNOWN)
    }

    /// How the run stands that a schedule began last.
    pub async fn last_run_of(&self, schedule: &Schedule) -> Result<Option<Brief>, Refusal> {
        match schedule.last.as_ref().map(|last| &last.run) {
            Some(Ok(run)) => self.brief_of_run(schedule.owner, *run).await,
            _ => Ok(None),
        }
    }

    /// A new one, of the action that its owner calls so. `plan.hosted` is looked up.
    pub async fn make_schedule(&self, account: &Account, mut plan: Plan) -> Result<Schedule, Refusal> {
        let times = Times::parse(&plan.cron, &plan.timezone)?;
        plan.hosted = self.aim(account, &plan.slug).await?;
        let _one_at_a_time = self.schedules().making.lock().await;
        let others = self.schedules_of(account, None, SCHEDULES_MAX).await?.len();
        let at = self.now();
        let id = LaneId(self.world().request_id(at));
        let (schedule, step) = Schedule::make(id, account.lane, plan, times.after(at), others, at)?;
        kept(self.commit_schedule(id, &step).await)?;
        self.arm(&schedule);
        Ok(schedule)
    }

    pub async fn change_schedule(
        &self,
        account: &Account,
        id: LaneId,
        change: impl Fn(&mut Plan),
    ) -> Result<Schedule, Refusal> {
        for _ in 0..CONFLICTS_MAX {
            let mut schedule = self.schedule(account.lane, id).await?;
            let mut plan = schedule.plan.clone();
            change(&mut plan);
            let times = Times::parse(&plan.cron, &plan.timezone)?;
            if plan.slug != schedule.plan.slug {
                plan.hosted = self.aim(account, &plan.slug).await?;
            }
            let at = self.now();
            let step = schedule.change(plan, times.after(at), at)?;
            match self.commit_schedule(id, &step).await {
                Commit::Conflict => continue,
                commit => kept(commit)?,
            }
            self.arm(&schedule);
            return Ok(schedule);
        }
        Err(Refusal::BUSY)
    }

    pub async fn delete_schedule(&self, owner: LaneId, id: LaneId) -> Result<(), Refusal> {
        self.drop_schedule(owner, id).await?;
        let engine = self.clone();
        tokio::spawn(async move { engine.erase_deleted().await });
        Ok(())
    }

    /// The schedules of a hook are where its account is, and the hook may be elsewhere.
    pub(crate) async fn drop_schedules_anywhere(&self, hook: LaneId) -> Result<(), Refusal> {
        let (from, to) = row::planned_range(hook);
        let first = self.world().store.rows(from, to, Order::Ascending, 1).await.map_err(fault)?;
        let places = &self.world().places;
        match first.first().and_then(|(key, _)| row::lane_of(key)) {
            Some(schedule) if !places.holds(schedule) => {
                places.ask(schedule, Asked::DropSchedules { hook }).await.map(drop)
            }
            Some(_) => self.drop_schedules_of(hook).await,
            None => Ok(()),
        }
    }

    /// A hook is gone, and its actions with it.
    pub(crate) async fn drop_schedules_of(&self, hook: LaneId) -> Result<(), Refusal> {
        let (from, to) = row::planned_range(hook);
        let rows = self.world().store.rows(from, to, Order::Ascending, usize::MAX).await.map_err(fault)?;
        for id in rows.iter().filter_map(|(key, _)| row::lane_of(key)) {
            if let Some(Due { owner, .. }) = self.due(id).await? {
                self.drop_schedule(owner, id).await?;
            }
        }
        Ok(())
    }

    async fn drop_schedule(&self, owner: LaneId, id: LaneId) -> Result<(), Refusal> {
        for _ in 0..CONFLICTS_MAX {
            let mut step = self.schedule(owner, id).await?.delete(self.now());
            let (from, to) = row::awaited_range(id);
            let awaited = self.world().store.rows(from, to, Order::Ascending, usize::MAX).await.map_err(fault)?;
            step.rows.extend(awaited.into_iter().map(|(key, _)| (key, None)));
            match self.commit_schedule(id, &step).await {
                Commit::Conflict => continue,
                commit => return kept(commit),
            }
        }
        Err(Refusal::BUSY)
    }

    /// Makes one account's schedules another's.
    pub(crate) async fn give_schedules(&self, from: LaneId, to: LaneId) -> Result<(), Refusal> {
        let (first, last) = row::schedule_range(from);
        let rows = self.world().store.rows(first, last, Order::Ascending, usize::MAX).await.map_err(fault)?;
        for id in rows.iter().filter_map(|(key, _)| row::lane_of(key)) {
            for _ in 0..CONFLICTS_MAX {
                let mut schedule = self.schedule(from, id).await?;
                let step = schedule.give(to, self.now());
                match self.commit_schedule(id, &step).await {
                    Commit::Conflict => continue,
                    commit => kept(commit)?,
                }
                break;
            }
        }
        Ok(())
    }

    /// The action that its owner calls so, if it can run while nobody looks on: where it is a hook's.
    async fn aim(&self, account: &Account, slug: &str) -> Result<Option<Hosted>, Refusal> {
        let hosted = self.hosted_actions(account).await?.into_iter();
        let found = hosted.into_iter().find(|action| action.slug == slug && !action.declared.is_page);
        if let Some(action) = found {
            return Ok(Some(Hosted { hook: action.hook, declared: action.declared.slug }));
        }
        let offered = self.hosts().route(account.lane, slug).filter(|offered| !offered.route.is_page);
        match offered.ok_or(Refusal::ACTION_UNKNOWN)?.route.backgroundable {
            true => Ok(None),
            false => Err(Refusal::ACTION_NOT_BACKGROUNDABLE),
        }
    }

    /// Begins what is due, for as long as it is polled.
    pub async fn keep_schedules(&self, context: Context) {
        while let Err(refusal) = self.arm_all().await {
            tracing::error!(refusal.code, "schedules do not go on yet");
            self.world().clock.sleep(WORKER_RETRY_MAX_MS).await;
        }
        loop {
            match self.fire_due(&context).await {
                // A clock may be set: it is looked at once a minute, however far the next time is.
                Some(at) => tokio::select! {
                    () = self.world().clock.sleep(at.0.saturating_sub(self.now().0).min(60_000)) => {}
                    () = self.schedules().looked.notified() => {}
                },
                None => self.schedules().looked.notified().await,
            }
        }
    }

    /// What the end of a server left: times to come, times that passed, and runs whose end is to be told.
    pub async fn arm_all(&self) -> Result<(), Refusal> {
        let store = &self.world().store;
        let (from, to) = row::due_range();
        for (key, value) in store.rows(from, to, Order::Ascending, usize::MAX).await.map_err(fault)? {
            if let (Some(id), Some(Due { at: Some(at), .. })) = (row::lane_of(&key), row::decode(&value)) {
                self.look_at(at, id, None);
            }
        }
        let (from, to) = row::all_awaited_range();
        for (key, _) in store.rows(from, to, Order::Ascending, usize::MAX).await.map_err(fault)? {
            let Some((id, run)) = row::awaited_of(&key) else { continue };
            if let Some(Due { owner, .. }) = self.due(id).await? {
                self.await_run(owner, id, run).await?;
            }
        }
        Ok(())
    }

    /// Begins all that is due now, each once, side by side; when to look again.
    pub async fn fire_due(&self, context: &Context) -> Option<At> {
        loop {
            let now = self.now();
            let due: Vec<_> = {
                let mut looks = self.lock_looks();
                let due: Vec<_> = std::iter::from_fn(|| looks.pop(now)).take(FIRED_AT_ONCE_MAX).collect();
                if due.is_empty() {
                    return looks.by_time.first().map(|(at, _)| *at);
                }
                due
            };
            let mut firing = JoinSet::new();
            for (id, since) in due {
                let (engine, context) = (self.clone(), context.clone());
                firing.spawn(async move { engine.fire(id, since.unwrap_or(now), &context).await });
            }
            while firing.join_next().await.is_some() {}
        }
    }

    async fn fire(&self, id: LaneId, since: At, context: &Context) {
        match self.try_fire(id, since, context).await {
            Ok(Some(at)) => self.look_at(at, id, None),
            Ok(None) => {}
            Err(refusal) => {
                tracing::debug!(schedule = format!("{:032x}", id.0), refusal.code, "a schedule is tried again");
                self.look_at(At(self.now().0 + SCHEDULE_RETRY_MS), id, Some(since));
            }
        }
    }

    /// Begins what is due, and says so in the schedule. When it comes next.
    async fn try_fire(&self, id: LaneId, since: At, context: &Context) -> Result<Option<At>, Refusal> {
        for _ in 0..CONFLICTS_MAX {
            let Some(mut schedule) = self.scheduled(id).await? else { return Ok(None) };
            let now = self.now();
            let Some(due) = schedule.due(now) else { return Ok(schedule.next_at) };
            let begun = match self.begin_scheduled(&schedule, due, context).await {
                // Its program may be about to come back, a worker about to have time.
                Err(refusal) if may_pass(&refusal) && now.0 < since.0 + SCHEDULE_PATIENCE_MS => return Err(refusal),
                begun => begun,
            };
            if let Err(refusal) = &begun
                && schedule.is_first_failure()
            {
                self.tell_unbegun(&schedule, due, refusal).await?;
            }
            let next = Times::parse(&schedule.plan.cron, &schedule.plan.timezone);
            let next = next.ok().and_then(|times| times.after(Schedule::looks_behind(due, now)));
            let step = schedule.fired(due, begun.map_err(|refusal| refusal.detail.into_owned()), next, now);
            match self.commit_schedule(id, &step).await {
                Commit::Conflict => continue,
                commit => kept(commit)?,
            }
            return Ok(schedule.next_at);
        }
        Err(Refusal::BUSY)
    }

    /// Begins the run of this time, unless it was begun.
    async fn begin_scheduled(&self, schedule: &Schedule, due: At, context: &Context) -> Result<LaneId, Refusal> {
        let Schedule { id, owner, plan, .. } = schedule;
        let run = schedule.run_at(due);
        let end = Position::from_u64(i64::MAX as u64);
        if self.world().store.last(run, end).await.map_err(fault)?.is_some() {
            self.await_run(*owner, *id, run).await?;
            return Ok(run);
        }
        let (from, to) = row::awaited_range(*id);
        let open = self.world().store.rows(from, to, Order::Ascending, SCHEDULE_RUNS_MAX).await.map_err(fault)?;
        if open.len() >= SCHEDULE_RUNS_MAX {
            return Err(SCHEDULE_RUNS_TOO_MANY);
        }
        let account = self.account(*owner).await?.ok_or(Refusal::FAULT)?;
        let begun = self.begun_by(&account, plan, context(&account, plan)).await?;
        self.lock_awaited().insert(run, *id);
        let begun = self.begin_as(run, begun, vec![(row::awaited(*id, run), Some(Vec::new()))]).await;
        if begun.is_err() {
            self.lock_awaited().remove(&run);
        }
        begun
    }

    /// The action as it is now: of the version that is live, or of the program that is there.
    async fn begun_by(&self, account: &Account, plan: &Plan, context: Json) -> Result<Begun, Refusal> {
        let by = account.email().map(|email| email.as_str().to_owned());
        let Some(Hosted { hook, declared }) = &plan.hosted else {
            let offered = self.hosts().route(account.lane, &plan.slug).filter(|offered| !offered.route.is_page);
            return offered.ok_or(Refusal::ACTION_OFFLINE)?.begun(account.lane, context, by, self.now());
        };
        let mut actions = self.hosted_actions(account).await?.into_iter();
        let action = actions.find(|action| action.hook == *hook && action.declared.slug == *declared);
        let action = action.filter(|action| !action.declared.is_page).ok_or_else(|| {
            Refusal::ACTION_UNKNOWN.because(format!("The code that is published has no action {declared:?}."))
        })?;
        Ok(action.begun(account.lane, context, by, self.now()))
    }

    /// What became of a run that a schedule began, is told when it is over.
    async fn await_run(&self, owner: LaneId, schedule: LaneId, run: LaneId) -> Result<(), Refusal> {
        self.lock_awaited().insert(run, schedule);
        if let Some(brief) = self.brief_of_run(owner, run).await?.filter(|brief| brief.status.is_over()) {
            self.tell_later(owner, run, brief);
        }
        Ok(())
    }

    /// A run is over: most were begun by no schedule.
    pub(crate) fn scheduled_run_ended(&self, run: &Run) {
        if self.lock_awaited().contains_key(&run.lane) {
            self.tell_later(run.owner, run.lane, run.brief());
        }
    }

    fn tell_later(&self, owner: LaneId, run: LaneId, brief: Brief) {
        let Some(schedule) = self.lock_awaited().remove(&run) else { return };
        let engine = self.clone();
        tokio::spawn(async move {
            while let Err(refusal) = engine.tell_ended(schedule, owner, run, &brief).await {
                tracing::warn!(run = format!("{:032x}", run.0), refusal.code, "what a run came to is told later");
                engine.world().clock.sleep(WORKER_RETRY_MAX_MS).await;
            }
        });
    }

    /// Its row goes after the notice, and the notice has a key: it is told, and told once.
    async fn tell_ended(&self, schedule: LaneId, owner: LaneId, run: LaneId, brief: &Brief) -> Result<(), Refusal> {
        let Some(found) = self.scheduled(schedule).await? else { return Ok(()) };
        let name = found.plan.name.as_ref().or(brief.name.as_ref()).unwrap_or(&brief.action);
        let said = match brief.status {
            Status::Failure => {
                Some((format!("{name} failed"), brief.error.clone().unwrap_or_else(|| "It threw an error.".into())))
            }
            Status::Success | Status::Redirected if found.plan.notify_on_success => {
                Some((format!("{name} is done"), "The run that its schedule began ended well.".into()))
            }
            _ => None,
        };
        if let Some((title, message)) = said {
            self.tell(owner, Some(run), title, message, format!("schedule {:032x}", run.0)).await?;
        }
        for _ in 0..CONFLICTS_MAX {
            let Some(found) = self.scheduled(schedule).await? else { return Ok(()) };
            match self.commit_schedule(schedule, &found.told(run)).await {
                Commit::Conflict => continue,
                commit => return kept(commit),
            }
        }
        Err(Refusal::BUSY)
    }

    async fn tell_unbegun(&self, schedule: &Schedule, due: At, why: &Refusal) -> Result<(), Refusal> {
        let name = schedule.plan.name.as_ref().unwrap_or(&schedule.plan.slug);
        let key = format!("schedule {:032x} {}", schedule.id.0, due.0);
        let message = format!("{} {}", why.detail, why.hint);
        self.tell(schedule.owner, None, format!("{name} was not begun"), message, key).await
    }

    async fn tell(
        &self,
        owner: LaneId,
        run: Option<LaneId>,
        title: String,
        mut message: String,
        key: String,
    ) -> Result<(), Refusal> {
        message.truncate(message.floor_char_boundary(rules::inbox::NOTICE_MESSAGE_BYTES_MAX));
        let created_at = self.now();
        let notice = Notice {
            id: self.world().request_id(created_at),
            run: run.map(uuid),
            title: Some(title),
            message,
            deliveries: Vec::new(),
            idempotency_key: Some(key),
            created_at,
        };
        self.notify(owner, &notice).await
    }

    async fn scheduled(&self, id: LaneId) -> Result<Option<Schedule>, Refusal> {
        let Some(Due { owner, .. }) = self.due(id).await? else { return Ok(None) };
        match self.schedule(owner, id).await {
            // It was deleted in between, or became another's, whose it is found to be next.
            Err(refusal) if refusal == Refusal::SCHEDULE_UNKNOWN => match self.due(id).await? {
                Some(now) if now.owner != owner => self.schedule(now.owner, id).await.map(Some),
                _ => Ok(None),
            },
            found => found.map(Some),
        }
    }

    async fn due(&self, id: LaneId) -> Result<Option<Due>, Refusal> {
        let bytes = self.world().store.row(row::due(id)).await.map_err(fault)?;
        Ok(bytes.and_then(|bytes| row::decode(&bytes)))
    }

    async fn brief_of_run(&self, owner: LaneId, run: LaneId) -> Result<Option<Brief>, Refusal> {
        let bytes = self.world().store.row(row::run(owner, run)).await.map_err(fault)?;
        Ok(bytes.and_then(|bytes| row::decode(&bytes)))
    }

    async fn commit_schedule(&self, lane: LaneId, step: &Step<()>) -> Commit {
        let (records, rows) = (step.records.clone(), step.rows.clone());
        self.world().store.commit(Batch { lane, expect: step.expect, records, rows }).await
    }

    fn arm(&self, schedule: &Schedule) {
        if let Some(at) = schedule.next_at {
            self.look_at(at, schedule.id, None);
        }
    }

    fn look_at(&self, at: At, id: LaneId, since: Option<At>) {
        self.lock_looks().look(at, id, since);
        self.schedules().looked.notify_one();
    }

    fn lock_looks(&self) -> MutexGuard<'_, Looks> {
        self.schedules().looks.lock().expect("no thread panics while it holds this")
    }

    fn lock_awaited(&self) -> MutexGuard<'_, HashMap<LaneId, LaneId>> {
        self.schedules().awaited.lock().expect("no thread panics while it holds this")
    }
}

/// Whether the same may be begun in a moment.
fn may_pass(refusal: &Refusal) -> bool {
    refusal.status >= 500 || *refusal == Refusal::ACTION_OFFLINE
}

/// As everybody outside writes the id of a run.
pub(crate) fn uuid(run: LaneId) -> String {
    let digits = format!("{:032x}", run.0);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}
