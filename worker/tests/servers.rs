//! Runtime servers in their sandboxes: real processes, and what they can do there, which is answer.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use harness::*;
use tokio::io::AsyncWriteExt;
use worker::server::{NotLeased, Servers, process::Why};

mod harness;

/// Without control groups (Everfold is not root, and nobody delegated one to it) what they bound is not promised.
fn has_groups(servers: &Servers) -> bool {
    let has = servers.layers().iter().any(|layer| layer.name == "control groups" && layer.holds);
    if !has {
        println!("no control groups here: not tested");
    }
    has
}

#[test]
fn a_server_answers_from_its_sandbox_and_the_next_call_finds_it_warm() {
    hold(async {
        let (servers, function) = (servers().await, Function::usual());
        for layer in servers.layers() {
            println!("{} {} {}", layer.name, layer.holds, layer.detail);
        }
        let first = servers.lease(&function.launch).await.expect("a lease");
        assert!(first.is_cold() && first.started_in() > Duration::ZERO);
        println!("started in {:?}", first.started_in());
        assert_eq!(ask(&first, "answer = os.environ['COLOUR'] + open('/function/code').read()").await, "greenthe code");
        let instance = first.instance();
        drop(first);
        let second = servers.lease(&function.launch).await.expect("a lease");
        assert!(!second.is_cold());
        assert_eq!(second.instance(), instance);
        assert_eq!(ask(&second, "answer = 1 + 1").await, "2");
    });
}

#[test]
fn a_busy_loop_is_killed_at_once_and_replaced_while_others_go_on() {
    hold(async {
        let servers = servers().await;
        let ((loops, mark), other) = (marked(Function::usual()), Function::usual());
        let (lease, beside) =
            (servers.lease(&loops.launch).await.expect("a lease"), servers.lease(&loops.launch).await);
        let beside = beside.expect("a second seat in the same instance");
        assert_eq!(lease.instance(), beside.instance());
        let bystander = servers.lease(&other.launch).await.expect("a lease of another");
        let mut connection = lease.connect().await.expect("a connection");
        connection
            .write_all(b"\"import os\\nfor n in range(3): os.fork()\\nwhile True: pass\"\n")
            .await
            .expect("a question");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(processes_with(&mark).len() > 3, "it loops in many processes");
        let begun = Instant::now();
        lease.kill(Why::TimedOut);
        let ended = soon(lease.ended()).await;
        let took = begun.elapsed();
        println!("all dead after {took:?}, {ended:?}");
        assert_eq!(ended.why, Why::TimedOut);
        assert_eq!(soon(beside.ended()).await.why, Why::TimedOut, "who sits beside is told");
        assert!(processes_with(&mark).is_empty(), "nothing of it is left");
        assert!(ended.cpu_ms > 50 || !has_groups(&servers), "{ended:?}");
        assert!(took < Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 250 }), "{took:?}");
        assert_eq!(ask(&bystander, "answer = 'on'").await, "on");
        let next = servers.lease(&loops.launch).await.expect("another instance");
        assert!(next.is_cold());
        assert_eq!(ask(&next, "answer = 'anew'").await, "anew");
    });
}

#[test]
fn what_burns_its_processor_time_ends_for_that() {
    hold(async {
        let servers = servers().await;
        if !has_groups(&servers) {
            return;
        }
        let function = Function::new(limits(|limits| limits.cpu_seconds = 1));
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let (answer, ended) = tokio::join!(ask(&lease, "while True: pass"), soon(lease.ended()));
        assert_eq!((answer.as_str(), ended.why), ("", Why::CpuExceeded));
        assert!((1_000..4_000).contains(&ended.cpu_ms), "{ended:?}");
        // Between requests as well.
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let burn =
            "import threading\ndef burn():\n while True: pass\nthreading.Thread(target=burn).start()\nanswer = 1";
        assert_eq!(ask(&lease, burn).await, "1");
        let instance = lease.instance();
        let ended = async { lease.ended().await };
        assert_eq!(soon(ended).await.why, Why::CpuExceeded, "{instance}");
    });
}

