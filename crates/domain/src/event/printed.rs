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

use serde_json::{Value, value::RawValue};

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
    input::{self, Fields, JsonObject, Optional, Text, wrong_type},
};

/// The member that every printed event has, and that no other event has.
const SPEKTR_ID: &str = "spektrId";
/// The member that only version 2 has.
const EVENT_TYPE: &str = "eventType";

/// A member that version 1 prints beside the `data` of `process_run_end`.
struct OfTheEnd {
    name: &'static str,
    /// The name that it has in version 2, which has it in `data`.
    in_data: &'static str,
    shape: EndShape,
}

/// The JSON type of such a member.
#[derive(Clone, Copy)]
enum EndShape {
    Text,
    Object,
    List,
}

const OF_THE_END: [OfTheEnd; 4] = [
    OfTheEnd { name: "process_name", in_data: "processName", shape: EndShape::Text },
    OfTheEnd { name: "process_output", in_data: "processOutput", shape: EndShape::Text },
    OfTheEnd { name: "files", in_data: "files", shape: EndShape::Object },
    OfTheEnd { name: "fields", in_data: "fields", shape: EndShape::List },
];

impl OfTheEnd {
    /// Refuses a member that has another type than the document says, or that `data` has too, with
    /// another value. The complaint is about the member where the client sent it.
    fn check(
        &self,
        fields: &Fields<'_>,
        json: &RawValue,
        data: &[(String, &RawValue)],
    ) -> Result<(), Invalid> {
        let at = fields.at(self.name);
        check_characters(&at, json)?;
        let (beginning, shape) = match self.shape {
            EndShape::Text => ('"', "a text"),
            EndShape::Object => ('{', "an object"),
            EndShape::List => ('[', "a list"),
        };
        if !json.get().starts_with(beginning) {
            return Err(wrong_type(&at, shape));
        }
        // The last one of repeated members counts, as in most JSON readers.
        match data.iter().rfind(|(name, _)| name == self.in_data) {
            Some((_, inside)) if inside.get() != "null" && !is_same(json, inside) => {
                let inside = fields.at(&format!("data.{}", self.in_data));
                let message = format!("{at} and {inside} are the same member and differ");
                Err(Invalid::field(&at, "repeated_field", message))
            }
            _ => Ok(()),
        }
    }
}

/// Tells whether two JSON texts have the same value, however they are written.
fn is_same(one: &RawValue, other: &RawValue) -> bool {
    if one.get() == other.get() {
        return true;
    }
    let values: [serde_json::Result<Value>; 2] =
        [one, other].map(|json| serde_json::from_str(json.get()));
    matches!(values, [Ok(one), Ok(other)] if one == other)
}

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
    let data = input::members(&inside);
    for member in &OF_THE_END {
        let Some(json) = fields.raw(member.name) else { continue };
        if !process::ends(&event_type) {
            let at = fields.at(member.name);
            let message = format!("{at} belongs to process_run_end, and this is {event_type}");
            return Err(Invalid::field(&at, "misplaced_field", message));
        }
        member.check(&fields, json, &data)?;
        beside.push(Member { name: member.in_data, json: Cow::Borrowed(json.get()) });
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
    use serde_json::json;

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
        assert_eq!(complaint(&other), ("process_name".to_owned(), "misplaced_field"));
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

    #[test]
    fn a_member_of_a_wrong_type_is_named_where_it_was_sent() {
        for name in ["process_name", "process_output", "files", "fields"] {
            let mut wrong = end_of_a_run();
            wrong[name] = json!(5);
            assert_eq!(complaint(&wrong), (name.to_owned(), "wrong_type"));
            let listed = json!({ "events": [end_of_a_run(), wrong] });
            let invalid = NewEvent::parse_call(listed.to_string().as_bytes()).unwrap_err();
            assert_eq!(invalid.field, Some(format!("events[1].{name}")));
            wrong[name] = Value::Null;
            assert!(parse(&wrong).is_ok(), "it is as if it was not there");
        }
    }

    #[test]
    fn a_member_can_be_beside_data_and_in_it_only_with_one_value() {
        for (name, in_data) in [("process_name", "processName"), ("files", "files")] {
            let mut both = end_of_a_run();
            both["data"] = json!({ in_data: both[name] });
            let event = parse(&both).unwrap();
            assert_eq!(event.data.get().matches(in_data).count(), 1, "{}", event.data);
            both["data"] = json!({ in_data: null });
            let given: Value = serde_json::from_str(parse(&both).unwrap().data.get()).unwrap();
            assert_eq!(given[in_data], both[name]);
            both["data"] = json!({ in_data: {} });
            assert_eq!(complaint(&both), (name.to_owned(), "repeated_field"));
        }
        let written_otherwise = r#"{"spektrId":null,"type":"process_run_end",
            "files":{"a":[],"b":1},"data":{"files":{ "b": 1, "a": [ ] }}}"#;
        let event = read(Fields::of_body(written_otherwise.as_bytes()).unwrap()).unwrap();
        assert_eq!(event.data.get(), r#"{"files":{ "b": 1, "a": [ ] }}"#);
    }
}
