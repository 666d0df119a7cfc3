//! Templates: requests to prefill, declared while a program loads and built from a state when they are listed.

use core::cell::RefCell;

use rquickjs::{Ctx, Exception, Function, Object, Persistent, Result, Value, prelude::Func};
use rules::call::{Json, Ran};
use rules::limits::{JSON_DEPTH_MAX, TEMPLATES_MAX};
use serde_json::json;

use crate::{clock, meter, response, run::Run, state, text};

pub struct Template {
    name: String,
    build: Persistent<Function<'static>>,
}

struct Single(RefCell<Option<Vec<Template>>>);
// SAFETY: Wasm without threads; nothing here is shared.
unsafe impl Sync for Single {}

/// What the program that loads has declared so far; nothing while none loads.
static DECLARED: Single = Single(RefCell::new(None));

/// A list and an object stand around each template.
const DEPTH_MAX: usize = JSON_DEPTH_MAX - 2;

pub fn install(natives: &Object<'_>) -> Result<()> {
    natives.set("template", Func::from(declare))
}

/// A program loads from here on.
pub fn begin() {
    *DECLARED.0.borrow_mut() = Some(Vec::new());
}

/// What was declared since; nothing more can be.
pub fn end() -> Vec<Template> {
    DECLARED.0.take().unwrap_or_default()
}

fn declare<'js>(ctx: Ctx<'js>, name: Value<'js>, build: Value<'js>) -> Result<()> {
    if DECLARED.0.borrow().is_none() {
        let message = "template(…) is called at the top level of a program, not while one of its functions runs";
        return Err(Exception::throw_message(&ctx, message));
    }
    let Some(name) = name.as_string() else {
        return Err(Exception::throw_type(&ctx, "the name of a template must be a string"));
    };
    let Some(build) = build.into_function() else {
        return Err(Exception::throw_type(&ctx, "a template is built by a function: template(name, (state) => …)"));
    };
    // May run code of the program, which may declare another: nothing is borrowed yet.
    let name = text::lossy(&ctx, name)?;
    if keep(Template { name, build: Persistent::save(&ctx, build) }) {
        return Ok(());
    }
    Err(Exception::throw_range(&ctx, &format!("a program has at most {TEMPLATES_MAX} templates")))
}

/// False when there is no room for it.
fn keep(template: Template) -> bool {
    match DECLARED.0.borrow_mut().as_mut() {
        Some(templates) if templates.len() < TEMPLATES_MAX => {
            templates.push(template);
            true
        }
        _ => false,
    }
}

/// Builds all of them, within the bounds of one call. Each is given a state of its own.
pub fn list(run: &Run, state: Option<&str>, secrets: &str) -> Ran<Json> {
    // Nothing names a listing, so time and dice stand where they stood while the program was loaded.
    clock::begin(0, b"templates");
    run.bounded(|| {
        run.machine.secrets(run.ctx, secrets)?;
        let mut list = String::from("[");
        for template in &run.program.templates {
            let built = build(run, template, state);
            if meter::stopped().is_some() {
                return Err(rquickjs::Error::Exception);
            }
            let name = json!(template.name);
            let entry = match built {
                Ok(built) => format!(r#"{{"name":{name},"template":{built}}}"#),
                Err(error) => {
                    let error = run.error(error);
                    let (kind, message) = (json!(error.name), json!(error.message));
                    format!(r#"{{"name":{name},"error":{{"name":{kind},"message":{message}}}}}"#)
                }
            };
            if list.len() > 1 {
                list.push(',');
            }
            list.push_str(&entry);
            if list.len() >= run.limits.response_bytes {
                let message = format!("the templates are more than the {} bytes allowed", run.limits.response_bytes);
                return Err(Exception::throw_range(run.ctx, &message));
            }
        }
        list.push(']');
        Ok(list.into())
    })
}

/// What `JSON.stringify` makes of it; null where it makes nothing.
fn build(run: &Run, template: &Template, state: Option<&str>) -> Result<String> {
    let state = run.state(state, || Value::new_null(run.ctx.clone()))?;
    let built = run.call(&template.build, "template", (state,))?;
    let text = response::stringify(run.ctx, built)?.unwrap_or_else(|| "null".into());
    if state::depth(&text) > DEPTH_MAX {
        return Err(Exception::throw_range(run.ctx, &format!("the template nests deeper than {DEPTH_MAX}")));
    }
    Ok(text)
}
