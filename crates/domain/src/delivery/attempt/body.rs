//! The body of an answer as an attempt keeps it.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// The encoding of a body that is not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Encoding {
    /// Base64 with padding (RFC 4648, section 4).
    Base64,
}

/// Writes a body as text if it is some, else in base64. A character that was cut off at the end is
/// left out.
pub(super) fn written(body: &[u8]) -> (String, Option<Encoding>) {
    let text = match std::str::from_utf8(body) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&body[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    match text {
        Some(text) if !text.chars().any(is_binary) => (text.to_owned(), None),
        _ => (STANDARD.encode(body), Some(Encoding::Base64)),
    }
}

/// Tells whether a character makes a body binary. As JSON each of these would take six times its
/// size.
fn is_binary(char: char) -> bool {
    char.is_control() && !matches!(char, '\n' | '\r' | '\t')
}
