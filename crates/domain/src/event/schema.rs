//! The JSON Schema of an event type's `data`, and the errors about data that does not fit it.

mod bounds;
mod patterns;
mod steps;

use boon::{
    Compiler, Draft, ErrorKind, InstanceToken, SchemaIndex, Schemas, UrlLoader, ValidationError,
};
use serde_json::{Value, value::RawValue};

use crate::Invalid;
use steps::{Prices, TooCostly};

pub use steps::{Budget, MAX_STEPS, MAX_STEPS_OF_CALL};

/// The most bytes that a workspace's own schema may have.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// The most that the schemas of all event types of one publishing call may weigh together, in
/// bytes. To compile a schema takes a time in proportion to its weight, which is its own bytes and
/// those that its patterns count for. In an optimised build a byte takes about 1 µs.
pub const MAX_WEIGHT_OF_CALL: usize = 256 * 1024;
/// A name under which the schema is compiled. Nothing is read from it.
const LOCATION: &str = "https://schema.invalid/data.json";

/// The error about a schema that this JSON reader does not take. A text that is no JSON at all is
/// refused earlier.
const UNREADABLE: &str = "a schema has to be JSON of fewer than 128 levels, without half surrogate \
    pairs and numbers beyond 1e308";
/// The error about data that this JSON reader does not take. Data that is no JSON at all, or too
/// deep, is refused earlier.
const UNREADABLE_DATA: &str = "it has half a surrogate pair, or a number beyond 1e308";

/// A compiled schema: JSON Schema 2020-12 unless it names another draft. Patterns are matched in
/// linear time.
pub struct DataSchema {
    source: Value,
    prices: Prices,
    weight: usize,
    schemas: Schemas,
    index: SchemaIndex,
}

/// A sentence that explains why a text is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSchema(String);

/// A schema may refer to its own parts only: nothing is read from a disk or a network.
struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("{url} is not a part of the schema").into())
    }
}

impl DataSchema {
    /// Compiles a workspace's schema, which has to be an object, fit its meta-schema, and be cheap
    /// to check.
    pub fn compile(text: &str) -> Result<Self, BadSchema> {
        if text.len() > MAX_SCHEMA_BYTES {
            return Err(BadSchema(format!("a schema takes at most {MAX_SCHEMA_BYTES} bytes")));
        }
        let bad = |error: &dyn std::fmt::Display| BadSchema(first_line(&error.to_string()));
        let value: Value =
            serde_json::from_str(text).map_err(|_| BadSchema(UNREADABLE.to_owned()))?;
        if !value.is_object() {
            return Err(BadSchema("a schema has to be an object".to_owned()));
        }
        check_draft(&value)?;
        let patterns = patterns::check(&value)?;
        let weight = text.len() + patterns.weight;
        if weight > MAX_WEIGHT_OF_CALL {
            return Err(BadSchema("its patterns are too costly together".to_owned()));
        }
        bounds::check(&value)?;
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.use_loader(Box::new(Nothing));
        compiler.add_resource(LOCATION, value.clone()).map_err(|error| bad(&error))?;
        let mut schemas = Schemas::new();
        let index = compiler.compile(LOCATION, &mut schemas).map_err(|error| match error {
            boon::CompileError::ValidationError { src, .. } => no_schema(leaf(&src)),
            other => bad(&other),
        })?;
        Ok(Self { source: value, prices: patterns.prices, weight, schemas, index })
    }

    /// Takes the schema's weight from the budget of a call. The event at `path` is the first one
    /// that needs the schema.
    pub(crate) fn weigh(&self, path: &str, budget: &mut Budget) -> Result<(), Invalid> {
        budget.take_schema(self.weight).map_err(|why| too_costly(why, path))
    }

    /// Checks the data at `path`, for example `events[3].data`. The error names the path of the
    /// value at fault. Data whose check would take more steps than are left is refused as
    /// `too_costly`.
    pub fn check(&self, data: &RawValue, path: &str, budget: &mut Budget) -> Result<(), Invalid> {
        let value: Value = serde_json::from_str(data.get()).map_err(|_| {
            Invalid::field(
                path,
                "wrong_type",
                format!("{path} can't be checked: {UNREADABLE_DATA}"),
            )
        })?;
        budget.take(&self.source, &self.prices, &value).map_err(|why| too_costly(why, path))?;
        self.schemas.validate(&value, self.index).map_err(|error| complaint(leaf(&error), path))
    }
}

impl std::fmt::Debug for DataSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataSchema(…)")
    }
}

