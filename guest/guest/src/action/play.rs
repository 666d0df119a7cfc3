//! How far a run has been played: which calls were made, what the journal still holds, what is to happen next.

use std::collections::{BTreeMap, VecDeque};

use rquickjs::{Function, Persistent};
use rules::{
    call::{
        Error, Json,
        run::{End, Kind, Move, Name, Note, Running, Stand, Telling},
    },
    limits::Limits,
};

use crate::{clock, console, error, meter};

type Kept = Persistent<Function<'static>>;

/// How deep steps may stand in steps.
const DEPTH_MAX: usize = 16;
/// What a move costs beside its texts, so that empty ones are not free.
const MOVE_BYTES: usize = 64;

/// The run goes no further: it has changed, or did more than it may.
pub struct Over;

/// A call that was made, and how what becomes of it is handed over.
pub struct Waiting {
    /// Where it was made.
    pub scope: String,
    /// Takes whether it went well, and the value or the error.
    pub settle: Kept,
    pub own: Own,
    /// Takes how a person moved in it.
    pub stated: Option<Kept>,
    /// Its answer is looked at first, in its own scope.
    pub judges: bool,
    /// How it looks follows from the last thing a person did in it alone.
    pub is_pageable: bool,
    pub is_pending: bool,
}

/// What returns a call.
pub enum Own {
    /// Somebody outside.
    Nothing,
    /// The function of a step.
    Step(Kept),
    /// Being shown: this is the answer.
    Shown(Json),
}

/// What happens next; the scope is set already.
pub enum Event {
    Begin(Kept),
    Settled {
        settle: Kept,
        result: Result<Json, Error>,
    },
    Stated {
        stated: Kept,
        values: Json,
    },
    /// A note that concerns nobody.
    Nothing,
}

/// What the code's own doing is still to lead to.
enum Local {
    Begin(String),
    Show(String),
    Ended(String, Result<Json, Error>),
    Judged(String, Kept),
}

/// What the journal says that the code did, in order; what a step did that is not run again is left out, but for its
/// tellings, which nothing tells from others.
enum Did {
    Called(String),
    Returned(String),
    Told,
}

/// A step that the journal says has returned.
struct Returned {
    result: Result<Json, Error>,
    /// How many notes from outside had come when it did.
    notes: usize,
    is_begun: bool,
}

pub struct Play {
    pub run: u128,
    pub file_name: String,
    pub scope: String,
    bytes_left: usize,
    console_bytes: usize,
    /// Where the dice of each scope stand: a step that is not run again must not leave them elsewhere than it did.
    dice: BTreeMap<String, u64>,
    /// How many calls each scope has made.
    made: BTreeMap<String, u32>,
    calls: BTreeMap<String, Waiting>,
    names: BTreeMap<String, Name>,

    recorded: BTreeMap<String, Name>,
    steps: BTreeMap<String, Returned>,
    did: Vec<Did>,
    did_at: usize,
    /// Notes from outside, and how many have come.
    notes: Vec<Note>,
    notes_at: usize,
    is_used_up: bool,

    /// What waits, the next one last.
    waiting: Vec<Local>,
    /// What the event that goes on leads to.
    fresh: VecDeque<Local>,
    /// Errors that were thrown out of steps just now.
    thrown: Vec<Error>,
    /// Nothing but loading was told since the event began, or since the last thing that was not.
    is_loading: bool,

    moves: Vec<Move>,
    rendered: BTreeMap<String, Json>,
    end: Option<End>,
    is_over: bool,
}

/// What the dice of a scope begin with.
pub fn dice_of(run: u128, scope: &str) -> Vec<u8> {
    let mut seed = run.to_be_bytes().to_vec();
    seed.extend_from_slice(scope.as_bytes());
    seed
}

