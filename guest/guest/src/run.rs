//! One run of one function: its bounds, its result or failure, its console.

use std::sync::Arc;

use rquickjs::{Coerced, Ctx, Exception, Function, Persistent, Result, Value, function::IntoArgs};
use rules::call::{Error, Failure, Foldable, Json, Parsed, Ran, Request, Response};
use rules::limits::{IDEMPOTENCY_KEY_BYTES_MAX, Limits};

use crate::{
    clock, console, error, live,
    machine::Machine,
    meter,
    plain::Names,
    program::{self, Program},
    request, response, state,
};

/// What every run needs.
pub struct Run<'a, 'js> {
    pub ctx: &'a Ctx<'js>,
    pub machine: &'a Machine,
    pub program: &'a Program,
    pub limits: &'a Limits,
}

/// Runs the responder.
pub fn answer(run: &Run, request: &Arc<Request>, secrets: &str) -> Ran<Response> {
    clock::begin(request.created_at_ms, &request.id.to_be_bytes());
    run.bounded(|| {
        let Some(responder) = &run.program.responder else {
            return Err(rquickjs::Exception::throw_type(run.ctx, "the program has no responder"));
        };
        let secrets = run.machine.secrets(run.ctx, secrets)?;
        let request = request::make(run.ctx, request, (&mut Names::new(run.ctx, Vec::new()), &[]))?;
        let value = run.call(responder, "responder", (request, secrets))?;
        response::of(run.ctx, value, run.limits.response_bytes)
    })
}

/// Runs the reducer over the requests in order.
pub fn fold(
    run: &Run,
    mut state: Option<Json>,
    requests: &[Foldable],
    parsed: Parsed,
    secrets: &str,
) -> Vec<Ran<Json>> {
    let mut alive = None;
    in_order(run, requests, parsed, |request, body| {
        let ran = fold_one(run, state.as_deref(), &mut alive, request, body, secrets);
        if let Ok(next) = &ran.result {
            state = Some(next.clone());
        }
        ran
    })
}

/// Runs `getIdempotencyKey` over the requests in order.
pub fn keys(run: &Run, requests: &[Foldable], parsed: Parsed, secrets: &str) -> Vec<Ran<String>> {
    in_order(run, requests, parsed, |request, body| key_one(run, request, body, secrets))
}

/// One run for each request. After a stop the rest is left: the heap may be in any shape. A live guest leaves whatever
/// has no plain answer, and what follows it.
fn in_order<'js, T>(
    run: &Run<'_, 'js>,
    requests: &[Foldable],
    parsed: Parsed,
    mut one: impl FnMut(&Arc<Request>, (&mut Names<'js>, &[u8])) -> Ran<T>,
) -> Vec<Ran<T>> {
    let mut done = Vec::with_capacity(requests.len());
    let mut names = Names::new(run.ctx, parsed.names);
    let mut bodies = parsed.bodies.into_iter();
    for Foldable { request, forced } in requests {
        let body = bodies.next().unwrap_or_default();
        let ran = match forced {
            Some(stop) => Ran { result: Err(error::of_stop(*stop)), console: Vec::new() },
            None => one(request, (&mut names, &body.0)),
        };
        if live::is_live() && !(ran.result.is_ok() && live::is_plain(run.limits)) {
            break;
        }
        let is_stopped = forced.is_none() && ran.result.as_ref().is_err_and(|failure| failure.stop.is_some());
        done.push(ran);
        if is_stopped {
            break;
        }
    }
    done
}

/// `alive` is the state as a value, where that is known to be the same as its text.
fn fold_one<'js>(
    run: &Run<'_, 'js>,
    state: Option<&str>,
    alive: &mut Option<Value<'js>>,
    request: &Arc<Request>,
    body: (&mut Names<'js>, &[u8]),
    secrets: &str,
) -> Ran<Json> {
    clock::begin(request.created_at_ms, &request.id.to_be_bytes());
    run.bounded(|| {
        // Without a reducer the state stays what it was, null at first.
        let Some(reducer) = &run.program.reducer else {
            return Ok(state.unwrap_or("null").into());
        };
        let secrets = run.machine.secrets(run.ctx, secrets)?;
        let before = match alive.take() {
            Some(value) => value,
            None => run.state(state, || Value::new_undefined(run.ctx.clone()))?,
        };
        let request = request::make(run.ctx, request, body)?;
        let next = run.call(reducer, "reducer", (before, request, secrets))?;
        let text = state::text_of(run.ctx, &next, run.limits.state_bytes)?;
        *alive = text.is_tree.then_some(next);
        Ok(text.json.into())
    })
}

fn key_one<'js>(
    run: &Run<'_, 'js>,
    request: &Arc<Request>,
    body: (&mut Names<'js>, &[u8]),
    secrets: &str,
) -> Ran<String> {
    clock::begin(request.created_at_ms, &request.id.to_be_bytes());
    run.bounded(|| {
        let own_id = || String::from_utf8_lossy(&clock::uuid_text(request.id)).into_owned();
        let Some(idempotency_key) = &run.program.idempotency_key else { return Ok(own_id()) };
        let secrets = run.machine.secrets(run.ctx, secrets)?;
        let given = request::make(run.ctx, request, body)?;
        let key = run.call(idempotency_key, "getIdempotencyKey", (given, secrets))?;
        Ok(key_of(run.ctx, &key)?.unwrap_or_else(own_id))
    })
}

/// A key as text: a string, or what names itself as one; nothing when the request is like no other.
fn key_of<'js>(ctx: &Ctx<'js>, key: &Value<'js>) -> Result<Option<String>> {
    if key.is_undefined() || key.is_null() {
        return Ok(None);
    }
    // None of these runs code of the program.
    if !(key.is_string() || key.is_number() || key.is_bool() || key.is_big_int()) {
        let message =
            "getIdempotencyKey must return a string or a number, or nothing: then no other request is the same";
        return Err(Exception::throw_type(ctx, message));
    }
    let key = match key.get::<Coerced<String>>() {
        // Two strings that differ only in halves of characters must not become one key.
        Err(rquickjs::Error::Utf8(_)) => return Err(Exception::throw_type(ctx, "the key holds half a character")),
        key => key?.0,
    };
    if key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        let message = format!("the key is {} bytes, more than the {IDEMPOTENCY_KEY_BYTES_MAX} allowed", key.len());
        return Err(Exception::throw_range(ctx, &message));
    }
    Ok(Some(key))
}

