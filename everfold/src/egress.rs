//! Goes out for user code: one request, to a host that is allowed, at an address that was checked.
//!
//! A client that resolves names by itself may connect to another address than the one that was looked at. So there is
//! none here: a name is resolved once for each connection, what it resolves to is checked, and the socket is opened to
//! that very address. Nothing is kept open, so no connection outlives its check; no proxy of the environment is asked.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use engine::world::{Fetch, FetchFailed, FetchFailure, Fetched};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response,
    body::{Body, Bytes, Incoming},
    client::conn::http1,
    ext::ReasonPhrase,
    header::{self, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use rules::{
    egress::{self, Allowed},
    limits::{FETCH_BODY_BYTES_MAX, FETCH_HEADER_BYTES_MAX, FETCH_MS_MAX, FETCH_REDIRECTS_MAX, FETCH_SENT_BYTES_MAX},
};
use store::Pending;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{InvalidDnsNameError, ServerName},
    },
};
use url::{Host, Url};

#[cfg(test)]
mod tests;

/// Requests on their way at once, each with a body of at most [`FETCH_BODY_BYTES_MAX`].
pub const FETCHES_MAX: usize = 64;
/// Requests that wait for their turn. Further ones fail at once.
pub const FETCHES_WAITING_MAX: usize = 1024;
/// The longest that one waits for it.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that one address is tried: a host may have another that answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 4;
/// What is read ahead of an answer: room for its head, and some for its body.
const BUFFER_BYTES_MAX: usize = 2 * FETCH_HEADER_BYTES_MAX;
/// Headers of an answer.
const HEADERS_MAX: usize = 512;

const USER_AGENT: &str = concat!("everfold/", env!("CARGO_PKG_VERSION"));

pub struct Egress {
    way: Arc<Way>,
    queue: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// All that one request needs on its way.
struct Way {
    allowed: Allowed,
    resolver: Box<dyn Resolver>,
    tls: TlsConnector,
}

/// Where a name leads. Asked twice it may say two things.
trait Resolver: Send + Sync + 'static {
    fn resolve(&self, name: String) -> Pending<io::Result<Vec<IpAddr>>>;
}

/// The system's own: `/etc/hosts`, DNS, whatever it is told to use.
struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, name: String) -> Pending<io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            // The port is not looked up, and stands here because the call wants one.
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

impl Egress {
    pub fn new(allowed: Allowed) -> Egress {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Egress::over(allowed, Box::new(SystemResolver), roots)
    }

    fn over(allowed: Allowed, resolver: Box<dyn Resolver>, roots: RootCertStore) -> Egress {
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks the versions that are safe")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Egress {
            way: Arc::new(Way { allowed, resolver, tls: TlsConnector::from(Arc::new(tls)) }),
            queue: Arc::new(Semaphore::new(FETCHES_MAX + FETCHES_WAITING_MAX)),
            turns: Arc::new(Semaphore::new(FETCHES_MAX)),
        }
    }
}

impl Egress {
    pub fn fetch(&self, asked: Fetch) -> Pending<Result<Fetched, FetchFailed>> {
        let (way, turns) = (self.way.clone(), self.turns.clone());
        let place = self.queue.clone().try_acquire_owned();
        Box::pin(async move {
            let busy = || failed(FetchFailure::Busy, "Too many fetches are on their way; try again later");
            let _place = place.map_err(|_| busy())?;
            let _turn = timeout(TURN_TIMEOUT, turns.acquire_owned()).await.map_err(|_| busy())?;
            let time = Duration::from_millis(FETCH_MS_MAX);
            timeout(time, way.follow(asked)).await.unwrap_or_else(|_| {
                let message = format!("The answer did not come within {} seconds", time.as_secs());
                Err(failed(FetchFailure::TimedOut, message))
            })
        })
    }
}

fn failed(kind: FetchFailure, message: impl Into<String>) -> FetchFailed {
    FetchFailed { kind, message: message.into() }
}

impl Way {
    /// From redirect to redirect to an answer.
    async fn follow(&self, asked: Fetch) -> Result<Fetched, FetchFailed> {
        let mut leg = Leg::first(asked)?;
        for redirects in 0..=FETCH_REDIRECTS_MAX {
            let (response, _driver) = self.exchange(&leg).await?;
            match leg.behind(&response)? {
                None => return read(leg.url, response, redirects > 0).await,
                Some(next) => leg = next,
            }
        }
        Err(failed(FetchFailure::Broken, format!("More than {FETCH_REDIRECTS_MAX} redirects")))
    }

