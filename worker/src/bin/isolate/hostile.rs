//! What an isolate would do if its first two walls had fallen: enters the jail as a child does, then tries to leave.
#![allow(unsafe_code)]

use std::{ffi::CStr, fmt::Write as _, io::Error, mem, process::exit, ptr};

use worker::{jail, quickjs::JAIL};

/// The attempt was refused.
pub const REFUSED: i32 = 0;
/// The attempt succeeded.
pub const ESCAPED: i32 = 42;

/// What an attempt is aimed at: a process, a port and a file outside.
struct Target {
    process: i32,
    port: u16,
    /// As the jail was entered, before anything was sealed.
    file: libc::c_int,
    secret: std::ffi::CString,
    page_map: libc::c_int,
}

/// `sealed|unsealed`, the attempt (or `all`), a process outside, a port outside, a file outside.
pub fn main(mut arguments: impl Iterator<Item = String>) -> ! {
    let is_sealed = arguments.next().as_deref() == Some("sealed");
    let attempt = arguments.next().expect("an attempt");
    let process = arguments.next().and_then(|pid| pid.parse().ok()).expect("a process");
    let port = arguments.next().and_then(|port| port.parse().ok()).unwrap_or(0);
    let secret = std::ffi::CString::new(arguments.next().unwrap_or_default()).expect("a path");
    let jailed = jail::enter(&JAIL).expect("a jail");
    // SAFETY: the name ends in a zero.
    let file = unsafe { libc::memfd_create(c"image".as_ptr(), 0) };
    let page_map = jailed.page_map.as_ref().map_or(-1, std::os::fd::AsRawFd::as_raw_fd);
    let target = Target { process, port, file, secret, page_map };
    if is_sealed {
        assert!(jail::seal(&jail::ISOLATE).holds);
    }
    if attempt == "all" {
        report(&target);
        exit(REFUSED)
    }
    exit(if attempts(&attempt, &target) { ESCAPED } else { REFUSED })
}

/// What is within reach of a child whose system calls are not taken away: what the other walls have to refuse.
pub const BEYOND_THE_FILTER: [&str; 24] = [
    "read a file",
    "read the kernel's files",
    "read its own environment",
    "read the data directory",
    "list the root",
    "climb out of the root",
    "create a file",
    "create a device",
    "connect",
    "connect by unix socket",
    "see a network interface",
    "execute",
    "trace",
    "read another process",
    "hold another process",
    "signal",
    "signal everybody",
    "see another process",
    "become root",
    "mount",
    "enter another namespace",
    "set the clock",
    "learn where memory lies",
    "take all memory",
];

/// One line for each attempt, over the one descriptor that leads out.
fn report(target: &Target) {
    let mut table = String::new();
    for attempt in BEYOND_THE_FILTER {
        let is_open = attempts(attempt, target);
        let why = Error::last_os_error();
        let _ = writeln!(table, "{attempt}\t{}\t{why}", if is_open { "ESCAPED" } else { "refused" });
    }
    rustix::io::write(rustix::stdio::stdin(), table.as_bytes()).expect("the socket takes the table");
}

