//! `everfold run`

use serde_json::{Map, Value, json};

use self::{line::Line, prompt::Said};
use super::{
    Failure, Remote,
    client::{Client, Reply, expect},
    say,
};

mod line;
mod prompt;
mod show;

#[derive(clap::Args)]
pub struct Run {
    /// The action's slug, or the id of a run to go on with
    action: String,
    /// A parameter, as NAME=VALUE; as often as needed
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Run {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let id = match uuid::Uuid::parse_str(&self.action) {
            Ok(run) => run.to_string(),
            Err(_) => self.begin(&client)?,
        };
        say_how_to_go_on_when_interrupted(&id);
        let mut line = Line::open(&client, &id)?;
        if self.remote.json {
            while !is_over(&line.run) && line.run["status"] != "parked" && line.run["question"].is_null() {
                line.next()?;
            }
            say(&line.run)?;
            return over(&line.run, &id);
        }
        show::begun(&line.run);
        let mut screen = show::Screen::default();
        loop {
            screen.show(&line.run);
            if is_over(&line.run) {
                screen.end(&line.run)?;
                return over(&line.run, &id);
            }
            if let Some(parked) = line.run["parked"]["message"].as_str() {
                let failure = Failure::new(format!("The run is parked: {parked}"));
                return Err(failure.hint(format!("look at it on its page: {}/r/{id}", client.url)));
            }
            if line.run["question"].is_null() {
                line.next()?;
            } else {
                screen.pause();
                answer(&client, &mut line, &id)?;
            }
        }
    }

    fn begin(&self, client: &Client) -> Result<String, Failure> {
        let mut params = Map::new();
        for param in &self.params {
            let (name, value) = param
                .split_once('=')
                .ok_or_else(|| Failure::new(format!("{param:?} is no parameter.")).hint("write it as NAME=VALUE"))?;
            params.insert(name.to_owned(), Value::from(value));
        }
        let slug = percent_encoding::utf8_percent_encode(&self.action, percent_encoding::NON_ALPHANUMERIC);
        let made: Value = client.post(&format!("/api/actions/{slug}/runs"), json!({ "params": params }))?;
        Ok(made["id"].as_str().unwrap_or_default().to_owned())
    }
}

/// Asks for each part, and again for what the server says will not do.
fn answer(client: &Client, line: &mut Line, id: &str) -> Result<(), Failure> {
    let question = line.run["question"].clone();
    let key = question["key"].clone();
    if let Some(said) = question["validationErrorMessage"].as_str() {
        show::wrong(said);
    }
    let parts: Vec<Value> = question["toRender"].as_array().cloned().unwrap_or_default();
    let mut values = vec![Value::Null; parts.len()];
    let mut choice = Value::Null;
    let mut asked: Vec<usize> = (0..parts.len()).collect();
    loop {
        for index in asked {
            let mut ask = prompt::Ask { client, line: &mut *line, run: id, key: &key, index, count: parts.len() };
            match ask.part(&parts[index])? {
                Said::Value(value) => values[index] = value,
                Said::Elsewhere => return Ok(()),
            }
        }
        if choice.is_null() {
            choice = prompt::choice(&question)?;
        }
        let body = json!({ "key": key, "values": values, "choice": choice });
        let reply = client.call("POST", &format!("/api/runs/{id}/answers"), Some(body))?;
        match reply.status {
            422 => asked = refused(&reply),
            // Somebody answered it elsewhere, and the run is further on.
            409 => break,
            _ => {
                expect(reply)?;
                break;
            }
        }
    }
    while line.run["question"]["key"] == key {
        line.next()?;
    }
    Ok(())
}

/// Says what will not do; the parts to ask for again.
fn refused(reply: &Reply) -> Vec<usize> {
    let problem: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let fields = problem["fields"].as_array().cloned().unwrap_or_default();
    for field in &fields {
        show::wrong(field["message"].as_str().unwrap_or_default());
    }
    fields.iter().filter_map(|field| field["index"].as_u64()).map(|index| index as usize).collect()
}

fn is_over(run: &Value) -> bool {
    !matches!(run["status"].as_str(), Some("running" | "waiting" | "parked"))
}

fn over(run: &Value, id: &str) -> Result<(), Failure> {
    match run["status"].as_str() {
        Some("failure") => {
            let text = |key: &str| run["error"][key].as_str().unwrap_or_default().to_owned();
            Err(Failure::new(format!("{}: {}", text("name"), text("message"))))
        }
        Some("cancelled") => Err(Failure::new(format!("The run {id} was cancelled."))),
        _ => Ok(()),
    }
}

/// Ctrl+C ends this command, and not the run.
fn say_how_to_go_on_when_interrupted(id: &str) {
    let id = id.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let Ok(runtime) = runtime else { return };
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            eprintln!("\nThe run waits. Go on with it: everfold run {id}");
            std::process::exit(130);
        }
    });
}
