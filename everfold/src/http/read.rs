//! The state of a hook, now or as of any request.

use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use engine::follow::{View, folded_through};
use rules::{access, call::Json, record::Seq, refusal::Refusal};

use super::{Site, problem::Problem, wire};

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
) -> Result<Response, Problem> {
    let hook = access::read(site.engine.door(&key).await?)?;
    let parameters = Parameters::parse(query.as_deref().unwrap_or_default())?;
    let mut following = site.engine.follow(hook).await?;
    if let Some(after) = parameters.after {
        folded_through(site.engine.world(), &mut following, after).await.ok_or(Refusal::AFTER_NOT_YET)?;
    }
    let view = following.borrow().clone();
    let (seq, state) = match parameters.at {
        Some(at) => (at, site.engine.state_at(&view, at).await?),
        None => (view.through(), view.state()),
    };
    answer(&site, &view, seq, state, parameters.rest).await
}

async fn answer(site: &Site, view: &View, seq: Seq, state: Option<Json>, params: String) -> Result<Response, Problem> {
    match view.live.as_ref().filter(|live| live.exports.query) {
        Some(live) => {
            let mut response = wire::response(site.engine.query(view, live, state, params).await?);
            response.headers_mut().insert(wire::X_SEQ, seq.0.into());
            Ok(response)
        }
        None => Ok(wire::state(state.as_deref(), seq)),
    }
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
