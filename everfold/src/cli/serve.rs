//! `everfold serve`

use std::time::Duration;

use rules::limits;

use super::{Failure, Listening, PING_MS, runtime, say};
use crate::{
    http::Settings,
    serve::{Ended, Server, StartError, asked_to_stop},
};

#[derive(clap::Args)]
pub struct Serve {
    #[command(flatten)]
    listening: Listening,
    /// Writes a minute with one key of a guest's hook; 0 is no bound
    #[arg(long, env = "EVERFOLD_GUEST_WRITES_PER_MINUTE", default_value_t = limits::GUEST_WRITES_PER_MINUTE)]
    guest_writes_per_minute: u32,
    /// How often a client that only listens is asked whether it is there; tests have less time
    #[arg(long, env = "EVERFOLD_PING_MS", default_value_t = PING_MS, value_parser = clap::value_parser!(u64).range(1..), hide = true)]
    ping_ms: u64,
}

impl Serve {
    pub fn run(self) -> Result<(), Failure> {
        let settings = Settings {
            guest_writes_per_minute: self.guest_writes_per_minute,
            ping: Duration::from_millis(self.ping_ms),
        };
        runtime()?.block_on(async {
            let server = Server::start(self.listening.config(settings)).await?;
            say(format_args!("listening on http://{}", server.address))?;
            Ok(server.run(asked_to_stop()).await?)
        })
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Failure::of(&error.to_string())
    }
}

impl From<Ended> for Failure {
    fn from(error: Ended) -> Self {
        Failure::of(&error.to_string())
    }
}

impl Failure {
    /// What is said before "hint:", and after it.
    pub(super) fn of(text: &str) -> Failure {
        match text.split_once("hint: ") {
            Some((message, hint)) => Failure::new(message.trim_end()).hint(hint),
            None => Failure::new(text),
        }
    }
}
