//! What Everfold does for a run: fetches, requests to its hook, notices. Each may happen again after a crash, until what
//! came of it is kept.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rules::{
    call::{Bytes, Error, Json, Request, run::Kind},
    hook::{Config, Reply},
    job::{Brief, JobId, Place, Task},
    limits::{BODY_BYTES_MAX, FETCH_BODY_BYTES_MAX},
    record::LaneId,
    refusal::Refusal,
    row,
    run::Origin,
};
use serde::Deserialize;
use serde_json::json;

use super::Active;
use crate::{
    Engine,
    job::result_of,
    world::{Fetch, World},
};

/// A request that a run sends to its hook.
#[derive(Deserialize)]
struct Sent {
    method: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

/// What a run asks of the world outside.
#[derive(Deserialize)]
struct Fetching {
    url: String,
    method: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

/// A job that a run asks for.
#[derive(Deserialize)]
struct Scripted {
    code: String,
    input: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    sealed: String,
}

/// No secret has this name: a name is not empty, and this is no name of a variable.
const SEALED_AS: &str = "what a run sends";

/// Follows from the run and the call: of the run's time, so that it stands in the list where it belongs.
fn job_id(run: LaneId, id: &str) -> JobId {
    let hash = blake3::hash(format!("everfold 2026 job of a run {:032x} {id}", run.0).as_bytes());
    let bits = u128::from_le_bytes(hash.as_bytes()[..16].try_into().expect("16 bytes"));
    let kept = 0xffff_ffff_ffff_f000_c000_0000_0000_0000;
    run.0 & kept | bits & !kept
}

impl Engine {
    pub(super) async fn do_deed(&self, active: Arc<Active>, id: String, kind: Kind, payload: Json) {
        let (run, owner, origin) = {
            let state = active.state().await;
            (state.run.lane, state.run.owner, state.run.begun.origin)
        };
        let Origin::Hosted { hook, .. } = origin else { return };
        let result = match kind {
            // Alarms end sleeps; people and the code itself end the others.
            Kind::Sleep | Kind::Io | Kind::Step => return,
            Kind::State => self.state_for(hook).await.map_err(refused),
            Kind::Send => self.send_for(run, hook, &id, &payload).await.map_err(refused),
            Kind::Fetch => self.fetch_for(hook, &payload).await,
            Kind::Notify => Ok("null".into()),
            Kind::Function => Err(Error::plain("NotFoundError", "There are no functions on this server yet.")),
            Kind::Job => self.job_for(owner, run, &id, &payload).await,
        };
        let _ = self.turn_of(active, move |state, at| Ok((Some(state.run.returned(&id, result, at)), ()))).await;
    }

    /// A script on whatever is open, and what it returns. Asked again after a crash, it is the same job.
    async fn job_for(&self, owner: LaneId, run: LaneId, id: &str, payload: &str) -> Result<Json, Error> {
        let asked: Scripted =
            serde_json::from_str(payload).map_err(|_| Error::plain("TypeError", "A job has code and an input."))?;
        let refused = |refusal: Refusal| Error::plain("JobError", refusal.detail);
        let code: Arc<str> = asked.code.into();
        self.check_script(&code).await.map_err(refused)?;
        let brief = Brief { name: Some(format!("of a run, {id}")), ..Brief::new(Place::Any, false, 1, self.now()) };
        let task = Task { code, inputs: vec![asked.input.to_string().into()] };
        let job = job_id(run, id);
        let seen = self.job_done(owner, job, brief, task).await.map_err(refused)?;
        let outcomes = self.outcomes(owner, job).await.map_err(refused)?;
        match (result_of(&seen.brief, &outcomes), seen.brief.error) {
            (Some(result), _) => Ok(result),
            (None, Some(error)) => Err(error),
            (None, None) => Err(Error::plain("JobError", "The job was cancelled.")),
        }
    }

