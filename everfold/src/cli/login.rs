//! `everfold login`

use std::io::{self, BufRead, IsTerminal};

use serde_json::json;

use super::{
    Failure, Remote,
    client::{Client, Me},
    credentials::Tokens,
    say,
};

#[derive(clap::Args)]
pub struct Login {
    /// The server to sign in to, instead of the one that --url names
    server: Option<String>,
    /// Use an API key, read from stdin
    #[arg(long)]
    key: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Login {
    pub fn run(self) -> Result<(), Failure> {
        let url = self.server.as_ref().unwrap_or(&self.remote.url);
        let client = if self.key { with_key(url)? } else { by_link(url)? };
        let me = client.me()?;
        if self.remote.json {
            return say(serde_json::to_string(&me).expect("it is plain data"));
        }
        let Me { email, .. } = me;
        say(format_args!("Signed in to {} as {}.", client.url, email.as_deref().unwrap_or("a guest")))?;
        if self.server.is_some() && client.url != self.remote.url {
            say(format_args!("Other commands talk to it with --url, or with EVERFOLD_URL={}.", client.url))?;
        }
        Ok(())
    }
}

fn with_key(url: &str) -> Result<Client, Failure> {
    let key = ask("API key: ", true)?;
    Client::at(url).keep_key(key)
}

fn by_link(url: &str) -> Result<Client, Failure> {
    let client = Client::to_sign_in(url)?;
    let known = client.me().ok().and_then(|me| me.email);
    if let Some(email) = known {
        return Err(Failure::new(format!("You are signed in to {} as {email} already.", client.url))
            .hint("to be somebody else: everfold logout"));
    }
    let email = ask("E-mail: ", false)?;
    client.post::<serde_json::Value>("/api/auth/signin", json!({ "email": email }))?;
    // To people, not into a pipe: what is piped on is the result.
    eprintln!("If {email} may sign in to {}, a link is on its way. It works for an hour.", client.url);
    let link = ask("Paste the link: ", false)?;
    let token = link.rsplit('/').next().unwrap_or_default();
    let tokens: Tokens = client.post("/api/auth/validate-signin-token", json!({ "token": token }))?;
    let client = client.keep(tokens.clone())?;
    let email = client.me()?.email;
    client.keep(Tokens { email, ..tokens })
}

/// An answer: a line from stdin. The question is shown to a person only, and a secret is not shown while it is typed.
fn ask(question: &str, is_secret: bool) -> Result<String, Failure> {
    let is_person = io::stdin().is_terminal();
    let answer = if is_person && is_secret {
        rpassword::prompt_password(question)?
    } else {
        if is_person {
            eprint!("{question}");
        }
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        line
    };
    match answer.trim() {
        "" => Err(Failure::new("Nothing was answered.").hint("type it, or pipe it in: one answer a line")),
        answer => Ok(answer.to_owned()),
    }
}
