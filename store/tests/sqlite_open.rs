//! What the store in SQLite refuses to open, what it says, and that it leaves alone what it refuses.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use rules::record::{Hash, LaneId, Position, Record, Seq};
use rusqlite::{Connection, config::DbConfig};
use store::{
    Batch, Commit, Store,
    contract::hold,
    sqlite::{OpenError, Sqlite},
};
use tempfile::TempDir;

#[test]
fn a_second_opener_is_refused_and_told_who_holds_the_directory() {
    let directory = directory();
    let store = open(directory.path()).expect("opens");
    let refused = sentence(open(directory.path()));
    assert!(refused.starts_with("store_in_use: "), "{refused}");
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    store.close();
    open(directory.path()).expect("is free again");
}

#[test]
fn a_newer_format_is_refused_untouched() {
    let directory = filled();
    let connection = Connection::open(directory.path().join("everfold.db")).expect("opens");
    connection.pragma_update(None, "user_version", 99).expect("writes");
    drop(connection);
    let before = files(directory.path());
    let refused = sentence(open(directory.path()));
    assert!(refused.starts_with("store_newer: ") && refused.contains("format 99"), "{refused}");
    assert!(files(directory.path()) == before, "something was changed");
}

/// A newer build that was killed after its upgrade has left the new number in the log alone.
#[test]
fn a_newer_format_that_only_the_log_knows_is_refused_untouched() {
    let (newer, killed) = (filled(), directory());
    let connection = Connection::open(newer.path().join("everfold.db")).expect("opens");
    connection.pragma_update(None, "user_version", 99).expect("writes");
    for file in ["everfold.db", "everfold.db-wal"] {
        fs::copy(newer.path().join(file), killed.path().join(file)).expect("copies");
    }
    let kept = || ["everfold.db", "everfold.db-wal"].map(|file| fs::read(killed.path().join(file)).expect("is there"));
    let before = kept();
    let refused = sentence(open(killed.path()));
    assert!(refused.starts_with("store_newer: ") && refused.contains("format 99"), "{refused}");
    assert!(kept() == before, "something was changed");
}

#[test]
fn an_older_format_is_upgraded() {
    // Empty, and as the first format was: without chunks, without checksums, with pages of another size.
    for (format, tables) in [(0, ""), (1, FORMAT_1)] {
        let directory = directory();
        let connection = Connection::open(directory.path().join("everfold.db")).expect("opens");
        connection.pragma_update(None, "journal_mode", "WAL").expect("writes");
        connection.pragma_update(None, "application_id", 0x4576_6664).expect("writes");
        connection.execute_batch(tables).expect("writes");
        connection.pragma_update(None, "user_version", format).expect("writes");
        drop(connection);
        for _ in 0..2 {
            hold(async {
                let store = open(directory.path()).expect("is upgraded, and then opens");
                let (row, last) =
                    (store.row(b"key".to_vec()).await, store.last(LaneId(1), Position::from_u64(9)).await);
                let kept = (format == 1).then(|| b"value".to_vec());
                assert_eq!(row, Ok(kept));
                assert_eq!(last.map(|last| last.map(|record| record.body.len())), Ok((format == 1).then_some(100_000)));
            });
        }
        let database = fs::read(directory.path().join("everfold.db")).expect("is there");
        let page_bytes = usize::from(u16::from_be_bytes([database[16], database[17]]));
        let summed = database.chunks(page_bytes).all(|page| page.iter().rev().take(8).any(|byte| *byte != 0));
        assert!(summed, "format {format}: a page has no checksum");
    }
}

const FORMAT_1: &str = "
    CREATE TABLE record (
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
    ) STRICT;
    INSERT INTO record VALUES (1, x'00000000000000000000000000000001', 7, zeroblob(32), randomblob(100000));
    INSERT INTO row VALUES (CAST('key' AS BLOB), CAST('value' AS BLOB));
";

