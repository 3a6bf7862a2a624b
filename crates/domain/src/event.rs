//! An event: what a client publishes, what travels on the events queue, and what is stored.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

pub(crate) mod aliases;
pub mod catalogue;
pub(crate) mod credentials;
pub(crate) mod data;
pub mod event_type;
pub mod idempotency;
pub mod loops;
mod new;
pub mod operational;
mod origin;
pub mod own_type;
mod printed;
pub mod process;
pub mod run;
pub mod sample;
pub mod schema;
mod timestamp;

pub use new::{NewEvent, NewEvents};
pub use origin::Origin;
#[cfg(feature = "openapi")]
pub use printed::{SpektrEvent, SpektrV1Event};
pub use timestamp::FIRST_MILLISECOND;
use timestamp::Moment;

use crate::{
    Invalid,
    access::workspace::Workspace,
    event::{
        event_type::{EventPattern, EventType},
        own_type::OwnEventType,
        schema::{BadSchema, Budget, DataSchema},
    },
    id::EventId,
    input::{Fields, Optional, missing, parsed},
    trace::{Trace, TraceParent},
};

/// The most bytes that one event may have as it was published: 256 KiB.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;
/// The most bytes of a message on the events queue: an event, and what its acceptance adds. SQS
/// would take 1 MiB, but a DynamoDB item only 400 KB, and one item that is too large fails the
/// whole batch write.
pub const MAX_MESSAGE_BYTES: usize = MAX_EVENT_BYTES + 4 * 1024;
/// The most events in one publishing call.
pub const MAX_EVENTS: usize = 100;
/// The most bytes of one publishing call: 4 MiB. A Lambda invocation takes 6 MiB. API Gateway
/// writes a body into that in base64, which makes 5.34 MiB of it, or, where its content type is
/// JSON, as a text with each `"`, `\` and line break escaped: then it fits unless about half of it
/// are such characters.
pub const MAX_PUBLISH_BYTES: usize = 4 * 1024 * 1024;

/// An event is something that happened, published by a service. The events queue, the task message
/// and the Events table carry it as this JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// The id that the event was given when it was accepted.
    pub id: EventId,
    /// The sort of thing that happened, such as `order.created`.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The time at which it happened: the producer's, or else the time at which it was accepted.
    pub timestamp: Timestamp,
    /// The workspace that the event belongs to.
    pub workspace: Workspace,
    /// The customer, order or other thing that the event is about, as the producer names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The producer's own reference, which Posthaste passes on and does not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The number of events that led to this one: an event that is published because another one
    /// arrived has one hop more than that one. At most [`loops::MAX_HOPS`].
    #[serde(default, skip_serializing_if = "has_none")]
    pub hops: u8,
    /// The trace of the publishing call, if that named one: see [`crate::trace`].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "TraceParent::read"
    )]
    pub traceparent: Option<TraceParent>,
    /// The producer's JSON object, byte for byte.
    pub data: Box<RawValue>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn has_none(hops: &u8) -> bool {
    *hops == 0
}

/// A message of the events queue, read.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The event in the message.
    pub event: Event,
    /// True if its data is not checked yet, because it came straight to the queue.
    pub unchecked: bool,
}

/// The code of an event whose type has a stored schema that is none by the rules of this version.
pub const UNUSABLE_SCHEMA: &str = "unusable_schema";

impl Arrived {
    /// Reads a message of the events queue, which is one of three:
    ///
    /// - an event as `ingest` sends it, with its `id`: it was checked when it was accepted;
    /// - one that a service sent straight to the queue: `workspace`, `type`, `data`, and what a
    ///   publishing call may have. Its id derives from the SQS message, so a redelivery is the same
    ///   event. It may bring an `id` of its own, a UUIDv7 or v8 of about now, for a service that
    ///   repeats its calls and vouches for its data. One in a form that a Spektr document prints has
    ///   an id of Spektr's, which is not read;
    /// - the envelope that an EventBridge rule sends. `detail-type` is the type and `time` the
    ///   timestamp, and the event's id derives from the envelope's. A `detail` with a `workspace`
    ///   is an event without its type; any other is the data of an event of the `default`
    ///   workspace.
    pub fn parse(body: &str, origin: Origin<'_>, default: &Workspace) -> Result<Self, Invalid> {
        let sent = origin.sent;
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(new::too_large(None));
        }
        let mut fields = Fields::of_body(body.as_bytes())?;
        if let Some(detail_type) = fields.raw("detail-type") {
            let (id, workspace, new) = from_event_bridge(fields, detail_type, origin, default)?;
            return Ok(Self { event: new.accept(id, workspace, sent), unchecked: true });
        }
        let workspace = fields.raw("workspace").ok_or_else(|| missing("workspace"))?;
        let workspace = Workspace::of_message("workspace", workspace)?;
        let given = if printed::is_printed(&fields) { None } else { given_id(&mut fields)? };
        let new = printed::read(fields)?;
        // What was accepted is delivered, also if a version accepted it that took deeper data.
        let new = if given.is_some() { new } else { new.not_too_deep("data")? };
        if given.is_some_and(|id| !id.is_ours() || !origin.is_near(id.time())) {
            let message = "id has to be a UUIDv7 or v8 of about the time of its message";
            return Err(Invalid::field("id", "invalid_id", message));
        }
        let id = given.unwrap_or_else(|| origin.id());
        Ok(Self { event: new.accept(id, workspace, sent), unchecked: given.is_none() })
    }

    /// Sets the event's hops from the message attribute that carries them.
    pub fn with_hops(mut self, text: Option<&str>) -> Result<Self, Invalid> {
        self.event.hops = loops::beside_message(text)?;
        Ok(self)
    }

    /// Sets the event's trace from the message attribute that carries it.
    pub fn with_trace(mut self, text: Option<&str>) -> Self {
        self.event.traceparent = text.and_then(TraceParent::parse);
        self
    }
}

