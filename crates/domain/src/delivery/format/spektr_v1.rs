//! The body that `spektr-events-v1.txt` describes: one event in each request. `process_run_end` has
//! a shape of its own: members that a publisher puts into `data`, as version 2 has them, are beside
//! it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

#[cfg(feature = "openapi")]
use utoipa::{
    PartialSchema,
    openapi::{Object, ObjectBuilder, OneOfBuilder, RefOr, Schema, Type},
};

use super::{end_user, reference, status};
#[cfg(feature = "openapi")]
use crate::input::JsonObject;
use crate::{
    event::{Event, event_type::EventType, process},
    id::EventId,
    input,
};

/// An event of Spektr, version 1. `process_run_start` alone has `reference`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct Payload<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    id: EventId,
    /// The event's subject, or else the `spektr_id` of its data.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required = true))]
    spektr_id: Option<Cow<'a, str>>,
    #[cfg_attr(feature = "openapi", schema(inline))]
    r#type: &'a EventType,
    /// Always false: true would mean that a webhook has brought the event before.
    delivered: bool,
    /// The time at which the event happened, in Unix milliseconds.
    created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false))]
    reference: Option<Cow<'a, str>>,
    /// The event's own JSON, byte for byte, with the `userId` or the `processId` of a status change
    /// that was published as version 2 prints it.
    #[cfg_attr(feature = "openapi", schema(value_type = JsonObject))]
    data: &'a RawValue,
}

/// The end of a run in Spektr, version 1.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct ProcessRunEnd<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    id: EventId,
    /// The event's subject, or else the `spektr_id` of its data.
    #[serde(rename = "spektrId")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required = true))]
    spektr_id: Option<Cow<'a, str>>,
    #[cfg_attr(feature = "openapi", schema(inline))]
    r#type: &'a EventType,
    /// Always `null`, as the document prints it.
    #[cfg_attr(feature = "openapi", schema(schema_with = never_known, required = true))]
    delivered: Option<bool>,
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value, required = true))]
    process_name: Option<&'a RawValue>,
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value, required = true))]
    process_output: Option<&'a RawValue>,
    /// The published `files`, or no files.
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value, required = true))]
    files: &'a RawValue,
    /// The published `fields`, or no fields.
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value, required = true))]
    fields: &'a RawValue,
    /// The entries of the published JSON, without the members that describe the run.
    #[cfg_attr(feature = "openapi", schema(value_type = JsonObject))]
    data: &'a RawValue,
    /// The time at which the event happened, in Unix milliseconds.
    #[serde(rename = "createdAt")]
    created_at: i64,
}

#[cfg(feature = "openapi")]
fn never_known() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Null)
        .description(Some("Always `null`, as the document prints it."))
        .build()
}

#[cfg(feature = "openapi")]
pub(super) fn schema() -> RefOr<Schema> {
    OneOfBuilder::new().item(Payload::schema()).item(ProcessRunEnd::schema()).into()
}

/// The type that has its reference beside `data`.
const START: &str = "process_run_start";

/// The members of `data` that describe a run. Version 2 has them in `data`; version 1 has some of
/// them beside it, and in `data` only the entries of the end-user and of services.
const OF_THE_RUN: [&str; 11] = [
    "processType",
    "processName",
    "processOutput",
    "processId",
    "contextId",
    "reference",
    "score",
    "customerStatus",
    "tags",
    "files",
    "fields",
];

/// The document prints files and fields at all times, so receivers look into them without asking.
const NO_FILES: &str = r#"{"clientFiles":[]}"#;
const NO_FIELDS: &str = "[]";

pub(super) fn body(event: &Event) -> serde_json::Result<Vec<u8>> {
    if process::ends(&event.event_type) {
        return process_run_end(event);
    }
    let is_start = event.event_type.as_str() == START;
    let data = if is_start { Cow::Borrowed(&*event.data) } else { reference::in_data(event)? };
    serde_json::to_vec(&Payload {
        id: event.id,
        spektr_id: end_user::id(event),
        r#type: &event.event_type,
        delivered: false,
        created_at: event.timestamp.as_millisecond(),
        reference: if is_start { reference::of(event) } else { None },
        data: &status::in_first(event, &data)?,
    })
}

fn process_run_end(event: &Event) -> serde_json::Result<Vec<u8>> {
    let members = input::members(&event.data);
    let entries = RawValue::from_string(entries(&members)?)?;
    let no_files = RawValue::from_string(NO_FILES.to_owned())?;
    let no_fields = RawValue::from_string(NO_FIELDS.to_owned())?;
    let mut payload = ProcessRunEnd {
        id: event.id,
        spektr_id: end_user::id(event),
        r#type: &event.event_type,
        delivered: None,
        process_name: None,
        process_output: None,
        files: &no_files,
        fields: &no_fields,
        data: &entries,
        created_at: event.timestamp.as_millisecond(),
    };
    // The last one of repeated members counts, as in most JSON readers.
    for (name, raw) in &members {
        match name.as_str() {
            "processName" => payload.process_name = Some(raw),
            "processOutput" => payload.process_output = Some(raw),
            "files" => payload.files = raw,
            "fields" => payload.fields = raw,
            _ => {}
        }
    }
    serde_json::to_vec(&payload)
}

/// Writes the members that do not describe the run, their values byte for byte.
fn entries(members: &[(String, &RawValue)]) -> serde_json::Result<String> {
    let mut text = "{".to_owned();
    for (name, raw) in members {
        if OF_THE_RUN.contains(&name.as_str()) {
            continue;
        }
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&serde_json::to_string(name)?);
        text.push(':');
        text.push_str(raw.get());
    }
    text.push('}');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::event::catalogue;

    #[test]
    fn the_members_of_a_run_are_those_of_the_catalogue() {
        let built_in = catalogue::find("process_run_end").unwrap();
        let schema: Value = serde_json::from_str(built_in.schema).unwrap();
        let mut known: Vec<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut ours = OF_THE_RUN;
        known.sort_unstable();
        ours.sort_unstable();
        assert_eq!(known, ours);
    }
}
