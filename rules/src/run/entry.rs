//! What the log of a run says, record by record.

use alloc::{string::String, vec, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    call::{
        Error, Json, Level,
        run::{Name, Telling},
    },
    record::{At, LaneId},
    row,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    Begun(Begun),
    /// The code made a call. Of a connected host's the same call comes again when its code ran anew.
    Called {
        name: Name,
        payload: Json,
        at: At,
    },
    /// What came of it; of a question its answer, and who gave it.
    Returned {
        id: String,
        result: Result<Json, Error>,
        by: Option<String>,
        at: At,
    },
    /// A person moved in a question: pages, filters, searches.
    Stated {
        id: String,
        values: Json,
        at: At,
    },
    Told {
        telling: Telling,
        payload: Json,
        at: At,
    },
    /// A line of `console`, or of a host's log.
    Logged {
        level: Level,
        text: String,
        at: At,
    },
    Parked {
        why: Why,
        message: String,
        at: At,
    },
    /// A connected host runs the code anew, over the answers there are.
    Resumed {
        at: At,
    },
    Ended {
        ending: Ending,
        at: At,
    },
    /// The account that it belongs to became another.
    Given {
        to: LaneId,
        at: At,
    },
}

/// Tells a run's records from those of other lanes.
const MARK: u8 = b'r';

impl Entry {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![MARK];
        bytes.extend(row::encode(self));
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Option<Entry> {
        let (mark, bytes) = bytes.split_first()?;
        (*mark == MARK).then(|| row::decode(bytes)).flatten()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub owner: LaneId,
    pub origin: Origin,
    /// Its slug, as its owner calls it.
    pub action: String,
    /// As its code calls it: the same, unless two hooks have one of this name.
    pub declared: String,
    pub name: Option<String>,
    pub description: Option<String>,
    /// `{user, params, paramsMeta?, environment, organization, action}`, JSON.
    pub context: Json,
    /// Who began it, where that has a name.
    pub by: Option<String>,
    pub at: At,
}

/// Whose code it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// A hook's, in the version that was live when it began.
    Hosted { hook: LaneId, version: u32 },
    /// A program's that is connected.
    Host { is_backgroundable: bool },
}

/// Why a run does not go on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// The code does something else than it did.
    CodeChanged,
    /// The host that ran it is gone, and another one came.
    HostGone,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// `{json, meta?}`.
    Completed(Json),
    Failed(Error),
    Cancelled,
    /// Given up after its host was gone.
    Abandoned,
}
