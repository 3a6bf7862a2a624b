use serde_json::json;

use super::*;
use crate::{
    input::Fields,
    testing::{event, webhook},
};

#[test]
fn a_webhook_wants_what_it_has_subscribed_to() {
    let webhook = webhook(json!({ "events": ["order.*"] }));
    assert!(webhook.wants(&event(1, "order.created", "{}")));
    assert!(!webhook.wants(&event(1, "inventory.sold", "{}")));
}

#[test]
fn a_webhook_has_the_rate_limit_of_its_settings() {
    let webhook = webhook(json!({ "rateLimit": { "requests": 10, "per": "minute" } }));
    assert!(webhook.rate_limit().is_some_and(|limit| limit.requests == 10));
}

#[test]
fn a_webhook_is_disabled_after_the_days_that_its_owner_says_or_as_the_deployment_says() {
    let deployment = Duration::from_secs(77);
    let disable_after = |registration| webhook(registration).policing(deployment).disable_after;
    assert_eq!(disable_after(json!({})), Some(deployment));
    assert_eq!(disable_after(json!({ "disableAfterDays": 0 })), None);
    assert_eq!(disable_after(json!({ "disableAfterDays": 3 })), Some(Duration::from_secs(259_200)));
}

#[test]
fn the_owners_headers_are_sent_with_names_in_lower_case() {
    let mut body = Fields::of_body(br#"{"headers":{"X-Team":"blue"}}"#).unwrap();
    let credentials = Credentials {
        secrets: Secrets::new(Secret::new([1; 32])),
        headers: body.take::<Headers<HeaderValue>>("headers").unwrap(),
        url: crate::testing::url("https://example.com/"),
    };
    assert_eq!(credentials.own_headers(), [("x-team".to_owned(), "blue".to_owned())]);
}
