//! `openapi.json` is the contract: what it says is served, what is served it says, and a stranger who knows only the
//! document finds nothing that contradicts it.

mod harness;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
};

use harness::{
    hook::{Hook, Owner},
    http::{Ask, Reply},
    server::Server,
};
use rules::refusal::Refusal;
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../openapi.json");
const ROUTER: &str = include_str!("../src/http/mod.rs");
/// Of a path that answers to whatever method comes.
const ANY: &str = "any";
/// What the servers of one database ask of each other, and nobody else may.
const OF_NODES: &str = "/node/";
/// What any path may answer, and what a worker is told in frames: no call does.
const OF_NO_CALL: [&str; 5] =
    ["path_unknown", "method_not_allowed", "job_not_leased", "frame_malformed", "workers_full"];

#[test]
fn every_route_is_in_the_document_and_every_path_of_it_is_a_route() {
    let mut served = routes_of("root", &blocks());
    served.retain(|(_, path)| !path.starts_with(OF_NODES));
    assert!(served.len() > 30, "the router is not read as it is written: {served:?}");
    let document = document();
    let mut said = BTreeSet::new();
    for (path, item) in fields(&document["paths"]) {
        let servers = item["servers"].as_array().map_or_else(|| vec![""], |all| all.iter().map(server_of).collect());
        let takes_any = item["x-any-method"] == true;
        for (method, _) in operations(item) {
            let method = if takes_any { ANY } else { method };
            said.extend(servers.iter().map(|server| (method.to_owned(), nameless(&format!("{server}{path}")))));
        }
    }
    let only = |these: &BTreeSet<_>, those: &BTreeSet<_>| these.difference(those).cloned().collect::<Vec<_>>();
    assert_eq!(
        (only(&served, &said), only(&said, &served)),
        (vec![], vec![]),
        "routes that are not said, and the rest"
    );
}

#[test]
fn every_call_of_the_document_is_answered_as_it_says() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    for (path, method, operation) in calls(&document()) {
        let mut address = path.clone();
        let mut query = vec![];
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let (name, example) = (parameter["name"].as_str().expect("a name"), word(&parameter["example"]));
            match parameter["in"].as_str() {
                Some("path") => address = address.replace(&format!("{{{name}}}"), &example),
                Some("query") if parameter["required"] == true => query.push(format!("{name}={example}")),
                _ => {}
            }
        }
        let ask = Ask::new(&method.to_uppercase(), format!("{address}?{}", query.join("&")));
        let body = &operation["requestBody"]["content"]["application/json"]["example"];
        let reply = owner.ask(if body.is_null() { ask } else { ask.json(body) });
        let said: Vec<_> = fields(&operation["responses"]).map(|(status, _)| status).collect();
        assert!(
            said.contains(&reply.status.to_string().as_str()),
            "{method} {path}: {} {}",
            reply.status,
            reply.text()
        );
        let wanted: Vec<_> = operation["responses"][reply.status.to_string()]["content"]
            .as_object()
            .map_or_else(Vec::new, |content| content.keys().map(String::as_str).collect());
        assert!(wanted.is_empty() || wanted.contains(&kind_of(&reply)), "{method} {path}: {}", kind_of(&reply));
        if kind_of(&reply) == "application/problem+json" {
            let said = codes(&operation["responses"][reply.status.to_string()]["content"][kind_of(&reply)]["schema"]);
            assert!(said.contains(&word(&reply.json()["code"])), "{method} {path}: {}", reply.text());
        }
    }
}

#[test]
fn every_refusal_is_in_the_document_and_no_other() {
    let statuses: BTreeMap<_, _> = Refusal::ALL.iter().map(|refusal| (refusal.code, refusal.status)).collect();
    let document = document();
    let listed = codes(&document["components"]["schemas"]["Problem"]);
    assert_eq!(listed.iter().map(String::as_str).collect::<BTreeSet<_>>(), statuses.keys().copied().collect());
    let mut answered: BTreeSet<_> = OF_NO_CALL.map(str::to_owned).into();
    for (path, method, operation) in calls(&document) {
        for (status, response) in fields(&operation["responses"]) {
            for code in codes(&response["content"]["application/problem+json"]["schema"]) {
                let wanted = statuses.get(code.as_str()).map(u16::to_string);
                assert_eq!(wanted.as_deref(), Some(status), "{method} {path}: {code}");
                answered.insert(code);
            }
        }
    }
    assert_eq!(answered, listed, "refusals that no call answers with");
}

