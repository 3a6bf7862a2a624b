//! The Spectra document, "Your endpoint": its handler reads `data` of the body and the event from
//! the header; the body names the event too. The document shows no timestamp format: RFC 3339, as
//! in `standard`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::event::{Event, event_type::EventType};
#[cfg(feature = "openapi")]
use crate::input::JsonObject;

/// A body in the format of Spectra.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Body<'a> {
    #[cfg_attr(feature = "openapi", schema(inline))]
    event: &'a EventType,
    /// The time at which the event happened.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "date-time"))]
    timestamp: Timestamp,
    /// The event's own JSON, byte for byte.
    #[cfg_attr(feature = "openapi", schema(value_type = JsonObject))]
    data: &'a RawValue,
}

pub(super) fn body(event: &Event) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Body {
        event: &event.event_type,
        timestamp: event.timestamp,
        data: &event.data,
    })
}
