//! A program that connects with the unmodified npm package `@interval/sdk`: `tests/host/host.mjs`, led over stdin.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{PATIENCE, hook::Owner};

pub struct Host {
    process: Child,
    orders: ChildStdin,
    events: mpsc::Receiver<Value>,
}

/// An API key of an account.
pub fn api_key(owner: &Owner) -> String {
    let made = owner.post("/api/keys", &json!({"type": "api", "name": "host"})).expect(201).json();
    made["key"].as_str().expect("a key").to_owned()
}

impl Host {
    /// Connects to this address and is known there.
    pub fn connect(address: &str, key: &str) -> Host {
        Host::connect_with(address, key, &[])
    }

    pub fn connect_with(address: &str, key: &str, settings: &[(&str, &str)]) -> Host {
        let host = Host::start(address, key, settings);
        host.event("listening");
        host
    }

    pub fn start(address: &str, key: &str, settings: &[(&str, &str)]) -> Host {
        let mut process = Command::new("node")
            .arg("host.mjs")
            .current_dir(folder())
            .env("ENDPOINT", format!("ws://{address}/websocket"))
            .env("KEY", key)
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is there; on Debian: sudo apt-get install nodejs npm");
        let orders = process.stdin.take().expect("stdin is a pipe");
        let lines = BufReader::new(process.stdout.take().expect("stdout is a pipe")).lines();
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Host { process, orders, events }
    }

    pub fn order(&mut self, order: &Value) {
        writeln!(self.orders, "{order}").expect("the host listens");
    }

    /// The next event of this name; others before it are passed over.
    #[track_caller]
    pub fn event(&self, name: &str) -> Value {
        self.find(name, PATIENCE).unwrap_or_else(|seen| panic!("no event `{name}`; instead: {seen:?}"))
    }

    pub fn has_event_within(&self, name: &str, patience: Duration) -> bool {
        self.find(name, patience).is_ok()
    }

    fn find(&self, name: &str, patience: Duration) -> Result<Value, Vec<Value>> {
        let until = Instant::now() + patience;
        let mut seen = Vec::new();
        while let Ok(event) = self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if event["event"] == name {
                return Ok(event);
            }
            seen.push(event);
        }
        Err(seen)
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill().expect("a child can be killed");
        self.process.wait().expect("a child ends");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where the package is, installed as the lock file says. One test at a time installs it.
fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/host");
    let lock = fs::File::open(folder.join("package-lock.json")).expect("the lock file");
    lock.lock().expect("a file can be locked");
    if !folder.join("node_modules/.package-lock.json").is_file() {
        let npm = Command::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(&folder).status();
        assert!(npm.expect("npm is there").success(), "npm ci in {}", folder.display());
    }
    folder
}
