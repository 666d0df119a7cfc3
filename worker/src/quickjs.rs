//! The worker for TypeScript and JavaScript: QuickJS inside WebAssembly inside jailed processes.

use std::{
    ffi::OsString,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rules::{
    call::{Call, Program},
    limits::Limits,
};
use tokio::runtime::Handle;

use crate::{
    Calling, Worker,
    jail::Layer,
    pool::{Pool, locked},
    process::Spawner,
};
pub use crate::{
    child::{JAIL, isolate_main},
    process::NotStarted,
};

/// Children that run whatever comes, one call each at a time.
pub struct QuickJs {
    pool: Pool,
}

/// How many children, and what they are.
pub struct Options {
    pub children: usize,
    /// A program and its arguments that end up in `isolate_main`.
    pub command: Vec<OsString>,
}

impl Options {
    /// This same binary, started as `isolate`.
    pub fn of_this_binary(children: usize) -> Self {
        Options { children, command: vec!["/proc/self/exe".into(), "isolate".into()] }
    }
}

impl QuickJs {
    /// Must be called inside a tokio runtime, on which the children are tended until this is dropped.
    pub async fn start(options: Options) -> Result<Self, NotStarted> {
        if options.children == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no isolates").into());
        }
        let spawner = Spawner::new(options.command, Handle::current())?;
        Ok(QuickJs { pool: Pool::start(options.children, spawner).await? })
    }

    /// The walls around the newest child, for `doctor`.
    pub fn layers(&self) -> Vec<Layer> {
        locked(&self.pool.report().layers).clone()
    }

    /// How long the newest child took from nothing to ready.
    pub fn started_in(&self) -> Duration {
        *locked(&self.pool.report().started_in)
    }

    /// How many children were started since the beginning; many more than there are means that something kills them.
    pub fn starts(&self) -> u64 {
        self.pool.report().starts.load(Ordering::Relaxed)
    }

    /// The outer processes of the children that live now.
    pub fn process_ids(&self) -> Vec<u32> {
        locked(&self.pool.report().process_ids).iter().flatten().copied().collect()
    }
}

impl Worker for QuickJs {
    fn call(&self, program: &Arc<Program>, call: Call, limits: Limits) -> Calling {
        Box::pin(self.pool.clone().call(program.clone(), call, limits))
    }
}
