//! `everfold dev`: the server, and a directory that is deployed on every save.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::mpsc,
    time::{Duration, Instant},
};

use notify::{RecursiveMode, Watcher};
use serde_json::{Value, json};

use super::{
    Failure, Listening,
    client::{Client, Hook, Replay, expect},
    runtime, say,
};
use crate::serve::{Config, Server, asked_to_stop};

#[derive(clap::Args)]
pub struct Dev {
    /// The directory with `hooks/*.ts`; without one, an example hook
    dir: Option<PathBuf>,
    #[command(flatten)]
    listening: Listening,
}

/// An editor writes a file in several steps; this long after the last of them it is read.
const QUIET: Duration = Duration::from_millis(60);
/// How often a refold is looked at.
const LOOK: Duration = Duration::from_millis(20);

const EXAMPLE: &str = include_str!("../../../examples/hooks/counter.ts");

impl Dev {
    pub fn run(self) -> Result<(), Failure> {
        let Listening { listen, data } = self.listening;
        if let Some(dir) = self.dir.as_ref().filter(|dir| !dir.join("hooks").is_dir()) {
            return Err(Failure::new(format!("{} has no directory 'hooks'.", dir.display()))
                .hint("put a file such as hooks/counter.ts into it, or leave the directory away for an example"));
        }
        runtime()?.block_on(async {
            let server = Server::start(Config { listen, data }).await?;
            let url = format!("http://{}", server.address);
            say(format_args!("listening on {url}"))?;
            let dir = self.dir;
            let developer = tokio::task::spawn_blocking(move || develop(&url, dir.as_deref()));
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
            server.run(over).await;
            failed.map_or(Ok(()), Err)
        })?;
        // The watching thread ends with the process.
        std::process::exit(0)
    }
}

/// Deploys everything once, then whatever is saved.
fn develop(url: &str, dir: Option<&Path>) -> Result<(), Failure> {
    let client = Client::signed_in(url)?;
    let Some(dir) = dir else {
        return deploy(&client, "counter", "(built in)", EXAMPLE, true);
    };
    let hooks = dir.join("hooks");
    let (sender, events) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event| {
        let _ = sender.send(event);
    })
    .map_err(unwatchable)?;
    watcher.watch(&hooks, RecursiveMode::NonRecursive).map_err(unwatchable)?;

    let mut deployed = HashMap::new();
    for (name, path) in files(&hooks)? {
        let source = fs::read_to_string(&path)?;
        report(deploy(&client, &name, &path.display().to_string(), &source, true))?;
        deployed.insert(name, source);
    }
    say(format_args!("\nwatching {} — save a file, and everything it ever received is folded again", hooks.display()))?;

    while events.recv().is_ok() {
        while events.recv_timeout(QUIET).is_ok() {}
        for (name, path) in files(&hooks)? {
            let Ok(source) = fs::read_to_string(&path) else { continue };
            if deployed.get(&name) != Some(&source) {
                report(deploy(&client, &name, &path.display().to_string(), &source, !deployed.contains_key(&name)))?;
                deployed.insert(name, source);
            }
        }
    }
    Ok(())
}

fn unwatchable(error: notify::Error) -> Failure {
    Failure::new(format!("The directory cannot be watched: {error}."))
}

/// The hooks of a directory, by name: `hooks/github.ts` is the hook `github`.
fn files(hooks: &Path) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(hooks)? {
        let path = entry?.path();
        let is_source = path.extension().is_some_and(|extension| extension == "ts" || extension == "js");
        if let (true, Some(name)) = (is_source && path.is_file(), path.file_stem()) {
            files.insert(name.to_string_lossy().into_owned(), path);
        }
    }
    Ok(files)
}

/// What is wrong with a file is said, and the next save is waited for.
fn report(deployed: Result<(), Failure>) -> Result<(), Failure> {
    let Err(failure) = deployed else { return Ok(()) };
    say(format_args!("error: {}", failure.message))?;
    failure.hint.map_or(Ok(()), |hint| say(format_args!("hint: {hint}")))
}

fn deploy(client: &Client, name: &str, shown: &str, source: &str, is_first: bool) -> Result<(), Failure> {
    let hook = match client.hooks()?.into_iter().find(|hook| hook.name == name) {
        Some(hook) => hook,
        None => serde_json::from_value(client.post::<Value>("/api/hooks", json!({"name": name, "code": source}))?)
            .map_err(|error| Failure::new(error.to_string()))?,
    };
    if is_first {
        introduce(client, &hook, shown)?;
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

/// A bar while the history is folded, for histories long enough to see one.
fn watch_refold(client: &Client, hook: &Hook) -> Result<Replay, Failure> {
    let style = indicatif::ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {per_sec} {eta}")
        .expect("a fixed template");
    let bar = indicatif::ProgressBar::new(0).with_style(style).with_prefix(format!("refolding {}", hook.name));
    loop {
        let replay: Replay = client.get(&format!("/api/hooks/{}/replay", hook.id))?;
        bar.set_length(replay.total);
        bar.set_position(replay.done);
        if replay.status != "running" {
            bar.finish_and_clear();
            return Ok(replay);
        }
        std::thread::sleep(LOOK);
    }
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
