//! Unpacks the code that somebody sent: whole and within its bounds, or not at all.
//!
//! No file is written through a link: links are made last, nothing lies behind one, and each leads to a place in the
//! tree, whatever links it leads over.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ffi::OsStr,
    fs,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{OpenOptionsExt, symlink},
    },
    path::{Component, Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use rules::refusal::Refusal;
use tar::EntryType;
use zip::ZipArchive;

/// Files, folders and links of one archive.
pub const ARCHIVE_ENTRIES_MAX: usize = 20_000;
/// What they may come to.
pub const ARCHIVE_UNPACKED_BYTES_MAX: u64 = 250_000_000;
pub const ARCHIVE_PATH_BYTES_MAX: usize = 1_024;
/// What an archive says about one entry, in a tar.
const ENTRY_WORDS_BYTES_MAX: u64 = 4 << 10;

/// What came out of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpacked {
    pub files: usize,
    pub bytes: u64,
}

/// Why nothing did.
#[derive(Debug)]
pub enum NotUnpacked {
    /// The archive is at fault.
    Refused(Refusal),
    /// This machine is.
    Io(io::Error),
}

impl From<io::Error> for NotUnpacked {
    fn from(error: io::Error) -> NotUnpacked {
        NotUnpacked::Io(error)
    }
}

/// Unpacks a tar.gz or a zip into a folder that is empty. What is there after a failure is of no use. Blocks.
pub fn unpack(archive: impl Read + Seek, into: &Path) -> Result<Unpacked, NotUnpacked> {
    let mut archive = BufReader::new(archive);
    let mut magic = [0; 4];
    let known = read_up_to(&mut archive, &mut magic)?;
    archive.seek(SeekFrom::Start(0))?;
    let mut tree = Tree::new(into);
    match &magic[..known] {
        [0x1f, 0x8b, ..] => unpack_tar(MultiGzDecoder::new(archive), &mut tree)?,
        [b'P', b'K', ..] => unpack_zip(archive, &mut tree)?,
        _ => return Err(refused("It is neither a tar.gz nor a zip.".into())),
    }
    tree.link()
}

fn read_up_to(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match reader.read(&mut bytes[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

fn unpack_tar(bytes: impl Read, tree: &mut Tree) -> Result<(), NotUnpacked> {
    let bytes_max = ARCHIVE_UNPACKED_BYTES_MAX + ARCHIVE_ENTRIES_MAX as u64 * ENTRY_WORDS_BYTES_MAX;
    let mut archive = tar::Archive::new(bytes.take(bytes_max));
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let path = PathBuf::from(OsStr::from_bytes(&entry.path_bytes()));
        let target = entry.link_name_bytes().map(|target| PathBuf::from(OsStr::from_bytes(&target)));
        let mode = entry.header().mode().unwrap_or(0o644);
        match (entry.header().entry_type(), target) {
            (EntryType::Regular | EntryType::Continuous, _) => tree.file(&path, mode, &mut entry)?,
            (EntryType::Directory, _) => tree.folder(&path)?,
            (EntryType::Symlink, Some(target)) => tree.symbolic_link(&path, target)?,
            (EntryType::Link, Some(target)) => tree.copy(&path, &target)?,
            // What git says of a whole archive.
            (EntryType::XGlobalHeader, _) => {}
            (kind, _) => return Err(of_entry(&path, &format!("is neither a file, a folder nor a link ({kind:?})"))),
        }
    }
    Ok(())
}

fn unpack_zip(bytes: impl Read + Seek, tree: &mut Tree) -> Result<(), NotUnpacked> {
    const KIND: u32 = 0o170_000;
    let unreadable = |error: zip::result::ZipError| unreadable(io::Error::other(error));
    let mut archive = ZipArchive::new(bytes).map_err(unreadable)?;
    if archive.len() > ARCHIVE_ENTRIES_MAX {
        return Err(too_many());
    }
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(unreadable)?;
        let path = PathBuf::from(std::ffi::OsString::from_vec(entry.name_raw().to_vec()));
        let mode = entry.unix_mode().unwrap_or(0o644);
        match mode & KIND {
            0o120_000 => {
                let mut target = Vec::new();
                let bytes_max = ARCHIVE_PATH_BYTES_MAX as u64 + 1;
                entry.by_ref().take(bytes_max).read_to_end(&mut target).map_err(self::unreadable)?;
                tree.symbolic_link(&path, PathBuf::from(std::ffi::OsString::from_vec(target)))?;
            }
            0 | 0o040_000 | 0o100_000 if entry.is_dir() => tree.folder(&path)?,
            0 | 0o100_000 => tree.file(&path, mode, &mut entry)?,
            _ => return Err(of_entry(&path, "is neither a file, a folder nor a link")),
        }
    }
    Ok(())
}

/// What is being unpacked.
struct Tree<'a> {
    root: &'a Path,
    known: BTreeMap<PathBuf, Known>,
    links: Vec<(PathBuf, PathBuf)>,
    entries: usize,
    files: usize,
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Folder,
    File,
    Link,
}

