//! Guests, links, users, keys and settings, as people and programs meet them.

mod harness;

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use harness::{
    eventually,
    hook::{Hook, Owner},
    http::{Ask, Reply},
    server::{Server, everfold},
    smtp::{MailServer, PASSWORD},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const COUNT: &str = "export const reducer = (state, request) => (state ?? 0) + 1;";

/// Somebody with the pair that a sign-in gives.
struct Person {
    owner: Owner,
    refresh_token: String,
}

impl Person {
    #[track_caller]
    fn of(server: &Server, reply: Reply) -> Person {
        let pair = reply.json();
        let text = |name: &str| pair[name].as_str().unwrap_or_else(|| panic!("no {name} in {pair}")).to_owned();
        let owner = Owner { address: server.address.clone(), jwt: text("jwt") };
        Person { owner, refresh_token: text("refreshToken") }
    }

    fn guest(server: &Server) -> Person {
        Person::of(server, Ask::new("POST", "/api/auth/guest-user").send(&server.address).expect(201))
    }

    /// A user whom nobody was before.
    fn user(server: &Server, email: &str) -> Person {
        let guest = Person::guest(server);
        let token = guest.link(email);
        Person::of(server, follow(server, &token, None).expect(200))
    }

    fn ask_for_link(&self, email: &str) -> Reply {
        self.owner.post("/api/auth/signin", &json!({ "email": email }))
    }

    /// The token of a link that this guest asks for.
    #[track_caller]
    fn link(&self, email: &str) -> String {
        assert_eq!(self.ask_for_link(email).expect(200).json(), json!({}));
        newest_token(&self.owner.address, &email.trim().to_lowercase()).expect("a mail was sent")
    }

    fn me(&self) -> Reply {
        self.owner.get("/api/auth/me")
    }

    fn refresh(&self) -> Reply {
        self.owner.post("/api/auth/refresh-token", &json!({ "token": self.refresh_token }))
    }

    fn hooks(&self) -> Vec<String> {
        let page = self.owner.get("/api/hooks").expect(200).json();
        let mut ids: Vec<_> =
            page["objects"].as_array().expect("a list").iter().map(|hook| text(&hook["id"])).collect();
        ids.sort();
        ids
    }

    fn key(&self, kind: &str) -> (String, String) {
        let made = self.owner.post("/api/keys", &json!({ "type": kind, "name": "laptop" })).expect(201).json();
        (text(&made["id"]), text(&made["key"]))
    }

    fn keys(&self) -> Vec<Value> {
        self.owner.get("/api/keys").expect(200).json()["objects"].as_array().expect("a list").clone()
    }

    fn delete(&self, path: &str) -> Reply {
        self.owner.ask(Ask::new("DELETE", path))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn mails(address: &str, email: &str) -> Vec<Value> {
    let all = Ask::new("GET", "/api/dev/mail").send(address).expect(200).json();
    all.as_array().expect("a list").iter().filter(|mail| mail["to"] == email).cloned().collect()
}

fn newest_token(address: &str, email: &str) -> Option<String> {
    mails(address, email).last().map(|mail| text(&mail["token"]))
}

fn follow(server: &Server, token: &str, caller: Option<&Person>) -> Reply {
    let ask = Ask::new("POST", "/api/auth/validate-signin-token").json(&json!({ "token": token }));
    match caller {
        Some(caller) => caller.owner.ask(ask),
        None => ask.send(&server.address),
    }
}

/// A server that anybody could reach: with a mail server, and what else it is told.
fn public(smtp: &str, settings: &[(&str, &str)]) -> (Server, TempDir) {
    let data = tempfile::tempdir().expect("a folder for the data");
    let mut command = everfold();
    command.env("EVERFOLD_SMTP", smtp).envs(settings.iter().copied());
    (Server::start_by(command, data.path()), data)
}

#[test]
fn a_link_turns_a_guests_things_into_the_users() {
    let server = Server::start();
    let guest = Person::guest(&server);
    assert_eq!(guest.me().expect(200).json()["workflowState"], "guest");
    let hook = guest.owner.hook();
    hook.publish(COUNT);
    hook.fold(&json!({}));
    let (_, key) = guest.key("api");
    let job = |order: Value| guest.owner.post("/api/jobs", &order).expect(202).json()["id"].clone();
    let [done, waits] =
        [json!({"code": "40 + 2", "where": "server"}), json!({"code": "1", "inputs": [1, 2], "where": "tab"})].map(job);
    let seen = |owner: &Owner, id: &Value| owner.get(&format!("/api/jobs/{}?wait=20", id.as_str().expect("an id")));
    assert_eq!(seen(&guest.owner, &done).expect(200).json()["result"], 42);

    let token = guest.link("Ada@Example.com ");
    let user = Person::of(&server, follow(&server, &token, Some(&guest)).expect(200));
    let me = user.me().expect(200).json();
    assert_eq!((&me["email"], &me["workflowState"]), (&json!("ada@example.com"), &json!("user")), "{me}");
    assert_eq!(user.hooks(), std::slice::from_ref(&hook.id));
    let owned = Hook { owner: user.owner.clone(), ..hook.clone() };
    owned.fold(&json!({}));
    assert_eq!(owned.state(), 2, "its keys and its past stay");
    assert_eq!(owned.verify()["ok"], true);

    let job = seen(&user.owner, &done).expect(200).json();
    assert_eq!((&job["status"], &job["result"], &job["code"]), (&json!("done"), &json!(42), &json!("40 + 2")), "{job}");
    let listed = user.owner.get("/api/jobs").expect(200).json();
    let ids: Vec<&Value> = listed["objects"].as_array().expect("a list").iter().map(|job| &job["id"]).collect();
    assert_eq!(ids, [&waits, &done], "newest first");

    let by_key = Owner { jwt: key, ..user.owner.clone() };
    by_key.get(&hook.api("")).expect(200);
    assert_eq!(user.keys().len(), 1, "a guest's key is the user's to revoke");
    guest.me().problem(401, "identity_invalid");
    guest.refresh().problem(400, "token_invalid");
    guest.owner.get(&hook.api("")).problem(401, "identity_invalid");
}

#[test]
fn only_the_guest_that_asked_and_follows_is_merged() {
    let server = Server::start();
    let [asker, other] = [Person::guest(&server), Person::guest(&server)];
    let [hook, others] = [asker.owner.hook(), other.owner.hook()];
    for (email, caller) in [("a@example.com", None), ("b@example.com", Some(&other))] {
        let token = asker.link(email);
        let user = Person::of(&server, follow(&server, &token, caller).expect(200));
        assert!(user.hooks().is_empty(), "{email}");
        user.owner.get(&hook.api("")).problem(403, "hook_foreign");
    }
    assert_eq!((asker.hooks(), other.hooks()), (vec![hook.id.clone()], vec![others.id]));

    // Whoever followed a link may follow the next one, too, and take what the second guest has.
    let token = asker.link("a@example.com");
    let user = Person::of(&server, follow(&server, &token, Some(&asker)).expect(200));
    assert_eq!(user.hooks(), [hook.id]);
    let second = Person::guest(&server);
    second.owner.hook();
    let token = second.link("A@EXAMPLE.COM");
    let again = Person::of(&server, follow(&server, &token.to_uppercase(), Some(&second)).expect(200));
    assert_eq!(again.hooks().len(), 2, "it is one account, however the address is written");
    assert_eq!(user.hooks().len(), 2, "and both sign-ins go on");
}

#[test]
fn a_link_works_once_even_for_twenty_at_once() {
    let server = Server::start();
    let guest = Person::guest(&server);
    let hook = guest.owner.hook();
    let token = guest.link("ada@example.com");
    let replies: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = (0..20).map(|_| scope.spawn(|| follow(&server, &token, Some(&guest)))).collect();
        runs.into_iter().map(|run| run.join().expect("no panic")).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 19));
    lost.iter().for_each(|reply| drop(reply.problem(400, "link_invalid")));
    let user = Person::of(&server, won.into_iter().next().expect("one won"));
    assert_eq!(user.hooks(), [hook.id]);
    follow(&server, &token, None).problem(400, "link_invalid");
}

#[test]
fn what_is_no_link_is_400() {
    let server = Server::start();
    let other = "0".repeat(64);
    for token in ["", "x", &other, &"é".repeat(32), &"a".repeat(100_000), "../../etc/passwd"] {
        follow(&server, token, None).problem(400, "link_invalid");
    }
    let validate = |body: &str| {
        Ask::new("POST", "/api/auth/validate-signin-token").body("application/json", body).send(&server.address)
    };
    validate(r#"{"token": 7}"#).problem(400, "body_malformed");
    validate("{}").problem(400, "body_malformed");
}

#[test]
fn opening_a_link_uses_up_nothing_and_its_page_has_one_button() {
    let server = Server::start();
    let guest = Person::guest(&server);
    let hook = guest.owner.hook();
    let token = guest.link("ada@example.com");
    let path = format!("/signin/{token}");
    for _ in 0..3 {
        let page = server.get(&path).expect(200);
        let html = page.text();
        assert!(html.contains("<title>Sign in") && html.matches("<button").count() == 1, "{html}");
        assert!(!html.contains(&token) && !html.contains("<script"), "{html}");
        let policy = page.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"), "the address is the secret");
    }
    let cookie = format!("theme=dark; everfold={}", guest.owner.jwt);
    let press = |site: &str| {
        let ask = Ask::new("POST", &path).body("application/x-www-form-urlencoded", "");
        ask.header("cookie", &cookie).header("sec-fetch-site", site).send(&server.address)
    };
    press("cross-site").problem(403, "origin_foreign");
    let entered = press("same-origin").expect(303);
    assert_eq!(entered.header("location"), Some("/"));
    let cookie = entered.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let pair = cookie.split(';').next().expect("name=value").to_owned();
    let me = Ask::new("GET", "/api/auth/me").header("cookie", &pair).send(&server.address).expect(200).json();
    assert_eq!(me["email"], "ada@example.com");
    let hooks = Ask::new("GET", "/api/hooks").header("cookie", &pair).send(&server.address).expect(200).json();
    assert_eq!(hooks["objects"][0]["id"], hook.id, "the browser's own guest came along");
    let again = press("same-origin").expect(400).text();
    assert!(again.contains("was used") && !again.contains("<button"), "{again}");
}

#[test]
fn who_may_not_be_sent_a_link_is_told_why() {
    let server = Server::start();
    let ask = Ask::new("POST", "/api/auth/signin").json(&json!({"email": "ada@example.com"}));
    ask.send(&server.address).problem(401, "identity_missing");
    ask.clone().header("authorization", "Bearer nonsense").send(&server.address).problem(401, "identity_invalid");
    let guest = Person::guest(&server);
    for email in ["", "ada", "ada@", "@example.com", "a b@example.com", "ada@example.com, bob@example.com"] {
        guest.ask_for_link(email).problem(400, "email_malformed");
    }
    guest.owner.post("/api/auth/signin", &json!({})).problem(400, "body_malformed");
    let user = Person::user(&server, "ada@example.com");
    user.ask_for_link("bob@example.com").problem(403, "signed_in_already");
    let (known, unknown) = (guest.ask_for_link("ada@example.com"), guest.ask_for_link("nobody@example.com"));
    assert_eq!((known.status, known.text()), (unknown.status, unknown.text()));
}

#[test]
fn an_address_gets_five_mails_an_hour_and_nobody_learns_of_it() {
    let server = Server::start();
    let replies: Vec<_> = (0..7).map(|_| Person::guest(&server).ask_for_link("ada@example.com")).collect();
    assert!(replies.iter().all(|reply| reply.status == 200 && reply.json() == json!({})));
    assert_eq!(mails(&server.address, "ada@example.com").len(), 5);
    Person::guest(&server).link("bob@example.com");
    let [first, last] = [0, 4].map(|index| text(&mails(&server.address, "ada@example.com")[index]["token"]));
    follow(&server, &first, None).expect(200);
    follow(&server, &last, None).expect(200);
    Person::guest(&server).ask_for_link("ada@example.com").expect(200);
    assert_eq!(mails(&server.address, "ada@example.com").len(), 5, "a used link counts as well");
}

#[test]
fn many_who_sign_in_at_once_with_one_address_are_one_account() {
    let server = Server::start();
    let guests: Vec<_> = (0..5).map(|_| Person::guest(&server)).collect();
    thread::scope(|scope| guests.iter().for_each(|guest| drop(scope.spawn(|| guest.ask_for_link("ada@example.com")))));
    let tokens: Vec<_> = mails(&server.address, "ada@example.com").iter().map(|mail| text(&mail["token"])).collect();
    assert_eq!(tokens.len(), 5);
    let ids: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> =
            tokens.iter().map(|token| scope.spawn(|| follow(&server, token, None).expect(200))).collect();
        runs.into_iter()
            .map(|run| Person::of(&server, run.join().expect("no panic")).me().json()["id"].clone())
            .collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn a_pair_is_renewed_and_a_stolen_one_ends_the_sign_in() {
    let server = Server::start();
    let guest = Person::guest(&server);
    let ask = Ask::new("POST", "/api/auth/refresh-token").json(&json!({"token": guest.refresh_token}));
    ask.send(&server.address).problem(401, "identity_missing");
    let other = Person::guest(&server);
    other.owner.ask(ask.clone()).problem(400, "token_invalid");
    let first = guest.refresh().expect(200).json();
    let second = guest.refresh().expect(200).json();
    assert_eq!(first["refreshToken"], second["refreshToken"], "within the grace");
    let renewed = Person::of(&server, guest.refresh());
    let third = Person::of(&server, renewed.refresh().expect(200));
    guest.refresh().problem(400, "token_invalid");
    third.refresh().problem(400, "token_invalid");
    third.me().problem(401, "identity_invalid");
}

#[test]
fn a_token_that_we_did_not_sign_is_nobodys() {
    let server = Server::start();
    let guest = Person::guest(&server);
    let parts: Vec<_> = guest.owner.jwt.split('.').map(str::to_owned).collect();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"; // {"alg":"none","typ":"JWT"}
    let flipped: String = parts[1].chars().rev().collect();
    for jwt in [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{flipped}.{}", parts[0], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], parts[2].to_lowercase()),
        String::from("everfold_api_"),
        format!("everfold_api_{}", "0".repeat(32)),
    ] {
        Owner { jwt, ..guest.owner.clone() }.get("/api/auth/me").problem(401, "identity_invalid");
    }
    server.get("/api/auth/me").problem(401, "identity_missing");
}

#[test]
fn signing_out_ends_this_sign_in_and_no_other() {
    let server = Server::start();
    let [here, there] = [(); 2].map(|()| Person::user(&server, "ada@example.com"));
    let out = here.owner.post("/api/auth/signout", &json!({})).expect(200);
    assert!(out.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")));
    here.me().problem(401, "identity_invalid");
    here.refresh().problem(400, "token_invalid");
    here.owner.post("/api/auth/signout", &json!({})).problem(401, "identity_invalid");
    there.me().expect(200);
    Ask::new("POST", "/api/auth/signout").send(&server.address).problem(401, "identity_missing");
}

#[test]
fn a_key_does_what_its_owner_does_until_it_is_revoked() {
    let server = Server::start();
    let user = Person::user(&server, "ada@example.com");
    let hook = user.owner.hook();
    let (id, key) = user.key("api");
    assert!(key.len() >= 32 + "everfold_api_".len(), "128 bits in hexadecimal digits");
    let listed = user.keys();
    assert_eq!(
        (&listed[0]["id"], &listed[0]["type"], &listed[0]["name"]),
        (&json!(id), &json!("api"), &json!("laptop"))
    );
    assert!(listed[0]["lastUsedAt"].is_null() && listed[0]["createdAt"].as_u64().is_some(), "{listed:?}");
    assert!(!json!(listed).to_string().contains(&key), "it is shown once");

    let program = Owner { jwt: key.clone(), ..user.owner.clone() };
    assert_eq!(program.get("/api/auth/me").expect(200).json()["email"], "ada@example.com");
    program.get(&hook.api("")).expect(200);
    assert_eq!(program.hook().owner.get("/api/hooks").expect(200).json()["objects"].as_array().map(Vec::len), Some(2));
    Ask::new("GET", "/api/hooks").header("authorization", &key).send(&server.address).expect(200);
    assert!(user.keys()[0]["lastUsedAt"].as_u64() >= listed[0]["createdAt"].as_u64());

    user.delete(&format!("/api/keys/{id}")).expect(200);
    program.get("/api/hooks").problem(401, "identity_invalid");
    assert!(user.keys().is_empty());
    user.delete(&format!("/api/keys/{id}")).problem(404, "account_key_unknown");
}

#[test]
fn a_key_makes_no_key_and_decides_nothing_about_its_owner() {
    let server = Server::start();
    let user = Person::user(&server, "ada@example.com");
    let (id, key) = user.key("api");
    let program = Owner { jwt: key, ..user.owner.clone() };
    program.post("/api/keys", &json!({"type": "api"})).problem(403, "session_needed");
    program.get("/api/keys").problem(403, "session_needed");
    program.ask(Ask::new("DELETE", format!("/api/keys/{id}"))).problem(403, "session_needed");
    program.get("/api/settings").problem(403, "session_needed");
    program.put("/api/settings", &json!({"closedToGuests": true})).problem(403, "session_needed");
    program.post("/api/auth/signout", &json!({})).problem(403, "session_needed");
    program.post("/api/auth/signin", &json!({"email": "bob@example.com"})).problem(403, "session_needed");
    let (_, key) = user.key("worker");
    Owner { jwt: key, ..user.owner.clone() }.get("/api/hooks").problem(403, "key_for_workers");
}

#[test]
fn keys_that_cannot_be_are_refused() {
    let server = Server::start();
    let [user, other] = ["ada@example.com", "bob@example.com"].map(|email| Person::user(&server, email));
    user.owner.post("/api/keys", &json!({"type": "root"})).problem(400, "account_key_kind_unknown");
    user.owner.post("/api/keys", &json!({})).problem(400, "body_malformed");
    let long = json!({"type": "api", "name": "n".repeat(201)});
    user.owner.post("/api/keys", &long).problem(400, "account_key_name_too_long");
    Ask::new("POST", "/api/keys").json(&json!({"type": "api"})).send(&server.address).problem(401, "identity_missing");
    let (id, key) = user.key("worker");
    other.delete(&format!("/api/keys/{id}")).problem(404, "account_key_unknown");
    other.delete("/api/keys/nonsense").problem(404, "account_key_unknown");
    assert_eq!(user.keys().len(), 1);
    assert!(key.starts_with("everfold_worker_"));
    for _ in 1..64 {
        user.key("api");
    }
    user.owner.post("/api/keys", &json!({"type": "api"})).problem(400, "account_keys_too_many");
}

#[test]
fn who_signs_in_first_owns_the_settings() {
    let data = tempfile::tempdir().expect("a folder for the data");
    let mut server = Server::start_on(data.path());
    let guest = Person::guest(&server);
    guest.owner.get("/api/settings").problem(403, "settings_foreign");
    server.get("/api/settings").problem(401, "identity_missing");
    let [first, second] = ["ada@example.com", "bob@example.com"].map(|email| Person::user(&server, email));
    let open = json!({"closedToGuests": false, "closedToNewUsers": false, "resumeConnected": false});
    assert_eq!(first.owner.get("/api/settings").expect(200).json(), open);
    let is_owner = |person: &Person| person.owner.get("/api/auth/me").expect(200).json()["isOwner"].clone();
    assert_eq!([&first, &second, &guest].map(is_owner), [json!(true), json!(false), json!(false)]);
    for person in [&second, &guest] {
        person.owner.get("/api/settings").problem(403, "settings_foreign");
        person.owner.put("/api/settings", &json!({"closedToGuests": true})).problem(403, "settings_foreign");
    }
    first.owner.put("/api/settings", &json!({"closedToGuest": true})).problem(400, "body_malformed");
    first.owner.put("/api/settings", &json!({"closedToGuests": 1})).problem(400, "body_malformed");
    let closed = first.owner.put("/api/settings", &json!({"closedToNewUsers": true})).expect(200).json();
    assert_eq!(closed, json!({"closedToGuests": false, "closedToNewUsers": true, "resumeConnected": false}));
    server.kill();

    let server = Server::start_on(data.path());
    let again = Owner { address: server.address.clone(), ..first.owner };
    assert_eq!(again.get("/api/settings").expect(200).json(), closed);
    Owner { address: server.address.clone(), ..second.owner }.get("/api/settings").problem(403, "settings_foreign");
}

#[test]
fn many_who_sign_in_first_at_once_make_one_owner() {
    let server = Server::start();
    let guest = Person::guest(&server);
    let tokens: Vec<_> = (0..8).map(|number| guest.link(&format!("user{number}@example.com"))).collect();
    let users: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> =
            tokens.iter().map(|token| scope.spawn(|| follow(&server, token, None).expect(200))).collect();
        runs.into_iter().map(|run| Person::of(&server, run.join().expect("no panic"))).collect()
    });
    let owners = users.iter().filter(|user| user.owner.get("/api/settings").status == 200).count();
    assert_eq!(owners, 1);
}

#[test]
fn a_server_can_be_closed_to_guests_and_its_users_still_come_in() {
    let server = Server::start();
    let owner = Person::user(&server, "ada@example.com");
    let guest = Person::guest(&server);
    owner.owner.put("/api/settings", &json!({"closedToGuests": true})).expect(200);
    let refused = Ask::new("POST", "/api/auth/guest-user").send(&server.address).problem(403, "closed_to_guests");
    assert!(refused["hint"].as_str().is_some_and(|hint| hint.contains("/api/auth/signin")), "{refused}");
    guest.me().expect(200);
    let ask = Ask::new("POST", "/api/auth/signin").json(&json!({"email": "ada@example.com"}));
    ask.send(&server.address).expect(200);
    let token = newest_token(&server.address, "ada@example.com").expect("a mail was sent");
    let again = Person::of(&server, follow(&server, &token, None).expect(200));
    again.owner.put("/api/settings", &json!({"closedToGuests": false})).expect(200);
    Person::guest(&server);
    ask.send(&server.address).problem(401, "identity_missing");
}

#[test]
fn a_server_can_be_closed_to_new_users() {
    let server = Server::start();
    let owner = Person::user(&server, "ada@example.com");
    let guest = Person::guest(&server);
    let early = guest.link("bob@example.com");
    owner.owner.put("/api/settings", &json!({"closedToNewUsers": true})).expect(200);
    let [unknown, known] = ["eve@example.com", "ada@example.com"].map(|email| guest.ask_for_link(email).expect(200));
    assert_eq!(unknown.text(), known.text());
    let sent = |email| mails(&server.address, email).len();
    assert_eq!((sent("eve@example.com"), sent("ada@example.com")), (0, 2));
    follow(&server, &early, None).problem(403, "closed_to_new_users");
    owner.owner.put("/api/settings", &json!({"closedToNewUsers": false})).expect(200);
    follow(&server, &early, None).expect(200);
}

#[test]
fn a_network_address_makes_so_many_guests_an_hour() {
    let mail = MailServer::start();
    let (server, _data) = public(&mail.url(), &[("EVERFOLD_GUESTS_PER_HOUR", "3")]);
    let ask = Ask::new("POST", "/api/auth/guest-user");
    let guest = Person::of(&server, ask.send(&server.address).expect(201));
    guest.ask_for_link("ada@example.com").expect(200);
    ask.clone().header("x-forwarded-for", "10.9.9.9").send(&server.address).expect(201);
    let refused = ask.clone().header("x-forwarded-for", "10.9.9.8").send(&server.address);
    refused.problem(429, "begun_too_often");
    let seconds: u32 = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("a time");
    assert!((3_500..=3_600).contains(&seconds), "{seconds}");
    guest.ask_for_link("bob@example.com").problem(429, "begun_too_often");
    guest.me().expect(200);

    let (server, _data) = public(&mail.url(), &[("EVERFOLD_GUESTS_PER_HOUR", "1"), ("EVERFOLD_BEHIND_PROXY", "1")]);
    let from = |chain: &str| ask.clone().header("x-forwarded-for", chain).send(&server.address).status;
    assert_eq!([from("10.0.0.1"), from("10.0.0.2"), from("10.0.0.3, 10.0.0.1")], [201, 201, 429]);
}

#[test]
fn a_developers_guests_are_not_counted() {
    let data = tempfile::tempdir().expect("a folder for the data");
    let mut command = everfold();
    command.env("EVERFOLD_GUESTS_PER_HOUR", "1");
    let server = Server::start_by(command, data.path());
    (0..5).for_each(|_| drop(Person::guest(&server)));
}

#[test]
fn mail_goes_over_smtp_where_a_mail_server_is_set() {
    let mail = MailServer::with_password();
    let url = format!("smtp://everfold:{}@127.0.0.1:{}", PASSWORD.replace('@', "%40").replace('/', "%2F"), mail.port);
    let settings =
        [("EVERFOLD_PUBLIC_URL", "https://Fold.Example/"), ("EVERFOLD_MAIL_FROM", "Fold <fold@fold.example>")];
    let (server, _data) = public(&url, &settings);
    let guest = Person::guest(&server);
    guest.ask_for_link("Ada@Example.com").expect(200);
    let sent = mail.mail();
    assert_eq!((&sent["to"], &sent["from"]), (&json!(["ada@example.com"]), &json!("Fold <fold@fold.example>")));
    let words = text(&sent["text"]);
    let link = words.split_whitespace().find(|word| word.contains("/signin/")).expect("a link");
    let token = link.strip_prefix("https://fold.example/signin/").expect("the link leads to the public address");
    let reply = follow(&server, token, Some(&guest)).expect(200);
    assert!(reply.header("set-cookie").is_some_and(|cookie| cookie.contains("; Secure")), "{:?}", reply.headers);
    let user = Person::of(&server, reply);
    assert_eq!(user.me().json()["email"], "ada@example.com");
    server.get("/api/dev/mail").problem(404, "path_unknown");
    server.get("/dev/mail").problem(404, "path_unknown");
}

#[test]
fn a_mail_server_that_is_slow_or_down_holds_nobody_up_and_gets_the_mail_later() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr()).expect("a free port");
    let (down, _data) = public(&format!("smtp://{free}"), &[]);
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (slow, _other) = public(&format!("smtp://{}", silent.local_addr().expect("an address")), &[]);
    for server in [&down, &slow] {
        let guest = Person::guest(server);
        let begun = Instant::now();
        for number in 0..10 {
            guest.ask_for_link(&format!("user{number}@example.com")).expect(200);
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    let mail = MailServer::start_on(free.port(), "");
    let mut sent: Vec<_> = (0..10).map(|_| text(&mail.mail()["to"][0])).collect();
    sent.sort();
    assert_eq!(sent, (0..10).map(|number| format!("user{number}@example.com")).collect::<Vec<_>>());
}

#[test]
fn an_address_that_means_harm_does_none() {
    let mail = MailServer::start();
    let (mut server, _data) = public(&mail.url(), &[]);
    let guest = Person::guest(&server);
    let huge = format!("{}@example.com", "a".repeat(900_000));
    for email in [
        "ada@example.com\r\nRCPT TO:<eve@example.com>",
        "ada@example.com\nBcc: eve@example.com",
        "\"ada\r\n\"@example.com",
        "ada@example.com>\r\nDATA\r\n",
        "<ada@example.com>",
        "ada@[127.0.0.1]",
        "ada@example.com\0",
        "ada\u{202e}@example.com",
        "аda@example.com", // its first letter is Cyrillic
        "<script>alert(1)</script>@example.com",
        "ada@exa mple.com",
        &huge,
    ] {
        guest.ask_for_link(email).problem(400, "email_malformed");
    }
    assert!(mail.is_quiet());
    guest.ask_for_link("o'neil+a&b@example.com").expect(200);
    assert_eq!(mail.mail()["to"], json!(["o'neil+a&b@example.com"]));
    assert!(server.is_well());
}

#[test]
fn a_developer_finds_the_mails_at_a_page_and_nobody_else_does() {
    let server = Server::start();
    let guest = Person::guest(&server);
    guest.link("o'neil&co@example.com");
    let mail = &mails(&server.address, "o'neil&co@example.com")[0];
    let link = text(&mail["link"]);
    assert_eq!(link, format!("http://{}/signin/{}", server.address, text(&mail["token"])));
    assert!(text(&mail["text"]).contains(&link) && !text(&mail["subject"]).is_empty() && mail["at"].as_u64().is_some());
    let page = server.get("/dev/mail").expect(200).text();
    assert!(page.contains(&format!("href=\"{link}\"")) && page.contains("o&#39;neil&amp;co@"), "{page}");
    let passed_on = Ask::new("GET", "/api/dev/mail").header("x-forwarded-for", "10.0.0.1").send(&server.address);
    passed_on.problem(404, "path_unknown");
    for number in 0..110 {
        guest.ask_for_link(&format!("user{number}@example.com")).expect(200);
    }
    let kept = server.get("/api/dev/mail").json().as_array().map(Vec::len);
    assert_eq!(kept, Some(100), "only the newest are kept");

    let data = tempfile::tempdir().expect("a folder for the data");
    for (name, value) in [("EVERFOLD_PUBLIC_URL", "https://fold.example"), ("EVERFOLD_BEHIND_PROXY", "true")] {
        let mut command = everfold();
        command.env(name, value);
        let server = Server::start_by(command, data.path());
        server.get("/api/dev/mail").problem(404, "path_unknown");
        server.get("/dev/mail").problem(404, "path_unknown");
        Person::guest(&server).ask_for_link("ada@example.com").problem(503, "mail_unconfigured");
    }
}

#[test]
fn a_page_of_another_site_cannot_use_this_browsers_cookie() {
    let server = Server::start();
    let guest = Person::guest(&server);
    let hook = guest.owner.hook();
    let cookie = format!("everfold={}", guest.owner.jwt);
    let make = |name: &str, value: &str| {
        let ask = Ask::new("POST", "/api/hooks").body("text/plain", "{}").header("cookie", &cookie);
        ask.header(name, value).send(&server.address)
    };
    make("sec-fetch-site", "cross-site").problem(403, "origin_foreign");
    make("sec-fetch-site", "same-site").problem(403, "origin_foreign");
    make("origin", "https://evil.example").problem(403, "origin_foreign");
    make("origin", "null").problem(403, "origin_foreign");
    let foreign = |path: &str| {
        let ask = Ask::new("POST", path).body("text/plain", r#"{"token":"x"}"#);
        ask.header("origin", "https://evil.example").send(&server.address)
    };
    foreign("/api/auth/guest-user").problem(403, "origin_foreign");
    foreign("/api/auth/validate-signin-token").problem(403, "origin_foreign");
    assert_eq!(guest.hooks().len(), 1);
    make("sec-fetch-site", "same-origin").expect(201);
    make("origin", "http://everfold.test").expect(201);
    let write = Ask::new("POST", format!("/api{}", hook.write_path())).header("origin", "https://evil.example");
    write.send(&server.address).expect(202);
}

#[test]
fn a_stolen_database_opens_no_door() {
    let data = tempfile::tempdir().expect("a folder for the data");
    let mut server = Server::start_on(data.path());
    let guest = Person::guest(&server);
    let unused = guest.link("bob@example.com");
    let used = guest.link("ada@example.com");
    let user = Person::of(&server, follow(&server, &used, None).expect(200));
    let [(_, api), (_, worker)] = ["api", "worker"].map(|kind| user.key(kind));
    Owner { jwt: api.clone(), ..user.owner.clone() }.get("/api/hooks").expect(200);
    let renewed = Person::of(&server, user.refresh().expect(200));
    let secret_of = |token: &str| token[32..].to_owned();
    let digits_of = |key: &str| key.rsplit('_').next().expect("digits").to_owned();
    let mut secrets = vec![secret_of(&unused), secret_of(&used), digits_of(&api), digits_of(&worker)];
    secrets.extend([unused, used, api, worker]);
    secrets.extend([user.refresh_token, renewed.refresh_token, user.owner.jwt, renewed.owner.jwt]);
    let look = |when: &str| {
        let mut looked_at = 0;
        for file in files_below(data.path()) {
            let bytes = fs::read(&file).expect("a file of ours can be read");
            looked_at += bytes.len();
            for secret in &secrets {
                let number = u128::from_str_radix(secret, 16).map(u128::to_le_bytes).unwrap_or_default();
                let shapes = [secret.as_bytes(), &number, &number.iter().rev().copied().collect::<Vec<_>>()[..]];
                for shape in shapes.iter().filter(|shape| shape.iter().any(|byte| *byte != 0)) {
                    let is_there = bytes.windows(shape.len()).any(|window| window == *shape);
                    assert!(!is_there, "{secret} stands in {} {when}", file.display());
                }
            }
        }
        assert!(looked_at > 10_000, "there is a database to look at");
    };
    look("while it runs");
    assert!(server.terminate().success());
    look("after it ended");
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn a_merge_that_a_kill_cuts_short_is_finished_later() {
    const HOOKS: usize = 40;
    for kill_after_ms in [0, 5, 15, 30, 60] {
        let data = tempfile::tempdir().expect("a folder for the data");
        let mut server = Server::start_on(data.path());
        let guest = Person::guest(&server);
        let mut hooks: Vec<_> = (0..HOOKS).map(|_| guest.owner.hook()).collect();
        hooks.sort_by(|a, b| a.id.cmp(&b.id));
        let token = guest.link("ada@example.com");
        let ask = Ask::new("POST", "/api/auth/validate-signin-token").json(&json!({ "token": token }));
        let ask = ask.header("authorization", &guest.owner.jwt);
        let address = server.address.clone();
        let following = thread::spawn(move || drop(ask.try_send(&address)));
        thread::sleep(Duration::from_millis(kill_after_ms));
        server.kill();
        following.join().expect("no panic");

        let server = Server::start_on(data.path());
        let at = |person: Person| Person {
            owner: Owner { address: server.address.clone(), ..person.owner },
            refresh_token: person.refresh_token,
        };
        let guest = at(guest);
        let reply = follow(&server, &token, Some(&guest));
        let user = if reply.status == 200 {
            Person::of(&server, reply)
        } else {
            reply.problem(400, "link_invalid");
            Person::user(&server, "ada@example.com")
        };
        // Before anything is listed: what is still on its way is the user's already.
        for hook in &hooks {
            user.owner.get(&hook.api("")).expect(200);
        }
        eventually("every hook is the user's", || {
            (user.hooks() == hooks.iter().map(|hook| hook.id.clone()).collect::<Vec<_>>()).then_some(())
        });
        guest.me().problem(401, "identity_invalid");
        hooks[HOOKS - 1].at(&server).keep(&json!({}));
    }
}

/// What a browser keeps of a reply's cookies, by name.
fn cookies(reply: &Reply) -> BTreeMap<String, String> {
    let set = reply.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, cookie)| cookie.as_str());
    set.map(|cookie| {
        let (pair, attributes) = cookie.split_once("; ").expect("attributes");
        let (name, value) = pair.split_once('=').expect("name=value");
        let is_kept_from_scripts = attributes.split("; ").any(|attribute| attribute == "HttpOnly");
        assert!(is_kept_from_scripts, "{cookie}");
        (name.to_owned(), value.to_owned())
    })
    .collect()
}

/// As a page of ours calls.
fn called(path: &str, cookies: &[(&str, &str)]) -> Ask {
    let cookies: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let ask = Ask::new("POST", path).header("sec-fetch-site", "same-origin");
    if cookies.is_empty() { ask } else { ask.header("cookie", cookies.join("; ")) }
}

#[test]
fn a_browser_that_comes_back_after_hours_still_has_its_guest() {
    let server = Server::start();
    let begun = Ask::new("POST", "/api/auth/guest-user").send(&server.address).expect(201);
    let kept = cookies(&begun);
    let set: Vec<_> = begun.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value).collect();
    let refresh = set.iter().find(|cookie| cookie.starts_with("everfold_refresh=")).expect("a second cookie");
    for attribute in ["Path=/api/auth", "SameSite=Strict", "Max-Age=1209600"] {
        assert!(refresh.split("; ").any(|part| part == attribute), "{attribute} is not in {refresh}");
    }
    let guest = Person::of(&server, begun);
    let hook = guest.owner.hook();

    // The access token is gone: its cookie lasts an hour.
    let renew = |token: &str| called("/api/auth/refresh-token", &[("everfold_refresh", token)]).send(&server.address);
    let renewed = renew(&kept["everfold_refresh"]).expect(200);
    assert_eq!(renewed.json(), json!({}), "scripts see no token");
    let next = cookies(&renewed);
    assert_ne!(next["everfold_refresh"], kept["everfold_refresh"]);
    let hooks = Ask::new("GET", "/api/hooks").header("cookie", format!("everfold={}", next["everfold"]));
    assert_eq!(hooks.send(&server.address).expect(200).json()["objects"][0]["id"], hook.id);

    // Two tabs that wake at the same moment.
    let other = cookies(&renew(&kept["everfold_refresh"]).expect(200));
    assert_eq!(other["everfold_refresh"], next["everfold_refresh"]);
    let tabs: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| renew(&next["everfold_refresh"]).expect(200))).collect();
        runs.into_iter().map(|run| cookies(&run.join().expect("no panic"))["everfold_refresh"].clone()).collect()
    });
    assert!(tabs.iter().all(|token| *token == tabs[0]), "{tabs:?}");

    // Stolen and used much later it ends the sign-in: two steps behind is no tab of the same moment.
    renew(&kept["everfold_refresh"]).problem(401, "identity_invalid");
    renew(&tabs[0]).problem(401, "identity_invalid");
}

