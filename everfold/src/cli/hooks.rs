//! `everfold hooks`

use serde_json::Value;

use super::{Failure, Remote, say};

#[derive(clap::Args)]
pub struct Hooks {
    #[command(flatten)]
    remote: Remote,
}

impl Hooks {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        if self.remote.json {
            return say(client.get::<Value>("/api/hooks")?);
        }
        let hooks = client.hooks()?;
        if hooks.is_empty() {
            return say("No hooks yet: 'everfold dev DIR' makes one for each file in DIR/hooks.");
        }
        for hook in hooks {
            let state = if hook.published.is_some() { hook.workflow_state } else { "not published".to_owned() };
            say(format_args!("{}  {} requests  {state}", hook.name, hook.request_count))?;
            for key in &hook.write_keys {
                say(format_args!("  write  {}/write/{key}", client.url))?;
            }
            for key in &hook.read_keys {
                say(format_args!("  read   {}/read/{key}", client.url))?;
            }
        }
        Ok(())
    }
}
