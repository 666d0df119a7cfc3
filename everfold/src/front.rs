//! Answers what is asked here, or has the node answer it that owns the database.
//!
//! Every request comes in through the front, whichever node it reaches. A node that owns nothing passes it on, and what
//! comes back to its client; a WebSocket is a pipe from then on. While nobody owns the database, requests wait. One is
//! passed on again only if it cannot have been kept, or may be kept twice: who asks is otherwise told that nobody knows.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    response::IntoResponse,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{self, HeaderName, HeaderValue},
    http::request::Parts,
    service::Service,
    upgrade::OnUpgrade,
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use metrics_exporter_prometheus::PrometheusHandle;
use rules::refusal::Refusal;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::http::{Problem, visitor::Peer};

mod follow;
mod line;

use follow::Followed;
pub use line::Line;
use line::Lost;

/// How long a request waits for somebody to own the database: a lease, and what it takes to go on.
pub const OWNER_WAIT: Duration = Duration::from_secs(20);
/// How long to wait before an owner is asked again that could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long who had the database may take to answer what it was asked, when another is known to have it.
const LAST_WORDS_WAIT: Duration = Duration::from_millis(500);
/// A body of at most this is held while it is passed on, so that it can be passed on again.
pub const PASSED_BODY_BYTES_MAX: usize = 64 << 10;
/// Bodies that are held at once; further ones are passed on as they come.
pub const PASSED_BODIES_MAX: usize = 1_024;
/// The longest that such a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// From one node to another: that it is one, and for whom it asks. In an answer: that it must be asked of another.
const NODE: HeaderName = HeaderName::from_static("everfold-node");
const ELSEWHERE: HeaderValue = HeaderValue::from_static("elsewhere");
/// A WebSocket that may be opened again at the next owner: what it tells is how things are, not what happened.
const FOLLOWED: &str = "/state-events";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
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

/// Who answers.
#[derive(Clone)]
pub enum Owner {
    Here(Here),
    There(Arc<Line>),
    Nobody,
}

/// This node's own answers.
#[derive(Clone)]
pub struct Here {
    router: TowerToHyperService<Router>,
    /// From this node to itself, for what outlives the node it was asked of.
    line: Arc<Line>,
    /// Each request holds one while it is answered.
    _present: mpsc::Sender<()>,
}

impl Here {
    /// The receiver ends when this is no longer the owner and all that was asked has been answered.
    pub fn new(router: Router, line: Arc<Line>) -> (Here, mpsc::Receiver<()>) {
        let (present, gone) = mpsc::channel(1);
        (Here { router: TowerToHyperService::new(router), line, _present: present }, gone)
    }

    async fn answer(self, mut request: Request<Body>, peer: IpAddr) -> Response<Body> {
        request.extensions_mut().insert(Peer(peer));
        match self.router.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// By which the nodes of one database know each other: what only who has its key can say.
#[derive(Clone)]
pub struct Proof(pub blake3::Hash);

#[derive(Clone)]
pub struct Front {
    owner: watch::Receiver<Owner>,
    /// `None` where there are no other nodes.
    proof: Option<Proof>,
    held: Arc<Semaphore>,
    metrics: PrometheusHandle,
}

impl Front {
    pub fn new(owner: watch::Receiver<Owner>, proof: Option<Proof>, metrics: PrometheusHandle) -> Front {
        Front { owner, proof, held: Arc::new(Semaphore::new(PASSED_BODIES_MAX)), metrics }
    }

    pub async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Body> {
        let mut request = request.map(Body::new);
        let asker = self.proof.as_ref().and_then(|proof| proof.asker(&mut request));
        let owner = self.owner.borrow().clone();
        match (owner, asker) {
            (Owner::Here(here), asker) => here.answer(request, asker.unwrap_or(peer)).await,
            // It would come back to where it came from.
            (_, Some(_)) => (StatusCode::MISDIRECTED_REQUEST, [(NODE, ELSEWHERE)]).into_response(),
            (owner, None) => match self.of_this_node(&request, &owner) {
                Some(answer) => answer,
                None => self.pass_on(request, peer).await,
            },
        }
    }

    /// How this very node is.
    fn of_this_node(&self, request: &Request<Body>, owner: &Owner) -> Option<Response<Body>> {
        match request.uri().path() {
            "/healthz" => Some("ok\n".into_response()),
            "/readyz" if matches!(owner, Owner::Nobody) => Some(Problem(Refusal::OWNER_MISSING).into_response()),
            "/readyz" => Some("ready\n".into_response()),
            "/metrics" => {
                Some(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], self.metrics.render()).into_response())
            }
            _ => None,
        }
    }

