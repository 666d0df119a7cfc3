//! The programs a child keeps ready: read, translated and loaded once, then started from their image.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use rules::{
    call::{
        Bounded, Call, Described, Error, Failure, Foldable, Outcome, Parsed, Program, ProgramId, ProgramKind, Ran,
        Response, Stop,
        run::{End, Move, Stand},
    },
    limits::Limits,
};

use super::{
    Fallen, Image, Isolate, NotLoaded, Origin,
    batch::{Batch, Folding, Keying},
    live::{Live, Run},
    parse::parse,
};
use crate::{
    bounds::{FOLD_ANSWER_BYTES_MAX, FOLD_SLICE, PROGRAMS_MAX},
    outcome,
    typescript::{self, Places},
};

/// The least recently used program makes room for a new one.
pub struct Programs {
    isolate: Isolate,
    known: HashMap<ProgramId, Known>,
    /// Files for images, made before the jail closed; two for each program that may be known.
    blanks: Vec<OwnedFd>,
    uses: u64,
}

struct Known {
    used: u64,
    state: State,
}

enum State {
    Source(Arc<str>, ProgramKind),
    Unrunnable(Error),
    Ready(Box<Ready>),
}

struct Ready {
    described: Described,
    origin: Origin,
    live: Live,
    places: Places,
}

impl Programs {
    pub fn new(isolate: Isolate) -> std::io::Result<Self> {
        let blanks = (0..2 * PROGRAMS_MAX).map(|_| Image::blank()).collect::<Result<_, _>>()?;
        Ok(Programs { isolate, known: HashMap::new(), blanks, uses: 0 })
    }

    /// Remembers a source. What it is worth shows when it is first called.
    pub fn know(&mut self, program: Program) {
        if !self.known.contains_key(&program.id) {
            if self.known.len() >= PROGRAMS_MAX {
                self.forget_one();
            }
            self.known
                .insert(program.id, Known { used: self.uses, state: State::Source(program.source, program.kind) });
        }
    }

    /// The outcome of a call, or nothing if the program is not known (any more).
    pub fn call(&mut self, id: &ProgramId, call: Call, limits: Limits) -> Option<Outcome> {
        self.uses += 1;
        let known = self.known.get_mut(id)?;
        known.used = self.uses;
        if let State::Source(source, kind) = &known.state {
            let (source, kind) = (source.clone(), *kind);
            match load(&self.isolate, &source, kind, &limits, &mut self.blanks) {
                Ok(state) => known.state = state,
                // The machine was slow, or the code: who asks what it is worth is told, and nobody else may take it for
                // its last word.
                Err(stop) if matches!(call, Call::Describe) => return Some(outcome::stopped_call(&call, stop)),
                Err(_) => return Some(Outcome::Unavailable("The program was not loaded in time.".into())),
            }
        }
        Some(match &mut known.state {
            State::Ready(ready) => ready.call(&mut self.isolate, &mut self.blanks, call, limits),
            State::Unrunnable(error) => Outcome::Unrunnable(error.clone()),
            State::Source(..) => unreachable!("it was loaded above"),
        })
    }

    /// How many requests a live guest of this program was given and left, if there is one.
    #[cfg(test)]
    pub fn live_answers(&self, id: &ProgramId) -> Option<(u32, u32)> {
        match &self.known.get(id)?.state {
            State::Ready(ready) => match ready.live {
                Live::Ready { given, left, .. } => Some((given, left)),
                _ => None,
            },
            _ => None,
        }
    }

    fn forget_one(&mut self) {
        let oldest = self.known.iter().min_by_key(|(_, known)| known.used).map(|(id, _)| *id);
        if let Some(known) = oldest.and_then(|id| self.known.remove(&id))
            && let State::Ready(ready) = known.state
        {
            self.blanks.extend(ready.origin.into_file());
            self.blanks.extend(ready.live.into_file());
        }
    }
}

/// What a source is worth; a stop where that cannot be known, because another time it may come to something else.
fn load(
    isolate: &Isolate,
    source: &str,
    kind: ProgramKind,
    limits: &Limits,
    blanks: &mut Vec<OwnedFd>,
) -> Result<State, Stop> {
    let module = match kind {
        ProgramKind::Module => typescript::module_of(source),
        ProgramKind::Script => typescript::script_of(source),
    };
    let module = match module {
        Ok(module) => module,
        Err(error) => return Ok(State::Unrunnable(error)),
    };
    let file = blanks.pop().expect("there are blanks for every program that may be known");
    match isolate.load(&module.source, Duration::from_millis(limits.call_ms), file) {
        Ok((described, origin)) => {
            let live = Live::of(module.is_pure);
            Ok(State::Ready(Box::new(Ready { described, origin, live, places: module.places })))
        }
        Err(NotLoaded { why, file }) => {
            blanks.push(file);
            match why {
                Ok(error) => Ok(State::Unrunnable(module.places.translate(error))),
                Err(Fallen(stop @ (Stop::Clock | Stop::Crash))) => Err(stop),
                Err(Fallen(stop)) => Ok(State::Unrunnable(outcome::stopped(stop).error)),
            }
        }
    }
}