#[test]
fn a_page_asks_once_who_its_browser_is_and_nobody_becomes_a_guest() {
    let server = Server::start();
    let ask = |cookies: &[(&str, &str)]| called("/api/auth/session", cookies).send(&server.address).expect(200);
    let begun = ask(&[]);
    let (me, kept) = (begun.json(), cookies(&begun));
    assert_eq!(me["workflowState"], "guest");
    let (access, refresh) = (kept["everfold"].as_str(), kept["everfold_refresh"].as_str());

    let known = ask(&[("everfold", access), ("everfold_refresh", refresh)]);
    assert_eq!(known.json(), me);
    assert!(cookies(&known).is_empty(), "nothing has to be renewed");

    let renewed = ask(&[("everfold_refresh", refresh)]);
    assert_eq!(renewed.json(), me, "after an hour it is the same guest");
    assert_ne!(cookies(&renewed)["everfold_refresh"], refresh);

    let other = ask(&[("everfold", "nonsense"), ("everfold_refresh", "nonsense")]);
    assert_ne!(other.json()["id"], me["id"]);
    let foreign = Ask::new("POST", "/api/auth/session").header("sec-fetch-site", "cross-site");
    foreign.send(&server.address).problem(403, "origin_foreign");
}

#[test]
fn a_browser_without_a_good_refresh_cookie_is_told_to_begin_anew() {
    let server = Server::start();
    let path = "/api/auth/refresh-token";
    called(path, &[]).send(&server.address).problem(401, "identity_missing");
    called(path, &[("everfold", "nonsense")]).send(&server.address).problem(401, "identity_missing");
    let guest = Person::guest(&server);
    for token in ["", "nonsense", "a.b.c.d", &guest.refresh_token[..guest.refresh_token.len() - 1]] {
        called(path, &[("everfold_refresh", token)]).send(&server.address).problem(401, "identity_invalid");
    }
    let foreign = Ask::new("POST", path).header("cookie", format!("everfold_refresh={}", guest.refresh_token));
    for site in ["cross-site", "same-site"] {
        foreign.clone().header("sec-fetch-site", site).send(&server.address).problem(403, "origin_foreign");
    }
    // A program's call is what it was: both tokens, each in its place.
    guest.owner.ask(Ask::new("POST", path)).problem(400, "body_malformed");
    let pair = guest.refresh().expect(200).json();
    assert!(pair["jwt"].is_string() && pair["refreshToken"].is_string(), "{pair}");
    foreign.send(&server.address).expect(200);

    let out = guest.owner.post("/api/auth/signout", &json!({})).expect(200);
    assert_eq!(cookies(&out), [("everfold", ""), ("everfold_refresh", "")].map(|(a, b)| (a.into(), b.into())).into());
    let ended = out.headers.iter().filter(|(name, value)| name == "set-cookie" && value.contains("Max-Age=0"));
    assert_eq!(ended.count(), 2);
}

