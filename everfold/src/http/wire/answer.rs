//! What an owner's code answers, on its way out.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use rules::call;

/// JSON that is text already.
pub fn state(json: &str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json.to_owned()).into_response()
}

/// Names the prefix of the log that a read reflects.
pub const X_SEQ: header::HeaderName = header::HeaderName::from_static("x-seq");

/// Headers that decide over the connection, or over the whole origin: its cookies, its storage, how it is reached.
const OURS: [&str; 11] = [
    "alt-svc",
    "clear-site-data",
    "connection",
    "content-length",
    "nel",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
];

/// What a responder or a query returned. A header that HTTP cannot carry is left out, and so are those that are ours.
pub fn response(response: call::Response) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in &response.headers {
        let name: Result<header::HeaderName, _> = name.parse();
        if let (Ok(name), Ok(value)) = (name, value.parse())
            && !OURS.contains(&name.as_str())
        {
            headers.append(name, value);
        }
    }
    // What an owner's code returns is never the dashboard's page, whatever it says it is.
    headers.insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static("sandbox"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, headers, response.body.0).into_response()
}
