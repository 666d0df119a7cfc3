//! A person's account: a guest or a user, their sign-ins, the links that lead to one, their keys.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    email::Email,
    record::{At, End, LaneId, Position, Record},
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
/// How long a sign-in link is good for.
pub const LINK_MS: u64 = 60 * 60 * 1000;
/// Links that are sent to one address within `LINK_MS`.
pub const LINKS_MAX: usize = 5;
/// API and worker keys of one account.
pub const ACCOUNT_KEYS_MAX: usize = 64;
/// The name of a key.
pub const KEY_NAME_BYTES_MAX: usize = 200;
/// When a key was last used is kept as roughly as this.
pub const KEY_USED_MS: u64 = 60_000;
/// No call that a guest had begun when it was merged is still under way after this.
pub const MERGE_MS: u64 = 120_000;

/// What a secret that its holder must show is kept as.
pub type SecretHash = [u8; 32];

/// An account between two steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub lane: LaneId,
    pub standing: Standing,
    pub created_at: At,
    pub keys: Vec<Key>,
    /// Guests whose hooks are being moved to this user.
    pub merging: Vec<Merging>,
    families: Vec<Family>,
    /// Those of the last hour, used or not.
    links: Vec<Link>,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    Guest,
    /// A link was sent to this address, and nobody has followed one yet.
    Invited(Email),
    User(Email),
    /// Was a guest; what it had is this user's.
    Merged(LaneId),
}

/// A key that a program shows instead of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub id: u128,
    pub kind: KeyKind,
    pub name: String,
    pub created_at: At,
    hash: SecretHash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyKind {
    /// Does what its owner does with hooks.
    Api,
    /// Takes jobs.
    Worker,
}

/// Where a key leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDoor {
    pub account: LaneId,
    pub key: u128,
    pub kind: KeyKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merging {
    pub guest: LaneId,
    pub since: At,
}

/// One sign-in. Its tokens are numbered; each is made from the number, so none needs to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Family {
    family: u128,
    generation: u32,
    rotated_at: At,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Link {
    hash: SecretHash,
    /// Who asked for it.
    guest: Option<LaneId>,
    asked_at: At,
    is_used: bool,
}

/// What the records of an account's lane say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    GuestMade {
        at: At,
    },
    SignedIn {
        family: u128,
        at: At,
    },
    Rotated {
        family: u128,
        generation: u32,
        at: At,
    },
    Revoked {
        family: u128,
        at: At,
    },
    LinkAsked {
        email: Email,
        hash: SecretHash,
        guest: Option<LaneId>,
        at: At,
    },
    /// The address is proven. From here on this is a user.
    LinkUsed {
        hash: SecretHash,
        at: At,
    },
    KeyMade {
        key: Key,
        at: At,
    },
    KeyRevoked {
        key: u128,
        at: At,
    },
    /// A user takes over what a guest had, these keys at once.
    GuestTaken {
        guest: LaneId,
        keys: Vec<Key>,
        at: At,
    },
    /// All that the guest had is moved.
    GuestMoved {
        guest: LaneId,
        at: At,
    },
    /// The guest's side of it.
    MergedInto {
        user: LaneId,
        at: At,
    },
}

/// Names a refresh token; the vault turns it into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    pub account: LaneId,
    pub family: u128,
    pub generation: u32,
}

#[derive(Debug)]
pub struct Step<T> {
    pub expect: Position,
    pub records: Vec<Record>,
    pub rows: Vec<row::Change>,
    pub result: Result<T, Refusal>,
}

impl KeyKind {
    pub fn parse(kind: &str) -> Result<KeyKind, Refusal> {
        match kind {
            "api" => Ok(KeyKind::Api),
            "worker" => Ok(KeyKind::Worker),
            _ => Err(Refusal::ACCOUNT_KEY_KIND_UNKNOWN),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            KeyKind::Api => "api",
            KeyKind::Worker => "worker",
        }
    }
}

impl Account {
    pub fn guest(lane: LaneId, family: u128, at: At) -> (Account, Step<Refresh>) {
        let mut account = Account::new(lane, Standing::Guest, at);
        let mut step = account.begin();
        account.note(Entry::GuestMade { at }, &mut step);
        let refresh = account.begin_family(family, at, &mut step);
        let step = account.keep(step, Ok(refresh));
        (account, step)
    }

    /// The account of an address that nobody has signed in with. Nothing of it is kept before a link is asked for.
    pub fn of_address(email: Email, at: At) -> Account {
        Account::new(email.lane(), Standing::Invited(email), at)
    }

    fn new(lane: LaneId, standing: Standing, at: At) -> Account {
        Account {
            lane,
            standing,
            created_at: at,
            keys: Vec::new(),
            merging: Vec::new(),
            families: Vec::new(),
            links: Vec::new(),
            end: End::OF_NOTHING,
        }
    }

