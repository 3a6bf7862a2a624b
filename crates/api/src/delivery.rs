use posthaste_domain::{
    Timestamp,
    attempt::{Attempt, Failure, Status},
    event_type::EventType,
    id::{DeliveryId, EventId},
};
use serde::Serialize;

/// A delivery in the history of a webhook.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryAnswer {
    /// Its id, the same whatever happens to it.
    pub id: DeliveryId,
    /// The event it brings.
    pub event_id: EventId,
    /// That event's type.
    pub event_type: EventType,
    /// Where it stands.
    pub status: Status,
    /// The HTTP status of the last answer.
    pub http_status: Option<u16>,
    /// The body of the last answer, up to 16 KiB.
    pub response_body: Option<String>,
    /// Why it is not delivered (yet).
    pub error: Option<Failure>,
    /// Every attempt, first to last, with up to 1 KiB of each answer's body.
    pub attempts: Vec<Attempt>,
    /// When its event was accepted.
    pub created_at: Timestamp,
    /// When the record last changed.
    pub updated_at: Timestamp,
}
