//! W3C trace context (<https://www.w3.org/TR/trace-context/>): the header `traceparent`, which
//! joins what happens to an event in several systems.
//!
//! A producer's `traceparent` travels with its events: beside the message of the events queue, and
//! in the event from then on. An event without one begins a trace of its own, whose id is the
//! event's. So it needs no field, and every retry, replay and copy of a message finds the same
//! trace id, also for events of a version that knew no traces.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::id::{DeliveryId, EventId};

/// The name of the header of a publishing call, of the attribute of a message of the events queue,
/// and of the header of every request to a webhook.
pub const HEADER: &str = "traceparent";

/// The number of characters of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// A trace, which joins the steps of one event in several systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    sampled: bool,
}

/// The id of one step within a trace, here of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId(u64);

/// A trace, and the step from which the reader goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace that the step belongs to.
    pub trace: Trace,
    /// The step within the trace.
    pub span: SpanId,
}

impl SpanId {
    /// Makes an id of random bytes. Zero would mean that there is none, so it becomes one.
    pub const fn new(entropy: [u8; 8]) -> Self {
        match u64::from_be_bytes(entropy) {
            0 => Self(1),
            id => Self(id),
        }
    }

    /// Derives the id of the attempt that begins at this time, whose request has this delivery
    /// first. So the request can be made again, to be shown.
    pub fn of_attempt(first: DeliveryId, began: Timestamp) -> Self {
        let mut hash = Sha256::new_with_prefix(b"span");
        hash.update(first.to_bytes());
        hash.update(began.as_nanosecond().to_be_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&hash.finalize()[..8]);
        Self::new(id)
    }
}

impl TraceParent {
    /// Reads a `traceparent`; none if it is invalid and has to be ignored. Parts that a newer
    /// version adds are ignored.
    pub fn parse(text: &str) -> Option<Self> {
        let (known, added) = text.as_bytes().split_at_checked(LENGTH)?;
        let mut parts = known.split(|byte| *byte == b'-');
        let version = hex_digits(parts.next(), 2)?;
        let trace = number(hex_digits(parts.next(), 32)?).filter(|id| *id != 0)?;
        let span = number(hex_digits(parts.next(), 16)?).filter(|span| *span != 0)?;
        let flags = number(hex_digits(parts.next(), 2)?)?;
        let is_readable = match version {
            b"00" => added.is_empty(),
            b"ff" => false,
            _ => added.is_empty() || added.starts_with(b"-"),
        };
        let trace = Trace { id: trace, sampled: flags & 1 == 1 };
        is_readable.then_some(Self { trace, span: SpanId(u64::try_from(span).ok()?) })
    }

    /// Reads the headers of this name that a call has. Several of them count as none, because
    /// nobody can tell which one is meant.
    pub fn of_headers<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let value = values.next()?;
        values.next().is_none().then(|| str::from_utf8(value).ok().and_then(Self::parse)).flatten()
    }

    /// Reads the field of an event. A value that can't be read is ignored.
    pub(crate) fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Self>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.and_then(|text| Self::parse(&text)))
    }
}

/// A part of a `traceparent`, if it has this many digits.
fn hex_digits(part: Option<&[u8]>, length: usize) -> Option<&[u8]> {
    let is_hex = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    part.filter(|part| part.len() == length && part.iter().all(is_hex))
}

fn number(digits: &[u8]) -> Option<u128> {
    u128::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

impl Trace {
    /// The trace that an event without a `traceparent` begins. It counts as sampled: to most
    /// receivers that is the same as no trace at all, while one that is not sampled would silence
    /// their own.
    pub(crate) fn begun_by(event: EventId) -> Self {
        Self { id: event.as_number(), sampled: true }
    }
}

impl fmt::Display for Trace {
    /// Writes the trace's id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.id)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.trace.sampled))
    }
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Event, testing};

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_as_it_was() {
        for text in [GIVEN, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"] {
            assert_eq!(TraceParent::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_newer_version_is_read_as_far_as_it_is_known() {
        let newer = GIVEN.replacen("00", "cc", 1);
        for text in
            [newer.clone(), format!("{newer}-what-the-future-holds"), GIVEN.replace("-01", "-09")]
        {
            assert_eq!(TraceParent::parse(&text).unwrap().to_string(), GIVEN, "{text}");
        }
    }

    #[test]
    fn an_invalid_one_is_ignored() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for text in [
            String::new(),
            "00".to_owned(),
            GIVEN.to_uppercase(),
            GIVEN.replacen("00", "ff", 1),
            GIVEN.replace(trace, &"0".repeat(32)),
            GIVEN.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GIVEN.replace('-', "_"),
            GIVEN.replace("4bf9", "4bg9"),
            GIVEN.replace("4bf9", "+bf9"),
            GIVEN.replace("4bf92", "4bf9-2"),
            format!("{GIVEN}-00"),
            format!(" {GIVEN}"),
            format!("{}.00", GIVEN.replacen("00", "cc", 1)),
            format!("{}é", &GIVEN[..54]),
        ] {
            assert_eq!(TraceParent::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn two_headers_are_as_none() {
        let of =
            |values: &[&str]| TraceParent::of_headers(values.iter().map(|value| value.as_bytes()));
        assert_eq!(of(&[GIVEN]), TraceParent::parse(GIVEN));
        assert_eq!(
            [of(&[]), of(&[GIVEN, GIVEN]), TraceParent::of_headers([&b"\xff"[..]].into_iter())],
            [None; 3]
        );
    }

    #[test]
    fn an_event_without_a_trace_is_one_of_its_own() {
        let event = testing::event(1, "order.created", "{}");
        let request = TraceParent { trace: event.trace(), span: SpanId::new([0; 8]) };
        let id = event.id.to_string().replace('-', "");
        assert_eq!(request.to_string(), format!("00-{id}-0000000000000001-01"));
        assert_eq!(TraceParent::parse(&request.to_string()), Some(request));
        let traced = Event { traceparent: TraceParent::parse(GIVEN), ..event };
        assert_eq!(traced.trace().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn an_event_carries_its_trace_and_one_that_is_none_is_ignored() {
        let event = Event {
            traceparent: TraceParent::parse(GIVEN),
            ..testing::event(1, "order.created", "{}")
        };
        let json = serde_json::to_string(&event).unwrap();
        assert!(json.contains(&format!(r#""traceparent":"{GIVEN}""#)), "{json}");
        let read = |json: &str| serde_json::from_str::<Event>(json).unwrap().traceparent;
        assert_eq!(read(&json), event.traceparent);
        assert_eq!(read(&json.replace(GIVEN, "something else")), None);
        assert_eq!(
            read(&serde_json::to_string(&testing::event(1, "order.created", "{}")).unwrap()),
            None
        );
    }
}
