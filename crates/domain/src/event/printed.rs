//! Events as the two Spektr documents print them. A program that was written by one of them can
//! publish its events as they are.
//!
//! | version 1 | version 2 | published |
//! |---|---|---|
//! | `type` | `eventType` | `type` |
//! | `spektrId` | `spektrId` | `subject` |
//! | `createdAt` | `timestamp` | `timestamp` |
//! | `reference` | in `data` | `reference` |
//! | `process_name`, `process_output` | in `data` | `processName`, `processOutput` of `data` |
//! | `files`, `fields` | in `data` | `files`, `fields` of `data` |
//! | `id`, `delivered` | `id`, `workspaceId` | nothing |
//!
//! The event gets an id of its own, and belongs to the workspace of the call.

use std::borrow::Cow;

use super::{
    NewEvent,
    data::{Member, with_members},
    event_type::EventType,
    new::{Sendable, check_characters},
    process,
    timestamp::Moment,
};
use crate::{
    Invalid,
    input::{Fields, JsonObject, Optional, Text},
};

/// The member that every printed event has, and that no other event has.
const SPEKTR_ID: &str = "spektrId";
/// The member that only version 2 has.
const EVENT_TYPE: &str = "eventType";

/// The members that version 1 prints beside the `data` of `process_run_end`, with their names in
/// version 2, which has them in `data`.
const OF_THE_END: [(&str, &str); 4] = [
    ("process_name", "processName"),
    ("process_output", "processOutput"),
    ("files", "files"),
    ("fields", "fields"),
];

/// Reads an event, whether it is a published one or a printed one.
pub(super) fn read(fields: Fields<'_>) -> Result<NewEvent, Invalid> {
    match (fields.has(SPEKTR_ID), fields.has(EVENT_TYPE)) {
        (false, _) => NewEvent::of_fields(fields),
        (true, false) => first_version(fields),
        (true, true) => second_version(fields),
    }
}

/// Tells whether these are the fields of a printed event.
pub(super) fn is_printed(fields: &Fields<'_>) -> bool {
    fields.has(SPEKTR_ID)
}

