//! Answers reads on threads and connections of their own, so that no read waits for the writer.

use std::sync::Arc;

use rules::record::{Hash, LaneId, Position, Record};
use rusqlite::{Connection, OptionalExtension, Row as Found, params};
use tokio::sync::oneshot;

use super::queue::Queue;
use crate::{Extent, Fault, Order, Pending, Row};

/// How many reads may wait for a reader; one more waits outside.
pub(super) const READS_WAITING_MAX: usize = 4_096;
/// Two are enough to let a small read pass a large one.
pub(super) const READERS: usize = 2;

pub(super) type Read = Box<dyn FnOnce(&Connection) + Send>;

/// Serves reads until the queue is closed. Each read is one statement, so one transaction, begun after it was asked
/// for: it sees every commit that was answered before.
pub(super) fn run(connection: Connection, reads: &Arc<Queue<Read>>) {
    let _abandon = reads.abandon_when_dropped();
    while let Some(read) = reads.wait() {
        read(&connection);
    }
}

/// Puts a read in line and promises its answer.
pub(super) fn ask<T: Send + 'static>(
    reads: &Arc<Queue<Read>>,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Pending<Result<T, Fault>> {
    let (answer, answered) = oneshot::channel();
    let entering = reads.enter(Box::new(move |connection: &Connection| {
        if !answer.is_closed() {
            let _ = answer.send(read(connection).map_err(|error| Fault(error.to_string())));
        }
    }));
    Box::pin(async move {
        entering.entered().await;
        answered.await.unwrap_or_else(|_| Err(Fault("it is closed".into())))
    })
}

/// Fails unless the tables are there and in shape, and keeps what it found out for the first reads.
pub(super) fn probe(connection: &Connection) -> rusqlite::Result<()> {
    for statement in [RECORDS, LAST, ROWS_ASCENDING, ROWS_DESCENDING, ROW] {
        connection.prepare_cached(statement)?;
    }
    Ok(())
}

const RECORDS: &str =
    "SELECT position, hash, body FROM record WHERE lane = ?1 AND position > ?2 ORDER BY position LIMIT ?3";
const LAST: &str =
    "SELECT position, hash, body FROM record WHERE lane = ?1 AND position <= ?2 ORDER BY position DESC LIMIT 1";
const ROWS_ASCENDING: &str = "SELECT key, value FROM row WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3";
const ROWS_DESCENDING: &str = "SELECT key, value FROM row WHERE key >= ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3";
const ROW: &str = "SELECT value FROM row WHERE key = ?1";

pub(super) fn records(
    connection: &Connection,
    lane: LaneId,
    after: Position,
    extent: Extent,
) -> rusqlite::Result<Vec<Record>> {
    let mut statement = connection.prepare_cached(RECORDS)?;
    let mut found = statement.query(params![lane.0.to_be_bytes(), signed(after), limit(extent.records_max.max(1))])?;
    let mut records = Vec::new();
    let mut bytes = 0;
    while let Some(next) = found.next()? {
        bytes += next.get_ref(2)?.as_blob()?.len();
        if !records.is_empty() && bytes > extent.bytes_max {
            break;
        }
        records.push(record(next)?);
    }
    Ok(records)
}

pub(super) fn last(connection: &Connection, lane: LaneId, at_most: Position) -> rusqlite::Result<Option<Record>> {
    connection.prepare_cached(LAST)?.query_row(params![lane.0.to_be_bytes(), signed(at_most)], record).optional()
}

pub(super) fn rows(
    connection: &Connection,
    from: &[u8],
    to: &[u8],
    order: Order,
    rows_max: usize,
) -> rusqlite::Result<Vec<Row>> {
    let statement = match order {
        Order::Ascending => ROWS_ASCENDING,
        Order::Descending => ROWS_DESCENDING,
    };
    let mut statement = connection.prepare_cached(statement)?;
    statement.query_map(params![from, to, limit(rows_max)], |found| Ok((found.get(0)?, found.get(1)?)))?.collect()
}

pub(super) fn row(connection: &Connection, key: &[u8]) -> rusqlite::Result<Option<Vec<u8>>> {
    connection.prepare_cached(ROW)?.query_row([key], |found| found.get(0)).optional()
}

fn record(found: &Found) -> rusqlite::Result<Record> {
    let position: i64 = found.get(0)?;
    Ok(Record {
        position: Position::from_u64(position.cast_unsigned()),
        hash: Hash(found.get(1)?),
        body: found.get(2)?,
    })
}

/// A position asked for may be the greatest there is; none kept is beyond `i64::MAX`.
fn signed(position: Position) -> i64 {
    i64::try_from(position.to_u64()).unwrap_or(i64::MAX)
}

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
