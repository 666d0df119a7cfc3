//! Pages, for who looks at them.

use axum::{
    Json,
    extract::{Path, RawQuery, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::HeaderMap,
    response::Response,
};
use engine::page::Page;
use futures_util::{Stream, stream};
use rules::refusal::Refusal;
use serde_json::{Map, Value};

use super::{
    Site, events,
    identity::{Caller, Identity},
    problem::Problem,
    run, socket, wire,
};

/// `GET /page-events?slug=SLUG&params=JSON`: a page as its code shows it, for as long as somebody looks.
pub async fn page_events(
    State(site): State<Site>,
    Identity { account, .. }: Identity,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    if !events::is_of_this_site(&headers, &site.outside.origin) {
        return Err(Refusal::ORIGIN_FOREIGN.into());
    }
    let query = query.unwrap_or_default();
    let value = |wanted: &str| {
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    let slug = value("slug").ok_or(Refusal::ACTION_UNKNOWN)?;
    let params: Map<String, Value> = match value("params") {
        Some(params) => serde_json::from_str(&params)
            .map_err(|_| Refusal::PARAMETER_MALFORMED.because("?params takes a JSON object."))?,
        None => Map::new(),
    };
    let context = run::context(&site, &account, "page", &slug, params, None);
    // Nothing is opened for who cannot look.
    let upgrade = Ok(upgrade.map_err(|_| Refusal::NOT_WEBSOCKET)?);
    let hosted = site.engine.hosted_actions(&account).await?.into_iter().find(|action| action.slug == slug);
    let page = match hosted.filter(|action| action.declared.is_page) {
        Some(page) => {
            run::keep_pace(&site, &account)?;
            site.engine.open_hosted_page(account.lane, page, context)?
        }
        None => site.engine.open_page(account.lane, &slug, context)?,
    };
    socket::tell(&site, upgrade, frames(page), events::gone(site.clone(), headers))
}

/// `POST /api/pages/KEY/state`
pub async fn state(
    State(site): State<Site>,
    Caller(caller): Caller,
    Path(key): Path<String>,
    body: wire::Body,
) -> Result<Json<wire::Done>, Problem> {
    let wire::NewPageState { values } = wire::body_of(&body)?;
    site.engine.state_page(caller, &key, values).await?;
    Ok(Json(wire::Done {}))
}

fn frames(page: Page) -> impl Stream<Item = String> + Send {
    stream::unfold((page, true), |(mut page, is_first)| async move {
        if !is_first {
            if page.shown.borrow().is_over {
                return None;
            }
            page.shown.changed().await.ok()?;
        }
        let shown = page.shown.borrow_and_update().clone();
        let event = wire::PageEvent::of(&page.key, &shown);
        Some((serde_json::to_string(&event).expect("a frame is plain data"), (page, false)))
    })
}
