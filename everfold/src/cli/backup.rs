//! `everfold backup FILE` and `restore FILE`: all of a server, to a file and back.

use std::path::PathBuf;

use super::{Failure, say};
use crate::serve::StartError;

#[derive(clap::Args)]
pub struct Backup {
    /// Where to
    file: PathBuf,
    /// The directory that keeps everything; the server may be running
    #[arg(long, env = "EVERFOLD_DATA", default_value = "./everfold-data")]
    data: PathBuf,
}

impl Backup {
    pub fn run(self) -> Result<(), Failure> {
        let bytes = store::sqlite::backup(&self.data, &self.file).map_err(StartError::from)?;
        say(format_args!("{} bytes, as of now, are in {}", bytes, self.file.display()))?;
        let key = self.data.join("everfold.key");
        say(format_args!("Keep {} too, in another place: it opens the secrets in the backup.", key.display()))
    }
}

/// Makes a data directory of a backup.
pub fn restore(file: &std::path::Path, data: &std::path::Path) -> Result<(), Failure> {
    store::sqlite::restore(file, data).map_err(StartError::from)?;
    say(format_args!("{} holds what {} held", data.display(), file.display()))?;
    if !data.join("everfold.key").exists() {
        say("Put the old everfold.key beside it before you serve it, or its secrets stay closed.")?;
    }
    Ok(())
}
