//! Keeps functions: what their owners say of them, the code that was sent, and which of it answers.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use rules::{
    account::{Account, Step},
    file::File,
    function::{
        Claim, DeploymentId, FUNCTION_SLUG_BYTES_MAX, FUNCTIONS_MAX, Function, Plan, Sent, VARIABLE_VALUE_BYTES_MAX,
        Variable,
    },
    limits::FILE_PIECE_BYTES,
    record::{At, LaneId},
    refusal::Refusal,
    row,
};
use store::{Batch, Commit, Order};
use worker::runtimes::{Runtime, Standing};

use crate::{
    CONFLICTS_MAX, Engine,
    archive::{self, NotUnpacked},
    cron::Times,
    lanes::{fault, kept},
    world::World,
};

mod build;
mod execution;
mod route;

pub use build::BuildLog;
pub use execution::Whole;
pub use route::{Answering, Route};

/// In the time zone that servers are of.
const TIMEZONE: &str = "UTC";

/// What is in memory of functions.
#[derive(Default)]
pub struct Functions {
    /// One is made at a time, so that no account has more than it may.
    making: tokio::sync::Mutex<()>,
    /// One archive is looked into at a time, so that many large ones do not fill the disk.
    looking: tokio::sync::Mutex<()>,
    routes: route::Routes,
    builds: build::Builds,
    executions: execution::Queue,
}

/// A variable as its owner sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVariable {
    pub value: String,
    pub is_secret: bool,
}

impl Engine {
    /// An account's functions, newest first, those before `before`.
    pub async fn functions_of(
        &self,
        account: &Account,
        before: Option<LaneId>,
        functions_max: usize,
    ) -> Result<Vec<Function>, Refusal> {
        self.finish_merges(account).await;
        let (from, mut to) = row::function_range(account.lane);
        if let Some(before) = before {
            to = row::function(account.lane, before);
        }
        let rows = self.world().store.rows(from, to, Order::Descending, functions_max).await.map_err(fault)?;
        Ok(rows.iter().filter_map(|(_, bytes)| row::decode(bytes)).collect())
    }

    pub async fn function(&self, owner: LaneId, id: LaneId) -> Result<Function, Refusal> {
        let bytes = self.world().store.row(row::function(owner, id)).await.map_err(fault)?;
        bytes.and_then(|bytes| row::decode(&bytes)).ok_or(Refusal::FUNCTION_UNKNOWN)
    }

    /// Whoever's it is.
    pub(crate) async fn any_function(&self, id: LaneId) -> Result<Option<Function>, Refusal> {
        let owner = self.world().store.row(row::function_owner(id)).await.map_err(fault)?;
        let Some(owner) = owner.and_then(|bytes| row::decode(&bytes)) else { return Ok(None) };
        match self.function(owner, id).await {
            Err(refusal) if refusal.code == Refusal::FUNCTION_UNKNOWN.code => Ok(None),
            function => function.map(Some),
        }
    }

    /// `plan.slug` may be empty: then one follows from the name.
    pub async fn make_function(
        &self,
        account: &Account,
        mut plan: Plan,
        variables: BTreeMap<String, NewVariable>,
    ) -> Result<Function, Refusal> {
        let is_named = !plan.slug.is_empty();
        if !is_named {
            plan.slug = slug_of(&plan.name);
        }
        plan.check()?;
        self.check_plan(&plan).await?;
        // Before the function is there: it is made with all of them, or not at all.
        let id = LaneId(self.world().request_id(self.now()));
        let variables = self.sealed_variables(id, variables, &BTreeMap::new())?;
        Function::check_variables(&variables)?;
        let _one_at_a_time = self.functions().making.lock().await;
        let others = self.functions_of(account, None, FUNCTIONS_MAX).await?.len();
        let at = self.now();
        match self.claim_slug(&plan.slug, id).await {
            Err(refusal) if refusal.code == Refusal::SLUG_TAKEN.code && !is_named => {
                plan.slug.truncate(FUNCTION_SLUG_BYTES_MAX - 9);
                plan.slug = format!("{}-{:08x}", plan.slug.trim_end_matches('-'), self.world().entropy.draw() as u32);
                self.claim_slug(&plan.slug, id).await?;
            }
            claimed => claimed?,
        }
        let slug = plan.slug.clone();
        let made = async {
            let (mut function, step) = Function::make(id, account.lane, plan, others, at)?;
            kept(self.commit_function(id, &step).await)?;
            if !variables.is_empty() {
                let step = function.set_variables(variables, at)?;
                kept(self.commit_function(id, &step).await)?;
            }
            Ok(function)
        };
        let made: Result<Function, Refusal> = made.await;
        match &made {
            Ok(function) => self.reroute(function),
            Err(_) => self.release_slug(&slug, id).await,
        }
        made
    }

