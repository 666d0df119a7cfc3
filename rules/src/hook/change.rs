//! What an owner does to a hook, besides writing to it.

use alloc::{string::String, sync::Arc, vec::Vec};

use super::{Effect, Fold, Hook, Step, Ticket, entry::Edit, entry::Entry};
use crate::{
    access::KeyKind,
    call::{Bytes, Exports, Program},
    limits,
    record::{At, LaneId, Seq},
    refusal::Refusal,
    row::{self, Head, Source},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Edit(Edit),
    /// The draft was described: it has these exports.
    Publish {
        source: Arc<str>,
        exports: Exports,
    },
    /// Go back to what was published as this version; `found` is what the store knows of it.
    Restore {
        version: u32,
        found: Option<(Source, Option<Head>)>,
    },
    /// Give up the refold that is under way.
    Cancel,
    /// The log begins anew.
    Reset,
    MakeKey {
        key: String,
        kind: KeyKind,
    },
    PauseKey {
        key: String,
        paused: bool,
    },
    RevokeKey {
        key: String,
    },
    SetSecret {
        name: String,
        sealed: Bytes,
    },
    RemoveSecret {
        name: String,
    },
    /// What is this guest's becomes this user's. Nothing happens when it comes again.
    Give {
        from: LaneId,
        to: LaneId,
    },
    Delete,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    Done,
    Publishing { version: u32, total: Seq },
}

impl Hook {
    pub(super) fn change(&mut self, at: At, change: Change, ticket: Ticket, step: &mut Step) {
        let effect = match self.changed(at, change, step) {
            Ok(change) => Effect::Changed { ticket, change },
            Err(refusal) => Effect::Refuse { ticket, refusal },
        };
        step.effects.push(effect);
    }

    fn changed(&mut self, at: At, change: Change, step: &mut Step) -> Result<Changed, Refusal> {
        match change {
            Change::Edit(edit) => self.note(Entry::Edited { edit, at }, step),
            Change::Publish { source, exports } => return Ok(self.publish(at, source, exports, step)),
            Change::Restore { version, found } => return self.restore(at, version, found, step),
            Change::Cancel => {
                if let Some(refold) = self.refold.take() {
                    self.note(Entry::Cancelled { version: refold.version, through: refold.through, at }, step);
                }
            }
            Change::Reset => self.reset(at, step),
            Change::MakeKey { key, kind } => {
                if self.config.keys.len() >= limits::KEYS_MAX {
                    return Err(Refusal::KEYS_TOO_MANY);
                }
                self.note(Entry::KeyMade { key, kind, at }, step);
            }
            Change::PauseKey { key, paused } => {
                self.config.door(self.lane, &key).ok_or(Refusal::KEY_UNKNOWN)?;
                self.note(Entry::KeyPaused { key, paused, at }, step);
            }
            Change::RevokeKey { key } => {
                self.config.door(self.lane, &key).ok_or(Refusal::KEY_UNKNOWN)?;
                self.note(Entry::KeyRevoked { key, at }, step);
            }
            Change::SetSecret { name, sealed } => {
                let secrets = &self.config.secrets;
                if secrets.len() >= limits::SECRETS_MAX && !secrets.contains_key(&name) {
                    return Err(Refusal::SECRETS_TOO_MANY);
                }
                self.note(Entry::SecretSet { name, sealed, at }, step);
            }
            Change::RemoveSecret { name } => {
                if !self.config.secrets.contains_key(&name) {
                    return Err(Refusal::SECRET_UNKNOWN);
                }
                self.note(Entry::SecretRemoved { name, at }, step);
            }
            Change::Give { from, to } => {
                step.rows.push((row::owned(from, self.lane), None));
                if self.config.owner == from {
                    self.note(Entry::Given { owner: to, at }, step);
                }
            }
            Change::Delete => self.delete(at, step),
        }
        Ok(Changed::Done)
    }

    /// Begins the refold. One that was under way is given up: the newer code is what its owner wants.
    fn publish(&mut self, at: At, source: Arc<str>, exports: Exports, step: &mut Step) -> Changed {
        let version = self.config.draft.version;
        self.note(Entry::Publishing { version, source: source.clone(), exports, at }, step);
        self.refold(Fold::begin(version, Arc::new(Program::new(source)), exports, self.config.begin, None), at, step)
    }

    /// Catches up where the version stopped when another took its place.
    fn restore(
        &mut self,
        at: At,
        version: u32,
        found: Option<(Source, Option<Head>)>,
        step: &mut Step,
    ) -> Result<Changed, Refusal> {
        let is_live = self.live.as_ref().is_some_and(|live| live.version == version) && self.refold.is_none();
        if is_live || self.refold.as_ref().is_some_and(|refold| refold.version == version) {
            return Ok(Changed::Publishing { version, total: self.seq() });
        }
        let (source, head) = found.ok_or(Refusal::VERSION_UNKNOWN)?;
        if self.live.as_ref().is_some_and(|live| live.version == version) {
            // What was to replace it is given up, and it stays.
            self.changed(at, Change::Cancel, step)?;
            return Ok(Changed::Publishing { version, total: self.seq() });
        }
        let Source { source, exports } = source;
        self.note(Entry::Restoring { version, exports, at }, step);
        let fold = Fold::begin(version, Arc::new(Program::new(source)), exports, self.config.begin, head);
        Ok(self.refold(fold, at, step))
    }

    fn refold(&mut self, fold: Fold, at: At, step: &mut Step) -> Changed {
        let (version, total) = (fold.version, self.seq());
        let has_nothing_to_fold = fold.through >= total;
        self.refold = Some(fold);
        if has_nothing_to_fold {
            self.switch_if_caught_up(at, step);
        }
        Changed::Publishing { version, total }
    }

    /// Every fold starts again behind what was. A worker's answer to what was asked before finds its place gone.
    fn reset(&mut self, at: At, step: &mut Step) {
        self.note(Entry::Reset { at }, step);
        let begin = self.config.begin;
        for fold in self.live.iter_mut().chain(self.refold.iter_mut()) {
            *fold = Fold::begin(fold.version, fold.program.clone(), fold.exports, begin, None);
            step.rows.push(fold.head_row(self.lane));
        }
        self.switch_if_caught_up(at, step);
    }

    /// Nothing leads here any more. What is left of it is erased behind the commit.
    fn delete(&mut self, at: At, step: &mut Step) {
        self.note(Entry::Deleted { at }, step);
        for key in &self.config.keys {
            step.rows.push((row::door(&key.key), None));
            step.effects.push(Effect::Door { key: key.key.clone(), door: None });
        }
        step.rows.push((row::owned(self.config.owner, self.lane), None));
        step.rows.push((row::hook(self.lane), None));
        step.rows.push((row::erased(self.lane), Some(Vec::new())));
        self.deleted = true;
        self.live = None;
        self.refold = None;
        step.effects.push(Effect::End);
    }
}
