//! The readers of Everfold that a stranger's bytes reach, without the engines behind them.
//!
//! They are taken by path: with the crates they live in, Wasmtime and oxc would be instrumented too, which takes
//! minutes and finds nothing of ours.

#[path = "../../everfold/src/http/admission.rs"]
pub mod admission;
#[path = "../../everfold/src/http/request.rs"]
pub mod request;

#[path = "../../worker/src/bounds.rs"]
pub mod bounds;
#[path = "../../worker/src/frame.rs"]
pub mod frame;
#[path = "../../worker/src/outcome.rs"]
pub mod outcome;

/// What `frame` wants of the jail.
pub mod jail {
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Layer {
        pub name: String,
        pub holds: bool,
        pub detail: String,
    }
}
