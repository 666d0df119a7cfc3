//! What a hook shows of itself, and how to hear of it when it changes.

use std::sync::Arc;

use rules::{
    call::{Exports, Json, Program},
    hook::{Config, Hook},
    record::{At, Hash, LaneId, Seq},
};
use tokio::sync::watch;

use crate::{WAIT_MS_MAX, fold::Code, world::World};

/// A hook after a turn: only what is committed.
#[derive(Clone, Debug)]
pub struct View {
    pub lane: LaneId,
    pub config: Arc<Config>,
    pub seq: Seq,
    pub hash: Hash,
    pub live: Option<Live>,
    pub refold: Option<Progress>,
}

/// The published version and its state.
#[derive(Clone, Debug)]
pub struct Live {
    pub version: u32,
    pub program: Arc<Program>,
    pub exports: Exports,
    pub through: Seq,
    pub state: Option<Json>,
}

#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub version: u32,
    pub done: Seq,
    pub total: Seq,
    pub since: At,
}

impl Live {
    pub fn code(&self) -> Code {
        Code { program: self.program.clone(), exports: self.exports }
    }
}

impl View {
    pub fn of(hook: &Hook) -> View {
        View {
            lane: hook.lane,
            config: hook.config.clone(),
            seq: hook.seq(),
            hash: hook.hash,
            live: hook.live.as_ref().map(|fold| Live {
                version: fold.version,
                program: fold.program.clone(),
                exports: fold.exports,
                through: fold.through,
                state: fold.state.clone(),
            }),
            refold: hook.refold.as_ref().map(|fold| Progress {
                version: fold.version,
                done: fold.through,
                total: hook.seq(),
                since: hook.config.refolding.as_ref().map_or(At(0), |version| version.since),
            }),
        }
    }

    /// How far readers see.
    pub fn through(&self) -> Seq {
        self.live.as_ref().map_or(Seq(0), |live| live.through)
    }

    /// How many requests the log holds since it began.
    pub fn requests(&self) -> u64 {
        self.seq.0 - self.config.begin.0
    }

    pub fn state(&self) -> Option<Json> {
        self.live.as_ref().and_then(|live| live.state.clone())
    }
}

/// Hears of every change of a hook; a slow follower misses the ones between and always gets the newest.
pub type Following = watch::Receiver<Arc<View>>;

/// Waits until a request is folded, `WAIT_MS_MAX` at most; `None` when it was not by then.
pub async fn folded_through(world: &World, following: &mut Following, seq: Seq) -> Option<Arc<View>> {
    tokio::select! {
        biased;
        view = following.wait_for(|view| view.through() >= seq) => view.ok().map(|view| view.clone()),
        () = world.clock.sleep(WAIT_MS_MAX) => None,
    }
}
