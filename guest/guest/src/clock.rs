//! The time and the dice of a run: both come from the request, and stand still or repeat with it.

use core::cell::Cell;

struct Single<T>(Cell<T>);
// SAFETY: Wasm without threads; nothing here is shared.
unsafe impl<T> Sync for Single<T> {}

static NOW_MS: Single<u64> = Single(Cell::new(0));
static DICE: Single<u64> = Single(Cell::new(0));

/// Sets both for the run that begins. The same `seed` gives the same sequence.
pub fn begin(now_ms: u64, seed: &[u8]) {
    NOW_MS.0.set(now_ms);
    let hash = blake3::hash(seed);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    DICE.0.set(u64::from_le_bytes(first));
}

/// Where QuickJS's clock would have been imported from the host: `Date` stands still at the request.
#[unsafe(no_mangle)]
extern "C" fn __rquickjs_host_now_us() -> f64 {
    NOW_MS.0.get() as f64 * 1000.0
}

/// SplitMix64.
fn roll() -> u64 {
    let state = DICE.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    DICE.0.set(state);
    let mut mixed = state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// `Math.random`: 53 bits between 0 and 1.
pub fn random() -> f64 {
    (roll() >> 11) as f64 / (1u64 << 53) as f64
}

/// `uuid()`: version 4 in shape, from the same dice.
pub fn uuid() -> String {
    let random = (u128::from(roll()) << 64) | u128::from(roll());
    let versioned = (random & !(0xf << 76)) | (0x4 << 76);
    uuid_text((versioned & !(0x3 << 62)) | (0x2 << 62))
}

/// A UUID as it is written.
pub fn uuid_text(id: u128) -> String {
    let hex = format!("{id:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Where hash tables of the crates inside would get their keys: always the same, so that nothing depends on chance.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(dest: *mut u8, len: usize) -> Result<(), getrandom::Error> {
    // SAFETY: getrandom hands over a buffer of that length.
    unsafe { dest.write_bytes(0x5e, len) };
    Ok(())
}
