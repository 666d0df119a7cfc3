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
    /// Runs of connected programs that may go on in the background are resumed without being asked.
    pub resume_connected: bool,
}

/// As a row holds it that was written before runs could be resumed.
#[derive(Deserialize)]
struct Before {
    owner: Option<LaneId>,
    closed_to_guests: bool,
    closed_to_new_users: bool,
    end: End,
}

/// What an owner may change; only what is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub closed_to_guests: Option<bool>,
    pub closed_to_new_users: Option<bool>,
    #[serde(skip)]
    pub resume_connected: Option<bool>,
}

/// What the records of the server's lane say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    Owned { owner: LaneId, at: At },
    Changed { change: Change, at: At },
    ResumeConnected { is_on: bool, at: At },
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
        Settings {
            owner: None,
            closed_to_guests: false,
            closed_to_new_users: false,
            end: End::OF_NOTHING,
            resume_connected: false,
        }
    }
}

impl Settings {
    pub fn decode(bytes: &[u8]) -> Option<Settings> {
        row::decode(bytes).or_else(|| {
            let Before { owner, closed_to_guests, closed_to_new_users, end } = row::decode(bytes)?;
            Some(Settings { owner, closed_to_guests, closed_to_new_users, end, resume_connected: false })
        })
    }

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
        let mut entries = alloc::vec![Entry::Changed { change, at }];
        if let Some(is_on) = change.resume_connected {
            self.resume_connected = is_on;
            entries.push(Entry::ResumeConnected { is_on, at });
        }
        Ok(self.keep_all(entries))
    }

    fn keep(&mut self, entry: Entry) -> Step {
        self.keep_all(alloc::vec![entry])
    }

    fn keep_all(&mut self, entries: Vec<Entry>) -> Step {
        let expect = self.end.tail;
        let records = entries.iter().map(|entry| self.end.note(row::encode(entry))).collect();
        let rows = alloc::vec![(row::settings(), Some(row::encode(self)))];
        Step { expect, records, rows }
    }
}
