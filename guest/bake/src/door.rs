//! The guest's door from the host's side, as a test uses it: plain frames in, plain frames out.

use rules::call::{Bounded, Call, Described, Error, Outcome, Parsed};
use rules::limits::Limits;
use wasmtime::{Engine, Instance, Memory, Module, Result, Store, TypedFunc, error::Context};

/// One instance, whose memory begins as an image.
pub struct Door {
    store: Store<()>,
    memory: Memory,
    alloc: TypedFunc<u32, u32>,
    load: TypedFunc<(u32, u32), u64>,
    call: TypedFunc<(u32, u32), u64>,
    refused: TypedFunc<(), u32>,
    ticks: TypedFunc<(), u32>,
}

impl Door {
    /// `epochs` is how often the engine's epoch may advance before the instance is stopped.
    pub fn open(engine: &Engine, module: &Module, image: &[u8], epochs: u64) -> Result<Door> {
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(epochs);
        let instance = Instance::new(&mut store, module, &[])?;
        let memory = instance.get_memory(&mut store, "memory").context("the memory is exported")?;
        let more = image.len().saturating_sub(memory.data_size(&store)) as u64 / (64 << 10);
        memory.grow(&mut store, more)?;
        memory.data_mut(&mut store)[..image.len()].copy_from_slice(image);
        Ok(Door {
            alloc: instance.get_typed_func(&mut store, "everfold_alloc")?,
            load: instance.get_typed_func(&mut store, "everfold_load")?,
            call: instance.get_typed_func(&mut store, "everfold_call")?,
            refused: instance.get_typed_func(&mut store, "everfold_refused")?,
            ticks: instance.get_typed_func(&mut store, "everfold_ticks")?,
            store,
            memory,
        })
    }

    pub fn load(&mut self, file_name: &str, source: &str) -> Result<Result<Described, Error>> {
        let load = self.load.clone();
        let answer = self.through(load, &postcard::to_allocvec(&(file_name, source))?)?;
        Ok(postcard::from_bytes(&answer)?)
    }

    pub fn call(&mut self, call: Call, limits: Limits) -> Result<Outcome> {
        let answer = self.raw_call(&postcard::to_allocvec(&Bounded { call, limits, parsed: Parsed::default() })?)?;
        Ok(postcard::from_bytes(&answer)?)
    }

    /// Any bytes as a call.
    pub fn raw_call(&mut self, frame: &[u8]) -> Result<Vec<u8>> {
        let call = self.call.clone();
        self.through(call, frame)
    }

    /// All of the memory: what an image of this instance would be.
    pub fn memory(&self) -> Vec<u8> {
        self.memory.data(&self.store).to_vec()
    }

    pub fn refused(&mut self) -> Result<bool> {
        Ok(self.refused.clone().call(&mut self.store, ())? != 0)
    }

    /// Ticks of 10,000 operations that the last run used.
    pub fn ticks(&mut self) -> Result<u32> {
        self.ticks.clone().call(&mut self.store, ())
    }

    fn through(&mut self, function: TypedFunc<(u32, u32), u64>, frame: &[u8]) -> Result<Vec<u8>> {
        let len = u32::try_from(frame.len())?;
        let ptr = self.alloc.clone().call(&mut self.store, len)?;
        self.memory.write(&mut self.store, ptr as usize, frame)?;
        let answer = function.call(&mut self.store, (ptr, len))?;
        let (ptr, len) = ((answer >> 32) as usize, answer as u32 as usize);
        let bytes = self.memory.data(&self.store).get(ptr..ptr + len).context("an answer outside the memory")?;
        Ok(bytes.to_vec())
    }
}
