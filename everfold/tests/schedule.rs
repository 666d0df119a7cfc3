//! Scheduled actions, as a person sets them up and as time goes by: through kills, and with a program that connects.

mod harness;

use std::{
    collections::BTreeMap,
    process::Command,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use harness::{
    eventually, eventually_within,
    hook::{Hook, Owner},
    host::{Host, api_key},
    http::Ask,
    run::Run,
    server::Server,
};
use serde_json::{Value, json};

const MINUTE_MS: u64 = 60_000;
/// From now to the next whole minute, and a moment.
const A_MINUTE: Duration = Duration::from_secs(80);

/// What it did is counted by its hook; what it was told is its result.
const REPORT: &str = "
    export const reducer = (counts, request) => ({ ...counts, [request.body]: (counts?.[request.body] ?? 0) + 1 });
    export const actions = {
        report: async (io, ctx) => {
            await ctx.step('count', () => ctx.send(ctx.params.n));
            if (ctx.params.throws) throw new Error('no numbers');
            return { n: ctx.params.n, user: ctx.user.email };
        },
    };";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

fn delete(owner: &Owner, schedule: &Value) -> harness::http::Reply {
    owner.ask(Ask::new("DELETE", path(schedule)))
}

fn path(schedule: &Value) -> String {
    format!("/api/schedules/{}", schedule["id"].as_str().expect("a schedule has an id"))
}

fn each_minute(params: Value) -> Value {
    json!({ "slug": "report", "cron": "* * * * *", "timezone": "UTC", "params": params })
}

#[test]
fn a_schedule_is_made_changed_and_deleted_and_says_when_it_comes_next() {
    let server = Server::start();
    let hook = Hook::running(&server, REPORT);
    let owner = &hook.owner;
    let asked = json!({ "slug": "report", "cron": "30 2 * * *", "timezone": "Asia/Kolkata", "params": { "n": 1 },
        "name": "Nightly", "notifyOnSuccess": true });
    let made = owner.post("/api/schedules", &asked).expect(201).json();
    let next_at = made["nextAt"].as_u64().expect("it comes");
    // Half past two there is nine in the evening of the world.
    assert_eq!(next_at % (24 * 60 * MINUTE_MS), 21 * 60 * MINUTE_MS, "{made}");
    assert!((1..=24 * 60 * MINUTE_MS).contains(&(next_at - now())), "{made}");
    let wanted = json!({ "id": made["id"], "slug": "report", "name": "Nightly", "hookId": hook.id, "cron": "30 2 * * *",
        "timezone": "Asia/Kolkata", "params": { "n": 1 }, "paused": false, "notifyOnSuccess": true,
        "nextAt": next_at, "lastRun": null, "createdAt": made["createdAt"] });
    assert_eq!(made, wanted);
    assert_eq!(owner.get(&path(&made)).expect(200).json(), wanted);
    assert_eq!(owner.get("/api/schedules").expect(200).json(), json!({ "objects": [wanted], "nextToken": null }));

    let change = json!({ "cron": "0 9 * * MON-FRI", "timezone": "Europe/Berlin", "name": "", "params": {} });
    let changed = owner.put(&path(&made), &change).expect(200).json();
    assert_ne!(changed["nextAt"], made["nextAt"]);
    assert_eq!(
        (&changed["name"], &changed["params"], &changed["notifyOnSuccess"]),
        (&json!(null), &json!(null), &json!(true))
    );
    let paused = owner.put(&path(&made), &json!({ "paused": true })).expect(200).json();
    assert_eq!((&paused["paused"], &paused["nextAt"]), (&json!(true), &json!(null)));
    let resumed = owner.put(&path(&made), &json!({ "paused": false })).expect(200).json();
    assert_eq!(resumed["nextAt"], changed["nextAt"]);

    delete(owner, &made).expect(200);
    owner.get(&path(&made)).problem(404, "schedule_unknown");
    delete(owner, &made).problem(404, "schedule_unknown");
    assert_eq!(owner.get("/api/schedules").expect(200).json()["objects"], json!([]));
}

#[test]
fn what_cannot_be_scheduled_is_refused_and_what_is_anothers_is_unknown() {
    let server = Server::start();
    let hook = Hook::running(&server, REPORT);
    let with = |name: &str, value: &str| {
        let mut asked = each_minute(json!({}));
        asked[name] = json!(value);
        hook.owner.post("/api/schedules", &asked)
    };
    for cron in ["often", "0 0 9 * * *", "61 * * * *", ""] {
        let problem = with("cron", cron).problem(400, "cron_malformed");
        assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("0 9 * * MON-FRI")), "{problem}");
    }
    with("cron", "0 0 31 2 *").problem(400, "cron_never");
    let problem = with("timezone", "Europe/Berln").problem(400, "timezone_unknown");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("Europe/Berln")), "{problem}");
    with("slug", "nothing").problem(404, "action_unknown");
    with("name", &"x".repeat(201)).problem(400, "schedule_name_too_long");
    let large = each_minute(json!({ "n": "x".repeat(64 << 10) }));
    hook.owner.post("/api/schedules", &large).problem(413, "schedule_params_too_large");
    hook.owner.post("/api/schedules", &json!({ "slug": "report" })).problem(400, "body_malformed");

    let made = hook.owner.post("/api/schedules", &each_minute(json!({}))).expect(201).json();
    hook.owner.put(&path(&made), &json!({ "cron": "x" })).problem(400, "cron_malformed");
    assert_eq!(hook.owner.get(&path(&made)).expect(200).json()["cron"], "* * * * *");
    let other = Owner::guest(&server);
    other.get(&path(&made)).problem(404, "schedule_unknown");
    other.put(&path(&made), &json!({ "paused": true })).problem(404, "schedule_unknown");
    delete(&other, &made).problem(404, "schedule_unknown");
}

