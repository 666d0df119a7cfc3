//! Decides what happens next, and nothing else: no clock, no file, no print, no random map.
//!
//! Every rule is a plain value that is handed its inputs and answers with data. The compiler keeps it
//! so: the crate is `no_std`, and what it is not given it cannot reach.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "canary")]
extern crate std;

pub mod access;
pub mod account;
pub mod call;
pub mod canary;
pub mod compact;
pub mod egress;
pub mod email;
pub mod file;
pub mod function;
pub mod hook;
pub mod inbox;
pub mod job;
pub mod limits;
pub mod queue;
pub mod record;
pub mod refusal;
pub mod row;
pub mod run;
pub mod schedule;
pub mod settings;
pub mod slug;
