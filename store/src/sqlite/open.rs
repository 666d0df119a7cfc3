//! Claims a data directory and opens the database in it, or says in a sentence why not.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rules::canary::{self, Bug};
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use super::{
    checkpoint,
    log_end::{LogEnd, Since},
    pages, vfs,
};

pub(super) const DATABASE: &str = "everfold.db";
const LOCK: &str = "everfold.lock";
/// `Evfd`, where the `file` command and every SQLite tool look for what a database is of.
const APPLICATION_ID: u32 = 0x4576_6664;
/// The newest format this build reads and writes; kept in the database as `user_version`.
const FORMAT: u32 = 2;
/// Where SQLite's header says how the database is written and read, and how it says that this goes through the log.
const JOURNAL_AT: usize = 18;
const JOURNAL_IS_LOG: [u8; 2] = [2, 2];
/// From this format on every page carries a checksum.
const FORMAT_SUMMED: u32 = 2;

/// Twice SQLite's own choice: 10 to 25 % less work for the writer, measured with `examples/append.rs`.
pub(super) const PAGE_BYTES: u32 = 8_192;
/// The pages the writer keeps in memory: a transaction must fit, or it is written twice.
const WRITER_CACHE_KIB: u32 = 64 << 10;
/// Every commit empties the cache of a reader, so a large one would only be large.
const READER_CACHE_KIB: u32 = 4 << 10;
/// How long to wait for a tool that has opened the database beside us.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "store_in_use: Another Everfold (process {process}) is using {}. hint: stop it first, or name another data \
         directory.", directory.display()
    )]
    InUse { directory: PathBuf, process: String },
    #[error(
        "store_newer: {} has format {found}; this build knows formats up to {known}. Nothing was changed. hint: use \
         the version of Everfold that wrote it, or a newer one.", database.display()
    )]
    Newer { database: PathBuf, found: u32, known: u32 },
    #[error(
        "store_foreign: {} belongs to another program. Nothing was changed. hint: name another data directory.",
        database.display()
    )]
    Foreign { database: PathBuf },
    #[error(
        "store_damaged: {} is damaged: {words}. hint: put a backup in its place, or see what \
         'sqlite3 everfold.db .recover' can still read.", database.display()
    )]
    Damaged { database: PathBuf, words: String },
    #[error(
        "store_log_damaged: The log of {} is damaged: {words}. Something that was acknowledged is lost in it, and nothing \
         was changed. hint: put a backup in its place; or move {} away to go on with what can still be read.",
        database.display(), note.display()
    )]
    LogDamaged { database: PathBuf, note: PathBuf, words: String },
    #[error(
        "store_missing: {} is missing, but the log that belongs to it is there and may hold what was committed last. \
         hint: put the database back beside its log; for a new store, move the log away.", database.display()
    )]
    Missing { database: PathBuf },
    #[error("store_occupied: {} is there already, and was left as it is. hint: name another place.", path.display())]
    Occupied { path: PathBuf },
    #[error(
        "store_unusable: {} cannot be used: {words}. hint: check that the directory belongs to this user and that \
         the disk is not full.", path.display()
    )]
    Unusable { path: PathBuf, words: String },
}

/// Where the database is, and the VFS it is reached through.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) database: PathBuf,
    vfs: String,
    /// Serves pages that do not agree with their checksums.
    damaged_vfs: String,
}

/// What a process forked in the moment in which it was killed holds its files until it has become another program.
const CLAIM_WAIT: Duration = Duration::from_secs(1);
const CLAIM_PAUSE: Duration = Duration::from_millis(10);

/// Takes the directory for this process alone; dropping the file gives it back, and so does the end of the process.
pub fn claim(directory: &Path) -> Result<File, OpenError> {
    let unusable = |error: io::Error| OpenError::Unusable { path: directory.into(), words: error.to_string() };
    fs::create_dir_all(directory).map_err(unusable)?;
    let mut lock = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(directory.join(LOCK))
        .map_err(unusable)?;
    let begun = Instant::now();
    let locked = loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < CLAIM_WAIT => thread::sleep(CLAIM_PAUSE),
            locked => break locked,
        }
    };
    match locked {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(unusable(error)),
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            let known = lock.read_to_string(&mut process).is_ok() && !process.is_empty();
            let process = if known { process } else { "unknown".into() };
            return Err(OpenError::InUse { directory: directory.into(), process });
        }
    }
    // Only a courtesy to whoever is refused: on a full disk it stays empty.
    let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
    Ok(lock)
}

