//! Slack's incoming webhooks: a message of Block Kit blocks, two for each event. Its limits are
//! those of <https://docs.slack.dev/reference/block-kit/blocks>: 50 blocks, 3,000 characters in a
//! section's text, 10 fields of 2,000.
//!
//! An event becomes a section with its title (linked where `data` has an address), whom it is about
//! and its first plain members, and a line with its type, time and id. Lists, objects and what
//! exceeds a limit are left out: the message is for people. So are members that look like
//! credentials by their names, such as a token or the address of a form that a token opens: a
//! channel has many readers.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use url::{Url, form_urlencoded};

use super::{Body, JSON};
#[cfg(feature = "openapi")]
use crate::input::JsonObject;
use crate::{
    event::{Event, catalogue},
    input,
    webhook::policy::RequestBounds,
};

/// The most events in one message: two blocks each make 40.
pub(super) const MAX_EVENTS: u8 = 20;
const MAX_FIELDS: usize = 8;
/// The most characters of a field's label and value. Escaping makes up to 5 of one character, so
/// such a field has at most 1,250.
const MAX_LABEL_CHARS: usize = 50;
const MAX_VALUE_CHARS: usize = 200;
const MAX_TITLE_CHARS: usize = 150;
const MAX_LINK_BYTES: usize = 1000;
/// Names of credentials end with one of these, written without signs and digits.
const CREDENTIALS: [&str; 17] = [
    "token",
    "tokenvalue",
    "secret",
    "password",
    "passphrase",
    "passcode",
    "pwd",
    "otp",
    "apikey",
    "secretkey",
    "privatekey",
    "accesskey",
    "authorization",
    "cookie",
    "signature",
    "jwt",
    "bearer",
];
/// So are parameters of an address called that are credentials, besides those of [`CREDENTIALS`].
const PARAMETERS: [&str; 5] = ["sig", "key", "code", "auth", "access"];

/// A message to a Slack channel. Its blocks are Slack's own business: Block Kit.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Message {
    /// The text that a notification shows.
    text: String,
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<JsonObject>, max_items = 50))]
    blocks: Vec<Block>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Section {
        text: Text,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        fields: Vec<Text>,
    },
    Context {
        elements: Vec<Text>,
    },
}

#[derive(Serialize)]
struct Text {
    r#type: &'static str,
    text: String,
    /// Always true: Slack then makes no links or mentions of text that only looks like one.
    verbatim: bool,
}

pub(super) fn body(events: &[&Event], bounds: RequestBounds) -> serde_json::Result<Body> {
    let mut count = events.len().min(bounds.events);
    loop {
        let body = message(&events[..count])?;
        if body.bytes.len() <= bounds.bytes || count == 1 {
            return Ok(body);
        }
        count = count.div_ceil(2);
    }
}

fn message(events: &[&Event]) -> serde_json::Result<Body> {
    let text = match events {
        [event] => headline(event),
        _ => {
            let titles: Vec<String> = events.iter().map(|event| title(event)).collect();
            cut(&format!("{} events: {}", events.len(), titles.join(", ")), MAX_VALUE_CHARS)
        }
    };
    let message = Message {
        text: escape(&text),
        blocks: events.iter().flat_map(|event| blocks(event)).collect(),
    };
    Ok(Body { bytes: serde_json::to_vec(&message)?, content_type: JSON, event_count: events.len() })
}

fn blocks(event: &Event) -> [Block; 2] {
    let mut first_link = None;
    let mut fields = Vec::new();
    for (name, raw) in input::members(&event.data) {
        let Some(value) = plain(raw) else { continue };
        if is_credential(&name) && !matches!(value.as_str(), "true" | "false") {
            continue;
        }
        if has_credential(&value) {
            continue;
        }
        match link(&value) {
            Some(link) => first_link = first_link.or(Some(link)),
            None if fields.len() < MAX_FIELDS => fields.push(field(&name, &value)),
            None => {}
        }
    }
    let title = escape(&title(event));
    let mut text = match &first_link {
        Some(link) => format!("*<{link}|{title}>*"),
        None => format!("*{title}*"),
    };
    if let Some(subject) = &event.subject {
        text.push('\n');
        text.push_str(&escape(subject));
    }
    let origin = format!("{} · {} · {}", event.event_type, date(event.timestamp), event.id);
    [
        Block::Section { text: mrkdwn(text), fields },
        Block::Context { elements: vec![mrkdwn(origin)] },
    ]
}

