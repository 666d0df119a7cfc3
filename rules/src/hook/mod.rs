//! A hook: what happens when a request arrives, a batch is folded, or its owner changes something.

use alloc::{format, string::String, sync::Arc, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    access::{Door, Key},
    call::{Json, Line, Request, Response},
    canary::{self, Bug},
    limits,
    record::{At, Hash, LaneId, Position, Record, Seq},
    refusal::Refusal,
    row,
};

mod change;
mod config;
mod entry;
mod fold;
mod import;

pub use change::{Change, Changed};
pub use config::{Config, Draft, LastRefold, Secrets, Version};
pub use entry::{Edit, Entry, Verdict};
pub use fold::{Came, Fold, Folded, HEAD_BYTES, SNAPSHOT_REQUESTS};

/// A hook between two steps: its owner's settings, the end of its log, and the folds over it.
#[derive(Clone, Debug)]
pub struct Hook {
    pub lane: LaneId,
    pub config: Arc<Config>,
    pub tail: Position,
    pub hash: Hash,
    /// What readers see.
    pub live: Option<Fold>,
    /// What will replace it, when it has caught up.
    pub refold: Option<Fold>,
    last_at: At,
    /// Idempotency keys decided in this turn, which no row shows yet.
    fresh: Vec<(Vec<u8>, Seen)>,
    /// The config changed in this step, and its row has to follow.
    config_changed: bool,
    /// It was deleted in this turn: whoever comes later in it comes too late.
    deleted: bool,
}

/// The first reply to an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub body_hash: [u8; 32],
    pub at: At,
    pub reply: Reply,
}

/// What a writer is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    Receipt(Receipt),
    /// The responder's own words.
    Response(Response),
}

/// Proof that a request is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub id: u128,
    pub seq: Seq,
    pub hash: Hash,
}

/// Whom a reply is for; the engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Something that happened to a hook.
#[derive(Debug)]
pub enum Input {
    Write(Write),
    /// A worker folded the requests after `after` up to `through`, in `version`.
    Folded {
        version: u32,
        after: Seq,
        through: Seq,
        folded: Vec<Folded>,
    },
    /// A worker could not; the batch is asked for again.
    NotFolded {
        version: u32,
    },
    Change {
        change: Change,
        ticket: Ticket,
    },
}

/// A request that came in at a write key.
#[derive(Debug)]
pub struct Write {
    pub request: Request,
    pub idempotency_key: Option<Vec<u8>>,
    /// What the store knows of that key.
    pub seen: Option<Seen>,
    /// What the responder said, if there is one.
    pub answered: Option<Answered>,
    pub ticket: Ticket,
}

#[derive(Debug)]
pub struct Answered {
    pub response: Response,
    pub verdict: Verdict,
    pub console: Vec<Line>,
}

/// What a step decided: written first, done after.
#[derive(Debug, Default)]
pub struct Step {
    pub records: Vec<Record>,
    pub rows: Vec<row::Change>,
    pub effects: Vec<Effect>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    Reply {
        ticket: Ticket,
        reply: Reply,
        replayed: bool,
    },
    Refuse {
        ticket: Ticket,
        refusal: Refusal,
    },
    Changed {
        ticket: Ticket,
        change: Changed,
    },
    /// Keep this request at hand: it is folded next.
    Arrived {
        seq: Seq,
        request: Arc<Request>,
        is_folded: bool,
    },
    /// Ask a worker for the next batch of this version.
    Fold {
        version: u32,
    },
    /// A key now leads here, or nowhere.
    Door {
        key: String,
        door: Option<Door>,
    },
    /// Nothing is left to work on: the lane ends.
    End,
}

impl Hook {
    /// A new hook with its first two keys; the step's records begin its log.
    pub fn create(lane: LaneId, owner: LaneId, name: String, draft: Arc<str>, keys: [Key; 2], at: At) -> (Hook, Step) {
        let mut hook = Hook::load(lane, Config::default(), None, at);
        let mut step = Step::default();
        hook.note(Entry::Created { owner, name, draft, at }, &mut step);
        for Key { key, kind, .. } in keys {
            hook.note(Entry::KeyMade { key, kind, at }, &mut step);
        }
        hook.keep_config(&mut step);
        (hook, step)
    }

