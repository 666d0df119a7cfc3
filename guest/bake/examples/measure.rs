//! Measures what a request costs: an instance from an image, a small reducer, and how much a budget buys.

use std::{
    fs::File,
    io::Write,
    os::fd::{AsRawFd, FromRawFd},
    ptr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bake::{compile, door::Door, wasm};
use rules::call::{Bounded, Bytes, Call, Foldable, Json, Parsed, Request};
use rules::limits::Limits;
use wasmtime::{Engine, Instance, LinearMemory, MemoryCreator, MemoryType, Module, Result, Store};

const RESERVED_BYTES: usize = (4 << 30) + (64 << 20);

/// Memories that begin as copy-on-write views of a file, as the worker maps them.
struct FromImage(Mutex<Option<Arc<File>>>);

struct Mapped {
    base: *mut u8,
    bytes: usize,
    bytes_max: usize,
}

// SAFETY: the mapping belongs to this value alone.
unsafe impl Send for Mapped {}
unsafe impl Sync for Mapped {}

// SAFETY: the mapping is reserved with its guard and lives as long as the memory.
unsafe impl MemoryCreator for FromImage {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        _reserved: Option<usize>,
        _guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let image = self.0.lock().unwrap().clone();
        let bytes = image.as_ref().map_or(minimum, |file| file.metadata().unwrap().len() as usize);
        let reserve = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let (read_write, fixed) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_FIXED);
        unsafe {
            let base = libc::mmap(ptr::null_mut(), RESERVED_BYTES, libc::PROT_NONE, reserve, -1, 0);
            match &image {
                Some(file) => libc::mmap(base, bytes, read_write, fixed, file.as_raw_fd(), 0),
                None => libc::mmap(base, bytes, read_write, fixed | libc::MAP_ANONYMOUS, -1, 0),
            };
            Ok(Box::new(Mapped { base: base.cast(), bytes, bytes_max: maximum.unwrap_or(bytes) }))
        }
    }
}

// SAFETY: as above; it grows within the reservation.
unsafe impl LinearMemory for Mapped {
    fn byte_size(&self) -> usize {
        self.bytes
    }

    fn byte_capacity(&self) -> usize {
        self.bytes_max
    }

    fn grow_to(&mut self, size: usize) -> Result<()> {
        wasmtime::ensure!(size <= self.bytes_max, "the memory is full");
        let read_write = libc::PROT_READ | libc::PROT_WRITE;
        unsafe { libc::mprotect(self.base.add(self.bytes).cast(), size - self.bytes, read_write) };
        self.bytes = size;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.base
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        unsafe { libc::munmap(self.base.cast(), RESERVED_BYTES) };
    }
}

fn file_of(bytes: &[u8]) -> Arc<File> {
    let mut file = unsafe { File::from_raw_fd(libc::memfd_create(c"image".as_ptr(), 0)) };
    file.write_all(bytes).unwrap();
    Arc::new(file)
}

const REDUCER: &str = "export function reducer(state = {count: 0, byKind: {}}, request) {
    const {kind, amount} = request.body;
    return {count: state.count + 1, byKind: {...state.byKind, [kind]: (state.byKind[kind] ?? 0) + amount}} }";

const LOOPS: [(&str, &str); 5] = [
    ("a plain loop", "let n = 0; for (let i = 0; ; i++) n = (n + i) | 0"),
    ("a loop over properties", "const o = {a: 1, b: {c: 2}}; for (;;) { o.a = o.a + o.b.c; o.b.c = o.a % 7 }"),
    ("calls", "const f = (x) => x + 1; let n = 0; for (;;) n = f(n) % 1000"),
    ("arrays", "for (;;) { const a = []; for (let i = 0; i < 20; i++) a.push('k' + i); a.join(',').split(',') }"),
    ("objects", "for (;;) { const o = {}; for (let i = 0; i < 20; i++) o['k' + (i % 10)] = {i}; JSON.stringify(o) }"),
];

fn request(seq: u64) -> Request {
    let body = format!(
        r#"{{"kind":"order","amount":{seq},"customer":{{"name":"Ada Lovelace","email":"ada@example.org","address":{{"street":"12 Analytical Row","city":"London","zip":"EC1A"}}}},"items":[{{"sku":"A-1","qty":2,"price":9.99}},{{"sku":"B-7","qty":1,"price":24.5}},{{"sku":"C-3","qty":5,"price":1.25}}],"note":"please leave it at the door, thanks","tags":["new","priority","gift"],"ref":"0190-7f3a-4c1b"}}"#
    );
    let headers =
        [("content-type", "application/json"), ("host", "localhost"), ("user-agent", "measure"), ("accept", "*/*")];
    Request {
        id: u128::from(seq),
        seq,
        method: "POST".into(),
        path: "/write/k".into(),
        query: String::new(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), Bytes(value.as_bytes().to_vec()))).collect(),
        body: Bytes(body.into_bytes()),
        created_at_ms: 1_700_000_000_000,
    }
}

