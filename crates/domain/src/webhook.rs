//! A registered destination and its settings.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Invalid,
    event::Event,
    event_type::EventPattern,
    format::Format,
    id::WebhookId,
    input::Fields,
    retry::RetrySchedule,
    secret::Secret,
    url::{PublicUrl, UrlPolicy},
    workspace::Workspace,
};

/// The most patterns that one webhook may subscribe to.
pub const MAX_PATTERNS: usize = 100;
const MAX_DESCRIPTION_BYTES: usize = 1024;
const DEFAULT_TIMEOUT_SECONDS: u8 = 5;
/// The longest time, in seconds, that a webhook may give its endpoint.
pub const MAX_TIMEOUT_SECONDS: u8 = 30;

/// A webhook as it is stored.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its id, unique over all workspaces.
    pub id: WebhookId,
    /// Whose it is.
    pub workspace: Workspace,
    /// What its owner can change.
    pub settings: Settings,
    /// What signs its requests.
    pub secret: Secret,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When its settings last changed.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// Whether this event is to be delivered here.
    pub fn wants(&self, event: &Event) -> bool {
        self.settings.enabled && self.settings.events.iter().any(|pattern| pattern.matches(&event.event_type))
    }

    /// The waits between its attempts.
    pub fn retry_schedule(&self) -> RetrySchedule {
        RetrySchedule::SPEKTR
    }

    /// How long one request may take, head and body.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.timeout_seconds))
    }

    /// Whether an answer with this status means that the endpoint has the event.
    pub fn accepts(&self, http_status: u16) -> bool {
        (200..300).contains(&http_status)
    }
}

/// What the owner of a webhook chooses. Its JSON is both what the API shows and what is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Where requests go.
    pub url: PublicUrl,
    /// What is subscribed to: 1 to 100 patterns.
    pub events: Vec<EventPattern>,
    /// A note of the owner's, at most 1,024 bytes.
    pub description: Option<String>,
    /// How events are written.
    pub format: Format,
    /// How long one request may take, 1 to 30.
    pub timeout_seconds: u8,
    /// False pauses it: it gets nothing new.
    pub enabled: bool,
}

impl Settings {
    /// Reads a registration.
    pub fn register(fields: Fields<'_>, policy: &UrlPolicy) -> Result<Self, Invalid> {
        Self::read(fields, policy, None)
    }

    /// Reads a change: a field that is absent stays, one that is `null` goes back to its default.
    pub fn change(&self, fields: Fields<'_>, policy: &UrlPolicy) -> Result<Self, Invalid> {
        Self::read(fields, policy, Some(self))
    }

    fn read(mut fields: Fields<'_>, policy: &UrlPolicy, old: Option<&Self>) -> Result<Self, Invalid> {
        let read_url =
            |text: String| PublicUrl::parse(&text, policy).map_err(|error| ("invalid_url", error.to_string()));
        let url = take(&mut fields, "url", "a text", old.map(|old| Some(&old.url)), read_url)?;
        let url = url.ok_or_else(|| fields.missing("url"))?;
        let events = take(&mut fields, "events", "a list of texts", old.map(|old| Some(&old.events)), read_events)?;
        let events = events.ok_or_else(|| fields.missing("events"))?;
        let description =
            take(&mut fields, "description", "a text", old.map(|old| old.description.as_ref()), read_description)?;
        let format = take(&mut fields, "format", "a text", old.map(|old| Some(&old.format)), read_format)?;
        let timeout_seconds = take(
            &mut fields,
            "timeoutSeconds",
            "a whole number",
            old.map(|old| Some(&old.timeout_seconds)),
            read_timeout,
        )?;
        let enabled = take(&mut fields, "enabled", "true or false", old.map(|old| Some(&old.enabled)), Ok)?;
        fields.finish()?;
        Ok(Self {
            url,
            events,
            description,
            format: format.unwrap_or_default(),
            timeout_seconds: timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS),
            enabled: enabled.unwrap_or(true),
        })
    }
}

