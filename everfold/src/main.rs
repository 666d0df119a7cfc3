//! One binary that puts functions online and never forgets.

mod cli;
mod egress;
mod front;
mod http;
mod keeping;
mod machine;
mod mail;
mod places;
mod serve;

fn main() -> std::process::ExitCode {
    // Before anything else is read or started: what runs user code begins with nothing.
    if std::env::args_os().nth(1).is_some_and(|word| word == "isolate") {
        worker::quickjs::isolate_main()
    }
    cli::main()
}
