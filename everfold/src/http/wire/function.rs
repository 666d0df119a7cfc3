//! Functions, their deployments and variables, and what came of calling them.

use std::{collections::BTreeMap, fmt::Write};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use engine::function::{NewVariable, Whole};
use rules::{
    function::{
        Deployment, Function, Limits, Network, Plan, Status,
        execution::{Execution, Standing, Trigger},
    },
    refusal::Refusal,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use worker::{
    jail::Layer,
    runtimes::{Found, Runtime, Standing as OnMachine},
};

use super::{id_of, request_id};

/// What is left away stays, and is the default of a new one; `null` unsets.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionChange {
    pub name: Option<String>,
    slug: Option<String>,
    runtime: Option<String>,
    #[serde(deserialize_with = "given")]
    entrypoint: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    build: Option<Option<String>>,
    pub variables: Option<BTreeMap<String, GivenVariable>>,
    limits: Option<Map<String, Value>>,
    #[serde(deserialize_with = "given")]
    schedule: Option<Option<String>>,
    network: Option<String>,
}

/// A key that is there, if only with `null`.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum GivenVariable {
    Value(String),
    Whole {
        value: String,
        #[serde(default)]
        secret: bool,
    },
}

#[derive(Deserialize)]
pub struct NamedVariable {
    pub key: String,
    pub value: String,
    #[serde(default)]
    pub secret: bool,
}

impl FunctionChange {
    /// A plan of a new one.
    pub fn plan(&self) -> Result<Plan, Refusal> {
        let missing = || Refusal::FUNCTION_MALFORMED;
        let mut plan = Plan {
            name: self.name.clone().ok_or_else(missing)?,
            slug: String::new(),
            runtime: self.runtime.clone().ok_or_else(missing)?,
            entrypoint: None,
            build: None,
            limits: Limits::default(),
            cron: None,
            network: Network::None,
        };
        self.apply(&mut plan)?;
        Ok(plan)
    }

    pub fn apply(&self, plan: &mut Plan) -> Result<(), Refusal> {
        let FunctionChange { name, slug, runtime, entrypoint, build, limits, schedule, network, .. } = self;
        for (given, kept) in [(name, &mut plan.name), (slug, &mut plan.slug), (runtime, &mut plan.runtime)] {
            if let Some(given) = given {
                kept.clone_from(given);
            }
        }
        let optional = [(entrypoint, &mut plan.entrypoint), (build, &mut plan.build), (schedule, &mut plan.cron)];
        for (given, kept) in optional {
            if let Some(given) = given {
                kept.clone_from(given);
            }
        }
        for (limit, value) in limits.iter().flatten() {
            let not_whole = || Refusal::FUNCTION_LIMIT.because(format!("{limit} is a whole number."));
            plan.limits.set(limit, value.as_u64().ok_or_else(not_whole)?)?;
        }
        plan.network = match network.as_deref() {
            None => plan.network,
            Some("none") => Network::None,
            Some("internet") => Network::Internet,
            Some(other) => {
                let words = format!("{other:?} is no network: a function reaches none, or the internet.");
                return Err(Refusal::FUNCTION_MALFORMED.because(words));
            }
        };
        Ok(())
    }

    pub fn variables(&self) -> Option<BTreeMap<String, NewVariable>> {
        let variables = self.variables.as_ref()?;
        Some(variables.iter().map(|(key, given)| (key.clone(), given.clone().into())).collect())
    }
}

