//! A state as whoever reads likes it: JSON, a stream of events, or a page that follows it.

mod harness;

use std::time::{Duration, Instant};

use harness::{
    PATIENCE,
    browser::{Browser, keep_picture},
    hook::Hook,
    http::{Ask, Connection, Reply},
    server::Server,
    socket::Socket,
    stream::{Stream, Told},
};
use serde_json::json;

const COUNT: &str = "
    export const reducer = (state, request) => ({ count: (state?.count ?? 0) + 1, pad: request.body.pad });
    export const query = (state, params) => params.get('only') === 'count' ? state?.count ?? 0 : state;";
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'";

fn stream(hook: &Hook, query: &str, last: Option<u64>) -> Stream {
    Stream::open(&hook.owner.address, &format!("/read/{}?{query}", hook.read_key), last)
}

fn read_as(hook: &Hook, accept: &str, query: &str) -> Reply {
    hook.ask(Ask::new("GET", format!("/read/{}?{query}", hook.read_key)).header("accept", accept))
}

#[test]
fn a_stream_tells_the_state_of_now_and_every_one_that_follows() {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    hook.fold(&json!({}));
    let mut stream = stream(&hook, "only=count", None);
    assert_eq!(stream.next_state(PATIENCE), Some((1, json!(1))), "through the query");
    for seq in 2..=20 {
        hook.fold(&json!({}));
        assert_eq!(stream.next_state(PATIENCE), Some((seq, json!(seq))));
    }
    assert!(stream.headers.contains("cache-control: no-cache"), "{}", stream.headers);
    hook.publish(&COUNT.replace("+ 1", "+ 10"));
    assert_eq!(stream.next_state(PATIENCE), Some((20, json!(200))));
}

#[test]
fn an_answer_of_many_lines_is_one_event() {
    let server = Server::start();
    let code = r#"export const query = () => ({ statusCode: 200, body: "{\r\n\"a\":\r1,\n\n\"b\": \"\\n\"}" });"#;
    let hook = Hook::running(&server, code);
    assert_eq!(stream(&hook, "", None).next_state(PATIENCE), Some((0, json!({"a": 1, "b": "\n"}))));
}

#[test]
fn who_comes_back_is_told_nothing_twice_and_misses_no_change_of_code() {
    let server = Server::start_with(&[("EVERFOLD_PING_MS", "150")]);
    let hook = Hook::running(&server, COUNT);
    (0..3).for_each(|_| drop(hook.fold(&json!({}))));
    assert_eq!(stream(&hook, "only=count", Some(1)).next_state(PATIENCE), Some((3, json!(3))));
    assert_eq!(stream(&hook, "only=count", Some(99)).next_state(PATIENCE), Some((3, json!(3))), "of another log");

    let mut back = stream(&hook, "only=count", Some(3));
    assert_eq!(back.next(PATIENCE), Told::Comment, "kept alive, and told nothing");
    assert_eq!(back.next(PATIENCE), Told::Comment);
    hook.fold(&json!({}));
    assert_eq!(back.next_state(PATIENCE), Some((4, json!(4))));

    drop(back);
    hook.publish(&COUNT.replace("+ 1", "+ 10"));
    assert_eq!(
        stream(&hook, "only=count", Some(4)).next_state(PATIENCE),
        Some((4, json!(40))),
        "other code, other state"
    );
}

#[test]
fn a_slow_reader_of_a_stream_gets_fewer_states_and_the_newest() {
    const WRITES: u64 = 2_500;
    let mut server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let mut slow = stream(&hook, "", None);
    let mut connection = Connection::open(&server.address).expect("the server listens");
    let ask = Ask::new("POST", hook.write_path()).json(&json!({"pad": "x".repeat(20_000)}));
    (0..WRITES).for_each(|_| drop(connection.ask(&ask).expect("a reply").expect(202)));
    hook.state_after(WRITES);
    let (mut states, mut last) = (0, None);
    while last != Some(WRITES) {
        let (seq, state) = slow.next_state(PATIENCE).expect("the newest state comes");
        assert!(last.is_none_or(|last| seq > last), "{seq} after {last:?}");
        assert_eq!(state["count"].as_u64().unwrap_or(0), seq);
        (states, last) = (states + 1, Some(seq));
    }
    assert!(states < WRITES, "what was not read in time is left out: {states} states");
    assert!(server.is_well());
}

