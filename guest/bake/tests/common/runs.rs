//! Plays runs as a server would: keeps the moves, and adds what came from outside.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;

use rules::call::{
    Call, Error, Json, Outcome, Ran,
    run::{End, Kind, Move, Name, Note, Running, Stand, Telling},
};
use rules::limits::Limits;
use serde_json::Value;

use super::*;

pub const CONTEXT: &str = r#"{"user":{"email":"a@b.c","firstName":"A","lastName":"B","role":"admin","teams":["ops"]},
    "params":{"n":1,"when":"2020-01-02T03:04:05.006Z","big":"7"},"paramsMeta":{"values":{"big":["bigint"]}},
    "environment":"production","organization":{"name":"Org","slug":"org"},"action":{"slug":"it","url":"http://x/a/it"}}"#;

/// A run and its journal; every play is in a fresh guest.
pub struct Run {
    pub source: String,
    pub journal: Vec<Note>,
    pub moves: Vec<Move>,
    pub last: Option<Stand>,
    pub console: Vec<rules::call::Line>,
    pub at_ms: u64,
    /// Where people were in a page that is opened anew, JSON.
    pub states: String,
}

/// A program with one action, of whose body this is the text.
pub fn action(body: &str) -> String {
    format!("export const actions = {{ it: async (io, ctx) => {{ {body} }} }};")
}

pub fn run(body: &str) -> Run {
    let mut run = Run::of(&action(body));
    run.play();
    run
}

/// A page that is looked at; this is the text of its handler's body.
pub fn page(body: &str) -> Run {
    let handler = format!("async (display, ctx) => {{ {body} }}");
    let mut run = Run::of(&format!("export const actions = {{ it: new Page({{ name: 'It', handler: {handler} }}) }};"));
    run.play();
    run
}

impl Run {
    pub fn of(source: &str) -> Run {
        Run {
            source: source.into(),
            journal: Vec::new(),
            moves: Vec::new(),
            last: None,
            console: Vec::new(),
            at_ms: NOON,
            states: "null".into(),
        }
    }

    pub fn try_play(&self) -> Ran<Stand> {
        let running = Running {
            action: "it".into(),
            context: format!(r#"{{"states":{},{}"#, self.states, &CONTEXT[1..]).into(),
            secrets: r#"{"key":"s3"}"#.into(),
            run: 77,
            began_at_ms: NOON,
            journal: self.journal.clone(),
        };
        match program(&self.source).call(Call::Run(Arc::new(running)), Limits::of_run()).unwrap() {
            Outcome::Ran(ran) => ran,
            other => panic!("not run: {other:?}"),
        }
    }

    /// Plays on, and keeps what was done.
    pub fn play(&mut self) -> &mut Run {
        let ran = self.try_play();
        let stand = ran.result.unwrap_or_else(|failure| panic!("{}: {failure:?}", self.source));
        self.console = ran.console;
        for step in &stand.moves {
            self.at_ms += 1;
            self.journal.push(note_of(step, self.at_ms));
        }
        self.moves.extend(stand.moves.clone());
        self.last = Some(stand);
        self
    }

    /// Something came from outside.
    pub fn receive(&mut self, id: &str, result: Result<&str, Error>) -> &mut Run {
        self.at_ms += 1000;
        let result = result.map(Json::from);
        self.journal.push(Note::Returned { id: id.into(), at_ms: self.at_ms, result });
        self
    }

    /// A person's answer, of one value.
    pub fn answer(&mut self, id: &str, value: &str) -> &mut Run {
        let values = format!(r#"{{"values":[{value}]}}"#);
        self.receive(id, Ok(&values)).play()
    }

    pub fn returns(&mut self, id: &str, json: &str) -> &mut Run {
        self.receive(id, Ok(json)).play()
    }

    /// A person moves in a table or a search.
    pub fn state(&mut self, id: &str, state: &str) -> &mut Run {
        self.at_ms += 1000;
        let values = format!("[{state}]").into();
        self.journal.push(Note::Stated { id: id.into(), at_ms: self.at_ms, values });
        self.play()
    }

    pub fn stand(&self) -> &Stand {
        self.last.as_ref().unwrap()
    }

    pub fn result(&self) -> String {
        match &self.stand().end {
            Some(End::Completed(json)) => json.to_string(),
            other => panic!("not completed: {other:?} after {:?}", self.moves),
        }
    }

    pub fn failure(&self) -> &Error {
        match &self.stand().end {
            Some(End::Failed(error)) => error,
            other => panic!("not failed: {other:?} after {:?}", self.moves),
        }
    }

    /// The ids and names of all calls so far.
    pub fn calls(&self) -> Vec<String> {
        let called = self.moves.iter().filter_map(|step| match step {
            Move::Called { name, .. } => Some(format!("{} {}", name.id, words(name))),
            _ => None,
        });
        called.collect()
    }

    pub fn payload(&self, id: &str) -> Value {
        let called = self.moves.iter().find_map(|step| match step {
            Move::Called { name, payload } if name.id == id => Some(payload),
            _ => None,
        });
        serde_json::from_str(called.unwrap_or_else(|| panic!("no {id} in {:?}", self.moves))).unwrap()
    }

    /// The first part of a question or display.
    pub fn part(&self, id: &str) -> Value {
        self.payload(id)["toRender"][0].clone()
    }

    pub fn tellings(&self, wanted: Telling) -> Vec<String> {
        let told = self.moves.iter().filter_map(|step| match step {
            Move::Told { telling, payload } if *telling == wanted => Some(payload.to_string()),
            _ => None,
        });
        told.collect()
    }

    pub fn rendered(&self, id: &str) -> Value {
        let payload = self.stand().rendered.iter().find(|(other, _)| other == id);
        serde_json::from_str(&payload.unwrap_or_else(|| panic!("{id} is as it was: {:?}", self.stand())).1).unwrap()
    }
}

fn words(name: &Name) -> String {
    let kind = if name.kind == Kind::Io { String::new() } else { format!("{:?}", name.kind) };
    [kind.as_str(), &name.method, &name.label].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

pub fn note_of(step: &Move, at_ms: u64) -> Note {
    match step {
        Move::Called { name, .. } => Note::Called(name.clone()),
        Move::Returned { id, result } => Note::Returned { id: id.clone(), at_ms, result: result.clone() },
        Move::Told { .. } => Note::Told,
    }
}

pub fn error(name: &str, message: &str) -> Error {
    Error { name: name.into(), message: message.into(), stack: String::new(), place: None }
}
