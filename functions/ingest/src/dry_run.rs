//! `POST /api/v1/events?dry_run=true`: what publishing an event would do, without doing it.
//!
//! The event is checked as one that is published. Then the webhooks of a page are looked at with
//! the eyes of fan-out and of `deliver`: [`posthaste_domain::fanout::forecast`]. Nothing is written
//! but the count of the call itself.

use std::collections::HashMap;

use posthaste_api::{DryRunAnswer, WebhookForecast, WouldBeEvent, WouldBeRequest};
use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    delivery::request::WebhookRequest,
    endpoint::lane::Lane,
    event::{
        Call, Event, Published,
        event_type::EventType,
        process::{OfProcess, Process},
    },
    fanout::forecast::{self, Facts, Forecast},
    id::{Cause, DeliveryId, EventId, WebhookId},
    input::Page,
    trace::SpanId,
    webhook::{Webhook, key::WebhookKey},
};
use posthaste_runtime::{
    api::{ApiError, success},
    clock, random,
};
use posthaste_store::{Deliveries, RunClue};

use axum::{http::StatusCode, response::Response};

use crate::{State, publish};

/// A page has no further webhooks when its requests have so many bytes together. In the answer each
/// byte of a body can take four, because a body is a text within JSON, and JSON again in what
/// Lambda hands back: 6 MiB at most.
const MAX_REQUEST_BYTES: usize = 1024 * 1024;

pub(crate) async fn answer(
    state: &State,
    workspace: &Workspace,
    call: Call,
    published: Published,
    page: Page<WebhookId>,
) -> Result<Response, ApiError> {
    published.check_dry_run()?;
    let (published, checked) =
        publish::check(&state.registry, &state.checks, workspace, published).await?;
    checked?;
    let now = clock::now();
    // Nobody gets this id: it shows where the id of the event will be.
    let id = EventId::new(now, &[0; 10]);
    let event = published.accept(&[id], workspace, call, now).pop().ok_or(ApiError::Internal)?;
    let process = completed(&state.deliveries, &event).await?;
    let of_process = OfProcess { event, process };
    let page = state.registry.webhooks.page(workspace, page.limit, page.after).await?;
    let known = Known::of(&state.deliveries, &page.items, &of_process).await?;
    let held_until = now + state.hold_deadline;
    let (webhooks, next) = forecasts(page.items, &known, &of_process, (now, held_until))?;
    let OfProcess { event, process } = of_process;
    let next = next.or(page.next).map(|id| id.to_string());
    let event = WouldBeEvent::of(event, process);
    Ok(success(StatusCode::OK, DryRunAnswer { event, webhooks, next }))
}

/// The process of an event, with what fan-out would find out about it.
async fn completed(deliveries: &Deliveries, event: &Event) -> Result<Process, ApiError> {
    let process = Process::of(event);
    let subject = event.subject.as_deref();
    let clues = process.clues(subject);
    if clues.is_empty() {
        return Ok(process);
    }
    let workspace = &event.workspace;
    let clues = clues.into_iter().map(|clue| RunClue { workspace: workspace.clone(), clue });
    let found = deliveries.runs.known(clues).await;
    if !found.unread.is_empty() {
        return Err(ApiError::Internal);
    }
    let known: HashMap<_, _> =
        found.items.into_iter().map(|(RunClue { clue, .. }, started)| (clue, started)).collect();
    Ok(process.completed(subject, &known))
}

/// The state of the webhooks of a page.
struct Known {
    lanes: HashMap<WebhookKey, Lane>,
    /// Those that know the end of the event's run.
    ended: HashMap<WebhookKey, ()>,
}

impl Known {
    async fn of(
        deliveries: &Deliveries,
        webhooks: &[Webhook],
        of_process: &OfProcess,
    ) -> Result<Self, ApiError> {
        let OfProcess { event, process } = of_process;
        let keys: Vec<WebhookKey> = webhooks.iter().map(|webhook| webhook.key.clone()).collect();
        let holding = webhooks.iter().filter(|webhook| holds(webhook, &event.event_type, process));
        let holding: Vec<WebhookKey> = holding.map(|webhook| webhook.key.clone()).collect();
        let context = process.context_id.as_deref().unwrap_or_default();
        let (lanes, ended) =
            tokio::join!(deliveries.lanes.get_all(&keys), deliveries.holds.ended(holding, context));
        if !lanes.unread.is_empty() || !ended.unread.is_empty() {
            return Err(ApiError::Internal);
        }
        Ok(Self { lanes: lanes.items, ended: ended.items })
    }
}

fn holds(webhook: &Webhook, event_type: &EventType, process: &Process) -> bool {
    forecast::held_for(webhook, event_type, process).is_some()
}

/// The forecasts for these webhooks, and the last one of them where they do not all fit into the
/// answer.
fn forecasts(
    webhooks: Vec<Webhook>,
    known: &Known,
    of_process: &OfProcess,
    (now, held_until): (Timestamp, Timestamp),
) -> Result<(Vec<WebhookForecast>, Option<WebhookId>), ApiError> {
    let OfProcess { event, process } = of_process;
    let closed = Lane::default();
    let mut forecasts = Vec::new();
    let mut bytes = 0;
    let mut webhooks = webhooks.into_iter();
    while let Some(webhook) = webhooks.next() {
        let facts = Facts {
            event_type: &event.event_type,
            process,
            run_has_ended: known.ended.contains_key(&webhook.key),
            held_until,
            lane: known.lanes.get(&webhook.key).unwrap_or(&closed),
            now,
        };
        let forecast = Forecast::of(&webhook, &facts);
        let request =
            forecast.outcome.sends().then(|| request(&webhook, event, now)).transpose()?;
        bytes += request.as_ref().map_or(0, |request| request.body.len());
        forecasts.push(WebhookForecast::of(webhook.key.id, forecast, request));
        if bytes >= MAX_REQUEST_BYTES && !webhooks.as_slice().is_empty() {
            return Ok((forecasts, Some(webhook.key.id)));
        }
    }
    Ok((forecasts, None))
}

/// The request that would be made now.
fn request(webhook: &Webhook, event: &Event, now: Timestamp) -> Result<WouldBeRequest, ApiError> {
    let delivery = DeliveryId::derive(event.id, webhook.key.id, Cause::Published);
    let span = SpanId::new(random::bytes()?);
    let request = WebhookRequest::masked(webhook, &[(delivery, event)], (now, span))?;
    WouldBeRequest::of(webhook, request).ok_or(ApiError::Internal)
}
