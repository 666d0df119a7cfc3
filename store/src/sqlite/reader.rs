//! Answers reads on threads and connections of their own, so that no read waits for the writer.

use std::sync::Arc;

use rules::record::{Hash, LaneId, Position, Record};
use rusqlite::{Connection, OptionalExtension, Row as Found, params};
use tokio::sync::oneshot;

use super::{
    chunk,
    open::{self, Place},
};
use crate::{Extent, Fault, LaneEnd, Order, Pending, Row, queue::Queue};

/// How many reads may wait for a reader; one more waits outside.
pub(super) const READS_WAITING_MAX: usize = 4_096;
/// Two are enough to let a small read pass a large one.
pub(super) const READERS: usize = 2;

pub(super) type Read = Box<dyn FnOnce(&Connection) + Send>;

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("{}", open::words(.0))]
    Sqlite(#[from] rusqlite::Error),
    #[error("the chunk of records from position {first} on is damaged: {words}")]
    Chunk { first: i64, words: String },
}

/// Serves reads until the queue is closed. Each read is one transaction, begun after it was asked for: it sees every
/// commit that was answered before.
pub(super) fn run(connection: Connection, reads: &Arc<Queue<Read>>) {
    let _abandon = reads.abandon_when_dropped();
    while let Some(read) = reads.wait() {
        read(&connection);
    }
}

/// Puts a read in line and promises its answer. A fault says `what` could not be read.
pub(super) fn ask<T: Send + 'static>(
    reads: &Arc<Queue<Read>>,
    what: impl FnOnce() -> String + Send + 'static,
    read: impl FnOnce(&Connection) -> Result<T, Broken> + Send + 'static,
) -> Pending<Result<T, Fault>> {
    let (answer, answered) = oneshot::channel();
    let entering = reads.enter(Box::new(move |connection: &Connection| {
        if !answer.is_closed() {
            let _ = answer.send(read(connection).map_err(|broken| Fault(format!("{}: {broken}", what()))));
        }
    }));
    Box::pin(async move {
        entering.entered().await;
        answered.await.unwrap_or_else(|_| Err(Fault("it is closed".into())))
    })
}

/// Fails unless the tables are there and in shape, and keeps what it found out for the first reads.
pub(super) fn probe(connection: &Connection) -> rusqlite::Result<()> {
    for statement in
        [BEGIN, COMMIT, CHUNKS, RECORDS, LAST, CHUNK_AROUND, CHUNK_BEFORE, LANE, ROWS_ASCENDING, ROWS_DESCENDING, ROW]
    {
        connection.prepare_cached(statement)?;
    }
    Ok(())
}

const BEGIN: &str = "BEGIN";
const COMMIT: &str = "COMMIT";
const CHUNKS: &str = "SELECT first, last, bytes FROM chunk WHERE lane = ?1 AND last > ?2 ORDER BY last";
const RECORDS: &str =
    "SELECT position, hash, body FROM record WHERE lane = ?1 AND position > ?2 ORDER BY position LIMIT ?3";
const LAST: &str =
    "SELECT position, hash, body FROM record WHERE lane = ?1 AND position <= ?2 ORDER BY position DESC LIMIT 1";
const CHUNK_AROUND: &str = "SELECT first, last, bytes FROM chunk WHERE lane = ?1 AND last >= ?2 ORDER BY last LIMIT 1";
const CHUNK_BEFORE: &str =
    "SELECT first, last, bytes FROM chunk WHERE lane = ?1 AND last < ?2 ORDER BY last DESC LIMIT 1";
const LANE: &str = "SELECT min(lane) FROM record WHERE lane >= ?1";
const ROWS_ASCENDING: &str = "SELECT key, value FROM row WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3";
const ROWS_DESCENDING: &str = "SELECT key, value FROM row WHERE key >= ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3";
const ROW: &str = "SELECT value FROM row WHERE key = ?1";

/// Records are chained, so whoever reads them sees for themselves which is not as it was written. Where a page is
/// damaged they are therefore handed over as they are: lanes that share the page with the damaged record are whole.
pub(super) fn records(
    connection: &Connection,
    place: &Place,
    lane: LaneId,
    after: Position,
    extent: Extent,
) -> Result<Vec<Record>, Broken> {
    match of_whole_pages(connection, lane, after, extent) {
        Err(Broken::Sqlite(error)) if open::is_damage(&error) => {
            let in_spite = in_spite_of_damage(connection, place, lane, |damaged, end| {
                let records = of_whole_pages(damaged, lane, after, extent)?;
                let last = records.last().map_or(after, |record| record.position);
                let one = Extent { records_max: 1, bytes_max: 1 };
                // A damaged index may hide the end of a lane, and a chain does not tell where it should end.
                let is_all = last >= end || !of_whole_pages(damaged, lane, last, one)?.is_empty();
                Ok(is_all.then_some(records))
            });
            in_spite.ok_or(Broken::Sqlite(error))
        }
        read => read,
    }
}

/// What can be read of a lane whose end is not in doubt, with damaged pages served as they are.
fn in_spite_of_damage<T>(
    connection: &Connection,
    place: &Place,
    lane: LaneId,
    read: impl FnOnce(&Connection, Position) -> Result<Option<T>, Broken>,
) -> Option<T> {
    let end = of_whole_pages_last(connection, lane, Position::from_u64(u64::MAX)).ok()??;
    let damaged = open::reader_of_damage(place).ok()?;
    read(&damaged, end.position).ok()?
}

