//! Keeps the bytes of files in an S3-compatible bucket, and all else in the store below.
//!
//! An object is put before the row that names it is committed, and deleted behind the commit that forgets it: a crash in
//! between leaves an object that nobody names, and never a name without its object. No name is used twice, so two that
//! put the same piece do not disturb each other; it says what is in it, too, and what comes back is held against it.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    path::Path,
};
use rules::{
    record::{LaneId, Position, Record},
    row,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{Batch, Commit, Extent, Fault, LaneEnd, Order, Pending, Row, Store};

/// How long the bucket may take to be connected, and to answer.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// How often, and for how long, it is asked again when it could not answer.
const RETRIES_MAX: usize = 3;
const RETRY_WAIT: Duration = Duration::from_secs(20);
/// Files whose pieces are put side by side.
const TURNS: usize = 64;
/// Written when a server starts, so that a bucket that takes nothing is found then.
const PROBE: &str = "everfold";

/// Where objects are kept, and under which names.
pub struct Bucket {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// Why a bucket is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("{0:?} is not the address of a bucket.\nhint: write it as s3://bucket or s3://bucket/folder")]
    Address(String),
    #[error(
        "The bucket {name} cannot be used: {words}.\nhint: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, \
         and AWS_ENDPOINT_URL if it is not Amazon's; the key must be allowed to get, put and delete objects."
    )]
    Unusable { name: String, words: String },
}

impl Bucket {
    /// A bucket that can be read and written. The address names it; variables say by which key, and where it is if it is
    /// not Amazon's, as for every program that uses S3.
    pub async fn open(
        address: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Bucket, OpenError> {
        let malformed = || OpenError::Address(address.into());
        let rest = address.strip_prefix("s3://").ok_or_else(malformed)?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix =
            Path::parse(prefix.trim_end_matches('/')).ok().filter(|_| !name.is_empty()).ok_or_else(malformed)?;
        // Its library asks for one of the process; everybody else here brings their own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with("AWS_"))
            .filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().ok()?, value)));
        let builder = settings.fold(AmazonS3Builder::new(), |builder, (key, value)| builder.with_config(key, value));
        let builder = builder.with_bucket_name(name);
        let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint).unwrap_or_default();
        let client = ClientOptions::new()
            .with_allow_http(endpoint.starts_with("http://"))
            .with_connect_timeout(CONNECT_WAIT)
            .with_timeout(ANSWER_WAIT);
        let retry = RetryConfig { max_retries: RETRIES_MAX, retry_timeout: RETRY_WAIT, ..RetryConfig::default() };
        let unusable = |words: String| OpenError::Unusable { name: name.into(), words };
        let objects = builder.with_client_options(client).with_retry(retry).build();
        let objects = Arc::new(objects.map_err(|error| unusable(error.to_string()))?);
        let bucket = Bucket { objects, prefix };
        bucket.probe().await.map_err(|error| unusable(words(&error)))?;
        Ok(bucket)
    }

    async fn probe(&self) -> object_store::Result<()> {
        let path = self.prefix.clone().join(PROBE);
        self.objects.put(&path, PROBE.into()).await?;
        self.objects.get(&path).await?.bytes().await.map(drop)
    }

    /// Of the piece with this key.
    fn path(&self, piece: &[u8], object: &Object) -> Path {
        let key = String::from_utf8_lossy(piece);
        let hash = blake3::Hash::from_bytes(object.hash).to_hex();
        let folder = key.split('/').fold(self.prefix.clone(), |path, part| path.join(part));
        folder.join(format!("{hash}-{:x}", object.put_at))
    }

    async fn put(&self, piece: &[u8], bytes: Vec<u8>) -> object_store::Result<Object> {
        let put_at = UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos() as u64;
        let object = Object { hash: *blake3::hash(&bytes).as_bytes(), put_at };
        self.objects.put(&self.path(piece, &object), bytes.into()).await?;
        Ok(object)
    }

    async fn get(&self, piece: &[u8], object: &Object) -> Result<Vec<u8>, Fault> {
        let path = self.path(piece, object);
        let fault = |error: object_store::Error| Fault(format!("the bucket, of {path}: {}", words(&error)));
        let bytes = self.objects.get(&path).await.map_err(fault)?.bytes().await.map_err(fault)?;
        let is_it = *blake3::hash(&bytes).as_bytes() == object.hash;
        is_it.then(|| bytes.to_vec()).ok_or_else(|| Fault(format!("the bucket has something else as {path}")))
    }

    /// What stays when that fails is nobody's.
    async fn delete(&self, piece: &[u8], object: &Object) {
        let path = self.path(piece, object);
        if let Err(error) = self.objects.delete(&path).await {
            tracing::warn!(%path, words = words(&error), "an object that nobody needs stays in the bucket");
        }
    }
}

