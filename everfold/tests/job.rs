//! Jobs: a script, an input, and whatever is open to run it.

mod harness;

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use harness::{
    PATIENCE, eventually,
    hook::{Hook, Owner},
    http::Ask,
    line::Line,
    server::{Server, everfold},
    socket::Socket,
    worker::Worker,
};
use serde_json::{Value, json};

fn submit(owner: &Owner, job: &Value) -> String {
    let made = owner.post("/api/jobs", job).expect(202).json();
    made["id"].as_str().expect("an id").to_owned()
}

fn seen(owner: &Owner, id: &str) -> Value {
    owner.get(&format!("/api/jobs/{id}")).expect(200).json()
}

/// The job when it is over.
fn over(owner: &Owner, id: &str) -> Value {
    let job = owner.get(&format!("/api/jobs/{id}?wait=20")).expect(200).json();
    assert!(job["finishedAt"].is_u64(), "it is over: {job}");
    job
}

/// `everfold worker`, ended with the test.
struct Headless(Child);

impl Headless {
    fn start(address: &str, key: &str, name: &str, threads: u32) -> Headless {
        let mut command: Command = everfold();
        command.args(["worker", "--url", &format!("http://{address}"), "--name", name]);
        command.args(["--threads", &threads.to_string()]).env("EVERFOLD_KEY", key);
        Headless(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"))
    }
}

impl Drop for Headless {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn workers(owner: &Owner) -> Vec<(String, String)> {
    let listed = owner.get("/api/workers").expect(200).json();
    let text = |worker: &Value, key: &str| worker[key].as_str().expect("text").to_owned();
    let all = listed["objects"].as_array().expect("a list").clone();
    all.iter().map(|worker| (text(worker, "name"), text(worker, "kind"))).collect()
}

#[test]
fn the_server_runs_a_job_where_nobody_else_is() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let id = submit(
        &owner,
        &json!({"code": "console.log('adding', input.a);\nreturn input.a + 1", "input": {"a": 41}, "name": "sum"}),
    );
    let job = over(&owner, &id);
    assert_eq!((&job["status"], &job["result"]), (&json!("done"), &json!(42)));
    assert_eq!((&job["worker"], &job["attempts"], &job["name"]), (&json!("server"), &json!(1), &json!("sum")));
    assert_eq!(job["console"], json!([{"level": "log", "text": "adding 41"}]));
    let listed = owner.get("/api/jobs").expect(200).json();
    assert_eq!((&listed["objects"][0]["id"], &listed["objects"][0]["status"]), (&json!(id), &json!("done")));
    assert_eq!(workers(&owner), [("server".to_owned(), "server".to_owned())]);
}

#[test]
fn a_job_that_throws_or_never_ends_says_so() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let thrown = over(&owner, &submit(&owner, &json!({"code": "const a = 1;\nthrow new TypeError('no ' + a)"})));
    assert_eq!((&thrown["status"], &thrown["error"]["name"]), (&json!("failed"), &json!("TypeError")));
    assert_eq!(thrown["error"]["message"], "no 1");
    assert!(thrown["error"]["stack"].as_str().is_some_and(|stack| stack.contains("job.js:2")), "{thrown}");
    let endless = over(&owner, &submit(&owner, &json!({"code": "for (;;) {}", "timeoutMs": 300})));
    assert_eq!((&endless["status"], &endless["error"]["name"]), (&json!("timed_out"), &json!("TimeoutError")));
}