pub(super) fn place(directory: &Path, vfs: Option<&str>) -> Result<Place, OpenError> {
    let no_vfs = |words| OpenError::Unusable { path: directory.into(), words };
    Ok(Place {
        database: directory.join(DATABASE),
        vfs: pages::vfs(vfs).map_err(no_vfs)?,
        damaged_vfs: pages::damaged_vfs(vfs).map_err(no_vfs)?,
    })
}

/// The database of a claimed directory: made if there is none, checked before anything is changed, brought to this
/// build's format.
pub(super) fn database(directory: &Path, vfs: Option<&str>) -> Result<(Place, LogEnd), OpenError> {
    let place = place(directory, vfs)?;
    let no_vfs = |words| OpenError::Unusable { path: directory.into(), words };
    let foreign = Place { vfs: pages::foreign_vfs(vfs).map_err(no_vfs)?, ..place.clone() };
    let database = &place.database;
    let explain = |error| explain(database, error);
    if database.exists() {
        check_header(database)?;
    } else {
        create(directory, &place)?;
    }
    let unusable = |error: io::Error| OpenError::Unusable { path: directory.into(), words: error.to_string() };
    let mut log_end = LogEnd::open(database).map_err(unusable)?;
    let noted = log_end.noted();
    let since = noted.map_or(Ok(Since::Whole), |noted| log_end.since(&noted)).map_err(unusable)?;
    let log_damaged = |words| OpenError::LogDamaged { database: database.clone(), note: log_end.path().into(), words };
    if let Since::Damaged(words) = since {
        return Err(log_damaged(words));
    }

    // Another program that has copied the database, or its log into it, has left pages without a checksum.
    let is_foreign = since == Since::Gone || is_copy(database).map_err(unusable)?;
    let reached = if is_foreign { &foreign } else { &place };
    let connection = connect(reached, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(explain)?;
    // The log may hold a newer format than the header shows; until that is known, closing must not copy it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(explain)?;
    let found = format(&connection).map_err(explain)?;
    if found > FORMAT {
        return Err(OpenError::Newer { database: database.clone(), found, known: FORMAT });
    }
    if since == Since::Gone
        && newest_record(&connection, found).map_err(explain)? < noted.map_or(0, |noted| noted.record)
    {
        return Err(log_damaged("it is gone, and was not copied into the database".into()));
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(explain)?;
    // A copy that a tool made may have lost this setting; without it a power cut could take commits back.
    connection.pragma_update(None, "journal_mode", "WAL").map_err(explain)?;
    upgrade(&connection, found).map_err(explain)?;
    if is_foreign {
        tracing::warn!("another program has written to the database: all of it is written anew, with checksums");
        connection.execute_batch("VACUUM").map_err(explain)?;
    }
    // The log of a killed process may end in pages whose sync had failed: they can be read, and are on no disk. What
    // goes on from here goes on from the database file.
    log_end.empty().map_err(unusable)?;
    checkpoint::truncate(&connection).map_err(explain)?;
    drop(connection);
    // SQLite does not say when it could not write that the log is to be used: then the next connection would not.
    if header(database)?[JOURNAL_AT..JOURNAL_AT + 2] != JOURNAL_IS_LOG {
        let words = "it could not be set to use its log".into();
        return Err(OpenError::Unusable { path: database.clone(), words });
    }
    Ok((place, log_end))
}

/// The connection that commits. It notes the length of the log after each commit, and never checkpoints by itself.
pub(super) fn writer(place: &Place, log_pages: &Arc<AtomicU32>) -> rusqlite::Result<Connection> {
    let mut connection = connect(place, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "cache_size", -i64::from(WRITER_CACHE_KIB))?;
    let log_pages = log_pages.clone();
    connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
        log_pages.store(pages.unsigned_abs(), Ordering::Relaxed);
        Ok(())
    }))?;
    Ok(connection)
}

