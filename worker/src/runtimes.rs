//! The languages that functions may be written in: what `runtimes/` says of each, and what this machine has of it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::server::{self, Servers, launch::Image};

/// Where toolchains are looked for: what is on the path of whoever starts Everfold need not be there in a sandbox.
const PATH: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
/// How long a toolchain may take to say its version.
const DETECT_MAX: Duration = Duration::from_secs(10);
/// What of its words is looked at.
const SAID_BYTES_MAX: usize = 4 << 10;
/// As a manifest names the home of whoever runs Everfold.
const HOME: &str = "~/";
/// As seen inside a sandbox.
const RUNTIME: &str = "/runtime";
const FUNCTION: &str = "/function";

/// The languages of this machine, and the sandboxes that their servers stand in. Looked for when first asked for: a
/// server without functions starts no tool chain.
pub struct Runtimes {
    places: Option<Places>,
    found: OnceCell<Found>,
}

/// Where they have their places.
pub struct Places {
    /// `runtimes/`, as it was unpacked.
    pub runtimes: PathBuf,
    /// Of whoever runs Everfold.
    pub home: PathBuf,
    pub servers: server::Config,
    /// Where the code of functions lies, unpacked and built.
    pub trees: PathBuf,
}

pub struct Found {
    /// By name.
    pub languages: BTreeMap<String, Runtime>,
    /// Or why nothing is run here.
    pub servers: Result<Servers, String>,
}

impl Runtimes {
    pub fn at(places: Places) -> Runtimes {
        Runtimes { places: Some(places), found: OnceCell::new() }
    }

    /// For a world without functions.
    pub fn none() -> Runtimes {
        Runtimes { places: None, found: OnceCell::new() }
    }

    /// Whether anybody has looked yet.
    pub fn known(&self) -> Option<&Found> {
        self.found.get()
    }

    pub fn trees(&self) -> Option<&Path> {
        self.places.as_ref().map(|places| places.trees.as_path())
    }

    pub async fn found(&self) -> &Found {
        self.found.get_or_init(|| self.look()).await
    }

    async fn look(&self) -> Found {
        let nothing = |why: String| Found { languages: BTreeMap::new(), servers: Err(why) };
        let Some(places) = &self.places else { return nothing("There are no runtimes here.".into()) };
        let (runtimes, home) = (places.runtimes.clone(), places.home.clone());
        let mut languages = match tokio::task::spawn_blocking(move || find(&runtimes, &home)).await {
            Ok(Ok(languages)) => languages,
            Ok(Err(error)) => return nothing(format!("The runtimes cannot be read: {error}.")),
            Err(error) => return nothing(error.to_string()),
        };
        let servers = Servers::start(places.servers.clone()).await.map_err(|error| error.to_string());
        if let Ok(servers) = &servers {
            for language in languages.values_mut() {
                language.look_for_image(servers).await;
            }
        }
        Found { languages, servers }
    }
}

/// A language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    pub name: String,
    /// As a person reads it.
    pub title: String,
    pub standing: Standing,
    /// The file that is meant where none is named.
    pub entrypoint: String,
    pub build: Option<Build>,
    /// The folder of its server.
    pub folder: PathBuf,
    /// The command that starts its server, as seen inside a sandbox.
    pub launch: Vec<String>,
    /// Further folders that its toolchain reads. Those that are there.
    pub read_only: Vec<PathBuf>,
    /// Where its programs are found.
    pub path: String,
    /// What has its toolchain for machines that lack it.
    pub image: Option<Image>,
}

impl Runtime {
    /// What it runs in, where that is no sandbox.
    pub fn container(&self) -> Option<&Image> {
        self.image.as_ref().filter(|_| matches!(self.standing, Standing::Contained { .. }))
    }

    /// A language of this machine runs in a sandbox; an image is for the others alone.
    async fn look_for_image(&mut self, servers: &Servers) {
        let (Standing::Missing(why), Some(image)) = (&mut self.standing, &self.image) else { return };
        match servers.has_image(image).await {
            Err(why_not) => why.push_str(&format!(". In a container: {why_not}")),
            Ok(()) => {
                let engine = servers.engine().unwrap_or_default();
                // Of the machine, which the image has none of.
                self.read_only.clear();
                self.standing = Standing::Contained { engine };
            }
        }
    }
}

