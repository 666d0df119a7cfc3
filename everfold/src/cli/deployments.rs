//! `everfold deployments`: those of a function, newest first.

use serde_json::Value;

use super::{Failure, Remote, functions, say};

#[derive(clap::Args)]
pub struct Deployments {
    /// The function's name, slug or id
    function: String,
    #[command(flatten)]
    remote: Remote,
}

impl Deployments {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let function = functions::find(&client, &self.function)?;
        if self.remote.json {
            return say(client.get::<Value>(&format!("/api/functions/{}/deployments", function.id))?);
        }
        let deployments = functions::deployments(&client, &function)?;
        deployments.iter().try_for_each(|deployment| say(deployment.line()))
    }
}
