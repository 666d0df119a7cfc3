//! Runs user code, which is hostile until proven otherwise.

use std::{future::Future, pin::Pin, sync::Arc};

use rules::{
    call::{Call, Outcome, Program},
    limits::Limits,
};

pub mod bounds;
pub mod contract;
pub mod frame;
pub mod jail;
pub mod outcome;
pub mod quickjs;
pub mod runtimes;
pub mod script;
pub mod scripted;
pub mod server;

mod child;
mod isolate;
mod pool;
mod process;
mod typescript;

/// What came of a call, some time later.
pub type Calling = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Something that can run programs.
///
/// - **Pure.** The outcome depends on program, call and limits alone: nothing is left for the next call to see.
/// - **Total.** User code that throws, loops or exhausts memory is an outcome. `Unavailable` means it was not run.
/// - **Bounded.** An outcome comes within the limits' clock (and a grace), for each request of the call.
/// - **Cancelling** the future abandons the outcome; the worker stays usable.
/// - A worker only returns: it cannot reach the engine, the store, or another call's data.
pub trait Worker: Send + Sync + 'static {
    fn call(&self, program: &Arc<Program>, call: Call, limits: Limits) -> Calling;
}
