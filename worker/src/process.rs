//! One child as its parent sees it: started, asked, and killed when it does not behave.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs, io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use rules::{
    call::{Call, Outcome, Program, ProgramId},
    canary,
    limits::Limits,
};
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::{Child as Process, Command},
    runtime::Handle,
    sync::oneshot,
    time::timeout,
};

use crate::{
    bounds::{CALL_GRACE, FOLD_SLICE, HELLO_WAIT, LOAD_WAIT, PROGRAMS_MAX},
    frame::{self, Broken, ToChild, ToParent},
    isolate,
    jail::{self, Layer},
    outcome,
};

/// A jailed process that runs one call at a time. Dropping it kills it.
pub struct Child {
    socket: UnixStream,
    process: Process,
    /// The one that the outer process waits for.
    inner: Option<u32>,
    /// What it was told. It may have forgotten some of it.
    known: HashSet<ProgramId>,
    next_id: u64,
    loads: u64,
    pub layers: Vec<Layer>,
    pub started_in: Duration,
}

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    #[error("the code of the isolate could not be made: {0}")]
    NoCode(String),
    #[error("the isolate could not be started: {0}")]
    Spawn(#[from] io::Error),
    #[error("the isolate failed to make itself ready: {0}")]
    Failed(String),
    #[error("the isolate did not say that it is ready: {0}")]
    Silent(#[from] Lost),
    #[error("the isolate cannot be kept from making system calls, so it runs nothing: {0}")]
    Unsealed(String),
}

/// Why a child is of no use any more. What it was asked may be asked again: it had no effect.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error("it did not answer in time")]
    Stuck,
    #[error("it answered beside the question")]
    Confused,
}

/// What a child said, and how much memory it ever held.
pub struct Answer {
    pub outcome: Outcome,
    pub resident_bytes: u64,
}

impl Child {
    pub async fn start(spawner: &Spawner) -> Result<Self, NotStarted> {
        let begun = Instant::now();
        let (process, socket) = spawner.spawn().await?;
        socket.set_nonblocking(true)?;
        let socket = UnixStream::from_std(socket)?;
        let mut child = Child {
            socket,
            process,
            inner: None,
            known: HashSet::new(),
            next_id: 0,
            loads: 0,
            layers: Vec::new(),
            started_in: Duration::ZERO,
        };
        let hello = timeout(HELLO_WAIT, frame::read(&mut child.socket)).await.map_err(|_| Lost::Stuck)?;
        let layers = match hello.map_err(Lost::Broken)? {
            ToParent::Hello { layers } => layers,
            ToParent::Failed { why } => return Err(NotStarted::Failed(why)),
            _ => return Err(Lost::Confused.into()),
        };
        if let Some(open) = layers.iter().find(|layer| layer.name == jail::SYSTEM_CALLS && !layer.holds) {
            return Err(NotStarted::Unsealed(open.detail.clone()));
        }
        child.layers = layers;
        child.inner = child.process.id().and_then(only_child);
        child.started_in = begun.elapsed();
        Ok(child)
    }

    /// Resolves when an idle child ends, or speaks without being asked, which is as bad.
    pub async fn lost(&mut self) {
        let _ = self.socket.read_u8().await;
    }

    /// Asks and waits, as long as the limits allow. After an error the child must be dropped.
    pub async fn ask(&mut self, program: &Arc<Program>, call: Call, limits: Limits) -> Result<Answer, Lost> {
        let mut wait = Duration::from_millis(limits.call_ms) + CALL_GRACE;
        if call.batch().is_some() {
            // The last request of a slice may begin at its end.
            wait += FOLD_SLICE;
        }
        let asked = outcome::Asked::from(&call);
        let id = self.next_id;
        self.next_id += 1;
        let question = frame::encode(&ToChild::Ask { id, program: program.id, call, limits })?;
        // What it must load first takes its own time.
        let load = || LOAD_WAIT + Duration::from_millis(limits.call_ms);

        let is_known = self.known.contains(&program.id);
        let first = if is_known { wait } else { wait + load() };
        let exchange = self.exchange((!is_known).then_some(program), &question);
        let mut answer = timeout(first, exchange).await.map_err(|_| Lost::Stuck)??;
        if matches!(answer, ToParent::Unknown { id: forgotten } if forgotten == id) && is_known {
            let exchange = self.exchange(Some(program), &question);
            answer = timeout(wait + load(), exchange).await.map_err(|_| Lost::Stuck)??;
        }
        match answer {
            ToParent::Answer { id: answered, outcome, resident_bytes }
                if answered == id && outcome::answers(&outcome, asked, &limits) =>
            {
                Ok(Answer { outcome, resident_bytes })
            }
            _ => Err(Lost::Confused),
        }
    }

