//! A hook on its way out of a server, and into one: its whole log, record by record.

use rules::{
    hook::{Config, Entry, Hook},
    record::{Hash, LaneId, Position, Record},
    refusal::Refusal,
    row,
};
use store::{Batch, Extent};

use crate::{
    Engine, FOLD_BYTES_MAX,
    lanes::{damage, kept},
    log,
};

/// Records that are read or kept at once.
const RECORDS_AT_ONCE: usize = 512;

/// Where an export stands.
pub struct Leaving {
    lane: LaneId,
    position: Position,
    hash: Hash,
    /// It ends where the log ended when it began.
    end: Position,
}

/// Where an import stands: nothing of it is seen before it is whole.
pub struct Arriving {
    lane: LaneId,
    owner: LaneId,
    hook: Hook,
    records: Vec<Record>,
    rows: Vec<row::Change>,
    bytes: usize,
    /// Something of it is in the store.
    is_kept: bool,
}

impl Engine {
    pub async fn export(&self, hook: LaneId) -> Result<Leaving, Refusal> {
        let end = self.end_of(hook).await?;
        Ok(Leaving { lane: hook, position: Position::START, hash: Hash::NONE, end })
    }

    async fn end_of(&self, hook: LaneId) -> Result<Position, Refusal> {
        let last = self.world().store.last(hook, Position::from_u64(i64::MAX as u64)).await;
        Ok(last.map_err(crate::lanes::fault)?.map_or(Position::START, |record| record.position))
    }

    /// The next records, held against their chain; empty at the end.
    pub async fn leave(&self, leaving: &mut Leaving) -> Result<Vec<(Record, Entry)>, Refusal> {
        if leaving.position >= leaving.end {
            return Ok(Vec::new());
        }
        let extent = Extent { records_max: RECORDS_AT_ONCE, bytes_max: FOLD_BYTES_MAX };
        let store = &*self.world().store;
        let mut page = log::page(store, leaving.lane, leaving.position, leaving.hash, extent).await.map_err(damage)?;
        page.retain(|(record, _)| record.position <= leaving.end);
        if let Some((last, _)) = page.last() {
            (leaving.position, leaving.hash) = (last.position, last.hash);
        }
        Ok(page)
    }

    pub fn import(&self, owner: LaneId) -> Arriving {
        let lane = LaneId(self.world().entropy.draw());
        let hook = Hook::load(lane, Config::default(), None, self.now());
        Arriving { lane, owner, hook, records: Vec::new(), rows: Vec::new(), bytes: 0, is_kept: false }
    }

    /// Takes the next record, if it follows from those before.
    pub async fn arrive(&self, arriving: &mut Arriving, record: Record) -> Result<(), Refusal> {
        arriving.bytes += record.body.len();
        arriving.hook.follow(&record, &mut arriving.rows).ok_or(Refusal::EXPORT_BROKEN)?;
        arriving.records.push(record);
        if arriving.records.len() >= RECORDS_AT_ONCE || arriving.bytes >= FOLD_BYTES_MAX {
            self.keep_arrived(arriving, Vec::new()).await?;
        }
        Ok(())
    }

    /// Makes the hook its owner's, with keys of its own. Only now anybody sees it.
    pub async fn arrived(&self, mut arriving: Arriving) -> Result<LaneId, Refusal> {
        if arriving.hook.is_blank() {
            return Err(Refusal::EXPORT_BROKEN);
        }
        self.keep_arrived(&mut arriving, Vec::new()).await?;
        let keys = [self.new_key(), self.new_key()];
        let step = arriving.hook.settle(arriving.owner, keys, self.now());
        arriving.records = step.records;
        let mut rows = std::mem::take(&mut arriving.rows);
        rows.extend(step.rows);
        rows.push((row::arriving(arriving.lane), None));
        self.keep_arrived(&mut arriving, rows).await?;
        Ok(arriving.lane)
    }

    /// What came is not taken after all.
    pub async fn refuse(&self, arriving: Arriving) -> Result<(), Refusal> {
        if arriving.is_kept {
            self.abandon(arriving.lane).await?;
            self.erase_deleted().await?;
        }
        Ok(())
    }

    async fn keep_arrived(&self, arriving: &mut Arriving, mut rows: Vec<row::Change>) -> Result<(), Refusal> {
        let records = std::mem::take(&mut arriving.records);
        arriving.bytes = 0;
        if records.is_empty() {
            return Ok(());
        }
        if !std::mem::replace(&mut arriving.is_kept, true) {
            rows.push((row::arriving(arriving.lane), Some(Vec::new())));
        }
        let expect = self.end_of(arriving.lane).await?;
        let batch = Batch { lane: arriving.lane, expect, records, rows };
        kept(self.world().store.commit(batch).await)
    }
}
