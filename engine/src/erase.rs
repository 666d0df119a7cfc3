//! What is left of a hook or a schedule that was deleted is erased behind the commit that deleted it, a few records at a time.

use rules::{
    record::{LaneId, Position},
    refusal::Refusal,
    row,
};
use store::{Batch, Commit, Extent, Order};

use crate::{
    Engine,
    lanes::{fault, kept},
};

/// Rows or records that one commit removes: a large hook must not hold up the others.
const ERASED_AT_ONCE: usize = 512;

impl Engine {
    /// What a crash left of hooks that were being imported is to be erased. Only before any import begins.
    pub async fn abandon_imports(&self) -> Result<(), Refusal> {
        let (from, to) = row::arriving_range();
        let found = self.world().store.rows(from, to, Order::Ascending, usize::MAX).await.map_err(fault)?;
        for lane in found.iter().filter_map(|(key, _)| row::lane_of(key)) {
            self.abandon(lane).await?;
        }
        Ok(())
    }

    /// What was imported so far is as if it had been deleted.
    pub(crate) async fn abandon(&self, lane: LaneId) -> Result<(), Refusal> {
        let end = Position::from_u64(i64::MAX as u64);
        let store = &*self.world().store;
        let expect = store.last(lane, end).await.map_err(fault)?.map_or(Position::START, |record| record.position);
        let rows = vec![(row::arriving(lane), None), (row::erased(lane), Some(Vec::new()))];
        kept(store.commit(Batch { lane, expect, records: Vec::new(), rows }).await)
    }

    /// Erases whatever was deleted and is not gone yet: a crash may have come between.
    pub async fn erase_deleted(&self) -> Result<(), Refusal> {
        let (mut from, to) = row::erased_range();
        loop {
            let found = self.world().store.rows(from.clone(), to.clone(), Order::Ascending, ERASED_AT_ONCE);
            let found = found.await.map_err(fault)?;
            let Some((last, _)) = found.last() else { return Ok(()) };
            from = [last.as_slice(), &[0]].concat();
            let lanes = found.iter().filter_map(|(key, _)| row::lane_of(key));
            for lane in lanes.filter(|lane| self.world().places.holds(*lane)) {
                self.erase(lane).await?;
            }
        }
    }

    async fn erase(&self, lane: LaneId) -> Result<(), Refusal> {
        self.drop_schedules_anywhere(lane).await?;
        let store = &*self.world().store;
        let end = Position::from_u64(i64::MAX as u64);
        let expect = store.last(lane, end).await.map_err(fault)?.map_or(Position::START, |record| record.position);
        let commit = |rows| store.commit(Batch { lane, expect, records: Vec::new(), rows });
        for (from, to) in row::kept_of(lane) {
            loop {
                let found = store.rows(from.clone(), to.clone(), Order::Ascending, ERASED_AT_ONCE);
                let rows: Vec<_> = found.await.map_err(fault)?.into_iter().map(|(key, _)| (key, None)).collect();
                if rows.is_empty() {
                    break;
                }
                kept(commit(rows).await)?;
            }
        }
        let two = Extent { records_max: 2, bytes_max: usize::MAX };
        while store.read(lane, Position::START, two).await.map_err(fault)?.len() > 1 {
            kept(store.erase(lane, expect, ERASED_AT_ONCE).await)?;
        }
        match commit(vec![(row::erased(lane), None)]).await {
            Commit::Done => Ok(()),
            other => kept(other),
        }
    }
}
