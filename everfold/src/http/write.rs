//! A request comes in at a write key, and is kept before it is answered.

use std::time::Instant;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, Request},
    response::{IntoResponse, Response},
};
use engine::{follow::folded_through, replay::Fate};
use rules::{
    access::{self, Entry},
    hook::Reply,
    record::LaneId,
    refusal::Refusal,
};

use super::{
    Site,
    admission::Place,
    pace::{Owner, Pass},
    problem::Problem,
    request, wire,
};

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// `ANY /write/KEY`
pub async fn write(
    State(site): State<Site>,
    Path(key): Path<String>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    accept(&site, &key, request).await
}

/// `ANY /write/KEY/anything`: providers that append to the address they are given are kept too.
pub async fn write_below(
    State(site): State<Site>,
    Path((key, _)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    accept(&site, &key, request).await
}

/// `POST /write/KEY/settled/ID` is a write like any other.
pub async fn write_settled(
    State(site): State<Site>,
    Path((key, _)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    accept(&site, &key, request).await
}

async fn accept(site: &Site, key: &str, request: Request<Body>) -> Result<Response, Problem> {
    let answered = taken(site, key, request).await;
    if answered.is_err() {
        site.tally.refuse();
    }
    answered
}

async fn taken(site: &Site, key: &str, request: Request<Body>) -> Result<Response, Problem> {
    let begun = Instant::now();
    let (head, body) = request.into_parts();
    // A place is held until the reply: what cannot be kept promptly is refused before it is read.
    let (entry, mut place) = match admit(site, key).await {
        Ok(admitted) => admitted,
        Err(refusal) => {
            request::discard(body);
            return Err(refusal.into());
        }
    };
    let body = request::read_body(&head.headers, body, &mut place).await?;
    let now = site.engine.now();
    let request = request::kept(&head, body, site.engine.world().request_id(now), now);
    let hook = match entry {
        Entry::Open(hook) => hook,
        Entry::Swallow => return Ok(wire::Accepted::swallowed(request.id).into_response()),
    };
    request::refuse_depth(&request)?;
    let idempotency_key = request::idempotency_key(&head.headers)?;
    let response = keep(site, hook, request, idempotency_key).await?;
    site.tally.keep(begun.elapsed(), site.engine.now());
    Ok(response)
}

/// Has a request answered and kept, as if it had just come in.
pub async fn keep(
    site: &Site,
    hook: LaneId,
    request: rules::call::Request,
    idempotency_key: Option<Vec<u8>>,
) -> Result<Response, Problem> {
    let written = site.engine.keep(hook, request, idempotency_key).await?;
    metrics::counter!("everfold_requests_accepted_total").increment(1);
    let mut response = match written.reply {
        Reply::Receipt(receipt) => wire::Accepted::receipt(&receipt).into_response(),
        Reply::Response(response) => wire::response(response),
    };
    if written.replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Where a key leads, and a place for one write there.
async fn admit(site: &Site, key: &str) -> Result<(Entry, Place), Refusal> {
    if *site.draining.borrow() {
        return Err(Refusal::DRAINING);
    }
    let entry = access::write(site.engine.door(key).await?)?;
    let hook = match entry {
        Entry::Open(hook) => Some(hook),
        Entry::Swallow => None,
    };
    if let Some(hook) = hook {
        keep_pace(site, key, hook).await?;
    }
    Ok((entry, site.admission.enter(hook)?))
}

/// Refuses what comes faster than a guest's hook takes. Whose hook it is, is looked up only for what is that fast.
async fn keep_pace(site: &Site, key: &str, hook: LaneId) -> Result<(), Refusal> {
    loop {
        let now = site.engine.now();
        match site.pace.enter(key, now) {
            Pass::Free => return Ok(()),
            Pass::TooFast { retry_after_s } => {
                let writes = site.settings.guest_writes_per_minute;
                let detail = format!("A guest's hook takes {writes} writes a minute with one key; nothing was kept.");
                return Err(Refusal { retry_after_s: Some(retry_after_s), ..Refusal::TOO_FAST.because(detail) });
            }
            Pass::WhoseHook => {
                let owner = site.engine.view(hook).await?.config.owner;
                let is_user = site.engine.account(owner).await?.is_some_and(|account| !account.is_guest());
                site.pace.learn(key, if is_user { Owner::User } else { Owner::Guest }, now);
            }
        }
    }
}

/// `GET /write/KEY/settled/ID`
pub async fn settled(State(site): State<Site>, Path((key, id)): Path<(String, String)>) -> Result<Response, Problem> {
    let hook = match access::write(site.engine.door(&key).await?)? {
        Entry::Open(hook) => hook,
        Entry::Swallow => return Err(Refusal::REQUEST_UNKNOWN.into()),
    };
    let id = uuid::Uuid::parse_str(&id).map_err(|_| Refusal::REQUEST_UNKNOWN)?.as_u128();
    let seq = site.engine.find(hook, id).await?;
    let verdict = site.engine.arrival(hook, seq).await?.verdict;
    if verdict.is_folded() {
        let mut following = site.engine.follow(hook).await?;
        folded_through(site.engine.world(), &mut following, seq).await.ok_or(Refusal::SETTLED_NOT_YET)?;
    }
    let status = wire::status_of(&verdict, Fate::Folded);
    Ok(axum::Json(wire::Settled { settled: true, seq: seq.0, status }).into_response())
}
