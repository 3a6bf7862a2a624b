//! The answer to a dry run in the examples, made by the code that answers.

use std::time::Duration;

use posthaste_domain::{
    delivery::request::WebhookRequest,
    endpoint::lane::{Lane, Phase, Reason},
    event::{Event, process::Process},
    fanout::forecast::{Facts, Forecast},
    id::{Cause, DeliveryId},
    trace::SpanId,
    webhook::Webhook,
};
use serde_json::{Value, json};

use crate::{
    DryRunAnswer, WebhookForecast, WouldBeEvent, WouldBeRequest,
    openapi::example::{self, NOW, shown},
};

/// The answer about this call, for three webhooks: one gets the event at once, one waits for its
/// rate limit, and one does not subscribe to the event.
pub(super) fn answer(call: &Value) -> Option<Value> {
    let event = example::events(call).pop()?;
    let process = Process::of(&event);
    let own_headers = json!({
        "url": "https://example.com/webhooks", "events": ["order.*"],
        "headers": { "Authorization": "Bearer 5f0c1e" },
    });
    let limited =
        Lane { phase: Some(Phase::Held), reason: Some(Reason::Limited), ..Lane::default() };
    let webhooks = [
        (example::webhook(42, &own_headers)?, Lane::default()),
        (example::webhook(43, &example::spektr())?, limited),
        (example::webhook(44, &example::dataspike())?, Lane::default()),
    ];
    let mut forecasts = Vec::new();
    for (webhook, lane) in &webhooks {
        let facts = Facts {
            event_type: &event.event_type,
            process: &process,
            run_has_ended: false,
            held_until: NOW + Duration::from_secs(24 * 60 * 60),
            lane,
            now: NOW,
        };
        let forecast = Forecast::of(webhook, &facts);
        let request = if forecast.outcome.sends() { request(webhook, &event) } else { None };
        forecasts.push(WebhookForecast::of(webhook.key.id, forecast, request));
    }
    let event = WouldBeEvent::of(event, process);
    shown(DryRunAnswer { event, webhooks: forecasts, next: None })
}

fn request(webhook: &Webhook, event: &Event) -> Option<WouldBeRequest> {
    let delivery = DeliveryId::derive(event.id, webhook.key.id, Cause::Published);
    let made = WebhookRequest::masked(webhook, &[(delivery, event)], (NOW, SpanId::new([7; 8])));
    WouldBeRequest::of(webhook, made.ok()?)
}
