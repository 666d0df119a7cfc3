//! The front of the engine: finds or wakes the lane that a call is for, and waits for its answer.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, RwLock, RwLockWriteGuard, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use rules::{
    access::{Door, Key, KeyKind},
    account::Account,
    call::{self, Call, Outcome, Program, Request},
    hook::{Answered, Change, Changed, Hook, Reply, name_of},
    limits::{self, Limits},
    record::{At, Hash, LaneId, Seq},
    refusal::Refusal,
    row,
};
use store::{Batch, Commit, Order};
use tokio::sync::{mpsc::error::TrySendError, oneshot};

use crate::{
    DOORS_MAX, LANE_QUEUE_MAX, LEAVE_PAUSE_MS, OWN_LANE_DRAWS_MAX,
    action::Described,
    file::Uploads,
    fold::{self, Arrival},
    follow::{Following, View},
    function::Functions,
    host::Hosts,
    job::Queues,
    lane::{self, Answer, Awake, Doors, End, Lane, Message, Waiter},
    log::Damage,
    page::Pages,
    run::Runs,
    schedule::Schedules,
    world::{Asked, Told, World},
};

/// Everything that is done, is done through this.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    world: World,
    lanes: Mutex<HashMap<LaneId, Awake>>,
    /// How often lanes were let go. What was read before, and is remembered after, may have been another node's between.
    departures: AtomicU64,
    /// Where keys lead; `None` for those that led somewhere while this process ran, and no longer do.
    doors: Arc<RwLock<HashMap<String, Option<Door>>>>,
    /// One loads a lane at a time; others that want the same wait here.
    loading: tokio::sync::Mutex<()>,
    runs: Runs,
    queues: Queues,
    functions: Functions,
    schedules: Schedules,
    pages: Pages,
    hosts: Arc<Hosts>,
    /// One item of a queue is begun at a time, so that none is begun twice.
    beginning: tokio::sync::Mutex<()>,
    described: Mutex<Described>,
    uploads: Uploads,
}

/// What a writer is told.
pub struct Written {
    pub reply: Reply,
    pub replayed: bool,
}

impl Engine {
    pub fn new(world: World) -> Engine {
        let inner = Inner {
            world,
            lanes: Mutex::default(),
            departures: AtomicU64::default(),
            doors: Arc::default(),
            loading: tokio::sync::Mutex::default(),
            queues: Queues::default(),
            functions: Functions::default(),
            runs: Runs::default(),
            schedules: Schedules::default(),
            pages: Pages::default(),
            hosts: Arc::default(),
            beginning: tokio::sync::Mutex::default(),
            described: Mutex::default(),
            uploads: Uploads::default(),
        };
        Engine { inner: Arc::new(inner) }
    }

    pub fn world(&self) -> &World {
        &self.inner.world
    }

    pub(crate) fn pages(&self) -> &Pages {
        &self.inner.pages
    }

    pub(crate) fn uploads(&self) -> &Uploads {
        &self.inner.uploads
    }

    pub(crate) fn queues(&self) -> &Queues {
        &self.inner.queues
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.inner.functions
    }

    pub(crate) fn runs(&self) -> &Runs {
        &self.inner.runs
    }

    pub(crate) fn schedules(&self) -> &Schedules {
        &self.inner.schedules
    }

