//! A WebSocket that outlives the node it was opened at: whoever follows a state through another node notices a pause.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::body::Body;
use futures_util::{SinkExt, StreamExt};
use hyper::{
    StatusCode,
    http::request::Parts,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    Front, OWNER_WAIT, RETRY_PAUSE,
    line::{Line, Lost},
    passed::request_of,
};
use crate::{
    http::{FRAME_BYTES_MAX, READ_BYTES},
    places::{Map, Place, Spot},
};

/// How long after the end of a WebSocket it may turn out that its node has ended, too.
const END_WAIT: Duration = Duration::from_secs(3);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What is asked of the next owner again, and of whom it was asked last.
pub struct Followed {
    pub front: Front,
    pub line: Arc<Line>,
    pub place: Place,
    pub head: Parts,
    pub peer: IpAddr,
}

impl Followed {
    /// Passes on what either says, until the client ends it, or an owner that is still there does.
    pub async fn relay(mut self, below: OnUpgrade, above: OnUpgrade) {
        let (Ok(below), Ok(above)) = (below.await, above.await) else { return };
        let mut below = socket(below, Role::Server).await;
        let mut above = socket(above, Role::Client).await;
        while self.passed(&mut below, &mut above).await {
            match timeout(OWNER_WAIT, self.again()).await {
                Ok(Some(next)) => above = next,
                _ => break,
            }
        }
        let _ = timeout(END_WAIT, below.close(None)).await;
    }

    /// Whether the owner ended it because it ends itself, as far as that can be told.
    async fn passed(&mut self, below: &mut Socket, above: &mut Socket) -> bool {
        let many = self.front.many();
        let mut map = many.follow();
        loop {
            tokio::select! {
                said = below.next() => match said {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return false,
                    // An owner that does not hear it is about to end.
                    Some(Ok(said)) => drop(above.send(said).await),
                },
                told = above.next() => match told {
                    Some(Ok(Message::Close(_))) => {
                        let left = map.wait_for(|map| !self.is_there(map));
                        return timeout(END_WAIT, left).await.is_ok();
                    }
                    Some(Err(_)) | None => return true,
                    Some(Ok(told)) => if below.send(told).await.is_err() {
                        return false;
                    },
                },
                () = many.changed(&mut map, self.place, &self.line) => return true,
            }
        }
    }

    /// Whether who was asked last has it still.
    fn is_there(&self, map: &Map) -> bool {
        self.front.many().is_at(&map.spot(self.place, 0), &self.line)
    }

    /// The same, from whoever has it next. `None` when that one has nothing to tell.
    async fn again(&mut self) -> Option<Socket> {
        let front = self.front.clone();
        let (many, place) = (front.many(), self.place);
        let mut map = many.follow();
        loop {
            let spot = map.wait_for(|map| map.spot(place, 0) != Spot::Nobody).await.ok()?.spot(place, 0);
            self.line = match &spot {
                Spot::There(elsewhere) => many.line(elsewhere),
                Spot::Here | Spot::Nobody => many.line(&many.own),
            };
            let asked = many.named(request_of(&self.head, Body::empty()), true, Some(self.peer));
            match self.line.pass(asked).await {
                Ok(mut response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    let above = hyper::upgrade::on(&mut response).await.ok()?;
                    return Some(socket(above, Role::Client).await);
                }
                Ok(response) if response.status().is_client_error() && !super::is_elsewhere(&response) => return None,
                Ok(_) | Err(Lost::Unsent(_) | Lost::Unknown) => tokio::time::sleep(RETRY_PAUSE).await,
            }
        }
    }
}

async fn socket(upgraded: Upgraded, role: Role) -> Socket {
    // A client says little; what it is told is as long as a state.
    let said_max = (role == Role::Server).then_some(FRAME_BYTES_MAX);
    let config =
        WebSocketConfig::default().read_buffer_size(READ_BYTES).max_message_size(said_max).max_frame_size(said_max);
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), role, Some(config)).await
}
