//! A request as its owner sees it, and what the code said to it.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use engine::{
    past::Said,
    replay::{Fate, Moment},
};
use rules::{call, hook::Verdict, record::Hash};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Page, raw, request_id, text};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestDetail {
    id: String,
    seq: u64,
    method: String,
    path: String,
    query: Box<RawValue>,
    query_string: String,
    headers: BTreeMap<String, String>,
    body: Box<RawValue>,
    state: Option<Box<RawValue>>,
    error: Option<ErrorDetail>,
    status: &'static str,
    created_at: u64,
}

#[derive(Serialize)]
pub struct ErrorDetail {
    name: String,
    message: String,
    stack: String,
}

impl From<&call::Error> for ErrorDetail {
    fn from(error: &call::Error) -> Self {
        ErrorDetail { name: error.name.clone(), message: error.message.clone(), stack: error.stack.clone() }
    }
}

impl RequestDetail {
    pub fn of(moment: &Moment) -> RequestDetail {
        let request = &moment.request;
        RequestDetail {
            id: request_id(request.id),
            seq: request.seq,
            method: request.method.clone(),
            path: request.path.clone(),
            query: parameters(&request.query),
            query_string: request.query.clone(),
            headers: headers_of(request),
            body: body_shown(request),
            state: moment.state.as_ref().map(|state| raw(state)),
            error: error_of(moment),
            status: status_of(&moment.verdict, moment.fate),
            created_at: request.created_at_ms,
        }
    }
}

/// The characters of a body that a row of a table shows.
pub const EXCERPT_CHARS_MAX: usize = 160;

/// A request as a row of a table of very many.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestBrief {
    id: String,
    pub seq: u64,
    method: String,
    path: String,
    content_type: Option<String>,
    body_bytes: usize,
    excerpt: String,
    status: &'static str,
    error: Option<ErrorBrief>,
    created_at: u64,
}

#[derive(Serialize)]
struct ErrorBrief {
    name: String,
    message: String,
}

impl RequestBrief {
    pub fn of(moment: &Moment) -> RequestBrief {
        let request = &moment.request;
        let error = error_of(moment).map(|ErrorDetail { name, message, .. }| ErrorBrief { name, message });
        RequestBrief {
            id: request_id(request.id),
            seq: request.seq,
            method: request.method.clone(),
            path: request.path.clone(),
            content_type: super::super::request::content_type(request),
            body_bytes: request.body.0.len(),
            excerpt: excerpt(&request.body.0),
            status: status_of(&moment.verdict, moment.fate),
            error,
            created_at: request.created_at_ms,
        }
    }
}

/// The beginning of a body, as one line of text.
fn excerpt(body: &[u8]) -> String {
    // No character has more than four bytes, so none that is shown is cut.
    let beginning = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT_CHARS_MAX)]);
    let is_break = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    let shown = beginning.chars().take(EXCERPT_CHARS_MAX);
    shown.map(|character| if is_break(character) { ' ' } else { character }).collect()
}

/// A request, whole.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestWhole {
    #[serde(flatten)]
    request: RequestDetail,
    /// That of its receipt.
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_of: Option<u64>,
    /// The body as it came, in base64.
    body_base64: String,
    console: Vec<ConsoleSaid>,
}

#[derive(Serialize)]
struct ConsoleSaid {
    level: &'static str,
    messages: Vec<String>,
}

impl RequestWhole {
    pub fn of(moment: &Moment, hash: Hash) -> RequestWhole {
        let console = moment.console.iter();
        RequestWhole {
            request: RequestDetail::of(moment),
            hash: hash.to_string(),
            duplicate_of: match moment.fate {
                Fate::Duplicate { of } => Some(of.0),
                _ => None,
            },
            body_base64: BASE64_STANDARD.encode(&moment.request.body.0),
            console: console
                .map(|line| ConsoleSaid { level: level_name(line.level), messages: line.messages.clone() })
                .collect(),
        }
    }
}

fn level_name(level: call::Level) -> &'static str {
    match level {
        call::Level::Trace => "trace",
        call::Level::Debug => "debug",
        call::Level::Info => "info",
        call::Level::Log => "log",
        call::Level::Warn => "warn",
        call::Level::Error => "error",
    }
}

pub(super) fn error_of(moment: &Moment) -> Option<ErrorDetail> {
    let error = match &moment.verdict {
        Verdict::Failed(error) => Some(error),
        _ => moment.error.as_ref(),
    };
    error.map(ErrorDetail::from)
}

pub fn status_of(verdict: &Verdict, fate: Fate) -> &'static str {
    match (verdict, fate) {
        (Verdict::Ignored, _) => "ignored",
        (Verdict::Failed(_), _) => "failed",
        (Verdict::Kept, Fate::Folded) => "folded",
        (Verdict::Kept, Fate::Duplicate { .. }) => "duplicate",
        (Verdict::Kept, Fate::Pending) => "pending",
    }
}

/// Repeated names are joined, as the reducer sees them.
pub(super) fn headers_of(request: &call::Request) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, value) in &request.headers {
        let value = text(&value.0);
        headers
            .entry(name.clone())
            .and_modify(|known: &mut String| {
                known.push_str(", ");
                known.push_str(&value);
            })
            .or_insert(value);
    }
    headers
}

/// Each parameter with its last value.
fn parameters(query: &str) -> Box<RawValue> {
    let parameters: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
    to_raw_value(&parameters).expect("strings always serialise")
}

/// JSON as JSON, everything else as text.
pub(super) fn body_shown(request: &call::Request) -> Box<RawValue> {
    let body = text(&request.body.0);
    let json = super::super::request::claims_json(request).then(|| RawValue::from_string(body.clone()).ok()).flatten();
    json.unwrap_or_else(|| to_raw_value(&body).expect("a string always serialises"))
}

#[derive(Serialize)]
pub struct Console {
    pub console: Page<ConsoleLine>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsoleLine {
    level: &'static str,
    messages: Vec<String>,
    timestamp: u64,
    request_id: String,
    seq: u64,
}

impl From<&Said> for ConsoleLine {
    fn from(said: &Said) -> Self {
        ConsoleLine {
            level: level_name(said.line.level),
            messages: said.line.messages.clone(),
            timestamp: said.request.created_at_ms,
            request_id: request_id(said.request.id),
            seq: said.place.seq.0,
        }
    }
}
