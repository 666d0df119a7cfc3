//! A hook: what happens when a request arrives, a batch is folded, or its owner changes something.

use alloc::{format, string::String, sync::Arc, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    access::{Door, Key, KeyKind},
    call::{Exports, Json, Program, Request, Response},
    canary::{self, Bug},
    limits,
    record::{At, Hash, LaneId, Position, Record, Seq},
    refusal::Refusal,
    row::{self, Source},
};

mod entry;
mod fold;

pub use entry::{Edit, Entry, Verdict};
pub use fold::{Fold, Folded, HEAD_BYTES, SNAPSHOT_REQUESTS};

/// How many keys a hook may have.
pub const KEYS_MAX: usize = 64;

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
    /// When the last refold ended, for those who ask how it went.
    pub last_refold: Option<LastRefold>,
    last_at: At,
    /// Idempotency keys decided in this turn, which no row shows yet.
    fresh: Vec<(Vec<u8>, Seen)>,
}

/// What an owner set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    pub owner: LaneId,
    pub name: String,
    pub description: String,
    pub paused: bool,
    pub created_at: At,
    pub keys: Vec<Key>,
    pub draft: Draft,
    /// The version that readers see.
    pub published: Option<Version>,
    /// The version that is being refolded.
    pub refolding: Option<Version>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    pub version: u32,
    pub source: Arc<str>,
}

