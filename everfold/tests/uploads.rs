//! Files that people give as answers: announced, brought once, fetched by whoever has their address.

mod harness;
#[allow(dead_code, reason = "the store's own tests use the rest of it")]
#[path = "../../store/tests/harness/s3.rs"]
mod s3;

use std::{io::Write, net::TcpStream};

use harness::{
    eventually,
    hook::Owner,
    http::{Ask, Connection, Reply},
    memory::Watch,
    server::{Server, everfold},
};
use serde_json::{Value, json};

const MIB: usize = 1 << 20;

/// A file on its way through a server.
struct File {
    address: String,
    path: String,
}

impl File {
    fn announced(owner: &Owner, size: usize) -> File {
        File::told(owner, &json!({"name": "tea.txt", "type": "text/plain", "size": size, "lastModified": 5}))
    }

    fn told(owner: &Owner, told: &Value) -> File {
        let made = owner.post("/api/uploads", told).expect(201).json();
        let origin = format!("http://{}", owner.address);
        let path =
            |name: &str| made[name].as_str().and_then(|url| url.strip_prefix(&origin)).expect("a URL").to_owned();
        assert_eq!(path("uploadUrl"), path("downloadUrl"));
        File { address: owner.address.clone(), path: path("uploadUrl") }
    }

    fn put(&self, bytes: impl Into<Vec<u8>>) -> Reply {
        Ask::new("PUT", &self.path).body("text/plain", bytes).send(&self.address)
    }

    fn get(&self) -> Reply {
        Ask::new("GET", &self.path).send(&self.address)
    }
}

/// Of which no two pieces are the same.
fn bytes(length: usize) -> Vec<u8> {
    (0..length.div_ceil(8) as u64).flat_map(|at| (at * 0x9e37_79b9_7f4a_7c15).to_le_bytes()).take(length).collect()
}

#[test]
fn a_file_comes_back_as_it_was_sent_whatever_its_size() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    for length in [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB] {
        let (file, bytes) = (File::announced(&owner, length), bytes(length));
        file.put(bytes.clone()).expect(200);
        let fetched = file.get().expect(200);
        assert!(fetched.body == bytes, "{length}");
        assert_eq!(fetched.header("content-length"), Some(length.to_string().as_str()));
    }
}

#[test]
fn the_largest_file_is_never_in_memory() {
    const LARGEST: usize = 64 * MIB;
    let server = Server::start();
    let owner = Owner::guest(&server);
    let most_mib = |length, times| {
        let (bytes, watch) = (bytes(length), Watch::over(server.id()));
        for _ in 0..times {
            let file = File::announced(&owner, length);
            file.put(bytes.clone()).expect(200);
            assert!(file.get().expect(200).body == bytes);
        }
        watch.most_mib()
    };
    // The store keeps the pages that it wrote last, whoever they are of.
    let (of_small, of_large) = (most_mib(MIB, 80), most_mib(LARGEST, 1));
    assert!(of_large < of_small + 24, "{of_large} MiB, and {of_small} of as many small ones");

    let told = json!({"name": "a", "type": "", "size": LARGEST + 1});
    owner.post("/api/uploads", &told).problem(413, "file_too_large");
}

#[test]
fn a_file_outlives_its_server() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start_on(data.path());
    let (file, bytes) = (File::announced(&Owner::guest(&server), 2 * MIB), bytes(2 * MIB));
    file.put(bytes.clone()).expect(200);
    drop(server);
    let server = Server::start_on(data.path());
    let file = File { address: server.address.clone(), ..file };
    assert!(file.get().expect(200).body == bytes);
    file.put(bytes).problem(409, "file_uploaded_already");
}

#[test]
fn a_file_is_brought_once() {
    let server = Server::start();
    let file = File::announced(&Owner::guest(&server), 3);
    file.put("tea").expect(200);
    file.put("tee").problem(409, "file_uploaded_already");
    file.put("too long").problem(409, "file_uploaded_already");
    assert_eq!(file.get().expect(200).text(), "tea");
}