impl Play {
    pub fn begin(running: &Running, file_name: &str, limits: &Limits) -> Play {
        let mut play = Play {
            run: running.run,
            file_name: file_name.into(),
            scope: String::new(),
            bytes_left: limits.response_bytes,
            console_bytes: limits.console_bytes,
            dice: BTreeMap::new(),
            made: BTreeMap::new(),
            calls: BTreeMap::new(),
            names: BTreeMap::new(),
            recorded: BTreeMap::new(),
            steps: BTreeMap::new(),
            did: Vec::new(),
            did_at: 0,
            notes: Vec::new(),
            notes_at: 0,
            is_used_up: false,
            waiting: Vec::new(),
            fresh: VecDeque::new(),
            thrown: Vec::new(),
            is_loading: false,
            moves: Vec::new(),
            rendered: BTreeMap::new(),
            end: None,
            is_over: false,
        };
        play.read(&running.journal);
        play.note_whether_used_up();
        play
    }

    fn read(&mut self, journal: &[Note]) {
        for note in journal {
            if let Note::Called(name) = note {
                self.recorded.insert(name.id.clone(), name.clone());
            }
        }
        // How many notes from outside had come when one of them came to a step.
        let mut last_within: BTreeMap<&str, usize> = BTreeMap::new();
        for note in journal {
            match note {
                Note::Returned { id, result, .. } if self.returns_itself(id, result) => {
                    if self.recorded[id].kind == Kind::Step {
                        let notes = last_within.get(id.as_str()).copied().unwrap_or_default();
                        let returned = Returned { result: result.clone(), notes, is_begun: false };
                        self.steps.entry(id.clone()).or_insert(returned);
                    }
                }
                Note::Returned { id, .. } => {
                    self.notes.push(note.clone());
                    for above in ancestors(id) {
                        last_within.insert(above, self.notes.len());
                    }
                }
                Note::Stated { .. } => self.notes.push(note.clone()),
                Note::Called(_) | Note::Told => {}
            }
        }
        for note in journal {
            let did = match note {
                Note::Called(name) => Did::Called(name.id.clone()),
                Note::Returned { id, result, .. } if self.returns_itself(id, result) => Did::Returned(id.clone()),
                Note::Told => Did::Told,
                Note::Returned { .. } | Note::Stated { .. } => continue,
            };
            let is_left_out = match &did {
                Did::Called(id) | Did::Returned(id) => self.is_within_returned(id),
                Did::Told => false,
            };
            if !is_left_out {
                self.did.push(did);
            }
        }
    }

    /// Whether the code itself returned this: a step, or a display that was only shown.
    fn returns_itself(&self, id: &str, result: &Result<Json, Error>) -> bool {
        let Some(name) = self.recorded.get(id) else { return false };
        match name.kind {
            Kind::Step => true,
            Kind::Io => {
                let is_display = name.method.split('+').all(|method| method.starts_with("DISPLAY_"));
                let is_chosen = result.as_ref().map_or(true, |json| json.contains("\"choice\""));
                (is_display || name.method.is_empty()) && !is_chosen
            }
            _ => false,
        }
    }

    /// Whether it stands in a step that is not run again.
    fn is_within_returned(&self, id: &str) -> bool {
        ancestors(id).any(|above| self.steps.contains_key(above))
    }

