//! A run of an action: its code is played from the beginning against the journal, one event at a time.
//!
//! An event is the beginning of the action, the beginning or the end of one of its steps, a display that is shown, an
//! answer that was looked at, or the journal's next note from outside. After each of them every pending job runs, and
//! all calls that are made meanwhile belong to the event's scope: so nothing has to follow promises to know which call
//! is which. What came of an event of the code's own is done before the next note, what it began before what waited
//! already. So a step that waits for nothing outside has ended before anything else happens, and a replay, which does
//! not run it, comes by in the same order.

mod play;

use core::cell::RefCell;

use rquickjs::{Array, Ctx, Exception, Function, Object, Persistent, Result, Value, prelude::Func};
use rules::{
    call::{
        Error, Json, Ran,
        run::{Declared, End, Kind, Running, Stand, Telling},
    },
    limits::{ACTION_SLUG_BYTES_MAX, ACTIONS_MAX},
};

use crate::{body, clock, error, meter, run::Run};
use play::{Event, Own, Play, Waiting};

/// The name of a call is cut here: it is compared and shown, and what is asked for stands in the payload.
const NAME_BYTES_MAX: usize = 1_000;

/// What the run that plays has come to; nothing while none plays.
struct Single(RefCell<Option<Play>>);
// SAFETY: Wasm without threads; nothing here is shared.
unsafe impl Sync for Single {}

static PLAY: Single = Single(RefCell::new(None));

pub fn install(natives: &Object<'_>) -> Result<()> {
    natives.set("called", Func::from(called))?;
    natives.set("askAgain", Func::from(ask_again))?;
    natives.set("judged", Func::from(judged))?;
    natives.set("ended", Func::from(ended))?;
    natives.set("told", Func::from(told))?;
    natives.set("rendered", Func::from(rendered))?;
    natives.set("tokenOf", Func::from(token_of))?;
    natives.set("now", Func::from(|| clock::now_ms() as f64))
}

/// An action or page of a program, and what it runs.
pub struct Action {
    pub declared: Declared,
    handler: Persistent<Function<'static>>,
}

/// The actions in what a program exports under that name.
pub fn list<'js>(ctx: &Ctx<'js>, exported: Value<'js>) -> Result<Vec<Action>> {
    if exported.is_undefined() {
        return Ok(Vec::new());
    }
    let listed: Array = crate::prelude::function(ctx, "listActions")?.call((exported, ACTION_SLUG_BYTES_MAX as f64))?;
    if listed.len() > ACTIONS_MAX {
        return Err(Exception::throw_range(ctx, &format!("a program has at most {ACTIONS_MAX} actions")));
    }
    let each = listed.iter::<Object>().map(|one| {
        let one = one?;
        let declared = Declared {
            slug: one.get("slug")?,
            name: one.get("name")?,
            description: one.get("description")?,
            unlisted: one.get("unlisted")?,
            is_page: one.get("isPage")?,
        };
        let handler: Function = one.get("handler")?;
        Ok(Action { declared, handler: Persistent::save(ctx, handler) })
    });
    each.collect()
}

/// Plays a run, or a page that somebody looks at, as far as it goes.
pub fn play(run: &Run, running: &Running) -> Ran<Stand> {
    clock::begin(running.began_at_ms, &play::dice_of(running.run, ""));
    let ran = run.bounded(|| {
        let known = run.program.actions.iter().find(|action| action.declared.slug == running.action);
        let Some(action) = known else {
            let message = format!("The program has no action `{}`.", running.action);
            return Ok(ended_with(End::Failed(error::plain("ReferenceError", &message))));
        };
        PLAY.0.replace(Some(Play::begin(running, &run.program.file_name, run.limits)));
        run.machine.secrets(run.ctx, &running.secrets)?;
        let context = body::parse_json(run.ctx, running.context.as_bytes())?;
        let handler = action.handler.clone().restore(run.ctx)?;
        let begin_run = run.machine.prelude.function(run.ctx, "beginRun")?;
        unless_decided(begin_run.call((handler, context, action.declared.is_page)))
            .and_then(|promise: Option<Value>| to_the_end(run, promise.as_ref()))
    });
    PLAY.0.take();
    ran
}

