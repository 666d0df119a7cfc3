//! The JavaScript that stands around a program: loaded once, when the image is baked.

use rquickjs::{Ctx, Function, Object, Persistent, Result, Value, context::EvalOptions, prelude::Func};

use crate::{
    action, body, clock, console, crypto, error::PRELUDE_FILE_PREFIX, live, request, schema, state, template, text,
    url, webhook,
};

/// In the order in which they build on one another.
const FILES: [(&str, &str); 15] = [
    ("console.js", include_str!("prelude/console.js")),
    ("state.js", include_str!("prelude/state.js")),
    ("text.js", include_str!("prelude/text.js")),
    ("url.js", include_str!("prelude/url.js")),
    ("clone.js", include_str!("prelude/clone.js")),
    ("event.js", include_str!("prelude/event.js")),
    ("request.js", include_str!("prelude/request.js")),
    ("superjson.js", include_str!("prelude/superjson.js")),
    ("fetch.js", include_str!("prelude/fetch.js")),
    ("table.js", include_str!("prelude/table.js")),
    ("components.js", include_str!("prelude/components.js")),
    ("io.js", include_str!("prelude/io.js")),
    ("action.js", include_str!("prelude/action.js")),
    ("globals.js", include_str!("prelude/globals.js")),
    ("freeze.js", include_str!("prelude/freeze.js")),
];

/// What Rust calls of the prelude.
pub struct Prelude {
    inner: Persistent<Object<'static>>,
}

/// Kept where no program can reach it: as user data of the runtime.
struct Inner<'js>(Object<'js>);

// SAFETY: the struct holds nothing but the object, whose lifetime changes with it.
unsafe impl<'js> rquickjs::JsLifetime<'js> for Inner<'js> {
    type Changed<'to> = Inner<'to>;
}

impl Prelude {
    pub fn load(ctx: &Ctx<'_>) -> Result<Prelude> {
        let natives = natives(ctx)?;
        let inner = Object::new(ctx.clone())?;
        for (name, source) in FILES {
            let mut options = EvalOptions::default();
            options.filename = Some(format!("{PRELUDE_FILE_PREFIX}{name}"));
            let file: Function = ctx.eval_with_options(source, options)?;
            file.call::<_, ()>((natives.clone(), inner.clone()))?;
        }
        ctx.store_userdata(Inner(inner.clone())).map_err(|_| rquickjs::Error::Unknown)?;
        Ok(Prelude { inner: Persistent::save(ctx, inner) })
    }

    /// A function that the prelude gave to Rust.
    pub fn function<'js>(&self, ctx: &Ctx<'js>, name: &str) -> Result<Function<'js>> {
        self.inner.clone().restore(ctx)?.get(name)
    }
}

/// A function of the prelude, where only the context is at hand.
pub fn function<'js>(ctx: &Ctx<'js>, name: &str) -> Result<Function<'js>> {
    let inner = ctx.userdata::<Inner>().ok_or(rquickjs::Error::Unknown)?;
    inner.0.get(name)
}

/// Any value as a person would like to read it.
pub fn inspect<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<String> {
    function(ctx, "inspect")?.call((value,))
}

fn natives<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Object::new(ctx.clone())?;
    natives.set("random", Func::from(clock::random))?;
    natives.set("uuid", Func::from(clock::uuid))?;
    console::install(&natives)?;
    action::install(&natives)?;
    live::install(&natives)?;
    state::install(ctx, &natives)?;
    template::install(&natives)?;
    text::install(&natives)?;
    url::install(&natives)?;
    body::install(&natives)?;
    request::install(ctx, &natives)?;
    crypto::install(&natives)?;
    webhook::install(&natives)?;
    schema::install(&natives)?;
    Ok(natives)
}
