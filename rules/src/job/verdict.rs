//! What several workers say of one part, of which some may lie.

use alloc::{collections::BTreeSet, format, string::String, vec::Vec};

use super::{End, Outcome, WorkerId};
use crate::call::Error;

/// The votes on a part.
#[derive(Debug, Default)]
pub struct Votes {
    /// Whoever was asked is not asked again.
    pub asked: BTreeSet<WorkerId>,
    cast: Vec<(String, Outcome)>,
}

impl Votes {
    /// Counts a vote of `verify`; the part's outcome, once that is decided.
    pub fn cast(&mut self, outcome: Outcome, verify: u32) -> Option<Outcome> {
        let said = said(&outcome.end);
        self.cast.push((said.clone(), outcome.clone()));
        let agreeing = self.cast.iter().filter(|(other, _)| *other == said).count();
        if agreeing > verify as usize / 2 {
            return Some(outcome);
        }
        let words: BTreeSet<&String> = self.cast.iter().map(|(said, _)| said).collect();
        (self.cast.len() >= verify as usize).then(|| {
            let message = format!("{verify} workers gave {} different results, and none has a majority.", words.len());
            Outcome { end: End::Failed(Error::plain("VerifyError", message)), worker: String::new(), ..outcome }
        })
    }

    /// How many more are to be asked, while `leased` are at it.
    pub fn wanted(&self, verify: u32, leased: usize) -> usize {
        (verify as usize).saturating_sub(self.cast.len() + leased)
    }
}

/// What two that agree say alike: the same value, however its keys are ordered; the same error, wherever it was thrown.
fn said(end: &End) -> String {
    match end {
        End::Done(json) => match serde_json::from_str::<serde_json::Value>(json) {
            Ok(value) => format!("done {}", sorted(value)),
            Err(_) => format!("done {json}"),
        },
        End::Failed(error) => format!("failed {}: {}", error.name, error.message),
        End::TimedOut => "timed out".into(),
    }
}

fn sorted(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(fields.into_iter().collect())
        }
        other => other,
    }
}