impl<'a> Tree<'a> {
    fn new(root: &'a Path) -> Tree<'a> {
        Tree { root, known: BTreeMap::new(), links: Vec::new(), entries: 0, files: 0, bytes: 0 }
    }

    fn folder(&mut self, path: &Path) -> Result<(), NotUnpacked> {
        let place = self.place(path, Known::Folder)?;
        Ok(fs::create_dir_all(self.root.join(place))?)
    }

    fn file(&mut self, path: &Path, mode: u32, bytes: &mut impl Read) -> Result<(), NotUnpacked> {
        let place = self.root.join(self.place(path, Known::File)?);
        let mut file = self.create(&place, mode)?;
        let left = ARCHIVE_UNPACKED_BYTES_MAX - self.bytes;
        let mut limited = bytes.take(left + 1);
        let mut buffer = vec![0; 64 << 10];
        loop {
            // Who is at fault is known by which of the two fails.
            match limited.read(&mut buffer).map_err(unreadable)? {
                0 => break,
                read => file.write_all(&buffer[..read])?,
            }
            if limited.limit() == 0 {
                return Err(of_entry(path, "is too much: all of it may be 250 MB unpacked"));
            }
        }
        self.bytes += left + 1 - limited.limit();
        Ok(())
    }

    /// A second name of a file is a file of its own.
    fn copy(&mut self, path: &Path, target: &Path) -> Result<(), NotUnpacked> {
        let original = inside(target).filter(|place| self.known.get(place) == Some(&Known::File));
        let original = original.ok_or_else(|| of_entry(path, "is a second name of no file before it"))?;
        let mut original = fs::File::open(self.root.join(original))?;
        let mode = std::os::unix::fs::MetadataExt::mode(&original.metadata()?);
        self.file(path, mode, &mut original)
    }

    fn symbolic_link(&mut self, path: &Path, target: PathBuf) -> Result<(), NotUnpacked> {
        let place = self.place(path, Known::Link)?;
        let depth = place.components().count() - 1;
        if target.as_os_str().len() > ARCHIVE_PATH_BYTES_MAX || !stays_inside(&target, depth) {
            return Err(of_entry(path, "is a link that leads out of the tree"));
        }
        self.links.push((place, target));
        Ok(())
    }

    /// Behind all files.
    fn link(self) -> Result<Unpacked, NotUnpacked> {
        for (place, target) in &self.links {
            let place = self.root.join(place);
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder)?;
            }
            symlink(target, place)?;
        }
        Ok(Unpacked { files: self.files, bytes: self.bytes })
    }

    fn create(&self, place: &Path, mode: u32) -> io::Result<fs::File> {
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(place)
    }

    /// Where in the tree an entry lies, if it may lie there.
    fn place(&mut self, path: &Path, kind: Known) -> Result<PathBuf, NotUnpacked> {
        self.entries += 1;
        if self.entries > ARCHIVE_ENTRIES_MAX {
            return Err(too_many());
        }
        self.files += usize::from(kind == Known::File);
        let place = inside(path).ok_or_else(|| of_entry(path, "does not lie in the tree"))?;
        let is_root = place.as_os_str().is_empty();
        if is_root && kind != Known::Folder || place.as_os_str().len() > ARCHIVE_PATH_BYTES_MAX {
            return Err(of_entry(path, "is no path of a file"));
        }
        for folder in place.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
            match self.known.entry(folder.to_owned()) {
                Entry::Vacant(vacant) => drop(vacant.insert(Known::Folder)),
                Entry::Occupied(known) if *known.get() == Known::Folder => break,
                Entry::Occupied(_) => return Err(of_entry(path, "lies in something that is not a folder")),
            }
        }
        match self.known.entry(place.clone()) {
            Entry::Vacant(vacant) => drop(vacant.insert(kind)),
            Entry::Occupied(known) if *known.get() == Known::Folder && kind == Known::Folder => {}
            Entry::Occupied(_) => return Err(of_entry(path, "is there twice")),
        }
        Ok(place)
    }
}