    pub async fn change_function(
        &self,
        owner: LaneId,
        id: LaneId,
        change: impl Fn(&mut Plan) -> Result<(), Refusal>,
    ) -> Result<Function, Refusal> {
        let before = self.function(owner, id).await?.plan;
        let mut plan = before.clone();
        change(&mut plan)?;
        plan.check()?;
        self.check_plan(&plan).await?;
        let is_renamed = plan.slug != before.slug;
        if is_renamed {
            self.claim_slug(&plan.slug, id).await?;
        }
        let (new, at) = (plan.slug.clone(), self.now());
        let changed = self.alter(owner, id, |function| {
            let mut plan = function.plan.clone();
            change(&mut plan)?;
            function.change(plan, at)
        });
        let changed = changed.await;
        if is_renamed {
            self.release_slug(if changed.is_ok() { &before.slug } else { &new }, id).await;
        }
        changed
    }

    /// Instead of those there were.
    pub async fn set_variables(
        &self,
        owner: LaneId,
        id: LaneId,
        variables: BTreeMap<String, NewVariable>,
    ) -> Result<Function, Refusal> {
        let at = self.now();
        self.alter(owner, id, |function| {
            let sealed = self.sealed_variables(id, variables.clone(), &BTreeMap::new())?;
            function.set_variables(sealed, at)
        })
        .await
    }

    /// One beside the others, or in the place of one.
    pub async fn set_variable(
        &self,
        owner: LaneId,
        id: LaneId,
        key: String,
        variable: NewVariable,
    ) -> Result<Function, Refusal> {
        let at = self.now();
        self.alter(owner, id, |function| {
            let one = BTreeMap::from([(key.clone(), variable.clone())]);
            let all = self.sealed_variables(id, one, &function.variables)?;
            function.set_variables(all, at)
        })
        .await
    }

    pub async fn remove_variable(&self, owner: LaneId, id: LaneId, key: &str) -> Result<Function, Refusal> {
        let at = self.now();
        self.alter(owner, id, |function| {
            let mut variables = function.variables.clone();
            let unknown = || Refusal::VARIABLE_UNKNOWN.because(format!("This function has no variable {key:?}."));
            variables.remove(key).ok_or_else(unknown)?;
            function.set_variables(variables, at)
        })
        .await
    }

    /// The value of a variable; of a secret one, nobody is told.
    pub fn shown_value(&self, function: &Function, key: &str) -> Option<String> {
        let variable = function.variables.get(key).filter(|variable| !variable.is_secret)?;
        self.world().vault.open_one(function.id, key, &variable.sealed)
    }

    fn sealed_variables(
        &self,
        id: LaneId,
        variables: BTreeMap<String, NewVariable>,
        others: &BTreeMap<String, Variable>,
    ) -> Result<BTreeMap<String, Variable>, Refusal> {
        let World { vault, entropy, .. } = self.world();
        let mut all = others.clone();
        for (key, NewVariable { value, is_secret }) in variables {
            if value.len() > VARIABLE_VALUE_BYTES_MAX || value.contains('\0') {
                let words = format!("The value of {key:?} has at most {VARIABLE_VALUE_BYTES_MAX} bytes, and no NUL.");
                return Err(Refusal::VARIABLE_MALFORMED.because(words));
            }
            let sealed = vault.seal(id, &key, &value, [entropy.draw(), entropy.draw()]);
            all.insert(key, Variable { sealed, is_secret });
        }
        Ok(all)
    }

