//! What this machine allows of a sandbox, layer by layer, seen by making one.

use std::{io, os::fd::OwnedFd, sync::Arc, time::Instant};

use landlock::{ABI, Access as _, CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};

use super::{
    NotStarted, bubble,
    launch::Network,
    process::{Ended, Why},
    sandbox::{Contents, Sandbox},
    station::Spawner,
};
use crate::{
    bounds::{HELLO_WAIT, SANDBOX_USERS_FIRST},
    jail::Layer,
};

const TRIAL_MEMORY_BYTES: u64 = 64 << 20;
const TRIAL_TMP_BYTES: u64 = 1 << 20;
const TRIAL_PROCESSES: u64 = 8;

/// Signals and abstract sockets end at the sandbox, whatever becomes of its namespaces. Files and ports are left to
/// bubblewrap: under a rule of Landlock about files it could mount nothing.
pub fn landlock() -> (Option<OwnedFd>, Layer) {
    let made = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::from_all(ABI::V6))
        .and_then(|ruleset| ruleset.create());
    let name = "landlock".to_owned();
    match made.map(Option::<OwnedFd>::from) {
        Ok(Some(ruleset)) => {
            (Some(ruleset), Layer { name, holds: true, detail: "signals and abstract sockets".into() })
        }
        Ok(None) => (None, Layer { name, holds: false, detail: "the kernel does not have it".into() }),
        Err(error) => (
            None,
            Layer { name, holds: false, detail: format!("signals and abstract sockets cannot be scoped: {error}") },
        ),
    }
}

/// Makes a sandbox in which nothing is done. Without one, nothing is run at all.
pub async fn layers(sandbox: &Arc<Sandbox>, spawner: &Spawner, landlock: Layer) -> Result<Vec<Layer>, NotStarted> {
    let begun = Instant::now();
    let ended = trial(spawner, Network::None).await?;
    let took = begun.elapsed();
    if ended.why != Why::Exited(0) {
        let said = ended.lines.join(" ");
        return Err(NotStarted::Unsandboxed(format!(
            "{} {}",
            if said.is_empty() { ended.why.to_string() } else { said },
            hint(&ended)
        )));
    }
    let internet = match trial(spawner, Network::Internet).await {
        Ok(ended) if ended.why == Why::Exited(0) => Ok(sandbox.internet.detail()),
        Ok(ended) => Err(ended.why.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let holds = |name: &str, holds: bool, detail: String| Layer { name: name.into(), holds, detail };
    let groups = &sandbox.groups;
    let user = if sandbox.changes_user() {
        format!("one of its own for each instance, from {SANDBOX_USERS_FIRST}")
    } else {
        "Everfold is not root, so functions run as its user, whose files they do not see".into()
    };
    let mut bounded = vec![];
    for (what, is_bounded) in [
        ("memory", groups.bounds_memory()),
        ("processes", groups.bounds_processes()),
        ("processor time", groups.counts_time()),
    ] {
        if is_bounded {
            bounded.push(what);
        }
    }
    let detail = match (bounded.is_empty(), groups.lacks.is_empty()) {
        (false, true) => format!("{}: {}", groups.version(), bounded.join(", ")),
        (false, false) => format!("{}: {}; {}", groups.version(), bounded.join(", "), groups.lacks),
        (true, _) => format!(
            "{}: nothing bounds memory and processor time, and processes are bounded by a resource limit",
            groups.lacks
        ),
    };
    Ok(vec![
        holds(
            "bubblewrap",
            true,
            format!("makes a sandbox in {:.1} ms, its end included", took.as_secs_f64() * 1000.0),
        ),
        holds("namespaces", true, "user, process, network, message, host name, mount, cgroup; none below them".into()),
        holds("user", sandbox.changes_user(), user),
        holds("system calls", true, "by deny-list".into()),
        landlock,
        holds("control groups", bounded.len() == 3, detail),
        holds("internet", internet.is_ok(), internet.unwrap_or_else(|why_not| why_not)),
    ])
}

async fn trial(spawner: &Spawner, network: Network) -> io::Result<Arc<Ended>> {
    let begun = Instant::now();
    let inmate = spawner.spawn(move |sandbox, group| {
        let folder = sandbox.etc();
        sandbox.spawn(
            &Contents {
                argv: &["/usr/bin/true".into()],
                env: &[],
                runtime: &folder,
                tree: &folder,
                is_tree_writable: false,
                read_only: &[],
                network,
                memory_bytes: TRIAL_MEMORY_BYTES,
                processes: TRIAL_PROCESSES,
                tmp_bytes: TRIAL_TMP_BYTES,
                is_server: true,
            },
            group,
        )
    });
    let process = bubble::attend(inmate.await?, begun, None).process;
    let stood = process.stand().await;
    if stood.is_err() {
        process.ended().await;
    }
    stood?;
    match tokio::time::timeout(HELLO_WAIT, process.ended()).await {
        Ok(ended) => Ok(ended),
        Err(_) => {
            process.end(Why::NotReady);
            Ok(process.ended().await)
        }
    }
}

fn hint(ended: &Ended) -> &'static str {
    let said = ended.lines.join(" ");
    if said.contains("setting up uid map") || said.contains("No permissions") || said.contains("new namespace") {
        "(User namespaces are forbidden: on Ubuntu by kernel.apparmor_restrict_unprivileged_userns, in a container by its seccomp profile.)"
    } else if said.contains("proc") {
        "(A /proc of its own is forbidden: in a container, unmask /proc.)"
    } else {
        ""
    }
}
