//! The instances of one function: who gets a seat, who waits, when one more is started and when one ends.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::{Duration, Instant},
};

use tokio::{
    net::UnixStream,
    sync::{Notify, OwnedSemaphorePermit, oneshot},
    time::{sleep, timeout},
};

use super::{
    NotLeased, Shared,
    call::Connection,
    instance::Instance,
    launch::Launch,
    logs::Logs,
    process::{Ended, Why},
};
use crate::{
    bounds::{IDLE_POLL, PROCESSOR_POLL, SEATS_WAITED_FOR_MAX, START_PAUSE},
    pool::locked,
};

pub(super) struct Pool {
    launch: Arc<Launch>,
    shared: Weak<Shared>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    places: Vec<Place>,
    waiting: VecDeque<oneshot::Sender<Lease>>,
    starting: usize,
    /// Why the last one failed to start.
    failed: Option<(Instant, NotLeased)>,
    /// No new caller comes; who waits or runs is served to the end.
    is_closed: bool,
    next_lease: u64,
}

/// One instance and who sits in it.
struct Place {
    instance: Arc<Instance>,
    /// Who has a seat, and what the instance had spent when that was first looked at.
    leases: Vec<(u64, Option<Duration>)>,
    idle_since: Instant,
    spent_when_idle: Option<Duration>,
    has_served: bool,
    busy: Arc<Notify>,
}

/// The pool takes nobody any more; a new one of the same key does.
pub(super) struct Closed;

impl Pool {
    pub fn new(launch: Launch, shared: &Arc<Shared>) -> Arc<Pool> {
        Arc::new(Pool { launch: Arc::new(launch), shared: Arc::downgrade(shared), state: Mutex::default() })
    }

    pub async fn lease(self: &Arc<Self>) -> Result<Result<Lease, NotLeased>, Closed> {
        let (sender, mut granted) = oneshot::channel();
        {
            let mut state = self.state();
            if state.is_closed {
                return Err(Closed);
            }
            state.waiting.retain(|waiting| !waiting.is_closed());
            if state.waiting.is_empty()
                && let Some(lease) = state.seat(self, false)
            {
                // The next caller should not have to wait for a start.
                if state.free_place(self.launch.limits.concurrency).is_none() && state.starting == 0 {
                    self.start_one(&mut state);
                }
                return Ok(Ok(lease));
            }
            if let Some((at, why)) = &state.failed
                && state.places.is_empty()
                && state.starting == 0
                && at.elapsed() < START_PAUSE
            {
                return Ok(Err(why.clone()));
            }
            if state.waiting.len() >= SEATS_WAITED_FOR_MAX {
                return Ok(Err(self.full()));
            }
            state.waiting.push_back(sender);
            self.start_for_waiting(&mut state);
        }
        let limits = &self.launch.limits;
        let (queue, start) = (Duration::from_millis(limits.queue_wait_ms), Duration::from_millis(limits.start_ms));
        if let Ok(granted) = timeout(queue, &mut granted).await {
            return Ok(granted.map_err(|_| self.why_not()));
        }
        if self.state().starting > 0
            && let Ok(granted) = timeout(start, &mut granted).await
        {
            return Ok(granted.map_err(|_| self.why_not()));
        }
        granted.close();
        Ok(granted.try_recv().map_err(|_| self.full()))
    }

    /// Starts as many as shall always be there.
    pub fn keep_warm(self: &Arc<Self>) {
        let mut state = self.state();
        while !state.is_closed && state.places.len() + state.starting < self.launch.limits.instances_min {
            if !self.start_one(&mut state) {
                break;
            }
        }
    }

    /// Nobody new is let in; each instance ends as its last request does.
    pub fn close(self: &Arc<Self>) {
        let idle: Vec<Arc<Instance>> = {
            let mut state = self.state();
            state.is_closed = true;
            let (idle, busy) = std::mem::take(&mut state.places).into_iter().partition(|place| place.leases.is_empty());
            state.places = busy;
            idle.into_iter().map(|place: Place| place.instance).collect()
        };
        idle.iter().for_each(|instance| instance.process.end(Why::Rolled));
    }

    /// Ends all instances, whoever sits in them, and waits until they have.
    pub async fn stop(self: &Arc<Self>) {
        let places = {
            let mut state = self.state();
            state.is_closed = true;
            state.waiting.clear();
            std::mem::take(&mut state.places)
        };
        places.iter().for_each(|place| place.instance.process.end(Why::Rolled));
        for place in places {
            place.instance.process.ended().await;
        }
    }

