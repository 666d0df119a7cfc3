//! Which packets leave a sandbox, in the words of nftables. What is public is said in `rules::egress`.

use std::{
    fmt::Display,
    fs, io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use rules::egress::{NAT64, NOT_PUBLIC_V4, NOT_PUBLIC_V6, PUBLIC_V6, Range};

use super::Admitted;

/// The addresses of this machine, in the words of nftables.
pub struct Own {
    v4: Vec<String>,
    v6: Vec<String>,
}

/// All that the calling thread's network takes for its own. They may be public, but from the machine itself no firewall
/// stands before them.
pub fn own_addresses() -> io::Result<Own> {
    let v4 = fs::read_to_string("/proc/thread-self/net/fib_trie")?;
    // A kernel without IPv6 has no such file.
    let v6 = fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap_or_default();
    Ok(Own { v4: own_v4(&v4), v6: own_v6(&v6) })
}

/// `|-- 192.0.2.2`, and on a line below it `/32 host LOCAL`.
fn own_v4(trie: &str) -> Vec<String> {
    let mut address = "";
    let mut own = Vec::new();
    for line in trie.lines().map(str::trim) {
        if let Some(leaf) = line.strip_prefix("|-- ") {
            address = leaf;
        } else if let Some(bits) = line.strip_prefix('/').and_then(|line| line.strip_suffix(" host LOCAL")) {
            own.push(format!("{address}/{bits}"));
        }
    }
    own
}

/// Destination, its bits, …, flags, interface; all but the last in hexadecimal.
fn own_v6(routes: &str) -> Vec<String> {
    const LOCAL: u32 = 0x8000_0000;
    let own = routes.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [destination, bits, .., flags, _] = words[..] else { return None };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let address = Ipv6Addr::from_bits(u128::from_str_radix(destination, 16).ok()?);
        let bits = u8::from_str_radix(bits, 16).ok()?;
        (flags & LOCAL != 0).then(|| format!("{address}/{bits}"))
    });
    own.collect()
}

/// Nothing comes in but answers. What was named goes before all that is refused.
pub fn rules(own: &Own, admitted: &Admitted) -> String {
    let refused_v4 = elements(NOT_PUBLIC_V4.iter().map(written).chain(own.v4.iter().cloned()));
    let by_nat64 = NOT_PUBLIC_V4.iter().map(|range| written(&range.by_nat64()));
    let refused_v6 = elements(NOT_PUBLIC_V6.iter().map(written).chain(by_nat64).chain(own.v6.iter().cloned()));
    let named: String = admitted.addresses.iter().map(accepted).collect();
    let (v6, nat64) = (written(&PUBLIC_V6), written(&NAT64));
    let public = if admitted.is_public {
        format!("    meta nfproto ipv4 accept\n    ip6 daddr {{ {v6}, {nat64} }} accept\n")
    } else {
        String::new()
    };
    format!(
        "table inet everfold {{
  set refused_v4 {{ type ipv4_addr; flags interval; auto-merge; elements = {{ {refused_v4} }}; }}
  set refused_v6 {{ type ipv6_addr; flags interval; auto-merge; elements = {{ {refused_v6} }}; }}
  chain output {{
    type filter hook output priority 0; policy drop;
    oif lo accept
    ip daddr 10.0.2.3 meta l4proto {{ tcp, udp }} th dport 53 accept
    ip6 daddr fd00::3 meta l4proto {{ tcp, udp }} th dport 53 accept
    icmpv6 type {{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }} accept
{named}    ip daddr @refused_v4 goto refuse
    ip6 daddr @refused_v6 goto refuse
{public}    goto refuse
  }}
  # In no other way does a connection hear of it with its first packet.
  chain refuse {{
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }}
  chain input {{
    type filter hook input priority 0; policy drop;
    iif lo accept
    icmpv6 type {{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }} accept
    ct state established,related accept
  }}
}}
"
    )
}

fn accepted(address: &SocketAddr) -> String {
    let family = if address.is_ipv4() { "ip" } else { "ip6" };
    let (ip, port): (IpAddr, u16) = (address.ip(), address.port());
    format!("    {family} daddr {ip} meta l4proto {{ tcp, udp }} th dport {port} accept\n")
}

fn written(range: &Range<impl Display>) -> String {
    format!("{}/{}", range.first, range.bits)
}

fn elements(ranges: impl Iterator<Item = String>) -> String {
    ranges.collect::<Vec<_>>().join(", ")
}
