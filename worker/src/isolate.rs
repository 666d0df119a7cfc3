//! One guest at a time: an instance that is its image to the last byte, one call, one answer.
//!
//! Nothing is shared between two calls but images and code, which no call can write. A guest that answered is put
//! back to its image and serves again; one that trapped is gone.

use std::{os::fd::OwnedFd, sync::Arc, time::Duration};

use rules::{
    call::{Bounded, Described, Error, Outcome, Stop},
    canary::{self, Bug},
};
use serde::{Serialize, de::DeserializeOwned};
use wasmtime::{
    Engine, Extern, Instance, InstancePre, Linker, Memory, ModuleExport, ResourceLimiter, Store, Trap, TypedFunc,
    WasmParams, WasmResults,
};

use crate::{bounds::EPOCH_TICK, typescript::FILE_NAME};

mod batch;
pub mod code;
#[path = "../../guest/bake/src/config.rs"]
mod config;
mod live;
mod memory;
mod parse;
mod programs;
mod rinse;

pub use code::Code;
pub use memory::Image;
use memory::Memories;
pub use programs::Programs;
use rinse::PageMap;

/// What every guest is made of.
pub struct Isolate {
    engine: Engine,
    memories: Arc<Memories>,
    module: InstancePre<Growth>,
    exports: GuestExports,
    /// A guest that has booted and knows no program.
    pristine: Arc<Image>,
    /// Tells which pages a guest has written, where the system tells it.
    page_map: Option<PageMap>,
}

/// What every call begins as: a program that was loaded, or the same made live.
pub struct Origin {
    image: Arc<Image>,
    /// A guest that answered and was rinsed: in no way different from a fresh one, but that its pages are there
    /// already.
    rinsed: Option<Guest>,
}

impl Origin {
    fn of(guest: &Guest, file: OwnedFd) -> Self {
        match Image::write(file, guest.content()) {
            Ok(image) => Origin { image: Arc::new(image), rinsed: None },
            // Without room for its image a program cannot be kept; the child is not worth keeping either.
            Err(error) => panic!("an image could not be written: {error}"),
        }
    }

    #[cfg(test)]
    fn is_rinsed(&self) -> bool {
        self.rinsed.as_ref().is_some_and(|guest| guest.content() == self.image.content())
    }

    /// The file of its image, which nothing maps any more.
    pub fn into_file(self) -> Option<OwnedFd> {
        drop(self.rinsed);
        Arc::into_inner(self.image).map(Image::into_file)
    }
}

/// A program that was not loaded, and the file that no image needs.
pub struct NotLoaded {
    pub why: Result<Error, Fallen>,
    pub file: OwnedFd,
}

struct GuestExports {
    memory: ModuleExport,
    alloc: ModuleExport,
    load: ModuleExport,
    freeze: ModuleExport,
    call: ModuleExport,
}

/// Why a guest gave no answer. The stop is for the record; the guest is gone in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallen(pub Stop);

impl Isolate {
    /// Writes the pristine image.
    pub fn new(code: Code, page_map: Option<OwnedFd>) -> wasmtime::Result<Self> {
        let Code { engine, memories, module } = code;
        let export = |name: &str| {
            module.get_export_index(name).ok_or_else(|| wasmtime::format_err!("the guest does not export {name}"))
        };
        let exports = GuestExports {
            memory: export("memory")?,
            alloc: export("everfold_alloc")?,
            load: export("everfold_load")?,
            freeze: export("everfold_freeze")?,
            call: export("everfold_call")?,
        };
        let module = Linker::new(&engine).instantiate_pre(&module)?;
        let pristine = Arc::new(Image::write(Image::blank()?, code::IMAGE)?);
        let page_map = page_map.map(PageMap::new);
        Ok(Isolate { engine, memories, module, exports, pristine, page_map })
    }

    /// Counts the time of whatever runs; called every `EPOCH_TICK` while something does.
    pub fn ticker(&self) -> impl Fn() + Send + use<> {
        let engine = self.engine.clone();
        move || engine.increment_epoch()
    }

    /// Loads a module into a fresh guest. What it made of itself becomes its image, written to `file`.
    pub fn load(&self, source: &str, within: Duration, file: OwnedFd) -> Result<(Described, Origin), NotLoaded> {
        let answer = self.fresh(&self.pristine).and_then(|mut guest| {
            guest.begin(within);
            let described: Result<Described, Error> = guest.ask(Entry::Load, &(FILE_NAME, source))?;
            Ok((described, guest))
        });
        match answer {
            Err(fallen) => Err(NotLoaded { why: Err(fallen), file }),
            Ok((Err(error), _)) => Err(NotLoaded { why: Ok(error), file }),
            Ok((Ok(described), guest)) => Ok((described, Origin::of(&guest, file))),
        }
    }

    /// Makes a program live: requests of one fold may follow one another in one guest of it. Gives the file back
    /// when the guest could not close itself.
    pub fn enliven(&self, program: &Origin, file: OwnedFd) -> Result<Origin, OwnedFd> {
        let Ok(mut guest) = self.fresh(&program.image) else { return Err(file) };
        guest.begin(Duration::from_millis(rules::limits::CALL_MS_MAX));
        match guest.freeze.call(&mut guest.store, ()) {
            Ok(1) => Ok(Origin::of(&guest, file)),
            _ => Err(file),
        }
    }

    /// One call, in a guest that is its image to the last byte.
    pub fn call(&mut self, origin: &mut Origin, bounded: &Bounded) -> Result<Outcome, Fallen> {
        let mut guest = self.guest(origin)?;
        let answer = guest.answer(bounded);
        if answer.is_ok() {
            self.rinse(origin, guest);
        }
        answer
    }

