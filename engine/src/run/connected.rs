//! Runs of connected hosts: what a host is told, and what it says.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, MutexGuard},
};

use rules::{
    call::Json,
    limits::HOST_GRACE_MS,
    record::{At, LaneId, Position},
    refusal::Refusal,
    run::{Begun, Heard, Origin, Said, Status, Why, transaction_of},
};
use store::Pending;

use super::Active;
use crate::{
    Engine, HELD_RUNS_MAX, HOST_AWAY_MS, PAGE_MAX, RUN_LINGER_MS,
    host::{FromHost, Offered, Runs, ToHost},
    page,
};

/// What is said of a run whose host is not there.
const GONE: &str = "The program that ran it ended. Resume runs its code again, over the answers there are.";
/// What is said of one that was at work when the line to its host broke.
const SILENT: &str = "The line to its program broke while it worked, and nothing was heard of it since. It may have ended \
    unheard: Resume runs its code again, over the answers there are.";

impl Offered {
    /// What a run of it begins with, if its host is there.
    pub(crate) fn begun(self, owner: LaneId, context: Json, by: Option<String>, at: At) -> Result<Begun, Refusal> {
        if !self.is_online {
            return Err(Refusal::ACTION_OFFLINE);
        }
        let route = self.route;
        Ok(Begun {
            owner,
            origin: Origin::Host { is_backgroundable: route.backgroundable },
            declared: route.slug.clone(),
            action: route.slug,
            name: route.name,
            description: route.description,
            context,
            by,
            at,
        })
    }
}

impl Engine {
    /// A new run of a connected host's action.
    pub async fn begin_connected(
        &self,
        owner: LaneId,
        offered: Offered,
        context: Json,
        by: Option<String>,
    ) -> Result<LaneId, Refusal> {
        self.begin(offered.begun(owner, context, by, self.now())?).await
    }

    /// Has the host that is there run the code anew.
    pub async fn resume_run(&self, run: LaneId) -> Result<(), Refusal> {
        let active = self.run(run).await?;
        let (owner, slug) = {
            let state = active.state().await;
            (state.run.owner, state.run.begun.action.clone())
        };
        let is_parked = matches!(active.state().await.run.parked, Some((Why::HostGone, _)));
        if is_parked && !self.hosts().route(owner, &slug).is_some_and(|offered| offered.is_online) {
            return Err(Refusal::ACTION_OFFLINE);
        }
        self.turn_of(active, |state, at| Ok((Some(state.run.host_resumes(at)?), ()))).await
    }

    /// Whether somebody is there to go on with a run.
    pub fn is_attended(&self, run: &rules::run::Run) -> bool {
        !run.is_host() || self.hosts().is_with(run.owner, &run.transaction())
    }

    /// It came to its end, or somebody looks at it no longer. Its host keeps its tables for as long as anybody does, and
    /// for who is about to: a page is loaded again.
    pub async fn leave_run(&self, active: Arc<Active>) {
        if active.state().await.run.close().is_none() {
            return;
        }
        self.world().clock.sleep(RUN_LINGER_MS).await;
        if active.changes.receiver_count() > 0 {
            return;
        }
        let (run, effect) = {
            let state = active.state().await;
            (state.run.lane, state.run.close())
        };
        self.held_for_hosts().remove(&run);
        self.act_on(&active, effect.into_iter().collect());
    }

