//! What a child under a stranger's control may say to its parent, and the other way round.
#![no_main]

use everfold_fuzz::{
    frame::{self, ToChild, ToParent},
    outcome::{self, Asked},
};
use libfuzzer_sys::fuzz_target;
use rules::limits::Limits;

fuzz_target!(|bytes: &[u8]| {
    let mut left = bytes;
    while let Ok(message) = frame::read_blocking::<ToParent>(&mut left) {
        let written = frame::encode(&message).expect("what was read can be written");
        let again = frame::read_blocking::<ToParent>(&mut &written[..]).expect("and read again");
        assert_eq!(again, message);
        if let ToParent::Answer { outcome, .. } = &message {
            let batches = [Asked::Fold { requests: 2 }, Asked::Keys { requests: 2 }];
            for asked in [Asked::Describe, Asked::Answer, Asked::Query, Asked::Templates].into_iter().chain(batches) {
                let _ = outcome::answers(outcome, asked, &Limits::default());
            }
        }
    }
    let mut left = bytes;
    while let Ok(message) = frame::read_blocking::<ToChild>(&mut left) {
        let written = frame::encode(&message).expect("what was read can be written");
        assert_eq!(frame::read_blocking::<ToChild>(&mut &written[..]).expect("and read again"), message);
    }
    // The parent reads without blocking: the same bytes, the same message.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let read = runtime.block_on(frame::read::<ToParent>(&mut &*bytes)).ok();
    assert_eq!(read, frame::read_blocking::<ToParent>(&mut &*bytes).ok());
});
