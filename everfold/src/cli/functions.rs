//! `everfold functions`: list them, with their addresses.

use serde::Deserialize;
use serde_json::Value;

use super::{Failure, Remote, client::Client, say, time_of};

#[derive(clap::Args)]
pub struct Functions {
    #[command(flatten)]
    remote: Remote,
}

/// A function by its name, its slug or its id.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Function {
    pub id: String,
    pub name: String,
    pub slug: String,
    pub url: String,
    pub runtime: String,
    pub active_deployment: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    pub id: String,
    pub status: String,
    pub is_active: bool,
    pub hash: String,
    pub bytes: u64,
    pub error: Option<String>,
    pub created_at: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    objects: Vec<T>,
    next_token: Option<String>,
}

impl Functions {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        if self.remote.json {
            return say(client.get::<Value>("/api/functions")?);
        }
        let functions = all(&client)?;
        if functions.is_empty() {
            return say("There are none yet: 'everfold deploy DIR --publish' makes one of a folder.");
        }
        for Function { name, runtime, url, active_deployment, .. } in functions {
            let state = if active_deployment.is_some() { "live" } else { "no code" };
            say(format_args!("{name:<20}  {runtime:<8}  {state:<7}  {url}"))?;
        }
        Ok(())
    }
}

pub fn all(client: &Client) -> Result<Vec<Function>, Failure> {
    let mut functions = Vec::new();
    let mut path = "/api/functions".to_owned();
    loop {
        let page: Page<Function> = client.get(&path)?;
        functions.extend(page.objects);
        let Some(token) = page.next_token else { return Ok(functions) };
        path = format!("/api/functions?token={token}");
    }
}

pub fn find(client: &Client, name: &str) -> Result<Function, Failure> {
    let functions = all(client)?;
    let known: Vec<_> = functions.iter().map(|function| function.name.clone()).collect();
    let is_meant = |function: &Function| [&function.name, &function.slug, &function.id].contains(&&name.to_owned());
    functions.into_iter().find(is_meant).ok_or_else(|| {
        let hint = match known.as_slice() {
            [] => "there are none yet: 'everfold deploy DIR --publish' makes one of a folder".to_owned(),
            known => format!("yours are {}", known.join(", ")),
        };
        Failure::new(format!("No function of yours is called {name:?} at {}.", client.url)).hint(hint)
    })
}

/// Newest first.
pub fn deployments(client: &Client, function: &Function) -> Result<Vec<Deployment>, Failure> {
    Ok(client.get::<Page<Deployment>>(&format!("/api/functions/{}/deployments", function.id))?.objects)
}

/// The one whose id begins so: nobody types all of it.
pub fn deployment(client: &Client, function: &Function, id: &str) -> Result<Deployment, Failure> {
    let mut found: Vec<_> = deployments(client, function)?
        .into_iter()
        .filter(|one| one.id.starts_with(id) || one.id.ends_with(id))
        .collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(Failure::new(format!("{id:?} may mean several deployments of {}.", function.name))
            .hint("write more of its id")),
        (None, _) => Err(Failure::new(format!("{} has no deployment {id:?}.", function.name))
            .hint(format!("everfold deployments {} lists them", function.name))),
    }
}

impl Deployment {
    /// As a person tells it from the others.
    pub fn short(&self) -> &str {
        &self.id[self.id.len() - 12..]
    }

    pub fn line(&self) -> String {
        let mark = if self.is_active { "*" } else { " " };
        let Deployment { status, hash, bytes, created_at, .. } = self;
        format!("{mark} {}  {status:<9}  {}  {bytes:>9} B  {}", self.short(), &hash[..12], time_of(*created_at))
    }
}
