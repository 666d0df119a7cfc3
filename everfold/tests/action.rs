//! Hosted actions: they ask, they do, and whatever ends the server in between, they go on.

mod harness;

use std::{thread, time::Duration};

use harness::{
    eventually,
    function::Function,
    hook::{Hook, Owner},
    http::Ask,
    run::Run,
    server::{Server, typed_into},
    shop::shop,
    smtp::MailServer,
    socket::Socket,
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(10);

/// A hook whose state counts what its action sends to it.
const TEN_STEPS: &str = r#"
    export const reducer = (state, request) => ({ ...state, [request.body.step]: (state?.[request.body.step] ?? 0) + 1 });
    export const actions = {
        climb: async (io, ctx) => {
            const said = [];
            for (let step = 0; step < 10; step++) {
                said.push(await io.input.text(`Question ${step}`));
                await ctx.step(`step ${step}`, () => ctx.send({ step: `s${step}` }));
                await ctx.log("done", step);
            }
            return { said: said.join() };
        },
    };"#;

#[test]
fn an_action_asks_and_goes_on_with_the_answer() {
    let server = Server::start();
    let code = r#"export const actions = { greet: async (io, ctx) => {
        const name = await io.input.text("Name", { helpText: "yours" });
        const { age, news } = await io.group({ age: io.input.number("Age", { min: 1 }), news: io.input.boolean("News") });
        await ctx.log("hello", name);
        return { greeting: `Hello ${name}, ${age}`, news, from: ctx.params.from };
    } };"#;
    let hook = Hook::running(&server, code);
    let actions = hook.owner.get("/api/actions").expect(200).json();
    assert_eq!(
        actions["objects"],
        json!([{ "slug": "greet", "name": "greet", "description": null, "source": "hosted", "hookId": hook.id,
            "online": true, "unlisted": false, "isPage": false }])
    );
    let run = Run::of(&hook, "greet", &json!({ "from": "a test" }));
    let question = run.question();
    assert_eq!(question["toRender"][0]["methodName"], "INPUT_TEXT");
    assert_eq!(question["toRender"][0]["props"]["helpText"], "yours");
    run.answer(&json!(["Ada"]));
    assert_eq!(run.question()["toRender"][1]["label"], "News");
    run.answer(&json!([36, true]));
    assert_eq!(run.result(), json!({ "greeting": "Hello Ada, 36", "news": true, "from": "a test" }));
    let whole = run.show();
    assert_eq!(whole["answers"][1]["values"], json!([36, true]));
    assert_eq!(whole["logs"][0]["text"], "hello Ada");
    assert!(whole["finishedAt"].is_number() && whole["question"].is_null());
}