    async fn pass_on(&self, request: Request<Body>, peer: IpAddr) -> Response<Body> {
        let mut owner = self.owner.clone();
        let until = Instant::now() + OWNER_WAIT;
        let mut passed = match Passed::of(request, &self.held).await {
            Ok(passed) => passed,
            Err(refusal) => return Problem(refusal).into_response(),
        };
        loop {
            let somebody = timeout_at(until, owner.wait_for(|owner| !matches!(owner, Owner::Nobody))).await;
            let Ok(Ok(somebody)) = somebody.map(|found| found.map(|found| found.clone())) else {
                return Problem(Refusal::OWNER_MISSING).into_response();
            };
            let Some(request) = passed.request() else {
                return Problem(Refusal::OWNER_MISSING).into_response();
            };
            let line = match somebody {
                Owner::There(line) => line,
                Owner::Here(here) => return here.answer(passed.here(request), peer).await,
                Owner::Nobody => continue,
            };
            let request = self.named(request, passed.upgrade.is_some(), peer);
            let answered = tokio::select! {
                answered = line.pass(request) => answered,
                () = given_up(&mut owner, &line) => Err(Lost::Unknown),
            };
            match answered {
                Ok(response) if is_elsewhere(&response) => {}
                Ok(response) => return self.back(response, passed, line, peer),
                Err(Lost::Unsent(unsent)) => passed.put_back(unsent),
                Err(Lost::Unknown) if passed.may_be_kept_twice => {}
                Err(Lost::Unknown) => return Problem(Refusal::UNCERTAIN).into_response(),
            }
            if Instant::now() >= until {
                return Problem(Refusal::OWNER_MISSING).into_response();
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// As it is sent to another node.
    fn named(&self, mut request: Request<Body>, is_upgrade: bool, peer: IpAddr) -> Request<Body> {
        without_connection(request.headers_mut(), is_upgrade);
        if let Some(proof) = &self.proof {
            request.headers_mut().insert(NODE, proof.of(peer));
        }
        request
    }

    /// What came from another node, as it goes to the client.
    fn back(&self, mut response: Response<Body>, mut passed: Passed, line: Arc<Line>, peer: IpAddr) -> Response<Body> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            without_connection(response.headers_mut(), false);
            return response;
        }
        let (above, below) = (hyper::upgrade::on(&mut response), passed.upgrade.take());
        match below {
            Some(below) if passed.head.uri.path() == FOLLOWED => {
                let (front, head) = (self.clone(), passed.head);
                let asked = move || front.named(request_of(&head, Body::empty()), true, peer);
                let followed = Followed { front: self.clone(), line, asked: Box::new(asked) };
                tokio::spawn(followed.relay(below, above));
            }
            Some(below) => drop(tokio::spawn(pipe(below, above, self.owner.clone(), line))),
            None => {}
        }
        response.map(|_| Body::empty())
    }
}

/// An answer of a node that has not what was asked for.
fn is_elsewhere(response: &Response<Body>) -> bool {
    response.headers().get(NODE) == Some(&ELSEWHERE)
}

/// Until one of both ends it, or another node answers what is asked.
async fn pipe(below: OnUpgrade, above: OnUpgrade, mut owner: watch::Receiver<Owner>, line: Arc<Line>) {
    let (Ok(below), Ok(above)) = (below.await, above.await) else { return };
    let (mut below, mut above) = (TokioIo::new(below), TokioIo::new(above));
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut below, &mut above) => {}
        () = changed(&mut owner, &line) => {}
    }
}

/// Resolves when another than this is known to own the database. While nobody is, the owner may still be at it.
async fn changed(owner: &mut watch::Receiver<Owner>, line: &Arc<Line>) {
    let is_another = |owner: &Owner| match owner {
        Owner::Here(_) => true,
        Owner::There(other) => !Arc::ptr_eq(other, line),
        Owner::Nobody => false,
    };
    if owner.wait_for(is_another).await.is_err() {
        std::future::pending().await
    }
}

/// Resolves when one that has been followed by another has had time to say what became of a request.
async fn given_up(owner: &mut watch::Receiver<Owner>, line: &Arc<Line>) {
    changed(owner, line).await;
    sleep(LAST_WORDS_WAIT).await;
}

