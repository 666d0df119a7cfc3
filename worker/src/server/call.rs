//! One request to a runtime server: sent, answered, and ended where it takes too long.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
pub use hyper::Response;
use hyper::{
    HeaderMap, Method, Request,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    client::conn::http1,
    header::{HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use rules::function::execution::Failure;
use tokio::{
    net::UnixStream,
    sync::oneshot,
    time::{sleep, sleep_until, timeout, timeout_at},
};

use super::{
    NotLeased,
    logs::{LogStream, Logs},
    pool::Lease,
    process::{Ended, Why},
};
use crate::bounds::{CONNECTION_READY_WAIT, LOG_WAIT, REPLY_GRACE, REPLY_HEAD_BYTES_MAX, REPLY_HEADERS_MAX};

/// Between Everfold and a runtime server, and nobody else.
const PREFIX: &str = "x-open-runtimes-";
const SECRET: HeaderName = HeaderName::from_static("x-open-runtimes-secret");
const TIMEOUT: HeaderName = HeaderName::from_static("x-open-runtimes-timeout");
const LOGGING: HeaderName = HeaderName::from_static("x-open-runtimes-logging");
const LOG_ID: HeaderName = HeaderName::from_static("x-open-runtimes-log-id");
/// Of a reply: nothing was logged, and no line says so.
const LOGGED: HeaderName = HeaderName::from_static("x-open-runtimes-logged");
/// Below this a runtime server answers Everfold alone.
const OURS: &str = "__opr";
/// What concerns one connection alone.
const OF_A_CONNECTION: [HeaderName; 7] = [
    hyper::header::CONNECTION,
    hyper::header::TRANSFER_ENCODING,
    hyper::header::UPGRADE,
    hyper::header::TE,
    hyper::header::TRAILER,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A body of a request.
pub type Sent = UnsyncBoxBody<Bytes, io::Error>;

/// A connection to a server. Nothing moves on it but while somebody drives it: a task of its own would cost each call
/// its way from one thread to another.
pub struct Connection {
    sender: http1::SendRequest<Sent>,
    /// Large, and handed from call to call.
    driver: Box<http1::Connection<TokioIo<UnixStream>, Sent>>,
    is_closed: bool,
}

/// What a function is asked.
pub struct Asked {
    pub method: Method,
    /// As it was sent: a path with its query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Sent,
    /// Under which its server logs.
    pub id: String,
    pub timeout_ms: u64,
    pub response_bytes_max: u64,
}

impl Asked {
    /// One that is here as a whole. What cannot be sent as a method, a path or a header, is not.
    pub fn of_bytes(
        method: &str,
        path: &str,
        headers: impl Iterator<Item = (String, Vec<u8>)>,
        body: Vec<u8>,
        id: String,
        timeout_ms: u64,
        response_bytes_max: u64,
    ) -> Asked {
        let header = |(name, value): (String, Vec<u8>)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::from_bytes(&value).ok()?))
        };
        Asked {
            method: method.parse().unwrap_or_default(),
            path: path.to_owned(),
            headers: headers.filter_map(header).collect(),
            body: Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync(),
            id,
            timeout_ms,
            response_bytes_max,
        }
    }
}

/// Whether a path is one of Everfold's own with a runtime server, however it is written.
pub fn is_ours(path: &str) -> bool {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let path = decoded.split(['?', '#']).next().unwrap_or_default();
    path.split(['/', '\\']).any(|step| step.eq_ignore_ascii_case(OURS))
}

/// A function's answer, and what there is to say of the call when it is over.
pub struct Called {
    pub answer: Result<Response<Reply>, Failure>,
    /// The call goes on, and its answer comes, while this is polled; it is left when this is dropped.
    pub over: Pin<Box<dyn Future<Output = Over> + Send>>,
}

/// What came of a call.
#[derive(Debug)]
pub struct Over {
    pub status: Option<u16>,
    pub failure: Option<Failure>,
    pub duration: Duration,
    pub is_cold: bool,
    pub logs: String,
    pub errors: String,
}

/// The body of a function's response. Whoever drops it goes away from the call.
pub struct Reply {
    incoming: Incoming,
    bytes_left: u64,
    end: Option<oneshot::Sender<End>>,
    waits: Waits,
    /// Cut off in the middle, so that nobody takes it for the whole.
    is_cut: bool,
}

