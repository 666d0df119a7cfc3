//! What an account promises while others change it, and as time goes by.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use engine::{
    Engine,
    vault::Vault,
    world::{Alone, Clock, Nowhere, SystemEntropy, World},
};
use rules::{
    account::{ACCESS_MS, Account, KEY_USED_MS, KeyKind, LINK_MS, MERGE_MS, Refresh},
    email::Email,
    record::{At, LaneId},
    refusal::Refusal,
};
use store::memory::Memory;
use worker::scripted::Scripted;

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

fn engine() -> (Engine, Arc<Hand>) {
    let clock = Arc::new(Hand::default());
    let world = World {
        store: Arc::new(Memory::new()),
        worker: Arc::new(Scripted::counting()),
        scripts: Arc::new(Scripted::counting()),
        runtimes: Arc::new(worker::runtimes::Runtimes::none()),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        vault: Arc::new(Vault::new(&[0; 32])),
        outside: Arc::new(Nowhere),
        places: Arc::new(Alone),
    };
    (Engine::new(world), clock)
}

async fn account(engine: &Engine, refresh: Refresh) -> Account {
    engine.account(refresh.account).await.unwrap().expect("it is kept")
}

async fn link(engine: &Engine, guest: Option<LaneId>) -> String {
    let email = Email::parse("ada@example.com").unwrap();
    engine.ask_for_link(email, guest).await.unwrap().expect("a link may be sent")
}

#[tokio::test]
async fn what_a_guest_made_while_it_was_merged_is_found_later() {
    let (engine, clock) = engine();
    let guest = engine.make_guest().await.unwrap();
    let first = engine.create_hook(guest.account, None, "".into()).await.unwrap();
    let token = link(&engine, Some(guest.account)).await;
    let user = engine.sign_in(&token, Some(&account(&engine, guest).await)).await.unwrap();

    // A call that the guest had begun before comes through only now.
    let late = engine.create_hook(guest.account, None, "".into()).await.unwrap();
    assert!(engine.owns(user.account, guest.account).await.is_ok(), "before it is moved it is the user's already");
    assert_eq!(engine.owns(LaneId(9), guest.account).await, Err(Refusal::HOOK_FOREIGN));
    let hooks = engine.hooks_of_account(&account(&engine, user).await, 9).await.unwrap();
    assert!(hooks.len() == 2 && hooks.contains(&first) && hooks.contains(&late), "{hooks:?}");
    assert_eq!(engine.view(late).await.unwrap().config.owner, user.account);

    assert_eq!(account(&engine, user).await.merging.len(), 1, "another may still come");
    clock.0.store(MERGE_MS + 1, Ordering::SeqCst);
    engine.hooks_of_account(&account(&engine, user).await, 9).await.unwrap();
    assert!(account(&engine, user).await.merging.is_empty());
    assert_eq!(engine.hooks_of_account(&account(&engine, user).await, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_link_of_an_hour_ago_opens_nothing() {
    let (engine, clock) = engine();
    let token = link(&engine, None).await;
    clock.0.store(LINK_MS, Ordering::SeqCst);
    assert_eq!(engine.sign_in(&token, None).await.err(), Some(Refusal::LINK_INVALID));
    let token = link(&engine, None).await;
    clock.0.store(2 * LINK_MS - 1, Ordering::SeqCst);
    assert!(engine.sign_in(&token, None).await.is_ok());
}

#[tokio::test]
async fn a_used_key_says_when_and_a_revoked_one_leads_nowhere() {
    let (engine, clock) = engine();
    let guest = account(&engine, engine.make_guest().await.unwrap()).await;
    let lane = guest.lane;
    let (id, key) = engine.make_account_key(guest, KeyKind::Api, "laptop".into()).await.unwrap();
    let mut used = Vec::new();
    for at in [5, 5 + KEY_USED_MS - 1, 5 + KEY_USED_MS, ACCESS_MS] {
        clock.0.store(at, Ordering::SeqCst);
        let holder = engine.key_holder(&key).await.unwrap().expect("it leads to its account");
        assert_eq!((holder.account.lane, holder.kind), (lane, KeyKind::Api));
        used.push(engine.key_used_at(lane, id).await.unwrap().map(|at| at.0));
    }
    assert_eq!(used, [Some(5), Some(5), Some(5 + KEY_USED_MS), Some(ACCESS_MS)]);
    let account = engine.account(lane).await.unwrap().unwrap();
    engine.revoke_account_key(account, id).await.unwrap();
    assert!(engine.key_holder(&key).await.unwrap().is_none());
    assert_eq!(engine.key_used_at(lane, id).await.unwrap(), None);
}
