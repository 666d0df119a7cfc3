//! An e-mail address that mail can be sent to, in the one form it is known by.

use alloc::string::String;
use serde::{Deserialize, Serialize};

use crate::{record::LaneId, refusal::Refusal};

/// RFC 5321 4.5.3.1: what an address and the name in it may have.
const ADDRESS_BYTES_MAX: usize = 254;
const NAME_BYTES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 63;

/// Trimmed, and in lower case on both sides of the `@`: who types `Bob@` is `bob@`. That a few mail servers could tell
/// the two apart lets nobody in, because the link, too, goes to the address in this form.
///
/// ASCII alone, names without quotes, domains without brackets: what is left holds no character that means anything to
/// a mail server, a log or a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email(String);

impl Email {
    pub fn parse(text: &str) -> Result<Email, Refusal> {
        let text = text.trim();
        let parts = text.rsplit_once('@').filter(|(name, domain)| {
            text.len() <= ADDRESS_BYTES_MAX && name.len() <= NAME_BYTES_MAX && is_name(name) && is_domain(domain)
        });
        parts.map(|_| Email(text.to_ascii_lowercase())).ok_or(Refusal::EMAIL_MALFORMED)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The account of this address. It follows from the address, so that two who sign in at once meet in one lane,
    /// whose store lets one of them go first.
    pub fn lane(&self) -> LaneId {
        let hash = blake3::derive_key("everfold 2026 account of an address", self.0.as_bytes());
        let (first, _) = hash.split_first_chunk().expect("32 bytes hold 16");
        LaneId(u128::from_be_bytes(*first))
    }
}

impl From<Email> for String {
    fn from(email: Email) -> String {
        email.0
    }
}

/// A dot-atom of RFC 5322.
fn is_name(name: &str) -> bool {
    let is_text = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    name.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_text))
}

fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn an_address_is_known_by_one_form() {
        for text in ["bob@example.com", " Bob@Example.COM\n", "BOB@EXAMPLE.com"] {
            assert_eq!(Email::parse(text).map(String::from).as_deref(), Ok("bob@example.com"));
        }
        assert_ne!(Email::parse("bob@a.org").unwrap().lane(), Email::parse("bob@b.org").unwrap().lane());
        for text in ["a.b+tag@sub.example.com", "o'neil@x", "a@xn--mller-kva.de", "!#$%&*/=?^_`{|}~-@a-b.c"] {
            assert!(Email::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_mail_cannot_be_sent_to_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}com", "example.".repeat(40));
        let texts = [
            "",
            "@",
            "a",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            "a@b c",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a@.b",
            "a@b.",
            "a@b..c",
            "a@-b",
            "a@b-",
            "a@[127.0.0.1]",
            "\"a b\"@c",
            "a@b\r\nRCPT TO:<c@d>",
            "a\r\n@b",
            "a\0@b",
            "<a@b>",
            "a@b>",
            "a@b,c@d",
            "a,b@c",
            "bob@müller.de",
            "bøb@example.com",
            "a\u{202e}@b",
            "a\u{2028}@b",
            &long,
            &longer,
        ];
        for text in texts {
            assert_eq!(Email::parse(text), Err(Refusal::EMAIL_MALFORMED), "{text:?}");
        }
    }
}
