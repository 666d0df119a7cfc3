//! The state of a hook as it changes, over WebSocket.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        RawQuery, State, WebSocketUpgrade,
        ws::{Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use engine::follow::{Following, View};
use rules::{access, refusal::Refusal};

use super::{Site, problem::Problem, read::Parameters, wire};

/// How often a client is asked whether it is there.
const PING: Duration = Duration::from_secs(10);
/// How long it may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// What a client may send in one frame; it has nothing to say but `pong`.
const FRAME_BYTES_MAX: usize = 4 << 10;

/// `GET /state-events?readKey=KEY`
pub async fn state_events(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let key = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "readKey").map(|(_, key)| key);
    let key = key.filter(|key| !key.is_empty()).ok_or(Refusal::NO_READ_KEY)?;
    let hook = access::read(site.engine.door(&key).await?)?;
    let params = without_read_key(&Parameters::parse(&query)?.rest);
    let following = site.engine.follow(hook).await?;
    let upgrade = upgrade.map_err(|_| Refusal::NOT_WEBSOCKET)?;
    Ok(upgrade
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .on_upgrade(move |socket| show(site, socket, following, params)))
}

fn without_read_key(query: &str) -> String {
    let rest = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "readKey");
    form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish()
}

/// Sends the newest state whenever it changes. A slow reader is given fewer of them, never older ones.
async fn show(site: Site, mut socket: WebSocket, mut following: Following, params: String) {
    let mut heard = tokio::time::Instant::now();
    let mut ping = tokio::time::interval_at(heard + PING, PING);
    let mut draining = site.draining.clone();
    let mut shown: Option<Arc<View>> = None;
    following.mark_changed();
    loop {
        tokio::select! {
            changed = following.changed() => {
                if changed.is_err() {
                    return;
                }
                let view = following.borrow_and_update().clone();
                if !is_news(shown.as_deref(), &view) {
                    continue;
                }
                let kind = kind_of(shown.as_deref(), &view);
                let frame = frame(&site, &view, kind, &params).await;
                // A reader that takes nothing for as long as it may be silent is gone.
                let sent = tokio::time::timeout(SILENCE_MAX, socket.send(Message::Text(frame.into()))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
                shown = Some(view);
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Text(_) | Message::Pong(_))) => heard = tokio::time::Instant::now(),
                Some(Ok(Message::Binary(_) | Message::Ping(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            _ = ping.tick() => {
                if socket.send(Message::Text("ping".into())).await.is_err() {
                    return;
                }
            }
            () = tokio::time::sleep_until(heard + SILENCE_MAX) => {
                let _ = socket.send(Message::Close(None)).await;
                return;
            }
            () = super::drained(&mut draining) => {
                let _ = socket.send(Message::Close(None)).await;
                return;
            }
        }
    }
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

async fn frame(site: &Site, view: &View, kind: &'static str, params: &str) -> String {
    let mut state = view.state().map_or_else(|| wire::raw("null"), |state| wire::raw(&state));
    if let Some(live) = view.live.as_ref().filter(|live| live.exports.query) {
        let body = match site.engine.query(view, live, view.state(), params.to_owned()).await {
            Ok(response) => String::from_utf8_lossy(&response.body.0).into_owned(),
            Err(_) => "null".to_owned(),
        };
        state = wire::raw(&body);
    }
    let event = wire::StateEvent { kind, seq: view.through().0, state };
    serde_json::to_string(&event).expect("a frame is plain data")
}
