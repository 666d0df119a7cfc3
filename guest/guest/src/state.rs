//! A reducer's result as canonical JSON text, and the naming of what JSON cannot hold.

use core::cell::Cell;

use rquickjs::{Ctx, Exception, Function, Object, Result, Value, qjs};

/// Why the replacer refused: which kind of value, and the object and key under which it was met. Values of the
/// context, held until `stringify` has named the place.
struct Refused {
    kind: &'static str,
    holder: qjs::JSValue,
    key: qjs::JSValue,
}

struct Single(Cell<Option<Refused>>);
// SAFETY: Wasm without threads; nothing here is shared.
unsafe impl Sync for Single {}

static REFUSED: Single = Single(Cell::new(None));

pub fn install<'js>(ctx: &Ctx<'js>, natives: &Object<'js>) -> Result<()> {
    // A C function, not a Rust closure: it is called for every property of every state.
    let replacer = unsafe {
        let raw = qjs::JS_NewCFunction2(
            ctx.as_raw().as_ptr(),
            Some(replacer),
            c"".as_ptr(),
            2,
            qjs::JSCFunctionEnum_JS_CFUNC_generic,
            0,
        );
        Value::from_raw(ctx.clone(), raw)
    };
    natives.set("replacer", replacer)
}

/// A state as text. `is_tree` when parsing the text would give the same value in every respect.
pub struct Text {
    pub json: String,
    pub is_tree: bool,
}

/// `JSON.stringify` of `state`, which throws where JSON would lose something.
pub fn text_of<'js>(ctx: &Ctx<'js>, state: &Value<'js>, bytes_max: usize) -> Result<Text> {
    match crate::plain::write(ctx, state) {
        Some(json) if json.len() <= bytes_max => Ok(Text { json, is_tree: true }),
        _ => stringify(ctx, state, bytes_max).map(|json| Text { json, is_tree: false }),
    }
}

fn stringify<'js>(ctx: &Ctx<'js>, state: &Value<'js>, bytes_max: usize) -> Result<String> {
    if state.is_undefined() {
        return Err(Exception::throw_type(ctx, "the reducer returned undefined; it must return the next state"));
    }
    let replacer = crate::prelude::function(ctx, "replacer")?;
    REFUSED.0.set(None);
    // SAFETY: values of this context; the result is owned.
    let text = unsafe {
        let raw = qjs::JS_JSONStringify(ctx.as_raw().as_ptr(), state.as_raw(), replacer.as_raw(), qjs::JS_UNDEFINED);
        Value::from_raw(ctx.clone(), raw)
    };
    if text.is_exception() {
        return Err(name_the_place(ctx, state));
    }
    let Some(text) = text.as_string() else {
        return Err(Exception::throw_type(ctx, "the state became undefined by its toJSON, which JSON cannot hold"));
    };
    let text = text.to_string()?;
    if text.len() > bytes_max {
        let message = format!("the state is {} bytes of JSON, more than the {bytes_max} allowed", text.len());
        return Err(Exception::throw_range(ctx, &message));
    }
    if depth(&text) > rules::limits::JSON_DEPTH_MAX {
        let message = format!("the state nests deeper than {}", rules::limits::JSON_DEPTH_MAX);
        return Err(Exception::throw_range(ctx, &message));
    }
    Ok(text)
}

/// Called by `JSON.stringify` for each value, after `toJSON`: lets pass what JSON can hold.
unsafe extern "C" fn replacer(
    ctx: *mut qjs::JSContext,
    this: qjs::JSValue,
    argc: core::ffi::c_int,
    argv: *mut qjs::JSValue,
) -> qjs::JSValue {
    if argc < 2 {
        return qjs::JS_UNDEFINED;
    }
    // SAFETY: QuickJS hands over `argc` values of this context.
    unsafe {
        let (key, value) = (*argv, *argv.add(1));
        let Some(kind) = refused_kind(ctx, value) else {
            return qjs::JS_DupValue(ctx, value);
        };
        let refused = Refused { kind, holder: qjs::JS_DupValue(ctx, this), key: qjs::JS_DupValue(ctx, key) };
        REFUSED.0.set(Some(refused));
        qjs::JS_Throw(ctx, qjs::JS_NULL)
    }
}

unsafe fn refused_kind(ctx: *mut qjs::JSContext, value: qjs::JSValue) -> Option<&'static str> {
    unsafe {
        match qjs::JS_VALUE_GET_NORM_TAG(value) {
            qjs::JS_TAG_FLOAT64 => float_kind(qjs::JS_VALUE_GET_FLOAT64(value)),
            qjs::JS_TAG_SYMBOL => Some("a symbol"),
            qjs::JS_TAG_BIG_INT | qjs::JS_TAG_SHORT_BIG_INT => Some("a BigInt"),
            qjs::JS_TAG_OBJECT if qjs::JS_IsMap(value) => Some("a Map"),
            qjs::JS_TAG_OBJECT if qjs::JS_IsSet(value) => Some("a Set"),
            qjs::JS_TAG_OBJECT if qjs::JS_IsFunction(ctx, value) => Some("a function"),
            _ => None,
        }
    }
}

fn float_kind(number: f64) -> Option<&'static str> {
    if number.is_finite() {
        None
    } else if number.is_nan() {
        Some("NaN")
    } else {
        Some(if number > 0.0 { "Infinity" } else { "-Infinity" })
    }
}

/// Turns a refusal, or a cycle, into a `TypeError` that says where. Anything else was thrown by user code.
fn name_the_place<'js>(ctx: &Ctx<'js>, state: &Value<'js>) -> rquickjs::Error {
    let thrown = ctx.catch();
    let Some(refused) = REFUSED.0.take() else {
        return match cycle_path(ctx, state, &thrown) {
            Some(path) => throw_at(ctx, "a cycle", &path),
            None => ctx.throw(thrown),
        };
    };
    // SAFETY: both were duplicated for this; the values own them now.
    let (holder, key) =
        unsafe { (Value::from_raw(ctx.clone(), refused.holder), Value::from_raw(ctx.clone(), refused.key)) };
    let path = crate::prelude::function(ctx, "pathOf")
        .and_then(|path_of| path_of.call::<_, String>((state.clone(), holder, key)));
    match path {
        Ok(path) => throw_at(ctx, refused.kind, &path),
        Err(error) => error,
    }
}

fn cycle_path<'js>(ctx: &Ctx<'js>, state: &Value<'js>, thrown: &Value<'js>) -> Option<String> {
    if !thrown.is_error() || crate::meter::stopped().is_some() {
        return None;
    }
    let path = crate::prelude::function(ctx, "cycleIn")
        .and_then(|cycle_in: Function| cycle_in.call::<_, Option<String>>((state.clone(),)));
    path.unwrap_or_else(|_| {
        let _ = ctx.catch();
        None
    })
}

fn throw_at(ctx: &Ctx<'_>, kind: &str, path: &str) -> rquickjs::Error {
    let message = if path.is_empty() {
        format!("the state is {kind}, which JSON cannot hold")
    } else {
        format!("the state holds {kind} at `{path}`, which JSON cannot hold")
    };
    Exception::throw_type(ctx, &message)
}

/// How deep the brackets of JSON text nest.
pub fn depth(json: &str) -> usize {
    let (mut deepest, mut depth, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in json.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => in_string = true,
                b'[' | b'{' => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b']' | b'}' => depth -= 1,
                _ => {}
            }
        }
    }
    deepest
}
