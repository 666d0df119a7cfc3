//! The child process alone, for this crate's tests; the product starts its own binary instead.

mod hostile;

use std::env::args;

fn main() {
    match args().nth(1).as_deref() {
        Some("--hostile") => hostile::main(args().skip(2)),
        _ => worker::quickjs::isolate_main(),
    }
}
