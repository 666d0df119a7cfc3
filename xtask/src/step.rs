//! One step of `cargo x`: a command run in the workspace's root, under a headline, with its seconds.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Instant,
};

/// Why a step failed, in one line.
pub struct Failed(pub String);

pub fn headline(name: &str, step: impl FnOnce() -> Result<(), Failed>) -> Result<(), Failed> {
    println!("── {name}");
    let started = Instant::now();
    let done = step();
    println!("   {:.1} s", started.elapsed().as_secs_f64());
    done
}

/// The folder that holds the workspace's Cargo.toml: of the checkout that this is run in, not of the one it was built in.
pub fn root() -> PathBuf {
    let folder = env::var_os("CARGO_MANIFEST_DIR").expect("'cargo x' runs this");
    Path::new(&folder).parent().expect("xtask is a folder of the workspace").to_owned()
}

/// The same cargo that runs this program.
pub fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Step {
    Step::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(args)
}

pub struct Step(Command);

impl Step {
    pub fn new(program: impl AsRef<OsStr>) -> Step {
        let mut command = Command::new(program);
        command.current_dir(root());
        Step(command)
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Step {
        self.0.args(args);
        self
    }

    pub fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Step {
        self.0.env(name, value);
        self
    }

    pub fn inside(mut self, folder: &Path) -> Step {
        self.0.current_dir(folder);
        self
    }

    /// Adds a folder in front of those that programs are looked for in.
    pub fn path(mut self, folder: &Path) -> Step {
        let known = env::var_os("PATH").unwrap_or_default();
        let folders = [folder.to_owned()].into_iter().chain(env::split_paths(&known));
        self.0.env("PATH", env::join_paths(folders).expect("a folder's name holds no colon"));
        self
    }

    /// What it printed, however it ended.
    pub fn output(mut self) -> Result<Output, Failed> {
        self.0.output().map_err(|error| Failed(format!("{:?} did not start: {error}", self.0.get_program())))
    }

    pub fn run(mut self) -> Result<(), Failed> {
        let words = [self.0.get_program()].into_iter().chain(self.0.get_args());
        let shown = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
        match self.0.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failed(format!("`{shown}` ended with {status}"))),
            Err(error) => Err(Failed(format!("`{shown}` did not start: {error}"))),
        }
    }
}
