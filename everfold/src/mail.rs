//! Sends mail: over SMTP, or, on a developer's own machine, to the terminal and a page.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    time::Duration,
};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};
use rules::{email::Email, inbox::Notice, record::At};
use tokio::sync::Semaphore;

/// Mails that wait to be sent or to be tried again. Further ones are not sent, and the log says so.
const OUTBOX_MAX: usize = 1_000;
/// Connections to the mail server at a time.
const CONNECTIONS_MAX: usize = 4;
/// The longest that handing over one mail may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long after a failure it is tried again. After the last of them the link in it is nearly as old as it gets.
const RETRY_S: [u64; 7] = [1, 2, 5, 30, 120, 600, 1_800];
/// How long a server that goes down waits for mails on their way.
const DRAIN: Duration = Duration::from_secs(3);
/// Mails that a developer can look at.
const KEPT_MAX: usize = 100;

/// A link to sign in with or a notice, on its way to whom it is for.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: Email,
    pub subject: String,
    pub text: String,
    pub link: String,
    /// What a link to sign in ends with; a notice has none.
    pub token: Option<String>,
    pub at: At,
}

impl Mail {
    pub fn sign_in(to: Email, origin: &str, token: String, at: At) -> Mail {
        let link = format!("{origin}/signin/{token}");
        let text = format!(
            "Follow this link to sign in to Everfold at {origin}:\n\n{link}\n\n\
             It works once, and for an hour. If you did not ask for it, there is nothing to do: without this mail \
             nobody signs in as you.\n"
        );
        Mail { to, subject: "Your link to sign in to Everfold".to_owned(), text, link, token: Some(token), at }
    }

    /// A notice of an action, with a way to the run that gave it.
    pub fn notice(to: Email, origin: &str, notice: &Notice) -> Mail {
        let link = notice.run.as_ref().map_or_else(|| origin.to_owned(), |run| format!("{origin}/r/{run}"));
        let text = format!(
            "{}\n\n{link}\n\nAn action at {origin} asked for this to be sent to you.\n",
            notice.message.trim_end()
        );
        let subject = notice.title.as_deref().unwrap_or("A notice from Everfold");
        let subject = subject.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        Mail { to, subject, text, link, token: None, at: notice.created_at }
    }
}

/// Where mail goes.
pub enum Outbox {
    Smtp(Smtp),
    /// To the terminal, and kept for `/dev/mail`.
    Development(Development),
    /// No mail server is set, and whoever can reach this server is not its developer.
    Nowhere,
}

impl Outbox {
    /// Takes a mail, and never makes its caller wait.
    pub fn send(&self, mail: Mail) {
        match self {
            Outbox::Smtp(smtp) => smtp.send(mail),
            Outbox::Development(development) => development.show(mail),
            Outbox::Nowhere => {}
        }
    }

    /// Waits for what is under way, a little.
    pub async fn drained(&self) {
        if let Outbox::Smtp(smtp) = self {
            let _ = tokio::time::timeout(DRAIN, smtp.places.acquire_many(OUTBOX_MAX as u32)).await;
        }
    }
}

pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    places: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

impl Smtp {
    /// `url` is `smtp://user:password@host:port` or `smtps://…`; an error is a sentence for whoever set it.
    pub fn new(url: &str, from: &str) -> Result<Smtp, String> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&encrypted(url))
            .map_err(|error| format!("The address of the mail server is not understood: {error}."))?
            .timeout(Some(SEND_TIMEOUT))
            .build();
        let from = from.parse().map_err(|error| format!("Mail cannot come from {from:?}: {error}."))?;
        let places = Arc::new(Semaphore::new(OUTBOX_MAX));
        Ok(Smtp { transport, from, places, connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)) })
    }

    fn send(&self, mail: Mail) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            tracing::error!(domain = mail.to.domain(), "the outbox is full: a mail is not sent");
            return;
        };
        let message = match self.message(&mail) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(%error, domain = mail.to.domain(), "a mail cannot be written");
                return;
            }
        };
        let (transport, connections) = (self.transport.clone(), self.connections.clone());
        tokio::spawn(async move {
            deliver(&transport, &connections, message, mail.to.domain()).await;
            drop(place);
        });
    }

    fn message(&self, mail: &Mail) -> Result<Message, Box<dyn std::error::Error + Send + Sync>> {
        let to = Mailbox::new(None, mail.to.as_str().parse::<Address>()?);
        let message = Message::builder().from(self.from.clone()).to(to).subject(&mail.subject);
        Ok(message.message_id(None).header(ContentType::TEXT_PLAIN).body(mail.text.clone())?)
    }
}

