//! What a write is answered with.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use rules::hook::Receipt;
use serde::Serialize;

use super::request_id;

#[derive(Serialize)]
pub struct Accepted {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

impl Accepted {
    pub fn receipt(receipt: &Receipt) -> Accepted {
        Accepted { id: request_id(receipt.id), seq: Some(receipt.seq.0), hash: Some(receipt.hash.to_string()) }
    }

    /// What a paused key answers: nothing was kept.
    pub fn swallowed(id: u128) -> Accepted {
        Accepted { id: request_id(id), seq: None, hash: None }
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self)).into_response()
    }
}

#[derive(Serialize)]
pub struct Settled {
    pub settled: bool,
    pub seq: u64,
    pub status: &'static str,
}
