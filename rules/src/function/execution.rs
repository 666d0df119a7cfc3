//! Executions of a function: one request to it each, and what came of it.

use alloc::{borrow::Cow, format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::DeploymentId;
use crate::{
    account::Step,
    call::Bytes,
    record::{At, Journal, LaneId, Seq},
    refusal::Refusal,
    row,
};

/// What is kept of a response's body; of a longer one, its beginning.
pub const EXECUTION_BODY_BYTES_MAX: usize = 1 << 20;
/// What is kept of the log of one request, and as much of its errors.
pub const EXECUTION_LOG_BYTES_MAX: usize = 5 << 20;
/// How often an execution that nobody waits for is tried before it has failed.
pub const EXECUTION_ATTEMPTS_MAX: u32 = 5;
/// Executions of one function that may wait for their turn or their time.
pub const EXECUTIONS_WAITING_MAX: u32 = 10_000;
/// The longest time that one is put off.
pub const EXECUTION_DELAY_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;
pub const EXECUTION_PATH_BYTES_MAX: usize = 16 << 10;

/// UUIDv7: the order of ids is that of time.
pub type ExecutionId = u128;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    pub id: ExecutionId,
    /// The one that answered, or would have.
    pub deployment: Option<DeploymentId>,
    pub trigger: Trigger,
    pub method: String,
    /// With its query.
    pub path: String,
    pub standing: Standing,
    /// Of those that were begun, how many a failure of the server's own ended.
    pub attempts: u32,
    pub created_at: At,
    /// Nobody waits for it.
    pub is_async: bool,
    pub scheduled_at: Option<At>,
    /// Where its log says it last.
    pub seq: Seq,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trigger {
    Http,
    Api,
    Schedule,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Until then.
    Waiting(At),
    Processing,
    Over(Outcome),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// As the function answered, whatever it answered.
    pub status: Option<u16>,
    pub failure: Option<Failure>,
    pub duration_us: u64,
    /// An instance was started for it.
    pub is_cold: bool,
}

/// What the function said. Kept once, in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub headers: Vec<(String, Bytes)>,
    pub body: Bytes,
    /// Its body went on.
    pub is_cut: bool,
    pub logs: String,
    pub errors: String,
}

/// What is to be sent when its time comes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub headers: Vec<(String, Bytes)>,
    pub body: Bytes,
}

/// Why a function did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The last lines that it printed.
    CrashedAtStart(Vec<String>),
    TimedOut {
        after_ms: u64,
    },
    OutOfMemory,
    CpuExceeded,
    Exited(i32),
    Signalled(i32),
    /// Its server ended while this request was with it, for no fault of this one.
    Ended,
    QueueFull {
        retry_after_s: u32,
    },
    /// It has no code that answers.
    NoDeployment,
    NotReady(String),
    /// What it answered is no response, or broke off.
    Broken(String),
    ResponseTooLarge,
    /// Whoever called did not send all of the body.
    Unsent,
}

/// The lane of a function's executions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executions {
    function: LaneId,
    journal: Journal,
    waiting: u32,
}

/// What the records of this lane say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    Asked { execution: Execution, asked: Asked },
    Begun { id: ExecutionId, attempts: u32, at: At },
    Over { execution: Execution, said: Said },
}

impl Failure {
    pub fn code(&self) -> &'static str {
        self.kind().code
    }

    /// What whoever called is told. What its server printed is its owner's to read.
    pub fn refusal(&self) -> Refusal {
        match self {
            Failure::CrashedAtStart(_) => self.kind(),
            Failure::QueueFull { retry_after_s } => Refusal { retry_after_s: Some(*retry_after_s), ..self.kind() },
            _ => self.kind().because(self.sentence()),
        }
    }

    fn kind(&self) -> Refusal {
        match self {
            Failure::CrashedAtStart(_) => Refusal::FUNCTION_CRASHED_AT_START,
            Failure::TimedOut { .. } => Refusal::FUNCTION_TIMED_OUT,
            Failure::OutOfMemory => Refusal::FUNCTION_OUT_OF_MEMORY,
            Failure::CpuExceeded => Refusal::FUNCTION_CPU_EXCEEDED,
            Failure::Exited(_) | Failure::Signalled(_) | Failure::Ended => Refusal::FUNCTION_EXITED,
            Failure::QueueFull { .. } => Refusal::FUNCTION_QUEUE_FULL,
            Failure::NoDeployment | Failure::NotReady(_) => Refusal::FUNCTION_NOT_READY,
            Failure::Broken(_) => Refusal::FUNCTION_REPLY_BROKEN,
            Failure::ResponseTooLarge => Refusal::FUNCTION_RESPONSE_TOO_LARGE,
            Failure::Unsent => Refusal::BODY_UNREADABLE,
        }
    }

    /// What a person is told.
    pub fn sentence(&self) -> Cow<'static, str> {
        match self {
            Failure::CrashedAtStart(lines) if lines.is_empty() => {
                "The function's server ended before it accepted a request, and printed nothing.".into()
            }
            Failure::CrashedAtStart(lines) => {
                format!("The function's server ended before it accepted a request. It printed:\n{}", lines.join("\n"))
                    .into()
            }
            Failure::TimedOut { after_ms } => {
                format!("The function did not answer within {after_ms} ms, and was stopped.").into()
            }
            Failure::OutOfMemory => "The function used up its memory, and was stopped.".into(),
            Failure::CpuExceeded => "The function used up its processor time, and was stopped.".into(),
            Failure::Exited(code) => {
                format!("The function's server exited with code {code} before it answered.").into()
            }
            Failure::Signalled(signal) => {
                format!("The function's server was ended by signal {signal} before it answered.").into()
            }
            Failure::Ended => {
                "The function's server was stopped for what another request did, before it answered this one.".into()
            }
            Failure::QueueFull { .. } => "Every instance of the function is busy, and others wait.".into(),
            Failure::NoDeployment => "The function has no code that could answer.".into(),
            Failure::NotReady(why) => format!("The function cannot be run at the moment: {why}").into(),
            Failure::Broken(why) => format!("The function's server did not answer as HTTP has it: {why}").into(),
            Failure::ResponseTooLarge => "The function's response is larger than it may be.".into(),
            Failure::Unsent => "The body of the request did not come in time.".into(),
        }
    }

    /// Whether it is the server's own, so that it may be tried again: user code that fails has failed.
    pub fn is_ours(&self) -> bool {
        matches!(self, Failure::QueueFull { .. } | Failure::NotReady(_) | Failure::Ended)
    }
}

