//! Functions: a warm call, many of them, a cold start. Beside them the same runtime server without a sandbox, asked on its
//! socket, and plain Node.js.

use std::{
    env,
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    load::{self, Load},
    median, ms,
    server::{Function, Owner, Process},
};

/// A function that says hello, and a server of plain Node.js that does.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/functions");
/// What serves functions in JavaScript, in a sandbox or not.
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../runtimes/javascript/node.mjs");
const SECRET: &str = "secret";
pub const CONNECTIONS: usize = 32;
/// Calls in a row, before somebody else's turn.
const TURN: usize = 100;

/// Between two starts, so that none pays for the other.
const PAUSE: Duration = Duration::from_millis(300);

pub struct Plan {
    pub calls: usize,
    pub starts: usize,
    pub idle: usize,
    pub load_seconds: u64,
}

#[derive(Default, Clone, Copy)]
pub struct Functions {
    pub warm_ms: f64,
    pub direct_ms: f64,
    pub plain_ms: f64,
    pub load: Load,
    pub plain: Load,
    pub cold_ms: f64,
    pub direct_cold_ms: f64,
    /// With as many functions as the plan has, nobody asking for any.
    pub idle_processes: f64,
    pub idle_mb: f64,
}

pub fn measure(plan: &Plan, folder: &Path, say: impl Fn(&str)) -> Functions {
    let mut run = Functions::default();
    let seconds = Duration::from_secs(plan.load_seconds);
    let archive = pack(folder, &[]);

    say("functions: a warm call");
    let everfold = Process::start_everfold(&folder.join("functions"));
    let owner = Owner::guest(&everfold);
    let function = Function::running(&everfold, &owner, "hello", &archive);
    let direct = Direct::start(folder);
    let plain = Process::start_node(&format!("{FOLDER}/plain.mjs"));
    let (path, mut took) = (function.path(), [const { Vec::new() }; 3]);
    let mut connections: [(Box<dyn Asked>, String); 3] = [
        (Box::new(everfold.connect()), request(&path, "")),
        (Box::new(direct.connect().expect("it listens")), direct.request()),
        (Box::new(plain.connect()), request("/", "")),
    ];
    for turn in 0..=plan.calls / TURN {
        for ((connection, request), took) in connections.iter_mut().zip(&mut took) {
            let calls = (0..TURN).map(|_| connection.answers(request));
            // The first turn warms all of them up.
            took.extend(calls.filter(|_| turn > 0));
        }
    }
    drop(connections);
    [run.warm_ms, run.direct_ms, run.plain_ms] = took.map(median);

    say("functions: calls a second");
    for (server, path, load) in [(&plain, "/".to_owned(), &mut run.plain), (&everfold, path, &mut run.load)] {
        load::run(server, folder, std::slice::from_ref(&path), CONNECTIONS, seconds / 3);
        *load = load::run(server, folder, &[path], CONNECTIONS, seconds);
    }
    drop((plain, direct));

    say("functions: cold starts");
    let deployments = [function.deployment.clone(), function.deploy(&everfold, &pack(folder, &["plain.mjs"]))];
    let (mut cold, mut bare) = (Vec::new(), Vec::new());
    for start in 0..plan.starts {
        // A change of the deployment leaves none of its instances behind, once they have ended.
        function.activate(&everfold, &deployments[start % 2]);
        thread::sleep(PAUSE);
        let begun = Instant::now();
        everfold.connect().answers(&request(&function.path(), ""));
        cold.push(ms(begun));
        thread::sleep(PAUSE);
        let begun = Instant::now();
        let direct = Direct::start(folder);
        direct.connect().expect("it listens").answers(&direct.request());
        bare.push(ms(begun));
    }
    (run.cold_ms, run.direct_cold_ms) = (median(cold), median(bare));
    drop(everfold);

    say("functions: many that nobody calls");
    let everfold = Process::start_everfold(&folder.join("idle"));
    let owner = Owner::guest(&everfold);
    let at_rest = everfold.processes();
    for n in 0..plan.idle {
        Function::running(&everfold, &owner, &format!("hello {n}"), &archive);
    }
    // What built the last of them has to end first.
    thread::sleep(Duration::from_secs(1));
    run.idle_processes = (everfold.processes() as f64 - at_rest as f64).max(0.0);
    run.idle_mb = everfold.resident_mb();
    run
}

/// The function, as it is sent, with files that it does not need.
fn pack(folder: &Path, further: &[&str]) -> Vec<u8> {
    let archive = folder.join("hello.tar.gz");
    let files = ["-C", FOLDER, "index.js", "package.json"];
    let packed = Command::new("tar").arg("-czf").arg(&archive).args(files).args(further).status();
    assert!(packed.is_ok_and(|status| status.success()), "tar packs the function");
    fs::read(archive).expect("an archive")
}

fn request(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}\r\n")
}

/// A connection over which one request after the other is answered.
trait Asked {
    /// Gives the milliseconds from the first byte sent to the last received.
    fn answers(&mut self, request: &str) -> f64;
}

impl<T: Read + Write> Asked for T {
    fn answers(&mut self, request: &str) -> f64 {
        let begun = Instant::now();
        self.write_all(request.as_bytes()).expect("it is sent");
        let (mut reply, mut buffer) = (Vec::new(), [0; 4096]);
        while !is_whole(&reply) {
            let bytes = self.read(&mut buffer).expect("it is answered");
            assert!(bytes > 0, "it hung up: {}", String::from_utf8_lossy(&reply));
            reply.extend_from_slice(&buffer[..bytes]);
        }
        assert!(reply.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&reply));
        ms(begun)
    }
}

/// "hello", in one piece or in chunks.
fn is_whole(reply: &[u8]) -> bool {
    reply.ends_with(b"\r\n\r\nhello") || reply.ends_with(b"hello\r\n0\r\n\r\n")
}

/// The runtime server, started by hand.
struct Direct {
    child: Child,
    socket: PathBuf,
}

impl Direct {
    /// Resolves when it accepts.
    fn start(folder: &Path) -> Direct {
        let socket = folder.join("direct.sock");
        fs::remove_file(&socket).ok();
        let mut child = Command::new("node")
            .arg(SERVER)
            .current_dir(FOLDER)
            // As a function's: some variables make Node.js start later.
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("EVERFOLD_SOCKET", &socket)
            .env("EVERFOLD_LOGS", folder.join("direct.log"))
            .env("EVERFOLD_FUNCTION", FOLDER)
            .env("OPEN_RUNTIMES_ENTRYPOINT", "index.js")
            .stdin(Stdio::piped())
            .stdout(File::create(folder.join("direct.out")).expect("a file"))
            .spawn()
            .expect("node is there");
        writeln!(child.stdin.take().expect("a pipe"), "{SECRET}").expect("it reads its secret");
        let direct = Direct { child, socket };
        while direct.connect().is_err() {
            thread::sleep(Duration::from_micros(200));
        }
        direct
    }

    fn connect(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(&self.socket)
    }

    /// With the headers that Everfold sends.
    fn request(&self) -> String {
        let id = "0123456789abcdef0123456789abcdef";
        let headers = format!(
            "x-open-runtimes-secret: {SECRET}\r\nx-open-runtimes-timeout: 15\r\nx-open-runtimes-logging: enabled\r\nx-open-runtimes-log-id: {id}\r\n"
        );
        request("/", &headers)
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.url.trim_start_matches("http://")).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        stream
    }
}