fn given_id(fields: &mut Fields<'_>) -> Result<Option<EventId>, Invalid> {
    fields.raw("id").map(|id| parsed("id", id, "a UUID")).transpose()
}

/// <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>
fn from_event_bridge(
    mut envelope: Fields<'_>,
    detail_type: &RawValue,
    origin: Origin<'_>,
    default: &Workspace,
) -> Result<(EventId, Workspace, NewEvent), Invalid> {
    let event_type = serde_json::from_str::<String>(detail_type.get())
        .ok()
        .and_then(|text| EventType::of_words(&text).ok());
    let event_type = event_type.ok_or_else(|| {
        Invalid::field(
            "detail-type",
            "invalid_event_type",
            "detail-type has to be a text that can be an event type",
        )
    })?;
    let time = envelope.take::<Optional<Moment>>("time")?;
    let id = envelope.raw("id").and_then(|id| serde_json::from_str::<String>(id.get()).ok());
    let id = origin.id_of_envelope(id.as_deref(), time);
    let detail = envelope.raw("detail").ok_or_else(|| missing("detail"))?;
    let type_in_json =
        to_raw_value(&event_type).map_err(|error| Invalid::malformed(error.to_string()))?;
    let mut fields = Fields::of_object(detail, "detail")?;
    match fields.raw("workspace") {
        Some(workspace) => {
            let workspace = Workspace::of_message("detail.workspace", workspace)?;
            fields.put("type", &type_in_json)?;
            let new = NewEvent::of_fields(fields)?.not_too_deep("detail.data")?;
            Ok((id, workspace, NewEvent { timestamp: new.timestamp.or(time), ..new }))
        }
        None => {
            new::check_characters("detail", detail)?;
            let data = detail.to_owned();
            let new = NewEvent {
                r#type: event_type,
                timestamp: time,
                subject: None,
                reference: None,
                data,
            };
            Ok((id, default.clone(), new.not_too_deep("detail")?))
        }
    }
}

impl Event {
    /// The trace that the event belongs to: that of its publishing call, or one of its own.
    pub fn trace(&self) -> Trace {
        self.traceparent.map_or_else(|| Trace::begun_by(self.id), |parent| parent.trace)
    }

    /// Checks an event that came straight to the queue. `own` is the compiled schema of the
    /// workspace's type of its name.
    pub fn check(&self, own: Option<&OwnSchema>) -> Result<(), Invalid> {
        check_data(&self.event_type, &self.data, "data", own, &mut Budget::default())
    }
}

/// The schema of a workspace's own type, if it has one, or the reason why it can't be used.
pub type OwnSchema = Result<Option<DataSchema>, BadSchema>;

fn check_data(
    event_type: &EventType,
    data: &RawValue,
    path: &str,
    own: Option<&OwnSchema>,
    budget: &mut Budget,
) -> Result<(), Invalid> {
    let schema = match catalogue::find(event_type.as_str()) {
        Some(built_in) if built_in.is_operational() => {
            let message = format!("{event_type} is published by Posthaste alone");
            return Err(Invalid::field("type", "reserved_event_type", message));
        }
        Some(built_in) => built_in.schema(),
        None => match own {
            None => None,
            Some(Ok(schema)) => schema.as_ref(),
            Some(Err(why)) => return Err(unusable_schema(event_type, path, why)),
        },
    };
    schema.map_or(Ok(()), |schema| schema.check(data, path, budget))
}

