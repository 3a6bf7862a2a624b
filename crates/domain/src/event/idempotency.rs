//! A publishing call may come again with the same `Idempotency-Key`: these rules say what that
//! means.
//!
//! A call with a key is *started* when it is written down, before any of its events is sent, and
//! *sent* when the events queue has all of them. The record holds a hash of the body, the time of
//! acceptance and a random seed: from these and the body every repeat computes the same event ids
//! and so the same answer, and no answer has to be stored.
//!
//! For 24 hours after its acceptance, a repeat with the same body
//! - of a call that is sent gets the answer and sends nothing;
//! - of a call that is only started (it died, failed, or still runs) sends all events again, under
//!   the same ids: there is one event for each id, although a receiver may see a delivery twice,
//!   with one id, as after any fault.
//!
//! A repeat with another body is refused. Bodies are compared byte for byte. A key belongs to its
//! workspace.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{
    Invalid,
    id::{Entropy, EventId},
    input::InvalidKind,
};

/// The name of the header, which complaints give as the field.
pub const HEADER: &str = "Idempotency-Key";
/// The most characters of a key.
pub const MAX_KEY_LENGTH: usize = 255;
/// A call is known by its key for this long after its acceptance.
pub const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The name that a client gives one publishing call, however often it makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads a header's value: 1 to 255 visible ASCII characters. A comma is not allowed, because
    /// API Gateway joins headers of one name with commas.
    pub fn parse(value: &[u8]) -> Result<Self, Invalid> {
        let text = str::from_utf8(value).ok();
        text.filter(|text| is_key(text)).map(|key| Self(key.to_owned())).ok_or_else(|| {
            let message = format!(
                "{HEADER} has to be 1 to {MAX_KEY_LENGTH} visible ASCII characters without a \
                 comma, and given once"
            );
            Invalid::field(HEADER, "invalid_idempotency_key", message)
        })
    }

    /// The SHA-256 of the key in hex, under which its call is stored.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }
}

fn is_key(text: &str) -> bool {
    (1..=MAX_KEY_LENGTH).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// The SHA-256 of a body in hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyHash(String);

impl BodyHash {
    /// The hash of these bytes.
    pub fn of(body: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(body)))
    }

    /// The hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for BodyHash {
    fn from(hex: String) -> Self {
        Self(hex)
    }
}

/// A call with a key, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedCall {
    /// The hash of the call's body.
    pub body: BodyHash,
    /// The time at which the call was accepted, in whole milliseconds. Its events have the same
    /// time.
    pub accepted_at: Timestamp,
    /// The random seed from which the event ids derive. It also tells this call from a later one
    /// with the same key.
    pub seed: Entropy,
    /// True if the events queue has all its events.
    pub sent: bool,
    /// True if its event ids sort in the order of the call. The version before wrote calls for
    /// which that is false.
    pub is_ordered: bool,
}

impl KeyedCall {
    /// A call that is accepted `now`.
    pub fn start(body: &[u8], now: Timestamp, seed: Entropy) -> Self {
        Self { body: BodyHash::of(body), accepted_at: now, seed, sent: false, is_ordered: true }
    }

    /// The ids of the events, in the order of the call.
    pub fn event_ids(&self, count: usize) -> Vec<EventId> {
        let mark = EventId::mark_of_call(&self.seed);
        let mut ids = Vec::with_capacity(count);
        for nth in 0..count {
            let id = EventId::of_call(self.accepted_at, &self.seed, nth);
            ids.push(if self.is_ordered { id.of(mark, nth) } else { id });
        }
        ids
    }

    /// The time at which the key is free again, in Unix seconds: never earlier than [`LIFE`] after
    /// the acceptance.
    pub fn expires_at(&self) -> i64 {
        (self.accepted_at + LIFE).as_second() + 1
    }

    /// Refuses a repeat with another body.
    pub fn repeated_with(&self, body: &BodyHash) -> Result<(), Invalid> {
        if self.body == *body {
            return Ok(());
        }
        Err(Invalid {
            kind: InvalidKind::Conflicting,
            code: "idempotency_key_reused",
            message: format!(
                "this {HEADER} belongs to a call with another body within the last 24 hours"
            ),
            field: Some(HEADER.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn the_hash_of_a_body_is_its_sha_256_in_hex() {
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(BodyHash::of(b"").as_str(), of_nothing);
    }

    #[test]
    fn a_key_that_is_refused_names_the_header() {
        for key in ["", "a b", "a\n", "schlüssel", "a1,a2", ",", &"x".repeat(256)] {
            let complaint = IdempotencyKey::parse(key.as_bytes()).unwrap_err();
            assert_eq!(
                (complaint.code, complaint.field.as_deref()),
                ("invalid_idempotency_key", Some(HEADER)),
                "{key}"
            );
        }
        assert!(IdempotencyKey::parse(b"\xff").is_err());
        assert!(IdempotencyKey::parse("x".repeat(255).as_bytes()).is_ok());
    }

    #[test]
    fn another_body_is_a_conflict() {
        let call = KeyedCall::start(b"{}", at(0), [0; 10]);
        assert_eq!(call.repeated_with(&BodyHash::of(b"{}")), Ok(()));
        let complaint = call.repeated_with(&BodyHash::of(b"{ }")).unwrap_err();
        assert_eq!(
            (complaint.kind, complaint.code),
            (InvalidKind::Conflicting, "idempotency_key_reused")
        );
        assert_eq!(complaint.field.as_deref(), Some(HEADER));
    }

    proptest! {
        #[test]
        fn a_key_is_any_visible_ascii_but_a_comma(
            key in "[!-+--~]{1,255}", other in "[!-+--~]{1,255}"
        ) {
            let hash = |key: &str| IdempotencyKey::parse(key.as_bytes()).unwrap().hash();
            prop_assert_eq!(hash(&key) == hash(&other), key == other);
        }

        #[test]
        fn a_call_has_distinct_ids_of_its_time(ms in 0i64..1 << 47, seed: [u8; 10], other: [u8; 10]) {
            prop_assume!(seed != other);
            let call = KeyedCall::start(b"{}", at(ms), seed);
            let ids = call.event_ids(100);
            prop_assert_eq!(&ids, &KeyedCall { sent: true, ..call.clone() }.event_ids(100));
            prop_assert!(ids.iter().all(|id| id.time() == at(ms) && id.is_ours()));
            prop_assert!(ids.is_sorted());
            let unordered = KeyedCall { is_ordered: false, ..call.clone() }.event_ids(100);
            prop_assert_eq!(
                unordered[7], EventId::of_call(at(ms), &seed, 7), "as the version before derived it"
            );
            let others = KeyedCall { seed: other, ..call }.event_ids(100);
            prop_assert_eq!(ids.into_iter().chain(others).collect::<BTreeSet<_>>().len(), 200);
        }

        #[test]
        fn a_key_is_kept_for_24_hours_and_not_two_seconds_longer(ms in 0i64..1 << 47) {
            let life = KeyedCall::start(b"{}", at(ms), [0; 10]).expires_at() * 1000 - ms;
            prop_assert!((86_400_000..86_402_000).contains(&life), "{life}");
        }
    }
}
