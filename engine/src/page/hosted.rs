//! Pages of hooks: their code is played as a run's is, and nothing of it is kept.

use std::sync::Arc;

use rules::{
    call::{Error, Json},
    record::LaneId,
    refusal::Refusal,
    run::{Begun, Ending, Origin, Run},
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::{Open, Page, Shown};
use crate::{
    Engine, PAGE_LOGS_MAX, PAGE_MOVES_MAX, PAGE_MOVES_WAITING_MAX,
    action::Hosted,
    run::{Active, State},
};

/// One look at a page, from its opening until nobody looks.
struct Look {
    engine: Engine,
    begun: Begun,
    active: Arc<Active>,
    /// Where people are in its parts.
    states: Vec<Value>,
    /// They moved, and the code does not know yet.
    is_behind: bool,
    /// How often the code was told where they are since it began.
    moves: usize,
}

impl Engine {
    /// Opens a page of a hook, in its published version.
    pub fn open_hosted_page(&self, owner: LaneId, page: Hosted, context: Json) -> Result<Page, Refusal> {
        let Hosted { hook, version, slug, declared } = page;
        let (shown, moves) = (watch::Sender::default(), mpsc::channel(PAGE_MOVES_WAITING_MAX));
        let page = self.enter_page(Open { owner, shown: shown.clone(), moves: Some(moves.0) })?;
        let begun = Begun {
            owner,
            origin: Origin::Hosted { hook, version },
            action: slug,
            declared: declared.slug,
            name: declared.name,
            description: declared.description,
            context,
            by: None,
            at: self.now(),
        };
        let active = self.look(begun.clone());
        let look = Look { engine: self.clone(), begun, active, states: Vec::new(), is_behind: false, moves: 0 };
        tokio::spawn(look.show(shown, moves.1));
        Ok(page)
    }
}

impl Look {
    async fn show(mut self, shown: watch::Sender<Shown>, mut moves: mpsc::Receiver<Vec<Value>>) {
        let mut changes = self.active.changes();
        loop {
            if self.go_on(&shown).await {
                changes = self.active.changes();
                continue;
            }
            tokio::select! {
                // It ends only with what is held here.
                _ = changes.changed() => {}
                moved = moves.recv() => match moved {
                    Some(values) => self.move_to(values),
                    None => break,
                },
            }
        }
        self.leave().await;
    }

    fn move_to(&mut self, values: Vec<Value>) {
        self.states.resize(self.states.len().max(values.len()), Value::Null);
        for (state, value) in self.states.iter_mut().zip(values).filter(|(_, value)| !value.is_null()) {
            *state = value;
        }
        self.is_behind = true;
    }

    /// Tells the code where people are and people what it shows; whether it had to begin anew for that.
    async fn go_on(&mut self, shown: &watch::Sender<Shown>) -> bool {
        let state = self.active.state().await;
        let is_shown = shown.borrow().layout.is_some();
        // While it works it shows what it did.
        if is_shown && state.run.is_busy() {
            return false;
        }
        let is_worn = self.moves >= PAGE_MOVES_MAX && self.is_behind;
        if self.moves > 0 && (is_worn || failure(&state.run).is_some()) {
            drop(state);
            self.begin_anew().await;
            return true;
        }
        let layout = state.run.layout().map(|call| call.name.id.clone());
        if let Some(key) = layout.filter(|_| self.is_behind && !state.run.is_busy()) {
            drop(state);
            let values = Value::from(self.states.clone()).to_string();
            let told = move |state: &mut State, at| Ok((Some(state.run.state(&key, values.into(), at)?), ()));
            let _ = self.engine.turn_of(self.active.clone(), told).await;
            self.moves += 1;
        } else {
            shown.send_replace(shown_of(&state));
        }
        self.is_behind = false;
        false
    }

    /// Its journal has grown long, or too long: it is played from its beginning, where people are now.
    async fn begin_anew(&mut self) {
        self.leave().await;
        let mut context: Value = serde_json::from_str(&self.begun.context).unwrap_or_default();
        context["states"] = Value::from(self.states.clone());
        self.begun = Begun { context: context.to_string().into(), at: self.engine.now(), ..self.begun.clone() };
        self.active = self.engine.look(self.begun.clone());
        (self.moves, self.is_behind) = (0, false);
    }

    /// What it is still at is left.
    async fn leave(&self) {
        let cancelled = |state: &mut State, at| Ok((Some(state.run.cancel(at)?), ()));
        let _ = self.engine.turn_of(self.active.clone(), cancelled).await;
    }
}

/// Why it does not go on.
fn failure(run: &Run) -> Option<Error> {
    match (&run.ended, &run.parked) {
        (Some((Ending::Failed(error), _)), _) => Some(error.clone()),
        (_, Some((_, message))) => Some(Error::plain("Error", message.clone())),
        _ => None,
    }
}

fn shown_of(state: &State) -> Shown {
    let run = &state.run;
    let layout = match failure(run) {
        Some(Error { name, message, .. }) => {
            let errors = json!([{ "error": name, "message": message }]);
            Some(json!({ "kind": "BASIC", "errors": errors }).to_string().into())
        }
        None => run.layout().map(|call| state.rendered(&call.name.id).unwrap_or(&call.payload).into()),
    };
    let logs = run.logs[run.logs.len().saturating_sub(PAGE_LOGS_MAX)..].to_vec();
    Shown { layout, redirect: run.redirect.clone(), logs, is_over: false }
}
