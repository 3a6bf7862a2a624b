//! Sealing: signing secrets, header values and URLs are encrypted before they reach DynamoDB, so
//! that who can read the table, a backup or an export of it can neither sign as Posthaste nor call
//! an endpoint in its name.
//!
//! AES-256-GCM with a random nonce of 96 bits. NIST SP 800-38D, section 8.3, allows 2^32 such
//! nonces a key; a registration or a rotation takes one, and each header another. The place of a
//! text is authenticated with it: copied to another webhook, workspace or header, it does not open.
//!
//! A sealed text is `v1.<key id>.<base64 of nonce, ciphertext and tag>`. The newest key of the ring
//! seals, every key opens.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use posthaste_domain::{
    endpoint::url::{PublicUrl, StoredUrl},
    webhook::{
        Credentials, Webhook,
        headers::{HeaderName, HeaderValue},
        key::WebhookKey,
        secret::{Sealed, Secret},
    },
};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
};

/// The length of a nonce.
pub const NONCE_BYTES: usize = 12;
const VERSION: &str = "v1";
const KEY_ID_BYTES: usize = 4;
/// The text that a key is derived from has to have this length at least: 32 letters and digits are
/// 190 bits.
const MIN_TEXT_BYTES: usize = 32;

/// The reason that a text can't be sealed or opened. No variant repeats anything of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No key can be derived.
    #[error("an encryption key is derived from a text of at least {MIN_TEXT_BYTES} bytes")]
    WeakKey,
    /// It was sealed with a key that the ring lacks.
    #[error("it is sealed with the key {0}, which is not in the ring")]
    UnknownKey(String),
    /// It is no sealed text, or was not sealed for this place, or has been changed.
    #[error("it does not open")]
    Unreadable,
}

/// The purpose of a sealed text.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// It signs requests.
    Secret,
    /// It is the value of this header.
    Header(&'a HeaderName),
    /// It is where requests go.
    Url,
}

/// The keys, newest first. Debug shows their ids only.
#[derive(Debug)]
pub struct KeyRing(Vec<Key>);

struct Key {
    id: String,
    key: LessSafeKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id)
    }
}

/// The place of a sealed text, which is authenticated with it. No part can contain a line feed, so
/// that no two places are the same text.
fn associated_data(webhook: &WebhookKey, purpose: Purpose<'_>) -> Aad<String> {
    let WebhookKey { workspace, id } = webhook;
    Aad::from(match purpose {
        Purpose::Secret => format!("{VERSION}\n{workspace}\n{id}\nsecret"),
        Purpose::Header(name) => {
            format!("{VERSION}\n{workspace}\n{id}\nheader\n{}", name.in_lower_case())
        }
        Purpose::Url => format!("{VERSION}\n{workspace}\n{id}\nurl"),
    })
}

/// The place of a cookie. A workspace never is empty, so no webhook's place is the same text.
fn cookie_data(name: &str) -> Aad<String> {
    Aad::from(format!("{VERSION}\n\ncookie\n{name}"))
}

