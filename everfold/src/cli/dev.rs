//! `everfold dev`: the server, and a directory that is deployed on every save.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::PathBuf,
    sync::{OnceLock, mpsc},
    time::{Duration, Instant},
};

use notify::{RecursiveMode, Watcher};
use rules::{limits, record::LaneId};
use serde_json::json;

use super::{
    Failure, Listening, PING_MS,
    client::{Client, Hook, expect},
    function,
    progress::watch_refold,
    project::{Project, hook_of, set_secrets},
    runtime, say,
};
use crate::{
    http::{Settings, wire},
    serve::{Server, asked_to_stop},
};

#[derive(clap::Args)]
pub struct Dev {
    /// The directory with `hooks/*.ts`, `actions/*.ts` and `functions/*/`; without one, an example hook
    dir: Option<PathBuf>,
    #[command(flatten)]
    listening: Listening,
}

/// An editor writes a file in several steps; this long after the last of them it is read.
const QUIET: Duration = Duration::from_millis(60);

const EXAMPLE: &str = include_str!("../../../examples/hooks/counter.ts");

impl Dev {
    pub fn run(self) -> Result<(), Failure> {
        let project = self.dir.map(Project::open).transpose()?;
        // Who develops on this machine is alone with it.
        let guest_writes_per_minute =
            if self.listening.listen.ip().is_loopback() { 0 } else { limits::GUEST_WRITES_PER_MINUTE };
        let settings = Settings { guest_writes_per_minute, ping: Duration::from_millis(PING_MS) };
        runtime()?.block_on(async {
            let server = Server::start(self.listening.config(settings)).await?;
            let url = format!("http://{}", server.address);
            say(format_args!("listening on {url}"))?;
            let known = server.developer();
            let developer = tokio::task::spawn_blocking(move || develop(&url, project, &known));
            let (stop, stopped) = tokio::sync::oneshot::channel::<Failure>();
            tokio::spawn(async move {
                if let Ok(Err(failure)) = developer.await {
                    let _ = stop.send(failure);
                }
            });
            let mut failed = None;
            let over = async {
                tokio::select! {
                    () = asked_to_stop() => {}
                    Ok(failure) = stopped => failed = Some(failure),
                }
            };
            server.run(over).await?;
            failed.map_or(Ok(()), Err)
        })?;
        // The watching thread ends with the process.
        std::process::exit(0)
    }
}

/// Deploys everything once, then whatever is saved.
fn develop(url: &str, project: Option<Project>, known: &OnceLock<LaneId>) -> Result<(), Failure> {
    let client = Client::signed_in(url)?;
    // The hooks that are deployed here are those that a browser on this machine shows.
    if let Some(developer) = wire::lane_of(&client.me()?.id) {
        let _ = known.set(developer);
    }
    say(format_args!("  open   {url}"))?;
    let Some(project) = project else {
        return deploy(&client, "counter", "(built in)", EXAMPLE, &BTreeMap::new(), true);
    };
    let (sender, events) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event| {
        let _ = sender.send(event);
    })
    .map_err(unwatchable)?;
    let sources = project.sources();
    for dir in sources.iter().map(PathBuf::as_path).chain([project.dir()]) {
        watcher.watch(dir, RecursiveMode::NonRecursive).map_err(unwatchable)?;
    }
    for folder in project.functions()?.values() {
        watcher.watch(folder, RecursiveMode::Recursive).map_err(unwatchable)?;
    }

    let (mut deployed, mut functions) = (HashMap::new(), HashMap::new());
    let mut is_first = true;
    loop {
        // A file that is being written may be gone for a moment: the next event brings it.
        let saved = match project.secrets() {
            Ok(secrets) => save(&client, &project, &secrets, &mut deployed, is_first),
            Err(failure) => Err(failure),
        };
        report(saved)?;
        report(save_functions(&client, &project, &mut functions))?;
        if std::mem::take(&mut is_first) {
            let folders = project.functions()?;
            let watched = sources
                .iter()
                .chain(folders.values())
                .map(|dir| dir.display().to_string())
                .collect::<Vec<_>>()
                .join(" and ");
            say(format_args!("\nwatching {watched} — save a file, and everything it ever received is folded again"))?;
        }
        if events.recv().is_err() {
            return Ok(());
        }
        while events.recv_timeout(QUIET).is_ok() {}
    }
}

