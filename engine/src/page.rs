//! Pages: opened by who looks at one, shown as their code shows them, closed when nobody looks.
//!
//! Nothing of a page is kept: it is opened anew by whoever comes next.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use rules::{call::Json, record::LaneId, refusal::Refusal, run::Log};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use crate::{
    Engine, PAGES_MAX, PAGES_OF_ACCOUNT_MAX,
    host::{FromHost, ToHost},
};

mod hosted;

/// The pages that somebody looks at, by their keys.
#[derive(Default)]
pub struct Pages {
    open: Mutex<HashMap<String, Open>>,
}

struct Open {
    owner: LaneId,
    shown: watch::Sender<Shown>,
    /// Takes how people move in a hosted page, for each of its parts a state or null. A connected one has its host.
    moves: Option<mpsc::Sender<Vec<Value>>>,
}

/// What a page shows.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// LAYOUT; `None` until there is one, and for a page that shows nothing of its own.
    pub layout: Option<Json>,
    /// Where it leads.
    pub redirect: Option<Json>,
    /// What a hosted page logged last.
    pub logs: Vec<Log>,
    /// The host is gone.
    pub is_over: bool,
}

/// Somebody looks at a page. Dropped, nobody does.
pub struct Page {
    engine: Engine,
    pub key: String,
    pub shown: watch::Receiver<Shown>,
}

impl Pages {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        self.open.lock().expect("no thread panics while it holds this")
    }

    /// Changes what a connected page shows.
    fn change(&self, owner: LaneId, key: &str, change: impl FnOnce(&mut Shown)) -> bool {
        let open = self.lock();
        let page = open.get(key).filter(|page| page.owner == owner && page.moves.is_none());
        page.map(|page| page.shown.send_modify(change)).is_some()
    }
}

/// What a key of a page begins with: no run's transaction does.
const KEY_PREFIX: &str = "page-";

pub fn is_page(transaction: &str) -> bool {
    transaction.starts_with(KEY_PREFIX)
}

impl Engine {
    /// Opens a page with the newest host that has it. `context`: `{user, params, paramsMeta?, environment, page: {slug}}`.
    pub fn open_page(&self, owner: LaneId, slug: &str, context: Json) -> Result<Page, Refusal> {
        let offered = self.hosts().route(owner, slug).filter(|offered| offered.route.is_page);
        let offered = offered.ok_or(Refusal::ACTION_UNKNOWN)?;
        if !offered.is_online {
            return Err(Refusal::ACTION_OFFLINE);
        }
        let page = self.enter_page(Open { owner, shown: watch::Sender::default(), moves: None })?;
        // A page without code of its own is a heading over what is below it: there is nothing to open.
        if offered.route.has_handler {
            let message = ToHost::OpenPage { page_key: page.key.clone(), slug: slug.to_owned(), context };
            self.hosts().send(owner, slug, message).map_err(|_| Refusal::ACTION_OFFLINE)?;
        }
        Ok(page)
    }

    fn enter_page(&self, page: Open) -> Result<Page, Refusal> {
        let mut open = self.pages().lock();
        if open.len() >= PAGES_MAX {
            return Err(Refusal::BUSY);
        }
        if open.values().filter(|other| other.owner == page.owner).count() >= PAGES_OF_ACCOUNT_MAX {
            let detail = format!("An account looks at no more than {PAGES_OF_ACCOUNT_MAX} pages at a time.");
            return Err(Refusal::BUSY.because(detail));
        }
        let key = format!("{KEY_PREFIX}{}", self.new_key());
        let shown = page.shown.subscribe();
        open.insert(key.clone(), page);
        Ok(Page { engine: self.clone(), key, shown })
    }

    /// A person moves in a page: pages of a table, filters.
    pub async fn state_page(&self, owner: LaneId, key: &str, values: Vec<Value>) -> Result<(), Refusal> {
        let (layout, moves) = {
            let open = self.pages().lock();
            let page = open.get(key).filter(|page| page.owner == owner).ok_or(Refusal::PAGE_CLOSED)?;
            (page.shown.borrow().layout.clone(), page.moves.clone())
        };
        let layout = layout.ok_or(Refusal::QUESTION_UNKNOWN)?;
        if let Some(moves) = moves {
            return moves.send(values).await.map_err(|_| Refusal::PAGE_CLOSED);
        }
        let (id, group) = children_of(&layout).ok_or(Refusal::QUESTION_UNKNOWN)?;
        let response = format!(r#"{{"kind":"SET_STATE","values":{}}}"#, Value::from(values)).into();
        let message = ToHost::Answer { transaction: key.to_owned(), key: group, id, response };
        self.hosts().send(owner, "", message).map_err(|_| Refusal::ACTION_OFFLINE)
    }

    pub(crate) fn page_says(&self, owner: LaneId, key: &str, said: FromHost) -> bool {
        self.pages().change(owner, key, |shown| match said {
            FromHost::Page(layout) => shown.layout = layout,
            FromHost::Redirect(to) => shown.redirect = Some(to),
            _ => {}
        })
    }

    /// Their host is gone.
    pub(crate) fn pages_over(&self, owner: LaneId, keys: &[String]) {
        for key in keys.iter().filter(|key| is_page(key)) {
            self.pages().change(owner, key, |shown| shown.is_over = true);
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let open = self.engine.pages().lock().remove(&self.key);
        if let Some(Open { owner, moves: None, .. }) = open {
            let _ = self.engine.hosts().send(owner, "", ToHost::ClosePage { page_key: self.key.clone() });
        }
    }
}

/// Id and key of what a layout renders.
fn children_of(layout: &str) -> Option<(String, String)> {
    let layout: Value = serde_json::from_str(layout).ok()?;
    let text = |key: &str| layout["children"][key].as_str().map(str::to_owned);
    Some((text("id")?, text("inputGroupKey")?))
}
