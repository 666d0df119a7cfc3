//! Hands jobs to workers and keeps what comes of them: one lane for an account.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use rules::{
    call::{Call, Json, Line, Outcome as Called, Program},
    job::{
        Adopted, Brief, Effect, End, JOB_LEASE_MS, JobId, Jobs, Kind, Outcome, Part, Progress, Said, Status, Step,
        Task, Worker, WorkerId,
    },
    limits::Limits,
    record::{At, Journal, LaneId},
    refusal::Refusal,
    row,
};
use store::{Batch, Commit, Order};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{
    Engine, JOB_ASKED_MAX, JOB_LINE_MAX, JOB_SERVER_THREADS, JOB_TASKS_CACHED_MAX, JOBS_TOLD_MAX, LANE_IDLE_MS,
    PAGE_MAX, TURN_INPUTS_MAX, WORKER_RETRY_MAX_MS, WORKER_RETRY_MS,
    lanes::{fault, kept},
};

mod here;

/// What the server's own pool is called among the workers.
const SERVER_NAME: &str = "server";
/// Fences of this life of the server are larger than those of all before: it has handed out fewer in a millisecond.
const FENCES_PER_MS: u64 = 1_000;

/// The accounts whose jobs are held in memory.
#[derive(Default)]
pub struct Queues {
    awake: Mutex<HashMap<LaneId, Queue>>,
    /// One loads at a time, so that none is there twice.
    loading: tokio::sync::Mutex<()>,
}

/// An account's jobs, held in memory: while some are open, somebody works, or somebody looks on.
#[derive(Clone)]
struct Queue {
    asked: mpsc::Sender<Asked>,
    state: Arc<tokio::sync::Mutex<State>>,
    told: broadcast::Sender<JobId>,
}

struct State {
    jobs: Jobs,
    /// Of the workers that are connected.
    lines: HashMap<WorkerId, mpsc::Sender<ToWorker>>,
    server: WorkerId,
    /// Of jobs that are open, those that were handed out lately.
    tasks: HashMap<JobId, (Arc<Task>, Arc<Program>)>,
}

/// One input of the lane, and who waits for what comes of it.
type Asked = Box<dyn FnOnce(&mut State, At, &mut Step) -> Reply + Send>;
type Reply = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

/// What a worker is told.
#[derive(Clone, Debug)]
pub enum ToWorker {
    Job {
        part: Part,
        fence: u64,
        task: Arc<Task>,
        timeout_ms: u64,
    },
    Cancel {
        part: Part,
    },
    /// What it said of a part does not count.
    Refused {
        part: Part,
        fence: u64,
        refusal: Refusal,
    },
}

/// A worker that is connected. Dropped, it is gone.
pub struct Hand {
    engine: Engine,
    account: LaneId,
    pub id: WorkerId,
    line: mpsc::Sender<ToWorker>,
}

/// A job as it stands.
#[derive(Clone, Debug)]
pub struct Seen {
    pub id: JobId,
    pub brief: Brief,
    pub progress: Option<Progress>,
    /// What it said so far, of those parts that are not over.
    pub console: Vec<Line>,
}

impl Engine {
    /// Goes on with what the end of a server interrupted.
    pub async fn resume_jobs(&self) {
        let (from, to) = row::all_open_jobs_range();
        let rows = loop {
            match self.world().store.rows(from.clone(), to.clone(), Order::Ascending, usize::MAX).await {
                Ok(rows) => break rows,
                Err(fault) => tracing::error!(%fault, "jobs do not go on yet"),
            }
            self.world().clock.sleep(WORKER_RETRY_MAX_MS).await;
        };
        let accounts: BTreeSet<LaneId> = rows.iter().filter_map(|(key, _)| Some(row::open_job_of(key)?.0)).collect();
        drop(rows);
        for account in accounts {
            while let Err(refusal) = self.jobs_of(account).await {
                tracing::error!(account = format!("{:032x}", account.0), refusal.code, "jobs do not go on yet");
                self.world().clock.sleep(WORKER_RETRY_MAX_MS).await;
            }
        }
    }

