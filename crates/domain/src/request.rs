//! The request that an attempt sends: body, headers and signatures.

use std::fmt;

use jiff::Timestamp;

use crate::{event::Event, signature, webhook::Webhook};

/// What goes to the endpoint by POST. Debug shows no header value and no body.
pub struct WebhookRequest {
    /// Names in lower case, with their values.
    pub headers: Vec<(&'static str, String)>,
    /// The exact bytes that were signed.
    pub body: Vec<u8>,
}

/// The value of `User-Agent`.
pub const USER_AGENT: &str = concat!("Posthaste/", env!("CARGO_PKG_VERSION"));

impl WebhookRequest {
    /// Writes and signs the request for one attempt, made `now`. `webhook-id` is the event's, so it is the same on every retry.
    pub fn new(webhook: &Webhook, event: &Event, now: Timestamp) -> serde_json::Result<Self> {
        let body = webhook.settings.format.body(event)?;
        let id = event.id.to_string();
        let seconds = now.as_second();
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", USER_AGENT.to_owned()),
            ("x-webhook-event", event.event_type.to_string()),
            ("x-webhook-signature", signature::spectra(&webhook.secret, &body)),
            ("webhook-signature", signature::standard([&webhook.secret], &id, seconds, &body)),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-id", id),
        ];
        Ok(Self { headers, body })
    }
}

impl fmt::Debug for WebhookRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("WebhookRequest").field("headers", &names).field("body_bytes", &self.body.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::WebhookId, secret::Secret, workspace::Workspace};

    fn request(format: &str) -> WebhookRequest {
        let settings = serde_json::json!({
            "url": "https://example.com/", "events": ["*"], "description": null, "format": format, "timeoutSeconds": 5, "enabled": true
        });
        let webhook = Webhook {
            id: WebhookId(42),
            workspace: Workspace::parse("acme").unwrap(),
            settings: serde_json::from_value(settings).unwrap(),
            secret: Secret::new([7; 32]),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        let event = serde_json::from_str(
            r#"{"id":"018566ad-3f93-7fff-bfff-ffffffffffff","type":"order.created","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{"n": 1.0}}"#,
        )
        .unwrap();
        WebhookRequest::new(&webhook, &event, Timestamp::from_second(1_700_000_000).unwrap()).unwrap()
    }

    #[test]
    fn the_whole_request() {
        for format in ["standard", "spectra"] {
            let request = request(format);
            let headers: String = request.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            let body = String::from_utf8(request.body).unwrap();
            insta::assert_snapshot!(format!("{format}_request"), format!("{headers}\n{body}"));
        }
    }

    #[test]
    fn the_standardwebhooks_library_verifies_it() {
        let request = request("standard");
        let verifier = standardwebhooks::Webhook::new(&Secret::new([7; 32]).reveal()).unwrap();
        let value = |name: &str| &request.headers.iter().find(|(other, _)| *other == name).unwrap().1;
        let signed = verifier.sign(value("webhook-id"), 1_700_000_000, &request.body).unwrap();
        assert_eq!(*value("webhook-signature"), signed);
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}", request("standard"));
        assert!(shown.contains("webhook-signature") && !shown.contains("v1,") && !shown.contains("1.0"), "{shown}");
    }
}
