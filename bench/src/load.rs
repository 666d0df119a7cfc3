//! The load: Debian's `wrk`, one thread, and what it says about it.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::server::Process;

#[derive(Default, Clone, Copy)]
pub struct Load {
    pub ok: f64,
    pub seconds: f64,
    pub failed: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Load {
    pub fn per_s(&self) -> f64 {
        if self.seconds > 0.0 { self.ok / self.seconds } else { 0.0 }
    }
}

pub fn run(server: &Process, folder: &Path, paths: &[String], connections: usize, duration: Duration) -> Load {
    let list = folder.join("paths");
    fs::write(&list, paths.join("\n")).expect("a file for the paths");
    let seconds = duration.as_secs().max(1);
    let said = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--latency", "-s"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/webhook.lua"))
        .args([&server.url, "--"])
        .arg(&list)
        .stderr(Stdio::inherit())
        .output()
        .expect("wrk is there: `cargo x bench` installs it");
    let text = String::from_utf8_lossy(&said.stdout);
    let last = text.lines().rev().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("wrk failed: {text}"));
    let summary: Value = serde_json::from_str(last).expect("the script prints JSON");
    let number = |name: &str| summary[name].as_f64().expect("a number");
    Load {
        ok: number("ok"),
        seconds: number("seconds"),
        failed: number("refused") + number("broken"),
        p50_ms: number("p50_ms"),
        p99_ms: number("p99_ms"),
    }
}
