//! The requests that webhooks get.

use std::sync::LazyLock;

use hmac::{Hmac, KeyInit, Mac};
use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    delivery::{
        format::{Format, MAX_BODY_BYTES},
        request::WebhookRequest,
    },
    endpoint::{health::Health, url::UrlPolicy},
    event::{Event, NewEvent},
    id::{Cause, DeliveryId, EventId, WebhookId},
    trace::SpanId,
    webhook::{
        Registration, Webhook,
        headers::Headers,
        key::WebhookKey,
        profile::Profile,
        rotation::Secrets,
        secret::{Sealed, Secret},
    },
};
use serde_json::{json, value::RawValue};
use sha2::Sha256;

use crate::choices::Choices;

const SECRET: [u8; 32] = [7; 32];
const TYPES: [&str; 8] = [
    "order.created",
    "process_run_end",
    "process_run_start",
    "customer_status_changed",
    "service_run",
    "alert_resolved",
    "webhook.failing",
    "document_ready",
];

static NOW: LazyLock<Timestamp> =
    LazyLock::new(|| Timestamp::from_second(1_700_000_000).expect("a time"));

/// A request is JSON within its bounds, is the same when it is made again, and verifies with the
/// secret, and with no other body.
pub(crate) fn is_json_and_verifies(input: &[u8]) -> bool {
    let mut choices = Choices::new(input);
    let (name, format) = choices.one_of(&Format::NAMES);
    let webhook = webhook(name, &mut choices);
    let Some(events) = events(choices) else { return false };
    let deliveries: Vec<(DeliveryId, &Event)> = events
        .iter()
        .map(|event| (DeliveryId::derive(event.id, webhook.key.id, Cause::Published), event))
        .collect();
    let secrets = Secrets::new(Secret::new(SECRET));
    let span = SpanId::of_attempt(deliveries[0].0, *NOW);
    let request = WebhookRequest::new(&webhook, &secrets, &deliveries, None, (*NOW, span));
    let request = request.expect("an event is JSON");
    let again = WebhookRequest::new(&webhook, &secrets, &deliveries, None, (*NOW, span));
    let again = again.expect("an event is JSON");
    assert_eq!((&request.body, &request.headers), (&again.body, &again.headers));

    let count = request.delivery_count;
    assert!((1..=events.len().min(webhook.request_bounds().events)).contains(&count));
    assert!(count == 1 || request.body.len() <= MAX_BODY_BYTES.min(webhook.request_bounds().bytes));
    let body = str::from_utf8(&request.body).expect("a body is UTF-8");
    let read: Result<&RawValue, _> = serde_json::from_str(body);
    assert!(read.is_ok(), "{body} is no JSON");
    if matches!(format, Format::Standard | Format::CloudEvents | Format::Spectra) {
        assert!(body.contains(events[0].data.get()), "{body} lacks {}", events[0].data);
    }
    check_headers(&request);
    check_signatures(&request);
    true
}

/// A webhook of this profile, with bounds of its own.
fn webhook(profile: &str, choices: &mut Choices<'_>) -> Webhook {
    let url = if profile == "slack" {
        "https://hooks.slack.com/services/T000/B000/x"
    } else {
        "https://example.com/hook"
    };
    let mut body = json!({ "url": url, "events": ["*"], "profile": profile });
    if ["spektr", "slack"].contains(&profile) && choices.flag() {
        body["maxEventsPerRequest"] = (1 + choices.below(3)).into();
    }
    let policy = UrlPolicy::default();
    let read = Registration::parse(body.to_string().as_bytes(), &policy, Profile::default());
    let text = if choices.flag() { "acme~test" } else { "acme" };
    Webhook {
        key: WebhookKey { workspace: Workspace::parse(text).expect("a name"), id: WebhookId(42) },
        settings: read.expect("a registration").settings,
        secrets: Secrets::new(Sealed(String::new())),
        headers: Headers::default(),
        created_at: *NOW,
        updated_at: *NOW,
        health: Health::default(),
        revision: 1,
    }
}

/// One to four events, of which the last one's data is what is left of the input if that is an
/// object; none if it can't be published.
fn events(mut choices: Choices<'_>) -> Option<Vec<Event>> {
    let count = 1 + choices.below(4);
    let mut heads = Vec::new();
    for _ in 0..count {
        let event_type = choices.one_of(&TYPES);
        heads.push(json!({
            "type": event_type, "subject": choices.text(12), "reference": choices.text(12),
        }));
    }
    let data = str::from_utf8(choices.rest()).ok()?;
    let mut events = Vec::new();
    for (nth, head) in heads.into_iter().enumerate() {
        let data = if nth == 0 { data } else { r#"{"n":1.0}"# };
        let head = head.to_string();
        let body = format!(r#"{},"data":{data}}}"#, head.strip_suffix('}')?);
        let published = NewEvent::parse_call(body.as_bytes()).ok()?;
        let event = published.events().first()?.clone();
        let id = EventId::new(*NOW, &[u8::try_from(nth).ok()?; 10]);
        events.push(event.accept(id, Workspace::parse("acme").ok()?, *NOW));
    }
    Some(events)
}

/// Checks that every header can be sent, and that none is there twice.
fn check_headers(request: &WebhookRequest) {
    let mut names = Vec::new();
    for (name, value) in &request.headers {
        assert!(!names.contains(name), "{name} is there twice");
        names.push(*name);
        let sendable = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        assert!(sendable && !value.is_empty(), "{name}: {value:?}");
    }
}

/// Checks both signatures as a receiver does.
fn check_signatures(request: &WebhookRequest) {
    let id = header(request, "webhook-id");
    let timestamp: i64 = header(request, "webhook-timestamp").parse().expect("a number");
    let secret = Secret::new(SECRET).reveal();
    let verifier = standardwebhooks::Webhook::new(&secret).expect("a secret");
    let signed = verifier.sign(id, timestamp, &request.body).expect("a signature");
    assert_eq!(header(request, "webhook-signature"), signed);
    let mut changed = request.body.clone();
    changed[0] ^= 1;
    let other = verifier.sign(id, timestamp, &changed).expect("a signature");
    assert_ne!(signed, other);

    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(&request.body);
    let expected = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    assert_eq!(header(request, "x-webhook-signature"), expected);
}

fn header<'r>(request: &'r WebhookRequest, name: &str) -> &'r str {
    let found = request.headers.iter().find(|(header, _)| *header == name);
    found.map(|(_, value)| value.as_str()).expect("the header is there")
}
