//! The true engine in a seeded world: clock, dice, store and workers handed in, and all of them unkind.
//!
//! A seed is a whole history: lives that end in crashes, commits that fail or hang, workers that refuse, stop or
//! answer for less than they were asked. A model that knows only what was acknowledged holds the store against it.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use engine::{
    Engine,
    follow::folded_through,
    world::{Clock, Entropy, World},
};
use rules::{
    call::{Bytes, Request, Stop},
    hook::Reply,
    record::{At, Hash, LaneId, Seq},
};
use store::memory::{Memory, Verdict, delay};
use worker::scripted::{Mishap, Scripted};

/// SplitMix64: small, seedable, and the same everywhere.
#[derive(Clone)]
pub struct Dice(Arc<AtomicU64>);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(Arc::new(AtomicU64::new(seed)))
    }

    pub fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&self, bound: u64) -> u64 {
        self.next() % bound
    }
}

impl Entropy for Dice {
    fn draw(&self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

/// Tokio's paused clock, and jumps on top of it.
struct Jumping {
    begun: tokio::time::Instant,
    offset_ms: AtomicU64,
}

impl Clock for Jumping {
    fn now(&self) -> At {
        At(self.offset_ms.load(Ordering::Relaxed) + self.begun.elapsed().as_millis() as u64)
    }

    fn sleep(&self, ms: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
    }
}

/// What a writer was told.
#[derive(Clone, Debug)]
struct Acknowledged {
    id: u128,
    seq: Seq,
    hash: Hash,
}

/// What must be true, from outside.
#[derive(Default)]
struct Model {
    acknowledged: Vec<Acknowledged>,
    /// The first receipt of each idempotency key.
    keyed: HashMap<u64, Acknowledged>,
}

/// What a simulation saw; two runs of one seed see the same.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    pub acknowledged: usize,
    pub kept: u64,
    pub state: Option<String>,
    pub hash: String,
}

/// Lives of one seed.
const LIVES: u64 = 6;
/// Things that happen in one life.
const EVENTS: u64 = 60;

/// Runs a seed; an `Err` says which promise was broken.
pub fn simulate(seed: u64) -> Result<Report, String> {
    let dice = Dice::new(seed);
    let model = Arc::new(Mutex::new(Model::default()));
    let mut store = Memory::new();
    let mut hook = None;
    let mut clock_ms = 1_700_000_000_000;
    for _ in 0..LIVES {
        let crashed = in_a_life(|| live(&dice, &store, &model, &mut hook, &mut clock_ms));
        store = crashed?;
    }
    let hook = hook.ok_or("no hook was made in any life")?;
    in_a_life(|| judge(&dice, &store, &model, hook, clock_ms))
}

/// One process: when it is over, everything that was under way in it is gone.
fn in_a_life<T, F: Future<Output = T>>(life: impl FnOnce() -> F) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without IO always starts");
    runtime.block_on(async { life().await })
}

fn world(dice: &Dice, store: &Memory, clock_ms: u64) -> (World, Arc<Jumping>, Arc<Scripted>) {
    let clock = Arc::new(Jumping { begun: tokio::time::Instant::now(), offset_ms: AtomicU64::new(clock_ms) });
    let worker = Arc::new(Scripted::counting());
    let world = World {
        store: Arc::new(store.clone()),
        worker: worker.clone(),
        clock: clock.clone(),
        entropy: Arc::new(dice.clone()),
    };
    (world, clock, worker)
}

/// A life that ends in a crash; the store as it is found after it.
async fn live(
    dice: &Dice,
    store: &Memory,
    model: &Arc<Mutex<Model>>,
    hook: &mut Option<LaneId>,
    clock_ms: &mut u64,
) -> Result<Memory, String> {
    let (world, clock, worker) = world(dice, store, *clock_ms);
    let engine = Engine::new(world.clone());
    let hook = match *hook {
        Some(hook) => hook,
        None => {
            let made =
                engine.create_hook(LaneId(1), None, "count".into()).await.map_err(|no| no.detail.into_owned())?;
            engine.publish(made).await.map_err(|no| no.detail.into_owned())?;
            *hook.insert(made)
        }
    };
    let faults = store.faults();
    let mut seen = Seq(0);
    for _ in 0..EVENTS {
        match dice.below(20) {
            0..=11 => write(dice, &engine, model, hook),
            12 => {
                let engine = engine.clone();
                tokio::spawn(async move { drop(engine.publish(hook).await) });
            }
            13 => faults.commit(match dice.below(5) {
                0 => Verdict::Full,
                1 => Verdict::UnknownButKept,
                2 => Verdict::UnknownAndLost,
                3 => Verdict::Honest,
                _ => {
                    let (release, held) = delay();
                    let ms = dice.below(500);
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(ms)).await;
                        release.now();
                    });
                    Verdict::Delayed(held)
                }
            }),
            14 => worker.next(match dice.below(3) {
                0 => Mishap::Unavailable,
                // Not the budget: that is the program's own doing, and the same at every replay.
                1 => Mishap::Stopped([Stop::Clock, Stop::Memory, Stop::Crash][dice.below(3) as usize]),
                _ => Mishap::Prefix(1),
            }),
            15 => drop(clock.offset_ms.fetch_add(dice.below(10_000), Ordering::Relaxed)),
            16 => drop(clock.offset_ms.fetch_sub(dice.below(5_000), Ordering::Relaxed)),
            17 => {
                if let Ok(view) = engine.view(hook).await {
                    if view.through() < seen {
                        return Err(format!("a reader went back from {seen:?} to {:?}", view.through()));
                    }
                    seen = view.through();
                }
            }
            _ => tokio::time::sleep(Duration::from_millis(dice.below(50))).await,
        }
        if dice.below(4) == 0 {
            tokio::task::yield_now().await;
        }
    }
    // The power goes while things are under way: some of what was not synced may have reached the disk.
    let survivors = dice.below(3) as usize;
    *clock_ms = clock.now().0 + 1;
    Ok(store.crash(survivors))
}

