//! A child on its way from this process to bubblewrap: all that must happen after the fork and before the exec.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString},
    io::{self, Read},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags},
    fs::{FileType, Mode, OFlags},
    io::Errno,
    mount::{MountFlags, MountPropagationFlags},
    process::{Pid, PidfdFlags, Resource, Rlimit, Signal},
    thread::{CapabilitySet, CapabilitySets, Gid, LinkNameSpaceType, Uid, UnshareFlags},
    time::Timespec,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    time::sleep,
};

/// What a child becomes.
pub struct Start<'a> {
    pub program: &'a CStr,
    pub argv: &'a [CString],
    /// What of this process it gets, and as which descriptor.
    pub descriptors: &'a [(BorrowedFd<'a>, RawFd)],
    /// `cgroup.procs` of the groups that it joins.
    pub groups: &'a [OwnedFd],
    /// Where folders that only root may reach are shown to a user that is not. Empty for who changes no user.
    pub mounts: &'a [(CString, CString)],
    pub user: Option<u32>,
    /// A network that it may change, and nothing else; it is in it.
    pub powers_over: Option<&'a Namespaces>,
    /// What it writes into files of the kernel, once it has these powers. Where there is no such file, it does not.
    pub settings: &'a [(&'a CStr, &'a [u8])],
    /// Whether it sees a `/dev/net/tun` that its user may open, which the machine's may not be.
    pub makes_tun: bool,
    pub landlock: Option<BorrowedFd<'a>>,
    pub limits: &'a [(Resource, u64)],
}

impl<'a> Start<'a> {
    /// One that gets nothing of this process.
    pub fn new(program: &'a CStr, argv: &'a [CString]) -> Start<'a> {
        Start {
            program,
            argv,
            descriptors: &[],
            groups: &[],
            mounts: &[],
            user: None,
            powers_over: None,
            settings: &[],
            makes_tun: false,
            landlock: None,
            limits: &[],
        }
    }
}

/// A network, and the namespace of users whose owner rules it.
pub struct Namespaces {
    pub owner: OwnedFd,
    pub network: OwnedFd,
}

impl Namespaces {
    pub fn of(network: OwnedFd) -> io::Result<Namespaces> {
        const NS_GET_USERNS: libc::Ioctl = 0xb701;
        // SAFETY: the call takes no argument, and gives a descriptor that is nobody's yet.
        let owner = unsafe {
            match libc::ioctl(network.as_raw_fd(), NS_GET_USERNS) {
                -1 => return Err(io::Error::last_os_error()),
                owner => OwnedFd::from_raw_fd(owner),
            }
        };
        Ok(Namespaces { owner, network })
    }
}

/// A child, which must be reaped.
pub struct Spawned {
    pub process: Pid,
    /// Readable when it has ended.
    pub handle: OwnedFd,
}

/// What a dead child was and used.
#[derive(Clone, Copy, Debug)]
pub struct Reaped {
    pub status: i32,
    pub cpu_ms: u64,
    pub memory_peak_bytes: u64,
}

const END_POLL: Duration = Duration::from_millis(5);

/// The descriptors of a child are copied up here first, so that none is overwritten by another.
const COPIES_FROM: RawFd = 64;

/// Must be called on a thread that lasts: the child is killed when its thread ends.
pub fn spawn(start: &Start) -> io::Result<Spawned> {
    let copied = |fd: BorrowedFd| rustix::io::fcntl_dupfd_cloexec(fd, COPIES_FROM);
    let copies: Vec<(OwnedFd, RawFd)> =
        start.descriptors.iter().map(|(from, to)| Ok((copied(*from)?, *to))).collect::<io::Result<_>>()?;
    let first_free = copies.iter().map(|(_, to)| to + 1).max().unwrap_or(0).max(3);
    let (broken, breaks) = {
        let (broken, breaks) = io::pipe()?;
        (broken, copied(breaks.as_fd())?)
    };
    let mut argv: Vec<*const libc::c_char> = start.argv.iter().map(|word| word.as_ptr()).collect();
    argv.push(ptr::null());

    // SAFETY: the child allocates nothing and takes no lock until it is another program.
    let process = match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {
            let errno = become_other(start, &copies, first_free, &argv);
            let _ = rustix::io::write(&breaks, &errno.raw_os_error().to_ne_bytes());
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(127) }
        }
        process => Pid::from_raw(process).ok_or(Errno::INVAL)?,
    };
    drop(breaks);
    let handle = rustix::process::pidfd_open(process, PidfdFlags::empty())?;
    let mut errno = [0; 4];
    // The pipe closes when the program runs.
    if { broken }.read_exact(&mut errno).is_ok() {
        let _ = reap(&Spawned { process, handle });
        return Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)));
    }
    Ok(Spawned { process, handle })
}

fn become_other(start: &Start, copies: &[(OwnedFd, RawFd)], first_free: RawFd, argv: &[*const libc::c_char]) -> Errno {
    match prepare(start, copies, first_free) {
        Ok(()) => {
            let environment = [ptr::null()];
            // SAFETY: both lists end with a null; what they point to lives in the parent's copy.
            unsafe { libc::execve(start.program.as_ptr(), argv.as_ptr(), environment.as_ptr()) };
            Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::NOEXEC)
        }
        Err(errno) => errno,
    }
}

