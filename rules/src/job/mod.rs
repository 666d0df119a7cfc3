//! An account's jobs: what waits, who runs it, what came of it.
//!
//! A job has a part for each of its inputs. A part is *leased*: handed to a worker with a fence, a number that no other
//! lease has. What a worker says counts while its lease holds, so each part has exactly one accepted end. Leases are not
//! kept: they end with the connection that they are about, and a server that starts again hands out every part anew.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    sync::Arc,
    vec::Vec,
};
use serde::{Deserialize, Serialize};

use crate::{
    call::{Error, Json, Line},
    record::{At, Journal, LaneId, Position, Record},
    refusal::Refusal,
    row,
};

mod dispatch;
mod verdict;

pub use dispatch::{Kind, Lease, Progress, Said, Worker, WorkerId};
use verdict::Votes;

/// Parts of one account's jobs that may wait or run at a time.
pub const JOB_PARTS_OPEN_MAX: usize = 100_000;
/// Inputs of one job.
pub const JOB_INPUTS_MAX: usize = 100_000;
/// One input, and one result, as JSON.
pub const JOB_JSON_BYTES_MAX: usize = 1 << 20;
/// The results of one job together.
pub const JOB_RESULTS_BYTES_MAX: u64 = 64 << 20;
/// How long a job may run where nothing else is asked.
pub const JOB_TIMEOUT_MS: u64 = 30_000;
/// And at most.
pub const JOB_TIMEOUT_MS_MAX: u64 = 600_000;
/// Workers that may be asked for the same.
pub const JOB_VERIFY_MAX: u32 = 15;
/// The name of a job.
pub const JOB_NAME_CHARS_MAX: usize = 200;
/// A worker that is silent for so long has lost what it runs.
pub const JOB_LEASE_MS: u64 = 10_000;
/// Threads that a worker may say it has.
pub const JOB_THREADS_MAX: u32 = 256;
/// Workers of one account that are connected at a time.
pub const JOB_WORKERS_MAX: usize = 1_000;

/// UUIDv7: the order of ids is that of time.
pub type JobId = u128;

/// One input of a job, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    pub job: JobId,
    pub index: u32,
}

/// Where a job may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// With a worker of its account; while none of them has a thread free, on the server.
    #[default]
    Any,
    /// With a worker of its account.
    Tab,
    Server,
}

/// Which of those with a free thread is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dispatch {
    #[default]
    RoundRobin,
    LeastLoaded,
}

/// What is to be done; it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub code: Arc<str>,
    pub inputs: Vec<Json>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Queued,
    /// At least one part of it. Never kept.
    Leased,
    Done,
    Failed,
    TimedOut,
    Cancelled,
}

/// A job as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    pub name: Option<String>,
    pub status: Status,
    pub place: Place,
    pub dispatch: Dispatch,
    /// It was given a list of inputs, and its result is a list.
    pub is_fan_out: bool,
    pub parts: u32,
    /// Of them, those that are over.
    pub over: u32,
    /// What a worker may take for each.
    pub timeout_ms: u64,
    /// How many workers are asked for each.
    pub verify: u32,
    /// Of its results together.
    pub result_bytes: u64,
    /// How often it was handed out; those of an earlier life of the server are not counted.
    pub attempts: u32,
    /// Who ran it last.
    pub worker: Option<String>,
    /// Of the first part that failed.
    pub error: Option<Error>,
    pub created_at: At,
    pub started_at: Option<At>,
    pub finished_at: Option<At>,
}

/// How a part ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    Done(Json),
    Failed(Error),
    TimedOut,
}

/// What came of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub end: End,
    pub console: Vec<Line>,
    /// Whose word it is.
    pub worker: String,
    pub started_at: At,
    pub finished_at: At,
}

/// What the records of the lane say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    Submitted {
        id: JobId,
        brief: Brief,
        task: Task,
    },
    Ended {
        id: JobId,
        index: u32,
        outcome: Outcome,
    },
    Cancelled {
        id: JobId,
        at: At,
    },
    /// A guest became a user. What was recorded of the job stands in the lane of the guest's jobs.
    Adopted {
        id: JobId,
        from: LaneId,
        at: At,
    },
    Given {
        id: JobId,
        to: LaneId,
        at: At,
    },
}

/// A guest's job on its way to the user that the guest became.
#[derive(Clone, Debug)]
pub struct Adopted {
    pub from: LaneId,
    pub brief: Brief,
    pub task: Task,
    pub over: BTreeSet<u32>,
}

