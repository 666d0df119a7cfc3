//! Moves what is committed from the log file into the database file, beside the commits and not in their way.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;

use super::open::PAGE_BYTES;

/// How much of what is due may be left for the writer to copy itself: a 32nd.
const REST_SHARE: u32 = 32;
/// At so many times the length that is due, commits wait for the copying.
const OVERDUE: u32 = 4;
/// How often the copier runs after a writer that is as fast as itself.
const PASSES_MAX: usize = 4;

/// How far a checkpoint came.
#[derive(Clone, Copy)]
struct Progress {
    log_pages: u32,
    copied_pages: u32,
}

/// The writer's end. A log starts again from its beginning only when all of it has been copied, which under load
/// never happens by itself: so a thread copies the bulk, and the writer, who alone can stand still, the rest.
pub(super) struct Checkpoints {
    nudge: SyncSender<()>,
    bulk_copied: Receiver<()>,
    running: bool,
    /// From this length on the log is copied into the database.
    due_pages: u32,
    due_at_pages: u32,
}

/// Both ends: the writer's, and what the copying thread runs. The log is copied from `due_bytes` on.
pub(super) fn checkpoints(connection: Connection, due_bytes: u32) -> (Checkpoints, impl FnOnce() + Send) {
    let due_pages = due_bytes / PAGE_BYTES;
    let (nudge, nudged) = sync_channel(1);
    let (report, bulk_copied) = sync_channel(1);
    let checkpoints = Checkpoints { nudge, bulk_copied, running: false, due_pages, due_at_pages: due_pages };
    let copy = move || {
        while nudged.recv().is_ok() {
            copy_bulk(&connection, due_pages / REST_SHARE);
            if report.send(()).is_err() {
                break;
            }
        }
    };
    (checkpoints, copy)
}

fn copy_bulk(connection: &Connection, rest_pages: u32) {
    for _ in 0..PASSES_MAX {
        match passive(connection) {
            Ok(progress) if progress.log_pages.saturating_sub(progress.copied_pages) > rest_pages => {}
            Ok(_) => return,
            Err(error) => return tracing::warn!(%error, "the log could not be copied into the database; trying later"),
        }
    }
}

impl Checkpoints {
    /// Called by the writer between two transactions, with the length of the log.
    pub(super) fn after_commit(&mut self, connection: &Connection, log_pages: u32) {
        if !self.running {
            if log_pages >= self.due_at_pages {
                self.running = self.nudge.try_send(()).is_ok();
            }
            return;
        }
        if log_pages >= self.due_pages.saturating_mul(OVERDUE) {
            self.settle();
        } else if self.bulk_copied.try_recv().is_ok() {
            self.running = false;
        }
        if !self.running {
            self.copy_rest(connection, log_pages);
        }
    }

    /// Waits for a copying that is under way.
    pub(super) fn settle(&mut self) {
        if self.running {
            let _ = self.bulk_copied.recv();
            self.running = false;
        }
    }

    fn copy_rest(&mut self, connection: &Connection, log_pages: u32) {
        let complete = passive(connection).is_ok_and(|progress| progress.copied_pages == progress.log_pages);
        // Otherwise somebody still reads old pages, or the disk is full: no use to try again at every commit.
        self.due_at_pages = if complete { self.due_pages } else { log_pages + self.due_pages };
    }
}

fn passive(connection: &Connection) -> rusqlite::Result<Progress> {
    connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |row| {
        // -1 stands for a log that is not there.
        let pages = |value: i64| u32::try_from(value).unwrap_or(0);
        Ok(Progress { log_pages: pages(row.get(1)?), copied_pages: pages(row.get(2)?) })
    })
}

/// Copies all of the log and cuts it to nothing; `false` when somebody else still reads from it.
pub(super) fn truncate(connection: &Connection) -> rusqlite::Result<bool> {
    let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(!busy)
}
