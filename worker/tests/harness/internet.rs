//! An internet of the test's own: a machine with two addresses, one of them public, and behind its cable every address
//! there is to reach or not to reach. No packet leaves it.
#![allow(unsafe_code)]

use std::{
    fs, io,
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    process::Command,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use rustix::{mount::MountPropagationFlags, thread::UnshareFlags};

/// Of the machine: its cable's, and one that is public.
pub const MACHINE: &str = "10.77.0.2";
pub const MACHINE_PUBLIC: &str = "11.0.0.2";
/// A server that answers with the address that it was reached at.
pub const PUBLIC: &str = "11.0.0.1";
pub const PUBLIC_V6: &str = "2600::1";
pub const PUBLIC_BY_NAT64: &str = "64:ff9b::b00:1";
/// At the borders of what is not.
pub const ALSO_PUBLIC: [&str; 12] = [
    "1.0.0.0",
    "9.255.255.255",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "169.255.0.0",
    "172.32.0.0",
    "192.0.1.1",
    "223.255.255.255",
    "2001:200::1",
    "3fff:1000::1",
    "64:ff9b::800:1",
];
pub const TCP: u16 = 7000;
/// Answers what it is told, and a stranger adds a word of his own.
pub const UDP: u16 = 7001;

/// All of them answer; the sandbox must not get there.
pub const NOT_PUBLIC: [&str; 27] = [
    "10.0.2.2",
    "10.0.2.3",
    "10.1.2.3",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "240.0.0.1",
    "168.63.129.16",
    "fd12::1",
    "fc00::1",
    "2001::1",
    "2001:db8::1",
    "2002:b00:1::1",
    "3fff::1",
    "4000::1",
    // 10.1.2.3, where a network without IPv4 writes it.
    "64:ff9b::a01:203",
];

/// Names of the one name server; others are those of PUBLIC.
pub const REBOUND: (&str, Ipv4Addr) = ("rebound.test", Ipv4Addr::new(10, 1, 2, 3));
const NAME_SERVER: &str = "10.77.0.1";

/// Addresses at which somebody was reached.
#[derive(Clone, Default)]
pub struct Reached(Arc<Mutex<Vec<IpAddr>>>);

impl Reached {
    pub fn take(&self) -> Vec<IpAddr> {
        std::mem::take(&mut self.0.lock().expect("a list"))
    }

    fn add(&self, address: IpAddr) {
        self.0.lock().expect("a list").push(address);
    }
}

/// Moves this thread, and those that it starts from now on, to the machine. `None` where only root could.
pub fn internet() -> Option<Reached> {
    if !rustix::process::geteuid().is_root() {
        println!("only root makes an internet: not tested");
        return None;
    }
    leave(UnshareFlags::NEWNET | UnshareFlags::NEWNS);
    rustix::mount::mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("private");
    let mut resolv_conf = tempfile::NamedTempFile::new().expect("a file");
    writeln!(resolv_conf, "nameserver {NAME_SERVER}").expect("a line");
    fs::set_permissions(resolv_conf.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("open to all");
    rustix::mount::mount_bind(resolv_conf.path(), "/etc/resolv.conf").expect("a name server");

    let reached = Reached::default();
    let (made, is_made) = mpsc::channel();
    let (connected, is_connected) = mpsc::channel::<()>();
    let (ready, is_ready) = mpsc::channel();
    let of_far_side = reached.clone();
    thread::spawn(move || {
        leave(UnshareFlags::NEWNET);
        made.send(rustix::thread::gettid().as_raw_nonzero()).expect("heard");
        is_connected.recv().expect("connected");
        far_side(of_far_side);
        ready.send(()).expect("heard");
        // Its network lasts as long as it.
        loop {
            thread::park();
        }
    });
    let far_side = is_made.recv().expect("made");
    for command in [
        "link set lo up",
        "link add cable type veth peer name far",
        "link set cable up",
        "addr add 10.77.0.2/24 dev cable",
        "addr add 11.0.0.2/32 dev cable",
        "addr add 2601::2/64 dev cable nodad",
    ] {
        ip(command);
    }
    ip(&format!("link set far netns {far_side}"));
    connected.send(()).expect("heard");
    is_ready.recv().expect("ready");
    ip("route add default via 10.77.0.1");
    ip("route add default via 2601::1");
    Some(reached)
}

fn leave(namespaces: UnshareFlags) {
    // SAFETY: no flag splits the descriptors of threads.
    unsafe { rustix::thread::unshare_unsafe(namespaces) }.expect("a namespace");
}

fn ip(command: &str) {
    let done = Command::new("/usr/sbin/ip").args(command.split(' ')).output().expect("iproute2");
    assert!(done.status.success(), "ip {command}: {}", String::from_utf8_lossy(&done.stderr));
}

fn far_side(reached: Reached) {
    for command in
        ["link set lo up", "link set far up", "addr add 10.77.0.1/24 dev far", "addr add 2601::1/64 dev far nodad"]
    {
        ip(command);
    }
    ip("route add 11.0.0.2/32 dev far");
    for address in NOT_PUBLIC.iter().chain(&ALSO_PUBLIC).chain([&PUBLIC, &PUBLIC_V6, &PUBLIC_BY_NAT64]) {
        let (bits, more) = if address.contains(':') { (128, " nodad") } else { (32, "") };
        ip(&format!("addr add {address}/{bits} dev lo{more}"));
        let one = UdpSocket::bind((*address, UDP)).expect("an address");
        let (ip, reached) = (address.parse().expect("an address"), reached.clone());
        thread::spawn(move || echo(&one, ip, &reached));
    }
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, TCP)).expect("a port");
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let address = connection.local_addr().expect("an address").ip().to_canonical();
            reached.add(address);
            // In one piece: who reads, reads once.
            let _ = connection.write_all(address.to_string().as_bytes());
        }
    });
    let names = UdpSocket::bind((NAME_SERVER, 53)).expect("a port");
    thread::spawn(move || serve_names(&names));
}

