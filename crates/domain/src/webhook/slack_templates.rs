//! The owner's own form of Slack messages, by event type: a title, fields, a colour and a button.
//!
//! Texts have placeholders such as `{{data.order.id}}`. The format fills them in
//! ([`delivery::format`](crate::delivery::format)), and shows no credential, whatever a template
//! says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use crate::{
    Invalid,
    event::{credentials::is_open, event_type::EventType},
    input::{Fields, Optional, Shape, body, parsed, text},
};

mod text;

pub(crate) use text::{Part, Path, Template};

/// A webhook has at most this many templates.
const MAX_TEMPLATES: usize = 50;
/// The most placeholders in the title and the button of one template. A message of 20 events fills
/// in each of them 20 times, from data that can be large.
const MAX_PLACEHOLDERS: usize = 20;
/// Slack shows at most this many fields in a section.
const MAX_FIELDS: usize = 10;
/// The most bytes of a title, before its placeholders are filled in.
const MAX_TITLE_BYTES: usize = 300;
const MAX_LABEL_BYTES: usize = 100;
const MAX_BUTTON_BYTES: usize = 150;
/// The longest address that Slack takes for a button.
pub(crate) const MAX_URL_BYTES: usize = 3000;

/// The templates of a webhook by the type of the event.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlackTemplates(BTreeMap<EventType, SlackTemplate>);

impl SlackTemplates {
    /// The event types that have a template.
    pub(crate) fn types(&self) -> impl Iterator<Item = &EventType> {
        self.0.keys()
    }

    /// Returns the template for events of a type.
    pub(crate) fn of(&self, event_type: &EventType) -> Option<&SlackTemplate> {
        self.0.get(event_type)
    }
}

body! {
    /// The form of the messages about events of one type. A part that is not given is as without a
    /// template. The title and the button have at most 20 placeholders together.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(crate) struct SlackTemplate {
        /// The message's header, at most 300 bytes with placeholders such as `{{data.order.id}}`.
        /// Slack shows 150 characters of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub title: Option<Template> as Optional<Words<MAX_TITLE_BYTES>>,
        /// The fields that are shown, in this order. One without a value is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fields: Option<Vec<SlackField>> as Optional<SlackFields>,
        /// The colour of the bar beside the message, such as `#36a64f`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub color: Option<String> as Optional<Color>,
        /// A button that leads to an address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub button: Option<SlackButton> as Optional<SlackButton>,
    }
}

body! {
    /// A field of a message.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct SlackField {
        /// The field's name, at most 100 bytes.
        pub label: String as Label,
        /// The place of its value in the event: `id`, `type`, `timestamp`, `subject`, `reference`,
        /// or the names of members below `data`, such as `data.order.id`. A number names an item of
        /// a list.
        pub path: Path,
    }
}

body! {
    /// A button of a message. There is none where a placeholder has no value.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct SlackButton {
        /// The button's text, at most 150 bytes with placeholders. Slack shows 75 characters of it.
        pub text: Template as Words<MAX_BUTTON_BYTES>,
        /// The address that the button leads to, at most 3,000 bytes. Placeholders may stand behind
        /// its host, or one may be the whole address.
        pub url: Template as Link,
    }
}

impl SlackTemplate {
    /// Refuses a template with too many placeholders. The complaint names the text in which they
    /// become too many.
    fn check_placeholders(&self, at: &str) -> Result<(), Invalid> {
        let texts = [
            ("title", self.title.as_ref()),
            ("button.text", self.button.as_ref().map(|button| &button.text)),
            ("button.url", self.button.as_ref().map(|button| &button.url)),
        ];
        let mut count = 0;
        for (name, text) in texts {
            count += text.map_or(0, Template::placeholders);
            if count > MAX_PLACEHOLDERS {
                let message = format!(
                    "{at} takes at most {MAX_PLACEHOLDERS} placeholders in its title and button \
                     together"
                );
                return Err(Invalid::field(format!("{at}.{name}"), "wrong_count", message));
            }
        }
        Ok(())
    }
}

