//! The mails of a developer's own machine, where no mail server is set.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use rules::{email::Email, refusal::Refusal};

use super::{Site, dashboard, notice, problem::Problem, state_page::escaped, visitor::Visitor, wire};
use crate::mail::{Mail, Outbox};

fn kept(site: &Site, visitor: Visitor, headers: &HeaderMap) -> Result<Vec<Mail>, Problem> {
    match &*site.outbox {
        Outbox::Development(development) if site.is_developers_own(visitor, headers) => Ok(development.kept()),
        _ => Err(Refusal::PATH_UNKNOWN.into()),
    }
}

/// `GET /api/dev/mail`: oldest first.
pub async fn list(State(site): State<Site>, visitor: Visitor, headers: HeaderMap) -> Result<Response, Problem> {
    let details = kept(&site, visitor, &headers)?.into_iter().map(|mail| {
        let Mail { to, subject, text, link, token, at } = mail;
        wire::MailDetail { to: Email::into(to), subject, text, link, token, at: at.0 }
    });
    Ok(Json(details.collect::<Vec<_>>()).into_response())
}

/// `GET /dev/mail`: newest first.
pub async fn show(State(site): State<Site>, visitor: Visitor, method: Method, headers: HeaderMap) -> Response {
    let Ok(kept) = kept(&site, visitor, &headers) else { return dashboard::not_found(&site, &method, &headers) };
    if kept.is_empty() {
        const NONE: &str = "<h1>No mail yet</h1><p>What a mail server would be given is shown here: a link, as soon as \
            somebody asks to sign in.</p>";
        return notice::page(StatusCode::OK, "Mail", NONE);
    }
    let mut body =
        "<h1>Mail</h1><p>No mail server is set, so these were not sent. The newest comes first.</p>".to_owned();
    for mail in kept.iter().rev() {
        let at = Timestamp::from_millisecond(mail.at.0 as i64).unwrap_or_default();
        let [to, subject, text, link] = [mail.to.as_str(), &mail.subject, &mail.text, &mail.link].map(escaped);
        body.push_str(&format!(
            "<article><h2>{subject}</h2><p><time>{at:.0}</time> to {to}</p><pre>{text}</pre><p><a href=\"{link}\">Open the link</a></p></article>"
        ));
    }
    notice::list("Mail", &body)
}
