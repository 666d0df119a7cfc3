//! Answers reads, each by one statement or by pages of one, and again over another connection where one broke.

use std::time::{Duration, Instant};

use deadpool_postgres::{Object, Pool};
use rules::record::{Hash, LaneId, Position, Record};
use tokio_postgres::{Error, Row as Found, types::ToSql};

use super::{limit, open, signed, writer::Failure};
use crate::{Extent, Fault, LaneEnd, Order, Row};

/// How long one statement may take.
const READ_WAIT: Duration = Duration::from_secs(30);
/// How long a database that went away is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
/// The most records that are asked for at once.
const PAGE_RECORDS_MAX: usize = 1_024;

/// The first record, and what fits behind it. How long a body is, is known without reading it.
const RECORDS: &str = "
    SELECT position, hash, body FROM (
        SELECT position, hash, body,
            row_number() OVER (ORDER BY position) AS number,
            sum(octet_length(body)) OVER (ORDER BY position) AS bytes
        FROM (
            SELECT position, hash, body FROM everfold.record
            WHERE lane = $1 AND position > $2 ORDER BY position LIMIT $3
        ) AS page
    ) AS sized
    WHERE number = 1 OR bytes <= $4 ORDER BY position";
const LAST: &str = "
    SELECT position, hash, body FROM everfold.record
    WHERE lane = $1 AND position <= $2 ORDER BY position DESC LIMIT 1";
/// From lane to lane by the index: a lane's records are not read for it.
const LANES: &str = "
    WITH RECURSIVE found (number, lane) AS (
        SELECT 1::int8, (SELECT r.lane FROM everfold.record AS r WHERE r.lane >= $1 ORDER BY r.lane LIMIT 1)
        UNION ALL
        SELECT f.number + 1, (SELECT r.lane FROM everfold.record AS r WHERE r.lane > f.lane ORDER BY r.lane LIMIT 1)
        FROM found AS f WHERE f.number < $2 AND f.lane IS NOT NULL
    )
    SELECT f.lane, e.position, e.hash FROM found AS f CROSS JOIN LATERAL (
        SELECT position, hash FROM everfold.record WHERE lane = f.lane ORDER BY position DESC LIMIT 1
    ) AS e
    ORDER BY f.number LIMIT $2";
const ROWS_ASCENDING: &str = "
    SELECT key, value FROM everfold.row WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3";
const ROWS_DESCENDING: &str = "
    SELECT key, value FROM everfold.row WHERE key >= $1 AND key < $2 ORDER BY key DESC LIMIT $3";
const ROW: &str = "SELECT value FROM everfold.row WHERE key = $1";

/// Records are only ever added at a lane's end, a batch at once: pages that were read one after the other are what one
/// statement would have read at the end.
pub(super) async fn records(pool: Pool, lane: LaneId, after: Position, extent: Extent) -> Result<Vec<Record>, Fault> {
    let mut records: Vec<Record> = Vec::new();
    let mut bytes = 0;
    loop {
        let from = records.last().map_or(after, |last| last.position);
        let wanted = extent.records_max.max(1) - records.len();
        let page_records = wanted.min(PAGE_RECORDS_MAX);
        let left = limit(extent.bytes_max - bytes);
        let what = || format!("lane {:032x} behind position {}", lane.0, from.to_u64());
        let lane = lane.0.to_be_bytes();
        let page = ask(&pool, RECORDS, &[&lane.as_slice(), &signed(from), &limit(page_records), &left]).await;
        let page = page.map_err(|failed| Fault(format!("{}: {failed}", what())))?;
        let is_last = page.len() < page_records || page.len() == wanted;
        for found in page {
            let record = record(&found).map_err(|words| Fault(format!("{}: {words}", what())))?;
            // The first of a page is there even if it does not fit.
            bytes += record.body.len();
            if bytes > extent.bytes_max && !records.is_empty() {
                return Ok(records);
            }
            records.push(record);
        }
        if is_last || bytes >= extent.bytes_max {
            return Ok(records);
        }
    }
}

pub(super) async fn last(pool: Pool, lane: LaneId, at_most: Position) -> Result<Option<Record>, Fault> {
    let what = || format!("lane {:032x} at or before position {}", lane.0, at_most.to_u64());
    let found = ask(&pool, LAST, &[&lane.0.to_be_bytes().as_slice(), &signed(at_most)]).await;
    let found = found.map_err(|failed| Fault(format!("{}: {failed}", what())))?;
    found.first().map(record).transpose().map_err(|words| Fault(format!("{}: {words}", what())))
}

