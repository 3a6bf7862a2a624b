//! The body that `spektr-events-v1.txt` describes: one event in each request. `process_run_end` has
//! a shape of its own, with members that a publisher puts into `data` and that appear beside it.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{event::Event, event_type::EventType, id::EventId, input, process};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    id: EventId,
    spektr_id: Option<&'a str>,
    r#type: &'a EventType,
    /// Always false: true would mean that a webhook has brought the event before.
    delivered: bool,
    /// Unix milliseconds.
    created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    data: &'a RawValue,
}

#[derive(Serialize)]
struct ProcessRunEnd<'a> {
    id: EventId,
    #[serde(rename = "spektrId")]
    spektr_id: Option<&'a str>,
    r#type: &'a EventType,
    /// Always `null`, as the document prints it.
    delivered: Option<bool>,
    process_name: Option<&'a RawValue>,
    process_output: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<&'a RawValue>,
    data: &'a RawValue,
    #[serde(rename = "createdAt")]
    created_at: i64,
}

pub(super) fn body(event: &Event) -> serde_json::Result<Vec<u8>> {
    let Event { id, subject, event_type, reference, data, .. } = event;
    let (spektr_id, created_at) = (subject.as_deref(), event.timestamp.as_millisecond());
    if !process::ends(event_type) {
        let reference = reference.as_deref();
        let payload = Payload { id: *id, spektr_id, r#type: event_type, delivered: false, created_at, reference, data };
        return serde_json::to_vec(&payload);
    }
    let members = input::members(data);
    let member = |wanted: &str| members.iter().rev().find(|(name, _)| name == wanted).map(|(_, raw)| *raw);
    serde_json::to_vec(&ProcessRunEnd {
        id: *id,
        spektr_id,
        r#type: event_type,
        delivered: None,
        process_name: member("processName"),
        process_output: member("processOutput"),
        files: member("files"),
        fields: member("fields"),
        data,
        created_at,
    })
}
