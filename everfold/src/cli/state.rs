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
        let at = self.at.map(|seq| format!("?at={seq}")).unwrap_or_default();
        let reply = client::expect(client.send("GET", &format!("/read/{key}{at}"), &[], &[])?)?;
        match serde_json::from_str::<Value>(&reply.body) {
            Ok(state) if !self.remote.json => say(format_args!("{state:#}")),
            _ => say(reply.body.trim_end()),
        }
    }
}
