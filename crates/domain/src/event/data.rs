//! The producer's JSON with members added, where another document has them elsewhere.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::input;

/// A member of an object that is to be added: its name, and its value as JSON.
#[derive(Debug, Clone)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'static str,
    pub(crate) json: Cow<'a, str>,
}

/// Returns an object with further members at its end. One that the object has stays as it is, and
/// so do all other bytes.
pub(crate) fn with_members<'a>(
    object: &'a RawValue,
    added: &[Member<'_>],
) -> serde_json::Result<Cow<'a, RawValue>> {
    let present = input::members(object);
    let mut members = String::new();
    for Member { name, json } in added {
        if present.iter().any(|(other, _)| other == name) {
            continue;
        }
        if !members.is_empty() || !present.is_empty() {
            members.push(',');
        }
        members.push_str(&format!("\"{name}\":{json}"));
    }
    match object.get().trim_end().strip_suffix('}') {
        Some(open) if !members.is_empty() => {
            RawValue::from_string(format!("{open}{members}}}")).map(Cow::Owned)
        }
        _ => Ok(Cow::Borrowed(object)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(object: &str, members: &[(&'static str, &'static str)]) -> String {
        let object: &RawValue = serde_json::from_str(object).unwrap();
        let members: Vec<Member<'_>> =
            members.iter().map(|(name, json)| Member { name, json: Cow::Borrowed(json) }).collect();
        with_members(object, &members).unwrap().get().to_owned()
    }

    #[test]
    fn members_are_added_at_the_end_and_the_rest_is_byte_for_byte() {
        assert_eq!(
            added(r#"{ "a": 1.0 } "#, &[("b", "2"), ("c", "[]")]),
            r#"{ "a": 1.0 ,"b":2,"c":[]}"#
        );
        assert_eq!(added("{ }", &[("b", "2"), ("c", "3")]), r#"{ "b":2,"c":3}"#);
        assert_eq!(added(r#"{"b":1}"#, &[("b", "2"), ("c", "3")]), r#"{"b":1,"c":3}"#);
        assert_eq!(added(r#"{ "b": null }"#, &[("b", "2")]), r#"{ "b": null }"#);
    }
}
