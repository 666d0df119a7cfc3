//! What a node of many knows of the others, and of what lies where.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use hyper::{HeaderMap, Method, Request, Uri};
use rules::{record::LaneId, refusal::Refusal};
use store::{Store, postgres::NodeId};
use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};

use super::{
    doors::Doors,
    line::Line,
    passed::{PASSED_BODIES_MAX, PASSED_LARGE_BODIES_MAX, without_connection},
    proof::{NODE, Proof},
};
use crate::{
    http::{slug_of_host, wire::lane_of},
    places::{Elsewhere, Map, Place, Places, Spot},
};

/// How long who had a place may take to answer what it was asked, when another is known to have it.
pub const LAST_WORDS_WAIT: Duration = Duration::from_millis(500);
/// Nodes to which a way is kept.
const LINES_MAX: usize = 1_024;

/// What a node knows of the others.
pub struct Many {
    pub places: Arc<Places>,
    doors: Doors,
    pub proof: Proof,
    lines: Mutex<HashMap<NodeId, Arc<Line>>>,
    /// From this node to itself, for what outlives the node it was asked of.
    pub own: Elsewhere,
    /// How many more bodies may be held, and large ones.
    pub held: Arc<Semaphore>,
    pub held_large: Arc<Semaphore>,
    /// How people reach it.
    pub origin: String,
}

impl Many {
    /// Of the node that reaches itself as `own`.
    pub fn of(places: Arc<Places>, store: Arc<dyn Store>, proof: Proof, own: Elsewhere, origin: String) -> Many {
        let held = Arc::new(Semaphore::new(PASSED_BODIES_MAX));
        let held_large = Arc::new(Semaphore::new(PASSED_LARGE_BODIES_MAX));
        Many { places, doors: Doors::of(store), proof, lines: Mutex::default(), own, held, held_large, origin }
    }

    pub fn map(&self) -> Arc<Map> {
        self.follow().borrow().clone()
    }

    pub fn follow(&self) -> watch::Receiver<Arc<Map>> {
        self.places.follow().expect("a node of many knows where things are")
    }

    /// Where a request says that it is answered.
    pub async fn place_of(&self, uri: &Uri, method: &Method, headers: &HeaderMap) -> Result<Place, Refusal> {
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
    pub fn line(&self, elsewhere: &Elsewhere) -> Arc<Line> {
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

    pub fn is_at(&self, spot: &Spot, line: &Line) -> bool {
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

    pub async fn changed(&self, map: &mut watch::Receiver<Arc<Map>>, place: Place, line: &Line) {
        if map.wait_for(|map| self.is_followed(map, place, line)).await.is_err() {
            std::future::pending().await
        }
    }

    /// Resolves when one that has been followed by another has had time to say what became of a request.
    pub async fn given_up(&self, map: &mut watch::Receiver<Arc<Map>>, place: Place, line: &Line) {
        self.changed(map, place, line).await;
        sleep(LAST_WORDS_WAIT).await;
    }

    /// As it is sent to another node, for a client or of this node's own.
    pub fn named(&self, mut request: Request<Body>, is_upgrade: bool, asker: Option<IpAddr>) -> Request<Body> {
        without_connection(request.headers_mut(), is_upgrade);
        request.headers_mut().insert(NODE, self.proof.of(asker));
        request
    }
}
