//! The only types that go over the wire, and the only place where they are named.

use std::{collections::BTreeMap, fmt::Display, ops::Deref, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use engine::{
    activity::Activity,
    follow::View,
    past::{Kept, Preview, Said},
    replay::{Fate, Moment},
    series::Point,
};
use rules::{
    access::{Key, KeyKind},
    call,
    hook::{Receipt, Verdict},
    record::{At, Hash, LaneId},
    refusal::Refusal,
    settings,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Number, value::RawValue, value::to_raw_value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    problem::Problem,
    tally::{Figures, Times},
};

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

/// Replays under way that the owner of a server is shown at once.
const REPLAYS_SHOWN_MAX: usize = 100;

/// The body of a control call, whole and within its bound.
pub struct Body(Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body, Problem> {
        Bytes::from_request(request, state).await.map(Body).map_err(|rejection| {
            Problem(match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Refusal::BODY_TOO_LARGE.because("The body is larger than 2 MiB."),
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

#[derive(Serialize)]
pub struct Accepted {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

impl Accepted {
    pub fn receipt(receipt: &Receipt) -> Accepted {
        Accepted { id: request_id(receipt.id), seq: Some(receipt.seq.0), hash: Some(receipt.hash.to_string()) }
    }

    /// What a paused key answers: nothing was kept.
    pub fn swallowed(id: u128) -> Accepted {
        Accepted { id: request_id(id), seq: None, hash: None }
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self)).into_response()
    }
}

#[derive(Serialize)]
pub struct Settled {
    pub settled: bool,
    pub seq: u64,
    pub status: &'static str,
}

#[derive(Serialize)]
pub struct Tokens {
    pub jwt: String,
    #[serde(rename = "refreshToken")]
    pub refresh_token: String,
}

#[derive(Deserialize)]
pub struct RefreshToken {
    pub token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    pub id: String,
    pub email: Option<String>,
    pub workflow_state: &'static str,
    /// Of the server.
    pub is_owner: bool,
}

#[derive(Deserialize)]
pub struct NewHook {
    pub name: Option<String>,
    pub code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookChange {
    pub code: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub workflow_state: Option<WorkflowState>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum WorkflowState {
    Live,
    Paused,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookDetail {
    id: String,
    name: String,
    description: String,
    workflow_state: &'static str,
    read_keys: Vec<String>,
    write_keys: Vec<String>,
    request_count: u64,
    /// That of the newest request. The oldest since a reset has `last_seq - request_count + 1`.
    last_seq: u64,
    /// How far the published version has folded.
    folded_count: u64,
    created_at: u64,
    draft: VersionDetail,
    published: Option<VersionDetail>,
    /// The version that takes its place when it has caught up.
    refolding: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionDetail {
    version: u32,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_at: Option<u64>,
}

impl HookDetail {
    pub fn of(view: &View) -> HookDetail {
        let config = &view.config;
        let keys = |kind| config.keys.iter().filter(|key| key.kind == kind).map(|key| key.key.clone()).collect();
        HookDetail {
            id: id_of(view.lane),
            name: config.name.clone(),
            description: config.description.clone(),
            workflow_state: if config.paused { "paused" } else { "live" },
            read_keys: keys(KeyKind::Read),
            write_keys: keys(KeyKind::Write),
            request_count: view.requests(),
            last_seq: view.seq.0,
            folded_count: view.through().0,
            created_at: config.created_at.0,
            draft: VersionDetail {
                version: config.draft.version,
                code: config.draft.source.to_string(),
                published_at: None,
            },
            published: config.published.as_ref().zip(view.live.as_ref()).map(|(version, live)| VersionDetail {
                version: version.version,
                code: live.program.source.to_string(),
                published_at: Some(version.since.0),
            }),
            refolding: view.refold.map(|refold| refold.version),
        }
    }
}

/// Every list looks like this.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    pub objects: Vec<T>,
    pub next_token: Option<String>,
}

#[derive(Serialize)]
pub struct Publishing {
    pub version: u32,
    pub total: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    status: &'static str,
    done: u64,
    total: u64,
    per_second: f64,
    eta_seconds: Option<f64>,
}

impl Replay {
    pub fn of(view: &View, now: At) -> Replay {
        let rate = |done: u64, ms: u64| done as f64 * 1000.0 / ms.max(1) as f64;
        if let Some(progress) = view.refold {
            let (done, total) = (progress.done.0, progress.total.0);
            let per_second = rate(done, now.0.saturating_sub(progress.since.0));
            let eta_seconds = (per_second > 0.0).then(|| total.saturating_sub(done) as f64 / per_second);
            return Replay { status: "running", done, total, per_second, eta_seconds };
        }
        match view.config.last_refold {
            None => {
                let done = view.through().0;
                Replay { status: "done", done, total: done, per_second: 0.0, eta_seconds: Some(0.0) }
            }
            Some(last) => {
                let done = last.through.0;
                let (status, total) = if last.cancelled { ("cancelled", view.seq.0) } else { ("done", done) };
                Replay { status, done, total, per_second: rate(done, last.took_ms), eta_seconds: None }
            }
        }
    }
}

/// How the server is, as its owner wants to see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    pub version: &'static str,
    pub started_at: u64,
    pub now: u64,
    /// Hooks in memory.
    pub awake: usize,
    pub store: StoreHealth,
    pub walls: Vec<Wall>,
    pub children: Children,
    pub writes: WriteFigures,
    pub latencies: Vec<Latency>,
    pub refusals: BTreeMap<String, u64>,
    pub folds: FoldFigures,
    pub memory: Memory,
    pub limits: Vec<HeldLimit>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreHealth {
    pub kind: &'static str,
    pub bytes: u64,
    pub free_bytes: Option<u64>,
}

/// One of the walls around user code.
#[derive(Serialize)]
pub struct Wall {
    name: String,
    holds: bool,
    detail: String,
}

impl Wall {
    pub fn of(layer: worker::jail::Layer) -> Wall {
        Wall { name: layer.name, holds: layer.holds, detail: layer.detail }
    }
}

/// The processes that run user code.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Children {
    pub alive: usize,
    /// Since the server began; many more than live mean that something kills them.
    pub started: u64,
    pub start_ms: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteFigures {
    accepted: u64,
    refused: u64,
    per_second: f64,
}

impl WriteFigures {
    pub fn of(figures: Figures) -> WriteFigures {
        WriteFigures { accepted: figures.kept, refused: figures.refused, per_second: figures.per_second }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    name: &'static str,
    count: usize,
    p50_ms: f64,
    p99_ms: f64,
}

impl Latency {
    pub fn of(name: &'static str, times: Times) -> Latency {
        Latency { name, count: times.count, p50_ms: ms(times.p50), p99_ms: ms(times.p99) }
    }
}

pub fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

#[derive(Serialize)]
pub struct FoldFigures {
    /// Requests of live hooks in memory that are kept and not folded yet.
    waiting: u64,
    replays: Vec<Replay>,
}

impl FoldFigures {
    pub fn of(views: &[Arc<View>], now: At) -> FoldFigures {
        let live = views.iter().filter(|view| view.live.is_some() && !view.config.paused);
        let waiting = live.map(|view| view.seq.0 - view.through().0.max(view.config.begin.0)).sum();
        let replays = views.iter().filter(|view| view.refold.is_some()).take(REPLAYS_SHOWN_MAX);
        FoldFigures { waiting, replays: replays.map(|view| Replay::of(view, now)).collect() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    pub resident_bytes: Option<u64>,
}

/// How much of a bound is taken now.
#[derive(Serialize)]
pub struct HeldLimit {
    pub name: &'static str,
    pub held: usize,
    pub max: usize,
}

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
            content_type: super::request::content_type(request),
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

fn error_of(moment: &Moment) -> Option<ErrorDetail> {
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
fn headers_of(request: &call::Request) -> BTreeMap<String, String> {
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
fn body_shown(request: &call::Request) -> Box<RawValue> {
    let body = text(&request.body.0);
    let json = super::request::claims_json(request).then(|| RawValue::from_string(body.clone()).ok()).flatten();
    json.unwrap_or_else(|| to_raw_value(&body).expect("a string always serialises"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A state is JSON text already.
pub fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).or_else(|_| to_raw_value(json)).expect("a string always serialises")
}

#[derive(Serialize)]
pub struct Keys {
    pub keys: Vec<KeyDetail>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyDetail {
    key: String,
    #[serde(rename = "type")]
    kind: &'static str,
    workflow_state: &'static str,
}

impl From<&Key> for KeyDetail {
    fn from(key: &Key) -> Self {
        KeyDetail {
            key: key.key.clone(),
            kind: key.kind.name(),
            workflow_state: if key.paused { "paused" } else { "live" },
        }
    }
}

#[derive(Deserialize)]
pub struct NewKey {
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Serialize)]
pub struct KeyMade {
    pub key: String,
}

#[derive(Serialize)]
pub struct Verified {
    pub seq: u64,
    pub hash: String,
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A frame of `/state-events`.
#[derive(Serialize)]
pub struct StateEvent {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub seq: u64,
    pub state: Box<RawValue>,
}

/// A frame of `/hook-events`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum HookEvent {
    NewRequest {
        hook_id: String,
        request: RequestEvent,
    },
    BulkUpdate {
        hook_id: String,
    },
    Replay {
        hook_id: String,
        #[serde(flatten)]
        replay: Replay,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestEvent {
    id: String,
    seq: u64,
    /// `null` where nothing is folded yet.
    state: Option<Box<RawValue>>,
    /// SHA-256 of the state's JSON text, in hexadecimal digits.
    state_hash: Option<String>,
    /// SHA-256 of the raw body.
    body_hash: String,
    created_at: u64,
    error: Option<ErrorDetail>,
}

impl HookEvent {
    pub fn request(hook: LaneId, moment: &Moment) -> HookEvent {
        let request = &moment.request;
        let request = RequestEvent {
            id: request_id(request.id),
            seq: request.seq,
            state: moment.state.as_ref().map(|state| raw(state)),
            state_hash: moment.state.as_ref().map(|state| sha256(state.as_bytes())),
            body_hash: sha256(&request.body.0),
            created_at: request.created_at_ms,
            error: error_of(moment),
        };
        HookEvent::NewRequest { hook_id: id_of(hook), request }
    }

    pub fn bulk(hook: LaneId) -> HookEvent {
        HookEvent::BulkUpdate { hook_id: id_of(hook) }
    }

    pub fn replay(view: &View, now: At) -> HookEvent {
        HookEvent::Replay { hook_id: id_of(view.lane), replay: Replay::of(view, now) }
    }
}

/// In hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// JSON that is text already.
pub fn state(json: &str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json.to_owned()).into_response()
}

/// Names the prefix of the log that a read reflects.
pub const X_SEQ: header::HeaderName = header::HeaderName::from_static("x-seq");

/// Headers that decide over the connection, or over the whole origin: its cookies, its storage, how it is reached.
const OURS: [&str; 11] = [
    "alt-svc",
    "clear-site-data",
    "connection",
    "content-length",
    "nel",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
];

/// What a responder or a query returned. A header that HTTP cannot carry is left out, and so are those that are ours.
pub fn response(response: call::Response) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in &response.headers {
        let name: Result<header::HeaderName, _> = name.parse();
        if let (Ok(name), Ok(value)) = (name, value.parse())
            && !OURS.contains(&name.as_str())
        {
            headers.append(name, value);
        }
    }
    // What an owner's code returns is never the dashboard's page, whatever it says it is.
    headers.insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static("sandbox"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, headers, response.body.0).into_response()
}

/// What publishing would change.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewDetail {
    total: u64,
    changed: u64,
    first_different_seq: Option<u64>,
    errors: Vec<PreviewError>,
    before: Box<RawValue>,
    after: Box<RawValue>,
    patch: Box<RawValue>,
}

#[derive(Serialize)]
struct PreviewError {
    seq: u64,
    error: ErrorDetail,
}

impl PreviewDetail {
    pub fn of(preview: &Preview) -> PreviewDetail {
        let shown = |state: &Option<call::Json>| raw(state.as_deref().unwrap_or("null"));
        let errors = preview.errors.iter();
        PreviewDetail {
            total: preview.total,
            changed: preview.changed,
            first_different_seq: preview.first_different.map(|seq| seq.0),
            errors: errors.map(|(seq, error)| PreviewError { seq: seq.0, error: error.into() }).collect(),
            before: shown(&preview.before),
            after: shown(&preview.after),
            patch: patch(preview.before.as_deref(), preview.after.as_deref()),
        }
    }
}

/// The change from one state to another, as JSON Patch.
fn patch(before: Option<&str>, after: Option<&str>) -> Box<RawValue> {
    let value = |state: Option<&str>| -> serde_json::Value {
        state.and_then(|state| serde_json::from_str(state).ok()).unwrap_or_default()
    };
    let patch = json_patch::diff(&value(before), &value(after));
    to_raw_value(&patch).expect("a patch is plain data")
}

#[derive(Serialize)]
pub struct Difference {
    patch: Box<RawValue>,
}

impl Difference {
    pub fn between(before: Option<&str>, after: Option<&str>) -> Difference {
        Difference { patch: patch(before, after) }
    }
}

#[derive(Deserialize)]
pub struct NewPreview {
    pub code: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionListed {
    version: u32,
    workflow_state: &'static str,
    code: String,
    published_at: Option<u64>,
}

impl VersionListed {
    pub fn draft_of(view: &View) -> VersionListed {
        let draft = &view.config.draft;
        VersionListed {
            version: draft.version,
            workflow_state: "draft",
            code: draft.source.to_string(),
            published_at: None,
        }
    }

    pub fn of(kept: &Kept, view: &View) -> VersionListed {
        let is_published = view.live.as_ref().is_some_and(|live| live.version == kept.version);
        VersionListed {
            version: kept.version,
            workflow_state: if is_published { "published" } else { "old" },
            code: kept.source.to_string(),
            published_at: kept.published_at.map(|at| at.0),
        }
    }
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

/// The course of a number over the log.
#[derive(Serialize)]
pub struct Series {
    pub points: Vec<SeriesPoint>,
}

#[derive(Serialize)]
pub struct SeriesPoint {
    seq: u64,
    at: u64,
    /// `null` where the state has no number there.
    value: Option<Number>,
}

impl From<Point<Option<Number>>> for SeriesPoint {
    fn from(point: Point<Option<Number>>) -> Self {
        SeriesPoint { seq: point.seq.0, at: point.at.0, value: point.value }
    }
}

/// When a hook was busy.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivityDetail {
    last_request_at: Option<u64>,
    /// All that the buckets count.
    requests: u64,
    recent_errors: usize,
    buckets: Vec<ActivityBucket>,
}

#[derive(Serialize)]
struct ActivityBucket {
    at: u64,
    count: u64,
}

impl From<Activity> for ActivityDetail {
    fn from(activity: Activity) -> Self {
        let buckets = activity.buckets.iter();
        ActivityDetail {
            last_request_at: activity.last_at.map(|at| at.0),
            requests: buckets.clone().map(|bucket| bucket.count).sum(),
            recent_errors: activity.recent_errors,
            buckets: buckets.map(|bucket| ActivityBucket { at: bucket.at.0, count: bucket.count }).collect(),
        }
    }
}

#[derive(Serialize)]
pub struct Templates {
    pub templates: Box<RawValue>,
}

/// Names, and the SHA-256 of each value: enough to see whether it is the right one.
#[derive(Serialize)]
pub struct SecretsListed {
    pub secrets: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub struct NewSecret {
    pub key: String,
    pub value: String,
}

/// The first line of an export.
#[derive(Serialize, Deserialize)]
pub struct ExportHead {
    pub everfold: String,
    pub format: u32,
    pub name: String,
}

/// Every other line: the record as it is kept, and what it says for those who read along.
#[derive(Serialize, Deserialize)]
pub struct ExportRecord {
    pub position: u64,
    pub hash: String,
    pub record: String,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestExported>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestExported {
    id: String,
    seq: u64,
    method: String,
    path: String,
    query_string: String,
    headers: BTreeMap<String, String>,
    body: Box<RawValue>,
    created_at: u64,
}

impl RequestExported {
    pub fn of(request: &call::Request) -> RequestExported {
        RequestExported {
            id: request_id(request.id),
            seq: request.seq,
            method: request.method.clone(),
            path: request.path.clone(),
            query_string: request.query.clone(),
            headers: headers_of(request),
            body: body_shown(request),
            created_at: request.created_at_ms,
        }
    }
}

/// A call that says no more than that it is done.
#[derive(Serialize)]
pub struct Done {}

#[derive(Deserialize)]
pub struct AskForLink {
    pub email: String,
}

#[derive(Deserialize)]
pub struct FollowLink {
    pub token: String,
}

#[derive(Deserialize)]
pub struct NewAccountKey {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: Option<String>,
}

#[derive(Serialize)]
pub struct AccountKeyMade {
    pub id: String,
    pub key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountKeyDetail {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub name: String,
    pub created_at: u64,
    pub last_used_at: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    closed_to_guests: bool,
    closed_to_new_users: bool,
}

impl From<&settings::Settings> for Settings {
    fn from(settings: &settings::Settings) -> Self {
        Settings { closed_to_guests: settings.closed_to_guests, closed_to_new_users: settings.closed_to_new_users }
    }
}

/// A misspelt setting is refused: its owner would believe it set.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettingsChange {
    pub closed_to_guests: Option<bool>,
    pub closed_to_new_users: Option<bool>,
}

#[derive(Clone, Serialize)]
pub struct MailDetail {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub link: String,
    pub token: String,
    pub at: u64,
}
