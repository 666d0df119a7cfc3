//! Where a call comes from: its network address, its site, and how much one address may begin in an hour.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, OnceLock},
};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rules::{
    record::{At, LaneId},
    refusal::Refusal,
};

use super::{Site, problem::Problem};

const HOUR_MS: u64 = 60 * 60 * 1000;
/// Network addresses that are remembered. More than this within an hour share what is left.
const ADDRESSES_MAX: usize = 100_000;
const X_FORWARDED_FOR: &str = "x-forwarded-for";
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The other end of the connection; the server puts it into every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// What the server knows of its own place in the network.
pub struct Outside {
    /// How people reach it: `https://everfold.example`.
    pub origin: String,
    /// A proxy stands in front, and says where calls come from.
    pub is_behind_proxy: bool,
    /// `None` on a developer's own machine.
    pub allowance: Option<Allowance>,
    /// Whose `everfold dev` this is, once that is known.
    pub developer: Arc<OnceLock<LaneId>>,
}

impl Outside {
    /// 0 is no bound.
    pub fn guests_per_hour(&self) -> u32 {
        self.allowance.as_ref().map_or(0, |allowance| allowance.per_hour)
    }

    /// The developer, when the call is made on the developer's own machine: under its own name, because what another
    /// site's page is told to take for this machine has that site's, and by no proxy.
    pub fn developer(&self, visitor: Visitor, headers: &HeaderMap) -> Option<LaneId> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let is_own_name = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
        let is_passed_on = headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(header::FORWARDED);
        let is_here = visitor.is_of_this_machine() && is_own_name && !is_passed_on;
        self.developer.get().copied().filter(|_| is_here)
    }

    /// Counts something that anybody may begin without being known.
    pub fn begin(&self, visitor: Visitor, at: At) -> Result<(), Refusal> {
        self.allowance.as_ref().map_or(Ok(()), |allowance| allowance.take(visitor.0, at))
    }
}

/// The network address that a call comes from.
#[derive(Clone, Copy, Debug)]
pub struct Visitor(IpAddr);

impl Visitor {
    pub fn is_of_this_machine(self) -> bool {
        self.0.to_canonical().is_loopback()
    }
}

impl FromRequestParts<Site> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
        let named = site.outside.is_behind_proxy.then(|| forwarded(&parts.headers)).flatten();
        Ok(Visitor(named.or(peer).unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED))))
    }
}

/// What the nearest proxy wrote: the last entry. Those before it are its client's own words.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(X_FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

/// So many an hour for each network address.
pub struct Allowance {
    per_hour: u32,
    taken: Mutex<HashMap<IpAddr, Taken>>,
}

#[derive(Clone, Copy)]
struct Taken {
    since: At,
    count: u32,
}

impl Allowance {
    pub fn new(per_hour: u32) -> Allowance {
        Allowance { per_hour, taken: Mutex::default() }
    }

