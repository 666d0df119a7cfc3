//! Reads a hook's log and trusts none of it: every record is held against the chain.

use std::sync::Arc;

use rules::{
    call::Request,
    hook::Entry,
    record::{At, Hash, LaneId, Position, Record, Seq},
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

/// A request, for what is drawn of many at once: it is not held against the chain, which takes the record before it, too.
pub async fn arrived(store: &dyn Store, lane: LaneId, seq: Seq) -> Result<Arc<Request>, Damage> {
    let position = Position::of_request(seq);
    let record = store.last(lane, position).await?.filter(|record| record.position == position);
    match record.and_then(|record| row::decode(&record.body)) {
        Some(Entry::Arrived { request, .. }) => Ok(request),
        _ => Err(Damage::Unknown(seq)),
    }
}

/// When requests from `first` on were kept, as many as fit; nor is this held against the chain.
pub async fn times(store: &dyn Store, lane: LaneId, first: Seq, extent: Extent) -> Result<Vec<(Seq, At)>, Damage> {
    let records = store.read(lane, end_of(Seq(first.0 - 1)), extent).await?;
    let time = |record: &Record| match row::decode(&record.body) {
        Some(Entry::Arrived { at, .. }) => Ok((record.position.seq(), at)),
        _ => Err(Damage::Unknown(record.position.seq())),
    };
    records.iter().filter(|record| record.position.is_request()).map(time).collect()
}

/// Records of any lane behind `after`, checked against `hash` and onwards.
pub async fn records(
    store: &dyn Store,
    lane: LaneId,
    after: Position,
    mut hash: Hash,
    extent: Extent,
) -> Result<Vec<Record>, Damage> {
    let records = store.read(lane, after, extent).await?;
    for record in &records {
        hash = hash.chain(record.position, &record.body);
        if hash != record.hash {
            return Err(Damage::Chain(record.position.seq()));
        }
    }
    Ok(records)
}

/// A page of the log behind `after`, checked against `hash` and onwards.
pub async fn page(
    store: &dyn Store,
    lane: LaneId,
    after: Position,
    hash: Hash,
    extent: Extent,
) -> Result<Vec<(Record, Entry)>, Damage> {
    let records = records(store, lane, after, hash, extent).await?;
    let entry = |record: Record| match row::decode(&record.body) {
        Some(entry) => Ok((record, entry)),
        None => Err(Damage::Unknown(record.position.seq())),
    };
    records.into_iter().map(entry).collect()
}
