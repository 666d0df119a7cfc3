//! Sends a batch of a hook's requests to a worker: gathered from what is at hand, or from the log.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use rules::{
    call::{Call, Failure, Foldable, Json, Outcome, Program, Ran, Request, Stop},
    hook::{Entry, Folded, Verdict},
    limits::Limits,
    record::{At, LaneId, Position, Seq},
    row::{self, Fate},
};
use store::{Extent, Order, Store};

use crate::{
    AT_HAND_BYTES_MAX, AT_HAND_MAX, FOLD_BYTES_MAX, FOLD_REQUESTS_MAX,
    log::{self, Damage},
    world::World,
};

/// No secrets yet: every program sees none.
pub const NO_SECRETS: &str = "{}";

/// A request as the log holds it.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub seq: Seq,
    pub request: Arc<Request>,
    pub verdict: Verdict,
    pub at: At,
}

/// A run of consecutive requests, and what backstops decided about them before.
pub struct Gathered {
    pub after: Seq,
    pub arrivals: Vec<(Seq, Arc<Request>, bool)>,
    pub through: Seq,
    pub forced: HashMap<Seq, Stop>,
}

/// What a worker made of a batch.
pub enum Worked {
    Folded {
        through: Seq,
        folded: Vec<Folded>,
    },
    /// Ask again later.
    Not(String),
}

/// The newest requests of a lane, so that the next fold need not read what was just written.
#[derive(Default)]
pub struct AtHand {
    requests: VecDeque<(Seq, Arc<Request>, bool)>,
    bytes: usize,
}

impl AtHand {
    pub fn push(&mut self, seq: Seq, request: Arc<Request>, is_folded: bool) {
        self.bytes += size_of_request(&request);
        self.requests.push_back((seq, request, is_folded));
        while self.requests.len() > AT_HAND_MAX || self.bytes > AT_HAND_BYTES_MAX {
            self.pop();
        }
    }

    /// Forgets what every fold has passed.
    pub fn forget_through(&mut self, seq: Seq) {
        while self.requests.front().is_some_and(|(first, ..)| *first <= seq) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((_, request, _)) = self.requests.pop_front() {
            self.bytes -= size_of_request(&request);
        }
    }

    /// The next batch behind `after`, if all of it from there on is at hand.
    pub fn gather(&self, after: Seq) -> Option<Gathered> {
        let (first, ..) = self.requests.front()?;
        let skip = (after.0 + 1).checked_sub(first.0)? as usize;
        let mut bytes = 0;
        let arrivals: Vec<_> = self
            .requests
            .iter()
            .skip(skip)
            .take(FOLD_REQUESTS_MAX)
            .take_while(|(_, request, _)| {
                let fits = bytes == 0 || bytes + request.body.0.len() <= FOLD_BYTES_MAX;
                bytes += request.body.0.len();
                fits
            })
            .cloned()
            .collect();
        let through = arrivals.last()?.0;
        Some(Gathered { after, arrivals, through, forced: HashMap::new() })
    }
}

pub fn size_of_request(request: &Request) -> usize {
    let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.0.len()).sum();
    request.body.0.len() + request.path.len() + request.query.len() + headers + 64
}

/// The requests behind `after`, from the log.
pub async fn arrivals(store: &dyn Store, lane: LaneId, after: Seq, to: Seq) -> Result<Vec<Arrival>, Damage> {
    let mut position = log::end_of(after);
    let mut hash = log::hash_at(store, lane, position).await?;
    let mut arrivals = Vec::new();
    let mut bytes = 0;
    loop {
        let extent = Extent { records_max: FOLD_REQUESTS_MAX, bytes_max: FOLD_BYTES_MAX };
        let page = log::page(store, lane, position, hash, extent).await?;
        let Some((last, _)) = page.last() else { return Ok(arrivals) };
        (position, hash) = (last.position, last.hash);
        for (record, entry) in page {
            let seq = record.position.seq();
            if seq > to {
                return Ok(arrivals);
            }
            if let Entry::Arrived { request, verdict, at } = entry {
                bytes += record.body.len();
                arrivals.push(Arrival { seq, request, verdict, at });
                if arrivals.len() >= FOLD_REQUESTS_MAX || bytes >= FOLD_BYTES_MAX {
                    return Ok(arrivals);
                }
            }
        }
        if position >= Position::of_request(Seq(to.0 + 1)) {
            return Ok(arrivals);
        }
    }
}

/// The next batch behind `after`, from the log, with what was decided about it before.
pub async fn gather(store: &dyn Store, lane: LaneId, version: u32, after: Seq, to: Seq) -> Result<Gathered, Damage> {
    let arrivals: Vec<_> = arrivals(store, lane, after, to)
        .await?
        .into_iter()
        .map(|arrival| (arrival.seq, arrival.request, arrival.verdict.is_folded()))
        .collect();
    let through = arrivals.last().map_or(after, |(seq, ..)| *seq);
    let forced = fates(store, lane, version, after, through)
        .await?
        .into_iter()
        .filter_map(|(seq, fate)| fate.stop.filter(|stop| !stop.is_replayable()).map(|stop| (seq, stop)))
        .collect();
    Ok(Gathered { after, arrivals, through, forced })
}

/// What is remembered of the requests in `after+1..=through`.
pub async fn fates(
    store: &dyn Store,
    lane: LaneId,
    version: u32,
    after: Seq,
    through: Seq,
) -> Result<HashMap<Seq, Fate>, Damage> {
    let from = row::fate(lane, version, Seq(after.0 + 1));
    let to = row::fate(lane, version, Seq(through.0 + 1));
    if from >= to {
        return Ok(HashMap::new());
    }
    let rows_max = (through.0 - after.0) as usize;
    let rows = store.rows(from, to, Order::Ascending, rows_max).await?;
    Ok(rows.iter().filter_map(|(key, value)| Some((row::fate_seq(key)?, row::decode(value)?))).collect())
}

/// Has a worker fold a batch.
pub async fn work(world: &World, program: &Arc<Program>, state: Option<Json>, gathered: Gathered) -> Worked {
    let Gathered { arrivals, through, forced, .. } = gathered;
    let requests: Vec<_> = arrivals
        .into_iter()
        .filter(|(.., is_folded)| *is_folded)
        .map(|(seq, request, _)| Foldable { forced: forced.get(&seq).copied(), request })
        .collect();
    if requests.is_empty() {
        return Worked::Folded { through, folded: Vec::new() };
    }
    let call = Call::Fold { state, requests: requests.clone(), secrets: NO_SECRETS.into() };
    let rans = match world.worker.call(program, call, Limits::default()).await {
        Outcome::Folded(rans) if !rans.is_empty() && rans.len() <= requests.len() => rans,
        Outcome::Unrunnable(error) => {
            let ran = Ran { result: Err(Failure { error, stop: None }), console: Vec::new() };
            vec![ran; requests.len()]
        }
        Outcome::Unavailable(why) => return Worked::Not(why),
        other => return Worked::Not(format!("a worker answered a fold with {other:?}")),
    };
    let through = match requests.get(rans.len()) {
        None => through,
        // The worker stopped early; what was ignored between here and the next request is passed all the same.
        Some(next) => Seq(next.request.seq - 1),
    };
    let folded = requests
        .into_iter()
        .zip(rans)
        .map(|(foldable, ran)| Folded {
            seq: Seq(foldable.request.seq),
            forced: foldable.forced.is_some(),
            request_bytes: size_of_request(&foldable.request),
            ran,
        })
        .collect();
    Worked::Folded { through, folded }
}