    fn held_for_hosts(&self) -> MutexGuard<'_, HashMap<LaneId, Arc<Active>>> {
        self.runs().hosted_elsewhere.lock().expect("no thread panics while it holds this")
    }

    pub(super) async fn start(&self, active: Arc<Active>, transaction: String) {
        let (owner, slug, context) = {
            let state = active.state().await;
            (state.run.owner, state.run.begun.action.clone(), state.run.begun.context.clone())
        };
        let message = ToHost::Start { transaction, slug: slug.clone(), context };
        if self.hosts().send(owner, &slug, message).is_err() {
            let _ = self.turn_of(active, |state, at| Ok((Some(state.run.host_gone(GONE.into(), at)), ()))).await;
        }
    }

    /// Should the host be away, it asks again when it is back.
    pub(super) async fn pass_on(
        &self,
        active: Arc<Active>,
        transaction: String,
        key: String,
        id: String,
        response: Json,
    ) {
        let owner = active.state().await.run.owner;
        let _ = self.hosts().send(owner, "", ToHost::Answer { transaction, key, id, response });
    }

    pub(super) async fn close(&self, active: Arc<Active>, transaction: String) {
        let owner = active.state().await.run.owner;
        let _ = self.hosts().send(owner, "", ToHost::Close { transaction });
    }

    async fn hear(&self, account: LaneId, transaction: &str, said: Said) -> Result<Heard, Refusal> {
        let (run, attempt) = transaction_of(transaction).ok_or(Refusal::RUN_UNKNOWN)?;
        let active = self.run(run).await?;
        {
            let mut held = self.held_for_hosts();
            if held.len() < HELD_RUNS_MAX || held.contains_key(&run) {
                held.insert(run, active.clone());
            }
        }
        self.turn_of(active, move |state, at| {
            if state.run.owner != account {
                return Err(Refusal::RUN_FOREIGN);
            }
            state.is_doubted &= matches!(said, Said::Io(_));
            let (step, heard) = state.run.host_says(attempt, said, at);
            if let Heard::Rendered { id, payload } = &heard {
                state.render(id.clone(), payload.clone());
            }
            Ok((Some(step), heard))
        })
        .await
    }

    /// Who looks on at these runs looks again: whether somebody attends to them may be otherwise.
    async fn touch(&self, transactions: &[String]) {
        for (run, _) in transactions.iter().filter_map(|transaction| transaction_of(transaction)) {
            if let Some(active) = self.active(run) {
                let _ = self.turn_of(active, |_, _| Ok((Some(Default::default()), ()))).await;
            }
        }
    }

    /// Those of these runs that are at work, and where their logs end.
    async fn working(&self, account: LaneId, transactions: &[String]) -> Result<Vec<(LaneId, Position)>, Refusal> {
        let held: HashSet<_> =
            transactions.iter().filter_map(|transaction| Some(transaction_of(transaction)?.0)).collect();
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = self.open_runs_of(account, before, PAGE_MAX).await?;
            for (run, brief) in &page {
                if brief.status == Status::Running && held.contains(run) {
                    found.push((*run, self.run(*run).await?.state().await.run.tail()));
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE_MAX => before = Some(*last),
                _ => return Ok(found),
            }
        }
    }

    /// Parks a run of which nothing was heard behind `tail`, though its host is there.
    pub(super) async fn park_if_silent(&self, run: LaneId, tail: Position) {
        let engine = self.clone();
        let parked = self.turn(run, move |state, at| {
            // What it asks from here on comes of code that is there.
            state.is_doubted &= state.run.question().is_some();
            let is_silent = state.run.tail() == tail && engine.is_attended(&state.run);
            Ok((is_silent.then(|| state.run.host_gone(SILENT.into(), at)), ()))
        });
        let _ = parked.await;
    }

    async fn doubt(&self, run: LaneId) {
        let _ = self
            .turn(run, |state, _| {
                state.is_doubted = true;
                Ok((None, ()))
            })
            .await;
    }

    /// Runs of this account that no host has are parked, if one is there that could go on with them.
    async fn park_orphans(&self, account: LaneId) -> Result<(), Refusal> {
        let mut before = None;
        loop {
            let page = self.open_runs_of(account, before, PAGE_MAX).await?;
            for (run, brief) in &page {
                let is_offered = || self.hosts().route(account, &brief.action).is_some_and(|offered| offered.is_online);
                if !matches!(brief.origin, Origin::Host { .. }) || brief.status == Status::Parked || !is_offered() {
                    continue;
                }
                let (active, engine) = (self.run(*run).await?, self.clone());
                let parked = self.turn_of(active, move |state, at| {
                    let is_held = engine.hosts().is_held(account, &state.run.transaction());
                    Ok(((!is_held).then(|| state.run.host_gone(GONE.into(), at)), !is_held))
                });
                let is_parked = parked.await?;
                let may_go_on = matches!(brief.origin, Origin::Host { is_backgroundable: true });
                if is_parked && may_go_on && self.settings().await?.resume_connected {
                    self.resume_run(*run).await?;
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE_MAX => before = Some(*last),
                _ => return Ok(()),
            }
        }
    }
}

