//! Who runs what: workers come and go, parts are leased to them, and what they say is heard while the lease holds.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use super::{
    Dispatch, Effect, End, JOB_JSON_BYTES_MAX, JOB_LEASE_MS, JOB_RESULTS_BYTES_MAX, JOB_THREADS_MAX, JOB_WORKERS_MAX,
    Jobs, Outcome, Part, Place, Step,
};
use crate::{
    call::{Error, Line},
    limits::CONSOLE_BYTES_MAX,
    record::At,
    refusal::Refusal,
};

/// How many parts that want several workers are looked at for one that somebody can take.
const DOUBTED_LOOK_MAX: usize = 256;

/// Names a connection of a worker; no two have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u128);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tab,
    Headless,
    Server,
}

/// A worker that is there.
#[derive(Clone, Debug)]
pub struct Worker {
    pub id: WorkerId,
    pub kind: Kind,
    pub name: String,
    pub user_agent: Option<String>,
    pub threads: u32,
    pub since: At,
    /// When it last said anything.
    pub heard_at: At,
    pub leases: BTreeMap<Part, Lease>,
}

/// A part in a worker's hands.
#[derive(Clone, Debug)]
pub struct Lease {
    pub fence: u64,
    pub begun_at: At,
    /// By then it is taken from whoever is there and says nothing of it.
    pub ends_at: At,
    pub progress: Option<Progress>,
    pub console: Vec<Line>,
    console_bytes: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    pub done: f64,
    pub total: f64,
    pub note: Option<String>,
}

/// What a worker says of a part.
#[derive(Clone, Debug)]
pub enum Said {
    Ended(End),
    Progress(Progress),
    Log(Line),
}

impl Worker {
    pub fn new(id: WorkerId, kind: Kind, name: String, threads: u32, at: At) -> Worker {
        let leases = BTreeMap::new();
        let threads = threads.min(JOB_THREADS_MAX);
        Worker { id, kind, name, user_agent: None, threads, since: at, heard_at: at, leases }
    }

    fn has_room(&self, at: At) -> bool {
        (self.leases.len() as u32) < self.threads && !self.is_silent(at)
    }

    fn is_silent(&self, at: At) -> bool {
        self.kind != Kind::Server && at.0 >= self.heard_at.0 + JOB_LEASE_MS
    }

    fn may_run(&self, place: Place) -> bool {
        match place {
            Place::Any => true,
            Place::Tab => self.kind != Kind::Server,
            Place::Server => self.kind == Kind::Server,
        }
    }
}

impl Jobs {
    pub fn come(&mut self, worker: Worker) -> Result<(), Refusal> {
        if self.workers.len() >= JOB_WORKERS_MAX {
            return Err(Refusal::WORKERS_FULL);
        }
        self.workers.push(worker);
        Ok(())
    }

    /// Its parts go to others at once.
    pub fn leave(&mut self, id: WorkerId, step: &mut Step) {
        let Some(index) = self.workers.iter().position(|worker| worker.id == id) else { return };
        let worker = self.workers.remove(index);
        worker.leases.into_keys().for_each(|part| self.give_back(part, step));
    }

    pub fn resize(&mut self, id: WorkerId, threads: u32, at: At) {
        if let Some(worker) = self.workers.iter_mut().find(|worker| worker.id == id) {
            worker.threads = threads.min(JOB_THREADS_MAX);
            worker.heard_at = at;
        }
    }

    /// It is there, and runs these. What it was given long ago and does not run is lost.
    pub fn beat(&mut self, id: WorkerId, running: &[Part], at: At, step: &mut Step) {
        let Some(worker) = self.workers.iter_mut().find(|worker| worker.id == id) else { return };
        worker.heard_at = at;
        let is_lost = |part: &Part, lease: &Lease| at.0 >= lease.begun_at.0 + JOB_LEASE_MS && !running.contains(part);
        let lost = worker.leases.iter().filter(|(part, lease)| is_lost(part, lease)).map(|(part, _)| *part);
        let lost: Vec<Part> = lost.collect();
        for part in lost {
            self.take_from(id, part);
            self.give_back(part, step);
        }
    }

    /// It never reached its worker: it is handed out anew.
    pub fn lose(&mut self, id: WorkerId, part: Part, fence: u64, step: &mut Step) {
        let Some(worker) = self.workers.iter_mut().find(|worker| worker.id == id) else { return };
        if worker.leases.get(&part).is_some_and(|lease| lease.fence == fence) {
            worker.leases.remove(&part);
            self.give_back(part, step);
        }
    }

