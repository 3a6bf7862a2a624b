//! Events as clients publish them.

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{Event, MAX_EVENT_BYTES, MAX_EVENTS, MAX_PUBLISH_BYTES, Published, timestamp::Moment};
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
    /// Tells which form it was.
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
                fields.finish()?;
                EventList::read("events", list).map(Published::Many)
            }
            None if body.len() > MAX_EVENT_BYTES => Err(too_large(None)),
            None => Self::of_fields(fields)?.not_too_deep("data").map(Published::One),
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
            events.push(NewEvent::read(&at, json)?.not_too_deep(&format!("{at}.data"))?);
        }
        Ok(events)
    }
}

#[cfg(feature = "openapi")]
crate::input::openapi::list_described!(EventList, NewEvent, 1, MAX_EVENTS);

/// The same shape, without what can't be sent over SQS.
pub(crate) struct Sendable<S>(std::marker::PhantomData<S>);

impl<S: Shape> Shape for Sendable<S>
where
    Self: crate::input::Documented,
{
    type Value = S::Value;

    fn read(at: &str, json: &RawValue) -> Result<S::Value, Invalid> {
        let value = S::read(at, json)?;
        check_characters(at, json)?;
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