/// The jobs of an account that are not over, and its workers.
#[derive(Debug)]
pub struct Jobs {
    account: LaneId,
    journal: Journal,
    open: BTreeMap<JobId, Open>,
    /// How many parts of `open` are not over.
    parts_open: usize,
    /// Parts that wait to be handed out, by where they may run; the oldest first.
    waiting: [BTreeSet<Part>; 3],
    /// Parts that wait for more than one worker.
    doubted: BTreeSet<Part>,
    workers: Vec<Worker>,
    /// Behind whom round-robin goes on.
    last_asked: WorkerId,
    next_fence: u64,
}

/// A job that is not over.
#[derive(Debug)]
struct Open {
    brief: Brief,
    /// Parts that are over, of a job with more than one.
    over: BTreeSet<u32>,
    votes: BTreeMap<u32, Votes>,
}

/// What was decided: kept first, done after.
#[derive(Debug, Default)]
pub struct Step {
    pub expect: Position,
    pub records: Vec<Record>,
    pub rows: Vec<row::Change>,
    pub effects: Vec<Effect>,
    /// Jobs whose rows are written when the step is over: once, however often they changed.
    touched: BTreeSet<JobId>,
    /// Jobs that are first kept with this step: none of them is handed out before.
    pub submitted: BTreeSet<JobId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A lease is no record: a part that was kept before need not wait for this step's commit.
    Give { worker: WorkerId, part: Part, fence: u64 },
    /// It need not go on with it.
    Take { worker: WorkerId, part: Part },
    /// Whoever looks at it looks again.
    Changed(JobId),
}

impl Status {
    pub fn is_over(self) -> bool {
        !matches!(self, Status::Queued | Status::Leased)
    }
}

impl Brief {
    pub fn new(place: Place, is_fan_out: bool, parts: u32, created_at: At) -> Brief {
        Brief {
            name: None,
            status: Status::Queued,
            place,
            dispatch: Dispatch::RoundRobin,
            is_fan_out,
            parts,
            over: 0,
            timeout_ms: JOB_TIMEOUT_MS,
            verify: 1,
            result_bytes: 0,
            attempts: 0,
            worker: None,
            error: None,
            created_at,
            started_at: None,
            finished_at: None,
        }
    }

    fn add(&mut self, outcome: &Outcome) {
        let Outcome { end, worker, started_at, finished_at, .. } = outcome;
        self.over += 1;
        self.worker = Some(worker.clone());
        self.started_at = Some(self.started_at.map_or(*started_at, |first| first.min(*started_at)));
        let (status, error) = match end {
            End::Done(json) => {
                self.result_bytes += json.len() as u64;
                (Status::Done, None)
            }
            End::Failed(error) => (Status::Failed, Some(error.clone())),
            End::TimedOut => (Status::TimedOut, Some(Error::plain("TimeoutError", "It took longer than it may."))),
        };
        if self.error.is_none() {
            self.error = error;
        }
        if self.over == self.parts {
            self.finished_at = Some(*finished_at);
            self.status = match (&self.error, status) {
                (None, _) => Status::Done,
                (Some(_), status) if self.parts == 1 => status,
                (Some(_), _) => Status::Failed,
            };
        }
    }
}

impl Jobs {
    /// Its lane follows from the account.
    pub fn lane(account: LaneId) -> LaneId {
        account.derived("everfold 2026 jobs of an account")
    }

    /// Those of an account, with nothing open. `next_fence` is larger than any that was handed out before.
    pub fn new(account: LaneId, journal: Journal, next_fence: u64) -> Jobs {
        Jobs {
            account,
            journal,
            open: BTreeMap::new(),
            parts_open: 0,
            waiting: Default::default(),
            doubted: BTreeSet::new(),
            workers: Vec::new(),
            last_asked: WorkerId(0),
            next_fence,
        }
    }

    /// An open job, as its rows say; `over` are its parts that are.
    pub fn load(&mut self, id: JobId, brief: Brief, over: BTreeSet<u32>) {
        self.parts_open += (brief.parts - brief.over) as usize;
        self.open.insert(id, Open { brief, over, votes: BTreeMap::new() });
        let open = &self.open[&id];
        let left: Vec<u32> = (0..open.brief.parts).filter(|index| !open.over.contains(index)).collect();
        left.into_iter().for_each(|index| self.enqueue(Part { job: id, index }));
    }

