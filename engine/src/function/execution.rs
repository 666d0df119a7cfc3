//! Calls functions: for who waits, for who does not, and for the clock; and keeps what came of it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rules::{
    account::Step,
    call::Bytes,
    function::execution::{
        Asked, EXECUTION_ATTEMPTS_MAX, EXECUTION_BODY_BYTES_MAX, EXECUTION_LOG_BYTES_MAX, Execution, ExecutionId,
        Executions, Failure, Outcome, Said, Standing, Trigger, due_of,
    },
    record::{At, LaneId, Position},
    refusal::Refusal,
    row,
};
use store::{Batch, Commit, Order};
use tokio::{
    sync::{Notify, RwLock, Semaphore, broadcast, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use worker::server::call::{self, Called, Over, Reply, Response};

use super::{Answering, Route, TIMEZONE};
use crate::{
    CONFLICTS_MAX, EXECUTIONS_AT_ONCE_MAX, EXECUTIONS_GATHERED_MS, EXECUTIONS_KEPT_AT_ONCE_MAX, EXECUTIONS_TOLD_MAX,
    Engine, WORKER_RETRY_MAX_MS, WORKER_RETRY_MS,
    cron::Times,
    lanes::{fault, kept},
};

/// An execution, and what was said in it.
pub struct Whole {
    pub execution: Execution,
    pub said: Said,
}

/// Those that nobody waits for, and those that are over and not kept yet.
pub struct Queue {
    /// Each call holds it for reading until it is kept.
    calls: Arc<RwLock<()>>,
    /// Something is due, or will be.
    looked: Notify,
    running: Mutex<HashSet<ExecutionId>>,
    places: Arc<Semaphore>,
    told: broadcast::Sender<ExecutionId>,
    over: mpsc::Sender<Kept>,
    /// Somebody waits for one of those that are over.
    awaited: Notify,
    /// Taken by whoever keeps them.
    coming: Mutex<Option<mpsc::Receiver<Kept>>>,
    cron: Mutex<Clockwork>,
    wound: Notify,
}

/// When the clock calls which function next.
#[derive(Default)]
struct Clockwork {
    by_time: BTreeSet<(At, LaneId)>,
    of: HashMap<LaneId, (At, String)>,
}

/// One that is over.
struct Kept {
    function: LaneId,
    execution: Execution,
    said: Said,
    due: Option<At>,
    kept: oneshot::Sender<Result<(), Refusal>>,
}

impl Kept {
    /// A caller outside has the answer already.
    fn is_awaited(&self) -> bool {
        self.execution.trigger != Trigger::Http
    }
}

impl Default for Queue {
    fn default() -> Queue {
        let (over, coming) = mpsc::channel(EXECUTIONS_KEPT_AT_ONCE_MAX);
        Queue {
            calls: Arc::default(),
            looked: Notify::new(),
            running: Mutex::default(),
            places: Arc::new(Semaphore::new(EXECUTIONS_AT_ONCE_MAX)),
            told: broadcast::channel(EXECUTIONS_TOLD_MAX).0,
            over,
            awaited: Notify::new(),
            coming: Mutex::new(Some(coming)),
            cron: Mutex::default(),
            wound: Notify::new(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Builds what waits, runs what is due, and keeps what is over, for as long as it is polled.
    pub async fn keep_functions(&self) {
        let coming = lock(&self.functions().executions.coming).take();
        self.resume_builds().await;
        tokio::join!(self.keep_executions(coming), self.run_due(), self.keep_time());
    }

    /// Calls a function for somebody outside, and gives its answer as it comes. It runs to its end, and is kept, whether or
    /// not its caller stays.
    pub async fn call(
        &self,
        route: Arc<Route>,
        execution: Execution,
        sent: call::Asked,
    ) -> Result<Response<Reply>, Failure> {
        let (sender, answer) = oneshot::channel();
        let engine = self.clone();
        tokio::spawn(async move {
            let _call = engine.functions().executions.calls.clone().read_owned().await;
            let Called { answer, over } = engine.invoke(&route, sent).await;
            let _ = sender.send(answer);
            let over = over.await;
            let _ = engine.keep_execution(route.function, execution, over, Said::default()).await;
        });
        answer.await.unwrap_or(Err(Failure::Ended))
    }

    /// Waits until every call that is over is kept, for so long at most.
    pub async fn keep_calls(&self, wait: Duration) {
        let _ = timeout(wait, self.functions().executions.calls.write()).await;
    }

    /// Sends a request to a function, and gives its answer as it comes.
    async fn invoke(&self, route: &Route, sent: call::Asked) -> Called {
        self.try_invoke(route, sent).await.unwrap_or_else(Called::failed)
    }

    async fn try_invoke(&self, route: &Route, mut sent: call::Asked) -> Result<Called, Failure> {
        let launch = match &route.answering {
            Ok(Answering::Server { launch, .. }) => launch,
            Ok(Answering::Files { .. }) => return Err(Failure::NotReady("It is served as files.".into())),
            Err(failure) => return Err(failure.clone()),
        };
        let servers = self.world().runtimes.found().await.servers.as_ref();
        let servers = servers.map_err(|why| Failure::NotReady(why.clone()))?;
        // Whoever ended between two calls is not known to have before somebody asks it.
        for _ in 0..CONFLICTS_MAX {
            let lease = servers.lease(launch).await?;
            match call::call(lease, sent).await {
                Ok(called) => return Ok(called),
                Err(back) => sent = back,
            }
            self.world().clock.sleep(1).await;
        }
        Err(Failure::NotReady("Its servers end as soon as they are asked.".into()))
    }

    /// Calls a function with what is here as a whole, and keeps what came of it before it is told.
    pub async fn execute(&self, route: &Route, execution: Execution, asked: Asked) -> Result<Whole, Refusal> {
        let called = self.invoke(route, sent(&execution, asked, route)).await;
        let (said, over) = finish(called).await;
        self.keep_execution(route.function, execution, over, said).await
    }

    /// The same for one whose id its caller knows: what came of it before counts, unless that was a failure of the
    /// server's own.
    pub(crate) async fn execute_once(
        &self,
        route: &Route,
        mut execution: Execution,
        asked: Asked,
    ) -> Result<Whole, Refusal> {
        let _call = self.functions().executions.calls.clone().read_owned().await;
        let is_ours = |whole: &Whole| {
            let failure = whole.execution.outcome().and_then(|outcome| outcome.failure.as_ref());
            failure.is_some_and(Failure::is_ours)
        };
        match self.whole_execution(route.function, execution.id).await {
            Ok(whole) if whole.execution.is_over() && !is_ours(&whole) => return Ok(whole),
            Ok(whole) => execution.attempts = whole.execution.attempts + 1,
            Err(refusal) if refusal.code == Refusal::EXECUTION_UNKNOWN.code => {}
            Err(refusal) => return Err(refusal),
        }
        loop {
            let whole = self.execute(route, execution.clone(), asked.clone()).await?;
            if !is_ours(&whole) || execution.attempts >= EXECUTION_ATTEMPTS_MAX {
                return Ok(whole);
            }
            self.world().clock.sleep(WORKER_RETRY_MS << (2 * execution.attempts)).await;
            execution.attempts += 1;
        }
    }

    /// An execution that begins now.
    pub fn execution(&self, route: &Route, trigger: Trigger, method: &str, path: &str) -> Execution {
        let created_at = self.now();
        Execution {
            id: self.world().request_id(created_at),
            deployment: route.deployment(),
            trigger,
            method: method.to_owned(),
            path: path.to_owned(),
            standing: Standing::Processing,
            attempts: 1,
            created_at,
            is_async: false,
            scheduled_at: None,
            seq: rules::record::Seq(0),
        }
    }

    /// Keeps what came of a call. Resolves when it is kept; it is, whether or not anybody waits for that.
    pub async fn keep_execution(
        &self,
        function: LaneId,
        mut execution: Execution,
        over: Over,
        said: Said,
    ) -> Result<Whole, Refusal> {
        let due = execution.is_async.then(|| due_of(&execution));
        let Over { status, failure, duration, is_cold, .. } = over;
        let duration_us = duration.as_micros() as u64;
        execution.standing = Standing::Over(Outcome { status, failure, duration_us, is_cold });
        let said = Said { logs: cut(over.logs), errors: cut(over.errors), ..said };
        let (sender, answer) = oneshot::channel();
        let one = Kept { function, execution: execution.clone(), said: said.clone(), due, kept: sender };
        let is_awaited = one.is_awaited();
        self.functions().executions.over.send(one).await.map_err(|_| Refusal::UNCERTAIN)?;
        if is_awaited {
            self.functions().executions.awaited.notify_one();
        }
        answer.await.unwrap_or(Err(Refusal::UNCERTAIN))?;
        Ok(Whole { execution, said })
    }

    /// Keeps a request for a function that is sent when its time has come. When this returns `Ok`, it is on disk.
    pub async fn ask_execution(
        &self,
        function: LaneId,
        execution: Execution,
        asked: Asked,
    ) -> Result<Execution, Refusal> {
        let due = execution.scheduled_at.unwrap_or(execution.created_at);
        let execution = Execution { standing: Standing::Waiting(due), is_async: true, attempts: 0, ..execution };
        self.change_executions(function, |executions| executions.ask(execution.clone(), asked.clone())).await?;
        self.functions().executions.looked.notify_one();
        Ok(execution)
    }

    /// Newest first, those before `before`.
    pub async fn executions(
        &self,
        function: LaneId,
        before: Option<ExecutionId>,
        executions_max: usize,
    ) -> Result<Vec<Execution>, Refusal> {
        let (from, mut to) = row::execution_range(function);
        if let Some(before) = before {
            to = row::execution(function, before);
        }
        let rows = self.world().store.rows(from, to, Order::Descending, executions_max).await.map_err(fault)?;
        Ok(rows.iter().filter_map(|(_, bytes)| row::decode(bytes)).map(|one| self.as_it_is(one)).collect())
    }

    pub async fn whole_execution(&self, function: LaneId, id: ExecutionId) -> Result<Whole, Refusal> {
        let bytes = self.world().store.row(row::execution(function, id)).await.map_err(fault)?;
        let execution: Execution = bytes.and_then(|bytes| row::decode(&bytes)).ok_or(Refusal::EXECUTION_UNKNOWN)?;
        let said = match execution.is_over() {
            true => self.recorded(function, &execution).await?.and_then(|body| Executions::said_of(&body)),
            false => None,
        };
        Ok(Whole { execution: self.as_it_is(execution), said: said.unwrap_or_default() })
    }

    /// The same when it is over.
    pub async fn execution_over(&self, function: LaneId, id: ExecutionId) -> Result<Whole, Refusal> {
        let mut told = self.functions().executions.told.subscribe();
        loop {
            let whole = self.whole_execution(function, id).await?;
            if whole.execution.is_over() {
                return Ok(whole);
            }
            while !matches!(told.recv().await, Ok(over) if over == id) {
                if told.is_closed() {
                    return Err(Refusal::UNCERTAIN);
                }
            }
        }
    }

    /// What is under way is known in memory alone.
    fn as_it_is(&self, mut execution: Execution) -> Execution {
        if !execution.is_over() && lock(&self.functions().executions.running).contains(&execution.id) {
            execution.standing = Standing::Processing;
        }
        execution
    }

    async fn recorded(&self, function: LaneId, execution: &Execution) -> Result<Option<Vec<u8>>, Refusal> {
        let at = Position::of_request(execution.seq);
        let found = self.world().store.last(Executions::lane(function), at).await.map_err(fault)?;
        Ok(found.filter(|record| record.position == at).map(|record| record.body))
    }

    async fn change_executions(
        &self,
        function: LaneId,
        decide: impl Fn(&mut Executions) -> Step<()>,
    ) -> Result<(), Refusal> {
        for _ in 0..CONFLICTS_MAX {
            let bytes = self.world().store.row(row::executions(function)).await.map_err(fault)?;
            let mut executions =
                bytes.and_then(|bytes| row::decode(&bytes)).unwrap_or_else(|| Executions::of(function));
            let Step { expect, records, rows, result } = decide(&mut executions);
            result?;
            let batch = Batch { lane: Executions::lane(function), expect, records, rows };
            match self.world().store.commit(batch).await {
                Commit::Conflict => continue,
                commit => return kept(commit),
            }
        }
        Err(Refusal::BUSY)
    }

    /// Keeps what is over: all that waits, in one commit for each function.
    async fn keep_executions(&self, coming: Option<mpsc::Receiver<Kept>>) {
        let Some(mut coming) = coming else { return };
        let mut batch = Vec::new();
        while coming.recv_many(&mut batch, EXECUTIONS_KEPT_AT_ONCE_MAX).await > 0 {
            if batch.len() < EXECUTIONS_KEPT_AT_ONCE_MAX && !batch.iter().any(Kept::is_awaited) {
                tokio::select! {
                    () = self.world().clock.sleep(EXECUTIONS_GATHERED_MS) => {}
                    () = self.functions().executions.awaited.notified() => {}
                }
                let room = EXECUTIONS_KEPT_AT_ONCE_MAX - batch.len();
                batch.extend(std::iter::from_fn(|| coming.try_recv().ok()).take(room));
            }
            let mut by_function: HashMap<LaneId, Vec<Kept>> = HashMap::new();
            batch.drain(..).for_each(|kept: Kept| by_function.entry(kept.function).or_default().push(kept));
            let mut keeping = JoinSet::new();
            for (function, over) in by_function {
                let engine = self.clone();
                keeping.spawn(async move { engine.keep_over(function, over).await });
            }
            while keeping.join_next().await.is_some() {}
        }
    }

    async fn keep_over(&self, function: LaneId, over: Vec<Kept>) {
        let entries: Vec<_> = over.iter().map(|one| (one.execution.clone(), one.said.clone(), one.due)).collect();
        // A function that was deleted meanwhile keeps nothing.
        let kept = match self.any_function(function).await {
            Ok(None) => Err(Refusal::FUNCTION_UNKNOWN),
            Ok(Some(_)) => self.change_executions(function, |executions| executions.end(entries.clone())).await,
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = &kept {
            tracing::error!(function = format!("{:032x}", function.0), refusal.code, "executions are not kept");
        }
        for one in over {
            let _ = self.functions().executions.told.send(one.execution.id);
            let _ = one.kept.send(kept.clone());
        }
    }

    /// Runs those that nobody waits for, as their time comes.
    async fn run_due(&self) {
        let queue = &self.functions().executions;
        loop {
            let Ok(place) = queue.places.clone().acquire_owned().await else { return };
            let (next, due) = match self.next_due().await {
                Ok(found) => found,
                Err(refusal) => {
                    tracing::error!(refusal.code, "executions do not go on yet");
                    self.world().clock.sleep(WORKER_RETRY_MAX_MS).await;
                    continue;
                }
            };
            if let Some((due, function, id)) = due {
                lock(&queue.running).insert(id);
                let engine = self.clone();
                tokio::spawn(async move {
                    if let Err(refusal) = engine.run_one(due, function, id).await {
                        let function = format!("{:032x}", function.0);
                        tracing::error!(function, refusal.code, "an execution is tried again later");
                        engine.world().clock.sleep(WORKER_RETRY_MS).await;
                    }
                    lock(&engine.functions().executions.running).remove(&id);
                    drop(place);
                    engine.functions().executions.looked.notify_one();
                });
                continue;
            }
            drop(place);
            match next {
                Some(at) => tokio::select! {
                    () = self.world().clock.sleep(at.0.saturating_sub(self.now().0).clamp(1, 60_000)) => {}
                    () = queue.looked.notified() => {}
                },
                None => queue.looked.notified().await,
            }
        }
    }

    /// One that is due and not under way; else when the next will be.
    async fn next_due(&self) -> Result<(Option<At>, Option<(At, LaneId, ExecutionId)>), Refusal> {
        let (from, to) = row::execution_due_range();
        // Of as many as may be under way, and one more.
        let rows = self.world().store.rows(from, to, Order::Ascending, EXECUTIONS_AT_ONCE_MAX + 1).await;
        let running = lock(&self.functions().executions.running);
        for (key, _) in rows.map_err(fault)? {
            let Some((at, function, id)) = row::execution_due_of(&key) else { continue };
            if running.contains(&id) {
                continue;
            }
            return Ok(if at <= self.now() { (None, Some((at, function, id))) } else { (Some(at), None) });
        }
        Ok((None, None))
    }

    async fn run_one(&self, due: At, function: LaneId, id: ExecutionId) -> Result<(), Refusal> {
        // With a function goes what waited for it.
        if self.any_function(function).await?.is_none() {
            return self.forget_due(due, function, id).await;
        }
        let bytes = self.world().store.row(row::execution(function, id)).await.map_err(fault)?;
        let execution: Option<Execution> = bytes.and_then(|bytes| row::decode(&bytes));
        let Some(mut execution) = execution.filter(|execution| !execution.is_over()) else {
            return self.forget_due(due, function, id).await;
        };
        let asked = self.recorded(function, &execution).await?.and_then(|body| Executions::asked_of(&body));
        let asked = asked.ok_or(Refusal::FAULT)?;
        let route = self.route_of(function).await?;
        let before = execution.clone();
        let at = self.now();
        let begun = |executions: &mut Executions| executions.begin(&mut before.clone(), at);
        self.change_executions(function, begun).await?;
        // As the rule has it.
        execution.attempts += 1;
        execution.standing = Standing::Waiting(at);
        execution.deployment = route.deployment();
        let is_last = execution.attempts >= EXECUTION_ATTEMPTS_MAX;
        let sent = sent(&execution, asked, &route);
        let called = self.invoke(&route, sent).await;
        let (said, over) = finish(called).await;
        if over.failure.as_ref().is_some_and(Failure::is_ours) && !is_last {
            let pause = WORKER_RETRY_MS << (2 * execution.attempts);
            let until = At(self.now().0 + pause);
            let put_off = |executions: &mut Executions| executions.put_off(&mut execution.clone(), until);
            return self.change_executions(function, put_off).await;
        }
        self.keep_execution(function, execution, over, said).await.map(drop)
    }

    async fn forget_due(&self, due: At, function: LaneId, id: ExecutionId) -> Result<(), Refusal> {
        let (lane, end) = (Executions::lane(function), Position::from_u64(i64::MAX as u64));
        let last = self.world().store.last(lane, end).await.map_err(fault)?;
        let expect = last.map_or(Position::START, |record| record.position);
        let rows = vec![(row::execution_due(due, function, id), None)];
        kept(self.world().store.commit(Batch { lane, expect, records: Vec::new(), rows }).await)
    }

    /// When a function is to be called by the clock.
    pub(super) fn tell_cron(&self, id: LaneId, cron: Option<&str>) {
        self.wind(id, cron, self.now());
    }

    /// For the first time behind this moment, be it past.
    fn wind(&self, id: LaneId, cron: Option<&str>, since: At) {
        let queue = &self.functions().executions;
        let mut clockwork = lock(&queue.cron);
        if clockwork.of.get(&id).map(|(_, cron)| cron.as_str()) == cron {
            return;
        }
        if let Some((at, _)) = clockwork.of.remove(&id) {
            clockwork.by_time.remove(&(at, id));
        }
        let next = cron.and_then(|cron| Times::parse(cron, TIMEZONE).ok()?.after(since));
        if let (Some(at), Some(cron)) = (next, cron) {
            clockwork.by_time.insert((at, id));
            clockwork.of.insert(id, (at, cron.to_owned()));
        }
        queue.wound.notify_one();
    }

    /// Calls functions when their time comes. Times that passed while nobody was there are made good once.
    async fn keep_time(&self) {
        while let Err(refusal) = self.wind_all().await {
            tracing::error!(refusal.code, "functions are not called by the clock yet");
            self.world().clock.sleep(WORKER_RETRY_MAX_MS).await;
        }
        let queue = &self.functions().executions;
        loop {
            let next = lock(&queue.cron).by_time.first().copied();
            let Some((at, id)) = next else {
                queue.wound.notified().await;
                continue;
            };
            if at > self.now() {
                tokio::select! {
                    () = self.world().clock.sleep((at.0 - self.now().0).clamp(1, 60_000)) => {}
                    () = queue.wound.notified() => {}
                }
                continue;
            }
            if let Err(refusal) = self.call_at(id, at).await {
                tracing::warn!(function = format!("{:032x}", id.0), refusal.code, "the clock's call is not kept");
            }
            let mut clockwork = lock(&queue.cron);
            clockwork.by_time.remove(&(at, id));
            if let Some((_, cron)) = clockwork.of.remove(&id)
                && let Some(next) = Times::parse(&cron, TIMEZONE).ok().and_then(|times| times.after(self.now()))
            {
                clockwork.by_time.insert((next, id));
                clockwork.of.insert(id, (next, cron));
            }
        }
    }

    async fn wind_all(&self) -> Result<(), Refusal> {
        let store = &self.world().store;
        let (from, to) = row::function_cron_range();
        for (key, cron) in store.rows(from, to, Order::Ascending, usize::MAX).await.map_err(fault)? {
            let (Some(id), Some(cron)) = (row::lane_of(&key), row::decode::<String>(&cron)) else { continue };
            let mut since = None;
            for key in [row::function_cron_since(id), row::function_called(id)] {
                let at = store.row(key).await.map_err(fault)?.and_then(|bytes| row::decode::<At>(&bytes));
                since = since.max(at);
            }
            self.wind(id, Some(&cron), since.unwrap_or_else(|| self.now()));
        }
        Ok(())
    }

    async fn call_at(&self, function: LaneId, at: At) -> Result<(), Refusal> {
        let route = self.route_of(function).await?;
        let execution = self.execution(&route, Trigger::Schedule, "POST", "/");
        let execution = Execution { scheduled_at: Some(at), ..execution };
        self.ask_execution(function, execution, Asked::default()).await.map(drop)
    }
}

/// The request of one that was kept. Servers take none without a host: where nobody named one, it is this.
fn sent(execution: &Execution, asked: Asked, route: &Route) -> call::Asked {
    let is_named = asked.headers.iter().any(|(name, _)| name == "host");
    let host = (!is_named).then(|| ("host".to_owned(), b"localhost".to_vec()));
    call::Asked::of_bytes(
        &execution.method,
        &execution.path,
        asked.headers.into_iter().map(|(name, value)| (name, value.0)).chain(host),
        asked.body.0,
        format!("{:032x}", execution.id),
        route.limits.timeout_ms,
        route.limits.response_bytes,
    )
}

/// Reads an answer to its end: what is kept of it, and what came of the call.
async fn finish(called: Called) -> (Said, Over) {
    let read = async {
        let Ok(response) = called.answer else { return Said::default() };
        let (headers, body, is_cut) = call::read(response, EXECUTION_BODY_BYTES_MAX).await;
        let headers = headers.into_iter().map(|(name, value)| (name, Bytes(value))).collect();
        Said { headers, body: Bytes(body), is_cut, ..Said::default() }
    };
    tokio::join!(read, called.over)
}

fn cut(mut log: String) -> String {
    log.truncate(log.floor_char_boundary(EXECUTION_LOG_BYTES_MAX));
    log
}
