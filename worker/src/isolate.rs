//! One guest at a time: a fresh instance from an image, one call, one answer, gone.
//!
//! Nothing is shared between two calls but images and code, which no call can write.

use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};

use rules::call::{Bounded, Error, Exports, Outcome, Stop};
use serde::{Serialize, de::DeserializeOwned};
use wasmtime::{
    Engine, Instance, InstancePre, Linker, Memory, ModuleExport, ResourceLimiter, Store, Trap, TypedFunc,
};

use crate::{bounds::EPOCH_TICK, typescript::FILE_NAME};

mod code;
#[path = "../../guest/bake/src/config.rs"]
mod config;
mod memory;
mod programs;

use memory::Memories;
pub use memory::Image;
pub use programs::Programs;

/// What every guest is made of.
pub struct Isolate {
    engine: Engine,
    memories: Arc<Memories>,
    guest: InstancePre<Growth>,
    exports: GuestExports,
    /// A guest that has booted and knows no program.
    pristine: Arc<Image>,
}

struct GuestExports {
    memory: ModuleExport,
    alloc: ModuleExport,
    load: ModuleExport,
    call: ModuleExport,
    refused: ModuleExport,
}

/// Why a guest gave no answer. The stop is for the record; the guest is gone in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallen(pub Stop);

impl Isolate {
    /// Maps the code and writes the pristine image. Needs rights that the closed jail no longer gives.
    pub fn new() -> wasmtime::Result<Self> {
        let memories = Arc::new(Memories::default());
        let mut config = config::engine_config();
        config.with_host_memory(memories.clone());
        let engine = Engine::new(&config)?;
        let module = code::module(&engine)?;
        let export = |name: &str| {
            module.get_export_index(name).ok_or_else(|| wasmtime::format_err!("the guest does not export {name}"))
        };
        let exports = GuestExports {
            memory: export("memory")?,
            alloc: export("everfold_alloc")?,
            load: export("everfold_load")?,
            call: export("everfold_call")?,
            refused: export("everfold_refused")?,
        };
        let guest = Linker::new(&engine).instantiate_pre(&module)?;
        let pristine = Arc::new(Image::write(Image::blank()?, code::IMAGE)?);
        Ok(Isolate { engine, memories, guest, exports, pristine })
    }

    /// Counts the time of whatever runs; called every `EPOCH_TICK` while something does.
    pub fn ticker(&self) -> impl Fn() + Send + use<> {
        let engine = self.engine.clone();
        move || engine.increment_epoch()
    }

    /// Loads a module into a fresh guest. What it made of itself becomes its image, written to `file`.
    pub fn load(&self, source: &str, within: Duration, file: OwnedFd) -> Result<Loaded, (Fallen, OwnedFd)> {
        let answer = self.guest(&self.pristine, within).and_then(|mut guest| {
            let exports: Result<Exports, Error> = guest.ask(Entry::Load, &(FILE_NAME, source))?;
            Ok((exports, guest))
        });
        match answer {
            Err(fallen) => Err((fallen, file)),
            Ok((Err(error), _)) => Ok(Loaded::Refused(error, file)),
            Ok((Ok(exports), guest)) => match guest.image(file) {
                Ok(image) => Ok(Loaded::Ready(exports, Arc::new(image))),
                // Without room for its image a program cannot be kept; the child is not worth keeping either.
                Err(error) => panic!("an image could not be written: {error}"),
            },
        }
    }

    /// One call of a program that was loaded.
    pub fn call(&self, program: &Arc<Image>, bounded: &Bounded) -> Result<Outcome, Fallen> {
        self.guest(program, Duration::from_millis(bounded.limits.call_ms))?.ask(Entry::Call, bounded)
    }

    fn guest(&self, image: &Arc<Image>, within: Duration) -> Result<Guest<'_>, Fallen> {
        self.memories.lay_out(image);
        let mut store = Store::new(&self.engine, Growth { refused: false });
        store.limiter(|growth| growth);
        // One more than the division gives, for the tick that has begun already.
        store.set_epoch_deadline(within.as_millis().div_ceil(EPOCH_TICK.as_millis()) as u64 + 1);
        let instance = self.guest.instantiate(&mut store).map_err(|_| Fallen(Stop::Crash))?;
        let memory = instance.get_module_export(&mut store, &self.exports.memory).and_then(|export| export.into_memory());
        let memory = memory.ok_or(Fallen(Stop::Crash))?;
        Ok(Guest { isolate: self, store, instance, memory })
    }
}

/// What became of loading a program. The file comes back when no image needs it.
pub enum Loaded {
    Ready(Exports, Arc<Image>),
    Refused(Error, OwnedFd),
}

/// A live guest, good for one question.
struct Guest<'isolate> {
    isolate: &'isolate Isolate,
    store: Store<Growth>,
    instance: Instance,
    memory: Memory,
}

#[derive(Clone, Copy)]
enum Entry {
    Load,
    Call,
}

impl Guest<'_> {
    /// Lays the question into the guest's memory, calls it, and reads the answer, which may be any bytes at all.
    fn ask<A: DeserializeOwned>(&mut self, entry: Entry, question: &impl Serialize) -> Result<A, Fallen> {
        let question = postcard::to_allocvec(question).map_err(|_| Fallen(Stop::Crash))?;
        let length = u32::try_from(question.len()).map_err(|_| Fallen(Stop::Memory))?;
        let alloc: TypedFunc<u32, u32> = self.function(&self.isolate.exports.alloc)?;
        let at = alloc.call(&mut self.store, length).map_err(|error| self.fallen(&error))?;
        self.memory.write(&mut self.store, at as usize, &question).map_err(|_| Fallen(Stop::Crash))?;
        let entry = match entry {
            Entry::Load => &self.isolate.exports.load,
            Entry::Call => &self.isolate.exports.call,
        };
        let entry: TypedFunc<(u32, u32), u64> = self.function(entry)?;
        let answer = entry.call(&mut self.store, (at, length)).map_err(|error| self.fallen(&error))?;
        let (at, length) = ((answer >> 32) as usize, answer as u32 as usize);
        let answer = self.memory.data(&self.store).get(at..at.saturating_add(length)).ok_or(Fallen(Stop::Crash))?;
        postcard::from_bytes(answer).map_err(|_| Fallen(Stop::Crash))
    }

    fn function<P: wasmtime::WasmParams, R: wasmtime::WasmResults>(
        &mut self,
        export: &ModuleExport,
    ) -> Result<TypedFunc<P, R>, Fallen> {
        let function = self.instance.get_module_export(&mut self.store, export).and_then(|export| export.into_func());
        function.and_then(|function| function.typed(&self.store).ok()).ok_or(Fallen(Stop::Crash))
    }

    /// Which bound a trap ran into.
    fn fallen(&mut self, error: &wasmtime::Error) -> Fallen {
        Fallen(match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Stop::Clock,
            Some(Trap::StackOverflow) => Stop::Stack,
            _ if self.store.data().refused || self.has_refused() => Stop::Memory,
            _ => Stop::Crash,
        })
    }

    /// Whether the guest's own allocator refused something before it fell.
    fn has_refused(&mut self) -> bool {
        let refused = self.function::<(), u32>(&self.isolate.exports.refused);
        refused.ok().and_then(|refused| refused.call(&mut self.store, ()).ok()) == Some(1)
    }

    /// Everything the guest is, between two calls: its globals are the same whenever it rests.
    fn image(&self, file: OwnedFd) -> io::Result<Image> {
        Image::write(file, self.memory.data(&self.store))
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
