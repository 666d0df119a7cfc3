//! Keeps everything in one SQLite file, for one machine: the default store.
//!
//! One thread commits, two read, one copies the log into the database. The log (SQLite's own, `everfold.db-wal`) is
//! synced once per transaction, and a transaction holds whatever was waiting. SQLite shows a commit to readers only
//! after its sync, so nobody ever reads what could still be lost.

mod backup;
mod checkpoint;
mod chunk;
mod log_end;
mod open;
mod pages;
mod reader;
mod seal;
pub mod vfs;
mod writer;

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::{Arc, atomic::AtomicU32},
    thread::{self, JoinHandle},
};

use rules::record::{LaneId, Position, Record};
use tokio::sync::oneshot;

pub use backup::{backup, restore};
pub use open::{OpenError, claim};
pub use seal::Seal;

use crate::{Batch, Commit, Extent, Fault, LaneEnd, Order, Pending, Row, Store, queue::Queue};
use open::Place;
use reader::{READERS, READS_WAITING_MAX, Read};
use writer::{COMMITS_WAITING_MAX, Erase, Waiting, Writer};

/// A store in a data directory, which is its alone until it is dropped.
pub struct Sqlite {
    place: Place,
    commits: Arc<Queue<Waiting>>,
    reads: Arc<Queue<Read>>,
    readers: Vec<JoinHandle<()>>,
    /// The writer, and the copier that outlives it.
    writers: Vec<JoinHandle<()>>,
    /// `None` beside the process that has it.
    lock: Option<File>,
}

/// What may be different from one store to another; the default is right for all but tests.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The SQLite VFS that reaches the disk; SQLite's own if there is no name.
    pub vfs: Option<&'static str>,
    pub seal: Seal,
    /// From this length on the log is copied into the database.
    pub log_bytes_due: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { vfs: None, seal: Seal::default(), log_bytes_due: 32 << 20 }
    }
}

impl Sqlite {
    /// Opens the store in `directory`, making both where there is nothing yet.
    pub fn open(directory: &Path) -> Result<Sqlite, OpenError> {
        Sqlite::open_with(directory, &Options::default())
    }

    pub fn open_with(directory: &Path, options: &Options) -> Result<Sqlite, OpenError> {
        let lock = Some(open::claim(directory)?);
        let (place, log_end) = open::database(directory, options.vfs)?;
        let explain = |error| open::explain(&place.database, error);

        let mut store = Sqlite::reading(place.clone(), lock)?;
        let log_pages = Arc::new(AtomicU32::new(0));
        let writing = open::writer(&place, &log_pages).map_err(explain)?;
        let copying = open::copier(&place).map_err(explain)?;
        let (checkpoints, copy) = checkpoint::checkpoints(copying, options.log_bytes_due);

        let (place, commits) = (store.place.clone(), store.commits.clone());
        let writer = Writer { place, commits, checkpoints, log_pages, log_end, seal: options.seal };
        store.writers.push(store.start("store-write", move || writer.run(writing))?);
        store.writers.push(store.start("store-copy", copy)?);
        Ok(store)
    }

    /// Reads the store of a directory that another process owns, as it grows. It keeps nothing: commits are refused.
    pub fn open_beside(directory: &Path) -> Result<Sqlite, OpenError> {
        let place = open::place(directory, None)?;
        open::check_header(&place.database)?;
        let store = Sqlite::reading(place, None)?;
        store.commits.close();
        Ok(store)
    }

    /// A store whose commits nobody serves yet.
    fn reading(place: Place, lock: Option<File>) -> Result<Sqlite, OpenError> {
        let explain = |error| open::explain(&place.database, error);
        let reading = (0..READERS).map(|_| open::reader(&place)).collect::<Result<Vec<_>, _>>().map_err(explain)?;
        for connection in &reading {
            reader::probe(connection).map_err(explain)?;
        }
        let (commits, reads) = (Queue::new(COMMITS_WAITING_MAX), Queue::new(READS_WAITING_MAX));
        let mut store = Sqlite { place, commits, reads, readers: Vec::new(), writers: Vec::new(), lock };
        for connection in reading {
            let reads = store.reads.clone();
            store.readers.push(store.start("store-read", move || reader::run(connection, &reads))?);
        }
        Ok(store)
    }