/// Whoever looks into the store of a killed server with SQLite's own tool copies its log into the database.
#[test]
fn a_log_that_another_program_has_copied_is_not_missed() {
    let directory = directory();
    let killed = tempfile::TempDir::new().expect("a directory");
    hold(async {
        let store = open(directory.path()).expect("opens");
        let record = Record { position: Position::of_request(Seq(1)), hash: Hash::NONE, body: vec![b'x'; 50_000] };
        let batch = Batch { lane: LaneId(1), expect: Position::START, records: vec![record], rows: vec![] };
        assert_eq!(store.commit(batch).await, Commit::Done);
        for (file, bytes) in files(directory.path()) {
            fs::write(killed.path().join(file.file_name().expect("a name")), bytes).expect("copies");
        }
    });
    let without_log = tempfile::TempDir::new().expect("a directory");
    for file in ["everfold.db", "everfold.db-end"] {
        fs::copy(killed.path().join(file), without_log.path().join(file)).expect("copies");
    }
    let refused = sentence(open(without_log.path()));
    assert!(refused.starts_with("store_log_damaged: ") && refused.contains("everfold.db-end"), "{refused}");

    let connection = Connection::open(killed.path().join("everfold.db")).expect("opens");
    let records: i64 = connection.query_row("SELECT count(*) FROM record", [], |row| row.get(0)).expect("counts");
    assert_eq!(records, 1);
    drop(connection);
    assert!(!killed.path().join("everfold.db-wal").exists(), "the other program has not copied the log");
    for _ in 0..2 {
        hold(async {
            let store = open(killed.path()).expect("opens");
            let last = store.last(LaneId(1), Position::from_u64(u64::MAX)).await.expect("reads").expect("is there");
            assert_eq!(last.body.len(), 50_000);
        });
    }
}

/// As SQLite's own tools copy it: one whole file, which does not use the log and whose pages have no checksums.
#[test]
fn a_copy_that_a_tool_made_is_a_store_again() {
    let (original, copy) = (filled(), directory());
    let database = copy.path().join("everfold.db");
    let connection = Connection::open(original.path().join("everfold.db")).expect("opens");
    connection.execute("VACUUM INTO ?1", [database.to_str().expect("text")]).expect("writes");
    hold(async {
        let store = open(copy.path()).expect("opens");
        let last = store.last(LaneId(1), Position::from_u64(u64::MAX)).await.expect("reads").expect("is there");
        assert_eq!(last.position, Position::of_request(Seq(400)));
        let batch =
            Batch { lane: LaneId(1), expect: last.position, records: vec![], rows: vec![(vec![], Some(vec![]))] };
        assert_eq!(store.commit(batch).await, Commit::Done);
        assert!(copy.path().join("everfold.db-wal").metadata().is_ok_and(|log| log.len() > 0), "no log is used");
    });
}

#[test]
fn a_database_of_another_program_is_refused_untouched() {
    let directory = directory();
    let connection = Connection::open(directory.path().join("everfold.db")).expect("opens");
    connection.execute_batch("CREATE TABLE holiday (photo BLOB)").expect("writes");
    drop(connection);
    let before = files(directory.path());
    let refused = sentence(open(directory.path()));
    assert!(refused.starts_with("store_foreign: "), "{refused}");
    assert!(files(directory.path()) == before, "something was changed");
}

