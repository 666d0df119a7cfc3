//! Who is calling: access tokens, made and read in one place.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{AppendHeaders, IntoResponse, Response},
};
use engine::vault::ACCOUNT_KEY_PREFIX;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rules::{
    account::{ACCESS_MS, Account, KeyKind, REFRESH_MS, Refresh},
    email::Email,
    record::LaneId,
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};

use super::{Site, problem::Problem, visitor::Visitor, wire};

const ISSUER: &str = "everfold";
const COOKIE: &str = "everfold";
/// A browser's refresh token: by then its access token is long gone. Only the calls that take it are sent it.
const REFRESH_COOKIE: &str = "everfold_refresh";

/// Whether a `name=value` is one of those.
pub fn is_cookie_of_ours(cookie: &str) -> bool {
    let name = cookie.split('=').next().unwrap_or_default().trim();
    name == COOKIE || name == REFRESH_COOKIE
}

/// Every one of them is required.
#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    iat: u64,
    exp: u64,
    /// The sign-in that it belongs to: when that ends, so does the token.
    sid: String,
}

/// The account that a call comes from, and what showed it.
pub struct Identity {
    pub account: Account,
    proof: Proof,
}

enum Proof {
    Session { family: u128 },
    Key,
}

/// The account alone, for whom that is enough.
#[derive(Clone, Copy, Debug)]
pub struct Caller(pub LaneId);

/// A person who is signed in, if only as a guest. Programs with a key are not.
pub struct Session {
    pub account: Account,
    pub family: u128,
}

impl FromRequestParts<Site> for Identity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        Ok(identify(site, &parts.headers).await?)
    }
}

impl FromRequestParts<Site> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        Ok(Caller(identify(site, &parts.headers).await?.account.lane))
    }
}

impl FromRequestParts<Site> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        Ok(identify(site, &parts.headers).await?.session()?)
    }
}

impl Identity {
    /// Signed in, if only as a guest, and not a program with a key.
    pub fn is_person(&self) -> bool {
        matches!(self.proof, Proof::Session { .. })
    }

    pub fn session(self) -> Result<Session, Refusal> {
        match self.proof {
            Proof::Session { family } => Ok(Session { account: self.account, family }),
            Proof::Key => Err(Refusal::SESSION_NEEDED),
        }
    }
}

/// Reads the account each time: a sign-in that was ended, a guest that was merged and a key that was revoked are
/// nobody's at once.
pub async fn identify(site: &Site, headers: &HeaderMap) -> Result<Identity, Refusal> {
    let token = token_of(headers).ok_or(Refusal::IDENTITY_MISSING)?;
    if token.starts_with(ACCOUNT_KEY_PREFIX) {
        let holder = site.engine.key_holder(token).await?.ok_or(Refusal::IDENTITY_INVALID)?;
        return match holder.kind {
            KeyKind::Api => Ok(Identity { account: holder.account, proof: Proof::Key }),
            KeyKind::Worker => Err(Refusal::KEY_FOR_WORKERS),
        };
    }
    let (account, family) = signed_in_by(site, token).await?.ok_or(Refusal::IDENTITY_INVALID)?;
    Ok(Identity { account, proof: Proof::Session { family } })
}

/// Whose worker it is, by any key of an account or a sign-in; and whether a person's browser it is.
pub async fn worker_of(site: &Site, headers: &HeaderMap) -> Result<(LaneId, bool), Refusal> {
    let token = token_of(headers).ok_or(Refusal::IDENTITY_MISSING)?;
    if token.starts_with(ACCOUNT_KEY_PREFIX) {
        let holder = site.engine.key_holder(token).await?.ok_or(Refusal::IDENTITY_INVALID)?;
        return Ok((holder.account.lane, false));
    }
    let (account, _) = signed_in_by(site, token).await?.ok_or(Refusal::IDENTITY_INVALID)?;
    Ok((account.lane, true))
}

/// Headers in which `?key=` stands as if it had been sent with them: what opens a WebSocket may not be able to.
pub fn with_key(mut headers: HeaderMap, query: Option<&str>) -> HeaderMap {
    let key = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).find(|(name, _)| name == "key");
    if let Some(value) = key.and_then(|(_, key)| HeaderValue::from_str(&format!("Bearer {key}")).ok()) {
        headers.insert(header::AUTHORIZATION, value);
    }
    headers
}

/// Whose sign-in an access token shows, if it still lasts.
async fn signed_in_by(site: &Site, token: &str) -> Result<Option<(Account, u128)>, Refusal> {
    let Some((account, family)) = read(site, token, true) else { return Ok(None) };
    let account = site.engine.account(account).await?.filter(|account| account.is_signed_in(family));
    Ok(account.map(|account| (account, family)))
}

