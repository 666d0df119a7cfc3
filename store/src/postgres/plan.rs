//! Plans one transaction over the batches that wait, asks for it in one round trip, and says what became of each.

use std::collections::{BTreeMap, HashMap};

use deadpool_postgres::Object;
use rules::{
    canary::{self, Bug},
    record::{LaneId, Position},
};
use tokio_postgres::Error;

use super::{
    limit,
    reader::{Value, Values},
    shard::{Epoch, Shard},
    signed,
    writer::Waiting,
};
use crate::{Batch, Commit};

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
/// What one transaction is to keep: of the first batches of a group, for each lane, those that follow one another.
#[derive(Default)]
pub(super) struct Plan<'a> {
    /// How many of the group it speaks of.
    pub(super) batches: usize,
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

impl Run<'_> {
    fn fence(&self) -> Option<Epoch> {
        self.epoch.filter(|_| !canary::is_planted(Bug::LeaseWithoutFence))
    }
}

/// How a lane was found.
pub(super) struct Found {
    is_held: bool,
    tail: Position,
}

impl<'a> Plan<'a> {
    pub(super) fn of(group: &'a [Waiting]) -> Plan<'a> {
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
    pub(super) async fn keep(&self, client: &Object) -> Result<Vec<Found>, Error> {
        let (lock, keep) = tokio::try_join!(client.prepare_cached(LOCK), client.prepare_cached(KEEP))?;
        let mut shards: Vec<i64> = self.runs.iter().map(|run| run.shard.signed()).collect();
        shards.sort_unstable();
        shards.dedup();
        let (runs, records, rows) = (self.run_columns(), self.record_columns(), self.row_columns());
        let (locked, kept): (Values, Vec<_>) = (&[&shards], [runs.values(), records.values(), rows.values()].concat());
        // Polled in this order, so sent in this order; the database does one after the other.
        let (begun, locked, kept, committed) = tokio::join!(
            biased;
            client.batch_execute(BEGIN),
            client.execute(&lock, locked),
            client.query(&keep, &kept),
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

    fn run_columns(&self) -> RunColumns<'_> {
        RunColumns {
            numbers: (0..).take(self.runs.len()).collect(),
            lanes: self.runs.iter().map(|run| run.lane.as_slice()).collect(),
            expects: self.runs.iter().map(|run| signed(run.expect)).collect(),
            shards: self.runs.iter().map(|run| run.shard.signed()).collect(),
            epochs: self.runs.iter().map(|run| run.fence().map(|epoch| epoch.0)).collect(),
        }
    }

    fn record_columns(&self) -> RecordColumns<'a> {
        let mut columns = RecordColumns::default();
        for (number, run) in (0..).zip(&self.runs) {
            for record in run.batches.iter().flat_map(|batch| &batch.records) {
                columns.runs.push(number);
                columns.positions.push(signed(record.position));
                columns.hashes.push(&record.hash.0);
                columns.bodies.push(&record.body);
            }
        }
        columns
    }

    fn row_columns(&self) -> RowColumns<'a> {
        let mut columns = RowColumns::default();
        for (key, (run, value)) in &self.rows {
            match value {
                Some(value) => {
                    columns.put_runs.push(limit(*run));
                    columns.put_keys.push(key);
                    columns.put_values.push(value);
                }
                None => {
                    columns.gone_runs.push(limit(*run));
                    columns.gone_keys.push(key);
                }
            }
        }
        columns
    }

    /// What became of each batch of the group; `None` for one that is still to be tried.
    pub(super) fn verdicts(&self, group: &[Waiting], found: &[Found]) -> Vec<Option<Commit>> {
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

struct RunColumns<'a> {
    numbers: Vec<i64>,
    lanes: Vec<&'a [u8]>,
    expects: Vec<i64>,
    shards: Vec<i64>,
    epochs: Vec<Option<i64>>,
}

impl RunColumns<'_> {
    fn values(&self) -> Vec<Value<'_>> {
        vec![&self.numbers, &self.lanes, &self.expects, &self.shards, &self.epochs]
    }
}

#[derive(Default)]
struct RecordColumns<'a> {
    runs: Vec<i64>,
    positions: Vec<i64>,
    hashes: Vec<&'a [u8]>,
    bodies: Vec<&'a [u8]>,
}

impl RecordColumns<'_> {
    fn values(&self) -> Vec<Value<'_>> {
        vec![&self.runs, &self.positions, &self.hashes, &self.bodies]
    }
}

#[derive(Default)]
struct RowColumns<'a> {
    put_runs: Vec<i64>,
    put_keys: Vec<&'a [u8]>,
    put_values: Vec<&'a [u8]>,
    gone_runs: Vec<i64>,
    gone_keys: Vec<&'a [u8]>,
}

impl RowColumns<'_> {
    fn values(&self) -> Vec<Value<'_>> {
        vec![&self.put_runs, &self.put_keys, &self.put_values, &self.gone_runs, &self.gone_keys]
    }
}