#[test]
fn ten_questions_survive_a_kill_at_each_and_every_step_is_done_once() {
    let data = tempfile::tempdir().expect("a folder");
    let mut server = Server::start_on(data.path());
    let hook = Hook::running(&server, TEN_STEPS);
    let mut run = Run::of(&hook, "climb", &json!({}));
    for step in 0..10 {
        assert_eq!(run.asks(), format!("Question {step}"));
        server.kill();
        server = Server::start_on(data.path());
        run = run.at(&server.address);
        assert_eq!(run.asks(), format!("Question {step}"));
        run.answer(&json!([step.to_string()]));
        // Killed again while it works, sooner or later.
        thread::sleep(Duration::from_millis(step * 3));
        server.kill();
        server = Server::start_on(data.path());
        run = run.at(&server.address);
    }
    assert_eq!(run.result(), json!({ "said": "0,1,2,3,4,5,6,7,8,9" }));
    let hook = hook.at(&server);
    let wanted: Value = (0..10).map(|step| (format!("s{step}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
    eventually("all is folded", || (hook.state() == wanted).then_some(()));
    let logs = run.show()["logs"].as_array().expect("logs").len();
    assert_eq!(logs, 10, "nothing is said twice");
}

#[test]
fn of_two_that_answer_at_once_one_is_heard_and_the_other_told() {
    let server = Server::start();
    let hook = Hook::running(&server, TEN_STEPS);
    let run = Run::of(&hook, "climb", &json!({}));
    let key = run.question()["key"].clone();
    let both: Vec<_> = ["Ada", "Eve"]
        .map(|name| {
            let (run, key) = (run.clone(), key.clone());
            thread::spawn(move || (name, run.try_answer(&key, &json!([name])).status))
        })
        .into_iter()
        .map(|asked| asked.join().expect("no panic"))
        .collect();
    let heard: Vec<_> = both.iter().filter(|(_, status)| *status == 200).map(|(name, _)| *name).collect();
    assert_eq!(heard.len(), 1, "{both:?}");
    assert!(both.iter().any(|(_, status)| *status == 409), "{both:?}");
    assert_eq!(run.asks(), "Question 1");
    assert_eq!(run.show()["answers"][0]["values"], json!([heard[0]]));
    run.try_answer(&key, &json!(["late"])).problem(409, "question_answered");
}

#[test]
fn an_answer_that_will_not_do_is_refused_and_the_question_stays_open() {
    let server = Server::start();
    let code = r#"export const actions = { ask: async (io) => {
        const [age, mail] = await io.group([io.input.number("Age", { min: 5 }), io.input.email("Mail")]);
        return io.input.text("Even").validate((text) => text.length % 2 ? "an even number of letters, please" : undefined);
    } };"#;
    let hook = Hook::running(&server, code);
    let run = Run::of(&hook, "ask", &json!({}));
    let key = run.question()["key"].clone();
    let refused = run.try_answer(&key, &json!([4, "nobody"])).problem(422, "answer_refused");
    assert_eq!(refused["fields"][0]["index"], 0);
    assert!(refused["fields"][0]["message"].as_str().is_some_and(|said| said.contains("at least 5")), "{refused}");
    assert!(refused["fields"][1]["message"].as_str().is_some_and(|said| said.contains("e-mail")), "{refused}");
    run.try_answer(&key, &json!([5])).problem(422, "answer_refused");
    run.try_answer(&json!("9"), &json!([5, "ada@example.com"])).problem(404, "question_unknown");
    run.owner.post(&run.path("/answers"), &json!({ "values": [] })).problem(400, "body_malformed");
    run.try_answer(&key, &json!([5, "ada@example.com"])).expect(200);
    let first = run.question();
    run.try_answer(&first["key"], &json!(["odd"])).expect(200);
    let again = eventually("it asks again", || Some(run.question()).filter(|question| question["key"] != first["key"]));
    let said = [&again["validationErrorMessage"], &again["toRender"][0]["validationErrorMessage"]];
    assert!(said.iter().any(|said| **said == "an even number of letters, please"), "{again}");
    run.try_answer(&first["key"], &json!(["even"])).problem(409, "question_answered");
    run.try_answer(&again["key"], &json!(["even"])).expect(200);
    assert_eq!(run.result(), json!("even"));
}

#[test]
fn a_run_keeps_the_code_that_it_began_with_and_a_restart_takes_the_new() {
    let server = Server::start();
    let version = |word: &str| {
        format!(r#"export const actions = {{ ask: async (io) => `{word} ${{await io.input.text("{word}")}}` }};"#)
    };
    let hook = Hook::running(&server, &version("old"));
    let (run, other) = (Run::of(&hook, "ask", &json!({ "a": 1 })), Run::of(&hook, "ask", &json!({})));
    assert_eq!((run.asks(), other.asks()), ("old".into(), "old".into()));
    hook.publish(&version("new"));
    other.answer(&json!(["x"]));
    assert_eq!(other.result(), json!("old x"));
    let made = run.post("/restart").expect(201).json();
    assert_eq!(run.ended()["status"], "cancelled");
    let next = Run { owner: run.owner.clone(), id: made["id"].as_str().expect("an id").to_owned() };
    assert_eq!((next.asks(), next.show()["params"].clone()), ("new".into(), json!({ "a": 1 })));
    run.post("/cancel").problem(409, "run_over");
    next.post("/resume").problem(409, "run_not_parked");
    next.post("/cancel").expect(200);
    assert_eq!(next.show()["status"], "cancelled");
    next.try_answer(&json!("0"), &json!(["x"])).problem(409, "question_answered");
}

#[test]
fn a_run_that_fails_says_why_and_code_that_never_ends_is_stopped() {
    let server = Server::start();
    let code = r#"export const actions = {
        broken: async () => { throw new RangeError("on purpose"); },
        endless: async () => { while (true) {} },
        stuck: async () => new Promise(() => {}),
    };"#;
    let hook = Hook::running(&server, code);
    for (action, name) in [("broken", "RangeError"), ("endless", "Stopped"), ("stuck", "Error")] {
        let run = Run::of(&hook, action, &json!({})).ended();
        assert_eq!((&run["status"], &run["error"]["name"]), (&json!("failure"), &json!(name)), "{run}");
    }
    let listed = hook.owner.get("/api/runs").expect(200).json();
    let actions: Vec<_> =
        listed["objects"].as_array().expect("a list").iter().map(|run| run["action"].clone()).collect();
    assert_eq!(actions, ["stuck", "endless", "broken"], "newest first");
    assert_eq!(listed["objects"][2]["error"], "RangeError: on purpose");
    let open = hook.owner.get("/api/runs?status=open").expect(200).json();
    assert_eq!(open["objects"], json!([]));
}

#[test]
fn a_run_is_nobody_elses() {
    let server = Server::start();
    let hook = Hook::running(&server, TEN_STEPS);
    let run = Run::of(&hook, "climb", &json!({}));
    run.asks();
    let stranger = Run { owner: Owner::guest(&server), id: run.id.clone() };
    stranger.owner.get(&stranger.path("")).problem(403, "run_foreign");
    stranger.try_answer(&json!("0"), &json!(["x"])).problem(403, "run_foreign");
    for verb in ["/cancel", "/abandon", "/resume", "/restart"] {
        stranger.post(verb).problem(403, "run_foreign");
    }
    stranger.owner.post("/api/actions/climb/runs", &json!({})).problem(404, "action_unknown");
    Ask::new("GET", run.path("")).send(&server.address).problem(401, "identity_missing");
    run.owner.get("/api/runs/nonsense").problem(404, "run_unknown");
    run.owner.get(&format!("/api/runs/{}", hook.id)).problem(404, "run_unknown");
    run.owner.get("/api/runs?token=nonsense").problem(400, "token_of_no_list");
    run.owner.get("/api/runs?status=nonsense").problem(400, "parameter_malformed");
    assert_eq!(Socket::open(&server.address, &format!("/run-events?runId={}", run.id)).err(), Some(401));
    let authorization = format!("Bearer {}", stranger.owner.jwt);
    let opened = Socket::open_with(
        &server.address,
        &format!("/run-events?runId={}", run.id),
        &[("authorization", &authorization)],
    );
    assert_eq!(opened.err(), Some(403));
    assert_eq!(run.asks(), "Question 0");
}

#[test]
fn who_follows_a_run_sees_it_go_on() {
    let server = Server::start();
    let hook = Hook::running(&server, TEN_STEPS);
    let authorization = format!("Bearer {}", hook.owner.jwt);
    let mut all =
        Socket::open_with(&server.address, "/run-events", &[("authorization", &authorization)]).expect("open");
    let run = Run::of(&hook, "climb", &json!({}));
    assert_eq!(all.next_frame(PATIENCE).expect("a frame")["type"], "runs");
    run.asks();
    let path = format!("/run-events?runId={}", run.id);
    let mut socket = Socket::open_with(&server.address, &path, &[("authorization", &authorization)]).expect("open");
    let first = socket.next_frame(PATIENCE).expect("a frame");
    assert_eq!((&first["type"], &first["run"]["question"]["key"]), (&json!("run"), &json!("0")));
    run.answer(&json!(["Ada"]));
    let mut answers = Vec::new();
    let mut logs = Vec::new();
    loop {
        let frame = socket.next_frame(PATIENCE).expect("it goes on");
        assert_eq!(frame["type"], "update");
        assert_eq!(frame["answersFrom"], answers.len());
        answers.extend(frame["run"]["answers"].as_array().expect("a list").clone());
        logs.extend(frame["run"]["logs"].as_array().expect("a list").clone());
        if frame["run"]["question"]["toRender"][0]["label"] == "Question 1" {
            break;
        }
    }
    assert_eq!((answers.len(), logs.len()), (1, 1));
    assert_eq!(answers[0]["values"], json!(["Ada"]));
}

#[test]
fn a_sleep_ends_by_itself_also_behind_a_restart() {
    let data = tempfile::tempdir().expect("a folder");
    let mut server = Server::start_on(data.path());
    let code = r#"export const actions = { nap: async (io, ctx) => {
        const before = ctx.now(); await ctx.sleep(1500); return (ctx.now() - before) >= 1500;
    } };"#;
    let hook = Hook::running(&server, code);
    let run = Run::of(&hook, "nap", &json!({}));
    eventually("it sleeps", || (run.show()["status"] == "running").then_some(()));
    thread::sleep(Duration::from_millis(300));
    server.kill();
    let server = Server::start_on(data.path());
    assert_eq!(run.at(&server.address).result(), json!(true));
}