    fn take(&self, address: IpAddr, at: At) -> Result<(), Refusal> {
        let is_over = |taken: &Taken| at.0 >= taken.since.0 + HOUR_MS;
        let mut all = self.taken.lock().expect("no thread panics while it holds this");
        let mut address = network(address);
        if all.len() >= ADDRESSES_MAX && !all.contains_key(&address) {
            all.retain(|_, taken| !is_over(taken));
            if all.len() >= ADDRESSES_MAX {
                address = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        let taken = all.entry(address).or_insert(Taken { since: at, count: 0 });
        if is_over(taken) {
            *taken = Taken { since: at, count: 0 };
        }
        if taken.count >= self.per_hour {
            let left_ms = (taken.since.0 + HOUR_MS).saturating_sub(at.0);
            return Err(Refusal { retry_after_s: Some(left_ms.div_ceil(1000) as u32), ..Refusal::BEGUN_TOO_OFTEN });
        }
        taken.count += 1;
        Ok(())
    }
}

/// Who has one IPv6 address has the 2^64 beside it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

/// A page of another site may neither act with this browser's cookie nor give it one. Who sends the identity itself
/// has it from somewhere else than the browser's own memory, and is no such page.
pub async fn same_origin(State(site): State<Site>, request: Request, next: Next) -> Response {
    let is_change = !request.method().is_safe();
    let shows_identity = request.headers().contains_key(header::AUTHORIZATION);
    if is_change && !shows_identity && is_foreign(request.headers(), &site.outside.origin) {
        return Problem(Refusal::ORIGIN_FOREIGN).into_response();
    }
    next.run(request).await
}

/// Browsers say where a call comes from; what says nothing is no browser, and has no cookie of one.
pub fn is_foreign(headers: &HeaderMap, own: &str) -> bool {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    if let Some(site) = text(SEC_FETCH_SITE) {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let Ok(origin) = origin.to_str() else { return true };
    let host = origin.split_once("://").map(|(_, host)| host);
    origin != own && (host.is_none() || host != text("host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_so_many_for_each_network() {
        let allowance = Allowance::new(2);
        let take = |address: &str, at| allowance.take(address.parse().unwrap(), At(at)).map_err(|r| r.retry_after_s);
        assert_eq!([take("10.0.0.1", 0), take("10.0.0.1", 1), take("10.0.0.2", 1)], [Ok(()); 3]);
        assert_eq!(take("10.0.0.1", HOUR_MS - 1_500), Err(Some(2)));
        assert_eq!(take("::ffff:10.0.0.1", 2), Err(Some(3_600)), "the same address, written otherwise");
        assert_eq!(take("10.0.0.1", HOUR_MS), Ok(()));
        assert_eq!([take("2001:db8::1", 0), take("2001:db8::2", 0)], [Ok(()); 2]);
        assert!(take("2001:db8::3", 0).is_err(), "one holder has the whole network");
        assert_eq!(take("2001:db8:0:1::1", 0), Ok(()));
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_memory_than_is_allowed() {
        let allowance = Allowance::new(1);
        for number in 0..ADDRESSES_MAX as u32 {
            allowance.take(IpAddr::from(number.to_be_bytes()), At(0)).unwrap();
        }
        let late = |last: u8, at| allowance.take(IpAddr::from([255, 255, 255, last]), At(at)).is_ok();
        assert_eq!([late(1, 0), late(2, 0), late(2, HOUR_MS)], [true, false, true]);
        assert_eq!(allowance.taken.lock().unwrap().len(), 1, "those of an hour ago are forgotten");
    }

    #[test]
    fn only_a_browser_on_the_developers_own_machine_is_the_developers() {
        let developer = Arc::new(OnceLock::from(LaneId(7)));
        let outside = Outside { origin: String::new(), is_behind_proxy: false, allowance: None, developer };
        let asked = |address: &str, pairs: &[(&'static str, &'static str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            outside.developer(Visitor(address.parse().unwrap()), &headers).is_some()
        };
        assert!(asked("127.0.0.1", &[("host", "localhost:8080")]) && asked("::1", &[("host", "[::1]:8080")]));
        assert!(!asked("127.0.0.1", &[("host", "evil.example:8080")]), "a name that was bent to this machine");
        assert!(!asked("127.0.0.1", &[]) && !asked("10.0.0.1", &[("host", "127.0.0.1:8080")]));
        assert!(!asked("127.0.0.1", &[("host", "localhost"), ("x-forwarded-for", "10.0.0.1")]), "a tunnel");
    }

    #[test]
    fn browsers_tell_where_a_call_comes_from() {
        let foreign = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            is_foreign(&headers, "https://everfold.example")
        };
        assert!(!foreign(&[]), "a program");
        assert!(!foreign(&[("sec-fetch-site", "same-origin"), ("origin", "http://a"), ("host", "b")]), "a dev proxy");
        assert!(!foreign(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]));
        assert!(!foreign(&[("origin", "https://everfold.example"), ("host", "10.0.0.1:8080")]), "behind a proxy");
        assert!(foreign(&[("sec-fetch-site", "same-site"), ("origin", "http://localhost:3000")]));
        assert!(foreign(&[("sec-fetch-site", "cross-site")]));
        assert!(foreign(&[("origin", "http://127.0.0.1:3000"), ("host", "127.0.0.1:8080")]));
        assert!(foreign(&[("origin", "null"), ("host", "127.0.0.1:8080")]));
    }
}
