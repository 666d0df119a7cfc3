//! Keeps the server's own settings.

use rules::{
    record::LaneId,
    refusal::Refusal,
    row,
    settings::{Change, SERVER, Settings, Step},
};
use store::{Batch, Commit};

use crate::{
    CONFLICTS_MAX, Engine,
    lanes::{fault, kept},
};

impl Engine {
    pub async fn settings(&self) -> Result<Settings, Refusal> {
        match self.world().store.row(row::settings()).await.map_err(fault)? {
            // Not the defaults: a server that its owner closed does not open because a row is damaged.
            Some(bytes) => Settings::decode(&bytes).ok_or(Refusal::FAULT),
            None => Ok(Settings::default()),
        }
    }

    /// Makes this user the owner of a server that has none.
    pub(crate) async fn claim_server(&self, user: LaneId) -> Result<(), Refusal> {
        for _ in 0..CONFLICTS_MAX {
            let Some(step) = self.settings().await?.claim(user, self.now()) else { return Ok(()) };
            match self.commit_settings(step).await {
                Commit::Conflict => continue,
                commit => return kept(commit),
            }
        }
        Err(Refusal::BUSY)
    }

    pub async fn change_settings(&self, caller: LaneId, change: Change) -> Result<Settings, Refusal> {
        for _ in 0..CONFLICTS_MAX {
            let mut settings = self.settings().await?;
            let step = settings.change(caller, change, self.now())?;
            match self.commit_settings(step).await {
                Commit::Conflict => continue,
                commit => return kept(commit).map(|()| settings),
            }
        }
        Err(Refusal::BUSY)
    }

    async fn commit_settings(&self, step: Step) -> Commit {
        let batch = Batch { lane: SERVER, expect: step.expect, records: step.records, rows: step.rows };
        self.world().store.commit(batch).await
    }
}