/// Refuses a schema that names an unknown draft. Nothing is fetched, so a draft of someone's own
/// can't be known.
fn check_draft(schema: &Value) -> Result<(), BadSchema> {
    const DRAFTS: [&str; 5] =
        ["draft/2020-12", "draft/2019-09", "draft-07", "draft-06", "draft-04"];
    let Some(named) = schema["$schema"].as_str() else { return Ok(()) };
    let bare =
        named.strip_prefix("https://").or_else(|| named.strip_prefix("http://")).unwrap_or(named);
    let path = bare.strip_suffix('#').unwrap_or(bare).strip_prefix("json-schema.org/");
    let draft = path.and_then(|path| path.strip_suffix("schema"));
    let is_known = draft.is_some_and(|draft| {
        draft.is_empty() || draft.strip_suffix('/').is_some_and(|draft| DRAFTS.contains(&draft))
    });
    if is_known {
        return Ok(());
    }
    let shown: String = named.chars().take(100).collect();
    let known = DRAFTS.join(", ");
    Err(BadSchema(format!(
        "$schema names {shown:?}, which is not known: leave it out, or give \
         https://json-schema.org/draft/2020-12/schema. The known drafts are {known}"
    )))
}

/// Explains why a value is no schema, in words of ours.
fn no_schema(error: &ValidationError<'_, '_>) -> BadSchema {
    let at = path_of(error, "schema");
    let is_type = matches!(
        error.instance_location.tokens.last(), Some(InstanceToken::Prop(name)) if *name == "type"
    );
    BadSchema(match &error.kind {
        ErrorKind::AnyOf if is_type => format!(
            "{at} has to be one of null, boolean, object, array, number, string and integer, or a \
             list of some of them"
        ),
        ErrorKind::AnyOf | ErrorKind::OneOf(_) => {
            format!("{at} has none of the forms that JSON Schema gives it")
        }
        ErrorKind::Type { want, .. } => {
            format!("{at} has to be of type {}", words(want.iter(), " or "))
        }
        ErrorKind::Enum { want } => format!("{at} has to be one of {}", words(want.iter(), ", ")),
        ErrorKind::Format { want, .. } => format!("{at} has to be of the format {want}"),
        kind => format!("{at}: {}", first_line(&kind.to_string())),
    })
}

fn words(values: impl Iterator<Item = impl ToString>, between: &str) -> String {
    values.map(|value| value.to_string()).collect::<Vec<_>>().join(between)
}

fn too_costly(why: TooCostly, path: &str) -> Invalid {
    let message = match why {
        TooCostly::Event => {
            format!(
                "{path} is too large for the schema of its type: the check would take more than \
                 {MAX_STEPS} steps"
            )
        }
        TooCostly::Call => format!(
            "the checks of the call's events would take more than {MAX_STEPS_OF_CALL} steps \
             together, and {path} is where they are used up: publish fewer events in one call"
        ),
        TooCostly::Schemas => format!(
            "the schemas of the call's event types weigh more than {MAX_WEIGHT_OF_CALL} bytes \
             together, and {path} is where they are used up: publish events of fewer types in \
             one call"
        ),
    };
    Invalid::field(path, "too_costly", message)
}

/// The innermost value that is at fault: the values around it are at fault only because of it.
fn leaf<'a, 's, 'v>(error: &'a ValidationError<'s, 'v>) -> &'a ValidationError<'s, 'v> {
    let alternatives =
        matches!(error.kind, ErrorKind::AnyOf | ErrorKind::OneOf(_) | ErrorKind::Not);
    match error.causes.first() {
        Some(cause) if !alternatives => leaf(cause),
        _ => error,
    }
}

fn complaint(error: &ValidationError<'_, '_>, path: &str) -> Invalid {
    let at = path_of(error, path);
    match &error.kind {
        ErrorKind::Required { want } => {
            let name = format!("{at}{}", step(want.first().unwrap_or(&"")));
            Invalid::field(&name, "missing_field", format!("{name} is required"))
        }
        ErrorKind::DependentRequired { prop, missing } => {
            let name = format!("{at}{}", step(missing.first().unwrap_or(&"")));
            let message = format!("{name} is required beside {at}{}", step(prop));
            Invalid::field(&name, "missing_field", message)
        }
        ErrorKind::Type { want, .. } => Invalid::field(
            &at,
            "wrong_type",
            format!("{at} has to be of type {}", words(want.iter(), " or ")),
        ),
        kind => {
            let message = format!(
                "{at} does not fit the event type's schema: {}",
                first_line(&kind.to_string())
            );
            Invalid::field(&at, "schema_violation", message)
        }
    }
}

fn path_of(error: &ValidationError<'_, '_>, path: &str) -> String {
    error.instance_location.tokens.iter().fold(path.to_owned(), |path, token| match token {
        InstanceToken::Prop(name) => path + &step(name),
        InstanceToken::Item(at) => format!("{path}[{at}]"),
    })
}

