//! `everfold exec`: one call of a function, with what it logged.

use std::io::Read;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{Failure, Remote, functions, say};

#[derive(clap::Args)]
pub struct Exec {
    /// The function's name, slug or id
    function: String,
    /// The path, with its query
    #[arg(default_value = "/")]
    path: String,
    /// The method; POST where there is data
    #[arg(long, short = 'X')]
    method: Option<String>,
    /// The body; - reads it from stdin
    #[arg(long, short)]
    data: Option<String>,
    /// A header, as name: value
    #[arg(long = "header", short = 'H')]
    headers: Vec<String>,
    /// Come back at once; it is kept, and run
    #[arg(long = "async")]
    is_async: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Exec {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let function = functions::find(&client, &self.function)?;
        let body = match self.data.as_deref() {
            Some("-") => {
                let mut body = String::new();
                std::io::stdin().read_to_string(&mut body)?;
                Some(body)
            }
            data => data.map(str::to_owned),
        };
        let method = self.method.clone().unwrap_or_else(|| if body.is_some() { "POST" } else { "GET" }.into());
        let header = |header: &String| {
            let malformed = || Failure::new(format!("{header:?} is no header.")).hint("write it as name: value");
            let (name, value) = header.split_once(':').ok_or_else(malformed)?;
            Ok((name.trim().to_owned(), Value::from(value.trim())))
        };
        let headers = self.headers.iter().map(header).collect::<Result<serde_json::Map<_, _>, Failure>>()?;
        let asked =
            json!({"method": method, "path": self.path, "headers": headers, "body": body, "async": self.is_async});
        let execution: Value = client.post(&format!("/api/functions/{}/executions", function.id), asked)?;
        if self.remote.json {
            return say(execution);
        }
        let text = |name: &str| execution[name].as_str().unwrap_or_default();
        if self.is_async {
            return say(format_args!(
                "kept as {}; 'everfold logs {}' shows what comes of it",
                text("id"),
                function.name
            ));
        }
        for (stream, log) in [("log", text("logs")), ("err", text("errors"))] {
            log.lines().for_each(|line| eprintln!("{stream}  {line}"));
        }
        let duration = execution["durationMs"].as_f64().unwrap_or_default();
        let cold = if execution["coldStart"] == true { ", cold start" } else { "" };
        if execution["status"] == "failed" {
            return Err(Failure::new(format!("{}: {}", text("code"), text("error")))
                .hint(format!("'everfold logs {}' shows what it logged before", function.name)));
        }
        eprintln!("{}  {duration:.1} ms{cold}", execution["statusCode"]);
        match execution["bodyEncoding"].as_str() {
            None => say(text("body")),
            Some(_) => {
                let bytes = BASE64_STANDARD.decode(text("body")).unwrap_or_default();
                Ok(std::io::Write::write_all(&mut std::io::stdout(), &bytes)?)
            }
        }
    }
}
