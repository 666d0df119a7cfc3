//! Linear memories that begin as an image: mapped, copied only where they are written, and gone in one unmapping.
//!
//! Wasmtime asks for a memory; it gets a reservation that nothing can touch, with the image mapped privately at
//! its start. Growing opens more of the reservation. So a fresh isolate costs one mapping, whatever its heap holds.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    ptr,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::{
    fs::MemfdFlags,
    mm::{MapFlags, MprotectFlags, ProtFlags},
};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

const PAGE: usize = 4096;

/// What a memory holds when it begins. It lives in memory alone, and only memories of this process map it.
pub struct Image {
    file: OwnedFd,
    view: View,
}

impl Image {
    /// A file without bytes, to be filled later: none can be made once the jail is closed.
    pub fn blank() -> io::Result<OwnedFd> {
        Ok(rustix::fs::memfd_create("image", MemfdFlags::CLOEXEC)?)
    }

    /// Fills a blank, or a former image's file, which no memory may map any more. Pages of zeros take no room.
    pub fn write(file: OwnedFd, content: &[u8]) -> io::Result<Self> {
        rustix::fs::ftruncate(&file, 0)?;
        rustix::fs::ftruncate(&file, content.len() as u64)?;
        let is_blank = |page: &[u8]| page.iter().all(|byte| *byte == 0);
        let mut pages = content.chunks(PAGE).enumerate().peekable();
        while let Some((first, page)) = pages.next() {
            if is_blank(page) {
                continue;
            }
            let mut end = first * PAGE + page.len();
            while let Some((_, page)) = pages.next_if(|(_, page)| !is_blank(page)) {
                end += page.len();
            }
            let mut begin = first * PAGE;
            while begin < end {
                begin += rustix::io::pwrite(&file, &content[begin..end], begin as u64)?;
            }
        }
        let view = View::of(&file, content.len())?;
        Ok(Image { file, view })
    }

    pub fn content(&self) -> &[u8] {
        // SAFETY: the view maps its bytes until the image is dropped, and nothing writes to the file meanwhile.
        unsafe { std::slice::from_raw_parts(self.view.start, self.view.bytes) }
    }

    /// The file, for the next image.
    pub fn into_file(self) -> OwnedFd {
        self.file
    }
}

/// The file of an image, mapped to be read.
struct View {
    start: *const u8,
    bytes: usize,
}

// SAFETY: the view is never written, and belongs to this value alone.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    fn of(file: &OwnedFd, bytes: usize) -> io::Result<Self> {
        // SAFETY: a fresh mapping, placed where nothing is, that can only be read.
        let start =
            unsafe { rustix::mm::mmap(ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::SHARED, file.as_fd(), 0)? };
        Ok(View { start: start.cast(), bytes })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: the view was mapped with this length, and no slice of it outlives the image.
        let unmapped = unsafe { rustix::mm::munmap(self.start.cast_mut().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok());
    }
}

/// Makes the memories of an engine. The one that is made next begins as the image that was laid out last.
#[derive(Default)]
pub struct Memories {
    laid_out: Mutex<Option<Arc<Image>>>,
}

impl Memories {
    pub fn lay_out(&self, image: &Arc<Image>) {
        *self.laid_out.lock().unwrap_or_else(PoisonError::into_inner) = Some(image.clone());
    }
}

// SAFETY: every memory is a mapping of its own, reserved with its guard and never moved, and reads as the image
// where a module without data segments expects what it was initialised to.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _type: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let image = self.laid_out.lock().unwrap_or_else(PoisonError::into_inner).take();
        let image = image.ok_or("no image was laid out")?;
        let maximum = maximum.ok_or("the memory of a guest must have a maximum")?;
        let capacity = reserved.unwrap_or(0).max(maximum);
        Mapped::new(&image, minimum, capacity, guard)
            .map(|memory| Box::new(memory) as Box<dyn LinearMemory>)
            .map_err(|error| format!("a memory could not be mapped: {error}"))
    }
}

struct Mapped {
    /// Start of the reservation: a guard, the memory, a guard.
    reservation: *mut u8,
    reserved: usize,
    base: *mut u8,
    accessible: usize,
    capacity: usize,
}

// SAFETY: the mapping belongs to this value alone; whoever has the value may use it from any thread.
unsafe impl Send for Mapped {}
// SAFETY: nothing changes through a shared reference.
unsafe impl Sync for Mapped {}

impl Mapped {
    fn new(image: &Image, minimum: usize, capacity: usize, guard: usize) -> io::Result<Self> {
        let accessible = image.view.bytes.max(minimum);
        if accessible > capacity {
            return Err(io::Error::other("the image is larger than the memory may grow"));
        }
        let reserved = guard + capacity + guard;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a fresh mapping, placed where nothing is, which nothing can touch yet.
        let reservation =
            unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), reserved, ProtFlags::empty(), flags)? }.cast::<u8>();
        let base = reservation.wrapping_add(guard);
        let mut memory = Mapped { reservation, reserved, base, accessible: image.view.bytes, capacity };
        let open = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the range lies inside the reservation above, which belongs to this value.
        unsafe {
            rustix::mm::mmap(base.cast(), image.view.bytes, open, flags | MapFlags::FIXED, image.file.as_fd(), 0)?
        };
        memory.open_up_to(accessible)?;
        Ok(memory)
    }

    fn open_up_to(&mut self, bytes: usize) -> io::Result<()> {
        if bytes > self.capacity {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if bytes > self.accessible {
            let begin = self.base.wrapping_add(self.accessible);
            let open = MprotectFlags::READ | MprotectFlags::WRITE;
            // SAFETY: the range lies between what is open and the capacity, inside the reservation.
            unsafe { rustix::mm::mprotect(begin.cast(), bytes - self.accessible, open)? };
            self.accessible = bytes;
        }
        Ok(())
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: Wasmtime drops a memory when nothing refers to it any more; the range is what was reserved.
        let unmapped = unsafe { rustix::mm::munmap(self.reservation.cast(), self.reserved) };
        debug_assert!(unmapped.is_ok());
    }
}

// SAFETY: `base` stays where it is, and everything from it to `accessible` can be read and written.
unsafe impl LinearMemory for Mapped {
    fn byte_size(&self) -> usize {
        self.accessible
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, bytes: usize) -> wasmtime::Result<()> {
        Ok(self.open_up_to(bytes)?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.base
    }
}
