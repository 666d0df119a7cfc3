//! Functions, for who owns them: make, deploy, roll back, look at what was called.

use std::{convert::Infallible, io::Write, time::Duration};

use axum::{
    Json,
    extract::{
        Multipart, Path, Query, State,
        multipart::{Field, MultipartRejection},
        rejection::QueryRejection,
    },
    http::{HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use engine::{
    PAGE, WAIT_MS_MAX,
    function::{NewVariable, Scratch},
};
use futures_util::stream;
use rules::{
    call::Bytes,
    function::{
        Deployment, DeploymentId, Function,
        execution::{Asked, EXECUTION_DELAY_MS_MAX, EXECUTION_PATH_BYTES_MAX, Trigger},
    },
    limits::FILE_BYTES_MAX,
    record::{At, LaneId},
    refusal::Refusal,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Site,
    identity::{Caller, Identity},
    invoke,
    problem::Problem,
    run::keep_pace,
    upload, wire,
};

#[derive(Deserialize)]
pub struct Paging {
    token: Option<String>,
}

type Paged = Result<Query<Paging>, QueryRejection>;

/// `GET /api/functions`: newest first.
pub async fn list(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    paging: Paged,
) -> Result<Response, Problem> {
    let before = token_of(paging)?.map(LaneId);
    let functions = site.engine.functions_of(&account, before, PAGE).await?;
    let next_token = functions.last().filter(|_| functions.len() == PAGE).map(|last| wire::id_of(last.id));
    let objects = functions.iter().map(|function| detail(&site, function)).collect();
    Ok(Json(wire::Page { objects, next_token }).into_response())
}

/// `POST /api/functions`
pub async fn make(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    body: wire::Body,
) -> Result<Response, Problem> {
    let given: wire::FunctionChange = wire::body_of(&body)?;
    keep_pace(&site, &account)?;
    let variables = given.variables().unwrap_or_default();
    let function = site.engine.make_function(&account, given.plan()?, variables).await?;
    Ok((StatusCode::CREATED, Json(detail(&site, &function))).into_response())
}

/// `GET /api/functions/ID`
pub async fn show(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Json<wire::FunctionDetail>, Problem> {
    let function = site.engine.function(caller, function_id(&id)?).await?;
    Ok(Json(detail(&site, &function)))
}

/// `PUT /api/functions/ID`
pub async fn change(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    body: wire::Body,
) -> Result<Json<wire::FunctionDetail>, Problem> {
    let change: wire::FunctionChange = wire::body_of(&body)?;
    let id = function_id(&id)?;
    let mut function = site.engine.change_function(caller, id, |plan| change.apply(plan)).await?;
    if let Some(variables) = change.variables() {
        function = site.engine.set_variables(caller, id, variables).await?;
    }
    Ok(Json(detail(&site, &function)))
}

/// `DELETE /api/functions/ID`
pub async fn delete(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Json<wire::Done>, Problem> {
    site.engine.delete_function(caller, function_id(&id)?).await?;
    Ok(Json(wire::Done {}))
}

/// `GET /api/functions/ID/deployments`: newest first.
pub async fn deployments(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let function = site.engine.function(caller, function_id(&id)?).await?;
    let all = function.deployments.iter().rev();
    let objects = all.map(|one| wire::DeploymentDetail::of(one, function.active)).collect();
    Ok(Json(wire::Page { objects, next_token: None }).into_response())
}

/// `POST /api/functions/ID/deployments`: a form with the file `code`, and `activate`.
pub async fn deploy(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    Path(id): Path<String>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    let id = function_id(&id)?;
    keep_pace(&site, &account)?;
    let no_form = || Refusal::FORM_MALFORMED;
    let mut form = form.map_err(|_| no_form())?;
    let scratch = site.engine.scratch()?;
    let (mut has_code, mut activate) = (false, true);
    while let Some(field) = form.next_field().await.map_err(|_| no_form())? {
        match field.name() {
            Some("code") => {
                take(field, &scratch).await?;
                has_code = true;
            }
            Some("activate") => {
                activate = match field.text().await.map_err(|_| no_form())?.as_str() {
                    "true" => true,
                    "false" => false,
                    other => {
                        return Err(no_form().because(format!("activate is true or false, not {other:?}.")).into());
                    }
                }
            }
            _ => {}
        }
    }
    if !has_code {
        return Err(no_form().into());
    }
    let (function, deployment) = site.engine.deploy(account.lane, id, scratch.path().join(CODE), activate).await?;
    Ok((StatusCode::CREATED, Json(deployment_detail(&function, deployment)?)).into_response())
}

const CODE: &str = "code";

async fn take(mut field: Field<'_>, scratch: &Scratch) -> Result<(), Refusal> {
    let mut file = std::fs::File::create(scratch.path().join(CODE)).map_err(|_| Refusal::FAULT)?;
    let mut bytes = 0;
    let chunk = async |field: &mut Field<'_>| match tokio::time::timeout(upload::PIECE_TIMEOUT, field.chunk()).await {
        Ok(Ok(chunk)) => Ok(chunk),
        _ => Err(Refusal::BODY_UNREADABLE),
    };
    while let Some(chunk) = chunk(&mut field).await? {
        bytes += chunk.len() as u64;
        if bytes > FILE_BYTES_MAX {
            return Err(Refusal::FILE_TOO_LARGE);
        }
        file.write_all(&chunk).map_err(|_| Refusal::FULL)?;
    }
    Ok(())
}

/// `GET /api/functions/ID/deployments/ID`
pub async fn deployment(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path((id, deployment)): Path<(String, String)>,
) -> Result<Json<wire::DeploymentDetail>, Problem> {
    let function = site.engine.function(caller, function_id(&id)?).await?;
    Ok(Json(deployment_detail(&function, deployment_id(&deployment)?)?))
}

/// `DELETE /api/functions/ID/deployments/ID`
pub async fn undeploy(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path((id, deployment)): Path<(String, String)>,
) -> Result<Json<wire::Done>, Problem> {
    site.engine.delete_deployment(caller, function_id(&id)?, deployment_id(&deployment)?).await?;
    Ok(Json(wire::Done {}))
}

/// `POST /api/functions/ID/deployments/ID/activate`
pub async fn activate(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path((id, deployment)): Path<(String, String)>,
) -> Result<Json<wire::DeploymentDetail>, Problem> {
    let deployment = deployment_id(&deployment)?;
    let function = site.engine.activate(caller, function_id(&id)?, deployment).await?;
    Ok(Json(deployment_detail(&function, deployment)?))
}

/// `POST /api/functions/ID/deployments/ID/cancel`
pub async fn cancel(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path((id, deployment)): Path<(String, String)>,
) -> Result<Json<wire::DeploymentDetail>, Problem> {
    let deployment = deployment_id(&deployment)?;
    let function = site.engine.cancel_build(caller, function_id(&id)?, deployment).await?;
    Ok(Json(deployment_detail(&function, deployment)?))
}

/// `GET /api/functions/ID/deployments/ID/logs`: what its build printed, and prints, as server-sent events.
pub async fn logs(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path((id, deployment)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (id, deployment) = (function_id(&id)?, deployment_id(&deployment)?);
    let log = site.engine.build_log(caller, id, deployment).await?;
    let event = |event: Event| Some(Ok::<_, Infallible>(event));
    let printed = stream::unfold((Some(0), log, site.clone()), move |(from, log, site)| async move {
        let from = from?;
        let mut draining = site.draining.clone();
        let next = tokio::select! {
            next = log.next(from) => next,
            () = super::drained(&mut draining) => return None,
        };
        if let Some(text) = next {
            let from = from + text.len();
            let piece = Event::default().json_data(wire::BuildPrinted { text }).unwrap_or_default();
            return Some((event(piece), (Some(from), log, site)));
        }
        let function = site.engine.function(caller, id).await.ok()?;
        let one = function.deployments.iter().find(|one| one.id == deployment)?;
        let over = wire::BuildOver { status: wire::deployment_status(&one.status) };
        let end = Event::default().event("end").json_data(over).unwrap_or_default();
        Some((event(end), (None, log, site)))
    });
    let printed = futures_util::StreamExt::filter_map(printed, async |event| event);
    let keep_alive = KeepAlive::new().interval(site.settings.ping);
    Ok(Sse::new(printed).keep_alive(keep_alive).into_response())
}

/// `GET /api/functions/ID/deployments/ID/download`: what was sent, as it was sent.
pub async fn download(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path((id, deployment)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let function = site.engine.function(caller, function_id(&id)?).await?;
    let deployment = deployment_id(&deployment)?;
    let one = function.deployments.iter().find(|one| one.id == deployment).ok_or(Refusal::DEPLOYMENT_UNKNOWN)?;
    let mut response = upload::get(State(site), Path(wire::request_id(one.archive))).await?;
    let named = HeaderValue::from_static("attachment; filename=\"code\"");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, named);
    Ok(response)
}

/// `GET /api/functions/ID/variables`
pub async fn variables(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let function = site.engine.function(caller, function_id(&id)?).await?;
    let listed = |(key, variable): (&String, &rules::function::Variable)| wire::VariableListed {
        key: key.clone(),
        value: site.engine.shown_value(&function, key),
        secret: variable.is_secret,
    };
    let objects = function.variables.iter().map(listed).collect();
    Ok(Json(wire::Page { objects, next_token: None }).into_response())
}

/// `POST /api/functions/ID/variables`: one, new or in the place of one.
pub async fn set_variable(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    body: wire::Body,
) -> Result<Response, Problem> {
    let wire::NamedVariable { key, value, secret } = wire::body_of(&body)?;
    let variable = NewVariable { value: value.clone(), is_secret: secret };
    site.engine.set_variable(caller, function_id(&id)?, key.clone(), variable).await?;
    let listed = wire::VariableListed { key, value: (!secret).then_some(value), secret };
    Ok((StatusCode::CREATED, Json(listed)).into_response())
}

/// `DELETE /api/functions/ID/variables/KEY`
pub async fn remove_variable(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path((id, key)): Path<(String, String)>,
) -> Result<Json<wire::Done>, Problem> {
    site.engine.remove_variable(caller, function_id(&id)?, &key).await?;
    Ok(Json(wire::Done {}))
}

/// `GET /api/functions/ID/executions`: newest first.
pub async fn executions(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    paging: Paged,
) -> Result<Response, Problem> {
    let function = site.engine.function(caller, function_id(&id)?).await?;
    let before = token_of(paging)?;
    let executions = site.engine.executions(function.id, before, PAGE).await?;
    let next_token = executions.last().filter(|_| executions.len() == PAGE).map(|last| wire::request_id(last.id));
    let objects = executions.iter().map(wire::ExecutionListed::of).collect();
    Ok(Json(wire::Page { objects, next_token }).into_response())
}

/// `POST /api/functions/ID/executions`: its answer, or at once what will have one.
pub async fn execute(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    Path(id): Path<String>,
    body: wire::Body,
) -> Result<Response, Problem> {
    let given: wire::NewExecution = wire::body_of(&body)?;
    let function = site.engine.function(account.lane, function_id(&id)?).await?;
    keep_pace(&site, &account)?;
    let (method, path) = checked(&given)?;
    let engine = &site.engine;
    let route = engine.route_of(function.id).await?;
    let mut execution = engine.execution(&route, Trigger::Api, &method, &path);
    execution.scheduled_at = given.scheduled_at.as_ref().map(|at| moment(at, engine.now())).transpose()?;
    let mut headers: Vec<(String, Bytes)> = given
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), Bytes(value.clone().into_bytes())))
        .collect();
    if !headers.iter().any(|(name, _)| name == "host") {
        headers.push(("host".into(), Bytes(invoke::host_of(&site.outside.origin).as_bytes().to_vec())));
    }
    let asked = Asked { headers, body: Bytes(given.body.unwrap_or_default().into_bytes()) };
    if given.is_async || execution.scheduled_at.is_some() {
        let execution = engine.ask_execution(function.id, execution, asked).await?;
        return Ok((StatusCode::ACCEPTED, Json(wire::ExecutionListed::of(&execution))).into_response());
    }
    let whole = engine.execute(&route, execution, asked).await?;
    Ok((StatusCode::CREATED, Json(wire::ExecutionDetail::of(&whole))).into_response())
}

/// A method, and a path that can be asked.
fn checked(given: &wire::NewExecution) -> Result<(String, String), Refusal> {
    let malformed = |why: &'static str| Refusal::EXECUTION_MALFORMED.because(why);
    let method = given.method.as_deref().unwrap_or("GET").to_ascii_uppercase();
    let is_method = method.len() <= 32 && method.parse::<axum::http::Method>().is_ok() && method != "CONNECT";
    let path = given.path.clone().unwrap_or_else(|| "/".into());
    let is_path = path.starts_with('/')
        && path.len() <= EXECUTION_PATH_BYTES_MAX
        && !path.contains('#')
        && path.parse::<axum::http::uri::PathAndQuery>().is_ok();
    let is_header = |(name, value): (&String, &String)| {
        axum::http::HeaderName::try_from(name).is_ok() && HeaderValue::from_str(value).is_ok()
    };
    if !is_method {
        return Err(malformed("This method is none that HTTP knows."));
    }
    if !is_path || worker::server::call::is_ours(&path) {
        return Err(malformed("A path begins with /, and is written as an address writes it."));
    }
    if !given.headers.iter().all(is_header) {
        return Err(malformed("One of the headers cannot be sent as one."));
    }
    Ok((method, path))
}

/// When it is to be.
fn moment(given: &Value, now: At) -> Result<At, Refusal> {
    let at = match given {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => {
            text.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_millisecond()).ok())
        }
        _ => None,
    };
    let malformed =
        || Refusal::EXECUTION_MALFORMED.because("scheduledAt is a moment within a year: 2026-12-31T12:00:00Z.");
    at.map(At).filter(|at| at.0 <= now.0 + EXECUTION_DELAY_MS_MAX).ok_or_else(malformed)
}