/// Whether a body waits for whoever makes it, rather than for whoever takes it.
#[derive(Clone, Default)]
struct Waits(Arc<AtomicBool>);

impl Waits {
    fn note<T>(&self, polled: Poll<T>) -> Poll<T> {
        self.0.store(polled.is_pending(), Ordering::Relaxed);
        polled
    }

    fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A body on its way to a server.
struct Watched {
    body: Sent,
    waits: Waits,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.waits.note(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How a body ended.
enum End {
    Whole,
    TooLarge,
    Broken(String),
    /// Nobody wants the rest.
    Abandoned,
}

impl From<NotLeased> for Failure {
    fn from(not: NotLeased) -> Failure {
        match not {
            NotLeased::QueueFull { retry_after_s } => Failure::QueueFull { retry_after_s },
            NotLeased::CrashedAtStart(ended) if ended.why == Why::OutOfMemory => Failure::OutOfMemory,
            NotLeased::CrashedAtStart(ended) => Failure::CrashedAtStart(ended.lines.clone()),
            NotLeased::NotReady { why, .. } => Failure::NotReady(why),
        }
    }
}

/// Gives back what was asked where the server was gone before anything was sent: another one may be asked.
pub async fn call(lease: Lease, mut asked: Asked) -> Result<Called, Asked> {
    let idle = lease.idle_connection();
    let stream = match &idle {
        Some(_) => None,
        None => match lease.connect().await {
            Ok(stream) => Some(stream),
            Err(_) => return Err(asked),
        },
    };
    let begun = Instant::now();
    let deadline = begun + Duration::from_millis(asked.timeout_ms) + REPLY_GRACE;
    let (timeout_ms, response_bytes_max) = (asked.timeout_ms, asked.response_bytes_max);
    let logs = lease.logs(asked.id.as_str());
    let is_cold = lease.is_cold();
    // Who sends slowly, or reads slowly, ends no server that others sit in.
    let (waits_for_caller, waits_for_server) = (Waits::default(), Waits::default());
    let body = std::mem::take(&mut asked.body);
    asked.body = Watched { body, waits: waits_for_caller.clone() }.boxed_unsync();
    let sent = async {
        let mut connection = match (idle, stream) {
            (Some(connection), _) => connection,
            (None, Some(stream)) => Connection::open(stream).await?,
            (None, None) => unreachable!("one of them was found"),
        };
        let response = connection.sender.send_request(request(&lease, asked));
        let response = connection.driven(response).await?;
        hyper::Result::Ok((connection, response))
    };
    let answered = timeout_at(deadline.into(), sent).await;
    let (end, ended) = oneshot::channel();
    let (mut failure, mut connected, mut has_logged) = (None, None, true);
    let answer = match answered {
        Err(_) if waits_for_caller.is_so() => Err(Failure::Unsent),
        Err(_) => {
            lease.kill(Why::TimedOut);
            Err(Failure::TimedOut { after_ms: timeout_ms })
        }
        Ok(Err(error)) => Err(why(&lease, &error).await),
        Ok(Ok((connection, response))) => {
            connected = Some(connection);
            has_logged = !response.headers().contains_key(LOGGED);
            let has_run_out = begun.elapsed() >= Duration::from_millis(timeout_ms);
            // The server's own word for it: it goes on with its other requests.
            let is_late = has_run_out && response.status() == 500 && response.body().is_end_stream();
            if is_late && waits_for_caller.is_so() {
                Err(Failure::Unsent)
            } else if is_late {
                Err(Failure::TimedOut { after_ms: timeout_ms })
            } else {
                Ok(reply(response, response_bytes_max, end, waits_for_server.clone()))
            }
        }
    };
    let status = answer.as_ref().ok().map(|response| response.status().as_u16());
    if let Err(why) = &answer {
        failure = Some(why.clone());
    }
    let over = async move {
        if let Some(mut connection) = connected {
            if failure.is_none() {
                let attended = attend(&lease, ended, deadline, timeout_ms, &waits_for_server);
                failure = connection.driven(attended).await;
            }
            // Ready as soon as nothing more of the answer can come; one that was left before that is closed.
            if failure.is_none() && connection.becomes_ready().await {
                lease.keep_connection(connection);
            } else if !connection.is_closed {
                // The rest goes to whoever reads it, at their own pace.
                tokio::spawn(connection.driver);
            }
        }
        let duration = begun.elapsed();
        let (logs, errors) = if has_logged { gather(logs).await } else { Default::default() };
        drop(lease);
        Over { status, failure, duration, is_cold, logs, errors }
    };
    Ok(Called { answer, over: Box::pin(over) })
}

impl Called {
    /// What there is to say of a call that reached nobody.
    pub fn failed(failure: Failure) -> Called {
        let (duration, logs, errors) = Default::default();
        let over = Over { status: None, failure: Some(failure.clone()), duration, is_cold: false, logs, errors };
        Called { answer: Err(failure), over: Box::pin(std::future::ready(over)) }
    }
}

impl Connection {
    async fn open(stream: UnixStream) -> hyper::Result<Connection> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(REPLY_HEAD_BYTES_MAX).max_headers(REPLY_HEADERS_MAX);
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
        Ok(Connection { sender, driver: Box::new(driver), is_closed: false })
    }

    fn drive(&mut self, context: &mut Context) {
        self.is_closed = self.is_closed || Pin::new(&mut self.driver).poll(context).is_ready();
    }

    /// What comes of something while the connection is driven.
    async fn driven<T>(&mut self, something: impl Future<Output = T>) -> T {
        let mut something = pin!(something);
        poll_fn(|context| {
            self.drive(context);
            something.as_mut().poll(context)
        })
        .await
    }

    /// Whether it may be used for another request, soon.
    async fn becomes_ready(&mut self) -> bool {
        let ready = poll_fn(|context| {
            self.drive(context);
            self.sender.poll_ready(context)
        });
        matches!(timeout(CONNECTION_READY_WAIT, ready).await, Ok(Ok(())))
    }

    /// Whether it may still be used, after nobody drove it for a while.
    pub fn is_usable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.is_closed && self.sender.is_ready()
    }
}

fn request(lease: &Lease, asked: Asked) -> Request<Sent> {
    let mut request = Request::new(asked.body);
    *request.method_mut() = asked.method;
    // A server is asked by path; which host is meant says a header.
    *request.uri_mut() = asked.path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    *headers = asked.headers;
    OF_A_CONNECTION.iter().for_each(|name| drop(headers.remove(name)));
    let ours: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(PREFIX)).cloned().collect();
    ours.iter().for_each(|name| drop(headers.remove(name)));
    let text = |text: &str| HeaderValue::from_str(text).expect("letters and digits");
    headers.insert(SECRET, text(lease.secret()));
    headers.insert(TIMEOUT, HeaderValue::from(asked.timeout_ms.div_ceil(1000)));
    headers.insert(LOGGING, HeaderValue::from_static("enabled"));
    headers.insert(LOG_ID, text(&asked.id));
    request
}

