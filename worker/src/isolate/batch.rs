//! What is asked of a batch of requests, one after the other: to be folded, or for their keys.

use rules::{
    call::{Call, Foldable, Json, Outcome, Ran},
    limits::Limits,
};

use crate::outcome;

/// Asked of one request it comes to the same as asked of it among others, once it stands behind those before it.
pub trait Batch {
    /// What one request comes to.
    type Result: AsRef<str>;

    /// The call that asks it of these requests, which come next.
    fn call(&self, requests: Vec<Foldable>) -> Call;
    /// The runs, if the outcome is of this kind.
    fn rans(outcome: Outcome) -> Option<Vec<Ran<Self::Result>>>;
    /// Whether a guest may say so.
    fn is_sound(result: &Self::Result, limits: &Limits) -> bool;
    /// What comes next stands behind this result.
    fn follow(&mut self, result: &Self::Result);
}

pub struct Folding {
    pub state: Option<Json>,
    pub secrets: Json,
}

impl Batch for Folding {
    type Result = Json;

    fn call(&self, requests: Vec<Foldable>) -> Call {
        Call::Fold { state: self.state.clone(), requests, secrets: self.secrets.clone() }
    }

    fn rans(outcome: Outcome) -> Option<Vec<Ran<Json>>> {
        if let Outcome::Folded(rans) = outcome { Some(rans) } else { None }
    }

    fn is_sound(state: &Json, limits: &Limits) -> bool {
        outcome::is_state(state, limits)
    }

    fn follow(&mut self, state: &Json) {
        self.state = Some(state.clone());
    }
}

pub struct Keying {
    pub secrets: Json,
}

impl Batch for Keying {
    type Result = String;

    fn call(&self, requests: Vec<Foldable>) -> Call {
        Call::Keys { requests, secrets: self.secrets.clone() }
    }

    fn rans(outcome: Outcome) -> Option<Vec<Ran<String>>> {
        if let Outcome::Keyed(rans) = outcome { Some(rans) } else { None }
    }

    fn is_sound(key: &String, _limits: &Limits) -> bool {
        outcome::is_key(key)
    }

    /// A key knows nothing of the keys before it.
    fn follow(&mut self, _key: &String) {}
}
