//! Hosts: programs that connected, what they offer, a line to each, and which of them has which run.
//!
//! Nothing here is kept: a host says anew what it offers whenever it connects, and which runs it has shows in what it
//! says of them. What must last is in the lanes of the runs.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use rules::{call::Json, record::LaneId};
use store::Pending;
use tokio::sync::Notify;

use crate::{
    HOST_ACCOUNTS_MAX, HOST_LINE_BYTES_MAX, HOST_LINE_MAX, HOST_RUNS_MAX, HOSTS_OF_ACCOUNT_MAX, ROUTES_SEEN_MAX,
};

/// What a host is told. Each may be told twice, when its connection broke in between: a host takes no notice of the
/// second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToHost {
    /// `context`: `{user, params, paramsMeta?, environment, action: {slug, url}}`.
    Start {
        transaction: String,
        slug: String,
        context: Json,
    },
    Answer {
        /// Or the key of a page.
        transaction: String,
        /// The `inputGroupKey` of the question.
        key: String,
        /// Of the `IO_RENDER` that is answered.
        id: String,
        /// `{kind: "RETURN" | "SET_STATE" | "CANCELED", values, valuesMeta?, choice?}`.
        response: Json,
    },
    /// Nobody looks at the run any more: what is left of it in the host can go.
    Close {
        transaction: String,
    },
    /// `context`: `{user, params, paramsMeta?, environment, page: {slug}}`.
    OpenPage {
        page_key: String,
        slug: String,
        context: Json,
    },
    ClosePage {
        page_key: String,
    },
}

/// What a host says of a run, or of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromHost {
    /// `IO_RENDER`.
    Io {
        call: Json,
    },
    /// `{label?, title?, description?, itemsInQueue?, itemsCompleted?}`.
    Loading(Json),
    Log {
        index: u32,
        text: String,
        at_ms: u64,
    },
    /// `{url}`, `{route, params?, paramsMeta?}` or `{action, …}`, and `replace?`.
    Redirect(Json),
    /// `{schemaVersion, status, data, meta?}`.
    Completed {
        is_success: bool,
        result: Json,
    },
    /// `LAYOUT`; `None` when the page shows nothing of its own.
    Page(Option<Json>),
}

/// Whoever keeps the runs of hosts.
///
/// - **Durable.** What `host_says` answers `Ok(true)` to is kept: the host forgets it.
/// - **Called twice.** A host says again what it was not answered to in time, and what was open when it reconnects.
///   The same is the same: a question by the `id` in its call, a line by its index, an end by its run. The second is
///   answered as the first. A question that has its answer already is answered again (`ToHost::Answer`): the host may
///   have lost it.
/// - **Ordered.** What a host says of one run comes in its order, each after the last was answered.
/// - `Ok(false)` and `Err` are final: a question that gets one of them rejects in the host, with the sentence of `Err`.
pub trait Runs: Send + Sync + 'static {
    fn host_says(&self, account: LaneId, transaction: String, said: FromHost) -> Pending<Result<bool, String>>;

    /// The line to a host ended, and it may be back in a moment. These runs were its own.
    fn host_left(&self, account: LaneId, transactions: Vec<String>);

    /// A host can be sent to; it may have been here a moment ago.
    fn host_came(&self, account: LaneId, instance: String);

    /// A host is gone for good, as far as one can tell: its process ended, or it did not come back in time. These runs
    /// were its own.
    fn host_went(&self, account: LaneId, instance: String, transactions: Vec<String>);
}

/// No host that is there can take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no connected host can take it")]
pub struct Offline;

/// An action or page of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The whole path: `users/create`.
    pub slug: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub is_page: bool,
    /// A page without one is a heading over what is below it.
    pub has_handler: bool,
    pub unlisted: bool,
    /// Of an action: whoever leaves does not cancel it.
    pub backgroundable: bool,
    pub warn_on_close: bool,
    /// `"entire-organization"` or `{teams: [slug]}`.
    pub access: Option<Json>,
}

/// A route, and whether a host that has it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    pub route: Route,
    pub is_online: bool,
}