    pub fn instances(&self) -> usize {
        self.state().places.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    fn full(&self) -> NotLeased {
        NotLeased::QueueFull { retry_after_s: (self.launch.limits.queue_wait_ms / 1000).clamp(1, 60) as u32 }
    }

    fn why_not(&self) -> NotLeased {
        self.state().failed.as_ref().map_or_else(|| self.full(), |(_, why)| why.clone())
    }

    fn start_for_waiting(self: &Arc<Self>, state: &mut State) {
        while state.starting * self.launch.limits.concurrency < state.waiting.len() && self.start_one(state) {}
    }

    /// Whether there was room for one more.
    fn start_one(self: &Arc<Self>, state: &mut State) -> bool {
        let Some(shared) = self.shared.upgrade() else { return false };
        if state.places.len() + state.starting >= self.launch.limits.instances_max {
            return false;
        }
        let Ok(permit) = shared.permits.clone().try_acquire_owned() else { return false };
        state.starting += 1;
        tokio::spawn(self.clone().start(shared, permit));
        true
    }

    async fn start(self: Arc<Self>, shared: Arc<Shared>, permit: OwnedSemaphorePermit) {
        let started = Instance::start(self.launch.clone(), &shared).await;
        drop(shared);
        let failed = {
            let mut state = self.state();
            state.starting -= 1;
            match started {
                Ok(instance) if state.is_closed && state.waiting.is_empty() => {
                    instance.process.end(Why::Rolled);
                    return;
                }
                Ok(instance) => {
                    let busy = Arc::new(Notify::new());
                    tokio::spawn(self.clone().tend(instance.clone(), busy.clone(), permit));
                    state.places.push(Place {
                        instance,
                        leases: Vec::new(),
                        idle_since: Instant::now(),
                        spent_when_idle: None,
                        has_served: false,
                        busy,
                    });
                    Vec::new()
                }
                Err(why) => {
                    drop(permit);
                    state.failed = Some((Instant::now(), why));
                    let is_hopeless = state.places.is_empty() && state.starting == 0;
                    if is_hopeless { state.waiting.drain(..).collect() } else { Vec::new() }
                }
            }
        };
        if failed.is_empty() {
            self.hand_out();
        }
        // They learn why by their sender's end.
        drop(failed);
        if self.state().places.is_empty() {
            sleep(START_PAUSE).await;
            self.keep_warm();
            self.leave_if_empty();
        }
    }

    /// Gives free seats to those who wait.
    fn hand_out(self: &Arc<Self>) {
        loop {
            let (waiting, lease) = {
                let mut state = self.state();
                state.waiting.retain(|waiting| !waiting.is_closed());
                if state.waiting.is_empty() {
                    return;
                }
                let Some(lease) = state.seat(self, true) else {
                    self.start_for_waiting(&mut state);
                    return;
                };
                let Some(waiting) = state.waiting.pop_front() else { return };
                (waiting, lease)
            };
            // Who went away meanwhile gives the seat back here.
            let _ = waiting.send(lease);
        }
    }

    /// Looks after one instance until it has ended.
    async fn tend(self: Arc<Self>, instance: Arc<Instance>, busy: Arc<Notify>, permit: OwnedSemaphorePermit) {
        let begun = Instant::now();
        let ended = loop {
            let wait = self.wait(&instance);
            tokio::select! {
                ended = instance.process.ended() => break ended,
                () = sleep(wait) => {}
                () = busy.notified() => {}
            }
            if let Some(why) = self.should_end(&instance) {
                self.retire(&instance, why);
            }
        };
        drop(permit);
        tracing::debug!(why = %ended.why, cpu_ms = ended.cpu_ms, "a runtime server ended");
        self.forget(&instance);
        self.hand_out();
        let fell = matches!(ended.why, Why::Exited(_) | Why::Signalled(_) | Why::OutOfMemory);
        if fell && begun.elapsed() < START_PAUSE {
            sleep(START_PAUSE).await;
        }
        self.keep_warm();
        self.leave_if_empty();
    }

    fn wait(&self, instance: &Arc<Instance>) -> Duration {
        let state = self.state();
        match state.place(instance) {
            Some(place) if place.leases.is_empty() && place.idle_since.elapsed() > PROCESSOR_POLL => {
                let idle = Duration::from_millis(self.launch.limits.idle_ms);
                idle.saturating_sub(place.idle_since.elapsed()).clamp(Duration::from_millis(1), IDLE_POLL)
            }
            _ => PROCESSOR_POLL,
        }
    }

    fn should_end(&self, instance: &Arc<Instance>) -> Option<Why> {
        let limits = &self.launch.limits;
        let mut state = self.state();
        let is_spare = state.places.len() > limits.instances_min || state.is_closed;
        let place = state.place_mut(instance)?;
        if let Some(spent) = instance.process.processor_time() {
            let before = if place.leases.is_empty() {
                *place.spent_when_idle.get_or_insert(spent)
            } else {
                // The first is the oldest.
                place.leases.iter_mut().map(|(_, before)| *before.get_or_insert(spent)).next().unwrap_or(spent)
            };
            if spent.saturating_sub(before) > Duration::from_secs(limits.cpu_seconds) {
                return Some(Why::CpuExceeded);
            }
        }
        let idle = Duration::from_millis(limits.idle_ms);
        let is_idle = is_spare && place.leases.is_empty() && place.idle_since.elapsed() >= idle;
        if is_idle {
            // Under the same lock, so that nobody is given a seat in it any more.
            state.places.retain(|place| !Arc::ptr_eq(&place.instance, instance));
            return Some(Why::Idle);
        }
        None
    }

    /// Takes an instance away from callers and kills it.
    fn retire(self: &Arc<Self>, instance: &Arc<Instance>, why: Why) {
        self.forget(instance);
        instance.process.end(why);
    }

    fn forget(&self, instance: &Arc<Instance>) {
        let gone: Vec<Place> = {
            let mut state = self.state();
            state.places.extract_if(.., |place| Arc::ptr_eq(&place.instance, instance)).collect()
        };
        drop(gone);
    }

    fn give_back(self: &Arc<Self>, instance: &Arc<Instance>, lease: u64) {
        let is_over = {
            let mut state = self.state();
            let is_last = state.is_closed && state.waiting.is_empty();
            let Some(place) = state.place_mut(instance) else { return };
            place.leases.retain(|(number, _)| *number != lease);
            if place.leases.is_empty() {
                place.idle_since = Instant::now();
                place.spent_when_idle = None;
            }
            is_last && place.leases.is_empty()
        };
        if is_over {
            self.retire(instance, Why::Rolled);
        } else {
            self.hand_out();
        }
    }

    /// A function without a process is remembered by nobody.
    fn leave_if_empty(self: &Arc<Self>) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut pools = locked(&shared.pools);
        let mut state = self.state();
        let is_empty = state.places.is_empty() && state.starting == 0 && state.waiting.is_empty();
        if is_empty && self.launch.limits.instances_min == 0 {
            state.is_closed = true;
            if pools.get(&self.launch.key).is_some_and(|pool| Arc::ptr_eq(pool, self)) {
                pools.remove(&self.launch.key);
            }
        }
    }
}

