//! The server's own settings: whose it is, and whom it is closed to.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::{
    record::{At, End, LaneId, Position, Record},
    refusal::Refusal,
    row,
};

/// The lane of the server itself. All others are drawn or hashed, and never this.
pub const SERVER: LaneId = LaneId(0);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The first user who signed in.
    pub owner: Option<LaneId>,
    pub closed_to_guests: bool,
    pub closed_to_new_users: bool,
    end: End,
}

/// What an owner may change; only what is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub closed_to_guests: Option<bool>,
    pub closed_to_new_users: Option<bool>,
}

/// What the records of the server's lane say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    Owned { owner: LaneId, at: At },
    Changed { change: Change, at: At },
}

#[derive(Debug)]
pub struct Step {
    pub expect: Position,
    pub records: Vec<Record>,
    pub rows: Vec<row::Change>,
}

impl Default for Settings {
    /// Nobody's, and open to all.
    fn default() -> Settings {
        Settings { owner: None, closed_to_guests: false, closed_to_new_users: false, end: End::OF_NOTHING }
    }
}

impl Settings {
    /// Only the owner sees or changes them.
    pub fn of(&self, caller: LaneId) -> Result<&Settings, Refusal> {
        if self.owner == Some(caller) { Ok(self) } else { Err(Refusal::SETTINGS_FOREIGN) }
    }

    /// Makes this user the owner, unless there is one.
    pub fn claim(&mut self, user: LaneId, at: At) -> Option<Step> {
        self.owner.is_none().then(|| {
            self.owner = Some(user);
            self.keep(Entry::Owned { owner: user, at })
        })
    }

    pub fn change(&mut self, caller: LaneId, change: Change, at: At) -> Result<Step, Refusal> {
        self.of(caller)?;
        self.closed_to_guests = change.closed_to_guests.unwrap_or(self.closed_to_guests);
        self.closed_to_new_users = change.closed_to_new_users.unwrap_or(self.closed_to_new_users);
        Ok(self.keep(Entry::Changed { change, at }))
    }

    fn keep(&mut self, entry: Entry) -> Step {
        let expect = self.end.tail;
        let records = alloc::vec![self.end.note(row::encode(&entry))];
        let rows = alloc::vec![(row::settings(), Some(row::encode(self)))];
        Step { expect, records, rows }
    }
}
