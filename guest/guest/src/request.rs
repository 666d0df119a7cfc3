//! The request as a program sees it: an object whose costly parts are made at their first use.

use core::cell::{Cell, RefCell};
use std::sync::Arc;

use rquickjs::{Ctx, Object, Result, Value, prelude::Func, qjs};
use rules::call::Request;

use crate::{
    body, clock,
    plain::{self, Names},
};

struct Single<T>(T);
// SAFETY: Wasm without threads; nothing here is shared.
unsafe impl<T> Sync for Single<T> {}

/// The request of the run that goes on: where the getters look things up.
static CURRENT: Single<RefCell<Option<Arc<Request>>>> = Single(RefCell::new(None));
/// The object that was made of it.
static OBJECT: Single<Cell<qjs::JSValue>> = Single(Cell::new(qjs::JS_UNDEFINED));
/// What every request is made of.
static PARTS: Single<RefCell<Parts>> = Single(RefCell::new(Parts {
    names: [0; NAMES.len()],
    getters: [qjs::JS_UNDEFINED; NAMES.len()],
    setters: [qjs::JS_UNDEFINED; NAMES.len()],
}));

/// The properties of a request, in their order.
const NAMES: [&str; 13] = [
    "id",
    "seq",
    "method",
    "path",
    "headers",
    "query",
    "queryString",
    "body",
    "rawBody",
    "contentType",
    "createdAt",
    "event",
    "bodyError",
];
const BODY: usize = 7;
const BODY_ERROR: usize = 12;

/// The names as atoms and, for those that are made at their first use, getter and setter. Never freed.
struct Parts {
    names: [qjs::JSAtom; NAMES.len()],
    getters: [qjs::JSValue; NAMES.len()],
    setters: [qjs::JSValue; NAMES.len()],
}

pub fn install<'js>(ctx: &Ctx<'js>, natives: &Object<'js>) -> Result<()> {
    let mut parts = PARTS.0.borrow_mut();
    for (index, name) in NAMES.iter().enumerate() {
        // SAFETY: the atom is kept for good.
        parts.names[index] =
            unsafe { qjs::JS_NewAtomLen(ctx.as_raw().as_ptr(), name.as_ptr().cast(), name.len() as _) };
    }
    natives.set("setRequestPart", Func::from(set_part))?;
    natives.set("queryString", Func::from(|ctx: Ctx<'js>| current(&ctx).map(|request| request.query.clone())))?;
    natives.set("isCurrent", Func::from(is_current))
}

/// At boot: how a part is made at its first use.
fn set_part<'js>(ctx: Ctx<'js>, name: String, getter: Value<'js>, setter: Value<'js>) {
    if let Some(index) = NAMES.iter().position(|known| *known == name) {
        let keep = |value: Value<'js>| unsafe { qjs::JS_DupValue(ctx.as_raw().as_ptr(), value.as_raw()) };
        let mut parts = PARTS.0.borrow_mut();
        (parts.getters[index], parts.setters[index]) = (keep(getter), keep(setter));
    }
}

