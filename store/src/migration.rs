//! Moves everything from one store to another: copied while the one is in use, switched once nobody uses it.
//!
//! Records never change and lanes only grow, so what was copied of a lane stays right, and a copy that was cut short goes on
//! where each lane ends. Rows change: every pass holds all of them against each other. A mark says which of two stores is
//! not to be served. It stands in the copy from before its first record on; the switch first marks the one that is left, and
//! then takes the mark from the other. So at no line, wherever a crash comes, are both without one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use rules::{
    record::{LaneId, Position},
    row,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::{Batch, Commit, Extent, Fault, LaneEnd, Order, Row, Store};

/// Lanes that are copied or compared side by side: many of one record each share one sync.
const LANES_AT_ONCE: usize = 64;
/// What is in memory of each.
const PAGE: Extent = Extent { records_max: 1_000, bytes_max: 1 << 20 };
const FIRST: Extent = Extent { records_max: 1, bytes_max: 0 };
/// Rows that are read at once; the state of a hook is one, and may be megabytes.
const ROWS_AT_ONCE: usize = 32;
/// The rows, and about the bytes, of one commit.
const ROWS_KEPT_AT_ONCE: usize = 512;
const ROW_BYTES_KEPT_AT_ONCE: usize = 4 << 20;
const ERASED_AT_ONCE: usize = 512;
/// Behind every key there is: none that a database takes is so long.
const BEHIND_ALL_KEYS: [u8; 4_096] = [0xff; 4_096];

/// Why a store is not to be served. The number is that of the migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Mark {
    #[error(
        "migration_unfinished: What is kept here is a copy of another store that was never finished. hint: finish it with \
         'everfold migrate', or serve the one that it is copied from."
    )]
    Copy(u128),
    #[error(
        "migration_left: What was kept here has moved elsewhere, and goes on there. hint: serve it from there, or bring it \
         back with 'everfold migrate'. If that place is lost, 'everfold migrate --reclaim' goes on with what is here."
    )]
    Left(u128),
}

/// What was done so far; a command that shows it looks in whenever it likes.
#[derive(Debug, Default)]
pub struct Tally {
    pub records_copied: AtomicU64,
    pub rows_copied: AtomicU64,
    pub lanes_compared: AtomicU64,
    pub records_compared: AtomicU64,
    /// By the pass over all rows that is under way, or was last.
    pub rows_compared: AtomicU64,
}

/// Why a migration stopped. The source is as it was, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    #[error(
        "migration_occupied: The target holds something that was not copied from this source. Nothing was changed. \
         hint: name an empty directory, or an empty database."
    )]
    Occupied,
    #[error(
        "migration_foreign: The target is a copy, but not of this source: its lane {:032x} is another one here. Nothing \
         was changed. hint: empty the target (remove the directory, or 'DROP SCHEMA everfold CASCADE'), or name another.",
        .0.0
    )]
    Foreign(LaneId),
    #[error(
        "migration_of_copy: It is a copy of another store, and was never finished. Nothing was changed. hint: use the one \
         that it is copied from."
    )]
    OfCopy,
    #[error(
        "migration_left: What the source held has moved elsewhere already. Nothing was changed. hint: migrate from where \
         it is now."
    )]
    Left,
    #[error(
        "migration_differs: Lane {:032x} differs behind position {}. Nothing was switched; go on with the source. hint: \
         empty the target (remove the directory, or 'DROP SCHEMA everfold CASCADE') and begin again.", lane.0, after.to_u64()
    )]
    Differs { lane: LaneId, after: Position },
    #[error(
        "migration_disturbed: Somebody else writes to {0}. Nothing was switched. hint: end every server that uses it, \
         and run this again: it goes on where it stopped."
    )]
    Disturbed(&'static str),
    #[error(
        "migration_full: There is no space in {0}. Nothing was switched. hint: make some, and run this again: it goes on \
         where it stopped."
    )]
    Full(&'static str),
    #[error("migration_broken: {0}. Nothing was switched. hint: run this again: it goes on where it stopped.")]
    Broken(String),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Stopped {
        Stopped::Broken(fault.to_string())
    }
}

