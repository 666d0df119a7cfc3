//! A schedule: an action that is begun by itself, time after time, and what becomes of the times that were missed.
//!
//! Which times a cron expression names is for the engine to find out; here it is decided what comes of them. A time that
//! passed while nobody was there is made good once, however many passed: what was due is begun, and the next is the first
//! that lies ahead.

use alloc::{borrow::Cow, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    account::Step,
    call::Json,
    record::{At, End, LaneId},
    refusal::Refusal,
    row,
    slug::is_slug,
};

/// Schedules of one account.
pub const SCHEDULES_MAX: usize = 100;
pub const SCHEDULE_NAME_BYTES_MAX: usize = 200;
/// The parameters of one, as JSON.
pub const SCHEDULE_PARAMS_BYTES_MAX: usize = 64 << 10;
/// An expression has five fields, the first of which is the minute: nothing is begun more often than once in one.
pub const CRON_BYTES_MAX: usize = 100;
/// Runs of one schedule that may be open at a time: where nobody answers what they ask, no more are begun.
pub const SCHEDULE_RUNS_MAX: usize = 20;
/// Said of the schedule, and to nobody who calls.
pub const SCHEDULE_RUNS_TOO_MANY: Refusal = Refusal {
    status: 409,
    code: "schedule_runs_too_many",
    title: "Too many runs wait",
    detail: Cow::Borrowed("20 runs of this schedule are not over, so no more are begun."),
    hint: Cow::Borrowed("Answer what they ask, or cancel them."),
    retry_after_s: None,
    place: None,
};
/// How long an action that cannot be begun is tried again: after a restart its program needs a moment to come back.
pub const SCHEDULE_PATIENCE_MS: u64 = 30_000;

/// A schedule between two steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// UUIDv7: the order of ids is that of time.
    pub id: LaneId,
    /// As whom it runs.
    pub owner: LaneId,
    pub plan: Plan,
    /// `None` while it is paused, and when no time is left.
    pub next_at: Option<At>,
    pub last: Option<Last>,
    pub created_at: At,
    end: End,
}

/// What its owner says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub name: Option<String>,
    /// Of the action, as its owner called it.
    pub slug: String,
    /// Where the action is a hook's; a program's is known by its slug.
    pub hosted: Option<Hosted>,
    pub cron: String,
    /// As the IANA names it.
    pub timezone: String,
    /// An object.
    pub params: Option<Json>,
    pub is_paused: bool,
    pub notify_on_success: bool,
}

/// An action of a hook: it is found again when another hook comes to have one of its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosted {
    pub hook: LaneId,
    /// Its slug, as its code calls it.
    pub declared: String,
}

/// What came of the last time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    pub due: At,
    pub at: At,
    /// What was begun, or why nothing was.
    pub run: Result<LaneId, String>,
}

/// Where a schedule is found by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    pub owner: LaneId,
    pub at: Option<At>,
}

/// What the records of a schedule's lane say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    Made {
        owner: LaneId,
        plan: Plan,
        next_at: Option<At>,
        at: At,
    },
    Changed {
        plan: Plan,
        next_at: Option<At>,
        at: At,
    },
    Fired {
        last: Last,
        next_at: Option<At>,
    },
    /// The account that it belongs to became another.
    Given {
        to: LaneId,
        at: At,
    },
    Deleted {
        at: At,
    },
}

impl Plan {
    fn check(&self) -> Result<(), Refusal> {
        match () {
            () if !is_slug(&self.slug) => Err(Refusal::SLUG_MALFORMED),
            () if self.name.as_ref().is_some_and(|name| name.len() > SCHEDULE_NAME_BYTES_MAX) => {
                Err(Refusal::SCHEDULE_NAME_TOO_LONG)
            }
            () if self.params.as_ref().is_some_and(|params| params.len() > SCHEDULE_PARAMS_BYTES_MAX) => {
                Err(Refusal::SCHEDULE_PARAMS_TOO_LARGE)
            }
            () => Ok(()),
        }
    }
}

impl Schedule {
    /// A new one, beside `others` that its owner has. `next_at`: the first time after `at`.
    pub fn make(
        id: LaneId,
        owner: LaneId,
        plan: Plan,
        next_at: Option<At>,
        others: usize,
        at: At,
    ) -> Result<(Schedule, Step<()>), Refusal> {
        plan.check()?;
        if others >= SCHEDULES_MAX {
            return Err(Refusal::SCHEDULES_TOO_MANY);
        }
        let next_at = ahead(&plan, next_at)?;
        let made = Entry::Made { owner, plan: plan.clone(), next_at, at };
        let mut schedule = Schedule { id, owner, plan, next_at, last: None, created_at: at, end: End::OF_NOTHING };
        let step = schedule.keep(made);
        Ok((schedule, step))
    }

