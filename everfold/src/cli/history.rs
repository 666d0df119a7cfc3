//! `everfold history`

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{Failure, Remote, excerpt, say, time_of};

#[derive(clap::Args)]
pub struct History {
    /// The hook's name or id
    hook: String,
    /// How many requests
    #[arg(short = 'n', long, default_value_t = 20)]
    number: usize,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    objects: Vec<Box<RawValue>>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    seq: u64,
    method: String,
    body: Value,
    state: Value,
    status: String,
    error: Option<Error>,
    created_at: i64,
}

#[derive(Deserialize)]
struct Error {
    name: String,
    message: String,
}

impl History {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let hook = client.hook(&self.hook)?;
        let mut requests = Vec::new();
        let mut token = None;
        while requests.len() < self.number {
            let query = token.map(|token: String| format!("?token={token}")).unwrap_or_default();
            let page: Page = client.get(&format!("/api/hooks/{}/history{query}", hook.id))?;
            requests.extend(page.objects);
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        requests.truncate(self.number);
        requests.reverse();
        if requests.is_empty() && !self.remote.json {
            let key = hook.write_keys.first().map(String::as_str).unwrap_or("KEY");
            return say(format_args!("Nothing has arrived yet. Try: curl -d hello {}/write/{key}", client.url));
        }
        for request in requests {
            if self.remote.json {
                say(request)?;
            } else {
                say(line(&request)?)?;
            }
        }
        Ok(())
    }
}

fn line(raw: &RawValue) -> Result<String, Failure> {
    let request: Request = serde_json::from_str(raw.get())
        .map_err(|error| Failure::new(format!("The server's answer was not understood: {error}.")))?;
    let outcome = match request.error {
        Some(error) => format!("! {}: {}", error.name, error.message),
        None if request.status == "folded" => excerpt(&request.state),
        None => request.status,
    };
    Ok(format!(
        "{:>6}  {}  {} {}\n        → {outcome}",
        request.seq,
        time_of(request.created_at),
        request.method,
        excerpt(&request.body),
    ))
}
