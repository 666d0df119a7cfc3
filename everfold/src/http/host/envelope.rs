//! The envelope around what a host and the server say to each other: whatever is sent is acknowledged.

use serde::{Deserialize, Serialize};

/// What came in a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Acknowledged(String),
    Message { id: String, data: String },
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    kind: Kind,
    data: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Kind {
    Ack,
    Message,
}

#[derive(Serialize)]
struct Sent<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
}

/// `None` for what is no envelope.
pub fn read(frame: &str) -> Option<Heard> {
    match serde_json::from_str(frame).ok()? {
        Envelope { id, kind: Kind::Ack, .. } => Some(Heard::Acknowledged(id)),
        Envelope { id, kind: Kind::Message, data } => Some(Heard::Message { id, data: data? }),
    }
}

pub fn message(id: &str, data: &str) -> String {
    written(&Sent { id, kind: Kind::Message, data: Some(data) })
}

pub fn acknowledgement(id: &str) -> String {
    written(&Sent { id, kind: Kind::Ack, data: None })
}

fn written(sent: &Sent) -> String {
    serde_json::to_string(sent).expect("an envelope is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_as_the_package_writes_it_and_anything_else_is_none() {
        let message = |id: &str, data: &str| Some(Heard::Message { id: id.to_owned(), data: data.to_owned() });
        assert_eq!(read(r#"{"type":"ACK","id":"8cf6"}"#), Some(Heard::Acknowledged("8cf6".to_owned())));
        assert_eq!(read(r#"{"id":"6a52","data":"{\"id\":\"1\"}","type":"MESSAGE"}"#), message("6a52", r#"{"id":"1"}"#));
        assert_eq!(read(&super::message("x", "a\"b")), message("x", "a\"b"));
        assert_eq!(acknowledgement("x"), r#"{"id":"x","type":"ACK"}"#);
        for other in ["", "ping", "[]", "{}", r#"{"id":1,"type":"ACK"}"#, r#"{"id":"1","type":"MESSAGE","data":{}}"#] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
