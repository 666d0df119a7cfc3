//! What answers where: the function that a slug leads to, ready to be launched.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rules::{
    function::{Claim, DeploymentId, Function, Limits, Network, Tree, execution::Failure},
    record::LaneId,
    refusal::Refusal,
    row,
};
use worker::server::launch::{self, Launch, ServerLimits};

use crate::{Engine, FUNCTION_ROUTES_MAX, lanes::fault};

/// How long an instance may take until it accepts.
const START_MS: u64 = 30_000;
/// How long one that nobody asks stays.
const IDLE_MS: u64 = 60_000;

/// Where a call goes.
pub struct Route {
    pub function: LaneId,
    pub limits: Limits,
    pub answering: Result<Answering, Failure>,
}

/// What answers.
pub enum Answering {
    Server {
        deployment: DeploymentId,
        launch: Box<Launch>,
    },
    /// Files, which Everfold serves by itself.
    Files {
        deployment: DeploymentId,
        tree: PathBuf,
        variables: Vec<(String, String)>,
    },
}

/// Those that were asked for. Whatever changes a function forgets its route.
#[derive(Default)]
pub struct Routes(Mutex<Known>);

#[derive(Default)]
struct Known {
    routes: HashMap<LaneId, Arc<Route>>,
    slugs: HashMap<String, LaneId>,
    /// Counts them, so that nobody keeps a route that was found before a change.
    changes: u64,
}

impl Routes {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Route {
    pub fn deployment(&self) -> Option<DeploymentId> {
        match &self.answering {
            Ok(Answering::Server { deployment, .. } | Answering::Files { deployment, .. }) => Some(*deployment),
            Err(_) => None,
        }
    }
}

impl Engine {
    /// The function that is called so.
    pub async fn route_of_slug(&self, slug: &str) -> Result<Arc<Route>, Refusal> {
        let (known, changes) = {
            let known = self.functions().routes.lock();
            let id = known.slugs.get(slug).copied();
            (id.and_then(|id| known.routes.get(&id).cloned()), known.changes)
        };
        if let Some(route) = known {
            return Ok(route);
        }
        let unknown = || Refusal::FUNCTION_UNKNOWN.because(format!("No function is called {slug:?} here."));
        let bytes = self.world().store.row(row::function_slug(slug)).await.map_err(fault)?;
        let claim: Option<Claim> = bytes.and_then(|bytes| row::decode(&bytes));
        let id = claim.and_then(|claim| claim.function).ok_or_else(unknown)?;
        let function = self.any_function(id).await?.filter(|function| function.plan.slug == slug);
        let route = self.find_route(&function.ok_or_else(unknown)?).await;
        self.learn_route(&route, Some(slug), changes);
        Ok(route)
    }

    pub async fn route_of(&self, id: LaneId) -> Result<Arc<Route>, Refusal> {
        let (known, changes) = {
            let known = self.functions().routes.lock();
            (known.routes.get(&id).cloned(), known.changes)
        };
        if let Some(route) = known {
            return Ok(route);
        }
        let function = self.any_function(id).await?.ok_or(Refusal::FUNCTION_UNKNOWN)?;
        let route = self.find_route(&function).await;
        self.learn_route(&route, None, changes);
        Ok(route)
    }

    fn learn_route(&self, route: &Arc<Route>, slug: Option<&str>, changes: u64) {
        // One that only has to wait for its code is asked for again.
        if matches!(route.answering, Err(Failure::NotReady(_))) {
            return;
        }
        let mut known = self.functions().routes.lock();
        if known.changes != changes {
            return;
        }
        if known.routes.len() >= FUNCTION_ROUTES_MAX {
            known.routes.clear();
            known.slugs.clear();
        }
        known.routes.insert(route.function, route.clone());
        if let Some(slug) = slug {
            known.slugs.insert(slug.to_owned(), route.function);
        }
    }

    async fn find_route(&self, function: &Function) -> Arc<Route> {
        let answering = self.find_answering(function).await;
        if let (Ok(Answering::Server { launch, .. }), Ok(servers)) =
            (&answering, &self.world().runtimes.found().await.servers)
        {
            servers.keep_warm(launch);
        }
        Arc::new(Route { function: function.id, limits: function.plan.limits, answering })
    }

