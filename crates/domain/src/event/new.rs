//! Events as clients publish them.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{
    Event, MAX_EVENT_BYTES, MAX_EVENTS, MAX_PUBLISH_BYTES, Published, printed, timestamp::Moment,
};
use crate::{
    Invalid,
    access::workspace::Workspace,
    event::event_type::EventType,
    id::EventId,
    input::{Fields, JsonObject, Optional, Shape, Text, body, check_depth, parsed},
};

body! {
    /// An event to publish, at most 256 KiB.
    #[derive(Debug, Clone)]
    pub struct NewEvent {
        /// The type of the event, which says what sort of thing happened.
        pub r#type: EventType,
        /// The event's own JSON. It reaches receivers byte for byte. Data of a type that has a JSON
        /// Schema has to fit it; further fields are welcome. It has at most 50 levels of objects
        /// and lists within each other.
        pub data: Box<RawValue> as Sendable<JsonObject>,
        /// The person or thing that the event is about, at most 256 bytes.
        pub subject: Option<String> as Optional<Sendable<Text<256>>>,
        /// The time at which the event happened, in RFC 3339, from 1970 on, or as Unix
        /// milliseconds, from 2001 on: a smaller number is refused, as it would be a present time
        /// in seconds. The time of acceptance unless given.
        pub timestamp: Option<Timestamp> as Optional<Moment>,
        /// The producer's own reference, at most 256 bytes.
        pub reference: Option<String> as Optional<Sendable<Text<256>>>,
    }
}

body! {
    /// Several events in one call, at most 4 MiB. Either all of them are accepted or none.
    #[derive(Debug, Clone)]
    pub struct NewEvents {
        /// The events that are published.
        pub events: Vec<NewEvent> as EventList,
    }
}

impl NewEvent {
    /// Reads the body of a publishing call: one event, or `{"events": […]}` with 1 to 100 of them.
    /// Each can be in a form that a Spektr document prints. Tells whether it was one or a list.
    pub fn parse_call(body: &[u8]) -> Result<Published, Invalid> {
        if body.len() > MAX_PUBLISH_BYTES {
            return Err(Invalid::too_large(
                None,
                format!("a call takes at most {MAX_PUBLISH_BYTES} bytes"),
            ));
        }
        let mut fields = Fields::of_body(body)?;
        match fields.raw("events") {
            Some(list) => {
                // An event with a list in it by mistake is told so before the list is looked at.
                fields.finish_with(beside_events)?;
                EventList::read("events", list).map(Published::Many)
            }
            None if body.len() > MAX_EVENT_BYTES => Err(too_large(None)),
            None => printed::read(fields)?.not_too_deep("data").map(Published::One),
        }
    }

    /// Returns the accepted event.
    pub fn accept(self, id: EventId, workspace: Workspace, now: Timestamp) -> Event {
        Event {
            id,
            event_type: self.r#type,
            timestamp: self.timestamp.unwrap_or(now),
            workspace,
            subject: self.subject,
            reference: self.reference,
            hops: 0,
            traceparent: None,
            data: self.data,
        }
    }

    /// The same, unless its data, which stands at this path, has more levels than a publisher may
    /// send.
    pub(super) fn not_too_deep(self, path: &str) -> Result<Self, Invalid> {
        check_depth(path, self.data.get())?;
        Ok(self)
    }

    /// The type of the event.
    pub fn event_type(&self) -> &EventType {
        &self.r#type
    }

    /// The data of the event.
    pub fn data(&self) -> &RawValue {
        &self.data
    }
}

/// The events of one call.
pub(crate) struct EventList;

impl Shape for EventList {
    type Value = Vec<NewEvent>;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Vec<NewEvent>, Invalid> {
        let list: Vec<&RawValue> = parsed(at, json, "a list of events")?;
        if list.is_empty() || list.len() > MAX_EVENTS {
            return Err(Invalid::field(
                at,
                "wrong_count",
                format!("a call takes 1 to {MAX_EVENTS} events"),
            ));
        }
        let mut events = Vec::with_capacity(list.len());
        for (nth, json) in list.into_iter().enumerate() {
            let at = format!("{at}[{nth}]");
            if json.get().len() > MAX_EVENT_BYTES {
                return Err(too_large(Some(at)));
            }
            let event = printed::read(Fields::of_object(json, &at)?)?;
            events.push(event.not_too_deep(&format!("{at}.data"))?);
        }
        Ok(events)
    }
}

#[cfg(feature = "openapi")]
mod document {
    use utoipa::{
        PartialSchema, ToSchema,
        openapi::{ArrayBuilder, OneOfBuilder},
    };

    use super::{EventList, MAX_EVENTS, NewEvent, printed};
    use crate::input::openapi::{Described, Named, reference};

    impl PartialSchema for EventList {
        fn schema() -> Described {
            let event = OneOfBuilder::new()
                .item(reference::<NewEvent>())
                .item(reference::<printed::SpektrV1Event>())
                .item(reference::<printed::SpektrEvent>());
            ArrayBuilder::new().items(event).min_items(Some(1)).max_items(Some(MAX_EVENTS)).into()
        }
    }

    impl ToSchema for EventList {
        fn schemas(named: &mut Named) {
            named.push((NewEvent::name().into_owned(), NewEvent::schema()));
            NewEvent::schemas(named);
        }
    }
}

fn beside_events(name: &str) -> String {
    format!(
        "{name} is not taken beside events: a call has either events or the fields of one event"
    )
}

/// The same shape, without what can't be sent over SQS.
pub(crate) struct Sendable<S>(std::marker::PhantomData<S>);

