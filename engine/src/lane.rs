//! One hook's serial line of work: prefetch, decide, commit, act, and again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use rules::{
    access::Door,
    call::{Program, Request},
    canary::{self, Bug},
    hook::{self, Answered, Change, Changed, Config, Effect, Fold, Hook, Input, Reply, Seen, Step, Ticket, Write},
    record::{LaneId, Position, Seq},
    refusal::Refusal,
    row::{self, Head, Source},
};
use store::{Batch, Commit, Order};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    FOLD_PATIENCE_MS, FOLD_REQUESTS_MAX, LANE_IDLE_MS, RECENT_IDS_MAX, TURN_INPUTS_MAX, WORKER_RETRY_MAX_MS,
    WORKER_RETRY_MS,
    fold::{self, AtHand, Code, Gathered, Keyed, Worked},
    follow::View,
    log::{self, Damage},
    world::World,
};

/// What a lane is asked, and who waits for the answer.
pub enum Message {
    Write {
        request: Request,
        idempotency_key: Option<Vec<u8>>,
        answered: Option<Answered>,
        seen: Option<Seen>,
        waiter: Waiter,
    },
    Change {
        change: Change,
        waiter: Waiter,
    },
    /// `ahead` is the batch behind it, read meanwhile.
    Worked {
        version: u32,
        after: Seq,
        worked: Worked,
        ahead: Option<Gathered>,
    },
    /// The lane is another node's from now on.
    Leave,
}

pub type Waiter = oneshot::Sender<Result<Answer, Refusal>>;

/// What came of it, once it is committed.
#[derive(Debug)]
pub enum Answer {
    Reply { reply: Reply, replayed: bool },
    Changed(Changed),
}

/// A lane that is awake, as others hold it.
#[derive(Clone)]
pub struct Awake {
    pub messages: mpsc::Sender<Message>,
    pub view: watch::Receiver<Arc<View>>,
    pub recent: Arc<Mutex<VecDeque<(u128, Seq)>>>,
}

/// Where a lane's doors are made known.
pub type Doors = Arc<dyn Fn(String, Option<Door>) + Send + Sync>;

pub struct Lane {
    world: World,
    hook: Hook,
    at_hand: AtHand,
    /// The next batch of a version, where it was read ahead.
    ahead: Option<(u32, Gathered)>,
    messages: mpsc::Receiver<Message>,
    /// For the workers' answers; weak, so that a lane nobody holds can end.
    own: mpsc::WeakSender<Message>,
    view: watch::Sender<Arc<View>>,
    recent: Arc<Mutex<VecDeque<(u128, Seq)>>>,
    doors: Doors,
    /// Folds that a worker has; the lane stays awake for them.
    working: usize,
    /// How many folds in a row came to nothing.
    in_vain: u32,
    /// The hook was deleted.
    over: bool,
    /// Who waits for this turn. Last of all fields: when a broken invariant unwinds the lane, its queue
    /// is closed before anybody hears of it, and who asks again finds the lane gone.
    waiters: Vec<Option<Waiter>>,
}

/// Why a lane ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// It had nothing to do.
    Idle,
    /// The hook was deleted.
    Deleted,
    /// A commit did not return `Done`: what is in memory is worth nothing, and is loaded anew.
    Lost,
    /// Another node has it.
    Left,
    /// The server goes down.
    Dropped,
}

/// Tells that a lane is over even when a broken invariant unwinds it: others may then load it anew.
struct Over<F: FnOnce(Option<End>)> {
    /// `None` until it ended by itself.
    end: Option<End>,
    ended: Option<F>,
}

impl<F: FnOnce(Option<End>)> Drop for Over<F> {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            ended(self.end.take().or_else(|| (!std::thread::panicking()).then_some(End::Dropped)));
        }
    }
}

/// Reads a hook from the store; `None` when there is none.
pub async fn load(world: &World, lane: LaneId) -> Result<Option<Hook>, Damage> {
    let store = &*world.store;
    let Some(bytes) = store.row(row::hook(lane)).await? else { return Ok(None) };
    let config: Config = row::decode(&bytes).ok_or(Damage::Unknown(Seq(0)))?;
    let last = store.last(lane, Position::from_u64(i64::MAX as u64)).await?;
    let (published, refolding, begin) = (config.published.clone(), config.refolding.clone(), config.begin);
    let mut hook = Hook::load(lane, config, last.as_ref(), world.clock.now());
    if let Some(version) = published {
        hook.live = Some(load_fold(world, lane, &version, begin).await?);
    }
    if let Some(version) = refolding {
        hook.refold = Some(load_fold(world, lane, &version, begin).await?);
    }
    Ok(Some(hook))
}

