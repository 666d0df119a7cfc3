//! Schedules: actions that are begun by themselves, time after time.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use engine::{PAGE, schedule::Context};
use rules::{record::LaneId, refusal::Refusal, schedule::Schedule};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Site, identity::Identity, problem::Problem, run, wire};

#[derive(Deserialize)]
pub struct Paging {
    token: Option<String>,
}

/// `GET /api/schedules`: newest first.
pub async fn list(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Paging { token }) = paging.map_err(|_| Refusal::TOKEN_OF_NO_LIST)?;
    let before = token.map(|token| wire::lane_of(&token).ok_or(Refusal::TOKEN_OF_NO_LIST)).transpose()?;
    let schedules = site.engine.schedules_of(&account, before, PAGE).await?;
    let next_token = schedules.last().filter(|_| schedules.len() == PAGE).map(|schedule| wire::id_of(schedule.id));
    let mut objects = Vec::new();
    for schedule in schedules {
        objects.push(detail(&site, schedule).await?);
    }
    Ok(Json(wire::Page { objects, next_token }).into_response())
}

/// `POST /api/schedules`
pub async fn make(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    body: wire::Body,
) -> Result<Response, Problem> {
    let given: wire::NewSchedule = wire::body_of(&body)?;
    let schedule = site.engine.make_schedule(&account, given.into()).await?;
    Ok((StatusCode::CREATED, Json(detail(&site, schedule).await?)).into_response())
}

/// `GET /api/schedules/ID`
pub async fn show(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    Path(id): Path<String>,
) -> Result<Json<wire::ScheduleDetail>, Problem> {
    let schedule = site.engine.schedule(account.lane, schedule_id(&id)?).await?;
    Ok(Json(detail(&site, schedule).await?))
}

/// `PUT /api/schedules/ID`
pub async fn change(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    Path(id): Path<String>,
    body: wire::Body,
) -> Result<Json<wire::ScheduleDetail>, Problem> {
    let change: wire::ScheduleChange = wire::body_of(&body)?;
    let schedule = site.engine.change_schedule(&account, schedule_id(&id)?, |plan| change.apply(plan)).await?;
    Ok(Json(detail(&site, schedule).await?))
}

/// `DELETE /api/schedules/ID`
pub async fn delete(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    Path(id): Path<String>,
) -> Result<Json<wire::Done>, Problem> {
    site.engine.delete_schedule(account.lane, schedule_id(&id)?).await?;
    Ok(Json(wire::Done {}))
}

/// What a run that a schedule begins is told of itself: the same as one that its owner begins.
pub fn context(site: &Site) -> Context {
    let site = site.clone();
    Arc::new(move |account, plan| {
        let params = plan.params.as_ref().and_then(|json| serde_json::from_str::<Map<String, Value>>(json).ok());
        run::context(&site, account, "action", &plan.slug, params.unwrap_or_default(), None)
    })
}

async fn detail(site: &Site, schedule: Schedule) -> Result<wire::ScheduleDetail, Refusal> {
    let brief = site.engine.last_run_of(&schedule).await?;
    Ok(wire::ScheduleDetail::of(schedule, brief))
}

fn schedule_id(id: &str) -> Result<LaneId, Refusal> {
    wire::lane_of(id).ok_or(Refusal::SCHEDULE_UNKNOWN)
}
