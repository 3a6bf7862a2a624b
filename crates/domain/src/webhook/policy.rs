//! A webhook's policy says what happens around its attempts, beside its retries. The documents of
//! the vendors differ in these parts of a programme.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    input::{Shape, one_of},
};

/// The longest wait that a webhook can let its endpoint ask for, in seconds.
pub const MAX_RETRY_AFTER_SECONDS: u16 = 3600;
/// The most days after which a webhook can be disabled.
pub const MAX_DISABLE_AFTER_DAYS: u16 = 365;

/// The secret that signs `X-Webhook-Signature` while a rotation lets two secrets sign. The header
/// has room for one signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RotationSignature {
    /// The newest secret signs at once: receivers know it before they ask for a rotation.
    #[default]
    New,
    /// The secret before the newest signs until its overlap has ended: a receiver that knows one
    /// secret changes over then.
    Old,
}

impl RotationSignature {
    /// Both choices, with the name that the API uses.
    pub const NAMES: [(&'static str, Self); 2] = [("new", Self::New), ("old", Self::Old)];
}

impl Shape for RotationSignature {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        one_of(at, json, &Self::NAMES, "invalid_rotation_signature")
    }
}

/// The rules by which a webhook is disabled for what its endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policing {
    /// A webhook that has done nothing but fail for this long is disabled; none never is.
    pub disable_after: Option<Duration>,
    /// True if an answer with status 410 disables the webhook at once.
    pub disable_on_410: bool,
}

/// The bounds of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestBounds {
    /// The most events in one request.
    pub events: usize,
    /// The most bytes of a body with several events. A single event may be larger.
    pub bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_serde_writes() {
        for (name, choice) in RotationSignature::NAMES {
            assert_eq!(serde_json::to_value(choice).unwrap(), name);
        }
    }
}
