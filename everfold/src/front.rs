//! Answers what is asked here, or has the node answer it that has what it is about.
//!
//! Every request comes in through the front, whichever node it reaches. What it says of where it is answered is a `Place`; a
//! node that has not that place passes it on, and what comes back to its client; a WebSocket is a pipe from then on. While
//! nobody has it, requests wait. One is passed on again only if it cannot have been kept, or may be kept twice: who asks
//! is otherwise told that nobody knows.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    response::IntoResponse,
};
use engine::world::{Asked, Told};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::{Body as _, Incoming},
    header::{self, HeaderName, HeaderValue},
    http::request::Parts,
    service::Service,
    upgrade::OnUpgrade,
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use metrics_exporter_prometheus::PrometheusHandle;
use rules::{access::Door, limits, record::LaneId, refusal::Refusal, row};
use store::{Store, postgres::NodeId};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    http::{NotHere, Problem, discard, idempotency_key, slug_of_host, visitor::Peer, wire::lane_of},
    places::{Elsewhere, Map, Place, Places, Spot},
};

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
/// Nodes to which a way is kept.
const LINES_MAX: usize = 1_024;

/// From one node to another: that it is one, and for whom it asks. In an answer: that it must be asked of another.
const NODE: HeaderName = HeaderName::from_static("everfold-node");
/// In place of a client.
const ITSELF: &str = "itself";
const ELSEWHERE: HeaderValue = HeaderValue::from_static("elsewhere");
/// A WebSocket that may be opened again at the next owner: what it tells is how things are, not what happened.
const FOLLOWED: &str = "/state-events";
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

/// This node's own answers.
#[derive(Clone)]
struct Here {
    router: TowerToHyperService<Router>,
    /// Each request holds one while it is answered.
    _present: mpsc::Sender<()>,
}

impl Here {
    async fn answer(self, mut request: Request<Body>, peer: IpAddr) -> Response<Body> {
        request.extensions_mut().insert(Peer(peer));
        match self.router.call(request).await {
            Ok(mut response) => {
                // Whoever's code answered, this is not its to say.
                response.headers_mut().remove(NODE);
                response
            }
            Err(never) => match never {},
        }
    }
}

/// By which the nodes of one database know each other: what only who has its key can say.
#[derive(Clone)]
pub struct Proof(pub blake3::Hash);

/// A request that another node makes of its own, for none of its clients.
#[derive(Clone, Copy)]
pub struct OfNode;

#[derive(Clone)]
pub struct Front(Arc<Inner>);

struct Inner {
    /// Nothing before this node answers, and when it answers no more.
    here: watch::Sender<Option<Here>>,
    /// `None` where there are no other nodes.
    many: Option<Many>,
    metrics: PrometheusHandle,
}

/// What a node knows of the others.
struct Many {
    places: Arc<Places>,
    doors: Doors,
    proof: Proof,
    lines: Mutex<HashMap<NodeId, Arc<Line>>>,
    /// From this node to itself, for what outlives the node it was asked of.
    own: Elsewhere,
    held: Arc<Semaphore>,
    /// How people reach it.
    origin: String,
}

impl Front {
    pub fn alone(metrics: PrometheusHandle) -> Front {
        Front(Arc::new(Inner { here: watch::Sender::default(), many: None, metrics }))
    }

    /// Of the node that reaches itself as `own`.
    pub fn of_many(
        places: Arc<Places>,
        store: Arc<dyn Store>,
        proof: Proof,
        own: Elsewhere,
        origin: String,
        metrics: PrometheusHandle,
    ) -> Front {
        let held = Arc::new(Semaphore::new(PASSED_BODIES_MAX));
        let many = Many { places, doors: Doors::of(store), proof, lines: Mutex::default(), own, held, origin };
        Front(Arc::new(Inner { here: watch::Sender::default(), many: Some(many), metrics }))
    }

    /// Answers by these routes from here on. What it gives ends when it was closed and all that was asked is answered.
    pub fn open(&self, router: Router) -> mpsc::Receiver<()> {
        let (present, gone) = mpsc::channel(1);
        let here = Here { router: TowerToHyperService::new(router), _present: present };
        self.0.here.send_replace(Some(here));
        gone
    }

