//! Keeps files that people upload, in pieces, so that no more than one of them is in memory for whoever sends or reads.
//!
//! A file is rows without a log: nothing is ever folded from it, and it never changes once it is whole.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rules::{
    file::File,
    limits::FILE_PIECE_BYTES,
    record::{LaneId, Position},
    refusal::Refusal,
    row,
};
use store::{Batch, Order};

use crate::{
    Engine, UPLOADS_MAX,
    lanes::{fault, kept},
};

/// Files that are looked at in one go when the forgotten ones are sought.
const FORGOTTEN_AT_ONCE: usize = 256;

/// The files whose bytes are coming.
#[derive(Default)]
pub struct Uploads(Mutex<HashSet<u128>>);

impl Uploads {
    fn lock(&self) -> MutexGuard<'_, HashSet<u128>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file on its way in. Whoever drops it lets another try; what came by then is written over.
pub struct Uploading {
    claim: Claim,
    file: File,
    pieces: u32,
    bytes: u64,
}

/// One sends at a time: two would write over each other.
struct Claim {
    engine: Engine,
    id: u128,
}

impl Claim {
    fn new(engine: &Engine, id: u128) -> Result<Claim, Refusal> {
        let mut uploads = engine.uploads().lock();
        if uploads.len() >= UPLOADS_MAX {
            return Err(Refusal::BUSY);
        }
        if !uploads.insert(id) {
            return Err(Refusal::FILE_KEPT.because("The bytes of this file are on their way already."));
        }
        Ok(Claim { engine: engine.clone(), id })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.engine.uploads().lock().remove(&self.id);
    }
}

impl Engine {
    /// A place for a file. Its id is all that anybody needs to fill and to read it.
    pub async fn announce_file(&self, owner: LaneId, name: String, kind: &str, bytes: u64) -> Result<u128, Refusal> {
        let file = File::announce(name, kind, bytes, owner, self.now())?;
        let id = self.world().entropy.draw();
        let rows = vec![(row::file(id), Some(row::encode(&file))), (row::uploading(id), Some(Vec::new()))];
        self.commit_file(id, rows).await?;
        Ok(id)
    }

    /// A file that is whole.
    pub async fn file(&self, id: u128) -> Result<File, Refusal> {
        let file = self.announced(id).await?;
        let unfinished = || Refusal::FILE_UNKNOWN.because("The bytes of this file have not come yet.");
        file.kept_at.is_some().then_some(file).ok_or_else(unfinished)
    }

    async fn announced(&self, id: u128) -> Result<File, Refusal> {
        let found = self.world().store.row(row::file(id)).await.map_err(fault)?;
        row::decode(&found.ok_or(Refusal::FILE_UNKNOWN)?).ok_or(Refusal::FAULT)
    }

    /// `bytes` is how many the sender says there are, if it does.
    pub async fn begin_upload(&self, id: u128, bytes: Option<u64>) -> Result<Uploading, Refusal> {
        // Before anything is read: nobody finishes in between.
        let claim = Claim::new(self, id)?;
        let file = self.announced(id).await?;
        if file.kept_at.is_some() {
            return Err(Refusal::FILE_KEPT);
        }
        if bytes.is_some_and(|bytes| bytes != file.bytes) {
            return Err(wrong_size(&file));
        }
        Ok(Uploading { claim, file, pieces: 0, bytes: 0 })
    }

    pub async fn piece(&self, id: u128, index: u32) -> Result<Vec<u8>, Refusal> {
        self.world().store.row(row::piece(id, index)).await.map_err(fault)?.ok_or_else(|| {
            tracing::error!(file = format!("{id:032x}"), index, "a piece of a file is missing");
            Refusal::FAULT
        })
    }

    /// Erases what was announced long ago and never came. Only before anybody can send.
    pub async fn forget_uploads(&self) -> Result<(), Refusal> {
        let (mut from, to) = row::uploading_range();
        loop {
            let found = self.world().store.rows(from.clone(), to.clone(), Order::Ascending, FORGOTTEN_AT_ONCE);
            let found = found.await.map_err(fault)?;
            let Some((last, _)) = found.last() else { return Ok(()) };
            from = [last.as_slice(), &[0]].concat();
            for id in found.iter().filter_map(|(key, _)| row::lane_of(key)).map(|lane| lane.0) {
                let file = self.announced(id).await?;
                if file.is_forgotten(self.now()) {
                    let pieces = (0..file.pieces()).map(|index| row::piece(id, index));
                    let rows = pieces.chain([row::uploading(id), row::file(id)]).map(|key| (key, None));
                    self.commit_file(id, rows.collect()).await?;
                }
            }
        }
    }

    async fn commit_file(&self, id: u128, rows: Vec<row::Change>) -> Result<(), Refusal> {
        let batch = Batch { lane: LaneId(id), expect: Position::START, records: Vec::new(), rows };
        kept(self.world().store.commit(batch).await)
    }
}

impl Uploading {
    /// The next piece; only the last may be short.
    pub async fn take(&mut self, piece: Vec<u8>) -> Result<(), Refusal> {
        assert!(self.bytes == u64::from(self.pieces) * FILE_PIECE_BYTES as u64, "the piece before was whole");
        assert!(piece.len() <= FILE_PIECE_BYTES, "a piece has its bound");
        let bytes = self.bytes + piece.len() as u64;
        if bytes > self.file.bytes {
            return Err(wrong_size(&self.file));
        }
        let Claim { engine, id } = &self.claim;
        engine.commit_file(*id, vec![(row::piece(*id, self.pieces), Some(piece))]).await?;
        (self.pieces, self.bytes) = (self.pieces + 1, bytes);
        Ok(())
    }

    /// From here on it can be read, and not be written any more. To be waited for to its end, whatever becomes of the
    /// sender: a commit cannot be called back, and until it is known nobody else may send.
    pub async fn finish(mut self) -> Result<(), Refusal> {
        if self.bytes != self.file.bytes {
            return Err(wrong_size(&self.file));
        }
        let Claim { engine, id } = &self.claim;
        self.file.kept_at = Some(engine.now());
        let rows = vec![(row::file(*id), Some(row::encode(&self.file))), (row::uploading(*id), None)];
        engine.commit_file(*id, rows).await
    }
}

fn wrong_size(file: &File) -> Refusal {
    Refusal::FILE_SIZE_WRONG.because(format!("This file was announced with {} bytes.", file.bytes))
}
