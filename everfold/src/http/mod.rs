//! What a machine sees: the router, and the bounds that hold for every request.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, delete, get, post},
};
use engine::{Engine, vault::Vault};
use rules::{limits, refusal::Refusal};
use tokio::sync::Semaphore;

use crate::{machine::Machine, mail::Outbox};

mod accept;
mod account_key;
mod activity;
mod admission;
mod dashboard;
mod docs;
mod events;
mod files;
mod function;
mod health;
mod history;
mod hook;
mod host;
mod identity;
mod inbox;
mod invoke;
mod job;
mod key;
mod live;
mod mail;
mod node;
mod notice;
mod pace;
mod page;
mod parameter;
mod pointer;
mod problem;
mod queue;
mod read;
mod request;
mod run;
pub mod schedule;
mod secret;
mod series;
mod settings;
mod signin;
mod socket;
mod state_page;
mod tally;
mod transfer;
mod upload;
mod version;
pub mod visitor;
pub mod wire;
mod worker;
mod write;

use admission::Admission;
pub use invoke::slug_of_host;
pub use request::{discard, idempotency_key};
pub use socket::{FRAME_BYTES_MAX, READ_BYTES};
pub use worker::{WORKER_FRAME_BYTES_MAX, WORKER_READ_BYTES};

use pace::Pace;
pub use problem::{NotHere, Problem};
use tally::Tally;
use visitor::{Outside, Visitor};

/// Previews that run at once: each folds a whole log twice.
pub const PREVIEWS_MAX: usize = 4;

/// What every handler is given.
#[derive(Clone)]
pub struct Site {
    pub engine: Engine,
    pub vault: Arc<Vault>,
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
    pub admission: Arc<Admission>,
    pub previews: Arc<Semaphore>,
    pub imports: Arc<Semaphore>,
    pub downloads: Arc<Semaphore>,
    pub pace: Arc<Pace>,
    pub settings: Settings,
    pub draining: tokio::sync::watch::Receiver<bool>,
    pub outbox: Arc<Outbox>,
    pub outside: Arc<Outside>,
    pub machine: Arc<Machine>,
    pub tally: Arc<Tally>,
}

/// What whoever runs the server may choose.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// For each write key of a guest's hook; 0 is no bound.
    pub guest_writes_per_minute: u32,
    /// How often a client that only listens is asked, or shown, that the other end is there.
    pub ping: Duration,
}

impl Site {
    pub fn new(
        engine: Engine,
        metrics: metrics_exporter_prometheus::PrometheusHandle,
        settings: Settings,
        draining: tokio::sync::watch::Receiver<bool>,
        outbox: Arc<Outbox>,
        outside: Outside,
        machine: Machine,
    ) -> Site {
        let (outside, machine) = (Arc::new(outside), Arc::new(machine));
        let vault = engine.world().vault.clone();
        let previews = Arc::new(Semaphore::new(PREVIEWS_MAX));
        let imports = Arc::new(Semaphore::new(transfer::IMPORTS_MAX));
        let downloads = Arc::new(Semaphore::new(upload::DOWNLOADS_MAX));
        let pace = Arc::new(Pace::new(settings.guest_writes_per_minute));
        let (admission, tally) = Default::default();
        Site {
            engine,
            vault,
            metrics,
            admission,
            previews,
            imports,
            downloads,
            pace,
            settings,
            draining,
            outbox,
            outside,
            machine,
            tally,
        }
    }

    /// Whether nobody but a developer can be calling, on a machine of their own. What a proxy or another node passes on
    /// comes from somebody else, whatever the server was told.
    fn is_developers_own(&self, visitor: Visitor, headers: &HeaderMap) -> bool {
        let is_passed_on = headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED);
        matches!(*self.outbox, Outbox::Development(_)) && visitor.is_of_this_machine() && !is_passed_on
    }
}

