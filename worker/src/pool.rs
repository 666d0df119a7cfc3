//! Calls on their way to children: each in its turn to whoever is idle, each child replaced when it is lost.

use std::{
    sync::{
        Arc, Mutex as Shared, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rules::{
    call::{Call, Foldable, Outcome, Program, ProgramKind, Ran, Stop},
    limits::Limits,
};
use tokio::{sync::oneshot, time::sleep};

use crate::{
    bounds::{
        CALL_WAIT, CHILDREN_LOST_MAX, FOLD_REQUEST_BYTES_MAX, FOLD_REQUESTS_MAX, FOLD_SLICE, FOLD_WAIT, QUICK_LOAD,
        QUICK_RUN, QUICK_TURN, RESIDENT_BYTES_MAX, RESPAWN_PAUSE_MAX, RESPAWN_PAUSE_MIN,
    },
    jail::Layer,
    outcome,
    process::{Child, Lost, NotStarted, Spawner},
};
use lines::{Lines, Takes, Urgency};

mod lines;

/// A call that waits, until a child or its caller claims it.
struct Job {
    program: Arc<Program>,
    call: Call,
    limits: Limits,
    claimed: Arc<AtomicBool>,
    reply: oneshot::Sender<Outcome>,
}

/// Where calls wait, and what is known of those who take them.
#[derive(Clone)]
pub struct Pool {
    open: Arc<Open>,
    report: Arc<Report>,
}

/// Sends the seats home when the last hand lets go of the pool.
struct Open(Arc<Lines<Job>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What the children said of themselves.
#[derive(Default)]
pub struct Report {
    pub layers: Shared<Vec<Layer>>,
    pub started_in: Shared<Duration>,
    pub process_ids: Shared<Vec<Option<u32>>>,
    /// How many children were started so far, of use or not.
    pub starts: AtomicU64,
}

impl Pool {
    /// Starts the first child before it returns, so that a machine that cannot keep one says so at once.
    pub async fn start(children: usize, spawner: Spawner) -> Result<Self, NotStarted> {
        let lines = Arc::new(Lines::new(children));
        let spawner = Arc::new(spawner);
        let report = Arc::new(Report::default());
        *locked(&report.process_ids) = vec![None; children];
        report.starts.fetch_add(1, Ordering::Relaxed);
        let mut first = Some(Child::start(&spawner).await?);
        for seat in 0..children {
            let child = first.take();
            let mut seat = Seat {
                number: seat,
                // Half of them, the smaller half: with a single child there is none to spare.
                takes: if seat < children.div_ceil(2) { Takes::Any } else { Takes::Quick },
                lines: lines.clone(),
                child: None,
                barren: 0,
                spawner: spawner.clone(),
                report: report.clone(),
            };
            if let Some(child) = child {
                seat.take(child);
            }
            tokio::spawn(seat.tend());
        }
        Ok(Pool { open: Arc::new(Open(lines)), report })
    }

    pub async fn call(self, program: Arc<Program>, call: Call, limits: Limits) -> Outcome {
        let (reply, mut replied) = oneshot::channel();
        let claimed = Arc::new(AtomicBool::new(false));
        let urgency = urgency(&program, &call);
        let wait = if urgency == Urgency::Patient { FOLD_WAIT } else { CALL_WAIT };
        let id = program.id;
        let job = Job { program, call: bounded(call), limits, claimed: claimed.clone(), reply };
        if self.open.0.enter(id, urgency, job, Instant::now()).is_err() {
            return Outcome::Unavailable("Too many calls are waiting for an isolate.".into());
        }
        let in_time = tokio::select! {
            outcome = &mut replied => Some(outcome),
            () = sleep(wait) => None,
        };
        let outcome = match in_time {
            Some(outcome) => outcome,
            None if claimed.swap(true, Ordering::AcqRel) => replied.await,
            None => return Outcome::Unavailable("No isolate was free in time.".into()),
        };
        outcome.unwrap_or_else(|_| Outcome::Unavailable("The isolates have no room, or are being shut down.".into()))
    }

    pub fn report(&self) -> &Report {
        &self.report
    }
}

fn urgency(program: &Program, call: &Call) -> Urgency {
    match call {
        Call::Query { .. } if program.kind == ProgramKind::Script => Urgency::Patient,
        Call::Fold { .. } | Call::Keys { .. } | Call::Run(_) => Urgency::Patient,
        Call::Describe | Call::Answer { .. } | Call::Query { .. } | Call::Templates { .. } => Urgency::Prompt,
    }
}

/// What a seat for the quick may answer: of a batch, the requests before the first that ran out of its time there.
fn before_cut(call: &Call, outcome: Outcome) -> Option<Outcome> {
    fn is_cut<T>(ran: &Ran<T>) -> bool {
        // A child that was given up for its silence counts as crashed, and was not waited for as long as elsewhere.
        ran.result.as_ref().is_err_and(|failure| matches!(failure.stop, Some(Stop::Clock | Stop::Crash)))
    }
    fn uncut<T>(requests: &[Foldable], mut ran: Vec<Ran<T>>) -> Option<Vec<Ran<T>>> {
        let cut = ran.iter().zip(requests).position(|(ran, request)| request.forced.is_none() && is_cut(ran));
        ran.truncate(cut.unwrap_or(ran.len()));
        (!ran.is_empty()).then_some(ran)
    }
    match (call.batch(), outcome) {
        (Some(requests), Outcome::Folded(ran)) => uncut(requests, ran).map(Outcome::Folded),
        (Some(requests), Outcome::Keyed(ran)) => uncut(requests, ran).map(Outcome::Keyed),
        (_, Outcome::Answered(ran) | Outcome::Queried(ran)) if is_cut(&ran) => None,
        (_, Outcome::Templated(ran)) if is_cut(&ran) => None,
        (_, Outcome::Ran(ran)) if is_cut(&ran) => None,
        // It may have run out of time while it was loaded.
        (_, Outcome::Unrunnable(_) | Outcome::Unavailable(_)) => None,
        (_, outcome) => Some(outcome),
    }
}

/// A batch of what fits into one frame: it may be answered for a prefix.
fn bounded(mut call: Call) -> Call {
    let Some(requests) = call.batch_mut() else { return call };
    let mut bytes = 0;
    let fitting = requests.iter().take(FOLD_REQUESTS_MAX).take_while(|foldable| {
        bytes += weight(foldable);
        bytes <= FOLD_REQUEST_BYTES_MAX
    });
    let fitting = fitting.count().max(1);
    requests.truncate(fitting);
    call
}

fn weight(foldable: &Foldable) -> usize {
    let request = &foldable.request;
    let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.0.len()).sum();
    request.path.len() + request.query.len() + headers + request.body.0.len()
}

pub fn locked<T>(shared: &Shared<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place of one child and of those who follow it.
struct Seat {
    number: usize,
    takes: Takes,
    lines: Arc<Lines<Job>>,
    child: Option<Child>,
    /// How many children in a row were lost without an answer.
    barren: u32,
    spawner: Arc<Spawner>,
    report: Arc<Report>,
}

impl Seat {
    /// Takes call after call until the pool is dropped.
    async fn tend(mut self) {
        loop {
            let Some(child) = &mut self.child else {
                self.refill().await;
                continue;
            };
            let job = tokio::select! {
                job = self.lines.next(self.takes) => job,
                () = child.lost() => {
                    tracing::warn!(seat = self.number, "an idle isolate ended and is replaced");
                    self.leave();
                    self.barren += 1;
                    continue;
                }
            };
            let Some(job) = job else { return };
            if job.reply.is_closed() || job.claimed.swap(true, Ordering::AcqRel) {
                continue;
            }
            match self.takes {
                Takes::Any => {
                    let (outcome, _) = self.timed(&job, job.limits).await;
                    let _ = job.reply.send(outcome);
                }
                Takes::Quick => self.try_quickly(job).await,
            }
        }
    }

    /// Runs a call no longer than is quick. What is cut short had no effect, and is run in full by a seat for anybody.
    async fn try_quickly(&mut self, mut job: Job) {
        let limits = Limits { call_ms: job.limits.call_ms.min(QUICK_RUN.as_millis() as u64), ..job.limits };
        if let Some(requests) = job.call.batch_mut() {
            // One request shows what a newcomer is.
            let run = self.lines.run(job.program.id).unwrap_or(QUICK_TURN).max(Duration::from_micros(1));
            requests.truncate((QUICK_TURN.as_micros() / run.as_micros()).max(1) as usize);
        }
        let (outcome, worked) = self.timed(&job, limits).await;
        let outcome = match before_cut(&job.call, outcome) {
            Some(outcome) => outcome,
            // On a busy machine time runs out for anybody.
            None if worked < QUICK_RUN / 2 => self.run(&job.program, job.call, job.limits).await,
            None => {
                // Once its program counts as slow, it is not for this seat.
                let (program, urgency, now) = (job.program.id, urgency(&job.program, &job.call), Instant::now());
                self.lines.was_slow(program, now);
                job.claimed.store(false, Ordering::Release);
                // A job that finds no room is dropped, and with it goes the reply its caller waits for.
                let _ = self.lines.enter(program, urgency, job, now);
                return;
            }
        };
        let _ = job.reply.send(outcome);
    }

    /// What came of a call, and what it cost in processor time.
    async fn timed(&mut self, job: &Job, limits: Limits) -> (Outcome, Duration) {
        let (begun, spent_before) = (Instant::now(), self.child.as_ref().map(Child::spent));
        let outcome = self.run(&job.program, job.call.clone(), limits).await;
        let (program, took) = (job.program.id, begun.elapsed());
        let spent = match (spent_before, self.child.as_ref().map(Child::spent)) {
            (Some(before), Some(after)) if before.of == after.of => after.since(&before),
            // Another child finished what one was lost over.
            _ => None,
        };
        let worked = spent.map_or(took, |spent| spent.worked.min(took));
        let runs = match &outcome {
            Outcome::Folded(ran) => ran.len().max(1),
            Outcome::Keyed(ran) => ran.len().max(1),
            _ => 1,
        } as u32;
        if urgency(&job.program, &job.call) == Urgency::Prompt {
            self.lines.answered(program, took);
        }
        if !matches!(outcome, Outcome::Described(_)) {
            self.lines.ran(program, worked / runs);
        }
        let loading = if spent.is_none_or(|spent| spent.loads == 0) { Duration::ZERO } else { QUICK_LOAD };
        if worked > QUICK_RUN * runs + loading {
            self.lines.was_slow(program, Instant::now());
        }
        (outcome, worked)
    }

    async fn run(&mut self, program: &Arc<Program>, call: Call, limits: Limits) -> Outcome {
        match call.batch() {
            Some(requests) if requests.len() > 1 => match self.ask(program, call.clone(), limits).await {
                Ok(outcome) => outcome,
                Err(_) => self.singly(program, call, limits).await,
            },
            _ => self.alone(program, call, limits).await,
        }
    }

    /// One of these requests may have brought a child down: each is asked alone, so that only that one suffers.
    async fn singly(&mut self, program: &Arc<Program>, mut call: Call, limits: Limits) -> Outcome {
        let begun = Instant::now();
        let requests = call.batch_mut().map(std::mem::take).unwrap_or_default();
        let mut done: Option<Outcome> = None;
        for request in requests {
            if let Some(batch) = call.batch_mut() {
                *batch = vec![request];
            }
            match (self.alone(program, call.clone(), limits).await, &mut done) {
                (outcome, None) => done = Some(outcome),
                (Outcome::Folded(ran), Some(Outcome::Folded(all))) => all.extend(ran),
                (Outcome::Keyed(ran), Some(Outcome::Keyed(all))) => all.extend(ran),
                _ => break,
            }
            if let (Call::Fold { state, .. }, Some(Outcome::Folded(all))) = (&mut call, &done)
                && let Some(Ok(next)) = all.last().map(|ran| &ran.result)
            {
                *state = Some(next.clone());
            }
            let is_batch = matches!(done, Some(Outcome::Folded(_) | Outcome::Keyed(_)));
            if !is_batch || begun.elapsed() >= FOLD_SLICE {
                break;
            }
        }
        done.unwrap_or_else(|| Outcome::Unavailable("A batch without requests has no answer.".into()))
    }

    /// A call that loses so many children all by itself has crashed them. One or two may have been killed from outside.
    async fn alone(&mut self, program: &Arc<Program>, call: Call, limits: Limits) -> Outcome {
        for _ in 0..CHILDREN_LOST_MAX {
            if let Ok(outcome) = self.ask(program, call.clone(), limits).await {
                return outcome;
            }
        }
        outcome::stopped_call(&call, Stop::Crash)
    }

    async fn ask(&mut self, program: &Arc<Program>, call: Call, limits: Limits) -> Result<Outcome, Lost> {
        let begun = Instant::now();
        while self.child.is_none() {
            if begun.elapsed() >= CALL_WAIT {
                return Ok(Outcome::Unavailable("No isolate can be started.".into()));
            }
            self.refill().await;
        }
        let Some(child) = &mut self.child else { unreachable!("the seat was filled above") };
        match child.ask(program, call, limits).await {
            Ok(answer) => {
                self.barren = 0;
                if answer.resident_bytes > RESIDENT_BYTES_MAX {
                    self.leave();
                }
                Ok(answer.outcome)
            }
            Err(lost) => {
                tracing::warn!(seat = self.number, %lost, "an isolate was lost during a call and is replaced");
                self.leave();
                self.barren += 1;
                Err(lost)
            }
        }
    }

    /// Tries once to start a child, after a pause if those before it were of no use.
    async fn refill(&mut self) {
        if self.barren > 1 {
            let doublings = (self.barren - 2).min(16);
            sleep((RESPAWN_PAUSE_MIN * 2_u32.pow(doublings)).min(RESPAWN_PAUSE_MAX)).await;
        }
        self.report.starts.fetch_add(1, Ordering::Relaxed);
        match Child::start(&self.spawner).await {
            Ok(child) => self.take(child),
            Err(error) => {
                tracing::error!(seat = self.number, %error, "no isolate");
                self.barren += 1;
            }
        }
    }

    fn take(&mut self, child: Child) {
        *locked(&self.report.layers) = child.layers.clone();
        *locked(&self.report.started_in) = child.started_in;
        locked(&self.report.process_ids)[self.number] = child.process_id();
        self.child = Some(child);
    }

    /// Kills the child, if it is not dead yet.
    fn leave(&mut self) {
        locked(&self.report.process_ids)[self.number] = None;
        self.child = None;
    }
}
