//! Hashes.

use hmac::{Hmac, KeyInit, Mac};
use rquickjs::{Ctx, Exception, Object, Result, TypedArray, Value, prelude::Func};
use sha2::{Digest, Sha256, Sha512};

use crate::body::octets;

pub fn install(natives: &Object<'_>) -> Result<()> {
    natives.set("sha256", Func::from(sha256))?;
    natives.set("sha512", Func::from(sha512))?;
    natives.set("hmac", Func::from(hmac))?;
    natives.set("toHex", Func::from(to_hex))
}

fn sha256<'js>(ctx: Ctx<'js>, message: Value<'js>) -> Result<TypedArray<'js, u8>> {
    let digest = Sha256::digest(octets(&ctx, &message)?);
    TypedArray::new_copy(ctx, digest)
}

fn sha512<'js>(ctx: Ctx<'js>, message: Value<'js>) -> Result<TypedArray<'js, u8>> {
    let digest = Sha512::digest(octets(&ctx, &message)?);
    TypedArray::new_copy(ctx, digest)
}

fn hmac<'js>(ctx: Ctx<'js>, hash: String, key: Value<'js>, message: Value<'js>) -> Result<TypedArray<'js, u8>> {
    let (key, message) = (octets(&ctx, &key)?, octets(&ctx, &message)?);
    let code = match hash.as_str() {
        "sha256" => code::<Hmac<Sha256>>(&key, &[&message]).finalize().into_bytes().to_vec(),
        "sha512" => code::<Hmac<Sha512>>(&key, &[&message]).finalize().into_bytes().to_vec(),
        _ => return Err(Exception::throw_type(&ctx, "hmac knows sha256 and sha512")),
    };
    TypedArray::new_copy(ctx, code)
}

fn to_hex<'js>(ctx: Ctx<'js>, bytes: Value<'js>) -> Result<String> {
    Ok(hex(&octets(&ctx, &bytes)?))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A keyed hash over several pieces, as if they were one.
pub fn code<M: Mac + KeyInit>(key: &[u8], pieces: &[&[u8]]) -> M {
    // HMAC takes keys of any length.
    let mut mac = <M as KeyInit>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC refuses no key"));
    pieces.iter().for_each(|piece| mac.update(piece));
    mac
}