#[test]
fn the_document_is_served_and_its_page_leads_everywhere() {
    let server = Server::start();
    assert_eq!(server.get("/openapi.json").expect(200).text(), DOCUMENT);
    let reply = server.get("/docs").expect(200);
    let policy = reply.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
    let page = reply.text();
    assert!(!page.contains("<script") && !page.contains("style="), "a page that needs neither");
    assert!(page.contains(r#"<link rel=stylesheet href="/docs.css">"#));
    assert_eq!(kind_of(&server.get("/docs.css").expect(200)), "text/css");
    let after = |text: &str, mark: &str| text.split(mark).skip(1).map(first_word).collect::<BTreeSet<_>>();
    let places = &after(&page, "id=\"") | &after(&page, "id=");
    let lost: Vec<_> = after(&page, "href=\"#").difference(&places).cloned().collect();
    assert_eq!(lost, Vec::<String>::new(), "links that lead nowhere");
    let document = document();
    let ids = calls(&document).into_iter().map(|(_, _, operation)| word(&operation["operationId"]));
    let wanted: Vec<_> = ids.chain(Refusal::ALL.iter().map(|refusal| refusal.code.to_owned())).collect();
    assert!(wanted.iter().all(|id| places.contains(id)), "every call and every code has its place");
}

/// Schemathesis makes requests that the document allows, and such that it forbids, and looks at every reply.
#[test]
fn a_stranger_with_the_document_finds_nothing_that_contradicts_it() {
    // `cargo x test` puts it there: xtask/src/install.rs.
    let tools = Path::new(&env::var_os("HOME").expect("a home")).join(".cache/everfold-tools/schemathesis-4.32.5");
    assert!(tools.is_dir(), "{} is missing\nhint: 'cargo x test' installs it", tools.display());
    let server = Server::start();
    let hook = Hook::running(&server, include_str!("../../examples/hooks/counter.ts"));
    let kept = hook.fold(&json!({"name": "tea"}));
    hook.fold(&json!({"name": "milk"}));
    let spare = hook.owner.hook();
    let folder = tempfile::tempdir().expect("a folder");
    let known = folder.path().join("openapi.json");
    fs::write(&known, for_a_stranger(&hook, &spare, &kept.id).to_string()).expect("a file can be written");

    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
        response_schema_conformance,negative_data_rejection,allow_header_conformance";
    let asked = Command::new("python3")
        .args(["-m", "schemathesis.cli", "run"])
        .arg(&known)
        .args(["--url", &format!("http://{}", server.address)])
        .args(["--header", &format!("authorization: Bearer {}", hook.owner.jwt)])
        .args([
            "--checks",
            checks,
            "--seed",
            "1",
            "--max-examples",
            "25",
            "--max-time",
            "55",
            "--request-timeout",
            "10",
        ])
        .args(["--no-shrink", "--continue-on-failure", "--warnings", "off", "--suppress-health-check", "all"])
        .args(unasked().iter().flat_map(|id| ["--exclude-operation-id", id]))
        .env("PYTHONPATH", &tools)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_COLOR", "1")
        .current_dir(folder.path())
        .output()
        .expect("python3 starts");
    assert!(asked.status.success(), "{}{}", text(&asked.stdout), text(&asked.stderr));
}

/// What is left out: streams that do not end, what speaks no HTTP, an export and an archive that would have to be made
/// up, and what would take the caller's own identity away.
fn unasked() -> Vec<String> {
    let mut ids = ["importHook", "signOut", "deploy"].map(str::to_owned).to_vec();
    let document = document();
    let calls = calls(&document).into_iter();
    ids.extend(calls.filter(|(.., call)| call["x-frame"].is_object()).map(|(.., call)| word(&call["operationId"])));
    ids
}

/// The document, with the ids and keys that there are. What destroys is given a hook to spare.
fn for_a_stranger(hook: &Hook, spare: &Hook, request_id: &str) -> Value {
    const DESTROYS: [&str; 5] = ["deleteHook", "resetRequests", "pauseKey", "playKey", "revokeKey"];
    let mut known = document();
    for item in known["paths"].as_object_mut().expect("paths").values_mut() {
        let operations = item.as_object_mut().expect("a path").values_mut();
        for operation in operations.filter(|operation| operation["operationId"].is_string()) {
            let id = word(&operation["operationId"]);
            let owner = if DESTROYS.contains(&id.as_str()) { spare } else { hook };
            // This hook has neither a responder nor a query that could answer anything.
            let responses = operation["responses"].as_object_mut().expect("responses");
            responses.remove("default");
            // Whoever asks for a stream is still reading it tomorrow.
            let contents = responses.values_mut().filter_map(|response| response.get_mut("content")?.as_object_mut());
            contents.for_each(|content| drop(content.remove("text/event-stream")));
            let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) else { continue };
            // To wait for what does not come is right, and takes half a minute.
            parameters.retain(|parameter| parameter["name"] != "after");
            for parameter in parameters {
                let value = match (parameter["$ref"].as_str(), parameter["name"].as_str()) {
                    (Some("#/components/parameters/id"), _) => &owner.id,
                    (Some("#/components/parameters/writeKey"), _) => &hook.write_key,
                    (Some("#/components/parameters/readKey"), _) => &hook.read_key,
                    (None, Some("id")) if id == "settled" => request_id,
                    (None, Some("key")) if parameter["in"] == "path" => &owner.write_key,
                    _ => continue,
                };
                *parameter = resolved(&document(), parameter);
                parameter["schema"] = json!({"type": "string", "enum": [value]});
                parameter["example"] = json!(value);
            }
        }
    }
    known
}

fn document() -> Value {
    serde_json::from_str(DOCUMENT).expect("openapi.json is JSON")
}

/// Path, method and operation of each call, without references to parameters and responses.
fn calls(document: &Value) -> Vec<(String, String, Value)> {
    let mut calls = vec![];
    for (path, item) in fields(&document["paths"]) {
        for (method, operation) in operations(item) {
            let mut operation = operation.clone();
            for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
                *parameter = resolved(document, parameter);
            }
            for (_, response) in operation["responses"].as_object_mut().into_iter().flatten() {
                *response = resolved(document, response);
            }
            calls.push((path.to_owned(), method.to_owned(), operation));
        }
    }
    calls
}

