//! The event types that a workspace adds to the catalogue.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid, catalogue,
    event_type::EventType,
    input::{Fields, check_depth},
    schema::{BadSchema, Budget, DataSchema, MAX_SCHEMA_BYTES},
};

/// The most types that a workspace may have.
pub const MAX_TYPES: usize = 1000;
const MAX_DESCRIPTION_BYTES: usize = 1024;
/// The most bytes of a sample.
const MAX_SAMPLE_BYTES: usize = 64 * 1024;

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
    /// Reads what a client sent for the type of this name. The schema has to be one, and the sample has to fit it.
    pub fn parse(name: &str, body: &[u8]) -> Result<Self, Invalid> {
        let name =
            EventType::parse(name).map_err(|error| Invalid::field("name", "invalid_event_type", error.to_string()))?;
        not_built_in(&name)?;
        let mut fields = Fields::of_body(body)?;
        let description = fields.optional::<String>("description", "a text")?;
        if description.as_ref().is_some_and(|text| text.len() > MAX_DESCRIPTION_BYTES) {
            let message = format!("description takes at most {MAX_DESCRIPTION_BYTES} bytes");
            return Err(Invalid::field("description", "too_long", message));
        }
        let schema = bounded(&mut fields, "schema", MAX_SCHEMA_BYTES)?;
        let sample = bounded(&mut fields, "sample", MAX_SAMPLE_BYTES)?;
        fields.finish()?;
        sample.map_or(Ok(()), |sample| check_depth("sample", sample.get()))?;
        if let Some(schema) = schema {
            let compiled = DataSchema::compile(schema.get())
                .map_err(|error| Invalid::field("schema", "invalid_schema", error.to_string()))?;
            sample.map_or(Ok(()), |sample| compiled.check(sample, "sample", &mut Budget::default()))?;
        }
        Ok(Self { name, description, schema: schema.map(ToOwned::to_owned), sample: sample.map(ToOwned::to_owned) })
    }

    /// The schema, compiled. One that was stored by an earlier version can be none by the rules of this one.
    pub fn compile(&self) -> Result<Option<DataSchema>, BadSchema> {
        self.schema.as_ref().map(|schema| DataSchema::compile(schema.get())).transpose()
    }
}

/// Refuses a built-in type, which nobody can change or remove.
pub fn not_built_in(name: &EventType) -> Result<(), Invalid> {
    if catalogue::find(name.as_str()).is_none() {
        return Ok(());
    }
    Err(Invalid::field("name", "built_in_event_type", format!("{name} is a built-in type")))
}

/// The complaint of a workspace that has as many types as it may have.
pub fn too_many(most: usize) -> Invalid {
    let message = format!("the workspace has {most} event types of its own, as many as it can have: remove one before");
    Invalid::conflicting(None, "too_many_event_types", message)
}

/// An object of at most this many bytes.
fn bounded<'a>(fields: &mut Fields<'a>, name: &'static str, bytes: usize) -> Result<Option<&'a RawValue>, Invalid> {
    let Some(raw) = fields.raw(name) else { return Ok(None) };
    if !raw.get().starts_with('{') {
        return Err(Invalid::field(name, "wrong_type", format!("{name} has to be an object")));
    }
    if raw.get().len() > bytes {
        return Err(Invalid::field(name, "too_long", format!("{name} takes at most {bytes} bytes")));
    }
    Ok(Some(raw))
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
        let body =
            r#"{"description":"An invoice","schema":{"type":"object","required":["total"]},"sample":{"total": 1.0}}"#;
        let own = OwnEventType::parse("invoice.paid", body.as_bytes()).unwrap();
        insta::assert_snapshot!(serde_json::to_string(&own).unwrap());
        assert!(own.compile().unwrap().is_some());
        assert!(OwnEventType::parse("invoice.paid", b"{}").unwrap().compile().unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(field_and_code("a b", "{}"), ("name".into(), "invalid_event_type"));
        assert_eq!(field_and_code("order.created", "{}"), ("name".into(), "built_in_event_type"));
        assert_eq!(field_and_code("a", r#"{"schema":true}"#), ("schema".into(), "wrong_type"));
        assert_eq!(field_and_code("a", r#"{"schema":{"type":"text"}}"#), ("schema".into(), "invalid_schema"));
        let remote = r#"{"schema":{"$ref":"https://example.com/schema.json"}}"#;
        assert_eq!(field_and_code("a", remote), ("schema".into(), "invalid_schema"));
        let misfit = r#"{"schema":{"properties":{"total":{"type":"number"}}},"sample":{"total":"1"}}"#;
        assert_eq!(field_and_code("a", misfit), ("sample.total".into(), "wrong_type"));
        let deep = format!(r#"{{"sample":{{"a":{}{}}}}}"#, "[".repeat(50), "]".repeat(50));
        assert_eq!(field_and_code("a", &deep), ("sample".into(), "too_deep"));
        assert_eq!(field_and_code("a", r#"{"scheme":{}}"#), ("scheme".into(), "unknown_field"));
        let long = format!(r#"{{"description":"{}"}}"#, "x".repeat(1025));
        assert_eq!(field_and_code("a", &long), ("description".into(), "too_long"));
    }
}
