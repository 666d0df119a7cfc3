//! The keys of a hook.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use engine::follow::View;
use rules::{access::KeyKind, hook::Change};

use super::{Site, hook::Own, problem::Problem, wire};

/// `GET /api/hooks/ID/keys`
pub async fn list(Own(view): Own) -> Json<wire::Keys> {
    Json(wire::Keys { keys: view.config.keys.iter().map(Into::into).collect() })
}

/// `POST /api/hooks/ID/keys`
pub async fn make(State(site): State<Site>, Own(view): Own, body: wire::Body) -> Result<Response, Problem> {
    let wire::NewKey { kind } = wire::body_of(&body)?;
    let key = site.engine.make_key(view.lane, KeyKind::parse(&kind)?).await?;
    Ok((StatusCode::CREATED, Json(wire::KeyMade { key })).into_response())
}

/// `DELETE /api/hooks/ID/keys/KEY`
pub async fn revoke(
    State(site): State<Site>,
    Own(view): Own,
    Path((_, key)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    site.engine.change(view.lane, Change::RevokeKey { key }).await?;
    Ok(StatusCode::ACCEPTED)
}

/// `POST /api/hooks/ID/keys/KEY/pause`
pub async fn pause(
    State(site): State<Site>,
    Own(view): Own,
    Path((_, key)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    set(&site, &view, key, true).await
}

/// `POST /api/hooks/ID/keys/KEY/play`
pub async fn play(
    State(site): State<Site>,
    Own(view): Own,
    Path((_, key)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    set(&site, &view, key, false).await
}

async fn set(site: &Site, view: &View, key: String, paused: bool) -> Result<StatusCode, Problem> {
    site.engine.change(view.lane, Change::PauseKey { key, paused }).await?;
    Ok(StatusCode::ACCEPTED)
}
