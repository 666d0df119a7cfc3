//! How the guest is run: the one configuration for baking it, testing it and the worker, which includes this file.
//!
//! Everything here exists in a build of wasmtime without a compiler (feature `runtime` alone). What only a compiler
//! needs to know (the target, NaN canonicalisation) is added in `bake/src/compile.rs`; it is part of the
//! `.cwasm` and is checked, or does not matter, when that is loaded.

/// The native stack of a call. `JSON.parse` of a million brackets needs it to be a RangeError and not a trap. The
/// thread that calls must have a stack larger than this.
pub const WASM_STACK_BYTES_MAX: usize = 16 << 20;

/// What is reserved, not committed, for each memory: all that 32 bits can address, so that no access needs a check.
pub const MEMORY_RESERVATION_BYTES: u64 = 4 << 30;

/// What lies behind the reservation, for the offset of an access.
pub const MEMORY_GUARD_BYTES: u64 = 32 << 20;

pub fn engine_config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES_MAX)
        // Nothing here is async; wasmtime wants this to be no smaller all the same.
        .async_stack_size(WASM_STACK_BYTES_MAX)
        .memory_reservation(MEMORY_RESERVATION_BYTES)
        .memory_guard_size(MEMORY_GUARD_BYTES)
        .memory_may_move(false)
        // The module holds no data: its memory comes from an image that the host maps itself.
        .memory_init_cow(false)
        // A trap is named; where in the engine it happened helps nobody.
        .wasm_backtrace_max_frames(None);
    config
}
