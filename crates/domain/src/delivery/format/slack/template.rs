//! The parts that a webhook's template has in a message: a title, fields and a button, with the
//! event's values. A value that looks like a credential is none.
//!
//! An event's data can be large, and a template has many placeholders. So the members of the data
//! are found once for each event, and a placeholder reads what is below one of them once, however
//! deep its path is.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use url::{Url, form_urlencoded};

use super::plain;
use crate::{
    event::{
        Event,
        credentials::{has_credential, is_credential, is_open},
    },
    input,
    webhook::slack_templates::{MAX_URL_BYTES, Part, Path, SlackButton, Template},
};

/// An event, and the members of its data.
pub(super) struct Opened<'a> {
    pub(super) event: &'a Event,
    pub(super) members: Vec<(String, &'a RawValue)>,
}

impl<'a> From<&'a Event> for Opened<'a> {
    fn from(event: &'a Event) -> Self {
        Self { event, members: input::members(&event.data) }
    }
}

/// A button that leads to an address.
pub(super) struct Button {
    pub(super) text: String,
    pub(super) url: String,
}

/// Fills a text in. A placeholder without a value stands for nothing. The whole can look like a
/// credential though none of its parts does: then there is no text, and none if it is empty.
pub(super) fn filled(template: &Template, opened: &Opened<'_>) -> Option<String> {
    let mut text = String::new();
    for part in template.parts() {
        match part {
            Part::Text(literal) => text.push_str(literal),
            Part::Value(path) => text.push_str(&value(&path, opened).unwrap_or_default()),
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    (!text.is_empty() && !has_credential(&text)).then_some(text)
}

/// Returns the button with its address, which has to be one that a browser follows.
pub(super) fn button(button: &SlackButton, opened: &Opened<'_>) -> Option<Button> {
    let address = address(&button.url, opened)?;
    let url = Url::parse(&address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    if is_open(&address) || url.as_str().len() > MAX_URL_BYTES {
        return None;
    }
    Some(Button { text: filled(&button.text, opened)?, url: url.into() })
}

/// Fills an address in. A value is one segment or parameter of it and can't begin another one,
/// unless it is the whole address.
fn address(template: &Template, opened: &Opened<'_>) -> Option<String> {
    let parts = template.parts();
    if let [Part::Value(path)] = &parts[..] {
        return value(path, opened);
    }
    let mut address = String::new();
    for part in &parts {
        match part {
            Part::Text(literal) => address.push_str(literal),
            Part::Value(path) => {
                let value = value(path, opened)?;
                // These are no names in a path but steps up and down.
                if matches!(value.as_str(), "." | "..") {
                    return None;
                }
                let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
                address.push_str(&encoded.replace('+', "%20"));
            }
        }
    }
    Some(address)
}

/// Returns the plain value at a place of an event: a text, a number or a truth value.
pub(super) fn value(path: &Path, opened: &Opened<'_>) -> Option<String> {
    let event = opened.event;
    let value = match path.in_data() {
        Some(names) => in_data(&names.collect::<Vec<_>>(), &opened.members)?,
        None => match path.as_str() {
            "id" => event.id.to_string(),
            "type" => event.event_type.to_string(),
            "timestamp" => event.timestamp.to_string(),
            "subject" => event.subject.clone()?,
            "reference" => event.reference.clone()?,
            _ => return None,
        },
    };
    (!has_credential(&value)).then_some(value)
}

/// The last one of repeated members counts, as in most JSON readers.
fn in_data(names: &[&str], members: &[(String, &RawValue)]) -> Option<String> {
    // A stored path may be older than the rule that it would break.
    if names.iter().any(|name| is_credential(name)) {
        return None;
    }
    let (first, below) = names.split_first()?;
    let (_, member) = members.iter().rfind(|(name, _)| name == first)?;
    let mut json = serde_json::Deserializer::from_str(member.get());
    plain(Below(below).deserialize(&mut json).ok()??)
}

/// Finds the value that these names lead to, in one pass. A name is that of a member of an object,
/// or the number of an item of a list. Where another value is on the way, reading it is an error.
struct Below<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Below<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            return <&RawValue>::deserialize(json).map(Some);
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Below<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let Some((name, below)) = self.0.split_first() else { return Ok(None) };
        let mut found = None;
        while let Some(other) = object.next_key::<String>()? {
            if other == *name {
                found = object.next_value_seed(Below(below))?;
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let Some((name, below)) = self.0.split_first() else { return Ok(None) };
        let Ok(nth) = name.parse::<usize>() else {
            skip_rest(list)?;
            return Ok(None);
        };
        for _ in 0..nth {
            if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = list.next_element_seed(Below(below))?.flatten();
        skip_rest(list)?;
        Ok(found)
    }
}

/// A list has to be read to its end, as what is behind it may be wanted.
fn skip_rest<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}
