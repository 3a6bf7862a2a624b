//! The history of a webhook.

use std::time::Duration;

use axum::{
    extract::{Path, Query as UrlQuery, State},
    http::StatusCode,
    response::Response,
};
use posthaste_api::{DeliveryAnswer, SentRequest};
use posthaste_domain::{
    Invalid, api_key::Scope, attempt::Status, event::Event, event_type::EventType, history::Waits,
    request::WebhookRequest, webhook::Webhook,
};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::Caller,
    keys::Keys,
    query::Query,
};
use posthaste_store::{Deliveries, DeliveryRecord, Events, History, Registry};

use crate::{
    events,
    history::{self, Reader},
    webhooks,
};

/// How long after a change an attempt may still be made with the settings of before: deliver reads them once in its 45 s.
const SETTLED: Duration = Duration::from_secs(60);
const NO_DELIVERY: ApiError = ApiError::NotFound("delivery with this id");

pub(crate) async fn list(
    caller: Caller,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    Path(id): Path<String>,
    UrlQuery(query): UrlQuery<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    caller.needs(Scope::WebhooksManage)?;
    let history = read(Query::new(query)?)?;
    let webhook = webhooks::find(&registry, &caller.workspace, &id).await?;
    let reader = Reader { deliveries: &deliveries, events: &events, webhook: &webhook };
    Ok(success(StatusCode::OK, reader.page(&history).await?))
}

pub(crate) async fn show(
    caller: Caller,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    State(keys): State<Keys>,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    caller.needs(Scope::WebhooksManage)?;
    let webhook = webhooks::find(&registry, &caller.workspace, &id).await?;
    let record = match find(&deliveries, &webhook, &delivery).await? {
        Found::Recorded(record) => record,
        Found::Waits(waits) => {
            let reader = Reader { deliveries: &deliveries, events: &events, webhook: &webhook };
            return Ok(success(StatusCode::OK, reader.waiting(waits).await?.ok_or(NO_DELIVERY)?));
        }
    };
    let request = if is_as_sent(&webhook, &record) {
        let webhook = webhooks::opened(&keys, webhook).await?;
        let event = events::find(&events, &caller.workspace, record.event_id).await?;
        event.map(|event| request(&webhook, &record, &event)).transpose()?.flatten()
    } else {
        None
    };
    Ok(success(StatusCode::OK, DeliveryAnswer { request, ..answer(record) }))
}

/// A delivery, and where it was found.
pub(crate) enum Found {
    /// It has a record.
    Recorded(DeliveryRecord),
    /// It waits in the webhook's backlog.
    Waits(Waits),
}

/// The delivery with this id, if it is the webhook's and was tried, or waits.
pub(crate) async fn find(deliveries: &Deliveries, webhook: &Webhook, id: &str) -> Result<Found, ApiError> {
    let id = id.parse().map_err(|_| NO_DELIVERY)?;
    if let Some(record) = deliveries.delivery(&webhook.workspace, webhook.id, id).await? {
        return Ok(Found::Recorded(record));
    }
    if let Some(waits) = history::find_waiting(deliveries, webhook, id).await? {
        return Ok(Found::Waits(waits));
    }
    // It may have gone out between the two looks.
    deliveries.delivery(&webhook.workspace, webhook.id, id).await?.map(Found::Recorded).ok_or(NO_DELIVERY)
}

/// Whether a request that is made now, for the last attempt's time, is the one that was sent: the settings are those of then, and no
/// other delivery can have been in it.
fn is_as_sent(webhook: &Webhook, record: &DeliveryRecord) -> bool {
    let Some(attempt) = record.attempts.last() else { return false };
    let Webhook { created_at, updated_at, .. } = webhook;
    (updated_at == created_at || *updated_at + SETTLED <= attempt.at) && !webhook.format().batches()
}

fn request(webhook: &Webhook, record: &DeliveryRecord, event: &Event) -> Result<Option<SentRequest>, ApiError> {
    let Some(attempt) = record.attempts.last() else { return Ok(None) };
    let made = WebhookRequest::unsigned(webhook, &[(record.id, event)], None, attempt.at)?;
    let url = webhook.settings.url.text();
    let headers = made.headers.into_iter().collect();
    Ok(String::from_utf8(made.body).ok().map(|body| SentRequest { url, headers, body }))
}