fn ended_with(end: End) -> Stand {
    Stand { moves: Vec::new(), rendered: Vec::new(), end: Some(end) }
}

/// What was called may have been cut off, because what comes of the run was decided.
fn unless_decided<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(_) if meter::is_halted() && meter::stopped().is_none() => Ok(None),
        result => result.map(Some),
    }
}

fn to_the_end<'js>(run: &Run<'_, 'js>, promise: Option<&Value<'js>>) -> Result<Stand> {
    let ctx = run.ctx;
    loop {
        meter::drain_jobs_of_run(ctx);
        if meter::stopped().is_some() {
            return Err(rquickjs::Error::Exception);
        }
        if with(ctx, |play| !play.has_ended())?
            && let Some(promise) = promise
            && let Some(end) = end_of(run, promise)?
        {
            with(ctx, |play| play.end(end))?;
        }
        if let Some(event) = with(ctx, Play::next)? {
            unless_decided(happen(ctx, event))?;
        } else {
            let play = PLAY.0.take().ok_or(rquickjs::Error::Unknown)?;
            return Ok(play.stand());
        }
    }
}

/// What became of the action, once its promise has settled.
fn end_of<'js>(run: &Run<'_, 'js>, promise: &Value<'js>) -> Result<Option<End>> {
    use rquickjs::promise::PromiseState;
    let Some(promise) = promise.as_promise() else { return Err(rquickjs::Error::Unknown) };
    let packed = match promise.state() {
        PromiseState::Pending => return Ok(None),
        _ => match promise.result::<Value>().unwrap_or(Err(rquickjs::Error::Unknown)) {
            Ok(value) => packed(run.ctx, value),
            Err(error) => Err(error),
        },
    };
    if meter::stopped().is_some() {
        return Err(rquickjs::Error::Exception);
    }
    Ok(Some(match packed {
        Ok(json) => End::Completed(json),
        Err(error) => {
            let error = run.error(error);
            End::Failed(with(run.ctx, |play| play.first_thrown(error))?)
        }
    }))
}

fn packed<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Json> {
    let text: String = crate::prelude::function(ctx, "packed")?.call((value, "the result of the action"))?;
    checked(ctx, text)
}

fn happen(ctx: &Ctx<'_>, event: Event) -> Result<()> {
    match event {
        Event::Begin(start) => start.restore(ctx)?.call(()),
        Event::Settled { settle, result: Ok(json) } => {
            let value = body::parse_json(ctx, json.as_bytes())?;
            settle.restore(ctx)?.call((true, value))
        }
        Event::Settled { settle, result: Err(error) } => {
            let thrown: Value = crate::prelude::function(ctx, "errorOf")?.call((error.name, error.message))?;
            settle.restore(ctx)?.call((false, thrown))
        }
        Event::Stated { stated, values } => {
            let values = body::parse_json(ctx, values.as_bytes())?;
            stated.restore(ctx)?.call((values,))
        }
        Event::Nothing => Ok(()),
    }
}

/// Does something with the run that plays. Nothing of the program may run meanwhile.
fn with<T>(ctx: &Ctx<'_>, work: impl FnOnce(&mut Play) -> T) -> Result<T> {
    match PLAY.0.borrow_mut().as_mut() {
        Some(play) => Ok(work(play)),
        None => Err(Exception::throw_message(ctx, "this can be called only while an action runs")),
    }
}

/// Does something that the run may not survive, and then throws: whoever catches it does not get further.
fn try_with<T>(ctx: &Ctx<'_>, work: impl FnOnce(&mut Play) -> core::result::Result<T, play::Over>) -> Result<T> {
    with(ctx, work)?.map_err(|play::Over| Exception::throw_message(ctx, "the run is over"))
}

/// JSON as it will be read again, by others, too: they read no deeper than this.
fn checked(ctx: &Ctx<'_>, text: String) -> Result<Json> {
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text.into()),
        Err(_) => Err(Exception::throw_range(ctx, "this is no JSON, or nests too deep to be kept")),
    }
}