    /// What a worker says of a part counts while it has it, under the fence that it has it by.
    pub fn hear(
        &mut self,
        id: WorkerId,
        part: Part,
        fence: u64,
        said: Said,
        at: At,
        step: &mut Step,
    ) -> Result<(), Refusal> {
        let worker = self.workers.iter_mut().find(|worker| worker.id == id).ok_or(Refusal::JOB_NOT_LEASED)?;
        worker.heard_at = at;
        let lease = worker.leases.get_mut(&part).filter(|lease| lease.fence == fence);
        let lease = lease.ok_or(Refusal::JOB_NOT_LEASED)?;
        match said {
            Said::Progress(progress) => lease.progress = Some(progress),
            Said::Log(line) => lease.log(line),
            Said::Ended(end) => {
                let Lease { begun_at, console, .. } = lease.clone();
                worker.leases.remove(&part);
                let worker = worker.name.clone();
                let kept_bytes = self.open.get(&part.job).map_or(0, |open| open.brief.result_bytes);
                let outcome =
                    Outcome { end: bounded(end, kept_bytes), console, worker, started_at: begun_at, finished_at: at };
                self.ended(part, outcome, step);
            }
        }
        step.effects.push(Effect::Changed(part.job));
        Ok(())
    }

    /// What is over by the clock: workers that are silent, parts that take too long.
    pub fn tick(&mut self, at: At, step: &mut Step) {
        let mut lost = Vec::new();
        let mut late = Vec::new();
        for worker in &mut self.workers {
            let is_silent = worker.is_silent(at);
            let over = |lease: &Lease| is_silent || lease.ends_at <= at;
            let parts: Vec<Part> =
                worker.leases.iter().filter(|(_, lease)| over(lease)).map(|(part, _)| *part).collect();
            for part in parts {
                let Some(lease) = worker.leases.remove(&part) else { continue };
                step.effects.push(Effect::Take { worker: worker.id, part });
                if is_silent {
                    lost.push(part);
                } else {
                    late.push((part, worker.name.clone(), lease));
                }
            }
        }
        lost.into_iter().for_each(|part| self.give_back(part, step));
        for (part, worker, Lease { begun_at, console, .. }) in late {
            let outcome = Outcome { end: End::TimedOut, console, worker, started_at: begun_at, finished_at: at };
            self.ended(part, outcome, step);
        }
    }

    /// When the clock may have something to say next.
    pub fn next_tick(&self) -> Option<At> {
        let of = |worker: &Worker| {
            if worker.kind == Kind::Server {
                return None;
            }
            let ends = worker.leases.values().map(|lease| lease.ends_at);
            let silent = (!worker.leases.is_empty()).then_some(At(worker.heard_at.0 + JOB_LEASE_MS));
            ends.chain(silent).min()
        };
        self.workers.iter().filter_map(of).min()
    }

    /// Hands out what somebody can take.
    pub fn dispatch(&mut self, at: At, step: &mut Step) {
        while let Some((part, worker)) = self.next_pair(at) {
            self.lease(part, worker, at, step);
        }
    }

    fn ended(&mut self, part: Part, outcome: Outcome, step: &mut Step) {
        let Some(open) = self.open.get_mut(&part.job) else { return };
        let verify = open.brief.verify;
        let decided = match verify {
            0 | 1 => Some(outcome),
            _ => open.votes.entry(part.index).or_default().cast(outcome, verify),
        };
        if let Some(outcome) = decided {
            self.end_part(part, outcome, step);
        }
    }

    fn take_from(&mut self, id: WorkerId, part: Part) {
        if let Some(worker) = self.workers.iter_mut().find(|worker| worker.id == id) {
            worker.leases.remove(&part);
        }
    }

    fn give_back(&mut self, part: Part, step: &mut Step) {
        self.enqueue(part);
        step.effects.push(Effect::Changed(part.job));
    }

