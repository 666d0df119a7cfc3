//! Sandboxes that are connected: they reach what is public, nothing else, and nobody reaches them.

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    thread,
    time::{Duration, Instant},
};

use harness::{
    internet::{
        ALSO_PUBLIC, MACHINE, MACHINE_PUBLIC, NOT_PUBLIC, PUBLIC, PUBLIC_BY_NAT64, PUBLIC_V6, REBOUND, TCP, UDP,
        internet, listen_on_machine,
    },
    *,
};
use rules::egress;
use rustix::process::{Pid, Signal};
use worker::server::{Config, NotLeased, Servers, launch::Network, pool::Lease, process::Why};

mod harness;

/// What a test asks a connected server with.
const TOOLS: &str = r#"
import socket, time
def family(host): return socket.AF_INET6 if ":" in host else socket.AF_INET
def tcp(host, port, device=None, wait=3):
    try:
        with socket.socket(family(host)) as s:
            s.settimeout(wait)
            if device: s.setsockopt(socket.SOL_SOCKET, 25, device)
            s.connect((host, port))
            return s.recv(99).decode()
    except OSError as error: return type(error).__name__ + ": " + str(error)
def udp(host, port, wait=3):
    heard = []
    try:
        with socket.socket(family(host), socket.SOCK_DGRAM) as s:
            s.settimeout(wait)
            s.sendto(b"word", (host, port))
            while True: heard.append(s.recvfrom(99)[0].decode()); s.settimeout(0.5)
    except OSError as error: return str(heard) if heard else type(error).__name__ + ": " + str(error)
"#;

fn connected() -> Function {
    let mut function = Function::usual().before(TOOLS);
    function.launch.network = Network::Internet;
    function
}

async fn servers_with(allowed: &[&str]) -> Servers {
    let allowed = allowed.iter().map(|address| address.parse().expect("an address with its port")).collect();
    let servers = Servers::start(Config { allowed, ..Config::default() }).await.expect("this machine makes sandboxes");
    let layer = servers.layers().iter().find(|layer| layer.name == "internet").expect("it is told").clone();
    assert!(layer.holds, "{}", layer.detail);
    servers
}

async fn tcp(lease: &Lease, host: &str, port: u16) -> String {
    ask(lease, &format!("answer = tcp('{host}', {port})")).await
}

/// At once, by the filter.
fn is_refused(answer: &str) -> bool {
    ["ConnectionRefusedError", "PermissionError"].iter().any(|error| answer.starts_with(error))
}

