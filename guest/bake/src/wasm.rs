//! Builds the guest for Wasm, the same bytes from any directory.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use wasmtime::{Result, bail, error::Context};

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

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?;
    Ok(Path::new(&home).join(".cargo"))
}
