//! A request on its way, and what of it is held so that it can be sent again.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request,
    body::Body as _,
    header::{self, HeaderName, HeaderValue},
    http::request::Parts,
    upgrade::OnUpgrade,
};
use rules::{limits, refusal::Refusal};
use tokio::time::timeout;

use super::{many::Many, proof::OfNode};
use crate::{
    http::{discard, idempotency_key, slug_of_host},
    places::Place,
};

/// A body of at most this is held while it is passed on, so that it can be passed on again.
pub const PASSED_BODY_BYTES_MAX: usize = 64 << 10;
/// Bodies that are held at once; further ones are passed on as they come.
pub const PASSED_BODIES_MAX: usize = 1_024;
/// The same of those larger ones that are writes, up to the largest, and of writes that do not say how large they are.
pub const PASSED_LARGE_BODIES_MAX: usize = 64;
/// The longest that such a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// What concerns one connection alone.
const OF_A_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A request on its way to whoever answers it.
pub struct Passed {
    pub head: Parts,
    pub body: Kept,
    pub upgrade: Option<OnUpgrade>,
    pub place: Place,
    pub is_of_node: bool,
    /// It changes nothing, or says by its key that it is the same one.
    pub may_be_kept_twice: bool,
}

pub enum Kept {
    /// All of it, as often as it takes.
    Whole(
        Bytes,
        #[allow(dead_code, reason = "held for as long as the bytes are")] Option<tokio::sync::OwnedSemaphorePermit>,
    ),
    /// Once.
    Stream(Option<Body>),
}

impl Passed {
    pub async fn of(mut request: Request<Body>, many: &Many) -> Result<Passed, Refusal> {
        let place = many.place_of(request.uri(), request.method(), request.headers()).await?;
        let is_upgrade = request.headers().contains_key(header::UPGRADE);
        let upgrade = is_upgrade.then(|| hyper::upgrade::on(&mut request));
        let (head, body) = request.into_parts();
        let size = body.size_hint().exact();
        let is_write = matches!(place, Place::Lane(_)) && is_write(&head);
        // Whoever refuses a body ends the connection that it still comes through, and may not be heard.
        if is_write && size.is_some_and(|bytes| bytes > limits::BODY_BYTES_MAX as u64) {
            discard(body);
            return Err(Refusal::BODY_TOO_LARGE);
        }
        let room = match size {
            Some(bytes) if bytes <= PASSED_BODY_BYTES_MAX as u64 => Some((&many.held, PASSED_BODY_BYTES_MAX)),
            _ if is_write => Some((&many.held_large, limits::BODY_BYTES_MAX)),
            _ => None,
        };
        let taken = room.and_then(|(places, bytes_max)| Some((places.clone().try_acquire_owned().ok()?, bytes_max)));
        let body = match taken {
            _ if size == Some(0) => Kept::Whole(Bytes::new(), None),
            Some((place, bytes_max)) => Kept::Whole(whole(body, bytes_max).await?, Some(place)),
            None => Kept::Stream(Some(body)),
        };
        let is_code = is_code(&head, &many.origin);
        let has_key = is_write && matches!(idempotency_key(&head.headers), Ok(Some(_)));
        let is_whole = matches!(body, Kept::Whole(..));
        let is_safe = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS) && !is_code;
        Ok(Passed {
            head,
            body,
            upgrade,
            place,
            is_of_node: false,
            may_be_kept_twice: is_whole && (is_safe || has_key),
        })
    }

    /// `None` when its body has been sent once and was too large to be held.
    pub fn request(&mut self) -> Option<Request<Body>> {
        let body = match &mut self.body {
            Kept::Whole(bytes, _) => Body::new(Full::new(bytes.clone())),
            Kept::Stream(body) => body.take()?,
        };
        Some(request_of(&self.head, body))
    }

    pub fn put_back(&mut self, unsent: Request<Body>) {
        if let Kept::Stream(body) = &mut self.body {
            *body = Some(unsent.into_body());
        }
    }

    /// As if it had come in just now.
    pub fn here(&self, mut request: Request<Body>) -> Request<Body> {
        if let Some(upgrade) = self.upgrade.clone() {
            request.extensions_mut().insert(upgrade);
        }
        if self.is_of_node {
            request.extensions_mut().insert(OfNode);
        }
        request
    }
}

pub fn request_of(head: &Parts, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.headers_mut() = head.headers.clone();
    request
}

fn is_write(head: &Parts) -> bool {
    let path = head.uri.path();
    path.strip_prefix("/api").unwrap_or(path).starts_with("/write/")
}

/// A write, whatever its method, or a call of code that may do anything.
fn is_code(head: &Parts, origin: &str) -> bool {
    let path = head.uri.path();
    let path = path.strip_prefix("/api").unwrap_or(path);
    is_write(head) || path.starts_with("/f/") || slug_of_host(origin, &head.headers).is_some()
}

async fn whole(mut body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    let refusal = match timeout(BODY_TIMEOUT, Limited::new(&mut body, bytes_max).collect()).await {
        Ok(Ok(collected)) => return Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Refusal::BODY_TOO_LARGE,
        _ => Refusal::BODY_UNREADABLE,
    };
    discard(body);
    Err(refusal)
}

pub fn without_connection(headers: &mut hyper::HeaderMap, is_upgrade: bool) {
    let upgrade = is_upgrade.then(|| headers.get(header::UPGRADE).cloned()).flatten();
    OF_A_CONNECTION.iter().for_each(|name| {
        headers.remove(name);
    });
    if let Some(upgrade) = upgrade {
        headers.insert(header::UPGRADE, upgrade);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
}
