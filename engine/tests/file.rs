//! What an upload promises as time goes by, and when its sender breaks off.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use engine::{
    Engine, UPLOADS_MAX,
    file::Uploading,
    vault::Vault,
    world::{Alone, Clock, Nowhere, SystemEntropy, World},
};
use rules::{
    limits::{FILE_PIECE_BYTES, UPLOAD_MS_MAX},
    record::{At, LaneId},
    refusal::Refusal,
};
use store::{Order, Store, memory::Memory};
use worker::scripted::Scripted;

const BYTES: u64 = 2 * FILE_PIECE_BYTES as u64 + 3;

/// A clock that is set by hand.
#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> At {
        At(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, _: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}

fn engine() -> (Engine, Arc<Hand>, Memory) {
    let (clock, store) = (Arc::new(Hand::default()), Memory::new());
    let world = World {
        store: Arc::new(store.clone()),
        worker: Arc::new(Scripted::counting()),
        scripts: Arc::new(Scripted::counting()),
        runtimes: Arc::new(worker::runtimes::Runtimes::none()),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        vault: Arc::new(Vault::new(&[0; 32])),
        outside: Arc::new(Nowhere),
        places: Arc::new(Alone),
    };
    (Engine::new(world), clock, store)
}

async fn announced(engine: &Engine) -> u128 {
    engine.announce_file(LaneId(1), "tea".into(), "", BYTES).await.expect("a file")
}

async fn begun(engine: &Engine, id: u128) -> Uploading {
    let mut uploading = engine.begin_upload(id, None).await.expect("nobody else does");
    uploading.take(vec![7; FILE_PIECE_BYTES]).await.expect("it is kept");
    uploading
}

async fn brought(engine: &Engine, id: u128) {
    let mut uploading = begun(engine, id).await;
    uploading.take(vec![8; FILE_PIECE_BYTES]).await.expect("it is kept");
    uploading.take(vec![9; 3]).await.expect("it is kept");
    uploading.finish().await.expect("it is whole");
}

async fn rows(store: &Memory) -> usize {
    store.rows(Vec::new(), vec![0xff], Order::Ascending, usize::MAX).await.expect("they are read").len()
}

#[tokio::test]
async fn an_upload_that_never_came_is_forgotten_after_a_day_and_a_file_never() {
    let (engine, clock, store) = engine();
    let whole = announced(&engine).await;
    brought(&engine, whole).await;
    let of_one = rows(&store).await;
    for _ in 0..600 {
        announced(&engine).await;
    }
    let broken = announced(&engine).await;
    drop(begun(&engine, broken).await);
    clock.0.store(UPLOAD_MS_MAX, Ordering::SeqCst);
    let late = announced(&engine).await;
    drop(begun(&engine, late).await);

    engine.forget_uploads().await.expect("it is done");
    brought(&engine, broken).await;
    let kept = rows(&store).await;
    clock.0.store(UPLOAD_MS_MAX + 1, Ordering::SeqCst);
    engine.forget_uploads().await.expect("it is done");
    assert_eq!(kept - rows(&store).await, 600 * 2, "a row for the file, one for its being awaited");
    brought(&engine, late).await;
    assert_eq!(rows(&store).await, 3 * of_one);
    for id in [whole, broken, late] {
        assert_eq!(engine.file(id).await.map(|file| file.pieces()), Ok(3));
        assert_eq!(engine.piece(id, 2).await, Ok(vec![9; 3]));
    }
}

#[tokio::test]
async fn one_brings_a_file_at_a_time_and_so_many_files_are_brought_at_a_time() {
    let (engine, ..) = engine();
    let id = announced(&engine).await;
    let first = begun(&engine, id).await;
    assert_eq!(engine.begin_upload(id, None).await.err().map(|refusal| refusal.code), Some(Refusal::FILE_KEPT.code));
    let mut others = Vec::new();
    for _ in 1..UPLOADS_MAX {
        let other = announced(&engine).await;
        others.push(engine.begin_upload(other, None).await.expect("there is a place"));
    }
    let last = announced(&engine).await;
    assert_eq!(engine.begin_upload(last, None).await.err(), Some(Refusal::BUSY));
    drop((first, others));
    brought(&engine, id).await;
    brought(&engine, last).await;
    assert_eq!(engine.begin_upload(id, None).await.err(), Some(Refusal::FILE_KEPT));
}

#[tokio::test]
async fn what_a_broken_upload_left_is_not_in_the_file() {
    let (engine, ..) = engine();
    let id = announced(&engine).await;
    let mut broken = engine.begin_upload(id, None).await.expect("nobody else does");
    broken.take(vec![1; FILE_PIECE_BYTES]).await.expect("it is kept");
    broken.take(vec![1; FILE_PIECE_BYTES]).await.expect("it is kept");
    let code = |result: Result<(), Refusal>| result.err().map(|refusal| refusal.code);
    assert_eq!(code(broken.take(vec![1; 4]).await), Some(Refusal::FILE_SIZE_WRONG.code));
    assert_eq!(code(broken.finish().await), Some(Refusal::FILE_SIZE_WRONG.code));
    assert_eq!(engine.file(id).await.err().map(|refusal| refusal.code), Some(Refusal::FILE_UNKNOWN.code));
    brought(&engine, id).await;
    for (index, first) in [(0, 7), (1, 8), (2, 9)] {
        assert_eq!(engine.piece(id, index).await.expect("a piece")[0], first);
    }
}
