//! Folds a log again for somebody who looks, and keeps nothing.

use std::sync::Arc;

use rules::{
    call::{Error, Json, Line, Request},
    hook::{Came, Verdict},
    record::{LaneId, Seq},
    refusal::Refusal,
};

use crate::{
    fold::{self, Code, Keyed, Worked},
    lanes::damage,
    world::World,
};

/// A request and what it came to.
#[derive(Clone, Debug)]
pub struct Moment {
    pub request: Arc<Request>,
    pub verdict: Verdict,
    /// The state behind it; `None` before the first that folded.
    pub state: Option<Json>,
    pub error: Option<Error>,
    pub console: Vec<Line>,
    pub fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Pending,
    Folded,
    Duplicate { of: Seq },
}

/// A fold over a log from where it stands.
pub struct Replay<'a> {
    pub world: &'a World,
    pub lane: LaneId,
    /// Whose backstops are forced.
    pub version: u32,
    pub code: Code,
    pub keyed: Keyed,
    pub through: Seq,
    pub state: Option<Json>,
}

impl Replay<'_> {
    /// The next moments up to `to`, at least one; empty when there are none.
    pub async fn next(&mut self, to: Seq) -> Result<Vec<Moment>, Refusal> {
        let store = &*self.world.store;
        if self.through >= to {
            return Ok(Vec::new());
        }
        let gathered = fold::gather(store, self.lane, self.version, self.through, to).await.map_err(damage)?;
        let arrivals = fold::arrivals(store, self.lane, self.through, gathered.through).await.map_err(damage)?;
        let worked = fold::work(self.world, self.lane, &self.code, self.state.clone(), gathered, &self.keyed).await;
        let (passed, folded) = match worked {
            Worked::Folded { through, folded } if through > self.through => (through, folded),
            Worked::Folded { .. } => return Err(Refusal::FAULT),
            Worked::Not(why) => return Err(Refusal::UNAVAILABLE.because(why)),
        };
        self.keyed.remember(&folded);
        let mut folded = folded.into_iter().peekable();
        let mut moments = Vec::with_capacity(arrivals.len());
        for arrival in arrivals.into_iter().take_while(|arrival| arrival.seq <= passed) {
            let mut moment = Moment {
                request: arrival.request,
                verdict: arrival.verdict,
                state: None,
                error: None,
                console: Vec::new(),
                fate: Fate::Folded,
            };
            match folded.next_if(|folded| folded.seq == arrival.seq).map(|folded| folded.came) {
                Some(Came::Ran(ran)) => {
                    moment.console = ran.console;
                    match ran.result {
                        Ok(next) => self.state = Some(next),
                        Err(failure) => moment.error = Some(failure.error),
                    }
                }
                Some(Came::Duplicate { of }) => moment.fate = Fate::Duplicate { of },
                None => {}
            }
            moment.state = self.state.clone();
            moments.push(moment);
        }
        self.through = passed;
        Ok(moments)
    }
}
