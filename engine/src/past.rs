//! Travels in time: what the state was behind any request, folded again from the nearest snapshot.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use rules::{
    call::{Call, Error, Failure, Json, Line, Outcome, Program, Ran, Request, Response},
    hook::{Answered, Verdict},
    limits::Limits,
    record::{At, Seq},
    refusal::Refusal,
    row,
};
use store::Order;

use crate::{
    Engine, PAGE, PREVIEW_ERRORS_MAX,
    fold::{self, Code, Keyed},
    follow::{Live, View, folded_through},
    lane,
    lanes::{damage, fault},
    replay::{Fate, Moment, Replay},
};

/// What publishing other code would change.
#[derive(Debug)]
pub struct Preview {
    pub total: u64,
    /// Requests behind which the two states differ.
    pub changed: u64,
    pub first_different: Option<Seq>,
    /// The first of those at which the new code fails.
    pub errors: Vec<(Seq, Error)>,
    pub before: Option<Json>,
    pub after: Option<Json>,
}

/// A line of the console, and the request it was written for.
#[derive(Debug)]
pub struct Said {
    pub line: Line,
    pub place: Place,
    pub request: Arc<Request>,
}

/// Where a line of the console stands: the request, and which of its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub seq: Seq,
    pub line: usize,
}

/// A version as a list shows it.
#[derive(Debug)]
pub struct Kept {
    pub version: u32,
    pub source: Arc<str>,
    pub published_at: Option<At>,
}

impl Engine {
    /// The state behind `seq`.
    pub async fn state_at(&self, view: &View, seq: Seq) -> Result<Option<Json>, Refusal> {
        if seq > view.seq {
            return Err(Refusal::SEQ_BEYOND);
        }
        let Some(live) = &view.live else { return Ok(None) };
        if seq <= view.config.begin {
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
        let first = Seq(last.0.saturating_sub(PAGE as u64 - 1).max(view.config.begin.0 + 1));
        let mut moments = self.between(view, first, last).await?;
        moments.reverse();
        Ok(moments)
    }

    /// At most `limit` requests, newest first, as `shown` makes them of each. Nothing is folded for it: what became of
    /// a request stands in rows, so these moments have neither state nor console. `before` is exclusive.
    pub async fn requests<T: Send>(
        &self,
        view: &View,
        before: Option<Seq>,
        limit: usize,
        shown: impl Fn(&Moment) -> T + Send,
    ) -> Result<Vec<T>, Refusal> {
        let last = before.map_or(view.seq, |before| Seq(before.0.saturating_sub(1)).min(view.seq));
        let mut after = Seq(last.0.saturating_sub(limit as u64).max(view.config.begin.0));
        let mut requests = Vec::with_capacity(limit);
        while after < last {
            let moments = self.told(view, after, last).await?;
            let Some(through) = moments.last().map(|moment| Seq(moment.request.seq)) else { break };
            requests.extend(moments.iter().map(&shown));
            after = through;
        }
        requests.reverse();
        Ok(requests)
    }

    /// Requests behind `after`, as many as are read at once, and what rows say the live version made of them.
    async fn told(&self, view: &View, after: Seq, last: Seq) -> Result<Vec<Moment>, Refusal> {
        let mut moments = self.pending(view, after, last).await?;
        let Some(live) = &view.live else { return Ok(moments) };
        let (store, lane) = (&*self.world().store, view.lane);
        let through = moments.last().map_or(after, |moment| Seq(moment.request.seq).min(live.through));
        let mut fates = fold::fates(store, lane, live.version, after, through).await.map_err(damage)?;
        let duplicates = fold::duplicates(store, lane, live.version, after, through).await.map_err(damage)?;
        for moment in &mut moments {
            let seq = Seq(moment.request.seq);
            if seq <= through {
                moment.fate = duplicates.get(&seq).map_or(Fate::Folded, |of| Fate::Duplicate { of: *of });
                moment.error = fates.remove(&seq).and_then(|fate| fate.error);
            }
        }
        Ok(moments)
    }

    /// One request, and the state before it.
    pub async fn moment(&self, view: &View, seq: Seq) -> Result<(Option<Json>, Moment), Refusal> {
        if seq > view.seq || seq <= view.config.begin {
            return Err(Refusal::REQUEST_UNKNOWN);
        }
        let first = Seq((seq.0 - 1).max(view.config.begin.0 + 1));
        let mut moments = self.between(view, first, seq).await?;
        let moment = moments.pop().ok_or(Refusal::REQUEST_UNKNOWN)?;
        Ok((moments.pop().and_then(|before| before.state), moment))
    }

    /// The requests `first..=last`, folded or not.
    async fn between(&self, view: &View, first: Seq, last: Seq) -> Result<Vec<Moment>, Refusal> {
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
            moments.extend(self.pending(view, after, last).await?);
        }
        Ok(moments)
    }

