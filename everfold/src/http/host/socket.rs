//! The conversation with a host. One frame is read at a time and acknowledged at once; what it says of one run is done
//! in its order, runs side by side; and what was acknowledged is done, even if the connection ends meanwhile.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use engine::host::{Away, Connection, FromHost, Runs, ToHost};
use futures_util::{StreamExt, stream::FuturesUnordered};
use rules::record::LaneId;
use store::Pending;
use tokio::time::Instant;

use super::{
    Hosting, envelope,
    rpc::{self, Call, Heard, Initialized, IoRefused, Organization, Success},
};

/// A video of 50 MB shown by `io.display.video` comes in one frame. A host holds up to one such frame here.
pub const HOST_FRAME_BYTES_MAX: usize = 100 << 20;
/// Calls of one host that are being done; no further frame is read meanwhile.
pub const HOST_CALLS_MAX: usize = 256;
/// And their bytes.
pub const HOST_CALLS_BYTES_MAX: usize = 2 << 20;
/// How long a host may say nothing, or take nothing. One that computes without a break answers no ping meanwhile; it
/// gives the server as long.
pub const HOST_SILENCE: Duration = Duration::from_secs(180);
/// Pages that were asked for and that the host has not said a word about.
const OPENING_MAX: usize = 1_024;
/// How long a host may take to hear that it is over.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// What a close frame holds beside its code.
const REASON_BYTES_MAX: usize = 123;
/// Hosts of a self-hosted server are all in one place.
const ENVIRONMENT: &str = "production";

/// Why a connection ends.
#[derive(Debug)]
pub enum Closing {
    Refused(Cow<'static, str>),
    /// Another connection speaks for the instance, or it takes too little for too long and has to make one.
    Replaced,
    /// The key's account became another's; a new connection finds it.
    Moved,
    GoingDown,
    TooLarge,
    Silent,
    /// The other end closed, or the line broke.
    Gone,
}

impl Closing {
    fn frame(self) -> Option<CloseFrame> {
        let (code, reason): (u16, Cow<str>) = match self {
            Closing::Refused(why) => (1008, why),
            Closing::Replaced => (1008, "Another connection of this instance takes over.".into()),
            Closing::Moved => (1012, "The key belongs to another account now. Connect again.".into()),
            Closing::GoingDown => (1012, "The server is going down. Connect again.".into()),
            Closing::TooLarge => (1009, "A frame has at most 100 MiB.".into()),
            Closing::Silent => (1008, "Nothing was heard of the host for 3 minutes.".into()),
            Closing::Gone => return None,
        };
        debug_assert!(reason.len() <= REASON_BYTES_MAX, "{reason}");
        Some(CloseFrame { code, reason: reason.as_ref().into() })
    }
}

/// Says why, and waits a little for the other end to have read it.
pub async fn close(mut socket: WebSocket, closing: Closing) {
    let Some(frame) = closing.frame() else { return };
    let said = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _ = tokio::time::timeout(CLOSE_MAX, said).await;
}

/// Speaks until the connection is `over`, broken or replaced.
pub async fn converse(
    hosting: &Hosting,
    account: LaneId,
    connection: Connection,
    socket: &mut WebSocket,
    over: impl Future<Output = Closing>,
) -> (Closing, Away) {
    let mut conversation = Conversation {
        hosting,
        account,
        connection,
        work: Work::new(hosting.runs.clone(), account),
        sent: 0,
        introduction: None,
        opening: HashMap::new(),
    };
    let closing = conversation.speak(socket, over).await;
    while conversation.work.next().await.is_some() {}
    (closing, conversation.connection.end())
}

struct Conversation<'a> {
    hosting: &'a Hosting,
    account: LaneId,
    connection: Connection,
    work: Work,
    /// Messages, to number them.
    sent: u64,
    /// What answered the host's introduction: it takes no notice of anything before it has acknowledged that.
    introduction: Option<String>,
    /// Calls that open pages, until the host says whether it does.
    opening: HashMap<String, String>,
}

type Spoken = Result<(), Closing>;