/// IPv6 comes a moment later: its address is announced.
async fn reach_v6(lease: &Lease, host: &str) -> String {
    let begun = Instant::now();
    loop {
        let answer = tcp(lease, host, TCP).await;
        if answer == host || begun.elapsed() > SOON {
            println!("IPv6 after {:?}", begun.elapsed());
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_public_address_is_reached_by_its_name_and_by_itself() {
    let Some(_reached) = internet() else { return };
    hold(async {
        let (servers, function) = (servers_with(&[]).await, connected());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        println!("started in {:?}", lease.started_in());
        assert_eq!(tcp(&lease, PUBLIC, TCP).await, PUBLIC);
        assert_eq!(tcp(&lease, "public.test", TCP).await, PUBLIC);
        assert_eq!(ask(&lease, &format!("answer = tcp('::ffff:{PUBLIC}', {TCP})")).await, PUBLIC);
        assert_eq!(reach_v6(&lease, PUBLIC_V6).await, PUBLIC_V6);
        assert_eq!(tcp(&lease, PUBLIC_BY_NAT64, TCP).await, PUBLIC_BY_NAT64);
        for host in ALSO_PUBLIC {
            assert!(egress::is_public(host.parse().expect("an address")), "{host}");
            assert_eq!(tcp(&lease, host, TCP).await, host);
        }
        let has = ask(&lease, "import ssl, os; answer = (len(os.listdir('/etc/ssl/certs')) > 0, open('/etc/resolv.conf').read().split()[1])").await;
        assert_eq!(has, "(True, '10.0.2.3')");
    });
}

#[test]
fn what_is_not_public_is_reached_in_no_way() {
    let Some(reached) = internet() else { return };
    let own = listen_on_machine(&reached).port();
    hold(async {
        let (servers, function) = (servers_with(&[]).await, connected());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        assert_eq!(reach_v6(&lease, PUBLIC_V6).await, PUBLIC_V6, "what is refused is not refused for want of IPv6");
        reached.take();
        for host in NOT_PUBLIC {
            assert!(!egress::is_public(host.parse().expect("an address")), "{host}");
            for way in [
                format!("tcp('{host}', {TCP})"),
                // Whoever names the interface is not asked for a route.
                format!("tcp('{host}', {TCP}, b'tap0')"),
                format!("udp('{host}', {UDP})"),
            ] {
                let answer = ask(&lease, &format!("answer = {way}")).await;
                assert!(is_refused(&answer), "{way}: {answer}");
            }
            if !host.contains(':') {
                let answer = tcp(&lease, &format!("::ffff:{host}"), TCP).await;
                assert!(is_refused(&answer), "{host}: {answer}");
            }
        }
        let rebound = tcp(&lease, REBOUND.0, TCP).await;
        assert!(is_refused(&rebound), "{rebound}");
        // The machine itself, by all its names: its own, the stack's for it, and its public one.
        let names = ["127.0.0.1", "0.0.0.0", "::1", "10.0.2.2", "10.0.2.3", "fd00::2", "fd00::3", MACHINE];
        for host in names.into_iter().chain([MACHINE_PUBLIC, "2601::2", "::ffff:127.0.0.1", "::ffff:11.0.0.2"]) {
            let answer = tcp(&lease, host, own).await;
            assert!(is_refused(&answer), "{host}: {answer}");
            if !host.contains(':') {
                let answer = ask(&lease, &format!("answer = tcp('{host}', {own}, b'tap0', 0.3)")).await;
                assert!(answer.contains("Error"), "{host}: {answer}");
            }
        }
        for host in ["224.0.0.1", "255.255.255.255", "10.0.2.255", "ff02::1", "fe80::2"] {
            let answer = ask(&lease, &format!("answer = udp('{host}', {UDP}, 0.3)")).await;
            assert!(answer.contains("Error"), "{host}: {answer}");
        }
        assert_eq!(reached.take(), Vec::<IpAddr>::new());
        assert_eq!(tcp(&lease, PUBLIC, TCP).await, PUBLIC, "and still there");
    });
}

#[test]
fn an_address_that_the_operator_named_is_reached_at_its_port_alone() {
    let Some(reached) = internet() else { return };
    hold(async {
        let (servers, function) = (servers_with(&["192.168.1.1:7000", "[fd12::1]:7000"]).await, connected());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        assert_eq!(tcp(&lease, "192.168.1.1", TCP).await, "192.168.1.1");
        assert_eq!(reach_v6(&lease, "fd12::1").await, "fd12::1");
        reached.take();
        for way in [format!("udp('192.168.1.1', {UDP})"), format!("tcp('10.1.2.3', {TCP})")] {
            let answer = ask(&lease, &format!("answer = {way}")).await;
            assert!(is_refused(&answer), "{way}: {answer}");
        }
        assert_eq!(reached.take(), Vec::<IpAddr>::new());
    });
}

#[test]
fn code_begins_when_its_network_and_its_filter_are_there() {
    let Some(reached) = internet() else { return };
    hold(async {
        let folder = tempfile::tempdir().expect("a folder");
        let slow = folder.path().join("nft");
        fs::write(&slow, "#!/bin/sh\nsleep 0.5\nexec /usr/sbin/nft \"$@\"\n").expect("a program");
        for path in [folder.path(), &slow] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("open to all");
        }
        let servers = Servers::start(Config { nft: slow, ..Config::default() }).await.expect("servers");
        let at_once = format!("{TOOLS}\nat_once = (tcp('{PUBLIC}', {TCP}), tcp('10.1.2.3', {TCP}))");
        let mut function = Function::usual().before(&at_once);
        function.launch.network = Network::Internet;
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let answer = ask(&lease, "answer = '; '.join(at_once)").await;
        assert!(answer.split_once("; ").is_some_and(|(one, two)| one == PUBLIC && is_refused(two)), "{answer}");
        assert_eq!(reached.take(), [PUBLIC.parse::<IpAddr>().expect("an address")]);
    });
}

#[test]
fn where_the_operator_does_not_allow_all_that_is_public_what_he_named_is_reached_alone() {
    let Some(reached) = internet() else { return };
    hold(async {
        let allowed = vec!["192.168.1.1:7000".parse().expect("an address with its port")];
        let config = Config { reaches_public: false, allowed, ..Config::default() };
        let (servers, function) = (Servers::start(config).await.expect("servers"), connected());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        assert_eq!(tcp(&lease, "192.168.1.1", TCP).await, "192.168.1.1");
        reached.take();
        for host in [PUBLIC, "public.test", "10.1.2.3"] {
            let answer = tcp(&lease, host, TCP).await;
            assert!(is_refused(&answer), "{host}: {answer}");
        }
        let answer = ask(&lease, &format!("answer = tcp('{PUBLIC_V6}', {TCP}, None, 0.3)")).await;
        assert!(answer.contains("Error"), "{answer}");
        assert_eq!(reached.take(), Vec::<IpAddr>::new());
    });
}

/// TCP ports of this thread's network at which somebody listens.
fn listening() -> usize {
    const LISTENS: &str = "0A";
    let tables = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"].map(fs::read_to_string);
    let lines = tables.iter().flatten().flat_map(|table| table.lines());
    lines.filter(|line| line.split_whitespace().nth(3) == Some(LISTENS)).count()
}

#[test]
fn nobody_comes_in_not_even_another_sandbox() {
    let Some(_reached) = internet() else { return };
    hold(async {
        let (servers, function, other) = (servers_with(&[]).await, connected(), connected());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let neighbour = servers.lease(&other.launch).await.expect("a lease");
        let open = "door = socket.create_server(('0.0.0.0', 8000)); udp_door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp_door.bind(('0.0.0.0', 8000)); import builtins; builtins.doors = (door, udp_door); answer = 'open'";
        assert_eq!(ask(&lease, open).await, "open");
        assert_eq!(listening(), 0, "nothing of it listens outside");
        for host in ["10.0.2.100", "10.0.2.15", MACHINE, MACHINE_PUBLIC, "127.0.0.1"] {
            let answer = tcp(&neighbour, host, 8000).await;
            assert!(answer.contains("Error"), "{host}: {answer}");
        }
        // Only who was spoken to may answer; his neighbour's word does not come through.
        assert_eq!(ask(&lease, &format!("answer = udp('{PUBLIC}', {UDP})")).await, "['word']");
    });
}

/// The stacks of this thread's machine.
fn stacks() -> Vec<u32> {
    let own = fs::read_link("/proc/thread-self/ns/net").expect("a network");
    let is_own = |id: &u32| fs::read_link(format!("/proc/{id}/ns/net")).is_ok_and(|network| network == own);
    processes_with("slirp4netns").into_iter().filter(is_own).collect()
}

fn kill(process: u32) {
    let process = Pid::from_raw(process as i32).expect("a process");
    // Whoever was killed before may have taken it along.
    let _ = rustix::process::kill_process(process, Signal::KILL);
}

#[test]
fn a_stack_ends_with_its_instance_and_an_instance_with_its_stack() {
    let Some(_reached) = internet() else { return };
    hold(async {
        let (servers, (function, mark)) = (servers_with(&[]).await, marked(connected()));
        let none = || stacks().is_empty();
        assert!(none(), "that of the trial ended");
        let lease = servers.lease(&function.launch).await.expect("a lease");
        assert_eq!(stacks().len(), 1);
        lease.kill(Why::TimedOut);
        soon(lease.ended()).await;
        assert!(none(), "who is told to be over leaves nothing behind");

        let lease = servers.lease(&function.launch).await.expect("a lease");
        assert_eq!(stacks().len(), 1);
        processes_with(&mark).into_iter().for_each(kill);
        soon(lease.ended()).await;
        assert!(none());

        let lease = servers.lease(&function.launch).await.expect("a lease");
        stacks().into_iter().for_each(kill);
        assert_eq!(soon(lease.ended()).await.why, Why::NetworkLost);
        assert!(processes_with(&mark).is_empty());
    });
}

#[test]
fn stacks_end_with_everfold_however_it_ends() {
    if std::env::var_os("EVERFOLD_TEST_HOST").is_some() {
        hold(async {
            let (servers, function) = (servers_with(&[]).await, connected());
            let _lease = servers.lease(&function.launch).await.expect("a lease");
            println!("started");
            std::future::pending::<()>().await;
        });
    }
    let Some(_reached) = internet() else { return };
    let mut host = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "stacks_end_with_everfold_however_it_ends", "--nocapture"])
        .env("EVERFOLD_TEST_HOST", "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("a host");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(host.stdout.take().expect("its output")));
    assert!(lines.any(|line| line.is_ok_and(|line| line == "started")));
    assert_eq!(stacks().len(), 1);
    host.kill().expect("killed");
    host.wait().expect("dead");
    let begun = Instant::now();
    while !stacks().is_empty() {
        assert!(begun.elapsed() < SOON, "its stack ends");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_stack_has_no_rights_and_the_sandbox_none_over_its_network() {
    let Some(_reached) = internet() else { return };
    hold(async {
        let (servers, function) = (servers_with(&[]).await, connected());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let status = fs::read_to_string(format!("/proc/{}/status", stacks()[0])).expect("a stack");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.split_whitespace().next().expect("a value").to_owned()
        };
        for rights in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
            assert_eq!(field(rights), "0000000000000000", "{rights}");
        }
        assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), ("1".into(), "2".into()));
        assert!(field("Uid:").parse::<u32>().is_ok_and(|user| user >= 0x7000_0000), "a user of its own");
        let change = "import fcntl, struct\ntry: fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'tap0', 0))\nexcept OSError as error: answer = error.errno";
        assert_eq!(ask(&lease, change).await, "1", "it cannot set its interface down");
        let look = "import subprocess; answer = subprocess.run(['/usr/sbin/nft', 'flush', 'ruleset'], capture_output=True).returncode";
        assert_ne!(ask(&lease, look).await, "0");
        assert!(is_refused(&tcp(&lease, "10.1.2.3", TCP).await));
    });
}

