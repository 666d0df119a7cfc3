//! What tests of sandboxed servers stand on: a server of few words, and how it is started, asked and found.
#![allow(dead_code, reason = "each subject uses its own part of it")]

pub mod internet;

use std::{
    fs,
    future::Future,
    path::Path,
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use worker::server::{
    Config, Servers,
    build::{Build, BuildLimits},
    launch::{Launch, Network, ServerLimits},
    pool::Lease,
};

/// A server that knows no HTTP: a connection says one line, which is Python, and is answered what it evaluates to.
const SERVER: &str = r#"
import os, sys, socket, threading, json
SECRET = sys.stdin.readline().strip()
sys.stdin.close()
os.close(0)
exec(os.environ.get("BEFORE", ""))
logs = open(os.environ["EVERFOLD_LOGS"], "w", buffering=1)
def log(id, text, stream="logs"): logs.write(json.dumps({"id": id, "stream": stream, "text": text}) + "\n")
def end(id): logs.write(json.dumps({"id": id, "end": True}) + "\n")
def refused(act):
    try: act()
    except BaseException as error: return type(error).__name__ + ": " + str(error)
    return "DONE"
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.environ["EVERFOLD_SOCKET"])
listener.listen(64)
print("HTTP server successfully started!", flush=True)
def serve(connection):
    line = connection.makefile("r").readline()
    scope = dict(globals())
    try:
        exec(json.loads(line), scope)
        answer = scope.get("answer")
    except BaseException as error: answer = type(error).__name__ + ": " + str(error)
    connection.sendall(str(answer).encode()); connection.shutdown(socket.SHUT_RDWR); connection.close()
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
"#;

pub fn hold<T>(promise: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(promise)
}

/// A function's folders, which go with it.
pub struct Function {
    folder: tempfile::TempDir,
    pub launch: Launch,
}

static NEXT: AtomicU8 = AtomicU8::new(1);

impl Function {
    pub fn new(limits: ServerLimits) -> Function {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["tree", "runtime"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        fs::write(folder.path().join("runtime/server.py"), SERVER).expect("a server");
        fs::write(folder.path().join("tree/code"), "the code").expect("code");
        let mut function = Function {
            launch: Launch {
                key: [NEXT.fetch_add(1, Ordering::Relaxed); 32],
                argv: ["/usr/bin/python3", "-IS", "/runtime/server.py"].map(str::to_owned).to_vec(),
                env: vec![("COLOUR".into(), "green".into())],
                runtime: folder.path().join("runtime"),
                tree: folder.path().join("tree"),
                read_only: Vec::new(),
                network: Network::None,
                image: None,
                limits,
            },
            folder,
        };
        function.launch.limits.start_ms = function.launch.limits.start_ms.max(1);
        function
    }

    pub fn usual() -> Function {
        Function::new(ServerLimits::default())
    }

    pub fn before(mut self, code: &str) -> Function {
        self.launch.env.push(("BEFORE".into(), code.into()));
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

pub async fn servers() -> Servers {
    Servers::start(Config::default()).await.expect("this machine makes sandboxes")
}

pub async fn ask(lease: &Lease, code: &str) -> String {
    let mut connection = lease.connect().await.expect("a connection");
    connection.write_all(format!("{}\n", serde_json::json!(code)).as_bytes()).await.expect("a question");
    let mut answer = String::new();
    let _ = connection.read_to_string(&mut answer).await;
    answer
}

/// What becomes of an attempt that should be refused.
pub async fn attempt(lease: &Lease, code: &str) -> String {
    ask(lease, &format!("answer = refused(lambda: {code})")).await
}

pub fn limits(change: impl FnOnce(&mut ServerLimits)) -> ServerLimits {
    let mut limits = ServerLimits::default();
    change(&mut limits);
    limits
}

/// Soon enough on a machine that others use, too.
pub const SOON: Duration = Duration::from_secs(10);

pub async fn soon<T>(promise: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, promise).await.expect("it comes soon")
}

pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SOON, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Processes of the machine whose arguments hold this word.
pub fn processes_with(word: &str) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("processes").flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    };
    ids.filter(has).collect()
}

/// A word in its arguments by which its processes are found from outside.
pub fn marked(mut function: Function) -> (Function, String) {
    let mark = format!("mark-{}-{}", std::process::id(), function.launch.key[0]);
    function.launch.argv.push(mark.clone());
    (function, mark)
}

pub fn build(function: &Function, command: &str) -> Build {
    Build {
        argv: ["/bin/sh", "-c", command].map(str::to_owned).to_vec(),
        env: vec![("CI".into(), "true".into())],
        runtime: function.launch.runtime.clone(),
        tree: function.launch.tree.clone(),
        read_only: Vec::new(),
        network: Network::None,
        image: None,
        limits: BuildLimits::default(),
    }
}

pub async fn built(servers: &Servers, build: Build) -> (String, std::sync::Arc<worker::server::process::Ended>) {
    let mut building = servers.run(build).await.expect("it runs");
    let mut output = Vec::new();
    while let Some(piece) = soon(building.next()).await {
        output.extend(piece);
    }
    (String::from_utf8_lossy(&output).into_owned(), soon(building.ended()).await.expect("an end"))
}