#[test]
fn killed_again_and_again_when_a_time_comes_a_server_begins_one_run_of_it() {
    const SCHEDULES: usize = 24;
    let data = tempfile::tempdir().expect("a folder");
    let mut server = Server::start_on(data.path());
    let guest = Hook::running(&server, REPORT);
    for n in 0..SCHEDULES {
        guest.owner.post("/api/schedules", &each_minute(json!({ "n": n }))).expect(201);
    }
    let fails = each_minute(json!({ "n": "fails", "throws": true }));
    let fails = guest.owner.post("/api/schedules", &fails).expect(201).json();
    let mut paused = each_minute(json!({ "n": "paused" }));
    paused["paused"] = json!(true);
    guest.owner.post("/api/schedules", &paused).expect(201);
    let mut owner = guest.owner.sign_in("ada@example.com");

    let due = (now() / MINUTE_MS + 1) * MINUTE_MS;
    thread::sleep(Duration::from_millis(due.saturating_sub(now())));
    for moment in [2, 8, 20, 45, 90] {
        thread::sleep(Duration::from_millis(moment));
        let killed = Command::new("kill").args(["-9", &server.id().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()));
        server.kill();
        server = Server::start_on(data.path());
    }
    owner.address.clone_from(&server.address);
    let runs = eventually("all of them ran", || {
        let runs = owner.get("/api/runs").expect(200).json()["objects"].as_array().expect("runs").clone();
        let is_over = |run: &Value| matches!(run["status"].as_str(), Some("success" | "failure"));
        (runs.len() > SCHEDULES && runs.iter().all(is_over)).then_some(runs)
    });
    // The servers may have been alive for longer than a minute.
    let mut times: BTreeMap<(String, u64), usize> = BTreeMap::new();
    for run in &runs {
        let id = run["id"].as_str().expect("an id").replace('-', "");
        let at = u64::from_str_radix(&id[..12], 16).expect("a UUIDv7 begins with its time");
        let whole = Run { owner: owner.clone(), id }.show();
        let n = if run["status"] == "failure" { "fails".to_owned() } else { whole["result"]["n"].to_string() };
        assert!(n == "fails" || whole["result"]["user"] == "ada@example.com", "{whole}");
        *times.entry((n, at)).or_default() += 1;
    }
    assert!(times.values().all(|count| *count == 1), "{times:?}");
    let firsts = times.keys().filter(|(_, at)| *at == due).count();
    assert_eq!(firsts, SCHEDULES + 1, "{times:?}");
    let counts = eventually("all is folded", || {
        let counts = guest.at(&server).state();
        (counts.as_object().map_or(0, |counts| counts.values().filter_map(Value::as_u64).sum()) >= runs.len() as u64)
            .then_some(counts)
    });
    for n in 0..SCHEDULES {
        let ran = times.keys().filter(|(one, _)| *one == n.to_string()).count();
        assert_eq!(counts[n.to_string()], ran, "{counts}");
    }
    assert_eq!(counts["paused"], Value::Null);

    let fails = owner.get(&path(&fails)).expect(200).json();
    assert_eq!((&fails["lastRun"]["status"], &fails["paused"]), (&json!("failure"), &json!(false)), "{fails}");
    assert!(fails["lastRun"]["error"].as_str().is_some_and(|error| error.contains("no numbers")), "{fails}");
    assert!(fails["nextAt"].as_u64().is_some_and(|next| next > now() && next <= now() + MINUTE_MS), "{fails}");
    let notices = eventually("it is told", || {
        let notices = owner.get("/api/notices").expect(200).json()["objects"].as_array().expect("notices").clone();
        (!notices.is_empty()).then_some(notices)
    });
    assert!(notices.iter().all(|notice| notice["title"] == "report failed"), "{notices:?}");
    assert_eq!(notices.len(), times.keys().filter(|(n, _)| n == "fails").count());
}

#[test]
fn an_action_of_a_program_runs_by_itself_if_it_can_and_while_it_is_away_that_is_said() {
    let server = Server::start();
    let asked = |slug: &str| json!({ "slug": slug, "cron": "* * * * *", "timezone": "UTC" });
    let connected = || {
        let owner = Owner::guest(&server);
        let host = Host::connect(&server.address, &api_key(&owner));
        let made = owner.post("/api/schedules", &asked("patient")).expect(201).json();
        (owner, host, made)
    };
    // Two wait for the same minute: a program that is there then, and one that is not.
    let (owner, _host, made) = connected();
    let (left, mut gone, forgotten) = connected();
    owner.post("/api/schedules", &asked("text")).problem(409, "action_not_backgroundable");
    gone.kill();

    let run = eventually_within(A_MINUTE, "it is begun", || {
        let last = owner.get(&path(&made)).expect(200).json()["lastRun"].clone();
        last["id"].as_str().map(str::to_owned)
    });
    assert_eq!(Run { owner, id: run }.asks(), "First");
    let said = eventually_within(A_MINUTE, "it is said", || {
        let last = left.get(&path(&forgotten)).expect(200).json()["lastRun"].clone();
        last["error"].as_str().map(str::to_owned)
    });
    assert!(said.contains("not connected"), "{said}");
    let notices = left.get("/api/notices").expect(200).json();
    assert_eq!(notices["objects"][0]["title"], "patient was not begun", "{notices}");
}
