//! An event: what a client publishes, what travels on the events queue, and what is stored.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Invalid, event_type::EventType, id::EventId, input::Fields, workspace::Workspace};

/// The most bytes that one event may have as it was published: 256 KiB.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;
/// The most bytes of a message on the events queue: an event, and what its acceptance adds. SQS would take 1 MiB, but a DynamoDB
/// item only 400 KB, and one item that is too large fails the whole batch write.
pub const MAX_MESSAGE_BYTES: usize = MAX_EVENT_BYTES + 4 * 1024;
/// The most events in one publishing call.
pub const MAX_EVENTS: usize = 100;
/// The most bytes of one publishing call: 5 MiB. API Gateway takes 10 MB, but a Lambda invocation 6 MB.
pub const MAX_PUBLISH_BYTES: usize = 5 * 1024 * 1024;

/// Something that happened. Its JSON is what the events queue, the task message and the Events table carry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Assigned when it was accepted.
    pub id: EventId,
    /// What sort of thing happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// When it happened, by the producer's word, else when it was accepted.
    pub timestamp: Timestamp,
    /// Whose it is.
    pub workspace: Workspace,
    /// Whom it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The producer's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The producer's JSON object, byte for byte.
    pub data: Box<RawValue>,
}

impl Event {
    /// Reads a message of the events queue: an event as `ingest` sends it, or one that a service sent straight to the queue, which
    /// may leave out `id` and `timestamp`. These then derive from the SQS message.
    pub fn from_message(body: &str, message_id: &str, sent: Timestamp) -> Result<Self, Invalid> {
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(too_large_event(None));
        }
        let mut fields = Fields::of_body(body.as_bytes())?;
        let workspace = fields.required("workspace", WORKSPACE)?;
        let id = fields.optional("id", "a UUID")?.unwrap_or_else(|| EventId::of_message(message_id, sent));
        NewEvent::take(fields).map(|event| event.accept(id, workspace, sent))
    }
}

const WORKSPACE: &str = "a workspace: 1 to 64 of A-Z a-z 0-9 _ . -";

/// What a client publishes.
#[derive(Debug, Clone)]
pub struct NewEvent {
    event_type: EventType,
    timestamp: Option<Timestamp>,
    subject: Option<String>,
    reference: Option<String>,
    data: Box<RawValue>,
}

impl NewEvent {
    /// Reads the body of a publishing call: one event, or `{"events": […]}` with 1 to 100 of them. Tells which form it was.
    pub fn parse_call(body: &[u8]) -> Result<Published, Invalid> {
        if body.len() > MAX_PUBLISH_BYTES {
            return Err(Invalid::too_large(None, format!("a call takes at most {MAX_PUBLISH_BYTES} bytes")));
        }
        let mut fields = Fields::of_body(body)?;
        let Some(events) = fields.optional::<Vec<&RawValue>>("events", "a list of events")? else {
            if body.len() > MAX_EVENT_BYTES {
                return Err(too_large_event(None));
            }
            return Self::take(fields).map(Published::One);
        };
        fields.finish()?;
        if events.is_empty() || events.len() > MAX_EVENTS {
            return Err(Invalid::field("events", "wrong_count", format!("a call takes 1 to {MAX_EVENTS} events")));
        }
        let parse = |(at, raw): (usize, &&RawValue)| {
            let path = format!("events[{at}]");
            if raw.get().len() > MAX_EVENT_BYTES {
                return Err(too_large_event(Some(path)));
            }
            Self::take(Fields::of_object(raw, &path)?)
        };
        events.iter().enumerate().map(parse).collect::<Result<_, _>>().map(Published::Many)
    }

    /// The accepted event.
    pub fn accept(self, id: EventId, workspace: Workspace, now: Timestamp) -> Event {
        Event {
            id,
            event_type: self.event_type,
            timestamp: self.timestamp.unwrap_or(now),
            workspace,
            subject: self.subject,
            reference: self.reference,
            data: self.data,
        }
    }

    fn take(mut fields: Fields<'_>) -> Result<Self, Invalid> {
        let event_type = fields.required::<String>("type", "a text")?;
        let event_type = EventType::parse(event_type)
            .map_err(|error| Invalid::field(fields.at("type"), "invalid_event_type", error.to_string()))?;
        let timestamp = take_timestamp(&mut fields)?;
        let subject = take_short_text(&mut fields, "subject")?;
        let reference = take_short_text(&mut fields, "reference")?;
        let data = fields.raw("data").ok_or_else(|| fields.missing("data"))?;
        if !data.get().starts_with('{') {
            return Err(Invalid::field(
                fields.at("data"),
                "wrong_type",
                format!("{} has to be an object", fields.at("data")),
            ));
        }
        fields.finish()?;
        Ok(Self { event_type, timestamp, subject, reference, data: data.to_owned() })
    }
}