/// `.name`, or `["the name"]` where it is no plain word.
fn step(name: &str) -> String {
    let plain =
        name.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '$'));
    if plain && !name.is_empty() { format!(".{name}") } else { format!("[{name:?}]") }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: Value, data: Value) -> (String, &'static str) {
        let raw = RawValue::from_string(data.to_string()).unwrap();
        let invalid = DataSchema::compile(&schema.to_string())
            .unwrap()
            .check(&raw, "events[3].data", &mut Budget::default())
            .unwrap_err();
        (invalid.field.unwrap(), invalid.code)
    }

    #[test]
    fn the_json_path_of_the_value_at_fault_is_named() {
        let schema = json!({
            "type": "object", "required": ["id"],
            "properties": {
                "id": { "type": "string" },
                "changes": {
                    "type": "array",
                    "items": {
                        "type": "object", "required": ["fieldId"],
                        "properties": { "a b": { "type": ["string", "null"] } },
                    },
                },
                "n": { "anyOf": [{ "type": "integer" }, { "type": "null" }] },
                "size": { "minimum": 3 }
            }
        });
        let check = |data| check(schema.clone(), data);
        assert_eq!(check(json!({})), ("events[3].data.id".into(), "missing_field"));
        assert_eq!(check(json!({ "id": 7 })), ("events[3].data.id".into(), "wrong_type"));
        assert_eq!(
            check(json!({ "id": "x", "changes": [{ "fieldId": 1 }, {}] })),
            ("events[3].data.changes[1].fieldId".into(), "missing_field")
        );
        assert_eq!(
            check(json!({ "id": "x", "changes": [{ "fieldId": 1, "a b": 1 }] })),
            ("events[3].data.changes[0][\"a b\"]".into(), "wrong_type")
        );
        assert_eq!(
            check(json!({ "id": "x", "n": "y" })),
            ("events[3].data.n".into(), "schema_violation")
        );
        assert_eq!(
            check(json!({ "id": "x", "size": 1 })),
            ("events[3].data.size".into(), "schema_violation")
        );
    }

    #[test]
    fn odd_numbers_are_numbers() {
        let schema =
            DataSchema::compile(r#"{"properties":{"n":{"type":"number"},"i":{"type":"integer"}}}"#)
                .unwrap();
        for data in [
            r#"{"n":1e2,"i":1.0}"#,
            r#"{"n":123456789012345678901234567890,"i":123456789012345678901234567890}"#,
        ] {
            let raw = RawValue::from_string(data.to_owned()).unwrap();
            assert_eq!(schema.check(&raw, "data", &mut Budget::default()), Ok(()), "{data}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_schema_is_said_in_plain_words() {
        let deep = format!(r#"{{"const":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        let complaints: Vec<_> = [
            r#"{"type":"strng"}"#,
            r#"{"properties":{"a":{"type":["string",7]}}}"#,
            r#"{"properties":{"a":{"type":7}}}"#,
            r#"{"properties":{"type":7}}"#,
            r#"{"properties":[]}"#,
            r#"{"required":"id"}"#,
            r#"{"minLength":-1}"#,
            r#"{"pattern":"("}"#,
            r#"{"pattern":"(?=a)"}"#,
            r#"{"patternProperties":{"[b-a]":{}}}"#,
            r#"{"pattern":7}"#,
            r#"{"$schema":"http://example.com/schema"}"#,
            r#"{"$schema":7}"#,
            r##"{"$schema":"http://json-schema.org/draft-07/schema#","items":7}"##,
            r#"{"$id":"::"}"#,
            &deep,
        ]
        .map(|schema| DataSchema::compile(schema).expect_err(schema).to_string())
        .into();
        insta::assert_snapshot!(complaints.join("\n"));
        for known in [
            "https://json-schema.org/draft/2020-12/schema",
            "http://json-schema.org/draft-04/schema#",
            "http://json-schema.org/schema#",
        ] {
            assert!(
                DataSchema::compile(&json!({ "$schema": known }).to_string()).is_ok(),
                "{known}"
            );
        }
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for bad in [
            "[]",
            "true",
            "{",
            r#"{"type":"text"}"#,
            r#"{"required":"id"}"#,
            r#"{"properties":{"a":{"type":7}}}"#,
            r#"{"$ref":"https://example.com/other.json"}"#,
            r#"{"$ref":"file:///etc/passwd"}"#,
            r##"{"$ref":"#/$defs/none"}"##,
            r#"{"pattern":"("}"#,
        ] {
            let error = DataSchema::compile(bad).expect_err(bad);
            assert!(
                !error.to_string().is_empty() && !error.to_string().contains("root:"),
                "{bad}: {error}"
            );
        }
        assert!(
            DataSchema::compile(&format!(
                r#"{{"description":"{}"}}"#,
                "x".repeat(MAX_SCHEMA_BYTES)
            ))
            .is_err()
        );
    }
}