fn operations(item: &Value) -> impl Iterator<Item = (&str, &Value)> {
    fields(item).filter(|(_, operation)| operation["operationId"].is_string())
}

fn resolved(document: &Value, value: &Value) -> Value {
    let place = value["$ref"].as_str().map(|place| place.trim_start_matches('#'));
    place.map_or(value, |place| document.pointer(place).unwrap_or_else(|| panic!("{place} is nowhere"))).clone()
}

fn codes(schema: &Value) -> BTreeSet<String> {
    schema["properties"]["code"]["enum"].as_array().into_iter().flatten().map(word).collect()
}

fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// The routers that the source builds, by the name each is given.
fn blocks() -> BTreeMap<String, &'static str> {
    let pieces: Vec<_> = ROUTER.split("Router::new()").collect();
    let names = pieces.iter().map(|before| {
        let name = before.trim_end().strip_suffix('=').and_then(|before| before.rsplit("let ").next());
        name.map_or_else(|| "root".to_owned(), |name| name.trim().to_owned())
    });
    names.zip(pieces[1..].iter().copied()).collect()
}

fn routes_of(name: &str, blocks: &BTreeMap<String, &str>) -> BTreeSet<(String, String)> {
    let block = blocks.get(name).unwrap_or_else(|| panic!("no router is called {name}"));
    let mut routes = BTreeSet::new();
    for route in block.split(".route(\"").skip(1) {
        let (path, handlers) = route.split_once('"').expect("a path ends");
        let line = handlers.split("\n        .").next().expect("a first piece");
        for method in ["get", "post", "put", "patch", "delete", ANY] {
            if line.contains(&format!(" {method}(")) || line.contains(&format!(".{method}(")) {
                routes.insert((method.to_owned(), nameless(path)));
            }
        }
    }
    for merged in block.split(".merge(").skip(1) {
        routes.extend(routes_of(&first_word(merged), blocks));
    }
    for nested in block.split(".nest(\"").skip(1) {
        let (prefix, name) = nested.split_once("\", ").expect("a prefix and a router");
        let inner = routes_of(&first_word(name), blocks).into_iter();
        routes.extend(inner.map(|(method, path)| (method, format!("{prefix}{path}"))));
    }
    routes
}

/// How parameters are called is each side's own affair.
fn nameless(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn first_word(text: &str) -> String {
    text.split(|c: char| !c.is_alphanumeric() && !"_-".contains(c)).next().unwrap_or_default().to_owned()
}

fn server_of(server: &Value) -> &str {
    server["url"].as_str().expect("a url").trim_end_matches('/')
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn kind_of(reply: &Reply) -> &str {
    reply.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