    /// The proven address; a guest has none.
    pub fn email(&self) -> Option<&Email> {
        match &self.standing {
            Standing::User(email) => Some(email),
            _ => None,
        }
    }

    pub fn is_guest(&self) -> bool {
        self.standing == Standing::Guest
    }

    pub fn is_signed_in(&self, family: u128) -> bool {
        self.families.iter().any(|known| known.family == family)
    }

    /// Remembers a link that is about to be sent. `false`: it must not be, this address got as many as it may.
    pub fn ask_for_link(&mut self, hash: SecretHash, guest: Option<LaneId>, at: At) -> Step<bool> {
        let mut step = self.begin();
        self.links.retain(|link| at.0 < link.asked_at.0 + LINK_MS);
        let (Standing::Invited(email) | Standing::User(email)) = self.standing.clone() else {
            return self.keep(step, Err(Refusal::FAULT));
        };
        if self.links.len() >= LINKS_MAX {
            return self.keep(step, Ok(false));
        }
        self.links.push(Link { hash, guest, asked_at: at, is_used: false });
        self.note(Entry::LinkAsked { email, hash, guest, at }, &mut step);
        self.keep(step, Ok(true))
    }

    /// Whether a link with this hash would sign somebody in now.
    pub fn opens(&self, hash: SecretHash, at: At) -> bool {
        self.link(hash, at).is_some()
    }

    /// Whether whoever reads mail at this address was here lately: a link that was asked for since then was used.
    pub fn is_proven_since(&self, since: At) -> bool {
        self.email().is_some() && self.links.iter().any(|link| link.is_used && link.asked_at >= since)
    }

    fn link(&self, hash: SecretHash, at: At) -> Option<usize> {
        let is_good = |link: &Link| link.hash == hash && !link.is_used && at.0 < link.asked_at.0 + LINK_MS;
        self.links.iter().position(is_good)
    }

    /// Uses a link up. `caller` is the guest that the call comes from: when that guest also asked for the link, what it
    /// has becomes this user's. Whoever shows somebody else's link, or is shown one, merges nothing.
    pub fn sign_in(&mut self, hash: SecretHash, caller: Option<&Account>, family: u128, at: At) -> Step<Refresh> {
        let mut step = self.begin();
        let Some(index) = self.link(hash, at) else { return self.keep(step, Err(Refusal::LINK_INVALID)) };
        self.links[index].is_used = true;
        self.note(Entry::LinkUsed { hash, at }, &mut step);
        if let Standing::Invited(email) = &self.standing {
            self.standing = Standing::User(email.clone());
        }
        let asked = self.links[index].guest;
        if let Some(guest) = caller.filter(|caller| caller.is_guest() && asked == Some(caller.lane)) {
            self.take(guest, at, &mut step);
        }
        let refresh = self.begin_family(family, at, &mut step);
        self.keep(step, Ok(refresh))
    }

    /// One more sign-in of whoever is known by other means. It never ends another, so that nobody is locked out by it.
    pub fn enter(&mut self, family: u128, at: At) -> Step<Refresh> {
        let mut step = self.begin();
        let may_sign_in = matches!(self.standing, Standing::Guest | Standing::User(_));
        if !may_sign_in || self.families.len() >= FAMILIES_MAX {
            return self.keep(step, Err(Refusal::TOKEN_INVALID));
        }
        let refresh = self.begin_family(family, at, &mut step);
        self.keep(step, Ok(refresh))
    }

    /// The guest's keys are this user's at once; its hooks, each in a lane of its own, follow.
    fn take(&mut self, guest: &Account, at: At, step: &mut Step<()>) {
        let room = ACCOUNT_KEYS_MAX.saturating_sub(self.keys.len());
        let keys: Vec<_> = guest.keys.iter().take(room).cloned().collect();
        for key in &keys {
            self.keep_door(key, step);
        }
        self.keys.extend(keys.iter().cloned());
        self.merging.push(Merging { guest: guest.lane, since: at });
        self.note(Entry::GuestTaken { guest: guest.lane, keys, at }, step);
    }

    /// Ends a guest whose user has taken it over: it has no sign-in and no key any more.
    pub fn merge_into(&mut self, user: LaneId, at: At) -> Step<()> {
        let mut step = self.begin();
        if self.is_guest() {
            self.standing = Standing::Merged(user);
            self.families.clear();
            self.keys.clear();
            self.note(Entry::MergedInto { user, at }, &mut step);
        }
        self.keep(step, Ok(()))
    }

    /// Nothing is left to be moved from this guest.
    pub fn moved(&mut self, guest: LaneId, at: At) -> Step<()> {
        let mut step = self.begin();
        let before = self.merging.len();
        self.merging.retain(|merging| merging.guest != guest);
        if self.merging.len() < before {
            self.note(Entry::GuestMoved { guest, at }, &mut step);
        }
        self.keep(step, Ok(()))
    }

