//! Puts a layer of Rust between SQLite and its files: the only unsafe code of this crate.
//!
//! SQLite asks a *VFS*, a table of C functions, for everything it wants from a disk. [`register`] makes a VFS that
//! asks a [`Layer`] about each read, write, truncation, sync and deletion, and hands everything else (locks, shared
//! memory, names, time) to the VFS below. Memory mapping is not offered: what is mapped passes by every layer.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString, OsStr, c_char, c_int, c_void},
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr,
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, ffi};

/// One of SQLite's result codes, extended ones included.
pub type Code = c_int;

/// What a file is to SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Database,
    Log,
    Other,
}

/// What stands between SQLite and the files of the VFS below. Calls for one open file never overlap; those for two
/// open files of the same name may.
pub trait Layer: Send + Sync + 'static {
    /// What the layer knows of one open file; dropped when it is closed.
    type File: Send;

    /// The file was opened, and made if it was not there.
    fn open(&self, path: &Path, kind: Kind) -> Result<Self::File, Code>;

    fn read(&self, _: &mut Self::File, below: &mut Below, buffer: &mut [u8], at: u64) -> Result<(), Code> {
        below.read(buffer, at)
    }

    fn write(&self, _: &mut Self::File, below: &mut Below, bytes: &[u8], at: u64) -> Result<(), Code> {
        below.write(bytes, at)
    }

    fn truncate(&self, _: &mut Self::File, below: &mut Below, length: u64) -> Result<(), Code> {
        below.truncate(length)
    }

    fn sync(&self, _: &mut Self::File, below: &mut Below) -> Result<(), Code> {
        below.sync()
    }

    /// A file is about to be deleted; an error keeps it.
    fn delete(&self, _: &Path) -> Result<(), Code> {
        Ok(())
    }
}

/// An open file of the VFS below, for the length of one call.
pub struct Below {
    file: *mut ffi::sqlite3_file,
    sync_flags: c_int,
    log_index: *mut u32,
}

impl Below {
    /// Fills the buffer. What lies behind the end of the file becomes zeros, and the answer `SQLITE_IOERR_SHORT_READ`.
    pub fn read(&mut self, buffer: &mut [u8], at: u64) -> Result<(), Code> {
        // Safety: `file` is open for as long as this call lasts, and its methods are those of the VFS that opened it.
        let read = unsafe { methods(self.file).xRead };
        result(unsafe { call(read)(self.file, buffer.as_mut_ptr().cast(), length(buffer.len()), offset(at)) })
    }

    pub fn write(&mut self, bytes: &[u8], at: u64) -> Result<(), Code> {
        // Safety: as for `read`; SQLite's own VFSes do not write to what they are given to write.
        let write = unsafe { methods(self.file).xWrite };
        result(unsafe { call(write)(self.file, bytes.as_ptr().cast(), length(bytes.len()), offset(at)) })
    }

    pub fn truncate(&mut self, length: u64) -> Result<(), Code> {
        // Safety: as for `read`.
        let truncate = unsafe { methods(self.file).xTruncate };
        result(unsafe { call(truncate)(self.file, offset(length)) })
    }

    pub fn sync(&mut self) -> Result<(), Code> {
        // Safety: as for `read`.
        let sync = unsafe { methods(self.file).xSync };
        result(unsafe { call(sync)(self.file, self.sync_flags) })
    }
}

/// Where the shared index of a log says how many of its frames are copied, in words (SQLite's file format, "WAL-index").
const COPIED_AT: usize = 96 / size_of::<u32>();

impl Below {
    /// Has the log copied into this database from its beginning again. To be called only from within a checkpoint.
    pub(super) fn forget_what_was_copied(&mut self) {
        if !self.log_index.is_null() {
            // Safety: SQLite has mapped at least 32 KiB there until it unmaps them, and whoever is within a checkpoint
            // holds the lock under which this word is written.
            let copied = unsafe { std::sync::atomic::AtomicU32::from_ptr(self.log_index.add(COPIED_AT)) };
            copied.store(0, std::sync::atomic::Ordering::SeqCst);
        }
    }
}

