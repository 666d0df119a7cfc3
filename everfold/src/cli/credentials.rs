//! Who this person is, server by server: one file that only they can read.

use std::{collections::BTreeMap, fs, io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::Failure;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    pub jwt: String,
    pub refresh_token: String,
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

fn all() -> Result<BTreeMap<String, Tokens>, Failure> {
    let path = path()?;
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            Failure::new(format!("{} is not readable: {error}.", path.display())).hint("remove the file and begin anew")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(Failure::new(format!("{}: {error}", path.display()))),
    }
}

pub fn of(url: &str) -> Result<Option<Tokens>, Failure> {
    Ok(all()?.remove(url))
}

/// Replaces the file in one step, readable by its owner alone.
pub fn keep(url: &str, tokens: Tokens) -> Result<(), Failure> {
    let path = path()?;
    let mut all = all()?;
    all.insert(url.to_owned(), tokens);
    fs::create_dir_all(path.parent().expect("it stands in a directory"))?;
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(serde_json::to_string_pretty(&all).expect("tokens are plain data").as_bytes())?;
    fs::rename(&draft, &path)?;
    Ok(())
}
