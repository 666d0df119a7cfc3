//! The way of a sandbox to the internet: a stack outside it that connects in its stead, a filter inside it that lets
//! through what is for a public address and nothing else.
//!
//! A sandbox has a network of its own, which leads nowhere. `slirp4netns` puts an interface into it and turns what is
//! sent there into connections of this machine. Which may be asked for, the kernel decides packet by packet, so it does
//! not matter what name or redirect led there. User code begins when both are in place, and has no right over either.

use std::{
    ffi::{CStr, CString},
    fs,
    io::{self, PipeReader, PipeWriter, Read},
    net::SocketAddr,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::PathBuf,
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
    path_beneath_rules,
};
use rustix::process::{Resource, Signal};

use super::{
    cgroup::Group,
    sandbox::in_memory,
    skeleton::c_string,
    spawn::{self, Namespaces, Spawned, Start},
};
use crate::bounds::{NETWORK_WAIT, STACK_OPEN_FILES_MAX, STACK_WORDS_BYTES_MAX};

mod firewall;

/// What ways to the internet are made of on this machine.
pub struct Internet {
    slirp4netns: PathBuf,
    nft: PathBuf,
    admitted: Admitted,
    changes_user: bool,
    landlock: Option<OwnedFd>,
}

/// Where sandboxes that are connected may go.
pub struct Admitted {
    /// Whether to what is public, but for this machine's own addresses.
    pub is_public: bool,
    /// Whatever they are.
    pub addresses: Vec<SocketAddr>,
}

/// Where a sandbox waits for its network. It begins when this is dropped.
pub struct Gate {
    pub opens: PipeWriter,
    /// Whose namespaces the sandbox is made of.
    pub user: Option<u32>,
}

/// What one sandbox is connected by. It ends when this is dropped.
pub struct Stack {
    process: Spawned,
    said: PipeReader,
}

/// The name servers of every sandbox: the stack's, which asks those of the machine.
pub const RESOLV_CONF: &str = "nameserver 10.0.2.3\nnameserver fd00::3\n";

const TUN: &str = "/dev/net/tun";
const INTERFACE: &str = "tap0";

/// Nobody else is on this link: no address is taken, and the one router need not be spared.
const IPV6_AT_ONCE: [(&CStr, &[u8]); 2] = [
    (c"/proc/sys/net/ipv6/conf/default/accept_dad", b"0"),
    (c"/proc/sys/net/ipv6/conf/default/router_solicitation_delay", b"0"),
];

/// Of the stack's descriptors, beside its streams.
const READY_DESCRIPTOR: i32 = 3;
const OWNER_DESCRIPTOR: i32 = 4;
const NETWORK_DESCRIPTOR: i32 = 5;

impl Internet {
    pub fn new(slirp4netns: PathBuf, nft: PathBuf, admitted: Admitted) -> Internet {
        let changes_user = rustix::process::geteuid().is_root();
        Internet { slirp4netns, nft, admitted, changes_user, landlock: landlock() }
    }

    /// Why there is no way from here, where that is known beforehand.
    pub fn lacks(&self) -> Option<String> {
        let no = |why: &str| Some(format!("No sandbox can be connected to the internet on this machine: {why}"));
        for (program, package) in [(&self.slirp4netns, "slirp4netns"), (&self.nft, "nftables")] {
            if !program.is_file() {
                let program = program.display();
                return no(&format!("{program} is missing; on Debian: sudo apt-get install {package}"));
            }
        }
        if fs::metadata(TUN).is_err() {
            return no("/dev/net/tun is missing; sudo modprobe tun, or in a container: --device /dev/net/tun");
        }
        if !self.changes_user && !is_open_to_all(TUN) {
            return no("Everfold's user may not open /dev/net/tun; sudo chmod 666 /dev/net/tun");
        }
        None
    }

    pub fn detail(&self) -> String {
        let named = self.admitted.addresses.len();
        let public = if self.admitted.is_public { "public addresses, and " } else { "" };
        format!("by slirp4netns; nftables admits {public}{named} that the operator named")
    }

    /// Must be called on a thread that lasts: the stack ends with it.
    pub fn connect(&self, namespaces: &Namespaces, user: Option<u32>, group: &Group) -> io::Result<Stack> {
        // The filter first: whatever becomes of the rest, nothing is reached past it.
        self.put_filter(namespaces, user, group)?;
        self.start_stack(namespaces, user, group)
    }