fn cut(mut name: String) -> String {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

/// The code calls something. `{kind, method, label, payload, settle, start, stated, shown, judges, isPageable}`, all of
/// them there; gives the call's id.
fn called<'js>(ctx: Ctx<'js>, call: Object<'js>) -> Result<String> {
    let kind = match call.get::<_, u8>("kind")? {
        0 => Kind::Io,
        1 => Kind::Step,
        2 => Kind::Sleep,
        3 => Kind::Fetch,
        4 => Kind::State,
        5 => Kind::Send,
        6 => Kind::Function,
        7 => Kind::Job,
        _ => Kind::Notify,
    };
    let (method, label) = (cut(call.get("method")?), cut(call.get("label")?));
    let payload = checked(&ctx, call.get("payload")?)?;
    let keep = |name: &str| -> Result<Option<Persistent<Function<'static>>>> {
        Ok(call.get::<_, Option<Function>>(name)?.map(|function| Persistent::save(&ctx, function)))
    };
    let settle = keep("settle")?.ok_or(rquickjs::Error::Unknown)?;
    // How many values there are of what is only shown.
    let own = match (keep("start")?, call.get::<_, Option<usize>>("shown")?) {
        (Some(start), _) => Own::Step(start),
        (None, Some(values)) => Own::Shown(format!("{{\"values\":[{}]}}", vec!["null"; values].join(",")).into()),
        (None, None) => Own::Nothing,
    };
    let (stated, judges, is_pageable) = (keep("stated")?, call.get("judges")?, call.get("isPageable")?);
    try_with(&ctx, |play| {
        let scope = play.scope.clone();
        let waiting = Waiting { scope, settle, own, stated, judges, is_pageable, is_pending: true };
        play.called((kind, method, label), payload, waiting)
    })
}

/// An answer would not do; the question is asked again, with the same name and an id that follows.
fn ask_again(ctx: Ctx<'_>, id: String, payload: String) -> Result<String> {
    let payload = checked(&ctx, payload)?;
    try_with(&ctx, |play| play.ask_again(&id, payload))
}

/// An answer was looked at, within the question's own scope; `then` goes on where it was asked.
fn judged<'js>(ctx: Ctx<'js>, id: String, then: Function<'js>) -> Result<()> {
    let then = Persistent::save(&ctx, then);
    with(&ctx, |play| play.judged(&id, then))
}

/// A step came to its end: with a text, or with what was thrown.
fn ended<'js>(ctx: Ctx<'js>, id: String, text: Option<String>, thrown: Value<'js>) -> Result<()> {
    let result = match text {
        Some(text) => Ok(checked(&ctx, text)?),
        None => {
            let file_name = with(&ctx, |play| play.file_name.clone())?;
            Err(bounded(error::of_thrown(&ctx, thrown, &file_name)))
        }
    };
    with(&ctx, |play| play.ended(id, result))
}

/// An error is as long as its author likes; what is kept of it is not.
fn bounded(error: Error) -> Error {
    const TEXT_BYTES_MAX: usize = 16 << 10;
    let cut = |mut text: String| {
        let mut end = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    };
    Error { name: self::cut(error.name), message: cut(error.message), stack: cut(error.stack), place: error.place }
}

fn told(ctx: Ctx<'_>, telling: u8, payload: String) -> Result<()> {
    let telling = match telling {
        0 => Telling::Log,
        1 => Telling::Loading,
        _ => Telling::Redirect,
    };
    let payload = checked(&ctx, payload)?;
    try_with(&ctx, |play| play.told(telling, payload))
}

/// A question or a display looks otherwise than it was asked or shown.
fn rendered(ctx: Ctx<'_>, id: String, payload: String) -> Result<()> {
    let payload = checked(&ctx, payload)?;
    try_with(&ctx, |play| play.rendered(id, payload))
}

/// What tells one attempt at a step from another step, and not from another attempt: the same at every replay.
fn token_of(ctx: Ctx<'_>, id: String) -> Result<String> {
    let run = with(&ctx, |play| play.run)?;
    let hash = blake3::hash(&play::dice_of(run, &id));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[16..]);
    Ok(clock::uuid_of(u128::from_be_bytes(bytes)))
}
