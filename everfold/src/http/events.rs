//! What happens to a hook, request by request, for its owner.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, RawQuery, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{HeaderMap, Request, header},
    response::Response,
};
use engine::events::{Event, Events};
use futures_util::{Stream, stream};
use rules::{record::LaneId, refusal::Refusal};

use super::{Site, identity::Caller, problem::Problem, socket, visitor, wire};

/// How often it is looked at whether a caller is still who they were: within 5 s of it, they are nobody.
const IDENTITY_LOOK: Duration = Duration::from_secs(4);

/// `GET /hook-events?hookId=ID`
///
/// Each request is told once and in order when it is folded, or when it has arrived, where nothing folds it. A
/// `bulk-update` stands for all that a reader was too slow for, and for what other code or a reset made new.
pub async fn hook_events(
    State(site): State<Site>,
    Caller(caller): Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    if !is_of_this_site(&headers, &site.outside.origin) {
        return Err(Refusal::ORIGIN_FOREIGN.into());
    }
    let query = query.unwrap_or_default();
    let id = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "hookId").map(|(_, id)| id);
    let id = id.filter(|id| !id.is_empty()).ok_or(Refusal::NO_HOOK_ID)?;
    // Whether there is such a hook is nobody's business but its owner's.
    let hook = wire::lane_of(&id).ok_or(Refusal::HOOK_FOREIGN)?;
    let events = site.engine.events(hook).await.map_err(foreign)?;
    let mut following = site.engine.follow(hook).await.map_err(foreign)?;
    let owner = following.borrow().config.owner;
    site.engine.owns(caller, owner).await?;
    let given_away = async move {
        let _ = following.wait_for(|view| view.config.owner != owner).await;
    };
    let gone = gone(site.clone(), headers);
    let over = async move {
        tokio::select! {
            () = given_away => {}
            () = gone => {}
        }
    };
    socket::tell(&site, upgrade, frames(site.clone(), hook, events), over)
}

/// Resolves when what showed who is calling does so no longer.
pub async fn gone(site: Site, headers: HeaderMap) {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.headers = headers;
    loop {
        tokio::time::sleep(IDENTITY_LOOK).await;
        match Caller::from_request_parts(&mut parts, &site).await {
            Err(Problem(refusal)) if refusal.status < 500 => return,
            _ => {}
        }
    }
}

fn foreign(refusal: Refusal) -> Refusal {
    if refusal == Refusal::HOOK_UNKNOWN { Refusal::HOOK_FOREIGN } else { refusal }
}

/// A browser sends its cookies along with whatever page connects. What names its caller in `Authorization` was not
/// sent by a browser on its own.
pub fn is_of_this_site(headers: &HeaderMap, own: &str) -> bool {
    headers.contains_key(header::AUTHORIZATION) || !visitor::is_foreign(headers, own)
}

fn frames(site: Site, hook: LaneId, events: Events) -> impl Stream<Item = String> + Send {
    stream::unfold((site, events), move |(site, mut events)| async move {
        let event = match events.next().await? {
            Event::Request(moment) => wire::HookEvent::request(hook, &moment),
            Event::Bulk => wire::HookEvent::bulk(hook),
            Event::Refold(view) => wire::HookEvent::replay(&view, site.engine.now()),
        };
        let frame = serde_json::to_string(&event).expect("a frame is plain data");
        Some((frame, (site, events)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_site_does_not_pass() {
        let from = |headers: &[(header::HeaderName, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), header::HeaderValue::from_static(value)));
            is_of_this_site(&headers.collect(), "http://127.0.0.1:8080")
        };
        let host = (header::HOST, "fold.example:8080");
        assert!(from(std::slice::from_ref(&host)), "no page at all");
        assert!(from(&[host.clone(), (header::ORIGIN, "https://fold.example:8080")]));
        assert!(!from(&[host.clone(), (header::ORIGIN, "https://fold.example")]), "another port");
        assert!(!from(&[host.clone(), (header::ORIGIN, "https://fold.example:8080.evil.example")]));
        assert!(!from(&[host.clone(), (header::ORIGIN, "null")]), "a sandboxed page");
        assert!(!from(&[(header::ORIGIN, "https://fold.example")]), "no host to compare with");
        assert!(from(&[host, (header::ORIGIN, "https://evil.example"), (header::AUTHORIZATION, "Bearer x")]));
    }
}
