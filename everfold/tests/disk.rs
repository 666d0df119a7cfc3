//! A disk that is full, and one that forgets bits: what was acknowledged is still there, and it is said what is not.

mod harness;

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{
    eventually,
    figures::figure,
    hook::{Hook, Receipt},
    http::{Ask, Connection},
    server::{Server, everfold},
};
use serde_json::json;
use tempfile::TempDir;

const COUNT: &str = "
    export const reducer = (state, request) =>
        ({ count: (state?.count ?? 0) + 1, sum: (state?.sum ?? 0) + request.body.n });";

/// A small disk of its own, gone with the test.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where nobody may mount one.
    fn mount(mib: u32) -> Option<SmallDisk> {
        let place = tempfile::tempdir().expect("a folder");
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(place.path()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(SmallDisk(place));
        }
        eprintln!("\n!!! NOT TESTED: a full disk. Mounting a tmpfs needs root. !!!\n");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy"]).arg(self.path()).status();
    }
}

/// Takes all that is left.
fn fill(path: &Path) {
    let mut file = File::create(path).expect("a file");
    for piece in [vec![0; 64 << 10], vec![0; 512]] {
        while file.write_all(&piece).is_ok() {}
    }
}

/// Sends the writers home however the test ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a writer was told: acknowledged requests, and how often it was refused.
#[derive(Default)]
struct Told {
    receipts: Vec<(u64, Receipt)>,
    refused: u64,
    /// Told that it is not known.
    uncertain: Vec<u64>,
    resumed: Option<Instant>,
}

fn write_on(hook: &Hook, writer: u64, over: &AtomicBool, writers_refused: &AtomicU64) -> Told {
    let mut told = Told::default();
    let mut connection = Connection::open(&hook.owner.address).expect("the server listens");
    for n in (0..).map(|n| n * 100 + writer) {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let body = json!({ "n": n, "padding": "x".repeat(2_000) });
        let reply = connection.ask(&Ask::new("POST", hook.write_path()).json(&body)).expect("a reply");
        match reply.status {
            202 => {
                told.receipts.push((n, Receipt::of(&reply)));
                // Slow enough not to fill the disk by themselves.
                thread::sleep(Duration::from_millis(2));
                if told.refused > 0 && told.resumed.is_none() {
                    told.resumed = Some(Instant::now());
                }
            }
            507 => {
                reply.problem(507, "disk_full");
                assert!(reply.header("retry-after").is_some());
                writers_refused.fetch_add(u64::from(told.refused == 0), Ordering::Relaxed);
                told.refused += 1;
                told.resumed = None;
                thread::sleep(Duration::from_millis(5));
            }
            _ => {
                reply.problem(503, "uncertain");
                told.uncertain.push(n);
            }
        }
    }
    told
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else_and_they_resume_by_themselves() {
    const WRITERS: u64 = 8;
    let Some(disk) = SmallDisk::mount(128) else { return };
    let data = disk.path().join("data");
    let mut server = Server::start_on(&data);
    let hook = Hook::running(&server, COUNT);
    let (over, writers_refused) = (AtomicBool::new(false), AtomicU64::new(0));
    let ballast = disk.path().join("ballast");

    let (told, freed) = thread::scope(|scope| {
        let stop = Stop(&over);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let (hook, over, writers_refused) = (&hook, &over, &writers_refused);
                    move || write_on(hook, writer, over, writers_refused)
                })
            })
            .collect();
        thread::sleep(Duration::from_secs(1));
        fill(&ballast);
        // The store's log may have room left in itself for a while.
        let filled = Instant::now();
        while filled.elapsed() < Duration::from_secs(3) || writers_refused.load(Ordering::Relaxed) < WRITERS {
            assert!(filled.elapsed() < Duration::from_secs(40), "the disk is full for every writer");
            let read = hook.read("");
            assert_eq!(read.status, 200, "reads go on: {}", read.text());
            assert_eq!(server.get("/healthz").status, 200);
            let _ = File::options().append(true).open(&ballast).and_then(|mut file| file.write_all(&[0; 512]));
            thread::sleep(Duration::from_millis(20));
        }
        fs::remove_file(&ballast).expect("the ballast goes");
        let freed = Instant::now();
        thread::sleep(Duration::from_secs(3));
        drop(stop);
        let told: Vec<Told> = writers.into_iter().map(|writer| writer.join().expect("a writer ends")).collect();
        (told, freed)
    });

    let refused: u64 = told.iter().map(|told| told.refused).sum();
    let uncertain: usize = told.iter().map(|told| told.uncertain.len()).sum();
    let acknowledged: usize = told.iter().map(|told| told.receipts.len()).sum();
    assert!(refused > 0, "the disk was full");
    let resumed = told.iter().map(|told| told.resumed.expect("every writer is served again") - freed).max();
    let resumed = resumed.expect("there are writers");
    is_all_there(&hook, &told);
    server.kill();
    let server = Server::start_on(&data);
    is_all_there(&hook.at(&server), &told);
    figure(
        "full disk",
        "a tmpfs of 128 MiB filled under 8 writers, then freed; then killed",
        &format!(
            "{refused} × 507, {uncertain} × 503; {acknowledged} acknowledged, lost 0; reads went on; writes resumed after {resumed:.1?}"
        ),
        resumed <= Duration::from_secs(5),
    );
    assert!(resumed <= Duration::from_secs(5), "{resumed:?}");
}

