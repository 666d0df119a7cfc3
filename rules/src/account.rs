//! A person's account: guests for now, and the refresh tokens that keep them signed in.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    record::{At, Hash, LaneId, Position, Record},
    refusal::Refusal,
    row,
};

/// How long a refresh token is good for.
pub const REFRESH_MS: u64 = 14 * 24 * 60 * 60 * 1000;
/// How long an access token is good for.
pub const ACCESS_MS: u64 = 60 * 60 * 1000;
/// An old refresh token gives the same new pair again for this long: two tabs may ask at once.
pub const REFRESH_GRACE_MS: u64 = 10_000;
/// Sign-ins that one account may have at a time; the oldest ends.
pub const FAMILIES_MAX: usize = 32;

/// An account between two steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub lane: LaneId,
    pub email: Option<String>,
    pub created_at: At,
    families: Vec<Family>,
    tail: Position,
    hash: Hash,
}

/// One sign-in. Its tokens are numbered; each is made from the number, so none needs to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Family {
    family: u128,
    generation: u32,
    rotated_at: At,
}

/// What the records of an account's lane say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    GuestMade { at: At },
    SignedIn { family: u128, at: At },
    Rotated { family: u128, generation: u32, at: At },
    Revoked { family: u128, at: At },
}

/// Names a refresh token; the vault turns it into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    pub account: LaneId,
    pub family: u128,
    pub generation: u32,
}

#[derive(Debug)]
pub struct Step {
    pub expect: Position,
    pub records: Vec<Record>,
    pub rows: Vec<row::Change>,
    pub result: Result<Refresh, Refusal>,
}

impl Account {
    pub fn guest(lane: LaneId, family: u128, at: At) -> (Account, Step) {
        let mut account = Account {
            lane,
            email: None,
            created_at: at,
            families: Vec::new(),
            tail: Position::START,
            hash: Hash::NONE,
        };
        let mut records = Vec::new();
        account.append(Entry::GuestMade { at }, &mut records);
        account.append(Entry::SignedIn { family, at }, &mut records);
        account.families.push(Family { family, generation: 0, rotated_at: at });
        let result = Ok(Refresh { account: lane, family, generation: 0 });
        let step = account.keep(Position::START, records, result);
        (account, step)
    }

    /// Takes a refresh token and names the next. One that was used already ends its family, unless it comes within
    /// the grace.
    pub fn refresh(&mut self, token: Refresh, at: At) -> Step {
        let expect = self.tail;
        let mut records = Vec::new();
        let Some(index) = self.families.iter().position(|family| family.family == token.family) else {
            return self.keep(expect, records, Err(Refusal::TOKEN_INVALID));
        };
        let family = &mut self.families[index];
        let is_current = token.generation == family.generation;
        let is_last = token.generation + 1 == family.generation;
        let result = if is_current && at.0 < family.rotated_at.0 + REFRESH_MS {
            family.generation += 1;
            family.rotated_at = at;
            let generation = family.generation;
            self.append(Entry::Rotated { family: token.family, generation, at }, &mut records);
            Ok(Refresh { generation, ..token })
        } else if is_last && at.0 <= family.rotated_at.0 + REFRESH_GRACE_MS {
            Ok(Refresh { generation: family.generation, ..token })
        } else {
            self.families.remove(index);
            self.append(Entry::Revoked { family: token.family, at }, &mut records);
            Err(Refusal::TOKEN_INVALID)
        };
        self.keep(expect, records, result)
    }

    fn append(&mut self, entry: Entry, records: &mut Vec<Record>) {
        let position = self.tail.next_note().expect("an account has fewer than 16 million records");
        let body = row::encode(&entry);
        self.hash = self.hash.chain(position, &body);
        self.tail = position;
        records.push(Record { position, hash: self.hash, body });
    }

    fn keep(&mut self, expect: Position, records: Vec<Record>, result: Result<Refresh, Refusal>) -> Step {
        while self.families.len() > FAMILIES_MAX {
            self.families.remove(0);
        }
        let rows = if records.is_empty() {
            Vec::new()
        } else {
            alloc::vec![(row::account(self.lane), Some(row::encode(self)))]
        };
        Step { expect, records, rows, result }
    }
}
