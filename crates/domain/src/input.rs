//! Reading what a client sent: an object's fields one by one, so that every complaint names its
//! field.

use std::{borrow::Cow, collections::HashSet, fmt, ops::RangeInclusive};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

mod body;
mod declare;
mod failure;
pub(crate) mod nearest;
#[cfg(feature = "openapi")]
pub mod openapi;
mod query;
mod shape;

pub use body::{MAX_DEPTH, check_depth};
pub(crate) use declare::{body, json_name};
pub use failure::{Complaint, Failure};
pub use query::{AnyText, Asked, Cursor, Order, Page, Parameter, Source, has_to_be};
pub use shape::{Absent, Documented, JsonObject, Number, Optional, Own, Shape, Text, Time};
pub(crate) use shape::{missing, one_of, parsed, text, wrong_type};

/// The most bytes of a body, except that of a publishing call: far more than any call needs.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// The reason why a request can't be taken. It knows no transport; the one mapping to HTTP statuses
/// is in `runtime`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// The sort of the complaint.
    pub kind: InvalidKind,
    /// A stable word for programs, such as `invalid_url`.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
    /// The path of the field at fault, such as `events[3].data`; none when the whole body is at
    /// fault.
    pub field: Option<String>,
}

/// The sorts of [`Invalid`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidKind {
    /// The text is not what it claims to be: the body is no JSON, for example.
    Malformed,
    /// It is well-formed, but what it says can't be accepted.
    Unacceptable,
    /// It is larger than what is taken.
    TooLarge,
    /// It contradicts what was sent before, or what there is.
    Conflicting,
}

impl Invalid {
    /// A field whose value can't be accepted.
    pub fn field(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind: InvalidKind::Unacceptable,
            code,
            message: message.into(),
            field: Some(field.into()),
        }
    }

    /// A call that would be accepted if the workspace had less of something, or later.
    pub fn conflicting(
        field: Option<&str>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind: InvalidKind::Conflicting,
            code,
            message: message.into(),
            field: field.map(str::to_owned),
        }
    }

    /// A body that is not JSON, or not the JSON of an object.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self {
            kind: InvalidKind::Malformed,
            code: "malformed_json",
            message: message.into(),
            field: None,
        }
    }

    /// Something larger than its limit.
    pub fn too_large(field: Option<String>, message: impl Into<String>) -> Self {
        Self { kind: InvalidKind::TooLarge, code: "too_large", message: message.into(), field }
    }
}

/// The fields of a JSON object that have not been taken yet, each as the bytes it was written in.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    path: String,
    left: Vec<(String, &'a RawValue)>,
    /// The names that were asked for, which are the known ones.
    known: Vec<Cow<'static, str>>,
}

impl<'a> Fields<'a> {
    /// Reads a request body, which has to be one JSON object.
    pub(crate) fn of_body(body: &'a [u8]) -> Result<Self, Invalid> {
        Self::of_object(body::object(body)?, "")
    }

    /// Reads a request body that may be left out.
    pub(crate) fn of_optional_body(body: &'a [u8]) -> Result<Option<Self>, Invalid> {
        if body.trim_ascii().is_empty() { Ok(None) } else { Self::of_body(body).map(Some) }
    }

    /// Reads an object that stands at `path` (such as `events[3]`; empty for the body itself).
    pub(crate) fn of_object(raw: &'a RawValue, path: &str) -> Result<Self, Invalid> {
        let left = serde_json::from_str::<Entries<'a>>(raw.get())
            .map_err(|_| wrong_type(path, "an object"))?
            .0;
        let fields = Self { path: path.to_owned(), left, known: Vec::new() };
        let mut seen = HashSet::new();
        match fields.left.iter().find(|(name, _)| !seen.insert(name)) {
            Some((name, _)) => {
                let at = fields.at(&cut(name));
                Err(Invalid::field(&at, "repeated_field", format!("{at} is given twice")))
            }
            None => Ok(fields),
        }
    }

