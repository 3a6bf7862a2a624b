//! Typed ids. Each begins with its time, so sorting by id is sorting by time. Each is either drawn
//! once at the edge or derived from the thing that it names, so that repeated work meets the record
//! of the first time.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

mod drawn;

pub use drawn::{JobId, KeyId, PortalLinkId, SimulationId};

/// The random part of an [`EventId`] or a [`KeyId`]: ten bytes from the operating system.
pub type Entropy = [u8; 10];

/// The mark that all events of one call share: four random bytes, or a hash of the call's random
/// seed.
pub type CallMark = [u8; 4];

/// The id of an accepted event. It is a UUIDv7 from `ingest`. It is a UUIDv8 that derives from the
/// stored call if the call has an idempotency key, and from the SQS message or the EventBridge
/// envelope if the event came straight to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// Draws a UUIDv7 (RFC 9562, section 5.7) of the time of acceptance.
    pub fn new(now: Timestamp, entropy: &Entropy) -> Self {
        Self(version_7(now, entropy))
    }

    /// The id of the `nth` event of a call that may be repeated: every repeat derives the same from
    /// the call's time of acceptance and its random `seed`. Someone who does not know the seed can
    /// guess it no better than a UUIDv7.
    pub fn of_call(accepted_at: Timestamp, seed: &Entropy, nth: usize) -> Self {
        Self(derived(unix_ms(accepted_at), &[b"call", seed, &(nth as u64).to_be_bytes()]))
    }

    /// Marks this id as that of the `nth` event of a call. The place is in the 12 bits after the
    /// time, so that events of one call, which share a millisecond, sort in the order of the call
    /// (RFC 9562, section 6.2, method 1). The mark, of which 30 bits are kept, tells the events of
    /// the call from others of the same millisecond.
    pub fn of(self, call: CallMark, nth: usize) -> Self {
        let mut bytes = *self.0.as_bytes();
        let [high, low] = u16::try_from(nth).unwrap_or(u16::MAX).min(0x0fff).to_be_bytes();
        (bytes[6], bytes[7]) = ((bytes[6] & 0xf0) | high, low);
        bytes[8..12].copy_from_slice(&call);
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(Uuid::from_bytes(bytes))
    }

    /// The place of this event in the call that accepted it, if the same call accepted the other
    /// event too.
    pub fn place_in_call_of(&self, other: &Self) -> Option<usize> {
        let (bytes, other) = (self.0.as_bytes(), other.0.as_bytes());
        let is_same = bytes[..6] == other[..6] && bytes[8..12] == other[8..12];
        is_same.then(|| usize::from(bytes[6] & 0x0f) << 8 | usize::from(bytes[7]))
    }

    /// The id that names the call which accepted this event: all events of the call have the same
    /// one. No event has it.
    pub fn call(&self) -> Self {
        let mut bytes = *self.first_at_place(0).0.as_bytes();
        bytes[8..12].copy_from_slice(&self.0.as_bytes()[8..12]);
        Self(Uuid::from_bytes(bytes))
    }

    /// The bound below the ids that the events at this place of their calls have, for calls of the
    /// same millisecond as the call that accepted this event.
    pub fn first_at_place(&self, nth: usize) -> Self {
        let mut bytes = *self.of(CallMark::default(), nth).0.as_bytes();
        bytes[8..].fill(0);
        Self(Uuid::from_bytes(bytes))
    }

    /// The mark of a call that may be repeated. It derives from the call's random `seed`.
    pub fn mark_of_call(seed: &Entropy) -> CallMark {
        let mut mark = CallMark::default();
        mark.copy_from_slice(
            &Sha256::new().chain_update(b"mark").chain_update(seed).finalize()[..4],
        );
        mark
    }

    /// The id of an event that was sent straight to the events queue: its SentTimestamp and a hash
    /// of its SQS message id, so that a message that SQS delivers twice is one event.
    pub fn of_message(message_id: &str, sent: Timestamp) -> Self {
        Self(derived(unix_ms(sent), &[b"event", message_id.as_bytes()]))
    }

    /// The id of an event that EventBridge sent: the time and the id of its envelope, so that all
    /// rules that match an event send one and the same event.
    pub fn of_envelope(id: &str, time: Timestamp) -> Self {
        Self(derived(unix_ms(time), &[b"envelope", id.as_bytes()]))
    }

    /// The id of an operational event, from its type, the thing that it is about, and its time.
    /// Announcing the same thing again gives the same id.
    pub fn of_operation(name: &str, about: &str, at: Timestamp) -> Self {
        Self(derived(unix_ms(at), &[b"operation", name.as_bytes(), about.as_bytes()]))
    }

    /// The id of the `nth` event of a simulation, which happens at this time. Sending it again gives
    /// the same id.
    pub fn of_simulation(simulation: SimulationId, nth: u32, at: Timestamp) -> Self {
        let parts: [&[u8]; 3] = [b"simulation", simulation.0.as_bytes(), &nth.to_be_bytes()];
        Self(derived(unix_ms(at), &parts))
    }

    /// The time at which the event was accepted, in whole milliseconds.
    pub fn time(&self) -> Timestamp {
        time_of(&self.0)
    }

    /// The id's 128 bits.
    pub fn as_number(&self) -> u128 {
        self.0.as_u128()
    }

    /// Tells whether the id has a form that tells a time: UUIDv7 or v8.
    pub fn is_ours(&self) -> bool {
        matches!(self.0.get_version_num(), 7 | 8)
    }

    /// The bound above every id.
    pub const LAST: Self = Self(Uuid::max());

    /// The smallest id that an event of this time can have: the bound of a time range over ids.
    pub fn first_at(time: Timestamp) -> Self {
        Self(with_time(unix_ms(time), [0; 10], 0))
    }
}

