//! Standard Webhooks, section "Webhook structure": `type`, `timestamp` (ISO 8601) and `data`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

#[cfg(feature = "openapi")]
use crate::input::JsonObject;
use crate::{
    access::workspace::Environment,
    event::{Event, event_type::EventType},
};

/// A body in the format of Standard Webhooks.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Body<'a> {
    #[cfg_attr(feature = "openapi", schema(inline))]
    r#type: &'a EventType,
    /// The time at which the event happened.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "date-time"))]
    timestamp: Timestamp,
    /// The environment of the event, if that is test mode; the live one is not named.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Environment, required = false))]
    environment: Option<Environment>,
    /// The event's own JSON, byte for byte.
    #[cfg_attr(feature = "openapi", schema(value_type = JsonObject))]
    data: &'a RawValue,
}

pub(super) fn body(event: &Event) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Body {
        r#type: &event.event_type,
        timestamp: event.timestamp,
        environment: event.workspace.named_environment(),
        data: &event.data,
    })
}
