//! Jobs, for who submits them: submit, wait, look on, cancel.

use std::time::Duration;

use axum::{
    Json,
    extract::{
        Path, Query, RawQuery, State, WebSocketUpgrade, rejection::QueryRejection,
        ws::rejection::WebSocketUpgradeRejection,
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use engine::{
    Engine, PAGE, WAIT_MS_MAX,
    job::{Seen, result_of},
};
use futures_util::{Stream, stream};
use rules::{
    call::Line,
    job::{
        Brief, End, JOB_INPUTS_MAX, JOB_JSON_BYTES_MAX, JOB_NAME_CHARS_MAX, JOB_TIMEOUT_MS, JOB_TIMEOUT_MS_MAX,
        JOB_VERIFY_MAX, JobId, Outcome, Place, Task,
    },
    limits::{CONSOLE_BYTES_MAX, JSON_DEPTH_MAX, SOURCE_BYTES_MAX},
    record::{At, LaneId},
    refusal::Refusal,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{sync::broadcast, time::Instant};

use super::{
    Site, events,
    identity::{self, Caller, Identity},
    problem::Problem,
    request::depth,
    run, socket, wire,
};

/// A job as it is submitted: its code and all its inputs.
pub const JOB_BODY_BYTES_MAX: usize = 8 << 20;
/// Changes are told no sooner than this after the last: those between are told together.
const TELL_PAUSE: Duration = Duration::from_millis(50);

/// `POST /api/jobs`
pub async fn submit(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    body: wire::Body,
) -> Result<Response, Problem> {
    let new: wire::NewJob = wire::body_of(&body)?;
    run::keep_pace(&site, &account)?;
    let (brief, task) = job_of(new, site.engine.now())?;
    site.engine.check_script(&task.code).await?;
    let count = brief.is_fan_out.then_some(brief.parts);
    let id = site.engine.submit_job(account.lane, brief, task).await?;
    Ok((StatusCode::ACCEPTED, Json(wire::JobMade { id: wire::request_id(id), count })).into_response())
}

/// `POST /api/jobs/delivered`: one that a page did by itself, while it could not reach the server.
pub async fn deliver(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    body: wire::Body,
) -> Result<Response, Problem> {
    let job: wire::DeliveredJob = wire::body_of(&body)?;
    run::keep_pace(&site, &account)?;
    let id = uuid::Uuid::parse_str(&job.key).ok().filter(|id| id.get_version_num() == 7);
    let id = id.ok_or(Refusal::JOB_MALFORMED.because("A delivered job has a key, a UUID of version 7."))?.as_u128();
    let end = match (job.error, job.result) {
        (Some(error), _) if error.name == "TimeoutError" => End::TimedOut,
        (Some(error), _) => End::Failed(error.into_error()),
        (None, result) => End::Done(json_of(result)?),
    };
    let inputs = vec![json_of(job.input)?];
    let brief = Brief { name: name_of(job.name)?, ..Brief::new(Place::Any, false, 1, At(job.started_at)) };
    let task = Task { code: code_of(Some(job.code))?.into(), inputs };
    let mut console_bytes = 0;
    let lines = job.console.into_iter().map(wire::JobLine::into_line).take_while(|line| {
        console_bytes += line.messages.iter().map(String::len).sum::<usize>() + 1;
        console_bytes <= CONSOLE_BYTES_MAX
    });
    let console = lines.collect();
    let (started_at, finished_at) = (At(job.started_at), At(job.finished_at.max(job.started_at)));
    let outcome = Outcome { end, console, worker: LOCAL.into(), started_at, finished_at };
    site.engine.deliver_job(account.lane, id, brief, task, outcome).await?;
    Ok((StatusCode::CREATED, Json(wire::JobMade { id: wire::request_id(id), count: None })).into_response())
}

/// What a submitter's own page is called among the workers.
const LOCAL: &str = "local mode";

#[derive(Deserialize)]
pub struct Paging {
    token: Option<String>,
}

/// `GET /api/jobs`: newest first.
pub async fn list(
    State(site): State<Site>,
    Caller(caller): Caller,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Paging { token }) = paging.map_err(|_| Refusal::TOKEN_OF_NO_LIST)?;
    let before = token.map(|token| wire::job_of(&token).ok_or(Refusal::TOKEN_OF_NO_LIST)).transpose()?;
    let jobs = site.engine.jobs(caller, before, PAGE).await?;
    let next_token = jobs.last().filter(|_| jobs.len() == PAGE).map(|job| wire::request_id(job.id));
    let objects = jobs.iter().map(wire::JobListed::of).collect();
    Ok(Json(wire::Page { objects, next_token }).into_response())
}

#[derive(Deserialize)]
pub struct Waiting {
    wait: Option<u64>,
}

/// `GET /api/jobs/ID?wait=SECONDS`: as soon as it is over, or as it stands then.
pub async fn show(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    waiting: Result<Query<Waiting>, QueryRejection>,
) -> Result<Json<wire::JobDetail>, Problem> {
    let id = wire::job_of(&id).ok_or(Refusal::JOB_UNKNOWN)?;
    let Query(Waiting { wait }) =
        waiting.map_err(|_| Refusal::PARAMETER_MALFORMED.because("?wait takes a whole number of seconds."))?;
    let wait = Duration::from_secs(wait.unwrap_or(0)).min(Duration::from_millis(WAIT_MS_MAX));
    let engine = &site.engine;
    let mut seen = engine.job(caller, id).await?;
    if !seen.brief.status.is_over() && !wait.is_zero() {
        let mut told = engine.jobs_told(caller).await?;
        let over = engine.job_over(caller, id, &mut told);
        seen = match tokio::time::timeout(wait, over).await {
            Ok(over) => over?,
            Err(_) => engine.job(caller, id).await?,
        };
    }
    Ok(Json(detail(engine, caller, &seen).await?))
}

/// `DELETE /api/jobs/ID`
pub async fn cancel(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Json<wire::Done>, Problem> {
    let id = wire::job_of(&id).ok_or(Refusal::JOB_UNKNOWN)?;
    site.engine.cancel_job(caller, id).await?;
    Ok(Json(wire::Done {}))
}

/// `GET /api/workers`
pub async fn workers(State(site): State<Site>, Caller(caller): Caller) -> Result<Response, Problem> {
    let workers = site.engine.workers(caller).await?;
    let objects: Vec<_> = workers.iter().map(wire::WorkerListed::of).collect();
    Ok(Json(wire::Page { objects, next_token: None }).into_response())
}

/// `GET /job-events`: the caller's jobs as they change.
pub async fn job_events(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let headers = identity::with_key(headers, query.as_deref());
    if !events::is_of_this_site(&headers, &site.outside.origin) {
        return Err(Refusal::ORIGIN_FOREIGN.into());
    }
    let caller = identity::identify(&site, &headers).await?.account.lane;
    let upgrade = Ok(upgrade.map_err(|_| Refusal::NOT_WEBSOCKET)?);
    let told = site.engine.jobs_told(caller).await?;
    let over = events::gone(site.clone(), headers);
    socket::tell(&site, upgrade, changes(site.engine.clone(), caller, told), over)
}

/// What is to be told to who looks on.
struct Telling {
    engine: Engine,
    account: LaneId,
    told: broadcast::Receiver<JobId>,
    changed: Vec<JobId>,
    pause: Instant,
}

fn changes(engine: Engine, account: LaneId, told: broadcast::Receiver<JobId>) -> impl Stream<Item = String> + Send {
    let telling = Telling { engine, account, told, changed: Vec::new(), pause: Instant::now() };
    stream::unfold(telling, |mut telling| async move {
        let event = loop {
            if let Some(id) = telling.changed.pop() {
                match telling.engine.job(telling.account, id).await {
                    Ok(seen) => break event(&telling, &seen).await,
                    Err(_) => continue,
                }
            }
            if telling.gather().await? {
                break wire::JobEvent::Behind;
            }
        };
        Some((serde_json::to_string(&event).expect("a frame is plain data"), telling))
    })
}

impl Telling {
    /// What changed, each job once; whether more did than was noted. `None` when nobody tells any more.
    async fn gather(&mut self) -> Option<bool> {
        use broadcast::error::{RecvError, TryRecvError};
        match self.told.recv().await {
            Ok(id) => self.changed.push(id),
            Err(RecvError::Lagged(_)) => return Some(true),
            Err(RecvError::Closed) => return None,
        }
        tokio::time::sleep_until(self.pause).await;
        self.pause = Instant::now() + TELL_PAUSE;
        loop {
            match self.told.try_recv() {
                Ok(id) => self.changed.push(id),
                Err(TryRecvError::Lagged(_)) => {
                    self.changed.clear();
                    return Some(true);
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        self.changed.sort_unstable();
        self.changed.dedup();
        Some(false)
    }
}

/// A job on its way to who looks on: with its result, unless that is long.
async fn event(telling: &Telling, seen: &Seen) -> wire::JobEvent {
    let detail = match seen.brief.status.is_over() && wire::is_told(&seen.brief) {
        true => detail(&telling.engine, telling.account, seen).await.ok(),
        false => None,
    };
    let detail = detail.unwrap_or_else(|| wire::JobDetail::of(seen, None, &[]));
    wire::JobEvent::Job { job: Box::new(wire::JobDetail { code: None, input: None, ..detail }) }
}

async fn detail(engine: &Engine, account: LaneId, seen: &Seen) -> Result<wire::JobDetail, Refusal> {
    let outcomes = engine.outcomes(account, seen.id).await?;
    let task = engine.task(account, seen.id).await?;
    let result = seen.brief.status.is_over().then(|| result_of(&seen.brief, &outcomes)).flatten();
    let mut bytes = 0;
    let console: Vec<Line> = outcomes
        .iter()
        .flat_map(|(_, outcome)| outcome.console.iter().cloned())
        .take_while(|line| {
            bytes += line.messages.iter().map(String::len).sum::<usize>();
            bytes <= CONSOLE_BYTES_MAX
        })
        .collect();
    let mut detail = wire::JobDetail::of(seen, result.as_deref(), &console);
    if let Some(Task { code, inputs }) = task {
        detail.code = Some(code.to_string());
        detail.input = inputs.first().filter(|_| !seen.brief.is_fan_out).map(|input| wire::raw(input));
    }
    Ok(detail)
}

/// What a caller wants done; an `Err` says what it lacks.
fn job_of(new: wire::NewJob, at: At) -> Result<(Brief, Task), Refusal> {
    let malformed = |why: String| Refusal::JOB_MALFORMED.because(why);
    let place = new.place().ok_or_else(|| malformed("where is any, tab or server.".into()))?;
    let dispatch = new.dispatch().ok_or_else(|| malformed("dispatch is round-robin or least-loaded.".into()))?;
    let timeout_ms = new.timeout_ms.unwrap_or(JOB_TIMEOUT_MS);
    if !(1..=JOB_TIMEOUT_MS_MAX).contains(&timeout_ms) {
        return Err(malformed(format!("timeoutMs is between 1 and {JOB_TIMEOUT_MS_MAX}.")));
    }
    let verify = new.verify.unwrap_or(1);
    if !(1..=JOB_VERIFY_MAX).contains(&verify) {
        return Err(malformed(format!("verify is between 1 and {JOB_VERIFY_MAX}.")));
    }
    if verify > 1 && place == Place::Server {
        return Err(malformed("verify asks different workers, and the server is one.".into()));
    }
    let is_fan_out = new.inputs.is_some();
    let inputs = match (new.input, new.inputs) {
        (Some(_), Some(_)) => return Err(malformed("A job has an input or inputs, and not both.".into())),
        (input, None) => vec![json_of(input)?],
        (None, Some(inputs)) if inputs.len() > JOB_INPUTS_MAX => {
            return Err(malformed(format!("A job has at most {JOB_INPUTS_MAX} inputs.")));
        }
        (None, Some(inputs)) => inputs.into_iter().map(|input| json_of(Some(input))).collect::<Result<_, _>>()?,
    };
    let parts = inputs.len() as u32;
    let name = name_of(new.name)?;
    let brief = Brief { name, dispatch, timeout_ms, verify, ..Brief::new(place, is_fan_out, parts, at) };
    Ok((brief, Task { code: code_of(new.code)?.into(), inputs }))
}

fn code_of(code: Option<String>) -> Result<String, Refusal> {
    let code = code.ok_or(Refusal::JOB_MALFORMED.because("A job has code, as text."))?;
    if code.len() > SOURCE_BYTES_MAX {
        return Err(Refusal::SOURCE_TOO_LARGE);
    }
    Ok(code)
}

fn name_of(name: Option<String>) -> Result<Option<String>, Refusal> {
    match name {
        Some(name) if name.chars().count() > JOB_NAME_CHARS_MAX => {
            Err(Refusal::JOB_MALFORMED
                .because(format!("The name of a job has at most {JOB_NAME_CHARS_MAX} characters.")))
        }
        name => Ok(name.filter(|name| !name.is_empty())),
    }
}

fn json_of(input: Option<Box<RawValue>>) -> Result<rules::call::Json, Refusal> {
    let Some(input) = input else { return Ok("null".into()) };
    if input.get().len() > JOB_JSON_BYTES_MAX {
        return Err(Refusal::JOB_INPUT_TOO_LARGE);
    }
    if depth(input.get().as_bytes()) > JSON_DEPTH_MAX {
        return Err(Refusal::JOB_MALFORMED.because(format!("An input nests at most {JSON_DEPTH_MAX} deep.")));
    }
    Ok(input.get().into())
}
