//! Commits what is waiting: one connection, many batches in one transaction, one round trip. A second connection made
//! twice as many transactions of half the size, and was slower.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_postgres::{Object, Pool};
use rules::record::{LaneId, Position};
use tokio::sync::oneshot;
use tokio_postgres::{Error, error::SqlState};

use super::{
    limit, open,
    plan::Plan,
    reader,
    shard::{Epoch, Shard},
    signed,
};
use crate::{Batch, Commit, queue::Queue};

/// How many batches may wait for the writer; one more waits outside.
pub(super) const COMMITS_WAITING_MAX: usize = 16_384;
/// The most batches of one transaction: it bounds how long the first of them waits for the last.
const TRANSACTION_BATCHES_MAX: usize = 1_024;
/// The most bytes of one transaction (or one batch, if that alone is larger).
const TRANSACTION_BYTES_MAX: usize = 16 << 20;
/// How long a transaction may take before its connection is given up.
const COMMIT_WAIT: Duration = Duration::from_secs(30);
/// How often a transaction that the database took back is tried.
const TRIES_MAX: u32 = 20;
const TRY_PAUSE: Duration = Duration::from_millis(2);
/// How long commits wait for a database that went away before they are refused.
const PATIENCE: Duration = Duration::from_secs(5);
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// How long a transaction waits for company where other nodes commit, too. What it costs the database is mostly the same
/// for few batches as for many; a node that has all batches gathers enough while the one before is under way.
const COMPANY_WAIT: Duration = Duration::from_millis(1);
/// It does not wait if the one before had so many.
const COMPANY_ENOUGH: usize = 16;

const ERASE: &str = "
    DELETE FROM everfold.record WHERE lane = $1 AND position = ANY (ARRAY(
        SELECT position FROM everfold.record
        WHERE lane = $1 AND position < $2
            AND position < (SELECT max(position) FROM everfold.record WHERE lane = $1)
        ORDER BY position LIMIT $3
    ))";

pub(super) struct Waiting {
    pub(super) batch: Batch,
    pub(super) shard: Shard,
    /// What the shard's epoch has to be; `None` for a store that is no node of many.
    pub(super) epoch: Option<Epoch>,
    pub(super) answer: oneshot::Sender<Commit>,
}

pub(super) struct Writer {
    pool: Pool,
    commits: Arc<Queue<Waiting>>,
    connection: Option<Object>,
    /// Since when the database does not answer.
    away: Option<Instant>,
}

impl Writer {
    pub(super) fn new(pool: Pool, commits: Arc<Queue<Waiting>>) -> Writer {
        Writer { pool, commits, connection: None, away: None }
    }

    /// Serves commits until the queue is closed and empty.
    pub(super) async fn run(mut self, are_others: impl Fn() -> bool) {
        let _abandon = self.commits.abandon_when_dropped();
        let mut batches_before = 0;
        while let Some(first) = self.commits.next().await {
            if (2..COMPANY_ENOUGH).contains(&batches_before) && are_others() {
                tokio::time::sleep(COMPANY_WAIT).await;
            }
            let group = gather(&self.commits, first);
            batches_before = group.len();
            self.keep_all(group).await;
        }
    }

    /// Keeps a group of batches and answers each.
    async fn keep_all(&mut self, mut group: Vec<Waiting>) {
        let mut batches_max = usize::MAX;
        let mut tries = 1;
        while !group.is_empty() {
            let plan = Plan::of(&group[..batches_max.min(group.len())]);
            let planned = plan.batches;
            let error = match self.connected().await {
                Ok(client) => match tokio::time::timeout(COMMIT_WAIT, plan.keep(client)).await {
                    Ok(Ok(found)) => {
                        let verdicts = plan.verdicts(&group, &found);
                        group = answer(group, verdicts);
                        tries = 1;
                        continue;
                    }
                    Ok(Err(error)) => error,
                    Err(_) => {
                        let words = format!("the database did not answer within {} s", COMMIT_WAIT.as_secs());
                        self.give_up(&mut group, &words);
                        continue;
                    }
                },
                Err(words) => {
                    answer_all(&mut group, &Commit::Unknown(words));
                    continue;
                }
            };
            let words = open::words(&error);
            match Failure::of(&error) {
                Failure::Again if tries < TRIES_MAX => {
                    tokio::time::sleep(TRY_PAUSE * tries).await;
                    tries += 1;
                }
                Failure::Full => answer_all(&mut group, &Commit::Full),
                Failure::Broken => self.give_up(&mut group, &words),
                // One of them cannot be kept: each is tried by itself.
                Failure::Again | Failure::Refused if planned > 1 => batches_max = 1,
                Failure::Again | Failure::Refused => {
                    tracing::error!(words, "a commit was refused");
                    answer_all(&mut group.drain(..1).collect(), &Commit::Unknown(words));
                    tries = 1;
                }
            }
        }
    }

