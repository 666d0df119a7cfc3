//! The line between a worker and the server: jobs go one way, what came of them the other.

use std::time::Duration;

use axum::{
    extract::{
        RawQuery, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, close_code, rejection::WebSocketUpgradeRejection},
    },
    http::HeaderMap,
    response::Response,
};
use engine::job::{Hand, ToWorker};
use futures_util::SinkExt;
use rules::{
    job::{End, JOB_JSON_BYTES_MAX, JOB_LEASE_MS, JOB_NAME_CHARS_MAX, Kind, Part, Progress, Said},
    record::LaneId,
    refusal::Refusal,
};
use tokio::{sync::mpsc, time::Instant};

use super::{Site, events, identity, problem::Problem, wire};

/// What a worker says at once. A result of the largest size has room in it with its frame.
pub const WORKER_FRAME_BYTES_MAX: usize = JOB_JSON_BYTES_MAX;
/// What is read at once, by either end: all of it is zeroed before, each time.
pub const WORKER_READ_BYTES: usize = 8 << 10;
/// How long a worker may take to say who it is.
const HELLO_MAX: Duration = Duration::from_secs(10);
/// Silent for so long, it is gone: its leases ended long before.
const SILENCE_MAX: Duration = Duration::from_millis(6 * JOB_LEASE_MS);
/// How long a worker may take to take what it is told.
const SEND_MAX: Duration = Duration::from_secs(10);
/// How often it is looked at whether what let a worker in still holds.
const KEY_LOOK: Duration = Duration::from_secs(4);

/// What every browser begins its name with.
const BROWSER: &str = "Mozilla/";

/// Why a conversation ended.
enum Closing {
    Gone,
    /// With words for whoever reads its log.
    Refused(String),
    GoingDown,
    /// The jobs were loaded anew, or it was too slow: what it had is handed out again, and it may come back.
    Anew,
}

/// `GET /worker`
pub async fn connect(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let headers = identity::with_key(headers, query.as_deref());
    if !events::is_of_this_site(&headers, &site.outside.origin) {
        return Err(Refusal::ORIGIN_FOREIGN.into());
    }
    let (account, is_person) = identity::worker_of(&site, &headers).await?;
    let upgrade = upgrade.map_err(|_| Refusal::NOT_WEBSOCKET)?;
    let upgrade = upgrade
        .max_message_size(WORKER_FRAME_BYTES_MAX)
        .max_frame_size(WORKER_FRAME_BYTES_MAX)
        .read_buffer_size(WORKER_READ_BYTES);
    Ok(upgrade.on_upgrade(move |mut socket| async move {
        let mut draining = site.draining.clone();
        let closing = tokio::select! {
            closing = converse(&site, account, is_person, &mut socket) => closing,
            () = super::drained(&mut draining) => Closing::GoingDown,
            () = gone(&site, account, headers) => Closing::Refused("What let this worker in does so no longer.".into()),
        };
        let frame = match closing {
            Closing::Gone => return,
            Closing::Refused(reason) => CloseFrame { code: close_code::POLICY, reason: reason.into() },
            Closing::Anew => CloseFrame { code: close_code::AGAIN, reason: "Connect again.".into() },
            Closing::GoingDown => CloseFrame { code: close_code::RESTART, reason: "The server goes down.".into() },
        };
        let _ = tokio::time::timeout(SEND_MAX, socket.send(Message::Close(Some(frame)))).await;
    }))
}

/// Resolves when the key was revoked, or the sign-in ended.
async fn gone(site: &Site, account: LaneId, headers: HeaderMap) {
    loop {
        tokio::time::sleep(KEY_LOOK).await;
        match identity::worker_of(site, &headers).await {
            Ok((now, _)) if now != account => return,
            Err(refusal) if refusal.status < 500 => return,
            _ => {}
        }
    }
}

async fn converse(site: &Site, account: LaneId, is_person: bool, socket: &mut WebSocket) -> Closing {
    let (name, user_agent, threads) = match tokio::time::timeout(HELLO_MAX, hello(socket)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(closing)) => return closing,
        Err(_) => {
            return Closing::Refused("A worker says hello first: {\"type\":\"hello\",\"name\",\"threads\"}.".into());
        }
    };
    let is_browser = user_agent.as_deref().is_some_and(|agent| agent.starts_with(BROWSER));
    let kind = if is_person && is_browser { Kind::Tab } else { Kind::Headless };
    let (hand, mut told) = match site.engine.hire(account, kind, name, user_agent, threads).await {
        Ok(hired) => hired,
        Err(refusal) => return Closing::Refused(refusal.detail.into_owned()),
    };
    if say(socket, vec![wire::WorkerFrame::welcome(hand.id)]).await.is_err() {
        return Closing::Gone;
    }
    let mut heard = Instant::now();
    let mut pings = tokio::time::interval_at(heard + site.settings.ping, site.settings.ping);
    loop {
        let frames = tokio::select! {
            message = told.recv() => match message {
                Some(first) => waiting(first, &mut told),
                None => return Closing::Anew,
            },
            message = socket.recv() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => match hear(&hand, &text).await {
                        Ok(()) => continue,
                        Err(frame) => vec![frame],
                    },
                    Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Closing::Gone,
                }
            },
            _ = pings.tick() => {
                let ping = socket.send(Message::Ping(Default::default()));
                if !matches!(tokio::time::timeout(SEND_MAX, ping).await, Ok(Ok(()))) {
                    return Closing::Gone;
                }
                continue;
            },
            () = tokio::time::sleep_until(heard + SILENCE_MAX) => return Closing::Gone,
        };
        if say(socket, frames).await.is_err() {
            return Closing::Gone;
        }
    }
}

