//! What a server and its children hold in memory, watched while something else goes on.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Looks every 20 ms; pages that processes share count once for each.
pub struct Watch {
    over: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    watcher: Option<JoinHandle<()>>,
}

impl Watch {
    pub fn over(process: u32) -> Watch {
        let (over, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let watcher = {
            let (over, most) = (over.clone(), most.clone());
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    most.fetch_max(resident_bytes(process), Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(20));
                }
            })
        };
        Watch { over, most, watcher: Some(watcher) }
    }

    /// The most that was resident at once since the watch began, in MiB.
    pub fn most_mib(&self) -> u64 {
        self.most.load(Ordering::Relaxed) >> 20
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.watcher.take().map(JoinHandle::join);
    }
}

/// Of the process and of all that it started.
fn resident_bytes(process: u32) -> u64 {
    let own = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = own.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    kib * 1024 + children(process).into_iter().map(resident_bytes).sum::<u64>()
}

/// The processes that a process started, and those that they started.
pub fn offspring(process: u32) -> Vec<u32> {
    let children = children(process);
    let further: Vec<u32> = children.iter().flat_map(|child| offspring(*child)).collect();
    [children, further].concat()
}

fn children(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    texts.flat_map(|text| text.split(' ').flat_map(str::parse).collect::<Vec<_>>()).collect()
}
