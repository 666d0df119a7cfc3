//! A live guest: one in which the requests of a batch follow one another, because nothing can survive from one to
//! the next but the returned state.
//!
//! The host proves of a program that its own variables are never written and that it cannot catch what is thrown
//! (worker/src/typescript/purity.rs). What its objects might still be made to hold is frozen here: an attempt to
//! change them throws. So a live guest only ever gives answers that are plain: the reducer returned, nothing was
//! thrown or swallowed, no bound was near. Anything else is left to a pristine guest, whose word counts.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rquickjs::{Ctx, Exception, Function, Object, Result, Value, prelude::Func};
use rules::limits::Limits;

use crate::meter;

static IS_LIVE: AtomicBool = AtomicBool::new(false);
static SWALLOWED: AtomicBool = AtomicBool::new(false);

pub fn install(natives: &Object<'_>) -> Result<()> {
    natives.set("swallowed", Func::from(|| SWALLOWED.store(true, Relaxed)))?;
    natives.set("makeClosed", Func::from(make_closed))
}

fn make_closed<'js>(ctx: Ctx<'js>) -> Result<Function<'js>> {
    Function::new(ctx, |ctx: Ctx<'js>| -> Result<()> {
        Err(Exception::throw_type(&ctx, "this is not open where requests share a guest"))
    })
}

/// Freezes all there is; `shared` gives what the program declared at its top. A guest in which this failed is of no
/// use.
pub fn freeze<'js>(ctx: &Ctx<'js>, shared: Value<'js>) -> Result<()> {
    crate::prelude::function(ctx, "freezeAll")?.call::<_, ()>((shared,))?;
    IS_LIVE.store(true, Relaxed);
    Ok(())
}

pub fn is_live() -> bool {
    IS_LIVE.load(Relaxed)
}

/// Before each run: nothing was swallowed yet.
pub fn begin() {
    SWALLOWED.store(false, Relaxed);
}

/// Whether what ran last, and returned, was far from its bounds and hid nothing.
pub fn is_plain(limits: &Limits) -> bool {
    !SWALLOWED.load(Relaxed) && meter::ticks() <= limits.budget_ticks / 2
}
