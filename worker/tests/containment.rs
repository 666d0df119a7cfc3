//! Behind the walls of QuickJS and WebAssembly stands the jail: what native code in it can still do, which is nothing.

use std::{
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
};

/// Killed by the filter, as the outer process reports it.
const KILLED: i32 = 128 + SIGSYS;
const SIGSYS: i32 = 31;
const REFUSED: i32 = 0;

/// A process outside the jail, of the same user as the test, to aim at.
struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        Bystander(Command::new("sleep").arg("60").spawn().expect("sleep"))
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().expect("wait").is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn attempt(name: &str, is_sealed: bool, target: u32) -> i32 {
    let status = Command::new(env!("CARGO_BIN_EXE_isolate"))
        .args(["--hostile", if is_sealed { "sealed" } else { "unsealed" }, name, &target.to_string()])
        .env("SECRET", "of the parent")
        .stdin(Stdio::null())
        .status()
        .expect("the hostile child");
    status.code().unwrap_or_else(|| panic!("{name}: {:?}", status.signal()))
}

#[test]
fn a_sealed_child_that_makes_a_forbidden_call_is_killed() {
    let bystander = Bystander::new();
    for name in [
        "read a file",
        "read the kernel's files",
        "create a file",
        "make a socket",
        "connect",
        "fork",
        "start a thread",
        "execute",
        "trace",
        "read another process",
        "signal",
        "become root",
        "mount",
        "namespace",
        "map code",
        "make code of memory",
    ] {
        assert_eq!(attempt(name, true, bystander.0.id()), KILLED, "{name}");
    }
}

#[test]
fn without_its_filter_a_child_still_reaches_no_file_no_network_no_process() {
    let mut bystander = Bystander::new();
    for name in [
        "read a file",
        "read the kernel's files",
        "create a file",
        "execute",
        "trace",
        "read another process",
        "signal",
        "become root",
        "mount",
    ] {
        assert_eq!(attempt(name, false, bystander.0.id()), REFUSED, "{name}");
    }
    assert!(bystander.is_alive());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    assert_eq!(attempt("connect", false, port.into()), REFUSED, "connect");
}

#[test]
fn a_child_inherits_neither_environment_nor_descriptors() {
    let leaked = std::fs::File::open("/etc/passwd").expect("a file");
    let inheritable = rustix::io::fcntl_dupfd_cloexec(&leaked, 100).expect("a descriptor");
    rustix::io::fcntl_setfd(&inheritable, rustix::io::FdFlags::empty()).expect("inheritable");
    for name in ["environment", "inherited descriptor"] {
        assert_eq!(attempt(name, false, 1), REFUSED, "{name}");
    }
}

#[test]
fn a_child_gets_no_more_memory_than_it_may_have() {
    assert_eq!(attempt("take all memory", true, 1), REFUSED);
}

#[test]
fn a_sealed_child_that_does_nothing_wrong_is_left_alone() {
    assert_eq!(attempt("nothing", true, 1), REFUSED);
}
