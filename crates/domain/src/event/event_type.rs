//! The names of event types, and the patterns by which a webhook subscribes to them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    event::aliases,
    input::{Parameter, Shape, has_to_be, text},
};

/// The name of an event type, such as `order.created` or `PROCESS_RUN_END`: words of `A-Z a-z 0-9 _
/// -` separated by single dots, at most 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventType(String);

/// The error about a text that is no event type, or no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEventType {
    /// The text is no event type.
    #[error(
        "an event type is words of A-Z a-z 0-9 _ - separated by single dots, at most 128 characters"
    )]
    Name,
    /// The text is no pattern.
    #[error("a subscription is an event type, a prefix such as order.*, or *")]
    Pattern,
}

impl EventType {
    /// Reads a name.
    pub fn parse(text: impl Into<String>) -> Result<Self, BadEventType> {
        let text = text.into();
        if text.len() <= 128 && text.split('.').all(is_word) {
            Ok(Self(text))
        } else {
            Err(BadEventType::Name)
        }
    }

    /// Makes a type of any text: each run of other characters becomes one `_`. AWS services name
    /// their events freely.
    pub fn of_words(text: &str) -> Result<Self, BadEventType> {
        let mut name = String::with_capacity(text.len());
        for char in text.trim().chars() {
            match char {
                'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-' | '.' => name.push(char),
                _ if name.ends_with('_') => {}
                _ => name.push('_'),
            }
        }
        Self::parse_any(name)
    }

    /// Reads a name that a client sent. An alias of a built-in type is read as its one name.
    pub fn parse_any(text: impl Into<String>) -> Result<Self, BadEventType> {
        Self::parse(text).map(Self::or_one_name)
    }

    /// The one name of the built-in type of which this is an alias, or else this name.
    pub(super) fn or_one_name(self) -> Self {
        aliases::one_name(self.as_str()).map_or(self, |name| Self(name.to_owned()))
    }

    /// The name as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// A webhook subscribes to one type, to every type below a prefix, or to everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EventPattern {
    /// `*`, which is every type.
    All,
    /// `order.*`, which is every type that begins with `order.`, however many words follow. Holds
    /// `order`.
    Below(EventType),
    /// `order.created`, which is this type alone.
    Exactly(EventType),
}

impl EventPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, BadEventType> {
        let pattern = match text.strip_suffix(".*") {
            _ if text == "*" => Ok(Self::All),
            Some(prefix) => EventType::parse(prefix).map(Self::Below),
            None => EventType::parse(text).map(Self::Exactly),
        };
        pattern.map_err(|_| BadEventType::Pattern)
    }

    /// Reads a pattern that a client sent. An alias of a built-in type is read as its one name.
    pub fn parse_any(text: &str) -> Result<Self, BadEventType> {
        Ok(match Self::parse(text)? {
            Self::Exactly(name) => Self::Exactly(name.or_one_name()),
            other => other,
        })
    }

    /// The precision of the pattern: an exact name has more than any prefix, a longer prefix more
    /// than a shorter one.
    pub fn closeness(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Below(prefix) => prefix.0.len(),
            Self::Exactly(_) => usize::MAX,
        }
    }

    /// Tells whether an event of this type is wanted.
    pub fn matches(&self, event_type: &EventType) -> bool {
        match self {
            Self::All => true,
            Self::Exactly(wanted) => wanted == event_type,
            Self::Below(prefix) => {
                event_type.0.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('.'))
            }
        }
    }
}

impl Shape for EventType {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        Self::parse_any(text(at, json)?)
            .map_err(|error| Invalid::field(at, "invalid_event_type", error.to_string()))
    }
}

impl Parameter for EventType {
    type Value = Self;

    fn read(name: &str, text: String) -> Result<Self, Invalid> {
        Self::parse_any(text).map_err(|_| has_to_be(name, "an event type"))
    }
}

#[cfg(feature = "openapi")]
mod document {
    use utoipa::openapi::ObjectBuilder;

    use super::{EventPattern, EventType};
    use crate::input::openapi::{described, text};