/// The mark of a store; `None` for one that may be served.
pub async fn mark(store: &dyn Store) -> Result<Option<Mark>, Fault> {
    let found = store.row(row::migration()).await?;
    found.map(|mark| row::decode(&mark).ok_or_else(|| Fault("the mark of a migration is damaged".into()))).transpose()
}

/// Lets a store be served again that was left, as it was then. What came since is where it went; both may be served.
pub async fn reclaim(store: &dyn Store) -> Result<(), Stopped> {
    match mark(store).await? {
        None => Ok(()),
        Some(Mark::Copy(_)) => Err(Stopped::OfCopy),
        Some(Mark::Left(_)) => put_mark(store, "it", None).await,
    }
}

/// Both ends of a migration.
#[derive(Clone)]
pub struct Migration {
    pub from: Arc<dyn Store>,
    /// Nobody else writes to it.
    pub to: Arc<dyn Store>,
    pub tally: Arc<Tally>,
}

impl Migration {
    /// Copies what the target lacks, whoever writes to the source meanwhile: then it is as new as the moment at which each
    /// part of it was reached. The target is empty, or an earlier copy; `number` is the migration's if it begins here.
    pub async fn copy(&self, number: u128) -> Result<(), Stopped> {
        self.begin(number).await?;
        self.copy_all().await
    }

    /// Copies what is missing, compares everything on both sides, and switches: from here on the target may be served, and
    /// the source may not. Nobody else writes to either.
    pub async fn switch(&self, number: u128) -> Result<(), Stopped> {
        let number = self.begin(number).await?;
        self.copy_all().await?;
        self.compare_lanes().await?;
        if self.settle_rows().await? > 0 {
            return Err(Stopped::Disturbed("the source or the target"));
        }
        put_mark(&*self.from, "the source", Some(Mark::Left(number))).await?;
        put_mark(&*self.to, "the target", None).await
    }

    async fn copy_all(&self) -> Result<(), Stopped> {
        self.copy_lanes().await?;
        let changed = self.settle_rows().await?;
        self.tally.rows_copied.fetch_add(changed, Relaxed);
        Ok(())
    }

    /// Refuses what is no copy of the source before anything is changed; marks the target; gives the migration's number.
    async fn begin(&self, number: u128) -> Result<u128, Stopped> {
        let marks = (mark(&*self.from).await?, mark(&*self.to).await?);
        let number = match marks {
            (None, None) if self.is_empty().await? => number,
            (None, None) => return Err(Stopped::Occupied),
            (None, Some(Mark::Copy(begun))) => begun,
            // On the way back: it holds what the source once began with.
            (None, Some(Mark::Left(_))) => number,
            // A switch that was cut short between its two marks.
            (Some(Mark::Left(left)), Some(Mark::Copy(begun))) if left == begun => begun,
            (Some(Mark::Left(_)), _) => return Err(Stopped::Left),
            (Some(Mark::Copy(_)), _) => return Err(Stopped::OfCopy),
        };
        let mut next = Some(LaneId(0));
        while let Some(first) = next {
            let lanes = self.to.lanes(first, LANES_AT_ONCE).await?;
            next = behind(&lanes);
            each(lanes, |end| is_beginning(self.from.clone(), end)).await?;
        }
        if marks.1 != Some(Mark::Copy(number)) {
            put_mark(&*self.to, "the target", Some(Mark::Copy(number))).await?;
        }
        Ok(number)
    }

    async fn is_empty(&self) -> Result<bool, Fault> {
        let rows = self.to.rows(Vec::new(), BEHIND_ALL_KEYS.into(), Order::Ascending, 1).await?;
        Ok(rows.is_empty() && self.to.lanes(LaneId(0), 1).await?.is_empty())
    }

    async fn copy_lanes(&self) -> Result<(), Stopped> {
        let mut next = Some(LaneId(0));
        while let Some(first) = next {
            let lanes = self.from.lanes(first, LANES_AT_ONCE).await?;
            next = behind(&lanes);
            // The target has no lane that the source has not.
            let there = self.to.lanes(first, LANES_AT_ONCE).await?;
            let there: HashMap<LaneId, LaneEnd> = there.into_iter().map(|end| (end.lane, end)).collect();
            let grown = lanes.into_iter().filter(|end| there.get(&end.lane) != Some(end));
            each(grown.collect(), |end| {
                let after = there.get(&end.lane).map_or(Position::START, |there| there.position);
                copy_lane(self.clone(), end, after)
            })
            .await?;
        }
        Ok(())
    }

