//! `everfold logout`

use super::{
    Failure, Remote,
    client::Client,
    credentials::{self, Credentials},
    say,
};

#[derive(clap::Args)]
pub struct Logout {
    /// Leave a guest's hooks behind, for nobody to come back to
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Logout {
    pub fn run(self) -> Result<(), Failure> {
        let url = self.remote.url.trim_end_matches('/');
        let Some(credentials) = credentials::of(url)? else {
            return self.say("Nobody is signed in", "");
        };
        // A server that is gone or has forgotten us keeps nobody from forgetting it.
        let told = match Client::known(url) {
            Ok(Some(client)) => {
                self.refuse_to_lose_hooks(&client)?;
                match credentials {
                    Credentials::Key { .. } => ". The key is good until it is revoked",
                    Credentials::Tokens(_) => {
                        client.call("POST", "/api/auth/signout", None)?;
                        ""
                    }
                }
            }
            Ok(None) | Err(_) => "; the server was not told",
        };
        credentials::forget(url)?;
        self.say("Signed out", told)
    }

    fn refuse_to_lose_hooks(&self, client: &Client) -> Result<(), Failure> {
        if self.force || client.me()?.email.is_some() {
            return Ok(());
        }
        match client.hooks()?.len() {
            0 => Ok(()),
            _ => Err(Failure::new("You are a guest here: nobody could come back to your hooks.")
                .hint("keep them with 'everfold login', or leave them with 'everfold logout --force'")),
        }
    }

    fn say(&self, what: &str, more: &str) -> Result<(), Failure> {
        if self.remote.json { say("{}") } else { say(format_args!("{what} at {}{more}.", self.remote.url)) }
    }
}
