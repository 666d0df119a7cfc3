//! What was thrown, as its author should see it.

use rquickjs::{Ctx, Object, Value, prelude::Coerced};
use rules::call::{Error, Failure, Stop};

/// How the prelude's own files are named; their frames are dropped from stacks.
pub const PRELUDE_FILE_PREFIX: &str = "everfold:";

pub fn plain(name: &str, message: &str) -> Error {
    Error { name: name.into(), message: message.into(), stack: String::new(), place: None }
}

/// What a stop looks like. The same words whenever it is replayed, so no limits are named.
pub fn of_stop(stop: Stop) -> Failure {
    let message = match stop {
        Stop::Budget => "interrupted: the call used up its operations",
        Stop::Clock => "interrupted: the call took too long",
        Stop::Memory => "out of memory: the call asked for more than its heap",
        Stop::Stack => "out of stack: the call nested too deep",
        Stop::Crash => "the process that ran the call died, more than once",
    };
    Failure { error: plain("InternalError", message), stop: Some(stop) }
}

/// The pending exception, or what rquickjs itself reports.
pub fn of_exception(ctx: &Ctx<'_>, error: rquickjs::Error, file_name: &str) -> Error {
    match error {
        rquickjs::Error::Exception => of_thrown(ctx, ctx.catch(), file_name),
        other => plain("Error", &other.to_string()),
    }
}

/// Any value can be thrown: an Error, an object like one, or something else altogether.
pub fn of_thrown<'js>(ctx: &Ctx<'js>, thrown: Value<'js>, file_name: &str) -> Error {
    let Some(object) = thrown.as_object().filter(|object| thrown.is_error() || looks_like_error(ctx, object)) else {
        return plain("Error", &inspected(ctx, thrown));
    };
    let stack = own_frames(&text_of(ctx, object, "stack").unwrap_or_default());
    Error {
        name: text_of(ctx, object, "name").unwrap_or_else(|| "Error".into()),
        message: text_of(ctx, object, "message").unwrap_or_default(),
        place: place_in(&stack, file_name),
        stack,
    }
}

fn looks_like_error<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> bool {
    let message = object.get::<_, Value>("message");
    let _ = ctx.catch();
    message.is_ok_and(|message| message.is_string())
}

/// A property as text; a getter that throws counts as absent.
fn text_of<'js>(ctx: &Ctx<'js>, object: &Object<'js>, name: &str) -> Option<String> {
    let value: Value = object.get(name).ok().or_else(|| swallow(ctx))?;
    if value.is_undefined() {
        return None;
    }
    value.get::<Coerced<String>>().ok().map(|text| text.0).or_else(|| swallow(ctx))
}

fn swallow<T>(ctx: &Ctx<'_>) -> Option<T> {
    let _ = ctx.catch();
    None
}

fn inspected<'js>(ctx: &Ctx<'js>, thrown: Value<'js>) -> String {
    crate::prelude::inspect(ctx, thrown).ok().or_else(|| swallow(ctx)).unwrap_or_else(|| "a value was thrown".into())
}

fn own_frames(stack: &str) -> String {
    let mut own = String::with_capacity(stack.len());
    for line in stack.lines().filter(|line| !line.contains(PRELUDE_FILE_PREFIX)) {
        own.push_str(line);
        own.push('\n');
    }
    own
}

/// Line and column of the first frame in the program's file: `at name (file:line:column)` or `at file:line:column`.
fn place_in(stack: &str, file_name: &str) -> Option<(u32, u32)> {
    stack.lines().find_map(|line| {
        let (_, after) = line.rsplit_once(file_name)?;
        let (line, column) = after.strip_prefix(':')?.trim_end_matches(')').split_once(':')?;
        Some((line.parse().ok()?, column.parse().ok()?))
    })
}