/// Makes `layer` known to SQLite as the VFS `name`, above the VFS `base` (SQLite's default one if there is no name).
/// A VFS stays until the process ends; registering a name again changes nothing.
pub fn register<L: Layer>(name: &str, base: Option<&str>, layer: &'static L) -> Result<(), String> {
    static REGISTERING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = REGISTERING.lock().unwrap_or_else(PoisonError::into_inner);
    let c_name = |name: &str| CString::new(name).map_err(|_| format!("'{name}' cannot be the name of a VFS"));
    let own_name = c_name(name)?;
    let base_name = base.map(c_name).transpose()?;
    // Safety: SQLite is initialised by the calls that need it; names are C strings; a VFS that was found is never
    // unregistered here; what is registered is leaked and so lives as long as SQLite knows it.
    unsafe {
        if !ffi::sqlite3_vfs_find(own_name.as_ptr()).is_null() {
            return Ok(());
        }
        let base = ffi::sqlite3_vfs_find(base_name.as_ref().map_or(ptr::null(), |name| name.as_ptr()));
        if base.is_null() {
            return Err("SQLite knows no VFS of that name".into());
        }
        // What is not replaced does not look at the VFS it is called through, in the VFSes that SQLite brings.
        let mut vfs = ptr::read(base);
        vfs.zName = own_name.into_raw();
        vfs.pNext = ptr::null_mut();
        vfs.szOsFile += c_int::try_from(below_at::<L>()).map_err(|_| "a file of this layer is too large")?;
        vfs.pAppData = ptr::from_mut(Box::leak(Box::new(Stack { base, layer }))).cast();
        vfs.xOpen = Some(open::<L>);
        vfs.xDelete = Some(delete::<L>);
        match ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0) {
            ffi::SQLITE_OK => Ok(()),
            code => Err(format!("SQLite refused a VFS: {code}")),
        }
    }
}

/// Keeps the last bytes of every page free for a layer, from the next time the database is written anew: when it is
/// made, or by a `VACUUM`.
pub(super) fn reserve(connection: &Connection, bytes: u8) -> rusqlite::Result<()> {
    let mut bytes = c_int::from(bytes);
    // Safety: the connection is open, and for this operation the argument is a pointer to an int.
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_RESERVE_BYTES,
            ptr::from_mut(&mut bytes).cast(),
        )
    };
    result(code).map_err(|code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
}

struct Stack<L: 'static> {
    base: *mut ffi::sqlite3_vfs,
    layer: &'static L,
}

/// What SQLite takes for its file. The file of the VFS below follows it in memory.
#[repr(C)]
struct Open<L: Layer> {
    methods: ffi::sqlite3_file,
    layer: &'static L,
    file: L::File,
    /// The beginning of the index that all connections to a log share, once it is mapped.
    log_index: *mut u32,
}

/// Where the file below begins: SQLite aligns what it allocates to 8 bytes, and its own VFSes need no more.
const fn below_at<L: Layer>() -> usize {
    assert!(align_of::<Open<L>>() <= 8);
    size_of::<Open<L>>().next_multiple_of(8)
}

unsafe fn below<L: Layer>(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    unsafe { file.byte_add(below_at::<L>()) }
}

unsafe fn methods<'a>(file: *mut ffi::sqlite3_file) -> &'a ffi::sqlite3_io_methods {
    unsafe { &*(*file).pMethods }
}

fn call<F>(function: Option<F>) -> F {
    function.expect("a VFS has every function of its version")
}

fn result(code: Code) -> Result<(), Code> {
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(code) }
}

fn code(result: Result<(), Code>) -> Code {
    result.err().unwrap_or(ffi::SQLITE_OK)
}

fn length(length: usize) -> c_int {
    c_int::try_from(length).expect("SQLite reads and writes at most a page and a frame at once")
}

fn offset(at: u64) -> i64 {
    i64::try_from(at).expect("no file is longer")
}

fn from_offset(at: i64) -> u64 {
    u64::try_from(at).expect("SQLite asks for no place before a file")
}

unsafe fn path<'a>(name: *const c_char) -> &'a Path {
    if name.is_null() {
        Path::new("")
    } else {
        Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()))
    }
}

unsafe extern "C" fn open<L: Layer>(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // Safety: SQLite gives `szOsFile` bytes at `file`, and the VFS that was registered with this function.
    unsafe {
        (*file).pMethods = ptr::null();
        let stack = &*(*vfs).pAppData.cast::<Stack<L>>();
        let lower = below::<L>(file);
        (*lower).pMethods = ptr::null();
        let opened = call((*stack.base).xOpen)(stack.base, name, lower, flags, flags_out);
        let kind = match flags {
            flags if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 => Kind::Database,
            flags if flags & ffi::SQLITE_OPEN_WAL != 0 => Kind::Log,
            _ => Kind::Other,
        };
        match result(opened).and_then(|()| stack.layer.open(path(name), kind)) {
            Ok(state) => {
                let methods = ffi::sqlite3_file { pMethods: &Methods::<L>::TABLE };
                file.cast::<Open<L>>().write(Open {
                    methods,
                    layer: stack.layer,
                    file: state,
                    log_index: ptr::null_mut(),
                });
                ffi::SQLITE_OK
            }
            Err(code) => {
                if !(*lower).pMethods.is_null() {
                    call(methods(lower).xClose)(lower);
                }
                code
            }
        }
    }
}

unsafe extern "C" fn delete<L: Layer>(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // Safety: as for `open`.
    unsafe {
        let stack = &*(*vfs).pAppData.cast::<Stack<L>>();
        match stack.layer.delete(path(name)) {
            Ok(()) => call((*stack.base).xDelete)(stack.base, name, sync),
            Err(code) => code,
        }
    }
}

struct Methods<L>(L);