#[test]
fn more_connections_than_there_are_fail_and_harm_none_of_the_others() {
    let Some(_reached) = internet() else { return };
    hold(async {
        let (servers, function) = (servers_with(&[]).await, connected());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let open = format!(
            "import builtins\nheld = builtins.held = []\nfor n in range(1300):\n s = socket.socket(); s.settimeout(3)\n if s.connect_ex(('{PUBLIC}', {TCP})) == 0: held.append(s)\nanswer = len(held)"
        );
        let opened = ask(&lease, &open).await;
        assert!(opened.parse::<u64>().is_ok_and(|opened| (900..1_024).contains(&opened)), "{opened}");
        assert_eq!(ask(&lease, "import builtins; answer = builtins.held[0].recv(99).decode()").await, PUBLIC);
        assert_eq!(
            ask(&lease, "import builtins; [s.close() for s in builtins.held]; answer = 'closed'").await,
            "closed"
        );
        assert_eq!(tcp(&lease, PUBLIC, TCP).await, PUBLIC);
    });
}

#[test]
fn a_build_is_connected_if_it_asks_for_it() {
    let Some(_reached) = internet() else { return };
    hold(async {
        let (servers, function) = (servers_with(&[]).await, connected());
        let fetch = |host: &str| {
            format!(
                "python3 -c \"import socket; print(socket.create_connection(('{host}', {TCP}), 3).recv(99).decode())\" > got 2>&1; tail -1 got"
            )
        };
        let mut asked = build(&function, &fetch("public.test"));
        asked.network = Network::Internet;
        let (output, ended) = built(&servers, asked).await;
        assert_eq!((output.trim(), ended.why), (PUBLIC, Why::Exited(0)));
        let mut private = build(&function, &fetch("10.1.2.3"));
        private.network = Network::Internet;
        let (output, _) = built(&servers, private).await;
        assert!(output.contains("ConnectionRefusedError"), "{output}");
        let (output, _) = built(&servers, build(&function, &fetch("public.test"))).await;
        assert!(output.contains("gaierror"), "{output}");
        assert!(stacks().is_empty());
    });
}

