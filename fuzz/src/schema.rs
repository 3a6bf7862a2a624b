//! The schemas of a workspace's own event types, and data that is checked against them.

use posthaste_domain::{
    Invalid,
    event::{
        own_type::OwnEventType,
        schema::{Budget, DataSchema},
    },
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// A schema, and data that it is meant for.
#[derive(Deserialize)]
struct Case<'a> {
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// A schema is compiled or refused, a check ends, names a place in the data, and says the same each
/// time. Data that passes has what the schema requires at its top.
pub(crate) fn checks_within_bounds(input: &[u8]) -> bool {
    let _a_type_of_its_own = OwnEventType::parse("invoice.paid", input);
    let Ok(Case { schema, data }) = serde_json::from_slice(input) else { return false };
    let Ok(compiled) = DataSchema::compile(schema.get()) else { return false };
    let mut budget = Budget::default();
    let verdict = compiled.check(data, "data", &mut budget);
    let again = compiled.check(data, "data", &mut Budget::default());
    assert_eq!(verdict, again, "a check depends on nothing but the schema and the data");
    match &verdict {
        Ok(()) => check_top(schema, data),
        Err(invalid) => check_complaint(invalid),
    }
    // The budget of a call is used up by its checks, and never grows.
    for _ in 0..8 {
        let before = format!("{budget:?}");
        if compiled.check(data, "data", &mut budget).is_err_and(|why| why.code == "too_costly") {
            assert_eq!(before, format!("{budget:?}"), "a check that is not made costs nothing");
        }
    }
    verdict.is_ok()
}

fn check_complaint(invalid: &Invalid) {
    let field = invalid.field.as_deref().expect("a complaint names a field");
    assert!(field.starts_with("data"), "{field}");
    let codes = ["missing_field", "wrong_type", "schema_violation", "too_costly"];
    assert!(codes.contains(&invalid.code), "{}", invalid.code);
    assert!(!invalid.to_string().contains('\n'), "{invalid}");
}

/// Checks accepted data against the keywords that need no validator.
fn check_top(schema: &RawValue, data: &RawValue) {
    let [Ok(schema), Ok(data)] = [schema, data].map(|raw| serde_json::from_str::<Value>(raw.get()))
    else {
        panic!("both were read before")
    };
    // In older drafts a reference hides what is beside it.
    if schema.get("$ref").is_some() || schema.get("$schema").is_some() {
        return;
    }
    if let (Some(required), Some(members)) = (schema["required"].as_array(), data.as_object()) {
        for name in required.iter().filter_map(Value::as_str) {
            assert!(members.contains_key(name), "{data} lacks {name}");
        }
    }
    let is_wanted = match schema["type"].as_str() {
        Some("object") => data.is_object(),
        Some("array") => data.is_array(),
        Some("string") => data.is_string(),
        Some("boolean") => data.is_boolean(),
        Some("null") => data.is_null(),
        Some("number" | "integer") => data.is_number(),
        _ => true,
    };
    assert!(is_wanted, "{data} is not of the type {}", schema["type"]);
    if let (Some(most), Some(text)) = (schema["maxLength"].as_u64(), data.as_str()) {
        assert!(text.chars().count() as u64 <= most, "{text} has more than {most} characters");
    }
}
