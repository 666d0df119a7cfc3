//! Pages.

use engine::page::Shown;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{raw, run::LogDetail};

#[derive(Deserialize)]
pub struct NewPageState {
    pub values: Vec<Value>,
}

/// What a page shows now.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PageEvent {
    #[serde(rename = "type")]
    kind: &'static str,
    key: String,
    layout: Option<Box<RawValue>>,
    redirect: Option<Box<RawValue>>,
    /// The last lines that a hosted page logged.
    logs: Vec<LogDetail>,
    /// The host is gone.
    is_over: bool,
}

impl PageEvent {
    pub fn of(key: &str, shown: &Shown) -> PageEvent {
        PageEvent {
            kind: "page",
            key: key.to_owned(),
            layout: shown.layout.as_deref().map(raw),
            redirect: shown.redirect.as_deref().map(raw),
            logs: shown.logs.iter().enumerate().map(|(index, log)| LogDetail::of(index, log)).collect(),
            is_over: shown.is_over,
        }
    }
}
