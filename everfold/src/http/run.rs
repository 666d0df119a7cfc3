//! Actions, and what becomes of them: begin, look on, answer, cancel.

use std::sync::Arc;

use axum::{
    Json,
    extract::{
        FromRequestParts, Path, Query, RawPathParams, RawQuery, State, WebSocketUpgrade, rejection::QueryRejection,
        ws::rejection::WebSocketUpgradeRejection,
    },
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use engine::{
    Engine, PAGE,
    host::Offered,
    run::{Active, Answered},
};
use futures_util::{Stream, stream};
use rules::{
    account::Account,
    limits::IDENTITY_MS,
    record::{At, LaneId},
    refusal::Refusal,
    run::{Answer, Begun},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::{broadcast, watch};

use super::{
    Site, events,
    identity::{Caller, Identity},
    problem::{self, Problem},
    socket, wire,
};

/// `GET /api/actions`
pub async fn actions(State(site): State<Site>, identity: Identity) -> Result<Response, Problem> {
    let hosted = site.engine.hosted_actions(&identity.account).await?.into_iter().map(|action| wire::ActionListed {
        name: action.declared.name.unwrap_or_else(|| action.declared.slug.clone()),
        slug: action.slug,
        description: action.declared.description,
        source: "hosted",
        hook_id: Some(wire::id_of(action.hook)),
        online: true,
        unlisted: action.declared.unlisted,
        is_page: action.declared.is_page,
    });
    let connected = site.engine.hosts().offered(identity.account.lane);
    let connected = connected.into_iter().map(|Offered { route, is_online }| wire::ActionListed {
        name: route.name.unwrap_or_else(|| route.slug.clone()),
        slug: route.slug,
        description: route.description,
        source: "host",
        hook_id: None,
        online: is_online,
        unlisted: route.unlisted,
        is_page: route.is_page,
    });
    let objects: Vec<_> = hosted.chain(connected).collect();
    Ok(Json(wire::Page { objects, next_token: None }).into_response())
}

/// `POST /api/actions/SLUG/runs`
pub async fn begin(
    State(site): State<Site>,
    identity: Identity,
    Path(slug): Path<String>,
    body: wire::Body,
) -> Result<Response, Problem> {
    let wire::NewRun { params, params_meta } = wire::body_of(&body)?;
    let run = begin_action(&site, &identity.account, &slug, params, params_meta).await?;
    Ok((StatusCode::CREATED, Json(made(&site, run))).into_response())
}

pub fn made(site: &Site, run: LaneId) -> wire::RunMade {
    let id = wire::id_of(run);
    wire::RunMade { url: format!("{}/r/{id}", site.outside.origin), id }
}

/// A new run of the action that an account calls so.
pub async fn begin_action(
    site: &Site,
    account: &Account,
    slug: &str,
    params: Map<String, Value>,
    params_meta: Option<Value>,
) -> Result<LaneId, Refusal> {
    keep_pace(site, account)?;
    let context = context(site, account, "action", slug, params, params_meta);
    let action = site.engine.hosted_actions(account).await?.into_iter().find(|action| action.slug == slug);
    if let Some(action) = action.filter(|action| !action.declared.is_page) {
        return site.engine.begin_hosted(account.lane, action, context, name_of(account)).await;
    }
    let offered = site.engine.hosts().route(account.lane, slug).filter(|offered| !offered.route.is_page);
    let offered = offered.ok_or(Refusal::ACTION_UNKNOWN)?;
    site.engine.begin_connected(account.lane, offered, context, name_of(account)).await
}

/// Refuses a guest who begins more than a guest may.
pub fn keep_pace(site: &Site, account: &Account) -> Result<(), Refusal> {
    if !account.is_guest() {
        return Ok(());
    }
    let key = format!("begun by {}", wire::id_of(account.lane));
    site.pace.enter_as_guest(&key, site.engine.now()).map_err(|retry_after_s| {
        let most = site.settings.guest_writes_per_minute;
        let detail = format!("A guest begins {most} runs and hosted pages a minute; this one was not begun.");
        Refusal { retry_after_s: Some(retry_after_s), ..Refusal::TOO_FAST.because(detail) }
    })
}

/// What `ctx` says of itself.
pub fn context(
    site: &Site,
    account: &Account,
    kind: &str,
    slug: &str,
    params: Map<String, Value>,
    params_meta: Option<Value>,
) -> rules::call::Json {
    let origin = &site.outside.origin;
    let (name, organization) = super::host::organization(origin);
    let mut context = json!({
        // A guest has none, and hosts take only text.
        "user": { "email": name_of(account).unwrap_or_default(), "firstName": null, "lastName": null, "role": "admin", "teams": [] },
        "params": params,
        "environment": "production",
        "organization": { "name": name, "slug": organization },
    });
    let path = if kind == "page" { "p" } else { "a" };
    context[kind] = json!({ "slug": slug, "url": format!("{origin}/{path}/{slug}") });
    if let Some(meta) = params_meta {
        context["paramsMeta"] = meta;
    }
    context.to_string().into()
}

/// A guest has no name.
fn name_of(account: &Account) -> Option<String> {
    account.email().map(|email| email.as_str().to_owned())
}

#[derive(Deserialize)]
pub struct Paging {
    token: Option<String>,
    status: Option<String>,
}

/// `GET /api/runs`: newest first; with `?status=open` only those that are not over.
pub async fn list(
    State(site): State<Site>,
    Caller(caller): Caller,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Paging { token, status }) = paging.map_err(|_| Refusal::TOKEN_OF_NO_LIST)?;
    let before = match token {
        Some(token) => Some(wire::lane_of(&token).ok_or(Refusal::TOKEN_OF_NO_LIST)?),
        None => None,
    };
    let runs = match status.as_deref() {
        None => site.engine.runs_of(caller, before, PAGE).await?,
        Some("open") => site.engine.open_runs_of(caller, before, PAGE).await?,
        Some(_) => return Err(Refusal::PARAMETER_MALFORMED.because("?status takes 'open', or nothing.").into()),
    };
    let next_token = runs.last().filter(|_| runs.len() == PAGE).map(|(run, _)| wire::id_of(*run));
    let objects = runs.into_iter().map(|(run, brief)| wire::RunListed::of(run, brief)).collect();
    Ok(Json(wire::Page { objects, next_token }).into_response())
}

/// The run that a path names, if it is the caller's.
pub struct Own {
    pub run: LaneId,
    pub active: Arc<Active>,
    pub account: Account,
    /// Not a program with a key.
    is_person: bool,
}

impl FromRequestParts<Site> for Own {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        let identity = Identity::from_request_parts(parts, site).await?;
        let is_person = identity.is_person();
        let account = identity.account;
        let params = RawPathParams::from_request_parts(parts, site).await.map_err(|_| Refusal::RUN_UNKNOWN)?;
        let id = params.iter().find(|(name, _)| *name == "id").map(|(_, id)| id).ok_or(Refusal::RUN_UNKNOWN)?;
        let (run, active) = own(site, account.lane, id).await?;
        Ok(Own { run, active, account, is_person })
    }
}

