//! The body that `spektr-events-v2.txt` describes: `{"results": [event, …]}`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

#[cfg(feature = "openapi")]
use utoipa::{
    PartialSchema,
    openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema},
};

use super::{Body, JSON, end_user, reference, status};
#[cfg(feature = "openapi")]
use crate::{access::workspace::Workspace, input::JsonObject};
use crate::{
    event::{Event, event_type::EventType},
    id::EventId,
    webhook::policy::RequestBounds,
};

const BEGIN: &[u8] = br#"{"results":["#;
const END: &[u8] = b"]}";

/// An event in a body of Spektr, version 2.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct Element<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    id: EventId,
    /// The end-user that the event is about: its subject, or else the `spektr_id` of its data;
    /// `null` where the producer named none.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required = true))]
    spektr_id: Option<Cow<'a, str>>,
    #[cfg_attr(feature = "openapi", schema(inline))]
    event_type: &'a EventType,
    /// The time at which the event happened, in Unix milliseconds.
    timestamp: i64,
    #[cfg_attr(feature = "openapi", schema(inline, value_type = Workspace))]
    workspace_id: &'a str,
    /// The event's own JSON, byte for byte, with the `reference` that was published beside it, and
    /// with the `method` of a status change that was published as version 1 prints it.
    #[cfg_attr(feature = "openapi", schema(value_type = JsonObject))]
    data: &'a RawValue,
}

#[cfg(feature = "openapi")]
pub(super) fn schema() -> RefOr<Schema> {
    let results = ArrayBuilder::new()
        .items(Element::schema())
        .min_items(Some(1))
        .max_items(Some(super::MAX_EVENTS));
    ObjectBuilder::new()
        .description(Some("Spektr events, version 2: up to 100 events."))
        .property("results", results)
        .required("results")
        .into()
}

pub(super) fn body(events: &[&Event], bounds: RequestBounds) -> serde_json::Result<Body> {
    let mut bytes = BEGIN.to_vec();
    let mut written = 0;
    for event in events.iter().take(bounds.events) {
        let data = reference::in_data(event)?;
        let element = serde_json::to_vec(&Element {
            id: event.id,
            spektr_id: end_user::id(event),
            event_type: &event.event_type,
            timestamp: event.timestamp.as_millisecond(),
            workspace_id: event.workspace.name(),
            data: &status::in_second(event, &data)?,
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