    /// The oldest part that somebody can take, and who.
    fn next_pair(&self, at: At) -> Option<(Part, usize)> {
        if !self.workers.iter().any(|worker| worker.has_room(at)) {
            return None;
        }
        let doubted = self.doubted.iter().take(DOUBTED_LOOK_MAX);
        let first = self.waiting.iter().filter_map(|waiting| waiting.first());
        let mut parts: Vec<Part> = first.chain(doubted).copied().collect();
        parts.sort_unstable();
        parts.into_iter().find_map(|part| self.worker_for(part, at).map(|worker| (part, worker)))
    }

    fn worker_for(&self, part: Part, at: At) -> Option<usize> {
        let open = self.open.get(&part.job)?;
        let asked = open.votes.get(&part.index).map(|votes| &votes.asked);
        let may = |worker: &Worker| {
            worker.has_room(at)
                && worker.may_run(open.brief.place)
                && asked.is_none_or(|asked| !asked.contains(&worker.id))
        };
        let of_account = |worker: &Worker| worker.kind != Kind::Server && may(worker);
        let indexes = || self.workers.iter().enumerate();
        let found = match open.brief.dispatch {
            Dispatch::RoundRobin => {
                let behind = indexes().position(|(_, worker)| worker.id == self.last_asked).map_or(0, |last| last + 1);
                let around = indexes().skip(behind).chain(indexes().take(behind));
                around.filter(|(_, worker)| of_account(worker)).map(|(index, _)| index).next()
            }
            Dispatch::LeastLoaded => {
                let load = |worker: &Worker| worker.leases.len() as u64 * 1_000 / u64::from(worker.threads.max(1));
                let free = indexes().filter(|(_, worker)| of_account(worker));
                free.min_by_key(|(_, worker)| load(worker)).map(|(index, _)| index)
            }
        };
        // The server helps out where nobody else has a thread free.
        found.or_else(|| indexes().find(|(_, worker)| may(worker)).map(|(index, _)| index))
    }

    fn lease(&mut self, part: Part, worker: usize, at: At, step: &mut Step) {
        let Some(open) = self.open.get_mut(&part.job) else { return };
        let worker = &mut self.workers[worker];
        let fence = self.next_fence;
        self.next_fence += 1;
        self.last_asked = worker.id;
        open.brief.attempts += 1;
        open.brief.worker = Some(worker.name.clone());
        open.brief.started_at.get_or_insert(at);
        // The server says of itself when the time is over: what waits there behind others has not begun.
        let patience_ms = open.brief.timeout_ms + JOB_LEASE_MS;
        let ends_at = if worker.kind == Kind::Server { At(u64::MAX) } else { At(at.0 + patience_ms) };
        let lease = Lease { fence, begun_at: at, ends_at, progress: None, console: Vec::new(), console_bytes: 0 };
        worker.leases.insert(part, lease);
        step.effects.push(Effect::Give { worker: worker.id, part, fence });
        step.effects.push(Effect::Changed(part.job));
        let verify = open.brief.verify;
        if verify > 1 {
            let votes = open.votes.entry(part.index).or_default();
            votes.asked.insert(worker.id);
            let leased = self.workers.iter().filter(|worker| worker.leases.contains_key(&part)).count();
            if votes.wanted(verify, leased) > 0 {
                return;
            }
        }
        self.dequeue(part);
    }
}

impl Lease {
    fn log(&mut self, line: Line) {
        let bytes: usize = line.messages.iter().map(String::len).sum();
        if self.console_bytes + bytes <= CONSOLE_BYTES_MAX {
            self.console_bytes += bytes + 1;
            self.console.push(line);
        } else if self.console_bytes < CONSOLE_BYTES_MAX {
            self.console_bytes = CONSOLE_BYTES_MAX;
            let messages = Vec::from([format!("The console holds {CONSOLE_BYTES_MAX} bytes; the rest is dropped.")]);
            self.console.push(Line { level: crate::call::Level::Warn, messages });
        }
    }
}

fn bounded(end: End, kept_bytes: u64) -> End {
    let too_large = |words: String| End::Failed(Error::plain("RangeError", words));
    match end {
        End::Done(json) if json.len() > JOB_JSON_BYTES_MAX => {
            too_large(format!("A result has at most {JOB_JSON_BYTES_MAX} bytes of JSON; this one has {}.", json.len()))
        }
        End::Done(json) if kept_bytes + json.len() as u64 > JOB_RESULTS_BYTES_MAX => {
            too_large(format!("The results of one job have at most {JOB_RESULTS_BYTES_MAX} bytes together."))
        }
        end => end,
    }
}
