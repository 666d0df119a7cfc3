//! A disk that notes every call, fails when told to, and says what a power cut would have left of it.
//!
//! What is simulated: every write, sync, truncation and deletion that SQLite does. A write is durable once its file was
//! synced; a new name, once a file that SQLite made for a log or journal was synced (it syncs the directory then).
//! After a failed sync each write before it is on the disk or lost, whatever later syncs say. The store's own note of
//! where its log ends is on the disk in any version since it was emptied, for only emptying syncs it. What is not: the
//! store's renaming of a new database and the sync of the directory behind it count as one step, and the lock is real.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::ffi;
use store::sqlite::vfs::{self, Below, Code, Kind, Layer};
use tempfile::TempDir;

/// The file that the store writes itself.
pub const LOG_END: &str = "everfold.db-end";
/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A small reproducible source of chance (splitmix64).
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).expect("small")
    }

    pub fn coin(&mut self) -> bool {
        self.next() & 1 == 0
    }
}

/// A directory in memory, if the machine has one.
pub fn directory() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a directory")
}

/// The files of a disk, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image(pub BTreeMap<String, Vec<u8>>);

impl Image {
    pub fn load(directory: &Path) -> Image {
        let entries = fs::read_dir(directory).expect("lists").map(|entry| entry.expect("lists").path());
        let kept = entries.filter(|path| !name(path).ends_with("-shm"));
        Image(kept.map(|path| (name(&path), fs::read(&path).expect("reads"))).collect())
    }

    /// A new directory with these files.
    pub fn restore(&self) -> TempDir {
        let place = directory();
        for (name, bytes) in &self.0 {
            fs::write(place.path().join(name), bytes).expect("writes");
        }
        place
    }
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[derive(Clone, Debug)]
pub enum Event<N> {
    Made {
        name: String,
        file: usize,
    },
    Written {
        file: usize,
        at: u64,
        bytes: Vec<u8>,
    },
    Cut {
        file: usize,
        length: u64,
    },
    Synced {
        file: usize,
    },
    SyncFailed {
        file: usize,
    },
    Gone {
        name: String,
    },
    Renamed {
        from: String,
        to: String,
    },
    /// The store has written its note of where the log ends.
    LogEnd(Vec<u8>),
    /// What the test did between the calls.
    Noted(N),
}

impl<N> Event<N> {
    pub fn is_call(&self) -> bool {
        !matches!(self, Event::Made { .. } | Event::Renamed { .. } | Event::LogEnd(_) | Event::Noted(_))
    }
}

/// What a call is to do instead of what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Error,
    Full,
    /// Half of it is written, and then comes the error.
    Short,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Read,
    Write,
    Truncate,
    Sync,
    Delete,
}

/// `calls` from number `from` on meet trouble.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub from: usize,
    pub calls: usize,
    pub trouble: Trouble,
}

/// A SQLite VFS over the real one. It lives as long as the process; `begin` makes it as new.
pub struct Disk<N: 'static> {
    pub vfs: &'static str,
    state: Mutex<State<N>>,
}

struct State<N> {
    directory: PathBuf,
    log_end: Vec<u8>,
    names: BTreeMap<String, usize>,
    files: usize,
    events: Vec<Event<N>>,
    calls: Vec<Call>,
    fault: Option<Fault>,
}

impl<N: Send + 'static> Disk<N> {
    pub fn new() -> &'static Disk<N> {
        let state = State::new(&Image::default(), None);
        let unique = Box::new(0_u8);
        let vfs = format!("disk-{:p}", Box::leak(unique));
        let disk = Box::leak(Box::new(Disk { vfs: vfs.leak(), state: Mutex::new(state) }));
        vfs::register(disk.vfs, None, disk).expect("is registered");
        disk
    }

    /// Forgets everything; what lies in the image is taken for durable.
    pub fn begin(&self, image: &Image, fault: Option<Fault>) {
        *self.lock() = State::new(image, fault);
    }

    pub fn note(&self, note: N) {
        self.lock().events.push(Event::Noted(note));
    }

    /// The disk is well from now on.
    pub fn heal(&self) {
        self.lock().fault = None;
    }

    /// What has happened since `begin`.
    pub fn take(&self) -> (Vec<Event<N>>, Vec<Call>) {
        let mut state = self.lock();
        (std::mem::take(&mut state.events), std::mem::take(&mut state.calls))
    }

    fn lock(&self) -> MutexGuard<'_, State<N>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<N> State<N> {
    fn new(image: &Image, fault: Option<Fault>) -> State<N> {
        State {
            directory: PathBuf::new(),
            log_end: Vec::new(),
            names: image.0.keys().cloned().zip(0..).collect(),
            files: image.0.len(),
            events: Vec::new(),
            calls: Vec::new(),
            fault,
        }
    }

    /// What the store has written itself since the last call was written before this one.
    fn look_aside(&mut self) {
        let found = fs::read(self.directory.join(LOG_END)).unwrap_or_default();
        if found != self.log_end {
            self.log_end.clone_from(&found);
            self.events.push(Event::LogEnd(found));
        }
    }

    fn call(&mut self, call: Call) -> Option<Trouble> {
        self.look_aside();
        let number = self.calls.len();
        self.calls.push(call);
        self.fault.filter(|fault| (fault.from..fault.from + fault.calls).contains(&number)).map(|fault| fault.trouble)
    }
}

