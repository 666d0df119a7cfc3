//! The rows that the rules keep: where each stands, and what is in it.
//!
//! A row is a cache of what the logs say. Keys begin with a word and a slash, so that one range is one kind.

use alloc::{format, string::String, sync::Arc, vec::Vec};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    access::Door,
    call::{Error, Exports, Line, Stop},
    hook::{Config, Entry},
    record::{At, LaneId, Seq},
};

/// A change of one row; `None` deletes it.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

/// The encoding of rows and records, named by their first byte. A newer build reads older formats here.
const FORMAT: u8 = 1;

pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.push(FORMAT);
    postcard::to_extend(value, bytes).expect("plain data always serialises")
}

/// `None` when the bytes are not what `encode` makes of a `T`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (&format, body) = bytes.split_first()?;
    (format == FORMAT).then(|| postcard::from_bytes(body).ok()).flatten()
}

fn lane_key(word: &str, lane: LaneId) -> String {
    format!("{word}/{:032x}", lane.0)
}

/// `Config` of a hook.
pub fn hook(lane: LaneId) -> Vec<u8> {
    lane_key("hook", lane).into_bytes()
}

/// `Account` of a person.
pub fn account(lane: LaneId) -> Vec<u8> {
    lane_key("account", lane).into_bytes()
}

/// `KeyDoor` of an API or worker key, by the hash of the key.
pub fn account_key(hash: &[u8; 32]) -> Vec<u8> {
    [b"key/", hash.as_slice()].concat()
}

/// When an account's key was last used, as `At`.
pub fn key_used(account: LaneId, key: u128) -> Vec<u8> {
    format!("used/{:032x}/{key:032x}", account.0).into_bytes()
}

/// `Settings` of the server.
pub fn settings() -> Vec<u8> {
    b"server/settings".to_vec()
}

/// `store::migration::Mark` of a store that is not to be served: it is a copy of another, or has moved there.
pub fn migration() -> Vec<u8> {
    b"server/migration".to_vec()
}

/// Present for each hook of an owner.
pub fn owned(owner: LaneId, hook: LaneId) -> Vec<u8> {
    format!("owned/{:032x}/{:032x}", owner.0, hook.0).into_bytes()
}

pub fn owned_range(owner: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(format!("owned/{:032x}/", owner.0))
}

/// The hook of an `owned` row.
pub fn owned_hook(key: &[u8]) -> Option<LaneId> {
    let text = core::str::from_utf8(key).ok()?;
    u128::from_str_radix(text.rsplit('/').next()?, 16).ok().map(LaneId)
}

/// `Door` of a key.
pub fn door(key: &str) -> Vec<u8> {
    format!("door/{key}").into_bytes()
}

/// `Brief` of a run, under the account that it belongs to.
pub fn run(owner: LaneId, run: LaneId) -> Vec<u8> {
    format!("run/{:032x}/{:032x}", owner.0, run.0).into_bytes()
}

pub fn run_range(owner: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(format!("run/{:032x}/", owner.0))
}

/// Present for each run of an owner that is not over.
pub fn open_run(owner: LaneId, run: LaneId) -> Vec<u8> {
    format!("open/{:032x}/{:032x}", owner.0, run.0).into_bytes()
}

pub fn open_run_range(owner: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(format!("open/{:032x}/", owner.0))
}

/// Present for a run that goes on by itself: a server that starts goes on with it.
pub fn busy_run(run: LaneId) -> Vec<u8> {
    lane_key("busy", run).into_bytes()
}

pub fn busy_run_range() -> (Vec<u8>, Vec<u8>) {
    prefix("busy/".into())
}

/// When a run that sleeps goes on: `At`.
pub fn run_wakes(run: LaneId) -> Vec<u8> {
    lane_key("wakes", run).into_bytes()
}

pub fn run_wakes_range() -> (Vec<u8>, Vec<u8>) {
    prefix("wakes/".into())
}

/// `Journal` of an account's jobs.
pub fn jobs(account: LaneId) -> Vec<u8> {
    lane_key("jobs", account).into_bytes()
}

/// `Brief` of a job.
pub fn job(account: LaneId, id: u128) -> Vec<u8> {
    format!("job/{:032x}/{id:032x}", account.0).into_bytes()
}

pub fn job_range(account: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(lane_key("job", account) + "/")
}

/// `Brief` of a job that is not over.
pub fn open_job(account: LaneId, id: u128) -> Vec<u8> {
    format!("open-job/{:032x}/{id:032x}", account.0).into_bytes()
}