#[test]
fn a_damaged_database_is_refused_in_a_sentence() {
    let garbage = |length: usize| (0..length).map(|byte| (byte * 31 % 251) as u8).collect::<Vec<u8>>();
    type Inflict = fn(&mut Vec<u8>);
    let damages: [(&str, Inflict); 6] = [
        ("nothing is left", Vec::clear),
        ("the header is cut off", |file| file.truncate(50)),
        ("half is left", |file| file.truncate(file.len() / 2)),
        ("one page is missing", |file| file.truncate(file.len() - 8_192)),
        ("the first page is overwritten behind the header", |file| file[100..8_192].fill(0xa5)),
        ("the names of the tables disagree", |file| {
            let from = file.windows(13).position(|window| window == b"TABLE record ").expect("is there");
            file[from..from + 13].copy_from_slice(b"TABLE decord ");
        }),
    ];
    for (damage, inflict) in damages {
        let directory = filled();
        let database = directory.path().join("everfold.db");
        let mut file = fs::read(&database).expect("is there");
        inflict(&mut file);
        fs::write(&database, file).expect("writes");
        let refused = open(directory.path()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.starts_with("store_damaged: ") && refused.contains("hint: "), "{damage}: {refused}");
    }
    for length in [1, 4_096, 100_000] {
        let directory = directory();
        fs::write(directory.path().join("everfold.db"), garbage(length)).expect("writes");
        let refused = sentence(open(directory.path()));
        assert!(refused.starts_with("store_damaged: "), "{refused}");
    }
}

#[test]
fn a_database_without_its_tables_is_damaged() {
    let directory = filled();
    let connection = Connection::open(directory.path().join("everfold.db")).expect("opens");
    connection.execute_batch("DROP TABLE row; VACUUM").expect("writes");
    drop(connection);
    let refused = sentence(open(directory.path()));
    assert!(refused.starts_with("store_damaged: ") && refused.contains("row"), "{refused}");
}

#[test]
fn a_log_whose_database_is_missing_is_refused_untouched() {
    let (whole, beheaded) = (filled(), directory());
    let connection = Connection::open(whole.path().join("everfold.db")).expect("opens");
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).expect("is set");
    connection.execute_batch("DELETE FROM record").expect("writes");
    fs::copy(whole.path().join("everfold.db-wal"), beheaded.path().join("everfold.db-wal")).expect("copies");
    let before = files(beheaded.path());
    let refused = sentence(open(beheaded.path()));
    assert!(refused.starts_with("store_missing: "), "{refused}");
    assert!(files(beheaded.path()) == before, "something was changed");
}

#[test]
fn a_creation_that_was_cut_short_is_begun_again() {
    let directory = directory();
    for file in ["everfold.db.new", "everfold.db.new-journal", "everfold.db.new-wal"] {
        fs::write(directory.path().join(file), "half").expect("writes");
    }
    open(directory.path()).expect("opens").close();
    let left = files(directory.path()).into_keys().collect::<Vec<_>>();
    assert_eq!(left, ["everfold.db", "everfold.db-end"].map(|file| directory.path().join(file)));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, "").expect("writes");
    let refused = sentence(open(&file.join("data")));
    assert!(refused.starts_with("store_unusable: ") && refused.contains("/file/data"), "{refused}");
}

fn directory() -> TempDir {
    TempDir::new().expect("a directory")
}

/// A closed store of a few hundred pages.
fn filled() -> TempDir {
    let directory = directory();
    hold(async {
        let store = open(directory.path()).expect("opens");
        let records = (1..=400).map(|seq| {
            let position = Position::of_request(Seq(seq));
            Record { position, hash: Hash::NONE, body: vec![b'x'; 2_000] }
        });
        let batch = Batch { lane: LaneId(1), expect: Position::START, records: records.collect(), rows: vec![] };
        assert_eq!(store.commit(batch).await, Commit::Done);
    });
    directory
}

fn open(directory: &Path) -> Result<Sqlite, OpenError> {
    Sqlite::open(directory)
}

fn sentence(opened: Result<Sqlite, OpenError>) -> String {
    opened.err().expect("is refused").to_string()
}

/// Every file with its bytes. The lock is nobody's content.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(directory).expect("lists");
    let paths = entries.map(|entry| entry.expect("lists").path());
    paths
        .filter(|path| !path.ends_with("everfold.lock"))
        .map(|path| (path.clone(), fs::read(path).expect("reads")))
        .collect()
}
