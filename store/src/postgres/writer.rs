//! Commits what is waiting: one connection, many batches in one transaction, one round trip.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_postgres::{Object, Pool};
use rules::record::{LaneId, Position};
use tokio::sync::oneshot;
use tokio_postgres::{Error, error::SqlState};

use super::{
    limit, open,
    reader::{self, Values},
    shard::{Epoch, Shard},
    signed,
};
use crate::{Batch, Commit, queue::Queue};

/// Connections that commit. Two keep the database busy while one of them waits for a sync; more were slower.
pub(super) const WRITERS: usize = 2;
/// How many batches may wait for a writer; one more waits outside.
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

/// Every transaction sees what was committed before each of its statements: what it reads behind its locks is the newest.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const COMMIT: &str = "COMMIT";
/// In one order for all, so that nobody waits in a circle.
const LOCK: &str = "SELECT id FROM everfold.shard WHERE id = ANY ($1) ORDER BY id FOR UPDATE";
/// Keeps what lanes want that are held and end where they are expected to; answers how each was found.
///
/// What is looked up is looked up by key, one by one: a join might read a whole table.
const KEEP: &str = "
    WITH wanted AS (
        SELECT number, lane, expect,
            epoch IS NULL OR epoch = (SELECT s.epoch FROM everfold.shard AS s WHERE s.id = shard) AS held,
            coalesce((SELECT max(r.position) FROM everfold.record AS r WHERE r.lane = w.lane), 0) AS tail
        FROM unnest($1::int8[], $2::bytea[], $3::int8[], $4::int8[], $5::int8[])
            AS w (number, lane, expect, shard, epoch)
    ),
    appended AS (
        INSERT INTO everfold.record (lane, position, hash, body)
        SELECT wanted.lane, n.position, n.hash, n.body
        FROM unnest($6::int8[], $7::int8[], $8::bytea[], $9::bytea[]) AS n (number, position, hash, body)
        JOIN wanted ON wanted.number = n.number
        WHERE wanted.held AND wanted.tail = wanted.expect
    ),
    put AS (
        INSERT INTO everfold.row (key, value)
        SELECT n.key, n.value
        FROM unnest($10::int8[], $11::bytea[], $12::bytea[]) AS n (number, key, value)
        JOIN wanted ON wanted.number = n.number
        WHERE wanted.held AND wanted.tail = wanted.expect
        ON CONFLICT (key) DO UPDATE SET value = excluded.value
    ),
    gone AS (
        DELETE FROM everfold.row WHERE key = ANY (ARRAY(
            SELECT n.key
            FROM unnest($13::int8[], $14::bytea[]) AS n (number, key)
            JOIN wanted ON wanted.number = n.number
            WHERE wanted.held AND wanted.tail = wanted.expect
        ))
    )
    SELECT number, held, tail FROM wanted";
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
    pub(super) async fn run(mut self) {
        let _abandon = self.commits.abandon_when_dropped();
        while let Some(first) = self.commits.next().await {
            let group = gather(&self.commits, first);
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

/// What one transaction is to keep: of the first batches of a group, for each lane, those that follow one another.
#[derive(Default)]
struct Plan<'a> {
    /// How many of the group it speaks of.
    batches: usize,
    runs: Vec<Run<'a>>,
    run_of: HashMap<LaneId, usize>,
    /// No key twice: a statement cannot change a row twice. With the run each is of.
    rows: BTreeMap<&'a [u8], (usize, Option<&'a [u8]>)>,
}

/// Batches of one lane, kept all or none.
struct Run<'a> {
    lane: [u8; 16],
    shard: Shard,
    epoch: Option<Epoch>,
    expect: Position,
    tail: Position,
    batches: Vec<&'a Batch>,
    /// Where they stand in the group.
    members: Vec<usize>,
}

/// How a lane was found.
struct Found {
    is_held: bool,
    tail: Position,
}

