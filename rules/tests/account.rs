//! What an account decides about its refresh tokens, told as scenarios.

use rules::{
    account::{Account, REFRESH_GRACE_MS, REFRESH_MS, Refresh},
    record::{At, LaneId},
    refusal::Refusal,
};

fn guest() -> (Account, Refresh) {
    let (account, step) = Account::guest(LaneId(1), 7, At(0));
    (account, step.result.expect("a guest is signed in"))
}

#[test]
fn a_token_is_exchanged_for_the_next() {
    let (mut account, first) = guest();
    let second = account.refresh(first, At(60_000)).result.unwrap();
    let third = account.refresh(second, At(120_000)).result.unwrap();
    assert_eq!([first.generation, second.generation, third.generation], [0, 1, 2]);
}

#[test]
fn an_old_token_within_the_grace_gets_the_same_new_one_again() {
    let (mut account, first) = guest();
    let second = account.refresh(first, At(60_000)).result.unwrap();
    let step = account.refresh(first, At(60_000 + REFRESH_GRACE_MS));
    assert_eq!(step.result, Ok(second));
    assert!(step.records.is_empty(), "nothing changed");
}

#[test]
fn an_old_token_after_the_grace_ends_the_whole_family() {
    let (mut account, first) = guest();
    let second = account.refresh(first, At(60_000)).result.unwrap();
    let stolen = account.refresh(first, At(60_001 + REFRESH_GRACE_MS));
    assert_eq!(stolen.result, Err(Refusal::TOKEN_INVALID));
    assert_eq!(account.refresh(second, At(80_000)).result, Err(Refusal::TOKEN_INVALID));
}

#[test]
fn a_token_expires() {
    let (mut account, first) = guest();
    assert_eq!(account.refresh(first, At(REFRESH_MS)).result, Err(Refusal::TOKEN_INVALID));
}

#[test]
fn a_token_of_another_family_is_refused_and_changes_nothing() {
    let (mut account, first) = guest();
    let step = account.refresh(Refresh { family: 8, ..first }, At(1));
    assert_eq!((step.result, step.records.len()), (Err(Refusal::TOKEN_INVALID), 0));
    assert!(account.refresh(first, At(2)).result.is_ok());
}
