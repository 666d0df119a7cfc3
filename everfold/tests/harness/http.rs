//! A blocking HTTP/1.1 client that hides nothing: what is asked goes out as written, what comes back is all there.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// Longer than the server ever waits by itself.
const REPLY_TIMEOUT: Duration = Duration::from_secs(40);

/// A request as it will be sent.
#[derive(Clone)]
pub struct Ask {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Ask {
    pub fn new(method: &str, path: impl Into<String>) -> Ask {
        Ask { method: method.into(), path: path.into(), headers: vec![], body: vec![] }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Ask {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Ask {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    pub fn json(self, body: &Value) -> Ask {
        self.body("application/json", body.to_string())
    }

    /// Sends it on a connection of its own.
    pub fn send(&self, address: &str) -> Reply {
        self.try_send(address).unwrap_or_else(|error| panic!("{} {}: no reply: {error}", self.method, self.path))
    }

    pub fn try_send(&self, address: &str) -> io::Result<Reply> {
        Connection::open(address)?.ask(&self.clone().header("connection", "close"))
    }
}

/// One connection, kept open for many requests.
pub struct Connection<S = TcpStream>(BufReader<S>);

impl Connection {
    pub fn open(address: &str) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Connection::over(stream))
    }
}

impl<S: Read + Write> Connection<S> {
    pub fn over(stream: S) -> Connection<S> {
        Connection(BufReader::new(stream))
    }

    pub fn ask(&mut self, ask: &Ask) -> io::Result<Reply> {
        let sent = self.send(ask);
        self.reply(ask.method != "HEAD").map_err(|error| sent.err().unwrap_or(error))
    }

    /// The head alone of a reply that goes on: `chunk` gives the rest.
    pub fn begin(&mut self, ask: &Ask) -> io::Result<Reply> {
        self.send(ask)?;
        self.reply(false)
    }

    fn send(&mut self, ask: &Ask) -> io::Result<()> {
        let mut text = format!("{} {} HTTP/1.1\r\n", ask.method, ask.path).into_bytes();
        if !ask.headers.iter().any(|(name, _)| name == "host") {
            text.extend_from_slice(b"host: everfold.test\r\n");
        }
        for (name, value) in &ask.headers {
            text.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if !ask.headers.iter().any(|(name, _)| name == "transfer-encoding") {
            text.extend_from_slice(format!("content-length: {}\r\n", ask.body.len()).as_bytes());
        }
        text.extend_from_slice(b"\r\n");
        text.extend_from_slice(&ask.body);
        self.0.get_mut().write_all(&text)
    }

    /// Bytes that need not be HTTP at all. A server may refuse before it has read everything: its reply still counts.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<Reply> {
        let sent = self.0.get_mut().write_all(bytes);
        self.reply(true).map_err(|error| sent.err().unwrap_or(error))
    }

    fn reply(&mut self, has_body: bool) -> io::Result<Reply> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP reply");
        let status_line = self.line()?;
        if !status_line.starts_with("HTTP/1.") {
            return Err(broken());
        }
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
        let mut headers = vec![];
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(broken)?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut reply = Reply { status, headers, body: vec![] };
        if !has_body {
            return Ok(reply);
        }
        if reply.header("transfer-encoding") == Some("chunked") {
            loop {
                let chunk = self.chunk()?;
                if chunk.is_empty() {
                    break;
                }
                reply.body.extend(chunk);
            }
        } else if let Some(length) = reply.header("content-length") {
            let length = length.parse().map_err(|_| broken())?;
            self.take(length, &mut reply.body)?;
        } else if status != 204 && status != 304 {
            self.0.read_to_end(&mut reply.body)?;
        }
        Ok(reply)
    }

    /// One chunk; an empty one is the last.
    pub fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let size = usize::from_str_radix(&self.line()?, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut chunk = vec![];
        self.take(size, &mut chunk)?;
        self.line()?;
        Ok(chunk)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn take(&mut self, bytes: usize, into: &mut Vec<u8>) -> io::Result<()> {
        let start = into.len();
        into.resize(start + bytes, 0);
        self.0.read_exact(&mut into[start..])
    }
}

#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Every error is an RFC 9457 problem document, whole; gives it.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        let content_type = self.header("content-type").unwrap_or("none");
        assert!(content_type.starts_with("application/problem+json"), "content-type is {content_type}");
        let problem = self.json();
        for member in ["type", "title", "detail", "code", "hint"] {
            let is_said = problem[member].as_str().is_some_and(|text| !text.is_empty());
            assert!(is_said, "`{member}` is missing in {problem}");
        }
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["code"], code, "{problem}");
        problem
    }
}