impl Ready {
    fn call(&mut self, isolate: &mut Isolate, blanks: &mut Vec<OwnedFd>, call: Call, limits: Limits) -> Outcome {
        match call {
            Call::Describe => Outcome::Described(self.described.clone()),
            Call::Fold { state, requests, secrets } => {
                Outcome::Folded(self.batch(isolate, blanks, Folding { state, secrets }, &requests, limits))
            }
            Call::Keys { requests, secrets } => {
                Outcome::Keyed(self.batch(isolate, blanks, Keying { secrets }, &requests, limits))
            }
            call => self.once(isolate, Bounded { call, limits, parsed: Parsed::default() }),
        }
    }

    /// Each request sees the results before it, as the batch hands them on, and nothing else of what went before. A
    /// live guest answers for what it can answer plainly; everything else is asked of a guest that begins as the image.
    fn batch<B: Batch>(
        &mut self,
        isolate: &mut Isolate,
        blanks: &mut Vec<OwnedFd>,
        mut batch: B,
        requests: &[Foldable],
        limits: Limits,
    ) -> Vec<Ran<B::Result>> {
        if requests.len() > 1 {
            self.live.try_once(isolate, &self.origin, blanks);
        }
        let begun = Instant::now();
        let mut weight = 0;
        let mut done = Vec::with_capacity(requests.len());
        let mut run = Run::begin();
        while done.len() < requests.len() {
            let rest = &requests[done.len()..];
            let mut rans = run.answer(isolate, &mut self.live, &batch, rest, limits);
            if rans.is_empty() {
                rans.push(self.one(isolate, &batch, &rest[0], limits));
            }
            for ran in rans {
                if let Ok(result) = &ran.result {
                    weight += result.as_ref().len();
                    batch.follow(result);
                }
                weight += ran.console.iter().flat_map(|line| &line.messages).map(String::len).sum::<usize>();
                done.push(ran);
            }
            if begun.elapsed() >= FOLD_SLICE || weight >= FOLD_ANSWER_BYTES_MAX {
                break;
            }
        }
        run.end(isolate, &mut self.live);
        done
    }

    /// A request in a guest that begins as the image: what others left behind, it cannot see.
    fn one<B: Batch>(
        &mut self,
        isolate: &mut Isolate,
        batch: &B,
        request: &Foldable,
        limits: Limits,
    ) -> Ran<B::Result> {
        if let Some(stop) = request.forced {
            return outcome::ran_into(stop);
        }
        let parsed = parse(std::slice::from_ref(request));
        let call = batch.call(vec![request.clone()]);
        let rans = B::rans(self.once(isolate, Bounded { call, limits, parsed }));
        rans.and_then(|one| one.into_iter().next()).unwrap_or_else(|| outcome::ran_into(Stop::Crash))
    }

    fn once(&mut self, isolate: &mut Isolate, bounded: Bounded) -> Outcome {
        match isolate.call(&mut self.origin, &bounded) {
            // A guest that answers beside the question has lost its mind.
            Ok(outcome) if !outcome::answers(&outcome, (&bounded.call).into(), &bounded.limits) => {
                outcome::stopped_call(&bounded.call, Stop::Crash)
            }
            Ok(outcome) => self.translate(outcome),
            Err(Fallen(stop)) => outcome::stopped_call(&bounded.call, stop),
        }
    }

    fn translate(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Answered(ran) => Outcome::Answered(self.translate_ran::<Response>(ran)),
            Outcome::Queried(ran) => Outcome::Queried(self.translate_ran::<Response>(ran)),
            Outcome::Folded(ran) => Outcome::Folded(ran.into_iter().map(|ran| self.translate_ran(ran)).collect()),
            Outcome::Keyed(ran) => Outcome::Keyed(ran.into_iter().map(|ran| self.translate_ran(ran)).collect()),
            Outcome::Templated(ran) => Outcome::Templated(self.translate_ran(ran)),
            Outcome::Ran(ran) => {
                let Ran { result, console } = self.translate_ran(ran);
                Outcome::Ran(Ran { result: result.map(|stand| self.translate_stand(stand)), console })
            }
            Outcome::Unrunnable(error) => Outcome::Unrunnable(self.places.translate(error)),
            other => other,
        }
    }

    fn translate_stand(&self, mut stand: Stand) -> Stand {
        for step in &mut stand.moves {
            if let Move::Returned { result: Err(error), .. } = step {
                *error = self.places.translate(error.clone());
            }
        }
        if let Some(End::Failed(error)) = stand.end {
            stand.end = Some(End::Failed(self.places.translate(error)));
        }
        stand
    }

    fn translate_ran<T>(&self, ran: Ran<T>) -> Ran<T> {
        let translate = |failure: Failure| match failure.stop {
            // One author for these words: a replay forces the stop and must say the same.
            Some(stop) => outcome::stopped(stop),
            None => Failure { error: self.places.translate(failure.error), stop: None },
        };
        Ran { result: ran.result.map_err(translate), console: ran.console }
    }
}
