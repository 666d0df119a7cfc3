//! Hosts: applications that connect with the npm package `@interval/sdk` and offer their actions and pages here.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::HeaderMap,
    response::Response,
};
use engine::{
    HOST_AWAY_MS, HOSTS_OF_ACCOUNT_MAX,
    host::{Hosts, Runs},
};
use rules::{account::KeyKind, record::LaneId, refusal::Refusal};

use super::{Site, problem::Problem};

mod envelope;
pub mod rpc;
pub mod socket;

pub use socket::organization;

use socket::{Closing, HOST_FRAME_BYTES_MAX};

/// How often it is looked at whether a host's key still holds: within 5 s of its end the host is nobody's.
const KEY_LOOK: Duration = Duration::from_secs(4);
/// What a host calls itself for as long as its process lives.
const INSTANCE_BYTES_MAX: usize = 64;
/// Room for what comes in, of each host that is there.
const READ_BYTES: usize = 8 << 10;

/// What a conversation with a host rests on.
#[derive(Clone)]
pub struct Hosting {
    pub hosts: Arc<Hosts>,
    pub runs: Arc<dyn Runs>,
    /// Where people reach the server: `https://everfold.example`.
    pub origin: String,
    /// How often a host is asked whether it is there.
    pub ping: Duration,
}

/// `GET /websocket`
///
/// Whoever may not speak is let in to be told why: the package prints the reason of a closed WebSocket, and nothing of
/// one that was refused.
pub async fn connect(
    State(site): State<Site>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|_| Refusal::NOT_WEBSOCKET)?;
    let key = headers.get("x-api-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let instance = headers.get("x-instance-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let account = account_of(&site, &key).await?;
    let hosting = Hosting {
        hosts: site.engine.hosts().clone(),
        runs: Arc::new(site.engine.clone()),
        origin: site.outside.origin.clone(),
        ping: site.settings.ping,
    };
    let over = over(site, key, account.ok());
    Ok(sized(upgrade).on_upgrade(move |socket| async move {
        match account {
            Ok(account) => serve(hosting, account, instance, socket, over).await,
            Err(why) => socket::close(socket, Closing::Refused(why.into())).await,
        }
    }))
}

fn sized(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade.max_message_size(HOST_FRAME_BYTES_MAX).max_frame_size(HOST_FRAME_BYTES_MAX).read_buffer_size(READ_BYTES)
}

/// Whose key this is, or why it is nobody's, for whoever reads the host's terminal.
async fn account_of(site: &Site, key: &str) -> Result<Result<LaneId, &'static str>, Refusal> {
    if key.is_empty() {
        return Ok(Err(
            "No API key: set apiKey in new Interval({ apiKey }). POST /api/keys {\"type\":\"api\"} makes one.",
        ));
    }
    Ok(match site.engine.key_holder(key).await? {
        Some(holder) if holder.kind == KeyKind::Api => Ok(holder.account.lane),
        Some(_) => Err("This key lets a worker take jobs; a host needs one of type \"api\". POST /api/keys makes one."),
        None => Err("This API key is unknown here, or was revoked. POST /api/keys {\"type\":\"api\"} makes one."),
    })
}

/// Resolves when the server goes down, or what let the host in does so no longer.
async fn over(site: Site, key: String, account: Option<LaneId>) -> Closing {
    let mut draining = site.draining.clone();
    let gone = async {
        loop {
            tokio::time::sleep(KEY_LOOK).await;
            match account_of(&site, &key).await {
                Ok(Ok(now)) if account != Some(now) => return Closing::Moved,
                Ok(Err(why)) => return Closing::Refused(why.into()),
                Ok(Ok(_)) | Err(_) => {}
            }
        }
    };
    tokio::select! {
        closing = gone => closing,
        () = super::drained(&mut draining) => Closing::GoingDown,
    }
}

/// Speaks with a host for as long as the connection lasts; what it had is given up when it does not come back.
async fn serve(
    hosting: Hosting,
    account: LaneId,
    instance: String,
    mut socket: WebSocket,
    over: impl Future<Output = Closing>,
) {
    if instance.is_empty() || instance.len() > INSTANCE_BYTES_MAX {
        let why = format!("The header x-instance-id has 1 to {INSTANCE_BYTES_MAX} bytes; the package sets it.");
        return socket::close(socket, Closing::Refused(why.into())).await;
    }
    let Some(connection) = hosting.hosts.connect(account, instance.clone()) else {
        let why = format!("{HOSTS_OF_ACCOUNT_MAX} hosts of this account are connected; it may have no more.");
        return socket::close(socket, Closing::Refused(why.into())).await;
    };
    tracing::info!(instance, account = format!("{:032x}", account.0), "a host connected");
    let (closing, away) = socket::converse(&hosting, account, connection, &mut socket, over).await;
    tracing::info!(instance, ?closing, "a host's connection ended");
    hosting.runs.host_left(account, hosting.hosts.held_by(account, &instance));
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(HOST_AWAY_MS)).await;
        if let Some(transactions) = away.give_up() {
            hosting.runs.host_went(away.account, away.instance, transactions);
        }
    });
    socket::close(socket, closing).await;
}