fn reply(response: Response<Incoming>, bytes_left: u64, end: oneshot::Sender<End>, waits: Waits) -> Response<Reply> {
    let mut response = response.map(|incoming| Reply { incoming, bytes_left, end: Some(end), waits, is_cut: false });
    let headers = response.headers_mut();
    OF_A_CONNECTION.iter().for_each(|name| drop(headers.remove(name)));
    let ours: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(PREFIX)).cloned().collect();
    ours.iter().for_each(|name| drop(headers.remove(name)));
    // What has no body is over; nobody may ever look.
    let is_over = response.body().is_end_stream();
    if is_over {
        response.body_mut().finish(End::Whole);
    }
    response
}

/// A response to its end: headers, the beginning of its body, and whether that is not all of it.
pub async fn read(response: Response<Reply>, bytes_max: usize) -> (Vec<(String, Vec<u8>)>, Vec<u8>, bool) {
    let (head, mut reply) = response.into_parts();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let (headers, mut body, mut is_cut) = (headers.collect(), Vec::new(), false);
    while let Some(frame) = reply.frame().await {
        let Ok(data) = frame.map(|frame| frame.into_data().unwrap_or_default()) else { break };
        let room = data.len().min(bytes_max - body.len());
        is_cut |= room < data.len();
        body.extend_from_slice(&data[..room]);
    }
    (headers, body, is_cut)
}

