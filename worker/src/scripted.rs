//! A worker that does as it is told, for tests of what stands above: no process, no thread, no chance.
//!
//! Programs are closures found by how their source begins, and what goes wrong is arranged beforehand. Nothing
//! happens by itself: a call that is held stays held until the test lets it go.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use rules::{
    call::{
        Bytes, Call, Described, Error, Exports, Failure, Foldable, Json, Level, Line, Outcome, Program, Ran, Request,
        Response, Stop,
        run::{Running, Stand},
    },
    limits::Limits,
};

use crate::{Calling, Worker, outcome};

/// What a scripted program does with one request, or one question. An `Err` is what it throws.
pub struct Script {
    pub exports: Exports,
    pub reducer: Reducer,
    pub responder: Responder,
    pub query: Query,
    pub key: Key,
    /// Names, and what each makes of the state, as JSON.
    pub templates: Vec<(String, Template)>,
    /// Every action of it.
    pub action: Action,
}

/// From the state and a request to the next state.
pub type Reducer = Box<dyn Fn(Option<&str>, &Request) -> Result<String, String> + Send + Sync>;
pub type Responder = Box<dyn Fn(&Request) -> Result<Response, String> + Send + Sync>;
/// From the state and the parameters to what is read.
pub type Query = Box<dyn Fn(Option<&str>, &str) -> Result<Response, String> + Send + Sync>;
/// From a request to its key.
pub type Key = Box<dyn Fn(&Request) -> Result<String, String> + Send + Sync>;
/// From a journal to how far the code comes.
pub type Action = Box<dyn Fn(&Running) -> Result<Stand, String> + Send + Sync>;
/// From the state to a request to prefill.
pub type Template = Box<dyn Fn(Option<&str>) -> String + Send + Sync>;

impl Script {
    /// Counts its requests: the state is a number, the query answers it, the responder says so. A body `throw`
    /// throws. The key of a request is its id, as text.
    pub fn counting() -> Self {
        let json = |status, body: String| Response {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: Bytes(body.into_bytes()),
        };
        Script {
            exports: Exports { reducer: true, query: true, ..Exports::default() },
            reducer: Box::new(|state, request| match request.body.0.as_slice() {
                b"throw" => Err("thrown by the request".into()),
                _ => Ok((state.and_then(|state| state.parse::<u64>().ok()).unwrap_or(0) + 1).to_string()),
            }),
            responder: Box::new(move |_| Ok(json(201, "\"counted\"".into()))),
            query: Box::new(move |state, _| Ok(json(200, state.unwrap_or("null").into()))),
            key: Box::new(|request| Ok(request.id.to_string())),
            templates: Vec::new(),
            action: Box::new(|_| Err("It has no action.".into())),
        }
    }
}

/// What happens to a call instead of what its program would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It stays held until `release`, and then runs.
    Held,
    Unavailable,
    /// Of a batch, its first request is stopped, and it alone is answered for.
    Stopped(Stop),
    /// A batch is answered for no more than this many requests.
    Prefix(usize),
    /// This very outcome, whatever was asked.
    Lie(Outcome),
}

#[derive(Default)]
pub struct Scripted {
    inside: Arc<Mutex<Inside>>,
}

#[derive(Default)]
struct Inside {
    scripts: Vec<(String, Arc<Script>)>,
    mishaps: VecDeque<Mishap>,
    calls: Vec<(Arc<Program>, Call)>,
    /// How many held calls may go; each takes one.
    released: usize,
    held: Vec<Waker>,
}

impl Scripted {
    /// Every program counts.
    pub fn counting() -> Self {
        Self::default().with("", Script::counting())
    }

    /// Programs whose source begins so do this. The longest beginning wins.
    pub fn with(self, beginning: &str, script: Script) -> Self {
        inside(&self.inside).scripts.push((beginning.into(), Arc::new(script)));
        self
    }

    /// The next call without a mishap of its own gets this one.
    pub fn next(&self, mishap: Mishap) {
        inside(&self.inside).mishaps.push_back(mishap);
    }

    /// Lets one held call go on: one that waits, or the next one that would.
    pub fn release(&self) {
        let held = {
            let mut inside = inside(&self.inside);
            inside.released += 1;
            std::mem::take(&mut inside.held)
        };
        // All look, one goes.
        held.into_iter().for_each(Waker::wake);
    }

