//! What a page shows of a log, however long it is: a table of its requests, the course of a number, when it was busy.

mod harness;

use harness::{
    hook::{Hook, Owner},
    http::{Ask, Connection, Reply},
    server::Server,
};
use serde_json::{Value, json};

const COUNT: &str = "export const reducer = (state) => (state ?? 0) + 1;";
/// Refuses, breaks, skips and throws as it is told.
const MOODY: &str = "
    export const responder = (request) => {
      if (request.body.refuse) return {statusCode: 403, body: 'no'};
      if (request.body.break) throw new RangeError('while answering');
      return {statusCode: 200, body: 'ok'};
    };
    export const getIdempotencyKey = (request) => request.body.key ?? request.id;
    export const reducer = (state, request) => {
      console.log('met', request.seq);
      if (request.body.fail) throw new TypeError('not this one');
      return {total: (state?.total ?? 0) + 1};
    };";

impl Hook {
    fn get(&self, rest: &str) -> Reply {
        self.owner.get(&self.api(rest))
    }

    fn requests(&self, query: &str) -> (Vec<Value>, Value) {
        let page = self.get(&format!("/requests?{query}")).expect(200).json();
        (
            page["objects"].as_array().unwrap_or_else(|| panic!("no `objects` in {page}")).clone(),
            page["nextToken"].clone(),
        )
    }

    /// What the table says became of each request, oldest first, and what a fold of now says.
    fn became(&self) -> [Vec<Value>; 2] {
        let table = self.requests("limit=100").0.into_iter().rev();
        let brief = |request: &Value| {
            let error = &request["error"];
            let error = if error.is_null() { Value::Null } else { json!([error["name"], error["message"]]) };
            json!([request["id"], request["seq"], request["status"], error, request["createdAt"]])
        };
        [table.map(|request| brief(&request)).collect(), self.history().iter().map(brief).collect()]
    }
}

fn seqs(requests: &[Value]) -> Vec<u64> {
    requests.iter().map(|request| request["seq"].as_u64().expect("a seq")).collect()
}

#[test]
fn a_table_says_of_every_request_what_a_fold_of_it_says() {
    let mut server = Server::start();
    let hook = Hook::running(&server, MOODY);
    let bodies = [
        json!({"key": "a"}),
        json!({"fail": true}),
        json!({"refuse": true}),
        json!({"key": "a"}),
        json!({"break": true}),
        json!({"key": "a", "fail": true}),
        json!({}),
    ];
    for body in &bodies {
        hook.write(body);
    }
    hook.state_after(7);
    hook.owner.put(&hook.api(""), &json!({"workflowState": "paused"})).expect(202);
    hook.write(&json!({"fail": true})).expect(200);
    let [table, folded] = hook.became();
    assert_eq!(table, folded);
    let statuses: Vec<_> = table.iter().map(|request| request[2].as_str().expect("a status")).collect();
    assert_eq!(statuses, ["folded", "folded", "ignored", "duplicate", "failed", "duplicate", "folded", "pending"]);
    assert_eq!(table[1][3], json!(["TypeError", "not this one"]));
    assert_eq!(table[4][3], json!(["RangeError", "while answering"]));
    assert_eq!(table[7][3], Value::Null, "nobody knows yet");

    hook.owner.put(&hook.api(""), &json!({"workflowState": "live"})).expect(202);
    hook.publish(&MOODY.replace("request.body.fail", "request.body.key"));
    let [table, folded] = hook.became();
    assert_eq!(table, folded, "behind a refold with other code");
    assert_eq!((&table[0][3], &table[1][3]), (&json!(["TypeError", "not this one"]), &Value::Null));

    server.kill();
    let server = Server::start_on(&server.data);
    let hook = hook.at(&server);
    assert_eq!(hook.became()[0], table, "behind a kill");
    hook.owner.post(&hook.api("/versions/2/restore"), &json!({})).expect(200);
    hook.replayed();
    let [table, folded] = hook.became();
    assert_eq!(table, folded, "behind a restored version");
    assert_eq!(table[7][3], json!(["TypeError", "not this one"]));
}