/// Until a body is over, or its time.
async fn attend(
    lease: &Lease,
    mut ended: oneshot::Receiver<End>,
    deadline: Instant,
    timeout_ms: u64,
    waits_for_server: &Waits,
) -> Option<Failure> {
    let end = tokio::select! {
        end = &mut ended => end,
        () = sleep_until(deadline.into()) => {
            if !waits_for_server.is_so() {
                // The rest goes to whoever reads so slowly; the seat is another's.
                return None;
            }
            lease.kill(Why::TimedOut);
            return Some(Failure::TimedOut { after_ms: timeout_ms });
        }
    };
    match end {
        Ok(End::Whole | End::Abandoned) | Err(_) => None,
        Ok(End::TooLarge) => Some(Failure::ResponseTooLarge),
        Ok(End::Broken(error)) => Some(why(lease, &error).await),
    }
}

/// Why a server did not answer: it ended, most likely.
async fn why(lease: &Lease, error: &(dyn std::fmt::Display + Sync)) -> Failure {
    match timeout(lease.end_wait(), lease.ended()).await {
        Ok(ended) => of_end(&ended),
        Err(_) => Failure::Broken(error.to_string()),
    }
}

fn of_end(ended: &Arc<Ended>) -> Failure {
    match ended.why {
        Why::Exited(code) => Failure::Exited(code),
        Why::Signalled(signal) => Failure::Signalled(signal),
        Why::OutOfMemory => Failure::OutOfMemory,
        Why::CpuExceeded => Failure::CpuExceeded,
        Why::SocketReplaced => Failure::Broken("something other than a socket lay where its socket should be".into()),
        Why::NetworkLost => Failure::Broken("its connection to the internet ended".into()),
        Why::TimedOut | Why::NotReady | Why::NotMade | Why::Idle | Why::Rolled | Why::Cancelled | Why::TreeTooLarge => {
            Failure::Ended
        }
    }
}

/// The log of a request: it is whole before the answer is, but for what a server fails to say.
async fn gather(mut logs: Logs) -> (String, String) {
    let (mut said, mut errors) = (String::new(), String::new());
    let all = async {
        while let Some(entry) = logs.next().await {
            let to = match entry.stream {
                LogStream::Logs => &mut said,
                LogStream::Errors => &mut errors,
            };
            to.push_str(&entry.text);
            to.push('\n');
        }
    };
    tokio::select! {
        () = all => {}
        () = sleep(LOG_WAIT) => {}
    }
    let dropped = logs.dropped();
    if dropped > 0 {
        errors.push_str(&format!("{dropped} entries of the log were beyond its bound, and are not kept.\n"));
    }
    (said, errors)
}

impl Reply {
    fn finish(&mut self, end: End) {
        if let Some(sender) = self.end.take() {
            let _ = sender.send(end);
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_cut {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.incoming).poll_frame(context);
        let frame = ready!(self.waits.note(polled));
        Poll::Ready(match frame {
            None => {
                self.finish(End::Whole);
                None
            }
            Some(Err(error)) => {
                self.is_cut = true;
                self.finish(End::Broken(error.to_string()));
                Some(Err(io::Error::other(error)))
            }
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                match self.bytes_left.checked_sub(bytes) {
                    Some(left) => {
                        self.bytes_left = left;
                        if self.incoming.is_end_stream() {
                            self.finish(End::Whole);
                        }
                        Some(Ok(frame))
                    }
                    None => {
                        self.is_cut = true;
                        self.finish(End::TooLarge);
                        Some(Err(io::Error::other("the response is larger than it may be")))
                    }
                }
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_cut || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.finish(End::Abandoned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_paths_are_known_however_they_are_written() {
        for path in
            ["/__opr/health", "//__opr/health", "/%5f%5Fopr/timings", "/a/../__opr/health", "/./__opr", "/__OPR/"]
        {
            assert!(is_ours(path), "{path}");
        }
        for path in ["/", "/opr", "/__oprs/health", "/?__opr/health", "/x__opr"] {
            assert!(!is_ours(path), "{path}");
        }
    }
}