pub fn router(site: Site) -> Router {
    let open = Router::new()
        .route("/write/{key}", any(write::write))
        .route("/write/{key}/{*rest}", any(write::write_below))
        .route("/write/{key}/settled/{id}", get(write::settled).fallback(write::write_settled))
        .route("/read/{key}", get(read::read))
        .layer(middleware::from_fn(cross_origin));
    let files = Router::new()
        .route("/uploads/{id}", get(upload::get).put(upload::put).options(upload::ask))
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(cross_origin));
    let jobs = Router::new()
        .route("/jobs", get(job::list).post(job::submit))
        .route("/jobs/delivered", post(job::deliver))
        .layer(DefaultBodyLimit::max(job::JOB_BODY_BYTES_MAX));
    let code = Router::new()
        .route("/functions/{id}/deployments", get(function::deployments).post(function::deploy))
        .layer(DefaultBodyLimit::disable());
    let own_pages = middleware::from_fn_with_state(site.clone(), visitor::same_origin);
    let api = Router::new()
        .route("/auth/guest-user", post(identity::guest))
        .route("/auth/signin", post(signin::ask))
        .route("/auth/validate-signin-token", post(signin::follow))
        .route("/auth/refresh-token", post(identity::refresh))
        .route("/auth/session", post(identity::session))
        .route("/auth/me", get(identity::me))
        .route("/auth/signout", post(identity::sign_out))
        .route("/keys", get(account_key::list).post(account_key::make))
        .route("/keys/{id}", delete(account_key::revoke))
        .route("/settings", get(settings::show).put(settings::change))
        .route("/dev/mail", get(mail::list))
        .route("/hooks", get(hook::list).post(hook::create))
        .route("/hooks/import", post(transfer::import).layer(DefaultBodyLimit::disable()))
        .route("/hooks/{id}", get(hook::show).put(hook::change).delete(hook::delete))
        .route("/hooks/{id}/reset-requests", post(hook::reset))
        .route("/hooks/{id}/export", get(transfer::export))
        .route("/hooks/{id}/verify", get(hook::verify))
        .route("/hooks/{id}/publish", post(version::publish))
        .route("/hooks/{id}/replay", get(version::replay))
        .route("/hooks/{id}/replay/cancel", post(version::cancel))
        .route("/hooks/{id}/preview", post(version::preview))
        .route("/hooks/{id}/versions", get(version::list))
        .route("/hooks/{id}/versions/{version}/restore", post(version::restore))
        .route("/hooks/{id}/history", get(history::list))
        .route("/hooks/{id}/requests", get(history::brief))
        .route("/hooks/{id}/requests/{seq}", get(history::show))
        .route("/hooks/{id}/requests/{seq}/diff", get(history::diff))
        .route("/hooks/{id}/requests/{seq}/resend", post(history::resend))
        .route("/hooks/{id}/series", get(series::show))
        .route("/hooks/{id}/activity", get(activity::show))
        .route("/hooks/{id}/console", get(history::console))
        .route("/hooks/{id}/templates", get(history::templates))
        .route("/hooks/{id}/keys", get(key::list).post(key::make))
        .route("/hooks/{id}/keys/{key}", delete(key::revoke))
        .route("/hooks/{id}/keys/{key}/pause", post(key::pause))
        .route("/hooks/{id}/keys/{key}/play", post(key::play))
        .route("/actions", get(run::actions))
        .route("/actions/{slug}/runs", post(run::begin))
        .route("/runs", get(run::list))
        .route("/runs/{id}", get(run::show))
        .route("/runs/{id}/answers", post(run::answer))
        .route("/runs/{id}/state", post(run::state))
        .route("/runs/{id}/cancel", post(run::cancel))
        .route("/runs/{id}/abandon", post(run::abandon))
        .route("/runs/{id}/resume", post(run::resume))
        .route("/runs/{id}/restart", post(run::restart))
        .route("/pages/{key}/state", post(page::state))
        .route("/secrets/{id}", get(secret::list).post(secret::set).delete(secret::remove))
        .route("/uploads", post(upload::announce))
        .route("/actions/enqueue", post(queue::enqueue))
        .route("/actions/dequeue", post(queue::dequeue))
        .route("/queue", get(queue::list))
        .route("/queue/{id}/runs", post(queue::begin))
        .route("/jobs/{id}", get(job::show).delete(job::cancel))
        .route("/workers", get(job::workers))
        .route("/schedules", get(schedule::list).post(schedule::make))
        .route("/schedules/{id}", get(schedule::show).put(schedule::change).delete(schedule::delete))
        .route("/notify", post(inbox::notify))
        .route("/notices", get(inbox::list))
        .route("/functions", get(function::list).post(function::make))
        .route("/functions/{id}", get(function::show).put(function::change).delete(function::delete))
        .route("/functions/{id}/deployments/{did}", get(function::deployment).delete(function::undeploy))
        .route("/functions/{id}/deployments/{did}/activate", post(function::activate))
        .route("/functions/{id}/deployments/{did}/cancel", post(function::cancel))
        .route("/functions/{id}/deployments/{did}/logs", get(function::logs))
        .route("/functions/{id}/deployments/{did}/download", get(function::download))
        .route("/functions/{id}/variables", get(function::variables).post(function::set_variable))
        .route("/functions/{id}/variables/{key}", delete(function::remove_variable))
        .route("/functions/{id}/executions", get(function::executions).post(function::execute))
        .route("/functions/{id}/executions/{execution}", get(function::execution))
        .route("/runtimes", get(function::runtimes))
        .route("/limits", get(health::limits))
        .route("/health", get(health::show))
        .layer(DefaultBodyLimit::max(wire::CONTROL_BYTES_MAX))
        .merge(jobs)
        .merge(code)
        .layer(own_pages.clone())
        .merge(open.clone())
        .merge(files);
    let pages = Router::new()
        .route("/signin/{token}", get(signin::show).post(signin::press))
        .route("/dev/mail", get(mail::show))
        .layer(own_pages);
    Router::new()
        .merge(open)
        .merge(pages)
        .nest("/api", api)
        .route("/f/{slug}", any(invoke::below))
        .route("/f/{slug}/", any(invoke::below))
        .route("/f/{slug}/{*path}", any(invoke::below))
        .route("/state-events", get(live::state_events))
        .route("/hook-events", get(events::hook_events))
        .route("/run-events", get(run::run_events))
        .route("/page-events", get(page::page_events))
        .route("/job-events", get(job::job_events))
        .route("/worker", get(worker::connect))
        .route("/websocket", get(host::connect))
        .route("/node/{lane}", post(node::ask).layer(DefaultBodyLimit::disable()))
        .route("/page/{file}", get(state_page::file))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(docs::document))
        .route("/docs", get(docs::page))
        .route("/docs.css", get(docs::style))
        .route("/", get(dashboard::home))
        .route("/hooks", get(dashboard::hooks))
        .route("/hooks/{id}", get(dashboard::hook))
        .route("/a/{*slug}", get(dashboard::start))
        .route("/r/{id}", get(dashboard::run))
        .route("/p/{*slug}", get(dashboard::group))
        .route("/history", get(dashboard::history))
        .route("/jobs", get(dashboard::jobs))
        .route("/jobs/{file}", get(dashboard::threads))
        .route("/functions", get(dashboard::functions))
        .route("/functions/{id}", get(dashboard::function))
        .route("/service-worker.js", get(dashboard::service_worker))
        .route("/settings", get(dashboard::settings))
        .route("/health", get(dashboard::health))
        .route("/assets/{file}", get(dashboard::asset))
        .fallback(dashboard::unknown)
        .method_not_allowed_fallback(|| async { Problem(Refusal::METHOD_UNKNOWN) })
        .layer(middleware::from_fn_with_state(site.clone(), at_the_rim))
        .with_state(site)
}

/// What no handler has to look at again: headers within their bound, and a path that is text.
async fn at_the_rim(State(site): State<Site>, request: Request, next: Next) -> Response {
    if let Some(slug) = slug_of_host(&site.outside.origin, request.headers()).map(str::to_owned) {
        return invoke::of_host(&site, &slug, request).await;
    }
    let path = request.uri().path();
    if percent_encoding::percent_decode_str(path).decode_utf8().is_err() {
        let names_a_key = path.contains("/write/") || path.contains("/read/");
        return if names_a_key {
            Problem(Refusal::KEY_UNKNOWN).into_response()
        } else {
            dashboard::not_found(&site, request.method(), request.headers())
        };
    }
    let bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > limits::HEADER_BYTES_MAX {
        return Problem(Refusal::HEADERS_TOO_LARGE).into_response();
    }
    next.run(request).await
}

/// Whoever has a key, or the address of a file, may use it from any page.
async fn cross_origin(request: Request, next: Next) -> Response {
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("x-seq, idempotency-replayed, retry-after"),
    );
    if is_preflight {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE"),
        );
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        if let Some(asked) = asked {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
        }
    }
    response
}

/// Resolves when the server is going down.
pub async fn drained(draining: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = draining.wait_for(|draining| *draining).await;
}