#[test]
fn what_is_no_job_is_refused_with_what_to_do() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let refused = |job: Value, status: u16, code: &str| owner.post("/api/jobs", &job).problem(status, code);
    let wrong = refused(json!({"code": "const a = 1;\nreturn = = 2"}), 400, "source_unrunnable");
    assert_eq!((&wrong["line"], &wrong["column"]), (&json!(2), &json!(8)));
    refused(json!({}), 400, "job_malformed");
    refused(json!({"code": "1", "input": 1, "inputs": [1]}), 400, "job_malformed");
    refused(json!({"code": "1", "where": "moon"}), 400, "job_malformed");
    refused(json!({"code": "1", "dispatch": "dice"}), 400, "job_malformed");
    refused(json!({"code": "1", "timeoutMs": 600_001}), 400, "job_malformed");
    refused(json!({"code": "1", "timeoutMs": 0}), 400, "job_malformed");
    refused(json!({"code": "1", "verify": 99}), 400, "job_malformed");
    refused(json!({"code": "1", "verify": 3, "where": "server"}), 400, "job_malformed");
    refused(json!({"code": "1", "name": "n".repeat(201)}), 400, "job_malformed");
    let deep: Value = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let text = format!(r#"{{"code": "1", "input": {}}}"#, "[".repeat(100).to_owned() + &"]".repeat(100));
    owner.ask(Ask::new("POST", "/api/jobs").body("application/json", text)).expect(202);
    assert!(owner.post("/api/jobs", &json!({"code": "1", "input": deep})).status >= 400);
    refused(json!({"code": "1", "input": "x".repeat(1 << 20)}), 413, "job_input_too_large");
    refused(json!({"code": "1".repeat((1 << 20) + 1)}), 413, "source_too_large");
    let many: Vec<u8> = vec![0; 100_001];
    refused(json!({"code": "1", "inputs": many}), 400, "job_malformed");
    owner.get("/api/jobs/none").problem(404, "job_unknown");
    owner.get("/api/jobs/01a201ea-dd22-79f3-bef3-31e0af1682bc").problem(404, "job_unknown");
    owner.get("/api/jobs?token=x").problem(400, "token_of_no_list");
    assert_eq!(owner.get("/api/jobs").expect(200).json()["objects"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_job_is_nobody_elses() {
    let server = Server::start();
    let (owner, other) = (Owner::guest(&server), Owner::guest(&server));
    let id = submit(&owner, &json!({"code": "1", "where": "tab"}));
    other.get(&format!("/api/jobs/{id}")).problem(404, "job_unknown");
    other.ask(Ask::new("DELETE", format!("/api/jobs/{id}"))).problem(404, "job_unknown");
    let mut foreign = Worker::of(&other, "foreign", 4);
    foreign.has_nothing_to_do();
    foreign.say(&json!({"type": "result", "id": id, "fence": 1, "value": 666}));
    assert_eq!(foreign.told("refused")["code"], "job_not_leased");
    assert_eq!(seen(&owner, &id)["status"], "queued");
    Ask::new("GET", "/api/jobs").send(&server.address).problem(401, "identity_missing");
    assert_eq!(Socket::open(&server.address, "/worker").err(), Some(401));
    assert_eq!(Socket::open(&server.address, "/job-events?key=nobody").err(), Some(401));
}

#[test]
fn jobs_go_round_the_workers_and_each_result_is_accepted_once() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let mut tabs: Vec<Worker> = (1..=3).map(|n| Worker::of(&owner, &format!("tab {n}"), 2)).collect();
    let ids: Vec<String> = (0..6).map(|n| submit(&owner, &json!({"code": "input", "input": n}))).collect();
    let given: Vec<Vec<Value>> = tabs.iter_mut().map(|tab| vec![tab.job(), tab.job()]).collect();
    for (n, jobs) in given.iter().enumerate() {
        assert_eq!([&jobs[0]["id"], &jobs[1]["id"]], [&json!(ids[n]), &json!(ids[n + 3])], "round-robin");
    }
    tabs[0].has_nothing_to_do();
    assert_eq!(seen(&owner, &ids[0])["status"], "leased");
    tabs[0].result(&given[0][0], &json!("first"));
    tabs[0].result(&given[0][0], &json!("second"));
    assert_eq!(tabs[0].told("refused")["code"], "job_not_leased");
    let forged = json!({"type": "result", "id": ids[1], "fence": given[1][0]["fence"], "value": "forged"});
    tabs[2].say(&forged);
    assert_eq!(tabs[2].told("refused")["id"], ids[1]);
    tabs[1].result(&given[1][0], &json!("honest"));
    let done = over(&owner, &ids[0]);
    assert_eq!((&done["result"], &done["worker"]), (&json!("first"), &json!("tab 1")));
    assert_eq!(over(&owner, &ids[1])["result"], "honest");
}

#[test]
fn a_job_that_wants_it_so_goes_to_who_is_least_loaded() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let (mut small, mut large) = (Worker::of(&owner, "small", 2), Worker::of(&owner, "large", 8));
    let job = |n: u32| json!({"code": "input", "input": n, "where": "tab", "dispatch": "least-loaded"});
    let ids: Vec<String> = (0..5).map(|n| submit(&owner, &job(n))).collect();
    let first = small.job();
    let others: Vec<Value> = (0..4).map(|_| large.job()).collect();
    small.has_nothing_to_do();
    // Half of either is busy now; who was asked last does not matter.
    for job in &others {
        large.result(job, &json!("done"));
    }
    others.iter().for_each(|job| drop(over(&owner, job["id"].as_str().expect("an id"))));
    let more: Vec<String> = (5..9).map(|n| submit(&owner, &job(n))).collect();
    let given: Vec<Value> = (0..4).map(|_| large.job()["id"].clone()).collect();
    assert!(given.iter().all(|id| more.iter().any(|more| id == more)), "{given:?} of {more:?}");
    small.has_nothing_to_do();
    assert_eq!((&first["id"], &seen(&owner, &ids[0])["dispatch"]), (&json!(ids[0]), &json!("least-loaded")));
}

#[test]
fn a_job_for_the_server_runs_there_though_a_tab_has_nothing_to_do() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let mut tab = Worker::of(&owner, "tab", 4);
    let job = over(&owner, &submit(&owner, &json!({"code": "input * 2", "input": 21, "where": "server"})));
    assert_eq!((&job["result"], &job["worker"], &job["attempts"]), (&json!(42), &json!("server"), &json!(1)));
    tab.has_nothing_to_do();
    submit(&owner, &json!({"code": "1"}));
    tab.job();
}

