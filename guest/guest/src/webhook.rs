//! Whether a webhook was signed by who it says, over the raw bytes, in constant time.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac};
use rquickjs::{
    Ctx, Object, Result, Value,
    prelude::{Func, List},
};
use rules::call::{Bytes, Request};
use sha2::Sha256;

use crate::{body::octets, crypto, request};

/// How far a signature's own time may lie from the request's.
const TOLERANCE_SECONDS: i64 = 5 * 60;

pub fn install(natives: &Object<'_>) -> Result<()> {
    natives.set("verifyCurrent", Func::from(verify_current))?;
    natives.set("verifyCopy", Func::from(verify_copy))
}

/// Over the request of this run, as it arrived.
fn verify_current<'js>(ctx: Ctx<'js>, secret: String, scheme: String) -> Result<bool> {
    Ok(verify(&*request::current(&ctx)?, &secret, &scheme))
}

/// Over an object like a request, from the parts that a program still has of one.
fn verify_copy<'js>(
    ctx: Ctx<'js>,
    headers: Vec<List<(String, String)>>,
    body: Value<'js>,
    created_at_ms: f64,
    secret: String,
    scheme: String,
) -> Result<bool> {
    let request = Request {
        id: 0,
        seq: 0,
        method: String::new(),
        path: String::new(),
        query: String::new(),
        headers: headers.into_iter().map(|List((name, value))| (name, Bytes(value.into_bytes()))).collect(),
        body: Bytes(octets(&ctx, &body)?),
        created_at_ms: created_at_ms as u64,
    };
    Ok(verify(&request, &secret, &scheme))
}

fn verify(request: &Request, secret: &str, scheme: &str) -> bool {
    let verified = match scheme {
        "standard" => standard(request, secret),
        "github" => github(request, secret),
        "stripe" => stripe(request, secret),
        "slack" => slack(request, secret),
        "shopify" => shopify(request, secret),
        _ => None,
    };
    // What is missing or malformed is not verified.
    verified.unwrap_or(false)
}

/// Standard Webhooks: `v1,<base64>`, several with spaces between, over `id.timestamp.body`.
fn standard(request: &Request, secret: &str) -> Option<bool> {
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()?;
    let id = request::header(request, "webhook-id")?;
    let timestamp = timely(request, &request::header(request, "webhook-timestamp")?)?;
    let signatures = request::header(request, "webhook-signature")?;
    let candidates = signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,"));
    let mut decoded = candidates.filter_map(|candidate| BASE64_STANDARD.decode(candidate).ok());
    let pieces = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &request.body.0];
    Some(decoded.any(|candidate| matches(&key, &pieces, &candidate)))
}

/// `x-hub-signature-256: sha256=<hex>` over the body.
fn github(request: &Request, secret: &str) -> Option<bool> {
    let signature = request::header(request, "x-hub-signature-256")?;
    let candidate = from_hex(signature.strip_prefix("sha256=")?)?;
    Some(matches(secret.as_bytes(), &[&request.body.0], &candidate))
}

/// `stripe-signature: t=<seconds>,v1=<hex>[,v1=<hex>…]` over `t.body`.
fn stripe(request: &Request, secret: &str) -> Option<bool> {
    let header = request::header(request, "stripe-signature")?;
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let (_, timestamp) = parts().find(|(name, _)| *name == "t")?;
    let timestamp = timely(request, timestamp)?;
    let pieces = [timestamp.as_bytes(), b".", &request.body.0];
    let mut candidates = parts().filter(|(name, _)| *name == "v1").filter_map(|(_, hex)| from_hex(hex));
    Some(candidates.any(|candidate| matches(secret.as_bytes(), &pieces, &candidate)))
}

/// `x-slack-signature: v0=<hex>` over `v0:timestamp:body`.
fn slack(request: &Request, secret: &str) -> Option<bool> {
    let timestamp = timely(request, &request::header(request, "x-slack-request-timestamp")?)?;
    let signature = request::header(request, "x-slack-signature")?;
    let candidate = from_hex(signature.strip_prefix("v0=")?)?;
    let pieces = [b"v0:".as_slice(), timestamp.as_bytes(), b":", &request.body.0];
    Some(matches(secret.as_bytes(), &pieces, &candidate))
}

/// `x-shopify-hmac-sha256: <base64>` over the body.
fn shopify(request: &Request, secret: &str) -> Option<bool> {
    let candidate = BASE64_STANDARD.decode(request::header(request, "x-shopify-hmac-sha256")?).ok()?;
    Some(matches(secret.as_bytes(), &[&request.body.0], &candidate))
}

/// The timestamp as it was written, when it lies near enough to the request.
fn timely(request: &Request, timestamp: &str) -> Option<String> {
    let seconds: i64 = timestamp.parse().ok()?;
    let arrived = (request.created_at_ms / 1000) as i64;
    (seconds.checked_sub(arrived)?.unsigned_abs() <= TOLERANCE_SECONDS as u64).then(|| timestamp.into())
}

/// `Mac::verify_slice` compares in constant time. With an empty key anybody can sign.
fn matches(key: &[u8], pieces: &[&[u8]], candidate: &[u8]) -> bool {
    !key.is_empty() && crypto::code::<Hmac<Sha256>>(key, pieces).verify_slice(candidate).is_ok()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some((digit(*high)? * 16 + digit(*low)?) as u8)).collect();
    bytes.filter(|_| rest.is_empty())
}
