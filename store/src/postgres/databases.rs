//! Keeps everything in several databases: each has a range of the shards, and what is kept of their lanes.

use std::{net::IpAddr, ops::RangeInclusive};

use rules::{
    record::{LaneId, Position, Record},
    row::{self, Home},
};
use tokio::task::{JoinError, JoinSet};

use super::{Leases, Node, OpenError, Postgres, Replica, Shard, Standing, open};
use crate::{Batch, Commit, Extent, Fault, LaneEnd, Order, Pending, Row, Store};

/// A store in one database or several. What one of them cannot do while it is away, the others go on doing; only what is
/// asked of all waits for it.
///
/// A row lies where the lane lies that writes it, and is looked for there if its key says which that is. So a row is
/// written by lanes of one database alone. A batch of rows of a lane that has no record may be of several, as those are
/// that bring another store's rows here: what it brings to each is kept whole or not at all.
pub struct Databases {
    parts: Vec<Postgres>,
}

impl Databases {
    /// Opens the store in the databases at these addresses, with white space between, each as [`Postgres::open`] has it.
    /// Which databases a store is in, and in which order, is noted in each when it is new, and stays.
    pub async fn open(addresses: &str) -> Result<Databases, OpenError> {
        let addresses: Vec<&str> = addresses.split_whitespace().collect();
        let opened = open::databases(&addresses).await?;
        Ok(Databases { parts: opened.into_iter().map(Postgres::over).collect() })
    }

    /// In their order; the first has the head.
    pub fn parts(&self) -> &[Postgres] {
        &self.parts
    }

    /// The leases of a node in each database, in their order: see [`Postgres::leases`]. Each holds by itself.
    pub fn leases(&self, node: Node) -> Vec<Leases> {
        self.parts.iter().map(|part| part.leases(node.clone())).collect()
    }

    /// Every node that is known in any of them, the oldest first. Of what they know of one node: all of its shards, and
    /// the lease that ends first.
    pub async fn nodes(&self) -> Result<Vec<Standing>, Fault> {
        let mut nodes: Vec<Standing> = Vec::new();
        for part in &self.parts {
            for standing in part.nodes().await? {
                let Some(node) = nodes.iter_mut().find(|node| node.id == standing.id) else {
                    nodes.push(standing);
                    continue;
                };
                node.since_ms = node.since_ms.min(standing.since_ms);
                node.left = node.left.min(standing.left);
                node.shards += standing.shards;
                node.is_head |= standing.is_head;
                node.epoch = node.epoch.max(standing.epoch);
            }
        }
        nodes.sort_by_key(|node| node.since_ms);
        Ok(nodes)
    }

    /// The copies that each keeps of itself.
    pub async fn replicas(&self) -> Vec<Replica> {
        let mut replicas = Vec::new();
        for part in &self.parts {
            replicas.extend(part.replicas().await);
        }
        replicas
    }

    /// The address by which the first database sees this machine; `None` where they are the same one.
    pub async fn seen_from(&self) -> Option<IpAddr> {
        self.parts[0].seen_from().await
    }

    /// As [`Postgres::seal`], of all of them. The first decides: none of the others is ever sealed with another key.
    pub async fn seal(&self, mark: Option<&[u8; 32]>) -> Result<bool, Fault> {
        for part in &self.parts {
            // Any that is sealed says that there is a key; any that has another one says that it is not this.
            let answer = part.seal(mark).await?;
            if answer != mark.is_some() {
                return Ok(answer);
            }
        }
        Ok(mark.is_some())
    }

    /// Commits what is waiting. Dropping does the same, without waiting for it.
    pub async fn close(self) {
        for part in self.parts {
            part.close().await;
        }
    }

    fn number_of(&self, lane: LaneId) -> usize {
        Shard::of(lane).part(self.parts.len())
    }

    fn of(&self, lane: LaneId) -> &Postgres {
        self.only().unwrap_or_else(|| &self.parts[self.number_of(lane)])
    }

    /// Where there is but one database, nothing is asked of whose it is.
    fn only(&self) -> Option<&Postgres> {
        match self.parts.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    fn at(&self, home: Home) -> Option<&Postgres> {
        match home {
            Home::Lane(lane) => Some(self.of(lane)),
            Home::Head => self.parts.first(),
            Home::Unknown => None,
        }
    }

    /// The databases in which a row lies, or may.
    fn homes(&self, (key, value): &row::Change) -> RangeInclusive<usize> {
        match row::home(key, value.as_deref()) {
            Home::Lane(lane) => self.number_of(lane)..=self.number_of(lane),
            Home::Head => 0..=0,
            Home::Unknown => 0..=self.parts.len() - 1,
        }
    }

    /// Commits each row where it belongs.
    fn scatter(&self, rows: Vec<row::Change>) -> Vec<Pending<Commit>> {
        let mut scattered = vec![Vec::new(); self.parts.len()];
        for row in rows {
            scattered[self.homes(&row)].iter_mut().for_each(|rows| rows.push(row.clone()));
        }
        let of_each = scattered.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty());
        let batches = of_each.map(|(number, rows)| {
            let batch = Batch { lane: self.bringing(number), expect: Position::START, records: Vec::new(), rows };
            self.parts[number].commit(batch)
        });
        batches.collect()
    }