/// Runs the query; without one, gives the whole state.
pub fn query(run: &Run, state: Option<&str>, params: &str, secrets: &str, at_ms: u64) -> Ran<Response> {
    // Nothing names a read, so its dice are those of its own question.
    clock::begin(at_ms, format!("{at_ms} {params}").as_bytes());
    run.bounded(|| {
        let Some(query) = &run.program.query else {
            return Ok(response::json(state.unwrap_or("null")));
        };
        let secrets = run.machine.secrets(run.ctx, secrets)?;
        let params: Value = run.machine.prelude.function(run.ctx, "makeSearchParams")?.call((params,))?;
        let state = run.state(state, || Value::new_null(run.ctx.clone()))?;
        let value = run.call(query, "query", (state, params, secrets))?;
        response::of(run.ctx, value, run.limits.response_bytes)
    })
}

impl<'js> Run<'_, 'js> {
    /// Runs `f` within the limits and tells what came of it; a stop outweighs whatever `f` made of it.
    pub fn bounded<T>(&self, f: impl FnOnce() -> Result<T>) -> Ran<T> {
        self.machine.begin(self.limits);
        let result = f();
        // What the function left pending runs as well, so that the next request does not inherit it.
        meter::drain_jobs(self.ctx);
        request::forget(self.ctx);
        let result = match (meter::stopped(), result) {
            (Some(stop), _) => {
                let _ = self.ctx.catch();
                Err(error::of_stop(stop))
            }
            (None, Ok(value)) => Ok(value),
            (None, Err(error)) => Err(Failure { error: self.error(error), stop: None }),
        };
        Ran { result, console: console::take() }
    }

    pub fn error(&self, error: rquickjs::Error) -> Error {
        error::of_exception(self.ctx, error, &self.program.file_name)
    }

    pub fn call<A: IntoArgs<'js>>(
        &self,
        function: &Persistent<Function<'static>>,
        name: &str,
        arguments: A,
    ) -> Result<Value<'js>> {
        let function = function.clone().restore(self.ctx)?;
        let returned: Value = function.call(arguments)?;
        match returned.as_promise() {
            Some(promise) => program::settle(self.ctx, promise, name),
            None => {
                meter::drain_jobs(self.ctx);
                Ok(returned)
            }
        }
    }

    pub fn state(&self, state: Option<&str>, absent: impl FnOnce() -> Value<'js>) -> Result<Value<'js>> {
        match state {
            Some(text) => crate::body::parse_json(self.ctx, text.as_bytes()),
            None => Ok(absent()),
        }
    }
}