/// A path without detours; nothing when it is absolute or climbs.
fn inside(path: &Path) -> Option<PathBuf> {
    if path.as_os_str().as_bytes().contains(&0) {
        return None;
    }
    let mut place = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => place.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(place)
}

/// A link may climb only at its beginning, where it stands in real folders: behind another link, `..` is elsewhere.
fn stays_inside(target: &Path, depth: usize) -> bool {
    let mut climbs = 0;
    let mut descends = false;
    target.components().all(|component| match component {
        Component::ParentDir => {
            climbs += 1;
            !descends && climbs <= depth
        }
        Component::Normal(_) => {
            descends = true;
            true
        }
        Component::CurDir => true,
        Component::RootDir | Component::Prefix(_) => false,
    }) && !target.as_os_str().is_empty()
}

fn refused(why: String) -> NotUnpacked {
    NotUnpacked::Refused(Refusal::ARCHIVE_REFUSED.because(why))
}

fn of_entry(path: &Path, why: &str) -> NotUnpacked {
    refused(format!("{:?} {why}.", path.to_string_lossy()))
}

fn too_many() -> NotUnpacked {
    refused("It has more than 20,000 entries.".into())
}

fn unreadable(error: io::Error) -> NotUnpacked {
    refused(format!("It cannot be read: {error}."))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use flate2::{Compression, write::GzEncoder};
    use tar::{Builder, Header};
    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    enum Part<'a> {
        File(&'a str, u32, &'a [u8]),
        Folder(&'a str),
        Link(&'a str, &'a str),
        Hard(&'a str, &'a str),
        Device(&'a str),
        Zeros(&'a str, u64),
    }
    use Part::*;

    /// Paths as they are, however bad.
    fn tar(parts: &[Part]) -> Vec<u8> {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for part in parts {
            let mut header = Header::new_gnu();
            let (path, kind, target, mode) = match *part {
                File(path, mode, _) => (path, EntryType::Regular, "", mode),
                Zeros(path, _) => (path, EntryType::Regular, "", 0o644),
                Folder(path) => (path, EntryType::Directory, "", 0o755),
                Link(path, target) => (path, EntryType::Symlink, target, 0o777),
                Hard(path, target) => (path, EntryType::Link, target, 0o644),
                Device(path) => (path, EntryType::Char, "", 0o644),
            };
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
            header.set_entry_type(kind);
            header.set_mode(mode);
            let (bytes, zeros): (&[u8], u64) = match *part {
                File(_, _, bytes) => (bytes, 0),
                Zeros(_, zeros) => (&[], zeros),
                _ => (&[], 0),
            };
            header.set_size(bytes.len() as u64 + zeros);
            header.set_cksum();
            builder.append(&header, bytes.chain(io::repeat(0).take(zeros))).expect("written");
        }
        builder.into_inner().and_then(GzEncoder::finish).expect("written")
    }

    fn zip(parts: &[Part]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        for part in parts {
            match *part {
                File(path, mode, bytes) => {
                    writer.start_file(path, options.unix_permissions(mode)).expect("written");
                    writer.write_all(bytes).expect("written");
                }
                Folder(path) => writer.add_directory(path, options).expect("written"),
                Link(path, target) => writer.add_symlink(path, target, options).expect("written"),
                Zeros(path, zeros) => {
                    writer.start_file(path, options).expect("written");
                    io::copy(&mut io::repeat(0).take(zeros), &mut writer).expect("written");
                }
                Hard(..) | Device(_) => unreachable!("a zip has none"),
            }
        }
        writer.finish().expect("written").into_inner()
    }

    fn unpacked(archive: Vec<u8>) -> (tempfile::TempDir, Result<Unpacked, NotUnpacked>) {
        let folder = tempfile::tempdir().expect("a folder");
        let came = unpack(Cursor::new(archive), folder.path());
        (folder, came)
    }

    fn why(archive: Vec<u8>) -> String {
        match unpacked(archive).1 {
            Err(NotUnpacked::Refused(refusal)) => refusal.detail.into_owned(),
            other => panic!("it is not refused: {other:?}"),
        }
    }

    #[test]
    fn what_was_packed_comes_out_with_what_may_be_run() {
        let parts = [
            Folder("src/"),
            File("./src/index.js", 0o640, b"hello"),
            File("bin/run", 0o4777, b"#!/bin/sh"),
            Link("node_modules/.bin/run", "../../bin/run"),
            Link("now", "src/./index.js"),
        ];
        for archive in [tar(&parts), zip(&parts)] {
            let (folder, came) = unpacked(archive);
            assert_eq!(came.expect("unpacked"), Unpacked { files: 2, bytes: 14 });
            let read = |path: &str| fs::read(folder.path().join(path)).expect(path);
            assert_eq!((read("src/index.js"), read("now")), (b"hello".to_vec(), b"hello".to_vec()));
            assert_eq!(read("node_modules/.bin/run"), b"#!/bin/sh");
            let mode = |path: &str| {
                let metadata = fs::symlink_metadata(folder.path().join(path)).expect(path);
                std::os::unix::fs::MetadataExt::mode(&metadata) & 0o7777
            };
            assert_eq!((mode("src/index.js"), mode("bin/run")), (0o644, 0o755), "no more than that");
        }
    }

    #[test]
    fn what_lies_outside_is_refused_by_name() {
        for path in ["../out", "a/../../out", "/etc/passwd", "a/../b"] {
            assert!(why(tar(&[File(path, 0o644, b"x")])).contains(path), "{path}");
            assert!(why(zip(&[File(path, 0o644, b"x")])).contains(path), "{path}");
        }
    }

    #[test]
    fn a_link_leads_into_the_tree_whatever_it_leads_over() {
        // Behind a link that leads to its own folder, `..` would be outside.
        for (path, target) in [
            ("l", "/etc/passwd"),
            ("l", ".."),
            ("l", "a/.."),
            ("a/l", "../.."),
            ("a/l", "b/.."),
            ("a/b/l", "../c/../d"),
        ] {
            assert!(why(tar(&[Link(path, target)])).contains("leads out"), "{target}");
            assert!(why(zip(&[Link(path, target)])).contains("leads out"), "{target}");
        }
        let (folder, came) = unpacked(tar(&[Link("a/l", "../b"), File("b", 0o644, b"x")]));
        came.expect("unpacked");
        assert_eq!(fs::read(folder.path().join("a/l")).expect("a file"), b"x");
    }

    #[test]
    fn nothing_is_written_through_a_link_or_over_a_file() {
        let through = [Link("a", "b"), File("a/x", 0o644, b"x"), Folder("b")];
        assert!(why(tar(&through)).contains("not a folder"));
        assert!(why(zip(&through)).contains("not a folder"));
        assert!(why(tar(&[File("a/x", 0o644, b"x"), Link("a", "b")])).contains("twice"));
        assert!(why(tar(&[File("a", 0o644, b"x"), File("./a", 0o644, b"y")])).contains("twice"));
        assert!(why(tar(&[File("a", 0o644, b"x"), File("a/b", 0o644, b"y")])).contains("not a folder"));
    }

    #[test]
    fn a_second_name_is_a_file_of_its_own_and_of_a_file_alone() {
        let (folder, came) = unpacked(tar(&[File("a", 0o755, b"x"), Hard("b", "a")]));
        assert_eq!(came.expect("unpacked").files, 2);
        assert_eq!(fs::read(folder.path().join("b")).expect("a file"), b"x");
        for target in ["/etc/passwd", "../a", "l", "nowhere"] {
            assert!(why(tar(&[Link("l", "a"), Hard("b", target)])).contains("second name"), "{target}");
        }
    }

    #[test]
    fn devices_are_refused_by_name() {
        assert!(why(tar(&[Device("dev/null")])).contains("dev/null"));
    }

    #[test]
    fn there_is_an_end_to_what_comes_out() {
        let bomb = [Zeros("a", ARCHIVE_UNPACKED_BYTES_MAX), Zeros("bomb", 1)];
        assert!(why(tar(&bomb)).contains("bomb"));
        assert!(why(zip(&bomb)).contains("bomb"));
        let names: Vec<String> = (0..=ARCHIVE_ENTRIES_MAX).map(|number| number.to_string()).collect();
        let many: Vec<Part> = names.iter().map(|name| File(name, 0o644, b"")).collect();
        assert!(why(tar(&many)).contains("20,000"));
        assert!(why(zip(&many)).contains("20,000"));
        assert_eq!(unpacked(tar(&many[1..])).1.expect("unpacked").files, ARCHIVE_ENTRIES_MAX);
    }

    #[test]
    fn what_is_no_archive_or_ends_early_is_refused() {
        let whole = tar(&[File("a", 0o644, &[7; 10_000])]);
        let torn_zip = zip(&[File("a", 0o644, b"x")]);
        for archive in [Vec::new(), b"hello".to_vec(), whole[..40].to_vec(), torn_zip[..30].to_vec(), vec![0x1f, 0x8b]]
        {
            why(archive);
        }
    }
}
