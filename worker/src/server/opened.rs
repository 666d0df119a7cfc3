//! What a process is started with and reached by, whatever keeps it apart.

use std::{os::fd::OwnedFd, sync::Arc};

use super::{build::Build, launch::Launch, process::Process, sandbox::Contents};

/// Who asks for a process.
#[derive(Clone)]
pub enum Wanted {
    Server(Arc<Launch>),
    Build(Arc<Build>),
}

/// A process that was started, with our ends of its pipes.
pub struct Opened {
    pub process: Arc<Process>,
    pub input: OwnedFd,
    pub logs: Option<OwnedFd>,
    /// Whose its files are, where that is not us.
    pub user: Option<u32>,
}

impl Wanted {
    pub fn contents(&self) -> Contents<'_> {
        match self {
            Wanted::Server(launch) => Contents {
                argv: &launch.argv,
                env: &launch.env,
                runtime: &launch.runtime,
                tree: &launch.tree,
                is_tree_writable: false,
                read_only: &launch.read_only,
                network: launch.network,
                memory_bytes: launch.limits.memory_bytes,
                processes: launch.limits.processes,
                tmp_bytes: launch.limits.tmp_bytes,
                is_server: true,
            },
            Wanted::Build(build) => Contents {
                argv: &build.argv,
                env: &build.env,
                runtime: &build.runtime,
                tree: &build.tree,
                is_tree_writable: true,
                read_only: &build.read_only,
                network: build.network,
                memory_bytes: build.limits.memory_bytes,
                processes: build.limits.processes,
                tmp_bytes: build.limits.tmp_bytes,
                is_server: false,
            },
        }
    }
}
