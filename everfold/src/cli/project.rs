//! A directory that is deployed: `hooks/*.{js,ts}`, and `.env` as their secrets.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    Failure,
    client::{Client, Hook, expect},
};

pub struct Project {
    dir: PathBuf,
}

impl Project {
    pub fn open(dir: PathBuf) -> Result<Project, Failure> {
        if !dir.join("hooks").is_dir() {
            return Err(Failure::new(format!("{} has no directory 'hooks'.", dir.display()))
                .hint("put a file such as hooks/counter.ts into it"));
        }
        Ok(Project { dir })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn hooks_dir(&self) -> PathBuf {
        self.dir.join("hooks")
    }

    /// The hooks by name: `hooks/github.ts` is the hook `github`.
    pub fn hooks(&self) -> Result<BTreeMap<String, PathBuf>, Failure> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(self.hooks_dir())? {
            let path = entry?.path();
            let is_source = path.extension().is_some_and(|extension| extension == "ts" || extension == "js");
            if let (true, Some(name)) = (is_source && path.is_file(), path.file_stem()) {
                files.insert(name.to_string_lossy().into_owned(), path);
            }
        }
        Ok(files)
    }

    /// What `.env` sets, if there is one.
    pub fn secrets(&self) -> Result<BTreeMap<String, String>, Failure> {
        let path = self.dir.join(".env");
        if !path.is_file() {
            return Ok(BTreeMap::new());
        }
        // What is wrong is not quoted: a secret stands on the line.
        let malformed =
            |_| Failure::new(format!("{} is not understood.", path.display())).hint("write NAME=value on each line");
        dotenvy::from_path_iter(&path).map_err(malformed)?.collect::<Result<_, _>>().map_err(malformed)
    }
}

/// The hook of a name, made where there is none.
pub fn hook_of(client: &Client, name: &str, source: &str) -> Result<Hook, Failure> {
    match client.hooks()?.into_iter().find(|hook| hook.name == name) {
        Some(hook) => Ok(hook),
        None => client.post("/api/hooks", json!({"name": name, "code": source})),
    }
}

/// Sets those secrets of a hook that it does not have yet; tells which.
pub fn set_secrets(client: &Client, hook: &Hook, secrets: &BTreeMap<String, String>) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct Listed {
        secrets: BTreeMap<String, String>,
    }
    if secrets.is_empty() {
        return Ok(Vec::new());
    }
    let path = format!("/api/secrets/{}", hook.id);
    let known: Listed = client.get(&path)?;
    let mut set = Vec::new();
    for (name, value) in secrets {
        let hash: String = Sha256::digest(value.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        if known.secrets.get(name) != Some(&hash) {
            expect(client.call("POST", &path, Some(json!({"key": name, "value": value})))?)?;
            set.push(name.clone());
        }
    }
    Ok(set)
}