    /// Takes a refresh token and names the next. One that was used already ends its family, unless it comes within
    /// the grace.
    pub fn refresh(&mut self, token: Refresh, at: At) -> Step<Refresh> {
        let mut step = self.begin();
        let Some(index) = self.families.iter().position(|family| family.family == token.family) else {
            return self.keep(step, Err(Refusal::TOKEN_INVALID));
        };
        let family = &mut self.families[index];
        let is_current = token.generation == family.generation;
        let is_last = token.generation + 1 == family.generation;
        let result = if is_current && at.0 < family.rotated_at.0 + REFRESH_MS {
            family.generation += 1;
            family.rotated_at = at;
            let generation = family.generation;
            self.note(Entry::Rotated { family: token.family, generation, at }, &mut step);
            Ok(Refresh { generation, ..token })
        } else if is_last && at.0 <= family.rotated_at.0 + REFRESH_GRACE_MS {
            Ok(Refresh { generation: family.generation, ..token })
        } else {
            self.end_family(index, at, &mut step);
            Err(Refusal::TOKEN_INVALID)
        };
        self.keep(step, result)
    }

    pub fn sign_out(&mut self, family: u128, at: At) -> Step<()> {
        let mut step = self.begin();
        if let Some(index) = self.families.iter().position(|known| known.family == family) {
            self.end_family(index, at, &mut step);
        }
        self.keep(step, Ok(()))
    }

    fn begin_family(&mut self, family: u128, at: At, step: &mut Step<()>) -> Refresh {
        while self.families.len() >= FAMILIES_MAX {
            self.end_family(0, at, step);
        }
        self.families.push(Family { family, generation: 0, rotated_at: at });
        self.note(Entry::SignedIn { family, at }, step);
        Refresh { account: self.lane, family, generation: 0 }
    }

    fn end_family(&mut self, index: usize, at: At, step: &mut Step<()>) {
        let Family { family, .. } = self.families.remove(index);
        self.note(Entry::Revoked { family, at }, step);
    }

    pub fn make_key(&mut self, id: u128, kind: KeyKind, name: String, hash: SecretHash, at: At) -> Step<()> {
        let mut step = self.begin();
        if name.len() > KEY_NAME_BYTES_MAX {
            return self.keep(step, Err(Refusal::ACCOUNT_KEY_NAME_TOO_LONG));
        }
        if self.keys.len() >= ACCOUNT_KEYS_MAX {
            return self.keep(step, Err(Refusal::ACCOUNT_KEYS_TOO_MANY));
        }
        let key = Key { id, kind, name, created_at: at, hash };
        self.keep_door(&key, &mut step);
        self.keys.push(key.clone());
        self.note(Entry::KeyMade { key, at }, &mut step);
        self.keep(step, Ok(()))
    }

    pub fn revoke_key(&mut self, id: u128, at: At) -> Step<()> {
        let mut step = self.begin();
        let Some(index) = self.keys.iter().position(|key| key.id == id) else {
            return self.keep(step, Err(Refusal::ACCOUNT_KEY_UNKNOWN));
        };
        let key = self.keys.remove(index);
        step.rows.push((row::account_key(&key.hash), None));
        step.rows.push((row::key_used(self.lane, id), None));
        self.note(Entry::KeyRevoked { key: id, at }, &mut step);
        self.keep(step, Ok(()))
    }

    fn keep_door(&self, key: &Key, step: &mut Step<()>) {
        let door = KeyDoor { account: self.lane, key: key.id, kind: key.kind };
        step.rows.push((row::account_key(&key.hash), Some(row::encode(&door))));
    }

    /// A key of this account is being used; nothing to keep when that is known roughly enough.
    pub fn use_key(&self, id: u128, last: Option<At>, at: At) -> Step<()> {
        let mut step = self.begin();
        if last.is_none_or(|last| last.0 + KEY_USED_MS <= at.0) {
            step.rows.push((row::key_used(self.lane, id), Some(row::encode(&at))));
        }
        step
    }

    fn begin(&self) -> Step<()> {
        Step { expect: self.end.tail, records: Vec::new(), rows: Vec::new(), result: Ok(()) }
    }

    fn note(&mut self, entry: Entry, step: &mut Step<()>) {
        step.records.push(self.end.note(row::encode(&entry)));
    }

    fn keep<T>(&self, step: Step<()>, result: Result<T, Refusal>) -> Step<T> {
        let Step { expect, records, mut rows, .. } = step;
        if !records.is_empty() {
            rows.push((row::account(self.lane), Some(row::encode(self))));
        }
        Step { expect, records, rows, result }
    }
}
