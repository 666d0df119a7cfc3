//! A function: what it is run with, its deployments, and which of them answers.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    account::Step,
    call::Bytes,
    record::{At, End, LaneId},
    refusal::Refusal,
    row,
};

mod claim;
pub mod execution;

pub use claim::Claim;

/// Functions of one account.
pub const FUNCTIONS_MAX: usize = 1_000;
pub const FUNCTION_NAME_CHARS_MAX: usize = 200;
/// A slug is a label of a host name, too.
pub const FUNCTION_SLUG_BYTES_MAX: usize = 63;
pub const FUNCTION_ENTRYPOINT_BYTES_MAX: usize = 1_024;
pub const FUNCTION_BUILD_BYTES_MAX: usize = 8 << 10;
/// Deployments that are kept of one function, whatever became of them.
pub const DEPLOYMENTS_MAX: usize = 100;
pub const VARIABLES_MAX: usize = 100;
pub const VARIABLE_KEY_BYTES_MAX: usize = 255;
pub const VARIABLE_VALUE_BYTES_MAX: usize = 8 << 10;
/// What a person is told of a build that failed.
pub const BUILD_ERROR_BYTES_MAX: usize = 8 << 10;
/// Variables with these beginnings are the contract's, but for those that a person may set.
const RESERVED: [&str; 2] = ["OPEN_RUNTIMES_", "EVERFOLD_"];
const NOT_RESERVED: [&str; 3] =
    ["OPEN_RUNTIMES_HEADERS", "OPEN_RUNTIMES_STATIC_FALLBACK", "OPEN_RUNTIMES_CACHE_HEADER"];

/// UUIDv7: the order of ids is that of time.
pub type DeploymentId = u128;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// UUIDv7.
    pub id: LaneId,
    pub owner: LaneId,
    pub plan: Plan,
    pub variables: BTreeMap<String, Variable>,
    /// The deployment that answers.
    pub active: Option<DeploymentId>,
    /// The oldest first.
    pub deployments: Vec<Deployment>,
    pub created_at: At,
    end: End,
}

/// What its owner says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub name: String,
    pub slug: String,
    /// A folder of `runtimes/`; whether this machine can run it is not for the rules to know.
    pub runtime: String,
    /// The runtime's own where nothing is said.
    pub entrypoint: Option<String>,
    /// A command of the shell; the runtime's own where nothing is said.
    pub build: Option<String>,
    pub limits: Limits,
    pub cron: Option<String>,
    pub network: Network,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    #[default]
    None,
    Internet,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Encrypted. Only the engine's vault can open it.
    pub sealed: Bytes,
    /// Nobody is shown its value again.
    pub is_secret: bool,
}

macro_rules! limits {
    ($($(#[$doc:meta])* $field:ident $name:literal = $default:literal in $min:literal..=$max:literal;)*) => {
        /// What a function may use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Limits { $($(#[$doc])* pub $field: u64,)* }

        impl Default for Limits {
            fn default() -> Limits { Limits { $($field: $default,)* } }
        }

        impl Limits {
            /// Each as the API names it, with its bounds.
            pub const ALL: &'static [(&'static str, u64, core::ops::RangeInclusive<u64>)] =
                &[$(($name, $default, $min..=$max)),*];

            pub fn get(&self, name: &str) -> Option<u64> {
                match name { $($name => Some(self.$field),)* _ => None }
            }

            /// A refusal says which there are, or between what it lies.
            pub fn set(&mut self, name: &str, value: u64) -> Result<(), Refusal> {
                let (field, bounds) = match name {
                    $($name => (&mut self.$field, $min..=$max),)*
                    _ => return Err(unknown_limit(name)),
                };
                if !bounds.contains(&value) {
                    let words = format!("{name} is between {} and {}.", bounds.start(), bounds.end());
                    return Err(Refusal::FUNCTION_LIMIT.because(words));
                }
                *field = value;
                Ok(())
            }
        }
    };
}

limits! {
    /// Of one request; an asynchronous execution may take 15 minutes.
    timeout_ms "timeoutMs" = 30_000 in 1..=900_000;
    cpu_seconds "cpuSeconds" = 30 in 1..=900;
    memory_mb "memoryMb" = 512 in 16..=4_096;
    processes "processes" = 128 in 1..=1_024;
    tmp_mb "tmpMb" = 64 in 1..=1_024;
    request_bytes "requestBytes" = 20_971_520 in 1..=20_971_520;
    response_bytes "responseBytes" = 20_971_520 in 1..=104_857_600;
    /// Requests that one instance is given at a time.
    concurrency "concurrency" = 16 in 1..=1_000;
    instances_min "minInstances" = 0 in 0..=8;
    instances_max "maxInstances" = 4 in 1..=32;
    queue_wait_ms "queueWaitMs" = 10_000 in 0..=60_000;
}

