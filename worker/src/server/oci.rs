//! Containers, by podman or docker: where servers run whose language this machine lacks.
//!
//! The same servers over the same contract. What bubblewrap is told by a sandbox, an engine is told by flags (`words`);
//! the socket and the log pipe lie in a folder that is shown inside. Nothing is pulled: which code runs here, the operator
//! decides. A container is killed, looked at and removed by its name, which is ours; what an Everfold that is gone left
//! behind is removed at the next start.

use std::{
    ffi::{OsStr, OsString},
    fmt, fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use rustix::process::{getgid, getuid};
use serde::Deserialize;
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

use super::{
    build,
    launch::{Image, Network},
    opened::{Opened, Wanted},
    process::{Pieces, Process, Said, Why},
    sandbox::{Sandbox, User},
};
use crate::{
    bounds::{ENGINE_WAIT, SOCKET_FILES_MAX, SOCKET_FOLDER_BYTES, TREE_POLL, VARIABLES_MAX},
    jail::Layer,
};
use container::{Container, Folder};

mod container;
mod words;

/// Which engines are looked for, and what their clients are told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The first that works is used.
    pub programs: Vec<PathBuf>,
    /// All that a client has of Everfold's environment.
    pub variables: Vec<(OsString, OsString)>,
}

/// By which a client finds its engine, and the engine its files. No container is given them.
pub const CLIENT_VARIABLES: [&str; 11] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
];

impl Default for Config {
    fn default() -> Self {
        let programs = ["/usr/bin/podman", "/usr/local/bin/podman", "/usr/bin/docker", "/usr/local/bin/docker"];
        Config { programs: programs.map(PathBuf::from).to_vec(), variables: Vec::new() }
    }
}

/// An engine that can bound what it runs.
pub struct Engine {
    program: PathBuf,
    variables: Vec<(OsString, OsString)>,
    kind: Kind,
    version: String,
    inmates: Inmates,
    /// Holds the folder that theirs lie in, and the files that they are shown.
    sandbox: Arc<Sandbox>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Podman,
    Docker,
}

/// Who a container's processes are on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inmates {
    /// Each container has a user to itself.
    Strangers,
    /// Everfold's user, which is root's of a namespace.
    RootOfNamespace,
    /// Everfold's user, in a namespace where it has the same number.
    SameInNamespace,
    /// Everfold's user. It sees nothing that is not shown to it.
    Same,
}

/// What engines say of themselves: podman of its host, docker of itself.
#[derive(Deserialize)]
struct Told {
    host: Option<PodmanHost>,
    version: Option<PodmanVersion>,
    #[serde(flatten)]
    docker: DockerTold,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodmanHost {
    #[serde(default)]
    cgroup_controllers: Vec<String>,
    security: PodmanSecurity,
    #[serde(default)]
    service_is_remote: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodmanSecurity {
    rootless: bool,
    seccomp_enabled: bool,
}

#[derive(Deserialize)]
struct PodmanVersion {
    #[serde(rename = "Version")]
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct DockerTold {
    server_version: String,
    memory_limit: bool,
    pids_limit: bool,
    cpu_cfs_quota: bool,
    security_options: Option<Vec<String>>,
    operating_system: String,
}

/// What engines tell of a container.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    state: State,
}

/// In their words, which docker and podman share.
const INSPECT_FORMAT: &str = r#"{"Id":"{{.ID}}","State":{{json .State}}}"#;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    #[serde(rename = "OOMKilled")]
    ran_out_of_memory: bool,
    pid: u32,
    exit_code: i32,
}

impl State {
    fn has_run(&self) -> bool {
        !matches!(self.status.as_str(), "configured" | "created" | "initialized")
    }
}

const LABEL: &str = "everfold";
const NAME_PREFIX: &str = "everfold-";
/// By which a client says that there is no container.
const NO_CONTAINER: i32 = 125;
const NONE: &str = "no engine of containers is on this machine; to install one: apt-get install podman";

/// As `doctor` shows it.
pub fn layer(engine: &Result<Arc<Engine>, String>) -> Layer {
    let (holds, detail) = match engine {
        Ok(engine) => (true, format!("by {engine}, for languages that this machine lacks")),
        Err(why_not) => (false, format!("only for languages that this machine lacks: {why_not}")),
    };
    Layer { name: "containers".into(), holds, detail }
}

impl fmt::Display for Engine {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        let name = self.name();
        write!(to, "{name} {}", self.version)
    }
}

impl Engine {
    /// The first of those looked for that works, or why none does.
    pub async fn find(config: Config, sandbox: Arc<Sandbox>) -> Result<Engine, String> {
        let mut why_not = Vec::new();
        for program in config.programs.iter().filter(|program| program.is_file()) {
            match Engine::try_program(program, &config.variables, &sandbox).await {
                Ok(engine) => {
                    engine.sweep().await;
                    return Ok(engine);
                }
                Err(why) => why_not.push(format!("{} cannot be used: {why}", program.display())),
            }
        }
        Err(if why_not.is_empty() { NONE.into() } else { why_not.join("; ") })
    }

