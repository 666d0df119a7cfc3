//! What a machine sees: the router, and the bounds that hold for every request.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use engine::{Engine, vault::Vault};
use rules::{limits, refusal::Refusal};

mod admission;
mod health;
mod hook;
mod identity;
mod live;
mod problem;
mod read;
mod wire;
mod write;

use admission::{Admission, Place};
use problem::Problem;

/// The longest that a body may take to arrive: it holds a place among the writes meanwhile.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a refused body is still taken in.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(5);

/// What every handler is given.
#[derive(Clone)]
pub struct Site {
    pub engine: Engine,
    pub vault: Arc<Vault>,
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
    pub admission: Arc<Admission>,
    pub draining: tokio::sync::watch::Receiver<bool>,
}

impl Site {
    pub fn new(
        engine: Engine,
        vault: Vault,
        metrics: metrics_exporter_prometheus::PrometheusHandle,
        draining: tokio::sync::watch::Receiver<bool>,
    ) -> Site {
        Site { engine, vault: Arc::new(vault), metrics, admission: Arc::default(), draining }
    }
}

pub fn router(site: Site) -> Router {
    let open = Router::new()
        .route("/write/{key}", any(write::write))
        .route("/write/{key}/{*rest}", any(write::write_below))
        .route("/write/{key}/settled/{id}", get(write::settled).fallback(write::write_settled))
        .route("/read/{key}", get(read::read))
        .layer(middleware::from_fn(cross_origin));
    let api = Router::new()
        .route("/auth/guest-user", post(identity::guest))
        .route("/auth/refresh-token", post(identity::refresh))
        .route("/auth/me", get(identity::me))
        .route("/hooks", get(hook::list).post(hook::create))
        .route("/hooks/{id}", get(hook::show).put(hook::change))
        .route("/hooks/{id}/publish", post(hook::publish))
        .route("/hooks/{id}/replay", get(hook::replay))
        .route("/hooks/{id}/history", get(hook::history))
        .route("/hooks/{id}/keys", get(hook::keys).post(hook::make_key))
        .route("/hooks/{id}/keys/{key}/pause", post(hook::pause_key))
        .route("/hooks/{id}/keys/{key}/play", post(hook::play_key))
        .route("/hooks/{id}/verify", get(hook::verify))
        .route("/limits", get(health::limits))
        .merge(open.clone());
    Router::new()
        .merge(open)
        .nest("/api", api)
        .route("/state-events", get(live::state_events))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/", get(health::home))
        .fallback(|| async { Problem(Refusal::PATH_UNKNOWN) })
        .method_not_allowed_fallback(|| async { Problem(Refusal::METHOD_UNKNOWN) })
        .layer(middleware::from_fn(at_the_rim))
        .with_state(site)
}

/// What no handler has to look at again: headers within their bound, and a path that is text.
async fn at_the_rim(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if percent_encoding::percent_decode_str(path).decode_utf8().is_err() {
        let names_a_key = path.contains("/write/") || path.contains("/read/");
        return Problem(if names_a_key { Refusal::KEY_UNKNOWN } else { Refusal::PATH_UNKNOWN }).into_response();
    }
    let bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > limits::HEADER_BYTES_MAX {
        return Problem(Refusal::HEADERS_TOO_LARGE).into_response();
    }
    next.run(request).await
}

/// Whoever has a key may use it from any page.
async fn cross_origin(request: Request, next: Next) -> Response {
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("x-seq, idempotency-replayed, retry-after"),
    );
    if is_preflight {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE"),
        );
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        if let Some(asked) = asked {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
        }
    }
    response
}

/// Reads a body up to its bound. What was announced as too large is refused before it is read.
pub async fn read_body(headers: &HeaderMap, mut body: Body, place: &mut Place) -> Result<Vec<u8>, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let read = if announced.is_some_and(|bytes| bytes > limits::BODY_BYTES_MAX) {
        Err(Refusal::BODY_TOO_LARGE)
    } else {
        let gathered = gather(&mut body, announced.unwrap_or(0), place);
        tokio::time::timeout(BODY_TIMEOUT, gathered).await.unwrap_or(Err(Refusal::BODY_UNREADABLE))
    };
    read.map_err(|refusal| {
        discard(body);
        Problem(refusal)
    })
}

async fn gather(body: &mut Body, announced_bytes: usize, place: &mut Place) -> Result<Vec<u8>, Refusal> {
    use http_body_util::BodyExt;
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::BODY_UNREADABLE)?.into_data() else { continue };
        if bytes.len() + data.len() > limits::BODY_BYTES_MAX {
            return Err(Refusal::BODY_TOO_LARGE);
        }
        place.hold(data.len())?;
        if bytes.is_empty() {
            // Not before something has come: an announcement alone costs its sender nothing.
            bytes.reserve_exact(announced_bytes.max(data.len()));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Takes in what is still to come of a refused body, and keeps none of it. A connection that is closed while its
/// client still sends is reset, and with it goes the reply that says why.
pub fn discard(mut body: Body) {
    use hyper::body::Body as _;
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(async move {
        use http_body_util::BodyExt;
        let mut left = limits::BODY_BYTES_MAX;
        let gone = async {
            while let Some(Ok(frame)) = body.frame().await {
                let bytes = frame.data_ref().map_or(0, |data| data.len());
                if bytes > left {
                    return;
                }
                left -= bytes;
            }
        };
        let _ = tokio::time::timeout(REFUSED_TIMEOUT, gone).await;
    });
}

/// Resolves when the server is going down.
pub async fn drained(draining: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = draining.wait_for(|draining| *draining).await;
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use super::*;

    /// A body of which nothing ever comes.
    struct Silent;

    impl hyper::body::Body for Silent {
        type Data = hyper::body::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let headers = HeaderMap::new();
        let mut place = Arc::new(Admission::default()).enter(None).expect("nobody else is here");
        let reading = read_body(&headers, Body::new(Silent), &mut place);
        let read = tokio::time::timeout(2 * BODY_TIMEOUT, reading).await.expect("the wait has a bound");
        assert_eq!(read.map_err(|Problem(refusal)| refusal.code), Err("body_unreadable"));
    }
}
