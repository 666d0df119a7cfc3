//! All that is outside of the engine, handed in: store, workers, clock, entropy.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use rules::record::At;
use store::Store;
use worker::Worker;

use crate::vault::Vault;

/// The engine asks nothing of the machine but through this.
#[derive(Clone)]
pub struct World {
    pub store: Arc<dyn Store>,
    pub worker: Arc<dyn Worker>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub vault: Arc<Vault>,
}

/// Time, as the world tells it. It may jump.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> At;
    fn sleep(&self, ms: u64) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Dice. Keys and ids are made of it, so a real one must be unguessable.
pub trait Entropy: Send + Sync + 'static {
    fn draw(&self) -> u128;
}

impl World {
    /// A UUIDv7: sorts by time, and holds 74 unguessable bits.
    pub fn request_id(&self, at: At) -> u128 {
        let random = self.entropy.draw();
        let time = u128::from(at.0 & 0xffff_ffff_ffff) << 80;
        let head = (random >> 68) & 0xfff;
        let tail = random & 0x3fff_ffff_ffff_ffff;
        time | 0x7 << 76 | head << 64 | 0b10 << 62 | tail
    }
}

/// The machine's own clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> At {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        At(since.as_millis() as u64)
    }

    fn sleep(&self, ms: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
    }
}

/// The kernel's random numbers.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn draw(&self) -> u128 {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
        u128::from_le_bytes(bytes)
    }
}