#[test]
fn a_guest_who_asks_for_a_link_is_still_there_when_it_is_followed() {
    let server = Server::start();
    let begun = cookies(&Ask::new("POST", "/api/auth/guest-user").send(&server.address).expect(201));
    let ask = |cookies: &[(&str, &str)]| {
        let body = json!({"email": "ada@example.com"});
        called("/api/auth/signin", cookies).json(&body).send(&server.address).expect(200)
    };
    thread::sleep(Duration::from_millis(1_100));
    let (access, refresh) = (begun["everfold"].as_str(), begun["everfold_refresh"].as_str());
    let renewed = cookies(&ask(&[("everfold", access), ("everfold_refresh", refresh)]));
    assert_eq!(renewed.keys().collect::<Vec<_>>(), ["everfold"], "the access token lasts as long as the link");
    assert_ne!(renewed["everfold"], access);
    assert!(cookies(&ask(&[("everfold", access)])).is_empty(), "who cannot renew it is given no more time");
    let other = Person::guest(&server).refresh_token;
    assert!(cookies(&ask(&[("everfold", access), ("everfold_refresh", &other)])).is_empty());

    let token = newest_token(&server.address, "ada@example.com").expect("a mail was sent");
    let press = called(&format!("/signin/{token}"), &[("everfold", &renewed["everfold"])]);
    let entered = cookies(&press.send(&server.address).expect(303));
    let again = called("/api/auth/refresh-token", &[("everfold_refresh", &entered["everfold_refresh"])]);
    again.send(&server.address).expect(200);
}

