//! The whole contract between Everfold and user code in any language: what is asked, what comes back.
//!
//! Plain data, by value. These types cross two borders, into the jailed process and into the Wasm guest, in the
//! same encoding (postcard), so that there is one description of each.

use alloc::{string::String, sync::Arc, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::limits::Limits;

pub mod run;

/// JSON text that is known to parse: a state, a query's answer.
pub type Json = Arc<str>;

/// A piece of user code. The same source always has the same id, so caches need no other key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    pub id: ProgramId,
    /// TypeScript, of which JavaScript is a part.
    pub source: Arc<str>,
    pub kind: ProgramKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProgramKind {
    /// Exports what hooks.md and actions.md name.
    Module,
    /// A job's: the body of a function of `input`, or one that declares `main(input)`, or an expression. JavaScript only.
    Script,
}

/// BLAKE3 of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProgramId(pub [u8; 32]);

impl Program {
    pub fn new(source: impl Into<Arc<str>>) -> Self {
        let source = source.into();
        Program { id: ProgramId(*blake3::hash(source.as_bytes()).as_bytes()), source, kind: ProgramKind::Module }
    }

    /// Its query runs it: the state is its input, and the answer `{"value": what it returned}`.
    pub fn script(source: impl Into<Arc<str>>) -> Self {
        let source = source.into();
        let id = blake3::derive_key("everfold 2026 script of a job", source.as_bytes());
        Program { id: ProgramId(id), source, kind: ProgramKind::Script }
    }
}

/// A request as it arrived: nothing parsed, nothing lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// UUIDv7; seeds `Math.random` and `uuid()`.
    pub id: u128,
    /// 1..n within its hook; 0 while a responder looks at it, before it is kept.
    pub seq: u64,
    pub method: String,
    pub path: String,
    /// What stood behind the `?`, undecoded.
    pub query: String,
    /// Names in lower case, in the order they came. A name may repeat.
    pub headers: Vec<(String, Bytes)>,
    pub body: Bytes,
    /// Milliseconds since 1970; `Date` stands still here.
    pub created_at_ms: u64,
}

/// Bytes that serialise as bytes, not as a list of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, v: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(v.to_vec()))
            }
            fn visit_byte_buf<E: serde::de::Error>(self, v: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(v))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

/// What a worker is asked to do with a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// What does it export? Also the test whether it can be run at all.
    Describe,
    /// Run the `responder`.
    Answer { request: Arc<Request>, secrets: Json },
    /// Run the `reducer` over a batch, in order. A worker may stop early: it answers for a prefix, at least one.
    Fold { state: Option<Json>, requests: Vec<Foldable>, secrets: Json },
    /// Run `query`. `params` is a query string.
    Query { state: Option<Json>, params: String, secrets: Json, at_ms: u64 },
    /// Run `getIdempotencyKey` over a batch, in order. A worker may stop early, as with a fold.
    Keys { requests: Vec<Foldable>, secrets: Json },
    /// Build every `template` of the program. `Date` stands at nought: nothing names a listing.
    Templates { state: Option<Json>, secrets: Json },
    /// Play a run of an action from its beginning, as far as it goes.
    Run(Arc<run::Running>),
}

impl Call {
    /// The requests of a call that goes over a batch, and that may be answered for a prefix of it.
    pub fn batch(&self) -> Option<&[Foldable]> {
        match self {
            Call::Fold { requests, .. } | Call::Keys { requests, .. } => Some(requests),
            Call::Describe | Call::Answer { .. } | Call::Query { .. } | Call::Templates { .. } | Call::Run(_) => None,
        }
    }

    pub fn batch_mut(&mut self) -> Option<&mut Vec<Foldable>> {
        match self {
            Call::Fold { requests, .. } | Call::Keys { requests, .. } => Some(requests),
            Call::Describe | Call::Answer { .. } | Call::Query { .. } | Call::Templates { .. } | Call::Run(_) => None,
        }
    }
}

/// One request to fold; `forced` carries what a backstop decided the first time, so that a replay repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foldable {
    pub request: Arc<Request>,
    pub forced: Option<Stop>,
}

/// What came of a call. User code that fails is an outcome, never an error of the worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Described(Described),
    Answered(Ran<Response>),
    /// One for each request of a prefix of the batch, at least one.
    Folded(Vec<Ran<Json>>),
    Queried(Ran<Response>),
    /// The program itself cannot be run: it does not parse, or throws while it loads.
    Unrunnable(Error),
    /// No worker could take the call; it was not run, and may be asked again. Says why.
    Unavailable(String),
    /// One for each request of a prefix of the batch, at least one: its key, by default its own id. At most
    /// `limits::IDEMPOTENCY_KEY_BYTES_MAX` bytes.
    Keyed(Vec<Ran<String>>),
    /// `[{"name", "template"}]` in the order in which they stand in the program; instead of its `template`, one whose
    /// building throws has an `error: {"name", "message"}`. At most `Limits::response_bytes`.
    Templated(Ran<Json>),
    /// Its console holds only what was said behind the journal's end.
    Ran(Ran<run::Stand>),
}

/// One run of one function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran<T> {
    pub result: Result<T, Failure>,
    pub console: Vec<Line>,
}

/// Why a run gave no result. The state stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub error: Error,
    /// Set when it was stopped and did not throw.
    pub stop: Option<Stop>,
}

/// What stopped a run. Only `Budget` is the same at every replay by itself; the others are recorded and forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stop {
    /// It used up its operations.
    Budget,
    /// The wall clock.
    Clock,
    /// The heap.
    Memory,
    /// The native stack.
    Stack,
    /// The process that ran it died, more than once.
    Crash,
}

impl Stop {
    /// Whether a replay would decide it again by itself.
    pub fn is_replayable(self) -> bool {
        matches!(self, Stop::Budget)
    }
}

/// An error as its author should see it: their own file, their own line numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    pub name: String,
    pub message: String,
    pub stack: String,
    /// Line and column in the source, from 1, where they are known.
    pub place: Option<(u32, u32)>,
}

impl Error {
    /// One that no line of a source is to blame for.
    pub fn plain(name: impl Into<String>, message: impl Into<String>) -> Error {
        Error { name: name.into(), message: message.into(), stack: String::new(), place: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Log,
    Warn,
    Error,
}

/// One call of `console.*`, its arguments as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub level: Level,
    pub messages: Vec<String>,
}

/// What a program that may run in a live guest also exports: a function that gives an array of all that stands at
/// its top. No owner's code can import it, and none uses this name: see the worker's proof of purity.
pub const SHARED_EXPORT: &str = "everfold$shared";

/// Which of the functions of hooks.md a program has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exports {
    pub responder: bool,
    pub idempotency_key: bool,
    pub reducer: bool,
    pub query: bool,
}

/// What a program says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    pub exports: Exports,
    /// In the order in which they stand in it.
    pub actions: Vec<run::Declared>,
}

/// What a responder or a query returned: `{statusCode, body, headers}`, or any other value as the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// A call on its way to a guest, with what bounds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounded {
    pub call: Call,
    pub limits: Limits,
    pub parsed: Parsed,
}

/// The bodies of a call's requests, in order, where the host has parsed them already. It never has to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parsed {
    /// The names of properties in all of them.
    pub names: Vec<String>,
    /// As `rules::compact` has it; empty for a body that was not parsed.
    pub bodies: Vec<Bytes>,
}