    /// A lane of a database that never has a record.
    fn bringing(&self, number: usize) -> LaneId {
        let drawn = |turn| LaneId(turn).derived("everfold 2026-11-23 rows from elsewhere").0;
        let mut lanes = (0..).map(|turn| LaneId::placed(drawn(turn)));
        lanes.find(|lane| self.number_of(*lane) == number).expect("every database has shards")
    }
}

impl Store for Databases {
    fn commit(&self, batch: Batch) -> Pending<Commit> {
        if let Some(only) = self.only() {
            return only.commit(batch);
        }
        let number = self.number_of(batch.lane);
        let is_of_rows_alone = batch.records.is_empty() && batch.expect == Position::START;
        if is_of_rows_alone && batch.rows.iter().any(|row| self.homes(row) != (number..=number)) {
            return Box::pin(all_kept(self.scatter(batch.rows)));
        }
        for row in &batch.rows {
            let is_at_home = self.homes(row).contains(&number);
            assert!(is_at_home, "'{}' would not be found: it is of another database", row.0.escape_ascii());
        }
        self.parts[number].commit(batch)
    }

    fn erase(&self, lane: LaneId, before: Position, records_max: usize) -> Pending<Commit> {
        self.of(lane).erase(lane, before, records_max)
    }

    fn read(&self, lane: LaneId, after: Position, extent: Extent) -> Pending<Result<Vec<Record>, Fault>> {
        self.of(lane).read(lane, after, extent)
    }

    fn last(&self, lane: LaneId, at_most: Position) -> Pending<Result<Option<Record>, Fault>> {
        self.of(lane).last(lane, at_most)
    }

    fn lanes(&self, from: LaneId, lanes_max: usize) -> Pending<Result<Vec<LaneEnd>, Fault>> {
        if let Some(only) = self.only() {
            return only.lanes(from, lanes_max);
        }
        let asked = self.parts.iter().map(|part| part.lanes(from, lanes_max)).collect();
        Box::pin(async move {
            let mut lanes = all_found(asked).await?;
            lanes.sort_unstable_by_key(|end| end.lane);
            lanes.truncate(lanes_max);
            Ok(lanes)
        })
    }

    fn rows(&self, from: Vec<u8>, to: Vec<u8>, order: Order, rows_max: usize) -> Pending<Result<Vec<Row>, Fault>> {
        if let Some(alone) = self.only().or_else(|| self.at(row::range_home(&from, &to))) {
            return alone.rows(from, to, order, rows_max);
        }
        let asked = self.parts.iter().map(|part| part.rows(from.clone(), to.clone(), order, rows_max)).collect();
        Box::pin(async move {
            let mut rows = all_found(asked).await?;
            rows.sort_unstable_by(|(left, _), (right, _)| match order {
                Order::Ascending => left.cmp(right),
                Order::Descending => right.cmp(left),
            });
            rows.truncate(rows_max);
            Ok(rows)
        })
    }

    fn row(&self, key: Vec<u8>) -> Pending<Result<Option<Vec<u8>>, Fault>> {
        if let Some(alone) = self.only().or_else(|| self.at(row::home(&key, None))) {
            return alone.row(key);
        }
        let asked = self.parts.iter().map(|part| part.row(key.clone())).collect();
        Box::pin(first_found(asked))
    }
}

type Asked<T> = Vec<Pending<Result<T, Fault>>>;

/// What all of them answer, in no order.
async fn all_found<T: Send + 'static>(asked: Asked<Vec<T>>) -> Result<Vec<T>, Fault> {
    let mut under_way: JoinSet<_> = asked.into_iter().collect();
    let mut all = Vec::new();
    while let Some(found) = under_way.join_next().await {
        all.append(&mut found.unwrap_or_else(broken)?);
    }
    Ok(all)
}

/// What one of them has. That none has it is known when all have said so.
async fn first_found<T: Send + 'static>(asked: Asked<Option<T>>) -> Result<Option<T>, Fault> {
    let mut under_way: JoinSet<_> = asked.into_iter().collect();
    let mut none = Ok(None);
    while let Some(found) = under_way.join_next().await {
        match found.unwrap_or_else(broken) {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(fault) => none = Err(fault),
        }
    }
    none
}

fn broken<T>(error: JoinError) -> Result<T, Fault> {
    Err(Fault(error.to_string()))
}

/// Every batch is under way already.
async fn all_kept(commits: Vec<Pending<Commit>>) -> Commit {
    let is_only = commits.len() == 1;
    let mut all = Commit::Done;
    for commit in commits {
        match commit.await {
            Commit::Done => {}
            other if is_only => all = other,
            Commit::Unknown(words) => all = Commit::Unknown(words),
            other => all = Commit::Unknown(format!("one of its databases said {other:?}, others may have kept theirs")),
        }
    }
    all
}
