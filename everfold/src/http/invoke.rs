//! Calls of functions from outside: passed on as they come, and their answers as they come back.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use engine::function::Answering;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Bytes, Frame, SizeHint};
use rules::{function::execution::Trigger, refusal::Refusal};
use worker::server::call::{Asked, is_ours};

use super::{Site, files, identity, problem::Problem, request};

/// What a function's page may do on the address that it shares with the dashboard: anything but be of its origin.
const POLICY: HeaderValue = HeaderValue::from_static(
    "sandbox allow-downloads allow-forms allow-modals allow-pointer-lock allow-popups allow-presentation allow-scripts",
);
/// Headers that decide over a whole origin.
const OF_THE_ORIGIN: [HeaderName; 6] = [
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("alt-svc"),
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("service-worker-allowed"),
];
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// `ANY /f/SLUG/PATH`
pub async fn below(State(site): State<Site>, request: Request) -> Response {
    let rest = request.uri().path().strip_prefix("/f/").unwrap_or_default();
    let (slug, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (slug, path) = (slug.to_owned(), format!("/{path}"));
    pass_on(&site, &slug, path, request, true).await.unwrap_or_else(IntoResponse::into_response)
}

/// The function that a host name is of: `slug.functions.HOST`.
pub fn slug_of_host<'a>(origin: &str, headers: &'a HeaderMap) -> Option<&'a str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let (slug, rest) = host.split_once('.')?;
    (rest.strip_prefix("functions.")? == host_of(origin)).then_some(slug)
}

/// All that is asked of such a host.
pub async fn of_host(site: &Site, slug: &str, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    pass_on(site, slug, path, request, false).await.unwrap_or_else(IntoResponse::into_response)
}

/// The host, with its port, of an address.
pub fn host_of(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

async fn pass_on(
    site: &Site,
    slug: &str,
    path: String,
    request: Request,
    is_shared: bool,
) -> Result<Response, Problem> {
    if is_ours(&path) {
        return Err(Refusal::PATH_UNKNOWN.into());
    }
    let engine = &site.engine;
    let route = engine.route_of_slug(slug).await?;
    let (mut head, body) = request.into_parts();
    let path = head.uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    if let Ok(Answering::Files { tree, variables, .. }) = &route.answering {
        let mut response = files::serve(tree, variables, &head.method, &path, &head.headers);
        guard(response.headers_mut(), is_shared);
        return Ok(response);
    }
    let most = route.limits.request_bytes;
    let too_large = || Refusal::BODY_TOO_LARGE.because(format!("This function takes bodies of at most {most} bytes."));
    if body.size_hint().lower() > most {
        request::discard(body);
        return Err(too_large().into());
    }
    let is_too_large = Arc::new(AtomicBool::new(false));
    let body = Bounded { body, bytes_left: most, is_too_large: is_too_large.clone() };
    without_ours(&mut head.headers);
    let proto = site.outside.origin.split_once("://").map_or("http", |(scheme, _)| scheme);
    if !site.outside.is_behind_proxy || !head.headers.contains_key(&FORWARDED_PROTO) {
        head.headers.insert(FORWARDED_PROTO, HeaderValue::from_str(proto).expect("a scheme"));
    }
    let execution = engine.execution(&route, Trigger::Http, head.method.as_str(), &path);
    let asked = Asked {
        method: head.method,
        path,
        headers: head.headers,
        body: body.boxed_unsync(),
        id: format!("{:032x}", execution.id),
        timeout_ms: route.limits.timeout_ms,
        response_bytes_max: route.limits.response_bytes,
    };
    match engine.call(route, execution, asked).await {
        Ok(response) => {
            let mut response = response.map(Body::new);
            guard(response.headers_mut(), is_shared);
            Ok(response)
        }
        Err(_) if is_too_large.load(Ordering::Relaxed) => Err(too_large().into()),
        Err(failure) => Err(failure.refusal().into()),
    }
}

/// Who calls a function does not show it that they are signed in here.
fn without_ours(headers: &mut HeaderMap) {
    let cookies: Vec<HeaderValue> = headers.get_all(header::COOKIE).iter().cloned().collect();
    headers.remove(header::COOKIE);
    for cookies in cookies {
        let Ok(cookies) = cookies.to_str() else { continue };
        let theirs: Vec<&str> =
            cookies.split(';').map(str::trim).filter(|cookie| !identity::is_cookie_of_ours(cookie)).collect();
        if let Ok(theirs) = HeaderValue::from_str(&theirs.join("; "))
            && !theirs.is_empty()
        {
            headers.append(header::COOKIE, theirs);
        }
    }
}

/// What a function answers is nobody's page but its own.
fn guard(headers: &mut HeaderMap, is_shared: bool) {
    if is_shared {
        OF_THE_ORIGIN.iter().for_each(|name| drop(headers.remove(name)));
        headers.append(header::CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        return;
    }
    // A cookie for the whole domain would be sent to the dashboard, too.
    let own: Vec<HeaderValue> = headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    headers.remove(header::SET_COOKIE);
    let of_domain = |cookie: &HeaderValue| {
        let cookie = String::from_utf8_lossy(cookie.as_bytes()).to_ascii_lowercase();
        cookie.split(';').skip(1).any(|part| part.trim_start().starts_with("domain"))
    };
    for cookie in own.into_iter().filter(|cookie| !of_domain(cookie)) {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// A body that breaks off where it gets too large.
struct Bounded {
    body: Body,
    bytes_left: u64,
    is_too_large: Arc<AtomicBool>,
}

impl hyper::body::Body for Bounded {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) else { return Poll::Ready(None) };
        let frame = frame.map_err(io::Error::other)?;
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        Poll::Ready(Some(match self.bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.bytes_left = left;
                Ok(frame)
            }
            None => {
                self.is_too_large.store(true, Ordering::Relaxed);
                Err(io::Error::other("the body is larger than it may be"))
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_not_shown_who_is_signed_in_here() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; everfold=secret; b=2"));
        headers.append(header::COOKIE, HeaderValue::from_static("everfold_refresh=secret"));
        without_ours(&mut headers);
        let left: Vec<_> = headers.get_all(header::COOKIE).iter().collect();
        assert_eq!(left, ["a=1; b=2"]);
    }

    #[test]
    fn what_a_function_answers_decides_over_nothing_but_itself() {
        let given = || {
            let mut headers = HeaderMap::new();
            headers.append(header::SET_COOKIE, HeaderValue::from_static("everfold=mine; Path=/"));
            headers.append(header::SET_COOKIE, HeaderValue::from_static("a=1; Domain=example.org"));
            headers.append(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'"));
            headers.append("clear-site-data", HeaderValue::from_static("\"*\""));
            headers
        };
        let mut shared = given();
        guard(&mut shared, true);
        assert!(!shared.contains_key(header::SET_COOKIE) && !shared.contains_key("clear-site-data"));
        assert_eq!(shared.get_all(header::CONTENT_SECURITY_POLICY).iter().count(), 2);
        let mut own = given();
        guard(&mut own, false);
        let cookies: Vec<_> = own.get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["everfold=mine; Path=/"]);
    }
}
