//! How the server is.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use engine::follow::View;
use rules::record::At;
use serde::Serialize;
use store::postgres::Standing;

use super::{
    super::tally::{Figures, Times},
    version::Replay,
};

/// Replays under way that the owner of a server is shown at once.
const REPLAYS_SHOWN_MAX: usize = 100;

/// How the server is, as its owner wants to see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    pub version: &'static str,
    pub started_at: u64,
    pub now: u64,
    /// Hooks in memory.
    pub awake: usize,
    pub store: StoreHealth,
    pub walls: Vec<Wall>,
    pub children: Children,
    pub writes: WriteFigures,
    pub latencies: Vec<Latency>,
    pub refusals: BTreeMap<String, u64>,
    pub folds: FoldFigures,
    pub memory: Memory,
    pub limits: Vec<HeldLimit>,
    /// Those that share a database; none where a directory keeps everything.
    pub nodes: Vec<Node>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreHealth {
    pub kind: &'static str,
    pub bytes: u64,
    pub free_bytes: Option<u64>,
}

/// One of the walls around user code.
#[derive(Serialize)]
pub struct Wall {
    name: String,
    holds: bool,
    detail: String,
}

impl Wall {
    pub fn of(layer: worker::jail::Layer) -> Wall {
        Wall { name: layer.name, holds: layer.holds, detail: layer.detail }
    }
}

/// The processes that run user code.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Children {
    pub alive: usize,
    /// Since the server began; many more than live mean that something kills them.
    pub started: u64,
    pub start_ms: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteFigures {
    accepted: u64,
    refused: u64,
    per_second: f64,
}

impl WriteFigures {
    pub fn of(figures: Figures) -> WriteFigures {
        WriteFigures { accepted: figures.kept, refused: figures.refused, per_second: figures.per_second }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    name: &'static str,
    count: usize,
    p50_ms: f64,
    p99_ms: f64,
}

impl Latency {
    pub fn of(name: &'static str, times: Times) -> Latency {
        Latency { name, count: times.count, p50_ms: ms(times.p50), p99_ms: ms(times.p99) }
    }
}

pub fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

#[derive(Serialize)]
pub struct FoldFigures {
    /// Requests of live hooks in memory that are kept and not folded yet.
    waiting: u64,
    replays: Vec<Replay>,
}

impl FoldFigures {
    pub fn of(views: &[Arc<View>], now: At) -> FoldFigures {
        let live = views.iter().filter(|view| view.live.is_some() && !view.config.paused);
        let waiting = live.map(|view| view.seq.0 - view.through().0.max(view.config.begin.0)).sum();
        let replays = views.iter().filter(|view| view.refold.is_some()).take(REPLAYS_SHOWN_MAX);
        FoldFigures { waiting, replays: replays.map(|view| Replay::of(view, now)).collect() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    pub resident_bytes: Option<u64>,
}

/// How much of a bound is taken now.
#[derive(Serialize)]
pub struct HeldLimit {
    pub name: &'static str,
    pub held: usize,
    pub max: usize,
}

/// One of the servers that share a database.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    id: String,
    address: String,
    version: String,
    since: u64,
    /// How long it counts as being there without having said so again; 0 when it is gone.
    lease_ms: u64,
    shards: usize,
    /// It has all that is not a hook.
    is_head: bool,
}

impl Node {
    pub fn of(node: Standing) -> Node {
        let Standing { id, address, version, since_ms, left, shards, is_head, .. } = node;
        let lease_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        Node { id: id.to_string(), address, version, since: since_ms, lease_ms, shards, is_head }
    }
}
