//! Does what runs decide: has their code played, waits for what they wait for, tells who looks on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, Weak},
};

use rules::{
    call::{
        Call, Error, Failure, Json, Outcome, Program, Ran, Stop,
        run::{Kind, Move, Name, Running},
    },
    limits::{HOST_GRACE_MS, Limits},
    record::{At, LaneId, Position, Record},
    refusal::Refusal,
    row::{self, Source},
    run::{Answer, Begun, Brief, Effect, Entry, Origin, Run, Step, Wrong},
};
use store::{Batch, Commit, Order};
use tokio::sync::{Notify, broadcast, watch};

use crate::{
    Engine, FOLD_BYTES_MAX, HOST_AWAY_MS, PAGE_MAX, PLAYS_IN_VAIN_MAX, RUNS_TOLD_MAX, WORKER_RETRY_MAX_MS,
    WORKER_RETRY_MS,
    action::Hosted,
    lanes::{damage, fault},
    log::{self, Damage},
};

mod connected;
mod deed;

/// The runs that somebody has to do with now. All others are rows.
pub struct Runs {
    active: Mutex<HashMap<LaneId, Weak<Active>>>,
    /// Those that a connected host has: how their displays look is told once, and kept nowhere else.
    hosted_elsewhere: Mutex<HashMap<LaneId, Arc<Active>>>,
    /// One loads at a time, so that a run is never there twice.
    loading: tokio::sync::Mutex<()>,
    /// Whose runs began, wait or ended.
    told: broadcast::Sender<LaneId>,
    /// Which runs are looked at when: sleeps end, and what failed is tried again.
    alarms: Mutex<BTreeSet<(At, LaneId)>>,
    alarmed: Notify,
}

/// A run that is held in memory: while it works, and while somebody looks on.
pub struct Active {
    state: tokio::sync::Mutex<State>,
    changes: watch::Sender<u64>,
}

pub struct State {
    pub run: Run,
    /// How questions and displays look since a person moved in them, and since which change. Nobody keeps it.
    rendered: BTreeMap<String, (u64, Json)>,
    /// A commit was not `Done`: what is in memory is worth nothing.
    is_lost: bool,
    /// How often it changed.
    changes: u64,
    /// How often in a row no worker took it.
    in_vain: u32,
    /// It is over, and its host is told so as soon as nobody looks on.
    is_ending: bool,
    /// Its host was at work when the line to it broke: what it asks next may come of code that has ended meanwhile.
    is_doubted: bool,
}

/// What came of an answer.
#[derive(Debug)]
pub enum Answered {
    Kept,
    Wrong(Vec<Wrong>),
}

impl Default for Runs {
    fn default() -> Runs {
        Runs {
            active: Mutex::default(),
            hosted_elsewhere: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
            told: broadcast::channel(RUNS_TOLD_MAX).0,
            alarms: Mutex::default(),
            alarmed: Notify::new(),
        }
    }
}

impl State {
    /// How a question or display looks now, where that is not as it was first shown.
    pub fn rendered(&self, id: &str) -> Option<&str> {
        self.rendered.get(id).map(|(_, json)| &**json)
    }

    /// Those that look otherwise since a change.
    pub fn rendered_since(&self, change: u64) -> impl Iterator<Item = (&str, &str)> {
        self.rendered.iter().filter(move |(_, (at, _))| *at > change).map(|(id, (_, json))| (id.as_str(), &**json))
    }

    fn render(&mut self, id: String, json: Json) {
        self.rendered.insert(id, (self.changes + 1, json));
    }
}

impl Active {
    fn of(run: Run) -> Arc<Active> {
        let state = State {
            run,
            rendered: BTreeMap::new(),
            is_lost: false,
            changes: 0,
            in_vain: 0,
            is_ending: false,
            is_doubted: false,
        };
        Arc::new(Active { state: tokio::sync::Mutex::new(state), changes: watch::channel(0).0 })
    }

