//! The command line: one file per command.

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, builder::FalseyValueParser};

mod backup;
mod client;
mod cluster;
mod credentials;
mod deploy;
mod deployments;
mod dev;
mod doctor;
mod exec;
mod function;
mod functions;
mod history;
mod hooks;
mod jobs;
mod keys;
mod login;
mod logout;
mod logs;
mod manage;
mod migrate;
mod progress;
mod project;
mod request;
mod rollback;
mod run;
mod secrets;
mod send;
mod serve;
mod state;
mod tail;
mod transfer;
mod verify;
mod versions;
mod whoami;
mod worker;

use client::Client;
use rules::egress::Allowed;

use crate::{http::Settings, serve::Config};

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
    /// Bring a directory to a server: what changed, and what it would do to the state
    Deploy(deploy::Deploy),
    /// Sign in to a server: by a link that comes by e-mail, or with an API key
    Login(login::Login),
    /// Show who you are to a server
    Whoami(whoami::Whoami),
    /// Sign out of a server
    Logout(logout::Logout),
    /// List your hooks, with their addresses
    Hooks(hooks::Hooks),
    /// Make a hook
    New(manage::New),
    /// Publish the draft of a hook: its whole history is folded again, and then readers see it
    Publish(versions::Publish),
    /// Show what publishing would change
    Preview(versions::Preview),
    /// List the versions of a hook
    Versions(versions::Versions),
    /// Go back to an older version of a hook; or make a data directory of a backup
    Restore(versions::Restore),
    /// Keep what arrives without folding it
    Pause(manage::Switch),
    /// Fold again, and first what waited
    Play(manage::Switch),
    /// Erase a hook and everything it was sent
    Delete(manage::Delete),
    /// Send a request to a hook
    Send(send::Send),
    /// Show the state of a hook, now or as of any request
    State(state::State),
    /// Show the state of a hook whenever it changes
    Tail(tail::Tail),
    /// Show the requests of a hook, newest last, each with the state behind it
    History(history::History),
    /// Show what a request changed in the state
    Diff(request::OneRequest),
    /// Send a request again, as a new one with the same content
    Resend(request::OneRequest),
    /// The secrets of a hook: set, list, remove
    Secrets(secrets::Secrets),
    /// The keys of a hook: list, make, pause, play, revoke
    Keys(keys::Keys),
    /// List your functions, with their addresses
    Functions(functions::Functions),
    /// List the deployments of a function, newest first
    Deployments(deployments::Deployments),
    /// Call a function
    Exec(exec::Exec),
    /// Show what the calls of a function logged, newest last
    Logs(logs::Logs),
    /// Let an earlier deployment of a function answer again
    Rollback(rollback::Rollback),
    /// Run an action here: its questions become prompts
    Run(run::Run),
    /// Scripts that run on whatever is open: run, list, cancel
    Jobs(jobs::Jobs),
    /// Run jobs on this machine
    Worker(worker::Worker),
    /// Write a hook with its whole history to a file
    Export(transfer::Export),
    /// Make a hook of such a file
    Import(transfer::Import),
    /// Write everything a server keeps to a file, while it runs
    Backup(backup::Backup),
    /// Move everything a server keeps to another store: from a directory to PostgreSQL, or back
    Migrate(migrate::Migrate),
    /// Recompute the chain of hashes over everything a hook was sent
    Verify(verify::Verify),
    /// Show the servers that share a database, and what each of them has
    Cluster(cluster::Cluster),
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
    /// The PostgreSQL that keeps everything instead: postgres://user:password@host:5432/database. Better set in the
    /// environment. Any number of servers share it: each has its share of the hooks and passes on what is another's, and
    /// when one ends the others go on. Several databases, with spaces between, share the hooks, too: always all of them, in
    /// the same order
    #[arg(long, env = "EVERFOLD_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// The S3 bucket that keeps files: s3://bucket/folder. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, if it
    /// is not Amazon's, AWS_ENDPOINT_URL say how it is reached
    #[arg(long, env = "EVERFOLD_BUCKET")]
    bucket: Option<String>,
    /// Where other servers of that database reach this one, if not where it listens: 10.0.0.7:8080
    #[arg(long, env = "EVERFOLD_NODE_ADDRESS")]
    node_address: Option<String>,
    /// Where people reach the server, if not where it listens: https://everfold.example
    #[arg(long, env = "EVERFOLD_PUBLIC_URL")]
    public_url: Option<String>,
    /// The mail server that sends sign-in links: smtp://user:password@host:port. Better set in the environment, which
    /// other users of this machine cannot see
    #[arg(long, env = "EVERFOLD_SMTP", hide_env_values = true)]
    smtp: Option<String>,
    /// Whom mail comes from
    #[arg(long, env = "EVERFOLD_MAIL_FROM")]
    mail_from: Option<String>,
    /// Guests and sign-in links for one network address in an hour; not counted in development
    #[arg(long, env = "EVERFOLD_GUESTS_PER_HOUR", default_value_t = 1000)]
    guests_per_hour: u32,
    /// Hosts that the code of users may fetch from: api.example.com, *.example.com, host:port, with commas between them.
    /// Only their public addresses, but for a host that is named with its port
    #[arg(long, env = "EVERFOLD_EGRESS_ALLOW", default_value = "*", value_parser = Allowed::parse)]
    egress_allow: Allowed,
    /// A proxy stands in front, and names its clients in X-Forwarded-For
    #[arg(long, env = "EVERFOLD_BEHIND_PROXY", value_parser = FalseyValueParser::new())]
    behind_proxy: bool,
}

