//! `everfold doctor`: what this machine offers.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use rules::egress::Allowed;
use serde_json::json;
use worker::{
    jail::Layer,
    quickjs::{Options, QuickJs},
    runtimes::{Runtime, Standing},
    server::launch::Image,
};

use super::{Failure, runtime, say};

#[derive(clap::Args)]
pub struct Doctor {
    /// The directory whose disk is measured
    #[arg(long, env = "EVERFOLD_DATA", default_value = ".")]
    data: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const SYNCS: usize = 50;

impl Doctor {
    pub fn run(self) -> Result<(), Failure> {
        let begun = Instant::now();
        let worker = runtime()?.block_on(QuickJs::start(Options::of_this_binary(1)));
        let worker = worker.map_err(|error| Failure::new(format!("User code cannot be run here: {error}")))?;
        let started = begun.elapsed();
        let layers = worker.layers();
        let sync = sync_latency(&self.data)?;
        let scratch = Scratch::new()?;
        let runtimes =
            crate::serve::runtimes(&scratch.0, &Allowed::public()).map_err(|error| Failure::new(error.to_string()))?;
        let found = runtime()?.block_on(runtimes.found());
        if self.json {
            let listed = |layers: &[Layer]| -> Vec<_> {
                let layers = layers.iter();
                layers.map(|layer| json!({"name": layer.name, "holds": layer.holds, "detail": layer.detail})).collect()
            };
            let languages = found.languages.values().map(|language| match &language.standing {
                Standing::Found(version) => json!({"name": language.name, "version": version}),
                Standing::Contained { engine } => json!({"name": language.name, "container": engine}),
                Standing::Missing(why) => json!({"name": language.name, "missing": why}),
                Standing::Own => json!({"name": language.name}),
            });
            return say(json!({
                "sandbox": listed(&layers),
                "functions": match &found.servers {
                    Ok(servers) => json!({"sandbox": listed(servers.layers())}),
                    Err(why) => json!({"missing": why}),
                },
                "runtimes": languages.collect::<Vec<_>>(),
                "workerStartMs": started.as_secs_f64() * 1000.0,
                "syncMs": sync.as_secs_f64() * 1000.0,
            }));
        }
        say("Sandbox around user JavaScript (inside of it: WebAssembly, inside of that: QuickJS)")?;
        layers.iter().try_for_each(show)?;
        if layers.iter().any(|layer| !layer.holds) {
            say("  A missing layer is most often a container that forbids user namespaces; run outside of it, or")?;
            say("  allow them. User code still runs behind the layers that hold.")?;
        }
        say("Sandbox around functions")?;
        match &found.servers {
            Ok(servers) => servers.layers().iter().try_for_each(show)?,
            Err(why) => say(format_args!("  MISSING  {why}"))?,
        }
        say("Runtimes of functions")?;
        for language in found.languages.values() {
            let Runtime { title, standing, .. } = language;
            match standing {
                Standing::Found(version) => say(format_args!("  found    {title} {version}"))?,
                Standing::Contained { engine } => {
                    let image = language.image.as_ref().map_or("", Image::name);
                    say(format_args!("  found    {title}, in a container of {image} by {engine}"))?;
                }
                Standing::Missing(why) => say(format_args!("  MISSING  {why}"))?,
                Standing::Own => say(format_args!("  found    {title}"))?,
            }
        }
        say(format_args!("Worker ready after {:.0} ms", started.as_secs_f64() * 1000.0))?;
        say(format_args!(
            "Disk   {:.2} ms to sync a write in {} (median of {SYNCS}): this bounds the latency of a lone write",
            sync.as_secs_f64() * 1000.0,
            self.data.display(),
        ))
    }
}

fn show(layer: &Layer) -> Result<(), Failure> {
    let mark = if layer.holds { "holds  " } else { "MISSING" };
    let detail = if layer.detail.is_empty() { String::new() } else { format!("  {}", layer.detail) };
    say(format_args!("  {mark}  {}{detail}", layer.name))
}

/// A folder that goes when the doctor does.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch, Failure> {
        let folder = std::env::temp_dir().join(format!("everfold-doctor-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The median time of a small write and its sync.
fn sync_latency(directory: &std::path::Path) -> Result<Duration, Failure> {
    let directory = directory.ancestors().find(|path| path.is_dir()).unwrap_or(std::path::Path::new("."));
    let path = directory.join(format!(".everfold-doctor-{}", std::process::id()));
    let mut file = fs::File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    let mut measure = || {
        for _ in 0..SYNCS {
            let begun = Instant::now();
            file.write_all(&[b'.'; 400])?;
            file.sync_data()?;
            times.push(begun.elapsed());
        }
        Ok::<(), std::io::Error>(())
    };
    let measured = measure();
    fs::remove_file(&path)?;
    measured?;
    times.sort();
    Ok(times[SYNCS / 2])
}