#[test]
fn a_fetch_goes_where_it_may_and_no_secret_lies_about() {
    let (port, heard) = shop();
    let data = tempfile::tempdir().expect("a folder");
    let mut command = harness::server::everfold();
    command.env("EVERFOLD_EGRESS_ALLOW", format!("*,127.0.0.1:{port}"));
    let mut server = Server::start_by(command, data.path());
    let code = format!(
        r#"export const actions = {{
            buy: async (io, ctx) => {{
                const response = await ctx.fetch("http://127.0.0.1:{port}/buy?key=" + secrets.key, {{
                    method: "POST", headers: {{ authorization: "Bearer " + secrets.key }}, body: JSON.stringify({{ n: 1 }}),
                }});
                await ctx.log("sent with", secrets.key);
                return {{ status: response.status, body: await response.json() }};
            }},
            spy: async (io, ctx) => ctx.fetch("http://127.0.0.1:{}/").then(() => "in", (error) => `${{error.name}}`),
        }};"#,
        server.address.rsplit(':').next().expect("a port")
    );
    let hook = Hook::running(&server, &code);
    hook.owner
        .post(&format!("/api/secrets/{}", hook.id), &json!({ "key": "key", "value": "hush-hush-77" }))
        .expect(201);
    assert_eq!(Run::of(&hook, "spy", &json!({})).result(), json!("TypeError"), "a private address");
    let run = Run::of(&hook, "buy", &json!({}));
    assert_eq!(run.result(), json!({ "status": 200, "body": { "ok": true } }));
    let heard = heard.lock().expect("no panic").join("");
    assert!(heard.starts_with("POST /buy?key=hush-hush-77 ") && heard.contains("Bearer hush-hush-77"), "{heard}");
    assert_eq!(run.show()["logs"][0]["text"], "sent with [secret key]");
    server.terminate();
    for file in std::fs::read_dir(data.path()).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).unwrap_or_default();
        assert!(!bytes.windows(12).any(|window| window == b"hush-hush-77"), "a secret lies in the data");
    }
}