/// Refuses an event whose type has a stored schema that this version can't use. Nobody can tell
/// whether its data fits, so it is not accepted unchecked.
fn unusable_schema(event_type: &EventType, path: &str, why: &BadSchema) -> Invalid {
    let message = format!(
        "{path} can't be checked, because the stored schema of {event_type} is not taken any more \
         ({why}): store it again with PUT /event-types/{event_type}"
    );
    Invalid::field(path, UNUSABLE_SCHEMA, message)
}

fn is_known(event_type: &EventType, own: &HashMap<EventType, OwnEventType>) -> bool {
    own.contains_key(event_type) || catalogue::find(event_type.as_str()).is_some()
}

/// The facts about a publishing call that its headers carry.
#[derive(Debug, Clone, Copy, Default)]
pub struct Call {
    /// The number of hops of its events: see [`Event::hops`].
    pub hops: u8,
    /// The trace that the call belongs to.
    pub traceparent: Option<TraceParent>,
}

/// A publishing call has one of two forms, and its answer has the same one.
#[derive(Debug, Clone)]
pub enum Published {
    /// The body was one event.
    One(NewEvent),
    /// The body was a list of events.
    Many(Vec<NewEvent>),
}

impl Published {
    /// The events of the call, in their order.
    pub fn events(&self) -> &[NewEvent] {
        match self {
            Self::One(event) => std::slice::from_ref(event),
            Self::Many(events) => events,
        }
    }

    /// Refuses a dry run of more than one event.
    pub fn check_dry_run(&self) -> Result<(), Invalid> {
        if self.events().len() == 1 {
            return Ok(());
        }
        let message = "a dry run takes one event: make a call for each";
        Err(Invalid::field("events", "several_events", message))
    }

    /// Counts the events whose types are built in, or the workspace's `own`. The data of no other
    /// event has a schema that it could break.
    pub fn of_known_types(&self, own: &HashMap<EventType, OwnEventType>) -> usize {
        self.events().iter().filter(|event| is_known(&event.r#type, own)).count()
    }

    /// Complains about the first event whose type is neither built in nor one of the workspace's
    /// `own` types: a closed catalogue refuses it. To find the names that are most like it takes
    /// longer than all else that is done for a call.
    pub fn check_types(&self, own: &HashMap<EventType, OwnEventType>) -> Result<(), Invalid> {
        let mut events = self.events().iter().enumerate();
        let Some((nth, event)) = events.find(|(_, event)| !is_known(&event.r#type, own)) else {
            return Ok(());
        };
        let names: Vec<EventType> = own.keys().cloned().collect();
        let pattern = EventPattern::Exactly(event.r#type.clone());
        Err(catalogue::unknown(&self.field_of(nth, "type"), &pattern, &names))
    }

    /// The path of a field of the nth event.
    fn field_of(&self, nth: usize, name: &str) -> String {
        match self {
            Self::One(_) => name.to_owned(),
            Self::Many(_) => format!("events[{nth}].{name}"),
        }
    }

    /// Checks types and data: operational types are reserved for Posthaste itself, and data has to
    /// fit the schema of a built-in type, or of one of the workspace's `own` types. All events and
    /// schemas of a call share one budget.
    pub fn check(&self, own: &HashMap<EventType, OwnEventType>) -> Result<(), Invalid> {
        let mut compiled: BTreeMap<&EventType, OwnSchema> = BTreeMap::new();
        let mut budget = Budget::default();
        for (nth, NewEvent { r#type: event_type, data, .. }) in self.events().iter().enumerate() {
            let path = self.field_of(nth, "data");
            if let (Some(own), Entry::Vacant(entry)) =
                (own.get(event_type), compiled.entry(event_type))
            {
                let schema = own.compile();
                if let Ok(Some(schema)) = &schema {
                    schema.weigh(&path, &mut budget)?;
                }
                entry.insert(schema);
            }
            check_data(event_type, data, &path, compiled.get(event_type), &mut budget)?;
        }
        Ok(())
    }

    /// Makes the accepted events. Each gets the id at its own place in `ids`.
    pub fn accept(
        self,
        ids: &[EventId],
        workspace: &Workspace,
        call: Call,
        now: Timestamp,
    ) -> Vec<Event> {
        let Call { hops, traceparent } = call;
        let events = match self {
            Self::One(event) => vec![event],
            Self::Many(events) => events,
        };
        events
            .into_iter()
            .zip(ids)
            .map(|(event, id)| Event {
                hops,
                traceparent,
                ..event.accept(*id, workspace.clone(), now)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