pub fn open_job_range(account: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(lane_key("open-job", account) + "/")
}

pub fn all_open_jobs_range() -> (Vec<u8>, Vec<u8>) {
    prefix("open-job/".into())
}

/// Account and job of an `open_job` row.
pub fn open_job_of(key: &[u8]) -> Option<(LaneId, u128)> {
    let mut parts = core::str::from_utf8(key).ok()?.strip_prefix("open-job/")?.split('/');
    let mut number = || u128::from_str_radix(parts.next()?, 16).ok();
    Some((LaneId(number()?), number()?))
}

/// `Task` of a job.
pub fn task(account: LaneId, id: u128) -> Vec<u8> {
    format!("task/{:032x}/{id:032x}", account.0).into_bytes()
}

/// `Outcome` of one part of a job.
pub fn part(account: LaneId, job: u128, index: u32) -> Vec<u8> {
    format!("part/{:032x}/{job:032x}/{index:08x}", account.0).into_bytes()
}

pub fn part_range(account: LaneId, job: u128) -> (Vec<u8>, Vec<u8>) {
    prefix(format!("part/{:032x}/{job:032x}/", account.0))
}

/// The index of a `part` row.
pub fn index_of(key: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(key).ok()?;
    u32::from_str_radix(text.rsplit('/').next()?, 16).ok()
}

/// `Queue` of an account.
pub fn queue(account: LaneId) -> Vec<u8> {
    lane_key("queue", account).into_bytes()
}

/// `Item` of an account's queue.
pub fn queued(account: LaneId, id: u128) -> Vec<u8> {
    format!("queued/{:032x}/{id:032x}", account.0).into_bytes()
}

pub fn queued_range(account: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(lane_key("queued", account) + "/")
}

/// `Schedule` of an account.
pub fn schedule(owner: LaneId, id: LaneId) -> Vec<u8> {
    format!("schedule/{:032x}/{:032x}", owner.0, id.0).into_bytes()
}

pub fn schedule_range(owner: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(lane_key("schedule", owner) + "/")
}

/// `Function` of an account.
pub fn function(owner: LaneId, id: LaneId) -> Vec<u8> {
    format!("function/{:032x}/{:032x}", owner.0, id.0).into_bytes()
}

pub fn function_range(owner: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(lane_key("function", owner) + "/")
}

/// Whose a function is: its `LaneId`.
pub fn function_owner(id: LaneId) -> Vec<u8> {
    lane_key("function-owner", id).into_bytes()
}

/// `function::Claim` of a slug.
pub fn function_slug(slug: &str) -> Vec<u8> {
    format!("function-slug/{slug}").into_bytes()
}

/// A function with something to build; empty.
pub fn building(id: LaneId) -> Vec<u8> {
    lane_key("building", id).into_bytes()
}

pub fn building_range() -> (Vec<u8>, Vec<u8>) {
    prefix("building/".into())
}

/// A function that is called by the clock: its cron expression.
pub fn function_cron(id: LaneId) -> Vec<u8> {
    lane_key("function-cron", id).into_bytes()
}

/// Since when that expression holds.
pub fn function_cron_since(id: LaneId) -> Vec<u8> {
    lane_key("function-cron-since", id).into_bytes()
}

/// The last time at which the clock called it.
pub fn function_called(id: LaneId) -> Vec<u8> {
    lane_key("function-called", id).into_bytes()
}

pub fn function_cron_range() -> (Vec<u8>, Vec<u8>) {
    prefix("function-cron/".into())
}

/// `function::execution::Executions` of a function.
pub fn executions(function: LaneId) -> Vec<u8> {
    lane_key("executions", function).into_bytes()
}

/// `function::execution::Execution`.
pub fn execution(function: LaneId, id: u128) -> Vec<u8> {
    format!("execution/{:032x}/{id:032x}", function.0).into_bytes()
}

pub fn execution_range(function: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(lane_key("execution", function) + "/")
}

/// An execution that waits for its time; empty.
pub fn execution_due(at: At, function: LaneId, id: u128) -> Vec<u8> {
    format!("execution-due/{:016x}/{:032x}/{id:032x}", at.0, function.0).into_bytes()
}

/// In order of their times.
pub fn execution_due_range() -> (Vec<u8>, Vec<u8>) {
    prefix("execution-due/".into())
}

/// When an execution is due, of which function, and which it is.
pub fn execution_due_of(key: &[u8]) -> Option<(At, LaneId, u128)> {
    let mut words = core::str::from_utf8(key).ok()?.split('/').skip(1);
    let at = u64::from_str_radix(words.next()?, 16).ok()?;
    let function = u128::from_str_radix(words.next()?, 16).ok()?;
    Some((At(at), LaneId(function), u128::from_str_radix(words.next()?, 16).ok()?))
}

