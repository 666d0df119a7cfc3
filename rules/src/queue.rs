//! An account's queue: actions with parameters that wait to be begun, and for whom.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    account::Step,
    call::Json,
    email::Email,
    record::{At, Journal, LaneId},
    refusal::Refusal,
    row,
    slug::is_slug,
};

/// Items that may wait at a time.
pub const QUEUE_ITEMS_MAX: u32 = 10_000;
/// The parameters of one, as JSON.
pub const QUEUE_PARAMS_BYTES_MAX: usize = 64 << 10;

/// A queue between two steps; its items are rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    pub account: LaneId,
    /// How many items wait.
    items: u32,
    journal: Journal,
}

/// An action that waits to be begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// UUIDv7: the order of ids is that of time.
    pub id: u128,
    /// Of the action.
    pub slug: String,
    pub assignee: Option<Email>,
    /// An object.
    pub params: Option<Json>,
    /// Of superjson, where a parameter is none of JSON's.
    pub params_meta: Option<Json>,
    pub created_at: At,
}

/// What the records of a queue's lane say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    Enqueued { item: Item },
    Dequeued { id: u128, at: At },
    Begun { id: u128, run: LaneId, at: At },
}

/// Why an item waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Dequeued,
    Begun { run: LaneId },
}

impl Queue {
    pub fn of(account: LaneId) -> Queue {
        Queue { account, items: 0, journal: Journal::EMPTY }
    }

    /// Its lane follows from the account.
    pub fn lane(account: LaneId) -> LaneId {
        account.derived("everfold 2026 queue of an account")
    }

    pub fn enqueue(&mut self, item: &Item) -> Step<()> {
        let mut step = self.begin();
        let bytes = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.len());
        step.result = match () {
            () if !is_slug(&item.slug) => Err(Refusal::SLUG_MALFORMED),
            () if bytes(&item.params) + bytes(&item.params_meta) > QUEUE_PARAMS_BYTES_MAX => {
                Err(Refusal::QUEUE_PARAMS_TOO_LARGE)
            }
            () if self.items >= QUEUE_ITEMS_MAX => Err(Refusal::QUEUE_FULL),
            () => Ok(()),
        };
        if step.result.is_ok() {
            self.items += 1;
            step.rows.push((row::queued(self.account, item.id), Some(row::encode(item))));
            step.records.push(self.journal.arrived(row::encode(&Entry::Enqueued { item: item.clone() })));
            self.keep(&mut step);
        }
        step
    }

    /// Takes an item out. `is_there`: whether its row is.
    pub fn take(&mut self, id: u128, is_there: bool, taken: Taken, at: At) -> Step<()> {
        let mut step = self.begin();
        if !is_there {
            step.result = Err(Refusal::QUEUE_ITEM_UNKNOWN);
            return step;
        }
        let entry = match taken {
            Taken::Dequeued => Entry::Dequeued { id, at },
            Taken::Begun { run } => Entry::Begun { id, run, at },
        };
        self.items = self.items.saturating_sub(1);
        step.rows.push((row::queued(self.account, id), None));
        step.records.push(self.journal.note(row::encode(&entry)));
        self.keep(&mut step);
        step
    }

    fn begin(&self) -> Step<()> {
        Step { expect: self.journal.tail, records: Vec::new(), rows: Vec::new(), result: Ok(()) }
    }

    fn keep(&self, step: &mut Step<()>) {
        step.rows.push((row::queue(self.account), Some(row::encode(self))));
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;

    use super::*;

    fn item(id: u128, slug: &str) -> Item {
        Item { id, slug: slug.to_owned(), assignee: None, params: None, params_meta: None, created_at: At(1) }
    }

    #[test]
    fn an_item_waits_until_it_is_taken_once() {
        let mut queue = Queue::of(LaneId(1));
        let first = queue.enqueue(&item(7, "users/create"));
        assert_eq!((first.result, first.records.len(), queue.items), (Ok(()), 1, 1));
        let taken = queue.take(7, true, Taken::Begun { run: LaneId(9) }, At(2));
        assert_eq!((taken.result, taken.expect, queue.items), (Ok(()), first.records[0].position, 0));
        assert!(taken.records[0].position > first.records[0].position);
        let again = queue.take(7, false, Taken::Dequeued, At(3));
        assert_eq!((again.result, again.records.len()), (Err(Refusal::QUEUE_ITEM_UNKNOWN), 0));
    }

    #[test]
    fn a_queue_has_its_bounds() {
        let mut queue = Queue::of(LaneId(1));
        assert_eq!(queue.enqueue(&item(1, "not a slug")).result, Err(Refusal::SLUG_MALFORMED));
        let large = Item { params: Some(" ".repeat(QUEUE_PARAMS_BYTES_MAX + 1).into()), ..item(1, "a") };
        assert_eq!(queue.enqueue(&large).result, Err(Refusal::QUEUE_PARAMS_TOO_LARGE));
        for id in 0..QUEUE_ITEMS_MAX {
            assert_eq!(queue.enqueue(&item(id.into(), "a")).result, Ok(()));
        }
        let full = queue.enqueue(&item(u128::MAX, "a"));
        assert_eq!((full.result, full.records.len()), (Err(Refusal::QUEUE_FULL), 0));
    }
}
