//! The queue: actions that wait to be begun, as the package puts them there and as people begin them.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use engine::PAGE;
use rules::{email::Email, queue::Item, refusal::Refusal};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Site,
    identity::{Caller, Identity},
    problem::{HostProblem, Problem},
    run, wire,
};

/// `POST /api/actions/enqueue`
pub async fn enqueue(
    State(site): State<Site>,
    caller: Result<Caller, Problem>,
    body: Result<wire::Body, Problem>,
) -> Result<Response, HostProblem> {
    let Caller(account) = caller?;
    let wire::Enqueued { slug, assignee, params, params_meta } = wire::body_of(&body?)?;
    let json = |value: Option<Value>| value.filter(|value| !value.is_null()).map(|value| value.to_string().into());
    let assignee = assignee.map(|address| Email::parse(&address)).transpose()?;
    let id = site.engine.world().request_id(site.engine.now());
    let (params, params_meta) = (json(params.map(Value::Object)), json(params_meta));
    let item = Item { id, slug, assignee, params, params_meta, created_at: site.engine.now() };
    site.engine.enqueue(account, item).await?;
    Ok(Json(wire::EnqueuedReply { kind: "success", id: wire::request_id(id) }).into_response())
}

/// `POST /api/actions/dequeue`
pub async fn dequeue(
    State(site): State<Site>,
    caller: Result<Caller, Problem>,
    body: Result<wire::Body, Problem>,
) -> Result<Response, HostProblem> {
    let Caller(account) = caller?;
    let wire::Dequeued { id } = wire::body_of(&body?)?;
    let item = site.engine.dequeue(account, item_id(&id)?).await?;
    Ok(Json(wire::DequeuedReply::of(item)).into_response())
}

#[derive(Deserialize)]
pub struct Paging {
    token: Option<String>,
}

/// `GET /api/queue`: oldest first.
pub async fn list(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Paging { token }) = paging.map_err(|_| Refusal::TOKEN_OF_NO_LIST)?;
    let after = token.map(|token| item_id(&token).map_err(|_| Refusal::TOKEN_OF_NO_LIST)).transpose()?;
    let items = site.engine.queued(account.lane, after, PAGE).await?;
    let next_token = items.last().filter(|_| items.len() == PAGE).map(|item| wire::request_id(item.id));
    let hosts = site.engine.hosts();
    let name = |slug: &str| hosts.route(account.lane, slug).and_then(|offered| offered.route.name);
    let objects = items.into_iter().map(|item| wire::QueuedListed::of(name(&item.slug), item)).collect();
    Ok(Json(wire::Page { objects, next_token }).into_response())
}

/// `POST /api/queue/ID/runs`: begins it; parameters of the call stand over those of the item.
pub async fn begin(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    Path(id): Path<String>,
    body: wire::Body,
) -> Result<Response, Problem> {
    let wire::NewRun { params: over, params_meta } = wire::body_of(&body)?;
    let began = site.engine.begin_item(account.lane, item_id(&id)?, async |item: Item| {
        let object = |json: &Option<rules::call::Json>| json.as_ref().and_then(|json| serde_json::from_str(json).ok());
        let mut params: Map<String, Value> = object(&item.params).unwrap_or_default();
        params.extend(over);
        let meta: Option<Value> = item.params_meta.as_ref().and_then(|json| serde_json::from_str(json).ok());
        run::begin_action(&site, &account, &item.slug, params, params_meta.or(meta)).await
    });
    let run = began.await?;
    Ok((StatusCode::CREATED, Json(run::made(&site, run))).into_response())
}

fn item_id(id: &str) -> Result<u128, Refusal> {
    wire::lane_of(id).map(|id| id.0).ok_or(Refusal::QUEUE_ITEM_UNKNOWN)
}
