//! What the store in SQLite keeps when its process is killed, its disk is full, or a sync fails.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use rules::record::{Hash, LaneId, Position, Record, Seq};
use store::{
    Batch, Commit, Extent, Store,
    contract::hold,
    sqlite::{OpenError, Sqlite},
};
use tempfile::TempDir;
use tokio::task::JoinSet;

const ALL: Extent = Extent { records_max: usize::MAX, bytes_max: usize::MAX };
/// Where a child of a test finds its directory. A child is this same program, told to run one ignored test.
const CHILD_DIRECTORY: &str = "EVERFOLD_TEST_DIRECTORY";
const CHILD_LANES: u64 = 16;

#[test]
fn what_was_acknowledged_survives_sigkill_under_load() {
    let directory = directory();
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    // The last rounds are long enough for the log to be copied while they run.
    for lines in [1, 50, 300, 2_000, 4_000, 9_000] {
        let mut child = child("child_commits_until_it_is_killed", directory.path()).spawn().expect("starts");
        let output = BufReader::new(child.stdout.take().expect("has an output"));
        let mut done = output.lines().filter_map(|line| Some(line.expect("is text").strip_prefix("done ")?.to_owned()));
        let mut note = |line: String| {
            let (lane, seq) = line.split_once(' ').expect("a lane and a seq");
            acknowledged.insert(lane.parse().expect("a lane"), seq.parse().expect("a seq"));
        };
        done.by_ref().take(lines).for_each(&mut note);
        match Sqlite::open(directory.path()) {
            Err(OpenError::InUse { process, .. }) => assert_eq!(process, child.id().to_string()),
            other => panic!("a second process was not refused: {:?}", other.err()),
        }
        child.kill().expect("is killed");
        child.wait().expect("has ended");
        done.for_each(&mut note);

        hold(async {
            let store = Sqlite::open(directory.path()).expect("opens");
            for lane in 0..CHILD_LANES {
                let done = acknowledged.get(&lane).copied().unwrap_or(0);
                let kept = store.read(LaneId(lane.into()), Position::START, ALL).await.expect("reads");
                assert!(
                    kept.len() as u64 >= done,
                    "lane {lane} lost records: {done} acknowledged, {} kept",
                    kept.len()
                );
                for (seq, record) in (1..).zip(&kept) {
                    assert_eq!(*record, load_record(lane, seq), "lane {lane}, record {seq}");
                }
                let row = store.row(lane.to_be_bytes().to_vec()).await.expect("reads");
                let counted = row.map_or(0, |row| u64::from_be_bytes(row.try_into().expect("a number")));
                assert_eq!(counted, kept.len() as u64, "lane {lane}: its row and its records were kept apart");
            }
        });
    }
}

#[test]
#[ignore = "run as a child of what_was_acknowledged_survives_sigkill_under_load"]
fn child_commits_until_it_is_killed() {
    let Some(directory) = child_directory() else { return };
    hold(async {
        let store = Arc::new(Sqlite::open(&directory).expect("opens"));
        let mut lanes = JoinSet::new();
        for lane in 0..CHILD_LANES {
            let store = store.clone();
            lanes.spawn(async move {
                let id = LaneId(lane.into());
                let last = store.last(id, Position::from_u64(u64::MAX)).await.expect("reads");
                let mut seq = last.map_or(0, |record| record.position.seq().0);
                loop {
                    let expect = Position::of_request(Seq(seq));
                    seq += 1;
                    let rows = vec![(lane.to_be_bytes().to_vec(), Some(seq.to_be_bytes().to_vec()))];
                    let batch = Batch { lane: id, expect, records: vec![load_record(lane, seq)], rows };
                    assert_eq!(store.commit(batch).await, Commit::Done);
                    // One write for each line: a line is there as a whole, or not at all.
                    let line = format!("done {lane} {seq}\n");
                    std::io::stdout().write_all(line.as_bytes()).expect("is read");
                }
            });
        }
        lanes.join_all().await;
    });
}

/// Any record of the load, told from its place. Some bodies span many pages.
fn load_record(lane: u64, seq: u64) -> Record {
    let position = Position::of_request(Seq(seq));
    let mark = Hash::NONE.chain(position, &lane.to_be_bytes());
    let repeats = if seq.is_multiple_of(50) { 2_000 } else { usize::from(mark.0[0]) };
    Record { position, hash: mark, body: mark.0.repeat(repeats) }
}

#[test]
fn a_full_disk_is_said_reads_go_on_and_commits_resume_when_there_is_space() {
    let directory = directory();
    let Some(_disk) = SmallDisk::mount(directory.path()) else {
        return println!("skipped: no small file system can be mounted here");
    };
    let data = directory.path().join("data");
    let filler = directory.path().join("filler");
    hold(async {
        let store = Sqlite::open(&data).expect("opens");
        let mut tails = [0; 4];
        for round in 0..3 {
            fill(&filler);
            let mut full = 0;
            // A log that was copied is used again from its start, so even a full disk has room for some.
            for _ in 0..2_000 {
                let waiting: Vec<_> =
                    (0..).zip(tails).map(|(lane, tail)| store.commit(next(lane, tail, 20_000))).collect();
                for (tail, commit) in tails.iter_mut().zip(waiting) {
                    match commit.await {
                        Commit::Done => *tail += 1,
                        Commit::Full => full += 1,
                        other => panic!("round {round}: {other:?}"),
                    }
                }
                if full >= 40 {
                    break;
                }
            }
            assert!(full >= 40, "round {round}: the disk was never full");
            for (lane, tail) in (0..).zip(tails) {
                assert_eq!(length(&store, lane).await, tail, "round {round}: reads go on");
            }
            fs::remove_file(&filler).expect("is removed");
            for (lane, tail) in (0..).zip(&mut tails) {
                assert_eq!(store.commit(next(lane, *tail, 20_000)).await, Commit::Done, "round {round}: resumes");
                *tail += 1;
            }
        }
        drop(store);
        let store = Sqlite::open(&data).expect("opens again");
        for (lane, tail) in (0..).zip(tails) {
            assert_eq!(length(&store, lane).await, tail);
        }
    });
}

