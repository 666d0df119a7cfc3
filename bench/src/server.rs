//! The programs under load, and a hook as its owner uses it.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use ureq::{Agent, http::Response};

const PATIENCE: Duration = Duration::from_secs(300);

pub struct Process {
    child: Child,
    pub url: String,
    agent: Agent,
}

impl Process {
    pub fn start_bare() -> Process {
        Process::start("bare", &[])
    }

    pub fn start_everfold(data: &Path) -> Process {
        let data = data.to_str().expect("the path is text");
        // What is measured is how fast it can be, not how fast a guest may be.
        let unbounded = ["--guest-writes-per-minute", "0"];
        Process::start("everfold", &[&["serve", "--listen", "127.0.0.1:0", "--data", data], &unbounded[..]].concat())
    }

    /// One of the servers that share a database. They have one key.
    pub fn start_everfold_of(database: &str, data: &Path) -> Process {
        let mut command = Command::new(beside("everfold"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--guest-writes-per-minute", "0", "--data"]).arg(data);
        Process::listening(command.env("EVERFOLD_DATABASE", database).env("EVERFOLD_MASTER_KEY", "5e".repeat(32)))
    }

    /// Node with the peer, on a port that was free a moment ago.
    pub fn start_peer(peer: &Path, data: &Path) -> Process {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let child = Command::new("node")
            .arg("sqlite.mjs")
            .current_dir(peer)
            .envs([("MODE", "group"), ("PORT", &port.to_string())])
            .env("DB", data)
            .spawn()
            .expect("node is there");
        let url = format!("http://127.0.0.1:{port}");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            thread::sleep(Duration::from_millis(10));
        }
        Process { child, url, agent: Agent::new_with_defaults() }
    }

    /// A script that says where it listens.
    pub fn start_node(script: &str) -> Process {
        Process::listening(Command::new("node").arg(script))
    }

    /// `everfold worker`, with as many threads as it has by itself.
    pub fn start_worker(server: &Process, key: &str) -> Process {
        let child = Command::new(beside("everfold"))
            .args(["worker", "--url", &server.url])
            .env("EVERFOLD_KEY", key)
            .stdout(Stdio::null())
            .spawn()
            .expect("everfold is built");
        Process { child, url: String::new(), agent: Agent::new_with_defaults() }
    }

    fn start(program: &str, args: &[&str]) -> Process {
        Process::listening(Command::new(beside(program)).args(args))
    }

    fn listening(command: &mut Command) -> Process {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?} is not built: {error}"));
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines().map_while(Result::ok);
        let url = lines.find_map(|line| Some(line.split_once("listening on ")?.1.trim().to_owned()));
        let url = url.unwrap_or_else(|| panic!("{command:?} ended before it listened"));
        thread::spawn(move || lines.for_each(drop));
        let agent = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        Process { child, url, agent: agent.into() }
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child ends");
    }

    /// As SIGTERM does, until it has ended.
    pub fn terminate(&mut self) {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill starts").success());
        self.child.wait().expect("a child ends");
    }

    /// Of the process and all its offspring; what they share is counted once.
    pub fn resident_mb(&self) -> f64 {
        family(self.child.id()).into_iter().map(proportional_kb).sum::<f64>() / 1024.0
    }

    /// The process and all its offspring.
    pub fn processes(&self) -> usize {
        family(self.child.id()).len()
    }

    fn get(&self, path: &str, jwt: &str) -> Response<ureq::Body> {
        let request = self.agent.get(format!("{}{path}", self.url)).header("authorization", jwt);
        request.call().unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    fn send(&self, method: &str, path: &str, jwt: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.url);
        let request = if method == "PUT" { self.agent.put(url) } else { self.agent.post(url) };
        let reply = request.header("authorization", jwt).send_json(body);
        let mut reply = reply.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let text = reply.body_mut().read_to_string().unwrap_or_default();
        assert!(reply.status().is_success(), "{method} {path}: {} {text}", reply.status());
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn beside(program: &str) -> PathBuf {
    env::current_exe().expect("a program knows where it is").with_file_name(program)
}

fn family(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = children.flat_map(|ids| ids.split(' ').flat_map(str::parse).collect::<Vec<_>>()).collect();
    [process].into_iter().chain(children.into_iter().flat_map(family)).collect()
}

fn proportional_kb(process: u32) -> f64 {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0)
}

pub struct Owner {
    jwt: String,
}

impl Owner {
    pub fn guest(server: &Process) -> Owner {
        Owner { jwt: text(&server.send("POST", "/api/auth/guest-user", "", &json!({}))["jwt"]) }
    }

    pub fn worker_key(&self, server: &Process) -> String {
        text(&server.send("POST", "/api/keys", &self.jwt, &json!({"type": "worker"}))["key"])
    }

    /// How many are connected, the server's own pool aside.
    pub fn workers(&self, server: &Process) -> usize {
        let listed: Value = server.get("/api/workers", &self.jwt).body_mut().read_json().expect("a list is JSON");
        let objects = listed["objects"].as_array().expect("a list has objects");
        objects.iter().filter(|worker| worker["kind"] != "server").count()
    }

    /// Gives the id of the job.
    pub fn submit(&self, server: &Process, job: &Value) -> String {
        text(&server.send("POST", "/api/jobs", &self.jwt, job)["id"])
    }