    /// Whether a script can be run at all; why not, with its place.
    pub async fn check_script(&self, code: &Arc<str>) -> Result<(), Refusal> {
        let program = Arc::new(Program::script(code.clone()));
        match self.world().scripts.call(&program, Call::Describe, Limits::default()).await {
            Called::Described(_) => Ok(()),
            Called::Unrunnable(error) => Err(Refusal::of_source(&error)),
            Called::Unavailable(why) => {
                Err(Refusal::UNAVAILABLE.because(format!("No worker could read the code: {why}.")))
            }
            _ => Err(Refusal::FAULT),
        }
    }

    pub async fn submit_job(&self, account: LaneId, brief: Brief, task: Task) -> Result<JobId, Refusal> {
        let id = self.world().request_id(brief.created_at);
        self.ask_jobs(account, move |state, _, step| state.jobs.submit(id, brief, task, step)).await?;
        Ok(id)
    }

    /// The job of this id, submitted now unless it was before, when it is over.
    pub async fn job_done(&self, account: LaneId, id: JobId, brief: Brief, task: Task) -> Result<Seen, Refusal> {
        let mut told = self.jobs_told(account).await?;
        if self.brief_of(account, id).await?.is_none() {
            self.ask_jobs(account, move |state, _, step| state.jobs.submit(id, brief, task, step)).await?;
        }
        self.job_over(account, id, &mut told).await
    }

    /// Moves the jobs of a guest to the user that it became: taken there first, and only then let go of here.
    pub(crate) async fn give_jobs(&self, from: LaneId, to: LaneId) -> Result<(), Refusal> {
        loop {
            let jobs = self.jobs(from, None, PAGE_MAX).await?;
            if jobs.is_empty() {
                return Ok(());
            }
            for Seen { id, .. } in jobs {
                self.give_job(id, from, to).await?;
            }
        }
    }

    async fn give_job(&self, id: JobId, from: LaneId, to: LaneId) -> Result<(), Refusal> {
        // Taken before a crash, and not let go of: what it came to there since is not written over.
        let is_known = self.brief_of(to, id).await?.is_some();
        let over = self.give_parts(id, from, (!is_known).then_some(to)).await?;
        // As it is kept: what is leased is queued.
        let (brief, task) = (self.brief_of(from, id).await?, self.task(from, id).await?);
        if let (Some(brief), Some(task)) = (brief, task) {
            // A part has ended meanwhile: it is moved the next time.
            if !is_known && brief.over as usize != over.len() {
                return Err(Refusal::BUSY);
            }
            let adopted = Adopted { from, brief, task, over: over.clone() };
            self.ask_jobs(to, move |state, at, step| state.jobs.adopt(id, is_known, adopted, at, step)).await?;
        }
        let let_go = move |state: &mut State, at: At, step: &mut Step| {
            state.jobs.give(id, to, over, at, step);
            Ok(())
        };
        self.ask_jobs(from, let_go).await
    }

    /// Which parts of a job are over; `to`, where it is named, has them then, too.
    async fn give_parts(&self, id: JobId, from: LaneId, to: Option<LaneId>) -> Result<BTreeSet<u32>, Refusal> {
        let (mut first, last) = row::part_range(from, id);
        let mut over = BTreeSet::new();
        loop {
            let page = self.world().store.rows(first, last.clone(), Order::Ascending, PAGE_MAX).await.map_err(fault)?;
            let Some((mut next, _)) = page.last().cloned() else { return Ok(over) };
            next.push(0);
            first = next;
            let outcome = |(key, bytes): &(Vec<u8>, Vec<u8>)| Some((row::index_of(key)?, row::decode(bytes)?));
            let outcomes: Vec<(u32, Outcome)> = page.iter().filter_map(outcome).collect();
            over.extend(outcomes.iter().map(|(index, _)| *index));
            let Some(to) = to else { continue };
            let take = move |state: &mut State, at: At, step: &mut Step| {
                state.jobs.adopt_parts(id, from, outcomes, at, step);
                Ok(())
            };
            self.ask_jobs(to, take).await?;
        }
    }

    /// A job when it is over. `told` was asked for before.
    pub async fn job_over(
        &self,
        account: LaneId,
        id: JobId,
        told: &mut broadcast::Receiver<JobId>,
    ) -> Result<Seen, Refusal> {
        loop {
            let seen = self.job(account, id).await?;
            if seen.brief.status.is_over() {
                return Ok(seen);
            }
            loop {
                match told.recv().await {
                    Ok(changed) if changed != id => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => break,
                    Err(broadcast::error::RecvError::Closed) => *told = self.jobs_told(account).await?,
                }
            }
        }
    }

