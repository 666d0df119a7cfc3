//! A run of an action: what happens when its code goes on, a person answers, an effect returns.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    call::{
        Error, Failure, Json, Level, Line,
        run::{End, Kind, Move, Name, Note, Stand, Telling},
    },
    limits::{RUN_CALLS_MAX, RUN_LOG_BYTES_MAX, RUN_LOGS_MAX},
    record::{At, End as Tail, LaneId, Position, Record},
    refusal::Refusal,
    row,
};

pub mod answer;
mod entry;
mod host;
mod page;

pub use answer::{Answer, Question, Wrong};
pub use entry::{Begun, Ending, Entry, Origin, Why};
pub use host::{Heard, Said, transaction_of};

/// What is shown in pages of rows, and how it looks follows from where one is.
const TABLES: [&str; 3] = ["DISPLAY_TABLE", "DISPLAY_GRID", "SELECT_TABLE"];

/// A run as its journal tells it.
#[derive(Clone, Debug)]
pub struct Run {
    pub lane: LaneId,
    pub begun: Begun,
    /// The account that it belongs to now.
    pub owner: LaneId,
    pub calls: Vec<Call>,
    pub logs: Vec<Log>,
    pub loading: Option<Json>,
    pub redirect: Option<Json>,
    pub parked: Option<(Why, String)>,
    pub ended: Option<(Ending, At)>,
    /// What a worker is handed to play.
    journal: Vec<Note>,
    /// Of `calls`, those questions and displays that returned, in the order in which they did.
    answered: Vec<usize>,
    ids: BTreeMap<String, usize>,
    /// What a connected host calls its questions, since it ran the code last.
    asked: Vec<host::Asked>,
    /// How often its host began it.
    attempt: u32,
    /// A worker plays it now.
    is_played: bool,
    /// Else it is a page that somebody looks at.
    is_kept: bool,
    /// What came and was done, of what is not kept.
    bytes: usize,
    tail: Tail,
}

/// A call of the code, and what came of it.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: Name,
    pub payload: Json,
    pub at: At,
    pub returned: Option<Returned>,
}

#[derive(Clone, Debug)]
pub struct Returned {
    pub result: Result<Json, Error>,
    pub by: Option<String>,
    pub at: At,
}

#[derive(Clone, Debug)]
pub struct Log {
    pub level: Level,
    pub text: String,
    pub at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Running,
    /// For a person.
    Waiting,
    Success,
    Failure,
    Cancelled,
    Redirected,
    Parked,
}

impl Status {
    pub fn is_over(self) -> bool {
        !matches!(self, Status::Running | Status::Waiting | Status::Parked)
    }
}

/// A run as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    pub action: String,
    pub name: Option<String>,
    pub origin: Origin,
    pub status: Status,
    /// The label of the question that waits.
    pub question: Option<String>,
    pub error: Option<String>,
    pub created_at: At,
    pub finished_at: Option<At>,
}

/// What a step decided: kept first, done after.
#[derive(Debug, Default)]
pub struct Step {
    pub expect: Position,
    pub records: Vec<Record>,
    pub rows: Vec<row::Change>,
    pub effects: Vec<Effect>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Have a worker play the journal as it is now.
    Play,
    /// Do it, and hand in what came of it.
    Do { id: String, kind: Kind, payload: Json },
    /// Have the host run the code.
    Start { transaction: String },
    /// Tell the host what a person answered, or where they moved.
    Answer { transaction: String, key: String, id: String, response: Json },
    /// The host may forget it.
    Close { transaction: String },
}

impl Step {
    /// Adds what was decided next.
    pub fn follow(&mut self, next: Step) {
        self.records.extend(next.records);
        self.rows.extend(next.rows);
        self.effects.extend(next.effects);
    }
}

impl Run {
    pub fn begin(lane: LaneId, begun: Begun) -> (Run, Step) {
        Run::new(lane, begun).first()
    }

    fn first(mut self) -> (Run, Step) {
        let mut step = self.step();
        self.keep(Entry::Begun(self.begun.clone()), &mut step);
        match self.begun.origin {
            Origin::Hosted { .. } => self.play(&mut step),
            Origin::Host { .. } => self.start(&mut step),
        }
        self.keep_brief(&mut step);
        (self, step)
    }