/// The guest that a call comes from, where it may come from anybody.
pub async fn guest_of(site: &Site, headers: &HeaderMap) -> Result<Option<Account>, Refusal> {
    match identify(site, headers).await.and_then(Identity::session) {
        Ok(session) => Ok(Some(session.account).filter(Account::is_guest)),
        Err(refusal) if refusal.status >= 500 => Err(refusal),
        Err(_) => Ok(None),
    }
}

/// `Authorization: JWT`, `Authorization: Bearer JWT`, or the dashboard's cookie.
fn token_of(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = value.to_str().ok()?.trim();
        return Some(value.strip_prefix("Bearer ").unwrap_or(value).trim());
    }
    cookie_of(headers, COOKIE)
}

fn cookie_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='))
}

fn read(site: &Site, token: &str, must_be_fresh: bool) -> Option<(LaneId, u128)> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["sub", "iss", "exp"]);
    validation.set_issuer(&[ISSUER]);
    validation.validate_exp = must_be_fresh;
    validation.leeway = 5;
    let key = DecodingKey::from_secret(site.vault.access_key());
    let token = jsonwebtoken::decode::<Claims>(token, &key, &validation).ok()?;
    Some((wire::lane_of(&token.claims.sub)?, wire::lane_of(&token.claims.sid)?.0))
}

fn tokens(site: &Site, refresh: Refresh) -> Result<wire::Tokens, Problem> {
    let now = site.engine.now().0;
    let claims = Claims {
        sub: wire::id_of(refresh.account),
        iss: ISSUER.to_owned(),
        iat: now / 1000,
        exp: (now + ACCESS_MS) / 1000,
        sid: wire::request_id(refresh.family),
    };
    let key = EncodingKey::from_secret(site.vault.access_key());
    let jwt = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(|error| {
        tracing::error!(%error, "an access token could not be signed");
        Refusal::FAULT
    })?;
    Ok(wire::Tokens { jwt, refresh_token: site.vault.refresh_token(refresh) })
}

/// The pair of a sign-in, and the cookies that carry it in a browser.
pub fn signed_in(site: &Site, status: StatusCode, refresh: Refresh) -> Result<Response, Problem> {
    let tokens = tokens(site, refresh)?;
    Ok((status, cookies(site, &tokens), Json(tokens)).into_response())
}

/// The cookies of a sign-in alone, on the way to another page.
pub fn signed_in_at(site: &Site, place: &'static str, refresh: Refresh) -> Result<Response, Problem> {
    let cookies = cookies(site, &tokens(site, refresh)?);
    Ok((StatusCode::SEE_OTHER, cookies, [(header::LOCATION, place)]).into_response())
}

type Cookies = AppendHeaders<[(HeaderName, String); 2]>;

fn cookies(site: &Site, tokens: &wire::Tokens) -> Cookies {
    AppendHeaders([
        (header::SET_COOKIE, access_cookie(site, &tokens.jwt, ACCESS_MS)),
        (header::SET_COOKIE, refresh_cookie(site, &tokens.refresh_token, REFRESH_MS)),
    ])
}

fn no_cookies(site: &Site) -> Cookies {
    AppendHeaders([(header::SET_COOKIE, access_cookie(site, "", 0)), (header::SET_COOKIE, refresh_cookie(site, "", 0))])
}

/// Lax: who follows a link to a page of ours is still who they are.
fn access_cookie(site: &Site, jwt: &str, ms: u64) -> String {
    format!("{COOKIE}={jwt}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{}", ms / 1000, secure(site))
}

/// Strict: only scripts of our own pages send it.
fn refresh_cookie(site: &Site, token: &str, ms: u64) -> String {
    let seconds = ms / 1000;
    format!("{REFRESH_COOKIE}={token}; Path=/api/auth; HttpOnly; SameSite=Strict; Max-Age={seconds}{}", secure(site))
}

fn secure(site: &Site) -> &'static str {
    if site.outside.origin.starts_with("https://") { "; Secure" } else { "" }
}

/// The access cookie anew, for a browser that could renew it anyway. A guest's must last as long as the link that the
/// guest asks for now: whoever followed it without would leave all behind that the guest has.
pub fn prolonged(site: &Site, headers: &HeaderMap, session: &Session) -> Option<Result<String, Problem>> {
    let named = site.vault.open_refresh_token(cookie_of(headers, REFRESH_COOKIE)?)?;
    let is_same = named.account == session.account.lane && named.family == session.family;
    is_same.then(|| tokens(site, named).map(|tokens| access_cookie(site, &tokens.jwt, ACCESS_MS)))
}

