//! A program: the module that was loaded, and the functions found in it by name.

use rquickjs::{Ctx, Function, Module, Persistent, Promise, Value, promise::PromiseState};
use rules::call::{Described, Error, Exports, SHARED_EXPORT};

use crate::{
    action::{self, Action},
    error, meter,
    template::{self, Template},
};

type Kept = Option<Persistent<Function<'static>>>;

pub struct Program {
    pub file_name: String,
    pub exports: Exports,
    pub responder: Kept,
    pub idempotency_key: Kept,
    pub reducer: Kept,
    pub query: Kept,
    pub templates: Vec<Template>,
    pub actions: Vec<Action>,
    /// Gives an array of what stands at the program's top.
    pub shared: Kept,
}

impl Program {
    /// Declares and evaluates the module; what its top level awaits is pumped until it settles.
    pub fn load(ctx: &Ctx<'_>, file_name: &str, source: String) -> Result<Program, Error> {
        if source.contains('\0') || file_name.contains('\0') {
            return Err(error::plain("SyntaxError", "the source holds a NUL character"));
        }
        template::begin();
        let loaded = Self::evaluate(ctx, file_name, source);
        let templates = template::end();
        Ok(Program { templates, ..loaded? })
    }

    pub fn described(&self) -> Described {
        let actions = self.actions.iter().map(|action| action.declared.clone()).collect();
        Described { exports: self.exports, actions }
    }

    fn evaluate(ctx: &Ctx<'_>, file_name: &str, source: String) -> Result<Program, Error> {
        let failed = |error| error::of_exception(ctx, error, file_name);
        let module = Module::declare(ctx.clone(), file_name, source).map_err(failed)?;
        let (module, promise) = module.eval().map_err(failed)?;
        settle(ctx, &promise, "the program").map_err(failed)?;
        let exported = |name: &str| module.namespace().and_then(|namespace| namespace.get::<_, Value>(name));
        let find = |name: &str| -> Result<Kept, Error> {
            Ok(exported(name).map_err(failed)?.into_function().map(|function| Persistent::save(ctx, function)))
        };
        let (responder, idempotency_key) = (find("responder")?, find("getIdempotencyKey")?);
        let (reducer, query) = (find("reducer")?, find("query")?);
        let actions = exported("actions").and_then(|actions| action::list(ctx, actions)).map_err(failed)?;
        Ok(Program {
            file_name: file_name.into(),
            exports: Exports {
                responder: responder.is_some(),
                idempotency_key: idempotency_key.is_some(),
                reducer: reducer.is_some(),
                query: query.is_some(),
            },
            responder,
            idempotency_key,
            reducer,
            query,
            templates: Vec::new(),
            actions,
            shared: find(SHARED_EXPORT)?,
        })
    }
}

/// Runs every pending job, then gives what the promise became. `what` is named when it never settles.
pub fn settle<'js>(ctx: &Ctx<'js>, promise: &Promise<'js>, what: &str) -> rquickjs::Result<Value<'js>> {
    meter::drain_jobs(ctx);
    match promise.state() {
        PromiseState::Pending => {
            let message =
                format!("{what} returned a promise that never settles: there are no timers and no network in a hook");
            Err(rquickjs::Exception::throw_message(ctx, &message))
        }
        _ => promise.result().unwrap_or(Err(rquickjs::Error::Unknown)),
    }
}
