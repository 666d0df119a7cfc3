//! `everfold jobs`: run, list, cancel

use std::{fs, path::PathBuf};

use serde_json::{Map, Value, json};

use super::{
    Failure, Remote,
    client::{Client, expect},
    excerpt, say, time_of,
};

#[derive(clap::Args)]
pub struct Jobs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Subcommand)]
enum What {
    /// Run a script somewhere, and print what it returns
    Run(Run),
    /// List your jobs, newest first
    List,
    /// Stop a job
    Cancel {
        /// The job's id
        id: String,
    },
}

#[derive(clap::Args)]
struct Run {
    /// A script: a function body, or one that declares main(input), or an expression
    file: PathBuf,
    /// What it is given, as JSON
    #[arg(long, value_name = "JSON", conflicts_with = "inputs")]
    input: Option<String>,
    /// A file with a JSON list: the script is run for each of them, and the results are a list
    #[arg(long, value_name = "FILE")]
    inputs: Option<PathBuf>,
    /// Where it may run: any, tab, server
    #[arg(long = "where", default_value = "any")]
    place: String,
    /// How many different workers are asked; the majority decides
    #[arg(long)]
    verify: Option<u32>,
    /// Seconds that each input may take
    #[arg(long)]
    timeout: Option<u64>,
    /// What the job is called; the file's name where nothing else is said
    #[arg(long)]
    name: Option<String>,
}

impl Jobs {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        match self.what {
            What::Run(run) => run.run(&client, self.remote.json),
            What::List => list(&client, self.remote.json),
            What::Cancel { id } => expect(client.call("DELETE", &format!("/api/jobs/{id}"), None)?).map(drop),
        }
    }
}

impl Run {
    fn run(self, client: &Client, is_json: bool) -> Result<(), Failure> {
        let job: Value = client.post("/api/jobs", self.job()?)?;
        let id = job["id"].as_str().unwrap_or_default().to_owned();
        let style = indicatif::ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}").expect("a fixed template");
        let bar = indicatif::ProgressBar::new(job["count"].as_u64().unwrap_or(1)).with_style(style);
        let job = loop {
            let reply = expect(client.call("GET", &format!("/api/jobs/{id}?wait=1"), None)?)?;
            let job: Map<String, Value> = serde_json::from_str(&reply.body)
                .map_err(|error| Failure::new(format!("The server's answer was not understood: {error}.")))?;
            if let Some(total) = job["progress"]["total"].as_f64() {
                bar.set_length(total as u64);
                bar.set_position(job["progress"]["done"].as_f64().unwrap_or_default() as u64);
                bar.set_message(job["progress"]["note"].as_str().unwrap_or_default().to_owned());
            }
            if !matches!(job["status"].as_str(), Some("queued" | "leased")) {
                bar.finish_and_clear();
                if is_json {
                    return say(reply.body);
                }
                break job;
            }
        };
        for line in job["console"].as_array().into_iter().flatten() {
            eprintln!("{}", line["text"].as_str().unwrap_or_default());
        }
        let failed = |what: &str| {
            let (name, message) = (&job["error"]["name"], &job["error"]["message"]);
            let words =
                format!("{what}: {}: {}", name.as_str().unwrap_or("Error"), message.as_str().unwrap_or_default());
            Failure::new(words).hint(format!("see {}/jobs", client.url))
        };
        let result = job.get("result").map(Value::to_string);
        match job["status"].as_str() {
            Some("done") => say(result.unwrap_or_else(|| "null".into())),
            Some("cancelled") => Err(Failure::new("The job was cancelled.")),
            Some("timed_out") => Err(failed("The job ran out of time")),
            _ => {
                if let Some(result) = result.filter(|_| job.contains_key("count")) {
                    say(result)?;
                }
                Err(failed("The job failed"))
            }
        }
    }

    fn job(&self) -> Result<Value, Failure> {
        let read = |path: &PathBuf| {
            fs::read_to_string(path)
                .map_err(|error| Failure::new(format!("{} cannot be read: {error}.", path.display())))
        };
        let mut job = json!({ "code": read(&self.file)?, "where": self.place });
        let file = || self.file.file_name().map(|name| name.to_string_lossy().into_owned());
        job["name"] = json!(self.name.clone().or_else(file));
        if let Some(input) = &self.input {
            job["input"] = parsed(input, "--input")?;
        }
        if let Some(path) = &self.inputs {
            job["inputs"] = parsed(&read(path)?, &path.display().to_string())?;
            if !job["inputs"].is_array() {
                return Err(Failure::new(format!("{} holds no list.", path.display())).hint("write it as [1, 2, 3]"));
            }
        }
        if let Some(verify) = self.verify {
            job["verify"] = json!(verify);
        }
        if let Some(seconds) = self.timeout {
            job["timeoutMs"] = json!(seconds.saturating_mul(1000));
        }
        Ok(job)
    }
}

fn parsed(text: &str, what: &str) -> Result<Value, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::new(format!("{what} is no JSON: {error}.")).hint("text needs its quotes: '\"tea\"'"))
}

fn list(client: &Client, is_json: bool) -> Result<(), Failure> {
    let reply = expect(client.call("GET", "/api/jobs", None)?)?;
    if is_json {
        return say(reply.body);
    }
    let page: Value = serde_json::from_str(&reply.body)
        .map_err(|error| Failure::new(format!("The server's answer was not understood: {error}.")))?;
    for job in page["objects"].as_array().into_iter().flatten() {
        let at = time_of(job["createdAt"].as_i64().unwrap_or_default());
        let (id, status) = (job["id"].as_str().unwrap_or_default(), job["status"].as_str().unwrap_or_default());
        let name = if job["name"].is_null() { String::new() } else { excerpt(&job["name"]) };
        say(format!("{id}  {at}  {status:<9}  {name}").trim_end())?;
    }
    Ok(())
}
