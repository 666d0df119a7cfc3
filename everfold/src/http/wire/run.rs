//! Actions and runs as people and programs see them. Questions are in the shapes of the SDK.

use rules::{
    call::{Error, Level},
    record::LaneId,
    run::{Brief, Call, Ending, Log, Origin, Run, Status, Why},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::{id_of, raw};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionListed {
    pub slug: String,
    pub name: String,
    pub description: Option<String>,
    pub source: &'static str,
    /// Whose code it is in.
    pub hook_id: Option<String>,
    pub online: bool,
    pub unlisted: bool,
    pub is_page: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewRun {
    #[serde(default)]
    pub params: Map<String, Value>,
    pub params_meta: Option<Value>,
}

#[derive(Serialize)]
pub struct RunMade {
    pub id: String,
    pub url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewAnswer {
    pub key: String,
    pub values: Vec<Value>,
    pub values_meta: Option<Value>,
    pub choice: Option<String>,
}

#[derive(Deserialize)]
pub struct NewState {
    pub key: String,
    pub values: Vec<Value>,
}

#[derive(Serialize)]
pub struct WrongField {
    pub index: usize,
    pub message: String,
}

/// A run as a list shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunListed {
    id: String,
    action: String,
    name: String,
    status: &'static str,
    source: &'static str,
    question: Option<String>,
    error: Option<String>,
    created_at: u64,
    finished_at: Option<u64>,
}

impl RunListed {
    pub fn of(run: LaneId, brief: Brief) -> RunListed {
        RunListed {
            id: id_of(run),
            name: brief.name.unwrap_or_else(|| brief.action.clone()),
            action: brief.action,
            status: status(brief.status),
            source: source(brief.origin),
            question: brief.question,
            error: brief.error,
            created_at: brief.created_at.0,
            finished_at: brief.finished_at.map(|at| at.0),
        }
    }
}

/// A run. In an update `answers` and `logs` hold only those from `answersFrom` and `logsFrom` on.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetail {
    id: String,
    action: String,
    name: String,
    description: Option<String>,
    source: &'static str,
    status: &'static str,
    question: Option<QuestionDetail>,
    answers: Vec<AnswerDetail>,
    logs: Vec<LogDetail>,
    loading: Option<Box<RawValue>>,
    result: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_meta: Option<Value>,
    error: Option<RunError>,
    redirect: Option<Box<RawValue>>,
    parked: Option<Parked>,
    is_online: bool,
    params: Value,
    created_at: u64,
    finished_at: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuestionDetail {
    key: String,
    #[serde(flatten)]
    asked: Asked,
}

/// What of IO_RENDER concerns who is asked.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    to_render: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    choice_buttons: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continue_button: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_error_message: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerDetail {
    key: String,
    to_render: Vec<Value>,
    #[serde(flatten)]
    given: Given,
    at: u64,
    by: Option<String>,
    is_display: bool,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    values: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values_meta: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    choice: Option<String>,
}

#[derive(Serialize)]
pub(super) struct LogDetail {
    index: usize,
    text: String,
    level: &'static str,
    at: u64,
}

#[derive(Serialize)]
struct RunError {
    name: String,
    message: String,
    stack: String,
}

#[derive(Serialize)]
struct Parked {
    reason: &'static str,
    message: String,
}

/// What follows a run.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum RunEvent {
    Run {
        run: Box<RunDetail>,
    },
    #[serde(rename_all = "camelCase")]
    Update {
        run: Box<RunDetail>,
        answers_from: usize,
        logs_from: usize,
        rendered: Vec<Rendered>,
    },
    /// A run of the account began, waits or ended.
    Runs,
}

/// A question or display that looks otherwise since a person moved in it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rendered {
    key: String,
    to_render: Vec<Value>,
}

impl Rendered {
    pub fn of(key: &str, payload: &str) -> Rendered {
        Rendered { key: key.into(), to_render: asked(payload).to_render }
    }
}

impl RunDetail {
    /// `rendered` tells how what was asked looks now, where that is not as it was.
    pub fn of<'a>(
        run: &Run,
        is_online: bool,
        answers_from: usize,
        logs_from: usize,
        rendered: impl Fn(&str) -> Option<&'a str>,
    ) -> RunDetail {
        let shown = |call: &Call| asked(rendered(&call.name.id).unwrap_or(&call.payload));
        let question = run.question().map(|call| QuestionDetail { key: call.name.id.clone(), asked: shown(call) });
        let (mut result, mut result_meta, mut error) = (Value::Null, None, None);
        match &run.ended {
            Some((Ending::Completed(json), _)) => {
                let mut completed: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
                result = completed.remove("json").unwrap_or_default();
                result_meta = completed.remove("meta");
            }
            Some((Ending::Failed(failed), _)) => error = Some(RunError::of(failed)),
            _ => {}
        }
        let answers = run.answered().skip(answers_from).map(|call| AnswerDetail::of(call, shown(call))).collect();
        let logs = run.logs.iter().enumerate().skip(logs_from).map(|(index, log)| LogDetail::of(index, log)).collect();
        let mut context: Map<String, Value> = serde_json::from_str(&run.begun.context).unwrap_or_default();
        RunDetail {
            id: id_of(run.lane),
            action: run.begun.action.clone(),
            name: run.begun.name.clone().unwrap_or_else(|| run.begun.action.clone()),
            description: run.begun.description.clone(),
            source: source(run.begun.origin),
            status: status(run.status()),
            question,
            answers,
            logs,
            loading: run.loading.as_deref().map(raw),
            result,
            result_meta,
            error,
            redirect: run.redirect.as_deref().map(raw),
            parked: run.parked.as_ref().map(|(why, message)| Parked::of(*why, message)),
            is_online,
            params: context.remove("params").unwrap_or_default(),
            created_at: run.begun.at.0,
            finished_at: run.ended.as_ref().map(|(_, at)| at.0),
        }
    }
}

fn asked(payload: &str) -> Asked {
    serde_json::from_str(payload).unwrap_or_default()
}

impl AnswerDetail {
    fn of(call: &Call, asked: Asked) -> AnswerDetail {
        let returned = call.returned.as_ref();
        let given = returned.and_then(|returned| serde_json::from_str::<Given>(returned.result.as_ref().ok()?).ok());
        let is_display = call.is_display();
        AnswerDetail {
            key: call.name.id.clone(),
            to_render: asked.to_render,
            given: given.filter(|_| !is_display).unwrap_or_default(),
            at: returned.map_or(call.at.0, |returned| returned.at.0),
            by: returned.and_then(|returned| returned.by.clone()),
            is_display,
        }
    }
}

impl LogDetail {
    pub(super) fn of(index: usize, log: &Log) -> LogDetail {
        let level = match log.level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Log => "log",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        LogDetail { index, text: log.text.clone(), level, at: log.at.0 }
    }
}

impl RunError {
    fn of(error: &Error) -> RunError {
        RunError { name: error.name.clone(), message: error.message.clone(), stack: error.stack.clone() }
    }
}

impl Parked {
    fn of(why: Why, message: &str) -> Parked {
        let reason = match why {
            Why::CodeChanged => "codeChanged",
            Why::HostGone => "hostGone",
        };
        Parked { reason, message: message.into() }
    }
}

pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Waiting => "waiting",
        Status::Success => "success",
        Status::Failure => "failure",
        Status::Cancelled => "cancelled",
        Status::Redirected => "redirected",
        Status::Parked => "parked",
    }
}

fn source(origin: Origin) -> &'static str {
    match origin {
        Origin::Hosted { .. } => "hosted",
        Origin::Host { .. } => "host",
    }
}