fn echo(socket: &UdpSocket, address: IpAddr, reached: &Reached) {
    let stranger = UdpSocket::bind((address, 0)).expect("a port");
    let mut word = [0; 512];
    while let Ok((bytes, from)) = socket.recv_from(&mut word) {
        reached.add(address);
        let _ = stranger.send_to(b"stranger", from);
        let _ = socket.send_to(&word[..bytes], from);
    }
}

/// One address for each name, of IPv4.
fn serve_names(socket: &UdpSocket) {
    let mut question = [0; 512];
    while let Ok((bytes, from)) = socket.recv_from(&mut question) {
        let _ = answer(&question[..bytes]).map(|answer| socket.send_to(&answer, from));
    }
}

fn answer(question: &[u8]) -> io::Result<Vec<u8>> {
    const HEADER: usize = 12;
    let asked = question.get(HEADER..).ok_or(io::ErrorKind::InvalidData)?;
    let name_bytes = asked.iter().position(|byte| *byte == 0).ok_or(io::ErrorKind::InvalidData)? + 1;
    let asked = asked.get(..name_bytes + 4).ok_or(io::ErrorKind::InvalidData)?;
    let is_rebound = asked.windows(7).any(|word| word == &REBOUND.0.as_bytes()[..7]);
    let is_of_v4 = asked[name_bytes..name_bytes + 2] == [0, 1];
    let address = if is_rebound { REBOUND.1 } else { PUBLIC.parse().expect("an address") };
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_of_v4), 0, 0, 0, 0]);
    answer.extend(asked);
    if is_of_v4 {
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    Ok(answer)
}

/// A listener of the machine itself, on all of its addresses.
pub fn listen_on_machine(reached: &Reached) -> SocketAddr {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let reached = reached.clone();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            reached.add(connection.local_addr().expect("an address").ip().to_canonical());
        }
    });
    address
}