    /// All that was ever asked, in order.
    pub fn calls(&self) -> Vec<(Arc<Program>, Call)> {
        inside(&self.inside).calls.clone()
    }
}

impl Worker for Scripted {
    fn call(&self, program: &Arc<Program>, call: Call, limits: Limits) -> Calling {
        let (mishap, script) = {
            let mut inside = inside(&self.inside);
            inside.calls.push((program.clone(), call.clone()));
            (inside.mishaps.pop_front(), inside.script(&program.source))
        };
        let Some(script) = script else {
            return Box::pin(async { Outcome::Unrunnable(error("No script for this program.")) });
        };
        let shared = self.inside.clone();
        Box::pin(async move {
            match mishap {
                None => run(&script, call, &limits),
                Some(Mishap::Held) => {
                    released(shared).await;
                    run(&script, call, &limits)
                }
                Some(Mishap::Unavailable) => Outcome::Unavailable("by script".into()),
                Some(Mishap::Stopped(stop)) => outcome::stopped_call(&call, stop),
                Some(Mishap::Prefix(most)) => match run(&script, call, &limits) {
                    Outcome::Folded(mut ran) => {
                        ran.truncate(most.max(1));
                        Outcome::Folded(ran)
                    }
                    Outcome::Keyed(mut ran) => {
                        ran.truncate(most.max(1));
                        Outcome::Keyed(ran)
                    }
                    other => other,
                },
                Some(Mishap::Lie(outcome)) => outcome,
            }
        })
    }
}

impl Inside {
    fn script(&self, source: &str) -> Option<Arc<Script>> {
        let matching = self.scripts.iter().filter(|(beginning, _)| source.starts_with(beginning.as_str()));
        matching.max_by_key(|(beginning, _)| beginning.len()).map(|(_, script)| script.clone())
    }
}

