//! The true engine in a seeded world: clock, dice, store and workers handed in, and all of them unkind.
//!
//! A seed is a whole history: lives that end in crashes, commits that fail, hang or overtake one another, clocks that
//! jump, workers that refuse, stop, are late, lie or answer for less than they were asked. A model that knows only
//! what clients were told and readers saw holds the log against it. What they all stand on is a store in memory, or
//! a PostgreSQL.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use engine::{
    Engine,
    follow::{View, folded_through},
    log,
    vault::Vault,
    world::{Alone, Clock, Entropy, Nowhere, World},
};
use rules::{
    call::{Bytes, Described, Exports, Outcome, Ran, Request, Stop},
    hook::{Change, Edit, Entry, Reply},
    record::{At, Hash, LaneId, Position, Seq},
    refusal::Refusal,
};
use store::{
    Extent, Store,
    memory::{Memory, Verdict, delay},
};
use worker::scripted::{Mishap, Script, Scripted};

mod model;
mod shared;

use model::{Acknowledged, HOOKS, Known, Model, PROGRAM, Seen, THROWS, next_state};

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
    /// How often it jumped beyond the memory of idempotency keys.
    days: AtomicU64,
}

impl Clock for Jumping {
    fn now(&self) -> At {
        At(self.offset_ms.load(Ordering::Relaxed) + self.begun.elapsed().as_millis() as u64)
    }

    fn sleep(&self, ms: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
    }
}

pub use shared::Database;

/// What outlives a process: a store that does its worst when it is told to.
trait Ground: Store + Clone {
    /// What becomes of the first commit that nothing was said of yet.
    fn disturb(&self, verdict: Verdict);

    /// The first read that nothing was said of yet fails.
    fn blind(&self);

    /// As it is found after a power cut now, by the next process. Where there is a disk, the first `survivors` of what
    /// was not synced were written by themselves.
    fn crash(&self, survivors: usize) -> Self;
}

impl Ground for Memory {
    fn disturb(&self, verdict: Verdict) {
        self.faults().commit(verdict);
    }

    fn blind(&self) {
        self.faults().read_fails("by the dice");
    }

    fn crash(&self, survivors: usize) -> Memory {
        Memory::crash(self, survivors)
    }
}

/// What a simulation saw; two runs of one seed see the same.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    pub acknowledged: usize,
    pub states_seen: usize,
    pub ends: Vec<(Seq, Hash, Option<String>)>,
}

/// Lives of one seed.
const LIVES: u64 = 6;
/// Things that happen in one life.
const EVENTS: u64 = 80;
/// Programs that may be published.
const PROGRAMS: u64 = 3;

/// The world between two lives: what the disk holds, what people know, and what broke a promise.
struct Story<G> {
    dice: Dice,
    ground: G,
    clock_ms: u64,
    days: u64,
    hooks: Arc<Mutex<Vec<Known>>>,
    broken: Arc<Mutex<Option<String>>>,
}

/// Runs a seed; an `Err` says which promise was broken.
pub fn simulate(seed: u64) -> Result<Report, String> {
    simulate_on(Memory::new(), seed)
}

/// Runs it on a database. Which of two commits that are under way is answered first is the database's affair, so no
/// second run sees quite the same.
pub fn simulate_shared(database: &Arc<Database>, seed: u64) -> Result<Report, String> {
    simulate_on(shared::Node::first(database), seed)
}

fn simulate_on(ground: impl Ground, seed: u64) -> Result<Report, String> {
    let mut story = Story {
        dice: Dice::new(seed),
        ground,
        clock_ms: 1_700_000_000_000,
        days: 0,
        hooks: Arc::default(),
        broken: Arc::default(),
    };
    for _ in 0..LIVES {
        in_a_life(|| live(&mut story))?;
        if let Some(broken) = locked(&story.broken).take() {
            return Err(broken);
        }
    }
    in_a_life(|| judge(&mut story))
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

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("nobody panics while holding this")
}