#[test]
fn a_long_list_of_jobs_comes_page_by_page_newest_first() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let mut ids: Vec<String> =
        (0..45).map(|n| submit(&owner, &json!({"code": "1", "input": n, "where": "tab"}))).collect();
    // An id begins with its time; within a millisecond any may be the newer.
    ids.sort_unstable_by(|a, b| b.cmp(a));
    let listed = |page: &Value| -> Vec<String> {
        let all = page["objects"].as_array().expect("a list");
        all.iter().map(|job| job["id"].as_str().expect("an id").to_owned()).collect()
    };
    let first = owner.get("/api/jobs").expect(200).json();
    assert_eq!(listed(&first), ids[..40]);
    let token = first["nextToken"].as_str().expect("there are more");
    // What is new does not move what follows.
    submit(&owner, &json!({"code": "1", "where": "tab"}));
    let second = owner.get(&format!("/api/jobs?token={token}")).expect(200).json();
    assert_eq!((listed(&second), &second["nextToken"]), (ids[40..].to_vec(), &Value::Null));
    let other = Owner::guest(&server).get(&format!("/api/jobs?token={token}")).expect(200).json();
    assert_eq!(other["objects"], json!([]), "a token opens nobody else's list");
}

#[test]
fn who_follows_jobs_hears_of_their_own_alone() {
    let server = Server::start();
    let (owner, other) = (Owner::guest(&server), Owner::guest(&server));
    let follow =
        |owner: &Owner| Socket::open(&server.address, &format!("/job-events?key={}", owner.jwt)).expect("it is let in");
    let (mut mine, mut theirs) = (follow(&owner), follow(&other));
    let mut tab = Worker::of(&owner, "tab", 1);
    let id = submit(&owner, &json!({"code": "1", "input": "a secret", "where": "tab"}));
    let job = tab.job();
    tab.result(&job, &json!("a result"));
    eventually("its owner is told", || mine.next_frame(PATIENCE).filter(|frame| frame["job"]["status"] == "done"));
    let own = submit(&other, &json!({"code": "1", "where": "server"}));
    let heard: Vec<Value> =
        std::iter::from_fn(|| theirs.next_frame(PATIENCE).filter(|frame| frame["job"]["status"] != "done")).collect();
    assert!(heard.iter().any(|frame| frame["job"]["id"] == own), "{heard:?}");
    let text = json!(heard).to_string();
    assert!(!text.contains(&id) && !text.contains("secret") && !text.contains("\"tab\""), "{text}");
}

