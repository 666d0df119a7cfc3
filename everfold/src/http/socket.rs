//! A WebSocket that tells its client what happens, and asks whether it is still there.

use std::{pin::pin, time::Duration};

use axum::{
    extract::{
        WebSocketUpgrade,
        ws::{Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use futures_util::{Stream, StreamExt};
use rules::refusal::Refusal;

use super::{Site, problem::Problem};

/// What a client may send in one frame; it has nothing to say but `pong`.
pub const FRAME_BYTES_MAX: usize = 4 << 10;
/// Room for what comes in. Every client holds so much for as long as it listens.
pub const READ_BYTES: usize = 1 << 10;
/// How long a client may take to hear that it is over.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// Becomes a WebSocket that sends `frames` until there are no more, `over` resolves, the client is gone or says
/// nothing, or the server goes down.
pub fn tell<F>(
    site: &Site,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    frames: F,
    over: impl Future<Output = ()> + Send + 'static,
) -> Result<Response, Problem>
where
    F: Stream<Item = String> + Send + 'static,
{
    let upgrade = upgrade.map_err(|_| Refusal::NOT_WEBSOCKET)?;
    let (ping, mut draining) = (site.settings.ping, site.draining.clone());
    let upgrade =
        upgrade.max_message_size(FRAME_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX).read_buffer_size(READ_BYTES);
    Ok(upgrade.on_upgrade(move |mut socket| async move {
        tokio::select! {
            () = speak(&mut socket, frames, ping) => {}
            () = over => {}
            () = super::drained(&mut draining) => {}
        }
        let _ = tokio::time::timeout(CLOSE_MAX, socket.send(Message::Close(None))).await;
    }))
}

/// How long a client may say nothing, or take nothing, before it is gone.
pub fn silence_max(ping: Duration) -> Duration {
    ping + ping / 2
}

async fn speak(socket: &mut WebSocket, frames: impl Stream<Item = String>, ping: Duration) {
    let mut frames = pin!(frames);
    let silence_max = silence_max(ping);
    let mut heard = tokio::time::Instant::now();
    let mut pings = tokio::time::interval_at(heard + ping, ping);
    loop {
        let text = tokio::select! {
            frame = frames.next() => match frame {
                Some(frame) => frame,
                None => return,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(_) | Message::Pong(_))) => {
                    heard = tokio::time::Instant::now();
                    continue;
                }
                Some(Ok(Message::Binary(_) | Message::Ping(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            _ = pings.tick() => "ping".to_owned(),
            () = tokio::time::sleep_until(heard + silence_max) => return,
        };
        let sent = tokio::time::timeout(silence_max, socket.send(Message::Text(text.into()))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}
