//! The producer's JSON with members added, where another document has them elsewhere.

use std::{borrow::Cow, cmp::Reverse};

use serde_json::value::RawValue;

use crate::input;

/// A member of an object that is to be added: its name, and its value as JSON.
#[derive(Debug, Clone)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'static str,
    pub(crate) json: Cow<'a, str>,
}

/// A member of an object that is `null`, and the value that takes its place.
struct Null<'a> {
    /// The place of the `null` in the object's text, in bytes.
    at: usize,
    json: &'a str,
}

/// Returns an object with further members at its end. One that the object has stays as it is,
/// unless it is `null`: then it gets the value. All other bytes stay as they are.
pub(crate) fn with_members<'a>(
    object: &'a RawValue,
    added: &[Member<'_>],
) -> serde_json::Result<Cow<'a, RawValue>> {
    let present = input::members(object);
    let mut members = String::new();
    let mut nulls = Vec::new();
    for Member { name, json } in added {
        // The last one of repeated members counts, as in most JSON readers.
        match present.iter().rfind(|(other, _)| other == name) {
            Some((_, value)) if value.get() == "null" => {
                // The value is a part of the object's text.
                let at = value.get().as_ptr().addr() - object.get().as_ptr().addr();
                nulls.push(Null { at, json });
            }
            Some(_) => {}
            None => {
                if !members.is_empty() || !present.is_empty() {
                    members.push(',');
                }
                members.push_str(&format!("\"{name}\":{json}"));
            }
        }
    }
    match object.get().trim_end().strip_suffix('}') {
        Some(open) if !members.is_empty() || !nulls.is_empty() => {
            let text = without_nulls(format!("{open}{members}}}"), nulls);
            RawValue::from_string(text).map(Cow::Owned)
        }
        _ => Ok(Cow::Borrowed(object)),
    }
}

fn without_nulls(mut text: String, mut nulls: Vec<Null<'_>>) -> String {
    // The last one is first, so that the places of the others stay the same.
    nulls.sort_by_key(|null| Reverse(null.at));
    for Null { at, json } in nulls {
        text.replace_range(at..at + "null".len(), json);
    }
    text
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
    }

    #[test]
    fn a_member_that_is_null_gets_the_value() {
        assert_eq!(added(r#"{ "b": null }"#, &[("b", "2")]), r#"{ "b": 2 }"#);
        assert_eq!(
            added(r#"{"é":1,"c":null, "b": null}"#, &[("b", "[22]"), ("c", "\"ö\""), ("d", "4")]),
            r#"{"é":1,"c":"ö", "b": [22],"d":4}"#
        );
        let repeated = r#"{"b":null,"b":1}"#;
        assert_eq!(added(repeated, &[("b", "2")]), repeated, "the last one counts");
    }
}
