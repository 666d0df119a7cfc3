//! A page of a few words, with the dashboard's colours and without any script.

use std::fmt::Display;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// Served as `/page/notice.css`.
pub const STYLE: &str = concat!(include_str!("../../../dashboard/src/style/tokens.css"), include_str!("notice.css"));
const MARK: &str = include_str!("../../../dashboard/src/style/everfold.svg");

/// A card in the middle of the page. `body` is HTML.
pub fn page(status: StatusCode, title: &str, body: impl Display) -> Response {
    whole(status, title, format_args!("<main>{body}</main>"))
}

/// A list from the top of the page. `body` is HTML.
pub fn list(title: &str, body: impl Display) -> Response {
    whole(StatusCode::OK, title, format_args!("<main class=list>{body}</main>"))
}

/// Nothing but the style is fetched, nothing framed or kept, and no address that leads here is told to others.
fn whole(status: StatusCode, title: &str, main: impl Display) -> Response {
    const POLICY: &str =
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <meta name=color-scheme content=\"light dark\"><title>{title} · Everfold</title>\
         <link rel=stylesheet href=\"/page/notice.css\"><body>\
         <header><a href=\"/\"><span aria-hidden=true>{MARK}</span>Everfold</a></header>{main}</body></html>\n"
    );
    let mut response = (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
