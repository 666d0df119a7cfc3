//! Where user code may go with `fetch`: which hosts, which addresses, what follows a redirect.
//!
//! A name says nothing of where it leads, so a name is allowed first, and then each address that it resolves to.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The hosts that the operator of a server allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed(Vec<Pattern>);

/// One of them: `*`, `api.example.com`, `*.example.com`, each with `:port` or for every port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    host: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    Any,
    /// Every name that ends so: `.example.com`.
    Below(String),
    One(String),
}

/// How far away, or rather how near, the address of an allowed host may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Public,
    /// Its operator named the host with its port, and knows where that is.
    Anywhere,
}

impl Reach {
    pub fn admits(self, address: IpAddr) -> bool {
        self == Reach::Anywhere || is_public(address)
    }
}

impl Allowed {
    /// Every host with a public address.
    pub fn public() -> Allowed {
        Allowed(Vec::from([Pattern { host: Hosts::Any, port: None }]))
    }

    /// A list with commas. An empty one allows nothing.
    ///
    /// # Errors
    /// Names the pattern that is none, and says how one is written.
    pub fn parse(list: &str) -> Result<Allowed, String> {
        let patterns = list.split(',').map(str::trim).filter(|pattern| !pattern.is_empty());
        patterns.map(Pattern::parse).collect::<Result<_, _>>().map(Allowed)
    }

    /// Whether every host is allowed at every port, if it has a public address.
    pub fn is_public(&self) -> bool {
        self.0.contains(&Pattern { host: Hosts::Any, port: None })
    }

    /// The addresses among them that were named with their ports: where nothing is known of names, these alone count.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().filter_map(|pattern| match (&pattern.host, pattern.port) {
            (Hosts::One(host), Some(port)) => Some(SocketAddr::new(host.parse().ok()?, port)),
            _ => None,
        })
    }

    /// `host` is as URLs have it: in lower case, an address in its shortest form and without brackets.
    pub fn reach(&self, host: &str, port: u16) -> Option<Reach> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let of_host = self.0.iter().filter(|pattern| pattern.holds(host, port));
        of_host.map(Pattern::reach).max_by_key(|reach| *reach == Reach::Anywhere)
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, String> {
        let malformed = |why| format!("{text:?} {why}");
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port = match port.map(str::parse) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return Err(malformed("has no port behind its colon; an IPv6 address stands in brackets")),
        };
        let host = match host.strip_prefix('*') {
            Some("") => Hosts::Any,
            Some(below) if below.strip_prefix('.').is_some_and(is_name) => Hosts::Below(below.to_ascii_lowercase()),
            Some(_) => {
                return Err(malformed("has a star that is not the whole of its first part, as in *.example.com"));
            }
            None => match address(host) {
                Some(address) if port.is_none() && !is_public(address) => {
                    return Err(malformed("is not public: name its port, too, and it is allowed"));
                }
                Some(address) => Hosts::One(address.to_string()),
                None if is_name(host) => Hosts::One(host.to_ascii_lowercase()),
                None => return Err(malformed("is not a host; write example.com, *.example.com, host:port or *")),
            },
        };
        Ok(Pattern { host, port })
    }

    fn holds(&self, host: &str, port: u16) -> bool {
        let is_host = match &self.host {
            Hosts::Any => true,
            Hosts::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Hosts::One(one) => host == one,
        };
        is_host && self.port.is_none_or(|own| own == port)
    }

    fn reach(&self) -> Reach {
        match (&self.host, self.port) {
            (Hosts::One(_), Some(_)) => Reach::Anywhere,
            _ => Reach::Public,
        }
    }
}

fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inside) => inside.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

/// In ASCII: a name in other letters is known by its `xn--` form, which is what URLs have. One of digits alone would be
/// read as an address.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether an address belongs to the internet, not to this machine, its network, its provider or nobody.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<A> {
    pub first: A,
    pub bits: u8,
}

