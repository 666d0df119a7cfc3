//! Keeps the notices of an account, and mails them to whom they are for.

use rules::{
    email::Email,
    inbox::{Inbox, Notice},
    record::{LaneId, Seq},
    refusal::Refusal,
    row,
};
use store::{Batch, Commit, Order};

use crate::{
    CONFLICTS_MAX, Engine,
    lanes::{fault, kept},
};

impl Engine {
    /// Keeps a notice, unless one with its idempotency key is kept, and then mails it: only to who has signed in here, so
    /// that nobody mails strangers through this server.
    pub async fn notify(&self, account: LaneId, notice: &Notice) -> Result<(), Refusal> {
        let mut addresses: Vec<Email> = Vec::new();
        for address in notice.addresses().take(rules::inbox::NOTICE_ADDRESSES_MAX) {
            let is_user = self.account(address.lane()).await?.is_some_and(|account| account.email().is_some());
            if is_user && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        for _ in 0..CONFLICTS_MAX {
            let mut inbox = self.inbox(account).await?;
            let is_known = match &notice.idempotency_key {
                Some(key) => self.world().store.row(row::noticed(account, key)).await.map_err(fault)?.is_some(),
                None => false,
            };
            let oldest = match inbox.oldest() {
                Some(seq) => self.notice(account, seq).await?,
                None => None,
            };
            let step = inbox.notify(notice, is_known, oldest.as_ref(), addresses.clone());
            if step.records.is_empty() {
                return step.result.map(drop);
            }
            let lane = Inbox::lane(account);
            let batch = Batch { lane, expect: step.expect, records: step.records, rows: step.rows };
            match self.world().store.commit(batch).await {
                Commit::Conflict => continue,
                commit => {
                    kept(commit)?;
                    step.result?.into_iter().for_each(|to| self.world().outside.mail(to, notice));
                    return Ok(());
                }
            }
        }
        Err(Refusal::BUSY)
    }

    /// Those that are at hand, newest first, before `before`, with their numbers.
    pub async fn notices(
        &self,
        account: LaneId,
        before: Option<Seq>,
        notices_max: usize,
    ) -> Result<Vec<(Seq, Notice)>, Refusal> {
        let (from, mut to) = row::notice_range(account);
        if let Some(before) = before {
            to = row::notice(account, before);
        }
        let rows = self.world().store.rows(from, to, Order::Descending, notices_max).await.map_err(fault)?;
        Ok(rows.iter().filter_map(|(key, bytes)| Some((row::seq_of(key)?, row::decode(bytes)?))).collect())
    }

    async fn inbox(&self, account: LaneId) -> Result<Inbox, Refusal> {
        let bytes = self.world().store.row(row::inbox(account)).await.map_err(fault)?;
        Ok(bytes.and_then(|bytes| row::decode(&bytes)).unwrap_or_else(|| Inbox::of(account)))
    }

    async fn notice(&self, account: LaneId, seq: Seq) -> Result<Option<Notice>, Refusal> {
        let bytes = self.world().store.row(row::notice(account, seq)).await.map_err(fault)?;
        Ok(bytes.and_then(|bytes| row::decode(&bytes)))
    }
}
