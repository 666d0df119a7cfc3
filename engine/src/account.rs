//! Makes guests and keeps them signed in.

use rules::{
    account::{Account, Refresh},
    record::LaneId,
    refusal::Refusal,
    row,
};
use store::Batch;

use crate::{
    Engine,
    lanes::{fault, kept},
};

impl Engine {
    pub async fn make_guest(&self) -> Result<Refresh, Refusal> {
        let world = self.world();
        let lane = LaneId(world.entropy.draw());
        let (_, step) = Account::guest(lane, world.entropy.draw(), world.clock.now());
        self.keep(lane, step).await
    }

    /// Takes a refresh token, gives the next. Two at once: the store lets one win, and the other reads what it did.
    pub async fn refresh(&self, token: Refresh) -> Result<Refresh, Refusal> {
        for _ in 0..3 {
            let Some(mut account) = self.account(token.account).await? else { return Err(Refusal::TOKEN_INVALID) };
            let step = account.refresh(token, self.now());
            match self.keep(token.account, step).await {
                Err(refusal) if refusal == Refusal::UNCERTAIN => continue,
                done => return done,
            }
        }
        Err(Refusal::UNCERTAIN)
    }

    pub async fn account(&self, lane: LaneId) -> Result<Option<Account>, Refusal> {
        let bytes = self.world().store.row(row::account(lane)).await.map_err(fault)?;
        Ok(bytes.and_then(|bytes| row::decode(&bytes)))
    }

    async fn keep(&self, lane: LaneId, step: rules::account::Step) -> Result<Refresh, Refusal> {
        if !step.records.is_empty() {
            let batch = Batch { lane, expect: step.expect, records: step.records, rows: step.rows };
            kept(self.world().store.commit(batch).await)?;
        }
        step.result
    }
}