    /// Answers nothing itself from here on.
    pub fn close(&self) {
        self.0.here.send_replace(None);
    }

    fn here(&self) -> Option<Here> {
        self.0.here.borrow().clone()
    }

    pub async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Body> {
        let mut request = request.map(Body::new);
        let Some(many) = &self.0.many else {
            let mut here = self.0.here.subscribe();
            let opened = here.wait_for(Option::is_some).await.ok().and_then(|here| here.clone());
            return opened.expect("it is waited for").answer(request, peer).await;
        };
        if let Some(asker) = many.proof.asker(&mut request) {
            let place = many.place_of(request.uri(), request.method(), request.headers()).await;
            let is_here = place.is_ok_and(|place| {
                (place == Place::New || many.map().spot(place, 0) == Spot::Here) && many.places.may_answer(place)
            });
            return match self.here().filter(|_| is_here) {
                Some(here) => {
                    if asker.is_none() {
                        request.extensions_mut().insert(OfNode);
                    }
                    let mut response = here.answer(request, asker.unwrap_or(peer)).await;
                    if is_not_here(&response) {
                        response.headers_mut().insert(NODE, ELSEWHERE);
                    }
                    response
                }
                // It would come back to where it came from.
                None => (StatusCode::MISDIRECTED_REQUEST, [(NODE, ELSEWHERE)]).into_response(),
            };
        }
        match self.of_this_node(&request, many) {
            Some(answer) => answer,
            None => match Passed::of(request, many).await {
                Ok(passed) => self.pass_on(many, passed, peer).await,
                Err(refusal) => Problem(refusal).into_response(),
            },
        }
    }

    /// How this very node is.
    fn of_this_node(&self, request: &Request<Body>, many: &Many) -> Option<Response<Body>> {
        match request.uri().path() {
            "/healthz" => Some("ok\n".into_response()),
            "/readyz" if many.map().spot(Place::Head, 0) == Spot::Nobody => {
                Some(Problem(Refusal::OWNER_MISSING).into_response())
            }
            "/readyz" => Some("ready\n".into_response()),
            "/metrics" => {
                let text = self.0.metrics.render();
                Some(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
            }
            _ => None,
        }
    }

    async fn pass_on(&self, many: &Many, mut passed: Passed, peer: IpAddr) -> Response<Body> {
        let place = passed.place;
        let mut map = many.follow();
        let until = Instant::now() + OWNER_WAIT;
        loop {
            let turn = many.places.turn();
            let known = map.wait_for(|map| map.spot(place, turn) != Spot::Nobody);
            let Ok(Ok(spot)) = timeout_at(until, known).await.map(|map| map.map(|map| map.spot(place, turn))) else {
                return Problem(Refusal::OWNER_MISSING).into_response();
            };
            let Some(request) = passed.request() else {
                return Problem(Refusal::OWNER_MISSING).into_response();
            };
            let outlives = passed.upgrade.is_some() && passed.head.uri.path() == FOLLOWED;
            let line = match spot {
                Spot::There(elsewhere) => many.line(&elsewhere),
                // From here to here, so that it can go on elsewhere.
                Spot::Here if outlives => many.line(&many.own),
                Spot::Here | Spot::Nobody => {
                    let response = match self.here().filter(|_| many.places.may_answer(place)) {
                        Some(here) => here.answer(passed.here(request), peer).await,
                        None => Problem(Refusal::OWNER_MISSING).into_response(),
                    };
                    if !is_not_here(&response) || Instant::now() >= until || many.places.is_blind(place) {
                        return response;
                    }
                    sleep(RETRY_PAUSE).await;
                    continue;
                }
            };
            let asker = (!passed.is_of_node).then_some(peer);
            let request = many.named(request, passed.upgrade.is_some(), asker);
            let answered = tokio::select! {
                answered = line.pass(request) => answered,
                () = many.given_up(&mut map, place, &line) => Err(Lost::Unknown),
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

    /// Has the node that holds the lane do something, or this one, if that is it by now.
    pub async fn ask(&self, lane: LaneId, asked: &Asked) -> Result<Told, Refusal> {
        let many = self.0.many.as_ref().ok_or(Refusal::OWNER_MISSING)?;
        let body = Bytes::from(postcard::to_allocvec(asked).expect("plain data always serialises"));
        let request = Request::post(format!("/node/{:032x}", lane.0)).body(()).expect("a request");
        let (head, ()) = request.into_parts();
        let body = Kept::Whole(body, None);
        let place = Place::Lane(lane);
        let passed = Passed { head, body, upgrade: None, place, may_be_kept_twice: true, is_of_node: true };
        let response = self.pass_on(many, passed, IpAddr::from([127, 0, 0, 1])).await;
        let is_told = response.status().is_success();
        let body = response.into_body().collect().await.map_err(|_| Refusal::UNCERTAIN)?.to_bytes();
        if is_told {
            return postcard::from_bytes(&body).map_err(|_| Refusal::FAULT);
        }
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let known = Refusal::ALL.iter().find(|refusal| problem["code"] == refusal.code);
        Err(known.cloned().unwrap_or(Refusal::FAULT))
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
                let (front, head, place) = (self.clone(), passed.head, passed.place);
                let followed = Followed { front, line, place, head, peer };
                tokio::spawn(followed.relay(below, above));
            }
            Some(below) => drop(tokio::spawn(self.clone().pipe(below, above, passed.place, line))),
            None => {}
        }
        response.map(|_| Body::empty())
    }

    /// Until one of both ends it, or another node answers what is asked.
    async fn pipe(self, below: OnUpgrade, above: OnUpgrade, place: Place, line: Arc<Line>) {
        let (Ok(below), Ok(above)) = (below.await, above.await) else { return };
        let (mut below, mut above) = (TokioIo::new(below), TokioIo::new(above));
        let mut map = self.many().follow();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut below, &mut above) => {}
            () = self.many().changed(&mut map, place, &line) => {}
        }
    }

