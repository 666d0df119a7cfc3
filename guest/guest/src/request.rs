//! The request as a program sees it: an object whose costly parts are made at their first use.

use core::cell::RefCell;
use std::sync::Arc;

use rquickjs::{Ctx, Result, Value};
use rules::call::Request;

use crate::{clock, prelude::Prelude};

struct Single(RefCell<Option<Arc<Request>>>);
// SAFETY: Wasm without threads; nothing here is shared.
unsafe impl Sync for Single {}

/// The request of the run that goes on: where the getters look things up.
static CURRENT: Single = Single(RefCell::new(None));

/// The object for this request, which becomes the current one.
pub fn make<'js>(ctx: &Ctx<'js>, prelude: &Prelude, request: &Arc<Request>) -> Result<Value<'js>> {
    *CURRENT.0.borrow_mut() = Some(request.clone());
    let content_type = header(request, "content-type").unwrap_or_default();
    prelude.function(ctx, "makeRequest")?.call((
        clock::uuid_text(request.id),
        request.seq as f64,
        &request.method,
        &request.path,
        &request.query,
        content_type,
        request.created_at_ms as f64,
    ))
}

/// Lets the request go. A getter that is asked later, by what outlived its run, finds nothing.
pub fn forget() {
    *CURRENT.0.borrow_mut() = None;
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