    /// Requests behind `after` as they arrived: as many as are read at once.
    pub(crate) async fn pending(&self, view: &View, after: Seq, last: Seq) -> Result<Vec<Moment>, Refusal> {
        let arrivals = fold::arrivals(&*self.world().store, view.lane, after, last).await.map_err(damage)?;
        let moment = |arrival: fold::Arrival| Moment {
            request: arrival.request,
            verdict: arrival.verdict,
            state: None,
            error: None,
            console: Vec::new(),
            fate: Fate::Pending,
        };
        Ok(arrivals.into_iter().map(moment).collect())
    }

    /// The requests `first..=last`, all of them folded, each with the state behind it.
    pub async fn moments(&self, view: &View, live: &Live, first: Seq, last: Seq) -> Result<Vec<Moment>, Refusal> {
        let (lane, begin) = (view.lane, view.config.begin);
        let known = Seq(first.0 - 1);
        let snapshot = lane::snapshot(self.world(), lane, live.version, begin, known).await.map_err(damage)?;
        let (through, state) = snapshot.map_or((begin, None), |head| (head.through, head.state));
        let mut replay = Replay { through, state, ..self.replay_of(view, live) };
        let mut moments = Vec::new();
        while replay.through < last {
            let next = replay.next(last).await?;
            moments.extend(next.into_iter().filter(|moment| moment.request.seq >= first.0));
        }
        Ok(moments)
    }

