//! A run as a person and a program use it, over HTTP alone.

use serde_json::{Value, json};

use super::{
    eventually,
    hook::{Hook, Owner},
    http::Reply,
};

#[derive(Clone)]
pub struct Run {
    pub owner: Owner,
    pub id: String,
}

impl Run {
    /// A new run of one of a hook's actions.
    pub fn of(hook: &Hook, action: &str, params: &Value) -> Run {
        Run::begin(&hook.owner, action, params)
    }

    pub fn begin(owner: &Owner, action: &str, params: &Value) -> Run {
        let made = owner.post(&format!("/api/actions/{action}/runs"), &json!({ "params": params })).expect(201).json();
        Run { owner: owner.clone(), id: made["id"].as_str().expect("a run has an id").to_owned() }
    }

    /// The same run on a server that was started again.
    pub fn at(&self, address: &str) -> Run {
        let mut run = self.clone();
        run.owner.address = address.to_owned();
        run
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/api/runs/{}{rest}", self.id)
    }

    pub fn show(&self) -> Value {
        self.owner.get(&self.path("")).expect(200).json()
    }

    pub fn post(&self, verb: &str) -> Reply {
        self.owner.post(&self.path(verb), &json!({}))
    }

    /// What it asks, once it asks; fails when it ends instead.
    pub fn question(&self) -> Value {
        eventually("the run asks something", || {
            let run = self.show();
            assert!(matches!(run["status"].as_str(), Some("running" | "waiting" | "parked")), "{run}");
            (!run["question"].is_null()).then(|| run["question"].clone())
        })
    }

    /// The label of its question, once it has one.
    pub fn asks(&self) -> String {
        self.question()["toRender"][0]["label"].as_str().expect("a question has a label").to_owned()
    }

    pub fn try_answer(&self, key: &Value, values: &Value) -> Reply {
        self.owner.post(&self.path("/answers"), &json!({ "key": key, "values": values }))
    }

    /// Answers what it asks.
    pub fn answer(&self, values: &Value) {
        let question = self.question();
        self.try_answer(&question["key"], values).expect(200);
    }

    /// The run, once it is over or parked.
    pub fn ended(&self) -> Value {
        eventually("the run ends", || {
            let run = self.show();
            (!matches!(run["status"].as_str(), Some("running" | "waiting"))).then_some(run)
        })
    }

    /// What it came to; fails when it failed.
    pub fn result(&self) -> Value {
        let run = self.ended();
        assert_eq!(run["status"], "success", "{run}");
        run["result"].clone()
    }
}