/// All hosts of this process.
#[derive(Default)]
pub struct Hosts {
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    accounts: HashMap<LaneId, Room>,
    /// Connections are numbered: a greater one is newer.
    connections: u64,
}

/// The hosts of one account.
#[derive(Default)]
struct Room {
    hosts: HashMap<String, Host>,
    /// Which instance has a run or a page.
    holders: HashMap<String, String>,
    /// What was offered since the process began, newest word first.
    seen: BTreeMap<String, Route>,
}

struct Host {
    /// The newest; nothing that an older one says counts.
    connection: u64,
    /// Otherwise it is away, and may come back.
    is_connected: bool,
    /// When it first came, in connections.
    came: u64,
    /// It knows that it is known: before that, it takes no notice of what it is told.
    is_ready: bool,
    /// It took too little for too long. A new connection asks again for what it was not told.
    is_cut: bool,
    /// It lets its runs end, and begins none.
    is_leaving: bool,
    routes: HashMap<String, Route>,
    line: VecDeque<ToHost>,
    line_bytes: usize,
    /// Sent, and not yet acknowledged: sent again should the connection break.
    unconfirmed: VecDeque<(u64, ToHost)>,
    sent: u64,
    has: HashSet<String>,
    wake: Arc<Notify>,
}

impl Hosts {
    /// Puts a message into the line of a host: what begins something goes to the newest host that has the slug, all else
    /// to the one that has the run. That one may be away for a moment: the message waits.
    pub fn send(&self, account: LaneId, slug: &str, message: ToHost) -> Result<(), Offline> {
        let mut book = self.lock();
        let room = book.accounts.get_mut(&account).ok_or(Offline)?;
        let instance = match &message {
            ToHost::Start { .. } => room.newest(|route| route.slug == slug && !route.is_page),
            ToHost::OpenPage { .. } => room.newest(|route| route.slug == slug && route.is_page),
            ToHost::Answer { transaction, .. } | ToHost::Close { transaction } => {
                room.holders.get(transaction).cloned()
            }
            ToHost::ClosePage { page_key } => room.holders.get(page_key).cloned(),
        };
        let instance = instance.ok_or(Offline)?;
        let host = room.hosts.get_mut(&instance).ok_or(Offline)?;
        match &message {
            ToHost::Start { transaction: begun, .. } | ToHost::OpenPage { page_key: begun, .. } => {
                if host.has.len() >= HOST_RUNS_MAX || !host.has_place_for(&message) {
                    return Err(Offline);
                }
                let before = room.holders.insert(begun.clone(), instance.clone());
                host.has.insert(begun.clone());
                host.push(message.clone());
                // Whoever had it before speaks of it in vain from here on.
                if let Some(before) = before.filter(|before| *before != instance)
                    && let Some(before) = room.hosts.get_mut(&before)
                {
                    before.has.remove(begun);
                }
            }
            // There are no more of these than runs, and what a host may forget must reach it.
            ToHost::Close { transaction: ended } | ToHost::ClosePage { page_key: ended } => {
                host.has.remove(ended);
                room.holders.remove(ended);
                host.push(message);
            }
            ToHost::Answer { .. } if !host.has_place_for(&message) => {
                host.cut();
                return Err(Offline);
            }
            ToHost::Answer { .. } => host.push(message),
        }
        Ok(())
    }

    /// What the hosts of an account offer, or offered while this process ran, in the order of their slugs.
    pub fn offered(&self, account: LaneId) -> Vec<Offered> {
        let book = self.lock();
        let Some(room) = book.accounts.get(&account) else { return Vec::new() };
        room.seen.keys().filter_map(|slug| room.offered(slug)).collect()
    }

    pub fn route(&self, account: LaneId, slug: &str) -> Option<Offered> {
        self.lock().accounts.get(&account)?.offered(slug)
    }

    /// The runs that an instance has.
    pub fn held_by(&self, account: LaneId, instance: &str) -> Vec<String> {
        let book = self.lock();
        let host = book.accounts.get(&account).and_then(|room| room.hosts.get(instance));
        host.map_or_else(Vec::new, |host| host.has.iter().cloned().collect())
    }

