//! The body that `spektr-events-v1.txt` describes: one event in each request. `process_run_end` has
//! a shape of its own, with members that a publisher puts into `data` and that appear beside it.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    event::{Event, event_type::EventType, process},
    id::EventId,
    input,
};

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
    if process::ends(&event.event_type) {
        return process_run_end(event);
    }
    serde_json::to_vec(&Payload {
        id: event.id,
        spektr_id: event.subject.as_deref(),
        r#type: &event.event_type,
        delivered: false,
        created_at: event.timestamp.as_millisecond(),
        reference: event.reference.as_deref(),
        data: &event.data,
    })
}

fn process_run_end(event: &Event) -> serde_json::Result<Vec<u8>> {
    let mut payload = ProcessRunEnd {
        id: event.id,
        spektr_id: event.subject.as_deref(),
        r#type: &event.event_type,
        delivered: None,
        process_name: None,
        process_output: None,
        files: None,
        fields: None,
        data: &event.data,
        created_at: event.timestamp.as_millisecond(),
    };
    // The last one of repeated members counts, as in most JSON readers.
    for (name, raw) in input::members(&event.data) {
        match name.as_str() {
            "processName" => payload.process_name = Some(raw),
            "processOutput" => payload.process_output = Some(raw),
            "files" => payload.files = Some(raw),
            "fields" => payload.fields = Some(raw),
            _ => {}
        }
    }
    serde_json::to_vec(&payload)
}
