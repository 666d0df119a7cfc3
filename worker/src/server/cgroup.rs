//! Control groups: what bounds and counts the memory, the processes and the processor time of a sandbox as a whole.

use std::{
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use crate::bounds::SANDBOX_TASKS;

/// Where this process may make groups.
#[derive(Debug)]
pub struct Groups {
    layout: Layout,
    /// Missing controllers, in a sentence.
    pub lacks: String,
}

#[derive(Debug)]
enum Layout {
    Two { parent: PathBuf },
    One { memory: Option<PathBuf>, pids: Option<PathBuf>, cpuacct: Option<PathBuf> },
    Nowhere,
}

impl Groups {
    /// Looks for a place below this process's own groups, and makes a folder in it named after the process.
    pub fn find() -> Groups {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let why_not = match two(&own, &mounts) {
            Ok(parent) => return Groups { layout: Layout::Two { parent }, lacks: String::new() },
            Err(why_not) => why_not,
        };
        let (memory, pids, cpuacct) = one(&own, &mounts);
        let found = [("memory", memory.is_some()), ("pids", pids.is_some()), ("cpuacct", cpuacct.is_some())];
        let missing: Vec<&str> = found.iter().filter(|(_, is_there)| !is_there).map(|(name, _)| *name).collect();
        match missing.len() {
            0 => Groups { layout: Layout::One { memory, pids, cpuacct }, lacks: String::new() },
            3 => Groups { layout: Layout::Nowhere, lacks: why_not },
            _ => {
                let lacks = format!("no {}", missing.join(", no "));
                Groups { layout: Layout::One { memory, pids, cpuacct }, lacks }
            }
        }
    }

    pub fn version(&self) -> &'static str {
        match self.layout {
            Layout::Two { .. } => "v2",
            Layout::One { .. } => "v1",
            Layout::Nowhere => "none",
        }
    }

    pub fn bounds_processes(&self) -> bool {
        matches!(&self.layout, Layout::Two { .. } | Layout::One { pids: Some(_), .. })
    }

    pub fn bounds_memory(&self) -> bool {
        matches!(&self.layout, Layout::Two { .. } | Layout::One { memory: Some(_), .. })
    }

    pub fn counts_time(&self) -> bool {
        matches!(&self.layout, Layout::Two { .. } | Layout::One { cpuacct: Some(_), .. })
    }

    /// A group for one sandbox, which bounds nothing yet.
    fn make(&self, name: &str) -> io::Result<Group> {
        let made = |parent: &Option<PathBuf>| {
            let Some(parent) = parent else { return Ok(None) };
            let folder = parent.join(name);
            fs::create_dir(&folder).map(|()| Some(folder))
        };
        let mut group =
            Group { meter: Meter::default(), pids: None, has_inherited: false, kills_before: AtomicU64::new(0) };
        match &self.layout {
            Layout::Nowhere => {}
            Layout::Two { parent } => {
                let folder = made(&Some(parent.clone()))?;
                group.meter = Meter { memory: folder.clone(), cpu: folder.clone(), is_two: true };
                group.pids = folder;
            }
            Layout::One { memory, pids, cpuacct } => {
                group.meter.memory = made(memory)?;
                group.pids = made(pids)?;
                group.meter.cpu = made(cpuacct)?;
            }
        }
        Ok(group)
    }

    /// Makes the group of the sandboxes that this thread starts. Version 1 lets a thread join alone, and its children
    /// are born there.
    pub fn prepare(&self, name: &str) -> io::Result<Group> {
        let mut group = self.make(name)?;
        if matches!(self.layout, Layout::One { .. }) {
            for folder in group.folders() {
                fs::write(folder.join("tasks"), "0")?;
            }
            group.has_inherited = true;
        }
        Ok(group)
    }

    /// Takes this thread out of the group it joined last.
    pub fn leave(&self) {
        if let Layout::One { memory, pids, cpuacct } = &self.layout {
            let own = [memory, pids, cpuacct].into_iter().flatten().filter_map(|parent| parent.parent());
            own.for_each(|own| drop(fs::write(own.join("tasks"), "0")));
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        match &self.layout {
            Layout::Two { parent } => drop(fs::remove_dir(parent)),
            Layout::One { memory, pids, cpuacct } => {
                [memory, pids, cpuacct].into_iter().flatten().for_each(|parent| drop(fs::remove_dir(parent)));
            }
            Layout::Nowhere => {}
        }
    }
}

/// What is counted of a group, whoever made it.
#[derive(Debug, Default)]
pub struct Meter {
    memory: Option<PathBuf>,
    cpu: Option<PathBuf>,
    is_two: bool,
}

impl Meter {
    /// Of the groups that a process is in.
    pub fn of(process: u32) -> Meter {
        let own = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let one = |controller: &str| group_of_one(&own, &mounts, controller);
        match (one("memory"), one("cpuacct")) {
            (None, None) => {
                let two = group_of_two(&own, &mounts).ok().map(|(_, folder)| folder);
                Meter { memory: two.clone(), cpu: two, is_two: true }
            }
            (memory, cpu) => Meter { memory, cpu, is_two: false },
        }
    }

    pub fn processor_time(&self) -> Option<Duration> {
        let folder = self.cpu.as_ref()?;
        if self.is_two {
            return field(&folder.join("cpu.stat"), "usage_usec").map(Duration::from_micros);
        }
        number(&folder.join("cpuacct.usage")).map(Duration::from_nanos)
    }

    pub fn memory_peak_bytes(&self) -> Option<u64> {
        let name = if self.is_two { "memory.peak" } else { "memory.max_usage_in_bytes" };
        number(&self.memory.as_ref()?.join(name))
    }

    /// How many the kernel killed in it for want of memory.
    pub fn memory_kills(&self) -> u64 {
        let Some(folder) = &self.memory else { return 0 };
        field(&folder.join(if self.is_two { "memory.events" } else { "memory.oom_control" }), "oom_kill").unwrap_or(0)
    }
}

/// The groups of one sandbox, removed when it is over.
#[derive(Debug)]
pub struct Group {
    pub meter: Meter,
    pids: Option<PathBuf>,
    /// Who is started by the thread that prepared it is in it already.
    has_inherited: bool,
    /// Of a sandbox before.
    kills_before: AtomicU64,
}

impl Group {
    pub fn limit(&self, memory_bytes: u64, processes: u64) -> io::Result<()> {
        if let Some(folder) = &self.meter.memory {
            if self.meter.is_two {
                fs::write(folder.join("memory.max"), memory_bytes.to_string())?;
                let _ = fs::write(folder.join("memory.swap.max"), "0");
                let _ = fs::write(folder.join("memory.oom.group"), "1");
            } else {
                fs::write(folder.join("memory.limit_in_bytes"), memory_bytes.to_string())?;
                let _ = fs::write(folder.join("memory.memsw.limit_in_bytes"), memory_bytes.to_string());
            }
        }
        if let Some(folder) = &self.pids {
            fs::write(folder.join("pids.max"), (processes + SANDBOX_TASKS).to_string())?;
        }
        Ok(())
    }

    /// What a process writes itself into to join.
    pub fn entrances(&self) -> io::Result<Vec<OwnedFd>> {
        if self.has_inherited {
            return Ok(Vec::new());
        }
        self.folders()
            .iter()
            .map(|folder| Ok(File::options().write(true).open(folder.join("cgroup.procs"))?.into()))
            .collect()
    }

    /// Whether the kernel killed somebody in it for want of memory.
    pub fn ran_out_of_memory(&self) -> bool {
        self.meter.memory_kills() > self.kills_before.load(Ordering::Relaxed)
    }

    /// Forgets what a sandbox used that is over. Whether another can take its place here.
    pub fn forget(&self) -> bool {
        if !self.has_inherited {
            return false;
        }
        if let Some(folder) = &self.meter.memory {
            for (file, value) in [
                ("memory.memsw.limit_in_bytes", "-1"),
                ("memory.limit_in_bytes", "-1"),
                ("memory.force_empty", "0"),
                ("memory.max_usage_in_bytes", "0"),
            ] {
                let _ = fs::write(folder.join(file), value);
            }
            self.kills_before.store(self.meter.memory_kills(), Ordering::Relaxed);
        }
        self.meter.cpu.as_ref().is_none_or(|folder| fs::write(folder.join("cpuacct.usage"), "0").is_ok())
    }

    fn folders(&self) -> Vec<&PathBuf> {
        let mut folders: Vec<_> = [&self.meter.memory, &self.pids, &self.meter.cpu].into_iter().flatten().collect();
        folders.dedup();
        folders
    }
}

impl Drop for Group {
    /// May wait a little: the thread that prepared it may still be on its way out.
    fn drop(&mut self) {
        for folder in self.folders() {
            let is_gone = || fs::remove_dir(folder).map_err(|error| error.kind());
            let tried = (0..REMOVALS_MAX).find(|_| {
                let left = matches!(is_gone(), Err(io::ErrorKind::ResourceBusy));
                if left {
                    thread::sleep(REMOVAL_PAUSE);
                }
                !left
            });
            if tried.is_none() {
                tracing::warn!(folder = %folder.display(), "a control group is left behind");
            }
        }
    }
}

const REMOVALS_MAX: u32 = 200;
const REMOVAL_PAUSE: Duration = Duration::from_millis(5);

/// What groups are named here, so that who starts next can tell whose they are.
const PREFIX: &str = "everfold-";

/// A folder of ours below `place`; those of processes that are gone are removed.
fn own_folder(place: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(place)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(process) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('.').next()) else { continue };
        if !Path::new("/proc").join(process).exists() {
            let groups = fs::read_dir(entry.path()).into_iter().flatten().flatten();
            groups.for_each(|group| drop(fs::remove_dir(group.path())));
            let _ = fs::remove_dir(entry.path());
        }
    }
    // A process may look more than once.
    (0..1_000)
        .map(|n| place.join(format!("{PREFIX}{}.{n}", std::process::id())))
        .find_map(|folder| match fs::create_dir(&folder) {
            Ok(()) => Some(Ok(folder)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
            Err(error) => Some(Err(error)),
        })
        .unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))
}