    /// Submits a job and waits until it is done.
    pub fn run(&self, server: &Process, job: &Value) {
        let path = format!("/api/jobs/{}?wait=25", self.submit(server, job));
        loop {
            let mut reply = server.get(&path, &self.jwt);
            let seen: Value = reply.body_mut().with_config().limit(64 << 20).read_json().expect("a job is JSON");
            match seen["status"].as_str() {
                Some("done") => return,
                Some("queued" | "leased") => {}
                _ => panic!("{seen}"),
            }
        }
    }
}

pub struct Function {
    jwt: String,
    id: String,
    slug: String,
    /// The first that was active.
    pub deployment: String,
}

impl Function {
    pub fn running(server: &Process, owner: &Owner, name: &str, archive: &[u8]) -> Function {
        let asked = json!({"name": name, "runtime": "node"});
        let made = server.send("POST", "/api/functions", &owner.jwt, &asked);
        let (jwt, deployment) = (owner.jwt.clone(), String::new());
        let mut function = Function { jwt, id: text(&made["id"]), slug: text(&made["slug"]), deployment };
        function.deployment = function.deploy(server, archive);
        function
    }

    pub fn path(&self) -> String {
        format!("/f/{}/", self.slug)
    }

    /// Gives the id of the deployment when it is built and answers.
    pub fn deploy(&self, server: &Process, archive: &[u8]) -> String {
        const BOUNDARY: &str = "everfold-bench-boundary";
        let part = |name: &str| format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name={name}\r\n\r\n");
        let begin = format!("{}true\r\n{}", part("activate"), part("code; filename=code"));
        let body = [begin.as_bytes(), archive, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat();
        let path = format!("/api/functions/{}/deployments", self.id);
        let request = server.agent.post(format!("{}{path}", server.url)).header("authorization", &self.jwt);
        let request = request.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"));
        let mut reply = request.send(&body[..]).unwrap_or_else(|error| panic!("POST {path}: {error}"));
        let sent: Value = reply.body_mut().read_json().expect("a deployment is JSON");
        let (id, started) = (text(&sent["id"]), Instant::now());
        loop {
            let mut reply = server.get(&format!("{path}/{id}"), &self.jwt);
            let now: Value = reply.body_mut().read_json().expect("a deployment is JSON");
            match now["status"].as_str() {
                Some("ready") => return id,
                Some("waiting" | "building") if started.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(5)),
                _ => panic!("{now}"),
            }
        }
    }

    pub fn activate(&self, server: &Process, deployment: &str) {
        let path = format!("/api/functions/{}/deployments/{deployment}/activate", self.id);
        server.send("POST", &path, &self.jwt, &json!({}));
    }
}

pub struct Hook {
    jwt: String,
    id: String,
    write_key: String,
    read_key: String,
}

impl Hook {
    pub fn running(server: &Process, owner: &Owner, code: &str) -> Hook {
        let made = server.send("POST", "/api/hooks", &owner.jwt, &json!({}));
        let hook = Hook {
            jwt: owner.jwt.clone(),
            id: text(&made["id"]),
            write_key: text(&made["writeKeys"][0]),
            read_key: text(&made["readKeys"][0]),
        };
        hook.publish(server, code);
        hook.replayed(server);
        hook
    }

    pub fn publish(&self, server: &Process, code: &str) {
        server.send("PUT", &format!("/api/hooks/{}", self.id), &self.jwt, &json!({"code": code}));
        server.send("POST", &format!("/api/hooks/{}/publish", self.id), &self.jwt, &json!({}));
    }

    pub fn replayed(&self, server: &Process) {
        let path = format!("/api/hooks/{}/replay", self.id);
        let started = Instant::now();
        loop {
            let replay: Value = server.get(&path, &self.jwt).body_mut().read_json().expect("progress is JSON");
            if replay["status"] == "done" {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{replay}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn write_path(&self) -> String {
        format!("/write/{}", self.write_key)
    }

    /// Gives the id of the request.
    pub fn write(&self, server: &Process) -> String {
        text(&server.send("POST", &self.write_path(), "", &json!({"type": "order.paid", "amount": 1}))["id"])
    }

    /// One that says which it is, so that it may be asked again.
    pub fn write_once(&self, server: &Process, key: &str) {
        let request = server.agent.post(format!("{}{}", server.url, self.write_path())).header("idempotency-key", key);
        let reply = request.send_json(json!({"type": "order.paid", "amount": 1})).expect("it answers");
        assert!(reply.status().is_success(), "{}", reply.status());
    }

    pub fn settled(&self, server: &Process, id: &str) {
        assert!(server.get(&format!("{}/settled/{id}", self.write_path()), "").status().is_success());
    }

    pub fn write_and_fold(&self, server: &Process) {
        self.settled(server, &self.write(server));
    }

    /// The seq that the state reflects.
    pub fn folded_through(&self, server: &Process) -> u64 {
        let reply = server.get(&format!("/read/{}", self.read_key), "");
        let seq = reply.headers().get("x-seq").and_then(|seq| seq.to_str().ok()?.parse().ok());
        seq.expect("a read names its seq")
    }

    /// Waits until everything written so far is folded.
    pub fn all_folded(&self, server: &Process) -> u64 {
        self.write_and_fold(server);
        self.folded_through(server)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("text is expected, not {value}")).to_owned()
}
