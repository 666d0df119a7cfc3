//! The only plaintext of secrets: the server's own key, and what is made from it.

use rules::{account::Refresh, record::LaneId};

/// Everything secret is derived from one key that stands in a file beside the data, or in the environment.
#[derive(Clone)]
pub struct Vault {
    access: [u8; 32],
    refresh: [u8; 32],
}

impl Vault {
    pub fn new(master: &[u8; 32]) -> Vault {
        Vault {
            access: blake3::derive_key("everfold 2026 access tokens", master),
            refresh: blake3::derive_key("everfold 2026 refresh tokens", master),
        }
    }

    /// Signs access tokens.
    pub fn access_key(&self) -> &[u8; 32] {
        &self.access
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
