//! Packs neighbouring records of a lane into one compressed chunk, and takes them out as they were.
//!
//! A record's hash is 32 bytes that no compression makes smaller, but as a rule it follows from the record before.
//! So it is kept only where it does not, and once at the end, which every hash before it must lead to.

use rules::record::{Hash, Position, Record};
use serde::{Deserialize, Serialize};

use crate::VALUE_BYTES_MAX;

/// The fastest level packs old requests 3 times smaller; the highest would make it 3.3 times (see `storage.md`).
const LEVEL: i32 = 1;
/// What a chunk may become when it is opened: one record of the greatest length, and some room for its neighbours.
const OPENED_BYTES_MAX: usize = VALUE_BYTES_MAX + (16 << 20);

#[derive(Serialize, Deserialize)]
struct Packed<'a> {
    end: [u8; 32],
    #[serde(borrow)]
    records: Vec<PackedRecord<'a>>,
}

#[derive(Serialize, Deserialize)]
struct PackedRecord<'a> {
    /// How far behind the record before it stands.
    step: u64,
    /// `None` where the hash follows from the one before.
    hash: Option<[u8; 32]>,
    body: &'a [u8],
}

/// The chunk of these records, in its zstd frame with zstd's own checksum of the content.
pub(super) fn pack(records: &[Record]) -> Result<Vec<u8>, String> {
    let (mut position, mut hash) = (Position::START, Hash::NONE);
    let packed = records.iter().map(|record| {
        let follows = hash.chain(record.position, &record.body) == record.hash;
        let step = record.position.to_u64() - position.to_u64();
        (position, hash) = (record.position, record.hash);
        PackedRecord { step, hash: (!follows).then_some(record.hash.0), body: &record.body }
    });
    let records = packed.collect();
    let plain = postcard::to_allocvec(&Packed { records, end: hash.0 }).map_err(|error| error.to_string())?;
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).map_err(|error| error.to_string())?;
    compressor.include_checksum(true).map_err(|error| error.to_string())?;
    compressor.compress(&plain).map_err(|error| error.to_string())
}

/// The records of a chunk, or in words why they cannot be trusted.
pub(super) fn open(chunk: &[u8]) -> Result<Vec<Record>, String> {
    let length = zstd::zstd_safe::get_frame_content_size(chunk).ok().flatten().ok_or("its length is unknown")?;
    let length = usize::try_from(length).ok().filter(|length| *length <= OPENED_BYTES_MAX).ok_or("it is too long")?;
    let plain = zstd::bulk::decompress(chunk, length).map_err(|error| error.to_string())?;
    let packed: Packed = postcard::from_bytes(&plain).map_err(|error| error.to_string())?;
    let (mut position, mut hash) = (Position::START, Hash::NONE);
    let mut records = Vec::with_capacity(packed.records.len());
    for record in packed.records {
        position = Position::from_u64(position.to_u64().checked_add(record.step).ok_or("its positions overflow")?);
        hash = record.hash.map_or_else(|| hash.chain(position, record.body), Hash);
        records.push(Record { position, hash, body: record.body.to_vec() });
    }
    if hash.0 != packed.end {
        return Err("its hashes do not lead to its end".into());
    }
    Ok(records)
}