#[test]
fn who_takes_all_memory_ends_for_that_and_says_so() {
    hold(async {
        let servers = servers().await;
        if !has_groups(&servers) {
            return;
        }
        let function = Function::new(limits(|limits| limits.memory_bytes = 64 << 20));
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let (_, ended) = tokio::join!(ask(&lease, "answer = len(bytearray(256 << 20))"), soon(lease.ended()));
        println!("{ended:?}");
        assert_eq!(ended.why, Why::OutOfMemory);
        assert!((48 << 20..=64 << 20).contains(&ended.memory_peak_bytes), "{ended:?}");
        // What lies in files in memory counts.
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let fill = "import os\nmemory = os.memfd_create('x')\nfor n in range(256): os.write(memory, bytes(1 << 20))";
        let (_, ended) = tokio::join!(ask(&lease, fill), soon(lease.ended()));
        assert_eq!(ended.why, Why::OutOfMemory);
    });
}

#[test]
fn a_fork_bomb_stays_within_its_number_of_processes() {
    hold(async {
        let servers = servers().await;
        let (function, mark) = marked(Function::new(limits(|limits| limits.processes = 20)));
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let bomb = "import os, time\nmade = 0\ntry:\n while made < 500:\n  if os.fork() == 0: time.sleep(60)\n  made += 1\nexcept OSError as error: answer = f'{made} {error.errno}'";
        let answer = ask(&lease, bomb).await;
        let (made, errno) = answer.split_once(' ').expect("it was stopped");
        assert_eq!(errno, "11", "{answer}");
        assert!(made.parse::<usize>().is_ok_and(|made| made <= 22), "{answer}");
        assert!(processes_with(&mark).len() <= 26);
        lease.kill(Why::TimedOut);
        soon(lease.ended()).await;
        assert!(processes_with(&mark).is_empty());
    });
}

#[test]
fn an_exit_is_told_with_its_code_and_a_crash_with_its_signal() {
    hold(async {
        let (servers, function) = (servers().await, Function::usual());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let (_, ended) =
            tokio::join!(ask(&lease, "import os; print('farewell', flush=True); os._exit(3)"), lease.ended());
        assert_eq!(ended.why, Why::Exited(3));
        assert_eq!(ended.lines.last().map(String::as_str), Some("farewell"));
        let lease = servers.lease(&function.launch).await.expect("another instance");
        let (_, ended) = tokio::join!(ask(&lease, "import os; os.kill(os.getpid(), 11)"), lease.ended());
        assert_eq!(ended.why, Why::Signalled(11));
    });
}

