//! The body that `dataspike-webhooks.txt` describes: `id`, `webhook_id`, `event_type`, `timestamp`
//! and `payload`.
//!
//! The document's printed payload names the type `event_type`, and its printed handler reads it
//! from `event`. The body has both, so that each half of the document holds.

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
    event: &'a EventType,
    /// RFC 3339, UTC, in whole seconds as the document prints it: receivers parse it by that form.
    timestamp: String,
    payload: &'a RawValue,
}

pub(super) fn body(webhook: Uuid, event: &Event) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Payload {
        id: event.id,
        webhook_id: webhook,
        event_type: &event.event_type,
        event: &event.event_type,
        timestamp: event.timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        payload: &event.data,
    })
}
