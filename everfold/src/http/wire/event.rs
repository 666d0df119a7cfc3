//! Frames of the WebSockets.

use engine::{follow::View, replay::Moment};
use rules::record::{At, LaneId};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    id_of, raw,
    request::{ErrorDetail, error_of},
    request_id, sha256,
    version::Replay,
};

/// A frame of `/state-events`.
#[derive(Serialize)]
pub struct StateEvent {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub seq: u64,
    pub state: Box<RawValue>,
}

/// A frame of `/hook-events`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum HookEvent {
    NewRequest {
        hook_id: String,
        request: RequestEvent,
    },
    BulkUpdate {
        hook_id: String,
    },
    Replay {
        hook_id: String,
        #[serde(flatten)]
        replay: Replay,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestEvent {
    id: String,
    seq: u64,
    /// `null` where nothing is folded yet.
    state: Option<Box<RawValue>>,
    /// SHA-256 of the state's JSON text, in hexadecimal digits.
    state_hash: Option<String>,
    /// SHA-256 of the raw body.
    body_hash: String,
    created_at: u64,
    error: Option<ErrorDetail>,
}

impl HookEvent {
    pub fn request(hook: LaneId, moment: &Moment) -> HookEvent {
        let request = &moment.request;
        let request = RequestEvent {
            id: request_id(request.id),
            seq: request.seq,
            state: moment.state.as_ref().map(|state| raw(state)),
            state_hash: moment.state.as_ref().map(|state| sha256(state.as_bytes())),
            body_hash: sha256(&request.body.0),
            created_at: request.created_at_ms,
            error: error_of(moment),
        };
        HookEvent::NewRequest { hook_id: id_of(hook), request }
    }

    pub fn bulk(hook: LaneId) -> HookEvent {
        HookEvent::BulkUpdate { hook_id: id_of(hook) }
    }

    pub fn replay(view: &View, now: At) -> HookEvent {
        HookEvent::Replay { hook_id: id_of(view.lane), replay: Replay::of(view, now) }
    }
}
