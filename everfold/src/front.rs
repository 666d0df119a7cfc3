//! Answers what is asked here, or has the node answer it that has what it is about.
//!
//! Every request comes in through the front, whichever node it reaches. What it says of where it is answered is a `Place`; a
//! node that has not that place passes it on, and what comes back to its client; a WebSocket is a pipe from then on. While
//! nobody has it, requests wait. One is passed on again only if it cannot have been kept, or may be kept twice: who asks
//! is otherwise told that nobody knows.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    response::IntoResponse,
};
use engine::world::{Asked, Told};
use http_body_util::BodyExt;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    service::Service,
    upgrade::OnUpgrade,
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use metrics_exporter_prometheus::PrometheusHandle;
use rules::{record::LaneId, refusal::Refusal};
use store::Store;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout_at},
};

use crate::{
    http::{NotHere, Problem, visitor::Peer},
    places::{Elsewhere, Place, Places, Spot},
};

mod doors;
mod follow;
mod line;
mod many;
mod passed;
mod proof;

use follow::Followed;
use line::{Line, Lost};
use many::Many;
use passed::{Kept, Passed, without_connection};
pub use passed::{PASSED_BODIES_MAX, PASSED_BODY_BYTES_MAX, PASSED_LARGE_BODIES_MAX};
use proof::NODE;
pub use proof::{OfNode, Proof};

/// How long a request waits for somebody to have what it is about: a lease, and what it takes to go on.
pub const OWNER_WAIT: Duration = Duration::from_secs(20);
/// How long to wait before an owner is asked again that could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

const ELSEWHERE: HeaderValue = HeaderValue::from_static("elsewhere");
/// A WebSocket that may be opened again at the next owner: what it tells is how things are, not what happened.
const FOLLOWED: &str = "/state-events";
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

#[derive(Clone)]
pub struct Front(Arc<Inner>);

struct Inner {
    /// Nothing before this node answers, and when it answers no more.
    here: watch::Sender<Option<Here>>,
    /// `None` where there are no other nodes.
    many: Option<Many>,
    metrics: PrometheusHandle,
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
        let many = Many::of(places, store, proof, own, origin);
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
            let turn = many.places.turn(place);
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

/// An answer of another node that has not what was asked for.
fn is_elsewhere(response: &Response<Body>) -> bool {
    response.headers().get(NODE) == Some(&ELSEWHERE)
}

/// The same of this one.
fn is_not_here(response: &Response<Body>) -> bool {
    response.extensions().get::<NotHere>().is_some()
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use rules::{
        access::{Door, KeyKind},
        record::Position,
        row,
    };
    use store::{
        Batch, Commit,
        memory::Memory,
        postgres::{NodeId, Owned, Shard},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::oneshot,
    };

    use super::{many::LAST_WORDS_WAIT, *};

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