impl KeyRing {
    /// The keys that derive from these texts, newest first.
    pub fn derive<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, SealError> {
        let keys = texts.into_iter().map(Key::derive).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(SealError::WeakKey) } else { Ok(Self(keys)) }
    }

    /// Seals with the newest key. The nonce has to be random.
    pub fn seal(
        &self,
        webhook: &WebhookKey,
        purpose: Purpose<'_>,
        text: &str,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Sealed, SealError> {
        self.seal_at(associated_data(webhook, purpose), text, nonce)
    }

    /// Opens what was sealed for this webhook and purpose with any of the keys.
    pub fn open(
        &self,
        webhook: &WebhookKey,
        purpose: Purpose<'_>,
        sealed: &Sealed,
    ) -> Result<String, SealError> {
        self.open_at(associated_data(webhook, purpose), sealed)
    }

    /// Seals what a browser keeps as a cookie of this name. The nonce has to be random.
    pub fn seal_cookie(
        &self,
        name: &str,
        text: &str,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Sealed, SealError> {
        self.seal_at(cookie_data(name), text, nonce)
    }

    /// Opens what was sealed as a cookie of this name with any of the keys.
    pub fn open_cookie(&self, name: &str, sealed: &Sealed) -> Result<String, SealError> {
        self.open_at(cookie_data(name), sealed)
    }

    fn seal_at(
        &self,
        place: Aad<String>,
        text: &str,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Sealed, SealError> {
        let newest = self.0.first().ok_or(SealError::WeakKey)?;
        let mut sealed = text.as_bytes().to_vec();
        let tag = newest.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            place,
            &mut sealed,
        );
        let tag = tag.map_err(|_| SealError::Unreadable)?;
        let bytes = [nonce.as_slice(), &sealed, tag.as_ref()].concat();
        Ok(Sealed(format!("{VERSION}.{}.{}", newest.id, URL_SAFE_NO_PAD.encode(bytes))))
    }

    fn open_at(&self, place: Aad<String>, sealed: &Sealed) -> Result<String, SealError> {
        let (id, encoded) = parts(sealed).ok_or(SealError::Unreadable)?;
        let key = self
            .0
            .iter()
            .find(|key| key.id == id)
            .ok_or_else(|| SealError::UnknownKey(id.to_owned()))?;
        let mut bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| SealError::Unreadable)?;
        let (nonce, sealed) =
            bytes.split_at_mut_checked(NONCE_BYTES).ok_or(SealError::Unreadable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Unreadable)?;
        let opened =
            key.key.open_in_place(nonce, place, sealed).map_err(|_| SealError::Unreadable)?;
        String::from_utf8(opened.to_vec()).map_err(|_| SealError::Unreadable)
    }

    /// Says whether a text was sealed with the newest key.
    pub fn is_newest(&self, sealed: &Sealed) -> bool {
        parts(sealed).is_some_and(|(id, _)| self.0.first().is_some_and(|newest| newest.id == id))
    }

    /// Opens all that a webhook stores sealed.
    pub fn credentials(&self, webhook: &Webhook) -> Result<Credentials, SealError> {
        let key = &webhook.key;
        let secrets = webhook.secrets.try_map(|sealed| {
            Secret::parse(&self.open(key, Purpose::Secret, sealed)?)
                .map_err(|_| SealError::Unreadable)
        })?;
        let headers = webhook.headers.try_map(|name, sealed| {
            self.open(key, Purpose::Header(name), sealed).map(HeaderValue::stored)
        })?;
        Ok(Credentials { secrets, headers, url: self.url(webhook)? })
    }

    /// Opens where a webhook's requests go.
    pub fn url(&self, webhook: &Webhook) -> Result<PublicUrl, SealError> {
        match &webhook.settings.url {
            StoredUrl::Open(url) => Ok(url.clone()),
            StoredUrl::Sealed { sealed, .. } => {
                let text = self.open(&webhook.key, Purpose::Url, sealed)?;
                PublicUrl::try_from(text).map_err(|_| SealError::Unreadable)
            }
        }
    }
}

fn parts(sealed: &Sealed) -> Option<(&str, &str)> {
    sealed.0.strip_prefix(VERSION)?.strip_prefix('.')?.split_once('.')
}

impl Key {
    /// HKDF-SHA256 (RFC 5869) without a salt: one output is the key, another its id, which tells
    /// nothing of the key.
    fn derive(text: &str) -> Result<Self, SealError> {
        if text.len() < MIN_TEXT_BYTES {
            return Err(SealError::WeakKey);
        }
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(text.as_bytes());
        let key = extracted
            .expand(&[b"posthaste AES-256-GCM"], &AES_256_GCM)
            .map_err(|_| SealError::WeakKey)?;
        let mut id = [0; KEY_ID_BYTES];
        let expanded =
            extracted.expand(&[b"posthaste key id"], IdLength).map_err(|_| SealError::WeakKey)?;
        expanded.fill(&mut id).map_err(|_| SealError::WeakKey)?;
        Ok(Self { id: hex::encode(id), key: LessSafeKey::new(UnboundKey::from(key)) })
    }
}

struct IdLength;

impl hkdf::KeyType for IdLength {
    fn len(&self) -> usize {
        KEY_ID_BYTES
    }
}

#[cfg(test)]
mod tests {
    use posthaste_domain::{access::workspace::Workspace, id::WebhookId};
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab";
    const OTHER: &str = "zzzdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab";

    fn key(workspace: &str, id: u64) -> WebhookKey {
        WebhookKey { workspace: Workspace::parse(workspace).unwrap(), id: WebhookId(id) }
    }

    fn ring(texts: &[&str]) -> KeyRing {
        KeyRing::derive(texts.iter().copied()).unwrap()
    }

    fn header(name: &str) -> HeaderName {
        serde_json::from_value(name.into()).unwrap()
    }