    /// A job that was done where its submitter was, while the server was away. Delivered twice, it is kept once.
    pub async fn deliver_job(
        &self,
        account: LaneId,
        id: JobId,
        brief: Brief,
        task: Task,
        outcome: Outcome,
    ) -> Result<(), Refusal> {
        // It may be kept between these two: then the lane has it open no more, and a commit is nobody's loss.
        let known = self.brief_of(account, id).await?;
        self.ask_jobs(account, move |state, _, step| {
            state.jobs.deliver(id, known.as_ref(), brief, task, outcome, step);
            Ok(())
        })
        .await
    }

    pub async fn cancel_job(&self, account: LaneId, id: JobId) -> Result<(), Refusal> {
        self.brief_of(account, id).await?.ok_or(Refusal::JOB_UNKNOWN)?;
        self.ask_jobs(account, move |state, at, step| state.jobs.cancel(id, at, step)).await
    }

    pub async fn job(&self, account: LaneId, id: JobId) -> Result<Seen, Refusal> {
        if let Some(queue) = self.awake_queue(account) {
            let state = queue.state.lock().await;
            if let Some(brief) = state.jobs.brief(id) {
                return Ok(state.seen(id, brief));
            }
        }
        let brief = self.brief_of(account, id).await?.ok_or(Refusal::JOB_UNKNOWN)?;
        Ok(Seen { id, brief, progress: None, console: Vec::new() })
    }

    /// What came of its parts so far, in order.
    pub async fn outcomes(&self, account: LaneId, id: JobId) -> Result<Vec<(u32, Outcome)>, Refusal> {
        let (from, to) = row::part_range(account, id);
        let rows = self.world().store.rows(from, to, Order::Ascending, usize::MAX).await.map_err(fault)?;
        Ok(rows.iter().filter_map(|(key, bytes)| Some((row::index_of(key)?, row::decode(bytes)?))).collect())
    }

    pub async fn task(&self, account: LaneId, id: JobId) -> Result<Option<Task>, Refusal> {
        let bytes = self.world().store.row(row::task(account, id)).await.map_err(fault)?;
        Ok(bytes.and_then(|bytes| row::decode(&bytes)))
    }

    /// Newest first, those before `before`.
    pub async fn jobs(&self, account: LaneId, before: Option<JobId>, jobs_max: usize) -> Result<Vec<Seen>, Refusal> {
        let (from, mut to) = row::job_range(account);
        if let Some(before) = before {
            to = row::job(account, before);
        }
        let rows = self.world().store.rows(from, to, Order::Descending, jobs_max).await.map_err(fault)?;
        let state = self.awake_queue(account);
        let state = match &state {
            Some(queue) => Some(queue.state.lock().await),
            None => None,
        };
        let seen = |(key, bytes): &(Vec<u8>, Vec<u8>)| {
            let (id, kept) = (row::lane_of(key)?.0, row::decode(bytes)?);
            Some(match state.as_ref().and_then(|state| Some((state, state.jobs.brief(id)?))) {
                Some((state, brief)) => state.seen(id, brief),
                None => Seen { id, brief: kept, progress: None, console: Vec::new() },
            })
        };
        Ok(rows.iter().filter_map(seen).collect())
    }

    pub async fn workers(&self, account: LaneId) -> Result<Vec<Worker>, Refusal> {
        let queue = self.jobs_of(account).await?;
        let workers = queue.state.lock().await.jobs.workers().to_vec();
        Ok(workers)
    }

    /// Which of an account's jobs change, as they do.
    pub async fn jobs_told(&self, account: LaneId) -> Result<broadcast::Receiver<JobId>, Refusal> {
        Ok(self.jobs_of(account).await?.told.subscribe())
    }

    /// Lets a worker in.
    pub async fn hire(
        &self,
        account: LaneId,
        kind: Kind,
        name: String,
        user_agent: Option<String>,
        threads: u32,
    ) -> Result<(Hand, mpsc::Receiver<ToWorker>), Refusal> {
        let id = WorkerId(self.world().entropy.draw());
        let (line, told) = mpsc::channel(JOB_LINE_MAX);
        let hand = Hand { engine: self.clone(), account, id, line: line.clone() };
        self.ask_jobs(account, move |state, at, _| {
            state.jobs.come(Worker { user_agent, ..Worker::new(id, kind, name, threads, at) })?;
            state.lines.insert(id, line);
            Ok(())
        })
        .await?;
        Ok((hand, told))
    }