pub(super) fn reader(place: &Place) -> rusqlite::Result<Connection> {
    let connection = connect(place, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "cache_size", -i64::from(READER_CACHE_KIB))?;
    Ok(connection)
}

/// A reader that is served damaged pages as they are.
pub(super) fn reader_of_damage(place: &Place) -> rusqlite::Result<Connection> {
    reader(&Place { vfs: place.damaged_vfs.clone(), ..place.clone() })
}

/// A connection that only copies the log. It outlives the writer's, so that a writer that has to be opened again
/// finds the log as it was agreed on, and not as it reads from a disk that could not sync.
pub(super) fn copier(place: &Place) -> rusqlite::Result<Connection> {
    let connection = connect(place, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // A connection takes part in the log from its first read on.
    format(&connection)?;
    Ok(connection)
}

/// What SQLite's refusal means to whoever starts Everfold.
pub(super) fn explain(database: &Path, error: rusqlite::Error) -> OpenError {
    let words = words(&error);
    match error.sqlite_error_code() {
        _ if is_damage(&error) => OpenError::Damaged { database: database.into(), words },
        Some(ErrorCode::NotADatabase | ErrorCode::Unknown) => OpenError::Damaged { database: database.into(), words },
        _ => OpenError::Unusable { path: database.into(), words },
    }
}

/// Reads the header without SQLite, which would touch the files beside it.
fn header(database: &Path) -> Result<[u8; 100], OpenError> {
    let mut header = [0; 100];
    match File::open(database).and_then(|mut file| file.read_exact(&mut header)) {
        Ok(()) => Ok(header),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(OpenError::Damaged { database: database.into(), words: "its header is cut off".into() })
        }
        Err(error) => Err(OpenError::Unusable { path: database.into(), words: error.to_string() }),
    }
}

pub(super) fn check_header(database: &Path) -> Result<(), OpenError> {
    let header = header(database)?;
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (user_version, application_id) = (number(60), number(68));
    if &header[..16] != b"SQLite format 3\0" {
        return Err(OpenError::Damaged { database: database.into(), words: "it is not a SQLite database".into() });
    }
    if application_id != APPLICATION_ID {
        return Err(OpenError::Foreign { database: database.into() });
    }
    if user_version > FORMAT {
        return Err(OpenError::Newer { database: database.into(), found: user_version, known: FORMAT });
    }
    if user_version >= FORMAT_SUMMED && header[pages::RESERVED_AT] != pages::SUM_BYTES {
        return Err(OpenError::Damaged { database: database.into(), words: "its pages have no checksums".into() });
    }
    Ok(())
}

/// A whole copy has no checksum on its first page, which this build never leaves without.
fn is_copy(database: &Path) -> io::Result<bool> {
    let mut page = vec![0; 1 << 16];
    let mut file = File::open(database)?;
    file.read_exact(&mut page[..100])?;
    let page_bytes = match u16::from_be_bytes([page[16], page[17]]) {
        1 => 1 << 16,
        bytes => usize::from(bytes),
    };
    if page[pages::RESERVED_AT] != pages::SUM_BYTES || page_bytes < 512 {
        return Ok(false);
    }
    file.read_exact(&mut page[100..page_bytes])?;
    Ok(page[page_bytes - usize::from(pages::SUM_BYTES)..page_bytes].iter().all(|byte| *byte == 0))
}

