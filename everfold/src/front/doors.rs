//! Where keys lead.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rules::{access::Door, record::LaneId, refusal::Refusal, row};
use store::Store;

/// Which lanes keys lead to. A key never leads to another lane than it did.
pub struct Doors {
    store: Arc<dyn Store>,
    known: Mutex<HashMap<String, LaneId>>,
}

impl Doors {
    pub fn of(store: Arc<dyn Store>) -> Doors {
        Doors { store, known: Mutex::default() }
    }

    pub async fn lane(&self, key: &str) -> Result<Option<LaneId>, Refusal> {
        if let Some(lane) = self.known().get(key) {
            return Ok(Some(*lane));
        }
        let found = self.store.row(row::door(key)).await.map_err(|fault| {
            tracing::error!(%fault, "it is not known where a key leads");
            Refusal::OWNER_MISSING
        })?;
        let Some(Door { hook, .. }) = found.and_then(|found| row::decode(&found)) else { return Ok(None) };
        let mut known = self.known();
        if known.len() >= engine::DOORS_MAX {
            known.clear();
        }
        known.insert(key.to_owned(), hook);
        Ok(Some(hook))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, LaneId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
