//! What the key of a row says of whose it is.

use rules::{
    access::{Door, KeyKind},
    record::{LaneId, Seq},
    row::{self, Home, KeyHash, home, kept_by, range_kept_by},
};

const LANES: [LaneId; 3] = [LaneId(0), LaneId(7 << 64 | 0xabc), LaneId(u128::MAX)];

fn named_by(lane: LaneId) -> Vec<Vec<u8>> {
    vec![
        row::source(lane, 1),
        row::published(lane, u32::MAX),
        row::head(lane, 2),
        row::snapshot(lane, 2, Seq(3)),
        row::fate(lane, 2, Seq(u64::MAX)),
        row::keyed(lane, 2, &KeyHash([b'/'; 32])),
        row::duplicate(lane, 2, Seq(3)),
        row::secrets(lane, Seq(3)),
        row::seen(lane, b"key"),
        row::said(lane, Seq(3)),
        row::execution(lane, 9),
        row::build_log(lane, 9),
        row::hook(lane),
        row::refolding(lane),
        row::erased(lane),
        row::arriving(lane),
    ]
}

#[test]
fn a_key_that_begins_with_the_name_of_a_lane_says_whose_it_is() {
    for lane in LANES {
        for key in named_by(lane) {
            assert_eq!(kept_by(&key), Some(lane), "{}", key.escape_ascii());
            assert_eq!(home(&key, None), Home::Lane(lane));
            assert_eq!(home(&key, Some(b"value")), Home::Lane(lane));
        }
    }
    let other = LaneId(5);
    let of_others = [
        row::account(other),
        row::owned(other, other),
        row::door("hook/00000000000000000000000000000007"),
        row::run(other, other),
        row::execution_due(rules::record::At(1), other, 2),
        row::function(other, other),
        row::planned(other, other),
        row::piece(1, 2),
        row::migration(),
        b"".to_vec(),
        b"hook/".to_vec(),
        b"hook/0000000000000000000000000000000".to_vec(),
        b"hook/0000000000000000000000000000000g".to_vec(),
        b"hooks/00000000000000000000000000000007".to_vec(),
    ];
    for key in of_others {
        assert_eq!(kept_by(&key), None, "{}", key.escape_ascii());
    }
}

#[test]
fn a_range_within_one_word_of_one_lane_is_of_that_lane() {
    for lane in LANES {
        for (from, to) in row::kept_of(lane).chain([row::source_range(lane)]) {
            assert_eq!(range_kept_by(&from, &to), Some(lane));
        }
        let (first, last) = (row::said(lane, Seq(1)), row::said(lane, Seq(9)));
        assert_eq!(range_kept_by(&first, &last), Some(lane));
        assert_eq!(range_kept_by(&first, &row::said(LaneId(1), Seq(9))), None);
        assert_eq!(range_kept_by(&row::seen(lane, b"a"), &last), None);
    }
    for (from, to) in [row::erased_range(), row::refolding_range(), (vec![], vec![0xff]), row::owned_range(LANES[1])] {
        assert_eq!(range_kept_by(&from, &to), None);
    }
}

#[test]
fn what_names_no_lane_first_lies_beside_its_hook_or_the_head() {
    let hook = LANES[1];
    let door = row::encode(&Door { hook, kind: KeyKind::Write, paused: false });
    assert_eq!(home(&row::door("k"), Some(&door)), Home::Lane(hook));
    assert_eq!(home(&row::door("k"), None), Home::Unknown);
    assert_eq!(home(&row::owned(LaneId(5), hook), Some(b"")), Home::Lane(hook));
    assert_eq!(home(&row::owned(LaneId(5), hook), None), Home::Lane(hook));
    for key in [row::account(hook), row::migration(), row::planned(hook, LaneId(5)), b"".to_vec()] {
        assert_eq!((home(&key, Some(b"x")), home(&key, None)), (Home::Head, Home::Head));
    }
}
