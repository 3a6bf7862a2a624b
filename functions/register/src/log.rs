//! The deliveries of all webhooks of a workspace, and those of one event. How the two sources of
//! the list are put together is decided in [`posthaste_domain::delivery::log`]; the first of them is
//! read in [`crate::owed`].

use axum::{extract::State, http::StatusCode, response::Response};
use posthaste_api::{DeliveryAnswer, List, ListAllDeliveries, ListEventDeliveries};
use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::Status,
        log::{self, Cursor, Part},
    },
    id::{DeliveryId, EventId, WebhookId},
    input::Page,
};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::{Allowed, scope::WebhooksManage},
    query::Query,
};
use posthaste_store::{History, Listed};

use crate::{
    Shared,
    deliveries::{answer, history_of},
    owed::{Owing, Shown},
    path::{InPath, Named},
    room::Room,
};

pub(crate) async fn list(
    caller: Allowed<WebhooksManage>,
    State(tables): State<Shared>,
    Query(asked): Query<ListAllDeliveries>,
) -> Result<Response, ApiError> {
    let ListAllDeliveries { page: Page { limit, after }, wanted } = asked;
    let history = history_of(limit, wanted);
    let before = after.unwrap_or_default();
    let (workspace, asked) = (&caller.workspace, &history);
    // All that an event caused is found at once, whenever it was active.
    let shown = if history.event.is_some() { Shown::All } else { Shown::Prompt };
    let owing = Owing { tables: &tables, workspace, asked, shown };
    // No record says that its delivery has never been tried.
    let is_late_wanted = history.event.is_none() && history.status != Some(Status::Waiting);
    let (owed, late) = tokio::try_join!(owing.part(before.owed), async {
        if !is_late_wanted {
            return Ok(Part::default());
        }
        let late = History { before: before.late, ..history.clone() };
        Ok(part_of(tables.deliveries.records.late(workspace, &late).await?))
    })?;
    let merged = log::merge(usize::from(limit), before, owed, late);
    let next = merged.next.map(|next: Cursor| next.to_string());
    Ok(success(StatusCode::OK, List { items: merged.rows, next }))
}

pub(crate) async fn of_event(
    caller: Allowed<WebhooksManage>,
    Named(id): Named<EventId>,
    State(tables): State<Shared>,
    Query(asked): Query<ListEventDeliveries>,
) -> Result<Response, ApiError> {
    let ListEventDeliveries { page: Page { limit, after } } = asked;
    let workspace = &caller.workspace;
    if tables.events.fanned_out(workspace, id).await?.is_none() {
        return Err(EventId::MISSING);
    }
    let history = History { limit, event: Some(id), ..History::default() };
    let owing = Owing { tables: &tables, workspace, asked: &history, shown: Shown::All };
    let from = after.unwrap_or(WebhookId(0));
    let Part { mut rows, up_to } = owing.part(Some((id, from))).await?;
    let is_cut = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    let last = rows.last().map(|((_, webhook), ..)| *webhook);
    let next = if is_cut { last } else { up_to.map(|((_, webhook), _)| webhook) };
    let items: Vec<DeliveryAnswer> = rows.into_iter().map(|(.., answer)| answer).collect();
    Ok(success(StatusCode::OK, List { items, next: next.map(|webhook| webhook.to_string()) }))
}

/// The second source: what was active late, by its places.
fn part_of(page: posthaste_store::Page<Listed, DeliveryId>) -> Part<DeliveryId, DeliveryAnswer> {
    let mut rows: Vec<(DeliveryId, Timestamp, DeliveryAnswer)> = Vec::new();
    let mut room = Room::default();
    for listed in page.items {
        let place = listed.place();
        let Listed::Recorded(record) = listed else { continue };
        let answer = answer(*record);
        if !room.has(&answer) {
            let up_to = rows.last().map(|(place, time, _)| (*place, *time));
            return Part { rows, up_to };
        }
        rows.push((place, place.time(), answer));
    }
    Part { rows, up_to: page.next.map(|place| (place, place.time())) }
}
