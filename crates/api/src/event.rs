use posthaste_domain::{Timestamp, event::Event, event_type::EventType, id::EventId};
use serde::Serialize;
use serde_json::value::RawValue;

/// An accepted event.
#[derive(Debug, Clone, Serialize)]
pub struct Accepted {
    /// Its id. A webhook request that carries the event alone has it as `webhook-id`.
    pub id: EventId,
    /// Its type.
    pub r#type: EventType,
    /// When it happened.
    pub timestamp: Timestamp,
}

impl Accepted {
    /// What is answered of this event.
    pub fn of(event: &Event) -> Self {
        Self { id: event.id, r#type: event.event_type.clone(), timestamp: event.timestamp }
    }
}

/// Accepted events, in the order of the call.
#[derive(Debug, Clone, Serialize)]
pub struct AcceptedMany {
    /// One for each event of the call.
    pub events: Vec<Accepted>,
}

/// An event that was published.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventAnswer {
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub r#type: EventType,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Whom it is about.
    pub subject: Option<String>,
    /// The producer's own reference.
    pub reference: Option<String>,
    /// True if every webhook that wants it has it, false if one does not have it yet or never got it, null if none wants it or it
    /// is not known yet.
    pub delivered: Option<bool>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// The producer's JSON, byte for byte.
    pub data: Box<RawValue>,
}

impl EventAnswer {
    /// What is answered of this event.
    pub fn of(event: Event, delivered: Option<bool>) -> Self {
        let accepted_at = event.id.time();
        let Event { id, event_type, timestamp, subject, reference, data, .. } = event;
        Self { id, r#type: event_type, timestamp, subject, reference, delivered, accepted_at, data }
    }
}
