//! What an owner set, as the records of the log tell it.

use alloc::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::{
    access::{Door, Key},
    call::{Bytes, Exports},
    record::{At, LaneId, Seq},
};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    pub owner: LaneId,
    pub name: String,
    pub description: String,
    pub paused: bool,
    pub created_at: At,
    pub keys: Vec<Key>,
    pub draft: Draft,
    /// The version that readers see.
    pub published: Option<Version>,
    /// The version that is being refolded.
    pub refolding: Option<Version>,
    /// How the last refold ended.
    pub last_refold: Option<LastRefold>,
    /// The requests up to here were reset: no fold sees them.
    pub begin: Seq,
    /// What the requests after `secrets_since` see.
    pub secrets: Arc<Secrets>,
    pub secrets_since: Seq,
}

/// Encrypted values by name. Only the engine's vault can open them.
pub type Secrets = BTreeMap<String, Bytes>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    pub version: u32,
    pub source: Arc<str>,
}

impl Default for Draft {
    fn default() -> Draft {
        Draft { version: 1, source: "".into() }
    }
}

/// A version with code that can run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub version: u32,
    pub exports: Exports,
    pub since: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRefold {
    pub version: u32,
    pub through: Seq,
    pub took_ms: u64,
    pub cancelled: bool,
}

impl Config {
    /// Takes over what a record says that was written behind request `seq`; tells whether it said anything of this.
    pub fn apply(&mut self, entry: &Entry, seq: Seq) -> bool {
        match entry {
            Entry::Arrived { .. } | Entry::Stopped { .. } | Entry::Deleted { .. } => return false,
            Entry::Created { owner, name, draft, at } => {
                self.owner = *owner;
                self.name.clone_from(name);
                self.draft.source = draft.clone();
                self.created_at = *at;
            }
            Entry::Edited { edit, .. } => {
                if let Some(source) = &edit.draft {
                    self.draft.source = source.clone();
                }
                if let Some(name) = &edit.name {
                    self.name.clone_from(name);
                }
                if let Some(description) = &edit.description {
                    self.description.clone_from(description);
                }
                if let Some(paused) = edit.paused {
                    self.paused = paused;
                }
            }
            Entry::KeyMade { key, kind, .. } => self.keys.push(Key { key: key.clone(), kind: *kind, paused: false }),
            Entry::KeyPaused { key, paused, .. } => {
                if let Some(known) = self.keys.iter_mut().find(|known| known.key == *key) {
                    known.paused = *paused;
                }
            }
            Entry::Publishing { version, source, exports, at } => {
                self.refolding = Some(Version { version: *version, exports: *exports, since: *at });
                self.draft = Draft { version: version + 1, source: source.clone() };
            }
            Entry::Restoring { version, exports, at } => {
                self.refolding = Some(Version { version: *version, exports: *exports, since: *at });
            }
            Entry::Published { version, through, at } => {
                self.refold_ended(*version, *through, *at, false);
                self.published = self
                    .refolding
                    .take_if(|refolding| refolding.version == *version)
                    .map(|version| Version { since: *at, ..version });
            }
            Entry::Cancelled { version, through, at } => {
                self.refold_ended(*version, *through, *at, true);
                self.refolding = None;
            }
            Entry::Reset { .. } => self.begin = seq,
            Entry::SecretSet { name, sealed, .. } => {
                Arc::make_mut(&mut self.secrets).insert(name.clone(), sealed.clone());
                self.secrets_since = seq;
            }
            Entry::SecretRemoved { name, .. } => {
                Arc::make_mut(&mut self.secrets).remove(name);
                self.secrets_since = seq;
            }
            Entry::Given { owner, .. } => self.owner = *owner,
            Entry::Moved { owner, .. } => self.moved(*owner),
            Entry::KeyRevoked { key, .. } => self.keys.retain(|known| known.key != *key),
        }
        true
    }

    fn refold_ended(&mut self, version: u32, through: Seq, at: At, cancelled: bool) {
        let since = self.refolding.as_ref().map_or(at, |refolding| refolding.since);
        self.last_refold = Some(LastRefold { version, through, took_ms: at.0.saturating_sub(since.0), cancelled });
    }

    /// Where a key of this hook leads.
    pub fn door(&self, lane: LaneId, key: &str) -> Option<Door> {
        let key = self.keys.iter().find(|known| known.key == key)?;
        Some(Door { hook: lane, kind: key.kind, paused: key.paused })
    }
}