impl Runs for Engine {
    fn host_says(&self, account: LaneId, transaction: String, said: FromHost) -> Pending<Result<bool, String>> {
        if page::is_page(&transaction) {
            return Box::pin(std::future::ready(Ok(self.page_says(account, &transaction, said))));
        }
        let said = match said {
            FromHost::Io { call } => Said::Io(call),
            FromHost::Loading(loading) => Said::Loading(loading),
            FromHost::Log { index, text, .. } => Said::Log { index, text },
            FromHost::Redirect(to) => Said::Redirect(to),
            FromHost::Completed { is_success, result } => Said::Completed { is_success, result },
            // A page has a key of its own.
            FromHost::Page(_) => return Box::pin(std::future::ready(Ok(false))),
        };
        let engine = self.clone();
        Box::pin(async move {
            match engine.hear(account, &transaction, said).await {
                Ok(Heard::Yes | Heard::Rendered { .. }) => Ok(true),
                Ok(Heard::No(why)) => Err(why),
                Err(refusal) if refusal.status < 500 => Ok(false),
                Err(refusal) => Err(refusal.detail.into_owned()),
            }
        })
    }

    /// What a host ended while the line was down, it never says (interval-protocol.md, 2.7.3 and 2.7.4). So a run that
    /// was at work then, and of which nothing is heard after, may be resumed. What it asked then it does say, and no code
    /// waits for the answer: one of which nothing is heard behind its next answer may be resumed, too.
    fn host_left(&self, account: LaneId, transactions: Vec<String>) {
        let engine = self.clone();
        tokio::spawn(async move {
            engine.touch(&transactions).await;
            let Ok(working) = engine.working(account, &transactions).await else { return };
            for (run, _) in &working {
                engine.doubt(*run).await;
            }
            engine.world().clock.sleep(HOST_AWAY_MS + HOST_GRACE_MS).await;
            for (run, tail) in working {
                engine.park_if_silent(run, tail).await;
            }
        });
    }

    /// A host that comes back says by itself which runs it has. What nobody has by then is nobody's.
    fn host_came(&self, account: LaneId, instance: String) {
        let engine = self.clone();
        tokio::spawn(async move {
            engine.touch(&engine.hosts().held_by(account, &instance)).await;
            engine.world().clock.sleep(HOST_GRACE_MS).await;
            if let Err(refusal) = engine.park_orphans(account).await {
                tracing::warn!(account = format!("{:032x}", account.0), refusal.code, "runs without a host wait on");
            }
        });
    }

    /// Its runs stay open: what is answered is kept, until a host comes that can go on with them.
    fn host_went(&self, account: LaneId, _: String, transactions: Vec<String>) {
        self.pages_over(account, &transactions);
        let engine = self.clone();
        tokio::spawn(async move {
            engine.touch(&transactions).await;
            for (run, _) in transactions.iter().filter_map(|transaction| transaction_of(transaction)) {
                engine.held_for_hosts().remove(&run);
            }
            if let Err(refusal) = engine.park_orphans(account).await {
                tracing::warn!(account = format!("{:032x}", account.0), refusal.code, "runs without a host wait on");
            }
        });
    }
}