/// `POST /api/auth/guest-user`
pub async fn guest(State(site): State<Site>, visitor: Visitor) -> Result<Response, Problem> {
    site.outside.begin(visitor, site.engine.now())?;
    signed_in(&site, StatusCode::CREATED, site.engine.make_guest().await?)
}

/// `POST /api/auth/session`: who this browser is, by its cookies. They are renewed where they can be; whoever is nobody
/// becomes a guest. On a developer's own machine, the developer.
pub async fn session(State(site): State<Site>, visitor: Visitor, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(token) = cookie_of(&headers, COOKIE)
        && let Some((account, _)) = signed_in_by(&site, token).await?
    {
        return Ok(me_of(&site, &account).await?.into_response());
    }
    let refresh = match refreshed(&site, &headers).await {
        Ok(refresh) => refresh,
        Err(refusal) if refusal.status == 401 => newcomer(&site, visitor, &headers).await?,
        Err(refusal) => return Err(refusal.into()),
    };
    let account = site.engine.account(refresh.account).await?.ok_or(Refusal::FAULT)?;
    Ok((cookies(&site, &tokens(&site, refresh)?), me_of(&site, &account).await?).into_response())
}

async fn newcomer(site: &Site, visitor: Visitor, headers: &HeaderMap) -> Result<Refresh, Refusal> {
    if let Some(developer) = site.outside.developer(visitor, headers)
        && let Ok(refresh) = site.engine.enter(developer).await
    {
        return Ok(refresh);
    }
    site.outside.begin(visitor, site.engine.now())?;
    site.engine.make_guest().await
}

/// `POST /api/auth/refresh-token`
pub async fn refresh(State(site): State<Site>, headers: HeaderMap, body: wire::Body) -> Result<Response, Problem> {
    if body.is_empty() && !headers.contains_key(header::AUTHORIZATION) {
        return refresh_browser(&site, &headers).await;
    }
    let token = token_of(&headers).and_then(|token| read(&site, token, false));
    let (account, family) = token.ok_or(Refusal::IDENTITY_MISSING)?;
    let body: wire::RefreshToken = wire::body_of(&body)?;
    let named = site.vault.open_refresh_token(&body.token);
    let named = named.filter(|named| named.account == account && named.family == family);
    let refresh = site.engine.refresh(named.ok_or(Refusal::TOKEN_INVALID)?).await?;
    signed_in(&site, StatusCode::OK, refresh)
}

/// The reply does not name what scripts must not see. Two tabs at once get the same pair (`REFRESH_GRACE_MS`).
async fn refresh_browser(site: &Site, headers: &HeaderMap) -> Result<Response, Problem> {
    let refresh = refreshed(site, headers).await?;
    Ok((cookies(site, &tokens(site, refresh)?), Json(wire::Done {})).into_response())
}

/// By the cookie alone: who has the refresh token is who it says. One that is good for nothing is no identity.
async fn refreshed(site: &Site, headers: &HeaderMap) -> Result<Refresh, Refusal> {
    let token = cookie_of(headers, REFRESH_COOKIE).ok_or(Refusal::IDENTITY_MISSING)?;
    let named = site.vault.open_refresh_token(token).ok_or(Refusal::IDENTITY_INVALID)?;
    let refresh = site.engine.refresh(named).await;
    refresh.map_err(|refusal| if refusal.status == 400 { Refusal::IDENTITY_INVALID } else { refusal })
}

/// `GET /api/auth/me`
pub async fn me(State(site): State<Site>, Identity { account, .. }: Identity) -> Result<Json<wire::Me>, Problem> {
    me_of(&site, &account).await
}

async fn me_of(site: &Site, account: &Account) -> Result<Json<wire::Me>, Problem> {
    let email = account.email().cloned().map(Email::into);
    let workflow_state = if account.is_guest() { "guest" } else { "user" };
    let is_owner = site.engine.settings().await?.of(account.lane).is_ok();
    Ok(Json(wire::Me { id: wire::id_of(account.lane), email, workflow_state, is_owner }))
}

/// `POST /api/auth/signout`
pub async fn sign_out(State(site): State<Site>, session: Session) -> Result<Response, Problem> {
    site.engine.sign_out(session.account, session.family).await?;
    Ok((no_cookies(&site), Json(wire::Done {})).into_response())
}