/// Safety, of all: SQLite calls them with a file that `open` has filled, until `close`, from one thread at a time.
impl<L: Layer> Methods<L> {
    const TABLE: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
        iVersion: 2,
        xClose: Some(Self::close),
        xRead: Some(Self::read),
        xWrite: Some(Self::write),
        xTruncate: Some(Self::truncate),
        xSync: Some(Self::sync),
        xFileSize: Some(Self::file_size),
        xLock: Some(Self::lock),
        xUnlock: Some(Self::unlock),
        xCheckReservedLock: Some(Self::check_reserved_lock),
        xFileControl: Some(Self::file_control),
        xSectorSize: Some(Self::sector_size),
        xDeviceCharacteristics: Some(Self::device_characteristics),
        xShmMap: Some(Self::shm_map),
        xShmLock: Some(Self::shm_lock),
        xShmBarrier: Some(Self::shm_barrier),
        xShmUnmap: Some(Self::shm_unmap),
        xFetch: None,
        xUnfetch: None,
    };

    unsafe fn parts<'a>(file: *mut ffi::sqlite3_file, sync_flags: c_int) -> (&'a mut Open<L>, Below) {
        unsafe {
            let open = &mut *file.cast::<Open<L>>();
            let log_index = open.log_index;
            (open, Below { file: below::<L>(file), sync_flags, log_index })
        }
    }

    unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
        unsafe {
            let lower = below::<L>(file);
            let closed = call(methods(lower).xClose)(lower);
            ptr::drop_in_place(file.cast::<Open<L>>());
            (*file).pMethods = ptr::null();
            closed
        }
    }

    unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, amount: c_int, at: i64) -> c_int {
        unsafe {
            let (open, mut below) = Self::parts(file, 0);
            let buffer = std::slice::from_raw_parts_mut(to.cast::<u8>(), amount.unsigned_abs() as usize);
            code(open.layer.read(&mut open.file, &mut below, buffer, from_offset(at)))
        }
    }

    unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, amount: c_int, at: i64) -> c_int {
        unsafe {
            let (open, mut below) = Self::parts(file, 0);
            let bytes = std::slice::from_raw_parts(from.cast::<u8>(), amount.unsigned_abs() as usize);
            code(open.layer.write(&mut open.file, &mut below, bytes, from_offset(at)))
        }
    }

    unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
        unsafe {
            let (open, mut below) = Self::parts(file, 0);
            code(open.layer.truncate(&mut open.file, &mut below, from_offset(length)))
        }
    }

    unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
        unsafe {
            let (open, mut below) = Self::parts(file, flags);
            code(open.layer.sync(&mut open.file, &mut below))
        }
    }

    unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
        unsafe {
            let lower = below::<L>(file);
            call(methods(lower).xFileSize)(lower, size)
        }
    }

    unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
        unsafe {
            let lower = below::<L>(file);
            call(methods(lower).xLock)(lower, level)
        }
    }

    unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
        unsafe {
            let lower = below::<L>(file);
            call(methods(lower).xUnlock)(lower, level)
        }
    }

    unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, reserved: *mut c_int) -> c_int {
        unsafe {
            let lower = below::<L>(file);
            call(methods(lower).xCheckReservedLock)(lower, reserved)
        }
    }

    unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, operation: c_int, with: *mut c_void) -> c_int {
        unsafe {
            let lower = below::<L>(file);
            call(methods(lower).xFileControl)(lower, operation, with)
        }
    }

    unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
        unsafe {
            let lower = below::<L>(file);
            call(methods(lower).xSectorSize)(lower)
        }
    }

    unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
        unsafe {
            let lower = below::<L>(file);
            // Large values would be read in parts of pages, which a layer that knows pages does not recognise.
            call(methods(lower).xDeviceCharacteristics)(lower) & !ffi::SQLITE_IOCAP_SUBPAGE_READ
        }
    }

    unsafe extern "C" fn shm_map(
        file: *mut ffi::sqlite3_file,
        region: c_int,
        bytes: c_int,
        extend: c_int,
        mapped: *mut *mut c_void,
    ) -> c_int {
        unsafe {
            let lower = below::<L>(file);
            let code = call(methods(lower).xShmMap)(lower, region, bytes, extend, mapped);
            if region == 0 && code == ffi::SQLITE_OK {
                (*file.cast::<Open<L>>()).log_index = (*mapped).cast();
            }
            code
        }
    }

    unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, at: c_int, count: c_int, flags: c_int) -> c_int {
        unsafe {
            let lower = below::<L>(file);
            call(methods(lower).xShmLock)(lower, at, count, flags)
        }
    }

    unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
        unsafe {
            let lower = below::<L>(file);
            call(methods(lower).xShmBarrier)(lower);
        }
    }

    unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
        unsafe {
            let lower = below::<L>(file);
            (*file.cast::<Open<L>>()).log_index = ptr::null_mut();
            call(methods(lower).xShmUnmap)(lower, delete)
        }
    }
}
