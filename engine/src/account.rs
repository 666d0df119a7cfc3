//! Makes guests, lets users in by a link, keeps them signed in, and gives them keys.

use rules::{
    access,
    account::{Account, KeyDoor, KeyKind, Merging, Refresh, Standing, Step},
    email::Email,
    record::{At, LaneId},
    refusal::Refusal,
    row,
};
use store::{Batch, Commit};

use crate::{
    CONFLICTS_MAX, Engine, HOOKS_MOVED_MAX,
    lanes::{fault, kept},
    vault::{self, LinkToken},
};

/// An account by one of its keys.
pub struct KeyHolder {
    pub account: Account,
    pub kind: KeyKind,
}

impl Engine {
    pub async fn make_guest(&self) -> Result<Refresh, Refusal> {
        if self.settings().await?.closed_to_guests {
            return Err(Refusal::CLOSED_TO_GUESTS);
        }
        let world = self.world();
        let lane = LaneId(world.entropy.draw());
        let (_, step) = Account::guest(lane, world.entropy.draw(), world.clock.now());
        kept(self.commit_account(lane, &step).await)?;
        step.result
    }

    /// One more sign-in of an account that is known by other means than a link.
    pub async fn enter(&self, account: LaneId) -> Result<Refresh, Refusal> {
        let found = self.account(account).await?.ok_or(Refusal::TOKEN_INVALID)?;
        let family = self.world().entropy.draw();
        self.change_account(found, |account, at| account.enter(family, at)).await
    }

    /// Takes a refresh token, gives the next. Two at once: the store lets one win, and the other reads what it did.
    pub async fn refresh(&self, token: Refresh) -> Result<Refresh, Refusal> {
        let found = self.account(token.account).await?.ok_or(Refusal::TOKEN_INVALID)?;
        self.change_account(found, |account, at| account.refresh(token, at)).await
    }

    pub async fn sign_out(&self, account: Account, family: u128) -> Result<(), Refusal> {
        self.change_account(account, |account, at| account.sign_out(family, at)).await
    }

    /// The token of a new link to this address, good for one sign-in. `None` when none may be sent: to this address not
    /// again so soon, or not at all.
    pub async fn ask_for_link(&self, email: Email, guest: Option<LaneId>) -> Result<Option<String>, Refusal> {
        let found = self.account(email.lane()).await?;
        let account = found.unwrap_or_else(|| Account::of_address(email, self.now()));
        if account.email().is_none() && self.settings().await?.closed_to_new_users {
            return Ok(None);
        }
        let link = LinkToken { account: account.lane, secret: self.world().entropy.draw() };
        let is_sent = self.change_account(account, |account, at| account.ask_for_link(link.hash(), guest, at)).await?;
        Ok(is_sent.then(|| link.to_string()))
    }

    /// Uses a link up: of all who show it at once, the store lets one in.
    pub async fn sign_in(&self, token: &str, caller: Option<&Account>) -> Result<Refresh, Refusal> {
        let link = LinkToken::parse(token).ok_or(Refusal::LINK_INVALID)?;
        let account = self.account(link.account).await?.filter(|account| account.opens(link.hash(), self.now()));
        let account = account.ok_or(Refusal::LINK_INVALID)?;
        if account.email().is_none() && self.settings().await?.closed_to_new_users {
            return Err(Refusal::CLOSED_TO_NEW_USERS);
        }
        // Before the link is used up: whoever comes first owns the server, even if it goes down in between.
        self.claim_server(account.lane).await?;
        let family = self.world().entropy.draw();
        let refresh =
            self.change_account(account, |account, at| account.sign_in(link.hash(), caller, family, at)).await?;
        if let Some(user) = self.account(refresh.account).await? {
            self.finish_merges(&user).await;
        }
        Ok(refresh)
    }

    /// Goes on moving what merged guests had. The account names them until nothing is left and no call of theirs can
    /// still be under way, so a crash or a failure anywhere in between is made good at the user's next sign-in or
    /// listing.
    pub async fn finish_merges(&self, user: &Account) {
        for merging in &user.merging {
            if let Err(refusal) = self.finish_merge(user.lane, *merging).await {
                let (user, guest) = (format!("{:032x}", user.lane.0), format!("{:032x}", merging.guest.0));
                tracing::warn!(user, guest, code = refusal.code, "a guest's hooks are moved later");
            }
        }
    }

