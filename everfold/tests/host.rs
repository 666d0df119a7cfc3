//! Programs that connect with the unmodified npm package `@interval/sdk` 2.0.0: every io method, and every trap of its
//! protocol.

mod harness;

use std::time::Duration;

use harness::{
    eventually,
    hook::Owner,
    host::{Host, api_key},
    http::Ask,
    line::Line,
    server::Server,
    smtp::MailServer,
    socket::Socket,
};
use serde_json::{Value, json};

/// Somebody whose program is connected.
struct Person {
    owner: Owner,
    key: String,
}

impl Person {
    fn of(server: &Server) -> Person {
        let owner = Owner::guest(server);
        Person { key: api_key(&owner), owner }
    }

    fn at(&self, server: &Server) -> Person {
        let owner = Owner { address: server.address.clone(), jwt: self.owner.jwt.clone() };
        Person { owner, key: self.key.clone() }
    }

    /// Begins a run of an action, as soon as there is one to begin.
    fn begin(&self, slug: &str) -> Run<'_> {
        self.begin_with(slug, &json!({}))
    }

    fn begin_with(&self, slug: &str, body: &Value) -> Run<'_> {
        let path = format!("/api/actions/{}/runs", slug.replace('/', "%2F"));
        // The host knows that it is known a moment before the server knows that.
        let made = eventually("the host is there", || {
            let reply = self.owner.post(&path, body);
            (reply.status != 409).then_some(reply)
        });
        let made = made.expect(201).json();
        Run { owner: &self.owner, id: made["id"].as_str().expect("an id").to_owned() }
    }

    fn is_online(&self, slug: &str) -> bool {
        let listed = self.owner.get("/api/actions").expect(200).json();
        let listed = listed["objects"].as_array().expect("actions").clone();
        listed.iter().any(|action| action["slug"] == slug && action["online"] == true)
    }
}

struct Run<'a> {
    owner: &'a Owner,
    id: String,
}

impl Run<'_> {
    fn path(&self, rest: &str) -> String {
        format!("/api/runs/{}{rest}", self.id)
    }

    fn now(&self) -> Value {
        self.owner.get(&self.path("")).expect(200).json()
    }

    fn when(&self, what: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(what, || {
                last = self.now();
                is_so(&last).then(|| last.clone())
            })
        }));
        seen.unwrap_or_else(|_| panic!("not {what}: {last}"))
    }

    /// The open question.
    fn question(&self) -> Value {
        self.when("asked", |run| run["question"].is_object())["question"].clone()
    }

    fn give(&self, values: &Value) {
        self.give_all(&json!({ "values": values }));
    }

    fn give_all(&self, answer: &Value) {
        let mut answer = answer.clone();
        answer["key"] = self.question()["key"].clone();
        self.owner.post(&self.path("/answers"), &answer).expect(200);
    }

    fn result(&self) -> Value {
        let run = self.when("over", |run| !run["finishedAt"].is_null());
        assert_eq!(run["status"], "success", "{run}");
        run["result"].clone()
    }

    fn follow(&self) -> Socket {
        let bearer = format!("Bearer {}", self.owner.jwt);
        let path = format!("/run-events?runId={}", self.id);
        Socket::open_with(&self.owner.address, &path, &[("authorization", &bearer)]).expect("a socket")
    }
}

const SOON: Duration = Duration::from_secs(10);

#[test]
fn every_io_method_gives_its_handler_what_a_person_gave() {
    let server = Server::start();
    let person = Person::of(&server);
    let _host = Host::connect(&server.address, &person.key);
    let cases = [
        ("text", json!(["Bob"]), json!("Bob")),
        ("email", json!(["a@example.com"]), json!("a@example.com")),
        ("number", json!([4]), json!(4)),
        ("slider", json!([7]), json!(7)),
        ("boolean", json!([true]), json!(true)),
        ("url", json!(["https://example.com/x"]), json!({"isUrl": true, "host": "example.com"})),
        ("rich", json!(["<b>x</b>"]), json!("<b>x</b>")),
        (
            "date",
            json!([{"year": 2021, "month": 5, "day": 6}]),
            json!({"year": 2021, "month": 5, "day": 6, "isDate": true}),
        ),
        ("time", json!([{"hour": 7, "minute": 8}]), json!({"hour": 7, "minute": 8})),
        (
            "datetime",
            json!([{"year": 2021, "month": 5, "day": 6, "hour": 7, "minute": 8}]),
            json!({"year": 2021, "month": 5, "day": 6, "hour": 7, "minute": 8, "isDate": true}),
        ),
        ("single", json!([{"label": "Bee", "value": "b"}]), json!({"label": "Bee", "value": "b", "extra": 1})),
        ("multiple", json!([[{"label": "a", "value": "a"}, {"label": "c", "value": "c"}]]), json!(["a", "c"])),
        ("confirm", json!([true]), json!(true)),
        ("sheet", json!([[{"name": "x", "age": 1}]]), json!([{"name": "x", "age": 1}])),
        ("users/create", json!(["Ada"]), json!("Ada")),
    ];
    for (slug, values, wanted) in cases {
        let run = person.begin(slug);
        run.give(&values);
        assert_eq!(run.result(), wanted, "{slug}");
    }
}

