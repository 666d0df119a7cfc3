//! `everfold verify`

use serde::Deserialize;
use serde_json::Value;

use super::{Failure, Remote, say};

#[derive(clap::Args)]
pub struct Verify {
    /// The hook's name or id
    hook: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Verified {
    seq: u64,
    hash: String,
    ok: bool,
    detail: Option<String>,
}

impl Verify {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let hook = client.hook(&self.hook)?;
        let answer: Value = client.get(&format!("/api/hooks/{}/verify", hook.id))?;
        if self.remote.json {
            say(&answer)?;
        }
        let verified: Verified = serde_json::from_value(answer)
            .map_err(|error| Failure::new(format!("The server's answer was not understood: {error}.")))?;
        if !verified.ok {
            return Err(Failure::new(format!("{}: {}", hook.name, verified.detail.unwrap_or_default()))
                .hint("requests before that seq are whole; restore a backup to get the others back"));
        }
        if self.remote.json {
            return Ok(());
        }
        say(format_args!("{}: {} requests, every hash follows from the one before.", hook.name, verified.seq))?;
        say(format_args!("last receipt  {}", verified.hash))
    }
}