    /// The target has no lane that the source has not: that was seen before anything was copied.
    async fn compare_lanes(&self) -> Result<(), Stopped> {
        let mut next = Some(LaneId(0));
        while let Some(first) = next {
            let lanes = self.from.lanes(first, LANES_AT_ONCE).await?;
            next = behind(&lanes);
            each(lanes, |end| compare_lane(self.clone(), end.lane)).await?;
        }
        Ok(())
    }

    /// Makes the target's rows those of the source; gives how many were different.
    async fn settle_rows(&self) -> Result<u64, Stopped> {
        let (mut ours, mut theirs) = (RowPages::of(&self.from), RowPages::of(&self.to));
        let (mut changed, mut changes, mut bytes) = (0, Vec::new(), 0);
        self.tally.rows_compared.store(0, Relaxed);
        loop {
            let (here, there) = tokio::try_join!(ours.peek(), theirs.peek())?;
            let is_over = here.is_none() && there.is_none();
            let order = match (here, there) {
                (Some((here, _)), Some((there, _))) => here.cmp(there),
                (Some(_), None) => std::cmp::Ordering::Less,
                _ => std::cmp::Ordering::Greater,
            };
            let (here, there) = match order {
                std::cmp::Ordering::Less => (ours.take(), None),
                std::cmp::Ordering::Equal => (ours.take(), theirs.take()),
                std::cmp::Ordering::Greater => (None, theirs.take()),
            };
            self.tally.rows_compared.fetch_add(u64::from(here.is_some()), Relaxed);
            if here != there {
                bytes += here.as_ref().map_or(0, |(key, value)| key.len() + value.len());
                changes.extend(here.map(|(key, value)| (key, Some(value))).or(there.map(|(key, _)| (key, None))));
            }
            let is_due = is_over || changes.len() >= ROWS_KEPT_AT_ONCE || bytes >= ROW_BYTES_KEPT_AT_ONCE;
            if is_due && !changes.is_empty() {
                changed += changes.len() as u64;
                keep_rows(&*self.to, "the target", std::mem::take(&mut changes)).await?;
                bytes = 0;
            }
            if is_over {
                return Ok(changed);
            }
        }
    }
}

/// The rows of a store in the order of their keys, without the mark.
struct RowPages<'a> {
    store: &'a Arc<dyn Store>,
    page: VecDeque<Row>,
    /// `None` when the page is the last.
    next: Option<Vec<u8>>,
}

impl RowPages<'_> {
    fn of(store: &Arc<dyn Store>) -> RowPages<'_> {
        RowPages { store, page: VecDeque::new(), next: Some(Vec::new()) }
    }

    async fn peek(&mut self) -> Result<Option<&Row>, Fault> {
        while self.page.is_empty() {
            let Some(from) = self.next.take() else { break };
            let rows = self.store.rows(from, BEHIND_ALL_KEYS.into(), Order::Ascending, ROWS_AT_ONCE).await?;
            // The next key there may be is this one and a zero.
            self.next = rows.last().map(|(key, _)| [key, &[0][..]].concat());
            self.page = rows.into_iter().filter(|(key, _)| *key != row::migration()).collect();
        }
        Ok(self.page.front())
    }

    fn take(&mut self) -> Option<Row> {
        self.page.pop_front()
    }
}

/// Does something with each of a few lanes, side by side.
async fn each<T: Future<Output = Result<(), Stopped>> + Send + 'static>(
    lanes: Vec<LaneEnd>,
    of: impl Fn(LaneEnd) -> T,
) -> Result<(), Stopped> {
    let mut under_way: JoinSet<_> = lanes.into_iter().map(of).collect();
    while let Some(done) = under_way.join_next().await {
        done.unwrap_or_else(|error| Err(Stopped::Broken(error.to_string())))?;
    }
    Ok(())
}