    fn many(&self) -> &Many {
        self.0.many.as_ref().expect("only where there are many anything is passed on")
    }
}

impl Many {
    fn map(&self) -> Arc<Map> {
        self.follow().borrow().clone()
    }

    fn follow(&self) -> watch::Receiver<Arc<Map>> {
        self.places.follow().expect("a node of many knows where things are")
    }

    /// Where a request says that it is answered.
    async fn place_of(&self, uri: &Uri, method: &Method, headers: &HeaderMap) -> Result<Place, Refusal> {
        if slug_of_host(&self.origin, headers).is_some() {
            return Ok(Place::Head);
        }
        let path = uri.path();
        let query = uri.query().unwrap_or_default();
        let named = |name: &str| {
            let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        let (is_api, path) =
            path.strip_prefix("/api/").map_or((false, path.trim_start_matches('/')), |path| (true, path));
        let mut parts = path.split('/');
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        let key = match (first, second) {
            ("write" | "read", Some(key)) => Some(key.to_owned()),
            ("state-events", None) if !is_api => named("readKey"),
            _ => None,
        };
        if let Some(key) = key {
            return Ok(self.doors.lane(&key).await?.map_or(Place::Head, Place::Lane));
        }
        let lane = match (first, second) {
            ("hooks", None) if is_api && method == Method::POST => return Ok(Place::New),
            ("hooks" | "secrets", Some(id)) if is_api => lane_of(id),
            ("hook-events", None) if !is_api => named("hookId").and_then(|id| lane_of(&id)),
            ("node", Some(lane)) if !is_api => u128::from_str_radix(lane, 16).ok().map(LaneId),
            _ => None,
        };
        Ok(lane.map_or(Place::Head, Place::Lane))
    }

    /// The way to a node; one for all that is asked of it.
    fn line(&self, elsewhere: &Elsewhere) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(&elsewhere.0).filter(|line| line.leads_to(elsewhere)) {
            return line.clone();
        }
        // Nodes come and go.
        if lines.len() >= LINES_MAX {
            lines.clear();
        }
        let line = Arc::new(Line::to(elsewhere.clone()));
        lines.insert(elsewhere.0, line.clone());
        line
    }

    fn is_at(&self, spot: &Spot, line: &Line) -> bool {
        match spot {
            Spot::Here => line.leads_to(&self.own),
            Spot::There(elsewhere) => line.leads_to(elsewhere),
            Spot::Nobody => false,
        }
    }

