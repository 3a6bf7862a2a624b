//! Webhooks and events for the tests of this crate.

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
    webhook::{Registration, Webhook, headers::Headers, rotation::Secrets, secret::Sealed},
};

/// A webhook for everything, with these further fields of its registration.
pub(crate) fn webhook(registration: Value) -> Webhook {
    let mut body = json!({ "url": "https://example.com/", "events": ["*"] });
    body.as_object_mut().unwrap().extend(registration.as_object().unwrap().clone());
    let registration = Registration::parse(body.to_string().as_bytes(), &UrlPolicy::default());
    Webhook {
        id: WebhookId(42),
        workspace: Workspace::parse("acme").unwrap(),
        settings: registration.unwrap().settings,
        secrets: Secrets::new(Sealed(String::new())),
        headers: Headers::default(),
        created_at: Timestamp::from_second(1_690_000_000).unwrap(),
        updated_at: Timestamp::from_second(1_690_000_000).unwrap(),
        health: Health::default(),
    }
}

/// The nth event of a second.
pub(crate) fn event(nth: u8, event_type: &str, data: &str) -> Event {
    let json = format!(
        r#"{{"id":"01896b5d-3648-7000-8000-0000000000{nth:02x}","type":"{event_type}","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","subject":"c-{nth}","data":{data}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

/// A URL that a webhook may have.
pub(crate) fn url(text: &str) -> PublicUrl {
    PublicUrl::parse(text, &UrlPolicy::default()).unwrap()
}