    async fn find_answering(&self, function: &Function) -> Result<Answering, Failure> {
        let (deployment, tree) = function.answering().ok_or(Failure::NoDeployment)?;
        let not_ready = |refusal: Refusal| Failure::NotReady(refusal.detail.into_owned());
        let folder = self.tree_of(function.id, &tree).ok_or(Failure::NoDeployment)?;
        if !folder.is_dir() {
            self.rebuild(function, deployment).await.map_err(not_ready)?;
        }
        let language = self.language(&deployment.runtime).await.map_err(not_ready)?;
        let variables = self.variables_of(function, true);
        if language.launch.is_empty() {
            return Ok(Answering::Files { deployment: deployment.id, tree: folder, variables });
        }
        let limits = &function.plan.limits;
        let mut env = variables;
        env.extend(own_variables(&language.path, deployment.entrypoint.as_ref().unwrap_or(&language.entrypoint)));
        let launch = Launch {
            key: function.launch_key(deployment, &tree),
            argv: language.launch.clone(),
            env,
            runtime: language.folder.clone(),
            tree: folder,
            read_only: language.read_only.clone(),
            network: network(function.plan.network),
            image: language.container().cloned(),
            limits: ServerLimits {
                cpu_seconds: limits.cpu_seconds,
                memory_bytes: limits.memory_mb << 20,
                processes: limits.processes,
                tmp_bytes: limits.tmp_mb << 20,
                concurrency: limits.concurrency as usize,
                instances_min: limits.instances_min as usize,
                instances_max: limits.instances_max as usize,
                queue_wait_ms: limits.queue_wait_ms,
                start_ms: START_MS,
                idle_ms: IDLE_MS,
            },
        };
        Ok(Answering::Server { deployment: deployment.id, launch: Box::new(launch) })
    }

    /// Where a built tree lies.
    pub(super) fn tree_of(&self, function: LaneId, tree: &Tree) -> Option<PathBuf> {
        let name: String = tree.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(self.world().runtimes.trees()?.join(format!("{:032x}", function.0)).join(name))
    }

    /// Its variables; a build has no secrets.
    pub(super) fn variables_of(&self, function: &Function, with_secrets: bool) -> Vec<(String, String)> {
        let shown = function.variables.iter().filter(|(_, variable)| with_secrets || !variable.is_secret);
        let vault = &self.world().vault;
        shown.filter_map(|(key, one)| Some((key.clone(), vault.open_one(function.id, key, &one.sealed)?))).collect()
    }

    /// How many instances of a function run.
    pub fn instances_of(&self, id: LaneId) -> usize {
        let route = self.functions().routes.lock().routes.get(&id).cloned();
        match (route.as_deref(), self.world().runtimes.known()) {
            (Some(Route { answering: Ok(Answering::Server { launch, .. }), .. }), Some(found)) => {
                found.servers.as_ref().map_or(0, |servers| servers.instances(&launch.key))
            }
            _ => 0,
        }
    }

    /// After each change: who comes from now on goes where it leads, who came before is served to the end.
    pub(super) fn reroute(&self, function: &Function) {
        let key = function.answering().map(|(deployment, tree)| function.launch_key(deployment, &tree));
        self.forget_route(function.id, key);
        self.tell_cron(function.id, function.plan.cron.as_deref());
        if function.plan.limits.instances_min > 0 && key.is_some() {
            let (engine, id) = (self.clone(), function.id);
            tokio::spawn(async move { engine.route_of(id).await.map(drop) });
        }
    }

    pub(super) fn unroute(&self, id: LaneId) {
        self.forget_route(id, None);
        self.tell_cron(id, None);
    }

    fn forget_route(&self, id: LaneId, next: Option<launch::Key>) {
        let old = {
            let mut known = self.functions().routes.lock();
            known.changes += 1;
            known.slugs.retain(|_, function| *function != id);
            known.routes.remove(&id)
        };
        let Some(Route { answering: Ok(Answering::Server { launch, .. }), .. }) = old.as_deref() else { return };
        if let (true, Some(found)) = (next != Some(launch.key), self.world().runtimes.known())
            && let Ok(servers) = &found.servers
        {
            servers.drain(&launch.key);
        }
    }
}

/// What a server and a build are told, whatever the function's own variables say.
pub(super) fn own_variables(path: &str, entrypoint: &str) -> [(String, String); 5] {
    [
        ("PATH", path),
        ("EVERFOLD_RUNTIME", "/runtime"),
        ("EVERFOLD_FUNCTION", "/function"),
        ("OPEN_RUNTIMES_ENTRYPOINT", entrypoint),
        ("OPEN_RUNTIMES_ENV", "production"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
}

pub(super) fn network(network: Network) -> launch::Network {
    match network {
        Network::None => launch::Network::None,
        Network::Internet => launch::Network::Internet,
    }
}
