//! `everfold deploy`: a directory, to a server.

use std::{fs, path::PathBuf};

use serde_json::json;
use similar::TextDiff;

use super::{
    Failure, Remote,
    client::{Client, Hook, expect},
    function,
    progress::watch_refold,
    project::{Project, hook_of, set_secrets},
    say, versions,
};

#[derive(clap::Args)]
pub struct Deploy {
    /// The directory with `hooks/*.ts`, `actions/*.ts`, `functions/*/`, and `.env` for their secrets; or one function
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Publish what changed; without it, it is saved as drafts, and what would change is shown; functions are built, and
    /// what answered goes on answering
    #[arg(long)]
    publish: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Lines of code around what changed.
const CONTEXT_LINES: usize = 2;

impl Deploy {
    pub fn run(self) -> Result<(), Failure> {
        let project = Project::open(self.dir.clone())?;
        let client = self.remote.client()?;
        let secrets = project.secrets()?;
        for (name, path) in project.hooks()? {
            let source = fs::read_to_string(&path)?;
            let (hook, is_new) = hook_of(&client, &name, &source)?;
            for secret in set_secrets(&client, &hook, &secrets)? {
                say(format_args!("{name}: secret {secret} is set"))?;
            }
            self.deploy(&client, &hook, is_new, &path.display().to_string(), &source)?;
        }
        for (name, folder) in project.functions()? {
            function::deploy(&client, &name, &folder, self.publish)?;
        }
        Ok(())
    }

    fn deploy(&self, client: &Client, hook: &Hook, is_new: bool, shown: &str, source: &str) -> Result<(), Failure> {
        let name = &hook.name;
        let live = hook.published.as_ref().map(|published| published.code.as_str());
        if live == Some(source) {
            return match is_new {
                true => say(format_args!("{name}: new, from {shown}; published, as a guest's first hook is")),
                false => say(format_args!("{name}: unchanged")),
            };
        }
        client.put(&format!("/api/hooks/{}", hook.id), json!({"code": source}))?;
        match live {
            None => say(format_args!("{name}: new, from {shown}"))?,
            Some(live) => {
                let diff = TextDiff::from_lines(live, source);
                let diff = diff.unified_diff().context_radius(CONTEXT_LINES).header("live", shown).to_string();
                say(diff.trim_end())?;
            }
        }
        let at_place = |failure: Failure| {
            // As compilers say it, so that an editor's terminal makes a link of it.
            let place = failure.place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
            Failure { message: format!("{shown}{place}: {}", failure.message), ..failure }
        };
        versions::preview(client, hook, None, &self.remote).map_err(at_place)?;
        if !self.publish {
            return say(format_args!(
                "{name}: saved as a draft; publish it with 'everfold publish {name}' or --publish"
            ));
        }
        expect(client.call("POST", &format!("/api/hooks/{}/publish", hook.id), None)?).map_err(at_place)?;
        let replay = watch_refold(client, hook)?;
        say(format_args!("{name}: published, {} requests folded", replay.done))
    }
}
