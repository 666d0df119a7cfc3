//! Runs of a connected host: its code is its own, and what it asks is matched with what it asked before.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use serde_json::Value;

use crate::{
    call::{
        Error, Json, Level,
        run::{Kind, Name, Telling},
    },
    limits::RUN_CALLS_MAX,
    record::{At, LaneId},
    refusal::Refusal,
};

use super::{Effect, Entry, Origin, Run, Step, Why, answer};

/// What a host says about a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// IO_RENDER, JSON.
    Io(Json),
    Log {
        index: u32,
        text: String,
    },
    Loading(Json),
    Redirect(Json),
    /// `{schemaVersion, status, data, meta?}`, JSON.
    Completed {
        is_success: bool,
        result: Json,
    },
}

/// A question as its host names it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `inputGroupKey`: the same for all renderings of one question.
    group: String,
    /// Of the newest rendering.
    render: String,
    /// The id of our call.
    id: String,
}

impl Asked {
    pub fn of(name: &Name, payload: &str) -> Option<Asked> {
        let payload: Value = serde_json::from_str(payload).ok()?;
        let text = |key: &str| payload.get(key).and_then(Value::as_str).map(String::from);
        Some(Asked { group: text("inputGroupKey")?, render: text("id")?, id: name.id.clone() })
    }
}

/// What came of it, beside the step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Yes,
    /// The host is told so, and its call throws.
    No(String),
    /// A question or display looks otherwise now; nothing of it is kept.
    Rendered {
        id: String,
        payload: Json,
    },
}

/// The run and attempt that a transaction names.
pub fn transaction_of(transaction: &str) -> Option<(LaneId, u32)> {
    let (run, attempt) = transaction.split_once('.')?;
    Some((LaneId(u128::from_str_radix(run, 16).ok()?), attempt.parse().ok()?))
}

impl Run {
    pub fn transaction(&self) -> String {
        format!("{:032x}.{}", self.lane.0, self.attempt)
    }

    pub fn is_host(&self) -> bool {
        matches!(self.begun.origin, Origin::Host { .. })
    }

    pub(super) fn start(&mut self, step: &mut Step) {
        step.effects.push(Effect::Start { transaction: self.transaction() });
    }

    /// What a person did goes to the host, which may be away: then it asks again when it is back.
    pub(super) fn pass_on(&self, key: &str, response: Json, step: &mut Step) {
        if let Some(asked) = self.asked.iter().rev().find(|asked| asked.id == key) {
            step.effects.push(Effect::Answer {
                transaction: self.transaction(),
                key: asked.group.clone(),
                id: asked.render.clone(),
                response,
            });
        }
    }

    /// Its host says something. `attempt` is the one it speaks of: an older one is over.
    pub fn host_says(&mut self, attempt: u32, said: Said, at: At) -> (Step, Heard) {
        let mut step = self.step();
        if attempt != self.attempt || !self.is_host() {
            return (step, Heard::No("This run was begun anew, or given up.".into()));
        }
        // That it fails now is the doing of who parked it.
        let is_parked = matches!(self.parked, Some((Why::CodeChanged, _)));
        let heard = match said {
            Said::Io(_) if is_parked => Heard::No("This run is parked: its code changed.".into()),
            Said::Io(render) => self.host_asks(render, at, &mut step),
            _ if is_parked || self.ended.is_some() => Heard::Yes,
            Said::Log { index, text } => {
                // What was told before is not told again when the code runs anew.
                if index as usize >= self.logs.len() {
                    self.log(Level::Log, text, at, &mut step);
                }
                Heard::Yes
            }
            Said::Loading(loading) => {
                self.loading = Some(loading);
                Heard::Yes
            }
            Said::Redirect(payload) => {
                self.keep(Entry::Told { telling: Telling::Redirect, payload, at }, &mut step);
                Heard::Yes
            }
            Said::Completed { is_success, result } => {
                self.end(answer::ending(is_success, &result), at, &mut step);
                Heard::Yes
            }
        };
        if !step.records.is_empty() {
            self.keep_brief(&mut step);
        }
        (step, heard)
    }

    fn host_asks(&mut self, render: Json, at: At, step: &mut Step) -> Heard {
        let Some(question) = answer::Question::parse(&render) else {
            return Heard::No("The question is not one that Everfold knows.".into());
        };
        let Some(asked) = Asked::of(&question.name(String::new()), &render) else {
            return Heard::No("The question lacks an id or an inputGroupKey.".into());
        };
        let known = self.asked.iter().rposition(|known| known.group == asked.group);
        match known {
            Some(index) => self.host_asks_again(index, asked, &question, render, at, step),
            None if self.ended.is_some() => Heard::No("This run is over.".into()),
            None => self.host_asks_first(question, render, at, step),
        }
    }