#[test]
fn of_two_who_bring_a_file_at_once_one_does() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let (file, first) = eventually("the first has begun before the second", || {
        let file = File::announced(&owner, 3 * MIB);
        let head = format!("PUT {} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", file.path, 3 * MIB);
        let mut first = TcpStream::connect(&file.address).expect("the server listens");
        first.write_all(head.as_bytes()).expect("it is sent");
        first.write_all(&vec![b'a'; 2 * MIB]).expect("it is sent");
        (file.put(vec![b'b'; 3 * MIB]).status == 409).then_some((file, first))
    });
    file.get().problem(404, "file_unknown");
    // Its connection breaks: then another may, and nothing is left of the first.
    drop(first);
    eventually("the second may", || (file.put(vec![b'b'; 3 * MIB]).status == 200).then_some(()));
    assert!(file.get().expect(200).body == vec![b'b'; 3 * MIB]);
}

#[test]
fn a_file_of_another_size_than_announced_is_refused_and_may_be_brought_again() {
    let server = Server::start();
    let file = File::announced(&Owner::guest(&server), MIB + 3);
    for length in [0, 3, MIB, MIB + 2, MIB + 4, 3 * MIB] {
        file.put(bytes(length)).problem(400, "file_size_wrong");
    }
    for length in [MIB, MIB + 2, MIB + 4, 2 * MIB + 4] {
        let mut chunked =
            format!("PUT {} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", file.path).into_bytes();
        for chunk in bytes(length).chunks(60_000) {
            chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let mut connection = Connection::open(&file.address).expect("the server listens");
        connection.raw(&chunked).expect("a reply").problem(400, "file_size_wrong");
    }
    let promised = format!("PUT {} HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n", file.path);
    let mut connection = Connection::open(&file.address).expect("the server listens");
    connection.raw(promised.as_bytes()).expect("a reply at once").problem(400, "file_size_wrong");
    file.get().problem(404, "file_unknown");
    file.put(bytes(MIB + 3)).expect(200);
}

#[test]
fn whoever_has_the_address_fetches_a_file_and_nobody_else_finds_it() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let (one, other) = (File::announced(&owner, 3), File::announced(&owner, 3));
    one.get().problem(404, "file_unknown");
    one.put("tea").expect(200);
    assert_eq!(one.get().expect(200).text(), "tea");
    other.get().problem(404, "file_unknown");

    let id = one.path.rsplit('/').next().expect("an id").replace('-', "");
    assert!(id.len() == 32 && u128::from_str_radix(&id, 16).is_ok(), "128 bits: {id}");
    for id in ["0", "nobody", "00000000-0000-0000-0000-000000000000", &"0".repeat(5_000)] {
        let file = File { address: owner.address.clone(), path: format!("/api/uploads/{id}") };
        file.get().problem(404, "file_unknown");
        file.put("tea").problem(404, "file_unknown");
    }
    let told = json!({"name": "a", "type": "", "size": 1});
    Ask::new("POST", "/api/uploads").json(&told).send(&server.address).problem(401, "identity_missing");
}

#[test]
fn a_file_opens_in_no_browser_as_a_page_of_ours() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    let fetched = |name: &str, kind: &str| {
        let file = File::told(&owner, &json!({"name": name, "type": kind, "size": 3}));
        file.put("tea").expect(200);
        let fetched = file.get().expect(200);
        assert_eq!(fetched.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(fetched.header("content-security-policy"), Some("sandbox; default-src 'none'"));
        let disposition = fetched.header("content-disposition").expect("a disposition").to_owned();
        let name = disposition.strip_prefix("attachment; filename*=UTF-8''").expect("an attachment").to_owned();
        (fetched.header("content-type").expect("a type").to_owned(), name)
    };
    assert_eq!(fetched("a-b_c.html", "text/html"), ("text/html".into(), "a-b_c.html".into()));
    assert_eq!(fetched("é \"\r\n;/", ""), ("application/octet-stream".into(), "%C3%A9%20%22%0D%0A%3B%2F".into()));
    for runs in ["text/javascript", "Application/X-JavaScript; a=b", "text/ecmascript", "text/css", "text/jscript"] {
        assert_eq!(fetched("a.js", runs).0, "text/plain", "{runs}");
    }
}

