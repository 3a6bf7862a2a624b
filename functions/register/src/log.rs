//! The deliveries of all webhooks of a workspace, and those of one event. How the two sources of
//! the list are put together is decided in [`posthaste_domain::delivery::log`]; the first of them is
//! read in [`crate::owed`].

use axum::{extract::State, http::StatusCode, response::Response};
use posthaste_api::{DeliveryAnswer, List, ListAllDeliveries, ListEventDeliveries};
use posthaste_domain::{
    Timestamp,
    delivery::log::{self, Cursor, Part},
    id::{DeliveryId, EventId, WebhookId},
    input::Page,
};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::{Allowed, scope::WebhooksManage},
    query::Query,
};
use posthaste_store::{Deliveries, Events, History, Listed, Registry};

use crate::{
    deliveries::{answer, history_of},
    owed::{Owing, Shown},
    path::{InPath, Named},
};

pub(crate) async fn list(
    caller: Allowed<WebhooksManage>,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    Query(asked): Query<ListAllDeliveries>,
) -> Result<Response, ApiError> {
    let ListAllDeliveries { page: Page { limit, after }, wanted } = asked;
    let history = history_of(limit, wanted);
    let before = after.unwrap_or_default();
    let owing = Owing {
        registry: &registry,
        events: &events,
        deliveries: &deliveries,
        workspace: &caller.workspace,
        asked: &history,
        shown: Shown::Prompt,
    };
    let late = History { before: before.late, ..from_event(&history) };
    let (owed, late) = tokio::try_join!(owing.part(before.owed), async {
        Ok(deliveries.records.late(&caller.workspace, &late).await?)
    })?;
    let merged = log::merge(usize::from(limit), before, owed, part_of(late));
    let next = merged.next.map(|next: Cursor| next.to_string());
    Ok(success(StatusCode::OK, List { items: merged.rows, next }))
}

pub(crate) async fn of_event(
    caller: Allowed<WebhooksManage>,
    Named(id): Named<EventId>,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    Query(asked): Query<ListEventDeliveries>,
) -> Result<Response, ApiError> {
    let ListEventDeliveries { page: Page { limit, after } } = asked;
    if events.fanned_out(&caller.workspace, id).await?.is_none() {
        return Err(EventId::MISSING);
    }
    let history = History { limit, event: Some(id), ..History::default() };
    let owing = Owing {
        registry: &registry,
        events: &events,
        deliveries: &deliveries,
        workspace: &caller.workspace,
        asked: &history,
        shown: Shown::All,
    };
    let from = after.unwrap_or(WebhookId(0));
    let Part { mut rows, up_to } = owing.part(Some((id, from))).await?;
    let is_cut = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    let last = rows.last().map(|((_, webhook), ..)| *webhook);
    let next = if is_cut { last } else { up_to.map(|((_, webhook), _)| webhook) };
    let items: Vec<DeliveryAnswer> = rows.into_iter().map(|(.., answer)| answer).collect();
    Ok(success(StatusCode::OK, List { items, next: next.map(|webhook| webhook.to_string()) }))
}

/// Nothing happens to a delivery before its event is accepted.
fn from_event(history: &History) -> History {
    let accepted = history.event.map(|event| event.time());
    History { since: history.since.max(accepted), ..history.clone() }
}

/// The second source: what was active late, by its places.
fn part_of(page: posthaste_store::Page<Listed, DeliveryId>) -> Part<DeliveryId, DeliveryAnswer> {
    let mut rows: Vec<(DeliveryId, Timestamp, DeliveryAnswer)> = Vec::new();
    for listed in page.items {
        let place = listed.place();
        // What waits for the end of a run is in the first source.
        if let Listed::Recorded(record) = listed {
            rows.push((place, place.time(), answer(*record)));
        }
    }
    Part { rows, up_to: page.next.map(|place| (place, place.time())) }
}
