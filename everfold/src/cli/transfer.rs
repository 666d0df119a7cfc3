//! `everfold export` and `import`

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use super::{Failure, Remote, say};

#[derive(clap::Args)]
pub struct Export {
    /// The hook's name or id
    hook: String,
    /// Where to; without it, NAME.ndjson.zst
    file: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

impl Export {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let hook = client.hook(&self.hook)?;
        let file = self.file.unwrap_or_else(|| format!("{}.ndjson.zst", hook.name.replace('/', "_")).into());
        // Under another name until it is whole.
        let draft = file.with_extension("part");
        let mut into = fs::File::create(&draft)?;
        let bytes = client.download(&format!("/api/hooks/{}/export", hook.id), &mut into)?;
        into.sync_all()?;
        fs::rename(&draft, &file)?;
        match self.remote.json {
            true => say(json!({"file": file, "bytes": bytes})),
            false => {
                say(format_args!("{} with its {} requests is in {}", hook.name, hook.request_count, file.display()))?;
                say("Its secrets are not in it: their key stays with the server.")
            }
        }
    }
}

#[derive(clap::Args)]
pub struct Import {
    /// What 'everfold export' wrote
    file: PathBuf,
    #[command(flatten)]
    remote: Remote,
}

impl Import {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let file = fs::File::open(&self.file)
            .map_err(|error| Failure::new(format!("{} cannot be read: {error}.", self.file.display())))?;
        let made: Value = client.upload("/api/hooks/import", file)?;
        if self.remote.json {
            return say(made);
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        say(format_args!("{} is here, with {} requests and new keys", text(&made["name"]), made["requestCount"]))?;
        for (word, keys) in [("write", &made["writeKeys"]), ("read", &made["readKeys"])] {
            say(format_args!("  {word:<5}  {}/{word}/{}", client.url, text(&keys[0])))?;
        }
        say("Set its secrets again: 'everfold secrets set HOOK NAME'.")
    }
}
