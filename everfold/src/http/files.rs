//! Files that a function is made of, served by Everfold itself: clean addresses, one page for all, a page for what is
//! not there.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::channel::Channel;
use hyper::body::Bytes;
use percent_encoding::percent_decode_str;
use rules::refusal::Refusal;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::problem::Problem;

/// What a function may set, as the contract names it.
const FALLBACK: &str = "OPEN_RUNTIMES_STATIC_FALLBACK";
const CACHE: &str = "OPEN_RUNTIMES_CACHE_HEADER";
const CACHE_USUAL: &str = "public, max-age=0, must-revalidate";
const NOT_FOUND: &str = "404.html";
/// What a reader is handed at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A file of a tree, found.
struct Found {
    file: File,
    name: PathBuf,
    bytes: u64,
}

pub fn serve(
    tree: &Path,
    variables: &[(String, String)],
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return Problem(Refusal::METHOD_UNKNOWN.because("These are files: they are fetched.")).into_response();
    }
    let Ok(root) = rustix::fs::open(tree, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) else {
        return Problem(Refusal::PATH_UNKNOWN).into_response();
    };
    let variable = |name: &str| variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let path = path.split('?').next().unwrap_or_default();
    let fallback = variable(FALLBACK).and_then(|name| open(&root, Path::new(name)));
    let found = names(path).and_then(|names| names.iter().find_map(|name| open(&root, name)));
    let (status, found) = match found.or(fallback) {
        Some(found) => (StatusCode::OK, found),
        None => match open(&root, Path::new(NOT_FOUND)) {
            Some(found) => (StatusCode::NOT_FOUND, found),
            None => return Problem(Refusal::PATH_UNKNOWN).into_response(),
        },
    };
    // A tree is known by what is in it, and never changes.
    let tag = format!("\"{}-{}\"", tree.file_name().unwrap_or_default().to_string_lossy(), found.bytes);
    let kind = mime_guess::from_path(&found.name).first_or_octet_stream();
    let kind = match (kind.type_().as_str(), kind.subtype().as_str()) {
        ("text", _) | (_, "javascript" | "json") => format!("{}; charset=utf-8", kind.essence_str()),
        _ => kind.essence_str().to_owned(),
    };
    let told = [
        (header::CACHE_CONTROL, HeaderValue::from_str(variable(CACHE).unwrap_or(CACHE_USUAL)).ok()),
        (header::ETAG, HeaderValue::from_str(&tag).ok()),
        (header::CONTENT_TYPE, HeaderValue::from_str(&kind).ok()),
    ];
    let told: HeaderMap = told.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    let is_known = known.flat_map(|tags| tags.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag);
    if is_known && status == StatusCode::OK {
        return (StatusCode::NOT_MODIFIED, told).into_response();
    }
    let length = [(header::CONTENT_LENGTH, HeaderValue::from(found.bytes))];
    let body = if method == Method::HEAD { Body::empty() } else { streamed(found) };
    (status, told, length, body).into_response()
}

/// The files that a path may mean, the likeliest first. `None`: it means none of them.
fn names(path: &str) -> Option<Vec<PathBuf>> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let steps: Vec<&str> = decoded.split('/').filter(|step| !step.is_empty()).collect();
    // What begins with a dot is for whoever builds, not for whoever reads.
    let is_hidden = |step: &&str| step.starts_with('.') && *step != ".well-known";
    if steps.iter().any(|step| is_hidden(step) || step.contains(['\0', '\\'])) {
        return None;
    }
    let plain: PathBuf = steps.iter().collect();
    let index = plain.join("index.html");
    if steps.is_empty() || decoded.ends_with('/') {
        return Some(vec![index]);
    }
    let page = plain.with_file_name(format!("{}.html", steps.last().copied().unwrap_or_default()));
    Some(vec![plain, page, index])
}

/// Of the tree alone, whatever its links say.
fn open(root: &OwnedFd, name: &Path) -> Option<Found> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat2(root, name, flags, Mode::empty(), resolve).ok()?);
    let found = file.metadata().ok().filter(|found| found.is_file())?;
    Some(Found { file, name: name.to_owned(), bytes: found.len() })
}

fn streamed(mut found: Found) -> Body {
    let (mut chunks, body) = Channel::<Bytes, io::Error>::new(2);
    tokio::spawn(async move {
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let mut chunk = vec![0; CHUNK_BYTES];
                let bytes = found.file.read(&mut chunk)?;
                chunk.truncate(bytes);
                Ok::<_, io::Error>((found, chunk))
            });
            match read.await {
                Ok(Ok((back, chunk))) if !chunk.is_empty() => {
                    found = back;
                    if chunks.send_data(chunk.into()).await.is_err() {
                        return;
                    }
                }
                Ok(Ok(_)) => return,
                Ok(Err(error)) => return chunks.abort(error),
                Err(_) => return chunks.abort(io::ErrorKind::Other.into()),
            }
        }
    });
    Body::new(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(path: &str) -> Option<Vec<String>> {
        names(path).map(|names| names.iter().map(|name| name.display().to_string()).collect())
    }

    #[test]
    fn a_path_means_a_file_a_page_or_a_folders_page_and_nothing_hidden() {
        let some = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(meant("/"), some(&["index.html"]));
        assert_eq!(meant("/about"), some(&["about", "about.html", "about/index.html"]));
        assert_eq!(meant("/a/b/"), some(&["a/b/index.html"]));
        assert_eq!(meant("/a%20b.txt"), some(&["a b.txt", "a b.txt.html", "a b.txt/index.html"]));
        assert_eq!(meant("/.well-known/x"), some(&[".well-known/x", ".well-known/x.html", ".well-known/x/index.html"]));
        for hidden in ["/.env", "/.git/config", "/a/../b", "/%2e%2e/b", "/a/.env.local", "/%ff"] {
            assert_eq!(meant(hidden), None, "{hidden}");
        }
    }

    #[test]
    fn no_link_leads_out_of_a_tree() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("secret"), "secret").expect("a file");
        let tree = folder.path().join("tree");
        std::fs::create_dir(&tree).expect("a folder");
        std::fs::write(tree.join("page.html"), "page").expect("a file");
        for (link, to) in
            [("out", "../secret"), ("far", "/etc/passwd"), ("in", "page.html"), ("proc", "/proc/self/exe")]
        {
            std::os::unix::fs::symlink(to, tree.join(link)).expect("a link");
        }
        let status = |path: &str| serve(&tree, &[], &Method::GET, path, &HeaderMap::new()).status();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let _inside = runtime.enter();
        assert_eq!((status("/page"), status("/in")), (StatusCode::OK, StatusCode::OK));
        for path in ["/out", "/far", "/proc"] {
            assert_eq!(status(path), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
