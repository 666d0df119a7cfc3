//! The queue, in the shapes of the package.

use rules::queue::Item;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::{raw, request_id};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enqueued {
    pub slug: String,
    pub assignee: Option<String>,
    pub params: Option<Map<String, Value>>,
    pub params_meta: Option<Value>,
}

#[derive(Serialize)]
pub struct EnqueuedReply {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub id: String,
}

#[derive(Deserialize)]
pub struct Dequeued {
    pub id: String,
}

/// What is not there is left out: the package takes no `null`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DequeuedReply {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    assignee: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params_meta: Option<Box<RawValue>>,
}

impl DequeuedReply {
    pub fn of(item: Item) -> DequeuedReply {
        DequeuedReply {
            kind: "success",
            id: request_id(item.id),
            assignee: item.assignee.map(String::from),
            params: item.params.as_deref().map(raw),
            params_meta: item.params_meta.as_deref().map(raw),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueuedListed {
    id: String,
    slug: String,
    name: String,
    assignee: Option<String>,
    params: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params_meta: Option<Box<RawValue>>,
    created_at: u64,
}

impl QueuedListed {
    pub fn of(name: Option<String>, item: Item) -> QueuedListed {
        QueuedListed {
            id: request_id(item.id),
            name: name.unwrap_or_else(|| item.slug.clone()),
            slug: item.slug,
            assignee: item.assignee.map(String::from),
            params: item.params.as_deref().map(raw),
            params_meta: item.params_meta.as_deref().map(raw),
            created_at: item.created_at.0,
        }
    }
}