/// What this machine has of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In this version.
    Found(String),
    /// Not the toolchain, but an image of it, and this engine.
    Contained { engine: String },
    /// What to install.
    Missing(String),
    /// Nothing is needed: Everfold does it by itself.
    Own,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// For `sh -c`, in the folder of the code.
    pub command: String,
    /// Without this file there is nothing to build.
    pub only_with: Option<String>,
}

/// `runtimes/NAME/manifest.toml`; its README says what each is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    title: String,
    server: Option<String>,
    detect: Option<Vec<String>>,
    #[serde(default)]
    path: Vec<String>,
    #[serde(default)]
    install: String,
    entrypoint: String,
    build: Option<String>,
    build_if: Option<String>,
    #[serde(default)]
    launch: Vec<String>,
    #[serde(default)]
    read_only: Vec<String>,
    image: Option<Image>,
}

/// All that the folder describes, by name. Asks each toolchain for its version, side by side.
pub fn find(runtimes: &Path, home: &Path) -> io::Result<BTreeMap<String, Runtime>> {
    let mut manifests = Vec::new();
    for folder in fs::read_dir(runtimes)? {
        let file = folder?.path().join("manifest.toml");
        if file.is_file() {
            manifests.push(read(&file)?);
        }
    }
    Ok(thread::scope(|scope| {
        let found = manifests.into_iter().map(|manifest| scope.spawn(|| look(manifest, runtimes, home)));
        let found: Vec<_> = found.collect();
        found.into_iter().filter_map(|one| one.join().ok()).map(|runtime| (runtime.name.clone(), runtime)).collect()
    }))
}

fn read(file: &Path) -> io::Result<Manifest> {
    let of_file = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", file.display()));
    toml::from_str(&fs::read_to_string(file)?).map_err(|error| of_file(&error))
}

fn look(manifest: Manifest, runtimes: &Path, home: &Path) -> Runtime {
    let at_home = |path: &String| match path.strip_prefix(HOME) {
        Some(rest) => home.join(rest),
        None => PathBuf::from(path),
    };
    let further: Vec<PathBuf> = manifest.path.iter().map(at_home).collect();
    let folders = PATH.into_iter().map(PathBuf::from).chain(further);
    let path = std::env::join_paths(folders).unwrap_or_default().to_string_lossy().into_owned();
    let standing = match &manifest.detect {
        None => Standing::Own,
        Some(detect) => match version(detect, &path, home) {
            Some(version) => Standing::Found(version),
            None => Standing::Missing(format!(
                "{} is not on this machine. To install it: {}",
                manifest.title, manifest.install
            )),
        },
    };
    let inside = |word: &String| word.replace("{runtime}", RUNTIME).replace("{function}", FUNCTION);
    Runtime {
        folder: runtimes.join(manifest.server.as_ref().unwrap_or(&manifest.name)),
        launch: manifest.launch.iter().map(inside).collect(),
        read_only: manifest.read_only.iter().map(at_home).filter(|folder| folder.is_dir()).collect(),
        build: manifest.build.map(|command| Build { command, only_with: manifest.build_if }),
        name: manifest.name,
        title: manifest.title,
        standing,
        entrypoint: manifest.entrypoint,
        image: manifest.image,
        path,
    }
}

