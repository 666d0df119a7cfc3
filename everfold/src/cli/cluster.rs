//! `everfold cluster`: the nodes that share a database, and what each of them has.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use store::postgres::{Databases, Replica, SHARDS, Standing};

use super::{Failure, runtime, say};
use crate::serve::StartError;

#[derive(clap::Args)]
pub struct Cluster {
    /// The PostgreSQL that the nodes share: postgres://user:password@host:5432/database. Of several, all, with spaces
    /// between. Better set in the environment
    #[arg(long, env = "EVERFOLD_DATABASE", hide_env_values = true)]
    database: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Cluster {
    pub fn run(self) -> Result<(), Failure> {
        let (count, nodes, replicas) = runtime()?.block_on(async {
            let databases = Databases::open(&self.database).await.map_err(StartError::from)?;
            let nodes = databases.nodes().await.map_err(StartError::from)?;
            Ok::<_, Failure>((databases.parts().len(), nodes, databases.replicas().await))
        })?;
        if self.json {
            return say(json!({
                "databases": count,
                "shards": SHARDS,
                "nodes": nodes.iter().map(|node| json!({
                    "id": node.id.to_string(),
                    "address": node.address,
                    "version": node.version,
                    "sinceMs": node.since_ms,
                    "leaseMs": node.left.as_millis() as u64,
                    "shards": node.shards,
                    "isHead": node.is_head,
                })).collect::<Vec<_>>(),
                "replicas": replicas.iter().map(|replica| json!({
                    "name": replica.name,
                    "state": replica.state,
                    "isSynchronous": replica.is_synchronous,
                    "lagMs": replica.lag.as_millis() as u64,
                })).collect::<Vec<_>>(),
            }));
        }
        if nodes.is_empty() {
            return say("No node: start one with 'everfold serve --database'.");
        }
        nodes.iter().try_for_each(|node| say(line(node)))?;
        replicas.iter().try_for_each(|replica| say(copied(replica)))
    }
}

fn line(node: &Standing) -> String {
    let id = &node.id.to_string()[..8];
    let since = i64::try_from(node.since_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let since = since.map_or_else(String::new, |since| format!("{since:.0}"));
    let stands = match (node.left, node.shards) {
        (Duration::ZERO, 0) => "gone".to_owned(),
        (Duration::ZERO, shards) => format!("gone; its {shards} shards go to whoever is there"),
        (left, shards) => {
            let head = if node.is_head { "head, " } else { "" };
            format!("{head}{shards} of {SHARDS} shards, lease {:.1} s", left.as_secs_f64())
        }
    };
    let address = if node.address.is_empty() { "everfold migrate" } else { &node.address };
    format!("{id}  {address}  {}  since {since}  {stands}", node.version)
}

fn copied(replica: &Replica) -> String {
    let how = if replica.is_synchronous { "synchronous" } else { "asynchronous: it may lack what was acknowledged" };
    format!("copy {}  {}  {how}  {} ms behind", replica.name, replica.state, replica.lag.as_millis())
}