fn begin(story: &Story<impl Ground>) -> (Engine, Arc<Jumping>, Arc<Scripted>) {
    let clock = Arc::new(Jumping {
        begun: tokio::time::Instant::now(),
        offset_ms: AtomicU64::new(story.clock_ms),
        days: AtomicU64::new(story.days),
    });
    let programs = (0..PROGRAMS).fold(Scripted::default(), |scripted, program| {
        let script = Script {
            exports: Exports { reducer: true, ..Exports::default() },
            reducer: Box::new(move |state, request| match request.body.0.as_slice() {
                THROWS => Err("thrown by the request".into()),
                _ => Ok(next_state(program, state.and_then(|state| state.parse().ok()), request.id).to_string()),
            }),
            ..Script::counting()
        };
        scripted.with(&format!("{PROGRAM}{program}"), script)
    });
    let worker = Arc::new(programs);
    let world = World {
        store: Arc::new(story.ground.clone()),
        worker: worker.clone(),
        scripts: worker.clone(),
        runtimes: Arc::new(worker::runtimes::Runtimes::none()),
        clock: clock.clone(),
        entropy: Arc::new(story.dice.clone()),
        vault: Arc::new(Vault::new(&[0; 32])),
        outside: Arc::new(Nowhere),
        places: Arc::new(Alone),
    };
    (Engine::new(world), clock, worker)
}

fn words(refusal: Refusal) -> String {
    refusal.detail.into_owned()
}

/// A life that ends in a crash; the ground is left as it is found after it.
async fn live(story: &mut Story<impl Ground>) -> Result<(), String> {
    let (engine, clock, worker) = begin(story);
    let dice = story.dice.clone();
    let missing = HOOKS - locked(&story.hooks).len();
    for _ in 0..missing {
        let hook = engine.create_hook(LaneId(1), None, format!("{PROGRAM}0").into()).await.map_err(words)?;
        engine.publish(hook).await.map_err(words)?;
        locked(&story.hooks).push(Known { hook, model: Model::default() });
    }
    let mut seen = [Seq(0); HOOKS];
    for _ in 0..EVENTS {
        let which = dice.below(HOOKS as u64) as usize;
        let hook = locked(&story.hooks)[which].hook;
        match dice.below(24) {
            0..=13 => write(story, &engine, &clock, which, hook),
            14 => publish(&engine, hook, dice.below(PROGRAMS)),
            15 => disturb_store(&dice, &story.ground),
            16 | 17 => disturb_worker(&dice, &worker),
            18 => drop(clock.offset_ms.fetch_add(dice.below(10_000), Ordering::Relaxed)),
            19 => drop(clock.offset_ms.fetch_sub(dice.below(5_000), Ordering::Relaxed)),
            20 if dice.below(8) == 0 => {
                clock.offset_ms.fetch_add(8 * 86_400_000, Ordering::Relaxed);
                clock.days.fetch_add(1, Ordering::Relaxed);
            }
            20 | 21 => {
                if let Ok(view) = engine.view(hook).await {
                    let look = seen_in(&view);
                    let mut hooks = locked(&story.hooks);
                    if let Some(look) = look {
                        let through = look.through;
                        hooks[which].model.see(look, seen[which])?;
                        seen[which] = through;
                    }
                }
            }
            _ => tokio::time::sleep(Duration::from_millis(dice.below(50))).await,
        }
        if dice.below(4) == 0 {
            tokio::task::yield_now().await;
        }
    }
    // The power goes while things are under way.
    story.clock_ms = clock.now().0 + 1;
    story.days = clock.days.load(Ordering::Relaxed);
    story.ground = story.ground.crash(dice.below(3) as usize);
    Ok(())
}

fn seen_in(view: &View) -> Option<Seen> {
    let live = view.live.as_ref()?;
    let state = live.state.as_ref().map(|state| state.to_string());
    Some(Seen { version: live.version, through: live.through, state })
}

fn publish(engine: &Engine, hook: LaneId, program: u64) {
    let engine = engine.clone();
    tokio::spawn(async move {
        let draft = Some(format!("{PROGRAM}{program}").into());
        let edit = Edit { draft, ..Edit::default() };
        if engine.change(hook, Change::Edit(edit)).await.is_ok() {
            drop(engine.publish(hook).await);
        }
    });
}

fn disturb_store(dice: &Dice, ground: &impl Ground) {
    match dice.below(6) {
        0 => ground.disturb(Verdict::Full),
        1 => ground.disturb(Verdict::UnknownButKept),
        2 => ground.disturb(Verdict::UnknownAndLost),
        3 => ground.disturb(Verdict::Conflict),
        4 => ground.blind(),
        _ => {
            let (release, held) = delay();
            let ms = dice.below(500);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                release.now();
            });
            ground.disturb(Verdict::Delayed(held));
        }
    }
}