fn inside(shared: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn released(shared: Arc<Mutex<Inside>>) -> impl Future<Output = ()> {
    poll_fn(move |context| {
        let mut inside = inside(&shared);
        if inside.released > 0 {
            inside.released -= 1;
            return Poll::Ready(());
        }
        inside.held.push(context.waker().clone());
        Poll::Pending
    })
}

fn run(script: &Script, call: Call, limits: &Limits) -> Outcome {
    match call {
        Call::Describe => Outcome::Described(Described { exports: script.exports, actions: Vec::new() }),
        Call::Answer { request, .. } => Outcome::Answered(ran((script.responder)(&request))),
        Call::Query { state, params, .. } => Outcome::Queried(ran((script.query)(state.as_deref(), &params))),
        Call::Fold { state, requests, .. } => Outcome::Folded(fold(script, state, &requests, limits)),
        Call::Keys { requests, .. } => Outcome::Keyed(requests.iter().map(|request| key(script, request)).collect()),
        Call::Templates { state, .. } => Outcome::Templated(templates(script, state.as_deref())),
        Call::Run(running) => Outcome::Ran(ran((script.action)(&running))),
    }
}

fn fold(script: &Script, mut state: Option<Json>, requests: &[Foldable], limits: &Limits) -> Vec<Ran<Json>> {
    let one = |Foldable { request, forced }: &Foldable| {
        let ran: Ran<Json> = match forced {
            Some(stop) => outcome::ran_into(*stop),
            None => ran((script.reducer)(state.as_deref(), request).and_then(|next| match next.len() {
                bytes if bytes > limits.state_bytes => Err("The state is too large.".into()),
                _ => Ok(next.into()),
            })),
        };
        if let Ok(next) = &ran.result {
            state = Some(next.clone());
        }
        ran
    };
    requests.iter().map(one).collect()
}

fn key(script: &Script, Foldable { request, forced }: &Foldable) -> Ran<String> {
    match forced {
        Some(stop) => outcome::ran_into(*stop),
        None => ran((script.key)(request)),
    }
}

fn templates(script: &Script, state: Option<&str>) -> Ran<Json> {
    let one = |(name, template): &(String, Template)| {
        format!(r#"{{"name":{},"template":{}}}"#, serde_json::json!(name), template(state))
    };
    let list: Vec<String> = script.templates.iter().map(one).collect();
    ran(Ok(format!("[{}]", list.join(",")).into()))
}

fn ran<T>(result: Result<T, String>) -> Ran<T> {
    let console = vec![Line { level: Level::Log, messages: vec!["scripted".into()] }];
    Ran { result: result.map_err(|message| Failure { error: error(&message), stop: None }), console }
}

fn error(message: &str) -> Error {
    Error { name: "Error".into(), message: message.into(), stack: String::new(), place: None }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    fn request(seq: u64, body: &str) -> Foldable {
        let request = Request {
            id: seq.into(),
            seq,
            method: "POST".into(),
            path: "/".into(),
            query: String::new(),
            headers: Vec::new(),
            body: Bytes(body.into()),
            created_at_ms: 0,
        };
        Foldable { request: Arc::new(request), forced: None }
    }

    fn fold_of(bodies: &[&str]) -> Call {
        let requests = bodies.iter().enumerate().map(|(at, body)| request(at as u64 + 1, body)).collect();
        Call::Fold { state: None, requests, secrets: "{}".into() }
    }

    fn ready(mut calling: Calling) -> Option<Outcome> {
        match pin!(&mut calling).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    fn states(outcome: Outcome) -> Vec<Option<String>> {
        let Outcome::Folded(ran) = outcome else { panic!("{outcome:?}") };
        ran.into_iter().map(|ran| ran.result.ok().map(|state| state.to_string())).collect()
    }

    fn call(scripted: &Scripted, call: Call) -> Calling {
        scripted.call(&Arc::new(Program::new("anything")), call, Limits::default())
    }

    #[test]
    fn it_counts_and_a_throw_leaves_the_state() {
        let scripted = Scripted::counting();
        let outcome = ready(call(&scripted, fold_of(&["", "throw", ""]))).unwrap();
        assert_eq!(states(outcome), [Some("1".into()), None, Some("2".into())]);
    }

    #[test]
    fn mishaps_befall_calls_in_the_order_they_were_arranged() {
        let scripted = Scripted::counting();
        scripted.next(Mishap::Unavailable);
        scripted.next(Mishap::Prefix(1));
        scripted.next(Mishap::Stopped(Stop::Clock));
        assert!(matches!(ready(call(&scripted, fold_of(&[""]))), Some(Outcome::Unavailable(_))));
        assert_eq!(states(ready(call(&scripted, fold_of(&["", ""]))).unwrap()), [Some("1".into())]);
        assert_eq!(states(ready(call(&scripted, fold_of(&["", ""]))).unwrap()), [None]);
        assert_eq!(states(ready(call(&scripted, fold_of(&["", ""]))).unwrap()).len(), 2);
    }

    #[test]
    fn keys_and_templates_are_the_scripts_and_mishaps_befall_them_too() {
        let script = Script {
            key: Box::new(|request| match request.body.0.as_slice() {
                b"throw" => Err("no key".into()),
                body => Ok(String::from_utf8_lossy(body).into_owned()),
            }),
            templates: vec![("one".into(), Box::new(|state| state.unwrap_or("null").into()))],
            ..Script::counting()
        };
        let scripted = Scripted::default().with("", script);
        let mut requests = vec![request(1, "a"), request(2, "throw"), request(3, "c")];
        requests[2].forced = Some(Stop::Clock);
        let keys = Call::Keys { requests, secrets: "{}".into() };
        let Some(Outcome::Keyed(ran)) = ready(call(&scripted, keys.clone())) else { panic!("not keyed") };
        let keyed: Vec<_> = ran.iter().map(|ran| ran.result.as_deref().map_err(|failure| failure.stop)).collect();
        assert_eq!(keyed, [Ok("a"), Err(None), Err(Some(Stop::Clock))]);
        scripted.next(Mishap::Prefix(1));
        assert!(matches!(ready(call(&scripted, keys)), Some(Outcome::Keyed(ran)) if ran.len() == 1));

        let templates = Call::Templates { state: Some("[7]".into()), secrets: "{}".into() };
        let Some(Outcome::Templated(ran)) = ready(call(&scripted, templates)) else { panic!("not templated") };
        assert_eq!(ran.result.as_deref(), Ok(r#"[{"name":"one","template":[7]}]"#));
    }

    #[test]
    fn a_held_call_goes_on_only_when_it_is_released() {
        let scripted = Scripted::counting();
        scripted.next(Mishap::Held);
        let mut held = call(&scripted, fold_of(&[""]));
        let mut context = Context::from_waker(Waker::noop());
        assert!(held.as_mut().poll(&mut context).is_pending());
        scripted.release();
        assert!(held.as_mut().poll(&mut context).is_ready());
    }
}
