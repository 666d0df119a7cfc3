//! A bar while a history is folded.

use std::time::Duration;

use super::{
    Failure,
    client::{Client, Hook, Replay},
};

/// How often a refold is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Watches a refold to its end; the bar is seen where the history is long enough and somebody sits in front of it.
pub fn watch_refold(client: &Client, hook: &Hook) -> Result<Replay, Failure> {
    let style = indicatif::ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {per_sec} {eta}")
        .expect("a fixed template");
    let bar = indicatif::ProgressBar::new(0).with_style(style).with_prefix(format!("refolding {}", hook.name));
    loop {
        let replay: Replay = client.get(&format!("/api/hooks/{}/replay", hook.id))?;
        bar.set_length(replay.total);
        bar.set_position(replay.done);
        if replay.status != "running" {
            bar.finish_and_clear();
            return Ok(replay);
        }
        std::thread::sleep(LOOK);
    }
}
