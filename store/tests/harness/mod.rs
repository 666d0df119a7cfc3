//! A PostgreSQL of the test's own: a port, a directory and a user, gone with the test however it ends.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Where Debian's packages put what one major version brings.
const VERSIONS: &str = "/usr/lib/postgresql";
/// PostgreSQL runs as nobody that is root. Any number does; this one is Debian's `nobody`.
const USER: u32 = 65_534;
const START_WAIT: Duration = Duration::from_secs(30);

pub struct Server {
    host: String,
    // Before the directory, so that it ends before its files go.
    process: Option<Child>,
    port: u16,
    data: PathBuf,
    _directory: TempDir,
}

impl Server {
    /// A running server with an empty database.
    pub fn start() -> Server {
        Server::start_at("127.0.0.1")
    }

    /// One that listens at an address of this machine, for whoever reaches it.
    pub fn start_at(host: &str) -> Server {
        let directory = TempDir::new().expect("a directory");
        let data = directory.path().join("data");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("is open to all");
        let copied = Command::new("cp").args(["--archive", "--reflink=auto"]).arg(template()).arg(&data).status();
        assert!(copied.expect("cp runs").success());
        let trusts = fs::read_to_string(data.join("pg_hba.conf")).expect("is there") + "host all all all trust\n";
        fs::write(data.join("pg_hba.conf"), trusts).expect("is written");
        let mut server = Server { host: host.into(), process: None, port: free_port(), data, _directory: directory };
        server.start_again();
        server
    }

