//! The guest's machine code: one sealed file in memory, made by the parent, mapped by all its children.
//!
//! Where there is a build of it, it is part of this binary; elsewhere the parent compiles it, once.
#![allow(unsafe_code)]

use std::{fs::File, io, os::fd::OwnedFd, sync::Arc};

use rustix::fs::{MemfdFlags, SealFlags};
use wasmtime::{Engine, Module};

use super::{config, memory::Memories};

/// The memory of a guest that has booted and has not seen a program yet.
pub const IMAGE: &[u8] = include_bytes!("../../../guest/baked/guest.image");

/// The code as a file that nobody can change any more: children run it, and one of them may be in strange hands.
pub fn file() -> wasmtime::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("guest", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let code = native()?;
    let mut written = 0;
    while written < code.len() {
        written += rustix::io::write(&file, &code[written..])?;
    }
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file)
}

#[cfg(target_arch = "x86_64")]
fn native() -> wasmtime::Result<&'static [u8]> {
    Ok(include_bytes!("../../../guest/baked/guest.x86_64.cwasm"))
}

#[cfg(not(target_arch = "x86_64"))]
fn native() -> wasmtime::Result<Vec<u8>> {
    let mut config = config::engine_config();
    // As the precompiled code has it: the bits of a NaN must not depend on the machine.
    config.cranelift_nan_canonicalization(true);
    Engine::new(&config)?.precompile_module(include_bytes!("../../../guest/baked/guest.wasm"))
}

/// Code that is mapped and can be run.
pub struct Code {
    pub engine: Engine,
    pub memories: Arc<Memories>,
    pub module: Module,
}

impl Code {
    /// Maps what the parent made. Needs the right to map code, so it comes before the jail is closed.
    pub fn of(file: File) -> wasmtime::Result<Self> {
        let seals = rustix::fs::fcntl_get_seals(&file).map_err(io::Error::from)?;
        if !seals.contains(SealFlags::WRITE) {
            return Err(wasmtime::format_err!("the code that was handed over could still be changed"));
        }
        let memories = Arc::new(Memories::default());
        let mut config = config::engine_config();
        config.with_host_memory(memories.clone());
        let engine = Engine::new(&config)?;
        // SAFETY: the parent, which is this same binary, wrote Wasmtime's own output into a file that is sealed since.
        let module = unsafe { Module::deserialize_open_file(&engine, file)? };
        Ok(Code { engine, memories, module })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_can_be_mapped_but_never_changed() {
        let file = file().expect("code");
        assert!(rustix::io::pwrite(&file, b"x", 0).is_err());
        assert!(rustix::fs::ftruncate(&file, 0).is_err());
        assert!(Code::of(file.into()).is_ok());
        let open = rustix::fs::memfd_create("open", MemfdFlags::CLOEXEC).expect("a file");
        assert!(Code::of(open.into()).is_err());
    }
}
