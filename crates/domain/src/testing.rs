//! Webhooks and events for tests, of this crate and of others (feature `testing`).
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test that is wrong may panic"
)]

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    access::workspace::Workspace,
    endpoint::{
        health::Health,
        url::{PublicUrl, UrlPolicy},
    },
    event::Event,
    id::WebhookId,
    webhook::{
        Registration, Webhook, headers::Headers, key::WebhookKey, profile::Profile,
        rotation::Secrets, secret::Sealed,
    },
};

/// Makes a webhook for everything, with these further fields of its registration.
pub fn webhook(registration: Value) -> Webhook {
    let mut body = json!({ "url": "https://example.com/", "events": ["*"] });
    body.as_object_mut().unwrap().extend(registration.as_object().unwrap().clone());
    let registration =
        Registration::parse(body.to_string().as_bytes(), &UrlPolicy::default(), Profile::default());
    Webhook {
        key: webhook_key(42),
        settings: registration.unwrap().settings,
        secrets: Secrets::new(Sealed(String::new())),
        headers: Headers::default(),
        created_at: Timestamp::from_second(1_690_000_000).unwrap(),
        updated_at: Timestamp::from_second(1_690_000_000).unwrap(),
        health: Health::default(),
        revision: 1,
    }
}

/// Makes the key of a webhook of the workspace `acme`.
pub fn webhook_key(id: u64) -> WebhookKey {
    WebhookKey { workspace: Workspace::parse("acme").unwrap(), id: WebhookId(id) }
}

/// Makes the nth event of a second, with this data.
pub fn event(nth: u8, event_type: &str, data: &str) -> Event {
    let json = format!(
        r#"{{"id":"01896b5d-3648-7000-8000-0000000000{nth:02x}","type":"{event_type}","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","subject":"c-{nth}","data":{data}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

/// Reads a URL that a webhook may have.
pub fn url(text: &str) -> PublicUrl {
    PublicUrl::parse(text, &UrlPolicy::default()).unwrap()
}
