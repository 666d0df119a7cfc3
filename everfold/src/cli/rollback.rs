//! `everfold rollback`: an earlier deployment answers again.

use serde_json::Value;

use super::{
    Failure, Remote,
    client::{expect, parse},
    functions, say,
};

#[derive(clap::Args)]
pub struct Rollback {
    /// The function's name, slug or id
    function: String,
    /// The deployment, by the end of its id; without it, the one before that which answers
    deployment: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Rollback {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let function = functions::find(&client, &self.function)?;
        let chosen = match &self.deployment {
            Some(id) => functions::deployment(&client, &function, id)?,
            None => {
                let mut all = functions::deployments(&client, &function)?.into_iter().skip_while(|one| !one.is_active);
                let before = all.by_ref().skip(1).find(|one| one.status == "ready");
                before.ok_or_else(|| {
                    Failure::new(format!("Nothing of {} was ready before.", function.name))
                        .hint(format!("everfold deployments {} lists what there is", function.name))
                })?
            }
        };
        let path = format!("/api/functions/{}/deployments/{}/activate", function.id, chosen.id);
        let activated = expect(client.call("POST", &path, None)?)?;
        match self.remote.json {
            true => say(parse::<Value>(&activated.body)?),
            false => say(format_args!("{}: {} answers", function.name, chosen.short())),
        }
    }
}