fn without_connection(headers: &mut hyper::HeaderMap, is_upgrade: bool) {
    let upgrade = is_upgrade.then(|| headers.get(header::UPGRADE).cloned()).flatten();
    OF_A_CONNECTION.iter().for_each(|name| {
        headers.remove(name);
    });
    if let Some(upgrade) = upgrade {
        headers.insert(header::UPGRADE, upgrade);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

impl Proof {
    fn of(&self, peer: IpAddr) -> HeaderValue {
        let mut value =
            HeaderValue::try_from(format!("{} {peer}", self.0.to_hex())).expect("an address and digits are a header");
        value.set_sensitive(true);
        value
    }

    /// For whom another node asks; then nothing of it is left in the request.
    fn asker(&self, request: &mut Request<Body>) -> Option<IpAddr> {
        let (proof, peer) = request.headers().get(NODE)?.to_str().ok()?.split_once(' ')?;
        // `blake3::Hash` compares in constant time.
        let peer: IpAddr = peer.parse().ok().filter(|_| blake3::Hash::from_hex(proof).is_ok_and(|it| it == self.0))?;
        request.headers_mut().remove(NODE);
        Some(peer)
    }
}

/// A request on its way to whoever answers it.
struct Passed {
    head: Parts,
    body: Kept,
    upgrade: Option<OnUpgrade>,
    /// It changes nothing, or says by its key that it is the same one.
    may_be_kept_twice: bool,
}

enum Kept {
    /// All of it, as often as it takes.
    Whole(
        Bytes,
        #[allow(dead_code, reason = "held for as long as the bytes are")] Option<tokio::sync::OwnedSemaphorePermit>,
    ),
    /// Once.
    Stream(Option<Body>),
}

impl Passed {
    async fn of(mut request: Request<Body>, held: &Arc<Semaphore>) -> Result<Passed, Refusal> {
        let is_upgrade = request.headers().contains_key(header::UPGRADE);
        let upgrade = is_upgrade.then(|| hyper::upgrade::on(&mut request));
        let (head, body) = request.into_parts();
        let size = body.size_hint().exact();
        let place = match size {
            Some(0) => Some(None),
            Some(bytes) if bytes <= PASSED_BODY_BYTES_MAX as u64 => held.clone().try_acquire_owned().ok().map(Some),
            _ => None,
        };
        let body = match place {
            Some(place) => Kept::Whole(whole(body).await.map_err(|_| Refusal::BODY_UNREADABLE)?, place),
            None => Kept::Stream(Some(body)),
        };
        let has_key = head.uri.path().starts_with("/write/") && head.headers.contains_key(IDEMPOTENCY_KEY);
        let is_whole = matches!(body, Kept::Whole(..));
        let is_safe = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS) && !is_code(&head);
        Ok(Passed { head, body, upgrade, may_be_kept_twice: is_whole && (is_safe || has_key) })
    }

    /// `None` when its body has been sent once and was too large to be held.
    fn request(&mut self) -> Option<Request<Body>> {
        let body = match &mut self.body {
            Kept::Whole(bytes, _) => Body::new(Full::new(bytes.clone())),
            Kept::Stream(body) => body.take()?,
        };
        Some(request_of(&self.head, body))
    }

    fn put_back(&mut self, unsent: Request<Body>) {
        if let Kept::Stream(body) = &mut self.body {
            *body = Some(unsent.into_body());
        }
    }

    /// As if it had come in just now.
    fn here(self, mut request: Request<Body>) -> Request<Body> {
        if let Some(upgrade) = self.upgrade {
            request.extensions_mut().insert(upgrade);
        }
        request
    }
}

fn request_of(head: &Parts, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.headers_mut() = head.headers.clone();
    request
}

/// A write, whatever its method, or a call of code that may do anything.
fn is_code(head: &Parts) -> bool {
    let path = head.uri.path();
    let path = path.strip_prefix("/api").unwrap_or(path);
    path.starts_with("/write/") || path.starts_with("/f/") || !is_own_host(head)
}

/// Functions have hosts of their own.
fn is_own_host(head: &Parts) -> bool {
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    !host.contains(".functions.")
}

async fn whole(body: Body) -> io::Result<Bytes> {
    let collected = timeout(BODY_TIMEOUT, Limited::new(body, PASSED_BODY_BYTES_MAX).collect()).await;
    Ok(collected.map_err(io::Error::other)?.map_err(io::Error::other)?.to_bytes())
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use store::postgres::NodeId;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::oneshot,
    };

    use super::*;

    /// It says so just when another is known to have the database: nobody has kept the write yet, and that is known.
    #[tokio::test]
    async fn a_write_that_was_sent_to_the_owner_before_is_kept_by_the_next() {
        let before = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = before.local_addr().expect("it has one").to_string();
        let (asked, is_asked) = oneshot::channel();
        tokio::spawn(async move {
            let (mut stream, _) = before.accept().await.expect("it is asked");
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = asked.send(());
            sleep(LAST_WORDS_WAIT / 5).await;
            let answer = b"HTTP/1.1 421 Misdirected Request\r\neverfold-node: elsewhere\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.expect("it is still listened to");
        });
        let line = Arc::new(Line::to((NodeId(1), address)));
        let (owner, owners) = watch::channel(Owner::There(line.clone()));
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let front = Front::new(owners, Some(Proof(blake3::hash(b"a key"))), metrics);
        let write = Request::post("/write/key").body(Body::from("1")).expect("a request");
        let answer = tokio::spawn(async move { front.pass_on(write, IpAddr::from([127, 0, 0, 1])).await });
        is_asked.await.expect("the owner before is asked");
        let (here, _gone) = Here::new(Router::new().fallback(|| async { StatusCode::ACCEPTED }), line);
        owner.send_replace(Owner::Here(here));
        assert_eq!(answer.await.expect("it answers").status(), StatusCode::ACCEPTED);
    }
}
