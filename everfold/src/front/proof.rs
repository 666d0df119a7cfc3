//! How nodes know each other.

use std::net::IpAddr;

use axum::body::Body;
use hyper::{
    Request,
    header::{HeaderName, HeaderValue},
};

/// From one node to another: that it is one, and for whom it asks. In an answer: that it must be asked of another.
pub const NODE: HeaderName = HeaderName::from_static("everfold-node");
/// In place of a client.
const ITSELF: &str = "itself";

/// By which the nodes of one database know each other: what only who has its key can say.
#[derive(Clone)]
pub struct Proof(pub blake3::Hash);

/// A request that another node makes of its own, for none of its clients.
#[derive(Clone, Copy)]
pub struct OfNode;

impl Proof {
    pub fn of(&self, asker: Option<IpAddr>) -> HeaderValue {
        let asker = asker.map_or(ITSELF.to_owned(), |peer| peer.to_string());
        let value = format!("{} {asker}", self.0.to_hex());
        let mut value = HeaderValue::try_from(value).expect("an address and digits are a header");
        value.set_sensitive(true);
        value
    }

    /// For which client another node asks, or for none; then nothing of it is left in the request.
    pub fn asker(&self, request: &mut Request<Body>) -> Option<Option<IpAddr>> {
        let (proof, asker) = request.headers().get(NODE)?.to_str().ok()?.split_once(' ')?;
        // `blake3::Hash` compares in constant time.
        let is_proven = blake3::Hash::from_hex(proof).is_ok_and(|proof| proof == self.0);
        let asker = if asker == ITSELF { None } else { Some(asker.parse().ok()?) };
        if is_proven {
            request.headers_mut().remove(NODE);
        }
        is_proven.then_some(asker)
    }
}
