//! What the server knows of the machine it runs on: memory, disk, connections, and the walls around user code.

use std::{fs, path::PathBuf, sync::Arc};

use rules::record::At;
use store::postgres::Databases;
use tokio::sync::Semaphore;
use worker::quickjs::QuickJs;

pub struct Machine {
    pub started: At,
    /// The server's directory.
    pub data: PathBuf,
    /// What kind of store keeps everything.
    pub store: &'static str,
    /// Where they are what keeps everything.
    pub databases: Option<Arc<Databases>>,
    pub worker: Arc<QuickJs>,
    /// A permit for each connection that may still come.
    pub places: Arc<Semaphore>,
    pub connections_max: usize,
}

impl Machine {
    pub fn connections(&self) -> usize {
        self.connections_max.saturating_sub(self.places.available_permits())
    }

    /// Of this process, without the children that run user code; as Linux counts it.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
    }

    /// What the store's files take.
    pub fn stored_bytes(&self) -> u64 {
        let files = fs::read_dir(&self.data).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).filter(fs::Metadata::is_file).map(|file| file.len()).sum()
    }

    /// What the store's disk has left for this user.
    pub fn free_bytes(&self) -> Option<u64> {
        rustix::fs::statvfs(&self.data).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}
