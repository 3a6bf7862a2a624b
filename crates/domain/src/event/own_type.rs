//! The event types that a workspace adds to the catalogue.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    event::{
        catalogue,
        event_type::EventType,
        schema::{BadSchema, Budget, DataSchema, MAX_SCHEMA_BYTES},
    },
    input::{Fields, JsonObject, Optional, Text, body, check_depth},
};

/// The most types that a workspace may have.
pub const MAX_TYPES: usize = 1000;
/// The most bytes of a sample.
const MAX_SAMPLE_BYTES: usize = 64 * 1024;

body! {
    /// An event type of the workspace's own.
    #[derive(Debug, Clone)]
    pub struct PutEventType {
        /// A note, at most 1,024 bytes.
        pub description: Option<String> as Optional<Text<1024>>,
        /// The JSON Schema (2020-12 unless it names another draft) that `data` has to fit, at most
        /// 64 KiB. It refers to nothing outside itself.
        pub schema: Option<Box<RawValue>> as Optional<JsonObject>,
        /// The `data` of an example event, at most 64 KiB and 50 levels. It has to fit the schema.
        pub sample: Option<Box<RawValue>> as Optional<JsonObject>,
    }
}

/// A type as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OwnEventType {
    /// Its name.
    pub name: EventType,
    /// A note, at most 1,024 bytes.
    pub description: Option<String>,
    /// The JSON Schema that `data` has to fit when an event is published.
    pub schema: Option<Box<RawValue>>,
    /// The `data` of an example event.
    pub sample: Option<Box<RawValue>>,
}

impl OwnEventType {
    /// Reads what a client sent for the type of this name. The schema has to be one, and the sample
    /// has to fit it.
    pub fn parse(name: &str, body: &[u8]) -> Result<Self, Invalid> {
        let name = EventType::parse(name)
            .map_err(|error| Invalid::field("name", "invalid_event_type", error.to_string()))?;
        not_built_in(&name)?;
        let PutEventType { description, schema, sample } =
            PutEventType::of_fields(Fields::of_body(body)?)?;
        check_size("schema", schema.as_deref(), MAX_SCHEMA_BYTES)?;
        check_size("sample", sample.as_deref(), MAX_SAMPLE_BYTES)?;
        if let Some(sample) = &sample {
            check_depth("sample", sample.get())?;
        }
        if let Some(schema) = &schema {
            let compiled = DataSchema::compile(schema.get())
                .map_err(|error| Invalid::field("schema", "invalid_schema", error.to_string()))?;
            if let Some(sample) = &sample {
                compiled.check(sample, "sample", &mut Budget::default())?;
            }
        }
        Ok(Self { name, description, schema, sample })
    }

    /// A type that nobody has described: it has a name, and that is all.
    pub fn undescribed(name: EventType) -> Self {
        Self { name, description: None, schema: None, sample: None }
    }

    /// The schema, compiled. One that was stored by an earlier version can be none by the rules of
    /// this one.
    pub fn compile(&self) -> Result<Option<DataSchema>, BadSchema> {
        self.schema.as_ref().map(|schema| DataSchema::compile(schema.get())).transpose()
    }
}

/// Refuses a built-in type, which nobody can change or remove, by any of its names.
pub fn not_built_in(name: &EventType) -> Result<(), Invalid> {
    let one_name = name.clone().or_one_name();
    if catalogue::find(one_name.as_str()).is_none() {
        return Ok(());
    }
    let message = if one_name == *name {
        format!("{name} is a built-in type")
    } else {
        format!("{name} is another name of the built-in type {one_name}")
    };
    Err(Invalid::field("name", "built_in_event_type", message))
}

/// The complaint of a workspace that has as many types as it may have.
pub fn too_many(most: usize) -> Invalid {
    let message = format!(
        "the workspace has {most} event types of its own, as many as it can have: remove one before"
    );
    Invalid::conflicting(None, "too_many_event_types", message)
}

fn check_size(at: &str, json: Option<&RawValue>, most: usize) -> Result<(), Invalid> {
    if json.is_some_and(|json| json.get().len() > most) {
        return Err(Invalid::field(at, "too_long", format!("{at} takes at most {most} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_and_code(name: &str, body: &str) -> (String, &'static str) {
        let invalid = OwnEventType::parse(name, body.as_bytes()).expect_err("a complaint");
        (invalid.field.unwrap_or_default(), invalid.code)
    }

    #[test]
    fn a_type_is_stored_as_it_was_given() {
        let body = r#"{"description":"An invoice","schema":{"type":"object","required":["total"]},"sample":{"total": 1.0}}"#;
        let own = OwnEventType::parse("invoice.paid", body.as_bytes()).unwrap();
        insta::assert_snapshot!(serde_json::to_string(&own).unwrap());
        assert!(own.compile().unwrap().is_some());
        assert!(OwnEventType::parse("invoice.paid", b"{}").unwrap().compile().unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(field_and_code("a b", "{}"), ("name".into(), "invalid_event_type"));
        assert_eq!(field_and_code("order.created", "{}"), ("name".into(), "built_in_event_type"));
        assert_eq!(field_and_code("SERVICE_RUN", "{}"), ("name".into(), "built_in_event_type"));
        assert_eq!(field_and_code("a", r#"{"schema":true}"#), ("schema".into(), "wrong_type"));
        assert_eq!(
            field_and_code("a", r#"{"schema":{"type":"text"}}"#),
            ("schema".into(), "invalid_schema")
        );
        let remote = r#"{"schema":{"$ref":"https://example.com/schema.json"}}"#;
        assert_eq!(field_and_code("a", remote), ("schema".into(), "invalid_schema"));
        let misfit =
            r#"{"schema":{"properties":{"total":{"type":"number"}}},"sample":{"total":"1"}}"#;
        assert_eq!(field_and_code("a", misfit), ("sample.total".into(), "wrong_type"));
        let deep = format!(r#"{{"sample":{{"a":{}{}}}}}"#, "[".repeat(50), "]".repeat(50));
        assert_eq!(field_and_code("a", &deep), ("sample".into(), "too_deep"));
        assert_eq!(field_and_code("a", r#"{"scheme":{}}"#), ("scheme".into(), "unknown_field"));
        let long = format!(r#"{{"description":"{}"}}"#, "x".repeat(1025));
        assert_eq!(field_and_code("a", &long), ("description".into(), "too_long"));
        let long = format!(r#"{{"sample":{{"a":"{}"}}}}"#, "x".repeat(64 * 1024));
        assert_eq!(field_and_code("a", &long), ("sample".into(), "too_long"));
    }

    #[test]
    fn a_built_in_type_is_refused_by_each_of_its_names() {
        let message = |name| OwnEventType::parse(name, b"{}").unwrap_err().message;
        assert_eq!(message("order.created"), "order.created is a built-in type");
        assert_eq!(
            message("SERVICE_RUN"),
            "SERVICE_RUN is another name of the built-in type service_run"
        );
    }
}