    /// What was under way may be kept or not. Its connection is not used again.
    fn give_up(&mut self, group: &mut Vec<Waiting>, words: &str) {
        tracing::error!(words, "a commit may be lost or kept: the database went away");
        self.connection = None;
        answer_all(group, &Commit::Unknown(words.into()));
    }

    /// The connection, made anew if it broke. Fails, in words, when the database has been away for long.
    async fn connected(&mut self) -> Result<&Object, String> {
        if self.connection.as_ref().is_none_or(|client| client.is_closed()) {
            self.connection = Some(self.connect().await?);
        }
        Ok(self.connection.as_ref().expect("is there by now"))
    }

    async fn connect(&mut self) -> Result<Object, String> {
        let away = *self.away.get_or_insert_with(Instant::now);
        loop {
            match self.pool.get().await {
                Ok(client) => {
                    self.away = None;
                    return Ok(client);
                }
                Err(error) => {
                    let words = open::pool_words(&error);
                    tracing::error!(words, "the database cannot be reached");
                    if away.elapsed() > PATIENCE {
                        return Err(format!("the database cannot be reached: {words}"));
                    }
                }
            }
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
    }
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The database took the transaction back, because of another one.
    Again,
    /// There is no space, and nothing was kept.
    Full,
    /// Nobody knows: the connection is gone, or leads to a machine that is not the first any more.
    Broken,
    /// The database does not take this.
    Refused,
}

impl Failure {
    pub(super) fn of(error: &Error) -> Failure {
        match error.code() {
            Some(code) if *code == SqlState::DISK_FULL => Failure::Full,
            Some(code) if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) => {
                Failure::Again
            }
            // Somebody wrote there without a lock. Where the lane ends now shows at the next try.
            Some(code) if *code == SqlState::UNIQUE_VIOLATION => Failure::Again,
            Some(code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => Failure::Broken,
            // 08: of the connection. 57P: shut down. 40003: whether it was committed is not known. 25P03: too slow.
            Some(code) if ["08", "57P", "40003", "25P03"].iter().any(|class| code.code().starts_with(class)) => {
                Failure::Broken
            }
            Some(_) => Failure::Refused,
            None => Failure::Broken,
        }
    }
}

fn gather(commits: &Queue<Waiting>, first: Waiting) -> Vec<Waiting> {
    let mut bytes = first.batch.bytes();
    let mut group = vec![first];
    let mut batches = 1;
    commits.take_while(&mut group, |next| {
        bytes += next.batch.bytes();
        batches += 1;
        batches <= TRANSACTION_BATCHES_MAX && bytes <= TRANSACTION_BYTES_MAX
    });
    group
}

fn answer_all(group: &mut Vec<Waiting>, commit: &Commit) {
    for waiting in group.drain(..) {
        let _ = waiting.answer.send(commit.clone());
    }
}

/// Answers those that have a verdict, and hands back the others.
fn answer(group: Vec<Waiting>, verdicts: Vec<Option<Commit>>) -> Vec<Waiting> {
    let mut left = Vec::new();
    let mut verdicts = verdicts.into_iter();
    for waiting in group {
        match verdicts.next().flatten() {
            Some(verdict) => drop(waiting.answer.send(verdict)),
            None => left.push(waiting),
        }
    }
    left
}

/// Removes the oldest first. Never the newest record of a lane: it says where the lane ends.
pub(super) async fn erase(pool: Pool, lane: LaneId, before: Position, records_max: usize) -> Commit {
    let lane = lane.0.to_be_bytes();
    match reader::ask(&pool, ERASE, &[&lane.as_slice(), &signed(before), &limit(records_max)]).await {
        Ok(_) => Commit::Done,
        Err(failed) if failed.failure == Failure::Full => Commit::Full,
        Err(failed) => Commit::Unknown(failed.words),
    }
}