impl Conversation<'_> {
    async fn speak(&mut self, socket: &mut WebSocket, over: impl Future<Output = Closing>) -> Closing {
        let mut over = std::pin::pin!(over);
        let mut heard_at = Instant::now();
        let mut pings = tokio::time::interval_at(heard_at + self.hosting.ping, self.hosting.ping);
        let mut spoken = self.say(socket, "authenticated").await;
        loop {
            if let Err(closing) = spoken {
                return closing;
            }
            spoken = tokio::select! {
                frame = socket.recv(), if self.work.has_room() => {
                    heard_at = Instant::now();
                    match frame {
                        Some(Ok(Message::Text(text))) => self.hear(socket, &text).await,
                        Some(Ok(Message::Close(_))) | None => Err(Closing::Gone),
                        // Pings are answered by the socket itself.
                        Some(Ok(_)) => Ok(()),
                        Some(Err(error)) => Err(broken(error)),
                    }
                }
                Some(done) = self.work.next() => self.reply(socket, done).await,
                next = self.connection.next() => match next {
                    Some((number, message)) => self.pass_on(socket, number, message).await,
                    None => Err(Closing::Replaced),
                },
                _ = pings.tick() => send(socket, Message::Ping(Default::default())).await,
                () = tokio::time::sleep_until(heard_at + HOST_SILENCE) => Err(Closing::Silent),
                closing = &mut over => Err(closing),
            };
        }
    }

    async fn hear(&mut self, socket: &mut WebSocket, frame: &str) -> Spoken {
        match envelope::read(frame) {
            Some(envelope::Heard::Acknowledged(id)) => {
                self.acknowledged(&id);
                Ok(())
            }
            Some(envelope::Heard::Message { id, data }) => {
                send(socket, Message::Text(envelope::acknowledgement(&id).into())).await?;
                match rpc::read(&data) {
                    Some(Heard::Call { id, method, call }) => self.called(socket, id, method, call, data.len()).await,
                    Some(Heard::Response { id, data }) => {
                        self.answered(&id, data.as_deref());
                        Ok(())
                    }
                    None => Ok(()),
                }
            }
            // Of no version of the package that is known; it would not understand an answer either.
            None => Ok(()),
        }
    }

    fn acknowledged(&mut self, id: &str) {
        if self.introduction.as_deref() == Some(id) {
            self.introduction = None;
            if self.connection.begin() {
                self.hosting.runs.host_came(self.account, self.connection.instance().to_owned());
            }
        } else if let Some(number) = id.strip_prefix(LINE).and_then(|number| number.parse().ok()) {
            self.connection.confirm(number);
        }
    }

    /// The other side's word on a call of ours. Only that of a page says anything.
    fn answered(&mut self, id: &str, data: Option<&str>) {
        let Some(page_key) = self.opening.remove(id) else { return };
        if let Some(page) = data.and_then(rpc::unopened) {
            self.work.push(Asked {
                reply: None,
                transaction: page_key,
                said: FromHost::Page(Some(page)),
                is_claimed: false,
                bytes: 0,
            });
        }
    }

    async fn called(
        &mut self,
        socket: &mut WebSocket,
        id: String,
        method: String,
        call: Result<Call, String>,
        bytes: usize,
    ) -> Spoken {
        match call {
            Ok(Call::Say { transaction, said })
                if rpc::is_transaction(&transaction) && self.connection.may_speak_of(&transaction) =>
            {
                // Before it is heard: what it asks may be answered at once, and that has to find its way back. What ends a
                // run makes it nobody's.
                let is_end = matches!(said, FromHost::Completed { .. });
                let is_claimed = !is_end && self.connection.claims(&transaction);
                self.work.push(Asked { reply: Some((id, method)), transaction, said, is_claimed, bytes });
                Ok(())
            }
            Ok(Call::Say { .. }) => self.say(socket, &rpc::response(&id, &method, false)).await,
            Ok(Call::Initialize(initialize)) => self.initialize(socket, &id, initialize).await,
            Ok(Call::BeginShutdown) => {
                self.connection.leave();
                self.say(socket, &rpc::response(&id, &method, Success {})).await
            }
            // No answer is one that it could understand.
            Ok(Call::Other) => {
                tracing::debug!(method, "a host asked for what hosts do not ask for");
                Ok(())
            }
            Err(message) => {
                tracing::warn!(method, message, "a host said what is not understood");
                let response = match method.as_str() {
                    rpc::SEND_IO_CALL => rpc::response(&id, &method, IoRefused { message }),
                    rpc::INITIALIZE_HOST => rpc::response(&id, &method, Initialized::Error { message }),
                    _ => rpc::response(&id, &method, false),
                };
                self.say(socket, &response).await
            }
        }
    }

    /// The host says what it offers: when it connects, and again when that changes.
    async fn initialize(&mut self, socket: &mut WebSocket, id: &str, initialize: rpc::Initialize) -> Spoken {
        let origin = &*self.hosting.origin;
        let (name, slug) = organization(origin);
        let dashboard_url = format!("{origin}/");
        let reply = match initialize.routes() {
            Ok((routes, invalid_slugs)) => {
                self.connection.offer(routes);
                Initialized::Success {
                    environment: ENVIRONMENT,
                    invalid_slugs,
                    organization: Organization { name, slug: &slug },
                    dashboard_url: &dashboard_url,
                    warnings: [],
                }
            }
            Err(message) => Initialized::Error { message },
        };
        let is_success = matches!(reply, Initialized::Success { .. });
        self.say(socket, &rpc::response(id, rpc::INITIALIZE_HOST, reply)).await?;
        self.introduction = is_success.then(|| own(self.sent));
        Ok(())
    }

    /// What was done is answered.
    async fn reply(&mut self, socket: &mut WebSocket, done: Done) -> Spoken {
        if done.result != Ok(true) && done.is_claimed {
            self.connection.disclaims(&done.transaction);
        }
        let Some((id, method)) = done.reply else { return Ok(()) };
        let response = match done.result {
            Err(message) if method == rpc::SEND_IO_CALL => rpc::response(&id, &method, IoRefused { message }),
            result => rpc::response(&id, &method, result.unwrap_or(false)),
        };
        self.say(socket, &response).await
    }

    async fn pass_on(&mut self, socket: &mut WebSocket, number: u64, message: ToHost) -> Spoken {
        let id = format!("{LINE}{number}");
        match rpc::call_of(&id, &message) {
            Ok(call) => {
                if let ToHost::OpenPage { page_key, .. } = message
                    && self.opening.len() < OPENING_MAX
                {
                    self.opening.insert(id.clone(), page_key);
                }
                send(socket, Message::Text(envelope::message(&id, &call).into())).await
            }
            Err(error) => {
                tracing::error!(%error, "a host cannot be told what is no object");
                self.connection.confirm(number);
                Ok(())
            }
        }
    }

    async fn say(&mut self, socket: &mut WebSocket, data: &str) -> Spoken {
        self.sent += 1;
        send(socket, Message::Text(envelope::message(&own(self.sent), data).into())).await
    }
}