/// One state of the code, which never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    pub id: DeploymentId,
    /// The file that was sent.
    pub archive: u128,
    pub archive_bytes: u64,
    /// BLAKE3 of what was sent.
    pub hash: [u8; 32],
    /// As they were when it was deployed.
    pub runtime: String,
    pub entrypoint: Option<String>,
    pub build: Option<String>,
    pub status: Status,
    /// It is to answer as soon as it is ready.
    pub is_to_activate: bool,
    pub created_at: At,
    /// When it was built, or was not.
    pub ended_at: Option<At>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Waiting,
    /// A build that a server's end interrupts begins anew.
    Building,
    Ready(Tree),
    /// What a person is told.
    Failed(String),
    Cancelled,
}

/// A built tree, known by what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    pub hash: [u8; 32],
    pub bytes: u64,
    pub files: u32,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub id: DeploymentId,
    pub archive: u128,
    pub archive_bytes: u64,
    pub hash: [u8; 32],
}

/// What the records of a function's lane say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    Made { owner: LaneId, plan: Plan, at: At },
    Changed { plan: Plan, at: At },
    VariablesSet { variables: BTreeMap<String, Variable>, at: At },
    Deployed { deployment: Deployment },
    BuildBegun { id: DeploymentId, at: At },
    BuildEnded { id: DeploymentId, status: Status, at: At },
    Activated { id: DeploymentId, at: At },
    DeploymentDeleted { id: DeploymentId, at: At },
    Given { to: LaneId, at: At },
    Deleted { at: At },
}

fn unknown_limit(name: &str) -> Refusal {
    let names: Vec<&str> = Limits::ALL.iter().map(|(name, ..)| *name).collect();
    Refusal::FUNCTION_LIMIT.because(format!("{name:?} is no limit; there are {}.", names.join(", ")))
}

impl Plan {
    pub fn check(&self) -> Result<(), Refusal> {
        let Plan { name, slug, entrypoint, build, limits, .. } = self;
        let malformed = |why: &'static str| Err(Refusal::FUNCTION_MALFORMED.because(why));
        let is_label = |slug: &str| {
            let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (1..=FUNCTION_SLUG_BYTES_MAX).contains(&slug.len())
                && slug.bytes().all(is_good)
                && !slug.starts_with('-')
                && !slug.ends_with('-')
        };
        let is_inside = |path: &str| {
            let is_step = |step: &str| !step.is_empty() && step != "." && step != "..";
            path.len() <= FUNCTION_ENTRYPOINT_BYTES_MAX
                && !path.bytes().any(|byte| byte.is_ascii_control() || byte == b'\\')
                && path.split('/').all(is_step)
        };
        match () {
            () if !(1..=FUNCTION_NAME_CHARS_MAX).contains(&name.chars().count()) => {
                malformed("The name of a function has 1 to 200 characters.")
            }
            () if !is_label(slug) => {
                malformed("A slug is 1 to 63 of a-z, 0-9 and -, and neither begins nor ends with -.")
            }
            () if entrypoint.as_deref().is_some_and(|path| !is_inside(path)) => {
                malformed("An entrypoint is the path of a file in the folder of the code: src/main.js.")
            }
            () if build
                .as_ref()
                .is_some_and(|build| build.len() > FUNCTION_BUILD_BYTES_MAX || build.contains('\0')) =>
            {
                malformed("A build command has at most 8 KiB, and no NUL.")
            }
            () if limits.instances_min > limits.instances_max => malformed("minInstances is at most maxInstances."),
            () => Ok(()),
        }
    }
}

impl Function {
    /// A new one, beside `others` that its owner has.
    pub fn make(id: LaneId, owner: LaneId, plan: Plan, others: usize, at: At) -> Result<(Function, Step<()>), Refusal> {
        plan.check()?;
        if others >= FUNCTIONS_MAX {
            return Err(Refusal::FUNCTIONS_TOO_MANY);
        }
        let made = Entry::Made { owner, plan: plan.clone(), at };
        let (variables, deployments) = (BTreeMap::new(), Vec::new());
        let mut function =
            Function { id, owner, plan, variables, active: None, deployments, created_at: at, end: End::OF_NOTHING };
        let mut step = function.keep(made);
        step.rows.push(function.cron_since(at));
        Ok((function, step))
    }