    described!(
        EventType,
        "EventTypeName",
        "The name of a sort of event: words of `A-Z a-z 0-9 _ -` separated by single dots.",
        Self::written()
    );
    described!(
        EventPattern,
        "EventPattern",
        "The event types that a webhook subscribes to: one of them, all below a prefix such as \
         `order.*`, or all with `*`.",
        Self::written()
    );

    impl EventType {
        /// The texts that are names.
        pub(crate) fn written() -> ObjectBuilder {
            text().pattern(Some(r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")).max_length(Some(128))
        }
    }

    impl EventPattern {
        /// The texts that are patterns.
        pub(crate) fn written() -> ObjectBuilder {
            text()
                .pattern(Some(r"^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$"))
                .max_length(Some(130))
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Below(prefix) => write!(f, "{prefix}.*"),
            Self::Exactly(event_type) => event_type.fmt(f),
        }
    }
}

impl TryFrom<String> for EventType {
    type Error = BadEventType;

    fn try_from(text: String) -> Result<Self, BadEventType> {
        Self::parse(text)
    }
}

impl FromStr for EventType {
    type Err = BadEventType;

    fn from_str(text: &str) -> Result<Self, BadEventType> {
        Self::parse(text)
    }
}

impl From<EventType> for String {
    fn from(event_type: EventType) -> String {
        event_type.0
    }
}

impl TryFrom<String> for EventPattern {
    type Error = BadEventType;

    fn try_from(text: String) -> Result<Self, BadEventType> {
        Self::parse(&text)
    }
}

impl From<EventPattern> for String {
    fn from(pattern: EventPattern) -> String {
        pattern.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wants(pattern: &str, event_type: &str) -> bool {
        EventPattern::parse(pattern).unwrap().matches(&EventType::parse(event_type).unwrap())
    }

    #[test]
    fn exact_names_prefixes_and_everything() {
        assert!(wants("order.created", "order.created"));
        assert!(!wants("order.created", "order.created.late"));
        assert!(!wants("order.created", "Order.created"));
        assert!(wants("order.*", "order.created"));
        assert!(wants("order.*", "order.item.added"));
        assert!(!wants("order.*", "order"));
        assert!(!wants("order.*", "orders.created"));
        assert!(wants("*", "AML_SCREENING"));
    }

    #[test]
    fn a_pattern_that_names_more_is_closer() {
        let closeness = ["*", "order.*", "order.item.*", "a"]
            .map(|pattern| EventPattern::parse(pattern).unwrap().closeness());
        assert!(closeness.is_sorted_by(|one, other| one < other), "{closeness:?}");
    }

    #[test]
    fn each_run_of_other_characters_in_a_services_name_becomes_one_underscore() {
        let name = EventType::of_words(" EC2 Instance / State-change ").unwrap();
        assert_eq!(name.as_str(), "EC2_Instance_State-change");
    }

    #[test]
    fn what_is_no_type_or_pattern_is_refused() {
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a*", "a.*", "*", "ä", &"x".repeat(129)] {
            assert_eq!(EventType::parse(bad), Err(BadEventType::Name), "{bad:?}");
        }
        for bad in ["", "**", "*.a", "a*", "a.*.b", ".*", "a.**"] {
            assert_eq!(EventPattern::parse(bad), Err(BadEventType::Pattern), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_is_written_as_it_was_read(text in "([a-z_]{1,5}\\.){0,3}([a-z_]{1,5}|\\*)") {
            prop_assert_eq!(EventPattern::parse(&text).unwrap().to_string(), text);
        }

        #[test]
        fn a_prefix_matches_exactly_what_begins_with_it_and_a_dot(
            prefix in "[a-z]{1,3}(\\.[a-z]{1,3}){0,2}", text in "[a-z]{1,3}(\\.[a-z]{1,3}){0,4}"
        ) {
            prop_assert_eq!(
                wants(&format!("{prefix}.*"), &text), text.starts_with(&format!("{prefix}."))
            );
        }
    }
}
