//! What an isolate would do if its first two walls had fallen: enters the jail as a child does, then tries to leave.
#![allow(unsafe_code)]

use std::{ffi::CStr, mem, process::exit, ptr};

use worker::{jail, quickjs::JAIL};

/// The attempt was refused.
pub const REFUSED: i32 = 0;
/// The attempt succeeded.
pub const ESCAPED: i32 = 42;

/// `sealed|unsealed`, the attempt, and the process outside that it is aimed at.
pub fn main(mut arguments: impl Iterator<Item = String>) -> ! {
    let is_sealed = arguments.next().as_deref() == Some("sealed");
    let attempt = arguments.next().expect("an attempt");
    let outsider: i32 = arguments.next().and_then(|pid| pid.parse().ok()).expect("a process");
    jail::enter(&JAIL).expect("a jail");
    if is_sealed {
        assert!(jail::seal(&jail::ISOLATE).holds);
    }
    exit(if succeeds(&attempt, outsider) { ESCAPED } else { REFUSED })
}

fn succeeds(attempt: &str, outsider: i32) -> bool {
    // SAFETY: each call is given valid arguments; what it does to this process is the point.
    unsafe {
        match attempt {
            "nothing" => false,
            "environment" => std::env::vars_os().next().is_some(),
            "inherited descriptor" => (3..256).any(|descriptor| libc::fcntl(descriptor, libc::F_GETFD) >= 0),
            "read a file" => opens(c"/etc/passwd", libc::O_RDONLY),
            "read the kernel's files" => {
                opens(c"/proc/self/mem", libc::O_RDONLY) || opens(c"/proc/1/status", libc::O_RDONLY)
            }
            "create a file" => opens(c"/escaped", libc::O_CREAT | libc::O_WRONLY),
            "make a socket" => libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) >= 0,
            "connect" => connects(outsider),
            "fork" => libc::fork() >= 0,
            "start a thread" => std::thread::Builder::new().spawn(|| ()).is_ok(),
            "execute" => executes(c"/bin/true") || executes(c"/proc/self/exe"),
            "trace" => libc::ptrace(libc::PTRACE_ATTACH, outsider, 0, 0) == 0,
            "read another process" => reads(outsider),
            "signal" => libc::kill(outsider, libc::SIGTERM) == 0,
            "become root" => libc::setuid(0) == 0 || libc::setgid(0) == 0,
            "mount" => libc::mount(c"none".as_ptr(), c"/".as_ptr(), c"tmpfs".as_ptr(), 0, ptr::null()) == 0,
            "namespace" => libc::unshare(libc::CLONE_NEWUSER) == 0,
            "map code" => {
                let both = libc::PROT_WRITE | libc::PROT_EXEC;
                let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                libc::mmap(ptr::null_mut(), 4096, both, anonymous, -1, 0) != libc::MAP_FAILED
            }
            "make code of memory" => {
                let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                let page = libc::mmap(ptr::null_mut(), 4096, libc::PROT_WRITE, anonymous, -1, 0);
                libc::mprotect(page, 4096, libc::PROT_EXEC) == 0
            }
            "take all memory" => {
                let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                libc::mmap(ptr::null_mut(), 2 << 30, libc::PROT_WRITE, anonymous, -1, 0) != libc::MAP_FAILED
            }
            other => panic!("unknown attempt {other}"),
        }
    }
}

unsafe fn opens(path: &CStr, flags: i32) -> bool {
    // SAFETY: the path ends in a zero.
    unsafe { libc::open(path.as_ptr(), flags, 0o600) >= 0 }
}

unsafe fn executes(path: &CStr) -> bool {
    let arguments = [path.as_ptr(), ptr::null()];
    // SAFETY: both lists end in a null. It returns only when it failed.
    unsafe {
        libc::execve(path.as_ptr(), arguments.as_ptr(), [ptr::null()].as_ptr());
    }
    false
}

/// To the test's listener, whose port stands in place of a process.
unsafe fn connects(port: i32) -> bool {
    // SAFETY: an all-zero address is a valid one, and its length is given.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        let mut address: libc::sockaddr_in = mem::zeroed();
        address.sin_family = libc::AF_INET as u16;
        address.sin_port = (port as u16).to_be();
        address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
        libc::connect(socket, (&raw const address).cast(), mem::size_of_val(&address) as u32) == 0
    }
}

unsafe fn reads(outsider: i32) -> bool {
    let mut byte = [0_u8; 1];
    let local = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: ptr::without_provenance_mut(4096), iov_len: 1 };
    // SAFETY: the local range is `byte`; the remote one is another process's business.
    let read = unsafe { libc::process_vm_readv(outsider, &local, 1, &remote, 1, 0) };
    // Without such a process the error is ESRCH, with one that may be read but maps nothing there EFAULT.
    read >= 0 || std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}