    /// The next thing to happen, its scope entered; nothing when all waits for somebody outside.
    pub fn next(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        while let Some(last) = self.fresh.pop_back() {
            self.waiting.push(last);
        }
        self.is_loading = false;
        loop {
            if let Some(id) = self.due_step() {
                let result = self.steps[&id].result.clone();
                self.thrown.extend(result.as_ref().err().map(|error| Error {
                    // Its place is the owner's already.
                    stack: String::new(),
                    place: None,
                    ..error.clone()
                }));
                return Some(self.settle(&id, result));
            }
            if let Some(local) = self.waiting.pop() {
                match self.happen(local) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let note = self.notes.get(self.notes_at)?.clone();
            self.notes_at += 1;
            let event = self.receive(note);
            self.note_whether_used_up();
            if self.is_over {
                return None;
            }
            return Some(event);
        }
    }

    /// The step that has returned by now, if it is the next thing that the journal says was done.
    fn due_step(&self) -> Option<String> {
        let next = self.did[self.did_at..].iter().find(|did| !matches!(did, Did::Told));
        let Some(Did::Returned(id)) = next else { return None };
        let is_due = self.steps.get(id).is_some_and(|step| step.is_begun && step.notes <= self.notes_at);
        (is_due && self.calls.get(id).is_some_and(|call| call.is_pending)).then(|| id.clone())
    }

    fn happen(&mut self, local: Local) -> Option<Event> {
        match local {
            Local::Begin(id) => {
                if let Some(step) = self.steps.get_mut(&id) {
                    step.is_begun = true;
                    return None;
                }
                // What an action that has ended did not wait for is not done.
                if self.end.is_some() {
                    return None;
                }
                let Own::Step(start) = &self.calls.get(&id)?.own else { return None };
                let start = start.clone();
                self.enter(&id);
                Some(Event::Begin(start))
            }
            Local::Show(id) => {
                let Own::Shown(answer) = &self.calls.get(&id)?.own else { return None };
                let answer = answer.clone();
                self.returned(&id, &Ok(answer.clone()));
                Some(self.settle(&id, Ok(answer)))
            }
            Local::Ended(id, result) => {
                if !self.calls.get(&id)?.is_pending {
                    return None;
                }
                self.thrown.extend(result.as_ref().err().cloned());
                self.returned(&id, &result);
                Some(self.settle(&id, result))
            }
            Local::Judged(id, then) => {
                let scope = self.calls.get(&id)?.scope.clone();
                self.enter(&scope);
                Some(Event::Begin(then))
            }
        }
    }

    fn receive(&mut self, note: Note) -> Event {
        match note {
            Note::Returned { id, at_ms, result } => {
                clock::set_now(at_ms);
                if self.is_within_returned(&id) {
                    return Event::Nothing;
                }
                match self.calls.get(&id) {
                    Some(call) if call.is_pending => self.settle(&id, result),
                    Some(_) => Event::Nothing,
                    None => {
                        self.change(id, "nothing".into());
                        Event::Nothing
                    }
                }
            }
            Note::Stated { id, at_ms, values } => {
                clock::set_now(at_ms);
                let is_moved_on = |note: &Note| matches!(note, Note::Stated { id: other, .. } if *other == id);
                let Some(call) = self.calls.get(&id) else { return Event::Nothing };
                let Some(stated) = call.stated.clone() else { return Event::Nothing };
                if call.is_pageable && self.notes[self.notes_at..].iter().any(is_moved_on) {
                    return Event::Nothing;
                }
                self.enter(&id);
                Event::Stated { stated, values }
            }
            Note::Called(_) | Note::Told => Event::Nothing,
        }
    }

    /// Hands over what became of a call, in the scope that goes on with it.
    fn settle(&mut self, id: &str, result: Result<Json, Error>) -> Event {
        self.pass(|did| matches!(did, Did::Returned(other) if other == id));
        let Some(call) = self.calls.get_mut(id) else { return Event::Nothing };
        call.is_pending = false;
        let settle = call.settle.clone();
        let scope = if call.judges { id.into() } else { call.scope.clone() };
        if matches!(call.own, Own::Nothing) {
            self.rendered.remove(id);
        }
        self.enter(&scope);
        Event::Settled { settle, result }
    }

    fn enter(&mut self, scope: &str) {
        if self.scope == scope {
            return;
        }
        let left = core::mem::replace(&mut self.scope, scope.into());
        self.dice.insert(left, clock::dice());
        match self.dice.get(scope) {
            Some(dice) => clock::set_dice(*dice),
            None => clock::seed_dice(&dice_of(self.run, scope)),
        }
    }

    pub fn called(
        &mut self,
        (kind, method, label): (Kind, String, String),
        payload: Json,
        call: Waiting,
    ) -> Result<String, Over> {
        let count = self.made.entry(self.scope.clone()).or_default();
        let id = if self.scope.is_empty() { count.to_string() } else { format!("{}.{count}", self.scope) };
        *count += 1;
        if ancestors(&id).count() >= DEPTH_MAX {
            return Err(self.overdo(&format!("steps stand in steps, deeper than {DEPTH_MAX}")));
        }
        self.make(Name { id: id.clone(), kind, method, label }, payload, call)?;
        Ok(id)
    }

    pub fn ask_again(&mut self, id: &str, payload: Json) -> Result<String, Over> {
        let (first, times) = id.rsplit_once('~').unwrap_or((id, "0"));
        let again = format!("{first}~{}", times.parse::<u32>().unwrap_or_default() + 1);
        let Some(call) = self.calls.get(id) else { return Err(Over) };
        let call = Waiting {
            scope: call.scope.clone(),
            settle: call.settle.clone(),
            own: Own::Nothing,
            stated: call.stated.clone(),
            judges: call.judges,
            is_pageable: call.is_pageable,
            is_pending: true,
        };
        let name = self.names.get(id).cloned();
        let Some(name) = name else { return Err(Over) };
        self.make(Name { id: again.clone(), ..name }, payload, call)?;
        Ok(again)
    }

    fn make(&mut self, name: Name, payload: Json, call: Waiting) -> Result<(), Over> {
        if self.is_over {
            return Err(Over);
        }
        self.is_loading = false;
        let id = name.id.clone();
        match self.recorded.get(&id) {
            Some(recorded) if *recorded != name => {
                self.change(id, described(&name));
                return Err(Over);
            }
            Some(_) => self.pass(|did| matches!(did, Did::Called(other) if *other == id)),
            None => {
                self.spend(id.len() + name.method.len() + name.label.len() + payload.len())?;
                self.moves.push(Move::Called { name: name.clone(), payload });
            }
        }
        match &call.own {
            Own::Nothing => {}
            Own::Step(_) => self.fresh.push_back(Local::Begin(id.clone())),
            Own::Shown(_) => self.fresh.push_back(Local::Show(id.clone())),
        }
        self.names.insert(id.clone(), name);
        self.calls.insert(id, call);
        Ok(())
    }

    pub fn judged(&mut self, id: &str, then: Kept) {
        self.fresh.push_back(Local::Judged(id.into(), then));
    }

    pub fn ended(&mut self, id: String, result: Result<Json, Error>) {
        self.fresh.push_back(Local::Ended(id, result));
    }

    /// What a step or a display came to, unless the journal has it.
    fn returned(&mut self, id: &str, result: &Result<Json, Error>) {
        let is_recorded = self.did[self.did_at..].iter().any(|did| matches!(did, Did::Returned(other) if other == id));
        if is_recorded {
            return;
        }
        let bytes = match result {
            Ok(json) => json.len(),
            Err(error) => error.name.len() + error.message.len() + error.stack.len(),
        };
        if self.spend(id.len() + bytes).is_ok() {
            self.moves.push(Move::Returned { id: id.into(), result: result.clone() });
        }
    }

    pub fn told(&mut self, telling: Telling, payload: Json) -> Result<(), Over> {
        if self.is_over {
            return Err(Over);
        }
        // Of a loading state that changes many times at once only the last is told.
        let goes_on =
            telling == Telling::Loading && core::mem::replace(&mut self.is_loading, telling == Telling::Loading);
        if telling != Telling::Loading {
            self.is_loading = false;
        }
        if goes_on {
            if let Some(Move::Told { telling: Telling::Loading, payload: last }) = self.moves.last_mut() {
                self.bytes_left = self.bytes_left.saturating_sub(payload.len().saturating_sub(last.len()));
                *last = payload;
            }
            return Ok(());
        }
        if self.did_at < self.did.len() {
            if matches!(self.did[self.did_at], Did::Told) {
                self.did_at += 1;
                self.note_whether_used_up();
            }
            return Ok(());
        }
        self.spend(payload.len())?;
        self.moves.push(Move::Told { telling, payload });
        Ok(())
    }

    pub fn rendered(&mut self, id: String, payload: Json) -> Result<(), Over> {
        let before = self.rendered.get(&id).map_or(0, |before| before.len());
        self.spend((id.len() + payload.len()).saturating_sub(before))?;
        self.rendered.insert(id, payload);
        Ok(())
    }

    /// The journal is followed up to what was just done, and past what steps told that were not run again.
    fn pass(&mut self, is_it: impl Fn(&Did) -> bool) {
        if let Some(ahead) = self.did[self.did_at..].iter().position(is_it) {
            self.did_at += ahead + 1;
            self.note_whether_used_up();
        }
    }

    /// What is said before the journal ends was said before.
    fn note_whether_used_up(&mut self) {
        let is_used_up = self.did_at == self.did.len() && self.notes_at == self.notes.len();
        if is_used_up && !self.is_used_up {
            console::begin(self.console_bytes);
        }
        if !is_used_up {
            console::mute();
        }
        self.is_used_up = is_used_up;
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Over> {
        match self.bytes_left.checked_sub(bytes + MOVE_BYTES) {
            Some(left) => {
                self.bytes_left = left;
                Ok(())
            }
            None => Err(self.overdo("the run does and shows more at once than it may")),
        }
    }

    fn overdo(&mut self, message: &str) -> Over {
        self.end = Some(End::Failed(error::plain("RangeError", message)));
        self.is_over = true;
        meter::halt();
        Over
    }

    fn change(&mut self, id: String, made: String) {
        let recorded = self.recorded.get(&id).map_or_else(|| "nothing".into(), described);
        self.moves.clear();
        self.rendered.clear();
        self.end = Some(End::Changed { id, recorded, made });
        self.is_over = true;
        meter::halt();
    }

    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    pub fn end(&mut self, end: End) {
        let bytes = match &end {
            End::Completed(json) => json.len(),
            _ => 0,
        };
        if self.spend(bytes).is_ok() {
            self.end = Some(end);
        }
    }

    /// An error that was thrown out of a step, with the place where it was thrown first.
    pub fn first_thrown(&self, error: Error) -> Error {
        let is_it = |first: &&Error| first.name == error.name && first.message == error.message;
        match self.thrown.iter().rev().find(is_it) {
            Some(first) if error.place.is_none() => first.clone(),
            _ => error,
        }
    }

    /// What has come of it, when nothing is left to happen.
    pub fn stand(mut self) -> Stand {
        if !self.is_over {
            let not_made = |did: &&Did| matches!(did, Did::Called(id) if !self.calls.contains_key(id));
            if let Some(Did::Called(id)) = self.did.iter().find(not_made) {
                self.change(id.clone(), "nothing".into());
            }
        }
        if self.end.is_none() {
            let may_come = |call: &Waiting| call.is_pending && matches!(call.own, Own::Nothing);
            if !self.calls.values().any(may_come) {
                let message =
                    "The action waits for something that never comes: no question, sleep or other call of it is open.";
                self.end = Some(End::Failed(error::plain("Error", message)));
            }
        }
        Stand { moves: self.moves, rendered: self.rendered.into_iter().collect(), end: self.end }
    }
}

/// The calls in whose scope it was made, the outermost first: of `1.0.2` these are `1` and `1.0`.
fn ancestors(id: &str) -> impl Iterator<Item = &str> {
    id.match_indices('.').map(|(dot, _)| &id[..dot])
}

/// A call in words.
fn described(name: &Name) -> String {
    let kind = match name.kind {
        Kind::Io => "",
        Kind::Step => "step",
        Kind::Sleep => "sleep",
        Kind::Fetch => "fetch",
        Kind::State => "state",
        Kind::Send => "send",
        Kind::Function => "call",
        Kind::Job => "job",
        Kind::Notify => "notify",
    };
    let words = [kind, &name.method, &name.label].into_iter().filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}