#[test]
fn what_cannot_be_a_file_is_refused() {
    let server = Server::start();
    let owner = Owner::guest(&server);
    for (told, code) in [
        (json!({"name": "", "type": "", "size": 1}), "file_malformed"),
        (json!({"name": "a".repeat(1025), "type": "", "size": 1}), "file_malformed"),
        (json!({"name": "a", "type": "a".repeat(256), "size": 1}), "file_malformed"),
        (json!({"name": "a", "type": "text/é", "size": 1}), "file_malformed"),
        (json!({"name": "a", "type": "a\r\nb: c", "size": 1}), "file_malformed"),
        (json!({"name": "a", "type": "", "size": -1}), "body_malformed"),
        (json!({"name": "a", "type": ""}), "body_malformed"),
        (json!([]), "body_malformed"),
    ] {
        owner.post("/api/uploads", &told).problem(400, code);
    }
}

#[test]
fn a_page_of_another_origin_may_bring_and_fetch_a_file_whose_address_it_has() {
    let server = Server::start();
    let file = File::announced(&Owner::guest(&server), 3);
    let asked = Ask::new("OPTIONS", &file.path)
        .header("origin", "https://elsewhere.test")
        .header("access-control-request-method", "PUT")
        .send(&server.address)
        .expect(204);
    assert!(asked.header("access-control-allow-methods").is_some_and(|methods| methods.contains("PUT")));
    let put = Ask::new("PUT", &file.path).header("origin", "https://elsewhere.test").body("text/plain", "tea");
    assert_eq!(put.send(&server.address).expect(200).header("access-control-allow-origin"), Some("*"));
}

#[test]
fn files_lie_in_a_bucket_where_there_is_one_and_no_server_goes_on_without_it() {
    let (data, bucket) = (tempfile::tempdir().expect("a folder"), s3::S3::start());
    let with_bucket = || {
        let mut command = everfold();
        command.envs(bucket.environment()).env("EVERFOLD_BUCKET", "s3://bucket/everfold");
        command
    };
    let before = Server::start_on(data.path());
    let mut owner = Owner::guest(&before);
    let mut old = File::announced(&owner, MIB + 1);
    old.put(bytes(MIB + 1)).expect(200);
    drop(before);

    let server = Server::start_by(with_bucket(), data.path());
    owner.address = server.address.clone();
    old.address = server.address.clone();
    let mut new = File::announced(&owner, 3 * MIB - 1);
    assert_eq!(bucket.objects(), Vec::<std::path::PathBuf>::new());
    new.put(bytes(3 * MIB - 1)).expect(200);
    assert_eq!(
        bucket.objects().iter().map(|path| path.metadata().expect("is a file").len()).sum::<u64>(),
        3 * (1 << 20) - 1
    );
    assert!(new.get().expect(200).body == bytes(3 * MIB - 1));
    assert!(old.get().expect(200).body == bytes(MIB + 1), "one from before");
    drop(server);

    let refused = everfold().args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data.path()).output();
    let said = String::from_utf8_lossy(&refused.expect("everfold starts").stderr).into_owned();
    assert!(said.contains("lie in a bucket") && said.contains("EVERFOLD_BUCKET"), "{said}");
    let again = Server::start_by(with_bucket(), data.path());
    new.address = again.address.clone();
    assert!(new.get().expect(200).body == bytes(3 * MIB - 1));
}
