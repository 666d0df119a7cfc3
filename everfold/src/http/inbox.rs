//! Notices: what actions want people to know, kept in the account's inbox, and mailed where that was asked for.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use engine::PAGE;
use rules::{inbox::Notice, limits::IDEMPOTENCY_KEY_BYTES_MAX, record::Seq, refusal::Refusal, run::transaction_of};
use serde::Deserialize;

use super::{
    Site,
    identity::Caller,
    problem::{HostProblem, Problem},
    wire,
};

/// `POST /api/notify`
pub async fn notify(
    State(site): State<Site>,
    caller: Result<Caller, Problem>,
    body: Result<wire::Body, Problem>,
) -> Result<Response, HostProblem> {
    let Caller(account) = caller?;
    let given: wire::Notified = wire::body_of(&body?)?;
    if given.idempotency_key.as_ref().is_some_and(|key| key.len() > IDEMPOTENCY_KEY_BYTES_MAX) {
        return Err(Refusal::IDEMPOTENCY_KEY_TOO_LONG.into());
    }
    let now = site.engine.now();
    let run = given.transaction_id.as_deref().and_then(transaction_of).map(|(run, _)| wire::id_of(run));
    let notice = Notice {
        id: site.engine.world().request_id(now),
        run,
        title: given.title.filter(|title| !title.is_empty()),
        message: given.message,
        deliveries: given.delivery_instructions.into_iter().map(wire::DeliveryInstruction::into).collect(),
        idempotency_key: given.idempotency_key,
        created_at: now,
    };
    site.engine.notify(account, &notice).await?;
    Ok(Json(wire::NotifiedReply { kind: "success" }).into_response())
}

#[derive(Deserialize)]
pub struct Paging {
    token: Option<String>,
}

/// `GET /api/notices`: newest first.
pub async fn list(
    State(site): State<Site>,
    Caller(caller): Caller,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Paging { token }) = paging.map_err(|_| Refusal::TOKEN_OF_NO_LIST)?;
    let before = token.map(|token| token.parse().map(Seq).map_err(|_| Refusal::TOKEN_OF_NO_LIST)).transpose()?;
    let notices = site.engine.notices(caller, before, PAGE).await?;
    let next_token = notices.last().filter(|_| notices.len() == PAGE).map(|(seq, _)| seq.0.to_string());
    let objects = notices.into_iter().map(|(_, notice)| wire::NoticeListed::of(notice)).collect();
    Ok(Json(wire::Page { objects, next_token }).into_response())
}
