//! A bucket of the test's own, at a real S3 server on a private port; gone with the test however it ends.

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

const KEY: &str = "an-id";
const SECRET: &str = "a-secret";
pub const BUCKET: &str = "bucket";
const START_WAIT: Duration = Duration::from_secs(20);

pub struct S3 {
    process: Child,
    port: u16,
    directory: TempDir,
}

impl S3 {
    /// A server with one empty bucket.
    pub fn start() -> S3 {
        let directory = TempDir::new().expect("a directory");
        fs::create_dir(directory.path().join(BUCKET)).expect("a bucket");
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).expect("a port").port();
        let process = spawned(directory.path(), port);
        let server = S3 { process, port, directory };
        server.until_ready();
        server
    }

    /// What a client of it has in its environment.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ACCESS_KEY_ID", KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)),
        ]
    }

    /// The files that its objects are, but for the one that every server writes when it starts.
    pub fn objects(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.directory.path().join(BUCKET)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("can be listed").flatten() {
                match entry.path() {
                    path if path.is_dir() => folders.push(path),
                    path if path.ends_with("everfold") => {}
                    path => found.push(path),
                }
            }
        }
        found.sort();
        found
    }

    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    pub fn start_again(&mut self) {
        self.process = spawned(self.directory.path(), self.port);
        self.until_ready();
    }

    fn until_ready(&self) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < START_WAIT, "the S3 server did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn spawned(directory: &Path, port: u16) -> Child {
    // `cargo x test` puts it there: xtask/src/install.rs.
    let tools = Path::new(&env::var_os("HOME").expect("a home")).join(".cache/everfold-tools/rclone-1.75.2");
    let mut rclone = Command::new("setpriv");
    rclone.arg("--pdeathsig=KILL").arg(tools.join("bin/rclone")).args([
        "serve",
        "s3",
        "--config=",
        "--log-level=ERROR",
    ]);
    rclone.args([format!("--addr=127.0.0.1:{port}"), format!("--auth-key={KEY},{SECRET}")]).arg(directory);
    rclone.stdin(Stdio::null()).spawn().expect("`cargo x test` installs rclone")
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.kill();
    }
}