/// The object for this request, which becomes the current one. `parsed` is its body, where the host has parsed it.
pub fn make<'js>(ctx: &Ctx<'js>, request: &Arc<Request>, parsed: (&mut Names<'js>, &[u8])) -> Result<Value<'js>> {
    forget(ctx);
    *CURRENT.0.borrow_mut() = Some(request.clone());
    let content_type = header(request, "content-type").unwrap_or_default();
    let claims_json = body::claims_json(&content_type);
    let (names, form) = parsed;
    let body = if claims_json && !form.is_empty() { plain::make(ctx, names, form) } else { None };

    let parts = PARTS.0.borrow();
    let text = |text: &str| rquickjs::String::from_str(ctx.clone(), text).map(rquickjs::String::into_value);
    let mut values: [Option<Value>; NAMES.len()] = [const { None }; NAMES.len()];
    values[0] = Some(text(core::str::from_utf8(&clock::uuid_text(request.id)).unwrap_or_default())?);
    values[1] = Some(Value::new_number(ctx.clone(), request.seq as f64));
    values[2] = Some(text(&request.method)?);
    values[3] = Some(text(&request.path)?);
    values[6] = Some(text(&request.query)?);
    values[9] = Some(text(&content_type)?);
    values[10] = Some(text(&clock::iso_text(request.created_at_ms))?);
    let is_parsed = body.is_some();
    values[BODY] = body;

    let raw = ctx.as_raw().as_ptr();
    let object = Object::new(ctx.clone())?;
    for (index, value) in values.into_iter().enumerate() {
        // Only a body that claims to be JSON, and may turn out not to be, has a `bodyError`.
        if index == BODY_ERROR && (!claims_json || is_parsed) {
            continue;
        }
        let (name, flags) = (parts.names[index], qjs::JS_PROP_C_W_E as i32);
        // SAFETY: a live object and values of this context; defining takes them over.
        let status = unsafe {
            match value {
                Some(value) => {
                    let value = qjs::JS_DupValue(raw, value.as_raw());
                    qjs::JS_DefinePropertyValue(raw, object.as_raw(), name, value, flags)
                }
                None => {
                    let getter = qjs::JS_DupValue(raw, parts.getters[index]);
                    let setter = qjs::JS_DupValue(raw, parts.setters[index]);
                    let flags = (qjs::JS_PROP_CONFIGURABLE | qjs::JS_PROP_ENUMERABLE) as i32;
                    qjs::JS_DefinePropertyGetSet(raw, object.as_raw(), name, getter, setter, flags)
                }
            }
        };
        if status < 0 {
            return Err(rquickjs::Error::Exception);
        }
    }
    // SAFETY: kept until the run is over, so that no other object can stand in its place.
    OBJECT.0.set(unsafe { qjs::JS_DupValue(raw, object.as_raw()) });
    Ok(object.into_value())
}

/// Lets the request go. A getter that is asked later, by what outlived its run, finds nothing.
pub fn forget(ctx: &Ctx<'_>) {
    *CURRENT.0.borrow_mut() = None;
    // SAFETY: the reference that `make` took.
    unsafe { qjs::JS_FreeValue(ctx.as_raw().as_ptr(), OBJECT.0.replace(qjs::JS_UNDEFINED)) };
}

/// Whether this is the object of the request that goes on, and no copy of it.
fn is_current(value: Value<'_>) -> bool {
    let known = OBJECT.0.get();
    // SAFETY: both are live; only objects have an identity.
    unsafe {
        value.is_object()
            && qjs::JS_VALUE_GET_NORM_TAG(known) == qjs::JS_TAG_OBJECT
            && qjs::JS_VALUE_GET_PTR(known) == qjs::JS_VALUE_GET_PTR(value.as_raw())
    }
}

pub fn current(ctx: &Ctx<'_>) -> Result<Arc<Request>> {
    let current = CURRENT.0.borrow().clone();
    current.ok_or_else(|| rquickjs::Exception::throw_message(ctx, "the request is no longer there: its call is over"))
}

/// The values of a header, decoded and joined with ", ".
pub fn header(request: &Request, name: &str) -> Option<String> {
    let mut joined: Option<String> = None;
    for (_, value) in request.headers.iter().filter(|(known, _)| known == name) {
        let text = header_text(&value.0);
        joined = Some(match joined {
            Some(before) => format!("{before}, {text}"),
            None => text,
        });
    }
    joined
}

/// Header bytes are UTF-8 by custom; what is not is read as Latin-1, so that nothing is lost.
pub fn header_text(value: &[u8]) -> String {
    match core::str::from_utf8(value) {
        Ok(text) => text.into(),
        Err(_) => value.iter().map(|&byte| char::from(byte)).collect(),
    }
}
