//! The answers in the examples of `/api/v1/webhooks`, made by the code that answers.

use std::time::Duration;

use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::{Attempt, Failure, Status},
        history::{Waits, Why},
    },
    endpoint::{
        health::Health,
        lane::{Lane, Phase, Reason},
        url::UrlPolicy,
    },
    event::Event,
    id::{Cause, CauseKind, DeliveryId, WebhookId},
    webhook::{ChangeRequest, Webhook, profile::Profile},
};
use serde_json::{Value, json};

use crate::{
    DeliveryAnswer, WebhookAnswer,
    openapi::example::{self, NOW, shown},
};

pub(super) fn registered(body: &Value) -> Option<Value> {
    let webhook = example::webhook(42, body)?;
    shown(WebhookAnswer::of(&webhook, &Lane::default(), NOW).with_secret(&example::secret()))
}

pub(super) fn warned() -> Option<Value> {
    let webhook = example::webhook(42, &example::of_unknown_types())?;
    let warnings = example::warnings(&webhook.settings);
    let answer = WebhookAnswer::of(&webhook, &Lane::default(), NOW);
    shown(answer.with_secret(&example::secret()).with_warnings(warnings))
}

pub(super) fn rotated() -> Option<Value> {
    let webhook = example::webhook(42, &example::spectra())?;
    let secrets =
        webhook.secrets.clone().rotate(example::sealed(), NOW, Duration::from_secs(3600)).ok()?;
    let rotated = Webhook { secrets, ..webhook };
    shown(WebhookAnswer::of(&rotated, &Lane::default(), NOW).with_secret(&example::secret()))
}

pub(super) fn answered(body: &Value, lane: &Lane) -> Option<Value> {
    shown(WebhookAnswer::of(&example::webhook(42, body)?, lane, NOW))
}

pub(super) fn timing_out() -> Option<Value> {
    let failing_since = Some(Timestamp::constant(NOW.as_second() - 21, 0));
    let health =
        Health { failing_since, last_failure_at: Some(NOW), failures: 5, ..Health::default() };
    let webhook = Webhook { health, ..example::webhook(42, &example::spectra())? };
    shown(WebhookAnswer::of(&webhook, &sick(), NOW))
}

/// The lane of an endpoint that has timed out five times.
fn sick() -> Lane {
    let sick_until = Some(Timestamp::constant(NOW.as_second() + 30, 0));
    Lane { phase: Some(Phase::Held), reason: Some(Reason::Sick), sick_until, ..Lane::default() }
}

pub(super) fn changed(body: &Value) -> Option<Value> {
    let webhook = example::webhook(42, &example::spektr())?;
    let body = body.to_string();
    let settings = ChangeRequest::parse(body.as_bytes(), &UrlPolicy::default())
        .and_then(|request| request.applied_to(&webhook.settings, Profile::default()))
        .ok()?
        .settings;
    let updated_at = Timestamp::constant(NOW.as_second() + 3600, 0);
    shown(WebhookAnswer::of(
        &Webhook { settings, updated_at, ..webhook },
        &Lane::default(),
        updated_at,
    ))
}

/// One delivery that waits, one that never got an answer, and one that got through at the second
/// attempt.
pub(in crate::openapi) fn history() -> Option<Value> {
    let mut items = deliveries_of_two_events()?;
    items.push(waiting()?);
    items.reverse();
    example::list(items)
}

/// A delivery that waits behind an endpoint that times out.
pub(in crate::openapi) fn waiting() -> Option<DeliveryAnswer> {
    let event = published().pop()?;
    let waits = Waits { since: NOW, why: Why::Webhook, ..Waits::queued(WebhookId(42), event.id) };
    Some(DeliveryAnswer::waiting(WebhookId(42), waits, event.event_type, &sick(), NOW))
}

/// Two that were attempted, oldest first.
pub(in crate::openapi) fn deliveries_of_two_events() -> Option<Vec<DeliveryAnswer>> {
    let webhook = example::webhook(42, &example::spectra())?;
    let url = example::url(&webhook)?;
    let failed = Attempt::answered(
        &webhook,
        url,
        NOW,
        Duration::from_millis(310),
        503,
        b"Service Unavailable",
    );
    let retried_at = Timestamp::constant(NOW.as_second() + 1, 0);
    let done = Attempt::answered(&webhook, url, retried_at, Duration::from_millis(84), 200, b"");
    let message = "the endpoint did not answer in time".to_owned();
    let silent = Attempt::unanswered(
        &webhook,
        NOW,
        Duration::from_secs(5),
        Failure { code: "timeout".to_owned(), message },
    );
    let deliveries = [(Status::Succeeded, vec![failed, done]), (Status::Pending, vec![silent])];
    let items =
        published().into_iter().zip(deliveries).filter_map(|(event, (status, attempts))| {
            let last = attempts.last()?;
            Some(DeliveryAnswer {
                id: DeliveryId::derive(event.id, webhook.key.id, Cause::Published),
                webhook_id: webhook.key.id,
                event_id: event.id,
                event_type: event.event_type,
                cause: CauseKind::Published,
                status,
                http_status: last.http_status,
                response_body: last.response_body.clone(),
                response_body_encoding: last.response_body_encoding,
                error: last.error.clone(),
                waiting: None,
                created_at: event.id.time(),
                updated_at: last.at,
                attempt_count: attempts.len().try_into().unwrap_or(u32::MAX),
                attempts: attempts.into_iter().map(Attempt::answer).collect(),
                request: None,
                request_missing: None,
                webhook_removed_at: None,
            })
        });
    Some(items.collect())
}

fn published() -> Vec<Event> {
    example::events(&json!({ "events": [
        { "type": "order.created", "data": { "id": "ord_1" } },
        { "type": "order.shipped", "data": { "id": "ord_1" } },
        { "type": "inventory.sold", "data": { "id": "inv_1" } }
    ] }))
}