    fn new(lane: LaneId, begun: Begun) -> Run {
        Run {
            lane,
            owner: begun.owner,
            begun,
            calls: Vec::new(),
            logs: Vec::new(),
            loading: None,
            redirect: None,
            parked: None,
            ended: None,
            journal: Vec::new(),
            answered: Vec::new(),
            ids: BTreeMap::new(),
            asked: Vec::new(),
            attempt: 1,
            is_played: false,
            is_kept: true,
            bytes: 0,
            tail: Tail::OF_NOTHING,
        }
    }

    /// A run from its log; `None` when that does not begin as a run does.
    pub fn load(lane: LaneId, entries: impl IntoIterator<Item = (Entry, Record)>) -> Option<Run> {
        let mut entries = entries.into_iter();
        let Some((Entry::Begun(begun), first)) = entries.next() else { return None };
        let mut run = Run::new(lane, begun);
        run.tail = Tail::of(&first);
        for (entry, record) in entries {
            run.apply(&entry);
            run.tail = Tail::of(&record);
        }
        Some(run)
    }

    /// What was under way when the run was put away goes on; `was_busy` is what its row says.
    pub fn resume(&mut self, was_busy: bool) -> Vec<Effect> {
        if !was_busy || self.ended.is_some() || self.parked.is_some() {
            return Vec::new();
        }
        let mut effects: Vec<_> = self.undone().map(Call::to_do).collect();
        if matches!(self.begun.origin, Origin::Hosted { .. }) && !self.is_played {
            self.is_played = true;
            effects.push(Effect::Play);
        }
        effects
    }

    pub fn status(&self) -> Status {
        match (&self.ended, &self.parked) {
            (Some((Ending::Completed(_), _)), _) if self.redirect.is_some() => Status::Redirected,
            (Some((Ending::Completed(_), _)), _) => Status::Success,
            (Some((Ending::Failed(_), _)), _) => Status::Failure,
            (Some((Ending::Cancelled | Ending::Abandoned, _)), _) => Status::Cancelled,
            (None, Some(_)) => Status::Parked,
            (None, None) if self.question().is_some() => Status::Waiting,
            (None, None) => Status::Running,
        }
    }

    /// The oldest question that nobody answered, for as long as somebody may.
    pub fn question(&self) -> Option<&Call> {
        let is_open = |call: &&Call| call.name.kind == Kind::Io && call.returned.is_none() && !self.is_moot(&call.name);
        self.calls.iter().find(is_open).filter(|_| self.ended.is_none())
    }

    /// The questions that were answered and the displays that were shown, in the order in which that happened.
    pub fn answered(&self) -> impl Iterator<Item = &Call> {
        self.answered.iter().map(|index| &self.calls[*index])
    }

    pub fn call(&self, id: &str) -> Option<&Call> {
        self.ids.get(id).map(|index| &self.calls[*index])
    }

    pub fn journal(&self) -> &[Note] {
        &self.journal
    }

    /// The journal as a worker plays it. Of one who goes through a table only the last move counts: those before it led to
    /// nothing that the journal holds, and every play would make them again.
    pub fn to_play(&self) -> Vec<Note> {
        let nexts = self.journal.iter().skip(1).map(Some).chain([None]);
        let moot = |note: &Note, next: Option<&Note>| next.is_some_and(|next| self.is_moved_on(note, next));
        self.journal.iter().zip(nexts).filter(|(note, next)| !moot(note, *next)).map(|(note, _)| note.clone()).collect()
    }

    /// Whether a move follows at once in all the tables that this one is about. A search is no table: what was found
    /// before may still be chosen.
    fn is_moved_on(&self, note: &Note, next: &Note) -> bool {
        let (Note::Stated { id, values, .. }, Note::Stated { id: other, values: later, .. }) = (note, next) else {
            return false;
        };
        let Some(call) = self.call(id).filter(|_| id == other) else { return false };
        let read = |values: &Json| serde_json::from_str::<Vec<serde_json::Value>>(values).unwrap_or_default();
        let (values, later) = (read(values), read(later));
        let is_again = |index: usize| later.get(index).is_some_and(serde_json::Value::is_object);
        let parts = call.name.method.split('+').map(Some).chain(core::iter::repeat(None));
        let mut moved = values.iter().zip(parts).enumerate().filter(|(_, (value, _))| !value.is_null());
        moved.all(|(index, (_, part))| part.is_some_and(|part| TABLES.contains(&part)) && is_again(index))
    }

    pub fn tail(&self) -> Position {
        self.tail.tail
    }

