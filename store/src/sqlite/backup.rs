//! A copy of a store that is in use, whole and as of one moment; and a store made of such a copy.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::{
    Sqlite,
    open::{self, DATABASE, OpenError},
};

/// Writes the store in `directory` to `file`, whoever uses it meanwhile; tells how many bytes that are.
pub fn backup(directory: &Path, file: &Path) -> Result<u64, OpenError> {
    let place = open::place(directory, None)?;
    let unusable = |error: io::Error| OpenError::Unusable { path: file.into(), words: error.to_string() };
    open::check_header(&place.database)?;
    if file.exists() {
        return Err(OpenError::Occupied { path: file.into() });
    }
    let draft = file.with_extension("part");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
        _ => {}
    }
    let name = draft.to_str().ok_or_else(|| unusable(io::Error::other("its name is not text")))?;
    let copied = open::reader(&place).and_then(|connection| connection.execute("VACUUM INTO ?1", [name]));
    copied.map_err(|error| open::explain(&place.database, error))?;
    let bytes = File::open(&draft).and_then(|draft| draft.sync_all().and_then(|()| draft.metadata()));
    let bytes = bytes.map_err(unusable)?.len();
    fs::rename(&draft, file).map_err(unusable)?;
    Ok(bytes)
}

/// Makes the store of an empty `directory` of a backup, and opens it once to see that it is one.
pub fn restore(file: &Path, directory: &Path) -> Result<(), OpenError> {
    open::check_header(file)?;
    let unusable = |error: io::Error| OpenError::Unusable { path: directory.into(), words: error.to_string() };
    let lock = open::claim(directory)?;
    let database = directory.join(DATABASE);
    if database.exists() {
        return Err(OpenError::Occupied { path: database });
    }
    let draft = directory.join(format!("{DATABASE}.new"));
    fs::copy(file, &draft).map_err(unusable)?;
    File::open(&draft).and_then(|draft| draft.sync_all()).map_err(unusable)?;
    fs::rename(&draft, &database).map_err(unusable)?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(unusable)?;
    drop(lock);
    Sqlite::open(directory).map(drop)
}
