//! What a request carries, as JavaScript values: headers, and the body by its content type.

use std::collections::HashMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use rquickjs::{Array, Ctx, Exception, Object, Result, TypedArray, Value, prelude::Func, qjs};
use rules::call::Request;

use crate::request;

pub fn install(natives: &Object<'_>) -> Result<()> {
    natives.set("headers", Func::from(headers))?;
    natives.set("body", Func::from(body))?;
    natives.set("rawBody", Func::from(raw_body))?;
    natives.set("toBase64", Func::from(to_base64))?;
    natives.set("fromBase64", Func::from(from_base64))
}

fn to_base64<'js>(ctx: Ctx<'js>, bytes: Value<'js>) -> Result<String> {
    Ok(BASE64_STANDARD.encode(octets(&ctx, &bytes)?))
}

fn from_base64(ctx: Ctx<'_>, text: String) -> Result<TypedArray<'_, u8>> {
    match BASE64_STANDARD.decode(text) {
        Ok(bytes) => TypedArray::new(ctx, bytes),
        Err(_) => Err(Exception::throw_type(&ctx, "this is no base64")),
    }
}

fn headers<'js>(ctx: Ctx<'js>) -> Result<Value<'js>> {
    let request = request::current(&ctx)?;
    // A name such as `constructor` comes from outside: it must be a name like any other.
    let headers = Object::new_proto(ctx.clone(), None)?;
    for (name, value) in &request.headers {
        let text = request::header_text(&value.0);
        let before: Option<String> = headers.get(name.as_str())?;
        headers.set(name.as_str(), before.map_or_else(|| text.clone(), |before| format!("{before}, {text}")))?;
    }
    ordinary(&ctx, headers)
}

/// An object made without a prototype gets the usual one, so that `hasOwnProperty` is there as people expect.
fn ordinary<'js>(ctx: &Ctx<'js>, object: Object<'js>) -> Result<Value<'js>> {
    let prototype = Object::new(ctx.clone())?.get_prototype();
    object.set_prototype(prototype.as_ref())?;
    Ok(object.into_value())
}

/// The body as text; bytes that are not UTF-8 become U+FFFD.
fn raw_body(ctx: Ctx<'_>) -> Result<String> {
    Ok(String::from_utf8_lossy(&request::current(&ctx)?.body.0).into_owned())
}

pub fn claims_json(content_type: &str) -> bool {
    is_json(media_type(content_type))
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn is_json(media_type: &str) -> bool {
    let media_type = media_type.to_ascii_lowercase();
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}

/// By content type: JSON, form, multipart, otherwise text; nothing is null, and bytes that are no text a file.
/// Throws a SyntaxError for a body that claims to be JSON and is not.
fn body<'js>(ctx: Ctx<'js>) -> Result<Value<'js>> {
    let request = request::current(&ctx)?;
    let bytes = request.body.0.as_slice();
    if bytes.is_empty() {
        return Ok(Value::new_null(ctx));
    }
    let content_type = request::header(&request, "content-type").unwrap_or_default();
    let media_type = media_type(&content_type).to_ascii_lowercase();
    if media_type == "multipart/form-data" {
        // What does not parse as it claims is kept as text, as with JSON.
        if let Some(parts) = multipart_parts(&content_type, &request) {
            return multipart(&ctx, parts);
        }
    }
    if media_type == "application/x-www-form-urlencoded" {
        return form(&ctx, bytes);
    }
    let text = match core::str::from_utf8(bytes) {
        Ok(_) if is_json(&media_type) => return parse_json(&ctx, bytes),
        Ok(text) => text,
        Err(_) if is_json(&media_type) => return Err(Exception::throw_syntax(&ctx, "the body is not UTF-8")),
        Err(_) => return file(&ctx, None, &media_type, bytes).map(Object::into_value),
    };
    rquickjs::String::from_str(ctx, text).map(rquickjs::String::into_value)
}

/// `JSON.parse` of UTF-8, without making a JavaScript string of it first.
pub fn parse_json<'js>(ctx: &Ctx<'js>, json: &[u8]) -> Result<Value<'js>> {
    // QuickJS reads one byte past the end and wants to find a NUL there.
    let mut terminated = Vec::with_capacity(json.len() + 1);
    terminated.extend_from_slice(json);
    terminated.push(0);
    // SAFETY: the text is terminated; the result is owned.
    let value = unsafe {
        let raw =
            qjs::JS_ParseJSON(ctx.as_raw().as_ptr(), terminated.as_ptr().cast(), json.len() as _, c"body".as_ptr());
        Value::from_raw(ctx.clone(), raw)
    };
    if value.is_exception() { Err(rquickjs::Error::Exception) } else { Ok(value) }
}