/// Tells if a member or a parameter of this name is a credential: its last word says so.
fn is_credential(name: &str) -> bool {
    let letters = letters(name);
    CREDENTIALS.iter().any(|credential| letters.ends_with(credential))
}

fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase()
}

/// Tells if a text has an address with a credential: a user, or a parameter of the query or of the
/// fragment. The address may be anywhere in the text, and without its scheme.
fn has_credential(text: &str) -> bool {
    text.split_whitespace().any(|word| {
        let address = word.trim_matches(|char: char| !char.is_alphanumeric() && char != '/');
        match address.contains("://") {
            true => is_open(address),
            false => address.contains('?') && is_open(&format!("https://{address}")),
        }
    })
}

fn is_open(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let fragment = url.fragment().unwrap_or_default();
    !url.username().is_empty()
        || url.password().is_some()
        || url.query_pairs().any(|(name, value)| is_open_parameter(&name, &value))
        || form_urlencoded::parse(fragment.as_bytes())
            .any(|(name, value)| is_open_parameter(&name, &value))
}

/// An address may have another one as a parameter.
fn is_open_parameter(name: &str, value: &str) -> bool {
    is_credential(name)
        || PARAMETERS.contains(&letters(name).as_str())
        || (value.contains("://") && is_open(value))
}

fn field(name: &str, value: &str) -> Text {
    mrkdwn(format!("*{}*\n{}", escape(&label(name)), escape(&cut(value, MAX_VALUE_CHARS))))
}

fn headline(event: &Event) -> String {
    match &event.subject {
        Some(subject) => format!("{}: {subject}", title(event)),
        None => title(event),
    }
}

/// The catalogue's title, or the words of the type's name.
fn title(event: &Event) -> String {
    let name = event.event_type.as_str();
    let title =
        catalogue::find(name).map_or_else(|| label(name), |built_in| built_in.title.to_owned());
    cut(&title, MAX_TITLE_CHARS)
}

/// `customerName`, `customer_name` and `customer.name` as "Customer name".
fn label(name: &str) -> String {
    let mut label = String::with_capacity(name.len());
    let mut before = '_';
    for char in name.chars() {
        let new_word = char.is_uppercase() && before.is_lowercase();
        match char {
            _ if label.is_empty() => label.extend(char.to_uppercase()),
            '_' | '.' | '-' => label.push(' '),
            _ if new_word => {
                label.push(' ');
                label.extend(char.to_lowercase());
            }
            _ => label.push(char),
        }
        before = char;
    }
    cut(&label, MAX_LABEL_CHARS)
}

/// The text of a member that is a text, a number or a truth value. Numbers stay as they were
/// written.
fn plain(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => match serde_json::from_str(raw.get()) {
            Ok(Value::String(text)) if !text.trim().is_empty() => Some(text),
            _ => None,
        },
        b'{' | b'[' | b'n' => None,
        _ => Some(raw.get().to_owned()),
    }
}

/// The address in a value that a person can follow, as Slack takes it: characters that would end
/// its link are encoded. An address that ends in `/…` is shown only in part, as
/// [`PublicUrl::shown`](crate::endpoint::url::PublicUrl::shown) does, and leads nowhere.
fn link(value: &str) -> Option<String> {
    if value.ends_with("/…") {
        return None;
    }
    let url = Url::parse(value).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let text = escape(&url.as_str().replace('|', "%7C").replace('<', "%3C").replace('>', "%3E"));
    (text.len() <= MAX_LINK_BYTES).then_some(text)
}

/// A time that Slack shows in the reader's own time zone:
/// <https://docs.slack.dev/messaging/formatting-message-text#date-formatting>
fn date(time: Timestamp) -> String {
    format!("<!date^{}^{{date_short_pretty}} {{time_secs}}|{time}>", time.as_second())
}

fn mrkdwn(text: String) -> Text {
    Text { r#type: "mrkdwn", text, verbatim: true }
}

/// Escapes the three characters that have a meaning in Slack's text. Without them there is no
/// mention and no link.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars - 1).chain(['…']).collect(),
    }
}