/// All that waits to be told, so that it goes out at once.
fn waiting(first: ToWorker, told: &mut mpsc::Receiver<ToWorker>) -> Vec<String> {
    let rest = std::iter::from_fn(|| told.try_recv().ok());
    std::iter::once(first).chain(rest).map(|message| wire::WorkerFrame::of(&message)).collect()
}

async fn say(socket: &mut WebSocket, frames: Vec<String>) -> Result<(), ()> {
    let said = async {
        for frame in frames {
            socket.feed(Message::Text(frame.into())).await?;
        }
        socket.flush().await
    };
    match tokio::time::timeout(SEND_MAX, said).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(()),
    }
}

/// Who it is.
async fn hello(socket: &mut WebSocket) -> Result<(String, Option<String>, u32), Closing> {
    loop {
        let text = match socket.recv().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Closing::Gone),
            Some(Ok(_)) => continue,
        };
        let Ok(wire::FromWorker { kind, name, threads, user_agent, .. }) = serde_json::from_str(&text) else {
            return Err(Closing::Refused("A worker says JSON objects with a type.".into()));
        };
        if kind != "hello" {
            return Err(Closing::Refused(format!("A worker says hello first, and this one said {kind:?}.")));
        }
        let short = |text: String| text.chars().take(JOB_NAME_CHARS_MAX).collect::<String>();
        let name = name.map(short).filter(|name| !name.is_empty()).unwrap_or_else(|| "worker".into());
        return Ok((name, user_agent.map(short), threads.unwrap_or(1)));
    }
}

/// What it says; an `Err` is the frame that it is told for it.
async fn hear(hand: &Hand, text: &str) -> Result<(), String> {
    let malformed = |id: Option<String>, fence: Option<u64>, why: String| {
        wire::WorkerFrame::refused(id, fence, &Refusal::FRAME_MALFORMED.because(why))
    };
    let frame: wire::FromWorker =
        serde_json::from_str(text).map_err(|error| malformed(None, None, format!("This is no frame: {error}.")))?;
    match &*frame.kind {
        "beat" => {
            let running = frame.running.unwrap_or_default();
            hand.beat(running.iter().filter_map(|id| wire::part_of(id)).collect()).await;
            return Ok(());
        }
        "resize" => {
            let threads = frame.threads.ok_or_else(|| malformed(None, None, "resize has threads.".into()))?;
            hand.resize(threads).await;
            return Ok(());
        }
        _ => {}
    }
    let (id, fence) = (frame.id.clone(), frame.fence);
    let part: Option<Part> = frame.id.as_deref().and_then(wire::part_of);
    let (Some(part), Some(fence)) = (part, fence) else {
        return Err(malformed(id, fence, format!("{:?} has the id and the fence of a job.", frame.kind)));
    };
    let said = match &*frame.kind {
        "result" => Said::Ended(End::Done(frame.value.map_or("null".into(), |value| value.get().into()))),
        "error" => match frame.error.map(|error| error.into_error()) {
            Some(error) if error.name == "TimeoutError" => Said::Ended(End::TimedOut),
            Some(error) => Said::Ended(End::Failed(error)),
            None => return Err(malformed(id, Some(fence), "error has an error: {name, message}.".into())),
        },
        "progress" => {
            let (done, total) = (frame.done.unwrap_or(0.0), frame.total.unwrap_or(0.0));
            let note = frame.note.map(|note| note.chars().take(JOB_NAME_CHARS_MAX).collect());
            Said::Progress(Progress { done, total, note })
        }
        "log" => {
            let (level, text) = (frame.level.unwrap_or_default(), frame.text.unwrap_or_default());
            Said::Log(wire::JobLine { level, text }.into_line())
        }
        other => return Err(malformed(id, Some(fence), format!("{other:?} is no type of a frame."))),
    };
    hand.say(part, fence, said).await;
    Ok(())
}
