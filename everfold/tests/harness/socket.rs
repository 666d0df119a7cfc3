//! A WebSocket to the server, read frame by frame with a bound on every wait.

use std::{
    io,
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::Value;
use tungstenite::{
    Error, Message, WebSocket, client,
    client::IntoClientRequest,
    handshake::HandshakeError,
    http::{HeaderName, HeaderValue},
};

pub struct Socket(WebSocket<TcpStream>);

impl Socket {
    /// Gives the status where the upgrade is refused.
    pub fn open(address: &str, path: &str) -> Result<Socket, u16> {
        Socket::open_with(address, path, &[])
    }

    pub fn open_with(address: &str, path: &str, headers: &[(&str, &str)]) -> Result<Socket, u16> {
        let stream = TcpStream::connect(address).expect("the server listens");
        let mut request = format!("ws://{address}{path}").into_client_request().expect("an address");
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a header's name");
            request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a header's value"));
        }
        match client(request, stream) {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(HandshakeError::Failure(Error::Http(refusal))) => Err(refusal.status().as_u16()),
            Err(other) => panic!("{path}: {other}"),
        }
    }

    /// The next text frame; `None` when none comes in time or the server has closed.
    pub fn next_text(&mut self, patience: Duration) -> Option<String> {
        let until = Instant::now() + patience;
        loop {
            let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            self.0.get_ref().set_read_timeout(Some(left)).expect("a wait can be bounded");
            match self.0.read() {
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(Message::Close(_)) => return None,
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => return None,
            }
        }
    }

    /// The next frame that is JSON; pings are answered on the way.
    pub fn next_frame(&mut self, patience: Duration) -> Option<Value> {
        let until = Instant::now() + patience;
        loop {
            let text = self.next_text(until.saturating_duration_since(Instant::now()))?;
            if text == "ping" {
                self.say("pong");
                continue;
            }
            return Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")));
        }
    }

    pub fn next_state(&mut self, patience: Duration) -> Option<Value> {
        self.next_frame(patience)
    }

    pub fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).expect("the socket is open");
    }

    /// Says what the server may refuse before it has read the whole of it.
    pub fn say_in_vain(&mut self, text: &str) {
        let _ = self.0.send(Message::text(text));
    }

    /// Whether the server has closed, waiting that long for it.
    pub fn is_closed_within(&mut self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.0.get_ref().set_read_timeout(Some(left)).expect("a wait can be bounded");
            match self.0.read() {
                Ok(Message::Close(_)) => return true,
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
        false
    }
}