#[test]
fn a_worker_that_goes_away_mid_job_loses_it_to_another() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let mut first = Worker::of(&owner, "first", 1);
    let id = submit(&owner, &json!({"code": "1", "where": "tab"}));
    let stale = first.job();
    let mut second = Worker::of(&owner, "second", 1);
    second.has_nothing_to_do();
    drop(first);
    let given = second.job_within(Duration::from_secs(11)).expect("within lease + 1 s");
    assert_eq!(given["id"], stale["id"]);
    assert_ne!(given["fence"], stale["fence"]);
    let late = json!({"type": "result", "id": id, "fence": stale["fence"], "value": "late"});
    second.say(&late);
    assert_eq!(second.told("refused")["code"], "job_not_leased");
    second.result(&given, &json!("right"));
    let job = over(&owner, &id);
    assert_eq!((&job["result"], &job["attempts"], &job["worker"]), (&json!("right"), &json!(2), &json!("second")));
}

#[test]
fn a_worker_that_falls_silent_loses_its_job_when_the_lease_ends() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let mut silent = Worker::of(&owner, "silent", 1);
    let id = submit(&owner, &json!({"code": "1", "where": "tab"}));
    let stale = silent.job();
    let begun = Instant::now();
    let mut other = Worker::of(&owner, "other", 1);
    let given = loop {
        other.beat(&[]);
        if let Some(job) = other.job_within(Duration::from_secs(1)) {
            break job;
        }
        assert!(begun.elapsed() < Duration::from_secs(11), "within lease + 1 s");
    };
    assert!(begun.elapsed() > Duration::from_secs(9), "not before its lease ended");
    silent.result(&stale, &json!("late"));
    assert_eq!(silent.told("refused")["code"], "job_not_leased");
    other.result(&given, &json!("right"));
    assert_eq!(over(&owner, &id)["result"], "right");
}

#[test]
fn progress_and_the_console_are_seen_while_a_job_runs() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let mut events = Socket::open(&server.address, &format!("/job-events?key={}", owner.jwt)).expect("it is let in");
    let mut tab = Worker::of(&owner, "tab", 1);
    let id = submit(&owner, &json!({"code": "1"}));
    let job = tab.job();
    tab.say(&json!({"type": "progress", "id": id, "fence": job["fence"], "done": 3, "total": 10, "note": "three"}));
    tab.say(&json!({"type": "log", "id": id, "fence": job["fence"], "level": "warn", "text": "mind"}));
    let is_shown = |job: &Value| {
        job["progress"] == json!({"done": 3.0, "total": 10.0, "note": "three"})
            && job["console"] == json!([{"level": "warn", "text": "mind"}])
    };
    eventually("it is told", || events.next_frame(PATIENCE).filter(|frame| is_shown(&frame["job"])));
    tab.result(&job, &json!({"n": 1}));
    let told =
        eventually("it is told", || events.next_frame(PATIENCE).filter(|frame| frame["job"]["status"] == "done"));
    assert_eq!((&told["type"], &told["job"]["result"]), (&json!("job"), &json!({"n": 1})));
    assert_eq!(over(&owner, &id)["console"], json!([{"level": "warn", "text": "mind"}]), "it stays");
}

#[test]
fn a_fan_out_gives_its_results_in_order() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let mut tab = Worker::of(&owner, "tab", 3);
    let made =
        owner.post("/api/jobs", &json!({"code": "input * 2", "inputs": [1, 2, 3], "where": "tab"})).expect(202).json();
    assert_eq!(made["count"], 3);
    let id = made["id"].as_str().expect("an id");
    let jobs = [tab.job(), tab.job(), tab.job()];
    assert_eq!(jobs.iter().map(|job| job["input"].clone()).collect::<Vec<_>>(), [1, 2, 3]);
    tab.result(&jobs[2], &json!(6));
    eventually("one is over", || (seen(&owner, id)["progress"] == json!({"done": 1.0, "total": 3.0})).then_some(()));
    tab.result(&jobs[0], &json!(2));
    let error = json!({"name": "Error", "message": "two is odd"});
    tab.say(&json!({"type": "error", "id": jobs[1]["id"], "fence": jobs[1]["fence"], "error": error}));
    let job = over(&owner, id);
    assert_eq!((&job["status"], &job["result"]), (&json!("failed"), &json!([2, null, 6])));
    assert_eq!(job["error"]["message"], "two is odd");
    let none = over(&owner, &submit(&owner, &json!({"code": "input", "inputs": []})));
    assert_eq!((&none["status"], &none["result"]), (&json!("done"), &json!([])));
}