    /// Computed with another implementation: Python's `cryptography`.
    #[test]
    fn the_format_stays_as_it_is() {
        let webhook = key("acme", 42);
        let sealed =
            ring(&[TEXT]).seal(&webhook, Purpose::Secret, "whsec_x", [7; NONCE_BYTES]).unwrap();
        assert_eq!(sealed.0, "v1.57945ebf.BwcHBwcHBwcHBwcH4isUbNXKoNpveD9CR2R3aLpsdvkSDk0");
        let name = header("X-Key");
        let sealed =
            ring(&[TEXT]).seal(&webhook, Purpose::Header(&name), "abc", [8; NONCE_BYTES]).unwrap();
        assert_eq!(sealed.0, "v1.57945ebf.CAgICAgICAgICAgIT0Z24NCpR4mPB69cziJF-1-PZA");
        let sealed = ring(&[TEXT])
            .seal(&webhook, Purpose::Url, "https://example.com/a", [9; NONCE_BYTES])
            .unwrap();
        assert_eq!(
            sealed.0,
            "v1.57945ebf.CQkJCQkJCQkJCQkJq2xNza0cwt-hzqI4VJr3TfS-N8_aGsSsI0s5aMnBUwaksQsRyQ"
        );
    }

    #[test]
    fn the_newest_key_seals_and_every_key_opens() {
        let webhook = key("acme", 1);
        let old = ring(&[TEXT]).seal(&webhook, Purpose::Secret, "x", [1; NONCE_BYTES]).unwrap();
        let both = ring(&[OTHER, TEXT]);
        assert_eq!(both.open(&webhook, Purpose::Secret, &old), Ok("x".to_owned()));
        assert!(!both.is_newest(&old) && ring(&[TEXT]).is_newest(&old));
        let new = both.seal(&webhook, Purpose::Secret, "x", [2; NONCE_BYTES]).unwrap();
        assert!(both.is_newest(&new));
        assert!(matches!(
            ring(&[TEXT]).open(&webhook, Purpose::Secret, &new),
            Err(SealError::UnknownKey(_))
        ));
        assert_eq!(ring(&[OTHER]).open(&webhook, Purpose::Secret, &new), Ok("x".to_owned()));
    }

    #[test]
    fn what_is_sealed_for_one_place_opens_at_no_other() {
        let ring = ring(&[TEXT]);
        let (name, token) = (header("x-key"), header("x-token"));
        let sealed =
            ring.seal(&key("acme", 1), Purpose::Header(&name), "x", [1; NONCE_BYTES]).unwrap();
        assert_eq!(
            ring.open(&key("acme", 1), Purpose::Header(&header("X-KEY")), &sealed),
            Ok("x".to_owned())
        );
        for (webhook, purpose) in [
            (&key("acme", 2), Purpose::Header(&name)),
            (&key("other", 1), Purpose::Header(&name)),
            (&key("acme", 1), Purpose::Header(&token)),
            (&key("acme", 1), Purpose::Secret),
            (&key("acme", 1), Purpose::Url),
        ] {
            assert_eq!(
                ring.open(webhook, purpose, &sealed),
                Err(SealError::Unreadable),
                "{webhook:?} {purpose:?}"
            );
        }
    }

    #[test]
    fn weak_keys_and_other_texts_are_refused() {
        assert_eq!(KeyRing::derive(["short"]).err(), Some(SealError::WeakKey));
        assert_eq!(KeyRing::derive([]).err(), Some(SealError::WeakKey));
        let webhook = key("acme", 1);
        for text in ["", "whsec_AAAA", "v1", "v1.", "v2.00000000.AAAA", "v1..!"] {
            let opened = ring(&[TEXT]).open(&webhook, Purpose::Secret, &Sealed(text.to_owned()));
            assert!(
                matches!(opened, Err(SealError::Unreadable | SealError::UnknownKey(_))),
                "{text}"
            );
        }
        let shown = format!("{:?}", ring(&[TEXT]));
        assert_eq!(shown.len(), "KeyRing([01234567])".len(), "{shown}");
    }

    proptest! {
        #[test]
        fn any_text_opens_as_it_was_and_not_when_a_bit_of_it_was_changed(
            text in "\\PC{0,80}", nonce: [u8; NONCE_BYTES], at: prop::sample::Index, bit in 0_u8..8,
        ) {
            let webhook = key("acme", 1);
            let ring = ring(&[TEXT]);
            let sealed = ring.seal(&webhook, Purpose::Secret, &text, nonce).unwrap();
            prop_assert_eq!(ring.open(&webhook, Purpose::Secret, &sealed), Ok(text.clone()));
            let (head, encoded) = sealed.0.rsplit_once('.').unwrap();
            prop_assert!(text.is_empty() || !sealed.0.contains(&text) || text.len() < 8);
            let mut bytes = URL_SAFE_NO_PAD.decode(encoded).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let changed = Sealed(format!("{head}.{}", URL_SAFE_NO_PAD.encode(bytes)));
            prop_assert_eq!(
                ring.open(&webhook, Purpose::Secret, &changed), Err(SealError::Unreadable)
            );
        }
    }
}
