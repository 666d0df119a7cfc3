//! `everfold worker`: runs jobs on this machine, in the sandbox that hooks run in.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use rules::{
    call::{Level, Line, Program},
    job::{End, JOB_LEASE_MS, JOB_THREADS_MAX},
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::{net::TcpStream, sync::mpsc, task::AbortHandle};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};
use tokio_tungstenite::{WebSocketStream, tungstenite};
use tungstenite::{Message, client::IntoClientRequest, protocol::WebSocketConfig};
use worker::{
    quickjs::{Options, QuickJs},
    script::{self, Script},
};

use super::{Failure, Remote, say};
use crate::http::{WORKER_FRAME_BYTES_MAX, WORKER_READ_BYTES};

/// How often it says that it is there.
const BEAT: Duration = Duration::from_millis(JOB_LEASE_MS / 3);
/// How long it waits before it connects again.
const RETRY: Duration = Duration::from_secs(1);
/// What may wait to be said.
const SAID_MAX: usize = 4_096;

#[derive(clap::Args)]
pub struct Worker {
    /// Jobs that are run at once
    #[arg(long, default_value = "4")]
    threads: NonZeroU32,
    /// What it is called among the workers; the name of this machine where nothing else is said
    #[arg(long)]
    name: Option<String>,
    /// A worker key: POST /api/keys {"type":"worker"} makes one. Without it, the worker is yours as you are signed in
    #[arg(long, env = "EVERFOLD_KEY", hide_env_values = true)]
    key: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    fence: Option<u64>,
    code: Option<String>,
    input: Option<Box<RawValue>>,
    timeout_ms: Option<u64>,
    message: Option<String>,
}

struct Job {
    id: String,
    fence: u64,
    code: String,
    input: Box<RawValue>,
    timeout_ms: u64,
}

/// Why a line ended.
enum Ended {
    Lost(String),
    /// Coming again would not help.
    Refused(Failure),
}

impl Worker {
    pub fn run(self) -> Result<(), Failure> {
        let threads = self.threads.get().min(JOB_THREADS_MAX);
        let name = self.name.clone().unwrap_or_else(name_of_this_machine);
        let mut identity = match &self.key {
            Some(key) => key.clone(),
            None => self.remote.client()?.identity().to_owned(),
        };
        let url = self.remote.url.trim_end_matches('/').to_owned();
        // The isolates are processes of their own: one thread is enough to carry what goes between.
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            // Half of a pool's isolates take only what is quick.
            let pool = QuickJs::start(Options::of_this_binary(2 * threads as usize)).await.map_err(|error| {
                Failure::new(format!("The isolates did not start: {error}"))
                    .hint("'everfold doctor' shows what this machine offers")
            })?;
            let pool = Arc::new(pool);
            let mut is_fresh = true;
            loop {
                let ended = match connect(&url, &identity).await {
                    Ok(line) => {
                        is_fresh = false;
                        say(format!("connected to {url} as {name}: {threads} threads"))?;
                        work(line, &pool, &name, threads).await
                    }
                    Err(ended) => ended,
                };
                match ended {
                    // A sign-in is renewed now and then; a key is not.
                    Ended::Refused(_) if self.key.is_none() && !is_fresh => {
                        identity = self.remote.client()?.identity().to_owned();
                        is_fresh = true;
                    }
                    Ended::Refused(failure) => return Err(failure),
                    Ended::Lost(why) => tracing::warn!(why, "not connected; it is tried again"),
                }
                tokio::time::sleep(RETRY).await;
            }
        })
    }
}

fn name_of_this_machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

type Socket = WebSocketStream<Box<dyn Stream>>;

/// What a WebSocket is spoken over.
trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(url: &str, identity: &str) -> Result<Socket, Ended> {
    let malformed = |why: &dyn std::fmt::Display| {
        Ended::Refused(
            Failure::new(format!("{url:?} is no address of a server: {why}.")).hint("write it as https://HOST"),
        )
    };
    let lost = |error: &dyn std::fmt::Display| Ended::Lost(error.to_string());
    let parsed = url::Url::parse(url).map_err(|error| malformed(&error))?;
    let host = parsed.host_str().ok_or_else(|| malformed(&"it has no host"))?.to_owned();
    let port = parsed.port_or_known_default().ok_or_else(|| malformed(&"it has no port"))?;
    let mut request =
        format!("{}/worker", url.replacen("http", "ws", 1)).into_client_request().map_err(|error| malformed(&error))?;
    let bearer = format!("Bearer {identity}").parse();
    request.headers_mut().insert("authorization", bearer.map_err(|_| malformed(&"the key is no key"))?);
    let tcp = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(|error| lost(&error))?;
    let _ = tcp.set_nodelay(true);
    let stream: Box<dyn Stream> = if parsed.scheme() == "https" {
        let name = ServerName::try_from(host).map_err(|error| malformed(&error))?;
        Box::new(tls().connect(name, tcp).await.map_err(|error| lost(&error))?)
    } else {
        Box::new(tcp)
    };
    let config = WebSocketConfig::default().read_buffer_size(WORKER_READ_BYTES);
    match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) if answer.status().is_client_error() => {
            let said = answer.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let failure = Failure::new(format!("{url} refuses this worker: {} {said}", answer.status()));
            Err(Ended::Refused(
                failure.hint("make a key with POST /api/keys {\"type\":\"worker\"}, and set EVERFOLD_KEY"),
            ))
        }
        Err(error) => Err(lost(&error)),
    }
}

