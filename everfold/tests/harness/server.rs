//! The program itself, as a user starts it: on a port of its own, on data of its own.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    eventually,
    http::{Ask, Reply},
};

pub struct Server {
    process: Child,
    pub address: String,
    /// Taken away with the server that made it.
    _own_data: Option<TempDir>,
    pub data: PathBuf,
    /// From the start of the process to the line that says it listens.
    pub start_took: Duration,
}

/// The program, with nothing of the tester's own settings, and no bound on how fast guests write.
pub fn everfold() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_everfold"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("EVERFOLD_")) {
        command.env_remove(name);
    }
    command.env("EVERFOLD_GUEST_WRITES_PER_MINUTE", "0");
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// A command of somebody at home there, who types all this: whether it ended well, what it said, and what it showed.
pub fn typed_into(server: &Server, home: &Path, words: &[&str], typed: &str) -> (bool, String, String) {
    let mut command = everfold();
    command.args(words).env("HOME", home).env_remove("XDG_CONFIG_HOME");
    command.env("EVERFOLD_URL", format!("http://{}", server.address));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // A command that does not read its input closes it; that is its right.
    let _ = child.stdin.take().expect("a pipe").write_all(typed.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

impl Server {
    pub fn start() -> Server {
        let data = tempfile::tempdir().expect("a folder for the data");
        let mut server = Server::start_on(data.path());
        server._own_data = Some(data);
        server
    }

    /// With settings of its own, as environment variables.
    pub fn start_with(settings: &[(&str, &str)]) -> Server {
        let data = tempfile::tempdir().expect("a folder for the data");
        let mut command = everfold();
        command.envs(settings.iter().copied());
        let mut server = Server::start_by(command, data.path());
        server._own_data = Some(data);
        server
    }

    pub fn start_on(data: &Path) -> Server {
        Server::start_by(everfold(), data)
    }

    /// A command that ends up as `everfold`, with the arguments it is given.
    pub fn start_by(command: Command, data: &Path) -> Server {
        Server::start_at("127.0.0.1:0", command, data)
    }

    pub fn start_at(listen: &str, mut command: Command, data: &Path) -> Server {
        let started = Instant::now();
        let mut process = command
            .args(["serve", "--listen", listen, "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .expect("everfold starts");
        let mut lines = BufReader::new(process.stdout.take().expect("stdout is a pipe")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("listening on http://")?.1.trim().to_owned()))
            .unwrap_or_else(|| panic!("everfold ended before it listened: {:?}", process.wait()));
        let start_took = started.elapsed();
        thread::spawn(move || lines.for_each(drop));
        Server { process, address, _own_data: None, data: data.to_owned(), start_took }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn get(&self, path: &str) -> Reply {
        Ask::new("GET", path).send(&self.address)
    }

    pub fn is_well(&mut self) -> bool {
        self.process.try_wait().expect("a child can be asked").is_none() && self.get("/healthz").status == 200
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("a child can be asked")
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill().expect("a child can be killed");
        self.process.wait().expect("a child ends");
    }

    /// As `kill` does: SIGTERM, which drains.
    pub fn terminate(&mut self) -> ExitStatus {
        let sent = Command::new("kill").arg(self.id().to_string()).status().expect("kill starts");
        assert!(sent.success());
        eventually("the server ends after SIGTERM", || self.process.try_wait().expect("a child can be asked"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
