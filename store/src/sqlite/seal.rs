//! Moves old records into compressed chunks, a little at a time, while no commit waits.
//!
//! The newest records of a lane stay rows, and a chunk holds what is older than every row of its lane. So chunks come
//! before rows when a lane is read, and where a lane ends is known from its rows alone.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU32,
    time::{Duration, Instant},
};

use rules::record::{Hash, LaneId, Position, Record};
use rusqlite::{Connection, OptionalExtension, params};

use super::{chunk, open};

/// How many lanes are known to have grown since they were sealed; beyond, all lanes are looked through again.
const LANES_MAX: usize = 65_536;
/// The records of one chunk: among many lanes each may lie on another page, and all of those are written and synced
/// before the next commit.
pub(super) const CHUNK_RECORDS_MAX: u32 = 256;
/// How many chunks one transaction makes, while nobody commits, and how many lanes it looks at for them.
const CHUNKS_AT_ONCE: usize = 16;
const LANES_AT_ONCE: usize = 256;
/// After a full disk or a damaged lane.
const PAUSE: Duration = Duration::from_secs(5);

/// What is sealed, and how much time it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// So many of a lane's newest records stay rows; as many older ones are waited for before any is sealed.
    pub keep_records: NonZeroU32,
    /// The bodies in one chunk (or one body, if that alone is longer): it bounds what a read of one record costs.
    pub chunk_bytes_max: usize,
    /// While commits come, the writer rests from sealing so many times as long as the last piece took.
    pub rest: u32,
}

impl Default for Seal {
    fn default() -> Seal {
        Seal { keep_records: NonZeroU32::new(128).expect("not 0"), chunk_bytes_max: 256 << 10, rest: 199 }
    }
}

/// Which lanes to look at, and when.
pub(super) struct Sealing {
    seal: Seal,
    grown: HashMap<LaneId, u32>,
    /// Lanes that have grown enough, each once.
    due: VecDeque<LaneId>,
    /// All lanes from this one on are still to be looked at: nobody counted what they got before this process began.
    sweep: Option<LaneId>,
    rest_until: Instant,
    /// Somebody has committed since the last turn. If nobody has, there is nobody to rest for.
    disturbed: bool,
}

impl Sealing {
    pub(super) fn new(seal: Seal) -> Sealing {
        let (grown, due, sweep) = (HashMap::new(), VecDeque::new(), Some(LaneId(0)));
        Sealing { seal, grown, due, sweep, rest_until: Instant::now(), disturbed: false }
    }

    /// Called with every commit that was kept.
    pub(super) fn grew(&mut self, lane: LaneId, records: usize) {
        self.disturbed = true;
        if records == 0 {
            return;
        }
        if self.grown.len() >= LANES_MAX && !self.grown.contains_key(&lane) {
            self.grown.clear();
            self.due.clear();
            self.sweep = Some(LaneId(0));
        }
        let enough = self.seal.keep_records.get();
        let grown = self.grown.entry(lane).or_default();
        let before = *grown;
        *grown = before.saturating_add(u32::try_from(records).unwrap_or(u32::MAX));
        if before < enough && *grown >= enough {
            self.due.push_back(lane);
        }
    }

    /// When there is something to look at; `None` as long as nothing grows.
    pub(super) fn next_turn(&self) -> Option<Instant> {
        (!self.due.is_empty() || self.sweep.is_some()).then_some(self.rest_until)
    }

    /// Seals a few chunks in one transaction, and no more once somebody waits. Lanes that grow side by side lie on the
    /// same pages, so sealing them together writes those pages once. An error that does not come from one lane's own
    /// pages, or from a full disk, is the store's.
    pub(super) fn turn(&mut self, connection: &Connection, somebody_waits: impl Fn() -> bool) -> rusqlite::Result<()> {
        let began = Instant::now();
        let disturbed = std::mem::take(&mut self.disturbed);
        let mut sealed = Vec::new();
        let result =
            self.seal_some(connection, if disturbed { 1 } else { CHUNKS_AT_ONCE }, somebody_waits, &mut sealed);
        // They may have more.
        self.due.extend(sealed);
        self.rest_until = Instant::now() + began.elapsed() * if disturbed { self.seal.rest } else { 0 };
        let Err(error) = result else { return Ok(()) };
        open::roll_back(connection)?;
        if !open::is_damage(&error) && !open::is_full(&error) {
            return Err(error);
        }
        tracing::warn!(%error, "old records stay as they are for now");
        self.rest_until += PAUSE;
        Ok(())
    }

