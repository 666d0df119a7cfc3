//! What the store in SQLite promises: the contract.

use store::{contract::Home, sqlite::Sqlite};
use tempfile::TempDir;

struct Directory(TempDir);

impl Home for Directory {
    type Kept = Sqlite;

    fn open(&mut self) -> Sqlite {
        Sqlite::open(self.0.path()).expect("opens")
    }
}

fn directory() -> Directory {
    Directory(TempDir::new().expect("a directory"))
}

store::contract!(directory());
