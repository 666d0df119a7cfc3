//! What a sandbox sees of the machine besides its code: `/usr`, links to it, and an `/etc` of our own making.

use std::{
    ffi::CString,
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use super::internet::RESOLV_CONF;
use crate::bounds::SHOWN_FOLDERS_MAX;

/// Made once, shown to all. Removed when it is dropped.
#[derive(Debug)]
pub struct Skeleton {
    folder: PathBuf,
    /// What `/bin`, `/lib` and the like are here: a link into `/usr`, or a folder.
    top: Vec<(String, Option<PathBuf>)>,
    has_certificates: bool,
}

/// Of the machine's `/etc`, what languages look for; none of it is anybody's own.
const ETC_COPIED: [&str; 6] = ["alternatives", "ld.so.cache", "localtime", "mime.types", "php", "ssl/openssl.cnf"];
/// And all that begin with one of these.
const ETC_COPIED_PREFIXES: [&str; 1] = ["java-"];

const ETC: [(&str, &str); 5] = [
    ("passwd", "root:x:0:0::/:/bin/sh\nfunction:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"),
    ("group", "root:x:0:\nfunction:x:1000:\nnogroup:x:65534:\n"),
    ("hosts", "127.0.0.1 localhost function\n::1 localhost\n"),
    ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ("hostname", "function\n"),
];

impl Skeleton {
    /// Below a folder that everybody may enter.
    pub fn make(scratch: &Path) -> io::Result<Skeleton> {
        sweep(scratch);
        let folder = (0..1_000)
            .map(|n| scratch.join(format!("{PREFIX}{}.{n}", std::process::id())))
            .find_map(|folder| match fs::create_dir(&folder) {
                Ok(()) => Some(Ok(folder)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                Err(error) => Some(Err(error)),
            })
            .unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))?;
        let top = ["bin", "sbin", "lib", "lib32", "lib64"].into_iter().filter_map(|name| {
            let path = Path::new("/").join(name);
            let found = fs::symlink_metadata(&path).ok()?;
            Some((name.to_owned(), if found.is_symlink() { Some(fs::read_link(&path).ok()?) } else { None }))
        });
        let skeleton = Skeleton { top: top.collect(), has_certificates: Path::new(CERTIFICATES).is_dir(), folder };
        skeleton.fill()?;
        Ok(skeleton)
    }

    fn fill(&self) -> io::Result<()> {
        let etc = self.etc();
        fs::create_dir_all(etc.join("ssl/certs"))?;
        for (name, text) in ETC {
            fs::write(etc.join(name), text)?;
        }
        let all = fs::read_dir("/etc")?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let prefixed = all.filter(|name| ETC_COPIED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)));
        for name in ETC_COPIED.into_iter().map(str::to_owned).chain(prefixed) {
            // What is not there, or not for everybody's eyes, is not missed.
            let _ = copy(&Path::new("/etc").join(&name), &etc.join(&name));
        }
        fs::write(self.resolv_conf(), RESOLV_CONF)?;
        symlink(RESOLV_CONF_SHOWN, etc.join("resolv.conf"))?;
        for place in 0..PLACES {
            fs::create_dir_all(self.place(place))?;
        }
        open_to_all(&self.folder)?;
        fs::DirBuilder::new().mode(0o700).create(self.containers())
    }

    pub fn etc(&self) -> PathBuf {
        self.folder.join("etc")
    }

    /// For Everfold's eyes only: what containers are shown lies below.
    pub fn containers(&self) -> PathBuf {
        self.folder.join("containers")
    }

    fn resolv_conf(&self) -> PathBuf {
        self.folder.join("resolv.conf")
    }

    /// An empty folder to show another one in.
    pub fn place(&self, number: usize) -> PathBuf {
        self.folder.join("places").join(number.to_string())
    }

    /// What bubblewrap is told of all this.
    pub fn arguments(&self, has_network: bool) -> Vec<Vec<u8>> {
        let mut words: Vec<Vec<u8>> = Vec::new();
        let mut say = |parts: [&[u8]; 3]| words.extend(parts.map(<[u8]>::to_vec));
        say([b"--ro-bind", b"/usr", b"/usr"]);
        for (name, link) in &self.top {
            let path = format!("/{name}");
            match link {
                Some(target) => say([b"--symlink", target.as_os_str().as_bytes(), path.as_bytes()]),
                None => say([b"--ro-bind", path.as_bytes(), path.as_bytes()]),
            }
        }
        say([b"--ro-bind", self.etc().as_os_str().as_bytes(), b"/etc"]);
        if has_network {
            say([b"--ro-bind", self.resolv_conf().as_os_str().as_bytes(), RESOLV_CONF_SHOWN.as_bytes()]);
        }
        if has_network && self.has_certificates {
            say([b"--ro-bind", CERTIFICATES.as_bytes(), CERTIFICATES.as_bytes()]);
        }
        words
    }
}

impl Drop for Skeleton {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const PREFIX: &str = "everfold-sandboxes-";
/// Where the one `/etc` of all says that name servers are named. A sandbox without network has nothing there.
const RESOLV_CONF_SHOWN: &str = "/run/resolv.conf";
const CERTIFICATES: &str = "/etc/ssl/certs";
/// The code, the runtime, and the folders beside them.
const PLACES: usize = 2 + SHOWN_FOLDERS_MAX;

/// Removes what processes that are gone left behind.
fn sweep(scratch: &Path) {
    for entry in fs::read_dir(scratch).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(process) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('.').next()) else { continue };
        if !Path::new("/proc").join(process).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Links stay links; what is for root's eyes only stays where it is.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(from)?;
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    if found.is_symlink() {
        symlink(fs::read_link(from)?, to)
    } else if found.permissions().mode() & 0o004 == 0 {
        Ok(())
    } else if found.is_dir() {
        fs::create_dir_all(to)?;
        fs::read_dir(from)?.flatten().try_for_each(|entry| copy(&entry.path(), &to.join(entry.file_name())))
    } else {
        fs::copy(from, to).map(drop)
    }
}

/// Whatever the mask of this process says.
fn open_to_all(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if found.is_symlink() {
        return Ok(());
    }
    let mode = if found.is_dir() { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if found.is_dir() {
        fs::read_dir(path)?.flatten().try_for_each(|entry| open_to_all(&entry.path()))?;
    }
    Ok(())
}

pub fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}