    pub(crate) fn described(&self) -> std::sync::MutexGuard<'_, Described> {
        self.inner.described.lock().expect("no thread panics while it holds this")
    }

    pub(crate) fn beginning(&self) -> &tokio::sync::Mutex<()> {
        &self.inner.beginning
    }

    /// The programs that connected.
    pub fn hosts(&self) -> &Arc<Hosts> {
        &self.inner.hosts
    }

    pub fn now(&self) -> At {
        self.inner.world.clock.now()
    }

    /// How many lanes are awake.
    pub fn awake(&self) -> usize {
        self.lock().len()
    }

    /// What the hooks that are awake show of themselves.
    pub fn views(&self) -> Vec<Arc<View>> {
        self.lock().values().map(|awake| awake.view.borrow().clone()).collect()
    }

    /// Where a key leads.
    pub async fn door(&self, key: &str) -> Result<Option<Door>, Refusal> {
        if let Some(door) = self.inner.doors.read().expect("no panic under this lock").get(key) {
            return Ok(*door);
        }
        let departures = self.departures();
        let bytes = self.inner.world.store.row(row::door(key)).await.map_err(fault)?;
        let door: Option<Door> = bytes.and_then(|bytes| row::decode(&bytes));
        let mut doors = self.doors();
        match door {
            // What a lane said of it meanwhile is newer. What a lane elsewhere says of it, nobody hears here.
            Some(Door { hook, .. }) if self.world().places.holds(hook) && self.departures() == departures => {
                Ok(*doors.entry(key.to_owned()).or_insert(door))
            }
            door => Ok(door),
        }
    }

    /// What a lane says of a key is newer than what a reader found in the store. That it leads nowhere is kept, too: a
    /// reader who found it before would open it again for all who come after.
    fn learn(&self, key: String, door: Option<Door>) {
        self.doors().insert(key, door);
    }

    fn doors(&self) -> RwLockWriteGuard<'_, HashMap<String, Option<Door>>> {
        let mut doors = self.inner.doors.write().expect("no panic under this lock");
        if doors.len() >= DOORS_MAX {
            doors.clear();
        }
        doors
    }

    /// Keeps a request. When this returns `Ok`, it is on disk.
    pub async fn write(
        &self,
        hook: LaneId,
        request: Request,
        idempotency_key: Option<Vec<u8>>,
        answered: Option<Answered>,
    ) -> Result<Written, Refusal> {
        let message = |waiter| Message::Write { request, idempotency_key, answered, seen: None, waiter };
        match self.ask(hook, message).await? {
            Answer::Reply { reply, replayed } => Ok(Written { reply, replayed }),
            Answer::Changed(_) => Err(Refusal::FAULT),
        }
    }

    /// Has a request answered and keeps it. When this returns `Ok`, it is on disk.
    pub async fn keep(
        &self,
        hook: LaneId,
        request: Request,
        idempotency_key: Option<Vec<u8>>,
    ) -> Result<Written, Refusal> {
        let view = self.view(hook).await?;
        let (request, answered) = match view.live.as_ref().filter(|live| live.exports.responder) {
            Some(live) => {
                let request = Arc::new(request);
                let answered = self.answer(&view, live, request.clone()).await?;
                (Arc::unwrap_or_clone(request), Some(answered))
            }
            None => (request, None),
        };
        self.write(hook, request, idempotency_key, answered).await
    }

    /// The same for a hook that may be another node's.
    pub async fn keep_anywhere(
        &self,
        hook: LaneId,
        request: Request,
        idempotency_key: Vec<u8>,
    ) -> Result<Written, Refusal> {
        if self.world().places.holds(hook) {
            return self.keep(hook, request, Some(idempotency_key)).await;
        }
        match self.world().places.ask(hook, Asked::Keep { request, idempotency_key }).await? {
            Told::Kept { reply, replayed } => Ok(Written { reply, replayed }),
            Told::Done => Err(Refusal::FAULT),
        }
    }

    /// What another node asks of this one.
    pub async fn asked(&self, lane: LaneId, asked: Asked) -> Result<Told, Refusal> {
        if !self.world().places.holds(lane) {
            return Err(Refusal::OWNER_MISSING);
        }
        match asked {
            Asked::Keep { request, idempotency_key } => {
                let Written { reply, replayed } = self.keep(lane, request, Some(idempotency_key)).await?;
                return Ok(Told::Kept { reply, replayed });
            }
            Asked::Give { from, to } => {
                self.change(lane, Change::Give { from, to }).await?;
            }
            Asked::DropSchedules { hook } => self.drop_schedules_of(hook).await?,
        }
        Ok(Told::Done)
    }

    /// Publishes the draft, if it can be run at all.
    pub async fn publish(&self, hook: LaneId) -> Result<Changed, Refusal> {
        let source = self.view(hook).await?.config.draft.source.clone();
        let exports = self.describe(source.clone()).await?.exports;
        self.change(hook, Change::Publish { source, exports }).await
    }

    /// What a source exports, or why it cannot be run.
    pub async fn describe(&self, source: Arc<str>) -> Result<call::Described, Refusal> {
        let program = Arc::new(Program::new(source));
        match self.inner.world.worker.call(&program, Call::Describe, Limits::default()).await {
            Outcome::Described(described) => Ok(described),
            Outcome::Unrunnable(error) => Err(Refusal::of_source(&error)),
            Outcome::Unavailable(why) => {
                Err(Refusal::UNAVAILABLE.because(format!("No worker could read the code: {why}.")))
            }
            _ => Err(Refusal::FAULT),
        }
    }

    pub async fn make_key(&self, hook: LaneId, kind: KeyKind) -> Result<String, Refusal> {
        let key = self.new_key();
        self.change(hook, Change::MakeKey { key: key.clone(), kind }).await?;
        Ok(key)
    }

    /// Keeps a secret, encrypted for this hook and this name.
    pub async fn set_secret(&self, hook: LaneId, name: String, value: &str) -> Result<Changed, Refusal> {
        let fits = (1..=limits::SECRET_NAME_BYTES_MAX).contains(&name.len()) && value.len() <= limits::SECRET_BYTES_MAX;
        if !fits {
            return Err(Refusal::SECRET_MALFORMED);
        }
        let World { vault, entropy, .. } = self.world();
        let sealed = vault.seal(hook, &name, value, [entropy.draw(), entropy.draw()]);
        self.change(hook, Change::SetSecret { name, sealed }).await
    }

    /// Makes one owner's hook another's; nothing happens when it is no longer `from`'s.
    pub(crate) async fn hand_over(&self, hook: LaneId, from: LaneId, to: LaneId) -> Result<(), Refusal> {
        if self.world().places.holds(hook) {
            return self.change(hook, Change::Give { from, to }).await.map(drop);
        }
        self.world().places.ask(hook, Asked::Give { from, to }).await.map(drop)
    }

    pub async fn change(&self, hook: LaneId, change: Change) -> Result<Changed, Refusal> {
        match self.ask(hook, |waiter| Message::Change { change, waiter }).await? {
            Answer::Changed(changed) => Ok(changed),
            Answer::Reply { .. } => Err(Refusal::FAULT),
        }
    }

    /// A new hook with one read key and one write key.
    pub async fn create_hook(&self, owner: LaneId, name: Option<String>, draft: Arc<str>) -> Result<LaneId, Refusal> {
        let world = &self.inner.world;
        let lane = self.own_lane();
        let name = name.unwrap_or_else(|| name_of(lane.0));
        let key = |kind| Key { key: self.new_key(), kind, paused: false };
        let keys = [key(KeyKind::Read), key(KeyKind::Write)];
        let (_, step) = Hook::create(lane, owner, name, draft, keys, world.clock.now());
        let batch = Batch { lane, expect: rules::record::Position::START, records: step.records, rows: step.rows };
        kept(world.store.commit(batch).await)?;
        Ok(lane)
    }

    /// A lane apart that is this node's; if none is, one beside its account.
    fn own_lane(&self) -> LaneId {
        let World { entropy, places, .. } = self.world();
        let placed = std::iter::repeat_with(|| LaneId::placed(entropy.draw())).take(OWN_LANE_DRAWS_MAX);
        placed.into_iter().find(|lane| places.holds(*lane)).unwrap_or_else(|| LaneId(entropy.draw()))
    }

    /// The hooks of an owner, in no promised order.
    pub async fn hooks_of(&self, owner: LaneId, hooks_max: usize) -> Result<Vec<LaneId>, Refusal> {
        let (from, to) = row::owned_range(owner);
        let rows = self.inner.world.store.rows(from, to, Order::Ascending, hooks_max).await.map_err(fault)?;
        Ok(rows.iter().filter_map(|(key, _)| row::owned_hook(key)).collect())
    }

    /// The hooks of an account, and those of merged guests that are still on their way to it.
    pub async fn hooks_of_account(&self, account: &Account, hooks_max: usize) -> Result<Vec<LaneId>, Refusal> {
        self.finish_merges(account).await;
        let mut hooks = Vec::new();
        // Guests first: what is moved meanwhile is seen twice rather than never.
        for merging in &account.merging {
            hooks.extend(self.hooks_of(merging.guest, hooks_max).await?);
        }
        for hook in self.hooks_of(account.lane, hooks_max).await? {
            if !hooks.contains(&hook) {
                hooks.push(hook);
            }
        }
        hooks.truncate(hooks_max);
        Ok(hooks)
    }

    /// Wakes the hooks whose refold the end of a node interrupted: they go on with it by themselves.
    pub async fn resume_refolds(&self) -> Result<(), Refusal> {
        let (from, to) = row::refolding_range();
        let found = self.inner.world.store.rows(from, to, Order::Ascending, usize::MAX).await.map_err(fault)?;
        let hooks = found.iter().filter_map(|(key, _)| row::lane_of(key));
        for hook in hooks.filter(|hook| self.world().places.holds(*hook)) {
            if let Err(refusal) = self.view(hook).await {
                tracing::warn!(lane = format!("{:032x}", hook.0), refusal.code, "a refold does not go on");
            }
        }
        Ok(())
    }

    /// A hook as it is now.
    pub async fn view(&self, hook: LaneId) -> Result<Arc<View>, Refusal> {
        let following = self.follow(hook).await?;
        let view = following.borrow().clone();
        Ok(view)
    }

    /// A hook as it is, whichever node has it: elsewhere, what is kept of it is looked at.
    pub async fn seen(&self, hook: LaneId) -> Result<Arc<View>, Refusal> {
        if self.world().places.holds(hook) {
            return self.view(hook).await;
        }
        let loaded = lane::load(self.world(), hook).await.map_err(damage)?.ok_or(Refusal::HOOK_UNKNOWN)?;
        Ok(Arc::new(View::of(&loaded)))
    }

    /// Ends the lanes that these are, when what they have under way is done: what is in memory of them is worth nothing
    /// from here on. Whoever waits for more is told to ask elsewhere.
    pub async fn let_go(&self, is_gone: impl Fn(LaneId) -> bool) {
        self.inner.departures.fetch_add(1, Ordering::SeqCst);
        self.doors().clear();
        let mut gone = Vec::new();
        for (lane, awake) in self.lock().iter().filter(|(lane, _)| is_gone(**lane)) {
            gone.push(*lane);
            // Those that are busy hear it when they get to it.
            if let Err(TrySendError::Full(leave)) = awake.messages.try_send(Message::Leave) {
                let messages = awake.messages.clone();
                tokio::spawn(async move { messages.send(leave).await });
            }
        }
        loop {
            {
                let lanes = self.lock();
                gone.retain(|lane| lanes.contains_key(lane));
            }
            if gone.is_empty() {
                return;
            }
            self.world().clock.sleep(LEAVE_PAUSE_MS).await;
        }
    }

    /// A hook as it changes.
    pub async fn follow(&self, hook: LaneId) -> Result<Following, Refusal> {
        Ok(self.wake(hook).await?.view)
    }

    /// The seq of a request of this hook.
    pub async fn find(&self, hook: LaneId, id: u128) -> Result<Seq, Refusal> {
        let awake = self.wake(hook).await?;
        let recent = {
            let recent = awake.recent.lock().expect("no thread panics while it holds this");
            recent.iter().rev().find(|(known, _)| *known == id).map(|(_, seq)| *seq)
        };
        if let Some(seq) = recent {
            return Ok(seq);
        }
        let seq = awake.view.borrow().seq;
        lane::find(&self.inner.world, hook, seq, id).await.map_err(damage)?.ok_or(Refusal::REQUEST_UNKNOWN)
    }

    /// A request as the log holds it.
    pub async fn arrival(&self, hook: LaneId, seq: Seq) -> Result<Arrival, Refusal> {
        let store = &*self.inner.world.store;
        let found = fold::arrivals(store, hook, Seq(seq.0 - 1), seq).await.map_err(damage)?;
        found.into_iter().next().ok_or(Refusal::REQUEST_UNKNOWN)
    }

    /// Recomputes the chain of a hook's log.
    pub async fn verify(&self, hook: LaneId) -> Result<Result<(Seq, Hash), Damage>, Refusal> {
        match lane::verify(&self.inner.world, hook).await {
            Err(Damage::Store(fault_)) => Err(fault(fault_)),
            verified => Ok(verified),
        }
    }

    /// Sends a message to a lane and waits for what comes of it.
    async fn ask(&self, hook: LaneId, message: impl FnOnce(Waiter) -> Message) -> Result<Answer, Refusal> {
        let (waiter, answer) = oneshot::channel();
        let mut message = message(waiter);
        loop {
            let awake = self.wake(hook).await?;
            match awake.messages.try_send(message) {
                Ok(()) => break,
                Err(tokio::sync::mpsc::error::TrySendError::Full(_)) => return Err(Refusal::BUSY),
                // It went to sleep between the two lines above.
                Err(tokio::sync::mpsc::error::TrySendError::Closed(back)) => {
                    message = back;
                    tokio::task::yield_now().await;
                }
            }
        }
        answer.await.unwrap_or(Err(Refusal::UNCERTAIN))
    }

    async fn wake(&self, hook: LaneId) -> Result<Awake, Refusal> {
        loop {
            if !self.world().places.holds(hook) {
                return Err(Refusal::OWNER_MISSING);
            }
            if let Some(awake) = self.awake_lane(hook) {
                return Ok(awake);
            }
            let _loading = self.inner.loading.lock().await;
            if self.awake_lane(hook).is_none() {
                self.load(hook).await?;
            }
        }
    }

    /// Starts a lane as it is kept, unless it may have changed elsewhere since that was read.
    async fn load(&self, hook: LaneId) -> Result<(), Refusal> {
        // An ended lane leaves the map only after its last message: until then nobody may start another.
        while self.lock().contains_key(&hook) {
            tokio::task::yield_now().await;
        }
        let world = &self.inner.world;
        let departures = self.departures();
        let loaded = lane::load(world, hook).await.map_err(damage)?.ok_or(Refusal::HOOK_UNKNOWN)?;
        let engine = Arc::downgrade(&self.inner);
        let doors: Doors = {
            let engine = engine.clone();
            Arc::new(move |key, door| {
                if let Some(inner) = Weak::upgrade(&engine) {
                    Engine { inner }.learn(key, door);
                }
            })
        };
        let ended = move |end: Option<End>| {
            if let Some(inner) = Weak::upgrade(&engine) {
                let engine = Engine { inner };
                engine.lock().remove(&hook);
                if end == Some(End::Deleted) {
                    tokio::spawn(async move { engine.erase_deleted().await });
                }
            }
            let lane = format!("{:032x}", hook.0);
            match end {
                Some(end) => tracing::debug!(lane, ?end, "a lane ended"),
                None => tracing::error!(lane, "a lane broke an invariant; it is loaded anew when it is next asked for"),
            }
        };
        let mut lanes = self.lock();
        if self.departures() == departures {
            lanes.insert(hook, Lane::start(world.clone(), loaded, LANE_QUEUE_MAX, doors, ended));
        }
        Ok(())
    }

    fn departures(&self) -> u64 {
        self.inner.departures.load(Ordering::SeqCst)
    }

    fn awake_lane(&self, hook: LaneId) -> Option<Awake> {
        self.lock().get(&hook).filter(|awake| !awake.messages.is_closed()).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<LaneId, Awake>> {
        self.inner.lanes.lock().expect("no thread panics while it holds this")
    }

    /// 128 bits that nobody guesses, in letters that survive being read aloud.
    pub(crate) fn new_key(&self) -> String {
        format!("{:032x}", self.inner.world.entropy.draw())
    }
}

/// A commit outside of any lane's turn.
pub fn kept(commit: Commit) -> Result<(), Refusal> {
    match commit {
        Commit::Done => Ok(()),
        Commit::Full => Err(Refusal::FULL),
        Commit::Fenced => Err(Refusal::OWNER_MISSING),
        Commit::Conflict | Commit::Unknown(_) => Err(Refusal::UNCERTAIN),
    }
}

pub fn fault(fault: store::Fault) -> Refusal {
    tracing::error!(%fault, "a read failed");
    Refusal::FAULT
}

pub fn damage(damage: Damage) -> Refusal {
    tracing::error!(%damage, "a log cannot be read");
    Refusal::FAULT.because(damage.to_string())
}