    /// Whether the code may still be at something that needs nobody.
    pub fn is_busy(&self) -> bool {
        !self.status().is_over()
            && self.parked.is_none()
            && (self.is_played || self.undone().any(|call| call.name.kind != Kind::Sleep))
    }

    /// Its sleeps that are over by then.
    pub fn sleeps_until(&self, at: At) -> Vec<String> {
        let over = |call: &&Call| call.until().is_some_and(|until| until <= at);
        self.undone().filter(over).map(|call| call.name.id.clone()).collect()
    }

    /// When the first of its sleeps is over.
    pub fn wakes_at(&self) -> Option<At> {
        if self.status().is_over() || self.parked.is_some() {
            return None;
        }
        self.undone().filter_map(Call::until).min()
    }

    /// What an effect came to.
    pub fn returned(&mut self, id: &str, result: Result<Json, Error>, at: At) -> Step {
        let mut step = self.step();
        let is_open = self.call(id).is_some_and(|call| call.returned.is_none()) && self.ended.is_none();
        if is_open {
            self.keep(Entry::Returned { id: id.into(), result, by: None, at }, &mut step);
            match self.overfull() {
                Some(error) => self.end(Ending::Failed(error), at, &mut step),
                None => self.play(&mut step),
            }
            self.keep_brief(&mut step);
        }
        step
    }

    /// A person answers the question that is open. The first answer wins.
    pub fn answer(&mut self, key: &str, answer: &Answer, by: Option<String>, at: At) -> Result<Step, Refusal> {
        self.open(key)?;
        let mut step = self.step();
        let result = Ok(answer.to_json());
        self.keep(Entry::Returned { id: key.into(), result, by, at }, &mut step);
        match self.begun.origin {
            Origin::Hosted { .. } => self.play(&mut step),
            Origin::Host { .. } => self.pass_on(key, answer.response("RETURN"), &mut step),
        }
        self.keep_brief(&mut step);
        Ok(step)
    }

    /// A person moves in what is shown: a page, a filter, a search.
    pub fn state(&mut self, key: &str, values: Json, at: At) -> Result<Step, Refusal> {
        let is_shown = self.call(key).is_some_and(|call| call.name.kind == Kind::Io);
        if !is_shown || self.ended.is_some() && matches!(self.begun.origin, Origin::Hosted { .. }) {
            return Err(Refusal::QUESTION_UNKNOWN);
        }
        let mut step = self.step();
        match self.begun.origin {
            Origin::Hosted { .. } => {
                self.keep(Entry::Stated { id: key.into(), values, at }, &mut step);
                self.play(&mut step);
            }
            // Its host remembers where a person is.
            Origin::Host { .. } => self.pass_on(key, answer::state(&values), &mut step),
        }
        Ok(step)
    }

    fn open(&self, key: &str) -> Result<&Call, Refusal> {
        let call = self.call(key).filter(|call| call.name.kind == Kind::Io).ok_or(Refusal::QUESTION_UNKNOWN)?;
        if call.returned.is_some() || self.ended.is_some() {
            return Err(Refusal::QUESTION_ANSWERED);
        }
        // What is answered while its host is away is kept for when it is back.
        if matches!(self.parked, Some((Why::CodeChanged, _))) {
            return Err(Refusal::RUN_PARKED);
        }
        Ok(call)
    }

    /// What a question asks, for whoever checks an answer against it.
    pub fn asks(&self, key: &str) -> Result<Question, Refusal> {
        Question::parse(&self.open(key)?.payload).ok_or(Refusal::FAULT)
    }

    /// A worker played the journal as it was when it held `notes`.
    pub fn played(&mut self, notes: usize, ran: Result<Stand, Failure>, console: Vec<Line>, at: At) -> Step {
        self.is_played = false;
        let mut step = self.step();
        if self.ended.is_some() || self.parked.is_some() {
            return step;
        }
        if notes != self.journal.len() {
            // Something returned meanwhile, and what the code would do after it stands behind it in the journal.
            self.play(&mut step);
            return step;
        }
        match ran {
            Ok(stand) => self.moved(stand, console, at, &mut step),
            Err(failure) => self.end(Ending::Failed(failure.error), at, &mut step),
        }
        self.keep_brief(&mut step);
        step
    }

    /// No worker took it; it is asked for again.
    pub fn not_played(&mut self) -> Step {
        self.is_played = false;
        let mut step = self.step();
        self.play(&mut step);
        step
    }

