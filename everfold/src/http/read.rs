//! The state of a hook, now or as of any request.

use axum::{
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use engine::follow::{View, folded_through};
use rules::{
    access,
    call::{self, Json},
    record::Seq,
    refusal::Refusal,
};

use super::{Site, accept::Wanted, live, problem::Problem, state_page, wire};

/// The two parameters that are ours, and the rest for `query`.
#[derive(Debug, PartialEq, Eq)]
pub struct Parameters {
    pub at: Option<Seq>,
    pub after: Option<Seq>,
    pub rest: String,
}

impl Parameters {
    pub fn parse(query: &str) -> Result<Parameters, Problem> {
        let mut parameters = Parameters { at: None, after: None, rest: String::new() };
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let seq = || value.parse().map(Seq).map_err(|_| Problem(Refusal::PARAMETER_MALFORMED));
            match &*name {
                "at" => parameters.at = Some(seq()?),
                "after" => parameters.after = Some(seq()?),
                _ => {
                    rest.append_pair(&name, &value);
                }
            }
        }
        parameters.rest = rest.finish();
        Ok(parameters)
    }
}

/// `GET /read/KEY`
pub async fn read(
    State(site): State<Site>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let hook = access::read(site.engine.door(&key).await?)?;
    let parameters = Parameters::parse(query.as_deref().unwrap_or_default())?;
    let mut following = site.engine.follow(hook).await?;
    if let Some(after) = parameters.after {
        folded_through(site.engine.world(), &mut following, after).await.ok_or(Refusal::AFTER_NOT_YET)?;
        // It may have been paused meanwhile.
        access::read(site.engine.door(&key).await?)?;
    }
    let wanted = Wanted::of(&headers);
    let mut response = if wanted == Wanted::Stream {
        if parameters.at.is_some() {
            return Err(Refusal::PARAMETER_MALFORMED.because("?at names one state, and a stream has many.").into());
        }
        live::server_sent(&site, following, key, parameters.rest, &headers)
    } else {
        let view = following.borrow().clone();
        let (seq, state) = match parameters.at {
            Some(at) => (at, site.engine.state_at(&view, at).await?),
            None => (view.through(), view.state()),
        };
        let answer = answer(&site, &view, state, parameters.rest).await?;
        // The page shows JSON; whatever else a query answers, HTML of its own above all, is served as it is.
        let mut response = match answer.json().filter(|_| wanted == Wanted::Page) {
            Some(json) => state_page::of(json, seq, parameters.at.is_none()),
            None => answer.into_response(),
        };
        response.headers_mut().insert(wire::X_SEQ, seq.0.into());
        response
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

enum Answer {
    /// JSON text.
    State(Json),
    Query(call::Response),
}

impl Answer {
    fn json(&self) -> Option<&str> {
        match self {
            Answer::State(json) => Some(json),
            Answer::Query(response) => {
                let kind = response.headers.iter().find(|(name, _)| name == "content-type").map(|(_, kind)| kind);
                let is_json = kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json"));
                let is_plain = is_json && response.status == 200;
                let json = std::str::from_utf8(&response.body.0).ok().filter(|_| is_plain)?;
                // What says that it is JSON need not be.
                serde_json::from_str::<&serde_json::value::RawValue>(json).is_ok().then_some(json)
            }
        }
    }

    fn into_response(self) -> Response {
        match self {
            Answer::State(json) => wire::state(&json),
            Answer::Query(response) => wire::response(response),
        }
    }
}

async fn answer(site: &Site, view: &View, state: Option<Json>, params: String) -> Result<Answer, Problem> {
    Ok(match view.live.as_ref().filter(|live| live.exports.query) {
        Some(live) => Answer::Query(site.engine.query(view, live, state, params).await?),
        None => Answer::State(state.unwrap_or_else(|| "null".into())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_two_parameters_are_not_passed_to_query() {
        let parameters = Parameters::parse("a=1&at=7&b=%20x&after=9&a=2").unwrap();
        assert_eq!(parameters, Parameters { at: Some(Seq(7)), after: Some(Seq(9)), rest: "a=1&b=+x&a=2".into() });
        assert!(Parameters::parse("at=soon").is_err());
    }
}