impl<'a> Plan<'a> {
    fn of(group: &'a [Waiting]) -> Plan<'a> {
        let mut plan = Plan::default();
        for (member, waiting) in group.iter().enumerate() {
            let Waiting { batch, shard, epoch, .. } = waiting;
            let number = plan.run_of.get(&batch.lane).copied();
            // Another lane's row: whose value is the later one is for two transactions to say.
            let is_taken = |key: &[u8]| plan.rows.get(key).is_some_and(|(run, _)| Some(*run) != number);
            if batch.rows.iter().any(|(key, _)| is_taken(key)) {
                break;
            }
            plan.batches += 1;
            let number = number.unwrap_or_else(|| {
                plan.run_of.insert(batch.lane, plan.runs.len());
                plan.runs.push(Run {
                    lane: batch.lane.0.to_be_bytes(),
                    shard: *shard,
                    epoch: *epoch,
                    expect: batch.expect,
                    tail: batch.expect,
                    batches: Vec::new(),
                    members: Vec::new(),
                });
                plan.runs.len() - 1
            });
            let run = &mut plan.runs[number];
            if batch.expect != run.tail || *epoch != run.epoch {
                continue;
            }
            run.tail = batch.tail();
            run.batches.push(batch);
            run.members.push(member);
            plan.rows.extend(batch.rows.iter().map(|(key, value)| (key.as_slice(), (number, value.as_deref()))));
        }
        plan
    }

    /// Sends the whole transaction at once and waits for all of its answers.
    async fn keep(&self, client: &Object) -> Result<Vec<Found>, Error> {
        let (lock, keep) = tokio::try_join!(client.prepare_cached(LOCK), client.prepare_cached(KEEP))?;
        let mut shards: Vec<i64> = self.runs.iter().map(|run| run.shard.signed()).collect();

        let numbers: Vec<i64> = (0..).take(self.runs.len()).collect();
        let lanes: Vec<&[u8]> = self.runs.iter().map(|run| run.lane.as_slice()).collect();
        let expects: Vec<i64> = self.runs.iter().map(|run| signed(run.expect)).collect();
        let run_shards = shards.clone();
        let epochs: Vec<Option<i64>> = self.runs.iter().map(|run| run.epoch.map(|epoch| epoch.0)).collect();

        let (mut record_runs, mut positions, mut hashes, mut bodies) = (vec![], vec![], vec![], vec![]);
        for (number, run) in numbers.iter().zip(&self.runs) {
            for record in run.batches.iter().flat_map(|batch| &batch.records) {
                record_runs.push(*number);
                positions.push(signed(record.position));
                hashes.push(record.hash.0.as_slice());
                bodies.push(record.body.as_slice());
            }
        }
        let (mut put_runs, mut put_keys, mut put_values) = (vec![], vec![], vec![]);
        let (mut gone_runs, mut gone_keys) = (vec![], vec![]);
        for (key, (number, value)) in &self.rows {
            match value {
                Some(value) => {
                    put_runs.push(numbers[*number]);
                    put_keys.push(*key);
                    put_values.push(*value);
                }
                None => {
                    gone_runs.push(numbers[*number]);
                    gone_keys.push(*key);
                }
            }
        }
        shards.sort_unstable();
        shards.dedup();

        let locked: Values = &[&shards];
        let kept: Values = &[
            &numbers,
            &lanes,
            &expects,
            &run_shards,
            &epochs,
            &record_runs,
            &positions,
            &hashes,
            &bodies,
            &put_runs,
            &put_keys,
            &put_values,
            &gone_runs,
            &gone_keys,
        ];
        // Polled in this order, so sent in this order; the database does one after the other.
        let (begun, locked, kept, committed) = tokio::join!(
            biased;
            client.batch_execute(BEGIN),
            client.execute(&lock, locked),
            client.query(&keep, kept),
            client.batch_execute(COMMIT),
        );
        // The end of a transaction that has failed takes all of it back, and says nothing of it.
        begun?;
        locked?;
        let kept = kept?;
        committed?;

        let mut found: Vec<_> =
            kept.iter().map(|row| (row.get::<_, i64>(0), row.get(1), row.get::<_, i64>(2))).collect();
        found.sort_unstable_by_key(|(number, ..)| *number);
        let found = found
            .into_iter()
            .map(|(_, is_held, tail)| Found { is_held, tail: Position::from_u64(tail.cast_unsigned()) });
        Ok(found.collect())
    }

    /// What became of each batch of the group; `None` for one that is still to be tried.
    fn verdicts(&self, group: &[Waiting], found: &[Found]) -> Vec<Option<Commit>> {
        assert_eq!(self.runs.len(), found.len(), "every lane is answered for");
        let mut verdicts: Vec<Option<Commit>> = group[..self.batches]
            .iter()
            .map(|waiting| {
                let number = self.run_of[&waiting.batch.lane];
                let (run, found) = (&self.runs[number], &found[number]);
                let tail = if found.is_held && found.tail == run.expect { run.tail } else { found.tail };
                match () {
                    () if waiting.epoch != run.epoch => None,
                    () if !found.is_held => Some(Commit::Fenced),
                    () if waiting.batch.expect != tail => Some(Commit::Conflict),
                    () => None,
                }
            })
            .collect();
        for (run, found) in self.runs.iter().zip(found) {
            if found.is_held && found.tail == run.expect {
                for member in &run.members {
                    verdicts[*member] = Some(Commit::Done);
                }
            }
        }
        verdicts
    }
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
