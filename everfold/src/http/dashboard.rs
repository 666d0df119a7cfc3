//! The dashboard: one page under many addresses and the files it loads, held gzipped in the binary (`build.rs`).

use std::{io::Read, sync::LazyLock};

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::read::GzDecoder;
use rules::refusal::Refusal;

use super::{Site, accept::Wanted, notice, problem::Problem};

/// Name and gzipped content of each file. Empty in a server that was built without npm.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// Nothing but our own files and calls, and the pictures of runs: the page loads none that nobody agreed to. The nonce is
/// for the style elements that the editor makes; no script has one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-NONCE'; \
    img-src 'self' data: https:; media-src 'self' data: https:; font-src 'self'; connect-src 'self'; worker-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// The frame that the threads of jobs live in: scripts that are in it, and what these are told to run; an origin of its
/// own, and no address at all. Its threads inherit this. The file says the same of itself, and which script is its own.
const THREADS_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; worker-src blob:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts";
/// A file's name holds the hash of its content, and is its ETag.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

static PAGE: LazyLock<Option<String>> = LazyLock::new(|| {
    let page = inflated(held("index.html")?);
    Some(String::from_utf8(page).expect("a page is text"))
});

/// What the server itself says of a page, before any script runs and where none does.
struct Page {
    status: StatusCode,
    title: &'static str,
    sentence: &'static str,
}

const HOME: Page = Page {
    status: StatusCode::OK,
    title: "Everfold",
    sentence: "Everfold puts functions online and never forgets; this page, where you write and watch them, needs JavaScript.",
};
const HOOKS: Page = Page {
    status: StatusCode::OK,
    title: "All hooks · Everfold",
    sentence: "This page lists your hooks, the endpoints that remember, and needs JavaScript.",
};
const HOOK: Page = Page {
    status: StatusCode::OK,
    title: "Hook · Everfold",
    sentence: "This page shows the code, the requests and the state of a hook, and needs JavaScript.",
};
const START: Page = Page {
    status: StatusCode::OK,
    title: "Run an action · Everfold",
    sentence: "This page begins a run of an action, and needs JavaScript.",
};
const RUN: Page = Page {
    status: StatusCode::OK,
    title: "Run · Everfold",
    sentence: "This page shows what a run of an action asks and answers, and needs JavaScript.",
};
const GROUP: Page = Page {
    status: StatusCode::OK,
    title: "Actions · Everfold",
    sentence: "This page lists actions that belong together, and needs JavaScript.",
};
const HISTORY: Page = Page {
    status: StatusCode::OK,
    title: "History · Everfold",
    sentence: "This page lists the runs of your actions, and needs JavaScript.",
};
const JOBS: Page = Page {
    status: StatusCode::OK,
    title: "Jobs · Everfold",
    sentence: "This page runs jobs on whatever tabs are open, and needs JavaScript.",
};
const FUNCTIONS: Page = Page {
    status: StatusCode::OK,
    title: "Functions · Everfold",
    sentence: "This page lists your functions and what this machine can run, and needs JavaScript.",
};
const FUNCTION: Page = Page {
    status: StatusCode::OK,
    title: "Function · Everfold",
    sentence: "This page shows the deployments and the executions of a function, and needs JavaScript.",
};
const SETTINGS: Page = Page {
    status: StatusCode::OK,
    title: "Settings · Everfold",
    sentence: "This page shows your account and its keys, and needs JavaScript.",
};
const HEALTH: Page = Page {
    status: StatusCode::OK,
    title: "Health · Everfold",
    sentence: "This page shows how the server is, and needs JavaScript.",
};
const UNKNOWN: Page = Page {
    status: StatusCode::NOT_FOUND,
    title: "Not found · Everfold",
    sentence: "There is no page at this address.",
};

/// `GET /`
pub async fn home(State(site): State<Site>) -> Response {
    HOME.of(&site)
}

/// `GET /hooks`
pub async fn hooks(State(site): State<Site>) -> Response {
    HOOKS.of(&site)
}

/// `GET /hooks/ID`: whoever's it is, and whether there is one, the page itself finds out.
pub async fn hook(State(site): State<Site>) -> Response {
    HOOK.of(&site)
}

/// `GET /a/SLUG`: a slug holds the slashes of the pages it lies on.
pub async fn start(State(site): State<Site>) -> Response {
    START.of(&site)
}

/// `GET /r/ID`
pub async fn run(State(site): State<Site>) -> Response {
    RUN.of(&site)
}

/// `GET /p/SLUG`
pub async fn group(State(site): State<Site>) -> Response {
    GROUP.of(&site)
}

/// `GET /history`
pub async fn history(State(site): State<Site>) -> Response {
    HISTORY.of(&site)
}

/// `GET /jobs`
pub async fn jobs(State(site): State<Site>) -> Response {
    JOBS.of(&site)
}

/// `GET /functions`
pub async fn functions(State(site): State<Site>) -> Response {
    FUNCTIONS.of(&site)
}