#[test]
fn how_a_server_is_its_owner_sees_and_nobody_else() {
    let server = Server::start();
    let guest = Person::guest(&server);
    let hook = guest.owner.hook();
    hook.publish(COUNT);
    (0..3).for_each(|_| drop(hook.fold(&json!({}))));
    Ask::new("POST", "/write/nobody").send(&server.address).problem(404, "key_unknown");

    let health = server.get("/api/health").expect(200).json();
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    let (started, now) = (health["startedAt"].as_u64(), health["now"].as_u64());
    assert!(started < now && started.is_some(), "{health}");
    assert_eq!((&health["writes"]["accepted"], &health["writes"]["refused"]), (&json!(3), &json!(1)));
    assert_eq!(health["refusals"]["key_unknown"], 1);
    let latency = &health["latencies"][0];
    assert_eq!((&latency["name"], &latency["count"]), (&json!("write"), &json!(3)));
    assert!(latency["p50Ms"].as_f64() > Some(0.0) && latency["p50Ms"].as_f64() <= latency["p99Ms"].as_f64());
    assert_eq!((&health["awake"], &health["folds"]["waiting"]), (&json!(1), &json!(0)));
    let walls = health["walls"].as_array().expect("walls");
    assert!(walls.len() > 3 && walls.iter().all(|wall| wall["holds"].is_boolean()), "{walls:?}");
    assert!(
        health["children"]["alive"].as_u64() >= Some(1) && health["memory"]["residentBytes"].as_u64() > Some(1 << 20)
    );
    assert!(health["store"]["bytes"].as_u64() > Some(0) && health["store"]["freeBytes"].as_u64() > Some(0));
    let limits = health["limits"].as_array().expect("limits");
    let connections = limits.iter().find(|limit| limit["name"] == "connections").expect("this one");
    assert!(connections["held"].as_u64() >= Some(1) && connections["held"].as_u64() < connections["max"].as_u64());

    let passed_on = Ask::new("GET", "/api/health").header("x-forwarded-for", "10.0.0.1");
    passed_on.clone().send(&server.address).problem(401, "identity_missing");
    guest.owner.ask(passed_on).problem(403, "settings_foreign");
    let [owner, other] = ["ada@example.com", "bob@example.com"].map(|email| Person::user(&server, email));
    owner.owner.get("/api/health").expect(200);
    server.get("/api/health").problem(401, "identity_missing");
    for person in [&guest, &other] {
        person.owner.get("/api/health").problem(403, "settings_foreign");
    }
    let (_, key) = owner.key("api");
    Owner { jwt: key, ..owner.owner.clone() }.get("/api/health").problem(403, "session_needed");

    let mail = MailServer::start();
    let (public, _data) = public(&mail.url(), &[]);
    public.get("/api/health").problem(401, "identity_missing");
    Person::guest(&public).owner.get("/api/health").problem(403, "settings_foreign");
}