    /// Whether a node that was asked for a place has it no more, and another has: while nobody has, it may still be at it.
    fn is_followed(&self, map: &Map, place: Place, line: &Line) -> bool {
        let spots = map.spots(place);
        let has_any = spots.iter().any(|spot| *spot != Spot::Nobody);
        has_any && !spots.iter().any(|spot| self.is_at(spot, line))
    }

    async fn changed(&self, map: &mut watch::Receiver<Arc<Map>>, place: Place, line: &Line) {
        if map.wait_for(|map| self.is_followed(map, place, line)).await.is_err() {
            std::future::pending().await
        }
    }

    /// Resolves when one that has been followed by another has had time to say what became of a request.
    async fn given_up(&self, map: &mut watch::Receiver<Arc<Map>>, place: Place, line: &Line) {
        self.changed(map, place, line).await;
        sleep(LAST_WORDS_WAIT).await;
    }

    /// As it is sent to another node, for a client or of this node's own.
    fn named(&self, mut request: Request<Body>, is_upgrade: bool, asker: Option<IpAddr>) -> Request<Body> {
        without_connection(request.headers_mut(), is_upgrade);
        request.headers_mut().insert(NODE, self.proof.of(asker));
        request
    }
}

/// Which lanes keys lead to. A key never leads to another lane than it did.
struct Doors {
    store: Arc<dyn Store>,
    known: Mutex<HashMap<String, LaneId>>,
}

impl Doors {
    fn of(store: Arc<dyn Store>) -> Doors {
        Doors { store, known: Mutex::default() }
    }