fn of_whole_pages(
    connection: &Connection,
    lane: LaneId,
    after: Position,
    extent: Extent,
) -> Result<Vec<Record>, Broken> {
    // Two statements see one state, or what is sealed between them would be in neither.
    connection.prepare_cached(BEGIN)?.execute([])?;
    let records = chunks_then_rows(connection, lane, after, extent);
    // Some errors have ended it already.
    if !connection.is_autocommit() {
        connection.prepare_cached(COMMIT)?.execute([])?;
    }
    records
}

fn chunks_then_rows(
    connection: &Connection,
    lane: LaneId,
    after: Position,
    extent: Extent,
) -> Result<Vec<Record>, Broken> {
    let mut page = Page { records: Vec::new(), bytes: 0, extent };
    let mut chunks = connection.prepare_cached(CHUNKS)?;
    let mut found = chunks.query(params![lane.0.to_be_bytes(), signed(after)])?;
    while let Some(next) = found.next()? {
        for record in opened(next)?.into_iter().filter(|record| record.position > after) {
            if !page.has_room(record.body.len()) {
                return Ok(page.records);
            }
            page.records.push(record);
        }
    }
    let mut rows = connection.prepare_cached(RECORDS)?;
    let left = extent.records_max.max(1) - page.records.len();
    let mut found = rows.query(params![lane.0.to_be_bytes(), signed(after), limit(left)])?;
    while let Some(next) = found.next()? {
        if !page.has_room(next.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?.len()) {
            break;
        }
        page.records.push(record(next)?);
    }
    Ok(page.records)
}

struct Page {
    records: Vec<Record>,
    bytes: usize,
    extent: Extent,
}

impl Page {
    fn has_room(&mut self, body_bytes: usize) -> bool {
        self.bytes += body_bytes;
        let fits = self.records.len() < self.extent.records_max && self.bytes <= self.extent.bytes_max;
        fits || self.records.is_empty()
    }
}

/// A lane's chunks hold what is older than its rows, and only ever become more: no record is missed between the
/// statements.
/// Likewise, but never for where a lane ends.
pub(super) fn last(
    connection: &Connection,
    place: &Place,
    lane: LaneId,
    at_most: Position,
) -> Result<Option<Record>, Broken> {
    match of_whole_pages_last(connection, lane, at_most) {
        Err(Broken::Sqlite(error)) if open::is_damage(&error) => {
            let in_spite = in_spite_of_damage(connection, place, lane, |damaged, end| {
                if end <= at_most { Ok(None) } else { of_whole_pages_last(damaged, lane, at_most) }
            });
            in_spite.map(Some).ok_or(Broken::Sqlite(error))
        }
        found => found,
    }
}

fn of_whole_pages_last(connection: &Connection, lane: LaneId, at_most: Position) -> Result<Option<Record>, Broken> {
    let wanted = params![lane.0.to_be_bytes(), signed(at_most)];
    if let Some(found) = connection.prepare_cached(LAST)?.query_row(wanted, record).optional()? {
        return Ok(Some(found));
    }
    for statement in [CHUNK_AROUND, CHUNK_BEFORE] {
        let mut statement = connection.prepare_cached(statement)?;
        let mut found = statement.query(wanted)?;
        if let Some(chunk) = found.next()?
            && chunk.get::<_, i64>(0)? <= signed(at_most)
        {
            return Ok(opened(chunk)?.into_iter().rfind(|record| record.position <= at_most));
        }
    }
    Ok(None)
}

/// A lane's newest record is never sealed: its rows know that it is there.
pub(super) fn lanes(
    connection: &Connection,
    place: &Place,
    from: LaneId,
    lanes_max: usize,
) -> Result<Vec<LaneEnd>, Broken> {
    let mut next = connection.prepare_cached(LANE)?;
    let (mut ends, mut from) = (Vec::new(), Some(from));
    while let Some(at_least) = from.filter(|_| ends.len() < lanes_max) {
        let found: Option<[u8; 16]> = next.query_row([at_least.0.to_be_bytes()], |row| row.get(0))?;
        let Some(lane) = found.map(|lane| LaneId(u128::from_be_bytes(lane))) else { break };
        if let Some(end) = last(connection, place, lane, Position::from_u64(u64::MAX))? {
            ends.push(LaneEnd { lane, position: end.position, hash: end.hash });
        }
        from = lane.0.checked_add(1).map(LaneId);
    }
    Ok(ends)
}

fn opened(found: &Found) -> Result<Vec<Record>, Broken> {
    let (first, last): (i64, i64) = (found.get(0)?, found.get(1)?);
    let damaged = |words: &str| Broken::Chunk { first, words: words.into() };
    let records =
        chunk::open(found.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?).map_err(|words| damaged(&words))?;
    let ends = [records.first(), records.last()].map(|record| record.map(|record| signed(record.position)));
    if ends == [Some(first), Some(last)] {
        Ok(records)
    } else {
        Err(damaged("it holds other positions than it should"))
    }
}

pub(super) fn rows(
    connection: &Connection,
    from: &[u8],
    to: &[u8],
    order: Order,
    rows_max: usize,
) -> Result<Vec<Row>, Broken> {
    let statement = match order {
        Order::Ascending => ROWS_ASCENDING,
        Order::Descending => ROWS_DESCENDING,
    };
    let mut statement = connection.prepare_cached(statement)?;
    let found = statement.query_map(params![from, to, limit(rows_max)], |found| Ok((found.get(0)?, found.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn row(connection: &Connection, key: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
    Ok(connection.prepare_cached(ROW)?.query_row([key], |found| found.get(0)).optional()?)
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
