//! A page that somebody looks at: a run that nobody keeps. It plays as a run does, and decides no records and no rows.

use alloc::format;

use super::{Begun, Call, Run, Step};
use crate::{
    call::{Error, run::Kind},
    limits::PAGE_BYTES_MAX,
    record::LaneId,
};

impl Run {
    pub fn look(lane: LaneId, begun: Begun) -> (Run, Step) {
        Run { is_kept: false, ..Run::new(lane, begun) }.first()
    }

    /// What a page shows, once it does.
    pub fn layout(&self) -> Option<&Call> {
        self.calls.iter().find(|call| call.name.kind == Kind::Io)
    }

    /// A page does not go on that holds more than it may.
    pub(super) fn overfull(&self) -> Option<Error> {
        let is_overfull = !self.is_kept && self.bytes > PAGE_BYTES_MAX;
        is_overfull.then(|| {
            Error::plain("RangeError", format!("A page fetches, shows and logs at most {PAGE_BYTES_MAX} bytes."))
        })
    }
}
