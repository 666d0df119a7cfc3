//! `everfold whoami`

use super::{Failure, Remote, client::Client, say};

#[derive(clap::Args)]
pub struct Whoami {
    #[command(flatten)]
    remote: Remote,
}

impl Whoami {
    pub fn run(self) -> Result<(), Failure> {
        let me = Client::known(&self.remote.url)?.map(|client| client.me()).transpose()?;
        if self.remote.json {
            return say(serde_json::to_string(&me).expect("it is plain data"));
        }
        let url = self.remote.url.trim_end_matches('/');
        match me.map(|me| me.email) {
            Some(Some(email)) => say(format_args!("{email} at {url}")),
            Some(None) => say(format_args!("A guest at {url}. What you have stays yours with 'everfold login'.")),
            None => {
                say(format_args!("Nobody yet at {url}. 'everfold login' signs in; other commands make you a guest."))
            }
        }
    }
}
