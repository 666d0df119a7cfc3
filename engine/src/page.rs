//! Pages of connected hosts: opened by who looks at one, shown as the host shows them, closed when nobody looks.
//!
//! Nothing of a page is kept: it is opened anew by whoever comes next.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use rules::{call::Json, record::LaneId, refusal::Refusal};
use tokio::sync::watch;

use crate::{
    Engine, PAGES_MAX,
    host::{FromHost, ToHost},
};

/// The pages that somebody looks at, by their keys.
#[derive(Default)]
pub struct Pages {
    open: Mutex<HashMap<String, Open>>,
}

struct Open {
    owner: LaneId,
    shown: watch::Sender<Shown>,
}

/// What a page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// LAYOUT; `None` until the host sent one, and for a page that shows nothing of its own.
    pub layout: Option<Json>,
    /// Where it leads.
    pub redirect: Option<Json>,
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

    fn change(&self, owner: LaneId, key: &str, change: impl FnOnce(&mut Shown)) -> bool {
        let open = self.lock();
        let page = open.get(key).filter(|page| page.owner == owner);
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
        let key = format!("{KEY_PREFIX}{}", self.new_key());
        let shown = {
            let mut open = self.pages().lock();
            if open.len() >= PAGES_MAX {
                return Err(Refusal::BUSY);
            }
            let (sender, shown) = watch::channel(Shown::default());
            open.insert(key.clone(), Open { owner, shown: sender });
            shown
        };
        let page = Page { engine: self.clone(), key: key.clone(), shown };
        // A page without code of its own is a heading over what is below it: there is nothing to open.
        if offered.route.has_handler {
            let message = ToHost::OpenPage { page_key: key, slug: slug.to_owned(), context };
            self.hosts().send(owner, slug, message).map_err(|_| Refusal::ACTION_OFFLINE)?;
        }
        Ok(page)
    }

    /// A person moves in a page: pages of a table, filters.
    pub fn state_page(&self, owner: LaneId, key: &str, values: &str) -> Result<(), Refusal> {
        let layout = self
            .pages()
            .lock()
            .get(key)
            .filter(|page| page.owner == owner)
            .map(|page| page.shown.borrow().layout.clone());
        let layout = layout.ok_or(Refusal::PAGE_CLOSED)?.ok_or(Refusal::QUESTION_UNKNOWN)?;
        let (id, group) = children_of(&layout).ok_or(Refusal::QUESTION_UNKNOWN)?;
        let response = format!(r#"{{"kind":"SET_STATE","values":{values}}}"#).into();
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
        if let Some(Open { owner, .. }) = open {
            let _ = self.engine.hosts().send(owner, "", ToHost::ClosePage { page_key: self.key.clone() });
        }
    }
}

/// Id and key of what a layout renders.
fn children_of(layout: &str) -> Option<(String, String)> {
    let layout: serde_json::Value = serde_json::from_str(layout).ok()?;
    let text = |key: &str| layout["children"][key].as_str().map(str::to_owned);
    Some((text("id")?, text("inputGroupKey")?))
}
