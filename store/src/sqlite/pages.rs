//! Puts a checksum on every page of the database file, and serves no page that does not agree with its own.
//!
//! A flipped bit in a value could be found by a checksum on values. One in an index makes rows *missing*, and only a
//! checksum on pages finds that. It fills the last 8 bytes of a page, which SQLite leaves free when it is asked to,
//! so every SQLite tool reads the database as ever. Pages on their way (in memory, in the log) have zeros there; the
//! log has checksums of its own. What another program writes has zeros or an old checksum there and is not served,
//! until a `VACUUM` through [`foreign_vfs`] has written it anew.

use std::path::{Path, PathBuf};

use rusqlite::ffi;

use super::vfs::{self, Below, Code, Kind, Layer};

pub(super) const SUM_BYTES: u8 = 8;
/// Where SQLite's header says how many bytes at the end of each page are not its own.
pub(super) const RESERVED_AT: usize = 20;
const HEADER_BYTES: usize = 100;
const PAGE_BYTES_MIN: usize = 512;

type Sum = [u8; SUM_BYTES as usize];
const NOT_SUMMED: Sum = [0; SUM_BYTES as usize];

/// The name of the VFS whose pages are summed, over the VFS `base` (SQLite's own if there is no name).
pub(super) fn vfs(base: Option<&str>) -> Result<String, String> {
    register("everfold", base, &Pages { foreign: false, damaged: false })
}

/// Likewise, but pages are served whatever their sums say: to readers who hold what they read against its chain.
pub(super) fn damaged_vfs(base: Option<&str>) -> Result<String, String> {
    register("everfold-damaged", base, &Pages { foreign: true, damaged: true })
}

/// Likewise, but pages without a sum are taken as they are.
pub(super) fn foreign_vfs(base: Option<&str>) -> Result<String, String> {
    register("everfold-foreign", base, &Pages { foreign: true, damaged: false })
}

fn register(name: &str, base: Option<&str>, pages: &'static Pages) -> Result<String, String> {
    let name = base.map_or_else(|| name.into(), |base| format!("{name}-{base}"));
    vfs::register(&name, base, pages)?;
    Ok(name)
}

struct Pages {
    /// Another program may have written some of them.
    foreign: bool,
    /// They may be anything.
    damaged: bool,
}

struct File {
    path: PathBuf,
    is_database: bool,
    /// The database has room for sums. It never loses it again, whatever its header may read like later.
    summed: bool,
    outgoing: Vec<u8>,
}

impl File {
    /// The number of the page that is read or written, if it is one of a database with sums.
    fn page(&mut self, bytes: &[u8], at: u64) -> Option<u64> {
        if !self.is_database {
            return None;
        }
        if at == 0 && bytes.len() >= HEADER_BYTES {
            self.summed |= bytes[RESERVED_AT] == SUM_BYTES;
        }
        let length = bytes.len() as u64;
        let whole = bytes.len() >= PAGE_BYTES_MIN && bytes.len().is_power_of_two() && at.is_multiple_of(length);
        (self.summed && whole).then(|| at / length + 1)
    }
}

impl Layer for Pages {
    type File = File;

    fn open(&self, path: &Path, kind: Kind) -> Result<File, Code> {
        Ok(File { path: path.into(), is_database: kind == Kind::Database, summed: false, outgoing: Vec::new() })
    }

    fn read(&self, file: &mut File, below: &mut Below, buffer: &mut [u8], at: u64) -> Result<(), Code> {
        let read = below.read(buffer, at);
        if read.is_err_and(|code| code != ffi::SQLITE_IOERR_SHORT_READ) {
            return read;
        }
        let Some(number) = file.page(buffer, at) else { return read };
        // Behind the end of the file there are zeros: SQLite asks for no page that it has not written.
        if !take_off(buffer, number, self.foreign) && !self.damaged {
            tracing::error!(file = %file.path.display(), page = number, "a page does not agree with its checksum");
            return Err(ffi::SQLITE_IOERR_DATA);
        }
        Ok(())
    }

    fn write(&self, file: &mut File, below: &mut Below, bytes: &[u8], at: u64) -> Result<(), Code> {
        let Some(number) = file.page(bytes, at) else { return below.write(bytes, at) };
        file.outgoing.clear();
        file.outgoing.extend_from_slice(bytes);
        put_on(&mut file.outgoing, number);
        below.write(&file.outgoing, at)
    }

    /// After a failed sync nobody knows which of the pages written since the last one are on the disk, whatever later
    /// syncs say. SQLite would write only those of its last attempt again, and then reuse the log.
    fn sync(&self, file: &mut File, below: &mut Below) -> Result<(), Code> {
        let synced = below.sync();
        if synced.is_err() && file.is_database {
            below.forget_what_was_copied();
        }
        synced
    }
}

fn put_on(page: &mut [u8], number: u64) {
    if let Some((content, place)) = page.split_last_chunk_mut() {
        *place = sum(content, number);
    }
}

/// Clears the sum of a page; `false` when page and sum disagree.
fn take_off(page: &mut [u8], number: u64, foreign: bool) -> bool {
    let Some((content, place)) = page.split_last_chunk_mut() else { return false };
    match std::mem::replace(place, NOT_SUMMED) {
        NOT_SUMMED => foreign,
        found => found == sum(content, number),
    }
}

/// The number is part of it: a page in the place of another does not agree. Never [`NOT_SUMMED`].
fn sum(content: &[u8], number: u64) -> Sum {
    let hash = blake3::Hasher::new().update(&number.to_be_bytes()).update(content).finalize();
    match *hash.as_bytes().first_chunk().expect("32 bytes") {
        NOT_SUMMED => [1; SUM_BYTES as usize],
        sum => sum,
    }
}