fn attempts(attempt: &str, target: &Target) -> bool {
    let outsider = target.process;
    let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: each call is given valid arguments; what it does to this process is the point.
    unsafe {
        match attempt {
            "nothing" => false,
            "environment" => std::env::vars_os().next().is_some(),
            "inherited descriptor" => {
                let own = [target.file, target.page_map];
                (3..256).any(|descriptor| !own.contains(&descriptor) && libc::fcntl(descriptor, libc::F_GETFD) >= 0)
            }
            "read a file" => opens(c"/etc/passwd", libc::O_RDONLY),
            "read the kernel's files" => {
                let files = [c"/proc/self/mem", c"/proc/self/maps", c"/proc/1/status", c"/sys/kernel", c"/dev/null"];
                files.iter().any(|file| opens(file, libc::O_RDONLY))
            }
            "read its own environment" => {
                [c"/proc/self/environ", c"/proc/self/fd/0", c"/proc/self/exe"].iter().any(|file| opens(file, 0))
            }
            "read the data directory" => opens(&target.secret, libc::O_RDONLY),
            // The root itself may be opened; nothing is in it.
            "list the root" => {
                let root = libc::open(c"/".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY);
                let mut entries = [0_u8; 1024];
                let read = libc::syscall(libc::SYS_getdents64, root, entries.as_mut_ptr(), entries.len());
                // Two entries: itself and itself.
                root >= 0 && read > 48
            }
            "climb out of the root" => {
                libc::chroot(c".".as_ptr()) == 0 || opens(c"../../../../etc/passwd", libc::O_RDONLY)
            }
            "create a file" => opens(c"/escaped", libc::O_CREAT | libc::O_WRONLY),
            "create a device" => libc::mknod(c"/disk".as_ptr(), libc::S_IFBLK | 0o600, libc::makedev(8, 0)) == 0,
            "make a socket" => libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) >= 0,
            "make a unix socket" => libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) >= 0,
            "make a netlink socket" => libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0) >= 0,
            "make a raw socket" => libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) >= 0,
            "make a pair of sockets" => libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, [0; 2].as_mut_ptr()) == 0,
            "pass a descriptor" => libc::sendmsg(0, &mem::zeroed(), 0) >= 0,
            "connect" => connects(target.port),
            "connect by unix socket" => connects_by_unix_socket(target.port),
            "see a network interface" => {
                let mut name = [0_u8; 64];
                // Its own loopback, which leads nowhere, is the first and the last.
                (2..8).any(|index| !libc::if_indextoname(index, name.as_mut_ptr().cast()).is_null())
            }
            "fork" => libc::fork() >= 0,
            "start a thread" => std::thread::Builder::new().spawn(|| ()).is_ok(),
            "execute" => executes(c"/bin/true") || executes(c"/proc/self/exe"),
            "execute from memory" => {
                let (empty, nothing) = (c"".as_ptr(), [ptr::null::<libc::c_char>()]);
                libc::syscall(libc::SYS_execveat, target.file, empty, &nothing, &nothing, libc::AT_EMPTY_PATH) == 0
            }
            "make a file in memory" => libc::memfd_create(c"program".as_ptr(), 0) >= 0,
            "trace" => libc::ptrace(libc::PTRACE_ATTACH, outsider, 0, 0) == 0,
            "read another process" => reads(outsider),
            "hold another process" => libc::syscall(libc::SYS_pidfd_open, outsider, 0) >= 0,
            "signal" => libc::kill(outsider, libc::SIGTERM) == 0,
            "signal everybody" => libc::kill(-1, libc::SIGTERM) == 0,
            "see another process" => {
                let own = libc::getpid();
                (1..4096).any(|process| process != own && libc::kill(process, 0) == 0) || libc::getppid() != 0
            }
            "become root" => libc::setuid(0) == 0 || libc::setgid(0) == 0,
            "mount" => libc::mount(c"none".as_ptr(), c"/".as_ptr(), c"tmpfs".as_ptr(), 0, ptr::null()) == 0,
            "namespace" => libc::unshare(libc::CLONE_NEWUSER) == 0,
            "enter another namespace" => libc::setns(0, 0) == 0,
            "set the clock" => libc::clock_settime(libc::CLOCK_REALTIME, &mem::zeroed()) == 0,
            "outlive its parent" => libc::prctl(libc::PR_SET_PDEATHSIG, 0) == 0,
            "undo its limits" => {
                let most = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
                libc::setrlimit(libc::RLIMIT_DATA, &most) == 0
            }
            "load a program into the kernel" => libc::syscall(libc::SYS_bpf, 0, 0, 0) >= 0,
            "queue work in the kernel" => libc::syscall(libc::SYS_io_uring_setup, 1, &mut [0_u8; 120]) >= 0,
            "handle its own page faults" => libc::syscall(libc::SYS_userfaultfd, 0) >= 0,
            "watch the processor" => libc::syscall(libc::SYS_perf_event_open, 0, 0, -1, -1, 0) >= 0,
            "keep a key in the kernel" => libc::syscall(libc::SYS_add_key, 0, 0, 0, 0, 0) >= 0,
            "control a device" => libc::ioctl(0, libc::TIOCSTI, c"x".as_ptr()) == 0,
            "call as a 32-bit program" => calls_as_32_bit(),
            "call as an x32 program" => libc::syscall(0x4000_0000 | libc::SYS_getpid) >= 0,
            "map code" => maps(libc::PROT_WRITE | libc::PROT_EXEC, anonymous, 4096),
            "map code of a file" => {
                libc::mmap(ptr::null_mut(), 4096, libc::PROT_EXEC, libc::MAP_PRIVATE, target.file, 0)
                    != libc::MAP_FAILED
            }
            "make code of memory" => {
                let page = libc::mmap(ptr::null_mut(), 4096, libc::PROT_WRITE, anonymous, -1, 0);
                libc::mprotect(page, 4096, libc::PROT_EXEC) == 0
            }
            "make code by key" => {
                let page = libc::mmap(ptr::null_mut(), 4096, libc::PROT_WRITE, anonymous, -1, 0);
                libc::syscall(libc::SYS_pkey_mprotect, page, 4096, libc::PROT_EXEC, -1) == 0
            }
            "make all memory code" => libc::personality(0x0040_0000) >= 0,
            "share memory" => libc::shmget(libc::IPC_PRIVATE, 4096, 0o600) >= 0,
            "take all memory" => maps(libc::PROT_WRITE, anonymous, 2 << 30),
            "take all memory by pieces" => (0..64).all(|_| maps(libc::PROT_WRITE, anonymous, 32 << 20)),
            "take all memory as shared" => maps(libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS, 2 << 30),
            "grow a file beyond its bound" => libc::ftruncate(target.file, JAIL.file_bytes_max as i64 + 1) == 0,
            "write a file beyond its bound" => {
                libc::pwrite64(target.file, c"x".as_ptr().cast(), 1, JAIL.file_bytes_max as i64) == 1
            }
            "learn where memory lies" => {
                let here = 0_u64;
                let at = (&raw const here).addr() / 4096 * 8;
                let mut entry = 0_u64;
                let read = libc::pread64(target.page_map, (&raw mut entry).cast(), 8, at as i64);
                // The lower 55 bits would be the number of the frame.
                read == 8 && entry & ((1 << 55) - 1) != 0
            }
            other => panic!("unknown attempt {other}"),
        }
    }
}