/// What a build printed, as text.
pub fn build_log(function: LaneId, deployment: u128) -> Vec<u8> {
    format!("build-log/{:032x}/{deployment:032x}", function.0).into_bytes()
}

pub fn build_log_range(function: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(lane_key("build-log", function) + "/")
}

/// `Due` of a schedule: whose it is, and when it is next to begin something.
pub fn due(schedule: LaneId) -> Vec<u8> {
    lane_key("due", schedule).into_bytes()
}

pub fn due_range() -> (Vec<u8>, Vec<u8>) {
    prefix("due/".into())
}

/// Present for each schedule of a hook's actions.
pub fn planned(hook: LaneId, schedule: LaneId) -> Vec<u8> {
    format!("planned/{:032x}/{:032x}", hook.0, schedule.0).into_bytes()
}

pub fn planned_range(hook: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(lane_key("planned", hook) + "/")
}

/// Present for a run that a schedule began, until it is over and that was told.
pub fn awaited(schedule: LaneId, run: LaneId) -> Vec<u8> {
    format!("awaited/{:032x}/{:032x}", schedule.0, run.0).into_bytes()
}

pub fn awaited_range(schedule: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(lane_key("awaited", schedule) + "/")
}

pub fn all_awaited_range() -> (Vec<u8>, Vec<u8>) {
    prefix("awaited/".into())
}

/// The schedule and the run of an `awaited` row.
pub fn awaited_of(key: &[u8]) -> Option<(LaneId, LaneId)> {
    let (schedule, _) = key.split_at_checked(key.len().checked_sub(33)?)?;
    Some((lane_of(schedule)?, lane_of(key)?))
}

/// `Inbox` of an account.
pub fn inbox(account: LaneId) -> Vec<u8> {
    lane_key("inbox", account).into_bytes()
}

/// `Notice` in an account's inbox, by its number.
pub fn notice(account: LaneId, seq: Seq) -> Vec<u8> {
    format!("notice/{:032x}/{:016x}", account.0, seq.0).into_bytes()
}

pub fn notice_range(account: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(lane_key("notice", account) + "/")
}

/// Present for the idempotency key of a notice that is kept.
pub fn noticed(account: LaneId, key: &str) -> Vec<u8> {
    let mut row = (lane_key("noticed", account) + "/").into_bytes();
    row.extend_from_slice(blake3::hash(key.as_bytes()).as_bytes());
    row
}

/// Present for a hook that is being refolded: a server that starts goes on with it.
pub fn refolding(lane: LaneId) -> Vec<u8> {
    lane_key("refolding", lane).into_bytes()
}

pub fn refolding_range() -> (Vec<u8>, Vec<u8>) {
    prefix("refolding/".into())
}

/// Present for a hook that is being imported, until it is whole.
pub fn arriving(lane: LaneId) -> Vec<u8> {
    lane_key("arriving", lane).into_bytes()
}

pub fn arriving_range() -> (Vec<u8>, Vec<u8>) {
    prefix("arriving/".into())
}

/// Present for a hook that was deleted, until nothing is left of it.
pub fn erased(lane: LaneId) -> Vec<u8> {
    lane_key("erased", lane).into_bytes()
}

pub fn erased_range() -> (Vec<u8>, Vec<u8>) {
    prefix("erased/".into())
}

/// `File`, by its id.
pub fn file(id: u128) -> Vec<u8> {
    format!("file/{id:032x}").into_bytes()
}

/// The bytes of a file, cut into pieces.
pub fn piece(id: u128, index: u32) -> Vec<u8> {
    format!("piece/{id:032x}/{index:08x}").into_bytes()
}

/// What is known of a piece whose bytes are kept elsewhere, in the place of the piece; `None` if it is no piece's key.
pub fn object(piece: &[u8]) -> Option<Vec<u8>> {
    piece.strip_prefix(b"piece/").map(|rest| [b"object/", rest].concat())
}

pub fn object_range() -> (Vec<u8>, Vec<u8>) {
    prefix("object/".into())
}

/// Present for a file that was announced, until all of it is there.
pub fn uploading(id: u128) -> Vec<u8> {
    format!("uploading/{id:032x}").into_bytes()
}

pub fn uploading_range() -> (Vec<u8>, Vec<u8>) {
    prefix("uploading/".into())
}

