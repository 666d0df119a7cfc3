//! Against servers on this machine, which a list must name before anything goes there.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use super::*;

/// A server that answers every request with what `answer` makes of it, and knows what it was asked.
struct Served {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Served {
    fn new(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heard = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let request = request(&stream);
                let answer = answer(&request);
                heard.lock().expect("no panic").push(request);
                let _ = (&stream).write_all(&answer);
            }
        });
        Served { port, asked }
    }

    fn redirecting(status: u16, location: String) -> Served {
        Served::new(move |_| redirect(status, &location))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }

    fn url(&self) -> String {
        format!("http://{self}/")
    }

    fn allowed(&self) -> Egress {
        going(&self.to_string())
    }
}

impl std::fmt::Display for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "127.0.0.1:{}", self.port)
    }
}

/// Head and body; empty of a connection that was opened and left.
fn request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") && reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {}
    let head = text(&bytes);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    head + &text(&body)
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn redirect(status: u16, location: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

fn going(list: &str) -> Egress {
    Egress::new(Allowed::parse(list).expect("a list"))
}

fn get(url: impl Into<String>) -> Fetch {
    Fetch { url: url.into(), method: "GET".into(), headers: Vec::new(), body: Vec::new() }
}

fn post(url: impl Into<String>, headers: &[(&str, &str)]) -> Fetch {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Fetch { method: "post".into(), headers, body: b"a=1".into(), ..get(url) }
}

/// The answers of a resolver, one after the other.
struct Changing(Mutex<VecDeque<Vec<IpAddr>>>);

impl Resolver for Changing {
    fn resolve(&self, _: String) -> Pending<io::Result<Vec<IpAddr>>> {
        let next = self.0.lock().expect("no panic").pop_front();
        Box::pin(async { next.ok_or_else(|| io::Error::other("asked once too often")) })
    }
}

fn resolving(list: &str, answers: &[&[&str]]) -> Egress {
    let answers = answers.iter().map(|answer| answer.iter().map(|ip| ip.parse().expect("an address")).collect());
    let resolver = Changing(Mutex::new(answers.collect()));
    Egress::over(Allowed::parse(list).expect("a list"), Box::new(resolver), RootCertStore::empty())
}

async fn refused(egress: &Egress, asked: Fetch, kind: FetchFailure) -> String {
    let failed = egress.fetch(asked).await.expect_err("it is refused");
    assert_eq!(failed.kind, kind, "{failed}");
    failed.message
}

#[tokio::test]
async fn what_is_asked_arrives_and_what_is_answered_comes_back() {
    let served = Served::new(|_| {
        b"HTTP/1.1 418 Short and stout\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-name: \xe9\r\n\r\n\0tea".to_vec()
    });
    let own =
        [("X-Name", "é"), ("Host", "evil"), ("Connection", "upgrade"), ("Content-Length", "9"), ("TE", "trailers")];
    let asked = post(format!("{}tea?pot=1&b=%20#lid", served.url()), &own);
    let fetched = served.allowed().fetch(asked).await.expect("an answer");
    assert_eq!(
        fetched,
        Fetched {
            url: format!("{}tea?pot=1&b=%20", served.url()),
            status: 418,
            status_text: "Short and stout".into(),
            headers: [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-name", "é")]
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            body: b"\0tea".into(),
            redirected: false,
        }
    );
    let expected = format!(
        "POST /tea?pot=1&b=%20 HTTP/1.1\r\nx-name: é\r\nuser-agent: {USER_AGENT}\r\naccept: */*\r\nhost: {served}\r\n\
         accept-encoding: identity\r\nconnection: close\r\ncontent-length: 3\r\n\r\na=1"
    );
    assert_eq!(served.asked(), [expected]);
}

#[tokio::test]
async fn a_private_address_is_refused_however_it_is_written() {
    let served = Served::new(|_| ok("secret"));
    let other = Served::new(|_| ok("allowed"));
    let egress = going(&format!("*,{other}"));
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "2130706433",
        "127。0。0。1",
        "0",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
    ] {
        let message = refused(&egress, get(format!("http://{host}:{}/", served.port)), FetchFailure::Forbidden).await;
        assert!(message.contains("is not public"), "{message}");
        refused(&egress, get(format!("https://{host}:{}/", served.port)), FetchFailure::Forbidden).await;
    }
    assert_eq!(served.asked(), [""; 0], "nobody so much as connects");
    assert_eq!(egress.fetch(get(other.url())).await.expect("it is named").body, b"allowed");
}

#[tokio::test]
async fn a_host_that_the_list_does_not_name_is_refused_before_it_is_looked_up() {
    let egress = resolving("api.example.com", &[]);
    let message = refused(&egress, get("https://example.com/"), FetchFailure::Forbidden).await;
    assert!(message.starts_with("example.com:443 may not be fetched from"), "{message}");
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused() {
    let inside = Served::new(|_| ok("secret"));
    for location in [inside.url(), format!("http://localhost:{}/", inside.port), format!("//{inside}/")] {
        let outside = Served::redirecting(302, location);
        let egress = going(&format!("*,{outside}"));
        refused(&egress, get(outside.url()), FetchFailure::Forbidden).await;
        assert_eq!(outside.asked().len(), 1);
    }
    for location in ["file:///etc/passwd", "ftp://example.com/", "http://me:secret@example.com/"] {
        let outside = Served::redirecting(302, location.into());
        refused(&outside.allowed(), get(outside.url()), FetchFailure::Forbidden).await;
    }
    assert_eq!(inside.asked(), [""; 0]);
}

#[tokio::test]
async fn the_address_that_is_connected_to_is_the_one_that_was_checked() {
    let served = Served::new(|_| ok("the first"));
    let url = format!("http://rebinding.test:{}/", served.port);
    // Were the name resolved once more to connect, there would be no answer left.
    let egress = resolving(&format!("rebinding.test:{}", served.port), &[&["127.0.0.1"]]);
    assert_eq!(egress.fetch(get(&url)).await.expect("an answer").body, b"the first");

    let target = Target::of(&url.parse().expect("a URL")).expect("it is http");
    let egress = resolving("*", &[&["127.0.0.1", "9.9.9.9", "10.0.0.1", "::1"], &["9.9.9.9"], &["127.0.0.1"]]);
    let public: SocketAddr = ([9, 9, 9, 9], served.port).into();
    assert_eq!(egress.way.checked(&target).await.expect("one is public"), [public], "the others are not tried");
    assert_eq!(egress.way.checked(&target).await.expect("it is public"), [public]);
    let failed = egress.way.checked(&target).await.expect_err("each connection is checked");
    assert_eq!(failed.kind, FetchFailure::Forbidden);
    assert_eq!(served.asked().len(), 1);
}

#[tokio::test]
async fn each_redirect_is_resolved_and_checked_anew() {
    let served =
        Served::new(|request| if request.starts_with("GET /again ") { ok("no") } else { redirect(307, "/again") });
    let url = format!("http://rebinding.test:{}/", served.port);
    let egress = resolving(&format!("rebinding.test:{}", served.port), &[&["127.0.0.1"], &[]]);
    refused(&egress, get(url), FetchFailure::Unreachable).await;
    assert_eq!(served.asked().len(), 1);
}

#[tokio::test]
async fn what_is_not_http_is_not_fetched() {
    let egress = going("*");
    for url in ["ftp://example.com/", "file:///etc/passwd", "data:,a", "gopher://127.0.0.1:1/", "ws://example.com/"] {
        let message = refused(&egress, get(url), FetchFailure::Forbidden).await;
        assert!(message.starts_with("fetch speaks http and https, not "), "{message}");
    }
    for url in ["http://user@example.com/", "http://:secret@example.com/"] {
        refused(&egress, get(url), FetchFailure::Forbidden).await;
    }
    for url in ["", "/path", "http://", "http://a b/", "http://[::1/"] {
        refused(&egress, get(url), FetchFailure::Malformed).await;
    }
    for method in ["CONNECT", "trace", "", "GET /"] {
        refused(&egress, Fetch { method: method.into(), ..get("http://a.test/") }, FetchFailure::Malformed).await;
    }
    for (name, value) in [("a b", ""), ("", ""), ("a", "b\r\nc: d"), ("a", "☃")] {
        refused(&egress, post("http://a.test/", &[(name, value)]), FetchFailure::Malformed).await;
    }
}

#[tokio::test]
async fn an_answer_larger_than_the_limit_is_refused_and_one_as_large_is_not() {
    for (is_told, bytes, is_kept) in [
        (true, FETCH_BODY_BYTES_MAX, true),
        (true, FETCH_BODY_BYTES_MAX + 1, false),
        (false, FETCH_BODY_BYTES_MAX, true),
        (false, FETCH_BODY_BYTES_MAX + 1, false),
    ] {
        let length = if is_told { format!("content-length: {bytes}\r\n") } else { String::new() };
        let served =
            Served::new(move |_| [format!("HTTP/1.1 200 OK\r\n{length}\r\n").into_bytes(), vec![b'a'; bytes]].concat());
        let fetched = served.allowed().fetch(get(served.url())).await;
        match fetched {
            Ok(fetched) => assert!(is_kept && fetched.body.len() == bytes, "{is_told} {bytes}"),
            Err(failed) => assert!(!is_kept && failed.kind == FetchFailure::TooLarge, "{is_told} {bytes}: {failed}"),
        }
    }
    // Told alone: nothing of it is waited for.
    let served = Served::new(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec());
    refused(&served.allowed(), get(served.url()), FetchFailure::TooLarge).await;
    let served = Served::new(|_| format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "a".repeat(70 << 10)).into_bytes());
    refused(&served.allowed(), get(served.url()), FetchFailure::TooLarge).await;
}

#[tokio::test]
async fn a_request_larger_than_the_limits_is_not_sent() {
    let served = Served::new(|_| ok(""));
    let egress = served.allowed();
    let body = |bytes| Fetch { method: "PUT".into(), body: vec![b'a'; bytes], ..get(served.url()) };
    egress.fetch(body(FETCH_SENT_BYTES_MAX)).await.expect("it fits");
    refused(&egress, body(FETCH_SENT_BYTES_MAX + 1), FetchFailure::TooLarge).await;
    let long = "a".repeat(FETCH_HEADER_BYTES_MAX);
    refused(&egress, post(served.url(), &[("a", &long)]), FetchFailure::TooLarge).await;
    refused(&egress, get(served.url() + &long), FetchFailure::TooLarge).await;
    assert_eq!(served.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_failure() {
    for answer in ["", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", "HTTP/1.1 200"] {
        let served = Served::new(move |_| answer.into());
        refused(&served.allowed(), get(served.url()), FetchFailure::Broken).await;
    }
    let free = TcpListener::bind("127.0.0.1:0").expect("a port is free").local_addr().expect("it is bound");
    let message = refused(&going(&free.to_string()), get(format!("http://{free}/")), FetchFailure::Unreachable).await;
    assert_eq!(message, format!("{free} cannot be reached: connection refused"));
    refused(&resolving("*", &[]), get("http://nowhere.test/"), FetchFailure::Unreachable).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_in_time_is_left() {
    for begun in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nslow"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("somebody comes");
            tokio::io::AsyncWriteExt::write_all(&mut stream, begun.as_bytes()).await.expect("it is sent");
            std::future::pending::<()>().await;
            drop(stream);
        });
        let since = tokio::time::Instant::now();
        refused(&going(&address.to_string()), get(format!("http://{address}/")), FetchFailure::TimedOut).await;
        assert_eq!(since.elapsed().as_millis(), u128::from(FETCH_MS_MAX), "{begun:?}");
        served.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn whose_turn_does_not_come_is_told_so() {
    let egress = resolving("*", &[]);
    let turns = egress.turns.clone().acquire_many_owned(FETCHES_MAX as u32).await.expect("all of them");
    let waiting = egress.fetch(get("http://a.test/"));
    let others: Vec<_> = (1..FETCHES_MAX + FETCHES_WAITING_MAX).map(|_| egress.fetch(get("http://a.test/"))).collect();
    let since = tokio::time::Instant::now();
    refused(&egress, get("http://a.test/"), FetchFailure::Busy).await;
    assert_eq!(since.elapsed(), Duration::ZERO, "there is no place to wait at");
    assert_eq!(waiting.await.expect_err("no turn").kind, FetchFailure::Busy);
    drop((turns, others));
    refused(&egress, get("http://a.test/"), FetchFailure::Unreachable).await;
}

#[tokio::test]
async fn a_redirect_leaves_behind_what_is_not_for_the_next() {
    let last = Served::new(|_| ok("here"));
    let first = Served::redirecting(302, last.url());
    let egress = going(&format!("{first},{last}"));
    let headers =
        [("Authorization", "Bearer secret"), ("Cookie", "a=secret"), ("Content-Type", "text/plain"), ("X-A", "1")];
    let fetched = egress.fetch(post(first.url(), &headers)).await.expect("an answer");
    assert_eq!((fetched.url, fetched.redirected, fetched.body.as_slice()), (last.url(), true, b"here".as_slice()));
    let [asked] = &last.asked()[..] else { panic!("once") };
    assert!(asked.starts_with("GET / HTTP/1.1\r\nx-a: 1\r\n") && asked.ends_with("\r\n\r\n"), "{asked}");
    for word in ["secret", "content-", "a=1"] {
        assert!(!asked.contains(word), "{word}: {asked}");
    }

    let own = Served::new(|request| if request.starts_with("POST /b ") { ok("") } else { redirect(308, "b#c") });
    let fetched = own.allowed().fetch(post(own.url(), &headers)).await.expect("an answer");
    assert_eq!(fetched.url, format!("{}b", own.url()));
    let asked = &own.asked()[1];
    for word in ["authorization: Bearer secret", "cookie: a=secret", "content-type", "content-length: 3", "\r\n\r\na=1"]
    {
        assert!(asked.contains(word), "{word}: {asked}");
    }
}

#[tokio::test]
async fn redirects_come_to_an_end() {
    let counted = |request: &str| request.split(['/', ' ']).nth(2).and_then(|digits| digits.parse::<usize>().ok());
    let served = |last: usize| {
        Served::new(move |request| match counted(request) {
            Some(at) if at < last => redirect(307, &format!("/{}", at + 1)),
            _ => ok("the end"),
        })
    };
    let enough = served(FETCH_REDIRECTS_MAX);
    let fetched = enough.allowed().fetch(get(enough.url() + "0")).await.expect("an answer");
    assert_eq!(fetched.body, b"the end");
    let more = served(FETCH_REDIRECTS_MAX + 1);
    refused(&more.allowed(), get(more.url() + "0"), FetchFailure::Broken).await;
    assert_eq!(more.asked().len(), FETCH_REDIRECTS_MAX + 1);
    let nowhere = Served::new(|_| b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n".to_vec());
    let fetched = nowhere.allowed().fetch(get(nowhere.url())).await.expect("it is an answer like any other");
    assert_eq!((fetched.status, fetched.redirected), (302, false));
}

/// A server that speaks TLS as shop.test, and the root that vouches for it. The key opens nothing but this test.
fn shop() -> (u16, RootCertStore) {
    use tokio_rustls::rustls::{
        ServerConfig, ServerConnection, StreamOwned,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    };
    const PEM: &[u8] = include_bytes!("shop.test.pem");
    let certificate = CertificateDer::from_pem_slice(PEM).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(PEM).expect("a key");
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("it is one");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a key for it");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tls = ServerConnection::new(Arc::new(config.clone())).expect("a server");
            let mut tls = StreamOwned::new(tls, stream);
            let mut head = [0; 1024];
            if tls.read(&mut head).is_ok() {
                let _ = tls.write_all(&ok("in secret"));
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    (port, roots)
}

#[tokio::test]
async fn https_is_spoken_with_whom_a_certificate_vouches_for_and_with_nobody_else() {
    let (port, roots) = shop();
    let list = format!("shop.test:{port},other.test:{port}");
    let at_home = || Box::new(Changing(Mutex::new(VecDeque::from([vec![IpAddr::from([127, 0, 0, 1])]]))));
    let egress = |roots| Egress::over(Allowed::parse(&list).expect("a list"), at_home(), roots);
    let url = format!("https://shop.test:{port}/");
    let fetched = egress(roots.clone()).fetch(get(&url)).await.expect("an answer");
    assert_eq!(fetched.body, b"in secret");

    let message = refused(&egress(RootCertStore::empty()), get(&url), FetchFailure::Unreachable).await;
    assert!(message.contains("cannot be trusted"), "{message}");
    let message = refused(&egress(roots), get(format!("https://other.test:{port}/")), FetchFailure::Unreachable).await;
    assert!(message.contains("cannot be trusted"), "{message}");
}