fn prepare(start: &Start, copies: &[(OwnedFd, RawFd)], first_free: RawFd) -> Result<(), Errno> {
    for group in start.groups {
        rustix::io::write(group, b"0")?;
    }
    hear_signals_again();
    // A key pressed in Everfold's terminal is Everfold's to answer.
    let _ = rustix::process::setsid();
    let _ = rustix::process::nice(super::NICENESS);
    if !start.mounts.is_empty() || start.makes_tun {
        // SAFETY: the flag splits no descriptor table.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
        rustix::mount::mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        for (from, to) in start.mounts {
            rustix::mount::mount_bind(from.as_c_str(), to.as_c_str())?;
        }
    }
    if start.makes_tun {
        make_tun()?;
    }
    for (resource, most) in start.limits {
        rustix::process::setrlimit(*resource, Rlimit { current: Some(*most), maximum: Some(*most) })?;
    }
    if let Some(user) = start.user {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(group, group, group)?;
        rustix::thread::set_thread_res_uid(user, user, user)?;
    }
    if let Some(namespaces) = start.powers_over {
        take_power(namespaces)?;
    }
    for (file, value) in start.settings {
        if let Ok(file) = rustix::fs::open(*file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            rustix::io::write(file, value)?;
        }
    }
    // After the change of user and of rights, which would undo it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    if let Some(landlock) = start.landlock {
        // SAFETY: a descriptor and a number.
        let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, landlock.as_raw_fd(), 0) };
        if done != 0 {
            return Err(Errno::PERM);
        }
    }
    rustix::process::chdir(c"/")?;
    for (from, to) in copies {
        // SAFETY: the child owns all its descriptors; nothing in it reads those that are replaced.
        if unsafe { libc::dup2(from.as_raw_fd(), *to) } < 0 {
            return Err(Errno::BADF);
        }
    }
    // SAFETY: marks descriptors to be closed at the exec.
    unsafe { libc::syscall(libc::SYS_close_range, first_free, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Ok(())
}

/// Over the machine's, and seen by this child alone.
fn make_tun() -> Result<(), Errno> {
    const MAJOR: u32 = 10;
    const MINOR: u32 = 200;
    let all = Mode::from_raw_mode(0o666);
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    rustix::mount::mount(c"tun", c"/dev/net", c"tmpfs", flags, c"size=4k,nr_inodes=2,mode=755")?;
    let device = rustix::fs::makedev(MAJOR, MINOR);
    rustix::fs::mknodat(rustix::fs::CWD, c"/dev/net/tun", FileType::CharacterDevice, all, device)?;
    // Whatever the mask of this process says.
    rustix::fs::chmod(c"/dev/net/tun", all)
}

/// By its user it owns the namespace of users, so it has every right there; one is kept, also by the next program.
fn take_power(namespaces: &Namespaces) -> Result<(), Errno> {
    rustix::thread::move_into_link_name_space(namespaces.owner.as_fd(), Some(LinkNameSpaceType::User))?;
    rustix::thread::move_into_link_name_space(namespaces.network.as_fd(), Some(LinkNameSpaceType::Network))?;
    let kept = CapabilitySet::NET_ADMIN;
    rustix::thread::set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: kept })?;
    rustix::thread::configure_capability_in_ambient_set(kept, true)
}

/// What this process ignores or holds back, its children should not.
fn hear_signals_again() {
    // SAFETY: an all-zero set is one without signals, and both calls are safe after a fork.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Waits for a child that has ended.
pub fn reap(child: &Spawned) -> io::Result<Reaped> {
    // SAFETY: an all-zero `rusage` is a valid one, and the call only fills in what it is handed.
    let (done, status, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let mut status = 0;
        (libc::wait4(child.process.as_raw_pid(), &mut status, 0, &mut usage), status, usage)
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    let ms = |time: libc::timeval| time.tv_sec as u64 * 1000 + time.tv_usec as u64 / 1000;
    Ok(Reaped {
        status: exit_code(status),
        cpu_ms: ms(usage.ru_utime) + ms(usage.ru_stime),
        memory_peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
    })
}

/// As a shell counts: 128 and more for a signal.
fn exit_code(status: i32) -> i32 {
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

/// Waits for the process behind such a handle to end.
pub async fn ended(handle: &OwnedFd) {
    // SAFETY: the descriptor is owned by what is registered, so it stays open as long.
    let register = |handle| unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) }.ok();
    match handle.try_clone().ok().and_then(register) {
        Some(waiting) => drop(waiting.readable().await),
        // Out of descriptors or of memory: asked again and again.
        None => {
            while !has_ended(handle) {
                sleep(END_POLL).await;
            }
        }
    }
}

/// Whether such a process has ended. Its parent may not have reaped it yet.
pub fn has_ended(handle: &OwnedFd) -> bool {
    has_ended_within(handle, Duration::ZERO)
}

/// Waits on this thread.
pub fn has_ended_within(handle: &OwnedFd, within: Duration) -> bool {
    is_readable_within(handle, within)
}

/// The same for whatever can be waited for.
pub fn is_readable_within(handle: &impl AsFd, within: Duration) -> bool {
    let until = Instant::now() + within;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match rustix::event::poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => {}
            ready => return ready.is_ok_and(|ready| ready > 0),
        }
    }
}
