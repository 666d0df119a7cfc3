//! Bakes the guest: builds it for Wasm, boots it once, and keeps what came of it as files.

pub mod compile;
pub mod door;
pub mod image;
pub mod licenses;
pub mod wasm;