const fn v4(first: [u8; 4], bits: u8) -> Range<Ipv4Addr> {
    let [a, b, c, d] = first;
    Range { first: Ipv4Addr::new(a, b, c, d), bits }
}

const fn v6(first: [u16; 2], bits: u8) -> Range<Ipv6Addr> {
    let [a, b] = first;
    Range { first: Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), bits }
}

impl Range<Ipv4Addr> {
    fn holds(self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.first.to_bits()).leading_zeros() >= u32::from(self.bits)
    }

    /// As a network without IPv4 writes it.
    pub fn by_nat64(self) -> Range<Ipv6Addr> {
        let first = Ipv6Addr::from_bits(NAT64.first.to_bits() | u128::from(self.first.to_bits()));
        Range { first, bits: NAT64.bits + self.bits }
    }
}

impl Range<Ipv6Addr> {
    fn holds(self, address: Ipv6Addr) -> bool {
        (address.to_bits() ^ self.first.to_bits()).leading_zeros() >= u32::from(self.bits)
    }
}

/// By IANA's registry of special addresses.
pub const NOT_PUBLIC_V4: [Range<Ipv4Addr>; 16] = [
    // "This network", private, shared by a provider's customers, this machine, this link, private, private.
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    // For protocols, for documentation, for relays of 6to4, for benchmarks.
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([198, 18, 0, 0], 15),
    // Multicast, reserved (broadcast is the last of these).
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
    // In no registry: what Azure tells its machines of themselves.
    v4([168, 63, 129, 16], 32),
];

/// Of IPv6 only what was given out is public,
pub const PUBLIC_V6: Range<Ipv6Addr> = v6([0x2000, 0], 3);
/// but for protocols (Teredo, benchmarks, ORCHID), for documentation, 6to4, for documentation again;
pub const NOT_PUBLIC_V6: [Range<Ipv6Addr>; 4] =
    [v6([0x2001, 0], 23), v6([0x2001, 0xdb8], 32), v6([0x2002, 0], 16), v6([0x3fff, 0], 20)];
/// and where DNS of a network without IPv4 puts every IPv4 address: of these, those that are public.
pub const NAT64: Range<Ipv6Addr> = v6([0x64, 0xff9b], 96);

fn is_public_v4(address: Ipv4Addr) -> bool {
    !NOT_PUBLIC_V4.iter().any(|range| range.holds(address))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    if NAT64.holds(address) {
        return is_public_v4(Ipv4Addr::from_bits(address.to_bits() as u32));
    }
    PUBLIC_V6.holds(address) && !NOT_PUBLIC_V6.iter().any(|range| range.holds(address))
}

/// As fetch writes it: the usual methods in capitals. None where it would open a tunnel or show what was sent.
pub fn method(method: &str) -> Option<String> {
    const USUAL: [&str; 6] = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];
    const FORBIDDEN: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];
    let is = |other: &&&str| other.eq_ignore_ascii_case(method);
    if FORBIDDEN.iter().any(|forbidden| is(&forbidden)) {
        return None;
    }
    Some((*USUAL.iter().find(is).unwrap_or(&method)).to_owned())
}

/// The method that follows a redirect; none where the status is none. Another method leaves the body behind.
pub fn method_behind(status: u16, method: &str) -> Option<&str> {
    match status {
        301 | 302 if method == "POST" => Some("GET"),
        303 if method != "HEAD" => Some("GET"),
        301 | 302 | 303 | 307 | 308 => Some(method),
        _ => None,
    }
}

/// Headers that belong to the connection, which is the server's own. `name` is in lower case, here and below.
pub fn is_of_connection(name: &str) -> bool {
    const OWN: [&str; 11] = [
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    ];
    OWN.contains(&name) || name.starts_with("proxy-")
}

/// Headers that tell who asks: another origin must not see them.
pub fn is_of_origin(name: &str) -> bool {
    matches!(name, "authorization" | "cookie")
}

/// Headers that describe a body and go where it goes.
pub fn is_of_body(name: &str) -> bool {
    matches!(name, "content-encoding" | "content-language" | "content-location" | "content-type")
}
