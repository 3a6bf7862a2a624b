//! CloudEvents 1.0.2, structured content mode, JSON event format:
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Body;
#[cfg(feature = "openapi")]
use crate::input::JsonObject;
use crate::{
    access::workspace::Environment,
    event::{Event, event_type::EventType},
    id::EventId,
};

/// A body in the format of CloudEvents 1.0, in structured mode.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct CloudEvent<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^1\\.0$"))]
    specversion: &'static str,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    id: EventId,
    /// A URI reference. With `id` it names the event.
    #[cfg_attr(feature = "openapi", schema(format = "uri-reference"))]
    source: String,
    #[cfg_attr(feature = "openapi", schema(inline))]
    r#type: &'a EventType,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false))]
    subject: Option<&'a str>,
    /// The time at which the event happened.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "date-time"))]
    time: Timestamp,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    datacontenttype: &'static str,
    /// An extension attribute: the producer's own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false))]
    reference: Option<&'a str>,
    /// The environment of the event, if that is test mode; the live one is not named.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Environment, required = false))]
    environment: Option<Environment>,
    /// The event's own JSON, byte for byte.
    #[cfg_attr(feature = "openapi", schema(value_type = JsonObject))]
    data: &'a RawValue,
}

pub(super) fn body(event: &Event) -> serde_json::Result<Body> {
    let (subject, reference) =
        (non_empty(event.subject.as_deref()), non_empty(event.reference.as_deref()));
    let bytes = serde_json::to_vec(&CloudEvent {
        specversion: "1.0",
        id: event.id,
        source: format!("/workspaces/{}", event.workspace.name()),
        r#type: &event.event_type,
        subject,
        time: event.timestamp,
        datacontenttype: "application/json",
        reference,
        environment: event.workspace.named_environment(),
        data: &event.data,
    })?;
    Ok(Body { bytes, content_type: "application/cloudevents+json", event_count: 1 })
}

/// Leaves an empty text out: CloudEvents has no attribute that is the empty string.
fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
