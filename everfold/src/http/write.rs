//! A request comes in at a write key, and is kept before it is answered.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, Request, header},
    response::{IntoResponse, Response},
};
use engine::follow::folded_through;
use rules::{
    access::{self, Entry},
    call::{self, Bytes},
    hook::Reply,
    limits,
    refusal::Refusal,
};

use super::{Site, admission::Place, discard, problem::Problem, read_body, wire};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
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
    let (head, body) = request.into_parts();
    // A place is held until the reply: what cannot be kept promptly is refused before it is read.
    let (entry, mut place) = match admit(site, key).await {
        Ok(admitted) => admitted,
        Err(refusal) => {
            discard(body);
            return Err(refusal.into());
        }
    };
    let body = read_body(&head.headers, body, &mut place).await?;
    let now = site.engine.now();
    let request = call::Request {
        id: site.engine.world().request_id(now),
        seq: 0,
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), Bytes(value.as_bytes().to_vec())))
            .collect(),
        body: Bytes(body),
        created_at_ms: now.0,
    };
    let hook = match entry {
        Entry::Open(hook) => hook,
        Entry::Swallow => return Ok(wire::Accepted::swallowed(request.id).into_response()),
    };
    refuse_depth(&request)?;
    let idempotency_key = idempotency_key(&head.headers)?;

    let view = site.engine.view(hook).await?;
    let (request, answered) = match view.live.as_ref().filter(|live| live.exports.responder) {
        Some(live) => {
            let request = Arc::new(request);
            let answered = site.engine.answer(live, request.clone()).await?;
            (Arc::unwrap_or_clone(request), Some(answered))
        }
        None => (request, None),
    };
    let written = site.engine.write(hook, request, idempotency_key, answered).await?;
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
    Ok((entry, site.admission.enter(hook)?))
}

/// JSON nested deeper than the bound is refused whatever else it is; other broken JSON is kept as text.
fn refuse_depth(request: &call::Request) -> Result<(), Problem> {
    if wire::claims_json(request) && depth(&request.body.0) > limits::JSON_DEPTH_MAX {
        return Err(Refusal::BODY_TOO_DEEP.into());
    }
    Ok(())
}

/// How deep brackets nest outside of strings. Counted, not parsed: the body is parsed once, where it is folded, and
/// serde_json skips values without a bound of its own.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn idempotency_key(headers: &header::HeaderMap) -> Result<Option<Vec<u8>>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY).filter(|value| !value.is_empty()) else { return Ok(None) };
    if value.len() > limits::IDEMPOTENCY_KEY_BYTES_MAX {
        return Err(Refusal::IDEMPOTENCY_KEY_TOO_LONG.into());
    }
    Ok(Some(value.as_bytes().to_vec()))
}

/// `GET /write/KEY/settled/ID`
pub async fn settled(State(site): State<Site>, Path((key, id)): Path<(String, String)>) -> Result<Response, Problem> {
    let hook = match access::write(site.engine.door(&key).await?)? {
        Entry::Open(hook) => hook,
        Entry::Swallow => return Err(Refusal::REQUEST_UNKNOWN.into()),
    };
    let id = uuid::Uuid::parse_str(&id).map_err(|_| Refusal::REQUEST_UNKNOWN)?.as_u128();
    let seq = site.engine.find(hook, id).await?;
    let verdict = site.engine.verdict(hook, seq).await?;
    if verdict.is_folded() {
        let mut following = site.engine.follow(hook).await?;
        folded_through(site.engine.world(), &mut following, seq).await.ok_or(Refusal::SETTLED_NOT_YET)?;
    }
    let status = wire::status_of(&verdict, true);
    Ok(axum::Json(wire::Settled { settled: true, seq: seq.0, status }).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_and_not_what_strings_hold() {
        assert_eq!(depth(b"7"), 0);
        assert_eq!(depth(br#"{"a": [1, {"b": []}], "c": []}"#), 4);
        assert_eq!(depth(br#"["[[[[", "\"[[[", "\\", []]"#), 2);
        assert_eq!(depth(b"]]][["), 2);
    }
}
