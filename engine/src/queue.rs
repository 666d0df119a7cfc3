//! Keeps what waits to be begun, and hands it out once.

use rules::{
    account::Step,
    queue::{Item, Queue, Taken},
    record::LaneId,
    refusal::Refusal,
    row,
};
use store::{Batch, Commit, Order};

use crate::{
    CONFLICTS_MAX, Engine,
    lanes::{fault, kept},
};

impl Engine {
    pub async fn enqueue(&self, account: LaneId, item: Item) -> Result<(), Refusal> {
        for _ in 0..CONFLICTS_MAX {
            let step = self.queue(account).await?.enqueue(&item);
            match self.commit_queue(account, &step).await {
                Commit::Conflict => continue,
                commit => return kept(commit).and(step.result),
            }
        }
        Err(Refusal::BUSY)
    }

    /// Takes an item out, unless somebody was faster.
    pub async fn dequeue(&self, account: LaneId, id: u128) -> Result<Item, Refusal> {
        self.take(account, id, Taken::Dequeued).await
    }

    /// Begins what an item names, and takes it out: a crash in between leaves it in the queue.
    pub async fn begin_item(
        &self,
        account: LaneId,
        id: u128,
        begin: impl AsyncFnOnce(Item) -> Result<LaneId, Refusal>,
    ) -> Result<LaneId, Refusal> {
        let _one_at_a_time = self.beginning().lock().await;
        let item = self.item(account, id).await?.ok_or(Refusal::QUEUE_ITEM_UNKNOWN)?;
        let run = begin(item).await?;
        match self.take(account, id, Taken::Begun { run }).await {
            // It was dequeued meanwhile, and runs now.
            Err(refusal) if refusal == Refusal::QUEUE_ITEM_UNKNOWN => Ok(run),
            taken => taken.map(|_| run),
        }
    }

    /// Makes what waits in one account's queue wait in another's. A crash in between leaves an item in both, and it is
    /// taken out of the first when this is done again.
    pub(crate) async fn give_queue(&self, from: LaneId, to: LaneId) -> Result<(), Refusal> {
        for item in self.queued(from, None, usize::MAX).await? {
            if self.item(to, item.id).await?.is_none() {
                self.enqueue(to, item.clone()).await?;
            }
            self.dequeue(from, item.id).await?;
        }
        Ok(())
    }

    /// What waits, oldest first, behind `after`.
    pub async fn queued(&self, account: LaneId, after: Option<u128>, items_max: usize) -> Result<Vec<Item>, Refusal> {
        let (mut from, to) = row::queued_range(account);
        if let Some(after) = after {
            from = row::queued(account, after.saturating_add(1));
        }
        let rows = self.world().store.rows(from, to, Order::Ascending, items_max).await.map_err(fault)?;
        Ok(rows.iter().filter_map(|(_, bytes)| row::decode(bytes)).collect())
    }

    async fn take(&self, account: LaneId, id: u128, taken: Taken) -> Result<Item, Refusal> {
        for _ in 0..CONFLICTS_MAX {
            // The queue first: what changes behind it is a conflict.
            let mut queue = self.queue(account).await?;
            let item = self.item(account, id).await?;
            let step = queue.take(id, item.is_some(), taken, self.now());
            match self.commit_queue(account, &step).await {
                Commit::Conflict => continue,
                commit => return kept(commit).and(step.result).and(item.ok_or(Refusal::QUEUE_ITEM_UNKNOWN)),
            }
        }
        Err(Refusal::BUSY)
    }

    async fn queue(&self, account: LaneId) -> Result<Queue, Refusal> {
        let bytes = self.world().store.row(row::queue(account)).await.map_err(fault)?;
        Ok(bytes.and_then(|bytes| row::decode(&bytes)).unwrap_or_else(|| Queue::of(account)))
    }

    async fn item(&self, account: LaneId, id: u128) -> Result<Option<Item>, Refusal> {
        let bytes = self.world().store.row(row::queued(account, id)).await.map_err(fault)?;
        Ok(bytes.and_then(|bytes| row::decode(&bytes)))
    }

    async fn commit_queue(&self, account: LaneId, step: &Step<()>) -> Commit {
        if step.records.is_empty() {
            return Commit::Done;
        }
        let (records, rows) = (step.records.clone(), step.rows.clone());
        self.world().store.commit(Batch { lane: Queue::lane(account), expect: step.expect, records, rows }).await
    }
}