    /// The fields that are left, with their names, for an object whose names are the client's own.
    pub(crate) fn into_members(self) -> Vec<(String, &'a RawValue)> {
        self.left
    }

    /// The path of a field, for a complaint about it.
    pub(crate) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Returns whether a field is there, be it `null`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.left.iter().any(|(other, _)| other == name)
    }

    /// Returns whether a field is there and not `null`.
    pub(crate) fn gives(&self, name: &str) -> bool {
        self.left.iter().any(|(other, raw)| other == name && raw.get() != "null")
    }

    /// Takes the bytes of a field; none where it is absent or `null`.
    pub(crate) fn raw(&mut self, name: &'static str) -> Option<&'a RawValue> {
        self.raw_or_null(Cow::Borrowed(name)).filter(|raw| raw.get() != "null")
    }

    /// Takes the bytes of a field, also where it is `null`.
    pub(crate) fn raw_or_null(&mut self, name: Cow<'static, str>) -> Option<&'a RawValue> {
        let at = self.left.iter().position(|(other, _)| *other == name);
        self.known.push(name);
        at.map(|at| self.left.remove(at).1)
    }

    /// Takes a field of this shape.
    pub(crate) fn take<S: Shape>(&mut self, name: &'static str) -> Result<S::Value, Invalid> {
        match self.raw(name) {
            Some(raw) => S::read(&self.at(name), raw),
            None => S::absent(&self.at(name)),
        }
    }

    /// Takes a field of this shape. `old` holds where it is absent, and `default` where it is
    /// absent without an old value, or `null`.
    pub(crate) fn take_or<S: Shape>(
        &mut self,
        name: Cow<'static, str>,
        old: Option<&S::Value>,
        default: Option<S::Value>,
    ) -> Result<S::Value, Invalid>
    where
        S::Value: Clone,
    {
        let at = self.at(&name);
        match (self.raw_or_null(name), old) {
            (Some(raw), _) if raw.get() != "null" => S::read(&at, raw),
            (None, Some(old)) => Ok(old.clone()),
            _ => default.map_or_else(|| S::absent(&at), Ok),
        }
    }

    /// Takes a field of this shape only to complain about it. One that is `null` is no mistake
    /// where it `is_optional`.
    pub(crate) fn check<S: Shape>(
        &mut self,
        name: Cow<'static, str>,
        is_optional: bool,
    ) -> Result<(), Invalid> {
        let at = self.at(&name);
        match self.raw_or_null(name) {
            Some(raw) if raw.get() != "null" => S::read(&at, raw).map(drop),
            Some(_) if !is_optional => S::absent(&at).map(drop),
            _ => Ok(()),
        }
    }

    /// Adds a field that stands somewhere else.
    pub(crate) fn put(&mut self, name: &'static str, raw: &'a RawValue) -> Result<(), Invalid> {
        if self.has(name) {
            return Err(self.unknown(name));
        }
        self.left.push((name.to_owned(), raw));
        Ok(())
    }

    /// Says that all fields have been taken: one that is left is unknown, and may be one of those
    /// that were asked for in another spelling.
    pub(crate) fn finish(self) -> Result<(), Invalid> {
        self.left.first().map_or(Ok(()), |(name, _)| Err(self.unknown(name)))
    }

    /// Says that all fields have been taken, in other words: `message` tells of one that is left.
    pub(crate) fn finish_with(self, message: fn(&str) -> String) -> Result<(), Invalid> {
        let Some((name, _)) = self.left.first() else { return Ok(()) };
        let at = self.at(&cut(name));
        Err(Invalid::field(&at, "unknown_field", message(&at)))
    }

    fn unknown(&self, name: &str) -> Invalid {
        let name = cut(name);
        let at = self.at(&name);
        let meant = nearest::names(&name, self.known.iter().map(AsRef::as_ref));
        let hint =
            meant.first().map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        Invalid::field(&at, "unknown_field", format!("{at} is not a known field{hint}"))
    }
}

/// A whole number of any size. One that no `i64` holds is the nearest that one does, so it is out
/// of every range that matters.
///
/// `5.0` and `5e0` are 5, as they are to JSON Schema, and some languages write all their numbers
/// so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole(i64);

impl Whole {
    /// The number, if it is in a range.
    pub(crate) fn within<N: TryFrom<i64> + PartialOrd>(
        self,
        range: RangeInclusive<N>,
    ) -> Option<N> {
        N::try_from(self.0).ok().filter(|number| range.contains(number))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        if let Ok(number) = text.parse() {
            return Ok(Self(number));
        }
        match text.parse::<f64>() {
            // The conversion gives the nearest number that there is.
            Ok(number) if number.fract() == 0.0 => Ok(Self(number as i64)),
            Ok(number) if number.is_infinite() => {
                Ok(Self(if number > 0.0 { i64::MAX } else { i64::MIN }))
            }
            _ => Err(serde::de::Error::custom("it is no whole number")),
        }
    }
}

/// As much of a name as a complaint repeats.
fn cut(name: &str) -> String {
    const MAX_CHARS: usize = 100;
    let mut cut: String = name.chars().take(MAX_CHARS).collect();
    if cut.len() < name.len() {
        cut.push('…');
    }
    cut
}

/// The members of an object that is known to be well-formed, in their order, repeated ones too.
pub(crate) fn members(object: &RawValue) -> Vec<(String, &RawValue)> {
    serde_json::from_str::<Entries<'_>>(object.get()).map(|entries| entries.0).unwrap_or_default()
}

struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(body: &str) -> Invalid {
        let read = || {
            let mut fields = Fields::of_body(body.as_bytes())?;
            fields.take::<Text<9>>("name")?;
            fields.take::<Optional<Number<u8, 1, 9>>>("size")?;
            fields.finish()
        };
        read().unwrap_err()
    }

    #[test]
    fn every_complaint_names_its_field() {
        assert_eq!(complaint("{}"), Invalid::field("name", "missing_field", "name is required"));
        assert_eq!(
            complaint(r#"{"name":null}"#),
            Invalid::field("name", "missing_field", "name is required")
        );
        assert_eq!(
            complaint(r#"{"name":1}"#),
            Invalid::field("name", "wrong_type", "name has to be a text")
        );
        assert_eq!(
            complaint(r#"{"name":"a","size":1.5}"#),
            Invalid::field("size", "wrong_type", "size has to be a whole number")
        );
        assert_eq!(
            complaint(r#"{"name":"a","nam":1}"#),
            Invalid::field("nam", "unknown_field", "nam is not a known field; did you mean name?")
        );
        assert_eq!(
            complaint(r#"{"name":"a","colour":1}"#),
            Invalid::field("colour", "unknown_field", "colour is not a known field")
        );
        assert_eq!(
            complaint(r#"{"name":"a","name":"b"}"#),
            Invalid::field("name", "repeated_field", "name is given twice")
        );
    }

    #[test]
    fn a_whole_number_of_any_size_has_a_place_in_or_out_of_a_range() {
        let read =
            |text| serde_json::from_str::<Whole>(text).ok().map(|number| number.within(1..=30_u8));
        for (text, expected) in [
            ("1", Some(Some(1))),
            ("30", Some(Some(30))),
            ("0", Some(None)),
            ("31", Some(None)),
            ("-1", Some(None)),
            ("-99999999999999999999", Some(None)),
            ("99999999999999999999", Some(None)),
            ("1e999", Some(None)),
            ("5.0", Some(Some(5))),
            ("1e1", Some(Some(10))),
            ("5.5", None),
            ("1e-1", None),
            ("\"1\"", None),
            ("true", None),
            ("[1]", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_nested_field_is_named_with_its_path() {
        let raw: Box<RawValue> = serde_json::from_str(r#"{"data":1}"#).unwrap();
        let mut fields = Fields::of_object(&raw, "events[3]").unwrap();
        let complaint = fields.take::<Text<9>>("data").unwrap_err();
        assert_eq!(complaint.field.as_deref(), Some("events[3].data"));
    }
}