/// The lane of a row whose key ends with one.
pub fn lane_of(key: &[u8]) -> Option<LaneId> {
    owned_hook(key)
}

/// What keys that go on behind the name of a lane begin with.
const KEPT_OF_LANE: [&str; 12] = [
    "source",
    "published",
    "head",
    "snapshot",
    "fate",
    "keyed",
    "duplicate",
    "secrets",
    "seen",
    "said",
    "execution",
    "build-log",
];

/// And those that end with it.
const OF_LANE: [&str; 4] = ["hook", "refolding", "arriving", "erased"];

/// The ranges of all that is kept of a lane under keys that go on behind its name.
pub fn kept_of(lane: LaneId) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    KEPT_OF_LANE.into_iter().map(move |word| prefix(lane_key(word, lane) + "/"))
}

/// The lane that a row's key says it is of: that lane writes it, or one that is no more apart.
pub fn kept_by(key: &[u8]) -> Option<LaneId> {
    kept_under(key).map(|(_, lane)| lane)
}

/// The lane that all rows of a range are kept by, where it lies within what is kept under one word of one lane.
pub fn range_kept_by(from: &[u8], to: &[u8]) -> Option<LaneId> {
    kept_under(from).and_then(|(name, lane)| to.starts_with(name).then_some(lane))
}

/// How a key begins that names whose it is, and whose that is.
fn kept_under(key: &[u8]) -> Option<(&[u8], LaneId)> {
    const DIGITS: usize = 32;
    let slash = key.iter().position(|byte| *byte == b'/')?;
    let (name, _) = key.split_at_checked(slash + 1 + DIGITS)?;
    let is_one = KEPT_OF_LANE.iter().chain(&OF_LANE).any(|word| word.as_bytes() == &key[..slash]);
    let digits = core::str::from_utf8(&name[slash + 1..]).ok().filter(|_| is_one)?;
    Some((name, LaneId(u128::from_str_radix(digits, 16).ok()?)))
}

/// Beside which lane a row lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    Lane(LaneId),
    /// Beside those that are not apart.
    Head,
    /// A door that goes does not say whose it was.
    Unknown,
}

/// Where all rows of a range lie, as far as its ends tell.
pub fn range_home(from: &[u8], to: &[u8]) -> Home {
    if let Some(lane) = range_kept_by(from, to) {
        return Home::Lane(lane);
    }
    let of_hooks = KEPT_OF_LANE.iter().chain(&OF_LANE).chain(&["door", "owned"]);
    let word = from.iter().position(|byte| *byte == b'/').map(|slash| &from[..slash]);
    let is_one = |word: &&[u8]| to.strip_prefix(*word).is_some_and(|rest| rest == b"0" || rest.starts_with(b"/"));
    match word.filter(is_one) {
        Some(word) if of_hooks.into_iter().all(|other| other.as_bytes() != word) => Home::Head,
        _ => Home::Unknown,
    }
}

/// Where a row lies that is kept or, without a value, goes.
pub fn home(key: &[u8], value: Option<&[u8]>) -> Home {
    let is_of = |word: &str| key.starts_with(word.as_bytes());
    match value {
        None if is_of("door/") => Home::Unknown,
        Some(door) if is_of("door/") => decode(door).map_or(Home::Head, |door: Door| Home::Lane(door.hook)),
        _ if is_of("owned/") => owned_hook(key).map_or(Home::Head, Home::Lane),
        _ => kept_by(key).map_or(Home::Head, Home::Lane),
    }
}

/// `Source` of a version.
pub fn source(lane: LaneId, version: u32) -> Vec<u8> {
    format!("source/{:032x}/{version:08x}", lane.0).into_bytes()
}

pub fn source_range(lane: LaneId) -> (Vec<u8>, Vec<u8>) {
    prefix(lane_key("source", lane) + "/")
}

/// When a version went live last: `At`.
pub fn published(lane: LaneId, version: u32) -> Vec<u8> {
    format!("published/{:032x}/{version:08x}", lane.0).into_bytes()
}

/// The version of a `source` or `published` row.
pub fn version_of(key: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(key).ok()?;
    u32::from_str_radix(text.rsplit('/').next()?, 16).ok()
}

/// `Secrets` that the requests after a seq see, up to the next of these rows.
pub fn secrets(lane: LaneId, seq: Seq) -> Vec<u8> {
    format!("secrets/{:032x}/{:016x}", lane.0, seq.0).into_bytes()
}

/// The `Seq` that a version folded first of those with this idempotency key.
pub fn keyed(lane: LaneId, version: u32, key: &KeyHash) -> Vec<u8> {
    let mut row = format!("keyed/{:032x}/{version:08x}/", lane.0).into_bytes();
    row.extend_from_slice(&key.0);
    row
}