/// The version that a toolchain says it is of, on whichever output.
fn version(detect: &[String], path: &str, home: &Path) -> Option<String> {
    let (program, args) = detect.split_first()?;
    let program = std::env::split_paths(path).map(|folder| folder.join(program)).find(|program| program.is_file())?;
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let begun = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if begun.elapsed() > DETECT_MAX {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().ok()?;
    if !output.status.success() {
        return None;
    }
    let said = [output.stdout, output.stderr].concat();
    first_version(&String::from_utf8_lossy(&said[..said.len().min(SAID_BYTES_MAX)]))
}

/// The first `x.y` or `x.y.z` in it.
fn first_version(said: &str) -> Option<String> {
    said.split(|char: char| !char.is_ascii_digit() && char != '.').find_map(|word| {
        let numbers: Vec<&str> = word.split('.').take_while(|number| !number.is_empty()).take(3).collect();
        (numbers.len() > 1).then(|| numbers.join("."))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn manifest(folder: &Path, name: &str, text: &str) {
        fs::create_dir_all(folder.join(name)).expect("a folder");
        fs::write(folder.join(name).join("manifest.toml"), text).expect("a file");
    }

    fn program(folder: &Path, name: &str, script: &str) {
        fs::create_dir_all(folder).expect("a folder");
        fs::write(folder.join(name), format!("#!/bin/sh\n{script}")).expect("a file");
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).expect("it may be run");
    }

    #[test]
    fn a_version_is_the_first_that_is_said() {
        for (said, version) in [
            ("v20.20.2\n", "20.20.2"),
            ("Python 3.11.2", "3.11.2"),
            ("go version go1.19.8 linux/amd64", "1.19.8"),
            ("javac 17.0.17", "17.0.17"),
            ("ruby 3.1.2p20 (2022-04-12 revision 4491bb740a)", "3.1.2"),
            ("deno 2.9.6 (stable, release, x86_64)\nv8 14.1", "2.9.6"),
            ("rustc 1.95", "1.95"),
            ("1.2.3.4", "1.2.3"),
        ] {
            assert_eq!(first_version(said).as_deref(), Some(version), "{said}");
        }
        assert_eq!(first_version("usage: 3 words. And no version"), None);
    }

    #[test]
    fn what_is_missing_says_what_to_install_and_the_rest_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let (runtimes, home) = (folder.path().join("runtimes"), folder.path().join("home"));
        let of = |name: &str, more: &str| {
            manifest(&runtimes, name, &format!("name = '{name}'\ntitle = 'T'\nentrypoint = 'main'\n{more}"));
        };
        of(
            "there",
            "path = ['~/bin']\ndetect = ['lang']\nserver = 'shared'\nread_only = ['~/bin', '~/none']\nlaunch = ['lang', '{runtime}/server', '{function}/x']",
        );
        of("broken", "path = ['~/bin']\ndetect = ['broken']\ninstall = 'apt-get install broken'");
        of("away", "detect = ['no-such-language']\ninstall = 'apt-get install away'");
        of("own", "");
        program(&home.join("bin"), "lang", "echo lang 1.2.3 >&2");
        program(&home.join("bin"), "broken", "echo 1.2.3; exit 1");
        let found = find(&runtimes, &home).expect("they are read");
        let standing = |name: &str| found[name].standing.clone();
        assert_eq!(standing("there"), Standing::Found("1.2.3".into()));
        for name in ["broken", "away"] {
            let Standing::Missing(why) = standing(name) else { panic!("{name} is there") };
            assert_eq!(why, format!("T is not on this machine. To install it: apt-get install {name}"));
        }
        assert_eq!(standing("own"), Standing::Own);
        let there = &found["there"];
        assert_eq!(there.launch, ["lang", "/runtime/server", "/function/x"]);
        assert_eq!((there.folder.clone(), &there.read_only), (runtimes.join("shared"), &vec![home.join("bin")]));
    }

    #[test]
    fn a_manifest_with_a_word_that_nobody_knows_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        manifest(folder.path(), "a", "name = 'a'\ntitle = 'A'\nentrypoint = 'a'\nlunch = []");
        let error = find(folder.path(), folder.path()).expect_err("it is refused").to_string();
        assert!(error.contains("lunch") && error.contains("a/manifest.toml"), "{error}");
    }

    #[test]
    fn all_that_are_shipped_are_read() {
        let runtimes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes");
        let found = find(&runtimes, Path::new("/root")).expect("they are read");
        for runtime in found.values() {
            assert!(runtime.folder.is_dir() || runtime.standing == Standing::Own, "{runtime:?}");
            assert_eq!(runtime.launch.is_empty(), runtime.standing == Standing::Own, "{runtime:?}");
        }
        assert!(found.len() >= 10, "{:?}", found.keys());
    }
}
