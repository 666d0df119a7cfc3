//! A worker that a test plays by hand.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{PATIENCE, hook::Owner, socket::Socket};

pub struct Worker {
    pub socket: Socket,
    pub id: String,
}

/// How long it is waited for something that should not come.
const MOMENT: Duration = Duration::from_millis(300);

impl Worker {
    pub fn of(owner: &Owner, name: &str, threads: u32) -> Worker {
        Worker::by(&owner.address, &owner.jwt, name, threads)
    }

    /// With a key or a JWT.
    pub fn by(address: &str, key: &str, name: &str, threads: u32) -> Worker {
        let mut socket = Socket::open(address, &format!("/worker?key={key}")).expect("it is let in");
        socket.say(&json!({"type": "hello", "name": name, "threads": threads, "userAgent": "test"}).to_string());
        let welcome = socket.next_frame(PATIENCE).expect("it is greeted");
        assert_eq!((&welcome["type"], &welcome["leaseMs"]), (&json!("welcome"), &json!(10_000)));
        Worker { id: welcome["workerId"].as_str().expect("an id").to_owned(), socket }
    }

    /// The next job that it is given.
    pub fn job(&mut self) -> Value {
        self.job_within(PATIENCE).expect("it is given a job")
    }

    pub fn job_within(&mut self, patience: Duration) -> Option<Value> {
        let until = Instant::now() + patience;
        loop {
            let frame = self.socket.next_frame(until.saturating_duration_since(Instant::now()))?;
            if frame["type"] == "job" {
                return Some(frame);
            }
        }
    }

    /// The next frame of a type.
    pub fn told(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.socket.next_frame(PATIENCE).unwrap_or_else(|| panic!("it is told {kind}"));
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    pub fn has_nothing_to_do(&mut self) {
        assert_eq!(self.job_within(MOMENT), None);
    }

    pub fn say(&mut self, frame: &Value) {
        self.socket.say(&frame.to_string());
    }

    pub fn result(&mut self, job: &Value, value: &Value) {
        self.say(&json!({"type": "result", "id": job["id"], "fence": job["fence"], "value": value}));
    }

    pub fn beat(&mut self, running: &[&Value]) {
        let running: Vec<_> = running.iter().map(|job| job["id"].clone()).collect();
        self.say(&json!({"type": "beat", "running": running}));
    }
}
