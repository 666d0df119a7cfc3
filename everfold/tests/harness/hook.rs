//! A hook as its owner and its visitors use it, over HTTP alone.

use serde_json::{Value, json};

use super::{
    eventually,
    http::{Ask, Reply},
    server::Server,
};

/// Somebody with an identity.
#[derive(Clone)]
pub struct Owner {
    pub address: String,
    pub jwt: String,
}

impl Owner {
    pub fn guest(server: &Server) -> Owner {
        let reply = Ask::new("POST", "/api/auth/guest-user").send(&server.address).expect(201);
        let jwt = reply.json()["jwt"].as_str().expect("a guest gets a jwt").to_owned();
        Owner { address: server.address.clone(), jwt }
    }

    /// Signs this guest in by a link that comes by e-mail: what it has becomes the user's.
    pub fn sign_in(&self, email: &str) -> Owner {
        self.post("/api/auth/signin", &json!({ "email": email })).expect(200);
        let mails = self.get("/api/dev/mail").expect(200).json();
        let mails = mails.as_array().or_else(|| mails["objects"].as_array()).expect("a list of mails").clone();
        let at = |mail: &&Value| mail["at"].as_u64();
        let newest = mails.iter().filter(|mail| mail["to"] == email).max_by_key(at).expect("a mail was sent");
        let made =
            self.post("/api/auth/validate-signin-token", &json!({ "token": newest["token"] })).expect(200).json();
        Owner { address: self.address.clone(), jwt: made["jwt"].as_str().expect("a user gets a jwt").to_owned() }
    }

    pub fn ask(&self, ask: Ask) -> Reply {
        ask.header("authorization", format!("Bearer {}", self.jwt)).send(&self.address)
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask(Ask::new("GET", path))
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask(Ask::new("POST", path).json(body))
    }

    pub fn put(&self, path: &str, body: &Value) -> Reply {
        self.ask(Ask::new("PUT", path).json(body))
    }

    pub fn hook(&self) -> Hook {
        let made = self.post("/api/hooks", &json!({})).expect(201).json();
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("a new hook is whole: {made}")).to_owned();
        Hook {
            owner: self.clone(),
            id: text(&made["id"]),
            write_key: text(&made["writeKeys"][0]),
            read_key: text(&made["readKeys"][0]),
        }
    }
}

#[derive(Clone)]
pub struct Hook {
    pub owner: Owner,
    pub id: String,
    pub write_key: String,
    pub read_key: String,
}

/// Proof that a request is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub id: String,
    pub seq: u64,
    pub hash: String,
}

impl Receipt {
    pub fn of(reply: &Reply) -> Receipt {
        Receipt::read(&reply.body)
    }

    pub fn read(body: &[u8]) -> Receipt {
        let body: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {body:?}"));
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {body}")).to_owned();
        Receipt { id: text("id"), seq: body["seq"].as_u64().expect("seq is a number"), hash: text("hash") }
    }
}

impl Hook {
    /// A new guest's hook that runs this code.
    pub fn running(server: &Server, code: &str) -> Hook {
        let hook = Owner::guest(server).hook();
        hook.publish(code);
        hook
    }

    /// The same hook on a server that was started again.
    pub fn at(&self, server: &Server) -> Hook {
        let mut hook = self.clone();
        hook.owner.address = server.address.clone();
        hook
    }

    pub fn api(&self, rest: &str) -> String {
        format!("/api/hooks/{}{rest}", self.id)
    }

    pub fn write_path(&self) -> String {
        format!("/write/{}", self.write_key)
    }

    /// Saves the code, publishes it, and waits until the whole history is folded again.
    pub fn publish(&self, code: &str) {
        self.save(code);
        self.owner.post(&self.api("/publish"), &json!({})).expect(200);
        self.replayed();
    }

    pub fn save(&self, code: &str) {
        self.owner.put(&self.api(""), &json!({"code": code})).expect(202);
    }

    pub fn replayed(&self) -> Value {
        eventually("the replay is done", || {
            let replay = self.owner.get(&self.api("/replay")).expect(200).json();
            assert_ne!(replay["status"], "failed", "{replay}");
            (replay["status"] == "done").then_some(replay)
        })
    }

    pub fn ask(&self, ask: Ask) -> Reply {
        ask.send(&self.owner.address)
    }

    pub fn write(&self, body: &Value) -> Reply {
        self.ask(Ask::new("POST", self.write_path()).json(body))
    }

    /// Writes and takes the receipt.
    pub fn keep(&self, body: &Value) -> Receipt {
        Receipt::of(&self.write(body).expect(202))
    }

    /// Writes and waits until it is folded.
    pub fn fold(&self, body: &Value) -> Receipt {
        let receipt = self.keep(body);
        self.settled(&receipt.id).expect(200);
        receipt
    }

    pub fn settled(&self, id: &str) -> Reply {
        self.ask(Ask::new("GET", format!("{}/settled/{id}", self.write_path())))
    }

    /// Reads with what stands behind the `?`.
    pub fn read(&self, query: &str) -> Reply {
        self.ask(Ask::new("GET", format!("/read/{}?{query}", self.read_key)))
    }

    pub fn state(&self) -> Value {
        self.read("").expect(200).json()
    }

    pub fn state_after(&self, seq: u64) -> Value {
        self.read(&format!("after={seq}")).expect(200).json()
    }

    /// One page, newest first, and the token of the next.
    pub fn history_page(&self, token: Option<&str>) -> (Vec<Value>, Option<String>) {
        let token = token.map(|token| format!("?token={token}")).unwrap_or_default();
        let page = self.owner.get(&self.api(&format!("/history{token}"))).expect(200).json();
        let objects = page["objects"].as_array().unwrap_or_else(|| panic!("no `objects` in {page}")).clone();
        (objects, page["nextToken"].as_str().map(str::to_owned))
    }

    /// Every request after `seq`, oldest first.
    pub fn history_after(&self, seq: u64) -> Vec<Value> {
        let mut all = vec![];
        let mut token = None;
        loop {
            let (page, next) = self.history_page(token.as_deref());
            let newer = page.iter().filter(|entry| entry["seq"].as_u64().expect("seq is a number") > seq);
            let before = all.len();
            all.extend(newer.cloned());
            if next.is_none() || all.len() - before < page.len() {
                all.reverse();
                return all;
            }
            token = next;
        }
    }

    pub fn history(&self) -> Vec<Value> {
        self.history_after(0)
    }

    /// Recomputes the chain; gives `{seq, hash, ok}`.
    pub fn verify(&self) -> Value {
        self.owner.get(&self.api("/verify")).expect(200).json()
    }
}
