//! The dashboard as the server hands it out: at every address of a page, with its own policy, and to nobody else.

mod harness;

use std::collections::BTreeSet;

use harness::{
    hook::Hook,
    http::{Ask, Reply},
    server::Server,
};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

fn opened(server: &Server, path: &str) -> Reply {
    Ask::new("GET", path).header("accept", BROWSER).send(&server.address)
}

/// What stands between two marks.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start} in {text}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} behind {start} in {text}")).0
}

/// The files that a page loads.
fn assets(page: &str) -> Vec<String> {
    let places = page.split("\"/assets/").skip(1);
    places.map(|place| format!("/assets/{}", place.split('"').next().expect("a name"))).collect()
}

fn inflated(gzipped: &[u8]) -> Vec<u8> {
    let mut content = vec![];
    std::io::copy(&mut flate2::read::GzDecoder::new(gzipped), &mut content).expect("it is gzipped");
    content
}

#[test]
fn every_page_has_its_address_its_title_and_a_sentence_for_who_has_no_javascript() {
    let server = Server::start();
    let mut titles = BTreeSet::new();
    for path in [
        "/",
        "/hooks",
        "/hooks/0190d2f0-0000-7000-8000-000000000000",
        "/a/users/create",
        "/r/01a1ffb4-ce32-796e-8a93-0409a751f23e",
        "/p/users",
        "/history",
        "/functions",
        "/functions/0190d2f0-0000-7000-8000-000000000000",
        "/settings",
        "/health",
    ] {
        let page = opened(&server, path).expect(200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("cache-control"), Some("no-cache"));
        let html = page.text();
        assert!(titles.insert(between(&html, "<title>", "</title>").to_owned()), "{titles:?} at {path}");
        let sentence = between(&html, "<noscript>", "</noscript>");
        assert!(sentence.contains("needs JavaScript"), "{path}: {sentence}");
        assert!(!html.contains("__"), "nothing is left to be filled in: {html}");
        server.get(path).expect(200);
    }
    assert!(titles.iter().all(|title| title.contains("Everfold")), "{titles:?}");
}

#[test]
fn who_opens_what_is_not_there_sees_a_page_and_a_program_is_told() {
    let server = Server::start();
    for path in ["/nowhere", "/hooks/a/b", "/api/nowhere", "/assets", "/%ff", "/signin"] {
        let page = opened(&server, path).expect(404);
        assert!(between(&page.text(), "<title>", "</title>").starts_with("Not found"), "{path}");
        assert!(page.header("vary").is_some_and(|vary| vary.contains("accept")), "{path}");
        server.get(path).problem(404, "path_unknown");
        Ask::new("POST", path).header("accept", BROWSER).send(&server.address).problem(404, "path_unknown");
    }
    Ask::new("GET", "/read/nobody").header("accept", BROWSER).send(&server.address).problem(404, "key_unknown");
    opened(&server, "/assets/nothing.js").problem(404, "path_unknown");
}

#[test]
fn a_page_runs_nothing_but_its_own_files() {
    let server = Server::start();
    let mut nonces = BTreeSet::new();
    for path in ["/", "/", "/nowhere"] {
        let page = opened(&server, path);
        let policy = page.header("content-security-policy").expect("a policy").to_owned();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "img-src 'self' data: https:",
            "media-src 'self' data: https:",
            "font-src 'self'",
            "connect-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.split("; ").any(|part| part == rule), "{rule} is not in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        let nonce = between(&policy, "style-src 'self' 'nonce-", "'");
        assert!(nonce.len() >= 32 && page.text().contains(nonce), "the page knows its nonce");
        assert!(nonces.insert(nonce.to_owned()), "a nonce came twice");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("referrer-policy"), Some("same-origin"));
        assert_eq!(page.header("cross-origin-opener-policy"), Some("same-origin"));
        let html = page.text();
        let scripts: Vec<_> = html.split("<script").skip(1).map(|tag| between(tag, "", "</script>")).collect();
        assert!(scripts.iter().all(|tag| tag.contains("src=\"/assets/") && tag.ends_with('>')), "{scripts:?}");
    }
}