/// Present for a request that a version skipped, because an earlier one had its key: the `Seq` of that.
pub fn duplicate(lane: LaneId, version: u32, seq: Seq) -> Vec<u8> {
    format!("duplicate/{:032x}/{version:08x}/{:016x}", lane.0, seq.0).into_bytes()
}

/// `Head` of a version: the newest state of its fold.
pub fn head(lane: LaneId, version: u32) -> Vec<u8> {
    format!("head/{:032x}/{version:08x}", lane.0).into_bytes()
}

/// `Head` of a version as it stood at a seq.
pub fn snapshot(lane: LaneId, version: u32, seq: Seq) -> Vec<u8> {
    format!("snapshot/{:032x}/{version:08x}/{:016x}", lane.0, seq.0).into_bytes()
}

/// `Fate` of a request in a version, where there is something to say.
pub fn fate(lane: LaneId, version: u32, seq: Seq) -> Vec<u8> {
    format!("fate/{:032x}/{version:08x}/{:016x}", lane.0, seq.0).into_bytes()
}

/// The lines that the responder wrote about a request.
pub fn said(lane: LaneId, seq: Seq) -> Vec<u8> {
    format!("said/{:032x}/{:016x}", lane.0, seq.0).into_bytes()
}

/// The seq of a row that ends with one.
pub fn seq_of(key: &[u8]) -> Option<Seq> {
    let text = core::str::from_utf8(key).ok()?;
    u64::from_str_radix(text.rsplit('/').next()?, 16).ok().map(Seq)
}

/// `Seen` of an `Idempotency-Key`, which may hold any bytes and is kept as its hash.
pub fn seen(lane: LaneId, key: &[u8]) -> Vec<u8> {
    let mut row = lane_key("seen", lane).into_bytes();
    row.push(b'/');
    row.extend_from_slice(blake3::hash(key).as_bytes());
    row
}

fn prefix(prefix: String) -> (Vec<u8>, Vec<u8>) {
    let from = prefix.into_bytes();
    let mut to = from.clone();
    *to.last_mut().expect("a prefix ends with a slash") += 1;
    (from, to)
}

/// A state and how far it reflects the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub through: Seq,
    /// `None` until the reducer returned something.
    pub state: Option<Arc<str>>,
}

/// The code of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub source: Arc<str>,
    pub exports: Exports,
}

/// An owner's idempotency key, which may be long, as its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    pub fn of(key: &str) -> KeyHash {
        KeyHash(*blake3::hash(key.as_bytes()).as_bytes())
    }
}

/// What became of a request, beyond being folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    pub error: Option<Error>,
    pub stop: Option<Stop>,
    pub console: Vec<Line>,
}

/// The rows that a note of a hook's log makes, but for the config, which changes with almost every one. `seq` is that
/// of the request before it.
pub fn of_note(lane: LaneId, seq: Seq, entry: &Entry, config: &Config, rows: &mut Vec<Change>) {
    match entry {
        Entry::Created { owner, .. } | Entry::Given { owner, .. } => {
            rows.push((owned(*owner, lane), Some(Vec::new())));
        }
        Entry::Moved { owner, .. } => {
            rows.push((owned(*owner, lane), Some(Vec::new())));
            rows.push((refolding(lane), None));
        }
        Entry::KeyMade { key, .. } | Entry::KeyPaused { key, .. } | Entry::KeyRevoked { key, .. } => {
            rows.push((door(key), config.door(lane, key).as_ref().map(encode)));
        }
        Entry::Publishing { version, source: code, exports, .. } => {
            let kept = Source { source: code.clone(), exports: *exports };
            rows.push((source(lane, *version), Some(encode(&kept))));
            rows.push((refolding(lane), Some(Vec::new())));
        }
        Entry::Restoring { .. } => rows.push((refolding(lane), Some(Vec::new()))),
        Entry::Published { version, at, .. } => {
            rows.push((published(lane, *version), Some(encode(at))));
            rows.push((refolding(lane), None));
        }
        Entry::Cancelled { .. } | Entry::Deleted { .. } => rows.push((refolding(lane), None)),
        Entry::SecretSet { .. } | Entry::SecretRemoved { .. } => {
            rows.push((secrets(lane, seq), Some(encode(&*config.secrets))));
        }
        Entry::Arrived { .. } | Entry::Edited { .. } | Entry::Stopped { .. } | Entry::Reset { .. } => {}
    }
}