#[test]
fn an_answer_that_will_not_do_is_refused_before_the_host_hears_of_it() {
    let server = Server::start();
    let person = Person::of(&server);
    let _host = Host::connect(&server.address, &person.key);
    for (slug, values, words) in [
        ("text", json!(["x"]), "between 2 and 9"),
        ("number", json!([10]), "between 1 and 9"),
        ("url", json!(["ftp://x"]), "valid URL"),
        ("multiple", json!([[]]), "between 1 and 2"),
    ] {
        let run = person.begin(slug);
        let key = run.question()["key"].clone();
        let refused = run.owner.post(&run.path("/answers"), &json!({"key": key, "values": values})).expect(422);
        assert!(refused.text().contains(words), "{slug}: {}", refused.text());
    }
}

#[test]
fn what_is_shown_stands_in_its_order_and_waits_for_nobody() {
    let server = Server::start();
    let person = Person::of(&server);
    let _host = Host::connect(&server.address, &person.key);
    let run = person.begin("displays");
    run.question();
    let now = run.now();
    let shown: Vec<_> = now["answers"].as_array().expect("displays").iter().map(|one| &one["toRender"][0]).collect();
    let methods: Vec<_> = shown.iter().map(|one| one["methodName"].as_str().expect("a method")).collect();
    let wanted = "HEADING MARKDOWN HTML CODE IMAGE VIDEO LINK OBJECT METADATA TABLE GRID";
    assert_eq!(methods.join(" ").replace("DISPLAY_", ""), wanted);
    assert_eq!(shown[7]["propsMeta"]["values"]["data.at"], json!(["Date"]));
    run.give(&json!(["x"]));
    assert_eq!(run.result(), "x");

    let choice = person.begin("display_choice");
    let question = choice.question();
    assert_eq!(question["choiceButtons"][1], json!({"label": "Stop", "value": "stop"}), "a display that waits");
    choice.give_all(&json!({"values": [null], "choice": "stop"}));
    assert_eq!(choice.result()["choice"], "stop");
}

#[test]
fn tables_and_searches_follow_who_pages_filters_and_types() {
    let server = Server::start();
    let person = Person::of(&server);
    let _host = Host::connect(&server.address, &person.key);
    let table = person.begin("table");
    let question = table.question();
    assert_eq!(question["toRender"][0]["props"]["totalRecords"], 45);
    let _line = table.follow();
    let state = json!({"queryTerm": "44", "offset": 0, "pageSize": 20, "isSelectAll": false});
    let moved = json!({"key": question["key"], "values": [state]});
    table.owner.post(&table.path("/state"), &moved).expect(200);
    let now = table.when("filtered", |run| run["question"]["toRender"][0]["props"]["totalRecords"] == 1);
    assert_eq!(now["question"]["key"], question["key"], "the question is the same");
    assert_eq!(now["question"]["toRender"][0]["props"]["data"][0]["key"], "44");
    table.give(&json!([[{"key": "44"}]]));
    assert_eq!(table.result()[0]["name"], "Person 44");

    let search = person.begin("search");
    let question = search.question();
    let _line = search.follow();
    let typed = json!({"key": question["key"], "values": [{"queryTerm": "31"}]});
    search.owner.post(&search.path("/state"), &typed).expect(200);
    let now = search.when("found", |run| run["question"]["toRender"][0]["props"]["results"][0].is_object());
    let found = now["question"]["toRender"][0]["props"]["results"][0]["value"].clone();
    search.give(&json!([found]));
    assert_eq!(search.result()["name"], "Person 31");

    let pages = person.begin("async_table");
    pages.question();
    let mut line = pages.follow();
    assert_eq!(pages.now()["answers"][0]["toRender"][0]["props"]["data"], json!([]), "nothing before it is asked for");
    let paged = json!({"key": pages.now()["answers"][0]["key"], "values": [{"offset": 40, "pageSize": 10}]});
    pages.owner.post(&pages.path("/state"), &paged).expect(200);
    let rows = |run: &Value| run["answers"][0]["toRender"][0]["props"]["data"].as_array().map_or(0, Vec::len);
    pages.when("paged", |run| rows(run) == 5);
    let mut heard = std::iter::from_fn(|| line.next_frame(SOON));
    assert!(heard.any(|frame| frame["rendered"][0]["toRender"][0]["props"]["totalRecords"] == 45));
}

#[test]
fn groups_choices_and_validators_are_the_hosts_own() {
    let server = Server::start();
    let person = Person::of(&server);
    let _host = Host::connect(&server.address, &person.key);
    let group = person.begin("group");
    assert_eq!(group.question()["toRender"].as_array().map(Vec::len), Some(3));
    group.give(&json!(["Ada", null, {"year": 2021, "month": 1, "day": 1}]));
    assert_eq!(group.result(), json!({"name": "Ada", "ageIs": "undefined", "year": 2021}));
    let named = person.begin("group_named");
    named.give(&json!(["Ada", false]));
    assert_eq!(named.result(), json!({"name": "Ada", "sure": false}));

    let validated = person.begin("group_validate");
    validated.give_all(&json!({"values": ["bad", 1], "choice": "stop"}));
    let again = validated.when("asked again", |run| run["question"]["validationErrorMessage"].is_string());
    assert_eq!(again["question"]["validationErrorMessage"], "not that one");
    validated.give_all(&json!({"values": ["good", 2], "choice": "stop"}));
    assert_eq!(validated.result(), json!({"choice": "stop", "returnValue": ["good", 2]}));

    let even = person.begin("validate");
    even.give(&json!(["odd"]));
    let again = even.when("asked again", |run| run["question"]["toRender"][0]["validationErrorMessage"].is_string());
    assert_eq!(again["question"]["toRender"][0]["validationErrorMessage"], "one more letter");
    even.give(&json!(["even"]));
    assert_eq!(even.result(), "even");
}