    fn moved(&mut self, stand: Stand, console: Vec<Line>, at: At, step: &mut Step) {
        for Line { level, messages } in console {
            self.log(level, messages.join(" "), at, step);
        }
        for one in stand.moves {
            match one {
                Move::Called { name, .. } if !self.is_kept && !name.kind.is_of_pages() => {
                    // Its code is told so in the sandbox, with more words.
                    return self.end(Ending::Failed(Error::plain("TypeError", "A page only shows.")), at, step);
                }
                Move::Called { name, payload } => {
                    if self.calls.len() >= RUN_CALLS_MAX {
                        let message = format!("A run makes at most {RUN_CALLS_MAX} calls.");
                        return self.end(Ending::Failed(Error::plain("RangeError", message)), at, step);
                    }
                    let id = name.id.clone();
                    self.keep(Entry::Called { name, payload, at }, step);
                    let call = &self.calls[self.ids[&id]];
                    if call.is_done_by_us() {
                        step.effects.push(call.to_do());
                    }
                }
                Move::Returned { id, result } => self.keep(Entry::Returned { id, result, by: None, at }, step),
                Move::Told { telling, payload } => self.keep(Entry::Told { telling, payload, at }, step),
            }
        }
        // What a step left behind that has come to its end concerns nobody.
        let moot: Vec<_> =
            self.calls.iter().filter(|call| self.is_moot(&call.name)).map(|call| &call.name.id).collect();
        step.effects.retain(|effect| !matches!(effect, Effect::Do { id, .. } if moot.contains(&id)));
        if let Some(error) = self.overfull() {
            return self.end(Ending::Failed(error), at, step);
        }
        match stand.end {
            Some(End::Completed(result)) => self.end(Ending::Completed(result), at, step),
            Some(End::Failed(error)) => self.end(Ending::Failed(error), at, step),
            Some(End::Changed { recorded, made, .. }) => self.park_changed(&recorded, &made, at, step),
            None => {}
        }
    }

    pub fn cancel(&mut self, at: At) -> Result<Step, Refusal> {
        self.finish(Ending::Cancelled, at)
    }

    pub fn abandon(&mut self, at: At) -> Result<Step, Refusal> {
        self.finish(Ending::Abandoned, at)
    }

    fn finish(&mut self, ending: Ending, at: At) -> Result<Step, Refusal> {
        if self.ended.is_some() {
            return Err(Refusal::RUN_OVER);
        }
        let mut step = self.step();
        if let Some(key) = self.question().map(|call| call.name.id.clone()) {
            self.pass_on(&key, answer::cancelled(), &mut step);
        }
        self.end(ending, at, &mut step);
        self.keep_brief(&mut step);
        Ok(step)
    }

    /// Its account became another's.
    pub fn give(&mut self, from: LaneId, to: LaneId, at: At) -> Step {
        let mut step = self.step();
        if self.owner == from {
            step.rows.push((row::run(from, self.lane), None));
            step.rows.push((row::open_run(from, self.lane), None));
            self.keep(Entry::Given { to, at }, &mut step);
            self.keep_brief(&mut step);
        }
        step
    }

    fn park_changed(&mut self, recorded: &str, made: &str, at: At, step: &mut Step) {
        let message = format!("Where the code asked for {recorded:?}, it now asks for {made:?}.");
        self.keep(Entry::Parked { why: Why::CodeChanged, message, at }, step);
    }

    fn end(&mut self, ending: Ending, at: At, step: &mut Step) {
        self.keep(Entry::Ended { ending, at }, step);
        step.effects.retain(|effect| !matches!(effect, Effect::Do { .. } | Effect::Play));
    }

    fn log(&mut self, level: Level, text: String, at: At, step: &mut Step) {
        let text = answer::cut(text, RUN_LOG_BYTES_MAX);
        if self.logs.len() < RUN_LOGS_MAX {
            self.keep(Entry::Logged { level, text, at }, step);
        }
    }

    fn play(&mut self, step: &mut Step) {
        if !self.is_played && self.ended.is_none() && self.parked.is_none() {
            self.is_played = true;
            step.effects.push(Effect::Play);
        }
    }