#[test]
fn a_crash_at_start_is_told_with_its_last_twenty_lines() {
    hold(async {
        let servers = servers().await;
        let function = Function::usual()
            .before("for n in range(50): print('line', n, flush=True)\nraise SystemExit('no such module')");
        match servers.lease(&function.launch).await.map(drop) {
            Err(NotLeased::CrashedAtStart(ended)) => {
                assert_eq!((ended.why, ended.lines.len()), (Why::Exited(1), 20));
                assert_eq!(ended.lines[19], "no such module");
                assert_eq!(ended.lines[18], "line 49");
            }
            other => panic!("{other:?}"),
        }
        let (silent, mark) =
            marked(Function::new(limits(|limits| limits.start_ms = 300)).before("import time; time.sleep(60)"));
        match servers.lease(&silent.launch).await.map(drop) {
            Err(NotLeased::NotReady { why, .. }) => assert!(why.contains("300 ms"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(processes_with(&mark).is_empty());
        let mut absent = Function::usual();
        absent.launch.argv[0] = "/usr/bin/absent".into();
        match servers.lease(&absent.launch).await.map(drop) {
            Err(NotLeased::NotReady { why, .. }) => assert!(why.contains("/usr/bin/absent"), "{why}"),
            // Without control groups another program stands between.
            Err(NotLeased::CrashedAtStart(ended)) if !has_groups(&servers) => assert_eq!(ended.why, Why::Exited(127)),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn no_address_is_reached_from_inside() {
    hold(async {
        let (servers, function) = (servers().await, Function::usual());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let listener = std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let own = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
        // No packet is sent: it only asks which address would be used.
        let own = own
            .connect("192.0.2.1:9")
            .and_then(|()| own.local_addr())
            .map_or("127.0.0.1".into(), |own| own.ip().to_string());
        for host in ["127.0.0.1", &own, "169.254.169.254", "10.0.0.1", "1.1.1.1"] {
            let tcp = attempt(&lease, &format!("socket.create_connection(('{host}', {port}), 1)")).await;
            assert!(tcp.contains("Errno"), "{host}: {tcp}");
            if host != "127.0.0.1" {
                let udp = attempt(
                    &lease,
                    &format!("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('{host}', 53))"),
                )
                .await;
                assert!(udp.contains("Network is unreachable"), "{host}: {udp}");
            }
        }
        let interfaces = "answer = [line.split(':')[0].strip() for line in open('/proc/net/dev').readlines()[2:]]";
        assert_eq!(ask(&lease, interfaces).await, "['lo']");
        let scan = "import socket\nopen_ports = 0\nfor port in range(1, 65536):\n with socket.socket() as s:\n  # A connection may meet itself.\n  open_ports += s.connect_ex(('127.0.0.1', port)) == 0 and s.getsockname() != s.getpeername()\nanswer = open_ports";
        assert_eq!(ask(&lease, scan).await, "0");
        for family in ["AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG", "AF_BLUETOOTH"] {
            let made = attempt(&lease, &format!("socket.socket(socket.{family}, socket.SOCK_RAW if '{family}' in ('AF_NETLINK', 'AF_PACKET') else socket.SOCK_STREAM if '{family}' != 'AF_ALG' else socket.SOCK_SEQPACKET)")).await;
            assert!(made.starts_with("PermissionError"), "{family}: {made}");
        }
        let name = format!("everfold-servers-{port}");
        let address = <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&name);
        let _abstract = std::os::unix::net::UnixListener::bind_addr(&address.expect("a name")).expect("a listener");
        let reached = attempt(&lease, &format!("socket.socket(socket.AF_UNIX).connect('\\0{name}')")).await;
        assert!(reached.contains("refused") || reached.contains("not permitted"), "{reached}");
    });
}

#[test]
fn nothing_of_the_machine_and_of_other_functions_is_seen() {
    hold(async {
        let servers = servers().await;
        let (function, other) = (Function::usual(), Function::usual());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let neighbour = servers.lease(&other.launch).await.expect("a lease of another");
        assert_eq!(ask(&neighbour, "open('/tmp/mine', 'w').write('x'); answer = 'kept'").await, "kept");
        let hidden = [
            "/etc/shadow",
            "/etc/hostid",
            "/root",
            "/home",
            "/work",
            "/var/lib",
            "/sys",
            "/boot",
            "/tmp/mine",
            "/run/docker.sock",
            "/dev/sda",
            "/dev/vda",
            "/dev/kmsg",
            "/dev/mem",
            other.path().to_str().expect("a path"),
            function.path().to_str().expect("a path"),
            env!("CARGO_MANIFEST_DIR"),
        ];
        for path in hidden {
            let seen = attempt(&lease, &format!("os.stat('{path}')")).await;
            assert!(seen.starts_with("FileNotFoundError"), "{path}: {seen}");
        }
        assert_eq!(
            ask(&lease, "answer = sorted(n for n in os.listdir('/') if not n.startswith('lib'))").await,
            "['bin', 'dev', 'etc', 'function', 'proc', 'run', 'runtime', 'sbin', 'tmp', 'usr', 'var']"
        );
        // Bubblewrap's first process and its own.
        assert_eq!(ask(&lease, "answer = [p for p in os.listdir('/proc') if p.isdigit()]").await, "['1', '2']");
        let passwd = ask(&lease, "answer = open('/etc/passwd').read()").await;
        assert_eq!(passwd.lines().count(), 3, "{passwd}");
        let open = ask(&lease, "answer = sorted(int(n) for n in os.listdir('/proc/self/fd'))").await;
        assert!(open.starts_with("[0, 1, 2, 3"), "{open}");
        let ours = ask(&lease, "answer = [os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}')]").await;
        assert!(!ours.contains("memfd") && !ours.contains("cgroup") && !ours.contains("/work"), "{ours}");
        assert_eq!(
            ask(&lease, "answer = (os.getuid(), os.getgid(), os.getgroups(), os.uname().nodename)").await,
            "(1000, 1000, [], 'function')"
        );
    });
}

#[test]
fn the_code_the_runtime_and_the_system_cannot_be_written_and_tmp_ends() {
    hold(async {
        let servers = servers().await;
        let function = Function::new(limits(|limits| limits.tmp_bytes = 1 << 20));
        for open in ["tree", "tree/code", "runtime"] {
            // Its owner would let anybody write.
            fs::set_permissions(function.path().join(open), fs::Permissions::from_mode(0o777)).expect("open to all");
        }
        let lease = servers.lease(&function.launch).await.expect("a lease");
        for path in [
            "/function/x",
            "/function/code",
            "/runtime/x",
            "/usr/x",
            "/etc/passwd",
            "/x",
            "/run/x",
            "/dev/x",
            "/proc/sys/kernel/hostname",
            "/bin/x",
        ] {
            let written = attempt(&lease, &format!("open('{path}', 'a').write('x')")).await;
            let is_ours = path.starts_with("/function") || path.starts_with("/runtime");
            assert!(
                written.contains("Read-only file system") || (written.starts_with("PermissionError") && !is_ours),
                "{path}: {written}"
            );
        }
        assert!(attempt(&lease, "open('/tmp/a', 'wb').write(bytes(2 << 20))").await.contains("No space left"));
        assert!(attempt(&lease, "open('/dev/shm/a', 'wb').write(bytes(32 << 20))").await.contains("No space left"));
        assert!(attempt(&lease, "open('/run/everfold/a', 'wb').write(bytes(2 << 20))").await.contains("No space left"));
        assert_eq!(fs::read_to_string(function.path().join("tree/code")).expect("code"), "the code");
    });
}

#[test]
fn the_secret_is_told_to_the_server_and_lies_nowhere() {
    hold(async {
        let (servers, function) = (servers().await, Function::usual());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let secret = lease.secret().to_owned();
        assert_eq!(secret.len(), 48);
        assert_eq!(ask(&lease, "answer = SECRET").await, secret);
        let look = "import glob\nseen = ''\nfor path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):\n try: seen += open(path).read()\n except OSError: pass\nanswer = (SECRET in seen, 'COLOUR' in seen)";
        assert_eq!(ask(&lease, look).await, "(False, True)");
        // Nor from outside, where everybody sees the arguments of every process.
        for id in processes_with("") {
            let line =
                String::from_utf8_lossy(&fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default()).into_owned();
            assert!(!line.contains(&secret) && !line.contains("COLOUR\0green"), "{line}");
        }
        let again = servers.lease(&Function::usual().launch).await.expect("a lease");
        assert_ne!(again.secret(), secret);
    });
}

#[test]
fn there_is_no_way_up_and_no_way_out() {
    hold(async {
        let (servers, function) = (servers().await, Function::usual());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let call = |name: &str, arguments: &str| {
            format!(
                "import ctypes, errno\nlibc = ctypes.CDLL(None, use_errno=True)\nctypes.set_errno(0)\nresult = libc.{name}({arguments})\nanswer = result if result != -1 else errno.errorcode[ctypes.get_errno()]"
            )
        };
        let attempts = [
            ("unshare", "0x10000000", "EPERM"), // a namespace of users
            ("unshare", "0x00020000", "EPERM"), // of mounts
            ("mount", "b'x', b'/tmp', b'tmpfs', 0, None", "EPERM"),
            ("umount2", "b'/usr', 2", "EPERM"),
            ("chroot", "b'/tmp'", "EPERM"),
            ("ptrace", "16, 1, 0, 0", "EPERM"), // attach to bubblewrap's
            ("process_vm_readv", "1, None, 0, None, 0, 0", "EPERM"),
            ("setuid", "0", "EINVAL"), // there is no root inside
            ("setns", "3, 0", "EPERM"),
            ("syscall", "435, None, 0", "ENOSYS"),              // clone3
            ("syscall", "56, 0x10000011, 0, 0, 0, 0", "EPERM"), // clone into a namespace of users
            ("syscall", "425, 8, None", "ENOSYS"),              // io_uring
            ("syscall", "250, 0, 0", "EPERM"),                  // keyctl
            ("syscall", "321, 0, None, 0", "EPERM"),            // bpf
            ("syscall", "298, None, 0, -1, -1, 0", "EPERM"),    // perf_event_open
            ("syscall", "323, 0", "EPERM"),                     // userfaultfd
            ("syscall", "246, 0, 0, None, 0", "EPERM"),         // kexec_load
            ("syscall", "304, -1, None, 0", "EPERM"),           // open_by_handle_at
            ("syscall", "0x40000000 | 39", "ENOSYS"),           // the other set of numbers
            ("ioctl", "0, 0x5412, b'x'", "EPERM"),              // type into a terminal
        ];
        for (name, arguments, expected) in attempts {
            assert_eq!(ask(&lease, &call(name, arguments)).await, expected, "{name}({arguments})");
        }
        let outside = std::process::id();
        assert!(attempt(&lease, &format!("os.kill({outside}, 9)")).await.starts_with("ProcessLookupError"));
        assert!(
            attempt(&lease, "os.mknod('/tmp/device', 0o20666, os.makedev(1, 1))").await.starts_with("PermissionError")
        );
        assert_eq!(ask(&lease, "answer = [line for line in open('/proc/self/status').read().splitlines() if line.startswith(('CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp:'))]").await,
            "['CapEff:\\t0000000000000000', 'CapBnd:\\t0000000000000000', 'NoNewPrivs:\\t1', 'Seccomp:\\t2']");
        // Nobody but itself is there to be ended.
        assert_eq!(attempt(&lease, "os.kill(-1, 9)").await, "ProcessLookupError: [Errno 3] No such process");
    });
}

#[test]
fn what_takes_the_place_of_the_socket_is_not_followed() {
    hold(async {
        let (servers, function) = (servers().await, Function::usual());
        let folder = tempfile::tempdir().expect("a folder");
        let lure = folder.path().join("docker.sock");
        let listener = std::os::unix::net::UnixListener::bind(&lure).expect("a socket of the machine");
        listener.set_nonblocking(true).expect("it does not wait");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("open to all");
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let replace = format!(
            "os.unlink('/run/everfold/http.sock'); os.symlink('{}', '/run/everfold/http.sock'); answer = 'replaced'",
            lure.display()
        );
        assert_eq!(ask(&lease, &replace).await, "replaced");
        let refused = lease.connect().await.map(drop).expect_err("no connection");
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidData);
        assert_eq!(soon(lease.ended()).await.why, Why::SocketReplaced);
        assert!(listener.accept().is_err(), "nobody came to the machine's socket");
        // The same before it ever accepted, and the folder moved away.
        let early = Function::usual().before(&format!(
            "os.symlink('{}', '/run/everfold/http.sock')\nimport time; time.sleep(60)",
            lure.display()
        ));
        match servers.lease(&early.launch).await.map(drop) {
            Err(NotLeased::CrashedAtStart(ended)) => assert_eq!(ended.why, Why::SocketReplaced),
            other => panic!("{other:?}"),
        }
        assert!(listener.accept().is_err(), "nobody came to the machine's socket");
        let lease = servers.lease(&Function::usual().launch).await.expect("a lease");
        assert!(attempt(&lease, "os.rename('/run/everfold', '/run/other')").await.starts_with("OSError"));
    });
}

#[test]
fn each_request_gets_its_own_log_whole_and_in_order() {
    hold(async {
        let (servers, function) = (servers().await, Function::usual());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let (mut one, mut two) = (lease.logs("one"), lease.logs("two"));
        let code = "for n in range(100):\n log('one', f'a{n}')\n log('two', f'b{n}', 'errors')\n log('three', 'nobody listens')\nlogs.write('no JSON\\n')\nend('one'); end('two'); answer = 'said'";
        assert_eq!(ask(&lease, code).await, "said");
        for n in 0..100 {
            let (a, b) = (soon(one.next()).await.expect("an entry"), soon(two.next()).await.expect("an entry"));
            assert_eq!((a.text, b.text), (format!("a{n}"), format!("b{n}")));
            assert_ne!(a.stream, b.stream);
        }
        assert!(soon(one.next()).await.is_none() && soon(two.next()).await.is_none());
        let mut cut = lease.logs("cut");
        let (_, ended) = tokio::join!(ask(&lease, "log('cut', 'last words'); os._exit(0)"), lease.ended());
        assert_eq!(ended.why, Why::Exited(0));
        assert_eq!(soon(cut.next()).await.expect("an entry").text, "last words");
        assert!(soon(cut.next()).await.is_none(), "a log ends with its server");
    });
}

#[test]
fn a_flood_of_logs_is_bounded_and_counted() {
    hold(async {
        let (servers, function) = (servers().await, Function::usual());
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let mut logs = lease.logs("flood");
        let flood = "for n in range(2000): log('flood', 'x' * 8000)\nlogs.write('y' * (1 << 20) + '\\n')\nprint('z' * (1 << 20), flush=True)\nend('flood')\nanswer = 'said'";
        assert_eq!(soon(ask(&lease, flood)).await, "said");
        let (mut entries, mut bytes) = (0, 0);
        while let Some(entry) = soon(logs.next()).await {
            entries += 1;
            bytes += entry.text.len();
        }
        assert!(bytes <= 5 << 20 && entries > 500, "{entries} entries, {bytes} bytes");
        assert_eq!(logs.dropped() + entries, 2000);
        lease.kill(Why::Rolled);
        let ended = lease.ended().await;
        assert!(ended.lines.iter().all(|line| line.len() <= 2048), "its lines are cut");
    });
}

#[test]
fn who_finds_no_seat_waits_and_then_is_told_when_to_come_again() {
    hold(async {
        let servers = servers().await;
        let function = Function::new(limits(|limits| {
            (limits.concurrency, limits.instances_max, limits.queue_wait_ms) = (1, 1, 300)
        }));
        let held = servers.lease(&function.launch).await.expect("a lease");
        match servers.lease(&function.launch).await.map(drop) {
            Err(NotLeased::QueueFull { retry_after_s }) => assert!(retry_after_s >= 1),
            other => panic!("{other:?}"),
        }
        let waiting = async {
            let begun = Instant::now();
            (servers.lease(&function.launch).await.expect("a seat"), begun.elapsed())
        };
        let giving = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(held);
        };
        let ((lease, waited), ()) = tokio::join!(waiting, giving);
        assert!(!lease.is_cold() && waited < Duration::from_millis(250), "{waited:?}");
    });
}

#[test]
fn the_next_instance_is_started_before_it_is_needed() {
    hold(async {
        let servers = servers().await;
        let function = Function::new(limits(|limits| (limits.concurrency, limits.instances_max) = (1, 2)));
        drop(servers.lease(&function.launch).await.expect("a lease"));
        assert_eq!(servers.instances(&function.launch.key), 1);
        let _held = servers.lease(&function.launch).await.expect("the warm one");
        until("a second one is started", || servers.instances(&function.launch.key) == 2).await;
        let second = servers.lease(&function.launch).await.expect("the one beside it");
        assert!(!second.is_cold());
    });
}

#[test]
fn an_idle_instance_ends_and_one_at_work_does_not() {
    hold(async {
        let servers = servers().await;
        let (function, mark) = marked(Function::new(limits(|limits| limits.idle_ms = 200)));
        let lease = servers.lease(&function.launch).await.expect("a lease");
        assert_eq!(ask(&lease, "import time; time.sleep(1); answer = 'done'").await, "done", "never mid-request");
        let ended = async {
            let ended = lease.ended();
            tokio::pin!(ended);
            tokio::time::timeout(Duration::from_millis(1), &mut ended).await.is_ok()
        };
        assert!(!ended.await);
        drop(lease);
        until("it ends", || processes_with(&mark).is_empty()).await;
        assert_eq!(servers.instances(&function.launch.key), 0);

        let (kept, mark) = marked(Function::new(limits(|limits| (limits.idle_ms, limits.instances_min) = (100, 1))));
        servers.keep_warm(&kept.launch);
        until("one is started", || servers.instances(&kept.launch.key) == 1).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let lease = servers.lease(&kept.launch).await.expect("a lease");
        assert!(!lease.is_cold(), "one is kept warm");
        lease.kill(Why::TimedOut);
        soon(lease.ended()).await;
        until("another takes its place", || servers.instances(&kept.launch.key) == 1).await;
        servers.stop().await;
        assert!(processes_with(&mark).is_empty());
    });
}

#[test]
fn a_drained_instance_ends_with_its_last_request_and_the_next_call_gets_a_new_one() {
    hold(async {
        let (servers, function) = (servers().await, Function::usual());
        let (one, two) = (
            servers.lease(&function.launch).await.expect("a lease"),
            servers.lease(&function.launch).await.expect("a lease"),
        );
        servers.drain(&function.launch.key);
        let new = servers.lease(&function.launch).await.expect("a lease");
        assert!(new.is_cold());
        assert_ne!(new.instance(), one.instance());
        drop(two);
        assert_eq!(ask(&one, "answer = 'still here'").await, "still here");
        let ended = {
            let instance = one.watch();
            drop(one);
            soon(instance).await
        };
        assert_eq!(ended.why, Why::Rolled);
        assert_eq!(ask(&new, "answer = 'new'").await, "new");
    });
}

#[test]
fn instances_end_with_everfold_however_it_ends() {
    if env::var_os("EVERFOLD_TEST_HOST").is_some() {
        hold(async {
            let (servers, (function, mark)) = (servers().await, marked(Function::usual()));
            let _lease = servers.lease(&function.launch).await.expect("a lease");
            println!("{mark}");
            std::future::pending::<()>().await;
        });
    }
    let test = "instances_end_with_everfold_however_it_ends";
    let mut host = std::process::Command::new(env::current_exe().expect("this test"))
        .args(["--exact", test, "--nocapture"])
        .env("EVERFOLD_TEST_HOST", "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("a host");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(host.stdout.take().expect("its output")));
    let mark = lines.map_while(Result::ok).find(|line| line.starts_with("mark-")).expect("it started a server");
    assert!(processes_with(&mark).len() >= 2, "bubblewrap and the server");
    host.kill().expect("killed");
    host.wait().expect("dead");
    hold(until("its servers ended", || processes_with(&mark).is_empty()));
}

#[test]
fn a_build_writes_its_tree_and_nothing_else_and_a_server_reads_it() {
    hold(async {
        let (servers, function) = (servers().await, Function::usual());
        let command = "echo building $CI; mkdir -m 700 made; umask 077; echo made > made/file; ln -s /etc/shadow made/link; touch /runtime/x; touch /usr/x; id -u; exec 2>&1; ls /root";
        let (output, ended) = built(&servers, build(&function, command)).await;
        assert!(
            output.starts_with("building true\n") && output.contains("Read-only") && output.contains("1000\n"),
            "{output}"
        );
        assert_eq!(ended.why, Why::Exited(2));
        assert_eq!(
            fs::metadata(function.path().join("tree/made/file"))
                .map(|file| std::os::unix::fs::MetadataExt::uid(&file))
                .ok(),
            Some(rustix::process::geteuid().as_raw())
        );
        let lease = servers.lease(&function.launch).await.expect("a lease");
        assert_eq!(ask(&lease, "answer = open('/function/made/file').read().strip()").await, "made");
        assert!(attempt(&lease, "open('/function/made/link').read()").await.starts_with("FileNotFoundError"));
    });
}

#[test]
fn a_build_ends_at_its_time_at_its_size_and_when_it_is_cancelled() {
    hold(async {
        let (servers, function) = (servers().await, Function::usual());
        let mut slow = build(&function, "echo begun; sleep 60");
        slow.limits.wall_ms = 300;
        let (output, ended) = built(&servers, slow).await;
        assert_eq!((output.as_str(), ended.why), ("begun\n", Why::TimedOut));

        let mut large = build(&function, "head -c 30000000 /dev/zero > large");
        large.limits.tree_bytes = 10_000_000;
        assert_eq!(built(&servers, large).await.1.why, Why::TreeTooLarge);

        let mut loud = build(&function, "head -c 5000000 /dev/zero | tr '\\0' x");
        loud.limits.output_bytes = 100_000;
        let (output, ended) = built(&servers, loud).await;
        assert_eq!((output.len(), ended.why), (100_000, Why::Exited(0)));

        let mut building = servers.run(build(&function, "echo begun; sleep 60")).await.expect("it runs");
        assert_eq!(soon(building.next()).await.as_deref(), Some(&b"begun\n"[..]));
        building.cancel();
        assert_eq!(soon(building.ended()).await.expect("an end").why, Why::Cancelled);
    });
}

/// Not a promise: what the sandbox costs beside the language itself, printed.
#[test]
fn what_a_cold_start_costs() {
    hold(async {
        let servers = servers().await;
        let (mut bare, mut inside) = (Vec::new(), Vec::new());
        for _ in 0..15 {
            let function = Function::usual();
            let socket = function.path().join("socket");
            let begun = Instant::now();
            let mut child = std::process::Command::new("/usr/bin/nice")
                .args(["-n5", "/usr/bin/python3"])
                .args(["-IS".as_ref(), function.launch.runtime.join("server.py").as_os_str()])
                .env("EVERFOLD_SOCKET", &socket)
                .env("EVERFOLD_LOGS", "/dev/null")
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::null())
                .spawn()
                .expect("python");
            drop(child.stdin.take());
            while tokio::net::UnixStream::connect(&socket).await.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            bare.push(begun.elapsed());
            child.kill().and_then(|()| child.wait()).expect("an end");
            let begun = Instant::now();
            let lease = servers.lease(&function.launch).await.expect("a lease");
            inside.push(begun.elapsed());
            drop(lease);
            servers.drain(&function.launch.key);
        }
        bare.sort();
        inside.sort();
        println!(
            "cold start: bare {:?} (least {:?}), in the sandbox {:?} (least {:?})",
            bare[7], bare[0], inside[7], inside[0]
        );
    });
}