async fn load_fold(world: &World, lane: LaneId, version: &hook::Version, begin: Seq) -> Result<Fold, Damage> {
    let Some((source, mut head)) = version_of(world, lane, version.version).await? else {
        return Err(Damage::Unknown(Seq(0)));
    };
    if let Some(head) = head.as_mut().filter(|_| canary::is_planted(Bug::StaleSnapshot)) {
        head.state = snapshot(world, lane, version.version, begin, head.through).await?.and_then(|old| old.state);
    }
    Ok(Fold::begin(version.version, Arc::new(Program::new(source.source)), source.exports, begin, head))
}

/// The code of a version, and how far it came.
async fn version_of(world: &World, lane: LaneId, version: u32) -> Result<Option<(Source, Option<Head>)>, store::Fault> {
    let bytes = world.store.row(row::source(lane, version)).await?;
    let Some(source) = bytes.and_then(|bytes| row::decode(&bytes)) else { return Ok(None) };
    let head = world.store.row(row::head(lane, version)).await?;
    Ok(Some((source, head.and_then(|bytes| row::decode(&bytes)))))
}

impl Lane {
    /// Starts the lane of a loaded hook; `ended` is called when it is over, whatever ended it.
    pub fn start(
        world: World,
        hook: Hook,
        queue: usize,
        doors: Doors,
        ended: impl FnOnce(Option<End>) + Send + 'static,
    ) -> Awake {
        let (sender, messages) = mpsc::channel(queue);
        let (view, following) = watch::channel(Arc::new(View::of(&hook)));
        let recent = Arc::new(Mutex::new(VecDeque::new()));
        let lane = Lane {
            world,
            hook,
            at_hand: AtHand::default(),
            ahead: None,
            messages,
            own: sender.downgrade(),
            view,
            recent: recent.clone(),
            doors,
            working: 0,
            in_vain: 0,
            over: false,
            waiters: Vec::new(),
        };
        let over = Over { end: None, ended: Some(ended) };
        tokio::spawn(async move {
            let mut over = over;
            over.end = Some(lane.run().await);
        });
        Awake { messages: sender, view: following, recent }
    }

