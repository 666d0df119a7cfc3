//! A run as it changes, over `/run-events`.

use std::net::TcpStream;

use serde_json::Value;
use tungstenite::{Message, WebSocket, client::IntoClientRequest, stream::MaybeTlsStream};

use super::super::{Failure, client::Client};

/// How often a line that broke is opened again before it is given up.
const TRIES_MAX: u32 = 30;

pub struct Line {
    client: Client,
    id: String,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    /// As the server shows it, whole.
    pub run: Value,
    /// What looks otherwise since a person moved in it: `[{key, toRender}]` of the last frame.
    pub rendered: Vec<Value>,
}

impl Line {
    pub fn open(client: &Client, id: &str) -> Result<Line, Failure> {
        let socket = connect(client, id)?;
        let mut line =
            Line { client: client.clone(), id: id.to_owned(), socket, run: Value::Null, rendered: Vec::new() };
        while line.run.is_null() {
            line.next()?;
        }
        Ok(line)
    }

    /// Waits for the next change.
    pub fn next(&mut self) -> Result<(), Failure> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) if text.as_str() == "ping" => {
                    let _ = self.socket.send(Message::text("pong"));
                }
                Ok(Message::Text(text)) => {
                    let frame: Value = serde_json::from_str(&text)
                        .map_err(|error| Failure::new(format!("A frame was not understood: {error}.")))?;
                    self.take(frame);
                    return Ok(());
                }
                Ok(Message::Close(_)) | Err(_) => self.mend()?,
                Ok(_) => {}
            }
        }
    }

    fn take(&mut self, mut frame: Value) {
        let mut run = frame["run"].take();
        if frame["type"] == "update" {
            // What was told before stands before what is new.
            for (list, from) in [("answers", "answersFrom"), ("logs", "logsFrom")] {
                let mut all = self.run[list].take();
                if let (Some(all), Some(new)) = (all.as_array_mut(), run[list].as_array_mut()) {
                    all.truncate(frame[from].as_u64().unwrap_or_default() as usize);
                    all.append(new);
                }
                run[list] = all;
            }
        }
        self.rendered = frame["rendered"].as_array().cloned().unwrap_or_default();
        self.run = run;
    }

    /// A server that was away, or a person who thought for long: the line is opened again, and nothing is lost.
    fn mend(&mut self) -> Result<(), Failure> {
        let mut tries = 0;
        loop {
            match connect(&self.client, &self.id) {
                Ok(socket) => {
                    self.socket = socket;
                    return Ok(());
                }
                Err(failure) if tries == TRIES_MAX => {
                    return Err(failure.hint(format!("go on when it is back: everfold run {}", self.id)));
                }
                Err(_) => {
                    tries += 1;
                    std::thread::sleep(std::time::Duration::from_secs(1));
                }
            }
        }
    }
}

fn connect(client: &Client, id: &str) -> Result<WebSocket<MaybeTlsStream<TcpStream>>, Failure> {
    // Whoever may not see it is told so in words, which a failed upgrade would not show.
    client.get::<Value>(&format!("/api/runs/{id}"))?;
    let lost = |error: tungstenite::Error| {
        Failure::new(format!("The connection to {} was lost: {error}.", client.url)).hint(format!("everfold run {id}"))
    };
    let url = format!("{}/run-events?runId={id}", client.url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().map_err(lost)?;
    let identity = format!("Bearer {}", client.identity()).parse();
    request.headers_mut().insert("authorization", identity.expect("a token is plain letters"));
    Ok(tungstenite::connect(request).map_err(lost)?.0)
}
