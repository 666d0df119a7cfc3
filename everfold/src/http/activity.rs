//! When a hook was busy, for a list of hooks.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use engine::ACTIVITY_HOURS_MAX;
use rules::refusal::Refusal;
use serde::Deserialize;

use super::{Site, hook::Own, parameter, problem::Problem, wire};

const HOURS: u64 = 24;
const HOUR_MS: u64 = 60 * 60 * 1000;

#[derive(Deserialize)]
pub struct Wanted {
    hours: Option<String>,
}

/// `GET /api/hooks/ID/activity`
pub async fn show(
    State(site): State<Site>,
    Own(view): Own,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<wire::ActivityDetail>, Problem> {
    let Query(wanted) = wanted.map_err(|_| Refusal::NUMBER_OUT_OF_BOUNDS)?;
    let hours = parameter::bounded("hours", wanted.hours.as_deref(), HOURS, 1..=ACTIVITY_HOURS_MAX)?;
    Ok(Json(site.engine.activity(&view, hours * HOUR_MS).await?.into()))
}
