//! What an engine is told of a container: one word each, and nothing that others named begins one.

use std::{ffi::OsString, fs, io, os::unix::ffi::OsStrExt, os::unix::fs::OpenOptionsExt, path::Path};

use super::{Engine, Kind, LABEL, container::Folder};
use crate::{
    bounds::{
        CONTAINER_PROCESSORS, CONTAINER_VARIABLE_BYTES_MAX, SANDBOX_FILE_BYTES_MAX, SANDBOX_OPEN_FILES_MAX,
        SANDBOX_TASKS, SHARED_MEMORY_BYTES,
    },
    server::{
        launch::Image,
        sandbox::{Contents, ENVIRONMENT, SOCKET_FOLDER, SOCKET_NAME},
    },
};

/// Of the image alone: whoever else names it means the machine's.
const OF_THE_IMAGE: &str = "PATH";

pub fn run(
    engine: &Engine,
    image: &Image,
    contents: &Contents,
    name: &str,
    user: Option<u32>,
    folder: &Folder,
    hosts: &Path,
) -> io::Result<Vec<OsString>> {
    let (program, arguments) = contents.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let variables = folder.variables();
    fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&variables)
        .and_then(|mut file| io::Write::write_all(&mut file, written(contents, folder)?.as_bytes()))?;

    let mut words: Vec<String> = vec![
        "run".into(),
        format!("--name={name}"),
        format!("--label={LABEL}"),
        "--pull=never".into(),
        "--interactive".into(),
        "--log-driver=none".into(),
        "--no-healthcheck".into(),
        "--stop-timeout=0".into(),
        "--network=none".into(),
        "--ipc=private".into(),
        "--cgroupns=private".into(),
        "--hostname=function".into(),
        "--cap-drop=ALL".into(),
        "--security-opt=no-new-privileges".into(),
        "--read-only".into(),
    ];
    words.extend(engine.inmates.words(user));
    let memory = contents.memory_bytes;
    words.extend([
        format!("--memory={memory}"),
        // Memory and swap together.
        format!("--memory-swap={memory}"),
        format!("--pids-limit={}", contents.processes),
        format!("--cpus={CONTAINER_PROCESSORS}"),
        format!("--shm-size={SHARED_MEMORY_BYTES}"),
        "--ulimit=core=0:0".into(),
        format!("--ulimit=memlock={0}:{0}", 64 << 10),
        "--ulimit=msgqueue=0:0".into(),
        format!("--ulimit=fsize={SANDBOX_FILE_BYTES_MAX}:{SANDBOX_FILE_BYTES_MAX}"),
        format!("--ulimit=nofile={SANDBOX_OPEN_FILES_MAX}:{SANDBOX_OPEN_FILES_MAX}"),
    ]);
    if user.is_some() {
        // By user, and this one has nothing else.
        let most = contents.processes + SANDBOX_TASKS;
        words.push(format!("--ulimit=nproc={most}:{most}"));
    }
    let tmp = format!("--tmpfs=/tmp:rw,exec,nosuid,nodev,mode=1777,size={}", contents.tmp_bytes);
    match engine.kind {
        Kind::Podman => words.extend([
            format!("{tmp},notmpcopyup"),
            // What it would add by itself: folders that can be written without end, and variables of Everfold's.
            "--read-only-tmpfs=false".into(),
            "--image-volume=ignore".into(),
            "--http-proxy=false".into(),
            "--systemd=false".into(),
        ]),
        Kind::Docker => words.push(tmp),
    }
    words.push("--workdir=/function".into());
    let tree = if contents.is_tree_writable { "" } else { ",readonly" };
    words.extend([
        mount(contents.tree, "/function", tree)?,
        mount(contents.runtime, "/runtime", ",readonly")?,
        mount(hosts, "/etc/hosts", ",readonly")?,
    ]);
    if contents.is_server {
        words.push(mount(&folder.shown(), SOCKET_FOLDER, "")?);
    }
    for shown in contents.read_only {
        words.push(mount(shown, &plain(shown)?, ",readonly")?);
    }
    words.push(format!("--env-file={}", plain(&variables)?));
    words.push(format!("--entrypoint={program}"));
    // From here on no word is a flag of the engine's.
    words.push(image.name().into());
    words.extend(arguments.iter().cloned());
    if words.iter().any(|word| word.contains('\0')) {
        return Err(io::Error::other("a word of the command cannot be passed on"));
    }
    Ok(words.into_iter().map(OsString::from).collect())
}

fn mount(source: &Path, target: &str, more: &str) -> io::Result<String> {
    Ok(format!("--mount=type=bind,source={},target={target}{more}", plain(source)?))
}

/// A path that is one field among others that a comma parts.
fn plain(path: &Path) -> io::Result<String> {
    let is_plain = |byte: &u8| !byte.is_ascii_control() && !b",\"'`\\".contains(byte);
    match path.to_str() {
        Some(text) if path.is_absolute() && path.as_os_str().as_bytes().iter().all(is_plain) => Ok(text.to_owned()),
        _ => Err(io::Error::other(format!(
            "{path:?} cannot be shown to a container: its name has a comma, a quote or the like in it. Move it, or \
             Everfold's data, to a plain path."
        ))),
    }
}

/// Variables as engines read them from a file: in their arguments, everybody on the machine would see them.
fn written(contents: &Contents, folder: &Folder) -> io::Result<String> {
    let server = [
        ("EVERFOLD_SOCKET", format!("{SOCKET_FOLDER}/{SOCKET_NAME}")),
        ("EVERFOLD_LOGS", format!("{SOCKET_FOLDER}/{}", folder.logs_name())),
    ];
    let own = contents.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let server = server.iter().map(|(name, value)| (*name, value.as_str())).filter(|_| contents.is_server);
    let mut text = String::new();
    for (name, value) in ENVIRONMENT.into_iter().chain(own).chain(server).filter(|(name, _)| *name != OF_THE_IMAGE) {
        let is_name = |char: char| char.is_ascii_alphanumeric() || "_.-".contains(char);
        // A name alone would be taken from the client's environment, and some begin a comment.
        let is_named =
            name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_') && name.chars().all(is_name);
        if !is_named || value.contains(['\n', '\r', '\0']) {
            return Err(io::Error::other(format!(
                "The variable {name:?} cannot be passed to a container: engines take names of letters, digits and _, \
                 and values of one line. Encode it, as base64 say, or install the language on this machine."
            )));
        }
        if name.len() + 1 + value.len() > CONTAINER_VARIABLE_BYTES_MAX {
            return Err(io::Error::other(format!(
                "The variable {name:?} is longer than the {CONTAINER_VARIABLE_BYTES_MAX} bytes that a container takes."
            )));
        }
        text.extend([name, "=", value, "\n"]);
    }
    Ok(text)
}
