//! The one QuickJS runtime of an instance, from boot to answer.

use rquickjs::{Context, Ctx, Object, Persistent, Runtime, Value};
use rules::call::{Bounded, Call, Described, Error, Outcome};
use rules::limits::Limits;

use crate::{
    action, clock, console, error, live, memory, meter,
    prelude::Prelude,
    program::Program,
    run::{self, Run},
    template,
};

/// QuickJS's own stack bound. Below the shadow stack (1 MiB), so that too deep a recursion is a RangeError and not a
/// trap, and small enough that what it takes of the native stack stays under 16 MiB.
const JS_STACK_BYTES: usize = 256 << 10;

/// When QuickJS first looks for cycles that nothing refers to. A collection touches every object there is, and so
/// would copy the whole image; a call that makes less than this ends before one is needed.
const COLLECT_FROM_BYTES: usize = 16 << 20;

pub struct Machine {
    context: Context,
    pub prelude: Prelude,
    program: Option<Program>,
    /// The global `secrets` while no call has brought any.
    no_secrets: Persistent<Object<'static>>,
    runtime: Runtime,
}

impl Machine {
    pub fn boot() -> Result<Machine, String> {
        let text = |error: rquickjs::Error| error.to_string();
        let runtime = Runtime::new_with_alloc(memory::Heap).map_err(text)?;
        runtime.set_max_stack_size(JS_STACK_BYTES);
        let context = Context::full(&runtime).map_err(text)?;
        meter::install(&runtime, &context)?;
        let (prelude, no_secrets) = context
            .with(|ctx| {
                let prelude = Prelude::load(&ctx)?;
                let no_secrets: Object = prelude.function(&ctx, "setSecrets")?.call(("{}",))?;
                Ok((prelude, Persistent::save(&ctx, no_secrets)))
            })
            .map_err(text)?;
        Self::tidy(&runtime);
        Ok(Machine { context, prelude, program: None, no_secrets, runtime })
    }

    /// Loads an ES module as the program of this instance. Its top level sees time nought and dice nought.
    pub fn load(&mut self, file_name: &str, source: String) -> Result<Described, Error> {
        self.begin(&Limits::default());
        clock::begin(0, b"load");
        let loaded = self.context.with(|ctx| Program::load(&ctx, file_name, source));
        let program = match (loaded, meter::stopped()) {
            (_, Some(stop)) => return Err(error::of_stop(stop).error),
            (loaded, None) => loaded?,
        };
        let described = program.described();
        self.program = Some(program);
        Self::tidy(&self.runtime);
        Ok(described)
    }

    /// Closes all that outlives a call; only a program that tells what it shares can be closed.
    pub fn freeze(&self) -> bool {
        self.begin(&Limits::default());
        let Some(shared) = self.program.as_ref().and_then(|program| program.shared.as_ref()) else { return false };
        let frozen = self.context.with(|ctx| {
            let shared: Value = shared.clone().restore(&ctx)?.call(())?;
            live::freeze(&ctx, shared)
        });
        Self::tidy(&self.runtime);
        frozen.is_ok() && meter::stopped().is_none()
    }

    pub fn call(&self, bounded: Bounded) -> Outcome {
        let Some(program) = &self.program else {
            return Outcome::Unavailable("No program was loaded.".into());
        };
        let limits = bounded.limits;
        self.context.with(|ctx| {
            let run = Run { ctx: &ctx, machine: self, program, limits: &limits };
            match bounded.call {
                Call::Describe => Outcome::Described(program.described()),
                Call::Answer { request, secrets } => Outcome::Answered(run::answer(&run, &request, &secrets)),
                Call::Fold { state, requests, secrets } => {
                    if requests.is_empty() {
                        return Outcome::Unavailable("A fold over no requests has no answer.".into());
                    }
                    Outcome::Folded(run::fold(&run, state, &requests, bounded.parsed, &secrets))
                }
                Call::Query { state, params, secrets, at_ms } => {
                    Outcome::Queried(run::query(&run, state.as_deref(), &params, &secrets, at_ms))
                }
                Call::Keys { requests, secrets } => {
                    if requests.is_empty() {
                        return Outcome::Unavailable("No requests have no keys.".into());
                    }
                    Outcome::Keyed(run::keys(&run, &requests, bounded.parsed, &secrets))
                }
                Call::Templates { state, secrets } => {
                    Outcome::Templated(template::list(&run, state.as_deref(), &secrets))
                }
                Call::Run(running) => Outcome::Ran(action::play(&run, &running)),
            }
        })
    }

    /// Makes the call's secrets the global constant, and gives them. Most programs have none.
    pub fn secrets<'js>(&self, ctx: &Ctx<'js>, secrets: &str) -> rquickjs::Result<Value<'js>> {
        if secrets == "{}" {
            return self.no_secrets.clone().restore(ctx).map(Object::into_value);
        }
        self.prelude.function(ctx, "setSecrets")?.call((secrets,))
    }

    /// What boot or loading left over does not belong into an image; and a call begins with room before it collects.
    fn tidy(runtime: &Runtime) {
        runtime.run_gc();
        runtime.set_gc_threshold(COLLECT_FROM_BYTES);
    }

    /// Sets every bound back for what runs next.
    pub fn begin(&self, limits: &Limits) {
        live::begin();
        console::begin(limits.console_bytes);
        memory::begin(limits.heap_bytes);
        meter::begin(limits.budget_ticks);
    }
}