    /// A hook as its rows and the last record tell; its folds are attached after.
    pub fn load(lane: LaneId, config: Config, last: Option<&Record>, at: At) -> Hook {
        Hook {
            lane,
            config: Arc::new(config),
            tail: last.map_or(Position::START, |record| record.position),
            hash: last.map_or(Hash::NONE, |record| record.hash),
            live: None,
            refold: None,
            last_at: at,
            fresh: Vec::new(),
            config_changed: false,
            deleted: false,
        }
    }

    pub fn seq(&self) -> Seq {
        self.tail.seq()
    }

    /// The state that readers see, and how far it reflects the log.
    pub fn head(&self) -> (Seq, Option<Json>) {
        self.live.as_ref().map_or((Seq(0), None), |fold| (fold.through, fold.state.clone()))
    }

    /// The step's records and rows are kept: what was decided is now known to the store.
    pub fn committed(&mut self) {
        self.fresh.clear();
    }

    /// What was under way when the hook was put away goes on.
    pub fn resume(&mut self) -> Step {
        let mut step = Step::default();
        self.go_on(&mut step);
        step
    }

    /// What to do now that this happened.
    pub fn step(&mut self, at: At, input: Input) -> Step {
        // A clock that was set back does not turn the log's time around.
        let at = at.max(self.last_at);
        self.last_at = at;
        let mut step = Step::default();
        match input {
            Input::Write(Write { ticket, .. }) if self.deleted => {
                step.effects.push(Effect::Refuse { ticket, refusal: Refusal::KEY_UNKNOWN })
            }
            Input::Change { ticket, .. } if self.deleted => {
                step.effects.push(Effect::Refuse { ticket, refusal: Refusal::HOOK_UNKNOWN })
            }
            Input::Write(write) => self.write(at, write, &mut step),
            Input::Folded { version, after, through, folded } => {
                self.folded(at, version, after, through, folded, &mut step)
            }
            Input::NotFolded { version } => {
                if let Some(fold) = self.fold_of(version) {
                    fold.running = false;
                }
            }
            Input::Change { change, ticket } => self.change(at, change, ticket, &mut step),
        }
        self.keep_config(&mut step);
        self.go_on(&mut step);
        step
    }

    fn write(&mut self, at: At, write: Write, step: &mut Step) {
        let Write { mut request, idempotency_key, seen, answered, ticket } = write;
        let body_hash = idempotency_key.as_ref().map(|_| *blake3::hash(&request.body.0).as_bytes());
        if let (Some(key), Some(body_hash)) = (&idempotency_key, body_hash) {
            let fresh = self.fresh.iter().find(|(fresh, _)| fresh == key).map(|(_, seen)| seen.clone());
            let first = fresh.or(seen).filter(|seen| at.0 < seen.at.0 + limits::IDEMPOTENCY_MS);
            if let Some(first) = first.filter(|_| !canary::is_planted(Bug::KeysForgotten)) {
                step.effects.push(if first.body_hash == body_hash {
                    Effect::Reply { ticket, reply: first.reply, replayed: true }
                } else {
                    Effect::Refuse { ticket, refusal: Refusal::IDEMPOTENCY_KEY_REUSED }
                });
                return;
            }
        }

        let mut seq = Seq(self.seq().0 + 1);
        if canary::is_planted(Bug::SeqSkipped) && seq.0.is_multiple_of(16) {
            seq.0 += 1;
        }
        request.seq = seq.0;
        let id = request.id;
        let request = Arc::new(request);
        let (response, verdict, console) = match answered {
            Some(Answered { response, verdict, console }) => (Some(response), verdict, console),
            None => (None, Verdict::Kept, Vec::new()),
        };
        if !console.is_empty() {
            step.rows.push((row::said(self.lane, seq), Some(row::encode(&console))));
        }
        let is_folded = verdict.is_folded();
        self.append(Position::of_request(seq), Entry::Arrived { request: request.clone(), verdict, at }, step);
        let reply = match response {
            Some(response) => Reply::Response(response),
            None => Reply::Receipt(Receipt { id, seq, hash: self.hash }),
        };
        if let (Some(key), Some(body_hash)) = (idempotency_key, body_hash) {
            let seen = Seen { body_hash, at, reply: reply.clone() };
            step.rows.push((row::seen(self.lane, &key), Some(row::encode(&seen))));
            self.fresh.push((key, seen));
        }
        step.effects.push(Effect::Arrived { seq, request, is_folded });
        step.effects.push(Effect::Reply { ticket, reply, replayed: false });
    }