/// `GET /functions/ID`
pub async fn function(State(site): State<Site>) -> Response {
    FUNCTION.of(&site)
}

/// `GET /settings`
pub async fn settings(State(site): State<Site>) -> Response {
    SETTINGS.of(&site)
}

/// `GET /health`
pub async fn health(State(site): State<Site>) -> Response {
    HEALTH.of(&site)
}

/// Whatever no route is for: a page for who wants one, a problem for programs.
pub async fn unknown(State(site): State<Site>, method: Method, headers: HeaderMap) -> Response {
    not_found(&site, &method, &headers)
}

pub fn not_found(site: &Site, method: &Method, headers: &HeaderMap) -> Response {
    let wants_page = method.is_safe() && Wanted::of(headers) == Wanted::Page;
    let mut response = if wants_page { UNKNOWN.of(site) } else { Problem(Refusal::PATH_UNKNOWN).into_response() };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

impl Page {
    fn of(&self, site: &Site) -> Response {
        let Some(page) = &*PAGE else { return self.without_dashboard() };
        let nonce = format!("{:032x}", site.engine.world().entropy.draw());
        let page =
            page.replace("__TITLE__", self.title).replace("__SENTENCE__", self.sentence).replace("__NONCE__", &nonce);
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            // Without an ETag: what was kept has the nonce of another policy.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
            (CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin")),
        ];
        (self.status, headers, secured(&nonce), page).into_response()
    }

    fn without_dashboard(&self) -> Response {
        const BODY: &str = "<p>This server was built without its dashboard: install Node.js, which brings npm, and \
            build it again with <code>cargo build --release</code>.</p>\
            <p>All else is here: the <code>everfold</code> command, and <a href=\"/docs\">the API</a>.</p>";
        let heading = self.title.trim_end_matches(" · Everfold");
        notice::page(self.status, heading, format_args!("<h1>{heading}</h1>{BODY}"))
    }
}

/// A worker takes its policy from its own file, so files have one, too.
fn secured(nonce: &str) -> [(HeaderName, HeaderValue); 2] {
    let policy = POLICY.replace("NONCE", nonce);
    [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy).expect("a nonce is hexadecimal digits")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]
}

/// `GET /assets/FILE`
pub async fn asset(Path(file): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let gzipped = held(&format!("assets/{file}")).ok_or(Refusal::PATH_UNKNOWN)?;
    let takes_gzip = takes_gzip(&headers);
    let tag = if takes_gzip { format!("\"{file}.gz\"") } else { format!("\"{file}\"") };
    let told = [
        (header::CACHE_CONTROL, HeaderValue::from_static(FOR_EVER)),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
        (header::ETAG, HeaderValue::try_from(&tag).expect("a file's name is plain")),
    ];
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    if known.flat_map(|tags| tags.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag) {
        return Ok((StatusCode::NOT_MODIFIED, told).into_response());
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(kind_of(&file)))];
    let response = (told, kind, secured("of-no-page"));
    Ok(if takes_gzip {
        let encoding = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
        (response, encoding, gzipped).into_response()
    } else {
        (response, inflated(gzipped)).into_response()
    })
}

/// `GET /jobs/FILE`: the frame of the threads.
pub async fn threads(Path(file): Path<String>) -> Result<Response, Problem> {
    let gzipped = held(&format!("jobs/{file}")).filter(|_| file.ends_with(".html")).ok_or(Refusal::PATH_UNKNOWN)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static(FOR_EVER)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(THREADS_POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, inflated(gzipped)).into_response())
}

/// `GET /service-worker.js`: a new build is found by who comes next.
pub async fn service_worker() -> Result<Response, Problem> {
    let gzipped = held("service-worker.js").ok_or(Refusal::PATH_UNKNOWN)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind_of("service-worker.js"))),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((headers, secured("of-no-page"), inflated(gzipped)).into_response())
}

/// Whether gzip is named, or everything is, and not with a weight of nothing.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let weights: Vec<_> = values
        .flat_map(|value| value.split(','))
        .map(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
            (name, weight)
        })
        .collect();
    let of = |name: &str| weights.iter().find(|(known, _)| known == name).map(|(_, weight): &(_, f32)| *weight);
    of("gzip").or_else(|| of("*")).is_some_and(|weight| weight > 0.0)
}

fn held(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, gzipped)| *gzipped)
}

fn inflated(gzipped: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    GzDecoder::new(gzipped).read_to_end(&mut content).expect("build.rs wrote it");
    content
}

fn kind_of(file: &str) -> &'static str {
    match file.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "woff2" => "font/woff2",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "json" | "map" => "application/json",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        let takes = |value: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        assert!(takes("gzip, deflate, br, zstd") && takes("br;q=1.0, GZIP;q=0.1") && takes("*"));
        assert!(!takes("") && !takes("identity") && !takes("gzip;q=0, *") && !takes("*;q=0") && !takes("br"));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
