//! Runs of connected hosts: what a host is told, and what it says.

use std::sync::Arc;

use rules::{
    call::Json,
    limits::HOST_GRACE_MS,
    record::LaneId,
    refusal::Refusal,
    run::{Begun, Heard, Origin, Said, Why, transaction_of},
};
use store::Pending;

use super::Active;
use crate::{
    Engine, PAGE_MAX,
    host::{FromHost, Offered, Runs, ToHost},
    page,
};

/// What is said of a run whose host is not there.
const GONE: &str = "The program that ran it ended. Resume runs its code again, over the answers there are.";

impl Engine {
    /// A new run of a connected host's action.
    pub async fn begin_connected(
        &self,
        owner: LaneId,
        offered: Offered,
        context: Json,
        by: Option<String>,
    ) -> Result<LaneId, Refusal> {
        if !offered.is_online {
            return Err(Refusal::ACTION_OFFLINE);
        }
        let route = offered.route;
        let begun = Begun {
            owner,
            origin: Origin::Host { is_backgroundable: route.backgroundable },
            declared: route.slug.clone(),
            action: route.slug,
            name: route.name,
            description: route.description,
            context,
            by,
            at: self.now(),
        };
        self.begin(begun).await
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

    /// Nobody looks at it any more.
    pub async fn leave_run(&self, active: Arc<Active>) {
        let effect = active.state().await.run.close();
        self.act_on(&active, effect.into_iter().collect());
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
        self.turn(run, move |state, at| {
            if state.run.owner != account {
                return Err(Refusal::RUN_FOREIGN);
            }
            let (step, heard) = state.run.host_says(attempt, said, at);
            if let Heard::Rendered { id, payload } = &heard {
                state.render(id.clone(), payload.clone());
            }
            Ok((Some(step), heard))
        })
        .await
    }

    /// Runs of this account that nobody has are parked: the process that ran them is not the one that came.
    async fn park_orphans(&self, account: LaneId) -> Result<(), Refusal> {
        let mut before = None;
        loop {
            let page = self.open_runs_of(account, before, PAGE_MAX).await?;
            for (run, brief) in &page {
                if !matches!(brief.origin, Origin::Host { .. }) {
                    continue;
                }
                let active = self.run(*run).await?;
                let is_attended = self.is_attended(&active.state().await.run);
                if !is_attended {
                    self.turn_of(active, |state, at| Ok((Some(state.run.host_gone(GONE.into(), at)), ()))).await?;
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

    /// A host that comes back says by itself which runs it has. What nobody has by then is nobody's.
    fn host_came(&self, account: LaneId, _: String) {
        let engine = self.clone();
        tokio::spawn(async move {
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
            for run in transactions.iter().filter_map(|transaction| transaction_of(transaction)) {
                if let Some(active) = engine.active(run.0) {
                    // Who looks on is told that nobody attends to it.
                    let _ = engine.turn_of(active, |_, _| Ok((Some(Default::default()), ()))).await;
                }
            }
        });
    }
}
