//! The only plaintext of secrets: the server's own key, what is made from it, and what an owner entrusted to it.

use std::fmt;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use rules::{
    account::{KeyKind, Refresh, SecretHash},
    call::{
        Bytes, Json, Ran,
        run::{End, Move, Stand},
    },
    hook::Secrets,
    record::LaneId,
};

/// Everything secret is derived from one key that stands in a file beside the data, or in the environment.
#[derive(Clone)]
pub struct Vault {
    access: [u8; 32],
    refresh: [u8; 32],
    secrets: [u8; 32],
    nodes: [u8; 32],
    mark: [u8; 32],
}

const NONCE_BYTES: usize = 24;

impl Vault {
    pub fn new(master: &[u8; 32]) -> Vault {
        Vault {
            access: blake3::derive_key("everfold 2026 access tokens", master),
            refresh: blake3::derive_key("everfold 2026 refresh tokens", master),
            secrets: blake3::derive_key("everfold 2026 secrets of hooks", master),
            nodes: blake3::derive_key("everfold 2026 nodes of a database", master),
            mark: blake3::derive_key("everfold 2026 mark of the key", master),
        }
    }

    /// Signs access tokens.
    pub fn access_key(&self) -> &[u8; 32] {
        &self.access
    }

    /// By which the nodes of one database know each other.
    pub fn node_proof(&self) -> &[u8; 32] {
        &self.nodes
    }

    /// Tells this key from others, and nothing else of it.
    pub fn mark(&self) -> &[u8; 32] {
        &self.mark
    }

    /// A refresh token is its own proof, so a stolen database holds none.
    pub fn refresh_token(&self, refresh: Refresh) -> String {
        let payload = format!("{:032x}.{:032x}.{:x}", refresh.account.0, refresh.family, refresh.generation);
        let proof = blake3::keyed_hash(&self.refresh, payload.as_bytes());
        format!("{payload}.{}", proof.to_hex())
    }

    /// What a refresh token names; `None` unless this vault made it.
    pub fn open_refresh_token(&self, token: &str) -> Option<Refresh> {
        let (payload, proof) = token.rsplit_once('.')?;
        let expected = blake3::keyed_hash(&self.refresh, payload.as_bytes());
        // `blake3::Hash` compares in constant time.
        if expected != blake3::Hash::from_hex(proof).ok()? {
            return None;
        }
        let mut parts = payload.split('.');
        let account = LaneId(u128::from_str_radix(parts.next()?, 16).ok()?);
        let family = u128::from_str_radix(parts.next()?, 16).ok()?;
        let generation = u32::from_str_radix(parts.next()?, 16).ok()?;
        Some(Refresh { account, family, generation })
    }
}

/// A hook's secrets as its code sees them.
pub struct Opened {
    json: Json,
    /// As they are, and as they stand in JSON text; the longest first.
    values: Vec<(String, String)>,
}

impl Vault {
    /// Encrypts a secret for one hook and one name: elsewhere it does not open. The nonce is random and used once.
    pub fn seal(&self, lane: LaneId, name: &str, value: &str, random: [u128; 2]) -> Bytes {
        let mut sealed = Vec::with_capacity(NONCE_BYTES + value.len() + 16);
        sealed.extend(random.iter().flat_map(|random| random.to_be_bytes()).take(NONCE_BYTES));
        let (nonce, aad) = (*XNonce::from_slice(&sealed), place(lane, name));
        let payload = Payload { msg: value.as_bytes(), aad: &aad };
        let cipher = XChaCha20Poly1305::new(&self.secrets.into());
        sealed.extend(cipher.encrypt(&nonce, payload).expect("a value is far shorter than the cipher's limit"));
        Bytes(sealed)
    }

    /// One secret; `None` unless this vault sealed it for this place.
    pub fn open_one(&self, lane: LaneId, name: &str, sealed: &Bytes) -> Option<String> {
        let (nonce, msg) = sealed.0.split_at_checked(NONCE_BYTES)?;
        let payload = Payload { msg, aad: &place(lane, name) };
        let cipher = XChaCha20Poly1305::new(&self.secrets.into());
        String::from_utf8(cipher.decrypt(XNonce::from_slice(nonce), payload).ok()?).ok()
    }

    /// All of them. What came here from another server does not open, and is as if it were not set.
    pub fn open(&self, lane: LaneId, secrets: &Secrets) -> Opened {
        let opened: std::collections::BTreeMap<&str, String> = secrets
            .iter()
            .filter_map(|(name, sealed)| Some((name.as_str(), self.open_one(lane, name, sealed)?)))
            .collect();
        let json = serde_json::to_string(&opened).expect("strings always serialise").into();
        let mut values = Vec::new();
        for (name, value) in opened {
            let shown = format!("[secret {name}]");
            let quoted = serde_json::to_string(&value).expect("a string always serialises");
            let escaped = quoted[1..quoted.len() - 1].to_owned();
            if escaped != value {
                values.push((escaped, shown.clone()));
            }
            values.push((value, shown));
        }
        values.retain(|(value, _)| !value.is_empty());
        values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Opened { json, values }
    }
}

/// What a ciphertext is bound to.
fn place(lane: LaneId, name: &str) -> Vec<u8> {
    [&lane.0.to_be_bytes()[..], name.as_bytes()].concat()
}

impl Opened {
    pub fn json(&self) -> Json {
        self.json.clone()
    }