unsafe fn opens(path: &CStr, flags: i32) -> bool {
    // SAFETY: the path ends in a zero.
    unsafe { libc::open(path.as_ptr(), flags, 0o600) >= 0 }
}

unsafe fn maps(protection: i32, flags: i32, bytes: usize) -> bool {
    // SAFETY: the kernel chooses where; nothing is there yet.
    unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) != libc::MAP_FAILED }
}

unsafe fn executes(path: &CStr) -> bool {
    let arguments = [path.as_ptr(), ptr::null()];
    // SAFETY: both lists end in a null. It returns only when it failed.
    unsafe {
        libc::execve(path.as_ptr(), arguments.as_ptr(), [ptr::null()].as_ptr());
    }
    false
}

/// To the test's listener.
unsafe fn connects(port: u16) -> bool {
    // SAFETY: an all-zero address is a valid one, and its length is given.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        let mut address: libc::sockaddr_in = mem::zeroed();
        address.sin_family = libc::AF_INET as u16;
        address.sin_port = port.to_be();
        address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
        libc::connect(socket, (&raw const address).cast(), mem::size_of_val(&address) as u32) == 0
    }
}

/// To the test's listener in the namespace of names that are no files: a zero, `everfold-` and the port.
unsafe fn connects_by_unix_socket(port: u16) -> bool {
    // SAFETY: an all-zero address is a valid one, and its length is given.
    unsafe {
        let socket = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0);
        let mut address: libc::sockaddr_un = mem::zeroed();
        address.sun_family = libc::AF_UNIX as u16;
        let name = format!("everfold-{port}");
        for (place, byte) in address.sun_path[1..].iter_mut().zip(name.bytes()) {
            *place = byte as libc::c_char;
        }
        let length = mem::size_of::<libc::sa_family_t>() + 1 + name.len();
        libc::connect(socket, (&raw const address).cast(), length as u32) == 0
    }
}

unsafe fn reads(outsider: i32) -> bool {
    let mut byte = [0_u8; 1];
    let local = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: ptr::without_provenance_mut(4096), iov_len: 1 };
    // SAFETY: the local range is `byte`; the remote one is another process's business.
    let read = unsafe { libc::process_vm_readv(outsider, &local, 1, &remote, 1, 0) };
    // Without such a process the error is ESRCH, with one that may be read but maps nothing there EFAULT.
    read >= 0 || Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

/// `getpid` by the door of another processor mode, where the same number means another call.
#[cfg(target_arch = "x86_64")]
fn calls_as_32_bit() -> bool {
    let answer: i32;
    // SAFETY: the call takes no arguments and changes no memory.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("eax") 20 => answer, out("r8") _, out("r9") _, out("r10") _, out("r11") _)
    };
    answer >= 0
}

#[cfg(not(target_arch = "x86_64"))]
fn calls_as_32_bit() -> bool {
    // SAFETY: there is no such door here; any forbidden call stands in for it.
    unsafe { libc::getpid() >= 0 }
}
