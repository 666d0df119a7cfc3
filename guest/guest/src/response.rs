//! What a responder or a query returned, as an HTTP response.

use rquickjs::{Array, Coerced, Ctx, Exception, Object, Result, Value};
use rules::call::{Bytes, Response};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const OCTETS: &str = "application/octet-stream";

/// JSON text as a 200.
pub fn json(text: &str) -> Response {
    Response { status: 200, headers: vec![content_type(JSON)], body: Bytes(text.into()) }
}

/// A responder's result, or a query's: `{statusCode, body, headers}`, or any other value as the body.
pub fn of<'js>(ctx: &Ctx<'js>, value: Value<'js>, bytes_max: usize) -> Result<Response> {
    let response = match recognised(&value)? {
        Some(object) => explicit(ctx, object)?,
        // A bare value is JSON, a bare string too: the reader of a query always gets what `JSON.parse` takes.
        None => json(&stringify(ctx, value)?.unwrap_or_else(|| "null".into())),
    };
    if response.body.0.len() > bytes_max {
        let message = format!("the response is {} bytes, more than the {bytes_max} allowed", response.body.0.len());
        return Err(Exception::throw_range(ctx, &message));
    }
    Ok(response)
}

/// An object with a numeric `statusCode`, or one that has nothing but `statusCode`, `body` and `headers`. A state
/// that merely happens to have a `body` among other things is a value.
fn recognised<'a, 'js>(value: &'a Value<'js>) -> Result<Option<&'a Object<'js>>> {
    let Some(object) = value.as_object().filter(|_| !value.is_array() && !value.is_function()) else {
        return Ok(None);
    };
    if object.get::<_, Value>("statusCode")?.is_number() {
        return Ok(Some(object));
    }
    let mut names = 0;
    for name in object.keys::<String>() {
        if !matches!(name?.as_str(), "body" | "headers") {
            return Ok(None);
        }
        names += 1;
    }
    Ok((names > 0).then_some(object))
}

fn explicit<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> Result<Response> {
    let status: Value = object.get("statusCode")?;
    let status = if status.is_undefined() { 200.0 } else { status.as_number().unwrap_or(f64::NAN) };
    if status.fract() != 0.0 || !(200.0..=599.0).contains(&status) {
        return Err(Exception::throw_range(ctx, &format!("statusCode is {status}; it must be 200 to 599")));
    }
    let mut headers = headers(ctx, object.get("headers")?)?;
    let (body, kind) = body(ctx, object.get("body")?)?;
    if let Some(kind) = kind.filter(|_| !headers.iter().any(|(name, _)| name == "content-type")) {
        headers.insert(0, content_type(kind));
    }
    Ok(Response { status: status as u16, headers, body: Bytes(body) })
}

/// The bytes, and the content type they have unless the headers say otherwise.
fn body<'js>(ctx: &Ctx<'js>, body: Value<'js>) -> Result<(Vec<u8>, Option<&'static str>)> {
    if body.is_undefined() || body.is_null() {
        return Ok((Vec::new(), None));
    }
    if let Some(text) = body.as_string() {
        return Ok((crate::text::lossy(ctx, text)?.into_bytes(), Some(TEXT)));
    }
    let as_octets: Value = crate::prelude::function(ctx, "octetsOf")?.call((body.clone(),))?;
    if !as_octets.is_undefined() {
        return Ok((crate::body::octets(ctx, &as_octets)?, Some(OCTETS)));
    }
    match stringify(ctx, body)? {
        Some(text) => Ok((text.into_bytes(), Some(JSON))),
        None => Err(Exception::throw_type(ctx, "the body is a function or a symbol, which cannot be sent")),
    }
}

/// `JSON.stringify` itself, with all its leniency: this is the author's answer, not a state.
pub fn stringify<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Option<String>> {
    ctx.json_stringify(value)?.map(|text| text.to_string()).transpose()
}

fn headers<'js>(ctx: &Ctx<'js>, headers: Value<'js>) -> Result<Vec<(String, String)>> {
    if headers.is_undefined() || headers.is_null() {
        return Ok(Vec::new());
    }
    let Some(object) = headers.as_object().filter(|object| !object.is_array() && !object.is_function()) else {
        return Err(Exception::throw_type(ctx, "headers must be an object of names and values"));
    };
    let mut list = Vec::new();
    for property in object.props::<String, Value>() {
        let (name, value) = property?;
        if value.is_undefined() || value.is_null() {
            continue;
        }
        match value.as_array() {
            Some(values) => {
                let values: &Array = values;
                for value in values.iter::<Value>() {
                    list.push(header(ctx, &name, value?)?);
                }
            }
            None => list.push(header(ctx, &name, value)?),
        }
    }
    Ok(list)
}

fn header<'js>(ctx: &Ctx<'js>, name: &str, value: Value<'js>) -> Result<(String, String)> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Exception::throw_type(ctx, &format!("`{}` is no name for a header", name.escape_debug())));
    }
    if !(value.is_string() || value.is_number() || value.is_bool()) {
        return Err(Exception::throw_type(ctx, &format!("the header `{name}` must be a string")));
    }
    let text = value.get::<Coerced<String>>()?.0;
    let text = text.trim();
    // A line break would let a value write headers of its own.
    if text.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
        return Err(Exception::throw_type(ctx, &format!("the header `{name}` holds a control character")));
    }
    Ok((name.to_ascii_lowercase(), text.into()))
}

fn content_type(value: &str) -> (String, String) {
    ("content-type".into(), value.into())
}
