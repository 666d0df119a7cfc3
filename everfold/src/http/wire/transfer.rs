//! The lines of an export.

use std::collections::BTreeMap;

use rules::call;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    request::{body_shown, headers_of},
    request_id,
};

/// The first line of an export.
#[derive(Serialize, Deserialize)]
pub struct ExportHead {
    pub everfold: String,
    pub format: u32,
    pub name: String,
}

/// Every other line: the record as it is kept, and what it says for those who read along.
#[derive(Serialize, Deserialize)]
pub struct ExportRecord {
    pub position: u64,
    pub hash: String,
    pub record: String,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestExported>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestExported {
    id: String,
    seq: u64,
    method: String,
    path: String,
    query_string: String,
    headers: BTreeMap<String, String>,
    body: Box<RawValue>,
    created_at: u64,
}

impl RequestExported {
    pub fn of(request: &call::Request) -> RequestExported {
        RequestExported {
            id: request_id(request.id),
            seq: request.seq,
            method: request.method.clone(),
            path: request.path.clone(),
            query_string: request.query.clone(),
            headers: headers_of(request),
            body: body_shown(request),
            created_at: request.created_at_ms,
        }
    }
}
