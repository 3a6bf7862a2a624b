//! The examples, and parts of examples, that several calls share. Answers are made by the code that
//! answers, from the requests that are shown.

use std::convert::Infallible;

use posthaste_domain::{
    Invalid, Timestamp,
    access::workspace::Workspace,
    endpoint::{
        health::Health,
        url::{PublicUrl, StoredUrl, UrlPolicy},
    },
    event::{Event, NewEvent},
    id::{EventId, WebhookId},
    webhook::{
        Registration, Settings, Webhook,
        key::WebhookKey,
        profile::Profile,
        rotation::Secrets,
        secret::{Sealed, Secret},
    },
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{List, Removed};

/// The time at which things happen in examples: 2026-01-15, 09:30.
pub(crate) const NOW: Timestamp = Timestamp::constant(1_768_469_400, 0);

/// A registration for types of which the workspace has published none yet.
pub(crate) fn of_unknown_types() -> Value {
    json!({ "url": "https://example.com/webhooks", "events": ["invoice.*"] })
}

/// The warnings of a registration for types that are not known.
pub(crate) fn warnings(settings: &Settings) -> Vec<Invalid> {
    settings.unknown_types(None, &[], &[]).collect()
}

/// The registration of the Spectra document, as printed.
pub(crate) fn spectra() -> Value {
    json!({
        "url": "https://myapp.com/spectra-webhook",
        "events": ["order.created", "order.shipped", "inventory.sold"]
    })
}

/// The settings that "About webhooks" of the Spektr documents lets an owner choose: everything, at
/// a settable rate, but no run started or ended for monitoring, and what happens in an onboarding
/// at its end.
pub(crate) fn spektr() -> Value {
    json!({
        "url": "https://example.com/spektr",
        "events": ["*"],
        "description": "Compliance",
        "method": "https",
        "profile": "spektr",
        "filters": {
            "monitoring": { "process_run_start": "never", "process_run_end": "never" },
            "onboarding": { "*": "process_end" }
        },
        "rateLimit": { "requests": 10, "per": "second" }
    })
}

/// The URL and the events of the Dataspike document.
pub(crate) fn dataspike() -> Value {
    json!({
        "url": "https://api.yourdomain.com/dataspike/webhook",
        "events": ["AML_SCREENING", "DOCVER_EVENT"],
        "profile": "dataspike"
    })
}

pub(crate) fn slack() -> Value {
    json!({
        "url": "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
        "events": ["alert_created", "alert_escalated"],
        "method": "slack"
    })
}

/// Every setting, none of them the default. Only Slack has all of them.
pub(crate) fn everything() -> Value {
    json!({
        "url": "https://example.com/webhooks",
        "events": ["order.*", "webhook.disabled"],
        "description": "Orders",
        "method": "slack",
        "profile": "slack",
        "format": "slack",
        "timing": "process_end",
        "filters": { "*": { "service_run": "immediate" } },
        "rateLimit": { "requests": 60, "per": "minute" },
        "retrySchedule": [5, 60, 3600],
        "successStatuses": [200, 202],
        "timeoutSeconds": 10,
        "maxRetryAfterSeconds": 600,
        "disableOn410": false,
        "disableAfterDays": 30,
        "maxEventsPerRequest": 1,
        "maxRequestBytes": 65536,
        "rotationSignature": "old",
        "deadLetters": false,
        "slackTemplates": {
            "order.created": {
                "title": "Order {{data.orderId}}",
                "fields": [
                    { "label": "Total", "path": "data.total" },
                    { "label": "First article", "path": "data.items.0.sku" }
                ],
                "color": "#36a64f",
                "button": {
                    "text": "Open the order",
                    "url": "https://shop.example.com/orders/{{data.orderId}}"
                }
            }
        },
        "headers": { "Authorization": "Bearer 5f0c1e", "X-Team": "orders" },
        "enabled": false
    })
}

/// The webhook that a registration makes.
pub(crate) fn webhook(id: u64, registration: &Value) -> Option<Webhook> {
    let registration = Registration::parse(
        registration.to_string().as_bytes(),
        &UrlPolicy::default(),
        Profile::default(),
    );
    let Registration { settings, headers } = registration.ok()?;
    let headers = headers.try_map(|_, _| Ok::<_, Infallible>(sealed())).ok()?;
    Some(Webhook {
        key: WebhookKey { workspace: workspace()?, id: WebhookId(id) },
        settings,
        secrets: Secrets::new(sealed()),
        headers,
        created_at: NOW,
        updated_at: NOW,
        revision: 1,
        health: Health::default(),
    })
}

/// Returns the URL that the webhook's requests go to.
pub(crate) fn url(webhook: &Webhook) -> Option<&PublicUrl> {
    match &webhook.settings.url {
        StoredUrl::Open(url) => Some(url),
        StoredUrl::Sealed { .. } => None,
    }
}

/// Returns the secret that signs requests in examples.
pub(crate) fn secret() -> Secret {
    Secret::new(*b"no secret: it is in an example..")
}

/// Nobody asks what an example has sealed.
pub(crate) fn sealed() -> Sealed {
    Sealed(String::new())
}

/// The events that a publishing call makes.
pub(crate) fn events(call: &Value) -> Vec<Event> {
    let published = NewEvent::parse_call(call.to_string().as_bytes());
    let events = published.as_ref().map(|published| published.events()).unwrap_or_default();
    let accept = |(at, event): (u8, &NewEvent)| {
        let id = EventId::new(NOW, &[at, 0x3c, 0x91, 0x0e, 0x5d, 0xa2, 0x47, 0xf8, 0x1b, 0x66]);
        Some(event.clone().accept(id, workspace()?, NOW))
    };
    (0..).zip(events).filter_map(accept).collect()
}

pub(crate) fn workspace() -> Option<Workspace> {
    Workspace::parse("acme").ok()
}

/// A value in JSON.
pub(crate) fn shown(value: impl Serialize) -> Option<Value> {
    serde_json::to_value(value).ok()
}

/// A list with these, of which there are no more.
pub(crate) fn list<T: Serialize>(items: impl IntoIterator<Item = T>) -> Option<Value> {
    shown(List { items: items.into_iter().collect(), next: None })
}

pub(crate) fn removed(id: impl Serialize) -> Option<Value> {
    shown(Removed::of(id))
}