    /// Takes the values out of what a run said of itself. Its result is the owner's own affair.
    pub fn redact<T>(&self, ran: &mut Ran<T>) {
        if self.values.is_empty() {
            return;
        }
        for message in ran.console.iter_mut().flat_map(|line| &mut line.messages) {
            self.redact_text(message);
        }
        if let Err(failure) = &mut ran.result {
            self.redact_error(&mut failure.error);
        }
    }

    /// The same of a run of an action. What its code shows, sends and returns is the owner's own affair, too; what it
    /// logs is not.
    pub fn redact_run(&self, ran: &mut Ran<Stand>) {
        self.redact(ran);
        let Ok(stand) = &mut ran.result else { return };
        if self.values.is_empty() {
            return;
        }
        for one in &mut stand.moves {
            match one {
                Move::Told { payload, .. } => {
                    let mut text = payload.to_string();
                    self.redact_text(&mut text);
                    *payload = text.into();
                }
                Move::Returned { result: Err(error), .. } => self.redact_error(error),
                _ => {}
            }
        }
        if let Some(End::Failed(error)) = &mut stand.end {
            self.redact_error(error);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn redact_error(&self, error: &mut rules::call::Error) {
        for text in [&mut error.name, &mut error.message, &mut error.stack] {
            self.redact_text(text);
        }
    }

    pub fn redact_text(&self, text: &mut String) {
        for (value, shown) in &self.values {
            if text.contains(value.as_str()) {
                *text = text.replace(value.as_str(), shown);
            }
        }
    }
}

/// What a link carries: the account it leads to, and a secret of which only the hash is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkToken {
    pub account: LaneId,
    pub secret: u128,
}

impl LinkToken {
    const DIGITS: usize = 64;

    pub fn parse(token: &str) -> Option<LinkToken> {
        let is_whole = token.len() == Self::DIGITS && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (account, secret) = is_whole.then(|| token.split_at(Self::DIGITS / 2))?;
        let number = |digits| u128::from_str_radix(digits, 16).ok();
        Some(LinkToken { account: LaneId(number(account)?), secret: number(secret)? })
    }

    pub fn hash(&self) -> SecretHash {
        hash_of(&self.to_string())
    }
}

impl fmt::Display for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:032x}{:032x}", self.account.0, self.secret)
    }
}

/// An API or worker key. What it begins with tells it from a JWT, and a program that looks for leaked keys what it is.
pub fn account_key(kind: KeyKind, secret: u128) -> String {
    format!("{ACCOUNT_KEY_PREFIX}{}_{secret:032x}", kind.name())
}

pub const ACCOUNT_KEY_PREFIX: &str = "everfold_";

/// What is kept of a secret that its holder shows. It has 128 bits that nobody guesses, so a fast hash hides it.
pub fn hash_of(secret: &str) -> SecretHash {
    blake3::derive_key("everfold 2026 secrets that are shown", secret.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_in_its_vault_its_hook_and_under_its_name() {
        let vault = Vault::new(&[1; 32]);
        let sealed = vault.seal(LaneId(1), "token", "s3cret", [7, 8]);
        assert_eq!(vault.open_one(LaneId(1), "token", &sealed).as_deref(), Some("s3cret"));
        assert_eq!(vault.open_one(LaneId(2), "token", &sealed), None);
        assert_eq!(vault.open_one(LaneId(1), "other", &sealed), None);
        assert_eq!(Vault::new(&[2; 32]).open_one(LaneId(1), "token", &sealed), None);
        assert_eq!(vault.open_one(LaneId(1), "token", &Bytes(vec![0; 5])), None);
        assert!(!sealed.0.windows(6).any(|window| window == b"s3cret"));
    }

    #[test]
    fn a_secret_is_taken_out_of_what_a_run_says_also_as_it_stands_in_json() {
        let vault = Vault::new(&[1; 32]);
        let sealed = |name: &str, value: &str| (name.to_owned(), vault.seal(LaneId(1), name, value, [7, 8]));
        let opened =
            vault.open(LaneId(1), &Secrets::from([sealed("a", "line\nbreak"), sealed("b", "line"), sealed("c", "")]));
        let mut text = "line line\nbreak line\\nbreak".to_owned();
        opened.redact_text(&mut text);
        assert_eq!(text, "[secret b] [secret a] [secret a]");
    }

    #[test]
    fn a_refresh_token_opens_only_in_the_vault_that_made_it() {
        let refresh = Refresh { account: LaneId(7), family: 8, generation: 9 };
        let vault = Vault::new(&[1; 32]);
        let token = vault.refresh_token(refresh);
        assert_eq!(vault.open_refresh_token(&token), Some(refresh));
        assert_eq!(Vault::new(&[2; 32]).open_refresh_token(&token), None);
        assert_eq!(vault.open_refresh_token(&token.replace(".9.", ".8.")), None);
        assert_eq!(vault.open_refresh_token("nonsense"), None);
    }

    #[test]
    fn a_link_token_is_read_as_it_was_written_and_nothing_else_is() {
        let link = LinkToken { account: LaneId(7), secret: u128::MAX };
        assert_eq!(LinkToken::parse(&link.to_string()), Some(link));
        for token in ["", "7", &"+".repeat(64), &"é".repeat(32), &format!("{link}0")] {
            assert_eq!(LinkToken::parse(token), None, "{token}");
        }
    }
}
