//! `everfold diff` and `resend`

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Failure, Remote, client::Client, client::Hook, say, show_patch};

#[derive(clap::Args)]
pub struct OneRequest {
    /// The hook's name or id
    hook: String,
    /// The request's number
    seq: u64,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Difference {
    patch: Vec<Value>,
}

impl OneRequest {
    fn place(&self) -> Result<(Client, Hook, String), Failure> {
        let client = self.remote.client()?;
        let hook = client.hook(&self.hook)?;
        let path = format!("/api/hooks/{}/requests/{}", hook.id, self.seq);
        Ok((client, hook, path))
    }

    pub fn diff(self) -> Result<(), Failure> {
        let (client, _, path) = self.place()?;
        if self.remote.json {
            return say(client.get::<Value>(&format!("{path}/diff"))?);
        }
        let Difference { patch } = client.get(&format!("{path}/diff"))?;
        if patch.is_empty() {
            return say(format_args!("request {} changed nothing", self.seq));
        }
        show_patch(&patch)
    }

    pub fn resend(self) -> Result<(), Failure> {
        let (client, _, path) = self.place()?;
        say(client.post::<Value>(&format!("{path}/resend"), json!({}))?)
    }
}
