//! Server-sent events, read one by one with a bound on every wait.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::Value;

pub struct Stream {
    reader: BufReader<TcpStream>,
    /// What has come and is not taken.
    text: String,
    pub headers: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    State {
        id: u64,
        state: Value,
    },
    /// Kept alive.
    Comment,
    /// Ended as HTTP ends a reply, or broken off.
    End {
        is_clean: bool,
    },
    /// Nothing came in time.
    Nothing,
}

impl Stream {
    pub fn open(address: &str, path: &str, last_event_id: Option<u64>) -> Stream {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        let last = last_event_id.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let head = format!("GET {path} HTTP/1.1\r\nhost: everfold.test\r\naccept: text/event-stream\r\n{last}\r\n");
        stream.write_all(head.as_bytes()).expect("the server reads");
        let mut stream = Stream { reader: BufReader::new(stream), text: String::new(), headers: String::new() };
        while !stream.headers.ends_with("\r\n\r\n") {
            let read = stream.reader.read_line(&mut stream.headers).expect("a head");
            assert!(read > 0, "the reply ended in its head: {}", stream.headers);
        }
        assert!(stream.headers.starts_with("HTTP/1.1 200"), "{}", stream.headers);
        assert!(stream.headers.contains("content-type: text/event-stream"), "{}", stream.headers);
        stream
    }

    pub fn next(&mut self, patience: Duration) -> Told {
        let until = Instant::now() + patience;
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let told = told(event);
                self.text = rest.to_owned();
                return told;
            }
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return Told::Nothing;
            };
            self.reader.get_ref().set_read_timeout(Some(left)).expect("a wait can be bounded");
            match self.chunk() {
                Ok(Some(text)) => self.text.push_str(&text),
                Ok(None) => return Told::End { is_clean: true },
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Told::Nothing,
                Err(_) => return Told::End { is_clean: false },
            }
        }
    }

    /// The next state; what keeps the connection alive is passed over.
    pub fn next_state(&mut self, patience: Duration) -> Option<(u64, Value)> {
        let until = Instant::now() + patience;
        loop {
            match self.next(until.saturating_duration_since(Instant::now())) {
                Told::State { id, state } => return Some((id, state)),
                Told::Comment => {}
                Told::End { .. } | Told::Nothing => return None,
            }
        }
    }

    fn chunk(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk's size");
        // What has begun comes whole.
        self.reader.get_ref().set_read_timeout(Some(super::PATIENCE))?;
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk)?;
        chunk.truncate(size);
        Ok((size > 0).then(|| String::from_utf8(chunk).expect("events are text")))
    }
}

fn told(event: &str) -> Told {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let Some(data) = field("data") else { return Told::Comment };
    assert_eq!(field("event"), Some("state"), "{event}");
    let id = field("id").and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no id: {event}"));
    Told::State { id, state: serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {event}")) }
}
