//! How the server is: for load balancers, for Prometheus, for people.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use engine::archive;
use rules::{
    account,
    function::{self, execution},
    inbox, job, limits, queue,
    refusal::Refusal,
    schedule, slug,
};

use super::{
    Site, admission, hook,
    host::{rpc, socket as host_socket},
    identity::identify,
    job as http_job,
    problem::Problem,
    request, socket, transfer, upload,
    visitor::Visitor,
    wire, worker as http_worker,
};
use crate::{egress, front, http, serve};

/// `GET /healthz`: the process is alive.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: it may be sent traffic.
pub async fn ready(State(site): State<Site>) -> Result<&'static str, Problem> {
    if *site.draining.borrow() {
        return Err(Refusal::DRAINING.into());
    }
    // Any read will do: it shows that the store answers.
    site.engine.door("").await?;
    Ok("ready\n")
}

/// `GET /api/health`: for the owner of the server, and for whoever is at a developer's machine that has no owner yet.
pub async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Json<wire::Health>, Problem> {
    const WHY: &str = "How a server is, is for the user who signed in first.";
    let settings = site.engine.settings().await?;
    if settings.owner.is_some() || !site.is_developers_own(visitor, &headers) {
        let session = identify(&site, &headers).await?.session()?;
        settings.of(session.account.lane).map_err(|refusal| refusal.because(WHY))?;
    }
    let (now, machine, views) = (site.engine.now(), &site.machine, site.engine.views());
    let (writes, bytes) = site.admission.held();
    let nodes = match &machine.databases {
        Some(databases) => databases.nodes().await.unwrap_or_default(),
        None => Vec::new(),
    };
    let limit = |name, held: usize, max: usize| wire::HeldLimit { name, held, max };
    Ok(Json(wire::Health {
        version: env!("CARGO_PKG_VERSION"),
        started_at: machine.started.0,
        now: now.0,
        awake: views.len(),
        store: wire::StoreHealth {
            kind: machine.store,
            bytes: machine.stored_bytes(),
            free_bytes: machine.free_bytes(),
        },
        walls: machine.worker.layers().into_iter().map(wire::Wall::of).collect(),
        children: wire::Children {
            alive: machine.worker.process_ids().len(),
            started: machine.worker.starts(),
            start_ms: wire::ms(machine.worker.started_in()),
        },
        latencies: site.tally.figures(now).times.map(|times| wire::Latency::of("write", times)).into_iter().collect(),
        writes: wire::WriteFigures::of(site.tally.figures(now)),
        refusals: refusals(&site.metrics.render()),
        folds: wire::FoldFigures::of(&views, now),
        memory: wire::Memory { resident_bytes: machine.resident_bytes() },
        limits: vec![
            limit("connections", machine.connections(), machine.connections_max),
            limit("writes", writes, admission::WRITES_MAX),
            limit("writeBytes", bytes, admission::WRITE_BYTES_MAX),
            limit("previews", http::PREVIEWS_MAX - site.previews.available_permits(), http::PREVIEWS_MAX),
            limit("imports", transfer::IMPORTS_MAX - site.imports.available_permits(), transfer::IMPORTS_MAX),
        ],
        nodes: nodes.into_iter().map(wire::Node::of).collect(),
    }))
}

/// Every refusal so far, by its code, as Prometheus is told it.
fn refusals(metrics: &str) -> BTreeMap<String, u64> {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("everfold_refusals_total{code=\""));
    lines
        .filter_map(|line| line.split_once("\"} "))
        .map(|(code, count)| (code.to_owned(), count.parse().unwrap_or(0)))
        .collect()
}

/// `GET /metrics`
pub async fn metrics(State(site): State<Site>) -> Response {
    metrics::gauge!("everfold_lanes_awake").set(site.engine.awake() as f64);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], site.metrics.render()).into_response()
}

/// A limit under the name it has in the code, as JSON spells names.
macro_rules! listed {
    ($($from:ident { $($name:ident),* $(,)? })*) => { [$($((camel_case(stringify!($name)), $from::$name as u64)),*),*] };
}