pub(crate) fn answer(record: DeliveryRecord) -> DeliveryAnswer {
    DeliveryAnswer {
        id: record.id,
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

fn read(mut query: Query) -> Result<History, Invalid> {
    let unknown =
        |name: &str, known: &str| Invalid::field(name, "invalid_parameter", format!("{name} has to be {known}"));
    let status: Option<String> = query.optional("status", "a text")?;
    let status = status.map(|name| {
        Status::by_name(&name)
            .ok_or_else(|| unknown("status", &format!("one of {}", Status::ALL.map(Status::name).join(", "))))
    });
    let event_type: Option<String> = query.optional("event_type", "an event type")?;
    let event_type = event_type.map(|name| EventType::parse(name).map_err(|_| unknown("event_type", "an event type")));
    let history = History {
        limit: query.limit()?,
        before: query.optional("cursor", "the next of an earlier answer")?,
        status: status.transpose()?,
        event_type: event_type.transpose()?,
        since: query.time("since")?,
        until: query.time("until")?,
    };
    query.finish()?;
    Ok(history)
}

#[cfg(test)]
mod tests {
    use posthaste_domain::{
        Timestamp,
        attempt::Attempt,
        headers::Headers,
        id::{CauseKind, WebhookId},
        rotation::Secrets,
        secret::Sealed,
        url::{PublicUrl, UrlPolicy},
        webhook::Registration,
        workspace::Workspace,
    };

    use super::*;

    fn parsed(pairs: &[(&str, &str)]) -> Result<History, Invalid> {
        read(Query::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())?)
    }

    fn webhook(profile: &str, updated_at: i64) -> Webhook {
        let body =
            serde_json::json!({ "url": "https://example.com/", "events": ["*"], "profile": profile }).to_string();
        Webhook {
            id: WebhookId(42),
            workspace: Workspace::parse("acme").unwrap(),
            settings: Registration::parse(body.as_bytes(), &UrlPolicy::default()).unwrap().settings,
            secrets: Secrets::new(Sealed(String::new())),
            headers: Headers::default(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::from_second(updated_at).unwrap(),
            health: Default::default(),
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
        }
    }

    #[test]
    fn a_request_is_shown_only_where_it_can_not_be_another_one() {
        assert!(is_as_sent(&webhook("standard", 0), &record(&[0])), "the settings have never changed");
        assert!(is_as_sent(&webhook("standard", 10), &record(&[5, 70])), "that of the last attempt");
        assert!(!is_as_sent(&webhook("standard", 10), &record(&[5])), "the settings have changed since");
        assert!(!is_as_sent(&webhook("standard", 10), &record(&[69])), "it may have been on its way by then");
        assert!(!is_as_sent(&webhook("spektr", 0), &record(&[15])), "others may have been in it");
        assert!(!is_as_sent(&webhook("standard", 0), &record(&[])), "nothing was sent");
    }

    #[test]
    fn every_filter_is_read() {
        let history = parsed(&[
            ("limit", "7"),
            ("status", "exhausted"),
            ("event_type", "order.created"),
            ("since", "2023-07-18T15:32:13Z"),
            ("until", "2023-07-19T00:00:00+02:00"),
            ("cursor", "018566ad-3f93-8f0b-9ed5-36f7ac81ef7b"),
        ]);
        let expected = History {
            limit: 7,
            before: "018566ad-3f93-8f0b-9ed5-36f7ac81ef7b".parse().ok(),
            status: Some(Status::Exhausted),
            event_type: EventType::parse("order.created").ok(),
            since: "2023-07-18T15:32:13Z".parse().ok(),
            until: "2023-07-18T22:00:00Z".parse().ok(),
        };
        assert_eq!(history, Ok(expected));
        assert_eq!(parsed(&[]), Ok(History { limit: 50, ..History::default() }));
    }

    #[test]
    fn a_filter_that_can_not_be_read_is_named() {
        for (name, value) in [
            ("status", "failed"),
            ("event_type", "a b"),
            ("since", "yesterday"),
            ("until", "1"),
            ("cursor", "x"),
            ("limit", "0"),
            ("page", "2"),
        ] {
            assert_eq!(parsed(&[(name, value)]).unwrap_err().field.as_deref(), Some(name));
        }
    }
}