    /// What was deployed stays as it was; what is deployed from now on follows the new plan.
    pub fn change(&mut self, plan: Plan, at: At) -> Result<Step<()>, Refusal> {
        plan.check()?;
        let is_wound_anew = self.plan.cron != plan.cron;
        self.plan = plan.clone();
        let mut step = self.keep(Entry::Changed { plan, at });
        step.rows.extend(is_wound_anew.then(|| self.cron_since(at)));
        Ok(step)
    }

    pub fn check_variables(variables: &BTreeMap<String, Variable>) -> Result<(), Refusal> {
        if variables.len() > VARIABLES_MAX {
            return Err(Refusal::VARIABLE_MALFORMED.because("A function has at most 100 variables."));
        }
        if let Some(key) = variables.keys().find(|key| !is_variable(key)) {
            return Err(Refusal::VARIABLE_MALFORMED.because(format!("{key:?} cannot be the key of a variable.")));
        }
        Ok(())
    }

    /// Instead of those there were.
    pub fn set_variables(&mut self, variables: BTreeMap<String, Variable>, at: At) -> Result<Step<()>, Refusal> {
        Function::check_variables(&variables)?;
        self.variables = variables.clone();
        Ok(self.keep(Entry::VariablesSet { variables, at }))
    }

    /// Code that was built before in the same way is ready at once. `true`: it is to be built.
    pub fn deploy(&mut self, sent: Sent, is_to_activate: bool, at: At) -> Result<Step<bool>, Refusal> {
        if self.deployments.len() >= DEPLOYMENTS_MAX {
            return Err(Refusal::DEPLOYMENTS_TOO_MANY);
        }
        let Sent { id, archive, archive_bytes, hash } = sent;
        let Plan { runtime, entrypoint, build, .. } = self.plan.clone();
        let built = self.deployments.iter().rev().find_map(|known| match known.status {
            Status::Ready(tree) if known.hash == hash && known.runtime == runtime && known.build == build => Some(tree),
            _ => None,
        });
        let (status, ended_at) = match built {
            Some(tree) => (Status::Ready(tree), Some(at)),
            None => (Status::Waiting, None),
        };
        let deployment = Deployment {
            id,
            archive,
            archive_bytes,
            hash,
            runtime,
            entrypoint,
            build,
            status,
            is_to_activate,
            created_at: at,
            ended_at,
        };
        self.deployments.push(deployment.clone());
        let mut entries = Vec::from([Entry::Deployed { deployment }]);
        if built.is_some() && is_to_activate {
            self.active = Some(id);
            entries.push(Entry::Activated { id, at });
        }
        let Step { expect, records, rows, .. } = self.keep_all(entries);
        Ok(Step { expect, records, rows, result: Ok(built.is_none()) })
    }

    /// What is to be built next: one that was being built when a server ended, or the oldest that waits.
    pub fn to_build(&self) -> Option<&Deployment> {
        let with = |status: Status| self.deployments.iter().find(move |one| one.status == status);
        with(Status::Building).or_else(|| with(Status::Waiting))
    }

    /// `None`: it is no longer to be built.
    pub fn begin_build(&mut self, id: DeploymentId, at: At) -> Option<Step<()>> {
        let deployment = self.deployments.iter_mut().find(|one| one.id == id && one.status == Status::Waiting)?;
        deployment.status = Status::Building;
        Some(self.keep(Entry::BuildBegun { id, at }))
    }

    /// A build that failed touches nothing that answers; one that nobody waits for any more changes nothing.
    pub fn end_build(&mut self, id: DeploymentId, built: Result<Tree, String>, at: At) -> Option<Step<()>> {
        let deployment = self.deployments.iter_mut().find(|one| one.id == id && one.status == Status::Building)?;
        let status = match built {
            Ok(tree) => Status::Ready(tree),
            Err(mut why) => {
                why.truncate(why.floor_char_boundary(BUILD_ERROR_BYTES_MAX));
                Status::Failed(why)
            }
        };
        deployment.status = status.clone();
        deployment.ended_at = Some(at);
        let is_next = deployment.is_to_activate && matches!(status, Status::Ready(_));
        let mut entries = Vec::from([Entry::BuildEnded { id, status, at }]);
        // Whoever was deployed later, and is ready, goes on answering.
        if is_next && self.active.is_none_or(|active| active < id) {
            self.active = Some(id);
            entries.push(Entry::Activated { id, at });
        }
        Some(self.keep_all(entries))
    }