#[derive(Deserialize)]
pub struct Waiting {
    wait: Option<u64>,
}

/// `GET /api/functions/ID/executions/ID?wait=SECONDS`: as soon as it is over, or as it stands then.
pub async fn execution(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path((id, execution)): Path<(String, String)>,
    waiting: Result<Query<Waiting>, QueryRejection>,
) -> Result<Json<wire::ExecutionDetail>, Problem> {
    let function = site.engine.function(caller, function_id(&id)?).await?.id;
    let id = wire::lane_of(&execution).ok_or(Refusal::EXECUTION_UNKNOWN)?.0;
    let Query(Waiting { wait }) =
        waiting.map_err(|_| Refusal::PARAMETER_MALFORMED.because("?wait takes a whole number of seconds."))?;
    let wait = Duration::from_secs(wait.unwrap_or(0)).min(Duration::from_millis(WAIT_MS_MAX));
    let whole = match wait.is_zero() {
        true => site.engine.whole_execution(function, id).await?,
        false => match tokio::time::timeout(wait, site.engine.execution_over(function, id)).await {
            Ok(whole) => whole?,
            Err(_) => site.engine.whole_execution(function, id).await?,
        },
    };
    Ok(Json(wire::ExecutionDetail::of(&whole)))
}

/// `GET /api/runtimes`: what this machine can run.
pub async fn runtimes(State(site): State<Site>, Caller(_): Caller) -> Json<wire::RuntimesListed> {
    Json(wire::RuntimesListed::of(site.engine.world().runtimes.found().await))
}

fn detail(site: &Site, function: &Function) -> wire::FunctionDetail {
    wire::FunctionDetail::of(function, &site.outside.origin, site.engine.instances_of(function.id))
}

fn deployment_detail(function: &Function, id: DeploymentId) -> Result<wire::DeploymentDetail, Refusal> {
    let one: Option<&Deployment> = function.deployments.iter().find(|one| one.id == id);
    Ok(wire::DeploymentDetail::of(one.ok_or(Refusal::DEPLOYMENT_UNKNOWN)?, function.active))
}

fn token_of(paging: Paged) -> Result<Option<u128>, Refusal> {
    let Query(Paging { token }) = paging.map_err(|_| Refusal::TOKEN_OF_NO_LIST)?;
    token.map(|token| wire::lane_of(&token).map(|id| id.0).ok_or(Refusal::TOKEN_OF_NO_LIST)).transpose()
}

fn function_id(id: &str) -> Result<LaneId, Refusal> {
    wire::lane_of(id).ok_or(Refusal::FUNCTION_UNKNOWN)
}

fn deployment_id(id: &str) -> Result<DeploymentId, Refusal> {
    wire::lane_of(id).map(|id| id.0).ok_or(Refusal::DEPLOYMENT_UNKNOWN)
}