    fn seal_some(
        &mut self,
        connection: &Connection,
        chunks_max: usize,
        somebody_waits: impl Fn() -> bool,
        sealed: &mut Vec<LaneId>,
    ) -> rusqlite::Result<()> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for _ in 0..LANES_AT_ONCE {
            let Some(lane) = self.next_lane(connection)? else { break };
            if seal(connection, lane, &self.seal)? {
                sealed.push(lane);
            }
            if sealed.len() >= chunks_max || somebody_waits() {
                break;
            }
        }
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn next_lane(&mut self, connection: &Connection) -> rusqlite::Result<Option<LaneId>> {
        if let Some(lane) = self.due.pop_front() {
            self.grown.remove(&lane);
            return Ok(Some(lane));
        }
        let Some(from) = self.sweep else { return Ok(None) };
        let mut statement = connection.prepare_cached("SELECT min(lane) FROM record WHERE lane >= ?1")?;
        let found = match statement.query_row([from.0.to_be_bytes()], |row| row.get::<_, Option<[u8; 16]>>(0)) {
            Err(error) if open::is_damage(&error) => {
                tracing::warn!(%error, "not all lanes could be looked through for old records");
                None
            }
            found => found?.map(|lane| LaneId(u128::from_be_bytes(lane))),
        };
        self.sweep = found.and_then(|lane| lane.0.checked_add(1)).map(LaneId);
        Ok(found)
    }
}

/// Moves the oldest rows of a lane into a chunk; `false` when there were too few.
fn seal(connection: &Connection, lane: LaneId, seal: &Seal) -> rusqlite::Result<bool> {
    let lane_id = lane.0.to_be_bytes();
    let keep = seal.keep_records.get();
    let mut newest = connection
        .prepare_cached("SELECT position FROM record WHERE lane = ?1 ORDER BY position DESC LIMIT 1 OFFSET ?2")?;
    let mut behind = |records: u32| newest.query_row(params![lane_id, records], |row| row.get::<_, i64>(0)).optional();
    let (Some(_), Some(newest_old)) = (behind(2 * keep - 1)?, behind(keep)?) else { return Ok(false) };

    let records = oldest(connection, lane, newest_old, seal.chunk_bytes_max)?;
    let [Some(first), Some(last)] = [records.first(), records.last()] else { return Ok(false) };
    let (first, last) = (first.position.to_u64().cast_signed(), last.position.to_u64().cast_signed());
    let bytes = match chunk::pack(&records) {
        // What takes the place of the only copy is opened once before it does.
        Ok(bytes) if chunk::open(&bytes).is_ok_and(|opened| opened == records) => bytes,
        packed => {
            tracing::error!(?lane, ?packed, "a chunk does not hold what was packed; its records stay as they are");
            return Ok(false);
        }
    };
    connection
        .prepare_cached("INSERT INTO chunk (lane, first, last, bytes) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![lane_id, first, last, bytes])?;
    connection
        .prepare_cached("DELETE FROM record WHERE lane = ?1 AND position <= ?2")?
        .execute(params![lane_id, last])?;
    Ok(true)
}

fn oldest(connection: &Connection, lane: LaneId, up_to: i64, bytes_max: usize) -> rusqlite::Result<Vec<Record>> {
    let mut statement = connection.prepare_cached(
        "SELECT position, hash, body FROM record WHERE lane = ?1 AND position <= ?2 ORDER BY position LIMIT ?3",
    )?;
    let mut found = statement.query(params![lane.0.to_be_bytes(), up_to, CHUNK_RECORDS_MAX])?;
    let mut records = Vec::new();
    let mut bytes = 0;
    while let Some(next) = found.next()? {
        bytes += next.get_ref(2)?.as_blob()?.len();
        if !records.is_empty() && bytes > bytes_max {
            break;
        }
        let position = Position::from_u64(next.get::<_, i64>(0)?.cast_unsigned());
        records.push(Record { position, hash: Hash(next.get(1)?), body: next.get(2)? });
    }
    Ok(records)
}