/// Says what it was asked, or does what its path says.
const GREETER: &str = "
    module.exports = async ({ req, res }) => {
        if (req.path === '/exit') process.exit(7);
        if (req.path === '/slow') await new Promise(done => setTimeout(done, 1500));
        if (req.path === '/plain') return res.text('just text', 418, { 'x-mine': 'yes' });
        return res.json({ method: req.method, url: req.path + '?' + req.queryString, body: req.body, key: req.headers['x-key']?.length });
    };";

#[test]
fn a_run_calls_a_function_of_its_owner_and_is_told_what_it_answered() {
    let server = Server::start();
    let code = r#"export const actions = {
        call: async (io, ctx) => ctx.call("greeter", {
            path: "/hi?x=1", headers: { "x-key": secrets.key }, body: { name: "Ada" },
        }),
        plain: async (io, ctx) => ctx.call("greeter", { path: "/plain" }),
        bare: async (io, ctx) => (await ctx.call("greeter")).body.method,
        exits: async (io, ctx) => ctx.call("greeter", { path: "/exit" }),
        nobody: async (io, ctx) => ctx.call("nobody"),
        foreign: async (io, ctx) => ctx.call("foreign"),
        ours: async (io, ctx) => ctx.call("greeter", { path: "/%5f_opr/health" }),
        nonsense: async (io, ctx) => ctx.call("greeter", { headers: { a: 1 } }),
    };"#;
    let hook = Hook::running(&server, code);
    hook.owner
        .post(&format!("/api/secrets/{}", hook.id), &json!({ "key": "key", "value": "hush-hush-88" }))
        .expect(201);
    let greeter = Function::node(&hook.owner, "greeter", GREETER);
    Function::node(&Owner::guest(&server), "foreign", GREETER);
    let result = |action: &str| Run::of(&hook, action, &json!({})).result();
    let answer = result("call");
    assert_eq!(
        (&answer["status"], &answer["body"]),
        (&json!(200), &json!({ "method": "POST", "url": "/hi?x=1", "body": { "name": "Ada" }, "key": 12 }))
    );
    let plain = result("plain");
    assert_eq!((&plain["status"], &plain["body"]), (&json!(418), &json!("just text")));
    assert_eq!(plain["headers"]["x-mine"], "yes");
    assert_eq!(result("bare"), "GET");
    let paths: Vec<_> = greeter.executions().iter().map(|one| one["path"].clone()).collect();
    assert_eq!(paths, ["/", "/plain", "/hi?x=1"], "each call is kept once, newest first");
    for (action, name, words) in [
        ("exits", "FunctionError", "code 7"),
        ("nobody", "NotFoundError", "\"nobody\""),
        ("foreign", "NotFoundError", "\"foreign\""),
        ("ours", "TypeError", "path"),
        ("nonsense", "TypeError", "headers of text"),
    ] {
        let run = Run::of(&hook, action, &json!({})).ended();
        assert_eq!((&run["status"], &run["error"]["name"]), (&json!("failure"), &json!(name)), "{run}");
        assert!(run["error"]["message"].as_str().is_some_and(|said| said.contains(words)), "{run}");
    }
    assert_eq!(greeter.executions().len(), 4);
    for file in std::fs::read_dir(&server.data).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).unwrap_or_default();
        assert!(!bytes.windows(12).any(|window| window == b"hush-hush-88"), "a secret lies in the data");
    }
}

