//! The server's own pool: it runs what no worker of the account takes, and what is for it alone.

use std::sync::Arc;

use rules::{
    call::{Error, Program},
    job::{End, Part, Said, Task, WorkerId},
    record::LaneId,
};
use worker::script::{self, Script};

use crate::{Engine, PLAYS_IN_VAIN_MAX, WORKER_RETRY_MAX_MS, WORKER_RETRY_MS};

/// A part that the server has, and by which fence.
#[derive(Clone, Copy)]
pub struct Here {
    pub account: LaneId,
    pub worker: WorkerId,
    pub part: Part,
    pub fence: u64,
    pub timeout_ms: u64,
}

impl Engine {
    pub(super) fn start_here(&self, here: Here, task: Arc<Task>, program: Arc<Program>) {
        let engine = self.clone();
        tokio::spawn(async move { engine.run_here(here, task, program).await });
    }

    /// What could not be handed out is handed out anew: the server, which has no lease that ends, would keep it for ever.
    pub(super) fn lose_later(&self, account: LaneId, worker: WorkerId, part: Part, fence: u64) {
        let engine = self.clone();
        tokio::spawn(async move {
            engine.world().clock.sleep(WORKER_RETRY_MAX_MS).await;
            let told = engine.tell_jobs(account, move |state, _, step| {
                state.jobs.lose(worker, part, fence, step);
                Box::new(|_| ())
            });
            let _ = told.await;
        });
    }

    async fn run_here(&self, here: Here, task: Arc<Task>, program: Arc<Program>) {
        let Here { account, worker, part, fence, timeout_ms } = here;
        let input = task.inputs.get(part.index as usize).map_or("null", |input| &**input);
        let mut in_vain = 0;
        let (end, console) = loop {
            let (seed, at_ms) = (self.world().entropy.draw(), self.now().0);
            let script = Script { program: &program, input, timeout_ms, seed, at_ms };
            match script::run(&*self.world().scripts, script).await {
                Ok(ran) => break ran,
                Err(why) if in_vain >= PLAYS_IN_VAIN_MAX => break (End::Failed(unrun(&why)), Vec::new()),
                Err(_) => in_vain += 1,
            }
            self.world().clock.sleep(WORKER_RETRY_MS << in_vain).await;
        };
        let told = self.tell_jobs(account, move |state, at, step| {
            for line in console {
                let _ = state.jobs.hear(worker, part, fence, Said::Log(line), at, step);
            }
            let _ = state.jobs.hear(worker, part, fence, Said::Ended(end), at, step);
            Box::new(|_| ())
        });
        let _ = told.await;
    }
}

fn unrun(why: &str) -> Error {
    Error::plain("UnavailableError", format!("The server could not run it: {why}."))
}