    /// The live version's fold, from the beginning.
    pub(crate) fn replay_of(&self, view: &View, live: &Live) -> Replay<'_> {
        let begin = view.config.begin;
        Replay {
            world: self.world(),
            lane: view.lane,
            version: live.version,
            code: live.code(),
            keyed: Keyed::Kept { version: live.version, begin },
            through: begin,
            state: None,
        }
    }

    /// Folds all there is with other code beside the live version, and keeps nothing.
    pub async fn preview(&self, view: &View, source: Arc<str>) -> Result<Preview, Refusal> {
        let exports = self.describe(source.clone()).await?.exports;
        let begin = view.config.begin;
        let total = view.requests();
        let mut draft = Replay {
            world: self.world(),
            lane: view.lane,
            // No fold has this number yet, so no backstop is forced on it.
            version: view.config.draft.version,
            code: Code { program: Arc::new(Program::new(source)), exports },
            keyed: Keyed::Here(HashMap::new()),
            through: begin,
            state: None,
        };
        let mut live = view.live.as_ref().map(|live| self.replay_of(view, live));
        let mut preview =
            Preview { total, changed: 0, first_different: None, errors: Vec::new(), before: None, after: None };
        let (mut drafts, mut lives) = (VecDeque::new(), VecDeque::new());
        for seq in (begin.0 + 1..=view.seq.0).map(Seq) {
            if drafts.is_empty() {
                drafts.extend(draft.next(view.seq).await?);
            }
            if let Some(live) = live.as_mut().filter(|_| lives.is_empty()) {
                lives.extend(live.next(view.seq).await?);
            }
            let draft: Moment = drafts.pop_front().ok_or(Refusal::FAULT)?;
            preview.before = lives.pop_front().and_then(|live: Moment| live.state);
            preview.after = draft.state;
            if preview.before.as_deref().unwrap_or("null") != preview.after.as_deref().unwrap_or("null") {
                preview.changed += 1;
                preview.first_different.get_or_insert(seq);
            }
            if let Some(error) = draft.error.filter(|_| preview.errors.len() < PREVIEW_ERRORS_MAX) {
                preview.errors.push((seq, error));
            }
        }
        Ok(preview)
    }

    /// A page of the console, newest first. `before` is exclusive.
    pub async fn console(&self, view: &View, before: Option<Place>) -> Result<Vec<Said>, Refusal> {
        let store = &*self.world().store;
        let lane = view.lane;
        let end = before.map_or(Seq(view.seq.0 + 1), |before| Seq(before.seq.0 + 1));
        let first = Seq(view.config.begin.0 + 1);
        if first >= end {
            return Ok(Vec::new());
        }
        // What the responder said comes before what the fold said of the same request.
        let mut pages: BTreeMap<Seq, Vec<Line>> = BTreeMap::new();
        let said = store.rows(row::said(lane, first), row::said(lane, end), Order::Descending, PAGE + 1);
        for (key, value) in said.await.map_err(fault)? {
            if let (Some(seq), Some(lines)) = (row::seq_of(&key), row::decode::<Vec<Line>>(&value)) {
                pages.entry(seq).or_default().extend(lines);
            }
        }
        if let Some(live) = &view.live {
            let of = |seq| row::fate(lane, live.version, seq);
            let mut end = end;
            let mut found = 0;
            // Most fates are errors without a word; so many may have to be passed over.
            while found <= PAGE && first < end {
                let page = store.rows(of(first), of(end), Order::Descending, PAGE + 1).await.map_err(fault)?;
                let Some(oldest) = page.last().and_then(|(key, _)| row::seq_of(key)) else { break };
                for (key, value) in &page {
                    if let (Some(seq), Some(fate)) = (row::seq_of(key), row::decode::<row::Fate>(value)) {
                        found += fate.console.len();
                        pages.entry(seq).or_default().extend(fate.console);
                    }
                }
                end = oldest;
            }
        }
        let mut lines = Vec::with_capacity(PAGE + 1);
        for (seq, page) in pages.into_iter().rev() {
            for (line, said) in page.into_iter().enumerate().rev() {
                let place = Place { seq, line };
                if before.is_none_or(|before| place < before) && lines.len() < PAGE {
                    lines.push((place, said));
                }
            }
        }
        let mut page: Vec<Said> = Vec::with_capacity(lines.len());
        for (place, line) in lines {
            let request = match page.last().filter(|last| last.place.seq == place.seq) {
                Some(last) => last.request.clone(),
                None => self.arrival(lane, place.seq).await?.request,
            };
            page.push(Said { line, place, request });
        }
        Ok(page)
    }

    /// What the hook has run, newest first; the draft is not among them.
    pub async fn versions(&self, view: &View, before: Option<u32>) -> Result<Vec<Kept>, Refusal> {
        let store = &*self.world().store;
        let (from, mut to) = row::source_range(view.lane);
        if let Some(before) = before {
            to = row::source(view.lane, before);
        }
        let mut versions = Vec::new();
        for (key, value) in store.rows(from, to, Order::Descending, PAGE).await.map_err(fault)? {
            let (Some(version), Some(source)) = (row::version_of(&key), row::decode::<row::Source>(&value)) else {
                continue;
            };
            let at = store.row(row::published(view.lane, version)).await.map_err(fault)?;
            let published_at = at.and_then(|at| row::decode(&at));
            versions.push(Kept { version, source: source.source, published_at });
        }
        Ok(versions)
    }

    /// What the live version offers to be sent.
    pub async fn templates(&self, view: &View) -> Result<Json, Refusal> {
        let Some(live) = &view.live else { return Ok("[]".into()) };
        let secrets = self.world().vault.open(view.lane, &view.config.secrets);
        let call = Call::Templates { state: live.state.clone(), secrets: secrets.json() };
        let mut error = match self.world().worker.call(&live.program, call, Limits::default()).await {
            Outcome::Templated(ran) => match ran.result {
                Ok(templates) => return Ok(templates),
                Err(failure) => failure.error,
            },
            Outcome::Unrunnable(error) => error,
            Outcome::Unavailable(why) => return Err(Refusal::UNAVAILABLE.because(why)),
            _ => return Err(Refusal::FAULT),
        };
        secrets.redact_error(&mut error);
        Err(failed("template", &error))
    }

    /// Runs `query` over a state.
    pub async fn query(
        &self,
        view: &View,
        live: &Live,
        state: Option<Json>,
        params: String,
    ) -> Result<Response, Refusal> {
        let at_ms = self.now().0;
        let secrets = self.world().vault.open(view.lane, &view.config.secrets);
        let call = Call::Query { state, params, secrets: secrets.json(), at_ms };
        let mut error = match self.world().worker.call(&live.program, call, Limits::default()).await {
            Outcome::Queried(ran) => match ran.result {
                Ok(response) => return Ok(response),
                Err(failure) => failure.error,
            },
            Outcome::Unrunnable(error) => error,
            Outcome::Unavailable(why) => return Err(Refusal::UNAVAILABLE.because(why)),
            _ => return Err(Refusal::FAULT),
        };
        secrets.redact_error(&mut error);
        Err(failed("query", &error))
    }

    /// Runs the `responder` before a request is kept.
    pub async fn answer(&self, view: &View, live: &Live, request: Arc<Request>) -> Result<Answered, Refusal> {
        let secrets = self.world().vault.open(view.lane, &view.config.secrets);
        let call = Call::Answer { request, secrets: secrets.json() };
        let mut ran = match self.world().worker.call(&live.program, call, Limits::default()).await {
            Outcome::Answered(ran) => ran,
            Outcome::Unrunnable(error) => Ran { result: Err(Failure { error, stop: None }), console: Vec::new() },
            Outcome::Unavailable(why) => return Err(Refusal::UNAVAILABLE.because(why)),
            _ => return Err(Refusal::FAULT),
        };
        secrets.redact(&mut ran);
        let Ran { result, console } = ran;
        let (response, verdict) = match result {
            Ok(response) if response.status > 399 => (response, Verdict::Ignored),
            Ok(response) => (response, Verdict::Kept),
            Err(failure) => {
                let response = Response { status: 500, headers: Vec::new(), body: Default::default() };
                (response, Verdict::Failed(failure.error))
            }
        };
        Ok(Answered { response, verdict, console })
    }
}

fn failed(function: &str, error: &Error) -> Refusal {
    Refusal::RUN_FAILED.because(format!("{function} threw {}: {}", error.name, error.message))
}