#[test]
fn what_a_function_answered_to_a_run_is_not_asked_for_again_behind_a_kill() {
    let data = tempfile::tempdir().expect("a folder");
    let mut server = Server::start_on(data.path());
    let code = r#"export const actions = { call: async (io, ctx) => {
        const { body } = await ctx.call("greeter", { path: "/first" });
        const word = await io.input.text("Word");
        const slow = await ctx.call("greeter", { path: "/slow", method: "PUT", body: word });
        return [body.url, slow.body.body];
    } };"#;
    let hook = Hook::running(&server, code);
    let greeter = Function::node(&hook.owner, "greeter", GREETER);
    let run = Run::of(&hook, "call", &json!({}));
    assert_eq!(run.asks(), "Word");
    server.kill();
    server = Server::start_on(data.path());
    let run = run.at(&server.address);
    run.answer(&json!(["tea"]));
    let greeter = Function { owner: run.owner.clone(), ..greeter };
    // Killed over a call, it is made again, and is the same one.
    eventually("it is under way", || {
        (greeter.owner.get(&greeter.api("")).expect(200).json()["instances"] == 1).then_some(())
    });
    thread::sleep(Duration::from_millis(500));
    server.kill();
    server = Server::start_on(data.path());
    let run = run.at(&server.address);
    assert_eq!(run.result(), json!(["/first?", "tea"]));
    let greeter = Function { owner: run.owner.clone(), ..greeter };
    let kept: Vec<_> = greeter.executions().iter().map(|one| [one["path"].clone(), one["status"].clone()]).collect();
    let mut paths: Vec<_> = kept.iter().map(|[path, status]| format!("{path} {status}")).collect();
    paths.sort();
    assert_eq!(paths, ["\"/first\" \"completed\"", "\"/slow\" \"completed\""]);
}

#[test]
fn dice_that_were_thrown_before_a_question_lie_as_they_fell_behind_a_kill() {
    let data = tempfile::tempdir().expect("a folder");
    let mut server = Server::start_on(data.path());
    let code = r#"export const actions = { dice: async (io, ctx) => {
        const thrown = [ctx.random(), ctx.uuid(), Math.random(), ctx.uuid(), ctx.random(), ctx.uuid()];
        await ctx.log(JSON.stringify(thrown));
        await io.input.text("Go");
        return { thrown, next: ctx.uuid() };
    } };"#;
    let hook = Hook::running(&server, code);
    let (run, other) = (Run::of(&hook, "dice", &json!({})), Run::of(&hook, "dice", &json!({})));
    run.asks();
    other.asks();
    let told = |run: &Run| run.show()["logs"][0]["text"].as_str().expect("a line").to_owned();
    let before = told(&run);
    assert_ne!(before, told(&other), "no two runs throw the same");
    server.kill();
    server = Server::start_on(data.path());
    let run = run.at(&server.address);
    run.answer(&json!(["x"]));
    let result = run.result();
    let thrown = result["thrown"].as_array().expect("dice");
    assert_eq!(result["thrown"], serde_json::from_str::<Value>(&before).expect("JSON"));
    assert_eq!(thrown[1].as_str().map(str::len), Some(36));
    assert!(thrown[0] != thrown[4] && thrown[1] != thrown[5] && thrown[5] != result["next"], "{result}");
}

