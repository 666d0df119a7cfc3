//! The course of a hook's state over its log: so many moments of it, spread evenly.

use rules::{
    hook::SNAPSHOT_REQUESTS,
    record::{At, Seq},
    refusal::Refusal,
};

use crate::{
    Engine, SERIES_BYTES_MAX, SERIES_FOLDED_MAX,
    follow::{Live, View},
    lane,
    lanes::damage,
    log,
};

/// The state behind a request, as it was read.
#[derive(Debug)]
pub struct Point<T> {
    pub seq: Seq,
    /// When the request was made.
    pub at: At,
    pub value: T,
}

impl Engine {
    /// At most `points` (two or more) of the states that the live version went through, oldest first, as `read` reads
    /// each. The first folded request and the last are always among them.
    ///
    /// A log of up to `SERIES_FOLDED_MAX` requests is folded again, so that its points lie exactly where they should,
    /// and are every request where there are no more of them than points. Of a longer one, or where the states are
    /// large, nothing is folded again: each point is the newest snapshot at or before its place, so it may lie a few
    /// hundred requests early, and there are fewer points where snapshots are further apart than they should be.
    pub async fn series<T: Send>(
        &self,
        view: &View,
        points: u64,
        read: impl Fn(Option<&str>) -> T + Send,
    ) -> Result<Vec<Point<T>>, Refusal> {
        let Some(live) = &view.live else { return Ok(Vec::new()) };
        let folded = live.through.0.saturating_sub(view.config.begin.0);
        let state_bytes = live.state.as_ref().map_or(1, |state| state.len().max(1));
        let states_max = (SERIES_BYTES_MAX / state_bytes) as u64;
        match folded {
            0 => Ok(Vec::new()),
            // As many are folded for any request that somebody looks at.
            _ if folded <= SNAPSHOT_REQUESTS.max(states_max.min(SERIES_FOLDED_MAX)) => {
                self.folded_points(view, live, points, read).await
            }
            _ => self.snapshot_points(view, live, points.min(states_max.max(2)), read).await,
        }
    }

    async fn folded_points<T: Send>(
        &self,
        view: &View,
        live: &Live,
        points: u64,
        read: impl Fn(Option<&str>) -> T + Send,
    ) -> Result<Vec<Point<T>>, Refusal> {
        let mut places = spread(Seq(view.config.begin.0 + 1), live.through, points).peekable();
        let mut replay = self.replay_of(view, live);
        let mut found = Vec::new();
        while replay.through < live.through {
            for moment in replay.next(live.through).await? {
                if let Some(seq) = places.next_if_eq(&Seq(moment.request.seq)) {
                    let at = At(moment.request.created_at_ms);
                    found.push(Point { seq, at, value: read(moment.state.as_deref()) });
                }
            }
        }
        Ok(found)
    }

    async fn snapshot_points<T: Send>(
        &self,
        view: &View,
        live: &Live,
        points: u64,
        read: impl Fn(Option<&str>) -> T + Send,
    ) -> Result<Vec<Point<T>>, Refusal> {
        let (world, lane, begin) = (self.world(), view.lane, view.config.begin);
        let first = Seq(begin.0 + 1);
        let mut states = Vec::new();
        for moment in self.moments(view, live, first, first).await? {
            states.push((first, read(moment.state.as_deref())));
        }
        let mut known = first;
        let between = spread(first, live.through, points).filter(|place| *place > first && *place < live.through);
        for place in between {
            let head = lane::snapshot(world, lane, live.version, begin, place).await.map_err(damage)?;
            if let Some(head) = head.filter(|head| head.through > known) {
                known = head.through;
                states.push((known, read(head.state.as_deref())));
            }
        }
        states.push((live.through, read(live.state.as_deref())));
        let mut found = Vec::with_capacity(states.len());
        for (seq, value) in states {
            let request = log::arrived(&*world.store, lane, seq).await.map_err(damage)?;
            found.push(Point { seq, at: At(request.created_at_ms), value });
        }
        Ok(found)
    }
}

/// At most `points` of these, the first and the last among them.
fn spread(first: Seq, last: Seq, points: u64) -> impl Iterator<Item = Seq> + Send {
    let span = last.0 - first.0;
    let steps = span.min(points - 1);
    (0..=steps).map(move |step| Seq(first.0 + if step == 0 { 0 } else { span * step / steps }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spread_evenly_from_the_first_to_the_last() {
        let spread = |first, last, points| spread(Seq(first), Seq(last), points).map(|seq| seq.0).collect::<Vec<_>>();
        assert_eq!(spread(5, 5, 2), [5]);
        assert_eq!(spread(5, 7, 200), [5, 6, 7]);
        assert_eq!(spread(1, 100, 2), [1, 100]);
        assert_eq!(spread(11, 20, 4), [11, 14, 17, 20]);
        assert_eq!(spread(1, 1 << 39, 1000).len(), 1000);
    }
}
