//! The body that `dataspike-webhooks.txt` describes: `id`, `webhook_id`, `event_type`, `timestamp`
//! and `payload`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    event::{Event, event_type::EventType},
    id::EventId,
};

#[derive(Serialize)]
struct Payload<'a> {
    id: EventId,
    webhook_id: Uuid,
    event_type: &'a EventType,
    /// RFC 3339, UTC.
    timestamp: Timestamp,
    payload: &'a RawValue,
}

pub(super) fn body(webhook: Uuid, event: &Event) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Payload {
        id: event.id,
        webhook_id: webhook,
        event_type: &event.event_type,
        timestamp: event.timestamp,
        payload: &event.data,
    })
}
