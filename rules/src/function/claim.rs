//! Who has a slug: one function at a time, whichever account it is of.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::{
    account::Step,
    record::{At, End, LaneId},
    refusal::Refusal,
    row,
};

/// A claim is made before its function is. One whose function has not come by then is anybody's.
const CLAIM_MS: u64 = 60_000;

/// The lane of a slug: what follows from it, so that two who want it meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub function: Option<LaneId>,
    pub at: At,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    Claimed { slug: alloc::string::String, function: LaneId, at: At },
    Released { function: LaneId, at: At },
}

impl Claim {
    pub const OF_NOBODY: Claim = Claim { function: None, at: At(0), end: End::OF_NOTHING };

    pub fn lane(slug: &str) -> LaneId {
        let hash = blake3::derive_key("everfold 2026 slug of a function", slug.as_bytes());
        let (first, _) = hash.split_first_chunk().expect("32 bytes hold 16");
        LaneId(u128::from_be_bytes(*first))
    }

    /// `is_there`: whether the function that has it exists, and is called so.
    pub fn take(&mut self, slug: &str, function: LaneId, is_there: bool, at: At) -> Step<()> {
        match self.function {
            Some(holder) if holder == function => {}
            Some(_) if is_there || at.0 < self.at.0 + CLAIM_MS => {
                return Step {
                    expect: self.end.tail,
                    records: Vec::new(),
                    rows: Vec::new(),
                    result: Err(Refusal::SLUG_TAKEN),
                };
            }
            _ => {}
        }
        (self.function, self.at) = (Some(function), at);
        self.keep(slug, Entry::Claimed { slug: slug.into(), function, at })
    }

    /// Nothing happens when it is another's by now.
    pub fn release(&mut self, slug: &str, function: LaneId, at: At) -> Option<Step<()>> {
        if self.function != Some(function) {
            return None;
        }
        self.function = None;
        Some(self.keep(slug, Entry::Released { function, at }))
    }

    fn keep(&mut self, slug: &str, entry: Entry) -> Step<()> {
        let expect = self.end.tail;
        let records = Vec::from([self.end.note(row::encode(&entry))]);
        let rows = Vec::from([(row::function_slug(slug), Some(row::encode(self)))]);
        Step { expect, records, rows, result: Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LaneId = LaneId(1);
    const B: LaneId = LaneId(2);

    fn taken(claim: &mut Claim, function: LaneId, is_there: bool, at: u64) -> Result<(), &'static str> {
        claim.take("hello", function, is_there, At(at)).result.map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_slug_is_one_functions_until_it_lets_go() {
        let mut claim = Claim::OF_NOBODY;
        assert_eq!(taken(&mut claim, A, false, 1), Ok(()));
        assert_eq!(taken(&mut claim, A, true, 2), Ok(()), "again");
        assert_eq!(taken(&mut claim, B, true, 1_000_000), Err("slug_taken"));
        assert!(claim.release("hello", B, At(3)).is_none());
        assert!(claim.release("hello", A, At(3)).is_some());
        assert_eq!(taken(&mut claim, B, false, 4), Ok(()));
    }

    #[test]
    fn a_claim_whose_function_never_came_is_anybodys_after_a_while() {
        let mut claim = Claim::OF_NOBODY;
        assert_eq!(taken(&mut claim, A, false, 1), Ok(()));
        assert_eq!(taken(&mut claim, B, false, CLAIM_MS), Err("slug_taken"), "it may still come");
        assert_eq!(taken(&mut claim, B, false, 1 + CLAIM_MS), Ok(()));
    }
}
