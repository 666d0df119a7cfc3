//! When a hook was busy: how many requests were kept in each stretch of the last hours.

use rules::{
    hook::Verdict,
    record::{At, Seq},
    refusal::Refusal,
};

use store::Extent;

use crate::{ACTIVITY_BUCKETS, Engine, PAGE, follow::View, lanes::damage, log};

/// What is read at each step of a search: it costs about as much as one record of a sealed chunk.
const PROBE: Extent = Extent { records_max: 256, bytes_max: 256 << 10 };

#[derive(Debug)]
pub struct Activity {
    /// When the newest request was made.
    pub last_at: Option<At>,
    /// Of the newest `PAGE` requests, those at which the responder or the reducer failed.
    pub recent_errors: usize,
    /// Of equal length, up to now, oldest first.
    pub buckets: Vec<Bucket>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// When it begins.
    pub at: At,
    pub count: u64,
}

impl Engine {
    /// What happened in the last `span_ms`.
    ///
    /// The log is bisected by the time at which its records were written, which does not go back while a hook is awake.
    /// Where it did (a clock set back meanwhile, an import from a machine whose clock was ahead), each request is still
    /// counted once at most, but those around may be counted in a bucket beside theirs.
    pub async fn activity(&self, view: &View, span_ms: u64) -> Result<Activity, Refusal> {
        let newest = self.requests(view, None, PAGE, |moment| {
            let failed = moment.error.is_some() || matches!(moment.verdict, Verdict::Failed(_));
            (At(moment.request.created_at_ms), failed)
        });
        let newest = newest.await?;
        let (now, count) = (self.now().0, ACTIVITY_BUCKETS as u64);
        let begins = (0..count).map(|bucket| At(now.saturating_sub(span_ms - span_ms * bucket / count)));
        let begins: Vec<_> = begins.collect();
        let firsts = self.first_since(view, &begins).await?;
        let ends = firsts[1..].iter().copied().chain([Seq(view.seq.0 + 1)]);
        let buckets = begins.iter().zip(&firsts).zip(ends);
        Ok(Activity {
            last_at: newest.first().map(|(at, _)| *at),
            recent_errors: newest.iter().filter(|(_, failed)| *failed).count(),
            buckets: buckets.map(|((at, first), end)| Bucket { at: *at, count: end.0 - first.0 }).collect(),
        })
    }

    /// For each of these times, in order, the first request that was kept then or later; past the end where none was.
    /// What is read for one of them serves all.
    async fn first_since(&self, view: &View, times: &[At]) -> Result<Vec<Seq>, Refusal> {
        let mut firsts = vec![Seq(0); times.len()];
        let mut open = vec![(0..times.len(), view.config.begin.0 + 1..view.seq.0 + 1)];
        while let Some((wanted, among)) = open.pop() {
            if wanted.is_empty() {
                continue;
            }
            if among.is_empty() {
                firsts[wanted].fill(Seq(among.start));
                continue;
            }
            let middle = among.start + (among.end - among.start) / 2;
            let probe = log::times(&*self.world().store, view.lane, Seq(middle), PROBE).await.map_err(damage)?;
            let (Some((_, at)), Some((last, _))) = (probe.first(), probe.last()) else { return Err(Refusal::FAULT) };
            let split = wanted.start + times[wanted.clone()].partition_point(|time| time <= at);
            let mut rest = split..wanted.end;
            while let Some(place) = rest.clone().next()
                && let Some((seq, _)) = probe.iter().find(|(_, at)| *at >= times[place])
            {
                firsts[place] = (*seq).min(Seq(among.end));
                rest.start += 1;
            }
            open.push((wanted.start..split, among.start..middle));
            open.push((rest, (last.0 + 1).min(among.end)..among.end));
        }
        Ok(firsts)
    }
}