    pub async fn delete_function(&self, owner: LaneId, id: LaneId) -> Result<(), Refusal> {
        for _ in 0..CONFLICTS_MAX {
            let function = self.function(owner, id).await?;
            let (slug, archives) = (function.plan.slug.clone(), archives_of(&function));
            let step = function.clone().delete(self.now());
            match self.commit_function(id, &step).await {
                Commit::Conflict => continue,
                commit => kept(commit)?,
            }
            self.unroute(id);
            self.release_slug(&slug, id).await;
            if let Some(trees) = self.world().runtimes.trees() {
                let folder = trees.join(format!("{:032x}", id.0));
                let _ = tokio::task::spawn_blocking(move || fs::remove_dir_all(folder)).await;
            }
            for archive in archives {
                self.forget_archive(archive).await;
            }
            let engine = self.clone();
            tokio::spawn(async move { engine.erase_deleted().await });
            return Ok(());
        }
        Err(Refusal::BUSY)
    }

    /// A place for what is on its way.
    pub fn scratch(&self) -> Result<Scratch, Refusal> {
        Scratch::new(self.world().runtimes.trees().ok_or(Refusal::UNAVAILABLE)?).map_err(unreadable)
    }

    /// New code, which is in a file here. What it is, and whether it is to be built.
    pub async fn deploy(
        &self,
        owner: LaneId,
        id: LaneId,
        archive: PathBuf,
        is_to_activate: bool,
    ) -> Result<(Function, DeploymentId), Refusal> {
        // Before anything is kept.
        self.function(owner, id).await?;
        let trees = self.world().runtimes.trees().ok_or(Refusal::UNAVAILABLE)?.to_owned();
        let path = archive.clone();
        let one_at_a_time = self.functions().looking.lock().await;
        let looked = tokio::task::spawn_blocking(move || look_into(&path, &trees)).await.map_err(|_| Refusal::FAULT)?;
        drop(one_at_a_time);
        let (hash, archive_bytes) = looked?;
        let file = self.keep_archive(owner, &archive, archive_bytes).await?;
        let deployment = self.world().request_id(self.now());
        let sent = Sent { id: deployment, archive: file, archive_bytes, hash };
        let at = self.now();
        let deployed = self.alter(owner, id, |function| {
            let Step { expect, records, rows, result } = function.deploy(sent.clone(), is_to_activate, at)?;
            Ok(Step { expect, records, rows, result: result.map(drop) })
        });
        match deployed.await {
            Ok(function) => {
                self.build_what_waits(id);
                Ok((function, deployment))
            }
            Err(refusal) => {
                self.forget_archive(file).await;
                Err(refusal)
            }
        }
    }

    /// Forward and back alike, and at once.
    pub async fn activate(&self, owner: LaneId, id: LaneId, deployment: DeploymentId) -> Result<Function, Refusal> {
        let at = self.now();
        self.alter(owner, id, |function| function.activate(deployment, at)).await
    }

    pub async fn cancel_build(&self, owner: LaneId, id: LaneId, deployment: DeploymentId) -> Result<Function, Refusal> {
        let at = self.now();
        let cancelled = self.alter(owner, id, |function| function.cancel(deployment, at)).await?;
        self.stop_build(deployment);
        Ok(cancelled)
    }

    pub async fn delete_deployment(&self, owner: LaneId, id: LaneId, deployment: DeploymentId) -> Result<(), Refusal> {
        let function = self.function(owner, id).await?;
        let archive = function.deployments.iter().find(|one| one.id == deployment).map(|one| one.archive);
        let at = self.now();
        self.alter(owner, id, |function| {
            let mut step = function.delete_deployment(deployment, at)?;
            step.rows.push((row::build_log(id, deployment), None));
            Ok(step)
        })
        .await?;
        if let Some(archive) = archive {
            self.forget_archive(archive).await;
        }
        Ok(())
    }

