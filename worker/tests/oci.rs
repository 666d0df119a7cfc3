//! Containers. **No engine runs in CI**: all but the last test speak to `oci/podman.py`, which writes down what it is
//! told, gives the answers that podman 4.3.1 gave, and starts the server with nothing around it. So they hold what is
//! asked of an engine, and what is made of its answers. What an engine then does is seen by the last test alone, which
//! runs where there is a podman that can, and says so where there is none.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use harness::*;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use worker::{
    runtimes::{self, Places, Runtimes, Standing},
    server::{
        Config, NotLeased, Servers,
        call::{self, Asked},
        launch::{Image, Network},
        oci,
        process::Why,
    },
};

mod harness;

const IMAGE: &str = "docker.io/library/python:3.12.14-slim-bookworm";

fn image() -> Option<Image> {
    Some(Image::try_from(IMAGE.to_owned()).expect("a name"))
}

/// What `podman info` said on Debian 12, as far as it is asked about.
fn podman_told() -> Value {
    json!({
        "host": {
            "cgroupControllers": ["cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "pids"],
            "security": {"rootless": !is_root(), "seccompEnabled": true, "selinuxEnabled": false},
            "serviceIsRemote": false,
        },
        "version": {"APIVersion": "4.3.1", "Version": "4.3.1"},
    })
}

fn docker_told() -> Value {
    json!({
        "ServerVersion": "28.2.2", "MemoryLimit": true, "PidsLimit": true, "CpuCfsQuota": true,
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
        "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    })
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// An engine that only says that it is one.
struct Fake(tempfile::TempDir);

impl Fake {
    fn new() -> Fake {
        Fake::named("podman", &podman_told())
    }

    fn named(name: &str, told: &Value) -> Fake {
        let fake = Fake(tempfile::tempdir().expect("a folder"));
        fs::create_dir(fake.at("containers")).expect("a folder");
        fs::write(fake.at(name), include_str!("oci/podman.py")).expect("a program");
        fs::set_permissions(fake.at(name), fs::Permissions::from_mode(0o755)).expect("it may be run");
        fs::write(fake.at("info"), told.to_string()).expect("a file");
        fs::write(fake.at("images"), IMAGE).expect("a file");
        fake
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self) -> Config {
        let programs = vec![self.at("podman"), self.at("docker")];
        let variables = vec![("HOME".into(), self.0.path().into()), ("HOSTS_OWN".into(), "of Everfold".into())];
        Config { containers: oci::Config { programs, variables }, ..Config::default() }
    }

    async fn servers(&self) -> Servers {
        Servers::start(self.config()).await.expect("this machine makes sandboxes")
    }

    /// What it was told by each call of a command.
    fn calls(&self, command: &str) -> Vec<Vec<String>> {
        let calls = fs::read_to_string(self.at("calls")).unwrap_or_default();
        let words = |line: &str| -> Vec<String> {
            let call: Value = serde_json::from_str(line).expect("a call");
            serde_json::from_value(call["words"].clone()).expect("words")
        };
        calls.lines().map(words).filter(|words| words[0] == command).collect()
    }

    fn run(&self) -> Vec<String> {
        self.calls("run").pop().expect("it was told to run something")
    }
}

fn contained() -> Function {
    let mut function = Function::usual();
    function.launch.image = image();
    function
}

/// Each word that an engine is told, less what differs each time, and what it keeps.
fn walls(function: &Function, words: &[String]) -> BTreeMap<String, &'static str> {
    let limits = function.launch.limits;
    let user = words.iter().find_map(|word| word.strip_prefix("--user=")).expect("a user");
    let mut walls = BTreeMap::from(
        [
            ("--label=everfold", "who starts next finds it"),
            ("--pull=never", "what runs here is what the operator took"),
            ("--interactive", "the secret is told on its input"),
            ("--log-driver=none", "what it prints fills no disk"),
            ("--no-healthcheck", "nothing else is started in it"),
            ("--stop-timeout=0", "it is killed at once"),
            ("--network=none", "it reaches nobody"),
            ("--ipc=private", "shared memory is its own"),
            ("--cgroupns=private", "it sees no other group"),
            ("--hostname=function", "it does not learn the machine's name"),
            ("--cap-drop=ALL", "it has no right of root's"),
            ("--security-opt=no-new-privileges", "nor comes to one"),
            ("--read-only", "it writes nowhere else"),
            ("--cpus=1", "others have the rest of the processors"),
            ("--shm-size=16777216", "memory of files ends"),
            ("--ulimit=core=0:0", "no dump of it is written"),
            ("--ulimit=memlock=65536:65536", "it locks no memory"),
            ("--ulimit=msgqueue=0:0", "it has no queues"),
            ("--ulimit=fsize=268435456:268435456", "files end"),
            ("--ulimit=nofile=4096:4096", "descriptors end"),
            ("--read-only-tmpfs=false", "no folder in memory is without end"),
            ("--image-volume=ignore", "no folder on the disk is without end"),
            ("--http-proxy=false", "it is told nothing of the machine's network"),
            ("--systemd=false", "it is no system"),
            ("--workdir=/function", "where code expects to be"),
            ("--entrypoint=/usr/bin/python3", "not what the image says"),
        ]
        .map(|(word, why)| (word.to_owned(), why)),
    );
    let mut more = vec![
        (format!("--memory={}", limits.memory_bytes), "memory ends"),
        (format!("--memory-swap={}", limits.memory_bytes), "and is not taken from swap"),
        (format!("--pids-limit={}", limits.processes), "processes end"),
        (
            format!("--tmpfs=/tmp:rw,exec,nosuid,nodev,mode=1777,size={},notmpcopyup", limits.tmp_bytes),
            "what it writes ends, and goes with it",
        ),
        (
            format!("--mount=type=bind,source={},target=/function,readonly", function.launch.tree.display()),
            "its code stays as it is",
        ),
        (
            format!("--mount=type=bind,source={},target=/runtime,readonly", function.launch.runtime.display()),
            "the server stays as it is",
        ),
        (format!("--user={user}"), "it is nobody of the machine"),
    ];
    if is_root() {
        let id: u32 = user.split(':').next().and_then(|id| id.parse().ok()).expect("a number");
        assert!(id >= 0x7000_0000 && user == format!("{id}:{id}"), "a user of its own: {user}");
        more.push((format!("--ulimit=nproc={0}:{0}", limits.processes + 3), "processes end by user, too"));
        more.push(("--userns=host".into(), "so that this user is that of the machine"));
    } else {
        more.push(("--userns=keep-id".into(), "so that this user is that of the machine"));
    }
    walls.extend(more);
    walls
}

#[test]
fn every_wall_of_a_container_is_asked_for_and_nothing_else() {
    hold(async {
        let (fake, function) = (Fake::new(), contained());
        let servers = fake.servers().await;
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let words = fake.run();
        let walls = walls(&function, &words);
        for (word, why) in &walls {
            assert_eq!(words.iter().filter(|one| *one == word).count(), 1, "{why}: {word} in {words:#?}");
        }
        // Its folder, which nobody else may enter, and an /etc/hosts that says nothing of the machine.
        let shown = |target: &str| {
            let end = format!(",target={target}");
            let mount = words.iter().find(|word| word.ends_with(&end)).expect(target);
            PathBuf::from(
                mount
                    .strip_prefix("--mount=type=bind,source=")
                    .and_then(|word| word.strip_suffix(&end))
                    .expect("a path"),
            )
        };
        let socket = shown("/run/everfold");
        let private = socket.parent().and_then(Path::parent).expect("a folder");
        assert_eq!(fs::metadata(private).expect("a folder").mode() & 0o777, 0o700);
        let hosts = fs::read_to_string(shown("/etc/hosts,readonly")).expect("hosts");
        assert_eq!(hosts, "127.0.0.1 localhost function\n::1 localhost\n");
        let image = words.iter().position(|word| word == IMAGE).expect("an image");
        assert_eq!(words[image + 1..], ["-IS", "/runtime/server.py"]);
        let others: Vec<_> = words[1..image].iter().filter(|word| !walls.contains_key(*word)).collect();
        let named = ["--name=everfold-", "--mount=", "--mount=", "--env-file="];
        assert_eq!(others.len(), named.len(), "{others:#?}");
        assert!(others.iter().zip(named).all(|(word, begin)| word.starts_with(begin)), "{others:#?}");
        drop(lease);
    });
}

#[test]
fn docker_is_told_the_same_in_its_own_words() {
    hold(async {
        let (fake, function) = (Fake::named("docker", &docker_told()), contained());
        let servers = fake.servers().await;
        assert_eq!(servers.engine(), Ok("docker 28.2.2".into()));
        let _lease = servers.lease(&function.launch).await.expect("a lease");
        let words = fake.run();
        let of_podman = ["--read-only-tmpfs=false", "--image-volume=ignore", "--http-proxy=false", "--systemd=false"];
        for (word, why) in walls(&function, &words) {
            let word = word.trim_end_matches(",notmpcopyup").replace("keep-id", "host");
            assert_eq!(words.contains(&word), !of_podman.contains(&word.as_str()), "{why}: {word} in {words:#?}");
        }
    });
}

#[test]
fn a_server_in_a_container_keeps_the_contract() {
    hold(async {
        let fake = Fake::new();
        keeps_the_contract(&fake.servers().await, image()).await;
        let environment = fs::read_to_string(fake.at("calls")).expect("calls");
        assert!(
            environment.lines().all(|line| line.contains(r#""environment": ["HOME", "HOSTS_OWN""#)),
            "{environment}"
        );
    });
}

/// The server of Python, asked as a function is.
async fn keeps_the_contract(servers: &Servers, image: Option<Image>) {
    let mut function = Function::usual();
    function.launch.image = image;
    function.launch.runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes/python");
    function.launch.argv = ["python3", "/runtime/server.py"].map(str::to_owned).to_vec();
    function.launch.env.push(("EVERFOLD_FUNCTION".into(), "/function".into()));
    let code = "import os\ndef main(context):\n context.log('was', 'called')\n context.error('and erred')\n return context.res.text(context.req.method + context.req.path + context.req.body_text + os.environ['COLOUR'], 201, {'x-mine': 'yes'})\n";
    fs::write(function.launch.tree.join("main.py"), code).expect("code");
    for (is_cold, body) in [(true, "one"), (false, "two")] {
        let lease = servers.lease(&function.launch).await.expect("a lease");
        assert_eq!(lease.is_cold(), is_cold);
        let id = format!("log-{body}");
        let asked = Asked::of_bytes("POST", "/a?b=c", std::iter::empty(), body.into(), id, 5_000, 1 << 20);
        let called = call::call(lease, asked).await.ok().expect("its server is there");
        let response = called.answer.expect("an answer");
        assert_eq!((response.status().as_u16(), response.headers()["x-mine"].to_str().ok()), (201, Some("yes")));
        let ((_, said, _), over) = tokio::join!(call::read(response, 1 << 20), called.over);
        assert_eq!(String::from_utf8_lossy(&said), format!("POST/a{body}green"));
        assert_eq!((over.logs.as_str(), over.errors.as_str()), ("was called\n", "and erred\n"));
    }
}

#[test]
fn a_busy_loop_is_killed_at_its_time_and_another_takes_its_place() {
    hold(async {
        let (fake, (function, mark)) = (Fake::new(), marked(contained()));
        let servers = fake.servers().await;
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let mut connection = lease.connect().await.expect("a connection");
        connection.write_all(b"\"import os\\nos.fork()\\nwhile True: pass\"\n").await.expect("a question");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(processes_with(&mark).len() >= 2, "it loops in many processes");
        lease.kill(Why::TimedOut);
        assert_eq!(soon(lease.ended()).await.why, Why::TimedOut);
        let run = fake.run();
        assert!(
            !processes_with(&mark).iter().any(|id| fs::read_link(format!("/proc/{id}/exe")).is_ok()),
            "nothing runs"
        );
        let name = run.iter().find_map(|word| word.strip_prefix("--name=")).expect("a name");
        assert_eq!(fake.calls("kill")[0], ["kill", "--signal=KILL", name]);
        assert_eq!(fake.calls("rm")[0], ["rm", "--force", "--volumes", name]);
        let next = servers.lease(&function.launch).await.expect("another instance");
        assert!(next.is_cold());
        assert_eq!(ask(&next, "answer = 'anew'").await, "anew");
        servers.stop().await;
        assert_eq!(fs::read_dir(fake.at("containers")).expect("a folder").count(), 0);
    });
}

#[test]
fn an_end_is_told_as_that_of_a_sandbox_is() {
    hold(async {
        let fake = Fake::new();
        let servers = fake.servers().await;
        for (code, why) in [
            ("import os; print('farewell', flush=True); os._exit(3)", Why::Exited(3)),
            ("import os; print('farewell', flush=True); os.kill(os.getpid(), 11)", Why::Signalled(11)),
            ("import os; print('farewell', flush=True); os._exit(137)", Why::Signalled(9)),
        ] {
            let function = contained();
            let lease = servers.lease(&function.launch).await.expect("a lease");
            let (_, ended) = tokio::join!(ask(&lease, code), soon(lease.ended()));
            assert_eq!((ended.why, ended.lines.last().map(String::as_str)), (why, Some("farewell")));
        }
        // The same code, where the engine saw why.
        fs::write(fake.at("oom"), "").expect("a file");
        let function = contained();
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let (_, ended) = tokio::join!(ask(&lease, "import os; os._exit(137)"), soon(lease.ended()));
        assert_eq!(ended.why, Why::OutOfMemory);
        let crashing = contained().before("print('no such module', flush=True); raise SystemExit(1)");
        fs::remove_file(fake.at("oom")).expect("a file");
        match servers.lease(&crashing.launch).await.map(drop) {
            Err(NotLeased::CrashedAtStart(ended)) => {
                assert_eq!((ended.why, ended.lines.as_slice()), (Why::Exited(1), &["no such module".to_owned()][..]));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn what_cannot_be_started_is_said_in_the_words_of_the_engine() {
    hold(async {
        let fake = Fake::new();
        let servers = fake.servers().await;
        let why_not = async |function: &Function| match servers.lease(&function.launch).await.map(drop) {
            Err(NotLeased::NotReady { why, .. }) => why,
            other => panic!("{other:?}"),
        };
        let mut absent = contained();
        absent.launch.argv[0] = "/usr/bin/absent".into();
        let why = why_not(&absent).await;
        assert!(
            why.starts_with("The container could not be started: Error:") && why.contains("/usr/bin/absent"),
            "{why}"
        );
        let function = contained();
        fs::write(fake.at("images"), "").expect("no image");
        let why = why_not(&function).await;
        assert_eq!(why, format!("The container could not be started: Error: {IMAGE}: image not known"));
        assert_eq!(fs::read_dir(fake.at("containers")).expect("a folder").count(), 0);
    });
}

#[test]
fn what_others_named_never_becomes_a_flag() {
    hold(async {
        let fake = Fake::new();
        let servers = fake.servers().await;
        // Words of the command stand behind the image.
        let mut function = contained();
        function.launch.argv.extend(["--privileged", "--volume=/:/host", "-v", "$(id);`id`"].map(str::to_owned));
        let _lease = servers.lease(&function.launch).await.expect("a lease");
        let words = fake.run();
        let image = words.iter().position(|word| word == IMAGE).expect("an image");
        assert_eq!(words[image + 1..].len(), 6, "{words:?}");
        assert_eq!(words[image + 3..], function.launch.argv[3..]);
        // Paths are one field of a word.
        for name in ["a,readonly=false", "a,source=", "quoted\"", "line\nbreak"] {
            let mut function = contained();
            let tree = function.path().join(name);
            fs::create_dir(&tree).expect("a folder");
            function.launch.tree = tree;
            let Err(NotLeased::NotReady { why, .. }) = servers.lease(&function.launch).await else {
                panic!("{name:?}")
            };
            assert!(why.contains("cannot be shown to a container") && why.contains("to a plain path"), "{why}");
        }
        // One that begins like a flag is no flag.
        let mut function = contained();
        let tree = function.path().join("--privileged");
        fs::create_dir(&tree).expect("a folder");
        function.launch.tree = tree.clone();
        let _lease = servers.lease(&function.launch).await.expect("a lease");
        let mount = format!("--mount=type=bind,source={},target=/function,readonly", tree.display());
        assert!(fake.run().contains(&mount));
        for name in [
            "--privileged",
            "-v",
            "--a/b:1",
            "docker.io/x",
            "docker.io/x:latest",
            "x:1",
            "docker.io/x:1 --privileged",
            "a/b:1\n",
            "",
        ] {
            assert!(Image::try_from(name.to_owned()).is_err(), "{name:?}");
        }
        assert_eq!(fake.calls("run").len(), 2, "nothing else was run");
    });
}

#[test]
fn variables_are_told_in_a_file_and_only_as_what_they_are() {
    hold(async {
        let fake = Fake::new();
        let servers = fake.servers().await;
        let mut function = contained();
        function.launch.env.extend(
            [("TOKEN", "s3cr3t = \"#1\" "), ("PATH", "/of/the/machine"), ("HOME", "/function")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let told = "answer = (os.environ['TOKEN'], os.environ['COLOUR'], os.environ['HOME'], os.environ['PATH'], os.environ['TMPDIR'])";
        let answer = "('s3cr3t = \"#1\" ', 'green', '/function', '/usr/bin:/bin', '/tmp')";
        assert_eq!(
            ask(&lease, told).await.replace(function.launch.tree.to_str().expect("a path"), "/function"),
            answer
        );
        let words = fake.run();
        assert!(!words.iter().any(|word| word.contains("s3cr3t") || word.contains("TOKEN")), "{words:?}");
        let seen = fs::read_to_string(fake.at("variables")).expect("variables");
        assert!(seen.starts_with("600\n") && seen.contains("\nTOKEN=s3cr3t"), "{seen}");
        let file = words.iter().find_map(|word| word.strip_prefix("--env-file=")).expect("a file");
        until("the file is gone when it was read", || !Path::new(file).exists()).await;
        // A name alone would be taken from the environment of the client.
        for (name, value) in [
            ("HOSTS_OWN\nX", "x"),
            ("KEY", "-----BEGIN\nHOSTS_OWN"),
            ("KEY", "x\rHOSTS_OWN"),
            (" KEY", "x"),
            ("#KEY", "x"),
            ("*", "x"),
            ("", "x"),
        ] {
            let mut function = contained();
            function.launch.env.push((name.into(), value.into()));
            let Err(NotLeased::NotReady { why, .. }) = servers.lease(&function.launch).await else {
                panic!("{name:?} {value:?}")
            };
            assert!(why.contains("cannot be passed to a container") && why.contains("base64"), "{why}");
        }
        let mut function = contained();
        function.launch.env.push(("LONG".into(), "x".repeat(64 << 10)));
        let Err(NotLeased::NotReady { why, .. }) = servers.lease(&function.launch).await else { panic!("too long") };
        assert!(why.contains("\"LONG\" is longer than the 65535 bytes"), "{why}");
        assert_eq!(fake.calls("run").len(), 1, "nothing else was run");
    });
}

#[test]
fn an_engine_that_is_missing_or_bounds_nothing_is_a_sentence_that_says_what_to_do() {
    hold(async {
        let without = |change: &dyn Fn(&mut Value), told: &Value| {
            let mut told = told.clone();
            change(&mut told);
            told
        };
        let podman = podman_told();
        let cases = [
            (
                "podman",
                without(&|told| told["host"]["cgroupControllers"] = json!(["cpu", "pids"]), &podman),
                "bound the memory",
            ),
            (
                "podman",
                without(&|told| told["host"]["cgroupControllers"] = json!(["cpu", "memory"]), &podman),
                "bound the processes",
            ),
            (
                "podman",
                without(&|told| told["host"]["cgroupControllers"] = json!(["pids", "memory"]), &podman),
                "bound the processor time",
            ),
            (
                "podman",
                without(&|told| told["host"]["security"]["seccompEnabled"] = json!(false), &podman),
                "no system calls",
            ),
            ("podman", without(&|told| told["host"]["serviceIsRemote"] = json!(true), &podman), "another machine"),
            ("docker", without(&|told| told["MemoryLimit"] = json!(false), &docker_told()), "bound the memory"),
            ("docker", without(&|told| told["PidsLimit"] = json!(false), &docker_told()), "bound the processes"),
            (
                "docker",
                without(&|told| told["SecurityOptions"] = json!(["name=rootless"]), &docker_told()),
                "no system calls",
            ),
            (
                "docker",
                without(&|told| told["OperatingSystem"] = json!("Docker Desktop"), &docker_told()),
                "another machine",
            ),
            ("docker", json!({"ID": "", "ServerVersion": ""}), "daemon does not answer"),
            ("docker", json!("?"), "is not understood"),
        ];
        for (name, told, why) in cases {
            let fake = Fake::named(name, &told);
            let servers = fake.servers().await;
            let said = servers.engine().expect_err(why).to_owned();
            assert!(said.contains(&format!("{name} cannot be used: ")) && said.contains(why), "{said}");
            let Err(NotLeased::NotReady { why, .. }) = servers.lease(&contained().launch).await else {
                panic!("{said}")
            };
            assert_eq!(why, said);
            assert!(fake.calls("run").is_empty());
        }
        // In its own words, where it has some.
        let fake = Fake::named("docker", &json!({}));
        let down = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
        fs::write(fake.at("down"), down).expect("a file");
        assert!(fake.servers().await.engine().is_err_and(|why| why.ends_with(down)));
        let servers = Servers::start(Config {
            containers: oci::Config { programs: vec!["/none/podman".into()], variables: Vec::new() },
            ..Config::default()
        });
        let servers = servers.await.expect("sandboxes");
        let why = servers.engine().expect_err("there is none");
        assert!(why.contains("no engine of containers") && why.contains("apt-get install podman"), "{why}");
        let layer = servers.layers().iter().find(|layer| layer.name == "containers").expect("the doctor tells");
        assert!(!layer.holds && layer.detail.contains("apt-get install podman"), "{layer:?}");
        // The second is used where the first does not work.
        let fake = Fake::named("docker", &docker_told());
        fs::write(fake.at("podman"), "#!/bin/sh\necho broken >&2; exit 1").expect("a program");
        fs::set_permissions(fake.at("podman"), fs::Permissions::from_mode(0o755)).expect("it may be run");
        let servers = fake.servers().await;
        assert_eq!(servers.engine(), Ok("docker 28.2.2".into()));
        let layer = servers.layers().iter().find(|layer| layer.name == "containers").expect("the doctor tells");
        assert!(layer.holds && layer.detail.contains("by docker 28.2.2"), "{layer:?}");
    });
}

#[test]
fn what_an_everfold_that_is_gone_left_behind_is_removed_and_nothing_else() {
    hold(async {
        let fake = Fake::new();
        let own = fs::read_to_string("/proc/self/stat").expect("a process");
        let since = own.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19)).expect("a time");
        let alive = format!("everfold-{}-{since}-7", std::process::id());
        let gone = ["everfold-4194304-1-0".to_owned(), format!("everfold-{}-1-0", std::process::id())];
        let others = ["everfold-of-somebody", "web", "everfold-1-2-3-4", "--force"].map(str::to_owned);
        for name in gone.iter().chain(&others).chain([&alive]) {
            fs::write(fake.at("containers").join(name), json!({"Running": false}).to_string()).expect("a container");
        }
        let _servers = fake.servers().await;
        assert_eq!(fake.calls("ps"), [["ps", "--all", "--filter", "label=everfold", "--format", "{{.Names}}"]]);
        let mut removed: Vec<String> = fake.calls("rm").into_iter().filter_map(|words| words.last().cloned()).collect();
        removed.sort();
        let mut expected = gone.to_vec();
        expected.sort();
        assert_eq!(removed, expected);
    });
}

#[test]
fn a_container_never_takes_the_place_of_the_sandbox() {
    hold(async {
        let fake = Fake::new();
        let folder = tempfile::tempdir().expect("a folder");
        let of = |name: &str, more: &str| {
            fs::create_dir_all(folder.path().join(name)).expect("a folder");
            let text =
                format!("name = '{name}'\ntitle = 'T'\nentrypoint = 'main'\ninstall = 'apt-get install t'\n{more}");
            fs::write(folder.path().join(name).join("manifest.toml"), text).expect("a manifest");
        };
        let has_image = format!("image = '{IMAGE}'");
        of("here", &format!("detect = ['python3', '--version']\n{has_image}"));
        of("away", &format!("detect = ['no-such-language']\nread_only = ['/usr']\n{has_image}"));
        of("nowhere", "detect = ['no-such-language']\nimage = 'docker.io/library/other:1.2'");
        of("none", "detect = ['no-such-language']");
        let places = Places {
            runtimes: folder.path().into(),
            home: folder.path().into(),
            servers: fake.config(),
            trees: folder.path().into(),
        };
        let runtimes = Runtimes::at(places);
        let languages = &runtimes.found().await.languages;
        let here = &languages["here"];
        assert!(matches!(here.standing, Standing::Found(_)) && here.container().is_none(), "{here:?}");
        let away = &languages["away"];
        assert_eq!(away.standing, Standing::Contained { engine: "podman 4.3.1".into() });
        assert_eq!((away.container().map(Image::name), away.read_only.len()), (Some(IMAGE), 0));
        let missing = "T is not on this machine. To install it: apt-get install t";
        let and_pull = format!(
            "{missing}. In a container: podman has no image of it; to get it: podman pull docker.io/library/other:1.2"
        );
        assert_eq!(languages["nowhere"].standing, Standing::Missing(and_pull));
        assert_eq!(languages["none"].standing, Standing::Missing(missing.into()));
        let servers = fake.servers().await;
        let sandboxed = Function::usual();
        let lease = servers.lease(&sandboxed.launch).await.expect("a lease");
        assert!(ask(&lease, "answer = sorted(os.listdir('/'))").await.contains("'function'"), "it is in a sandbox");
        assert!(fake.calls("run").is_empty());
    });
}

#[test]
fn every_image_that_is_shipped_stays_the_same() {
    let found = runtimes::find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes"), Path::new("/root"));
    let images: Vec<_> = found.expect("manifests").into_values().filter_map(|runtime| runtime.image).collect();
    assert!(images.iter().any(|image| image.name().starts_with("docker.io/library/golang@sha256:")), "{images:?}");
    for image in images {
        let digest = image.name().rsplit("@sha256:").next().expect("a digest");
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{image:?}");
    }
}

#[test]
fn a_function_that_is_connected_is_not_put_where_nothing_filters() {
    hold(async {
        let fake = Fake::new();
        let servers = fake.servers().await;
        let mut function = contained();
        function.launch.network = Network::Internet;
        let Err(NotLeased::NotReady { why, .. }) = servers.lease(&function.launch).await else { panic!("it was run") };
        assert!(why.contains("no network") && why.contains("Switch"), "{why}");
        let mut build = build(&function, "true");
        (build.network, build.image) = (Network::Internet, image());
        assert!(servers.run(build).await.is_err());
        assert!(fake.calls("run").is_empty());
    });
}

#[test]
fn what_fills_the_folder_of_its_socket_ends_for_that() {
    hold(async {
        let (fake, function) = (Fake::new(), contained());
        let servers = fake.servers().await;
        let lease = servers.lease(&function.launch).await.expect("a lease");
        let fill = "import os\nplace = os.path.dirname(os.environ['EVERFOLD_SOCKET'])\nopen(place + '/a', 'wb').write(bytes(2 << 20))";
        let (_, ended) = tokio::join!(ask(&lease, fill), soon(lease.ended()));
        assert_eq!(ended.why, Why::TreeTooLarge);
        let lure = contained();
        let lease = servers.lease(&lure.launch).await.expect("a lease");
        ask(
            &lease,
            "import os\npath = os.environ['EVERFOLD_SOCKET']\nos.remove(path)\nos.symlink('/run/docker.sock', path)",
        )
        .await;
        // The first was connected before.
        assert!(lease.connect().await.is_err());
        assert_eq!(soon(lease.ended()).await.why, Why::SocketReplaced);
    });
}

#[test]
fn a_build_in_a_container_writes_its_tree_and_is_cancelled() {
    hold(async {
        let (fake, function) = (Fake::new(), Function::usual());
        let servers = fake.servers().await;
        let mut one = build(&function, "echo building; echo done >made; echo $CI >&2");
        one.image = image();
        let (output, ended) = built(&servers, one.clone()).await;
        assert_eq!((ended.why, output.contains("building\n"), output.contains("true\n")), (Why::Exited(0), true, true));
        let made = fs::metadata(function.launch.tree.join("made")).expect("it was written");
        assert_eq!((made.uid(), made.mode() & 0o444), (rustix::process::getuid().as_raw(), 0o444));
        let words = fake.run();
        let mount = format!("--mount=type=bind,source={},target=/function", function.launch.tree.display());
        assert!(words.contains(&mount) && words.contains(&format!("--memory={}", 2_u64 << 30)), "{words:?}");
        assert!(!words.iter().any(|word| word.contains("/run/everfold")), "{words:?}");
        one.argv[2] = "exit 4".into();
        assert_eq!(built(&servers, one.clone()).await.1.why, Why::Exited(4));
        one.argv[2] = "sleep 60".into();
        let building = servers.run(one.clone()).await.expect("it runs");
        building.cancel();
        assert_eq!(soon(building.ended()).await.expect("an end").why, Why::Cancelled);
        one.limits.wall_ms = 300;
        assert_eq!(built(&servers, one).await.1.why, Why::TimedOut);
        assert_eq!(fs::read_dir(fake.at("containers")).expect("a folder").count(), 0);
    });
}

/// The machine's podman over a store of its own, with an image that is made of this machine's Python.
struct Real(tempfile::TempDir);

impl Real {
    fn find() -> Result<Real, String> {
        if !Path::new("/usr/bin/podman").is_file() {
            return Err("there is no /usr/bin/podman".into());
        }
        if !is_root() {
            return Err("only root makes an image of this machine's files".into());
        }
        let real = Real(tempfile::tempdir().expect("a folder"));
        let at = |name: &str| real.0.path().join(name).display().to_string();
        // Debian's crun does not know control groups of both versions at once.
        let runtime = if Path::new("/usr/sbin/runc").is_file() { "runtime = \"runc\"\n" } else { "" };
        let conf = format!("[engine]\n{runtime}cgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n");
        fs::write(at("containers.conf"), conf).expect("a file");
        let storage = format!("[storage]\ndriver = \"vfs\"\ngraphroot = {:?}\nrunroot = {:?}\n", at("root"), at("run"));
        fs::write(at("storage.conf"), storage).expect("a file");
        let pack = "set -e; mkdir -p $0/image/bin $0/image/tmp $0/image/usr/bin; chmod 1777 $0/image/tmp\n\
            cd /usr; cp --parents -rL bin/python3 bin/dash bin/id lib/python3.11 $0/image/usr 2>/dev/null || true\n\
            rm -rf $0/image/usr/lib/python3.11/test $0/image/usr/lib/python3.11/config-*; cp -L /bin/dash $0/image/bin/sh\n\
            for lib in $(ldd /usr/bin/python3 /bin/dash /usr/bin/id | grep -o '/lib[^ ]*' | grep -v : | sort -u); do cp --parents -L $lib $0/image; done\n\
            tar -C $0/image -c . | /usr/bin/podman import --quiet - $1";
        let packed = Command::new("/bin/sh")
            .args(["-c", pack, &at(""), IMAGE])
            .env_clear()
            .envs(real.variables())
            .output()
            .expect("a shell");
        if packed.status.success() {
            return Ok(real);
        }
        Err(String::from_utf8_lossy(&packed.stderr).into_owned())
    }

    fn variables(&self) -> Vec<(String, String)> {
        let at = |name: &str| self.0.path().join(name).display().to_string();
        [
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin".into()),
            ("HOME", at("")),
            ("CONTAINERS_CONF", at("containers.conf")),
            ("CONTAINERS_STORAGE_CONF", at("storage.conf")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    fn config(&self) -> Config {
        let variables = self.variables().into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Config { containers: oci::Config { programs: vec!["/usr/bin/podman".into()], variables }, ..Config::default() }
    }

    fn containers(&self) -> String {
        let list = Command::new("/usr/bin/podman")
            .args(["ps", "--all", "--quiet"])
            .env_clear()
            .envs(self.variables())
            .output();
        String::from_utf8_lossy(&list.expect("podman").stdout).into_owned()
    }
}

impl Drop for Real {
    /// Also of what a test that failed left running.
    fn drop(&mut self) {
        let remove = ["rm", "--all", "--force", "--time=0"];
        let _ = Command::new("/usr/bin/podman").args(remove).env_clear().envs(self.variables()).output();
    }
}

#[test]
fn a_real_engine_keeps_what_is_asked_of_it() {
    let real = match Real::find() {
        Ok(real) => real,
        Err(why) => return println!("no engine runs here, so this was not tested: {why}"),
    };
    hold(async {
        let servers = Servers::start(real.config()).await.expect("sandboxes");
        let begun = Instant::now();
        keeps_the_contract(&servers, image()).await;
        println!("{}: started, and asked twice, within {:?}", servers.engine().expect("an engine"), begun.elapsed());

        let mut function = Function::new(limits(|limits| {
            (limits.memory_bytes, limits.processes, limits.tmp_bytes) = (64 << 20, 20, 1 << 20);
        }));
        function.launch.image = image();
        let lease = servers.lease(&function.launch).await.expect("a lease");
        println!("cold: {:?}", lease.started_in());
        let status = ask(&lease, "answer = open('/proc/self/status').read()").await;
        for line in ["CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(status.contains(line), "{line}: {status}");
        }
        let id: u32 = ask(&lease, "answer = os.getuid()").await.parse().expect("a number");
        assert!(id >= 0x7000_0000, "{id}");
        for path in ["/x", "/usr/x", "/etc/hosts", "/function/x", "/runtime/x", "/run/x", "/dev/x", "/sys/x"] {
            let written = attempt(&lease, &format!("open('{path}', 'a').write('x')")).await;
            assert!(written.contains("Read-only") || written.starts_with("Permission"), "{path}: {written}");
        }
        for path in ["/work", "/root", "/var/lib", function.path().to_str().expect("a path")] {
            let seen = attempt(&lease, &format!("os.stat('{path}')")).await;
            assert!(seen.starts_with("FileNotFoundError"), "{path}: {seen}");
        }
        assert!(attempt(&lease, "open('/tmp/a', 'wb').write(bytes(2 << 20))").await.contains("No space left"));
        assert_eq!(
            ask(&lease, "answer = [line.split(':')[0].strip() for line in open('/proc/net/dev').readlines()[2:]]")
                .await,
            "['lo']"
        );
        assert_eq!(
            ask(&lease, "answer = open('/etc/hosts').read()").await,
            "127.0.0.1 localhost function\n::1 localhost\n"
        );
        assert_eq!(ask(&lease, "answer = os.uname().nodename").await, "function");
        let limits = "import resource as r\nanswer = [r.getrlimit(n)[1] for n in (r.RLIMIT_CORE, r.RLIMIT_MEMLOCK, r.RLIMIT_FSIZE, r.RLIMIT_NOFILE, r.RLIMIT_NPROC)]";
        assert_eq!(ask(&lease, limits).await, "[0, 65536, 268435456, 4096, 23]");
        let bomb = "import os, time\nmade = 0\ntry:\n while made < 500:\n  if os.fork() == 0: time.sleep(60)\n  made += 1\nexcept OSError as error: answer = f'{made} {error.errno}'";
        let answer = ask(&lease, bomb).await;
        let (made, errno) = answer.split_once(' ').expect("it was stopped");
        assert!(made.parse::<usize>().is_ok_and(|made| made < 20) && errno == "11", "{answer}");
        let begun = Instant::now();
        lease.kill(Why::TimedOut);
        assert_eq!(soon(lease.ended()).await.why, Why::TimedOut);
        println!("killed and removed after {:?}", begun.elapsed());

        let lease = servers.lease(&function.launch).await.expect("another instance");
        let hog = "import time\ntime.sleep(0.5)\nanswer = len(bytearray(256 << 20))";
        let (_, ended) = tokio::join!(ask(&lease, hog), soon(lease.ended()));
        println!("{ended:?}");
        assert_eq!(ended.why, Why::OutOfMemory);
        assert!((48 << 20..=64 << 20).contains(&ended.memory_peak_bytes), "{ended:?}");
        let lease = servers.lease(&function.launch).await.expect("another instance");
        let (_, ended) =
            tokio::join!(ask(&lease, "import os; print('farewell', flush=True); os._exit(3)"), soon(lease.ended()));
        assert_eq!((ended.why, ended.lines.last().map(String::as_str)), (Why::Exited(3), Some("farewell")));
        let mut hog =
            Function::new(harness::limits(|limits| limits.memory_bytes = 64 << 20)).before("bytearray(256 << 20)");
        hog.launch.image = image();
        match servers.lease(&hog.launch).await.map(drop) {
            Err(NotLeased::CrashedAtStart(ended)) => assert_eq!(ended.why, Why::OutOfMemory),
            other => panic!("{other:?}"),
        }
        let mut loops = Function::new(harness::limits(|limits| limits.cpu_seconds = 1));
        loops.launch.image = image();
        let lease = servers.lease(&loops.launch).await.expect("a lease");
        let (_, ended) = tokio::join!(ask(&lease, "while True: pass"), soon(lease.ended()));
        println!("{ended:?}");
        assert_eq!(ended.why, Why::CpuExceeded);

        let mut absent = Function::usual();
        (absent.launch.image, absent.launch.argv[0]) = (image(), "/usr/bin/absent".into());
        match servers.lease(&absent.launch).await.map(drop) {
            Err(NotLeased::NotReady { why, .. }) => assert!(why.contains("/usr/bin/absent"), "{why}"),
            other => panic!("{other:?}"),
        }
        let mut one = build(&function, "id -u; echo built >made; echo x >/usr/x");
        one.image = image();
        let (output, ended) = built(&servers, one).await;
        assert_eq!(ended.why, Why::Exited(2), "{output}");
        assert!(output.contains("Read-only file system"), "{output}");
        let made = fs::metadata(function.launch.tree.join("made")).expect("it was written");
        assert_eq!((made.uid(), made.mode() & 0o444), (0, 0o444));
        servers.stop().await;
        assert_eq!(real.containers(), "", "nothing is left");
    });
}
