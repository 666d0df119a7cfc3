//! The sandbox of runtime servers and builds: what it is made of, and how a process comes to be in one.
//!
//! Everfold changes the user, joins the control groups and sets the limits; bubblewrap makes the namespaces and the
//! root, puts the filters on and becomes what was asked for. Nothing of the machine is seen that is not named here.

use std::{
    collections::BTreeSet,
    ffi::CString,
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Config, build,
    cgroup::{Group, Groups},
    filter,
    internet::{Admitted, Gate, Internet},
    launch::Network,
    skeleton::{Skeleton, c_string},
    spawn::{self, Spawned, Start},
};
use crate::{
    bounds::{
        SANDBOX_FILE_BYTES_MAX, SANDBOX_HOSTS, SANDBOX_OPEN_FILES_MAX, SANDBOX_TASKS, SANDBOX_USERS,
        SANDBOX_USERS_FIRST, SHARED_MEMORY_BYTES, SHOWN_FOLDERS_MAX, SOCKET_FOLDER_BYTES, STACK_TASKS, VARIABLES_MAX,
    },
    pool::locked,
};
use rustix::{fs::MemfdFlags, process::Resource};

/// What one sandbox holds.
pub struct Contents<'a> {
    pub argv: &'a [String],
    pub env: &'a [(String, String)],
    pub runtime: &'a Path,
    pub tree: &'a Path,
    /// A build writes into its tree; a server does not.
    pub is_tree_writable: bool,
    pub read_only: &'a [PathBuf],
    pub network: Network,
    pub memory_bytes: u64,
    pub processes: u64,
    pub tmp_bytes: u64,
    /// A server's socket and log pipe.
    pub is_server: bool,
}

/// A process that was started, with our ends of its pipes.
pub struct Inmate {
    pub process: Spawned,
    /// Holds its user id.
    pub user: Option<User>,
    /// Both of its outputs.
    pub output: OwnedFd,
    pub logs: Option<OwnedFd>,
    /// What bubblewrap tells of it.
    pub info: OwnedFd,
    pub input: OwnedFd,
    /// Of one that must be connected before it begins.
    pub gate: Option<Gate>,
}

/// Where the socket lies, seen from inside.
pub const SOCKET_FOLDER: &str = "/run/everfold";
pub const SOCKET_NAME: &str = "http.sock";

const LOGS_DESCRIPTOR: i32 = 3;
const INFO_DESCRIPTOR: i32 = 4;
const ARGUMENTS_DESCRIPTOR: i32 = 5;
/// And behind the filters, where there is one, the gate.
const FILTERS_DESCRIPTOR: i32 = 6;

/// Unless the variables say otherwise.
const PATH: (&str, &str) = ("PATH", "/usr/local/bin:/usr/bin:/bin");
pub const ENVIRONMENT: [(&str, &str); 3] = [("HOME", "/tmp"), ("TMPDIR", "/tmp"), ("LANG", "C.UTF-8")];

/// From where to where.
type Mounts = Vec<(CString, CString)>;

/// What this machine offers, ready to be used many times.
pub struct Sandbox {
    bubblewrap: PathBuf,
    skeleton: Skeleton,
    filters: Vec<OwnedFd>,
    landlock: Option<OwnedFd>,
    changes_user: bool,
    next: AtomicU64,
    pub internet: Internet,
    /// Behind those that lie in them.
    pub groups: Groups,
}

impl Sandbox {
    pub fn new(config: Config, landlock: Option<OwnedFd>) -> io::Result<Sandbox> {
        let filters = filter::programs().map_err(io::Error::other)?;
        Ok(Sandbox {
            bubblewrap: config.bubblewrap,
            skeleton: Skeleton::make(&config.scratch)?,
            groups: Groups::find(),
            filters: filters.iter().map(|program| in_memory(program)).collect::<io::Result<_>>()?,
            landlock,
            changes_user: rustix::process::geteuid().is_root(),
            next: AtomicU64::new(0),
            internet: Internet::new(
                config.slirp4netns,
                config.nft,
                Admitted { is_public: config.reaches_public, addresses: config.allowed },
            ),
        })
    }

    /// Whether each sandbox has a user of its own. Else it is the user that Everfold is.
    pub fn changes_user(&self) -> bool {
        self.changes_user
    }

    /// A folder that holds nobody's code.
    pub fn etc(&self) -> PathBuf {
        self.skeleton.etc()
    }

    /// For the folders of containers.
    pub fn containers(&self) -> PathBuf {
        self.skeleton.containers()
    }

