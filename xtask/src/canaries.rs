//! Plants one bug after the other and sees whether the test meant for it fails.

use std::process::Output;

use crate::step::{Failed, cargo};

/// A bug of `rules::canary`, and the test that must catch it: package, test target, name.
const CANARIES: [(&str, &str, &str, &str); 17] = [
    ("AcknowledgedTooEarly", "sim", "seeds", "nothing_acknowledged_is_lost"),
    ("FoldedTwice", "sim", "seeds", "nothing_acknowledged_is_lost"),
    ("SeqSkipped", "sim", "seeds", "nothing_acknowledged_is_lost"),
    ("StaleSnapshot", "sim", "seeds", "nothing_acknowledged_is_lost"),
    ("KeysForgotten", "sim", "seeds", "nothing_acknowledged_is_lost"),
    ("HalfChangeKept", "worker", "quickjs", "a_throw_keeps_the_state_and_the_next_request_goes_on"),
    ("BudgetByTime", "worker", "quickjs", "what_stops_a_request_is_the_same_every_time"),
    ("PublishedTooEarly", "sim", "seeds", "nothing_acknowledged_is_lost"),
    ("HashNotChained", "rules", "hook", "a_receipt_covers_everything_that_came_before"),
    ("NoSync", "store", "proof", "what_was_acknowledged_survives_a_power_cut_at_every_call_of_the_disk"),
    ("AcknowledgedTooEarly", "sim", "seeds", "a_database_of_many_nodes_loses_nothing_either"),
    ("FoldedTwice", "sim", "seeds", "a_database_of_many_nodes_loses_nothing_either"),
    ("SeqSkipped", "sim", "seeds", "a_database_of_many_nodes_loses_nothing_either"),
    ("StaleSnapshot", "sim", "seeds", "a_database_of_many_nodes_loses_nothing_either"),
    ("KeysForgotten", "sim", "seeds", "a_database_of_many_nodes_loses_nothing_either"),
    ("NoSync", "store", "postgres", "what_was_acknowledged_survives_sigkill_of_the_database_and_nothing_is_kept_twice"),
    ("LeaseWithoutFence", "store", "postgres", "a_zombie_whose_shards_were_claimed_is_fenced"),
];

const BUILD: [&str; 12] =
    ["test", "--quiet", "--release", "--features", "rules/canary", "-p", "rules", "-p", "store", "-p", "worker", "-p"];

/// Each line of the table: the bug, the test, and what the test said.
pub fn run() -> Result<Vec<[String; 3]>, Failed> {
    cargo(BUILD).args(["sim", "--no-run"]).run()?;
    let mut lines = Vec::new();
    for (bug, package, target, test) in CANARIES {
        let without = tried(package, target, test, None)?;
        let with = tried(package, target, test, Some(bug))?;
        let said = match (ran_well(&without), ran_well(&with), reason(&with)) {
            (Some(false) | None, ..) => return Err(Failed(format!("{test} fails without any bug planted"))),
            (_, Some(false), reason) => format!("caught: {reason}"),
            (_, Some(true), _) => "NOT CAUGHT".to_owned(),
            (_, None, reason) => return Err(Failed(format!("{test} with {bug} did not run: {reason}"))),
        };
        println!("   {bug:<22} {said}");
        lines.push([bug.to_owned(), format!("{package}: {test}"), said]);
    }
    match lines.iter().filter(|[.., said]| !said.starts_with("caught")).count() {
        0 => Ok(lines),
        missed => Err(Failed(format!("{missed} planted bugs were not caught"))),
    }
}

fn tried(package: &str, target: &str, test: &str, bug: Option<&str>) -> Result<Output, Failed> {
    let run = cargo(["test", "--quiet", "--release", "--features", "rules/canary", "-p", "rules", "-p", package]);
    run.args(["--test", target, test]).variable("EVERFOLD_CANARY", bug.unwrap_or("none")).output()
}

/// Whether the one test passed; nothing when it did not run.
fn ran_well(output: &Output) -> Option<bool> {
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("1 passed") {
        Some(true)
    } else if text.contains("1 failed") {
        Some(false)
    } else {
        None
    }
}

/// What the test panicked with, on one line.
fn reason(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().skip_while(|line| !line.contains("panicked at"));
    let reason = lines.nth(1).unwrap_or("it ended without a word").trim();
    reason.chars().take(100).collect()
}