    /// Whether some host has this run, though it may be away for a moment.
    pub fn is_held(&self, account: LaneId, transaction: &str) -> bool {
        self.lock().accounts.get(&account).is_some_and(|room| room.holders.contains_key(transaction))
    }

    /// Whether the host that has this run is there.
    pub fn is_with(&self, account: LaneId, transaction: &str) -> bool {
        let book = self.lock();
        let room = book.accounts.get(&account);
        room.and_then(|room| room.hosts.get(room.holders.get(transaction)?)).is_some_and(Host::is_there)
    }

    /// A new connection speaks for this instance from here on; an older one ends. `None`: the account has as many hosts
    /// as it may.
    pub fn connect(self: &Arc<Hosts>, account: LaneId, instance: String) -> Option<Connection> {
        let mut book = self.lock();
        book.connections += 1;
        let number = book.connections;
        if book.accounts.len() >= HOST_ACCOUNTS_MAX {
            book.accounts.retain(|_, room| !room.hosts.is_empty());
        }
        let room = book.accounts.entry(account).or_default();
        if room.hosts.len() >= HOSTS_OF_ACCOUNT_MAX && !room.hosts.contains_key(&instance) {
            return None;
        }
        let host = room.hosts.entry(instance.clone()).or_insert_with(|| Host::new(number));
        (host.connection, host.is_connected, host.is_ready, host.is_cut) = (number, true, false, false);
        // In the order in which it was sent, before all that was not.
        let Host { unconfirmed, line, line_bytes, .. } = &mut *host;
        for (_, message) in unconfirmed.drain(..).rev() {
            *line_bytes += bytes_of(&message);
            line.push_front(message);
        }
        host.wake.notify_waiters();
        let wake = host.wake.clone();
        Some(Connection { hosts: self.clone(), account, instance, number, wake })
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no thread panics while it holds this")
    }
}

impl Room {
    /// The newest host that begins things and has such a route.
    fn newest(&self, is_wanted: impl Fn(&Route) -> bool) -> Option<String> {
        let takes = |host: &Host| host.is_there() && !host.is_leaving && host.routes.values().any(&is_wanted);
        let found = self.hosts.iter().filter(|(_, host)| takes(host)).max_by_key(|(_, host)| host.came);
        found.map(|(instance, _)| instance.clone())
    }

    fn offered(&self, slug: &str) -> Option<Offered> {
        let there = self.hosts.values().filter(|host| host.is_there() && !host.is_leaving);
        let newest = there.filter(|host| host.routes.contains_key(slug)).max_by_key(|host| host.came);
        match newest.and_then(|host| host.routes.get(slug)) {
            Some(route) => Some(Offered { route: route.clone(), is_online: true }),
            None => self.seen.get(slug).map(|route| Offered { route: route.clone(), is_online: false }),
        }
    }
}

impl Host {
    fn new(came: u64) -> Host {
        Host {
            connection: came,
            is_connected: false,
            came,
            is_ready: false,
            is_cut: false,
            is_leaving: false,
            routes: HashMap::new(),
            line: VecDeque::new(),
            line_bytes: 0,
            unconfirmed: VecDeque::new(),
            sent: 0,
            has: HashSet::new(),
            wake: Arc::default(),
        }
    }

    fn is_there(&self) -> bool {
        self.is_connected && self.is_ready && !self.is_cut
    }

    fn has_place_for(&self, message: &ToHost) -> bool {
        let fits = self.line_bytes + bytes_of(message) <= HOST_LINE_BYTES_MAX || self.line.is_empty();
        fits && self.line.len() + self.unconfirmed.len() < HOST_LINE_MAX
    }

    /// Ends the connection. What was answered is in the journals of the runs, and told when the host asks again.
    fn cut(&mut self) {
        self.is_cut = true;
        self.line.retain(|message| !matches!(message, ToHost::Answer { .. }));
        self.unconfirmed.retain(|(_, message)| !matches!(message, ToHost::Answer { .. }));
        self.line_bytes = self.line.iter().map(bytes_of).sum();
        self.wake.notify_waiters();
    }