/// 'More facts' 1, 2, 3, 5, 6 of interval-protocol.md.
#[test]
fn the_packages_own_ways_are_met() {
    let server = Server::start();
    let person = Person::of(&server);
    let _host = Host::connect(&server.address, &person.key);
    let optional = person.begin("optional_validate");
    optional.give(&json!([null]));
    assert_eq!(optional.result(), json!({"type": "undefined"}), "an empty optional answer is undefined");
    let files = person.begin("files");
    files.give(&json!([null]));
    assert_eq!(files.result(), json!({"count": "none"}));

    let choices = person.begin("choices_validate");
    choices.give_all(&json!({"values": ["it"], "choice": "Stop"}));
    let again = choices.when("asked again", |run| run["question"]["validationErrorMessage"].is_string());
    assert_eq!(
        again["question"]["validationErrorMessage"], "not it",
        "a validator behind choices speaks for the group"
    );
    choices.give_all(&json!({"values": ["it"], "choice": "Go"}));
    assert_eq!(choices.result(), json!({"choice": "Go", "returnValue": "it"}));

    let keyless = person.begin("keyless");
    let props = keyless.question()["toRender"][0]["props"].clone();
    assert_eq!(props["data"][1]["data"]["0"], 2, "a column without accessorKey goes by its index: {props}");
    keyless.give(&json!([[{"key": "1"}]]));
    assert_eq!(keyless.result()[0]["id"], 1);

    let late = person.begin("metadata_late");
    late.question();
    let value = |run: &Value, index: usize| run["answers"][0]["toRender"][0]["props"]["data"][index]["value"].clone();
    let _line = late.follow();
    assert_eq!(value(&late.now(), 1), Value::Null, "a promise that rejects stays absent");

    let dates = person.begin("dates");
    let option = dates.question()["toRender"][0]["props"]["options"][0].clone();
    dates.give_all(&json!({"values": [option], "valuesMeta": {"values": {"0.value": ["Date"]}}}));
    assert_eq!(dates.result(), json!({"isDate": true}));

    let bad = person.begin("bad_props");
    let run = bad.when("over", |run| !run["finishedAt"].is_null());
    assert_eq!((&run["status"], &run["question"]), (&json!("failure"), &Value::Null), "it never asked: {run}");
}

#[test]
fn what_ctx_says_and_takes_arrives_on_both_sides() {
    let server = Server::start();
    let person = Person::of(&server);
    let host = Host::start(&server.address, &person.key, &[]);
    let listening = host.event("listening");
    assert_eq!(listening["environment"], "production");
    let params =
        json!({"params": {"x": 1, "when": "1970-01-01T00:00:00.005Z"}, "paramsMeta": {"values": {"when": ["Date"]}}});
    let context = person.begin_with("context", &params).result();
    assert_eq!((&context["isDate"], &context["params"]["x"]), (&json!(true), &json!(1)), "{context}");
    assert_eq!(context["action"]["slug"], "context");
    assert_eq!(context["organization"], listening["organization"]);

    let work = person.begin("work");
    work.question();
    let now = work.now();
    assert_eq!(
        (&now["logs"][0]["text"], &now["logs"][1]["text"]),
        (&json!("first {\n  \"a\": 1\n}"), &json!("second"))
    );
    let loading = person.begin("work");
    let _line = loading.follow();
    let now = loading.when("loading", |run| run["loading"].is_object());
    assert_eq!(now["loading"]["label"], "Working");

    let redirect = person.begin("redirect").when("over", |run| !run["finishedAt"].is_null());
    assert_eq!((&redirect["status"], &redirect["redirect"]["route"]), (&json!("redirected"), &json!("text")));
    let fails = person.begin("fails").when("over", |run| !run["finishedAt"].is_null());
    assert_eq!((&fails["status"], &fails["error"]["name"]), (&json!("failure"), &json!("Error")));
    assert!(fails["error"]["message"].as_str().is_some_and(|message| message.contains("kaput")), "{fails}");
    assert!(fails["error"]["message"].as_str().is_some_and(|message| message.contains("TypeError: inner")), "{fails}");
}

#[test]
fn who_may_not_speak_is_told_why_in_the_terminal() {
    let server = Server::start();
    let person = Person::of(&server);
    let worker = person.owner.post("/api/keys", &json!({"type": "worker"})).expect(201).json();
    let worker = worker["key"].as_str().expect("a key");
    for (key, words) in [("live_nobody", "unknown"), (worker, "worker")] {
        let host = Host::start(&server.address, key, &[]);
        assert!(host.event("printed")["text"].as_str().is_some_and(|text| text.contains("1008")));
        let why = host.event("printed");
        assert!(why["text"].as_str().is_some_and(|text| text.contains(words)), "{why}");
    }
    server.get("/websocket").problem(400, "upgrade_missing");
}

#[test]
fn a_revoked_key_ends_its_hosts_within_five_seconds() {
    let server = Server::start();
    let person = Person::of(&server);
    let host = Host::connect(&server.address, &person.key);
    let keys = person.owner.get("/api/keys").expect(200).json();
    let path = format!("/api/keys/{}", keys["objects"][0]["id"].as_str().expect("an id"));
    person.owner.ask(Ask::new("DELETE", path)).expect(200);
    assert!(host.has_event_within("printed", Duration::from_secs(6)), "the host is told");
    eventually("it is away", || (!person.is_online("text")).then_some(()));
}