    pub fn cancel(&mut self, id: DeploymentId, at: At) -> Result<Step<()>, Refusal> {
        let deployment = self.find(id)?;
        if !deployment.is_open() {
            return Err(Refusal::DEPLOYMENT_OVER);
        }
        deployment.status = Status::Cancelled;
        deployment.ended_at = Some(at);
        Ok(self.keep(Entry::BuildEnded { id, status: Status::Cancelled, at }))
    }

    /// Forward and back alike.
    pub fn activate(&mut self, id: DeploymentId, at: At) -> Result<Step<()>, Refusal> {
        if !matches!(self.find(id)?.status, Status::Ready(_)) {
            return Err(Refusal::DEPLOYMENT_NOT_READY);
        }
        self.active = Some(id);
        Ok(self.keep(Entry::Activated { id, at }))
    }

    pub fn delete_deployment(&mut self, id: DeploymentId, at: At) -> Result<Step<()>, Refusal> {
        let is_open = self.find(id)?.is_open();
        if is_open || self.active == Some(id) {
            return Err(Refusal::DEPLOYMENT_IN_USE);
        }
        self.deployments.retain(|one| one.id != id);
        Ok(self.keep(Entry::DeploymentDeleted { id, at }))
    }

    /// Its account became another's.
    pub fn give(&mut self, to: LaneId, at: At) -> Step<()> {
        let from = core::mem::replace(&mut self.owner, to);
        let mut step = self.keep(Entry::Given { to, at });
        step.rows.insert(0, (row::function(from, self.id), None));
        step
    }

    /// What is left of its log is erased behind the commit.
    pub fn delete(mut self, at: At) -> Step<()> {
        let mut step = self.keep(Entry::Deleted { at });
        for (_, kept) in &mut step.rows {
            *kept = None;
        }
        let executions = execution::Executions::lane(self.id);
        let others = [row::executions(self.id), row::function_cron_since(self.id), row::function_called(self.id)];
        step.rows.extend(others.map(|row| (row, None)));
        step.rows.extend([self.id, executions].map(|lane| (row::erased(lane), Some(Vec::new()))));
        step
    }

    /// What answers now: the deployment, and its tree.
    pub fn answering(&self) -> Option<(&Deployment, Tree)> {
        let active = self.active?;
        self.deployments.iter().find_map(|one| match one.status {
            Status::Ready(tree) if one.id == active => Some((one, tree)),
            _ => None,
        })
    }

    /// Instances of the same key are interchangeable; a change of anything that they are made of is another key.
    pub fn launch_key(&self, deployment: &Deployment, tree: &Tree) -> [u8; 32] {
        let Plan { limits, network, .. } = &self.plan;
        let of = (tree.hash, &deployment.runtime, &deployment.entrypoint, &self.variables, limits, network);
        let mut hash = blake3::Hasher::new_derive_key("everfold 2026 launch of a function");
        // Two functions share nothing, though their code be the same.
        hash.update(&self.id.0.to_be_bytes()).update(&row::encode(&of));
        *hash.finalize().as_bytes()
    }

    fn cron_since(&self, at: At) -> row::Change {
        (row::function_cron_since(self.id), self.plan.cron.as_ref().map(|_| row::encode(&at)))
    }

    fn find(&mut self, id: DeploymentId) -> Result<&mut Deployment, Refusal> {
        self.deployments.iter_mut().find(|one| one.id == id).ok_or(Refusal::DEPLOYMENT_UNKNOWN)
    }

    fn keep(&mut self, entry: Entry) -> Step<()> {
        self.keep_all(Vec::from([entry]))
    }

    fn keep_all(&mut self, entries: Vec<Entry>) -> Step<()> {
        let expect = self.end.tail;
        let records = entries.iter().map(|entry| self.end.note(row::encode(entry))).collect();
        let building = self.to_build().map(|_| Vec::new());
        let rows = Vec::from([
            (row::function(self.owner, self.id), Some(row::encode(self))),
            (row::function_owner(self.id), Some(row::encode(&self.owner))),
            (row::building(self.id), building),
            (row::function_cron(self.id), self.plan.cron.as_ref().map(row::encode)),
        ]);
        Step { expect, records, rows, result: Ok(()) }
    }
}

impl Deployment {
    fn is_open(&self) -> bool {
        matches!(self.status, Status::Waiting | Status::Building)
    }
}

fn is_variable(key: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_reserved = RESERVED.iter().any(|reserved| key.starts_with(reserved)) && !NOT_RESERVED.contains(&key);
    (1..=VARIABLE_KEY_BYTES_MAX).contains(&key.len())
        && key.bytes().all(is_word)
        && !key.starts_with(|first: char| first.is_ascii_digit())
        && !is_reserved
}