/// The path of a process's group in the one tree of version 2, and its folder.
fn group_of_two<'a>(own: &'a str, mounts: &str) -> Result<(&'a str, PathBuf), String> {
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (_, place, kind) = (words.next()?, words.next()?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(place))
    });
    let mount = mount.ok_or("no control groups are mounted")?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::")).ok_or("this process is in no control group")?;
    Ok((path, mount.join(path.trim_start_matches('/'))))
}

/// The one tree of version 2, if it has the controllers and lets us use them.
fn two(own: &str, mounts: &str) -> Result<PathBuf, String> {
    let (path, own) = group_of_two(own, mounts)?;
    let text = |error: io::Error| format!("{}: {error}", own.display());
    let controllers = fs::read_to_string(own.join("cgroup.controllers")).map_err(text)?;
    let has = |name: &str| controllers.split_whitespace().any(|controller| controller == name);
    if !has("memory") || !has("pids") {
        return Err(format!("{} lacks the controllers memory and pids; under systemd: Delegate=yes", own.display()));
    }
    let wanted = if has("cpu") { "+memory +pids +cpu" } else { "+memory +pids" };
    if path != "/" {
        // A group hands controllers on only when no process is in it itself.
        let leaf = own.join("everfold");
        let moved = fs::create_dir(&leaf).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Ok(()),
            _ => Err(error),
        });
        moved.and_then(|()| fs::write(leaf.join("cgroup.procs"), "0")).map_err(text)?;
    }
    fs::write(own.join("cgroup.subtree_control"), wanted).map_err(text)?;
    let parent = own_folder(&own).map_err(text)?;
    fs::write(parent.join("cgroup.subtree_control"), wanted).map_err(text)?;
    Ok(parent)
}

type Controllers = (Option<PathBuf>, Option<PathBuf>, Option<PathBuf>);

/// The folder of a process's group in a tree of version 1.
fn group_of_one(own: &str, mounts: &str, controller: &str) -> Option<PathBuf> {
    let mount = mounts.lines().find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, place, "cgroup", options, ..] = words[..] else { return None };
        options.split(',').any(|option| option == controller).then(|| PathBuf::from(place))
    })?;
    let path = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        controllers.split(',').any(|name| name == controller).then_some(path)
    })?;
    Some(mount.join(path.trim_start_matches('/')))
}

/// The trees of version 1, each for itself: memory, pids, cpuacct.
fn one(own: &str, mounts: &str) -> Controllers {
    let find = |controller: &str| own_folder(&group_of_one(own, mounts, controller)?).ok();
    (find("memory"), find("pids"), find("cpuacct"))
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn field(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}
