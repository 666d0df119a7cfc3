//! Notices, in the shapes of the package.

use rules::inbox::{Delivery, Method, Notice};
use serde::{Deserialize, Serialize};

use super::request_id;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notified {
    pub transaction_id: Option<String>,
    pub message: String,
    pub title: Option<String>,
    #[serde(default)]
    pub delivery_instructions: Vec<DeliveryInstruction>,
    pub idempotency_key: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub struct DeliveryInstruction {
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<DeliveryMethod>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum DeliveryMethod {
    Email,
    Slack,
}

impl From<DeliveryInstruction> for Delivery {
    fn from(DeliveryInstruction { to, method }: DeliveryInstruction) -> Delivery {
        let method = method.map(|method| match method {
            DeliveryMethod::Email => Method::Email,
            DeliveryMethod::Slack => Method::Slack,
        });
        Delivery { to, method }
    }
}

impl From<Delivery> for DeliveryInstruction {
    fn from(Delivery { to, method }: Delivery) -> DeliveryInstruction {
        let method = method.map(|method| match method {
            Method::Email => DeliveryMethod::Email,
            Method::Slack => DeliveryMethod::Slack,
        });
        DeliveryInstruction { to, method }
    }
}

#[derive(Serialize)]
pub struct NotifiedReply {
    #[serde(rename = "type")]
    pub kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NoticeListed {
    id: String,
    run_id: Option<String>,
    title: Option<String>,
    message: String,
    deliveries: Vec<DeliveryInstruction>,
    created_at: u64,
}

impl NoticeListed {
    pub fn of(notice: Notice) -> NoticeListed {
        NoticeListed {
            id: request_id(notice.id),
            run_id: notice.run,
            title: notice.title,
            message: notice.message,
            deliveries: notice.deliveries.into_iter().map(DeliveryInstruction::from).collect(),
            created_at: notice.created_at.0,
        }
    }
}