    async fn exchange(&mut self, unknown: Option<&Arc<Program>>, question: &[u8]) -> Result<ToParent, Broken> {
        if let Some(program) = unknown {
            self.loads += 1;
            self.socket.write_all(&frame::encode(&Know { program })?).await?;
            if self.known.len() >= PROGRAMS_MAX {
                // It has forgotten some by now; it says which when it is asked.
                self.known.clear();
            }
            self.known.insert(program.id);
        }
        self.socket.write_all(question).await?;
        frame::read(&mut self.socket).await
    }

    /// What it has spent so far.
    pub fn spent(&self) -> Spent {
        Spent {
            of: self.process.id(),
            worked: self.inner.and_then(jail::processor_time).unwrap_or_default(),
            loads: self.loads,
        }
    }

    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }
}

/// What a child has spent: processor time, and how often it loaded a program.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    pub of: Option<u32>,
    pub worked: Duration,
    pub loads: u64,
}

impl Spent {
    /// `None` where this machine does not tell.
    pub fn since(&self, before: &Spent) -> Option<Spent> {
        let worked = self.worked.checked_sub(before.worked).filter(|worked| !worked.is_zero())?;
        Some(Spent { of: self.of, worked, loads: self.loads - before.loads })
    }
}

fn only_child(process: u32) -> Option<u32> {
    fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?.trim().parse().ok()
}

/// `ToChild::Know`, without a copy of the source.
struct Know<'a> {
    program: &'a Program,
}

impl Serialize for Know<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStructVariant;
        let mut variant = serializer.serialize_struct_variant("ToChild", 0, "Know", 1)?;
        variant.serialize_field("program", self.program)?;
        variant.end()
    }
}

/// The thread that starts children. A jailed process ends with the thread that started it, so that must be one
/// that lasts, and none of a runtime that comes and goes.
pub struct Spawner(mpsc::Sender<oneshot::Sender<io::Result<(Process, StdUnixStream)>>>);

impl Spawner {
    /// `command` is the program and its arguments, which end up in `isolate_main`.
    pub fn new(command: Vec<OsString>, runtime: Handle) -> Result<Self, NotStarted> {
        let code = isolate::code::file().map_err(|error| NotStarted::NoCode(error.to_string()))?;
        let (orders, ordered) = mpsc::channel::<oneshot::Sender<_>>();
        let serve = move || {
            let _inside = runtime.enter();
            for order in ordered {
                let _ = order.send(spawn(&command, &code));
            }
        };
        thread::Builder::new().name("isolate-spawner".into()).spawn(serve)?;
        Ok(Spawner(orders))
    }

    async fn spawn(&self) -> io::Result<(Process, StdUnixStream)> {
        let (order, spawned) = oneshot::channel();
        let gone = || io::Error::other("the spawner is gone");
        self.0.send(order).map_err(|_| gone())?;
        spawned.await.map_err(|_| gone())?
    }
}

fn spawn(command: &[OsString], code: &OwnedFd) -> io::Result<(Process, StdUnixStream)> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let (ours, theirs) = StdUnixStream::pair()?;
    let process = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(canary::planted().map(|name| (canary::VARIABLE, name)))
        .stdin(OwnedFd::from(theirs))
        .stdout(code.try_clone()?)
        .kill_on_drop(true)
        .spawn()?;
    Ok((process, ours))
}
