//! A text with placeholders, such as `Order {{data.order.id}}`, and the paths that they name.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::credentials::is_credential;

/// The longest path, in characters.
pub(crate) const MAX_PATH_CHARS: usize = 256;
/// The members of an event, beside those of its `data`, that a path can name.
const OF_THE_EVENT: [&str; 5] = ["id", "type", "timestamp", "subject", "reference"];
const DATA: &str = "data";
const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// The place of a value in an event: `subject`, or `data.order.id`. A number names an item of a
/// list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Path(String);

/// The error about a text that is no path, or no text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPath {
    /// The text names no place in an event.
    #[error(
        "{0:?} is no path: it is id, type, timestamp, subject, reference, or the names of members \
         below data, such as data.order.id"
    )]
    Unknown(String),
    /// The path names a credential.
    #[error("{0:?} names a credential, which no message shows")]
    Credential(String),
    /// A placeholder has no end.
    #[error("a placeholder begins with {{{{ and ends with }}}}")]
    Unclosed,
}

impl Path {
    /// Reads a path.
    pub(crate) fn parse(text: &str) -> Result<Self, BadPath> {
        let unknown = || BadPath::Unknown(text.chars().take(100).collect());
        let mut names = text.split('.');
        let is_of_the_event = OF_THE_EVENT.contains(&text);
        let is_of_data = names.next() == Some(DATA)
            && text.len() > DATA.len()
            && names.clone().all(|name| !name.is_empty());
        if text.chars().count() > MAX_PATH_CHARS || !(is_of_the_event || is_of_data) {
            return Err(unknown());
        }
        if names.any(is_credential) {
            return Err(BadPath::Credential(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The names of the members that lead to a value of the event's data; none if the path names
    /// something else.
    pub(crate) fn in_data(&self) -> Option<impl Iterator<Item = &str>> {
        self.0.strip_prefix("data.").map(|names| names.split('.'))
    }

    /// The path as a text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text with placeholders, as its owner wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Template(String);

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// A text that stands there as it is.
    Text(&'a str),
    /// A place in the event, whose value stands there.
    Value(Path),
}

impl Template {
    /// Reads a text with placeholders.
    pub(crate) fn parse(text: &str) -> Result<Self, BadPath> {
        parts(text).map(|_| Self(text.to_owned()))
    }

    /// The parts of the text. A stored one that can't be taken apart is a text as it is.
    pub(crate) fn parts(&self) -> Vec<Part<'_>> {
        parts(&self.0).unwrap_or_else(|_| vec![Part::Text(&self.0)])
    }

    /// Returns the number of placeholders in the text.
    pub(crate) fn placeholders(&self) -> usize {
        self.parts().iter().filter(|part| matches!(part, Part::Value(_))).count()
    }
}

fn parts(mut text: &str) -> Result<Vec<Part<'_>>, BadPath> {
    let mut parts = Vec::new();
    while let Some((before, rest)) = text.split_once(OPEN) {
        let (path, after) = rest.split_once(CLOSE).ok_or(BadPath::Unclosed)?;
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Value(Path::parse(path.trim())?));
        text = after;
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_place_in_an_event() {
        for path in ["id", "type", "subject", "data.a", "data.order.items.0.name", "data.data"] {
            assert_eq!(Path::parse(path).unwrap().as_str(), path);
        }
        for path in ["", "data", "data.", "data..a", "order.id", "id.a", "workspace", ".data.a"] {
            assert_eq!(Path::parse(path), Err(BadPath::Unknown(path.to_owned())));
        }
        for path in ["data.token", "data.form.accessToken", "data.secret.name", "data.api_key"] {
            assert_eq!(Path::parse(path), Err(BadPath::Credential(path.to_owned())));
        }
        assert!(Path::parse(&format!("data.{}", "x".repeat(252))).is_err());
    }

    #[test]
    fn a_template_is_texts_and_values() {
        let template = Template::parse("Order {{ data.id }}: {{subject}}!").unwrap();
        let path = |text| Part::Value(Path::parse(text).unwrap());
        assert_eq!(
            template.parts(),
            [
                Part::Text("Order "),
                path("data.id"),
                Part::Text(": "),
                path("subject"),
                Part::Text("!")
            ]
        );
        assert_eq!(Template::parse("a } b { c }}").unwrap().parts(), [Part::Text("a } b { c }}")]);
        assert_eq!(Template::parse("Order {{data.id"), Err(BadPath::Unclosed));
        assert!(matches!(Template::parse("{{order}}"), Err(BadPath::Unknown(_))));
    }
}