#[test]
fn any_page_of_a_table_can_be_asked_for() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    assert_eq!(hook.requests(""), (vec![], Value::Null));
    for _ in 0..150 {
        hook.keep(&json!({}));
    }
    hook.state_after(150);
    let page = |query: &str| {
        let (requests, next) = hook.requests(query);
        (seqs(&requests), next)
    };
    assert_eq!(page(""), ((111..=150).rev().collect(), json!("111")));
    assert_eq!(page("limit=100"), ((51..=150).rev().collect(), json!("51")));
    assert_eq!(page("limit=100&token=51"), ((1..=50).rev().collect(), Value::Null));
    assert_eq!(page("limit=3&token=78"), (vec![77, 76, 75], json!("75")));
    assert_eq!(page("token=1"), (vec![], Value::Null));
    assert_eq!(page("limit=1&token=999999999"), (vec![150], json!("150")), "past the end is the end");

    hook.owner.post(&hook.api("/reset-requests"), &json!({})).expect(201);
    assert_eq!(page(""), (vec![], Value::Null));
    hook.keep(&json!({}));
    assert_eq!(page("limit=100"), (vec![151], Value::Null), "what was before a reset is not shown");

    for limit in ["0", "101", "-1", "1.5", "ten", ""] {
        hook.get(&format!("/requests?limit={limit}")).problem(400, "number_out_of_bounds");
    }
    for token in ["x", "-1", ""] {
        hook.get(&format!("/requests?token={token}")).problem(400, "token_of_no_list");
    }
    Owner::guest(&server).get(&hook.api("/requests")).problem(403, "hook_foreign");
}

#[test]
fn a_row_of_a_table_shows_the_beginning_of_a_body_in_one_line() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let shown = |kind: Option<&str>, body: &[u8]| {
        let ask = Ask::new("PUT", hook.write_path());
        let ask = match kind {
            Some(kind) => ask.body(kind, body),
            None => ask,
        };
        hook.ask(ask).expect(202);
        let row = hook.requests("limit=1").0.remove(0);
        assert_eq!((&row["method"], &row["path"]), (&json!("PUT"), &json!(hook.write_path())));
        (row["contentType"].clone(), row["bodyBytes"].as_u64().expect("a number"), word(&row["excerpt"]))
    };
    fn word(value: &Value) -> String {
        value.as_str().expect("text").to_owned()
    }
    assert_eq!(shown(None, b""), (Value::Null, 0, String::new()));
    let broken = "one\r\ntwo\tthree\u{2028}four\u{0}five\u{85}six";
    assert_eq!(
        shown(Some("text/plain; charset=utf-8"), broken.as_bytes()),
        (json!("text/plain; charset=utf-8"), broken.len() as u64, "one  two three four five six".into())
    );
    for beginning in ["", "a", "é", "日", "aé日"] {
        let body = format!("{beginning}{}", "🦊".repeat(200));
        let expected: String = body.chars().take(160).collect();
        let (_, bytes, excerpt) = shown(Some("text/plain"), body.as_bytes());
        assert_eq!((bytes, excerpt), (body.len() as u64, expected));
    }
    let (_, bytes, excerpt) = shown(Some("image/png"), &[0xff; 1000]);
    assert_eq!((bytes, excerpt), (1000, "\u{fffd}".repeat(160)), "what is no text says so");
}

/// Seq and value of each point.
fn course(hook: &Hook, query: &str) -> Vec<(u64, Value)> {
    let series = hook.get(&format!("/series?{query}")).expect(200).json();
    let points = series["points"].as_array().unwrap_or_else(|| panic!("no `points` in {series}"));
    points.iter().map(|point| (point["seq"].as_u64().expect("a seq"), point["value"].clone())).collect()
}

