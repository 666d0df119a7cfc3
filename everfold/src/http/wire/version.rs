//! Versions: code under a number, and what publishing would change.

use engine::{
    follow::View,
    past::{Kept, Preview},
};
use rules::{call, record::At};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::{raw, request::ErrorDetail};

#[derive(Serialize)]
pub struct Publishing {
    pub version: u32,
    pub total: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    status: &'static str,
    done: u64,
    total: u64,
    per_second: f64,
    eta_seconds: Option<f64>,
}

impl Replay {
    pub fn of(view: &View, now: At) -> Replay {
        let rate = |done: u64, ms: u64| done as f64 * 1000.0 / ms.max(1) as f64;
        if let Some(progress) = view.refold {
            let (done, total) = (progress.done.0, progress.total.0);
            let per_second = rate(done, now.0.saturating_sub(progress.since.0));
            let eta_seconds = (per_second > 0.0).then(|| total.saturating_sub(done) as f64 / per_second);
            return Replay { status: "running", done, total, per_second, eta_seconds };
        }
        match view.config.last_refold {
            None => {
                let done = view.through().0;
                Replay { status: "done", done, total: done, per_second: 0.0, eta_seconds: Some(0.0) }
            }
            Some(last) => {
                let done = last.through.0;
                let (status, total) = if last.cancelled { ("cancelled", view.seq.0) } else { ("done", done) };
                Replay { status, done, total, per_second: rate(done, last.took_ms), eta_seconds: None }
            }
        }
    }
}

/// What publishing would change.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewDetail {
    total: u64,
    changed: u64,
    first_different_seq: Option<u64>,
    errors: Vec<PreviewError>,
    before: Box<RawValue>,
    after: Box<RawValue>,
    patch: Box<RawValue>,
}

#[derive(Serialize)]
struct PreviewError {
    seq: u64,
    error: ErrorDetail,
}

impl PreviewDetail {
    pub fn of(preview: &Preview) -> PreviewDetail {
        let shown = |state: &Option<call::Json>| raw(state.as_deref().unwrap_or("null"));
        let errors = preview.errors.iter();
        PreviewDetail {
            total: preview.total,
            changed: preview.changed,
            first_different_seq: preview.first_different.map(|seq| seq.0),
            errors: errors.map(|(seq, error)| PreviewError { seq: seq.0, error: error.into() }).collect(),
            before: shown(&preview.before),
            after: shown(&preview.after),
            patch: patch(preview.before.as_deref(), preview.after.as_deref()),
        }
    }
}

/// The change from one state to another, as JSON Patch.
fn patch(before: Option<&str>, after: Option<&str>) -> Box<RawValue> {
    let value = |state: Option<&str>| -> serde_json::Value {
        state.and_then(|state| serde_json::from_str(state).ok()).unwrap_or_default()
    };
    let patch = json_patch::diff(&value(before), &value(after));
    to_raw_value(&patch).expect("a patch is plain data")
}

#[derive(Serialize)]
pub struct Difference {
    patch: Box<RawValue>,
}

impl Difference {
    pub fn between(before: Option<&str>, after: Option<&str>) -> Difference {
        Difference { patch: patch(before, after) }
    }
}

#[derive(Deserialize)]
pub struct NewPreview {
    pub code: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionListed {
    version: u32,
    workflow_state: &'static str,
    code: String,
    published_at: Option<u64>,
}

impl VersionListed {
    pub fn draft_of(view: &View) -> VersionListed {
        let draft = &view.config.draft;
        VersionListed {
            version: draft.version,
            workflow_state: "draft",
            code: draft.source.to_string(),
            published_at: None,
        }
    }

    pub fn of(kept: &Kept, view: &View) -> VersionListed {
        let is_published = view.live.as_ref().is_some_and(|live| live.version == kept.version);
        VersionListed {
            version: kept.version,
            workflow_state: if is_published { "published" } else { "old" },
            code: kept.source.to_string(),
            published_at: kept.published_at.map(|at| at.0),
        }
    }
}