/// Writes zeros until nothing more fits.
fn fill(filler: &Path) {
    let mut file = fs::File::create(filler).expect("is made");
    for block in [1 << 20, 4_096, 1] {
        while file.write_all(&vec![0; block]).is_ok() {}
    }
}

/// A file system of a few megabytes in memory, gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<SmallDisk> {
        let options = ["-t", "tmpfs", "-o", "size=24m", "everfold-test"];
        let mounted = Command::new("mount").args(options).arg(at).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then(|| SmallDisk(at.into()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy".as_ref(), self.0.as_os_str()]).status();
    }
}

/// Stands before the syncs of libc: notes each one in a file, and lets them fail while another file is there.
const SYNC_SHIM: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int synced(int fd, long call) {
    if (access(getenv("EVERFOLD_TEST_SYNC_FAILS"), F_OK) == 0) { errno = EIO; return -1; }
    int done = syscall(call, fd);
    int count = open(getenv("EVERFOLD_TEST_SYNC_COUNT"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (done == 0 && write(count, "s", 1) != 1) abort();
    close(count);
    return done;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
"#;

#[test]
fn nothing_is_done_before_its_sync_and_a_failed_sync_closes_the_store_until_it_is_opened_again() {
    let directory = directory();
    let (source, shim) = (directory.path().join("sync.c"), directory.path().join("sync.so"));
    fs::write(&source, SYNC_SHIM).expect("writes");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&shim).arg(&source).status();
    if !compiled.is_ok_and(|status| status.success()) {
        return println!("skipped: there is no C compiler to stand before the syncs");
    }
    let child = child("child_meets_failing_syncs", directory.path())
        .env("LD_PRELOAD", &shim)
        .env("EVERFOLD_TEST_SYNC_FAILS", directory.path().join("fails"))
        .env("EVERFOLD_TEST_SYNC_COUNT", directory.path().join("count"))
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains("the child has seen everything"), "{said}\n{}", String::from_utf8_lossy(&child.stderr));

    hold(async {
        let store = Sqlite::open(&directory.path().join("data")).expect("opens");
        assert_eq!(length(&store, 0).await, 32, "after the end of a process that closed nothing");
    });
}

#[test]
#[ignore = "run as a child of nothing_is_done_before_its_sync_…"]
fn child_meets_failing_syncs() {
    let Some(directory) = child_directory() else { return };
    let (fails, count) = (directory.join("fails"), directory.join("count"));
    let synced = || fs::metadata(&count).map_or(0, |file| file.len());
    hold(async {
        let store = Sqlite::open(&directory.join("data")).expect("opens");
        for tail in 0..20 {
            let before = synced();
            assert_eq!(store.commit(next(0, tail, 10)).await, Commit::Done);
            assert!(synced() > before, "done without a sync");
        }

        fs::write(&fails, "").expect("writes");
        assert!(matches!(store.commit(next(0, 20, 10)).await, Commit::Unknown(_)));
        for _ in 0..20 {
            match store.commit(next(0, 20, 10)).await {
                Commit::Unknown(words) => assert!(words.contains("restart"), "{words}"),
                other => panic!("answered {other:?} while no sync succeeds"),
            }
            assert_eq!(length(&store, 0).await, 20, "reads go on, and show only what was synced");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }

        fs::remove_file(&fails).expect("is removed");
        while store.commit(next(1, 0, 10)).await != Commit::Done {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(length(&store, 0).await, 20);
        for tail in 20..32 {
            assert_eq!(store.commit(next(0, tail, 10)).await, Commit::Done, "goes on from what was synced");
        }
        println!("the child has seen everything");
        // Nothing is closed: the log is found as it is.
        std::process::abort();
    });
}

fn child(test: &str, directory: &Path) -> Command {
    let mut command = Command::new(env::current_exe().expect("is known"));
    command.args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(CHILD_DIRECTORY, directory).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn child_directory() -> Option<PathBuf> {
    env::var_os(CHILD_DIRECTORY).map(PathBuf::from)
}

fn directory() -> TempDir {
    TempDir::new().expect("a directory")
}

fn next(lane: u128, expect: u64, body_bytes: usize) -> Batch {
    let [expect, position] = [expect, expect + 1].map(|seq| Position::of_request(Seq(seq)));
    let record = Record { position, hash: Hash::NONE, body: vec![b'x'; body_bytes] };
    Batch { lane: LaneId(lane), expect, records: vec![record], rows: vec![] }
}

async fn length(store: &Sqlite, lane: u128) -> u64 {
    store.read(LaneId(lane), Position::START, ALL).await.expect("reads").len() as u64
}