    pub fn step(&self) -> Step {
        Step { expect: self.journal.tail, ..Step::default() }
    }

    pub fn submit(&mut self, id: JobId, brief: Brief, task: Task, step: &mut Step) -> Result<(), Refusal> {
        if self.parts_open + brief.parts as usize > JOB_PARTS_OPEN_MAX {
            return Err(Refusal::JOBS_FULL);
        }
        self.record_submitted(id, &brief, &task, step);
        if brief.parts == 0 {
            self.keep_over(id, Brief { status: Status::Done, finished_at: Some(brief.created_at), ..brief }, step);
        } else {
            self.load(id, brief, BTreeSet::new());
            step.touched.insert(id);
        }
        step.effects.push(Effect::Changed(id));
        Ok(())
    }

    /// A job that its submitter ran, while the server was away. `known` is what its row says, when there is one: the
    /// first result of a job stays.
    pub fn deliver(
        &mut self,
        id: JobId,
        known: Option<&Brief>,
        brief: Brief,
        task: Task,
        outcome: Outcome,
        step: &mut Step,
    ) {
        if self.open.get(&id).is_some_and(|open| open.brief.parts == 1) {
            self.end_part(Part { job: id, index: 0 }, outcome, step);
        } else if known.is_none() && !self.open.contains_key(&id) {
            self.record_submitted(id, &brief, &task, step);
            self.load(id, brief, BTreeSet::new());
            self.end_part(Part { job: id, index: 0 }, outcome, step);
        }
    }

    pub fn cancel(&mut self, id: JobId, at: At, step: &mut Step) -> Result<(), Refusal> {
        let Open { brief, .. } = self.forget(id, step).ok_or(Refusal::JOB_OVER)?;
        step.records.push(self.journal.note(row::encode(&Entry::Cancelled { id, at })));
        self.keep_over(id, Brief { status: Status::Cancelled, finished_at: Some(at), ..brief }, step);
        step.effects.push(Effect::Changed(id));
        Ok(())
    }

    /// An open job is no longer one: nobody goes on with it.
    fn forget(&mut self, id: JobId, step: &mut Step) -> Option<Open> {
        let open = self.open.remove(&id)?;
        self.parts_open -= (open.brief.parts - open.brief.over) as usize;
        let parts = Part { job: id, index: 0 }..=Part { job: id, index: u32::MAX };
        for waiting in self.waiting.iter_mut().chain([&mut self.doubted]) {
            let left: Vec<Part> = waiting.range(parts.clone()).copied().collect();
            for part in left {
                waiting.remove(&part);
            }
        }
        for worker in &mut self.workers {
            let leased: Vec<Part> = worker.leases.range(parts.clone()).map(|(part, _)| *part).collect();
            for part in leased {
                worker.leases.remove(&part);
                step.effects.push(Effect::Take { worker: worker.id, part });
            }
        }
        Some(open)
    }

    /// Takes what came of some parts of a guest's job, before the job itself.
    pub fn adopt_parts(&mut self, id: JobId, from: LaneId, parts: Vec<(u32, Outcome)>, at: At, step: &mut Step) {
        let rows = parts.iter().map(|(index, one)| (row::part(self.account, id, *index), Some(row::encode(one))));
        step.rows.extend(rows);
        step.records.push(self.journal.note(row::encode(&Entry::Adopted { id, from, at })));
    }

    /// Takes a guest's job, of which these parts are over, unless it was taken before: `is_known` says whether its row
    /// is there.
    pub fn adopt(
        &mut self,
        id: JobId,
        is_known: bool,
        adopted: Adopted,
        at: At,
        step: &mut Step,
    ) -> Result<(), Refusal> {
        let Adopted { from, brief, task, over } = adopted;
        if is_known || self.open.contains_key(&id) {
            return Ok(());
        }
        if !brief.status.is_over() && self.parts_open + (brief.parts - brief.over) as usize > JOB_PARTS_OPEN_MAX {
            return Err(Refusal::JOBS_FULL);
        }
        step.submitted.insert(id);
        step.records.push(self.journal.note(row::encode(&Entry::Adopted { id, from, at })));
        step.rows.push((row::task(self.account, id), Some(row::encode(&task))));
        if brief.status.is_over() {
            step.rows.push((row::job(self.account, id), Some(row::encode(&brief))));
        } else {
            self.load(id, brief, over);
            step.touched.insert(id);
        }
        step.effects.push(Effect::Changed(id));
        Ok(())
    }

