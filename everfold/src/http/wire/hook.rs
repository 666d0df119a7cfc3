//! A hook, its keys and secrets, and how busy it was.

use std::collections::BTreeMap;

use engine::{activity::Activity, follow::View, series::Point};
use rules::access::{Key, KeyKind};
use serde::{Deserialize, Serialize};
use serde_json::{Number, value::RawValue};

use super::id_of;

#[derive(Deserialize)]
pub struct NewHook {
    pub name: Option<String>,
    pub code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookChange {
    pub code: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub workflow_state: Option<WorkflowState>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum WorkflowState {
    Live,
    Paused,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookDetail {
    id: String,
    name: String,
    description: String,
    workflow_state: &'static str,
    read_keys: Vec<String>,
    write_keys: Vec<String>,
    request_count: u64,
    /// That of the newest request. The oldest since a reset has `last_seq - request_count + 1`.
    last_seq: u64,
    /// How far the published version has folded.
    folded_count: u64,
    created_at: u64,
    draft: VersionDetail,
    published: Option<VersionDetail>,
    /// The version that takes its place when it has caught up.
    refolding: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionDetail {
    version: u32,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_at: Option<u64>,
}

impl HookDetail {
    pub fn of(view: &View) -> HookDetail {
        let config = &view.config;
        let keys = |kind| config.keys.iter().filter(|key| key.kind == kind).map(|key| key.key.clone()).collect();
        HookDetail {
            id: id_of(view.lane),
            name: config.name.clone(),
            description: config.description.clone(),
            workflow_state: if config.paused { "paused" } else { "live" },
            read_keys: keys(KeyKind::Read),
            write_keys: keys(KeyKind::Write),
            request_count: view.requests(),
            last_seq: view.seq.0,
            folded_count: view.through().0,
            created_at: config.created_at.0,
            draft: VersionDetail {
                version: config.draft.version,
                code: config.draft.source.to_string(),
                published_at: None,
            },
            published: config.published.as_ref().zip(view.live.as_ref()).map(|(version, live)| VersionDetail {
                version: version.version,
                code: live.program.source.to_string(),
                published_at: Some(version.since.0),
            }),
            refolding: view.refold.map(|refold| refold.version),
        }
    }
}

#[derive(Serialize)]
pub struct Keys {
    pub keys: Vec<KeyDetail>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyDetail {
    key: String,
    #[serde(rename = "type")]
    kind: &'static str,
    workflow_state: &'static str,
}

impl From<&Key> for KeyDetail {
    fn from(key: &Key) -> Self {
        KeyDetail {
            key: key.key.clone(),
            kind: key.kind.name(),
            workflow_state: if key.paused { "paused" } else { "live" },
        }
    }
}

#[derive(Deserialize)]
pub struct NewKey {
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Serialize)]
pub struct KeyMade {
    pub key: String,
}

#[derive(Serialize)]
pub struct Verified {
    pub seq: u64,
    pub hash: String,
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The course of a number over the log.
#[derive(Serialize)]
pub struct Series {
    pub points: Vec<SeriesPoint>,
}

#[derive(Serialize)]
pub struct SeriesPoint {
    seq: u64,
    at: u64,
    /// `null` where the state has no number there.
    value: Option<Number>,
}

impl From<Point<Option<Number>>> for SeriesPoint {
    fn from(point: Point<Option<Number>>) -> Self {
        SeriesPoint { seq: point.seq.0, at: point.at.0, value: point.value }
    }
}

/// When a hook was busy.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivityDetail {
    last_request_at: Option<u64>,
    /// All that the buckets count.
    requests: u64,
    recent_errors: usize,
    buckets: Vec<ActivityBucket>,
}

#[derive(Serialize)]
struct ActivityBucket {
    at: u64,
    count: u64,
}

impl From<Activity> for ActivityDetail {
    fn from(activity: Activity) -> Self {
        let buckets = activity.buckets.iter();
        ActivityDetail {
            last_request_at: activity.last_at.map(|at| at.0),
            requests: buckets.clone().map(|bucket| bucket.count).sum(),
            recent_errors: activity.recent_errors,
            buckets: buckets.map(|bucket| ActivityBucket { at: bucket.at.0, count: bucket.count }).collect(),
        }
    }
}

#[derive(Serialize)]
pub struct Templates {
    pub templates: Box<RawValue>,
}

/// Names, and the SHA-256 of each value: enough to see whether it is the right one.
#[derive(Serialize)]
pub struct SecretsListed {
    pub secrets: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub struct NewSecret {
    pub key: String,
    pub value: String,
}
