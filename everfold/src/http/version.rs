//! The versions of a hook: publish, watch, give up, look ahead, go back.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use engine::PAGE;
use rules::{
    hook::{Change, Changed},
    refusal::Refusal,
};
use serde::Deserialize;

use super::{
    Site,
    hook::{self, Own},
    problem::Problem,
    wire,
};

/// `POST /api/hooks/ID/publish`
pub async fn publish(State(site): State<Site>, Own(view): Own) -> Result<Json<wire::Publishing>, Problem> {
    publishing(site.engine.publish(view.lane).await?)
}

/// `POST /api/hooks/ID/versions/VERSION/restore`
pub async fn restore(
    State(site): State<Site>,
    Own(view): Own,
    Path((_, version)): Path<(String, String)>,
) -> Result<Json<wire::Publishing>, Problem> {
    let version = version.parse().map_err(|_| Refusal::VERSION_UNKNOWN)?;
    publishing(site.engine.change(view.lane, Change::Restore { version, found: None }).await?)
}

fn publishing(changed: Changed) -> Result<Json<wire::Publishing>, Problem> {
    match changed {
        Changed::Publishing { version, total } => Ok(Json(wire::Publishing { version, total: total.0 })),
        Changed::Done => Err(Refusal::FAULT.into()),
    }
}

/// `GET /api/hooks/ID/replay`
pub async fn replay(State(site): State<Site>, Own(view): Own) -> Json<wire::Replay> {
    Json(wire::Replay::of(&view, site.engine.now()))
}

/// `POST /api/hooks/ID/replay/cancel`. Where nothing is refolded, nothing is given up.
pub async fn cancel(State(site): State<Site>, Own(view): Own) -> Result<Json<wire::Replay>, Problem> {
    site.engine.change(view.lane, Change::Cancel).await?;
    let view = site.engine.view(view.lane).await?;
    Ok(Json(wire::Replay::of(&view, site.engine.now())))
}

/// `POST /api/hooks/ID/preview`
pub async fn preview(State(site): State<Site>, Own(view): Own, body: wire::Body) -> Result<Response, Problem> {
    let wire::NewPreview { code } = wire::body_of(&body)?;
    let source = code.map(hook::source).transpose()?.unwrap_or_else(|| view.config.draft.source.clone());
    let _place = site.previews.try_acquire().map_err(|_| Refusal::BUSY)?;
    let preview = site.engine.preview(&view, source).await?;
    Ok(Json(wire::PreviewDetail::of(&preview)).into_response())
}

#[derive(Deserialize)]
pub struct Paging {
    token: Option<u32>,
}

/// `GET /api/hooks/ID/versions`
pub async fn list(
    State(site): State<Site>,
    Own(view): Own,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Paging { token }) = paging.map_err(|_| Refusal::TOKEN_OF_NO_LIST)?;
    let versions = site.engine.versions(&view, token).await?;
    let is_full = versions.len() == PAGE;
    let next_token = versions.last().filter(|last| is_full && last.version > 1).map(|last| last.version.to_string());
    let draft = token.is_none().then(|| wire::VersionListed::draft_of(&view));
    let objects: Vec<_> =
        draft.into_iter().chain(versions.iter().map(|kept| wire::VersionListed::of(kept, &view))).collect();
    Ok(Json(wire::Page { objects, next_token }).into_response())
}
