//! One allocator for Rust and QuickJS alike: it counts what it gives and refuses QuickJS at the heap's limit.

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn calloc(count: usize, size: usize) -> *mut c_void;
    fn realloc(ptr: *mut c_void, size: usize) -> *mut c_void;
    fn free(ptr: *mut c_void);
    fn aligned_alloc(align: usize, size: usize) -> *mut c_void;
    fn malloc_usable_size(ptr: *mut c_void) -> usize;
}

static USED: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
static REFUSED: AtomicBool = AtomicBool::new(false);

/// What is left to QuickJS after a refusal, so that it can still make an error object and unwind.
const RESERVE_BYTES: usize = 1 << 20;
/// The largest piece given out of the reserve.
const RESERVE_PIECE_BYTES: usize = 4 << 10;
/// What C's `malloc` aligns to on this target.
const MALLOC_ALIGN: usize = 16;

/// Sets the limit of the run that begins, and forgets the refusals of the one before.
pub fn begin(heap_bytes: usize) {
    LIMIT.store(heap_bytes, Relaxed);
    REFUSED.store(false, Relaxed);
}

/// Whether an allocation was refused since `begin`.
pub fn was_refused() -> bool {
    REFUSED.load(Relaxed)
}

fn refuse() -> *mut u8 {
    REFUSED.store(true, Relaxed);
    // Code that catches the error must not go on for long: the very next poll stops it.
    crate::meter::poll_soon();
    core::ptr::null_mut()
}

fn is_over(more: usize) -> bool {
    let limit = LIMIT.load(Relaxed);
    let wanted = USED.load(Relaxed).saturating_add(more);
    if was_refused() && more <= RESERVE_PIECE_BYTES {
        return wanted > limit.saturating_add(RESERVE_BYTES);
    }
    wanted > limit
}

fn counted(ptr: *mut c_void) -> *mut u8 {
    if ptr.is_null() {
        return refuse();
    }
    USED.fetch_add(unsafe { malloc_usable_size(ptr) }, Relaxed);
    ptr.cast()
}

fn uncount(ptr: *mut c_void) {
    USED.fetch_sub(unsafe { malloc_usable_size(ptr) }, Relaxed);
}

/// What QuickJS allocates with.
pub struct Heap;

// SAFETY: C's allocator keeps every promise the trait asks for; refusals are null pointers.
unsafe impl rquickjs::allocator::Allocator for Heap {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        if is_over(size) { refuse() } else { counted(unsafe { malloc(size) }) }
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        match count.checked_mul(size) {
            Some(total) if !is_over(total) => counted(unsafe { calloc(count, size) }),
            _ => refuse(),
        }
    }

    unsafe fn dealloc(&mut self, ptr: *mut u8) {
        uncount(ptr.cast());
        unsafe { free(ptr.cast()) }
    }

    unsafe fn realloc(&mut self, ptr: *mut u8, new_size: usize) -> *mut u8 {
        if ptr.is_null() {
            return self.alloc(new_size);
        }
        let old_size = unsafe { malloc_usable_size(ptr.cast()) };
        if new_size > old_size && is_over(new_size - old_size) {
            return refuse();
        }
        let moved = unsafe { realloc(ptr.cast(), new_size) };
        if moved.is_null() {
            return refuse();
        }
        USED.fetch_sub(old_size, Relaxed);
        counted(moved)
    }

    unsafe fn usable_size(ptr: *mut u8) -> usize {
        unsafe { malloc_usable_size(ptr.cast()) }
    }
}

/// What Rust allocates with. Counted, but refused only when the Wasm memory itself is full: Rust cannot carry on
/// from a refusal, so that ends in a trap, and `everfold_refused` tells the host why.
struct Counted;

#[global_allocator]
static COUNTED: Counted = Counted;

// SAFETY: C's allocator, with `aligned_alloc` for what `malloc` does not align to.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        counted(unsafe {
            if layout.align() <= MALLOC_ALIGN {
                malloc(layout.size())
            } else {
                aligned_alloc(layout.align(), layout.size())
            }
        })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            return counted(unsafe { calloc(1, layout.size()) });
        }
        let ptr = unsafe { self.alloc(layout) };
        if !ptr.is_null() {
            unsafe { ptr.write_bytes(0, layout.size()) };
        }
        ptr
    }

    unsafe fn dealloc(&self, ptr: *mut u8, _layout: Layout) {
        uncount(ptr.cast());
        unsafe { free(ptr.cast()) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            let old_size = unsafe { malloc_usable_size(ptr.cast()) };
            let moved = unsafe { realloc(ptr.cast(), new_size) };
            if moved.is_null() {
                return refuse();
            }
            USED.fetch_sub(old_size, Relaxed);
            return counted(moved);
        }
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(new_size, layout.align())) };
        if !moved.is_null() {
            unsafe {
                core::ptr::copy_nonoverlapping(ptr, moved, layout.size().min(new_size));
                self.dealloc(ptr, layout);
            }
        }
        moved
    }
}
