//! Talks to a server the way any program would: over its HTTP API.

use std::{fmt::Display, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Failure,
    credentials::{self, Tokens},
};

/// A server, and who we are to it.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    pub url: String,
    jwt: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    pub id: String,
    pub name: String,
    pub workflow_state: String,
    pub read_keys: Vec<String>,
    pub write_keys: Vec<String>,
    pub request_count: u64,
    pub published: Option<Version>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Version {
    pub code: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    pub status: String,
    pub done: u64,
    pub total: u64,
}

/// What a server said, whatever its status.
pub struct Reply {
    pub status: u16,
    pub body: String,
}

impl Client {
    /// Signs in as a guest on first use, and renews what has expired.
    pub fn signed_in(url: &str) -> Result<Client, Failure> {
        let url = url.trim_end_matches('/').to_owned();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .new_agent();
        let mut client = Client { agent, url, jwt: String::new() };
        if let Some(known) = credentials::of(&client.url)? {
            client.jwt = known.jwt.clone();
            if client.call("GET", "/api/auth/me", None)?.status == 200 {
                return Ok(client);
            }
            let renewed =
                client.call("POST", "/api/auth/refresh-token", Some(json!({"token": known.refresh_token})))?;
            if renewed.status == 200 {
                return client.keep(parse(&renewed.body)?);
            }
        }
        client.jwt.clear();
        let guest = client.call("POST", "/api/auth/guest-user", None)?;
        let tokens = parse(&expect(guest)?.body)?;
        client.keep(tokens)
    }

    fn keep(mut self, tokens: Tokens) -> Result<Client, Failure> {
        self.jwt = tokens.jwt.clone();
        credentials::keep(&self.url, tokens)?;
        Ok(self)
    }

    pub fn hooks(&self) -> Result<Vec<Hook>, Failure> {
        #[derive(Deserialize)]
        struct Page {
            objects: Vec<Hook>,
        }
        Ok(self.get::<Page>("/api/hooks")?.objects)
    }

    /// A hook by its name or id.
    pub fn hook(&self, name: &str) -> Result<Hook, Failure> {
        let hooks = self.hooks()?;
        let known: Vec<_> = hooks.iter().map(|hook| hook.name.clone()).collect();
        hooks.into_iter().find(|hook| hook.name == name || hook.id == name).ok_or_else(|| {
            let hint = match known.as_slice() {
                [] => "there are none yet: 'everfold dev DIR' makes one for each file".to_owned(),
                known => format!("yours are {}", known.join(", ")),
            };
            Failure::new(format!("No hook of yours is called {name:?} at {}.", self.url)).hint(hint)
        })
    }

    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        parse(&expect(self.call("GET", path, None)?)?.body)
    }

    pub fn post<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, Failure> {
        parse(&expect(self.call("POST", path, Some(body))?)?.body)
    }

    pub fn put(&self, path: &str, body: Value) -> Result<(), Failure> {
        expect(self.call("PUT", path, Some(body))?).map(drop)
    }

    pub fn call(&self, method: &str, path: &str, body: Option<Value>) -> Result<Reply, Failure> {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if !self.jwt.is_empty() {
            headers.push(("authorization".to_owned(), format!("Bearer {}", self.jwt)));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(method, path, &headers, body.as_bytes())
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> Result<Reply, Failure> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let malformed = |error: ureq::http::Error| Failure::new(format!("The request cannot be sent: {error}."));
        let result = if body.is_empty() && matches!(method, "GET" | "HEAD" | "DELETE") {
            self.agent.run(request.body(()).map_err(malformed)?)
        } else {
            self.agent.run(request.body(body).map_err(malformed)?)
        };
        let mut response = result.map_err(|error| self.unreachable(error))?;
        let body = response.body_mut().with_config().limit(64 << 20).read_to_string();
        Ok(Reply { status: response.status().as_u16(), body: body.map_err(|error| self.unreachable(error))? })
    }

    /// Writes what is at a path, however much it is.
    pub fn download(&self, path: &str, into: &mut impl std::io::Write) -> Result<u64, Failure> {
        let request =
            self.agent.get(format!("{}{path}", self.url)).header("authorization", format!("Bearer {}", self.jwt));
        let request = request.config().timeout_global(None).build();
        let mut response = request.call().map_err(|error| self.unreachable(error))?;
        let status = response.status().as_u16();
        if status != 200 {
            let body = response.body_mut().read_to_string().map_err(|error| self.unreachable(error))?;
            return Err(expect(Reply { status, body }).err().unwrap_or_else(|| Failure::new("Nothing was sent.")));
        }
        std::io::copy(&mut response.body_mut().as_reader(), into).map_err(|error| self.unreachable(error))
    }

    pub fn upload<T: DeserializeOwned>(&self, path: &str, from: std::fs::File) -> Result<T, Failure> {
        let request =
            self.agent.post(format!("{}{path}", self.url)).header("authorization", format!("Bearer {}", self.jwt));
        let request = request.config().timeout_global(None).build();
        let mut response = request.send(from).map_err(|error| self.unreachable(error))?;
        let status = response.status().as_u16();
        let body = response.body_mut().read_to_string().map_err(|error| self.unreachable(error))?;
        parse(&expect(Reply { status, body })?.body)
    }

    fn unreachable(&self, error: impl Display) -> Failure {
        Failure::new(format!("{} does not answer: {error}.", self.url))
            .hint("start one with 'everfold serve' or 'everfold dev', or name another with --url")
    }
}

/// A reply that is a problem becomes the command's own failure, hint and all.
pub fn expect(reply: Reply) -> Result<Reply, Failure> {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
        detail: String,
        hint: String,
        line: Option<u32>,
        column: Option<u32>,
    }
    if (200..300).contains(&reply.status) {
        return Ok(reply);
    }
    Err(match serde_json::from_str::<Problem>(&reply.body) {
        Ok(problem) => Failure {
            place: problem.line.zip(problem.column),
            ..Failure::new(format!("{}: {}", problem.code, problem.detail)).hint(problem.hint)
        },
        Err(_) => Failure::new(format!("The server answered {}: {}", reply.status, reply.body.trim())),
    })
}

pub fn parse<T: DeserializeOwned>(body: &str) -> Result<T, Failure> {
    serde_json::from_str(body).map_err(|error| {
        Failure::new(format!("The server's answer was not understood: {error}."))
            .hint("is it an Everfold server, and no older than this command?")
    })
}
