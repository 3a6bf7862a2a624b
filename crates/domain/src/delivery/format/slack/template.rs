//! The parts that a webhook's template has in a message: a title, fields and a button, with the
//! event's values. A value that looks like a credential is none.

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

/// A button that leads to an address.
pub(super) struct Button {
    pub(super) text: String,
    pub(super) url: String,
}

/// Fills a text in. A placeholder without a value stands for nothing. The whole can look like a
/// credential though none of its parts does: then there is no text, and none if it is empty.
pub(super) fn filled(template: &Template, event: &Event) -> Option<String> {
    let mut text = String::new();
    for part in template.parts() {
        match part {
            Part::Text(literal) => text.push_str(literal),
            Part::Value(path) => text.push_str(&value(&path, event).unwrap_or_default()),
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    (!text.is_empty() && !has_credential(&text)).then_some(text)
}

/// Returns the button with its address, which has to be one that a browser follows.
pub(super) fn button(button: &SlackButton, event: &Event) -> Option<Button> {
    let address = address(&button.url, event)?;
    let url = Url::parse(&address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    if is_open(&address) || url.as_str().len() > MAX_URL_BYTES {
        return None;
    }
    Some(Button { text: filled(&button.text, event)?, url: url.into() })
}

/// Fills an address in. A value is one segment or parameter of it and can't begin another one,
/// unless it is the whole address.
fn address(template: &Template, event: &Event) -> Option<String> {
    let parts = template.parts();
    if let [Part::Value(path)] = &parts[..] {
        return value(path, event);
    }
    let mut address = String::new();
    for part in &parts {
        match part {
            Part::Text(literal) => address.push_str(literal),
            Part::Value(path) => {
                let value = value(path, event)?;
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
pub(super) fn value(path: &Path, event: &Event) -> Option<String> {
    let value = match path.in_data() {
        Some(names) => in_data(names, &event.data)?,
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

fn in_data<'a>(names: impl Iterator<Item = &'a str>, data: &RawValue) -> Option<String> {
    let mut at = data;
    for name in names {
        // A stored path may be older than the rule that it would break.
        if is_credential(name) {
            return None;
        }
        at = step(name, at)?;
    }
    plain(at)
}

/// Returns a member of an object, or an item of a list. The last one of repeated members counts, as
/// in most JSON readers.
fn step<'a>(name: &str, value: &'a RawValue) -> Option<&'a RawValue> {
    if value.get().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
        return items.get(name.parse::<usize>().ok()?).copied();
    }
    input::members(value).into_iter().rfind(|(other, _)| other == name).map(|(_, member)| member)
}