/// What is kept of a piece in the store below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Object {
    hash: [u8; 32],
    /// In nanoseconds: another put of the same bytes is another object, and deleting one spares the other.
    put_at: u64,
}

/// A store whose files lie in a bucket. Pieces that came before there was one are read where they are.
pub struct Bucketed {
    store: Arc<dyn Store>,
    bucket: Arc<Bucket>,
    /// By lane: a put that is slow, and that nobody waits for any more, does not come behind the next one.
    turns: Arc<[Mutex<()>; TURNS]>,
}

impl Bucketed {
    pub fn new(store: Arc<dyn Store>, bucket: Bucket) -> Bucketed {
        Bucketed { store, bucket: Arc::new(bucket), turns: Arc::new([const { Mutex::const_new(()) }; TURNS]) }
    }
}

/// Whether any file of a store lies in a bucket.
pub async fn is_used(store: &dyn Store) -> Result<bool, Fault> {
    let (from, to) = row::object_range();
    Ok(!store.rows(from, to, Order::Ascending, 1).await?.is_empty())
}

async fn keep(store: &dyn Store, bucket: &Bucket, mut batch: Batch) -> Commit {
    let mut rows = Vec::with_capacity(2 * batch.rows.len());
    let mut replaced = Vec::new();
    for (key, value) in batch.rows {
        let Some(row) = row::object(&key) else {
            rows.push((key, value));
            continue;
        };
        let before = match store.row(row.clone()).await {
            Ok(before) => before.and_then(|bytes| row::decode::<Object>(&bytes)),
            Err(Fault(words)) => return Commit::Unknown(words),
        };
        let object = match value {
            None => None,
            Some(bytes) => match bucket.put(&key, bytes).await {
                Ok(object) => Some(object),
                Err(error) => {
                    let words = words(&error);
                    tracing::error!(words, "the bucket does not take a piece of a file");
                    return Commit::Unknown(words);
                }
            },
        };
        if let Some(before) = before.filter(|before| object.as_ref() != Some(before)) {
            replaced.push((key.clone(), before));
        }
        rows.push((row, object.map(|object| row::encode(&object))));
        // If it came before there was a bucket.
        rows.push((key, None));
    }
    batch.rows = rows;
    let commit = store.commit(batch).await;
    if commit == Commit::Done {
        for (piece, object) in replaced {
            bucket.delete(&piece, &object).await;
        }
    }
    commit
}

impl Store for Bucketed {
    fn commit(&self, batch: Batch) -> Pending<Commit> {
        batch.assert_well_formed();
        if batch.rows.iter().all(|(key, _)| row::object(key).is_none()) {
            return self.store.commit(batch);
        }
        let (store, bucket, turns) = (self.store.clone(), self.bucket.clone(), self.turns.clone());
        // Whoever waits may go; what was begun is done.
        let kept = tokio::spawn(async move {
            let _turn = turns[batch.lane.0 as usize % TURNS].lock().await;
            keep(&*store, &bucket, batch).await
        });
        Box::pin(async move { kept.await.unwrap_or_else(|_| Commit::Unknown("the bucket was given up".into())) })
    }

    fn erase(&self, lane: LaneId, before: Position, records_max: usize) -> Pending<Commit> {
        self.store.erase(lane, before, records_max)
    }

    fn read(&self, lane: LaneId, after: Position, extent: Extent) -> Pending<Result<Vec<Record>, Fault>> {
        self.store.read(lane, after, extent)
    }

    fn last(&self, lane: LaneId, at_most: Position) -> Pending<Result<Option<Record>, Fault>> {
        self.store.last(lane, at_most)
    }

    fn lanes(&self, from: LaneId, lanes_max: usize) -> Pending<Result<Vec<LaneEnd>, Fault>> {
        self.store.lanes(from, lanes_max)
    }

    /// A range shows what the store below has: nobody reads pieces by the range.
    fn rows(&self, from: Vec<u8>, to: Vec<u8>, order: Order, rows_max: usize) -> Pending<Result<Vec<Row>, Fault>> {
        self.store.rows(from, to, order, rows_max)
    }

    fn row(&self, key: Vec<u8>) -> Pending<Result<Option<Vec<u8>>, Fault>> {
        let Some(row) = row::object(&key) else { return self.store.row(key) };
        let (store, bucket) = (self.store.clone(), self.bucket.clone());
        Box::pin(async move {
            let Some(found) = store.row(row).await? else { return store.row(key).await };
            let object = row::decode(&found).ok_or_else(|| Fault("what is known of an object is damaged".into()))?;
            bucket.get(&key, &object).await.map(Some)
        })
    }
}

/// With what it was caused by, which says more than the error itself.
fn words(error: &object_store::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
