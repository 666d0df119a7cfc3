//! Builds the dashboard, where there is npm to do it with, and lays it down gzipped for `http/dashboard.rs` to embed.
//!
//! A server without its dashboard is whole otherwise and says how to get it, so nothing here fails the build.

use std::{
    env, fs,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use flate2::{Compression, write::GzEncoder};

/// What the dashboard is made of. `node_modules` is not watched: it follows from the lock file.
const SOURCES: [&str; 7] =
    ["src", "public", "index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=EVERFOLD_NO_DASHBOARD");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where to"));
    // Asked now, not when this was compiled: clones may share a target directory.
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where"));
    let root = here.parent().expect("the workspace");
    let sources = root.join("dashboard");
    // Where there is no npm, the folders that it may come to are watched, and nothing else is.
    let watched: Vec<PathBuf> = if npm().is_some() {
        let beside = ["sdk", "examples/jobs"].into_iter().flat_map(|name| parts_of(&root.join(name)));
        SOURCES.map(|name| sources.join(name)).into_iter().chain(beside).collect()
    } else {
        folders().collect()
    };
    for path in watched.iter().filter(|path| path.exists()) {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    pack_runtimes(&root.join("runtimes"), &out.join("runtimes.tar.gz")).expect("the runtimes can be packed");
    let list = out.join("dashboard.rs");
    fs::write(&list, listed(&[])).expect("cargo's own folder can be written");
    if env::var_os("EVERFOLD_NO_DASHBOARD").is_some() || !sources.join("package.json").is_file() {
        return;
    }
    let Some(npm) = npm() else {
        println!("cargo:warning=npm is not here, so this server is built without its dashboard: install Node.js");
        return;
    };
    let built = out.join("built");
    let done = build(&npm, &sources, &built).and_then(|()| {
        let mut names = Vec::new();
        gzip(&built, "", &out.join("gzipped"), &mut names)?;
        names.sort();
        fs::write(&list, listed(&names))
    });
    if let Err(why) = done {
        println!("cargo:warning=this server is built without its dashboard, which does not build: {why}");
        // A file that is never there: the next build tries again.
        println!("cargo:rerun-if-changed={}", out.join("again").display());
    }
}

/// What functions are run with, without its tests: the same bytes from the same files.
fn pack_runtimes(runtimes: &Path, to: &Path) -> io::Result<()> {
    println!("cargo:rerun-if-changed={}", runtimes.display());
    let mut archive = tar::Builder::new(GzEncoder::new(File::create(to)?, Compression::best()));
    archive.mode(tar::HeaderMode::Deterministic);
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let mut names: Vec<_> =
            fs::read_dir(runtimes.join(&folder))?.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names
            .into_iter()
            .filter(|name| !["tests", "target", "node_modules", "__pycache__"].iter().any(|not| name == not))
        {
            let path = folder.join(name);
            if runtimes.join(&path).is_dir() {
                folders.push(path);
            } else {
                archive.append_path_with_name(runtimes.join(&path), &path)?;
            }
        }
    }
    archive.into_inner()?.finish().map(drop)
}

/// The types that the editor knows come from there, and the examples of the page of jobs.
fn parts_of(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| !path.ends_with("node_modules")).collect()
}

fn npm() -> Option<PathBuf> {
    folders().map(|folder| folder.join("npm")).find(|npm| npm.is_file())
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).filter(|folder| folder.is_absolute()).collect::<Vec<_>>().into_iter()
}

/// One build at a time, whatever cargo's target is: they share `node_modules`.
fn build(npm: &Path, sources: &Path, built: &Path) -> io::Result<()> {
    let lock_file = sources.join("package-lock.json");
    let lock = File::open(&lock_file)?;
    lock.lock()?;
    let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified());
    let installed = modified(&sources.join("node_modules/.package-lock.json"));
    if installed.is_err() || installed? < modified(&lock_file)? {
        run(Command::new(npm).args(["ci", "--loglevel=error", "--no-audit", "--no-fund"]).current_dir(sources))?;
    }
    let _ = fs::remove_dir_all(built);
    let vite = ["run", "--silent", "build", "--", "--logLevel=warn", "--emptyOutDir", "--outDir"];
    run(Command::new(npm).args(vite).arg(built).current_dir(sources))
}

/// Its output is shown by `cargo build -vv`; the first line of it that says more than "error" is why it failed.
fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    io::stdout().write_all(&said)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let why = said.lines().find(|line| line.split_whitespace().count() > 4).unwrap_or("it said nothing");
    Err(io::Error::other(why.to_owned()))
}

/// Every file of a folder, under the name it has there.
fn gzip(folder: &Path, name: &str, to: &Path, names: &mut Vec<String>) -> io::Result<()> {
    fs::create_dir_all(to.join(name))?;
    for entry in fs::read_dir(folder.join(name))? {
        let entry = entry?;
        let name = format!("{name}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            gzip(folder, &format!("{name}/"), to, names)?;
        } else {
            let mut encoder = GzEncoder::new(File::create(to.join(&name))?, Compression::best());
            io::copy(&mut File::open(entry.path())?, &mut encoder)?;
            encoder.finish()?;
            names.push(name);
        }
    }
    Ok(())
}

/// A Rust expression: the names of the files, and what they hold.
fn listed(names: &[String]) -> String {
    let file = |name: &String| {
        let place = format!("/gzipped/{name}");
        format!("({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), {place:?}))),")
    };
    format!("&[{}]", names.iter().map(file).collect::<String>())
}
