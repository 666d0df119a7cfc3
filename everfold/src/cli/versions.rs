//! `everfold versions`, `publish`, `preview` and `restore`

use std::{fs, path::PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Failure, Remote,
    client::{Client, Hook, expect},
    excerpt,
    progress::watch_refold,
    say, show_patch,
};

#[derive(clap::Args)]
pub struct Versions {
    /// The hook's name or id
    hook: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Listed {
    objects: Vec<Version>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: u32,
    workflow_state: String,
    code: String,
    published_at: Option<i64>,
}

impl Versions {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let hook = client.hook(&self.hook)?;
        let path = format!("/api/hooks/{}/versions", hook.id);
        if self.remote.json {
            return say(client.get::<Value>(&path)?);
        }
        for version in client.get::<Listed>(&path)?.objects {
            let at = version.published_at.map(super::time_of).unwrap_or_else(|| "-".to_owned());
            let lines = version.code.lines().count();
            say(format_args!("{:>4}  {:<9}  {at:<19}  {lines} lines", version.version, version.workflow_state))?;
        }
        Ok(())
    }
}

#[derive(clap::Args)]
pub struct Publish {
    /// The hook's name or id
    hook: String,
    /// The code; without it, the draft that is there
    file: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

impl Publish {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let hook = client.hook(&self.hook)?;
        if let Some(file) = &self.file {
            client.put(&format!("/api/hooks/{}", hook.id), json!({"code": fs::read_to_string(file)?}))?;
        }
        publish(&client, &hook, &format!("/api/hooks/{}/publish", hook.id), &self.remote)
    }
}

/// Begins a refold and watches it.
fn publish(client: &Client, hook: &Hook, path: &str, remote: &Remote) -> Result<(), Failure> {
    let begun: Value = client.post(path, json!({}))?;
    let replay = watch_refold(client, hook)?;
    if remote.json {
        return say(begun);
    }
    match replay.status.as_str() {
        "done" => {
            say(format_args!("{}: version {} is live; {} requests folded", hook.name, begun["version"], replay.done))
        }
        other => Err(Failure::new(format!(
            "The refold of {} was {other} at {} of {}.",
            hook.name, replay.done, replay.total
        ))
        .hint("readers see the version from before; publish again when you are ready")),
    }
}

#[derive(clap::Args)]
pub struct Preview {
    /// The hook's name or id
    hook: String,
    /// The code; without it, the draft that is there
    file: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Previewed {
    total: u64,
    changed: u64,
    first_different_seq: Option<u64>,
    errors: Vec<PreviewError>,
    before: Value,
    after: Value,
    patch: Vec<Value>,
}

#[derive(Deserialize)]
struct PreviewError {
    seq: u64,
    error: Value,
}

impl Preview {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let hook = client.hook(&self.hook)?;
        let code = self.file.as_ref().map(fs::read_to_string).transpose()?;
        preview(&client, &hook, code, &self.remote)
    }
}

/// Says what publishing would change.
pub fn preview(client: &Client, hook: &Hook, code: Option<String>, remote: &Remote) -> Result<(), Failure> {
    let reply = client.call("POST", &format!("/api/hooks/{}/preview", hook.id), Some(json!({"code": code})))?;
    let body = expect(reply)?.body;
    if remote.json {
        return say(body);
    }
    let previewed: Previewed = super::client::parse(&body)?;
    let Previewed { total, changed, .. } = previewed;
    match previewed.first_different_seq {
        None => say(format_args!("{}: {total} requests folded again, and every state is the same", hook.name))?,
        Some(seq) => {
            say(format_args!("{}: {changed} of {total} states differ, the first behind request {seq}", hook.name))?;
            say(format_args!("  before  {}", excerpt(&previewed.before)))?;
            say(format_args!("  after   {}", excerpt(&previewed.after)))?;
            show_patch(&previewed.patch)?;
        }
    }
    for PreviewError { seq, error } in &previewed.errors {
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        say(format_args!("  ! {seq}  {}: {}", text("name"), text("message")))?;
    }
    Ok(())
}

#[derive(clap::Args)]
pub struct Restore {
    /// The hook's name or id; or, without a version, a file that 'everfold backup' wrote
    hook: String,
    /// The version that readers are to see again; 'everfold versions HOOK' lists them
    version: Option<u32>,
    /// For a backup: the empty directory that is to keep everything
    #[arg(long, env = "EVERFOLD_DATA", default_value = "./everfold-data")]
    data: PathBuf,
    #[command(flatten)]
    remote: Remote,
}

impl Restore {
    pub fn run(self) -> Result<(), Failure> {
        let Some(version) = self.version else {
            return super::backup::restore(self.hook.as_ref(), &self.data);
        };
        let client = self.remote.client()?;
        let hook = client.hook(&self.hook)?;
        let path = format!("/api/hooks/{}/versions/{version}/restore", hook.id);
        publish(&client, &hook, &path, &self.remote)
    }
}