#[test]
fn a_list_of_what_is_offered_follows_the_host() {
    let server = Server::start();
    let person = Person::of(&server);
    let mut host = Host::connect(&server.address, &person.key);
    let listed = person.owner.get("/api/actions").expect(200).json();
    let find = |slug: &str| {
        let all = listed["objects"].as_array().expect("actions");
        all.iter().find(|action| action["slug"] == slug).cloned()
    };
    assert_eq!(find("not a slug"), None);
    let create = find("users/create").expect("an action below a page");
    assert_eq!(
        (&create["name"], &create["source"], &create["isPage"]),
        (&json!("Create"), &json!("host"), &json!(false))
    );
    assert_eq!(find("users").expect("a page")["isPage"], true);
    assert_eq!(find("heading/hidden").expect("it runs by its address")["unlisted"], true);
    host.order(&json!({"order": "add"}));
    eventually("it is offered", || person.is_online("added").then_some(()));
    let run = person.begin("added");
    run.give(&json!(["x"]));
    assert_eq!(run.result(), "x");
    host.order(&json!({"order": "remove"}));
    eventually("it is not offered", || (!person.is_online("added")).then_some(()));
    host.kill();
    eventually("all is offline", || (!person.is_online("text")).then_some(()));
    person.owner.post("/api/actions/text/runs", &json!({})).problem(409, "action_offline");
    person.owner.post("/api/actions/nothing/runs", &json!({})).problem(404, "action_unknown");
}

/// 2.7.6: what is begun in the moment in which a host is known is not swallowed.
#[test]
fn a_run_that_is_begun_the_moment_a_host_is_known_begins() {
    let server = Server::start();
    let person = Person::of(&server);
    let _host = Host::start(&server.address, &person.key, &[]);
    let made = eventually("there is a host", || {
        let reply = person.owner.post("/api/actions/text/runs", &json!({}));
        (reply.status == 201).then(|| reply.json())
    });
    let run = Run { owner: &person.owner, id: made["id"].as_str().expect("an id").to_owned() };
    run.give(&json!(["Ada"]));
    assert_eq!(run.result(), "Ada");
}

/// 2.2: a host that hears nothing for a while says it again; 2.3: it never gets two answers to one call.
#[test]
fn what_is_said_again_for_want_of_a_reply_counts_once() {
    let server = Server::start();
    let person = Person::of(&server);
    let line = Line::to(&server.address);
    let _host = Host::connect_with(&line.address, &person.key, &[("SEND_TIMEOUT_MS", "400")]);
    let run = person.begin("work");
    run.when("it works", |run| run["logs"][0].is_object());
    line.hold(true);
    std::thread::sleep(Duration::from_millis(1_500));
    line.hold(false);
    run.give(&json!(["Ada"]));
    assert_eq!(run.result(), "Ada");
    let now = run.now();
    assert_eq!(now["answers"].as_array().map(Vec::len), Some(1), "{now}");
    let texts: Vec<_> = now["logs"].as_array().expect("logs").iter().map(|log| &log["text"]).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
}

