//! Threads that start sandboxes, one for each that runs, and some at hand.
//!
//! A sandbox ends with the thread that started it, so that must be one that lasts. And it is born into the control
//! group of that thread: whoever moves into a group waits until every processor has taken notice, tens of milliseconds
//! in which nobody on the machine forks. So a thread moves once, ahead of time, and is used again with its group.

use std::{
    io,
    sync::{Arc, Mutex, Weak, mpsc},
    thread,
};

use tokio::{sync::oneshot, time::sleep};

use super::{
    cgroup::Group,
    internet::Stack,
    sandbox::{Inmate, Sandbox},
};
use crate::{
    bounds::{STATION_PAUSE, STATIONS_AT_HAND, STATIONS_IDLE_MAX},
    pool::locked,
};

type Order = Box<dyn FnOnce(&Sandbox, &Group) + Send>;

/// Starts sandboxes.
#[derive(Clone)]
pub struct Spawner(Arc<Home>);

struct Home {
    sandbox: Arc<Sandbox>,
    idle: Mutex<Vec<Thread>>,
}

/// It ends when nobody can give it orders.
struct Thread {
    orders: mpsc::Sender<Order>,
    group: Arc<Group>,
}

/// The thread and the group of one sandbox. Dropping it, once the sandbox is over, makes room for another.
pub struct Station {
    /// What the sandbox is connected by.
    pub stack: Option<Stack>,
    thread: Option<Thread>,
    home: Weak<Home>,
}

impl Spawner {
    pub async fn new(sandbox: Arc<Sandbox>) -> io::Result<Spawner> {
        let home = Arc::new(Home { sandbox, idle: Mutex::default() });
        for _ in 0..STATIONS_AT_HAND {
            let thread = home.hire().await?;
            locked(&home.idle).push(thread);
        }
        Ok(Spawner(home))
    }

    pub async fn spawn(
        &self,
        act: impl FnOnce(&Sandbox, &Group) -> io::Result<Inmate> + Send + 'static,
    ) -> io::Result<(Inmate, Station)> {
        let at_hand = locked(&self.0.idle).pop();
        let thread = match at_hand {
            Some(thread) => thread,
            None => self.0.hire().await?,
        };
        let station = Station { stack: None, thread: Some(thread), home: Arc::downgrade(&self.0) };
        if locked(&self.0.idle).is_empty() {
            tokio::spawn(refill(Arc::downgrade(&self.0)));
        }
        let inmate = station.order(act)?.await.map_err(io::Error::other)??;
        Ok((inmate, station))
    }
}

/// Later, so that the sandbox that is being made does not wait for it.
async fn refill(home: Weak<Home>) {
    sleep(STATION_PAUSE).await;
    let Some(home) = home.upgrade() else { return };
    if locked(&home.idle).is_empty()
        && let Ok(thread) = home.hire().await
    {
        locked(&home.idle).push(thread);
    }
}

impl Home {
    async fn hire(&self) -> io::Result<Thread> {
        let (orders, ordered) = mpsc::channel::<Order>();
        let (ready, is_ready) = oneshot::channel();
        let sandbox = self.sandbox.clone();
        let serve = move || {
            let group = match sandbox.prepare() {
                Ok(group) => Arc::new(group),
                Err(error) => return drop(ready.send(Err(error))),
            };
            let _ = ready.send(Ok(group.clone()));
            for order in ordered {
                order(&sandbox, &group);
            }
            sandbox.groups.leave();
        };
        thread::Builder::new().name("server-spawner".into()).spawn(serve)?;
        let group = is_ready.await.map_err(|_| io::Error::other("the spawner is gone"))??;
        Ok(Thread { orders, group })
    }
}

impl Station {
    pub fn group(&self) -> &Group {
        &self.thread().group
    }

    /// Has something done on its thread. Whoever does not wait for it drops what comes of it.
    pub fn order<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Sandbox, &Group) -> T + Send + 'static,
    ) -> io::Result<oneshot::Receiver<T>> {
        let (order, done) = oneshot::channel();
        let act = move |sandbox: &Sandbox, group: &Group| drop(order.send(act(sandbox, group)));
        self.thread().orders.send(Box::new(act)).map_err(|_| io::Error::other("the spawner is gone"))?;
        Ok(done)
    }

    fn thread(&self) -> &Thread {
        let Some(thread) = &self.thread else { unreachable!("it is taken when it is dropped") };
        thread
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        drop(self.stack.take());
        let (Some(thread), Some(home)) = (self.thread.take(), self.home.upgrade()) else { return };
        if thread.group.forget() {
            let mut idle = locked(&home.idle);
            if idle.len() < STATIONS_IDLE_MAX {
                idle.push(thread);
            }
        }
    }
}