    /// `next_at`: the first time of this plan after `at`. What was missed while it was paused is not made good.
    pub fn change(&mut self, plan: Plan, next_at: Option<At>, at: At) -> Result<Step<()>, Refusal> {
        plan.check()?;
        let next_at = ahead(&plan, next_at)?;
        let hook_of = |plan: &Plan| plan.hosted.as_ref().map(|hosted| hosted.hook);
        let left = hook_of(&self.plan).filter(|hook| Some(*hook) != hook_of(&plan));
        (self.plan, self.next_at) = (plan.clone(), next_at);
        let mut step = self.keep(Entry::Changed { plan, next_at, at });
        step.rows.extend(left.map(|hook| (row::planned(hook, self.id), None)));
        Ok(step)
    }

    /// The time that is to be made good now.
    pub fn due(&self, at: At) -> Option<At> {
        self.next_at.filter(|due| *due <= at)
    }

    /// What it begins at that time. The same time makes the same run: that it was begun before is seen by its being there.
    pub fn run_at(&self, due: At) -> LaneId {
        let drawn = LaneId(self.id.0 ^ u128::from(due.0)).derived("everfold 2026 run of a schedule").0;
        let version = 0x7 << 76 | 0b10 << 62;
        LaneId(u128::from(due.0 & 0xffff_ffff_ffff) << 80 | version | drawn & (0xfff << 64 | 0x3fff_ffff_ffff_ffff))
    }

    /// Behind which moment the next time is looked for, now that what was due is made good: a clock that was set back
    /// does not bring the same time again.
    pub fn looks_behind(due: At, at: At) -> At {
        due.max(at)
    }

    /// What was due was begun, or why it was not. `next_at`: the first time of the plan behind `looks_behind`; what was
    /// changed meanwhile has a next time of its own.
    pub fn fired(&mut self, due: At, run: Result<LaneId, String>, next_at: Option<At>, at: At) -> Step<()> {
        assert!(next_at.is_none_or(|next| next > Schedule::looks_behind(due, at)), "a time comes once");
        let last = Last { due, at, run };
        if self.next_at == Some(due) {
            self.next_at = next_at;
        }
        self.last = Some(last.clone());
        self.keep(Entry::Fired { last, next_at: self.next_at })
    }

    /// Whether it is new that nothing could be begun: who was told so is not told each time.
    pub fn is_first_failure(&self) -> bool {
        self.last.as_ref().is_none_or(|last| last.run.is_ok())
    }

    /// What became of a run that it began was told.
    pub fn told(&self, run: LaneId) -> Step<()> {
        let rows = [(row::awaited(self.id, run), None)].into();
        Step { expect: self.end.tail, records: Vec::new(), rows, result: Ok(()) }
    }

    /// Its account became another's.
    pub fn give(&mut self, to: LaneId, at: At) -> Step<()> {
        let from = core::mem::replace(&mut self.owner, to);
        let mut step = self.keep(Entry::Given { to, at });
        step.rows.insert(0, (row::schedule(from, self.id), None));
        step
    }

    /// Nothing is begun any more; what was begun goes on. What is left of its log is erased behind the commit.
    pub fn delete(mut self, at: At) -> Step<()> {
        let mut step = self.keep(Entry::Deleted { at });
        for (_, kept) in &mut step.rows {
            *kept = None;
        }
        step.rows.push((row::erased(self.id), Some(Vec::new())));
        step
    }

    fn keep(&mut self, entry: Entry) -> Step<()> {
        let expect = self.end.tail;
        let records = [self.end.note(row::encode(&entry))].into();
        let mut rows = Vec::from([
            (row::schedule(self.owner, self.id), Some(row::encode(self))),
            (row::due(self.id), Some(row::encode(&Due { owner: self.owner, at: self.next_at }))),
        ]);
        rows.extend(self.plan.hosted.iter().map(|hosted| (row::planned(hosted.hook, self.id), Some(Vec::new()))));
        Step { expect, records, rows, result: Ok(()) }
    }
}

