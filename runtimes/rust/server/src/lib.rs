//! The server of functions in Rust: a thread for each connection. The contract is in runtimes/README.md.

mod wire;

use std::{
    cell::RefCell,
    collections::HashMap,
    env,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::net::UnixListener,
    panic,
    sync::{
        mpsc::{self, RecvTimeoutError},
        Arc, Mutex,
    },
    thread,
    time::{Duration, SystemTime},
};

use openruntimes_types_for_rust::{Context, ContextRequest, Response};
use serde_json::{json, Value};
use wire::{Asked, Connection};

const ENTRY_CHARS_MAX: usize = 8000;
const OURS: &str = "x-open-runtimes-";
const CUT: &str = "... Log truncated due to size limit (8000 characters)";
const PLAIN: &str = "content-type: text/plain; charset=utf-8\r\n";

/// What the user wrote.
pub type Function = fn(Context) -> Response;

struct Server {
    main: Function,
    secret: String,
    is_development: bool,
    enforced: Vec<(String, String)>,
    logs: Mutex<Option<File>>,
}

thread_local! {
    /// What was last thrown here, and where.
    static THROWN: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Answers for as long as it is let.
pub fn serve(main: Function) {
    let mut secret = String::new();
    io::stdin().read_line(&mut secret).expect("standard input");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let open = |file: String| OpenOptions::new().append(true).create(true).open(file).expect("EVERFOLD_LOGS");
    let logs = Some(variable("EVERFOLD_LOGS")).filter(|file| !file.is_empty()).map(open);
    let server = Arc::new(Server {
        main,
        secret: secret.trim().into(),
        is_development: variable("OPEN_RUNTIMES_ENV") == "development",
        enforced: enforced_headers(&variable("OPEN_RUNTIMES_HEADERS")),
        logs: Mutex::new(logs),
    });
    panic::set_hook(Box::new(|thrown| THROWN.with(|last| *last.borrow_mut() = thrown.to_string())));
    let listener = UnixListener::bind(variable("EVERFOLD_SOCKET")).expect("EVERFOLD_SOCKET");
    println!("HTTP server successfully started!");
    for stream in listener.incoming().flatten() {
        let server = server.clone();
        thread::spawn(move || server.converse(Connection::new(stream)));
    }
}

impl Server {
    /// Answers one request after the other, for as long as the other side asks.
    fn converse(self: Arc<Server>, mut connection: Connection) {
        let outcome = loop {
            match connection.request() {
                Ok(Some(mut asked)) => {
                    let answered = self.answer(&mut connection, &mut asked);
                    let rest = answered.and_then(|()| connection.body(&mut asked));
                    match rest {
                        Ok(_) if !asked.is_last => continue,
                        Ok(_) => break Ok(()),
                        Err(error) => break Err(error),
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if outcome.is_err_and(|error| error.kind() == ErrorKind::InvalidData) {
            connection.refuse();
        }
    }

    fn answer(self: &Arc<Server>, connection: &mut Connection, asked: &mut Asked) -> io::Result<()> {
        let target = asked.target.clone();
        let (path, query_string) = target.split_once('?').unwrap_or((&target, ""));
        match path {
            "/__opr/health" => return connection.reply(asked, 200, PLAIN, b"OK"),
            "/__opr/timings" => {
                let timings = env::var("EVERFOLD_TIMINGS").ok().and_then(|file| fs::read(file).ok());
                return connection.reply(asked, 200, PLAIN, &timings.unwrap_or_default());
            }
            _ => {}
        }
        let header = |name: &str| asked.headers.get(&format!("{OURS}{name}")).cloned().unwrap_or_default();
        let call = Arc::new(self.call(asked.headers.get("x-open-runtimes-logging"), header("log-id")));
        let timeout = header("timeout");
        let seconds = timeout.bytes().all(|byte| byte.is_ascii_digit()).then(|| timeout.parse().unwrap_or(0u64));
        if !timeout.is_empty() && !seconds.is_some_and(|seconds| seconds > 0) {
            let why = r#"Header "x-open-runtimes-timeout" must be an integer greater than 0."#;
            return call.end(connection, asked, 500, why);
        }
        if !self.secret.is_empty() && header("secret") != self.secret {
            let why = r#"Unauthorized. Provide correct "x-open-runtimes-secret" header."#;
            return call.end(connection, asked, 500, why);
        }
        let Some(body) = connection.body(asked)? else {
            return call.end(connection, asked, 413, "The body is larger than 20 MiB.");
        };
        let mut request = self.request(asked, path, query_string);
        request.set_body_binary(body);
        let outcome = self.run(&call, request, seconds.filter(|seconds| *seconds > 0));
        match outcome.and_then(|response| Ok((lines(&response, &call.id)?, response))) {
            Ok((lines, response)) => {
                call.close();
                connection.reply(asked, response.status_code, &lines, &response.body)
            }
            Err(why) => {
                call.log("errors", why);
                call.end(connection, asked, 500, "")
            }
        }
    }

    /// In a thread that is given up when the time is over: what loops is ended by whoever launched this server.
    fn run(&self, call: &Arc<Call>, request: ContextRequest, seconds: Option<u64>) -> Result<Response, String> {
        let (done, outcome) = mpsc::channel();
        let (main, log) = (self.main, call.clone());
        let context = Context::new(request, Arc::new(move |stream, text| log.log(stream, text)));
        thread::spawn(move || {
            let response = panic::catch_unwind(panic::AssertUnwindSafe(|| main(context)));
            let _ = done.send(response.map_err(|_| THROWN.with(|thrown| thrown.take())));
        });
        let waited = outcome.recv_timeout(Duration::from_secs(seconds.unwrap_or(u64::from(u32::MAX))));
        match waited {
            Ok(response) => response,
            Err(RecvTimeoutError::Timeout) => Err("Execution timed out.".into()),
            Err(RecvTimeoutError::Disconnected) => Err("The function's thread ended.".into()),
        }
    }

    fn request(&self, asked: &Asked, path: &str, query_string: &str) -> ContextRequest {
        let shown = asked.headers.iter().filter(|(name, _)| !name.starts_with(OURS));
        let shown = shown.map(|(name, value)| (name.clone(), value.clone())).chain(self.enforced.iter().cloned());
        let scheme = asked.headers.get("x-forwarded-proto").filter(|scheme| !scheme.is_empty());
        let scheme = scheme.map_or("http", String::as_str);
        let usual = if scheme == "https" { 443 } else { 80 };
        let address = asked.headers.get("host").map(String::as_str).unwrap_or_default();
        let (host, port) = match address.rsplit_once(':') {
            Some((host, "")) => (host, usual),
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse().unwrap_or(usual)),
            _ => (address, usual),
        };
        let shown_port = if port == usual { String::new() } else { format!(":{port}") };
        let mark = if query_string.is_empty() { "" } else { "?" };
        let mut request = ContextRequest::default();
        request.headers = shown.collect();
        request.method = asked.method.clone();
        request.url = format!("{scheme}://{host}{shown_port}{path}{mark}{query_string}");
        request.scheme = scheme.into();
        request.host = host.into();
        request.port = port;
        request.path = path.into();
        request.query_string = query_string.into();
        request.query = query(query_string);
        request
    }

    fn call(self: &Arc<Server>, logging: Option<&String>, id: String) -> Call {
        let id = match logging {
            Some(logging) if logging != "enabled" => String::new(),
            _ if !id.is_empty() => id,
            _ if self.is_development => "dev".into(),
            _ => new_id(),
        };
        Call { server: self.clone(), id, is_over: Mutex::new(false) }
    }
}

/// One run of the function: its log entries, and what comes of it.
struct Call {
    server: Arc<Server>,
    id: String,
    is_over: Mutex<bool>,
}

impl Call {
    fn log(&self, stream: &'static str, mut text: String) {
        if let Some((end, _)) = text.char_indices().nth(ENTRY_CHARS_MAX) {
            text.truncate(end);
            text.push_str(CUT);
        }
        self.frame(json!({"id": self.id, "stream": stream, "text": text}), false);
    }

    fn close(&self) {
        self.frame(json!({"id": self.id, "end": true}), true);
    }

    /// A line of the log: one write each, so that none is torn, and none after the last.
    fn frame(&self, entry: Value, is_last: bool) {
        let mut is_over = self.is_over.lock().expect("no panic in here");
        if *is_over || self.id.is_empty() {
            return;
        }
        *is_over = is_last;
        if let Some(logs) = self.server.logs.lock().expect("no panic in here").as_mut() {
            let _ = logs.write_all(format!("{entry}\n").as_bytes());
        }
    }

    fn end(&self, connection: &mut Connection, asked: &Asked, status: u16, body: &str) -> io::Result<()> {
        self.close();
        connection.reply(asked, status, &format!("{PLAIN}{OURS}log-id: {}\r\n", self.id), body.as_bytes())
    }
}

fn lines(response: &Response, id: &str) -> Result<String, String> {
    let status = response.status_code;
    if !(200..600).contains(&status) {
        return Err(format!("A status is a number from 200 to 599, not {status}."));
    }
    let mut lines = String::new();
    let mut content_type = "text/plain".to_owned();
    for (name, value) in &response.headers {
        let name = name.to_lowercase();
        if name.starts_with(OURS) || wire::FRAMING.contains(&name.as_str()) {
            continue;
        }
        if !wire::is_name(&name) || !wire::is_value(value) {
            return Err(format!("A response header has a character that no header may have: {name}: {value:?}"));
        }
        match name.as_str() {
            "content-type" => content_type = value.to_lowercase(),
            _ => lines += &format!("{name}: {value}\r\n"),
        }
    }
    if !content_type.starts_with("multipart/") && !content_type.contains("charset=") {
        content_type += "; charset=utf-8";
    }
    Ok(format!("{lines}content-type: {content_type}\r\n{OURS}log-id: {id}\r\n"))
}

/// Decoded, as the contract has it for this language.
fn query(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(|(key, _)| !key.is_empty()).map(|(key, value)| (decoded(key), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (vec![], text.as_bytes());
    while let [first, others @ ..] = rest {
        rest = others;
        let digits = others.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if byte.is_some() {
            rest = &others[2..];
        }
        bytes.push(byte.unwrap_or(if *first == b'+' { b' ' } else { *first }));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn enforced_headers(text: &str) -> Vec<(String, String)> {
    let given: serde_json::Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let shown = |value: Value| value.as_str().map(str::to_owned).unwrap_or_else(|| value.to_string());
    given.into_iter().map(|(name, value)| (name.to_lowercase(), shown(value))).collect()
}

/// When, to the microsecond, and by chance: 20 hexadecimal digits.
fn new_id() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let chance = RandomState::new().build_hasher().finish() >> 36;
    format!("{:08x}{:05x}{:07x}", now.as_secs(), now.subsec_micros(), chance)
}
