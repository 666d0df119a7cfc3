//! The way to another node: connections that are kept, and what became of a request that was sent over one.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use hyper::{
    Request, Response,
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use store::postgres::NodeId;
use tokio::{net::TcpStream, time::timeout};

use crate::{places::Elsewhere, serve::HEADERS_MAX};

/// How long another node may take to accept a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(2);
/// After this long without an answer from its machine, a connection to another node is given up.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Connections that are kept while nothing is passed on.
const IDLE_MAX: usize = 256;

pub struct Line {
    node: NodeId,
    address: String,
    idle: Mutex<Vec<SendRequest<Body>>>,
}

/// What became of a request that was not answered.
pub enum Lost {
    /// Nobody has seen it.
    Unsent(Request<Body>),
    /// It may have been done.
    Unknown,
}

impl Line {
    pub fn to((node, address): Elsewhere) -> Line {
        Line { node, address, idle: Mutex::default() }
    }

    pub fn leads_to(&self, elsewhere: &Elsewhere) -> bool {
        (self.node, &self.address) == (elsewhere.0, &elsewhere.1)
    }

    pub async fn pass(self: &Arc<Line>, mut request: Request<Body>) -> Result<Response<Body>, Lost> {
        let has_body = !request.body().is_end_stream();
        loop {
            let kept = self.idle().pop();
            let is_kept = kept.is_some();
            let mut sender = match kept {
                Some(mut sender) => match sender.ready().await {
                    Ok(()) => sender,
                    Err(_) => continue,
                },
                None => match timeout(CONNECT_WAIT, self.connect()).await {
                    Ok(Ok(sender)) => sender,
                    Ok(Err(error)) => {
                        tracing::debug!(%error, address = self.address, "another node is not reached");
                        return Err(Lost::Unsent(request));
                    }
                    Err(_) => return Err(Lost::Unsent(request)),
                },
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    // Who refuses a body may not have read it, and then ends the connection.
                    let sender = Some(sender).filter(|_| !has_body || response.status().as_u16() < 400);
                    return Ok(response
                        .map(|incoming| Body::new(Passing { incoming, is_over: false, sender, line: self.clone() })));
                }
                Err(mut error) => match error.take_message() {
                    // It ended while nobody looked.
                    Some(unsent) if is_kept => request = unsent,
                    Some(unsent) => return Err(Lost::Unsent(unsent)),
                    None => return Err(Lost::Unknown),
                },
            }
        }
    }

    async fn connect(&self) -> io::Result<SendRequest<Body>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE_MAX / 2).with_interval(SILENCE_MAX / 4))?;
        socket.set_tcp_user_timeout(Some(SILENCE_MAX))?;
        let handshake = http1::Builder::new().max_headers(HEADERS_MAX).handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(io::Error::other)?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SendRequest<Body>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer on its way; its connection is kept for the next request when all of it has passed.
struct Passing {
    incoming: Incoming,
    is_over: bool,
    /// `None` when nothing more comes through it.
    sender: Option<SendRequest<Body>>,
    line: Arc<Line>,
}

impl HttpBody for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(context);
        self.is_over = matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let is_whole = self.is_over || self.incoming.is_end_stream();
        if let Some(sender) = self.sender.take().filter(|_| is_whole) {
            let mut idle = self.line.idle();
            if idle.len() < IDLE_MAX {
                idle.push(sender);
            }
        }
    }
}
