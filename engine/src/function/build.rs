//! Builds what was deployed: unpacked from what is kept, built in a sandbox, and put where it is launched from.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rules::{
    file::File,
    function::{BUILD_ERROR_BYTES_MAX, Deployment, DeploymentId, Function, Status, Tree},
    record::LaneId,
    refusal::Refusal,
    row,
};
use store::Order;
use tokio::sync::{Semaphore, watch};
use worker::{
    runtimes::Runtime,
    server::{
        build::{Build, BuildLimits},
        process::Why,
    },
};

use super::{Scratch, route, unpack};
use crate::{BUILDS_AT_ONCE_MAX, Engine, WORKER_RETRY_MAX_MS, lanes::fault};

/// What a person is shown of a build that failed: its last words.
const LAST_WORDS_BYTES: usize = BUILD_ERROR_BYTES_MAX / 2;

pub struct Builds {
    /// The functions of which something is being built.
    busy: Mutex<HashSet<LaneId>>,
    logs: Mutex<HashMap<DeploymentId, Arc<BuildLog>>>,
    places: Semaphore,
}

impl Default for Builds {
    fn default() -> Builds {
        Builds { busy: Mutex::default(), logs: Mutex::default(), places: Semaphore::new(BUILDS_AT_ONCE_MAX) }
    }
}

impl Builds {
    fn logs(&self) -> MutexGuard<'_, HashMap<DeploymentId, Arc<BuildLog>>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn busy(&self) -> MutexGuard<'_, HashSet<LaneId>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a build printed so far.
pub struct BuildLog {
    printed: Mutex<String>,
    /// How much that is, and whether it is all.
    told: watch::Sender<(usize, bool)>,
    cancelled: watch::Sender<bool>,
}

impl BuildLog {
    fn new() -> Arc<BuildLog> {
        Arc::new(BuildLog {
            printed: Mutex::default(),
            told: watch::Sender::new((0, false)),
            cancelled: watch::Sender::new(false),
        })
    }

    fn whole(text: String) -> Arc<BuildLog> {
        let log = BuildLog::new();
        log.print(&text);
        log.end();
        log
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, text: &str) {
        let mut printed = self.lock();
        printed.push_str(text);
        self.told.send_replace((printed.len(), false));
    }

    fn end(&self) {
        self.told.send_modify(|told| told.1 = true);
    }

    /// What was printed behind `from`; waits for some. `None` when that was all.
    pub async fn next(&self, from: usize) -> Option<String> {
        let mut told = self.told.subscribe();
        let _ = told.wait_for(|(bytes, is_over)| *bytes > from || *is_over).await;
        let printed = self.lock();
        printed.get(from..).filter(|rest| !rest.is_empty()).map(str::to_owned)
    }
}

/// Why there is no tree.
enum NotBuilt {
    /// The code's own fault.
    Failed(String),
    /// Not the code's: it is tried again when the server starts anew.
    Refused(Refusal),
    Cancelled,
}

impl From<Refusal> for NotBuilt {
    fn from(refusal: Refusal) -> NotBuilt {
        NotBuilt::Refused(refusal)
    }
}

impl From<io::Error> for NotBuilt {
    fn from(error: io::Error) -> NotBuilt {
        NotBuilt::Refused(super::unreadable(error))
    }
}

impl Engine {
    /// Goes on with what the end of a server interrupted.
    pub(super) async fn resume_builds(&self) {
        self.sweep_scratch();
        let (from, to) = row::building_range();
        let rows = loop {
            match self.world().store.rows(from.clone(), to.clone(), Order::Ascending, usize::MAX).await {
                Ok(rows) => break rows,
                Err(fault) => tracing::error!(%fault, "builds do not go on yet"),
            }
            self.world().clock.sleep(WORKER_RETRY_MAX_MS).await;
        };
        rows.iter().filter_map(|(key, _)| row::lane_of(key)).for_each(|id| self.build_what_waits(id));
    }