    /// Lets go of a job that another account has taken; of its parts, these are known to be over.
    pub fn give(&mut self, id: JobId, to: LaneId, mut over: BTreeSet<u32>, at: At, step: &mut Step) {
        if let Some(open) = self.forget(id, step) {
            over.extend(open.over);
        }
        step.touched.remove(&id);
        let account = self.account;
        let parts = over.into_iter().map(|index| row::part(account, id, index));
        let rows = [row::job(account, id), row::open_job(account, id), row::task(account, id)].into_iter().chain(parts);
        step.rows.extend(rows.map(|key| (key, None)));
        step.records.push(self.journal.note(row::encode(&Entry::Given { id, to, at })));
        step.effects.push(Effect::Changed(id));
    }

    /// An open job as it stands now.
    pub fn brief(&self, id: JobId) -> Option<Brief> {
        let mut brief = self.open.get(&id)?.brief.clone();
        if self.leases_of(id).next().is_some() {
            brief.status = Status::Leased;
        }
        Some(brief)
    }

    pub fn leases_of(&self, id: JobId) -> impl Iterator<Item = (&Worker, Part, &Lease)> {
        let parts = Part { job: id, index: 0 }..=Part { job: id, index: u32::MAX };
        self.workers
            .iter()
            .flat_map(move |worker| worker.leases.range(parts.clone()).map(move |(part, lease)| (worker, *part, lease)))
    }

    pub fn workers(&self) -> &[Worker] {
        &self.workers
    }

    /// Nothing waits, and nobody is there.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty() && self.workers.iter().all(|worker| worker.kind == Kind::Server)
    }

    /// Writes the rows of what changed. The last thing that a step does.
    pub fn settle(&mut self, step: &mut Step) {
        for id in core::mem::take(&mut step.touched) {
            if let Some(open) = self.open.get(&id) {
                let bytes = row::encode(&open.brief);
                step.rows.push((row::job(self.account, id), Some(bytes.clone())));
                step.rows.push((row::open_job(self.account, id), Some(bytes)));
            }
        }
        if !step.records.is_empty() {
            step.rows.push((row::jobs(self.account), Some(row::encode(&self.journal))));
        }
    }

    fn record_submitted(&mut self, id: JobId, brief: &Brief, task: &Task, step: &mut Step) {
        let entry = Entry::Submitted { id, brief: brief.clone(), task: task.clone() };
        step.submitted.insert(id);
        step.records.push(self.journal.arrived(row::encode(&entry)));
        step.rows.push((row::task(self.account, id), Some(row::encode(task))));
    }

    fn keep_over(&mut self, id: JobId, brief: Brief, step: &mut Step) {
        step.touched.remove(&id);
        step.rows.push((row::job(self.account, id), Some(row::encode(&brief))));
        step.rows.push((row::open_job(self.account, id), None));
    }

    /// The one accepted end of a part.
    fn end_part(&mut self, part: Part, outcome: Outcome, step: &mut Step) {
        let Part { job: id, index } = part;
        self.dequeue(part);
        for worker in &mut self.workers {
            if worker.leases.remove(&part).is_some() {
                step.effects.push(Effect::Take { worker: worker.id, part });
            }
        }
        let Some(open) = self.open.get_mut(&id) else { return };
        open.brief.add(&outcome);
        open.over.insert(index);
        open.votes.remove(&index);
        self.parts_open -= 1;
        let is_over = open.brief.status.is_over();
        step.rows.push((row::part(self.account, id, index), Some(row::encode(&outcome))));
        step.records.push(self.journal.note(row::encode(&Entry::Ended { id, index, outcome })));
        step.touched.insert(id);
        if is_over && let Some(Open { brief, .. }) = self.open.remove(&id) {
            self.keep_over(id, brief, step);
        }
        step.effects.push(Effect::Changed(id));
    }

    fn enqueue(&mut self, part: Part) {
        let Some(open) = self.open.get(&part.job) else { return };
        let queue = match (open.brief.verify, open.brief.place) {
            (2.., _) => &mut self.doubted,
            (_, Place::Any) => &mut self.waiting[0],
            (_, Place::Tab) => &mut self.waiting[1],
            (_, Place::Server) => &mut self.waiting[2],
        };
        queue.insert(part);
    }

    fn dequeue(&mut self, part: Part) {
        for waiting in self.waiting.iter_mut().chain([&mut self.doubted]) {
            waiting.remove(&part);
        }
    }
}