    async fn try_program(
        program: &Path,
        variables: &[(OsString, OsString)],
        sandbox: &Arc<Sandbox>,
    ) -> Result<Engine, String> {
        let told =
            ask(program, variables, ["info", "--format", "{{json .}}"]).await.map_err(|error| error.to_string())?;
        let told: Told =
            serde_json::from_str(&told).map_err(|error| format!("what it says is not understood: {error}"))?;
        let (kind, version, inmates) = told.judge(rustix::process::geteuid().is_root())?;
        let (program, variables, sandbox) = (program.to_owned(), variables.to_vec(), sandbox.clone());
        Ok(Engine { program, variables, kind, version, inmates, sandbox })
    }

    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Podman => "podman",
            Kind::Docker => "docker",
        }
    }

    /// Whether containers can be made of this image; else what to do.
    pub async fn has(&self, image: &Image) -> Result<(), String> {
        let known = self.ask(["image", "inspect", "--format", "{{.Id}}", image.name()]).await;
        known.map(drop).map_err(|_| format!("{} has no image of it; to get it: {0} pull {}", self.name(), image.name()))
    }

    /// Starts a process in a container of its own.
    pub async fn open(self: &Arc<Self>, image: &Image, wanted: Wanted, pieces: Option<Pieces>) -> io::Result<Opened> {
        let begun = Instant::now();
        let contents = wanted.contents();
        if contents.network == Network::Internet {
            return Err(io::Error::other(
                "A container has no network here, because nothing would keep it from private addresses. Switch the \
                 function's network off, or install its language on this machine.",
            ));
        }
        if contents.env.len() > VARIABLES_MAX {
            return Err(io::Error::other("more variables than a container takes"));
        }
        let user = (self.inmates == Inmates::Strangers).then(User::take).transpose()?;
        let user_id = user.as_ref().map(|user| user.id);
        let name = next_name();
        let folder = Folder::make(&self.sandbox.containers(), &name, user_id)?;
        let hosts = self.sandbox.etc().join("hosts");
        let words = words::run(self, image, &contents, &name, user_id, &folder, &hosts)?;
        if let (true, Some(user)) = (contents.is_tree_writable, user_id) {
            build::hand_over(contents.tree, user)?;
        }
        let logs = contents.is_server.then(|| folder.logs()).transpose()?;

        let (stdin, input) = io::pipe()?;
        let (output, stdout) = io::pipe()?;
        let client = self
            .client()
            .args(words)
            // Some leave files where they are.
            .current_dir(folder.path())
            // A key pressed in Everfold's terminal is Everfold's to answer.
            .process_group(0)
            .stdin(stdin)
            .stdout(stdout.try_clone()?)
            .stderr(stdout)
            .spawn()?;
        let (logs, logs_held) = logs.unzip();
        let container = Arc::new(Container::new(self.clone(), name, folder, client, user, logs_held));
        let socket_folder = container.socket_path();
        let process = Process::attend(container.clone(), begun, Said { output: output.into(), pieces });
        tokio::spawn(container.follow());
        tokio::spawn(bound(process.clone(), socket_folder));
        Ok(Opened { process, input: input.into(), logs, user: user_id })
    }

    fn client(&self) -> Command {
        client(&self.program, &self.variables)
    }

    async fn ask<const N: usize>(&self, words: [&str; N]) -> io::Result<String> {
        ask(&self.program, &self.variables, words).await
    }

    async fn inspect(&self, name: &str) -> io::Result<Inspected> {
        let told = self.ask(["inspect", "--type", "container", "--format", INSPECT_FORMAT, name]).await?;
        serde_json::from_str(&told).map_err(io::Error::other)
    }

    async fn kill(&self, name: &str) {
        // It may not be there yet, or no more.
        let _ = self.ask(["kill", "--signal=KILL", name]).await;
    }

    async fn remove(&self, name: &str) {
        if let Err(error) = self.ask(["rm", "--force", "--volumes", name]).await {
            tracing::warn!(name, %error, "a container is left behind");
        }
    }

    /// Removes what processes that are gone left behind.
    async fn sweep(&self) {
        let filter = format!("label={LABEL}");
        let all = self.ask(["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]).await.unwrap_or_default();
        for name in all.lines().filter(|name| is_left_behind(name)) {
            self.remove(name).await;
        }
    }
}

impl Told {
    /// What it is, and as whom it runs things; or why it is not good enough.
    fn judge(self, is_root: bool) -> Result<(Kind, String, Inmates), String> {
        let lacks = |what: &str| format!("it cannot bound the {what} of a container here");
        let checks = |bounds: [(&str, bool); 3], has_filter: bool| {
            let unbounded = bounds.into_iter().find(|(_, is_bounded)| !is_bounded);
            unbounded.map_or(Ok(()), |(what, _)| Err(lacks(what)))?;
            if has_filter { Ok(()) } else { Err("it filters no system calls (seccomp)".to_owned()) }
        };
        if let Some(host) = self.host {
            if host.service_is_remote {
                return Err("it runs containers on another machine".into());
            }
            let has = |name: &str| host.cgroup_controllers.iter().any(|controller| controller == name);
            let bounds = [("memory", has("memory")), ("processes", has("pids")), ("processor time", has("cpu"))];
            checks(bounds, host.security.seccomp_enabled)?;
            let inmates = match (host.security.rootless, is_root) {
                (true, _) => Inmates::SameInNamespace,
                (false, true) => Inmates::Strangers,
                (false, false) => Inmates::Same,
            };
            return Ok((Kind::Podman, self.version.map(|told| told.version).unwrap_or_default(), inmates));
        }
        let docker = self.docker;
        if docker.server_version.is_empty() {
            return Err("its daemon does not answer".into());
        }
        if docker.operating_system == "Docker Desktop" {
            return Err("it runs containers on another machine".into());
        }
        let options = docker.security_options.unwrap_or_default();
        let has =
            |name: &str| options.iter().any(|option| option.split(',').any(|word| word == format!("name={name}")));
        let bounds = [
            ("memory", docker.memory_limit),
            ("processes", docker.pids_limit),
            ("processor time", docker.cpu_cfs_quota),
        ];
        checks(bounds, has("seccomp"))?;
        let inmates = match (has("rootless"), is_root) {
            (true, _) => Inmates::RootOfNamespace,
            (false, true) => Inmates::Strangers,
            (false, false) => Inmates::Same,
        };
        Ok((Kind::Docker, docker.server_version, inmates))
    }
}

impl Inmates {
    /// Of the namespace of users, and in it.
    fn words(self, user: Option<u32>) -> Vec<String> {
        let own = || format!("--user={}:{}", getuid().as_raw(), getgid().as_raw());
        match (self, user) {
            (Inmates::Strangers, Some(user)) => vec!["--userns=host".into(), format!("--user={user}:{user}")],
            (Inmates::RootOfNamespace, _) => vec!["--user=0:0".into()],
            (Inmates::SameInNamespace, _) => vec!["--userns=keep-id".into(), own()],
            (Inmates::Same | Inmates::Strangers, _) => vec!["--userns=host".into(), own()],
        }
    }
}

fn client(program: &Path, variables: &[(OsString, OsString)]) -> Command {
    let mut client = Command::new(program);
    client.env_clear().envs(variables.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
    client
}

/// What it prints. Errors are its own last words.
async fn ask<const N: usize>(
    program: &Path,
    variables: &[(OsString, OsString)],
    words: [impl AsRef<OsStr>; N],
) -> io::Result<String> {
    let mut client = client(program, variables);
    client.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("it did not answer within {ENGINE_WAIT:?}"));
    let output = timeout(ENGINE_WAIT, client.output()).await.map_err(late)??;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    Err(io::Error::other(
        last.map_or_else(|| format!("it ended with {}", output.status), |line| line.trim().to_owned()),
    ))
}

/// Ends a process that fills the folder of its socket, which no limit of a container bounds.
async fn bound(process: Arc<Process>, folder: PathBuf) {
    loop {
        tokio::select! {
            _ = process.ended() => return,
            () = sleep(TREE_POLL) => {}
        }
        let folder = folder.clone();
        let fits = tokio::task::spawn_blocking(move || build::fits(&folder, SOCKET_FOLDER_BYTES, SOCKET_FILES_MAX));
        if matches!(fits.await, Ok(false)) {
            process.end(Why::TreeTooLarge);
        }
    }
}

/// One that tells whose it is: this process's, which its number and the time of its start name.
fn next_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let process = std::process::id();
    let since = started(process).unwrap_or_default();
    format!("{NAME_PREFIX}{process}-{since}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Only names of ours are.
fn is_left_behind(name: &str) -> bool {
    let parts: Vec<&str> = name.strip_prefix(NAME_PREFIX).map(|rest| rest.split('-').collect()).unwrap_or_default();
    let [process, since, number] = parts[..] else { return false };
    match (process.parse(), since.parse(), number.parse::<u64>()) {
        (Ok(process), Ok(since), Ok(_)) => started(process) != Some(since),
        _ => false,
    }
}

/// When a process that is there was started, in ticks since the machine was.
fn started(process: u32) -> Option<u64> {
    const STARTED: usize = 19;
    let told = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind its name, which may hold anything.
    told.rsplit_once(')')?.1.split_whitespace().nth(STARTED)?.parse().ok()
}
