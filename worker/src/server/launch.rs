//! What a runtime server is started with, and what it may use.

use std::path::PathBuf;

use serde::Deserialize;

/// The hash of what an instance is made of: deployment, variables, limits. Instances of one key are interchangeable.
pub type Key = [u8; 32];

/// How a function's server is started.
#[derive(Clone, Debug)]
pub struct Launch {
    pub key: Key,
    /// As seen inside: the runtime lies at `/runtime`, the code at `/function`.
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    /// The folder of the language's server.
    pub runtime: PathBuf,
    /// The folder of the built code.
    pub tree: PathBuf,
    /// Folders that are seen where they are, such as a tool chain's.
    pub read_only: Vec<PathBuf>,
    pub network: Network,
    /// A container of this image takes the place of the sandbox, for a language that the machine lacks.
    pub image: Option<Image>,
    pub limits: ServerLimits,
}

/// The name of an image that does not change: with a digest or at least a version, and the registry that it is from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Image(String);

impl Image {
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Image {
    type Error = String;

    fn try_from(name: String) -> Result<Image, String> {
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "._-/:@".contains(char);
        let last = name.rsplit('/').next().unwrap_or_default();
        let (has_registry, begins_well) =
            (name.contains('/'), name.starts_with(|char: char| char.is_ascii_alphanumeric()));
        let is_pinned = last.contains("@sha256:") || last.split_once(':').is_some_and(|(_, tag)| tag != "latest");
        if begins_well && has_registry && is_pinned && name.chars().all(is_plain) {
            Ok(Image(name))
        } else {
            Err(format!("{name:?} names no image that stays the same, such as \"docker.io/library/ruby:3.3.10-slim\""))
        }
    }
}

/// Where a sandboxed process may connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Network {
    /// Nowhere: it has its own loopback and nothing else.
    #[default]
    None,
    /// Public addresses but this machine's own, and those that the operator named (`Config::allowed`). Nobody reaches it.
    Internet,
}

/// What the servers of one function may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Processor time that an instance may spend while a request lasts, and between two.
    pub cpu_seconds: u64,
    /// What lies in `/tmp` counts.
    pub memory_bytes: u64,
    /// Threads count, as the kernel counts them.
    pub processes: u64,
    pub tmp_bytes: u64,
    /// Requests that one instance is given at a time.
    pub concurrency: usize,
    pub instances_min: usize,
    pub instances_max: usize,
    /// How long a call waits for a seat when nobody starts for it.
    pub queue_wait_ms: u64,
    /// How long an instance may take until it accepts.
    pub start_ms: u64,
    pub idle_ms: u64,
}

impl Default for ServerLimits {
    fn default() -> Self {
        ServerLimits {
            cpu_seconds: 30,
            memory_bytes: 512 << 20,
            processes: 128,
            tmp_bytes: 64 << 20,
            concurrency: 16,
            instances_min: 0,
            instances_max: 4,
            queue_wait_ms: 10_000,
            start_ms: 10_000,
            idle_ms: 60_000,
        }
    }
}
