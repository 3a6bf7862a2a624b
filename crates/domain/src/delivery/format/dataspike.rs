//! The body that `dataspike-webhooks.txt` describes: `id`, `webhook_id`, `event_type`, `timestamp`
//! and `payload`.
//!
//! The document's printed payload names the type `event_type`, and its printed handler reads it
//! from `event`. The body has both, so that each half of the document holds.

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

#[cfg(feature = "openapi")]
use crate::input::JsonObject;
use crate::{
    event::{Event, event_type::EventType},
    id::EventId,
};

/// A body in the format of Dataspike.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Payload<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    id: EventId,
    /// The webhook's `uuid`.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    webhook_id: Uuid,
    #[cfg_attr(feature = "openapi", schema(inline))]
    event_type: &'a EventType,
    #[cfg_attr(feature = "openapi", schema(inline))]
    event: &'a EventType,
    /// RFC 3339, UTC, in whole seconds as the document prints it: receivers parse it by that form.
    #[cfg_attr(feature = "openapi", schema(format = "date-time"))]
    timestamp: String,
    /// The event's own JSON, byte for byte.
    #[cfg_attr(feature = "openapi", schema(value_type = JsonObject))]
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
