//! Native code for a target, ahead of time.

use wasmtime::{Config, Engine, Result};

#[path = "config.rs"]
pub mod config;

pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// x86-64-v2: what every x86 server of the last fifteen years has. A machine without one of these refuses the module
/// when it is loaded.
const CPU_FEATURES: [&str; 5] = ["has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt"];

/// The worker's configuration with what only the compiler needs beside it.
pub fn config() -> Result<Config> {
    let mut config = config::engine_config();
    // The bits of a NaN must not depend on the machine.
    config.cranelift_nan_canonicalization(true).target(TARGET)?;
    for feature in CPU_FEATURES {
        // SAFETY: wasmtime compares these with the machine's own when the module is loaded.
        unsafe { config.cranelift_flag_enable(feature) };
    }
    Ok(config)
}

pub fn precompile(wasm: &[u8]) -> Result<Vec<u8>> {
    Engine::new(&config()?)?.precompile_module(wasm)
}
