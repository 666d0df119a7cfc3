//! What every black-box test stands on: a server of its own, a client that sends exactly what it is told, a hook.
#![allow(dead_code, reason = "each subject uses its own part of it")]

pub mod browser;
pub mod figures;
pub mod function;
pub mod hook;
pub mod host;
pub mod http;
pub mod line;
pub mod load;
pub mod memory;
pub mod run;
pub mod runtime;
pub mod server;
pub mod shop;
pub mod smtp;
pub mod socket;
pub mod stream;
pub mod transcript;
pub mod worker;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long a test waits for something that takes a moment.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again until there is an answer.
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, ask)
}

pub fn eventually_within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < patience, "waited {patience:?} in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Says that it is over, also where a test fails: whoever writes beside it ends with it.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
