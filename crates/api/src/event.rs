use posthaste_domain::{
    Timestamp,
    event::{Event, event_type::EventType},
    id::EventId,
    input::JsonObject,
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// An accepted event.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Accepted {
    /// The id of the event. A webhook request that carries the event alone has it as `webhook-id`.
    #[schema(value_type = String, format = "uuid")]
    pub id: EventId,
    /// The type of the event.
    pub r#type: EventType,
    /// The time at which the event happened.
    #[schema(value_type = String, format = "date-time")]
    pub timestamp: Timestamp,
}

impl Accepted {
    /// Returns the answer for this event.
    pub fn of(event: &Event) -> Self {
        Self { id: event.id, r#type: event.event_type.clone(), timestamp: event.timestamp }
    }
}

/// Accepted events, in the order of the call.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AcceptedMany {
    /// The events, one for each event of the call.
    pub events: Vec<Accepted>,
}

/// An event that was published.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub struct EventAnswer {
    /// The id of the event.
    #[schema(value_type = String, format = "uuid")]
    pub id: EventId,
    /// The type of the event.
    pub r#type: EventType,
    /// The time at which the event happened.
    #[schema(value_type = String, format = "date-time")]
    pub timestamp: Timestamp,
    /// The person or thing that the event is about.
    #[schema(required = true)]
    pub subject: Option<String>,
    /// The producer's own reference.
    #[schema(required = true)]
    pub reference: Option<String>,
    /// True if every webhook that wants it has it, false if one does not have it yet or never got
    /// it, null if none wants it or it is not known yet.
    #[schema(required = true)]
    pub delivered: Option<bool>,
    /// The `cursor` of the call that looks at further webhooks. Only the answer about a single
    /// event has it, where its workspace has more webhooks than one call looks at. `delivered` is
    /// null until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The time at which the event was accepted.
    #[schema(value_type = String, format = "date-time")]
    pub accepted_at: Timestamp,
    /// The producer's JSON, byte for byte.
    #[schema(value_type = JsonObject)]
    pub data: Box<RawValue>,
}

impl EventAnswer {
    /// Returns the answer for this event.
    pub fn of(event: Event, delivered: Option<bool>) -> Self {
        let accepted_at = event.id.time();
        let Event { id, event_type, timestamp, subject, reference, data, .. } = event;
        Self {
            id,
            r#type: event_type,
            timestamp,
            subject,
            reference,
            delivered,
            next: None,
            accepted_at,
            data,
        }
    }
}
