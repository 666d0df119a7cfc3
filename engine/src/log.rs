//! Reads a hook's log and trusts none of it: every record is held against the chain.

use rules::{
    hook::Entry,
    record::{Hash, LaneId, Position, Record, Seq},
    row,
};
use store::{Extent, Store};

/// A log that cannot be read further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("{0}")]
    Store(#[from] store::Fault),
    #[error("the record at seq {} is damaged: its hash does not follow from the one before", .0.0)]
    Chain(Seq),
    #[error("the record at seq {} is not of a kind this build knows", .0.0)]
    Unknown(Seq),
}

/// The position behind which the request `seq + 1` stands, whatever notes follow `seq`.
pub fn end_of(seq: Seq) -> Position {
    Position::from_u64(Position::of_request(Seq(seq.0 + 1)).to_u64() - 1)
}

/// What the record that follows `after` is chained to.
pub async fn hash_at(store: &dyn Store, lane: LaneId, after: Position) -> Result<Hash, Damage> {
    Ok(store.last(lane, after).await?.map_or(Hash::NONE, |record| record.hash))
}

/// A page of the log behind `after`, checked against `hash` and onwards.
pub async fn page(
    store: &dyn Store,
    lane: LaneId,
    after: Position,
    hash: Hash,
    extent: Extent,
) -> Result<Vec<(Record, Entry)>, Damage> {
    let records = store.read(lane, after, extent).await?;
    let mut hash = hash;
    let mut page = Vec::with_capacity(records.len());
    for record in records {
        hash = hash.chain(record.position, &record.body);
        let seq = record.position.seq();
        if hash != record.hash {
            return Err(Damage::Chain(seq));
        }
        let entry = row::decode(&record.body).ok_or(Damage::Unknown(seq))?;
        page.push((record, entry));
    }
    Ok(page)
}
