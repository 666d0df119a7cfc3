//! One command, kept apart from all else: how a deployment is built.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time::sleep};

use super::{
    Shared,
    launch::{Image, Network},
    opened::Wanted,
    process::{Ended, Pieces, Process, Why},
};
use crate::bounds::TREE_POLL;

/// A command that makes a tree ready to run.
#[derive(Clone, Debug)]
pub struct Build {
    /// As seen inside: the runtime lies at `/runtime`, the code at `/function`, where it begins.
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub runtime: PathBuf,
    /// It may write here, and nowhere else but `/tmp`. Afterwards everybody may read what lies in it.
    pub tree: PathBuf,
    pub read_only: Vec<PathBuf>,
    pub network: Network,
    /// What it runs in, as in `Launch`.
    pub image: Option<Image>,
    pub limits: BuildLimits,
}

/// What a build may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildLimits {
    pub wall_ms: u64,
    pub memory_bytes: u64,
    pub processes: u64,
    pub tmp_bytes: u64,
    /// What it prints beyond this is dropped.
    pub output_bytes: usize,
    /// What its tree may grow to; looked at while it runs.
    pub tree_bytes: u64,
    pub tree_files: u64,
}

impl Default for BuildLimits {
    fn default() -> Self {
        BuildLimits {
            wall_ms: 600_000,
            memory_bytes: 2 << 30,
            processes: 512,
            tmp_bytes: 512 << 20,
            output_bytes: 1 << 20,
            tree_bytes: 1 << 30,
            tree_files: 200_000,
        }
    }
}

/// A build that runs. Dropping it kills it.
pub struct Building {
    process: Arc<Process>,
    output: mpsc::Receiver<Vec<u8>>,
    ended: tokio::task::JoinHandle<Arc<Ended>>,
}

/// Pieces of output that may wait for who listens; then the build waits.
const PIECES_WAITING_MAX: usize = 64;

impl Build {
    pub(super) async fn start(self, shared: &Shared) -> io::Result<Building> {
        let limits = self.limits;
        let (tree, image) = (self.tree.clone(), self.image.clone());
        let (to, output) = mpsc::channel(PIECES_WAITING_MAX);
        let pieces = Pieces { to, bytes_left: limits.output_bytes };
        let opened = shared.open(image.as_ref(), Wanted::Build(Arc::new(self)), Some(pieces)).await?;
        drop(opened.input);
        let process = opened.process;
        let stood = process.stand().await;
        let ended = tokio::spawn(attend(process.clone(), tree, limits, opened.user.is_some()));
        if let Err(error) = stood {
            let _ = ended.await;
            return Err(error);
        }
        Ok(Building { process, output, ended })
    }
}

impl Building {
    /// The next of what it prints, as it prints it. `None` at its end.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.output.recv().await
    }

    pub fn cancel(&self) {
        self.process.end(Why::Cancelled);
    }

    /// Resolves when nothing of it is left and its tree is everybody's to read.
    pub async fn ended(mut self) -> io::Result<Arc<Ended>> {
        self.output.close();
        (&mut self.ended).await.map_err(io::Error::other)
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        self.process.end(Why::Cancelled);
    }
}

/// Ends a build at its bounds, and takes its tree back from it.
async fn attend(process: Arc<Process>, tree: PathBuf, limits: BuildLimits, changes_user: bool) -> Arc<Ended> {
    let until = process.begun + Duration::from_millis(limits.wall_ms);
    let watch = async {
        loop {
            sleep(TREE_POLL.min(until.saturating_duration_since(Instant::now()))).await;
            if Instant::now() >= until {
                process.end(Why::TimedOut);
            }
            let tree = tree.clone();
            let fits = tokio::task::spawn_blocking(move || fits(&tree, limits.tree_bytes, limits.tree_files)).await;
            if matches!(fits, Ok(false)) {
                process.end(Why::TreeTooLarge);
            }
            if process.is_ending() {
                return;
            }
        }
    };
    let ended = tokio::select! {
        ended = process.ended() => ended,
        () = watch => process.ended().await,
    };
    let done = tokio::task::spawn_blocking(move || {
        if changes_user {
            take_back(&tree)?;
        }
        io::Result::Ok(fits(&tree, limits.tree_bytes, limits.tree_files))
    });
    match done.await {
        Ok(Ok(true)) => ended,
        Ok(Ok(false)) if ended.why == Why::Exited(0) => Arc::new(Ended { why: Why::TreeTooLarge, ..(*ended).clone() }),
        Ok(Ok(false)) => ended,
        Ok(Err(error)) => {
            tracing::error!(%error, "the tree of a build could not be taken back");
            ended
        }
        Err(_) => ended,
    }
}

/// Everything below a folder and the folder itself, links not followed.
fn walk(path: &Path, visit: &mut impl FnMut(&Path, &fs::Metadata) -> io::Result<()>) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    visit(path, &found)?;
    if found.is_dir() {
        fs::read_dir(path)?.try_for_each(|entry| walk(&entry?.path(), visit))?;
    }
    Ok(())
}

pub(super) fn fits(tree: &Path, bytes_max: u64, files_max: u64) -> bool {
    let (mut bytes, mut files) = (0, 0);
    let mut count = |_: &Path, found: &fs::Metadata| {
        bytes += found.blocks() * 512;
        files += 1;
        if bytes > bytes_max || files > files_max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
    };
    // What vanishes while it is counted does not count.
    walk(tree, &mut count).map_or_else(|error| error.kind() != io::ErrorKind::FileTooLarge, |()| true)
}

/// Before a build: its tree is its own.
pub(super) fn hand_over(tree: &Path, user: u32) -> io::Result<()> {
    walk(tree, &mut |path, _| lchown(path, Some(user), Some(user)))
}

/// After it: its tree is ours, and everybody may read it, which the next user of it will not be the same.
fn take_back(tree: &Path) -> io::Result<()> {
    walk(tree, &mut |path, found| {
        lchown(path, Some(0), Some(0))?;
        if found.is_symlink() {
            return Ok(());
        }
        let mode = found.permissions().mode() & 0o777;
        let all = if found.is_dir() || mode & 0o100 != 0 { 0o555 } else { 0o444 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode | all))
    })
}