    fn push(&mut self, message: ToHost) {
        self.line_bytes += bytes_of(&message);
        self.line.push_back(message);
        self.wake.notify_waiters();
    }

    fn pop(&mut self) -> Option<(u64, ToHost)> {
        let message = self.line.pop_front()?;
        self.line_bytes -= bytes_of(&message);
        self.sent += 1;
        self.unconfirmed.push_back((self.sent, message.clone()));
        Some((self.sent, message))
    }
}

fn bytes_of(message: &ToHost) -> usize {
    match message {
        ToHost::Start { context, .. } | ToHost::OpenPage { context, .. } => context.len(),
        ToHost::Answer { response, .. } => response.len(),
        ToHost::Close { .. } | ToHost::ClosePage { .. } => 0,
    }
}

/// One connection of a host. Dropped, the host is away.
pub struct Connection {
    hosts: Arc<Hosts>,
    account: LaneId,
    instance: String,
    number: u64,
    wake: Arc<Notify>,
}

impl Connection {
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// What the host offers from here on.
    pub fn offer(&self, routes: Vec<Route>) {
        self.change(|room, instance| {
            for route in &routes {
                if room.seen.len() < ROUTES_SEEN_MAX || room.seen.contains_key(&route.slug) {
                    room.seen.insert(route.slug.clone(), route.clone());
                }
            }
            let host = room.hosts.get_mut(instance).expect("this connection speaks for it");
            host.routes = routes.into_iter().map(|route| (route.slug.clone(), route)).collect();
        });
    }

    /// The host listens. `false`: it did before.
    pub fn begin(&self) -> bool {
        let was_ready = self.of_host(|host| std::mem::replace(&mut host.is_ready, true));
        self.wake.notify_waiters();
        was_ready == Some(false)
    }

    /// Nothing more begins there.
    pub fn leave(&self) {
        self.of_host(|host| host.is_leaving = true);
    }

    /// The next message and its number; it is sent again by the next connection unless it is `confirm`ed. `None` when
    /// another connection speaks for this instance, or should.
    ///
    /// Nothing is lost when this is dropped before it is ready.
    pub async fn next(&self) -> Option<(u64, ToHost)> {
        loop {
            let mut woken = std::pin::pin!(self.wake.notified());
            // From here on no call is missed.
            woken.as_mut().enable();
            match self.of_host(|host| (host.is_cut, if host.is_there() { host.pop() } else { None })) {
                Some((false, Some(next))) => return Some(next),
                Some((false, None)) => woken.await,
                Some((true, _)) | None => return None,
            }
        }
    }

    pub fn confirm(&self, number: u64) {
        self.of_host(|host| host.unconfirmed.retain(|(sent, _)| *sent != number));
    }

    /// Whether what this host says of a run counts: it does unless another host has the run.
    pub fn may_speak_of(&self, transaction: &str) -> bool {
        let book = self.hosts.lock();
        let holder = book.accounts.get(&self.account).and_then(|room| room.holders.get(transaction));
        holder.is_none_or(|holder| *holder == self.instance)
    }

    /// The host speaks of a run that nobody has: it may have begun before this process did. `false`: it is known whose
    /// the run is.
    pub fn claims(&self, transaction: &str) -> bool {
        let claimed = self.change(|room, instance| {
            let host = room.hosts.get_mut(instance).expect("this connection speaks for it");
            let is_new = host.has.len() < HOST_RUNS_MAX && !room.holders.contains_key(transaction);
            if is_new {
                host.has.insert(transaction.to_owned());
                room.holders.insert(transaction.to_owned(), instance.to_owned());
            }
            is_new
        });
        claimed == Some(true)
    }

    /// The run is not this host's after all.
    pub fn disclaims(&self, transaction: &str) {
        self.change(|room, instance| {
            if room.holders.get(transaction).is_some_and(|holder| holder == instance) {
                room.holders.remove(transaction);
            }
            room.hosts.get_mut(instance).expect("this connection speaks for it").has.remove(transaction);
        });
    }