/// The first lane behind a page of them.
fn behind(lanes: &[LaneEnd]) -> Option<LaneId> {
    lanes.last()?.lane.0.checked_add(1).map(LaneId)
}

/// Holds the end of a copied lane against the same place of the source, whose hash covers all before it.
async fn is_beginning(from: Arc<dyn Store>, end: LaneEnd) -> Result<(), Stopped> {
    match from.last(end.lane, end.position).await? {
        Some(record) if (record.position, record.hash) == (end.position, end.hash) => Ok(()),
        // All of that was erased since; what was deleted is not compared.
        None if from.last(end.lane, Position::from_u64(u64::MAX)).await?.is_some() => Ok(()),
        _ => Err(Stopped::Foreign(end.lane)),
    }
}

/// Copies what stands behind `after`, to where the lane ended when it was listed or a little beyond: it may be growing.
async fn copy_lane(migration: Migration, end: LaneEnd, mut after: Position) -> Result<(), Stopped> {
    while after < end.position {
        let records = migration.from.read(end.lane, after, PAGE).await?;
        let count = records.len() as u64;
        let Some(last) = records.last() else { break };
        let (expect, reached) = (after, last.position);
        let batch = Batch { lane: end.lane, expect, records, rows: Vec::new() };
        kept("the target", migration.to.commit(batch).await)?;
        migration.tally.records_copied.fetch_add(count, Relaxed);
        after = reached;
    }
    Ok(())
}

/// Reads a lane on both sides to its end. What was erased here since it was copied is erased there.
async fn compare_lane(migration: Migration, lane: LaneId) -> Result<(), Stopped> {
    let Migration { from, to, tally } = migration;
    let mut after = Position::START;
    if let Some(first) = from.read(lane, after, FIRST).await?.first() {
        erase_before(&*to, lane, first.position).await?;
        after = Position::from_u64(first.position.to_u64() - 1);
    }
    loop {
        let (here, there) = tokio::try_join!(from.read(lane, after, PAGE), to.read(lane, after, PAGE))?;
        // A page may be longer on one side; what is left of it is read again.
        let both = here.len().min(there.len());
        if here[..both] != there[..both] || here.is_empty() != there.is_empty() {
            return Err(Stopped::Differs { lane, after });
        }
        let Some(last) = here[..both].last() else { break };
        after = last.position;
        tally.records_compared.fetch_add(both as u64, Relaxed);
    }
    tally.lanes_compared.fetch_add(1, Relaxed);
    Ok(())
}

/// Some of it may stay, where it lies in one piece with what is kept.
async fn erase_before(to: &dyn Store, lane: LaneId, first: Position) -> Result<(), Stopped> {
    let mut beginning = None;
    loop {
        let found = to.read(lane, Position::START, FIRST).await?.first().map(|record| record.position);
        if found.is_none_or(|found| found >= first) || found == beginning {
            return Ok(());
        }
        beginning = found;
        kept("the target", to.erase(lane, first, ERASED_AT_ONCE).await)?;
    }
}

async fn put_mark(store: &dyn Store, whose: &'static str, mark: Option<Mark>) -> Result<(), Stopped> {
    keep_rows(store, whose, vec![(row::migration(), mark.as_ref().map(row::encode))]).await
}

/// Rows of a lane that never has a record: a store in several places keeps each where it belongs.
async fn keep_rows(store: &dyn Store, whose: &'static str, rows: Vec<row::Change>) -> Result<(), Stopped> {
    let lane = LaneId(0).derived("everfold 2026 the rows of a migration");
    kept(whose, store.commit(Batch { lane, expect: Position::START, records: Vec::new(), rows }).await)
}

fn kept(whose: &'static str, commit: Commit) -> Result<(), Stopped> {
    match commit {
        Commit::Done => Ok(()),
        Commit::Conflict | Commit::Fenced => Err(Stopped::Disturbed(whose)),
        Commit::Full => Err(Stopped::Full(whose)),
        Commit::Unknown(words) => Err(Stopped::Broken(format!("{whose}: {words}"))),
    }
}