impl Listening {
    fn config(self, settings: Settings) -> Config {
        let Listening {
            listen,
            data,
            database,
            bucket,
            node_address,
            public_url,
            smtp,
            mail_from,
            guests_per_hour,
            egress_allow,
            behind_proxy,
        } = self;
        Config {
            listen,
            data,
            database,
            bucket,
            node_address,
            settings,
            public_url,
            smtp,
            mail_from,
            guests_per_hour,
            egress: egress_allow,
            is_behind_proxy: behind_proxy,
        }
    }
}

/// How often a client that only listens is asked whether it is there.
const PING_MS: u64 = 10_000;

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
        Command::Deploy(deploy) => deploy.run(),
        Command::Login(login) => login.run(),
        Command::Whoami(whoami) => whoami.run(),
        Command::Logout(logout) => logout.run(),
        Command::Hooks(hooks) => hooks.run(),
        Command::New(new) => new.run(),
        Command::Publish(publish) => publish.run(),
        Command::Preview(preview) => preview.run(),
        Command::Versions(versions) => versions.run(),
        Command::Restore(restore) => restore.run(),
        Command::Pause(hook) => hook.pause(),
        Command::Play(hook) => hook.play(),
        Command::Delete(delete) => delete.run(),
        Command::Send(send) => send.run(),
        Command::State(state) => state.run(),
        Command::Tail(tail) => tail.run(),
        Command::History(history) => history.run(),
        Command::Diff(request) => request.diff(),
        Command::Resend(request) => request.resend(),
        Command::Secrets(secrets) => secrets.run(),
        Command::Keys(keys) => keys.run(),
        Command::Functions(functions) => functions.run(),
        Command::Deployments(deployments) => deployments.run(),
        Command::Exec(exec) => exec.run(),
        Command::Logs(logs) => logs.run(),
        Command::Rollback(rollback) => rollback.run(),
        Command::Run(run) => run.run(),
        Command::Jobs(jobs) => jobs.run(),
        Command::Worker(worker) => worker.run(),
        Command::Export(export) => export.run(),
        Command::Import(import) => import.run(),
        Command::Backup(backup) => backup.run(),
        Command::Migrate(migrate) => migrate.run(),
        Command::Verify(verify) => verify.run(),
        Command::Cluster(cluster) => cluster.run(),
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

/// What of a body or a state fits a line.
const EXCERPT_CHARS: usize = 60;

fn excerpt(value: &serde_json::Value) -> String {
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut excerpt: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT_CHARS).collect();
    if text.chars().count() > EXCERPT_CHARS {
        excerpt.push('…');
    }
    excerpt
}

fn time_of(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|at| at.strftime("%F %T").to_string()).unwrap_or_default()
}

/// A JSON Patch, a line for each step.
fn show_patch(patch: &[serde_json::Value]) -> Result<(), Failure> {
    for step in patch {
        let sign = match step["op"].as_str() {
            Some("add") => '+',
            Some("remove") => '-',
            _ => '~',
        };
        let value = step.get("value").map(excerpt).unwrap_or_default();
        let path = excerpt(&step["path"]);
        say(format!("  {sign} {}  {value}", if path.is_empty() { "(the state)" } else { &path }).trim_end())?;
    }
    Ok(())
}
