//! Pages of connected hosts.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::raw;

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
    /// The host is gone.
    is_over: bool,
}

impl PageEvent {
    pub fn of(key: &str, layout: Option<&str>, redirect: Option<&str>, is_over: bool) -> PageEvent {
        PageEvent { kind: "page", key: key.to_owned(), layout: layout.map(raw), redirect: redirect.map(raw), is_over }
    }
}