    /// Sends one request. What is read of the answer comes as long as the driver is there, and with it the connection
    /// ends.
    async fn exchange(&self, leg: &Leg) -> Result<(Response<Incoming>, JoinSet<()>), FetchFailed> {
        let target = Target::of(&leg.url)?;
        let stream = self.connect(&target).await?;
        if leg.url.scheme() == "http" {
            return send(stream, leg).await;
        }
        let untrusted = |why: String| failed(FetchFailure::Unreachable, format!("{target} cannot be trusted: {why}"));
        let name = target.server_name().map_err(|error| untrusted(error.to_string()))?;
        let stream = self.tls.connect(name, stream).await.map_err(|error| untrusted(error.to_string()))?;
        send(stream, leg).await
    }

    async fn connect(&self, target: &Target) -> Result<TcpStream, FetchFailed> {
        let unreachable = |why| failed(FetchFailure::Unreachable, format!("{target} cannot be reached: {why}"));
        let mut last = io::ErrorKind::AddrNotAvailable;
        for address in self.checked(target).await? {
            match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error.kind(),
                Err(_) => last = io::ErrorKind::TimedOut,
            }
        }
        Err(unreachable(last))
    }

    /// The addresses of a host that may be connected to: at least one.
    async fn checked(&self, target: &Target) -> Result<Vec<SocketAddr>, FetchFailed> {
        let forbidden = |why: &str| failed(FetchFailure::Forbidden, format!("{target} may not be fetched from: {why}"));
        let Some(reach) = self.allowed.reach(&target.name(), target.port) else {
            return Err(forbidden("EVERFOLD_EGRESS_ALLOW of this server does not allow it"));
        };
        let addresses = match &target.host {
            Host::Domain(name) => self.resolver.resolve(name.clone()).await.unwrap_or_default(),
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
        };
        if addresses.is_empty() {
            return Err(failed(FetchFailure::Unreachable, format!("{target} cannot be reached: it has no address")));
        }
        let admitted = addresses.into_iter().filter(|address| reach.admits(*address));
        let checked: Vec<SocketAddr> =
            admitted.take(ADDRESSES_MAX).map(|address| SocketAddr::new(address, target.port)).collect();
        if checked.is_empty() {
            let why = format!("it is not public, and EVERFOLD_EGRESS_ALLOW of this server does not name {target}");
            return Err(forbidden(&why));
        }
        Ok(checked)
    }
}

/// The end of a connection.
struct Target {
    host: Host<String>,
    port: u16,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Target {
    /// Of a URL that fetch speaks the protocol of.
    fn of(url: &Url) -> Result<Target, FetchFailed> {
        if !matches!(url.scheme(), "http" | "https") {
            let message = format!("fetch speaks http and https, not {}", url.scheme());
            return Err(failed(FetchFailure::Forbidden, message));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let message = "A URL with a name or a password is not fetched; send an authorization header instead";
            return Err(failed(FetchFailure::Forbidden, message));
        }
        let (host, port) = url.host().zip(url.port_or_known_default()).expect("http has a host and a port");
        Ok(Target { host: host.to_owned(), port })
    }

    fn name(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// Whom the certificate must name.
    fn server_name(&self) -> Result<ServerName<'static>, InvalidDnsNameError> {
        match &self.host {
            Host::Domain(name) => name.strip_suffix('.').unwrap_or(name).to_owned().try_into(),
            Host::Ipv4(address) => Ok(IpAddr::V4(*address).into()),
            Host::Ipv6(address) => Ok(IpAddr::V6(*address).into()),
        }
    }
}

/// A request on its way from one redirect to the next.
struct Leg {
    url: Url,
    method: Method,
    /// Without those of the connection.
    headers: HeaderMap,
    body: Bytes,
}

impl Leg {
    fn first(asked: Fetch) -> Result<Leg, FetchFailed> {
        let malformed = |message: String| failed(FetchFailure::Malformed, message);
        let of_headers: usize = asked.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if asked.url.len() + of_headers > FETCH_HEADER_BYTES_MAX {
            let message = format!("The URL and the headers are more than {} KiB", FETCH_HEADER_BYTES_MAX >> 10);
            return Err(failed(FetchFailure::TooLarge, message));
        }
        if asked.body.len() > FETCH_SENT_BYTES_MAX {
            let message = format!("The body is more than the {} MiB that may be sent", FETCH_SENT_BYTES_MAX >> 20);
            return Err(failed(FetchFailure::TooLarge, message));
        }
        let mut url = Url::parse(&asked.url).map_err(|error| malformed(format!("The URL cannot be read: {error}")))?;
        url.set_fragment(None);
        let method = egress::method(&asked.method).and_then(|method| method.parse().ok());
        let method = method.ok_or_else(|| malformed(format!("{:?} is no method of fetch", asked.method)))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &asked.headers {
            let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(header_value(value));
            let (name, value) = header.ok_or_else(|| malformed(format!("The header {name:?} cannot be sent")))?;
            if !egress::is_of_connection(name.as_str()) {
                headers.append(name, value);
            }
        }
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        Ok(Leg { url, method, headers, body: asked.body.into() })
    }

