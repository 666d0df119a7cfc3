//! A run of an action, as user code meets it: what is asked, how far it comes, and what it wants next.
//!
//! A run goes on by being played again. Each call that the code makes (a question, a step, a fetch) has an id that is
//! the same at every replay; the journal says what came of it, in the order in which it came. Where the journal ends,
//! the code goes on until all of it waits. Whatever it did meanwhile is the answer (`Move`s), and nothing of it has
//! happened yet: moves are kept first and acted on afterwards.
//!
//! The clock of a run stands at what last came from outside, which a step's own end and a display do not.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::{Error, Json};

/// An action or page that a program has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// The whole path: `users/create`.
    pub slug: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub unlisted: bool,
    pub is_page: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its slug.
    pub action: String,
    /// What `ctx` says of itself: `{user, params, paramsMeta?, environment, organization, action}`, JSON. Of a page
    /// `page` in place of `action`, and `states?`: where people are in its parts already.
    pub context: Json,
    pub secrets: Json,
    /// Names the run: seeds `random()` and `uuid()`, begins every idempotency token.
    pub run: u128,
    /// What the clock says until the first return.
    pub began_at_ms: u64,
    pub journal: Vec<Note>,
}

/// What a journal holds, in the order in which it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    Called(Name),
    /// From here on the clock says `at_ms`, if it came from outside.
    Returned {
        id: String,
        at_ms: u64,
        result: Result<Json, Error>,
    },
    /// A person moves in a question that is open, or in a table that is shown: pages, filters, searches.
    Stated {
        id: String,
        at_ms: u64,
        values: Json,
    },
    /// One log, loading or redirect that was told already.
    Told,
}

/// One call of the code, told from all others of its run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// `0`, `1`, … in the order of calls; within step `1`: `1.0`, `1.1`; asked again after an answer that would not do:
    /// `0~1`, `0~2`.
    pub id: String,
    pub kind: Kind,
    /// Of a question the method names of its parts, joined by `+`; of anything else what tells it from others.
    pub method: String,
    /// Of a question the labels of its parts, joined by `, `.
    pub label: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A question, or a display, which is returned at once. Payload: `{toRender, choiceButtons?, continueButton?,
    /// validationErrorMessage?}` of the SDK. Returns `{values, valuesMeta?, choice?}`.
    Io,
    /// A step of the code's own, which returns by itself, `{json, meta?}` of superjson. The payload is null.
    Step,
    /// `{untilMs}`, returns null.
    Sleep,
    /// `{url, method, headers: [[name, value]], body: base64 or null}`, returns `{url, status, statusText, headers,
    /// body: base64, redirected}`.
    Fetch,
    /// The state of the hook it lives in: the payload is null, returns `{state}`.
    State,
    /// A request to the hook it lives in: `{method, headers: [[name, value]], body: base64}`, returns `{id, seq}`.
    Send,
    /// `{function, request}`.
    Function,
    /// `{code, input}`.
    Job,
    /// `{message, title?, delivery: [{to, method?}], idempotencyKey?}`, returns null.
    Notify,
}

impl Kind {
    /// Whether a page may call it, which changes nothing and is opened as often as anybody looks. What it shows is a
    /// question that nobody answers: its payload is the SDK's LAYOUT.
    pub fn is_of_pages(self) -> bool {
        matches!(self, Kind::Io | Kind::Fetch | Kind::State)
    }
}

/// What came of playing a run as far as it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// What the code did behind the journal's end, in order.
    pub moves: Vec<Move>,
    /// How the questions look that a person has moved in: `{id: payload}`, JSON. Nobody keeps it.
    pub rendered: Vec<(String, Json)>,
    pub end: Option<End>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Move {
    Called {
        name: Name,
        payload: Json,
    },
    /// A step came to its end, or a display was shown.
    Returned {
        id: String,
        result: Result<Json, Error>,
    },
    Told {
        telling: Telling,
        payload: Json,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Telling {
    /// `{text, level}`.
    Log,
    /// `{label?, title?, description?, itemsInQueue?, itemsCompleted?}`: the whole of it, each time.
    Loading,
    /// `{url}` or `{route, params?, paramsMeta?}` or `{action, params?, paramsMeta?}`, and `replace?`.
    Redirect,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// `{json, meta?}` of superjson.
    Completed(Json),
    Failed(Error),
    /// The code does something else than it did when the journal was written.
    Changed {
        id: String,
        recorded: String,
        made: String,
    },
}
