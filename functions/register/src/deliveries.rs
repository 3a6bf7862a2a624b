//! The history of a webhook.

use std::time::Duration;

use axum::{extract::State, http::StatusCode, response::Response};
use posthaste_api::{DeliveryAnswer, ListDeliveries, SentRequest, WantedDeliveries};
use posthaste_domain::{
    delivery::{history::Waits, request::WebhookRequest},
    event::Event,
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
    events,
    history::{self, Reader},
    path::{InPath, Named, NamedWebhook},
    webhooks,
};

/// The time after a change in which an attempt may still be made with the settings of before:
/// deliver reads them once in its 45 s.
const SETTLED: Duration = Duration::from_secs(60);

pub(crate) async fn list(
    named: NamedWebhook,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    Query(asked): Query<ListDeliveries>,
) -> Result<Response, ApiError> {
    let webhook = named.read(&registry).await?;
    let ListDeliveries { page: Page { limit, after: before }, wanted } = asked;
    let history = History { before, ..history_of(limit, wanted) };
    let reader = Reader { deliveries: &deliveries, events: &events, webhook: &webhook };
    Ok(success(StatusCode::OK, reader.page(&history).await?))
}

pub(crate) async fn show(
    named: NamedWebhook,
    Named(id): Named<DeliveryId>,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    State(keys): State<Keys>,
) -> Result<Response, ApiError> {
    let webhook = named.read(&registry).await?;
    let record = match find(&deliveries, &webhook, id).await? {
        Found::Recorded(record) => record,
        Found::Waits(waits) => {
            let reader = Reader { deliveries: &deliveries, events: &events, webhook: &webhook };
            return Ok(success(
                StatusCode::OK,
                reader.waiting(waits).await?.ok_or(DeliveryId::MISSING)?,
            ));
        }
    };
    let request = if is_as_sent(&webhook, &record) {
        let webhook = webhooks::opened(&keys, webhook).await?;
        let event = events::find(&events, &webhook.key.workspace, record.event_id).await?;
        event.map(|event| request(&webhook, &record, &event)).transpose()?.flatten()
    } else {
        None
    };
    Ok(success(StatusCode::OK, DeliveryAnswer { request, ..answer(record) }))
}

/// The question to the records that a list of deliveries is.
pub(crate) fn history_of(limit: u16, wanted: WantedDeliveries) -> History {
    let WantedDeliveries { status, http_status, event_type, event, since, until } = wanted;
    History { limit, before: None, status, http_status, event_type, event, since, until }
}

/// A delivery, and where it was found.
pub(crate) enum Found {
    /// It has a record.
    Recorded(DeliveryRecord),
    /// It waits in the webhook's backlog.
    Waits(Waits),
}

/// The delivery with this id, if it is the webhook's and was tried, or waits.
pub(crate) async fn find(
    deliveries: &Deliveries,
    webhook: &Webhook,
    id: DeliveryId,
) -> Result<Found, ApiError> {
    if let Some(record) = deliveries.records.get(&webhook.key, id).await? {
        return Ok(Found::Recorded(record));
    }
    if let Some(waits) = history::find_waiting(deliveries, webhook, id).await? {
        return Ok(Found::Waits(waits));
    }
    // It may have gone out between the two looks.
    deliveries.records.get(&webhook.key, id).await?.map(Found::Recorded).ok_or(DeliveryId::MISSING)
}

/// Returns whether a request that is made now, for the last attempt's time, is the one that was
/// sent: the settings are those of then, and no other delivery can have been in it.
fn is_as_sent(webhook: &Webhook, record: &DeliveryRecord) -> bool {
    let Some(attempt) = record.attempts.last() else { return false };
    let Webhook { created_at, updated_at, .. } = webhook;
    (updated_at == created_at || *updated_at + SETTLED <= attempt.at) && !webhook.batches()
}

fn request(
    webhook: &Webhook,
    record: &DeliveryRecord,
    event: &Event,
) -> Result<Option<SentRequest>, ApiError> {
    let Some(attempt) = record.attempts.last() else { return Ok(None) };
    let made = WebhookRequest::unsigned(webhook, &[(record.id, event)], None, attempt.at)?;
    let url = webhook.settings.url.text();
    let headers = made.headers.into_iter().collect();
    Ok(String::from_utf8(made.body).ok().map(|body| SentRequest { url, headers, body }))
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
        attempts: record.attempts,
        attempt_count: record.attempt_count,
        waiting: None,
        created_at: record.id.time(),
        updated_at: record.updated_at,
        request: None,
    }
}

#[cfg(test)]
mod tests {
    use posthaste_domain::{
        Timestamp,
        delivery::attempt::{Attempt, Status},
        endpoint::url::{PublicUrl, UrlPolicy},
        event::event_type::EventType,
        id::{CauseKind, WebhookId},
    };

    use posthaste_domain::testing;

    use super::*;

    fn webhook(profile: &str, updated_at: i64) -> Webhook {
        Webhook {
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::from_second(updated_at).unwrap(),
            ..testing::webhook(serde_json::json!({ "profile": profile }))
        }
    }

    fn record(attempts: &[i64]) -> DeliveryRecord {
        let attempt = |second: &i64| {
            let at = Timestamp::from_second(*second).unwrap();
            let url = PublicUrl::parse("https://example.com/", &UrlPolicy::default()).unwrap();
            Attempt::answered(&webhook("standard", 0), &url, at, Duration::ZERO, 500, b"")
        };
        DeliveryRecord {
            id: "018566ad-3f93-8f0b-9ed5-36f7ac81ef7b".parse().unwrap(),
            webhook: WebhookId(42),
            event_id: "018566ad-3f93-7f0b-9ed5-36f7ac81ef7b".parse().unwrap(),
            event_type: EventType::parse("order.created").unwrap(),
            cause: CauseKind::Published,
            status: Status::Exhausted,
            attempts: attempts.iter().map(attempt).collect(),
            attempt_count: 0,
            http_status: None,
            response_body: None,
            error: None,
            bytes: 0,
            updated_at: Timestamp::UNIX_EPOCH,
            late_place: None,
        }
    }

    #[test]
    fn a_request_is_shown_only_where_it_can_not_be_another_one() {
        assert!(
            is_as_sent(&webhook("standard", 0), &record(&[0])),
            "the settings have never changed"
        );
        assert!(
            is_as_sent(&webhook("standard", 10), &record(&[5, 70])),
            "that of the last attempt"
        );
        assert!(
            !is_as_sent(&webhook("standard", 10), &record(&[5])),
            "the settings have changed since"
        );
        assert!(
            !is_as_sent(&webhook("standard", 10), &record(&[69])),
            "it may have been on its way by then"
        );
        assert!(!is_as_sent(&webhook("spektr", 0), &record(&[15])), "others may have been in it");
        assert!(!is_as_sent(&webhook("standard", 0), &record(&[])), "nothing was sent");
    }
}
