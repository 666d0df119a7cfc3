//! A directory that is deployed: `hooks/*.{js,ts}`, `actions/*.{js,ts}`, `functions/*/`, and `.env` as secrets of hooks.

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
    function,
};

pub struct Project {
    dir: PathBuf,
}

impl Project {
    pub fn open(dir: PathBuf) -> Result<Project, Failure> {
        let project = Project { dir };
        if project.sources().is_empty() && project.functions()?.is_empty() {
            let dir = project.dir.display();
            return Err(Failure::new(format!("{dir} has no directory 'hooks', none 'actions', and none 'functions'."))
                .hint("put a file such as hooks/counter.ts, actions/refund.ts or functions/hello/index.js into it"));
        }
        Ok(project)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directories that hold programs.
    pub fn sources(&self) -> Vec<PathBuf> {
        ["hooks", "actions"].map(|name| self.dir.join(name)).into_iter().filter(|dir| dir.is_dir()).collect()
    }

    /// The hooks by name: `hooks/github.ts` is the hook `github`. Actions of their own are a hook that nothing is written
    /// to.
    pub fn hooks(&self) -> Result<BTreeMap<String, PathBuf>, Failure> {
        let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
        for dir in self.sources() {
            for entry in fs::read_dir(dir)? {
                let path = entry?.path();
                let is_source = path.extension().is_some_and(|extension| extension == "ts" || extension == "js");
                let (true, Some(name)) = (is_source && path.is_file(), path.file_stem()) else { continue };
                let name = name.to_string_lossy().into_owned();
                if let Some(other) = files.get(&name) {
                    let message = format!("{} and {} have the same name.", other.display(), path.display());
                    return Err(Failure::new(message).hint("rename one of them"));
                }
                files.insert(name, path);
            }
        }
        Ok(files)
    }

    /// The functions by name: `functions/hello/` is the function `hello`. A folder that is itself one is the only one.
    pub fn functions(&self) -> Result<BTreeMap<String, PathBuf>, Failure> {
        let folder = self.dir.join("functions");
        let mut functions = BTreeMap::new();
        if folder.is_dir() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if let (true, Some(name)) = (path.is_dir(), path.file_name()) {
                    functions.insert(name.to_string_lossy().into_owned(), path);
                }
            }
        } else if self.sources().is_empty() && function::is_function(&self.dir) {
            let named = fs::canonicalize(&self.dir)?;
            let name = named.file_name().map_or_else(|| "function".into(), |name| name.to_string_lossy().into_owned());
            functions.insert(name, self.dir.clone());
        }
        Ok(functions)
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

/// The hook of a name, made where there is none; and whether it was.
pub fn hook_of(client: &Client, name: &str, source: &str) -> Result<(Hook, bool), Failure> {
    match client.hooks()?.into_iter().find(|hook| hook.name == name) {
        Some(hook) => Ok((hook, false)),
        None => Ok((client.post("/api/hooks", json!({"name": name, "code": source}))?, true)),
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
