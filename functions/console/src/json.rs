//! JSON of other people, kept as it is written: the order of members, and how numbers stand there.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of an object in the order in which they stand there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members(pub(crate) Vec<(String, Box<RawValue>)>);

impl Members {
    /// Reads an object. Any other JSON has no members.
    pub(crate) fn of(json: &RawValue) -> Self {
        serde_json::from_str(json.get()).unwrap_or_default()
    }

    /// The value of a member. The last one of repeated members counts, as in most JSON readers.
    pub(crate) fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().rfind(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// The value of a member that has this form.
    pub(crate) fn read<'m, T: Deserialize<'m>>(&'m self, name: &str) -> Option<T> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

/// JSON that a person has written, without the white space between its values. The error is a
/// sentence that says where the text stops being JSON.
pub(crate) fn compact(text: &str) -> Result<String, String> {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let (line, column) = (error.line(), error.column());
        return Err(if error.is_eof() {
            format!("This is not JSON yet: it breaks off at line {line}, column {column}.")
        } else {
            format!("This is not JSON: line {line}, column {column} is where it stops being JSON.")
        });
    }
    let (mut in_string, mut is_escaped) = (false, false);
    let written = text.chars().filter(|sign| {
        if in_string {
            in_string = is_escaped || *sign != '"';
            is_escaped = *sign == '\\' && !is_escaped;
            return true;
        }
        in_string = *sign == '"';
        !sign.is_ascii_whitespace()
    });
    Ok(written.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_and_every_value_stays() {
        let written = "{\r\n  \"b\": 1.50,\n\t\"a b\": [ \"x \\\" y\", {} ],\n  \"c\\\\\": \" \" }";
        assert_eq!(compact(written).unwrap(), r#"{"b":1.50,"a b":["x \" y",{}],"c\\":" "}"#);
    }

    #[test]
    fn it_is_said_where_json_ends() {
        let complaint = compact("{\n  \"a\": 1,\n}").unwrap_err();
        assert!(complaint.contains("line 3, column 1"), "{complaint}");
        assert!(compact("{\"a\":").unwrap_err().contains("breaks off"));
        assert!(compact("").is_err());
    }

    #[test]
    fn members_keep_their_order() {
        let json = RawValue::from_string(r#"{"b":1.0,"a":"x","b":2}"#.to_owned()).unwrap();
        let members = Members::of(&json);
        let names: Vec<&str> = members.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "a", "b"]);
        assert_eq!((members.read("b"), members.read::<u8>("a")), (Some(2_u8), None));
        assert!(Members::of(&RawValue::from_string("[1]".to_owned()).unwrap()).0.is_empty());
    }
}
