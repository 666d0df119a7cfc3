//! Behind the walls of QuickJS and WebAssembly stands the jail: what native code in it can still do, which is nothing.

use std::{
    collections::BTreeSet,
    env,
    fs::File,
    io::{Read, Write},
    net::TcpListener,
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
};

use rules::{
    call::{Bytes, Call, Foldable, Outcome, Program, Request},
    limits::Limits,
};
use worker::{
    Worker,
    contract::hold,
    quickjs::{Options, QuickJs},
};

/// Killed by the filter, as the outer process reports it.
const KILLED: i32 = 128 + SIGSYS;
const SIGSYS: i32 = 31;
const REFUSED: i32 = 0;

/// `figure, how, value, pass` for the file that EVERFOLD_FIGURES names, as the server's tests write them.
fn figure(name: &str, how: &str, value: &str) {
    println!("{name}: {value} ({how})");
    let Some(path) = env::var_os("EVERFOLD_FIGURES") else { return };
    let line = format!("{name}\t{how}\t{value}\tyes\n");
    let file = File::options().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file of figures can be written");
}

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

fn hostile(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isolate"));
    command.arg("--hostile").args(arguments).env("SECRET", "of the parent").stdin(Stdio::null());
    command
}

fn attempt(name: &str, is_sealed: bool, target: u32) -> ExitStatus {
    let sealed = if is_sealed { "sealed" } else { "unsealed" };
    hostile(&[sealed, name, &target.to_string()]).status().expect("the hostile child")
}

/// Every way out that is known, each tried by a native program in the child's place.
const FORBIDDEN: [&str; 48] = [
    "read a file",
    "read the kernel's files",
    "read its own environment",
    "read the data directory",
    "list the root",
    "climb out of the root",
    "create a file",
    "create a device",
    "make a file in memory",
    "make a socket",
    "make a unix socket",
    "make a netlink socket",
    "make a raw socket",
    "make a pair of sockets",
    "pass a descriptor",
    "connect",
    "connect by unix socket",
    "see a network interface",
    "fork",
    "start a thread",
    "execute",
    "execute from memory",
    "trace",
    "read another process",
    "hold another process",
    "signal",
    "signal everybody",
    "see another process",
    "become root",
    "mount",
    "namespace",
    "enter another namespace",
    "set the clock",
    "outlive its parent",
    "undo its limits",
    "load a program into the kernel",
    "queue work in the kernel",
    "handle its own page faults",
    "watch the processor",
    "keep a key in the kernel",
    "control a device",
    "call as a 32-bit program",
    "call as an x32 program",
    "map code",
    "map code of a file",
    "make code of memory",
    "make code by key",
    "make all memory code",
];

#[test]
fn a_sealed_child_that_makes_a_forbidden_call_is_killed() {
    let mut bystander = Bystander::new();
    let table: Vec<_> = FORBIDDEN.iter().map(|name| (*name, attempt(name, true, bystander.0.id()).code())).collect();
    table.iter().for_each(|(name, code)| println!("{name:32} {code:?}"));
    let survived: Vec<_> = table.iter().filter(|(_, code)| *code != Some(KILLED)).collect();
    assert!(survived.is_empty(), "{survived:?}");
    assert_eq!(attempt("share memory", true, bystander.0.id()).code(), Some(KILLED));
    assert!(bystander.is_alive());
    figure(
        "containment, native code",
        "a native program in the jailed child's place tries files, sockets, processes, code, namespaces",
        &format!("{} of {} attempts killed at the call", table.len() + 1, table.len() + 1),
    );
}

#[test]
fn without_its_filter_a_child_still_reaches_no_file_no_network_no_process() {
    let mut bystander = Bystander::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let name = SocketAddr::from_abstract_name(format!("everfold-{port}")).expect("a name");
    let _unix_listener = UnixListener::bind_addr(&name).expect("a unix socket");
    let secret = env!("CARGO_MANIFEST_DIR").to_owned() + "/Cargo.toml";

    let (mut ours, theirs) = UnixStream::pair().expect("a pair");
    let arguments = ["unsealed", "all", &bystander.0.id().to_string(), &port.to_string(), &secret];
    let mut child = hostile(&arguments).stdin(OwnedFd::from(theirs)).spawn().expect("the hostile child");
    let mut table = String::new();
    ours.read_to_string(&mut table).expect("a table");
    assert_eq!(child.wait().expect("it ends").code(), Some(REFUSED), "{table}");
    println!("{table}");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 24, "every attempt was made: {table}");
    let escaped: Vec<_> = rows.iter().filter(|row| row[1] != "refused").collect();
    assert!(escaped.is_empty(), "{escaped:?}");
    assert!(bystander.is_alive());
    figure(
        "containment, without the filter",
        "the same program before its system calls are taken away, over its socket",
        &format!("{} of {} attempts refused by namespaces, Landlock, user and limits", rows.len(), rows.len()),
    );
}

