//! A webhook's signing secret, and texts that are stored encrypted.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

const PREFIX: &str = "whsec_";

/// 32 random bytes, shown to the customer once as `whsec_<base64>` (Standard Webhooks). It can't be
/// printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

/// The error about a text that is no secret. It does not repeat the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a secret is whsec_ and the base64 of 32 bytes")]
pub struct BadSecret;

impl Secret {
    /// Makes a secret of these random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// Reads what [`Secret::reveal`] wrote.
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        let bytes = text.strip_prefix(PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(BadSecret)
    }

    /// The form that is shown once and stored: `whsec_<base64>`.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.0))
    }

    /// The bytes, which key the Standard Webhooks signature.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A confidential text as it is stored: encrypted, so that nobody reads it without the key ring.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub String);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_was_shown_and_never_printed() {
        let secret = Secret::new([7; 32]);
        assert_eq!(secret.reveal(), "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        assert_eq!(Secret::parse(&secret.reveal()), Ok(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in
            ["", "whsec_", "whsec_AAAA", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "whsec_!"]
        {
            assert_eq!(Secret::parse(bad), Err(BadSecret), "{bad}");
        }
    }
}
