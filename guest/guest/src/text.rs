//! Text and bytes: what TextEncoder and TextDecoder stand on.

use rquickjs::{
    Ctx, Exception, Object, Result, TypedArray, Value,
    prelude::{Func, List},
};

use crate::body::octets;

pub fn install(natives: &Object<'_>) -> Result<()> {
    natives.set("encode", Func::from(encode))?;
    natives.set("decode", Func::from(decode))
}

/// A JavaScript string in which halves of characters may stand alone: they become U+FFFD.
pub fn lossy<'js>(ctx: &Ctx<'js>, text: &rquickjs::String<'js>) -> Result<String> {
    match text.to_string() {
        Err(rquickjs::Error::Utf8(_)) => crate::prelude::function(ctx, "wellFormed")?.call((text.clone(),)),
        other => other,
    }
}

/// UTF-8 of a well-formed string.
fn encode<'js>(ctx: Ctx<'js>, text: String) -> Result<TypedArray<'js, u8>> {
    TypedArray::new_copy(ctx, text)
}

/// Gives `[text, how many bytes at the end were left]`. Bytes are left only while `streaming`, when they are the
/// beginning of a character that the next piece may finish.
fn decode<'js>(
    ctx: Ctx<'js>,
    bytes: Value<'js>,
    encoding: String,
    is_fatal: bool,
    streaming: bool,
) -> Result<List<(String, u32)>> {
    let bytes = octets(&ctx, &bytes)?;
    let left = if streaming { unfinished(&bytes, &encoding) } else { 0 };
    let whole = &bytes[..bytes.len() - left];
    let (text, is_faulty) = match encoding.as_str() {
        "utf-8" => utf8(whole),
        "utf-16le" => utf16le(whole),
        _ => (whole.iter().map(|&byte| windows_1252(byte)).collect(), false),
    };
    if is_faulty && is_fatal {
        return Err(Exception::throw_type(&ctx, &format!("the bytes are not {encoding}")));
    }
    Ok(List((text, left as u32)))
}

fn unfinished(bytes: &[u8], encoding: &str) -> usize {
    match encoding {
        "utf-8" => match core::str::from_utf8(bytes) {
            Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
            // A fault earlier on hides what the end looks like: look at the end alone.
            Err(_) => (1..=3.min(bytes.len()))
                .find(|&left| {
                    let tail = &bytes[bytes.len() - left..];
                    core::str::from_utf8(tail).is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
                })
                .unwrap_or(0),
            Ok(_) => 0,
        },
        "utf-16le" => {
            let odd = bytes.len() % 2;
            let last = bytes[..bytes.len() - odd].last_chunk::<2>().map(|pair| u16::from_le_bytes(*pair));
            odd + if last.is_some_and(|unit| (0xd800..0xdc00).contains(&unit)) { 2 } else { 0 }
        }
        _ => 0,
    }
}

fn utf8(bytes: &[u8]) -> (String, bool) {
    match core::str::from_utf8(bytes) {
        Ok(text) => (text.into(), false),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), true),
    }
}

fn utf16le(bytes: &[u8]) -> (String, bool) {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut is_faulty = !rest.is_empty();
    let units = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
    let mut text: String = char::decode_utf16(units)
        .map(|unit| {
            unit.unwrap_or_else(|_| {
                is_faulty = true;
                char::REPLACEMENT_CHARACTER
            })
        })
        .collect();
    if !rest.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    (text, is_faulty)
}

/// What the web means by Latin-1: its control characters above 0x80 are the ones that Windows put there.
fn windows_1252(byte: u8) -> char {
    const ABOVE_80: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => ABOVE_80[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}