impl Execution {
    pub fn is_over(&self) -> bool {
        matches!(self.standing, Standing::Over(_))
    }

    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.standing {
            Standing::Over(outcome) => Some(outcome),
            _ => None,
        }
    }
}

impl Executions {
    pub fn of(function: LaneId) -> Executions {
        Executions { function, journal: Journal::EMPTY, waiting: 0 }
    }

    /// The lane that follows from the function's.
    pub fn lane(function: LaneId) -> LaneId {
        let hash = blake3::derive_key("everfold 2026 executions of a function", &function.0.to_be_bytes());
        let (first, _) = hash.split_first_chunk().expect("32 bytes hold 16");
        LaneId(u128::from_be_bytes(*first))
    }

    /// One that is done when its time has come.
    pub fn ask(&mut self, mut execution: Execution, asked: Asked) -> Step<()> {
        let Standing::Waiting(due) = execution.standing else { unreachable!("what is asked for waits") };
        if self.waiting >= EXECUTIONS_WAITING_MAX {
            let (expect, records, rows) = (self.journal.tail, Vec::new(), Vec::new());
            return Step { expect, records, rows, result: Err(Refusal::EXECUTIONS_TOO_MANY) };
        }
        self.waiting += 1;
        let expect = self.journal.tail;
        execution.seq = Seq(self.journal.seq().0 + 1);
        let record = self.journal.arrived(row::encode(&Entry::Asked { execution: execution.clone(), asked }));
        let mut rows = Vec::from([
            (row::execution(self.function, execution.id), Some(row::encode(&execution))),
            (row::execution_due(due, self.function, execution.id), Some(Vec::new())),
            self.row(),
        ]);
        if let (Trigger::Schedule, Some(at)) = (execution.trigger, execution.scheduled_at) {
            // Kept with it, so that whoever comes next neither calls at this time again nor forgets it.
            rows.push((row::function_called(self.function), Some(row::encode(&at))));
        }
        Step { expect, records: Vec::from([record]), rows, result: Ok(()) }
    }

    /// Before it is tried: whoever crashes over it is known by how often it was begun.
    pub fn begin(&mut self, execution: &mut Execution, at: At) -> Step<()> {
        let due = due_of(execution);
        execution.attempts += 1;
        execution.standing = Standing::Waiting(at);
        let expect = self.journal.tail;
        let entry = Entry::Begun { id: execution.id, attempts: execution.attempts, at };
        let record = self.journal.arrived(row::encode(&entry));
        let rows = Vec::from([
            (row::execution_due(due, self.function, execution.id), None),
            (row::execution_due(at, self.function, execution.id), Some(Vec::new())),
            (row::execution(self.function, execution.id), Some(row::encode(execution))),
            self.row(),
        ]);
        Step { expect, records: Vec::from([record]), rows, result: Ok(()) }
    }

    /// To be tried again then.
    pub fn put_off(&mut self, execution: &mut Execution, until: At) -> Step<()> {
        let due = due_of(execution);
        execution.standing = Standing::Waiting(until);
        let rows = Vec::from([
            (row::execution_due(due, self.function, execution.id), None),
            (row::execution_due(until, self.function, execution.id), Some(Vec::new())),
            (row::execution(self.function, execution.id), Some(row::encode(execution))),
        ]);
        Step { expect: self.journal.tail, records: Vec::new(), rows, result: Ok(()) }
    }

    /// Those that are over, in one step. `due`: under which time one waited that nobody waited for.
    pub fn end(&mut self, over: Vec<(Execution, Said, Option<At>)>) -> Step<()> {
        let expect = self.journal.tail;
        let (mut records, mut rows) = (Vec::new(), Vec::new());
        for (mut execution, said, due) in over {
            execution.seq = Seq(self.journal.seq().0 + 1);
            rows.push((row::execution(self.function, execution.id), Some(row::encode(&execution))));
            if let Some(due) = due {
                self.waiting = self.waiting.saturating_sub(1);
                rows.push((row::execution_due(due, self.function, execution.id), None));
            }
            records.push(self.journal.arrived(row::encode(&Entry::Over { execution, said })));
        }
        rows.push(self.row());
        Step { expect, records, rows, result: Ok(()) }
    }

    /// What was asked for.
    pub fn asked_of(record: &[u8]) -> Option<Asked> {
        match row::decode(record)? {
            Entry::Asked { asked, .. } => Some(asked),
            _ => None,
        }
    }

    /// What was said.
    pub fn said_of(record: &[u8]) -> Option<Said> {
        match row::decode(record)? {
            Entry::Over { said, .. } => Some(said),
            _ => None,
        }
    }

    fn row(&self) -> row::Change {
        (row::executions(self.function), Some(row::encode(self)))
    }
}

/// Under which time an open one waits.
pub fn due_of(execution: &Execution) -> At {
    match execution.standing {
        Standing::Waiting(due) => due,
        _ => execution.created_at,
    }
}
