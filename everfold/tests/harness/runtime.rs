//! Runtime servers as Everfold launches them, but without its sandbox: runtimes/README.md.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    eventually,
    http::{Ask, Connection, Reply},
};

/// Where toolchains are looked for: a function sees nothing of a tester's own PATH.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub name: String,
    pub title: String,
    /// The folder of its server, where several languages share one.
    server: Option<String>,
    detect: Option<Vec<String>>,
    /// Further folders in which the toolchain is looked for.
    #[serde(default)]
    path: Vec<String>,
    install: Option<String>,
    pub entrypoint: String,
    build: Option<String>,
    build_if: Option<String>,
    launch: Option<Vec<String>>,
    #[allow(dead_code, reason = "for the sandbox")]
    #[serde(default)]
    read_only: Vec<String>,
    #[allow(dead_code, reason = "for a container")]
    image: Option<String>,
}

impl Manifest {
    fn search_path(&self) -> String {
        let home = std::env::var("HOME").unwrap_or_default();
        let further = self.path.iter().map(|folder| format!(":{}", folder.replace('~', &home)));
        PATH.to_owned() + &further.collect::<String>()
    }
}

/// A language that this machine can run.
pub struct Runtime {
    pub manifest: Manifest,
    pub version: String,
    folder: PathBuf,
    /// The fixture, built.
    function: TempDir,
}

impl Runtime {
    /// With its fixture built, or the sentence that says what is missing.
    pub fn find(name: &str) -> Result<Runtime, String> {
        let runtimes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes").canonicalize().expect("runtimes/");
        let text = fs::read_to_string(runtimes.join(name).join("manifest.toml")).expect("a manifest");
        let manifest: Manifest = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let folder = runtimes.join(manifest.server.as_deref().unwrap_or(name));
        let detect = manifest.detect.as_deref().expect("a language that needs a toolchain");
        let Some(version) = version(detect, &manifest.search_path()) else {
            let install = manifest.install.as_deref().unwrap_or_default();
            return Err(format!("{} is not on this machine; to install it: {install}", manifest.title));
        };
        let function = tempfile::tempdir().expect("a folder");
        copy(&folder.join("tests"), function.path());
        let runtime = Runtime { manifest, version, folder, function };
        runtime.build();
        Ok(runtime)
    }

    fn build(&self) {
        let Some(build) = &self.manifest.build else { return };
        if self.manifest.build_if.as_ref().is_some_and(|file| !self.function.path().join(file).exists()) {
            return;
        }
        let mut command = Command::new("sh");
        let built = self.surroundings(&mut command).args(["-c", build]).env("HOME", "/tmp").output().expect("sh");
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{}: the fixture does not build: {said}", self.manifest.name);
    }

    fn surroundings<'command>(&self, command: &'command mut Command) -> &'command mut Command {
        let home = std::env::var_os("HOME").unwrap_or("/tmp".into());
        command
            .current_dir(self.function.path())
            .env_clear()
            .env("PATH", self.manifest.search_path())
            .env("HOME", home)
            .env("TMPDIR", std::env::temp_dir())
            .env("EVERFOLD_RUNTIME", &self.folder)
            .env("EVERFOLD_FUNCTION", self.function.path())
    }

    /// Launched and listening.
    pub fn start(&self, entrypoint: &str, secret: &str, settings: &[(&str, &str)]) -> Instance {
        let own = tempfile::tempdir().expect("a folder");
        let (socket, logs) = (own.path().join("http.sock"), own.path().join("logs"));
        let printed = fs::File::create(own.path().join("printed")).expect("a file");
        let launch = self.manifest.launch.as_ref().expect("a language that is launched");
        let mut words = launch.iter().map(|word| {
            let word = word.replace("{runtime}", self.folder.to_str().expect("UTF-8"));
            word.replace("{function}", self.function.path().to_str().expect("UTF-8"))
        });
        let mut command = Command::new(words.next().expect("a program"));
        self.surroundings(&mut command)
            .args(words)
            .envs([("EVERFOLD_SOCKET", &socket), ("EVERFOLD_LOGS", &logs)])
            .env("OPEN_RUNTIMES_ENTRYPOINT", entrypoint)
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stderr(printed.try_clone().expect("a file"))
            .stdout(printed);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{launch:?}: {error}"));
        let mut stdin = process.stdin.take().expect("a pipe");
        stdin.write_all(format!("{secret}\n").as_bytes()).expect("it reads its secret");
        let instance = Instance { process: Mutex::new(process), own, socket };
        eventually("a runtime server listens", || {
            let ended = instance.process.lock().unwrap().try_wait().expect("a process");
            assert!(ended.is_none(), "it ended with {ended:?}: {}", instance.printed());
            UnixStream::connect(&instance.socket).ok()
        });
        instance
    }
}

/// One runtime server.
pub struct Instance {
    process: Mutex<Child>,
    own: TempDir,
    socket: PathBuf,
}

/// What one request logged.
#[derive(Debug, Default, PartialEq)]
pub struct Logged {
    pub logs: Vec<String>,
    pub errors: Vec<String>,
    /// How often it was said that nothing more will come.
    pub ends: usize,
}

impl Instance {
    pub fn connect(&self) -> Connection<UnixStream> {
        Connection::over(UnixStream::connect(&self.socket).expect("it listens"))
    }

    pub fn ask(&self, ask: &Ask) -> Reply {
        self.connect().ask(ask).unwrap_or_else(|error| panic!("no reply: {error}; it printed: {}", self.printed()))
    }

    /// Everything logged so far, by id.
    pub fn logged(&self) -> BTreeMap<String, Logged> {
        let mut logged: BTreeMap<String, Logged> = BTreeMap::new();
        for line in fs::read_to_string(self.own.path().join("logs")).unwrap_or_default().lines() {
            let entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let of_request = logged.entry(entry["id"].as_str().expect("an id").into()).or_default();
            let text = || entry["text"].as_str().unwrap_or_else(|| panic!("no text: {line}")).to_owned();
            match entry["stream"].as_str() {
                Some("logs") => of_request.logs.push(text()),
                Some("errors") => of_request.errors.push(text()),
                _ => of_request.ends += usize::from(entry["end"] == true),
            }
        }
        logged
    }

    /// What it printed, rather than logged.
    pub fn printed(&self) -> String {
        fs::read_to_string(self.own.path().join("printed")).unwrap_or_default()
    }

    pub fn kill(&self) {
        let mut process = self.process.lock().unwrap();
        let _ = process.kill();
        let _ = process.wait();
    }

    pub fn process_id(&self) -> u32 {
        self.process.lock().unwrap().id()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The first `x.y.z` that the toolchain prints of itself.
fn version(detect: &[String], path: &str) -> Option<String> {
    let program = path.split(':').map(|folder| Path::new(folder).join(&detect[0])).find(|program| program.is_file())?;
    let said = Command::new(program).args(&detect[1..]).env("PATH", path).output().ok()?;
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let mut numbers = said.split(|char: char| !char.is_ascii_digit() && char != '.').map(|word| word.trim_matches('.'));
    numbers.find(|word| word.contains('.')).map(str::to_owned)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the fixture") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}
