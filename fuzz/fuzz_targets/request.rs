//! A connection's bytes, through hyper, to the request that is kept.
#![no_main]

use std::{convert::Infallible, sync::Arc, time::Duration};

use everfold_fuzz::{admission::Admission, request};
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use rules::{limits, record::At, row};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn answer(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let reply = |status| Ok(Response::builder().status(status).body(String::new()).expect("a reply"));
    let (head, body) = request.into_parts();
    let mut place = Arc::new(Admission::default()).enter(None).expect("nobody else is here");
    let body = match request::read_body(&head.headers, body, &mut place).await {
        Ok(body) => body,
        Err(refusal) => return reply(StatusCode::from_u16(refusal.status).expect("a status")),
    };
    let kept = request::kept(&head, body, 7, At(7));
    assert!(kept.body.0.len() <= limits::BODY_BYTES_MAX);
    assert!(kept.headers.iter().all(|(name, _)| *name == name.to_ascii_lowercase()));
    let _ = request::refuse_depth(&kept);
    let _ = request::idempotency_key(&head.headers);
    // It comes back from the log as it went in.
    assert_eq!(row::decode(&row::encode(&kept)), Some(kept));
    reply(StatusCode::ACCEPTED)
}

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let (mut client, server) = tokio::io::duplex(64 << 10);
        let mut http = hyper::server::conn::http1::Builder::new();
        http.max_headers(2048).max_buf_size(128 << 10).half_close(true);
        let serving = http.serve_connection(TokioIo::new(server), service_fn(answer));
        let talking = async {
            let _ = client.write_all(bytes).await;
            let _ = client.shutdown().await;
            let mut replies = Vec::new();
            let _ = client.read_to_end(&mut replies).await;
        };
        let both = async { tokio::join!(serving, talking) };
        tokio::time::timeout(Duration::from_secs(100), both)
            .await
            .map(drop)
            .expect("no bytes hold a connection for ever");
    });
});