fn tls() -> TlsConnector {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the versions that are the default")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Takes jobs until the line ends.
async fn work(mut socket: Socket, pool: &Arc<QuickJs>, name: &str, threads: u32) -> Ended {
    let (said, mut to_say) = mpsc::channel::<String>(SAID_MAX);
    let mut running: HashMap<String, AbortHandle> = HashMap::new();
    let mut beats = tokio::time::interval(BEAT);
    let agent = format!("everfold/{}", env!("CARGO_PKG_VERSION"));
    let hello = json!({ "type": "hello", "name": name, "threads": threads, "userAgent": agent });
    if let Err(error) = socket.send(Message::text(hello.to_string())).await {
        return Ended::Lost(error.to_string());
    }
    loop {
        let frames = tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => match serde_json::from_str::<Told>(&text) {
                    Ok(told) => {
                        hear(told, pool, &said, &mut running);
                        continue;
                    }
                    Err(error) => return Ended::Lost(format!("a frame was not understood: {error}")),
                },
                Some(Ok(Message::Close(Some(frame)))) if frame.code == tungstenite::protocol::frame::coding::CloseCode::Policy => {
                    return Ended::Refused(Failure::new(format!("The server lets this worker go: {}", frame.reason)));
                }
                Some(Ok(Message::Close(_))) | None => return Ended::Lost("the server closed the line".into()),
                Some(Err(error)) => return Ended::Lost(error.to_string()),
                Some(Ok(_)) => continue,
            },
            first = to_say.recv() => {
                let rest = std::iter::from_fn(|| to_say.try_recv().ok());
                first.into_iter().chain(rest).collect::<Vec<_>>()
            },
            _ = beats.tick() => {
                running.retain(|_, job| !job.is_finished());
                vec![json!({ "type": "beat", "running": running.keys().collect::<Vec<_>>() }).to_string()]
            },
        };
        let sent = async {
            for frame in frames {
                socket.feed(Message::text(frame)).await?;
            }
            socket.flush().await
        };
        if let Err(error) = sent.await {
            return Ended::Lost(error.to_string());
        }
    }
}

fn hear(told: Told, pool: &Arc<QuickJs>, said: &mpsc::Sender<String>, running: &mut HashMap<String, AbortHandle>) {
    match (&*told.kind, told.id, told.fence) {
        ("job", Some(id), Some(fence)) => {
            let (code, input) = (told.code.unwrap_or_default(), told.input.unwrap_or_default());
            let job = Job { id: id.clone(), fence, code, input, timeout_ms: told.timeout_ms.unwrap_or_default() };
            let (pool, said) = (pool.clone(), said.clone());
            running.insert(id, tokio::spawn(async move { run(&pool, job, &said).await }).abort_handle());
        }
        ("cancel", Some(id), _) => {
            if let Some(job) = running.remove(&id) {
                job.abort();
            }
        }
        ("refused", id, _) => tracing::warn!(id, why = told.message, "what it said does not count"),
        _ => {}
    }
    if running.len() > SAID_MAX {
        running.retain(|_, job| !job.is_finished());
    }
}

async fn run(pool: &QuickJs, Job { id, fence, code, input, timeout_ms }: Job, said: &mpsc::Sender<String>) {
    let program = Arc::new(Program::script(code));
    let seed = uuid_bits();
    let at_ms = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64);
    let script = Script { program: &program, input: input.get(), timeout_ms, seed, at_ms };
    let (end, console) = match script::run(pool, script).await {
        Ok(ran) => ran,
        // It falls back to the server when the next beat does not name it.
        Err(why) => return tracing::warn!(id, why, "a job was not run"),
    };
    for Line { level, messages } in console {
        let line =
            json!({ "type": "log", "id": id, "fence": fence, "level": word_of(level), "text": messages.join(" ") });
        let _ = said.send(line.to_string()).await;
    }
    let error = |name: &str, message: &str, stack: &str| {
        let error = json!({ "name": name, "message": message, "stack": stack });
        json!({ "type": "error", "id": id, "fence": fence, "error": error }).to_string()
    };
    let frame = match end {
        End::Done(value) => format!(r#"{{"type":"result","id":{},"fence":{fence},"value":{value}}}"#, json!(id)),
        End::Failed(failed) => error(&failed.name, &failed.message, &failed.stack),
        End::TimedOut => error("TimeoutError", "It took longer than it may.", ""),
    };
    let frame = match frame.len() {
        bytes if bytes > WORKER_FRAME_BYTES_MAX => error("RangeError", "The result is larger than a frame.", ""),
        _ => frame,
    };
    let _ = said.send(frame).await;
}

/// What seeds the random numbers of a job.
fn uuid_bits() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
    u128::from_le_bytes(bytes)
}

fn word_of(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Log => "log",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}
