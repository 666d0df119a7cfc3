//! One container: what lies in its folder, and how it is found, killed, looked at and removed.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, lchown},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{
    fs::{FileType, Mode, OFlags},
    process::{Pid, PidfdFlags},
};
use tokio::{process::Child, sync::Notify, time::sleep};

use super::{Engine, Inspected, NO_CONTAINER};
use crate::{
    bounds::{CONTAINER_END_WAIT, CONTAINER_KILL_PAUSE, CONTAINER_KILL_WAIT, CONTAINER_POLL},
    pool::locked,
    server::{
        cgroup::Meter,
        process::{Cell, Coming, Remains, Standing},
        sandbox::User,
        spawn,
    },
};

const LOGS_NAME: &str = "logs";
/// What podman's monitor leaves where the client was started, when memory ran out under control groups of version 1.
const OUT_OF_MEMORY: &str = "oom";

/// What a container is handed by the machine, in a folder that nobody else may enter. Goes when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn make(parent: &Path, name: &str, user: Option<u32>) -> io::Result<Folder> {
        let folder = Folder(parent.join(name));
        DirBuilder::new().mode(0o700).create(&folder.0)?;
        let shown = folder.shown();
        fs::create_dir(&shown)?;
        let logs = shown.join(LOGS_NAME);
        rustix::fs::mknodat(rustix::fs::CWD, &logs, FileType::Fifo, Mode::empty(), 0)?;
        // Whatever the mask of this process says, and whoever it is inside.
        for (path, mode) in [(&shown, 0o777), (&logs, 0o666)] {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
            if user.is_some() {
                // Languages open pipes by name, which the kernel may allow their owner alone.
                lchown(path, user, user)?;
            }
        }
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Shown inside, and written to there.
    pub fn shown(&self) -> PathBuf {
        self.0.join("shown")
    }

    pub fn variables(&self) -> PathBuf {
        self.0.join("variables")
    }

    pub fn logs_name(&self) -> &'static str {
        LOGS_NAME
    }

    /// Both ends of the log pipe. Whoever reads sees its end when ours is closed, and those inside are.
    pub fn logs(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        let logs = self.shown().join(LOGS_NAME);
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let reads = File::options().read(true).custom_flags(flags | libc::O_NONBLOCK).open(&logs)?;
        let writes = File::options().write(true).custom_flags(flags).open(&logs)?;
        Ok((reads.into(), writes.into()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub struct Container {
    engine: Arc<Engine>,
    name: String,
    folder: PathBuf,
    client: Mutex<Option<Child>>,
    held: Mutex<Option<Held>>,
    inside: OnceLock<Inside>,
    used: Mutex<Used>,
    kill_asked: Notify,
    is_over: AtomicBool,
}

/// What is let go of when it is over: its folder, its user, and our end of its log pipe.
struct Held {
    _folder: Folder,
    _user: Option<User>,
    _logs: Option<OwnedFd>,
}

/// Its first process.
struct Inside {
    handle: OwnedFd,
    meter: Meter,
}

/// As far as it was counted.
#[derive(Clone, Copy, Default)]
struct Used {
    processor_time: Duration,
    memory_peak_bytes: u64,
    memory_kills: u64,
}

impl Container {
    pub fn new(
        engine: Arc<Engine>,
        name: String,
        folder: Folder,
        client: Child,
        user: Option<User>,
        logs: Option<OwnedFd>,
    ) -> Container {
        Container {
            engine,
            name,
            folder: folder.0.clone(),
            client: Mutex::new(Some(client)),
            held: Mutex::new(Some(Held { _folder: folder, _user: user, _logs: logs })),
            inside: OnceLock::new(),
            used: Mutex::default(),
            kill_asked: Notify::new(),
            is_over: AtomicBool::new(false),
        }
    }

    pub fn socket_path(&self) -> PathBuf {
        self.folder.join("shown")
    }

    /// Finds its first process, and looks what it used when that ends: soon after, nothing is left to look at.
    pub async fn follow(self: Arc<Self>) {
        while !self.is_over.load(Ordering::Acquire) {
            sleep(CONTAINER_POLL).await;
            let Ok(Inspected { id, state }) = self.engine.inspect(&self.name).await else { continue };
            if state.has_run() {
                // It has its variables by now.
                let _ = fs::remove_file(self.folder.join("variables"));
            }
            if let Some(inside) = Inside::of(state.pid, &id) {
                let inside = self.inside.get_or_init(|| inside);
                spawn::ended(&inside.handle).await;
                self.look();
                return;
            }
        }
    }

    fn look(&self) {
        let Some(Inside { meter, .. }) = self.inside.get() else { return };
        let mut used = locked(&self.used);
        // What is gone counts nothing.
        let Some(processor_time) = meter.processor_time() else { return };
        let memory_peak_bytes = meter.memory_peak_bytes().unwrap_or(used.memory_peak_bytes);
        *used = Used { processor_time, memory_peak_bytes, memory_kills: meter.memory_kills().max(used.memory_kills) };
    }

    /// Waits for the engine's client, and has the container killed when that is asked. Its code, if it had one.
    async fn client_ended(&self) -> Option<i32> {
        let mut client = locked(&self.client).take()?;
        let mut asked = None;
        loop {
            tokio::select! {
                status = client.wait() => return status.ok().and_then(|status| status.code()),
                () = self.kill_asked.notified() => {}
            }
            if asked.get_or_insert_with(Instant::now).elapsed() > CONTAINER_KILL_WAIT {
                let _ = client.start_kill();
            }
            self.look();
            self.engine.kill(&self.name).await;
            if tokio::time::timeout(CONTAINER_KILL_PAUSE, client.wait()).await.is_err() {
                // It may not have been there yet.
                self.kill_asked.notify_one();
            }
        }
    }
}

impl Inside {
    /// None where processes have other numbers here than where the engine is: their groups are named after containers.
    fn of(process: u32, container: &str) -> Option<Inside> {
        let handle = Pid::from_raw(i32::try_from(process).ok()?)?;
        let handle = rustix::process::pidfd_open(handle, PidfdFlags::empty()).ok()?;
        let is_named = fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?.contains(container);
        let meter = Meter::of(process);
        // Asked after it was read, so that it is this process's.
        (is_named && !spawn::has_ended(&handle)).then_some(Inside { handle, meter })
    }
}

impl Cell for Container {
    /// At once: that it runs is seen by its socket, and that it does not by its end.
    fn stand(&self) -> Coming<'_, io::Result<Standing>> {
        Box::pin(async { Ok(Standing::Stands) })
    }

    fn kill(&self) {
        self.kill_asked.notify_one();
    }

    fn socket_folder(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::open(self.socket_path(), flags, Mode::empty())?)
    }

    fn processor_time(&self) -> Option<Duration> {
        self.inside.get()?.meter.processor_time()
    }

    fn over(&self) -> Coming<'_, Remains> {
        Box::pin(async {
            let code = self.client_ended().await;
            self.look();
            self.is_over.store(true, Ordering::Release);
            let state = self.engine.inspect(&self.name).await.ok().map(|inspected| inspected.state);
            self.engine.remove(&self.name).await;
            let used = *locked(&self.used);
            let has_sign = self.folder.join(OUT_OF_MEMORY).exists();
            let is_told = state.as_ref().is_some_and(|state| state.ran_out_of_memory);
            Remains {
                status: state
                    .as_ref()
                    .filter(|state| state.has_run())
                    .map(|state| state.exit_code)
                    .or(code)
                    .unwrap_or(-1),
                ran_out_of_memory: used.memory_kills > 0 || has_sign || is_told,
                cpu_ms: used.processor_time.as_millis() as u64,
                memory_peak_bytes: used.memory_peak_bytes,
                has_run: state.map_or(code != Some(NO_CONTAINER), |state| state.has_run()),
                left: Box::new(locked(&self.held).take()),
            }
        })
    }

    fn end_wait(&self) -> Duration {
        CONTAINER_END_WAIT
    }
}
