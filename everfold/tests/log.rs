//! What a page shows of a log, however long it is: a table of its requests, the course of a number, when it was busy.

mod harness;

use harness::{
    hook::{Hook, Owner},
    http::{Ask, Reply},
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
