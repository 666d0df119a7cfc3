//! What happens to a hook, request by request, for those who look on.

use std::{collections::VecDeque, sync::Arc};

use rules::{
    call::Json,
    hook::LastRefold,
    record::{At, LaneId, Seq},
    refusal::Refusal,
};

use crate::{
    EVENTS_BEHIND_MAX, Engine, PROGRESS_MS,
    follow::{Following, View},
    replay::{Moment, Replay},
};

/// Something to tell.
#[derive(Debug)]
pub enum Event {
    /// A request was folded; or it arrived, where nothing folds it.
    Request(Moment),
    /// More has changed than is told one by one: look at the history again.
    Bulk,
    /// A refold goes on, or has ended.
    Refold(Arc<View>),
}

/// A look at a hook that goes on. Every request is told once and in order, unless `Bulk` stands for it.
///
/// Nothing is kept for those who are slow: what they have not been told is read again from the log, and the state
/// behind each request folded on from the state behind the last.
pub struct Events {
    engine: Engine,
    following: Following,
    told: Told,
    refold: Refold,
    /// Read and not told yet.
    pending: VecDeque<Moment>,
}

/// What has been told of the requests.
struct Told {
    version: Option<u32>,
    begin: Seq,
    seq: Seq,
    /// How far they were folded then; less than `seq` where some were told as they arrived.
    through: Seq,
    /// The state behind `through`.
    state: Option<Json>,
}

/// What has been told of refolds.
struct Refold {
    is_running: bool,
    at: At,
    ended: Option<LastRefold>,
}

enum News {
    None,
    /// The requests behind the last one told, up to here.
    Requests(Seq),
    Bulk,
}

impl Engine {
    /// What happens to a hook from now on.
    pub async fn events(&self, hook: LaneId) -> Result<Events, Refusal> {
        let mut following = self.follow(hook).await?;
        let view = following.borrow_and_update().clone();
        let refold = Refold { is_running: false, at: At(0), ended: view.config.last_refold };
        Ok(Events { engine: self.clone(), following, told: Told::of(&view), refold, pending: VecDeque::new() })
    }
}

impl Events {
    /// The next thing to tell, when there is one; `None` when the lane has ended.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(moment) = self.pending.pop_front() {
                return Some(Event::Request(moment));
            }
            let view = self.following.borrow_and_update().clone();
            if self.refold.has_news(&view, self.engine.now()) {
                return Some(Event::Refold(view));
            }
            match self.told.news(&view) {
                News::None => self.wait(view.refold.is_some()).await?,
                News::Requests(last) => match self.read(&view, last).await {
                    Ok(moments) => self.pending = moments.into(),
                    Err(refusal) => {
                        tracing::warn!(refusal.code, "requests could not be told one by one");
                        return Some(self.bulk(&view));
                    }
                },
                News::Bulk => return Some(self.bulk(&view)),
            }
        }
    }

    fn bulk(&mut self, view: &View) -> Event {
        self.told = Told::of(view);
        Event::Bulk
    }

    /// Until something changes. A refold is looked at again before long, because its last change may be untold.
    async fn wait(&mut self, is_refolding: bool) -> Option<()> {
        let world = self.engine.world().clone();
        tokio::select! {
            changed = self.following.changed() => changed.ok(),
            () = world.clock.sleep(PROGRESS_MS), if is_refolding => Some(()),
        }
    }

    /// The next requests behind the last one told: as many as come at once.
    async fn read(&mut self, view: &View, last: Seq) -> Result<Vec<Moment>, Refusal> {
        let Events { engine, told, .. } = self;
        let Some(live) = view.live.as_ref().filter(|live| told.seq < live.through) else {
            let moments = engine.pending(view, told.seq, last).await?;
            told.seq = seq_of(moments.last())?;
            return Ok(moments);
        };
        let state = told.state.clone();
        let mut replay = Replay { through: told.through, state, ..engine.replay_of(view, live) };
        let moments = replay.next(last.min(live.through)).await?;
        told.seq = seq_of(moments.last())?;
        told.through = told.seq;
        // Where it can be, the lane's own text, so that a state is in memory once.
        told.state = if told.seq == live.through { live.state.clone() } else { replay.state };
        Ok(moments)
    }
}

fn seq_of(moment: Option<&Moment>) -> Result<Seq, Refusal> {
    moment.map(|moment| Seq(moment.request.seq)).ok_or(Refusal::FAULT)
}

impl Told {
    /// All that there is.
    fn of(view: &View) -> Told {
        Told {
            version: version_of(view),
            begin: view.config.begin,
            seq: settled(view),
            through: view.through(),
            state: view.state(),
        }
    }

    fn news(&self, view: &View) -> News {
        if self.version != version_of(view) || self.begin != view.config.begin {
            return News::Bulk;
        }
        let folds = folds(view);
        if self.through < self.seq && view.live.is_some() {
            // Some were told as they arrived, and are folded now.
            let is_over = !folds || view.through() >= self.seq;
            if is_over && view.through() > self.through {
                return News::Bulk;
            }
            if folds {
                return News::None;
            }
        }
        let last = settled(view);
        match last.0.saturating_sub(self.seq.0) {
            0 => News::None,
            behind if behind > EVENTS_BEHIND_MAX => News::Bulk,
            _ => News::Requests(last),
        }
    }
}

fn version_of(view: &View) -> Option<u32> {
    view.live.as_ref().map(|live| live.version)
}

/// Whether what arrives is folded before long.
fn folds(view: &View) -> bool {
    view.live.is_some() && !view.config.paused
}

/// The last request of which there is nothing more to come.
fn settled(view: &View) -> Seq {
    if folds(view) { view.through() } else { view.seq }
}

impl Refold {
    /// Whether there is something to tell; what is told is `view`.
    fn has_news(&mut self, view: &View, now: At) -> bool {
        let has_news = match view.refold {
            Some(_) => !self.is_running || now.0.abs_diff(self.at.0) >= PROGRESS_MS,
            // One may have begun and ended between two looks.
            None => self.is_running || self.ended != view.config.last_refold,
        };
        if has_news {
            *self = Refold { is_running: view.refold.is_some(), at: now, ended: view.config.last_refold };
        }
        has_news
    }
}
