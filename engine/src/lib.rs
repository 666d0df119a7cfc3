//! Does what the rules decide: prefetch, decide, commit, act.
