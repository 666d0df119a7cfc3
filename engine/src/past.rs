//! Travels in time: what the state was behind any request, folded again from the nearest snapshot.

use std::sync::Arc;

use rules::{
    call::{Call, Error, Json, Outcome, Request, Response},
    hook::Verdict,
    limits::Limits,
    record::Seq,
    refusal::Refusal,
};

use crate::{
    Engine, PAGE,
    fold::{self, NO_SECRETS, Worked},
    follow::{Live, View, folded_through},
    lane,
    lanes::damage,
};

/// A request and what it came to.
#[derive(Clone, Debug)]
pub struct Moment {
    pub request: Arc<Request>,
    pub verdict: Verdict,
    /// The state behind it; `None` before the first that folded.
    pub state: Option<Json>,
    pub error: Option<Error>,
    pub is_folded: bool,
}

impl Engine {
    /// The state behind `seq`.
    pub async fn state_at(&self, view: &View, seq: Seq) -> Result<Option<Json>, Refusal> {
        if seq > view.seq {
            return Err(Refusal::SEQ_BEYOND);
        }
        let Some(live) = &view.live else { return Ok(None) };
        if seq == Seq(0) {
            return Ok(None);
        }
        if seq == live.through {
            return Ok(live.state.clone());
        }
        let mut following = self.follow(view.lane).await?;
        let view = folded_through(self.world(), &mut following, seq).await.ok_or(Refusal::AFTER_NOT_YET)?;
        let live = view.live.as_ref().expect("it has folded that far");
        let moments = self.moments(&view, live, seq, seq).await?;
        Ok(moments.last().and_then(|moment| moment.state.clone()))
    }

    /// A page of requests, newest first, with the states of the live version. `before` is exclusive.
    pub async fn history(&self, view: &View, before: Option<Seq>) -> Result<Vec<Moment>, Refusal> {
        let last = before.map_or(view.seq, |before| Seq(before.0.saturating_sub(1)).min(view.seq));
        let first = Seq(last.0.saturating_sub(PAGE as u64 - 1).max(1));
        if last < first {
            return Ok(Vec::new());
        }
        let through = view.through().min(last);
        let mut moments = match &view.live {
            Some(live) if through >= first => self.moments(view, live, first, through).await?,
            _ => Vec::new(),
        };
        let after = Seq(first.0.max(through.0 + 1) - 1);
        if after < last {
            let store = &*self.world().store;
            let pending = fold::arrivals(store, view.lane, after, last).await.map_err(damage)?;
            moments.extend(pending.into_iter().map(|arrival| Moment {
                request: arrival.request,
                verdict: arrival.verdict,
                state: None,
                error: None,
                is_folded: false,
            }));
        }
        moments.reverse();
        Ok(moments)
    }

    /// The requests `first..=last`, all of them folded, each with the state behind it.
    async fn moments(&self, view: &View, live: &Live, first: Seq, last: Seq) -> Result<Vec<Moment>, Refusal> {
        let world = self.world();
        let store = &*world.store;
        let snapshot = lane::snapshot(world, view.lane, live.version, Seq(first.0 - 1)).await.map_err(damage)?;
        let (mut through, mut state) = snapshot.map_or((Seq(0), None), |head| (head.through, head.state));
        let mut moments = Vec::new();
        while through < last {
            let arrivals = fold::arrivals(store, view.lane, through, last).await.map_err(damage)?;
            let gathered = fold::gather(store, view.lane, live.version, through, last).await.map_err(damage)?;
            let (passed, folded) = match fold::work(world, &live.program, state.clone(), gathered).await {
                Worked::Folded { through, folded } => (through, folded),
                Worked::Not(why) => return Err(Refusal::UNAVAILABLE.because(why)),
            };
            if passed <= through {
                return Err(Refusal::FAULT);
            }
            let mut folded = folded.into_iter().peekable();
            for arrival in arrivals.into_iter().take_while(|arrival| arrival.seq <= passed) {
                let ran = folded.next_if(|folded| folded.seq == arrival.seq);
                let error = match ran.map(|folded| folded.ran.result) {
                    Some(Ok(next)) => {
                        state = Some(next);
                        None
                    }
                    Some(Err(failure)) => Some(failure.error),
                    None => None,
                };
                if arrival.seq >= first {
                    moments.push(Moment {
                        request: arrival.request,
                        verdict: arrival.verdict,
                        state: state.clone(),
                        error,
                        is_folded: true,
                    });
                }
            }
            through = passed;
        }
        Ok(moments)
    }

    /// Runs `query` over a state.
    pub async fn query(&self, live: &Live, state: Option<Json>, params: String) -> Result<Response, Refusal> {
        let at_ms = self.now().0;
        let call = Call::Query { state, params, secrets: NO_SECRETS.into(), at_ms };
        match self.world().worker.call(&live.program, call, Limits::default()).await {
            Outcome::Queried(ran) => ran.result.map_err(|failure| failed("query", &failure.error)),
            Outcome::Unrunnable(error) => Err(failed("query", &error)),
            Outcome::Unavailable(why) => Err(Refusal::UNAVAILABLE.because(why)),
            _ => Err(Refusal::FAULT),
        }
    }

    /// Runs the `responder` before a request is kept.
    pub async fn answer(&self, live: &Live, request: Arc<Request>) -> Result<rules::hook::Answered, Refusal> {
        let call = Call::Answer { request, secrets: NO_SECRETS.into() };
        let error = match self.world().worker.call(&live.program, call, Limits::default()).await {
            Outcome::Answered(ran) => match ran.result {
                Ok(response) => {
                    let verdict = if response.status > 399 { Verdict::Ignored } else { Verdict::Kept };
                    return Ok(rules::hook::Answered { response, verdict });
                }
                Err(failure) => failure.error,
            },
            Outcome::Unrunnable(error) => error,
            Outcome::Unavailable(why) => return Err(Refusal::UNAVAILABLE.because(why)),
            _ => return Err(Refusal::FAULT),
        };
        let response = Response { status: 500, headers: Vec::new(), body: Default::default() };
        Ok(rules::hook::Answered { response, verdict: Verdict::Failed(error) })
    }
}

fn failed(function: &str, error: &Error) -> Refusal {
    Refusal::RUN_FAILED.because(format!("{function} threw {}: {}", error.name, error.message))
}