/// A version with code that can run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub version: u32,
    pub exports: Exports,
    pub since: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRefold {
    pub total: Seq,
    pub took_ms: u64,
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
    Edit {
        edit: Edit,
        ticket: Ticket,
    },
    /// The draft was described: it has these exports.
    Publish {
        source: Arc<str>,
        exports: Exports,
        ticket: Ticket,
    },
    MakeKey {
        key: String,
        kind: KeyKind,
        ticket: Ticket,
    },
    PauseKey {
        key: String,
        paused: bool,
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
    /// A key now leads here.
    Door {
        key: String,
        door: Door,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub enum Changed {
    Edited,
    Publishing { version: u32, total: Seq },
    KeyMade { key: String },
    KeyPaused,
}

impl Hook {
    /// A new hook with its first two keys; the step's records begin its log.
    pub fn create(lane: LaneId, owner: LaneId, name: String, draft: Arc<str>, keys: [Key; 2], at: At) -> (Hook, Step) {
        let config = Config {
            owner,
            name: name.clone(),
            description: String::new(),
            paused: false,
            created_at: at,
            keys: Vec::new(),
            draft: Draft { version: 1, source: draft.clone() },
            published: None,
            refolding: None,
        };
        let mut hook = Hook::load(lane, config, None, at);
        let mut step = Step::default();
        hook.note(Entry::Created { owner, name, draft, at }, &mut step);
        step.rows.push((row::owned(owner, lane), Some(Vec::new())));
        for key in keys {
            hook.add_key(key, at, &mut step);
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
            last_refold: None,
            last_at: at,
            fresh: Vec::new(),
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
            Input::Write(write) => self.write(at, write, &mut step),
            Input::Folded { version, after, through, folded } => {
                self.folded(at, version, after, through, folded, &mut step)
            }
            Input::NotFolded { version } => {
                if let Some(fold) = self.fold_of(version) {
                    fold.running = false;
                }
            }
            Input::Edit { edit, ticket } => self.edit(at, edit, ticket, &mut step),
            Input::Publish { source, exports, ticket } => self.publish(at, source, exports, ticket, &mut step),
            Input::MakeKey { key, kind, ticket } => self.make_key(at, key, kind, ticket, &mut step),
            Input::PauseKey { key, paused, ticket } => self.pause_key(at, key, paused, ticket, &mut step),
        }
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
        let (response, verdict) = match answered {
            Some(Answered { response, verdict }) => (Some(response), verdict),
            None => (None, Verdict::Kept),
        };
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
        let version = refold.version;
        self.last_refold = Some(LastRefold { total: refold.through, took_ms: at.0.saturating_sub(refold.since.0) });
        self.note(Entry::Published { version, through: refold.through, at }, step);
        let source = refold.program.source.clone();
        self.live = Some(refold);
        let config = Arc::make_mut(&mut self.config);
        let published = config.refolding.take().expect("a refold is set down in the config");
        let exports = published.exports;
        config.published = Some(Version { since: at, ..published });
        let kept = Source { source, published_at: Some(at), exports };
        step.rows.push((row::source(self.lane, version), Some(row::encode(&kept))));
        self.keep_config(step);
    }

    fn edit(&mut self, at: At, edit: Edit, ticket: Ticket, step: &mut Step) {
        let config = Arc::make_mut(&mut self.config);
        if let Some(source) = &edit.draft {
            config.draft.source = source.clone();
        }
        if let Some(name) = &edit.name {
            config.name = name.clone();
        }
        if let Some(description) = &edit.description {
            config.description = description.clone();
        }
        if let Some(paused) = edit.paused {
            config.paused = paused;
        }
        self.note(Entry::Edited { edit, at }, step);
        self.keep_config(step);
        step.effects.push(Effect::Changed { ticket, change: Changed::Edited });
    }

    /// Begins the refold. One that was under way is given up: the newer code is what its owner wants.
    fn publish(&mut self, at: At, source: Arc<str>, exports: Exports, ticket: Ticket, step: &mut Step) {
        let version = self.config.draft.version;
        self.note(Entry::Publishing { version, source: source.clone(), exports, at }, step);
        let config = Arc::make_mut(&mut self.config);
        config.refolding = Some(Version { version, exports, since: at });
        config.draft = Draft { version: version + 1, source: source.clone() };
        let kept = Source { source: source.clone(), published_at: None, exports };
        step.rows.push((row::source(self.lane, version), Some(row::encode(&kept))));
        self.refold = Some(Fold::begin(version, Arc::new(Program::new(source)), None, at));
        self.keep_config(step);
        let total = self.seq();
        step.effects.push(Effect::Changed { ticket, change: Changed::Publishing { version, total } });
        self.switch_if_nothing_to_fold(at, step);
    }

    /// With an empty log there is nothing to wait for.
    fn switch_if_nothing_to_fold(&mut self, at: At, step: &mut Step) {
        if self.seq() == Seq(0) {
            self.switch_if_caught_up(at, step);
        }
    }

    fn make_key(&mut self, at: At, key: String, kind: KeyKind, ticket: Ticket, step: &mut Step) {
        if self.config.keys.len() >= KEYS_MAX {
            step.effects.push(Effect::Refuse { ticket, refusal: Refusal::KEYS_TOO_MANY });
            return;
        }
        self.add_key(Key { key: key.clone(), kind, paused: false }, at, step);
        self.keep_config(step);
        step.effects.push(Effect::Changed { ticket, change: Changed::KeyMade { key } });
    }

    fn add_key(&mut self, key: Key, at: At, step: &mut Step) {
        self.note(Entry::KeyMade { key: key.key.clone(), kind: key.kind, at }, step);
        self.keep_door(&key, step);
        Arc::make_mut(&mut self.config).keys.push(key);
    }

    fn pause_key(&mut self, at: At, key: String, paused: bool, ticket: Ticket, step: &mut Step) {
        let Some(index) = self.config.keys.iter().position(|known| known.key == key) else {
            step.effects.push(Effect::Refuse { ticket, refusal: Refusal::KEY_UNKNOWN });
            return;
        };
        Arc::make_mut(&mut self.config).keys[index].paused = paused;
        let known = self.config.keys[index].clone();
        self.note(Entry::KeyPaused { key, paused, at }, step);
        self.keep_door(&known, step);
        self.keep_config(step);
        step.effects.push(Effect::Changed { ticket, change: Changed::KeyPaused });
    }

    fn keep_door(&mut self, key: &Key, step: &mut Step) {
        let door = Door { hook: self.lane, kind: key.kind, paused: key.paused };
        step.rows.push((row::door(&key.key), Some(row::encode(&door))));
        step.effects.push(Effect::Door { key: key.key.clone(), door });
    }

    fn keep_config(&mut self, step: &mut Step) {
        step.rows.push((row::hook(self.lane), Some(row::encode(&*self.config))));
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
        self.append(position, entry, step);
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