async fn own(site: &Site, caller: LaneId, id: &str) -> Result<(LaneId, Arc<Active>), Refusal> {
    let run = wire::lane_of(id).ok_or(Refusal::RUN_UNKNOWN)?;
    let active = site.engine.run(run).await?;
    let owner = active.state().await.run.owner;
    match site.engine.owns(caller, owner).await {
        Err(refusal) if refusal == Refusal::HOOK_FOREIGN => Err(Refusal::RUN_FOREIGN),
        Err(refusal) => Err(refusal),
        Ok(()) => Ok((run, active)),
    }
}

/// `GET /api/runs/ID`
pub async fn show(State(site): State<Site>, Own { active, .. }: Own) -> Json<wire::RunDetail> {
    let state = active.state().await;
    Json(wire::RunDetail::of(&state.run, site.engine.is_attended(&state.run), 0, 0, |id| state.rendered(id)))
}

/// `POST /api/runs/ID/answers`
pub async fn answer(
    State(site): State<Site>,
    Own { run, account, is_person, .. }: Own,
    body: wire::Body,
) -> Result<Response, Problem> {
    let wire::NewAnswer { key, values, values_meta, choice } = wire::body_of(&body)?;
    let answer = Answer { values, meta: values_meta.filter(Value::is_object), choice };
    let since = At(site.engine.now().0.saturating_sub(IDENTITY_MS));
    let is_proven = is_person && account.is_proven_since(since);
    match site.engine.answer_run(run, key, answer, name_of(&account), is_proven).await? {
        Answered::Kept => Ok(Json(wire::Done {}).into_response()),
        Answered::Wrong(wrong) => {
            let fields = wrong.into_iter().map(|wrong| wire::WrongField { index: wrong.index, message: wrong.message });
            Ok(problem::with_fields(Refusal::ANSWER_REFUSED, fields.collect()))
        }
    }
}

/// `POST /api/runs/ID/state`: a person turned a page, filtered, searched.
pub async fn state(
    State(site): State<Site>,
    Own { run, .. }: Own,
    body: wire::Body,
) -> Result<Json<wire::Done>, Problem> {
    let wire::NewState { key, values } = wire::body_of(&body)?;
    site.engine.state_run(run, key, Value::from(values).to_string().into()).await?;
    Ok(Json(wire::Done {}))
}

