//! `everfold serve`

use super::{Failure, Listening, runtime, say};
use crate::serve::{Config, Server, StartError, asked_to_stop};

#[derive(clap::Args)]
pub struct Serve {
    #[command(flatten)]
    listening: Listening,
}

impl Serve {
    pub fn run(self) -> Result<(), Failure> {
        let Listening { listen, data } = self.listening;
        runtime()?.block_on(async {
            let server = Server::start(Config { listen, data }).await?;
            say(format_args!("listening on http://{}", server.address))?;
            server.run(asked_to_stop()).await;
            Ok(())
        })
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let text = error.to_string();
        match text.split_once("hint: ") {
            Some((message, hint)) => Failure::new(message.trim_end()).hint(hint),
            None => Failure::new(text),
        }
    }
}