/// Whatever was acknowledged stands in the log where its receipt says, and is folded once.
fn is_all_there(hook: &Hook, told: &[Told]) {
    let verified = hook.verify();
    assert_eq!(verified["ok"], true, "{verified}");
    let history = hook.history();
    let last = history.len() as u64;
    assert_eq!(verified["seq"], last);
    let mut in_log = vec![];
    for (entry, seq) in history.iter().zip(1..) {
        assert_eq!(entry["seq"], seq, "a gap");
        in_log.push((entry["id"].as_str().expect("an id"), entry["body"]["n"].as_u64().expect("a number")));
    }
    for (n, receipt) in told.iter().flat_map(|told| &told.receipts) {
        assert_eq!(in_log[receipt.seq as usize - 1], (receipt.id.as_str(), *n), "lost or moved");
    }
    let numbers: std::collections::HashSet<u64> = in_log.iter().map(|(_, n)| *n).collect();
    assert_eq!(numbers.len(), in_log.len(), "nothing is there twice");
    let known =
        |n: &u64| told.iter().any(|told| told.uncertain.contains(n) || told.receipts.iter().any(|(own, _)| own == n));
    assert!(
        told.iter().map(|told| told.refused).sum::<u64>() == 0 || numbers.iter().all(known),
        "what was refused is not there"
    );
    let sum: u64 = numbers.iter().sum();
    assert_eq!(hook.state_after(last), json!({ "count": last, "sum": sum }));
}

/// Changes one bit of every place in the database file where these bytes stand.
fn flip_a_bit_of(data: &Path, bytes: &[u8]) -> usize {
    let path = data.join("everfold.db");
    let mut file = fs::read(&path).expect("the database");
    let places: Vec<usize> =
        file.windows(bytes.len()).enumerate().filter(|(_, window)| *window == bytes).map(|(at, _)| at).collect();
    places.iter().for_each(|at| file[*at] ^= 0b100);
    fs::write(&path, file).expect("the database can be written");
    places.len()
}