    /// The group of the sandboxes that this thread starts.
    pub fn prepare(&self) -> io::Result<Group> {
        self.groups.prepare(&self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Must be called on the thread that prepared the group, and that lasts.
    pub fn spawn(&self, contents: &Contents, group: &Group) -> io::Result<Inmate> {
        let is_connected = contents.network == Network::Internet;
        if let (true, Some(why_not)) = (is_connected, self.internet.lacks()) {
            return Err(io::Error::other(why_not));
        }
        let stack_tasks = if is_connected { STACK_TASKS } else { 0 };
        group.limit(contents.memory_bytes, contents.processes + stack_tasks)?;
        let user = self.changes_user.then(User::take).transpose()?;
        if let (true, Some(user)) = (contents.is_tree_writable, &user) {
            build::hand_over(contents.tree, user.id)?;
        }
        let (mounts, shown) = self.show(contents)?;
        let arguments = in_memory(&self.arguments(contents, &shown)?)?;

        let (stdin, input) = io::pipe()?;
        let (output, stdout) = io::pipe()?;
        let (info, info_in) = io::pipe()?;
        let (logs, logs_in) = io::pipe()?;
        if let Some(user) = &user {
            // Languages open their streams anew by name, which asks who owns them.
            let id = rustix::fs::Uid::from_raw(user.id);
            for end in [stdin.as_fd(), stdout.as_fd(), logs_in.as_fd()] {
                rustix::fs::fchown(end, Some(id), None)?;
            }
        }
        // Each process reads the filters from their beginning.
        let filters = self.filters.iter().map(reopened).collect::<io::Result<Vec<_>>>()?;
        let mut descriptors = vec![
            (stdin.as_fd(), 0),
            (stdout.as_fd(), 1),
            (stdout.as_fd(), 2),
            (logs_in.as_fd(), LOGS_DESCRIPTOR),
            (info_in.as_fd(), INFO_DESCRIPTOR),
            (arguments.as_fd(), ARGUMENTS_DESCRIPTOR),
        ];
        descriptors.extend(filters.iter().zip(FILTERS_DESCRIPTOR..).map(|(filter, to)| (filter.as_fd(), to)));
        let gate = is_connected.then(io::pipe).transpose()?;
        descriptors.extend(gate.iter().map(|(waits, _)| (waits.as_fd(), self.gate_descriptor())));

        let process = spawn::spawn(&Start {
            descriptors: &descriptors,
            groups: &group.entrances()?,
            mounts: &mounts,
            user: user.as_ref().map(|user| user.id),
            landlock: self.landlock.as_ref().map(AsFd::as_fd),
            limits: &self.limits(contents),
            ..Start::new(&c_string(&self.bubblewrap)?, &self.command(contents)?)
        })?;
        let user_id = user.as_ref().map(|user| user.id);
        Ok(Inmate {
            process,
            user,
            output: output.into(),
            logs: contents.is_server.then(|| logs.into()),
            info: info.into(),
            input: input.into(),
            gate: gate.map(|(_, opens)| Gate { opens, user: user_id }),
        })
    }

    /// Where folders are shown first. A user that is not root may not reach all that root may, so root shows them in
    /// places that anybody may enter, in a mount namespace of the child's own.
    fn show(&self, contents: &Contents) -> io::Result<(Mounts, Vec<PathBuf>)> {
        if contents.read_only.len() > SHOWN_FOLDERS_MAX || contents.env.len() > VARIABLES_MAX {
            return Err(io::Error::other("more folders or variables than a sandbox takes"));
        }
        let folders: Vec<&Path> = [contents.tree, contents.runtime]
            .into_iter()
            .chain(contents.read_only.iter().map(PathBuf::as_path))
            .collect();
        for folder in &folders {
            if !folder.is_dir() {
                return Err(io::Error::other(format!("{} is not a folder", folder.display())));
            }
        }
        if !self.changes_user() {
            return Ok((Vec::new(), folders.into_iter().map(Path::to_owned).collect()));
        }
        let places: Vec<PathBuf> = (0..folders.len()).map(|number| self.skeleton.place(number)).collect();
        let pairs = folders.iter().zip(&places).map(|(from, to)| Ok((c_string(from)?, c_string(to)?)));
        Ok((pairs.collect::<io::Result<_>>()?, places))
    }

    /// The words that anybody may see in a list of processes: no variables.
    fn command(&self, contents: &Contents) -> io::Result<Vec<CString>> {
        let mut words = vec!["bwrap".to_owned(), "--args".into(), ARGUMENTS_DESCRIPTOR.to_string(), "--".into()];
        if !self.changes_user && !self.groups.bounds_processes() {
            // By user, and there is only one: counted within the sandbox's own namespace of users.
            let most = contents.processes + SANDBOX_TASKS;
            words.extend(["/usr/bin/prlimit".into(), format!("--nproc={most}:{most}"), "--".into()]);
        }
        words.extend(contents.argv.iter().cloned());
        words.into_iter().map(|word| Ok(CString::new(word)?)).collect()
    }

    fn arguments(&self, contents: &Contents, shown: &[PathBuf]) -> io::Result<Vec<u8>> {
        let mut words: Vec<Vec<u8>> = Vec::new();
        let mut say = |parts: &[&str]| words.extend(parts.iter().map(|part| part.as_bytes().to_vec()));
        say(&[
            "--unshare-user",
            "--disable-userns",
            "--unshare-pid",
            "--unshare-net",
            "--unshare-ipc",
            "--unshare-uts",
        ]);
        say(&["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--hostname", "function"]);
        say(&["--uid", "1000", "--gid", "1000", "--info-fd", &INFO_DESCRIPTOR.to_string()]);
        for number in 0..self.filters.len() as i32 {
            say(&["--add-seccomp-fd", &(FILTERS_DESCRIPTOR + number).to_string()]);
        }
        if contents.network == Network::Internet {
            say(&["--block-fd", &self.gate_descriptor().to_string()]);
        }
        words.extend(self.skeleton.arguments(contents.network == Network::Internet));

        let mut say = |parts: &[&[u8]]| words.extend(parts.iter().map(|part| part.to_vec()));
        say(&[b"--proc", b"/proc", b"--dev", b"/dev"]);
        say(&[
            b"--size",
            SHARED_MEMORY_BYTES.to_string().as_bytes(),
            b"--tmpfs",
            b"/dev/shm",
            b"--remount-ro",
            b"/dev",
        ]);
        say(&[
            b"--size",
            contents.tmp_bytes.to_string().as_bytes(),
            b"--tmpfs",
            b"/tmp",
            b"--symlink",
            b"/tmp",
            b"/var/tmp",
        ]);
        if contents.is_server {
            say(&[b"--size", SOCKET_FOLDER_BYTES.to_string().as_bytes(), b"--tmpfs", SOCKET_FOLDER.as_bytes()]);
        }
        let bind: &[u8] = if contents.is_tree_writable { b"--bind" } else { b"--ro-bind" };
        say(&[bind, shown[0].as_os_str().as_bytes(), b"/function"]);
        say(&[b"--ro-bind", shown[1].as_os_str().as_bytes(), b"/runtime"]);
        for (place, folder) in shown[2..].iter().zip(contents.read_only) {
            say(&[b"--ro-bind", place.as_os_str().as_bytes(), folder.as_os_str().as_bytes()]);
        }
        say(&[b"--remount-ro", b"/", b"--chdir", b"/function"]);

        let server = [
            ("EVERFOLD_SOCKET", format!("{SOCKET_FOLDER}/{SOCKET_NAME}")),
            ("EVERFOLD_LOGS", format!("/proc/self/fd/{LOGS_DESCRIPTOR}")),
        ];
        let usual = [PATH].into_iter().chain(ENVIRONMENT);
        let own = contents.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let server = server.iter().map(|(name, value)| (*name, value.as_str())).filter(|_| contents.is_server);
        for (name, value) in usual.chain(own).chain(server) {
            if name.is_empty() || name.contains('=') || name.contains('\0') || value.contains('\0') {
                return Err(io::Error::other(format!("a variable cannot be passed on: {name:?}")));
            }
            say(&[b"--setenv", name.as_bytes(), value.as_bytes()]);
        }
        Ok(words
            .into_iter()
            .flat_map(|mut word| {
                word.push(0);
                word
            })
            .collect())
    }

    fn gate_descriptor(&self) -> i32 {
        FILTERS_DESCRIPTOR + self.filters.len() as i32
    }

    fn limits(&self, contents: &Contents) -> Vec<(Resource, u64)> {
        let mut limits = vec![
            (Resource::Core, 0),
            (Resource::Memlock, 64 << 10),
            (Resource::Msgqueue, 0),
            (Resource::Fsize, SANDBOX_FILE_BYTES_MAX),
            (Resource::Nofile, SANDBOX_OPEN_FILES_MAX),
        ];
        if self.changes_user && !self.groups.bounds_processes() {
            // By user, and this one has nothing else.
            limits.push((Resource::Nproc, contents.processes + SANDBOX_TASKS));
        }
        limits
    }
}

/// A user id that one sandbox has to itself.
pub struct User {
    pub id: u32,
}

/// Those that sandboxes of this process have.
static USERS_TAKEN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

impl User {
    /// From the ids that fall to this process, so that two servers of one machine do not meet in one.
    pub fn take() -> io::Result<User> {
        let first = SANDBOX_USERS_FIRST + std::process::id() % SANDBOX_HOSTS * SANDBOX_USERS;
        let mut taken = locked(&USERS_TAKEN);
        let id = (first..first + SANDBOX_USERS).find(|id| !taken.contains(id));
        let id = id.ok_or_else(|| io::Error::other("every user id for sandboxes is in use"))?;
        taken.insert(id);
        Ok(User { id })
    }
}

impl Drop for User {
    fn drop(&mut self) {
        locked(&USERS_TAKEN).remove(&self.id);
    }
}

/// A file that is nowhere else.
pub fn in_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("everfold", MemfdFlags::CLOEXEC)?;
    let mut file = File::from(file);
    file.write_all(bytes)?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file.into())
}

/// The same file with a position of its own.
fn reopened(file: &OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    Ok(File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?.into())
}
