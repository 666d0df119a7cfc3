//! The only types that go over the wire, and the only place where they are named: a file for each noun.

use std::{fmt::Display, ops::Deref};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use rules::{record::LaneId, refusal::Refusal};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::problem::Problem;

mod account;
mod answer;
mod event;
mod function;
mod health;
mod hook;
mod inbox;
mod job;
mod page;
mod queue;
mod receipt;
mod request;
mod run;
mod schedule;
mod transfer;
mod upload;
mod version;

pub use account::{
    AccountKeyDetail, AccountKeyMade, AskForLink, FollowLink, MailDetail, Me, NewAccountKey, RefreshToken, Settings,
    SettingsChange, Tokens,
};
pub use answer::{X_SEQ, response, state};
pub use event::{HookEvent, StateEvent};
pub use function::{
    BuildOver, BuildPrinted, DeploymentDetail, ExecutionDetail, ExecutionListed, FunctionChange, FunctionDetail,
    NamedVariable, NewExecution, RuntimesListed, VariableListed, deployment_status,
};
pub use health::{
    Children, FoldFigures, Health, HeldLimit, Latency, Memory, Node, StoreHealth, Wall, WriteFigures, ms,
};
pub use hook::{
    ActivityDetail, HookChange, HookDetail, KeyMade, Keys, NewHook, NewKey, NewSecret, SecretsListed, Series,
    Templates, Verified, WorkflowState,
};
pub use inbox::{DeliveryInstruction, NoticeListed, Notified, NotifiedReply};
pub use job::{
    DeliveredJob, FromWorker, JobDetail, JobEvent, JobLine, JobListed, JobMade, NewJob, WorkerFrame, WorkerListed,
    is_told, job_of, part_of,
};
pub use page::{NewPageState, PageEvent};
pub use queue::{Dequeued, DequeuedReply, Enqueued, EnqueuedReply, QueuedListed};
pub use receipt::{Accepted, Settled};
pub use request::{Console, EXCERPT_CHARS_MAX, RequestBrief, RequestDetail, RequestWhole, status_of};
pub use run::{
    ActionListed, NewAnswer, NewRun, NewState, Rendered, RunDetail, RunEvent, RunListed, RunMade, WrongField,
};
pub use schedule::{NewSchedule, ScheduleChange, ScheduleDetail};
pub use transfer::{ExportHead, ExportRecord, RequestExported};
pub use upload::{NewUpload, UploadMade};
pub use version::{Difference, NewPreview, PreviewDetail, Publishing, Replay, VersionListed};

pub fn id_of(lane: LaneId) -> String {
    Uuid::from_u128(lane.0).to_string()
}

pub fn lane_of(id: &str) -> Option<LaneId> {
    Uuid::parse_str(id).ok().map(|id| LaneId(id.as_u128()))
}

pub fn request_id(id: u128) -> String {
    Uuid::from_u128(id).to_string()
}

/// The largest body of a control call: source of the largest size, written as a string.
pub const CONTROL_BYTES_MAX: usize = 2 << 20;

/// The body of a control call, whole and within its bound.
pub struct Body(Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body, Problem> {
        Bytes::from_request(request, state).await.map(Body).map_err(|rejection| {
            Problem(match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    Refusal::BODY_TOO_LARGE.because("The body is larger than this call takes.")
                }
                _ => Refusal::BODY_UNREADABLE,
            })
        })
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// What a control call says. An absent or malformed body is refused in the same words everywhere.
pub fn body_of<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let malformed = |why: &dyn Display| {
        Problem(Refusal::BODY_MALFORMED.because(format!("The body is not what this call takes: {why}.")))
    };
    let body = if body.is_empty() { b"{}" } else { body };
    // A list would be taken for an object's fields in the order in which they happen to be declared.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(malformed(&"it is a list"));
    }
    serde_json::from_slice(body).map_err(|error| malformed(&error))
}

/// Every list looks like this.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    pub objects: Vec<T>,
    pub next_token: Option<String>,
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A state is JSON text already.
pub fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).or_else(|_| to_raw_value(json)).expect("a string always serialises")
}

/// In hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// A call that says no more than that it is done.
#[derive(Serialize)]
pub struct Done {}
