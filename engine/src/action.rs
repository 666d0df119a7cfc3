//! Which actions there are: those of published hooks, found by asking their code once.

use std::{collections::HashMap, sync::Arc};

use rules::{
    account::Account,
    call::{Json, run::Declared},
    hook::Config,
    record::{At, LaneId},
    refusal::Refusal,
    row::{self, Source},
    run::{Begun, Origin},
};

use crate::{ACTION_HOOKS_MAX, DESCRIBED_MAX, Engine, lanes::fault};

/// An action of a hook.
#[derive(Clone, Debug)]
pub struct Hosted {
    pub hook: LaneId,
    pub version: u32,
    /// By which its owner calls it: as its hook does, unless another hook has one of the same name.
    pub slug: String,
    pub declared: Declared,
}

/// What published versions declared when they were last asked; a version never changes.
pub type Described = HashMap<(LaneId, u32), Arc<[Declared]>>;

impl Hosted {
    /// What a run of it begins with.
    pub(crate) fn begun(self, owner: LaneId, context: Json, by: Option<String>, at: At) -> Begun {
        let Hosted { hook, version, slug, declared } = self;
        Begun {
            owner,
            origin: Origin::Hosted { hook, version },
            action: slug,
            declared: declared.slug,
            name: declared.name,
            description: declared.description,
            context,
            by,
            at,
        }
    }
}

impl Engine {
    /// The actions of an account's hooks, hook by hook.
    pub async fn hosted_actions(&self, account: &Account) -> Result<Vec<Hosted>, Refusal> {
        let mut found: Vec<(Hosted, String)> = Vec::new();
        for hook in self.hooks_of_account(account, ACTION_HOOKS_MAX).await? {
            let bytes = self.world().store.row(row::hook(hook)).await.map_err(fault)?;
            let Some(config) = bytes.and_then(|bytes| row::decode::<Config>(&bytes)) else { continue };
            let Some(version) = config.published.as_ref().map(|version| version.version) else { continue };
            for declared in &*self.declared(hook, version).await? {
                let hosted = Hosted { hook, version, slug: declared.slug.clone(), declared: declared.clone() };
                found.push((hosted, config.name.clone()));
            }
        }
        let mut count: HashMap<String, usize> = HashMap::new();
        for (hosted, _) in &found {
            *count.entry(hosted.slug.clone()).or_default() += 1;
        }
        let own = |(mut hosted, hook): (Hosted, String)| {
            if count[&hosted.slug] > 1 {
                hosted.slug = format!("{}/{}", slug_of(&hook), hosted.slug);
            }
            hosted
        };
        Ok(found.into_iter().map(own).collect())
    }

    /// What a version of a hook declares.
    async fn declared(&self, hook: LaneId, version: u32) -> Result<Arc<[Declared]>, Refusal> {
        if let Some(known) = self.described().get(&(hook, version)) {
            return Ok(known.clone());
        }
        let bytes = self.world().store.row(row::source(hook, version)).await.map_err(fault)?;
        let Some(Source { source, .. }) = bytes.and_then(|bytes| row::decode(&bytes)) else { return Ok([].into()) };
        // Most hooks have none, and need not be asked.
        let declared: Arc<[Declared]> =
            if source.contains("actions") { self.describe(source).await?.actions.into() } else { [].into() };
        let mut described = self.described();
        if described.len() >= DESCRIBED_MAX {
            described.clear();
        }
        described.insert((hook, version), declared.clone());
        Ok(declared)
    }
}

/// A hook's name as part of a slug.
fn slug_of(name: &str) -> String {
    name.chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '-' })
        .collect()
}
