//! Takes the module apart into code without data, and the memory that its boot leaves.
//!
//! The memory is the whole state only if nothing else can hold any. So it is asserted, not assumed: nothing is
//! imported, the only mutable global is the stack pointer and is at rest, and no instruction can change a table.

use core::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode};
use wasmparser::{ExternalKind, Operator, Parser, Payload};
use wasmtime::{Engine, Result, Store, Val, bail, ensure, error::Context};

use crate::compile;

/// 96 MiB: the heap of a call (64 MiB), the image, and what the allocator loses between the pieces.
pub const MEMORY_PAGES_MAX: u64 = 1536;
const PAGE_BYTES: usize = 64 << 10;

pub struct Baked {
    /// Memory as boot left it, in whole pages.
    pub image: Vec<u8>,
    /// The module without data; its memory begins as large as the image.
    pub wasm: Vec<u8>,
}

pub fn bake(linked: &[u8]) -> Result<Baked> {
    assert_closed(linked)?;
    let image = boot(linked)?;
    let wasm = without_data(linked, (image.len() / PAGE_BYTES) as u64)?;
    Ok(Baked { image, wasm })
}

fn assert_closed(wasm: &[u8]) -> Result<()> {
    let mut mutable_globals = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(imports) => {
                if let Some(import) = imports.into_imports().next() {
                    let import = import?;
                    bail!("The module imports {}.{}; it must import nothing.", import.module, import.name);
                }
            }
            Payload::StartSection { .. } => bail!("The module has a start function; boot would run twice."),
            Payload::GlobalSection(globals) => {
                for global in globals {
                    mutable_globals += usize::from(global?.ty.mutable);
                }
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    assert_no_hidden_state(&operator?)?;
                }
            }
            _ => {}
        }
    }
    ensure!(mutable_globals == 1, "There are {mutable_globals} mutable globals; only the stack pointer may be one.");
    Ok(())
}

/// Segments that are loaded or dropped later, and tables that change, would be state outside the memory.
fn assert_no_hidden_state(operator: &Operator) -> Result<()> {
    match operator {
        Operator::TableSet { .. }
        | Operator::TableGrow { .. }
        | Operator::TableFill { .. }
        | Operator::TableCopy { .. }
        | Operator::TableInit { .. }
        | Operator::ElemDrop { .. }
        | Operator::MemoryInit { .. }
        | Operator::DataDrop { .. } => bail!("The module uses {operator:?}; the image would not be all of its state."),
        _ => Ok(()),
    }
}

/// Boots the module as it was linked, and gives its memory.
fn boot(wasm: &[u8]) -> Result<Vec<u8>> {
    let engine = Engine::new(&compile::config()?)?;
    let module = wasmtime::Module::new(&engine, wasm)?;
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(1);
    let instance = wasmtime::Instance::new(&mut store, &module, &[])?;
    let stack_pointer = instance.get_global(&mut store, "__stack_pointer").context("the stack pointer is exported")?;
    let at_rest = i32_of(stack_pointer.get(&mut store))?;
    instance.get_typed_func::<(), ()>(&mut store, "everfold_boot")?.call(&mut store, ()).context("boot failed")?;
    let after = i32_of(stack_pointer.get(&mut store))?;
    ensure!(at_rest == after, "Boot left the stack pointer at {after}, not at {at_rest}.");
    let memory = instance.get_memory(&mut store, "memory").context("the memory is exported")?;
    Ok(memory.data(&store).to_vec())
}

fn i32_of(value: Val) -> Result<i32> {
    value.i32().context("the stack pointer is no i32")
}

fn without_data(wasm: &[u8], pages: u64) -> Result<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    WithoutData { pages }.parse_core_module(&mut module, Parser::new(0), wasm).map_err(wasmtime::Error::new)?;
    Ok(module.finish())
}

struct WithoutData {
    pages: u64,
}

impl Reencode for WithoutData {
    type Error = Infallible;

    fn parse_data_section(
        &mut self,
        _data: &mut wasm_encoder::DataSection,
        _section: wasmparser::DataSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        Ok(())
    }

    fn data_count(&mut self, _count: u32) -> Result<u32, reencode::Error> {
        Ok(0)
    }

    fn memory_type(&mut self, memory: wasmparser::MemoryType) -> Result<wasm_encoder::MemoryType, reencode::Error> {
        let mut memory = reencode::utils::memory_type(self, memory);
        memory.minimum = self.pages;
        memory.maximum = Some(MEMORY_PAGES_MAX);
        Ok(memory)
    }

    fn parse_export(
        &mut self,
        exports: &mut wasm_encoder::ExportSection,
        export: wasmparser::Export<'_>,
    ) -> Result<(), reencode::Error> {
        // The stack pointer and the linker's own constants are nobody's business.
        if matches!(export.kind, ExternalKind::Global) {
            return Ok(());
        }
        reencode::utils::parse_export(self, exports, export)
    }

    /// Names of tools and of functions: not needed to run.
    fn parse_custom_section(
        &mut self,
        _module: &mut wasm_encoder::Module,
        _section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        Ok(())
    }
}
