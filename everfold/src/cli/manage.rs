//! `everfold new`, `pause`, `play` and `delete`

use std::{
    fs,
    io::{BufRead, IsTerminal, Write},
    path::PathBuf,
};

use serde_json::{Value, json};

use super::{Failure, Remote, client::expect, say};

#[derive(clap::Args)]
pub struct New {
    /// What it is called
    name: String,
    /// Its code; without it, a sample to change
    file: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

impl New {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        if client.hooks()?.iter().any(|hook| hook.name == self.name) {
            return Err(Failure::new(format!("You have a hook called {:?} already.", self.name))
                .hint("choose another name; 'everfold publish HOOK FILE' changes what is there"));
        }
        let code = self.file.as_ref().map(fs::read_to_string).transpose()?;
        let made: Value = client.post("/api/hooks", json!({"name": self.name, "code": code}))?;
        if self.remote.json {
            return say(made);
        }
        say(format_args!("{} is made, as a draft", self.name))?;
        for (word, keys) in [("write", &made["writeKeys"]), ("read", &made["readKeys"])] {
            say(format_args!("  {word:<5}  {}/{word}/{}", client.url, keys[0].as_str().unwrap_or_default()))?;
        }
        say(format_args!("  next   everfold publish {}", self.name))
    }
}

#[derive(clap::Args)]
pub struct Switch {
    /// The hook's name or id
    hook: String,
    #[command(flatten)]
    remote: Remote,
}

impl Switch {
    pub fn pause(self) -> Result<(), Failure> {
        self.set("paused", "keeps what arrives and folds nothing; 'everfold play' folds what waited")
    }

    pub fn play(self) -> Result<(), Failure> {
        self.set("live", "folds what waited, in order")
    }

    fn set(self, state: &str, words: &str) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let hook = client.hook(&self.hook)?;
        client.put(&format!("/api/hooks/{}", hook.id), json!({"workflowState": state}))?;
        match self.remote.json {
            true => say(json!({"id": hook.id, "workflowState": state})),
            false => say(format_args!("{} is {state}: it {words}", hook.name)),
        }
    }
}

#[derive(clap::Args)]
pub struct Delete {
    /// The hook's name or id
    hook: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Delete {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let hook = client.hook(&self.hook)?;
        if !self.yes {
            if !std::io::stdin().is_terminal() {
                return Err(Failure::new(format!(
                    "Deleting {} erases its {} requests for ever.",
                    hook.name, hook.request_count
                ))
                .hint("add --yes if that is what you want; 'everfold export' keeps a copy"));
            }
            print!(
                "This erases {} and its {} requests for ever. Type its name to go on: ",
                hook.name, hook.request_count
            );
            std::io::stdout().flush()?;
            let mut typed = String::new();
            std::io::stdin().lock().read_line(&mut typed)?;
            if typed.trim() != hook.name {
                return Err(Failure::new("Nothing was deleted."));
            }
        }
        expect(client.call("DELETE", &format!("/api/hooks/{}", hook.id), None)?)?;
        match self.remote.json {
            true => say(json!({"id": hook.id, "deleted": true})),
            false => say(format_args!("{} is deleted", hook.name)),
        }
    }
}
