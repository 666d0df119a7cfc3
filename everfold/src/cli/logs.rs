//! `everfold logs`: what the calls of a function logged, newest last; or what a build printed.

use serde::Deserialize;
use serde_json::Value;

use super::{Failure, Remote, client::Client, functions, functions::Function, say, time_of};

#[derive(clap::Args)]
pub struct Logs {
    /// The function's name, slug or id
    function: String,
    /// What the build of this deployment printed, by the end of its id
    #[arg(long, value_name = "DEPLOYMENT")]
    build: Option<String>,
    /// How many calls
    #[arg(long, short = 'n', default_value_t = 10)]
    number: usize,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Page {
    objects: Vec<Value>,
}

impl Logs {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let function = functions::find(&client, &self.function)?;
        if let Some(id) = &self.build {
            let deployment = functions::deployment(&client, &function, id)?;
            return show_build(&client, &function, &deployment.id).map(drop);
        }
        let path = format!("/api/functions/{}/executions", function.id);
        let mut executions = client.get::<Page>(&path)?.objects;
        executions.truncate(self.number);
        for brief in executions.iter().rev() {
            let id = brief["id"].as_str().unwrap_or_default();
            let whole: Value = client.get(&format!("{path}/{id}"))?;
            if self.remote.json {
                say(whole)?;
                continue;
            }
            let text = |name: &str| whole[name].as_str().unwrap_or_default().to_owned();
            let came = match &whole["statusCode"] {
                Value::Null => {
                    whole["code"].as_str().unwrap_or(whole["status"].as_str().unwrap_or_default()).to_owned()
                }
                status => status.to_string(),
            };
            let at = time_of(whole["createdAt"].as_i64().unwrap_or_default());
            say(format_args!("{at}  {} {}  {came}", text("method"), text("path")))?;
            for (mark, log) in [(' ', text("logs")), ('!', text("errors"))] {
                log.lines().try_for_each(|line| say(format_args!("  {mark} {line}")))?;
            }
        }
        Ok(())
    }
}

/// Follows a build to its end, and says how that was.
pub fn show_build(client: &Client, function: &Function, deployment: &str) -> Result<String, Failure> {
    let mut status = String::new();
    let mut is_end = false;
    client.events(&format!("/api/functions/{}/deployments/{deployment}/logs", function.id), |field, data| {
        match field {
            "event" => is_end = data == "end",
            "data" => {
                let told: Value = serde_json::from_str(data).unwrap_or_default();
                if is_end {
                    status = told["status"].as_str().unwrap_or_default().to_owned();
                    return false;
                }
                let text = told["text"].as_str().unwrap_or_default();
                let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
            }
            _ => {}
        }
        true
    })?;
    Ok(status)
}