    async fn brief_of(&self, account: LaneId, id: JobId) -> Result<Option<Brief>, Refusal> {
        let bytes = self.world().store.row(row::job(account, id)).await.map_err(fault)?;
        Ok(bytes.and_then(|bytes| row::decode(&bytes)))
    }

    /// Sends an input to the lane and waits for what comes of it.
    async fn ask_jobs<T, F>(&self, account: LaneId, decide: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut State, At, &mut Step) -> Result<T, Refusal> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        self.tell_jobs(account, move |state, at, step| {
            let decided = decide(state, at, step);
            Box::new(move |kept| drop(sender.send(kept.and(decided))))
        })
        .await?;
        answer.await.unwrap_or(Err(Refusal::UNCERTAIN))
    }

    async fn tell_jobs<F>(&self, account: LaneId, decide: F) -> Result<(), Refusal>
    where
        F: FnOnce(&mut State, At, &mut Step) -> Reply + Send + 'static,
    {
        let mut asked: Asked = Box::new(decide);
        loop {
            match self.jobs_of(account).await?.asked.send(asked).await {
                Ok(()) => return Ok(()),
                // It went to sleep between.
                Err(mpsc::error::SendError(back)) => asked = back,
            }
            tokio::task::yield_now().await;
        }
    }

    /// The queue of an account, awake.
    async fn jobs_of(&self, account: LaneId) -> Result<Queue, Refusal> {
        if let Some(queue) = self.awake_queue(account) {
            return Ok(queue);
        }
        let _loading = self.queues().loading.lock().await;
        if let Some(queue) = self.awake_queue(account) {
            return Ok(queue);
        }
        let (asked, inbox) = mpsc::channel(JOB_ASKED_MAX);
        let state = Arc::new(tokio::sync::Mutex::new(self.load_jobs(account).await?));
        let queue = Queue { asked, state, told: broadcast::channel(JOBS_TOLD_MAX).0 };
        self.lock_queues().insert(account, queue.clone());
        let engine = self.clone();
        let kept = (queue.state.clone(), queue.told.clone());
        tokio::spawn(async move { engine.keep_jobs(account, inbox, kept.0, kept.1).await });
        Ok(queue)
    }

    fn awake_queue(&self, account: LaneId) -> Option<Queue> {
        self.lock_queues().get(&account).filter(|queue| !queue.asked.is_closed()).cloned()
    }

    fn lock_queues(&self) -> MutexGuard<'_, HashMap<LaneId, Queue>> {
        self.queues().awake.lock().expect("no thread panics while it holds this")
    }

    async fn load_jobs(&self, account: LaneId) -> Result<State, Refusal> {
        let store = &self.world().store;
        let journal = store.row(row::jobs(account)).await.map_err(fault)?;
        let journal = journal.and_then(|bytes| row::decode(&bytes)).unwrap_or(Journal::EMPTY);
        let at = self.now();
        let mut jobs = Jobs::new(account, journal, at.0 * FENCES_PER_MS);
        let (from, to) = row::open_job_range(account);
        for (key, bytes) in store.rows(from, to, Order::Ascending, usize::MAX).await.map_err(fault)? {
            let (Some((_, id)), Some(brief)) = (row::open_job_of(&key), row::decode::<Brief>(&bytes)) else { continue };
            let over = if brief.over > 0 { self.over_parts(account, id).await? } else { BTreeSet::new() };
            jobs.load(id, brief, over);
        }
        let server = WorkerId(self.world().entropy.draw());
        jobs.come(Worker::new(server, Kind::Server, SERVER_NAME.into(), JOB_SERVER_THREADS, at))?;
        Ok(State { jobs, lines: HashMap::new(), server, tasks: HashMap::new() })
    }

    async fn over_parts(&self, account: LaneId, id: JobId) -> Result<BTreeSet<u32>, Refusal> {
        let (mut from, to) = row::part_range(account, id);
        let mut over = BTreeSet::new();
        loop {
            let page = self.world().store.rows(from, to.clone(), Order::Ascending, PAGE_MAX).await.map_err(fault)?;
            over.extend(page.iter().filter_map(|(key, _)| row::index_of(key)));
            match page.into_iter().next_back() {
                Some((mut last, _)) => {
                    last.push(0);
                    from = last;
                }
                None => return Ok(over),
            }
        }
    }

    /// The lane: takes what is asked, decides all of it, commits once, acts. Ends when there is nothing to do for long.
    async fn keep_jobs(
        &self,
        account: LaneId,
        mut inbox: mpsc::Receiver<Asked>,
        state: Arc<tokio::sync::Mutex<State>>,
        told: broadcast::Sender<JobId>,
    ) {
        // What was left by an earlier life is handed out first.
        let mut asked: Vec<Asked> = Vec::new();
        loop {
            let next_tick = self.turn_jobs(account, &state, &told, &mut asked).await;
            let wait_ms = next_tick.map_or(LANE_IDLE_MS, |at| at.0.saturating_sub(self.now().0).min(JOB_LEASE_MS));
            let taken = tokio::select! {
                taken = inbox.recv_many(&mut asked, TURN_INPUTS_MAX) => taken,
                () = self.world().clock.sleep(wait_ms.max(1)) => {
                    let is_idle = state.lock().await.jobs.is_idle() && told.receiver_count() == 0;
                    if next_tick.is_none() && is_idle {
                        inbox.close();
                    }
                    continue;
                }
            };
            if taken == 0 {
                let mut awake = self.lock_queues();
                // Somebody may have woken it anew meanwhile.
                if awake.get(&account).is_some_and(|queue| queue.asked.is_closed()) {
                    awake.remove(&account);
                }
                return;
            }
        }
    }

    async fn turn_jobs(
        &self,
        account: LaneId,
        state: &Arc<tokio::sync::Mutex<State>>,
        told: &broadcast::Sender<JobId>,
        asked: &mut Vec<Asked>,
    ) -> Option<At> {
        let mut held = state.lock().await;
        let at = self.now();
        let mut step = held.jobs.step();
        let replies: Vec<Reply> = asked.drain(..).map(|decide| decide(&mut held, at, &mut step)).collect();
        held.jobs.tick(at, &mut step);
        held.jobs.dispatch(at, &mut step);
        held.jobs.settle(&mut step);
        let Step { expect, records, rows, effects, submitted, .. } = step;
        // A lease is no record, so what was kept before is handed out while the rest is being kept.
        let is_ready = |effect: &Effect| matches!(effect, Effect::Give { part, .. } if !submitted.contains(&part.job));
        let (ready, effects) = effects.into_iter().partition(is_ready);
        self.act_on_jobs(account, &mut held, told, ready).await;
        let mut result = Ok(());
        if !records.is_empty() {
            let commit = self.world().store.commit(Batch { lane: Jobs::lane(account), expect, records, rows }).await;
            if commit != Commit::Done {
                tracing::error!(account = format!("{:032x}", account.0), ?commit, "jobs are loaded anew");
                result = kept(commit);
                // Workers come back by themselves, and are given anew what they had.
                *held = self.loaded_jobs(account).await;
            }
        }
        if result.is_ok() {
            self.act_on_jobs(account, &mut held, told, effects).await;
        }
        for reply in replies {
            reply(result.clone());
        }
        // What was loaded anew waits to be handed out, though nobody may ask for anything.
        if result.is_err() { Some(At(at.0 + WORKER_RETRY_MS)) } else { held.jobs.next_tick() }
    }

    /// As often as it takes.
    async fn loaded_jobs(&self, account: LaneId) -> State {
        loop {
            match self.load_jobs(account).await {
                Ok(state) => return state,
                Err(refusal) => tracing::error!(refusal.code, "jobs cannot be loaded yet"),
            }
            self.world().clock.sleep(WORKER_RETRY_MS).await;
        }
    }

    async fn act_on_jobs(
        &self,
        account: LaneId,
        state: &mut State,
        told: &broadcast::Sender<JobId>,
        effects: Vec<Effect>,
    ) {
        let mut changed = BTreeSet::new();
        for effect in effects {
            match effect {
                Effect::Give { worker, part, fence } => self.give(account, state, worker, part, fence).await,
                Effect::Take { worker, part } => state.say(worker, ToWorker::Cancel { part }),
                Effect::Changed(id) => drop(changed.insert(id)),
            }
        }
        for id in changed {
            if state.jobs.brief(id).is_none() {
                state.tasks.remove(&id);
            }
            let _ = told.send(id);
        }
    }

    async fn give(&self, account: LaneId, state: &mut State, worker: WorkerId, part: Part, fence: u64) {
        let Some(brief) = state.jobs.brief(part.job) else { return };
        let (task, program) = match state.tasks.get(&part.job) {
            Some(known) => known.clone(),
            None => match self.task(account, part.job).await {
                Ok(Some(task)) => {
                    if state.tasks.len() >= JOB_TASKS_CACHED_MAX {
                        state.tasks.clear();
                    }
                    let program = Arc::new(Program::script(task.code.clone()));
                    state.tasks.entry(part.job).or_insert((Arc::new(task), program)).clone()
                }
                Ok(None) | Err(_) => return self.lose_later(account, worker, part, fence),
            },
        };
        let timeout_ms = brief.timeout_ms;
        if worker == state.server {
            self.start_here(here::Here { account, worker, part, fence, timeout_ms }, task, program);
        } else {
            state.say(worker, ToWorker::Job { part, fence, task, timeout_ms });
        }
    }
}