    /// What it is now: only what is kept.
    pub async fn state(&self) -> tokio::sync::MutexGuard<'_, State> {
        self.state.lock().await
    }

    /// Counts its changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl Engine {
    /// A new run of a hook's action.
    pub async fn begin_hosted(
        &self,
        owner: LaneId,
        action: Hosted,
        context: Json,
        by: Option<String>,
    ) -> Result<LaneId, Refusal> {
        self.begin(action.begun(owner, context, by, self.now())).await
    }

    /// A new run.
    pub async fn begin(&self, begun: Begun) -> Result<LaneId, Refusal> {
        let lane = LaneId(self.world().request_id(begun.at));
        self.begin_as(lane, begun, Vec::new()).await
    }

    /// A new run whose id its caller knows, with rows that are kept with its beginning. There must be none of this id.
    pub(crate) async fn begin_as(&self, lane: LaneId, begun: Begun, rows: Vec<row::Change>) -> Result<LaneId, Refusal> {
        let (run, mut step) = Run::begin(lane, begun);
        step.rows.extend(rows);
        let active = self.hold(lane, run);
        let engine = self.clone();
        let turn = async move {
            let mut state = active.state.lock().await;
            engine.finish(&active, &mut state, step).await
        };
        tokio::spawn(turn).await.unwrap_or(Err(Refusal::UNCERTAIN))?;
        Ok(lane)
    }

    pub async fn answer_run(
        &self,
        run: LaneId,
        key: String,
        answer: Answer,
        by: Option<String>,
        is_proven: bool,
    ) -> Result<Answered, Refusal> {
        let engine = self.clone();
        self.turn(run, move |state, at| {
            let question = state.run.asks(&key)?;
            let wrong = question.check(&answer, is_proven);
            if !wrong.is_empty() {
                return Ok((None, Answered::Wrong(wrong)));
            }
            let step = state.run.answer(&key, &question.settle(answer), by, at)?;
            if std::mem::take(&mut state.is_doubted) {
                let tail = state.run.tail();
                tokio::spawn(async move {
                    engine.world().clock.sleep(HOST_AWAY_MS + HOST_GRACE_MS).await;
                    engine.park_if_silent(run, tail).await;
                });
            }
            Ok((Some(step), Answered::Kept))
        })
        .await
    }

    /// A person moves in a question or a display.
    pub async fn state_run(&self, run: LaneId, key: String, values: Json) -> Result<(), Refusal> {
        self.turn(run, move |state, at| Ok((Some(state.run.state(&key, values, at)?), ()))).await
    }

    pub async fn cancel_run(&self, run: LaneId) -> Result<(), Refusal> {
        self.turn(run, |state, at| Ok((Some(state.run.cancel(at)?), ()))).await
    }

    pub async fn abandon_run(&self, run: LaneId) -> Result<(), Refusal> {
        self.turn(run, |state, at| Ok((Some(state.run.abandon(at)?), ()))).await
    }

    /// The runs of an account, newest first, those before `before`.
    pub async fn runs_of(
        &self,
        owner: LaneId,
        before: Option<LaneId>,
        runs_max: usize,
    ) -> Result<Vec<(LaneId, Brief)>, Refusal> {
        let (from, mut to) = row::run_range(owner);
        if let Some(before) = before {
            to = row::run(owner, before);
        }
        let rows = self.world().store.rows(from, to, Order::Descending, runs_max).await.map_err(fault)?;
        Ok(rows.iter().filter_map(|(key, value)| Some((row::lane_of(key)?, row::decode(value)?))).collect())
    }

    /// The runs of an account that are not over, newest first.
    pub async fn open_runs_of(
        &self,
        owner: LaneId,
        before: Option<LaneId>,
        runs_max: usize,
    ) -> Result<Vec<(LaneId, Brief)>, Refusal> {
        let (from, mut to) = row::open_run_range(owner);
        if let Some(before) = before {
            to = row::open_run(owner, before);
        }
        let store = &self.world().store;
        let mut found = Vec::new();
        for (key, _) in store.rows(from, to, Order::Descending, runs_max).await.map_err(fault)? {
            let Some(run) = row::lane_of(&key) else { continue };
            let bytes = store.row(row::run(owner, run)).await.map_err(fault)?;
            found.extend(bytes.and_then(|bytes| row::decode(&bytes)).map(|brief| (run, brief)));
        }
        Ok(found)
    }

    /// Makes one account's runs another's.
    pub(crate) async fn give_runs(&self, from: LaneId, to: LaneId) -> Result<(), Refusal> {
        loop {
            let runs = self.runs_of(from, None, PAGE_MAX).await?;
            for (run, _) in &runs {
                self.turn(*run, move |state, at| Ok((Some(state.run.give(from, to, at)), ()))).await?;
            }
            if runs.len() < PAGE_MAX {
                return Ok(());
            }
        }
    }

    /// Whose runs began, wait or ended, as it happens.
    pub fn runs_told(&self) -> broadcast::Receiver<LaneId> {
        self.runs().told.subscribe()
    }

    /// A run, held in memory for as long as this is held.
    pub async fn run(&self, lane: LaneId) -> Result<Arc<Active>, Refusal> {
        if let Some(active) = self.active(lane) {
            return Ok(active);
        }
        let _loading = self.runs().loading.lock().await;
        if let Some(active) = self.active(lane) {
            return Ok(active);
        }
        let mut run = load(self, lane).await.map_err(damage)?.ok_or(Refusal::RUN_UNKNOWN)?;
        let was_busy = self.world().store.row(row::busy_run(lane)).await.map_err(fault)?.is_some();
        let effects = run.resume(was_busy);
        let active = self.hold(lane, run);
        self.act_on(&active, effects);
        Ok(active)
    }

    /// Goes on with what the end of a server interrupted, and wakes what slept.
    pub async fn resume_runs(&self) {
        while let Err(refusal) = self.resume_all().await {
            tracing::error!(refusal.code, "runs do not go on yet");
            self.world().clock.sleep(WORKER_RETRY_MAX_MS).await;
        }
    }

    async fn resume_all(&self) -> Result<(), Refusal> {
        let store = self.world().store.clone();
        let (from, to) = row::run_wakes_range();
        for (key, value) in store.rows(from, to, Order::Ascending, usize::MAX).await.map_err(fault)? {
            if let (Some(run), Some(at)) = (row::lane_of(&key), row::decode(&value)) {
                self.wake_at(at, run);
            }
        }
        let (from, to) = row::busy_run_range();
        for (key, _) in store.rows(from, to, Order::Ascending, usize::MAX).await.map_err(fault)? {
            let Some(run) = row::lane_of(&key) else { continue };
            if let Err(refusal) = self.run(run).await {
                tracing::warn!(run = format!("{:032x}", run.0), refusal.code, "a run does not go on");
                if refusal.status >= 500 {
                    self.wake_later(run);
                }
            }
        }
        Ok(())
    }

    /// Wakes runs when their time has come, for as long as it is polled.
    pub async fn keep_alarms(&self) {
        loop {
            let next = self.lock_alarms().first().map(|(at, _)| *at);
            let now = self.now();
            match next {
                Some(at) if at <= now => {
                    let Some((_, run)) = self.lock_alarms().pop_first() else { continue };
                    if let Err(refusal) = self.wake_run(run).await {
                        tracing::warn!(run = format!("{:032x}", run.0), refusal.code, "a run does not wake");
                    }
                }
                // A clock may be set: it is looked at once a minute, however far the next alarm is.
                Some(at) => {
                    let wait = self.world().clock.sleep((at.0 - now.0).min(60_000));
                    tokio::select! {
                        () = wait => {}
                        () = self.runs().alarmed.notified() => {}
                    }
                }
                None => self.runs().alarmed.notified().await,
            }
        }
    }

    /// Loads a run, so that what was under way goes on, and ends those of its sleeps that are over.
    async fn wake_run(&self, run: LaneId) -> Result<(), Refusal> {
        let loaded = self.run(run).await;
        let active = loaded.inspect_err(|refusal| {
            if refusal.status >= 500 {
                self.wake_later(run);
            }
        })?;
        let turn = self.turn_of(active, move |state, now| {
            let mut all: Option<Step> = None;
            for id in state.run.sleeps_until(now) {
                let step = state.run.returned(&id, Ok("null".into()), now);
                match &mut all {
                    None => all = Some(step),
                    Some(all) => all.follow(step),
                }
            }
            Ok((all, state.run.wakes_at()))
        });
        if let Some(at) = turn.await? {
            self.wake_at(at, run);
        }
        Ok(())
    }

    /// Nobody may come to look at a run whose commit or load failed: it is loaded anew all the same.
    fn wake_later(&self, run: LaneId) {
        self.wake_at(At(self.now().0 + WORKER_RETRY_MAX_MS), run);
    }

    fn wake_at(&self, at: At, run: LaneId) {
        self.lock_alarms().insert((at, run));
        self.runs().alarmed.notify_one();
    }

    fn lock_alarms(&self) -> std::sync::MutexGuard<'_, BTreeSet<(At, LaneId)>> {
        self.runs().alarms.lock().expect("no thread panics while it holds this")
    }

    /// Decides, commits and acts; whoever asked may go away meanwhile.
    async fn turn<T, F>(&self, lane: LaneId, decide: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut State, At) -> Result<(Option<Step>, T), Refusal> + Send + 'static,
    {
        let active = self.run(lane).await?;
        self.turn_of(active, decide).await
    }

    pub(crate) async fn turn_of<T, F>(&self, active: Arc<Active>, decide: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut State, At) -> Result<(Option<Step>, T), Refusal> + Send + 'static,
    {
        let engine = self.clone();
        let turn = async move {
            let mut state = active.state.lock().await;
            if state.is_lost {
                return Err(Refusal::UNCERTAIN);
            }
            let (step, value) = decide(&mut state, engine.now())?;
            if let Some(step) = step {
                engine.finish(&active, &mut state, step).await?;
            }
            Ok(value)
        };
        tokio::spawn(turn).await.unwrap_or(Err(Refusal::UNCERTAIN))
    }

    /// Keeps what was decided, and then does it.
    async fn finish(&self, active: &Arc<Active>, state: &mut State, step: Step) -> Result<(), Refusal> {
        let Step { expect, records, rows, effects } = step;
        let lane = state.run.lane;
        if !records.is_empty() || !rows.is_empty() {
            let is_listed = !rows.is_empty();
            let commit = self.world().store.commit(Batch { lane, expect, records, rows }).await;
            if commit != Commit::Done {
                tracing::error!(run = format!("{:032x}", lane.0), ?commit, "a run's commit failed; it is loaded anew");
                state.is_lost = true;
                self.lock_active().remove(&lane);
                self.wake_later(lane);
                return Err(if commit == Commit::Full { Refusal::FULL } else { Refusal::UNCERTAIN });
            }
            if is_listed {
                let _ = self.runs().told.send(state.run.owner);
            }
        }
        self.act_on(active, effects);
        if let Some(at) = state.run.wakes_at() {
            self.wake_at(at, lane);
        }
        state.changes += 1;
        active.changes.send_replace(state.changes);
        if state.run.ended.is_some() {
            self.scheduled_run_ended(&state.run);
        }
        if !state.is_ending && state.run.close().is_some() {
            state.is_ending = true;
            let (engine, active) = (self.clone(), active.clone());
            tokio::spawn(async move { engine.leave_run(active).await });
        }
        Ok(())
    }

    fn act_on(&self, active: &Arc<Active>, effects: Vec<Effect>) {
        for effect in effects {
            let (engine, active) = (self.clone(), active.clone());
            match effect {
                Effect::Play => drop(tokio::spawn(async move { engine.play(active).await })),
                Effect::Do { id, kind, payload } => {
                    drop(tokio::spawn(async move { engine.do_deed(active, id, kind, payload).await }));
                }
                Effect::Start { transaction } => {
                    drop(tokio::spawn(async move { engine.start(active, transaction).await }))
                }
                Effect::Answer { transaction, key, id, response } => {
                    drop(tokio::spawn(async move { engine.pass_on(active, transaction, key, id, response).await }));
                }
                Effect::Close { transaction } => {
                    drop(tokio::spawn(async move { engine.close(active, transaction).await }));
                }
            }
        }
    }

    /// Has a worker play the journal, and hands in what came of it.
    async fn play(&self, active: Arc<Active>) {
        let (origin, in_vain, notes, running) = {
            let state = active.state.lock().await;
            let run = &state.run;
            let running = Running {
                action: run.begun.declared.clone(),
                context: run.begun.context.clone(),
                secrets: "{}".into(),
                run: run.lane.0,
                began_at_ms: run.begun.at.0,
                journal: run.to_play(),
            };
            (run.begun.origin, state.in_vain, run.journal().len(), running)
        };
        let outcome = match origin {
            Origin::Hosted { hook, version } => self.played(hook, version, running, in_vain < PLAYS_IN_VAIN_MAX).await,
            Origin::Host { .. } => return,
        };
        let again = match outcome {
            Ok(ran) => {
                let turn = self.turn_of(active.clone(), move |state, at| {
                    state.in_vain = 0;
                    let Ran { mut result, console } = ran;
                    for (id, json) in result.iter_mut().flat_map(|stand| std::mem::take(&mut stand.rendered)) {
                        state.render(id, json);
                    }
                    Ok((Some(state.run.played(notes, result, console, at)), ()))
                });
                return drop(turn.await);
            }
            Err(why) => why,
        };
        let in_vain = {
            let mut state = active.state.lock().await;
            state.in_vain += 1;
            tracing::warn!(run = format!("{:032x}", state.run.lane.0), why = again, "a run is played again");
            state.in_vain
        };
        self.world().clock.sleep(WORKER_RETRY_MAX_MS.min(WORKER_RETRY_MS << in_vain.min(16))).await;
        let _ = self.turn_of(active, |state, _| Ok((Some(state.run.not_played()), ()))).await;
    }

    /// What a worker made of it; why none did, or not yet.
    async fn played(
        &self,
        hook: LaneId,
        version: u32,
        mut running: Running,
        is_patient: bool,
    ) -> Result<Ran<rules::call::run::Stand>, String> {
        let failed = |name: &str, message: &str| {
            let failure = Failure { error: Error::plain(name, message), stop: None };
            Ok(Ran { result: Err(failure), console: Vec::new() })
        };
        let store = &self.world().store;
        let source = store.row(row::source(hook, version)).await.map_err(|fault| fault.to_string())?;
        let config = store.row(row::hook(hook)).await.map_err(|fault| fault.to_string())?;
        let source = source.and_then(|bytes| row::decode::<Source>(&bytes));
        let config = config.and_then(|bytes| row::decode::<rules::hook::Config>(&bytes));
        let (Some(Source { source, .. }), Some(config)) = (source, config) else {
            return failed("HookDeleted", "The hook whose action this is was deleted.");
        };
        let secrets = self.world().vault.open(hook, &config.secrets);
        running.secrets = secrets.json();
        let call = Call::Run(Arc::new(running));
        match self.world().worker.call(&Arc::new(Program::new(source)), call, Limits::of_run()).await {
            Outcome::Ran(mut ran) => {
                // The machine may have been slow, and not the code: that is not its last word at once.
                if let Err(Failure { stop: Some(stop @ (Stop::Crash | Stop::Clock)), .. }) = &ran.result
                    && is_patient
                {
                    return Err(format!("it was stopped: {stop:?}"));
                }
                secrets.redact_run(&mut ran);
                for one in ran.result.iter_mut().flat_map(|stand| &mut stand.moves) {
                    if let Move::Called { name: Name { kind: Kind::Fetch | Kind::Send | Kind::Function, .. }, payload } =
                        one
                        && !secrets.is_empty()
                    {
                        *payload = self.sealed(hook, payload);
                    }
                }
                Ok(ran)
            }
            Outcome::Unrunnable(error) => Ok(Ran { result: Err(Failure { error, stop: None }), console: Vec::new() }),
            Outcome::Unavailable(why) => Err(why),
            _ => Err("a worker answered something else".into()),
        }
    }

    /// A page that somebody looks at: a run that nobody keeps, or finds. It plays until it is cancelled.
    pub(crate) fn look(&self, begun: Begun) -> Arc<Active> {
        let (run, step) = Run::look(LaneId(self.world().request_id(begun.at)), begun);
        let active = Active::of(run);
        self.act_on(&active, step.effects);
        active
    }

    fn hold(&self, lane: LaneId, run: Run) -> Arc<Active> {
        let active = Active::of(run);
        let mut all = self.lock_active();
        // Those that nobody holds any more are forgotten when there are as many as others.
        if all.len() >= 64 && all.len().is_power_of_two() {
            all.retain(|_, active| active.strong_count() > 0);
        }
        all.insert(lane, Arc::downgrade(&active));
        active
    }

    fn active(&self, lane: LaneId) -> Option<Arc<Active>> {
        self.lock_active().get(&lane).and_then(Weak::upgrade)
    }

    fn lock_active(&self) -> std::sync::MutexGuard<'_, HashMap<LaneId, Weak<Active>>> {
        self.runs().active.lock().expect("no thread panics while it holds this")
    }
}

/// A run from its log; `None` when there is none.
async fn load(engine: &Engine, lane: LaneId) -> Result<Option<Run>, Damage> {
    let store = &*engine.world().store;
    let (mut position, mut hash) = (Position::START, rules::record::Hash::NONE);
    let mut entries: Vec<(Entry, Record)> = Vec::new();
    loop {
        let extent = store::Extent { records_max: 1024, bytes_max: FOLD_BYTES_MAX };
        let page = log::records(store, lane, position, hash, extent).await?;
        let Some(last) = page.last() else { break };
        (position, hash) = (last.position, last.hash);
        for record in page {
            match Entry::decode(&record.body) {
                Some(entry) => entries.push((entry, record)),
                // A lane that is no run's.
                None if entries.is_empty() => return Ok(None),
                None => return Err(Damage::Unknown(record.position.seq())),
            }
        }
    }
    Ok(Run::load(lane, entries))
}