impl<S: Shape<Value: Serialize>> Shape for Sendable<S>
where
    Self: crate::input::Documented,
{
    type Value = S::Value;

    fn read(at: &str, json: &RawValue) -> Result<S::Value, Invalid> {
        let value = S::read(at, json)?;
        // The message has the value as it is written again: without the escapes of a text, and with
        // those of an object, which is kept byte for byte.
        let written =
            to_raw_value(&value).map_err(|error| Invalid::malformed(error.to_string()))?;
        check_characters(at, &written)?;
        Ok(value)
    }

    #[cfg(feature = "openapi")]
    fn sent() -> crate::input::openapi::Described {
        S::sent()
    }

    #[cfg(feature = "openapi")]
    fn add_to(named: &mut crate::input::openapi::Named) {
        S::add_to(named);
    }
}

#[cfg(feature = "openapi")]
impl<S: Shape> utoipa::PartialSchema for Sendable<S> {
    fn schema() -> crate::input::openapi::Described {
        S::sent()
    }
}

#[cfg(feature = "openapi")]
impl<S: Shape> utoipa::ToSchema for Sendable<S> {}

/// SQS takes no message with these two characters, which JSON allows.
pub(super) fn check_characters(at: &str, json: &RawValue) -> Result<(), Invalid> {
    if json.get().contains(['\u{fffe}', '\u{ffff}']) {
        let message = format!("{at} has a character that SQS does not take: U+FFFE or U+FFFF");
        return Err(Invalid::field(at, "invalid_character", message));
    }
    Ok(())
}

pub(super) fn too_large(field: Option<String>) -> Invalid {
    Invalid::too_large(field, format!("an event takes at most {MAX_EVENT_BYTES} bytes"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::{
        event::{Call, own_type::OwnEventType},
        trace::TraceParent,
    };

    fn complaint(body: &str) -> (String, &'static str) {
        let invalid = NewEvent::parse_call(body.as_bytes()).unwrap_err();
        (invalid.field.unwrap_or_default(), invalid.code)
    }

    /// A call with events of these types.
    fn call(types: &[&str]) -> Published {
        let event = |name: &&str| format!(r#"{{"type":"{name}","data":{{}}}}"#);
        let events: Vec<String> = types.iter().map(event).collect();
        let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
        NewEvent::parse_call(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_dry_run_takes_one_event() {
        assert_eq!(call(&["a"]).check_dry_run(), Ok(()));
        assert_eq!(call(&["a", "b"]).check_dry_run().unwrap_err().code, "several_events");
    }

    #[test]
    fn a_closed_catalogue_knows_built_in_types_and_those_of_the_workspace() {
        let own = EventType::parse("own.type").unwrap();
        let own = HashMap::from([(own.clone(), OwnEventType::undescribed(own))]);
        assert_eq!(call(&["order.created", "own.type"]).check_types(&own), Ok(()));
        let refused = call(&["own.type", "nobody.knows"]).check_types(&own).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("events[1].type"));
    }

    #[test]
    fn each_event_of_a_call_gets_its_own_id_and_the_facts_of_the_call() {
        let now = Timestamp::UNIX_EPOCH;
        let ids = [1, 2].map(|nth| EventId::new(now, &[nth; 10]));
        let traceparent =
            TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let facts = Call { hops: 3, traceparent };
        let events = call(&["a", "b"]).accept(&ids, &Workspace::parse("acme").unwrap(), facts, now);
        assert_eq!(events.iter().map(|event| event.id).collect::<Vec<_>>(), ids);
        assert!(events.iter().all(|event| event.hops == 3 && event.traceparent == traceparent));
        let message = serde_json::to_string(&events[0]).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&message).unwrap().hops, 3, "{message}");
    }

    #[test]
    fn a_text_can_not_bring_in_an_escape_what_sqs_does_not_take() {
        for field in ["subject", "reference"] {
            for text in [r"\ufffe", r"a\uFFFF", "\u{fffe}", "a\u{ffff}"] {
                let event = format!(r#"{{"type":"a","data":{{}},"{field}":"{text}"}}"#);
                assert_eq!(complaint(&event), (field.to_owned(), "invalid_character"), "{event}");
                let list = format!(r#"{{"events":[{{"type":"a","data":{{}}}},{event}]}}"#);
                let at = format!("events[1].{field}");
                assert_eq!(complaint(&list), (at, "invalid_character"), "{list}");
            }
        }
    }

    #[test]
    fn an_escape_in_data_stays_one_and_the_character_itself_is_refused() {
        let data = r#"{"\ufffe":"\uFFFF\u0000"}"#;
        let body = format!(r#"{{"type":"a","data":{data}}}"#);
        let Ok(Published::One(event)) = NewEvent::parse_call(body.as_bytes()) else {
            panic!("{body}")
        };
        let now = Timestamp::UNIX_EPOCH;
        let event =
            event.accept(EventId::new(now, &[1; 10]), Workspace::parse("acme").unwrap(), now);
        let message = serde_json::to_string(&event).unwrap();
        assert!(message.contains(data), "{message}");
        let again = serde_json::from_str::<Event>(&message).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), message);
        assert_eq!(
            complaint("{\"type\":\"a\",\"data\":{\"\u{ffff}\":1}}"),
            ("data".to_owned(), "invalid_character")
        );
    }

    #[test]
    fn a_field_of_one_event_beside_a_list_is_told_what_a_call_has() {
        for body in [
            r#"{"type":"a","data":{},"events":5}"#,
            r#"{"events":[{"type":"a","data":{}}],"type":"a"}"#,
        ] {
            let invalid = NewEvent::parse_call(body.as_bytes()).unwrap_err();
            let message = "type is not taken beside events: a call has either events or the fields \
                of one event";
            assert_eq!(invalid, Invalid::field("type", "unknown_field", message), "{body}");
        }
    }
}