#[test]
fn of_three_that_are_asked_the_majority_decides() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let mut tabs: Vec<Worker> = (1..=3).map(|n| Worker::of(&owner, &format!("tab {n}"), 1)).collect();
    let id = submit(&owner, &json!({"code": "1", "where": "tab", "verify": 3}));
    let jobs: Vec<Value> = tabs.iter_mut().map(Worker::job).collect();
    tabs[0].result(&jobs[0], &json!("a lie"));
    tabs[1].result(&jobs[1], &json!({"a": 1, "b": 2}));
    tabs[2].result(&jobs[2], &json!({"b": 2, "a": 1}));
    let job = over(&owner, &id);
    assert_eq!((&job["status"], &job["result"]), (&json!("done"), &json!({"a": 1, "b": 2})));
}

#[test]
fn a_cancelled_job_is_taken_from_whoever_has_it() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let mut tab = Worker::of(&owner, "tab", 1);
    let id = submit(&owner, &json!({"code": "1", "where": "tab"}));
    let job = tab.job();
    let cancel = || owner.ask(Ask::new("DELETE", format!("/api/jobs/{id}")));
    cancel().expect(200);
    assert_eq!(tab.told("cancel")["id"], id);
    tab.result(&job, &json!(1));
    assert_eq!(tab.told("refused")["code"], "job_not_leased");
    assert_eq!(seen(&owner, &id)["status"], "cancelled");
    cancel().problem(409, "job_over");
}

#[test]
fn a_killed_server_loses_no_job_and_no_result() {
    let data = tempfile::tempdir().expect("a folder");
    let mut server = Server::start_on(data.path());
    let mut owner = Owner::guest(&server);
    let mut tab = Worker::of(&owner, "tab", 2);
    let ids: Vec<String> =
        (0..4).map(|n| submit(&owner, &json!({"code": "input", "input": n, "where": "tab"}))).collect();
    let fan = submit(&owner, &json!({"code": "input + 1", "inputs": [1, 2, 3], "where": "tab"}));
    let jobs = [tab.job(), tab.job()];
    tab.result(&jobs[0], &json!("kept"));
    assert_eq!(over(&owner, &ids[0])["result"], "kept");
    server.kill();
    let server = Server::start_on(data.path());
    owner.address = server.address.clone();
    assert_eq!(seen(&owner, &ids[0])["result"], "kept");
    let mut tab = Worker::of(&owner, "tab", 8);
    for _ in 0..6 {
        let job = tab.job();
        assert!(job["fence"].as_u64() > jobs[1]["fence"].as_u64(), "no fence is used twice");
        tab.result(&job, &job["input"]);
    }
    ids[1..].iter().enumerate().for_each(|(n, id)| assert_eq!(over(&owner, id)["result"], n + 1));
    assert_eq!(over(&owner, &fan)["result"], json!([1, 2, 3]));
    tab.has_nothing_to_do();
}

