//! What happened to a hook: its requests, what they changed, what its code said.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use engine::{PAGE, PAGE_MAX, follow::View, past::Place};
use rules::{call::Request, record::Seq, refusal::Refusal};
use serde::Deserialize;

use super::{Site, hook::Own, parameter, problem::Problem, wire, write};

#[derive(Deserialize)]
pub struct Paging {
    token: Option<u64>,
}

/// `GET /api/hooks/ID/history`
pub async fn list(
    State(site): State<Site>,
    Own(view): Own,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(paging) = paging.map_err(|_| Refusal::TOKEN_OF_NO_LIST)?;
    let moments = site.engine.history(&view, paging.token.map(Seq)).await?;
    let next_token = token_behind(&view, moments.last().map(|moment| moment.request.seq));
    let objects = moments.iter().map(wire::RequestDetail::of).collect();
    Ok(Json(wire::Page { objects, next_token }).into_response())
}

/// The token of the page that follows this oldest request.
fn token_behind(view: &View, oldest: Option<u64>) -> Option<String> {
    oldest.filter(|seq| *seq > view.config.begin.0 + 1).map(|seq| seq.to_string())
}

#[derive(Deserialize)]
pub struct BriefPaging {
    token: Option<u64>,
    limit: Option<String>,
}

/// `GET /api/hooks/ID/requests`: for a table of very many, of which any page may be wanted next.
pub async fn brief(
    State(site): State<Site>,
    Own(view): Own,
    paging: Result<Query<BriefPaging>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(paging) = paging.map_err(|_| Refusal::TOKEN_OF_NO_LIST)?;
    let limit = parameter::bounded("limit", paging.limit.as_deref(), PAGE as u64, 1..=PAGE_MAX as u64)?;
    let objects = site.engine.requests(&view, paging.token.map(Seq), limit as usize, wire::RequestBrief::of).await?;
    let next_token = token_behind(&view, objects.last().map(|oldest| oldest.seq));
    Ok(Json(wire::Page { objects, next_token }).into_response())
}

fn seq_of(seq: &str) -> Result<Seq, Problem> {
    Ok(Seq(seq.parse().map_err(|_| Refusal::REQUEST_UNKNOWN)?))
}

/// `GET /api/hooks/ID/requests/SEQ`
pub async fn show(
    State(site): State<Site>,
    Own(view): Own,
    Path((_, seq)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let seq = seq_of(&seq)?;
    let (_, moment) = site.engine.moment(&view, seq).await?;
    let hash = site.engine.arrival(view.lane, seq).await?.hash;
    Ok(Json(wire::RequestWhole::of(&moment, hash)).into_response())
}

/// `GET /api/hooks/ID/requests/SEQ/diff`
pub async fn diff(
    State(site): State<Site>,
    Own(view): Own,
    Path((_, seq)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (before, moment) = site.engine.moment(&view, seq_of(&seq)?).await?;
    Ok(Json(wire::Difference::between(before.as_deref(), moment.state.as_deref())).into_response())
}

/// `POST /api/hooks/ID/requests/SEQ/resend`: the same content, as a request of its own.
pub async fn resend(
    State(site): State<Site>,
    Own(view): Own,
    Path((_, seq)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let seq = seq_of(&seq)?;
    if seq > view.seq || seq <= view.config.begin {
        return Err(Refusal::REQUEST_UNKNOWN.into());
    }
    let _place = site.admission.enter(Some(view.lane))?;
    let sent = site.engine.arrival(view.lane, seq).await?.request;
    let now = site.engine.now();
    let id = site.engine.world().request_id(now);
    let request = Request { id, seq: 0, created_at_ms: now.0, ..(*sent).clone() };
    write::keep(&site, view.lane, request, None).await
}

#[derive(Deserialize)]
pub struct ConsolePaging {
    token: Option<String>,
}

/// `GET /api/hooks/ID/console`
pub async fn console(
    State(site): State<Site>,
    Own(view): Own,
    paging: Result<Query<ConsolePaging>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(paging) = paging.map_err(|_| Refusal::TOKEN_OF_NO_LIST)?;
    let place = |token: &str| {
        let (seq, line) = token.split_once('.')?;
        Some(Place { seq: Seq(seq.parse().ok()?), line: line.parse().ok()? })
    };
    let before = match &paging.token {
        Some(token) => Some(place(token).ok_or(Refusal::TOKEN_OF_NO_LIST)?),
        None => None,
    };
    let said = site.engine.console(&view, before).await?;
    let next_token =
        said.last().filter(|_| said.len() == PAGE).map(|last| format!("{}.{}", last.place.seq.0, last.place.line));
    let objects = said.iter().map(Into::into).collect();
    Ok(Json(wire::Console { console: wire::Page { objects, next_token } }).into_response())
}

/// `GET /api/hooks/ID/templates`
pub async fn templates(State(site): State<Site>, Own(view): Own) -> Result<Response, Problem> {
    let templates = site.engine.templates(&view).await?;
    Ok(Json(wire::Templates { templates: wire::raw(&templates) }).into_response())
}
