//! A folder that becomes a function: what language it is in, what else it says of itself, and how it is sent.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Failure,
    client::{Client, expect, parse},
    functions::{self, Deployment, Function},
    logs, say,
};

/// What the folder says of itself, if it does: the keys of the API.
const SETTINGS: &str = "function.json";
/// What is made from the rest, or is nobody's business.
const NOT_SENT: [&str; 6] = [".git", ".env", "node_modules", "target", "__pycache__", ".DS_Store"];
/// Where one file would do for several languages.
const PREFERRED: [&str; 1] = ["node"];
const BOUNDARY: &str = "everfold-2a6c1f0e9d7b4c35";

#[derive(Deserialize)]
struct Runtimes {
    objects: Vec<Runtime>,
}

#[derive(Deserialize)]
struct Runtime {
    name: String,
    entrypoint: String,
}

/// Whether a folder is one, as far as its files tell.
pub fn is_function(dir: &Path) -> bool {
    const ENTRYPOINTS: [&str; 11] = [
        SETTINGS,
        "index.js",
        "main.py",
        "index.php",
        "main.rb",
        "main.go",
        "src/main.rs",
        "Main.java",
        "Main.kt",
        "index.html",
        "package.json",
    ];
    ENTRYPOINTS.iter().any(|name| dir.join(name).is_file())
}

/// Makes the function of this name where there is none, sends the folder, and follows its build.
pub fn deploy(client: &Client, name: &str, dir: &Path, publish: bool) -> Result<(), Failure> {
    deploy_packed(client, name, dir, &packed(dir)?, publish)
}

/// The same of a folder that was read just now.
pub fn deploy_packed(client: &Client, name: &str, dir: &Path, code: &[u8], publish: bool) -> Result<(), Failure> {
    let mut settings = settings(dir)?;
    let known = functions::all(client)?.into_iter().find(|function| function.name == name);
    let function = match known {
        Some(function) => {
            if !settings.is_empty() {
                client.put(&format!("/api/functions/{}", function.id), Value::Object(settings))?;
            }
            function
        }
        None => {
            settings.insert("name".into(), name.into());
            if !settings.contains_key("runtime") {
                settings.insert("runtime".into(), runtime_of(client, dir)?.into());
            }
            let function: Function = client.post("/api/functions", Value::Object(settings))?;
            say(format_args!("{name}: new, {}", function.runtime))?;
            function
        }
    };
    let deployment = send(client, &function, code, publish)?;
    if deployment.status == "ready" {
        say(format_args!("{name}: unchanged, nothing to build"))?;
    } else if logs::show_build(client, &function, &deployment.id)? != "ready" {
        let failed = functions::deployments(client, &function)?.into_iter().find(|one| one.id == deployment.id);
        let why = failed.and_then(|failed| failed.error).unwrap_or_else(|| "It was cancelled.".into());
        return Err(Failure::new(format!("{name}: {}", why.lines().next().unwrap_or_default()))
            .hint("what answered before answers still; mend the code, and deploy it again"));
    }
    match publish {
        true => say(format_args!("{name}: live at {}", function.url)),
        false => say(format_args!(
            "{name}: built, and not live; 'everfold rollback {name} {}' or --publish makes it answer",
            deployment.short()
        )),
    }
}

fn settings(dir: &Path) -> Result<Map<String, Value>, Failure> {
    let path = dir.join(SETTINGS);
    if !path.is_file() {
        return Ok(Map::new());
    }
    serde_json::from_slice(&fs::read(&path)?).map_err(|error| {
        Failure::new(format!("{} is not understood: {error}.", path.display()))
            .hint("it holds what POST /api/functions takes: {\"runtime\": \"node\", \"limits\": {\"timeoutMs\": 5000}}")
    })
}

fn runtime_of(client: &Client, dir: &Path) -> Result<String, Failure> {
    let mut runtimes = client.get::<Runtimes>("/api/runtimes")?.objects;
    runtimes.sort_by_key(|runtime| !PREFERRED.contains(&runtime.name.as_str()));
    let found = runtimes.iter().find(|runtime| dir.join(&runtime.entrypoint).is_file());
    let entrypoints: BTreeMap<_, _> = runtimes.iter().map(|one| (one.entrypoint.as_str(), one.name.as_str())).collect();
    let names: Vec<_> = entrypoints.iter().map(|(file, name)| format!("{file} ({name})")).collect();
    found.map(|runtime| runtime.name.clone()).ok_or_else(|| {
        Failure::new(format!("What language {} is in cannot be seen.", dir.display()))
            .hint(format!("name it in {SETTINGS}: {{\"runtime\": \"node\"}}; or have one of {}", names.join(", ")))
    })
}

/// The same bytes from the same files, so that what did not change is not built again.
pub fn packed(dir: &Path) -> Result<Vec<u8>, Failure> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    archive.mode(tar::HeaderMode::Deterministic);
    archive.follow_symlinks(false);
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let mut names = fs::read_dir(dir.join(&folder))?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<Vec<_>, io::Error>>()?;
        names.sort();
        for name in names.into_iter().filter(|name| !NOT_SENT.iter().any(|not| OsStr::new(not) == name)) {
            let path = folder.join(name);
            match fs::symlink_metadata(dir.join(&path))?.is_dir() {
                true => folders.push(path),
                false => archive.append_path_with_name(dir.join(&path), &path)?,
            }
        }
    }
    Ok(archive.into_inner()?.finish()?)
}

fn send(client: &Client, function: &Function, code: &[u8], activate: bool) -> Result<Deployment, Failure> {
    let mut form = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"activate\"\r\n\r\n{activate}\r\n--{BOUNDARY}\r\n\
         content-disposition: form-data; name=\"code\"; filename=\"code.tar.gz\"\r\ncontent-type: application/gzip\r\n\r\n"
    )
    .into_bytes();
    form.extend_from_slice(code);
    form.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let headers = [
        ("content-type".to_owned(), format!("multipart/form-data; boundary={BOUNDARY}")),
        ("authorization".to_owned(), format!("Bearer {}", client.identity())),
    ];
    let path = format!("/api/functions/{}/deployments", function.id);
    parse(&expect(client.send("POST", &path, &headers, &form)?)?.body)
}