    /// Calls that Everfold owes something.
    fn undone(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| call.returned.is_none() && call.is_done_by_us() && !self.is_moot(&call.name))
    }

    /// Whether a call stands within a step that has come to its end: nobody waits for it.
    fn is_moot(&self, name: &Name) -> bool {
        let mut id = name.id.as_str();
        while let Some((outer, _)) = id.rsplit_once('.') {
            if self.call(outer).is_some_and(|call| call.returned.is_some()) {
                return true;
            }
            id = outer;
        }
        false
    }

    fn step(&self) -> Step {
        Step { expect: self.tail.tail, ..Step::default() }
    }

    fn keep(&mut self, entry: Entry, step: &mut Step) {
        let body = entry.encode();
        if self.is_kept {
            step.records.push(self.tail.note(body));
        } else {
            self.bytes += body.len();
        }
        self.apply(&entry);
    }

    fn apply(&mut self, entry: &Entry) {
        match entry.clone() {
            Entry::Begun(_) => {}
            Entry::Called { name, payload, at } => self.apply_call(name, payload, at),
            Entry::Returned { id, result, by, at } => {
                if let Some(index) = self.ids.get(&id) {
                    let call = &mut self.calls[*index];
                    call.returned = Some(Returned { result: result.clone(), by, at });
                    if call.name.kind == Kind::Io {
                        self.answered.push(*index);
                    }
                }
                self.journal.push(Note::Returned { id, at_ms: at.0, result });
            }
            Entry::Stated { id, values, at } => self.journal.push(Note::Stated { id, at_ms: at.0, values }),
            Entry::Told { telling, payload, at } => {
                match telling {
                    Telling::Loading => self.loading = Some(payload),
                    Telling::Redirect => self.redirect = Some(payload),
                    Telling::Log => self.logs.push(answer::log_of(&payload, at)),
                }
                self.journal.push(Note::Told);
            }
            Entry::Logged { level, text, at } => self.logs.push(Log { level, text, at }),
            Entry::Parked { why, message, .. } => self.parked = Some((why, message)),
            Entry::Resumed { .. } => {
                self.parked = None;
                self.attempt += 1;
                self.asked.clear();
            }
            Entry::Ended { ending, at } => {
                (self.loading, self.parked) = (None, None);
                self.ended = Some((ending, at));
            }
            Entry::Given { to, .. } => self.owner = to,
        }
    }

    fn apply_call(&mut self, name: Name, payload: Json, at: At) {
        if matches!(self.begun.origin, Origin::Host { .. }) {
            self.asked.extend(host::Asked::of(&name, &payload));
        }
        match self.ids.get(&name.id) {
            Some(index) => self.calls[*index].payload = payload,
            None => {
                self.journal.push(Note::Called(name.clone()));
                self.ids.insert(name.id.clone(), self.calls.len());
                self.calls.push(Call { name, payload, at, returned: None });
            }
        }
    }

    pub fn brief(&self) -> Brief {
        Brief {
            action: self.begun.action.clone(),
            name: self.begun.name.clone(),
            origin: self.begun.origin,
            status: self.status(),
            question: self.question().map(|call| call.name.label.clone()),
            error: match &self.ended {
                Some((Ending::Failed(error), _)) => Some(format!("{}: {}", error.name, error.message)),
                _ => None,
            },
            created_at: self.begun.at,
            finished_at: self.ended.as_ref().map(|(_, at)| *at),
        }
    }

    /// The rows that follow from where it stands.
    fn keep_brief(&self, step: &mut Step) {
        if !self.is_kept {
            return;
        }
        let present = |is: bool| is.then(Vec::new);
        let is_open = self.ended.is_none();
        step.rows.push((row::run(self.owner, self.lane), Some(row::encode(&self.brief()))));
        step.rows.push((row::open_run(self.owner, self.lane), present(is_open)));
        step.rows.push((row::busy_run(self.lane), present(self.is_busy())));
        step.rows.push((row::run_wakes(self.lane), self.wakes_at().map(|at| row::encode(&at))));
    }
}

impl Call {
    /// Whether Everfold does it, and not a person or the code itself.
    fn is_done_by_us(&self) -> bool {
        !matches!(self.name.kind, Kind::Io | Kind::Step)
    }

    fn to_do(&self) -> Effect {
        Effect::Do { id: self.name.id.clone(), kind: self.name.kind, payload: self.payload.clone() }
    }

    fn until(&self) -> Option<At> {
        (self.name.kind == Kind::Sleep).then(|| answer::until(&self.payload))
    }

    /// Nobody has to answer it.
    pub fn is_display(&self) -> bool {
        self.name.kind == Kind::Io && self.name.method.split('+').all(|method| method.starts_with("DISPLAY_"))
    }
}
