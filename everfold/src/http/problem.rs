//! Every error as an RFC 9457 problem document.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rules::refusal::Refusal;
use serde::Serialize;

use super::wire::WrongField;

/// With an answer: another node has what was asked for, or will have it.
#[derive(Clone, Copy)]
pub struct NotHere;

/// A refusal on its way out.
#[derive(Debug)]
pub struct Problem(pub Refusal);

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Problem(refusal)
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    hint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<WrongField>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        with_fields(self.0, Vec::new())
    }
}

/// A refusal on its way to the package, which knows an error by its `type` and prints its `message`.
pub struct HostProblem(Refusal);

impl From<Refusal> for HostProblem {
    fn from(refusal: Refusal) -> Self {
        HostProblem(refusal)
    }
}

impl From<Problem> for HostProblem {
    fn from(Problem(refusal): Problem) -> Self {
        HostProblem(refusal)
    }
}

impl IntoResponse for HostProblem {
    fn into_response(self) -> Response {
        let message = format!("{} {}", self.0.detail, self.0.hint);
        written(self.0, "error".to_owned(), Vec::new(), Some(message))
    }
}

/// A refusal of a form, and what is wrong with which of its fields.
pub fn with_fields(refusal: Refusal, fields: Vec<WrongField>) -> Response {
    let kind = format!("urn:everfold:{}", refusal.code);
    written(refusal, kind, fields, None)
}

fn written(refusal: Refusal, kind: String, fields: Vec<WrongField>, message: Option<String>) -> Response {
    metrics::counter!("everfold_refusals_total", "code" => refusal.code).increment(1);
    let document = Document {
        kind,
        title: refusal.title,
        status: refusal.status,
        detail: &refusal.detail,
        code: refusal.code,
        hint: &refusal.hint,
        line: refusal.place.map(|(line, _)| line),
        column: refusal.place.map(|(_, column)| column),
        fields,
        message,
    };
    let body = serde_json::to_string(&document).expect("a problem is plain data");
    let status = StatusCode::from_u16(refusal.status).expect("a refusal has a status that HTTP knows");
    let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
    if refusal.code == Refusal::OWNER_MISSING.code {
        response.extensions_mut().insert(NotHere);
    }
    if let Some(seconds) = refusal.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
