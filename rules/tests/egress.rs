//! Where user code may go, and where not.

use std::net::IpAddr;

use rules::egress::{self, Allowed, Reach};

fn allowed(list: &str) -> Allowed {
    Allowed::parse(list).expect("a list")
}

#[test]
fn an_address_that_is_not_of_the_internet_is_not_public() {
    let near = "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.9.9.9
        168.63.129.16 169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1
        192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255
        240.0.0.1 255.255.255.255
        :: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.1.2.3 ::ffff:169.254.169.254 ::ffff:0:8.8.8.8
        64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::10.0.0.1 64:ff9b:1::808:808 64:ff9b:0:1::8.8.8.8 100::1 2001::1
        2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:1ff:ffff::1 2001:db8::1
        2002:7f00:1::1 2002:808:808::1 3fff::1 3fff:fff:ffff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1
        ff02::1 ffff::1";
    for address in near.split_whitespace() {
        let address: IpAddr = address.parse().expect("an address");
        assert!(!egress::is_public(address), "{address}");
        assert!(!Reach::Public.admits(address) && Reach::Anywhere.admits(address), "{address}");
    }
    let far = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1
        168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.1 192.167.255.255
        192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 ::ffff:8.8.8.8 64:ff9b::808:808 2001:200::1
        2001:4860:4860::8888 2001:db7::1 2001:db9::1 2003::1 2606:4700::1111 2a00::1 3ffe::1 3fff:1000::1";
    for address in far.split_whitespace() {
        let address: IpAddr = address.parse().expect("an address");
        assert!(egress::is_public(address), "{address}");
    }
}

#[test]
fn a_list_tells_the_addresses_that_it_names_with_their_ports() {
    let list = allowed("*:443,api.stripe.com:443,1.1.1.1,10.1.2.3:5432,[FD12::1]:53,*.example.com:80");
    let addresses: Vec<_> = list.addresses().map(|address| address.to_string()).collect();
    assert_eq!(addresses, ["10.1.2.3:5432", "[fd12::1]:53"]);
    assert!(!list.is_public() && !allowed("").is_public() && allowed("10.1.2.3:1,*").is_public());
}

#[test]
fn a_list_allows_the_hosts_that_it_names_and_no_others() {
    let list = allowed("api.stripe.com, *.Example.com ,build.internal:8080,*.cdn.net:443,[::1]:9000,127.0.0.1:9000");
    for (host, port, reach) in [
        ("api.stripe.com", 443, Some(Reach::Public)),
        ("api.stripe.com.", 8443, Some(Reach::Public)),
        ("stripe.com", 443, None),
        ("evil-api.stripe.com", 443, None),
        ("api.stripe.com.evil.net", 443, None),
        ("a.example.com", 80, Some(Reach::Public)),
        ("a.b.example.com", 80, Some(Reach::Public)),
        ("example.com", 80, None),
        (".example.com", 80, None),
        ("evilexample.com", 80, None),
        ("x.cdn.net", 443, Some(Reach::Public)),
        ("x.cdn.net", 80, None),
        ("build.internal", 8080, Some(Reach::Anywhere)),
        ("build.internal", 80, None),
        ("::1", 9000, Some(Reach::Anywhere)),
        ("127.0.0.1", 9000, Some(Reach::Anywhere)),
        ("127.0.0.1", 9001, None),
        ("127.0.0.2", 9000, None),
        ("::ffff:127.0.0.1", 9000, None),
    ] {
        assert_eq!(list.reach(host, port), reach, "{host}:{port}");
    }
}

#[test]
fn a_private_host_that_is_named_with_its_port_is_allowed_beside_every_public_one() {
    for list in ["*,127.0.0.1:9000", "127.0.0.1:9000,*"] {
        let list = allowed(list);
        assert_eq!(list.reach("127.0.0.1", 9000), Some(Reach::Anywhere));
        assert_eq!(list.reach("127.0.0.1", 9001), Some(Reach::Public));
        assert_eq!(list.reach("example.com", 443), Some(Reach::Public));
    }
    assert_eq!(allowed("*"), Allowed::public());
    assert_eq!(allowed("*:443").reach("localhost", 443), Some(Reach::Public));
}

#[test]
fn an_empty_list_allows_nothing() {
    for list in ["", " ", ","] {
        assert_eq!(allowed(list).reach("example.com", 443), None);
    }
}

#[test]
fn a_pattern_that_means_nothing_is_refused_with_what_is_wrong() {
    let why = |list| Allowed::parse(list).expect_err("no pattern");
    for (list, word) in [
        ("a.com,*b.com", "\"*b.com\" has a star"),
        ("b*.com", "not a host"),
        ("*.", "star"),
        ("example.com:", "port"),
        ("example.com:0", "port"),
        ("example.com:65536", "port"),
        ("::1", "port"),
        ("https://example.com", "port"),
        ("example.com/path", "not a host"),
        ("bücher.de", "not a host"),
        ("127.1", "not a host"),
        ("2130706433", "not a host"),
        ("127.0.0.1", "not public"),
        ("[fd00::1]", "not public"),
        ("user@example.com", "not a host"),
    ] {
        assert!(why(list).contains(word), "{list}: {}", why(list));
    }
}

#[test]
fn a_redirect_keeps_its_method_but_where_fetch_makes_a_get_of_it() {
    for (status, method, next) in [
        (200, "GET", None),
        (304, "GET", None),
        (300, "GET", None),
        (301, "GET", Some("GET")),
        (301, "POST", Some("GET")),
        (302, "POST", Some("GET")),
        (302, "PUT", Some("PUT")),
        (303, "PUT", Some("GET")),
        (303, "HEAD", Some("HEAD")),
        (307, "POST", Some("POST")),
        (308, "DELETE", Some("DELETE")),
    ] {
        assert_eq!(egress::method_behind(status, method), next, "{status} {method}");
    }
}

#[test]
fn methods_are_written_as_fetch_writes_them() {
    for (given, sent) in
        [("get", Some("GET")), ("Post", Some("POST")), ("patch", Some("patch")), ("PATCH", Some("PATCH"))]
    {
        assert_eq!(egress::method(given).as_deref(), sent);
    }
    for forbidden in ["CONNECT", "trace", "Track"] {
        assert_eq!(egress::method(forbidden), None);
    }
}
