//! The API and worker keys of an account. Only a person makes, sees and revokes them: whoever finds a key cannot make
//! itself another.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use rules::{account::KeyKind, refusal::Refusal};

use super::{Site, identity::Session, problem::Problem, wire};

/// `GET /api/keys`
pub async fn list(State(site): State<Site>, session: Session) -> Result<Response, Problem> {
    let account = session.account;
    let mut objects = Vec::new();
    for key in &account.keys {
        let last_used_at = site.engine.key_used_at(account.lane, key.id).await?;
        objects.push(wire::AccountKeyDetail {
            id: wire::request_id(key.id),
            kind: key.kind.name(),
            name: key.name.clone(),
            created_at: key.created_at.0,
            last_used_at: last_used_at.map(|at| at.0),
        });
    }
    Ok(Json(wire::Page { objects, next_token: None }).into_response())
}

/// `POST /api/keys`
pub async fn make(State(site): State<Site>, session: Session, body: wire::Body) -> Result<Response, Problem> {
    let wire::NewAccountKey { kind, name } = wire::body_of(&body)?;
    let kind = KeyKind::parse(&kind)?;
    let (id, key) = site.engine.make_account_key(session.account, kind, name.unwrap_or_default()).await?;
    Ok((StatusCode::CREATED, Json(wire::AccountKeyMade { id: wire::request_id(id), key })).into_response())
}

/// `DELETE /api/keys/ID`
pub async fn revoke(
    State(site): State<Site>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<wire::Done>, Problem> {
    let id = uuid::Uuid::parse_str(&id).map_err(|_| Refusal::ACCOUNT_KEY_UNKNOWN)?.as_u128();
    site.engine.revoke_account_key(session.account, id).await?;
    Ok(Json(wire::Done {}))
}