    fn folded(&mut self, at: At, version: u32, after: Seq, through: Seq, folded: Vec<Folded>, step: &mut Step) {
        let lane = self.lane;
        let Some(fold) = self.fold_of(version) else { return };
        if fold.through != after {
            return;
        }
        fold.running = false;
        let (rows, stopped) = fold.take(lane, folded, through);
        step.rows.extend(rows);
        for stopped in stopped {
            self.note(Entry::Stopped { version, seq: stopped.seq, stop: stopped.stop, at }, step);
        }
        self.switch_if_caught_up(at, step);
    }

    /// The refold takes over as soon as it reflects all that readers have seen.
    fn switch_if_caught_up(&mut self, at: At, step: &mut Step) {
        let seen = self.live.as_ref().map_or(self.seq(), |live| live.through);
        let Some(refold) =
            self.refold.take_if(|refold| refold.through >= seen || canary::is_planted(Bug::PublishedTooEarly))
        else {
            return;
        };
        let (version, through) = (refold.version, refold.through);
        self.live = Some(refold);
        self.note(Entry::Published { version, through, at }, step);
    }

    /// Whatever has requests before it and no worker at it is sent to one.
    fn go_on(&mut self, step: &mut Step) {
        let seq = self.seq();
        let live = self.live.as_mut().filter(|_| !self.config.paused);
        for fold in live.into_iter().chain(self.refold.as_mut()) {
            if fold.through < seq && !fold.running {
                fold.running = true;
                step.effects.push(Effect::Fold { version: fold.version });
            }
        }
    }

    pub fn fold_of(&mut self, version: u32) -> Option<&mut Fold> {
        self.live.iter_mut().chain(self.refold.iter_mut()).find(|fold| fold.version == version)
    }

    fn note(&mut self, entry: Entry, step: &mut Step) {
        let position = self
            .tail
            .next_note()
            .unwrap_or_else(|| panic!("lane {:?} holds 16 million notes behind one request", self.lane));
        let was = self.seq();
        if Arc::make_mut(&mut self.config).apply(&entry, was) {
            self.config_changed = true;
        }
        row::of_note(self.lane, was, &entry, &self.config, &mut step.rows);
        if let Entry::KeyMade { key, .. } | Entry::KeyPaused { key, .. } | Entry::KeyRevoked { key, .. } = &entry {
            let door = self.config.door(self.lane, key);
            step.effects.push(Effect::Door { key: key.clone(), door });
        }
        self.append(position, entry, step);
    }

    fn keep_config(&mut self, step: &mut Step) {
        if core::mem::take(&mut self.config_changed) {
            step.rows.push((row::hook(self.lane), Some(row::encode(&*self.config))));
        }
    }

    fn append(&mut self, position: Position, entry: Entry, step: &mut Step) {
        assert!(position > self.tail, "a lane grows at its end");
        let body = row::encode(&entry);
        self.hash = self.hash.chain(position, &body);
        self.tail = position;
        step.records.push(Record { position, hash: self.hash, body });
    }
}

/// How a hook is called until its owner says otherwise.
pub fn name_of(seed: u128) -> String {
    const FIRST: [&str; 16] = [
        "amber", "brisk", "calm", "dusky", "early", "fern", "gentle", "hazel", "ivory", "jolly", "keen", "lunar",
        "mellow", "north", "olive", "plain",
    ];
    const SECOND: [&str; 16] = [
        "badger", "brook", "cedar", "comet", "delta", "ember", "falcon", "grove", "harbor", "island", "lantern",
        "meadow", "otter", "pebble", "river", "willow",
    ];
    format!("{}-{}", FIRST[(seed & 15) as usize], SECOND[((seed >> 4) & 15) as usize])
}