    fn put_filter(&self, namespaces: &Namespaces, user: Option<u32>, group: &Group) -> io::Result<()> {
        let text = in_memory(firewall::rules(&firewall::own_addresses()?, &self.admitted).as_bytes())?;
        let (mut said, says) = io::pipe()?;
        let process = spawn::spawn(&Start {
            descriptors: &[(text.as_fd(), 0), (says.as_fd(), 1), (says.as_fd(), 2)],
            groups: &group.entrances()?,
            user,
            powers_over: Some(namespaces),
            settings: &IPV6_AT_ONCE,
            limits: &[(Resource::Core, 0)],
            ..Start::new(&c_string(&self.nft)?, &[c"nft".into(), c"-f".into(), c"-".into()])
        })?;
        drop(says);
        let is_in_time = spawn::has_ended_within(&process.handle, NETWORK_WAIT);
        if !is_in_time {
            let _ = rustix::process::pidfd_send_signal(&process.handle, Signal::KILL);
        }
        let reaped = spawn::reap(&process)?;
        if reaped.status == 0 {
            return Ok(());
        }
        let why = if is_in_time { words(&mut said) } else { "nft did not end in time".into() };
        Err(io::Error::other(format!("The filter of the sandbox's network could not be put in place: {why}")))
    }

    fn start_stack(&self, namespaces: &Namespaces, user: Option<u32>, group: &Group) -> io::Result<Stack> {
        let nothing = fs::File::open("/dev/null")?;
        let (said, says) = io::pipe()?;
        // Nobody reads while it runs: what does not fit is dropped, not waited for.
        rustix::io::ioctl_fionbio(&says, true)?;
        let (is_ready, ready) = io::pipe()?;
        let argv = [
            c"slirp4netns".into(),
            c"--configure".into(),
            c"--mtu=65520".into(),
            c"--enable-ipv6".into(),
            c"--disable-host-loopback".into(),
            c"--enable-seccomp".into(),
            argument(&format!("--ready-fd={READY_DESCRIPTOR}"))?,
            c"--netns-type=path".into(),
            argument(&format!("--userns-path=/proc/self/fd/{OWNER_DESCRIPTOR}"))?,
            argument(&format!("/proc/self/fd/{NETWORK_DESCRIPTOR}"))?,
            argument(INTERFACE)?,
        ];
        let process = spawn::spawn(&Start {
            descriptors: &[
                (nothing.as_fd(), 0),
                (says.as_fd(), 1),
                (says.as_fd(), 2),
                (ready.as_fd(), READY_DESCRIPTOR),
                (namespaces.owner.as_fd(), OWNER_DESCRIPTOR),
                (namespaces.network.as_fd(), NETWORK_DESCRIPTOR),
            ],
            groups: &group.entrances()?,
            user,
            makes_tun: self.changes_user && !is_open_to_all(TUN),
            landlock: self.landlock.as_ref().map(AsFd::as_fd),
            limits: &[(Resource::Core, 0), (Resource::Fsize, 0), (Resource::Nofile, STACK_OPEN_FILES_MAX)],
            ..Start::new(&c_string(&self.slirp4netns)?, &argv)
        })?;
        drop((says, ready));
        let mut stack = Stack { process, said };
        let is_there = spawn::is_readable_within(&is_ready, NETWORK_WAIT);
        // Its end, too, can be read, as nothing.
        if is_there && { is_ready }.read(&mut [0])? == 1 {
            return Ok(stack);
        }
        let why = if is_there { stack.last_words() } else { "slirp4netns was not ready in time".into() };
        Err(io::Error::other(format!("The sandbox could not be connected: {why}")))
    }
}

impl Stack {
    /// Readable when it has ended.
    pub fn handle(&self) -> io::Result<OwnedFd> {
        self.process.handle.try_clone()
    }

    /// Of one that has ended.
    fn last_words(&mut self) -> String {
        words(&mut self.said)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.process.handle, Signal::KILL);
        if let Err(error) = spawn::reap(&self.process) {
            tracing::error!(%error, "a network stack could not be reaped");
        }
    }
}

/// What a process said that nobody writes for any more.
fn words(said: &mut PipeReader) -> String {
    let mut bytes = Vec::new();
    let _ = said.take(STACK_WORDS_BYTES_MAX).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

fn argument(word: &str) -> io::Result<CString> {
    Ok(CString::new(word)?)
}

fn is_open_to_all(path: &str) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o006 == 0o006)
}

/// What the stack itself may touch: programs, name servers, devices; no signal to others, no port to be reached at. A
/// kernel that has less of Landlock holds less of this.
fn landlock() -> Option<OwnedFd> {
    const READ: [&str; 5] = ["/usr", "/lib", "/lib64", "/etc", "/proc"];
    let abi = ABI::V6;
    // A file that is replaced is another one; its folder stays.
    let name_servers = fs::canonicalize("/etc/resolv.conf").ok().and_then(|file| Some(file.parent()?.to_owned()));
    let read = READ.iter().map(PathBuf::from).chain(name_servers);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let made = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|rules| rules.handle_access(AccessNet::BindTcp))
        .and_then(|rules| rules.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rules(path_beneath_rules(read, AccessFs::from_read(abi))))
        .and_then(|rules| rules.add_rules(path_beneath_rules(["/dev"], device)));
    made.ok().and_then(Option::<OwnedFd>::from)
}
