//! The way to beat: Node, better-sqlite3 and one transaction for each tick, from `shared/peers` beside this project.
//! Trusted code in the server's own process, no sandbox, no replay.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const LIBRARY: &str = "better-sqlite3@12.9.0";

/// A folder in which the peer can be started; npm brings what it stands on.
pub fn prepare(folder: &Path) -> PathBuf {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/peers");
    fs::create_dir_all(folder).expect("a folder for the peer");
    for file in ["sqlite.mjs", "reducer.js"] {
        fs::copy(shared.join(file), folder.join(file)).unwrap_or_else(|error| panic!("{}: {error}", shared.display()));
    }
    bring(folder, LIBRARY);
    folder.to_owned()
}

/// Has npm bring `library`, a name with its version, unless it is there.
pub fn bring(folder: &Path, library: &str) {
    let name = library.split('@').next().unwrap_or(library);
    if !folder.join("node_modules").join(name).is_dir() {
        let npm = Command::new("npm").args(["install", "--silent", "--no-audit", library]).current_dir(folder).status();
        assert!(npm.is_ok_and(|status| status.success()), "npm could not install {library}");
    }
}
