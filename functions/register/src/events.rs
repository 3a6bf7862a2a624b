//! What was published, for reconciliation: events by time, type and subject, each with whether it has been delivered.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, Query as UrlQuery, State},
    http::StatusCode,
    response::Response,
};
use posthaste_api::{EventAnswer, List};
use posthaste_domain::{
    Invalid,
    api_key::Scope,
    attempt::{self, Status},
    event::Event,
    event_type::EventType,
    id::{Cause, DeliveryId, EventId, WebhookId},
    webhook::Webhook,
    workspace::Workspace,
};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::Caller,
    query::Query,
};
use posthaste_store::{Deliveries, EventQuery, Events, Registry};

/// How many deliveries may be looked up for one page.
const MAX_LOOKUPS: usize = 5000;
const NO_EVENT: ApiError = ApiError::NotFound("event with this id");

pub(crate) async fn list(
    caller: Caller,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    UrlQuery(query): UrlQuery<BTreeMap<String, String>>,
) -> Result<Response, ApiError> {
    caller.needs(Scope::EventsRead)?;
    let query = read(Query::new(query))?;
    let page = events.list(&caller.workspace, &query).await?;
    let webhooks = registry.webhooks(&caller.workspace).await?;
    let (shown, cut) = bounded(page.items, &webhooks.webhooks);
    let next = if cut { shown.last().map(|(event, _)| event.id) } else { page.next };
    let items = with_delivered(&deliveries, &caller.workspace, shown, !webhooks.unreadable.is_empty()).await?;
    Ok(success(StatusCode::OK, List { items, next: next.map(|id| id.to_string()) }))
}

pub(crate) async fn show(
    caller: Caller,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    caller.needs(Scope::EventsRead)?;
    let id: EventId = id.parse().map_err(|_| NO_EVENT)?;
    let key = (caller.workspace.clone(), id);
    let mut found = events.get([key.clone()]).await;
    if found.unread.contains(&key) {
        return Err(ApiError::Internal);
    }
    let event = found.items.remove(&key).ok_or(NO_EVENT)?;
    let webhooks = registry.webhooks(&caller.workspace).await?;
    let (shown, _) = bounded(vec![event], &webhooks.webhooks);
    let unreadable = !webhooks.unreadable.is_empty();
    let answer = with_delivered(&deliveries, &caller.workspace, shown, unreadable).await?.pop().ok_or(NO_EVENT)?;
    Ok(success(StatusCode::OK, answer))
}

/// An event, and the deliveries that it may be owed.
type Owed = (Event, Vec<Candidate>);

/// A delivery that exists if its webhook was there when the event was accepted. What has a record exists.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    webhook: WebhookId,
    delivery: DeliveryId,
    was_there: bool,
}

/// The first of these events, as many as can be looked up, and whether others were left out.
fn bounded(events: Vec<Event>, webhooks: &[Webhook]) -> (Vec<Owed>, bool) {
    let mut shown: Vec<Owed> = Vec::new();
    let mut lookups = 0;
    for event in events {
        let wanting = webhooks.iter().filter(|webhook| webhook.wants(&event));
        let candidate = |webhook: &Webhook| Candidate {
            webhook: webhook.id,
            delivery: DeliveryId::derive(event.id, webhook.id, Cause::Published),
            was_there: webhook.created_at <= event.id.time(),
        };
        let owed: Vec<Candidate> = wanting.map(candidate).collect();
        lookups += owed.len();
        if lookups > MAX_LOOKUPS && !shown.is_empty() {
            return (shown, true);
        }
        shown.push((event, owed));
    }
    (shown, false)
}

/// Where a webhook can't be read, nobody knows whether it was owed an event: true is not said then.
async fn with_delivered(
    deliveries: &Deliveries,
    workspace: &Workspace,
    events: Vec<Owed>,
    unreadable: bool,
) -> Result<Vec<EventAnswer>, ApiError> {
    let wanted = events.iter().flat_map(|(_, owed)| owed);
    let wanted: Vec<_> = wanted.map(|owed| (workspace.clone(), owed.webhook, owed.delivery)).collect();
    let progress = deliveries.progress(wanted).await;
    if !progress.unread.is_empty() {
        return Err(ApiError::Internal);
    }
    let status = |owed: &Candidate| -> Option<Option<Status>> {
        let status = progress.items.get(&owed.delivery).map(|progress| progress.status);
        (owed.was_there || status.is_some()).then_some(status)
    };
    let answer = |(event, owed): Owed| {
        let unknown = unreadable.then_some(None);
        EventAnswer::of(event, attempt::delivered(owed.iter().filter_map(status).chain(unknown)))
    };
    Ok(events.into_iter().map(answer).collect())
}

fn read(mut query: Query) -> Result<EventQuery, Invalid> {
    let has_to_be =
        |name: &str, shape: &str| Invalid::field(name, "invalid_parameter", format!("{name} has to be {shape}"));
    let event_type: Option<String> = query.optional("type", "an event type")?;
    let event_type = event_type.map(|name| EventType::parse(name).map_err(|_| has_to_be("type", "an event type")));
    let order: Option<String> = query.optional("order", "asc or desc")?;
    let descending = match order.as_deref() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => return Err(has_to_be("order", "asc or desc")),
    };
    let read = EventQuery {
        limit: query.limit()?,
        after: query.optional("cursor", "the next of an earlier answer")?,
        since: query.optional("since", "an RFC 3339 time")?,
        until: query.optional("until", "an RFC 3339 time")?,
        event_type: event_type.transpose()?,
        subject: query.optional("subject", "a text")?,
        descending,
    };
    query.finish()?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(pairs: &[(&str, &str)]) -> Result<EventQuery, Invalid> {
        read(Query::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()))
    }

    #[test]
    fn every_filter_is_read() {
        let query = parsed(&[
            ("limit", "7"),
            ("type", "order.created"),
            ("subject", "c-1"),
            ("since", "2023-07-18T15:32:13Z"),
            ("until", "2023-07-19T00:00:00+02:00"),
            ("cursor", "018566ad-3f93-7f0b-9ed5-36f7ac81ef7b"),
            ("order", "desc"),
        ]);
        let expected = EventQuery {
            limit: 7,
            after: "018566ad-3f93-7f0b-9ed5-36f7ac81ef7b".parse().ok(),
            since: "2023-07-18T15:32:13Z".parse().ok(),
            until: "2023-07-18T22:00:00Z".parse().ok(),
            event_type: EventType::parse("order.created").ok(),
            subject: Some("c-1".to_owned()),
            descending: true,
        };
        assert_eq!(query, Ok(expected));
        assert!(!parsed(&[("order", "asc")]).unwrap().descending);
    }

    #[test]
    fn a_filter_that_can_not_be_read_is_named() {
        for (name, value) in
            [("type", "a b"), ("order", "up"), ("since", "yesterday"), ("until", "1"), ("cursor", "x"), ("page", "2")]
        {
            assert_eq!(parsed(&[(name, value)]).unwrap_err().field.as_deref(), Some(name));
        }
    }
}
