//! Every bound that Everfold keeps, by name.

/// The largest body of one request; more is refused with 413.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// All header names and values of one request together; more is refused with 431.
pub const HEADER_BYTES_MAX: usize = 64 << 10;
/// How deep a JSON body may nest; deeper is refused with 400.
pub const JSON_DEPTH_MAX: usize = 128;
/// The largest state, as JSON text; a reducer that returns more fails and the state stays.
pub const STATE_BYTES_MAX: usize = 10 << 20;
/// What a responder or a query may return, as bytes.
pub const RESPONSE_BYTES_MAX: usize = 1 << 20;
/// The source of one program.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;
/// What one request may write to the console; the rest is cut and marked.
pub const CONSOLE_BYTES_MAX: usize = 64 << 10;
/// How many keys a hook may have.
pub const KEYS_MAX: usize = 64;
/// How many secrets a hook may have.
pub const SECRETS_MAX: usize = 64;
/// The name of a secret.
pub const SECRET_NAME_BYTES_MAX: usize = 128;
/// The value of a secret.
pub const SECRET_BYTES_MAX: usize = 16 << 10;
/// An `Idempotency-Key`, and what `getIdempotencyKey` gives.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;
/// How often a program may call `template`.
pub const TEMPLATES_MAX: usize = 64;
/// How many actions and pages a program may have.
pub const ACTIONS_MAX: usize = 256;
/// The whole path of an action: `users/create`.
pub const ACTION_SLUG_BYTES_MAX: usize = 256;
/// Writes with one key of a guest's hook in a minute, unless a server is told otherwise.
pub const GUEST_WRITES_PER_MINUTE: u32 = 200;
/// How long an `Idempotency-Key` is remembered.
pub const IDEMPOTENCY_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// JavaScript operations of one call, in ticks of 10,000: about 250 ms of code that works on properties (guest/README.md
/// has what was measured for other code). Counted, not timed, so
/// that a replay stops at the same point.
pub const BUDGET_TICKS: u32 = 300;
/// The wall clock of one call: a backstop for native loops that the budget does not count.
pub const CALL_MS_MAX: u64 = 1_000;
/// The JavaScript heap of one call.
pub const HEAP_BYTES_MAX: usize = 64 << 20;
/// Calls that a run may make: questions, steps, fetches and all.
pub const RUN_CALLS_MAX: usize = 10_000;
/// How long a host that is back, or new, has to say which runs it has.
pub const HOST_GRACE_MS: u64 = 5_000;
/// How long a sign-in by a link counts as having confirmed who one is.
pub const IDENTITY_MS: u64 = 15 * 60 * 1000;
/// Lines that a run may log; more are dropped.
pub const RUN_LOGS_MAX: usize = 10_000;
/// One of them; the rest is cut.
pub const RUN_LOG_BYTES_MAX: usize = 40_000;
/// The operations of one stretch of a run, its replay and all.
pub const RUN_BUDGET_TICKS: u32 = 3_000;
/// And its wall clock.
pub const RUN_CALL_MS_MAX: u64 = 10_000;
/// What a run may do between two returns, and what its result may be, as bytes of JSON.
pub const RUN_MOVES_BYTES_MAX: usize = 8 << 20;
/// What a page that is looked at may hold in memory: what it fetched, shows and logged, and how people moved in it.
pub const PAGE_BYTES_MAX: usize = 16 << 20;

/// How long one `fetch` may take, its redirects and all.
pub const FETCH_MS_MAX: u64 = 30_000;
/// The body that a `fetch` sends.
pub const FETCH_SENT_BYTES_MAX: usize = 1 << 20;
/// The body that it gets: what base64 makes of it fits the moves of a run.
pub const FETCH_BODY_BYTES_MAX: usize = 4 << 20;
/// The address and the headers that it sends, and the headers that it gets.
pub const FETCH_HEADER_BYTES_MAX: usize = 64 << 10;
/// How many redirects it follows.
pub const FETCH_REDIRECTS_MAX: usize = 5;

/// A file that somebody uploads.
pub const FILE_BYTES_MAX: u64 = 64 << 20;
/// What of it is kept, and in memory, at once.
pub const FILE_PIECE_BYTES: usize = 1 << 20;
/// Its name.
pub const FILE_NAME_BYTES_MAX: usize = 1024;
/// Its type.
pub const FILE_TYPE_BYTES_MAX: usize = 255;
/// How long the bytes of an announced file are waited for.
pub const UPLOAD_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// What one call of user code may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    pub budget_ticks: u32,
    pub call_ms: u64,
    pub heap_bytes: usize,
    pub console_bytes: usize,
    pub state_bytes: usize,
    pub response_bytes: usize,
}

impl Limits {
    /// Of a job that may take so long.
    pub fn of_job(timeout_ms: u64) -> Limits {
        Limits {
            budget_ticks: JOB_BUDGET_TICKS,
            call_ms: timeout_ms,
            response_bytes: RUN_MOVES_BYTES_MAX,
            ..Limits::default()
        }
    }

    /// Of a run of an action.
    pub fn of_run() -> Limits {
        Limits {
            budget_ticks: RUN_BUDGET_TICKS,
            call_ms: RUN_CALL_MS_MAX,
            response_bytes: RUN_MOVES_BYTES_MAX,
            ..Limits::default()
        }
    }
}

/// What a job's script may use besides its time: one that only computes is stopped by the clock.
pub const JOB_BUDGET_TICKS: u32 = u32::MAX;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            budget_ticks: BUDGET_TICKS,
            call_ms: CALL_MS_MAX,
            heap_bytes: HEAP_BYTES_MAX,
            console_bytes: CONSOLE_BYTES_MAX,
            state_bytes: STATE_BYTES_MAX,
            response_bytes: RESPONSE_BYTES_MAX,
        }
    }
}
