//! An account's inbox: the notices that its actions gave, and who is mailed them.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    account::Step,
    email::Email,
    record::{At, Journal, LaneId, Seq},
    refusal::Refusal,
    row,
};

/// Notices that are kept at hand; older ones stand in the log alone.
pub const NOTICES_MAX: u64 = 1_000;
/// Whom one notice may be for.
pub const NOTICE_ADDRESSES_MAX: usize = 10;
pub const NOTICE_TITLE_BYTES_MAX: usize = 500;
pub const NOTICE_MESSAGE_BYTES_MAX: usize = 10_000;
/// What is mailed for one account within `NOTICE_MAILS_MS`; further notices are kept, and not mailed.
pub const NOTICE_MAILS_MAX: u32 = 100;
pub const NOTICE_MAILS_MS: u64 = 60 * 60 * 1000;

/// An inbox between two steps; its notices are rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    pub account: LaneId,
    journal: Journal,
    mailed: u32,
    mailed_since: At,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub id: u128,
    /// Of the run that gave it.
    pub run: Option<String>,
    pub title: Option<String>,
    pub message: String,
    pub deliveries: Vec<Delivery>,
    /// A second one with the same key is the first.
    pub idempotency_key: Option<String>,
    pub created_at: At,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub to: String,
    pub method: Option<Method>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    Email,
    Slack,
}

impl Notice {
    /// Those that it asks to be mailed to, and that mail can be sent to.
    pub fn addresses(&self) -> impl Iterator<Item = Email> {
        let mailed = self.deliveries.iter().filter(|delivery| delivery.method == Some(Method::Email));
        mailed.filter_map(|delivery| Email::parse(&delivery.to).ok())
    }
}

impl Inbox {
    pub fn of(account: LaneId) -> Inbox {
        Inbox { account, journal: Journal::EMPTY, mailed: 0, mailed_since: At(0) }
    }

    /// Its lane follows from the account.
    pub fn lane(account: LaneId) -> LaneId {
        account.derived("everfold 2026 inbox of an account")
    }

    /// Which notice goes when the next one comes.
    pub fn oldest(&self) -> Option<Seq> {
        self.journal.seq().0.checked_sub(NOTICES_MAX - 1).filter(|seq| *seq > 0).map(Seq)
    }

    /// Keeps a notice, and says who is mailed it. `is_known`: one with its idempotency key is kept already; `oldest`:
    /// the one that goes. `addresses`: those of whom it may be mailed to.
    pub fn notify(
        &mut self,
        notice: &Notice,
        is_known: bool,
        oldest: Option<&Notice>,
        mut addresses: Vec<Email>,
    ) -> Step<Vec<Email>> {
        let mut step =
            Step { expect: self.journal.tail, records: Vec::new(), rows: Vec::new(), result: Ok(Vec::new()) };
        let title = notice.title.as_deref().unwrap_or_default();
        if title.len() > NOTICE_TITLE_BYTES_MAX || notice.message.len() > NOTICE_MESSAGE_BYTES_MAX {
            step.result = Err(Refusal::NOTICE_TOO_LONG);
            return step;
        }
        if notice.deliveries.len() > NOTICE_ADDRESSES_MAX {
            step.result = Err(Refusal::NOTICE_ADDRESSES_TOO_MANY);
            return step;
        }
        if is_known {
            return step;
        }
        let at = notice.created_at;
        if self.mailed_since.0 + NOTICE_MAILS_MS <= at.0 {
            (self.mailed, self.mailed_since) = (0, at);
        }
        addresses.truncate((NOTICE_MAILS_MAX - self.mailed.min(NOTICE_MAILS_MAX)) as usize);
        self.mailed += addresses.len() as u32;
        if let (Some(seq), Some(oldest)) = (self.oldest(), oldest) {
            step.rows.push((row::notice(self.account, seq), None));
            step.rows.extend(oldest.idempotency_key.iter().map(|key| (row::noticed(self.account, key), None)));
        }
        step.records.push(self.journal.arrived(row::encode(notice)));
        step.rows.push((row::notice(self.account, self.journal.seq()), Some(row::encode(notice))));
        let known = notice.idempotency_key.iter();
        step.rows.extend(known.map(|key| (row::noticed(self.account, key), Some(Vec::new()))));
        step.rows.push((row::inbox(self.account), Some(row::encode(self))));
        step.result = Ok(addresses);
        step
    }
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned, format, vec};

    use super::*;

    fn notice(at: u64) -> Notice {
        Notice {
            id: at.into(),
            run: None,
            title: None,
            message: "hello".to_owned(),
            deliveries: vec![],
            idempotency_key: None,
            created_at: At(at),
        }
    }

    #[test]
    fn a_notice_with_a_known_key_and_one_too_long_are_not_kept() {
        let mut inbox = Inbox::of(LaneId(1));
        let known = inbox.notify(&notice(1), true, None, vec![]);
        assert_eq!((known.result, known.records.len()), (Ok(vec![]), 0));
        let long = Notice { message: "x".repeat(NOTICE_MESSAGE_BYTES_MAX + 1), ..notice(1) };
        assert_eq!(inbox.notify(&long, false, None, vec![]).result, Err(Refusal::NOTICE_TOO_LONG));
        let to = || Delivery { to: "a@example.com".to_owned(), method: None };
        let many = Notice { deliveries: (0..=NOTICE_ADDRESSES_MAX).map(|_| to()).collect(), ..notice(1) };
        assert_eq!(inbox.notify(&many, false, None, vec![]).result, Err(Refusal::NOTICE_ADDRESSES_TOO_MANY));
    }

    #[test]
    fn so_many_mails_go_out_in_an_hour_and_the_notices_are_kept_all_the_same() {
        let mut inbox = Inbox::of(LaneId(1));
        let addresses = || (0..10).map(|n| Email::parse(&format!("a{n}@example.com")).unwrap()).collect::<Vec<_>>();
        for at in 0..12 {
            let step = inbox.notify(&notice(1 + at), false, None, addresses());
            assert_eq!((step.result.unwrap().len(), step.records.len()), (if at < 10 { 10 } else { 0 }, 1));
        }
        assert_eq!(inbox.notify(&notice(1 + NOTICE_MAILS_MS), false, None, addresses()).result.unwrap().len(), 10);
    }

    #[test]
    fn the_oldest_goes_when_there_are_enough() {
        let mut inbox = Inbox::of(LaneId(1));
        for at in 1..=NOTICES_MAX {
            assert_eq!(inbox.oldest(), None);
            inbox.notify(&notice(at), false, None, vec![]);
        }
        assert_eq!(inbox.oldest(), Some(Seq(1)));
        let step = inbox.notify(&notice(5_000), false, Some(&notice(1)), vec![]);
        assert!(step.rows.contains(&(row::notice(LaneId(1), Seq(1)), None)));
        assert_eq!(inbox.oldest(), Some(Seq(2)));
    }
}
