//! What came of a call when the program could not say it itself, and whether what is said answers the question.

use rules::{
    call::{Call, Error, Failure, Outcome, Ran, Response, Stop},
    limits::Limits,
};

/// The failure of a run that was stopped. Its words depend on the stop alone, so that a replay repeats them.
pub fn stopped(stop: Stop) -> Failure {
    let message = match stop {
        Stop::Budget => "It used up its operations and was stopped.",
        Stop::Clock => "It ran past its time and was stopped.",
        Stop::Memory => "It used up its memory and was stopped.",
        Stop::Stack => "It nested deeper than the stack and was stopped.",
        Stop::Crash => "It brought down the process that ran it, more than once.",
    };
    let error = Error { name: "Stopped".into(), message: message.into(), stack: String::new(), place: None };
    Failure { error, stop: Some(stop) }
}

/// A run that was stopped before it gave anything.
pub fn ran_into<T>(stop: Stop) -> Ran<T> {
    Ran { result: Err(stopped(stop)), console: Vec::new() }
}

/// The outcome of a call that was stopped; of a fold, its first request was.
pub fn stopped_call(call: &Call, stop: Stop) -> Outcome {
    match call {
        Call::Describe => Outcome::Unrunnable(stopped(stop).error),
        Call::Answer { .. } => Outcome::Answered(ran_into(stop)),
        Call::Fold { .. } => Outcome::Folded(vec![ran_into(stop)]),
        Call::Query { .. } => Outcome::Queried(ran_into(stop)),
    }
}

/// Whether an outcome answers the call within its limits. Who answered may be under a stranger's control, so
/// nothing that was promised about its data is taken on trust.
pub fn answers(outcome: &Outcome, asked: Asked, limits: &Limits) -> bool {
    match (outcome, asked) {
        (Outcome::Unrunnable(_), _) => true,
        (Outcome::Described(_), Asked::Describe) => true,
        (Outcome::Answered(ran), Asked::Answer) | (Outcome::Queried(ran), Asked::Query) => {
            ran.result.as_ref().map_or(true, |response| is_response(response, limits))
        }
        (Outcome::Folded(ran), Asked::Fold { requests }) => {
            (1..=requests).contains(&ran.len())
                && ran.iter().all(|ran| ran.result.as_ref().map_or(true, |state| is_state(state, limits)))
        }
        _ => false,
    }
}

/// What is left of a call once it was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Describe,
    Answer,
    Fold { requests: usize },
    Query,
}

impl From<&Call> for Asked {
    fn from(call: &Call) -> Self {
        match call {
            Call::Describe => Asked::Describe,
            Call::Answer { .. } => Asked::Answer,
            Call::Fold { requests, .. } => Asked::Fold { requests: requests.len() },
            Call::Query { .. } => Asked::Query,
        }
    }
}

pub fn is_state(state: &str, limits: &Limits) -> bool {
    state.len() <= limits.state_bytes && serde_json::from_str::<serde::de::IgnoredAny>(state).is_ok()
}

fn is_response(response: &Response, limits: &Limits) -> bool {
    response.body.0.len() <= limits.response_bytes && (100..=999).contains(&response.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(states: &[&str]) -> Outcome {
        Outcome::Folded(states.iter().map(|state| Ran { result: Ok((*state).into()), console: Vec::new() }).collect())
    }

    #[test]
    fn a_fold_answers_for_a_prefix_of_at_least_one() {
        let asked = Asked::Fold { requests: 2 };
        let answers = |outcome: &Outcome| answers(outcome, asked, &Limits::default());
        assert!(answers(&folded(&["1"])) && answers(&folded(&["1", "2"])));
        assert!(!answers(&folded(&[])) && !answers(&folded(&["1", "2", "3"])));
    }

    #[test]
    fn a_state_that_is_no_json_or_too_large_is_no_answer() {
        let asked = Asked::Fold { requests: 1 };
        let limits = Limits { state_bytes: 8, ..Limits::default() };
        assert!(answers(&folded(&["[1,2]"]), asked, &limits));
        assert!(!answers(&folded(&["[1,2"]), asked, &limits));
        assert!(!answers(&folded(&["[1,2,3,4,5]"]), asked, &limits));
    }

    #[test]
    fn an_outcome_of_another_kind_is_no_answer() {
        assert!(!answers(&folded(&["1"]), Asked::Query, &Limits::default()));
        assert!(!answers(&Outcome::Unavailable("no".into()), Asked::Describe, &Limits::default()));
    }
}
