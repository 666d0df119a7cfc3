//! Commits what is waiting: one thread, many batches in one transaction, one sync.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use rules::record::{LaneId, Position};
use rusqlite::{CachedStatement, Connection, params};
use tokio::sync::oneshot;

use super::{
    checkpoint::{self, Checkpoints},
    log_end::LogEnd,
    open::{self, Place, is_damage, is_full, roll_back},
    seal::{CHUNK_RECORDS_MAX, Seal, Sealing},
};
use crate::{
    Batch, Commit,
    queue::{Found, Queue},
};

/// How many batches may wait for the writer; one more waits outside.
pub(super) const COMMITS_WAITING_MAX: usize = 16_384;
/// The most batches of one transaction: it bounds how long the first of them waits for the last.
const TRANSACTION_BATCHES_MAX: usize = 4_096;
/// The most bytes of one transaction (or one batch, if that alone is larger).
const TRANSACTION_BYTES_MAX: usize = 16 << 20;
/// How many tails are kept in memory, twice; another lane's is looked up.
const TAILS_MAX: usize = 65_536;
/// After a failure the writer tries to open the database again, less and less often.
const REOPEN_PAUSE_MIN: Duration = Duration::from_millis(50);
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(5);

const REFUSED: &str = "the disk failed and the store is closed until it answers again; restart Everfold if it does not";

pub(super) struct Waiting {
    pub(super) batch: Batch,
    /// Records of the lane to remove; the batch is empty then.
    pub(super) erase: Option<Erase>,
    pub(super) answer: oneshot::Sender<Commit>,
}

#[derive(Clone, Copy)]
pub(super) struct Erase {
    pub(super) before: Position,
    pub(super) records_max: usize,
}

pub(super) struct Writer {
    pub(super) place: Place,
    pub(super) commits: Arc<Queue<Waiting>>,
    pub(super) checkpoints: Checkpoints,
    pub(super) log_pages: Arc<AtomicU32>,
    pub(super) log_end: LogEnd,
    pub(super) seal: Seal,
}

/// Why the writer stopped serving.
enum End {
    Closed,
    Failed,
}

impl Writer {
    /// Serves commits until the queue is closed and empty.
    pub(super) fn run(mut self, mut connection: Connection) {
        let _abandon = self.commits.abandon_when_dropped();
        while let End::Failed = self.serve(&connection) {
            // What cannot be trusted any more goes first, with every lock it may hold.
            drop(connection);
            match self.reopen() {
                Some(opened) => connection = opened,
                None => break,
            }
        }
        // The last connection to be closed removes the log.
        if let Err(error) = self.log_end.empty() {
            tracing::warn!(%error, "the end of the log is still noted");
        }
    }

    fn serve(&mut self, connection: &Connection) -> End {
        let mut tails = Tails::default();
        let mut sealing = Sealing::new(self.seal);
        let mut group = Vec::new();
        loop {
            match self.wait(&sealing) {
                Found::Work(first) => {
                    gather(&self.commits, first, &mut group);
                    if let Err(error) = self.keep_all(connection, &mut tails, &mut sealing, &mut group) {
                        tracing::error!(%error, "a commit failed: the store is closed until it has been opened again");
                        answer_all(&mut group, &Commit::Unknown(error.to_string()));
                        return End::Failed;
                    }
                }
                Found::Nothing => {
                    if let Err(error) = sealing.turn(connection, || !self.commits.is_empty()) {
                        tracing::error!(%error, "sealing failed: the store is closed until it has been opened again");
                        return End::Failed;
                    }
                }
                Found::Closed => return End::Closed,
            }
            self.checkpoints.after_commit(connection, self.log_pages.load(Ordering::Relaxed));
        }
    }

    /// The next batch; `Found::Nothing` when it is time for sealing and no batch waits.
    fn wait(&self, sealing: &Sealing) -> Found<Waiting> {
        match sealing.next_turn() {
            Some(turn) => self.commits.wait_until(turn),
            None => self.commits.wait().map_or(Found::Closed, Found::Work),
        }
    }

