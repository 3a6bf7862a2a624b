//! The body that `spektr-events-v2.txt` describes: `{"results": [event, …]}`.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Body, JSON, reference};
use crate::{
    access::workspace::Workspace,
    event::{Event, event_type::EventType},
    id::EventId,
    webhook::policy::RequestBounds,
};

const BEGIN: &[u8] = br#"{"results":["#;
const END: &[u8] = b"]}";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Element<'a> {
    id: EventId,
    /// The end-user the event is about; `null` where the producer named none.
    spektr_id: Option<&'a str>,
    event_type: &'a EventType,
    /// Unix milliseconds.
    timestamp: i64,
    workspace_id: &'a Workspace,
    data: &'a RawValue,
}

pub(super) fn body(events: &[&Event], bounds: RequestBounds) -> serde_json::Result<Body> {
    let mut bytes = BEGIN.to_vec();
    let mut written = 0;
    for event in events.iter().take(bounds.events) {
        let element = serde_json::to_vec(&Element {
            id: event.id,
            spektr_id: event.subject.as_deref(),
            event_type: &event.event_type,
            timestamp: event.timestamp.as_millisecond(),
            workspace_id: &event.workspace,
            data: &reference::in_data(event)?,
        })?;
        if written > 0 {
            if bytes.len() + 1 + element.len() + END.len() > bounds.bytes {
                break;
            }
            bytes.push(b',');
        }
        bytes.extend(element);
        written += 1;
    }
    bytes.extend(END);
    Ok(Body { bytes, content_type: JSON, event_count: written })
}
