//! A hook as a stream of lines, out of this server or into it.

use std::io::{self, BufRead, BufReader, Read, Write};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use engine::transfer::{Arriving, Leaving};
use http_body_util::{BodyExt, channel::Channel};
use rules::{
    hook::Entry,
    record::{Hash, Position, Record},
    refusal::Refusal,
};
use tokio::sync::mpsc;

use super::{
    Site,
    hook::{Own, once},
    identity::Caller,
    problem::Problem,
    wire,
};

const FORMAT: u32 = 1;
/// A line holds one record twice: as it is kept, and for those who read along.
pub const LINE_BYTES_MAX: u64 = 16 << 20;
/// What an import may unpack to.
pub const IMPORT_BYTES_MAX: u64 = 4 << 30;
/// Lines and chunks that are on their way between the two sides of a stream: each may be a few MiB.
const UNDER_WAY_MAX: usize = 2;
/// Imports that run at once.
pub const IMPORTS_MAX: usize = 4;

/// `GET /api/hooks/ID/export`
pub async fn export(State(site): State<Site>, Own(view): Own) -> Result<Response, Problem> {
    let leaving = site.engine.export(view.lane).await?;
    let head = wire::ExportHead { everfold: "hook".into(), format: FORMAT, name: view.config.name.clone() };
    let (mut chunks, body) = Channel::<Bytes, io::Error>::new(UNDER_WAY_MAX);
    tokio::spawn(async move {
        if let Err(error) = leave(&site, leaving, &head, &mut chunks).await {
            tracing::warn!(%error, "an export ended early");
            // Cut off, so that nobody takes it for the whole.
            chunks.abort(error);
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/zstd".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.ndjson.zst\"", wire::id_of(view.lane))),
    ];
    Ok((headers, Body::new(body)).into_response())
}

async fn leave(
    site: &Site,
    mut leaving: Leaving,
    head: &wire::ExportHead,
    chunks: &mut http_body_util::channel::Sender<Bytes, io::Error>,
) -> io::Result<()> {
    let mut packed = zstd::stream::write::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
    line(&mut packed, head)?;
    loop {
        let page = site.engine.leave(&mut leaving).await.map_err(|refusal| io::Error::other(refusal.detail))?;
        if page.is_empty() {
            break;
        }
        for (record, entry) in &page {
            line(&mut packed, &exported(record, entry))?;
        }
        send(chunks, std::mem::take(packed.get_mut())).await?;
    }
    send(chunks, packed.finish()?).await
}

async fn send(chunks: &mut http_body_util::channel::Sender<Bytes, io::Error>, bytes: Vec<u8>) -> io::Result<()> {
    match bytes.is_empty() {
        true => Ok(()),
        false => chunks.send_data(bytes.into()).await.map_err(|_| io::Error::other("nobody takes it any more")),
    }
}

fn line(packed: &mut impl Write, line: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *packed, line)?;
    packed.write_all(b"\n")
}

fn exported(record: &Record, entry: &Entry) -> wire::ExportRecord {
    let request = match entry {
        Entry::Arrived { request, .. } => Some(wire::RequestExported::of(request)),
        _ => None,
    };
    wire::ExportRecord {
        position: record.position.to_u64(),
        hash: record.hash.to_string(),
        record: BASE64_STANDARD.encode(&record.body),
        request,
    }
}

/// `POST /api/hooks/import`
pub async fn import(State(site): State<Site>, Caller(caller): Caller, body: Body) -> Result<Response, Problem> {
    let _place = site.imports.try_acquire().map_err(|_| Refusal::BUSY)?;
    let (lines, arriving_lines) = mpsc::channel(UNDER_WAY_MAX);
    let (chunks, source) = mpsc::channel(UNDER_WAY_MAX);
    // Unpacking is the processor's work, line by line, as fast as they are taken.
    let unpacking = tokio::task::spawn_blocking(move || unpack(Chunks { source, rest: Bytes::new() }, &lines));
    let feeding = tokio::spawn(feed(body, chunks));
    let mut arriving = site.engine.import(caller);
    let taken = take(&site, &mut arriving, arriving_lines).await;
    let _ = unpacking.await;
    feeding.abort();
    if let Err(refusal) = taken {
        site.engine.refuse(arriving).await?;
        return Err(refusal.into());
    }
    let hook = site.engine.arrived(arriving).await?;
    let view = site.engine.view(hook).await.map_err(once)?;
    Ok((StatusCode::CREATED, Json(wire::HookDetail::of(&view))).into_response())
}

async fn take(site: &Site, arriving: &mut Arriving, mut lines: mpsc::Receiver<Line>) -> Result<(), Refusal> {
    let mut is_whole = false;
    while let Some(line) = lines.recv().await {
        match line {
            Line::Head => {}
            Line::Record(record) => site.engine.arrive(arriving, record).await?,
            Line::End => is_whole = true,
        }
    }
    if is_whole { Ok(()) } else { Err(Refusal::EXPORT_BROKEN) }
}

async fn feed(mut body: Body, chunks: mpsc::Sender<io::Result<Bytes>>) {
    while let Some(frame) = body.frame().await {
        let chunk = match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) => Ok(data),
            Ok(Err(_)) => continue,
            Err(error) => Err(io::Error::other(error)),
        };
        if chunks.send(chunk).await.is_err() {
            return;
        }
    }
}

enum Line {
    Head,
    Record(Record),
    /// The stream ended where it should.
    End,
}

/// Reads lines until one is not understood; then nobody hears of an end.
fn unpack(chunks: Chunks, lines: &mpsc::Sender<Line>) -> Option<()> {
    let unpacked = zstd::stream::read::Decoder::new(chunks).ok()?;
    let mut reader = BufReader::new(unpacked).take(IMPORT_BYTES_MAX);
    let mut text = Vec::new();
    let mut is_first = true;
    loop {
        text.clear();
        if reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut text).ok()? == 0 {
            return lines.blocking_send(if is_first || reader.limit() == 0 { return None } else { Line::End }).ok();
        }
        let line = match std::mem::take(&mut is_first) {
            true => {
                let head: wire::ExportHead = serde_json::from_slice(&text).ok()?;
                (head.everfold == "hook" && head.format == FORMAT).then_some(Line::Head)?
            }
            false => Line::Record(record(&serde_json::from_slice(&text).ok()?)?),
        };
        lines.blocking_send(line).ok()?;
    }
}

fn record(exported: &wire::ExportRecord) -> Option<Record> {
    Some(Record {
        position: Position::from_u64(exported.position),
        hash: Hash(*blake3::Hash::from_hex(&exported.hash).ok()?.as_bytes()),
        body: BASE64_STANDARD.decode(&exported.record).ok()?,
    })
}

/// The body of a request, as a thread reads it.
struct Chunks {
    source: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.source.blocking_recv() {
                Some(chunk) => self.rest = chunk?,
                None => return Ok(0),
            }
        }
        let taken = self.rest.split_to(self.rest.len().min(into.len()));
        into[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}