/// Makes the database under another name, so that it is there as a whole or not at all.
fn create(directory: &Path, place: &Place) -> Result<(), OpenError> {
    let database = &place.database;
    let unusable = |error: io::Error| OpenError::Unusable { path: directory.into(), words: error.to_string() };
    let log = directory.join(format!("{DATABASE}-wal"));
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(OpenError::Missing { database: database.into() });
    }
    let unfinished = format!("{DATABASE}.new");
    for suffix in ["", "-journal", "-wal", "-shm"] {
        match fs::remove_file(directory.join(format!("{unfinished}{suffix}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
            _ => {}
        }
    }
    let unfinished = Place { database: directory.join(unfinished), ..place.clone() };
    fill(&unfinished).map_err(|error| explain(&unfinished.database, error))?;
    fs::rename(&unfinished.database, database).map_err(unusable)?;
    // The new names are durable only once the directories that hold them are.
    let above = directory.canonicalize().map_err(unusable)?;
    for holder in [Some(above.as_path()), above.parent()].into_iter().flatten() {
        File::open(holder).and_then(|holder| holder.sync_all()).map_err(unusable)?;
    }
    Ok(())
}

fn fill(unfinished: &Place) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = connect(unfinished, flags)?;
    vfs::reserve(&connection, pages::SUM_BYTES)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    upgrade(&connection, 0)?;
    // Closing copies the log as well, but does not say when it could not, and the log keeps its old name.
    checkpoint::truncate(&connection)?;
    connection.close().map_err(|(_, error)| error)
}

/// Brings a database of format `found` to [`FORMAT`], in one transaction. Every step stays here for good.
fn upgrade(connection: &Connection, found: u32) -> rusqlite::Result<()> {
    if found == FORMAT {
        return Ok(());
    }
    if found < FORMAT_SUMMED {
        // Writes every page anew, with room for its sum. On a new database there is nothing to write.
        vfs::reserve(connection, pages::SUM_BYTES)?;
        connection.execute_batch("VACUUM")?;
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    if found < 1 {
        // Records are appended in the order of their commits, whatever their lane: the index that finds them by lane
        // is small, and the bodies are written once. Rows keep an ordinary rowid, for a value may be megabytes.
        connection.execute_batch(
            "CREATE TABLE record (
                id INTEGER PRIMARY KEY,
                lane BLOB NOT NULL,
                position INTEGER NOT NULL,
                hash BLOB NOT NULL,
                body BLOB NOT NULL,
                UNIQUE (lane, position)
            ) STRICT;
            CREATE TABLE row (
                key BLOB NOT NULL PRIMARY KEY,
                value BLOB NOT NULL
            ) STRICT;",
        )?;
    }
    if found < 2 {
        connection.execute_batch(
            "CREATE TABLE chunk (
                id INTEGER PRIMARY KEY,
                lane BLOB NOT NULL,
                first INTEGER NOT NULL,
                last INTEGER NOT NULL,
                bytes BLOB NOT NULL,
                UNIQUE (lane, last)
            ) STRICT;",
        )?;
    }
    connection.pragma_update(None, "user_version", FORMAT)?;
    connection.execute_batch("COMMIT")
}

fn newest_record(connection: &Connection, format: u32) -> rusqlite::Result<u64> {
    if format == 0 {
        return Ok(0);
    }
    connection.query_row("SELECT ifnull(max(id), 0) FROM record", [], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
}

fn format(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// What all connections have in common. Memory mapping stays off: through it, a disk that fails would be a signal
/// that kills the process instead of an error.
fn connect(place: &Place, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(&place.database, flags, place.vfs.as_str())?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(32);
    let synchronous = if canary::is_planted(Bug::NoSync) { "OFF" } else { "FULL" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "mmap_size", 0)?;
    Ok(connection)
}

pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// A page that is not as it was written: what is on it is lost, and the rest of the database is not.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_IOERR_DATA) || error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

/// SQLite's words for an error; a page that a checksum gave away has none.
pub(super) fn words(error: &rusqlite::Error) -> String {
    match error.sqlite_error() {
        Some(known) if known.extended_code == rusqlite::ffi::SQLITE_IOERR_DATA => {
            "a page does not agree with its checksum".into()
        }
        _ => error.to_string(),
    }
}

/// SQLite has rolled back by itself after some errors, and after others not.
pub(super) fn roll_back(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() { Ok(()) } else { connection.execute_batch("ROLLBACK") }
}
