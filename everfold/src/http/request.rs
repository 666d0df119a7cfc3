//! From what a client sends to the bounded request that is kept, and the reasons to refuse it on the way.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::{
    HeaderMap,
    body::{Body, Bytes},
    header::{self, HeaderName},
    http::request::Parts,
};
use rules::{call, limits, record::At, refusal::Refusal};

use super::admission::Place;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest that a body may take to arrive: it holds a place among the writes meanwhile.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a refused body is still taken in.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(5);

/// A body on its way in.
pub trait Incoming: Body<Data = Bytes> + Send + Unpin + 'static {}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Incoming for B {}

/// Reads a body up to its bound. What was announced as too large is refused before it is read.
pub async fn read_body<B: Incoming>(headers: &HeaderMap, mut body: B, place: &mut Place) -> Result<Vec<u8>, Refusal> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let read = if announced.is_some_and(|bytes| bytes > limits::BODY_BYTES_MAX) {
        Err(Refusal::BODY_TOO_LARGE)
    } else {
        let gathered = gather(&mut body, announced.unwrap_or(0), place);
        tokio::time::timeout(BODY_TIMEOUT, gathered).await.unwrap_or(Err(Refusal::BODY_UNREADABLE))
    };
    read.inspect_err(|_| discard(body))
}

async fn gather(body: &mut impl Incoming, announced_bytes: usize, place: &mut Place) -> Result<Vec<u8>, Refusal> {
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
pub fn discard(mut body: impl Incoming) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(async move {
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

/// What is kept of a request: all of it, nothing parsed.
pub fn kept(head: &Parts, body: Vec<u8>, id: u128, now: At) -> call::Request {
    let header = |(name, value): (&HeaderName, &header::HeaderValue)| {
        (name.as_str().to_owned(), call::Bytes(value.as_bytes().to_vec()))
    };
    call::Request {
        id,
        seq: 0,
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(header).collect(),
        body: call::Bytes(body),
        created_at_ms: now.0,
    }
}

/// JSON nested deeper than the bound is refused whatever else it is; other broken JSON is kept as text.
pub fn refuse_depth(request: &call::Request) -> Result<(), Refusal> {
    if claims_json(request) && depth(&request.body.0) > limits::JSON_DEPTH_MAX {
        return Err(Refusal::BODY_TOO_DEEP);
    }
    Ok(())
}

pub fn content_type(request: &call::Request) -> Option<String> {
    let kind = request.headers.iter().find(|(name, _)| name == "content-type");
    kind.map(|(_, value)| String::from_utf8_lossy(&value.0).into_owned())
}

pub fn claims_json(request: &call::Request) -> bool {
    let kind = content_type(request).unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json")
}

/// How deep brackets nest outside of strings. Counted, not parsed: the body is parsed once, where it is folded, and
/// serde_json skips values without a bound of its own.
pub fn depth(json: &[u8]) -> usize {
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

pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<Vec<u8>>, Refusal> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY).filter(|value| !value.is_empty()) else { return Ok(None) };
    if value.len() > limits::IDEMPOTENCY_KEY_BYTES_MAX {
        return Err(Refusal::IDEMPOTENCY_KEY_TOO_LONG);
    }
    Ok(Some(value.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use super::{super::admission::Admission, *};

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
        let mut place = std::sync::Arc::new(Admission::default()).enter(None).expect("nobody else is here");
        let reading = read_body(&headers, Silent, &mut place);
        let read = tokio::time::timeout(2 * BODY_TIMEOUT, reading).await.expect("the wait has a bound");
        assert_eq!(read.map_err(|refusal| refusal.code), Err("body_unreadable"));
    }

    #[test]
    fn depth_counts_brackets_and_not_what_strings_hold() {
        assert_eq!(depth(b"7"), 0);
        assert_eq!(depth(br#"{"a": [1, {"b": []}], "c": []}"#), 4);
        assert_eq!(depth(br#"["[[[[", "\"[[[", "\\", []]"#), 2);
        assert_eq!(depth(b"]]][["), 2);
    }
}