#[test]
fn a_flipped_bit_stops_its_hook_alone_and_is_named() {
    const REQUESTS: u64 = 40;
    const DAMAGED: u64 = 23;
    let data = tempfile::tempdir().expect("a folder for the data");
    let mut server = Server::start_on(data.path());
    let (damaged, neighbour) = (Hook::running(&server, COUNT), Hook::running(&server, COUNT));
    for n in 1..=REQUESTS {
        damaged.fold(&json!({ "n": n, "mark": format!("damaged-{n:04}") }));
        neighbour.fold(&json!({ "n": n, "mark": format!("neighbour-{n:04}") }));
    }
    let state = neighbour.state();
    server.terminate();
    let flipped = flip_a_bit_of(data.path(), format!("damaged-{DAMAGED:04}").as_bytes());
    assert_eq!(flipped, 1, "a request stands in the file once");

    let mut server = Server::start_on(data.path());
    let (damaged, neighbour) = (damaged.at(&server), neighbour.at(&server));
    let verified = damaged.verify();
    assert_eq!((&verified["ok"], &verified["seq"]), (&json!(false), &json!(DAMAGED)), "{verified}");
    assert!(verified["detail"].as_str().is_some_and(|detail| detail.contains("23")), "{verified}");

    // Whatever is read of the damaged hook, no reply holds what the flip made of it.
    let page = damaged.owner.get(&damaged.api("/history"));
    assert!(!page.text().contains("dam`ged") && !page.text().contains("damaced"), "{}", page.text());
    assert_eq!(page.status, 500, "a history across the damage is refused: {}", page.text());
    assert!(page.json()["detail"].as_str().is_some_and(|detail| detail.contains("seq 23")), "{}", page.text());
    damaged.read(&format!("at={}", REQUESTS)).text();
    let refold = damaged.owner.post(&damaged.api("/publish"), &json!({}));
    assert_eq!(refold.status, 200, "{}", refold.text());

    assert_eq!(neighbour.verify()["ok"], true);
    assert_eq!(neighbour.state(), state);
    assert_eq!(neighbour.fold(&json!({ "n": 1 })).seq, REQUESTS + 1);
    assert_eq!(neighbour.state()["count"], REQUESTS + 1);
    neighbour.publish(COUNT);
    assert_eq!(neighbour.state()["count"], REQUESTS + 1);
    thread::sleep(Duration::from_secs(1));
    let replay = damaged.owner.get(&damaged.api("/replay")).json();
    assert_ne!(replay["status"], "done", "no version is made of a damaged log: {replay}");
    assert!(server.is_well());
    figure(
        "bit rot, from outside",
        "one bit of one request flipped in everfold.db of a stopped server",
        "verify names seq 23; history refused; no refold; the neighbour reads, writes and refolds",
        true,
    );
}

#[test]
fn a_database_that_was_cut_off_is_not_served_as_if_it_were_whole() {
    let data = tempfile::tempdir().expect("a folder for the data");
    let mut server = Server::start_on(data.path());
    let hook = Hook::running(&server, COUNT);
    let receipts: Vec<Receipt> = (0..200).map(|n| hook.keep(&json!({ "n": n, "padding": "x".repeat(500) }))).collect();
    hook.settled(&receipts[199].id).expect(200);
    server.terminate();
    let path = data.path().join("everfold.db");
    let whole = fs::read(&path).expect("the database");
    for percent in [0, 5, 30, 60, 95] {
        fs::write(&path, &whole[..whole.len() * percent / 100]).expect("the database can be cut");
        let refusal = refusal_to_serve(data.path());
        assert!(refusal.contains("store_damaged") || refusal.contains("is damaged"), "at {percent} %: {refusal}");
        assert!(refusal.contains("hint"), "at {percent} %: {refusal}");
    }
    fs::write(&path, &whole).expect("the database can be restored");
    let server = Server::start_on(data.path());
    let verified = hook.at(&server).verify();
    assert_eq!((&verified["ok"], &verified["seq"]), (&json!(true), &json!(200)), "the refusals changed nothing");
}

/// What a server says that does not start.
fn refusal_to_serve(data: &Path) -> String {
    let mut process = everfold()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("everfold starts");
    let status = eventually("a server on a damaged store ends", || process.try_wait().expect("a child can be asked"));
    assert!(!status.success());
    std::io::read_to_string(process.stderr.take().expect("stderr is a pipe")).expect("text")
}