/// An open file; `None` for those that have no name and are nobody's after a crash.
impl<N: Send + 'static> Layer for Disk<N> {
    type File = Option<usize>;

    fn open(&self, path: &Path, _: Kind) -> Result<Option<usize>, Code> {
        if path == Path::new("") {
            return Ok(None);
        }
        let mut state = self.lock();
        state.directory = path.parent().expect("has a directory").into();
        let name = name(path);
        if let Some(file) = state.names.get(&name).copied() {
            if path.metadata().is_ok_and(|found| found.len() == 0) {
                // The store has removed it, and SQLite has made it again.
                state.events.push(Event::Cut { file, length: 0 });
            }
            return Ok(Some(file));
        }
        // The store has renamed it since it was closed.
        let from = format!("{name}.new");
        let renamed = if PathBuf::from(path).with_file_name(&from).exists() { None } else { state.names.remove(&from) };
        let file = renamed.unwrap_or_else(|| {
            state.files += 1;
            state.files - 1
        });
        state.names.insert(name.clone(), file);
        state.events.push(match renamed {
            Some(_) => Event::Renamed { from, to: name },
            None => Event::Made { name, file },
        });
        Ok(Some(file))
    }

    fn read(&self, file: &mut Option<usize>, below: &mut Below, buffer: &mut [u8], at: u64) -> Result<(), Code> {
        if file.is_some() && self.lock().call(Call::Read).is_some() {
            return Err(ffi::SQLITE_IOERR_READ);
        }
        below.read(buffer, at)
    }

    fn write(&self, file: &mut Option<usize>, below: &mut Below, bytes: &[u8], at: u64) -> Result<(), Code> {
        let Some(file) = *file else { return below.write(bytes, at) };
        let mut state = self.lock();
        let (written, code) = match state.call(Call::Write) {
            None => (bytes, Ok(())),
            Some(Trouble::Error) => (&bytes[..0], Err(ffi::SQLITE_IOERR_WRITE)),
            Some(Trouble::Full) => (&bytes[..0], Err(ffi::SQLITE_FULL)),
            Some(Trouble::Short) => (&bytes[..bytes.len() / 2], Err(ffi::SQLITE_IOERR_WRITE)),
        };
        if !written.is_empty() {
            below.write(written, at)?;
            state.events.push(Event::Written { file, at, bytes: written.to_vec() });
        }
        code
    }

    fn truncate(&self, file: &mut Option<usize>, below: &mut Below, length: u64) -> Result<(), Code> {
        let Some(file) = *file else { return below.truncate(length) };
        let mut state = self.lock();
        if state.call(Call::Truncate).is_some() {
            return Err(ffi::SQLITE_IOERR_TRUNCATE);
        }
        below.truncate(length)?;
        state.events.push(Event::Cut { file, length });
        Ok(())
    }

    fn sync(&self, file: &mut Option<usize>, _: &mut Below) -> Result<(), Code> {
        let Some(file) = *file else { return Ok(()) };
        let mut state = self.lock();
        if state.call(Call::Sync).is_some() {
            state.events.push(Event::SyncFailed { file });
            return Err(ffi::SQLITE_IOERR_FSYNC);
        }
        // What the real disk would do does not matter: this one is the judge of what is durable.
        state.events.push(Event::Synced { file });
        Ok(())
    }

    fn delete(&self, path: &Path) -> Result<(), Code> {
        let mut state = self.lock();
        let name = name(path);
        if !state.names.contains_key(&name) {
            return Ok(());
        }
        if state.call(Call::Delete).is_some() {
            return Err(ffi::SQLITE_IOERR_DELETE);
        }
        state.names.remove(&name);
        state.events.push(Event::Gone { name });
        Ok(())
    }
}

/// What is on the disk for good, and what may be.
#[derive(Clone, Debug, Default)]
pub struct Platter {
    files: Vec<Vec<u8>>,
    names: BTreeMap<String, usize>,
    unsynced: Vec<(usize, Change)>,
    unsynced_names: Vec<(String, Option<usize>)>,
    /// All versions of the note that may be there, the newest last.
    log_ends: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Cut { length: u64 },
}

impl Platter {
    pub fn new(image: &Image) -> Platter {
        let names = image.0.keys().cloned().zip(0..).collect();
        let log_ends = image.0.get(LOG_END).cloned().into_iter().collect();
        Platter { files: image.0.values().cloned().collect(), names, log_ends, ..Platter::default() }
    }

