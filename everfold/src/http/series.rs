//! The course of a number over the log, for a chart.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use engine::SERIES_POINTS_MAX;
use rules::refusal::Refusal;
use serde::Deserialize;

use super::{Site, hook::Own, parameter, pointer::Pointer, problem::Problem, wire};

/// What a chart of ordinary width can show.
const POINTS: u64 = 200;

#[derive(Deserialize)]
pub struct Wanted {
    path: Option<String>,
    points: Option<String>,
}

/// `GET /api/hooks/ID/series`
pub async fn show(
    State(site): State<Site>,
    Own(view): Own,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<wire::Series>, Problem> {
    let Query(wanted) = wanted.map_err(|_| Refusal::POINTER_MALFORMED)?;
    let pointer = Pointer::parse(wanted.path.as_deref().unwrap_or_default())?;
    // The first and the last are always shown.
    let points = parameter::bounded("points", wanted.points.as_deref(), POINTS, 2..=SERIES_POINTS_MAX)?;
    let points = site.engine.series(&view, points, |state| pointer.number_in(state?)).await?;
    Ok(Json(wire::Series { points: points.into_iter().map(Into::into).collect() }))
}