    /// What follows, where the answer is a redirect.
    fn behind(&self, response: &Response<Incoming>) -> Result<Option<Leg>, FetchFailed> {
        let method = egress::method_behind(response.status().as_u16(), self.method.as_str());
        let Some((method, location)) = method.zip(response.headers().get(header::LOCATION)) else { return Ok(None) };
        let url = location.to_str().ok().and_then(|location| self.url.join(location).ok());
        let mut url = url.ok_or_else(|| failed(FetchFailure::Broken, "A redirect leads to what is no URL"))?;
        url.set_fragment(None);
        let method: Method = method.parse().expect("it was one, or is GET");
        let is_abroad = url.origin() != self.url.origin();
        let is_other = method != self.method;
        let left = |name: &str| is_abroad && egress::is_of_origin(name) || is_other && egress::is_of_body(name);
        let kept = self.headers.iter().filter(|(name, _)| !left(name.as_str()));
        let headers = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        let body = if is_other { Bytes::new() } else { self.body.clone() };
        Ok(Some(Leg { url, method, headers, body }))
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.url[url::Position::BeforePath..].parse().expect("a URL ends as a request's begins");
        *request.headers_mut() = self.headers.clone();
        let host = &self.url[url::Position::BeforeHost..url::Position::AfterPort];
        let mut own = |name, value: &str| {
            request.headers_mut().insert(name, value.parse().expect("a URL and a number are written in ASCII"))
        };
        own(header::HOST, host);
        own(header::ACCEPT_ENCODING, "identity");
        own(header::CONNECTION, "close");
        // A server may wait for a body that nothing says is absent.
        if !self.body.is_empty() || !matches!(self.method, Method::GET | Method::HEAD) {
            own(header::CONTENT_LENGTH, &self.body.len().to_string());
        }
        request
    }
}

/// As fetch has it: each character is a byte.
fn header_value(text: &str) -> Option<HeaderValue> {
    let bytes: Option<Vec<u8>> = text.chars().map(|char| u8::try_from(char).ok()).collect();
    HeaderValue::from_bytes(&bytes?).ok()
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    leg: &Leg,
) -> Result<(Response<Incoming>, JoinSet<()>), FetchFailed> {
    let mut client = http1::Builder::new();
    client.max_header_size(FETCH_HEADER_BYTES_MAX).max_buf_size(BUFFER_BYTES_MAX).max_headers(HEADERS_MAX);
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // What breaks it, whoever reads is told as well.
        let _ = connection.await;
    });
    let response = sender.send_request(leg.request()).await.map_err(broken)?;
    Ok((response, driver))
}

fn broken(error: hyper::Error) -> FetchFailed {
    if error.is_parse_too_large() {
        let message = format!("The headers of the answer are more than {} KiB", FETCH_HEADER_BYTES_MAX >> 10);
        return failed(FetchFailure::TooLarge, message);
    }
    failed(FetchFailure::Broken, format!("The answer is broken: {error}"))
}

async fn read(url: Url, response: Response<Incoming>, redirected: bool) -> Result<Fetched, FetchFailed> {
    let (head, mut rest) = response.into_parts();
    let too_large = || {
        let message = format!("The answer is more than the {} MiB that a fetch may get", FETCH_BODY_BYTES_MAX >> 20);
        failed(FetchFailure::TooLarge, message)
    };
    if rest.size_hint().lower() > FETCH_BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(frame) = rest.frame().await {
        let Ok(piece) = frame.map_err(broken)?.into_data() else { continue };
        if body.len() + piece.len() > FETCH_BODY_BYTES_MAX {
            return Err(too_large());
        }
        body.extend_from_slice(&piece);
    }
    let reason = head.extensions.get::<ReasonPhrase>().map(|reason| text(reason.as_bytes()));
    let usual = || head.status.canonical_reason().unwrap_or_default().to_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
    Ok(Fetched {
        url: url.into(),
        status: head.status.as_u16(),
        status_text: reason.unwrap_or_else(usual),
        headers: headers.collect(),
        body,
        redirected,
    })
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