/// A plan has a time ahead, unless it is paused: one that never comes is a mistake.
fn ahead(plan: &Plan, next_at: Option<At>) -> Result<Option<At>, Refusal> {
    match next_at {
        None => Err(Refusal::CRON_NEVER),
        next_at => Ok(next_at.filter(|_| !plan.is_paused)),
    }
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned, string::ToString};

    use super::*;

    const ID: LaneId = LaneId(0x0192_0000_0000_7000_8000_0000_0000_0001);

    fn plan() -> Plan {
        Plan {
            name: None,
            slug: "report".to_owned(),
            hosted: Some(Hosted { hook: LaneId(5), declared: "report".to_owned() }),
            cron: "0 9 * * *".to_owned(),
            timezone: "Europe/Berlin".to_owned(),
            params: None,
            is_paused: false,
            notify_on_success: false,
        }
    }

    fn made() -> Schedule {
        Schedule::make(ID, LaneId(1), plan(), Some(At(100)), 0, At(1)).expect("it is made").0
    }

    fn kept(step: &Step<()>, key: Vec<u8>) -> Option<bool> {
        step.rows.iter().rev().find(|(row, _)| *row == key).map(|(_, bytes)| bytes.is_some())
    }

    #[test]
    fn what_was_missed_is_made_good_once_and_the_next_time_lies_ahead() {
        let mut schedule = made();
        assert_eq!(
            (schedule.due(At(99)), schedule.due(At(100)), schedule.due(At(999))),
            (None, Some(At(100)), Some(At(100)))
        );
        schedule.fired(At(100), Ok(schedule.run_at(At(100))), Some(At(1_000)), At(999));
        assert_eq!((schedule.due(At(999)), schedule.next_at), (None, Some(At(1_000))));
        assert_eq!(Schedule::looks_behind(At(100), At(50)), At(100), "a clock that was set back");
    }

    #[test]
    #[should_panic(expected = "a time comes once")]
    fn a_time_that_was_made_good_does_not_come_again() {
        made().fired(At(100), Ok(LaneId(7)), Some(At(100)), At(50));
    }

    #[test]
    fn a_time_names_its_run_and_another_time_or_schedule_another() {
        let schedule = made();
        let run = schedule.run_at(At(100));
        assert_eq!(run, schedule.clone().run_at(At(100)));
        assert_ne!(run, schedule.run_at(At(101)));
        assert_ne!(run, Schedule { id: LaneId(ID.0 + 1), ..schedule }.run_at(At(100)));
        assert_eq!((run.0 >> 80, run.0 >> 76 & 0xf, run.0 >> 62 & 0b11), (100, 7, 0b10), "a UUIDv7 of its time");
    }

    #[test]
    fn one_that_was_changed_while_it_fired_keeps_its_new_time() {
        let mut schedule = made();
        schedule.change(plan(), Some(At(300)), At(150)).expect("it is changed");
        schedule.fired(At(100), Err("away".to_string()), Some(At(200)), At(160));
        assert_eq!(schedule.next_at, Some(At(300)));
        assert!(!schedule.is_first_failure());
    }

    #[test]
    fn a_paused_one_waits_for_nothing_and_what_it_missed_is_gone() {
        let mut schedule = made();
        schedule.change(Plan { is_paused: true, ..plan() }, Some(At(200)), At(150)).expect("it is paused");
        assert_eq!((schedule.next_at, schedule.due(At(10_000))), (None, None));
        schedule.change(plan(), Some(At(900)), At(800)).expect("it goes on");
        assert_eq!((schedule.due(At(899)), schedule.due(At(900))), (None, Some(At(900))));
    }

    #[test]
    fn a_plan_has_its_bounds() {
        let refused = |plan: Plan, next_at, others| {
            Schedule::make(ID, LaneId(1), plan, next_at, others, At(1)).expect_err("it is refused").code
        };
        assert_eq!(refused(Plan { slug: "a b".to_owned(), ..plan() }, Some(At(2)), 0), "slug_malformed");
        assert_eq!(refused(Plan { name: Some("x".repeat(201)), ..plan() }, Some(At(2)), 0), "schedule_name_too_long");
        let large = Plan { params: Some("x".repeat(SCHEDULE_PARAMS_BYTES_MAX + 1).into()), ..plan() };
        assert_eq!(refused(large, Some(At(2)), 0), "schedule_params_too_large");
        assert_eq!(refused(plan(), None, 0), "cron_never");
        assert_eq!(refused(plan(), Some(At(2)), SCHEDULES_MAX), "schedules_too_many");
    }

    #[test]
    fn it_stands_where_it_is_looked_for_and_nowhere_after_its_end() {
        let (mut schedule, step) = Schedule::make(ID, LaneId(1), plan(), Some(At(100)), 0, At(1)).expect("it is made");
        let places = |owner| [row::schedule(owner, ID), row::due(ID), row::planned(LaneId(5), ID)];
        assert!(places(LaneId(1)).into_iter().all(|key| kept(&step, key) == Some(true)));
        let step = schedule.give(LaneId(2), At(3));
        assert_eq!(kept(&step, row::schedule(LaneId(1), ID)), Some(false));
        assert_eq!(kept(&step, row::schedule(LaneId(2), ID)), Some(true));
        let elsewhere = Plan { hosted: None, ..plan() };
        let step = schedule.clone().change(elsewhere, Some(At(9)), At(4)).expect("it is changed");
        assert_eq!(kept(&step, row::planned(LaneId(5), ID)), Some(false));
        let step = schedule.delete(At(5));
        assert!(places(LaneId(2)).into_iter().all(|key| kept(&step, key) == Some(false)));
        assert_eq!(kept(&step, row::erased(ID)), Some(true));
    }
}