impl State {
    /// A worker that does not take what it is told is let go.
    fn say(&mut self, worker: WorkerId, message: ToWorker) {
        if self.lines.get(&worker).is_some_and(|line| line.try_send(message).is_err()) {
            self.lines.remove(&worker);
        }
    }

    fn seen(&self, id: JobId, brief: Brief) -> Seen {
        let mut console = Vec::new();
        let mut progress = None;
        for (_, _, lease) in self.jobs.leases_of(id) {
            console.extend(lease.console.iter().cloned());
            progress = progress.or_else(|| lease.progress.clone());
        }
        if brief.is_fan_out {
            progress = Some(Progress { done: brief.over.into(), total: brief.parts.into(), note: None });
        }
        Seen { id, brief, progress, console }
    }
}

impl Hand {
    /// What the worker says of a part. It is told when that does not count.
    pub async fn say(&self, part: Part, fence: u64, said: Said) {
        let (id, line) = (self.id, self.line.clone());
        let told = self.engine.tell_jobs(self.account, move |state, at, step| {
            if let Err(refusal) = state.jobs.hear(id, part, fence, said, at, step) {
                let _ = line.try_send(ToWorker::Refused { part, fence, refusal });
            }
            Box::new(|_| ())
        });
        let _ = told.await;
    }