fn disturb_worker(dice: &Dice, worker: &Arc<Scripted>) {
    let ran = || Ran { result: Ok("0".into()), console: Vec::new() };
    worker.next(match dice.below(6) {
        0 => Mishap::Unavailable,
        // Not the budget: that is the program's own doing, and the same at every replay.
        1 => Mishap::Stopped([Stop::Clock, Stop::Memory, Stop::Crash][dice.below(3) as usize]),
        2 => Mishap::Prefix(1),
        3 => Mishap::Lie(Outcome::Folded(Vec::new())),
        4 => Mishap::Lie(
            [Outcome::Folded(vec![ran(); 2_000]), Outcome::Described(Described::default())][dice.below(2) as usize]
                .clone(),
        ),
        _ => {
            let (worker, ms) = (worker.clone(), dice.below(500));
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                worker.release();
            });
            Mishap::Held
        }
    });
}

fn write(story: &Story<impl Ground>, engine: &Engine, clock: &Arc<Jumping>, which: usize, hook: LaneId) {
    let dice = &story.dice;
    let key = (dice.below(3) == 0).then(|| dice.below(8));
    let body = match key {
        // Now and then a key is used again for another body.
        Some(key) if dice.below(6) == 0 => format!("other {key}").into_bytes(),
        Some(key) => format!("keyed {key}").into_bytes(),
        None if dice.below(10) == 0 => THROWS.to_vec(),
        None => b"plain".to_vec(),
    };
    let request = Request {
        id: engine.world().request_id(engine.now()),
        seq: 0,
        method: "POST".into(),
        path: "/".into(),
        query: String::new(),
        headers: Vec::new(),
        body: Bytes(body.clone()),
        created_at_ms: engine.now().0,
    };
    let sent_after = locked(&story.hooks)[which].model.highest();
    let days = clock.days.load(Ordering::Relaxed);
    let (engine, clock, hooks, broken) = (engine.clone(), clock.clone(), story.hooks.clone(), story.broken.clone());
    tokio::spawn(async move {
        let key_bytes = key.map(|key| key.to_be_bytes().to_vec());
        let Ok(written) = engine.write(hook, request, key_bytes, None).await else { return };
        let Reply::Receipt(receipt) = written.reply else { return };
        // Whether a key was still remembered cannot be told when the days changed meanwhile.
        let key = key.map(|key| (key, days));
        if key.is_some() && days != clock.days.load(Ordering::Relaxed) {
            return;
        }
        let told = Acknowledged { id: receipt.id, seq: receipt.seq, hash: receipt.hash, body };
        if let Err(why) = locked(&hooks)[which].model.acknowledge(told, sent_after, key) {
            locked(&broken).get_or_insert(why);
        }
    });
}

/// After the last crash everything is read back and held against the model.
async fn judge(story: &mut Story<impl Ground>) -> Result<Report, String> {
    let (engine, ..) = begin(story);
    let mut hooks = std::mem::take(&mut *locked(&story.hooks));
    let mut report = Report { acknowledged: 0, states_seen: 0, ends: Vec::new() };
    for Known { hook, model } in hooks.iter_mut() {
        let (last, hash) = engine.verify(*hook).await.map_err(words)?.map_err(|damage| damage.to_string())?;
        let mut following = engine.follow(*hook).await.map_err(words)?;
        let view =
            folded_through(engine.world(), &mut following, last).await.ok_or("the log was not folded to its end")?;
        let end = seen_in(&view).ok_or("the published version is gone")?;
        model.see(end.clone(), last)?;
        model.judge(&read(&engine, *hook).await?)?;
        report.acknowledged += model.acknowledged.len();
        report.states_seen += model.states_seen();
        report.ends.push((last, hash, end.state));
    }
    Ok(report)
}

/// A whole log, its notes included.
async fn read(engine: &Engine, hook: LaneId) -> Result<Vec<(Seq, Hash, Entry)>, String> {
    let store = &*engine.world().store;
    let (mut position, mut hash) = (Position::START, Hash::NONE);
    let mut entries = Vec::new();
    loop {
        let extent = Extent { records_max: 1_000, bytes_max: 1 << 20 };
        let page = log::page(store, hook, position, hash, extent).await.map_err(|damage| damage.to_string())?;
        let Some((last, _)) = page.last() else { return Ok(entries) };
        (position, hash) = (last.position, last.hash);
        entries.extend(page.into_iter().map(|(record, entry)| (record.position.seq(), record.hash, entry)));
    }
}
