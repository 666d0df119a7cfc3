//! Files in a bucket: a real S3 server, and a store beside it.

#[path = "harness/s3.rs"]
mod s3;

use std::{fs, sync::Arc};

use rules::{
    record::{LaneId, Position},
    row,
};
use s3::S3;
use store::{
    Batch, Commit, Store,
    bucket::{Bucket, Bucketed, OpenError, is_used},
    contract::{Home, hold},
    memory::{Memory, Verdict},
};

/// Whatever is promised of a store is promised of one with a bucket beside it.
struct WithBucket {
    below: Memory,
    server: S3,
}

impl Home for WithBucket {
    type Kept = Bucketed;

    fn open(&mut self) -> Bucketed {
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(over(&self.below, &self.server)))
    }
}

store::contract!(WithBucket { below: Memory::new(), server: S3::start() });

async fn opened(server: &S3, address: &str) -> Result<Bucket, OpenError> {
    Bucket::open(address, server.environment().map(|(name, value)| (name.to_owned(), value))).await
}

async fn over(below: &Memory, server: &S3) -> Bucketed {
    Bucketed::new(Arc::new(below.clone()), opened(server, "s3://bucket/files").await.expect("a bucket"))
}

fn rows(rows: Vec<row::Change>) -> Batch {
    Batch { lane: LaneId(7), expect: Position::START, records: Vec::new(), rows }
}

fn piece(bytes: &[u8]) -> Batch {
    rows(vec![(row::piece(7, 0), Some(bytes.to_vec()))])
}

#[test]
fn a_piece_lies_in_the_bucket_and_its_store_knows_what_it_is() {
    hold(async {
        let (below, server) = (Memory::new(), S3::start());
        let store = over(&below, &server).await;
        assert_eq!(is_used(&below).await, Ok(false));
        let bytes = vec![7; 1 << 20];
        let batch = rows(vec![(row::piece(7, 0), Some(bytes.clone())), (b"beside".to_vec(), Some(b"it".to_vec()))]);
        assert_eq!(store.commit(batch).await, Commit::Done);
        assert_eq!(server.objects().len(), 1);
        assert_eq!(fs::read(&server.objects()[0]).expect("is a file"), bytes);
        assert_eq!(below.row(row::piece(7, 0)).await, Ok(None), "it is not in the store, too");
        assert_eq!(is_used(&below).await, Ok(true));
        let again = over(&below, &server).await;
        assert_eq!(again.row(row::piece(7, 0)).await, Ok(Some(bytes)));
        assert_eq!(again.row(b"beside".to_vec()).await, Ok(Some(b"it".to_vec())));
        assert_eq!(again.row(row::piece(7, 1)).await, Ok(None));
        assert_eq!(again.commit(rows(vec![(row::piece(7, 0), None)])).await, Commit::Done);
        assert_eq!((again.row(row::piece(7, 0)).await, server.objects()), (Ok(None), vec![]));
    });
}

#[test]
fn a_piece_that_is_put_again_takes_the_place_of_the_other() {
    hold(async {
        let (below, server) = (Memory::new(), S3::start());
        let store = over(&below, &server).await;
        for bytes in [b"one", b"two", b"two"] {
            assert_eq!(store.commit(piece(bytes)).await, Commit::Done);
            assert_eq!(store.row(row::piece(7, 0)).await, Ok(Some(bytes.to_vec())));
            assert_eq!(server.objects().len(), 1);
        }
    });
}

/// As of an upload that is broken off and begun anew.
#[test]
fn a_piece_that_nobody_waits_for_does_not_come_behind_the_next() {
    hold(async {
        let (below, server) = (Memory::new(), S3::start());
        let store = over(&below, &server).await;
        for round in 0..20_u8 {
            // A large one is slower to put.
            let first = store.commit(piece(&vec![round; 2 << 20]));
            tokio::task::yield_now().await;
            drop(first);
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            assert_eq!(store.commit(piece(&[round])).await, Commit::Done);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            assert_eq!(store.row(row::piece(7, 0)).await, Ok(Some(vec![round])));
            assert_eq!(server.objects().len(), 1);
        }
    });
}

