//! The guest's machine code: precompiled where there is a build of it, compiled at start elsewhere.
#![allow(unsafe_code)]

use wasmtime::{Engine, Module};

/// The memory of a guest that has booted and has not seen a program yet.
pub const IMAGE: &[u8] = include_bytes!("../../../guest/baked/guest.image");

#[cfg(target_arch = "x86_64")]
pub fn module(engine: &Engine) -> wasmtime::Result<Module> {
    const CODE: &[u8] = include_bytes!("../../../guest/baked/guest.x86_64.cwasm");
    // SAFETY: these bytes are Wasmtime's own output, part of this binary, and nobody else's to change.
    unsafe { Module::deserialize(engine, CODE) }
}

#[cfg(not(target_arch = "x86_64"))]
pub fn module(engine: &Engine) -> wasmtime::Result<Module> {
    Module::new(engine, include_bytes!("../../../guest/baked/guest.wasm"))
}