    /// A guest that is its image to the last byte.
    pub fn guest(&self, origin: &mut Origin) -> Result<Guest, Fallen> {
        match origin.rinsed.take() {
            Some(guest) => Ok(guest),
            None => self.fresh(&origin.image),
        }
    }

    /// Makes a guest that has answered its image again, for the next call; where that is not possible it is gone.
    pub fn rinse(&mut self, origin: &mut Origin, mut guest: Guest) {
        if let Some(page_map) = &mut self.page_map
            && guest.rinse(page_map, &origin.image)
        {
            origin.rinsed = Some(guest);
        }
    }

    fn fresh(&self, image: &Arc<Image>) -> Result<Guest, Fallen> {
        let broken = Fallen(Stop::Crash);
        self.memories.lay_out(image);
        let mut store = Store::new(&self.engine, Growth { refused: false });
        store.limiter(|growth| growth);
        let instance = self.module.instantiate(&mut store).map_err(|_| broken)?;
        let memory = instance.get_module_export(&mut store, &self.exports.memory);
        let memory = memory.and_then(Extern::into_memory).ok_or(broken)?;
        Ok(Guest {
            memory,
            alloc: function(&mut store, &instance, &self.exports.alloc).ok_or(broken)?,
            load: function(&mut store, &instance, &self.exports.load).ok_or(broken)?,
            freeze: function(&mut store, &instance, &self.exports.freeze).ok_or(broken)?,
            call: function(&mut store, &instance, &self.exports.call).ok_or(broken)?,
            store,
        })
    }
}

fn function<P: WasmParams, R: WasmResults>(
    store: &mut Store<Growth>,
    instance: &Instance,
    export: &ModuleExport,
) -> Option<TypedFunc<P, R>> {
    instance.get_module_export(&mut *store, export)?.into_func()?.typed(&*store).ok()
}

/// An instance. Its memory is all it is: its globals are the same whenever it rests, and its table never changes (the
/// bake asserts both).
pub struct Guest {
    store: Store<Growth>,
    memory: Memory,
    alloc: TypedFunc<u32, u32>,
    load: TypedFunc<(u32, u32), u64>,
    freeze: TypedFunc<(), u32>,
    call: TypedFunc<(u32, u32), u64>,
}

#[derive(Clone, Copy)]
enum Entry {
    Load,
    Call,
}

impl Guest {
    /// Answers a call within its limits. After an error the guest must be dropped.
    pub fn answer(&mut self, bounded: &Bounded) -> Result<Outcome, Fallen> {
        self.begin(Duration::from_millis(bounded.limits.call_ms));
        self.ask(Entry::Call, bounded)
    }

    fn begin(&mut self, within: Duration) {
        let within = if canary::is_planted(Bug::BudgetByTime) { within / 50 } else { within };
        // One more than the division gives, for the tick that has begun already.
        self.store.set_epoch_deadline(within.as_millis().div_ceil(EPOCH_TICK.as_millis()) as u64 + 1);
    }

    /// Lays the question into the guest's memory, calls it, and reads the answer, which may be any bytes at all.
    fn ask<A: DeserializeOwned>(&mut self, entry: Entry, question: &impl Serialize) -> Result<A, Fallen> {
        let question = postcard::to_allocvec(question).map_err(|_| Fallen(Stop::Crash))?;
        let length = u32::try_from(question.len()).map_err(|_| Fallen(Stop::Memory))?;
        let at = self.alloc.call(&mut self.store, length).map_err(|error| self.fallen(&error))?;
        self.memory.write(&mut self.store, at as usize, &question).map_err(|_| Fallen(Stop::Crash))?;
        let entry = match entry {
            Entry::Load => &self.load,
            Entry::Call => &self.call,
        };
        let answer = entry.call(&mut self.store, (at, length)).map_err(|error| self.fallen(&error))?;
        let (at, length) = ((answer >> 32) as usize, answer as u32 as usize);
        let answer = self.content().get(at..at.saturating_add(length)).ok_or(Fallen(Stop::Crash))?;
        postcard::from_bytes(answer).map_err(|_| Fallen(Stop::Crash))
    }

    /// Puts back every page that was written, so that the memory is its image again. False when it is not: the
    /// guest has grown, has written too much for this to pay, or the system does not tell.
    fn rinse(&mut self, page_map: &mut PageMap, image: &Image) -> bool {
        self.store.data_mut().refused = false;
        page_map.rinse(self.memory.data_mut(&mut self.store), image)
    }

    fn content(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    /// Which bound a trap ran into.
    fn fallen(&self, error: &wasmtime::Error) -> Fallen {
        Fallen(match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) if canary::is_planted(Bug::BudgetByTime) => Stop::Budget,
            Some(Trap::Interrupt) => Stop::Clock,
            Some(Trap::StackOverflow) => Stop::Stack,
            _ if self.store.data().refused => Stop::Memory,
            _ => Stop::Crash,
        })
    }
}

/// Whether the guest asked for more memory than there is.
struct Growth {
    refused: bool,
}

impl ResourceLimiter for Growth {
    fn memory_growing(&mut self, _now: usize, _wanted: usize, _most: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _why: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn table_growing(&mut self, _now: usize, _wanted: usize, _most: Option<usize>) -> wasmtime::Result<bool> {
        // Asked once, for the table the module begins with; its maximum is its size.
        Ok(true)
    }
}
