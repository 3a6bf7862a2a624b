//! Slack's incoming webhooks: a message of Block Kit blocks, two to four for each event. Its limits
//! are those of <https://docs.slack.dev/reference/block-kit/blocks>: 50 blocks, 150 characters in a
//! header, 3,000 in a section's text, 10 fields of 2,000, 75 characters on a button and 3,000 in
//! its address.
//!
//! An event becomes a section with its title (linked where `data` has an address), whom it is about
//! and its first plain members, and a line with its type, time and id. Lists, objects and what
//! exceeds a limit are left out: the message is for people. So are members that look like
//! credentials by their names, such as a token or the address of a form that a token opens.
//!
//! A message of a workspace in test mode begins with a line that says so.
//!
//! A template of the webhook can put a header, other fields, a button and a coloured bar in the
//! place of these.

use serde::Serialize;
use serde_json::{Value, value::RawValue};
use url::Url;

use super::{Body, JSON};
#[cfg(feature = "openapi")]
use crate::input::JsonObject;
use crate::{
    event::{
        Event, catalogue,
        credentials::{has_credential, is_credential},
    },
    webhook::{
        policy::RequestBounds,
        slack_templates::{SlackField, SlackTemplate, SlackTemplates},
    },
};

mod template;
mod text;

use template::Opened;
use text::{Text, cut, cut_escaped, date, escape, mrkdwn, plain_text};

/// The words at the beginning of a message in test mode.
const TEST_MODE: &str = "Test mode";
/// The most events in one message: two blocks each make 40. Templates can make more blocks of an
/// event, and then fewer events fit.
pub(super) const MAX_EVENTS: u8 = 20;
const MAX_BLOCKS: usize = 50;
const MAX_FIELDS: usize = 8;
/// The most characters of a field's label and value. Escaping makes up to 5 of one character, so
/// such a field has at most 1,250.
const MAX_LABEL_CHARS: usize = 50;
const MAX_VALUE_CHARS: usize = 200;
const MAX_TITLE_CHARS: usize = 150;
const MAX_LINK_BYTES: usize = 1000;
/// These count characters after escaping, as Slack does.
const MAX_HEADER_CHARS: usize = 150;
const MAX_BUTTON_CHARS: usize = 75;
/// Beside a label of 100 characters, which are up to 500.
const MAX_FIELD_CHARS: usize = 1400;

/// A message to a Slack channel. Its blocks are Slack's own business: Block Kit.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Message {
    /// The text that a notification shows. Slack would show it above attachments too, which have
    /// one each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false))]
    text: Option<String>,
    /// The blocks of a message without colours. With colours only the line about test mode is here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = Vec<JsonObject>, max_items = 50, required = false)
    )]
    blocks: Vec<Block>,
    /// The events of a message in which a template has a colour: only attachments have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = Vec<JsonObject>, max_items = 20, required = false)
    )]
    attachments: Vec<Attachment>,
}

#[derive(Serialize)]
struct Attachment {
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<String>,
    /// The text that a notification shows.
    fallback: String,
    blocks: Vec<Block>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Header {
        text: Text,
    },
    Section {
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<Text>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        fields: Vec<Text>,
    },
    Actions {
        elements: [Button; 1],
    },
    Context {
        elements: Vec<Text>,
    },
}

#[derive(Debug, Clone, Serialize)]
struct Button {
    r#type: &'static str,
    text: Text,
    url: String,
}

/// An event as a message shows it.
#[derive(Debug, Clone)]
struct Shown {
    title: String,
    subject: Option<String>,
    color: Option<String>,
    blocks: Vec<Block>,
}

pub(super) fn body(
    events: &[&Event],
    bounds: RequestBounds,
    templates: Option<&SlackTemplates>,
) -> serde_json::Result<Body> {
    let is_test = events.iter().any(|event| event.workspace.named_environment().is_some());
    let mut shown = Vec::new();
    let mut blocks = usize::from(is_test);
    let mut bytes_of_blocks = 0;
    for event in events.iter().take(bounds.events) {
        let template = templates.and_then(|templates| templates.of(&event.event_type));
        let one = show(&Opened::from(*event), template);
        blocks += one.blocks.len();
        bytes_of_blocks += serde_json::to_vec(&one.blocks)?.len();
        // A single event may exceed the bound on bytes.
        if blocks > MAX_BLOCKS || (bytes_of_blocks > bounds.bytes && !shown.is_empty()) {
            break;
        }
        shown.push(one);
    }
    loop {
        let bytes = serde_json::to_vec(&message(&shown, is_test))?;
        if bytes.len() <= bounds.bytes || shown.len() <= 1 {
            return Ok(Body { bytes, content_type: JSON, event_count: shown.len() });
        }
        // The blocks fit, so it is little that is too much.
        shown.pop();
    }
}

