//! What a function in Rust sees: the request, and the ways to answer it.

use std::{collections::HashMap, sync::Arc};

use serde::{de::DeserializeOwned, Serialize};
use serde_json::{Map, Value};

/// Takes an entry, under `logs` or `errors`.
pub type Log = dyn Fn(&'static str, String) + Send + Sync;

/// One run of a function.
#[derive(Clone)]
pub struct Context {
    pub req: ContextRequest,
    pub res: ContextResponse,
    log: Arc<Log>,
}

impl Context {
    pub fn new(req: ContextRequest, log: Arc<Log>) -> Context {
        Context { req, res: ContextResponse, log }
    }

    pub fn log<T: LogMessage>(&self, message: T) {
        (self.log)("logs", message.to_log_string());
    }

    pub fn log_multiple(&self, messages: Vec<String>) {
        (self.log)("logs", messages.join(" "));
    }

    pub fn error<T: LogMessage>(&self, message: T) {
        (self.log)("errors", message.to_log_string());
    }

    pub fn error_multiple(&self, messages: Vec<String>) {
        (self.log)("errors", messages.join(" "));
    }
}

/// What can be logged.
pub trait LogMessage {
    fn to_log_string(&self) -> String;
}

macro_rules! is_logged_as_shown {
    ($($type:ty),*) => {
        $(impl LogMessage for $type {
            fn to_log_string(&self) -> String {
                self.to_string()
            }
        })*
    };
}

is_logged_as_shown!(&str, String, &String, bool, char, i32, i64, u16, u32, u64, usize, f32, f64, Value);

impl LogMessage for Vec<&str> {
    fn to_log_string(&self) -> String {
        Value::from(self.clone()).to_string()
    }
}

impl LogMessage for Vec<String> {
    fn to_log_string(&self) -> String {
        Value::from(self.clone()).to_string()
    }
}

#[derive(Clone, Debug, Default)]
pub struct ContextRequest {
    pub headers: HashMap<String, String>,
    pub method: String,
    pub url: String,
    pub scheme: String,
    pub host: String,
    pub port: u16,
    pub path: String,
    pub query_string: String,
    pub query: HashMap<String, String>,
    body: Vec<u8>,
}

impl ContextRequest {
    pub fn set_body_binary(&mut self, body: Vec<u8>) {
        self.body = body;
    }

    pub fn body_binary(&self) -> Vec<u8> {
        self.body.clone()
    }

    pub fn body_raw(&self) -> Vec<u8> {
        self.body_binary()
    }

    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn body_json<T: DeserializeOwned>(&mut self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// What the content type says it is; an empty object where that is JSON and the body is not.
    pub fn body(&mut self) -> Value {
        let content_type = self.headers.get("content-type").map(|value| value.to_lowercase()).unwrap_or_default();
        match content_type.starts_with("application/json") {
            true => self.body_json().unwrap_or(Value::Object(Map::new())),
            false => Value::String(self.body_text()),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Response {
    pub status_code: u16,
    pub body: Vec<u8>,
    pub headers: HashMap<String, String>,
}

impl Response {
    pub fn new() -> Response {
        Response { status_code: 200, body: vec![], headers: HashMap::new() }
    }
}

impl Default for Response {
    fn default() -> Response {
        Response::new()
    }
}

type Headers = Option<HashMap<String, String>>;

#[derive(Clone, Debug, Default)]
pub struct ContextResponse;

impl ContextResponse {
    pub fn text<S: Into<String>>(&self, text: S, status_code: Option<u16>, headers: Headers) -> Response {
        self.binary(text.into().into_bytes(), status_code, headers)
    }

    pub fn json<T: Serialize>(&self, value: T, status_code: Option<u16>, headers: Headers) -> Response {
        let body = serde_json::to_vec(&value).expect("a value that can be written as JSON");
        let mut response = self.binary(body, status_code, headers);
        response.headers.insert("content-type".into(), "application/json".into());
        response
    }

    pub fn binary(&self, body: Vec<u8>, status_code: Option<u16>, headers: Headers) -> Response {
        Response { status_code: status_code.unwrap_or(200), body, headers: headers.unwrap_or_default() }
    }

    pub fn empty(&self) -> Response {
        self.binary(vec![], Some(204), None)
    }

    pub fn redirect<S: Into<String>>(&self, url: S, status_code: Option<u16>, headers: Headers) -> Response {
        let mut response = self.binary(vec![], status_code.or(Some(301)), headers);
        response.headers.insert("location".into(), url.into());
        response
    }

    pub fn send<S: Into<String>>(&self, text: S) -> Response {
        self.text(text, None, None)
    }
}