#[test]
fn a_run_that_leads_elsewhere_says_where() {
    let server = Server::start();
    let code = r#"export const actions = {
        away: async (io, ctx) => { await ctx.redirect({ route: "other", params: { n: 1 } }); },
        far: async (io, ctx) => { await ctx.redirect("https://example.com/x"); },
        lost: async (io, ctx) => { await ctx.redirect({}); },
        other: async (io, ctx) => ctx.params.n,
    };"#;
    let hook = Hook::running(&server, code);
    let ended = |action: &str| Run::of(&hook, action, &json!({})).ended();
    let away = ended("away");
    assert_eq!((&away["status"], &away["redirect"]["route"]), (&json!("redirected"), &json!("other")), "{away}");
    assert_eq!(away["redirect"]["params"], json!({ "n": 1 }));
    assert_eq!(ended("far")["redirect"]["url"], "https://example.com/x");
    assert_eq!(ended("lost")["error"]["name"], "TypeError");
}

#[test]
fn a_notice_of_a_run_is_kept_once_and_mailed_once_behind_a_kill() {
    let mails = MailServer::start();
    let data = tempfile::tempdir().expect("a folder");
    let start = || {
        let mut command = harness::server::everfold();
        command.env("EVERFOLD_SMTP", mails.url());
        Server::start_by(command, data.path())
    };
    let mut server = start();
    let code = r#"export const actions = { tell: async (io, ctx) => {
        const delivery = [{ to: "ada@example.com", method: "EMAIL" }, { to: "stranger@example.com", method: "EMAIL" }];
        await ctx.notify({ title: "Refund", message: "$500 went back", delivery });
        await ctx.notify({ message: "the same", idempotencyKey: "once" });
        await ctx.notify({ message: "the same", idempotencyKey: "once" });
        await io.input.text("Go");
        return await ctx.notify({ message: "x".repeat(10_001) }).catch((error) => error.message);
    } };"#;
    let hook = Hook::running(&server, code);
    hook.owner.post("/api/auth/signin", &json!({ "email": "ada@example.com" })).expect(200);
    let link = mails.mail()["text"].as_str().expect("a text").to_owned();
    let token = link.split("/signin/").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a link");
    let made = hook.owner.post("/api/auth/validate-signin-token", &json!({ "token": token })).expect(200).json();
    let user = Owner { jwt: made["jwt"].as_str().expect("a jwt").to_owned(), ..hook.owner.clone() };
    eventually("the action is the user's", || {
        let listed = user.get("/api/actions").expect(200).json();
        (listed["objects"][0]["slug"] == "tell").then_some(())
    });
    let run = Run::begin(&user, "tell", &json!({}));
    let mail = mails.mail();
    assert_eq!((&mail["subject"], &mail["to"]), (&json!("Refund"), &json!(["ada@example.com"])));
    let text = mail["text"].as_str().expect("a text");
    assert!(text.contains("$500 went back") && text.contains(&format!("/r/{}", run.id)), "{text}");
    run.asks();
    let notices = |owner: &Owner| {
        let listed = owner.get("/api/notices").expect(200).json();
        listed["objects"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| [one["message"].clone(), one["runId"].clone()])
            .collect::<Vec<_>>()
    };
    let wanted = ["the same", "$500 went back"].map(|message| [json!(message), json!(run.id)]);
    assert_eq!(notices(&user), wanted);
    server.kill();
    server = start();
    let run = run.at(&server.address);
    run.answer(&json!(["x"]));
    assert!(
        run.result().as_str().is_some_and(|why| why.contains("10,000") || why.contains("10000")),
        "{}",
        run.result()
    );
    assert_eq!(notices(&run.owner), wanted, "nothing is told again");
    assert!(mails.is_quiet(), "neither to her nor to a stranger");
}