#[test]
fn a_paused_key_ends_what_it_opened() {
    ends_what_it_opened(|hook, key| hook.owner.post(&hook.api(&format!("/keys/{key}/pause")), &json!({})));
}

#[test]
fn a_revoked_key_ends_what_it_opened() {
    ends_what_it_opened(|hook, key| hook.owner.ask(Ask::new("DELETE", hook.api(&format!("/keys/{key}")))));
}

fn ends_what_it_opened(end: impl Fn(&Hook, &str) -> Reply) {
    let server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let key = hook.owner.post(&hook.api("/keys"), &json!({"type": "read"})).expect(201).json();
    let key = key["key"].as_str().expect("a key");
    let path = format!("/read/{key}");
    let mut ended = Stream::open(&server.address, &path, None);
    let mut closed = Socket::open(&server.address, &format!("/state-events?readKey={key}")).expect("the key opens it");
    let mut stays = stream(&hook, "", None);
    let waiting = {
        let (address, path) = (server.address.clone(), format!("{path}?after=1"));
        std::thread::spawn(move || Ask::new("GET", path).send(&address))
    };
    assert!(ended.next_state(PATIENCE).is_some() && stays.next_state(PATIENCE).is_some());

    let started = Instant::now();
    end(&hook, key).expect(202);
    assert_eq!(ended.next(Duration::from_secs(5)), Told::End { is_clean: true });
    assert!(closed.is_closed_within(Duration::from_secs(5)));
    assert!(started.elapsed() < Duration::from_secs(5));
    server.get(&path).problem(404, "key_unknown");

    hook.fold(&json!({}));
    assert_eq!(stays.next_state(PATIENCE).map(|(seq, _)| seq), Some(1), "another key is not touched");
    waiting.join().expect("a reply").problem(404, "key_unknown");
    assert_eq!(Socket::open(&server.address, &format!("/state-events?readKey={key}")).err(), Some(404));
}

#[test]
fn a_stream_ends_when_the_server_goes_down() {
    let mut server = Server::start();
    let hook = Hook::running(&server, COUNT);
    let mut stream = stream(&hook, "", None);
    assert!(stream.next_state(PATIENCE).is_some());
    let started = Instant::now();
    server.terminate();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(stream.next(PATIENCE), Told::End { is_clean: true });
}

#[test]
fn who_wants_a_page_says_so_and_everybody_else_gets_json() {
    let server = Server::start();
    let hook = Hook::running(&server, "export const reducer = (state, request) => request.body;");
    hook.fold(&json!({"say": "</pre><script>alert('&')</script>"}));
    for accept in ["*/*", "application/json", "application/json, text/html", "text/html;q=0"] {
        let reply = read_as(&hook, accept, "").expect(200);
        assert_eq!(reply.header("content-type"), Some("application/json"), "{accept}");
        assert_eq!(reply.header("vary"), Some("accept"));
    }
    assert_eq!(hook.read("").header("content-type"), Some("application/json"));

    let page = read_as(&hook, BROWSER, "").expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("content-security-policy"), Some(POLICY));
    assert_eq!(page.header("x-seq"), Some("1"));
    assert_eq!(page.header("vary"), Some("accept"));
    let html = page.text();
    assert!(html.contains("&lt;/pre&gt;&lt;script&gt;alert(&#39;&amp;&#39;)"), "{html}");
    assert_eq!(html.matches("<script").count(), 1, "{html}");
    for (file, kind) in [("state.js", "text/javascript"), ("state.css", "text/css")] {
        let reply = server.get(&format!("/page/{file}")).expect(200);
        assert!(reply.header("content-type").is_some_and(|known| known.starts_with(kind)), "{file}");
        assert!(html.contains(&format!("\"/page/{file}\"")), "{html}");
    }
    server.get("/page/other").problem(404, "path_unknown");
    read_as(&hook, "text/event-stream", "at=1").problem(400, "parameter_malformed");
    Ask::new("GET", "/read/nobody").header("accept", BROWSER).send(&server.address).problem(404, "key_unknown");
}