/// `GET /api/limits`: name → number, for every limit and setting.
pub async fn limits(State(site): State<Site>) -> Json<BTreeMap<String, u64>> {
    let limits = listed! {
        limits {
            BODY_BYTES_MAX, HEADER_BYTES_MAX, JSON_DEPTH_MAX, STATE_BYTES_MAX, RESPONSE_BYTES_MAX, SOURCE_BYTES_MAX,
            CONSOLE_BYTES_MAX, KEYS_MAX, SECRETS_MAX, SECRET_NAME_BYTES_MAX, SECRET_BYTES_MAX,
            IDEMPOTENCY_KEY_BYTES_MAX, TEMPLATES_MAX, IDEMPOTENCY_MS, BUDGET_TICKS, CALL_MS_MAX, HEAP_BYTES_MAX,
            ACTIONS_MAX, ACTION_SLUG_BYTES_MAX, RUN_CALLS_MAX, RUN_LOGS_MAX, RUN_LOG_BYTES_MAX, RUN_BUDGET_TICKS, RUN_CALL_MS_MAX, RUN_MOVES_BYTES_MAX,
            PAGE_BYTES_MAX,
            HOST_GRACE_MS, IDENTITY_MS, FETCH_MS_MAX, FETCH_SENT_BYTES_MAX, FETCH_BODY_BYTES_MAX, FETCH_HEADER_BYTES_MAX, FETCH_REDIRECTS_MAX,
            JOB_BUDGET_TICKS,
            FILE_BYTES_MAX, FILE_PIECE_BYTES, FILE_NAME_BYTES_MAX, FILE_TYPE_BYTES_MAX, UPLOAD_MS_MAX,
        }
        account {
            ACCESS_MS, REFRESH_MS, REFRESH_GRACE_MS, FAMILIES_MAX, LINK_MS, LINKS_MAX, ACCOUNT_KEYS_MAX,
            KEY_NAME_BYTES_MAX, KEY_USED_MS, MERGE_MS,
        }
        engine {
            LANE_QUEUE_MAX, TURN_INPUTS_MAX, FOLD_REQUESTS_MAX, FOLD_BYTES_MAX, AT_HAND_MAX, AT_HAND_BYTES_MAX,
            LANE_IDLE_MS, FOLD_PATIENCE_MS, WORKER_RETRY_MS, WORKER_RETRY_MAX_MS, RECENT_IDS_MAX, DOORS_MAX,
            WAIT_MS_MAX, PREVIEW_ERRORS_MAX, PAGE, PAGE_MAX, EVENTS_BEHIND_MAX, PROGRESS_MS, CONFLICTS_MAX,
            HOOKS_MOVED_MAX, SERIES_FOLDED_MAX, SERIES_BYTES_MAX, SERIES_POINTS_MAX, ACTIVITY_BUCKETS,
            ACTIVITY_HOURS_MAX, HOSTS_OF_ACCOUNT_MAX, HOST_ACCOUNTS_MAX, ROUTES_SEEN_MAX, HOST_RUNS_MAX, HOST_LINE_MAX,
            HOST_LINE_BYTES_MAX, HOST_AWAY_MS, RUN_LINGER_MS, UPLOADS_MAX, ACTION_HOOKS_MAX, DESCRIBED_MAX,
            RUNS_TOLD_MAX, PAGES_MAX, PAGES_OF_ACCOUNT_MAX, PAGE_MOVES_MAX, PAGE_MOVES_WAITING_MAX, PAGE_LOGS_MAX, PLAYS_IN_VAIN_MAX, HELD_RUNS_MAX,
            JOB_ASKED_MAX, JOB_LINE_MAX, JOB_TASKS_CACHED_MAX, JOBS_TOLD_MAX, JOB_SERVER_THREADS,
            FIRED_AT_ONCE_MAX, SCHEDULE_RETRY_MS,
            BUILDS_AT_ONCE_MAX, FUNCTION_ROUTES_MAX, EXECUTIONS_AT_ONCE_MAX, EXECUTIONS_KEPT_AT_ONCE_MAX, EXECUTIONS_GATHERED_MS,
            EXECUTIONS_TOLD_MAX, OWN_LANE_DRAWS_MAX, LEAVE_PAUSE_MS,
        }
        job {
            JOB_PARTS_OPEN_MAX, JOB_INPUTS_MAX, JOB_JSON_BYTES_MAX, JOB_RESULTS_BYTES_MAX, JOB_TIMEOUT_MS,
            JOB_TIMEOUT_MS_MAX, JOB_VERIFY_MAX, JOB_NAME_CHARS_MAX, JOB_LEASE_MS, JOB_THREADS_MAX, JOB_WORKERS_MAX,
        }
        function {
            FUNCTIONS_MAX, FUNCTION_NAME_CHARS_MAX, FUNCTION_SLUG_BYTES_MAX, FUNCTION_ENTRYPOINT_BYTES_MAX,
            FUNCTION_BUILD_BYTES_MAX, DEPLOYMENTS_MAX, VARIABLES_MAX, VARIABLE_KEY_BYTES_MAX, VARIABLE_VALUE_BYTES_MAX,
        }
        execution {
            EXECUTION_BODY_BYTES_MAX, EXECUTION_LOG_BYTES_MAX, EXECUTION_ATTEMPTS_MAX, EXECUTIONS_WAITING_MAX,
            EXECUTION_DELAY_MS_MAX, EXECUTION_PATH_BYTES_MAX,
        }
        archive { ARCHIVE_ENTRIES_MAX, ARCHIVE_UNPACKED_BYTES_MAX, ARCHIVE_PATH_BYTES_MAX }
        http_job { JOB_BODY_BYTES_MAX }
        http_worker { WORKER_FRAME_BYTES_MAX }
        queue { QUEUE_ITEMS_MAX, QUEUE_PARAMS_BYTES_MAX }
        schedule {
            SCHEDULES_MAX, SCHEDULE_NAME_BYTES_MAX, SCHEDULE_PARAMS_BYTES_MAX, CRON_BYTES_MAX, SCHEDULE_RUNS_MAX,
            SCHEDULE_PATIENCE_MS,
        }
        inbox {
            NOTICES_MAX, NOTICE_ADDRESSES_MAX, NOTICE_TITLE_BYTES_MAX, NOTICE_MESSAGE_BYTES_MAX, NOTICE_MAILS_MAX,
            NOTICE_MAILS_MS,
        }
        slug { SLUG_BYTES_MAX }
        rpc { HOST_ROUTES_MAX, ROUTE_NAME_CHARS_MAX, ROUTE_ABOUT_CHARS_MAX, HOST_LOG_CHARS_MAX }
        host_socket { HOST_FRAME_BYTES_MAX, HOST_CALLS_MAX, HOST_CALLS_BYTES_MAX }
        admission { WRITES_MAX, WRITE_BYTES_MAX }
        egress { FETCHES_MAX, FETCHES_WAITING_MAX }
        serve { CONNECTIONS_MAX, HEADERS_MAX }
        front { PASSED_BODY_BYTES_MAX, PASSED_BODIES_MAX, PASSED_LARGE_BODIES_MAX }
        hook { HOOKS_MAX }
        http { PREVIEWS_MAX }
        transfer { IMPORT_BYTES_MAX }
        upload { DOWNLOADS_MAX }
        wire { CONTROL_BYTES_MAX, EXCERPT_CHARS_MAX }
    };
    let others = [
        ("bodyMsMax", request::BODY_TIMEOUT.as_millis()),
        ("filePieceMsMax", upload::PIECE_TIMEOUT.as_millis()),
        ("headMsMax", serve::HEAD_TIMEOUT.as_millis()),
        ("ownerWaitMsMax", front::OWNER_WAIT.as_millis()),
        ("drainMsMax", serve::DRAIN.as_millis()),
        ("importLineBytesMax", transfer::LINE_BYTES_MAX.into()),
        ("importsMax", transfer::IMPORTS_MAX as u128),
        ("guestWritesPerMinute", site.settings.guest_writes_per_minute.into()),
        ("guestsPerHour", site.outside.guests_per_hour().into()),
        ("hostSilenceMsMax", host_socket::HOST_SILENCE.as_millis()),
        ("pingMs", site.settings.ping.as_millis()),
        ("silenceMsMax", socket::silence_max(site.settings.ping).as_millis()),
    ];
    let others = others.map(|(name, number)| (name.to_owned(), number as u64));
    Json(limits.into_iter().chain(others).collect())
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_').map(str::to_ascii_lowercase);
    let first = words.next().unwrap_or_default();
    words.fold(first, |name, word| name + &word[..1].to_ascii_uppercase() + &word[1..])
}
