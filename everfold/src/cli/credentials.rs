//! Who this person is, server by server: one file that only they can read.

use std::{collections::BTreeMap, fs, io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::Failure;

/// What shows a server who we are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Credentials {
    Tokens(Tokens),
    Key { key: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    pub jwt: String,
    pub refresh_token: String,
    /// Whose they are; a guest's are nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// `EVERFOLD_CREDENTIALS`, or the place for such files.
fn path() -> Result<PathBuf, Failure> {
    if let Some(path) = std::env::var_os("EVERFOLD_CREDENTIALS") {
        return Ok(path.into());
    }
    let home = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))
        .ok_or_else(|| Failure::new("There is no HOME to keep credentials in.").hint("set EVERFOLD_CREDENTIALS"))?;
    Ok(home.join("everfold").join("credentials.json"))
}

fn all() -> Result<BTreeMap<String, Credentials>, Failure> {
    let path = path()?;
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            Failure::new(format!("{} is not readable: {error}.", path.display())).hint("remove the file and begin anew")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(Failure::new(format!("{}: {error}", path.display()))),
    }
}

pub fn of(url: &str) -> Result<Option<Credentials>, Failure> {
    Ok(all()?.remove(url))
}

pub fn keep(url: &str, credentials: Credentials) -> Result<(), Failure> {
    let mut all = all()?;
    all.insert(url.to_owned(), credentials);
    write(&all)
}

pub fn forget(url: &str) -> Result<(), Failure> {
    let mut all = all()?;
    all.remove(url);
    write(&all)
}

/// Replaces the file in one step, readable by its owner alone.
fn write(all: &BTreeMap<String, Credentials>) -> Result<(), Failure> {
    let path = path()?;
    fs::create_dir_all(path.parent().expect("it stands in a directory"))?;
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(serde_json::to_string_pretty(all).expect("tokens are plain data").as_bytes())?;
    fs::rename(&draft, &path)?;
    Ok(())
}
