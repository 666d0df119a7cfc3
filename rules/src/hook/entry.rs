//! What the records of a hook's lane say.

use alloc::{string::String, sync::Arc};
use serde::{Deserialize, Serialize};

use crate::{
    access::KeyKind,
    call::{Bytes, Error, Exports, Request, Stop},
    record::{At, LaneId, Seq},
};

/// The body of a record. `Arrived` stands at a request's position; all others are notes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    Arrived {
        request: Arc<Request>,
        verdict: Verdict,
        at: At,
    },
    Created {
        owner: LaneId,
        name: String,
        draft: Arc<str>,
        at: At,
    },
    Edited {
        edit: Edit,
        at: At,
    },
    KeyMade {
        key: String,
        kind: KeyKind,
        at: At,
    },
    KeyPaused {
        key: String,
        paused: bool,
        at: At,
    },
    /// The draft is refolded as this version, beside the live one.
    Publishing {
        version: u32,
        source: Arc<str>,
        exports: Exports,
        at: At,
    },
    /// The refold caught up, and readers see this version from here on.
    Published {
        version: u32,
        through: Seq,
        at: At,
    },
    /// A backstop ended this request's fold. Replay forces it instead of deciding it again.
    Stopped {
        version: u32,
        seq: Seq,
        stop: Stop,
        at: At,
    },
    /// An older version catches up, to be what readers see again.
    Restoring {
        version: u32,
        exports: Exports,
        at: At,
    },
    /// The refold was given up at `through`.
    Cancelled {
        version: u32,
        through: Seq,
        at: At,
    },
    /// What stands before is history that no fold sees.
    Reset {
        at: At,
    },
    /// The requests behind this see the new value.
    SecretSet {
        name: String,
        sealed: Bytes,
        at: At,
    },
    SecretRemoved {
        name: String,
        at: At,
    },
    Given {
        owner: LaneId,
        at: At,
    },
    Deleted {
        at: At,
    },
    /// What stands before came from elsewhere, with keys that lead there.
    Moved {
        owner: LaneId,
        at: At,
    },
    /// It leads here no more, and never will again.
    KeyRevoked {
        key: String,
        at: At,
    },
}

/// What an owner may change of a hook; only what is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    pub draft: Option<Arc<str>>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub paused: Option<bool>,
}

/// What the responder made of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It is folded.
    Kept,
    /// The responder refused it (status above 399): never folded.
    Ignored,
    /// The responder failed: never folded.
    Failed(Error),
}

impl Verdict {
    pub fn is_folded(&self) -> bool {
        matches!(self, Verdict::Kept)
    }
}
