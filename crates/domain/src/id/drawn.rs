//! Ids that are drawn once: UUIDv7s of the time at which a thing was made.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Entropy, Nonce, version_7};

/// The id of an API key, for listing and revoking it. It is no secret and tells nothing about the
/// key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub(super) Uuid);

impl KeyId {
    /// Draws a UUIDv7 of the time at which the key was made.
    pub fn new(now: Timestamp, entropy: &Entropy) -> Self {
        Self(version_7(now, entropy))
    }
}

/// The id of a portal link, for listing and ending it. It is no secret and tells nothing about the
/// link's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortalLinkId(pub(super) Uuid);

impl PortalLinkId {
    /// Draws a UUIDv7 of the time at which the link was made.
    pub fn new(now: Timestamp, entropy: &Entropy) -> Self {
        Self(version_7(now, entropy))
    }
}

/// The id of a replay of many deliveries: a UUIDv7 of the time at which it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub(super) Uuid);

impl JobId {
    /// Draws a UUIDv7 of the time at which the replay was asked for.
    pub fn new(now: Timestamp, entropy: &Entropy) -> Self {
        Self(version_7(now, entropy))
    }

    /// The nonce of the job: its deliveries differ from those of any other replay, and a repeated
    /// page of it finds its own again.
    pub fn nonce(&self) -> Nonce {
        self.0.into_bytes()
    }
}

/// The id of a simulation: a UUIDv7 of the time at which it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SimulationId(pub(super) Uuid);

impl SimulationId {
    /// Draws a UUIDv7 of the time at which the simulation was started.
    pub fn new(now: Timestamp, entropy: &Entropy) -> Self {
        Self(version_7(now, entropy))
    }
}
