//! A file that somebody uploads: what is told of it before its bytes come, and how it is cut.

use alloc::{borrow::ToOwned, string::String};
use serde::{Deserialize, Serialize};

use crate::{
    limits::{FILE_BYTES_MAX, FILE_NAME_BYTES_MAX, FILE_PIECE_BYTES, FILE_TYPE_BYTES_MAX, UPLOAD_MS_MAX},
    record::{At, LaneId},
    refusal::Refusal,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub name: String,
    /// Can be sent as a header.
    pub kind: String,
    pub bytes: u64,
    pub owner: LaneId,
    pub announced_at: At,
    /// When all of it was there.
    pub kept_at: Option<At>,
}

impl File {
    pub fn announce(name: String, kind: &str, bytes: u64, owner: LaneId, at: At) -> Result<File, Refusal> {
        if bytes > FILE_BYTES_MAX {
            return Err(Refusal::FILE_TOO_LARGE);
        }
        let is_type = kind.len() <= FILE_TYPE_BYTES_MAX && kind.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if name.is_empty() || name.len() > FILE_NAME_BYTES_MAX || !is_type {
            return Err(Refusal::FILE_MALFORMED);
        }
        // Browsers give no type to what they do not know.
        let kind = if kind.trim().is_empty() { "application/octet-stream" } else { kind.trim() };
        Ok(File { name, kind: kind.to_owned(), bytes, owner, announced_at: at, kept_at: None })
    }

    pub fn pieces(&self) -> u32 {
        u32::try_from(self.bytes.div_ceil(FILE_PIECE_BYTES as u64)).expect("a file is bounded")
    }

    /// Nobody brings its bytes any more.
    pub fn is_forgotten(&self, now: At) -> bool {
        self.kept_at.is_none() && now.0 > self.announced_at.0.saturating_add(UPLOAD_MS_MAX)
    }

    /// The type that a browser is told. What it would run or apply as its page's own is plain text to it: our pages run
    /// what comes from their origin, and so do files.
    pub fn kind_shown(&self) -> &str {
        let essence = self.kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let runs = ["javascript", "ecmascript"].iter().any(|script| essence.contains(script))
            || ["jscript", "livescript", "text/css"].iter().any(|script| essence.ends_with(script));
        if runs { "text/plain" } else { &self.kind }
    }
}