    pub fn apply<N>(&mut self, event: &Event<N>, chance: &mut Chance) {
        match event {
            Event::Made { name, file } => {
                self.files.resize(self.files.len().max(file + 1), Vec::new());
                self.unsynced_names.push((name.clone(), Some(*file)));
            }
            Event::Written { file, at, bytes } => {
                self.unsynced.push((*file, Change::Write { at: *at, bytes: bytes.clone() }));
            }
            Event::Cut { file, length } => self.unsynced.push((*file, Change::Cut { length: *length })),
            Event::Synced { file } => {
                for (_, change) in self.unsynced.extract_if(.., |(of, _)| of == file) {
                    change.apply(&mut self.files[*file]);
                }
                if self.unsynced_names.iter().any(|(_, made)| *made == Some(*file)) {
                    self.sync_names();
                }
            }
            Event::SyncFailed { file } => {
                for (_, change) in self.unsynced.extract_if(.., |(of, _)| of == file) {
                    if chance.coin() {
                        change.apply(&mut self.files[*file]);
                    }
                }
            }
            Event::Gone { name } => self.unsynced_names.push((name.clone(), None)),
            Event::Renamed { from, to } => {
                self.sync_names();
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            Event::LogEnd(written) => {
                if written.iter().all(|byte| *byte == 0) {
                    self.log_ends.clear();
                }
                self.log_ends.push(written.clone());
            }
            Event::Noted(_) => {}
        }
    }

    fn sync_names(&mut self) {
        for (name, file) in self.unsynced_names.drain(..) {
            set(&mut self.names, name, file);
        }
    }

    /// The disk after a power cut now: what was synced, and of the rest whatever chance leaves.
    pub fn cut(&self, chance: &mut Chance) -> Image {
        let mut files = self.files.clone();
        let survival = Survival::any(chance, self.unsynced.len());
        for (at, (file, change)) in self.unsynced.iter().enumerate() {
            survival.apply(at, change, &mut files[*file], chance);
        }
        let mut names = self.names.clone();
        for (name, file) in &self.unsynced_names {
            if survival.is_all() || chance.coin() {
                set(&mut names, name.clone(), *file);
            }
        }
        let mut image = Image(names.into_iter().map(|(name, file)| (name, files[file].clone())).collect());
        let newest = self.log_ends.len().saturating_sub(1);
        if let Some(log_end) = self.log_ends.get(if chance.coin() { newest } else { chance.index(newest) }) {
            image.0.insert(LOG_END.into(), log_end.clone());
        }
        image
    }
}

fn set(names: &mut BTreeMap<String, usize>, name: String, file: Option<usize>) {
    match file {
        Some(file) => drop(names.insert(name, file)),
        None => drop(names.remove(&name)),
    }
}

/// Which of the changes that were not synced are on the disk.
enum Survival {
    None,
    All,
    /// Each by chance: later ones without earlier ones.
    Some,
    /// Each sector of each by chance.
    Torn,
    /// Those before one that is torn.
    UpTo(usize),
    /// Those behind one that is torn.
    From(usize),
}

impl Survival {
    fn any(chance: &mut Chance, changes: usize) -> Survival {
        match chance.below(6) {
            0 => Survival::None,
            1 => Survival::All,
            2 => Survival::Some,
            3 => Survival::Torn,
            4 => Survival::UpTo(chance.index(changes)),
            _ => Survival::From(chance.index(changes)),
        }
    }

    fn is_all(&self) -> bool {
        matches!(self, Survival::All)
    }

    fn apply(&self, number: usize, change: &Change, file: &mut Vec<u8>, chance: &mut Chance) {
        match self {
            Survival::None => {}
            Survival::All => change.apply(file),
            Survival::Some if chance.coin() => change.apply(file),
            Survival::Some => {}
            Survival::UpTo(torn) if number < *torn => change.apply(file),
            Survival::From(torn) if number > *torn => change.apply(file),
            Survival::UpTo(torn) | Survival::From(torn) if number != *torn => {}
            Survival::Torn | Survival::UpTo(_) | Survival::From(_) => change.tear(file, chance),
        }
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Change::Cut { length } => file.resize(to_usize(*length), 0),
            Change::Write { at, bytes } => put(file, to_usize(*at), bytes),
        }
    }

    fn tear(&self, file: &mut Vec<u8>, chance: &mut Chance) {
        let Change::Write { at, bytes } = self else {
            return if chance.coin() {
                self.apply(file)
            };
        };
        let (mut from, end) = (to_usize(*at), to_usize(*at) + bytes.len());
        while from < end {
            let to = end.min((from / SECTOR_BYTES + 1) * SECTOR_BYTES);
            if chance.coin() {
                put(file, from, &bytes[from - to_usize(*at)..to - to_usize(*at)]);
            }
            from = to;
        }
    }
}

fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    file.resize(file.len().max(end), 0);
    file[at..end].copy_from_slice(bytes);
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).expect("fits")
}