    pub async fn beat(&self, running: Vec<Part>) {
        let id = self.id;
        let told = self.engine.tell_jobs(self.account, move |state, at, step| {
            state.jobs.beat(id, &running, at, step);
            Box::new(|_| ())
        });
        let _ = told.await;
    }

    pub async fn resize(&self, threads: u32) {
        let id = self.id;
        let told = self.engine.tell_jobs(self.account, move |state, at, _| {
            state.jobs.resize(id, threads, at);
            Box::new(|_| ())
        });
        let _ = told.await;
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let (engine, account, id) = (self.engine.clone(), self.account, self.id);
        tokio::spawn(async move {
            let told = engine.tell_jobs(account, move |state, _, step| {
                state.lines.remove(&id);
                state.jobs.leave(id, step);
                Box::new(|_| ())
            });
            let _ = told.await;
        });
    }
}

/// A result as it is told: of a job with one input that input's, else a list.
pub fn result_of(brief: &Brief, outcomes: &[(u32, Outcome)]) -> Option<Json> {
    let json = |outcome: &Outcome| match &outcome.end {
        End::Done(json) => Some(json.clone()),
        End::Failed(_) | End::TimedOut => None,
    };
    if !brief.is_fan_out {
        return outcomes.first().and_then(|(_, outcome)| json(outcome));
    }
    if brief.status == Status::Cancelled && outcomes.is_empty() {
        return None;
    }
    let mut list: Vec<Json> = vec!["null".into(); brief.parts as usize];
    for (index, outcome) in outcomes {
        if let (Some(place), Some(json)) = (list.get_mut(*index as usize), json(outcome)) {
            *place = json;
        }
    }
    Some(format!("[{}]", list.join(",")).into())
}
