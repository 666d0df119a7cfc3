//! Bugs that can be planted, so that it is seen that the tests catch them. Only a build with the feature `canary` can
//! have one, and only when its environment names it: `cargo x canaries`.

/// One for each kind of promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A commit is answered without a sync.
    NoSync,
    /// A reply leaves before its commit.
    AcknowledgedTooEarly,
    /// After a restart the last request is folded once more.
    FoldedTwice,
    /// Now and then a seq is left out.
    SeqSkipped,
    /// A fold goes on from an old state as if it were the newest.
    StaleSnapshot,
    /// Every `Idempotency-Key` is a new one.
    KeysForgotten,
    /// What a reducer changed before it threw is kept.
    HalfChangeKept,
    /// What runs for long is stopped by the clock, and said to have used up its operations.
    BudgetByTime,
    /// A version goes live before it has caught up.
    PublishedTooEarly,
    /// A record's hash does not cover those before it.
    HashNotChained,
    /// A commit is not held against who owns its lane by now.
    LeaseWithoutFence,
}

/// The variable that names the planted bug.
pub const VARIABLE: &str = "EVERFOLD_CANARY";

#[cfg(not(feature = "canary"))]
pub const fn is_planted(_: Bug) -> bool {
    false
}

/// The planted bug's name, for processes that are started without an environment.
#[cfg(not(feature = "canary"))]
pub const fn planted() -> Option<&'static str> {
    None
}

#[cfg(feature = "canary")]
pub fn is_planted(bug: Bug) -> bool {
    planted().is_some_and(|name| name == alloc::format!("{bug:?}"))
}

#[cfg(feature = "canary")]
pub fn planted() -> Option<&'static str> {
    static PLANTED: std::sync::OnceLock<Option<std::string::String>> = std::sync::OnceLock::new();
    PLANTED.get_or_init(|| std::env::var(VARIABLE).ok()).as_deref()
}