    fn sweep_scratch(&self) {
        let Some(trees) = self.world().runtimes.trees() else { return };
        for entry in fs::read_dir(trees).into_iter().flatten().flatten() {
            if entry.file_name().as_bytes().starts_with(Scratch::PREFIX.as_bytes()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Builds whatever of a function is to be built, one after the other, beside the caller.
    pub(super) fn build_what_waits(&self, id: LaneId) {
        if !self.functions().builds.busy().insert(id) {
            return;
        }
        let engine = self.clone();
        tokio::spawn(async move {
            let builds = &engine.functions().builds;
            loop {
                let built = {
                    let _place = builds.places.acquire().await;
                    engine.build_next(id).await
                };
                match built {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(refusal) => {
                        let function = format!("{:032x}", id.0);
                        tracing::error!(function, refusal.code, detail = %refusal.detail, "a build is tried again later");
                        engine.world().clock.sleep(WORKER_RETRY_MAX_MS).await;
                        continue;
                    }
                }
                builds.busy().remove(&id);
                // Between the last look and now something may have come.
                match engine.any_function(id).await {
                    Ok(Some(function)) if function.to_build().is_some() && builds.busy().insert(id) => {}
                    _ => return,
                }
            }
        });
    }

    /// `false`: there is nothing left to build.
    async fn build_next(&self, id: LaneId) -> Result<bool, Refusal> {
        let Some(function) = self.any_function(id).await? else { return Ok(false) };
        let Some(deployment) = function.to_build().cloned() else { return Ok(false) };
        let log = self.log_of(deployment.id);
        let at = self.now();
        let begun = self.alter(function.owner, id, |function| {
            let nothing = || Refusal::DEPLOYMENT_OVER;
            function.begin_build(deployment.id, at).ok_or_else(nothing)
        });
        match begun.await {
            // One that a server's end interrupted has begun already.
            Err(refusal) if refusal.code == Refusal::DEPLOYMENT_OVER.code => {}
            begun => drop(begun?),
        }
        let built = match self.build(&function, &deployment, &log).await {
            Ok(tree) => Some(Ok(tree)),
            Err(NotBuilt::Failed(why)) => Some(Err(why)),
            Err(NotBuilt::Refused(refusal)) if refusal.status >= 500 => return Err(refusal),
            Err(NotBuilt::Refused(refusal)) => Some(Err(refusal.detail.into_owned())),
            Err(NotBuilt::Cancelled) => None,
        };
        let (at, printed) = (self.now(), log.lock().clone());
        if let Some(built) = built {
            let ended = self.alter(function.owner, id, |function| {
                let step = function.end_build(deployment.id, built.clone(), at);
                let mut step = step.ok_or(Refusal::DEPLOYMENT_OVER)?;
                step.rows.push((row::build_log(id, deployment.id), Some(row::encode(&printed))));
                Ok(step)
            });
            match ended.await {
                Err(refusal) if refusal.code == Refusal::DEPLOYMENT_OVER.code => {}
                ended => drop(ended?),
            }
        }
        log.end();
        self.functions().builds.logs().remove(&deployment.id);
        Ok(true)
    }

    fn log_of(&self, deployment: DeploymentId) -> Arc<BuildLog> {
        self.functions().builds.logs().entry(deployment).or_insert_with(BuildLog::new).clone()
    }

    pub(super) fn stop_build(&self, deployment: DeploymentId) {
        if let Some(log) = self.functions().builds.logs().get(&deployment) {
            log.cancelled.send_replace(true);
        }
    }

    /// What a build printed, or prints.
    pub async fn build_log(
        &self,
        owner: LaneId,
        id: LaneId,
        deployment: DeploymentId,
    ) -> Result<Arc<BuildLog>, Refusal> {
        let function = self.function(owner, id).await?;
        let one = function.deployments.iter().find(|one| one.id == deployment).ok_or(Refusal::DEPLOYMENT_UNKNOWN)?;
        if matches!(one.status, Status::Waiting | Status::Building) {
            return Ok(self.log_of(deployment));
        }
        let bytes = self.world().store.row(row::build_log(id, deployment)).await.map_err(fault)?;
        Ok(BuildLog::whole(bytes.and_then(|bytes| row::decode(&bytes)).unwrap_or_default()))
    }

    /// The code of one that was built before lies here no more: on another machine, most likely.
    pub(super) async fn rebuild(&self, function: &Function, deployment: &Deployment) -> Result<(), Refusal> {
        let _place = self.functions().builds.places.acquire().await;
        let wanted = function.answering().and_then(|(_, tree)| self.tree_of(function.id, &tree));
        // Many may have come at once: one of them was here before.
        if wanted.as_ref().is_some_and(|folder| folder.is_dir()) {
            return Ok(());
        }
        match self.build(function, deployment, &BuildLog::new()).await {
            Ok(tree) => {
                // What it is made of may have changed where it is downloaded from: it is launched under its first name.
                let built = self.tree_of(function.id, &tree);
                if let (Some(built), Some(wanted)) = (built, wanted)
                    && built != wanted
                {
                    fs::rename(built, wanted).map_err(super::unreadable)?;
                }
                Ok(())
            }
            Err(NotBuilt::Refused(refusal)) => Err(refusal),
            Err(NotBuilt::Failed(why)) => Err(Refusal::DEPLOYMENT_NOT_READY.because(why)),
            Err(NotBuilt::Cancelled) => Err(Refusal::DEPLOYMENT_NOT_READY),
        }
    }

    async fn build(&self, function: &Function, deployment: &Deployment, log: &Arc<BuildLog>) -> Result<Tree, NotBuilt> {
        let trees = self.world().runtimes.trees().ok_or(Refusal::UNAVAILABLE)?.to_owned();
        let language = self.language(&deployment.runtime).await?;
        let scratch = Scratch::new(&trees)?;
        let (archive, tree) = (scratch.path().join("code"), scratch.path().join("tree"));
        self.fetch_archive(deployment.archive, &archive).await?;
        let into = tree.clone();
        let unpacked = tokio::task::spawn_blocking(move || {
            fs::create_dir(&into)?;
            fs::set_permissions(&into, fs::Permissions::from_mode(0o755))?;
            unpack(&archive, &into).map_err(NotBuilt::from)?;
            Ok::<(), NotBuilt>(())
        });
        unpacked.await.map_err(|_| Refusal::FAULT)??;
        if let Some(command) = command_of(deployment, language, &tree) {
            log.print(&format!("$ {command}\n"));
            self.run_build(function, deployment, language, command, &tree, log).await?;
        }
        let (id, engine) = (function.id, self.clone());
        let kept = tokio::task::spawn_blocking(move || {
            let kept = measure(&tree)?;
            let folder = engine.tree_of(id, &kept).ok_or(io::ErrorKind::NotFound)?;
            fs::create_dir_all(folder.parent().expect("it is one function's"))?;
            // What is there already under its hash is the same.
            if !folder.exists() {
                fs::rename(&tree, &folder)?;
            }
            Ok::<Tree, io::Error>(kept)
        });
        Ok(kept.await.map_err(|_| Refusal::FAULT)??)
    }

    async fn run_build(
        &self,
        function: &Function,
        deployment: &Deployment,
        language: &Runtime,
        command: String,
        tree: &Path,
        log: &Arc<BuildLog>,
    ) -> Result<(), NotBuilt> {
        let found = self.world().runtimes.found().await;
        let servers = found.servers.as_ref().map_err(|why| Refusal::RUNTIME_MISSING.because(why.clone()))?;
        let mut env = self.variables_of(function, false);
        let entrypoint = deployment.entrypoint.as_ref().unwrap_or(&language.entrypoint);
        env.push(("CI".into(), "true".into()));
        env.extend(route::own_variables(&language.path, entrypoint));
        let build = Build {
            argv: ["/bin/sh", "-c", &command].map(str::to_owned).to_vec(),
            env,
            runtime: language.folder.clone(),
            tree: tree.to_owned(),
            read_only: language.read_only.clone(),
            network: route::network(function.plan.network),
            image: language.container().cloned(),
            limits: BuildLimits::default(),
        };
        let mut building = servers.run(build).await.map_err(|error| NotBuilt::Failed(error.to_string()))?;
        let mut cancelled = log.cancelled.subscribe();
        let mut rest = Vec::new();
        loop {
            let piece = tokio::select! {
                piece = building.next() => piece,
                () = async { drop(cancelled.wait_for(|is_cancelled| *is_cancelled).await) } => {
                    building.cancel();
                    let _ = building.ended().await;
                    return Err(NotBuilt::Cancelled);
                }
            };
            let Some(piece) = piece else { break };
            rest.extend(piece);
            log.print(&take_text(&mut rest));
        }
        log.print(&String::from_utf8_lossy(&rest));
        let ended = building.ended().await?;
        match ended.why {
            Why::Exited(0) => Ok(()),
            Why::Cancelled => Err(NotBuilt::Cancelled),
            why => {
                let printed = log.lock();
                let from = printed.ceil_char_boundary(printed.len().saturating_sub(LAST_WORDS_BYTES));
                Err(NotBuilt::Failed(format!("The build failed. {why}\n{}", printed[from..].trim_end())))
            }
        }
    }

    async fn fetch_archive(&self, id: u128, to: &Path) -> Result<(), NotBuilt> {
        let file: File = self.file(id).await?;
        let mut archive = fs::File::create(to)?;
        for index in 0..file.pieces() {
            io::Write::write_all(&mut archive, &self.piece(id, index).await?)?;
        }
        Ok(())
    }
}

/// What makes a tree ready to run, if anything is to be done at all.
fn command_of(deployment: &Deployment, language: &Runtime, tree: &Path) -> Option<String> {
    match &deployment.build {
        Some(command) if command.trim() == "true" || command.trim().is_empty() => None,
        Some(command) => Some(command.clone()),
        None => {
            let build = language.build.as_ref()?;
            let is_needed = build.only_with.as_ref().is_none_or(|file| tree.join(file).is_file());
            is_needed.then(|| build.command.clone())
        }
    }
}

/// The text at the beginning; a character that has not come whole stays behind.
fn take_text(bytes: &mut Vec<u8>) -> String {
    let whole = match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => bytes.len(),
    };
    let rest = bytes.split_off(whole);
    String::from_utf8_lossy(&std::mem::replace(bytes, rest)).into_owned()
}

/// What is in a tree, and a hash of all that a function could see of it but its times.
fn measure(tree: &Path) -> io::Result<Tree> {
    let mut hasher = blake3::Hasher::new_derive_key("everfold 2026 tree of a function");
    let (mut bytes, mut files) = (0, 0);
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let mut names: Vec<_> = fs::read_dir(tree.join(&folder))?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()?;
        names.sort();
        for name in names {
            let path = folder.join(name);
            let found = fs::symlink_metadata(tree.join(&path))?;
            let mut note = |kind: &[u8], said: &[u8]| {
                for part in [kind, path.as_os_str().as_bytes(), said] {
                    hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
                }
            };
            if found.is_dir() {
                note(b"folder", b"");
                folders.push(path);
            } else if found.is_symlink() {
                note(b"link", fs::read_link(tree.join(&path))?.as_os_str().as_bytes());
            } else if found.is_file() {
                let is_program = found.mode() & 0o100 != 0;
                note(if is_program { b"program" } else { b"file" }, &found.len().to_be_bytes());
                hasher.update_reader(fs::File::open(tree.join(&path))?)?;
                (bytes, files) = (bytes + found.len(), files + 1);
            }
        }
    }
    Ok(Tree { hash: *hasher.finalize().as_bytes(), bytes, files })
}