#[test]
fn the_course_of_a_number_is_drawn_over_the_log() {
    let server = Server::start();
    let hook = Hook::running(&server, MOODY);
    assert_eq!(course(&hook, "path=/total"), []);
    for body in [json!({}), json!({"refuse": true}), json!({}), json!({"fail": true}), json!({})] {
        hook.write(&body);
    }
    hook.state_after(5);
    let totals = [1, 1, 2, 2, 3].map(|total| json!(total));
    let every: Vec<_> = (1..=5).zip(totals).collect();
    assert_eq!(course(&hook, "path=/total"), every);
    assert_eq!(course(&hook, "path=/total&points=3"), [every[0].clone(), every[2].clone(), every[4].clone()]);
    assert_eq!(course(&hook, "path=%2Ftotal&points=2"), [every[0].clone(), every[4].clone()]);
    for path in ["", "/totals", "/total/0"] {
        assert!(course(&hook, &format!("path={path}")).iter().all(|(_, value)| value.is_null()), "{path}");
    }
    let series = hook.get("/series?path=/total").json();
    let times: Vec<_> = series["points"].as_array().expect("points").iter().map(|point| point["at"].clone()).collect();
    assert_eq!(times, hook.history().iter().map(|request| request["createdAt"].clone()).collect::<Vec<_>>());

    hook.publish("export const reducer = (state) => (state ?? 0) + 0.5;");
    assert_eq!(course(&hook, "")[4], (5, json!(2)), "the state itself, by the code of now");
    hook.owner.post(&hook.api("/reset-requests"), &json!({})).expect(201);
    hook.fold(&json!({}));
    assert_eq!(course(&hook, ""), [(6, json!(0.5))]);
    for path in ["total", "/~", "/~2"] {
        hook.get(&format!("/series?path={path}")).problem(400, "pointer_malformed");
    }
    for points in ["1", "1001", "many"] {
        hook.get(&format!("/series?points={points}")).problem(400, "number_out_of_bounds");
    }
    Owner::guest(&server).get(&hook.api("/series")).problem(403, "hook_foreign");
}

#[test]
fn the_course_of_a_large_state_is_drawn_from_its_snapshots() {
    const REQUESTS: u64 = 700;
    let server = Server::start();
    // Too large for every state to be gone through again.
    let code =
        "const pad = 'x'.repeat(300_000); export const reducer = (state) => ({count: (state?.count ?? 0) + 1, pad});";
    let hook = Hook::running(&server, code);
    let mut connection = Connection::open(&server.address).expect("the server listens");
    let ask = Ask::new("POST", hook.write_path()).json(&json!({"pad": "y".repeat(1_500)}));
    (0..REQUESTS).for_each(|_| drop(connection.ask(&ask).expect("a reply").expect(202)));
    hook.state_after(REQUESTS);
    let points = course(&hook, "path=/count");
    assert!((3..10).contains(&points.len()), "{points:?}");
    assert_eq!((points[0].0, points[points.len() - 1].0), (1, REQUESTS));
    assert!(points.is_sorted_by_key(|(seq, _)| *seq));
    for (seq, value) in points {
        assert_eq!(value, json!(seq));
    }
    assert_eq!(course(&hook, "path=/count&points=2"), [(1, json!(1)), (REQUESTS, json!(REQUESTS))]);
}

#[test]
fn a_hook_tells_when_it_was_busy() {
    let server = Server::start();
    let hook = Hook::running(&server, MOODY);
    let told = |query: &str| hook.get(&format!("/activity{query}")).expect(200).json();
    let quiet = told("");
    assert_eq!(
        (&quiet["lastRequestAt"], &quiet["requests"], &quiet["recentErrors"]),
        (&Value::Null, &json!(0), &json!(0))
    );
    for body in [json!({"break": true}), json!({"fail": true}), json!({"refuse": true}), json!({})] {
        hook.write(&body);
    }
    hook.state_after(4);
    for (query, hours) in [("", 24), ("?hours=1", 1), ("?hours=720", 720)] {
        let busy = told(query);
        assert_eq!((&busy["requests"], &busy["recentErrors"]), (&json!(4), &json!(2)), "ignored is no error");
        assert_eq!(busy["lastRequestAt"], hook.history()[3]["createdAt"]);
        let buckets = busy["buckets"].as_array().expect("buckets");
        let begins: Vec<_> = buckets.iter().map(|bucket| bucket["at"].as_u64().expect("a time")).collect();
        assert_eq!((begins.len(), begins[47] - begins[0]), (48, hours * 3_600_000 / 48 * 47));
        assert_eq!(buckets.iter().map(|bucket| bucket["count"].as_u64().expect("a count")).sum::<u64>(), 4);
    }
    (0..40).for_each(|_| drop(hook.write(&json!({}))));
    hook.state_after(44);
    assert_eq!(told("")["recentErrors"], 0, "of the newest 40");
    for hours in ["0", "721", "all"] {
        hook.get(&format!("/activity?hours={hours}")).problem(400, "number_out_of_bounds");
    }
    Owner::guest(&server).get(&hook.api("/activity")).problem(403, "hook_foreign");
}
