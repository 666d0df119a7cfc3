//! What an account decides about its sign-ins, links and keys, and a server about its owner, told as scenarios.

use rules::{
    account::{
        Account, FAMILIES_MAX, KEY_USED_MS, KeyKind, LINK_MS, LINKS_MAX, REFRESH_GRACE_MS, REFRESH_MS, Refresh,
        Standing,
    },
    email::Email,
    record::{At, LaneId},
    refusal::Refusal,
    settings::{Change, Settings},
};

const LINK: [u8; 32] = [1; 32];

fn ada() -> Account {
    Account::of_address(Email::parse("ada@example.com").unwrap(), At(0))
}

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

#[test]
fn a_link_signs_in_once_and_makes_a_user() {
    let mut account = ada();
    assert_eq!(account.ask_for_link(LINK, None, At(0)).result, Ok(true));
    assert_eq!((account.email(), account.is_guest()), (None, false), "an address that nobody has proven is nobody");
    assert!(account.opens(LINK, At(1)) && !account.opens([2; 32], At(1)));
    let refresh = account.sign_in(LINK, None, 7, At(1)).result.unwrap();
    assert!(account.is_signed_in(7) && account.refresh(refresh, At(2)).result.is_ok());
    assert_eq!(account.email().map(Email::as_str), Some("ada@example.com"));
    let again = account.sign_in(LINK, None, 8, At(2));
    assert_eq!((again.result, again.records.len()), (Err(Refusal::LINK_INVALID), 0));
    assert!(!account.is_signed_in(8));
}

#[test]
fn a_link_is_good_for_an_hour() {
    let mut account = ada();
    account.ask_for_link(LINK, None, At(5)).result.unwrap();
    assert!(account.opens(LINK, At(4 + LINK_MS)) && !account.opens(LINK, At(5 + LINK_MS)));
    assert_eq!(account.sign_in(LINK, None, 7, At(5 + LINK_MS)).result, Err(Refusal::LINK_INVALID));
}

#[test]
fn an_address_gets_so_many_links_an_hour_and_then_more() {
    let mut account = ada();
    let mut ask = |number: usize, at| account.ask_for_link([number as u8; 32], None, At(at)).result;
    assert!((0..LINKS_MAX).all(|number| ask(number, number as u64) == Ok(true)));
    assert_eq!(ask(LINKS_MAX, LINK_MS - 1), Ok(false));
    assert_eq!([ask(6, LINK_MS), ask(7, LINK_MS)], [Ok(true), Ok(false)], "the first is an hour old");
}

#[test]
fn only_the_guest_that_asked_is_taken_over() {
    let (mut asker, _) = guest();
    asker.make_key(3, KeyKind::Api, "laptop".into(), [9; 32], At(0)).result.unwrap();
    let (other, _) = Account::guest(LaneId(2), 7, At(0));
    for (caller, taken) in [(None, 0), (Some(&other), 0), (Some(&asker), 1)] {
        let mut account = ada();
        account.ask_for_link(LINK, Some(asker.lane), At(0)).result.unwrap();
        account.sign_in(LINK, caller, 7, At(1)).result.unwrap();
        assert_eq!((account.merging.len(), account.keys.len()), (taken, taken));
    }
    let mut account = ada();
    account.ask_for_link(LINK, None, At(0)).result.unwrap();
    account.sign_in(LINK, Some(&asker), 7, At(1)).result.unwrap();
    assert!(account.merging.is_empty(), "nobody asked for this link as a guest");
}

#[test]
fn a_merged_guest_is_nobody_and_cannot_be_merged_again() {
    let (mut guest, first) = guest();
    guest.make_key(3, KeyKind::Api, String::new(), [9; 32], At(0)).result.unwrap();
    guest.merge_into(LaneId(5), At(1)).result.unwrap();
    assert_eq!(guest.standing, Standing::Merged(LaneId(5)));
    assert!(!guest.is_signed_in(7) && guest.keys.is_empty());
    assert_eq!(guest.refresh(first, At(2)).result, Err(Refusal::TOKEN_INVALID));
    assert!(guest.merge_into(LaneId(6), At(2)).records.is_empty());
    assert_eq!(guest.standing, Standing::Merged(LaneId(5)));
    let mut account = ada();
    account.ask_for_link(LINK, Some(guest.lane), At(3)).result.unwrap();
    account.sign_in(LINK, Some(&guest), 7, At(3)).result.unwrap();
    assert!(account.merging.is_empty());
}

#[test]
fn the_oldest_sign_in_ends_when_there_are_too_many() {
    let mut account = ada();
    for number in 0..=FAMILIES_MAX as u64 {
        account.ask_for_link(LINK, None, At(number * LINK_MS)).result.unwrap();
        account.sign_in(LINK, None, number.into(), At(number * LINK_MS)).result.unwrap();
    }
    assert!(!account.is_signed_in(0) && account.is_signed_in(1) && account.is_signed_in(FAMILIES_MAX as u128));
}

#[test]
fn when_a_key_was_used_is_kept_now_and_then() {
    let (account, _) = guest();
    let writes = |last, at| account.use_key(3, last, At(at)).rows.len();
    assert_eq!(writes(None, 7), 1);
    assert_eq!(writes(Some(At(7)), 6 + KEY_USED_MS), 0);
    assert_eq!(writes(Some(At(7)), 7 + KEY_USED_MS), 1);
}

#[test]
fn a_server_is_claimed_once_and_obeys_its_owner_alone() {
    let mut settings = Settings::default();
    let change = Change { closed_to_guests: Some(true), ..Change::default() };
    assert_eq!(settings.change(LaneId(1), change, At(0)).map(drop), Err(Refusal::SETTINGS_FOREIGN));
    assert!(settings.claim(LaneId(1), At(0)).is_some() && settings.claim(LaneId(2), At(1)).is_none());
    assert_eq!(settings.change(LaneId(2), change, At(2)).map(drop), Err(Refusal::SETTINGS_FOREIGN));
    settings.change(LaneId(1), change, At(2)).unwrap();
    assert_eq!((settings.closed_to_guests, settings.closed_to_new_users), (true, false));
}

#[test]
fn settings_are_read_as_they_were_written_also_by_builds_before_runs_could_be_resumed() {
    let mut settings = Settings::default();
    settings.claim(LaneId(1), At(0));
    let step = settings.change(LaneId(1), Change { resume_connected: Some(true), ..Change::default() }, At(2)).unwrap();
    assert_eq!(step.records.len(), 2);
    let row = step.rows[0].1.clone().expect("the row is set");
    assert_eq!(Settings::decode(&row), Some(settings.clone()));
    let older = &row[..row.len() - 1];
    settings.resume_connected = false;
    assert_eq!(Settings::decode(older), Some(settings));
    assert_eq!(Settings::decode(&row[..4]), None);
}
