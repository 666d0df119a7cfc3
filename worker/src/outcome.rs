//! What came of a call when the program could not say it itself, and whether what is said answers the question.

use rules::{
    call::{
        Call, Described, Error, Failure, Outcome, Ran, Response, Stop,
        run::{End, Move, Stand},
    },
    limits::{ACTION_SLUG_BYTES_MAX, ACTIONS_MAX, IDEMPOTENCY_KEY_BYTES_MAX, Limits},
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

/// The outcome of a call that was stopped; of a batch, its first request was.
pub fn stopped_call(call: &Call, stop: Stop) -> Outcome {
    match call {
        Call::Describe => Outcome::Unrunnable(stopped(stop).error),
        Call::Answer { .. } => Outcome::Answered(ran_into(stop)),
        Call::Fold { .. } => Outcome::Folded(vec![ran_into(stop)]),
        Call::Query { .. } => Outcome::Queried(ran_into(stop)),
        Call::Keys { .. } => Outcome::Keyed(vec![ran_into(stop)]),
        Call::Templates { .. } => Outcome::Templated(ran_into(stop)),
        Call::Run(_) => Outcome::Ran(ran_into(stop)),
    }
}

/// Why a child did not run a call, in words that end up in a log.
const WHY_BYTES_MAX: usize = 256;

/// Whether an outcome answers the call within its limits. Who answered may be under a stranger's control, so
/// nothing that was promised about its data is taken on trust.
pub fn answers(outcome: &Outcome, asked: Asked, limits: &Limits) -> bool {
    match (outcome, asked) {
        (Outcome::Unrunnable(_), _) => true,
        (Outcome::Unavailable(why), _) => why.len() <= WHY_BYTES_MAX,
        (Outcome::Described(described), Asked::Describe) => is_described(described),
        (Outcome::Answered(ran), Asked::Answer) | (Outcome::Queried(ran), Asked::Query) => {
            ran.result.as_ref().map_or(true, |response| is_response(response, limits))
        }
        (Outcome::Folded(ran), Asked::Fold { requests }) => {
            (1..=requests).contains(&ran.len())
                && ran.iter().all(|ran| ran.result.as_ref().map_or(true, |state| is_state(state, limits)))
        }
        (Outcome::Keyed(ran), Asked::Keys { requests }) => {
            (1..=requests).contains(&ran.len())
                && ran.iter().all(|ran| ran.result.as_ref().map_or(true, |key| is_key(key)))
        }
        (Outcome::Templated(ran), Asked::Templates) => {
            ran.result.as_ref().map_or(true, |list| list.len() <= limits.response_bytes && is_json(list))
        }
        (Outcome::Ran(ran), Asked::Run) => ran.result.as_ref().map_or(true, |stand| is_stand(stand, limits)),
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
    Keys { requests: usize },
    Templates,
    Run,
}

impl From<&Call> for Asked {
    fn from(call: &Call) -> Self {
        match call {
            Call::Describe => Asked::Describe,
            Call::Answer { .. } => Asked::Answer,
            Call::Fold { requests, .. } => Asked::Fold { requests: requests.len() },
            Call::Query { .. } => Asked::Query,
            Call::Keys { requests, .. } => Asked::Keys { requests: requests.len() },
            Call::Templates { .. } => Asked::Templates,
            Call::Run(_) => Asked::Run,
        }
    }
}

pub fn is_state(state: &str, limits: &Limits) -> bool {
    state.len() <= limits.state_bytes && is_json(state)
}

/// Paths that can stand in an address, and no more than a program may have.
fn is_described(described: &Described) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let is_slug = |slug: &str| slug.len() <= ACTION_SLUG_BYTES_MAX && slug.split('/').all(is_part);
    described.actions.len() <= ACTIONS_MAX && described.actions.iter().all(|action| is_slug(&action.slug))
}

pub fn is_key(key: &str) -> bool {
    key.len() <= IDEMPOTENCY_KEY_BYTES_MAX
}

/// All it holds together is bounded as a response is, and each part that should be JSON is.
fn is_stand(stand: &Stand, limits: &Limits) -> bool {
    let moved = stand.moves.iter().map(|step| match step {
        Move::Called { name, payload } => (name.id.len() + name.method.len() + name.label.len(), Some(payload)),
        Move::Returned { id, result } => (id.len(), result.as_ref().ok()),
        Move::Told { payload, .. } => (0, Some(payload)),
    });
    let rendered = stand.rendered.iter().map(|(id, payload)| (id.len(), Some(payload)));
    let ended = stand.end.iter().map(|end| match end {
        End::Completed(result) => (0, Some(result)),
        End::Failed(_) => (0, None),
        End::Changed { id, recorded, made } => (id.len() + recorded.len() + made.len(), None),
    });
    let mut bytes = 0;
    moved.chain(rendered).chain(ended).all(|(named, json)| {
        bytes += named + json.map_or(0, |json| json.len());
        bytes <= limits.response_bytes && json.is_none_or(|json| is_json(json))
    })
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
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
    fn a_key_that_is_too_long_and_templates_that_are_no_json_are_no_answer() {
        let limits = Limits { response_bytes: 8, ..Limits::default() };
        let keyed = |bytes: usize| Outcome::Keyed(vec![Ran { result: Ok("k".repeat(bytes)), console: Vec::new() }]);
        let asked = Asked::Keys { requests: 1 };
        assert!(answers(&keyed(IDEMPOTENCY_KEY_BYTES_MAX), asked, &limits));
        assert!(!answers(&keyed(IDEMPOTENCY_KEY_BYTES_MAX + 1), asked, &limits));
        assert!(!answers(&Outcome::Keyed(Vec::new()), asked, &limits));
        let templated = |list: &str| Outcome::Templated(Ran { result: Ok(list.into()), console: Vec::new() });
        assert!(answers(&templated("[]"), Asked::Templates, &limits));
        assert!(!answers(&templated("["), Asked::Templates, &limits));
        assert!(!answers(&templated("[1,2,3,4]"), Asked::Templates, &limits));
    }

    #[test]
    fn an_outcome_of_another_kind_is_no_answer() {
        assert!(!answers(&folded(&["1"]), Asked::Query, &Limits::default()));
        assert!(!answers(&Outcome::Described(Described::default()), Asked::Query, &Limits::default()));
        assert!(answers(&Outcome::Unavailable("not now".into()), Asked::Describe, &Limits::default()));
        assert!(!answers(&Outcome::Unavailable("no".repeat(300)), Asked::Describe, &Limits::default()));
    }
}
