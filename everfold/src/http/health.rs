//! How the server is: for load balancers, for Prometheus, for people.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use rules::{limits, refusal::Refusal};
use serde_json::json;

use super::{Site, problem::Problem};

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

/// `GET /metrics`
pub async fn metrics(State(site): State<Site>) -> Response {
    metrics::gauge!("everfold_lanes_awake").set(site.engine.awake() as f64);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], site.metrics.render()).into_response()
}

/// `GET /api/limits`: name → number.
pub async fn limits() -> Json<serde_json::Value> {
    Json(json!({
        "bodyBytesMax": limits::BODY_BYTES_MAX,
        "headerBytesMax": limits::HEADER_BYTES_MAX,
        "jsonDepthMax": limits::JSON_DEPTH_MAX,
        "stateBytesMax": limits::STATE_BYTES_MAX,
        "responseBytesMax": limits::RESPONSE_BYTES_MAX,
        "sourceBytesMax": limits::SOURCE_BYTES_MAX,
        "consoleBytesMax": limits::CONSOLE_BYTES_MAX,
        "idempotencyKeyBytesMax": limits::IDEMPOTENCY_KEY_BYTES_MAX,
        "idempotencyMs": limits::IDEMPOTENCY_MS,
        "budgetTicks": limits::BUDGET_TICKS,
        "callMsMax": limits::CALL_MS_MAX,
        "heapBytesMax": limits::HEAP_BYTES_MAX,
        "laneQueueMax": engine::LANE_QUEUE_MAX,
        "writesMax": super::admission::WRITES_MAX,
        "writeBytesMax": super::admission::WRITE_BYTES_MAX,
    }))
}

/// `GET /`: until the dashboard is here, what to do instead.
pub async fn home() -> Response {
    const PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Everfold</title>\
        <p>Everfold is running. The dashboard comes later; \
        the <code>everfold</code> command and the API under <code>/api</code> are here now.</p></html>\n";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response()
}
