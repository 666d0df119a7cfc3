//! `cargo x fuzz`: every fuzz target for a while, two at a time, from the inputs that are checked in.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::step::{Failed, cargo, headline, root};

const TARGETS: [&str; 4] = ["request", "record", "frame", "socket"];
const SECONDS: u32 = 60;
/// As many as a small machine has processors.
const AT_A_TIME: usize = 2;

/// What `cargo fuzz` hands to the compiler, without its sanitizers: those need a nightly, and there is no unsafe code
/// in what is fuzzed. Given for a named target, so that build scripts are built as ever.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

pub fn run(args: &[String]) -> Result<(), Failed> {
    let seconds = match args {
        [] => SECONDS,
        [flag, seconds] if flag == "--seconds" => {
            seconds.parse().map_err(|_| Failed(format!("`{seconds}` is no number of seconds")))?
        }
        _ => return Err(Failed("takes --seconds N".into())),
    };
    let folder = root().join("fuzz");
    let platform = platform()?;
    headline("fuzz: build", || {
        cargo([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--target",
            &platform,
        ])
        .variable("RUSTFLAGS", INSTRUMENTED)
        .run()
    })?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or(folder.join("target"), PathBuf::from);
    let programs = target.join(&platform).join("release");
    headline("fuzz", || {
        TARGETS.chunks(AT_A_TIME).try_for_each(|targets| {
            let running: Vec<_> =
                targets.iter().map(|name| (*name, start(&programs, &folder, name, seconds))).collect();
            let ended: Vec<_> =
                running.into_iter().map(|(name, run)| run.and_then(|run| end(run, &folder, name))).collect();
            ended.into_iter().collect()
        })
    })
}

/// The platform of the compiler at hand, as it names it.
fn platform() -> Result<String, Failed> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = Command::new(rustc).arg("-vV").output().map_err(|error| Failed(format!("rustc: {error}")))?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failed("rustc does not name its host".into()))
}

/// New inputs go to a folder beside the programs; those that are checked in stay as they are.
fn start(programs: &Path, folder: &Path, name: &str, seconds: u32) -> Result<Child, Failed> {
    let found = programs.join("found").join(name);
    let artifacts = folder.join("artifacts").join(name);
    let failed = |error: std::io::Error| Failed(format!("{name}: {error}"));
    fs::create_dir_all(&found).map_err(failed)?;
    fs::create_dir_all(&artifacts).map_err(failed)?;
    let log = fs::File::create(programs.join(format!("{name}.log"))).map_err(failed)?;
    Command::new(programs.join(name))
        .arg(format!("-max_total_time={seconds}"))
        .args(["-timeout=10", "-rss_limit_mb=1024", "-malloc_limit_mb=512", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args([&found, &folder.join("corpus").join(name)])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(failed)
}

fn end(mut run: Child, folder: &Path, name: &str) -> Result<(), Failed> {
    let status = run.wait().map_err(|error| Failed(format!("{name}: {error}")))?;
    if status.success() {
        println!("   {name}: nothing found");
        return Ok(());
    }
    let artifacts = folder.join("artifacts").join(name);
    let newest = fs::read_dir(&artifacts).into_iter().flatten().flatten();
    let newest = newest.max_by_key(|file| file.metadata().and_then(|file| file.modified()).ok());
    let file = newest.map_or(artifacts, |file| file.path());
    Err(Failed(format!("{name} ended with {status}; its input: {}", file.display())))
}