/// What the ids of messages from the host's line begin with.
const LINE: &str = "line-";

fn own(number: u64) -> String {
    format!("own-{number}")
}

/// A host that takes nothing for so long is gone.
async fn send(socket: &mut WebSocket, message: Message) -> Spoken {
    match tokio::time::timeout(HOST_SILENCE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Closing::Gone),
        Err(_) => Err(Closing::Silent),
    }
}

fn broken(error: axum::Error) -> Closing {
    match error.into_inner().downcast_ref() {
        Some(tungstenite::Error::Capacity(_)) => Closing::TooLarge,
        _ => Closing::Gone,
    }
}

/// A server is its own organization, and known by where it is reached.
pub fn organization(origin: &str) -> (&str, String) {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let slug = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    (name, slug)
}

/// What a host said of a run.
struct Asked {
    /// The id and the method of the call.
    reply: Option<(String, String)>,
    transaction: String,
    said: FromHost,
    /// It was not known to be this host's.
    is_claimed: bool,
    bytes: usize,
}

struct Done {
    reply: Option<(String, String)>,
    transaction: String,
    result: Result<bool, String>,
    is_claimed: bool,
    bytes: usize,
}

/// What a host said and is being done: of each run one at a time, in order.
struct Work {
    runs: Arc<dyn Runs>,
    account: LaneId,
    under_way: FuturesUnordered<Pending<Done>>,
    /// Behind what is under way, by run.
    waiting: HashMap<String, VecDeque<Asked>>,
    calls: usize,
    bytes: usize,
}

impl Work {
    fn new(runs: Arc<dyn Runs>, account: LaneId) -> Work {
        let (under_way, waiting) = Default::default();
        Work { runs, account, under_way, waiting, calls: 0, bytes: 0 }
    }

    fn has_room(&self) -> bool {
        self.calls < HOST_CALLS_MAX && self.bytes < HOST_CALLS_BYTES_MAX
    }

    fn push(&mut self, asked: Asked) {
        self.calls += 1;
        self.bytes += asked.bytes;
        match self.waiting.get_mut(&asked.transaction) {
            Some(line) => line.push_back(asked),
            None => {
                self.waiting.insert(asked.transaction.clone(), VecDeque::new());
                self.begin(asked);
            }
        }
    }

    fn begin(&mut self, asked: Asked) {
        let Asked { reply, transaction, said, is_claimed, bytes } = asked;
        let doing = self.runs.host_says(self.account, transaction.clone(), said);
        self.under_way.push(Box::pin(async move {
            let result = doing.await;
            Done { reply, transaction, result, is_claimed, bytes }
        }));
    }

    /// The next that is done; `None` when there is nothing to do.
    async fn next(&mut self) -> Option<Done> {
        let done = self.under_way.next().await?;
        self.calls -= 1;
        self.bytes -= done.bytes;
        match self.waiting.get_mut(&done.transaction).and_then(VecDeque::pop_front) {
            Some(next) => self.begin(next),
            None => drop(self.waiting.remove(&done.transaction)),
        }
        Some(done)
    }
}
