//! Sends a batch of a hook's requests to a worker: gathered from what is at hand, or from the log.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use rules::{
    call::{Call, Error, Exports, Failure, Foldable, Json, Line, Outcome, Program, Ran, Request, Stop},
    hook::{Came, Config, Entry, Folded, Secrets, Verdict},
    limits::Limits,
    record::{At, Hash, LaneId, Seq},
    row::{self, Fate, KeyHash},
};
use serde::de::DeserializeOwned;
use store::{Extent, Order, Store};

use crate::{
    AT_HAND_BYTES_MAX, AT_HAND_MAX, FOLD_BYTES_MAX, FOLD_REQUESTS_MAX,
    log::{self, Damage},
    vault::Opened,
    world::World,
};

/// A request as the log holds it.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub seq: Seq,
    pub request: Arc<Request>,
    pub verdict: Verdict,
    pub at: At,
    /// That of its receipt.
    pub hash: Hash,
}

/// A run of consecutive requests that see the same secrets, and what backstops decided about them before.
pub struct Gathered {
    pub after: Seq,
    pub arrivals: Vec<(Seq, Arc<Request>, bool)>,
    pub through: Seq,
    pub forced: HashMap<Seq, Stop>,
    pub secrets: Arc<Secrets>,
}

/// What a worker runs.
#[derive(Clone)]
pub struct Code {
    pub program: Arc<Program>,
    pub exports: Exports,
}

/// Where it is known which request had an idempotency key first.
pub enum Keyed {
    /// In the rows of a version.
    Kept { version: u32, begin: Seq },
    /// Here, for a fold that keeps nothing.
    Here(HashMap<KeyHash, Seq>),
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
    pub fn gather(&self, after: Seq, config: &Config) -> Option<Gathered> {
        let (first, ..) = self.requests.front().filter(|_| after >= config.secrets_since)?;
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
        Some(Gathered { after, arrivals, through, forced: HashMap::new(), secrets: config.secrets.clone() })
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
        let left = to.0.saturating_sub(after.0) as usize - arrivals.len();
        let extent = Extent { records_max: left.clamp(1, FOLD_REQUESTS_MAX), bytes_max: FOLD_BYTES_MAX };
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
                arrivals.push(Arrival { seq, request, verdict, at, hash: record.hash });
                if seq == to || arrivals.len() >= FOLD_REQUESTS_MAX || bytes >= FOLD_BYTES_MAX {
                    return Ok(arrivals);
                }
            }
        }
    }
}

/// The next batch behind `after`, from the log, with what was decided about it before.
pub async fn gather(store: &dyn Store, lane: LaneId, version: u32, after: Seq, to: Seq) -> Result<Gathered, Damage> {
    let (secrets, until) = secrets(store, lane, after, to).await?;
    let arrivals: Vec<_> = arrivals(store, lane, after, until)
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
    Ok(Gathered { after, arrivals, through, forced, secrets })
}

/// What the requests behind `after` see, and up to which of them.
async fn secrets(store: &dyn Store, lane: LaneId, after: Seq, to: Seq) -> Result<(Arc<Secrets>, Seq), Damage> {
    let of = |seq| row::secrets(lane, seq);
    let before = store.rows(of(Seq(0)), of(Seq(after.0 + 1)), Order::Descending, 1).await?;
    let secrets = match before.first() {
        Some((_, value)) => row::decode(value).ok_or(Damage::Unknown(after))?,
        None => Secrets::default(),
    };
    let next = match to > Seq(after.0 + 1) {
        true => store.rows(of(Seq(after.0 + 1)), of(to), Order::Ascending, 1).await?,
        false => Vec::new(),
    };
    let until = next.first().and_then(|(key, _)| row::seq_of(key));
    Ok((Arc::new(secrets), until.unwrap_or(to)))
}

/// What is remembered of the requests in `after+1..=through`.
pub async fn fates(
    store: &dyn Store,
    lane: LaneId,
    version: u32,
    after: Seq,
    through: Seq,
) -> Result<HashMap<Seq, Fate>, Damage> {
    told(store, |seq| row::fate(lane, version, seq), after, through).await
}

/// Of the requests in `after+1..=through`, those that were skipped, and which one had their key.
pub async fn duplicates(
    store: &dyn Store,
    lane: LaneId,
    version: u32,
    after: Seq,
    through: Seq,
) -> Result<HashMap<Seq, Seq>, Damage> {
    told(store, |seq| row::duplicate(lane, version, seq), after, through).await
}

