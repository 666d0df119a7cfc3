//! `everfold state`

use serde_json::Value;

use super::{Failure, Remote, client, say};

#[derive(clap::Args)]
pub struct State {
    /// The hook's name or id
    hook: String,
    /// As of this request
    #[arg(long)]
    at: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

impl State {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let hook = client.hook(&self.hook)?;
        let key = hook.read_keys.first().ok_or_else(|| Failure::new("The hook has no read key."))?;
        // Whoever sends and then looks expects to see what they sent.
        let is_folding = hook.published.is_some() && hook.workflow_state == "live";
        let query = match self.at {
            Some(seq) => format!("?at={seq}"),
            None if is_folding => format!("?after={}", hook.request_count),
            None => String::new(),
        };
        let reply = client::expect(client.send("GET", &format!("/read/{key}{query}"), &[], &[])?)?;
        match serde_json::from_str::<Value>(&reply.body) {
            Ok(state) if !self.remote.json => say(format_args!("{state:#}")),
            _ => say(reply.body.trim_end()),
        }
    }
}