/// `POST /api/runs/ID/cancel`
pub async fn cancel(State(site): State<Site>, Own { run, .. }: Own) -> Result<Json<wire::Done>, Problem> {
    site.engine.cancel_run(run).await?;
    Ok(Json(wire::Done {}))
}

/// `POST /api/runs/ID/abandon`
pub async fn abandon(State(site): State<Site>, Own { run, .. }: Own) -> Result<Json<wire::Done>, Problem> {
    site.engine.abandon_run(run).await?;
    Ok(Json(wire::Done {}))
}

/// `POST /api/runs/ID/resume`
pub async fn resume(State(site): State<Site>, Own { run, .. }: Own) -> Result<Json<wire::Done>, Problem> {
    site.engine.resume_run(run).await?;
    Ok(Json(wire::Done {}))
}

/// `POST /api/runs/ID/restart`: the same action and parameters again, with the code that is live now.
pub async fn restart(State(site): State<Site>, Own { run, active, account, .. }: Own) -> Result<Response, Problem> {
    let Begun { action, context, .. } = active.state().await.run.begun.clone();
    let mut context: Map<String, Value> = serde_json::from_str(&context).map_err(|_| Refusal::FAULT)?;
    let params = match context.remove("params") {
        Some(Value::Object(params)) => params,
        _ => Map::new(),
    };
    let next = begin_action(&site, &account, &action, params, context.remove("paramsMeta")).await?;
    match site.engine.cancel_run(run).await {
        Err(refusal) if refusal != Refusal::RUN_OVER => Err(refusal.into()),
        _ => Ok((StatusCode::CREATED, Json(made(&site, next))).into_response()),
    }
}

/// `GET /run-events?runId=ID`: a run as it changes. Without an id: a word whenever one of the account's runs begins,
/// waits or ends.
pub async fn run_events(
    State(site): State<Site>,
    Caller(caller): Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    if !events::is_of_this_site(&headers, &site.outside.origin) {
        return Err(Refusal::ORIGIN_FOREIGN.into());
    }
    let query = query.unwrap_or_default();
    let id = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "runId").map(|(_, id)| id);
    let over = events::gone(site.clone(), headers);
    match id {
        Some(id) => {
            let (_, active) = own(&site, caller, &id).await?;
            socket::tell(&site, upgrade, changes(site.engine.clone(), active), over)
        }
        None => socket::tell(&site, upgrade, told(site.engine.runs_told(), caller), over),
    }
}

/// What a follower was shown so far.
struct Shown {
    engine: Engine,
    active: Arc<Active>,
    changes: watch::Receiver<u64>,
    /// How many changes, answers and logs; nothing yet at first.
    so_far: Option<(u64, usize, usize)>,
}

/// Nobody looks at a run any more that is over: its host may forget it.
impl Drop for Shown {
    fn drop(&mut self) {
        let (engine, active) = (self.engine.clone(), self.active.clone());
        tokio::spawn(async move { engine.leave_run(active).await });
    }
}

fn changes(engine: Engine, active: Arc<Active>) -> impl Stream<Item = String> + Send {
    let shown = Shown { engine, changes: active.changes(), active, so_far: None };
    stream::unfold(shown, |mut shown| async move {
        if shown.so_far.is_some() {
            shown.changes.changed().await.ok()?;
        }
        let event = {
            let state = shown.active.state().await;
            let now = *shown.changes.borrow_and_update();
            let (run, rendered) = (&state.run, |id: &str| state.rendered(id));
            let (seen, answers_from, logs_from) = shown.so_far.unwrap_or_default();
            let detail = wire::RunDetail::of(run, shown.engine.is_attended(run), answers_from, logs_from, rendered);
            let event = match shown.so_far {
                None => wire::RunEvent::Run { run: Box::new(detail) },
                Some(_) => wire::RunEvent::Update {
                    run: Box::new(detail),
                    answers_from,
                    logs_from,
                    rendered: state.rendered_since(seen).map(|(id, json)| wire::Rendered::of(id, json)).collect(),
                },
            };
            shown.so_far = Some((now, run.answered().count(), run.logs.len()));
            event
        };
        Some((serde_json::to_string(&event).expect("a frame is plain data"), shown))
    })
}

fn told(told: broadcast::Receiver<LaneId>, caller: LaneId) -> impl Stream<Item = String> + Send {
    stream::unfold(told, move |mut told| async move {
        loop {
            match told.recv().await {
                Ok(owner) if owner != caller => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => break,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
        Some((serde_json::to_string(&wire::RunEvent::Runs).expect("a frame is plain data"), told))
    })
}