    async fn lane(&self, key: &str) -> Result<Option<LaneId>, Refusal> {
        if let Some(lane) = self.known().get(key) {
            return Ok(Some(*lane));
        }
        let found = self.store.row(row::door(key)).await.map_err(|fault| {
            tracing::error!(%fault, "it is not known where a key leads");
            Refusal::OWNER_MISSING
        })?;
        let Some(Door { hook, .. }) = found.and_then(|found| row::decode(&found)) else { return Ok(None) };
        let mut known = self.known();
        if known.len() >= engine::DOORS_MAX {
            known.clear();
        }
        known.insert(key.to_owned(), hook);
        Ok(Some(hook))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, LaneId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer of another node that has not what was asked for.
fn is_elsewhere(response: &Response<Body>) -> bool {
    response.headers().get(NODE) == Some(&ELSEWHERE)
}

/// The same of this one.
fn is_not_here(response: &Response<Body>) -> bool {
    response.extensions().get::<NotHere>().is_some()
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
    fn of(&self, asker: Option<IpAddr>) -> HeaderValue {
        let asker = asker.map_or(ITSELF.to_owned(), |peer| peer.to_string());
        let value = format!("{} {asker}", self.0.to_hex());
        let mut value = HeaderValue::try_from(value).expect("an address and digits are a header");
        value.set_sensitive(true);
        value
    }

    /// For which client another node asks, or for none; then nothing of it is left in the request.
    fn asker(&self, request: &mut Request<Body>) -> Option<Option<IpAddr>> {
        let (proof, asker) = request.headers().get(NODE)?.to_str().ok()?.split_once(' ')?;
        // `blake3::Hash` compares in constant time.
        let is_proven = blake3::Hash::from_hex(proof).is_ok_and(|proof| proof == self.0);
        let asker = if asker == ITSELF { None } else { Some(asker.parse().ok()?) };
        if is_proven {
            request.headers_mut().remove(NODE);
        }
        is_proven.then_some(asker)
    }
}

/// A request on its way to whoever answers it.
struct Passed {
    head: Parts,
    body: Kept,
    upgrade: Option<OnUpgrade>,
    place: Place,
    is_of_node: bool,
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
    async fn of(mut request: Request<Body>, many: &Many) -> Result<Passed, Refusal> {
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
        let permit = match size {
            Some(0) => Some(None),
            Some(bytes) if bytes <= PASSED_BODY_BYTES_MAX as u64 => {
                many.held.clone().try_acquire_owned().ok().map(Some)
            }
            _ => None,
        };
        let body = match permit {
            Some(permit) => Kept::Whole(whole(body).await.map_err(|_| Refusal::BODY_UNREADABLE)?, permit),
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
    fn here(&self, mut request: Request<Body>) -> Request<Body> {
        if let Some(upgrade) = self.upgrade.clone() {
            request.extensions_mut().insert(upgrade);
        }
        if self.is_of_node {
            request.extensions_mut().insert(OfNode);
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

async fn whole(body: Body) -> io::Result<Bytes> {
    let collected = timeout(BODY_TIMEOUT, Limited::new(body, PASSED_BODY_BYTES_MAX).collect()).await;
    Ok(collected.map_err(io::Error::other)?.map_err(io::Error::other)?.to_bytes())
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use rules::{access::KeyKind, record::Position};
    use store::{
        Batch, Commit,
        memory::Memory,
        postgres::{Owned, Shard},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::oneshot,
    };

    use super::*;

    fn front(store: Arc<dyn Store>, places: Arc<Places>) -> Front {
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let (proof, own) = (Proof(blake3::hash(b"a key")), (NodeId(2), "here".into()));
        Front::of_many(places, store, proof, own, "https://everfold.example".into(), metrics)
    }

    #[tokio::test]
    async fn a_request_goes_where_its_address_leads_and_again_only_if_it_may_be_kept_twice() {
        let store = Memory::new();
        let door = Door { hook: LaneId::placed(7 << 64), kind: KeyKind::Write, paused: false };
        let rows = vec![(row::door("key"), Some(row::encode(&door)))];
        let batch = Batch { lane: door.hook, expect: Position::START, records: vec![], rows };
        assert_eq!(store.commit(batch).await, Commit::Done);
        let front = front(Arc::new(store), Arc::new(Places::of_many(1)));
        let lane = Place::Lane(door.hook);
        let id = uuid::Uuid::from_u128(door.hook.0);
        let here = "everfold.example";
        for (place, is_again, method, host, path, key) in [
            (lane, false, "POST", here, "/write/key", None),
            (lane, true, "POST", here, "/write/key/below", Some("one")),
            (lane, false, "GET", here, "/write/key", None),
            // It says nothing of which one it is.
            (lane, false, "POST", here, "/write/key", Some("")),
            (Place::Head, false, "POST", here, "/write/other", Some("one")),
            (lane, true, "GET", here, "/read/key?at=1", None),
            (lane, true, "GET", here, "/state-events?readKey=key", None),
            (lane, true, "GET", here, &format!("/api/hooks/{id}"), None),
            (lane, false, "PUT", here, &format!("/api/hooks/{id}"), None),
            (Place::New, false, "POST", here, "/api/hooks", None),
            (Place::Head, true, "GET", here, "/api/hooks", None),
            (Place::Head, false, "POST", here, "/api/hooks/import", None),
            (Place::Head, false, "GET", here, "/f/greet", None),
            // All of a function's host is that function's.
            (Place::Head, false, "POST", "greet.functions.everfold.example", "/write/key", Some("one")),
            (Place::Head, false, "POST", "greet.functions.everfold.example", "/api/hooks", None),
            (lane, false, "POST", "greet.functions.elsewhere.example", "/write/key", None),
        ] {
            let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            let request = request.body(Body::from("1")).expect("a request");
            let passed = Passed::of(request, front.many()).await.expect("a body");
            assert_eq!((passed.place, passed.may_be_kept_twice), (place, is_again), "{method} {host} {path} {key:?}");
        }
    }

    /// It says so just when another is known to have the hook: nobody has kept the write yet, and that is known.
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
        let (places, all) = (Arc::new(Places::of_many(1)), Shard::all().collect::<Vec<_>>());
        places.know(Shard::all(), &[Owned { node: NodeId(1), address, shards: all.clone() }], NodeId(2));
        places.renewed(0, u64::MAX);
        let front = front(Arc::new(Memory::new()), places.clone());
        let _gone = front.open(Router::new().fallback(|| async { StatusCode::ACCEPTED }));
        let answer = tokio::spawn(async move {
            let write = Request::post("/write/key").body(Body::from("1")).expect("a request");
            let passed = Passed::of(write, front.many()).await.expect("a body");
            front.pass_on(front.many(), passed, IpAddr::from([127, 0, 0, 1])).await
        });
        is_asked.await.expect("the owner before is asked");
        places.gain(&all);
        assert_eq!(answer.await.expect("it answers").status(), StatusCode::ACCEPTED);
    }
}