/// As of a node whose lanes another has taken over: what it still puts disturbs nobody.
#[test]
fn what_a_commit_refuses_leaves_the_piece_as_it_was() {
    hold(async {
        let (below, server) = (Memory::new(), S3::start());
        let store = over(&below, &server).await;
        assert_eq!(store.commit(piece(b"kept")).await, Commit::Done);
        for verdict in [Verdict::Conflict, Verdict::Full, Verdict::UnknownAndLost] {
            below.faults().commit(verdict);
            assert_ne!(store.commit(piece(b"refused")).await, Commit::Done);
            assert_eq!(store.row(row::piece(7, 0)).await, Ok(Some(b"kept".to_vec())));
        }
    });
}

#[test]
fn pieces_from_before_there_was_a_bucket_are_read_where_they_are_and_forgotten_there() {
    hold(async {
        let (below, server) = (Memory::new(), S3::start());
        assert_eq!(below.commit(piece(b"from before")).await, Commit::Done);
        let store = over(&below, &server).await;
        assert_eq!(store.row(row::piece(7, 0)).await, Ok(Some(b"from before".to_vec())));
        assert_eq!(store.commit(piece(b"since")).await, Commit::Done);
        assert_eq!(below.row(row::piece(7, 0)).await, Ok(None));
        assert_eq!(store.row(row::piece(7, 0)).await, Ok(Some(b"since".to_vec())));
    });
}

#[test]
fn an_object_that_is_gone_or_damaged_is_a_fault_and_never_another_content() {
    hold(async {
        let (below, server) = (Memory::new(), S3::start());
        let store = over(&below, &server).await;
        assert_eq!(store.commit(piece(b"whole")).await, Commit::Done);
        let object = server.objects().remove(0);
        fs::write(&object, b"other").expect("is written");
        let fault = store.row(row::piece(7, 0)).await.expect_err("it is not what was kept");
        assert!(fault.0.contains("something else"), "{fault}");
        fs::remove_file(&object).expect("is there");
        let fault = store.row(row::piece(7, 0)).await.expect_err("it is gone");
        assert!(fault.0.contains("bucket"), "{fault}");
    });
}

#[test]
fn a_bucket_that_went_away_refuses_files_alone_and_takes_them_again() {
    hold(async {
        let (below, mut server) = (Memory::new(), S3::start());
        let store = over(&below, &server).await;
        assert_eq!(store.commit(piece(b"kept")).await, Commit::Done);
        server.kill();
        assert!(matches!(store.commit(piece(b"new")).await, Commit::Unknown(_)));
        assert!(store.row(row::piece(7, 0)).await.is_err());
        assert_eq!(store.commit(rows(vec![(b"all".to_vec(), Some(b"else".to_vec()))])).await, Commit::Done);
        server.start_again();
        assert_eq!(store.row(row::piece(7, 0)).await, Ok(Some(b"kept".to_vec())));
        assert_eq!(store.commit(piece(b"new")).await, Commit::Done);
        assert_eq!(store.row(row::piece(7, 0)).await, Ok(Some(b"new".to_vec())));
    });
}

#[test]
fn a_bucket_that_cannot_be_used_is_refused_in_a_sentence() {
    hold(async {
        let server = S3::start();
        for address in ["bucket", "s3://", "http://bucket", "s3:///folder"] {
            let refused = opened(&server, address).await.err().expect("is no address").to_string();
            assert!(refused.contains("write it as s3://bucket"), "{refused}");
        }
        let missing = opened(&server, "s3://nowhere").await.err().expect("is not there").to_string();
        assert!(missing.contains("nowhere cannot be used") && missing.contains("hint: check AWS_"), "{missing}");
        let stranger = server.environment().map(|(name, value)| match name {
            "AWS_SECRET_ACCESS_KEY" => (name.to_owned(), "another".to_owned()),
            _ => (name.to_owned(), value),
        });
        let refused = Bucket::open("s3://bucket", stranger).await.err().expect("has no key").to_string();
        assert!(!refused.contains("another") && refused.contains("cannot be used"), "{refused}");
    });
}
