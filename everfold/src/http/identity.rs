//! Who is calling: access tokens, made and read in one place.

use axum::{
    body::Bytes,
    extract::{FromRequestParts, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rules::{
    account::{ACCESS_MS, Refresh},
    record::LaneId,
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};

use super::{Site, problem::Problem, wire};

const ISSUER: &str = "everfold";
const COOKIE: &str = "everfold";

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    iat: u64,
    exp: u64,
}

/// The account that a call comes from.
#[derive(Clone, Copy, Debug)]
pub struct Caller(pub LaneId);

impl FromRequestParts<Site> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        let token = token_of(&parts.headers).ok_or(Refusal::IDENTITY_MISSING)?;
        let account = read(site, token, true).ok_or(Refusal::IDENTITY_INVALID)?;
        Ok(Caller(account))
    }
}

/// `Authorization: JWT`, `Authorization: Bearer JWT`, or the dashboard's cookie.
fn token_of(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = value.to_str().ok()?.trim();
        return Some(value.strip_prefix("Bearer ").unwrap_or(value).trim());
    }
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

fn read(site: &Site, token: &str, must_be_fresh: bool) -> Option<LaneId> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["sub", "iss", "exp"]);
    validation.set_issuer(&[ISSUER]);
    validation.validate_exp = must_be_fresh;
    validation.leeway = 5;
    let key = DecodingKey::from_secret(site.vault.access_key());
    let token = jsonwebtoken::decode::<Claims>(token, &key, &validation).ok()?;
    wire::lane_of(&token.claims.sub)
}

fn tokens(site: &Site, refresh: Refresh) -> Result<wire::Tokens, Problem> {
    let now = site.engine.now().0;
    let claims = Claims {
        sub: wire::id_of(refresh.account),
        iss: ISSUER.to_owned(),
        iat: now / 1000,
        exp: (now + ACCESS_MS) / 1000,
    };
    let key = EncodingKey::from_secret(site.vault.access_key());
    let jwt = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(|error| {
        tracing::error!(%error, "an access token could not be signed");
        Refusal::FAULT
    })?;
    Ok(wire::Tokens { jwt, refresh_token: site.vault.refresh_token(refresh) })
}

fn signed_in(status: StatusCode, tokens: wire::Tokens) -> Response {
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}", tokens.jwt, ACCESS_MS / 1000);
    (status, [(header::SET_COOKIE, cookie)], axum::Json(tokens)).into_response()
}

/// `POST /api/auth/guest-user`
pub async fn guest(State(site): State<Site>) -> Result<Response, Problem> {
    let refresh = site.engine.make_guest().await?;
    Ok(signed_in(StatusCode::CREATED, tokens(&site, refresh)?))
}

/// `POST /api/auth/refresh-token`
pub async fn refresh(State(site): State<Site>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let caller = token_of(&headers).and_then(|token| read(&site, token, false)).ok_or(Refusal::IDENTITY_MISSING)?;
    let body: wire::RefreshToken = wire::body_of(&body)?;
    let named = site.vault.open_refresh_token(&body.token).filter(|named| named.account == caller);
    let refresh = site.engine.refresh(named.ok_or(Refusal::TOKEN_INVALID)?).await?;
    Ok(signed_in(StatusCode::OK, tokens(&site, refresh)?))
}

/// `GET /api/auth/me`
pub async fn me(State(site): State<Site>, Caller(account): Caller) -> Result<Response, Problem> {
    let account = site.engine.account(account).await?.ok_or(Refusal::IDENTITY_INVALID)?;
    let workflow_state = if account.email.is_some() { "user" } else { "guest" };
    let me = wire::Me { id: wire::id_of(account.lane), email: account.email, workflow_state };
    Ok(axum::Json(me).into_response())
}