    async fn finish_merge(&self, user: LaneId, Merging { guest, since }: Merging) -> Result<(), Refusal> {
        let found = self.account(guest).await?.ok_or(Refusal::FAULT)?;
        self.change_account(found, |account, at| account.merge_into(user, at)).await?;
        let merged_into = self.merged_into(guest).await?;
        if merged_into == Some(user) {
            self.give_runs(guest, user).await?;
            self.give_schedules(guest, user).await?;
            self.give_queue(guest, user).await?;
            self.give_jobs(guest, user).await?;
            self.give_functions(guest, user).await?;
        }
        let hooks = match merged_into {
            Some(into) if into == user => self.hooks_of(guest, HOOKS_MOVED_MAX).await?,
            // It had two links, and followed the other one first.
            _ => Vec::new(),
        };
        let mut failed = None;
        for hook in &hooks {
            // One that cannot be moved does not hold up the others.
            failed = self.hand_over(*hook, guest, user).await.err().or(failed);
        }
        let is_over = hooks.is_empty() && self.now().0 > since.0 + rules::account::MERGE_MS;
        if is_over || merged_into != Some(user) {
            let account = self.account(user).await?.ok_or(Refusal::FAULT)?;
            self.change_account(account, |account, at| account.moved(guest, at)).await?;
        }
        failed.map_or(Ok(()), Err)
    }

    /// The user that this guest became.
    async fn merged_into(&self, account: LaneId) -> Result<Option<LaneId>, Refusal> {
        Ok(self.account(account).await?.and_then(|account| match account.standing {
            Standing::Merged(user) => Some(user),
            _ => None,
        }))
    }

    /// Whether a hook of `owner` is the caller's.
    pub async fn owns(&self, caller: LaneId, owner: LaneId) -> Result<(), Refusal> {
        let merged_into = if caller == owner { None } else { self.merged_into(owner).await? };
        access::own(caller, owner, merged_into)
    }

    /// A new key and its id. It is shown this once: what is kept of it is a hash.
    pub async fn make_account_key(
        &self,
        account: Account,
        kind: KeyKind,
        name: String,
    ) -> Result<(u128, String), Refusal> {
        let id = self.world().request_id(self.now());
        let key = vault::account_key(kind, self.world().entropy.draw());
        let hash = vault::hash_of(&key);
        self.change_account(account, |account, at| account.make_key(id, kind, name.clone(), hash, at)).await?;
        Ok((id, key))
    }

    pub async fn revoke_account_key(&self, account: Account, id: u128) -> Result<(), Refusal> {
        self.change_account(account, |account, at| account.revoke_key(id, at)).await
    }

    /// The holder of a key. Asked of the store each time, so a revoked key is none at once.
    pub async fn key_holder(&self, key: &str) -> Result<Option<KeyHolder>, Refusal> {
        let store = &self.world().store;
        let bytes = store.row(row::account_key(&vault::hash_of(key))).await.map_err(fault)?;
        let Some(door) = bytes.and_then(|bytes| row::decode::<KeyDoor>(&bytes)) else { return Ok(None) };
        let account = self.account(door.account).await?;
        let account = account.filter(|account| account.keys.iter().any(|known| known.id == door.key));
        let Some(account) = account else { return Ok(None) };
        let step = account.use_key(door.key, self.key_used_at(account.lane, door.key).await?, self.now());
        if !step.rows.is_empty() {
            // What is not kept now, is at the next use.
            let _ = self.commit_account(account.lane, &step).await;
        }
        Ok(Some(KeyHolder { account, kind: door.kind }))
    }

    pub async fn key_used_at(&self, account: LaneId, key: u128) -> Result<Option<At>, Refusal> {
        let bytes = self.world().store.row(row::key_used(account, key)).await.map_err(fault)?;
        Ok(bytes.and_then(|bytes| row::decode(&bytes)))
    }

    pub async fn account(&self, lane: LaneId) -> Result<Option<Account>, Refusal> {
        let bytes = self.world().store.row(row::account(lane)).await.map_err(fault)?;
        Ok(bytes.and_then(|bytes| row::decode(&bytes)))
    }

    /// Decides and commits; when somebody else was faster, decides again over what they left.
    async fn change_account<T>(
        &self,
        mut account: Account,
        decide: impl Fn(&mut Account, At) -> Step<T>,
    ) -> Result<T, Refusal> {
        let lane = account.lane;
        for _ in 0..CONFLICTS_MAX {
            let step = decide(&mut account, self.now());
            match self.commit_account(lane, &step).await {
                Commit::Conflict => account = self.account(lane).await?.ok_or(Refusal::UNCERTAIN)?,
                commit => {
                    kept(commit)?;
                    return step.result;
                }
            }
        }
        Err(Refusal::BUSY)
    }

    async fn commit_account<T>(&self, lane: LaneId, step: &Step<T>) -> Commit {
        if step.records.is_empty() && step.rows.is_empty() {
            return Commit::Done;
        }
        let batch = Batch { lane, expect: step.expect, records: step.records.clone(), rows: step.rows.clone() };
        self.world().store.commit(batch).await
    }
}