    /// A rendering of a question that is known: the same one once more, one that looks otherwise, or one whose answer
    /// would not do.
    fn host_asks_again(
        &mut self,
        index: usize,
        asked: Asked,
        question: &answer::Question,
        payload: Json,
        at: At,
        step: &mut Step,
    ) -> Heard {
        let id = self.asked[index].id.clone();
        let is_same = self.asked[index].render == asked.render;
        let call = &self.calls[self.ids[&id]];
        let is_answered = call.returned.is_some() && !call.is_display();
        if is_same || is_answered && !question.is_refused() {
            if is_answered {
                // The host was away when it was answered, or did not hear it.
                self.answer_again(&id, step);
            }
            return Heard::Yes;
        }
        if is_answered {
            let again = asked_again(&id);
            self.keep(Entry::Called { name: question.name(again.clone()), payload, at }, step);
            // Its code ran anew, and what it refuses now it refused before.
            self.answer_again(&again, step);
            return Heard::Yes;
        }
        self.asked[index].render = asked.render;
        Heard::Rendered { id, payload }
    }

    fn host_asks_first(&mut self, question: answer::Question, payload: Json, at: At, step: &mut Step) -> Heard {
        if self.calls.len() >= RUN_CALLS_MAX {
            return Heard::No(format!("A run asks at most {RUN_CALLS_MAX} questions."));
        }
        // Questions asked again have ids of their own; only first ones count.
        let next = self.asked.iter().filter(|asked| !asked.id.contains('~')).count();
        let name = question.name(next.to_string());
        if let Some(recorded) = self.call(&name.id).map(|call| call.name.clone())
            && (recorded.method.as_str(), recorded.label.as_str()) != (name.method.as_str(), name.label.as_str())
        {
            self.park_changed(&shown(&recorded), &shown(&name), at, step);
            return Heard::No("The code changed: it asks something else than it did.".into());
        }
        let id = name.id.clone();
        self.keep(Entry::Called { name, payload, at }, step);
        let call = &self.calls[self.ids[&id]];
        if call.is_display() && !question.waits() {
            if call.returned.is_none() {
                let result = Ok(answer::Answer::of_display(question.len()).to_json());
                self.keep(Entry::Returned { id, result, by: None, at }, step);
            }
        } else if call.returned.is_some() {
            self.answer_again(&id, step);
        }
        Heard::Yes
    }

    fn answer_again(&self, id: &str, step: &mut Step) {
        let answered =
            self.call(id).and_then(|call| call.returned.as_ref()).and_then(|returned| returned.result.as_ref().ok());
        if let Some(answer) = answered.and_then(|json| answer::Answer::parse(json)) {
            self.pass_on(id, answer.response("RETURN"), step);
        }
    }

    /// Another host came that has this action, and the one that ran it is not there.
    pub fn host_gone(&mut self, message: String, at: At) -> Step {
        let mut step = self.step();
        if self.is_host() && self.ended.is_none() && self.parked.is_none() {
            self.keep(Entry::Parked { why: Why::HostGone, message, at }, &mut step);
            self.keep_brief(&mut step);
        }
        step
    }

    /// Its code runs anew, over the answers there are.
    pub fn host_resumes(&mut self, at: At) -> Result<Step, Refusal> {
        if self.ended.is_some() {
            return Err(Refusal::RUN_OVER);
        }
        if !matches!(self.parked, Some((Why::HostGone, _))) {
            return Err(Refusal::RUN_NOT_PARKED);
        }
        let mut step = self.step();
        self.keep(Entry::Resumed { at }, &mut step);
        self.start(&mut step);
        self.keep_brief(&mut step);
        Ok(step)
    }

    /// Nobody looks at it any more: a host may forget its tables.
    pub fn close(&self) -> Option<Effect> {
        (self.is_host() && self.ended.is_some()).then(|| Effect::Close { transaction: self.transaction() })
    }
}

/// `0`, then `0~1`, `0~2`.
fn asked_again(id: &str) -> String {
    match id.split_once('~') {
        Some((first, times)) => format!("{first}~{}", times.parse().unwrap_or(0u32) + 1),
        None => format!("{id}~1"),
    }
}

fn shown(name: &Name) -> String {
    format!("{} {}", name.method, name.label)
}

impl answer::Question {
    pub fn name(&self, id: String) -> Name {
        let parts = || self.parts.iter();
        let method = parts().map(|part| part.method.as_str()).collect::<Vec<_>>().join("+");
        let label = parts().map(|part| part.label.as_str()).collect::<Vec<_>>().join(", ");
        Name { id, kind: Kind::Io, method, label }
    }
}

/// What a host's own failure looks like.
pub fn error_of(data: &Value) -> Error {
    let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default();
    let message = match text("cause") {
        "" => text("message").to_string(),
        cause => format!("{} (cause: {cause})", text("message")),
    };
    let name = if text("error").is_empty() { "Error" } else { text("error") };
    Error::plain(name, message)
}