#[test]
fn what_cannot_be_connected_is_refused_with_the_package_to_install() {
    hold(async {
        for (config, package) in [
            (Config { slirp4netns: "/absent".into(), ..Config::default() }, "slirp4netns"),
            (Config { nft: "/absent".into(), ..Config::default() }, "nftables"),
        ] {
            let servers = Servers::start(config).await.expect("servers all the same");
            let layer = servers.layers().iter().find(|layer| layer.name == "internet").expect("it is told").clone();
            let sentence = format!(
                "No sandbox can be connected to the internet on this machine: /absent is missing; on Debian: sudo apt-get install {package}"
            );
            assert_eq!((layer.holds, &layer.detail), (false, &sentence));
            match servers.lease(&connected().launch).await.map(drop) {
                Err(NotLeased::NotReady { why, .. }) => assert_eq!(why, sentence),
                other => panic!("{other:?}"),
            }
            let mut asked = build(&connected(), "true");
            asked.network = Network::Internet;
            assert_eq!(servers.run(asked).await.map(drop).expect_err("no build").to_string(), sentence);
            servers.lease(&Function::usual().launch).await.expect("those without network run");
        }
        // What is there and fails is told, too, and its sandbox never begins.
        let servers =
            Servers::start(Config { nft: "/usr/bin/false".into(), ..Config::default() }).await.expect("servers");
        let (function, mark) = marked(connected());
        match servers.lease(&function.launch).await.map(drop) {
            Err(NotLeased::NotReady { why, .. }) => assert!(why.contains("could not be put in place"), "{why}"),
            other => panic!("{other:?}"),
        }
        until("it is gone", || processes_with(&mark).is_empty()).await;
    });
}