#[test]
fn a_child_inherits_neither_environment_nor_descriptors() {
    let leaked = std::fs::File::open("/etc/passwd").expect("a file");
    let inheritable = rustix::io::fcntl_dupfd_cloexec(&leaked, 100).expect("a descriptor");
    rustix::io::fcntl_setfd(&inheritable, rustix::io::FdFlags::empty()).expect("inheritable");
    for name in ["environment", "inherited descriptor"] {
        assert_eq!(attempt(name, false, 1).code(), Some(REFUSED), "{name}");
    }
}

#[test]
fn a_child_gets_no_more_memory_than_it_may_have() {
    assert_eq!(attempt("take all memory", true, 1).code(), Some(REFUSED));
    assert_eq!(attempt("take all memory by pieces", true, 1).code(), Some(REFUSED));
    // Memory that is shared counts for no limit, so it cannot be had writable.
    assert_eq!(attempt("take all memory as shared", true, 1).code(), Some(KILLED));
}

#[test]
fn a_child_writes_no_longer_file_than_it_may() {
    for name in ["grow a file beyond its bound", "write a file beyond its bound"] {
        assert_eq!(attempt(name, true, 1).code(), Some(REFUSED), "{name}");
    }
}

#[test]
fn a_sealed_child_that_does_nothing_wrong_is_left_alone() {
    for name in ["nothing", "learn where memory lies"] {
        assert_eq!(attempt(name, true, 1).code(), Some(REFUSED), "{name}");
    }
}

/// What the reducer of such a source returns for one request.
async fn result_of(worker: &QuickJs, source: &str) -> String {
    let request = Request {
        id: 1,
        seq: 1,
        method: "POST".into(),
        path: "/".into(),
        query: String::new(),
        headers: vec![("content-type".into(), Bytes(b"text/plain".to_vec()))],
        body: Bytes(Vec::new()),
        created_at_ms: 1_780_000_000_000,
    };
    let requests = vec![Foldable { request: Arc::new(request), forced: None }];
    let fold = Call::Fold { state: None, requests, secrets: "{}".into() };
    match worker.call(&Arc::new(Program::new(source)), fold, Limits::default()).await {
        Outcome::Folded(ran) => ran[0].result.clone().expect("a state").to_string(),
        other => panic!("{other:?}"),
    }
}

async fn one_child() -> QuickJs {
    QuickJs::start(Options { children: 1, command: vec![env!("CARGO_BIN_EXE_isolate").into()] }).await.expect("a child")
}

