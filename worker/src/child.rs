//! The child: what `everfold isolate` is from its first line to its last.
//!
//! Two threads. The first closes the jail and then only counts time while the second works; the second, on a large
//! stack, reads a question, runs it, writes the answer. When the socket closes, it is over.

use std::{
    fs::File,
    io::{self, Read, Write},
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, Thread},
};

use crate::{
    bounds::{DATA_BYTES_MAX, EPOCH_TICK, IMAGE_BYTES_MAX, OPEN_FILES_MAX, STACK_BYTES},
    frame::{self, Broken, ToChild, ToParent},
    isolate::{Code, Isolate, Programs},
    jail::{self, JailSpec, Jailed, Layer},
};

/// What an isolate may still have once it is jailed.
pub const JAIL: JailSpec = JailSpec {
    data_bytes_max: DATA_BYTES_MAX,
    file_bytes_max: IMAGE_BYTES_MAX as u64,
    open_files_max: OPEN_FILES_MAX,
    has_page_map: true,
};

/// Enters the jail and answers until the socket on descriptor 0 closes; descriptor 1 is the guest's code. The process
/// must have one thread.
pub fn isolate_main() -> ! {
    match start() {
        Ok((clock, tick)) => clock.count(tick),
        Err(why) => {
            // Nothing can be printed from inside a jail.
            let _ = say(&ToParent::Failed { why });
            process::exit(1)
        }
    }
}

fn start() -> Result<(Clock, impl Fn()), String> {
    // Asked while there is an environment.
    rules::canary::planted();
    let text = |error: wasmtime::Error| error.to_string();
    let code = Code::of(code_file().map_err(|error| error.to_string())?).map_err(text)?;
    let Jailed { mut layers, page_map } = jail::enter(&JAIL).map_err(|error| error.to_string())?;
    // Nothing can be printed any more; the parent sees the end and starts another child.
    std::panic::set_hook(Box::new(|_| process::exit(101)));

    let isolate = Isolate::new(code, page_map).map_err(text)?;
    let tick = isolate.ticker();
    let mut programs = Programs::new(isolate).map_err(|error| error.to_string())?;
    let clock = Clock { busy: Arc::default(), counter: thread::current() };

    let (awake, is_awake) = mpsc::sync_channel(1);
    let (sealed, is_sealed) = mpsc::sync_channel::<Vec<Layer>>(1);
    let work = {
        let clock = clock.clone();
        move || {
            let _ = awake.send(());
            let served = is_sealed.recv().map(|layers| serve(layers, &mut programs, &clock));
            process::exit(if matches!(served, Ok(Ok(()))) { 0 } else { 1 })
        }
    };
    thread::Builder::new().stack_size(STACK_BYTES).spawn(work).map_err(|error| error.to_string())?;
    // A thread that is still being made needs more than the filter leaves.
    is_awake.recv().map_err(|error| error.to_string())?;
    layers.push(jail::seal(&jail::ISOLATE));
    sealed.send(layers).map_err(|error| error.to_string())?;
    Ok((clock, tick))
}

/// What the parent handed over in place of an output, which nobody would read.
fn code_file() -> io::Result<File> {
    Ok(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?.into())
}

/// Says hello, then answers one question after the other.
fn serve(layers: Vec<Layer>, programs: &mut Programs, clock: &Clock) -> Result<(), Broken> {
    let is_safe = layers.iter().all(|layer| layer.holds || layer.name != jail::SYSTEM_CALLS);
    say(&ToParent::Hello { layers })?;
    if !is_safe {
        return Ok(());
    }
    loop {
        match frame::read_blocking(&mut Socket) {
            Ok(ToChild::Know { program }) => programs.know(program),
            Ok(ToChild::Ask { id, program, call, limits }) => {
                let outcome = clock.during(|| programs.call(&program, call, limits));
                say(&match outcome {
                    Some(outcome) => ToParent::Answer { id, outcome, resident_bytes: jail::resident_bytes_most() },
                    None => ToParent::Unknown { id },
                })?;
            }
            Err(Broken::Gone(_)) => return Ok(()),
            Err(broken) => return Err(broken),
        }
    }
}

fn say(message: &ToParent) -> Result<(), Broken> {
    Ok(Socket.write_all(&frame::encode(message)?)?)
}

/// The one descriptor that leads out.
struct Socket;

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(rustix::stdio::stdin(), bytes)?)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(rustix::stdio::stdin(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Time as a running guest feels it. It stands while nothing runs, so that an idle child sleeps.
#[derive(Clone)]
struct Clock {
    busy: Arc<AtomicBool>,
    counter: Thread,
}

impl Clock {
    fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.busy.store(true, Ordering::Release);
        self.counter.unpark();
        let done = work();
        self.busy.store(false, Ordering::Release);
        done
    }

    /// The rest of the first thread's life.
    fn count(self, tick: impl Fn()) -> ! {
        loop {
            if self.busy.load(Ordering::Acquire) {
                thread::sleep(EPOCH_TICK);
                tick();
            } else {
                thread::park();
            }
        }
    }
}