fn write(dice: &Dice, engine: &Engine, model: &Arc<Mutex<Model>>, hook: LaneId) {
    let id = engine.world().request_id(engine.now());
    let key = (dice.below(3) == 0).then(|| dice.below(8));
    let body = match key {
        Some(key) => format!("keyed {key}"),
        None if dice.below(10) == 0 => "throw".to_owned(),
        None => "plain".to_owned(),
    };
    let request = Request {
        id,
        seq: 0,
        method: "POST".into(),
        path: "/".into(),
        query: String::new(),
        headers: Vec::new(),
        body: Bytes(body.into_bytes()),
        created_at_ms: engine.now().0,
    };
    let (engine, model) = (engine.clone(), model.clone());
    tokio::spawn(async move {
        let key_bytes = key.map(|key| key.to_be_bytes().to_vec());
        let Ok(written) = engine.write(hook, request, key_bytes, None).await else { return };
        let Reply::Receipt(receipt) = written.reply else { return };
        let told = Acknowledged { id: receipt.id, seq: receipt.seq, hash: receipt.hash };
        let mut model = model.lock().expect("nobody panics here");
        if let Some(key) = key {
            let first = model.keyed.entry(key).or_insert_with(|| told.clone());
            assert_eq!((first.id, first.seq), (told.id, told.seq), "a repeated key gets the first reply");
        }
        model.acknowledged.push(told);
    });
}

/// After the last crash everything is read back and held against the model.
async fn judge(
    dice: &Dice,
    store: &Memory,
    model: &Arc<Mutex<Model>>,
    hook: LaneId,
    clock_ms: u64,
) -> Result<Report, String> {
    let (world, ..) = world(dice, store, clock_ms);
    let engine = Engine::new(world.clone());
    let text = |refusal: rules::refusal::Refusal| refusal.detail.into_owned();
    let (last, hash) = engine.verify(hook).await.map_err(text)?.map_err(|damage| damage.to_string())?;

    let mut following = engine.follow(hook).await.map_err(text)?;
    let view = folded_through(&world, &mut following, last).await.ok_or("the log was not folded to its end")?;
    let mut kept = Vec::new();
    let mut before = None;
    loop {
        let page = engine.history(&view, before).await.map_err(text)?;
        let Some(oldest) = page.last() else { break };
        before = Some(Seq(oldest.request.seq));
        kept.extend(page);
    }
    kept.reverse();

    let seqs: Vec<_> = kept.iter().map(|moment| moment.request.seq).collect();
    if seqs != (1..=last.0).collect::<Vec<_>>() {
        return Err(format!("the seqs are not dense: {seqs:?}"));
    }
    let mut ids: Vec<_> = kept.iter().map(|moment| moment.request.id).collect();
    ids.sort();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("a request is in the log twice".into());
    }
    let model = model.lock().expect("nobody panics here");
    for told in &model.acknowledged {
        let kept = kept.get(told.seq.0 as usize - 1).ok_or(format!("acknowledged {told:?} is lost"))?;
        if kept.request.id != told.id {
            return Err(format!("at {:?} stands another request than was acknowledged", told.seq));
        }
        if told.seq == last && told.hash != hash {
            return Err(format!("the receipt of {:?} is not the chain's hash", told.seq));
        }
    }
    // What folded counts once: the reducer counts, and these are the ones that did not throw.
    let folded = kept.iter().filter(|moment| moment.error.is_none()).count();
    let state = view.state().map(|state| state.to_string());
    let expected = (folded > 0).then(|| folded.to_string());
    if state != expected {
        return Err(format!("the state is {state:?}, the log says {expected:?}"));
    }
    Ok(Report { acknowledged: model.acknowledged.len(), kept: last.0, state, hash: hash.to_string() })
}