    /// A copy that follows this server, and without which it acknowledges nothing from here on.
    pub fn copied(&self) -> Server {
        let directory = TempDir::new().expect("a directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("is open to all");
        let data = directory.path().join("data");
        let port = free_port();
        fs::create_dir(&data).expect("is made");
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("is its own");
        if is_root() {
            chown(&data, Some(USER), Some(USER)).expect("is given away");
        }
        let from = format!("host={} port={} user=everfold application_name=copy", self.host, self.port);
        let copied = program("pg_basebackup")
            .args(["--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf", "--no-sync", "--dbname", &from])
            .arg("--pgdata")
            .arg(&data)
            .status();
        assert!(copied.expect("pg_basebackup runs").success());
        let mut copy = Server { host: self.host.clone(), process: None, port, data, _directory: directory };
        copy.start_again();
        copy
    }

    /// The address of this server, and of another that may take its place.
    pub fn address_with(&self, other: &Server) -> String {
        let at = |server: &Server| format!("{}:{}", server.host, server.port);
        format!("postgres://everfold:secret@{},{}/postgres?sslmode=prefer", at(self), at(other))
    }

    pub fn address(&self) -> String {
        format!("postgres://everfold:secret@{}:{}/postgres?sslmode=prefer", self.host, self.port)
    }

    /// The address of another database of this server, which is made now.
    pub async fn database(&self, name: &str) -> String {
        self.connect().await.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("is made");
        self.address().replace("/postgres?", &format!("/{name}?"))
    }

    /// A new folder that the server may write to.
    pub fn folder_at(&self, path: &Path) -> String {
        fs::create_dir(path).expect("is made");
        fs::set_permissions(path.parent().expect("lies in one"), fs::Permissions::from_mode(0o755))
            .expect("is open to all");
        if is_root() {
            chown(path, Some(USER), Some(USER)).expect("is given away");
        }
        path.display().to_string()
    }

    /// As the server's own clients write it, for statements that no store makes.
    pub async fn connect(&self) -> tokio_postgres::Client {
        connect(&self.address()).await
    }

    pub fn start_again(&mut self) {
        let begun = Instant::now();
        while !self.is_ready() {
            assert!(begun.elapsed() < START_WAIT, "PostgreSQL did not start:\n{}", self.log());
            // It refuses to start while a process that was killed is still there.
            if self.process.as_mut().is_none_or(|process| process.try_wait().expect("can be asked").is_some()) {
                self.process = Some(self.spawn());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn spawn(&self) -> Child {
        let settings = [
            format!("port={}", self.port),
            format!("listen_addresses={}", self.host),
            "unix_socket_directories=".into(),
            "shared_buffers=64MB".into(),
            "max_connections=50".into(),
        ];
        let mut postgres = program("postgres");
        postgres.arg("-D").arg(&self.data).args(settings.iter().flat_map(|setting| ["-c", setting]));
        postgres.stderr(fs::File::create(self.log_file()).expect("a log")).spawn().expect("starts")
    }

    /// From its next start on it takes encrypted connections, with a certificate that nobody has signed.
    pub fn encrypt(&self) {
        let certificate =
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=everfold", "-keyout", "server.key"];
        let of_host = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", "server.crt"];
        let mut openssl = Command::new("openssl");
        let made = openssl.args(certificate).args(of_host).current_dir(&self.data).stderr(Stdio::null()).status();
        assert!(made.expect("openssl runs").success());
        if is_root() {
            for file in ["server.key", "server.crt"] {
                chown(self.data.join(file), Some(USER), Some(USER)).expect("is given away");
            }
        }
        fs::write(self.data.join("postgresql.auto.conf"), "ssl = on\n").expect("is written");
    }

    /// Kills every one of its processes at once, as a power cut would, but for what the system has in memory.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let mut doomed = children(process.id());
        doomed.push(process.id());
        for id in &doomed {
            signal(*id, "-KILL");
        }
        process.wait().expect("has ended");
        fs::remove_file(self.log_file()).expect("is there");
    }

    fn is_ready(&self) -> bool {
        // One that follows another takes questions alone.
        let is_up = |log: &str| log.contains("database system is ready to accept");
        TcpStream::connect((self.host.as_str(), self.port)).is_ok() && is_up(&self.log())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.data.with_extension("log")
    }
}

pub async fn connect(address: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(address, tokio_postgres::NoTls).await.expect("connects");
    tokio::spawn(connection);
    client
}

impl Drop for Server {
    /// Asks it to end at once: killed, it would leave a piece of shared memory behind.
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal(process.id(), "-QUIT");
            let _ = process.wait();
        }
    }
}

/// A data directory as `initdb` makes it, made once for all tests.
fn template() -> PathBuf {
    // Only tests are given a folder by cargo.
    let folder = option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let kept = folder.join("postgresql");
    let lock = fs::File::create(kept.with_extension("lock")).expect("a lock");
    lock.lock().expect("is locked");
    if kept.exists() {
        return kept;
    }
    let directory = TempDir::new().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("is open to all");
    let data = directory.path().join("data");
    fs::create_dir(&data).expect("is made");
    if is_root() {
        chown(&data, Some(USER), Some(USER)).expect("is given away");
    }
    let made = program("initdb")
        .args(["--auth=trust", "--username=everfold", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"])
        .arg(&data)
        .stdout(Stdio::null())
        .status();
    assert!(made.expect("initdb runs").success());
    let draft = kept.with_extension("new");
    let _ = fs::remove_dir_all(&draft);
    let copied = Command::new("cp").arg("--archive").arg(&data).arg(&draft).status();
    assert!(copied.expect("cp runs").success());
    fs::rename(&draft, &kept).expect("is kept");
    kept
}

/// One of PostgreSQL's programs, which ends when this process does.
fn program(name: &str) -> Command {
    let mut versions: Vec<PathBuf> = fs::read_dir(VERSIONS).map_or(Vec::new(), |found| {
        found
            .filter_map(|version| Some(version.ok()?.path().join("bin").join(name)))
            .filter(|path| path.exists())
            .collect()
    });
    versions.sort();
    let path = versions.pop().unwrap_or_else(|| panic!("{name} is missing; on Debian: apt-get install postgresql"));
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=KILL");
    if is_root() {
        command.args([format!("--reuid={USER}"), format!("--regid={USER}"), "--clear-groups".into()]);
    }
    command.arg(path).current_dir("/").stdin(Stdio::null());
    command
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn children(of: u32) -> Vec<u32> {
    let found = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    found.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

fn signal(process: u32, signal: &str) {
    let _ = Command::new("kill").args([signal, &process.to_string()]).stderr(Stdio::null()).status();
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("has one").port()
}
