//! `cargo run --release -p bake -- --out baked` writes the guest's files; `--check` rebuilds them and compares.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use bake::{compile, image, licenses, wasm};
use sha2::{Digest, Sha256};
use wasmtime::{Result, bail, error::Context};

const USAGE: &str = "Usage: bake [--out DIRECTORY] [--check]";

fn main() -> ExitCode {
    if env::var_os(wasm::AS_RUSTC).is_some() {
        let compiled = wasm::compile_as_rustc(env::args().skip(1)).is_ok_and(|status| status.success());
        return if compiled { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut out = wasm::workspace().join("baked");
    let mut is_check = false;
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--out" => out = arguments.next().context(USAGE)?.into(),
            "--check" => is_check = true,
            _ => bail!("{USAGE}"),
        }
    }
    let target_dir = target_dir();
    if is_check {
        // Built anew, so that nothing stale can pass for the same.
        let fresh = target_dir.join("bake-check");
        let _absent_before = fs::remove_dir_all(&fresh);
        return check(&out, &files(&fresh)?);
    }
    write(&out, &files(&target_dir)?)
}

fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| wasm::workspace().join("target"), PathBuf::from)
}

type Files = Vec<(&'static str, Vec<u8>)>;

fn files(target_dir: &Path) -> Result<Files> {
    let linked = wasm::build(target_dir)?;
    let baked = image::bake(&linked)?;
    let native = compile::precompile(&baked.wasm)?;
    let mut files = vec![
        ("guest.image", baked.image),
        ("guest.wasm", baked.wasm),
        ("guest.x86_64.cwasm", native),
        ("LICENSES.md", licenses::list()?.into_bytes()),
    ];
    files.push(("SHA256SUMS", sums(&files).into_bytes()));
    Ok(files)
}

/// As `sha256sum` writes and reads it.
fn sums(files: &Files) -> String {
    files
        .iter()
        .map(|(name, bytes)| {
            let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex}  {name}\n")
        })
        .collect()
}

fn write(out: &Path, files: &Files) -> Result<()> {
    fs::create_dir_all(out)?;
    for (name, bytes) in files {
        fs::write(out.join(name), bytes)?;
        println!("{name}: {} bytes", bytes.len());
    }
    Ok(())
}

fn check(out: &Path, files: &Files) -> Result<()> {
    let differing: Vec<&str> = files
        .iter()
        .filter(|(name, bytes)| fs::read(out.join(name)).ok().as_ref() != Some(bytes))
        .map(|(name, _)| *name)
        .collect();
    if !differing.is_empty() {
        bail!("{} is not what the source gives: {}.", out.display(), differing.join(", "));
    }
    println!("{} is what the source gives.", out.display());
    Ok(())
}
