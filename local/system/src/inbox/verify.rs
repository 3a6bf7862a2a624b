//! Both signatures of a request are verified as a receiver does it: one with the `standardwebhooks`
//! library, one with an HMAC computed here.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;

/// The validity of a request's signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signatures {
    /// `webhook-signature` is valid for the body, the `webhook-id` and a `webhook-timestamp` of the
    /// last minutes.
    pub standard: bool,
    /// `x-webhook-signature` is valid for the body. Its key is the text of the secret.
    pub spectra: bool,
}

/// Verifies both signatures of a request with this secret.
pub fn verify(secret: &str, headers: &BTreeMap<String, String>, body: &[u8]) -> Signatures {
    Signatures {
        standard: standard(secret, headers, body).is_some(),
        spectra: spectra(secret, headers, body).is_some(),
    }
}

fn standard(secret: &str, headers: &BTreeMap<String, String>, body: &[u8]) -> Option<()> {
    let mut signed = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        signed.insert(name, headers.get(name)?.parse().ok()?);
    }
    standardwebhooks::Webhook::new(secret).ok()?.verify(body, &signed).ok()
}

fn spectra(secret: &str, headers: &BTreeMap<String, String>, body: &[u8]) -> Option<()> {
    let given = hex::decode(headers.get("x-webhook-signature")?.strip_prefix("sha256=")?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(body);
    mac.verify_slice(&given).ok()
}