#[test]
fn actions_in_a_folder_of_their_own_are_deployed_and_run_without_a_hook() {
    let server = Server::start();
    let home = tempfile::tempdir().expect("a folder");
    let project = home.path().join("project");
    std::fs::create_dir_all(project.join("actions")).expect("a folder");
    let greet =
        "export const actions = { greet: async (io, ctx) => ({ said: `Hello ${await io.input.text('Name')}` }) };";
    let tools = "const twice = (n: number): number => n * 2;
        export const actions = {
            double: { name: 'Double it', handler: async (io, ctx) => twice(await io.input.number('N')) },
        };";
    std::fs::write(project.join("actions/greet.js"), greet).expect("a file");
    std::fs::write(project.join("actions/tools.ts"), tools).expect("a file");
    let told = |words: &[&str], typed: &str| typed_into(&server, home.path(), words, typed);
    let (is_done, said, screen) = told(&["deploy", project.to_str().expect("a path"), "--publish"], "");
    assert!(is_done && said.contains("tools: published"), "{said}{screen}");
    let (_, listed, _) = told(&["hooks", "--json"], "");
    assert!(listed.contains("greet") && listed.contains("tools"), "{listed}");
    assert_eq!(told(&["run", "greet"], "Ada\n").1, "said: Hello Ada\n");
    let (is_done, said, screen) = told(&["run", "double"], "21\n");
    assert!(is_done && screen.starts_with("Double it"), "{screen}");
    assert_eq!(said, "42\n");
}

#[test]
fn a_slug_that_two_hooks_have_is_told_apart_by_their_names() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let code = r#"export const actions = { same: { name: "Same", description: "of both", handler: async () => 1 } };"#;
    for name in ["One", "My Two"] {
        let hook = owner.post("/api/hooks", &json!({ "name": name, "code": code })).expect(201).json();
        owner.post(&format!("/api/hooks/{}/publish", hook["id"].as_str().expect("an id")), &json!({})).expect(200);
    }
    let slugs = eventually("both are published", || {
        let actions = owner.get("/api/actions").expect(200).json();
        let mut slugs: Vec<_> =
            actions["objects"].as_array()?.iter().filter_map(|one| Some(one["slug"].as_str()?.to_owned())).collect();
        slugs.sort();
        (slugs.len() == 2).then_some(slugs)
    });
    assert_eq!(slugs, ["My-Two/same", "One/same"]);
    assert_eq!(Run::begin(&owner, "My-Two%2Fsame", &json!({})).result(), json!(1));
}

#[test]
fn code_that_does_something_else_than_it_did_parks_the_run() {
    let server = Server::start();
    let code = r#"export const actions = { ask: async (io) => {
        const first = await io.input.text(`First ${secrets.word}`);
        return first + (await io.input.text("Second"));
    } };"#;
    let hook = Hook::running(&server, code);
    let set = |word: &str| {
        let body = json!({ "key": "word", "value": word });
        hook.owner.post(&format!("/api/secrets/{}", hook.id), &body).expect(201);
    };
    set("monday");
    let run = Run::of(&hook, "ask", &json!({}));
    let key = run.question()["key"].clone();
    set("tuesday");
    run.try_answer(&key, &json!(["x"])).expect(200);
    let parked = run.ended();
    assert_eq!((&parked["status"], &parked["parked"]["reason"]), (&json!("parked"), &json!("codeChanged")), "{parked}");
    assert_eq!(parked["answers"][0]["values"], json!(["x"]), "what was answered is kept");
    run.post("/resume").problem(409, "run_not_parked");
    let open = hook.owner.get("/api/runs?status=open").expect(200).json();
    assert_eq!(open["objects"][0]["status"], "parked");
    let made = run.post("/restart").expect(201).json();
    let next = Run { owner: run.owner.clone(), id: made["id"].as_str().expect("an id").to_owned() };
    assert_eq!(next.asks(), "First tuesday");
    let next_key = next.question()["key"].clone();
    set("wednesday");
    next.try_answer(&next_key, &json!(["x"])).expect(200);
    next.ended();
    next.try_answer(&json!("1"), &json!(["y"])).problem(404, "question_unknown");
}

#[test]
fn a_page_that_nobody_looks_at_takes_no_moves() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    owner.post("/api/pages/page-of-nobody/state", &json!({ "values": [] })).problem(404, "page_closed");
    let authorization = format!("Bearer {}", owner.jwt);
    let opened = Socket::open_with(&server.address, "/page-events?slug=users", &[("authorization", &authorization)]);
    assert_eq!(opened.err(), Some(404));
}