    /// Keeps a group of batches and answers each. A lane whose pages are damaged goes without the others; an error leaves
    /// all that were not answered in the group.
    fn keep_all(
        &mut self,
        connection: &Connection,
        tails: &mut Tails,
        sealing: &mut Sealing,
        group: &mut Vec<Waiting>,
    ) -> rusqlite::Result<()> {
        while !group.is_empty() {
            let Failed { at, error } = match keep(connection, tails, group) {
                Ok(Kept { kept, newest_record }) => {
                    self.log_end.note(self.log_pages.load(Ordering::Relaxed), newest_record);
                    for (waiting, kept) in group.drain(..).zip(kept) {
                        if kept {
                            sealing.grew(waiting.batch.lane, waiting.batch.records.len());
                        }
                        let _ = waiting.answer.send(if kept { Commit::Done } else { Commit::Conflict });
                    }
                    return Ok(());
                }
                Err(failed) => failed,
            };
            let damaged = at.filter(|_| is_damage(&error)).map(|at| group[at].batch.lane);
            if damaged.is_none() && !is_full(&error) || roll_back(connection).is_err() {
                return Err(error);
            }
            *tails = Tails::default();
            match damaged {
                None => answer_all(group, &Commit::Full),
                Some(lane) => {
                    tracing::error!(lane = format_args!("{:032x}", lane.0), %error, "a damaged lane takes no commits");
                    let mut spoilt: Vec<_> = group.extract_if(.., |waiting| waiting.batch.lane == lane).collect();
                    answer_all(
                        &mut spoilt,
                        &Commit::Unknown(format!("lane {:032x} is damaged: {}", lane.0, open::words(&error))),
                    );
                }
            }
        }
        Ok(())
    }

    /// Tries until the database is open again, refusing what comes meanwhile; `None` when the store is closed.
    fn reopen(&mut self) -> Option<Connection> {
        let mut pause = REOPEN_PAUSE_MIN;
        loop {
            self.checkpoints.settle();
            match self.opened_again() {
                Ok(connection) => {
                    tracing::info!("the store is open again");
                    return Some(connection);
                }
                Err(error) => tracing::error!(%error, "the store stays closed"),
            }
            let until = Instant::now() + pause;
            loop {
                match self.commits.wait_until(until) {
                    Found::Work(waiting) => drop(waiting.answer.send(Commit::Unknown(REFUSED.into()))),
                    Found::Nothing => break,
                    Found::Closed => return None,
                }
            }
            pause = REOPEN_PAUSE_MAX.min(pause * 2);
        }
    }

    /// After a failed sync the pages of the log may read well and be on no disk. So all that was agreed on before is
    /// first brought into the database file and synced there, and the log begins anew.
    fn opened_again(&mut self) -> rusqlite::Result<Connection> {
        let connection = open::writer(&self.place, &self.log_pages)?;
        self.log_end.empty().map_err(|error| {
            let failed = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
            rusqlite::Error::SqliteFailure(failed, Some(error.to_string()))
        })?;
        if checkpoint::truncate(&connection)? {
            self.log_pages.store(0, Ordering::Relaxed);
            return Ok(connection);
        }
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        Err(rusqlite::Error::SqliteFailure(busy, Some("somebody reads from the log".into())))
    }
}

fn gather(commits: &Queue<Waiting>, first: Waiting, group: &mut Vec<Waiting>) {
    let mut bytes = first.batch.bytes();
    let mut batches = 1;
    group.push(first);
    commits.take_while(group, |next| {
        bytes += next.batch.bytes();
        batches += 1;
        batches <= TRANSACTION_BATCHES_MAX && bytes <= TRANSACTION_BYTES_MAX
    });
}

fn answer_all(group: &mut Vec<Waiting>, commit: &Commit) {
    for waiting in group.drain(..) {
        let _ = waiting.answer.send(commit.clone());
    }
}

/// Why a transaction was not committed, and at which batch.
struct Failed {
    at: Option<usize>,
    error: rusqlite::Error,
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Failed {
        Failed { at: None, error }
    }
}

/// Which batches of a group were kept; the others expected another tail.
struct Kept {
    kept: Vec<bool>,
    newest_record: Option<u64>,
}