impl From<GivenVariable> for NewVariable {
    fn from(given: GivenVariable) -> NewVariable {
        match given {
            GivenVariable::Value(value) => NewVariable { value, is_secret: false },
            GivenVariable::Whole { value, secret } => NewVariable { value, is_secret: secret },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionDetail {
    id: String,
    name: String,
    slug: String,
    url: String,
    runtime: String,
    entrypoint: Option<String>,
    build: Option<String>,
    limits: BTreeMap<&'static str, u64>,
    schedule: Option<String>,
    network: &'static str,
    active_deployment: Option<String>,
    /// That run now.
    instances: usize,
    created_at: u64,
}

impl FunctionDetail {
    pub fn of(function: &Function, origin: &str, instances: usize) -> FunctionDetail {
        let Plan { name, slug, runtime, entrypoint, build, limits, cron, network } = &function.plan;
        let limits = Limits::ALL.iter().filter_map(|(name, ..)| Some((*name, limits.get(name)?)));
        FunctionDetail {
            id: id_of(function.id),
            url: format!("{origin}/f/{slug}"),
            name: name.clone(),
            slug: slug.clone(),
            runtime: runtime.clone(),
            entrypoint: entrypoint.clone(),
            build: build.clone(),
            limits: limits.collect(),
            schedule: cron.clone(),
            network: match network {
                Network::None => "none",
                Network::Internet => "internet",
            },
            active_deployment: function.active.map(request_id),
            instances,
            created_at: function.created_at.0,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentDetail {
    id: String,
    status: &'static str,
    is_active: bool,
    hash: String,
    bytes: u64,
    files: Option<u32>,
    built_bytes: Option<u64>,
    runtime: String,
    entrypoint: Option<String>,
    build: Option<String>,
    error: Option<String>,
    created_at: u64,
    ended_at: Option<u64>,
}

impl DeploymentDetail {
    pub fn of(deployment: &Deployment, active: Option<u128>) -> DeploymentDetail {
        let tree = match &deployment.status {
            Status::Ready(tree) => Some(tree),
            _ => None,
        };
        let error = match &deployment.status {
            Status::Failed(why) => Some(why.clone()),
            _ => None,
        };
        DeploymentDetail {
            id: request_id(deployment.id),
            status: deployment_status(&deployment.status),
            is_active: active == Some(deployment.id),
            hash: hexadecimal(&deployment.hash),
            bytes: deployment.archive_bytes,
            files: tree.map(|tree| tree.files),
            built_bytes: tree.map(|tree| tree.bytes),
            runtime: deployment.runtime.clone(),
            entrypoint: deployment.entrypoint.clone(),
            build: deployment.build.clone(),
            error,
            created_at: deployment.created_at.0,
            ended_at: deployment.ended_at.map(|at| at.0),
        }
    }
}

pub fn deployment_status(status: &Status) -> &'static str {
    match status {
        Status::Waiting => "waiting",
        Status::Building => "building",
        Status::Ready(_) => "ready",
        Status::Failed(_) => "failed",
        Status::Cancelled => "cancelled",
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[derive(Serialize)]
pub struct VariableListed {
    pub key: String,
    pub value: Option<String>,
    pub secret: bool,
}

/// A piece of what a build printed.
#[derive(Serialize)]
pub struct BuildPrinted {
    pub text: String,
}

#[derive(Serialize)]
pub struct BuildOver {
    pub status: &'static str,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct NewExecution {
    pub method: Option<String>,
    pub path: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
    #[serde(rename = "async")]
    pub is_async: bool,
    /// Milliseconds, or as RFC 3339 writes a moment.
    pub scheduled_at: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionListed {
    id: String,
    status: &'static str,
    trigger: &'static str,
    method: String,
    path: String,
    deployment: Option<String>,
    status_code: Option<u16>,
    code: Option<&'static str>,
    error: Option<String>,
    duration_ms: Option<f64>,
    cold_start: Option<bool>,
    attempts: u32,
    created_at: u64,
    scheduled_at: Option<u64>,
}

impl ExecutionListed {
    pub fn of(execution: &Execution) -> ExecutionListed {
        let outcome = execution.outcome();
        let failure = outcome.and_then(|outcome| outcome.failure.as_ref());
        ExecutionListed {
            id: request_id(execution.id),
            status: match &execution.standing {
                Standing::Waiting(_) => "waiting",
                Standing::Processing => "processing",
                Standing::Over(_) if failure.is_some() => "failed",
                Standing::Over(_) => "completed",
            },
            trigger: match execution.trigger {
                Trigger::Http => "http",
                Trigger::Api => "api",
                Trigger::Schedule => "schedule",
            },
            method: execution.method.clone(),
            path: execution.path.clone(),
            deployment: execution.deployment.map(request_id),
            status_code: outcome.and_then(|outcome| outcome.status),
            code: failure.map(|failure| failure.code()),
            error: failure.map(|failure| failure.sentence().into_owned()),
            duration_ms: outcome.map(|outcome| outcome.duration_us as f64 / 1000.0),
            cold_start: outcome.map(|outcome| outcome.is_cold),
            attempts: execution.attempts,
            created_at: execution.created_at.0,
            scheduled_at: execution.scheduled_at.map(|at| at.0),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionDetail {
    #[serde(flatten)]
    execution: ExecutionListed,
    headers: BTreeMap<String, String>,
    body: String,
    /// `base64` where the body is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_encoding: Option<&'static str>,
    /// It went on, and is not kept whole.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    body_truncated: bool,
    logs: String,
    errors: String,
}

impl ExecutionDetail {
    pub fn of(whole: &Whole) -> ExecutionDetail {
        let said = &whole.said;
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &said.headers {
            let value = String::from_utf8_lossy(&value.0);
            headers
                .entry(name.clone())
                .and_modify(|all| *all = format!("{all}, {value}"))
                .or_insert(value.into_owned());
        }
        let text = std::str::from_utf8(&said.body.0).ok();
        ExecutionDetail {
            execution: ExecutionListed::of(&whole.execution),
            headers,
            body: text.map_or_else(|| BASE64_STANDARD.encode(&said.body.0), str::to_owned),
            body_encoding: text.is_none().then_some("base64"),
            body_truncated: said.is_cut,
            logs: said.logs.clone(),
            errors: said.errors.clone(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimesListed {
    objects: Vec<RuntimeListed>,
    next_token: Option<String>,
    sandbox: SandboxDetail,
}

#[derive(Serialize)]
pub struct RuntimeListed {
    name: String,
    title: String,
    version: Option<String>,
    available: bool,
    reason: Option<String>,
    entrypoint: String,
    build: Option<String>,
}

#[derive(Serialize)]
pub struct SandboxDetail {
    available: bool,
    reason: Option<String>,
    layers: Vec<LayerListed>,
}

#[derive(Serialize)]
pub struct LayerListed {
    name: String,
    present: bool,
    detail: String,
}

impl RuntimesListed {
    pub fn of(found: &Found) -> RuntimesListed {
        let layer = |layer: &Layer| LayerListed {
            name: layer.name.to_string(),
            present: layer.holds,
            detail: layer.detail.to_string(),
        };
        RuntimesListed {
            objects: found.languages.values().map(RuntimeListed::of).collect(),
            next_token: None,
            sandbox: SandboxDetail {
                available: found.servers.is_ok(),
                reason: found.servers.as_ref().err().cloned(),
                layers: found.servers.iter().flat_map(|servers| servers.layers()).map(layer).collect(),
            },
        }
    }
}

impl RuntimeListed {
    fn of(runtime: &Runtime) -> RuntimeListed {
        let (version, reason) = match &runtime.standing {
            OnMachine::Found(version) => (Some(version.clone()), None),
            OnMachine::Missing(why) => (None, Some(why.clone())),
            OnMachine::Contained { .. } | OnMachine::Own => (None, None),
        };
        RuntimeListed {
            name: runtime.name.clone(),
            title: runtime.title.clone(),
            available: reason.is_none(),
            version,
            reason,
            entrypoint: runtime.entrypoint.clone(),
            build: runtime.build.as_ref().map(|build| build.command.clone()),
        }
    }
}