/// Why a value of the right JSON type is refused: a code and a sentence.
type Refusal = (&'static str, String);

/// One setting: what the field says, `None` where it says `null` or where nothing is said and there is no old value.
fn take<'a, T: Deserialize<'a>, V: Clone>(
    fields: &mut Fields<'a>,
    name: &str,
    shape: &str,
    old: Option<Option<&V>>,
    read: impl FnOnce(T) -> Result<V, Refusal>,
) -> Result<Option<V>, Invalid> {
    let at = fields.at(name);
    match fields.raw_or_null(name) {
        None => Ok(old.flatten().cloned()),
        Some(raw) if raw.get() == "null" => Ok(None),
        Some(raw) => {
            let value = serde_json::from_str(raw.get())
                .map_err(|_| Invalid::field(&at, "wrong_type", format!("{at} has to be {shape}")))?;
            read(value).map(Some).map_err(|(code, message)| Invalid::field(at, code, message))
        }
    }
}

fn read_events(texts: Vec<String>) -> Result<Vec<EventPattern>, Refusal> {
    if texts.is_empty() || texts.len() > MAX_PATTERNS {
        return Err(("wrong_count", format!("events takes 1 to {MAX_PATTERNS} subscriptions")));
    }
    let read = |text: &String| {
        EventPattern::parse(text)
            .map_err(|error| ("invalid_event_type", format!("{text:?} can't be subscribed to: {error}")))
    };
    texts.iter().map(read).collect()
}

fn read_description(text: String) -> Result<String, Refusal> {
    if text.len() <= MAX_DESCRIPTION_BYTES {
        Ok(text)
    } else {
        Err(("too_long", format!("description takes at most {MAX_DESCRIPTION_BYTES} bytes")))
    }
}

fn read_format(name: String) -> Result<Format, Refusal> {
    Format::by_name(&name).ok_or_else(|| {
        let known = Format::ALL.map(Format::name).join(", ");
        ("invalid_format", format!("{name:?} is not a format; known are {known}"))
    })
}

fn read_timeout(seconds: u64) -> Result<u8, Refusal> {
    let in_range = u8::try_from(seconds).ok().filter(|seconds| (1..=MAX_TIMEOUT_SECONDS).contains(seconds));
    in_range.ok_or_else(|| ("out_of_range", format!("timeoutSeconds is 1 to {MAX_TIMEOUT_SECONDS}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> UrlPolicy {
        UrlPolicy::default()
    }

    fn register(body: &str) -> Result<Settings, Invalid> {
        Settings::register(Fields::of_body(body.as_bytes())?, &policy())
    }

    fn field_and_code(result: Result<Settings, Invalid>) -> (String, &'static str) {
        let invalid = result.expect_err("an error");
        (invalid.field.unwrap_or_default(), invalid.code)
    }

    const MINIMAL: &str = r#"{"url":"https://example.com/hook","events":["order.*"]}"#;

    #[test]
    fn the_registration_of_the_spectra_document() {
        let settings = register(
            r#"{"url": "https://myapp.com/spectra-webhook", "events": ["order.created", "order.shipped", "inventory.sold"]}"#,
        );
        insta::assert_json_snapshot!(settings.unwrap());
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name_and_resets_what_is_null() {
        let body = r#"{"url":"https://example.com/hook","events":["*"],"description":"mine","format":"spectra","timeoutSeconds":30,"enabled":false}"#;
        let old = register(body).unwrap();
        let change = |body: &str| old.change(Fields::of_body(body.as_bytes()).unwrap(), &policy());
        assert_eq!(change("{}").unwrap(), old);
        assert_eq!(change(r#"{"enabled":true}"#).unwrap(), Settings { enabled: true, ..old.clone() });
        let reset = change(r#"{"description":null,"format":null,"timeoutSeconds":null}"#).unwrap();
        assert_eq!(reset, Settings { description: None, format: Format::Standard, timeout_seconds: 5, ..old.clone() });
        assert_eq!(field_and_code(change(r#"{"url":null}"#)), ("url".into(), "missing_field"));
        assert_eq!(field_and_code(change(r#"{"events":null}"#)), ("events".into(), "missing_field"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |extra: &str| register(&format!("{},{extra}}}", MINIMAL.trim_end_matches('}')));
        assert_eq!(field_and_code(register(r#"{"events":["*"]}"#)), ("url".into(), "missing_field"));
        assert_eq!(
            field_and_code(register(r#"{"url":"http://example.com","events":["*"]}"#)),
            ("url".into(), "invalid_url")
        );
        assert_eq!(field_and_code(register(r#"{"url":"https://example.com"}"#)), ("events".into(), "missing_field"));
        assert_eq!(
            field_and_code(register(r#"{"url":"https://example.com","events":[]}"#)),
            ("events".into(), "wrong_count")
        );
        assert_eq!(
            field_and_code(register(r#"{"url":"https://example.com","events":["a b"]}"#)),
            ("events".into(), "invalid_event_type")
        );
        assert_eq!(field_and_code(with(r#""format":"xml""#)), ("format".into(), "invalid_format"));
        assert_eq!(field_and_code(with(r#""timeoutSeconds":0"#)), ("timeoutSeconds".into(), "out_of_range"));
        assert_eq!(field_and_code(with(r#""timeoutSeconds":31"#)), ("timeoutSeconds".into(), "out_of_range"));
        assert_eq!(field_and_code(with(r#""timeoutSeconds":"5""#)), ("timeoutSeconds".into(), "wrong_type"));
        assert_eq!(field_and_code(with(r#""enabled":1"#)), ("enabled".into(), "wrong_type"));
        assert_eq!(
            field_and_code(with(&format!(r#""description":"{}""#, "x".repeat(1025)))),
            ("description".into(), "too_long")
        );
        assert_eq!(field_and_code(with(r#""retries":3"#)), ("retries".into(), "unknown_field"));
        assert_eq!(field_and_code(with(r#""secret":"x""#)), ("secret".into(), "unknown_field"));
    }

    #[test]
    fn a_paused_webhook_wants_nothing() {
        let event: Event = serde_json::from_str(
            r#"{"id":"018566ad-3f93-7fff-bfff-ffffffffffff","type":"order.created","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{}}"#,
        )
        .unwrap();
        let mut webhook = Webhook {
            id: WebhookId(42),
            workspace: Workspace::parse("acme").unwrap(),
            settings: register(MINIMAL).unwrap(),
            secret: Secret::new([7; 32]),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        assert!(webhook.wants(&event));
        webhook.settings.enabled = false;
        assert!(!webhook.wants(&event));
    }
}
