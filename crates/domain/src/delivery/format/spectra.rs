//! The Spectra document, "Your endpoint": its handler reads `data` of the body and the event from
//! the header; the body names the event too. The document shows no timestamp format: RFC 3339, as
//! in `standard`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::event::{Event, event_type::EventType};

#[derive(Serialize)]
struct Body<'a> {
    event: &'a EventType,
    timestamp: Timestamp,
    data: &'a RawValue,
}

pub(super) fn body(event: &Event) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Body {
        event: &event.event_type,
        timestamp: event.timestamp,
        data: &event.data,
    })
}