    async fn state_for(&self, hook: LaneId) -> Result<Json, Refusal> {
        let state = self.view(hook).await?.state();
        Ok(format!(r#"{{"state":{}}}"#, state.as_deref().unwrap_or("null")).into())
    }

    async fn fetch_for(&self, hook: LaneId, payload: &str) -> Result<Json, Error> {
        let broken = |why: &str| Error::plain("TypeError", format!("fetch failed: {why}"));
        let opened = self.opened(hook, payload).ok_or_else(|| broken("what it sends does not open any more"))?;
        let asked: Fetching = serde_json::from_str(&opened).map_err(|_| broken("what it sends is malformed"))?;
        let body =
            BASE64_STANDARD.decode(asked.body.unwrap_or_default()).map_err(|_| broken("its body is malformed"))?;
        if let Some(id) = own_file(&asked.url) {
            return self.file_for(id).await.map_err(|refusal| broken(&refusal.detail));
        }
        let fetch = Fetch { url: asked.url, method: asked.method, headers: asked.headers, body };
        let fetched = self.world().outside.fetch(fetch).await;
        let config = self.world().store.row(row::hook(hook)).await.ok().flatten();
        let config: Config = config.and_then(|bytes| row::decode(&bytes)).ok_or_else(|| broken("its hook is gone"))?;
        let secrets = self.world().vault.open(hook, &config.secrets);
        let mut fetched = fetched.map_err(|failed| {
            let mut error = Error::plain("TypeError", failed.message);
            secrets.redact_error(&mut error);
            error
        })?;
        // What the code itself wrote there.
        secrets.redact_text(&mut fetched.url);
        let said = json!({
            "url": fetched.url,
            "status": fetched.status,
            "statusText": fetched.status_text,
            "headers": fetched.headers,
            "body": BASE64_STANDARD.encode(&fetched.body),
            "redirected": fetched.redirected,
        });
        Ok(said.to_string().into())
    }

    /// A file that a person gave to the run: its id is all that anybody needs to read it.
    async fn file_for(&self, id: u128) -> Result<Json, Refusal> {
        let file = self.file(id).await?;
        if file.bytes > FETCH_BODY_BYTES_MAX as u64 {
            return Err(
                Refusal::FILE_TOO_LARGE.because(format!("A run reads files of at most {FETCH_BODY_BYTES_MAX} bytes."))
            );
        }
        let mut body = Vec::with_capacity(file.bytes as usize);
        for index in 0..file.pieces() {
            body.extend(self.piece(id, index).await?);
        }
        let said = json!({
            "url": "",
            "status": 200,
            "statusText": "OK",
            "headers": [["content-type", file.kind]],
            "body": BASE64_STANDARD.encode(&body),
            "redirected": false,
        });
        Ok(said.to_string().into())
    }

    /// What stands in the journal of what holds a secret is sealed.
    pub(super) fn sealed(&self, hook: LaneId, payload: &str) -> Json {
        let World { vault, entropy, .. } = self.world();
        let sealed = vault.seal(hook, SEALED_AS, payload, [entropy.draw(), entropy.draw()]);
        json!({ "sealed": BASE64_STANDARD.encode(&sealed.0) }).to_string().into()
    }

    fn opened(&self, hook: LaneId, payload: &str) -> Option<String> {
        match serde_json::from_str(payload) {
            Ok(Sealed { sealed }) => {
                let sealed = Bytes(BASE64_STANDARD.decode(sealed).ok()?);
                self.world().vault.open_one(hook, SEALED_AS, &sealed)
            }
            Err(_) => Some(payload.to_owned()),
        }
    }

    /// Its `Idempotency-Key` is the call's own name, so that what was kept before a crash is not kept twice.
    async fn send_for(&self, run: LaneId, hook: LaneId, id: &str, payload: &str) -> Result<Json, Refusal> {
        let opened = self.opened(hook, payload).ok_or(Refusal::BODY_MALFORMED)?;
        let Sent { method, headers, body } = serde_json::from_str(&opened).map_err(|_| Refusal::BODY_MALFORMED)?;
        let body = BASE64_STANDARD.decode(body.unwrap_or_default()).map_err(|_| Refusal::BODY_MALFORMED)?;
        if body.len() > BODY_BYTES_MAX {
            return Err(Refusal::BODY_TOO_LARGE);
        }
        let now = self.now();
        let request = Request {
            id: self.world().request_id(now),
            seq: 0,
            method,
            path: "/".into(),
            query: String::new(),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.to_lowercase(), Bytes(value.into_bytes())))
                .collect(),
            body: Bytes(body),
            created_at_ms: now.0,
        };
        let view = self.view(hook).await?;
        let (request, answered) = match view.live.as_ref().filter(|live| live.exports.responder) {
            Some(live) => {
                let request = Arc::new(request);
                let answered = self.answer(&view, live, request.clone()).await?;
                (Arc::unwrap_or_clone(request), Some(answered))
            }
            None => (request, None),
        };
        let key = format!("run {:032x} {id}", run.0).into_bytes();
        let written = self.write(hook, request, Some(key), answered).await?;
        let said = match written.reply {
            Reply::Receipt(receipt) => json!({ "id": receipt.id.to_string(), "seq": receipt.seq.0 }),
            Reply::Response(response) => json!({ "status": response.status }),
        };
        Ok(said.to_string().into())
    }
}

/// The id of an upload, where an address names one. It has 128 bits that nobody guesses, so who knows it was given it.
fn own_file(url: &str) -> Option<u128> {
    let (_, id) = url.split_once("/api/uploads/")?;
    let digits: String = id.chars().filter(|letter| *letter != '-').collect();
    (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten()
}

fn refused(refusal: Refusal) -> Error {
    Error::plain("Error", format!("{} {}", refusal.detail, refusal.hint))
}
