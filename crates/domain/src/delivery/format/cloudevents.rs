//! CloudEvents 1.0.2, structured content mode, JSON event format:
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Body;
use crate::{
    event::{Event, event_type::EventType},
    id::EventId,
};

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: EventId,
    /// A URI reference. With `id` it names the event.
    source: String,
    r#type: &'a EventType,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    time: Timestamp,
    datacontenttype: &'static str,
    /// An extension attribute: the producer's own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    data: &'a RawValue,
}

pub(super) fn body(event: &Event) -> serde_json::Result<Body> {
    let (subject, reference) =
        (non_empty(event.subject.as_deref()), non_empty(event.reference.as_deref()));
    let bytes = serde_json::to_vec(&CloudEvent {
        specversion: "1.0",
        id: event.id,
        source: format!("/workspaces/{}", event.workspace),
        r#type: &event.event_type,
        subject,
        time: event.timestamp,
        datacontenttype: "application/json",
        reference,
        data: &event.data,
    })?;
    Ok(Body { bytes, content_type: "application/cloudevents+json", event_count: 1 })
}

/// Leaves an empty text out: CloudEvents has no attribute that is the empty string.
fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
