//! `everfold keys`: list, make, pause, play, revoke

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Failure, Remote, client::expect, say};

#[derive(clap::Args)]
pub struct Keys {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Subcommand)]
enum What {
    /// List the keys of a hook
    List {
        /// The hook's name or id
        hook: String,
    },
    /// Make another key
    Make {
        /// The hook's name or id
        hook: String,
        /// What it opens
        #[arg(value_parser = ["read", "write"])]
        kind: String,
    },
    /// Pause a key: a read key is unknown then, a write key says 202 and keeps nothing
    Pause {
        /// The hook's name or id
        hook: String,
        key: String,
    },
    /// Let a key work again
    Play {
        /// The hook's name or id
        hook: String,
        key: String,
    },
    /// Take a key away for ever: whoever still uses it is told that it is unknown
    Revoke {
        /// The hook's name or id
        hook: String,
        key: String,
    },
}

#[derive(Deserialize)]
struct Listed {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    key: String,
    #[serde(rename = "type")]
    kind: String,
    workflow_state: String,
}

impl Keys {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let keys = |hook: &str| Ok::<_, Failure>(format!("/api/hooks/{}/keys", client.hook(hook)?.id));
        match self.what {
            What::List { hook } => {
                let path = keys(&hook)?;
                if self.remote.json {
                    return say(client.get::<Value>(&path)?);
                }
                for key in client.get::<Listed>(&path)?.keys {
                    say(format_args!("{:<5}  {:<6}  {}", key.kind, key.workflow_state, key.key))?;
                }
                Ok(())
            }
            What::Make { hook, kind } => {
                let made: Value = client.post(&keys(&hook)?, json!({"type": kind}))?;
                match self.remote.json {
                    true => say(made),
                    false => say(format_args!("{}/{kind}/{}", client.url, made["key"].as_str().unwrap_or_default())),
                }
            }
            What::Pause { hook, key } => {
                expect(client.call("POST", &format!("{}/{key}/pause", keys(&hook)?), None)?)?;
                say(format_args!("{key} is paused"))
            }
            What::Play { hook, key } => {
                expect(client.call("POST", &format!("{}/{key}/play", keys(&hook)?), None)?)?;
                say(format_args!("{key} works again"))
            }
            What::Revoke { hook, key } => {
                expect(client.call("DELETE", &format!("{}/{key}", keys(&hook)?), None)?)?;
                say(format_args!("{key} is revoked"))
            }
        }
    }
}