/// 2.7.1
#[test]
fn a_line_that_breaks_while_a_question_waits_costs_nothing() {
    let server = Server::start();
    let person = Person::of(&server);
    let line = Line::to(&server.address);
    let _host = Host::connect(&line.address, &person.key);
    let run = person.begin("ten");
    for step in 0..10 {
        run.when("asked", |run| run["question"]["toRender"][0]["label"] == format!("Step {step}"));
        match step % 3 {
            0 => line.cut(),
            1 => {
                line.down();
                run.give(&json!([step]));
                line.up(&server.address);
                continue;
            }
            _ => {}
        }
        run.give(&json!([step]));
    }
    assert_eq!(run.result(), json!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
}

/// 2.7.2
#[test]
fn a_server_killed_at_each_question_of_ten_loses_no_answer() {
    let mut server = Server::start();
    let data = tempfile::tempdir().expect("a folder");
    server.kill();
    server = Server::start_on(data.path());
    let mut person = Person::of(&server);
    let line = Line::to(&server.address);
    let _host = Host::connect(&line.address, &person.key);
    let id = person.begin("ten").id;
    for step in 0..10 {
        let run = Run { owner: &person.owner, id: id.clone() };
        run.when("asked", |run| run["question"]["toRender"][0]["label"] == format!("Step {step}"));
        server.kill();
        line.down();
        server = Server::start_on(data.path());
        person = person.at(&server);
        line.up(&server.address);
        Run { owner: &person.owner, id: id.clone() }.give(&json!([step]));
    }
    let run = Run { owner: &person.owner, id };
    assert_eq!(run.result(), json!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    assert_eq!(run.now()["logs"].as_array().map(Vec::len), Some(10));
}

/// 2.7.8: a new process replays nothing.
#[test]
fn a_run_whose_host_was_killed_is_resumed_over_its_answers() {
    let server = Server::start();
    let person = Person::of(&server);
    let mut host = Host::connect(&server.address, &person.key);
    let run = person.begin("ten");
    for step in 0..3 {
        run.when("asked", |run| run["question"]["toRender"][0]["label"] == format!("Step {step}"));
        run.give(&json!([step]));
    }
    run.when("asked", |run| run["question"]["toRender"][0]["label"] == "Step 3");
    let open = person.begin("changing");
    open.question();
    host.kill();
    run.when("offline", |run| run["isOnline"] == false);
    run.give(&json!([3]));
    let _host = Host::connect_with(&server.address, &person.key, &[("WORD", "two")]);
    let parked = run.when("parked", |run| run["status"] == "parked");
    assert_eq!(parked["parked"]["reason"], "hostGone");
    // One whose code asks something else now is not answered in the old words.
    open.when("parked", |run| run["status"] == "parked");
    open.owner.post(&open.path("/resume"), &json!({})).expect(200);
    open.when("parked", |run| run["parked"]["reason"] == "codeChanged");
    open.owner.post(&open.path("/answers"), &json!({"key": "0", "values": ["x"]})).problem(409, "run_parked");
    run.owner.post(&run.path("/resume"), &json!({})).expect(200);
    for step in 4..10 {
        run.when("asked", |run| run["question"]["toRender"][0]["label"] == format!("Step {step}"));
        run.give(&json!([step]));
    }
    assert_eq!(run.result(), json!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    let now = run.now();
    assert_eq!(now["logs"].as_array().map(Vec::len), Some(10), "no line twice: {}", now["logs"]);
    assert_eq!(now["answers"].as_array().map(Vec::len), Some(10));
}

/// 2.7.8, between two questions: its code runs from the beginning, and nobody is asked again.
#[test]
fn a_run_whose_host_was_killed_at_work_goes_on_behind_what_was_answered() {
    let server = Server::start();
    let person = Person::of(&server);
    let mut host = Host::connect(&server.address, &person.key);
    let run = person.begin("slow");
    run.give(&json!(["Ada"]));
    host.event("working");
    host.kill();
    let host = Host::connect(&server.address, &person.key);
    let parked = run.when("parked", |run| run["status"] == "parked");
    assert_eq!(parked["parked"]["reason"], "hostGone");
    assert_eq!((&parked["question"], &parked["answers"][0]["values"]), (&Value::Null, &json!(["Ada"])));
    run.owner.post(&run.path("/resume"), &json!({})).expect(200);
    host.event("working");
    let asked = run.when("asked", |run| run["question"].is_object());
    assert_eq!(asked["question"]["toRender"][0]["label"], "Behind", "what was answered is not asked again");
    run.give(&json!(["Lovelace"]));
    assert_eq!(run.result(), "Ada Lovelace");
    assert_eq!(run.now()["answers"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_parked_run_that_is_given_up_is_over_and_takes_nothing_more() {
    let server = Server::start();
    let person = Person::of(&server);
    let mut host = Host::connect(&server.address, &person.key);
    let (run, other) = (person.begin("text"), person.begin("slow"));
    let key = run.question()["key"].clone();
    other.give(&json!(["Ada"]));
    host.event("working");
    host.kill();
    let host = Host::connect(&server.address, &person.key);
    for run in [&run, &other] {
        run.when("parked", |run| run["status"] == "parked");
        run.owner.post(&run.path("/abandon"), &json!({})).expect(200);
        let over = run.now();
        assert_eq!(
            (&over["status"], &over["question"], &over["parked"]),
            (&json!("cancelled"), &json!(null), &json!(null))
        );
        assert!(over["finishedAt"].is_number(), "{over}");
        for verb in ["/abandon", "/resume", "/cancel"] {
            run.owner.post(&run.path(verb), &json!({})).problem(409, "run_over");
        }
    }
    run.owner.post(&run.path("/answers"), &json!({"key": key, "values": ["x"]})).problem(409, "question_answered");
    let open = person.owner.get("/api/runs?status=open").expect(200).json();
    assert_eq!(open["objects"], json!([]), "it waits for nobody");
    assert!(!host.has_event_within("working", Duration::from_secs(1)), "and no host runs its code");
}

/// 2.2: the package sends a ping with an id of its own, and waits for that one.
#[test]
fn a_host_that_asks_whether_the_server_is_there_is_answered() {
    let server = Server::start();
    let person = Person::of(&server);
    let mut host = Host::connect(&server.address, &person.key);
    host.order(&json!({"order": "ping"}));
    assert_eq!(host.event("pong")["is"], true);
}

/// Its action says that it is backgroundable, and the server's owner that such runs go on.
#[test]
fn a_backgroundable_run_is_resumed_by_itself_where_the_server_says_so() {
    let server = Server::start();
    let owner = Owner::guest(&server).sign_in("ada@example.com");
    let person = Person { key: api_key(&owner), owner };
    person.owner.put("/api/settings", &json!({"resumeConnected": true})).expect(200);
    let mut host = Host::connect(&server.address, &person.key);
    let (run, other) = (person.begin("patient"), person.begin("ten"));
    run.give(&json!(["Ada"]));
    run.when("asked", |run| run["question"]["toRender"][0]["label"] == "Second");
    other.question();
    host.kill();
    run.when("offline", |run| run["isOnline"] == false);
    run.give(&json!(["Grace"]));
    let _host = Host::connect(&server.address, &person.key);
    assert_eq!(run.result(), json!(["Ada", "Grace"]));
    other.when("parked", |run| run["status"] == "parked");
}

/// 2.7.3: what a host returns while the line is down is lost, and it never says so.
#[test]
fn a_run_that_was_lost_while_the_line_was_down_is_offered_to_be_resumed() {
    let server = Server::start();
    let person = Person::of(&server);
    let line = Line::to(&server.address);
    let host = Host::connect(&line.address, &person.key);
    let run = person.begin("returns_while_away");
    run.give(&json!(["x"]));
    host.event("working");
    line.down();
    std::thread::sleep(Duration::from_millis(2_000));
    line.up(&server.address);
    is_parked_in_the_end(&run);
    run.owner.post(&run.path("/resume"), &json!({})).expect(200);
    assert_eq!(run.result(), "nobody hears this");
}

/// 2.7.3: a question that is asked while the line is down fails its action, and is sent all the same when the line is back.
#[test]
fn a_question_of_an_action_that_is_dead_takes_an_answer_and_the_run_is_offered_to_be_resumed() {
    let server = Server::start();
    let person = Person::of(&server);
    let line = Line::to(&server.address);
    let host = Host::connect(&line.address, &person.key);
    let run = person.begin("slow");
    run.give(&json!(["Ada"]));
    host.event("working");
    line.down();
    host.event("worked");
    line.up(&server.address);
    run.when("asked", |run| run["question"]["toRender"][0]["label"] == "Behind");
    run.give(&json!(["Lovelace"]));
    is_parked_in_the_end(&run);
    run.owner.post(&run.path("/resume"), &json!({})).expect(200);
    assert_eq!(run.result(), "Ada Lovelace");
}

/// 2.7.4: the package forgets whom it was to tell that the display was taken.
#[test]
fn a_display_on_its_way_when_the_line_breaks_costs_no_answer() {
    let server = Server::start();
    let person = Person::of(&server);
    let line = Line::to(&server.address);
    let host = Host::connect(&line.address, &person.key);
    let run = person.begin("shows_late");
    run.give(&json!(["Ada"]));
    host.event("working");
    line.hold(true);
    run.when("shown", |run| run["answers"][1]["isDisplay"] == true);
    line.cut();
    line.hold(false);
    is_parked_in_the_end(&run);
    run.owner.post(&run.path("/resume"), &json!({})).expect(200);
    let asked = run.when("asked", |run| run["question"].is_object());
    assert_eq!(asked["question"]["toRender"][0]["label"], "Behind");
    assert_eq!(asked["answers"].as_array().map(Vec::len), Some(2), "and nothing is shown twice: {asked}");
    run.give(&json!(["Lovelace"]));
    assert_eq!(run.result(), "Ada Lovelace");
}

/// 2.7.5: a host that is told once more to begin what it has finished begins it from the top, unless displays resolve by
/// themselves.
#[test]
fn a_host_is_told_to_begin_until_it_has_heard_and_never_after() {
    let server = Server::start();
    let person = Person::of(&server);
    let connect = || {
        let mut socket = spoken(&server, &person.key, "6e21065b-0ef3-4a3e-9c3b-000000000002");
        let offered =
            json!({"actions": [{"slug": "text"}], "groups": [], "sdkName": "@interval/sdk", "sdkVersion": "2.0.0"});
        assert_eq!(called(&mut socket, "INITIALIZE_HOST", &offered)["type"], "success");
        socket
    };
    let mut first = connect();
    eventually("it is offered", || person.is_online("text").then_some(()));
    assert_eq!(told_to_begin(&mut first, true, Duration::from_millis(300)), None);
    let run = person.begin("text");
    let begun = told_to_begin(&mut first, false, SOON).expect("it is told");
    assert_eq!(begun["displayResolvesImmediately"], true);
    drop(first);
    let mut second = connect();
    assert_eq!(told_to_begin(&mut second, true, SOON).expect("it is told again"), begun);
    let transaction = begun["transactionId"].clone();
    let result = json!({"schemaVersion": 1, "status": "SUCCESS", "data": "done"}).to_string();
    let completed = json!({"transactionId": transaction, "resultStatus": "SUCCESS", "result": result});
    assert_eq!(called(&mut second, "MARK_TRANSACTION_COMPLETE", &completed), json!(true));
    assert_eq!(run.result(), "done");
    drop(second);
    let mut third = connect();
    assert_eq!(told_to_begin(&mut third, true, Duration::from_secs(1)), None, "it is over");
}

#[test]
fn a_cancelled_run_rejects_in_the_host() {
    let server = Server::start();
    let person = Person::of(&server);
    let host = Host::connect(&server.address, &person.key);
    let run = person.begin("cancel_seen");
    run.question();
    run.owner.post(&run.path("/cancel"), &json!({})).expect(200);
    assert_eq!(host.event("caught")["kind"], "CANCELED");
    assert_eq!(run.now()["status"], "cancelled");
}

/// 2.6, 2.7.7: a run that is over keeps its tables for who looks on, and no longer; then a host can close.
#[test]
fn a_host_closes_safely_once_nobody_looks_at_its_runs() {
    let server = Server::start();
    let person = Person::of(&server);
    let mut host = Host::connect(&server.address, &person.key);
    let table = person.begin("table_stays");
    let looking = table.follow();
    table.when("over", |run| run["status"] == "success");
    let key = table.now()["answers"][0]["key"].clone();
    let state = json!({"queryTerm": "44", "offset": 0, "pageSize": 20});
    table.owner.post(&table.path("/state"), &json!({"key": key, "values": [state]})).expect(200);
    table.when("filtered", |run| run["answers"][0]["toRender"][0]["props"]["totalRecords"] == 1);

    let open = person.begin("text");
    open.question();
    host.order(&json!({"order": "close"}));
    eventually("nothing begins there", || (!person.is_online("text")).then_some(()));
    person.owner.post("/api/actions/text/runs", &json!({})).problem(409, "action_offline");
    open.give(&json!(["Ada"]));
    assert_eq!(open.result(), "Ada");
    assert!(!host.has_event_within("closed", Duration::from_secs(1)), "somebody looks at the table");
    drop(looking);
    host.event("closed");
}

#[test]
fn a_large_frame_arrives() {
    let server = Server::start();
    let person = Person::of(&server);
    let _host = Host::connect_with(&server.address, &person.key, &[("VIDEO_MB", "20")]);
    let run = person.begin("video");
    run.question();
    run.give(&json!(["yes"]));
    assert_eq!(run.when("over", |run| !run["finishedAt"].is_null())["status"], "success");
}

/// 'More facts' 4: a page's redirect goes by the page's key.
#[test]
fn a_page_is_shown_for_as_long_as_somebody_looks() {
    let server = Server::start();
    let person = Person::of(&server);
    let mut host = Host::connect(&server.address, &person.key);
    eventually("the host is there", || person.is_online("users").then_some(()));
    let open = |slug: &str| {
        let bearer = format!("Bearer {}", person.owner.jwt);
        let path = format!("/page-events?slug={slug}");
        Socket::open_with(&server.address, &path, &[("authorization", &bearer)]).expect("a socket")
    };
    let until = |page: &mut Socket, is_so: &dyn Fn(&Value) -> bool| {
        let mut frames = std::iter::from_fn(|| page.next_frame(SOON));
        frames.find(is_so).expect("a frame")
    };
    let mut users = open("users");
    let shown = until(&mut users, &|frame| frame["layout"]["title"] == "All users");
    let props = |frame: &Value| frame["layout"]["children"]["toRender"][0]["props"].clone();
    assert_eq!(props(&shown)["data"], json!([]), "a table that is asked for its rows has none before");
    let state = format!("/api/pages/{}/state", shown["key"].as_str().expect("a key"));
    person.owner.post(&state, &json!({"values": [{"offset": 40, "pageSize": 20}]})).expect(200);
    until(&mut users, &|frame| props(frame)["data"].as_array().map(Vec::len) == Some(5));
    until(&mut open("moved"), &|frame| frame["redirect"]["route"] == "text");
    until(&mut open("broken"), &|frame| frame["layout"]["errors"][0]["message"] == "no page today");

    host.order(&json!({"order": "close"}));
    assert!(!host.has_event_within("closed", Duration::from_secs(1)), "somebody looks at the page");
    drop(users);
    host.event("closed");
}

#[test]
fn what_is_enqueued_waits_until_it_is_begun_or_taken_out_once() {
    let server = Server::start();
    let person = Person::of(&server);
    let mut host = Host::connect(&server.address, &person.key);
    let params = json!({"x": 1, "when": "1970-01-01T00:00:00.005Z"});
    host.order(&json!({"order": "enqueue", "slug": "context", "assignee": "ada@example.com", "params": params}));
    let id = host.event("enqueued")["id"].as_str().expect("an id").to_owned();
    let queue = || person.owner.get("/api/queue").expect(200).json()["objects"].clone();
    assert_eq!((&queue()[0]["id"], &queue()[0]["assignee"]), (&json!(id), &json!("ada@example.com")));
    let begin = format!("/api/queue/{id}/runs");
    let made = person.owner.post(&begin, &json!({"params": {"x": 2}})).expect(201).json();
    let run = Run { owner: &person.owner, id: made["id"].as_str().expect("an id").to_owned() };
    let context = run.result();
    assert_eq!((&context["params"]["x"], &context["isDate"]), (&json!(2), &json!(true)), "{context}");
    assert_eq!(queue(), json!([]), "what was begun waits no longer");
    person.owner.post(&begin, &json!({})).problem(404, "queue_item_unknown");

    host.order(&json!({"order": "enqueue", "slug": "text", "params": {"when": 5}}));
    let id = host.event("enqueued")["id"].clone();
    host.order(&json!({"order": "dequeue", "id": id}));
    let taken = host.event("dequeued");
    assert_eq!((&taken["id"], &taken["isDate"]), (&id, &json!(true)), "{taken}");
    host.order(&json!({"order": "dequeue", "id": id}));
    let refused = host.event("failed")["message"].as_str().expect("words").to_owned();
    assert!(refused.contains("No action with this id waits"), "the package prints why: {refused}");
    host.order(&json!({"order": "enqueue", "slug": "not a slug"}));
    assert!(host.event("failed")["message"].as_str().is_some_and(|message| message.contains("A slug is made of")));

    let stranger = Person::of(&server);
    assert_eq!(stranger.owner.get("/api/queue").expect(200).json()["objects"], json!([]));
    let enqueue = |body: &Value| person.owner.post("/api/actions/enqueue", body);
    let large = json!({"slug": "text", "params": {"x": "x".repeat(65 << 10)}});
    let refused = enqueue(&large).expect(413).json();
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("queue_params_too_large")));
    assert_eq!(enqueue(&json!({"slug": "a b"})).expect(400).json()["code"], "slug_malformed");
    let kept = enqueue(&json!({"slug": "text"})).expect(200).json();
    person.owner.post(&format!("/api/queue/{}/runs", kept["id"].as_str().expect("an id")), &json!({})).expect(201);
}

#[test]
fn a_notice_is_kept_once_and_mailed_to_users_alone() {
    let mails = MailServer::start();
    let server = Server::start_with(&[("EVERFOLD_SMTP", &mails.url())]);
    let person = Person::of(&server);
    person.owner.post("/api/auth/signin", &json!({"email": "ada@example.com"})).expect(200);
    let link = mails.mail()["text"].as_str().expect("a text").to_owned();
    let token = link.split("/signin/").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a link");
    person.owner.post("/api/auth/validate-signin-token", &json!({"token": token})).expect(200);

    let host = Host::connect_with(&server.address, &person.key, &[("NOTIFY_TO", "ada@example.com")]);
    let keyed = |ask: Ask| ask.header("authorization", format!("Bearer {}", person.key)).send(&server.address);
    let made = keyed(Ask::new("POST", "/api/actions/notify/runs").json(&json!({}))).expect(201).json();
    let mail = mails.mail();
    assert_eq!((&mail["subject"], &mail["to"]), (&json!("Refund"), &json!(["ada@example.com"])));
    let id = made["id"].as_str().expect("an id");
    assert!(mail["text"].as_str().is_some_and(|text| text.contains("$500 went back") && text.contains(id)), "{mail}");
    let notices = || keyed(Ask::new("GET", "/api/notices")).expect(200).json()["objects"].clone();
    eventually("it is kept", || (notices().as_array().map(Vec::len) == Some(1)).then_some(()));
    assert_eq!((&notices()[0]["runId"], &notices()[0]["title"]), (&json!(id), &json!("Refund")));
    let run = keyed(Ask::new("GET", format!("/api/runs/{id}")));
    eventually("both calls were taken", || (run.json()["status"] != "failure").then_some(()));

    let notify = |body: Value| keyed(Ask::new("POST", "/api/notify").json(&body));
    let to = |address: &str| json!([{"to": address, "method": "EMAIL"}]);
    notify(json!({"message": "hi", "deliveryInstructions": to("stranger@example.com")})).expect(200);
    assert!(mails.is_quiet(), "nobody mails strangers through this server");
    let many: Vec<_> = (0..11).map(|n| json!({"to": format!("a{n}@example.com")})).collect();
    let refused = notify(json!({"message": "hi", "deliveryInstructions": many})).expect(400).json();
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("notice_addresses_too_many")));
    assert_eq!(notify(json!({"message": "x".repeat(10_001)})).expect(413).json()["code"], "notice_too_long");
    drop(host);
}

/// Somebody else's program, which speaks the protocol by hand.
#[test]
fn a_host_does_not_speak_of_anothers_runs() {
    let server = Server::start();
    let (person, other) = (Person::of(&server), Person::of(&server));
    let _host = Host::connect(&server.address, &person.key);
    let run = person.begin("text");
    run.question();
    let mut socket = spoken(&server, &other.key, "6e21065b-0ef3-4a3e-9c3b-000000000001");
    let transaction = format!("{}.1", run.id.replace('-', ""));
    let io = json!({"id": "i", "inputGroupKey": "k", "toRender": [{"methodName": "INPUT_TEXT", "label": "Password"}]});
    let data = json!({"transactionId": transaction, "ioCall": io.to_string()});
    assert_eq!(called(&mut socket, "SEND_IO_CALL", &data), json!(false));
    let result = json!({"transactionId": transaction, "resultStatus": "SUCCESS", "result": "{}"});
    assert_eq!(called(&mut socket, "MARK_TRANSACTION_COMPLETE", &result), json!(false));
    assert_eq!(called(&mut socket, "SEND_IO_CALL", &json!({"transactionId": "t"}))["type"], "ERROR");
    assert_eq!(run.now()["status"], "waiting");
    let many: Vec<_> = (0..2_001).map(|n| json!({"slug": n.to_string()})).collect();
    let refused = called(&mut socket, "INITIALIZE_HOST", &json!({ "actions": many }));
    assert!(refused["message"].as_str().is_some_and(|why| why.contains("2000")), "{refused}");
}

#[test]
fn a_newer_connection_of_an_instance_ends_the_older() {
    let server = Server::start();
    let person = Person::of(&server);
    let mut older = spoken(&server, &person.key, "same");
    assert_eq!(older.next_frame(SOON).expect("a word")["data"], "authenticated", "it is there");
    let mut newer = spoken(&server, &person.key, "same");
    assert!(older.is_closed_within(SOON));
    assert_eq!(called(&mut newer, "BEGIN_HOST_SHUTDOWN", &json!({})), json!({"type": "success"}));
    let mut long = spoken(&server, &person.key, &"x".repeat(65));
    assert!(long.is_closed_within(SOON), "what an instance is called is bounded");
}

/// Behind the line that broke, and some patience with whoever works long.
fn is_parked_in_the_end(run: &Run) {
    let parked = harness::eventually_within(Duration::from_secs(40), "parked", || {
        let now = run.now();
        (now["status"] == "parked").then_some(now)
    });
    assert_eq!(parked["parked"]["reason"], "hostGone", "{parked}");
}

/// What a host is told to begin, while it acknowledges everything, or all but this.
fn told_to_begin(socket: &mut Socket, is_heard: bool, patience: Duration) -> Option<Value> {
    let until = std::time::Instant::now() + patience;
    loop {
        let frame = socket.next_frame(until.saturating_duration_since(std::time::Instant::now()))?;
        let said: Value = serde_json::from_str(frame["data"].as_str().unwrap_or_default()).unwrap_or_default();
        let is_begun = said["methodName"] == "START_TRANSACTION";
        if frame["type"] == "MESSAGE" && (is_heard || !is_begun) {
            socket.say(&json!({"id": frame["id"], "type": "ACK"}).to_string());
        }
        if is_begun {
            return Some(said["data"].clone());
        }
    }
}

fn spoken(server: &Server, key: &str, instance: &str) -> Socket {
    let headers = [("x-api-key", key), ("x-instance-id", instance)];
    Socket::open_with(&server.address, "/websocket", &headers).expect("everybody is let in to be told why not")
}

/// Calls the server, and gives what it answers; what it says beside that is acknowledged.
fn called(socket: &mut Socket, method: &str, data: &Value) -> Value {
    let call = json!({"id": method, "kind": "CALL", "methodName": method, "data": data});
    socket.say(&json!({"id": "call", "type": "MESSAGE", "data": call.to_string()}).to_string());
    loop {
        let frame = socket.next_frame(SOON).expect("an answer");
        if frame["type"] == "ACK" {
            continue;
        }
        socket.say(&json!({"id": frame["id"], "type": "ACK"}).to_string());
        let said: Value = serde_json::from_str(frame["data"].as_str().expect("a string")).unwrap_or_default();
        if said["kind"] == "RESPONSE" && said["id"] == method {
            return said["data"].clone();
        }
    }
}