    /// Ends the connection. The host may come back with another one; should it not have by the time that somebody calls
    /// `give_up`, it is gone.
    pub fn end(self) -> Away {
        Away { hosts: self.hosts.clone(), account: self.account, instance: self.instance.clone(), number: self.number }
    }

    fn of_host<T>(&self, change: impl FnOnce(&mut Host) -> T) -> Option<T> {
        self.change(|room, instance| change(room.hosts.get_mut(instance).expect("this connection speaks for it")))
    }

    /// `None` when another connection speaks for the instance.
    fn change<T>(&self, change: impl FnOnce(&mut Room, &str) -> T) -> Option<T> {
        let mut book = self.hosts.lock();
        let room = book.accounts.get_mut(&self.account)?;
        let speaks = room.hosts.get(&self.instance)?.connection == self.number;
        speaks.then(|| change(room, &self.instance))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.of_host(|host| host.is_connected = false);
    }
}

/// A host whose connection ended.
pub struct Away {
    hosts: Arc<Hosts>,
    pub account: LaneId,
    pub instance: String,
    number: u64,
}

impl Away {
    /// Forgets the host, unless it came back. The runs that it had.
    pub fn give_up(&self) -> Option<Vec<String>> {
        let mut book = self.hosts.lock();
        let room = book.accounts.get_mut(&self.account)?;
        let host = room.hosts.get(&self.instance)?;
        if host.is_connected || host.connection != self.number {
            return None;
        }
        let host = room.hosts.remove(&self.instance)?;
        room.holders.retain(|_, holder| *holder != self.instance);
        Some(host.has.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: LaneId = LaneId(1);

    fn route(slug: &str, is_page: bool) -> Route {
        Route {
            slug: slug.to_owned(),
            name: None,
            description: None,
            is_page,
            has_handler: is_page,
            unlisted: false,
            backgroundable: true,
            warn_on_close: true,
            access: None,
        }
    }

    fn start(transaction: &str) -> ToHost {
        ToHost::Start { transaction: transaction.to_owned(), slug: "a".to_owned(), context: "{}".into() }
    }

    fn answer(transaction: &str) -> ToHost {
        let (key, id) = ("k".to_owned(), "i".to_owned());
        ToHost::Answer { transaction: transaction.to_owned(), key, id, response: "{}".into() }
    }

    fn connected(hosts: &Arc<Hosts>, instance: &str) -> Connection {
        let connection = hosts.connect(ACCOUNT, instance.to_owned()).expect("a place");
        connection.offer(vec![route("a", false), route("p", true)]);
        assert!(connection.begin());
        connection
    }

    async fn soon(connection: &Connection) -> Option<(u64, ToHost)> {
        tokio::time::timeout(std::time::Duration::from_millis(50), connection.next()).await.ok().flatten()
    }

    #[tokio::test]
    async fn what_begins_goes_to_the_newest_host_and_the_rest_to_the_one_that_has_the_run() {
        let hosts = Arc::new(Hosts::default());
        assert_eq!(hosts.send(ACCOUNT, "a", start("r1")), Err(Offline));
        let old = connected(&hosts, "old");
        hosts.send(ACCOUNT, "a", start("r1")).expect("old takes it");
        let new = connected(&hosts, "new");
        hosts.send(ACCOUNT, "a", start("r2")).expect("new takes it");
        hosts.send(ACCOUNT, "a", answer("r1")).expect("old has it");
        assert_eq!(hosts.send(ACCOUNT, "p", start("r3")), Err(Offline), "a page is no action");
        assert_eq!(hosts.send(LaneId(2), "a", start("r3")), Err(Offline), "somebody else's");
        assert_eq!(old.next().await, Some((1, start("r1"))));
        assert_eq!(old.next().await, Some((2, answer("r1"))));
        assert_eq!(new.next().await, Some((1, start("r2"))));
        assert!(old.may_speak_of("r1") && !new.may_speak_of("r1") && new.may_speak_of("unknown"));
        new.leave();
        hosts.send(ACCOUNT, "a", start("r3")).expect("old takes it");
        assert_eq!(old.next().await, Some((3, start("r3"))));
    }

    #[tokio::test]
    async fn what_was_not_confirmed_is_sent_again_first_and_in_its_order() {
        let hosts = Arc::new(Hosts::default());
        let first = connected(&hosts, "i");
        for message in [start("r1"), answer("r1"), answer("r1"), start("r2")] {
            hosts.send(ACCOUNT, "a", message).expect("there");
        }
        let mut sent = Vec::new();
        for _ in 0..3 {
            sent.push(first.next().await.expect("a message"));
        }
        first.confirm(2);
        let away = first.end();
        assert_eq!(hosts.offered(ACCOUNT).iter().map(|offered| offered.is_online).collect::<Vec<_>>(), [false, false]);
        assert_eq!(hosts.send(ACCOUNT, "a", start("r3")), Err(Offline), "nothing begins there");
        hosts.send(ACCOUNT, "a", answer("r2")).expect("it may come back");
        let second = connected(&hosts, "i");
        assert_eq!(away.give_up(), None, "it came back");
        let mut again = Vec::new();
        while let Some((_, message)) = soon(&second).await {
            again.push(message);
        }
        assert_eq!(again, [start("r1"), answer("r1"), start("r2"), answer("r2")]);
    }

    #[tokio::test]
    async fn a_host_hears_nothing_before_it_is_ready_and_an_older_connection_nothing_any_more() {
        let hosts = Arc::new(Hosts::default());
        let first = connected(&hosts, "i");
        let second = hosts.connect(ACCOUNT, "i".to_owned()).expect("a place");
        assert_eq!(first.next().await, None, "it was replaced");
        second.offer(vec![route("a", false)]);
        assert_eq!(hosts.send(ACCOUNT, "a", start("r1")), Err(Offline), "it is not ready");
        assert!(second.begin() && !second.begin());
        drop(first);
        hosts.send(ACCOUNT, "a", start("r1")).expect("the older one's end is not its own");
        assert_eq!(second.next().await, Some((1, start("r1"))));
    }

    #[test]
    fn a_host_that_does_not_come_back_leaves_its_runs_and_its_routes_are_still_known() {
        let hosts = Arc::new(Hosts::default());
        let connection = connected(&hosts, "i");
        hosts.send(ACCOUNT, "a", start("r1")).expect("there");
        assert!(connection.claims("r0") && !connection.claims("r0"));
        let away = connection.end();
        let runs: HashSet<_> = away.give_up().expect("it is gone").into_iter().collect();
        assert_eq!(runs, HashSet::from(["r0".to_owned(), "r1".to_owned()]));
        assert_eq!(away.give_up(), None, "once");
        assert_eq!(hosts.send(ACCOUNT, "a", answer("r1")), Err(Offline));
        let offered = hosts.offered(ACCOUNT);
        assert_eq!(offered.len(), 2);
        assert!(offered.iter().all(|offered| !offered.is_online));
        let other = connected(&hosts, "j");
        assert!(other.claims("r1"));
        hosts.send(ACCOUNT, "a", answer("r1")).expect("it turned out to be this one's");
        other.disclaims("r1");
        assert_eq!(hosts.send(ACCOUNT, "a", answer("r1")), Err(Offline), "and then it did not");
    }

    #[tokio::test]
    async fn a_line_has_an_end() {
        let hosts = Arc::new(Hosts::default());
        let connection = connected(&hosts, "i");
        hosts.send(ACCOUNT, "a", start("r1")).expect("there");
        let taken = (0..2 * HOST_LINE_MAX).take_while(|_| hosts.send(ACCOUNT, "a", answer("r1")).is_ok()).count();
        assert_eq!(taken, HOST_LINE_MAX - 1);
        hosts.send(ACCOUNT, "a", ToHost::Close { transaction: "r1".to_owned() }).expect("an end always fits");
        assert_eq!(connection.next().await, None, "a host that takes nothing has to come back");
        let again = connected(&hosts, "i");
        assert_eq!(again.next().await, Some((1, start("r1"))), "what it cannot ask for again is still there");
    }
}
