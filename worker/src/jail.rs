//! The jail: what a process gives up before it touches anything a stranger wrote.
//!
//! Two steps. `enter` takes the world away: namespaces, an empty root, another user, no capabilities, small
//! limits, no files and no network by Landlock. Then the process makes what it needs (compiled code, threads), and
//! `seal` takes the system calls away. Each layer is assumed to fall, so each is tried whatever became of the
//! others, and says whether it holds; only the last is indispensable.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, UnmountFlags},
    process::{DumpableBehavior, Pid, Resource, Rlimit, Signal, WaitOptions},
    thread::{CapabilitySet, CapabilitySets, Gid, Uid, UnshareFlags},
};
use serde::{Deserialize, Serialize};

mod filter;
mod landlock;

pub use filter::{ISOLATE, Permitted};

/// One wall, and whether it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    pub name: String,
    pub holds: bool,
    /// Why it does not hold, or what it could not cover. Empty when there is nothing to say.
    pub detail: String,
}

/// The layer without which a child refuses to run anything.
pub const SYSTEM_CALLS: &str = "system calls";

/// What a jailed process may still have.
#[derive(Clone, Copy, Debug)]
pub struct JailSpec {
    pub data_bytes_max: u64,
    pub file_bytes_max: u64,
    pub open_files_max: u64,
    /// Whether it may ask which of its own pages were written.
    pub has_page_map: bool,
}

/// What a process has once it is jailed.
pub struct Jailed {
    pub layers: Vec<Layer>,
    pub page_map: Option<OwnedFd>,
}

/// Whoever runs strangers' code yields the processor to whoever keeps requests.
const NICENESS: i32 = 5;

/// Nobody: the user that owns nothing.
const NOBODY: u32 = 65_534;

/// Closes everything but the lower streams, forks into fresh namespaces and sheds user, rights and files.
///
/// Must be called while the process has one thread. It returns in the inner process alone; the outer one waits,
/// stripped as well, and ends as the inner one ends. What stood on descriptor 0 stays; 1 and 2 lead nowhere.
pub fn enter(spec: &JailSpec) -> io::Result<Jailed> {
    let mut layers = Vec::new();
    allocate_without_files();
    forget_surroundings()?;
    let _ = rustix::process::nice(NICENESS);
    layers.extend(unshare());
    fork()?;
    let page_map = if spec.has_page_map { open_page_map().ok() } else { None };
    layers.push(layer("empty root", leave_root()));
    let user = become_nobody();
    let capabilities = drop_capabilities();
    layers.push(layer("user", user));
    layers.push(layer("capabilities", capabilities));
    layers.push(layer("no new privileges", rustix::thread::set_no_new_privs(true)));
    // After the change of user, which would undo both.
    layers.push(layer("ends with its parent", rustix::process::set_parent_process_death_signal(Some(Signal::KILL))));
    layers.push(layer("not traceable", rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)));
    layers.push(layer("resources", limit_resources(spec)));
    layers.push(landlock::deny_everything());
    Ok(Jailed { layers, page_map })
}

/// Takes away every system call that is not permitted, from all threads; whoever makes another is killed.
///
/// The last step: code is compiled, threads are made, and neither can be had afterwards.
pub fn seal(permitted: &Permitted) -> Layer {
    // A second bar before `clone`; the filter does not depend on it.
    let _ = rustix::process::setrlimit(Resource::Nproc, exactly(0));
    match filter::install(permitted) {
        Ok(()) => Layer { name: SYSTEM_CALLS.into(), holds: true, detail: String::new() },
        Err(error) => Layer { name: SYSTEM_CALLS.into(), holds: false, detail: error.to_string() },
    }
}

fn layer(name: &str, tried: Result<(), Errno>) -> Layer {
    match tried {
        Ok(()) => Layer { name: name.into(), holds: true, detail: String::new() },
        Err(error) => Layer { name: name.into(), holds: false, detail: error.to_string() },
    }
}

/// The processor time that a process has used, all its threads together, as the kernel tells anybody: one system
/// call, for it is asked twice for each call.
pub fn processor_time(process: u32) -> Option<Duration> {
    let process = libc::pid_t::try_from(process).ok()?;
    // SAFETY: both only fill in what they are handed.
    let spent = unsafe {
        let mut clock = 0;
        let mut spent: libc::timespec = std::mem::zeroed();
        let is_known =
            libc::clock_getcpuclockid(process, &mut clock) == 0 && libc::clock_gettime(clock, &mut spent) == 0;
        is_known.then_some(spent)?
    };
    Some(Duration::new(spent.tv_sec.try_into().ok()?, spent.tv_nsec.try_into().ok()?))
}

/// The most memory this process ever held at once.
pub fn resident_bytes_most() -> u64 {
    // SAFETY: an all-zero `rusage` is a valid one, and the call only fills it in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024
}

/// glibc's further arenas read a setting of the kernel from a file when they shrink, which a sealed process must
/// not; its first one does not.
fn allocate_without_files() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a parameter of the allocator, before there are threads.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1)
    };
}