impl State {
    fn place(&self, instance: &Arc<Instance>) -> Option<&Place> {
        self.places.iter().find(|place| Arc::ptr_eq(&place.instance, instance))
    }

    fn place_mut(&mut self, instance: &Arc<Instance>) -> Option<&mut Place> {
        self.places.iter_mut().find(|place| Arc::ptr_eq(&place.instance, instance))
    }

    /// The one with the fewest guests; of equals the oldest, so that the others may become idle.
    fn free_place(&mut self, concurrency: usize) -> Option<&mut Place> {
        let free = |place: &&mut Place| place.leases.len() < concurrency && !place.instance.process.is_ending();
        self.places.iter_mut().filter(free).min_by_key(|place| place.leases.len())
    }

    fn seat(&mut self, pool: &Arc<Pool>, has_waited: bool) -> Option<Lease> {
        let number = self.next_lease;
        let place = self.free_place(pool.launch.limits.concurrency)?;
        place.leases.push((number, None));
        let is_cold = has_waited && !place.has_served;
        place.has_served = true;
        // Whoever looks at it now and then has gone over to doing so rarely.
        if place.leases.len() == 1 && place.idle_since.elapsed() > PROCESSOR_POLL {
            place.busy.notify_one();
        }
        let instance = place.instance.clone();
        self.next_lease += 1;
        Some(Lease { pool: pool.clone(), instance, number, is_cold })
    }
}

/// A seat in an instance, for one request. Dropping it gives the seat back.
pub struct Lease {
    pool: Arc<Pool>,
    instance: Arc<Instance>,
    number: u64,
    is_cold: bool,
}

impl Lease {
    /// A new connection to the server. Errors pass, unless the server is gone: `ended` tells.
    pub async fn connect(&self) -> std::io::Result<UnixStream> {
        self.instance.connect().await
    }

    /// A connection that another request is done with.
    pub(super) fn idle_connection(&self) -> Option<Connection> {
        self.instance.idle_connection()
    }

    pub(super) fn keep_connection(&self, connection: Connection) {
        self.instance.keep_connection(connection);
    }

    /// What the server logs under this id from now on. Listen before the request is sent.
    pub fn logs(&self, id: impl Into<String>) -> Logs {
        self.instance.logs(id.into())
    }

    /// What the server was told on its input, and expects with each request.
    pub fn secret(&self) -> &str {
        &self.instance.secret
    }

    /// Names the instance among those of this process's life.
    pub fn instance(&self) -> usize {
        Arc::as_ptr(&self.instance).addr()
    }

    /// Whether the instance was started for this lease.
    pub fn is_cold(&self) -> bool {
        self.is_cold
    }

    /// How long the instance took until it accepted.
    pub fn started_in(&self) -> Duration {
        self.instance.started_in()
    }

    /// Kills the instance, with all that runs in it, and every other lease of it.
    pub fn kill(&self, why: Why) {
        self.pool.retire(&self.instance, why);
    }

    /// Resolves when nothing of the instance is left.
    pub async fn ended(&self) -> Arc<Ended> {
        self.instance.process.ended().await
    }

    /// How long to wait for that after the connection was lost.
    pub(super) fn end_wait(&self) -> Duration {
        self.instance.process.end_wait()
    }

    /// The same, for who goes on without the lease.
    pub fn watch(&self) -> impl Future<Output = Arc<Ended>> + Send + use<> {
        let process = self.instance.process.clone();
        async move { process.ended().await }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.give_back(&self.instance, self.number);
    }
}