#[test]
fn runs_of_a_guest_are_the_users_that_the_guest_becomes() {
    let server = Server::start();
    let hook = Hook::running(&server, TEN_STEPS);
    let run = Run::of(&hook, "climb", &json!({}));
    run.answer(&json!(["as a guest"]));
    run.asks();
    let user = hook.owner.sign_in("ada@example.com");
    let listed = eventually("the run is the user's", || {
        let listed = user.get("/api/runs?status=open").expect(200).json();
        listed["objects"].as_array().is_some_and(|all| all.len() == 1).then_some(listed)
    });
    let run = Run { owner: user, id: run.id };
    assert_eq!(listed["objects"][0]["id"], run.id);
    assert_eq!(run.asks(), "Question 1");
    run.answer(&json!(["as a user"]));
    assert_eq!(run.asks(), "Question 2");
}

#[test]
fn who_one_is_can_be_confirmed_by_whoever_followed_a_link_lately() {
    let server = Server::start();
    let code =
        r#"export const actions = { wipe: async (io) => ({ sure: await io.confirmIdentity("Are you Ada?") }) };"#;
    let hook = Hook::running(&server, code);
    let run = Run::of(&hook, "wipe", &json!({}));
    let key = run.question()["key"].clone();
    let refused = run.try_answer(&key, &json!([true])).problem(422, "answer_refused");
    assert!(refused["fields"][0]["message"].as_str().is_some_and(|said| said.contains("Sign in")), "{refused}");
    let user = hook.owner.sign_in("ada@example.com");
    let made = user.post("/api/keys", &json!({ "type": "api" })).expect(201).json();
    let program = Owner { address: user.address.clone(), jwt: made["key"].as_str().expect("a key").to_owned() };
    let run = Run { owner: user, id: run.id };
    eventually("the run is the user's", || (run.owner.get(&run.path("")).status == 200).then_some(()));
    let keyed = Run { owner: program, id: run.id.clone() };
    keyed.try_answer(&key, &json!([true])).problem(422, "answer_refused");
    run.try_answer(&key, &json!([true])).expect(200);
    assert_eq!(run.result(), json!({ "sure": true }));
}

#[test]
fn a_file_that_was_uploaded_is_read_by_the_code() {
    let server = Server::start();
    let code = r#"export const actions = { read: async (io) => {
        const file = await io.input.file("A file", { allowedExtensions: [".txt"] });
        return { name: file.name, text: await file.text() };
    } };"#;
    let hook = Hook::running(&server, code);
    let run = Run::of(&hook, "read", &json!({}));
    let named = json!({ "name": "tea.txt", "type": "text/plain", "size": 9 });
    let made = hook.owner.post("/api/uploads", &named).expect(201).json();
    let url = made["uploadUrl"].as_str().expect("an address");
    let path = url.split_once("/api/").map(|(_, path)| format!("/api/{path}")).expect("a path");
    Ask::new("PUT", path).body("text/plain", b"Earl Grey").send(&server.address).expect(200);
    let mut file = named;
    file["url"] = made["downloadUrl"].clone();
    file["lastModified"] = json!(5);
    run.answer(&json!([file]));
    assert_eq!(run.result(), json!({ "name": "tea.txt", "text": "Earl Grey" }));
}

#[test]
fn the_refund_example_runs_in_a_terminal_and_goes_on_where_it_was_left() {
    let server = Server::start();
    let home = tempfile::tempdir().expect("a folder");
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let told = |words: &[&str], typed: &str| typed_into(&server, home.path(), words, typed);
    assert!(told(&["deploy", examples, "--publish"], "").0, "the examples are deployed");
    let (is_done, _, screen) = told(&["run", "refund"], "nobody\nada@example.com\n");
    assert!(!is_done && screen.contains("valid e-mail") && screen.contains("the run waits"), "{screen}");
    assert!(screen.contains("Punched cards") && !screen.contains("Moth repellent"), "{screen}");
    let id = screen.split_whitespace().nth(1).expect("the run's id").to_owned();
    let (is_done, said, screen) = told(&["run", &id], "1,3\n");
    assert!(is_done, "{screen}");
    assert_eq!(said, "refunded: 2\namount: 98\n");
    let (_, state, _) = told(&["state", "refund"], "");
    assert_eq!(state.matches("refunded").count(), 2, "{state}");
}
