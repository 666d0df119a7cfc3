//! Numbers that stand in an address, each within its bounds.

use std::ops::RangeInclusive;

use rules::refusal::Refusal;

/// What `?name=` says, or `default` where it is left away.
pub fn bounded(name: &str, said: Option<&str>, default: u64, bounds: RangeInclusive<u64>) -> Result<u64, Refusal> {
    let Some(said) = said else { return Ok(default) };
    said.parse().ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
        let (least, most) = bounds.into_inner();
        Refusal::NUMBER_OUT_OF_BOUNDS.because(format!("?{name} takes a whole number from {least} to {most}."))
    })
}
