//! Builds the guest for Wasm, the same bytes from any directory.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use wasmtime::{Result, bail, error::Context};

/// Set for the compilers that cargo starts here: then `bake` stands between the two, see `compile_as_rustc`.
pub const AS_RUSTC: &str = "EVERFOLD_BAKE_AS_RUSTC";

pub const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The guest's workspace: where this crate stands.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The module as the linker leaves it.
pub fn build(target_dir: &Path) -> Result<Vec<u8>> {
    let workspace = workspace();
    let repository = workspace.parent().unwrap_or(&workspace);
    let cargo_home = cargo_home()?;
    // What ends up in panic messages and file names must not say where it was built.
    let places = [(target_dir, "/target"), (&cargo_home, "/cargo"), (repository, "/everfold")];
    let mut rust_flags: Vec<String> =
        places.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect();
    // The image is taken only where the stack pointer is known to be at rest.
    rust_flags.push("-Clink-arg=--export=__stack_pointer".into());
    // Crates inside ask for random keys; the guest answers, see its clock.rs.
    rust_flags.push("--cfg=getrandom_backend=\"custom\"".into());
    let mut c_flags: Vec<String> =
        places.iter().map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display())).collect();
    c_flags.extend(["-mbulk-memory", "-msign-ext", "-mnontrapping-fptoint"].map(String::from));

    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(&workspace)
        .args(["build", "--locked", "--package", "guest", "--profile", "wasm", "--target", WASM_TARGET])
        .arg("--target-dir")
        .arg(target_dir)
        .env("RUSTC_WRAPPER", env::current_exe()?)
        .env(AS_RUSTC, "1")
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags.join("\u{1f}"))
        .env("CFLAGS_wasm32_unknown_unknown", c_flags.join(" "))
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("The guest did not build. It wants clang and `rustup target add {WASM_TARGET}`.");
    }
    let path = target_dir.join(WASM_TARGET).join("wasm/guest.wasm");
    fs::read(&path).with_context(|| format!("{} could not be read", path.display()))
}

/// Cargo tells crates apart by a hash that, for a crate outside the workspace (`rules`), covers the directory it is
/// checked out in; the hash is in every symbol, and the order of symbols in the module. Here our own crates are told
/// apart by their names.
pub fn compile_as_rustc(mut arguments: impl Iterator<Item = String>) -> Result<ExitStatus> {
    let rustc = arguments.next().context("cargo names the compiler")?;
    let mut arguments: Vec<String> = arguments.collect();
    let name = arguments.iter().position(|argument| argument == "--crate-name").map(|at| arguments[at + 1].clone());
    if let Some(name @ ("rules" | "guest")) = name.as_deref() {
        for argument in arguments.iter_mut().filter(|argument| argument.starts_with("metadata=")) {
            *argument = format!("metadata=everfold-{name}");
        }
    }
    Ok(Command::new(rustc).args(arguments).status()?)
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?;
    Ok(Path::new(&home).join(".cargo"))
}
