//! Standard Webhooks, section "Webhook structure": `type`, `timestamp` (ISO 8601) and `data`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::event::{Event, event_type::EventType};

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a EventType,
    timestamp: Timestamp,
    data: &'a RawValue,
}

pub(super) fn body(event: &Event) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Body {
        r#type: &event.event_type,
        timestamp: event.timestamp,
        data: &event.data,
    })
}
