//! `everfold doctor`: what this machine offers.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::json;
use worker::quickjs::{Options, QuickJs};

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
        if self.json {
            let layers: Vec<_> = layers
                .iter()
                .map(|layer| json!({"name": layer.name, "holds": layer.holds, "detail": layer.detail}))
                .collect();
            return say(json!({
                "sandbox": layers,
                "workerStartMs": started.as_secs_f64() * 1000.0,
                "syncMs": sync.as_secs_f64() * 1000.0,
            }));
        }
        say("Sandbox around user JavaScript (inside of it: WebAssembly, inside of that: QuickJS)")?;
        for layer in &layers {
            let mark = if layer.holds { "holds  " } else { "MISSING" };
            let detail = if layer.detail.is_empty() { String::new() } else { format!("  {}", layer.detail) };
            say(format_args!("  {mark}  {}{detail}", layer.name))?;
        }
        if layers.iter().any(|layer| !layer.holds) {
            say("  A missing layer is most often a container that forbids user namespaces; run outside of it, or")?;
            say("  allow them. User code still runs behind the layers that hold.")?;
        }
        say(format_args!("Worker ready after {:.0} ms", started.as_secs_f64() * 1000.0))?;
        say(format_args!(
            "Disk   {:.2} ms to sync a write in {} (median of {SYNCS}): this bounds the latency of a lone write",
            sync.as_secs_f64() * 1000.0,
            self.data.display(),
        ))
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