    /// Moves what a guest had to the user that it became.
    pub(crate) async fn give_functions(&self, from: LaneId, to: LaneId) -> Result<(), Refusal> {
        let (first, last) = row::function_range(from);
        for (key, _) in self.world().store.rows(first, last, Order::Ascending, FUNCTIONS_MAX).await.map_err(fault)? {
            let Some(id) = row::lane_of(&key) else { continue };
            let at = self.now();
            match self.alter(from, id, |function| Ok(function.give(to, at))).await {
                Err(refusal) if refusal.code == Refusal::FUNCTION_UNKNOWN.code => {}
                given => drop(given?),
            }
        }
        Ok(())
    }

    /// Decides and commits; when somebody else was faster, decides again over what they left.
    pub(crate) async fn alter(
        &self,
        owner: LaneId,
        id: LaneId,
        decide: impl Fn(&mut Function) -> Result<Step<()>, Refusal>,
    ) -> Result<Function, Refusal> {
        for _ in 0..CONFLICTS_MAX {
            let mut function = self.function(owner, id).await?;
            let step = decide(&mut function)?;
            match self.commit_function(id, &step).await {
                Commit::Conflict => continue,
                commit => kept(commit)?,
            }
            self.reroute(&function);
            step.result?;
            return Ok(function);
        }
        Err(Refusal::BUSY)
    }

    async fn commit_function<T>(&self, lane: LaneId, step: &Step<T>) -> Commit {
        let batch = Batch { lane, expect: step.expect, records: step.records.clone(), rows: step.rows.clone() };
        self.world().store.commit(batch).await
    }

    /// What the rules cannot know: the runtimes of this machine, and what cron understands.
    async fn check_plan(&self, plan: &Plan) -> Result<(), Refusal> {
        if let Some(cron) = &plan.cron {
            Times::parse(cron, TIMEZONE)?;
        }
        self.language(&plan.runtime).await.map(drop)
    }

    /// A language that this machine can run.
    pub(crate) async fn language(&self, name: &str) -> Result<&Runtime, Refusal> {
        let languages = &self.world().runtimes.found().await.languages;
        let unknown = || {
            let names: Vec<&str> = languages.keys().map(String::as_str).collect();
            Refusal::RUNTIME_UNKNOWN.because(format!("{name:?} is no runtime; there are {}.", names.join(", ")))
        };
        let runtime = languages.get(name).ok_or_else(unknown)?;
        match &runtime.standing {
            Standing::Missing(why) => Err(Refusal::RUNTIME_MISSING.because(why.clone())),
            Standing::Found(_) | Standing::Contained { .. } | Standing::Own => Ok(runtime),
        }
    }

    async fn claim_slug(&self, slug: &str, id: LaneId) -> Result<(), Refusal> {
        self.change_claim(slug, |claim, is_there, at| Some(claim.take(slug, id, is_there, at))).await
    }

    /// Where it fails, the slug is anybody's as soon as somebody wants it: no function is called so.
    async fn release_slug(&self, slug: &str, id: LaneId) {
        let _ = self.change_claim(slug, |claim, _, at| claim.release(slug, id, at)).await;
    }

    async fn change_claim(
        &self,
        slug: &str,
        decide: impl Fn(&mut Claim, bool, At) -> Option<Step<()>>,
    ) -> Result<(), Refusal> {
        for _ in 0..CONFLICTS_MAX {
            let bytes = self.world().store.row(row::function_slug(slug)).await.map_err(fault)?;
            let mut claim = bytes.and_then(|bytes| row::decode(&bytes)).unwrap_or(Claim::OF_NOBODY);
            let is_there = match claim.function {
                Some(holder) => self.any_function(holder).await?.is_some_and(|function| function.plan.slug == slug),
                None => false,
            };
            let Some(step) = decide(&mut claim, is_there, self.now()) else { return Ok(()) };
            step.result?;
            let (expect, records, rows) = (step.expect, step.records, step.rows);
            match self.world().store.commit(Batch { lane: Claim::lane(slug), expect, records, rows }).await {
                Commit::Conflict => continue,
                commit => return kept(commit),
            }
        }
        Err(Refusal::BUSY)
    }

