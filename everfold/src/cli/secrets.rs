//! `everfold secrets`: set, list, remove

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Read},
};

use serde::Deserialize;
use serde_json::json;

use super::{Failure, Remote, client::expect, say};

#[derive(clap::Args)]
pub struct Secrets {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Subcommand)]
enum What {
    /// Set a secret; its value comes from stdin or is asked for, never from the command line
    Set {
        /// The hook's name or id
        hook: String,
        name: String,
    },
    /// List the names, each with the SHA-256 of its value
    List {
        /// The hook's name or id
        hook: String,
    },
    /// Remove a secret
    Remove {
        /// The hook's name or id
        hook: String,
        name: String,
    },
}

#[derive(Deserialize, serde::Serialize)]
struct Listed {
    secrets: BTreeMap<String, String>,
}

impl Secrets {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        match self.what {
            What::Set { hook, name } => {
                let hook = client.hook(&hook)?;
                let value = value_of(&name)?;
                let body = json!({"key": name, "value": value});
                expect(client.call("POST", &format!("/api/secrets/{}", hook.id), Some(body))?)?;
                say(format_args!("{name} is set for {}: the requests from here on see it", hook.name))
            }
            What::List { hook } => {
                let hook = client.hook(&hook)?;
                let listed: Listed = client.get(&format!("/api/secrets/{}", hook.id))?;
                if self.remote.json {
                    return say(json!(listed));
                }
                if listed.secrets.is_empty() {
                    return say(format_args!(
                        "{} has no secrets: 'everfold secrets set {} NAME' sets one",
                        hook.name, hook.name
                    ));
                }
                for (name, hash) in listed.secrets {
                    say(format_args!("{name}  sha256 {hash}"))?;
                }
                Ok(())
            }
            What::Remove { hook, name } => {
                let hook = client.hook(&hook)?;
                let query = form_urlencoded::Serializer::new(String::new()).append_pair("key", &name).finish();
                expect(client.call("DELETE", &format!("/api/secrets/{}?{query}", hook.id), None)?)?;
                say(format_args!("{name} is removed from {}", hook.name))
            }
        }
    }
}

/// A secret as it was typed or piped, without the line's end.
fn value_of(name: &str) -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password(format!("{name}: "))?);
    }
    let mut value = String::new();
    std::io::stdin().read_to_string(&mut value)?;
    Ok(value.strip_suffix('\n').map(|value| value.strip_suffix('\r').unwrap_or(value)).unwrap_or(&value).to_owned())
}
