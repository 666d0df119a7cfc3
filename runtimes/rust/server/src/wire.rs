//! HTTP/1.1 on a Unix socket, as much of it as a proxy speaks: no pipelining, no upgrades.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
};

const BODY_BYTES_MAX: usize = 20 << 20;
const HEAD_BYTES_MAX: u64 = 64 << 10;

/// What frames a message belongs to the server, not to user code.
pub const FRAMING: [&str; 6] =
    ["connection", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade"];

pub struct Asked {
    pub method: String,
    pub target: String,
    pub headers: HashMap<String, String>,
    pub is_last: bool,
    length: Length,
}

enum Length {
    Bytes(usize),
    Chunked,
}

pub struct Connection {
    stream: BufReader<UnixStream>,
}

/// What came is not HTTP, or more than is read of it.
fn refused() -> io::Error {
    ErrorKind::InvalidData.into()
}

impl Connection {
    pub fn new(stream: UnixStream) -> Connection {
        Connection { stream: BufReader::new(stream) }
    }

    /// The head of the next request, if there is one.
    pub fn request(&mut self) -> io::Result<Option<Asked>> {
        let mut left = HEAD_BYTES_MAX;
        if self.stream.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let first = self.line(&mut left)?;
        let words: Vec<&str> = first.split(' ').collect();
        let &[method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] = words.as_slice() else { return Err(refused()) };
        let mut headers: HashMap<String, String> = HashMap::new();
        loop {
            let line = self.line(&mut left)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(refused)?;
            let (name, value) = (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']));
            if !is_name(&name) || (headers.contains_key(&name) && FRAMING.contains(&name.as_str())) {
                return Err(refused());
            }
            let separator = if name == "cookie" { "; " } else { ", " };
            let known = headers.entry(name).and_modify(|known| *known += separator).or_default();
            known.push_str(value);
        }
        let length = match (headers.get("content-length"), headers.contains_key("transfer-encoding")) {
            (None, true) => Length::Chunked,
            (None, false) => Length::Bytes(0),
            (Some(digits), false) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Length::Bytes(digits.parse().map_err(|_| refused())?)
            }
            _ => return Err(refused()),
        };
        let connection = headers.get("connection").map(|value| value.to_lowercase()).unwrap_or_default();
        let is_last = connection == "close" || (version == "HTTP/1.0" && connection != "keep-alive");
        Ok(Some(Asked { method: method.into(), target: target.into(), headers, is_last, length }))
    }

    /// All of it, once; nothing above the bound.
    pub fn body(&mut self, asked: &mut Asked) -> io::Result<Option<Vec<u8>>> {
        let length = std::mem::replace(&mut asked.length, Length::Bytes(0));
        let is_none = matches!(length, Length::Bytes(0));
        if !is_none && asked.headers.get("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            self.stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut body = vec![];
        let is_whole = match length {
            Length::Bytes(bytes) => self.take(bytes, &mut body)?,
            Length::Chunked => loop {
                let size = self.line(&mut HEAD_BYTES_MAX.clone())?;
                let size = size.split(';').next().unwrap_or_default();
                let bytes = usize::from_str_radix(size, 16).map_err(|_| refused())?;
                if bytes == 0 {
                    while !self.line(&mut HEAD_BYTES_MAX.clone())?.is_empty() {}
                    break true;
                }
                if !self.take(bytes, &mut body)? {
                    break false;
                }
                self.line(&mut HEAD_BYTES_MAX.clone())?;
            },
        };
        asked.is_last |= !is_whole;
        Ok(is_whole.then_some(body))
    }

    /// Whether there was room for it.
    fn take(&mut self, bytes: usize, into: &mut Vec<u8>) -> io::Result<bool> {
        let start = into.len();
        if bytes > BODY_BYTES_MAX - start {
            return Ok(false);
        }
        into.resize(start + bytes, 0);
        self.stream.read_exact(&mut into[start..])?;
        Ok(true)
    }

    fn line(&mut self, left: &mut u64) -> io::Result<String> {
        let mut line = vec![];
        let read = self.stream.by_ref().take(*left).read_until(b'\n', &mut line)?;
        *left -= read as u64;
        let line = line.strip_suffix(b"\r\n").ok_or_else(refused)?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }

    pub fn reply(&mut self, asked: &Asked, status: u16, lines: &str, body: &[u8]) -> io::Result<()> {
        let has_body = ![204, 205, 304].contains(&status);
        let mut text = format!("HTTP/1.1 {status} \r\n{lines}");
        if has_body {
            text += &format!("content-length: {}\r\n", body.len());
        }
        text += if asked.is_last { "connection: close\r\n\r\n" } else { "\r\n" };
        let mut bytes = text.into_bytes();
        if has_body && asked.method != "HEAD" {
            bytes.extend_from_slice(body);
        }
        self.stream.get_mut().write_all(&bytes)
    }

    pub fn refuse(&mut self) {
        let _ = self.stream.get_mut().write_all(b"HTTP/1.1 400 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
}

pub fn is_name(name: &str) -> bool {
    let is_of_name = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z') || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_of_name)
}

/// A line break in a header would begin a header of its own, or a body.
pub fn is_value(value: &str) -> bool {
    value.chars().all(|char| char == '\t' || !char.is_ascii_control())
}
