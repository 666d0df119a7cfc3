//! The child process alone, for this crate's tests; the product starts its own binary instead.

mod hostile;
mod liar;

use std::env::args;

fn main() {
    match args().nth(1).as_deref() {
        Some("--hostile") => hostile::main(args().skip(2)),
        Some("--liar") => liar::main(&args().nth(2).expect("a lie")),
        _ => worker::quickjs::isolate_main(),
    }
}
