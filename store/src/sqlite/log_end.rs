//! Notes how far the log was acknowledged, so that a log that has rotted is told from one whose end was torn off.
//!
//! SQLite cuts its log at the first frame whose checksum is wrong. After a power cut that is right: what lies behind
//! was never synced. After rot it would silently forget what was acknowledged. So the writer notes, beside the log,
//! how many frames were synced before it answers. The note is not synced: an old one only sees less. Before the log is
//! emptied the note is, and that is synced.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// Where a log says which of its generations it is, and where a frame says which one it belongs to.
const HEADER_SALTS: std::ops::Range<usize> = 16..24;
const FRAME_SALTS: std::ops::Range<usize> = 8..16;
/// A log whose checksums are of little-endian words; one more stands for big-endian ones.
const MAGIC: u32 = 0x377f_0682;
const NOTE_BYTES: usize = 28;

/// What was acknowledged last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    salts: [u8; 8],
    frames: u32,
    /// The rowid of the newest record.
    pub(super) record: u64,
}

impl Noted {
    fn to_bytes(self) -> [u8; NOTE_BYTES] {
        let mut bytes = [0; NOTE_BYTES];
        bytes[..8].copy_from_slice(&self.salts);
        bytes[8..12].copy_from_slice(&self.frames.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.record.to_be_bytes());
        let sum = blake3::hash(&bytes[..20]);
        bytes[20..].copy_from_slice(&sum.as_bytes()[..8]);
        bytes
    }

    /// `None` for one that was emptied, or torn: it says nothing.
    fn from_bytes(bytes: &[u8; NOTE_BYTES]) -> Option<Noted> {
        let noted = Noted {
            salts: bytes[..8].try_into().ok()?,
            frames: u32::from_be_bytes(bytes[8..12].try_into().ok()?),
            record: u64::from_be_bytes(bytes[12..20].try_into().ok()?),
        };
        (noted.to_bytes() == *bytes).then_some(noted)
    }
}

/// What has become of a log since its end was noted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// All that was acknowledged is in it, or was copied before it began anew.
    Whole,
    /// It is not there: only the database can tell whether it was copied.
    Gone,
    Damaged(String),
}

/// The note of one store.
pub(super) struct LogEnd {
    note: File,
    path: PathBuf,
    log: PathBuf,
    opened_log: Option<File>,
    record: u64,
}

impl LogEnd {
    pub(super) fn open(database: &Path) -> io::Result<LogEnd> {
        let [path, log] = ["db-end", "db-wal"].map(|extension| database.with_extension(extension));
        let note = File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
        Ok(LogEnd { note, path, log, opened_log: None, record: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn noted(&self) -> Option<Noted> {
        let mut bytes = [0; NOTE_BYTES];
        self.note.read_exact_at(&mut bytes, 0).ok()?;
        Noted::from_bytes(&bytes)
    }

    /// Called after each commit, with the length of the log and the newest record, if any was committed. A note that
    /// cannot be written is the old one.
    pub(super) fn note(&mut self, frames: u32, record: Option<u64>) {
        self.record = record.unwrap_or(self.record);
        if frames == 0 {
            // It changed nothing, and the log is not begun.
            return;
        }
        if let Err(error) = self.try_note(frames) {
            tracing::warn!(%error, "the end of the log could not be noted");
        }
    }

    fn try_note(&mut self, frames: u32) -> io::Result<()> {
        let log = match &mut self.opened_log {
            Some(log) => log,
            none => none.insert(File::open(&self.log)?),
        };
        let mut salts = [0; 8];
        log.read_exact_at(&mut salts, HEADER_SALTS.start as u64)?;
        self.note.write_all_at(&Noted { salts, frames, record: self.record }.to_bytes(), 0)
    }

    /// Must be done before the log is emptied or removed, or what was copied would be missed.
    pub(super) fn empty(&mut self) -> io::Result<()> {
        self.opened_log = None;
        self.note.write_all_at(&[0; NOTE_BYTES], 0)?;
        self.note.sync_data()
    }

    /// Holds the log against the note.
    pub(super) fn since(&self, noted: &Noted) -> io::Result<Since> {
        let mut log = match File::open(&self.log) {
            Ok(log) => io::BufReader::with_capacity(1 << 20, log),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Since::Gone),
            Err(error) => return Err(error),
        };
        let mut header = [0; HEADER_BYTES];
        match log.read_exact(&mut header) {
            Ok(()) if header == [0; HEADER_BYTES] => return Ok(Since::Gone),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Since::Gone),
            read => read?,
        }
        let Some(mut sums) = Sums::of_header(&header) else {
            return Ok(Since::Damaged("its first bytes are not as they were written".into()));
        };
        if header[HEADER_SALTS] != noted.salts {
            return Ok(Since::Whole);
        }
        let mut frame = vec![0; FRAME_HEADER_BYTES + word(&header[8..]) as usize];
        for number in 0..noted.frames {
            let read = log.read_exact(&mut frame);
            if read.is_err() || frame[FRAME_SALTS] != noted.salts || !sums.takes_frame(&frame) {
                let words =
                    format!("page {} of {} that were committed is not as it was written", number + 1, noted.frames);
                return Ok(Since::Damaged(words));
            }
        }
        Ok(Since::Whole)
    }
}

/// The running checksum of a log, as SQLite's file format describes it.
struct Sums {
    big_endian: bool,
    sums: (u32, u32),
}

impl Sums {
    fn of_header(header: &[u8; HEADER_BYTES]) -> Option<Sums> {
        let mut sums = Sums { big_endian: word(header) == MAGIC + 1, sums: (0, 0) };
        sums.add(&header[..24]);
        let known = word(header) & !1 == MAGIC && word(&header[8..]).is_power_of_two() && word(&header[8..]) <= 65_536;
        (known && sums.are(&header[24..])).then_some(sums)
    }

    fn takes_frame(&mut self, frame: &[u8]) -> bool {
        self.add(&frame[..8]);
        self.add(&frame[FRAME_HEADER_BYTES..]);
        self.are(&frame[16..])
    }

    fn add(&mut self, bytes: &[u8]) {
        let read = if self.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        let (mut first, mut second) = self.sums;
        for pair in bytes.chunks_exact(8) {
            first = first.wrapping_add(read([pair[0], pair[1], pair[2], pair[3]])).wrapping_add(second);
            second = second.wrapping_add(read([pair[4], pair[5], pair[6], pair[7]])).wrapping_add(first);
        }
        self.sums = (first, second);
    }

    fn are(&self, bytes: &[u8]) -> bool {
        self.sums == (word(bytes), word(&bytes[4..]))
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