    async fn run(mut self) -> End {
        // A fold that a crash interrupted goes on.
        let step = self.hook.resume();
        self.act(step.effects);
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                biased;
                taken = self.messages.recv_many(&mut waiting, TURN_INPUTS_MAX) => {
                    if taken == 0 {
                        return End::Idle;
                    }
                }
                () = self.world.clock.sleep(LANE_IDLE_MS), if self.working == 0 && self.view.receiver_count() <= 1 => {
                    // Closed first: nobody can send to a lane that is about to end.
                    self.messages.close();
                    continue;
                }
            }
            // Under load the next writes are on their way already: one sync serves both.
            if waiting.len() == 1 && self.is_last_fold(&waiting[0]) {
                tokio::select! {
                    biased;
                    _ = self.messages.recv_many(&mut waiting, TURN_INPUTS_MAX) => {}
                    () = self.world.clock.sleep(FOLD_PATIENCE_MS) => {}
                }
            }
            let leaves = waiting.iter().position(|message| matches!(message, Message::Leave));
            let rest = leaves.map(|first| waiting.split_off(first));
            let (refusal, end) = match self.turn(&mut waiting).await {
                Ok(()) if rest.is_some() => (Refusal::OWNER_MISSING, End::Left),
                Ok(()) if self.over => (Refusal::HOOK_UNKNOWN, End::Deleted),
                Ok(()) => continue,
                Err(refusal) => (refusal, End::Lost),
            };
            self.messages.close();
            rest.into_iter().flatten().for_each(|message| refuse(message, &refusal));
            while let Some(message) = self.messages.recv().await {
                refuse(message, &refusal);
            }
            return end;
        }
    }

    /// Whether this is a fold of all there is: nothing is sent to a worker after it.
    fn is_last_fold(&self, message: &Message) -> bool {
        matches!(message, Message::Worked { worked: Worked::Folded { through, .. }, .. } if *through == self.hook.seq())
    }

    async fn turn(&mut self, waiting: &mut Vec<Message>) -> Result<(), Refusal> {
        if let Err(fault) = self.prefetch(waiting).await {
            tracing::error!(lane = %self.name(), %fault, "a lane could not read what it needs");
            waiting.drain(..).for_each(|message| refuse(message, &Refusal::FAULT));
            return Err(Refusal::FAULT);
        }

        let at = self.world.clock.now();
        let expect = self.hook.tail;
        let mut step = Step::default();
        for message in waiting.drain(..) {
            let input = self.input(message);
            let Step { records, rows, effects } = self.hook.step(at, input);
            step.records.extend(records);
            step.rows.extend(rows);
            step.effects.extend(effects);
        }

        if canary::is_planted(Bug::AcknowledgedTooEarly) {
            self.act(std::mem::take(&mut step.effects));
        }
        if !step.records.is_empty() || !step.rows.is_empty() {
            let batch = Batch { lane: self.hook.lane, expect, records: step.records, rows: step.rows };
            let refusal = match self.world.store.commit(batch).await {
                Commit::Done => None,
                Commit::Full => Some(Refusal::FULL),
                Commit::Conflict => {
                    tracing::error!(lane = %self.name(), "another writer wrote to this lane; it is loaded anew");
                    Some(Refusal::UNCERTAIN)
                }
                Commit::Fenced => {
                    tracing::info!(lane = %self.name(), "another node owns this lane by now");
                    Some(Refusal::OWNER_MISSING)
                }
                Commit::Unknown(why) => {
                    tracing::error!(lane = %self.name(), why, "a commit failed; the lane is loaded anew");
                    Some(Refusal::UNCERTAIN)
                }
            };
            if let Some(refusal) = refusal {
                for waiter in self.waiters.drain(..).flatten() {
                    let _ = waiter.send(Err(refusal.clone()));
                }
                return Err(refusal);
            }
            self.hook.committed();
        }
        self.act(step.effects);
        Ok(())
    }

    /// Whatever a rule needs, before it decides: what the store knows of idempotency keys and versions.
    async fn prefetch(&self, waiting: &mut [Message]) -> Result<(), store::Fault> {
        for message in waiting {
            match message {
                Message::Write { idempotency_key: Some(key), seen, .. } => {
                    let bytes = self.world.store.row(row::seen(self.hook.lane, key)).await?;
                    *seen = bytes.and_then(|bytes| row::decode(&bytes));
                }
                Message::Change { change: Change::Restore { version, found }, .. } => {
                    *found = version_of(&self.world, self.hook.lane, *version).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn input(&mut self, message: Message) -> Input {
        let waiters = &mut self.waiters;
        let mut ticket = |waiter| {
            waiters.push(Some(waiter));
            Ticket(waiters.len() as u64 - 1)
        };
        match message {
            Message::Write { request, idempotency_key, answered, seen, waiter } => {
                Input::Write(Write { request, idempotency_key, seen, answered, ticket: ticket(waiter) })
            }
            Message::Change { change, waiter } => Input::Change { change, ticket: ticket(waiter) },
            Message::Worked { version, after, worked, ahead } => {
                self.working -= 1;
                self.ahead = ahead.map(|ahead| (version, ahead));
                match worked {
                    Worked::Folded { through, folded } => {
                        self.in_vain = 0;
                        Input::Folded { version, after, through, folded }
                    }
                    Worked::Not(why) => {
                        self.in_vain += 1;
                        tracing::warn!(lane = %self.name(), version, why, "a fold is asked for again");
                        Input::NotFolded { version }
                    }
                }
            }
            Message::Leave => unreachable!("it is taken out before"),
        }
    }

    /// Only what was decided, and only after it is committed. Who is answered finds it already shown.
    fn act(&mut self, effects: Vec<Effect>) {
        let mut folds = Vec::new();
        let mut answers = Vec::with_capacity(self.waiters.len());
        for effect in effects {
            match effect {
                Effect::Reply { ticket, reply, replayed } => {
                    answers.push((ticket, Ok(Answer::Reply { reply, replayed })))
                }
                Effect::Refuse { ticket, refusal } => answers.push((ticket, Err(refusal))),
                Effect::Changed { ticket, change } => answers.push((ticket, Ok(Answer::Changed(change)))),
                Effect::Arrived { seq, request, is_folded } => {
                    self.remember(request.id, seq);
                    self.at_hand.push(seq, request, is_folded);
                }
                Effect::Door { key, door } => (self.doors)(key, door),
                Effect::Fold { version } => folds.push(version),
                Effect::End => self.over = true,
            }
        }
        self.view.send_replace(Arc::new(View::of(&self.hook)));
        for (ticket, answer) in answers {
            // A waiter that went away does not want its answer; what it asked for is done all the same.
            if let Some(waiter) = self.waiters.get_mut(ticket.0 as usize).and_then(Option::take) {
                let _ = waiter.send(answer);
            }
        }
        self.waiters.clear();
        for version in folds {
            self.fold(version);
        }
        let passed = self.hook.live.iter().chain(&self.hook.refold).map(|fold| fold.through).min();
        self.at_hand.forget_through(passed.unwrap_or(self.hook.seq()));
    }

    fn remember(&self, id: u128, seq: Seq) {
        let mut recent = self.recent.lock().expect("no thread panics while it holds this");
        if recent.len() == RECENT_IDS_MAX {
            recent.pop_front();
        }
        recent.push_back((id, seq));
    }

    /// Sends a worker what waits behind a fold; its answer comes back as a message of this lane.
    fn fold(&mut self, version: u32) {
        let Some(own) = self.own.upgrade() else { return };
        let (lane, to) = (self.hook.lane, self.hook.seq());
        let Some(fold) = self.hook.fold_of(version) else { return };
        let (after, state) = (fold.through, fold.state.clone());
        let code = Code { program: fold.program.clone(), exports: fold.exports };
        let begin = self.hook.config.begin;
        let ahead = self.ahead.take_if(|(known, ahead)| *known == version && ahead.after == after);
        let ready = ahead.map(|(_, ahead)| ahead).or_else(|| self.at_hand.gather(after, &self.hook.config));
        let world = self.world.clone();
        let retry_ms = WORKER_RETRY_MAX_MS.min(WORKER_RETRY_MS << self.in_vain.min(16));
        self.working += 1;
        tokio::spawn(async move {
            let gathered = match ready {
                Some(gathered) => Ok(gathered),
                None => fold::gather(&*world.store, lane, version, after, to).await,
            };
            let (worked, ahead) = match gathered {
                Ok(gathered) => {
                    // A long way to go: the next batch is read while this one is folded.
                    let next = gathered.through;
                    let is_far = to.0 - next.0 > FOLD_REQUESTS_MAX as u64;
                    let read_ahead = async {
                        if is_far { fold::gather(&*world.store, lane, version, next, to).await.ok() } else { None }
                    };
                    let keyed = Keyed::Kept { version, begin };
                    tokio::join!(fold::work(&world, lane, &code, state, gathered, &keyed), read_ahead)
                }
                Err(damage) => (Worked::Not(damage.to_string()), None),
            };
            if let Worked::Not(_) = worked {
                world.clock.sleep(retry_ms).await;
            }
            let _ = own.send(Message::Worked { version, after, worked, ahead }).await;
        });
    }

    fn name(&self) -> String {
        format!("{:032x}", self.hook.lane.0)
    }
}

/// The seq of a request, by its id: searched in the log by the time that the id carries.
pub async fn find(world: &World, lane: LaneId, seq: Seq, id: u128) -> Result<Option<Seq>, Damage> {
    /// How far the clock that made the id and the clock that wrote the record may lie apart.
    const SLACK_MS: u64 = 60_000;
    let store = &*world.store;
    let made_at = (id >> 80) as u64;
    let (mut low, mut high) = (1, seq.0 + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = fold::arrivals(store, lane, Seq(middle - 1), Seq(middle)).await?;
        let is_before = found.first().is_some_and(|arrival| arrival.at.0 + SLACK_MS < made_at);
        (low, high) = if is_before { (middle + 1, high) } else { (low, middle) };
    }
    let mut after = Seq(low - 1);
    loop {
        let page = fold::arrivals(store, lane, after, seq).await?;
        for arrival in &page {
            if arrival.request.id == id {
                return Ok(Some(arrival.seq));
            }
            if arrival.at.0 > made_at + SLACK_MS {
                return Ok(None);
            }
        }
        match page.last() {
            Some(last) => after = last.seq,
            None => return Ok(None),
        }
    }
}

/// The newest snapshot of a version at or before `seq` and behind `begin`.
pub async fn snapshot(world: &World, lane: LaneId, version: u32, begin: Seq, seq: Seq) -> Result<Option<Head>, Damage> {
    if seq <= begin {
        return Ok(None);
    }
    let from = row::snapshot(lane, version, Seq(begin.0 + 1));
    let to = row::snapshot(lane, version, Seq(seq.0 + 1));
    let rows = world.store.rows(from, to, Order::Descending, 1).await?;
    Ok(rows.first().and_then(|(_, value)| row::decode(value)))
}

pub fn refuse(message: Message, refusal: &Refusal) {
    match message {
        Message::Write { waiter, .. } | Message::Change { waiter, .. } => {
            let _ = waiter.send(Err(refusal.clone()));
        }
        Message::Worked { .. } | Message::Leave => {}
    }
}

/// The whole chain of a log, recomputed.
pub async fn verify(world: &World, lane: LaneId) -> Result<(Seq, rules::record::Hash), Damage> {
    let store = &*world.store;
    let (mut position, mut hash) = (Position::START, rules::record::Hash::NONE);
    let mut receipt = (Seq(0), hash);
    loop {
        let extent = store::Extent { records_max: 1024, bytes_max: crate::FOLD_BYTES_MAX };
        let page = log::page(store, lane, position, hash, extent).await?;
        let Some((last, _)) = page.last() else { return Ok(receipt) };
        (position, hash) = (last.position, last.hash);
        for (record, _) in page {
            if record.position.is_request() {
                let seq = record.position.seq();
                if seq.0 != receipt.0.0 + 1 {
                    return Err(Damage::Chain(seq));
                }
                receipt = (seq, record.hash);
            }
        }
    }
}