/// The id of a registered webhook: an integer from a counter, as the Spectra document's
/// registration answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookId(pub u64);

impl WebhookId {
    /// The webhook's UUID, which the payload of the Dataspike document carries: a UUIDv8 of the
    /// time at which the webhook was registered and a hash of its number.
    pub fn uuid(self, registered: Timestamp) -> Uuid {
        derived(unix_ms(registered), &[b"webhook", &self.0.to_be_bytes()])
    }
}

/// The id of several deliveries that share a request, and keep sharing it when it is made again. It
/// is a UUIDv8 of the first one's time and a hash of them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(Uuid);

impl BatchId {
    /// The id of these deliveries in this order; none for no delivery.
    pub fn derive(deliveries: &[DeliveryId]) -> Option<Self> {
        let first = deliveries.first()?;
        let parts: Vec<&[u8]> = std::iter::once(b"batch".as_slice())
            .chain(deliveries.iter().map(|id| id.0.as_bytes().as_slice()))
            .collect();
        Some(Self(derived(unix_ms(first.time()), &parts)))
    }
}

/// Tells one replay or test from every other: random bytes, or the id of a job.
pub type Nonce = [u8; 16];

/// The reason why a delivery exists. The same event may go to the same webhook once for each cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The event was published while the webhook subscribed to it.
    Published,
    /// A person asked for the event again.
    Replayed(Nonce),
    /// A person wanted to see the endpoint's answer to a sample.
    Test(Nonce),
}

impl Cause {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Published => b"published".to_vec(),
            Self::Replayed(nonce) => [b"replayed".as_slice(), nonce].concat(),
            Self::Test(nonce) => [b"test".as_slice(), nonce].concat(),
        }
    }
}

/// The reason why a delivery exists. `published`: its event was published. `replay`: a person asked
/// for it again. `test`: it is a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Cause))]
pub enum CauseKind {
    /// The event was published.
    #[default]
    Published,
    /// The event was asked for again.
    Replay,
    /// The event is a sample.
    Test,
}

impl CauseKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Published, Self::Replay, Self::Test];

    /// The name that the API and the table use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Replay => "replay",
            Self::Test => "test",
        }
    }

    /// Finds the kind of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Tells whether it is the usual kind, which is not written down.
    pub fn is_published(&self) -> bool {
        *self == Self::Published
    }
}

/// The id of a delivery, which is the obligation to bring one event to one webhook: a UUIDv8 of the
/// event's time and a hash of event, webhook and cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(Uuid);

impl DeliveryId {
    /// The bound above every id.
    pub const LAST: Self = Self(Uuid::max());

    /// The id that every run of fan-out computes for this event, webhook and cause.
    pub fn derive(event: EventId, webhook: WebhookId, cause: Cause) -> Self {
        let parts: [&[u8]; 4] =
            [b"delivery", event.0.as_bytes(), &webhook.0.to_be_bytes(), &cause.bytes()];
        Self(derived(unix_ms(event.time()), &parts))
    }

    /// The time at which the event was accepted, in whole milliseconds.
    pub fn time(&self) -> Timestamp {
        time_of(&self.0)
    }

    /// The smallest id that a delivery of this time can have: the bound of a time range over ids.
    pub fn first_at(time: Timestamp) -> Self {
        Self(with_time(unix_ms(time), [0; 10], 0))
    }

    /// The place of this delivery among the deliveries of another time, in a list. No delivery has
    /// this id.
    pub fn placed_at(&self, time: Timestamp) -> Self {
        let mut bytes = *self.0.as_bytes();
        bytes[..6].copy_from_slice(&unix_ms(time).to_be_bytes()[2..]);
        Self(Uuid::from_bytes(bytes))
    }
}

macro_rules! uuid_text {
    ($($id:ty),+) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $id {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl $id {
            /// Takes back an id that was written with [`Self::to_bytes`].
            pub const fn of_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes of the id.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }

            /// The last byte of the id, which is evenly distributed, for choosing a shard.
            pub fn spread(&self) -> u8 {
                self.0.as_bytes()[15]
            }
        }
    )+};
}
uuid_text!(EventId, KeyId, PortalLinkId, DeliveryId, BatchId, JobId, SimulationId);

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for WebhookId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

fn version_7(now: Timestamp, entropy: &Entropy) -> Uuid {
    with_time(unix_ms(now), *entropy, 7)
}

fn derived(unix_ms: u64, parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut rest = [0; 10];
    rest.copy_from_slice(&digest[..10]);
    with_time(unix_ms, rest, 8)
}

/// Builds a UUID (RFC 9562): 48 bits of Unix milliseconds, the version, and the rest with the
/// variant bits `10`.
fn with_time(unix_ms: u64, rest: [u8; 10], version: u8) -> Uuid {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&rest);
    bytes[6] = (bytes[6] & 0x0f) | (version << 4);
    if version != 0 {
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
    }
    Uuid::from_bytes(bytes)
}

fn unix_ms(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or(0)
}

fn time_of(id: &Uuid) -> Timestamp {
    let mut bytes = [0; 8];
    bytes[2..].copy_from_slice(&id.as_bytes()[..6]);
    let ms = i64::try_from(u64::from_be_bytes(bytes)).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
