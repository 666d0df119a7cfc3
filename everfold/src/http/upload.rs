//! Files that people give as answers. The address of a file is all that anybody needs to bring or to fetch its bytes:
//! a connected program fetches them without any identity.

use std::{io, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use engine::file::Uploading;
use http_body_util::{
    BodyExt,
    channel::{Channel, Sender},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rules::{file::File, limits::FILE_PIECE_BYTES, refusal::Refusal};
use tokio::time::timeout;

use super::{Site, identity::Caller, problem::Problem, request, wire};

/// Files that are read at once, each with a piece or two in memory.
pub const DOWNLOADS_MAX: usize = 64;
/// The longest that a piece of a file may take to come: it holds a place meanwhile.
pub const PIECE_TIMEOUT: Duration = Duration::from_secs(60);
/// What a reader is handed at once, and the longest that it may take to want more.
const CHUNK_BYTES: usize = 64 << 10;
const CHUNK_TIMEOUT: Duration = Duration::from_secs(30);
/// Chunks on their way to a reader.
const UNDER_WAY_MAX: usize = 2;
/// Should a browser open it after all, it is nobody's page and runs nothing.
const POLICY: &str = "sandbox; default-src 'none'";
/// What RFC 8187 lets stand in a name.
const IN_NAMES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `POST /api/uploads`
pub async fn announce(State(site): State<Site>, Caller(caller): Caller, body: wire::Body) -> Result<Response, Problem> {
    let wire::NewUpload { name, kind, size } = wire::body_of(&body)?;
    let id = site.engine.announce_file(caller, name, &kind, size).await?;
    let url = format!("{}/api/uploads/{}", site.outside.origin, wire::request_id(id));
    Ok((StatusCode::CREATED, Json(wire::UploadMade { upload_url: url.clone(), download_url: url })).into_response())
}

/// `PUT /api/uploads/ID`
pub async fn put(
    State(site): State<Site>,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<Json<wire::Done>, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let taken = async {
        let mut uploading = site.engine.begin_upload(id_of(&id)?, announced).await?;
        take(&mut body, &mut uploading).await?;
        tokio::spawn(uploading.finish()).await.map_err(|_| Refusal::FAULT)?
    };
    if let Err(refusal) = taken.await {
        request::discard(body);
        return Err(refusal.into());
    }
    Ok(Json(wire::Done {}))
}

async fn take(body: &mut Body, uploading: &mut Uploading) -> Result<(), Refusal> {
    let mut rest = Bytes::new();
    loop {
        let piece = timeout(PIECE_TIMEOUT, gather(body, &mut rest)).await.unwrap_or(Err(Refusal::BODY_UNREADABLE))?;
        let is_last = piece.len() < FILE_PIECE_BYTES;
        if !piece.is_empty() {
            uploading.take(piece).await?;
        }
        if is_last {
            return Ok(());
        }
    }
}

/// A whole piece, or what there is at the end.
async fn gather(body: &mut Body, rest: &mut Bytes) -> Result<Vec<u8>, Refusal> {
    let mut piece = Vec::new();
    loop {
        let taken = rest.split_to(rest.len().min(FILE_PIECE_BYTES - piece.len()));
        piece.extend_from_slice(&taken);
        if piece.len() == FILE_PIECE_BYTES {
            return Ok(piece);
        }
        match body.frame().await {
            Some(frame) => *rest = frame.map_err(|_| Refusal::BODY_UNREADABLE)?.into_data().unwrap_or_default(),
            None => return Ok(piece),
        }
    }
}

/// `OPTIONS /api/uploads/ID`: a browser asks before its page brings a file. What it is told is the same for all.
pub async fn ask() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// `GET /api/uploads/ID`
pub async fn get(State(site): State<Site>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = id_of(&id)?;
    let file = site.engine.file(id).await?;
    let place = site.downloads.clone().try_acquire_owned().map_err(|_| Refusal::BUSY)?;
    let headers = [
        (header::CONTENT_TYPE, file.kind_shown().to_owned()),
        (header::CONTENT_LENGTH, file.bytes.to_string()),
        (header::CONTENT_DISPOSITION, disposition(&file)),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    let (mut chunks, body) = Channel::<Bytes, io::Error>::new(UNDER_WAY_MAX);
    tokio::spawn(async move {
        if let Err(error) = hand_out(&site, id, &file, &mut chunks).await {
            tracing::debug!(%error, "a file was not fetched to its end");
            // Cut off, so that nobody takes it for the whole.
            chunks.abort(error);
        }
        drop(place);
    });
    Ok((headers, Body::new(body)).into_response())
}

fn disposition(file: &File) -> String {
    format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(&file.name, IN_NAMES))
}

async fn hand_out(site: &Site, id: u128, file: &File, chunks: &mut Sender<Bytes, io::Error>) -> io::Result<()> {
    for index in 0..file.pieces() {
        let piece = site.engine.piece(id, index).await.map_err(|refusal| io::Error::other(refusal.detail))?;
        let mut piece = Bytes::from(piece);
        while !piece.is_empty() {
            let chunk = piece.split_to(piece.len().min(CHUNK_BYTES));
            let sent = timeout(CHUNK_TIMEOUT, chunks.send_data(chunk)).await;
            sent?.map_err(|_| io::Error::other("nobody takes it any more"))?;
        }
    }
    Ok(())
}

fn id_of(text: &str) -> Result<u128, Refusal> {
    wire::lane_of(text).map(|id| id.0).ok_or(Refusal::FILE_UNKNOWN)
}