/// A password goes over an encrypted line or not at all, unless the address says otherwise (`?tls=opportunistic`) or
/// the mail server is on this machine. Without a password, the line is encrypted where the mail server can.
fn encrypted(url: &str) -> String {
    let Some(rest) = url.strip_prefix("smtp://").filter(|rest| !rest.contains("tls=")) else { return url.to_owned() };
    let (user, place) = rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
    let is_local = ["localhost", "127.", "[::1]"].iter().any(|host| place.starts_with(host));
    let separator = if place.contains('?') { '&' } else { '?' };
    match user {
        _ if is_local => url.to_owned(),
        Some(_) => format!("{url}{separator}tls=required"),
        None => format!("{url}{separator}tls=opportunistic"),
    }
}

async fn deliver(
    transport: &AsyncSmtpTransport<Tokio1Executor>,
    connections: &Semaphore,
    message: Message,
    domain: &str,
) {
    for retry_s in RETRY_S.into_iter().map(Some).chain([None]) {
        let connection = connections.acquire().await.expect("never closed");
        let sent = tokio::time::timeout(SEND_TIMEOUT, transport.send(message.clone())).await;
        drop(connection);
        let why = match sent {
            Ok(Ok(_)) => return,
            Ok(Err(error)) if error.is_permanent() => {
                tracing::error!(%error, domain, "the mail server refused a mail");
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        let Some(retry_s) = retry_s else {
            tracing::error!(why, domain, "a mail was not sent, and its link is nearly too old by now");
            return;
        };
        tracing::warn!(why, domain, retry_s, "a mail was not sent, and is tried again");
        tokio::time::sleep(Duration::from_secs(retry_s)).await;
    }
}

/// The newest mails, and a thread that prints them: a terminal that nobody reads holds up no call.
pub struct Development {
    kept: Mutex<VecDeque<Mail>>,
    terminal: SyncSender<String>,
}

impl Development {
    pub fn new() -> Development {
        let (terminal, lines) = sync_channel::<String>(KEPT_MAX);
        std::thread::spawn(move || lines.into_iter().try_for_each(|line| writeln!(io::stdout(), "{line}")));
        Development { kept: Mutex::default(), terminal }
    }

    fn show(&self, mail: Mail) {
        // A full or closed terminal misses it; the page has it.
        let what = if mail.token.is_some() { "sign in with" } else { &mail.subject };
        let _ = self.terminal.try_send(format!("mail to {}: {what} {}", mail.to.as_str(), mail.link));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(mail);
    }

    /// Oldest first.
    pub fn kept(&self) -> Vec<Mail> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_sent_in_the_clear_to_another_machine() {
        for (url, used) in [
            ("smtp://a:b@mail.example:587", "smtp://a:b@mail.example:587?tls=required"),
            ("smtp://a:b%40@mail.example/me", "smtp://a:b%40@mail.example/me?tls=required"),
            ("smtp://mail.example", "smtp://mail.example?tls=opportunistic"),
            ("smtp://a:b@mail.example?tls=opportunistic", "smtp://a:b@mail.example?tls=opportunistic"),
            ("smtp://a:b@127.0.0.1:25", "smtp://a:b@127.0.0.1:25"),
            ("smtps://a:b@mail.example", "smtps://a:b@mail.example"),
        ] {
            assert_eq!(encrypted(url), used);
            assert!(AsyncSmtpTransport::<Tokio1Executor>::from_url(used).is_ok(), "{used}");
        }
    }
}