fn message(shown: &[Shown], is_test: bool) -> Message {
    let mut blocks = Vec::new();
    if is_test {
        blocks.push(Block::Context { elements: vec![mrkdwn(format!("*{TEST_MODE}*"))] });
    }
    if shown.iter().any(|one| one.color.is_some()) {
        let attachments = shown.iter().map(|one| attachment(one, is_test)).collect();
        return Message { text: None, blocks, attachments };
    }
    let text = match shown {
        [one] => headline(one),
        _ => {
            let titles: Vec<&str> = shown.iter().map(|one| one.title.as_str()).collect();
            cut(&format!("{} events: {}", shown.len(), titles.join(", ")), MAX_VALUE_CHARS)
        }
    };
    blocks.extend(shown.iter().flat_map(|one| one.blocks.clone()));
    Message { text: Some(notice(&text, is_test)), blocks, attachments: Vec::new() }
}

/// The text that a notification shows.
fn notice(text: &str, is_test: bool) -> String {
    let text = escape(text);
    if is_test { format!("{TEST_MODE}: {text}") } else { text }
}

fn attachment(shown: &Shown, is_test: bool) -> Attachment {
    Attachment {
        color: shown.color.clone(),
        fallback: notice(&headline(shown), is_test),
        blocks: shown.blocks.clone(),
    }
}

fn show(opened: &Opened<'_>, template: Option<&SlackTemplate>) -> Shown {
    let event = opened.event;
    let members = Members::of(opened);
    let header = template
        .and_then(|template| template.title.as_ref())
        .and_then(|title| template::filled(title, opened));
    let fields = match template.and_then(|template| template.fields.as_ref()) {
        Some(fields) => fields.iter().filter_map(|field| template_field(field, opened)).collect(),
        None => members.fields,
    };
    let default_title = title(event);
    let mut blocks = Vec::new();
    match &header {
        Some(header) => {
            blocks.push(Block::Header { text: plain_text(header, MAX_HEADER_CHARS) });
            // Slack takes no section that is empty.
            if !fields.is_empty() {
                blocks.push(Block::Section { text: None, fields });
            }
        }
        None => {
            let text = mrkdwn(section(&default_title, members.link, event.subject.as_deref()));
            blocks.push(Block::Section { text: Some(text), fields });
        }
    }
    let button = template.and_then(|template| template.button.as_ref());
    if let Some(template::Button { text, url }) = button.and_then(|it| template::button(it, opened))
    {
        let text = plain_text(&text, MAX_BUTTON_CHARS);
        blocks.push(Block::Actions { elements: [Button { r#type: "button", text, url }] });
    }
    let origin = format!("{} · {} · {}", event.event_type, date(event.timestamp), event.id);
    blocks.push(Block::Context { elements: vec![mrkdwn(origin)] });
    Shown {
        subject: if header.is_some() { None } else { event.subject.clone() },
        title: header.map_or(default_title, |header| cut(&header, MAX_TITLE_CHARS)),
        color: template.and_then(|template| template.color.clone()),
        blocks,
    }
}

/// The plain members of an event's data that a message shows without a template.
struct Members {
    /// The first address.
    link: Option<String>,
    fields: Vec<Text>,
}

impl Members {
    fn of(opened: &Opened<'_>) -> Self {
        let mut shown = Self { link: None, fields: Vec::new() };
        for (name, raw) in &opened.members {
            let Some(value) = plain(raw) else { continue };
            if is_credential(name) && !matches!(value.as_str(), "true" | "false") {
                continue;
            }
            if has_credential(&value) {
                continue;
            }
            match link(&value) {
                Some(link) => shown.link = shown.link.or(Some(link)),
                None if shown.fields.len() < MAX_FIELDS => shown.fields.push(field(name, &value)),
                None => {}
            }
        }
        shown
    }
}

/// The text of a section: a title, linked where there is an address, and whom it is about.
fn section(title: &str, link: Option<String>, subject: Option<&str>) -> String {
    let title = escape(title);
    let mut text = match link {
        Some(link) => format!("*<{link}|{title}>*"),
        None => format!("*{title}*"),
    };
    if let Some(subject) = subject {
        text.push('\n');
        text.push_str(&escape(subject));
    }
    text
}

fn template_field(field: &SlackField, opened: &Opened<'_>) -> Option<Text> {
    let value = template::value(&field.path, opened)?;
    let label = escape(&field.label);
    Some(mrkdwn(format!("*{label}*\n{}", cut_escaped(&value, MAX_FIELD_CHARS))))
}

fn field(name: &str, value: &str) -> Text {
    mrkdwn(format!("*{}*\n{}", escape(&label(name)), escape(&cut(value, MAX_VALUE_CHARS))))
}

fn headline(shown: &Shown) -> String {
    match &shown.subject {
        Some(subject) => format!("{}: {subject}", shown.title),
        None => shown.title.clone(),
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

#[cfg(test)]
mod tests;