/// The rows of one kind that there are of these requests.
async fn told<T: DeserializeOwned>(
    store: &dyn Store,
    row_of: impl Fn(Seq) -> Vec<u8>,
    after: Seq,
    through: Seq,
) -> Result<HashMap<Seq, T>, Damage> {
    if through <= after {
        return Ok(HashMap::new());
    }
    let (from, to) = (row_of(Seq(after.0 + 1)), row_of(Seq(through.0 + 1)));
    let rows = store.rows(from, to, Order::Ascending, (through.0 - after.0) as usize).await?;
    Ok(rows.iter().filter_map(|(key, value)| Some((row::seq_of(key)?, row::decode(value)?))).collect())
}

/// Has a worker fold a batch.
pub async fn work(
    world: &World,
    lane: LaneId,
    code: &Code,
    state: Option<Json>,
    gathered: Gathered,
    keyed: &Keyed,
) -> Worked {
    let Gathered { arrivals, through, forced, secrets, .. } = gathered;
    let requests: Vec<_> = arrivals
        .into_iter()
        .filter(|(.., is_folded)| *is_folded)
        .map(|(seq, request, _)| Foldable { forced: forced.get(&seq).copied(), request })
        .collect();
    if requests.is_empty() {
        return Worked::Folded { through, folded: Vec::new() };
    }
    let secrets = world.vault.open(lane, &secrets);
    let batch = Batch { world, lane, code, secrets: &secrets };
    let worked = match code.exports.idempotency_key {
        false => batch.fold(state, requests.iter().cloned().map(Fresh::without_key).collect()).await,
        true => batch.fold_by_key(state, &requests, keyed).await,
    };
    match worked {
        // All of it, and what was ignored behind it.
        Ok(folded) if folded.last().is_some_and(|last| last.seq.0 == requests[requests.len() - 1].request.seq) => {
            Worked::Folded { through, folded }
        }
        Ok(folded) => match folded.last() {
            Some(last) => Worked::Folded { through: last.seq, folded },
            None => Worked::Not("a worker folded nothing".into()),
        },
        Err(Why::Not(why)) => Worked::Not(why),
        Err(Why::Read(damage)) => Worked::Not(damage.to_string()),
    }
}

/// Why a batch was not folded.
enum Why {
    Not(String),
    Read(Damage),
}

impl From<store::Fault> for Why {
    fn from(fault: store::Fault) -> Why {
        Why::Read(fault.into())
    }
}

/// A request that no earlier one had the key of.
struct Fresh {
    foldable: Foldable,
    key: Option<KeyHash>,
    /// What `getIdempotencyKey` left: its console, and its error, for which the reducer is not run.
    console: Vec<Line>,
    failure: Option<Failure>,
}

impl Fresh {
    fn without_key(foldable: Foldable) -> Fresh {
        Fresh { foldable, key: None, console: Vec::new(), failure: None }
    }
}

struct Batch<'a> {
    world: &'a World,
    lane: LaneId,
    code: &'a Code,
    secrets: &'a Opened,
}