/// Keeps a group of batches in one transaction. One that expects another tail is left out before anything of it is
/// written. Any error is the error of all.
fn keep(connection: &Connection, tails: &mut Tails, group: &[Waiting]) -> Result<Kept, Failed> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut statements = Statements {
        // A lane's newest record is never sealed: its rows know where it ends.
        find_tail: connection.prepare_cached("SELECT max(position) FROM record WHERE lane = ?1")?,
        append: connection.prepare_cached("INSERT INTO record (lane, position, hash, body) VALUES (?1, ?2, ?3, ?4)")?,
        put: connection.prepare_cached(
            "INSERT INTO row (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?,
        delete: connection.prepare_cached("DELETE FROM row WHERE key = ?1")?,
    };
    let mut kept = Vec::with_capacity(group.len());
    let mut newest_record = None;
    for (at, Waiting { batch, erase, .. }) in group.iter().enumerate() {
        let written = match erase {
            None => statements.write(tails, batch, &mut newest_record),
            Some(erase) => erase_some(connection, batch.lane, *erase).map(|()| true),
        };
        kept.push(written.map_err(|error| Failed { at: Some(at), error })?);
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(Kept { kept, newest_record })
}

/// Removes the oldest first. Never the newest record of a lane: its rows know where it ends.
fn erase_some(connection: &Connection, lane: LaneId, erase: Erase) -> rusqlite::Result<()> {
    let lane = lane.0.to_be_bytes();
    let before = erase.before.to_u64().cast_signed();
    let records_max = i64::try_from(erase.records_max).unwrap_or(i64::MAX);
    let chunks = connection
        .prepare_cached(
            "DELETE FROM chunk WHERE id IN (SELECT id FROM chunk WHERE lane = ?1 AND last < ?2 ORDER BY last LIMIT ?3)",
        )?
        .execute(params![lane, before, (records_max / i64::from(CHUNK_RECORDS_MAX)).max(1)])?;
    if chunks == 0 {
        connection
            .prepare_cached(
                "DELETE FROM record WHERE id IN (SELECT id FROM record WHERE lane = ?1 AND position < ?2
                 AND position < (SELECT max(position) FROM record WHERE lane = ?1) ORDER BY position LIMIT ?3)",
            )?
            .execute(params![lane, before, records_max])?;
    }
    Ok(())
}

struct Statements<'a> {
    find_tail: CachedStatement<'a>,
    append: CachedStatement<'a>,
    put: CachedStatement<'a>,
    delete: CachedStatement<'a>,
}

impl Statements<'_> {
    fn write(&mut self, tails: &mut Tails, batch: &Batch, newest_record: &mut Option<u64>) -> rusqlite::Result<bool> {
        let lane = batch.lane.0.to_be_bytes();
        let tail = match tails.get(batch.lane) {
            Some(tail) => tail,
            None => self.find_tail.query_row([lane], |row| {
                let position: Option<i64> = row.get(0)?;
                Ok(position.map_or(Position::START, |position| Position::from_u64(position.cast_unsigned())))
            })?,
        };
        if tail != batch.expect {
            tails.put(batch.lane, tail);
            return Ok(false);
        }
        for record in &batch.records {
            let position = record.position.to_u64().cast_signed();
            let id = self.append.insert(params![lane, position, record.hash.0, record.body])?;
            *newest_record = Some(id.cast_unsigned());
        }
        for (key, value) in &batch.rows {
            match value {
                Some(value) => self.put.execute(params![key, value])?,
                None => self.delete.execute([key])?,
            };
        }
        tails.put(batch.lane, batch.tail());
        Ok(true)
    }
}

/// Where the lanes end that were written lately: two generations, of which the older is forgotten as a whole.
#[derive(Default)]
struct Tails {
    young: HashMap<LaneId, Position>,
    old: HashMap<LaneId, Position>,
}

impl Tails {
    fn get(&self, lane: LaneId) -> Option<Position> {
        self.young.get(&lane).or_else(|| self.old.get(&lane)).copied()
    }

    fn put(&mut self, lane: LaneId, tail: Position) {
        if self.young.len() >= TAILS_MAX && !self.young.contains_key(&lane) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(lane, tail);
    }
}