#[test]
fn what_a_page_did_by_itself_is_taken_once() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let key = "01a201ea-dd22-79f3-bef3-31e0af1682bc";
    let delivered = |key: &str, result: Value| {
        let times = (1_700_000_000_000_u64, 1_700_000_000_500_u64);
        let console = json!([{"level": "log", "text": "here"}]);
        owner.post("/api/jobs/delivered", &json!({"key": key, "code": "7", "input": 1, "result": result, "console": console, "startedAt": times.0, "finishedAt": times.1}))
    };
    assert_eq!(delivered(key, json!(7)).expect(201).json()["id"], key);
    delivered(key, json!(8)).expect(201);
    let job = seen(&owner, key);
    assert_eq!((&job["result"], &job["worker"], &job["status"]), (&json!(7), &json!("local mode"), &json!("done")));
    assert_eq!(job["console"][0]["text"], "here");
    delivered("3f2504e0-4f89-41d3-9a0c-0305e82c3301", json!(7)).problem(400, "job_malformed");

    let mut tab = Worker::of(&owner, "tab", 1);
    let id = submit(&owner, &json!({"code": "1", "where": "tab"}));
    let job = tab.job();
    delivered(&id, json!("by the page")).expect(201);
    assert_eq!(tab.told("cancel")["id"], id);
    tab.result(&job, &json!("too late"));
    assert_eq!(tab.told("refused")["code"], "job_not_leased");
    assert_eq!(over(&owner, &id)["result"], "by the page");
    let all = owner.get("/api/jobs").expect(200).json();
    assert_eq!(all["objects"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_worker_that_talks_nonsense_is_told_so_and_a_frame_that_is_too_large_ends_it() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let mut tab = Worker::of(&owner, "tab", 1);
    for frame in [
        "nonsense",
        "[]",
        r#"{"type": "dance", "id": "01a201ea-dd22-79f3-bef3-31e0af1682bc", "fence": 1}"#,
        r#"{"type": "result"}"#,
    ] {
        tab.socket.say(frame);
        assert_eq!(tab.told("refused")["code"], "frame_malformed", "{frame}");
    }
    tab.say(&json!({"type": "resize", "threads": 2}));
    eventually("it is resized", || {
        let listed = owner.get("/api/workers").expect(200).json();
        listed["objects"].as_array()?.iter().any(|one| one["threads"] == 2 && one["name"] == "tab").then_some(())
    });
    tab.socket.say_in_vain(&"x".repeat((1 << 20) + 1));
    assert!(tab.socket.is_closed_within(PATIENCE));
    let mut rude = Socket::open(&server.address, &format!("/worker?key={}", owner.jwt)).expect("it is let in");
    rude.say(r#"{"type": "beat"}"#);
    assert!(rude.is_closed_within(PATIENCE), "a worker says hello first");
}

#[test]
fn a_worker_key_takes_jobs_and_nothing_else_until_it_is_revoked() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let made = owner.post("/api/keys", &json!({"type": "worker"})).expect(201).json();
    let key = made["key"].as_str().expect("a key");
    let mut worker = Worker::by(&server.address, key, "shed", 1);
    submit(&owner, &json!({"code": "1", "where": "tab"}));
    worker.job();
    let with_key = Ask::new("GET", "/api/jobs").header("authorization", format!("Bearer {key}"));
    with_key.send(&server.address).problem(403, "key_for_workers");
    assert_eq!(Socket::open(&server.address, &format!("/job-events?key={key}")).err(), Some(403));
    let path = format!("/api/keys/{}", made["id"].as_str().expect("an id"));
    owner.ask(Ask::new("DELETE", path)).expect(200);
    assert!(worker.socket.is_closed_within(Duration::from_secs(8)));
}

#[test]
fn headless_workers_run_jobs_in_the_sandbox_and_come_back_to_a_server_that_was_away() {
    let data = tempfile::tempdir().expect("a folder");
    let mut server = Server::start_on(data.path());
    let mut owner = Owner::guest(&server);
    let made = owner.post("/api/keys", &json!({"type": "worker"})).expect(201).json();
    let key = made["key"].as_str().expect("a key").to_owned();
    let line = Line::to(&server.address);
    let _workers = [Headless::start(&line.address, &key, "one", 2), Headless::start(&line.address, &key, "two", 2)];
    let are_there = |owner: &Owner| {
        eventually("both are there", || {
            (workers(owner).iter().filter(|(_, kind)| kind == "headless").count() == 2).then_some(())
        });
    };
    are_there(&owner);
    let code = "console.log('at', input); progress(1, 2); return input * input";
    let inputs: Vec<u32> = (0..50).collect();
    let job = over(&owner, &submit(&owner, &json!({"code": code, "inputs": inputs, "where": "tab"})));
    assert_eq!(job["result"], json!((0..50).map(|n| n * n).collect::<Vec<u32>>()));
    assert_eq!(job["console"].as_array().map(Vec::len), Some(50));
    let reach = "return [typeof process, typeof require, typeof fetch, typeof WebSocket, typeof Deno]";
    let job = over(&owner, &submit(&owner, &json!({"code": reach, "where": "tab"})));
    assert_eq!(job["result"], json!(["undefined", "undefined", "undefined", "undefined", "undefined"]));
    let endless = over(&owner, &submit(&owner, &json!({"code": "for (;;) {}", "timeoutMs": 200, "where": "tab"})));
    assert_eq!(endless["status"], "timed_out");

    let slow = "let n = 0; while (n < 2e7) n++; return n";
    let id = submit(&owner, &json!({"code": slow, "where": "tab"}));
    server.kill();
    line.down();
    let server = Server::start_on(data.path());
    line.up(&server.address);
    owner.address = server.address.clone();
    are_there(&owner);
    assert_eq!(over(&owner, &id)["result"], 20_000_000);
}

#[test]
fn an_action_asks_for_a_job_and_gets_its_result() {
    let server = Server::start();
    let hook = Hook::running(
        &server,
        "export const actions = { far: async (io, ctx) => [await ctx.job((input) => input * 2, 21), await ctx.job('throw new Error(`far away`)').catch((error) => error.message)] };",
    );
    let run = hook.owner.post("/api/actions/far/runs", &json!({})).expect(201).json();
    let id = run["id"].as_str().expect("an id").to_owned();
    let run = eventually("it is over", || {
        let run = hook.owner.get(&format!("/api/runs/{id}")).expect(200).json();
        (run["status"] != "running").then_some(run)
    });
    assert_eq!(run["result"], json!([42, "far away"]), "{run}");
    let jobs = hook.owner.get("/api/jobs").expect(200).json();
    assert_eq!(jobs["objects"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_job_is_run_from_a_terminal() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("square.js");
    std::fs::write(&file, "function main(input) { console.log('squaring', input); return input * input }")
        .expect("a file");
    let inputs = folder.path().join("inputs.json");
    std::fs::write(&inputs, "[1, 2, 3]").expect("a file");
    let run = |arguments: &[&str]| {
        let mut command = everfold();
        command.args(["jobs", "run", file.to_str().expect("a path"), "--url", &format!("http://{}", server.address)]);
        let output = command.args(arguments).env("HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path()).output();
        let output = output.expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").trim().to_owned();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    assert_eq!(run(&["--input", "12"]), (true, "144".into(), "squaring 12".into()));
    assert_eq!(run(&["--inputs", inputs.to_str().expect("a path")]).1, "[1,4,9]");
    let (is_well, _, said) = run(&["--input", "tea"]);
    assert!(!is_well && said.contains("--input is no JSON") && said.contains("hint:"), "{said}");
}

#[test]
fn an_account_has_so_many_inputs_and_workers_and_no_more() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let many: Vec<u8> = vec![0; 100_000];
    let id = submit(&owner, &json!({"code": "1", "inputs": many, "where": "tab"}));
    let refused = owner.post("/api/jobs", &json!({"code": "1", "where": "tab"}));
    refused.problem(409, "jobs_full");
    owner.ask(Ask::new("DELETE", format!("/api/jobs/{id}"))).expect(200);
    submit(&owner, &json!({"code": "1", "where": "tab"}));

    // The server is one of them.
    let _workers: Vec<Worker> = (1..1_000).map(|n| Worker::of(&owner, &format!("worker {n}"), 0)).collect();
    let mut one_more = Socket::open(&server.address, &format!("/worker?key={}", owner.jwt)).expect("it is let in");
    one_more.say(&json!({"type": "hello", "name": "one more", "threads": 1}).to_string());
    assert!(one_more.is_closed_within(PATIENCE), "workers_full");
}

#[test]
fn one_of_twenty_workers_lies_and_no_result_is_wrong() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let workers: Vec<_> = (0..20)
        .map(|n| {
            let mut worker = Worker::of(&owner, &format!("worker {n}"), 4);
            thread::spawn(move || {
                while let Some(job) = worker.job_within(Duration::from_secs(5)) {
                    let honest = job["input"].as_u64().expect("a number") * 7;
                    worker.result(&job, &json!(if n == 0 { 666 } else { honest }));
                }
            })
        })
        .collect();
    let inputs: Vec<u32> = (0..300).collect();
    let job = json!({"code": "input * 7", "inputs": inputs, "where": "tab", "verify": 3});
    let job = over(&owner, &submit(&owner, &job));
    assert_eq!(job["status"], "done");
    assert_eq!(job["result"], json!((0..300).map(|n| n * 7).collect::<Vec<u32>>()));
    assert!(job["attempts"].as_u64() >= Some(600), "more than one was asked for each: {}", job["attempts"]);
    workers.into_iter().for_each(|worker| worker.join().expect("it works to the end"));
}
