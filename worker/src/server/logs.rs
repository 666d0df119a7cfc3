//! What a function logs, on its way from one pipe per instance to the request that it belongs to.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Deserialize;
use tokio::{io::AsyncReadExt, net::unix::pipe, sync::mpsc, time::sleep};

use crate::{
    bounds::{LOG_BYTES_MAX, LOG_LINE_BYTES_MAX, LOG_READ_BYTES, LOG_READ_PAUSE},
    pool::locked,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub stream: LogStream,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    Logs,
    Errors,
}

/// The log of one request, while its function runs. Dropping it ends the listening.
pub struct Logs {
    id: String,
    entries: mpsc::UnboundedReceiver<LogEntry>,
    dropped: Arc<AtomicU64>,
    router: Arc<Router>,
}

impl Logs {
    /// `None` when the server said that the log is whole, or ended.
    pub async fn next(&mut self) -> Option<LogEntry> {
        self.entries.recv().await
    }

    /// How many entries were beyond what one request may log.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.router.forget(&self.id, &self.dropped);
    }
}

/// Who listens to which request. What the server says under any other id is dropped: it is not believed to know.
#[derive(Default)]
pub struct Router(Mutex<HashMap<String, Listener>>);

/// Not bounded by count but by weight.
struct Listener {
    entries: mpsc::UnboundedSender<LogEntry>,
    bytes_left: usize,
    dropped: Arc<AtomicU64>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    stream: Option<LogStream>,
    #[serde(borrow, default)]
    text: Cow<'a, str>,
    #[serde(default)]
    end: bool,
}

impl Router {
    /// A later listener to the same id takes the place of the one before.
    pub fn listen(self: &Arc<Self>, id: String) -> Logs {
        let (sender, entries) = mpsc::unbounded_channel();
        let dropped = Arc::new(AtomicU64::new(0));
        let listener = Listener { entries: sender, bytes_left: LOG_BYTES_MAX, dropped: dropped.clone() };
        locked(&self.0).insert(id.clone(), listener);
        Logs { id, entries, dropped, router: self.clone() }
    }

    fn forget(&self, id: &str, whose: &Arc<AtomicU64>) {
        let mut listeners = locked(&self.0);
        if listeners.get(id).is_some_and(|listener| Arc::ptr_eq(&listener.dropped, whose)) {
            listeners.remove(id);
        }
    }

    fn route(&self, line: &[u8]) {
        let Ok(line) = serde_json::from_slice::<Line>(line) else { return };
        let mut listeners = locked(&self.0);
        let Some(listener) = listeners.get_mut(line.id.as_ref()) else { return };
        if let Some(stream) = line.stream {
            // An empty entry weighs something, too.
            let weight = line.text.len() + size_of::<LogEntry>();
            match listener.bytes_left.checked_sub(weight) {
                Some(left) => {
                    listener.bytes_left = left;
                    let _ = listener.entries.send(LogEntry { stream, text: line.text.into_owned() });
                }
                None => drop(listener.dropped.fetch_add(1, Ordering::Relaxed)),
            }
        }
        if line.end {
            listeners.remove(line.id.as_ref());
        }
    }

    /// Reads a server's log pipe to its end.
    pub async fn read(self: Arc<Self>, mut pipe: pipe::Receiver) {
        let mut buffer = vec![0; LOG_READ_BYTES];
        let mut line: Vec<u8> = Vec::new();
        let mut is_too_long = false;
        while let Ok(bytes @ 1..) = pipe.read(&mut buffer).await {
            for part in buffer[..bytes].split_inclusive(|byte| *byte == b'\n') {
                is_too_long |= line.len() + part.len() > LOG_LINE_BYTES_MAX;
                if !is_too_long {
                    line.extend_from_slice(part);
                }
                if part.ends_with(b"\n") {
                    if !is_too_long {
                        self.route(&line);
                    }
                    line.clear();
                    is_too_long = false;
                }
            }
            if bytes == LOG_READ_BYTES {
                sleep(LOG_READ_PAUSE).await;
            }
        }
        locked(&self.0).clear();
    }
}