/// Looks for the world from inside, by every road to the global object, and lists what it finds.
const EXPLORER: &str = r#"
    export const reducer = async () => {
        const roads = {
            name: () => globalThis,
            function: () => Function("return this")(),
            constructor: () => ({}).constructor.constructor("return this")(),
            array: () => [].map.constructor("return this")(),
            async: () => (async () => {}).constructor("return globalThis")(),
            generator: () => (function* () {}).constructor("yield globalThis")().next().value,
            eval: () => (0, eval)("this"),
            reflect: () => Reflect.construct(Function, ["return this"])(),
            error: () => { try { null.x } catch (error) { return error.constructor.constructor("return this")(); } },
            proxy: () => new Proxy(Function, {}).call(null, "return this")(),
            promise: () => Promise.resolve().constructor.constructor("return this")(),
            sloppy: () => (function () { return this; })(),
            getter: () => Object.getOwnPropertyDescriptor(Object.prototype, "__proto__").get.constructor("return this")(),
        };
        const found = new Set();
        const look = (thing) => {
            for (let at = thing; at; at = Object.getPrototypeOf(at)) {
                for (const key of Reflect.ownKeys(at)) found.add(String(key));
            }
        };
        for (const road of Object.values(roads)) {
            try { look(await road()); } catch { }
        }
        const imports = ["fs", "node:fs", "std", "os", "qjs:std", "bjson", "/etc/passwd", "file:///etc/passwd",
            "http://127.0.0.1/", "data:text/javascript,export default 1", "./reducer.js"];
        for (const name of imports) {
            try { await Function("name", "return import(name)")(name); found.add("import " + name); } catch { }
        }
        for (const code of ["require('fs')", "process.env", "Deno.cwd()", "import.meta.url", "std.getenv('HOME')"]) {
            try { if ((0, eval)(code) !== undefined) found.add(code); } catch { }
        }
        const stack = new Error("where").stack ?? "";
        if (/\/(work|home|root|proc|usr)\//.test(stack)) found.add("a path of the machine: " + stack);
        return [...found];
    };
"#;

/// What would lead out, under all the names it goes by elsewhere.
const ABSENT: [&str; 60] = [
    "fetch",
    "XMLHttpRequest",
    "WebSocket",
    "EventSource",
    "WebTransport",
    "RTCPeerConnection",
    "Worker",
    "SharedWorker",
    "ServiceWorker",
    "importScripts",
    "BroadcastChannel",
    "MessageChannel",
    "require",
    "module",
    "exports",
    "process",
    "Deno",
    "Bun",
    "WebAssembly",
    "SharedArrayBuffer",
    "Atomics",
    "std",
    "os",
    "bjson",
    "print",
    "load",
    "loadScript",
    "loadFile",
    "evalFile",
    "scriptArgs",
    "__filename",
    "__dirname",
    "global",
    "window",
    "document",
    "navigator",
    "location",
    "localStorage",
    "sessionStorage",
    "indexedDB",
    "caches",
    "open",
    "readFile",
    "writeFile",
    "exit",
    "quit",
    "gc",
    "child_process",
    "Java",
    "ActiveXObject",
    "WScript",
    "Components",
    "chrome",
    "browser",
    "FinalizationRegistry",
    "WeakRef",
    "performance",
    "ShadowRealm",
    "__rquickjs_host_now_us",
    "host",
];

#[test]
fn from_inside_there_is_no_way_to_name_the_world() {
    hold(async {
        let worker = one_child().await;
        let found = result_of(&worker, EXPLORER).await;
        let found: BTreeSet<String> = serde_json::from_str(&found).expect("a list of names");
        println!("{found:?}");
        assert!(found.contains("JSON") && found.contains("Promise"), "the roads led to the global object");
        let leads_out: Vec<_> = ABSENT.iter().filter(|name| found.contains(**name)).collect();
        assert!(leads_out.is_empty(), "{leads_out:?}");
        let more: Vec<_> =
            found.iter().filter(|name| name.contains([' ', '(']) && !name.starts_with("Symbol(")).collect();
        assert!(more.is_empty(), "{more:?}");
        figure(
            "containment, JavaScript",
            "13 roads to the global object, 11 imports, 5 evals from a reducer",
            &format!("none of {} names of the world among the {} found", ABSENT.len(), found.len()),
        );
    });
}

#[test]
fn what_one_program_leaves_behind_no_other_program_of_the_same_child_sees() {
    const LEAVE: &str = "
        export const reducer = () => {
            globalThis.left = 'secret';
            Object.prototype.left = 'secret';
            Array.prototype.left = 'secret';
            JSON.left = 'secret';
            const wide = new Uint8Array(1 << 24).fill(0x5a);
            return wide.length;
        };";
    const LOOK: &str = "
        export const reducer = () => {
            const seen = [typeof left, typeof ({}).left, typeof [].left, typeof JSON.left].filter(kind => kind !== 'undefined');
            const fresh = new Uint8Array(1 << 24);
            return { seen, isFresh: fresh.indexOf(0x5a) === -1 };
        };";
    hold(async {
        let worker = one_child().await;
        for round in 0..3 {
            result_of(&worker, &format!("{LEAVE} // {round}")).await;
            assert_eq!(result_of(&worker, &format!("{LOOK} // {round}")).await, r#"{"seen":[],"isFresh":true}"#);
        }
    });
}