/// Adds a field; a name that repeats becomes an array.
struct Fields<'js> {
    object: Object<'js>,
    seen: HashMap<String, Option<Array<'js>>>,
}

impl<'js> Fields<'js> {
    fn new(ctx: &Ctx<'js>) -> Result<Self> {
        // A name such as `__proto__` comes from outside: it must be a name like any other.
        Ok(Fields { object: Object::new_proto(ctx.clone(), None)?, seen: HashMap::new() })
    }

    fn add(&mut self, ctx: &Ctx<'js>, name: &str, value: Value<'js>) -> Result<()> {
        match self.seen.get_mut(name) {
            None => {
                self.seen.insert(name.into(), None);
                self.object.set(name, value)
            }
            Some(Some(array)) => array.set(array.len(), value),
            Some(unique) => {
                let array = Array::new(ctx.clone())?;
                array.set(0, self.object.get::<_, Value>(name)?)?;
                array.set(1, value)?;
                self.object.set(name, array.clone())?;
                *unique = Some(array);
                Ok(())
            }
        }
    }

    fn finish(self, ctx: &Ctx<'js>) -> Result<Value<'js>> {
        ordinary(ctx, self.object)
    }
}

fn form<'js>(ctx: &Ctx<'js>, bytes: &[u8]) -> Result<Value<'js>> {
    let mut fields = Fields::new(ctx)?;
    for (name, value) in form_urlencoded::parse(bytes) {
        let value = rquickjs::String::from_str(ctx.clone(), &value)?.into_value();
        fields.add(ctx, &name, value)?;
    }
    fields.finish(ctx)
}

struct Part {
    name: String,
    file_name: Option<String>,
    media_type: String,
    bytes: Vec<u8>,
}

/// `None` when the body is not what it claims to be.
fn multipart_parts(content_type: &str, request: &Request) -> Option<Vec<Part>> {
    let boundary = multer::parse_boundary(content_type).ok()?;
    let bytes = request.body.0.clone();
    let stream = futures_util::stream::once(core::future::ready(Ok::<_, core::convert::Infallible>(bytes)));
    let mut multipart = multer::Multipart::new(stream, boundary);
    let read = async {
        let mut parts = Vec::new();
        while let Some(field) = multipart.next_field().await? {
            let name = field.name().unwrap_or_default().to_owned();
            let file_name = field.file_name().map(str::to_owned);
            let media_type = field.content_type().map_or_else(String::new, |mime| mime.to_string());
            parts.push(Part { name, file_name, media_type, bytes: field.bytes().await?.to_vec() });
        }
        Ok::<_, multer::Error>(parts)
    };
    now_or_never(read)?.ok()
}

/// All of the body is at hand, so the reading never waits for anything.
fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = core::pin::pin!(future);
    let mut context = core::task::Context::from_waker(core::task::Waker::noop());
    // Multer yields between parts although nothing is awaited; it is bounded by the body's length.
    for _ in 0..=rules::limits::BODY_BYTES_MAX {
        if let core::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
    }
    None
}

fn multipart<'js>(ctx: &Ctx<'js>, parts: Vec<Part>) -> Result<Value<'js>> {
    let mut fields = Fields::new(ctx)?;
    for part in parts {
        let text = core::str::from_utf8(&part.bytes).ok().filter(|_| part.file_name.is_none());
        let value = match text {
            Some(text) => rquickjs::String::from_str(ctx.clone(), text)?.into_value(),
            None => file(ctx, part.file_name.as_deref(), &part.media_type, &part.bytes)?.into_value(),
        };
        fields.add(ctx, &part.name, value)?;
    }
    fields.finish(ctx)
}

/// `{name, type, size, base64}`; a body that is one file has no name.
fn file<'js>(ctx: &Ctx<'js>, name: Option<&str>, media_type: &str, bytes: &[u8]) -> Result<Object<'js>> {
    let file = Object::new(ctx.clone())?;
    if let Some(name) = name {
        file.set("name", name)?;
    }
    file.set("type", if media_type.is_empty() { "application/octet-stream" } else { media_type })?;
    file.set("size", bytes.len() as f64)?;
    file.set("base64", BASE64_STANDARD.encode(bytes))?;
    Ok(file)
}

/// A string as UTF-8, or the bytes of a Uint8Array: what the prelude lets through as octets.
pub fn octets<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<Vec<u8>> {
    if let Some(text) = value.as_string() {
        return text.to_string().map(String::into_bytes);
    }
    let array = value.as_object().and_then(|object| object.as_typed_array::<u8>());
    // SAFETY: the bytes are copied at once; nothing detaches the buffer meanwhile.
    match array.and_then(|array| unsafe { array.as_bytes() }) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => Err(Exception::throw_type(ctx, "a string or a Uint8Array is wanted here")),
    }
}
