//! What Everfold does for a run: fetches, requests to its hook, calls of functions, jobs, notices. Each may happen again
//! after a crash, until what came of it is kept.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rules::{
    call::{Bytes, Error, Json, Request, run::Kind},
    function::execution::{self, EXECUTION_BODY_BYTES_MAX, EXECUTION_PATH_BYTES_MAX, Execution, Trigger},
    hook::{Config, Reply},
    inbox::{Delivery, Method, Notice},
    job::{Brief, JobId, Place, Task},
    limits::{BODY_BYTES_MAX, FETCH_BODY_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX},
    record::LaneId,
    refusal::Refusal,
    row,
    run::Origin,
};
use serde::Deserialize;
use serde_json::json;
use worker::server::call::is_ours;

use super::Active;
use crate::{
    Engine,
    job::result_of,
    schedule::uuid,
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

/// A call of a function.
#[derive(Deserialize)]
struct Calling {
    function: String,
    request: Option<Asking>,
}

#[derive(Default, Deserialize)]
struct Asking {
    method: Option<String>,
    path: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Text goes as it is, everything else as JSON.
    body: Option<serde_json::Value>,
}

/// What a run wants people to know.
#[derive(Deserialize)]
struct Noticed {
    title: Option<String>,
    message: String,
    delivery: Vec<To>,
    #[serde(rename = "idempotencyKey")]
    idempotency_key: Option<String>,
}

#[derive(Deserialize)]
struct To {
    to: String,
    method: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    sealed: String,
}

/// No secret has this name: a name is not empty, and this is no name of a variable.
const SEALED_AS: &str = "what a run sends";

/// Follows from the run and the call: of the run's time, so that it stands in the list where it belongs.
fn id_of(what: &str, run: LaneId, id: &str) -> u128 {
    let hash = blake3::hash(format!("everfold 2026 {what} of a run {:032x} {id}", run.0).as_bytes());
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
            Kind::Notify => self.notify_for(owner, run, &id, &payload).await.map_err(refused),
            Kind::Function => self.call_for(owner, hook, run, &id, &payload).await,
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
        let job: JobId = id_of("job", run, id);
        let seen = self.job_done(owner, job, brief, task).await.map_err(refused)?;
        let outcomes = self.outcomes(owner, job).await.map_err(refused)?;
        match (result_of(&seen.brief, &outcomes), seen.brief.error) {
            (Some(result), _) => Ok(result),
            (None, Some(error)) => Err(error),
            (None, None) => Err(Error::plain("JobError", "The job was cancelled.")),
        }
    }

    /// One of its owner's functions, and what it answers: `{status, headers, body}`. Asked again after a crash, what it
    /// answered is not asked for again.
    async fn call_for(&self, owner: LaneId, hook: LaneId, run: LaneId, id: &str, payload: &str) -> Result<Json, Error> {
        let malformed = |why: &str| Error::plain("TypeError", format!("ctx.call: {why}"));
        let opened = self.opened(hook, payload).ok_or_else(|| malformed("what it sends does not open any more."))?;
        let asked: Calling = serde_json::from_str(&opened)
            .map_err(|_| malformed("a request has a method, a path, headers of text, and a body."))?;
        let Asking { method, path, headers, body } = asked.request.unwrap_or_default();
        let method = method.unwrap_or_else(|| if body.is_some() { "POST".into() } else { "GET".into() });
        let path = path.unwrap_or_else(|| "/".into());
        if !path.starts_with('/') || path.len() > EXECUTION_PATH_BYTES_MAX || is_ours(&path) {
            return Err(malformed("a path begins with /, and is written as an address writes it."));
        }
        let failed = |refusal: Refusal| Error::plain("FunctionError", format!("{} {}", refusal.detail, refusal.hint));
        let unknown = |refusal: Refusal| {
            if refusal.status >= 500 {
                return failed(refusal);
            }
            let said = format!("No function of yours is called {:?}: GET /api/functions lists them.", asked.function);
            Error::plain("NotFoundError", said)
        };
        let route = self.route_of_slug(&asked.function).await.map_err(unknown)?;
        self.function(owner, route.function).await.map_err(unknown)?;
        let mut headers: Vec<(String, Bytes)> =
            headers.into_iter().map(|(name, value)| (name.to_lowercase(), Bytes(value.into_bytes()))).collect();
        let body = match body {
            None => Bytes::default(),
            Some(serde_json::Value::String(text)) => Bytes(text.into_bytes()),
            Some(json) => {
                if !headers.iter().any(|(name, _)| name == "content-type") {
                    headers.push(("content-type".into(), Bytes(b"application/json".to_vec())));
                }
                Bytes(json.to_string().into_bytes())
            }
        };
        let execution = self.execution(&route, Trigger::Api, &method.to_uppercase(), &path);
        let execution = Execution { id: id_of("call", run, id), ..execution };
        let whole = self.execute_once(&route, execution, execution::Asked { headers, body }).await.map_err(failed)?;
        let outcome = whole.execution.outcome().ok_or_else(|| failed(Refusal::FAULT))?;
        if let Some(failure) = &outcome.failure {
            return Err(failed(failure.refusal()));
        }
        if whole.said.is_cut {
            let said = format!("ctx.call: a run takes answers of at most {EXECUTION_BODY_BYTES_MAX} bytes.");
            return Err(Error::plain("RangeError", said));
        }
        let text = |bytes: &Bytes| String::from_utf8_lossy(&bytes.0).into_owned();
        let headers: BTreeMap<_, _> = whole.said.headers.iter().map(|(name, value)| (name, text(value))).collect();
        let is_json = headers.iter().any(|(name, kind)| {
            name.eq_ignore_ascii_case("content-type") && kind.to_ascii_lowercase().starts_with("application/json")
        });
        let body = Some(&whole.said.body.0).filter(|_| is_json).and_then(|body| serde_json::from_slice(body).ok());
        let body = body.unwrap_or_else(|| serde_json::Value::String(text(&whole.said.body)));
        Ok(json!({ "status": outcome.status, "headers": headers, "body": body }).to_string().into())
    }

    /// A notice in its owner's inbox. Without a key of the code's own, the call's is taken: after a crash it is the same
    /// notice.
    async fn notify_for(&self, owner: LaneId, run: LaneId, id: &str, payload: &str) -> Result<Json, Refusal> {
        let asked: Noticed = serde_json::from_str(payload).map_err(|_| Refusal::BODY_MALFORMED)?;
        let method = |method: Option<String>| match method.as_deref() {
            Some("SLACK") => Some(Method::Slack),
            Some("EMAIL") => Some(Method::Email),
            _ => None,
        };
        let deliveries = asked.delivery.into_iter().map(|To { to, method: by }| Delivery { to, method: method(by) });
        let created_at = self.now();
        let own = format!("run {:032x} {id}", run.0);
        let key =
            asked.idempotency_key.map_or(own, |key| key[..key.floor_char_boundary(IDEMPOTENCY_KEY_BYTES_MAX)].into());
        let notice = Notice {
            id: self.world().request_id(created_at),
            run: Some(uuid(run)),
            title: asked.title.filter(|title| !title.is_empty()),
            message: asked.message,
            deliveries: deliveries.collect(),
            idempotency_key: Some(key),
            created_at,
        };
        self.notify(owner, &notice).await?;
        Ok("null".into())
    }

    async fn state_for(&self, hook: LaneId) -> Result<Json, Refusal> {
        let state = self.seen(hook).await?.state();
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
        let key = format!("run {:032x} {id}", run.0).into_bytes();
        let written = self.keep_anywhere(hook, request, key).await?;
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
