//! `everfold tail`

use serde::Deserialize;
use serde_json::value::RawValue;
use tungstenite::Message;

use super::{Failure, Remote, say};

#[derive(clap::Args)]
pub struct Tail {
    /// The hook's name or id
    hook: String,
    /// Stop after this many states
    #[arg(short = 'n', long)]
    number: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Event {
    seq: u64,
    state: Box<RawValue>,
}

impl Tail {
    pub fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let hook = client.hook(&self.hook)?;
        let key = hook.read_keys.first().ok_or_else(|| Failure::new("The hook has no read key."))?;
        let url = format!("{}/state-events?readKey={key}", client.url.replacen("http", "ws", 1));
        let lost = |error: tungstenite::Error| {
            Failure::new(format!("The connection to {} was lost: {error}.", client.url)).hint("run the command again")
        };
        let (mut socket, _) = tungstenite::connect(&url).map_err(lost)?;
        let mut left = self.number;
        while left != Some(0) {
            match socket.read().map_err(lost)? {
                Message::Text(text) if text.as_str() == "ping" => {
                    socket.send(Message::text("pong")).map_err(lost)?;
                }
                Message::Text(text) => {
                    if self.remote.json {
                        say(&text)?;
                    } else {
                        let event: Event = serde_json::from_str(&text)
                            .map_err(|error| Failure::new(format!("A frame was not understood: {error}.")))?;
                        say(format_args!("{:>6}  {}", event.seq, event.state))?;
                    }
                    left = left.map(|left| left - 1);
                }
                Message::Close(_) => return Err(Failure::new("The server went away.").hint("run the command again")),
                _ => {}
            }
        }
        Ok(())
    }
}