#[test]
fn the_page_shows_json_and_whatever_else_a_query_answers_is_served_as_it_is() {
    let server = Server::start();
    let code = "
        export const query = (state, params) => ({
            json: { hello: 1 },
            html: { statusCode: 200, headers: { 'content-type': 'text/html' }, body: '<h1>mine</h1>' },
            csv: { statusCode: 200, headers: { 'content-type': 'text/csv' }, body: 'a,b' },
            gone: { statusCode: 410, body: { gone: true } },
            lie: { statusCode: 200, headers: { 'content-type': 'application/json' }, body: '<h1>' },
        })[params.get('as')];";
    let hook = Hook::running(&server, code);
    let page = read_as(&hook, BROWSER, "as=json").expect(200);
    assert_eq!(page.header("content-security-policy"), Some(POLICY));
    assert!(page.text().contains("&quot;hello&quot;: 1"), "{}", page.text());
    for (query, status, body) in
        [("html", 200, "<h1>mine</h1>"), ("csv", 200, "a,b"), ("gone", 410, "{\"gone\":true}"), ("lie", 200, "<h1>")]
    {
        let reply = read_as(&hook, BROWSER, &format!("as={query}")).expect(status);
        assert_eq!(reply.header("content-security-policy"), Some("sandbox"), "{query}");
        assert_eq!(reply.text(), body);
    }
}

#[test]
fn a_person_watches_a_state_in_a_browser() {
    let server = Server::start();
    let code = "
        export const reducer = (state, { body }) => ({
            orders: (state?.orders ?? 0) + 1,
            total: (state?.total ?? 0) + body.amount,
            isOpen: true,
            note: null,
            latest: [body, ...(state?.latest ?? [])].slice(0, 5),
            byDrink: { ...state?.byDrink, [body.drink]: (state?.byDrink?.[body.drink] ?? 0) + 1 },
            many: Array.from({ length: 250 }, (_, index) => index),
        });";
    let hook = Hook::running(&server, code);
    hook.fold(&json!({"drink": "tea", "amount": 3.5}));
    hook.fold(&json!({"drink": "<img src=x onerror=alert(1)>", "amount": 12}));
    let url = format!("http://{}/read/{}", server.address, hook.read_key);

    let mut browser = Browser::start();
    browser.go(&url);
    let text = browser.read_until("Live");
    assert!(text.contains("after request 2") && text.contains("orders: 2") && text.contains("total: 15.5"), "{text}");
    assert!(text.contains("\"<img src=x onerror=alert(1)>\""), "it is text: {text}");
    assert!(text.contains("isOpen: true") && text.contains("250 items"), "{text}");
    assert_eq!(browser.see("document.images.length"), 0);

    browser.see("document.querySelectorAll('summary')[1].focus()");
    hook.fold(&json!({"drink": "coffee", "amount": 4}));
    let text = browser.read_until("after request 3");
    assert!(text.contains("orders: 3") && text.contains("coffee: 1"), "it changed under the reader's eyes: {text}");
    assert_eq!(browser.see("document.activeElement.tagName"), "SUMMARY", "and kept their place");
    keep_picture("light", &browser.screenshot());
    browser.set_dark(true);
    keep_picture("dark", &browser.screenshot());

    browser.see("[...document.querySelectorAll('summary')].find(it => it.innerText.startsWith('many')).click()");
    let text = browser.read_until("150 more…");
    assert!(text.contains("99: 99") && !text.contains("100: 100"), "{text}");
    browser.see("document.querySelector('button').click()");
    browser.read_until("199: 199");

    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    hook.owner.post(&hook.api(&format!("/keys/{}/pause", hook.read_key)), &json!({})).expect(202);
    browser.read_until("Ended: the key was paused or revoked");
    hook.owner.post(&hook.api(&format!("/keys/{}/play", hook.read_key)), &json!({})).expect(202);

    browser.go(&format!("{url}?at=1"));
    let text = browser.read_until("As it was then");
    assert!(text.contains("after request 1") && text.contains("orders: 1"), "{text}");

    browser.set_script(false);
    browser.go(&url);
    let text = browser.read_until("As it was when this page was loaded");
    assert!(text.contains("\"orders\": 3,\n"), "readable without JavaScript: {text}");
    keep_picture("no-script", &browser.screenshot());
}
