//! Schedules, and what came of them.

use rules::{
    run::Brief,
    schedule::{Last, Plan, Schedule},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::{id_of, raw, run::status};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSchedule {
    slug: String,
    cron: String,
    timezone: String,
    params: Option<Map<String, Value>>,
    name: Option<String>,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    notify_on_success: bool,
}

/// What is left away or `null` stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleChange {
    slug: Option<String>,
    cron: Option<String>,
    timezone: Option<String>,
    params: Option<Map<String, Value>>,
    name: Option<String>,
    paused: Option<bool>,
    notify_on_success: Option<bool>,
}

impl From<NewSchedule> for Plan {
    fn from(given: NewSchedule) -> Plan {
        let NewSchedule { slug, cron, timezone, params, name, paused, notify_on_success } = given;
        Plan {
            name: name.and_then(named),
            slug,
            hosted: None,
            cron,
            timezone,
            params: params.and_then(json),
            is_paused: paused,
            notify_on_success,
        }
    }
}

impl ScheduleChange {
    pub fn apply(&self, plan: &mut Plan) {
        let ScheduleChange { slug, cron, timezone, params, name, paused, notify_on_success } = self;
        for (given, kept) in [(slug, &mut plan.slug), (cron, &mut plan.cron), (timezone, &mut plan.timezone)] {
            if let Some(given) = given {
                kept.clone_from(given);
            }
        }
        if let Some(params) = params {
            plan.params = json(params.clone());
        }
        if let Some(name) = name {
            plan.name = named(name.clone());
        }
        plan.is_paused = paused.unwrap_or(plan.is_paused);
        plan.notify_on_success = notify_on_success.unwrap_or(plan.notify_on_success);
    }
}

fn named(name: String) -> Option<String> {
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn json(params: Map<String, Value>) -> Option<rules::call::Json> {
    (!params.is_empty()).then(|| Value::Object(params).to_string().into())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleDetail {
    id: String,
    slug: String,
    name: Option<String>,
    /// Whose code the action is in.
    hook_id: Option<String>,
    cron: String,
    timezone: String,
    params: Option<Box<RawValue>>,
    paused: bool,
    notify_on_success: bool,
    next_at: Option<u64>,
    last_run: Option<LastRun>,
    created_at: u64,
}

/// The run that was begun last, or why none was.
#[derive(Serialize)]
pub struct LastRun {
    id: Option<String>,
    at: u64,
    status: Option<&'static str>,
    error: Option<String>,
}

impl ScheduleDetail {
    /// `brief`: how the run stands that it began last.
    pub fn of(schedule: Schedule, brief: Option<Brief>) -> ScheduleDetail {
        let Schedule { id, plan, next_at, last, created_at, .. } = schedule;
        ScheduleDetail {
            id: id_of(id),
            slug: plan.slug,
            name: plan.name,
            hook_id: plan.hosted.map(|hosted| id_of(hosted.hook)),
            cron: plan.cron,
            timezone: plan.timezone,
            params: plan.params.as_deref().map(raw),
            paused: plan.is_paused,
            notify_on_success: plan.notify_on_success,
            next_at: next_at.map(|at| at.0),
            last_run: last.map(|last| LastRun::of(last, brief)),
            created_at: created_at.0,
        }
    }
}

impl LastRun {
    fn of(last: Last, brief: Option<Brief>) -> LastRun {
        let at = last.at.0;
        match last.run {
            Ok(run) => LastRun {
                id: Some(id_of(run)),
                at,
                status: brief.as_ref().map(|brief| status(brief.status)),
                error: brief.and_then(|brief| brief.error),
            },
            Err(why) => LastRun { id: None, at, status: None, error: Some(why) },
        }
    }
}
