//! The history of a webhook.

use axum::{extract::State, http::StatusCode, response::Response};
use posthaste_api::{DeliveryAnswer, ListDeliveries, WantedDeliveries};
use posthaste_domain::{
    delivery::{attempt::Attempt, history::Waits},
    id::DeliveryId,
    input::Page,
    webhook::Webhook,
};
use posthaste_runtime::{
    api::{ApiError, success},
    keys::Keys,
    query::Query,
};
use posthaste_store::{Deliveries, DeliveryRecord, Events, History, Registry};

use crate::{
    history::{self, Reader},
    path::{InPath, KnownWebhook, Named, NamedWebhook},
    sent::Archive,
};

pub(crate) async fn list(
    named: NamedWebhook,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    Query(asked): Query<ListDeliveries>,
) -> Result<Response, ApiError> {
    let KnownWebhook { webhook, removed_at } = named.known(&registry).await?;
    let ListDeliveries { page: Page { limit, after: before }, wanted } = asked;
    let history = History { before, ..history_of(limit, wanted) };
    let is_removed = removed_at.is_some();
    let reader = Reader { deliveries: &deliveries, events: &events, webhook: &webhook, is_removed };
    let mut page = reader.page(&history).await?;
    for delivery in &mut page.items {
        delivery.webhook_removed_at = removed_at;
    }
    Ok(success(StatusCode::OK, page))
}

pub(crate) async fn show(
    named: NamedWebhook,
    Named(id): Named<DeliveryId>,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    State(keys): State<Keys>,
) -> Result<Response, ApiError> {
    let KnownWebhook { webhook, removed_at } = named.known(&registry).await?;
    let is_removed = removed_at.is_some();
    let reader = Reader { deliveries: &deliveries, events: &events, webhook: &webhook, is_removed };
    let record = match find(&deliveries, &webhook, id, is_removed).await? {
        Some(Found::Recorded(record)) => record,
        found => {
            let waiting = match found {
                Some(Found::Waits(waits)) => reader.waiting(waits).await?,
                _ => reader.on_the_way(id).await?,
            };
            let waiting = waiting.ok_or(DeliveryId::MISSING)?;
            let answer = DeliveryAnswer { webhook_removed_at: removed_at, ..waiting };
            return Ok(success(StatusCode::OK, answer));
        }
    };
    let archive = Archive {
        registry: &registry,
        events: &events,
        deliveries: &deliveries,
        keys: &keys,
        webhook: &webhook,
    };
    let (request, request_missing) = match record.attempts.last() {
        None => (None, None),
        Some(attempt) => match archive.request(&record, attempt).await? {
            Ok(request) => (Some(request), None),
            Err(missing) => (None, Some(missing)),
        },
    };
    let webhook_removed_at = removed_at;
    let answer = DeliveryAnswer { request, request_missing, webhook_removed_at, ..answer(*record) };
    Ok(success(StatusCode::OK, answer))
}

/// The question to the records that a list of deliveries is.
pub(crate) fn history_of(limit: u16, wanted: WantedDeliveries) -> History {
    let WantedDeliveries { status, http_status, event_type, event, since, until } = wanted;
    // Nothing happens to a delivery before its event is accepted.
    let since = since.max(event.map(|event| event.time()));
    History { limit, before: None, status, http_status, event_type, event, since, until }
}

/// A delivery, and where it was found.
pub(crate) enum Found {
    /// It has a record.
    Recorded(Box<DeliveryRecord>),
    /// It waits in the webhook's backlog.
    Waits(Waits),
}

/// The delivery with this id, if it is the webhook's and was tried, or waits in its backlog. Nothing
/// waits for a removed webhook.
pub(crate) async fn find(
    deliveries: &Deliveries,
    webhook: &Webhook,
    id: DeliveryId,
    is_removed: bool,
) -> Result<Option<Found>, ApiError> {
    if let Some(record) = deliveries.records.get(&webhook.key, id).await? {
        return Ok(Some(Found::Recorded(Box::new(record))));
    }
    if is_removed {
        return Ok(None);
    }
    if let Some(waits) = history::find_waiting(deliveries, webhook, id).await? {
        return Ok(Some(Found::Waits(waits)));
    }
    // It may have gone out between the two looks.
    let record = deliveries.records.get(&webhook.key, id).await?;
    Ok(record.map(|record| Found::Recorded(Box::new(record))))
}

pub(crate) fn answer(record: DeliveryRecord) -> DeliveryAnswer {
    DeliveryAnswer {
        id: record.id,
        webhook_id: record.webhook,
        event_id: record.event_id,
        event_type: record.event_type,
        cause: record.cause,
        status: record.status,
        http_status: record.http_status,
        response_body: record.response_body,
        response_body_encoding: record.attempts.last().and_then(|last| last.response_body_encoding),
        error: record.error,
        attempts: record.attempts.into_iter().map(Attempt::answer).collect(),
        attempt_count: record.attempt_count,
        waiting: None,
        created_at: record.id.time(),
        updated_at: record.updated_at,
        request: None,
        request_missing: None,
        webhook_removed_at: None,
    }
}