impl Shape for SlackTemplates {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        let members = Fields::of_object(json, at)?.into_members();
        if members.len() > MAX_TEMPLATES {
            let message = format!("{at} takes at most {MAX_TEMPLATES} event types");
            return Err(Invalid::field(at, "wrong_count", message));
        }
        let mut templates = BTreeMap::new();
        for (name, json) in members {
            let at = format!("{at}.{name}");
            let event_type = EventType::parse_any(name).map_err(|error| {
                Invalid::field(&at, "invalid_event_type", format!("{at}: {error}"))
            })?;
            let named = event_type.to_string();
            let template = SlackTemplate::read(&at, json)?;
            template.check_placeholders(&at)?;
            if templates.insert(event_type, template).is_some() {
                let message = format!("{at} is given twice, by two names of {named}");
                return Err(Invalid::field(&at, "repeated_field", message));
            }
        }
        Ok(Self(templates))
    }
}

/// The fields of a template.
pub(crate) struct SlackFields;

impl Shape for SlackFields {
    type Value = Vec<SlackField>;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Vec<SlackField>, Invalid> {
        let list: Vec<&RawValue> = parsed(at, json, "a list of fields")?;
        if list.len() > MAX_FIELDS {
            let message = format!("{at} takes at most {MAX_FIELDS} fields");
            return Err(Invalid::field(at, "wrong_count", message));
        }
        let mut fields = Vec::with_capacity(list.len());
        for (nth, json) in list.into_iter().enumerate() {
            fields.push(SlackField::read(&format!("{at}[{nth}]"), json)?);
        }
        Ok(fields)
    }
}

/// A text of 1 to so many bytes with placeholders.
pub(crate) struct Words<const BYTES: usize>;

impl<const BYTES: usize> Shape for Words<BYTES>
where
    Self: crate::input::Documented,
{
    type Value = Template;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Template, Invalid> {
        let text = bounded(at, json, BYTES)?;
        Template::parse(&text)
            .map_err(|error| Invalid::field(at, "invalid_template", format!("{at}: {error}")))
    }
}

/// The name of a field.
pub(crate) struct Label;

impl Shape for Label {
    type Value = String;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<String, Invalid> {
        bounded(at, json, MAX_LABEL_BYTES)
    }
}

impl Shape for Path {
    type Value = Self;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        Self::parse(&text(at, json)?)
            .map_err(|error| Invalid::field(at, "invalid_path", format!("{at}: {error}")))
    }
}

/// A colour in hexadecimal.
pub(crate) struct Color;

impl Shape for Color {
    type Value = String;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<String, Invalid> {
        let color = text(at, json)?;
        let digits = color.strip_prefix('#').unwrap_or_default();
        if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(color);
        }
        let message = format!("{at} has to be # and six hexadecimal digits, such as #36a64f");
        Err(Invalid::field(at, "invalid_color", message))
    }
}

/// The address of a button.
pub(crate) struct Link;

impl Shape for Link {
    type Value = Template;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Template, Invalid> {
        let template = Words::<MAX_URL_BYTES>::read(at, json)?;
        let parts = template.parts();
        if matches!(parts[..], [Part::Value(_)]) {
            return Ok(template);
        }
        let refused = |message| Invalid::field(at, "invalid_url", format!("{at} {message}"));
        let mut filled = String::new();
        for part in &parts {
            filled.push_str(match part {
                Part::Text(text) => text,
                Part::Value(_) => "x",
            });
        }
        let Some(Part::Text(beginning)) = parts.first() else {
            return Err(refused("has to begin with https:// and a host"));
        };
        if !has_host(beginning) || Url::parse(&filled).is_err() {
            return Err(refused("has to begin with https:// and a host, and a / behind it"));
        }
        if is_open(&filled) {
            return Err(refused("has a credential, which no message shows"));
        }
        Ok(template)
    }
}

/// Tells whether a text begins an address whose host ends in it, so that no placeholder can change
/// the host.
fn has_host(beginning: &str) -> bool {
    let rest = ["https://", "http://"].iter().find_map(|scheme| beginning.strip_prefix(scheme));
    rest.is_some_and(|rest| rest.contains(['/', '?', '#'])) && Url::parse(beginning).is_ok()
}

fn bounded(at: &str, json: &RawValue, bytes: usize) -> Result<String, Invalid> {
    let text = text(at, json)?;
    if text.trim().is_empty() || text.len() > bytes {
        return Err(Invalid::field(at, "too_long", format!("{at} takes 1 to {bytes} bytes")));
    }
    Ok(text)
}

#[cfg(feature = "openapi")]
mod document;

#[cfg(test)]
mod tests;
