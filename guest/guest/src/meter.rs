//! Counts the operations of a run in QuickJS's own ticks and stops it when they are used up.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering::Relaxed};

use rquickjs::{Context, Function, Runtime, qjs};
use rules::call::Stop;

/// What QuickJS counts down from between two polls (`JS_INTERRUPT_COUNTER_INIT`).
const OPERATIONS_PER_TICK: i32 = 10_000;

static TICKS: AtomicU32 = AtomicU32::new(0);
static BUDGET: AtomicU32 = AtomicU32::new(u32::MAX);
static HALTED: AtomicBool = AtomicBool::new(false);
/// QuickJS's countdown inside the context; found at boot, see `install`.
static COUNTDOWN: AtomicPtr<i32> = AtomicPtr::new(core::ptr::null_mut());

/// Starts counting at nought. Also sets QuickJS's countdown back, so that what ran before leaves no remainder:
/// a request stops at the same operation whether or not another went before it.
pub fn begin(budget_ticks: u32) {
    TICKS.store(0, Relaxed);
    BUDGET.store(budget_ticks, Relaxed);
    HALTED.store(false, Relaxed);
    set_countdown(OPERATIONS_PER_TICK);
}

/// Lets the next operation poll.
pub fn poll_soon() {
    set_countdown(1);
}

/// What comes of the run is decided: the rest of its code is not worth running.
pub fn halt() {
    HALTED.store(true, Relaxed);
    poll_soon();
}

pub fn is_halted() -> bool {
    HALTED.load(Relaxed)
}

/// What stopped the run that began last, if anything did.
pub fn stopped() -> Option<Stop> {
    if crate::memory::was_refused() {
        Some(Stop::Memory)
    } else if TICKS.load(Relaxed) > BUDGET.load(Relaxed) {
        Some(Stop::Budget)
    } else {
        None
    }
}

/// Ticks used since `begin`.
pub fn ticks() -> u32 {
    TICKS.load(Relaxed)
}

fn set_countdown(operations: i32) {
    let countdown = COUNTDOWN.load(Relaxed);
    if !countdown.is_null() {
        // SAFETY: `install` found this field inside the one context, which is never freed.
        unsafe { countdown.write(operations) };
    }
}

/// Hooks the counting into the runtime, and finds the countdown, for which QuickJS has no function: the one
/// word of the context that goes down by one with each call. Boot fails when it is not found beyond doubt.
pub fn install(runtime: &Runtime, context: &Context) -> Result<(), String> {
    runtime.set_interrupt_handler(Some(Box::new(|| {
        TICKS.store(TICKS.load(Relaxed).saturating_add(1), Relaxed);
        let ends = stopped().is_some() || is_halted();
        if is_halted() {
            // Nor is what catches everything.
            poll_soon();
        }
        ends
    })));

    const WORDS: usize = 100;
    let base: *mut i32 = context.as_raw().as_ptr().cast();
    // SAFETY: the context is larger than this, and nothing else runs while it is read.
    let words = || -> Vec<i32> { (0..WORDS).map(|i| unsafe { base.add(i).read_volatile() }).collect() };
    let found = context.with(|ctx| -> rquickjs::Result<Vec<usize>> {
        let nothing: Function = ctx.eval("(function () {})")?;
        let mut candidates: Vec<usize> = (0..WORDS).collect();
        for calls in [3, 7, 1, 19] {
            let before = words();
            for _ in 0..calls {
                nothing.call::<_, ()>(())?;
            }
            let after = words();
            candidates.retain(|&i| after[i] > 0 && after[i] <= OPERATIONS_PER_TICK && before[i] - after[i] == calls);
        }
        Ok(candidates)
    });
    match found.as_deref() {
        // SAFETY: within the context, as above.
        Ok([index]) => COUNTDOWN.store(unsafe { base.add(*index) }, Relaxed),
        other => return Err(format!("QuickJS's countdown was not found in its context: {other:?}")),
    }
    Ok(())
}

/// As `drain_jobs`, where each job counts as some operations, because a run may do nothing but wait for what is there.
pub fn drain_jobs_of_run(ctx: &rquickjs::Ctx<'_>) {
    const OPERATIONS_PER_JOB: i32 = 20;
    while stopped().is_none() && !is_halted() && ctx.execute_pending_job() {
        let countdown = COUNTDOWN.load(Relaxed);
        if !countdown.is_null() {
            // SAFETY: as in `set_countdown`.
            unsafe { countdown.write((countdown.read() - OPERATIONS_PER_JOB).max(1)) };
        }
    }
}

/// The raw runtime's pending jobs, run until none is left or the run is stopped or decided.
pub fn drain_jobs(ctx: &rquickjs::Ctx<'_>) {
    while stopped().is_none() && !is_halted() && ctx.execute_pending_job() {}
}

const _: () = assert!(size_of::<qjs::JSValue>() == 8, "the guest is built for 32-bit Wasm");
