//! Jobs and workers, and the frames of the line between a worker and the server.

use engine::job::{Seen, ToWorker};
use rules::{
    call::{Error, Level, Line},
    job::{Brief, Dispatch, JOB_LEASE_MS, JobId, Kind, Part, Place, Progress, Status, Worker, WorkerId},
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{raw, request_id};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewJob {
    pub code: Option<String>,
    pub input: Option<Box<RawValue>>,
    pub inputs: Option<Vec<Box<RawValue>>>,
    pub timeout_ms: Option<u64>,
    #[serde(rename = "where")]
    pub place: Option<String>,
    pub dispatch: Option<String>,
    pub verify: Option<u32>,
    pub name: Option<String>,
}

#[derive(Serialize)]
pub struct JobMade {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// A job that a page did itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveredJob {
    pub key: String,
    pub name: Option<String>,
    pub code: String,
    pub input: Option<Box<RawValue>>,
    pub result: Option<Box<RawValue>>,
    pub error: Option<JobError>,
    #[serde(default)]
    pub console: Vec<JobLine>,
    pub started_at: u64,
    pub finished_at: u64,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct JobError {
    pub name: String,
    pub message: String,
    #[serde(default)]
    pub stack: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct JobLine {
    pub level: String,
    pub text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobListed {
    id: String,
    name: Option<String>,
    status: &'static str,
    #[serde(rename = "where")]
    place: &'static str,
    dispatch: &'static str,
    verify: u32,
    timeout_ms: u64,
    /// Of its inputs, where it was given a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
    /// Of them, those that are over.
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<u32>,
    progress: Option<JobProgress>,
    error: Option<JobError>,
    worker: Option<String>,
    attempts: u32,
    created_at: u64,
    started_at: Option<u64>,
    finished_at: Option<u64>,
}

#[derive(Serialize)]
pub struct JobProgress {
    done: f64,
    total: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobDetail {
    #[serde(flatten)]
    pub job: JobListed,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Of a job with one input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    pub console: Vec<JobLine>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum JobEvent {
    Job {
        job: Box<JobDetail>,
    },
    /// More changed than was told: look again.
    Behind,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerListed {
    id: String,
    name: String,
    kind: &'static str,
    threads: u32,
    running: usize,
    user_agent: Option<String>,
    connected_at: u64,
}

/// What a worker says. Which fields there are depends on the type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FromWorker {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: Option<String>,
    pub threads: Option<u32>,
    pub user_agent: Option<String>,
    pub running: Option<Vec<String>>,
    pub id: Option<String>,
    pub fence: Option<u64>,
    pub value: Option<Box<RawValue>>,
    pub error: Option<JobError>,
    pub level: Option<String>,
    pub text: Option<String>,
    pub done: Option<f64>,
    pub total: Option<f64>,
    pub note: Option<String>,
}

/// What a worker is told.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum WorkerFrame<'a> {
    Welcome { worker_id: String, lease_ms: u64 },
    Job { id: String, fence: u64, code: &'a str, input: &'a RawValue, timeout_ms: u64 },
    Cancel { id: String },
    Refused { id: Option<String>, fence: Option<u64>, code: &'a str, message: &'a str },
}

impl JobListed {
    pub fn of(Seen { id, brief, progress, .. }: &Seen) -> JobListed {
        let at = |at: rules::record::At| at.0;
        JobListed {
            id: request_id(*id),
            name: brief.name.clone(),
            status: word_of(brief.status),
            place: place_of(brief.place),
            dispatch: dispatch_of(brief.dispatch),
            verify: brief.verify,
            timeout_ms: brief.timeout_ms,
            count: brief.is_fan_out.then_some(brief.parts),
            done: brief.is_fan_out.then_some(brief.over),
            progress: progress.clone().map(|Progress { done, total, note }| JobProgress { done, total, note }),
            error: brief.error.clone().map(JobError::of),
            worker: brief.worker.clone(),
            attempts: brief.attempts,
            created_at: at(brief.created_at),
            started_at: brief.started_at.map(at),
            finished_at: brief.finished_at.map(at),
        }
    }
}

impl JobDetail {
    pub fn of(seen: &Seen, result: Option<&str>, console: &[Line]) -> JobDetail {
        let lines = seen.console.iter().chain(console).map(JobLine::of).collect();
        JobDetail { job: JobListed::of(seen), code: None, input: None, result: result.map(raw), console: lines }
    }
}

impl JobError {
    pub fn of(Error { name, message, stack, .. }: Error) -> JobError {
        JobError { name, message, stack }
    }

    pub fn into_error(self) -> Error {
        let JobError { name, message, stack } = self;
        Error { name, message, stack, place: None }
    }
}

impl JobLine {
    fn of(line: &Line) -> JobLine {
        let level = match line.level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Log => "log",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        JobLine { level: level.into(), text: line.messages.join(" ") }
    }

    pub fn into_line(self) -> Line {
        let level = match &*self.level {
            "trace" => Level::Trace,
            "debug" => Level::Debug,
            "info" => Level::Info,
            "warn" => Level::Warn,
            "error" => Level::Error,
            _ => Level::Log,
        };
        Line { level, messages: vec![self.text] }
    }
}

impl WorkerListed {
    pub fn of(worker: &Worker) -> WorkerListed {
        WorkerListed {
            id: request_id(worker.id.0),
            name: worker.name.clone(),
            kind: match worker.kind {
                Kind::Tab => "tab",
                Kind::Headless => "headless",
                Kind::Server => "server",
            },
            threads: worker.threads,
            running: worker.leases.len(),
            user_agent: worker.user_agent.clone(),
            connected_at: worker.since.0,
        }
    }
}

impl WorkerFrame<'_> {
    pub fn welcome(id: WorkerId) -> String {
        written(&WorkerFrame::Welcome { worker_id: request_id(id.0), lease_ms: JOB_LEASE_MS })
    }

    pub fn refused(id: Option<String>, fence: Option<u64>, refusal: &Refusal) -> String {
        written(&WorkerFrame::Refused { id, fence, code: refusal.code, message: &refusal.detail })
    }

    pub fn of(message: &ToWorker) -> String {
        match message {
            ToWorker::Job { part, fence, task, timeout_ms } => {
                let input = raw(task.inputs.get(part.index as usize).map_or("null", |input| &**input));
                let (id, code, input) = (part_id(*part), &*task.code, &*input);
                written(&WorkerFrame::Job { id, fence: *fence, code, input, timeout_ms: *timeout_ms })
            }
            ToWorker::Cancel { part } => written(&WorkerFrame::Cancel { id: part_id(*part) }),
            ToWorker::Refused { part, fence, refusal } => {
                WorkerFrame::refused(Some(part_id(*part)), Some(*fence), refusal)
            }
        }
    }
}

fn written(frame: &WorkerFrame) -> String {
    serde_json::to_string(frame).expect("a frame is plain data")
}

/// Of the first input `JOB`, of the others `JOB:INDEX`. To a worker it is a name, and no more.
fn part_id(Part { job, index }: Part) -> String {
    if index == 0 { request_id(job) } else { format!("{}:{index}", request_id(job)) }
}

pub fn part_of(id: &str) -> Option<Part> {
    let (job, index) = id.split_once(':').unwrap_or((id, "0"));
    Some(Part { job: job_of(job)?, index: index.parse().ok()? })
}

pub fn job_of(id: &str) -> Option<JobId> {
    uuid::Uuid::parse_str(id).ok().map(|id| id.as_u128())
}

fn word_of(status: Status) -> &'static str {
    match status {
        Status::Queued => "queued",
        Status::Leased => "leased",
        Status::Done => "done",
        Status::Failed => "failed",
        Status::TimedOut => "timed_out",
        Status::Cancelled => "cancelled",
    }
}

fn place_of(place: Place) -> &'static str {
    match place {
        Place::Any => "any",
        Place::Tab => "tab",
        Place::Server => "server",
    }
}

fn dispatch_of(dispatch: Dispatch) -> &'static str {
    match dispatch {
        Dispatch::RoundRobin => "round-robin",
        Dispatch::LeastLoaded => "least-loaded",
    }
}

impl NewJob {
    /// `None` for words that name no place.
    pub fn place(&self) -> Option<Place> {
        match self.place.as_deref() {
            None | Some("any") => Some(Place::Any),
            Some("tab") => Some(Place::Tab),
            Some("server") => Some(Place::Server),
            Some(_) => None,
        }
    }

    pub fn dispatch(&self) -> Option<Dispatch> {
        match self.dispatch.as_deref() {
            None | Some("round-robin") => Some(Dispatch::RoundRobin),
            Some("least-loaded") => Some(Dispatch::LeastLoaded),
            Some(_) => None,
        }
    }
}

/// Whether a result is told with every change of a job, and not only to who asks.
pub fn is_told(brief: &Brief) -> bool {
    !brief.is_fan_out && brief.result_bytes <= RESULT_TOLD_BYTES_MAX
}

/// A larger result is told to who asks for the job.
pub const RESULT_TOLD_BYTES_MAX: u64 = 64 << 10;
