//! User JavaScript inside WebAssembly: QuickJS, what a hook may call, and a door of plain bytes. Imports nothing.
//!
//! The door: `everfold_boot` once, when the image is baked; `everfold_load` once for a program; `everfold_freeze` where
//! requests are to follow one another; `everfold_call` for what is asked of it. Frames are postcard. An answer is `ptr << 32 | len` and stays until the next call.

mod action;
mod body;
mod clock;
mod console;
mod crypto;
mod error;
mod live;
mod machine;
mod memory;
mod meter;
mod plain;
mod prelude;
mod program;
mod request;
mod response;
mod run;
mod schema;
mod state;
mod template;
mod text;
mod url;
mod webhook;

use core::cell::RefCell;

use rules::call::{Bounded, Described, Error, Outcome};

use machine::Machine;

struct Guest {
    machine: Option<Machine>,
    /// The answer last given: kept so that the host can read it.
    answer: Vec<u8>,
}

struct Single<T>(RefCell<T>);
// SAFETY: Wasm without threads; nothing here is shared.
unsafe impl<T> Sync for Single<T> {}

static GUEST: Single<Guest> = Single(RefCell::new(Guest { machine: None, answer: Vec::new() }));

/// Room for a frame of `len` bytes. The call that takes the frame frees it.
#[unsafe(no_mangle)]
extern "C" fn everfold_alloc(len: u32) -> u32 {
    Box::into_raw(vec![0u8; len as usize].into_boxed_slice()).cast::<u8>() as u32
}

/// Makes runtime and context and loads the prelude. Traps when it cannot: there would be nothing to bake.
#[unsafe(no_mangle)]
extern "C" fn everfold_boot() {
    let Ok(machine) = Machine::boot() else { core::arch::wasm32::unreachable() };
    GUEST.0.borrow_mut().machine = Some(machine);
}

/// Takes `(file name, source of an ES module)`, gives `Result<Described, Error>`.
#[unsafe(no_mangle)]
extern "C" fn everfold_load(ptr: u32, len: u32) -> u64 {
    let frame = take_frame(ptr, len);
    let mut guest = GUEST.0.borrow_mut();
    let loaded: Result<Described, Error> = match (postcard::from_bytes::<(String, String)>(&frame), &mut guest.machine)
    {
        (Ok((file_name, source)), Some(machine)) => machine.load(&file_name, source),
        (Ok(_), None) => Err(error::plain("Error", "the guest was not booted")),
        (Err(_), _) => Err(error::plain("Error", "the frame of a program does not decode")),
    };
    answer(&mut guest, &loaded)
}

/// Takes `Bounded`, gives `Outcome`.
#[unsafe(no_mangle)]
extern "C" fn everfold_call(ptr: u32, len: u32) -> u64 {
    let frame = take_frame(ptr, len);
    let mut guest = GUEST.0.borrow_mut();
    let outcome = match (postcard::from_bytes::<Bounded>(&frame), &guest.machine) {
        (Ok(bounded), Some(machine)) => {
            drop(frame);
            machine.call(bounded)
        }
        (Ok(_), None) => Outcome::Unavailable("The guest was not booted.".into()),
        (Err(_), _) => Outcome::Unavailable("The frame of a call does not decode.".into()),
    };
    answer(&mut guest, &outcome)
}

/// Makes this guest a live one (live.rs): 1, or 0 when it could not be done and the guest is of no use.
#[unsafe(no_mangle)]
extern "C" fn everfold_freeze() -> u32 {
    GUEST.0.borrow().machine.as_ref().is_some_and(|machine| machine.freeze()).into()
}

/// Whether memory was refused to what ran last: 1 or 0. Asked after a trap, to tell a full memory from a fault.
#[unsafe(no_mangle)]
extern "C" fn everfold_refused() -> u32 {
    memory::was_refused().into()
}

/// Ticks of 10,000 operations that what ran last used up.
#[unsafe(no_mangle)]
extern "C" fn everfold_ticks() -> u32 {
    meter::ticks()
}

fn take_frame(ptr: u32, len: u32) -> Box<[u8]> {
    // SAFETY: the host hands back what `everfold_alloc` gave it, with the length it asked for.
    unsafe { Box::from_raw(core::ptr::slice_from_raw_parts_mut(ptr as *mut u8, len as usize)) }
}

fn answer(guest: &mut Guest, value: &impl serde::Serialize) -> u64 {
    guest.answer = postcard::to_allocvec(value).unwrap_or_default();
    ((guest.answer.as_ptr() as u64) << 32) | guest.answer.len() as u64
}