impl Batch<'_> {
    /// Runs the reducer over requests, or over a prefix of them.
    async fn fold(&self, state: Option<Json>, fresh: Vec<Fresh>) -> Result<Vec<Folded>, Why> {
        let requests: Vec<_> = fresh.iter().map(|fresh| fresh.foldable.clone()).collect();
        let call = Call::Fold { state, requests, secrets: self.secrets.json() };
        let rans = match self.world.worker.call(&self.code.program, call, Limits::default()).await {
            Outcome::Folded(rans) if !rans.is_empty() && rans.len() <= fresh.len() => rans,
            Outcome::Unrunnable(error) => unrunnable(&error, fresh.len()),
            Outcome::Unavailable(why) => return Err(Why::Not(why)),
            other => return Err(Why::Not(format!("a worker answered a fold with {other:?}"))),
        };
        let folded = fresh.into_iter().zip(rans).map(|(fresh, ran)| self.folded(fresh, ran));
        Ok(folded.collect())
    }

    fn folded(&self, fresh: Fresh, mut ran: Ran<Json>) -> Folded {
        let Fresh { foldable, key, mut console, .. } = fresh;
        console.append(&mut ran.console);
        ran.console = console;
        self.secrets.redact(&mut ran);
        Folded {
            seq: Seq(foldable.request.seq),
            forced: foldable.forced.is_some(),
            request_bytes: size_of_request(&foldable.request),
            key,
            came: Came::Ran(ran),
        }
    }

    /// The same, after each request was asked for its key. What has an earlier one's key is passed over.
    async fn fold_by_key(
        &self,
        mut state: Option<Json>,
        requests: &[Foldable],
        keyed: &Keyed,
    ) -> Result<Vec<Folded>, Why> {
        let call = Call::Keys { requests: requests.to_vec(), secrets: self.secrets.json() };
        let rans = match self.world.worker.call(&self.code.program, call, Limits::default()).await {
            Outcome::Keyed(rans) if !rans.is_empty() && rans.len() <= requests.len() => rans,
            Outcome::Unrunnable(error) => unrunnable(&error, requests.len()),
            Outcome::Unavailable(why) => return Err(Why::Not(why)),
            other => return Err(Why::Not(format!("a worker answered a call for keys with {other:?}"))),
        };
        let asked: Vec<_> = requests
            .iter()
            .cloned()
            .zip(rans)
            .map(|(foldable, Ran { result, console })| match result {
                Ok(key) => Fresh { foldable, key: Some(KeyHash::of(&key)), console, failure: None },
                Err(failure) => Fresh { foldable, key: None, console, failure: Some(failure) },
            })
            .collect();
        let kept = self.kept(keyed, asked.iter().filter_map(|fresh| fresh.key)).await?;
        let mut first: HashMap<KeyHash, Seq> = HashMap::new();
        let run = asked.into_iter().map(|fresh| {
            let seq = Seq(fresh.foldable.request.seq);
            let earlier = fresh.key.and_then(|key| {
                // A fold that goes over the same requests again finds what it left there itself.
                let before = kept.get(&key).copied().filter(|kept| *kept < seq);
                before.or_else(|| first.get(&key).copied()).or_else(|| {
                    first.insert(key, seq);
                    None
                })
            });
            (fresh, earlier)
        });
        // A run of requests that a worker can fold at once ends where one is not to be folded.
        let mut folded: Vec<Folded> = Vec::with_capacity(requests.len());
        let mut run = run.collect::<Vec<_>>().into_iter().peekable();
        while run.peek().is_some() {
            let mut together = Vec::new();
            while let Some((fresh, _)) = run.next_if(|(fresh, earlier)| earlier.is_none() && fresh.failure.is_none()) {
                together.push(fresh);
            }
            let asked = together.len();
            if asked > 0 {
                let came = self.fold(state.clone(), together).await?;
                let is_whole = came.len() == asked && came.last().is_some_and(|last| !was_stopped(last));
                state = came.iter().rev().find_map(state_of).or(state);
                folded.extend(came);
                if !is_whole {
                    break;
                }
            }
            match run.next() {
                Some((fresh, Some(of))) => folded.push(Folded {
                    seq: Seq(fresh.foldable.request.seq),
                    forced: false,
                    request_bytes: size_of_request(&fresh.foldable.request),
                    key: None,
                    came: Came::Duplicate { of },
                }),
                Some((mut fresh, None)) => {
                    let failure = fresh.failure.take().expect("nothing else ends a run");
                    folded.push(self.folded(fresh, Ran { result: Err(failure), console: Vec::new() }));
                }
                None => {}
            }
        }
        Ok(folded)
    }

    /// The first request of each of these keys, as far as it is kept.
    async fn kept(&self, keyed: &Keyed, keys: impl Iterator<Item = KeyHash>) -> Result<HashMap<KeyHash, Seq>, Why> {
        let (version, begin) = match keyed {
            Keyed::Kept { version, begin } => (*version, *begin),
            Keyed::Here(first) => return Ok(keys.filter_map(|key| Some((key, *first.get(&key)?))).collect()),
        };
        let distinct: HashSet<_> = keys.collect();
        // All are asked for before any is waited for.
        let store = &self.world.store;
        let asked: Vec<_> =
            distinct.into_iter().map(|key| (key, store.row(row::keyed(self.lane, version, &key)))).collect();
        let mut kept = HashMap::new();
        for (key, row) in asked {
            if let Some(seq) = row.await?.and_then(|bytes| row::decode::<Seq>(&bytes)).filter(|seq| *seq > begin) {
                kept.insert(key, seq);
            }
        }
        Ok(kept)
    }
}

impl Keyed {
    /// Remembers what a fold that keeps nothing came to.
    pub fn remember(&mut self, folded: &[Folded]) {
        if let Keyed::Here(first) = self {
            for folded in folded.iter().filter(|folded| !was_stopped(folded)) {
                if let Some(key) = folded.key {
                    first.entry(key).or_insert(folded.seq);
                }
            }
        }
    }
}

/// A request that a backstop ended has no key: a replay, which forces the stop, could not tell it.
fn was_stopped(folded: &Folded) -> bool {
    let stop = match &folded.came {
        Came::Ran(Ran { result: Err(failure), .. }) => failure.stop,
        _ => None,
    };
    stop.is_some_and(|stop| !stop.is_replayable())
}

fn state_of(folded: &Folded) -> Option<Json> {
    match &folded.came {
        Came::Ran(Ran { result: Ok(state), .. }) => Some(state.clone()),
        _ => None,
    }
}

/// A program that cannot be run comes to the same for every request.
fn unrunnable<T: Clone>(error: &Error, requests: usize) -> Vec<Ran<T>> {
    let ran = Ran { result: Err(Failure { error: error.clone(), stop: None }), console: Vec::new() };
    vec![ran; requests]
}
