//! The server's own settings, for its owner: the user who signed in first.

use axum::{Json, extract::State};
use rules::settings::Change;

use super::{Site, identity::Session, problem::Problem, wire};

/// `GET /api/settings`
pub async fn show(State(site): State<Site>, session: Session) -> Result<Json<wire::Settings>, Problem> {
    let settings = site.engine.settings().await?;
    Ok(Json(settings.of(session.account.lane)?.into()))
}

/// `PUT /api/settings`: what is left away stays.
pub async fn change(
    State(site): State<Site>,
    session: Session,
    body: wire::Body,
) -> Result<Json<wire::Settings>, Problem> {
    // First of all: who may not change anything learns nothing of what could be changed.
    site.engine.settings().await?.of(session.account.lane)?;
    let wire::SettingsChange { closed_to_guests, closed_to_new_users, resume_connected } = wire::body_of(&body)?;
    let change = Change { closed_to_guests, closed_to_new_users, resume_connected };
    Ok(Json((&site.engine.change_settings(session.account.lane, change).await?).into()))
}