fn first_version(mut fields: Fields<'_>) -> Result<NewEvent, Invalid> {
    let event_type = fields.take::<EventType>("type")?;
    let subject = fields.take::<Optional<Sendable<Text<256>>>>(SPEKTR_ID)?;
    let timestamp = fields.take::<Optional<Moment>>("createdAt")?;
    let reference = fields.take::<Optional<Sendable<Text<256>>>>("reference")?;
    let inside = fields.take::<Sendable<JsonObject>>("data")?;
    let mut beside = Vec::new();
    // Other types have none of these members, so they are unknown there.
    if process::ends(&event_type) {
        for (name, in_data) in OF_THE_END {
            if let Some(json) = fields.raw(name) {
                check_characters(&fields.at(name), json)?;
                beside.push(Member { name: in_data, json: Cow::Borrowed(json.get()) });
            }
        }
    }
    finish_without(fields, ["id", "delivered"])?;
    let data = with_members(&inside, &beside)
        .map_err(|error| Invalid::malformed(error.to_string()))?
        .into_owned();
    Ok(NewEvent { r#type: event_type, data, subject, timestamp, reference })
}

fn second_version(mut fields: Fields<'_>) -> Result<NewEvent, Invalid> {
    let event_type = fields.take::<EventType>(EVENT_TYPE)?;
    let subject = fields.take::<Optional<Sendable<Text<256>>>>(SPEKTR_ID)?;
    let timestamp = fields.take::<Optional<Moment>>("timestamp")?;
    let data = fields.take::<Sendable<JsonObject>>("data")?;
    finish_without(fields, ["id", "workspaceId"])?;
    Ok(NewEvent { r#type: event_type, data, subject, timestamp, reference: None })
}

/// Ends the reading. These members may be there and say nothing to Posthaste.
fn finish_without(mut fields: Fields<'_>, unread: [&'static str; 2]) -> Result<(), Invalid> {
    for name in unread {
        fields.raw_or_null(Cow::Borrowed(name));
    }
    fields.finish()
}

#[cfg(feature = "openapi")]
mod document {
    use utoipa::{
        PartialSchema, ToSchema,
        openapi::{ArrayBuilder, ObjectBuilder, Schema, Type, schema::AdditionalProperties},
    };

    use super::{EVENT_TYPE, EventType, JsonObject, Moment, SPEKTR_ID, Text};
    use crate::input::openapi::{Described, open_object, or_null, reference, text};

    /// An event as version 1 prints it.
    pub struct SpektrV1Event;

    /// An event as version 2 prints it.
    pub struct SpektrEvent;

    /// The members that both versions have. `named` is the member with the event's type, and `at`
    /// the one with its time.
    fn event(named: &str, at: &str) -> ObjectBuilder {
        ObjectBuilder::new()
            .property("id", text().description(Some("Not read: the event gets an id of its own.")))
            .property(SPEKTR_ID, or_null(Text::<256>::schema()))
            .property(named, reference::<EventType>())
            .property(at, or_null(Moment::schema()))
            .property("data", reference::<JsonObject>())
            .required(SPEKTR_ID)
            .required(named)
            .required("data")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
    }

    impl PartialSchema for SpektrV1Event {
        fn schema() -> Described {
            let delivered = ObjectBuilder::new().schema_type(Type::Boolean);
            let fields: Schema = ArrayBuilder::new().items(open_object()).into();
            event("type", "createdAt")
                .description(Some(
                    "An event as version 1 of the Spektr document prints it. `delivered` is not \
                     read. `process_name`, `process_output`, `files` and `fields` belong to \
                     `process_run_end` alone.",
                ))
                .property("delivered", or_null(delivered.into()))
                .property("reference", or_null(Text::<256>::schema()))
                .property("process_name", or_null(text().into()))
                .property("process_output", or_null(text().into()))
                .property("files", or_null(open_object().into()))
                .property("fields", or_null(fields.into()))
                .into()
        }
    }

    impl PartialSchema for SpektrEvent {
        fn schema() -> Described {
            event(EVENT_TYPE, "timestamp")
                .description(Some(
                    "An event as version 2 of the Spektr document prints it. `workspaceId` is not \
                     read: the event belongs to the workspace of the key.",
                ))
                .property("workspaceId", text())
                .into()
        }
    }

    impl ToSchema for SpektrV1Event {}
    impl ToSchema for SpektrEvent {}
}

#[cfg(feature = "openapi")]
pub use document::{SpektrEvent, SpektrV1Event};

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(event: &Value) -> Result<NewEvent, Invalid> {
        read(Fields::of_body(event.to_string().as_bytes())?)
    }

    fn complaint(event: &Value) -> (String, &'static str) {
        let invalid = parse(event).unwrap_err();
        (invalid.field.unwrap(), invalid.code)
    }

    fn end_of_a_run() -> Value {
        json!({
            "id": "<event-id>", "spektrId": "<id end-user related to this event>",
            "type": "process_run_end", "delivered": null, "process_name": "<process-name>",
            "process_output": "<process-output>",
            "files": { "clientFiles": ["<file1>", "<file2>"] }, "fields": [{ "key": "k" }],
            "data": {}, "createdAt": 1_672_531_199_000_u64,
        })
    }

    #[test]
    fn the_members_beside_the_first_versions_data_are_in_it() {
        let event = parse(&end_of_a_run()).unwrap();
        let expected = [
            r#"{"processName":"<process-name>","processOutput":"<process-output>","#,
            r#""files":{"clientFiles":["<file1>","<file2>"]},"fields":[{"key":"k"}]}"#,
        ];
        assert_eq!(event.data.get(), expected.concat());
        assert_eq!(event.subject.as_deref(), Some("<id end-user related to this event>"));
        assert_eq!(event.timestamp.map(jiff::Timestamp::as_millisecond), Some(1_672_531_199_000));
    }

    #[test]
    fn each_version_has_its_own_members_and_no_others() {
        let mut other = end_of_a_run();
        other["type"] = json!("service_run");
        assert_eq!(complaint(&other).1, "unknown_field");
        let second = json!({
            "id": "1", "spektrId": null, "eventType": "alert_resolved", "workspaceId": "w",
            "timestamp": 1_672_531_199_000_u64, "data": { "a": 1.0 },
        });
        let event = parse(&second).unwrap();
        assert_eq!((event.data.get(), event.subject), (r#"{"a":1.0}"#, None));
        for (name, value) in [
            ("type", json!("alert_resolved")),
            ("createdAt", json!(1_672_531_199_000_u64)),
            ("delivered", json!(true)),
            ("reference", json!("r")),
        ] {
            let mut mixed = second.clone();
            mixed[name] = value;
            assert_eq!(complaint(&mixed), (name.to_owned(), "unknown_field"));
        }
        let published = json!({ "type": "a", "data": {}, "id": "1" });
        assert_eq!(complaint(&published), ("id".to_owned(), "unknown_field"));
        let unsendable =
            json!({ "spektrId": "c", "type": "process_run_end", "data": {}, "files": "\u{ffff}" });
        assert_eq!(complaint(&unsendable), ("files".to_owned(), "invalid_character"));
    }
}