pub(super) async fn lanes(pool: Pool, from: LaneId, lanes_max: usize) -> Result<Vec<LaneEnd>, Fault> {
    let what = |words: &dyn std::fmt::Display| Fault(format!("lanes from {:032x} on: {words}", from.0));
    let found = ask(&pool, LANES, &[&from.0.to_be_bytes().as_slice(), &limit(lanes_max)]).await;
    let ends = found.map_err(|failed| what(&failed))?;
    let ends = ends.iter().map(|end| {
        let (lane, position, hash): (&[u8], i64, &[u8]) = (end.get(0), end.get(1), end.get(2));
        let (lane, hash) = (lane.try_into().ok()?, hash.try_into().ok()?);
        let (lane, position) = (LaneId(u128::from_be_bytes(lane)), Position::from_u64(position.cast_unsigned()));
        Some(LaneEnd { lane, position, hash: Hash(hash) })
    });
    ends.collect::<Option<_>>().ok_or_else(|| what(&"an id or a hash is not as long as it should be"))
}

pub(super) async fn rows(
    pool: Pool,
    from: Vec<u8>,
    to: Vec<u8>,
    order: Order,
    rows_max: usize,
) -> Result<Vec<Row>, Fault> {
    let statement = match order {
        Order::Ascending => ROWS_ASCENDING,
        Order::Descending => ROWS_DESCENDING,
    };
    match ask(&pool, statement, &[&from, &to, &limit(rows_max)]).await {
        Ok(found) => Ok(found.into_iter().map(|row| (row.get(0), row.get(1))).collect()),
        Err(failed) => Err(Fault(format!("rows from '{}' to '{}': {failed}", from.escape_ascii(), to.escape_ascii()))),
    }
}

pub(super) async fn row(pool: Pool, key: Vec<u8>) -> Result<Option<Vec<u8>>, Fault> {
    let found = ask(&pool, ROW, &[&key]).await;
    let found = found.map_err(|failed| Fault(format!("row '{}': {failed}", key.escape_ascii())))?;
    Ok(found.first().map(|row| row.get(0)))
}

fn record(found: &Found) -> Result<Record, String> {
    let (position, hash): (i64, &[u8]) = (found.get(0), found.get(1));
    let hash = hash.try_into().map_err(|_| format!("the hash at position {position} is not 32 bytes long"))?;
    Ok(Record { position: Position::from_u64(position.cast_unsigned()), hash: Hash(hash), body: found.get(2) })
}

/// What stands for `$1`, `$2`, … in a statement.
pub(super) type Values<'a> = &'a [Value<'a>];
pub(super) type Value<'a> = &'a (dyn ToSql + Sync);

/// Asks what may be asked again, and does so while the database is away for a moment, or takes back this for another one
/// that waits for the same.
pub(super) async fn ask(pool: &Pool, statement: &'static str, values: Values<'_>) -> Result<Vec<Found>, Failed> {
    let begun = Instant::now();
    loop {
        let failed = match pool.get().await {
            Ok(client) => match tokio::time::timeout(READ_WAIT, answer(&client, statement, values)).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(error)) => {
                    if Failure::of(&error) == Failure::Broken {
                        drop(Object::take(client));
                    }
                    Failed { failure: Failure::of(&error), words: open::words(&error) }
                }
                Err(_) => {
                    drop(Object::take(client));
                    let words = format!("no answer within {} s", READ_WAIT.as_secs());
                    return Err(Failed { failure: Failure::Broken, words });
                }
            },
            Err(error) => Failed { failure: Failure::Broken, words: open::pool_words(&error) },
        };
        let may_pass = matches!(failed.failure, Failure::Again | Failure::Broken);
        if !may_pass || begun.elapsed() > PATIENCE {
            return Err(failed);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn answer(client: &Object, statement: &str, values: Values<'_>) -> Result<Vec<Found>, Error> {
    let statement = client.prepare_cached(statement).await?;
    client.query(&statement, values).await
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub(super) struct Failed {
    pub(super) failure: Failure,
    pub(super) words: String,
}
