//! The secrets of a hook: written, never read back.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use rules::{hook::Change, refusal::Refusal};
use serde::Deserialize;

use super::{Site, hook::Own, problem::Problem, wire};

/// `GET /api/secrets/ID`
pub async fn list(State(site): State<Site>, Own(view): Own) -> Json<wire::SecretsListed> {
    let vault = &site.engine.world().vault;
    let secrets = view.config.secrets.iter().filter_map(|(name, sealed)| {
        let value = vault.open_one(view.lane, name, sealed)?;
        let hash = wire::sha256(value.as_bytes());
        Some((name.clone(), hash))
    });
    Json(wire::SecretsListed { secrets: secrets.collect() })
}

/// `POST /api/secrets/ID`
pub async fn set(State(site): State<Site>, Own(view): Own, body: wire::Body) -> Result<StatusCode, Problem> {
    // A body that is not understood is not quoted: a secret may be in it.
    let body: wire::NewSecret = wire::body_of(&body).map_err(|_| Refusal::SECRET_MALFORMED)?;
    site.engine.set_secret(view.lane, body.key, &body.value).await?;
    Ok(StatusCode::CREATED)
}

#[derive(Deserialize)]
pub struct Named {
    key: Option<String>,
}

/// `DELETE /api/secrets/ID?key=NAME`
pub async fn remove(
    State(site): State<Site>,
    Own(view): Own,
    named: Result<Query<Named>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let name = named.ok().and_then(|Query(named)| named.key).ok_or(Refusal::SECRET_UNKNOWN)?;
    site.engine.change(view.lane, Change::RemoveSecret { name }).await?;
    Ok(StatusCode::ACCEPTED)
}