    /// Commits and reads what is waiting, copies the log into the database and gives the directory back. Dropping
    /// does the same.
    pub fn close(self) {}

    /// What the store takes on the disk, its log included.
    pub fn size_bytes(&self) -> io::Result<u64> {
        let log = self.place.database.with_extension("db-wal");
        Ok(fs::metadata(&self.place.database)?.len() + fs::metadata(log).map_or(0, |log| log.len()))
    }

    fn write(&self, batch: Batch, erase: Option<Erase>) -> Pending<Commit> {
        let (answer, answered) = oneshot::channel();
        let entering = self.commits.enter(Waiting { batch, erase, answer });
        Box::pin(async move {
            entering.entered().await;
            answered.await.unwrap_or_else(|_| Commit::Unknown("the store is closed".into()))
        })
    }

    fn start(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
        thread::Builder::new().name(name.into()).spawn(run).map_err(|error| OpenError::Unusable {
            path: self.place.database.clone(),
            words: format!("no thread could be started: {error}"),
        })
    }
}

impl Drop for Sqlite {
    /// The last connection to go copies the log and removes it, and must be one that may write: readers go first.
    fn drop(&mut self) {
        self.reads.close();
        join(&mut self.readers);
        self.commits.close();
        join(&mut self.writers);
        // Closing the file is not enough: a child process that is being started may hold it for a moment.
        let _ = self.lock.as_ref().map(File::unlock);
    }
}

fn join(threads: &mut Vec<JoinHandle<()>>) {
    for thread in threads.drain(..) {
        // A thread that panicked has said so already.
        let _ = thread.join();
    }
}

impl Store for Sqlite {
    fn commit(&self, batch: Batch) -> Pending<Commit> {
        batch.assert_well_formed();
        self.write(batch, None)
    }

    fn erase(&self, lane: LaneId, before: Position, records_max: usize) -> Pending<Commit> {
        let batch = Batch { lane, expect: Position::START, records: Vec::new(), rows: Vec::new() };
        self.write(batch, Some(Erase { before, records_max }))
    }

    fn read(&self, lane: LaneId, after: Position, extent: Extent) -> Pending<Result<Vec<Record>, Fault>> {
        let what = move || format!("lane {:032x} behind position {}", lane.0, after.to_u64());
        let place = self.place.clone();
        reader::ask(&self.reads, what, move |connection| reader::records(connection, &place, lane, after, extent))
    }

    fn last(&self, lane: LaneId, at_most: Position) -> Pending<Result<Option<Record>, Fault>> {
        let what = move || format!("lane {:032x} at or before position {}", lane.0, at_most.to_u64());
        let place = self.place.clone();
        reader::ask(&self.reads, what, move |connection| reader::last(connection, &place, lane, at_most))
    }

    fn lanes(&self, from: LaneId, lanes_max: usize) -> Pending<Result<Vec<LaneEnd>, Fault>> {
        let what = move || format!("lanes from {:032x} on", from.0);
        let place = self.place.clone();
        reader::ask(&self.reads, what, move |connection| reader::lanes(connection, &place, from, lanes_max))
    }

    fn rows(&self, from: Vec<u8>, to: Vec<u8>, order: Order, rows_max: usize) -> Pending<Result<Vec<Row>, Fault>> {
        let named = (from.clone(), to.clone());
        let what = move || format!("rows from '{}' to '{}'", named.0.escape_ascii(), named.1.escape_ascii());
        reader::ask(&self.reads, what, move |connection| reader::rows(connection, &from, &to, order, rows_max))
    }

    fn row(&self, key: Vec<u8>) -> Pending<Result<Option<Vec<u8>>, Fault>> {
        let named = key.clone();
        let what = move || format!("row '{}'", named.escape_ascii());
        reader::ask(&self.reads, what, move |connection| reader::row(connection, &key))
    }
}