/// No environment, no inherited descriptors, no output.
fn forget_surroundings() -> io::Result<()> {
    // SAFETY: the process has one thread, so nobody reads the environment meanwhile.
    unsafe { libc::clearenv() };
    let nowhere = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    if let Ok(nowhere) = &nowhere {
        rustix::stdio::dup2_stdout(nowhere.as_fd())?;
        rustix::stdio::dup2_stderr(nowhere.as_fd())?;
    }
    drop(nowhere);
    close_from(3);
    Ok(())
}

fn close_from(first: u32) {
    // SAFETY: nothing in this process owns a descriptor yet; whatever is open was inherited.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// A namespace of each kind. A process that is not root, or a root without rights, needs one of users first.
fn unshare() -> Vec<Layer> {
    let mut layers = Vec::new();
    let user = rustix::process::getuid();
    let group = rustix::process::getgid();
    let mut mount = new_namespace(UnshareFlags::NEWNS);
    if mount.is_err() {
        let alone = new_namespace(UnshareFlags::NEWUSER).and_then(|()| map_nobody_to(user, group));
        if alone.is_ok() {
            mount = new_namespace(UnshareFlags::NEWNS);
        }
        layers.push(layer("user namespace", alone));
    }
    layers.push(layer("mount namespace", mount));
    for (name, flag) in [
        ("process namespace", UnshareFlags::NEWPID),
        ("network namespace", UnshareFlags::NEWNET),
        ("message namespace", UnshareFlags::NEWIPC),
        ("host name namespace", UnshareFlags::NEWUTS),
        ("cgroup namespace", UnshareFlags::NEWCGROUP),
    ] {
        layers.push(layer(name, new_namespace(flag)));
    }
    layers
}

fn new_namespace(kind: UnshareFlags) -> Result<(), Errno> {
    // SAFETY: none of the flags used here shares or splits the descriptor table.
    unsafe { rustix::thread::unshare_unsafe(kind) }
}

fn map_nobody_to(user: Uid, group: Gid) -> Result<(), Errno> {
    let write = |path: &str, text: String| {
        let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&file, text.as_bytes()).map(drop)
    };
    write("/proc/self/setgroups", "deny".into())?;
    write("/proc/self/uid_map", format!("{NOBODY} {} 1", user.as_raw()))?;
    write("/proc/self/gid_map", format!("{NOBODY} {} 1", group.as_raw()))
}

/// The caller goes on in a new process, the first of its namespace; the old one only waits for it.
fn fork() -> io::Result<()> {
    // SAFETY: the process has one thread, so the child inherits no lock that another one held.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(()),
        inner => wait_for(inner),
    }
}

/// What is left of the outer process: no descriptor, no rights, one system call or two.
fn wait_for(inner: i32) -> ! {
    close_from(0);
    let _ = become_nobody();
    let _ = drop_capabilities();
    let _ = rustix::thread::set_no_new_privs(true);
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let _ = filter::install(&filter::WAITING);
    let status = rustix::process::waitpid(Pid::from_raw(inner), WaitOptions::empty());
    let code = status.ok().flatten().and_then(|(_, status)| {
        // As a shell would report it, so that a test can tell a kill from an exit.
        status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal))
    });
    // SAFETY: ends the process at once; nothing here needs to run on the way out.
    unsafe { libc::_exit(code.unwrap_or(1)) }
}

/// Opened without capabilities in effect: whoever opens it with them is told where in the machine each page lies.
fn open_page_map() -> Result<OwnedFd, Errno> {
    let rights = rustix::thread::capabilities(None)?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, ..rights })?;
    let opened = rustix::fs::open("/proc/self/pagemap", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    rustix::thread::set_capabilities(None, rights)?;
    opened
}

/// Pivots into an empty, read-only file system and lets go of the old one.
fn leave_root() -> Result<(), Errno> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let empty = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // Any directory will do to hang it on; these exist everywhere.
    let place = ["/tmp", "/proc", "/dev"]
        .into_iter()
        .find(|place| rustix::mount::mount("everfold", *place, "tmpfs", empty, c"size=4k,nr_inodes=2,mode=555").is_ok())
        .ok_or(Errno::PERM)?;
    rustix::process::chdir(place)?;
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}

fn become_nobody() -> Result<(), Errno> {
    if rustix::process::getuid().as_raw() == NOBODY {
        return Ok(());
    }
    if !rustix::process::getuid().is_root() {
        // Without a namespace of users there is no other user to become; the owner's is not root's.
        return Err(Errno::PERM);
    }
    bound_capabilities();
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)
}

/// What no program started from here could ever gain.
fn bound_capabilities() {
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if rustix::thread::remove_capability_from_bounding_set(capability).is_err() {
            break;
        }
    }
}

fn drop_capabilities() -> Result<(), Errno> {
    bound_capabilities();
    let _ = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    let left = rustix::thread::capabilities(None)?;
    if left.permitted.is_empty() && left.effective.is_empty() { Ok(()) } else { Err(Errno::PERM) }
}

fn limit_resources(spec: &JailSpec) -> Result<(), Errno> {
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
        (Resource::Fsize, spec.file_bytes_max),
        (Resource::Nofile, spec.open_files_max),
        (Resource::Data, spec.data_bytes_max),
    ] {
        rustix::process::setrlimit(resource, exactly(most))?;
    }
    Ok(())
}

fn exactly(most: u64) -> Rlimit {
    Rlimit { current: Some(most), maximum: Some(most) }
}