    /// Piece by piece, as any other file.
    async fn keep_archive(&self, owner: LaneId, path: &Path, bytes: u64) -> Result<u128, Refusal> {
        let id = self.announce_file(owner, "code".into(), "application/octet-stream", bytes).await?;
        let mut uploading = self.begin_upload(id, Some(bytes)).await?;
        let file = fs::File::open(path).map_err(unreadable)?;
        let mut rest = std::io::BufReader::with_capacity(FILE_PIECE_BYTES, file);
        loop {
            let mut piece = Vec::new();
            io::Read::read_to_end(&mut io::Read::take(&mut rest, FILE_PIECE_BYTES as u64), &mut piece)
                .map_err(unreadable)?;
            let is_last = piece.len() < FILE_PIECE_BYTES;
            if !piece.is_empty() {
                uploading.take(piece).await?;
            }
            if is_last {
                break;
            }
        }
        uploading.finish().await?;
        Ok(id)
    }

    async fn forget_archive(&self, id: u128) {
        let Ok(File { bytes, .. }) = self.file(id).await else { return };
        let pieces = bytes.div_ceil(FILE_PIECE_BYTES as u64) as u32;
        let rows = (0..pieces).map(|index| row::piece(id, index)).chain([row::file(id)]);
        let rows = rows.map(|key| (key, None)).collect();
        let batch = Batch { lane: LaneId(id), expect: rules::record::Position::START, records: Vec::new(), rows };
        if let Err(refusal) = kept(self.world().store.commit(batch).await) {
            tracing::warn!(file = format!("{id:032x}"), refusal.code, "code that nobody needs stays");
        }
    }
}

fn archives_of(function: &Function) -> Vec<u128> {
    function.deployments.iter().map(|deployment| deployment.archive).collect()
}

/// Its hash and its size, if it can be unpacked at all.
fn look_into(archive: &Path, trees: &Path) -> Result<([u8; 32], u64), Refusal> {
    let mut file = fs::File::open(archive).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    if bytes > rules::limits::FILE_BYTES_MAX {
        return Err(Refusal::FILE_TOO_LARGE);
    }
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut file, &mut hasher).map_err(unreadable)?;
    let folder = Scratch::new(trees).map_err(unreadable)?;
    unpack(archive, folder.path())?;
    Ok((*hasher.finalize().as_bytes(), bytes))
}

fn unpack(archive: &Path, into: &Path) -> Result<(), Refusal> {
    let file = fs::File::open(archive).map_err(unreadable)?;
    match archive::unpack(file, into) {
        Ok(_) => Ok(()),
        Err(NotUnpacked::Refused(refusal)) => Err(refusal),
        Err(NotUnpacked::Io(error)) => Err(unreadable(error)),
    }
}

fn unreadable(error: io::Error) -> Refusal {
    tracing::error!(%error, "the code of a function cannot be kept");
    if error.kind() == io::ErrorKind::StorageFull { Refusal::FULL } else { Refusal::FAULT }
}

/// A folder that is gone when it is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// What a crash leaves of them is swept at the next start.
    const PREFIX: &str = "scratch.";

    fn new(trees: &Path) -> io::Result<Scratch> {
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(|_| io::ErrorKind::Other)?;
        let folder = trees.join(format!("{}{:016x}", Scratch::PREFIX, u64::from_be_bytes(name)));
        fs::create_dir_all(&folder)?;
        Ok(Scratch(folder))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What of a name can stand in an address.
fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for char in name.chars().flat_map(char::to_lowercase) {
        match char {
            'a'..='z' | '0'..='9' => slug.push(char),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(FUNCTION_SLUG_BYTES_MAX);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "function".into() } else { slug.into() }
}