/// Deploys what is not deployed as it stands, with the secrets as they stand.
fn save(
    client: &Client,
    project: &Project,
    secrets: &BTreeMap<String, String>,
    deployed: &mut HashMap<String, (String, BTreeMap<String, String>)>,
    is_first: bool,
) -> Result<(), Failure> {
    for (name, path) in project.hooks()? {
        let source = match fs::read_to_string(&path) {
            Ok(source) => source,
            Err(error) if is_first => return Err(error.into()),
            Err(_) => continue,
        };
        let now = (source, secrets.clone());
        if deployed.get(&name) != Some(&now) {
            let is_new = !deployed.contains_key(&name);
            report(deploy(client, &name, &path.display().to_string(), &now.0, secrets, is_new))?;
            deployed.insert(name, now);
        }
    }
    Ok(())
}

/// Builds what is not built as it stands, and lets it answer.
fn save_functions(client: &Client, project: &Project, deployed: &mut HashMap<String, Vec<u8>>) -> Result<(), Failure> {
    for (name, folder) in project.functions()? {
        let Ok(code) = function::packed(&folder) else { continue };
        if deployed.get(&name) != Some(&code) {
            report(function::deploy_packed(client, &name, &folder, &code, true))?;
            deployed.insert(name, code);
        }
    }
    Ok(())
}

fn unwatchable(error: notify::Error) -> Failure {
    Failure::new(format!("The directory cannot be watched: {error}."))
}

/// What is wrong with a file is said, and the next save is waited for.
fn report(deployed: Result<(), Failure>) -> Result<(), Failure> {
    let Err(failure) = deployed else { return Ok(()) };
    say(format_args!("error: {}", failure.message))?;
    failure.hint.map_or(Ok(()), |hint| say(format_args!("hint: {hint}")))
}

fn deploy(
    client: &Client,
    name: &str,
    shown: &str,
    source: &str,
    secrets: &BTreeMap<String, String>,
    is_first: bool,
) -> Result<(), Failure> {
    let (hook, _) = hook_of(client, name, source)?;
    if is_first {
        introduce(client, &hook, shown)?;
    }
    for secret in set_secrets(client, &hook, secrets)? {
        say(format_args!("{name}: secret {secret} is set; the requests from here on see it"))?;
    }
    let is_live = hook.published.as_ref().is_some_and(|published| published.code == source);
    if is_live {
        return Ok(());
    }
    client.put(&format!("/api/hooks/{}", hook.id), json!({"code": source}))?;
    let begun = Instant::now();
    let path = format!("/api/hooks/{}/publish", hook.id);
    expect(client.call("POST", &path, None)?).map_err(|failure| {
        // As compilers say it, so that an editor's terminal makes a link of it.
        let place = failure.place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
        Failure { message: format!("{shown}{place}: {}", failure.message), ..failure }
    })?;
    let replay = watch_refold(client, &hook)?;
    let took = begun.elapsed().as_millis();
    if hook.published.is_none() && replay.total == 0 {
        return Ok(());
    }
    say(format_args!("{name}: {} requests folded again in {took} ms", replay.total))?;
    show_state(client, &hook)
}

fn introduce(client: &Client, hook: &Hook, shown: &str) -> Result<(), Failure> {
    let url = &client.url;
    let (Some(write), Some(read)) = (hook.write_keys.first(), hook.read_keys.first()) else { return Ok(()) };
    say(format_args!("\n  {}  {shown}", hook.name))?;
    say(format_args!("    write  {url}/write/{write}"))?;
    say(format_args!("    read   {url}/read/{read}"))?;
    say(format_args!(
        "    try    curl -d '{{\"name\":\"tea\"}}' -H 'content-type: application/json' {url}/write/{write}"
    ))
}

fn show_state(client: &Client, hook: &Hook) -> Result<(), Failure> {
    /// What of a state is shown after a save.
    const EXCERPT_CHARS: usize = 400;
    let Some(key) = hook.read_keys.first() else { return Ok(()) };
    let state = expect(client.send("GET", &format!("/read/{key}"), &[], &[])?)?.body;
    let excerpt: String = state.chars().take(EXCERPT_CHARS).collect();
    let more = if excerpt.len() < state.len() { "…" } else { "" };
    say(format_args!("  state  {excerpt}{more}"))
}
