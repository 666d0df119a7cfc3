//! Signing in by a link: it is asked for, shown as a page with one button, and followed.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use rules::{email::Email, refusal::Refusal};

use super::{
    Site,
    identity::{self, guest_of, identify},
    notice,
    problem::Problem,
    state_page::escaped,
    visitor::Visitor,
    wire,
};
use crate::mail::{Mail, Outbox};

/// `POST /api/auth/signin`: the same answer for any address, whether it has an account, and gets a mail, or not.
pub async fn ask(
    State(site): State<Site>,
    visitor: Visitor,
    headers: HeaderMap,
    body: wire::Body,
) -> Result<Response, Problem> {
    let session = match identify(&site, &headers).await {
        Ok(identity) => Some(identity.session()?),
        // Where there are no guests, nobody has an identity before they sign in.
        Err(refusal) if refusal.status == 401 && site.engine.settings().await?.closed_to_guests => None,
        Err(refusal) => return Err(refusal.into()),
    };
    if session.as_ref().is_some_and(|session| !session.account.is_guest()) {
        return Err(Refusal::SIGNED_IN_ALREADY.into());
    }
    let wire::AskForLink { email } = wire::body_of(&body)?;
    let email = Email::parse(&email)?;
    if let Outbox::Nowhere = *site.outbox {
        return Err(Refusal::MAIL_UNSENT.into());
    }
    let now = site.engine.now();
    site.outside.begin(visitor, now)?;
    let guest = session.as_ref().map(|session| session.account.lane);
    if let Some(token) = site.engine.ask_for_link(email.clone(), guest).await? {
        site.outbox.send(Mail::sign_in(email, &site.outside.origin, token, now));
    }
    let cookie = session.and_then(|session| identity::prolonged(&site, &headers, &session)).transpose()?;
    Ok((AppendHeaders(cookie.map(|cookie| (header::SET_COOKIE, cookie))), Json(wire::Done {})).into_response())
}

/// `POST /api/auth/validate-signin-token`
pub async fn follow(State(site): State<Site>, headers: HeaderMap, body: wire::Body) -> Result<Response, Problem> {
    let wire::FollowLink { token } = wire::body_of(&body)?;
    let caller = guest_of(&site, &headers).await?;
    let refresh = site.engine.sign_in(&token, caller.as_ref()).await?;
    identity::signed_in(&site, StatusCode::OK, refresh)
}

/// `GET /signin/TOKEN`: one button. A mail scanner that opens the link uses up nothing, and the page says nothing of
/// the token, which only the address holds.
pub async fn show() -> Response {
    const BODY: &str = "<h1>Sign in to Everfold</h1>\
        <p>One press, and this browser is signed in.</p><form method=post><button>Sign in</button></form>";
    notice::page(StatusCode::OK, "Sign in", BODY)
}

/// `POST /signin/TOKEN`: the button.
pub async fn press(State(site): State<Site>, Path(token): Path<String>, headers: HeaderMap) -> Response {
    match enter(&site, &token, &headers).await {
        Ok(response) => response,
        Err(Problem(refusal)) => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let detail = escaped(&refusal.detail);
            let onward = "<p><a href=\"/\">Go on, and ask for another</a></p>";
            notice::page(status, "Not signed in", format_args!("<h1>Not signed in</h1><p>{detail}</p>{onward}"))
        }
    }
}

async fn enter(site: &Site, token: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let caller = guest_of(site, headers).await?;
    let refresh = site.engine.sign_in(token, caller.as_ref()).await?;
    Ok(identity::signed_in_at(site, "/", refresh)?.into_response())
}
