//! The state of a hook as it changes: over WebSocket, and as server-sent events.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{RawQuery, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use engine::follow::{Following, View};
use futures_util::{Stream, StreamExt, stream};
use rules::{
    access::{self, KeyKind},
    record::Seq,
    refusal::Refusal,
};

use super::{Site, problem::Problem, read::Parameters, socket, wire};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells proxies that collect what they pass on not to.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `GET /state-events?readKey=KEY`
pub async fn state_events(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let key = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "readKey").map(|(_, key)| key);
    let key = key.filter(|key| !key.is_empty()).ok_or(Refusal::NO_READ_KEY)?.into_owned();
    let hook = access::read(site.engine.door(&key).await?)?;
    let params = without_read_key(&Parameters::parse(&query)?.rest);
    let following = site.engine.follow(hook).await?;
    let over = closed(following.clone(), key);
    let frame = |event| serde_json::to_string(&event).expect("a frame is plain data");
    socket::tell(&site, upgrade, states(site.clone(), following, params, None).map(frame), over)
}

fn without_read_key(query: &str) -> String {
    let rest = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "readKey");
    form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish()
}

/// `GET /read/KEY` with `Accept: text/event-stream`: each event is a state, its id the seq.
///
/// Who comes back with `Last-Event-ID` is told nothing older, and nothing twice where that is certain.
pub fn server_sent(site: &Site, following: Following, key: String, params: String, headers: &HeaderMap) -> Response {
    let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()?.parse().ok()).map(Seq);
    let mut draining = site.draining.clone();
    let closed = closed(following.clone(), key);
    let over = async move {
        tokio::select! {
            () = closed => {}
            () = super::drained(&mut draining) => {}
        }
    };
    let event = |shown: wire::StateEvent| {
        // JSON has line breaks only between its tokens.
        let state = shown.state.get().replace(['\r', '\n'], " ");
        Ok::<_, Infallible>(Event::default().id(shown.seq.to_string()).event("state").data(state))
    };
    let states = states(site.clone(), following, params, last).map(event).take_until(over);
    let mut response = Sse::new(states).keep_alive(KeepAlive::new().interval(site.settings.ping)).into_response();
    response.headers_mut().insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// Resolves when a read key opens its hook no longer, or the hook is gone.
async fn closed(mut following: Following, key: String) {
    let _ = following.wait_for(|view| !is_open(view, &key)).await;
}

fn is_open(view: &View, key: &str) -> bool {
    view.config.keys.iter().any(|known| known.key == key && known.kind == KeyKind::Read && !known.paused)
}

/// The newest state whenever it changes. A slow reader is given fewer of them, never older ones. `last` is what the
/// reader has seen before.
fn states(
    site: Site,
    mut following: Following,
    params: String,
    last: Option<Seq>,
) -> impl Stream<Item = wire::StateEvent> + Send {
    following.mark_changed();
    let now = following.borrow().clone();
    // A seq that this log does not have says nothing.
    let last = last.filter(|last| *last <= now.seq);
    let shown = last.filter(|last| is_certain(&now, *last)).map(|_| now);
    stream::unfold((site, following, params, shown), move |(site, mut following, params, shown)| async move {
        loop {
            following.changed().await.ok()?;
            let view = following.borrow_and_update().clone();
            let is_older = last.is_some_and(|last| view.through() < last);
            if is_older || !is_news(shown.as_deref(), &view) {
                continue;
            }
            let kind = kind_of(shown.as_deref(), &view);
            let event = event(&site, &view, kind, &params).await;
            return Some((event, (site, following, params, Some(view))));
        }
    })
}

/// Whether who has seen the state at `last` has seen the one of now: no other code made it since.
fn is_certain(view: &View, last: Seq) -> bool {
    view.through() == last && view.config.last_refold.is_some_and(|refold| refold.through < last)
}

fn version_of(view: &View) -> Option<u32> {
    view.live.as_ref().map(|live| live.version)
}

fn is_news(shown: Option<&View>, view: &View) -> bool {
    shown.is_none_or(|shown| shown.through() != view.through() || version_of(shown) != version_of(view))
}

/// A state that other code made is not a step from the one before.
fn kind_of(shown: Option<&View>, view: &View) -> &'static str {
    match shown {
        Some(shown) if version_of(shown) != version_of(view) => "bulk-update",
        _ => "new-state",
    }
}

async fn event(site: &Site, view: &Arc<View>, kind: &'static str, params: &str) -> wire::StateEvent {
    let mut state = view.state().map_or_else(|| wire::raw("null"), |state| wire::raw(&state));
    if let Some(live) = view.live.as_ref().filter(|live| live.exports.query) {
        let body = match site.engine.query(view, live, view.state(), params.to_owned()).await {
            Ok(response) => String::from_utf8_lossy(&response.body.0).into_owned(),
            Err(_) => "null".to_owned(),
        };
        state = wire::raw(&body);
    }
    wire::StateEvent { kind, seq: view.through().0, state }
}
