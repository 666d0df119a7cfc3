//! What the nodes of one database ask of each other. Nobody else is answered.

use axum::{
    body::Bytes,
    extract::{FromRequestParts, Path, State},
    http::request::Parts,
};
use rules::{record::LaneId, refusal::Refusal};

use super::{Problem, Site};
use crate::front::OfNode;

impl FromRequestParts<Site> for OfNode {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Site) -> Result<OfNode, Problem> {
        parts.extensions.get().copied().ok_or(Problem(Refusal::PATH_UNKNOWN))
    }
}

/// `POST /node/LANE`
pub async fn ask(
    State(site): State<Site>,
    _: OfNode,
    Path(lane): Path<String>,
    body: Bytes,
) -> Result<Vec<u8>, Problem> {
    let lane = u128::from_str_radix(&lane, 16).map_err(|_| Refusal::PATH_UNKNOWN)?;
    let asked = postcard::from_bytes(&body).map_err(|_| Refusal::FAULT)?;
    let told = site.engine.asked(LaneId(lane), asked).await?;
    Ok(postcard::to_allocvec(&told).expect("plain data always serialises"))
}
