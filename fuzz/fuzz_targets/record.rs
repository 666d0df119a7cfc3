//! The body of a record, or of a row, as it may come back from a disk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rules::{access::Door, account::Account, hook, row};
use serde::{Serialize, de::DeserializeOwned};

/// What can be read can be written, and is then read as the same.
fn comes_back<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    if let Some(value) = row::decode::<T>(bytes) {
        let once = row::encode(&value);
        let again = row::decode::<T>(&once).expect("what was written can be read");
        assert_eq!(once, row::encode(&again));
    }
}

fuzz_target!(|bytes: &[u8]| {
    comes_back::<hook::Entry>(bytes);
    comes_back::<hook::Config>(bytes);
    comes_back::<hook::Seen>(bytes);
    comes_back::<row::Head>(bytes);
    comes_back::<row::Source>(bytes);
    comes_back::<row::Fate>(bytes);
    comes_back::<Door>(bytes);
    comes_back::<Account>(bytes);
    let _ = (row::owned_hook(bytes), row::seq_of(bytes));
});
