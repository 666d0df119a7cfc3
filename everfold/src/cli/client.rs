//! Talks to a server the way any program would: over its HTTP API.

use std::{fmt::Display, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Failure,
    credentials::{self, Credentials, Tokens},
};

/// A server, and who we are to it.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    pub url: String,
    /// A JWT, an API key, or nothing.
    identity: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    pub id: String,
    pub email: Option<String>,
    pub workflow_state: String,
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
    /// A server that is shown no identity.
    pub fn at(url: &str) -> Client {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .new_agent();
        Client { agent, url: url.trim_end_matches('/').to_owned(), identity: String::new() }
    }

    /// As whom this machine is known to a server, renewed where it has expired; `None` if it is not.
    pub fn known(url: &str) -> Result<Option<Client>, Failure> {
        let mut client = Client::at(url);
        let tokens = match credentials::of(&client.url)? {
            Some(Credentials::Tokens(tokens)) => tokens,
            Some(Credentials::Key { key }) => {
                client.identity = key;
                return match client.call("GET", "/api/auth/me", None)?.status {
                    200 => Ok(Some(client)),
                    _ => Err(Failure::new(format!("{} does not accept the API key that was kept for it.", client.url))
                        .hint("sign in again: everfold login")),
                };
            }
            None => return Ok(None),
        };
        client.identity = tokens.jwt.clone();
        if client.call("GET", "/api/auth/me", None)?.status == 200 {
            return Ok(Some(client));
        }
        let renewed = client.call("POST", "/api/auth/refresh-token", Some(json!({"token": tokens.refresh_token})))?;
        if renewed.status == 200 {
            return client.keep(Tokens { email: tokens.email, ..parse(&renewed.body)? }).map(Some);
        }
        match tokens.email {
            Some(email) => Err(Failure::new(format!("{} does not know you as {email} any more.", client.url))
                .hint("sign in again: everfold login")),
            None => Ok(None),
        }
    }

    /// Becomes a guest on first use.
    pub fn signed_in(url: &str) -> Result<Client, Failure> {
        match Client::known(url)? {
            Some(client) => Ok(client),
            None => {
                let client = Client::at(url);
                let guest = client.call("POST", "/api/auth/guest-user", None)?;
                client.keep(parse(&expect(guest)?.body)?)
            }
        }
    }

    /// The same, for whoever is about to sign in: a server without guests asks them for no identity.
    pub fn to_sign_in(url: &str) -> Result<Client, Failure> {
        if let Some(client) = Client::known(url).unwrap_or(None) {
            return Ok(client);
        }
        let client = Client::at(url);
        let guest = client.call("POST", "/api/auth/guest-user", None)?;
        if guest.status == 403 { Ok(client) } else { client.keep(parse(&expect(guest)?.body)?) }
    }

    pub fn keep(mut self, tokens: Tokens) -> Result<Client, Failure> {
        self.identity = tokens.jwt.clone();
        credentials::keep(&self.url, Credentials::Tokens(tokens))?;
        Ok(self)
    }

    pub fn keep_key(mut self, key: String) -> Result<Client, Failure> {
        self.identity = key.clone();
        if self.call("GET", "/api/auth/me", None)?.status != 200 {
            return Err(Failure::new(format!("{} does not accept this key.", self.url))
                .hint("it may be revoked, of another server, or for workers; POST /api/keys makes one"));
        }
        credentials::keep(&self.url, Credentials::Key { key })?;
        Ok(self)
    }

    /// What shows who we are: a JWT or an API key.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    pub fn me(&self) -> Result<Me, Failure> {
        self.get("/api/auth/me")
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
        if !self.identity.is_empty() {
            headers.push(("authorization".to_owned(), format!("Bearer {}", self.identity)));
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
            self.agent.get(format!("{}{path}", self.url)).header("authorization", format!("Bearer {}", self.identity));
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
            self.agent.post(format!("{}{path}", self.url)).header("authorization", format!("Bearer {}", self.identity));
        let request = request.config().timeout_global(None).build();
        let mut response = request.send(from).map_err(|error| self.unreachable(error))?;
        let status = response.status().as_u16();
        let body = response.body_mut().read_to_string().map_err(|error| self.unreachable(error))?;
        parse(&expect(Reply { status, body })?.body)
    }

    /// The fields of server-sent events as they come, until nobody wants more.
    pub fn events(&self, path: &str, mut take: impl FnMut(&str, &str) -> bool) -> Result<(), Failure> {
        let request =
            self.agent.get(format!("{}{path}", self.url)).header("authorization", format!("Bearer {}", self.identity));
        let request = request.config().timeout_global(None).build();
        let mut response = request.call().map_err(|error| self.unreachable(error))?;
        let status = response.status().as_u16();
        if status != 200 {
            let body = response.body_mut().read_to_string().map_err(|error| self.unreachable(error))?;
            return expect(Reply { status, body }).map(drop);
        }
        let lines = std::io::BufRead::lines(std::io::BufReader::new(response.body_mut().as_reader()));
        for line in lines {
            let line = line.map_err(|error| self.unreachable(error))?;
            let Some((field, data)) = line.split_once(':') else { continue };
            if !field.is_empty() && !take(field, data.trim_start()) {
                return Ok(());
            }
        }
        Ok(())
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
