//! The statuses of an answer that mean that the endpoint has the event.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    input::{Shape, Whole},
};

/// A list has at most this many statuses.
pub const MAX_STATUSES: usize = 20;
const ANY_2XX: &str = "2xx";

/// Either `"2xx"`, or a list such as `[200, 202]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuccessStatuses {
    /// Every status from 200 to 299.
    Any2xx,
    /// These statuses and no others.
    These(Cow<'static, [u16]>),
}

impl SuccessStatuses {
    /// Status 200 and no other.
    pub const OK: Self = Self::These(Cow::Borrowed(&[200]));

    /// Makes a list of 1 to 20 statuses, each from 200 to 499. A 429 is no success, as it asks to
    /// wait, and neither is a 410, which means that nobody is there any more.
    pub fn these(statuses: Vec<u16>) -> Option<Self> {
        let in_range = statuses
            .iter()
            .all(|status| (200..500).contains(status) && !matches!(status, 410 | 429));
        let fits = !statuses.is_empty() && statuses.len() <= MAX_STATUSES && in_range;
        fits.then_some(Self::These(Cow::Owned(statuses)))
    }

    /// Returns whether this status is one of them.
    pub fn contain(&self, status: u16) -> bool {
        match self {
            Self::Any2xx => (200..300).contains(&status),
            Self::These(statuses) => statuses.contains(&status),
        }
    }
}

impl Shape for SuccessStatuses {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        let refused =
            |code, shape: String| Invalid::field(at, code, format!("{at} has to be {shape}"));
        if let Ok(name) = serde_json::from_str::<String>(json.get()) {
            let any = (name == ANY_2XX).then_some(Self::Any2xx);
            return any.ok_or_else(|| refused("out_of_range", shape()));
        }
        let numbers: Vec<Whole> = serde_json::from_str(json.get()).map_err(|_| {
            refused(
                "wrong_type",
                format!("the text \"{ANY_2XX}\" or a list of whole numbers, such as [200, 202]"),
            )
        })?;
        let statuses: Option<Vec<u16>> =
            numbers.into_iter().map(|number| number.within(0..=u16::MAX)).collect();
        statuses.and_then(Self::these).ok_or_else(|| refused("out_of_range", shape()))
    }
}

#[cfg(feature = "openapi")]
mod document {
    use utoipa::openapi::{ArrayBuilder, OneOfBuilder};

    use super::{ANY_2XX, MAX_STATUSES, SuccessStatuses};
    use crate::input::openapi::{described, integer, text};

    described!(
        SuccessStatuses,
        "SuccessStatuses",
        "The statuses of an answer that are a success: `2xx`, or a list. 410 and 429 are never \
         one.",
        OneOfBuilder::new().item(text().enum_values(Some([ANY_2XX]))).item(
            ArrayBuilder::new()
                .items(integer().minimum(Some(200)).maximum(Some(499)))
                .min_items(Some(1))
                .max_items(Some(MAX_STATUSES))
        )
    );
}

impl Serialize for SuccessStatuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any2xx => serializer.serialize_str(ANY_2XX),
            Self::These(statuses) => statuses.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SuccessStatuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Name(String),
            List(Vec<u16>),
        }
        let statuses = match Form::deserialize(deserializer)? {
            Form::Name(name) => (name == ANY_2XX).then_some(Self::Any2xx),
            Form::List(statuses) => Self::these(statuses),
        };
        statuses.ok_or_else(|| serde::de::Error::custom(format!("has to be {}", shape())))
    }
}

fn shape() -> String {
    format!(
        "\"{ANY_2XX}\" or a list of 1 to {MAX_STATUSES} statuses from 200 to 499, without \
         410 and 429"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_as_they_are_written() {
        for json in [r#""2xx""#, "[200]", "[200,202,409]"] {
            let statuses: SuccessStatuses = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&statuses).unwrap(), json);
        }
        for bad in [
            r#""200""#,
            "[]",
            "200",
            "[199]",
            "[500]",
            "[410]",
            "[429]",
            &format!("{:?}", [200; 21]),
        ] {
            assert!(serde_json::from_str::<SuccessStatuses>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_our_own_words() {
        let read = |json: &str| {
            SuccessStatuses::read("successStatuses", serde_json::from_str(json).unwrap())
        };
        let wrong_type = "successStatuses has to be the text \"2xx\" or a list of whole numbers, \
            such as [200, 202]";
        for json in ["200", "true", r#"{"a":1}"#, "[200.5]", r#"["200"]"#, "[null]"] {
            assert_eq!(
                read(json),
                Err(Invalid::field("successStatuses", "wrong_type", wrong_type)),
                "{json}"
            );
        }
        let out_of_range = "successStatuses has to be \"2xx\" or a list of 1 to 20 statuses from \
            200 to 499, without 410 and 429";
        for json in [
            r#""200""#,
            "[]",
            "[-1]",
            "[199]",
            "[500]",
            "[410]",
            "[70000]",
            "[99999999999999999999]",
        ] {
            assert_eq!(
                read(json),
                Err(Invalid::field("successStatuses", "out_of_range", out_of_range)),
                "{json}"
            );
        }
        assert_eq!(read(r#""2xx""#), Ok(SuccessStatuses::Any2xx));
        assert_eq!(read("[200]"), Ok(SuccessStatuses::OK));
    }

    #[test]
    fn statuses_are_in_their_list_or_range() {
        let holds = |statuses: &SuccessStatuses| {
            [199, 200, 204, 299, 300].map(|status| statuses.contain(status))
        };
        assert_eq!(holds(&SuccessStatuses::Any2xx), [false, true, true, true, false]);
        assert_eq!(holds(&SuccessStatuses::OK), [false, true, false, false, false]);
    }
}
