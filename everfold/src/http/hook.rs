//! What an owner does with a hook: make, read, change, publish, look back.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use engine::{follow::View, log::Damage};
use rules::{
    access::{self, KeyKind},
    hook::{Changed, Edit},
    limits,
    record::{LaneId, Seq},
    refusal::Refusal,
};
use serde::Deserialize;

use super::{Site, identity::Caller, problem::Problem, wire};

/// The code that a new hook begins with.
pub const SAMPLE: &str = include_str!("../../../examples/hooks/counter.ts");
/// The hooks that one listing shows.
const HOOKS_MAX: usize = 1000;

/// `GET /api/hooks`
pub async fn list(State(site): State<Site>, Caller(caller): Caller) -> Result<Response, Problem> {
    let mut objects = Vec::new();
    for hook in site.engine.hooks_of(caller, HOOKS_MAX).await? {
        objects.push(wire::HookDetail::of(&*site.engine.view(hook).await?));
    }
    Ok(Json(wire::Page { objects, next_token: None }).into_response())
}

/// `POST /api/hooks`
pub async fn create(State(site): State<Site>, Caller(caller): Caller, body: Bytes) -> Result<Response, Problem> {
    let wire::NewHook { name, code } = wire::body_of(&body)?;
    let draft = source(code.unwrap_or_else(|| SAMPLE.to_owned()))?;
    let is_first = site.engine.hooks_of(caller, 1).await?.is_empty();
    let hook = site.engine.create_hook(caller, name, draft).await?;
    // A guest's first hook works at once.
    if is_first && site.engine.account(caller).await?.is_some_and(|account| account.email.is_none()) {
        site.engine.publish(hook).await?;
    }
    let view = site.engine.view(hook).await?;
    Ok((StatusCode::CREATED, Json(wire::HookDetail::of(&view))).into_response())
}

fn source(code: String) -> Result<Arc<str>, Refusal> {
    if code.len() > limits::SOURCE_BYTES_MAX { Err(Refusal::SOURCE_TOO_LARGE) } else { Ok(code.into()) }
}

/// The hook of a path, if it is the caller's.
async fn own(site: &Site, caller: LaneId, id: &str) -> Result<Arc<View>, Problem> {
    let hook = wire::lane_of(id).ok_or(Refusal::HOOK_UNKNOWN)?;
    let view = site.engine.view(hook).await?;
    access::own(caller, view.config.owner)?;
    Ok(view)
}

/// `GET /api/hooks/ID`
pub async fn show(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    Ok(Json(wire::HookDetail::of(&*own(&site, caller, &id).await?)).into_response())
}

/// `PUT /api/hooks/ID`
pub async fn change(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let view = own(&site, caller, &id).await?;
    let change: wire::HookChange = wire::body_of(&body)?;
    let edit = Edit {
        draft: change.code.map(source).transpose()?,
        name: change.name,
        description: change.description,
        paused: change.workflow_state.map(|state| state == wire::WorkflowState::Paused),
    };
    site.engine.edit(view.lane, edit).await?;
    let view = site.engine.view(view.lane).await?;
    Ok((StatusCode::ACCEPTED, Json(wire::HookDetail::of(&view))).into_response())
}

/// `POST /api/hooks/ID/publish`
pub async fn publish(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let view = own(&site, caller, &id).await?;
    match site.engine.publish(view.lane).await? {
        Changed::Publishing { version, total } => {
            Ok(Json(wire::Publishing { version, total: total.0 }).into_response())
        }
        _ => Err(Refusal::FAULT.into()),
    }
}

/// `GET /api/hooks/ID/replay`
pub async fn replay(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let view = own(&site, caller, &id).await?;
    Ok(Json(wire::Replay::of(&view, site.engine.now())).into_response())
}

#[derive(Deserialize)]
pub struct Paging {
    token: Option<u64>,
}

/// `GET /api/hooks/ID/history`
pub async fn history(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    paging: Result<Query<Paging>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let view = own(&site, caller, &id).await?;
    let Query(paging) = paging.map_err(|_| Refusal::PARAMETER_MALFORMED.because("The token is not of this list."))?;
    let moments = site.engine.history(&view, paging.token.map(Seq)).await?;
    let oldest = moments.last().map(|moment| moment.request.seq);
    let next_token = oldest.filter(|seq| *seq > 1).map(|seq| seq.to_string());
    let objects = moments.iter().map(wire::RequestDetail::of).collect();
    Ok(Json(wire::Page { objects, next_token }).into_response())
}

/// `GET /api/hooks/ID/keys`
pub async fn keys(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let view = own(&site, caller, &id).await?;
    Ok(Json(wire::Keys { keys: view.config.keys.iter().map(Into::into).collect() }).into_response())
}

/// `POST /api/hooks/ID/keys`
pub async fn make_key(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let view = own(&site, caller, &id).await?;
    let wire::NewKey { kind } = wire::body_of(&body)?;
    let key = site.engine.make_key(view.lane, KeyKind::parse(&kind)?).await?;
    Ok((StatusCode::CREATED, Json(wire::KeyMade { key })).into_response())
}

/// `POST /api/hooks/ID/keys/KEY/pause`
pub async fn pause_key(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path((id, key)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    set_key(&site, caller, &id, key, true).await
}

/// `POST /api/hooks/ID/keys/KEY/play`
pub async fn play_key(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path((id, key)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    set_key(&site, caller, &id, key, false).await
}

async fn set_key(site: &Site, caller: LaneId, id: &str, key: String, paused: bool) -> Result<StatusCode, Problem> {
    let view = own(site, caller, id).await?;
    site.engine.pause_key(view.lane, key, paused).await?;
    Ok(StatusCode::ACCEPTED)
}

/// `GET /api/hooks/ID/verify`
pub async fn verify(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let view = own(&site, caller, &id).await?;
    let verified = match site.engine.verify(view.lane).await? {
        Ok((seq, hash)) => wire::Verified { seq: seq.0, hash: hash.to_string(), ok: true, detail: None },
        Err(damage) => {
            let seq = match damage {
                Damage::Chain(seq) | Damage::Unknown(seq) => seq.0,
                Damage::Store(_) => 0,
            };
            wire::Verified { seq, hash: String::new(), ok: false, detail: Some(damage.to_string()) }
        }
    };
    Ok(Json(verified).into_response())
}