/// The two forms of a publishing call.
#[derive(Debug, Clone)]
pub enum Published {
    /// The body was one event.
    One(NewEvent),
    /// The body was a list of events.
    Many(Vec<NewEvent>),
}

fn too_large_event(field: Option<String>) -> Invalid {
    Invalid::too_large(field, format!("an event takes at most {MAX_EVENT_BYTES} bytes"))
}

/// RFC 3339, or Unix milliseconds as the Spektr documents write them.
fn take_timestamp(fields: &mut Fields<'_>) -> Result<Option<Timestamp>, Invalid> {
    let Some(raw) = fields.raw("timestamp") else { return Ok(None) };
    let text = raw.get();
    let timestamp = match serde_json::from_str::<String>(text) {
        Ok(text) => text.parse().ok(),
        Err(_) => text.parse().ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()),
    };
    let in_range = timestamp.filter(|timestamp| *timestamp >= Timestamp::UNIX_EPOCH);
    in_range.map(Some).ok_or_else(|| {
        let name = fields.at("timestamp");
        let message = format!("{name} has to be an RFC 3339 time or Unix milliseconds, from 1970 on");
        Invalid::field(name, "invalid_timestamp", message)
    })
}

fn take_short_text(fields: &mut Fields<'_>, name: &str) -> Result<Option<String>, Invalid> {
    match fields.optional::<String>(name, "a text")? {
        Some(text) if text.len() > 256 => {
            Err(Invalid::field(fields.at(name), "too_long", format!("{} takes at most 256 bytes", fields.at(name))))
        }
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn one(body: &str) -> Result<Event, Invalid> {
        let id = EventId::new(at(1_700_000_000_000), &[1; 10]);
        match NewEvent::parse_call(body.as_bytes())? {
            Published::One(event) => Ok(event.accept(id, Workspace::parse("acme").unwrap(), at(1_700_000_000_000))),
            Published::Many(_) => panic!("one event was expected"),
        }
    }

    fn field_and_code(result: Result<impl Sized, Invalid>) -> (String, &'static str) {
        let invalid = result.err().expect("an error");
        (invalid.field.unwrap_or_default(), invalid.code)
    }

    #[test]
    fn data_is_kept_byte_for_byte() {
        for data in
            [r#"{"a":1.0,"b":1e2,"a":123456789012345678901234567890}"#, "{ \"z\" :\n\t[ \"\\u00e9\\/\" ] }", "{}"]
        {
            let event = one(&format!(r#"{{"type":"order.created","data":{data}}}"#)).unwrap();
            assert_eq!(event.data.get(), data);
            let message = serde_json::to_string(&event).unwrap();
            assert!(message.contains(data), "{message}");
            assert_eq!(Event::from_message(&message, "m", at(5)).unwrap().data.get(), data);
        }
    }

    #[test]
    fn a_queue_message_of_an_event() {
        let event =
            one(r#"{"type":"order.created","subject":"c-1","timestamp":"2023-07-18T15:32:13Z","data":{"id":7}}"#)
                .unwrap();
        insta::assert_snapshot!(serde_json::to_string(&event).unwrap());
        let read = Event::from_message(&serde_json::to_string(&event).unwrap(), "m", at(5)).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), serde_json::to_string(&event).unwrap());
    }

    #[test]
    fn an_event_sent_straight_to_the_queue_needs_no_id() {
        let body = r#"{"workspace":"acme","type":"order.created","data":{}}"#;
        let event = Event::from_message(body, "m-1", at(1_700_000_000_000)).unwrap();
        assert_eq!(event.id, EventId::of_message("m-1", at(1_700_000_000_000)));
        assert_eq!(event.timestamp, at(1_700_000_000_000));
        assert_eq!(
            field_and_code(Event::from_message(r#"{"type":"a","data":{}}"#, "m", at(5))),
            ("workspace".into(), "missing_field")
        );
        assert_eq!(
            field_and_code(Event::from_message(r#"{"workspace":"a#b","type":"a","data":{}}"#, "m", at(5))),
            ("workspace".into(), "wrong_type")
        );
    }

    #[test]
    fn a_timestamp_is_rfc_3339_or_milliseconds() {
        let timestamp =
            |text: &str| one(&format!(r#"{{"type":"a","data":{{}},"timestamp":{text}}}"#)).map(|event| event.timestamp);
        assert_eq!(timestamp("1672531199000"), Ok(at(1_672_531_199_000)));
        assert_eq!(timestamp(r#""2022-12-31T23:59:59Z""#), Ok(at(1_672_531_199_000)));
        assert_eq!(timestamp(r#""2023-01-01T01:59:59+02:00""#), Ok(at(1_672_531_199_000)));
        assert_eq!(timestamp("null"), Ok(at(1_700_000_000_000)));
        for bad in ["-1", "1.5", "99999999999999999", r#""yesterday""#, "true", r#""1969-12-31T23:59:59Z""#] {
            assert_eq!(field_and_code(timestamp(bad)), ("timestamp".into(), "invalid_timestamp"), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(field_and_code(one("{}")), ("type".into(), "missing_field"));
        assert_eq!(field_and_code(one(r#"{"type":"a b","data":{}}"#)), ("type".into(), "invalid_event_type"));
        assert_eq!(field_and_code(one(r#"{"type":"a"}"#)), ("data".into(), "missing_field"));
        assert_eq!(field_and_code(one(r#"{"type":"a","data":[]}"#)), ("data".into(), "wrong_type"));
        assert_eq!(field_and_code(one(r#"{"type":"a","data":{},"dat":1}"#)), ("dat".into(), "unknown_field"));
        assert_eq!(
            field_and_code(one(&format!(r#"{{"type":"a","data":{{}},"subject":"{}"}}"#, "x".repeat(257)))),
            ("subject".into(), "too_long")
        );
        assert_eq!(
            field_and_code(one(r#"{"type":"a","data":{},"workspace":"other"}"#)),
            ("workspace".into(), "unknown_field")
        );
    }

    #[test]
    fn a_list_takes_1_to_100_events_and_names_the_one_at_fault() {
        let many = |body: String| NewEvent::parse_call(body.as_bytes());
        let events = |count: usize| format!(r#"{{"events":[{}]}}"#, vec![r#"{"type":"a","data":{}}"#; count].join(","));
        assert!(matches!(many(events(100)), Ok(Published::Many(events)) if events.len() == 100));
        assert_eq!(field_and_code(many(events(101))), ("events".into(), "wrong_count"));
        assert_eq!(field_and_code(many(events(0))), ("events".into(), "wrong_count"));
        assert_eq!(
            field_and_code(many(r#"{"events":[{"type":"a","data":{}},{"type":"a"}]}"#.into())),
            ("events[1].data".into(), "missing_field")
        );
        assert_eq!(field_and_code(many(r#"{"events":[3]}"#.into())), ("events[0]".into(), "wrong_type"));
        assert_eq!(field_and_code(many(r#"{"events":[],"type":"a"}"#.into())), ("type".into(), "unknown_field"));
    }

    #[test]
    fn sizes_are_bounded() {
        let padded = |bytes: usize| format!(r#"{{"type":"a","data":{{"x":"{}"}}}}"#, "x".repeat(bytes - 28));
        assert_eq!(padded(MAX_EVENT_BYTES).len(), MAX_EVENT_BYTES);
        assert!(one(&padded(MAX_EVENT_BYTES)).is_ok());
        assert_eq!(field_and_code(one(&padded(MAX_EVENT_BYTES + 1))), (String::new(), "too_large"));
        let largest = serde_json::to_string(&one(&padded(MAX_EVENT_BYTES)).unwrap()).unwrap();
        assert!(Event::from_message(&largest, "m", at(5)).is_ok(), "what ingest accepts fan-out takes");
        assert_eq!(
            field_and_code(Event::from_message(&padded(MAX_MESSAGE_BYTES + 1), "m", at(5))),
            (String::new(), "too_large")
        );
        let list = format!(r#"{{"events":[{}]}}"#, padded(MAX_EVENT_BYTES + 1));
        assert_eq!(field_and_code(NewEvent::parse_call(list.as_bytes())), ("events[0]".into(), "too_large"));
        assert_eq!(
            field_and_code(NewEvent::parse_call(&vec![b' '; MAX_PUBLISH_BYTES + 1])),
            (String::new(), "too_large")
        );
    }
}