fn fold(count: u64) -> Vec<u8> {
    let requests = (1..=count).map(|seq| Foldable { request: Arc::new(request(seq)), forced: None }).collect();
    let state = Some(Json::from(r#"{"count":41,"byKind":{"order":820,"refund":-3}}"#));
    let call = Call::Fold { state, requests, secrets: "{}".into() };
    postcard::to_allocvec(&Bounded { call, limits: Limits::default(), parsed: Parsed::default() }).unwrap()
}

/// In microseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    microseconds(times[times.len() / 2])
}

fn microseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

/// The processor's time of this thread: what else the machine does must not show.
fn now() -> Duration {
    // SAFETY: plain numbers, written by the kernel.
    unsafe {
        let mut time: libc::timespec = core::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

fn timed<T>(times: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let begun = now();
    let made = work();
    times.push(now() - begun);
    made
}

/// Pages that this thread touched for the first time.
fn page_faults() -> i64 {
    // SAFETY: plain numbers, written by the kernel.
    unsafe {
        let mut usage: libc::rusage = core::mem::zeroed();
        libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
        usage.ru_minflt
    }
}

fn main() -> Result<()> {
    std::thread::Builder::new().stack_size(64 << 20).spawn(measure)?.join().unwrap()
}

fn measure() -> Result<()> {
    let baked = wasm::workspace().join("baked");
    let creator = Arc::new(FromImage(Mutex::new(None)));
    let begin_with = |image: &[u8]| *creator.0.lock().unwrap() = Some(file_of(image));
    let mut config = compile::config()?;
    config.with_host_memory(creator.clone());
    let engine = Engine::new(&config)?;
    let begun = now();
    // SAFETY: the file was made by `bake`.
    let module = unsafe { Module::deserialize_file(&engine, baked.join("guest.x86_64.cwasm"))? };
    println!("map the code: {:.0} us", microseconds(now() - begun));

    let image = std::fs::read(baked.join("guest.image"))?;
    begin_with(&image);
    let begun = now();
    let mut loaded = Door::open(&engine, &module, &[], 1)?;
    loaded.load("hook.ts", REDUCER)?.unwrap();
    println!("load a small program into a fresh instance: {:.0} us", microseconds(now() - begun));
    begin_with(&loaded.memory());

    let (mut bare, mut make, mut first, mut second, mut drops) = (vec![], vec![], vec![], vec![], vec![]);
    let (frame, mut faults) = (fold(1), 0);
    for _ in 0..2_000 {
        timed(&mut bare, || Instance::new(&mut Store::new(&engine, ()), &module, &[]))?;
        let mut door = timed(&mut make, || Door::open(&engine, &module, &[], 1))?;
        let faults_before = page_faults();
        timed(&mut first, || door.raw_call(&frame))?;
        faults = page_faults() - faults_before;
        timed(&mut second, || door.raw_call(&frame))?;
        timed(&mut drops, || drop(door));
    }
    println!("a request of {} bytes of JSON, a small state in and out:", request(1).body.0.len());
    println!("  instance from image {:.1} us (make and drop alone {:.1} us)", median(make), median(bare));
    println!("  first call {:.1} us with {faults} page faults", median(first));
    println!("  second call {:.1} us, drop {:.1} us", median(second), median(drops));
    let mut door = Door::open(&engine, &module, &[], 1)?;
    let (frame, mut batches) = (fold(100), vec![]);
    for _ in 0..50 {
        timed(&mut batches, || door.raw_call(&frame))?;
    }
    println!("  in a batch of 100 with the state kept as JSON between: {:.1} us", median(batches) / 100.0);

    begin_with(&image);
    for (name, body) in LOOPS {
        let mut door = Door::open(&engine, &module, &[], 1)?;
        door.load("hook.ts", &format!("export function reducer() {{ {body} }}"))?.unwrap();
        let mut times = vec![];
        timed(&mut times, || door.raw_call(&fold(1)))?;
        let (milliseconds, ticks) = (median(times) / 1e3, f64::from(door.ticks()?));
        println!("{name}: {ticks} ticks in {milliseconds:.0} ms; 250 ms hold {:.0}", ticks * 250.0 / milliseconds);
    }
    Ok(())
}
