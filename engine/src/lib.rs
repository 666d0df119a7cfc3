//! Does what the rules decide: prefetch, decide, commit, act.
#![forbid(unsafe_code)]

pub mod account;
pub mod action;
pub mod activity;
pub mod archive;
pub mod cron;
mod erase;
pub mod events;
pub mod file;
mod fold;
pub mod follow;
pub mod function;
pub mod host;
pub mod inbox;
pub mod job;
mod lane;
mod lanes;
pub mod log;
pub mod page;
pub mod past;
pub mod queue;
pub mod replay;
pub mod run;
pub mod schedule;
pub mod series;
pub mod settings;
pub mod transfer;
pub mod vault;
pub mod world;

pub use lanes::{Engine, Written};

/// Requests that may wait in one lane; more are refused before they are accepted.
pub const LANE_QUEUE_MAX: usize = 1024;
/// Inputs that one turn of a lane takes at most.
pub const TURN_INPUTS_MAX: usize = 512;
/// Requests that are sent to a worker at once.
pub const FOLD_REQUESTS_MAX: usize = 1024;
/// About how many bytes of requests are sent to a worker at once.
pub const FOLD_BYTES_MAX: usize = 4 << 20;
/// Requests that a lane keeps at hand for the next fold; what does not fit is read from the store.
pub const AT_HAND_MAX: usize = 2 * LANE_QUEUE_MAX;
/// And their bytes.
pub const AT_HAND_BYTES_MAX: usize = 8 << 20;
/// A lane with nothing to do for this long is put to sleep.
pub const LANE_IDLE_MS: u64 = 60_000;
/// How long a fold that nobody has to wait behind waits for writes, to share their sync.
pub const FOLD_PATIENCE_MS: u64 = 1;
/// How long to wait before a worker is asked again for what it could not do.
pub const WORKER_RETRY_MS: u64 = 250;
/// The same after many times in a row: a damaged log is not read again and again.
pub const WORKER_RETRY_MAX_MS: u64 = 5_000;
/// Ids of new requests that a lane remembers, so that asking whether they are settled needs no search.
pub const RECENT_IDS_MAX: usize = 4096;
/// Keys whose hooks are remembered.
pub const DOORS_MAX: usize = 200_000;
/// How often it is drawn for the id of a lane that is this node's.
pub const OWN_LANE_DRAWS_MAX: usize = 1_000;
/// How often it is looked whether lanes that leave this node have ended.
pub const LEAVE_PAUSE_MS: u64 = 1;
/// The longest that a reader waits for a request to be folded.
pub const WAIT_MS_MAX: u64 = 30_000;
/// The errors that a preview shows.
pub const PREVIEW_ERRORS_MAX: usize = 40;
/// How often an account that others change at the same time is read again before its caller is told to come back.
pub const CONFLICTS_MAX: usize = 32;
/// Hooks of a merged guest that are moved in one go; the rest follow when their user next asks for them.
pub const HOOKS_MOVED_MAX: usize = 256;
/// What a page of a listing holds.
pub const PAGE: usize = 40;
/// And at most, where a page's size may be chosen.
pub const PAGE_MAX: usize = 100;
/// Requests that a follower of events may be behind; beyond, it is told to look again instead of each of them.
pub const EVENTS_BEHIND_MAX: u64 = 1024;
/// Requests that are folded again to draw the course of a state; of a longer log, snapshots are drawn.
pub const SERIES_FOLDED_MAX: u64 = 16_384;
/// About how many bytes of states are gone through to draw a course.
pub const SERIES_BYTES_MAX: usize = 64 << 20;
/// The most points of a course.
pub const SERIES_POINTS_MAX: u64 = 1_000;
/// In how many stretches of time it is told how busy a hook was.
pub const ACTIVITY_BUCKETS: usize = 48;
/// The longest time that is looked back over to tell it.
pub const ACTIVITY_HOURS_MAX: u64 = 30 * 24;
/// Hooks of one account that are looked through for actions.
pub const ACTION_HOOKS_MAX: usize = 1_000;
/// Versions of hooks whose actions are remembered.
pub const DESCRIBED_MAX: usize = 10_000;
/// Pages that are looked at at once.
pub const PAGES_MAX: usize = 10_000;
/// And by one account.
pub const PAGES_OF_ACCOUNT_MAX: usize = 64;
/// How often a person moves in a hosted page before its code begins anew: each move is played again with the next.
pub const PAGE_MOVES_MAX: usize = 64;
/// Moves that wait for a hosted page; who makes more of them waits.
pub const PAGE_MOVES_WAITING_MAX: usize = 16;
/// The last lines of a hosted page's log, which are shown with it.
pub const PAGE_LOGS_MAX: usize = 100;
/// How often a run that the clock or a crash stopped is played again before it has failed.
pub const PLAYS_IN_VAIN_MAX: u32 = 3;
/// Runs of connected hosts that are held in memory while their host is there.
pub const HELD_RUNS_MAX: usize = 10_000;
/// Schedules that begin something side by side.
pub const FIRED_AT_ONCE_MAX: usize = 16;
/// How long to wait before a scheduled action is tried again that could not be begun.
pub const SCHEDULE_RETRY_MS: u64 = 2_000;
/// Changes of runs that who follows the list may be behind.
pub const RUNS_TOLD_MAX: usize = 256;
/// Files whose bytes are coming at a time.
pub const UPLOADS_MAX: usize = 64;
/// How often the progress of a refold is told at most.
pub const PROGRESS_MS: u64 = 250;
/// Hosts of one account that are there at a time.
pub const HOSTS_OF_ACCOUNT_MAX: usize = 64;
/// Accounts whose hosts are remembered; beyond, only those of which one is there.
pub const HOST_ACCOUNTS_MAX: usize = 10_000;
/// Actions and pages that are remembered of the hosts of an account.
pub const ROUTES_SEEN_MAX: usize = 4_000;
/// Runs and open pages that one host may have.
pub const HOST_RUNS_MAX: usize = 16_384;
/// What may wait for a host that is slow, or away for a moment.
pub const HOST_LINE_MAX: usize = 1_024;
/// And its bytes, unless a single message has more.
pub const HOST_LINE_BYTES_MAX: usize = 16 << 20;
/// How long a host may be away before it is gone: it tries to come back every 3 s.
pub const HOST_AWAY_MS: u64 = 10_000;
/// How long the tables of a run that is over are kept by its host when nobody looks at them.
pub const RUN_LINGER_MS: u64 = 3_000;
/// What may wait for the lane of an account's jobs.
pub const JOB_ASKED_MAX: usize = 4_096;
/// What may wait for a worker that is slow; beyond, it is let go.
pub const JOB_LINE_MAX: usize = 1_024;
/// Jobs of an account whose code and inputs are at hand.
pub const JOB_TASKS_CACHED_MAX: usize = 256;
/// Changes of jobs that who looks on may be behind.
pub const JOBS_TOLD_MAX: usize = 4_096;
/// Scripts of one account that the server runs at once itself.
pub const JOB_SERVER_THREADS: u32 = 2;
/// Builds that run at once.
pub const BUILDS_AT_ONCE_MAX: usize = 2;
/// Functions of which it is remembered where their calls go.
pub const FUNCTION_ROUTES_MAX: usize = 100_000;
/// Executions that nobody waits for and that run at once.
pub const EXECUTIONS_AT_ONCE_MAX: usize = 32;
/// Executions that are over and kept in one go.
pub const EXECUTIONS_KEPT_AT_ONCE_MAX: usize = 256;
/// How long an execution whose caller has the answer waits for others, to be kept with them.
pub const EXECUTIONS_GATHERED_MS: u64 = 5;
/// Ends of executions that who waits for one may be behind.
pub const EXECUTIONS_TOLD_MAX: usize = 1_024;
