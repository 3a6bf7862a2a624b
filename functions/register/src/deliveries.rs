//! The history of a webhook.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, Query as UrlQuery, State},
    http::StatusCode,
    response::Response,
};
use posthaste_api::{DeliveryAnswer, List};
use posthaste_domain::{Invalid, api_key::Scope, attempt::Status, event_type::EventType};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::Caller,
    query::Query,
};
use posthaste_store::{Deliveries, DeliveryRecord, History, Registry};

use crate::webhooks;

pub(crate) async fn list(
    caller: Caller,
    State(registry): State<Registry>,
    State(deliveries): State<Deliveries>,
    Path(id): Path<String>,
    UrlQuery(query): UrlQuery<BTreeMap<String, String>>,
) -> Result<Response, ApiError> {
    caller.needs(Scope::WebhooksManage)?;
    let history = read(Query::new(query))?;
    let webhook = webhooks::find(&registry, &caller.workspace, &id).await?;
    let page = deliveries.history(&caller.workspace, webhook.id, &history).await?;
    let items = page.items.into_iter().map(answer).collect();
    Ok(success(StatusCode::OK, List { items, next: page.next.map(|id| id.to_string()) }))
}

fn answer(record: DeliveryRecord) -> DeliveryAnswer {
    DeliveryAnswer {
        id: record.id,
        event_id: record.event_id,
        event_type: record.event_type,
        status: record.status,
        http_status: record.http_status,
        response_body: record.response_body,
        response_body_encoding: record.attempts.last().and_then(|last| last.response_body_encoding),
        error: record.error,
        attempts: record.attempts,
        created_at: record.id.time(),
        updated_at: record.updated_at,
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
        since: query.optional("since", "an RFC 3339 time")?,
        until: query.optional("until", "an RFC 3339 time")?,
    };
    query.finish()?;
    Ok(history)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(pairs: &[(&str, &str)]) -> Result<History, Invalid> {
        read(Query::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()))
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
