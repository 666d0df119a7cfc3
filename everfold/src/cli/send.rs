//! `everfold send`

use std::io::Read;

use super::{Failure, Remote, client, say};

#[derive(clap::Args)]
pub struct Send {
    /// The hook's name or id
    hook: String,
    /// The body; `-` reads it from stdin
    #[arg(default_value = "")]
    data: String,
    /// The method
    #[arg(short = 'X', long, default_value = "POST")]
    method: String,
    /// A header, as 'Name: value'; may be repeated
    #[arg(short = 'H', long = "header")]
    headers: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Send {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let hook = client.hook(&self.hook)?;
        let key = hook.write_keys.first().ok_or_else(|| Failure::new("The hook has no write key."))?;
        let body = if self.data == "-" {
            let mut body = Vec::new();
            std::io::stdin().read_to_end(&mut body)?;
            body
        } else {
            self.data.into_bytes()
        };
        let mut headers = Vec::new();
        for header in &self.headers {
            let (name, value) = header.split_once(':').ok_or_else(|| {
                Failure::new(format!("{header:?} is not a header.")).hint("write it as 'Name: value'")
            })?;
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        let is_typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !is_typed && serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok() {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let reply = client.send(&self.method, &format!("/write/{key}"), &headers, &body)?;
        say(client::expect(reply)?.body.trim_end())
    }
}
