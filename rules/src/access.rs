//! Who may do what: keys open one hook, an owner opens all of theirs.

use alloc::string::String;
use serde::{Deserialize, Serialize};

use crate::{record::LaneId, refusal::Refusal};

/// What a key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyKind {
    Read,
    Write,
}

impl KeyKind {
    pub fn parse(kind: &str) -> Result<KeyKind, Refusal> {
        match kind {
            "read" => Ok(KeyKind::Read),
            "write" => Ok(KeyKind::Write),
            _ => Err(Refusal::KEY_KIND_UNKNOWN),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            KeyKind::Read => "read",
            KeyKind::Write => "write",
        }
    }
}

/// A key of a hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub key: String,
    pub kind: KeyKind,
    pub paused: bool,
}

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    pub hook: LaneId,
    pub kind: KeyKind,
    pub paused: bool,
}

/// What to do with a request that came with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Open(LaneId),
    /// A paused write key: say 202, keep nothing.
    Swallow,
}

/// A request at `/write/KEY`.
pub fn write(door: Option<Door>) -> Result<Entry, Refusal> {
    match door {
        Some(Door { kind: KeyKind::Write, paused: false, hook }) => Ok(Entry::Open(hook)),
        Some(Door { kind: KeyKind::Write, paused: true, .. }) => Ok(Entry::Swallow),
        _ => Err(Refusal::KEY_UNKNOWN),
    }
}

/// A request at `/read/KEY`. A paused key is as good as none.
pub fn read(door: Option<Door>) -> Result<LaneId, Refusal> {
    match door {
        Some(Door { kind: KeyKind::Read, paused: false, hook }) => Ok(hook),
        _ => Err(Refusal::KEY_UNKNOWN),
    }
}

/// An owner's call for a hook of theirs. What is a merged guest's is its user's: `merged_into` is what the owner became.
pub fn own(caller: LaneId, owner: LaneId, merged_into: Option<LaneId>) -> Result<(), Refusal> {
    if caller == owner || merged_into == Some(caller) { Ok(()) } else { Err(Refusal::HOOK_FOREIGN) }
}
