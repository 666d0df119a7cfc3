//! The command line: one file per command.

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

mod client;
mod credentials;
mod dev;
mod doctor;
mod history;
mod hooks;
mod send;
mod serve;
mod state;
mod tail;
mod verify;

use client::Client;

/// Puts functions online and never forgets.
#[derive(Parser)]
#[command(name = "everfold", version, arg_required_else_help = true)]
struct Everfold {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve, and deploy a directory on every save
    Dev(dev::Dev),
    /// The server
    Serve(serve::Serve),
    /// List your hooks, with their addresses
    Hooks(hooks::Hooks),
    /// Send a request to a hook
    Send(send::Send),
    /// Show the state of a hook, now or as of any request
    State(state::State),
    /// Show the state of a hook whenever it changes
    Tail(tail::Tail),
    /// Show the requests of a hook, newest last, each with the state behind it
    History(history::History),
    /// Recompute the chain of hashes over everything a hook was sent
    Verify(verify::Verify),
    /// Show what this machine offers, and what is missing
    Doctor(doctor::Doctor),
    /// Write shell completions to stdout
    Completions { shell: clap_complete::Shell },
}

/// Where the server is; every command that talks to one has it.
#[derive(Args)]
struct Remote {
    /// The server to talk to
    #[arg(long, env = "EVERFOLD_URL", default_value = "http://127.0.0.1:8080", global = true)]
    url: String,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

impl Remote {
    fn client(&self) -> Result<Client, Failure> {
        Client::signed_in(&self.url)
    }
}

#[derive(Args)]
struct Listening {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, env = "EVERFOLD_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The directory that keeps everything
    #[arg(long, env = "EVERFOLD_DATA", default_value = "./everfold-data")]
    data: PathBuf,
}

/// Why a command failed, and what to do next.
#[derive(Debug, PartialEq, Eq)]
struct Failure {
    message: String,
    hint: Option<String>,
    /// Line and column, where source is at fault.
    place: Option<(u32, u32)>,
}

impl Failure {
    fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), hint: None, place: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::new(error.to_string())
    }
}

pub fn main() -> ExitCode {
    // A reader that has seen enough (`| head`) ends the command quietly, as it does any other.
    let everfold = Everfold::parse();
    log_to_stderr(matches!(everfold.command, Command::Dev(_)));
    let result = match everfold.command {
        Command::Dev(dev) => dev.run(),
        Command::Serve(serve) => serve.run(),
        Command::Hooks(hooks) => hooks.run(),
        Command::Send(send) => send.run(),
        Command::State(state) => state.run(),
        Command::Tail(tail) => tail.run(),
        Command::History(history) => history.run(),
        Command::Verify(verify) => verify.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Completions { shell } => {
            let mut command = <Everfold as clap::CommandFactory>::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "everfold", &mut script);
            say(String::from_utf8_lossy(&script).trim_end())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let mut stderr = std::io::stderr();
            let _ = writeln!(stderr, "error: {}", failure.message);
            if let Some(hint) = failure.hint {
                let _ = writeln!(stderr, "hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

/// One line each; JSON when nobody sits in front of it. `EVERFOLD_LOG` chooses what is said.
fn log_to_stderr(is_quiet: bool) {
    use tracing_subscriber::EnvFilter;
    let default = if is_quiet { "warn" } else { "info" };
    let filter = EnvFilter::try_from_env("EVERFOLD_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    if std::io::stderr().is_terminal() { builder.compact().init() } else { builder.json().init() }
}

/// A runtime for the commands that serve.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Prints a line; a closed pipe ends the command.
fn say(line: impl std::fmt::Display) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        error.into()
    })
}
