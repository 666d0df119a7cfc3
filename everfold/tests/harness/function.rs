//! A function as its owner and its callers use it, over HTTP alone.

use std::{io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::{
    eventually, eventually_within,
    hook::Owner,
    http::{Ask, Reply},
};

pub struct Function {
    pub owner: Owner,
    pub id: String,
    pub slug: String,
}

/// Long enough for a compiler on a busy machine.
const BUILT_WITHIN: std::time::Duration = std::time::Duration::from_secs(150);

impl Function {
    pub fn make(owner: &Owner, asked: &Value) -> Function {
        let made = owner.post("/api/functions", asked).expect(201).json();
        let text = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        Function { owner: owner.clone(), id: text("id"), slug: text("slug") }
    }

    /// In JavaScript, of one file, with nothing to build, and answering.
    pub fn node(owner: &Owner, name: &str, code: &str) -> Function {
        Function::node_with(owner, &json!({"name": name, "runtime": "node"}), code)
    }

    pub fn node_with(owner: &Owner, asked: &Value, code: &str) -> Function {
        let function = Function::make(owner, asked);
        function.deploy(&[("index.js", code)]);
        function
    }

    pub fn api(&self, rest: &str) -> String {
        format!("/api/functions/{}{rest}", self.id)
    }

    pub fn send(&self, code: &[u8], activate: bool) -> Reply {
        self.owner
            .ask(form(&self.api("/deployments"), &[("activate", activate.to_string().as_bytes()), ("code", code)]))
    }

    /// Sends files, waits until they are built, and gives the deployment.
    pub fn deploy(&self, files: &[(&str, &str)]) -> Value {
        let sent = self.send(&packed(files), true).expect(201).json();
        let built = self.built(&sent);
        assert_eq!(built["status"], "ready", "{built}");
        built
    }

    pub fn built(&self, deployment: &Value) -> Value {
        eventually_within(BUILT_WITHIN, "a deployment is built", || {
            let now = self.deployment(deployment);
            (!matches!(now["status"].as_str(), Some("waiting" | "building"))).then_some(now)
        })
    }

    pub fn deployment(&self, deployment: &Value) -> Value {
        let id = deployment["id"].as_str().expect("a deployment has an id");
        self.owner.get(&self.api(&format!("/deployments/{id}"))).expect(200).json()
    }

    pub fn activate(&self, deployment: &Value) -> Reply {
        let id = deployment["id"].as_str().expect("a deployment has an id");
        self.owner.post(&self.api(&format!("/deployments/{id}/activate")), &json!({}))
    }

    /// As whoever knows the address calls it.
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(method, format!("/f/{}{path}", self.slug))
    }

    pub fn call(&self, path: &str) -> Reply {
        self.ask("GET", path).send(&self.owner.address)
    }

    pub fn set(&self, change: &Value) {
        self.owner.put(&self.api(""), change).expect(200);
    }

    pub fn executions(&self) -> Vec<Value> {
        self.owner.get(&self.api("/executions")).expect(200).json()["objects"].as_array().expect("a list").clone()
    }

    /// The last one of this path, whole, once it is kept: behind the reply.
    pub fn kept(&self, path: &str) -> Value {
        let id = eventually("a call is kept", || {
            self.executions().iter().find(|one| one["path"] == path).map(|one| one["id"].as_str().unwrap().to_owned())
        });
        self.owner.get(&self.api(&format!("/executions/{id}"))).expect(200).json()
    }
}

/// A tar.gz of these files.
pub fn packed(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content.as_bytes()).expect("a file is appended");
    }
    archive.into_inner().expect("an archive").finish().expect("it is gzipped")
}

/// A tar.gz of a folder.
pub fn packed_folder(folder: &Path) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    archive.append_dir_all("", folder).expect("a folder is appended");
    archive.into_inner().expect("an archive").finish().expect("it is gzipped")
}

/// A tar.gz with one entry that no well-meaning program makes.
pub fn hostile(name: &str, kind: tar::EntryType, link: Option<&str>) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_mode(0o644);
    header.set_entry_type(kind);
    // Past the crate's own checks.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    if let Some(link) = link {
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    }
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(&[0; 1024]);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&bytes).expect("it is gzipped");
    gzip.finish().expect("it is gzipped")
}

pub fn form(path: &str, fields: &[(&str, &[u8])]) -> Ask {
    const BOUNDARY: &str = "everfold-test-boundary";
    let mut body = Vec::new();
    for (name, value) in fields {
        let file = if *name == "code" { "; filename=\"code\"" } else { "" };
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    Ask::new("POST", path).body(&format!("multipart/form-data; boundary={BOUNDARY}"), body)
}
