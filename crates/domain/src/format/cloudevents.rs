//! CloudEvents 1.0.2, structured content mode, JSON event format:
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Body;
use crate::{event::Event, event_type::EventType, id::EventId};

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
    // An attribute may not be the empty string.
    let non_empty = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
    let (subject, reference) = (non_empty(&event.subject), non_empty(&event.reference));
    let bytes = serde_json::to_vec(&CloudEvent {
        specversion: "1.0",
        id: event.id,
        source: format!("/workspaces/{}", event.workspace),
        r#type: &event.event_type,
        subject: subject.as_deref(),
        time: event.timestamp,
        datacontenttype: "application/json",
        reference: reference.as_deref(),
        data: &event.data,
    })?;
    Ok(Body { bytes, content_type: "application/cloudevents+json", events: 1 })
}
