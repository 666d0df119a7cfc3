//! A follower's bytes after its WebSocket is open, through the parser that `/state-events` stands on.
#![no_main]

use std::time::Duration;

use axum::{
    Router,
    extract::ws::{Message, WebSocketUpgrade},
    routing::any,
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// As in `http/live.rs`.
const FRAME_BYTES_MAX: usize = 4 << 10;
const OPEN: &[u8] = b"GET / HTTP/1.1\r\nhost: e\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

async fn follow(upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade.max_message_size(FRAME_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX).on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            match message {
                Message::Text(text) => assert!(text.len() <= FRAME_BYTES_MAX),
                Message::Binary(bytes) => assert!(bytes.len() <= FRAME_BYTES_MAX),
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) => return,
            }
        }
    })
}

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let (mut client, server) = tokio::io::duplex(64 << 10);
        let router = Router::new().route("/", any(follow));
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(server), TowerToHyperService::new(router))
            .with_upgrades();
        let talking = async {
            client.write_all(OPEN).await.expect("the server listens");
            let mut reply = Vec::new();
            while !reply.ends_with(b"\r\n\r\n") {
                reply.push(client.read_u8().await.expect("a whole head"));
            }
            assert!(reply.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&reply));
            let _ = client.write_all(bytes).await;
            let _ = client.shutdown().await;
            let _ = client.read_to_end(&mut reply).await;
        };
        let both = async { tokio::join!(serving, talking) };
        tokio::time::timeout(Duration::from_secs(100), both).await.map(drop).expect("no bytes hold a socket for ever");
    });
});
