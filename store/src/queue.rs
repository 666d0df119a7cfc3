//! A bounded line of work: async callers stand in it, plain threads or one task serve it, and leaving the line takes
//! nothing out.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

pub(crate) struct Queue<T> {
    inside: Mutex<Inside<T>>,
    bell: Condvar,
    /// The bell of a task; one rung while it is awake is heard at its next wait.
    task_bell: Notify,
    places: Arc<Semaphore>,
}

struct Inside<T> {
    waiting: VecDeque<(T, Option<OwnedSemaphorePermit>)>,
    /// Threads that sleep until the bell rings. Ringing it is a system call, so nobody rings for nobody.
    sleeping: usize,
    closed: bool,
}

/// What a thread that looked into the queue for a while has found.
pub(crate) enum Found<T> {
    Work(T),
    Nothing,
    Closed,
}

impl<T> Queue<T> {
    pub(crate) fn new(places: usize) -> Arc<Queue<T>> {
        let inside = Inside { waiting: VecDeque::new(), sleeping: 0, closed: false };
        Arc::new(Queue {
            inside: Mutex::new(inside),
            bell: Condvar::new(),
            task_bell: Notify::new(),
            places: Arc::new(Semaphore::new(places)),
        })
    }

    /// Puts work into the line at once if there is a place; otherwise the caller awaits one through what is returned.
    pub(crate) fn enter(self: &Arc<Self>, work: T) -> Entering<T> {
        let outside = match self.places.clone().try_acquire_owned() {
            Ok(place) => {
                self.push(work, Some(place));
                None
            }
            Err(_) => Some(work),
        };
        Entering { queue: self.clone(), outside }
    }

    /// The next piece of work, however long it takes; `None` once the queue is closed and empty.
    pub(crate) fn wait(&self) -> Option<T> {
        let mut inside = self.lock();
        loop {
            if let Some((work, _place)) = inside.waiting.pop_front() {
                return Some(work);
            }
            if inside.closed {
                return None;
            }
            inside.sleeping += 1;
            inside = self.bell.wait(inside).unwrap_or_else(PoisonError::into_inner);
            inside.sleeping -= 1;
        }
    }

    /// Likewise, for the one task that serves a queue.
    pub(crate) async fn next(&self) -> Option<T> {
        loop {
            {
                let mut inside = self.lock();
                if let Some((work, _place)) = inside.waiting.pop_front() {
                    return Some(work);
                }
                if inside.closed {
                    return None;
                }
            }
            self.task_bell.notified().await;
        }
    }

    /// The next piece of work, if one comes before `until`.
    pub(crate) fn wait_until(&self, until: Instant) -> Found<T> {
        let mut inside = self.lock();
        loop {
            if let Some((work, _place)) = inside.waiting.pop_front() {
                return Found::Work(work);
            }
            if inside.closed {
                return Found::Closed;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Found::Nothing;
            }
            inside.sleeping += 1;
            inside = self.bell.wait_timeout(inside, left).unwrap_or_else(PoisonError::into_inner).0;
            inside.sleeping -= 1;
        }
    }

    /// Takes what waits now, in order, as long as `wanted` says so.
    pub(crate) fn take_while(&self, taken: &mut Vec<T>, mut wanted: impl FnMut(&T) -> bool) {
        let mut inside = self.lock();
        while inside.waiting.front().is_some_and(|(work, _)| wanted(work)) {
            taken.extend(inside.waiting.pop_front().map(|(work, _place)| work));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// Lets nothing more in. What waits is still served.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_all();
        self.task_bell.notify_one();
    }

    /// Closes the queue and drops what waits in it when the thread that serves it ends, even by a panic: nobody may
    /// wait for an answer that cannot come.
    pub(crate) fn abandon_when_dropped(self: &Arc<Self>) -> Abandon<T> {
        Abandon(self.clone())
    }

    fn push(&self, work: T, place: Option<OwnedSemaphorePermit>) {
        let mut inside = self.lock();
        if inside.closed {
            return;
        }
        inside.waiting.push_back((work, place));
        if inside.sleeping > 0 {
            self.bell.notify_one();
        }
        drop(inside);
        self.task_bell.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inside<T>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Abandon<T>(Arc<Queue<T>>);

impl<T> Drop for Abandon<T> {
    fn drop(&mut self) {
        self.0.close();
        // Taken out first, dropped after the lock is free: dropping work wakes whoever waits for it.
        let left = std::mem::take(&mut self.0.lock().waiting);
        drop(left);
    }
}

/// Work on its way into a queue.
pub(crate) struct Entering<T> {
    queue: Arc<Queue<T>>,
    outside: Option<T>,
}

impl<T> Entering<T> {
    pub(crate) async fn entered(mut self) {
        if self.outside.is_some() {
            let place = self.queue.places.clone().acquire_owned().await.ok();
            if let Some(work) = self.outside.take() {
                self.queue.push(work, place);
            }
        }
    }
}

impl<T> Drop for Entering<T> {
    /// Whoever leaves a full line hands over what it brought: cancelling is not a way to lose a commit. The bound
    /// holds for all who wait, and what is handed over was in memory before.
    fn drop(&mut self) {
        if let Some(work) = self.outside.take() {
            self.queue.push(work, None);
        }
    }
}