#[test]
fn a_file_is_sent_gzipped_or_not_and_kept_for_a_year() {
    let server = Server::start();
    let files = assets(&opened(&server, "/").text());
    assert!(files.iter().any(|file| file.ends_with(".js")) && files.iter().any(|file| file.ends_with(".css")));
    for file in files {
        let plain = server.get(&file).expect(200);
        assert_eq!(plain.header("content-encoding"), None);
        let gzip = Ask::new("GET", &file).header("accept-encoding", "gzip, br");
        let gzipped = gzip.clone().send(&server.address).expect(200);
        assert_eq!(gzipped.header("content-encoding"), Some("gzip"));
        assert_eq!(inflated(&gzipped.body), plain.body, "{file}");
        for reply in [&plain, &gzipped] {
            assert_eq!(reply.header("cache-control"), Some("public, max-age=31536000, immutable"));
            assert_eq!(reply.header("vary"), Some("accept-encoding"));
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
            let kind = reply.header("content-type").expect("a kind");
            let ending = file.rsplit('.').next().expect("an ending");
            assert!(kind.contains(if ending == "js" { "javascript" } else { ending }), "{file}: {kind}");
            assert!(
                reply.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'"))
            );
        }
        let [plain, gzipped] = [plain, gzipped].map(|reply| reply.header("etag").expect("a tag").to_owned());
        assert_ne!(plain, gzipped, "they are not the same bytes");
        let again = gzip.header("if-none-match", format!("\"old\", W/{gzipped}")).send(&server.address).expect(304);
        assert!(again.body.is_empty());
    }
}

#[test]
fn what_a_hooks_code_returns_is_on_an_origin_of_its_own_and_decides_nothing_over_ours() {
    let server = Server::start();
    let code = "
        const page = (statusCode, body) => ({ statusCode, body, headers: {
            'content-type': 'text/html',
            'content-security-policy': 'default-src *',
            'set-cookie': 'everfold=theirs',
            'clear-site-data': '\"*\"',
            'strict-transport-security': 'max-age=9',
            'service-worker-allowed': '/',
            'x-mine': 'yes',
        } });
        export const responder = ({ body }) => page(body.status, '<script>1</script>');
        export const query = (state, params) => {
            if (params.has('throw')) throw new Error('<script>1</script>');
            return page(Number(params.get('status')), '<script>1</script>');
        };";
    let hook = Hook::running(&server, code);
    let written = |status: u16| hook.write(&serde_json::json!({ "status": status }));
    let read = |prefix: &str, status: u16| opened(&server, &format!("{prefix}/read/{}?status={status}", hook.read_key));
    for status in [200, 404, 500] {
        for reply in [written(status), read("", status), read("/api", status)] {
            let reply = reply.expect(status);
            assert_eq!(reply.text(), "<script>1</script>");
            let policies: Vec<_> = reply
                .headers
                .iter()
                .filter(|(name, _)| name == "content-security-policy")
                .map(|(_, value)| value)
                .collect();
            assert_eq!(policies, ["sandbox"]);
            assert_eq!(
                (reply.header("x-content-type-options"), reply.header("x-mine")),
                (Some("nosniff"), Some("yes"))
            );
            for ours in ["set-cookie", "clear-site-data", "strict-transport-security", "service-worker-allowed"] {
                assert_eq!(reply.header(ours), None);
            }
        }
    }
    let thrown = opened(&server, &format!("/read/{}?throw", hook.read_key));
    thrown.problem(500, "code_failed");
}

#[test]
fn the_pages_that_the_server_writes_itself_run_nothing_and_have_the_dashboards_colours() {
    let server = Server::start();
    for path in ["/signin/0", "/dev/mail"] {
        let page = opened(&server, path).expect(200);
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; ") && !policy.contains("unsafe"), "{policy}");
        let html = page.text();
        assert!(!html.contains("<script") && !html.contains("style="), "{html}");
        assert!(between(&html, "<title>", "</title>").ends_with(" · Everfold"), "{html}");
    }
    for style in ["/page/notice.css", "/page/state.css", "/docs.css"] {
        let style = server.get(style).expect(200);
        assert!(style.text().contains("--paper:") && style.text().contains("var(--paper)"));
        assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    }
}
