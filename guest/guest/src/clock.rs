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
    seed_dice(seed);
}

pub fn now_ms() -> u64 {
    NOW_MS.0.get()
}

/// A run of an action goes on at another time.
pub fn set_now(now_ms: u64) {
    NOW_MS.0.set(now_ms);
}

pub fn seed_dice(seed: &[u8]) {
    let hash = blake3::hash(seed);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    DICE.0.set(u64::from_le_bytes(first));
}

/// Where the dice stand, and how they are put back there.
pub fn dice() -> u64 {
    DICE.0.get()
}

pub fn set_dice(dice: u64) {
    DICE.0.set(dice);
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
    uuid_of((u128::from(roll()) << 64) | u128::from(roll()))
}

/// Any number as a UUID, version 4 in shape.
pub fn uuid_of(random: u128) -> String {
    let versioned = (random & !(0xf << 76)) | (0x4 << 76);
    String::from_utf8_lossy(&uuid_text((versioned & !(0x3 << 62)) | (0x2 << 62))).into_owned()
}

/// A UUID as it is written.
pub fn uuid_text(id: u128) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let places = (0..36).filter(|place| !matches!(place, 8 | 13 | 18 | 23));
    for (place, shift) in places.zip((0..32).rev()) {
        text[place] = DIGITS[(id >> (4 * shift)) as usize & 15];
    }
    text
}

/// Milliseconds since 1970 as `toISOString` writes them; no later than the year 9999.
pub fn iso_text(ms: u64) -> String {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let (days, ms) = (ms / 86_400_000, ms % 86_400_000);
    // Years begin in March here, so that a leap day is a year's last. Day 0 is 0000-03-01.
    let day = days + 719_468;
    let (era, day) = (day / DAYS_OF_400_YEARS, day % DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + u64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };

    let mut text = *b"0000-00-00T00:00:00.000Z";
    let parts = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, ms / 3_600_000),
        (14, 2, ms / 60_000 % 60),
        (17, 2, ms / 1_000 % 60),
        (20, 3, ms % 1_000),
    ];
    for (begin, length, mut number) in parts {
        for place in (begin..begin + length).rev() {
            text[place] = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Where hash tables of the crates inside would get their keys: always the same, so that nothing depends on chance.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(dest: *mut u8, len: usize) -> Result<(), getrandom::Error> {
    // SAFETY: getrandom hands over a buffer of that length.
    unsafe { dest.write_bytes(0x5e, len) };
    Ok(())
}
