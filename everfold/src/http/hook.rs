//! What an owner does with a hook: make, look at, change, delete.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, RawPathParams, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use engine::{follow::View, log::Damage};
use futures_util::{StreamExt, stream};
use rules::{
    hook::{Change, Edit},
    limits,
    record::LaneId,
    refusal::Refusal,
};

use super::{
    Site,
    identity::{Caller, Identity},
    problem::Problem,
    wire,
};

/// The code that a new hook begins with.
pub const SAMPLE: &str = include_str!("../../../examples/hooks/counter.ts");
/// The hooks that one listing shows.
pub const HOOKS_MAX: usize = 1000;
/// The hooks that one listing looks at together: what another node has is read from the store, piece by piece.
const HOOKS_AT_ONCE: usize = 16;

/// `GET /api/hooks`
pub async fn list(State(site): State<Site>, identity: Identity) -> Result<Response, Problem> {
    let hooks = site.engine.hooks_of_account(&identity.account, HOOKS_MAX).await?;
    let mut views = stream::iter(hooks).map(|hook| site.engine.seen(hook)).buffered(HOOKS_AT_ONCE);
    let mut objects = Vec::new();
    while let Some(view) = views.next().await {
        match view {
            Ok(view) => objects.push(wire::HookDetail::of(&view)),
            // It was deleted meanwhile.
            Err(refusal) if refusal == Refusal::HOOK_UNKNOWN => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
    Ok(Json(wire::Page { objects, next_token: None }).into_response())
}

/// `POST /api/hooks`
pub async fn create(State(site): State<Site>, identity: Identity, body: wire::Body) -> Result<Response, Problem> {
    let caller = identity.account.lane;
    let wire::NewHook { name, code } = wire::body_of(&body)?;
    let draft = source(code.unwrap_or_else(|| SAMPLE.to_owned()))?;
    let is_first = site.engine.hooks_of(caller, 1).await?.is_empty();
    let hook = site.engine.create_hook(caller, name, draft).await?;
    let is_published = is_first && identity.account.is_guest();
    let view = shown(&site, hook, is_published).await.map_err(once)?;
    Ok((StatusCode::CREATED, Json(wire::HookDetail::of(&view))).into_response())
}

/// A guest's first hook works at once.
async fn shown(site: &Site, hook: LaneId, is_published: bool) -> Result<Arc<View>, Refusal> {
    if is_published {
        site.engine.publish(hook).await?;
    }
    site.engine.view(hook).await
}

/// What has done one thing and not the next is not asked of another node again.
pub fn once(refusal: Refusal) -> Refusal {
    if refusal == Refusal::OWNER_MISSING { Refusal::UNCERTAIN } else { refusal }
}

pub fn source(code: String) -> Result<Arc<str>, Refusal> {
    if code.len() > limits::SOURCE_BYTES_MAX { Err(Refusal::SOURCE_TOO_LARGE) } else { Ok(code.into()) }
}

/// The hook that a path names, if it is the caller's.
pub struct Own(pub Arc<View>);

impl FromRequestParts<Site> for Own {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        let Caller(caller) = Caller::from_request_parts(parts, site).await?;
        let params = RawPathParams::from_request_parts(parts, site).await.map_err(|_| Refusal::HOOK_UNKNOWN)?;
        let id = params.iter().find(|(name, _)| *name == "id").map(|(_, id)| id).ok_or(Refusal::HOOK_UNKNOWN)?;
        let hook = wire::lane_of(id).ok_or(Refusal::HOOK_UNKNOWN)?;
        let view = site.engine.view(hook).await?;
        site.engine.owns(caller, view.config.owner).await?;
        Ok(Own(view))
    }
}

/// `GET /api/hooks/ID`
pub async fn show(Own(view): Own) -> Json<wire::HookDetail> {
    Json(wire::HookDetail::of(&view))
}

/// `PUT /api/hooks/ID`
pub async fn change(State(site): State<Site>, Own(view): Own, body: wire::Body) -> Result<Response, Problem> {
    let change: wire::HookChange = wire::body_of(&body)?;
    let edit = Edit {
        draft: change.code.map(source).transpose()?,
        name: change.name,
        description: change.description,
        paused: change.workflow_state.map(|state| state == wire::WorkflowState::Paused),
    };
    site.engine.change(view.lane, Change::Edit(edit)).await?;
    let view = site.engine.view(view.lane).await?;
    Ok((StatusCode::ACCEPTED, Json(wire::HookDetail::of(&view))).into_response())
}

/// `DELETE /api/hooks/ID`
pub async fn delete(State(site): State<Site>, Own(view): Own) -> Result<StatusCode, Problem> {
    site.engine.change(view.lane, Change::Delete).await?;
    Ok(StatusCode::ACCEPTED)
}

/// `POST /api/hooks/ID/reset-requests`
pub async fn reset(State(site): State<Site>, Own(view): Own) -> Result<StatusCode, Problem> {
    site.engine.change(view.lane, Change::Reset).await?;
    Ok(StatusCode::CREATED)
}

/// `GET /api/hooks/ID/verify`
pub async fn verify(State(site): State<Site>, Own(view): Own) -> Result<Response, Problem> {
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
